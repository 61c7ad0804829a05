/*
 * outcome.h - what became of a delivery, on its way to the log
 *
 * The stage between those who observe (the delivery log, reports) and the
 * event log: it has the verdict, and says whether the failure is a strike.
 * The one who observes fills the event with what it saw; this adds reason,
 * failure_type, bounce_class, rule, counted and the limits.
 *
 * Never counted: what is not about a failure; what is not ours (believed
 * false); what nixie decided; failures that tell nothing about
 * this recipient (destination: connection, DNS, TLS, a suspended
 * destination) unless the message was given up, or because there is no such
 * domain as the recipient's; reasons that blame the sender;
 * recipients on the allow list, whose reason becomes error_ignored, or on the
 * suppression list already; recipients that are no mailbox. If the lists do
 * not answer in time, the recipient counts: who acts on what is due looks
 * again.
 *
 * Owner    arguments are borrowed; texts it sets live as long as `judge`'s
 *          next call, or longer.
 * Waits    for one lookup of the lists for each failure.
 * Threads  a struct outcome_judge belongs to one; several may share the
 *          settings, the lists and the unclassified.
 */
#ifndef NIXIE_OUTCOME_H
#define NIXIE_OUTCOME_H

#include "event.h"
#include "settings_share.h"
#include "suppression.h"
#include "unclassified.h"
#include "verdict.h"

#include <stdbool.h>

struct outcome_facts {
    struct text reply; /* the whole remote text; event->diagnostic is a part */
    enum bounce_stage stage;
    bool believed;    /* it may count: a message of ours, an authentic report */
    bool destination; /* not about this recipient but the way to it */
    bool named;       /* that names the domain of the recipient */
    bool soft;        /* however hard, it counts as a soft failure only */
    bool shared;      /* somebody else could say so: two messages at least */
};

struct outcome_judge_options {
    struct settings_share *settings;
    struct suppression *list;          /* NULL: no lookup */
    struct unclassified *unclassified; /* NULL: texts no rule knew are lost */
};

struct outcome_judge;

/*
 * New, or NULL: out of memory, or the rules of the settings are not loaded.
 * Settings that come later without rules are passed over. options are copied,
 * what they name lives longer.
 */
struct outcome_judge *
outcome_judge_new(const struct outcome_judge_options *options);
void outcome_judge_free(struct outcome_judge *judge); /* or NULL */

/*
 * Completes event, of a type delivery, delay, bounce, expiration, out_of_band
 * or feedback. recipient and recipient_domain are set already. Sets
 * reply_code and enhanced_status too where they are absent and the reply has
 * them, and destination where the facts say so. A delivery gets no verdict
 * and is not counted; feedback goes by its feedback_type, without a rule.
 */
void outcome_judge(struct outcome_judge *judge,
                   const struct outcome_facts *facts, struct event *event);

#endif
