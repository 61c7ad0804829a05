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

/* Neither about the recipient nor about nobody. */
static void check_refused(struct trace_keys *keys, const char *header,
                          const char *envelope_id, const char *recipient)
{
    const struct trace_report report = {header, envelope_id, NULL, recipient};
    const struct trace_report redacted = {header, envelope_id, NULL, NULL};

    assert_int_equal(report_class(keys, &report), TRACE_NONE);
    assert_int_equal(report_class(keys, &redacted), TRACE_NONE);
}

static void
trace_check_refuses_a_mark_with_any_bit_of_its_text_flipped(void **state)
{
    struct trace_sample samples[MARKS_SAMPLES];
    const size_t count = marks_samples(*state, samples);

    for (size_t i = 0; i < count; i++) {
        char *header = samples[i].mark.header;
        char *id = samples[i].mark.envelope_id;

        for (size_t bit = 0; bit < 8 * strlen(header); bit++) {
            struct trace_report report = {header, NULL, NULL,
                                          samples[i].recipient};
            const struct text value = {header, strlen(header)};
            struct trace_result result;
            const struct text recipient = text_of(samples[i].recipient);
            const struct trace_evidence evidence = {
                &value, 1, {NULL, 0}, &recipient, 1};

            if (bit == 0) {
                assert_int_not_equal(report_class(*state, &report), TRACE_NONE);
            }
            header[bit / 8] = (char)(header[bit / 8] ^ 1 << bit % 8);
            assert_int_equal(
                trace_check(*state, &evidence, marks_now(), &result),
                TRACE_NONE);
            header[bit / 8] = (char)(header[bit / 8] ^ 1 << bit % 8);
        }
        for (size_t bit = 0; bit < 8 * strlen(id); bit++) {
            id[bit / 8] = (char)(id[bit / 8] ^ 1 << bit % 8);
            check_refused(*state, NULL, id, samples[i].recipient);
            id[bit / 8] = (char)(id[bit / 8] ^ 1 << bit % 8);
        }
    }
}

