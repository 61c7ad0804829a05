#include "event_json.h"
#include "event_log.h"
#include "event_log_place.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- beginning and appending ---- */

static void a_file_begins_with_a_long_record_of_its_own(void **state)
{
    struct place *place = *state;
    char first[2][EVENT_LINE_MAX];
    struct reading reading;
    struct stat status;

    for (int i = 0; i < 2; i++) {
        FILE *file;

        place_start(place);
        file = fopen(place->event_log, "re");
        assert_non_null(file);
        assert_non_null(fgets(first[i], sizeof first[i], file));
        assert_int_equal(fclose(file), 0);
        assert_true(strlen(first[i]) > 1024);
        assert_int_equal(stat(place->event_log, &status), 0);
        assert_int_equal(status.st_mode & 0137, 0);
        place_read(place, &reading);
        assert_int_equal(reading.count, 1);
        assert_int_equal(reading.record[0].type, EVENT_LOG_OPEN);
        assert_int_equal(reading.record[0].file_number, i + 1);
        assert_int_equal(reading.record[0].seq, event_log_last_seq(place->log));
        free(reading.record);
        place_stop(place);
        assert_int_equal(unlink(place->event_log), 0);
    }
    assert_memory_not_equal(first[0], first[1], 256);
}

static void an_append_is_one_line_in_the_file(void **state)
{
    struct place *place = *state;
    char line[EVENT_LINE_MAX];
    struct event event;
    struct event read;
    struct event_json *json;
    FILE *file;

    place_start(place);
    event_init(&event, EVENT_REJECTION, INT64_C(1700000000123456));
    event.recipient = text_of("ann@example.org");
    assert_int_equal(event_log_append(place->log, &event), EVENT_LOG_WRITTEN);
    assert_int_equal(event.seq, event_log_last_seq(place->log));
    file = fopen(place->event_log, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_non_null(fgets(line, sizeof line, file));
    json = event_json_decode(line, strlen(line) - 1, &read, NULL);
    assert_non_null(json);
    assert_int_equal(read.seq, event.seq);
    assert_int_equal(read.timestamp_us, event.timestamp_us);
    assert_string_equal(read.event_id, event.event_id);
    assert_true(text_is(read.node, "mx1.example.org"));
    assert_true(text_is(read.instance, instance_id(place->instance)));
    assert_true(text_is(read.recipient, "ann@example.org"));
    /* 1700000000123 ms, version 7, variant 10 */
    assert_memory_equal(event.event_id, "018bcfe5-687b-7", 15);
    assert_non_null(strchr("89ab", event.event_id[19]));
    assert_null(fgets(line, sizeof line, file));
    assert_int_equal(fclose(file), 0);
    event_json_free(json);
}

static void event_ids_differ(void **state)
{
    struct place *place = *state;
    enum { COUNT = 500 };
    struct event events[COUNT];

    place_start(place);
    for (size_t i = 0; i < COUNT; i++) {
        event_init(&events[i], EVENT_RECEPTION, 1);
    }
    assert_int_equal(event_log_append_all(place->log, events, COUNT),
                     EVENT_LOG_WRITTEN);
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(events[i].event_id, events[j].event_id);
        }
    }
}

static void append_all_gives_consecutive_numbers(void **state)
{
    struct place *place = *state;
    enum { COUNT = 1000 };
    struct event *events = calloc(COUNT, sizeof *events);
    char names[COUNT][24];

    assert_non_null(events);
    place_start(place);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "%d@example.org", i);
        event_init(&events[i], EVENT_RECEPTION, 1);
        events[i].recipient = text_of(names[i]);
    }
    assert_int_equal(event_log_append_all(place->log, events, COUNT),
                     EVENT_LOG_WRITTEN);
    for (int i = 1; i < COUNT; i++) {
        assert_int_equal(events[i].seq, events[0].seq + i);
    }
    assert_int_equal(event_log_append_all(place->log, events, 0),
                     EVENT_LOG_WRITTEN);
    place_expect_names(place, 0, COUNT - 1, 0);
    free(events);
}

static void a_restart_goes_on_in_the_same_file(void **state)
{
    struct place *place = *state;
    ino_t inode;
    int64_t last;

    place_start(place);
    inode = file_inode(place->event_log);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    last = event_log_last_seq(place->log);
    place_restart(place);
    assert_int_equal(file_inode(place->event_log), inode);
    assert_int_equal(event_log_last_seq(place->log), last);
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 2, 0);
}

static void a_missing_folder_is_an_error(void **state)
{
    struct place *place = *state;
    struct error error = {""};

    assert_int_equal(rmdir(place->logs), 0);
    assert_false(place_try_start(place, &error));
    assert_non_null(strstr(error.text, place->logs));
}

static void a_path_to_no_regular_file_is_an_error(void **state)
{
    struct place *place = *state;
    struct error error = {""};

    assert_int_equal(symlink("elsewhere", place->event_log), 0);
    assert_false(place_try_start(place, &error));
    assert_non_null(strstr(error.text, "no regular file"));
}

