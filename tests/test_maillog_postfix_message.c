/* maillog_postfix: lines about messages, and refusals; sample lines */
#include "maillog_shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

#define SMTPD "postfix/smtpd[2]: NOQUEUE: reject: RCPT from app[203.0.113.66]: "

static void maillog_postfix_reads_what_programs_really_write(void **state)
{
    static const struct maillog_row rows[] = {
        {"to alice example net relay mx1 exampl",
         "postfix/smtp[2101]: 4c8KRw3pDTz1Bqk: to=<alice@example.net>, "
         "relay=mx1.example.net[192.0.2.25]:25, delay=1.2, "
         "delays=0.03/0.01/0.44/0.72, dsn=2.0.0, status=sent (250 2.0.0 Ok: "
         "queued as 9F1C2207B4)",
         "sent 4c8KRw3pDTz1Bqk to=<alice@example.net> relay=mx1.example.net "
         "ip=192.0.2.25 port=25 delay=1 dsn=2.0.0 remote stage=eom reply=250 "
         "2.0.0 Ok: queued as 9F1C2207B4"},
        {"to bob example net relay mx1 example",
         "postfix/smtp[2101]: 4c8KRw3pDTz1Bqk: to=<bob@example.net>, "
         "relay=mx1.example.net[2001:db8::25]:25, conn_use=3, delay=0.31, "
         "delays=0.02/0/0.1/0.19, tls=may, dsn=2.1.5, status=sent (250 2.1.5 "
         "Ok)",
         "sent 4c8KRw3pDTz1Bqk to=<bob@example.net> relay=mx1.example.net "
         "ip=2001:db8::25 port=25 delay=0 dsn=2.1.5 remote stage=eom reply=250 "
         "2.1.5 Ok"},
        {"to bob example net orig to info exam",
         "postfix/smtp[2102]: 3F1A2C0B7D: to=<bob@example.net>, "
         "orig_to=<info@example.com>, relay=mx1.example.net[192.0.2.25]:25, "
         "delay=301, delays=300/0.02/0.41/0.6, dsn=4.2.1, status=deferred "
         "(host mx1.example.net[192.0.2.25] said: 450 4.2.1 <bob@example.net>: "
         "Recipient address rejected: Greylisted (in reply to RCPT TO "
         "command))",
         "deferred 3F1A2C0B7D to=<bob@example.net> orig_to=<info@example.com> "
         "relay=mx1.example.net ip=192.0.2.25 port=25 delay=301 dsn=4.2.1 "
         "remote stage=rcpt reply=450 4.2.1 <bob@example.net>: Recipient "
         "address rejected: Greylisted"},
        {"to nosuch example net relay mx1 examp",
         "postfix/smtp[2103]: 3F1A2C0B7D: to=<nosuch@example.net>, "
         "relay=mx1.example.net[192.0.2.25]:25, delay=0.9, "
         "delays=0.05/0.01/0.4/0.44, tls=dane, dsn=5.1.1, status=bounced (host "
         "mx1.example.net[192.0.2.25] said: 550-5.1.1 The email account that "
         "you tried to reach does not exist. 550 5.1.1 "
         "https://support.example.net/?p=NoSuchUser (in reply to RCPT TO "
         "command))",
         "bounced 3F1A2C0B7D to=<nosuch@example.net> relay=mx1.example.net "
         "ip=192.0.2.25 port=25 delay=0 dsn=5.1.1 remote stage=rcpt "
         "reply=550-5.1.1 The email account that you tried to reach does not "
         "exist. 550 5.1.1 https://support.example.net/?p=NoSuchUser"},
        {"to u slow example relay none delay 3",
         "postfix/smtp[2103]: 3F1A2C0B7E: to=<u@slow.example>, relay=none, "
         "delay=30, delays=0.02/0.01/30/0, dsn=4.4.1, status=deferred (connect "
         "to mx.slow.example[198.51.100.9]:25: Connection timed out)",
         "deferred 3F1A2C0B7E to=<u@slow.example> relay=mx.slow.example "
         "ip=198.51.100.9 delay=30 dsn=4.4.1 stage=connect destination "
         "reply=connect to mx.slow.example[198.51.100.9]:25: Connection timed "
         "out"},
        {"to u nosuch example relay none delay",
         "postfix/smtp[2103]: 3F1A2C0B7E: to=<u@nosuch.example>, relay=none, "
         "delay=0.2, delays=0.03/0.01/0.16/0, dsn=5.4.4, status=bounced (Host "
         "or domain name not found. Name service error for name=nosuch.example "
         "type=AAAA: Host not found)",
         "bounced 3F1A2C0B7E to=<u@nosuch.example> delay=0 dsn=5.4.4 "
         "stage=connect destination reply=Host or domain name not found. Name "
         "service error for name=nosuch.example type=AAAA: Host not found"},
        {"to u nullmx example relay none delay",
         "postfix/smtp[2103]: 3F1A2C0B7E: to=<u@nullmx.example>, relay=none, "
         "delay=0.1, delays=0.03/0/0.07/0, dsn=5.1.0, status=bounced (Domain "
         "nullmx.example does not accept mail (nullMX))",
         "bounced 3F1A2C0B7E to=<u@nullmx.example> delay=0 dsn=5.1.0 "
         "reply=Domain nullmx.example does not accept mail (nullMX)"},
        {"to u example org relay mx example org",
         "postfix/smtp[2104]: 3F1A2C0B7F: to=<u@example.org>, "
         "relay=mx.example.org[203.0.113.5]:25, delay=62, "
         "delays=0.1/0.02/1.2/61, dsn=4.4.2, status=deferred (lost connection "
         "with mx.example.org[203.0.113.5] while sending end of data -- "
         "message may be sent more than once)",
         "deferred 3F1A2C0B7F to=<u@example.org> relay=mx.example.org "
         "ip=203.0.113.5 port=25 delay=62 dsn=4.4.2 stage=eom destination "
         "reply=lost connection with mx.example.org[203.0.113.5] while sending "
         "end of data -- message may be sent more than once"},
        {"to u example org relay mx example org",
         "postfix/smtp[2104]: 3F1A2C0B80: to=<u@example.org>, "
         "relay=mx.example.org[203.0.113.5]:25, delay=2, delays=0.1/0/0.9/1, "
         "dsn=5.7.1, status=bounced (host mx.example.org[203.0.113.5] said: "
         "554 5.7.1 Spam message rejected (in reply to end of DATA command))",
         "bounced 3F1A2C0B80 to=<u@example.org> relay=mx.example.org "
         "ip=203.0.113.5 port=25 delay=2 dsn=5.7.1 remote stage=eom reply=554 "
         "5.7.1 Spam message rejected"},
        {"host mx1 example org 203 0 113 5 said",
         "postfix/smtp[2104]: 3F1A2C0B80: host mx1.example.org[203.0.113.5] "
         "said: 451 4.7.1 Try another MX (in reply to RCPT TO command)",
         "nothing"},
        {"to u req example relay mx req example",
         "postfix/smtp[2105]: 3F1A2C0B81: to=<u@req.example>, "
         "relay=mx.req.example[203.0.113.8]:25, delay=0.4, delays=0.1/0/0.3/0, "
         "tls=may/!requiretls:nostarttls, dsn=5.7.30, status=bounced (Sender "
         "requested REQUIRETLS, but TLS service was not offered by host "
         "mx.req.example[203.0.113.8])",
         "bounced 3F1A2C0B81 to=<u@req.example> relay=mx.req.example "
         "ip=203.0.113.8 port=25 delay=0 dsn=5.7.30 stage=ehlo destination "
         "reply=Sender requested REQUIRETLS, but TLS service was not offered "
         "by host mx.req.example[203.0.113.8]"},
        {"to john doe example net relay mx1 e",
         "postfix/smtp[2105]: 3F1A2C0B82: to=<\"john doe\"@example.net>, "
         "relay=mx1.example.net[192.0.2.25]:25, delay=0.7, "
         "delays=0.1/0/0.2/0.4, dsn=2.0.0, status=sent (250 ok)",
         "sent 3F1A2C0B82 to=<\"john doe\"@example.net> relay=mx1.example.net "
         "ip=192.0.2.25 port=25 delay=0 dsn=2.0.0 remote stage=eom reply=250 "
         "ok"},
        {"to x relay none dsn 5 1 1 status b",
         "postfix/smtp[2105]: 3F1A2C0B82: to=<\"x>, relay=none, dsn=5.1.1, "
         "status=bounced (y\"@example.net>, "
         "relay=mx1.example.net[192.0.2.25]:25, delay=0.7, "
         "delays=0.1/0/0.2/0.4, dsn=2.0.0, status=sent (250 ok)",
         "sent 3F1A2C0B82 to=<\"x>, relay=none, dsn=5.1.1, status=bounced "
         "(y\"@example.net> relay=mx1.example.net ip=192.0.2.25 port=25 "
         "delay=0 dsn=2.0.0 remote stage=eom reply=250 ok"},
        {"to a b example net relay mx1 exampl",
         "postfix/smtp[2105]: 3F1A2C0B82: to=<\"a,b\"@example.net>, "
         "relay=mx1.example.net[192.0.2.25]:25, delay=0.7, "
         "delays=0.1/0/0.2/0.4, dsn=2.0.0, status=sent (250 ok (queue "
         "\"status=bounced (x)\"))",
         "sent 3F1A2C0B82 to=<\"a,b\"@example.net> relay=mx1.example.net "
         "ip=192.0.2.25 port=25 delay=0 dsn=2.0.0 remote stage=eom reply=250 "
         "ok (queue \"status=bounced (x)\")"},
        {"to j rgen ex mple net relay mx xn ex",
         "postfix/smtp[2105]: 3F1A2C0B83: "
         "to=<j\303\274rgen@ex\303\244mple.net>, "
         "relay=mx.xn--exmple-cua.net[192.0.2.77]:25, delay=0.7, "
         "delays=0.1/0/0.2/0.4, dsn=2.0.0, status=sent (250 2.0.0 Ok)",
         "sent 3F1A2C0B83 to=<j\303\274rgen@ex\303\244mple.net> "
         "relay=mx.xn--exmple-cua.net ip=192.0.2.77 port=25 delay=0 dsn=2.0.0 "
         "remote stage=eom reply=250 2.0.0 Ok"},
        {"to u example com relay 127 0 0 1 127",
         "postfix/smtp[2106]: 3F1A2C0B84: to=<u@example.com>, "
         "relay=127.0.0.1[127.0.0.1]:10024, delay=1.1, "
         "delays=0.2/0.01/0.01/0.9, dsn=2.0.0, status=sent (250 2.0.0 from "
         "MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 5D0A61103C)",
         "sent 3F1A2C0B84 to=<u@example.com> relay=127.0.0.1 ip=127.0.0.1 "
         "port=10024 delay=1 dsn=2.0.0 remote stage=eom reply=250 2.0.0 from "
         "MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 5D0A61103C"},
        {"to u example net relay mx1 example ne",
         "postfix/smtp[2107]: 3F1A2C0B85: to=<u@example.net>, "
         "relay=mx1.example.net[192.0.2.25]:25, delay=0.3, "
         "delays=0.1/0/0.1/0.1, dsn=4.1.1, status=SOFTBOUNCE (host "
         "mx1.example.net[192.0.2.25] said: 550 5.1.1 No such user (in reply "
         "to RCPT TO command))",
         "deferred 3F1A2C0B85 to=<u@example.net> relay=mx1.example.net "
         "ip=192.0.2.25 port=25 delay=0 dsn=4.1.1 remote stage=rcpt reply=550 "
         "5.1.1 No such user"},
        {"to probe example net relay mx1 exampl",
         "postfix/smtp[2107]: 3F1A2C0B86: to=<probe@example.net>, "
         "relay=mx1.example.net[192.0.2.25]:25, delay=0.3, "
         "delays=0.1/0/0.1/0.1, dsn=2.1.5, status=deliverable (250 2.1.5 Ok)",
         "nothing"},
        {"to probe2 example net relay mx1 examp",
         "postfix/smtp[2107]: 3F1A2C0B87: to=<probe2@example.net>, "
         "relay=mx1.example.net[192.0.2.25]:25, delay=0.3, "
         "delays=0.1/0/0.1/0.1, dsn=5.1.1, status=undeliverable (host "
         "mx1.example.net[192.0.2.25] said: 550 5.1.1 unknown (in reply to "
         "RCPT TO command))",
         "nothing"},
        {"to carol example com relay mail examp",
         "postfix/lmtp[2201]: 4c8KRw3pDTz1Bqm: to=<carol@example.com>, "
         "relay=mail.example.com[private/dovecot-lmtp], delay=0.1, "
         "delays=0.05/0/0.01/0.04, dsn=2.0.0, status=sent (250 2.0.0 "
         "<carol@example.com> Saved)",
         "sent 4c8KRw3pDTz1Bqm to=<carol@example.com> relay=mail.example.com "
         "delay=0 dsn=2.0.0 remote stage=eom reply=250 2.0.0 "
         "<carol@example.com> Saved"},
        {"to dave example com relay mail exampl",
         "postfix/lmtp[2201]: 4c8KRw3pDTz1Bqn: to=<dave@example.com>, "
         "relay=mail.example.com[private/dovecot-lmtp], delay=0.1, "
         "delays=0.05/0/0.01/0.04, dsn=4.2.2, status=deferred (host "
         "mail.example.com[private/dovecot-lmtp] said: 452 4.2.2 "
         "<dave@example.com> Quota exceeded (in reply to end of DATA command))",
         "deferred 4c8KRw3pDTz1Bqn to=<dave@example.com> "
         "relay=mail.example.com delay=0 dsn=4.2.2 remote stage=eom reply=452 "
         "4.2.2 <dave@example.com> Quota exceeded"},
        {"to root mail example com orig to roo",
         "postfix/local[2301]: 3F1A2C0B88: to=<root@mail.example.com>, "
         "orig_to=<root>, relay=local, delay=0.05, delays=0.03/0/0/0.02, "
         "dsn=2.0.0, status=sent (forwarded as 4A2B3C0D1E)",
         "sent 3F1A2C0B88 to=<root@mail.example.com> orig_to=<root> "
         "relay=local delay=0 dsn=2.0.0 local forwarded reply=forwarded as "
         "4A2B3C0D1E"},
        {"to nobody1 mail example com relay loc",
         "postfix/local[2301]: 3F1A2C0B89: to=<nobody1@mail.example.com>, "
         "relay=local, delay=0.05, delays=0.03/0/0/0.02, dsn=5.1.1, "
         "status=bounced (unknown user: \"nobody1\")",
         "bounced 3F1A2C0B89 to=<nobody1@mail.example.com> relay=local delay=0 "
         "dsn=5.1.1 local reply=unknown user: \"nobody1\""},
        {"to eve example com relay virtual del",
         "postfix/virtual[2302]: 3F1A2C0B8A: to=<eve@example.com>, "
         "relay=virtual, delay=0.05, delays=0.03/0/0/0.02, dsn=2.0.0, "
         "status=sent (delivered to maildir)",
         "sent 3F1A2C0B8A to=<eve@example.com> relay=virtual delay=0 dsn=2.0.0 "
         "local reply=delivered to maildir"},
        {"to f example com relay dovecot delay",
         "postfix/pipe[2303]: 3F1A2C0B8B: to=<f@example.com>, relay=dovecot, "
         "delay=0.2, delays=0.1/0/0/0.1, dsn=2.0.0, status=sent (delivered via "
         "dovecot service)",
         "sent 3F1A2C0B8B to=<f@example.com> relay=dovecot delay=0 dsn=2.0.0 "
         "local reply=delivered via dovecot service"},
        {"to g example com relay none delay 0",
         "postfix/discard[2304]: 3F1A2C0B8C: to=<g@example.com>, relay=none, "
         "delay=0.05, delays=0.04/0/0/0.01, dsn=2.0.0, status=sent (discarded "
         "by policy)",
         "sent 3F1A2C0B8C to=<g@example.com> delay=0 dsn=2.0.0 reply=discarded "
         "by policy"},
        {"to u slow example relay none delay 4",
         "postfix/error[2305]: 3F1A2C0B8D: to=<u@slow.example>, relay=none, "
         "delay=400, delays=399/0.9/0/0.1, dsn=4.4.1, status=deferred "
         "(delivery temporarily suspended: connect to "
         "mx.slow.example[198.51.100.9]:25: Connection refused)",
         "deferred 3F1A2C0B8D to=<u@slow.example> relay=mx.slow.example "
         "ip=198.51.100.9 delay=400 dsn=4.4.1 stage=connect destination "
         "reply=connect to mx.slow.example[198.51.100.9]:25: Connection "
         "refused"},
        {"from size 3402 nrcpt 1 queue activ",
         "postfix/qmgr[900]: 3F1A2C0B8D: from=<>, size=3402, nrcpt=1 (queue "
         "active)",
         "message 3F1A2C0B8D from=<> size=3402 count=1"},
        {"from app example com status expired",
         "postfix/qmgr[900]: 3F1A2C0B8E: from=<app@example.com>, "
         "status=expired, returned to sender",
         "expired 3F1A2C0B8E from=<app@example.com>"},
        {"from app example com status force exp",
         "postfix/qmgr[900]: 3F1A2C0B8F: from=<app@example.com>, "
         "status=force-expired, returned to sender",
         "expired 3F1A2C0B8F from=<app@example.com> forced"},
        {"status deferred bounce failed",
         "postfix/qmgr[900]: 3F1A2C0B90: status=deferred (bounce failed)",
         "nothing"},
        {"removed", "postfix/qmgr[900]: 3F1A2C0B91: removed",
         "removed 3F1A2C0B91"},
        {"sender non delivery notification 4c8krw",
         "postfix/bounce[2401]: 3F1A2C0B8E: sender non-delivery notification: "
         "4c8KRw3pDTz1Bqp",
         "nothing"},
        {"message id 20260102030405 3f1a2c0b92 ma",
         "postfix/cleanup[2402]: 3F1A2C0B92: "
         "message-id=<20260102030405.3F1A2C0B92@mail.example.com>",
         "message 3F1A2C0B92 "
         "message_id=20260102030405.3F1A2C0B92@mail.example.com"},
        {"milter reject end of message from local",
         "postfix/cleanup[2402]: 3F1A2C0B93: milter-reject: END-OF-MESSAGE "
         "from localhost[127.0.0.1]: 5.7.1 all recipients suppressed; "
         "from=<app@example.com> to=<x@example.net>",
         "nothing"},
        {"client app1 example com 203 0 113 9 sa",
         "postfix/submission/smtpd[2501]: 4c8KRw3pDTz1Bqk: "
         "client=app1.example.com[203.0.113.9], sasl_method=PLAIN, "
         "sasl_username=app",
         "submission 4c8KRw3pDTz1Bqk client=app1.example.com "
         "client_ip=203.0.113.9 user=app"},
        {"reject rcpt from unknown 203 0 113 66",
         "postfix/smtpd[2502]: NOQUEUE: reject: RCPT from "
         "unknown[203.0.113.66]: 554 5.7.1 <x@other.example>: Relay access "
         "denied; from=<a@b.example> to=<x@other.example> proto=ESMTP "
         "helo=<pc>",
         "refused to=<x@other.example> client=unknown client_ip=203.0.113.66 "
         "from=<a@b.example> dsn=5.7.1 stage=rcpt reply=554 5.7.1 "
         "<x@other.example>: Relay access denied"},
        {"milter reject rcpt from app1 example co",
         "postfix/smtpd[2502]: NOQUEUE: milter-reject: RCPT from "
         "app1.example.com[203.0.113.9]: 550 5.7.1 Recipient suppressed; "
         "from=<app@example.com> to=<dead@example.net> proto=ESMTP "
         "helo=<app1.example.com>",
         "nothing"},
        {"reject rcpt from 203 0 113 67 40112",
         "postfix/postscreen[2503]: NOQUEUE: reject: RCPT from "
         "[203.0.113.67]:40112: 550 5.7.1 Service unavailable; client "
         "[203.0.113.67] blocked using bl.example; from=<>, "
         "to=<u@example.com>, proto=ESMTP, helo=<x>",
         "refused to=<u@example.com> client_ip=203.0.113.67 from=<> dsn=5.7.1 "
         "stage=rcpt reply=550 5.7.1 Service unavailable; client "
         "[203.0.113.67] blocked using bl.example"},
        {"uid 1000 from user mail example com",
         "postfix/pickup[901]: 3F1A2C0B94: uid=1000 "
         "from=<user@mail.example.com>",
         "submission 3F1A2C0B94 from=<user@mail.example.com>"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void maillog_postfix_reads_messages_quote_aware(void **state)
{
    static const struct maillog_row rows[] = {
        {"queue active",
         "postfix/qmgr[2]: 4c8KRw3pDTz1Bqk: from=<app@example.com>, size=3402, "
         "nrcpt=2 (queue active)",
         "message 4c8KRw3pDTz1Bqk from=<app@example.com> size=3402 count=2"},
        {"queue null",
         "postfix/qmgr[2]: 4c8KRw3pDTz1Bqk: from=<>, size=3402, nrcpt=1 (queue "
         "active)",
         "message 4c8KRw3pDTz1Bqk from=<> size=3402 count=1"},
        {"queue spoof",
         "postfix/qmgr[2]: 3F1A2C0B82: from=<\"x>, status=expired, returned to "
         "sender\"@example.com>, size=3402, nrcpt=1 (queue active)",
         "message 3F1A2C0B82 from=<\"x>, status=expired, returned to "
         "sender\"@example.com> size=3402 count=1"},
        {"queue internal spoof",
         "postfix/qmgr[2]: 3F1A2C0B82: from=<x>, status=expired, returned to "
         "sender@example.com>, size=3402, nrcpt=1 (queue active)",
         "nothing"},
        {"queue forced spoof",
         "postfix/qmgr[2]: 3F1A2C0B82: from=<\"x>, status=force-expired, "
         "returned to sender\"@example.com>, size=1, nrcpt=1 (queue active)",
         "message 3F1A2C0B82 from=<\"x>, status=force-expired, returned to "
         "sender\"@example.com> size=1 count=1"},
        {"expired spoof end",
         "postfix/qmgr[2]: 3F1A2C0B82: from=<\"x>, size=1, nrcpt=1 (queue "
         "active)\"@example.com>, status=expired, returned to sender",
         "expired 3F1A2C0B82 from=<\"x>, size=1, nrcpt=1 (queue "
         "active)\"@example.com>"},
        {"expired",
         "postfix/qmgr[2]: 3F1A2C0B82: from=<app@example.com>, status=expired, "
         "returned to sender",
         "expired 3F1A2C0B82 from=<app@example.com>"},
        {"forced",
         "postfix/qmgr[2]: 3F1A2C0B82: from=<>, status=force-expired, returned "
         "to sender",
         "expired 3F1A2C0B82 from=<> forced"},
        {"postsuper expired", "postfix/postsuper[2]: 3F1A2C0B82: expired",
         "nothing"},
        {"removed", "postfix/qmgr[2]: 3F1A2C0B82: removed",
         "removed 3F1A2C0B82"},
        {"removed by operator", "postfix/postsuper[2]: 3F1A2C0B82: removed",
         "removed 3F1A2C0B82"},
        {"removed canceled",
         "postfix/cleanup[2]: 3F1A2C0B82: removed (canceled)",
         "removed 3F1A2C0B82"},
        {"removed spoof", "postfix/smtpd[2]: 3F1A2C0B82: removed", "nothing"},
        {"skipped",
         "postfix/qmgr[2]: 3F1A2C0B82: skipped, still being delivered",
         "nothing"},
        {"message id",
         "postfix/cleanup[2]: 3F1A2C0B82: message-id=<1.2@example.com>",
         "message 3F1A2C0B82 message_id=1.2@example.com"},
        {"message id bare",
         "postfix/cleanup[2]: 3F1A2C0B82: message-id=1.2@example.com",
         "message 3F1A2C0B82 message_id=1.2@example.com"},
        {"message id spoof",
         "postfix/cleanup[2]: 3F1A2C0B82: message-id=<x>, to=<v@example.org>, "
         "relay=none, delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced (x)",
         "message 3F1A2C0B82 message_id=x>, to=<v@example.org>, relay=none, "
         "delay=1, delays=1/0/0/0, dsn=5.1.1, status=bounced (x)"},
        {"message id empty", "postfix/cleanup[2]: 3F1A2C0B82: message-id=<>",
         "nothing"},
        {"resent",
         "postfix/cleanup[2]: 3F1A2C0B82: resent-message-id=<1.2@example.com>",
         "nothing"},
        {"client", "postfix/smtpd[2]: 3F1A2C0B82: client=unknown[203.0.113.9]",
         "submission 3F1A2C0B82 client=unknown client_ip=203.0.113.9"},
        {"client port",
         "postfix/smtpd[2]: 3F1A2C0B82: client=app[2001:db8::9]:52011, "
         "sasl_method=LOGIN, sasl_username=ann@example.com",
         "submission 3F1A2C0B82 client=app client_ip=2001:db8::9 "
         "user=ann@example.com"},
        {"client orig",
         "postfix/smtpd[2]: 3F1A2C0B82: client=localhost[127.0.0.1], "
         "orig_queue_id=3F1A2C0B81, orig_client=app[203.0.113.9]",
         "submission 3F1A2C0B82 client=localhost client_ip=127.0.0.1"},
        {"client sender",
         "postfix/submissions/smtpd[2]: 3F1A2C0B82: client=app[203.0.113.9], "
         "sasl_method=PLAIN, sasl_username=a, b, sasl_sender=<c@example.com>",
         "submission 3F1A2C0B82 client=app client_ip=203.0.113.9 user=a, b"},
        {"client noqueue", "postfix/smtpd[2]: NOQUEUE: client=app[203.0.113.9]",
         "nothing"},
        {"pickup", "postfix/pickup[2]: 3F1A2C0B82: uid=0 from=<root>",
         "submission 3F1A2C0B82 from=<root>"},
        {"pickup requeued",
         "postfix/pickup[2]: 3F1A2C0B82: uid=117 from=<\"a b\"@example.com> "
         "orig_id=3F1A2C0B81",
         "submission 3F1A2C0B82 from=<\"a b\"@example.com>"},
        {"notification",
         "postfix/bounce[2]: 3F1A2C0B82: sender non-delivery notification: "
         "4c8KRw3pDTz1Bqp",
         "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

static void
maillog_postfix_reject_takes_the_recipient_that_was_refused(void **state)
{
    static const struct maillog_row rows[] = {
        {"relay denied",
         "postfix/smtpd[2]: NOQUEUE: reject: RCPT from unknown[203.0.113.66]: "
         "554 5.7.1 <x@other.example>: Relay access denied; from=<a@b.example> "
         "to=<x@other.example> proto=ESMTP helo=<pc>",
         "refused to=<x@other.example> client=unknown client_ip=203.0.113.66 "
         "from=<a@b.example> dsn=5.7.1 stage=rcpt reply=554 5.7.1 "
         "<x@other.example>: Relay access denied"},
        {"with queue id",
         "postfix/smtpd[2]: 3F1A2C0B82: reject: RCPT from "
         "app[203.0.113.66]:4011: 450 4.2.0 <x@other.example>: Recipient "
         "address rejected: Greylisted; from=<> to=<x@other.example> "
         "proto=ESMTP helo=<pc> sasl_username=ann",
         "refused for now 3F1A2C0B82 to=<x@other.example> client=app "
         "client_ip=203.0.113.66 from=<> dsn=4.2.0 stage=rcpt reply=450 4.2.0 "
         "<x@other.example>: Recipient address rejected: Greylisted"},
        {"no status",
         SMTPD "550 no; from=<> to=<x@other.example> proto=ESMTP helo=<pc>",
         "refused to=<x@other.example> client=app client_ip=203.0.113.66 "
         "from=<> stage=rcpt reply=550 no"},
        {"quoted recipient",
         SMTPD "554 5.7.1 <\"a> to=<v@example.org>\"@other.example>: Relay "
               "access denied; from=<> to=<\"a> "
               "to=<v@example.org>\"@other.example> proto=ESMTP helo=<pc>",
         "refused to=<\"a> to=<v@example.org>\"@other.example> client=app "
         "client_ip=203.0.113.66 from=<> dsn=5.7.1 stage=rcpt reply=554 5.7.1 "
         "<\"a> to=<v@example.org>\"@other.example>: Relay access denied"},
        {"spoofed end",
         SMTPD "554 5.7.1 <\"; from=<> to=<v@example.org>\"@other.example>: "
               "Relay access denied; from=<> to=<\"; from=<> "
               "to=<v@example.org>\"@other.example> proto=ESMTP helo=<pc>",
         "nothing"},
        {"spoofed helo",
         SMTPD "504 5.5.2 <x>; from=<> to=<v@example.org> proto=ESMTP "
               "helo=<y>: Helo command rejected: need fully-qualified "
               "hostname; from=<> to=<a@other.example> proto=ESMTP helo=<x>",
         "nothing"},
        {"sender stage",
         "postfix/smtpd[2]: NOQUEUE: reject: MAIL from app[203.0.113.66]: 552 "
         "5.3.4 Message size exceeds fixed limit; from=<a@b.example> "
         "proto=ESMTP helo=<pc>",
         "nothing"},
        {"connect stage",
         "postfix/smtpd[2]: NOQUEUE: reject: CONNECT from app[203.0.113.66]: "
         "554 5.7.1 no; proto=SMTP",
         "nothing"},
        {"data stage",
         "postfix/smtpd[2]: 3F1A2C0B82: reject: DATA from app[203.0.113.66]: "
         "550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce; "
         "from=<> to=<x@other.example> proto=ESMTP helo=<pc>",
         "refused 3F1A2C0B82 to=<x@other.example> client=app "
         "client_ip=203.0.113.66 from=<> dsn=5.5.3 stage=data reply=550 5.5.3 "
         "<DATA>: Data command rejected: Multi-recipient bounce"},
        {"milter",
         "postfix/smtpd[2]: NOQUEUE: milter-reject: RCPT from "
         "app[203.0.113.66]: 550 5.7.1 Recipient suppressed; from=<> "
         "to=<x@other.example> proto=ESMTP helo=<pc>",
         "nothing"},
        {"milter cleanup",
         "postfix/cleanup[2]: 3F1A2C0B82: milter-reject: END-OF-MESSAGE from "
         "localhost[127.0.0.1]: 5.7.1 no; from=<> to=<x@other.example>",
         "nothing"},
        {"warn only",
         "postfix/smtpd[2]: NOQUEUE: reject_warning: RCPT from "
         "app[203.0.113.66]: 550 5.1.1 no; from=<> to=<x@other.example> "
         "proto=ESMTP helo=<pc>",
         "nothing"},
        {"hold",
         "postfix/smtpd[2]: NOQUEUE: hold: RCPT from app[203.0.113.66]: x; "
         "from=<> to=<x@other.example> proto=ESMTP helo=<pc>",
         "nothing"},
        {"proxy",
         "postfix/smtpd[2]: NOQUEUE: proxy-reject: END-OF-MESSAGE: 550 5.7.1 "
         "no; from=<> to=<x@other.example> proto=ESMTP helo=<pc>",
         "nothing"},
        {"postscreen",
         "postfix/postscreen[2]: NOQUEUE: reject: RCPT from "
         "[203.0.113.67]:40112: 450 4.3.2 Service currently unavailable; "
         "from=<a@b.example>, to=<u@example.com>, proto=ESMTP, helo=<x>",
         "refused for now to=<u@example.com> client_ip=203.0.113.67 "
         "from=<a@b.example> dsn=4.3.2 stage=rcpt reply=450 4.3.2 Service "
         "currently unavailable"},
        {"postscreen v6",
         "postfix/postscreen[2]: NOQUEUE: reject: RCPT from "
         "[2001:db8::67]:40112: 550 5.7.1 x; from=<>, to=<\"u, "
         "v\"@example.com>, proto=ESMTP, helo=<x>",
         "refused to=<\"u, v\"@example.com> client_ip=2001:db8::67 from=<> "
         "dsn=5.7.1 stage=rcpt reply=550 5.7.1 x"},
        {"header reject",
         "postfix/cleanup[2]: 3F1A2C0B82: reject: header Subject: a "
         "to=<v@example.org>, relay=none, delay=1, delays=1/0/0/0, dsn=5.1.1, "
         "status=bounced (x) from app[203.0.113.9]; from=<> "
         "to=<x@other.example> proto=ESMTP helo=<pc>: 5.7.1 no",
         "nothing"},
        {"header info",
         "postfix/cleanup[2]: 3F1A2C0B82: info: header Subject: "
         "to=<v@example.org>, status=bounced (x) from app[203.0.113.9]; "
         "from=<> to=<x@other.example> proto=ESMTP helo=<pc>",
         "nothing"},
        {"header warning",
         "postfix/cleanup[2]: 3F1A2C0B82: warning: header Subject: "
         "to=<v@example.org>, status=bounced (x) from app[203.0.113.9]; "
         "from=<> to=<x@other.example>",
         "nothing"},
        {"body reject",
         "postfix/cleanup[2]: 3F1A2C0B82: reject: body to=<v@example.org> from "
         "app[203.0.113.9]; from=<> to=<x@other.example> proto=ESMTP "
         "helo=<pc>: 5.7.1 no",
         "nothing"},
    };

    (void)state;
    maillog_rows_hold(rows, COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maillog_postfix_reads_what_programs_really_write),
        cmocka_unit_test(maillog_postfix_reads_messages_quote_aware),
        cmocka_unit_test(
            maillog_postfix_reject_takes_the_recipient_that_was_refused),
    };

    return cmocka_run_group_tests_name("maillog_postfix_message", tests, NULL,
                                       NULL);
}
