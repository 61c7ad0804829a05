#include "recorder_verdict.h"

#include <string.h>

static int64_t highest_of(const int64_t values[STORE_BUCKETS])
{
    int64_t highest = 0;

    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        if (values[i] > highest) {
            highest = values[i];
        }
    }
    return highest;
}

static unsigned count_of(int64_t value, const int64_t values[STORE_BUCKETS])
{
    unsigned count = 0;

    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        count += values[i] == value;
    }
    return count;
}

static void roll_back(struct recorder_verdict *verdict, int64_t found,
                      int64_t applied)
{
    if (verdict->rollbacks == 0 || found + 1 < verdict->rolled_from) {
        verdict->rolled_from = found + 1;
    }
    if (applied > verdict->rolled_to) {
        verdict->rolled_to = applied;
    }
    verdict->rollbacks++;
}

/*
 * A removed checkpoint is written again as we know it. Without knowledge it
 * is taken to be as far as the furthest: an event may go uncounted, none is
 * counted twice.
 */
static void judge_bucket(struct recorder_verdict *verdict, unsigned bucket,
                         bool known, int64_t applied, int64_t found)
{
    if (found == CHECKPOINT_ABSENT) {
        found = known ? applied : verdict->highest;
        verdict->adopted[bucket] = found;
        verdict->adoptions++;
    } else if (known && found > applied) {
        verdict->forwards++;
    } else if (known && found < applied) {
        roll_back(verdict, found, applied);
    }
    verdict->applied[bucket] = found;
}

void recorder_verdict_reach(struct recorder_verdict *verdict, bool known,
                            const int64_t applied[STORE_BUCKETS],
                            const int64_t found[STORE_BUCKETS])
{
    memset(verdict, 0, sizeof *verdict);
    verdict->damaged = count_of(CHECKPOINT_DAMAGED, found);
    if (verdict->damaged > 0) {
        return;
    }
    verdict->highest = highest_of(found);
    if (count_of(CHECKPOINT_ABSENT, found) == STORE_BUCKETS) {
        verdict->absent = true;
        verdict->emptied = known && highest_of(applied) > 0;
        return;
    }
    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        verdict->adopted[bucket] = CHECKPOINT_ABSENT;
        judge_bucket(verdict, bucket, known, applied[bucket], found[bucket]);
    }
}
