#include "outcome.h"
#include "outcome_court.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SKIP_TEST 77

static void outcome_follows_the_verdict_and_the_policy(void **state)
{
    static const struct court_row rows[] = {
        {EVENT_BOUNCE, "550 5.1.1 User unknown",
         "user_unknown hard unknown 1/1/30d"},
        {EVENT_OUT_OF_BAND, "550 5.1.1 User unknown",
         "user_unknown hard unknown 1/1/30d"},
        {EVENT_BOUNCE, "450 4.1.1 User unknown",
         "user_unknown soft unknown 5/3/30d"},
        {EVENT_BOUNCE, "552 5.2.2 Mailbox full",
         "mailbox_full soft full 5/3/30d"},
        {EVENT_BOUNCE, "550 account temporarily disabled",
         "account_disabled soft temporarily 5/3/30d"},
        {EVENT_BOUNCE, "550 5.1.1 qwertz",
         "user_unknown hard status:5.1.1 1/1/30d"},
        {EVENT_BOUNCE, "550 qwertz", "undetermined soft none 5/3/30d"},
        {EVENT_BOUNCE, "550 5.7.1 qwertz",
         "policy_block soft status:5.7.1 not"},
        {EVENT_BOUNCE, "451 4.7.1 Too many connections",
         "policy_block soft status:4.7.1 not"},
        {EVENT_BOUNCE, "421 qwertz", "transient ignored code:421 not"},
        {EVENT_BOUNCE, "550 I am out of office",
         "error_ignored ignored noise not"},
        {EVENT_BOUNCE, "", "undetermined soft none 5/3/30d"},
        {EVENT_BOUNCE, NULL, "undetermined soft none 5/3/30d"},
    };
    struct court court = court_open(*state, "");

    CHECK(&court, rows);
    court_close(&court);
}

static void outcome_of_a_delay_or_expiration_is_never_hard(void **state)
{
    static const struct court_row rows[] = {
        {EVENT_DELAY, "450 4.2.2 Mailbox full",
         "mailbox_full soft full 5/3/30d"},
        {EVENT_DELAY, "550 5.1.1 User unknown",
         "user_unknown soft unknown 5/3/30d"},
        {EVENT_DELAY, "451 later", "transient ignored code:451 not"},
        {EVENT_EXPIRATION, "550 5.1.1 User unknown",
         "user_unknown soft unknown 5/3/30d"},
        {EVENT_EXPIRATION, "450 4.2.2 Mailbox full",
         "mailbox_full soft full 5/3/30d"},
        {EVENT_EXPIRATION, "451 later", "transient soft code:451 5/3/30d"},
        {EVENT_EXPIRATION, "connect to mx: timed out",
         "unreachable soft away 5/3/30d"},
        {EVENT_EXPIRATION, "", "expired soft none 5/3/30d"},
        {EVENT_EXPIRATION, NULL, "expired soft none 5/3/30d"},
    };
    struct court court = court_open(*state, "");

    CHECK(&court, rows);
    court_close(&court);
}

static void outcome_of_a_delivery_has_no_verdict(void **state)
{
    static const struct court_row rows[] = {
        {EVENT_DELIVERY, "250 2.1.5 Ok", "- - - -"},
        {EVENT_DELIVERY, "250 user unknown", "- - - -"},
        {EVENT_DELIVERY, "", "- - - -"},
    };
    struct court court = court_open(*state, "");
    struct event event = court_event(EVENT_DELIVERY);
    struct outcome_facts facts = {.reply = text_of("250 2.1.5 Ok"),
                                  .believed = true,
                                  .destination = true};

    CHECK(&court, rows);
    outcome_judge(court.judge, &facts, &event);
    assert_int_equal(event.reply_code, 250);
    assert_true(text_is(event.enhanced_status, "2.1.5"));
    assert_int_equal(event.bounce_class, EVENT_UNKNOWN);
    assert_int_equal(event.destination, EVENT_UNKNOWN);
    court_close(&court);
}