/* ---- to the disk ---- */

static void interval_syncs_in_the_tick_only(void **state)
{
    struct place *place = *state;

    place->sync = EVENT_LOG_SYNC_INTERVAL;
    place_start(place);
    event_log_tick(place->log);
    disk.syncs = 0;
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    assert_int_equal(disk.syncs, 0);
    event_log_tick(place->log);
    assert_int_equal(disk.syncs, 1);
    event_log_tick(place->log);
    assert_int_equal(disk.syncs, 1);
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    place_rotate(place); /* the old file is on disk before it is left */
    assert_true(disk.syncs > 1);
    place_stop(place);
    place->sync = EVENT_LOG_SYNC_OFF;
    place_start(place);
    disk.syncs = 0;
    assert_int_equal(place_append(place, 3), EVENT_LOG_WRITTEN);
    event_log_tick(place->log);
    place_rotate(place);
    assert_int_equal(disk.syncs, 0);
}

static void group_syncs_before_append_returns(void **state)
{
    struct place *place = *state;
    struct event events[10];

    place->sync = EVENT_LOG_SYNC_GROUP;
    place_start(place);
    event_log_tick(place->log);
    for (int i = 1; i <= 3; i++) {
        disk.syncs = 0;
        assert_int_equal(place_append(place, i), EVENT_LOG_WRITTEN);
        assert_int_equal(disk.syncs, 1);
    }
    for (size_t i = 0; i < 10; i++) {
        event_init(&events[i], EVENT_RECEPTION, 1);
    }
    disk.syncs = 0;
    assert_int_equal(event_log_append_all(place->log, events, 10),
                     EVENT_LOG_WRITTEN);
    assert_int_equal(disk.syncs, 1);
}

static void a_failed_sync_is_told_and_begins_another_file(void **state)
{
    struct place *place = *state;
    ino_t inode;

    place->sync = EVENT_LOG_SYNC_GROUP;
    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    inode = file_inode(place->event_log);
    disk.sync_error = EIO;
    assert_int_equal(place_append(place, 2), EVENT_LOG_HELD);
    assert_int_not_equal(file_inode(place->event_log), inode);
    inode = file_inode(place->event_log);
    assert_int_equal(place_append(place, 3), EVENT_LOG_HELD);
    event_log_tick(place->log);
    /* not one file a second */
    assert_int_equal(file_inode(place->event_log), inode);
    disk.sync_error = 0;
    assert_int_equal(place_append(place, 4), EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 4, 0);
}

/* ---- threads ---- */

struct worker {
    pthread_t thread;
    struct place *place;
    int number;
    int count;
    _Atomic bool *stop; /* NULL: until count */
    int64_t *seqs;
    int done;
};

static void *append_many(void *argument)
{
    struct worker *worker = argument;

    while (worker->done < worker->count &&
           (worker->stop == NULL || !*worker->stop)) {
        int64_t seq;
        enum event_log_result result =
            place_append_event(worker->place->log, EVENT_RECEPTION,
                               worker->number * 10000000 + worker->done, &seq);

        if (result != EVENT_LOG_WRITTEN) {
            return worker; /* the test says what that means */
        }
        worker->seqs[worker->done++] = seq;
        (void)sched_yield(); /* let the rotation have the lock */
    }
    return NULL;
}

static void begin_workers(struct place *place, struct worker *workers,
                          int count, int events, _Atomic bool *stop_flag)
{
    for (int i = 0; i < count; i++) {
        workers[i].place = place;
        workers[i].number = i + 1;
        workers[i].count = events;
        workers[i].stop = stop_flag;
        workers[i].seqs = calloc((size_t)events, sizeof(int64_t));
        workers[i].done = 0;
        assert_non_null(workers[i].seqs);
        assert_int_equal(
            pthread_create(&workers[i].thread, NULL, append_many, &workers[i]),
            0);
    }
}

static void end_workers(struct worker *workers, int count)
{
    for (int i = 0; i < count; i++) {
        void *failed = NULL;

        assert_int_equal(pthread_join(workers[i].thread, &failed), 0);
        assert_null(failed);
    }
}

/* Each event once, under the number that append told. */
static void expect_workers(const struct place *place, struct worker *workers,
                           int count)
{
    struct reading reading;
    int found[8] = {0};

    place_read(place, &reading);
    assert_int_equal(reading.torn, 0);
    for (size_t i = 0; i < reading.count; i++) {
        const struct record *record = &reading.record[i];
        int worker = record->name / 10000000 - 1;

        if (record->name < 0) {
            continue;
        }
        assert_in_range(worker, 0, count - 1);
        assert_int_equal(record->name % 10000000, found[worker]);
        assert_int_equal(record->seq, workers[worker].seqs[found[worker]]);
        found[worker]++;
    }
    for (int i = 0; i < count; i++) {
        assert_int_equal(found[i], workers[i].done);
        free(workers[i].seqs);
    }
    free(reading.record);
}

