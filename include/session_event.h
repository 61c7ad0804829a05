/*
 * session_event.h - what a session tells the event log, and the operator
 *
 * Each function appends its events and writes a log line a decision; the
 * result is that of the event log.
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
session_event_refused(struct event_log *log, const struct session *session,
                      const struct session_recipient *recipient,
                      const struct envelope_answer *answer,
                      const struct envelope_reply *reply, int64_t latency_us);

/* Let through although listed: action observe or exempt. */
enum event_log_result
session_event_observed(struct event_log *log, const struct session *session,
                       const struct session_recipient *recipient,
                       const struct envelope_answer *answer,
                       int64_t latency_us);

/* Refused by the MTA itself. */
enum event_log_result
session_event_rejected(struct event_log *log, const struct session *session,
                       const struct session_recipient *recipient,
                       const struct smtp_reply *reply);

/* The suppressed recipients at the end of an emulated session. */
enum event_log_result session_event_settled(struct event_log *log,
                                            const struct session *session,
                                            const char *action);

/* The accepted recipients at the end of the message. */
enum event_log_result
session_event_received(const struct session_services *services,
                       const struct session *session);

#endif
