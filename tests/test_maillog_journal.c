/*
 * No journald is needed: systemd-journal-remote(8) writes a journal file from
 * the export format. Without that program the tests are skipped.
 */
#include "config.h"

#include "log.h"
#include "maillog_folder.h"
#include "maillog_follow.h"
#include "maillog_line.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define REMOTE      "/lib/systemd/systemd-journal-remote"
#define BEGIN_US    INT64_C(1795212000000000)
#define PATIENCE_MS 20000

static int errors;

void log_open(const char *program, bool to_syslog, enum log_level highest)
{
    (void)program;
    (void)to_syslog;
    (void)highest;
}

void log_write(enum log_level level, const char *format, ...)
{
    (void)format;
    errors += level == LOG_LEVEL_ERROR;
}

struct entry {
    int number; /* its time */
    const char *transport, *facility, *program, *pid, *message;
};

static void write_field(FILE *pipe, const char *name, const char *value)
{
    if (value != NULL) {
        assert_true(fprintf(pipe, "%s=%s\n", name, value) > 0);
    }
}

static void write_entry(FILE *pipe, const struct entry *entry)
{
    assert_true(fprintf(pipe,
                        "__REALTIME_TIMESTAMP=%lld\n"
                        "__MONOTONIC_TIMESTAMP=%d\n"
                        "_BOOT_ID=5a3d0c1e8b6f4d0aa37c0de8bf0d9d11\n"
                        "_MACHINE_ID=6c7c6013a2404bf3b0ccdb2d6fb4b5d4\n"
                        "_PID=99\n",
                        (long long)(BEGIN_US + entry->number),
                        1000 + entry->number) > 0);
    write_field(pipe, "_TRANSPORT", entry->transport);
    write_field(pipe, "SYSLOG_FACILITY", entry->facility);
    write_field(pipe, "SYSLOG_IDENTIFIER", entry->program);
    write_field(pipe, "SYSLOG_PID", entry->pid);
    write_field(pipe, "MESSAGE", entry->message);
    assert_true(fputc('\n', pipe) >= 0);
}

static void write_journal(const struct maillog_folder *folder, const char *name,
                          const struct entry *entries, size_t count)
{
    char command[512];
    FILE *pipe;

    (void)snprintf(command, sizeof command,
                   REMOTE " --split-mode=none --output=%s/%s - 2>/dev/null",
                   folder->path, name);
    pipe = popen(command, "we"); /* NOLINT: a command of our own making */
    assert_non_null(pipe);
    for (size_t i = 0; i < count; i++) {
        write_entry(pipe, &entries[i]);
    }
    assert_int_equal(pclose(pipe), 0);
}

#ifdef HAVE_LIBSYSTEMD
static const bool built = true;
#else
static const bool built = false;
#endif

static void skip_without_journal(void)
{
    if (!built || access(REMOTE, X_OK) != 0) {
        skip();
    }
}

static struct maillog_follow *open_journal(const char *source, bool follow,
                                           bool from_start)
{
    const char *const sources[] = {source, NULL};
    const struct maillog_follow_options options = {
        .sources = sources, .follow = follow, .from_start = from_start};
    struct error error = {""};
    struct maillog_follow *logs = maillog_follow_new(&options, &error);

    assert_string_equal(error.text, "");
    errors = 0;
    return logs;
}

static void expect(struct maillog_follow *logs, const char *message,
                   struct maillog_line *line)
{
    assert_int_equal(maillog_follow_next(logs, PATIENCE_MS, line),
                     MAILLOG_FOLLOW_LINE);
    assert_true(text_is(line->text, message));
}

static void expect_result(struct maillog_follow *logs,
                          enum maillog_follow_result wanted)
{
    struct maillog_line line;

    assert_int_equal(maillog_follow_next(logs, 0, &line), wanted);
}

static void name_source(const struct maillog_folder *folder, const char *name,
                        char source[256])
{
    (void)snprintf(source, 256, "journal:%s%s", folder->path, name);
}

static void what_mail_programs_log_is_given_and_nothing_else(void **state)
{
    static const struct entry entries[] = {
        {1, "syslog", "2", "postfix/smtp", "123", "4bXk2s: to=<a@example.org>"},
        {2, "syslog", "3", "cron", "7", "not mail"},
        {3, "kernel", "2", "postfix/smtp", "8", "not by syslog(3)"},
        {4, "journal", "2", "postfix/smtp", "8", "not by syslog(3)"},
        {5, "syslog", "2", "postfix/smtp", "9", NULL},
        {6, "syslog", "2", "sm-mta", NULL, "second"},
        {7, "syslog", "2", NULL, "12x", "third"},
    };
    const struct maillog_folder *folder = *state;
    struct maillog_follow *logs;
    struct maillog_line line;
    char source[256];

    skip_without_journal();
    write_journal(folder, "a.journal", entries,
                  sizeof entries / sizeof entries[0]);
    name_source(folder, "/a.journal", source);
    logs = open_journal(source, false, true);
    expect(logs, "4bXk2s: to=<a@example.org>", &line);
    assert_int_equal(line.timestamp_us, BEGIN_US + 1);
    assert_true(text_is(line.program, "postfix/smtp"));
    assert_int_equal(line.pid, 123);
    expect(logs, "second", &line);
    assert_true(text_is(line.program, "sm-mta"));
    assert_int_equal(line.pid, 99);
    expect(logs, "third", &line);
    assert_true(text_is(line.program, ""));
    assert_int_equal(line.pid, 99);
    expect_result(logs, MAILLOG_FOLLOW_END);
    maillog_follow_free(logs);
}

