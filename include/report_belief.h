/*
 * report_belief.h - whom a recipient of a report stands for, and its worth
 *
 * The mark of the returned message tells to whom it was sent, whatever alias
 * or forward it took since; without one it is what the report names.
 *
 * Owner    arguments are borrowed; what comes out has no pointers but sent_to,
 *          which points into it.
 * Errors   are none: without keys nothing is believed.
 * Threads  any.
 */
#ifndef NIXIE_REPORT_BELIEF_H
#define NIXIE_REPORT_BELIEF_H

#include "mailbox.h"
#include "report.h"
#include "trace.h"

#include <stdint.h>

struct report_belief {
    struct mailbox original, final; /* as named; "" when there is none */
    struct mailbox actual;          /* behind the final one, or "" */
    struct mailbox marked;          /* as the mark says */
    const struct mailbox
        *sent_to; /* original, final or marked; its address may be "" */
    struct trace_result trace;
};

struct report_believer {
    struct trace_keys *keys; /* NULL: nothing is believed */
    const struct mailbox_rules *rules;
    int64_t now_us;
};

void report_believe(const struct report_believer *believer,
                    const struct report *report,
                    const struct report_recipient *recipient,
                    struct report_belief *belief);

#endif
