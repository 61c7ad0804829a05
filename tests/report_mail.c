#include "report_mail.h"

#include "report_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void report_mail_read(const char *message, struct report *report)
{
    struct report_reader *reader = report_new(NULL);
    size_t length = strlen(message);
    char *exact = malloc(length + 1);

    assert_non_null(reader);
    assert_non_null(exact);
    memcpy(exact, message, length);
    assert_true(report_file_read(reader, (struct text){exact, length}, report));
    free(exact); /* the report has copies */
    report_free(reader);
}

static void add(char line[REPORT_MAIL_LINE], const char *before,
                struct text text, const char *behind)
{
    size_t used = strlen(line);
    int length =
        snprintf(line + used, REPORT_MAIL_LINE - used, "%s%.*s%s", before,
                 (int)text.length, text.length == 0 ? "" : text.bytes, behind);

    assert_in_range(length, 0, REPORT_MAIL_LINE - used - 1);
}

void report_mail_line(const struct report *report, char line[REPORT_MAIL_LINE])
{
    (void)snprintf(line, REPORT_MAIL_LINE, "%s",
                   report_kind_name(report->kind));
    if (report->kind == REPORT_FEEDBACK) {
        add(line, " ", report->feedback.type, "");
    }
    for (size_t i = 0; i < report->recipient_count; i++) {
        const struct report_recipient *recipient = &report->recipients[i];

        add(line, i == 0 ? ": " : "; ", report_recipient_address(recipient),
            "");
        if (recipient->action != REPORT_ACTION_UNKNOWN) {
            add(line, " ", text_of(report_action_name(recipient->action)), "");
        }
        if (recipient->status.length > 0) {
            add(line, " ", recipient->status, "");
        }
        if (recipient->diagnostic.length > 0) {
            add(line, " [", recipient->diagnostic, "]");
        }
    }
}

static void with_line_ends(const char *message, const char *line_end,
                           char *copy)
{
    for (; *message != '\0'; message++) {
        if (*message == '\n') {
            copy = stpcpy(copy, line_end);
        } else {
            *copy++ = *message;
        }
    }
    *copy = '\0';
}

void report_mail_check(const struct report_mail_row *rows, size_t count)
{
    static const char *const line_ends[] = {"\n", "\r\n", "\r"};

    for (size_t i = 0; i < count; i++) {
        static char copy[65536];

        assert_true(strlen(rows[i].message) * 2 < sizeof copy);
        for (size_t end = 0; end < sizeof line_ends / sizeof line_ends[0];
             end++) {
            struct report report;
            char line[REPORT_MAIL_LINE];

            with_line_ends(rows[i].message, line_ends[end], copy);
            report_mail_read(copy, &report);
            report_mail_line(&report, line);
            report_clear(&report);
            assert_string_equal(line, rows[i].line);
        }
    }
}
