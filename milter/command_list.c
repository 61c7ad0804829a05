#include "clock.h"
#include "command.h"
#include "command_entry.h"
#include "command_privacy.h"
#include "command_store.h"
#include "control.h"
#include "control_request.h"
#include "recorder_effect.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_MS 10000 /* nixied waits for Redis before it answers */
#define SHOWN_MAX  400

/* One entry that is to change, and how the event log tells it. */
struct change {
    const struct command_call *call;
    struct command_store *store; /* NULL: Redis does not answer us */
    struct error store_error;
    const char *scope;
    bool removal;
    bool told_absent;
    struct pseudonym_key secret;
    const struct pseudonym_key *pseudonyms; /* &secret, or NULL */
    struct mailbox_pattern typed;
    struct mailbox_pattern pattern; /* as it stands in Redis */
    struct store_key key;
    struct event event;
    char by[CONTROL_BY_MAX + 1];
    char added_at[CLOCK_TIMESTAMP_SIZE];
    char expires_at[CLOCK_TIMESTAMP_SIZE];
};

struct change_result {
    const char *word; /* added, updated, removed, absent */
    bool applied;
    bool through_nixied;
    int64_t seq;
};

/* --- what the options say ---------------------------------------------- */

static bool check_text(const struct command_call *call, const char *name,
                       size_t limit)
{
    const char *value = command_value(call, name);

    if (value == NULL) {
        return true;
    }
    if (strlen(value) > limit) {
        command_complain(call, "--%s takes at most %zu bytes", name, limit);
        return false;
    }
    if (!g_utf8_validate(value, -1, NULL)) {
        command_complain(call, "--%s takes UTF-8", name);
        return false;
    }
    return true;
}

/* Clients see it in the refusal, and statistics have it in field names. */
static bool check_reason(const struct command_call *call)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    const char *value = command_value(call, "reason");
    size_t length = value == NULL ? 0 : strlen(value);

    if (value == NULL || (length > 0 && length <= CONTROL_REASON_MAX &&
                          strspn(value, allowed) == length)) {
        return true;
    }
    command_complain(call,
                     "--reason takes a word such as user_unknown, of at most "
                     "%d lower-case letters, digits, underscores, dots and "
                     "hyphens; a sentence belongs into --note",
                     CONTROL_REASON_MAX);
    return false;
}

static bool take_expiry(struct change *change)
{
    const char *value = command_value(change->call, "expires");
    char shown[SHOWN_MAX];
    int64_t now_us = clock_now_us();
    int64_t us;

    if (value == NULL) {
        return true;
    }
    (void)text_escape(text_of(value), shown, sizeof shown);
    if (!command_expiry(value, now_us, &us)) {
        command_complain(change->call,
                         "--expires \"%s\": write 30d, 2026-12-24 or "
                         "2026-12-24T18:00:00Z",
                         shown);
        return false;
    }
    if (us <= now_us) {
        command_complain(change->call, "--expires \"%s\" is past", shown);
        return false;
    }
    clock_format(us, change->expires_at);
    return true;
}

static bool take_options(struct change *change)
{
    const struct command_call *call = change->call;

    if (!command_scope(call, &change->scope) || !check_reason(call) ||
        !check_text(call, "note", CONTROL_NOTE_MAX) || !take_expiry(change)) {
        return false;
    }
    command_login(change->by, sizeof change->by);
    clock_format(clock_now_us(), change->added_at);
    return true;
}

static bool take_key(struct change *change,
                     const struct mailbox_pattern *pattern)
{
    change->pattern = *pattern;
    if (!store_key_list(change->call->settings->key_prefix,
                        change->call->command->list, change->scope, pattern,
                        &change->key)) {
        command_complain(change->call, "the key would be too long");
        return false;
    }
    return true;
}

/* What is added stands there under its pseudonym, if it has one. */
static bool take_pattern(struct change *change, const char *typed)
{
    struct mailbox_pattern pseudonym;

    /* what should not be there must still be got rid of */
    if (change->removal
            ? !command_pattern(change->call, typed, &change->typed)
            : !command_new_pattern(change->call, typed, &change->typed)) {
        return false;
    }
    return take_key(change, !change->removal && command_pseudonym_pattern(
                                                    change->pseudonyms,
                                                    &change->typed, &pseudonym)
                                ? &pseudonym
                                : &change->typed);
}

