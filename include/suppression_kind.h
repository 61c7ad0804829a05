/*
 * suppression_kind.h - of which kinds the keys of the lists are
 *
 * Most lists hold addresses and nothing else: no domains, no entries for one
 * scope, nobody who is allowed. A lookup that knows this has one key to look
 * for, and not a dozen. The kind of a key is told by its bytes alone, and that
 * of a pattern by the same bytes, so the two cannot disagree.
 *
 * Threads  any.
 */
#ifndef NIXIE_SUPPRESSION_KIND_H
#define NIXIE_SUPPRESSION_KIND_H

#include "store_key.h"
#include "text.h"

#include <stdbool.h>
#include <stdint.h>

/* A set of kinds: a bit for each. */
typedef uint32_t suppression_kinds;

#define SUPPRESSION_KINDS_ALL ((suppression_kinds)0xffff)
/* In any list, for any scope: what has no @ at either end. */
#define SUPPRESSION_KINDS_ADDRESS ((suppression_kinds)0x1111)

/* The one kind of such a pattern in that list. */
suppression_kinds suppression_kind(enum store_list list, bool for_scope,
                                   struct text pattern);

/*
 * The kind of a list's key, without the prefix: "suppress@news:ann@". Of what
 * is no such key: all.
 */
suppression_kinds suppression_kind_of_key(struct text key);

#endif
