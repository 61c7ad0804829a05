#include "scope.h"

#include <string.h>

/* ---- which one ---- */

/* A condition without values asks for nothing. */
static bool names(char *const *values, const char *value)
{
    if (values[0] == NULL) {
        return true;
    }
    if (value == NULL) {
        return false;
    }
    while (*values != NULL && strcmp(*values, value) != 0) {
        values++;
    }
    return *values != NULL;
}

static bool has_client(const struct scope *scope, const char *client_ip)
{
    return scope->client_count == 0 ||
           (client_ip != NULL &&
            client_network_has(scope->clients, scope->client_count,
                               text_of(client_ip)));
}

/* sender NULL: there is no mailbox in it. */
static bool has_sender(const struct scope *scope, const struct mailbox *sender)
{
    struct mailbox_pattern candidate;

    if (scope->sender_count == 0) {
        return true;
    }
    for (size_t i = 0;
         sender != NULL && mailbox_candidate(sender, i, &candidate); i++) {
        for (size_t j = 0; j < scope->sender_count; j++) {
            const struct mailbox_pattern *pattern = &scope->senders[j];

            if (candidate.length == pattern->length &&
                memcmp(candidate.text, pattern->text, pattern->length) == 0) {
                return true;
            }
        }
    }
    return false;
}

const struct scope *scope_choose(const struct settings *settings,
                                 const struct scope_question *question)
{
    const char *typed = question->sender;
    const struct mailbox *sender = NULL;
    struct mailbox mailbox;

    if (settings->scope_count == 0) {
        return NULL;
    }
    if (typed != NULL && typed[0] != '\0' &&
        mailbox_parse(text_of(typed), &settings->mailbox_rules, &mailbox) !=
            MAILBOX_INVALID) {
        sender = &mailbox;
    }
    for (size_t i = 0; i < settings->scope_count; i++) {
        const struct scope *scope = &settings->scopes[i];

        if (names(scope->listeners, question->listener) &&
            names(scope->auth_users, question->auth_user) &&
            has_client(scope, question->client_ip) &&
            has_sender(scope, sender)) {
            return scope;
        }
    }
    return NULL;
}

const struct scope *scope_find(const struct settings *settings,
                               struct text name)
{
    for (size_t i = 0; i < settings->scope_count; i++) {
        if (text_is(name, settings->scopes[i].name)) {
            return &settings->scopes[i];
        }
    }
    return NULL;
}

const struct scope *scope_of_code(const struct settings *settings,
                                  uint32_t code)
{
    for (size_t i = 0; i < settings->scope_count; i++) {
        if (settings->scopes[i].code == code) {
            return &settings->scopes[i];
        }
    }
    return NULL;
}

/* ---- what goes for it ---- */

enum settings_mode scope_mode(const struct settings *settings,
                              const struct scope *scope)
{
    return scope == NULL ? settings->mode : scope->mode;
}

const struct policies *scope_policies(const struct settings *settings,
                                      struct text name)
{
    const struct scope *scope = scope_find(settings, name);

    return scope == NULL ? &settings->policies : &scope->policies;
}
