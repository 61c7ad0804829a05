/*
 * report_file.h - messages in files, as a report reader is fed with them
 *
 * One message, or an mbox: a line "From " with a time in it, at the start or
 * behind a blank line, begins a message. Line ends are LF, CR LF or CR.
 *
 * Owner    texts are borrowed from the file's bytes.
 * Threads  any.
 */
#ifndef NIXIE_REPORT_FILE_H
#define NIXIE_REPORT_FILE_H

#include "report.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define REPORT_FILE_LINE_MAX 512 /* of a line "From " is looked at */

/* Whether it begins with such a line. */
bool report_file_is_mbox(struct text all);

/* Of an mbox: the length of its first message, all when it is the only one. */
size_t report_file_length(struct text all);

/* Takes the next message off *rest; false when there is no more. */
bool report_file_next(struct text *rest, struct text *message);

/*
 * Reads a whole message; a first line "From MAILER-DAEMON" is a null sender.
 * False when out of memory. *report is of kind REPORT_NONE for what is none.
 */
bool report_file_read(struct report_reader *reader, struct text message,
                      struct report *report);

#endif
