/*
 * maillog_outcome.h - a record of the delivery log as an event
 *
 * Who it was sent to (the address before our aliases), what is known of the
 * message, which attempt it was and what comes next, whether it may count.
 *
 * Owner    the event's texts live in the record and in struct maillog_outcome.
 * Threads  any: the arguments belong to the caller.
 */
#ifndef NIXIE_MAILLOG_OUTCOME_H
#define NIXIE_MAILLOG_OUTCOME_H

#include "clock.h"
#include "event.h"
#include "mailbox.h"
#include "maillog_line.h"
#include "maillog_message.h"
#include "maillog_schedule.h"
#include "outcome.h"
#include "settings.h"

#include <stdbool.h>
#include <stdint.h>

struct maillog_sources {
    const struct settings *settings;
    const struct maillog_schedule *schedule;
    struct maillog_messages *messages;
};

struct maillog_outcome {
    struct event event;
    struct outcome_facts facts;
    /* what event and facts point to */
    struct maillog_message message;
    struct mailbox recipient, final;
    char first_at[CLOCK_TIMESTAMP_SIZE], next_at[CLOCK_TIMESTAMP_SIZE],
        expires_at[CLOCK_TIMESTAMP_SIZE];
};

/*
 * Of a record of kind OUTCOME or REJECTION, for one of its recipients. False:
 * it is no event (an internal hop, a forward by alias, no mailbox, a refusal
 * that the settings take from elsewhere). A hop is internal when the settings
 * say so, or when it came back to our MTA under the id that the reply names.
 */
bool maillog_outcome_make(const struct maillog_sources *sources,
                          const struct maillog_record *record,
                          struct text recipient,
                          struct maillog_outcome *outcome);

/*
 * Of a record of kind EXPIRED, for the next recipient of its message that
 * waits; *at is 0 before the first. False: there are no more.
 */
bool maillog_outcome_expire(const struct maillog_sources *sources,
                            const struct maillog_record *record, size_t *at,
                            struct maillog_outcome *outcome);

#endif
