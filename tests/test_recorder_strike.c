/*
 * Strikes, what is due, and domains, in a real Redis: by the script and by
 * WATCH in its place, against the oracle.
 */
#include "clock.h"
#include "event_json.h"
#include "log.h"
#include "recorder_oracle.h"
#include "recorder_oracle_store.h"
#include "recorder_store.h"
#include "redis_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PREFIX    "nixie:"
#define INSTANCE  "00000000000000aa"
#define SOON_MS   20000
#define SKIP_TEST 77
#define MINUTE    INT64_C(60)
#define HOUR      INT64_C(3600)
#define DAY       INT64_C(86400)
/* what ends by time ends when this test is forgotten, */
#define BASE_S INT64_C(4102444800) /* 2100-01-01 */
/* or has ended */
#define LONG_AGO_S INT64_C(1000000000)

#define ANN               "ann@example.org"
#define RECIPIENT         "nixie:{00}:recipient:" ANN
#define STRIKES           "nixie:{00}:strikes:" ANN
#define STRIKES_OF(scope) "nixie:{00}:strikes" scope ":" ANN
#define EVIDENCE          "nixie:{00}:evidence:" ANN
#define DUE               "nixie:{00}:due"
#define DOMAIN            "nixie:{20}:domain:example.org"
#define WAITING           "nixie:{20}:waiting:example.org"
#define DOWN              "nixie:{20}:due"
#define LIST              "nixie:suppress:" ANN

struct world {
    struct redis_server *server;
    struct redis_endpoint *endpoint;
    struct redis_link *redis;
    struct recorder_store *store;
    struct recorder_window *window;
    struct effect *effects;
    json_t *expected, *found;
    int64_t checkpoints[STORE_BUCKETS];
    int64_t seq;
    uint64_t seed, random;
};

static void do_redis(struct world *world, size_t argc, const char *const *argv)
{
    struct error error;
    redisReply *reply = redis_link_ask(
        world->redis, clock_monotonic_ms() + SOON_MS, &error, argc, argv, NULL);

    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

#define REDIS(world, ...)                                                      \
    do_redis(world,                                                            \
             sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *),     \
             (const char *[]){__VA_ARGS__})

/* Nothing has happened yet. */
static void begin_anew(struct world *world)
{
    struct error error;

    REDIS(world, "FLUSHALL");
    assert_int_equal(recorder_store_open(world->store, &error), STORE_DONE);
    assert_int_equal(recorder_store_register(world->store, INSTANCE, &error),
                     STORE_DONE);
    recorder_window_clear(world->window);
    memset(world->checkpoints, 0, sizeof world->checkpoints);
    json_decref(world->expected);
    json_decref(world->found);
    world->expected = oracle_new();
    world->found = oracle_new();
    world->seq = 0;
    world->random = world->seed;
}

static int begin_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct redis_endpoint_options options = {.user = "", .password_file = ""};
    struct error error;

    assert_non_null(world);
    world->server = redis_server_start(NULL);
    assert_non_null(world->server);
    options.location = redis_server_location(world->server);
    world->endpoint = redis_endpoint_new(&options, &error);
    assert_non_null(world->endpoint);
    assert_true(redis_endpoint_resolve(world->endpoint, &error));
    world->redis = redis_link_new(world->endpoint);
    world->store = recorder_store_new(world->endpoint, PREFIX);
    world->window = recorder_window_new();
    world->effects = calloc(EFFECT_MAX, sizeof *world->effects);
    assert_non_null(world->redis);
    assert_non_null(world->store);
    assert_non_null(world->window);
    assert_non_null(world->effects);
    assert_true(
        redis_link_open(world->redis, clock_monotonic_ms() + SOON_MS, &error));
    world->seed = 88172645463325252U;
    begin_anew(world);
    *state = world;
    return 0;
}

static int begin_world_without_scripts(void **state)
{
    int status = begin_world(state);

    REDIS(*state, "ACL", "SETUSER", "default", "-eval", "-evalsha");
    return status;
}

static int end_world(void **state)
{
    struct world *world = *state;

    json_decref(world->expected);
    json_decref(world->found);
    free(world->effects);
    recorder_window_free(world->window);
    recorder_store_free(world->store);
    redis_link_free(world->redis);
    redis_endpoint_free(world->endpoint);
    redis_server_stop(world->server);
    free(world);
    return 0;
}

/* ---- what happens ---- */

static void apply_bucket(struct world *world, unsigned bucket)
{
    struct recorder_result result;
    struct recorder_call call;
    struct error error = {""};

    while (recorder_window_call(
        world->window, bucket, world->checkpoints[bucket],
        recorder_store_call_parts(world->store), STORE_CALL_BYTES, &call)) {
        assert_int_equal(recorder_store_apply(world->store, INSTANCE, &call,
                                              &result, 1, &error),
                         STORE_DONE);
        if (result.outcome == OUTCOME_APPLIED) {
            assert_int_equal(result.dead.count, 0);
            assert_int_equal(result.lost.count, 0);
            world->checkpoints[bucket] = call.last;
            recorder_window_drop(world->window, bucket, call.last);
        }
    }
}

static void apply(struct world *world)
{
    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        apply_bucket(world, bucket);
    }
    recorder_window_clear(world->window);
}

