#include "policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DAY INT64_C(86400)

/* release_days: as days; -1: for good. */
struct row {
    enum reason reason;
    int64_t strikes, days;
    int64_t release_days[POLICY_RELEASES + 1]; /* ended by 0 */
};

static const struct row defaults[] = {
    {REASON_USER_UNKNOWN, 1, 1, {7, 30, 90, -1}},
    {REASON_USER_MOVED, 1, 1, {7, 30, 90, -1}},
    {REASON_ADDRESS_INVALID, 1, 1, {7, 30, 90, -1}},
    {REASON_DOMAIN_NO_MAIL, 1, 1, {7, 30, 90, -1}},
    {REASON_ACCOUNT_DISABLED, 1, 1, {7, 30, 90, -1}},
    {REASON_SUPPRESSED, 1, 1, {7, 30, 90, -1}},
    {REASON_MAILBOX_FULL, 5, 3, {30}},
    {REASON_DOMAIN_INVALID, 5, 3, {7, 30}},
    {REASON_RECIPIENT_REFUSED, 5, 3, {7, 30}},
    {REASON_EXPIRED, 5, 3, {7, 30}},
    {REASON_UNREACHABLE, 5, 3, {7, 30}},
    {REASON_DNS_FAILURE, 5, 3, {7, 30}},
    {REASON_SYSTEM_FULL, 5, 3, {7, 30}},
    {REASON_SYSTEM_ERROR, 5, 3, {7, 30}},
    {REASON_UNDETERMINED, 5, 3, {7, 30}},
    {REASON_COMPLAINT, 1, 1, {-1}},
    {REASON_UNSUBSCRIBE, 1, 1, {-1}},
};

static const struct row *default_of(enum reason reason)
{
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        if (defaults[i].reason == reason) {
            return &defaults[i];
        }
    }
    return NULL;
}

static int64_t seconds_of(int64_t days)
{
    return days < 0 ? POLICY_FOR_GOOD : days * DAY;
}

static void policy_defaults_are_those_that_are_documented(void **state)
{
    struct policies policies;

    (void)state;
    policies_init(&policies);
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        const struct row *row = &defaults[i];
        const struct policy *policy = policy_of(
            &policies, row->reason, reason_facts(row->reason)->failure_type);

        assert_int_equal(policy->strikes, row->strikes);
        assert_int_equal(policy->days, row->days);
        assert_int_equal(policy->window_s, 30 * DAY);
        for (size_t step = 0; row->release_days[step] != 0; step++) {
            assert_int_equal(policy_release(policy, (int64_t)step),
                             seconds_of(row->release_days[step]));
            assert_true(step < policy->releases);
        }
        assert_int_equal(row->release_days[policy->releases], 0);
    }
}

static void policy_of_all_other_reasons_never_counts(void **state)
{
    static const enum failure_type types[] = {
        FAILURE_TYPE_HARD, FAILURE_TYPE_SOFT, FAILURE_TYPE_IGNORED};
    struct policies policies;

    (void)state;
    policies_init(&policies);
    for (int i = 0; i < REASONS; i++) {
        for (size_t type = 0; default_of((enum reason)i) == NULL && type < 3;
             type++) {
            assert_int_equal(
                policy_of(&policies, (enum reason)i, types[type])->strikes, 0);
        }
    }
}

static void policy_of_each_reason_is_in_its_bounds(void **state)
{
    struct policies policies;

    (void)state;
    policies_init(&policies);
    for (size_t i = 0; i < REASONS; i++) {
        const struct policy *policy = &policies.of[i];

        assert_in_range(policy->strikes, 0, POLICY_STRIKES_MAX);
        assert_in_range(policy->days, 1, POLICY_DAYS_MAX);
        assert_true(policy->strikes == 0 || policy->days <= policy->strikes);
        assert_in_range(policy->window_s, DAY, POLICY_WINDOW_MAX_S);
        assert_in_range(policy->releases, 1, POLICY_RELEASES);
        for (size_t step = 0; step < policy->releases; step++) {
            assert_true(policy->release_s[step] > 0 ||
                        policy->release_s[step] == POLICY_FOR_GOOD);
        }
    }
}

