#include "log.h"
#include "maillog_file.h"
#include "maillog_folder.h"
#include "maillog_line.h"
#include "maillog_writer.h"
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEDS 40
#define STEPS 250

#define LOOK_BACK 250 /* so that some lines are in, and one is in part */

/* What is logged: how often, and the last of it. */
static struct {
    int errors, warnings;
    char last[1024];
} logged;

void log_open(const char *program, bool to_syslog, enum log_level highest)
{
    (void)program;
    (void)to_syslog;
    (void)highest;
}

void log_write(enum log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(logged.last, sizeof logged.last, format, arguments);
    va_end(arguments);
    logged.errors += level == LOG_LEVEL_ERROR;
    logged.warnings += level == LOG_LEVEL_WARNING;
}

struct reader {
    struct maillog_file *file;
    int64_t now_ms;
    char position[MAILLOG_POSITION_SIZE]; /* of the last line; "": none */
    int told;                             /* lines that were given again */
};

static struct reader read_log(const struct maillog_folder *folder,
                              const char *suffix, bool follow, bool from_start)
{
    struct reader reader = {.now_ms = 1000};
    struct error error;
    char path[256];
    struct maillog_file_options options = {
        .path = path, .follow = follow, .from_start = from_start};

    memset(&logged, 0, sizeof logged);
    maillog_folder_path(folder, suffix, path);
    reader.file = maillog_file_new(&options, &error);
    assert_non_null(reader.file);
    return reader;
}

static struct reader follow_log(const struct maillog_folder *folder)
{
    return read_log(folder, "", true, true);
}

/* Another process goes on from what this one kept. */
static void restart(struct reader *reader, const struct maillog_folder *folder)
{
    struct maillog_file_options options = {.path = folder->log,
                                           .follow = true,
                                           .from_start = true,
                                           .look_back = LOOK_BACK};
    struct maillog_position position;
    struct error error;

    maillog_file_free(reader->file);
    reader->file = maillog_file_new(&options, &error);
    assert_non_null(reader->file);
    if (reader->position[0] != '\0') {
        assert_true(maillog_position_parse(reader->position, &position));
        maillog_file_resume(reader->file, &position);
    }
}

static enum maillog_source_result next(struct reader *reader,
                                       struct maillog_line *line)
{
    enum maillog_source_result result;

    do {
        result = maillog_file_next(reader->file, reader->now_ms, line);
        reader->told += result == MAILLOG_SOURCE_LINE && line->told;
    } while (result == MAILLOG_SOURCE_AGAIN ||
             (result == MAILLOG_SOURCE_LINE && line->told));
    if (result == MAILLOG_SOURCE_LINE) {
        (void)text_copy(text_of(line->position), reader->position,
                        sizeof reader->position);
    }
    return result;
}

/* Lines up to where there is nothing more, each with a blank behind it. */
static void expect(struct reader *reader, const char *wanted)
{
    struct maillog_line line;
    char found[1024] = "";
    size_t used = 0;

    while (next(reader, &line) == MAILLOG_SOURCE_LINE) {
        used += (size_t)snprintf(found + used, sizeof found - used, "%.*s ",
                                 (int)line.text.length, line.text.bytes);
    }
    assert_string_equal(found, wanted);
}

static void expect_later(struct reader *reader, const char *wanted)
{
    reader->now_ms += MAILLOG_FILE_QUIET_MS + MAILLOG_FILE_CHECK_MS;
    expect(reader, wanted);
}

static struct maillog_follow_state state_of(const struct reader *reader)
{
    struct maillog_follow_state state = {0};

    maillog_file_state(reader->file, &state);
    return state;
}

static void lines_are_given_when_they_are_complete(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\n\nthr");
    reader = follow_log(folder);
    expect(&reader, "one  ");
    assert_int_equal(state_of(&reader).behind_bytes, 3);
    maillog_folder_append(folder, "", "ee");
    expect(&reader, "");
    maillog_folder_append(folder, "", "\nfour\n");
    expect(&reader, "three four ");
    assert_int_equal(state_of(&reader).behind_bytes, 0);
    maillog_file_free(reader.file);
}

static void a_file_that_is_not_there_yet_is_waited_for(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader = read_log(folder, "", true, false);
    char text[MAILLOG_POSITION_SIZE];

    expect(&reader, "");
    expect_later(&reader, "");
    assert_int_equal(logged.warnings, 1); /* once */
    assert_false(maillog_file_position(reader.file, text));
    maillog_folder_append(folder, "", "one\n"); /* came after the first look */
    expect(&reader, "one ");
    assert_non_null(strstr(logged.last, "is read")); /* its end, too */
    maillog_file_free(reader.file);
}

