/*
 * bounce_rules_words.h - the words that a pattern cannot do without
 *
 * A pattern such as "(user|mailbox) .{0,20}(unknown|not found)" is found only
 * in texts that have one word of each list, and where one of the first list
 * begins. bounce_rules_filter.h looks for the words of all patterns at once,
 * so that few patterns have to be tried, and each in few places.
 *
 * What is told of a branch holds for every text that the branch is found in.
 * Of syntax that is not understood nothing is told: the pattern is tried on
 * each text. Repeats, classes and groups are; back references, options
 * within the pattern, recursion and verbs are not.
 *
 * Threads  any.
 */
#ifndef NIXIE_BOUNCE_RULES_WORDS_H
#define NIXIE_BOUNCE_RULES_WORDS_H

#include "bounce_rules_list.h"

#include <stddef.h>

#define BOUNCE_CLAUSES_MAX  3
#define BOUNCE_BRANCHES_MAX 64

/* What stands between the bars of a pattern, outside of all groups. */
struct bounce_branch {
    size_t begin, end;                /* in the pattern */
    const struct bounce_words *start; /* it begins with one; NULL: unknown */
    const struct bounce_words *clauses[BOUNCE_CLAUSES_MAX];
    size_t clause_count;
};

struct bounce_analysis;

/* New, or NULL when out of memory. It serves one pattern after the other. */
struct bounce_analysis *bounce_analysis_new(void);
void bounce_analysis_free(struct bounce_analysis *analysis);

/*
 * The branches of a pattern that PCRE2 takes; they live until the next call.
 * 0: not understood.
 */
size_t bounce_analysis_run(struct bounce_analysis *analysis,
                           const char *pattern,
                           const struct bounce_branch **branches);

#endif