static void
policy_of_what_blames_the_sender_is_not_to_be_configured(void **state)
{
    struct policies policies;

    (void)state;
    policies_init(&policies);
    for (int i = 0; i < REASONS; i++) {
        enum reason reason = (enum reason)i;
        const struct reason_facts *facts = reason_facts(reason);

        policies.of[i].strikes = 1;
        policies.of[i].days = 1;
        if (facts->blames == REASON_BLAMES_SENDER ||
            facts->failure_type == FAILURE_TYPE_IGNORED ||
            reason == REASON_QUARANTINED || reason == REASON_BLOCKLISTED ||
            reason == REASON_MESSAGE_TOO_LARGE) {
            assert_false(policy_can_count(reason));
            assert_int_equal(
                policy_of(&policies, reason, FAILURE_TYPE_HARD)->strikes, 0);
            assert_int_equal(
                policy_of(&policies, reason, FAILURE_TYPE_SOFT)->strikes, 0);
        } else {
            assert_true(policy_can_count(reason));
            assert_int_equal(
                policy_of(&policies, reason, FAILURE_TYPE_HARD)->strikes, 1);
        }
        assert_int_equal(
            policy_of(&policies, reason, FAILURE_TYPE_IGNORED)->strikes, 0);
    }
}

static void policy_of_a_soft_failure_is_never_that_of_a_hard_one(void **state)
{
    static const enum reason hard[] = {
        REASON_USER_UNKNOWN, REASON_USER_MOVED,     REASON_ADDRESS_INVALID,
        REASON_SUPPRESSED,   REASON_DOMAIN_NO_MAIL, REASON_ACCOUNT_DISABLED,
    };
    struct policies policies;

    (void)state;
    policies_init(&policies);
    for (size_t i = 0; i < sizeof hard / sizeof hard[0]; i++) {
        assert_ptr_equal(policy_of(&policies, hard[i], FAILURE_TYPE_SOFT),
                         &policies.of[REASON_UNDETERMINED]);
        assert_ptr_equal(policy_of(&policies, hard[i], FAILURE_TYPE_HARD),
                         &policies.of[hard[i]]);
    }
    assert_ptr_equal(
        policy_of(&policies, REASON_MAILBOX_FULL, FAILURE_TYPE_SOFT),
        &policies.of[REASON_MAILBOX_FULL]);
}

static void policy_of_strikes_given_up_is_that_of_expired(void **state)
{
    static const enum reason waits[] = {REASON_GREYLISTED, REASON_RATE_LIMITED,
                                        REASON_TRANSIENT};
    struct policies policies;

    (void)state;
    policies_init(&policies);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        assert_int_equal(
            policy_of(&policies, waits[i], FAILURE_TYPE_SOFT)->strikes, 0);
        assert_ptr_equal(
            policy_of_strikes(&policies, waits[i], FAILURE_TYPE_SOFT),
            &policies.of[REASON_EXPIRED]);
    }
    assert_ptr_equal(
        policy_of_strikes(&policies, REASON_USER_UNKNOWN, FAILURE_TYPE_HARD),
        &policies.of[REASON_USER_UNKNOWN]);
}