static void without_a_position_reading_begins_at_the_end(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\ntwo\nthr");
    reader = read_log(folder, "", true, false);
    expect(&reader, "");
    assert_true(maillog_file_position(reader.file, reader.position));
    maillog_folder_append(folder, "", "ee\nfour\n");
    restart(&reader, folder); /* the position of the start does not lose them */
    expect(&reader, "three four ");
    maillog_file_free(reader.file);
}

static void a_renamed_file_is_read_until_it_is_quiet(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\n");
    reader = follow_log(folder);
    expect(&reader, "one ");
    maillog_folder_append(folder, "", "two\n");
    maillog_folder_rename(folder, "", ".1");
    expect_later(&reader, "two ");
    expect_later(&reader, ""); /* nothing new to go to */
    maillog_folder_append(folder, "", "");
    expect_later(&reader, ""); /* an empty one can wait */
    maillog_folder_append(folder, ".1", "three\n");
    maillog_folder_append(folder, "", "four\n");
    expect(&reader, "three ");
    reader.now_ms += MAILLOG_FILE_QUIET_MS - 1;
    expect(&reader, "");
    assert_int_equal(state_of(&reader).behind_bytes, 5);
    maillog_folder_append(folder, ".1", "late\n");
    expect_later(&reader, "late ");
    expect_later(&reader, "four ");
    assert_int_equal(logged.errors + logged.warnings, 0);
    maillog_file_free(reader.file);
}

static void rotations_while_nobody_read_are_read_in_order(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\n");
    reader = follow_log(folder);
    expect(&reader, "one ");
    maillog_folder_append(folder, "", "two\n");
    maillog_folder_rename(folder, "", ".4");
    maillog_folder_compress(folder, "gzip", ".4");
    maillog_folder_append(folder, ".5", "old\n");
    maillog_folder_append(folder, ".3", "three\n");
    maillog_folder_compress(folder, "xz", ".3");
    maillog_folder_append(folder, ".2", "four\n");
    maillog_folder_compress(folder, "zstd", ".2");
    maillog_folder_append(folder, ".1", "five\n");
    maillog_folder_append(folder, ".err", "no\n");
    maillog_folder_append(folder, "", "six\n");
    restart(&reader, folder);
    expect(&reader, "two three four five ");
    restart(&reader, folder); /* which cannot know since when it is quiet */
    expect(&reader, "");
    expect_later(&reader, "six ");
    assert_int_equal(logged.errors + logged.warnings, 0);
    maillog_file_free(reader.file);
}

/* Of the line that it begins within nothing is given, nor of a later one. */
static void whole_lines_before_a_position_are_given_again(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;
    struct maillog_line line;
    char text[MAILLOG_POSITION_SIZE];

    maillog_folder_append(folder, "", "x\n");
    reader = follow_log(folder);
    for (int i = 0; i < 9; i++) {
        (void)snprintf(text, sizeof text, "%d%99s\n", i, "");
        maillog_folder_append(folder, "", text);
    }
    for (int i = 0; i < 9; i++) {
        assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
    }
    restart(&reader, folder);
    assert_int_equal(maillog_file_next(reader.file, reader.now_ms, &line),
                     MAILLOG_SOURCE_LINE);
    assert_true(line.told);
    assert_int_equal(line.text.bytes[0], '6');
    assert_true(maillog_file_position(reader.file, text));
    assert_string_equal(text, reader.position); /* there it is, all the time */
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
    assert_false(line.told);
    assert_int_equal(line.text.bytes[0], '8');
    assert_int_equal(reader.told, 1);
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_NOTHING);
    maillog_file_free(reader.file);
}

static void the_positions_file_is_found_compressed(void **state)
{
    static const char *const programs[] = {"gzip", "xz", "zstd", "bzip2"};
    const struct maillog_folder *folder = *state;

    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        struct reader reader;

        maillog_folder_append(folder, "", "one\ntwo\n");
        reader = follow_log(folder);
        expect(&reader, "one two ");
        maillog_folder_append(folder, "", "three\n");
        maillog_folder_rename(folder, "", ".1");
        maillog_folder_compress(folder, programs[i], ".1");
        maillog_folder_append(folder, "", "four\n");
        restart(&reader, folder);
        expect(&reader, "three four ");
        maillog_folder_append(folder, "", "five\n");
        expect(&reader, "five ");
        assert_int_equal(logged.errors, 0);
        maillog_file_free(reader.file);
        maillog_folder_delete(folder, "");
        maillog_folder_delete(folder, i == 0   ? ".1.gz"
                                      : i == 1 ? ".1.xz"
                                      : i == 2 ? ".1.zst"
                                               : ".1.bz2");
    }
}

