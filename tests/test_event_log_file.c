#include "clock.h"
#include "event_files.h"
#include "event_log.h"
#include "event_log_place.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static void a_torn_tail_costs_only_its_line(void **state)
{
    struct place *place = *state;
    off_t whole;
    off_t begin;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    begin = file_size(place->event_log);
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    whole = file_size(place->event_log);
    place_stop(place);
    for (off_t cut = whole - 1; cut > begin; cut--) {
        struct reading reading;
        size_t count = cut == whole - 1 ? 4 : 3;

        assert_int_equal(truncate(place->event_log, cut), 0);
        place_start(place);
        assert_int_equal(place_append(place, 3), EVENT_LOG_WRITTEN);
        place_read(place, &reading);
        /* only the newline was missing: then the line is whole */
        assert_int_equal(reading.torn, cut == whole - 1 ? 0 : 1);
        assert_int_equal(reading.count, count);
        assert_int_equal(reading.record[count - 1].name, 3);
        free(reading.record);
        place_stop(place);
    }
}

static void a_tail_of_nuls_is_passed_over(void **state)
{
    struct place *place = *state;
    char *nuls = calloc(1, 1000000);
    int64_t last;

    assert_non_null(nuls);
    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    last = event_log_last_seq(place->log);
    place_stop(place);
    file_write(place->event_log, nuls, 1000000, "ae");
    place_start(place);
    assert_int_equal(event_log_last_seq(place->log), last);
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 2, 1);
    free(nuls);
}

static void a_file_that_is_not_ours_is_set_aside(void **state)
{
    struct place *place = *state;
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
        {"garbage\n", 8},   {"{\"seq\":1}\n", 10}, {"\0\0\0\0", 4},
        {"no newline", 10}, {"\x1f\x8b", 2},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reading reading;
        char path[320];

        file_write(place->event_log, rows[i].bytes, rows[i].length, "we");
        place_start(place);
        assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
        place_read(place, &reading);
        assert_int_equal(reading.other_files, i + 1); /* nothing replaced */
        assert_int_equal(reading.files, i + 1);
        assert_int_equal(reading.record[reading.count - 1].name, 1);
        assert_int_equal(reading.torn, 0);
        free(reading.record);
        place_stop(place);
        (void)snprintf(path, sizeof path, "%s.%zu", place->event_log, i);
        assert_int_equal(rename(place->event_log, path), 0);
    }
}

static void an_empty_file_is_used(void **state)
{
    struct place *place = *state;
    ino_t inode;

    file_write(place->event_log, "", 0, "we");
    inode = file_inode(place->event_log);
    place_start(place);
    assert_int_equal(file_inode(place->event_log), inode);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 1, 0);
}

static void a_lost_state_directory_begins_another_file(void **state)
{
    struct place *place = *state;
    struct reading reading;
    char path[320];
    int64_t last;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    last = event_log_last_seq(place->log);
    place_stop(place);
    (void)snprintf(path, sizeof path, "%s/instance", place->state);
    assert_int_equal(unlink(path), 0);
    place_start(place);
    place_read(place, &reading);
    assert_int_equal(reading.files, 1);
    assert_int_equal(reading.other_files, 1);
    assert_int_equal(reading.record[0].file_number, 1);
    assert_true(reading.record[0].seq > last);
    free(reading.record);
}

static void an_older_file_of_ours_is_not_continued(void **state)
{
    struct place *place = *state;
    struct event_files files;
    struct error error = {""};

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    assert_true(event_log_rotate(place->log, &error));
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    place_stop(place);
    assert_true(event_files_list(place->event_log, &files, &error));
    assert_int_equal(files.count, 2);
    /* somebody swaps the two */
    assert_int_equal(syscall(SYS_renameat2, AT_FDCWD, files.file[0].path,
                             AT_FDCWD, files.file[1].path, 2U),
                     0);
    event_files_free(&files);
    place_start(place);
    assert_int_equal(place_append(place, 3), EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 3, 0);
}

/* The recorder would take the new file for the next one: no hole. */
static void a_removed_file_s_number_is_not_given_again(void **state)
{
    struct place *place = *state;
    struct event_log_state now;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    place_stop(place);
    assert_int_equal(unlink(place->event_log), 0);
    place_start(place);
    event_log_state(place->log, &now);
    assert_int_equal(now.file_number, 2);
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    place_expect_names(place, 2, 2, 0);
}

static void an_older_file_is_not_continued_when_the_newest_is_gone(void **state)
{
    struct place *place = *state;
    struct event_files files;
    struct event_log_state now;
    struct error error;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    assert_true(event_log_rotate(place->log, &error));
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    place_stop(place);
    assert_int_equal(unlink(place->event_log), 0);
    assert_true(event_files_list(place->event_log, &files, &error));
    assert_int_equal(files.count, 1);
    /* somebody puts an old one back */
    assert_int_equal(rename(files.file[0].path, place->event_log), 0);
    event_files_free(&files);
    place_start(place);
    event_log_state(place->log, &now);
    assert_int_equal(now.file_number, 3);
}

