#include "maillog_outcome.h"
#include "settings_text.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define US    INT64_C(1000000)
#define START (INT64_C(1795255200) * US) /* 2026-11-21T10:00:00Z */
#define ID    "3F1A2C0B7D"
#define SM_ID "60215wXk003007"

struct place {
    struct settings *settings;
    struct maillog_schedule schedule;
    struct maillog_messages *messages;
    struct maillog_parser *parser;
    struct maillog_record record;
    struct maillog_outcome outcome;
};

static struct place place_open(const char *settings)
{
    struct error error = {""};
    struct place place = {
        .settings = settings_of(settings, &error),
        .messages = maillog_messages_new(),
        .parser = maillog_parser_new(START),
    };

    if (place.settings == NULL) {
        fail_msg("%s: %s", settings, error.text);
    }
    assert_non_null(place.messages);
    assert_non_null(place.parser);
    maillog_schedule_init(&place.schedule);
    return place;
}

static void place_close(struct place *place)
{
    settings_free(place->settings);
    maillog_messages_free(place->messages);
    maillog_parser_free(place->parser);
}

/* A session took this recipient; typed: as it was named, if otherwise. */
static void see(struct place *place, const char *queue_id, const char *sender,
                const char *recipient, const char *typed)
{
    struct event event;

    event_init(&event, EVENT_RECEPTION, START - 2 * US);
    event.queue_id = text_of(queue_id);
    event.sender = text_of(sender);
    event.message_id = text_of("1@example.com");
    event.recipient = text_of(recipient);
    event.recipient_domain = text_of(strchr(recipient, '@') + 1);
    event.original_recipient = text_of(typed);
    maillog_messages_learn(place->messages, &event);
}

static bool make(struct place *place, const char *line)
{
    const struct maillog_sources sources = {place->settings, &place->schedule,
                                            place->messages};
    struct text recipient;
    size_t at = 0;

    (void)maillog_parse(place->parser, text_of(line), &place->record);
    assert_true(place->record.kind == MAILLOG_OUTCOME ||
                place->record.kind == MAILLOG_REJECTION);
    assert_true(maillog_recipient(&place->record, &at, &recipient));
    return maillog_outcome_make(&sources, &place->record, recipient,
                                &place->outcome);
}

static void put(GString *shown, const char *name, struct text text)
{
    if (text.bytes != NULL) {
        g_string_append_printf(shown, " %s%.*s", name, (int)text.length,
                               text.bytes);
    }
}

/* "bounce a@b.example believed", "none" */
static char *show(const struct place *place, bool made)
{
    const struct event *event = &place->outcome.event;
    GString *shown = g_string_new(made ? event_type_name(event->type) : "none");

    if (made) {
        put(shown, "", event->recipient);
        put(shown, "final=", event->final_recipient);
        put(shown, "typed=", event->original_recipient);
        put(shown, "mta=", event->remote_mta);
        g_string_append(shown,
                        place->outcome.facts.believed ? " believed" : "");
        g_string_append(shown, place->outcome.facts.destination ? " way" : "");
        g_string_append(shown, place->outcome.facts.named ? " named" : "");
    }
    return g_string_free(shown, FALSE);
}

#define STAMP "2026-11-21T10:00:00.000000+00:00 mail "
#define TO(program, to, relay, rest)                                           \
    STAMP "postfix/" program "[9]: " ID ": to=" to ", relay=" relay            \
          ", delay=1, delays=0/0/0/1, dsn=" rest
#define HOST "mx.far.example[192.0.2.1]"
#define MX   "mx.far.example[192.0.2.1]:25"
#define NOT                                                                    \
    "5.1.1, status=bounced (host " HOST " said: 550 5.1.1 no (in reply "       \
    "to RCPT TO command))"
#define SENT "2.0.0, status=sent (250 2.0.0 Ok: queued as 5D0A61103C)"

struct row {
    const char *name, *settings, *line, *shown;
};

