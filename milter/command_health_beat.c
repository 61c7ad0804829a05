#include "command_health.h"
#include "event.h"
#include "event_files.h"
#include "event_json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK     65536
#define LOOK_MOST ((off_t)256 * 1024 * 1024) /* more than a busy minute */

/* A quote within a text is escaped, so it is a member wherever it stands. */
static const char sign[] = "\"type\":\"heartbeat\"";
#define SIGN_LENGTH (sizeof sign - 1)

/* As much as there is. */
static size_t read_at(int file, char *buffer, size_t size, off_t offset)
{
    size_t used = 0;

    while (used < size) {
        ssize_t count =
            pread(file, buffer + used, size - used, offset + (off_t)used);

        if (count <= 0) {
            break;
        }
        used += (size_t)count;
    }
    return used;
}

static const char *find_last(const char *bytes, size_t length)
{
    const char *end = bytes + length;
    const char *last = NULL;
    const char *next = memmem(bytes, length, sign, SIGN_LENGTH);

    while (next != NULL) {
        last = next;
        next = memmem(next + 1, (size_t)(end - next - 1), sign, SIGN_LENGTH);
    }
    return last;
}

/* The whole line around offset, if it is a heartbeat. */
static bool read_line(int file, off_t offset, struct health_beat *beat)
{
    char buffer[2 * EVENT_LINE_MAX];
    off_t begin = offset > EVENT_LINE_MAX ? offset - EVENT_LINE_MAX : 0;
    size_t before = (size_t)(offset - begin);
    size_t length = read_at(file, buffer, sizeof buffer, begin);
    const char *line = buffer;
    const char *newline;
    struct event_json *json;
    struct event event;
    struct error ignored;
    bool found;

    if (length <= before) {
        return false;
    }
    newline = memrchr(buffer, '\n', before);
    line = newline == NULL ? buffer : newline + 1;
    newline = memchr(buffer + before, '\n', length - before);
    if (newline == NULL) {
        return false; /* torn, or it is being written */
    }
    json = event_json_decode(line, (size_t)(newline - line), &event, &ignored);
    found = json != NULL && event.type == EVENT_HEARTBEAT;
    if (found) {
        *beat = (struct health_beat){
            .at_us = event.timestamp_us,
            .applied_seq = event.applied_seq,
            .lag_seconds = event.lag_seconds,
            .cache_entries = event.cache_entries,
            .cache_bytes = event.cache_bytes,
            .cache_age_seconds = event.cache_age_seconds,
        };
        (void)text_copy(event.cache_state, beat->cache_state,
                        sizeof beat->cache_state);
    }
    event_json_free(json);
    return found;
}

/* From the end, as far as LOOK_MOST. */
static void search(int file, off_t size, struct health_beat *beat)
{
    char buffer[BLOCK + SIGN_LENGTH - 1]; /* a sign may begin in a block */
    off_t end = size;

    while (end > 0 && size - end < LOOK_MOST) {
        off_t begin = end > BLOCK ? end - BLOCK : 0;
        size_t length = read_at(file, buffer,
                                (size_t)(end - begin) + SIGN_LENGTH - 1, begin);
        const char *found = find_last(buffer, length);

        while (found != NULL) {
            if (read_line(file, begin + (found - buffer), beat)) {
                return;
            }
            found = find_last(buffer, (size_t)(found - buffer));
        }
        end = begin;
    }
}

static bool search_in(const char *path, struct health_beat *beat)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    bool opened = file >= 0 && fstat(file, &status) == 0;
    const int cause = errno;

    if (opened && S_ISREG(status.st_mode)) {
        search(file, status.st_size, beat);
    }
    if (file >= 0) {
        (void)close(file);
    }
    errno = cause;
    return opened;
}

/* Soon after a rotation the last one is in the file before. */
static void search_before(const char *path, struct health_beat *beat)
{
    const struct event_file *newest = NULL;
    struct event_files files;
    struct error ignored;

    if (!event_files_list(path, &files, &ignored)) {
        return;
    }
    for (size_t i = 0; i < files.count; i++) {
        const struct event_file *file = &files.file[i];

        if (file->kind == EVENT_FILE_EVENTS && strcmp(file->path, path) != 0 &&
            (newest == NULL || file->modified_us > newest->modified_us)) {
            newest = file;
        }
    }
    if (newest != NULL) {
        (void)search_in(newest->path, beat);
    }
    event_files_free(&files);
}

bool health_beat_read(const char *path, struct health_beat *beat,
                      struct error *error)
{
    memset(beat, 0, sizeof *beat);
    if (!search_in(path, beat)) {
        error_set_errno(error, "%s", path);
        return false;
    }
    if (beat->at_us == 0) {
        search_before(path, beat);
    }
    return true;
}
