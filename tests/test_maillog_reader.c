#include "maillog_position.h"
#include "maillog_reader.h"
#include "settings_text.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINES_MAX 400
#define KILLS     300
#define SEED      2026

/* A log of numbered places: line i begins at offset 100 * i of its source. */
struct log {
    char *lines[LINES_MAX];
    size_t source[LINES_MAX];
    size_t count;
};

/* What came of it; the messages learn of it as after a restart. */
struct got {
    GPtrArray *shown;     /* "delivery a@b.example 1" */
    GPtrArray *positions; /* of each */
    int allowed;          /* events until take() says stop; -1: no end */
    int asked;            /* for the schedule */
};

struct bench {
    struct settings_share *settings;
    struct maillog_messages *messages;
    struct maillog_schedule schedule;
    struct maillog_reader *reader;
    struct got got;
};

static bool take(void *context, struct event *event)
{
    struct got *got = context;

    if (got->allowed == 0) {
        return false;
    }
    got->allowed -= got->allowed > 0;
    g_ptr_array_add(
        got->shown,
        g_strdup_printf(
            "%s %.*s %lld", event_type_name(event->type),
            (int)event->recipient.length, event->recipient.bytes,
            event->attempt == EVENT_UNKNOWN ? 0LL : (long long)event->attempt));
    g_ptr_array_add(got->positions, g_strndup(event->maillog_position.bytes,
                                              event->maillog_position.length));
    return true;
}

static void need_schedule(void *context)
{
    struct got *got = context;

    got->asked++;
}