/* Seen: a@x.example from s@x.example, and root as typed. */
static void check(const struct row *rows, size_t count, const char *sender)
{
    for (size_t i = 0; i < count; i++) {
        struct place place = place_open(rows[i].settings);
        char *shown;

        see(&place, ID, sender, "a@x.example", NULL);
        see(&place, ID, sender, "root@mx.example", "root");
        see(&place, SM_ID, sender, "daemon@localhost", NULL);
        see(&place, SM_ID, sender, "daemon@mx.example", "Daemon");
        see(&place, "5D0A61103C", sender, "back@x.example", NULL);
        shown = show(&place, make(&place, rows[i].line));
        if (strcmp(shown, rows[i].shown) != 0) {
            print_error("%s:\n wanted %s\n is     %s\n", rows[i].name,
                        rows[i].shown, shown);
            fail();
        }
        g_free(shown);
        place_close(&place);
    }
}
#define CHECK(rows, sender) check(rows, sizeof(rows) / sizeof *(rows), sender)

static void failures_are_believed_of_what_was_seen(void **state)
{
    static const struct row rows[] = {
        {"seen", "", TO("smtp", "<a@x.example>", MX, NOT),
         "bounce a@x.example mta=mx.far.example believed"},
        {"not seen", "", TO("smtp", "<b@x.example>", MX, NOT),
         "bounce b@x.example mta=mx.far.example"},
        {"not seen, but all are trusted", "maillog_trust = \"all\"\n",
         TO("smtp", "<b@x.example>", MX, NOT),
         "bounce b@x.example mta=mx.far.example believed"},
        {"of another spelling", "", TO("smtp", "<A@X.Example>", MX, NOT),
         "bounce a@x.example typed=A@X.Example mta=mx.far.example believed"},
        {"local mailbox", "",
         TO("local", "<a@x.example>", "local",
            "5.1.1, status=bounced (unknown user: \"a\")"),
         "bounce a@x.example"},
        {"pipe to a program", "",
         TO("pipe", "<a@x.example>", "dovecot",
            "5.1.1, status=bounced (user unknown)"),
         "bounce a@x.example"},
        {"LMTP on this host", "",
         TO("lmtp", "<a@x.example>", "mx.example[private/lmtp]",
            "4.2.2, status=deferred (host mx.example[private/lmtp] said: 452 "
            "4.2.2 full (in reply to end of DATA command))"),
         "delay a@x.example mta=mx.example"},
        {"no such domain", "",
         TO("smtp", "<a@x.example>", "none",
            "5.4.4, status=bounced (Host or domain name not found. Name "
            "service error for name=X.example type=AAAA: Host not found)"),
         "bounce a@x.example believed way named"},
        {"no such exchanger", "",
         TO("smtp", "<a@x.example>", "none",
            "5.4.4, status=bounced (Host or domain name not found. Name "
            "service error for name=mx.x.example type=A: Host not found)"),
         "bounce a@x.example believed way"},
        {"no such host", "",
         TO("smtp", "<a@x.example>", "none",
            "5.4.4, status=bounced (unable to look up host x.example: Name or "
            "service not known)"),
         "bounce a@x.example believed way named"},
        {"no such relay of ours", "",
         TO("smtp", "<a@x.example>", "none",
            "5.4.4, status=bounced (Host or domain name not found. Name "
            "service error for name=relay type=A: Host not found)"),
         "bounce a@x.example believed way"},
        {"no such domain, of Sendmail", "",
         STAMP "sm-mta[7]: " SM_ID ": to=<a@x.example>, delay=00:00:00, "
               "mailer=esmtp, pri=1, relay=x.example, dsn=5.1.2, stat=Host "
               "unknown (Name server: x.example: host not found)",
         "bounce a@x.example mta=x.example way named"},
        {"no such domain without its name, of Sendmail", "",
         STAMP "sm-mta[7]: " SM_ID ": to=<a@x.example>, delay=00:00:00, "
               "mailer=esmtp, pri=1, relay=X.example., dsn=5.1.2, stat=Host "
               "unknown",
         "bounce a@x.example mta=X.example way named"},
        {"no such relay of ours, of Sendmail", "",
         STAMP "sm-mta[7]: " SM_ID ": to=<a@x.example>, delay=00:00:00, "
               "mailer=relay, pri=1, relay=hub.x.example, dsn=5.1.2, "
               "stat=Host unknown (Name server: hub.x.example: host not "
               "found)",
         "bounce a@x.example mta=hub.x.example way"},
        {"a remote that knows no such domain", "",
         TO("smtp", "<a@x.example>", MX,
            "5.4.4, status=bounced (host mx.far.example[192.0.2.1] said: 550 "
            "5.4.4 x.example not found (in reply to EHLO command))"),
         "bounce a@x.example mta=mx.far.example believed way"},
        {"the way there", "",
         TO("smtp", "<a@x.example>", "none",
            "4.4.1, status=deferred (connect to mx[192.0.2.1]:25: Connection "
            "timed out)"),
         "delay a@x.example mta=mx believed way"},
    };

    (void)state;
    CHECK(rows, "s@x.example");
}

