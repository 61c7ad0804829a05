/*
 * command_why.h - what `nixie why` finds out of a mailbox, and how it tells it
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_WHY_H
#define NIXIE_COMMAND_WHY_H

#include "command.h"
#include "command_entry.h"
#include "command_health.h"
#include "envelope_check.h"
#include "policy.h"
#include "pseudonym.h"
#include "scope.h"
#include "suppression.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- strikes, and what policy makes of them ---- */

#define WHY_STRIKES_MAX 1000 /* the latest; of a policy no more count */

/* A line of evidence; texts are borrowed from it, "-" is unknown. */
struct why_evidence {
    struct text at, queue_id, message_id, reply_code, enhanced_status, reason,
        diagnostic;
};

/* False when it is none that the recorder wrote. */
bool why_evidence_parse(struct text line, struct why_evidence *evidence);

struct why_strikes {
    redisReply *strikes;  /* messages and times, the oldest first */
    redisReply *evidence; /* lines, the latest first */
    redisReply *due;      /* a reason, or nil */
    int64_t escalation;   /* suppressions by policy since the last delivery */
};

/* What would come next if failures went on as the latest. */
struct why_policy {
    bool known;  /* a failure that has a reason; else there is no policy */
    bool counts; /* failures of this reason do */
    enum reason reason;
    enum failure_type type;
    const struct policy *policy; /* borrowed from the settings */
    int64_t strikes, days;       /* within the window */
    int64_t messages_left, days_left;
    int64_t release_s; /* of the next suppression */
};

/* The recipient's history tells the reason when no evidence does. */
void why_policy_make(const struct policies *policies,
                     const struct why_strikes *strikes,
                     const redisReply *recipient, int64_t now_us,
                     struct why_policy *policy);

/* What stops policy, or is done already. */
enum why_state {
    WHY_OPEN,
    WHY_ALLOWED,
    WHY_SUPPRESSED,
    WHY_DUE,
};

/* "1 of 5 strikes within 30 days, on 1 of 3 days: next: suppressed for …" */
#define WHY_SENTENCE_SIZE 800
void why_policy_sentence(const struct why_policy *policy, enum why_state state,
                         const struct quarantine_breaker *breaker,
                         char sentence[WHY_SENTENCE_SIZE]);

/* ---- all that is found out, before anything is printed ---- */

struct findings {
    const struct command_call *call; /* its settings are all that is used */
    int64_t now_us;
    int64_t deadline_ms; /* clock_monotonic_ms, of all but the last second */
    const char *scope;      /* whose lists are asked, too; NULL: of none */
    const struct scope *in; /* the same as configured; NULL: it is not */
    bool describes_mail;    /* sender, listener, user or client were given */
    bool null_sender;
    struct mailbox mailbox;
    struct pseudonym_key secret;
    const struct pseudonym_key *pseudonyms; /* &secret, or NULL */
    struct store_key *keys; /* looked up, in this order */
    bool *present;
    size_t key_count;
    enum suppression_result result;
    struct suppression_entry entry; /* of FOUND and ALLOWED */
    struct command_entry detail;    /* the same with all its fields */
    bool has_detail;
    struct envelope_answer answer; /* not of a scope that is not configured */
    struct store_key *elsewhere;   /* keys there are in lists of scopes */
    size_t elsewhere_count;
    redisReply *recipient; /* its history; NULL: it has no name */
    struct why_strikes strikes;
    struct health_domain domain; /* name "": it has none */
};

/* ---- the scope ---- */

#define WHY_SENDER_SIZE 1025

/* From the options, by the configuration. False after a complaint. */
bool why_scope_take(struct findings *findings);

/* Where nobody asked for one: what stands in the lists of any. */
bool why_scope_look(struct findings *findings, struct command_store *store,
                    struct error *error);

/* Whether it is known what mail of the scope goes by. */
static inline bool why_scope_is_known(const struct findings *findings)
{
    return findings->scope == NULL || findings->in != NULL;
}

void why_scope_print(const struct findings *findings);
void why_scope_print_others(const struct findings *findings);
void why_scope_set(json_t *object, const struct findings *findings);

void why_strikes_print(const struct findings *findings);
void why_strikes_set(json_t *object, const struct findings *findings);

/* From call to mailbox they are given; to be forgotten in any case. */
bool why_find_out(struct findings *findings, struct error *error);
void why_forget(struct findings *findings);

void why_findings_print(struct findings *findings);
json_t *why_findings_json(struct findings *findings); /* new */

#endif
