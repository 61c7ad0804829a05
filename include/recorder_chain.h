/*
 * recorder_chain.h - one instance's events on their way into Redis
 *
 * What of the instance's log is applied in each of the 64 buckets; the next
 * events, a window of them at a time; and what to do when the checkpoints say
 * something else than expected. Everything before the place that is kept as
 * position is applied in all buckets, so reading may begin there, or anywhere
 * before: what is applied is skipped by bucket.
 *
 * Logs what the checkpoints tell; faults of Redis are the result.
 * Threads  one.
 */
#ifndef NIXIE_RECORDER_CHAIN_H
#define NIXIE_RECORDER_CHAIN_H

#include "error.h"
#include "recorder.h"
#include "recorder_position.h"
#include "recorder_store.h"

#include <stdbool.h>
#include <stdint.h>

struct recorder_chain;

/* New; options are borrowed. NULL: no memory. own: of options->instance. */
struct recorder_chain *
recorder_chain_new(const struct recorder_options *options, const char *instance,
                   bool own);
void recorder_chain_free(struct recorder_chain *chain); /* or NULL */

const char *recorder_chain_instance(const struct recorder_chain *chain);

/* Before the first sweep: what an earlier run knew. */
void recorder_chain_resume(struct recorder_chain *chain,
                           const struct recorder_position *position);

/* Looks at the checkpoints and mends: after connecting, and now and then. */
enum store_result recorder_chain_sweep(struct recorder_chain *chain,
                                       struct recorder_store *store,
                                       struct error *error);

enum recorder_chain_progress {
    CHAIN_MOVING,  /* step again */
    CHAIN_WAITING, /* step again soon: not all files can be read now */
    CHAIN_AT_END,  /* all that is in the log is applied */
};

/* Reads a window unless one is there, and makes a call for each bucket. */
enum store_result recorder_chain_step(struct recorder_chain *chain,
                                      struct recorder_store *store,
                                      enum recorder_chain_progress *progress,
                                      struct error *error);

struct recorder_chain_state {
    int64_t seen_seq;    /* as of the last read: the log's last number */
    int64_t applied_seq; /* all up to here is applied */
    int64_t oldest_us;   /* time of the first event of the window; 0: none */
    uint64_t applied, fast_forwards, rollbacks, dead, torn;
};
void recorder_chain_state(const struct recorder_chain *chain,
                          struct recorder_chain_state *state);

/* False while there is none to be kept. */
bool recorder_chain_position(const struct recorder_chain *chain,
                             struct recorder_position *position);

/* Deletes files that are applied and have not changed since before_us. */
void recorder_chain_retain(struct recorder_chain *chain, int64_t before_us);

#endif
