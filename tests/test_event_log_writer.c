#include "clock.h"
#include "event_json.h"
#include "event_log.h"
#include "event_log_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The length of a line as place_append() makes it. */
static long line_length(struct place *place, int name)
{
    off_t before = file_size(place->event_log);

    assert_int_equal(place_append(place, name), EVENT_LOG_WRITTEN);
    return (long)(file_size(place->event_log) - before);
}

static void a_short_write_at_any_offset_tears_no_line(void **state)
{
    struct place *place = *state;
    struct event_log_state now;
    long length;
    int name = 1;

    place_start(place);
    length = line_length(place, name++);
    for (long offset = 0; offset < length; offset++) {
        int64_t seq = -1;
        int64_t last = event_log_last_seq(place->log);

        disk.full = offset % 2 == 0 ? ENOSPC : EDQUOT;
        disk.room = offset;
        assert_int_equal(
            place_append_event(place->log, EVENT_RECEPTION, name++, &seq),
            EVENT_LOG_HELD);
        assert_int_equal(seq, 0);
        assert_int_equal(place_append(place, name++), EVENT_LOG_HELD);
        assert_int_equal(event_log_last_seq(place->log), last);
        disk.room = 3; /* a little more, now and then */
        event_log_tick(place->log);
        event_log_state(place->log, &now);
        assert_true(now.failing || offset + 3 >= length);
        assert_true(now.held >= 1);
        disk.room = UNLIMITED;
        event_log_tick(place->log);
        event_log_state(place->log, &now);
        assert_false(now.failing);
        assert_int_equal(now.held, 0);
        assert_int_equal(place_append(place, name++), EVENT_LOG_WRITTEN);
    }
    place_expect_names(place, 1, name - 1, 0);
}

static void a_kill_after_a_short_write_tears_one_line(void **state)
{
    struct place *place = *state;
    long length;
    int kept = 1;

    place_start(place);
    length = line_length(place, 1);
    for (long offset = 1; offset < length; offset += 7) {
        disk.room = offset;
        assert_int_equal(place_append(place, 0), EVENT_LOG_HELD);
        place_stop(place); /* with the disk full */
        disk.room = UNLIMITED;
        place_start(place);
        assert_int_equal(place_append(place, ++kept), EVENT_LOG_WRITTEN);
    }
    place_expect_names(place, 1, kept, (uint64_t)kept - 1);
}

static void an_append_writes_what_is_held_without_a_tick(void **state)
{
    struct place *place = *state;
    int64_t deadline;
    enum event_log_result result = EVENT_LOG_HELD;
    int name = 1;

    place_start(place);
    disk.room = 0;
    assert_int_equal(place_append(place, name), EVENT_LOG_HELD);
    disk.room = UNLIMITED;
    /* not at each append, but soon */
    deadline = clock_monotonic_ms() + 5000;
    while (result == EVENT_LOG_HELD && clock_monotonic_ms() < deadline &&
           name < 9000) {
        result = place_append(place, ++name);
        (void)event_log_wait(place->log, INT64_MAX - 1, 1);
    }
    assert_int_equal(result, EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, name, 0);
}

static void a_torn_tail_on_a_full_disk_is_ended_later(void **state)
{
    struct place *place = *state;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    place_stop(place);
    file_write(place->event_log, "{\"torn", 6, "ae");
    place->room = 0;
    place_start(place);
    assert_int_equal(place_append(place, 2), EVENT_LOG_HELD);
    disk.room = 1;
    event_log_tick(place->log);
    disk.room = UNLIMITED;
    event_log_tick(place->log);
    assert_int_equal(place_append(place, 3), EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 3, 1);
}

static void a_start_on_a_full_disk_holds_events(void **state)
{
    struct place *place = *state;
    long header;

    place_start(place);
    header = (long)file_size(place->event_log);
    place_stop(place);
    for (long offset = 0; offset < header; offset += 13) {
        int64_t number;

        assert_int_equal(unlink(place->event_log), 0);
        place->room = offset;
        place_start(place);
        disk.room = offset;
        assert_int_equal(place_append(place, 1), EVENT_LOG_HELD);
        assert_int_equal(event_log_dup(place->log, &number), -1);
        assert_int_equal(access(place->event_log, F_OK), -1);
        disk.room = UNLIMITED;
        event_log_tick(place->log);
        assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
        place_expect_names(place, 1, 2, 0);
        place_stop(place);
    }
}

static void a_rotation_on_a_full_disk_keeps_the_old_file(void **state)
{
    struct place *place = *state;
    struct error error = {""};
    long header;
    int name = 1;
    ino_t inode;

    place_start(place);
    header = (long)file_size(place->event_log);
    inode = file_inode(place->event_log);
    assert_int_equal(place_append(place, name++), EVENT_LOG_WRITTEN);
    for (long offset = 0; offset < header; offset += 11) {
        struct reading reading;

        disk.room = offset;
        assert_false(event_log_rotate(place->log, &error));
        assert_non_null(strstr(error.text, place->event_log));
        disk.room = UNLIMITED;
        assert_int_equal(file_inode(place->event_log), inode);
        assert_int_equal(place_append(place, name++), EVENT_LOG_WRITTEN);
        place_read(place, &reading);
        assert_int_equal(reading.files + reading.other_files, 1);
        free(reading.record);
    }
    place_expect_names(place, 1, name - 1, 0);
    assert_true(event_log_rotate(place->log, &error));
    assert_int_not_equal(file_inode(place->event_log), inode);
}