static void a_file_compressed_while_it_is_read_is_not_read_again(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\ntwo\n");
    reader = follow_log(folder);
    expect(&reader, "one two ");
    maillog_folder_rename(folder, "", ".1");
    maillog_folder_compress(folder, "gzip", ".1");
    maillog_folder_append(folder, "", "three\n");
    expect_later(&reader, "three ");
    maillog_file_free(reader.file);
}

static void a_file_before_a_position_is_found_by_its_first_line(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;
    struct maillog_line line;

    maillog_folder_append(folder, "", "one\ntwo\n");
    reader = follow_log(folder);
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
    (void)text_copy(text_of(line.before), reader.position,
                    sizeof reader.position);
    maillog_folder_rename(folder, "", ".1");
    maillog_folder_compress(folder, "gzip", ".1");
    restart(&reader, folder);
    expect(&reader, "one two ");
    maillog_file_free(reader.file);
}

static void each_line_begins_where_the_one_before_ended(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;
    struct maillog_line line;
    struct maillog_position position, before, kept;
    char filler[100];

    memset(filler, 'f', sizeof filler);
    filler[sizeof filler - 1] = '\0';
    for (int i = 0; i < 10; i++) {
        maillog_folder_append(folder, "", filler);
        maillog_folder_append(folder, "", "\n");
    }
    reader = follow_log(folder);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
        assert_true(maillog_position_parse(line.before, &before));
        assert_int_equal(before.offset, i * 100);
        if (i > 0) {
            assert_true(maillog_position_same(&before, &position));
        }
        assert_true(maillog_position_parse(line.position, &position));
        assert_int_equal(position.offset, (i + 1) * 100);
        /* the same place, told by another process, of a longer file */
        maillog_folder_append(folder, "", "more\n");
        (void)text_copy(text_of(line.before), reader.position,
                        sizeof reader.position);
        restart(&reader, folder);
        assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
        assert_true(maillog_position_parse(line.before, &kept));
        assert_true(maillog_position_same(&kept, &before));
    }
    maillog_file_free(reader.file);
}

static void a_copy_made_before_a_truncation_is_read_to_its_end(void **state)
{
    const struct maillog_folder *folder = *state;

    for (int running = 0; running <= 1; running++) {
        struct reader reader;

        maillog_folder_append(folder, "", "one\ntwo\n");
        reader = follow_log(folder);
        expect(&reader, "one two ");
        maillog_folder_append(folder, "", "three\n");
        maillog_folder_copy(folder, "", ".1");
        maillog_folder_truncate(folder, "", 0);
        if (running == 0) {
            restart(&reader, folder);
        }
        expect(&reader, "three ");
        expect_later(&reader, "");
        maillog_folder_append(folder, "",
                              "four, which makes it longer again\n");
        expect_later(&reader, "four, which makes it longer again ");
        assert_int_equal(state_of(&reader).truncations, running);
        assert_int_equal(state_of(&reader).lost_files, 0);
        maillog_file_free(reader.file);
        maillog_folder_delete(folder, "");
        maillog_folder_delete(folder, ".1");
    }
}

static void
a_truncated_file_without_a_copy_is_read_from_its_beginning(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\ntwo\n");
    reader = follow_log(folder);
    expect(&reader, "one two ");
    maillog_folder_truncate(folder, "", 0);
    expect(&reader, "");
    maillog_folder_append(folder, "", "three\n");
    expect_later(&reader, "three ");
    assert_int_equal(state_of(&reader).truncations, 1);
    assert_int_equal(state_of(&reader).lost_files, 0);
    assert_int_equal(logged.warnings, 1);
    maillog_folder_truncate(folder, "", 0); /* and longer at once */
    maillog_folder_append(folder, "", "four\nfive\n");
    expect(&reader, "four five ");
    assert_int_equal(state_of(&reader).truncations, 2);
    maillog_file_free(reader.file);
}

static void an_inode_that_is_used_again_is_another_file(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\ntwo\n");
    reader = follow_log(folder);
    expect(&reader, "one two ");
    maillog_folder_copy(folder, "", ".1");
    maillog_folder_append(folder, ".1", "three\n");
    maillog_folder_truncate(folder, "", 0); /* the same inode, other bytes */
    maillog_folder_append(folder, "", "this is not what was there\n");
    restart(&reader, folder);
    expect(&reader, "three ");
    expect_later(&reader, "this is not what was there ");
    maillog_file_free(reader.file);
}

