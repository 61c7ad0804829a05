/* maillog_line: lines that somebody wrote to deceive, or that were spoilt */
#include "maillog_line.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *name;
    const char *line;
    size_t length;
    const char *brief; /* "bounced 5.1.1 <a@x.test>" */
};
#define ROW(name, line, brief)                                                 \
    {                                                                          \
        name, line, sizeof(line) - 1, brief                                    \
    }

static char *brief_of(const struct maillog_record *record)
{
    static const char *const outcomes[] = {"sent", "deferred", "bounced"};
    GString *brief = g_string_new(NULL);
    struct text recipient;
    size_t at = 0;

    switch (record->kind) {
    case MAILLOG_OUTCOME:
        g_string_append(brief, outcomes[record->status]);
        break;
    case MAILLOG_REJECTION:
        g_string_append(brief, "refused");
        break;
    case MAILLOG_EXPIRED:
        g_string_append(brief, "expired");
        break;
    case MAILLOG_REMOVED:
        g_string_append(brief, "removed");
        break;
    case MAILLOG_MESSAGE:
        g_string_append(brief, "message");
        break;
    case MAILLOG_SUBMISSION:
        g_string_append(brief, "submission");
        break;
    case MAILLOG_NOTHING:
        return g_string_free(g_string_assign(brief, "nothing"), FALSE);
    }
    if (record->enhanced_status.length > 0) {
        g_string_append_printf(brief, " %.*s",
                               (int)record->enhanced_status.length,
                               record->enhanced_status.bytes);
    }
    while (maillog_recipient(record, &at, &recipient)) {
        g_string_append_c(brief, ' ');
        g_string_append_c(brief, '<');
        g_string_append_len(brief, recipient.bytes, (gssize)recipient.length);
        g_string_append_c(brief, '>');
    }
    if (record->has_sender) {
        g_string_append(brief, " from <");
        g_string_append_len(brief, record->sender.bytes,
                            (gssize)record->sender.length);
        g_string_append_c(brief, '>');
    }
    return g_string_free(brief, FALSE);
}

static void hold(const struct row *rows, size_t count)
{
    int wrong = 0;

    for (size_t i = 0; i < count; i++) {
        struct maillog_parser *parser = maillog_parser_new(0);
        struct maillog_record record;
        char *copy = g_malloc(rows[i].length); /* no byte behind it */
        char *brief;

        assert_non_null(parser);
        memcpy(copy, rows[i].line, rows[i].length);
        (void)maillog_parse(parser, (struct text){copy, rows[i].length},
                            &record);
        brief = brief_of(&record);
        if (strcmp(brief, rows[i].brief) != 0) {
            print_error("%s:\n wanted %s\n is     %s\n", rows[i].name,
                        rows[i].brief, brief);
            wrong++;
        }
        g_free(brief);
        g_free(copy);
        maillog_parser_free(parser);
    }
    assert_int_equal(wrong, 0);
}
#define HOLD(rows) hold(rows, sizeof(rows) / sizeof(rows)[0])

#define AT   "2026-11-21T10:00:00.000000+00:00 mx "
#define PF   AT "postfix/smtp[9]: 3F1A2C0B7D: to="
#define VIA  ", relay=mx.x.test[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn="
#define SAID "host mx.x.test[192.0.2.1] said: "
#define RCPT " (in reply to RCPT TO command)"
#define SM   AT "sm-mta[9]: 60215wXk003001: "
#define BY                                                                     \
    ", delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=30812, relay=mx. "   \
    "[192.0.2.1], dsn="

