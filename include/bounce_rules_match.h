/*
 * bounce_rules_match.h - the conditions of a rule
 *
 * Each condition is a list, of which one must hold; a condition that asks for
 * what is not known does not hold.
 *
 * Owner    bounce_conditions_clear() frees what bounce_condition_parse() made.
 * Threads  any.
 */
#ifndef NIXIE_BOUNCE_RULES_MATCH_H
#define NIXIE_BOUNCE_RULES_MATCH_H

#include "bounce_rules.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOUNCE_VALUES_MAX   32
#define BOUNCE_STATUSES_MAX 128 /* a provider has dozens for one reason */
#define BOUNCE_HOST_MAX     255 /* RFC 1035 2.3.4 */

/* x.1.1, 5.7.x */
struct bounce_status {
    int16_t parts[3]; /* class, subject, detail; -1: any */
};

struct bounce_conditions {
    size_t code_count, status_count, mta_count;
    int16_t codes[BOUNCE_VALUES_MAX]; /* 550, or 5: the class */
    struct bounce_status statuses[BOUNCE_STATUSES_MAX];
    char *mtas[BOUNCE_VALUES_MAX]; /* globs, lower case */
    unsigned stages;               /* bits of enum bounce_stage; 0: any */
};

/* The question, taken apart once for all rules. */
struct bounce_facts {
    int reply_code;
    struct bounce_status status; /* parts[0] 0: unknown */
    enum bounce_stage stage;
    size_t mta_length;
    char mta[BOUNCE_HOST_MAX + 1]; /* lower case, no dot at its end */
};

/*
 * Adds "code=550,551". False: *advice is what to write instead. NULL when out
 * of memory.
 */
bool bounce_condition_parse(struct text condition,
                            struct bounce_conditions *conditions,
                            const char **advice);
void bounce_conditions_clear(struct bounce_conditions *conditions);

bool bounce_conditions_empty(const struct bounce_conditions *conditions);

void bounce_facts_take(const struct bounce_question *question,
                       struct bounce_facts *facts);
bool bounce_conditions_hold(const struct bounce_conditions *conditions,
                            const struct bounce_facts *facts);

#endif