static void a_lost_file_is_told_and_reading_goes_on_behind_it(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\n");
    maillog_folder_touch(folder, "", 5000);
    reader = follow_log(folder);
    expect(&reader, "one ");
    maillog_folder_delete(folder, "");
    maillog_folder_append(folder, ".3", "old\n");
    maillog_folder_touch(folder, ".3", 4000);
    maillog_folder_append(folder, ".2", "two\n");
    maillog_folder_touch(folder, ".2", 6000);
    maillog_folder_append(folder, ".1", "three\n");
    maillog_folder_append(folder, "", "four\n");
    restart(&reader, folder);
    expect(&reader, "two three ");
    expect_later(&reader, "four ");
    assert_int_equal(state_of(&reader).lost_files, 1);
    assert_int_equal(logged.errors, 1);
    assert_non_null(strstr(logged.last, folder->log));
    maillog_file_free(reader.file);
}

static void a_lost_file_with_no_other_there_is_waited_for(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\n");
    reader = follow_log(folder);
    expect(&reader, "one ");
    maillog_folder_delete(folder, "");
    restart(&reader, folder);
    expect_later(&reader, "");
    expect_later(&reader, "");
    maillog_folder_append(folder, "", "two\n");
    expect_later(&reader, "two ");
    assert_int_equal(logged.errors, 1);
    maillog_file_free(reader.file);
}

static void a_deleted_file_is_read_as_long_as_it_is_written(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\n");
    reader = follow_log(folder);
    expect(&reader, "one ");
    maillog_folder_append(folder, "", "two\n");
    maillog_folder_delete(folder, "");
    expect_later(&reader, "two ");
    expect_later(&reader, "");
    maillog_folder_append(folder, "", "three\n");
    expect_later(&reader, "three ");
    maillog_file_free(reader.file);
}

static void
a_file_moved_to_another_disk_is_known_by_what_it_begins_with(void **state)
{
    const struct maillog_folder *folder = *state;
    struct maillog_position position;
    struct reader reader;

    maillog_folder_append(folder, "", "one\n");
    reader = follow_log(folder);
    expect(&reader, "one ");
    assert_true(maillog_position_parse(reader.position, &position));
    position.device++;
    position.inode += 4711;
    (void)maillog_position_format(&position, reader.position);
    maillog_folder_append(folder, "", "two\n");
    restart(&reader, folder);
    expect(&reader, "two ");
    assert_int_equal(logged.errors, 0);
    maillog_file_free(reader.file);
}

static void the_log_may_be_a_link_that_is_set_anew(void **state)
{
    const struct maillog_folder *folder = *state;
    char target[256];
    struct reader reader;

    maillog_folder_append(folder, "-20261120", "one\n");
    maillog_folder_path(folder, "-20261120", target);
    assert_int_equal(symlink(target, folder->log), 0);
    reader = follow_log(folder);
    expect(&reader, "one ");
    maillog_folder_append(folder, "-20261121", "two\n");
    maillog_folder_path(folder, "-20261121", target);
    maillog_folder_delete(folder, "");
    assert_int_equal(symlink(target, folder->log), 0);
    expect_later(&reader, "two ");
    maillog_file_free(reader.file);
}

/* As root the rights of another user are taken for a while. */
static void
a_file_that_may_not_be_read_is_told_once_and_tried_again(void **state)
{
    const struct maillog_folder *folder = *state;
    bool root = geteuid() == 0;
    struct reader reader;

    maillog_folder_append(folder, "", "one\n");
    assert_int_equal(chmod(folder->log, 0), 0);
    assert_int_equal(chmod(folder->path, 0755), 0);
    assert_int_equal(root ? seteuid(65534) : 0, 0);
    reader = follow_log(folder);
    expect(&reader, "");
    expect_later(&reader, "");
    assert_int_equal(root ? seteuid(0) : 0, 0);
    assert_int_equal(logged.errors, 1);
    assert_non_null(strstr(logged.last, "adm"));
    assert_int_equal(chmod(folder->log, 0644), 0);
    expect_later(&reader, "one ");
    maillog_file_free(reader.file);
}