static void
trace_check_refuses_a_mark_with_any_bit_of_its_bytes_flipped(void **state)
{
    struct trace_sample samples[MARKS_SAMPLES];
    const size_t count = marks_samples(*state, samples);

    for (size_t i = 0; i < count; i++) {
        unsigned char mark[TRACE_MARK_MAX];
        unsigned char id[TRACE_ENVELOPE_MARK];
        size_t length;

        assert_true(trace_form_read_header(text_of(samples[i].mark.header),
                                           mark, &length));
        for (size_t bit = 0; bit < 8 * length; bit++) {
            char value[TRACE_HEADER_SIZE];

            mark[bit / 8] ^= (unsigned char)(1 << bit % 8);
            trace_form_header(mark, length, value);
            check_refused(*state, value, NULL, samples[i].recipient);
            mark[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        assert_true(trace_form_read_envelope_id(
            text_of(samples[i].mark.envelope_id), id));
        for (size_t bit = 0; bit < 8 * sizeof id; bit++) {
            char text[TRACE_ENVELOPE_ID_SIZE];

            id[bit / 8] ^= (unsigned char)(1 << bit % 8);
            trace_form_envelope_id(id, text);
            check_refused(*state, NULL, text, samples[i].recipient);
            id[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    }
}

static void trace_check_refuses_a_mark_cut_at_any_byte(void **state)
{
    struct trace_sample samples[MARKS_SAMPLES];
    const size_t count = marks_samples(*state, samples);

    for (size_t i = 0; i < count; i++) {
        char *header = samples[i].mark.header;
        char *id = samples[i].mark.envelope_id;

        for (size_t length = strlen(header); length-- > 0;) {
            header[length] = '\0';
            check_refused(*state, header, NULL, samples[i].recipient);
        }
        for (size_t length = strlen(id); length-- > 0;) {
            id[length] = '\0';
            check_refused(*state, NULL, id, samples[i].recipient);
        }
    }
}

/* Also where the text is whole again, but tags or the recipient are cut. */
static void trace_check_refuses_a_mark_of_another_length(void **state)
{
    struct trace_sample samples[MARKS_SAMPLES];
    const size_t count = marks_samples(*state, samples);

    for (size_t i = 0; i < count; i++) {
        unsigned char mark[TRACE_MARK_MAX] = {0};
        size_t length;

        assert_true(trace_form_read_header(text_of(samples[i].mark.header),
                                           mark, &length));
        for (size_t other = 0; other <= sizeof mark; other++) {
            char value[TRACE_HEADER_SIZE];

            if (other != length) {
                trace_form_header(mark, other, value);
                check_refused(*state, value, NULL, samples[i].recipient);
            }
        }
    }
}

static void trace_check_refuses_a_mark_of_another_key(void **state)
{
    struct trace_keys *others[] = {
        marks_keys("7 " OTHER_SECRET " 2026-11-01T00:00:00Z\n"),
        marks_keys("8 " SECRET " 2026-11-01T00:00:00Z\n"),
        marks_keys("6 " SECRET " 2026-11-01T00:00:00Z\n"
                   "7 " OTHER_SECRET " 2026-10-31T00:00:00Z\n"),
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct trace_sample samples[MARKS_SAMPLES];
        const size_t count = marks_samples(others[i], samples);

        for (size_t j = 0; j < count; j++) {
            check_refused(*state, samples[j].mark.header,
                          samples[j].mark.envelope_id, samples[j].recipient);
        }
        trace_keys_free(others[i]);
    }
}

static void trace_check_believes_a_mark_for_14_days(void **state)
{
    static const char *const ann = ANN;
    static const struct {
        int64_t days; /* that the mark is old */
        enum trace_class class;
    } rows[] = {
        {0, TRACE_VALID}, {1, TRACE_VALID},  {14, TRACE_VALID},
        {15, TRACE_NONE}, {20, TRACE_NONE},  {-1, TRACE_VALID},
        {-2, TRACE_NONE}, {-30, TRACE_NONE}, {-366, TRACE_NONE},
    };
    /* keys for all of these days, and none too old to verify */
    struct trace_keys *keys = marks_keys("7 " SECRET " 2026-10-25T00:00:00Z\n");
    const int64_t midnight = marks_now() - marks_now() % DAY;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct trace_mark mark = mark_at(keys, marks_now(), &ann, 1);
        const struct trace_report report = {mark.header, NULL, NULL, ANN};
        const struct trace_report id = {NULL, mark.envelope_id, NULL, ANN};
        const int64_t day_us = midnight + rows[i].days * DAY;
        struct trace_result result;

        /* from its first instant to its last */
        assert_int_equal(report_check_at(keys, day_us, &report, &result),
                         rows[i].class);
        assert_int_equal(report_check_at(keys, day_us + DAY - 1, &id, &result),
                         rows[i].class);
    }
    trace_keys_free(keys);
}

static void trace_check_takes_a_key_for_45_days(void **state)
{
    static const char *const ann = ANN;
    struct trace_keys *keys = marks_keys("7 " SECRET " 2026-09-21T12:00:00Z\n");
    const struct trace_mark mark = mark_at(keys, marks_now(), &ann, 1);
    const struct trace_report report = {mark.header, mark.envelope_id, NULL,
                                        ANN};
    struct trace_result result;

    (void)state;
    /* made 42 days before */
    assert_int_equal(
        report_check_at(keys, marks_now() + 3 * DAY, &report, &result),
        TRACE_VALID);
    assert_int_equal(
        report_check_at(keys, marks_now() + 3 * DAY + 1, &report, &result),
        TRACE_NONE);
    trace_keys_free(keys);
}

static void trace_check_outlives_a_new_key(void **state)
{
    struct trace_keys *keys =
        marks_keys("7 " SECRET " 2026-11-01T00:00:00Z\n"
                   "31 " OTHER_SECRET " 2026-11-02T00:00:00Z\n");
    const struct trace_mark before = mark_one(*state, ANN);
    const struct trace_mark after = mark_one(keys, ANN);
    const struct trace_report old = {before.header, NULL, NULL, ANN};
    const struct trace_report new = {after.header, NULL, NULL, ANN};

    assert_int_equal(report_class(keys, &old), TRACE_VALID);
    assert_int_equal(report_class(keys, &new), TRACE_VALID);
    assert_int_equal(report_class(*state, &new), TRACE_NONE);
    trace_keys_free(keys);
}

#define TEST_WITH_MARKS(name)                                                  \
    cmocka_unit_test_setup_teardown(name, marks_open, marks_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WITH_MARKS(
            trace_check_refuses_a_mark_with_any_bit_of_its_text_flipped),
        TEST_WITH_MARKS(
            trace_check_refuses_a_mark_with_any_bit_of_its_bytes_flipped),
        TEST_WITH_MARKS(trace_check_refuses_a_mark_cut_at_any_byte),
        TEST_WITH_MARKS(trace_check_refuses_a_mark_of_another_length),
        TEST_WITH_MARKS(trace_check_refuses_a_mark_of_another_key),
        TEST_WITH_MARKS(trace_check_believes_a_mark_for_14_days),
        TEST_WITH_MARKS(trace_check_takes_a_key_for_45_days),
        TEST_WITH_MARKS(trace_check_outlives_a_new_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