static void put_effects(struct world *world, const char *line, size_t length)
{
    struct event event;
    struct error error;
    struct event_json *json = event_json_decode(line, length, &event, &error);
    size_t count = recorder_effects(PREFIX, &event, world->effects);
    size_t end = 0;

    assert_non_null(json);
    for (size_t i = 0; i < count; i = end) {
        while (end < count &&
               world->effects[end].bucket == world->effects[i].bucket) {
            end++;
        }
        assert_true(recorder_window_add(world->window, event.seq,
                                        world->effects + i, end - i));
    }
    event_json_free(json);
}

/* It is on the log, and folded; apply() does it. */
static void happen(struct world *world, struct event *event)
{
    char line[EVENT_LINE_MAX];
    size_t length;

    event->seq = ++world->seq;
    event->node = text_of("test");
    if (event->instance.bytes == NULL) {
        event->instance = text_of(INSTANCE);
    }
    if (event->origin.bytes == NULL) {
        event->origin = text_of("maillog");
    }
    (void)snprintf(event->event_id, sizeof event->event_id,
                   "01930000-0000-7000-8000-%012llu",
                   (unsigned long long)event->seq % 1000000000000ULL);
    length = event_json_encode(event, line);
    oracle_fold_line(world->expected, PREFIX, line, length);
    if (recorder_window_is_full(world->window)) {
        apply(world);
    }
    put_effects(world, line, length);
}

static void assert_exact(struct world *world)
{
    apply(world);
    json_decref(world->found);
    world->found = oracle_read(world->redis);
    oracle_compare(world->expected, world->found);
}

static void ann(struct event *event, enum event_type type, int64_t at_s)
{
    event_init(event, type, at_s * 1000000 + 123456);
    event->recipient = text_of(ANN);
    event->recipient_domain = text_of("example.org");
    event->queue_id = text_of("4bXk2s1Zq");
}

static void fails(struct world *world, enum event_type type, int64_t at_s,
                  const char *queue_id, int64_t limit)
{
    struct event event;

    ann(&event, type, at_s);
    event.queue_id = text_of(queue_id);
    event.reason = text_of("mailbox_full");
    event.failure_type = text_of("soft");
    event.enhanced_status = text_of("4.2.2");
    event.reply_code = 452;
    event.diagnostic = text_of("452 4.2.2 \"full\"");
    event.counted = limit > 0;
    event.strike_limit = limit;
    event.strike_days = limit == 1 ? 1 : 3;
    event.strike_window_seconds = 30 * DAY;
    happen(world, &event);
}

static void is_delivered(struct world *world, int64_t at_s)
{
    struct event event;

    ann(&event, EVENT_DELIVERY, at_s);
    happen(world, &event);
}

static void list_changes(struct world *world, enum event_type type,
                         const char *origin, int64_t at_s)
{
    struct event event;

    event_init(&event, type, at_s * 1000000);
    event.suppression_pattern = text_of(ANN);
    event.suppression_origin = text_of(origin);
    event.suppression_reason = text_of("mailbox_full");
    event.suppression_evidence = text_of("this and that");
    event.suppression_expires_at = text_of("2100-02-01T00:00:00.000000Z");
    happen(world, &event);
}

static void happens_in_news(struct world *world, enum event_type type,
                            int64_t at_s)
{
    struct event event;

    event_init(&event, type, at_s * 1000000);
    event.suppression_pattern = text_of(ANN);
    event.scope = text_of("news");
    happen(world, &event);
}

static const char *get(struct world *world, const char *key, const char *field)
{
    return oracle_get(world->found, key, field);
}

static size_t members(struct world *world, const char *key)
{
    return json_object_size(json_object_get(world->found, key));
}

/* Five messages on three days, within 36 hours. */
static void fail_enough(struct world *world, int64_t from_s)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e"};

    for (int i = 0; i < 5; i++) {
        fails(world, EVENT_BOUNCE, from_s + (12 + i * 9) * HOUR, ids[i], 5);
    }
}

/* ---- strikes ---- */

static void forty_tries_of_a_message_are_one_strike(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 40; i++) {
        fails(world, EVENT_DELAY, BASE_S + i * HOUR, "4bXk2s1Zq", 5);
    }
    assert_exact(world);
    assert_int_equal(members(world, STRIKES), 2); /* and when it ends */
    assert_string_equal(get(world, STRIKES, "4bXk2s1Zq"), "4102444800");
    assert_int_equal(members(world, EVIDENCE), 2);
    assert_string_equal(get(world, EVIDENCE, "0"),
                        "2100-01-01T00:00:00.123456Z 4bXk2s1Zq - 452 4.2.2 "
                        "mailbox_full 452 4.2.2 \"full\"");
    assert_int_equal(members(world, WAITING), 2);
    fails(world, EVENT_EXPIRATION, BASE_S + 40 * HOUR, "4bXk2s1Zq", 5);
    assert_exact(world);
    assert_int_equal(members(world, STRIKES), 2);
    assert_int_equal(members(world, EVIDENCE), 3); /* its end is told of */
    assert_int_equal(members(world, WAITING), 0);
    assert_null(get(world, DUE, ANN));
}