static void rotations_under_load_lose_nothing(void **state)
{
    struct place *place = *state;
    struct worker workers[4];
    _Atomic bool stop_flag = false;
    struct event_log_state now;
    struct reading reading;

    place_start(place);
    begin_workers(place, workers, 4, 1000000, &stop_flag);
    do {
        int64_t seq = event_log_last_seq(place->log);

        while (event_log_last_seq(place->log) < seq + 20) {
            assert_true(event_log_wait(place->log, seq + 19, 10000));
        }
        place_rotate(place);
        event_log_tick(place->log);
        event_log_state(place->log, &now);
    } while (now.rotations < 1000);
    stop_flag = true;
    end_workers(workers, 4);
    place_read(place, &reading);
    assert_int_equal(reading.files, 1001);
    free(reading.record);
    expect_workers(place, workers, 4);
}

static void groups_of_threads_share_their_syncs(void **state)
{
    struct place *place = *state;
    struct worker workers[4];

    place->sync = EVENT_LOG_SYNC_GROUP;
    place_start(place);
    disk.syncs = 0;
    begin_workers(place, workers, 4, 200, NULL);
    for (int i = 0; i < 20; i++) {
        place_rotate(place);
        event_log_tick(place->log);
    }
    end_workers(workers, 4);
    assert_true(disk.syncs >= 200);
    expect_workers(place, workers, 4);
}

static void *append_one(void *argument)
{
    struct place *place = argument;

    (void)place_append(place, 1);
    return NULL;
}

static void wait_ends_with_the_next_line(void **state)
{
    struct place *place = *state;
    pthread_t thread;
    int64_t seq;

    place_start(place);
    seq = event_log_last_seq(place->log);
    assert_true(event_log_wait(place->log, seq - 1, 0));
    assert_false(event_log_wait(place->log, seq, 0));
    assert_false(event_log_wait(place->log, seq, 20));
    assert_int_equal(pthread_create(&thread, NULL, append_one, place), 0);
    assert_true(event_log_wait(place->log, seq, 10000));
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void state_tells_what_happened(void **state)
{
    struct place *place = *state;
    struct event_log_state now;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    event_log_state(place->log, &now);
    assert_false(now.failing);
    assert_int_equal(now.written, 1);
    assert_int_equal(now.held, 0);
    assert_int_equal(now.lost, 0);
    assert_int_equal(now.rotations, 0);
    assert_int_equal(now.file_number, 1);
    disk.room = 0;
    assert_int_equal(place_append(place, 2), EVENT_LOG_HELD);
    event_log_state(place->log, &now);
    assert_true(now.failing);
    assert_int_equal(now.held, 1);
    assert_int_equal(now.written, 1);
}

static void two_writers_of_a_path_are_refused_whatever_their_state(void **state)
{
    struct place *place = *state;
    struct place other = *place;
    struct error error = {""};
    char wanted[64], lock[512];

    place_start(place);
    (void)snprintf(other.state, sizeof other.state, "%s/other", place->path);
    assert_int_equal(mkdir(other.state, 0700), 0);
    other.instance = NULL;
    other.log = NULL;
    assert_false(place_try_start(&other, &error));
    (void)snprintf(wanted, sizeof wanted, "another nixied, process %ld",
                   (long)getpid());
    assert_non_null(strstr(error.text, wanted));
    assert_non_null(strstr(error.text, "another event_log"));
    place_stop(&other);
    /* a full disk: nobody could write who it is */
    (void)snprintf(lock, sizeof lock, "%s/.events.jsonl.lock", place->logs);
    assert_int_equal(truncate(lock, 0), 0);
    assert_false(place_try_start(&other, &error));
    assert_non_null(strstr(error.text, "another nixied: give"));
    place_stop(&other);
    place_stop(place);
    place_start(&other); /* the lock ends with who had it */
    place_stop(&other);
    place_empty_folder(other.state);
}

int main(void)
{
#define ROW(test)                                                              \
    cmocka_unit_test_setup_teardown(test, place_make, place_remove)
    const struct CMUnitTest tests[] = {
        ROW(a_file_begins_with_a_long_record_of_its_own),
        ROW(an_append_is_one_line_in_the_file),
        ROW(event_ids_differ),
        ROW(append_all_gives_consecutive_numbers),
        ROW(a_restart_goes_on_in_the_same_file),
        ROW(two_writers_of_a_path_are_refused_whatever_their_state),
        ROW(a_missing_folder_is_an_error),
        ROW(a_path_to_no_regular_file_is_an_error),
        ROW(interval_syncs_in_the_tick_only),
        ROW(group_syncs_before_append_returns),
        ROW(a_failed_sync_is_told_and_begins_another_file),
        ROW(rotations_under_load_lose_nothing),
        ROW(groups_of_threads_share_their_syncs),
        ROW(wait_ends_with_the_next_line),
        ROW(state_tells_what_happened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
