#include "delay_notice_policy.h"
#include "delay_notice_template.h"
#include "delay_notice_text.h"

#include <glib.h>
#include <gmime/gmime.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_US INT64_C(1793648581000000) /* 2026-11-02T19:43:01Z */
#define ID     "0f3b6a52-4c11-4d6e-9a07-5d2f6f1c8e10"

/* --- messages ---------------------------------------------------------- */

static struct event delay(void)
{
    struct event event;

    event_init(&event, EVENT_DELAY, NOW_US);
    event.queue_id = text_of("4bXk2s1Zq");
    event.recipient = text_of("bob@example.net");
    event.sender = text_of("ann@example.org");
    event.message_id = text_of("abc.1@example.org");
    event.envelope_id = text_of("QQ314159");
    event.remote_mta = text_of("mx.example.net");
    event.reply_code = 451;
    event.enhanced_status = text_of("4.2.2");
    event.diagnostic = text_of("451 4.2.2 <bob@example.net>: Over quota");
    event.attempt = 3;
    event.attempts_left = 7;
    event.queue_seconds = 5400;
    event.first_attempt_at = text_of("2026-11-02T18:13:02.000000Z");
    event.next_attempt_at = text_of("2026-11-02T20:13:01.000000Z");
    event.expires_at = text_of("2026-11-07T18:13:01.000000Z");
    return event;
}

static const char all_places[] =
    "Subject: late: %{recipient} (%{attempt})\n\n"
    "%{recipient}|%{reply}\n"
    "%{attempts_left}|%{attempt}|%{sender}|%{node}|%{message_id}\n"
    "%{next_attempt_at}|%{expires_at}|%{first_attempt_at}\n";

static struct delay_notice_template *good(const char *text)
{
    struct error error = {""};
    struct delay_notice_template *template =
        delay_notice_template_parse("t.txt", text_of(text), &error);

    if (template == NULL) {
        fail_msg("%s", error.text);
    }
    return template;
}

/* The caller gives message.bytes to g_free(). */
static struct delay_notice_message write_notice(const char *template_text,
                                                const struct event *event)
{
    struct delay_notice_template *template = good(template_text);
    struct delay_notice_message message;
    struct mailbox sender;
    const struct delay_notice_facts facts = {event, &sender, "mail.example.org",
                                             ID, NOW_US};

    assert_true(delay_notice_takes(event->sender, &sender));
    assert_true(delay_notice_write(template, &facts, &message));
    delay_notice_template_free(template);
    return message;
}

static void check(const struct delay_notice_message *message,
                  const char *golden)
{
    char **lines = g_strsplit(golden, "\n", -1);
    char *wanted = g_strjoinv("\r\n", lines);
    char *got = g_strndup(message->bytes, message->length);

    assert_string_equal(got, wanted);
    g_free(got);
    g_free(wanted);
    g_strfreev(lines);
}