static void five_messages_in_an_hour_are_not_due(void **state)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g"};
    struct world *world = *state;

    for (int i = 0; i < 7; i++) {
        fails(world, EVENT_BOUNCE, BASE_S + i * MINUTE, ids[i], 5);
    }
    assert_exact(world);
    assert_int_equal(members(world, STRIKES), 8);
    assert_int_equal(members(world, EVIDENCE), 4);
    assert_null(get(world, DUE, ANN));
}

static void five_messages_on_three_days_are_due(void **state)
{
    struct world *world = *state;

    fail_enough(world, BASE_S);
    assert_exact(world);
    assert_string_equal(get(world, DUE, ANN), "mailbox_full");
    assert_string_equal(get(world, RECIPIENT, "due_by"), INSTANCE);
}

static void strikes_outside_the_window_do_not_count(void **state)
{
    struct world *world = *state;

    fails(world, EVENT_BOUNCE, BASE_S - 30 * DAY, "x", 5);
    fails(world, EVENT_BOUNCE, BASE_S - 29 * DAY, "y", 5);
    fails(world, EVENT_BOUNCE, BASE_S, "a", 5);
    fails(world, EVENT_BOUNCE, BASE_S + HOUR, "b", 5);
    fails(world, EVENT_BOUNCE, BASE_S + 2 * DAY, "c", 5);
    fails(world, EVENT_BOUNCE, BASE_S + 2 * DAY, "d", 5);
    assert_exact(world);
    assert_null(get(world, DUE, ANN));
    fails(world, EVENT_BOUNCE, BASE_S + DAY, "e", 5); /* told of late: three */
    assert_exact(world);
    assert_null(get(world, DUE, ANN));
    fails(world, EVENT_BOUNCE, BASE_S + 3 * DAY, "f", 5);
    assert_exact(world);
    assert_string_equal(get(world, DUE, ANN), "mailbox_full");
}

static void a_delivery_between_ends_the_strikes_before(void **state)
{
    struct world *world = *state;

    fail_enough(world, BASE_S);
    is_delivered(world, BASE_S + 3 * DAY);
    assert_exact(world);
    assert_null(get(world, DUE, ANN));
    assert_null(get(world, RECIPIENT, "due_by"));
    assert_int_equal(members(world, STRIKES), 0);
    assert_int_equal(members(world, EVIDENCE), 4); /* stays */
    fails(world, EVENT_BOUNCE, BASE_S + 4 * DAY, "f", 5);
    assert_exact(world);
    assert_null(get(world, DUE, ANN));
    assert_int_equal(members(world, STRIKES), 2);
}

static void a_strike_before_the_last_delivery_does_not_count(void **state)
{
    struct world *world = *state;

    is_delivered(world, BASE_S + 3 * DAY);
    fail_enough(world, BASE_S);
    fails(world, EVENT_BOUNCE, BASE_S + 3 * DAY, "same", 1); /* that moment */
    assert_exact(world);
    assert_int_equal(members(world, STRIKES), 0);
    assert_int_equal(members(world, EVIDENCE), 0);
    assert_null(get(world, DUE, ANN));
    assert_string_equal(get(world, RECIPIENT, "bounces"), "6");
}

static void an_old_delivery_told_of_late_changes_nothing_newer(void **state)
{
    struct world *world = *state;

    is_delivered(world, BASE_S - DAY);
    fail_enough(world, BASE_S);
    is_delivered(world, BASE_S - 2 * DAY);
    assert_exact(world);
    assert_string_equal(get(world, DUE, ANN), "mailbox_full");
    assert_int_equal(members(world, STRIKES), 6);
}

static void a_delivery_told_of_late_leaves_what_failed_since(void **state)
{
    struct world *world = *state;

    fails(world, EVENT_BOUNCE, BASE_S + DAY, "a", 1);
    is_delivered(world, BASE_S);
    assert_exact(world);
    assert_string_equal(get(world, DUE, ANN), "mailbox_full");
    assert_string_equal(get(world, RECIPIENT, "due_at"),
                        "2100-01-02T00:00:00.123456Z");
    is_delivered(world, BASE_S + 2 * DAY);
    assert_exact(world);
    assert_null(get(world, DUE, ANN));
    assert_null(get(world, RECIPIENT, "due_at"));
}

static void fails_elsewhere(struct world *world, int64_t at_s, const char *id)
{
    struct event event;

    ann(&event, EVENT_BOUNCE, at_s);
    event.queue_id = text_of(id);
    event.instance = text_of("00000000000000bb");
    event.reason = text_of("user_unknown");
    event.counted = 1;
    event.strike_limit = 1;
    happen(world, &event);
}

/* Else both of those who share a store might decide. */
static void who_is_due_is_left_to_the_first_for_ten_minutes(void **state)
{
    struct world *world = *state;

    fails(world, EVENT_BOUNCE, BASE_S, "a", 1);
    fails_elsewhere(world, BASE_S + 10 * MINUTE, "b");
    assert_exact(world);
    assert_string_equal(get(world, RECIPIENT, "due_by"), INSTANCE);
    assert_string_equal(get(world, DUE, ANN), "mailbox_full");
    assert_int_equal(members(world, STRIKES), 3); /* and it is a strike */
    fails_elsewhere(world, BASE_S + 10 * MINUTE + 1, "c");
    assert_exact(world);
    assert_string_equal(get(world, RECIPIENT, "due_by"), "00000000000000bb");
    assert_string_equal(get(world, DUE, ANN), "user_unknown");
}

