#include "reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void reason_parse_finds_each_name(void **state)
{
    (void)state;
    for (int i = 0; i < REASONS; i++) {
        const char *name = reason_name((enum reason)i);
        enum reason reason;

        assert_non_null(name);
        assert_true(strlen(name) < REASON_NAME_MAX);
        assert_true(reason_parse(text_of(name), &reason));
        assert_int_equal(reason, i);
    }
}

static void reason_parse_refuses_what_is_no_reason(void **state)
{
    static const char *const names[] = {
        "", "User_Unknown", "user", "ignore", "user_unknown ", "user unknown"};
    enum reason reason;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_false(reason_parse(text_of(names[i]), &reason));
    }
    assert_false(reason_parse(text_of(NULL), &reason));
}

static void reason_that_blames_us_is_never_hard_and_never_acts(void **state)
{
    (void)state;
    for (int i = 0; i < REASONS; i++) {
        const struct reason_facts *facts = reason_facts((enum reason)i);

        if (facts->blames == REASON_BLAMES_SENDER ||
            facts->blames == REASON_BLAMES_MESSAGE) {
            assert_int_equal(facts->failure_type, FAILURE_TYPE_SOFT);
            assert_int_equal(facts->action, REASON_ACTION_NEVER);
        }
    }
}

static void reason_action_agrees_with_its_type(void **state)
{
    (void)state;
    for (int i = 0; i < REASONS; i++) {
        const struct reason_facts *facts = reason_facts((enum reason)i);

        if (facts->action == REASON_ACTION_IMMEDIATE) {
            assert_int_equal(facts->failure_type, FAILURE_TYPE_HARD);
        }
        if (facts->action == REASON_ACTION_COUNT ||
            facts->action == REASON_ACTION_COUNT_RELEASE) {
            assert_int_equal(facts->failure_type, FAILURE_TYPE_SOFT);
        }
        if (facts->failure_type == FAILURE_TYPE_IGNORED) {
            assert_int_equal(facts->action, REASON_ACTION_NEVER);
        }
    }
}

static void reason_facts_have_words_for_people(void **state)
{
    (void)state;
    for (int i = 0; i < REASONS; i++) {
        const struct reason_facts *facts = reason_facts((enum reason)i);

        assert_true(strlen(facts->meaning) > 0);
        assert_null(strchr(facts->meaning, '\n'));
        assert_true(strlen(reason_group_name(facts->group)) > 0);
        assert_true(strlen(reason_action_name(facts->action)) > 0);
        assert_true(strlen(reason_blame_name(facts->blames)) > 0);
        assert_in_range(facts->bounce_class, 0, 100);
    }
}

static void reason_facts_are_those_of_the_taxonomy(void **state)
{
    static const struct {
        enum reason reason;
        const char *name, *group, *type, *action, *blames;
        int bounce_class;
    } rows[] = {
        {REASON_USER_UNKNOWN, "user_unknown", "address", "hard", "immediate",
         "recipient", 10},
        {REASON_MAILBOX_FULL, "mailbox_full", "mailbox", "soft",
         "count_release", "recipient", 22},
        {REASON_DOMAIN_INVALID, "domain_invalid", "domain", "soft", "count",
         "domain", 21},
        {REASON_GREYLISTED, "greylisted", "transient", "ignored", "never",
         "none", 70},
        {REASON_SPAM_CONTENT, "spam_content", "content", "soft", "never",
         "sender", 52},
        {REASON_COMPLAINT, "complaint", "feedback", "hard", "immediate",
         "recipient", 0},
        {REASON_UNDETERMINED, "undetermined", "unknown", "soft", "count",
         "none", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct reason_facts *facts = reason_facts(rows[i].reason);

        assert_string_equal(facts->name, rows[i].name);
        assert_string_equal(reason_group_name(facts->group), rows[i].group);
        assert_string_equal(failure_type_name(facts->failure_type),
                            rows[i].type);
        assert_string_equal(reason_action_name(facts->action), rows[i].action);
        assert_string_equal(reason_blame_name(facts->blames), rows[i].blames);
        assert_int_equal(facts->bounce_class, rows[i].bounce_class);
    }
}

static void failure_type_parse_finds_the_three(void **state)
{
    enum failure_type type;

    (void)state;
    assert_true(failure_type_parse(text_of("hard"), &type));
    assert_int_equal(type, FAILURE_TYPE_HARD);
    assert_true(failure_type_parse(text_of("soft"), &type));
    assert_int_equal(type, FAILURE_TYPE_SOFT);
    assert_true(failure_type_parse(text_of("ignored"), &type));
    assert_int_equal(type, FAILURE_TYPE_IGNORED);
    assert_false(failure_type_parse(text_of("ignore"), &type));
    assert_false(failure_type_parse(text_of(""), &type));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reason_parse_finds_each_name),
        cmocka_unit_test(reason_parse_refuses_what_is_no_reason),
        cmocka_unit_test(reason_that_blames_us_is_never_hard_and_never_acts),
        cmocka_unit_test(reason_action_agrees_with_its_type),
        cmocka_unit_test(reason_facts_have_words_for_people),
        cmocka_unit_test(reason_facts_are_those_of_the_taxonomy),
        cmocka_unit_test(failure_type_parse_finds_the_three),
    };

    return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}