static void policy_of_a_soft_failure_keeps_a_limit_that_is_higher(void **state)
{
    static const struct {
        int64_t strikes, days;           /* of account_disabled */
        int64_t soft_strikes, soft_days; /* of undetermined */
        int64_t strikes_that_go, days_that_go;
    } rows[] = {
        {1, 1, 5, 3, 5, 3},   {4, 4, 5, 3, 5, 3}, {6, 2, 5, 3, 5, 3},
        {10, 4, 5, 3, 10, 4}, {5, 3, 5, 3, 5, 3}, {0, 1, 5, 3, 0, 1},
        {1, 1, 0, 3, 0, 3},   {9, 9, 0, 3, 0, 3},
    };
    struct policies policies;

    (void)state;
    policies_init(&policies);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct policy *policy;

        policies.of[REASON_ACCOUNT_DISABLED].strikes = rows[i].strikes;
        policies.of[REASON_ACCOUNT_DISABLED].days = rows[i].days;
        policies.of[REASON_UNDETERMINED].strikes = rows[i].soft_strikes;
        policies.of[REASON_UNDETERMINED].days = rows[i].soft_days;
        policy =
            policy_of(&policies, REASON_ACCOUNT_DISABLED, FAILURE_TYPE_SOFT);
        assert_int_equal(policy->strikes, rows[i].strikes_that_go);
        if (policy->strikes > 0) {
            assert_int_equal(policy->days, rows[i].days_that_go);
        }
    }
}

static void policy_release_stays_at_the_last_one(void **state)
{
    static const struct {
        int64_t before, days;
    } rows[] = {
        {INT64_MIN, 7}, {-1, 7}, {0, 7},        {1, 30},         {2, 90},
        {3, -1},        {4, -1}, {1000000, -1}, {INT64_MAX, -1},
    };
    struct policies policies;
    struct policy one = {.strikes = 1, .releases = 1, .release_s = {60}};

    (void)state;
    policies_init(&policies);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(
            policy_release(&policies.of[REASON_USER_UNKNOWN], rows[i].before),
            seconds_of(rows[i].days));
        assert_int_equal(policy_release(&one, rows[i].before), 60);
    }
}

static void policy_breaker_opens_at_its_limits_and_not_below(void **state)
{
    static const struct {
        bool domain;
        int64_t failures, deliveries;
        bool opens;
    } rows[] = {
        {true, 19, 0, false},
        {true, 20, 0, true},
        {true, 20, 20, true},
        {true, 20, 21, false},
        {true, 21, 21, true},
        {false, 199, 0, false},
        {false, 200, 200, true},
        {false, 200, 201, false},
        {true, 0, 0, false},
        {true, -5, -5, false},
        {true, 20, -1, true},
        {true, INT64_MAX, 0, true},
        {true, INT64_MAX, INT64_MAX, true},
        {true, 20, INT64_MAX, false},
        {true, INT64_MIN, INT64_MAX, false},
    };
    struct policy_breaker breaker;

    (void)state;
    policy_breaker_init(&breaker);
    assert_int_equal(breaker.pause_s, 3600);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (policy_breaker_opens(&breaker, rows[i].domain, rows[i].failures,
                                 rows[i].deliveries) != rows[i].opens) {
            fail_msg("row %zu", i);
        }
    }
}

static void policy_breaker_of_no_failures_never_opens(void **state)
{
    const struct policy_breaker none = {0, 0, 1, 3600};
    const struct policy_breaker all = {0, 1, 100, 3600};

    (void)state;
    assert_false(policy_breaker_opens(&none, true, 1000, 0));
    assert_false(policy_breaker_opens(&none, false, 1000, 0));
    assert_false(policy_breaker_opens(&all, true, 1000, 0));
    assert_true(policy_breaker_opens(&all, false, 1000, 0));
    assert_false(policy_breaker_opens(&all, false, 1000, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_defaults_are_those_that_are_documented),
        cmocka_unit_test(policy_of_all_other_reasons_never_counts),
        cmocka_unit_test(policy_of_each_reason_is_in_its_bounds),
        cmocka_unit_test(
            policy_of_what_blames_the_sender_is_not_to_be_configured),
        cmocka_unit_test(policy_of_a_soft_failure_is_never_that_of_a_hard_one),
        cmocka_unit_test(policy_of_strikes_given_up_is_that_of_expired),
        cmocka_unit_test(policy_of_a_soft_failure_keeps_a_limit_that_is_higher),
        cmocka_unit_test(policy_release_stays_at_the_last_one),
        cmocka_unit_test(policy_breaker_opens_at_its_limits_and_not_below),
        cmocka_unit_test(policy_breaker_of_no_failures_never_opens),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
