#include "report_read.h"

#include "report_arf.h"
#include "report_build.h"
#include "report_complaint.h"
#include "report_dsn.h"
#include "report_legacy.h"
#include "report_mime.h"
#include "report_notice.h"
#include "report_text.h"
#include "report_words.h"

#include <stdlib.h>
#include <string.h>

#define RESULT_MAX   (4 * 1024 * 1024)
#define TEXT_MAX     (64 * 1024) /* of a text part is decoded */
#define RETURNED_MAX (32 * 1024) /* of a returned message is looked at */
#define SAID_MAX     2048

/* --- recipients ------------------------------------------------------- */

struct report_recipient *report_build_add(struct report_build *build)
{
    size_t capacity = build->capacity == 0 ? 4 : build->capacity * 2;
    struct report_recipient *recipients;

    if (build->count == build->most) {
        build->cut = true;
        return NULL;
    }
    if (build->count == build->capacity) {
        recipients = realloc(build->recipients, capacity * sizeof *recipients);
        if (recipients == NULL) {
            build->failed = true;
            return NULL;
        }
        build->recipients = recipients;
        build->capacity = capacity;
    }
    memset(&build->recipients[build->count], 0, sizeof *build->recipients);
    return &build->recipients[build->count++];
}

/* --- parts ------------------------------------------------------------- */

struct reading {
    const struct report_signs *signs;
    struct report_build *build;
    struct report_structure structure;
    struct report_words words;
    struct text returned_fields; /* and what is behind them */
};

static const struct report_part *first_part(const struct reading *reading,
                                            enum report_part_kind kind)
{
    for (size_t i = 0; i < reading->structure.count; i++) {
        if (reading->structure.parts[i].kind == kind) {
            return &reading->structure.parts[i];
        }
    }
    return NULL;
}

/* All text parts of that kind in front of what is returned. */
static struct text join_texts(struct reading *reading,
                              enum report_part_kind kind)
{
    struct report_memory *work = reading->build->work;
    struct text all = {NULL, 0};

    for (size_t i = 0; i < reading->structure.count; i++) {
        const struct report_part *part = &reading->structure.parts[i];
        struct text text;
        char *joined;

        if (part->kind == REPORT_PART_RETURNED || all.length >= TEXT_MAX) {
            break;
        }
        if (part->kind != kind) {
            continue;
        }
        text = report_mime_text(work, part, TEXT_MAX);
        if (all.length == 0) {
            all = text;
            continue;
        }
        joined = report_memory_take(work, all.length + text.length + 2);
        if (joined == NULL) {
            break;
        }
        memcpy(joined, all.bytes, all.length);
        joined[all.length] = '\n';
        if (text.length > 0) {
            memcpy(joined + all.length + 1, text.bytes, text.length);
        }
        all = (struct text){joined, all.length + 1 + text.length};
    }
    return all;
}

static bool read_words(struct reading *reading)
{
    struct text text = join_texts(reading, REPORT_PART_TEXT);

    if (report_text_trim(text).length == 0) {
        text = join_texts(reading, REPORT_PART_HTML);
    }
    return report_words_read(&reading->words, reading->build->work, text);
}

/* The fields of a part: some have no blank line between header and fields. */
static struct text part_fields(struct reading *reading,
                               const struct report_part *part)
{
    if (part->encoding == REPORT_ENCODING_NONE && part->content.bytes != NULL &&
        part->head.bytes != NULL) {
        struct text all = {part->head.bytes,
                           (size_t)(part->content.bytes - part->head.bytes) +
                               part->content.length};

        return all;
    }
    return report_mime_text(reading->build->work, part, part->content.length);
}

/* --- the returned message ---------------------------------------------- */

static struct text without_brackets(struct text value)
{
    value = report_text_trim(value);
    if (value.length >= 2 && value.bytes[0] == '<' &&
        value.bytes[value.length - 1] == '>') {
        value = report_text_part(value, 1, value.length - 2);
    }
    return value;
}

