#include "report_mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEAD                                                                   \
    "From: MAILER-DAEMON@mx.example.net\nTo: list@example.net\n"               \
    "Content-Type: multipart/report; report-type=delivery-status; "            \
    "boundary=\"b\"\n\n--b\n\nIt failed.\n\n"
#define STATUS HEAD "--b\nContent-Type: message/delivery-status\n\n"

static void report_reads_the_fields_of_rfc_3464(void **state)
{
    struct report report;
    char line[REPORT_MAIL_LINE];

    (void)state;
    report_mail_read(
        STATUS "Reporting-MTA: dns; mx.example.net\n"
               "Original-Envelope-Id: T1.abc\n"
               "X-Postfix-Queue-ID: 4bXk2s1Zq\n"
               "X-Postfix-Sender: rfc822; list@example.net\n"
               "Arrival-Date: Thu, 1 Jan 2026 00:00:00 +0000 (UTC)\n\n"
               "Final-Recipient: rfc822; bob@example.org\n"
               "Original-Recipient: rfc822;ann@example.org\n"
               "Action: delayed\nStatus: 4.4.1\n"
               "Remote-MTA: dns; mx.example.org (192.0.2.1)\n"
               "Diagnostic-Code: smtp; 451 4.4.1\n    try later\n"
               "Last-Attempt-Date: Thu, 1 Jan 2026 01:00:00 +0000\n"
               "Will-Retry-Until: Fri, 2 Jan 2026 00:00:00 +0000\n--b--\n",
        &report);
    report_mail_line(&report, line);
    assert_string_equal(
        line, "status: bob@example.org delayed 4.4.1 [451 4.4.1 try later]");
    assert_true(text_is(report.reporting_mta, "mx.example.net"));
    assert_true(text_is(report.envelope_id, "T1.abc"));
    assert_true(text_is(report.queue_id, "4bXk2s1Zq"));
    assert_true(text_is(report.sender, "list@example.net"));
    assert_true(
        text_is(report.arrival_date, "Thu, 1 Jan 2026 00:00:00 +0000 (UTC)"));
    assert_true(
        text_is(report.recipients[0].original_recipient, "ann@example.org"));
    assert_true(text_is(report.recipients[0].remote_mta, "mx.example.org"));
    assert_true(text_is(report.recipients[0].last_attempt,
                        "Thu, 1 Jan 2026 01:00:00 +0000"));
    assert_true(text_is(report.recipients[0].will_retry_until,
                        "Fri, 2 Jan 2026 00:00:00 +0000"));
    report_clear(&report);
}

