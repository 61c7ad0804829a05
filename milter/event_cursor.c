#include "event_cursor.h"

#include "event_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)256 * 1024) /* a line fits many times */

struct event_cursor {
    int fd;
    off_t offset;   /* where the next line begins */
    off_t read_to;  /* the file up to here is in the buffer, or was */
    size_t begin;   /* of the next line in the buffer, unless passing */
    size_t scanned; /* up to here there is no newline */
    size_t end;
    off_t passed; /* bytes of an overlong line that are gone already */
    uint64_t torn;
    char buffer[BUFFER_SIZE];
};

struct event_cursor *event_cursor_new(int fd, off_t offset)
{
    /* malloc, not calloc: the buffer's pages come with the first read */
    struct event_cursor *cursor = malloc(sizeof *cursor);

    if (cursor == NULL) {
        (void)close(fd);
        return NULL;
    }
    cursor->fd = fd;
    cursor->offset = offset;
    cursor->read_to = offset;
    cursor->begin = 0;
    cursor->scanned = 0;
    cursor->end = 0;
    cursor->passed = 0;
    cursor->torn = 0;
    return cursor;
}

/* What follows in the file; 0 is the end for now, -1 an error. */
static ssize_t refill(struct event_cursor *cursor)
{
    size_t kept = cursor->end - cursor->begin;
    ssize_t got;

    if (cursor->begin > 0) {
        memmove(cursor->buffer, cursor->buffer + cursor->begin, kept);
        cursor->scanned -= cursor->begin;
        cursor->begin = 0;
        cursor->end = kept;
    }
    do {
        got = pread(cursor->fd, cursor->buffer + cursor->end,
                    sizeof cursor->buffer - cursor->end, cursor->read_to);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        cursor->end += (size_t)got;
        cursor->read_to += got;
    }
    return got;
}

static enum event_cursor_result at_end(const struct event_cursor *cursor)
{
    struct stat status;

    if (fstat(cursor->fd, &status) != 0) {
        return EVENT_CURSOR_ERROR;
    }
    return status.st_size < cursor->read_to ? EVENT_CURSOR_TRUNCATED
                                            : EVENT_CURSOR_END;
}

/* No newline within a line's length: the beginning is given up, and the
 * buffer freed for the rest. The offset stays where the line began. */
static void pass_over(struct event_cursor *cursor)
{
    if (cursor->passed + (off_t)(cursor->end - cursor->begin) <
        EVENT_LINE_MAX) {
        return;
    }
    cursor->passed += (off_t)(cursor->end - cursor->begin);
    cursor->begin = 0;
    cursor->scanned = 0;
    cursor->end = 0;
}

/* The line up to newline; false when it was one to pass over. */
static bool take_line(struct event_cursor *cursor, const char *newline,
                      const char **line, size_t *length)
{
    const char *start = cursor->buffer + cursor->begin;
    size_t size = (size_t)(newline - start);
    bool good = cursor->passed == 0 && size < EVENT_LINE_MAX &&
                memchr(start, '\0', size) == NULL;

    cursor->offset += cursor->passed + (off_t)size + 1;
    cursor->passed = 0;
    cursor->begin += size + 1;
    cursor->scanned = cursor->begin;
    if (!good) {
        cursor->torn++;
        return false;
    }
    *line = start;
    *length = size;
    return true;
}

enum event_cursor_result event_cursor_next(struct event_cursor *cursor,
                                           const char **line, size_t *length)
{
    for (;;) {
        const char *newline = memchr(cursor->buffer + cursor->scanned, '\n',
                                     cursor->end - cursor->scanned);
        ssize_t got;

        if (newline != NULL) {
            if (take_line(cursor, newline, line, length)) {
                return EVENT_CURSOR_LINE;
            }
            continue;
        }
        cursor->scanned = cursor->end;
        pass_over(cursor);
        got = refill(cursor);
        if (got < 0) {
            return EVENT_CURSOR_ERROR;
        }
        if (got == 0) {
            return at_end(cursor);
        }
    }
}

off_t event_cursor_offset(const struct event_cursor *cursor)
{
    return cursor->offset;
}

uint64_t event_cursor_torn(const struct event_cursor *cursor)
{
    return cursor->torn;
}

void event_cursor_free(struct event_cursor *cursor)
{
    if (cursor == NULL) {
        return;
    }
    (void)close(cursor->fd);
    free(cursor);
}
