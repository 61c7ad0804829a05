/*
 * suppression_follow_begin.h - turns the tracking of keys on
 *
 * Threads  one.
 */
#ifndef NIXIE_SUPPRESSION_FOLLOW_BEGIN_H
#define NIXIE_SUPPRESSION_FOLLOW_BEGIN_H

#include "redis_link.h"
#include "suppression_follow.h"

struct suppression_follow_pair {
    struct redis_link *naming;
    struct redis_link *asking;
    const char *prefixes[2];
};

/* Opens both; from then on keys with the prefixes are named on one. */
enum suppression_follow_result
suppression_follow_begin(const struct suppression_follow_pair *pair,
                         int64_t deadline_ms, struct error *error);

/* What a reply that is no answer means, with error. */
enum suppression_follow_result suppression_follow_strange(struct error *error);
enum suppression_follow_result
suppression_follow_refused(const char *what, const redisReply *reply,
                           struct error *error);

#endif
