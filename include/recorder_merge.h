/*
 * recorder_merge.h - what a call of the script would do twice is done once
 *
 * Messages to one domain add 1 to its counts and set its latest time, each of
 * them; in one hour all add to the same statistics. Within a call, which is
 * applied as a whole, only the sum and the latest time matter.
 *
 * Only parts of which nothing asks what is stored are merged, with those in a
 * row with them: their operations are done in any order.
 *
 * Owner    operations are borrowed; what _call() makes is so until the next.
 * Threads  a struct recorder_merge belongs to one.
 */
#ifndef NIXIE_RECORDER_MERGE_H
#define NIXIE_RECORDER_MERGE_H

#include "recorder_window.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct merged_operation {
    const struct window_operation *operation; /* the first of them */
    struct text value;                        /* of them all */
    int64_t sum;                              /* of EFFECT_ADD */
    char digits[24];                          /* of that */
};

struct recorder_merge;
struct recorder_merge *recorder_merge_new(void);        /* NULL: no memory */
void recorder_merge_free(struct recorder_merge *merge); /* or NULL */

/* The operations of the call; the same for the same call. False: no memory. */
bool recorder_merge_call(struct recorder_merge *merge,
                         const struct recorder_call *call);

const struct merged_operation *
recorder_merge_operations(const struct recorder_merge *merge, size_t *count);

#endif