static void outcome_of_feedback_goes_by_its_type(void **state)
{
    static const struct feedback_row {
        const char *feedback_type, *expected;
        int64_t bounce_class;
    } rows[] = {
        {"abuse", "complaint hard - 1/1/30d", EVENT_UNKNOWN},
        {"fraud", "complaint hard - 1/1/30d", EVENT_UNKNOWN},
        {"virus", "complaint hard - 1/1/30d", EVENT_UNKNOWN},
        {"Abuse", "complaint hard - 1/1/30d", EVENT_UNKNOWN},
        {"opt-out", "unsubscribe hard - 1/1/30d", 90},
        {"OPT-OUT-LIST", "unsubscribe hard - 1/1/30d", 90},
        {"not-spam", "feedback_other ignored - not", EVENT_UNKNOWN},
        {"other", "feedback_other ignored - not", EVENT_UNKNOWN},
        {"auth-failure", "feedback_other ignored - not", EVENT_UNKNOWN},
        {"fraudulent", "feedback_other ignored - not", EVENT_UNKNOWN},
        {"viruses", "feedback_other ignored - not", EVENT_UNKNOWN},
        {"opt-in", "feedback_other ignored - not", EVENT_UNKNOWN},
        {"abuse ", "feedback_other ignored - not", EVENT_UNKNOWN},
        {"x-unknown", "feedback_other ignored - not", EVENT_UNKNOWN},
        {"abusive", "feedback_other ignored - not", EVENT_UNKNOWN},
        {"abus", "feedback_other ignored - not", EVENT_UNKNOWN},
        {"", "feedback_other ignored - not", EVENT_UNKNOWN},
        {NULL, "feedback_other ignored - not", EVENT_UNKNOWN},
    };
    struct court court = court_open(*state, "");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = court_event(EVENT_FEEDBACK);
        struct outcome_facts facts = {.believed = true};
        char line[400];

        event.feedback_type = text_of(rows[i].feedback_type);
        outcome_judge(court.judge, &facts, &event);
        court_describe(&event, line, sizeof line);
        assert_string_equal(line, rows[i].expected);
        assert_int_equal(event.bounce_class, rows[i].bounce_class);
    }
    court_close(&court);
}

/* An answer of the DNS, whoever's MTA asked; a relay of ours is no domain. */
static void outcome_counts_that_there_is_no_such_domain(void **state)
{
    static const struct domain_row {
        const char *name, *status, *reason;
        enum event_type type;
        bool named, counted;
    } rows[] = {
        {"Postfix", "5.4.4", "domain_invalid", EVENT_BOUNCE, true, true},
        {"Sendmail", "5.1.2", "domain_invalid", EVENT_BOUNCE, true, true},
        {"Postfix, another name", "5.4.4", "domain_invalid", EVENT_BOUNCE,
         false, false},
        {"Sendmail, another name", "5.1.2", "domain_invalid", EVENT_BOUNCE,
         false, false},
        {"for now", "4.1.2", "domain_invalid", EVENT_DELAY, true, false},
        {"no answer", "4.4.3", "dns_failure", EVENT_DELAY, true, false},
        {"no answer, bounced", "5.4.3", "dns_failure", EVENT_BOUNCE, true,
         false},
        {"no connection", "5.4.1", "unreachable", EVENT_BOUNCE, true, false},
        {"given up", "4.4.3", "dns_failure", EVENT_EXPIRATION, false, true},
    };
    struct court court = court_open(*state, "");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = court_event(rows[i].type);
        const struct outcome_facts facts = {.reply = text_of("example.org"),
                                            .stage = BOUNCE_STAGE_CONNECT,
                                            .believed = true,
                                            .destination = true,
                                            .named = rows[i].named};

        event.recipient = text_of("ann@example.org");
        event.enhanced_status = text_of(rows[i].status);
        event.decided_by = text_of("mta");
        outcome_judge(court.judge, &facts, &event);
        if (event.counted != rows[i].counted ||
            !text_is(event.reason, rows[i].reason)) {
            fail_msg("%s: %.*s counted=%d", rows[i].name,
                     (int)event.reason.length, event.reason.bytes,
                     (int)event.counted);
        }
    }
    court_close(&court);
}

