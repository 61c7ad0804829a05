#include "report_verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char rules_text[] = "full mailbox_full /over quota|full/\n"
                                 "unknown user_unknown /unknown user/\n"
                                 "loop routing_loop /too many hops/\n";

struct world {
    struct bounce_rules *rules;
    struct bounce_scratch *scratch;
};

static int set_up(void **state)
{
    static struct world world;
    char path[] = "/tmp/test_report_verdict.XXXXXX";
    struct bounce_rules_source source = {path, false};
    struct error error = {""};
    int file = mkstemp(path);

    assert_true(file >= 0);
    assert_int_equal(write(file, rules_text, sizeof rules_text - 1),
                     sizeof rules_text - 1);
    assert_int_equal(close(file), 0);
    world.rules = bounce_rules_load(&source, 1, &error);
    assert_int_equal(unlink(path), 0);
    assert_non_null(world.rules);
    world.scratch = bounce_scratch_new(world.rules);
    assert_non_null(world.scratch);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    bounce_scratch_free(world->scratch);
    bounce_rules_free(world->rules);
    return 0;
}

static void report_verdict_asks_texts_in_the_order_of_their_worth(void **state)
{
    static const struct {
        const char *diagnostic, *said, *all, *status;
        enum report_action action;
        enum reason reason;
        enum failure_type type;
        const char *told; /* the status of the verdict */
    } rows[] = {
        {"550 unknown user", "over quota", "too many hops", "5.0.0",
         REPORT_ACTION_FAILED, REASON_USER_UNKNOWN, FAILURE_TYPE_HARD, "5.0.0"},
        {"550 strange", "over quota", NULL, "5.0.0", REPORT_ACTION_FAILED,
         REASON_MAILBOX_FULL, FAILURE_TYPE_SOFT, "5.0.0"},
        {"550 strange", NULL, "too many hops", "5.0.0", REPORT_ACTION_FAILED,
         REASON_ROUTING_LOOP, FAILURE_TYPE_SOFT, "5.0.0"},
        /* a status that says something is no guess */
        {NULL, "too many hops", "over quota", "5.1.1", REPORT_ACTION_FAILED,
         REASON_USER_UNKNOWN, FAILURE_TYPE_HARD, "5.1.1"},
        /* the diagnostic knows the status better */
        {"550 5.2.2 strange", NULL, NULL, "5.0.0", REPORT_ACTION_FAILED,
         REASON_MAILBOX_FULL, FAILURE_TYPE_SOFT, "5.2.2"},
        {"5.1.0 - other 550-'5.2.2 strange'", NULL, NULL, "5.0.0",
         REPORT_ACTION_FAILED, REASON_MAILBOX_FULL, FAILURE_TYPE_SOFT, "5.2.2"},
        /* what went wrong on the way is not why it failed for good */
        {"x-unix; 67", "451 4.0.0 write error 550 5.1.1 you... unknown user",
         NULL, "5.1.1", REPORT_ACTION_FAILED, REASON_USER_UNKNOWN,
         FAILURE_TYPE_HARD, "5.1.1"},
        {"451 4.2.2 over quota", NULL, NULL, "5.0.0", REPORT_ACTION_FAILED,
         REASON_MAILBOX_FULL, FAILURE_TYPE_SOFT, "4.2.2"},
        {"550 unknown user", NULL, NULL, NULL, REPORT_ACTION_DELAYED,
         REASON_USER_UNKNOWN, FAILURE_TYPE_IGNORED, ""},
        {NULL, NULL, NULL, NULL, REPORT_ACTION_FAILED, REASON_UNDETERMINED,
         FAILURE_TYPE_SOFT, ""},
    };
    const struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct report_recipient recipient = {
            .action = rows[i].action,
            .status = text_of(rows[i].status),
            .diagnostic = text_of(rows[i].diagnostic),
            .said = text_of(rows[i].said),
        };
        struct report report = {.recipients = &recipient,
                                .recipient_count = 1,
                                .said = text_of(rows[i].all)};
        struct verdict verdict;
        struct text said;

        report_verdict(world->rules, world->scratch, &report, &recipient,
                       &verdict, &said);
        assert_string_equal(reason_name(verdict.reason),
                            reason_name(rows[i].reason));
        assert_int_equal(verdict.failure_type, rows[i].type);
        assert_string_equal(verdict.enhanced_status, rows[i].told);
        assert_non_null(said.bytes);
    }
}

static void report_verdict_of_many_passes_over_the_whole_text(void **state)
{
    const struct world *world = *state;
    struct report_recipient recipients[2] = {
        {.action = REPORT_ACTION_FAILED, .diagnostic = text_of("550 strange")}};
    struct report report = {.recipients = recipients,
                            .recipient_count = 2,
                            .said = text_of("over quota")};
    struct verdict verdict;
    struct text said;

    report_verdict(world->rules, world->scratch, &report, &recipients[0],
                   &verdict, &said);
    assert_int_equal(verdict.reason, REASON_UNDETERMINED);
}

static void report_verdict_of_a_complaint_goes_by_its_type(void **state)
{
    (void)state;
    assert_int_equal(reason_of_feedback(text_of("abuse")), REASON_COMPLAINT);
    assert_int_equal(reason_of_feedback(text_of("Opt-Out")),
                     REASON_UNSUBSCRIBE);
    assert_int_equal(reason_of_feedback(text_of("not-spam")),
                     REASON_FEEDBACK_OTHER);
    assert_int_equal(reason_of_feedback(text_of(NULL)), REASON_FEEDBACK_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_verdict_asks_texts_in_the_order_of_their_worth),
        cmocka_unit_test(report_verdict_of_many_passes_over_the_whole_text),
        cmocka_unit_test(report_verdict_of_a_complaint_goes_by_its_type),
    };

    return cmocka_run_group_tests_name("report_verdict", tests, set_up,
                                       tear_down);
}
