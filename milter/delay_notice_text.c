#include "delay_notice_text.h"

#include "clock.h"
#include "delay_notice_status.h"

#include <gmime/gmime.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_SIZE   24
#define TIME_SIZE     24 /* 2026-11-02 19:43 UTC */
#define US_PER_S      INT64_C(1000000)
#define SUBJECT_MAX   400 /* bytes, filled */
#define MAILER_DAEMON "MAILER-DAEMON"

/* --- for people -------------------------------------------------------- */

/* What the places are filled with. */
struct words {
    struct delay_notice_values values;
    char *recipient, *reply, *sender, *message_id;
    char attempt[NUMBER_SIZE], attempts_left[NUMBER_SIZE];
    char first_at[TIME_SIZE], next_at[TIME_SIZE], expires_at[TIME_SIZE];
};

/* To the minute: what comes is an estimate. NULL: unknown. */
static const char *tell_time(struct text timestamp, char text[TIME_SIZE])
{
    char whole[CLOCK_TIMESTAMP_SIZE];
    int64_t at_us;

    if (timestamp.bytes == NULL ||
        !clock_parse(timestamp.bytes, timestamp.length, &at_us)) {
        return NULL;
    }
    clock_format(at_us, whole);
    (void)snprintf(text, TIME_SIZE, "%.10s %.5s UTC", whole, whole + 11);
    return text;
}

static const char *tell_number(int64_t number, char text[NUMBER_SIZE])
{
    if (number == EVENT_UNKNOWN) {
        return NULL;
    }
    (void)snprintf(text, NUMBER_SIZE, "%" PRId64, number);
    return text;
}

static void find_words(const struct delay_notice_facts *facts,
                       const char *domain, struct words *words)
{
    const struct event *event = facts->event;
    const char **of = words->values.of;

    words->recipient = delay_notice_clean(event->recipient, MAILBOX_MAX);
    words->reply = delay_notice_clean(event->diagnostic, EVENT_DIAGNOSTIC_MAX);
    words->sender =
        delay_notice_clean(text_of(facts->sender->address), MAILBOX_MAX);
    words->message_id = delay_notice_message_id(event->message_id);
    of[DELAY_NOTICE_RECIPIENT] = words->recipient;
    of[DELAY_NOTICE_REPLY] = words->reply;
    of[DELAY_NOTICE_SENDER] = words->sender;
    of[DELAY_NOTICE_MESSAGE_ID] = words->message_id;
    of[DELAY_NOTICE_NODE] = domain;
    of[DELAY_NOTICE_ATTEMPT] = tell_number(event->attempt, words->attempt);
    of[DELAY_NOTICE_ATTEMPTS_LEFT] =
        tell_number(event->attempts_left, words->attempts_left);
    of[DELAY_NOTICE_FIRST_ATTEMPT_AT] =
        tell_time(event->first_attempt_at, words->first_at);
    of[DELAY_NOTICE_NEXT_ATTEMPT_AT] =
        tell_time(event->next_attempt_at, words->next_at);
    of[DELAY_NOTICE_EXPIRES_AT] =
        tell_time(event->expires_at, words->expires_at);
}

static void free_words(struct words *words)
{
    g_free(words->recipient);
    g_free(words->reply);
    g_free(words->sender);
    g_free(words->message_id);
}

/* --- parts ------------------------------------------------------------- */

static void add_part(GMimeMultipart *report, GMimePart *part)
{
    g_mime_multipart_add(report, GMIME_OBJECT(part));
    g_object_unref(part);
}

/*
 * 7 bits whatever the text: a hop between need not know of 8BITMIME. RFC 6533
 * 4 allows that of message/global-delivery-status too.
 */