/* It is open, or what comes after it is to be read as little. */
static void files_that_may_not_be_read_any_more_are_no_loss(void **state)
{
    const struct maillog_folder *folder = *state;
    bool root = geteuid() == 0;
    char rotated[256];
    struct reader reader;

    maillog_folder_append(folder, "", "one\n");
    assert_int_equal(chmod(folder->path, 0755), 0);
    assert_int_equal(chmod(folder->log, 0644), 0);
    reader = follow_log(folder);
    expect(&reader, "one ");
    maillog_folder_rename(folder, "", ".1"); /* it stays open */
    maillog_folder_path(folder, ".1", rotated);
    assert_int_equal(chmod(rotated, 0), 0);
    maillog_folder_append(folder, "", "two\n");
    assert_int_equal(chmod(folder->log, 0644), 0);
    assert_int_equal(root ? seteuid(65534) : 0, 0);
    expect_later(&reader, "two ");
    assert_int_equal(root ? seteuid(0) : 0, 0);
    assert_int_equal(logged.errors, 0);
    maillog_folder_rename(folder, ".1", ".3");
    maillog_folder_rename(folder, "", ".2");
    maillog_folder_append(folder, ".1", "three\n");
    assert_int_equal(chmod(rotated, 0), 0);
    maillog_folder_append(folder, "", "four\n");
    assert_int_equal(chmod(folder->log, 0), 0);
    assert_int_equal(root ? seteuid(65534) : 0, 0);
    expect_later(&reader, "");
    expect_later(&reader, "");
    assert_int_equal(root ? seteuid(0) : 0, 0);
    assert_int_equal(logged.errors, 1); /* once, and they are waited for */
    assert_int_equal(chmod(rotated, 0644), 0);
    assert_int_equal(chmod(folder->log, 0644), 0);
    expect_later(&reader, "three ");
    expect_later(&reader, "four ");
    assert_int_equal(state_of(&reader).lost_files, 0);
    maillog_file_free(reader.file);
}

static void what_is_no_file_is_told(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;
    struct maillog_file_options options = {.path = folder->log};
    struct error error = {""};

    assert_int_equal(mkfifo(folder->log, 0600), 0);
    reader = follow_log(folder);
    expect_later(&reader, "");
    assert_non_null(strstr(logged.last, "not a regular file"));
    maillog_file_free(reader.file);
    assert_null(maillog_file_new(&options, &error));
    assert_non_null(strstr(error.text, folder->log));
}

static void a_damaged_file_gives_what_it_has_and_is_told(void **state)
{
    const struct maillog_folder *folder = *state;
    struct maillog_writer writer;
    struct maillog_line line;
    struct reader reader;
    struct stat status;
    char path[256];
    int count = 0;

    maillog_writer_open(&writer, folder, 1);
    maillog_writer_add(&writer, 5000);
    maillog_writer_settle(&writer);
    maillog_writer_close(&writer);
    reader = follow_log(folder);
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
    maillog_folder_rename(folder, "", ".1");
    maillog_folder_compress(folder, "gzip", ".1");
    maillog_folder_path(folder, ".1.gz", path);
    assert_int_equal(stat(path, &status), 0);
    maillog_folder_truncate(folder, ".1.gz", (long)status.st_size - 1000);
    maillog_folder_append(folder, "", "last\n");
    restart(&reader, folder);
    while (next(&reader, &line) == MAILLOG_SOURCE_LINE) {
        assert_int_equal(maillog_writer_number(line.text), ++count);
    }
    assert_true(count > 1000);
    expect_later(&reader, "last ");
    assert_int_equal(state_of(&reader).lost_files, 1);
    assert_int_equal(logged.errors, 1);
    maillog_file_free(reader.file);
}

/* What the format's own program can read of it, or more. */
static int lines_of(const char *program, const char *path)
{
    char command[600];
    FILE *pipe;
    int count = -1;

    (void)snprintf(command, sizeof command, "%s -dc '%s' 2>/dev/null | wc -l",
                   program, path);
    pipe = popen(command, "re");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    (void)pclose(pipe);
    return count;
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+e");
    int byte;

    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 0x55, file), byte ^ 0x55);
    assert_int_equal(fclose(file), 0);
}

