/*
 * recorder_fault.h - how long Redis has been away, and when to try again
 *
 * A fault that lasts is logged when it starts and when it ends. A connection
 * that only broke is made again at once, and nothing is said of it unless
 * that fails.
 *
 * Threads  one.
 */
#ifndef NIXIE_RECORDER_FAULT_H
#define NIXIE_RECORDER_FAULT_H

#include "error.h"
#include "recorder_store.h"

#include <stdbool.h>
#include <stdint.h>

#define FAULT_REFUSED_MS 30000 /* what only somebody's help will end */

struct recorder_fault {
    bool told;
    unsigned tries;   /* in a row that failed */
    int64_t since_ms; /* of the first of them */
    uint64_t random;  /* for the jitter; seeded by whoever makes it */
};

/* Counts a failure; the milliseconds until the next try. *began: tell it. */
int64_t recorder_fault_count(struct recorder_fault *fault,
                             enum store_result result, int64_t now_ms,
                             bool *began);

/* It works again; true when a fault that was told has ended. */
bool recorder_fault_end(struct recorder_fault *fault);

#endif
