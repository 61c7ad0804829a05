#include "clock.h"
#include "log.h"
#include "maillog_folder.h"
#include "maillog_follow.h"
#include "maillog_writer.h"
#include "text.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000 /* for what must come */
#define LINES       20000

void log_open(const char *program, bool to_syslog, enum log_level highest)
{
    (void)program;
    (void)to_syslog;
    (void)highest;
}

/* What is logged is looked at where it is made. */
void log_write(enum log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
}

static struct maillog_follow *open_logs(const char *const *sources, bool follow,
                                        bool from_start)
{
    const struct maillog_follow_options options = {
        .sources = sources, .follow = follow, .from_start = from_start};
    struct error error = {""};
    struct maillog_follow *logs = maillog_follow_new(&options, &error);

    assert_string_equal(error.text, "");
    assert_non_null(logs);
    return logs;
}

static void expect(struct maillog_follow *logs, size_t source,
                   const char *wanted)
{
    struct maillog_line line;

    assert_int_equal(maillog_follow_next(logs, PATIENCE_MS, &line),
                     MAILLOG_FOLLOW_LINE);
    assert_int_equal(line.text.length, strlen(wanted));
    assert_memory_equal(line.text.bytes, wanted, line.text.length);
    assert_int_equal(line.source, source);
    assert_int_equal(line.timestamp_us, 0);
}

static void expect_result(struct maillog_follow *logs, int timeout_ms,
                          enum maillog_follow_result wanted)
{
    struct maillog_line line;

    assert_int_equal(maillog_follow_next(logs, timeout_ms, &line), wanted);
}

static void what_is_written_is_given_at_once(void **state)
{
    const struct maillog_folder *folder = *state;
    const char *const sources[] = {folder->log, NULL};
    struct maillog_follow *logs = open_logs(sources, true, true);
    int64_t begin_ms;

    expect_result(logs, 0, MAILLOG_FOLLOW_IDLE);
    begin_ms = clock_monotonic_ms();
    expect_result(logs, 30, MAILLOG_FOLLOW_IDLE);
    assert_true(clock_monotonic_ms() - begin_ms >= 30);
    for (int i = 0; i < 20; i++) {
        maillog_folder_append(folder, "", "line\n");
        begin_ms = clock_monotonic_ms();
        expect(logs, 0, "line");
        if (i > 0) { /* by inotify(7), not by looking each second */
            assert_true(clock_monotonic_ms() - begin_ms < 500);
        }
        expect_result(logs, 0, MAILLOG_FOLLOW_IDLE);
    }
    maillog_follow_free(logs);
}

static void a_rotation_is_followed(void **state)
{
    const struct maillog_folder *folder = *state;
    const char *const sources[] = {folder->log, NULL};
    struct maillog_follow *logs;
    struct maillog_follow_state numbers;

    maillog_folder_append(folder, "", "one\n");
    logs = open_logs(sources, true, true);
    expect(logs, 0, "one");
    maillog_folder_rename(folder, "", ".1");
    maillog_folder_append(folder, "", "three\n");
    maillog_folder_append(folder, ".1", "two\n");
    expect(logs, 0, "two");
    expect(logs, 0, "three");
    maillog_folder_append(folder, "", "four\n");
    expect(logs, 0, "four");
    maillog_folder_append(folder, "", "behind\n");
    maillog_follow_state(logs, &numbers);
    assert_int_equal(numbers.lines, 4);
    assert_int_equal(numbers.behind_bytes, 7);
    assert_int_equal(numbers.truncations, 0);
    assert_int_equal(numbers.lost_files, 0);
    maillog_follow_free(logs);
}

static void every_log_has_its_turn_and_keeps_its_order(void **state)
{
    const struct maillog_folder *folder = *state;
    char other[256];
    const char *const sources[] = {folder->log, other, NULL};
    struct maillog_follow *logs;
    struct maillog_line line;
    int seen[2] = {0, 0};

    maillog_folder_path(folder, ".other", other);
    for (int i = 0; i < 1000; i++) {
        char text[32];

        (void)snprintf(text, sizeof text, "%d\n", i);
        maillog_folder_append(folder, "", text);
        maillog_folder_append(folder, ".other", text);
    }
    logs = open_logs(sources, true, true);
    for (int i = 0; i < 2000; i++) {
        char number[16];

        assert_int_equal(maillog_follow_next(logs, PATIENCE_MS, &line),
                         MAILLOG_FOLLOW_LINE);
        (void)text_copy(line.text, number, sizeof number);
        assert_int_equal(strtol(number, NULL, 10), seen[line.source]++);
        assert_true(abs(seen[0] - seen[1]) <= 1);
    }
    expect_result(logs, 0, MAILLOG_FOLLOW_IDLE);
    maillog_follow_free(logs);
}

