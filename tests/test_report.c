#include "report.h"
#include "report_mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PERSON "From: Ann <ann@example.org>\nTo: list@example.net\n"
#define DAEMON "From: MAILER-DAEMON@mx.example.net\nTo: list@example.net\n"
#define STATUS                                                                 \
    "Content-Type: message/delivery-status\n\nReporting-MTA: dns; "            \
    "mx.example.net\n\nFinal-Recipient: rfc822; bob@example.org\n"             \
    "Action: failed\nStatus: 5.1.1\n"

/* --- what is none ------------------------------------------------------ */

static void
report_passes_over_what_people_and_their_programs_write(void **state)
{
    static const struct report_mail_row rows[] = {
        {PERSON "Subject: hello\n\nbob@example.org\n550 5.1.1 no\n", "none"},
        {PERSON "Subject: Re: mail problem\n\n"
                "> <bob@example.org>: host mx said: 550 5.1.1\n",
         "none"},
        {PERSON "Subject: Re: Undelivered Mail Returned to Sender\n\n"
                "> <bob@example.org>: host mx said: 550 5.1.1 unknown user\n",
         "none"},
        {PERSON "Subject: Fwd: Delivery Status Notification (Failure)\n\n"
                "bob@example.org\n550 5.1.1 unknown user\n",
         "none"},
        {PERSON "Subject: Delivery failure of your parcel 550 1234\n\n"
                "It could not be delivered.\n\nservice@example.com\n",
         "none"},
        {PERSON "Subject: Automatic reply: news\nReturn-Path: <>\n"
                "Auto-Submitted: auto-replied\n\n"
                "I am away. Urgent mail could not be delivered to me:\n\n"
                "bob@example.org\n550 times\n",
         "none"},
        {PERSON "Subject: Re: news\nReturn-Path: <>\nX-Autoreply: yes\n\n"
                "bob@example.org\n550 5.1.1 user unknown\n",
         "none"},
        {PERSON "Subject: away\nReturn-Path: <>\nIn-Reply-To: <1@a>\n\n"
                "I will be back on Monday. bob@example.org helps.\n",
         "none"},
        {PERSON "Subject: Please confirm\nReturn-Path: <>\n\n"
                "Your message to bob@example.org has not been delivered yet: "
                "reply to confirm.\n",
         "none"},
        {"From: news@example.org\nList-Id: <news.example.org>\n"
         "Subject: Delivery failed? Not with us!\n\n"
         "bob@example.org: 550 5.1.1 user unknown\n",
         "none"},
        {DAEMON "Subject: Quarantine summary\n\n"
                "These messages were blocked as spam:\n\n"
                "bob@example.org\nsales@example.com\n",
         "none"},
        {DAEMON "Subject: Successful Mail Delivery Report\n\n"
                "Your message was successfully delivered to\n\n"
                "<bob@example.org>: 250 2.0.0 Ok\n",
         "none"},
        {"\n550 5.1.1 bob@example.org\n", "none"},
        {"", "none"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_passes_over_reports_of_other_types(void **state)
{
    static const struct report_mail_row rows[] = {
        {DAEMON "Subject: Read: news\nContent-Type: multipart/report; "
                "report-type=disposition-notification; boundary=b\n\n"
                "--b\n\nYour message to bob@example.org was not read, 550.\n"
                "--b\nContent-Type: message/disposition-notification\n\n"
                "Final-Recipient: rfc822; bob@example.org\n"
                "Disposition: manual-action; deleted\n--b--\n",
         "none"},
        {DAEMON "Subject: Report Domain: example.net\nContent-Type: "
                "multipart/report; report-type=\"tlsrpt\"; boundary=b\n\n"
                "--b\n\nThis is a report.\n--b\n"
                "Content-Type: application/tlsrpt+gzip\n\nxx\n--b--\n",
         "none"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_never_looks_into_a_returned_message(void **state)
{
    static const struct report_mail_row rows[] = {
        {PERSON "Subject: FYI\nContent-Type: multipart/mixed; boundary=b\n\n"
                "--b\n\nsee below\n--b\nContent-Type: message/rfc822\n\n" DAEMON
                "Content-Type: multipart/report; boundary=c; "
                "report-type=delivery-status\n\n--c\n" STATUS "--c--\n--b--\n",
         "none"},
        {DAEMON "Subject: Undelivered Mail\nContent-Type: multipart/report; "
                "report-type=delivery-status; boundary=b\n\n--b\n" STATUS
                "\n--b\nContent-Type: message/rfc822\n\n" DAEMON
                "Content-Type: multipart/report; boundary=c\n\n"
                "--c\nContent-Type: message/delivery-status\n\n"
                "Final-Recipient: rfc822; eve@example.org\nAction: failed\n"
                "Status: 5.1.1\n--c--\n--b--\n",
         "status: bob@example.org failed 5.1.1"},
        /* the boundary of the inner one is the outer one's beginning */
        {DAEMON "Subject: Undelivered Mail\nContent-Type: multipart/report; "
                "report-type=delivery-status; boundary=b\n\n"
                "--b\nContent-Type: message/rfc822\n\n"
                "Content-Type: multipart/report; boundary=bb\n\n--bb\n" STATUS
                "--bb--\n--b--\n",
         "none"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

/* --- complaints -------------------------------------------------------- */

#define FEEDBACK                                                               \
    "From: fbl@example.org\nSubject: complaint\nContent-Type: "                \
    "multipart/report; report-type=feedback-report; boundary=b\n\n"            \
    "--b\n\nThis is a complaint.\n--b\n"                                       \
    "Content-Type: message/feedback-report\n\n"

static void report_reads_complaints(void **state)
{
    static const struct report_mail_row rows[] = {
        {FEEDBACK "Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n"
                  "Original-Rcpt-To: <bob@example.org>\n"
                  "Original-Rcpt-To: rfc822; BOB@example.org\n"
                  "Original-Rcpt-To: eve@example.org\n--b--\n",
         "feedback abuse: bob@example.org; eve@example.org"},
        {FEEDBACK "feedback-type: Opt-Out (by a click)\n--b\n"
                  "Content-Type: text/rfc822-headers\n\n"
                  "To: Bob <bob@example.org>\n\n--b--\n",
         "feedback opt-out: bob@example.org"},
        {FEEDBACK "Feedback-Type: abuse\n"
                  "Original-Rcpt-To: [redacted]\n--b\n"
                  "Content-Type: message/rfc822\n\n"
                  "To: undisclosed-recipients:;\n\nx\n--b--\n",
         "feedback abuse"},
        {"From: bob@example.org\nTo: leave-1@example.net\n"
         "Subject: unsubscribe\nAuto-Submitted: auto-replied\n\n"
         "Some Mail sent this email to unsubscribe from the message.\n",
         "feedback opt-out: bob@example.org"},
        {"From: bob@example.org\nSubject: unsubscribe\n\nplease do\n", "none"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_has_all_fields_of_a_complaint(void **state)
{
    struct report report;

    (void)state;
    report_mail_read(FEEDBACK
                     "Feedback-Type: abuse\nUser-Agent: x/1\n"
                     "Original-Mail-From: <list@example.net>\n"
                     "Arrival-Date: Thu, 1 Jan 2026 00:00:00 +0000\n"
                     "Source-IP: 192.0.2.1\nReported-Domain: example.net\n"
                     "Reported-Domain: example.com\nIncidents: 3\n"
                     "Original-Rcpt-To: redacted@example.org\n--b--\n",
                     &report);
    assert_true(text_is(report.feedback.user_agent, "x/1"));
    assert_true(text_is(report.feedback.mail_from, "<list@example.net>"));
    assert_true(text_is(report.feedback.arrival_date,
                        "Thu, 1 Jan 2026 00:00:00 +0000"));
    assert_true(text_is(report.feedback.source_ip, "192.0.2.1"));
    assert_true(text_is(report.feedback.incidents, "3"));
    assert_int_equal(report.feedback.domain_count, 2);
    assert_true(text_is(report.feedback.domains[1], "example.com"));
    assert_true(report.feedback.redacted);
    assert_int_equal(report.recipient_count, 0);
    report_clear(&report);
}

static void report_reads_notices_in_json(void **state)
{
#define NOTICE "From: x <no-reply@sns.amazonaws.com>\nSubject: Notification\n\n"
    static const struct report_mail_row rows[] = {
        {NOTICE "{\"notificationType\":\"Bounce\",\"bounce\":{"
                "\"bouncedRecipients\":[{\"emailAddress\":\"bob@exa\n"
                " mple.org\",\"action\":\"failed\",\"status\":\"5.1.1\","
                "\"diagnosticCode\":\"smtp; 550 5.1.1 no\"}]}}\n--\n"
                "To unsubscribe, click.\n",
         "status: bob@example.org failed 5.1.1 [550 5.1.1 no]"},
        {NOTICE "{\"Type\":\"Notification\",\"Message\":\"{"
                "\\\"notificationType\\\":\\\"Complaint\\\",\\\"complaint\\\":{"
                "\\\"complainedRecipients\\\":[{\\\"emailAddress\\\":"
                "\\\"bob@example.org\\\"}]}}\"}\n",
         "feedback abuse: bob@example.org"},
        {NOTICE "{\"notificationType\":\"Delivery\"}\n", "none"},
        {NOTICE "[[[[{\"a\":", "none"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

/* --- the reader -------------------------------------------------------- */

static void feed(struct report_reader *reader, const char *bytes, size_t step)
{
    for (size_t at = 0; at < strlen(bytes); at += step) {
        size_t left = strlen(bytes) - at;

        assert_int_equal(
            report_body(reader,
                        (struct text){bytes + at, left < step ? left : step}),
            REPORT_MORE);
    }
}

static void report_is_the_same_however_it_is_fed(void **state)
{
    static const char body[] =
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Final-Recipient: rfc822; bob@example.org\r\nAction: failed\r\n"
        "Status: 5.1.1\r\n\r\n--b--\r\n";
    struct report_reader *reader = report_new(NULL);

    (void)state;
    assert_non_null(reader);
    for (size_t step = 1; step <= sizeof body; step++) {
        struct report report;
        char line[REPORT_MAIL_LINE];

        report_header(reader, text_of("Content-Type"),
                      text_of(" multipart/report;\r\n boundary=b; "
                              "report-type=delivery-status"));
        assert_true(report_wants(reader, true));
        feed(reader, body, step);
        assert_true(report_end(reader, &report));
        report_mail_line(&report, line);
        assert_string_equal(line, "status: bob@example.org failed 5.1.1");
        report_clear(&report);
        report_reset(reader);
    }
    report_free(reader);
}

static void report_wants_no_body_of_ordinary_mail(void **state)
{
    struct report_reader *reader = report_new(NULL);

    (void)state;
    assert_non_null(reader);
    report_header(reader, text_of("From"), text_of("ann@example.org"));
    report_header(reader, text_of("Subject"), text_of("lunch"));
    assert_false(report_wants(reader, false));
    assert_true(report_wants(reader, true));
    report_free(reader);
}

static void report_holds_no_more_than_its_bounds(void **state)
{
    const struct report_bounds bounds = {.body_max = 1000, .recipients_max = 2};
    struct report_reader *reader = report_new(&bounds);
    struct report report;
    char line[REPORT_MAIL_LINE];
    enum report_feed result = REPORT_MORE;

    (void)state;
    assert_non_null(reader);
    report_header(reader, text_of("From"), text_of("MAILER-DAEMON"));
    report_header(reader, text_of("Content-Type"),
                  text_of("multipart/report; report-type=delivery-status; "
                          "boundary=b"));
    assert_true(report_wants(reader, true));
    (void)report_body(
        reader, text_of("--b\nContent-Type: message/delivery-status\n\n"));
    while (result == REPORT_MORE) {
        result = report_body(reader,
                             text_of("Final-Recipient: rfc822; bob@a.example\n"
                                     "Action: failed\r\nStatus: 5.1.1\r\n\r"));
    }
    assert_int_equal(result, REPORT_ENOUGH);
    assert_int_equal(report_body(reader, text_of("x")), REPORT_ENOUGH);
    assert_true(report_end(reader, &report));
    report_mail_line(&report, line);
    assert_string_equal(line, "status: bob@a.example failed 5.1.1; "
                              "bob@a.example failed 5.1.1");
    assert_true(report.cut);
    assert_true(report_size(reader) < 64 * 1024);
    report_clear(&report);
    report_free(reader);
}

static void report_of_a_large_mail_needs_its_beginning_only(void **state)
{
    struct report_reader *reader = report_new(NULL);
    struct report report;
    size_t length = 64 * 1024;
    char *chunk = malloc(length);

    (void)state;
    assert_non_null(reader);
    assert_non_null(chunk);
    memset(chunk, '\r', length);
    report_header(reader, text_of("From"), text_of("MAILER-DAEMON"));
    assert_true(report_wants(reader, true));
    for (int i = 0; i < 1600; i++) {
        (void)report_body(reader, (struct text){chunk, length});
    }
    assert_true(report_size(reader) < 1024 * 1024);
    assert_true(report_end(reader, &report));
    assert_int_equal(report.kind, REPORT_NONE);
    report_clear(&report);
    free(chunk);
    report_free(reader);
}

static void report_tells_what_was_returned(void **state)
{
    struct report report;

    (void)state;
    report_mail_read(
        DAEMON "Content-Type: multipart/report; report-type=delivery-status; "
               "boundary=b\n\n--b\n" STATUS
               "\n--b\nContent-Type: text/rfc822-headers\n"
               "Content-Transfer-Encoding: quoted-printable\n\n"
               "nixie-TRACE: one=\n two\nNixie-Trace: second\n"
               "Message-ID: <1@example.net>\nFrom: list@example.net\n"
               "List-Id: <list.example.net>\nTo: bob@example.org\n"
               "Return-Path: <list@example.net>\nNixie-Trace: third\n"
               "Nixie-Trace: fourth\nNixie-Trace: fifth\n\n"
               "Message-ID: <2@example.net>\n--b--\n",
        &report);
    assert_int_equal(report.returned.trace_count, REPORT_TRACES_MAX);
    assert_true(text_is(report.returned.traces[0], "one two"));
    assert_true(text_is(report.returned.traces[3], "fourth"));
    assert_true(text_is(report.returned.message_id, "1@example.net"));
    assert_true(text_is(report.returned.list_id, "<list.example.net>"));
    assert_true(text_is(report.returned.from, "list@example.net"));
    assert_true(text_is(report.returned.to, "bob@example.org"));
    report_clear(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            report_passes_over_what_people_and_their_programs_write),
        cmocka_unit_test(report_passes_over_reports_of_other_types),
        cmocka_unit_test(report_never_looks_into_a_returned_message),
        cmocka_unit_test(report_reads_complaints),
        cmocka_unit_test(report_has_all_fields_of_a_complaint),
        cmocka_unit_test(report_reads_notices_in_json),
        cmocka_unit_test(report_is_the_same_however_it_is_fed),
        cmocka_unit_test(report_wants_no_body_of_ordinary_mail),
        cmocka_unit_test(report_holds_no_more_than_its_bounds),
        cmocka_unit_test(report_of_a_large_mail_needs_its_beginning_only),
        cmocka_unit_test(report_tells_what_was_returned),
    };

    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
