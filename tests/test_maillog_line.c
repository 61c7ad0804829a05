#include "clock.h"
#include "maillog_shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])
#define REMOVED     "postfix/qmgr[900]: 3F1A2C0B91: removed"

/* Texts are in memory of just their length, so that ASan sees its end. */
static enum maillog_kind parse(struct maillog_parser *parser, const char *line,
                               struct maillog_record *record)
{
    static char *copy;
    size_t length = strlen(line);

    free(copy);
    copy = length == 0 ? NULL : malloc(length);
    if (length > 0) {
        assert_non_null(copy);
        memcpy(copy, line, length);
    }
    return maillog_parse(parser, (struct text){copy, length}, record);
}

static struct maillog_parser *new_parser(const char *near)
{
    struct maillog_parser *parser;
    int64_t us;

    assert_true(clock_parse(near, strlen(near), &us));
    parser = maillog_parser_new(us);
    assert_non_null(parser);
    return parser;
}

static void maillog_parse_reads_every_prefix(void **state)
{
    static const struct {
        const char *prefix;
        const char *host; /* NULL: none */
        const char *timestamp;
    } rows[] = {
        {"Jan  2 03:04:05 mail ", "mail", "2026-01-02T03:04:05.000000Z"},
        {"<22>Jan  2 03:04:05 mail ", "mail", "2026-01-02T03:04:05.000000Z"},
        {"Jan 02 03:04:05 mail ", "mail", "2026-01-02T03:04:05.000000Z"},
        {"Jan 02 03:04:05.123456 mail ", "mail", "2026-01-02T03:04:05.123456Z"},
        {"2026-01-02T03:04:05.123456+01:00 mail ", "mail",
         "2026-01-02T02:04:05.123456Z"},
        {"<22>2026-01-02T03:04:05.123456+01:00 mail ", "mail",
         "2026-01-02T02:04:05.123456Z"},
        {"2026-01-02T03:04:05Z mail ", "mail", "2026-01-02T03:04:05.000000Z"},
        {"2026-01-02T03:04:05+0100 mail ", "mail",
         "2026-01-02T02:04:05.000000Z"},
        {"2026-01-02T03:04:05.000007+0000 mail ", "mail",
         "2026-01-02T03:04:05.000007Z"},
        {"Fri 2026-01-02 03:04:05 UTC mail ", "mail",
         "2026-01-02T03:04:05.000000Z"},
        {"1767323045.123456 mail ", "mail", "2026-01-02T03:04:05.123456Z"},
        {"Jan  2 03:04:05 mx.example.com ", "mx.example.com",
         "2026-01-02T03:04:05.000000Z"},
        {"Jan  2 03:04:05 2001:db8::1 ", "2001:db8::1",
         "2026-01-02T03:04:05.000000Z"},
        {"Jan  2 03:04:05 ", NULL, "2026-01-02T03:04:05.000000Z"},
    };
    struct maillog_parser *parser = new_parser("2026-01-01T00:00:00Z");

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[256];
        char timestamp[CLOCK_TIMESTAMP_SIZE];
        struct maillog_record record;

        (void)snprintf(line, sizeof line, "%s" REMOVED, rows[i].prefix);
        assert_int_equal(parse(parser, line, &record), MAILLOG_REMOVED);
        clock_format(record.timestamp_us, timestamp);
        assert_string_equal(timestamp, rows[i].timestamp);
        assert_true(rows[i].host == NULL ? record.host.bytes == NULL
                                         : text_is(record.host, rows[i].host));
        assert_true(text_is(record.program, "postfix/qmgr"));
        assert_int_equal(record.pid, 900);
        assert_true(text_is(record.queue_id, "3F1A2C0B91"));
        assert_false(record.sendmail);
    }
    maillog_parser_free(parser);
}

