#include "command_why.h"

#include "clock.h"
#include "command_privacy.h"

#include <stdlib.h>
#include <string.h>

#define FIND_MS  1000 /* the most that suppression_new() takes */
#define KEYS_MAX 1024 /* twice what 127 labels and two lists can make */

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
                                 findings->pseudonyms, &findings->mailbox,
                                 findings->scope, findings->key_count,
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
        .null_sender = findings->null_sender,
        .scope = findings->in,
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
        .pseudonyms = findings->pseudonyms,
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
    if (why_scope_is_known(findings) &&
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

static bool ask_recipient(struct health_source *source, struct text address)
{
    static const char *const latest[] = {"-1000", "-1", "WITHSCORES"};
    static const char *const all[] = {"0", "-1"};
    const unsigned bucket = store_bucket(address.bytes, address.length);
    const struct text none = {NULL, 0};
    struct store_key due;
    struct text words[3] = {text_of("HGET"), {NULL, 0}, address};

    _Static_assert(WHY_STRIKES_MAX == 1000, "as many are asked for");
    if (!health_ask(source, "HGETALL", STORE_RECIPIENT, bucket, address, NULL,
                    0) ||
        !health_ask(source, "ZRANGE", STORE_STRIKES, bucket, address, latest,
                    3) ||
        !health_ask(source, "LRANGE", STORE_EVIDENCE, bucket, address, all,
                    2) ||
        !store_key_history(source->key_prefix, bucket, STORE_DUE, none, &due)) {
        return false;
    }
    words[1] = (struct text){due.text, due.length};
    return command_store_add(source->store, 3, words, &source->error);
}

static bool read_recipient(struct findings *findings,
                           struct health_source *source, struct text address)
{
    redisReply **const replies[] = {
        &findings->recipient, &findings->strikes.strikes,
        &findings->strikes.evidence, &findings->strikes.due};

    if (!ask_recipient(source, address)) {
        return false;
    }
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        freeReplyObject(*replies[i]);
        *replies[i] = health_take(source);
        if (*replies[i] == NULL) {
            return false;
        }
    }
    findings->strikes.escalation =
        health_number(health_value(findings->recipient, "escalation"));
    return true;
}

/*
 * Of an address too long for a key nothing is kept. Before there were
 * pseudonyms it was kept under the plain address.
 */
static bool read_names(struct findings *findings, struct health_source *source)
{
    const struct mailbox *mailbox = &findings->mailbox;
    struct mailbox pseudonym;

    if (mailbox->address_length == 0) {
        return true;
    }
    if (command_pseudonym(findings->pseudonyms, mailbox, &pseudonym)) {
        if (!read_recipient(findings, source, text_of(pseudonym.address))) {
            return false;
        }
        if (findings->recipient->elements > 0) {
            return true;
        }
    }
    return read_recipient(findings, source, text_of(mailbox->address));
}

static bool read_history(struct findings *findings, struct command_store *store,
                         struct error *error)
{
    const struct mailbox *mailbox = &findings->mailbox;
    const struct text domain = {mailbox->domain, mailbox->domain_length};
    struct health_source source = {
        .store = store, .key_prefix = findings->call->settings->key_prefix};
    bool read = read_names(findings, &source) &&
                (domain.length == 0 ||
                 health_domain_read(&source, domain, findings->now_us,
                                    &findings->domain));

    if (!read) {
        *error = source.error;
    }
    return read;
}

bool why_find_out(struct findings *findings, struct error *error)
{
    struct command_store *store = command_store_open_until(
        findings->call->settings, findings->deadline_ms, error);
    bool done = false;

    findings->pseudonyms =
        command_pseudonyms(findings->call, &findings->secret);
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
    done = why_scope_look(findings, store, error) &&
           read_history(findings, store, error);
out:
    command_store_close(store);
    return done;
}

void why_forget(struct findings *findings)
{
    pseudonym_key_clear(&findings->secret);
    command_entry_clear(&findings->detail);
    freeReplyObject(findings->recipient);
    freeReplyObject(findings->strikes.strikes);
    freeReplyObject(findings->strikes.evidence);
    freeReplyObject(findings->strikes.due);
    health_domain_clear(&findings->domain);
    free(findings->elsewhere);
    free(findings->keys);
    free(findings->present);
}

enum command_status command_why(const struct command_call *call)
{
    struct findings findings = {
        .call = call, .now_us = clock_now_us(), .deadline_ms = INT64_MAX};
    enum command_status status = COMMAND_OK;
    struct error error = {""};

    if (!why_scope_take(&findings) ||
        !command_mailbox(call, call->arguments[0], &findings.mailbox)) {
        return COMMAND_FAULT;
    }
    if (!why_find_out(&findings, &error)) {
        command_complain(call, "%s", error.text);
        status = COMMAND_FAULT;
    } else if (call->json) {
        command_json_print(why_findings_json(&findings));
    } else {
        why_findings_print(&findings);
    }
    why_forget(&findings);
    return status;
}
