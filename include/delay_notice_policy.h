/*
 * delay_notice_policy.h - who is told of a delay, when, and how often
 *
 * Source   RFC 3834 2 and 5 for addresses that no automatic mail is sent to;
 *          what list managers and VERP make of local parts.
 * Units    now_us since 1970, now_ms of a clock that never steps.
 * Threads  any; a limit belongs to one at a time.
 */
#ifndef NIXIE_DELAY_NOTICE_POLICY_H
#define NIXIE_DELAY_NOTICE_POLICY_H

#include "event.h"
#include "mailbox.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A delay after at least `after` attempts (0: never), with attempts left. One
 * whose next attempt is past is old news, such as a log that is caught up with
 * has: the next attempt tells more.
 */
bool delay_notice_is_due(const struct event *event, int64_t after,
                         int64_t now_us);

/*
 * The address to write to, its local part as it was given. False: null, not
 * an address with a domain, or of a list, a robot, a mail system.
 */
bool delay_notice_takes(struct text sender, struct mailbox *mailbox);

/*
 * A bucket of an hour's notices, full at first, that fills evenly. It begins
 * to limit when it is empty, and ends when it is half full again, so that it
 * is no news each time that one notice may go out.
 */
struct delay_notice_limit {
    bool started;
    bool limiting;
    int64_t level_us; /* hours' worth: a notice costs hour / per_hour */
    int64_t then_ms;
    uint64_t held_back; /* since it began to limit */
};

/* Whether one may go out now; *began is set when that is news. */
bool delay_notice_limit_take(struct delay_notice_limit *limit, int64_t per_hour,
                             int64_t now_ms, bool *began);

/* Whether one could; nothing is taken. */
bool delay_notice_limit_has(struct delay_notice_limit *limit, int64_t per_hour,
                            int64_t now_ms);

/* True once, when the limiting is over: how many it held back. */
bool delay_notice_limit_ended(struct delay_notice_limit *limit,
                              int64_t per_hour, int64_t now_ms,
                              uint64_t *held_back);

#endif
