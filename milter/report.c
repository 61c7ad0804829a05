#include "report.h"

#include "report_complaint.h"
#include "report_memory.h"
#include "report_mime.h"
#include "report_notice.h"
#include "report_read.h"
#include "report_sign.h"
#include "report_text.h"

#include <stdlib.h>
#include <string.h>

#define WORK_MAX   (8 * 1024 * 1024) /* decoded texts of a message */
#define BODY_FIRST 8192              /* room for most reports */

struct report_reader {
    struct report_bounds bounds;
    struct report_memory *work;
    struct report_signs signs;
    size_t header_bytes;
    char *body;
    size_t body_length, body_size;
    size_t returns; /* CRs that wait for what comes behind them */
    bool enough, no_memory;
};

/* --- the reader -------------------------------------------------------- */

struct report_reader *report_new(const struct report_bounds *bounds)
{
    struct report_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL) {
        return NULL;
    }
    report_mime_init();
    if (bounds != NULL) {
        reader->bounds = *bounds;
    }
    if (reader->bounds.body_max == 0) {
        reader->bounds.body_max = REPORT_BODY_MAX;
    }
    if (reader->bounds.recipients_max == 0) {
        reader->bounds.recipients_max = REPORT_RECIPIENTS_MAX;
    }
    reader->work = report_memory_new(WORK_MAX);
    if (reader->work == NULL) {
        free(reader);
        return NULL;
    }
    return reader;
}

void report_free(struct report_reader *reader)
{
    if (reader != NULL) {
        report_memory_free(reader->work);
        free(reader->body);
        free(reader);
    }
}

void report_reset(struct report_reader *reader)
{
    report_memory_reset(reader->work);
    memset(&reader->signs, 0, sizeof reader->signs);
    reader->header_bytes = 0;
    reader->body_length = 0;
    reader->returns = 0;
    reader->enough = false;
    reader->no_memory = false;
}

size_t report_size(const struct report_reader *reader)
{
    return sizeof *reader + reader->body_size +
           report_memory_size(reader->work);
}

void report_header(struct report_reader *reader, struct text name,
                   struct text value)
{
    enum report_header header = report_sign_header(name);
    struct text *kept;

    if (header == REPORT_HEADER_OTHER) {
        return;
    }
    kept = &reader->signs.values[header];
    value = report_text_part(report_text_trim(value), 0, REPORT_HEADER_MAX);
    if (kept->bytes != NULL ||
        reader->header_bytes + value.length > REPORT_HEADERS_MAX) {
        return;
    }
    reader->header_bytes += value.length;
    *kept = report_memory_text(reader->work, value, REPORT_HEADER_MAX);
}

bool report_wants(struct report_reader *reader, bool null_sender)
{
    struct report_signs *signs = &reader->signs;

    report_sign_judge(signs, reader->work, null_sender);
    return signs->strength > REPORT_STRENGTH_NONE ||
           strcmp(signs->entity.report_type, "feedback-report") == 0 ||
           report_complaint_may_be(signs) || report_notice_may_be(signs);
}

/* --- the body ---------------------------------------------------------- */

static bool grow(struct report_reader *reader, size_t more)
{
    size_t need = reader->body_length + more;
    size_t size = reader->body_size == 0 ? BODY_FIRST : reader->body_size;
    char *body;

    if (reader->body != NULL && need <= reader->body_size) {
        return true;
    }
    while (size < need) {
        size *= 2;
    }
    body = realloc(reader->body, size);
    if (body == NULL) {
        return false;
    }
    reader->body = body;
    reader->body_size = size;
    return true;
}

/*
 * CR LF, and what some gateway made of it, CR CR LF, is one line end; CRs alone
 * are one each.
 */
static void put_returns(struct report_reader *reader, bool line_feed)
{
    size_t count = line_feed ? 1 : reader->returns;
    size_t room = reader->bounds.body_max - reader->body_length;

    count = count < room ? count : room;
    if (count > 0) {
        memset(reader->body + reader->body_length, '\n', count);
    }
    reader->body_length += count;
    reader->returns = 0;
}

static void put_bytes(struct report_reader *reader, struct text bytes)
{
    size_t room = reader->bounds.body_max - reader->body_length;
    size_t count = bytes.length < room ? bytes.length : room;

    if (count > 0) {
        memcpy(reader->body + reader->body_length, bytes.bytes, count);
        reader->body_length += count;
    }
}

/* Line ends become LF. There is room. */
static void put_lines(struct report_reader *reader, struct text bytes)
{
    while (bytes.length > 0) {
        const char *end = NULL;
        size_t length;

        if (reader->returns > 0 && bytes.bytes[0] != '\r') {
            bool line_feed = bytes.bytes[0] == '\n';

            put_returns(reader, line_feed);
            bytes = report_text_part(bytes, line_feed, bytes.length);
            continue;
        }
        end = memchr(bytes.bytes, '\r', bytes.length);
        length = end == NULL ? bytes.length : (size_t)(end - bytes.bytes);
        put_bytes(reader, report_text_part(bytes, 0, length));
        reader->returns += end != NULL;
        bytes = report_text_part(bytes, length + (end != NULL), bytes.length);
    }
}

enum report_feed report_body(struct report_reader *reader, struct text bytes)
{
    size_t room = reader->bounds.body_max - reader->body_length;

    room -= reader->returns < room ? reader->returns : room;
    if (reader->enough) {
        return REPORT_ENOUGH;
    }
    if (bytes.length > room) {
        bytes.length = room;
        reader->enough = true;
    }
    if (!grow(reader, bytes.length + reader->returns)) {
        reader->no_memory = true;
        return REPORT_NO_MEMORY;
    }
    put_lines(reader, bytes);
    return reader->enough ? REPORT_ENOUGH : REPORT_MORE;
}

/* --- the end ----------------------------------------------------------- */

bool report_end(struct report_reader *reader, struct report *report)
{
    struct text body;

    memset(report, 0, sizeof *report);
    if (reader->no_memory || !grow(reader, reader->returns)) {
        return false;
    }
    put_returns(reader, false);
    body = (struct text){reader->body, reader->body_length};
    if (!report_read(&reader->signs, body, reader->work,
                     reader->bounds.recipients_max, report)) {
        return false;
    }
    report->cut = report->cut || reader->enough;
    return true;
}

void report_clear(struct report *report)
{
    report_memory_free(report->memory);
    memset(report, 0, sizeof *report);
}

/* --- words ------------------------------------------------------------- */

struct text report_recipient_address(const struct report_recipient *recipient)
{
    return recipient->final_recipient.bytes != NULL
               ? recipient->final_recipient
               : recipient->original_recipient;
}

const char *report_action_name(enum report_action action)
{
    static const char *const names[] = {
        [REPORT_ACTION_UNKNOWN] = "",
        [REPORT_ACTION_FAILED] = "failed",
        [REPORT_ACTION_DELAYED] = "delayed",
        [REPORT_ACTION_DELIVERED] = "delivered",
        [REPORT_ACTION_RELAYED] = "relayed",
        [REPORT_ACTION_EXPANDED] = "expanded",
    };

    return names[action];
}

const char *report_kind_name(enum report_kind kind)
{
    static const char *const names[] = {
        [REPORT_NONE] = "none",
        [REPORT_STATUS] = "status",
        [REPORT_LEGACY] = "legacy",
        [REPORT_FEEDBACK] = "feedback",
    };

    return names[kind];
}
