/*
 * maillog_flood.h - refusals that the delivery log tells, under a rate
 *
 * As those of sessions are (client_rate.h): whoever reaches the MTA makes it
 * refuse as fast as it answers, and Sendmail refuses many recipients without
 * asking a filter. The time is that of the log, so that one that is read late
 * tells no less.
 *
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_FLOOD_H
#define NIXIE_MAILLOG_FLOOD_H

#include "event.h"
#include "event_log.h"

#include <stdbool.h>
#include <stdint.h>

struct maillog_flood;

/* New, or NULL: no memory. log is borrowed for its life. */
struct maillog_flood *maillog_flood_new(struct event_log *log);
void maillog_flood_free(struct maillog_flood *flood); /* or NULL */

/* False: it is counted instead. rate: events a second; 0: no limit. */
bool maillog_flood_has_line(struct maillog_flood *flood, int64_t rate,
                            const struct event *event);

/* What had no line. To be called about once a second. */
void maillog_flood_sum_up(struct maillog_flood *flood);

#endif
