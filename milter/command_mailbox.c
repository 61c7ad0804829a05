#include "command.h"
#include "command_privacy.h"
#include "scope.h"
#include "suppression.h"

#include <stdio.h>
#include <string.h>

static struct text text_of_key(const struct store_key *key)
{
    struct text text = {key->text, key->length};

    return text;
}

static void put_line(struct text text)
{
    command_put(text);
    (void)fputc('\n', stdout);
}

/* Of a mailbox that is too long only the domain counts: its pattern. */
static struct text normal_form(const struct mailbox *mailbox,
                               char buffer[MAILBOX_DOMAIN_MAX + 2])
{
    int length;

    if (mailbox->address_length > 0) {
        return (struct text){mailbox->address, mailbox->address_length};
    }
    length = snprintf(buffer, MAILBOX_DOMAIN_MAX + 2, "@%s", mailbox->domain);
    return (struct text){buffer, length < 0 ? 0 : (size_t)length};
}

static void warn_when_long(const struct command_call *call,
                           const struct mailbox *mailbox)
{
    if (mailbox->address_length == 0) {
        command_complain(call,
                         "longer than %d bytes: only its domain is looked up",
                         MAILBOX_MAX);
    }
}

enum command_status command_mailbox_keys(const struct command_call *call)
{
    char buffer[MAILBOX_DOMAIN_MAX + 2];
    struct pseudonym_key secret;
    const struct pseudonym_key *pseudonyms;
    struct mailbox mailbox;
    struct mailbox pseudonym;
    struct store_key key;
    const char *scope;
    json_t *keys;
    json_t *object;

    if (!command_scope(call, &scope) ||
        !command_mailbox(call, call->arguments[0], &mailbox)) {
        return COMMAND_FAULT;
    }
    warn_when_long(call, &mailbox);
    if (!call->json) {
        put_line(normal_form(&mailbox, buffer));
    }
    pseudonyms = command_pseudonyms(call, &secret);
    keys = json_array();
    for (size_t i = 0; suppression_candidate(
             call->settings->key_prefix, pseudonyms, &mailbox, scope, i, &key);
         i++) {
        if (call->json) {
            (void)json_array_append_new(keys,
                                        command_json_text(text_of_key(&key)));
        } else {
            put_line(text_of_key(&key));
        }
    }
    if (!call->json) {
        pseudonym_key_clear(&secret);
        json_decref(keys);
        return COMMAND_OK;
    }
    object = json_object();
    command_json_set(object, "mailbox", normal_form(&mailbox, buffer));
    if (command_pseudonym(pseudonyms, &mailbox, &pseudonym)) {
        command_json_set(object, "pseudonym", text_of(pseudonym.address));
    }
    pseudonym_key_clear(&secret);
    (void)json_object_set_new(object, "keys", keys);
    command_json_print(object);
    return COMMAND_OK;
}

/* The keys of a history: whose bucket they are in, and whether they name it. */
static const struct history {
    const char *name;
    enum store_history kind;
    bool of_domain;
    bool shared; /* with all others in the bucket: a field, or none */
} histories[] = {
    {"recipient", STORE_RECIPIENT, false, false},
    {"strikes", STORE_STRIKES, false, false},
    {"evidence", STORE_EVIDENCE, false, false},
    {"due", STORE_DUE, false, true},
    {"domain", STORE_DOMAIN, true, false},
    {"waiting", STORE_WAITING, true, false},
    {"domain_due", STORE_DUE, true, true},
    {"down", STORE_DOWN, true, true},
    {"breaker", STORE_BREAKER, true, true},
};

static bool history_key(const struct command_call *call,
                        const struct mailbox *mailbox,
                        const struct history *history, struct store_key *key)
{
    struct text name = {mailbox->address, mailbox->address_length};

    if (history->of_domain) {
        name = (struct text){mailbox->domain, mailbox->domain_length};
    }
    return name.length > 0 &&
           store_key_history(call->settings->key_prefix,
                             store_bucket(name.bytes, name.length),
                             history->kind,
                             history->shared ? text_of(NULL) : name, key);
}

/* One for each scope that is configured, and that of all mail's requests. */
static void tell_scopes(const struct command_call *call,
                        const struct mailbox *mailbox, json_t *keys)
{
    const struct settings *settings = call->settings;
    const struct text address = {mailbox->address, mailbox->address_length};

    for (size_t i = 0; address.length > 0 && i <= settings->scope_count; i++) {
        const char *scope = i < settings->scope_count ? settings->scopes[i].name
                                                      : STORE_SCOPE_ALL;
        char name[sizeof "strikes@" + STORE_SCOPE_MAX];
        struct store_key key;

        if (!store_key_strikes(settings->key_prefix,
                               store_bucket(address.bytes, address.length),
                               text_of(scope), address, &key)) {
            continue;
        }
        (void)snprintf(name, sizeof name, "strikes@%s", scope);
        command_json_set(keys, name, text_of_key(&key));
        if (!call->json) {
            put_line(text_of_key(&key));
        }
    }
}

/* domains: those of its domain, too. New. */
static json_t *tell_history(const struct command_call *call,
                            const struct mailbox *mailbox, bool domains)
{
    json_t *keys = json_object();

    for (size_t i = 0; i < sizeof histories / sizeof histories[0]; i++) {
        struct store_key key;

        if ((histories[i].of_domain && !domains) ||
            !history_key(call, mailbox, &histories[i], &key)) {
            continue;
        }
        command_json_set(keys, histories[i].name, text_of_key(&key));
        if (!call->json) {
            put_line(text_of_key(&key));
        }
    }
    tell_scopes(call, mailbox, keys);
    return keys;
}

enum command_status command_mailbox_history(const struct command_call *call)
{
    char buffer[MAILBOX_DOMAIN_MAX + 2];
    struct pseudonym_key secret;
    struct mailbox mailbox;
    struct mailbox pseudonym;
    json_t *object;

    if (!command_mailbox(call, call->arguments[0], &mailbox)) {
        return COMMAND_FAULT;
    }
    warn_when_long(call, &mailbox);
    object = json_object();
    command_json_set(object, "mailbox", normal_form(&mailbox, buffer));
    (void)json_object_set_new(object, "keys",
                              tell_history(call, &mailbox, true));
    if (command_pseudonym(command_pseudonyms(call, &secret), &mailbox,
                          &pseudonym)) {
        command_json_set(object, "pseudonym", text_of(pseudonym.address));
        (void)json_object_set_new(object, "pseudonym_keys",
                                  tell_history(call, &pseudonym, false));
    }
    pseudonym_key_clear(&secret);
    if (call->json) {
        command_json_print(object);
    } else {
        json_decref(object);
    }
    return COMMAND_OK;
}
