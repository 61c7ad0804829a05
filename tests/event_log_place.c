#include "event_log_place.h"

#include "event_cursor.h"
#include "event_files.h"
#include "event_json.h"
#include "scratch.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
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

struct disk disk = {UNLIMITED, ENOSPC, 0, 0, 0, false};

/* These three stand before those of the C library. */

ssize_t write(int fd, const void *bytes, size_t length)
{
    struct stat status;

    if (fd > STDERR_FILENO) {
        if (disk.bad_inode != 0 && fstat(fd, &status) == 0 &&
            status.st_ino == disk.bad_inode) {
            errno = EIO;
            return -1;
        }
        if (disk.room != UNLIMITED) {
            if (disk.room == 0 && length > 0) {
                errno = disk.full;
                return -1;
            }
            length = (long)length < disk.room ? length : (size_t)disk.room;
            disk.room -= (long)length;
        }
    }
    return syscall(SYS_write, fd, bytes, length);
}

int fdatasync(int fd)
{
    disk.syncs++;
    if (disk.sync_error != 0) {
        errno = disk.sync_error;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to,
              unsigned flags)
{
    if (disk.old_kernel) {
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

void disk_repair(void)
{
    disk.room = UNLIMITED;
    disk.full = ENOSPC;
    disk.bad_inode = 0;
    disk.sync_error = 0;
    disk.old_kernel = false;
}

int place_make(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    assert_non_null(place);
    scratch_make(place->path);
    (void)snprintf(place->state, sizeof place->state, "%s/state", place->path);
    (void)snprintf(place->logs, sizeof place->logs, "%s/logs", place->path);
    (void)snprintf(place->event_log, sizeof place->event_log, "%s/events.jsonl",
                   place->logs);
    assert_int_equal(mkdir(place->state, 0700), 0);
    assert_int_equal(mkdir(place->logs, 0700), 0);
    place->sync = EVENT_LOG_SYNC_OFF;
    place->room = UNLIMITED;
    *state = place;
    return 0;
}

void place_empty_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    if (folder == NULL) {
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    (void)closedir(folder);
    (void)rmdir(path);
}

void place_stop(struct place *place)
{
    event_log_free(place->log);
    place->log = NULL;
    instance_close(place->instance);
    place->instance = NULL;
}

int place_remove(void **state)
{
    struct place *place = *state;

    disk_repair();
    place_stop(place);
    scratch_remove(place->path);
    free(place);
    return 0;
}

bool place_try_start(struct place *place, struct error *error)
{
    struct event_log_options options = {
        .path = place->event_log,
        .node = "mx1.example.org",
        .version = "1.2.3",
        .sync = place->sync,
    };

    disk.room = UNLIMITED;
    place->instance = instance_open(place->state, error);
    if (place->instance == NULL) {
        return false;
    }
    disk.room = place->room;
    place->log = event_log_new(&options, place->instance, error);
    return place->log != NULL;
}

void place_start(struct place *place)
{
    struct error error = {""};

    if (!place_try_start(place, &error)) {
        fail_msg("start: %s", error.text);
    }
}

void place_restart(struct place *place)
{
    place_stop(place);
    place_start(place);
}

/* An event whose recipient says which of the test's it is. */
enum event_log_result place_append_event(struct event_log *log,
                                         enum event_type type, int name,
                                         int64_t *seq)
{
    char recipient[32];
    struct event event;
    enum event_log_result result;

    (void)snprintf(recipient, sizeof recipient, "%d@example.org", name);
    event_init(&event, type, INT64_C(1700000000000000) + name);
    event.recipient = text_of(recipient);
    result = event_log_append(log, &event);
    if (seq != NULL) {
        *seq = event.seq;
    }
    return result;
}

enum event_log_result place_append(struct place *place, int name)
{
    return place_append_event(place->log, EVENT_RECEPTION, name, NULL);
}

static void read_line(struct reading *reading, int64_t file_number,
                      const char *line, size_t length)
{
    struct record *record;
    struct event event;
    struct event_json *json = event_json_decode(line, length, &event, NULL);

    if (json == NULL) {
        reading->torn++;
        return;
    }
    if ((reading->count & (reading->count - 1)) == 0) {
        size_t room = reading->count == 0 ? 1 : 2 * reading->count;

        reading->record =
            realloc(reading->record, room * sizeof *reading->record);
        assert_non_null(reading->record);
    }
    record = &reading->record[reading->count++];
    memset(record, 0, sizeof *record);
    record->type = event.type;
    record->seq = event.seq;
    record->file_number = file_number;
    record->gap_first_seq = event.gap_first_seq;
    record->gap_last_seq = event.gap_last_seq;
    record->gap_count = event.gap_count;
    record->name = event.recipient.bytes == NULL
                       ? -1
                       : (int)strtol(event.recipient.bytes, NULL, 10);
    (void)text_copy(event.gap_reason, record->gap_reason,
                    sizeof record->gap_reason);
    event_json_free(json);
}

static void read_file(struct reading *reading, const struct event_file *file)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    struct event_cursor *cursor = event_cursor_new(fd, 0);
    const char *line;
    size_t length;

    assert_true(fd >= 0);
    assert_non_null(cursor);
    while (event_cursor_next(cursor, &line, &length) == EVENT_CURSOR_LINE) {
        read_line(reading, file->file_number, line, length);
    }
    reading->torn += event_cursor_torn(cursor);
    if (event_cursor_offset(cursor) != file->size) {
        reading->torn++; /* an end that is no line yet */
    }
    event_cursor_free(cursor);
}

/* Reads all and holds it against what is always true. */
void place_read(const struct place *place, struct reading *reading)
{
    struct event_files files;
    struct error error = {""};
    int64_t last = 0;

    memset(reading, 0, sizeof *reading);
    assert_true(event_files_list(place->event_log, &files, &error));
    for (size_t i = 0; i < files.count; i++) {
        if (files.file[i].kind != EVENT_FILE_EVENTS ||
            strcmp(files.file[i].instance, instance_id(place->instance)) != 0) {
            reading->other_files++;
            continue;
        }
        reading->files++;
        read_file(reading, &files.file[i]);
    }
    event_files_free(&files);
    for (size_t i = 0; i < reading->count; i++) {
        const struct record *record = &reading->record[i];

        assert_true(record->seq > last);
        if (record->type == EVENT_GAP) {
            assert_true(record->gap_last_seq < record->seq);
            assert_true(record->gap_first_seq <= record->gap_last_seq);
        }
        if (record->type == EVENT_GAP &&
            strcmp(record->gap_reason, "log_unwritable") == 0) {
            assert_true(record->gap_first_seq > last);
            assert_int_equal(record->gap_last_seq - record->gap_first_seq + 1,
                             record->gap_count);
        }
        last = record->seq;
    }
}

/* The events in the files are these, each once and in this order. */
void place_expect_names(const struct place *place, int first, int last,
                        uint64_t torn)
{
    struct reading reading;
    int name = first;

    place_read(place, &reading);
    for (size_t i = 0; i < reading.count; i++) {
        if (reading.record[i].name >= 0) {
            assert_int_equal(reading.record[i].name, name);
            name++;
        }
    }
    assert_int_equal(name, last + 1);
    assert_int_equal(reading.torn, torn);
    free(reading.record);
}

off_t file_size(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

ino_t file_inode(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status.st_ino;
}

void file_write(const char *path, const char *bytes, size_t length,
                const char *mode)
{
    FILE *file = fopen(path, mode);

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

void place_rotate(struct place *place)
{
    struct error error = {""};

    if (!event_log_rotate(place->log, &error)) {
        fail_msg("event_log_rotate: %s", error.text);
    }
}
