/*
 * session_event.h - what a session tells the event log, and the operator
 *
 * Each function appends its events and writes a log line a decision; the
 * result is that of the event log.
 *
 * Of a client that did not log in, refusals beyond client_event_rate have
 * neither: they are counted, and the result is that of a line that was
 * written. session_event_sum_up() tells how many they were.
 */
#ifndef NIXIE_SESSION_EVENT_H
#define NIXIE_SESSION_EVENT_H

#include "envelope_check.h"
#include "event_log.h"
#include "session_recipient.h"
#include "smtp_reply.h"

#include <stdbool.h>
#include <stdint.h>

/* Our refusal at RCPT: action reject, or tempfail with a 4xx reply. */
enum event_log_result
session_event_refused(const struct session_services *services,
                      const struct session *session,
                      const struct session_recipient *recipient,
                      const struct envelope_answer *answer,
                      const struct envelope_reply *reply, int64_t latency_us);

/* Let through although listed: action observe or exempt. */
enum event_log_result session_event_observed(
    const struct session_services *services, const struct session *session,
    const struct session_recipient *recipient,
    const struct envelope_answer *answer, int64_t latency_us);

/* Refused by the MTA itself. */
enum event_log_result session_event_rejected(
    const struct session_services *services, const struct session *session,
    const struct session_recipient *recipient, const struct smtp_reply *reply);

/* What had no line of its own. To be called about once a second. */
void session_event_sum_up(struct event_log *log, struct client_rates *rates);

/* The suppressed recipients at the end of an emulated session. */
enum event_log_result session_event_settled(struct event_log *log,
                                            const struct session *session,
                                            const char *action);

/* The accepted recipients at the end of the message. */
enum event_log_result
session_event_received(const struct session_services *services,
                       const struct session *session);

#endif
