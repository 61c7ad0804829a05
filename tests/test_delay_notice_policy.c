#include "clock.h"
#include "delay_notice_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOW_US INT64_C(1793648581000000) /* 2026-11-02T19:43:01Z */
#define HOUR   INT64_C(3600000)          /* ms */

static struct event delay(void)
{
    struct event event;

    event_init(&event, EVENT_DELAY, NOW_US);
    event.recipient = text_of("bob@example.net");
    event.sender = text_of("ann@example.org");
    event.attempt = 3;
    event.attempts_left = 7;
    event.next_attempt_at = text_of("2026-11-02T20:13:01.000000Z");
    event.expires_at = text_of("2026-11-07T19:43:01.000000Z");
    return event;
}

static void delay_notice_is_due_after_so_many_attempts(void **state)
{
    static const struct row {
        const char *name;
        int64_t after, attempt, left;
        bool due;
    } rows[] = {
        {"as many", 3, 3, 7, true},
        {"more", 3, 20, 1, true},
        {"fewer", 3, 2, 7, false},
        {"never", 0, 3, 7, false},
        {"attempt unknown", 3, EVENT_UNKNOWN, 7, false},
        {"none left", 3, 3, 0, false},
        {"left unknown", 3, 3, EVENT_UNKNOWN, false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = delay();

        event.attempt = rows[i].attempt;
        event.attempts_left = rows[i].left;
        if (delay_notice_is_due(&event, rows[i].after, NOW_US) != rows[i].due) {
            fail_msg("%s", rows[i].name);
        }
    }
}

static void delay_notice_is_due_refuses_old_news_and_other_events(void **state)
{
    struct event event = delay();
    (void)state;

    assert_true(delay_notice_is_due(&event, 3, NOW_US + 1799 * 1000000LL));
    assert_false(delay_notice_is_due(&event, 3, NOW_US + 1800 * 1000000LL));
    event.next_attempt_at = text_of(NULL);
    assert_true(delay_notice_is_due(&event, 3, NOW_US + 1800 * 1000000LL));
    assert_false(delay_notice_is_due(&event, 3, NOW_US + 432000 * 1000000LL));
    event.expires_at = text_of("soon");
    assert_true(delay_notice_is_due(&event, 3, NOW_US));
    event.recipient = text_of(NULL);
    assert_false(delay_notice_is_due(&event, 3, NOW_US));
    event = delay();
    for (unsigned type = 0; type < EVENT_TYPES; type++) {
        event.type = (enum event_type)type;
        assert_int_equal(delay_notice_is_due(&event, 3, NOW_US),
                         type == EVENT_DELAY);
    }
}

static void delay_notice_takes_people_alone(void **state)
{
    static const struct row {
        const char *sender;
        bool takes;
    } rows[] = {
        {"ann@example.org", true},
        {"Ann.Lee+work@Example.org", true},
        {"\"ann lee\"@example.org", true},
        {"a\xc3\xb1n@example.org", true},
        {"ann@xn--bcher-kva.example", true},
        {"ann@[192.0.2.1]", true},
        {"prvs=1234567890=ann@example.org", true},
        {"requests@example.org", true},
        {"bouncer@example.org", true},
        {"lowner@example.org", true},
        {NULL, false},
        {"", false},
        {"<>", false},
        {"ann", false},
        {"@example.org", false},
        {"MAILER-DAEMON@example.org", false},
        {"mailer-daemon@example.org", false},
        {"Postmaster@example.org", false},
        {"double-bounce@example.org", false},
        {"no-reply@example.org", false},
        {"NoReply@example.org", false},
        {"news_no_reply@example.org", false},
        {"do-not-reply@example.org", false},
        {"no-responder@example.org", false},
        {"owner-chess@example.org", false},
        {"chess-owner@example.org", false},
        {"chess-request@example.org", false},
        {"chess-bounces@example.org", false},
        {"Chess-Bounces+ann=example.net@example.org", false},
        {"bounce-12-34@example.org", false},
        {"chess-return-7-ann=example.net@example.org", false},
        {"news+ann=example.net@example.org", false},
        {"SRS0=abcd=xy=example.net=ann@example.org", false},
        {"srs1+abcd=x@example.org", false},
        {"nobody@example.org", false},
        {"an\xffn@example.org", false},
        {"\"ann\r\nRCPT TO:<bob@example.net>\"@example.org",
         true}, /* a blank */
        {"\"an\x01n\"@example.org", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mailbox mailbox;
        bool takes = delay_notice_takes(text_of(rows[i].sender), &mailbox);

        if (takes != rows[i].takes ||
            (takes && strpbrk(mailbox.address, "\r\n") != NULL)) {
            fail_msg("%s", rows[i].sender == NULL ? "NULL" : rows[i].sender);
        }
    }
}

static void delay_notice_takes_keeps_the_case_of_the_local_part(void **state)
{
    struct mailbox mailbox;
    (void)state;

    assert_true(delay_notice_takes(text_of("<Ann@Example.ORG>"), &mailbox));
    assert_string_equal(mailbox.address, "Ann@example.org");
}

/* --- how often --------------------------------------------------------- */

static unsigned take(struct delay_notice_limit *limit, int64_t per_hour,
                     int64_t now_ms, unsigned times, unsigned *news)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < times; i++) {
        bool began;

        taken += delay_notice_limit_take(limit, per_hour, now_ms, &began);
        *news += began;
    }
    return taken;
}

