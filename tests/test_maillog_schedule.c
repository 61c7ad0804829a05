#include "maillog_schedule.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define US    INT64_C(1000000)
#define START (INT64_C(1790000000) * US)

static const int64_t minutes[] = {5,   15,  30,  60,   90,  120,
                                  240, 480, 960, 1440, 2880};
#define STEPS (sizeof minutes / sizeof minutes[0])

static void each_attempt_of_a_list_leaves_one_less(void **state)
{
    struct maillog_schedule schedule;
    int64_t at_us = START;

    (void)state;
    maillog_schedule_init(&schedule);
    maillog_schedule_take_minutes(&schedule, minutes, STEPS);
    for (size_t i = 0; i < STEPS; i++) {
        const struct maillog_attempt attempt = {.attempt = (int64_t)i + 1,
                                                .at_us = at_us,
                                                .arrival_us = START,
                                                .first_us = START};
        struct maillog_horizon horizon;

        maillog_schedule_look(&schedule, &attempt, &horizon);
        assert_int_equal(horizon.attempts_left, STEPS - i);
        assert_int_equal(horizon.next_us, at_us + minutes[i] * 60 * US);
        at_us = horizon.next_us;
    }
}

static void the_end_of_a_list_stays_where_it_is(void **state)
{
    struct maillog_schedule schedule;
    int64_t at_us = START;
    int64_t end_us = START;

    (void)state;
    maillog_schedule_init(&schedule);
    maillog_schedule_take_minutes(&schedule, minutes, STEPS);
    for (size_t i = 0; i < STEPS; i++) {
        end_us += minutes[i] * 60 * US;
    }
    for (size_t i = 0; i <= STEPS; i++) {
        const struct maillog_attempt attempt = {.attempt = (int64_t)i + 1,
                                                .at_us = at_us};
        struct maillog_horizon horizon;

        maillog_schedule_look(&schedule, &attempt, &horizon);
        assert_int_equal(horizon.expires_us, end_us);
        at_us = horizon.next_us;
    }
}

static void behind_a_list_nothing_comes(void **state)
{
    struct maillog_schedule schedule;
    static const int64_t attempts[] = {STEPS + 1, STEPS + 2, 1000000};

    (void)state;
    maillog_schedule_init(&schedule);
    maillog_schedule_take_minutes(&schedule, minutes, STEPS);
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        const struct maillog_attempt attempt = {.attempt = attempts[i],
                                                .at_us = START};
        struct maillog_horizon horizon;

        maillog_schedule_look(&schedule, &attempt, &horizon);
        assert_int_equal(horizon.attempts_left, 0);
        assert_int_equal(horizon.next_us, 0);
        assert_int_equal(horizon.expires_us, START);
    }
}

static const struct postfix_row {
    const char *name;
    int64_t age_s;  /* of the message at the attempt */
    int64_t wait_s; /* until the next; 0: none */
    int64_t left;
    bool null_sender;
} postfix_rows[] = {
    /* attempts at 300, 600, 1200, 2400, 4800, 8800 and 12800 s */
    {"a new message waits the least", 0, 300, 7, false},
    {"a young one as long as it is old", 600, 600, 5, false},
    {"an old one the most", 8800, 4000, 1, false},
    {"at the end of its life it is the last", 10000, 0, 0, false},
    {"beyond it, too", 99999, 0, 0, false},
    {"a bounce lives as long as bounces do", 600, 0, 0, true},
};

static void postfix_waits_as_long_as_a_message_is_old(void **state)
{
    struct maillog_schedule schedule;

    (void)state;
    maillog_schedule_init(&schedule);
    schedule.queue_lifetime_s = 10000;
    schedule.bounce_queue_lifetime_s = 600;
    for (size_t i = 0; i < sizeof postfix_rows / sizeof postfix_rows[0]; i++) {
        const struct postfix_row *row = &postfix_rows[i];
        const struct maillog_attempt attempt = {
            .attempt = 3,
            .at_us = START + row->age_s * US,
            .arrival_us = START,
            .null_sender = row->null_sender};
        struct maillog_horizon horizon;

        maillog_schedule_look(&schedule, &attempt, &horizon);
        if (horizon.attempts_left != row->left ||
            horizon.next_us !=
                (row->wait_s == 0 ? 0 : attempt.at_us + row->wait_s * US)) {
            fail_msg("%s: left %lld, next in %lld s", row->name,
                     (long long)horizon.attempts_left,
                     (long long)((horizon.next_us - attempt.at_us) / US));
        }
    }
}

