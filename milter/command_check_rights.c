#include "command_check.h"
#include "command_store.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX 6
#define NAMES_MAX 512

/* Of which key a command is tried; nobody has any of these. */
#define HISTORY "{00}:check"
#define LIST    "suppress:check"
#define ALLOWED "allow:check"
#define TEXTS   "unclassified"

/*
 * All that nixied sends. The transaction is never executed: Redis looks at
 * the rights when a command is queued, and forgets it with the connection. So
 * nothing is written, whatever is allowed.
 */
static const struct probe {
    const char *words[WORDS_MAX]; /* NULL: the key */
    size_t count;
    const char *key; /* NULL: none */
} probes[] = {
    {{"WATCH", NULL}, 2, HISTORY},
    {{"UNWATCH"}, 1, NULL},
    {{"EXEC"}, 1, NULL}, /* without a transaction an error, but a known one */
    {{"MULTI"}, 1, NULL},
    /* the recorder */
    {{"HGET", NULL, "x"}, 3, HISTORY},
    {{"HSET", NULL, "x", "1"}, 4, HISTORY},
    {{"HSETNX", NULL, "x", "1"}, 4, HISTORY},
    {{"HINCRBY", NULL, "x", "1"}, 4, HISTORY},
    {{"HDEL", NULL, "x"}, 3, HISTORY},
    {{"DEL", NULL}, 2, HISTORY},
    {{"EXPIREAT", NULL, "1"}, 3, HISTORY},
    {{"EXISTS", NULL}, 2, HISTORY},
    {{"ZADD", NULL, "1", "x"}, 4, HISTORY},
    {{"ZREM", NULL, "x"}, 3, HISTORY},
    {{"ZREMRANGEBYSCORE", NULL, "-inf", "1"}, 4, HISTORY},
    {{"ZSCORE", NULL, "x"}, 3, HISTORY},
    {{"ZCOUNT", NULL, "0", "1"}, 4, HISTORY},
    {{"ZRANGEBYSCORE", NULL, "0", "1"}, 4, HISTORY},
    {{"LPUSH", NULL, "x"}, 3, HISTORY},
    {{"LTRIM", NULL, "0", "2"}, 4, HISTORY},
    {{"EVAL", "return 1", "1", NULL}, 4, HISTORY},
    {{"EVALSHA", "0000000000000000000000000000000000000000", "1", NULL},
     4,
     HISTORY},
    /* what is due */
    {{"HLEN", NULL}, 2, HISTORY},
    {{"HKEYS", NULL}, 2, HISTORY},
    {{"HSCAN", NULL, "0"}, 3, HISTORY},
    {{"HMGET", NULL, "x"}, 3, HISTORY},
    {{"ZCARD", NULL}, 2, HISTORY},
    {{"LRANGE", NULL, "0", "2"}, 4, HISTORY},
    /* lookups, and what changes the lists */
    {{"TYPE", NULL}, 2, LIST},
    {{"HMGET", NULL, "reason"}, 3, LIST},
    {{"GETRANGE", NULL, "0", "1"}, 4, LIST},
    {{"PTTL", NULL}, 2, LIST},
    {{"EXISTS", NULL}, 2, LIST},
    {{"DEL", NULL}, 2, LIST},
    {{"HSET", NULL, "reason", "x"}, 4, LIST},
    {{"EXPIREAT", NULL, "1"}, 3, LIST},
    {{"TYPE", NULL}, 2, ALLOWED},
    {{"HSET", NULL, "reason", "x"}, 4, ALLOWED},
    /* what keeps the lists in memory */
    {{"CLIENT", "ID"}, 2, NULL},
    {{"CLIENT", "TRACKING", "OFF"}, 3, NULL},
    {{"PING"}, 1, NULL},
    {{"SCAN", "0"}, 2, NULL},
    {{"SUBSCRIBE", "__redis__:invalidate"}, 2, NULL},
    /* what finds changes that others made in them */
    {{"SET", NULL, "1", "NX"}, 4, HISTORY},
    {{"TIME"}, 1, NULL},
    /* texts that no rule knew */
    {{"HSETNX", NULL, "x", "1"}, 4, TEXTS ":example"},
    {{"HDEL", NULL, "x"}, 3, TEXTS ":example"},
    {{"ZINCRBY", NULL, "1", "x"}, 4, TEXTS},
    {{"ZRANGE", NULL, "0", "0"}, 4, TEXTS},
    {{"ZREM", NULL, "x"}, 3, TEXTS},
};
#define PROBES (sizeof probes / sizeof probes[0])

/* What was denied: commands, each once, and the first key of them. */
struct denials {
    char commands[NAMES_MAX];
    char key[STORE_KEY_MAX];
    bool script; /* EVAL and its like, without which it goes on, slower */
    bool cache;  /* what the suppression cache needs */
    bool watch;  /* what tells of changes made with redis-cli */
};

static bool is_script(const struct probe *probe)
{
    return strncmp(probe->words[0], "EVAL", 4) == 0;
}