static void delay_notice_write_writes_the_golden_message(void **state)
{
    static const char golden[] =
        "From: Mail Delivery System <MAILER-DAEMON@mail.example.org>\n"
        "To: ann@example.org\n"
        "Subject: late: bob@example.net (3)\n"
        "Date: Mon, 02 Nov 2026 19:43:01 +0000\n"
        "Message-ID: <" ID "@mail.example.org>\n"
        "Auto-Submitted: auto-replied\n"
        "In-Reply-To: <abc.1@example.org>\n"
        "References: <abc.1@example.org>\n"
        "MIME-Version: 1.0\n"
        "Content-Type: multipart/report;\n"
        "\tboundary=\"=_" ID "\"; report-type=delivery-status\n"
        "\n"
        "--=_" ID "\n"
        "Content-Type: text/plain; charset=us-ascii\n"
        "Content-Transfer-Encoding: quoted-printable\n"
        "\n"
        "bob@example.net|451 4.2.2 <bob@example.net>: Over quota\n"
        "7|3|ann@example.org|mail.example.org|abc.1@example.org\n"
        "2026-11-02 20:13 UTC|2026-11-07 18:13 UTC|2026-11-02 18:13 UTC\n"
        "\n"
        "--=_" ID "\n"
        "Content-Type: message/delivery-status\n"
        "\n"
        "Original-Envelope-Id: QQ314159\n"
        "Reporting-MTA: dns; mail.example.org\n"
        "X-Nixie-Queue-ID: 4bXk2s1Zq\n"
        "Arrival-Date: Mon, 02 Nov 2026 18:13:01 +0000\n"
        "\n"
        "Final-Recipient: rfc822; bob@example.net\n"
        "Action: delayed\n"
        "Status: 4.2.2\n"
        "Remote-MTA: dns; mx.example.net\n"
        "Diagnostic-Code: smtp; 451 4.2.2 <bob@example.net>: Over quota\n"
        "Last-Attempt-Date: Mon, 02 Nov 2026 19:43:01 +0000\n"
        "Will-Retry-Until: Sat, 07 Nov 2026 18:13:01 +0000\n"
        "\n"
        "--=_" ID "\n"
        "Content-Type: text/rfc822-headers\n"
        "\n"
        "Message-ID: <abc.1@example.org>\n"
        "\n"
        "--=_" ID "--\n";
    struct event event = delay();
    struct delay_notice_message message = write_notice(all_places, &event);
    (void)state;

    check(&message, golden);
    assert_false(message.needs_utf8);
    g_free(message.bytes);
}

static void delay_notice_write_goes_without_what_is_unknown(void **state)
{
    static const char golden[] =
        "From: Mail Delivery System <MAILER-DAEMON@mail.example.org>\n"
        "To: ann@example.org\n"
        "Subject: late: bob@example.net (-)\n"
        "Date: Mon, 02 Nov 2026 19:43:01 +0000\n"
        "Message-ID: <" ID "@mail.example.org>\n"
        "Auto-Submitted: auto-replied\n"
        "MIME-Version: 1.0\n"
        "Content-Type: multipart/report;\n"
        "\tboundary=\"=_" ID "\"; report-type=delivery-status\n"
        "\n"
        "--=_" ID "\n"
        "Content-Type: text/plain; charset=us-ascii\n"
        "Content-Transfer-Encoding: quoted-printable\n"
        "\n"
        "bob@example.net|-\n"
        "-|-|ann@example.org|mail.example.org|-\n"
        "-|-|-\n"
        "\n"
        "--=_" ID "\n"
        "Content-Type: message/delivery-status\n"
        "\n"
        "Reporting-MTA: dns; mail.example.org\n"
        "\n"
        "Final-Recipient: rfc822; bob@example.net\n"
        "Action: delayed\n"
        "Status: 4.0.0\n"
        "Last-Attempt-Date: Mon, 02 Nov 2026 19:43:01 +0000\n"
        "\n"
        "--=_" ID "--\n";
    struct event event;
    struct delay_notice_message message;
    (void)state;

    event_init(&event, EVENT_DELAY, NOW_US);
    event.recipient = text_of("bob@example.net");
    event.sender = text_of("ann@example.org");
    message = write_notice(all_places, &event);
    check(&message, golden);
    g_free(message.bytes);
}

/* Line ends as a text has them. */
static char *lines_of(struct delay_notice_message *message)
{
    char **parts;
    char *text;

    text = g_strndup(message->bytes, message->length);
    parts = g_strsplit(text, "\r\n", -1);
    g_free(text);
    text = g_strjoinv("\n", parts);
    g_strfreev(parts);
    g_free(message->bytes);
    message->bytes = NULL;
    return text;
}

static void has(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", words, text);
    }
}

static void has_not(const char *text, const char *words)
{
    if (strstr(text, words) != NULL) {
        fail_msg("\"%s\" is in:\n%s", words, text);
    }
}

