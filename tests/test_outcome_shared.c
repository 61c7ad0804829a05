#include "clock.h"
#include "outcome.h"
#include "outcome_court.h"
#include "redis_link.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SKIP_TEST 77

/* --- what no rule knew ------------------------------------------------- */

static long long unclassified_count(struct world *world, struct court *court)
{
    static const char *const argv[] = {"ZCARD", "nixie:unclassified"};
    struct error error = {""};
    int64_t deadline_ms = clock_monotonic_ms() + SOON;
    redisReply *reply;
    long long count;

    assert_true(unclassified_flush(court->unclassified, &error));
    assert_true(redis_link_open(world->redis_cli, deadline_ms, &error));
    reply =
        redis_link_ask(world->redis_cli, deadline_ms, &error, 2, argv, NULL);
    assert_non_null(reply);
    count = reply->integer;
    freeReplyObject(reply);
    return count;
}

static void outcome_notes_the_texts_that_no_rule_knew(void **state)
{
    static const struct note_row {
        enum event_type type;
        const char *reply, *decided_by;
        bool noted;
    } rows[] = {
        {EVENT_BOUNCE, "550 qwertz", "remote", true},
        {EVENT_DELAY, "450 qwertz", "remote", true},
        {EVENT_EXPIRATION, "450 qwertz", "remote", true},
        {EVENT_OUT_OF_BAND, "550 qwertz", NULL, true},
        {EVENT_BOUNCE, "550 5.1.1 qwertz", "remote", true}, /* by status */
        {EVENT_BOUNCE, "552 qwertz", "remote", true},       /* by code */
        {EVENT_BOUNCE, "qwertz", "mta", true},
        {EVENT_BOUNCE, "550 user unknown", "remote", false}, /* by a rule */
        {EVENT_BOUNCE, "550 5.1.1", "remote", false}, /* there are no words */
        {EVENT_BOUNCE, "", "mta", false},
        {EVENT_EXPIRATION, "", "mta", false},
        {EVENT_BOUNCE, "550 5.7.1 Recipient suppressed", "nixie", false},
        {EVENT_DELIVERY, "250 qwertz", "remote", false},
        {EVENT_FEEDBACK, "qwertz", "remote", false},
    };
    struct world *world = *state;
    struct court court = court_open(world, "");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = court_event(rows[i].type);
        struct outcome_facts facts = {.reply = text_of(rows[i].reply),
                                      .believed = true};

        world_operate(world, "FLUSHALL");
        event.decided_by = text_of(rows[i].decided_by);
        outcome_judge(court.judge, &facts, &event);
        if (unclassified_count(world, &court) != rows[i].noted) {
            fail_msg("%s \"%s\"", event_type_name(rows[i].type), rows[i].reply);
        }
    }
    court_close(&court);
}

/* --- hostile texts ----------------------------------------------------- */

static void outcome_takes_any_bytes(void **state)
{
    static char long_reply[65536];
    static const struct hostile_row {
        const char *name;
        struct text reply;
        const char *reason;
    } rows[] = {
        {"a NUL", {"550 user\0unknown", 16}, "user_unknown"},
        {"a NUL first", {"\0", 1}, "undetermined"},
        {"no UTF-8", {"550 \xff\xfe\xc3", 7}, "undetermined"},
        {"64 KiB", {long_reply, sizeof long_reply}, "undetermined"},
        {"conversions", {"550 %s%n%1$*2$x", 15}, "undetermined"},
        {"line ends", {"550 a\r\n250 2.0.0 ok\r\n", 22}, "undetermined"},
    };
    struct world *world = *state;
    struct court court = court_open(world, "");

    memset(long_reply, 'q', sizeof long_reply);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = court_event(EVENT_BOUNCE);
        struct outcome_facts facts = {.reply = rows[i].reply, .believed = true};

        event.enhanced_status = rows[i].reply;
        event.remote_mta = rows[i].reply;
        event.scope = rows[i].reply;
        event.feedback_type = rows[i].reply;
        outcome_judge(court.judge, &facts, &event);
        if (!text_is(event.reason, rows[i].reason)) {
            fail_msg("%s: %s", rows[i].name, event.reason.bytes);
        }
        assert_int_equal(event.counted, 1);

        event = court_event(EVENT_BOUNCE);
        event.recipient = rows[i].reply;
        outcome_judge(court.judge, &facts, &event);
        assert_true(text_is(event.reason, rows[i].reason));
    }
    assert_true(unclassified_count(world, &court) > 0);
    court_close(&court);
}

