/*
 * recorder_fault.h - faults of Redis: when to try again, what to tell
 *
 * A fault that lasts is logged when it starts and when it ends. A connection
 * that only broke is made again at once, and nothing is said of it unless
 * that fails. Keys whose effects Redis refuses are named up to some number of
 * them, since strangers choose keys; the rest is summed up once a minute.
 *
 * Threads  one.
 */
#ifndef NIXIE_RECORDER_FAULT_H
#define NIXIE_RECORDER_FAULT_H

#include "error.h"
#include "recorder_store.h"

#include <stdbool.h>
#include <stddef.h>
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

#define DEAD_KEYS       8 /* named, each once */
#define DEAD_SUMMARY_MS 60000

/* Effects that Redis refused while it applied others. */
struct recorder_dead {
    uint64_t count;
    char keys[DEAD_KEYS][RECORDER_KEY_SHOWN];
    size_t key_count;
    bool told_lost;
    uint64_t untold;
    int64_t told_ms; /* when something was told, last */
};

/* Counts what result says of them, and logs what is new in it; true then. */
bool recorder_dead_tell(struct recorder_dead *dead,
                        const struct recorder_result *result, int64_t now_ms);

/* Now and then: logs how many were only counted if it is time; true then. */
bool recorder_dead_sum_up(struct recorder_dead *dead, const char *instance,
                          int64_t now_ms);

#endif
