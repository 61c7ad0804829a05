/*
 * A message, as the tool reads it and as a milter feeds it, in steps that the
 * first byte tells. Both must come to the same; texts must be within bounds
 * and true to what is promised; each field parser gets the bytes too.
 */
#include "report.h"
#include "report_dsn.h"
#include "report_file.h"
#include "report_mime.h"
#include "report_text.h"
#include "report_words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_text(struct text text, size_t most)
{
    require(text.bytes != NULL || text.length == 0);
    require(text.length <= most);
    require(text.length == 0 || memchr(text.bytes, '\n', text.length) == NULL);
}

static void check_recipient(const struct report *report,
                            const struct report_recipient *recipient)
{
    struct text address = report_recipient_address(recipient);

    require(report->kind != REPORT_NONE);
    require(address.length > 0);
    require(memchr(address.bytes, '@', address.length) != NULL);
    require(report_action_name(recipient->action) != NULL);
    check_text(recipient->final_recipient, REPORT_FIELD_MAX);
    check_text(recipient->original_recipient, REPORT_FIELD_MAX);
    check_text(recipient->status, 9);
    check_text(recipient->diagnostic, REPORT_FIELD_MAX);
    check_text(recipient->remote_mta, REPORT_FIELD_MAX);
    check_text(recipient->said, REPORT_FIELD_MAX);
}

static void check_report(const struct report *report)
{
    require(report_kind_name(report->kind) != NULL);
    require(report->recipient_count <= REPORT_RECIPIENTS_MAX);
    require(report->kind != REPORT_NONE || report->recipient_count == 0);
    for (size_t i = 0; i < report->recipient_count; i++) {
        check_recipient(report, &report->recipients[i]);
    }
    require(report->returned.trace_count <= REPORT_TRACES_MAX);
    require(report->feedback.domain_count <= REPORT_DOMAINS_MAX);
    check_text(report->returned.message_id, REPORT_FIELD_MAX);
    check_text(report->feedback.type, REPORT_FIELD_MAX);
}

static void check_same(const struct report *a, const struct report *b)
{
    require(a->kind == b->kind && a->recipient_count == b->recipient_count);
    for (size_t i = 0; i < a->recipient_count; i++) {
        struct text one = report_recipient_address(&a->recipients[i]);
        struct text other = report_recipient_address(&b->recipients[i]);

        require(one.length == other.length &&
                memcmp(one.bytes, other.bytes, one.length) == 0);
    }
}

/* The body in steps of another size. */
static void feed(struct report_reader *reader, struct text message, size_t step,
                 struct report *report)
{
    struct text body = message;
    struct text line;

    report_reset(reader);
    report_header(reader, text_of("From"), text_of("MAILER-DAEMON@a.example"));
    report_header(reader, text_of("Content-Type"),
                  report_text_line(&body, &line) ? line : text_of(""));
    report_header(reader, text_of("Subject"), text_of("failure notice"));
    require(report_wants(reader, true));
    while (body.length > 0) {
        require(report_body(reader, report_text_part(body, 0, step)) !=
                REPORT_NO_MEMORY);
        body = report_text_part(body, step, body.length);
    }
    require(report_end(reader, report));
    check_report(report);
}

static void check_parsers(struct text text)
{
    struct report_memory *memory = report_memory_new(1 << 20);
    struct report_entity entity;
    struct report_words words;
    struct report_address found;
    struct report_field field;
    struct text rest = text;
    size_t from = 0;
    size_t last = 0;

    require(memory != NULL);
    while (report_text_field(&rest, &field)) {
        require(field.name.length <= 80);
        (void)report_text_mailbox(memory, field.value);
        (void)report_dsn_action(field.value);
        (void)report_mime_words(memory, field.value);
    }
    while (report_text_address(text, &from, &found)) {
        require(from > last && from <= text.length);
        require(found.start < found.end && found.end <= text.length);
        last = from;
    }
    report_mime_entity(text, text, &entity);
    (void)report_dsn_find(text);
    (void)report_text_reply(text);
    if (report_words_read(&words, memory, text)) {
        require(words.line_count <= REPORT_LINES_MAX);
        require(words.text.length == words.lower.length);
    }
    report_memory_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct report_reader *reader;
    struct report whole, steps;
    struct text message;

    if (size == 0) {
        return 0;
    }
    if (reader == NULL) {
        reader = report_new(NULL);
        require(reader != NULL);
    }
    message.bytes = (const char *)data + 1;
    message.length = size - 1;
    require(report_file_read(reader, message, &whole));
    check_report(&whole);
    report_clear(&whole);
    feed(reader, message, (size_t)data[0] + 1, &steps);
    feed(reader, message, message.length + 1, &whole);
    check_same(&whole, &steps);
    report_clear(&whole);
    report_clear(&steps);
    check_parsers(message);
    require(report_size(reader) < (16 << 20));
    return 0;
}
