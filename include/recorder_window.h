/*
 * recorder_window.h - effects that wait to be applied, by bucket
 *
 * What the recorder has read of one instance's log and not yet seen applied.
 * All memory is there from the beginning and is used again: how far a backlog
 * reaches does not change it.
 *
 * Owner    an added event is copied; what operations point to is borrowed
 *          until the window is cleared.
 * Threads  one.
 */
#ifndef NIXIE_RECORDER_WINDOW_H
#define NIXIE_RECORDER_WINDOW_H

#include "recorder_effect.h"
#include "store_key.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_EVENTS     2048
#define WINDOW_OPERATIONS (24 * WINDOW_EVENTS)
#define WINDOW_BYTES      ((size_t)4 * 1024 * 1024)

/* An effect without its bucket. */
struct window_operation {
    enum effect_operation operation;
    bool conditional;
    struct text key, field, value;
};

/* What one event does in one bucket: never divided. */
struct window_part {
    int64_t seq;
    const struct window_operation *operations;
    size_t count;
    size_t bytes;                   /* of keys, fields and values */
    const struct window_part *next; /* of the same bucket, or NULL */
};

struct recorder_window;

struct recorder_window *recorder_window_new(void);         /* NULL: no memory */
void recorder_window_free(struct recorder_window *window); /* or NULL */
void recorder_window_clear(struct recorder_window *window);

/* True when it may be too small for another event. */
bool recorder_window_is_full(const struct recorder_window *window);

/*
 * Adds effects of an event, those of each bucket side by side. False when
 * they do not fit, which a window that is not full never says.
 */
bool recorder_window_add(struct recorder_window *window, int64_t seq,
                         const struct effect *effects, size_t count);

/* Forgets what is applied: the bucket's parts up to seq. */
void recorder_window_drop(struct recorder_window *window, unsigned bucket,
                          int64_t seq);

/* The bucket's first part in file order, or NULL. */
const struct window_part *
recorder_window_first(const struct recorder_window *window, unsigned bucket);

/* True when no bucket has a part. */
bool recorder_window_is_empty(const struct recorder_window *window);

/*
 * One call of the script: parts of one bucket that are applied together, or
 * not at all.
 */
struct recorder_call {
    unsigned bucket;
    int64_t expected; /* the checkpoint it must find */
    int64_t last;     /* and leaves */
    const struct window_part *first;
    size_t parts;
    size_t operations;
    size_t bytes;
};

/* The next of a bucket; false when the bucket has none. */
bool recorder_window_call(const struct recorder_window *window, unsigned bucket,
                          int64_t expected, size_t most_parts,
                          size_t most_bytes, struct recorder_call *call);

#endif
