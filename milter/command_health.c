#include "command_health.h"

#include "command_check.h"
#include "control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAG_MOST_S    60
#define BEAT_MOST_S   180 /* nixied writes one each minute */
#define HOUR_US       INT64_C(3600000000)
#define HOURS         2
#define TEXT_MAX      900
#define SHOWN_MAX     400
#define DOWN_SHOWN    50
#define REASONS_SHOWN 5
#define US_PER_SECOND INT64_C(1000000)

/* A domain that takes no mail. */
struct down {
    char name[MAILBOX_DOMAIN_MAX + 1];
    char since[CLOCK_TIMESTAMP_SIZE];
    char reason[REASON_NAME_MAX + 1];
    int64_t waiting;
};

struct count {
    char name[128]; /* type|reason */
    int64_t count;
};

struct health {
    const struct command_call *call;
    int64_t now_us;
    struct check check;
    struct health_source source;
    bool answered; /* by Redis, all that was asked */
    int64_t due;
    GArray *breakers; /* struct quarantine_breaker */
    GArray *down;     /* struct down */
    GArray *counts;   /* struct count, of failures */
    int64_t deliveries;
};

/* --- asking Redis ------------------------------------------------------ */

/* "2026110219" */
static void hour_of(int64_t us, char hour[16])
{
    char at[CLOCK_TIMESTAMP_SIZE];

    clock_format(us, at);
    (void)snprintf(hour, 16, "%.4s%.2s%.2s%.2s", at, at + 5, at + 8, at + 11);
}

static bool ask_bucket(struct health *health, unsigned bucket)
{
    struct health_source *source = &health->source;
    const struct text none = {NULL, 0};
    bool asked =
        health_ask(source, "HLEN", STORE_DUE, bucket, none, NULL, 0) &&
        health_ask(source, "HGETALL", STORE_BREAKER, bucket, none, NULL, 0) &&
        health_ask(source, "HGETALL", STORE_DOWN, bucket, none, NULL, 0);

    for (int i = 0; i < HOURS && asked; i++) {
        char hour[16];

        hour_of(health->now_us - i * HOUR_US, hour);
        asked = health_ask(source, "HGETALL", STORE_STATS, bucket,
                           text_of(hour), NULL, 0);
    }
    return asked;
}

static void take_down(struct health *health, const redisReply *hash)
{
    for (size_t i = 0; i < health_fields(hash); i++) {
        struct down down = {.waiting = 0};
        struct text name;
        struct text since;

        health_field(hash, i, &name, &since);
        if (name.length > 0 && name.length <= MAILBOX_DOMAIN_MAX) {
            (void)text_copy(name, down.name, sizeof down.name);
            (void)text_copy(since, down.since, sizeof down.since);
            g_array_append_val(health->down, down);
        }
    }
}

/* Of types that say something about deliveries. */
static bool is_failure(struct text field)
{
    static const char *const types[] = {"bounce|", "expiration|", "delay|",
                                        "out_of_band|", "feedback|"};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t length = strlen(types[i]);

        if (field.length > length &&
            memcmp(field.bytes, types[i], length) == 0) {
            return true;
        }
    }
    return false;
}

static void count_failure(struct health *health, struct text field,
                          int64_t number)
{
    struct count count = {.count = number};

    (void)text_copy(field, count.name, sizeof count.name);
    for (guint i = 0; i < health->counts->len; i++) {
        struct count *known = &g_array_index(health->counts, struct count, i);

        if (strcmp(known->name, count.name) == 0) {
            known->count += number;
            return;
        }
    }
    g_array_append_val(health->counts, count);
}

static void take_stats(struct health *health, const redisReply *hash)
{
    for (size_t i = 0; i < health_fields(hash); i++) {
        struct text field;
        struct text value;

        health_field(hash, i, &field, &value);
        if (text_is(field, "delivery")) {
            health->deliveries += health_number(value);
        } else if (is_failure(field)) {
            count_failure(health, field, health_number(value));
        }
    }
}