static void
delay_notice_write_tells_the_address_before_aliases_and_after(void **state)
{
    static const struct row {
        const char *recipient, *original, *final, *fields;
    } rows[] = {
        {"bob@example.net", NULL, NULL,
         "\n\nFinal-Recipient: rfc822; bob@example.net\nAction"},
        {"bob@example.net", "Bob@Example.net", NULL,
         "\n\nOriginal-Recipient: rfc822; Bob@Example.net\n"
         "Final-Recipient: rfc822; bob@example.net\nAction"},
        {"bob@example.net", NULL, "rob@example.com",
         "\n\nOriginal-Recipient: rfc822; bob@example.net\n"
         "Final-Recipient: rfc822; rob@example.com\nAction"},
        {"bob@example.net", "BOB@example.net", "rob@example.com",
         "\n\nOriginal-Recipient: rfc822; BOB@example.net\n"
         "Final-Recipient: rfc822; rob@example.com\nAction"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = delay();
        struct delay_notice_message message;
        char *text;

        event.recipient = text_of(rows[i].recipient);
        event.original_recipient = text_of(rows[i].original);
        event.final_recipient = text_of(rows[i].final);
        message = write_notice(all_places, &event);
        text = lines_of(&message);
        has(text, rows[i].fields);
        g_free(text);
    }
}

static void
delay_notice_write_says_whose_words_and_status_they_are(void **state)
{
    static const struct row {
        int64_t code;
        const char *status, *diagnostic, *fields;
    } rows[] = {
        {451, "4.2.2", "451 busy",
         "Status: 4.2.2\nRemote-MTA: dns; mx.example.net\n"
         "Diagnostic-Code: smtp; 451 busy\n"},
        {550, "5.1.1", "550 no", "Status: 4.1.1\n"},
        {EVENT_UNKNOWN, "4.4.1", "connect to mx.example.net: timed out",
         "Diagnostic-Code: X-local; connect to mx.example.net: timed out\n"},
        {451, "4.2.2\nX: y", "451 busy", "Status: 4.0.0\n"},
        {451, NULL, NULL, "Status: 4.0.0\nRemote-MTA: dns; mx.example.net\nL"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = delay();
        struct delay_notice_message message;
        char *text;

        event.reply_code = rows[i].code;
        event.enhanced_status = text_of(rows[i].status);
        event.diagnostic = text_of(rows[i].diagnostic);
        message = write_notice(all_places, &event);
        text = lines_of(&message);
        has(text, rows[i].fields);
        g_free(text);
    }
}

static void delay_notice_write_marks_addresses_that_are_not_ascii(void **state)
{
    struct event event = delay();
    struct delay_notice_message message;
    char *text;
    (void)state;

    event.recipient = text_of("jos\xc3\xa9@example.net");
    message = write_notice(all_places, &event);
    assert_false(message.needs_utf8);
    text = lines_of(&message);
    assert_true(g_str_is_ascii(text));
    has(text, "\nContent-Type: message/global-delivery-status\n"
              "Content-Transfer-Encoding: quoted-printable\n\n");
    has(text, "\nFinal-Recipient: utf-8; jos=C3=A9@example.net\n");
    has(text, "report-type=delivery-status\n");
    g_free(text);
    event.sender = text_of("a\xc3\xb1n@example.org");
    message = write_notice(all_places, &event);
    assert_true(message.needs_utf8);
    text = lines_of(&message);
    has(text, "\nTo: a\xc3\xb1n@example.org\n");
    g_free(text);
}

/* --- hostile values ---------------------------------------------------- */

static void check_lines(const char *bytes, size_t length)
{
    size_t column = 0;

    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            assert_true(i > 0 && bytes[i - 1] == '\r');
            column = 0;
        } else {
            assert_int_not_equal(bytes[i], '\0');
            assert_true(bytes[i] != '\r' || bytes[i + 1] == '\n');
            assert_true(++column <= 998);
        }
    }
}