static void maillog_parse_makes_nothing_of_other_lines(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "\r",
        "<22>",
        "<",
        REMOVED,
        "Jan  2 03:04:05 mail",
        "Jan  2 03:04:05 mail ",
        "Jan  2 03:04:05 mail postfix/qmgr[900]:",
        "Jan  2 03:04:05 mail postfix/qmgr[900]: ",
        "Jan  2 03:04:05 mail postfix/qmgr[900] 3F1A2C0B91: removed",
        "Jan  2 03:04:05 mail : 3F1A2C0B91: removed",
        "Jan  2 03:04:05 mail [900]: 3F1A2C0B91: removed",
        "Jan  2 03:04:05 mail /: 3F1A2C0B91: removed",
        "Jan  2 03:04:05 mail qmgr[900]: 3F1A2C0B91: removed",
        "Jan  2 03:04:05 mail postfix/qmgr[900]: 3F1A2C0B91: removed ",
        "Jan  2 03:04:05 mail postfix/qmgr[900]:  3F1A2C0B91: removed",
        "Jan  2 03:04:05 mail postfix/qmgr[900]: 3F1A2C0B91 : removed",
        "Jan  2 03:04:05 mail last message repeated 3 times",
        "Jan  2 03:04:05 mail postfix/qmgr[900]: message repeated 2 times: "
        "[ 3F1A2C0B91: removed]",
        "Jan  2 03:04:05 mail kernel: 3F1A2C0B91: removed",
        "Jan  2 03:04:05 mail user: postfix/qmgr[900]: 3F1A2C0B91: removed",
        "-- Logs begin at Fri 2026-01-02 03:04:05 UTC. --",
        "    3F1A2C0B91: removed",
        "\xef\xbb\xbfJan  2 03:04:05 mail postfix/qmgr[9]: 3F1A2C0B91: "
        "removed",
    };
    struct maillog_parser *parser = new_parser("2026-01-01T00:00:00Z");

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct maillog_record record;

        if (parse(parser, rows[i], &record) != MAILLOG_NOTHING) {
            fail_msg("row %zu: %s", i, rows[i]);
        }
        assert_int_equal(record.kind, MAILLOG_NOTHING);
    }
    maillog_parser_free(parser);
}

static void maillog_parse_reads_tags_of_all_kinds(void **state)
{
    static const struct {
        const char *tag;
        const char *program;
        int64_t pid;
    } rows[] = {
        {"postfix/qmgr[900]:", "postfix/qmgr", 900},
        {"postfix/qmgr:", "postfix/qmgr", 0},
        {"postfix/qmgr[]:", "postfix/qmgr", 0},
        {"postfix-out/qmgr[4194304]:", "postfix-out/qmgr", 4194304},
        {"a/b/qmgr[1]:", "a/b/qmgr", 1},
    };
    struct maillog_parser *parser = new_parser("2026-01-01T00:00:00Z");

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char line[256];
        struct maillog_record record;

        (void)snprintf(line, sizeof line,
                       "Jan  2 03:04:05 mail %s 3F1A2C0B91: removed",
                       rows[i].tag);
        assert_int_equal(parse(parser, line, &record), MAILLOG_REMOVED);
        assert_true(text_is(record.program, rows[i].program));
        assert_int_equal(record.pid, rows[i].pid);
    }
    maillog_parser_free(parser);
}

static void maillog_parse_ends_a_line_before_its_carriage_return(void **state)
{
    struct maillog_parser *parser = new_parser("2026-01-01T00:00:00Z");
    struct maillog_record record;

    (void)state;
    assert_int_equal(
        parse(parser, "Jan  2 03:04:05 mail " REMOVED "\r", &record),
        MAILLOG_REMOVED);
    maillog_parser_free(parser);
}

static void maillog_parse_reads_no_further_than_its_bound(void **state)
{
    static const char head[] =
        "Jan  2 03:04:05 mail postfix/smtp[2]: 3F1A2C0B82: "
        "to=<a@example.net>, relay=none, delay=1, delays=1/0/0/0, dsn=5.1.1, "
        "status=bounced (";
    struct maillog_parser *parser = new_parser("2026-01-01T00:00:00Z");
    size_t length = 4 * MAILLOG_LINE_MAX;
    char *line = malloc(length);
    struct maillog_record record;

    (void)state;
    assert_non_null(line);
    memset(line, ')', length);
    memcpy(line, head, sizeof head - 1);
    assert_int_equal(
        maillog_parse(parser, (struct text){line, length}, &record),
        MAILLOG_OUTCOME);
    assert_true(record.cut);
    assert_int_equal(record.reply.length, MAILLOG_LINE_MAX - (sizeof head - 1));
    memset(line + 60, 'a', length - 60); /* a recipient without end */
    assert_int_equal(
        maillog_parse(parser, (struct text){line, length}, &record),
        MAILLOG_NOTHING);
    free(line);
    maillog_parser_free(parser);
}