static void an_arrival_that_is_unknown_is_the_first_attempt(void **state)
{
    struct maillog_schedule schedule;
    const struct maillog_attempt attempt = {
        .attempt = 2, .at_us = START + 1000 * US, .first_us = START};
    struct maillog_horizon horizon;

    (void)state;
    maillog_schedule_init(&schedule);
    maillog_schedule_look(&schedule, &attempt, &horizon);
    assert_int_equal(horizon.next_us, START + 2000 * US);
}

static void silly_times_end(void **state)
{
    struct maillog_schedule schedule;
    const struct maillog_attempt attempt = {.attempt = 1, .at_us = START};
    struct maillog_horizon horizon;

    (void)state;
    maillog_schedule_init(&schedule);
    schedule.minimal_backoff_s = 0;
    schedule.maximal_backoff_s = 0;
    schedule.queue_lifetime_s = INT64_C(3153600000);
    maillog_schedule_look(&schedule, &attempt, &horizon);
    assert_true(horizon.attempts_left > 0);
}

/* A folder with a main.cf, for the postconf of this host. */
static void postfix_is_asked_for_its_times(void **state)
{
    char folder[SCRATCH_SIZE], path[64];
    struct maillog_schedule schedule;
    struct error error = {""};

    (void)state;
    if (access("/usr/sbin/postconf", X_OK) != 0) {
        skip();
    }
    scratch_make(folder);
    (void)snprintf(path, sizeof path, "%s/main.cf", folder);
    scratch_write(path, "minimal_backoff_time = 2m\nmaximal_backoff_time = 1h\n"
                        "base = 3\nmaximal_queue_lifetime = ${base}\n"
                        "bounce_queue_lifetime = 12h\nqueue_run_delay = 45\n");
    scratch_age(path);
    assert_int_equal(setenv("MAIL_CONFIG", folder, 1), 0);
    maillog_schedule_init(&schedule);
    if (!maillog_schedule_ask_postfix(&schedule, &error)) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(unsetenv("MAIL_CONFIG"), 0);
    scratch_remove(folder);
    assert_int_equal(schedule.minimal_backoff_s, 120);
    assert_int_equal(schedule.maximal_backoff_s, 3600);
    assert_int_equal(schedule.queue_lifetime_s, 3 * 86400);
    assert_int_equal(schedule.bounce_queue_lifetime_s, 12 * 3600);
    assert_int_equal(schedule.queue_run_delay_s, 45);
}

static void without_an_answer_the_times_stay(void **state)
{
    struct maillog_schedule schedule;
    struct error error = {""};

    (void)state;
    if (access("/usr/sbin/postconf", X_OK) != 0) {
        skip();
    }
    assert_int_equal(setenv("MAIL_CONFIG", "/nonexistent", 1), 0);
    maillog_schedule_init(&schedule);
    schedule.minimal_backoff_s = 7;
    assert_false(maillog_schedule_ask_postfix(&schedule, &error));
    assert_int_equal(unsetenv("MAIL_CONFIG"), 0);
    assert_int_equal(schedule.minimal_backoff_s, 7);
    assert_true(error.text[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_attempt_of_a_list_leaves_one_less),
        cmocka_unit_test(the_end_of_a_list_stays_where_it_is),
        cmocka_unit_test(behind_a_list_nothing_comes),
        cmocka_unit_test(postfix_waits_as_long_as_a_message_is_old),
        cmocka_unit_test(an_arrival_that_is_unknown_is_the_first_attempt),
        cmocka_unit_test(silly_times_end),
        cmocka_unit_test(postfix_is_asked_for_its_times),
        cmocka_unit_test(without_an_answer_the_times_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
