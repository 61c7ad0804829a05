/*
 * maillog_schedule.h - when a deferred message is tried again, and how often
 *
 * Source   Postfix qmgr(8): the next attempt comes after as long as the
 *          message has been in the queue, at least minimal_backoff_time, at
 *          most maximal_backoff_time; it is given up at the first attempt
 *          after maximal_queue_lifetime (bounce_queue_lifetime for the null
 *          sender). Or a list of minutes, each the wait before the next
 *          attempt; after the last one it is given up.
 * Units    seconds, but for names in _us.
 * Threads  any: read-only once made.
 */
#ifndef NIXIE_MAILLOG_SCHEDULE_H
#define NIXIE_MAILLOG_SCHEDULE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_STEPS_MAX 100

struct maillog_schedule {
    /* Postfix's; of no use when steps > 0 */
    int64_t minimal_backoff_s, maximal_backoff_s;
    int64_t queue_run_delay_s;
    int64_t queue_lifetime_s, bounce_queue_lifetime_s;
    size_t steps;
    int64_t step_s[SCHEDULE_STEPS_MAX];
};

/* Postfix's own defaults: 300, 4000, 300, 5 d, 5 d. */
void maillog_schedule_init(struct maillog_schedule *schedule);

/* A list of minutes, as the setting has it; at most SCHEDULE_STEPS_MAX. */
void maillog_schedule_take_minutes(struct maillog_schedule *schedule,
                                   const int64_t *minutes, size_t count);

/*
 * What the running Postfix has, asked from postconf(1) without a shell. False
 * with error: it is not there, or its answer is no use; *schedule stays.
 */
bool maillog_schedule_ask_postfix(struct maillog_schedule *schedule,
                                  struct error *error);

/* After attempt number `attempt` (from 1) failed for a while. */
struct maillog_attempt {
    int64_t attempt;
    int64_t at_us;
    int64_t arrival_us; /* 0: unknown, then of the first attempt */
    int64_t first_us;
    bool null_sender;
};
struct maillog_horizon {
    int64_t next_us;       /* 0: none */
    int64_t attempts_left; /* after this one; 0: it was the last */
    int64_t expires_us;
};
void maillog_schedule_look(const struct maillog_schedule *schedule,
                           const struct maillog_attempt *attempt,
                           struct maillog_horizon *horizon);

#endif