static void make_reader(struct bench *bench)
{
    const struct maillog_reader_options options = {
        .settings = bench->settings,
        .messages = bench->messages,
        .schedule = &bench->schedule,
        .take = take,
        .need_schedule = need_schedule,
        .context = &bench->got,
    };

    bench->reader = maillog_reader_new(&options);
    assert_non_null(bench->reader);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct error error;

    assert_non_null(bench);
    bench->settings =
        settings_share_new(settings_of("node = \"mx.example.com\"\n", &error));
    bench->messages = maillog_messages_new();
    maillog_schedule_init(&bench->schedule);
    bench->got.shown = g_ptr_array_new_with_free_func(g_free);
    bench->got.positions = g_ptr_array_new_with_free_func(g_free);
    bench->got.allowed = -1;
    make_reader(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    maillog_reader_free(bench->reader);
    maillog_messages_free(bench->messages);
    settings_share_free(bench->settings);
    (void)g_ptr_array_free(bench->got.shown, TRUE);
    (void)g_ptr_array_free(bench->got.positions, TRUE);
    free(bench);
    return 0;
}

/* --- places and lines -------------------------------------------------- */

static void place(size_t source, size_t line, char text[MAILLOG_POSITION_SIZE])
{
    const struct maillog_position position = {
        .kind = MAILLOG_POSITION_STREAM,
        .source = maillog_position_source(source == 0 ? "zero" : "one"),
        .offset = 100 * (int64_t)line,
    };

    (void)maillog_position_format(&position, text);
}

static bool feed(struct bench *bench, size_t source, size_t number,
                 const char *text)
{
    char before[MAILLOG_POSITION_SIZE];
    char position[MAILLOG_POSITION_SIZE];
    const struct maillog_line line = {
        .text = text_of(text),
        .source = source,
        .before = before,
        .position = position,
    };

    place(source, number, before);
    place(source, number + 1, position);
    return maillog_reader_line(bench->reader, &line);
}

static void expect(const struct bench *bench, size_t index, const char *shown,
                   size_t source, size_t line, unsigned number)
{
    char before[MAILLOG_POSITION_SIZE];
    char position[MAILLOG_POSITION_SIZE + 12];

    assert_in_range(index, 0, bench->got.shown->len - 1);
    assert_string_equal(g_ptr_array_index(bench->got.shown, index), shown);
    place(source, line, before);
    if (number > 0) {
        (void)snprintf(position, sizeof position, "%s#%u", before, number);
    } else {
        (void)snprintf(position, sizeof position, "%s", before);
    }
    assert_string_equal(g_ptr_array_index(bench->got.positions, index),
                        position);
}

#define AT(second)  "2026-11-21T10:00:" second ".000000+00:00 mail "
#define SM(pid, id) "sm-mta[" pid "]: " id ": to="
#define SENT                                                                   \
    ", delay=00:00:01, mailer=esmtp, pri=1, relay=mx. [192.0.2.1], "           \
    "dsn=2.0.0, stat=Sent (ok)"
#define LATER                                                                  \
    ", delay=00:00:01, mailer=esmtp, pri=1, relay=mx. [192.0.2.1], "           \
    "dsn=4.0.0, reply=451 later, stat=Deferred: 451 later"
#define PF(id, to, rest)                                                       \
    "postfix/smtp[9]: " id ": to=<" to ">, relay=mx[192.0.2.1]:25, delay=1, "  \
    "delays=0/0/0/1, dsn=" rest
#define PF_SENT  "2.0.0, status=sent (250 2.0.0 Ok)"
#define PF_LATER "4.2.0, status=deferred (host mx[192.0.2.1] said: 450 4.2.0 x)"

static const char three[] =
    AT("01") SM("7", "60215wXk003007") "<a@x.example>,<b@x.example>,"
                                       "<c@x.example>" SENT;

/* --- the events of a line ---------------------------------------------- */

static void each_recipient_of_a_line_is_an_event_with_its_place(void **state)
{
    struct bench *bench = *state;

    assert_true(feed(bench, 0, 4, three));
    assert_int_equal(bench->got.shown->len, 3);
    expect(bench, 0, "delivery a@x.example 1", 0, 4, 1);
    expect(bench, 1, "delivery b@x.example 1", 0, 4, 2);
    expect(bench, 2, "delivery c@x.example 1", 0, 5, 0);
}

static void events_that_were_told_before_are_not_told_again(void **state)
{
    struct bench *bench = *state;
    char before[MAILLOG_POSITION_SIZE];

    place(0, 4, before);
    for (unsigned told = 0; told <= 3; told++) {
        guint had = bench->got.shown->len;

        maillog_reader_skip(bench->reader, before, told);
        assert_true(feed(bench, 0, 4, three));
        assert_int_equal(bench->got.shown->len, had + 3 - told);
        assert_true(feed(bench, 0, 5, three)); /* all of the next line */
        assert_int_equal(bench->got.shown->len, had + 6 - told);
    }
}

static void what_is_skipped_of_one_source_is_told_of_another(void **state)
{
    struct bench *bench = *state;
    char before[MAILLOG_POSITION_SIZE];

    place(0, 4, before);
    maillog_reader_skip(bench->reader, before, 1);
    maillog_reader_skip(bench->reader, before, 2); /* the last counts */
    assert_true(feed(bench, 1, 4, three));
    assert_int_equal(bench->got.shown->len, 3);
    assert_true(feed(bench, 0, 4, three));
    assert_int_equal(bench->got.shown->len, 4);
}

static void another_first_line_is_not_skipped(void **state)
{
    struct bench *bench = *state;
    char before[MAILLOG_POSITION_SIZE];

    place(0, 4, before);
    maillog_reader_skip(bench->reader, before, 2);
    assert_true(feed(bench, 0, 7, three));
    assert_true(feed(bench, 0, 4, three));
    assert_int_equal(bench->got.shown->len, 6);
}

static void nothing_comes_of_lines_about_nobody(void **state)
{
    struct bench *bench = *state;
    struct maillog_reader_state told;

    assert_true(feed(bench, 0, 1, AT("01") "postfix/smtpd[1]: connect from x"));
    assert_true(feed(bench, 0, 2, "no line at all"));
    assert_true(feed(bench, 0, 3, ""));
    assert_true(
        feed(bench, 0, 4, AT("01") PF("3F1A2C0B7D", "a@x.example", PF_SENT)));
    maillog_reader_state(bench->reader, &told);
    assert_int_equal(told.lines, 4);
    assert_int_equal(told.outcomes, 1);
    assert_int_equal(told.unseen, 1);
}

static void schedule_is_needed_by_deferrals_alone(void **state)
{
    struct bench *bench = *state;

    assert_true(
        feed(bench, 0, 1, AT("01") PF("3F1A2C0B7D", "a@x.example", PF_SENT)));
    assert_int_equal(bench->got.asked, 0);
    assert_true(
        feed(bench, 0, 2, AT("01") PF("3F1A2C0B7D", "b@x.example", PF_LATER)));
    assert_int_equal(bench->got.asked, 1);
    assert_int_equal(bench->got.shown->len, 2);
}

static void take_says_stop_in_the_middle_of_a_line(void **state)
{
    struct bench *bench = *state;
    char before[MAILLOG_POSITION_SIZE];

    bench->got.allowed = 2;
    assert_false(feed(bench, 0, 4, three));
    assert_int_equal(bench->got.shown->len, 2);
    expect(bench, 1, "delivery b@x.example 1", 0, 4, 2);
    bench->got.allowed = -1;
    maillog_reader_free(bench->reader);
    make_reader(bench);
    place(0, 4, before);
    maillog_reader_skip(bench->reader, before, 2);
    assert_true(feed(bench, 0, 4, three));
    assert_int_equal(bench->got.shown->len, 3);
    expect(bench, 2, "delivery c@x.example 1", 0, 5, 0);
}

/* --- lines that wait --------------------------------------------------- */

static void deferral_of_the_first_exchanger_is_no_event(void **state)
{
    struct bench *bench = *state;

    assert_true(feed(bench, 0, 1,
                     AT("01") SM("7", "60215wXk003007") "<a@x.example>" LATER));
    assert_true(maillog_reader_waits(bench->reader));
    assert_int_equal(bench->got.shown->len, 0);
    assert_true(feed(bench, 0, 2,
                     AT("02") SM("7", "60215wXk003007") "<a@x.example>" SENT));
    assert_false(maillog_reader_waits(bench->reader));
    assert_int_equal(bench->got.shown->len, 1);
    expect(bench, 0, "delivery a@x.example 1", 0, 3, 0);
}

static void deferrals_of_other_runs_and_recipients_stay(void **state)
{
    struct bench *bench = *state;

    assert_true(feed(bench, 0, 1,
                     AT("01") SM("7", "60215wXk003007") "<a@x.example>" LATER));
    assert_true(feed(bench, 0, 2,
                     AT("01") SM("8", "60215wXk003007") "<a@x.example>" LATER));
    assert_true(feed(bench, 0, 3,
                     AT("01") SM("7", "60215wXk003007") "<b@x.example>" LATER));
    assert_true(feed(bench, 0, 4,
                     AT("01") SM("7", "60215wXk003008") "<a@x.example>" SENT));
    assert_int_equal(bench->got.shown->len, 0);
    assert_true(maillog_reader_release(bench->reader, true));
    assert_int_equal(bench->got.shown->len, 4);
    expect(bench, 0, "delay a@x.example 1", 0, 2, 0);
    expect(bench, 1, "delay a@x.example 2", 0, 3, 0);
    expect(bench, 2, "delay b@x.example 1", 0, 4, 0);
    expect(bench, 3, "delivery a@x.example 1", 0, 5, 0);
}

static void deferral_comes_when_the_log_is_two_seconds_older(void **state)
{
    struct bench *bench = *state;

    assert_true(feed(bench, 0, 1,
                     AT("01") SM("7", "60215wXk003007") "<a@x.example>" LATER));
    assert_true(
        feed(bench, 1, 1, AT("02") PF("3F1A2C0B7D", "b@x.example", PF_SENT)));
    assert_int_equal(bench->got.shown->len, 0); /* in their order */
    assert_true(
        feed(bench, 0, 2, AT("03") PF("3F1A2C0B7D", "c@x.example", PF_SENT)));
    assert_int_equal(bench->got.shown->len, 3);
    expect(bench, 0, "delay a@x.example 1", 0, 2, 0);
    expect(bench, 1, "delivery b@x.example 1", 1, 2, 0);
    expect(bench, 2, "delivery c@x.example 1", 0, 3, 0);
}

static void a_log_that_is_ahead_makes_no_deferral_of_another_old(void **state)
{
    struct bench *bench = *state;

    assert_true(feed(bench, 0, 1,
                     AT("01") SM("7", "60215wXk003007") "<a@x.example>" LATER));
    assert_true(
        feed(bench, 1, 1, AT("09") PF("3F1A2C0B7D", "b@x.example", PF_SENT)));
    assert_true(feed(bench, 0, 2,
                     AT("01") SM("7", "60215wXk003007") "<a@x.example>" SENT));
    assert_int_equal(bench->got.shown->len, 2);
    expect(bench, 0, "delivery b@x.example 1", 1, 2, 0);
    expect(bench, 1, "delivery a@x.example 1", 0, 3, 0);
}

/* As after a kill: its beginning is in a line that is told already. */
static void a_broken_address_is_known_from_the_line_before(void **state)
{
    static const char first[] =
        AT("01") SM("7", "60215wXk003007") "<a@x.example>,<\"b, [more]" SENT;
    static const char second[] =
        AT("01") SM("7", "60215wXk003007") " c\"@x.example>,<d@x.example>" SENT;
    struct bench *bench = *state;
    struct maillog_line line;

    assert_true(feed(bench, 0, 1, first));
    assert_true(feed(bench, 0, 2, second));
    assert_int_equal(bench->got.shown->len, 3);
    expect(bench, 1, "delivery \"b, c\"@x.example 1", 0, 2, 1);
    expect(bench, 2, "delivery d@x.example 1", 0, 3, 0);
    maillog_reader_free(bench->reader);
    make_reader(bench);
    memset(&line, 0, sizeof line);
    line.text = text_of(first);
    line.told = true;
    assert_true(maillog_reader_line(bench->reader, &line));
    assert_int_equal(bench->got.shown->len, 3);
    assert_true(feed(bench, 0, 2, second));
    assert_int_equal(bench->got.shown->len, 5);
    expect(bench, 3, "delivery \"b, c\"@x.example 1", 0, 2, 1);
    expect(bench, 4, "delivery d@x.example 1", 0, 3, 0);
}

/* It has the place of its first piece, where it is told. */
static void pieces_before_the_first_line_are_of_no_use(void **state)
{
    struct bench *bench = *state;
    struct maillog_line line;

    memset(&line, 0, sizeof line);
    line.text = text_of(AT("01") "sm-mta[7]: 60215wXk003007[1]: "
                                 "to=<a@x.example>, delay=00:00:01, ...");
    line.told = true;
    assert_true(maillog_reader_line(bench->reader, &line));
    assert_true(feed(bench, 0, 2,
                     AT("01") "sm-mta[7]: 60215wXk003007[2]: mailer=esmtp, "
                              "dsn=2.0.0, stat=Sent (ok)"));
    assert_true(maillog_reader_release(bench->reader, true));
    assert_int_equal(bench->got.shown->len, 0);
}

static void more_lines_than_can_wait_push_the_first_out(void **state)
{
    struct bench *bench = *state;

    assert_true(feed(bench, 0, 1,
                     AT("01") SM("7", "60215wXk003007") "<a@x.example>" LATER));
    for (size_t i = 2; i < 1500; i++) {
        assert_true(feed(bench, 0, i,
                         AT("01") PF("3F1A2C0B7D", "b@x.example", PF_SENT)));
    }
    assert_true(maillog_reader_release(bench->reader, true));
    assert_int_equal(bench->got.shown->len, 1499);
    expect(bench, 0, "delay a@x.example 1", 0, 2, 0);
    expect(bench, 1498, "delivery b@x.example 1", 0, 1500, 0);
}

/* --- given up ---------------------------------------------------------- */

#define REFUSED "<r@x.example>... User unknown"

static void tell(const struct bench *bench, enum event_type type,
                 const char *recipient)
{
    struct event event;

    event_init(&event, type, 0);
    event.queue_id = text_of("60215wXk003007");
    event.recipient = text_of(recipient);
    maillog_messages_learn(bench->messages, &event);
}

static void a_refusal_that_a_session_tells_is_told_once(void **state)
{
    static const struct row {
        const char *line;
        enum event_type told;
        bool later; /* than the line */
    } rows[] = {
        {REFUSED, EVENT_REJECTION, true},
        {REFUSED, EVENT_REJECTION, false},
        {"Milter: to=<r@x.example>, reject=550 5.7.1 no", EVENT_SUPPRESSED,
         false},
        {"to=r@x.example, delay=00:00:00, mailer=local, pri=0, dsn=5.1.1, "
         "reply=550 5.1.1 User unknown, stat=User unknown",
         EVENT_REJECTION, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bench *bench = *state;
        char line[300];

        (void)snprintf(line, sizeof line, "%ssm-mta[7]: 60215wXk003007: %s",
                       AT("01"), rows[i].line);
        if (!rows[i].later) {
            tell(bench, rows[i].told, "r@x.example");
        }
        assert_true(feed(bench, 0, 1, line));
        if (rows[i].later) {
            assert_true(maillog_reader_waits(bench->reader));
            tell(bench, rows[i].told, "r@x.example");
        }
        assert_true(maillog_reader_release(bench->reader, true));
        assert_int_equal(bench->got.shown->len, 0);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

static void a_refusal_that_no_session_tells_is_told_once(void **state)
{
    struct bench *bench = *state;
    char before[MAILLOG_POSITION_SIZE];

    tell(bench, EVENT_REJECTION, "other@x.example");
    for (int times = 0; times < 2; times++) {
        assert_true(
            feed(bench, 0, 1, AT("01") "sm-mta[7]: 60215wXk003007: " REFUSED));
        assert_true(maillog_reader_release(bench->reader, true));
    }
    assert_true(feed(bench, 0, 2,
                     AT("01") "sm-mta[7]: 60215wXk003007: "
                              "to=r@x.example, delay=00:00:00, mailer=local, "
                              "pri=0, dsn=5.1.1, stat=User unknown"));
    assert_int_equal(bench->got.shown->len, 1);
    expect(bench, 0, "rejection r@x.example 0", 0, 2, 0);
    /* what was told of a line is told already when it is read again */
    place(0, 1, before);
    maillog_reader_skip(bench->reader, before, 1);
    assert_true(
        feed(bench, 0, 1, AT("01") "sm-mta[7]: 60215wXk003007: " REFUSED));
    assert_true(maillog_reader_release(bench->reader, true));
    assert_int_equal(bench->got.shown->len, 1);
}

/* What the parser knew when it came is gone when it is given. */
static void a_record_in_pieces_that_waits_is_whole(void **state)
{
    struct bench *bench = *state;

    assert_true(feed(bench, 0, 1,
                     AT("01") "sm-mta[7]: 60215wXk003007[1]: "
                              "to=<a@x.example>, delay=00:00:01, "
                              "mailer=esmtp, pri=1, ..."));
    assert_true(feed(bench, 0, 2,
                     AT("01") "sm-mta[7]: 60215wXk003007[2]: relay=mx. "
                              "[192.0.2.1], dsn=4.0.0, stat=Deferred: later"));
    assert_true(maillog_reader_waits(bench->reader));
    assert_true(maillog_reader_release(bench->reader, true));
    assert_int_equal(bench->got.shown->len, 1);
    expect(bench, 0, "delay a@x.example 1", 0, 2, 0);
}

#define PIECE(pid, id, number) "sm-mta[" pid "]: " id "[" number "]: "
#define FIRST(to)                                                              \
    "to=" to ", delay=00:00:01, xdelay=00:00:01, mailer=esmtp, ..."
#define MIDDLE     "pri=1, relay=mx. [192.0.2.1], ..."
#define LAST_SENT  "dsn=2.0.0, stat=Sent (ok)"
#define LAST_LATER "dsn=4.0.0, reply=451 later, stat=Deferred: 451 later"

/* Two records in pieces, one in the other, and what came between. */
static const char *const in_pieces[] = {
    AT("01") PF("3F1A2C0B01", "p1@x.example", PF_LATER),
    AT("01") PIECE("7", "60215wXk003007", "1")
        FIRST("<a@x.example>,<b@x.example>"),
    AT("01") PF("3F1A2C0B02", "p2@x.example", PF_SENT),
    AT("01") PIECE("8", "60215wXk003008", "1") FIRST("<c@x.example>"),
    AT("01") "postfix/smtpd[1]: connect from 1.example",
    AT("02") PIECE("7", "60215wXk003007", "2") MIDDLE,
    AT("02") SM("9", "60215wXk003009") "<d@x.example>" LATER,
    AT("02") PIECE("8", "60215wXk003008", "2") MIDDLE,
    AT("02") PIECE("8", "60215wXk003008", "3") LAST_LATER,
    AT("02") PF("3F1A2C0B03", "p3@x.example", PF_SENT),
    AT("02") PIECE("7", "60215wXk003007", "3") LAST_SENT,
    AT("02") SM("8", "60215wXk003008") "<c@x.example>" SENT,
    AT("02") SM("7", "60215wXk003007") "<a@x.example>" SENT,
    AT("03") PIECE("7", "60215wXk003010", "1") FIRST("<e@x.example>"),
    AT("03") PIECE("7", "60215wXk003010", "2") MIDDLE,
    AT("03") PIECE("7", "60215wXk003010", "3") LAST_SENT,
    AT("05") PF("3F1A2C0B04", "p4@x.example", PF_SENT),
};
#define IN_PIECES (sizeof in_pieces / sizeof in_pieces[0])

static void begin_afresh(struct bench *bench)
{
    g_ptr_array_set_size(bench->got.shown, 0);
    g_ptr_array_set_size(bench->got.positions, 0);
    bench->got.allowed = -1;
    maillog_messages_free(bench->messages);
    bench->messages = maillog_messages_new();
    maillog_reader_free(bench->reader);
    make_reader(bench);
}

static void what_comes_between_the_pieces_of_a_record_waits(void **state)
{
    struct bench *bench = *state;

    assert_true(feed(bench, 0, 1, in_pieces[1]));
    assert_true(feed(bench, 0, 2, in_pieces[2]));
    assert_true(feed(bench, 0, 3, in_pieces[5]));
    assert_true(maillog_reader_release(bench->reader, false));
    assert_int_equal(bench->got.shown->len, 0);
    assert_true(feed(bench, 0, 4, in_pieces[10]));
    assert_false(maillog_reader_waits(bench->reader));
    assert_int_equal(bench->got.shown->len, 3);
    expect(bench, 0, "delivery a@x.example 1", 0, 1, 1);
    expect(bench, 1, "delivery b@x.example 1", 0, 2, 0);
    expect(bench, 2, "delivery p2@x.example 1", 0, 3, 0);
}

static void pieces_that_do_not_come_hold_nobody_up_for_long(void **state)
{
    struct bench *bench = *state;

    assert_true(feed(bench, 0, 1, in_pieces[1]));
    assert_true(feed(bench, 0, 2, in_pieces[2]));
    assert_true(feed(bench, 0, 3, in_pieces[16]));
    assert_false(maillog_reader_waits(bench->reader));
    assert_int_equal(bench->got.shown->len, 2);
    assert_true(feed(bench, 0, 4, in_pieces[5]));
    assert_true(feed(bench, 0, 5, in_pieces[10])); /* after all */
    assert_int_equal(bench->got.shown->len, 4);
    expect(bench, 3, "delivery b@x.example 1", 0, 6, 0);
    /* one is missing, and one begins anew */
    assert_true(feed(bench, 0, 6, in_pieces[1]));
    assert_true(feed(bench, 0, 7, in_pieces[1]));
    assert_true(maillog_reader_waits(bench->reader));
    assert_true(feed(bench, 0, 8, in_pieces[10]));
    assert_false(maillog_reader_waits(bench->reader));
    assert_int_equal(bench->got.shown->len, 4);
}

static void who_waits_expires_once_each(void **state)
{
    static const char expired[] =
        AT("09") "postfix/qmgr[3]: 3F1A2C0B7D: from=<s@x.example>, "
                 "status=expired, returned to sender";
    struct bench *bench = *state;

    assert_true(
        feed(bench, 0, 1, AT("01") PF("3F1A2C0B7D", "a@x.example", PF_LATER)));
    assert_true(
        feed(bench, 0, 2, AT("01") PF("3F1A2C0B7D", "b@x.example", PF_LATER)));
    assert_true(
        feed(bench, 0, 3, AT("01") PF("3F1A2C0B7D", "c@x.example", PF_SENT)));
    bench->got.allowed = 1;
    assert_false(feed(bench, 0, 4, expired));
    expect(bench, 3, "expiration a@x.example 1", 0, 4, 1);
    bench->got.allowed = -1;
    maillog_reader_free(bench->reader);
    make_reader(bench);
    maillog_reader_skip(bench->reader, "stream:0000000000000000:0",
                        1); /* of nobody */
    assert_true(feed(bench, 0, 4, expired));
    assert_int_equal(bench->got.shown->len, 5);
    expect(bench, 4, "expiration b@x.example 1", 0, 4, 1);
    assert_true(feed(bench, 0, 4, expired));
    assert_int_equal(bench->got.shown->len, 5);
}

/* --- all of it, with kills --------------------------------------------- */

static unsigned draw(unsigned *seed, unsigned limit)
{
    *seed = *seed * 1103515245U + 12345U;
    return (*seed >> 16) % limit;
}

static char *make_line(unsigned *seed, size_t number)
{
    unsigned queue = draw(seed, 12);
    unsigned second = (unsigned)number / 4;
    char *stamp = g_strdup_printf("2026-11-21T10:%02u:%02u.000000+00:00 mail ",
                                  second / 60, second % 60);
    char *sendmail = g_strdup_printf(
        "sm-mta[%u]: 60215wXk0030%02u: to=", draw(seed, 3) + 1, queue);
    const char *const texts[] = {
        "<a@x.example>,<b@x.example>,<c@x.example>" SENT,
        "<a@x.example>,<d@x.example>" LATER,
        "<a@x.example>" LATER,
        "<a@x.example>" SENT,
    };
    static const char *const postfix[] = {
        PF("%02u3F1A2C0B", "a@x.example", PF_LATER),
        PF("%02u3F1A2C0B", "b@x.example", PF_LATER),
        PF("%02u3F1A2C0B", "b@x.example", PF_SENT),
        ("postfix/qmgr[3]: %02u3F1A2C0B: from=<s@x.example>, status=expired, "
         "returned to sender"),
        "postfix/smtpd[1]: connect from %u.example",
    };
    unsigned kind = draw(seed, 9);
    char *rest = kind < 4 ? g_strconcat(sendmail, texts[kind], NULL) : NULL;

    if (rest == NULL) {
        char digits[8];
        char **parts =
            g_strsplit(postfix[kind - 4], kind == 8 ? "%u" : "%02u", 2);

        (void)snprintf(digits, sizeof digits, "%02u", queue);
        rest = g_strconcat(parts[0], digits, parts[1], NULL);
        g_strfreev(parts);
    }
    g_free(sendmail);
    sendmail = g_strconcat(stamp, rest, NULL);
    g_free(stamp);
    g_free(rest);
    return sendmail;
}

static void make_log(struct log *log, unsigned *seed)
{
    for (log->count = 0; log->count < LINES_MAX; log->count++) {
        log->source[log->count] = draw(seed, 2);
        log->lines[log->count] = make_line(seed, log->count);
    }
}

/* Where each source goes on, and what of its first line is told. */
static void resume(struct bench *bench, size_t begin[2])
{
    char text[MAILLOG_POSITION_SIZE + 12];

    begin[0] = 0;
    begin[1] = 0;
    for (guint i = 0; i < bench->got.positions->len; i++) {
        unsigned told = 0;
        struct maillog_position position;
        char *mark;
        size_t source;

        (void)g_strlcpy(text, g_ptr_array_index(bench->got.positions, i),
                        sizeof text);
        mark = strchr(text, '#');
        if (mark != NULL) {
            *mark = '\0';
            told = (unsigned)strtoul(mark + 1, NULL, 10);
        }
        assert_true(maillog_position_parse(text, &position));
        source = position.source == maillog_position_source("zero") ? 0 : 1;
        begin[source] = (size_t)(position.offset / 100);
        maillog_reader_skip(bench->reader, text, told);
    }
}

static bool feed_from(struct bench *bench, const struct log *log,
                      const size_t begin[2])
{
    for (size_t i = 0; i < log->count; i++) {
        if (i >= begin[log->source[i]] &&
            !feed(bench, log->source[i], i, log->lines[i])) {
            return false;
        }
    }
    return maillog_reader_release(bench->reader, true);
}

static void check_same(const GPtrArray *wanted, const GPtrArray *got)
{
    for (guint i = 0; i < got->len && i < wanted->len; i++) {
        assert_string_equal(got->pdata[i], wanted->pdata[i]);
    }
    assert_int_equal(got->len, wanted->len);
}

static void free_log(struct log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        g_free(log->lines[i]);
    }
}

/* One source: the order of several is not kept over a restart. */
static void a_reader_killed_at_any_event_gives_each_once(void **state)
{
    struct bench *bench = *state;
    GPtrArray *whole = g_ptr_array_new_with_free_func(g_free);
    const size_t from_begin[2] = {0, 0};
    unsigned seed = SEED;
    struct log log;

    make_log(&log, &seed);
    memset(log.source, 0, sizeof log.source);
    assert_true(feed_from(bench, &log, from_begin));
    assert_true(bench->got.shown->len > LINES_MAX / 2);
    g_ptr_array_extend_and_steal(whole, bench->got.shown);
    bench->got.shown = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_set_size(bench->got.positions, 0);
    maillog_messages_free(bench->messages);
    bench->messages = maillog_messages_new();
    for (int kills = 0; kills <= KILLS; kills++) {
        size_t begin[2];

        maillog_reader_free(bench->reader);
        make_reader(bench);
        resume(bench, begin);
        bench->got.allowed = kills < KILLS ? (int)draw(&seed, 4) : -1;
        if (feed_from(bench, &log, begin)) {
            break;
        }
    }
    check_same(whole, bench->got.shown);
    (void)g_ptr_array_free(whole, TRUE);
    free_log(&log);
}

/* Killed between any two lines, and between any two events. */
static void a_record_in_pieces_is_told_once_whenever_killed(void **state)
{
    struct bench *bench = *state;
    GPtrArray *whole = g_ptr_array_new_with_free_func(g_free);
    const size_t from_begin[2] = {0, 0};
    struct log log = {.count = IN_PIECES};

    for (size_t i = 0; i < IN_PIECES; i++) {
        log.lines[i] = g_strdup(in_pieces[i]);
    }
    assert_true(feed_from(bench, &log, from_begin));
    g_ptr_array_extend_and_steal(whole, bench->got.shown);
    bench->got.shown = g_ptr_array_new_with_free_func(g_free);
    assert_int_equal(whole->len, 10);
    for (size_t kill = 0; kill <= IN_PIECES + whole->len; kill++) {
        size_t begin[2];

        begin_afresh(bench);
        bench->got.allowed =
            kill > IN_PIECES ? (int)(kill - IN_PIECES) - 1 : -1;
        for (size_t i = 0; i < (kill > IN_PIECES ? IN_PIECES : kill); i++) {
            if (!feed(bench, 0, i, in_pieces[i])) {
                break;
            }
        }
        maillog_reader_free(bench->reader);
        make_reader(bench);
        bench->got.allowed = -1;
        resume(bench, begin);
        assert_true(feed_from(bench, &log, begin));
        check_same(whole, bench->got.shown);
    }
    (void)g_ptr_array_free(whole, TRUE);
    free_log(&log);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_recipient_of_a_line_is_an_event_with_its_place),
        TEST(events_that_were_told_before_are_not_told_again),
        TEST(what_is_skipped_of_one_source_is_told_of_another),
        TEST(another_first_line_is_not_skipped),
        TEST(nothing_comes_of_lines_about_nobody),
        TEST(schedule_is_needed_by_deferrals_alone),
        TEST(take_says_stop_in_the_middle_of_a_line),
        TEST(deferral_of_the_first_exchanger_is_no_event),
        TEST(deferrals_of_other_runs_and_recipients_stay),
        TEST(deferral_comes_when_the_log_is_two_seconds_older),
        TEST(a_log_that_is_ahead_makes_no_deferral_of_another_old),
        TEST(a_broken_address_is_known_from_the_line_before),
        TEST(pieces_before_the_first_line_are_of_no_use),
        TEST(more_lines_than_can_wait_push_the_first_out),
        TEST(a_refusal_that_a_session_tells_is_told_once),
        TEST(a_refusal_that_no_session_tells_is_told_once),
        TEST(a_record_in_pieces_that_waits_is_whole),
        TEST(what_comes_between_the_pieces_of_a_record_waits),
        TEST(pieces_that_do_not_come_hold_nobody_up_for_long),
        TEST(a_record_in_pieces_is_told_once_whenever_killed),
        TEST(who_waits_expires_once_each),
        TEST(a_reader_killed_at_any_event_gives_each_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