/* What a reader of MIME makes of it: as many parts, headers, fields. */
static void check_shape(const struct delay_notice_message *message)
{
    GMimeStream *stream =
        g_mime_stream_mem_new_with_buffer(message->bytes, message->length);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeMessage *mime = g_mime_parser_construct_message(parser, NULL);
    GMimeObject *report = g_mime_message_get_mime_part(mime);
    int parts = g_mime_multipart_get_count(GMIME_MULTIPART(report));

    assert_in_range(g_mime_header_list_get_count(
                        g_mime_object_get_header_list(GMIME_OBJECT(mime))),
                    7, 9);
    assert_null(g_mime_object_get_header(GMIME_OBJECT(mime), "Bcc"));
    assert_in_range(parts, 2, 3);
    for (int i = 0; i < parts; i++) {
        GMimeObject *part =
            g_mime_multipart_get_part(GMIME_MULTIPART(report), i);

        assert_in_range(
            g_mime_header_list_get_count(g_mime_object_get_header_list(part)),
            1, 2);
    }
    g_object_unref(mime);
    g_object_unref(parser);
    g_object_unref(stream);
}

static void set_all(struct event *event, struct text value)
{
    event->queue_id = value;
    event->recipient = value;
    event->original_recipient = value;
    event->final_recipient = value;
    event->message_id = value;
    event->envelope_id = value;
    event->remote_mta = value;
    event->enhanced_status = value;
    event->diagnostic = value;
    event->first_attempt_at = value;
    event->next_attempt_at = value;
    event->expires_at = value;
}

static void
delay_notice_write_gives_strangers_no_line_of_their_own(void **state)
{
    static char long_bytes[100000]; /* of "x" */
    static char high_bytes[5000];   /* 0x80 */
    static const char nul[] = "a\0b\r\n\0\r\nBcc: eve@example.com\r\n\r\n";
    const struct text rows[] = {
        {nul, sizeof nul - 1},
        text_of("x\r\nBcc: eve@example.com\r\n\r\nbody"),
        text_of("x\nBcc: eve@example.com\n\nbody"),
        text_of("\r\n.\r\nRSET\r\nMAIL FROM:<eve@example.com>\r\n"),
        text_of("\n--=_" ID "--\nBcc: eve@example.com\n"),
        text_of("x\r\n\tBcc: eve@example.com"),
        text_of("\xff\xfe\x80\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82"),
        text_of("\xe2\x80\xa8"
                "Bcc: eve@example.com\xe2\x80\xa9\xc2\x85\xe2\x80\xae"),
        text_of("%{sender}%s%n${HOME}=?utf-8?q?=0D=0ABcc:_x?="),
        text_of("   "),
        text_of("\r\n\r\n"),
        text_of(";;;\"<>(\\"),
        {"", 0},
        {long_bytes, sizeof long_bytes},
        {high_bytes, sizeof high_bytes},
    };
    (void)state;

    memset(long_bytes, 'x', sizeof long_bytes);
    memset(high_bytes, 0x80, sizeof high_bytes);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = delay();
        struct delay_notice_message message;
        char *text;

        set_all(&event, rows[i]);
        message = write_notice(all_places, &event);
        check_lines(message.bytes, message.length);
        check_shape(&message);
        assert_in_range(message.length, 500, 20000);
        text = lines_of(&message);
        assert_true(g_str_is_ascii(text));
        has_not(strstr(text, "\nContent-Type: message/"), "\nBcc");
        has_not(text, "\n.\n");
        g_free(text);
    }
}

static void delay_notice_write_takes_any_numbers(void **state)
{
    static const int64_t rows[] = {
        EVENT_UNKNOWN, -1, 0, 1, INT64_MAX, INT64_MAX / 1000000, INT64_MIN + 1};
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event = delay();
        struct delay_notice_message message;

        event.timestamp_us = rows[i];
        event.queue_seconds = rows[i];
        event.attempt = rows[i];
        event.attempts_left = rows[i];
        event.reply_code = rows[i];
        message = write_notice(all_places, &event);
        check_shape(&message);
        g_free(message.bytes);
    }
}