static void failures_of_the_null_sender_are_not_believed(void **state)
{
    static const struct row rows[] = {
        {"seen", "", TO("smtp", "<a@x.example>", MX, NOT),
         "bounce a@x.example mta=mx.far.example"},
        {"all are trusted", "maillog_trust = \"all\"\n",
         TO("smtp", "<a@x.example>", MX, NOT),
         "bounce a@x.example mta=mx.far.example"},
    };

    (void)state;
    CHECK(rows, "");
}

#define RELAYS(relay) "internal_relays = {" relay "}\n"

static void hops_to_internal_relays_are_no_deliveries(void **state)
{
    static const struct row rows[] = {
        {"none", "", TO("smtp", "<a@x.example>", MX, SENT),
         "delivery a@x.example mta=mx.far.example believed"},
        {"host", RELAYS("\"MX.far.example\""),
         TO("smtp", "<a@x.example>", MX, SENT), "none"},
        {"host and port", RELAYS("\"mx.far.example:25\""),
         TO("smtp", "<a@x.example>", MX, SENT), "none"},
        {"another port", RELAYS("\"mx.far.example:26\""),
         TO("smtp", "<a@x.example>", MX, SENT),
         "delivery a@x.example mta=mx.far.example believed"},
        {"address", RELAYS("\"192.0.2.1\""),
         TO("smtp", "<a@x.example>", MX, SENT), "none"},
        {"address and port", RELAYS("\"x\", \"192.0.2.1:25\""),
         TO("smtp", "<a@x.example>", MX, SENT), "none"},
        {"another address", RELAYS("\"192.0.2.11\""),
         TO("smtp", "<a@x.example>", MX, SENT),
         "delivery a@x.example mta=mx.far.example believed"},
        {"IPv6", RELAYS("\"[2001:db8::1]:25\""),
         TO("smtp", "<a@x.example>", "mx[2001:db8::1]:25", SENT), "none"},
        {"socket", RELAYS("\"private/lmtp\""),
         TO("lmtp", "<a@x.example>", "mx.example[private/lmtp]", SENT), "none"},
        {"their refusal is none of the recipient's",
         RELAYS("\"mx.far.example\""), TO("smtp", "<a@x.example>", MX, NOT),
         "bounce a@x.example mta=mx.far.example"},
    };

    (void)state;
    CHECK(rows, "s@x.example");
}

static void what_comes_back_under_another_id_is_no_delivery(void **state)
{
    static const struct row rows[] = {
        {"to a filter on this host", "",
         TO("smtp", "<back@x.example>", "127.0.0.1[127.0.0.1]:10024", SENT),
         "none"},
        {"of another recipient", "",
         TO("smtp", "<a@x.example>", "127.0.0.1[127.0.0.1]:10024", SENT),
         "delivery a@x.example mta=127.0.0.1 believed"},
        {"from elsewhere", "", TO("smtp", "<back@x.example>", MX, SENT),
         "delivery back@x.example mta=mx.far.example"},
        {"a failure", "",
         TO("smtp", "<back@x.example>", "127.0.0.1[127.0.0.1]:10024", NOT),
         "bounce back@x.example mta=127.0.0.1"},
        {"refused by our MTA, from the MSP of Sendmail", "",
         STAMP "sm-msp[7]: 60215wXk003001: to=back@x.example, "
               "delay=00:00:00, mailer=relay, pri=1, relay=[127.0.0.1] "
               "[127.0.0.1], dsn=5.1.1, reply=550 5.1.1 <back@x.example>... "
               "User unknown, stat=User unknown",
         "none"},
        {"from the MSP of Sendmail", "",
         STAMP "sm-msp[7]: 60215wXk003001: to=back@x.example, "
               "delay=00:00:00, mailer=relay, pri=1, relay=[127.0.0.1] "
               "[127.0.0.1], dsn=2.0.0, stat=Sent (5D0A61103C Message accepted "
               "for delivery)",
         "none"},
    };

    (void)state;
    CHECK(rows, "s@x.example");
}

