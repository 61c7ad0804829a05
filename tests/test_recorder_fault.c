#include "log.h"
#include "recorder_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void a_broken_connection_is_made_again_at_once(void **state)
{
    struct recorder_fault fault = {.random = 1};
    bool began = true;

    (void)state;
    assert_int_equal(recorder_fault_count(&fault, STORE_LOST, 1000, &began), 0);
    assert_false(began);
    assert_false(recorder_fault_end(&fault)); /* so nobody hears of it */
}

static void a_fault_that_stays_is_told_once(void **state)
{
    struct recorder_fault fault = {.random = 1};
    unsigned told = 0;
    bool began;

    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)recorder_fault_count(&fault, STORE_LOST, i, &began);
        told += began;
    }
    assert_int_equal(told, 1);
    assert_int_equal(fault.since_ms, 0);
    assert_int_equal(fault.tries, 100);
    assert_true(recorder_fault_end(&fault));
    assert_false(recorder_fault_end(&fault));
}

static void delays_double_from_a_tenth_of_a_second_to_thirty(void **state)
{
    struct recorder_fault fault = {.random = 1};
    int64_t whole = 100;
    bool began;

    (void)state;
    (void)recorder_fault_count(&fault, STORE_LOST, 0, &began);
    for (int i = 0; i < 50; i++) {
        int64_t delay = recorder_fault_count(&fault, STORE_LOST, 0, &began);

        assert_true(delay >= whole / 2 && delay <= whole);
        whole = whole * 2 < 30000 ? whole * 2 : 30000;
    }
    assert_int_equal(whole, 30000);
}

static void delays_are_not_all_alike(void **state)
{
    struct recorder_fault one = {.random = 1};
    struct recorder_fault two = {.random = 2};
    bool differ = false;
    bool began;

    (void)state;
    for (int i = 0; i < 20; i++) {
        differ = recorder_fault_count(&one, STORE_BUSY, 0, &began) !=
                     recorder_fault_count(&two, STORE_BUSY, 0, &began) ||
                 differ;
    }
    assert_true(differ);
}

static void a_refusal_is_tried_again_after_half_a_minute(void **state)
{
    struct recorder_fault fault = {.random = 1};
    bool began = false;

    (void)state;
    assert_int_equal(recorder_fault_count(&fault, STORE_REFUSED, 0, &began),
                     FAULT_REFUSED_MS);
    assert_true(began);
    assert_int_equal(recorder_fault_count(&fault, STORE_REFUSED, 0, &began),
                     FAULT_REFUSED_MS);
    assert_false(began);
}

static bool refuse(struct recorder_dead *dead, unsigned key, int64_t now_ms)
{
    struct recorder_result result = {.outcome = OUTCOME_APPLIED};

    result.dead.count = 2;
    (void)snprintf(result.dead.key, sizeof result.dead.key, "k%u", key);
    return recorder_dead_tell(dead, &result, now_ms);
}

static void two_bad_keys_in_turn_are_told_once_each(void **state)
{
    struct recorder_dead dead = {.count = 0};
    unsigned told = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        told += refuse(&dead, i % 2, 1000);
    }
    assert_int_equal(told, 2);
    assert_int_equal(dead.count, 2000);
}

static void bad_keys_beyond_eight_are_summed_up_once_a_minute(void **state)
{
    struct recorder_dead dead = {.count = 0};
    unsigned told = 0;
    unsigned sums = 0;

    (void)state;
    for (unsigned i = 0; i < 3600; i++) {
        told += refuse(&dead, i, i * INT64_C(100));
        sums += recorder_dead_sum_up(&dead, "x", i * INT64_C(100));
    }
    assert_int_equal(told, DEAD_KEYS);
    assert_int_equal(sums, 5); /* in six minutes, from the eighth key on */
    assert_true(recorder_dead_sum_up(&dead, "x", 1000000));
    assert_false(recorder_dead_sum_up(&dead, "x", 2000000)); /* no more came */
}

static void what_is_refused_for_other_reasons_is_told_once(void **state)
{
    struct recorder_dead dead = {.count = 0};
    struct recorder_result result = {.outcome = OUTCOME_APPLIED};

    (void)state;
    result.lost =
        (struct recorder_refusal){.count = 1, .key = "k", .commands = "HSET"};
    assert_true(recorder_dead_tell(&dead, &result, 1000));
    assert_false(recorder_dead_tell(&dead, &result, 1000));
    assert_int_equal(dead.count, 2);
    assert_true(recorder_dead_sum_up(&dead, "x", 61000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_connection_is_made_again_at_once),
        cmocka_unit_test(a_fault_that_stays_is_told_once),
        cmocka_unit_test(delays_double_from_a_tenth_of_a_second_to_thirty),
        cmocka_unit_test(delays_are_not_all_alike),
        cmocka_unit_test(a_refusal_is_tried_again_after_half_a_minute),
        cmocka_unit_test(two_bad_keys_in_turn_are_told_once_each),
        cmocka_unit_test(bad_keys_beyond_eight_are_summed_up_once_a_minute),
        cmocka_unit_test(what_is_refused_for_other_reasons_is_told_once),
    };

    log_open("test_recorder_fault", false, LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
