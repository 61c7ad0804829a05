/* maillog_postfix: lines about recipients */
#include "maillog_shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

#define MX                                                                     \
    "postfix/smtp[2]: 3F1A2C0B82: to=<a@example.net>, "                        \
    "relay=mx1[192.0.2.25]:25, delay=1, delays=1/0/0/0, "
#define NONE                                                                   \
    "postfix/smtp[2]: 3F1A2C0B82: to=<a@example.net>, relay=none, delay=1, "   \
    "delays=1/0/0/0, "
#define TO "postfix/smtp[2]: 3F1A2C0B82: to=<"
#define THEN_SENT                                                              \
    ">, relay=mx1[192.0.2.25]:25, delay=0.7, delays=0.1/0/0.2/0.4, "           \
    "dsn=2.0.0, status=sent (250 ok)"
#define SENT_OK                                                                \
    " relay=mx1 ip=192.0.2.25 port=25 delay=0 dsn=2.0.0 remote stage=eom "     \
    "reply=250 ok"
#define A_MX                                                                   \
    "3F1A2C0B82 to=<a@example.net> relay=mx1 ip=192.0.2.25 port=25 delay=1 "

static void
maillog_postfix_takes_no_recipient_from_a_quoted_local_part(void **state)
{
    static const struct maillog_row rows[] = {
        {"to comma",
         TO "\"a, relay=x[192.0.2.9]:25, b\"@example.net>, relay=none, "
            "delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (connect to "
            "mx[192.0.2.1]:25: Connection refused)",
         "deferred 3F1A2C0B82 to=<\"a, relay=x[192.0.2.9]:25, b\"@example.net> "
         "relay=mx ip=192.0.2.1 delay=1 dsn=4.4.1 stage=connect destination "
         "reply=connect to mx[192.0.2.1]:25: Connection refused"},
        {"to bracket", TO "\"a>b\"@example.net" THEN_SENT,
         "sent 3F1A2C0B82 to=<\"a>b\"@example.net>" SENT_OK},
        {"to escaped quote",
         TO "\"a\\\">, relay=none, dsn=5.1.1, status=bounced "
            "(\\\"b\"@example.net" THEN_SENT,
         "sent 3F1A2C0B82 to=<\"a\\\">, relay=none, dsn=5.1.1, status=bounced "
         "(\\\"b\"@example.net>" SENT_OK},
        {"to escaped backslash", TO "\"a\\\\\"@example.net" THEN_SENT,
         "sent 3F1A2C0B82 to=<\"a\\\\\"@example.net>" SENT_OK},
        {"to at in quotes", TO "\"v@example.org\"@example.net" THEN_SENT,
         "sent 3F1A2C0B82 to=<\"v@example.org\"@example.net>" SENT_OK},
        {"to parentheses",
         TO "\"(x), status=bounced (y)\"@example.net" THEN_SENT,
         "sent 3F1A2C0B82 to=<\"(x), status=bounced "
         "(y)\"@example.net>" SENT_OK},
        {"to whole spoof",
         TO
         "\"v@example.org>, relay=mx[192.0.2.1]:25, delay=1, delays=1/0/0/0, "
         "dsn=5.1.1, status=bounced (host mx[192.0.2.1] said: 550 5.1.1 no (in "
         "reply to RCPT TO command))\"@example.net" THEN_SENT,
         "sent 3F1A2C0B82 to=<\"v@example.org>, relay=mx[192.0.2.1]:25, "
         "delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced (host "
         "mx[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO "
         "command))\"@example.net>" SENT_OK},
        {"to hazard",
         TO "\"a>, relay=x, status=sent\"@example.com>, "
            "relay=mx1[192.0.2.25]:25, delay=0.7, delays=0.1/0/0.2/0.4, "
            "dsn=5.1.1, status=bounced (host mx1[192.0.2.25] said: 550 5.1.1 "
            "status=sent (250 (in reply to RCPT TO command))",
         "bounced 3F1A2C0B82 to=<\"a>, relay=x, status=sent\"@example.com> "
         "relay=mx1 ip=192.0.2.25 port=25 delay=0 dsn=5.1.1 remote stage=rcpt "
         "reply=550 5.1.1 status=sent (250"},
        {"to open quote", TO "a\"b@example.net" THEN_SENT, "nothing"},
        {"to literal",
         TO "u@[x>, relay=none, delay=0, delays=0/0/0/0, dsn=5.1.1, "
            "status=bounced (y]>, relay=none, delay=0.7, delays=0.1/0/0.2/0.4, "
            "dsn=5.4.4, status=bounced (Host or domain name not found. Name "
            "service error for name=x type=A: Host not found)",
         "bounced 3F1A2C0B82 to=<u@[x>, relay=none, delay=0, delays=0/0/0/0, "
         "dsn=5.1.1, status=bounced (y]> delay=0 dsn=5.4.4 stage=connect "
         "destination reply=Host or domain name not found. Name service error "
         "for name=x type=A: Host not found"},
        {"to good literal",
         TO "u@[192.0.2.1]>, relay=192.0.2.1[192.0.2.1]:25, delay=0.7, "
            "delays=0.1/0/0.2/0.4, dsn=2.0.0, status=sent (250 ok)",
         "sent 3F1A2C0B82 to=<u@[192.0.2.1]> relay=192.0.2.1 ip=192.0.2.1 "
         "port=25 delay=0 dsn=2.0.0 remote stage=eom reply=250 ok"},
        {"to empty",
         TO ">, relay=none, delay=0.7, delays=0.1/0/0.2/0.4, dsn=2.0.0, "
            "status=sent (250 ok)",
         "nothing"},
        {"to quoted empty",
         TO "\"\"@example.net>, relay=none, delay=0.7, delays=0.1/0/0.2/0.4, "
            "dsn=5.1.1, status=bounced (x)",
         "bounced 3F1A2C0B82 to=<\"\"@example.net> delay=0 dsn=5.1.1 reply=x"},
        {"to no domain",
         "postfix/local[2]: 3F1A2C0B82: to=<root>, relay=local, delay=0.7, "
         "delays=0.1/0/0.2/0.4, dsn=2.0.0, status=sent (delivered to mailbox)",
         "sent 3F1A2C0B82 to=<root> relay=local delay=0 dsn=2.0.0 local "
         "reply=delivered to mailbox"},
        {"to question marks", TO "j??rgen@example.net" THEN_SENT,
         "sent 3F1A2C0B82 to=<j??rgen@example.net>" SENT_OK},
        {"to internal blank", TO "john doe@example.net" THEN_SENT,
         "sent 3F1A2C0B82 to=<john doe@example.net>" SENT_OK},
        {"to internal spoof",
         TO "v@example.org>, relay=none, delay=1, delays=1/0/0/0, dsn=5.1.1, "
            "status=bounced (y@example.net" THEN_SENT,
         "nothing"},
        {"to internal short spoof",
         TO "v@example.org>, relay=none, dsn=5.1.1, status=bounced "
            "(y@example.net" THEN_SENT,
         "nothing"},
        {"orig plain", TO "a@example.net>, orig_to=<postmaster" THEN_SENT,
         "sent 3F1A2C0B82 to=<a@example.net> orig_to=<postmaster>" SENT_OK},
        {"orig quoted",
         TO "a@example.net>, orig_to=<\"b>, relay=none, c\"@example.com>, "
            "relay=mx1[192.0.2.25]:25, conn_use=12, delay=0.7, "
            "delays=0.1/0/0.2/0.4, tls=dane/!requiretls, dsn=2.0.0, "
            "status=sent (250 ok)",
         "sent 3F1A2C0B82 to=<a@example.net> orig_to=<\"b>, relay=none, "
         "c\"@example.com>" SENT_OK},
        {"to imitates orig",
         TO "\"a>, orig_to=<v@example.org>, relay=x\"@example.net" THEN_SENT,
         "sent 3F1A2C0B82 to=<\"a>, orig_to=<v@example.org>, "
         "relay=x\"@example.net>" SENT_OK},
        {"to long quoted with orig",
         TO "\"a b\"@example.net>, orig_to=<\"a b\"" THEN_SENT,
         "sent 3F1A2C0B82 to=<\"a b\"@example.net> orig_to=<\"a b\">" SENT_OK},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_postfix_wants_its_fields_in_order(void **state)
{
    static const struct maillog_row rows[] = {
        {"no relay",
         TO "a@example.net>, delay=0.7, delays=0.1/0/0.2/0.4, dsn=2.0.0, "
            "status=sent (250 ok)",
         "nothing"},
        {"status first",
         TO
         "a@example.net>, status=sent (250 ok), relay=none, delay=1, dsn=2.0.0",
         "nothing"},
        {"bad dsn", NONE "dsn=9.1.1, status=bounced (x)", "nothing"},
        {"no dsn before 2 3",
         TO "a@example.net>, relay=mx1.example.net[192.0.2.25], delay=1, "
            "status=sent (250 ok)",
         "sent 3F1A2C0B82 to=<a@example.net> relay=mx1.example.net "
         "ip=192.0.2.25 delay=1 remote stage=eom reply=250 ok"},
        {"large delay",
         TO "a@example.net>, relay=none, delay=345621, delays=345620/0.01/1/0, "
            "dsn=4.4.1, status=deferred (connect to mx[192.0.2.1]:25: No route "
            "to host)",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=mx ip=192.0.2.1 "
         "delay=345621 dsn=4.4.1 stage=connect destination reply=connect to "
         "mx[192.0.2.1]:25: No route to host"},
        {"huge delay",
         TO "a@example.net>, relay=none, delay=99999999999999999999999, "
            "delays=1/0/1/0, dsn=4.4.1, status=deferred (x)",
         "deferred 3F1A2C0B82 to=<a@example.net> delay=922337203685477580 "
         "dsn=4.4.1 destination reply=x"},
        {"literal relay",
         TO "a@example.net>, relay=2001:db8::25[2001:db8::25]:25, delay=1, "
            "delays=1/0/0/0, dsn=2.0.0, status=sent (250 ok)",
         "sent 3F1A2C0B82 to=<a@example.net> relay=2001:db8::25 "
         "ip=2001:db8::25 port=25 delay=1 dsn=2.0.0 remote stage=eom reply=250 "
         "ok"},
        {"relay with port 587",
         TO "a@example.net>, relay=smart.example.com[192.0.2.25]:587, delay=1, "
            "delays=1/0/0/0, dsn=2.0.0, status=sent (250 ok)",
         "sent 3F1A2C0B82 to=<a@example.net> relay=smart.example.com "
         "ip=192.0.2.25 port=587 delay=1 dsn=2.0.0 remote stage=eom reply=250 "
         "ok"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_postfix_goes_by_the_status_word(void **state)
{
    static const struct maillog_row rows[] = {
        {"softbounce",
         MX "dsn=4.1.1, status=SOFTBOUNCE (host mx1[192.0.2.25] said: 550 "
            "5.1.1 no (in reply to RCPT TO command))",
         "deferred " A_MX "dsn=4.1.1 remote stage=rcpt reply=550 5.1.1 no"},
        {"filtered bounced",
         MX "dsn=5.2.1, status=bounced (host mx1[192.0.2.25] said: 450 4.2.1 x "
            "(in reply to RCPT TO command))",
         "bounced " A_MX "dsn=5.2.1 remote stage=rcpt reply=450 4.2.1 x"},
        {"filtered deferred",
         MX "dsn=4.2.1, status=deferred (host mx1[192.0.2.25] said: 550 5.2.1 "
            "x (in reply to RCPT TO command))",
         "deferred " A_MX "dsn=4.2.1 remote stage=rcpt reply=550 5.2.1 x"},
        {"undeliverable 4",
         NONE "dsn=4.4.1, status=undeliverable (connect to mx[192.0.2.1]:25: "
              "refused)",
         "nothing"},
        {"not cached",
         NONE "dsn=5.1.1, status=undeliverable-but-not-cached (x)", "nothing"},
        {"deliverable",
         "postfix/local[2]: 3F1A2C0B82: to=<a@example.net>, relay=local, "
         "delay=1, delays=1/0/0/0, dsn=2.0.0, status=deliverable (delivers to "
         "mailbox)",
         "nothing"},
        {"sent longer word", NONE "dsn=2.0.0, status=sentimental (x)",
         "nothing"},
        {"sent without blank", NONE "dsn=2.0.0, status=sent(x)", "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_postfix_knows_its_programs_and_queue_ids(void **state)
{
    static const struct maillog_row rows[] = {
        {"instance",
         "postfix-out/smtp[2]: 3F1A2C0B82: to=<a@example.net>, "
         "relay=mx1[192.0.2.25]:25, delay=1, delays=1/0/0/0, dsn=2.0.0, "
         "status=sent (250 ok)",
         "sent " A_MX "dsn=2.0.0 remote stage=eom reply=250 ok"},
        {"relay service",
         "postfix/relay/smtp[2]: 3F1A2C0B82: to=<a@example.net>, "
         "relay=mx1[192.0.2.25]:25, delay=1, delays=1/0/0/0, dsn=2.0.0, "
         "status=sent (250 ok)",
         "sent " A_MX "dsn=2.0.0 remote stage=eom reply=250 ok"},
        {"own syslog name",
         "mx-a/out/smtp[2]: 3F1A2C0B82: to=<a@example.net>, "
         "relay=mx1[192.0.2.25]:25, delay=1, delays=1/0/0/0, dsn=2.0.0, "
         "status=sent (250 ok)",
         "sent " A_MX "dsn=2.0.0 remote stage=eom reply=250 ok"},
        {"no slash",
         "smtp[2]: 3F1A2C0B82: to=<a@example.net>, relay=mx1[192.0.2.25]:25, "
         "delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (250 ok)",
         "nothing"},
        {"not postfix",
         "evil/smtpx[2]: 3F1A2C0B82: to=<a@example.net>, "
         "relay=mx1[192.0.2.25]:25, delay=1, delays=1/0/0/0, dsn=2.0.0, "
         "status=sent (250 ok)",
         "nothing"},
        {"smtpd never delivers",
         "postfix/smtpd[2]: 3F1A2C0B82: to=<a@example.net>, "
         "relay=mx1[192.0.2.25]:25, delay=1, delays=1/0/0/0, dsn=2.0.0, "
         "status=sent (250 ok)",
         "nothing"},
        {"no queue id",
         "postfix/smtp[2]: to=<a@example.net>, relay=mx1[192.0.2.25]:25, "
         "delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (250 ok)",
         "nothing"},
        {"noqueue",
         "postfix/smtp[2]: NOQUEUE: to=<a@example.net>, "
         "relay=mx1[192.0.2.25]:25, delay=1, delays=1/0/0/0, dsn=2.0.0, "
         "status=sent (250 ok)",
         "nothing"},
        {"warning is no id",
         "postfix/smtp[2]: warning: to=<a@example.net>, relay=none, delay=1, "
         "delays=1/0/0/0, dsn=2.0.0, status=sent (250 ok)",
         "nothing"},
        {"warning before id",
         "postfix/cleanup[2]: warning: 3F1A2C0B82: milter configuration error: "
         "can't reject recipient in non-smtpd(8) submission",
         "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_postfix_takes_no_outcome_without_recipient(void **state)
{
    static const struct maillog_row rows[] = {
        {"said",
         "postfix/smtp[2]: 3F1A2C0B82: host mx1[192.0.2.25] said: 450 4.2.0 "
         "to=<a@example.net>, relay=none, delay=1, delays=1/0/0/0, dsn=5.1.1, "
         "status=bounced (x) (in reply to RCPT TO command)",
         "nothing"},
        {"refused",
         "postfix/smtp[2]: 3F1A2C0B82: host mx1[192.0.2.25] refused to talk to "
         "me: 554 x",
         "nothing"},
        {"lost",
         "postfix/smtp[2]: 3F1A2C0B82: lost connection with mx1[192.0.2.25] "
         "while receiving the initial server greeting",
         "nothing"},
        {"timed out",
         "postfix/smtp[2]: 3F1A2C0B82: conversation with mx1[192.0.2.25] timed "
         "out while sending MAIL FROM",
         "nothing"},
        {"connect no id",
         "postfix/smtp[2]: connect to mx1[192.0.2.25]:25: Connection timed out",
         "nothing"},
        {"untrusted tls",
         "postfix/smtp[2]: Untrusted TLS connection established to "
         "mx1[192.0.2.25]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
         "(256/256 bits)",
         "nothing"},
        {"bounce failed",
         "postfix/qmgr[2]: 3F1A2C0B82: status=deferred (bounce failed)",
         "nothing"},
        {"delay warning",
         "postfix/bounce[2]: 3F1A2C0B82: sender delay notification: 4A2B3C0D1E",
         "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_postfix_says_when_a_line_is_cut(void **state)
{
    static const struct maillog_row rows[] = {
        {"cut text",
         MX "dsn=5.1.1, status=bounced (host mx1[192.0.2.25] said: 550 5.1.1 "
            "and so on",
         "bounced " A_MX "dsn=5.1.1 remote cut reply=550 5.1.1 and so on"},
        {"cut before text", MX "dsn=5.1.1, status=bounced (",
         "bounced " A_MX "dsn=5.1.1 cut reply="},
        {"cut at status", MX "dsn=5.1.1, status=bounced",
         "bounced " A_MX "dsn=5.1.1 cut"},
        {"cut in status", MX "dsn=5.1.1, status=boun", "nothing"},
        {"cut in dsn", MX "dsn=5.1", "nothing"},
        {"cut in to", TO "a@exam", "nothing"},
        {"cut in relay", TO "a@example.net>, relay=mx", "nothing"},
        {"cut connection",
         NONE "dsn=4.4.1, status=deferred (connect to mx1[192.0.2.25]:25: Conn",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=mx1 ip=192.0.2.25 "
         "delay=1 dsn=4.4.1 stage=connect destination cut reply=connect to "
         "mx1[192.0.2.25]:25: Conn"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_postfix_says_that_2000_bytes_are_cut(void **state)
{
    static char buffer[MAILLOG_SHOWN_SIZE];
    struct maillog_parser *parser = maillog_parser_new(0);
    char line[4096];
    int length = snprintf(line, sizeof line,
                          MX "dsn=5.1.1, status=bounced (host mx1[192.0.2.25] "
                             "said: 550 ");

    (void)state;
    assert_non_null(parser);
    memset(line + length, 'x', sizeof line - (size_t)length);
    line[2016] = ')'; /* by chance: 2000 bytes behind "postfix/smtp[2]: " */
    assert_non_null(
        strstr(maillog_parse_shown(parser, (struct text){line, 2017}, buffer),
               " remote cut reply=550 xxx"));
    line[2015] = ')'; /* a byte less, and it is Postfix's own */
    assert_null(
        strstr(maillog_parse_shown(parser, (struct text){line, 2016}, buffer),
               " cut "));
    maillog_parser_free(parser);
}

static void maillog_postfix_keeps_bytes_that_are_no_utf_8(void **state)
{
    static const struct maillog_row rows[] = {
        {"in the recipient", TO "j\374rgen@example.net" THEN_SENT,
         "sent 3F1A2C0B82 to=<j\374rgen@example.net>" SENT_OK},
        {"in the reply",
         MX "dsn=5.1.1, status=bounced (host mx1[192.0.2.25] said: 550 "
            "\377\300\200 (in reply to RCPT TO command))",
         "bounced " A_MX "dsn=5.1.1 remote stage=rcpt reply=550 \377\300\200"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
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

static void maillog_postfix_survives_every_cut_and_every_byte(void **state)
{
    (void)state;
    survive(TO "\"v@example.org>, relay=none, delay=1, delays=0/0/0/0, "
               "dsn=5.1.1, status=bounced (x)\"@example.net>, orig_to=<\"b>, "
               "c\"@example.com>, relay=mx1[192.0.2.25]:25, conn_use=2, "
               "delay=0.7, delays=0.1/0/0.2/0.4, tls=may, dsn=5.1.1, "
               "status=bounced (host mx1[192.0.2.25] said: 550 no (in reply "
               "to RCPT TO command))",
            "(x)\"@example.net>");
    survive("postfix/smtpd[2]: NOQUEUE: reject: RCPT from app[203.0.113.66]:40:"
            " 554 5.7.1 <\"a> to=<v@example.org>\"@example.net>: no; "
            "from=<\"x> to=<v@example.org>\"@example.com> to=<\"a> "
            "to=<v@example.org>\"@example.net> proto=ESMTP helo=<pc>",
            "\"@example.net>");
    survive("postfix/qmgr[2]: 4c8KRw3pDTz1Bqk: from=<\"x>, status=expired, "
            "returned to sender\"@example.com>, size=3402, nrcpt=2 (queue "
            "active)",
            "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            maillog_postfix_takes_no_recipient_from_a_quoted_local_part),
        cmocka_unit_test(maillog_postfix_wants_its_fields_in_order),
        cmocka_unit_test(maillog_postfix_goes_by_the_status_word),
        cmocka_unit_test(maillog_postfix_knows_its_programs_and_queue_ids),
        cmocka_unit_test(maillog_postfix_takes_no_outcome_without_recipient),
        cmocka_unit_test(maillog_postfix_says_when_a_line_is_cut),
        cmocka_unit_test(maillog_postfix_says_that_2000_bytes_are_cut),
        cmocka_unit_test(maillog_postfix_keeps_bytes_that_are_no_utf_8),
        cmocka_unit_test(maillog_postfix_survives_every_cut_and_every_byte),
    };

    return cmocka_run_group_tests_name("maillog_postfix", tests, NULL, NULL);
}