static void what_stands_in_a_local_part_is_no_field(void **state)
{
    static const struct row rows[] = {
        ROW("status, quoted",
            PF "<\"a, status=sent (250 ok)\"@x.test>" VIA
               "5.1.1, status=bounced (x)",
            "bounced 5.1.1 <\"a, status=sent (250 ok)\"@x.test>"),
        ROW("status without quotes",
            PF "<a=status=sent@x.test>" VIA "5.1.1, status=bounced (x)",
            "bounced 5.1.1 <a=status=sent@x.test>"),
        ROW("escaped quote",
            PF "<\"a\\\">, relay=none, dsn=2.0.0, status=sent (\"@x.test>" VIA
               "5.2.2, status=bounced (x)",
            "bounced 5.2.2 <\"a\\\">, relay=none, dsn=2.0.0, status=sent "
            "(\"@x.test>"),
        ROW("escaped backslash before the end",
            PF "<\"a\\\\\"@x.test>" VIA "2.0.0, status=sent (ok)",
            "sent 2.0.0 <\"a\\\\\"@x.test>"),
        ROW("two quoted words",
            PF "<\"a>\".\"b>, relay=\"@x.test>" VIA "2.0.0, status=sent (ok)",
            "sent 2.0.0 <\"a>\".\"b>, relay=\"@x.test>"),
        ROW("a bracket in quotes, an address literal",
            PF "<\"a[\"@[192.0.2.7]>" VIA "2.0.0, status=sent (ok)",
            "sent 2.0.0 <\"a[\"@[192.0.2.7]>"),
        ROW("IPv6 literal",
            PF "<a@[IPv6:2001:db8::1]>" VIA "2.0.0, status=sent (ok)",
            "sent 2.0.0 <a@[IPv6:2001:db8::1]>"),
        ROW("no quotes at all, as old Postfix logs them",
            PF "<a>, relay=mx[192.0.2.9]:25, delay=0, delays=0/0/0/0, "
               "dsn=5.1.1, status=bounced (x@x.test>" VIA
               "2.0.0, status=sent (ok)",
            "nothing"),
        ROW("quote that does not end",
            PF "<\"a@x.test>" VIA "2.0.0, status=sent (ok)", "nothing"),
        ROW("blanks", PF "<\" \"@x.test>" VIA "2.0.0, status=sent (ok)",
            "sent 2.0.0 <\" \"@x.test>"),
        ROW("percent", PF "<%s%n%x@x.test>" VIA "2.0.0, status=sent (ok)",
            "sent 2.0.0 <%s%n%x@x.test>"),
        ROW("empty", PF "<>" VIA "2.0.0, status=sent (ok)", "nothing"),
        ROW("a second to=",
            PF "<a@x.test>, to=<b@x.test>" VIA "2.0.0, status=sent (ok)",
            "nothing"),
        ROW("orig_to with commas and quotes",
            PF "<a@x.test>, orig_to=<\"b>, relay=none, dsn=5.1.1, "
               "status=bounced (\"@y.test>" VIA "2.0.0, status=sent (ok)",
            "sent 2.0.0 <a@x.test>"),
        ROW("orig_to that does not end",
            PF "<a@x.test>, orig_to=<\"b@y.test>" VIA "2.0.0, status=sent (ok)",
            "nothing"),
        ROW("orig_to that is empty",
            PF "<a@x.test>, orig_to=<>" VIA "2.0.0, status=sent (ok)",
            "sent 2.0.0 <a@x.test>"),
        ROW("orig_to of a program",
            PF "<a@x.test>, orig_to=<\"|/bin/x >\"@y>" VIA
               "2.0.0, status=sent (ok)",
            "sent 2.0.0 <a@x.test>"),
        ROW("Sendmail, quoted stat",
            SM "to=<\"a, stat=Sent, dsn=2.0.0\"@x.test>" BY
               "5.1.1, stat=User unknown",
            "bounced 5.1.1 <\"a, stat=Sent, dsn=2.0.0\"@x.test>"),
        ROW("Sendmail, quoted list",
            SM "to=<\"a>,<v@y.test>,<\"@x.test>" BY "5.1.1, stat=User unknown",
            "bounced 5.1.1 <\"a>,<v@y.test>,<\"@x.test>"),
        ROW("Sendmail, escaped backslash",
            SM "to=<\"a\\\\\">,<v@y.test>,<\"@x.test>" BY
               "5.1.1, stat=User unknown",
            "bounced 5.1.1 <\"a\\\">,<v@y.test>,<\"@x.test>"),
        ROW("Sendmail, octal",
            SM "to=<\\303\\251\\054@x.test>" BY "2.0.0, stat=Sent (ok)",
            "sent 2.0.0 <\303\251,@x.test>"),
        ROW("Sendmail, nested comments",
            SM "to=a@x.test (b (c, d) e), <f@x.test>" BY
               "2.0.0, stat=Sent (ok)",
            "nothing"),
        ROW("Sendmail, comments in a list",
            SM "to=a@x.test (b (c, d) e),<f@x.test>" BY "2.0.0, stat=Sent (ok)",
            "sent 2.0.0 <a@x.test> <f@x.test>"),
        ROW("Sendmail, comment with a quote",
            SM "to=a@x.test (b \" c),<f@x.test>" BY "2.0.0, stat=Sent (ok)",
            "sent 2.0.0 <a@x.test> <f@x.test>"),
        ROW("Sendmail, quoted [more]",
            SM "to=<\"a, [more], delay=\"@x.test>,<b@x.test>" BY
               "2.0.0, stat=Sent (ok)",
            "nothing"),
        ROW("Sendmail, ctladdr that forges",
            SM "to=<a@x.test>, ctladdr=<\"b, delay=00:00:01, dsn=2.0.0, "
               "stat=Sent\"@y.test> (1/1)" BY "5.1.1, stat=User unknown",
            "bounced 5.1.1 <a@x.test>"),
        ROW("Sendmail, empty", SM "to=" BY "2.0.0, stat=Sent (ok)", "nothing"),
        ROW("Sendmail, commas alone", SM "to=,,,," BY "2.0.0, stat=Sent (ok)",
            "nothing"),
        ROW("Sendmail, the same twice",
            SM "to=<a@x.test>,<a@x.test>" BY "2.0.0, stat=Sent (ok)",
            "sent 2.0.0 <a@x.test> <a@x.test>"),
    };

    (void)state;
    HOLD(rows);
}

