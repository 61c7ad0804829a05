#include "command_why.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct text text_of_key(const struct store_key *key)
{
    struct text text = {key->text, key->length};

    return text;
}

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

/* What is doubled for libmilter, once. */
static void undouble(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        *to++ = *from;
        from += from[0] == '%' && from[1] == '%';
    }
    *to = '\0';
}

/* "550 5.7.1 Recipient suppressed: …" as the client would read it. */
static struct text reply_of(const struct findings *findings, char *buffer,
                            size_t size)
{
    struct envelope_reply reply;
    int length;

    envelope_reply(findings->call->settings, &findings->answer.entry,
                   findings->mailbox.address, "ID", &reply);
    undouble(reply.text);
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
    if (!why_scope_is_known(findings)) {
        return; /* no mail is in it */
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

static void print_history(const redisReply *history)
{
    if (!is_hash(history)) {
        (void)puts("history of the recipient: no history");
        return;
    }
    (void)puts("history of the recipient:");
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
    why_scope_set(object, findings);
    if (!why_scope_is_known(findings)) {
        return;
    }
    command_json_set(object, "at_rcpt",
                     text_of(verdicts[findings->answer.verdict].word));
    if (findings->answer.verdict == ENVELOPE_SUPPRESS) {
        command_json_set(object, "reply",
                         reply_of(findings, buffer, sizeof buffer));
    }
}

/* What a mailbox too long for a key is looked up by is its domain. */
static struct text name_of(const struct mailbox *mailbox)
{
    return mailbox->address_length > 0
               ? (struct text){mailbox->address, mailbox->address_length}
               : (struct text){mailbox->domain, mailbox->domain_length};
}

json_t *why_findings_json(struct findings *findings)
{
    json_t *object = json_object();
    json_t *history = json_object();

    sort_history(findings->recipient);
    sort_history(findings->domain.hash);
    command_json_set(object, "mailbox", name_of(&findings->mailbox));
    (void)json_object_set_new(object, "keys", json_of_keys(findings));
    set_decision(object, findings);
    why_strikes_set(object, findings);
    if (findings->domain.name[0] != '\0') {
        (void)json_object_set_new(object, "domain",
                                  health_domain_json(&findings->domain));
    }
    (void)json_object_set_new(history, "recipient",
                              json_of_history(findings->recipient));
    (void)json_object_set_new(history, "domain",
                              json_of_history(findings->domain.hash));
    (void)json_object_set_new(object, "history", history);
    return object;
}

void why_findings_print(struct findings *findings)
{
    sort_history(findings->recipient);
    (void)fputs("mailbox: ", stdout);
    command_put(name_of(&findings->mailbox));
    (void)fputc('\n', stdout);
    why_scope_print(findings);
    print_keys(findings);
    print_decision(findings);
    why_scope_print_others(findings);
    why_strikes_print(findings);
    print_history(findings->recipient);
    if (findings->domain.name[0] != '\0') {
        health_domain_print(&findings->domain); /* its history in words */
    }
}