static void
delay_notice_limit_gives_an_hours_worth_at_once_then_evenly(void **state)
{
    static const int64_t limits[] = {1, 2, 7, 100, 3600, 100000};
    (void)state;

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct delay_notice_limit limit = {0};
        const int64_t per_hour = limits[i];
        unsigned news = 0;

        assert_int_equal(take(&limit, per_hour, 5, 100001, &news), per_hour);
        assert_int_equal(news, 1);
        assert_false(delay_notice_limit_has(&limit, per_hour, 5));
        assert_in_range(take(&limit, per_hour, 5 + HOUR / 2, 100000, &news),
                        per_hour / 2, per_hour / 2 + 1);
        assert_int_equal(news, 1);
        /* however long nobody asks, it is no more than an hour's */
        assert_int_equal(take(&limit, per_hour, 9 * HOUR, 100001, &news),
                         per_hour);
        assert_int_equal(news, 1);
    }
}

static void
delay_notice_limit_tells_once_that_it_ended_and_how_many(void **state)
{
    struct delay_notice_limit limit = {0};
    uint64_t held_back = 0;
    unsigned news = 0;
    (void)state;

    assert_false(delay_notice_limit_ended(&limit, 10, 0, &held_back));
    assert_int_equal(take(&limit, 10, 0, 13, &news), 10);
    assert_false(delay_notice_limit_ended(&limit, 10, HOUR / 10, &held_back));
    assert_int_equal(take(&limit, 10, HOUR / 10, 2, &news), 1);
    assert_int_equal(news, 1);
    assert_true(delay_notice_limit_ended(&limit, 10, HOUR, &held_back));
    assert_int_equal(held_back, 4);
    assert_false(delay_notice_limit_ended(&limit, 10, HOUR, &held_back));
    assert_int_equal(take(&limit, 10, HOUR, 20, &news), 9);
    assert_int_equal(news, 2);
}

static void
delay_notice_limit_stands_a_reload_and_a_clock_that_stands(void **state)
{
    struct delay_notice_limit limit = {0};
    unsigned news = 0;
    (void)state;

    assert_int_equal(take(&limit, 100, 1000, 50, &news), 50);
    assert_int_equal(take(&limit, 10, 1000, 50, &news), 5);
    assert_int_equal(take(&limit, 100000, 999, 50, &news), 0);
    assert_int_equal(news, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(delay_notice_is_due_after_so_many_attempts),
        cmocka_unit_test(delay_notice_is_due_refuses_old_news_and_other_events),
        cmocka_unit_test(delay_notice_takes_people_alone),
        cmocka_unit_test(delay_notice_takes_keeps_the_case_of_the_local_part),
        cmocka_unit_test(
            delay_notice_limit_gives_an_hours_worth_at_once_then_evenly),
        cmocka_unit_test(
            delay_notice_limit_tells_once_that_it_ended_and_how_many),
        cmocka_unit_test(
            delay_notice_limit_stands_a_reload_and_a_clock_that_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