static void what_the_other_side_says_is_no_field(void **state)
{
    static const struct row rows[] = {
        ROW("another outcome",
            PF "<a@x.test>" VIA "5.1.1, status=bounced (" SAID
               "550 x), dsn=2.0.0, status=sent (250 ok" RCPT ")",
            "bounced 5.1.1 <a@x.test>"),
        ROW("another recipient",
            PF "<a@x.test>" VIA "5.1.1, status=bounced (" SAID
               "550 to=<v@y.test>, status=bounced" RCPT ")",
            "bounced 5.1.1 <a@x.test>"),
        ROW("all fields of another",
            PF "<a@x.test>" VIA "4.1.1, status=deferred (" SAID
               "450 >, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/1/0, "
               "dsn=2.0.0, status=sent (ok" RCPT ")",
            "nothing"),
        ROW("nested brackets",
            PF "<a@x.test>" VIA "5.1.1, status=bounced (" SAID
               "550 ((((no)) (x) )( " RCPT ")",
            "bounced 5.1.1 <a@x.test>"),
        ROW("several lines",
            PF "<a@x.test>" VIA "5.2.1, status=bounced (" SAID
               "550-5.1.1 a 550-2.0.0 status=sent 550 5.2.1 b" RCPT ")",
            "bounced 5.2.1 <a@x.test>"),
        ROW("a whole line of a log",
            PF "<a@x.test>" VIA "5.1.1, status=bounced (" SAID "550 " PF
               "<v@y.test>" VIA "2.0.0, status=sent (250 ok)" RCPT ")",
            "nothing"),
        ROW("a relay's name",
            AT "postfix/smtp[9]: 3F1A2C0B7D: to=<a@x.test>, "
               "relay=status=sent.x.test[192.0.2.1]:25, delay=1, "
               "delays=0/0/1/0, dsn=5.1.1, status=bounced (x)",
            "bounced 5.1.1 <a@x.test>"),
        ROW("a relay's name with a comma",
            AT "postfix/smtp[9]: 3F1A2C0B7D: to=<a@x.test>, "
               "relay=a, dsn=2.0.0, status=sent (x)[192.0.2.1]:25, delay=1, "
               "delays=0/0/1/0, dsn=5.1.1, status=bounced (x)",
            "nothing"),
        ROW("tls that forges",
            PF "<a@x.test>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/1/0, "
               "tls=may/x, dsn=5.1.1, status=bounced (x)",
            "bounced 5.1.1 <a@x.test>"),
        ROW("no text", PF "<a@x.test>" VIA "5.1.1, status=bounced ()",
            "bounced 5.1.1 <a@x.test>"),
        ROW("status of another kind",
            PF "<a@x.test>" VIA "2.1.5, status=deliverable (250 ok)",
            "nothing"),
        ROW("status that goes on",
            PF "<a@x.test>" VIA "2.0.0, status=sentinel (250 ok)", "nothing"),
        ROW("status in capitals",
            PF "<a@x.test>" VIA "2.0.0, status=SENT (250 ok)", "nothing"),
        ROW("status of an odd class",
            PF "<a@x.test>" VIA "9.9.9, status=bounced (x)", "nothing"),
        ROW("dsn that is none", PF "<a@x.test>" VIA "5.1, status=bounced (x)",
            "nothing"),
        ROW("dsn with letters", PF "<a@x.test>" VIA "5.1.x, status=bounced (x)",
            "nothing"),
        ROW("dsn with four parts",
            PF "<a@x.test>" VIA "5.1.1.1, status=bounced (x)", "nothing"),
        ROW("order changed",
            PF "<a@x.test>, dsn=2.0.0, relay=none, delay=0, delays=0/0/0/0, "
               "status=sent (ok)",
            "nothing"),
        ROW("status twice",
            PF "<a@x.test>" VIA "5.1.1, status=bounced (x), status=sent (y)",
            "bounced 5.1.1 <a@x.test>"),
        ROW("printed by a command",
            AT "postfix/pipe[9]: 3F1A2C0B7D: to=<a@x.test>, relay=x, delay=1, "
               "delays=0/0/0/1, dsn=4.3.0, status=deferred (" SAID
               "550 5.1.1 no" RCPT ")",
            "deferred 4.3.0 <a@x.test>"),
        ROW("unknown user unescaped",
            AT "postfix/local[9]: 3F1A2C0B7D: to=<a@x.test>, relay=local, "
               "delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (unknown "
               "user: \"a, dsn=2.0.0, status=sent (delivered)\")",
            "bounced 5.1.1 <a@x.test>"),
        ROW("Sendmail, stat in reply",
            SM "to=<a@x.test>" BY "5.1.1, reply=550 5.1.1 x, stat=Sent (ok), "
               "dsn=2.0.0, stat=User unknown",
            "bounced 5.1.1 <a@x.test>"),
        ROW("Sendmail, deferred with the text of a delivery",
            SM "to=<a@x.test>" BY "4.0.0, stat=Deferred: 450 stat=Sent (ok)",
            "deferred 4.0.0 <a@x.test>"),
        ROW("Sendmail, sent with the text of a failure",
            SM "to=<a@x.test>" BY
               "2.0.0, stat=Sent (ok, dsn=5.1.1, stat=User unknown)",
            "sent 2.0.0 <a@x.test>"),
        ROW("Sendmail, sent and nothing",
            SM "to=<a@x.test>" BY "2.0.0, stat=Sent (\\n)",
            "sent 2.0.0 <a@x.test>"),
        ROW("Sendmail, another list in the reply",
            SM "to=<a@x.test>" BY
               "5.1.1, reply=550 to=<v@y.test>, delay=00:00:01, stat=Sent, "
               "stat=User unknown",
            "bounced 5.1.1 <a@x.test>"),
        ROW("Sendmail, relay that forges",
            SM "to=<a@x.test>, delay=00:00:01, mailer=esmtp, pri=1, "
               "relay=x [192.0.2.1], dsn=5.1.1, stat=User unknown, "
               "dsn=2.0.0, stat=Sent",
            "bounced 5.1.1 <a@x.test>"),
        ROW("Sendmail, check_rcpt in a text",
            SM "to=<a@x.test>" BY
               "5.1.1, stat=ruleset=check_rcpt, arg1=<v@y.test>, reject=550",
            "bounced 5.1.1 <a@x.test>"),
    };

    (void)state;
    HOLD(rows);
}

