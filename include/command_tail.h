/*
 * command_tail.h - which events nixie tail shows, and how they look
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_TAIL_H
#define NIXIE_COMMAND_TAIL_H

#include "command.h"
#include "event.h"
#include "mailbox.h"

#include <stdbool.h>
#include <stdint.h>

/* All that is given must fit. */
struct tail_filter {
    bool any;        /* something is given */
    bool for_people; /* records for programs only if their type is given */
    bool has_types;
    bool types[EVENT_TYPES];
    bool has_recipient;
    struct mailbox_pattern recipient;
    struct mailbox_pattern pseudonym;       /* as good; of no kind: none */
    char domain[MAILBOX_DOMAIN_MAX + 1];    /* "": not given */
    const char *reason, *origin, *queue_id; /* borrowed; NULL: not given */
    int64_t since_us, until_us;             /* 0: not given */
};

/* From the options of a call; false after a complaint. */
bool tail_filter_take(struct tail_filter *filter,
                      const struct command_call *call, int64_t now_us);

bool tail_filter_wants(const struct tail_filter *filter,
                       const struct event *event);

/* The recipient, or the pattern that stands in its place in a change. */
struct text command_tail_recipient(const struct event *event);

/* A line on standard output. */
void command_tail_show(const struct event *event, bool coloured);

#endif
