/*
 * quarantine_event.h - a decision as a line of the log, and one for people
 *
 * Each function appends one event, tells the operator in a line, and gives
 * what became of the event.
 *
 * Owner    arguments are borrowed.
 * Threads  any.
 */
#ifndef NIXIE_QUARANTINE_EVENT_H
#define NIXIE_QUARANTINE_EVENT_H

#include "event_log.h"
#include "quarantine_breaker.h"
#include "quarantine_look.h"

/* release_s: POLICY_FOR_GOOD, or for how long. */
enum event_log_result quarantine_event_added(struct event_log *log,
                                             int64_t now_us,
                                             const struct quarantine_due *due,
                                             enum reason reason,
                                             int64_t release_s);

/*
 * withheld_by: allow, entry, breaker; or policy: there is no such reason,
 * failures of it do not count (any more), or they are too few (now).
 */
enum event_log_result
quarantine_event_withheld(struct event_log *log, int64_t now_us,
                          const struct quarantine_due *due,
                          const char *withheld_by);

/* down or up, as the value says. */
enum event_log_result quarantine_event_domain(struct event_log *log,
                                              int64_t now_us,
                                              const struct quarantine_due *due);

enum event_log_result
quarantine_event_breaker(struct event_log *log, int64_t now_us, bool opened,
                         const struct quarantine_breaker *breaker);

/* What goes for this failure: of a temporary reply no reason is hard. */
enum failure_type quarantine_failure_type(const struct quarantine_due *due,
                                          enum reason reason);

#endif