static void delay_notice_write_has_no_node_that_is_no_domain(void **state)
{
    static const char *const rows[] = {"",    "a@b",         "a\r\nBcc: x",
                                       "<x>", "[192.0.2.1]", "(x)"};
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct delay_notice_template *template = good(all_places);
        struct event event = delay();
        struct delay_notice_message message;
        struct mailbox sender;
        const struct delay_notice_facts facts = {&event, &sender, rows[i], ID,
                                                 NOW_US};
        char *text;

        assert_true(delay_notice_takes(event.sender, &sender));
        assert_true(delay_notice_write(template, &facts, &message));
        text = lines_of(&message);
        has(text, "<MAILER-DAEMON@localhost>\n");
        has(text, "Reporting-MTA: dns; localhost\n");
        g_free(text);
        delay_notice_template_free(template);
    }
}

/* --- what is shipped --------------------------------------------------- */

/* The part for people, decoded. */
static char *prose_of(const struct delay_notice_message *message)
{
    GMimeStream *stream =
        g_mime_stream_mem_new_with_buffer(message->bytes, message->length);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeMessage *mime = g_mime_parser_construct_message(parser, NULL);
    GMimeObject *report = g_mime_message_get_mime_part(mime);
    GMimeObject *part = g_mime_multipart_get_part(GMIME_MULTIPART(report), 0);
    char *text = g_mime_text_part_get_text(GMIME_TEXT_PART(part));
    char *whole =
        g_strdup_printf("%s\n%s", g_mime_message_get_subject(mime), text);

    g_free(text);
    g_object_unref(mime);
    g_object_unref(parser);
    g_object_unref(stream);
    return whole;
}

static void delay_notice_templates_that_are_shipped_tell_all(void **state)
{
    static const struct row {
        const char *language, *resend;
    } rows[] = {
        {"en", "you do not need\r\nto send the message again"},
        {"es", "no hace falta que\r\nvuelva a enviar el mensaje"},
    };
    static const char *const words[] = {
        "bob@example.net",  "451 4.2.2 <bob@example.net>: Over quota",
        " 7\r\n",           "2026-11-02 20:13 UTC",
        "2026-11-07 18:13", "mail.example.org",
    };
    const char *source = getenv("NIXIE_SOURCE");
    char *folder =
        g_strdup_printf("%s/packaging/notices", source == NULL ? "." : source);
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *path =
            g_strdup_printf("%s/delay.%s.txt", folder, rows[i].language);
        struct event event = delay();
        struct delay_notice_message message;
        gchar *text;
        char *prose;

        assert_true(g_file_get_contents(path, &text, NULL, NULL));
        message = write_notice(text, &event);
        prose = prose_of(&message);
        has(prose, rows[i].resend);
        for (size_t j = 0; j < sizeof words / sizeof words[0]; j++) {
            has(prose, words[j]);
        }
        g_free(prose);
        g_free(message.bytes);
        g_free(text);
        g_free(path);
    }
    g_free(folder);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(delay_notice_write_writes_the_golden_message),
        cmocka_unit_test(delay_notice_write_goes_without_what_is_unknown),
        cmocka_unit_test(
            delay_notice_write_tells_the_address_before_aliases_and_after),
        cmocka_unit_test(
            delay_notice_write_says_whose_words_and_status_they_are),
        cmocka_unit_test(delay_notice_write_marks_addresses_that_are_not_ascii),
        cmocka_unit_test(
            delay_notice_write_gives_strangers_no_line_of_their_own),
        cmocka_unit_test(delay_notice_write_takes_any_numbers),
        cmocka_unit_test(delay_notice_write_has_no_node_that_is_no_domain),
        cmocka_unit_test(delay_notice_templates_that_are_shipped_tell_all),
    };

    g_mime_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
