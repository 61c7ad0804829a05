#include "trace_marks.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const several[] = {ANN, BOB, "cid@example.org"};

int64_t marks_now(void)
{
    static const char noon[] = "2026-11-02T12:00:00Z";
    int64_t us = 0;

    assert_true(clock_parse(noon, strlen(noon), &us));
    return us;
}

struct trace_keys *marks_keys(const char *lines)
{
    struct error error = {""};
    struct trace_keys *keys = trace_keys_of(text_of(lines), &error);

    if (keys == NULL) {
        fail_msg("%s gave %s", lines, error.text);
    }
    return keys;
}

int marks_open(void **state)
{
    *state = marks_keys("7 " SECRET " 2026-11-01T00:00:00Z\n");
    return 0;
}

int marks_close(void **state)
{
    trace_keys_free(*state);
    return 0;
}

struct trace_mark mark_at(struct trace_keys *keys, int64_t now_us,
                          const char *const *recipients, size_t count)
{
    struct trace_draft draft;
    struct trace_mark mark;

    assert_true(trace_draft_begin(&draft, keys, now_us));
    for (size_t i = 0; i < count; i++) {
        trace_draft_add(&draft, text_of(recipients[i]));
    }
    assert_true(trace_draft_end(&draft, &mark));
    return mark;
}

struct trace_mark mark_one(struct trace_keys *keys, const char *recipient)
{
    return mark_at(keys, marks_now(), &recipient, 1);
}

struct trace_mark mark_many(struct trace_keys *keys, size_t count)
{
    struct trace_draft draft;
    struct trace_mark mark;

    assert_true(trace_draft_begin(&draft, keys, marks_now()));
    for (size_t i = 0; i < count; i++) {
        char recipient[64];

        (void)snprintf(recipient, sizeof recipient, "r%zu@example.org", i);
        trace_draft_add(&draft, text_of(i < 3 ? several[i] : recipient));
    }
    assert_true(trace_draft_end(&draft, &mark));
    return mark;
}

enum trace_class report_check_at(struct trace_keys *keys, int64_t now_us,
                                 const struct trace_report *report,
                                 struct trace_result *result)
{
    const struct text header = text_of(report->header);
    const struct text recipients[] = {text_of(report->original),
                                      text_of(report->final)};
    const struct trace_evidence evidence = {
        .headers = &header,
        .header_count = report->header != NULL,
        .envelope_id = text_of(report->envelope_id),
        .recipients = recipients,
        .recipient_count = 2,
    };
    enum trace_class class = trace_check(keys, &evidence, now_us, result);

    assert_int_equal(class, result->class);
    if (class == TRACE_NONE) {
        static const struct trace_result nothing;

        assert_memory_equal(result, &nothing, sizeof nothing);
    } else {
        assert_int_equal(strlen(result->replay_key), TRACE_REPLAY_KEY_SIZE - 1);
        assert_int_equal(result->replay_key[12], '-');
        assert_int_equal(strspn(result->replay_key, "0123456789abcdef-"),
                         TRACE_REPLAY_KEY_SIZE - 1);
        assert_int_equal(strlen(result->recipient), result->recipient_length);
    }
    return class;
}

enum trace_class report_check(struct trace_keys *keys,
                              const struct trace_report *report,
                              struct trace_result *result)
{
    return report_check_at(keys, marks_now(), report, result);
}

enum trace_class report_class(struct trace_keys *keys,
                              const struct trace_report *report)
{
    struct trace_result result;

    return report_check(keys, report, &result);
}

size_t marks_samples(struct trace_keys *keys,
                     struct trace_sample samples[MARKS_SAMPLES])
{
    static const size_t counts[] = {2, 3, 9, 50, 51};
    size_t used = 0;

    samples[used++] = (struct trace_sample){mark_one(keys, ANN), ANN};
    /* as long as one with two tags */
    samples[used++] = (struct trace_sample){mark_one(keys, "0123456@89abcdef"),
                                            "0123456@89abcdef"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        samples[used++] =
            (struct trace_sample){mark_many(keys, counts[i]), BOB};
    }
    return used;
}