static void take_returned_field(struct report_returned *returned,
                                const struct report_field *field)
{
    struct text *kept = NULL;
    struct text value = field->value;

    if (report_text_equals(field->name, "nixie-trace")) {
        if (returned->trace_count < REPORT_TRACES_MAX) {
            returned->traces[returned->trace_count++] = value;
        }
        return;
    }
    if (report_text_equals(field->name, "message-id")) {
        kept = &returned->message_id;
        value = without_brackets(value);
    } else if (report_text_equals(field->name, "return-path")) {
        kept = &returned->return_path;
    } else if (report_text_equals(field->name, "from")) {
        kept = &returned->from;
    } else if (report_text_equals(field->name, "to")) {
        kept = &returned->to;
    } else if (report_text_equals(field->name, "list-id")) {
        kept = &returned->list_id;
    }
    if (kept != NULL && kept->bytes == NULL) {
        *kept = value;
    }
}

static void read_returned(struct reading *reading)
{
    struct report_returned *returned = &reading->build->report->returned;
    const struct report_part *part = first_part(reading, REPORT_PART_RETURNED);
    struct text rest = reading->words.returned;
    struct report_field field;
    bool begun = false;

    if (part != NULL) {
        rest = report_mime_text(reading->build->work, part, RETURNED_MAX);
    }
    rest = report_text_part(rest, 0, RETURNED_MAX);
    reading->returned_fields = rest;
    while (report_text_field(&rest, &field)) {
        if (field.name.length > 0) {
            begun = true;
            take_returned_field(returned, &field);
        } else if (begun && report_text_trim(field.value).length == 0) {
            break;
        }
    }
}

/* The only address in it; unknown: none, or several. */
static struct text only_address(struct text value)
{
    struct report_address found, second;
    size_t from = 0;

    if (value.length == 0 || !report_text_address(value, &from, &found)) {
        return (struct text){NULL, 0};
    }
    while (report_text_address(value, &from, &second)) {
        if (!report_text_same(found.address, second.address)) {
            return (struct text){NULL, 0};
        }
    }
    return found.address;
}

/* --- the kinds --------------------------------------------------------- */

static bool is_report_type(const struct reading *reading, const char *type)
{
    return strcmp(reading->signs->entity.report_type, type) == 0;
}

/* A report, but of no delivery: of sessions, of a reader. */
static bool is_other_type(const struct reading *reading)
{
    return reading->signs->entity.report_type[0] != '\0' &&
           !is_report_type(reading, "delivery-status") &&
           !is_report_type(reading, "feedback-report");
}

/* A group without an address is about the one that nobody else is about. */
static void name_nameless(struct reading *reading)
{
    struct report_build *build = reading->build;
    struct text failed =
        only_address(reading->signs->values[REPORT_HEADER_FAILED]);

    if (failed.bytes == NULL) {
        failed = only_address(build->report->returned.to);
    }
    for (size_t i = 0; i < build->count; i++) {
        struct report_recipient *recipient = &build->recipients[i];

        if (report_recipient_address(recipient).bytes == NULL &&
            build->count == 1) {
            recipient->final_recipient = failed;
        }
    }
}

static void drop_nameless(struct report_build *build)
{
    size_t kept = 0;

    for (size_t i = 0; i < build->count; i++) {
        if (report_recipient_address(&build->recipients[i]).bytes != NULL) {
            build->recipients[kept++] = build->recipients[i];
        }
    }
    build->count = kept;
}

/*
 * Whether fields of a report, in a part of their own or in the text, are the
 * message's own: lists and people pass them on to others.
 */
static bool may_have_fields(const struct reading *reading, bool in_text)
{
    const struct report_signs *signs = reading->signs;

    if (signs->strength == REPORT_STRENGTH_NONE ||
        (in_text && is_other_type(reading))) {
        return false;
    }
    return !in_text || signs->daemon || signs->null_sender ||
           (!signs->answers && !signs->bulk);
}

static bool read_status(struct reading *reading)
{
    struct report_build *build = reading->build;
    struct report *report = build->report;
    const struct report_part *part = first_part(reading, REPORT_PART_STATUS);
    struct text fields = {NULL, 0};

    if (!may_have_fields(reading, part == NULL)) {
        return false;
    }
    if (part != NULL) {
        fields = part_fields(reading, part);
        report->part = "message/delivery-status";
    } else {
        size_t start = report_dsn_find(reading->words.text);

        if (start == REPORT_TEXT_NOWHERE) {
            return false;
        }
        fields = report_text_part(reading->words.text, start,
                                  reading->words.text.length);
        report_words_cut(&reading->words, start);
        report->part = "fields in the text";
    }
    report_dsn_read(build, fields);
    name_nameless(reading);
    drop_nameless(build);
    if (build->count == 0) {
        return false;
    }
    report->kind = REPORT_STATUS;
    report->format = "RFC 3464";
    report->rule = "fields of the recipient";
    for (size_t i = 0; i < build->count; i++) {
        build->recipients[i].said = report_legacy_said(
            build->work, &reading->words,
            report_recipient_address(&build->recipients[i]), build->count == 1);
    }
    return true;
}

