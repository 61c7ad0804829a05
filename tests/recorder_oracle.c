#include "recorder_oracle.h"

#include "clock.h"
#include "mailbox.h"
#include "store_key.h"
#include "text.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define DEADLINE_MS 20000

json_t *oracle_new(void)
{
    return json_object();
}

static const char *member(const json_t *event, const char *name)
{
    return json_string_value(json_object_get(event, name));
}

static json_t *hash_at(json_t *store, const struct store_key *key)
{
    json_t *hash = json_object_get(store, key->text);

    if (hash == NULL) {
        hash = json_object();
        json_object_set_new(store, key->text, hash);
    }
    return hash;
}

static void set(json_t *hash, const char *field, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        json_object_del(hash, field);
    } else {
        json_object_set_new(hash, field, json_string(value));
    }
}

static void add(json_t *hash, const char *field)
{
    const char *held = json_string_value(json_object_get(hash, field));
    char value[32];

    (void)snprintf(value, sizeof value, "%lld",
                   (held == NULL ? 0 : strtoll(held, NULL, 10)) + 1);
    set(hash, field, value);
}

static bool is_later(json_t *hash, const char *field, const char *at)
{
    const char *held = json_string_value(json_object_get(hash, field));

    return held == NULL || strcmp(at, held) >= 0;
}

static bool is_list_event(const char *type)
{
    return strncmp(type, "suppression_", 12) == 0 ||
           strncmp(type, "allow_", 6) == 0;
}

static void fold_stats(json_t *store, const char *prefix, unsigned bucket,
                       const json_t *event)
{
    const char *type = member(event, "type");
    const char *at = member(event, "timestamp");
    const char *reason = member(event, "reason");
    char hour[11] = {at[0], at[1], at[2],  at[3],  at[5], at[6],
                     at[8], at[9], at[11], at[12], 0};
    char field[128];
    struct store_key key;

    if (strcmp(type, "suppressed") == 0 ||
        strcmp(type, "would_suppress") == 0) {
        const char *entry = member(event, "suppression_reason");

        reason = entry != NULL && entry[0] != '\0' ? entry : reason;
    }
    (void)snprintf(field, sizeof field, "%s%s%s", type,
                   reason == NULL ? "" : "|", reason == NULL ? "" : reason);
    assert_true(
        store_key_history(prefix, bucket, STORE_STATS, text_of(hour), &key));
    add(hash_at(store, &key), field);
}

static void fold_last(json_t *hash, const json_t *event, bool recipient)
{
    const char *reason = member(event, "suppression_reason");

    set(hash, "last_at", member(event, "timestamp"));
    set(hash, "last_type", member(event, "type"));
    if (recipient) {
        bool list = strcmp(member(event, "type"), "rejection") != 0;

        set(hash, "last_reason",
            list && reason != NULL ? reason : member(event, "reason"));
        set(hash, "last_enhanced_status", member(event, "enhanced_status"));
        set(hash, "last_diagnostic", member(event, "diagnostic"));
        set(hash, "last_queue_id", member(event, "queue_id"));
    }
}

static void fold_outcome(json_t *hash, const json_t *event, bool recipient)
{
    static const char *const counts[][2] = {
        {"reception", "receptions"},
        {"rejection", "rejections"},
        {"suppressed", "suppressed"},
        {"would_suppress", "would_suppress"},
    };
    const char *type = member(event, "type");
    const char *at = member(event, "timestamp");
    const char *first = json_string_value(json_object_get(hash, "first_at"));

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (strcmp(type, counts[i][0]) == 0) {
            add(hash, counts[i][1]);
        }
    }
    if (strcmp(type, "reception") == 0) {
        if (is_later(hash, "last_reception_at", at)) {
            set(hash, "last_reception_at", at);
        }
        return;
    }
    if (first == NULL || strcmp(at, first) < 0) {
        set(hash, "first_at", at);
    }
    if (is_later(hash, "last_at", at)) {
        fold_last(hash, event, recipient);
    }
}

