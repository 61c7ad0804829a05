#include "clock.h"
#include "command_check.h"
#include "command_check_redis.h"
#include "command_store.h"
#include "redis_endpoint.h"
#include "scope.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_LEAST 6
#define LOOK_MS       3000 /* at the keys of a list */
#define VALUE_MAX     128
#define PATH_SIZE     4096

/* --- what INFO and CONFIG say ------------------------------------------ */

static bool info_value(const redisReply *info, const char *name,
                       char value[VALUE_MAX])
{
    return command_check_info(command_store_text(info), name, value, VALUE_MAX);
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

/* As whom Redis knows us. */
static const char *user_of(const struct check *check)
{
    return check->settings->redis_user[0] == '\0' ? "default"
                                                  : check->settings->redis_user;
}

static void check_info(struct check *check, struct command_store *store)
{
    static const char *const words[] = {"INFO"};
    struct error error;
    redisReply *info = command_store_ask(store, &error, 1, words);

    if (info == NULL && strstr(error.text, "NOPERM") != NULL) {
        command_check_report(check, CHECK_SKIP, "redis",
                             "its ACL denies INFO, so that version, role and "
                             "memory are not known: ACL SETUSER %s +info",
                             user_of(check));
        return;
    }
    if (info == NULL) {
        command_check_report(check, CHECK_FAIL, "redis",
                             "answers, but not to INFO: %s", error.text);
        return;
    }
    check_version(check, info);
    check_role(check, info);
    check_eviction(check, info);
    check_persistence(check, store, info);
    command_check_redis(check, store, command_store_text(info));
    freeReplyObject(info);
}

/* --- keys -------------------------------------------------------------- */

struct survey {
    const struct settings *settings;
    enum store_list list;
    int64_t deadline_ms;
    bool whole;
    unsigned long long seen, odd, doubtful;
    bool globs; /* among the doubtful: meant for many, and matching none */
    const char *doubt;
    char doubtful_example[2 * STORE_KEY_MAX];
    char example[2 * STORE_KEY_MAX]; /* the first that is odd */
    char write[STORE_KEY_MAX];       /* what to write instead; "": nothing */
    unsigned long long stray;        /* of scopes that are not configured */
    char stray_scope[STORE_SCOPE_MAX + 1]; /* of the first of these */
    char stray_example[2 * STORE_KEY_MAX];
};

static void take_scope(struct survey *survey, struct text key,
                       struct text scope)
{
    if (scope.bytes == NULL || scope_find(survey->settings, scope) != NULL) {
        return;
    }
    if (survey->stray++ == 0) {
        (void)text_copy(scope, survey->stray_scope, sizeof survey->stray_scope);
        (void)text_copy(key, survey->stray_example,
                        sizeof survey->stray_example);
    }
}

static void take_doubt(struct survey *survey, struct text key,
                       const struct command_store_key *parsed)
{
    bool glob =
        memchr(parsed->pattern.bytes, '*', parsed->pattern.length) != NULL;

    if (survey->doubtful++ == 0 || (glob && !survey->globs)) {
        survey->doubt = parsed->doubt;
        (void)text_copy(key, survey->doubtful_example,
                        sizeof survey->doubtful_example);
    }
    survey->globs = survey->globs || glob;
}

static void survey_key(struct survey *survey, struct text key)
{
    struct command_store_key parsed;

    if (!command_store_parse(survey->settings, survey->list, key, &parsed)) {
        return;
    }
    survey->seen++;
    take_scope(survey, key, parsed.scope);
    if (parsed.normal && parsed.doubt != NULL) {
        take_doubt(survey, key, &parsed);
    }
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

    if (survey->stray > 0) {
        command_check_report(check, CHECK_WARN, name,
                             "%llu of %llu entries%s are of a scope that is "
                             "not configured, such as %s: write scope \"%s\" "
                             "{ ... } into nixie.conf, or redis-cli DEL it",
                             survey->stray, survey->seen, part,
                             survey->stray_example, survey->stray_scope);
    }
    if (survey->doubtful > 0) {
        command_check_report(check, survey->globs ? CHECK_FAIL : CHECK_WARN,
                             name,
                             "%llu of %llu entries%s hardly ever match, such "
                             "as %s: %s",
                             survey->doubtful, survey->seen, part,
                             survey->doubtful_example, survey->doubt);
    }
    if (survey->odd == 0 && survey->doubtful > 0) {
        return;
    }
    if (survey->odd == 0) {
        command_check_report(check, CHECK_OK, name,
                             "%llu %s%s, all in normal form", survey->seen,
                             survey->seen == 1 ? "entry" : "entries", part);
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
    if (!command_check_readable(check, options.password_file)) {
        command_check_report(check, CHECK_FAIL, "redis_password_file",
                             "%s may not read %s: chgrp %s %s && chmod 0640 %s",
                             check->settings->user, options.password_file,
                             check->settings->user, options.password_file,
                             options.password_file);
        return;
    }
    endpoint = redis_endpoint_new(&options, &error);
    if (endpoint != NULL &&
        redis_endpoint_password(endpoint, password, &length, &error)) {
        command_check_report(check, CHECK_OK, "redis_password_file", "%s",
                             options.password_file);
    } else {
        command_check_report(check, CHECK_FAIL, "redis_password_file", "%s%s",
                             error.text, command_remedy(error.text));
    }
    explicit_bzero(password, sizeof password);
    redis_endpoint_free(endpoint);
}

/* --- whether nixied gets there ------------------------------------------ */

/* The path of "unix:/path?db=N"; false: Redis is elsewhere. */
static bool socket_of(const struct check *check, char path[PATH_SIZE])
{
    const char *location = check->settings->redis;
    size_t length;

    if (strncmp(location, "unix:", 5) != 0) {
        return false;
    }
    length = strcspn(location + 5, "?");
    return text_copy((struct text){location + 5, length}, path, PATH_SIZE) ==
           length;
}

/* What lets a user pass: its group if that may, else a change of the mode. */
static void report_closed(struct check *check, const char *place,
                          const struct stat *status, unsigned what)
{
    const char *user = check->settings->user;
    const struct group *group = getgrgid(status->st_gid);
    bool by_group =
        (((unsigned)status->st_mode >> 3) & what) == what && group != NULL;

    if (by_group && status->st_gid != 0) {
        command_check_report(check, CHECK_FAIL, "redis",
                             "%s may not pass %s (group %s): usermod -aG %s "
                             "%s; systemctl restart nixied",
                             user, place, group->gr_name, group->gr_name, user);
    } else {
        command_check_report(check, CHECK_FAIL, "redis",
                             "%s may not pass %s (mode %04o): unixsocketperm "
                             "770 in redis.conf, folder of mode 0755, then "
                             "usermod -aG redis %s; systemctl restart nixied",
                             user, place, (unsigned)status->st_mode & 07777U,
                             user);
    }
}

/* root gets everywhere: what counts is nixied's user. */
static void check_way(struct check *check)
{
    struct check_account account;
    struct stat status;
    char path[PATH_SIZE];
    char folder[PATH_SIZE];

    if (!socket_of(check, path) ||
        !command_check_account(check->settings->user, &account)) {
        return;
    }
    if (command_check_barrier(&account, path, folder, sizeof folder)) {
        if (stat(folder, &status) == 0) {
            report_closed(check, folder, &status, 01);
        }
        return;
    }
    if (stat(path, &status) != 0) {
        return; /* connecting tells why */
    }
    if (!command_check_may(&account, &status, 02)) {
        report_closed(check, path, &status, 02);
    } else {
        command_check_report(check, CHECK_OK, "redis", "%s may connect to %s",
                             check->settings->user, path);
    }
}

/* --- whether Redis does what nixied asks -------------------------------- */

/* What to do about a fault, by what its text has. */
static const struct advice {
    int cause;         /* an errno, or 0: */
    const char *words; /* these */
    const char *advice;
} advices[] = {
    {ECONNREFUSED, NULL, "start Redis (systemctl start redis-server)"},
    {ENOENT, NULL, "start Redis, with unixsocket in redis.conf, or set redis"},
    {ETIMEDOUT, NULL, "Redis does not answer: is it hung, or stopped?"},
    {0, "NOAUTH", "Redis wants a password: set redis_password_file"},
    {0, "WRONGPASS", "set redis_user, and redis_password_file"},
    {0, "AUTH refused", "set redis_user, and redis_password_file"},
    {0, "READONLY", "this is a replica: set redis to its master"},
    {0, "LOADING", "Redis is starting: try again"},
    {0, "MISCONF", "Redis takes no writes: its log tells why"},
    {0, "NOPERM", "the ACL of its user denies it: see nixie-redis(7)"},
    {0, "unknown command",
     "take its rename-command out of redis.conf, and restart Redis"},
    {0, "protected mode",
     "give Redis a password (requirepass in redis.conf) and set "
     "redis_password_file, or use its socket"},
    {0, "max number of clients",
     "CONFIG SET maxclients to more, and the same in redis.conf"},
    {0, "OOM", "its memory is full: CONFIG SET maxmemory to more"},
};

void command_check_fault(struct check *check, const char *fault)
{
    const char *advice = "set redis, or see the log of Redis";

    if (strstr(fault, strerror(EACCES)) != NULL) {
        command_check_report(check, CHECK_SKIP, "redis", "%s: run this as root",
                             fault);
        return;
    }
    if (strncmp(fault, "redis: ", 7) == 0) {
        fault += 7; /* the line begins so */
    }
    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++) {
        const char *words = advices[i].cause == 0 ? advices[i].words
                                                  : strerror(advices[i].cause);

        if (strstr(fault, words) != NULL) {
            advice = advices[i].advice;
            break;
        }
    }
    command_check_report(check, CHECK_FAIL, "redis", "%s: %s", fault, advice);
}

void command_check_store(struct check *check)
{
    struct error error = {""};
    struct command_store *store;

    check_password(check);
    check_way(check);
    store = command_store_open(check->settings, &error);
    if (store == NULL) {
        command_check_fault(check, error.text);
        return;
    }
    if (command_check_rights(check)) {
        check_info(check, store);
        check_list(check, store, "suppress list", STORE_SUPPRESS);
        check_list(check, store, "allow list", STORE_ALLOW);
    }
    command_store_close(store);
}
