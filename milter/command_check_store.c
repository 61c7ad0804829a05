#include "clock.h"
#include "command_check.h"
#include "command_store.h"
#include "redis_endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_LEAST 6
#define LOOK_MS       3000 /* at the keys of a list */
#define VALUE_MAX     128

/* --- what INFO and CONFIG say ------------------------------------------ */

/* The value of "name:value" on a line of INFO; false when it has none. */
static bool info_value(const redisReply *info, const char *name,
                       char value[VALUE_MAX])
{
    struct text text = command_store_text(info);
    size_t length = strlen(name);
    const char *line = text.bytes;
    const char *end = line + text.length;

    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline == NULL ? end : newline;
        size_t size = (size_t)(stop - line);

        if (size > length && memcmp(line, name, length) == 0 &&
            line[length] == ':') {
            struct text found = {line + length + 1, size - length - 1};

            if (found.length > 0 && found.bytes[found.length - 1] == '\r') {
                found.length--;
            }
            (void)text_copy(found, value, VALUE_MAX);
            return true;
        }
        line = stop + 1;
    }
    return false;
}

static void check_version(struct check *check, const redisReply *info)
{
    char version[VALUE_MAX];

    if (!info_value(info, "redis_version", version)) {
        command_check_report(check, CHECK_SKIP, "redis",
                             "INFO tells no version");
    } else if (strtol(version, NULL, 10) < VERSION_LEAST) {
        command_check_report(check, CHECK_FAIL, "redis",
                             "version %s is too old: install %d or later",
                             version, VERSION_LEAST);
    } else {
        command_check_report(check, CHECK_OK, "redis", "%s, version %s",
                             check->settings->redis, version);
    }
}

static void check_role(struct check *check, const redisReply *info)
{
    char role[VALUE_MAX];

    if (info_value(info, "role", role) && strcmp(role, "master") != 0) {
        command_check_report(check, CHECK_FAIL, "redis",
                             "this is a replica and takes no writes: set redis "
                             "to its master");
    }
}

static void check_eviction(struct check *check, const redisReply *info)
{
    char policy[VALUE_MAX];

    if (!info_value(info, "maxmemory_policy", policy)) {
        command_check_report(check, CHECK_SKIP, "redis memory",
                             "INFO tells no maxmemory_policy");
    } else if (strncmp(policy, "allkeys-", 8) == 0) {
        command_check_report(check, CHECK_FAIL, "redis memory",
                             "maxmemory-policy %s drops entries of the list "
                             "when memory is short: CONFIG SET "
                             "maxmemory-policy noeviction, and the same in "
                             "redis.conf",
                             policy);
    } else if (strncmp(policy, "volatile-", 9) == 0) {
        command_check_report(check, CHECK_WARN, "redis memory",
                             "maxmemory-policy %s drops entries that have an "
                             "expiry when memory is short: CONFIG SET "
                             "maxmemory-policy noeviction, and the same in "
                             "redis.conf",
                             policy);
    } else {
        command_check_report(check, CHECK_OK, "redis memory",
                             "maxmemory-policy %s", policy);
    }
}

/* Whether snapshots are made; INFO does not tell, and CONFIG may be denied. */
static bool makes_snapshots(struct command_store *store)
{
    static const char *const words[] = {"CONFIG", "GET", "save"};
    struct error ignored;
    redisReply *reply = command_store_ask(store, &ignored, 3, words);
    bool off = reply != NULL && reply->type == REDIS_REPLY_ARRAY &&
               reply->elements == 2 &&
               command_store_text(reply->element[1]).length == 0;

    freeReplyObject(reply);
    return !off;
}

static void check_persistence(struct check *check, struct command_store *store,
                              const redisReply *info)
{
    char aof[VALUE_MAX];

    if (!info_value(info, "aof_enabled", aof)) {
        return;
    }
    if (strcmp(aof, "1") == 0) {
        command_check_report(check, CHECK_OK, "redis persistence",
                             "append only file");
    } else if (makes_snapshots(store)) {
        command_check_report(check, CHECK_OK, "redis persistence", "snapshots");
    } else {
        command_check_report(check, CHECK_WARN, "redis persistence",
                             "off: a restart of Redis loses entries that "
                             "redis-cli made; CONFIG SET appendonly yes, and "
                             "the same in redis.conf");
    }
}