/* A complaint in no standard's form. */
static bool read_complaint(struct reading *reading)
{
    struct report *report = reading->build->report;

    report->format =
        report_complaint_read(reading->signs, &reading->words,
                              reading->returned_fields, reading->build);
    if (report->format == NULL) {
        return false;
    }
    report->kind = REPORT_FEEDBACK;
    report->part = "text/plain";
    report->rule = "row of complaints";
    return true;
}

static bool read_feedback(struct reading *reading)
{
    struct report_build *build = reading->build;
    struct report *report = build->report;
    const struct report_part *part = first_part(reading, REPORT_PART_FEEDBACK);

    if (part == NULL) {
        return read_complaint(reading);
    }
    report_arf_read(build, part_fields(reading, part));
    if (report->feedback.type.length == 0) {
        return false;
    }
    if (build->count == 0) {
        struct text to = only_address(report->returned.to);
        struct report_recipient *recipient;

        report->feedback.redacted = true; /* the sender wrote To, not they */
        if (to.bytes != NULL && (recipient = report_build_add(build)) != NULL) {
            recipient->original_recipient = to;
        }
    }
    report->kind = REPORT_FEEDBACK;
    report->format = "RFC 5965";
    report->part = "message/feedback-report";
    report->rule = "fields of the complaint";
    return true;
}

static bool read_legacy(struct reading *reading)
{
    struct report_build *build = reading->build;
    struct report *report = build->report;
    struct report_legacy legacy = {
        reading->signs, &reading->words, {NULL, 0}, false};

    if (reading->signs->other_notice || is_other_type(reading) ||
        first_part(reading, REPORT_PART_DISPOSITION) != NULL) {
        return false;
    }
    legacy.returned = report->returned.from.bytes != NULL ||
                      report->returned.to.bytes != NULL ||
                      first_part(reading, REPORT_PART_RETURNED) != NULL;
    /*
     * A bounce that is returned was sent to whoever sent the message; and who
     * is no MTA only passes it on.
     */
    if (!report_sign_is_daemon(build->work, report->returned.from)) {
        legacy.to = only_address(report->returned.to);
    } else if (!reading->signs->daemon) {
        legacy.returned = false;
    }
    build->count = 0;
    report->rule = report_legacy_read(&legacy, build);
    if (report->rule == NULL) {
        return false;
    }
    report->kind = REPORT_LEGACY;
    report->format = "text";
    report->part = "text/plain";
    return true;
}

static bool read_notice(struct reading *reading)
{
    struct report *report = reading->build->report;

    if (!report_notice_may_be(reading->signs) ||
        !report_notice_read(reading->build, reading->words.text)) {
        return false;
    }
    report->format = "Amazon SNS";
    report->part = "text/plain";
    report->rule = "members of the object";
    return true;
}

/* --- what it is -------------------------------------------------------- */

static bool read_kinds(struct reading *reading)
{
    read_returned(reading);
    return read_feedback(reading) || read_notice(reading) ||
           read_status(reading) || read_legacy(reading);
}

/* HTML may tell more than the text beside it. */
static bool read_html(struct reading *reading)
{
    struct text text;

    if (first_part(reading, REPORT_PART_HTML) == NULL ||
        reading->signs->strength < REPORT_STRENGTH_FAIR) {
        return false;
    }
    text = join_texts(reading, REPORT_PART_HTML);
    return report_words_read(&reading->words, reading->build->work, text) &&
           read_legacy(reading);
}

/* --- the result -------------------------------------------------------- */

static void keep(struct report_memory *memory, struct text *text, size_t most)
{
    if (text->bytes != NULL) {
        *text = report_memory_text(memory, *text, most);
    }
}