static void a_line_that_is_cut_tells_what_is_whole_or_nothing(void **state)
{
    static const struct row rows[] = {
        ROW("in the recipient", PF "<a@x.te", "nothing"),
        ROW("behind it", PF "<a@x.test>", "nothing"),
        ROW("in the relay", PF "<a@x.test>, relay=mx.x.te", "nothing"),
        ROW("in the delay", PF "<a@x.test>, relay=none, delay=1", "nothing"),
        ROW("in dsn", PF "<a@x.test>" VIA "5.1", "nothing"),
        ROW("behind dsn", PF "<a@x.test>" VIA "5.1.1, stat", "nothing"),
        ROW("in the status", PF "<a@x.test>" VIA "5.1.1, status=boun",
            "nothing"),
        ROW("behind the status", PF "<a@x.test>" VIA "5.1.1, status=bounced",
            "bounced 5.1.1 <a@x.test>"),
        ROW("at the bracket", PF "<a@x.test>" VIA "5.1.1, status=bounced (",
            "bounced 5.1.1 <a@x.test>"),
        ROW("in the text",
            PF "<a@x.test>" VIA "5.1.1, status=bounced (" SAID "550 5.1.1 <a",
            "bounced 5.1.1 <a@x.test>"),
        ROW("Sendmail, in the list", SM "to=<a@x.test>,<b@x.t", "nothing"),
        ROW("Sendmail, behind the list", SM "to=<a@x.test>,<b@x.test>",
            "nothing"),
        ROW("Sendmail, in dsn", SM "to=<a@x.test>" BY "5.1", "nothing"),
        ROW("Sendmail, behind dsn", SM "to=<a@x.test>" BY "5.1.1", "nothing"),
        ROW("Sendmail, in the reply",
            SM "to=<a@x.test>" BY "5.1.1, reply=550 5.1.1 no", "nothing"),
        ROW("Sendmail, a first piece",
            AT "sm-mta[9]: 60215wXk003001[1]: to=<a@x.test>" BY
               "5.1.1, stat=User unknown  ...",
            "nothing"),
        ROW("Sendmail, a last piece alone",
            AT "sm-mta[9]: 60215wXk003001[2]: to=<a@x.test>" BY
               "5.1.1, stat=User unknown",
            "nothing"),
        ROW("Sendmail, an odd piece",
            AT "sm-mta[9]: 60215wXk003001[99999999999999999999]: "
               "to=<a@x.test>" BY "5.1.1, stat=User unknown",
            "nothing"),
    };

    (void)state;
    HOLD(rows);
}

