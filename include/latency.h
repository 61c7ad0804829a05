/*
 * latency.h - how long something takes: a histogram that any thread adds to
 *
 * Units    microseconds.
 * Threads  any: each number is atomic, and a reader may see one of two that
 *          belong together.
 */
#ifndef NIXIE_LATENCY_H
#define NIXIE_LATENCY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LATENCY_LIMITS 13

/* From 50 us to 1 s; what takes longer has a count of its own. */
extern const int64_t latency_limits_us[LATENCY_LIMITS];

struct latency { /* all zero: nothing yet */
    _Atomic uint64_t counts[LATENCY_LIMITS + 1];
    _Atomic uint64_t sum_us;
};

void latency_add(struct latency *latency, int64_t us);

#endif
