#include "verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char rules_text[] =
    "unknown user_unknown /user unknown|no such user/\n"
    "temporarily account_disabled:soft /temporarily disabled/\n"
    "disabled account_disabled /account disabled/\n"
    "full mailbox_full /mailbox (?:is )?full/\n"
    "spam spam_content /\\bspam\\b/\n"
    "odd mailbox_full:hard /very full/\n"
    "noise ignore /out of office/\n";

struct world {
    struct bounce_rules *rules;
    struct bounce_scratch *scratch;
    struct verdict verdict;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    char path[] = "/tmp/nixie-verdictXXXXXX";
    int file = mkstemp(path);
    struct bounce_rules_source source = {path, false};
    struct error error = {""};

    assert_non_null(world);
    assert_true(file >= 0);
    assert_int_equal(write(file, rules_text, sizeof rules_text - 1),
                     sizeof rules_text - 1);
    assert_int_equal(close(file), 0);
    world->rules = bounce_rules_load(&source, 1, &error);
    (void)unlink(path);
    assert_non_null(world->rules);
    world->scratch = bounce_scratch_new(world->rules);
    assert_non_null(world->scratch);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    bounce_scratch_free(world->scratch);
    bounce_rules_free(world->rules);
    free(world);
    return 0;
}

static const struct verdict *classify(struct world *world, const char *reply,
                                      int code, const char *status)
{
    struct verdict_question question = {.reply = text_of(reply),
                                        .reply_code = code,
                                        .enhanced_status = text_of(status)};

    verdict_classify(world->rules, world->scratch, &question, &world->verdict);
    return &world->verdict;
}

struct row {
    const char *reply;
    enum reason reason;
    enum failure_type type;
    const char *rule;
};

static void check(struct world *world, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct verdict *verdict = classify(world, rows[i].reply, 0, NULL);
        char rule[VERDICT_RULE_SIZE];

        assert_string_equal(verdict_rule_name(verdict, rule), rows[i].rule);
        assert_int_equal(verdict->reason, rows[i].reason);
        assert_int_equal(verdict->failure_type, rows[i].type);
    }
}
#define CHECK(state, rows) check(*(state), rows, sizeof(rows) / sizeof(rows)[0])

static void verdict_text_says_more_than_its_codes(void **state)
{
    static const struct row rows[] = {
        {"550 5.7.1 Mailbox full", REASON_MAILBOX_FULL, FAILURE_TYPE_SOFT,
         "full"},
        {"550 5.0.0 <ann@example.org>: User unknown", REASON_USER_UNKNOWN,
         FAILURE_TYPE_HARD, "unknown"},
        {"550 5.1.1 This looks like SPAM", REASON_SPAM_CONTENT,
         FAILURE_TYPE_SOFT, "spam"},
        {"No such user here", REASON_USER_UNKNOWN, FAILURE_TYPE_HARD,
         "unknown"},
        {"550 5.1.1 I am out of office", REASON_ERROR_IGNORED,
         FAILURE_TYPE_IGNORED, "noise"},
        {"550 account disabled", REASON_ACCOUNT_DISABLED, FAILURE_TYPE_HARD,
         "disabled"},
        {"550 account temporarily disabled", REASON_ACCOUNT_DISABLED,
         FAILURE_TYPE_SOFT, "temporarily"},
        {"552 very full", REASON_MAILBOX_FULL, FAILURE_TYPE_HARD, "odd"},
    };

    CHECK(state, rows);
}

static void verdict_of_a_temporary_reply_is_never_hard(void **state)
{
    static const struct row rows[] = {
        {"450 User unknown", REASON_USER_UNKNOWN, FAILURE_TYPE_SOFT, "unknown"},
        {"450 5.1.1 User unknown", REASON_USER_UNKNOWN, FAILURE_TYPE_SOFT,
         "unknown"},
        {"550 4.1.1 User unknown", REASON_USER_UNKNOWN, FAILURE_TYPE_SOFT,
         "unknown"},
        {"4.2.1 account disabled", REASON_ACCOUNT_DISABLED, FAILURE_TYPE_SOFT,
         "disabled"},
        {"452 very full", REASON_MAILBOX_FULL, FAILURE_TYPE_SOFT, "odd"},
        {"450 4.1.1 qwertz", REASON_USER_UNKNOWN, FAILURE_TYPE_SOFT,
         "status:4.1.1"},
        {"450 4.1.10 qwertz", REASON_DOMAIN_NO_MAIL, FAILURE_TYPE_SOFT,
         "status:4.1.10"},
    };

    CHECK(state, rows);
}

