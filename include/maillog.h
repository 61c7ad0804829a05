/*
 * maillog.h - outcomes from the delivery log of the MTA
 *
 * A thread that follows the log, joins each line about a recipient with what
 * is known of its message, and appends the outcome: delivery, delay, bounce,
 * expiration, for Sendmail also rejection. The place in the log rides in each
 * event (maillog_position), and in a mark where there are no events for a
 * while; at start it is read back from the event log, so that each line gives
 * its events once, whatever ends the process when.
 *
 * Threads  one of its own; the functions here from any.
 */
#ifndef NIXIE_MAILLOG_H
#define NIXIE_MAILLOG_H

#include "delay_notice.h"
#include "error.h"
#include "event_log.h"
#include "maillog_message.h"
#include "settings_share.h"
#include "suppression.h"
#include "unclassified.h"

#include <stdbool.h>
#include <stdint.h>

struct maillog_options { /* all borrowed for its life */
    struct settings_share *settings;
    struct event_log *log;
    struct suppression *list;
    struct unclassified *unclassified;
    struct maillog_messages *messages;
    struct delay_notices *notices; /* NULL: senders are told nothing */
};

struct maillog;

/*
 * New and running, or NULL with error. Reads back the event log first, in its
 * own thread.
 */
struct maillog *maillog_start(const struct maillog_options *options,
                              struct error *error);

struct maillog_state {
    uint64_t lines, events;
    uint64_t passed; /* lines that tell nothing of a message */
    int64_t behind_bytes;
    uint64_t truncations, lost_files;
    uint64_t unseen; /* outcomes of messages that nixie did not see come in */
};
void maillog_state(struct maillog *maillog, struct maillog_state *state);

/* What of one source is not read yet, by its index in the setting. */
int64_t maillog_behind(struct maillog *maillog, size_t source);

void maillog_stop(struct maillog *maillog); /* takes it, or NULL */

#endif