static void outcome_counts_only_what_tells_of_the_recipient(void **state)
{
    static const struct count_row {
        const char *name;
        enum event_type type;
        bool believed, destination;
        const char *decided_by, *recipient;
        bool counted;
    } rows[] = {
        {"all is well", EVENT_BOUNCE, true, false, "remote", "ann@example.org",
         true},
        {"who decided is unknown", EVENT_BOUNCE, true, false, NULL,
         "ann@example.org", true},
        {"not believed", EVENT_BOUNCE, false, false, "remote",
         "ann@example.org", false},
        {"our own refusal", EVENT_BOUNCE, true, false, "nixie",
         "ann@example.org", false},
        {"our MTA, of the domain", EVENT_BOUNCE, true, false, "mta",
         "ann@example.org", true},
        {"the way there, bounced", EVENT_BOUNCE, true, true, "remote",
         "ann@example.org", false},
        {"the way there, delayed", EVENT_DELAY, true, true, "remote",
         "ann@example.org", false},
        {"the way there, given up", EVENT_EXPIRATION, true, true, "remote",
         "ann@example.org", true},
        {"given up, not believed", EVENT_EXPIRATION, false, true, "remote",
         "ann@example.org", false},
        {"a delay", EVENT_DELAY, true, false, "remote", "ann@example.org",
         true},
        {"no domain", EVENT_BOUNCE, true, false, "remote", "ann", true},
        {"no recipient", EVENT_BOUNCE, true, false, "remote", NULL, false},
        {"empty recipient", EVENT_BOUNCE, true, false, "remote", "", false},
        {"no mailbox", EVENT_BOUNCE, true, false, "remote", "@", false},
    };
    struct court court = court_open(*state, "");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = court_event(rows[i].type);
        struct outcome_facts facts = {.reply =
                                          text_of("552 5.2.2 Mailbox full"),
                                      .believed = rows[i].believed,
                                      .destination = rows[i].destination};

        event.recipient = text_of(rows[i].recipient);
        event.decided_by = text_of(rows[i].decided_by);
        outcome_judge(court.judge, &facts, &event);
        if (event.counted != rows[i].counted) {
            fail_msg("%s", rows[i].name);
        }
        assert_true(text_is(event.reason, "mailbox_full"));
        assert_int_equal(event.bounce_class, 22);
        assert_int_equal(event.destination,
                         rows[i].destination ? 1 : EVENT_UNKNOWN);
        assert_true(rows[i].decided_by == NULL
                        ? event.decided_by.bytes == NULL
                        : text_is(event.decided_by, rows[i].decided_by));
    }
    court_close(&court);
}