static void fold_history(json_t *store, const char *prefix, const json_t *event)
{
    const char *recipient = member(event, "recipient");
    const char *domain = member(event, "recipient_domain");
    struct store_key key;
    unsigned bucket;

    if (recipient != NULL) {
        bucket = store_bucket(recipient, strlen(recipient));
        assert_true(store_key_history(prefix, bucket, STORE_RECIPIENT,
                                      text_of(recipient), &key));
        fold_outcome(hash_at(store, &key), event, true);
        fold_stats(store, prefix, bucket, event);
    }
    if (domain != NULL) {
        bucket = store_bucket(domain, strlen(domain));
        assert_true(store_key_history(prefix, bucket, STORE_DOMAIN,
                                      text_of(domain), &key));
        fold_outcome(hash_at(store, &key), event, false);
        if (recipient == NULL) {
            fold_stats(store, prefix, bucket, event);
        }
    }
}

static void write_entry(json_t *store, const struct store_key *key,
                        const json_t *event)
{
    static const char *const fields[][2] = {
        {"reason", "suppression_reason"}, {"type", "failure_type"},
        {"origin", "suppression_origin"}, {"note", "suppression_note"},
        {"by", "suppression_by"},         {"added_at", "suppression_added_at"},
    };
    const char *expires = member(event, "suppression_expires_at");
    const char *mode = member(event, "suppression_mode");
    json_t *hash = hash_at(store, key);
    int64_t us;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        set(hash, fields[i][0], member(event, fields[i][1]));
    }
    if (json_object_get(hash, "added_at") == NULL) {
        set(hash, "added_at", member(event, "timestamp"));
    }
    if (mode != NULL && strcmp(mode, "observe") == 0) {
        set(hash, "mode", mode);
    }
    if (expires != NULL && clock_parse(expires, strlen(expires), &us) &&
        us <= clock_now_us()) {
        json_object_del(store, key->text);
    }
}

static void fold_list(json_t *store, const char *prefix, const json_t *event)
{
    const char *type = member(event, "type");
    struct mailbox_pattern pattern;
    struct store_key key;

    assert_int_not_equal(
        mailbox_parse_pattern(text_of(member(event, "suppression_pattern")), NULL,
                              &pattern),
        MAILBOX_PATTERN_INVALID);
    assert_true(store_key_list(prefix,
                               type[0] == 'a' ? STORE_ALLOW : STORE_SUPPRESS,
                               member(event, "scope"), &pattern, &key));
    json_object_del(store, key.text);
    if (strstr(type, "_removed") == NULL) {
        write_entry(store, &key, event);
    }
    fold_stats(store, prefix, store_bucket_of_pattern(&pattern), event);
}

static void fold_event(json_t *store, const char *prefix, const json_t *event)
{
    static const char *const others[] = {"log_open", "heartbeat", "gap",
                                         "store_degraded", "store_recovered"};
    const char *type = member(event, "type");

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(type, others[i]) == 0) {
            return;
        }
    }
    if (is_list_event(type)) {
        fold_list(store, prefix, event);
    } else {
        fold_history(store, prefix, event);
    }
}

void oracle_fold_line(json_t *store, const char *prefix, const char *line,
                      size_t length)
{
    json_t *event = json_loadb(line, length, 0, NULL);

    if (json_is_object(event) && member(event, "type") != NULL) {
        fold_event(store, prefix, event);
    }
    json_decref(event);
}

struct line {
    char *bytes;
    char instance[32];
    long long seq;
};

/* Numbers follow the clock: of two instances the older comes first. */
static int compare_lines(const void *left, const void *right)
{
    const struct line *a = left;
    const struct line *b = right;
    int order = (a->seq > b->seq) - (a->seq < b->seq);

    return order != 0 ? order : strcmp(a->instance, b->instance);
}