static void keep_recipient(struct report_memory *memory,
                           struct report_recipient *recipient)
{
    keep(memory, &recipient->final_recipient, REPORT_FIELD_MAX);
    keep(memory, &recipient->actual_recipient, REPORT_FIELD_MAX);
    keep(memory, &recipient->original_recipient, REPORT_FIELD_MAX);
    keep(memory, &recipient->status, REPORT_FIELD_MAX);
    keep(memory, &recipient->diagnostic, REPORT_FIELD_MAX);
    keep(memory, &recipient->remote_mta, REPORT_FIELD_MAX);
    keep(memory, &recipient->last_attempt, REPORT_FIELD_MAX);
    keep(memory, &recipient->will_retry_until, REPORT_FIELD_MAX);
    keep(memory, &recipient->said, REPORT_FIELD_MAX);
}

static void keep_returned(struct report_memory *memory,
                          struct report_returned *returned)
{
    keep(memory, &returned->message_id, REPORT_FIELD_MAX);
    keep(memory, &returned->from, REPORT_FIELD_MAX);
    keep(memory, &returned->to, REPORT_FIELD_MAX);
    keep(memory, &returned->return_path, REPORT_FIELD_MAX);
    keep(memory, &returned->list_id, REPORT_FIELD_MAX);
    for (size_t i = 0; i < returned->trace_count; i++) {
        keep(memory, &returned->traces[i], REPORT_HEADER_MAX);
    }
}

static void keep_feedback(struct report_memory *memory,
                          struct report_feedback *feedback)
{
    keep(memory, &feedback->type, REPORT_FIELD_MAX);
    keep(memory, &feedback->user_agent, REPORT_FIELD_MAX);
    keep(memory, &feedback->mail_from, REPORT_FIELD_MAX);
    keep(memory, &feedback->arrival_date, REPORT_FIELD_MAX);
    keep(memory, &feedback->source_ip, REPORT_FIELD_MAX);
    keep(memory, &feedback->incidents, REPORT_FIELD_MAX);
    for (size_t i = 0; i < feedback->domain_count; i++) {
        keep(memory, &feedback->domains[i], REPORT_FIELD_MAX);
    }
}

static bool keep_report(const struct report_build *build, struct text said,
                        struct report *report)
{
    struct report_memory *memory = report->memory;
    size_t size = build->count * sizeof *build->recipients;

    report->recipients = report_memory_take(memory, size + 1);
    if (report->recipients == NULL) {
        return false;
    }
    if (build->count > 0) {
        memcpy(report->recipients, build->recipients, size);
    }
    report->recipient_count = build->count;
    report->cut = build->cut;
    report->said = said;
    for (size_t i = 0; i < build->count; i++) {
        keep_recipient(memory, &report->recipients[i]);
    }
    keep(memory, &report->said, SAID_MAX);
    keep(memory, &report->reporting_mta, REPORT_FIELD_MAX);
    keep(memory, &report->envelope_id, REPORT_FIELD_MAX);
    keep(memory, &report->arrival_date, REPORT_FIELD_MAX);
    keep(memory, &report->queue_id, REPORT_FIELD_MAX);
    keep(memory, &report->sender, REPORT_FIELD_MAX);
    keep_returned(memory, &report->returned);
    keep_feedback(memory, &report->feedback);
    return !report_memory_failed(memory);
}

/* Nothing of what was read is left but why it is no report. */
static void forget(struct report *report)
{
    memset(report, 0, sizeof *report);
    report->kind = REPORT_NONE;
    report->rule = "the body tells of no recipient that failed";
}

bool report_read(const struct report_signs *signs, struct text body,
                 struct report_memory *work, size_t recipients_max,
                 struct report *report)
{
    struct report_build build = {
        .report = report, .work = work, .most = recipients_max};
    struct reading reading = {.signs = signs, .build = &build};
    bool is_report, done;

    report_mime_scan(&signs->entity, body, &reading.structure);
    is_report =
        read_words(&reading) && (read_kinds(&reading) || read_html(&reading));
    done = !build.failed && !report_memory_failed(work);
    if (done && is_report) {
        report->memory = report_memory_new(RESULT_MAX);
        done = report->memory != NULL &&
               keep_report(&build, reading.words.text, report);
    } else if (done) {
        forget(report);
    }
    free(build.recipients);
    if (!done) {
        report_clear(report);
    }
    return done;
}