/* --- settings exchanged ------------------------------------------------ */

static void outcome_goes_over_to_new_settings(void **state)
{
    static const struct court_row before[] = {
        {EVENT_BOUNCE, "550 qwertz", "undetermined soft none 5/3/30d"},
        {EVENT_BOUNCE, "550 User unknown", "user_unknown hard unknown 1/1/30d"},
    };
    static const struct court_row after[] = {
        {EVENT_BOUNCE, "550 qwertz", "mailbox_full soft new-rule 2/1/30d"},
        {EVENT_BOUNCE, "550 User unknown", "undetermined soft none 5/3/30d"},
    };
    struct court court = court_open(*state, "");
    struct event event = court_event(EVENT_BOUNCE);
    struct outcome_facts facts = {.reply = text_of("550 5.1.1 user unknown"),
                                  .believed = true};
    struct settings *unloaded;
    struct error error = {""};

    CHECK(&court, before);
    outcome_judge(court.judge, &facts, &event);
    assert_true(settings_share_replace(
        court.settings,
        court_settings("new-rule mailbox_full /qwertz/\n",
                       "policy \"mailbox_full\" {\n strikes = 2\n"
                       " days = 1\n}\n")));
    /* texts of the event stay until the next call */
    assert_true(text_is(event.rule, "unknown"));
    assert_true(text_is(event.enhanced_status, "5.1.1"));
    CHECK(&court, after);
    for (int i = 0; i < 20; i++) {
        assert_true(settings_share_replace(court.settings,
                                           court_settings(court_rules, "")));
        CHECK(&court, before);
    }
    /* settings whose rules nobody loaded are passed over */
    unloaded = settings_load(NULL, &error);
    assert_non_null(unloaded);
    assert_true(settings_share_replace(court.settings, unloaded));
    CHECK(&court, before);
    court_close(&court);
}

static void outcome_judge_new_wants_rules(void **state)
{
    struct error error = {""};
    struct settings_share *share =
        settings_share_new(settings_load(NULL, &error));
    struct outcome_judge_options options = {.settings = share};

    (void)state;
    assert_null(outcome_judge_new(&options));
    outcome_judge_free(NULL);
    settings_share_free(share);
}

/* --- threads ----------------------------------------------------------- */

struct bench {
    struct court *court;
    unsigned wrong;
};

static void *judge_often(void *context)
{
    struct bench *bench = context;
    struct outcome_judge_options options = {
        bench->court->settings, bench->court->list, bench->court->unclassified};
    struct outcome_judge *judge = outcome_judge_new(&options);

    for (int i = 0; i < 300; i++) {
        struct event event = court_event(EVENT_BOUNCE);
        struct outcome_facts facts = {
            .reply = text_of(i % 2 == 0 ? "550 User unknown" : "550 qwertz"),
            .believed = true};

        outcome_judge(judge, &facts, &event);
        bench->wrong += !text_is(event.reason,
                                 i % 2 == 0 ? "user_unknown" : "undetermined");
    }
    outcome_judge_free(judge);
    return NULL;
}

static void outcome_judges_of_threads_share_the_rest(void **state)
{
    struct court court = court_open(*state, "");
    struct bench benches[4] = {{0}};
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        benches[i].court = &court;
        assert_int_equal(
            pthread_create(&threads[i], NULL, judge_often, &benches[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        assert_true(settings_share_replace(court.settings,
                                           court_settings(court_rules, "")));
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(benches[i].wrong, 0);
    }
    court_close(&court);
}

#define WITH_EMPTY(test) cmocka_unit_test_setup(test, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EMPTY(outcome_notes_the_texts_that_no_rule_knew),
        WITH_EMPTY(outcome_takes_any_bytes),
        WITH_EMPTY(outcome_goes_over_to_new_settings),
        WITH_EMPTY(outcome_judge_new_wants_rules),
        WITH_EMPTY(outcome_judges_of_threads_share_the_rest),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests_name("outcome_shared", tests, world_start,
                                       world_stop);
}
