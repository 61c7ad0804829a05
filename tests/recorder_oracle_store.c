#include "recorder_oracle_store.h"

#include "clock.h"
#include "recorder_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DEADLINE_MS 20000
#define LIST_KEPT   3

/* ---- writing ---- */

json_t *oracle_new(void)
{
    return json_object();
}

const char *oracle_get(json_t *store, const char *key, const char *field)
{
    return json_string_value(
        json_object_get(json_object_get(store, key), field));
}

/* Redis keeps no empty key. */
static void drop_empty(json_t *store, const char *key)
{
    json_t *hash = json_object_get(store, key);

    if (json_object_size(hash) ==
        (json_object_get(hash, ORACLE_EXPIRES) == NULL ? 0U : 1U)) {
        json_object_del(store, key);
    }
}

void oracle_set(json_t *store, const char *key, const char *field,
                const char *value)
{
    json_t *hash = json_object_get(store, key);

    if (value == NULL || value[0] == '\0') {
        if (hash != NULL) {
            json_object_del(hash, field);
            drop_empty(store, key);
        }
        return;
    }
    if (hash == NULL) {
        hash = json_object();
        json_object_set_new(store, key, hash);
    }
    json_object_set_new(hash, field, json_string(value));
}

void oracle_set_number(json_t *store, const char *key, const char *field,
                       int64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    oracle_set(store, key, field, text);
}

void oracle_add(json_t *store, const char *key, const char *field)
{
    oracle_add_number(store, key, field, 1);
}

void oracle_add_number(json_t *store, const char *key, const char *field,
                       int64_t value)
{
    const char *held = oracle_get(store, key, field);

    oracle_set_number(store, key, field,
                      (held == NULL ? 0 : strtoll(held, NULL, 10)) + value);
}

void oracle_delete(json_t *store, const char *key)
{
    json_object_del(store, key);
}

void oracle_expire(json_t *store, const char *key, int64_t at)
{
    if (at <= clock_now_us() / 1000000) {
        json_object_del(store, key);
    } else if (json_object_get(store, key) != NULL) {
        oracle_set_number(store, key, ORACLE_EXPIRES, at);
    }
}

void oracle_extend(json_t *store, const char *key, int64_t at)
{
    const char *held = oracle_get(store, key, ORACLE_EXPIRES);

    if (held == NULL || strtoll(held, NULL, 10) < at) {
        oracle_expire(store, key, at);
    }
}

void oracle_push(json_t *store, const char *key, const char *value)
{
    for (int i = LIST_KEPT - 1; i > 0; i--) {
        char to[2] = {(char)('0' + i), 0};
        char from[2] = {(char)('0' + i - 1), 0};
        const char *held = oracle_get(store, key, from);

        if (held != NULL) {
            oracle_set(store, key, to, held);
        }
    }
    oracle_set(store, key, "0", value);
}

void oracle_forget(json_t *store, const char *key, int64_t score, bool itself)
{
    json_t *set = json_object_get(store, key);
    const char *member;
    json_t *held;
    void *next;

    json_object_foreach_safe(set, next, member, held)
    {
        int64_t found = strtoll(json_string_value(held), NULL, 10);

        if (strcmp(member, ORACLE_EXPIRES) != 0 &&
            (found < score || (itself && found == score))) {
            json_object_del(set, member);
        }
    }
    drop_empty(store, key);
}

/* ---- reading Redis ---- */

static redisReply *ask(struct redis_link *redis, size_t count,
                       const char *const *words)
{
    struct error error;
    redisReply *reply = redis_link_ask(
        redis, clock_monotonic_ms() + DEADLINE_MS, &error, count, words, NULL);

    assert_non_null(reply);
    return reply;
}

/* EXPIRETIME is of Redis 7. */
static void read_expiry(struct redis_link *redis, const char *key, json_t *hash)
{
    const char *absolute[] = {"EXPIRETIME", key};
    const char *relative[] = {"PTTL", key};
    redisReply *reply = ask(redis, 2, absolute);
    char text[32];

    if (reply->type == REDIS_REPLY_ERROR) {
        freeReplyObject(reply);
        reply = ask(redis, 2, relative);
        if (reply->integer >= 0) {
            reply->integer =
                (clock_now_us() / 1000 + reply->integer + 500) / 1000;
        }
    }
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0) {
        (void)snprintf(text, sizeof text, "%lld", reply->integer);
        json_object_set_new(hash, ORACLE_EXPIRES, json_string(text));
    }
    freeReplyObject(reply);
}

static json_t *string_of(const redisReply *reply)
{
    return json_stringn(reply->str, (size_t)reply->len);
}

static void read_pairs(const redisReply *reply, json_t *hash)
{
    for (size_t i = 0; i + 1 < (size_t)reply->elements; i += 2) {
        json_object_set_new(hash, reply->element[i]->str,
                            string_of(reply->element[i + 1]));
    }
}

static void read_list(const redisReply *reply, json_t *hash)
{
    for (size_t i = 0; i < (size_t)reply->elements; i++) {
        char index[24];

        (void)snprintf(index, sizeof index, "%zu", i);
        json_object_set_new(hash, index, string_of(reply->element[i]));
    }
}

static json_t *read_key(struct redis_link *redis, const char *key)
{
    const char *type_words[] = {"TYPE", key};
    const char *set_words[] = {"ZRANGE", key, "0", "-1", "WITHSCORES"};
    const char *list_words[] = {"LRANGE", key, "0", "-1"};
    const char *hash_words[] = {"HGETALL", key};
    redisReply *type = ask(redis, 2, type_words);
    bool set = strcmp(type->str, "zset") == 0;
    bool list = strcmp(type->str, "list") == 0;
    redisReply *reply = set    ? ask(redis, 5, set_words)
                        : list ? ask(redis, 4, list_words)
                               : ask(redis, 2, hash_words);
    json_t *hash = json_object();

    if (reply->type == REDIS_REPLY_ERROR) {
        json_object_set_new(hash, "error", json_string(reply->str));
    } else if (list) {
        read_list(reply, hash);
    } else {
        read_pairs(reply, hash);
    }
    read_expiry(redis, key, hash);
    freeReplyObject(reply);
    freeReplyObject(type);
    return hash;
}

json_t *oracle_read(struct redis_link *redis)
{
    const char *words[] = {"KEYS", "*"};
    redisReply *keys = ask(redis, 2, words);
    json_t *store = oracle_new();

    assert_int_equal(keys->type, REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < (size_t)keys->elements; i++) {
        const char *key = keys->element[i]->str;

        if (strstr(key, "}:checkpoint") == NULL) {
            json_object_set_new(store, key, read_key(redis, key));
        }
    }
    freeReplyObject(keys);
    return store;
}

/* ---- comparing ---- */

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