static void add_bytes(GMimeMultipart *report, const char *type,
                      const char *subtype, const char *bytes)
{
    GMimePart *part = g_mime_part_new_with_type(type, subtype);
    GMimeStream *stream =
        g_mime_stream_mem_new_with_buffer(bytes, strlen(bytes));
    GMimeDataWrapper *content = g_mime_data_wrapper_new_with_stream(
        stream, GMIME_CONTENT_ENCODING_DEFAULT);

    g_mime_part_set_content(part, content);
    if (!g_str_is_ascii(bytes)) {
        g_mime_part_set_content_encoding(
            part, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
    }
    g_object_unref(content);
    g_object_unref(stream);
    add_part(report, part);
}

static void add_text(GMimeMultipart *report, const char *text)
{
    GMimeTextPart *part = g_mime_text_part_new_with_subtype("plain");

    (void)g_mime_text_part_set_charset(part, "utf-8");
    g_mime_text_part_set_text(part, text);
    g_mime_part_set_content_encoding(GMIME_PART(part),
                                     GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
    add_part(report, GMIME_PART(part));
}

static void add_headers(GMimeMultipart *report, const char *message_id)
{
    if (message_id != NULL) {
        char *header = g_strdup_printf("Message-ID: <%s>\n", message_id);

        add_bytes(report, "text", "rfc822-headers", header);
        g_free(header);
    }
}

static GMimeMultipart *make_report(const struct delay_notice_facts *facts,
                                   const char *domain, const char *text,
                                   const char *message_id)
{
    GMimeMultipart *report = g_mime_multipart_new_with_subtype("report");
    char *boundary = g_strdup_printf("=_%s", facts->id);
    bool global;
    char *status = delay_notice_status(facts->event, domain, &global);

    g_mime_object_set_content_type_parameter(GMIME_OBJECT(report),
                                             "report-type", "delivery-status");
    g_mime_multipart_set_boundary(report, boundary);
    add_text(report, text);
    add_bytes(report, "message",
              global ? "global-delivery-status" : "delivery-status", status);
    add_headers(report, message_id);
    g_free(status);
    g_free(boundary);
    return report;
}

/* --- the message ------------------------------------------------------- */

/* A value that is one already: GMime folds and encodes nothing of it. */
static void set_raw(GMimeMessage *message, const char *name, const char *value)
{
    GMimeHeaderList *headers =
        g_mime_object_get_header_list(GMIME_OBJECT(message));
    GMimeHeader *header;
    char *raw = g_strdup_printf(" %s\n", value);

    g_mime_header_list_append(headers, name, "", NULL);
    header = g_mime_header_list_get_header(headers, name);
    if (header != NULL) {
        g_mime_header_set_raw_value(header, raw);
    }
    g_free(raw);
}

static void set_subject(GMimeMessage *message, const char *filled)
{
    char *subject = delay_notice_clean(text_of(filled), SUBJECT_MAX);

    g_mime_message_set_subject(message, subject == NULL ? "" : subject,
                               "utf-8");
    g_free(subject);
}

static void set_headers(GMimeMessage *message,
                        const struct delay_notice_facts *facts,
                        const char *domain, const char *subject)
{
    char *from =
        g_strdup_printf("Mail Delivery System <" MAILER_DAEMON "@%s>", domain);
    char *id = g_strdup_printf("<%s@%s>", facts->id, domain);
    GDateTime *date = g_date_time_new_from_unix_utc(facts->now_us / US_PER_S);

    set_raw(message, "From", from);
    set_raw(message, "To", facts->sender->address);
    set_subject(message, subject);
    if (date != NULL) {
        g_mime_message_set_date(message, date);
        g_date_time_unref(date);
    }
    set_raw(message, "Message-ID", id);
    set_raw(message, "Auto-Submitted", "auto-replied");
    g_free(id);
    g_free(from);
}

static void set_references(GMimeMessage *message, const char *message_id)
{
    if (message_id != NULL) {
        char *value = g_strdup_printf("<%s>", message_id);

        set_raw(message, "In-Reply-To", value);
        set_raw(message, "References", value);
        g_free(value);
    }
}

static bool take_bytes(GMimeMessage *mime, struct delay_notice_message *message)
{
    GMimeFormatOptions *format = g_mime_format_options_new();
    GMimeStream *stream = g_mime_stream_mem_new();
    GByteArray *bytes = g_byte_array_new();

    g_mime_format_options_set_newline_format(format, GMIME_NEWLINE_FORMAT_DOS);
    g_mime_stream_mem_set_byte_array(GMIME_STREAM_MEM(stream), bytes);
    message->length = 0;
    if (g_mime_object_write_to_stream(GMIME_OBJECT(mime), format, stream) > 0) {
        message->length = bytes->len;
    }
    message->bytes = (char *)g_byte_array_free(bytes, FALSE);
    g_object_unref(stream);
    g_mime_format_options_free(format);
    return message->length > 0;
}

/* Once for the program; GMime counts, and does not lock. */
static void begin(void)
{
    static gsize begun = 0;

    if (g_once_init_enter(&begun)) {
        g_mime_init();
        g_once_init_leave(&begun, 1);
    }
}

bool delay_notice_write(const struct delay_notice_template *template,
                        const struct delay_notice_facts *facts,
                        struct delay_notice_message *message)
{
    struct words words = {0};
    struct delay_notice_prose prose;
    char *domain = delay_notice_domain(facts->node);
    GMimeMultipart *report;
    GMimeMessage *mime;
    bool written;

    begin();
    find_words(facts, domain, &words);
    delay_notice_template_fill(template, &words.values, &prose);
    report = make_report(facts, domain, prose.text, words.message_id);
    mime = g_mime_message_new(FALSE);
    set_headers(mime, facts, domain, prose.subject);
    set_references(mime, words.message_id);
    g_mime_message_set_mime_part(mime, GMIME_OBJECT(report));
    written = take_bytes(mime, message);
    message->needs_utf8 = !g_str_is_ascii(facts->sender->address);
    g_object_unref(mime);
    g_object_unref(report);
    g_free(prose.subject);
    g_free(prose.text);
    free_words(&words);
    g_free(domain);
    return written;
}
