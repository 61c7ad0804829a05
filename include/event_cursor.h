/*
 * event_cursor.h - reading one file of the event log, line by line
 *
 * Gives whole lines only: what has no newline yet is not there yet. Lines
 * that are longer than EVENT_LINE_MAX, or hold NUL bytes (a tail after a
 * power failure) are passed over and counted.
 *
 * Threads  one.
 */
#ifndef NIXIE_EVENT_CURSOR_H
#define NIXIE_EVENT_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct event_cursor;

enum event_cursor_result {
    EVENT_CURSOR_LINE,
    EVENT_CURSOR_END,       /* nothing more now; more may come */
    EVENT_CURSOR_TRUNCATED, /* the file is shorter than the position */
    EVENT_CURSOR_ERROR,     /* errno tells */
};

/* New, reading from offset; takes fd. NULL when out of memory. */
struct event_cursor *event_cursor_new(int fd, off_t offset);

/* *line is borrowed until the next call and has no newline. */
enum event_cursor_result event_cursor_next(struct event_cursor *cursor,
                                           const char **line, size_t *length);

/* Where the next line begins: a position to resume from. */
off_t event_cursor_offset(const struct event_cursor *cursor);

/* Lines passed over, since the beginning. */
uint64_t event_cursor_torn(const struct event_cursor *cursor);

void event_cursor_free(struct event_cursor *cursor); /* takes it, or NULL */

#endif