/* --- the change -------------------------------------------------------- */

static enum event_type type_of(const struct change *change, int existed)
{
    if (change->call->command->list == STORE_ALLOW) {
        return change->removal ? EVENT_ALLOW_REMOVED : EVENT_ALLOW_ADDED;
    }
    if (change->removal) {
        return EVENT_SUPPRESSION_REMOVED;
    }
    return existed == 1 ? EVENT_SUPPRESSION_UPDATED : EVENT_SUPPRESSION_ADDED;
}

static void make_event(struct change *change, int existed)
{
    const struct command_call *call = change->call;
    struct event *event = &change->event;

    event_init(event, type_of(change, existed), clock_now_us());
    event->origin = text_of("command");
    event->scope = text_of(change->scope);
    event->suppression_pattern =
        (struct text){change->pattern.text, change->pattern.length};
    event->suppression_by = text_of(change->by);
    event->suppression_origin = text_of("command");
    if (change->removal) {
        return;
    }
    event->suppression_added_at = text_of(change->added_at);
    event->suppression_reason = text_of(command_value(call, "reason"));
    event->suppression_note = text_of(command_value(call, "note"));
    if (change->expires_at[0] != '\0') {
        event->suppression_expires_at = text_of(change->expires_at);
    }
    if (command_value(call, "observe") != NULL) {
        event->suppression_mode = text_of("observe");
    }
}

/* The command that carries out an effect; 0 words: none of ours. */
static size_t words_of(const struct effect *effect, struct text words[4])
{
    static const struct operation {
        const char *verb;
        size_t words;
    } operations[] = {
        [EFFECT_DELETE] = {"DEL", 2},
        [EFFECT_SET] = {"HSET", 4},
        [EFFECT_EXPIRE] = {"EXPIREAT", 3},
    };
    size_t index = (size_t)effect->operation;

    if (index >= sizeof operations / sizeof operations[0] ||
        operations[index].verb == NULL) {
        return 0;
    }
    words[0] = text_of(operations[index].verb);
    words[1] = (struct text){effect->key.text, effect->key.length};
    words[2] = operations[index].words == 4 ? effect->field : effect->value;
    words[3] = effect->value;
    return operations[index].words;
}

static bool is_key(const struct store_key *one, const struct store_key *other)
{
    return one->length == other->length &&
           memcmp(one->text, other->text, one->length) == 0;
}

/* Queues what nixied would do to the entry, in one transaction. */
static bool queue_effects(struct change *change, size_t *replies,
                          struct error *error)
{
    static const struct text multi = {"MULTI", 5};
    static const struct text exec = {"EXEC", 4};
    struct effect effects[EFFECT_MAX];
    size_t count = recorder_effects(change->call->settings->key_prefix,
                                    &change->event, effects);

    *replies = 2;
    if (!command_store_add(change->store, 1, &multi, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct text words[4];
        size_t word_count = words_of(&effects[i], words);

        if (word_count == 0 || !is_key(&effects[i].key, &change->key)) {
            continue; /* statistics are nixied's */
        }
        if (!command_store_add(change->store, word_count, words, error)) {
            return false;
        }
        (*replies)++;
    }
    if (*replies == 2) {
        error_set(error, "nixied would write this entry under another key");
        return false;
    }
    return command_store_add(change->store, 1, &exec, error);
}

/* An error reply, on its own or in what EXEC returned; or NULL. */
static const redisReply *fault_in(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        return reply;
    }
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements;
         i++) {
        if (reply->element[i]->type == REDIS_REPLY_ERROR) {
            return reply->element[i];
        }
    }
    return NULL;
}

static enum command_status write_to_redis(struct change *change,
                                          struct change_result *result)
{
    char shown[SHOWN_MAX] = "";
    struct error error;
    size_t replies;

