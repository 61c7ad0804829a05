#include "report_mail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DAEMON                                                                 \
    "Return-Path: <>\nFrom: Mail Delivery System "                             \
    "<MAILER-DAEMON@mx.example.net>\nTo: list@example.net\n"
#define RETURNED                                                               \
    "Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\n"                  \
    "From: list@example.net\nTo: other@example.com\nSubject: news\n\n"         \
    "write to help@example.net, 550 5.1.1 never\n"

static void report_reads_addresses_that_stand_alone(void **state)
{
    static const struct report_mail_row rows[] = {
        {DAEMON "Subject: Mail delivery failed\n\n"
                "This mail could not be delivered to:\n\n"
                "  ann@example.org\n"
                "    host mx.example.org [192.0.2.1]\n"
                "    SMTP error from remote server after RCPT TO:\n"
                "    550 5.1.1 no such user\n\n"
                "------ This is a copy of the message ------\n\n" RETURNED,
         "legacy: ann@example.org failed 5.1.1 [550 5.1.1 no such user]"},
        {DAEMON "Subject: failure notice\n\n"
                "I tried, and it failed permanently.\n\n"
                "<ann@example.org>:\n"
                "192.0.2.1 refused the recipient.\n"
                "Remote host said: 550 unknown here\n\n"
                "<bob@example.org>:\n"
                "Sorry, the box is over quota (#5.2.2)\n\n"
                "--- Below this line is a copy of the message.\n\n" RETURNED,
         "legacy: ann@example.org failed [550 unknown here]; "
         "bob@example.org failed 5.2.2 [Sorry, the box is over quota "
         "(#5.2.2)]"},
        {DAEMON "Subject: Undeliverable: news\n\n"
                "Your message\n\n  To:      ann@example.org\n"
                "  Subject: news\n  Sent:    Thu, 1 Jan 2026\n\n"
                "did not reach the following recipient(s):\n\n"
                "ann@example.org on Thu, 1 Jan 2026 00:00:00 +0000\n"
                "    The recipient name is not recognized\n",
         "legacy: ann@example.org failed [on Thu, 1 Jan 2026 00:00:00 +0000 "
         "The recipient name is not recognized]"},
        {DAEMON "Subject: Returned mail: User unknown\n\n"
                "   ----- Transcript of session follows -----\n"
                "... while talking to mx.example.org.:\n"
                ">>> RCPT To:<ann@example.org>\n"
                "<<< 550 5.1.1 <ann@example.org>... User unknown\n"
                "550 <ann@example.org>... User unknown\n\n"
                "   ----- Unsent message follows -----\n" RETURNED,
         "legacy: ann@example.org failed 5.1.1 [550 5.1.1 "
         "<ann@example.org>... User unknown 550 <ann@example.org>... User "
         "unknown]"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_reads_lists_of_recipients(void **state)
{
    static const struct report_mail_row rows[] = {
        {DAEMON "Subject: Undeliverable\n\n"
                "These recipients have not received it:\n\n"
                " ann@example.org\n bob@example.org\n\n"
                "Reason: mailbox full\n\nsupport@example.net\n",
         "legacy: ann@example.org failed [Reason: mailbox full]; "
         "bob@example.org failed [Reason: mailbox full]"},
        {DAEMON "Subject: Undeliverable\n\n"
                "1) ann@example.org - 550 unknown\n"
                "2) bob@example.org - 552 full\n",
         "legacy: ann@example.org failed [550 unknown]; "
         "bob@example.org failed [552 full]"},
        {DAEMON "Subject: Undeliverable\n\n"
                "> ann@example.org : User unknown\n"
                "> bob@example.org : Mailbox full\n",
         "legacy: ann@example.org failed [User unknown]; "
         "bob@example.org failed [Mailbox full]"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_reads_addresses_in_sentences(void **state)
{
    static const struct report_mail_row rows[] = {
        {DAEMON "Subject: Delivery failure\n\n"
                "Message could not be delivered to <ann@example.org>, since "
                "550 No such mailbox\n",
         "legacy: ann@example.org failed [550 No such mailbox]"},
        {DAEMON "Subject: Undeliverable Mail\n\n"
                "Unknown user: ann@example.org\n\n"
                "Original message follows.\n\n" RETURNED,
         "legacy: ann@example.org failed [Unknown user: ann@example.org]"},
        {DAEMON "Subject: Mail System Error\n\n"
                "Failed Recipient: ann@example.org\n"
                "Reason: Remote host said: 552 5.2.2 mailbox full\n",
         "legacy: ann@example.org failed 5.2.2 [552 5.2.2 mailbox full]"},
        {DAEMON "Subject: Delivery Status\n\n"
                "  --- The following addresses had problems ---\n"
                "<ann@example.org>   (5.1.1 unknown user)\n",
         "legacy: ann@example.org failed 5.1.1 [(5.1.1 unknown user)]"},
        {DAEMON "Subject: mail failed, returning to sender\n\n"
                "|-------- Failed addresses follow: --------|\n"
                " <ann@example.org> ... transport smtp: 550 no such user\n"
                "|-------- Message text follows: --------|\n" RETURNED,
         "legacy: ann@example.org failed [550 no such user]"},
        {DAEMON "Subject: Nondeliverable mail\n\n"
                "Recipient: [SMTP:ann@example.org]\n"
                "Reason: 550 Unable to relay\n",
         "legacy: ann@example.org failed [550 Unable to relay]"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_takes_who_is_named_by_the_headers(void **state)
{
    static const struct report_mail_row rows[] = {
        {DAEMON "Subject: Mail delivery failed\n"
                "X-Failed-Recipients: ann@example.org,\n bob@example.org\n\n"
                "The mail server could not deliver it to them.\n",
         "legacy: ann@example.org failed; bob@example.org failed"},
        {DAEMON "Subject: Mail delivery failed\n"
                "X-Failed-Recipients: ann@example.org\n\n"
                "The mail server could not deliver it.\n",
         "legacy: ann@example.org failed [The mail server could not deliver "
         "it.]"},
        {DAEMON "Subject: Delivery failure\n"
                "Content-Type: multipart/mixed; boundary=x\n\n"
                "--x\n\nThe recipient is unknown to us, 550.\n"
                "--x\nContent-Type: message/rfc822\n\n"
                "From: list@example.net\nTo: Ann <ann@example.org>\n\nhi\n"
                "--x--\n",
         "legacy: ann@example.org failed [The recipient is unknown to us, "
         "550.]"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_tells_a_delay_from_a_failure(void **state)
{
    static const struct report_mail_row rows[] = {
        {DAEMON "Subject: Warning: could not send message for past 4 hours\n\n"
                "  ----- The following addresses had transient errors -----\n"
                "<ann@example.org>\n\n"
                "  ----- Transcript of session follows -----\n"
                "<ann@example.org>... Deferred: 451 4.4.1 try later\n",
         "legacy: ann@example.org delayed 4.4.1 [451 4.4.1 try later]"},
        {DAEMON "Subject: Delivery Status Notification (Delay)\n\n"
                "THIS IS A WARNING MESSAGE ONLY.\n\n"
                "Delivery to the following recipient has been delayed:\n\n"
                "     ann@example.org\n",
         "legacy: ann@example.org delayed [THIS IS A WARNING MESSAGE ONLY. "
         "Delivery to the following recipient has been delayed: "
         "ann@example.org]"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_reads_other_languages_and_charsets(void **state)
{
    static const struct report_mail_row rows[] = {
        {DAEMON "Subject: =?iso-8859-1?Q?Unzustellbare_Nachricht?=\n"
                "Content-Type: text/plain; charset=iso-8859-1\n"
                "Content-Transfer-Encoding: quoted-printable\n\n"
                "Die Nachricht wurde nicht zugestellt:\n\n"
                "<ann@example.org>:\n550 Empf=E4nger unbekannt\n",
         "legacy: ann@example.org failed [550 Empf\303\244nger unbekannt]"},
        {DAEMON "Subject: Undelivered Mail\n"
                "Content-Type: text/plain; charset=utf-8\n"
                "Content-Transfer-Encoding: base64\n\n"
                "PGFubkBleGFtcGxlLm9yZz46IDU1MCA1LjEuMSB1bmtub3duCg==\n",
         "legacy: ann@example.org failed 5.1.1 [550 5.1.1 unknown]"},
        {DAEMON "Subject: Mail Error\n"
                "Content-Type: text/plain; charset=iso-2022-jp\n\n"
                "\033$B%f!<%6$,$$$^$;$s\033(B\n<ann@example.org>: 550 no\n",
         "legacy: ann@example.org failed [550 no]"},
        {DAEMON "Subject: Mail Error\nContent-Type: text/html\n\n"
                "<html><style>a@b.example</style><p>Not delivered:</p>"
                "<b>&lt;ann&#64;example.org&gt;</b><br>550 no such user</p>\n",
         "legacy: ann@example.org failed [550 no such user]"},
        {DAEMON "Subject: Undeliverable\nContent-Type: text/plain; "
                "charset=utf-7\n\n"
                "+AN8- could not be delivered\n\nann@example.org\n550 no\n",
         "legacy: ann@example.org failed [550 no]"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

static void report_leaves_senders_and_helpers_out(void **state)
{
    static const struct report_mail_row rows[] = {
        {DAEMON "Subject: Undelivered Mail Returned to Sender\n\n"
                "For assistance, please send mail to postmaster@example.net\n"
                "or contact help@example.net.\n\n"
                "<ann@example.org> (expanded from <all@example.org>): host "
                "mx.example.org[192.0.2.1] said: 554 5.7.1\n"
                "    <list@example.net>: Sender address rejected (in reply to "
                "MAIL FROM command)\n",
         "legacy: ann@example.org failed 5.7.1 [554 5.7.1 "
         "<list@example.net>: Sender address rejected (in reply to MAIL FROM "
         "command)]"},
        {DAEMON "Subject: Mail delivery failed\n\n"
                "SMTP error after MAIL FROM:<list@example.net>\n"
                "T=[ann@example.org] F=[list@example.net] 550 no\n",
         "legacy: ann@example.org failed [550 no]"},
        {DAEMON "Subject: Mail delivery failed\n\n"
                "a pipe failed:\n\n  |/usr/bin/cat /home/x@example.net/y\n"
                "    generated by ann@example.org\n",
         "legacy: ann@example.org failed [generated by ann@example.org]"},
    };

    (void)state;
    REPORT_MAIL_CHECK(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_reads_addresses_that_stand_alone),
        cmocka_unit_test(report_reads_lists_of_recipients),
        cmocka_unit_test(report_reads_addresses_in_sentences),
        cmocka_unit_test(report_takes_who_is_named_by_the_headers),
        cmocka_unit_test(report_tells_a_delay_from_a_failure),
        cmocka_unit_test(report_reads_other_languages_and_charsets),
        cmocka_unit_test(report_leaves_senders_and_helpers_out),
    };

    return cmocka_run_group_tests_name("report_legacy", tests, NULL, NULL);
}
