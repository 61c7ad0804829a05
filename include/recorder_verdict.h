/*
 * recorder_verdict.h - what 64 checkpoints tell of the store
 *
 * Compared with what we know to be applied, each bucket's checkpoint tells
 * whether an answer was lost, writes were forgotten (a failover, a restart
 * without persistence), the store was emptied or somebody meddled. Registering
 * writes all 64 in one transaction, so they come and go together: one that
 * is missing alone was removed.
 *
 * Threads  any: a pure function.
 */
#ifndef NIXIE_RECORDER_VERDICT_H
#define NIXIE_RECORDER_VERDICT_H

#include "recorder_script.h"
#include "store_key.h"

#include <stdbool.h>
#include <stdint.h>

struct recorder_verdict {
    int64_t applied[STORE_BUCKETS]; /* what we know from now on */
    bool absent;        /* there is none: register, begin at the beginning */
    bool emptied;       /* and there have been some */
    unsigned forwards;  /* buckets that are further than we knew */
    unsigned rollbacks; /* buckets that went back */
    int64_t rolled_from, rolled_to; /* to apply again, if rollbacks */
    unsigned adoptions;             /* checkpoints that were removed */
    int64_t adopted[STORE_BUCKETS]; /* to write; CHECKPOINT_ABSENT: not */
    unsigned damaged; /* checkpoints that hold no number: nothing else tells */
    int64_t highest;  /* of all checkpoints; 0: none */
};

/* known false: applied says nothing yet, the checkpoints say all. */
void recorder_verdict_reach(struct recorder_verdict *verdict, bool known,
                            const int64_t applied[STORE_BUCKETS],
                            const int64_t found[STORE_BUCKETS]);

#endif