    if (!queue_effects(change, &replies, &error)) {
        command_complain(change->call, "%s", error.text);
        return COMMAND_FAULT;
    }
    for (size_t i = 0; i < replies; i++) {
        redisReply *reply = command_store_next(change->store, &error);
        const redisReply *fault;

        if (reply == NULL) {
            command_complain(change->call,
                             "%s; the change may have happened: "
                             "\"nixie %s show\" tells",
                             error.text,
                             change->call->command->list == STORE_ALLOW
                                 ? "allow"
                                 : "suppress");
            return COMMAND_FAULT;
        }
        fault = fault_in(reply);
        if (fault != NULL && shown[0] == '\0') {
            (void)text_escape(command_store_text(fault), shown, sizeof shown);
        }
        freeReplyObject(reply);
    }
    if (shown[0] != '\0') {
        command_complain(change->call, "redis: %s", shown);
        return COMMAND_FAULT;
    }
    result->applied = true;
    return COMMAND_OK;
}

static enum command_status without_nixied(struct change *change,
                                          struct change_result *result)
{
    enum command_status status;

    if (change->store == NULL) {
        command_complain(change->call,
                         "no nixied on this host, and no Redis: %s",
                         change->store_error.text);
        return COMMAND_FAULT;
    }
    status = write_to_redis(change, result);
    if (status == COMMAND_OK && !change->told_absent) {
        (void)fflush(stdout);
        (void)fputs("(no nixied on this host: written to Redis only)\n",
                    stderr);
        change->told_absent = true;
    }
    return status;
}

static enum command_status carry_out(struct change *change,
                                     struct change_result *result)
{
    struct control_answer answer = {0, false};
    struct error error = {""};

    switch (control_send(change->call->settings->state_dir, &change->event,
                         CONTROL_MS, &answer, &error)) {
    case CONTROL_DONE:
        result->through_nixied = true;
        result->applied = answer.applied;
        result->seq = answer.seq;
        return COMMAND_OK;
    case CONTROL_ABSENT:
        return without_nixied(change, result);
    case CONTROL_REFUSED:
        command_complain(change->call, "%s", error.text);
        return COMMAND_FAULT;
    case CONTROL_UNKNOWN:
        command_complain(change->call,
                         "%s; the change may have happened: look again "
                         "before you repeat it",
                         error.text);
        return COMMAND_FAULT;
    }
    return COMMAND_FAULT;
}

static void print_json(const struct change *change,
                       const struct change_result *result)
{
    json_t *object = json_object();

    command_json_set(
        object, "pattern",
        (struct text){change->pattern.text, change->pattern.length});
    command_json_set(object, "scope", text_of(change->scope));
    command_json_set(object, "key",
                     (struct text){change->key.text, change->key.length});
    command_json_set(object, "result", text_of(result->word));
    if (strcmp(result->word, "absent") != 0) {
        command_json_set(object, "through",
                         text_of(result->through_nixied ? "nixied" : "redis"));
        (void)json_object_set_new(object, "applied",
                                  json_boolean(result->applied));
    }
    if (result->through_nixied) {
        (void)json_object_set_new(object, "seq", json_integer(result->seq));
    }
    command_json_print(object);
}

static void print_result(const struct change *change,
                         const struct change_result *result)
{
    bool absent = strcmp(result->word, "absent") == 0;

    if (change->call->json) {
        print_json(change, result);
        return;
    }
    (void)printf("%s ", absent            ? "no entry:"
                        : result->applied ? result->word
                                          : "logged");
    command_put((struct text){change->pattern.text, change->pattern.length});
    if (change->scope != NULL) {
        (void)printf(" (scope %s)", change->scope);
    }
    (void)puts(absent || result->applied
                   ? ""
                   : "; Redis does not answer, nixied will apply it");
}

/* The note of a plain string, which the hash that replaces it has not. */
static void find_note(struct change *change, char note[SHOWN_MAX])
{
    struct command_entry entry;
    struct error ignored;

    note[0] = '\0';
    if (command_entry_read(change->store, &change->key, &entry, &ignored) > 0 &&
        strcmp(entry.kind, "string") == 0) {
        (void)text_escape(command_store_text(entry.value), note, SHOWN_MAX);
    }
    command_entry_clear(&entry);
}

