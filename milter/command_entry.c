#include "command_entry.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>

#define ELEMENTS_SHOWN "99" /* index of the last element of a list, say */
#define STRING_SHOWN   "65535"

/* How to read an entry of each Redis type, behind verb and key. */
static const struct reading {
    const char *kind;
    const char *verb;
    const char *arguments[3];
    size_t argument_count;
} readings[] = {
    {"hash", "HGETALL", {NULL}, 0},
    {"string", "GETRANGE", {"0", STRING_SHOWN}, 2},
    {"list", "LRANGE", {"0", ELEMENTS_SHOWN}, 2},
    {"set", "SRANDMEMBER", {"100"}, 1},
    {"zset", "ZRANGE", {"0", ELEMENTS_SHOWN, "WITHSCORES"}, 3},
    {"stream", "XLEN", {NULL}, 0},
};

static const struct reading *reading_of(struct text kind)
{
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        if (text_is(kind, readings[i].kind)) {
            return &readings[i];
        }
    }
    return NULL;
}

static redisReply *read_value(struct command_store *store,
                              const struct store_key *key,
                              const struct reading *reading,
                              struct error *error)
{
    struct text words[5] = {text_of(reading->verb), {key->text, key->length}};

    for (size_t i = 0; i < reading->argument_count; i++) {
        words[2 + i] = text_of(reading->arguments[i]);
    }
    return command_store_add(store, 2 + reading->argument_count, words, error)
               ? command_store_next(store, error)
               : NULL;
}

static bool read_head(struct command_store *store, const struct store_key *key,
                      struct command_entry *entry, struct error *error)
{
    const struct text name = {key->text, key->length};
    const struct text type[] = {text_of("TYPE"), name};
    const struct text left[] = {text_of("PTTL"), name};
    redisReply *kind = NULL;
    redisReply *ttl = NULL;
    bool done = false;

    if (!command_store_add(store, 2, type, error) ||
        !command_store_add(store, 2, left, error)) {
        return false;
    }
    kind = command_store_next(store, error);
    if (kind != NULL) {
        ttl = command_store_next(store, error);
    }
    if (kind != NULL && ttl != NULL) {
        (void)text_copy(command_store_text(kind), entry->kind,
                        sizeof entry->kind);
        entry->left_ms = ttl->type == REDIS_REPLY_INTEGER ? ttl->integer : -1;
        done = kind->type == REDIS_REPLY_STATUS;
        if (!done) {
            char shown[200];

            (void)text_escape(command_store_text(kind), shown, sizeof shown);
            error_set(error, "redis: TYPE: %s", shown);
        }
    }
    freeReplyObject(kind);
    freeReplyObject(ttl);
    return done;
}

int command_entry_read(struct command_store *store, const struct store_key *key,
                       struct command_entry *entry, struct error *error)
{
    const struct reading *reading;

    memset(entry, 0, sizeof *entry);
    if (!read_head(store, key, entry, error)) {
        return -1;
    }
    if (strcmp(entry->kind, "none") == 0) {
        return 0;
    }
    reading = reading_of(text_of(entry->kind));
    if (reading != NULL) {
        entry->value = read_value(store, key, reading, error);
        if (entry->value == NULL) {
            return -1;
        }
        if (entry->value->type == REDIS_REPLY_ERROR) {
            char shown[200];

            (void)text_escape(command_store_text(entry->value), shown,
                              sizeof shown);
            error_set(error, "redis: %s: %s", reading->verb, shown);
            command_entry_clear(entry);
            return -1;
        }
    }
    return 1;
}

void command_entry_clear(struct command_entry *entry)
{
    freeReplyObject(entry->value);
    entry->value = NULL;
}

/*
 * To the second: Redis tells what is left, and the answer was on its way for
 * some milliseconds.
 */
void command_entry_expiry(int64_t left_ms,
                          char expires_at[CLOCK_TIMESTAMP_SIZE])
{
    int64_t ms = clock_now_us() / 1000 + left_ms;

    clock_format((ms + 500) / 1000 * 1000000, expires_at);
}