static void a_hard_failure_is_due_at_once(void **state)
{
    struct world *world = *state;

    fails(world, EVENT_BOUNCE, BASE_S, "a", 1);
    assert_exact(world);
    assert_string_equal(get(world, DUE, ANN), "mailbox_full");
    assert_string_equal(get(world, RECIPIENT, "due_by"), INSTANCE);
}

static void complains(struct world *world, int64_t at_s, const char *reason,
                      const char *scope)
{
    struct event event;

    ann(&event, EVENT_FEEDBACK, at_s);
    event.reason = text_of(reason);
    event.scope = text_of(scope);
    event.counted = 1;
    event.strike_limit = 1;
    happen(world, &event);
}

/* The recorder may lag, and a report may be told of late. */
static void no_delivery_ends_a_request(void **state)
{
    static const struct {
        const char *reason, *scope, *due;
    } rows[] = {
        {"complaint", NULL, ANN " *"},
        {"unsubscribe", NULL, ANN " *"},
        {"complaint", "news", ANN " news"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < 3 * sizeof rows / sizeof rows[0]; i++) {
        const char *scope = rows[i / 3].scope;
        const char *due = rows[i / 3].due;
        int64_t at_s = BASE_S + (int64_t)i * DAY;

        complains(world, at_s, rows[i / 3].reason, scope);
        is_delivered(world, at_s + (int64_t)(i % 3) - 1);
        is_delivered(world, at_s + 2);
        assert_exact(world);
        assert_string_equal(get(world, DUE, due), rows[i / 3].reason);
        assert_null(get(world, DUE, ANN));
        assert_int_equal(
            members(world, scope != NULL && strcmp(scope, "news") == 0
                               ? STRIKES_OF("@news")
                               : STRIKES_OF("@*")),
            2); /* it, and when it ends */
        list_changes(world, EVENT_SUPPRESSION_REMOVED, "command", at_s + 3);
        happens_in_news(world, EVENT_SUPPRESSION_REMOVED, at_s + 3);
        assert_exact(world);
        assert_null(get(world, DUE, due));
        assert_int_equal(members(world, STRIKES_OF("@*")), 0);
    }
}

/* What fails for a week must not take the place of what is for good. */
static void a_failure_that_is_due_leaves_a_request_due(void **state)
{
    struct world *world = *state;

    fails(world, EVENT_BOUNCE, BASE_S, "a", 1);
    complains(world, BASE_S + 1, "complaint", NULL);
    assert_exact(world);
    assert_string_equal(get(world, DUE, ANN), "mailbox_full");
    assert_string_equal(get(world, DUE, ANN " *"), "complaint");
    list_changes(world, EVENT_SUPPRESSION_ADDED, "policy", BASE_S + 2);
    assert_exact(world);
    assert_null(get(world, DUE, ANN));
    assert_string_equal(get(world, DUE, ANN " *"), "complaint");
    assert_int_equal(members(world, STRIKES), 0);
    assert_int_equal(members(world, STRIKES_OF("@*")), 2);
}

static void what_does_not_count_is_no_strike(void **state)
{
    struct world *world = *state;
    struct event event;

    fails(world, EVENT_BOUNCE, BASE_S, "a", 0);
    ann(&event, EVENT_BOUNCE, BASE_S + 1);
    event.reason = text_of("user_unknown");
    event.counted = 1; /* but without a limit */
    happen(world, &event);
    assert_exact(world);
    assert_int_equal(members(world, STRIKES), 0);
    assert_int_equal(members(world, EVIDENCE), 0);
    assert_null(get(world, DUE, ANN));
}

static void messages_are_told_apart_by_what_is_known(void **state)
{
    struct world *world = *state;
    char long_id[300];
    struct event event;

    memset(long_id, 'm', sizeof long_id);
    long_id[299] = '\0';
    for (int i = 0; i < 4; i++) {
        ann(&event, i == 3 ? EVENT_FEEDBACK : EVENT_OUT_OF_BAND, BASE_S + i);
        event.queue_id = text_of(NULL);
        event.message_id = text_of(i == 0 ? long_id : NULL);
        event.envelope_id = text_of(i == 1 ? "envelope" : NULL);
        event.reason = text_of("mailbox_full");
        event.counted = 1;
        event.strike_limit = 9;
        happen(world, &event);
    }
    assert_exact(world);
    assert_int_equal(members(world, STRIKES), 5);
    long_id[128] = '\0';
    assert_string_equal(get(world, STRIKES, long_id), "4102444800");
    assert_non_null(get(world, STRIKES, "envelope"));
    assert_non_null(
        get(world, STRIKES, "01930000-0000-7000-8000-000000000004"));
}

/* The log names the queue id, and a report, days later, only the mark. */
static void the_log_and_a_late_report_of_a_message_are_one_strike(void **state)
{
    static const struct {
        enum event_type type;
        const char *queue_id, *nonce, *trace_id;
    } rows[] = {
        {EVENT_DELAY, "4bXk2s1Zq", "00112233aabb", NULL},
        {EVENT_BOUNCE, "4bXk2s1Zq", "00112233aabb", NULL},
        {EVENT_OUT_OF_BAND, NULL, NULL, "00112233aabb-0011223344556677"},
        {EVENT_DELAY, NULL, NULL, "00112233aabb-0011223344556677"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event;

        ann(&event, rows[i].type, BASE_S + (int64_t)i * DAY);
        event.queue_id = text_of(rows[i].queue_id);
        event.trace_nonce = text_of(rows[i].nonce);
        if (rows[i].trace_id != NULL) {
            event.origin = text_of("report");
            event.trace = text_of("valid");
            event.trace_id = text_of(rows[i].trace_id);
        }
        event.reason = text_of("mailbox_full");
        event.counted = 1;
        event.strike_limit = 2;
        event.strike_days = 1;
        happen(world, &event);
    }
    assert_exact(world);
    assert_int_equal(members(world, STRIKES), 2); /* and when it ends */
    assert_string_equal(get(world, STRIKES, "00112233aabb"), "4102444800");
    assert_null(get(world, DUE, ANN));
}

static void the_life_of_strikes_is_never_made_shorter(void **state)
{
    struct world *world = *state;
    struct event event;

    fails(world, EVENT_BOUNCE, BASE_S, "a", 5);
    ann(&event, EVENT_BOUNCE, BASE_S + HOUR);
    event.reason = text_of("unreachable");
    event.counted = 1;
    event.strike_limit = 5;
    event.strike_window_seconds = DAY;
    happen(world, &event);
    assert_exact(world);
    assert_string_equal(get(world, STRIKES, ORACLE_EXPIRES), "4105036800");
}

/* ---- decisions ---- */

static void an_entry_of_ours_ends_what_was_due_and_counts_up(void **state)
{
    struct world *world = *state;

    for (int i = 1; i <= 2; i++) {
        fail_enough(world, BASE_S + i * 10 * DAY);
        list_changes(world, EVENT_SUPPRESSION_ADDED, "policy",
                     BASE_S + i * 10 * DAY + 5 * DAY);
    }
    assert_exact(world);
    assert_null(get(world, DUE, ANN));
    assert_null(get(world, RECIPIENT, "due_by"));
    assert_string_equal(get(world, RECIPIENT, "escalation"), "2");
    assert_int_equal(members(world, STRIKES), 0);
    assert_string_equal(get(world, LIST, "evidence"), "this and that");
    assert_string_equal(get(world, LIST, ORACLE_EXPIRES), "4105123200");
    is_delivered(world, BASE_S + 60 * DAY);
    assert_exact(world);
    assert_null(get(world, RECIPIENT, "escalation"));
}

static void a_step_counts_since_the_last_delivery_whenever_told(void **state)
{
    struct world *world = *state;

    is_delivered(world, BASE_S + 2 * DAY);
    list_changes(world, EVENT_SUPPRESSION_ADDED, "policy", BASE_S + DAY);
    assert_exact(world);
    assert_null(get(world, RECIPIENT, "escalation"));
    list_changes(world, EVENT_SUPPRESSION_ADDED, "policy", BASE_S + 5 * DAY);
    is_delivered(world, BASE_S + 4 * DAY);
    assert_exact(world);
    assert_string_equal(get(world, RECIPIENT, "escalation"), "1");
    is_delivered(world, BASE_S + 6 * DAY);
    assert_exact(world);
    assert_null(get(world, RECIPIENT, "escalation"));
    assert_null(get(world, RECIPIENT, "escalated_at"));
}

/* Of whatever type it is, and whenever it was made. */
static void a_policy_leaves_the_entries_of_others(void **state)
{
    struct world *world = *state;
    const char *words[] = {"GET", LIST};
    struct error error;
    redisReply *reply;

    list_changes(world, EVENT_SUPPRESSION_ADDED, "command", BASE_S + DAY);
    list_changes(world, EVENT_SUPPRESSION_ADDED, "policy", BASE_S + 2 * DAY);
    assert_exact(world);
    assert_string_equal(get(world, LIST, "origin"), "command");
    REDIS(world, "DEL", LIST);
    REDIS(world, "SET", LIST, "asked by phone");
    list_changes(world, EVENT_SUPPRESSION_ADDED, "policy", BASE_S + 3 * DAY);
    apply(world);
    reply = redis_link_ask(world->redis, clock_monotonic_ms() + SOON_MS, &error,
                           2, words, NULL);
    assert_non_null(reply);
    assert_string_equal(reply->str, "asked by phone");
    freeReplyObject(reply);
}

static void of_two_entries_of_a_policy_the_newer_stays(void **state)
{
    struct world *world = *state;

    list_changes(world, EVENT_SUPPRESSION_ADDED, "policy", BASE_S + 2 * DAY);
    list_changes(world, EVENT_SUPPRESSION_ADDED, "policy", BASE_S + DAY);
    assert_exact(world);
    assert_string_equal(get(world, LIST, "added_at"),
                        "2100-01-03T00:00:00.000000Z");
    list_changes(world, EVENT_SUPPRESSION_ADDED, "policy", BASE_S + 3 * DAY);
    assert_exact(world);
    assert_string_equal(get(world, LIST, "added_at"),
                        "2100-01-04T00:00:00.000000Z");
}

static void an_entry_of_somebody_else_s_ends_what_was_due(void **state)
{
    struct world *world = *state;

    fail_enough(world, BASE_S);
    list_changes(world, EVENT_SUPPRESSION_ADDED, "command", BASE_S + 5 * DAY);
    assert_exact(world);
    assert_null(get(world, DUE, ANN));
    assert_null(get(world, RECIPIENT, "due_by"));
    assert_null(get(world, RECIPIENT, "escalation"));
    assert_int_equal(members(world, STRIKES), 6);
}

static void lifting_withholding_and_allowing_start_afresh(void **state)
{
    static const enum event_type types[] = {EVENT_SUPPRESSION_REMOVED,
                                            EVENT_SUPPRESSION_WITHHELD,
                                            EVENT_ALLOW_ADDED};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct event event;

        begin_anew(world);
        fail_enough(world, BASE_S);
        ann(&event, types[i], BASE_S + 5 * DAY);
        event.suppression_pattern = text_of(ANN);
        event.reason = text_of("mailbox_full");
        happen(world, &event);
        assert_exact(world);
        assert_null(get(world, DUE, ANN));
        assert_null(get(world, RECIPIENT, "due_by"));
        assert_int_equal(members(world, STRIKES), 0);
        assert_int_equal(members(world, EVIDENCE), 4);
    }
}

/* ---- domains ---- */

static void domain_fails(struct world *world, int64_t at_s)
{
    struct event event;

    ann(&event, EVENT_DELAY, at_s);
    event.reason = text_of("unreachable");
    event.destination = 1;
    happen(world, &event);
}

static void domain_is(struct world *world, enum event_type type, int64_t at_s)
{
    struct event event;

    event_init(&event, type, at_s * 1000000);
    event.recipient_domain = text_of("example.org");
    event.reason = text_of("unreachable");
    event.first_attempt_at = text_of("2100-01-01T00:00:00.000000Z");
    happen(world, &event);
}

static void ten_failures_in_a_row_take_a_domain_down(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 9; i++) {
        domain_fails(world, BASE_S + i);
    }
    assert_exact(world);
    assert_null(get(world, DOWN, "@example.org"));
    domain_fails(world, BASE_S + 9);
    assert_exact(world);
    assert_string_equal(get(world, DOWN, "@example.org"), "down");
    assert_string_equal(get(world, DOMAIN, "due_by"), INSTANCE);
    domain_is(world, EVENT_DOMAIN_DOWN, BASE_S + 10);
    domain_fails(world, BASE_S + 11); /* and is down only once */
    assert_exact(world);
    assert_null(get(world, DOWN, "@example.org"));
    assert_null(get(world, DOMAIN, "due_by"));
    assert_string_equal(get(world, DOMAIN, "down_since"),
                        "2100-01-01T00:00:00.000000Z");
    assert_string_equal(get(world, DOMAIN, "down_reason"), "unreachable");
    assert_string_equal(get(world, DOMAIN, "consecutive_failures"), "11");
}