static void bytes_of_any_kind_are_only_bytes(void **state)
{
    static const struct row rows[] = {
        ROW("NUL in the text",
            PF "<a@x.test>" VIA "5.1.1, status=bounced (a\0b)",
            "bounced 5.1.1 <a@x.test>"),
        ROW("NUL in front",
            "\0\0" PF "<a@x.test>" VIA "5.1.1, status=bounced (a)", "nothing"),
        ROW("NUL in a key", PF "<a@x.test>" VIA "5.1.1, sta\0tus=bounced (a)",
            "nothing"),
        ROW("not UTF-8",
            PF "<\xff\xfe@x.test>" VIA "5.1.1, status=bounced (\xc3\x28)",
            "bounced 5.1.1 <\xff\xfe@x.test>"),
        ROW("UTF-8",
            PF "<\xc3\xa9@\xc3\xbc.test>" VIA "2.0.0, status=sent (\xc3)",
            "sent 2.0.0 <\xc3\xa9@\xc3\xbc.test>"),
        ROW("carriage return", PF "<a@x.test>" VIA "2.0.0, status=sent (ok)\r",
            "sent 2.0.0 <a@x.test>"),
        ROW("carriage return within",
            PF "<a@x.test>" VIA "5.1.1, status=bounced (a\rstatus=sent)",
            "bounced 5.1.1 <a@x.test>"),
        ROW("escape sequences",
            PF "<a@x.test>" VIA "5.1.1, status=bounced (\x1b[2J\x07)",
            "bounced 5.1.1 <a@x.test>"),
        ROW("blanks alone", "                    ", "nothing"),
        ROW("brackets alone", "[[[[]]]]<<<<>>>>((((", "nothing"),
        ROW("one byte", "<", "nothing"),
        ROW("a priority alone", "<22>", "nothing"),
        ROW("a priority that goes on",
            "<2222222222222222222222>" PF "<a@x.test>" VIA "2.0.0, status=sent "
            "(ok)",
            "sent 2.0.0 <a@x.test>"),
        ROW("Sendmail, tab and newline",
            SM "to=<a@x.test>" BY "5.1.1, stat=a\\tb\\nstat=Sent",
            "bounced 5.1.1 <a@x.test>"),
        ROW("Sendmail, half an escape",
            SM "to=<a\\30@x.test>" BY "2.0.0, stat=Sent (ok)",
            "sent 2.0.0 <a\\30@x.test>"),
        ROW("Sendmail, backslash at the end",
            SM "to=<a@x.test>" BY "2.0.0, stat=Sent \\",
            "sent 2.0.0 <a@x.test>"),
    };

    (void)state;
    HOLD(rows);
}

