/*
 * Lines of a delivery log, one after the other, with and without prefix: what
 * a record says lies in the line or the parser; and around the bytes as a
 * quoted local part, or as what the other side said, a line keeps its
 * recipient and its outcome, or is nothing.
 */
#include "maillog_line.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

static struct maillog_parser *new_parser(void)
{
    struct maillog_parser *parser =
        maillog_parser_new(INT64_C(1767225600000000));

    require(parser != NULL);
    return parser;
}

/* --- any line ---------------------------------------------------------- */

/* Reads each byte, so that a sanitizer sees those that are not there. */
static unsigned sum(struct text text)
{
    unsigned total = 0;

    require(text.bytes != NULL || text.length == 0);
    require(text.length <= MAILLOG_LINE_MAX);
    for (size_t i = 0; i < text.length; i++) {
        total += (unsigned char)text.bytes[i];
    }
    return total;
}

static void check_texts(const struct maillog_record *record)
{
    const struct text texts[] = {
        record->host,      record->program,
        record->queue_id,  record->recipients,
        record->relay,     record->original_recipient,
        record->relay_ip,  record->enhanced_status,
        record->reply,     record->client_name,
        record->client_ip, record->auth_user,
        record->sender,    record->message_id,
    };
    volatile unsigned total = 0;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        total = total + sum(texts[i]);
    }
}

/* What waits outlives its line. */
static void check_copy(const struct maillog_record *record)
{
    struct maillog_record copy;
    char *bytes = maillog_record_copy(record, &copy);

    require(bytes != NULL);
    check_texts(&copy);
    require(copy.reply.length == record->reply.length &&
            (copy.reply.length == 0 ||
             memcmp(copy.reply.bytes, record->reply.bytes, copy.reply.length) ==
                 0));
    free(bytes);
}

static void check_recipients(const struct maillog_record *record)
{
    struct text recipient;
    size_t count = 0;
    size_t at = 0;

    while (maillog_recipient(record, &at, &recipient)) {
        const char *begin = record->recipients.bytes;
        const char *end = begin + record->recipients.length;

        require(recipient.length > 0 && recipient.bytes >= begin &&
                recipient.bytes + recipient.length <= end);
        count++;
    }
    require(count > 0);
}

static void check(enum maillog_kind kind, const struct maillog_record *record)
{
    require(record->kind == kind);
    if (kind == MAILLOG_NOTHING) {
        return;
    }
    check_texts(record);
    check_copy(record);
    require(record->delay_s >= -1 && record->size >= -1 &&
            record->recipient_count >= -1 && record->relay_port >= 0);
    if (kind == MAILLOG_OUTCOME || kind == MAILLOG_REJECTION) {
        check_recipients(record);
        require(kind == MAILLOG_REJECTION || record->queue_id.length > 0);
    }
}

static void check_lines(struct text input)
{
    struct maillog_parser *parser = new_parser();
    struct maillog_record record;

    while (input.length > 0) {
        const char *end = memchr(input.bytes, '\n', input.length);
        struct text line = input;

        if (end != NULL) {
            line.length = (size_t)(end - input.bytes);
        }
        check(maillog_parse(parser, line, &record), &record);
        check(maillog_parse_message(parser, 1, text_of("postfix/smtp"), 2, line,
                                    &record),
              &record);
        check(maillog_parse_message(parser, 1, text_of("sm-mta"), 2, line,
                                    &record),
              &record);
        line.length += end == NULL ? 0 : 1;
        input.bytes += line.length;
        input.length -= line.length;
    }
    maillog_parser_free(parser);
}

/* --- bytes of others inside a line ------------------------------------- */

struct built {
    char bytes[8192];
    size_t length;
};

static void put(struct built *built, const char *bytes, size_t length)
{
    require(built->length + length <= sizeof built->bytes);
    if (length > 0) {
        memcpy(built->bytes + built->length, bytes, length);
    }
    built->length += length;
}