static void
numbers_go_above_the_log_when_an_older_state_is_restored(void **state)
{
    struct place *place = *state;
    char path[320];
    char text[512];
    size_t length;
    FILE *file;
    int64_t ahead;

    place_start(place);
    (void)snprintf(path, sizeof path, "%s/instance", place->state);
    file = fopen(path, "re");
    assert_non_null(file);
    length = fread(text, 1, sizeof text, file);
    assert_int_equal(fclose(file), 0);
    ahead = event_log_last_seq(place->log) + 3600 * INT64_C(1000000);
    event_log_seen_seq(place->log, ahead); /* the clock does not help */
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    assert_int_equal(event_log_last_seq(place->log), ahead + 1);
    place_stop(place);
    file_write(path, text, length, "we");
    place_start(place);
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 2, 0);
    /* also when only a renamed file tells it */
    place_stop(place);
    (void)snprintf(text + length, sizeof text - length, "%s.old",
                   place->event_log);
    assert_int_equal(rename(place->event_log, text + length), 0);
    file_write(path, text, length, "we");
    place_start(place);
    assert_int_equal(place_append(place, 3), EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 3, 0);
}

/* The path of the file that is not the current one: new. */
static char *renamed_path(const struct place *place)
{
    struct event_files files;
    struct error error = {""};
    char *path = NULL;

    assert_true(event_files_list(place->event_log, &files, &error));
    for (size_t i = 0; i < files.count; i++) {
        if (strcmp(files.file[i].path, place->event_log) != 0) {
            free(path);
            path = strdup(files.file[i].path);
        }
    }
    event_files_free(&files);
    assert_non_null(path);
    return path;
}

static void a_rotated_file_is_named_by_time_and_number(void **state)
{
    struct place *place = *state;
    struct event_log_state now;
    char timestamp[CLOCK_TIMESTAMP_SIZE];
    char *path;
    const char *suffix;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    place_rotate(place);
    event_log_state(place->log, &now);
    assert_int_equal(now.file_number, 2);
    assert_int_equal(now.rotations, 1);
    path = renamed_path(place);
    suffix = path + strlen(place->event_log);
    clock_format(clock_now_us(), timestamp);
    assert_int_equal(strlen(suffix), strlen(".20261102T194301Z.1"));
    assert_memory_equal(suffix + 1, timestamp, 4); /* but for New Year's Eve */
    assert_int_equal(suffix[9], 'T');
    assert_string_equal(suffix + 16, "Z.1");
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 2, 0);
    free(path);
}

static void a_file_without_events_is_not_rotated(void **state)
{
    struct place *place = *state;
    static const enum event_type types[] = {
        EVENT_HEARTBEAT,
        EVENT_GAP,
        EVENT_STORE_DEGRADED,
        EVENT_STORE_RECOVERED,
    };
    ino_t inode;

    place_start(place);
    inode = file_inode(place->event_log);
    place_rotate(place);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct event event;

        event_init(&event, types[i], 1);
        assert_int_equal(event_log_append(place->log, &event),
                         EVENT_LOG_WRITTEN);
        place_rotate(place);
    }
    place_restart(place);
    place_rotate(place);
    assert_int_equal(file_inode(place->event_log), inode);
    assert_int_equal(place_append_event(place->log, EVENT_ALLOW_ADDED, 1, NULL),
                     EVENT_LOG_WRITTEN);
    place_restart(place);
    place_rotate(place);
    assert_int_not_equal(file_inode(place->event_log), inode);
}

static void a_rotation_replaces_no_file(void **state)
{
    struct place *place = *state;

    for (int kernel = 0; kernel < 2; kernel++) {
        char names[5][320];
        char *free_name;
        int again = 0;

        disk.old_kernel = kernel == 1;
        place_start(place);
        assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
        for (int64_t second = 0; second < 5; second++) {
            char timestamp[CLOCK_TIMESTAMP_SIZE];
            char *name = names[second];
            size_t used = (size_t)snprintf(name, 300, "%s.", place->event_log);

            clock_format(clock_now_us() + second * 1000000, timestamp);
            for (const char *at = timestamp; *at != '.'; at++) {
                if (*at != '-' && *at != ':') {
                    name[used++] = *at;
                }
            }
            (void)snprintf(name + used, 16, "Z.%d", kernel + 1);
            file_write(name, "taken", 5, "we");
        }
        place_rotate(place);
        for (int second = 0; second < 5; second++) {
            assert_int_equal(file_size(names[second]), 5);
            assert_true(asprintf(&free_name, "%s.1", names[second]) > 0);
            again += access(free_name, F_OK) == 0;
            free(free_name);
        }
        assert_int_equal(again, 1);
        assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
        place_stop(place);
    }
}