static bool take_bucket(struct health *health, unsigned bucket)
{
    struct health_source *source = &health->source;
    redisReply *hash;
    int64_t due;

    if (!health_take_number(source, &due)) {
        return false;
    }
    health->due += due;
    for (int i = 0; i < 2 + HOURS; i++) {
        hash = health_take(source);
        if (hash == NULL) {
            return false;
        }
        if (i == 0) {
            health_breakers_add(health->breakers, bucket, hash, health->now_us);
        } else if (i == 1) {
            take_down(health, hash);
        } else {
            take_stats(health, hash);
        }
        freeReplyObject(hash);
    }
    return true;
}

static bool ask_buckets(struct health *health)
{
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        if (!ask_bucket(health, i)) {
            return false;
        }
    }
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        if (!take_bucket(health, i)) {
            return false;
        }
    }
    return true;
}

/* Why each domain is down, and who waits. */
static bool ask_down(struct health *health, guint first, guint end)
{
    struct health_source *source = &health->source;
    static const char *const reason[] = {"down_reason"};

    for (guint i = first; i < end; i++) {
        const char *name = g_array_index(health->down, struct down, i).name;
        unsigned bucket = store_bucket(name, strlen(name));

        if (!health_ask(source, "HGET", STORE_DOMAIN, bucket, text_of(name),
                        reason, 1) ||
            !health_ask(source, "ZCARD", STORE_WAITING, bucket, text_of(name),
                        NULL, 0)) {
            return false;
        }
    }
    for (guint i = first; i < end; i++) {
        struct down *down = &g_array_index(health->down, struct down, i);
        redisReply *reply = health_take(source);
        bool answered = reply != NULL;

        if (answered && reply->type == REDIS_REPLY_STRING) {
            (void)text_copy(command_store_text(reply), down->reason,
                            sizeof down->reason);
        }
        freeReplyObject(reply);
        if (!answered || !health_take_number(source, &down->waiting)) {
            return false;
        }
    }
    return true;
}

static int compare_down(const void *one, const void *other)
{
    const struct down *left = one;
    const struct down *right = other;

    if (left->waiting != right->waiting) {
        return left->waiting < right->waiting ? 1 : -1;
    }
    return strcmp(left->name, right->name);
}

static int compare_counts(const void *one, const void *other)
{
    const struct count *left = one;
    const struct count *right = other;

    if (left->count != right->count) {
        return left->count < right->count ? 1 : -1;
    }
    return strcmp(left->name, right->name);
}

static bool ask_redis(struct health *health)
{
    struct health_source *source = &health->source;

    source->key_prefix = health->call->settings->key_prefix;
    source->store = command_store_open(health->call->settings, &source->error);
    if (source->store == NULL || !ask_buckets(health)) {
        return false;
    }
    for (guint i = 0; i < health->down->len; i += COMMAND_STORE_BATCH) {
        guint end = i + COMMAND_STORE_BATCH;

        if (!ask_down(health, i,
                      end < health->down->len ? end : health->down->len)) {
            return false;
        }
    }
    g_array_sort(health->down, compare_down);
    g_array_sort(health->counts, compare_counts);
    return true;
}

/* --- telling ----------------------------------------------------------- */

