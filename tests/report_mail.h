/*
 * report_mail.h - messages as strings, reports as lines
 *
 * Threads  one.
 */
#ifndef NIXIE_REPORT_MAIL_H
#define NIXIE_REPORT_MAIL_H

#include "report.h"

#define REPORT_MAIL_LINE 8192

/* Reads it whole; the test fails when memory is out. */
void report_mail_read(const char *message, struct report *report);

/*
 * "status: ann@example.org failed 5.1.1 [550 no]; bob@example.org ..."; what
 * is unknown is left out; "none" for what is no report.
 */
void report_mail_line(const struct report *report, char line[REPORT_MAIL_LINE]);

struct report_mail_row {
    const char *message, *line;
};

/* Each message must give its line; with LF, CR LF and CR alike. */
void report_mail_check(const struct report_mail_row *rows, size_t count);
#define REPORT_MAIL_CHECK(rows)                                                \
    report_mail_check(rows, sizeof(rows) / sizeof(rows)[0])

#endif