static void a_delivery_takes_a_domain_up(void **state)
{
    struct world *world = *state;

    domain_is(world, EVENT_DOMAIN_DOWN, BASE_S);
    is_delivered(world, BASE_S + 1);
    assert_exact(world);
    assert_string_equal(get(world, DOWN, "@example.org"), "up");
    assert_string_equal(get(world, DOMAIN, "due_by"), INSTANCE);
    domain_is(world, EVENT_DOMAIN_UP, BASE_S + 2);
    assert_exact(world);
    assert_null(get(world, DOWN, "@example.org"));
    assert_null(get(world, DOMAIN, "down_since"));
    assert_null(get(world, DOMAIN, "due_by"));
}

static void a_delivery_between_keeps_a_domain_up(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 25; i++) {
        domain_fails(world, BASE_S + i);
        if (i % 9 == 8) {
            is_delivered(world, BASE_S + i);
        }
    }
    assert_exact(world);
    assert_null(get(world, DOWN, "@example.org"));
}

/* ---- anything ---- */

static unsigned chance(struct world *world, unsigned among)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (unsigned)(world->random % among);
}

struct made {
    char recipient[64], domain[32], queue_id[32], message_id[32], pattern[64],
        trace_id[16], trace_nonce[16], expires[CLOCK_TIMESTAMP_SIZE],
        first[CLOCK_TIMESTAMP_SIZE];
};