static void each_log_goes_on_at_its_own_position(void **state)
{
    const struct maillog_folder *folder = *state;
    char other[256], position[2][MAILLOG_POSITION_SIZE];
    const char *const sources[] = {folder->log, other, NULL};
    struct maillog_follow *logs;
    struct maillog_line line;

    maillog_folder_path(folder, ".other", other);
    maillog_folder_append(folder, "", "a\nb\n");
    maillog_folder_append(folder, ".other", "1\n2\n3\n");
    logs = open_logs(sources, true, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(maillog_follow_next(logs, PATIENCE_MS, &line),
                         MAILLOG_FOLLOW_LINE);
        (void)text_copy(text_of(line.position), position[line.source],
                        sizeof position[line.source]);
    }
    maillog_follow_free(logs);
    logs = open_logs(sources, true, false);
    assert_true(maillog_follow_resume(logs, position[0]));
    assert_true(maillog_follow_resume(logs, position[1]));
    assert_false(maillog_follow_resume(logs, "nonsense"));
    assert_false(maillog_follow_resume(logs, "stream:0000000000000001:5"));
    expect(logs, 0, "b");
    expect(logs, 1, "2");
    expect(logs, 1, "3");
    assert_true(maillog_follow_position(logs, 0, position[0]));
    assert_false(maillog_follow_position(logs, 2, position[0]));
    maillog_follow_free(logs);
}

static void without_follow_logs_are_read_one_after_the_other(void **state)
{
    const struct maillog_folder *folder = *state;
    char older[256];
    const char *const sources[] = {older, folder->log, NULL};
    struct maillog_follow *logs;

    maillog_folder_append(folder, ".1", "one\ntwo\n");
    maillog_folder_compress(folder, "gzip", ".1");
    maillog_folder_path(folder, ".1.gz", older);
    maillog_folder_append(folder, "", "three\nfour");
    logs = open_logs(sources, false, true);
    expect(logs, 0, "one");
    expect(logs, 0, "two");
    expect(logs, 1, "three");
    expect(logs, 1, "four");
    expect_result(logs, -1, MAILLOG_FOLLOW_END);
    expect_result(logs, -1, MAILLOG_FOLLOW_END);
    maillog_follow_free(logs);
}

static void what_cannot_be_opened_is_an_error(void **state)
{
    static const char *const missing[] = {"/nonexistent/mail.log", NULL};
    static const char *const folder[] = {"/", NULL};
    static const char *const journal[] = {"journal:/nonexistent", NULL};
    static const char *const twice[] = {"/var/log/a", "-", "/var/log/a", NULL};
    const struct {
        const char *const *sources;
        bool follow;
    } rows[] = {
        {missing, false}, {folder, false}, {journal, true}, {twice, true}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct maillog_follow_options options = {
            .sources = rows[i].sources, .follow = rows[i].follow};
        struct error error = {""};

        assert_null(maillog_follow_new(&options, &error));
        assert_string_not_equal(error.text, "");
    }
}