static void a_file_system_without_no_replace_rotates_too(void **state)
{
    struct place *place = *state;

    disk.old_kernel = true;
    place_start(place);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(place_append(place, i), EVENT_LOG_WRITTEN);
        place_rotate(place);
    }
    place_expect_names(place, 1, 5, 0);
}

static void a_file_renamed_behind_our_back_is_left(void **state)
{
    struct place *place = *state;
    char path[320];

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    (void)snprintf(path, sizeof path, "%s.1", place->event_log);
    assert_int_equal(rename(place->event_log, path), 0);
    assert_int_equal(place_append(place, 2),
                     EVENT_LOG_WRITTEN); /* not noticed yet */
    event_log_tick(place->log);
    assert_int_equal(place_append(place, 3), EVENT_LOG_WRITTEN);
    assert_true(file_size(place->event_log) > 1024);
    /* the same, told by SIGUSR1 before the tick: not renamed twice */
    (void)snprintf(path, sizeof path, "%s.2", place->event_log);
    assert_int_equal(rename(place->event_log, path), 0);
    place_rotate(place);
    event_log_tick(place->log);
    assert_int_equal(place_append(place, 4), EVENT_LOG_WRITTEN);
    assert_true(file_size(path) > 1024);
    place_expect_names(place, 1, 4, 0);
}

static void
what_stands_at_the_path_is_used_if_empty_else_set_aside(void **state)
{
    struct place *place = *state;
    struct reading reading;
    char path[320];
    ino_t inode;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    (void)snprintf(path, sizeof path, "%s.1", place->event_log);
    assert_int_equal(rename(place->event_log, path), 0);
    file_write(place->event_log, "", 0, "we");
    inode = file_inode(place->event_log);
    event_log_tick(place->log);
    assert_int_equal(file_inode(place->event_log), inode);
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    (void)snprintf(path, sizeof path, "%s.2", place->event_log);
    assert_int_equal(rename(place->event_log, path), 0);
    file_write(place->event_log, "hello\n", 6, "we");
    event_log_tick(place->log);
    assert_int_equal(place_append(place, 3), EVENT_LOG_WRITTEN);
    place_read(place, &reading);
    assert_int_equal(reading.files, 3);
    assert_int_equal(reading.other_files, 1);
    free(reading.record);
    place_expect_names(place, 1, 3, 0);
}

static void a_deleted_file_is_followed_by_another(void **state)
{
    struct place *place = *state;
    int64_t number = 0;
    int fd;
    struct stat status;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    assert_int_equal(unlink(place->event_log), 0);
    fd = event_log_dup(place->log, &number); /* still readable */
    assert_true(fd >= 0);
    assert_int_equal(number, 1);
    assert_int_equal(fstat(fd, &status), 0);
    assert_true(status.st_size > 1024);
    (void)close(fd);
    event_log_tick(place->log);
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    place_expect_names(place, 2, 2, 0);
}

static void a_removed_folder_stops_nothing(void **state)
{
    struct place *place = *state;
    struct error error = {""};
    char away[128];

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    (void)snprintf(away, sizeof away, "%s/away", place->path);
    assert_int_equal(rename(place->logs, away), 0);
    event_log_tick(place->log);
    event_log_tick(place->log);
    assert_false(event_log_rotate(place->log, &error));
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    assert_int_equal(mkdir(place->logs, 0700), 0);
    event_log_tick(place->log);
    assert_int_equal(place_append(place, 3), EVENT_LOG_WRITTEN);
    place_expect_names(place, 3, 3, 0);
    place_stop(place);
    /* and what was written meanwhile is where the folder went */
    (void)snprintf(place->event_log, sizeof place->event_log, "%s/events.jsonl",
                   away);
    place_start(place);
    place_expect_names(place, 1, 2, 0);
    place_stop(place);
    place_empty_folder(away);
}

int main(void)
{
#define ROW(test)                                                              \
    cmocka_unit_test_setup_teardown(test, place_make, place_remove)
    const struct CMUnitTest tests[] = {
        ROW(a_torn_tail_costs_only_its_line),
        ROW(a_tail_of_nuls_is_passed_over),
        ROW(a_file_that_is_not_ours_is_set_aside),
        ROW(an_empty_file_is_used),
        ROW(a_lost_state_directory_begins_another_file),
        ROW(an_older_file_of_ours_is_not_continued),
        ROW(a_removed_file_s_number_is_not_given_again),
        ROW(an_older_file_is_not_continued_when_the_newest_is_gone),
        ROW(numbers_go_above_the_log_when_an_older_state_is_restored),
        ROW(a_rotated_file_is_named_by_time_and_number),
        ROW(a_file_without_events_is_not_rotated),
        ROW(a_rotation_replaces_no_file),
        ROW(a_file_system_without_no_replace_rotates_too),
        ROW(a_file_renamed_behind_our_back_is_left),
        ROW(what_stands_at_the_path_is_used_if_empty_else_set_aside),
        ROW(a_deleted_file_is_followed_by_another),
        ROW(a_removed_folder_stops_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