static void reading_goes_on_behind_the_position(void **state)
{
    static const struct entry entries[] = {
        {1, "syslog", "2", "postfix/smtp", "1", "one"},
        {2, "syslog", "2", "postfix/smtp", "1", "two"},
        {3, "syslog", "2", "postfix/smtp", "1", "three"},
        {4, "syslog", "2", "postfix/smtp", "1", "four"},
    };
    const struct maillog_folder *folder = *state;
    struct maillog_follow *logs;
    struct maillog_line line;
    char source[256], position[MAILLOG_POSITION_SIZE];

    skip_without_journal();
    write_journal(folder, "a.journal", entries, 3);
    name_source(folder, "", source);
    logs = open_journal(source, true, true);
    expect(logs, "one", &line);
    (void)text_copy(text_of(line.position), position, sizeof position);
    expect(logs, "two", &line);
    assert_string_equal(line.before, position);
    maillog_follow_free(logs);

    logs = open_journal(source, true, false);
    assert_true(maillog_follow_resume(logs, position));
    expect(logs, "two", &line);
    expect(logs, "three", &line);
    expect_result(logs, MAILLOG_FOLLOW_IDLE);
    write_journal(folder, "b.journal", entries + 3, 1); /* while it waits */
    expect(logs, "four", &line);
    expect_result(logs, MAILLOG_FOLLOW_IDLE);
    maillog_follow_free(logs);
    assert_int_equal(errors, 0);
}

static void without_a_position_reading_begins_at_the_end(void **state)
{
    static const struct entry entries[] = {
        {1, "syslog", "2", "postfix/smtp", "1", "one"},
        {2, "syslog", "2", "postfix/smtp", "1", "two"},
        {3, "syslog", "2", "postfix/smtp", "1", "three"},
    };
    const struct maillog_folder *folder = *state;
    struct maillog_follow *logs;
    struct maillog_line line;
    char source[256], position[MAILLOG_POSITION_SIZE];

    skip_without_journal();
    name_source(folder, "", source);
    logs = open_journal(source, true, false); /* empty */
    expect_result(logs, MAILLOG_FOLLOW_IDLE);
    write_journal(folder, "a.journal", entries, 1);
    expect(logs, "one", &line);
    maillog_follow_free(logs);

    logs = open_journal(source, true, false);
    expect_result(logs, MAILLOG_FOLLOW_IDLE);
    assert_true(maillog_follow_position(logs, 0, position));
    write_journal(folder, "b.journal", entries + 1, 2);
    expect(logs, "two", &line);
    maillog_follow_free(logs);

    logs = open_journal(source, true, false);
    assert_true(maillog_follow_resume(logs, position));
    expect(logs, "two", &line);
    expect(logs, "three", &line);
    maillog_follow_free(logs);
}

static void an_entry_that_is_gone_is_told_and_the_next_is_given(void **state)
{
    static const struct entry entries[] = {
        {1, "syslog", "2", "postfix/smtp", "1", "one"},
        {2, "syslog", "2", "postfix/smtp", "1", "two"},
    };
    const struct maillog_folder *folder = *state;
    struct maillog_follow_state numbers;
    struct maillog_follow *logs;
    struct maillog_line line;
    char source[256], path[256], position[MAILLOG_POSITION_SIZE];

    skip_without_journal();
    write_journal(folder, "a.journal", entries, 1);
    name_source(folder, "", source);
    logs = open_journal(source, true, true);
    expect(logs, "one", &line);
    (void)text_copy(text_of(line.position), position, sizeof position);
    maillog_follow_free(logs);
    (void)snprintf(path, sizeof path, "%s/a.journal", folder->path);
    assert_int_equal(unlink(path), 0);
    logs = open_journal(source, true, true);
    assert_true(maillog_follow_resume(logs, position));
    expect_result(logs, MAILLOG_FOLLOW_IDLE);
    write_journal(folder, "b.journal", entries + 1, 1);
    expect(logs, "two", &line);
    expect_result(logs, MAILLOG_FOLLOW_IDLE);
    maillog_follow_state(logs, &numbers);
    assert_int_equal(numbers.lost_files, 1);
    assert_int_equal(errors, 1);
    maillog_follow_free(logs);
}

static void a_long_message_is_given_cut(void **state)
{
    static char message[100000];
    const struct maillog_folder *folder = *state;
    struct entry entry = {1, "syslog", "2", "postfix/smtp", "1", message};
    struct maillog_follow *logs;
    struct maillog_line line;
    char source[256];

    skip_without_journal();
    for (size_t length = MAILLOG_LINE_MAX; length < sizeof message;
         length *= 5) {
        memset(message, 'm', length);
        write_journal(folder, "a.journal", &entry, 1);
        name_source(folder, "/a.journal", source);
        logs = open_journal(source, false, true);
        for (int i = 1; i <= entry.number; i++) {
            assert_int_equal(maillog_follow_next(logs, 0, &line),
                             MAILLOG_FOLLOW_LINE);
        }
        assert_int_equal(line.text.length, MAILLOG_LINE_MAX);
        assert_int_equal(line.cut, length > MAILLOG_LINE_MAX);
        expect_result(logs, MAILLOG_FOLLOW_END);
        maillog_follow_free(logs);
        entry.number++;
    }
}

int main(void)
{
#define IN_FOLDER(name)                                                        \
    cmocka_unit_test_setup_teardown(name, maillog_folder_make,                 \
                                    maillog_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_mail_programs_log_is_given_and_nothing_else),
        IN_FOLDER(reading_goes_on_behind_the_position),
        IN_FOLDER(without_a_position_reading_begins_at_the_end),
        IN_FOLDER(an_entry_that_is_gone_is_told_and_the_next_is_given),
        IN_FOLDER(a_long_message_is_given_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
