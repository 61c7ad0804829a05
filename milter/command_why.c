#include "command.h"
#include "command_entry.h"
#include "command_store.h"
#include "envelope_check.h"
#include "suppression.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIND_MS  1000 /* the most that suppression_new() takes */
#define KEYS_MAX 1024 /* twice what 127 labels and two lists can make */

/* What is found out, before anything is printed. */
struct findings {
    const struct command_call *call;
    const char *scope;
    struct mailbox mailbox;
    struct store_key *keys; /* looked up, in this order */
    bool *present;
    size_t key_count;
    enum suppression_result result;
    struct suppression_entry entry; /* of FOUND and ALLOWED */
    struct command_entry detail;    /* the same with all its fields */
    bool has_detail;
    struct envelope_answer answer; /* without scope only */
    redisReply *recipient;         /* the histories: arrays, or NULL */
    redisReply *domain;
};

static struct text text_of_key(const struct store_key *key)
{
    struct text text = {key->text, key->length};

    return text;
}

/* --- finding out ------------------------------------------------------- */

static bool list_keys(struct findings *findings, struct error *error)
{
    findings->keys = calloc(KEYS_MAX, sizeof *findings->keys);
    findings->present = calloc(KEYS_MAX, sizeof *findings->present);
    if (findings->keys == NULL || findings->present == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    while (findings->key_count < KEYS_MAX &&
           suppression_candidate(findings->call->settings->key_prefix,
                                 &findings->mailbox, findings->scope,
                                 findings->key_count,
                                 &findings->keys[findings->key_count])) {
        findings->key_count++;
    }
    return true;
}

static bool ask_keys(struct findings *findings, struct command_store *store,
                     struct error *error)
{
    for (size_t i = 0; i < findings->key_count; i++) {
        int found = command_store_exists(store, &findings->keys[i], error);

        if (found < 0) {
            return false;
        }
        findings->present[i] = found > 0;
    }
    return true;
}

static void ask_envelope(struct findings *findings, struct suppression *list)
{
    const struct envelope_question question = {
        .settings = findings->call->settings,
        .list = list,
        .mailbox = &findings->mailbox,
    };

    envelope_check(&question, &findings->answer);
}

/* Asks the way nixied does, with more patience. */
static bool ask_list(struct findings *findings, struct error *error)
{
    const struct settings *settings = findings->call->settings;
    const struct redis_endpoint_options where = {
        .location = settings->redis,
        .user = settings->redis_user,
        .password_file = settings->redis_password_file,
    };
    struct suppression_options options = {
        .key_prefix = settings->key_prefix,
        .timeout_ms = FIND_MS,
        .connections = 1,
    };
    struct redis_endpoint *endpoint = redis_endpoint_new(&where, error);
    struct suppression *list = NULL;

    findings->result = SUPPRESSION_UNAVAILABLE;
    if (endpoint == NULL || !redis_endpoint_resolve(endpoint, error)) {
        goto out;
    }
    options.endpoint = endpoint;
    list = suppression_new(&options, error);
    if (list == NULL) {
        goto out;
    }
    findings->result = suppression_find(
        list, &findings->mailbox, findings->scope, &findings->entry, error);
    if (findings->scope == NULL &&
        findings->result != SUPPRESSION_UNAVAILABLE) {
        ask_envelope(findings, list);
        if (findings->answer.store_down) {
            error_set(error, "%s", findings->answer.store_error);
            findings->result = SUPPRESSION_UNAVAILABLE;
        }
    }
out:
    suppression_free(list);
    redis_endpoint_free(endpoint);
    return findings->result != SUPPRESSION_UNAVAILABLE;
}

/* *history stays NULL when the name is empty. */
static bool ask_history(struct findings *findings, struct command_store *store,
                        enum store_history kind, struct text name,
                        redisReply **history, struct error *error)
{
    struct text words[2] = {text_of("HGETALL")};
    struct store_key key;

    if (name.length == 0 ||
        !store_key_history(findings->call->settings->key_prefix,
                           store_bucket(name.bytes, name.length), kind, name,
                           &key)) {
        return true;
    }
    words[1] = text_of_key(&key);
    if (!command_store_add(store, 2, words, error)) {
        return false;
    }
    *history = command_store_next(store, error);
    return *history != NULL;
}

static bool find_out(struct findings *findings, struct error *error)
{
    const struct mailbox *mailbox = &findings->mailbox;
    const struct text address = {mailbox->address, mailbox->address_length};
    const struct text domain = {mailbox->domain, mailbox->domain_length};
    struct command_store *store =
        command_store_open(findings->call->settings, error);
    bool done = false;

    if (store == NULL || !list_keys(findings, error) ||
        !ask_keys(findings, store, error) || !ask_list(findings, error)) {
        goto out;
    }
    if (findings->result != SUPPRESSION_ABSENT) {
        int there = command_entry_read(store, &findings->entry.key,
                                       &findings->detail, error);

        if (there < 0) {
            goto out;
        }
        findings->has_detail = there > 0;
    }
    done = ask_history(findings, store, STORE_RECIPIENT, address,
                       &findings->recipient, error) &&
           ask_history(findings, store, STORE_DOMAIN, domain, &findings->domain,
                       error);
out:
    command_store_close(store);
    return done;
}

static void forget(struct findings *findings)
{
    command_entry_clear(&findings->detail);
    freeReplyObject(findings->recipient);
    freeReplyObject(findings->domain);
    free(findings->keys);
    free(findings->present);
}

/* --- telling ----------------------------------------------------------- */

static const char *decision_of(enum suppression_result result)
{
    switch (result) {
    case SUPPRESSION_ABSENT:
        return "absent";
    case SUPPRESSION_FOUND:
        return "suppressed";
    case SUPPRESSION_ALLOWED:
        return "allowed";
    case SUPPRESSION_UNAVAILABLE:
        break;
    }
    return "unknown";
}

static const struct verdict {
    const char *word;
    const char *sentence;
} verdicts[] = {
    [ENVELOPE_PASS] = {"accept", "accepted"},
    [ENVELOPE_SUPPRESS] = {"refuse", "refused: "},
    [ENVELOPE_OBSERVE] = {"observe",
                          "accepted and logged as would_suppress: observe "
                          "mode"},
    [ENVELOPE_EXEMPT] = {"exempt", "accepted and logged as would_suppress: "
                                   "exempt"},
    [ENVELOPE_TEMPFAIL] = {"tempfail", "refused for now: Redis does not "
                                       "answer"},
};

/* "550 5.7.1 Recipient suppressed: …" as the client would read it. */
static struct text reply_of(const struct findings *findings, char *buffer,
                            size_t size)
{
    struct envelope_reply reply;
    int length;

    envelope_reply(findings->call->settings, &findings->answer.entry,
                   findings->mailbox.address, "ID", &reply);
    length =
        snprintf(buffer, size, "%s %s%s%s", reply.code, reply.enhanced_status,
                 reply.enhanced_status[0] == '\0' ? "" : " ", reply.text);
    return (struct text){buffer, length < 0 ? 0 : strlen(buffer)};
}

static void print_keys(const struct findings *findings)
{
    (void)puts("keys looked up:");
    for (size_t i = 0; i < findings->key_count; i++) {
        struct text key = text_of_key(&findings->keys[i]);
        bool decides =
            findings->result != SUPPRESSION_ABSENT &&
            key.length == findings->entry.key.length &&
            memcmp(key.bytes, findings->entry.key.text, key.length) == 0;

        (void)printf("  %s  ", findings->present[i] ? "present" : "absent ");
        command_put(key);
        (void)puts(decides ? "  <- decides" : "");
    }
}

static void print_decision(const struct findings *findings)
{
    const struct verdict *verdict = &verdicts[findings->answer.verdict];
    char buffer[1024];

    (void)printf("decision: %s\n", findings->result == SUPPRESSION_ABSENT
                                       ? "not listed"
                                       : decision_of(findings->result));
    if (findings->has_detail) {
        command_entry_print(&findings->detail);
    }
    if (findings->scope != NULL) {
        return; /* which sessions are in it is not known here */
    }
    (void)printf("at RCPT: %s", verdict->sentence);
    if (findings->answer.verdict == ENVELOPE_SUPPRESS) {
        command_put(reply_of(findings, buffer, sizeof buffer));
    }
    (void)fputc('\n', stdout);
}

static int compare_pairs(const void *one, const void *other)
{
    const redisReply *const *left = one;
    const redisReply *const *right = other;
    size_t shorter =
        (size_t)((*left)->len < (*right)->len ? (*left)->len : (*right)->len);
    int order = memcmp((*left)->str, (*right)->str, shorter);

    return order != 0 ? order
                      : ((*left)->len > (*right)->len) -
                            ((*left)->len < (*right)->len);
}

static bool is_hash(const redisReply *history)
{
    if (history == NULL || history->type != REDIS_REPLY_ARRAY ||
        history->elements < 2 || history->elements % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < history->elements; i++) {
        if (history->element[i]->type != REDIS_REPLY_STRING) {
            return false;
        }
    }
    return true;
}

static void print_history(const char *what, const redisReply *history)
{
    if (!is_hash(history)) {
        (void)printf("history of the %s: no history\n", what);
        return;
    }
    (void)printf("history of the %s:\n", what);
    for (size_t i = 0; i < history->elements; i += 2) {
        (void)fputs("  ", stdout);
        command_put(command_store_text(history->element[i]));
        (void)fputs(": ", stdout);
        command_put(command_store_text(history->element[i + 1]));
        (void)fputc('\n', stdout);
    }
}

static void sort_history(redisReply *history)
{
    if (is_hash(history)) { /* pairs of pointers, by the field's name */
        qsort(history->element, history->elements / 2,
              2 * sizeof history->element[0], compare_pairs);
    }
}

static json_t *json_of_history(const redisReply *history)
{
    json_t *object = json_object();

    for (size_t i = 0; is_hash(history) && i < history->elements; i += 2) {
        json_t *name =
            command_json_text(command_store_text(history->element[i]));

        if (json_is_string(name)) {
            command_json_set(object, json_string_value(name),
                             command_store_text(history->element[i + 1]));
        }
        json_decref(name);
    }
    return object;
}

static json_t *json_of_keys(const struct findings *findings)
{
    json_t *keys = json_array();

    for (size_t i = 0; i < findings->key_count; i++) {
        json_t *key = json_object();

        command_json_set(key, "key", text_of_key(&findings->keys[i]));
        (void)json_object_set_new(key, "present",
                                  json_boolean(findings->present[i]));
        (void)json_array_append_new(keys, key);
    }
    return keys;
}

static void set_decision(json_t *object, const struct findings *findings)
{
    char buffer[1024];

    command_json_set(object, "decision",
                     text_of(decision_of(findings->result)));
    if (findings->has_detail) {
        json_t *entry = json_object();

        command_json_set(entry, "key", text_of_key(&findings->entry.key));
        command_entry_set(entry, &findings->detail);
        (void)json_object_set_new(object, "entry", entry);
    }
    if (findings->scope != NULL) {
        command_json_set(object, "scope", text_of(findings->scope));
        return;
    }
    command_json_set(object, "at_rcpt",
                     text_of(verdicts[findings->answer.verdict].word));
    if (findings->answer.verdict == ENVELOPE_SUPPRESS) {
        command_json_set(object, "reply",
                         reply_of(findings, buffer, sizeof buffer));
    }
}

static void print_json(const struct findings *findings, struct text normal)
{
    json_t *object = json_object();
    json_t *history = json_object();

    command_json_set(object, "mailbox", normal);
    (void)json_object_set_new(object, "keys", json_of_keys(findings));
    set_decision(object, findings);
    (void)json_object_set_new(history, "recipient",
                              json_of_history(findings->recipient));
    (void)json_object_set_new(history, "domain",
                              json_of_history(findings->domain));
    (void)json_object_set_new(object, "history", history);
    command_json_print(object);
}

static void tell(struct findings *findings)
{
    const struct mailbox *mailbox = &findings->mailbox;
    struct text normal = {mailbox->address, mailbox->address_length};

    if (normal.length == 0) { /* too long: nothing but its domain counts */
        normal = (struct text){mailbox->domain, mailbox->domain_length};
    }
    sort_history(findings->recipient);
    sort_history(findings->domain);
    if (findings->call->json) {
        print_json(findings, normal);
        return;
    }
    (void)fputs("mailbox: ", stdout);
    command_put(normal);
    (void)fputc('\n', stdout);
    print_keys(findings);
    print_decision(findings);
    print_history("recipient", findings->recipient);
    print_history("domain", findings->domain);
}

enum command_status command_why(const struct command_call *call)
{
    struct findings findings = {.call = call};
    enum command_status status = COMMAND_OK;
    struct error error = {""};

    if (!command_scope(call, &findings.scope) ||
        !command_mailbox(call, call->arguments[0], &findings.mailbox)) {
        return COMMAND_FAULT;
    }
    if (find_out(&findings, &error)) {
        tell(&findings);
    } else {
        command_complain(call, "%s", error.text);
        status = COMMAND_FAULT;
    }
    forget(&findings);
    return status;
}