static void maillog_parse_message_takes_who_and_when_as_given(void **state)
{
    struct maillog_parser *parser = new_parser("2026-01-01T00:00:00Z");
    struct maillog_record record;

    (void)state;
    assert_int_equal(
        maillog_parse_message(parser, 1767323045123456, text_of("postfix/qmgr"),
                              77, text_of("3F1A2C0B91: removed"), &record),
        MAILLOG_REMOVED);
    assert_int_equal(record.timestamp_us, 1767323045123456);
    assert_int_equal(record.pid, 77);
    assert_null(record.host.bytes);
    assert_int_equal(
        maillog_parse_message(parser, 1, text_of("sm-mta"), 77,
                              text_of("60215wXk003001: to=<a@example.net>, "
                                      "delay=00:00:01, dsn=2.0.0, stat=Sent"),
                              &record),
        MAILLOG_OUTCOME);
    assert_true(record.sendmail);
    assert_int_equal(maillog_parse_message(parser, 1, text_of(NULL), 0,
                                           text_of("3F1A2C0B91: removed"),
                                           &record),
                     MAILLOG_NOTHING);
    assert_int_equal(maillog_parse_message(parser, 1, text_of("postfix/qmgr"),
                                           0, text_of(NULL), &record),
                     MAILLOG_NOTHING);
    maillog_parser_free(parser);
}

static void maillog_parse_keeps_time_by_lines_of_other_programs(void **state)
{
    struct maillog_parser *parser = new_parser("2026-05-01T00:00:00Z");
    struct maillog_record record;
    char timestamp[CLOCK_TIMESTAMP_SIZE];

    (void)state;
    (void)parse(parser, "May  1 00:00:00 mail cron[1]: x", &record);
    (void)parse(parser, "Sep  1 00:00:00 mail cron[1]: x", &record);
    (void)parse(parser, "Dec 31 23:59:59 mail cron[1]: x", &record);
    assert_int_equal(parse(parser, "Jan  1 00:00:00 mail " REMOVED, &record),
                     MAILLOG_REMOVED);
    clock_format(record.timestamp_us, timestamp);
    assert_string_equal(timestamp, "2027-01-01T00:00:00.000000Z");
    maillog_parser_free(parser);
}

/* Of last winter, read in autumn: a log tells nothing of the future. */
static void maillog_parse_takes_the_first_line_for_past(void **state)
{
    struct maillog_parser *parser = new_parser("2026-11-21T00:00:00Z");
    struct maillog_record record;
    char timestamp[CLOCK_TIMESTAMP_SIZE];

    (void)state;
    assert_int_equal(parse(parser, "Jan 31 00:00:00 mail " REMOVED, &record),
                     MAILLOG_REMOVED);
    clock_format(record.timestamp_us, timestamp);
    assert_string_equal(timestamp, "2026-01-31T00:00:00.000000Z");
    maillog_parser_free(parser);
}

static void maillog_recipient_gives_each_once(void **state)
{
    static const char *const wanted[] = {
        "a@example.net", "\"b, c\"@example.net", "d", "\"|/bin/e -f\""};
    struct maillog_parser *parser = new_parser("2026-01-01T00:00:00Z");
    struct maillog_record record;
    struct text recipient;
    size_t at = 0;

    (void)state;
    assert_int_equal(
        parse(parser,
              "Jan  2 03:04:05 mail sm-mta[7]: 60215wXk003001: "
              "to=<a@example.net>,<\"b, c\"@example.net>,d,\"|/bin/e -f\", "
              "delay=00:00:01, dsn=2.0.0, stat=Sent",
              &record),
        MAILLOG_OUTCOME);
    for (size_t i = 0; i < COUNT(wanted); i++) {
        assert_true(maillog_recipient(&record, &at, &recipient));
        assert_true(text_is(recipient, wanted[i]));
    }
    assert_false(maillog_recipient(&record, &at, &recipient));
    assert_false(maillog_recipient(&record, &at, &recipient));
    maillog_parser_free(parser);
}

static int utc(void **state)
{
    (void)state;
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maillog_parse_reads_every_prefix),
        cmocka_unit_test(maillog_parse_makes_nothing_of_other_lines),
        cmocka_unit_test(maillog_parse_reads_tags_of_all_kinds),
        cmocka_unit_test(maillog_parse_ends_a_line_before_its_carriage_return),
        cmocka_unit_test(maillog_parse_reads_no_further_than_its_bound),
        cmocka_unit_test(maillog_parse_message_takes_who_and_when_as_given),
        cmocka_unit_test(maillog_parse_keeps_time_by_lines_of_other_programs),
        cmocka_unit_test(maillog_parse_takes_the_first_line_for_past),
        cmocka_unit_test(maillog_recipient_gives_each_once),
    };

    return cmocka_run_group_tests_name("maillog_line", tests, utc, NULL);
}