static const char *one_of(struct world *world, const char *const *texts)
{
    unsigned count = 0;

    while (texts[count] != NULL) {
        count++;
    }
    return texts[chance(world, count)];
}

#define ONE_OF(world, ...)                                                     \
    one_of(world, (const char *const[]){__VA_ARGS__, NULL})

static void make_failure(struct world *world, struct event *event,
                         struct made *made)
{
    event->reason =
        text_of(ONE_OF(world, "mailbox_full", "user_unknown", "unreachable",
                       "greylisted", "complaint", "unsubscribe"));
    event->scope = text_of(ONE_OF(world, "news", "bills"));
    if (chance(world, 3) == 0) {
        event->scope = text_of(NULL);
    }
    event->counted = chance(world, 4) > 0;
    event->destination = chance(world, 3) > 0;
    event->attempt = event->type == EVENT_DELAY ? 1 + chance(world, 2) : 1;
    if (chance(world, 15) > 0) {
        event->strike_limit = 1 + (int64_t)chance(world, 2) * chance(world, 6);
    }
    if (chance(world, 4) > 0) {
        event->strike_days = 1 + chance(world, 3);
    }
    if (chance(world, 3) > 0) {
        event->strike_window_seconds = (int64_t)chance(world, 8) * DAY;
    }
    event->reply_code = chance(world, 2) == 0 ? 550 : EVENT_UNKNOWN;
    event->enhanced_status = text_of(chance(world, 2) == 0 ? "5.1.1" : NULL);
    event->diagnostic =
        text_of(chance(world, 2) == 0 ? "no \n \xc3\xbc" : NULL);
    (void)snprintf(made->message_id, sizeof made->message_id, "m%u@x",
                   chance(world, 9));
    event->message_id =
        text_of(chance(world, 2) == 0 ? made->message_id : NULL);
    if (chance(world, 12) == 0) {
        event->queue_id = text_of(NULL);
    }
}

