/* maillog_postfix_reason: who said it, when, and about whom */
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

static void maillog_postfix_reason_takes_no_field_from_a_reply(void **state)
{
    static const struct maillog_row rows[] = {
        {"reply imitates fields",
         MX
         "dsn=5.1.1, status=bounced (host mx1[192.0.2.25] said: 550 5.1.1 no), "
         "dsn=2.0.0, status=sent (250 ok (in reply to RCPT TO command))",
         "bounced " A_MX "dsn=5.1.1 remote stage=rcpt reply=550 5.1.1 no), "
         "dsn=2.0.0, status=sent (250 ok"},
        {"reply imitates line",
         MX
         "dsn=5.7.1, status=bounced (host mx1[192.0.2.25] said: 550 5.7.1 "
         "3F1A2C0B82: to=<v@example.org>, relay=none, delay=1, delays=1/0/0/0, "
         "dsn=5.1.1, status=bounced (no (in reply to MAIL FROM command))",
         "nothing"},
        {"reply imitates line start",
         MX
         "dsn=5.7.1, status=bounced (host mx1[192.0.2.25] said: 550 5.7.1 Jan  "
         "2 03:04:05 mail postfix/smtp[2]: 3F1A2C0B83: to=<v@example.org> "
         "status=bounced (no) (in reply to RCPT TO command))",
         "bounced " A_MX
         "dsn=5.7.1 remote stage=rcpt reply=550 5.7.1 Jan  2 03:04:05 mail "
         "postfix/smtp[2]: 3F1A2C0B83: to=<v@example.org> status=bounced (no)"},
        {"reply imitates stage",
         MX
         "dsn=5.7.1, status=bounced (host mx1[192.0.2.25] said: 550 5.7.1 no "
         "(in reply to RCPT TO command) (in reply to end of DATA command))",
         "bounced " A_MX "dsn=5.7.1 remote stage=eom reply=550 5.7.1 no (in "
         "reply to RCPT TO command)"},
        {"reply imitates host",
         MX "dsn=5.7.1, status=bounced (host mx1[192.0.2.25] said: 550 host "
            "v.example[192.0.2.66] said: 550 5.1.1 x (in reply to RCPT TO "
            "command))",
         "bounced " A_MX "dsn=5.7.1 remote stage=rcpt reply=550 host "
         "v.example[192.0.2.66] said: 550 5.1.1 x"},
        {"reply imitates suspension",
         MX "dsn=5.1.1, status=bounced (host mx1[192.0.2.25] said: delivery "
            "temporarily suspended: 550 5.1.1 x (in reply to RCPT TO command))",
         "bounced " A_MX "dsn=5.1.1 remote stage=rcpt reply=delivery "
         "temporarily suspended: 550 5.1.1 x"},
        {"sent imitates failure",
         MX "dsn=2.0.0, status=sent (host mx1[192.0.2.25] said: 550 5.1.1 x "
            "(in reply to RCPT TO command))",
         "sent " A_MX "dsn=2.0.0 remote stage=eom reply=host mx1[192.0.2.25] "
         "said: 550 5.1.1 x (in reply to RCPT TO command)"},
        {"sent imitates forwarding",
         MX "dsn=2.0.0, status=sent (forwarded as 4A2B3C0D1E)",
         "sent " A_MX
         "dsn=2.0.0 remote stage=eom reply=forwarded as 4A2B3C0D1E"},
        {"no code",
         MX "dsn=5.5.1, status=bounced (host mx1[192.0.2.25] said: Recipient? "
            "No idea, dear 554 5.5.1 x (in reply to RCPT TO command))",
         "bounced " A_MX "dsn=5.5.1 remote stage=rcpt reply=Recipient? No "
         "idea, dear 554 5.5.1 x"},
        {"code 354",
         MX "dsn=5.5.0, status=bounced (host mx1[192.0.2.25] said: 354 go on "
            "(in reply to RCPT TO command))",
         "bounced " A_MX "dsn=5.5.0 remote stage=rcpt reply=354 go on"},
        {"code 999",
         MX "dsn=5.5.0, status=bounced (host mx1[192.0.2.25] said: 999 what "
            "(in reply to MAIL FROM command))",
         "bounced " A_MX "dsn=5.5.0 remote stage=mail reply=999 what"},
        {"command imitates",
         "postfix/local[2]: 3F1A2C0B82: to=<a@example.net>, relay=local, "
         "delay=1, delays=1/0/0/0, dsn=5.3.0, status=bounced (x), dsn=2.0.0, "
         "status=sent (delivered to mailbox) )",
         "bounced 3F1A2C0B82 to=<a@example.net> relay=local delay=1 dsn=5.3.0 "
         "local reply=x), dsn=2.0.0, status=sent (delivered to mailbox) "},
        {"command dsn",
         "postfix/pipe[2]: 3F1A2C0B82: to=<a@example.net>, relay=filter, "
         "delay=1, delays=1/0/0/0, dsn=4.2.2, status=deferred (no, 5.1.1 <x> "
         "is full)",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=filter delay=1 "
         "dsn=4.2.2 local reply=no, 5.1.1 <x> is full"},
        {"command imitates host",
         "postfix/pipe[2]: 3F1A2C0B82: to=<a@example.net>, relay=filter, "
         "delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced (host "
         "v.example[192.0.2.66] said: 550 x (in reply to RCPT TO command))",
         "bounced 3F1A2C0B82 to=<a@example.net> relay=filter delay=1 dsn=5.1.1 "
         "local reply=host v.example[192.0.2.66] said: 550 x (in reply to RCPT "
         "TO command)"},
        {"unknown user imitates",
         "postfix/local[2]: 3F1A2C0B82: to=<\"a, dsn=2.0.0, \"@example.net>, "
         "relay=local, delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced "
         "(unknown user: \"a, dsn=2.0.0, \")",
         "bounced 3F1A2C0B82 to=<\"a, dsn=2.0.0, \"@example.net> relay=local "
         "delay=1 dsn=5.1.1 local reply=unknown user: \"a, dsn=2.0.0, \""},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_postfix_reason_tells_stage_and_destination(void **state)
{
    static const struct maillog_row rows[] = {
        {"mail from",
         MX "dsn=5.7.1, status=bounced (host mx1[192.0.2.25] said: 550 5.7.1 "
            "sender (in reply to MAIL FROM command))",
         "bounced " A_MX "dsn=5.7.1 remote stage=mail reply=550 5.7.1 sender"},
        {"data",
         MX "dsn=5.5.1, status=bounced (host mx1[192.0.2.25] said: 554 5.5.1 "
            "no valid recipients (in reply to DATA command))",
         "bounced " A_MX
         "dsn=5.5.1 remote stage=data reply=554 5.5.1 no valid recipients"},
        {"end of data 4",
         MX "dsn=4.4.5, status=deferred (host mx1[192.0.2.25] said: 452 4.4.5 "
            "disk (in reply to end of DATA command))",
         "deferred " A_MX "dsn=4.4.5 remote stage=eom reply=452 4.4.5 disk"},
        {"rcpt 5 4 1",
         MX "dsn=5.4.1, status=bounced (host mx1[192.0.2.25] said: 550 5.4.1 "
            "Recipient address rejected: Access denied (in reply to RCPT TO "
            "command))",
         "bounced " A_MX "dsn=5.4.1 remote stage=rcpt reply=550 5.4.1 "
         "Recipient address rejected: Access denied"},
        {"ehlo 5",
         MX "dsn=5.7.1, status=bounced (host mx1[192.0.2.25] said: 550 5.7.1 "
            "go away (in reply to EHLO command))",
         "bounced " A_MX
         "dsn=5.7.1 remote stage=ehlo destination reply=550 5.7.1 go away"},
        {"greeting 5",
         NONE "dsn=4.7.1, status=deferred (host mx1[192.0.2.25] refused to "
              "talk to me: 554 5.7.1 blocked)",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=mx1 ip=192.0.2.25 "
         "delay=1 dsn=4.7.1 remote stage=connect destination reply=554 5.7.1 "
         "blocked"},
        {"lmtp lhlo",
         "postfix/lmtp[2]: 3F1A2C0B82: to=<a@example.net>, "
         "relay=mail[private/lmtp], delay=1, delays=1/0/0/0, dsn=4.3.0, "
         "status=deferred (host mail[private/lmtp] said: 451 4.3.0 x (in reply "
         "to LHLO command))",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=mail delay=1 dsn=4.3.0 "
         "remote stage=ehlo destination reply=451 4.3.0 x"},
        {"lost greeting",
         MX "dsn=4.4.2, status=deferred (lost connection with mx1[192.0.2.25] "
            "while receiving the initial server greeting)",
         "deferred " A_MX
         "dsn=4.4.2 stage=connect destination reply=lost connection with "
         "mx1[192.0.2.25] while receiving the initial server greeting"},
        {"lost rcpt",
         MX "dsn=4.4.2, status=deferred (lost connection with mx1[192.0.2.25] "
            "while sending RCPT TO)",
         "deferred " A_MX
         "dsn=4.4.2 stage=rcpt destination reply=lost connection with "
         "mx1[192.0.2.25] while sending RCPT TO"},
        {"timeout data",
         MX "dsn=4.4.2, status=deferred (conversation with mx1[192.0.2.25] "
            "timed out while sending message body)",
         "deferred " A_MX
         "dsn=4.4.2 stage=data destination reply=conversation with "
         "mx1[192.0.2.25] timed out while sending message body"},
        {"timeout mail",
         MX "dsn=4.4.2, status=deferred (conversation with mx1[192.0.2.25] "
            "timed out while sending MAIL FROM)",
         "deferred " A_MX
         "dsn=4.4.2 stage=mail destination reply=conversation with "
         "mx1[192.0.2.25] timed out while sending MAIL FROM"},
        {"connect v6",
         NONE "dsn=4.4.1, status=deferred (connect to mx1[2001:db8::25]:25: "
              "Network is unreachable)",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=mx1 ip=2001:db8::25 "
         "delay=1 dsn=4.4.1 stage=connect destination reply=connect to "
         "mx1[2001:db8::25]:25: Network is unreachable"},
        {"connect lmtp",
         "postfix/lmtp[2]: 3F1A2C0B82: to=<a@example.net>, relay=none, "
         "delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (connect to "
         "mail[private/lmtp]: No such file or directory)",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=mail delay=1 dsn=4.4.1 "
         "stage=connect destination reply=connect to mail[private/lmtp]: No "
         "such file or directory"},
        {"dns temporary",
         NONE "dsn=4.4.3, status=deferred (Host or domain name not found. Name "
              "service error for name=example.net type=MX: Host not found, try "
              "again)",
         "deferred 3F1A2C0B82 to=<a@example.net> delay=1 dsn=4.4.3 "
         "stage=connect destination reply=Host or domain name not found. Name "
         "service error for name=example.net type=MX: Host not found, try "
         "again"},
        {"loop",
         NONE "dsn=5.4.6, status=bounced (mail for example.net loops back to "
              "myself)",
         "bounced 3F1A2C0B82 to=<a@example.net> delay=1 dsn=5.4.6 "
         "stage=connect destination reply=mail for example.net loops back to "
         "myself"},
        {"null mx",
         NONE "dsn=5.1.0, status=bounced (Domain example.net does not accept "
              "mail (nullMX))",
         "bounced 3F1A2C0B82 to=<a@example.net> delay=1 dsn=5.1.0 reply=Domain "
         "example.net does not accept mail (nullMX)"},
        {"tls required",
         MX "dsn=4.7.4, status=deferred (TLS is required, but was not offered "
            "by host mx1[192.0.2.25])",
         "deferred " A_MX
         "dsn=4.7.4 stage=ehlo destination reply=TLS is required, but was not "
         "offered by host mx1[192.0.2.25]"},
        {"tls handshake",
         MX "dsn=4.7.5, status=deferred (Cannot start TLS: handshake failure)",
         "deferred " A_MX "dsn=4.7.5 stage=ehlo destination reply=Cannot start "
         "TLS: handshake failure"},
        {"tls certificate",
         MX "dsn=4.7.5, status=deferred (Server certificate not trusted)",
         "deferred " A_MX "dsn=4.7.5 stage=ehlo destination reply=Server "
         "certificate not trusted"},
        {"dane",
         NONE "dsn=4.7.5, status=deferred (TLSA lookup error for "
              "mx1.example.net:25)",
         "deferred 3F1A2C0B82 to=<a@example.net> delay=1 dsn=4.7.5 stage=ehlo "
         "destination reply=TLSA lookup error for mx1.example.net:25"},
        {"sasl",
         TO "a@example.net>, relay=mx1[192.0.2.25]:587, delay=1, "
            "delays=1/0/0/0, dsn=4.7.8, status=deferred (SASL authentication "
            "failed; server mx1[192.0.2.25] said: 535 5.7.8 no)",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=mx1 ip=192.0.2.25 "
         "port=587 delay=1 dsn=4.7.8 stage=ehlo destination reply=SASL "
         "authentication failed; server mx1[192.0.2.25] said: 535 5.7.8 no"},
        {"too large",
         MX "dsn=5.3.4, status=bounced (message size 90000 exceeds size limit "
            "10000 of server mx1[192.0.2.25])",
         "bounced " A_MX "dsn=5.3.4 reply=message size 90000 exceeds size "
         "limit 10000 of server mx1[192.0.2.25]"},
        {"suspended answer",
         "postfix/error[2]: 3F1A2C0B82: to=<a@example.net>, relay=none, "
         "delay=1, delays=1/0/0/0, dsn=4.7.0, status=deferred (delivery "
         "temporarily suspended: host mx1[192.0.2.25] refused to talk to me: "
         "421 4.7.0 too many)",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=mx1 ip=192.0.2.25 "
         "delay=1 dsn=4.7.0 remote stage=connect destination reply=421 4.7.0 "
         "too many"},
        {"suspended lost",
         "postfix/error[2]: 3F1A2C0B82: to=<a@example.net>, relay=none, "
         "delay=1, delays=1/0/0/0, dsn=4.4.2, status=deferred (delivery "
         "temporarily suspended: lost connection with mx1[192.0.2.25] while "
         "sending RCPT TO)",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=mx1 ip=192.0.2.25 "
         "delay=1 dsn=4.4.2 stage=rcpt destination reply=lost connection with "
         "mx1[192.0.2.25] while sending RCPT TO"},
        {"suspended rcpt",
         "postfix/error[2]: 3F1A2C0B82: to=<a@example.net>, relay=none, "
         "delay=1, delays=1/0/0/0, dsn=4.2.0, status=deferred (delivery "
         "temporarily suspended: host mx1[192.0.2.25] said: 450 4.2.0 x (in "
         "reply to RCPT TO command))",
         "deferred 3F1A2C0B82 to=<a@example.net> relay=mx1 ip=192.0.2.25 "
         "delay=1 dsn=4.2.0 remote stage=rcpt destination reply=450 4.2.0 x"},
        {"suspended by qmgr",
         "postfix/qmgr[2]: 3F1A2C0B82: to=<a@example.net>, relay=none, "
         "delay=1, delays=1/0/0/0, dsn=4.3.0, status=deferred (delivery "
         "temporarily suspended: mail transport unavailable)",
         "deferred 3F1A2C0B82 to=<a@example.net> delay=1 dsn=4.3.0 destination "
         "reply=mail transport unavailable"},
        {"error transport",
         "postfix/error[2]: 3F1A2C0B82: to=<a@example.net>, relay=none, "
         "delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced (no longer here)",
         "bounced 3F1A2C0B82 to=<a@example.net> delay=1 dsn=5.1.1 reply=no "
         "longer here"},
        {"qmgr transport",
         "postfix/qmgr[2]: 3F1A2C0B82: to=<a@example.net>, relay=none, "
         "delay=1, delays=1/0/0/0, dsn=4.3.0, status=deferred (unknown mail "
         "transport error)",
         "deferred 3F1A2C0B82 to=<a@example.net> delay=1 dsn=4.3.0 "
         "reply=unknown mail transport error"},
        {"too many hops",
         "postfix/cleanup[2]: 3F1A2C0B82: to=<a@example.net>, relay=none, "
         "delay=0, delays=0/0/0/0, dsn=5.4.0, status=bounced (too many hops)",
         "bounced 3F1A2C0B82 to=<a@example.net> delay=0 dsn=5.4.0 destination "
         "reply=too many hops"},
        {"quota",
         "postfix/virtual[2]: 3F1A2C0B82: to=<a@example.net>, relay=virtual, "
         "delay=0, delays=0/0/0/0, dsn=5.2.2, status=bounced (maildir delivery "
         "failed: quota exceeded)",
         "bounced 3F1A2C0B82 to=<a@example.net> relay=virtual delay=0 "
         "dsn=5.2.2 local reply=maildir delivery failed: quota exceeded"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maillog_postfix_reason_takes_no_field_from_a_reply),
        cmocka_unit_test(maillog_postfix_reason_tells_stage_and_destination),
    };

    return cmocka_run_group_tests_name("maillog_postfix_reason", tests, NULL,
                                       NULL);
}