static bool is_for_cache(const struct probe *probe)
{
    static const char *const words[] = {"CLIENT", "PING", "SCAN", "SUBSCRIBE"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(probe->words[0], words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_for_watch(const struct probe *probe)
{
    return strcmp(probe->words[0], "SET") == 0 ||
           strcmp(probe->words[0], "TIME") == 0;
}

static void make_key(const struct check *check, const struct probe *probe,
                     char key[STORE_KEY_MAX])
{
    (void)snprintf(key, STORE_KEY_MAX, "%s%s", check->settings->key_prefix,
                   probe->key == NULL ? "" : probe->key);
}

/* "HSET" is not told of " HSETNX". */
static bool is_told(const struct denials *denials, const char *command)
{
    size_t length = strlen(command);

    for (const char *at = strstr(denials->commands, command); at != NULL;
         at = strstr(at + 1, command)) {
        if (at[-1] == ' ' && (at[length] == ' ' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

static void take_denial(const struct check *check, struct denials *denials,
                        const struct probe *probe)
{
    size_t used = strlen(denials->commands);

    if (is_script(probe)) {
        denials->script = true;
    } else if (is_for_cache(probe)) {
        denials->cache = true;
    } else if (is_for_watch(probe)) {
        denials->watch = true;
    } else if (!is_told(denials, probe->words[0])) {
        if (used == 0) {
            make_key(check, probe, denials->key);
        }
        (void)snprintf(denials->commands + used, NAMES_MAX - used, " %s",
                       probe->words[0]);
    }
}

static bool send_probe(const struct check *check, struct command_store *store,
                       const struct probe *probe, struct error *error)
{
    char key[STORE_KEY_MAX];
    struct text words[WORDS_MAX];

    make_key(check, probe, key);
    for (size_t i = 0; i < probe->count; i++) {
        words[i] = text_of(probe->words[i] == NULL ? key : probe->words[i]);
    }
    return command_store_add(store, probe->count, words, error);
}

static bool begins(const redisReply *reply, const char *word)
{
    struct text text = command_store_text(reply);
    size_t length = strlen(word);

    return reply->type == REDIS_REPLY_ERROR && text.length >= length &&
           memcmp(text.bytes, word, length) == 0;
}

/* False with error: it is no matter of rights. */
static bool read_answer(const struct check *check, struct command_store *store,
                        const struct probe *probe, struct denials *denials,
                        struct error *error)
{
    redisReply *reply = command_store_next(store, error);
    bool understood = true;
    char shown[256];

    if (reply == NULL) {
        return false;
    }
    if (begins(reply, "NOPERM")) {
        take_denial(check, denials, probe);
    } else if (reply->type == REDIS_REPLY_ERROR &&
               !begins(reply, "ERR EXEC without MULTI")) {
        (void)text_escape(command_store_text(reply), shown, sizeof shown);
        error_set(error, "%s: %s", probe->words[0], shown);
        understood = false;
    }
    freeReplyObject(reply);
    return understood;
}

/* One after the other: without MULTI the rest would be carried out. */
static bool try_all(const struct check *check, struct command_store *store,
                    struct denials *denials, struct error *error)
{
    for (size_t i = 0; i < PROBES; i++) {
        if (!send_probe(check, store, &probes[i], error) ||
            !read_answer(check, store, &probes[i], denials, error)) {
            return false;
        }
        if (strcmp(probes[i].words[0], "MULTI") == 0 &&
            is_told(denials, "MULTI")) {
            break;
        }
    }
    return true;
}

static void report(struct check *check, const struct denials *denials)
{
    const char *user = check->settings->redis_user[0] == '\0'
                           ? "default"
                           : check->settings->redis_user;

    if (denials->commands[0] != '\0') {
        command_check_report(check, CHECK_FAIL, "redis",
                             "the ACL of its user %s denies, on keys such as "
                             "%s:%s; nixie-redis(7) has an ACL that suffices",
                             user, denials->key, denials->commands);
    } else if (denials->cache) {
        command_check_report(check, CHECK_WARN, "redis",
                             "the ACL of its user %s denies what the "
                             "suppression cache needs: each lookup asks "
                             "Redis; ACL SETUSER %s +scan +ping +subscribe "
                             "+client|id +client|tracking "
                             "&__redis__:invalidate",
                             user, user);
    } else if (denials->watch) {
        command_check_report(check, CHECK_WARN, "redis",
                             "the ACL of its user %s denies SET or TIME: "
                             "changes made with redis-cli make no events; "
                             "ACL SETUSER %s +set +time",
                             user, user);
    } else if (denials->script) {
        command_check_report(check, CHECK_WARN, "redis",
                             "the ACL of its user %s denies EVAL or EVALSHA: "
                             "the history is written without a script, "
                             "slower; ACL SETUSER %s +eval +evalsha",
                             user, user);
    } else {
        command_check_report(check, CHECK_OK, "redis",
                             "its user %s may do all that nixied does", user);
    }
}

bool command_check_rights(struct check *check)
{
    struct denials denials = {.commands = ""};
    struct error error = {""};
    /* its own connection, with which the transaction ends */
    struct command_store *store = command_store_open(check->settings, &error);
    bool tried = store != NULL && try_all(check, store, &denials, &error);

    if (tried) {
        report(check, &denials);
    } else {
        command_check_fault(check, error.text);
    }
    command_store_close(store);
    return tried;
}
