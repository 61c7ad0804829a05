/*
 * delay_notice.h - tells the sender that a message is late
 *
 * One notice a message, after so many attempts (setting delay_notice_after),
 * through the local MTA: a delivery status notification (RFC 3464) with
 * Action: delayed and Will-Retry-Until, and a text for people from a template:
 * who does not get it yet, what the other side said, how many attempts remain,
 * and that nothing need be sent again. Its reverse-path is null.
 *
 * None goes out for a null sender, for lists and bulk (what the sender's
 * address tells: owner-, -request, -bounces, no-reply ...), to a sender
 * that is suppressed, beyond delay_notice_limit an hour, or for a message of
 * which nixie has told already. A notice that the MTA does not take is tried
 * again a few times, then dropped and logged. With a template that is missing
 * or wrong there are none until a reload: that is an error in the log.
 *
 * Template  <delay_notice_folder>/delay.<language>.txt, see nixie.conf(5).
 * Threads   _offer() from any, it never waits; a thread of its own sends.
 */
#ifndef NIXIE_DELAY_NOTICE_H
#define NIXIE_DELAY_NOTICE_H

#include "error.h"
#include "event.h"
#include "settings_share.h"
#include "suppression.h"

#include <stdbool.h>
#include <stdint.h>

#define DELAY_NOTICE_WAITING 1000 /* notices that wait to be sent */

struct delay_notice_options { /* borrowed for its life */
    struct settings_share *settings;
    struct suppression *list; /* may be NULL */
};

struct delay_notices;

/* New and running, or NULL with error. */
struct delay_notices *
delay_notices_start(const struct delay_notice_options *options,
                    struct error *error);

/* After settings were exchanged: the template is read again. */
void delay_notices_reload(struct delay_notices *notices);

/*
 * Whether _offer() would take this event now. The caller asks before the event
 * is logged, so that its line can say that the sender is told, and offers when
 * the line is written: what a restart reads there is not told again.
 */
bool delay_notices_wants(struct delay_notices *notices,
                         const struct event *event);

/*
 * A delay event of the delivery log, complete. True: a notice about it is on
 * its way, so that the caller can note that the message has had one.
 */
bool delay_notices_offer(struct delay_notices *notices,
                         const struct event *event);

struct delay_notices_state {
    uint64_t sent, failed, limited;
    bool on; /* there are notices, and there is a template for them */
};
void delay_notices_state(struct delay_notices *notices,
                         struct delay_notices_state *state);

void delay_notices_stop(struct delay_notices *notices); /* takes it, or NULL */

#endif
