/*
 * verdict.h - why a delivery failed, and how lasting that is
 *
 * In order: the first rule that holds (the text says more than its code), the
 * enhanced status, the reply code, undetermined. A reply that is temporary by
 * its code or its status is never hard, whatever its words are.
 *
 * Source   RFC 3463 and the IANA registry of enhanced status codes, RFC 5321
 *          4.2.3, RFC 7504.
 * Owner    arguments are borrowed; rule lives with the rules.
 * Threads  as bounce_rules.h: a scratch has one user at a time.
 */
#ifndef NIXIE_VERDICT_H
#define NIXIE_VERDICT_H

#include "bounce_rules.h"
#include "reason.h"
#include "reply_text.h"
#include "reply_text_memory.h"
#include "smtp_reply.h"
#include "text.h"

struct verdict_question {
    struct text reply;           /* with or without its codes */
    int reply_code;              /* 0: as the reply has it */
    struct text enhanced_status; /* unknown or empty: as the reply has it */
    struct text remote_mta;
    enum bounce_stage stage;
    struct reply_text_memory *memory; /* NULL: each is normalised anew */
};

enum verdict_source {
    VERDICT_RULE,
    VERDICT_STATUS,
    VERDICT_CODE,
    VERDICT_NONE, /* undetermined: to be qualified */
};

struct verdict {
    enum reason reason;
    enum failure_type failure_type;
    enum verdict_source source;
    const struct bounce_rule *rule; /* NULL unless source is VERDICT_RULE */
    int reply_code;                 /* 0: none */
    char enhanced_status[ENHANCED_STATUS_SIZE]; /* "": none */
    struct reply_text text; /* what rules saw; of use when no rule knew it */
};

void verdict_classify(const struct bounce_rules *rules,
                      struct bounce_scratch *scratch,
                      const struct verdict_question *question,
                      struct verdict *verdict);

/*
 * Reason and type as if there were no rule: from status and code of *verdict.
 * The type is that of verdict_classify() too.
 */
void verdict_fall_back(struct verdict *verdict);

/* What a rule makes of the reply that *verdict is about. */
void verdict_apply(struct verdict *verdict, const struct bounce_rule *rule);

/* The question for the rules that *verdict is about; texts are borrowed. */
struct bounce_question
verdict_bounce_question(const struct verdict_question *question,
                        const struct verdict *verdict);

/* "mailbox-full", "status:5.1.1", "code:550", "none"; returns buffer. */
#define VERDICT_RULE_SIZE (BOUNCE_RULES_ID_MAX + 1)
char *verdict_rule_name(const struct verdict *verdict,
                        char buffer[VERDICT_RULE_SIZE]);

#endif
