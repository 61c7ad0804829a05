/* maillog_sendmail: lines about recipients */
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

static void maillog_sendmail_takes_lists_apart(void **state)
{
    static const struct maillog_row rows[] = {
        {"one",
         ID "to=<a@example.net>, delay=00:00:01, xdelay=00:00:01, "
            "mailer=esmtp, pri=30812, relay=mx1.example.net. [192.0.2.25], "
            "dsn=2.0.0, stat=Sent (ok queued as 1)",
         "sent " A "relay=mx1.example.net ip=192.0.2.25" SENT_OK
         " queued as 1"},
        {"three",
         ID "to=<a@example.net>,<b@example.net>,<c@example.net>, "
            "delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=30812, "
            "relay=mx1.example.net. [192.0.2.25], dsn=2.0.0, stat=Sent (ok)",
         "sent " A "to=<b@example.net> to=<c@example.net> "
         "relay=mx1.example.net ip=192.0.2.25" SENT_OK},
        {"more",
         ID "to=<a@example.net>,<b@example.net>, [more], delay=00:00:01, "
            "xdelay=00:00:01, mailer=esmtp, pri=30812, relay=mx1.example.net. "
            "[192.0.2.25], dsn=2.0.0, stat=Sent (ok)",
         "sent " A "to=<b@example.net> relay=mx1.example.net ip=192.0.2.25 "
         "delay=1 dsn=2.0.0 remote stage=eom more reply=ok"},
        {"more controlled",
         ID
         "to=<a@example.net>, [more], ctladdr=<app@example.com> (1000/1000), "
         "delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=30812, "
         "relay=mx1.example.net. [192.0.2.25], dsn=2.0.0, stat=Sent (ok)",
         "sent " A "relay=mx1.example.net ip=192.0.2.25 delay=1 dsn=2.0.0 "
         "remote stage=eom more reply=ok"},
        {"without brackets",
         ID "to=ann@example.net, ctladdr=root (0/0), delay=00:00:01, "
            "xdelay=00:00:01, mailer=relay, pri=30812, relay=[127.0.0.1] "
            "[127.0.0.1], dsn=2.0.0, stat=Sent (60215wXk003002 Message "
            "accepted for delivery)",
         "sent 60215wXk003001 to=<ann@example.net> relay=127.0.0.1 "
         "ip=127.0.0.1 delay=1 dsn=2.0.0 remote stage=eom reply=60215wXk003002 "
         "Message accepted for delivery"},
        {"two without brackets",
         ID "to=ann,bob, delay=00:00:01, mailer=local, pri=30812, dsn=2.0.0, "
            "stat=Sent",
         "sent 60215wXk003001 to=<ann> to=<bob> delay=1 dsn=2.0.0 local "
         "reply=Sent"},
        {"phrase",
         ID
         "to=\"Doe, John\" <john@example.net>, delay=00:00:01, mailer=esmtp, "
         "pri=30812, dsn=2.0.0, relay=mx1. [192.0.2.25], stat=Sent (ok)",
         "sent 60215wXk003001 to=<john@example.net> relay=mx1 "
         "ip=192.0.2.25" SENT_OK},
        {"comment",
         ID "to=john@example.net (John, Doe), delay=00:00:01, mailer=esmtp, "
            "pri=30812, dsn=2.0.0, stat=Sent (ok)",
         "sent 60215wXk003001 to=<john@example.net>" SENT_OK},
        {"command",
         ID "to=\"|/usr/bin/filter, -x\", ctladdr=<list@example.com> (8/0), "
            "delay=00:00:01, xdelay=00:00:01, mailer=prog, pri=30812, "
            "dsn=2.0.0, stat=Sent",
         "sent 60215wXk003001 to=<\"|/usr/bin/filter, -x\"> delay=1 dsn=2.0.0 "
         "local reply=Sent"},
        {"file",
         ID "to=/var/mail/archive, delay=00:00:01, mailer=*file*, pri=30812, "
            "dsn=2.0.0, stat=Sent",
         "sent 60215wXk003001 to=</var/mail/archive> delay=1 dsn=2.0.0 local "
         "reply=Sent"},
        {"no list",
         ID "to=NO-TO-LIST, delay=00:00:01, mailer=esmtp, pri=30812, "
            "dsn=5.0.0, stat=Service unavailable",
         "nothing"},
        {"no end", ID "to=<a@example.net>", "nothing"},
        {"nobody",
         ID "to=, delay=00:00:01, mailer=esmtp, pri=30812, dsn=5.0.0, "
            "stat=Service unavailable",
         "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void
maillog_sendmail_takes_no_recipient_from_a_quoted_local_part(void **state)
{
    static const struct maillog_row rows[] = {
        {"quoted comma",
         ID "to=<\"a, b\"@example.net>,<c@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<\"a, b\"@example.net> "
         "to=<c@example.net>" SENT_OK},
        {"quoted list",
         ID "to=<\"a>,<v@example.org>,<b\"@example.net>" THEN_SENT,
         "sent 60215wXk003001 "
         "to=<\"a>,<v@example.org>,<b\"@example.net>" SENT_OK},
        {"quoted fields",
         ID "to=<\"a>, delay=00:00:01, mailer=esmtp, pri=1, dsn=5.1.1, "
            "stat=User unknown\"@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<\"a>, delay=00:00:01, mailer=esmtp, pri=1, "
         "dsn=5.1.1, stat=User unknown\"@example.net>" SENT_OK},
        {"quoted more",
         ID "to=<\"a, [more], delay=00:00:01, dsn=5.1.1, stat=User "
            "unknown\"@example.net>" THEN_SENT,
         "nothing"},
        {"escaped quote",
         ID "to=<\"x\\\\\">, relay=none, dsn=5.1.1, stat=User unknown, "
            "\\\\\"\"@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<\"x\\\">, relay=none, dsn=5.1.1, stat=User "
         "unknown, \\\"\"@example.net>" SENT_OK},
        {"escaped backslash", ID "to=<\"x\\\\\\\\\"@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<\"x\\\\\"@example.net>" SENT_OK},
        {"octal", ID "to=<j\\303\\274rgen@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<j\303\274rgen@example.net>" SENT_OK},
        {"octal quote is none", ID "to=<a\\011b@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<a\011b@example.net>" SENT_OK},
        {"tab", ID "to=<\"a\\tb\"@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<\"a\011b\"@example.net>" SENT_OK},
        {"pair outside quotes",
         ID "to=<x\\\\\">,<v@example.org>,<\\\\\"y@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<x\\\"> to=<v@example.org> "
         "to=<\\\"y@example.net>" SENT_OK},
        {"open quote", ID "to=<\"a@example.net>" THEN_SENT, "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_sendmail_knows_its_fields(void **state)
{
    static const struct maillog_row rows[] = {
        {"no dsn sent", TO_A "relay=mx1. [192.0.2.25], stat=Sent (ok)",
         "sent " A "relay=mx1 ip=192.0.2.25 delay=1 remote stage=eom reply=ok"},
        {"no dsn deferred", TO_A "relay=mx1. [192.0.2.25], stat=Deferred",
         "deferred " A "relay=mx1 ip=192.0.2.25 delay=1 remote reply=Deferred"},
        {"no dsn failed", TO_A "relay=mx1. [192.0.2.25], stat=User unknown",
         "bounced " A
         "relay=mx1 ip=192.0.2.25 delay=1 remote reply=User unknown"},
        {"no dsn reply 4",
         TO_A "relay=mx1. [192.0.2.25], reply=450 4.2.0 later, stat=Deferred: "
              "450 4.2.0 later",
         "deferred " A
         "relay=mx1 ip=192.0.2.25 delay=1 remote reply=450 4.2.0 later"},
        {"no dsn reply 5",
         TO_A "relay=mx1. [192.0.2.25], reply=550 x, stat=Sent (ok)",
         "bounced " A "relay=mx1 ip=192.0.2.25 delay=1 remote reply=550 x"},
        {"queued", TO_A "stat=queued", "nothing"},
        {"queued with dsn", TO_A "dsn=4.0.0, stat=queued", "nothing"},
        {"quarantined", TO_A "quarantine=by hand, stat=quarantined", "nothing"},
        {"ntries",
         ID "to=<a@example.net>, delay=3+00:00:01, xdelay=00:00:01, "
            "mailer=esmtp, pri=1, relay=mx1. [192.0.2.25], dsn=4.2.0, "
            "ntries=12, reply=450 4.2.0 later, stat=Deferred: 450 4.2.0 later",
         "deferred " A "relay=mx1 ip=192.0.2.25 delay=259201 dsn=4.2.0 remote "
         "reply=450 4.2.0 later"},
        {"stage",
         TO_A "relay=mx1. [192.0.2.25], dsn=5.1.1, stage=RCPT, reply=550 5.1.1 "
              "no, stat=User unknown",
         "bounced " A
         "relay=mx1 ip=192.0.2.25 delay=1 dsn=5.1.1 remote reply=550 5.1.1 no"},
        {"relay literal v6",
         TO_A "relay=[IPv6:2001:db8:0:0:0:0:0:25] "
              "[IPv6:2001:db8:0:0:0:0:0:25], dsn=2.0.0, stat=Sent (ok)",
         "sent " A
         "relay=2001:db8:0:0:0:0:0:25 ip=2001:db8:0:0:0:0:0:25" SENT_OK},
        {"relay name v6",
         TO_A "relay=mx1.example.net. [IPv6:2001:db8:0:0:0:0:0:25], dsn=2.0.0, "
              "stat=Sent (ok)",
         "sent " A "relay=mx1.example.net ip=2001:db8:0:0:0:0:0:25" SENT_OK},
        {"relay shortened",
         TO_A "relay=a-very-long-name.o...le.example.net. [192.0.2.25], "
              "dsn=2.0.0, stat=Sent (ok)",
         "sent " A
         "relay=a-very-long-name.o...le.example.net ip=192.0.2.25" SENT_OK},
        {"truncated desperately",
         TO_A "relay=mx1. [192.0.2.25], dsn=5.1.1, rep..., stat=User unknown",
         "bounced " A
         "relay=mx1 ip=192.0.2.25 delay=1 dsn=5.1.1 remote reply=User unknown"},
        {"bad delay",
         ID "to=<a@example.net>, delay=1, mailer=esmtp, pri=1, dsn=2.0.0, "
            "stat=Sent",
         "nothing"},
        {"controlled spoof",
         ID "to=<a@example.net>, ctladdr=<\"x, delay=00:00:01, dsn=5.1.1, "
            "stat=User unknown\"@example.com> (1000/1000)" THEN_SENT,
         "sent 60215wXk003001 to=<a@example.net>" SENT_OK},
        {"controlled shortened",
         ID "to=<a@example.net>, "
            "ctladdr=<\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"b, "
            "delay=00:00:01, stat=xyyyyyy\"@e.com> (1000/1000), "
            "delay=00:00:02, mailer=esmtp, pri=1, dsn=2.0.0, stat=Sent (ok)",
         "sent " A "delay=2 dsn=2.0.0 remote stage=eom reply=ok"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_sendmail_believes_the_first_dsn(void **state)
{
    static const struct maillog_row rows[] = {
        {"reply says sent",
         TO_A "relay=mx1. [192.0.2.25], dsn=4.3.0, reply=451 4.3.0 stat=Sent "
              "(ok), dsn=2.0.0, stat=User unknown, stat=Deferred: 451 4.3.0 "
              "stat=Sent (ok), dsn=2.0.0, stat=User unknown",
         "deferred " A "relay=mx1 ip=192.0.2.25 delay=1 dsn=4.3.0 remote "
         "reply=451 4.3.0 stat=Sent (ok), dsn=2.0.0"},
        {"sent says unknown",
         TO_A "relay=mx1. [192.0.2.25], dsn=2.0.0, stat=Sent (stat=Sent (ok), "
              "dsn=2.0.0, stat=User unknown)",
         "sent " A "relay=mx1 ip=192.0.2.25 delay=1 dsn=2.0.0 remote stage=eom "
         "reply=stat=Sent (ok), dsn=2.0.0, stat=User unknown"},
        {"deferred says sent",
         TO_A "relay=mx1. [192.0.2.25], dsn=4.3.0, stat=Deferred: 451 x, "
              "stat=Sent (ok)",
         "deferred " A "relay=mx1 ip=192.0.2.25 delay=1 dsn=4.3.0 remote "
         "reply=451 x, stat=Sent (ok)"},
        {"reply says fields",
         TO_A "relay=mx1. [192.0.2.25], dsn=5.7.1, reply=554 "
              "to=<v@example.org>, delay=00:00:01, dsn=5.1.1, stat=User "
              "unknown, stat=Service unavailable",
         "bounced " A
         "relay=mx1 ip=192.0.2.25 delay=1 dsn=5.7.1 remote reply=554 "
         "to=<v@example.org>, delay=00:00:01, dsn=5.1.1"},
        {"multi line",
         TO_A "relay=mx1. [192.0.2.25], dsn=5.7.1, reply=550-5.1.1 first line, "
              "stat=Service unavailable",
         "bounced " A "relay=mx1 ip=192.0.2.25 delay=1 dsn=5.7.1 remote "
         "reply=550-5.1.1 first line"},
        {"greeting",
         TO_A "relay=mx1. [192.0.2.25], dsn=4.5.0, reply=421 4.7.0 too many, "
              "stat=Deferred: 421 4.7.0 too many",
         "deferred " A
         "relay=mx1 ip=192.0.2.25 delay=1 dsn=4.7.0 remote stage=connect "
         "destination reply=421 4.7.0 too many"},
        {"shortened reply",
         TO_A "relay=mx1. [192.0.2.25], dsn=5.1.1, reply=550 5.1.1 The user "
              "you...not there, stat=User unknown",
         "bounced " A "relay=mx1 ip=192.0.2.25 delay=1 dsn=5.1.1 remote "
         "reply=550 5.1.1 The user you...not there"},
        {"sent empty",
         TO_A "relay=mx1. [192.0.2.25], dsn=2.0.0, stat=Sent (\\n)",
         "sent " A
         "relay=mx1 ip=192.0.2.25 delay=1 dsn=2.0.0 remote stage=eom reply="},
        {"sent plain",
         ID "to=<a@example.net>, delay=00:00:01, mailer=local, pri=1, "
            "dsn=2.0.0, stat=Sent",
         "sent " A "delay=1 dsn=2.0.0 local reply=Sent"},
        {"old remote",
         TO_A "relay=mx1. [192.0.2.25], dsn=5.1.1, stat=User unknown",
         "bounced " A
         "relay=mx1 ip=192.0.2.25 delay=1 dsn=5.1.1 remote reply=User unknown"},
        {"old remote text",
         TO_A "relay=mx1. [192.0.2.25], dsn=4.2.0, stat=Deferred: 450 4.2.0 "
              "greylisted",
         "deferred " A "relay=mx1 ip=192.0.2.25 delay=1 dsn=4.2.0 remote "
         "reply=450 4.2.0 greylisted"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_sendmail_knows_what_is_about_the_way_there(void **state)
{
    static const struct maillog_row rows[] = {
        {"refused connection",
         TO_A
         "relay=mx1., dsn=4.0.0, stat=Deferred: Connection refused by mx1.",
         "deferred " A "relay=mx1 delay=1 dsn=4.0.0 stage=connect destination "
         "reply=Connection refused by mx1."},
        {"reset",
         TO_A "relay=mx1. [192.0.2.25], dsn=4.0.0, stat=Deferred: Connection "
              "reset by mx1.",
         "deferred " A
         "relay=mx1 ip=192.0.2.25 delay=1 dsn=4.0.0 stage=connect destination "
         "reply=Connection reset by mx1."},
        {"no route",
         TO_A "relay=mx1. [192.0.2.25], dsn=4.0.0, stat=Deferred: "
              "mx1.example.net.: No route to host",
         "deferred " A
         "relay=mx1 ip=192.0.2.25 delay=1 dsn=4.0.0 stage=connect destination "
         "reply=mx1.example.net.: No route to host"},
        {"host unknown",
         ID "to=<a@nosuch.example>, delay=00:00:01, mailer=esmtp, pri=1, "
            "relay=nosuch.example, dsn=5.1.2, stat=Host unknown (Name server: "
            "nosuch.example: host not found)",
         "bounced 60215wXk003001 to=<a@nosuch.example> relay=nosuch.example "
         "delay=1 dsn=5.1.2 stage=connect destination reply=Host unknown (Name "
         "server: "
         "nosuch.example: host not found)"},
        {"name server",
         TO_A "relay=example.net, dsn=4.0.0, stat=Deferred: Name server: "
              "example.net: host name lookup failure",
         "deferred " A
         "relay=example.net delay=1 dsn=4.0.0 stage=connect destination "
         "reply=Name server: example.net: host name lookup failure"},
        {"input timeout",
         TO_A "relay=mx1. [192.0.2.25], dsn=4.0.0, stat=Deferred: timeout "
              "waiting for input from mx1. during client greeting",
         "deferred " A
         "relay=mx1 ip=192.0.2.25 delay=1 dsn=4.0.0 stage=connect destination "
         "reply=timeout waiting for input from mx1. during client greeting"},
        {"tls",
         TO_A
         "relay=mx1. [192.0.2.25], dsn=4.7.0, reply=403 4.7.0 TLS handshake "
         "failed., stat=Deferred: 403 4.7.0 TLS handshake failed.",
         "deferred " A
         "relay=mx1 ip=192.0.2.25 delay=1 dsn=4.7.0 stage=connect destination "
         "reply=403 4.7.0 TLS handshake failed."},
        {"loops",
         TO_A
         "relay=mail.example.com., dsn=5.3.5, stat=Local configuration error",
         "bounced " A "relay=mail.example.com delay=1 dsn=5.3.5 stage=connect "
         "destination reply=Local configuration error"},
        {"x 4",
         TO_A "relay=mx1. [192.0.2.25], dsn=4.4.5, reply=452 4.4.5 x, "
              "stat=Deferred: 452 4.4.5 x",
         "deferred " A "relay=mx1 ip=192.0.2.25 delay=1 dsn=4.4.5 remote "
         "destination reply=452 4.4.5 x"},
        {"reply says connection",
         TO_A "relay=mx1. [192.0.2.25], dsn=5.1.1, reply=550 5.1.1 Connection "
              "refused, stat=User unknown",
         "bounced " A "relay=mx1 ip=192.0.2.25 delay=1 dsn=5.1.1 remote "
         "reply=550 5.1.1 Connection refused"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_sendmail_knows_local_mailers(void **state)
{
    static const struct maillog_row rows[] = {
        {"local unknown",
         ID "to=<nobody@mail.example.com>, delay=00:00:01, mailer=local, "
            "pri=0, dsn=5.1.1, stat=User unknown",
         "refused 60215wXk003001 to=<nobody@mail.example.com> delay=1 "
         "dsn=5.1.1 local reply=User unknown"},
        {"local unknown, of an alias",
         ID "to=nobody, ctladdr=<team> (1/0), delay=00:00:01, mailer=local, "
            "pri=180015, dsn=5.1.1, reply=550 5.1.1 User unknown, stat=User "
            "unknown",
         "bounced 60215wXk003001 to=<nobody> delay=1 dsn=5.1.1 local "
         "reply=550 5.1.1 User unknown"},
        {"local lmtp",
         ID "to=<ann@mail.example.com>, delay=00:00:01, mailer=local, pri=1, "
            "relay=mail.example.com, dsn=4.2.2, reply=452 4.2.2 over quota, "
            "stat=Deferred: 452 4.2.2 over quota",
         "deferred 60215wXk003001 to=<ann@mail.example.com> "
         "relay=mail.example.com delay=1 dsn=4.2.2 local reply=452 4.2.2 over "
         "quota"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_sendmail_joins_the_pieces_of_a_record(void **state)
{
    static const struct piece {
        const char *line;
        const char *shown;
    } pieces[] = {
        {"sm-mta[7]: 60215wXk003001[1]: to=<a@example.net>, ctladdr=<\"x,  "
         "...",
         "nothing"},
        {"sm-mta[8]: 60215wXk003009[1]: to=<c@example.net>, ...", "nothing"},
        {"postfix/qmgr[2]: 3F1A2C0B91: removed", "removed 3F1A2C0B91"},
        {"sm-mta[7]: 60215wXk003001[2]: y\"@example.com> (0/0), "
         "delay=00:00:01, mailer=esmtp, pri=1, dsn=5.1.1,  ...",
         "nothing"},
        {"sm-mta[8]: 60215wXk003009[2]:  delay=00:00:02, dsn=2.0.0, stat=Sent",
         "sent 60215wXk003009 to=<c@example.net> delay=2 dsn=2.0.0 remote "
         "stage=eom reply=Sent"},
        {"sm-mta[7]: 60215wXk003001[3]: reply=550 a\\\\b ..., stat=User ...",
         "bounced " A "delay=1 dsn=5.1.1 remote reply=550 a\\b ..."},
    };
    static char buffer[MAILLOG_SHOWN_SIZE];
    struct maillog_parser *parser = maillog_parser_new(0);

    (void)state;
    assert_non_null(parser);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        assert_string_equal(
            maillog_parse_shown(parser, text_of(pieces[i].line), buffer),
            pieces[i].shown);
    }
    maillog_parser_free(parser);
}

static void maillog_sendmail_waits_for_no_piece_that_is_lost(void **state)
{
    static const char *const lines[] = {
        "sm-mta[7]: 60215wXk003001[2]: delay=00:00:01, dsn=5.1.1, stat=x",
        "sm-mta[7]: 60215wXk003001[1]: to=<a@example.net>,  ...",
        "sm-mta[7]: 60215wXk003001[3]: delay=00:00:01, dsn=5.1.1, stat=x",
        "sm-mta[7]: 60215wXk003001[2]: delay=00:00:01, dsn=5.1.1, stat=x",
        "sm-mta[7]: 60215wXk003001[1]: to=<a@example.net>,  ...",
        "sm-mta[6]: 60215wXk003001[2]: delay=00:00:01, dsn=5.1.1, stat=x",
        "sm-mta[7]: 60215wXk003002[2]: delay=00:00:01, dsn=5.1.1, stat=x",
        "sm-mta[7]: 60215wXk003001[0]: delay=00:00:01, dsn=5.1.1, stat=x",
    };
    static char buffer[MAILLOG_SHOWN_SIZE];
    struct maillog_parser *parser = maillog_parser_new(0);

    (void)state;
    assert_non_null(parser);
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_string_equal(
            maillog_parse_shown(parser, text_of(lines[i]), buffer), "nothing");
    }
    for (char id = 'a'; id <= 'z'; id++) { /* more than it can hold */
        char line[] = "sm-mta[7]: 60215wX?003001[1]: to=<a@example.net>,  ...";

        *strchr(line, '?') = id;
        assert_string_equal(maillog_parse_shown(parser, text_of(line), buffer),
                            "nothing");
    }
    assert_string_equal(
        maillog_parse_shown(parser,
                            text_of("sm-mta[7]: 60215wXz003001[2]: "
                                    "delay=00:00:01, dsn=5.1.1, stat=x"),
                            buffer),
        "bounced 60215wXz003001 to=<a@example.net> delay=1 dsn=5.1.1 reply=x");
    maillog_parser_free(parser);
}

/* Sendmail breaks a long list at any comma, quoted or not. */
static void
maillog_sendmail_joins_an_address_that_a_list_was_broken_in(void **state)
{
    static const struct piece {
        const char *line;
        const char *shown;
    } pieces[] = {
        {ID "to=<a@example.net>,<\"b, [more], delay=00:00:01, mailer=esmtp, "
            "pri=1, dsn=2.0.0, stat=Sent (\"@x>)",
         "sent " A "delay=1 dsn=2.0.0 remote stage=eom more reply=\"@x>"},
        {"sm-mta[8]: 60215wXk003001: to=<c@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<c@example.net>" SENT_OK},
        {ID "to=<v@example.org>,\"@example.net>,<d@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<\"b,<v@example.org>,\"@example.net> "
         "to=<d@example.net>" SENT_OK},
        {ID "to=<e@example.net>" THEN_SENT,
         "sent 60215wXk003001 to=<e@example.net>" SENT_OK},
        {ID "to=<\"f, [more], ctladdr=<g@example.net>, delay=00:00:01, "
            "mailer=esmtp, pri=1, dsn=2.0.0, stat=Sent (ok)",
         "nothing"},
        {ID "to=g,<v@example.org>\"@example.net>" THEN_SENT,
         "sent 60215wXk003001 "
         "to=<\"f,g,<v@example.org>\"@example.net>" SENT_OK},
    };
    static char buffer[MAILLOG_SHOWN_SIZE];
    struct maillog_parser *parser = maillog_parser_new(0);

    (void)state;
    assert_non_null(parser);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        assert_string_equal(
            maillog_parse_shown(parser, text_of(pieces[i].line), buffer),
            pieces[i].shown);
    }
    maillog_parser_free(parser);
}

/* Whatever a line is, reading it stays inside and names nobody else. */
static void survive(const char *line, const char *recipient)
{
    static char buffer[MAILLOG_SHOWN_SIZE];
    struct maillog_parser *parser = maillog_parser_new(0);
    size_t length = strlen(line);
    char copy[1024];

    assert_non_null(parser);
    assert_true(length < sizeof copy);
    for (size_t cut = 0; cut <= length; cut++) {
        const char *shown =
            maillog_parse_shown(parser, (struct text){line, cut}, buffer);

        assert_true(strstr(shown, " to=<") == NULL ||
                    strstr(shown, recipient) != NULL);
    }
    for (size_t at = 0; at < length * 256; at++) {
        memcpy(copy, line, length);
        copy[at / 256] = (char)(unsigned char)(at % 256);
        (void)maillog_parse_shown(parser, (struct text){copy, length}, buffer);
    }
    maillog_parser_free(parser);
}

static void maillog_sendmail_survives_every_cut_and_every_byte(void **state)
{
    (void)state;
    survive(ID "to=<\"x\\\\\">,<v@example.org>,<y\"@example.net>, "
               "ctladdr=<app@example.com> (1000/1000), delay=1+02:11:40, "
               "xdelay=00:00:01, mailer=esmtp, pri=1, relay=mx1. [192.0.2.25],"
               " dsn=5.1.1, reply=550 5.1.1 to=<v@example.org>, stat=User "
               "unknown",
            "y\"@example.net>");
    survive(ID "ruleset=check_rcpt, arg1=<\"a>, reject=550 "
               "<v@example.org>\"@example.net>, relay=host [203.0.113.66], "
               "reject=550 5.7.1 no",
            "\"@example.net>");
    survive(ID "from=<\"a, size=9\"@example.com>, size=812, class=0, nrcpts=2, "
               "msgid=<1@example.com>, proto=ESMTP, daemon=MTA, "
               "relay=app1.example.com [IPv6:2001:db8::9]",
            "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maillog_sendmail_takes_lists_apart),
        cmocka_unit_test(
            maillog_sendmail_takes_no_recipient_from_a_quoted_local_part),
        cmocka_unit_test(maillog_sendmail_knows_its_fields),
        cmocka_unit_test(maillog_sendmail_believes_the_first_dsn),
        cmocka_unit_test(maillog_sendmail_knows_what_is_about_the_way_there),
        cmocka_unit_test(maillog_sendmail_knows_local_mailers),
        cmocka_unit_test(maillog_sendmail_joins_the_pieces_of_a_record),
        cmocka_unit_test(maillog_sendmail_waits_for_no_piece_that_is_lost),
        cmocka_unit_test(
            maillog_sendmail_joins_an_address_that_a_list_was_broken_in),
        cmocka_unit_test(maillog_sendmail_survives_every_cut_and_every_byte),
    };

    return cmocka_run_group_tests_name("maillog_sendmail", tests, NULL, NULL);
}