static void every_whole_line_before_damage_is_given(void **state)
{
    static const struct {
        const char *program, *suffix;
        int unharmed; /* at least, when the last quarter is: of one block here
                         bzip2 has nothing */
    } formats[] = {{"gzip", ".gz", 20000},
                   {"xz", ".xz", 20000},
                   {"zstd", ".zst", 20000},
                   {"bzip2", ".bz2", 0}};
    const struct maillog_folder *folder = *state;

    for (size_t i = 0; i < 2 * sizeof formats / sizeof formats[0]; i++) {
        const char *program = formats[i / 2].program;
        char name[20];
        char path[256];
        struct maillog_writer writer;
        struct maillog_line line;
        struct reader reader;
        struct stat status;
        int count = 0;

        maillog_writer_open(&writer, folder, 1);
        writer.next = 0;
        maillog_writer_add(&writer, 30000);
        maillog_writer_settle(&writer);
        maillog_writer_close(&writer);
        (void)snprintf(name, sizeof name, ".%zu", i);
        maillog_folder_rename(folder, "", name);
        maillog_folder_compress(folder, program, name);
        (void)snprintf(name, sizeof name, ".%zu%s", i, formats[i / 2].suffix);
        maillog_folder_path(folder, name, path);
        assert_int_equal(stat(path, &status), 0);
        if (i % 2 == 0) {
            maillog_folder_truncate(folder, name, (long)status.st_size - 3);
        } else {
            flip(path, (long)status.st_size * 3 / 4);
        }
        reader = read_log(folder, name, false, true);
        while (next(&reader, &line) == MAILLOG_SOURCE_LINE &&
               maillog_writer_number(line.text) == count) {
            count++;
        }
        while (next(&reader, &line) == MAILLOG_SOURCE_LINE) {
        }
        if (count <
            (i % 2 == 0 ? lines_of(program, path) : formats[i / 2].unharmed)) {
            fail_msg("%s: %d lines", name, count);
        }
        assert_int_equal(state_of(&reader).lost_files, 1);
        assert_non_null(strstr(logged.last, path));
        assert_non_null(strstr(logged.last, " at byte "));
        maillog_file_free(reader.file);
    }
}

static void a_file_that_is_still_being_compressed_is_waited_for(void **state)
{
    const struct maillog_folder *folder = *state;
    struct maillog_writer writer;
    struct maillog_line line;
    struct reader reader;
    struct stat status;
    char path[256];
    int count = 0;

    maillog_writer_open(&writer, folder, 1);
    maillog_writer_add(&writer, 5000);
    maillog_writer_settle(&writer);
    maillog_writer_close(&writer);
    reader = follow_log(folder);
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
    maillog_folder_rename(folder, "", ".1");
    maillog_folder_compress(folder, "gzip", ".1");
    maillog_folder_rename(folder, ".1.gz", "other");
    maillog_folder_copy(folder, "other", ".1.gz");
    maillog_folder_path(folder, ".1.gz", path);
    assert_int_equal(stat(path, &status), 0);
    maillog_folder_truncate(folder, ".1.gz", (long)status.st_size / 2);
    maillog_folder_path(folder, "other", path);
    restart(&reader, folder);
    while (next(&reader, &line) == MAILLOG_SOURCE_LINE) {
        assert_int_equal(maillog_writer_number(line.text), ++count);
    }
    maillog_folder_truncate(folder, ".1.gz", 0);
    maillog_folder_copy(folder, "other", ".1.gz");
    reader.now_ms += MAILLOG_FILE_QUIET_MS;
    while (next(&reader, &line) == MAILLOG_SOURCE_LINE) {
        assert_int_equal(maillog_writer_number(line.text), ++count);
    }
    assert_int_equal(count, 4999);
    assert_int_equal(logged.errors, 0);
    maillog_file_free(reader.file);
}

static void
a_compressed_file_that_is_too_short_is_not_the_positions(void **state)
{
    const struct maillog_folder *folder = *state;
    struct maillog_position position;
    struct reader reader;

    maillog_folder_append(folder, "", "one\ntwo\n");
    reader = follow_log(folder);
    expect(&reader, "one two ");
    assert_true(maillog_position_parse(reader.position, &position));
    position.offset += 1000;
    (void)maillog_position_format(&position, reader.position);
    maillog_folder_rename(folder, "", ".1");
    maillog_folder_compress(folder, "gzip", ".1");
    maillog_folder_append(folder, "", "three\n");
    restart(&reader, folder);
    expect_later(&reader, "three ");
    assert_int_equal(state_of(&reader).lost_files, 1);
    assert_int_equal(logged.errors, 1);
    maillog_file_free(reader.file);
}

static void a_long_line_is_given_cut_and_its_rest_passed_over(void **state)
{
    static const size_t lengths[] = {MAILLOG_LINE_MAX - 1,
                                     MAILLOG_LINE_MAX,
                                     MAILLOG_LINE_MAX + 1,
                                     262143,
                                     262144,
                                     262145,
                                     1000000};
    const struct maillog_folder *folder = *state;
    char *bytes = malloc(1000000);
    struct maillog_line line;
    struct reader reader;

    assert_non_null(bytes);
    memset(bytes, 'l', 1000000);
    reader = follow_log(folder);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        bool cut = lengths[i] > MAILLOG_LINE_MAX;

        maillog_folder_append_bytes(folder, "", bytes, lengths[i]);
        expect(&reader, "");
        maillog_folder_append(folder, "", "\nnext\n");
        assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
        assert_int_equal(line.text.length, cut ? MAILLOG_LINE_MAX : lengths[i]);
        assert_int_equal(line.cut, cut);
        assert_memory_equal(line.text.bytes, bytes, line.text.length);
        restart(&reader, folder);
        expect(&reader, "next ");
    }
    free(bytes);
    maillog_file_free(reader.file);
}