/* Reads the one gap record there is. */
static void expect_one_gap(const struct place *place, const char *reason,
                           int64_t count)
{
    struct reading reading;
    int gaps = 0;

    place_read(place, &reading);
    for (size_t i = 0; i < reading.count; i++) {
        if (reading.record[i].type == EVENT_GAP) {
            assert_string_equal(reading.record[i].gap_reason, reason);
            assert_int_equal(reading.record[i].gap_count, count);
            gaps++;
        }
    }
    assert_int_equal(gaps, 1);
    free(reading.record);
}

static void a_gap_counts_exactly_what_was_lost(void **state)
{
    struct place *place = *state;
    struct event_log_state now;
    struct reading reading;
    int lost = 0;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    disk.room = 0;
    for (int i = 0; i < EVENT_LOG_HELD_EVENTS; i++) {
        assert_int_equal(place_append(place, 2 + i), EVENT_LOG_HELD);
    }
    for (; lost < 1234; lost++) {
        assert_int_equal(place_append(place, 99999), EVENT_LOG_LOST);
    }
    disk.room = 100000; /* some are written: what comes now is lost as well */
    event_log_tick(place->log);
    assert_int_equal(place_append(place, 99999), EVENT_LOG_LOST);
    lost++;
    event_log_state(place->log, &now);
    assert_true(now.failing);
    assert_int_equal(now.lost, lost);
    assert_true(now.held < EVENT_LOG_HELD_EVENTS);
    disk.room = UNLIMITED;
    event_log_tick(place->log);
    assert_int_equal(place_append(place, 2 + EVENT_LOG_HELD_EVENTS),
                     EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 2 + EVENT_LOG_HELD_EVENTS, 0);
    expect_one_gap(place, "log_unwritable", lost);
    place_read(place, &reading);
    assert_int_equal(reading.record[reading.count - 2].type, EVENT_GAP);
    free(reading.record);
}

static void held_events_are_bounded_in_bytes_too(void **state)
{
    struct place *place = *state;
    struct event_log_state now;
    char note[512];
    struct event event;
    enum event_log_result result = EVENT_LOG_HELD;

    memset(note, '\x01', sizeof note); /* six bytes each on the line */
    note[sizeof note - 1] = '\0';
    place_start(place);
    disk.room = 0;
    while (result == EVENT_LOG_HELD) {
        event_init(&event, EVENT_REJECTION, 1);
        event.diagnostic = text_of(note);
        event.message_id = text_of(note);
        result = event_log_append(place->log, &event);
    }
    assert_int_equal(result, EVENT_LOG_LOST);
    event_log_state(place->log, &now);
    assert_true(now.held < EVENT_LOG_HELD_EVENTS);
    assert_true(now.held > EVENT_LOG_HELD_BYTES / EVENT_LINE_MAX);
}

static void a_gap_record_can_be_torn_and_finished(void **state)
{
    struct place *place = *state;
    struct event *events = calloc(EVENT_LOG_HELD_EVENTS, sizeof *events);
    long length;
    bool whole = false;
    int64_t told = 0;
    int lost = 0;
    struct reading reading;

    assert_non_null(events);
    place_start(place);
    length = line_length(place, 1); /* as all with a one-digit name */
    for (long offset = 0; !whole; offset += 29) {
        disk.room = 0;
        for (size_t i = 0; i < EVENT_LOG_HELD_EVENTS; i++) {
            event_init(&events[i], EVENT_RECEPTION, INT64_C(1700000000000000));
            events[i].recipient = text_of("1@example.org");
        }
        assert_int_equal(
            event_log_append_all(place->log, events, EVENT_LOG_HELD_EVENTS),
            EVENT_LOG_HELD);
        assert_int_equal(place_append(place, 1), EVENT_LOG_LOST);
        assert_int_equal(place_append(place, 1), EVENT_LOG_LOST);
        lost += 2;
        /* all that is held, and so much of the gap record */
        disk.room = EVENT_LOG_HELD_EVENTS * length + offset;
        event_log_tick(place->log);
        whole = disk.room > 0;
        disk.room = 0;
        if (place_append(place, 1) == EVENT_LOG_LOST) {
            assert_int_equal(offset, 0); /* or the record is held itself */
            lost++;
        }
        disk.room = UNLIMITED;
        event_log_tick(place->log);
        assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    }
    place_read(place, &reading);
    assert_int_equal(reading.torn, 0);
    for (size_t i = 0; i < reading.count; i++) {
        if (reading.record[i].type == EVENT_GAP) {
            told += reading.record[i].gap_count;
        }
    }
    assert_int_equal(told, lost);
    free(reading.record);
    free(events);
}