static void outcome_asks_the_lists_before_it_counts(void **state)
{
    static const struct list_row {
        const char *command, *recipient, *scope, *reply, *expected;
    } rows[] = {
        {"PING", "ann@example.org", NULL, "550 User unknown",
         "user_unknown hard unknown 1/1/30d"},
        {"SET nixie:suppress:ann@example.org x", "ann@example.org", NULL,
         "550 User unknown", "user_unknown hard unknown not"},
        {"SET nixie:suppress:@example.org x", "ann@example.org", NULL,
         "550 User unknown", "user_unknown hard unknown not"},
        {"SET nixie:suppress:bob@example.org x", "ann@example.org", NULL,
         "550 User unknown", "user_unknown hard unknown 1/1/30d"},
        {"SET nixie:allow:ann@example.org x", "ann@example.org", NULL,
         "550 User unknown", "error_ignored ignored unknown not"},
        {"SET nixie:allow:@.org x", "ann@example.org", NULL, "550 User unknown",
         "error_ignored ignored unknown not"},
        /* its case was kept when the normal form was made: it stays */
        {"SET nixie:allow:Ann@example.org x", "Ann@example.org", NULL,
         "550 User unknown", "error_ignored ignored unknown not"},
        {"SET nixie:allow:ann@example.org x", "Ann@example.org", NULL,
         "550 User unknown", "user_unknown hard unknown 1/1/30d"},
        /* tags, too, were folded then or never */
        {"SET nixie:suppress:ann+x@example.org y", "ann+x@example.org", NULL,
         "550 User unknown", "user_unknown hard unknown not"},
        /* who is unreachable goes on the list for all: that one counts */
        {"SET nixie:suppress@news:ann@example.org x", "ann@example.org", "news",
         "550 User unknown", "user_unknown hard unknown 1/1/30d"},
        {"SET nixie:suppress:ann@example.org x", "ann@example.org", "news",
         "550 User unknown", "user_unknown hard unknown not"},
        {"MSET nixie:suppress@news:ann@example.org x "
         "nixie:suppress:@example.org y",
         "ann@example.org", "news", "550 User unknown",
         "user_unknown hard unknown not"},
        {"SET nixie:allow@news:ann@example.org x", "ann@example.org", "news",
         "550 User unknown", "error_ignored ignored unknown not"},
        {"SET nixie:suppress@news:ann@example.org x", "ann@example.org", NULL,
         "550 User unknown", "user_unknown hard unknown 1/1/30d"},
        {"SET nixie:suppress@news:ann@example.org x", "ann@example.org",
         "new:s", "550 User unknown", "user_unknown hard unknown 1/1/30d"},
        /* also what would not count */
        {"SET nixie:allow:ann@example.org x", "ann@example.org", NULL,
         "550 5.7.1 qwertz", "error_ignored ignored status:5.7.1 not"},
    };
    struct world *world = *state;
    struct court court = court_open(world, "");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = court_event(EVENT_BOUNCE);
        struct outcome_facts facts = {.reply = text_of(rows[i].reply),
                                      .believed = true};
        char line[400];

        world_operate(world, "FLUSHALL");
        world_operate(world, rows[i].command);
        event.recipient = text_of(rows[i].recipient);
        event.scope = text_of(rows[i].scope);
        outcome_judge(court.judge, &facts, &event);
        court_describe(&event, line, sizeof line);
        if (strcmp(line, rows[i].expected) != 0) {
            fail_msg("%s: %s, not %s", rows[i].command, line, rows[i].expected);
        }
        if (text_is(event.reason, "error_ignored")) {
            assert_int_equal(event.bounce_class, EVENT_UNKNOWN);
        }
    }
    court_close(&court);
}

static void outcome_of_an_allowed_complaint_is_ignored(void **state)
{
    struct world *world = *state;
    struct court court = court_open(world, "");
    struct event event = court_event(EVENT_FEEDBACK);
    struct outcome_facts facts = {.believed = true};
    char line[400];

    world_operate(world, "SET nixie:allow:ann@example.org x");
    event.feedback_type = text_of("opt-out");
    outcome_judge(court.judge, &facts, &event);
    court_describe(&event, line, sizeof line);
    assert_string_equal(line, "error_ignored ignored - not");
    assert_int_equal(event.bounce_class, EVENT_UNKNOWN);
    court_close(&court);
}

static void outcome_counts_when_the_lists_do_not_answer(void **state)
{
    static const struct court_row rows[] = {
        {EVENT_BOUNCE, "550 User unknown", "user_unknown hard unknown 1/1/30d"},
    };
    struct world *world = *state;
    struct court court = court_open(world, "");

    world_operate(world, "SET nixie:suppress:ann@example.org x");
    redis_server_kill(world->server);
    CHECK(&court, rows);
    assert_true(redis_server_restart(world->server));
    court_close(&court);
}

static void outcome_needs_neither_lists_nor_texts_to_qualify(void **state)
{
    static const struct court_row rows[] = {
        {EVENT_BOUNCE, "550 qwertz", "undetermined soft none 5/3/30d"},
        {EVENT_BOUNCE, "550 User unknown", "user_unknown hard unknown 1/1/30d"},
    };
    struct court court = {
        .settings = settings_share_new(court_settings(court_rules, ""))};
    struct outcome_judge_options options = {.settings = court.settings};

    (void)state;
    court.judge = outcome_judge_new(&options);
    assert_non_null(court.judge);
    CHECK(&court, rows);
    court_close(&court);
}

