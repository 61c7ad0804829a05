#include "report_file.h"

#include "report_text.h"

#include <string.h>

#define FEED_SIZE (64 * 1024) /* as a milter gets a body, at most */

/* --- lines ------------------------------------------------------------- */

/* The next line with any line end, without it. */
static bool take_line(struct text *rest, struct text *line)
{
    size_t length = 0;
    size_t behind;

    if (rest->length == 0) {
        return false;
    }
    while (length < rest->length && rest->bytes[length] != '\n' &&
           rest->bytes[length] != '\r') {
        length++;
    }
    *line = report_text_part(*rest, 0, length);
    behind = length + (length < rest->length);
    if (behind < rest->length && rest->bytes[length] == '\r' &&
        rest->bytes[behind] == '\n') {
        behind++;
    }
    *rest = report_text_part(*rest, behind, rest->length);
    return true;
}

/* "From ann@example.org Thu Apr  9 23:34:45 2015" */
bool report_file_is_mbox(struct text all)
{
    struct text rest = report_text_part(all, 0, REPORT_FILE_LINE_MAX);
    struct text line;

    return take_line(&rest, &line) && line.length > 10 &&
           memcmp(line.bytes, "From ", 5) == 0 &&
           memchr(line.bytes, ':', line.length) != NULL;
}

/* --- messages ---------------------------------------------------------- */

/* Where the message behind this one begins: at an envelope. */
size_t report_file_length(struct text all)
{
    const char *at = all.bytes;
    const char *end = all.bytes + all.length;

    while ((at = memmem(at, (size_t)(end - at), "\nFrom ", 6)) != NULL) {
        size_t start = (size_t)(at - all.bytes) + 1;
        bool blank =
            start >= 2 && (all.bytes[start - 2] == '\n' ||
                           (start >= 3 && all.bytes[start - 2] == '\r' &&
                            all.bytes[start - 3] == '\n'));

        if (blank &&
            report_file_is_mbox(report_text_part(all, start, all.length))) {
            return start;
        }
        at++;
    }
    return all.length;
}

bool report_file_next(struct text *rest, struct text *message)
{
    size_t length;

    if (rest->length == 0) {
        return false;
    }
    length =
        report_file_is_mbox(*rest) ? report_file_length(*rest) : rest->length;
    *message = report_text_part(*rest, 0, length);
    *rest = report_text_part(*rest, length, rest->length);
    return true;
}

static bool is_null_envelope(struct text line)
{
    return report_text_begins(line, "from mailer-daemon ") ||
           report_text_begins(line, "from <> ");
}

static void feed_header(struct report_reader *reader, struct text field)
{
    const char *colon = memchr(field.bytes, ':', field.length);
    struct text name, value;
    size_t length;

    if (colon == NULL) {
        return;
    }
    length = (size_t)(colon - field.bytes);
    name = report_text_trim(report_text_part(field, 0, length));
    value = report_text_part(field, length + 1, field.length);
    report_header(reader, name, value);
}

/* Feeds all headers, and leaves *rest at the body. */
static void feed_headers(struct report_reader *reader, struct text *rest,
                         bool *null_sender)
{
    struct text line;
    struct text field = {NULL, 0};
    bool first = true;

    while (take_line(rest, &line)) {
        if (first && report_file_is_mbox(line)) {
            *null_sender = is_null_envelope(line);
            first = false;
            continue;
        }
        first = false;
        if (line.length > 0 && field.bytes != NULL &&
            (line.bytes[0] == ' ' || line.bytes[0] == '\t')) {
            field.length = (size_t)(line.bytes - field.bytes) + line.length;
            continue;
        }
        if (field.bytes != NULL) {
            feed_header(reader, field);
        }
        field = line;
        if (line.length == 0) {
            return;
        }
    }
    if (field.length > 0) {
        feed_header(reader, field);
    }
}

bool report_file_read(struct report_reader *reader, struct text message,
                      struct report *report)
{
    bool null_sender = false;
    enum report_feed feed = REPORT_MORE;

    memset(report, 0, sizeof *report);
    report_reset(reader);
    feed_headers(reader, &message, &null_sender);
    if (!report_wants(reader, null_sender)) {
        report->rule = "no header tells of a report";
        return true;
    }
    while (message.length > 0 && feed == REPORT_MORE) {
        feed = report_body(reader, report_text_part(message, 0, FEED_SIZE));
        message = report_text_part(message, FEED_SIZE, message.length);
    }
    return report_end(reader, report);
}