static void report_separates_recipients_leniently(void **state)
{
    static const struct report_mail_row rows[] = {
        {STATUS "Reporting-MTA: dns; a\n\n"
                "Final-Recipient: rfc822; a@x.example\nAction: failed\n"
                "Status: 5.1.1\n\n"
                "Final-Recipient: rfc822; b@x.example\nAction: delivered\n"
                "Status: 2.0.0\n--b--\n",
         "status: a@x.example failed 5.1.1; b@x.example delivered 2.0.0"},
        /* no blank lines */
        {STATUS "Reporting-MTA: dns; a\n"
                "Final-Recipient: rfc822; a@x.example\nAction: failed\n"
                "Status: 5.1.1\nFinal-Recipient: rfc822; b@x.example\n"
                "Action: failed\nStatus: 5.2.2\n--b--\n",
         "status: a@x.example failed 5.1.1; b@x.example failed 5.2.2"},
        /* too many */
        {STATUS "\n\nFinal-Recipient: rfc822; a@x.example\n\n"
                "Action: failed\n\n\nStatus: 5.1.1\n--b--\n",
         "status: a@x.example failed"},
        /* in an order of its own */
        {STATUS "action: FAILED\nstatus: 5.1.1 (bad)\n"
                "FINAL-RECIPIENT:rfc822;a@x.example\n"
                "diagnostic-code:smtp;550 no\n\n"
                "action: failed\nstatus: 5.2.2\n"
                "final-recipient: b@x.example\n--b--\n",
         "status: a@x.example failed 5.1.1 [550 no]; "
         "b@x.example failed 5.2.2"},
        /* no blank line behind the header of the part */
        {HEAD "--b\nContent-Type: message/delivery-status\n"
              "Reporting-MTA: dns; a\nFinal-Recipient: rfc822; a@x.example\n"
              "Action: failed\nStatus: 5.1.1\n--b--\n",
         "status: a@x.example failed 5.1.1"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_takes_odd_values(void **state)
{
    static const struct report_mail_row rows[] = {
        {STATUS "Original-Recipient: <a@x.example>\nAction: failed\n"
                "Diagnostic-Code: smtp; 550 no\n--b--\n",
         "status: a@x.example failed [550 no]"},
        {STATUS "Final-Recipient: rfc822; a@x.example\nAction: expired\n"
                "Status: \nDiagnostic-Code: timed out\n--b--\n",
         "status: a@x.example failed [timed out]"},
        {STATUS "Final-Recipient: utf-8; \\x{E4}nn@x.example\n"
                "Action: failed\nStatus: 5.6.7\n--b--\n",
         "status: \303\244nn@x.example failed 5.6.7"},
        {STATUS "Final-Recipient: rfc822; \"a b\"@x.example\nction: failed\n"
                "Status: 5.1.1\n--b--\n",
         "status: \"a b\"@x.example 5.1.1"},
        {STATUS "Final-Recipient: rfc822;/var/mail/a\n"
                "Original-Recipient: rfc822;a@x.example\n"
                "Action: failed\nStatus: 5.2.2\n--b--\n",
         "status: a@x.example failed 5.2.2"},
        {STATUS "Final-Recipient: rfc822; group\n"
                "X-Actual-Recipient: rfc822; a@x.example\n"
                "Action: relayed\nStatus: 2.1.5\n--b--\n",
         "status: a@x.example relayed 2.1.5"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_reads_parts_in_any_wrapping(void **state)
{
    static const struct report_mail_row rows[] = {
        /* base64 */
        {HEAD "--b\nContent-Type: message/delivery-status\n"
              "Content-Transfer-Encoding: base64\n\n"
              "RmluYWwtUmVjaXBpZW50OiByZmM4MjI7IGFAeC5leGFtcGxlDQpBY3Rpb246\n"
              "IGZhaWxlZA0KU3RhdHVzOiA1LjEuMQ0K\n--b--\n",
         "status: a@x.example failed 5.1.1"},
        {HEAD "--b\nContent-Type: message/global-delivery-status\n"
              "Content-Transfer-Encoding: quoted-printable\n\n"
              "Final-Recipient: rfc822; a=40x.exam=\nple\nAction: failed\n"
              "Status: 5.1.1\n--b--\n",
         "status: a@x.example failed 5.1.1"},
        /* within another multipart */
        {HEAD "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n"
              "Content-Type: message/delivery-status\n\n"
              "Final-Recipient: rfc822; a@x.example\nAction: failed\n"
              "Status: 5.1.1\n--c--\n--b--\n",
         "status: a@x.example failed 5.1.1"},
        /* a header that lost its boundary, or names another */
        {"From: MAILER-DAEMON\nContent-Type: multipart/report; "
         "report-type=delivery-status\n\nThis is MIME.\n\n"
         "--b\nContent-Type: message/delivery-status\n\n"
         "Final-Recipient: rfc822; a@x.example\nAction: failed\n"
         "Status: 5.1.1\n",
         "status: a@x.example failed 5.1.1"},
        {"From: MAILER-DAEMON\nContent-Type: multipart/report; boundary=z; "
         "report-type=delivery-status\n\n"
         "--b\nContent-Type: message/delivery-status\n\n"
         "Final-Recipient: rfc822; a@x.example\nAction: failed\n"
         "Status: 5.1.1\n--b--\n",
         "status: a@x.example failed 5.1.1"},
        /* a parameter that is not folded */
        {"From: MAILER-DAEMON\nContent-Type: multipart/mixed; boundary=y\n\n"
         "--y\nContent-Type: multipart/report;\nboundary=b\n\n"
         "--b\nContent-Type: message/delivery-status\n\n"
         "Final-Recipient: rfc822; a@x.example\nAction: failed\n"
         "Status: 5.1.1\n--b--\n--y--\n",
         "status: a@x.example failed 5.1.1"},
        /* fields in a text */
        {"From: MAILER-DAEMON\nSubject: Returned mail\n\nIt failed:\n\n"
         "Final-Recipient: rfc822; a@x.example\nAction: failed\n"
         "Status: 5.1.1\n",
         "status: a@x.example failed 5.1.1"},
        /* the part is empty, the text tells */
        {STATUS "\n--b--\n", "none"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_takes_no_more_than_a_thousand_recipients(void **state)
{
    static char message[200 * 1024];
    struct report report;
    char *end;

    (void)state;
    end = stpcpy(message, STATUS);
    for (int i = 0; i < 1200; i++) {
        end = stpcpy(end, "Final-Recipient: rfc822; a@x.example\n"
                          "Action: failed\nStatus: 5.1.1\n\n");
    }
    report_mail_read(message, &report);
    assert_int_equal(report.recipient_count, REPORT_RECIPIENTS_MAX);
    assert_true(report.cut);
    report_clear(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_reads_the_fields_of_rfc_3464),
        cmocka_unit_test(report_separates_recipients_leniently),
        cmocka_unit_test(report_takes_odd_values),
        cmocka_unit_test(report_reads_parts_in_any_wrapping),
        cmocka_unit_test(report_takes_no_more_than_a_thousand_recipients),
    };

    return cmocka_run_group_tests_name("report_dsn", tests, NULL, NULL);
}
