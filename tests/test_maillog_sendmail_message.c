/* maillog_sendmail: lines about messages, and refusals; sample lines */
#include "maillog_shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

#define TO_A                                                                   \
    "sm-mta[7]: 60215wXk003001: to=<a@example.net>, delay=00:00:01, "          \
    "mailer=esmtp, pri=1, "
#define ID "sm-mta[7]: 60215wXk003001: "
#define THEN_SENT                                                              \
    ", delay=00:00:01, mailer=esmtp, pri=1, dsn=2.0.0, stat=Sent (ok)"
#define SENT_OK " delay=1 dsn=2.0.0 remote stage=eom reply=ok"
#define A       "60215wXk003001 to=<a@example.net> "

static void maillog_sendmail_reads_what_it_really_writes(void **state)
{
    static const struct maillog_row rows[] = {
        {"from app example com size 812 class",
         "sm-mta[3001]: 60215wXk003001: from=<app@example.com>, size=812, "
         "class=0, nrcpts=2, msgid=<1@example.com>, proto=ESMTP, daemon=MTA, "
         "relay=app1.example.com [203.0.113.9]",
         "message 60215wXk003001 client=app1.example.com client_ip=203.0.113.9 "
         "from=<app@example.com> size=812 count=2 message_id=1@example.com"},
        {"to alice example net bob example net",
         "sm-mta[3003]: 60215wXk003001: "
         "to=<alice@example.net>,<bob@example.net>, ctladdr=<app@example.com> "
         "(1000/1000), delay=00:00:02, xdelay=00:00:01, mailer=esmtp, "
         "pri=120812, relay=mx1.example.net. [192.0.2.25], dsn=2.0.0, "
         "stat=Sent (2.0.0 Ok: queued as 9F1C2207B4)",
         "sent 60215wXk003001 to=<alice@example.net> to=<bob@example.net> "
         "relay=mx1.example.net ip=192.0.2.25 delay=2 dsn=2.0.0 remote "
         "stage=eom reply=2.0.0 Ok: queued as 9F1C2207B4"},
        {"to nosuch example net delay 00 00 01",
         "sm-mta[3003]: 60215wXl003002: to=<nosuch@example.net>, "
         "delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=30812, "
         "relay=mx1.example.net. [192.0.2.25], dsn=5.1.1, reply=550 5.1.1 "
         "<nosuch@example.net>... User unknown, stat=User unknown",
         "bounced 60215wXl003002 to=<nosuch@example.net> relay=mx1.example.net "
         "ip=192.0.2.25 delay=1 dsn=5.1.1 remote reply=550 5.1.1 "
         "<nosuch@example.net>... User unknown"},
        {"to u slow example delay 1 02 11 40 x",
         "sm-mta[3003]: 60215wXm003003: to=<u@slow.example>, delay=1+02:11:40, "
         "xdelay=00:00:30, mailer=esmtp, pri=3900812, relay=mx.slow.example., "
         "dsn=4.0.0, stat=Deferred: Connection timed out with mx.slow.example.",
         "deferred 60215wXm003003 to=<u@slow.example> relay=mx.slow.example "
         "delay=94300 dsn=4.0.0 stage=connect destination reply=Connection "
         "timed out with mx.slow.example."},
        {"60216axm003003 sender notify warning",
         "sm-mta[3003]: 60215wXm003003: 60216aXm003003: sender notify: "
         "Warning: could not send message for past 4 hours",
         "nothing"},
        {"60215wxm003002 dsn user unknown",
         "sm-mta[3003]: 60215wXl003002: 60215wXm003002: DSN: User unknown",
         "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void
maillog_sendmail_takes_a_notice_for_an_expiry_only_if_it_is_one(void **state)
{
    static const struct maillog_row rows[] = {
        {"sender notify",
         ID "60216aXm003003: sender notify: Cannot send message for 5 days",
         "expired 60215wXk003001"},
        {"return to sender",
         ID "60216aXm003003: return to sender: Cannot send message for 5 days",
         "expired 60215wXk003001"},
        {"postmaster notify",
         ID "60216aXm003003: postmaster notify: Cannot send message for 1 "
            "week, 2 days",
         "expired 60215wXk003001"},
        {"deliver by",
         ID "60216aXm003003: sender notify: delivery time expired 120s",
         "expired 60215wXk003001"},
        {"warning",
         ID "60216aXm003003: sender notify: Warning: could not send message "
            "for past 4 hours",
         "nothing"},
        {"dsn", ID "60216aXm003003: DSN: User unknown", "nothing"},
        {"return receipt", ID "60216aXm003003: DSN: Return receipt", "nothing"},
        {"not an id", ID "return to sender: Cannot send message for 5 days",
         "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_sendmail_reads_messages_quote_aware(void **state)
{
    static const struct maillog_row rows[] = {
        {"from",
         ID "from=<app@example.com>, size=812, class=0, nrcpts=2, "
            "msgid=<1@example.com>, proto=ESMTP, daemon=MTA, "
            "relay=app1.example.com [203.0.113.9]",
         "message 60215wXk003001 client=app1.example.com client_ip=203.0.113.9 "
         "from=<app@example.com> size=812 count=2 message_id=1@example.com"},
        {"from null",
         ID "from=<>, size=812, class=-30, nrcpts=1, msgid=<1@example.com>, "
            "proto=ESMTP, daemon=MTA, relay=[203.0.113.9]",
         "message 60215wXk003001 client=203.0.113.9 client_ip=203.0.113.9 "
         "from=<> size=812 count=1 message_id=1@example.com"},
        {"from local",
         ID "from=root, size=812, class=0, nrcpts=1, msgid=<1@example.com>, "
            "relay=root@localhost",
         "message 60215wXk003001 client=root@localhost from=<root> size=812 "
         "count=1 message_id=1@example.com"},
        {"from forged",
         ID "from=<a@example.com>, size=812, class=0, nrcpts=1, "
            "bodytype=8BITMIME, proto=SMTP, daemon=MTA, relay=host.example "
            "[IPv6:2001:db8:0:0:0:0:0:9] (may be forged)",
         "message 60215wXk003001 client=host.example "
         "client_ip=2001:db8:0:0:0:0:0:9 from=<a@example.com> size=812 "
         "count=1"},
        {"from quoted",
         ID "from=<\"a, size=9, nrcpts=7, msgid=<x>\"@example.com>, size=812, "
            "class=0, nrcpts=1, msgid=<1@example.com>, relay=app [203.0.113.9]",
         "message 60215wXk003001 client=app client_ip=203.0.113.9 from=<\"a, "
         "size=9, nrcpts=7, msgid=<x>\"@example.com> size=812 count=1 "
         "message_id=1@example.com"},
        {"from msgid cut",
         ID "from=<a@example.com>, size=812, class=0, nrcpts=1, "
            "msgid=<1234567890@example.co, proto=ESMTP, daemon=MTA, relay=app "
            "[203.0.113.9]",
         "message 60215wXk003001 client=app client_ip=203.0.113.9 "
         "from=<a@example.com> size=812 count=1 "
         "message_id=1234567890@example.co"},
        {"from msgid spoof",
         ID "from=<a@example.com>, size=812, class=0, nrcpts=1, msgid=<1@e>, "
            "relay=evil [192.0.2.66]>, proto=ESMTP, daemon=MTA, relay=app "
            "[203.0.113.9]",
         "message 60215wXk003001 client=app client_ip=203.0.113.9 "
         "from=<a@example.com> size=812 count=1 message_id=1@e"},
        {"from response",
         ID "from=<>, size=3812, class=0, nrcpts=1, msgid=<1@example.com>, "
            "relay=[RESPONSE]",
         "message 60215wXk003001 from=<> size=3812 count=1 "
         "message_id=1@example.com"},
        {"from none",
         ID "from=<NONE>, size=0, class=0, nrcpts=0, relay=localhost",
         "message 60215wXk003001 client=localhost size=0 count=0"},
        {"auth",
         ID "AUTH=server, relay=app1.example.com [203.0.113.9], "
            "authid=app@example.com, mech=PLAIN, bits=0",
         "submission 60215wXk003001 client=app1.example.com "
         "client_ip=203.0.113.9 user=app@example.com"},
        {"clone", ID "clone: owner=owner-list@example.com", "nothing"},
        {"discarded", ID "discarded", "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_sendmail_takes_refusals_of_recipients(void **state)
{
    static const struct maillog_row rows[] = {
        {"relaying",
         ID "ruleset=check_rcpt, arg1=<x@other.example>, relay=[203.0.113.66], "
            "reject=550 5.7.1 <x@other.example>... Relaying denied. IP name "
            "lookup failed [203.0.113.66]",
         "refused 60215wXk003001 to=<x@other.example> client=203.0.113.66 "
         "client_ip=203.0.113.66 dsn=5.7.1 stage=rcpt reply=550 5.7.1 "
         "<x@other.example>... Relaying denied. IP name lookup failed "
         "[203.0.113.66]"},
        {"relaying named",
         ID "ruleset=check_rcpt, arg1=<x@other.example>, relay=host.example "
            "[203.0.113.66] (may be forged), reject=450 4.7.1 "
            "<x@other.example>... later",
         "refused for now 60215wXk003001 to=<x@other.example> "
         "client=host.example client_ip=203.0.113.66 dsn=4.7.1 stage=rcpt "
         "reply=450 4.7.1 <x@other.example>... later"},
        {"error mailer",
         ID "ruleset=check_rcpt, arg1=<x@other.example>, relay=host.example "
            "[203.0.113.66], reject=no mail for you,go away",
         "refused 60215wXk003001 to=<x@other.example> client=host.example "
         "client_ip=203.0.113.66 stage=rcpt reply=no mail for you,go away"},
        {"refusal spoof",
         ID "ruleset=check_rcpt, arg1=<\"a>, relay=v [192.0.2.1], reject=550 "
            "5.1.1 <v@example.org>\"@other.example>, relay=[203.0.113.66], "
            "reject=550 5.7.1 no",
         "refused 60215wXk003001 to=<\"a>, relay=v [192.0.2.1], reject=550 "
         "5.1.1 <v@example.org>\"@other.example> client=203.0.113.66 "
         "client_ip=203.0.113.66 dsn=5.7.1 stage=rcpt reply=550 5.7.1 no"},
        {"check rcpt discard",
         ID "ruleset=check_rcpt, arg1=<x@other.example>, relay=[203.0.113.66], "
            "discard",
         "nothing"},
        {"check rcpt quarantine",
         ID "ruleset=check_rcpt, arg1=<x@other.example>, relay=[203.0.113.66], "
            "quarantine=x",
         "nothing"},
        {"check mail",
         ID "ruleset=check_mail, arg1=<x@other.example>, relay=[203.0.113.66], "
            "reject=553 5.1.8 <x@other.example>... Domain of sender address "
            "x@other.example does not exist",
         "nothing"},
        {"milter",
         ID "Milter: to=<x@other.example>, reject=550 5.7.1 no, reject=250 ok",
         "refused 60215wXk003001 to=<x@other.example> dsn=5.7.1 stage=rcpt "
         "reply=550 5.7.1 no, reject=250 ok"},
        {"milter for now",
         ID "Milter: to=<x@other.example>, reject=451 4.7.1 Greylisted",
         "refused for now 60215wXk003001 to=<x@other.example> dsn=4.7.1 "
         "stage=rcpt reply=451 4.7.1 Greylisted"},
        {"milter spoof",
         ID "Milter: to=<\"a>, reject=550 v\"@other.example>, reject=451 no",
         "refused for now 60215wXk003001 to=<\"a>, reject=550 "
         "v\"@other.example> stage=rcpt reply=451 no"},
        {"milter discard", ID "Milter: to=<x@other.example>, discard",
         "nothing"},
        {"milter of a sender",
         ID "Milter: from=<x@other.example>, reject=550 "
            "5.7.1 no",
         "nothing"},
        {"milter, other lines", ID "Milter: connect to filters", "nothing"},
        {"milter data", ID "Milter: data, reject=550 5.7.1 no, go", "nothing"},
        {"milter data, its recipient",
         ID "to=<x@other.example>, delay=00:00:00, pri=60015, stat=no, go",
         "refused 60215wXk003001 to=<x@other.example> delay=0 stage=eom "
         "reply=no, go"},
        {"reset", ID "to=<x@other.example>, delay=00:00:00, pri=0, stat=RSET",
         "nothing"},
        {"hello again",
         ID "to=<x@other.example>, delay=00:00:00, pri=0, stat=EHLO",
         "nothing"},
        {"aborted",
         ID "to=<x@other.example>, delay=00:00:00, pri=0, stat=aborted by "
            "sender",
         "nothing"},
        {"discarded",
         ID "to=<x@other.example>, delay=00:00:00, pri=60015, stat=discarded",
         "nothing"},
        {"unknown", ID "<x@mail.example>... User unknown",
         "refused 60215wXk003001 to=<x@mail.example> stage=rcpt reply=User "
         "unknown"},
        {"virtusertable", ID "<x@mail.example>... No such user,here",
         "refused 60215wXk003001 to=<x@mail.example> stage=rcpt reply=No such "
         "user,here"},
        {"no address", ID "<x@@y>... Invalid route address",
         "refused 60215wXk003001 to=<x@@y> stage=rcpt reply=Invalid route "
         "address"},
        {"unknown, bare", ID "x... User unknown",
         "refused 60215wXk003001 to=<x> stage=rcpt reply=User unknown"},
        {"unknown, to sendmail(1)", ID "x@mail.example... User unknown",
         "refused 60215wXk003001 to=<x@mail.example> stage=rcpt reply=User "
         "unknown"},
        {"unknown, quoted",
         ID "<\"a>... b, stat=Sent\"@mail.example>... User unknown",
         "refused 60215wXk003001 to=<\"a>... b, stat=Sent\"@mail.example> "
         "stage=rcpt reply=User unknown"},
        {"unknown, octal", ID "<\\303\\251@mail.example>... User unknown",
         "refused 60215wXk003001 to=<\303\251@mail.example> stage=rcpt "
         "reply=User unknown"},
        {"system error", ID "SYSERR(root): hash map \"x\"... no file",
         "nothing"},
        {"lost channel",
         ID "lost input channel from x [192.0.2.1] to MTA after rcpt... x",
         "nothing"},
        {"many", ID "Too many recipients", "nothing"},
        {"no text", ID "<x@mail.example>... ", "nothing"},
        {"no end", ID "<x@mail.example... User unknown", "nothing"},
        {"no id", "sm-mta[7]: NOQUEUE: <x@mail.example>... User unknown",
         "nothing"},
        {"check rcpt noqueue",
         "sm-mta[7]: NOQUEUE: ruleset=check_rcpt, arg1=<x@other.example>, "
         "relay=[203.0.113.66], reject=550 5.7.1 no",
         "refused to=<x@other.example> client=203.0.113.66 "
         "client_ip=203.0.113.66 dsn=5.7.1 stage=rcpt reply=550 5.7.1 no"},
        {"tag sendmail",
         "sendmail[7]: 60215wXk003001: to=<a@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<a@example.net>" SENT_OK},
        {"tag msp",
         "sm-msp-queue[7]: 60215wXk003001: to=<a@example.net>, delay=00:00:01, "
         "mailer=relay, pri=1, relay=[127.0.0.1] [127.0.0.1], dsn=2.0.0, "
         "stat=Sent (60215wXk003002 Message accepted for delivery)",
         "sent " A
         "relay=127.0.0.1 ip=127.0.0.1 delay=1 dsn=2.0.0 remote stage=eom "
         "reply=60215wXk003002 Message accepted for delivery"},
        {"tag postfix",
         "postfix/sendmail[7]: 60215wXk003001: to=<a@example.net>" THEN_SENT,
         "nothing"},
        {"solaris",
         "sendmail[7]: [ID 801593 mail.info] 60215wXk003001: "
         "to=<a@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<a@example.net>" SENT_OK},
        {"noqueue", "sm-mta[7]: NOQUEUE: connect from [203.0.113.66]",
         "nothing"},
        {"starting",
         "sm-mta[7]: starting daemon (8.17.1.9): SMTP+queueing@00:10:00",
         "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

/* The line of the message has the codes, those of its recipients the text. */
static void maillog_sendmail_knows_what_a_filter_said_of_a_message(void **state)
{
    static const char *const lines[] = {
        ID "Milter: data, reject=451 4.7.1 later, all",
        "sm-mta[8]: 60215wXk003002: Milter: data, reject=550 5.7.1 other",
        ID "to=<x@other.example>, delay=00:00:00, pri=60015, stat=later, all",
        ID "to=<y@other.example>, delay=00:00:00, pri=60015, stat=later, all",
        "sm-mta[8]: 60215wXk003001: to=<z@other.example>, delay=00:00:00, "
        "pri=60015, stat=later, all",
    };
    static const char *const shown[] = {
        "nothing",
        "nothing",
        "refused for now 60215wXk003001 to=<x@other.example> delay=0 dsn=4.7.1 "
        "stage=eom reply=451 4.7.1 later, all",
        "refused for now 60215wXk003001 to=<y@other.example> delay=0 dsn=4.7.1 "
        "stage=eom reply=451 4.7.1 later, all",
        "refused 60215wXk003001 to=<z@other.example> delay=0 stage=eom "
        "reply=later, all",
    };
    struct maillog_parser *parser = maillog_parser_new(0);
    static char buffer[MAILLOG_SHOWN_SIZE];

    (void)state;
    assert_non_null(parser);
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_string_equal(
            maillog_parse_shown(parser, text_of(lines[i]), buffer), shown[i]);
    }
    maillog_parser_free(parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maillog_sendmail_reads_what_it_really_writes),
        cmocka_unit_test(
            maillog_sendmail_takes_a_notice_for_an_expiry_only_if_it_is_one),
        cmocka_unit_test(maillog_sendmail_reads_messages_quote_aware),
        cmocka_unit_test(maillog_sendmail_takes_refusals_of_recipients),
        cmocka_unit_test(
            maillog_sendmail_knows_what_a_filter_said_of_a_message),
    };

    return cmocka_run_group_tests_name("maillog_sendmail_message", tests, NULL,
                                       NULL);
}
