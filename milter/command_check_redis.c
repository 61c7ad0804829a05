#include "command_check_redis.h"

#include "clock.h"
#include "redis_endpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_SIZE    128
#define MIB           (1024ULL * 1024)
#define NEARLY        90 /* per cent: time to react */
#define CLOCK_MAX_MS  5000
#define DATABASES_MAX 8  /* looked into */
#define STEPS_MAX     20 /* of SCAN in each */
#define STEP_KEYS     "1000"

bool command_check_info(struct text info, const char *name, char *value,
                        size_t size)
{
    size_t length = strlen(name);
    const char *line = info.bytes;
    const char *end = line + info.length;

    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline == NULL ? end : newline;
        size_t used = (size_t)(stop - line);

        if (used > length && memcmp(line, name, length) == 0 &&
            line[length] == ':') {
            struct text found = {line + length + 1, used - length - 1};

            if (found.length > 0 && found.bytes[found.length - 1] == '\r') {
                found.length--;
            }
            (void)text_copy(found, value, size);
            return true;
        }
        line = stop + 1;
    }
    return false;
}

/* --- what the facts mean ------------------------------------------------ */

/* A number of INFO; 0: unknown, or none. */
static unsigned long long number_of(struct text info, const char *name)
{
    char value[VALUE_SIZE];

    return command_check_info(info, name, value, sizeof value)
               ? strtoull(value, NULL, 10)
               : 0;
}

static void judge_memory(struct check *check, struct text info)
{
    unsigned long long most = number_of(info, "maxmemory");
    unsigned long long used = number_of(info, "used_memory");

    if (most == 0 || used < most / 100 * NEARLY) {
        return;
    }
    command_check_report(
        check, used >= most ? CHECK_FAIL : CHECK_WARN, "redis memory",
        "%llu of maxmemory's %llu MiB are in use, and a full Redis takes no "
        "writes: CONFIG SET maxmemory %llumb, and the same in redis.conf",
        used / MIB, most / MIB, most / MIB * 2 + 1);
}

static void judge_clients(struct check *check, struct text info)
{
    unsigned long long most = number_of(info, "maxclients");
    unsigned long long used = number_of(info, "connected_clients");

    if (most > 0 && used >= most / 100 * NEARLY && used + 16 > most) {
        command_check_report(check, CHECK_WARN, "redis",
                             "%llu of %llu clients are connected, and one more "
                             "than these is turned away: CONFIG SET maxclients "
                             "%llu, and the same in redis.conf",
                             used, most, most * 2);
    }
}

/* What stops it from keeping what it is told. */
static void judge_disk(struct check *check, struct text info)
{
    static const struct row {
        const char *name, *bad, *told;
    } rows[] = {
        {"rdb_last_bgsave_status", "err",
         "the last snapshot failed, and Redis may refuse writes: its log tells "
         "why (a full disk? rights of its folder?); then redis-cli BGSAVE"},
        {"aof_last_write_status", "err",
         "the append only file cannot be written: make room on its disk, its "
         "log tells more"},
        {"aof_last_bgrewrite_status", "err",
         "the append only file could not be written anew and grows: make room "
         "on its disk, then redis-cli BGREWRITEAOF"},
    };
    char value[VALUE_SIZE];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (command_check_info(info, rows[i].name, value, sizeof value) &&
            strcmp(value, rows[i].bad) == 0) {
            command_check_report(check, CHECK_FAIL, "redis persistence", "%s",
                                 rows[i].told);
        }
    }
}

static void judge_clock(struct check *check, const struct check_redis *facts)
{
    int64_t away_ms = facts->ahead_ms < 0 ? -facts->ahead_ms : facts->ahead_ms;

    if (!facts->clock_known) {
        return;
    }
    if (away_ms < CLOCK_MAX_MS) {
        command_check_report(check, CHECK_OK, "redis clock",
                             "agrees with that of this host");
        return;
    }
    command_check_report(check, CHECK_WARN, "redis clock",
                         "is %" PRId64 " s %s this host's, so that entries end "
                         "too %s: timedatectl set-ntp true on both hosts",
                         away_ms / 1000,
                         facts->ahead_ms < 0 ? "behind" : "ahead of",
                         facts->ahead_ms < 0 ? "late" : "early");
}

static void judge_idle(struct check *check, const struct check_redis *facts)
{
    if (facts->timeout_s > 0) {
        command_check_report(check, CHECK_NOTE, "redis",
                             "timeout %" PRId64 " ends idle connections, so "
                             "that the first lookup after a pause must connect "
                             "anew: CONFIG SET timeout 0, and the same in "
                             "redis.conf",
                             facts->timeout_s);
    }
}

static void judge_database(struct check *check, const struct check_redis *facts)
{
    if (facts->elsewhere >= 0) {
        command_check_report(
            check, CHECK_WARN, "redis database",
            "database %d has %s, but nixied looks into database %d: use "
            "redis-cli -n %d, or have redis in nixie.conf name database %d; "
            "to take it over, redis-cli -n %d MOVE %s %d",
            facts->elsewhere, facts->example, facts->database, facts->database,
            facts->elsewhere, facts->elsewhere, facts->example,
            facts->database);
    }
}

void command_check_redis_facts(struct check *check,
                               const struct check_redis *facts)
{
    judge_memory(check, facts->info);
    judge_clients(check, facts->info);
    judge_disk(check, facts->info);
    judge_clock(check, facts);
    judge_idle(check, facts);
    judge_database(check, facts);
}

