/*
 * bounce_rules_filter.h - which patterns may be found in a text, and where
 *
 * One pass over the text (bounce_rules_automaton.h) finds the words of all
 * patterns; a pattern whose words are not there cannot be found. Patterns are
 * known by the number in which they were added.
 *
 * Owner    a filter is the caller's, its words are copied.
 * Threads  a built filter is read-only and shared; a state has one user at a
 *          time, and serves the filter it was made for.
 */
#ifndef NIXIE_BOUNCE_RULES_FILTER_H
#define NIXIE_BOUNCE_RULES_FILTER_H

#include "bounce_rules_words.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define BOUNCE_FILTER_TEXT_MAX 4096
#define BOUNCE_FILTER_NONE     ((size_t)-1)

struct bounce_filter;
struct bounce_filter_state;

/* New, or NULL when out of memory. */
struct bounce_filter *bounce_filter_new(void);
void bounce_filter_free(struct bounce_filter *filter);

/* The next pattern; branch NULL: nothing is known of it. False: no memory. */
bool bounce_filter_add(struct bounce_filter *filter,
                       const struct bounce_branch *branch);

/* After the last. False: no memory. */
bool bounce_filter_build(struct bounce_filter *filter);

struct bounce_filter_state *
bounce_filter_state_new(const struct bounce_filter *filter);
void bounce_filter_state_free(struct bounce_filter_state *state);

/* Texts longer than BOUNCE_FILTER_TEXT_MAX are looked at up to there. */
void bounce_filter_scan(const struct bounce_filter *filter,
                        struct bounce_filter_state *state, struct text text);

/* The first pattern from this number on that may be found; or NONE. */
size_t bounce_filter_next(const struct bounce_filter *filter,
                          const struct bounce_filter_state *state,
                          size_t pattern);

/*
 * The places where a pattern may begin, if it was added with a start:
 * for (place = bounce_filter_first(…); place; place = bounce_filter_more(…))
 */
struct bounce_filter_place {
    size_t at;
    size_t word, hit; /* for bounce_filter_more() */
};
bool bounce_filter_first(const struct bounce_filter *filter,
                         const struct bounce_filter_state *state,
                         size_t pattern, struct bounce_filter_place *place);
bool bounce_filter_more(const struct bounce_filter *filter,
                        const struct bounce_filter_state *state, size_t pattern,
                        struct bounce_filter_place *place);

#endif