/* Through a pipe, in which nobody can go back. */
static void compressed_input_comes_out_as_a_compressed_file_does(void **state)
{
    static const char *const programs[] = {"gzip", "xz", "zstd", "bzip2"};
    static const char *const names[] = {".gz", ".xz", ".zst", ".bz2"};
    static const char *const sources[] = {"-", NULL};
    const struct maillog_folder *folder = *state;
    int saved = dup(STDIN_FILENO);

    for (size_t i = 0; i < 4; i++) {
        struct maillog_follow *logs;
        char path[256];
        char bytes[4096];
        ssize_t length;
        int ends[2];
        int fd;

        maillog_folder_append(folder, "", "one\ntwo");
        maillog_folder_compress(folder, programs[i], "");
        maillog_folder_path(folder, names[i], path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        length = read(fd, bytes, sizeof bytes);
        assert_true(length > 8);
        (void)close(fd);
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
        (void)close(ends[0]);
        logs = open_logs(sources, false, true);
        /* fewer bytes than tell how it is compressed */
        assert_int_equal(write(ends[1], bytes, 3), 3);
        expect_result(logs, 0, MAILLOG_FOLLOW_IDLE);
        assert_int_equal(write(ends[1], bytes + 3, (size_t)length - 3),
                         length - 3);
        (void)close(ends[1]);
        expect(logs, 0, "one");
        expect(logs, 0, "two");
        expect_result(logs, -1, MAILLOG_FOLLOW_END);
        maillog_follow_free(logs);
    }
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    (void)close(saved);
}

static void what_is_damaged_in_standard_input_is_its_end(void **state)
{
    static const char *const sources[] = {"-", NULL};
    static const char bytes[] = "\x1f\x8b\x08\0\0\0\0\0\0\x03\xff\xff";
    int saved = dup(STDIN_FILENO);
    struct maillog_follow *logs;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    (void)close(ends[0]);
    assert_int_equal(write(ends[1], bytes, sizeof bytes), sizeof bytes);
    (void)close(ends[1]);
    logs = open_logs(sources, false, true);
    expect_result(logs, -1, MAILLOG_FOLLOW_END);
    expect_result(logs, -1, MAILLOG_FOLLOW_END);
    maillog_follow_free(logs);
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    (void)close(saved);
}

static void standard_input_is_read_to_its_end(void **state)
{
    static const char *const sources[] = {"-", NULL};
    static const char text[] = "one\ntwo\nthree";
    int saved = dup(STDIN_FILENO);

    (void)state;
    for (int follow = 0; follow <= 1; follow++) {
        struct maillog_follow *logs;
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
        logs = open_logs(sources, follow == 1, true);
        expect_result(logs, 0, MAILLOG_FOLLOW_IDLE);
        assert_int_equal(write(ends[1], text, sizeof text - 1),
                         sizeof text - 1);
        expect(logs, 0, "one");
        expect(logs, 0, "two");
        expect_result(logs, 0, MAILLOG_FOLLOW_IDLE);
        (void)close(ends[1]);
        expect(logs, 0, "three");
        expect_result(logs, -1, MAILLOG_FOLLOW_END);
        maillog_follow_free(logs);
        (void)close(ends[0]);
    }
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    (void)close(saved);
}

static void a_named_pipe_is_read_without_follow(void **state)
{
    const struct maillog_folder *folder = *state;
    const char *const sources[] = {folder->log, NULL};
    struct maillog_follow *logs;
    int writer;

    assert_int_equal(mkfifo(folder->log, 0600), 0);
    writer = open(folder->log, O_RDWR | O_CLOEXEC);
    logs = open_logs(sources, false, true);
    maillog_folder_append(folder, "", "one\ntwo");
    expect(logs, 0, "one");
    (void)close(writer);
    expect(logs, 0, "two");
    expect_result(logs, -1, MAILLOG_FOLLOW_END);
    maillog_follow_free(logs);
}

static void *stop_soon(void *logs)
{
    (void)usleep(20000);
    maillog_follow_stop(logs);
    return NULL;
}

static void a_stop_ends_the_waiting(void **state)
{
    const struct maillog_folder *folder = *state;
    const char *const sources[] = {folder->log, NULL};
    struct maillog_follow *logs = open_logs(sources, true, true);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, stop_soon, logs), 0);
    expect_result(logs, -1, MAILLOG_FOLLOW_END);
    maillog_folder_append(folder, "", "too late\n");
    expect_result(logs, -1, MAILLOG_FOLLOW_END);
    assert_int_equal(pthread_join(thread, NULL), 0);
    maillog_follow_free(logs);
}

struct writing {
    struct maillog_writer writer;
    int lines;
};

static void *write_lines(void *argument)
{
    struct writing *writing = argument;

    while (writing->writer.next < writing->lines) {
        maillog_writer_add(&writing->writer, 100);
    }
    maillog_writer_settle(&writing->writer);
    return NULL;
}

static void nothing_is_missed_while_another_thread_writes(void **state)
{
    const struct maillog_folder *folder = *state;
    const char *const sources[] = {folder->log, NULL};
    struct maillog_follow *logs = open_logs(sources, true, true);
    struct writing writing = {.lines = LINES};
    struct maillog_line line;
    pthread_t thread;

    maillog_writer_open(&writing.writer, folder, 7);
    assert_int_equal(pthread_create(&thread, NULL, write_lines, &writing), 0);
    for (int i = 0; i < LINES; i++) {
        assert_int_equal(maillog_follow_next(logs, PATIENCE_MS, &line),
                         MAILLOG_FOLLOW_LINE);
        assert_int_equal(maillog_writer_number(line.text), i);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    expect_result(logs, 0, MAILLOG_FOLLOW_IDLE);
    maillog_writer_close(&writing.writer);
    maillog_follow_free(logs);
}

int main(void)
{
#define IN_FOLDER(name)                                                        \
    cmocka_unit_test_setup_teardown(name, maillog_folder_make,                 \
                                    maillog_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_is_written_is_given_at_once),
        IN_FOLDER(a_rotation_is_followed),
        IN_FOLDER(every_log_has_its_turn_and_keeps_its_order),
        IN_FOLDER(each_log_goes_on_at_its_own_position),
        IN_FOLDER(without_follow_logs_are_read_one_after_the_other),
        cmocka_unit_test(what_cannot_be_opened_is_an_error),
        cmocka_unit_test(standard_input_is_read_to_its_end),
        IN_FOLDER(compressed_input_comes_out_as_a_compressed_file_does),
        cmocka_unit_test(what_is_damaged_in_standard_input_is_its_end),
        IN_FOLDER(a_named_pipe_is_read_without_follow),
        IN_FOLDER(a_stop_ends_the_waiting),
        IN_FOLDER(nothing_is_missed_while_another_thread_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