static void make_change(struct world *world, struct event *event,
                        struct made *made)
{
    (void)snprintf(made->pattern, sizeof made->pattern, "@%s", made->domain);
    event->suppression_pattern =
        text_of(chance(world, 5) == 0 ? made->pattern : made->recipient);
    event->suppression_origin = text_of(ONE_OF(world, "policy", "command"));
    event->origin = text_of(ONE_OF(world, "redis", "command", "policy"));
    event->suppression_reason =
        text_of(ONE_OF(world, "user_unknown", "complaint", "unsubscribe"));
    event->suppression_evidence =
        text_of(chance(world, 2) == 0 ? "one | two" : NULL);
    event->scope = text_of(chance(world, 4) == 0 ? "news" : NULL);
    clock_format(event->timestamp_us + DAY * 1000000, made->expires);
    event->suppression_expires_at =
        text_of(chance(world, 2) == 0 ? made->expires : NULL);
}

static void make_state(struct world *world, struct event *event,
                       struct made *made)
{
    event->reason = text_of(ONE_OF(world, "unreachable", "mailbox_full"));
    event->recipient = text_of(NULL);
    clock_format(event->timestamp_us - DAY * 1000000, made->first);
    event->first_attempt_at =
        text_of(chance(world, 2) == 0 ? made->first : NULL);
    event->expires_at = text_of(made->first);
    if (event->type < EVENT_DOMAIN_DOWN && chance(world, 2) == 0) {
        event->recipient_domain = text_of(NULL);
    }
}

static enum event_type any_type(struct world *world, bool healthy)
{
    static const enum event_type often[] = {EVENT_DELAY,       EVENT_DELAY,
                                            EVENT_BOUNCE,      EVENT_EXPIRATION,
                                            EVENT_OUT_OF_BAND, EVENT_FEEDBACK};

    if (chance(world, healthy ? 12 : 40) == 0) {
        return EVENT_DELIVERY;
    }
    return chance(world, 5) > 0
               ? often[chance(world, sizeof often / sizeof often[0])]
               : (enum event_type)chance(world, EVENT_LOG_OPEN);
}

/* Some come again, some are not believed; of few it is known which message. */
static void make_report(struct world *world, struct event *event,
                        struct made *made)
{
    event->origin = text_of("report");
    event->trace = text_of(
        ONE_OF(world, "valid", "valid", "shared", "correlated", "none"));
    (void)snprintf(made->trace_id, sizeof made->trace_id, "t%u-%u",
                   chance(world, 100), chance(world, 2));
    event->trace_id = text_of(chance(world, 9) > 0 ? made->trace_id : NULL);
}

/* A few addresses of a few domains, at times that are not in order. */
static void anything_happens(struct world *world, int64_t at_s)
{
    unsigned domain = chance(world, 3);
    enum event_type type = any_type(world, domain > 0);
    struct made made;
    struct event event;

    event_init(&event, type,
               (at_s + chance(world, 2 * DAY)) * 1000000 +
                   chance(world, 1000000));
    (void)snprintf(made.domain, sizeof made.domain, "d%u.example", domain);
    (void)snprintf(made.recipient, sizeof made.recipient, "r%u@%s",
                   chance(world, 3), made.domain);
    (void)snprintf(made.queue_id, sizeof made.queue_id, "Q%u",
                   chance(world, 40));
    (void)snprintf(made.trace_nonce, sizeof made.trace_nonce, "t%u",
                   chance(world, 100));
    event.queue_id = text_of(made.queue_id);
    event.trace_nonce =
        text_of(chance(world, 2) == 0 ? made.trace_nonce : NULL);
    event.recipient_domain = text_of(made.domain);
    event.recipient = text_of(made.recipient);
    if (type >= EVENT_DELAY && type <= EVENT_FEEDBACK) {
        make_failure(world, &event, &made);
        if (chance(world, 4) == 0) {
            make_report(world, &event, &made);
        }
    } else if (type == EVENT_DELIVERY && chance(world, 3) == 0) {
        make_report(world, &event, &made);
    } else if (type >= EVENT_SUPPRESSION_ADDED && type <= EVENT_ALLOW_REMOVED &&
               type != EVENT_SUPPRESSION_WITHHELD) {
        make_change(world, &event, &made);
    } else if (type == EVENT_SUPPRESSION_WITHHELD) {
        event.reason = text_of(ONE_OF(world, "complaint", "user_unknown"));
    } else if (type == EVENT_RECIPIENT_FORGOTTEN) {
        event.pseudonym = text_of("someone@d0.example");
        event.scope = text_of(ONE_OF(world, "news", "bills", NULL));
    } else if (type >= EVENT_BREAKER_OPENED) {
        make_state(world, &event, &made);
    }
    happen(world, &event);
}