/* Whether the setting lets mail to all that the pattern stands for through. */
static bool is_exempt(const struct change *change)
{
    const struct settings *settings = change->call->settings;
    struct mailbox_pattern candidate = change->typed;
    struct mailbox mailbox;
    bool has_mailbox =
        change->typed.kind == MAILBOX_PATTERN_EXACT &&
        mailbox_parse((struct text){change->typed.text, change->typed.length},
                      &settings->mailbox_rules, &mailbox) == MAILBOX_OK;

    for (size_t i = 0;
         i == 0 || (has_mailbox && mailbox_candidate(&mailbox, i, &candidate));
         i++) {
        for (size_t j = 0; j < settings->exempt_count; j++) {
            if (candidate.length == settings->exempt[j].length &&
                memcmp(candidate.text, settings->exempt[j].text,
                       candidate.length) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void tell_exempt(const struct change *change)
{
    char shown[SHOWN_MAX];

    if (!change->removal && change->call->command->list == STORE_SUPPRESS &&
        is_exempt(change)) {
        command_complain(
            change->call,
            "%s is exempt by the settings: its mail is let "
            "through all the same, see exempt in nixie.conf(5)",
            text_escape((struct text){change->typed.text, change->typed.length},
                        shown, sizeof shown));
    }
}

/* 1 there, 0 not there, -1: nobody knows. */
static int exists(struct change *change)
{
    struct error unheard;

    return change->store == NULL
               ? -1
               : command_store_exists(change->store, &change->key, &unheard);
}

static enum command_status change_one(struct change *change)
{
    char note[SHOWN_MAX] = "";
    struct change_result result = {.word = "added"};
    int existed = exists(change);
    enum command_status status;

    if (change->removal && existed == 0) {
        result.word = "absent";
        print_result(change, &result);
        return COMMAND_NO;
    }
    if (change->removal) {
        result.word = "removed";
    } else if (existed == 1) {
        result.word = "updated";
        find_note(change, note);
    }
    make_event(change, existed);
    status = carry_out(change, &result);
    if (status == COMMAND_OK) {
        print_result(change, &result);
        tell_exempt(change);
    }
    if (status == COMMAND_OK && note[0] != '\0') {
        command_complain(change->call,
                         "the entry was a plain string; its note is dropped: "
                         "\"%s\"",
                         note);
    }
    return status;
}

/*
 * It may stand there under its pseudonym, or, made with redis-cli or long ago,
 * as it was typed, or both. Under which it does is asked first: a name that
 * need not be in the log is not.
 */
static enum command_status change_names(struct change *change)
{
    struct mailbox_pattern pseudonym;
    enum command_status status = COMMAND_OK;
    int plain;

    if (!change->removal ||
        !command_pseudonym_pattern(change->pseudonyms, &change->typed,
                                   &pseudonym)) {
        return change_one(change);
    }
    plain = exists(change);
    if (plain < 0) {
        command_complain(change->call,
                         "an entry under the address itself, such as one that "
                         "was made with redis-cli, is not looked for");
    } else if (plain > 0) {
        status = change_one(change);
    }
    if (status == COMMAND_OK && take_key(change, &pseudonym) &&
        (plain <= 0 || exists(change) > 0)) {
        status = change_one(change);
    }
    return status;
}

static enum command_status change_all(const struct command_call *call,
                                      bool removal)
{
    struct change change = {.call = call, .removal = removal};
    enum command_status worst = COMMAND_OK;

    if (!take_options(&change)) {
        return COMMAND_FAULT;
    }
    change.pseudonyms = command_pseudonyms(call, &change.secret);
    for (int i = 0; i < call->argument_count; i++) {
        if (!take_pattern(&change, call->arguments[i])) {
            return COMMAND_FAULT; /* before anything has changed */
        }
    }
    change.store = command_store_open(call->settings, &change.store_error);
    for (int i = 0; i < call->argument_count && worst != COMMAND_FAULT; i++) {
        enum command_status status = COMMAND_FAULT;

        if (take_pattern(&change, call->arguments[i])) {
            status = change_names(&change);
        }
        if (status > worst) {
            worst = status;
        }
    }
    pseudonym_key_clear(&change.secret);
    command_store_close(change.store);
    return worst;
}

enum command_status command_list_add(const struct command_call *call)
{
    return change_all(call, false);
}

enum command_status command_list_del(const struct command_call *call)
{
    return change_all(call, true);
}
