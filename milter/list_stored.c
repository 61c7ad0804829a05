#include "list_stored.h"

#include "clock.h"
#include "redis_link.h"

#include <string.h>

#define WORDS        (2 + LIST_FIELDS)
#define FIELD_MAX    2048   /* bytes that are looked at; an event has less */
#define STRING_LAST  "2047" /* the index of the last of them */
#define EXPIRY_SLACK INT64_C(2000000) /* Redis counts down while it answers */
#define SHOWN_MAX    200

static bool add_questions(struct command_store *store,
                          const struct list_stored *stored, struct error *error)
{
    struct text words[WORDS] = {text_of("HMGET"), stored->key};
    const struct text left[] = {text_of("PTTL"), stored->key};

    for (size_t i = 0; i < LIST_FIELDS; i++) {
        words[2 + i] = text_of(list_member_name((enum list_member)i));
    }
    return command_store_add(store, WORDS, words, error) &&
           command_store_add(store, 2, left, error);
}

/* The next reply; NULL with error, also for one that refuses. */
static redisReply *next_reply(struct command_store *store, const char *verb,
                              struct error *error)
{
    redisReply *reply = command_store_next(store, error);
    char shown[SHOWN_MAX];

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR &&
        redis_fault_of(reply) != REDIS_FAULT_TYPE) {
        error_set(error, "redis: %s: %s", verb,
                  text_escape(command_store_text(reply), shown, sizeof shown));
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

static struct text bounded(const redisReply *reply)
{
    struct text text = command_store_text(reply);

    if (text.length > FIELD_MAX) {
        text.length = FIELD_MAX;
    }
    return text;
}

static bool take_fields(struct command_store *store, struct list_stored *stored,
                        struct error *error)
{
    redisReply *left;

    stored->reply = next_reply(store, "HMGET", error);
    if (stored->reply == NULL) {
        return false;
    }
    left = next_reply(store, "PTTL", error);
    if (left == NULL) {
        return false;
    }
    stored->left_ms = left->type == REDIS_REPLY_INTEGER ? left->integer : -1;
    freeReplyObject(left);
    if (stored->left_ms == -2) {
        return true;
    }
    stored->kind = stored->reply->type == REDIS_REPLY_ARRAY ? LIST_KIND_HASH
                                                            : LIST_KIND_OTHER;
    for (size_t i = 0; stored->kind == LIST_KIND_HASH && i < LIST_FIELDS &&
                       i < stored->reply->elements;
         i++) {
        stored->fields[i] = bounded(stored->reply->element[i]);
    }
    return true;
}

/* It is no hash: what it says as a string, if it is one. */
static bool take_string(struct command_store *store, struct list_stored *stored,
                        struct error *error)
{
    redisReply *reply = next_reply(store, "GETRANGE", error);

    if (reply == NULL) {
        return false;
    }
    freeReplyObject(stored->reply);
    stored->reply = reply;
    if (reply->type == REDIS_REPLY_STRING) {
        stored->kind = LIST_KIND_STRING;
        stored->fields[LIST_NOTE] = command_store_text(reply);
    }
    return true;
}

bool list_stored_read(struct command_store *store, struct list_stored *stored,
                      size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        stored[i].kind = LIST_KIND_NONE;
        stored[i].reply = NULL;
        memset(stored[i].fields, 0, sizeof stored[i].fields);
    }
    for (size_t i = 0; i < count; i++) {
        if (stored[i].key.bytes != NULL &&
            !add_questions(store, &stored[i], error)) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (stored[i].key.bytes != NULL &&
            !take_fields(store, &stored[i], error)) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct text words[] = {text_of("GETRANGE"), stored[i].key,
                                     text_of("0"), text_of(STRING_LAST)};

        if (stored[i].kind == LIST_KIND_OTHER &&
            !command_store_add(store, 4, words, error)) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (stored[i].kind == LIST_KIND_OTHER &&
            !take_string(store, &stored[i], error)) {
            return false;
        }
    }
    return true;
}

void list_stored_clear(struct list_stored *stored)
{
    freeReplyObject(stored->reply);
    stored->reply = NULL;
}

/* ---- comparing ---- */

static bool is_same(struct text one, struct text other)
{
    return one.length == other.length &&
           (one.length == 0 || memcmp(one.bytes, other.bytes, one.length) == 0);
}

static bool is_same_reason(struct text stored, struct text told)
{
    char word[LIST_REASON_SIZE];

    list_reason_word(told, word);
    return text_is(stored, word);
}

static bool is_same_time(struct text stored, struct text told)
{
    int64_t one, other;

    return list_time(stored, &one) && list_time(told, &other) && one == other;
}

static bool is_same_mode(struct text stored, struct text told)
{
    return text_is(stored, "observe") == text_is(told, "observe");
}

/* Beside the same bytes; NULL: there is no other way to be the same. */
static bool (*const is_like[LIST_FIELDS])(struct text, struct text) = {
    [LIST_REASON] = is_same_reason,
    [LIST_ADDED_AT] = is_same_time,
    [LIST_MODE] = is_same_mode,
};

static bool is_same_expiry(const struct list_stored *stored,
                           const struct list_entry *entry, int64_t now_us)
{
    int64_t ends_us;

    if (stored->left_ms < 0 || entry->expires_us == 0) {
        return stored->left_ms < 0 && entry->expires_us == 0;
    }
    ends_us = now_us + stored->left_ms * 1000;
    return ends_us - entry->expires_us <= EXPIRY_SLACK &&
           entry->expires_us - ends_us <= EXPIRY_SLACK;
}

bool list_stored_is(const struct list_stored *stored,
                    const struct list_entry *entry, int64_t now_us)
{
    if (stored->kind == LIST_KIND_NONE ||
        !is_same_expiry(stored, entry, now_us)) {
        return false;
    }
    for (size_t i = 0; i < LIST_FIELDS; i++) {
        struct text told = entry->fields[i];

        if (told.bytes == NULL && i != LIST_MODE) {
            continue; /* the file does not say */
        }
        if (!is_same(stored->fields[i], told) &&
            (i != LIST_NOTE || !is_same(stored->fields[i], list_note(told))) &&
            (is_like[i] == NULL || !is_like[i](stored->fields[i], told))) {
            return false;
        }
    }
    return true;
}
