#include "trace.h"
#include "trace_marks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NEWS trace_scope_code(text_of("news"))

/* To so many recipients, of whom ANN is the first. */
static struct trace_mark mark_in(struct trace_keys *keys, uint32_t code,
                                 size_t count)
{
    struct trace_draft draft;
    struct trace_mark mark;

    assert_true(trace_draft_begin(&draft, keys, marks_now()));
    trace_draft_set_scope(&draft, code);
    for (size_t i = 0; i < count; i++) {
        char recipient[64];

        (void)snprintf(recipient, sizeof recipient, "r%zu@example.org", i);
        trace_draft_add(&draft, text_of(i == 0 ? ANN : recipient));
    }
    assert_true(trace_draft_end(&draft, &mark));
    return mark;
}

static void a_code_is_of_24_bits_and_never_0(void **state)
{
    (void)state;
    /* SHA-256 of "abc", FIPS 180-4 */
    assert_int_equal(trace_scope_code(text_of("abc")), 0xba7816);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        uint32_t code;

        (void)snprintf(name, sizeof name, "s%d", i);
        code = trace_scope_code(text_of(name));
        assert_true(code > 0 && code < 1U << 24);
    }
}

static void each_part_of_a_mark_tells_its_scope(void **state)
{
    static const struct {
        size_t recipients;
        bool header, envelope_id;
        enum trace_class class;
    } rows[] = {
        {1, true, false, TRACE_VALID},      {1, false, true, TRACE_VALID},
        {3, true, false, TRACE_SHARED},     {3, false, true, TRACE_CORRELATED},
        {51, true, true, TRACE_CORRELATED},
    };
    const uint32_t codes[] = {0, 1, NEWS, 0xffffff};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t j = 0; j < sizeof codes / sizeof codes[0]; j++) {
            struct trace_mark mark =
                mark_in(*state, codes[j], rows[i].recipients);
            struct trace_report report = {
                rows[i].header ? mark.header : NULL,
                rows[i].envelope_id ? mark.envelope_id : NULL, NULL, ANN};
            struct trace_result result;

            assert_int_equal(report_check(*state, &report, &result),
                             rows[i].class);
            assert_int_equal(result.scope, codes[j]);
        }
    }
}

static void a_recipient_that_is_recovered_has_the_scope(void **state)
{
    struct trace_mark mark = mark_in(*state, NEWS, 1);
    struct trace_report report = {mark.header, NULL, NULL, NULL};
    struct trace_result result;

    assert_int_equal(report_check(*state, &report, &result), TRACE_SHARED);
    assert_string_equal(result.recipient, ANN);
    assert_int_equal(result.scope, NEWS);
}

static void marks_grow_by_nothing_and_hide_which_scope(void **state)
{
    struct trace_mark without = mark_in(*state, 0, 1);
    struct trace_mark one = mark_in(*state, NEWS, 1);
    struct trace_mark other = mark_in(*state, NEWS, 1);

    assert_int_equal(strlen(without.header), strlen(one.header));
    assert_int_equal(strlen(without.envelope_id), strlen(one.envelope_id));
    /* "1 " and the first of four bytes: the versions differ */
    assert_int_not_equal(without.header[2], one.header[2]);
    assert_int_equal(one.header[2], other.header[2]);
    /* bytes 6 to 8, where the code is: the third group of four letters */
    assert_memory_not_equal(one.header + 10, other.header + 10, 4);
}

static void a_mark_with_another_scope_is_none(void **state)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789-_";
    struct trace_mark mark = mark_in(*state, NEWS, 1);
    struct trace_report report = {mark.header, NULL, NULL, ANN};

    for (size_t at = 10; at < 14; at++) {
        const char was = mark.header[at];

        for (size_t i = 0; i < sizeof letters - 1; i++) {
            struct trace_result result;

            mark.header[at] = letters[i];
            assert_int_equal(report_check(*state, &report, &result),
                             letters[i] == was ? TRACE_VALID : TRACE_NONE);
            assert_int_equal(result.scope, letters[i] == was ? NEWS : 0);
        }
        mark.header[at] = was;
    }
}

#define TEST_WITH_MARKS(name)                                                  \
    cmocka_unit_test_setup_teardown(name, marks_open, marks_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_is_of_24_bits_and_never_0),
        TEST_WITH_MARKS(each_part_of_a_mark_tells_its_scope),
        TEST_WITH_MARKS(a_recipient_that_is_recovered_has_the_scope),
        TEST_WITH_MARKS(marks_grow_by_nothing_and_hide_which_scope),
        TEST_WITH_MARKS(a_mark_with_another_scope_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