struct lines {
    struct line *line;
    size_t count;
};

static void collect(struct lines *lines, const char *path)
{
    FILE *file = fopen(path, "re");
    char *bytes = NULL;
    size_t size = 0;

    assert_non_null(file);
    while (getline(&bytes, &size, file) >= 0) {
        json_t *event = json_loads(bytes, 0, NULL);
        const json_t *seq = json_object_get(event, "seq");
        struct line *line;

        if (json_is_integer(seq)) {
            lines->line =
                realloc(lines->line, (lines->count + 1) * sizeof *lines->line);
            assert_non_null(lines->line);
            line = &lines->line[lines->count++];
            line->bytes = strdup(bytes);
            line->seq = json_integer_value(seq);
            (void)snprintf(line->instance, sizeof line->instance, "%s",
                           member(event, "instance"));
        }
        json_decref(event);
    }
    free(bytes);
    (void)fclose(file);
}

void oracle_fold_files(json_t *store, const char *prefix, const char *event_log)
{
    struct lines lines = {NULL, 0};
    char pattern[512];
    glob_t found;

    (void)snprintf(pattern, sizeof pattern, "%s*", event_log);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        collect(&lines, found.gl_pathv[i]);
    }
    globfree(&found);
    if (lines.count > 0) {
        qsort(lines.line, lines.count, sizeof *lines.line, compare_lines);
    }
    for (size_t i = 0; i < lines.count; i++) {
        if (i == 0 || compare_lines(&lines.line[i], &lines.line[i - 1]) != 0) {
            oracle_fold_line(store, prefix, lines.line[i].bytes,
                             strlen(lines.line[i].bytes));
        }
    }
    for (size_t i = 0; i < lines.count; i++) {
        free(lines.line[i].bytes);
    }
    free(lines.line);
}

static redisReply *ask(struct redis_link *redis, const char *command,
                       const char *argument)
{
    const char *arguments[] = {command, argument};
    struct error error;
    redisReply *reply = redis_link_ask(
        redis, clock_monotonic_ms() + DEADLINE_MS, &error, 2, arguments, NULL);

    assert_non_null(reply);
    return reply;
}

static json_t *read_hash(struct redis_link *redis, const char *key)
{
    redisReply *reply = ask(redis, "HGETALL", key);
    json_t *hash = json_object();

    if (reply->type == REDIS_REPLY_ERROR) {
        json_object_set_new(hash, "error", json_string(reply->str));
    }
    for (size_t i = 0;
         reply->type == REDIS_REPLY_ARRAY && i + 1 < (size_t)reply->elements;
         i += 2) {
        json_object_set_new(hash, reply->element[i]->str,
                            json_string(reply->element[i + 1]->str));
    }
    freeReplyObject(reply);
    return hash;
}

json_t *oracle_read(struct redis_link *redis)
{
    redisReply *keys = ask(redis, "KEYS", "*");
    json_t *store = oracle_new();

    assert_int_equal(keys->type, REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < (size_t)keys->elements; i++) {
        const char *key = keys->element[i]->str;

        if (strstr(key, "}:checkpoint") == NULL) {
            json_object_set_new(store, key, read_hash(redis, key));
        }
    }
    freeReplyObject(keys);
    return store;
}

static unsigned report(const char *what, json_t *side, json_t *other)
{
    unsigned differences = 0;
    const char *key;
    json_t *hash;

    json_object_foreach(side, key, hash)
    {
        if (!json_equal(hash, json_object_get(other, key))) {
            char *text = json_dumps(hash, JSON_SORT_KEYS);

            if (differences++ < 5) {
                print_error("%s %s: %s\n", what, key, text);
            }
            free(text);
        }
    }
    return differences;
}

void oracle_compare(json_t *expected, json_t *found)
{
    unsigned wrong =
        report("expected", expected, found) + report("found", found, expected);

    assert_int_equal(wrong, 0);
}