static void check_info(struct check *check, struct command_store *store)
{
    static const char *const words[] = {"INFO"};
    struct error error;
    redisReply *info = command_store_ask(store, &error, 1, words);

    if (info == NULL) {
        command_check_report(check, CHECK_SKIP, "redis",
                             "answers, but not to INFO: %s", error.text);
        return;
    }
    check_version(check, info);
    check_role(check, info);
    check_eviction(check, info);
    check_persistence(check, store, info);
    freeReplyObject(info);
}

/* --- keys -------------------------------------------------------------- */

struct survey {
    const struct settings *settings;
    enum store_list list;
    int64_t deadline_ms;
    bool whole;
    unsigned long long seen, odd;
    char example[2 * STORE_KEY_MAX]; /* the first that is odd */
    char write[STORE_KEY_MAX];       /* what to write instead; "": nothing */
};

static void survey_key(struct survey *survey, struct text key)
{
    struct command_store_key parsed;

    if (!command_store_parse(survey->settings, survey->list, key, &parsed)) {
        return;
    }
    survey->seen++;
    if (parsed.normal) {
        return;
    }
    if (survey->odd++ == 0) {
        (void)text_copy(key, survey->example, sizeof survey->example);
        (void)text_copy((struct text){parsed.write.text, parsed.write.length},
                        survey->write, sizeof survey->write);
    }
}

static bool survey_keys(void *context, const redisReply *keys)
{
    struct survey *survey = context;

    for (size_t i = 0; i < keys->elements; i++) {
        survey_key(survey, command_store_text(keys->element[i]));
    }
    survey->whole = clock_monotonic_ms() < survey->deadline_ms;
    return survey->whole;
}

static void report_survey(struct check *check, const char *name,
                          const struct survey *survey)
{
    const char *part = survey->whole ? "" : " (of those looked at in time)";

    if (survey->odd == 0) {
        command_check_report(check, CHECK_OK, name,
                             "%llu entries%s, all in normal form", survey->seen,
                             part);
    } else if (survey->write[0] == '\0') {
        command_check_report(check, CHECK_FAIL, name,
                             "%llu of %llu entries%s never match; %s is no "
                             "mailbox or pattern: redis-cli DEL it",
                             survey->odd, survey->seen, part, survey->example);
    } else {
        command_check_report(check, CHECK_FAIL, name,
                             "%llu of %llu entries%s never match; instead of "
                             "%s write %s",
                             survey->odd, survey->seen, part, survey->example,
                             survey->write);
    }
}

static void check_list(struct check *check, struct command_store *store,
                       const char *name, enum store_list list)
{
    struct survey survey = {
        .settings = check->settings,
        .list = list,
        .deadline_ms = clock_monotonic_ms() + LOOK_MS,
        .whole = true,
    };
    const struct command_store_walk walk = {
        .list = list, .visit = survey_keys, .context = &survey};
    struct error error;

    if (command_store_walk(store, check->settings, &walk, &error)) {
        report_survey(check, name, &survey);
    } else {
        command_check_report(check, CHECK_SKIP, name, "%s", error.text);
    }
}

/* --- the password ------------------------------------------------------ */

static void check_password(struct check *check)
{
    const struct redis_endpoint_options options = {
        .location = check->settings->redis,
        .user = check->settings->redis_user,
        .password_file = check->settings->redis_password_file,
    };
    char password[REDIS_PASSWORD_MAX];
    struct error error = {""};
    struct redis_endpoint *endpoint;
    size_t length = 0;

    if (options.password_file[0] == '\0') {
        return;
    }
    endpoint = redis_endpoint_new(&options, &error);
    if (endpoint != NULL &&
        redis_endpoint_password(endpoint, password, &length, &error)) {
        command_check_report(check, CHECK_OK, "redis_password_file", "%s",
                             options.password_file);
    } else {
        command_check_report(check, CHECK_FAIL, "redis_password_file", "%s",
                             error.text);
    }
    explicit_bzero(password, sizeof password);
    redis_endpoint_free(endpoint);
}

void command_check_store(struct check *check)
{
    struct error error = {""};
    struct command_store *store;

    check_password(check);
    store = command_store_open(check->settings, &error);
    if (store == NULL) {
        command_check_report(check, CHECK_FAIL, "redis",
                             "%s: start Redis, or set redis", error.text);
        return;
    }
    check_info(check, store);
    check_list(check, store, "suppress list", STORE_SUPPRESS);
    check_list(check, store, "allow list", STORE_ALLOW);
    command_store_close(store);
}
