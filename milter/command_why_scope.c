#include "client_network.h"
#include "command_why.h"

#include <stdlib.h>
#include <string.h>

/* ---- which scope ---- */

static bool is_client(const struct command_call *call, const char *client)
{
    struct client_network network;
    struct error error = {""};
    char shown[80];

    if (client == NULL ||
        (strchr(client, '/') == NULL &&
         client_network_parse(text_of(client), &network, &error))) {
        return true;
    }
    command_complain(call,
                     "--client \"%s\": write an address, such as "
                     "192.0.2.1 or 2001:db8::1",
                     text_escape(text_of(client), shown, sizeof shown));
    return false;
}

/* "<>" is what people write of the null reverse-path. */
static struct text bare_sender(const char *typed)
{
    struct text sender = text_of(typed);

    if (sender.length >= 2 && sender.bytes[0] == '<' &&
        sender.bytes[sender.length - 1] == '>') {
        sender.bytes++;
        sender.length -= 2;
    }
    return sender;
}

static bool choose(struct findings *findings)
{
    const struct command_call *call = findings->call;
    struct scope_question question = {
        .listener = command_value(call, "listener"),
        .auth_user = command_value(call, "auth-user"),
        .client_ip = command_value(call, "client"),
    };
    const char *typed = command_value(call, "as-sender");
    struct text sender = bare_sender(typed);
    char path[WHY_SENDER_SIZE];

    findings->describes_mail = typed != NULL || question.listener != NULL ||
                               question.auth_user != NULL ||
                               question.client_ip != NULL;
    if (!findings->describes_mail) {
        return true;
    }
    if (findings->scope != NULL) {
        command_complain(call, "either --scope, or what chooses one");
        return false;
    }
    if (sender.length >= sizeof path) {
        command_complain(call, "--as-sender: longer than any sender");
        return false;
    }
    if (typed != NULL) {
        (void)text_copy(sender, path, sizeof path);
        question.sender = path;
        findings->null_sender = sender.length == 0;
    }
    findings->in = scope_choose(call->settings, &question);
    findings->scope = findings->in == NULL ? NULL : findings->in->name;
    return is_client(call, question.client_ip);
}

bool why_scope_take(struct findings *findings)
{
    const struct command_call *call = findings->call;

    if (!command_scope(call, &findings->scope) || !choose(findings)) {
        return false;
    }
    if (findings->scope != NULL) {
        findings->in = scope_find(call->settings, text_of(findings->scope));
    }
    return true;
}

/* ---- what the lists of all scopes have ---- */

static bool keep(struct findings *findings, const struct store_key *key,
                 struct error *error)
{
    struct store_key *grown =
        reallocarray(findings->elsewhere, findings->elsewhere_count + 1,
                     sizeof *findings->elsewhere);

    if (grown == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    findings->elsewhere = grown;
    findings->elsewhere[findings->elsewhere_count++] = *key;
    return true;
}

/* Its own keys come first of each two, the lists for all are told already. */
static bool look_in(struct findings *findings, const struct scope *scope,
                    struct command_store *store, struct error *error)
{
    struct store_key key;

    for (size_t i = 0; suppression_candidate(
             findings->call->settings->key_prefix, findings->pseudonyms,
             &findings->mailbox, scope->name, i, &key);
         i += 2) {
        int found = command_store_exists(store, &key, error);

        if (found < 0 || (found > 0 && !keep(findings, &key, error))) {
            return false;
        }
    }
    return true;
}

bool why_scope_look(struct findings *findings, struct command_store *store,
                    struct error *error)
{
    const struct settings *settings = findings->call->settings;

    if (findings->describes_mail || findings->scope != NULL) {
        return true; /* about the others nobody asks */
    }
    for (size_t i = 0; i < settings->scope_count; i++) {
        if (!look_in(findings, &settings->scopes[i], store, error)) {
            return false;
        }
    }
    return true;
}

/* ---- in words ---- */

static const char *mode_of(const struct findings *findings)
{
    return scope_mode(findings->call->settings, findings->in) == MODE_OBSERVE
               ? "observe"
               : "enforce";
}

void why_scope_print(const struct findings *findings)
{
    if (findings->in != NULL) {
        (void)printf("scope: %s (mode %s)\n", findings->in->name,
                     mode_of(findings));
    } else if (findings->scope != NULL) {
        (void)printf("scope: %s (not configured)\n", findings->scope);
    } else if (findings->describes_mail) {
        (void)printf("scope: none (mode %s)\n", mode_of(findings));
    }
}

void why_scope_print_others(const struct findings *findings)
{
    if (findings->describes_mail || findings->scope != NULL ||
        findings->call->settings->scope_count == 0) {
        return;
    }
    (void)puts(findings->elsewhere_count == 0 ? "in scopes: not listed"
                                              : "in scopes:");
    for (size_t i = 0; i < findings->elsewhere_count; i++) {
        const struct store_key *key = &findings->elsewhere[i];

        (void)fputs("  present  ", stdout);
        command_put((struct text){key->text, key->length});
        (void)fputc('\n', stdout);
    }
}

void why_scope_set(json_t *object, const struct findings *findings)
{
    json_t *keys;

    if (findings->scope != NULL) {
        command_json_set(object, "scope", text_of(findings->scope));
    }
    if (findings->in != NULL || findings->describes_mail) {
        command_json_set(object, "mode", text_of(mode_of(findings)));
    }
    if (findings->describes_mail || findings->scope != NULL ||
        findings->call->settings->scope_count == 0) {
        return;
    }
    keys = json_array();
    for (size_t i = 0; i < findings->elsewhere_count; i++) {
        const struct store_key *key = &findings->elsewhere[i];

        (void)json_array_append_new(
            keys, command_json_text((struct text){key->text, key->length}));
    }
    (void)json_object_set_new(object, "in_scopes", keys);
}