/* As quote_822_local() prints them; no byte that logs never hold. */
static void put_quoted(struct built *built, struct text input, bool sendmail)
{
    put(built, "\"", 1);
    for (size_t i = 0; i < input.length; i++) {
        char byte = input.bytes[i];

        if (byte == '"' || byte == '\\') {
            /* Sendmail doubles backslashes as it logs */
            put(built, "\\\\", sendmail ? 2 : 1);
            put(built, "\\\\", sendmail && byte == '\\' ? 1 : 0);
        }
        put(built, (unsigned char)byte < ' ' ? "?" : &byte, 1);
    }
    put(built, "\"@example.net", 13);
}

static void put_text(struct built *built, struct text input)
{
    for (size_t i = 0; i < input.length; i++) {
        char byte = input.bytes[i];

        put(built, (unsigned char)byte < ' ' || byte == '\\' ? "?" : &byte, 1);
    }
}

/* The one recipient ends so, and the outcome is the real one, or nothing. */
static void check_built(const struct built *built, const char *program,
                        const char *ending, enum maillog_status status)
{
    struct maillog_parser *parser = new_parser();
    struct maillog_record record;
    struct text recipient;
    size_t at = 0;

    if (maillog_parse_message(parser, 1, text_of(program), 2,
                              (struct text){built->bytes, built->length},
                              &record) == MAILLOG_OUTCOME) {
        size_t length = strlen(ending);

        require(maillog_recipient(&record, &at, &recipient));
        require(recipient.length >= length &&
                memcmp(recipient.bytes + recipient.length - length, ending,
                       length) == 0);
        require(!maillog_recipient(&record, &at, &recipient));
        require(record.status == status);
    } else {
        require(record.kind == MAILLOG_NOTHING);
    }
    maillog_parser_free(parser);
}

static void check_postfix(struct text input)
{
    static const char head[] = "3F1A2C0B82: to=<";
    static const char tail[] = ">, relay=none, delay=1, delays=1/0/0/0, "
                               "dsn=2.0.0, status=sent (250 ok)";
    static const char said[] =
        "a@example.net>, relay=mx1[192.0.2.25]:25, delay=1, delays=1/0/0/0, "
        "dsn=5.7.1, status=bounced (host mx1[192.0.2.25] said: ";
    static const char stage[] = " (in reply to end of DATA command))";
    struct built built = {{0}, 0};

    put(&built, head, sizeof head - 1);
    put_quoted(&built, input, false);
    put(&built, tail, sizeof tail - 1);
    check_built(&built, "postfix/smtp", "\"@example.net", MAILLOG_SENT);
    built.length = sizeof head - 1;
    put(&built, said, sizeof said - 1);
    put_text(&built, input);
    put(&built, stage, sizeof stage - 1);
    check_built(&built, "postfix/smtp", "a@example.net", MAILLOG_BOUNCED);
}

static void check_sendmail(struct text input)
{
    static const char head[] = "60215wXk003001: to=<";
    static const char tail[] = ">, delay=00:00:01, mailer=esmtp, pri=1, "
                               "relay=mx1. [192.0.2.25], dsn=2.0.0, stat=Sent";
    static const char said[] =
        "a@example.net>, delay=00:00:01, mailer=esmtp, pri=1, relay=mx1. "
        "[192.0.2.25], dsn=5.7.1, reply=550 ";
    static const char stat[] = ", stat=Service unavailable";
    struct built built = {{0}, 0};

    put(&built, head, sizeof head - 1);
    put_quoted(&built, input, true);
    put(&built, tail, sizeof tail - 1);
    check_built(&built, "sm-mta", "\"@example.net", MAILLOG_SENT);
    built.length = sizeof head - 1;
    put(&built, said, sizeof said - 1);
    put_text(&built, input);
    put(&built, stat, sizeof stat - 1);
    check_built(&built, "sm-mta", "a@example.net", MAILLOG_BOUNCED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text input = {(const char *)data, size};

    check_lines(input);
    input.length = size < 1000 ? size : 1000;
    check_postfix(input);
    check_sendmail(input);
    return 0;
}