/* False for an entry without an end. */
static bool expiry_of(const struct command_entry *entry,
                      char expires_at[CLOCK_TIMESTAMP_SIZE])
{
    if (entry->left_ms < 0) {
        return false;
    }
    command_entry_expiry(entry->left_ms, expires_at);
    return true;
}

/* --- for people -------------------------------------------------------- */

static void print_member(struct text name, struct text value)
{
    (void)fputs("  ", stdout);
    command_put(name);
    (void)fputs(": ", stdout);
    command_put(value);
    (void)fputc('\n', stdout);
}

/* Names of what stands in a reply that is no array of pairs. */
static bool has_pairs(const struct command_entry *entry)
{
    return strcmp(entry->kind, "hash") == 0 || strcmp(entry->kind, "zset") == 0;
}

static void print_value(const struct command_entry *entry)
{
    const redisReply *value = entry->value;
    size_t step = has_pairs(entry) ? 2 : 1;

    if (value == NULL) {
        return;
    }
    if (value->type == REDIS_REPLY_STRING) {
        if (value->len > 0) {
            print_member(text_of("note"), command_store_text(value));
        }
    } else if (value->type == REDIS_REPLY_INTEGER) {
        (void)printf("  entries: %lld\n", value->integer);
    } else if (value->type == REDIS_REPLY_ARRAY) {
        for (size_t i = 0; i + step <= value->elements; i += step) {
            print_member(step == 2 ? command_store_text(value->element[i])
                                   : text_of("element"),
                         command_store_text(value->element[i + step - 1]));
        }
    }
}

void command_entry_print(const struct command_entry *entry)
{
    char expires_at[CLOCK_TIMESTAMP_SIZE];
    char left[COMMAND_DURATION_SIZE];

    print_member(text_of("kind"), text_of(entry->kind));
    print_value(entry);
    if (expiry_of(entry, expires_at)) {
        command_duration(entry->left_ms / 1000, left);
        (void)printf("  expires_at: %s (in %s)\n", expires_at, left);
    } else {
        (void)puts("  expires_at: never");
    }
}

/* --- for programs ------------------------------------------------------ */

static void set_pairs(json_t *object, const redisReply *value)
{
    for (size_t i = 0; i + 2 <= value->elements; i += 2) {
        json_t *name = command_json_text(command_store_text(value->element[i]));

        if (json_is_string(name)) {
            command_json_set(object, json_string_value(name),
                             command_store_text(value->element[i + 1]));
        }
        json_decref(name);
    }
}

static json_t *json_of_elements(const redisReply *value)
{
    json_t *array = json_array();

    for (size_t i = 0; i < value->elements; i++) {
        (void)json_array_append_new(
            array, command_json_text(command_store_text(value->element[i])));
    }
    return array;
}

static void set_value(json_t *object, const struct command_entry *entry)
{
    const redisReply *value = entry->value;

    if (value == NULL) {
        return;
    }
    if (value->type == REDIS_REPLY_STRING) {
        command_json_set(object, "note", command_store_text(value));
    } else if (value->type == REDIS_REPLY_INTEGER) {
        (void)json_object_set_new(object, "entries",
                                  json_integer(value->integer));
    } else if (value->type == REDIS_REPLY_ARRAY && has_pairs(entry)) {
        json_t *fields = json_object();

        set_pairs(fields, value);
        (void)json_object_set_new(object, "fields", fields);
    } else if (value->type == REDIS_REPLY_ARRAY) {
        (void)json_object_set_new(object, "elements", json_of_elements(value));
    }
}

void command_entry_set(json_t *object, const struct command_entry *entry)
{
    char expires_at[CLOCK_TIMESTAMP_SIZE];

    command_json_set(object, "kind", text_of(entry->kind));
    set_value(object, entry);
    if (expiry_of(entry, expires_at)) {
        command_json_set(object, "expires_at", text_of(expires_at));
        (void)json_object_set_new(object, "seconds_left",
                                  json_integer(entry->left_ms / 1000));
    }
}
