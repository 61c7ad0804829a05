/*
 * event_log_held.h - lines that wait in memory until the disk takes them
 *
 * A line is encoded without its head; it gets its number, and with it the
 * head, when it is written, so that the numbers rise in file order whatever
 * happened meanwhile.
 *
 * Threads  one at a time: event_log calls with its lock held.
 */
#ifndef NIXIE_EVENT_LOG_HELD_H
#define NIXIE_EVENT_LOG_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_line {
    char *bytes;    /* EVENT_JSON_HEAD bytes of room, then the tail */
    size_t tail;    /* its length, with the newline */
    size_t head;    /* length of the head, once numbered */
    size_t written; /* bytes of head and tail that are in the file */
    int64_t seq;    /* 0: not numbered */
    bool is_event;  /* false for records about the log or the store */
};

void event_line_number(struct event_line *line, int64_t seq);

/* Forgets its number and what was written: it is to be written anew. */
void event_line_reset(struct event_line *line);

struct event_log_held {
    struct held_line *first;
    struct held_line *last;
    size_t count;
    size_t bytes;
};

/*
 * Adds a copy; false when EVENT_LOG_HELD_EVENTS or _BYTES of event_log.h are
 * held, or out of memory.
 */
bool event_log_held_add(struct event_log_held *held,
                        const struct event_line *line);

/* The same in front of all others and beyond the limits; false when out of
 * memory. */
bool event_log_held_add_first(struct event_log_held *held,
                              const struct event_line *line);

/* Borrowed until it is dropped; NULL when none is held. */
struct event_line *event_log_held_first(struct event_log_held *held);

void event_log_held_drop_first(struct event_log_held *held);

#endif