static void nul_bytes_are_passed_on_but_not_the_hole_in_front(void **state)
{
    const struct maillog_folder *folder = *state;
    struct maillog_line line;
    struct reader reader;

    maillog_folder_append_bytes(folder, "", "a\0b\n\0\0\n", 7);
    reader = follow_log(folder);
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
    assert_int_equal(line.text.length, 3);
    assert_memory_equal(line.text.bytes, "a\0b", 3);
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
    assert_int_equal(line.text.length, 0);
    /* what a writer without O_APPEND makes after a truncation */
    maillog_folder_truncate(folder, "", 1000007);
    maillog_folder_append_bytes(folder, "", "x\0y\n", 4);
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_LINE);
    assert_int_equal(line.text.length, 3);
    assert_memory_equal(line.text.bytes, "x\0y", 3);
    assert_false(line.cut);
    maillog_file_free(reader.file);
}

static void an_empty_file_between_others_is_passed_by(void **state)
{
    const struct maillog_folder *folder = *state;
    struct reader reader;

    maillog_folder_append(folder, "", "one\n");
    reader = follow_log(folder);
    expect(&reader, "one ");
    maillog_folder_rename(folder, "", ".2");
    maillog_folder_append(folder, ".1", "");
    maillog_folder_append(folder, "", "");
    expect_later(&reader, "");
    /* nothing is known of the empty one that is open, so it cannot be found */
    maillog_folder_compress(folder, "xz", ".1");
    maillog_folder_touch(folder, ".2", 2000000000);
    maillog_folder_append(folder, "", "two\n");
    expect_later(&reader, "two ");
    assert_int_equal(logged.errors, 0);
    maillog_file_free(reader.file);
}

static void without_follow_the_last_line_needs_no_newline(void **state)
{
    const struct maillog_folder *folder = *state;
    struct maillog_line line;
    struct reader reader;

    maillog_folder_append(folder, ".1", "old\n");
    maillog_folder_append(folder, "", "one\ntwo");
    reader = read_log(folder, "", false, true);
    expect(&reader, "one two ");
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_END);
    maillog_file_free(reader.file);
    maillog_folder_compress(folder, "gzip", "");
    reader = read_log(folder, ".gz", false, true);
    expect(&reader, "one two ");
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_END);
    maillog_file_free(reader.file);
}

static void an_empty_file_may_be_compressed_too(void **state)
{
    static const char *const programs[] = {"gzip", "xz", "zstd", "bzip2"};
    static const char *const names[] = {".gz", ".xz", ".zst", ".bz2"};
    const struct maillog_folder *folder = *state;
    struct maillog_line line;

    for (size_t i = 0; i < 4; i++) {
        struct reader reader;

        maillog_folder_append(folder, "", "");
        maillog_folder_compress(folder, programs[i], "");
        reader = read_log(folder, names[i], false, true);
        assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_END);
        assert_int_equal(logged.errors, 0);
        maillog_file_free(reader.file);
    }
}

/* As pzstd(1) begins each of its frames: RFC 8878 3.1.2. */
static void a_frame_to_be_skipped_may_come_first(void **state)
{
    static const char skipped[] = "\x50\x2a\x4d\x18\x04\0\0\0wxyz";
    const struct maillog_folder *folder = *state;
    struct maillog_line line;
    char bytes[400], path[256];
    struct reader reader;
    FILE *file;
    size_t length;

    maillog_folder_append(folder, "", "one\ntwo\n");
    maillog_folder_compress(folder, "zstd", "");
    maillog_folder_path(folder, ".zst", path);
    file = fopen(path, "re");
    assert_non_null(file);
    length = fread(bytes, 1, sizeof bytes, file);
    assert_int_equal(fclose(file), 0);
    for (int i = 0; i < 2; i++) {
        maillog_folder_append_bytes(folder, "", skipped, sizeof skipped - 1);
        maillog_folder_append_bytes(folder, "", bytes, length);
    }
    reader = read_log(folder, "", false, true);
    expect(&reader, "one two one two ");
    assert_int_equal(next(&reader, &line), MAILLOG_SOURCE_END);
    assert_int_equal(logged.errors, 0);
    maillog_file_free(reader.file);
}

static void take_numbers(struct reader *reader, int *wanted, int limit)
{
    struct maillog_line line;

    for (int i = 0; i < limit; i++) {
        if (next(reader, &line) != MAILLOG_SOURCE_LINE) {
            return;
        }
        assert_int_equal(maillog_writer_number(line.text), *wanted);
        ++*wanted;
    }
}