/* --- collecting them ---------------------------------------------------- */

/* Half of the way there and back is taken for the way back. */
static void ask_clock(struct command_store *store, struct check_redis *facts)
{
    static const char *const words[] = {"TIME"};
    struct error ignored;
    int64_t before_us = clock_now_us();
    redisReply *reply = command_store_ask(store, &ignored, 1, words);
    int64_t after_us = clock_now_us();

    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
        reply->elements == 2 && reply->element[0]->str != NULL) {
        int64_t its_ms = strtoll(reply->element[0]->str, NULL, 10) * 1000;

        facts->clock_known = true;
        facts->ahead_ms = its_ms - (before_us + after_us) / 2 / 1000;
    }
    freeReplyObject(reply);
}

static void ask_timeout(struct command_store *store, struct check_redis *facts)
{
    static const char *const words[] = {"CONFIG", "GET", "timeout"};
    struct error ignored;
    redisReply *reply = command_store_ask(store, &ignored, 3, words);

    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
        reply->elements == 2 && reply->element[1]->str != NULL) {
        facts->timeout_s = strtoll(reply->element[1]->str, NULL, 10);
    }
    freeReplyObject(reply);
}

static int our_database(const struct check *check)
{
    const struct redis_endpoint_options options = {
        .location = check->settings->redis,
        .user = check->settings->redis_user,
        .password_file = check->settings->redis_password_file,
    };
    struct error ignored;
    struct redis_endpoint *endpoint = redis_endpoint_new(&options, &ignored);
    int database = endpoint == NULL ? -1 : redis_endpoint_database(endpoint);

    redis_endpoint_free(endpoint);
    return database;
}

/* The first of the keys found into example; false: a step without any. */
static bool take_key(const redisReply *step, char example[STORE_KEY_MAX])
{
    const redisReply *keys = step->element[1];

    if (keys->type != REDIS_REPLY_ARRAY || keys->elements == 0) {
        return false;
    }
    (void)text_copy(command_store_text(keys->element[0]), example,
                    STORE_KEY_MAX);
    return true;
}

/* Whether the database that is selected has a key like this: a bounded look. */
static bool has_key(struct command_store *store, const char *pattern,
                    char example[STORE_KEY_MAX])
{
    char cursor[VALUE_SIZE] = "0";
    bool found = false;
    bool ended = false;

    for (int i = 0; i < STEPS_MAX && !found && !ended; i++) {
        const char *const words[] = {"SCAN",  cursor,  "MATCH",
                                     pattern, "COUNT", STEP_KEYS};
        struct error ignored;
        redisReply *reply = command_store_ask(store, &ignored, 6, words);

        if (reply == NULL || reply->type != REDIS_REPLY_ARRAY ||
            reply->elements != 2) {
            ended = true;
        } else {
            found = take_key(reply, example);
            (void)text_copy(command_store_text(reply->element[0]), cursor,
                            sizeof cursor);
            ended = strcmp(cursor, "0") == 0;
        }
        freeReplyObject(reply);
    }
    return found;
}

static bool look_into(struct command_store *store, int database,
                      const struct check *check, char example[STORE_KEY_MAX])
{
    char number[16];
    const char *const words[] = {"SELECT", number};
    static const char *const lists[] = {"suppress", "allow"};
    struct error ignored;
    redisReply *reply;
    bool found = false;

    (void)snprintf(number, sizeof number, "%d", database);
    reply = command_store_ask(store, &ignored, 2, words);
    for (size_t i = 0; i < 2 && reply != NULL && !found; i++) {
        char pattern[STORE_KEY_MAX];

        (void)snprintf(pattern, sizeof pattern, "%s%s[:@]*",
                       check->settings->key_prefix, lists[i]);
        found = has_key(store, pattern, example);
    }
    freeReplyObject(reply);
    return found;
}

/*
 * redis-cli without -n writes to database 0. On a connection of its own: what
 * is selected there stays selected.
 */
static void ask_databases(const struct check *check, struct check_redis *facts,
                          char example[STORE_KEY_MAX])
{
    struct error ignored;
    struct command_store *store = NULL;
    char value[VALUE_SIZE];
    char name[16];

    facts->elsewhere = -1;
    facts->database = our_database(check);
    for (int i = 0;
         i < DATABASES_MAX && facts->database >= 0 && facts->elsewhere < 0;
         i++) {
        (void)snprintf(name, sizeof name, "db%d", i);
        if (i == facts->database ||
            !command_check_info(facts->info, name, value, sizeof value)) {
            continue;
        }
        if (store == NULL) {
            store = command_store_open(check->settings, &ignored);
        }
        if (store != NULL && look_into(store, i, check, example)) {
            facts->elsewhere = i;
        }
    }
    command_store_close(store);
}

void command_check_redis(struct check *check, struct command_store *store,
                         struct text info)
{
    char example[STORE_KEY_MAX] = "";
    char shown[2 * STORE_KEY_MAX];
    struct check_redis facts = {.info = info};

    ask_clock(store, &facts);
    ask_timeout(store, &facts);
    ask_databases(check, &facts, example);
    facts.example = text_escape(text_of(example), shown, sizeof shown);
    command_check_redis_facts(check, &facts);
}