static void a_truncated_file_is_left_and_told_in_a_gap(void **state)
{
    struct place *place = *state;

    for (int by_tick = 0; by_tick < 2; by_tick++) {
        struct reading reading;
        const struct record *gap;
        int64_t first;
        int64_t last;

        place_start(place);
        assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
        assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
        place_read(place, &reading);
        first = reading.record[0].seq;
        last = reading.record[2].seq;
        free(reading.record);
        assert_int_equal(truncate(place->event_log, by_tick * 100), 0);
        if (by_tick == 1) {
            event_log_tick(place->log);
        }
        assert_int_equal(place_append(place, 3), EVENT_LOG_WRITTEN);
        place_read(place, &reading);
        assert_int_equal(reading.count, 3);
        assert_int_equal(reading.other_files, 1);
        gap = &reading.record[1];
        assert_int_equal(gap->type, EVENT_GAP);
        assert_string_equal(gap->gap_reason, "truncated");
        assert_int_equal(gap->gap_first_seq, first);
        assert_int_equal(gap->gap_last_seq, last);
        assert_int_equal(gap->gap_count, 3); /* the first record is a line */
        assert_int_equal(reading.record[2].name, 3);
        free(reading.record);
        place_stop(place);
        place_empty_folder(place->logs);
        assert_int_equal(mkdir(place->logs, 0700), 0);
    }
}

static void a_truncation_while_a_line_is_torn_loses_no_held_event(void **state)
{
    struct place *place = *state;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    disk.room = 50;
    assert_int_equal(place_append(place, 2), EVENT_LOG_HELD);
    assert_int_equal(place_append(place, 3), EVENT_LOG_HELD);
    assert_int_equal(truncate(place->event_log, 0), 0);
    disk.room = UNLIMITED;
    event_log_tick(place->log);
    place_expect_names(place, 2, 3, 0);
}

static void bytes_of_others_at_the_end_glue_to_no_line(void **state)
{
    struct place *place = *state;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    file_write(place->event_log, "hello", 5, "ae");
    assert_int_equal(place_append(place, 2), EVENT_LOG_WRITTEN);
    file_write(place->event_log, "hello\n", 6, "ae");
    assert_int_equal(place_append(place, 3), EVENT_LOG_WRITTEN);
    /* and in the middle of a line that waits for its rest */
    disk.room = 50;
    assert_int_equal(place_append(place, 4), EVENT_LOG_HELD);
    disk.room = UNLIMITED;
    file_write(place->event_log, "hello", 5, "ae");
    event_log_tick(place->log);
    assert_int_equal(place_append(place, 5), EVENT_LOG_WRITTEN);
    place_expect_names(place, 1, 5, 3);
}

static void a_bad_file_is_left_for_a_good_one(void **state)
{
    struct place *place = *state;

    place_start(place);
    assert_int_equal(place_append(place, 1), EVENT_LOG_WRITTEN);
    disk.room = 20;
    disk.full = EIO;
    assert_int_equal(place_append(place, 2),
                     EVENT_LOG_HELD); /* torn for good */
    disk.room = UNLIMITED;
    disk.bad_inode = file_inode(place->event_log);
    assert_int_equal(place_append(place, 3), EVENT_LOG_HELD);
    event_log_tick(place->log);
    assert_int_equal(place_append(place, 4), EVENT_LOG_WRITTEN);
    assert_int_not_equal(file_inode(place->event_log), disk.bad_inode);
    place_expect_names(place, 1, 4, 1);
}

static void numbers_go_above_what_redis_has_seen(void **state)
{
    struct place *place = *state;
    int64_t seen;

    place_start(place);
    /* with a number put back by a failed write */
    disk.room = 0;
    assert_int_equal(place_append(place, 1), EVENT_LOG_HELD);
    disk.room = UNLIMITED;
    seen = event_log_last_seq(place->log) + 1;
    event_log_seen_seq(place->log, seen);
    event_log_tick(place->log);
    assert_true(event_log_last_seq(place->log) > seen);
    place_expect_names(place, 1, 1, 0);
}

int main(void)
{
#define ROW(test)                                                              \
    cmocka_unit_test_setup_teardown(test, place_make, place_remove)
    const struct CMUnitTest tests[] = {
        ROW(a_short_write_at_any_offset_tears_no_line),
        ROW(a_kill_after_a_short_write_tears_one_line),
        ROW(an_append_writes_what_is_held_without_a_tick),
        ROW(a_torn_tail_on_a_full_disk_is_ended_later),
        ROW(a_start_on_a_full_disk_holds_events),
        ROW(a_rotation_on_a_full_disk_keeps_the_old_file),
        ROW(a_gap_counts_exactly_what_was_lost),
        ROW(held_events_are_bounded_in_bytes_too),
        ROW(a_gap_record_can_be_torn_and_finished),
        ROW(a_truncated_file_is_left_and_told_in_a_gap),
        ROW(a_truncation_while_a_line_is_torn_loses_no_held_event),
        ROW(bytes_of_others_at_the_end_glue_to_no_line),
        ROW(a_bad_file_is_left_for_a_good_one),
        ROW(numbers_go_above_what_redis_has_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
