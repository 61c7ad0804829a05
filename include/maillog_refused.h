/*
 * maillog_refused.h - who was refused of which message
 *
 * Sendmail logs a refusal that a filter is shown, or makes, too: each is one
 * event, and so is one that sendmail(1) logs twice.
 *
 * Bounds   the last MAILLOG_REFUSED refusals, about; strangers cause them, so
 *          a set that is full forgets its oldest.
 * Threads  one at a time.
 */
#ifndef NIXIE_MAILLOG_REFUSED_H
#define NIXIE_MAILLOG_REFUSED_H

#include "event.h"

#include <stdbool.h>

#define MAILLOG_REFUSED 65536

struct maillog_refused;

struct maillog_refused *maillog_refused_new(void); /* NULL: no memory */
void maillog_refused_free(struct maillog_refused *refused); /* or NULL */

/* Of an event with queue id and recipient; others are of no use here. */
void maillog_refused_add(struct maillog_refused *refused,
                         const struct event *event);
bool maillog_refused_has(const struct maillog_refused *refused,
                         const struct event *event);

#endif