static void recipient_is_who_it_was_sent_to(void **state)
{
    static const struct row rows[] = {
        {"alias", "",
         TO("smtp", "<m@far.example>, orig_to=<a@x.example>", MX, NOT),
         "bounce a@x.example final=m@far.example mta=mx.far.example believed"},
        {"alias of another", "",
         TO("smtp", "<a@x.example>, orig_to=<team@x.example>", MX, NOT),
         "bounce team@x.example final=a@x.example mta=mx.far.example "
         "believed"},
        {"alias without domain", "",
         TO("smtp", "<m@far.example>, orig_to=<root>", MX, NOT),
         "bounce root@mx.example final=m@far.example typed=root "
         "mta=mx.far.example believed"},
        {"local mailbox as typed", "",
         STAMP "sm-mta[7]: " SM_ID ": to=<Daemon>, delay=00:00:00, "
               "mailer=local, pri=1, dsn=2.0.0, stat=Sent",
         "delivery daemon@mx.example typed=Daemon"},
        {"local mailbox with its domain", "",
         STAMP "sm-mta[7]: " SM_ID ": to=<daemon@localhost>, delay=00:00:00, "
               "mailer=local, pri=1, dsn=2.0.0, stat=Sent",
         "delivery daemon@localhost"},
        {"of a message that nobody saw, as sessions complete it",
         "node = \"here.example\"\n",
         STAMP "sm-mta[7]: 60215wXk003001: to=<bin>, delay=00:00:00, "
               "mailer=local, pri=1, dsn=2.0.0, stat=Sent",
         "delivery bin@mx.example typed=bin"},
    };

    (void)state;
    CHECK(rows, "s@x.example");
}

static void mailbox_without_domain_is_of_this_host_at_last(void **state)
{
    struct place place = place_open("node = \"here.example\"\n");
    char *shown =
        show(&place, make(&place, STAMP
                          "sm-mta[7]: " SM_ID ": to=<bin>, delay=00:00:00, "
                          "mailer=local, pri=1, dsn=2.0.0, stat=Sent"));

    (void)state;
    assert_string_equal(shown, "delivery bin@here.example typed=bin");
    g_free(shown);
    place_close(&place);
}

static void some_outcomes_are_no_events(void **state)
{
    static const struct row rows[] = {
        {"discarded", "",
         TO("discard", "<a@x.example>", "none",
            "2.0.0, status=sent (discarded)"),
         "none"},
        {"forwarded", "",
         TO("local", "<a@x.example>", "local",
            "2.0.0, status=sent (forwarded as 4A2B3C0D1E)"),
         "mark a@x.example"},
        {"forwarded, never seen", "",
         TO("local", "<other@x.example>", "local",
            "2.0.0, status=sent (forwarded as 4A2B3C0D1F)"),
         "none"},
    };

    (void)state;
    CHECK(rows, "s@x.example");
}

static void rejections_are_taken_as_the_setting_says(void **state)
{
    static const char postfix[] =
        STAMP "postfix/smtpd[2]: NOQUEUE: reject: RCPT from c.example"
              "[192.0.2.9]: 554 5.7.1 <r@x.example>: Relay access denied; "
              "from=<s@y.example> to=<r@x.example> proto=ESMTP helo=<pc>";
    static const char sendmail[] =
        STAMP "sm-mta[7]: " SM_ID ": ruleset=check_rcpt, arg1=<r@x.example>, "
              "relay=c.example [192.0.2.9], reject=550 5.7.1 "
              "<r@x.example>... Relaying denied";
    static const struct row rows[] = {
        {"Postfix, default", "", postfix, "none"},
        {"Sendmail, default", "", sendmail, "rejection r@x.example"},
        {"none", "maillog_rejections = \"none\"\n", sendmail, "none"},
        {"Sendmail's", "maillog_rejections = \"sendmail\"\n", postfix, "none"},
        {"all", "maillog_rejections = \"all\"\n", postfix,
         "rejection r@x.example"},
    };

    (void)state;
    CHECK(rows, "s@x.example");
}

