/*
 * maillog_shown.h - a line of a delivery log, parsed, as one line of text
 */
#ifndef NIXIE_MAILLOG_SHOWN_H
#define NIXIE_MAILLOG_SHOWN_H

#include "maillog_line.h"

#define MAILLOG_SHOWN_SIZE 40000

/* "bounced id=3F1A2C0B7D to=<a@example.net> dsn=5.1.1 remote ... reply=no" */
const char *maillog_shown(const struct maillog_record *record,
                          char buffer[MAILLOG_SHOWN_SIZE]);

/* Parses message behind "Jan  2 03:04:05 mail ", and shows it. */
const char *maillog_parse_shown(struct maillog_parser *parser,
                                struct text message,
                                char buffer[MAILLOG_SHOWN_SIZE]);

/* A named row: what a line must give. */
struct maillog_row {
    const char *name;
    const char *line;
    const char *shown;
};
void maillog_rows_hold(const struct maillog_row *rows, size_t count);

#endif
