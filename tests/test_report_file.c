#include "report_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void report_file_takes_an_mbox_apart(void **state)
{
    static const struct {
        const char *file;
        int count;
    } rows[] = {
        {"", 0},
        {"Subject: x\n\nFrom a@b Thu Jan  1 00:00:00 2026\n", 1},
        {"From a@b Thu Jan  1 00:00:00 2026\nSubject: x\n\nx\n\n"
         "From c@d Thu Jan  1 00:00:01 2026\nSubject: y\n\ny\n",
         2},
        {"From a@b Thu Jan  1 00:00:00 2026\r\nSubject: x\r\n\r\nx\r\n\r\n"
         "From c@d Thu Jan  1 00:00:01 2026\r\n\r\n",
         2},
        /* no blank line, no time */
        {"From a@b Thu Jan  1 00:00:00 2026\nSubject: x\n\nx\n"
         "From c@d Thu Jan  1 00:00:01 2026\n\nFrom here on\n",
         1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text rest = text_of(rows[i].file);
        struct text message;
        size_t length = 0;
        int count = 0;

        while (report_file_next(&rest, &message)) {
            assert_true(message.length > 0);
            length += message.length;
            count++;
        }
        assert_int_equal(count, rows[i].count);
        assert_int_equal(length, strlen(rows[i].file));
    }
}

static enum report_kind kind_of(struct report_reader *reader, const char *text)
{
    struct report report;
    enum report_kind kind;

    assert_true(report_file_read(reader, text_of(text), &report));
    kind = report.kind;
    report_clear(&report);
    return kind;
}

/* From, a strange person's, and the text of a bounce */
#define BOUNCE                                                                 \
    "From: robot@example.org\nSubject: Delivery failure\n\n"                   \
    "<ann@example.org>: 550 5.1.1 unknown user\n"

static void report_file_knows_a_null_sender_by_the_envelope(void **state)
{
    struct report_reader *reader = report_new(NULL);

    (void)state;
    assert_non_null(reader);
    assert_int_equal(
        kind_of(reader, "From MAILER-DAEMON Thu Jan  1 00:00:00 2026\n" BOUNCE),
        REPORT_LEGACY);
    assert_int_equal(
        kind_of(reader, "From ann@b Thu Jan  1 00:00:00 2026\n" BOUNCE),
        REPORT_NONE);
    assert_int_equal(kind_of(reader, "Return-Path: <>\n" BOUNCE),
                     REPORT_LEGACY);
    assert_int_equal(kind_of(reader, BOUNCE), REPORT_NONE);
    report_free(reader);
}

static void report_file_reads_whatever_headers_there_are(void **state)
{
    static const char *const messages[] = {
        "",
        "\n",
        "\r",
        "\r\n\r\n",
        ":",
        ": x\n\n",
        "From: \n x\n\ty",
        "From",
        "From ",
        "Subject",
        "no header\n\nbody",
        " folded first\n\n",
        "From: MAILER-DAEMON",
        "X-Failed-Recipients:\nFrom: MAILER-DAEMON\n\n"};
    struct report_reader *reader = report_new(NULL);

    (void)state;
    assert_non_null(reader);
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        assert_int_equal(kind_of(reader, messages[i]), REPORT_NONE);
    }
    report_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_file_takes_an_mbox_apart),
        cmocka_unit_test(report_file_knows_a_null_sender_by_the_envelope),
        cmocka_unit_test(report_file_reads_whatever_headers_there_are),
    };

    return cmocka_run_group_tests_name("report_file", tests, NULL, NULL);
}