static void outcome_counts_within_the_limits_of_the_settings(void **state)
{
    static const struct court_row rows[] = {
        {EVENT_BOUNCE, "552 Mailbox full", "mailbox_full soft full 7/2/10d"},
        {EVENT_BOUNCE, "550 User unknown", "user_unknown hard unknown not"},
        {EVENT_BOUNCE, "550 5.7.1 qwertz",
         "policy_block soft status:5.7.1 not"},
    };
    struct court court = court_open(
        *state, "policy \"mailbox_full\" {\n strikes = 7\n days = 2\n"
                " window = \"10d\"\n}\n"
                "policy \"user_unknown\" {\n strikes = 0\n}\n");

    CHECK(&court, rows);
    court_close(&court);
}

/* --- codes, stage, host ------------------------------------------------ */

static void outcome_adds_the_codes_that_are_absent(void **state)
{
    static const struct code_row {
        const char *reply;
        int64_t code;
        const char *status;
        int64_t expected_code;
        const char *expected_status, *reason;
    } rows[] = {
        {"550 5.1.1 qwertz", EVENT_UNKNOWN, NULL, 550, "5.1.1", "user_unknown"},
        {"550 qwertz", EVENT_UNKNOWN, NULL, 550, NULL, "undetermined"},
        {"qwertz", EVENT_UNKNOWN, NULL, EVENT_UNKNOWN, NULL, "undetermined"},
        {"550 5.1.1 qwertz", 552, "5.2.2", 552, "5.2.2", "mailbox_full"},
        {"qwertz", 552, NULL, 552, NULL, "mailbox_full"},
        {"qwertz", EVENT_UNKNOWN, "5.1.1", EVENT_UNKNOWN, "5.1.1",
         "user_unknown"},
        {"550 5.1.1 qwertz", EVENT_UNKNOWN, "5.5", 550, "5.5", "user_unknown"},
        {"550 5.1.1 qwertz", EVENT_UNKNOWN, "", 550, "5.1.1", "user_unknown"},
        {"552 qwertz", INT64_MAX, NULL, INT64_MAX, NULL, "mailbox_full"},
        {"552 qwertz", -1, NULL, -1, NULL, "mailbox_full"},
    };
    struct court court = court_open(*state, "");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = court_event(EVENT_BOUNCE);
        struct outcome_facts facts = {.reply = text_of(rows[i].reply),
                                      .believed = true};

        event.reply_code = rows[i].code;
        event.enhanced_status = text_of(rows[i].status);
        outcome_judge(court.judge, &facts, &event);
        assert_int_equal(event.reply_code, rows[i].expected_code);
        assert_true(
            rows[i].expected_status == NULL
                ? event.enhanced_status.bytes == NULL
                : text_is(event.enhanced_status, rows[i].expected_status));
        assert_true(text_is(event.reason, rows[i].reason));
    }
    court_close(&court);
}

static void outcome_tells_rules_the_stage_and_the_host(void **state)
{
    struct court court = court_open(*state, "");
    struct event event = court_event(EVENT_BOUNCE);
    struct outcome_facts facts = {.reply = text_of("550 this is spam"),
                                  .stage = BOUNCE_STAGE_EOM,
                                  .believed = true};

    outcome_judge(court.judge, &facts, &event);
    assert_true(text_is(event.rule, "spam"));
    facts.stage = BOUNCE_STAGE_RCPT;
    outcome_judge(court.judge, &facts, &event);
    assert_true(text_is(event.rule, "none"));

    facts.reply = text_of("550 go away");
    outcome_judge(court.judge, &facts, &event);
    assert_true(text_is(event.rule, "none"));
    event.remote_mta = text_of("mx.example.net");
    outcome_judge(court.judge, &facts, &event);
    assert_true(text_is(event.rule, "theirs"));
    court_close(&court);
}

/* --- scopes ------------------------------------------------------------- */

