/*
 * maillog_flood.h - refusals that the delivery log tells, under a rate
 *
 * As those of sessions are (client_rate.h): whoever reaches the MTA makes it
 * refuse as fast as it answers, and Sendmail refuses many recipients without
 * asking a filter. The time is that of the log, so that one that is read late
 * tells no less.
 *
 * What is counted is told by one event, whole or not at all, which has the
 * place up to which it is counted. No event may tell a later place before
 * that: a kill in between would lose what is counted, or count it twice.
 *
 * Owner    texts of an event lie in the flood, until its next use.
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_FLOOD_H
#define NIXIE_MAILLOG_FLOOD_H

#include "event.h"

#include <stdbool.h>
#include <stdint.h>

struct maillog_flood;

struct maillog_flood *maillog_flood_new(void);        /* NULL: no memory */
void maillog_flood_free(struct maillog_flood *flood); /* or NULL */

/* False: it is counted instead. rate: events a second; 0: no limit. */
bool maillog_flood_has_line(struct maillog_flood *flood, int64_t rate,
                            const struct event *event);

/* All that had no line, of whichever client; false: there is nothing. */
bool maillog_flood_sum_up(struct maillog_flood *flood, struct event *sum);

#endif
