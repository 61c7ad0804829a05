/*
 * A process that follows a log and keeps what it got is killed at random,
 * while the log is written, rotated, compressed and truncated. NIXIE_KILLS
 * says how often.
 */
#include "clock.h"
#include "log.h"
#include "maillog_file.h"
#include "maillog_folder.h"
#include "maillog_writer.h"
#include "text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KILLS       15
#define HURRY       100 /* the follower's clock runs so much faster */
#define PATIENCE_MS 30000
#define RECORD_MAX  512 /* "NUMBER POSITION\n" */

void log_open(const char *program, bool to_syslog, enum log_level highest)
{
    (void)program;
    (void)to_syslog;
    (void)highest;
}

void log_write(enum log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
}

/* In the child nothing may end by cmocka's jumps. */
static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

/* The last whole record's position; a torn one behind it goes. "": none. */
static void read_back(int fd, char position[MAILLOG_POSITION_SIZE])
{
    char bytes[2 * RECORD_MAX];
    struct stat status;
    off_t from;
    ssize_t length;
    const char *end, *begin, *blank;

    must(fstat(fd, &status) == 0);
    from = status.st_size > (off_t)sizeof bytes
               ? status.st_size - (off_t)sizeof bytes
               : 0;
    length = pread(fd, bytes, sizeof bytes, from);
    must(length >= 0);
    position[0] = '\0';
    end = memrchr(bytes, '\n', (size_t)length);
    if (end == NULL) {
        must(from == 0 && ftruncate(fd, 0) == 0);
        return;
    }
    must(ftruncate(fd, from + (end - bytes) + 1) == 0);
    begin = memrchr(bytes, '\n', (size_t)(end - bytes));
    begin = begin == NULL ? bytes : begin + 1;
    blank = memchr(begin, ' ', (size_t)(end - begin));
    must(blank != NULL);
    (void)text_copy((struct text){blank + 1, (size_t)(end - blank) - 1},
                    position, MAILLOG_POSITION_SIZE);
}

static void keep(int fd, const struct maillog_line *line)
{
    char record[RECORD_MAX];
    int length = snprintf(record, sizeof record, "%d %s\n",
                          maillog_writer_number(line->text), line->position);

    must(length > 0 && write(fd, record, (size_t)length) == length);
}

static void follow(const struct maillog_folder *folder, const char *kept)
{
    const struct maillog_file_options options = {.path = folder->log,
                                                 .follow = true,
                                                 .from_start = true,
                                                 .look_back = 1000};
    char text[MAILLOG_POSITION_SIZE];
    int fd = open(kept, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct maillog_position position;
    struct error error;
    struct maillog_file *file = maillog_file_new(&options, &error);
    struct maillog_line line;

    must(fd >= 0 && file != NULL);
    read_back(fd, text);
    if (text[0] != '\0') {
        must(maillog_position_parse(text, &position));
        maillog_file_resume(file, &position);
    }
    for (;;) {
        switch (maillog_file_next(file, clock_monotonic_ms() * HURRY, &line)) {
        case MAILLOG_SOURCE_LINE:
            if (!line.told) {
                keep(fd, &line);
            }
            break;
        case MAILLOG_SOURCE_NOTHING:
            (void)usleep(200);
            break;
        case MAILLOG_SOURCE_AGAIN:
        case MAILLOG_SOURCE_END:
            break;
        }
    }
}

static pid_t start(const struct maillog_folder *folder, const char *kept)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        follow(folder, kept);
        _exit(1);
    }
    return pid;
}

static void end(pid_t pid)
{
    int status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* How many records there are, which must count up from 0. */
static int check(const char *kept)
{
    char record[RECORD_MAX];
    FILE *file = fopen(kept, "re");
    int count = 0;

    while (file != NULL && fgets(record, sizeof record, file) != NULL) {
        if (strchr(record, '\n') != NULL) {
            assert_int_equal(strtol(record, NULL, 10), count);
            count++;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return count;
}

static void wait_for(const char *kept, int count)
{
    int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;

    while (check(kept) < count && clock_monotonic_ms() < deadline_ms) {
        (void)usleep(2000);
    }
    assert_int_equal(check(kept), count);
}

static void every_line_is_kept_once_by_a_follower_that_is_killed(void **state)
{
    const struct maillog_folder *folder = *state;
    const char *kills_text = getenv("NIXIE_KILLS");
    int kills = kills_text == NULL ? KILLS : (int)strtol(kills_text, NULL, 10);
    struct maillog_writer writer;
    char kept[256];
    pid_t pid;

    maillog_folder_path(folder, ".kept", kept);
    maillog_writer_open(&writer, folder, (unsigned)getpid());
    writer.truncates = true;
    maillog_writer_add(&writer, 2);
    maillog_writer_settle(&writer);
    pid = start(folder, kept);
    wait_for(kept, 2);
    for (int i = 0; i < kills; i++) {
        unsigned steps = 1 + maillog_writer_random(&writer, 8);

        while (steps-- > 0) {
            maillog_writer_step(&writer);
            maillog_writer_settle(&writer); /* nobody is in time for HURRY */
            (void)usleep(maillog_writer_random(&writer, 8000));
        }
        end(pid);
        if (maillog_writer_random(&writer, 3) == 0) {
            maillog_writer_step(&writer);
            maillog_writer_settle(&writer);
        }
        pid = start(folder, kept);
    }
    maillog_writer_add(&writer, 1);
    maillog_writer_settle(&writer);
    wait_for(kept, writer.next);
    end(pid);
    maillog_writer_close(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            every_line_is_kept_once_by_a_follower_that_is_killed,
            maillog_folder_make, maillog_folder_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