static void outcome_goes_by_the_policies_of_the_scope(void **state)
{
    static const struct {
        const char *scope, *reply, *expected;
    } rows[] = {
        {NULL, "552 mailbox full", "mailbox_full soft full 5/3/30d"},
        {"news", "552 mailbox full", "mailbox_full soft full 2/2/30d"},
        {"bills", "552 mailbox full", "mailbox_full soft full 5/3/30d"},
        {"gone", "552 mailbox full", "mailbox_full soft full 5/3/30d"},
        {"news", "550 user unknown", "user_unknown hard unknown not"},
        {"bills", "550 user unknown", "user_unknown hard unknown 1/1/30d"},
    };
    struct world *world = *state;
    struct court court =
        court_open(world, "scope \"news\" { senders = {\"a@\"}\n"
                          "  policy \"mailbox_full\" { strikes = 2 days = 2 }\n"
                          "  policy \"user_unknown\" { strikes = 0 } }\n"
                          "scope \"bills\" { senders = {\"b@\"} }\n");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = court_event(EVENT_BOUNCE);
        struct outcome_facts facts = {.reply = text_of(rows[i].reply),
                                      .believed = true};
        char line[400];

        event.scope = text_of(rows[i].scope);
        outcome_judge(court.judge, &facts, &event);
        court_describe(&event, line, sizeof line);
        assert_string_equal(line, rows[i].expected);
    }
    court_close(&court);
}

static void outcome_of_a_request_asks_its_own_list(void **state)
{
    static const struct {
        const char *command, *scope;
        bool counted;
    } rows[] = {
        {"PING", "news", true},
        {"PING", NULL, true},
        {"SET nixie:suppress:ann@example.org x", "news", true},
        {"SET nixie:suppress:ann@example.org x", NULL, false},
        {"HSET nixie:suppress:ann@example.org origin policy reason "
         "user_unknown",
         NULL, true},
        {"HSET nixie:suppress:ann@example.org origin policy reason complaint",
         NULL, false},
        {"HSET nixie:suppress:ann@example.org origin command reason "
         "user_unknown",
         NULL, false},
        {"SET nixie:suppress@news:ann@example.org x", "news", false},
        {"SET nixie:suppress@news:ann@example.org x", "bills", true},
        {"SET nixie:suppress@news:ann@example.org x", NULL, true},
        {"SET nixie:allow@news:ann@example.org x", "news", false},
        {"SET nixie:allow:ann@example.org x", "news", false},
    };
    struct world *world = *state;
    struct court court = court_open(world, "");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = court_event(EVENT_FEEDBACK);
        struct outcome_facts facts = {.believed = true};

        world_operate(world, "FLUSHALL");
        world_operate(world, rows[i].command);
        event.feedback_type = text_of("abuse");
        event.scope = text_of(rows[i].scope);
        outcome_judge(court.judge, &facts, &event);
        assert_int_equal(event.counted, rows[i].counted);
    }
    court_close(&court);
}

#define WITH_EMPTY(test) cmocka_unit_test_setup(test, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EMPTY(outcome_follows_the_verdict_and_the_policy),
        WITH_EMPTY(outcome_of_a_delay_or_expiration_is_never_hard),
        WITH_EMPTY(outcome_of_a_delivery_has_no_verdict),
        WITH_EMPTY(outcome_of_feedback_goes_by_its_type),
        WITH_EMPTY(outcome_counts_that_there_is_no_such_domain),
        WITH_EMPTY(outcome_counts_only_what_tells_of_the_recipient),
        WITH_EMPTY(outcome_asks_the_lists_before_it_counts),
        WITH_EMPTY(outcome_goes_by_the_policies_of_the_scope),
        WITH_EMPTY(outcome_of_a_request_asks_its_own_list),
        WITH_EMPTY(outcome_of_an_allowed_complaint_is_ignored),
        WITH_EMPTY(outcome_counts_when_the_lists_do_not_answer),
        WITH_EMPTY(outcome_needs_neither_lists_nor_texts_to_qualify),
        WITH_EMPTY(outcome_counts_within_the_limits_of_the_settings),
        WITH_EMPTY(outcome_adds_the_codes_that_are_absent),
        WITH_EMPTY(outcome_tells_rules_the_stage_and_the_host),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests_name("outcome", tests, world_start,
                                       world_stop);
}