/* A line; with --json an object with these members too, which it takes. */
static void report(struct health *health, enum check_result result,
                   const char *name, json_t *members, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static void report(struct health *health, enum check_result result,
                   const char *name, json_t *members, const char *format, ...)
{
    static const char *const words[] = {
        [CHECK_OK] = "ok",
        [CHECK_WARN] = "warn",
        [CHECK_FAIL] = "fail",
        [CHECK_SKIP] = "skip",
    };
    char text[TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    if (health->call->json) {
        json_t *object = json_object();

        health->check.failed = health->check.failed || result == CHECK_FAIL;
        command_json_set(object, "check", text_of(name));
        command_json_set(object, "result", text_of(words[result]));
        if (members != NULL) {
            (void)json_object_update(object, members);
        }
        command_json_set(object, "text", text_of(text));
        command_json_print(object);
    } else {
        command_check_report(&health->check, result, name, "%s", text);
    }
    json_decref(members);
}

static void tell_redis(struct health *health)
{
    const char *location = health->call->settings->redis;
    const char *fault = health->source.error.text;
    json_t *members = json_object();

    command_json_set(members, "endpoint", text_of(location));
    if (health->answered) {
        report(health, CHECK_OK, "redis", members, "%s", location);
    } else {
        report(health, CHECK_FAIL, "redis", members,
               "%s: %s%s; mail goes on, and the event log keeps what is to go "
               "there: \"nixie check\" tells more",
               location, fault, command_remedy(fault));
    }
}

/* Whether it answers. */
static bool tell_nixied(struct health *health)
{
    const char *state_dir = health->call->settings->state_dir;
    struct error error = {""};
    enum control_result result = control_probe(state_dir, &error);

    switch (result) {
    case CONTROL_DONE:
        report(health, CHECK_OK, "nixied", NULL, "it answers");
        break;
    case CONTROL_ABSENT:
        report(health, CHECK_FAIL, "nixied", NULL,
               "does not run on this host, or has another state_dir than %s: "
               "start it; its log tells why it ended",
               state_dir);
        break;
    case CONTROL_REFUSED:
    case CONTROL_UNKNOWN:
        report(health, geteuid() == 0 ? CHECK_FAIL : CHECK_SKIP, "nixied", NULL,
               "%s", error.text);
        break;
    }
    return result == CONTROL_DONE;
}

static json_t *json_of_beat(const struct health_beat *beat)
{
    json_t *members = json_object();
    char at[CLOCK_TIMESTAMP_SIZE];

    clock_format(beat->at_us, at);
    command_json_set(members, "heartbeat_at", text_of(at));
    if (beat->applied_seq >= 0) {
        (void)json_object_set_new(members, "applied_seq",
                                  json_integer(beat->applied_seq));
    }
    if (beat->lag_seconds >= 0) {
        (void)json_object_set_new(members, "lag_seconds",
                                  json_integer(beat->lag_seconds));
    }
    return members;
}

static void tell_beat(struct health *health, const struct health_beat *beat,
                      bool runs)
{
    int64_t age_s = (health->now_us - beat->at_us) / US_PER_SECOND;
    json_t *members = json_of_beat(beat);
    char lag[COMMAND_DURATION_SIZE];
    char age[COMMAND_DURATION_SIZE];

    command_duration(beat->lag_seconds > 0 ? beat->lag_seconds : 0, lag);
    command_duration(age_s > 0 ? age_s : 0, age);
    if (beat->lag_seconds > LAG_MOST_S) {
        report(health, CHECK_FAIL, "event log", members,
               "Redis is %s behind it: nixied's log tells why it does not take "
               "events; no suppression is added until it has caught up",
               lag);
    } else if (!health->answered) {
        report(health, CHECK_WARN, "event log", members,
               "applied up to %lld by the heartbeat %s ago; what comes now "
               "waits in it until Redis answers again",
               (long long)(beat->applied_seq > 0 ? beat->applied_seq : 0), age);
    } else if (runs && age_s > BEAT_MOST_S) {
        report(health, CHECK_WARN, "event log", members,
               "the last heartbeat is %s old, nixied writes one a minute: is "
               "its folder full?",
               age);
    } else {
        report(health, CHECK_OK, "event log", members,
               "applied up to %lld, lag %s, heartbeat %s ago",
               (long long)(beat->applied_seq > 0 ? beat->applied_seq : 0), lag,
               age);
    }
}

static json_t *json_of_cache(const struct health_beat *beat)
{
    json_t *members = json_object();

    command_json_set(members, "cache_state", text_of(beat->cache_state));
    (void)json_object_set_new(members, "cache_entries",
                              json_integer(beat->cache_entries));
    (void)json_object_set_new(members, "cache_bytes",
                              json_integer(beat->cache_bytes));
    (void)json_object_set_new(members, "cache_age_seconds",
                              json_integer(beat->cache_age_seconds));
    return members;
}

/* What nixied said of its suppression cache in that heartbeat. */
static void tell_cache(struct health *health, const struct health_beat *beat)
{
    bool is_wanted = health->call->settings->suppression_cache_memory > 0;
    bool is_current = strcmp(beat->cache_state, "current") == 0;
    char age[COMMAND_DURATION_SIZE];

    if (beat->cache_state[0] == '\0' || !is_wanted) {
        return;
    }
    command_duration(beat->cache_age_seconds > 0 ? beat->cache_age_seconds : 0,
                     age);
    if (is_current && !health->answered) {
        report(health, CHECK_WARN, "cache", json_of_cache(beat),
               "was current at that heartbeat, %lld entries; without Redis "
               "on_store_failure says what becomes of mail",
               (long long)beat->cache_entries);
    } else if (is_current) {
        report(health, CHECK_OK, "cache", json_of_cache(beat),
               "current, %lld entries in %lld KiB",
               (long long)beat->cache_entries,
               (long long)beat->cache_bytes / 1024);
    } else {
        report(health, CHECK_WARN, "cache", json_of_cache(beat),
               "%s, so each lookup asks Redis; list of %lld entries, %s old; "
               "nixied's log tells why",
               beat->cache_state, (long long)beat->cache_entries, age);
    }
}

static void tell_log(struct health *health, bool runs)
{
    const char *path = health->call->settings->event_log;
    struct error error = {""};
    struct health_beat beat;

    if (!health_beat_read(path, &beat, &error)) {
        report(health, CHECK_SKIP, "event log", NULL, "%s%s", error.text,
               command_remedy(error.text));
    } else if (beat.at_us == 0) {
        report(health, CHECK_SKIP, "event log", NULL,
               "%s: no heartbeat in it yet; nixied writes one a minute", path);
    } else {
        tell_beat(health, &beat, runs);
        tell_cache(health, &beat);
    }
}

static void tell_due(struct health *health)
{
    json_t *members = json_object();

    (void)json_object_set_new(members, "due", json_integer(health->due));
    if (health->due == 0) {
        report(health, CHECK_OK, "decisions", members, "none is due");
    } else {
        report(health, CHECK_OK, "decisions", members,
               "due: %lld; nixied decides when all of its log is applied",
               (long long)health->due);
    }
}

static void tell_breakers(struct health *health)
{
    for (guint i = 0; i < health->breakers->len; i++) {
        const struct quarantine_breaker *breaker =
            &g_array_index(health->breakers, struct quarantine_breaker, i);
        char text[HEALTH_BREAKER_SIZE];

        health_breaker_text(breaker, text);
        report(health, CHECK_FAIL, "breaker", health_breaker_json(breaker),
               "%s: failures spike, so nobody is suppressed for them. Is it "
               "their fault or ours? \"nixie suppress release --since 2h "
               "--dry-run\" lists what was suppressed before",
               text);
    }
    if (health->breakers->len == 0) {
        report(health, CHECK_OK, "breaker", NULL, "none is open");
    }
}

static json_t *json_of_down(const struct down *down)
{
    json_t *members = json_object();

    command_json_set(members, "domain", text_of(down->name));
    command_json_set(members, "down_since", text_of(down->since));
    if (down->reason[0] != '\0') {
        command_json_set(members, "down_reason", text_of(down->reason));
    }
    (void)json_object_set_new(members, "waiting", json_integer(down->waiting));
    return members;
}

static void tell_down(struct health *health)
{
    guint most = health->call->json ? G_MAXUINT : DOWN_SHOWN;

    for (guint i = 0; i < health->down->len && i < most; i++) {
        const struct down *down = &g_array_index(health->down, struct down, i);

        report(health, CHECK_FAIL, "domain", json_of_down(down),
               "%s takes no mail since %.19s%s%s%s, messages waiting: %lld; "
               "the MTA tries again by itself, \"nixie health %s\" tells more",
               down->name, down->since, strlen(down->since) > 19 ? "Z" : "",
               down->reason[0] == '\0' ? "" : ": ", down->reason,
               (long long)down->waiting, down->name);
    }
    if (health->down->len > most) {
        report(health, CHECK_FAIL, "domain", NULL,
               "and %u more; --json lists all", health->down->len - most);
    }
    if (health->down->len == 0) {
        report(health, CHECK_OK, "domain", NULL, "none is down");
    }
}

static json_t *json_of_failures(const struct health *health)
{
    json_t *members = json_object();
    json_t *failures = json_object();

    for (guint i = 0; i < health->counts->len; i++) {
        const struct count *count =
            &g_array_index(health->counts, struct count, i);
        json_t *name = command_json_text(text_of(count->name));

        if (json_is_string(name)) {
            (void)json_object_set_new(failures, json_string_value(name),
                                      json_integer(count->count));
        }
        json_decref(name);
    }
    (void)json_object_set_new(members, "deliveries",
                              json_integer(health->deliveries));
    (void)json_object_set_new(members, "failures", failures);
    return members;
}

/* For people to judge: neither good nor bad. */
static void tell_failures(struct health *health)
{
    char text[TEXT_MAX] = "";
    char more[64] = "";
    size_t used = 0;

    for (guint i = 0; i < health->counts->len && i < REASONS_SHOWN; i++) {
        const struct count *count =
            &g_array_index(health->counts, struct count, i);
        char *bar;
        int length = snprintf(text + used, sizeof text - used, ", %s %lld",
                              count->name, (long long)count->count);

        if (length < 0 || (size_t)length >= sizeof text - used) {
            text[used] = '\0';
            break;
        }
        bar = strchr(text + used, '|');
        if (bar != NULL) {
            *bar = ' ';
        }
        used += (size_t)length;
    }
    if (health->counts->len > REASONS_SHOWN) {
        (void)snprintf(more, sizeof more, ", and %u more; --json lists all",
                       health->counts->len - REASONS_SHOWN);
    }
    report(health, CHECK_OK, "last two hours", json_of_failures(health),
           "deliveries %lld%s%s", (long long)health->deliveries, text, more);
}

static enum command_status tell_all(struct health *health)
{
    bool runs;

    health->answered = ask_redis(health);
    tell_redis(health);
    runs = tell_nixied(health);
    tell_log(health, runs);
    if (health->answered) {
        tell_due(health);
        tell_breakers(health);
        tell_down(health);
        tell_failures(health);
    }
    return health->check.failed ? COMMAND_NO : COMMAND_OK;
}

static enum command_status overview(const struct command_call *call,
                                    int64_t now_us)
{
    struct health health = {
        .call = call,
        .now_us = now_us,
        .check = {.call = call, .settings = call->settings},
        .breakers =
            g_array_new(FALSE, FALSE, sizeof(struct quarantine_breaker)),
        .down = g_array_new(FALSE, FALSE, sizeof(struct down)),
        .counts = g_array_new(FALSE, FALSE, sizeof(struct count)),
    };
    enum command_status status = tell_all(&health);

    command_store_close(health.source.store);
    g_array_free(health.breakers, TRUE);
    g_array_free(health.down, TRUE);
    g_array_free(health.counts, TRUE);
    return status;
}

/* --- one domain -------------------------------------------------------- */

/* In normal form; "@example.org" is what lists have. */
static bool take_domain(const struct command_call *call,
                        char name[MAILBOX_DOMAIN_MAX + 1])
{
    const char *typed = call->arguments[0];
    char shown[SHOWN_MAX];

    if (mailbox_parse_domain(text_of(typed + (typed[0] == '@')), name)) {
        return true;
    }
    command_complain(call, "\"%s\" is no domain; write example.org",
                     text_escape(text_of(typed), shown, sizeof shown));
    return false;
}

static enum command_status of_domain(const struct command_call *call,
                                     int64_t now_us)
{
    struct health_source source = {.key_prefix = call->settings->key_prefix};
    struct health_domain domain = {.hash = NULL};
    char name[MAILBOX_DOMAIN_MAX + 1];
    enum command_status status = COMMAND_FAULT;

    if (!take_domain(call, name)) {
        return COMMAND_FAULT;
    }
    source.store = command_store_open(call->settings, &source.error);
    if (source.store == NULL ||
        !health_domain_read(&source, text_of(name), now_us, &domain)) {
        command_complain(call, "%s", source.error.text);
        goto out;
    }
    if (call->json) {
        command_json_print(health_domain_json(&domain));
    } else {
        health_domain_print(&domain);
    }
    status = health_domain_is_down(&domain) || domain.breakers->len > 0
                 ? COMMAND_NO
                 : COMMAND_OK;
out:
    health_domain_clear(&domain);
    command_store_close(source.store);
    return status;
}

enum command_status command_health_at(const struct command_call *call,
                                      int64_t now_us)
{
    return call->argument_count > 0 ? of_domain(call, now_us)
                                    : overview(call, now_us);
}

enum command_status command_health(const struct command_call *call)
{
    return command_health_at(call, clock_now_us());
}