static void run_stream(struct world *world, int64_t base_s, unsigned pieces)
{
    begin_anew(world);
    for (unsigned i = 0; i < 4000; i++) {
        anything_happens(world, base_s + i * 15 * MINUTE);
        if (pieces > 0 && i % pieces == 0) {
            apply(world);
        }
    }
    assert_exact(world);
}

static void any_stream_is_applied_as_the_oracle_folds_it(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 3; i++) {
        run_stream(world, BASE_S, 0);
        assert_true(json_object_size(world->found) > 100);
        world->seed = world->random;
    }
}

/* Keys end while they are made: each call must see the same of it. */
static void a_stream_of_long_ago_is_applied_the_same(void **state)
{
    run_stream(*state, LONG_AGO_S, 0);
}

static void watch_does_what_the_script_does(void **state)
{
    static const int64_t bases[] = {BASE_S, LONG_AGO_S};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        json_t *by_script;

        REDIS(world, "ACL", "SETUSER", "default", "+eval", "+evalsha");
        run_stream(world, bases[i], 0);
        by_script = json_incref(world->found);
        REDIS(world, "ACL", "SETUSER", "default", "-eval", "-evalsha");
        run_stream(world, bases[i], 0);
        oracle_compare(by_script, world->found);
        json_decref(by_script);
    }
}

static void pieces_of_a_stream_make_the_same(void **state)
{
    static const unsigned pieces[] = {1, 7, 100};

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        run_stream(*state, BASE_S, pieces[i]);
    }
}

/* Calls that were applied before are made again, as after a lost answer. */
static void a_stream_is_applied_once(void **state)
{
    struct world *world = *state;

    begin_anew(world);
    for (int i = 0; i < 300; i++) {
        anything_happens(world, BASE_S + i * HOUR);
    }
    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        struct recorder_result result;
        struct recorder_call call;
        struct error error;

        while (recorder_window_call(world->window, bucket,
                                    world->checkpoints[bucket], 5,
                                    STORE_CALL_BYTES, &call)) {
            for (int again = 0; again < 3; again++) {
                (void)recorder_store_apply(world->store, INSTANCE, &call,
                                           &result, 1, &error);
            }
            assert_int_equal(result.outcome, OUTCOME_ELSEWHERE);
            world->checkpoints[bucket] = call.last;
            recorder_window_drop(world->window, bucket, call.last);
        }
    }
    assert_exact(world);
}

#define BOTH_WAYS(name)                                                        \
    cmocka_unit_test_setup_teardown(name, begin_world, end_world),             \
    {                                                                          \
#name " (WATCH)", name, begin_world_without_scripts, end_world, NULL   \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(forty_tries_of_a_message_are_one_strike),
        BOTH_WAYS(the_log_and_a_late_report_of_a_message_are_one_strike),
        BOTH_WAYS(five_messages_in_an_hour_are_not_due),
        BOTH_WAYS(five_messages_on_three_days_are_due),
        BOTH_WAYS(strikes_outside_the_window_do_not_count),
        BOTH_WAYS(a_delivery_between_ends_the_strikes_before),
        BOTH_WAYS(a_strike_before_the_last_delivery_does_not_count),
        BOTH_WAYS(an_old_delivery_told_of_late_changes_nothing_newer),
        BOTH_WAYS(a_delivery_told_of_late_leaves_what_failed_since),
        BOTH_WAYS(who_is_due_is_left_to_the_first_for_ten_minutes),
        BOTH_WAYS(a_hard_failure_is_due_at_once),
        BOTH_WAYS(no_delivery_ends_a_request),
        BOTH_WAYS(a_failure_that_is_due_leaves_a_request_due),
        BOTH_WAYS(what_does_not_count_is_no_strike),
        BOTH_WAYS(messages_are_told_apart_by_what_is_known),
        BOTH_WAYS(the_life_of_strikes_is_never_made_shorter),
        BOTH_WAYS(an_entry_of_ours_ends_what_was_due_and_counts_up),
        BOTH_WAYS(a_step_counts_since_the_last_delivery_whenever_told),
        BOTH_WAYS(a_policy_leaves_the_entries_of_others),
        BOTH_WAYS(of_two_entries_of_a_policy_the_newer_stays),
        BOTH_WAYS(an_entry_of_somebody_else_s_ends_what_was_due),
        BOTH_WAYS(lifting_withholding_and_allowing_start_afresh),
        BOTH_WAYS(ten_failures_in_a_row_take_a_domain_down),
        BOTH_WAYS(a_delivery_takes_a_domain_up),
        BOTH_WAYS(a_delivery_between_keeps_a_domain_up),
        BOTH_WAYS(any_stream_is_applied_as_the_oracle_folds_it),
        BOTH_WAYS(a_stream_of_long_ago_is_applied_the_same),
        cmocka_unit_test_setup_teardown(watch_does_what_the_script_does,
                                        begin_world, end_world),
        BOTH_WAYS(pieces_of_a_stream_make_the_same),
        BOTH_WAYS(a_stream_is_applied_once),
    };

    log_open("test_recorder_strike", false, LOG_LEVEL_ERROR);
    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