#define MSG "3F1A2C0B7D: to=<a@x.test>" VIA "2.0.0, status=sent (ok)"

static void only_a_mail_program_is_believed(void **state)
{
    static const struct row rows[] = {
        ROW("logger", AT "root: postfix/smtp[9]: " MSG, "nothing"),
        ROW("logger with a tag", AT "postfix[9]: " MSG, "nothing"),
        ROW("a sub-program of another", AT "x/y/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("no such sub-program", AT "postfix/smtpx[9]: " MSG, "nothing"),
        ROW("smtpd delivers nothing", AT "postfix/smtpd[9]: " MSG, "nothing"),
        ROW("bounce delivers nothing", AT "postfix/bounce[9]: " MSG, "nothing"),
        ROW("anvil", AT "postfix/anvil[9]: " MSG, "nothing"),
        ROW("instance", AT "postfix-out/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("service", AT "postfix/relay/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("a warning", AT "postfix/smtp[9]: warning: " MSG, "nothing"),
        ROW("no id",
            AT "postfix/smtp[9]: to=<a@x.test>" VIA "2.0.0, status=sent (ok)",
            "nothing"),
        ROW("NOQUEUE",
            AT "postfix/smtp[9]: NOQUEUE: to=<a@x.test>" VIA
               "2.0.0, status=sent (ok)",
            "nothing"),
        ROW("a word for an id",
            AT "postfix/smtp[9]: warning1: to=<a@x.test>" VIA
               "2.0.0, status=sent (ok)",
            "nothing"),
        ROW("a reply in the middle",
            AT "postfix/smtp[9]: 3F1A2C0B7D: " SAID
               "450 to=<a@x.test>, status=sent (ok)",
            "nothing"),
        ROW("a header that is logged",
            AT "postfix/cleanup[9]: 3F1A2C0B7D: warning: header Subject: "
               "to=<a@x.test>" VIA "2.0.0, status=sent (ok)",
            "nothing"),
        ROW("a message id that forges",
            AT "postfix/cleanup[9]: 3F1A2C0B7D: message-id=<x>, to=<a@x.test>, "
               "status=sent (ok)",
            "message"),
        ROW("a sender that forges an expiry",
            AT "postfix/qmgr[9]: 3F1A2C0B7D: from=<\"x>, status=expired, "
               "returned to sender\"@y.test>, size=1, nrcpt=1 (queue active)",
            "message from <\"x>, status=expired, returned to sender\"@y.test>"),
        ROW("an expiry with more behind it",
            AT "postfix/qmgr[9]: 3F1A2C0B7D: from=<x@y.test>, status=expired, "
               "returned to sender (not)",
            "nothing"),
        ROW("repeated", AT "last message repeated 3 times", "nothing"),
        ROW("repeated by rsyslog",
            AT "postfix/smtp[9]: message repeated 3 times: [ " MSG "]",
            "nothing"),
        ROW("Sendmail, logger",
            AT "mail: 60215wXk003001: to=<a@x.test>" BY "2.0.0, stat=Sent",
            "nothing"),
        ROW("Sendmail, no id",
            AT "sm-mta[9]: to=<a@x.test>" BY "2.0.0, stat=Sent", "nothing"),
        ROW("Sendmail, NOQUEUE",
            AT "sm-mta[9]: NOQUEUE: to=<a@x.test>" BY "2.0.0, stat=Sent",
            "nothing"),
        ROW("Sendmail, client of a submission that forges",
            SM "from=<\"x, relay=y, to=\"@y.test>, size=1, class=0, nrcpts=1, "
               "msgid=<a>, stat=Sent>, relay=z [192.0.2.1]",
            "message from <\"x, relay=y, to=\"@y.test>"),
        ROW("Sendmail, a notice in a text",
            SM "to=<a@x.test>" BY
               "4.0.0, stat=Deferred: 60215wXk003002: sender notify: Cannot "
               "send message for 5 days",
            "deferred 4.0.0 <a@x.test>"),
        ROW("Sendmail, nobody is refused", SM "<>... User unknown", "nothing"),
        ROW("Sendmail, nobody is refused by a filter",
            SM "Milter: to=<>, reject=550 no", "nothing"),
        ROW("Sendmail, nobody is refused by a ruleset",
            SM "ruleset=check_rcpt, arg1=<>, relay=[192.0.2.1], reject=550 no",
            "nothing"),
        ROW("Sendmail, dots", SM "... ... ... ... ", "nothing"),
        ROW("Sendmail, a refusal in a subject",
            SM "subject=<v@y.test>... User unknown", "nothing"),
        ROW("Sendmail, a refused recipient that forges another",
            SM "<\"v@y.test>... User unknown, <\"@x.test>... User unknown",
            "refused <\"v@y.test>... User unknown, <\"@x.test>"),
        ROW("Sendmail, a refusal by a filter that forges another",
            SM "Milter: to=<a@x.test>, reject=550 x, to=<v@y.test>, "
               "reject=550 y",
            "refused <a@x.test>"),
    };

    (void)state;
    HOLD(rows);
}

static void stamps_of_any_kind_are_taken_and_others_not(void **state)
{
    static const struct row rows[] = {
        ROW("traditional", "Nov 21 10:00:00 mx postfix/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("traditional, one digit",
            "Nov  1 10:00:00 mx postfix/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("fraction",
            "2026-11-21T10:00:00.123456789+05:30 mx "
            "postfix/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("comma for a point",
            "2026-11-21T10:00:00,123+00:00 mx "
            "postfix/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("Z", "2026-11-21T10:00:00Z mx postfix/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("offset without colon",
            "2026-11-21T10:00:00-0330 mx "
            "postfix/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("a leap second", "2026-12-31T23:59:60Z mx postfix/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("29 February of a year without",
            "2026-02-29T10:00:00Z mx postfix/smtp[9]: " MSG, "nothing"),
        ROW("29 February without a year",
            "Feb 29 10:00:00 mx postfix/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("30 February", "Feb 30 10:00:00 mx postfix/smtp[9]: " MSG,
            "nothing"),
        ROW("hour 25", "Nov 21 25:00:00 mx postfix/smtp[9]: " MSG, "nothing"),
        ROW("month 13", "2026-13-21T10:00:00Z mx postfix/smtp[9]: " MSG,
            "nothing"),
        ROW("no such month", "Foo 21 10:00:00 mx postfix/smtp[9]: " MSG,
            "nothing"),
        ROW("no stamp", "mx postfix/smtp[9]: " MSG, "nothing"),
        ROW("no host", "Nov 21 10:00:00 postfix/smtp[9]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("a host that is a tag",
            "Nov 21 10:00:00 postfix/smtp[9]: postfix/smtp[9]: " MSG,
            "nothing"),
        ROW("a pid that is none", "Nov 21 10:00:00 mx postfix/smtp[x]: " MSG,
            "sent 2.0.0 <a@x.test>"),
        ROW("no pid", "Nov 21 10:00:00 mx postfix/smtp: " MSG,
            "sent 2.0.0 <a@x.test>"),
    };

    (void)state;
    HOLD(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_in_a_local_part_is_no_field),
        cmocka_unit_test(what_the_other_side_says_is_no_field),
        cmocka_unit_test(a_line_that_is_cut_tells_what_is_whole_or_nothing),
        cmocka_unit_test(bytes_of_any_kind_are_only_bytes),
        cmocka_unit_test(only_a_mail_program_is_believed),
        cmocka_unit_test(stamps_of_any_kind_are_taken_and_others_not),
    };

    return cmocka_run_group_tests_name("maillog_hostile", tests, NULL, NULL);
}