static void verdict_falls_back_to_status_then_code_then_nothing(void **state)
{
    static const struct row rows[] = {
        {"550 5.1.1 qwertz", REASON_USER_UNKNOWN, FAILURE_TYPE_HARD,
         "status:5.1.1"},
        {"550 5.1.0 qwertz", REASON_USER_UNKNOWN, FAILURE_TYPE_SOFT,
         "status:5.1.0"},
        {"550 5.1.351 qwertz", REASON_USER_UNKNOWN, FAILURE_TYPE_SOFT,
         "status:5.1.351"},
        {"550 qwertz (#5.2.2)", REASON_MAILBOX_FULL, FAILURE_TYPE_SOFT,
         "status:5.2.2"},
        {"451 4.7.606 qwertz", REASON_POLICY_BLOCK, FAILURE_TYPE_SOFT,
         "status:4.7.606"},
        {"421 4.4.4 qwertz", REASON_DNS_FAILURE, FAILURE_TYPE_SOFT,
         "status:4.4.4"},
        {"556 5.0.0 qwertz", REASON_DOMAIN_NO_MAIL, FAILURE_TYPE_HARD,
         "code:556"},
        {"552 qwertz", REASON_MAILBOX_FULL, FAILURE_TYPE_SOFT, "code:552"},
        {"421 qwertz", REASON_TRANSIENT, FAILURE_TYPE_IGNORED, "code:421"},
        {"250 2.1.5 ok", REASON_DELIVERED, FAILURE_TYPE_IGNORED,
         "status:2.1.5"},
        {"250 ok", REASON_DELIVERED, FAILURE_TYPE_IGNORED, "code:250"},
        {"550 qwertz", REASON_UNDETERMINED, FAILURE_TYPE_SOFT, "none"},
        {"554 5.0.0 qwertz", REASON_UNDETERMINED, FAILURE_TYPE_SOFT, "none"},
        {"550 5.9.9 qwertz", REASON_UNDETERMINED, FAILURE_TYPE_SOFT, "none"},
        {"qwertz", REASON_UNDETERMINED, FAILURE_TYPE_SOFT, "none"},
        {"", REASON_UNDETERMINED, FAILURE_TYPE_SOFT, "none"},
    };

    CHECK(state, rows);
}

static void
verdict_takes_codes_that_are_known_before_those_in_the_text(void **state)
{
    struct world *world = *state;
    const struct verdict *verdict =
        classify(world, "550 5.1.1 User unknown", 451, "4.3.0");

    assert_int_equal(verdict->reply_code, 451);
    assert_string_equal(verdict->enhanced_status, "4.3.0");
    assert_int_equal(verdict->failure_type, FAILURE_TYPE_SOFT);
    verdict = classify(world, "User unknown", 550, "no status");
    assert_int_equal(verdict->reply_code, 550);
    assert_string_equal(verdict->enhanced_status, "");
    assert_int_equal(verdict->failure_type, FAILURE_TYPE_HARD);
}

static void verdict_by_status_blames_no_recipient_for_us(void **state)
{
    struct world *world = *state;

    for (int subject = 0; subject <= 9; subject++) {
        for (int detail = 0; detail <= 40; detail++) {
            for (int class = 4; class <= 5; class ++) {
                char reply[64];
                const struct verdict *verdict;
                enum reason_blame blames;

                (void)snprintf(reply, sizeof reply, "%d50 %d.%d.%d qwertz",
                               class, class, subject, detail);
                verdict = classify(world, reply, 0, NULL);
                blames = reason_facts(verdict->reason)->blames;
                if (verdict->failure_type == FAILURE_TYPE_HARD) {
                    assert_int_equal(class, 5);
                    assert_true(blames == REASON_BLAMES_RECIPIENT ||
                                blames == REASON_BLAMES_DOMAIN);
                }
            }
        }
    }
}

static void verdict_fall_back_forgets_the_rule(void **state)
{
    struct world *world = *state;
    char rule[VERDICT_RULE_SIZE];

    (void)classify(world, "552 5.1.1 mailbox full", 0, NULL);
    assert_int_equal(world->verdict.source, VERDICT_RULE);
    verdict_fall_back(&world->verdict);
    assert_null(world->verdict.rule);
    assert_string_equal(verdict_rule_name(&world->verdict, rule),
                        "status:5.1.1");
    assert_int_equal(world->verdict.failure_type, FAILURE_TYPE_HARD);
}

static void verdict_keeps_the_text_to_be_qualified(void **state)
{
    const struct verdict *verdict =
        classify(*state, "554 Qwertz of ann@example.org, 17 times", 0, NULL);

    assert_int_equal(verdict->source, VERDICT_NONE);
    assert_string_equal(verdict->text.bytes, "qwertz of <addr>, <n> times");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(verdict_text_says_more_than_its_codes),
        TEST(verdict_of_a_temporary_reply_is_never_hard),
        TEST(verdict_falls_back_to_status_then_code_then_nothing),
        TEST(verdict_takes_codes_that_are_known_before_those_in_the_text),
        TEST(verdict_by_status_blames_no_recipient_for_us),
        TEST(verdict_fall_back_forgets_the_rule),
        TEST(verdict_keeps_the_text_to_be_qualified),
    };

    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