static void delay_tells_what_comes_next(void **state)
{
    static const char line[] = TO("smtp", "<a@x.example>", MX,
                                  "4.2.2, status=deferred (host " HOST
                                  " said: 452 4.2.2 full (in reply "
                                  "to RCPT TO command))");
    static const int64_t minutes[] = {5,   15,  30,  60,   90,  120,
                                      240, 480, 960, 1440, 2880};
    struct place place = place_open("");
    const struct event *event = &place.outcome.event;

    (void)state;
    maillog_schedule_take_minutes(&place.schedule, minutes, 11);
    see(&place, ID, "s@x.example", "a@x.example", NULL);
    for (int64_t attempt = 1; attempt <= 12; attempt++) {
        assert_true(make(&place, line));
        assert_int_equal(event->attempt, attempt);
        assert_int_equal(event->attempts_left, 12 - attempt);
        assert_int_equal(event->estimated, 1);
        assert_true(
            text_is(event->first_attempt_at, "2026-11-21T10:00:00.000000Z"));
        if (attempt == 1) {
            assert_true(
                text_is(event->next_attempt_at, "2026-11-21T10:05:00.000000Z"));
            assert_true(
                text_is(event->expires_at, "2026-11-25T19:20:00.000000Z"));
        }
        assert_int_equal(event->next_attempt_at.bytes == NULL, attempt == 12);
        assert_int_equal(event->reply_code, 452);
        assert_true(text_is(event->enhanced_status, "4.2.2"));
        assert_true(text_is(event->smtp_stage, "rcpt"));
        assert_true(text_is(event->decided_by, "remote"));
        maillog_messages_learn(place.messages, event);
    }
    place_close(&place);
}

/* Each by itself, as each has its own queue in the other MTA. */
static void members_of_an_alias_have_attempts_of_their_own(void **state)
{
    static const char *const lines[] = {
        TO("smtp", "<m@far.example>, orig_to=<a@x.example>", MX,
           "4.2.2, status=deferred (host " HOST
           " said: 452 4.2.2 full (in reply to RCPT TO command))"),
        TO("smtp", "<n@far.example>, orig_to=<a@x.example>", MX,
           "4.2.2, status=deferred (host " HOST
           " said: 452 4.2.2 full (in reply to RCPT TO command))"),
    };
    static const char done[] =
        TO("smtp", "<m@far.example>, orig_to=<a@x.example>", MX, SENT);
    struct place place = place_open("");
    const struct maillog_sources sources = {place.settings, &place.schedule,
                                            place.messages};
    size_t at = 0;

    (void)state;
    see(&place, ID, "s@x.example", "a@x.example", NULL);
    for (int64_t i = 0; i < 6; i++) {
        assert_true(make(&place, lines[i % 2]));
        assert_int_equal(place.outcome.event.attempt, i / 2 + 1);
        assert_true(place.outcome.facts.believed);
        maillog_messages_learn(place.messages, &place.outcome.event);
    }
    assert_true(make(&place, done));
    assert_int_equal(place.outcome.event.attempt, 4);
    maillog_messages_learn(place.messages, &place.outcome.event);
    (void)maillog_parse(place.parser,
                        text_of(STAMP "postfix/qmgr[3]: " ID ": from=<s@x."
                                      "example>, status=expired, returned to "
                                      "sender"),
                        &place.record);
    assert_int_equal(place.record.kind, MAILLOG_EXPIRED);
    assert_true(
        maillog_outcome_expire(&sources, &place.record, &at, &place.outcome));
    assert_true(text_is(place.outcome.event.recipient, "a@x.example"));
    assert_true(text_is(place.outcome.event.final_recipient, "n@far.example"));
    assert_int_equal(place.outcome.event.attempt, 3);
    assert_int_equal(place.outcome.event.attempts_left, 0);
    assert_int_equal(place.outcome.event.reply_code, 452);
    assert_true(place.outcome.facts.believed);
    maillog_messages_learn(place.messages, &place.outcome.event);
    assert_false(
        maillog_outcome_expire(&sources, &place.record, &at, &place.outcome));
    place_close(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_are_believed_of_what_was_seen),
        cmocka_unit_test(failures_of_the_null_sender_are_not_believed),
        cmocka_unit_test(hops_to_internal_relays_are_no_deliveries),
        cmocka_unit_test(what_comes_back_under_another_id_is_no_delivery),
        cmocka_unit_test(recipient_is_who_it_was_sent_to),
        cmocka_unit_test(mailbox_without_domain_is_of_this_host_at_last),
        cmocka_unit_test(some_outcomes_are_no_events),
        cmocka_unit_test(rejections_are_taken_as_the_setting_says),
        cmocka_unit_test(delay_tells_what_comes_next),
        cmocka_unit_test(members_of_an_alias_have_attempts_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