static void follow_writer(const struct maillog_folder *folder, unsigned seed)
{
    struct maillog_writer writer;
    struct reader reader;
    int wanted = 0;

    maillog_writer_open(&writer, folder, seed);
    writer.dates = seed % 2 == 1;
    writer.truncates = seed % 4 >= 2;
    maillog_writer_add(&writer, 2);
    reader = follow_log(folder);
    take_numbers(&reader, &wanted, 1);
    for (int step = 0; step < STEPS; step++) {
        maillog_writer_step(&writer);
        /* who holds an old file writes to it at least every two seconds */
        reader.now_ms += maillog_writer_random(&writer, writer.late ? 5 : 4000);
        if (maillog_writer_random(&writer, 3) == 0) {
            take_numbers(&reader, &wanted,
                         (int)maillog_writer_random(&writer, 60));
        }
        if (maillog_writer_random(&writer, 6) == 0) {
            restart(&reader, folder);
        }
    }
    maillog_writer_settle(&writer);
    maillog_writer_add(&writer, 1);
    maillog_writer_settle(&writer);
    for (int i = 0; i < 20 && wanted < writer.next; i++) {
        reader.now_ms += MAILLOG_FILE_QUIET_MS + MAILLOG_FILE_CHECK_MS;
        take_numbers(&reader, &wanted, 1000000);
    }
    assert_int_equal(wanted, writer.next);
    assert_int_equal(logged.errors, 0);
    maillog_file_free(reader.file);
    maillog_writer_close(&writer);
}

static void every_line_is_given_once_and_in_order_whatever_happens(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        void *folder;

        assert_int_equal(maillog_folder_make(&folder), 0);
        follow_writer(folder, seed);
        assert_int_equal(maillog_folder_remove(&folder), 0);
    }
}

int main(void)
{
#define IN_FOLDER(name)                                                        \
    cmocka_unit_test_setup_teardown(name, maillog_folder_make,                 \
                                    maillog_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(lines_are_given_when_they_are_complete),
        IN_FOLDER(a_file_that_is_not_there_yet_is_waited_for),
        IN_FOLDER(without_a_position_reading_begins_at_the_end),
        IN_FOLDER(a_renamed_file_is_read_until_it_is_quiet),
        IN_FOLDER(rotations_while_nobody_read_are_read_in_order),
        IN_FOLDER(whole_lines_before_a_position_are_given_again),
        IN_FOLDER(the_positions_file_is_found_compressed),
        IN_FOLDER(a_file_compressed_while_it_is_read_is_not_read_again),
        IN_FOLDER(a_file_before_a_position_is_found_by_its_first_line),
        IN_FOLDER(each_line_begins_where_the_one_before_ended),
        IN_FOLDER(a_copy_made_before_a_truncation_is_read_to_its_end),
        IN_FOLDER(a_truncated_file_without_a_copy_is_read_from_its_beginning),
        IN_FOLDER(an_inode_that_is_used_again_is_another_file),
        IN_FOLDER(a_lost_file_is_told_and_reading_goes_on_behind_it),
        IN_FOLDER(a_lost_file_with_no_other_there_is_waited_for),
        IN_FOLDER(a_deleted_file_is_read_as_long_as_it_is_written),
        IN_FOLDER(a_file_moved_to_another_disk_is_known_by_what_it_begins_with),
        IN_FOLDER(the_log_may_be_a_link_that_is_set_anew),
        IN_FOLDER(a_file_that_may_not_be_read_is_told_once_and_tried_again),
        IN_FOLDER(files_that_may_not_be_read_any_more_are_no_loss),
        IN_FOLDER(what_is_no_file_is_told),
        IN_FOLDER(a_damaged_file_gives_what_it_has_and_is_told),
        IN_FOLDER(every_whole_line_before_damage_is_given),
        IN_FOLDER(a_file_that_is_still_being_compressed_is_waited_for),
        IN_FOLDER(a_compressed_file_that_is_too_short_is_not_the_positions),
        IN_FOLDER(a_long_line_is_given_cut_and_its_rest_passed_over),
        IN_FOLDER(nul_bytes_are_passed_on_but_not_the_hole_in_front),
        IN_FOLDER(an_empty_file_between_others_is_passed_by),
        IN_FOLDER(without_follow_the_last_line_needs_no_newline),
        IN_FOLDER(an_empty_file_may_be_compressed_too),
        IN_FOLDER(a_frame_to_be_skipped_may_come_first),
        cmocka_unit_test(
            every_line_is_given_once_and_in_order_whatever_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
