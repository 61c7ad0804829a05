/*
 * unclassified.h - failure texts that no rule knew, counted to be qualified
 *
 * <prefix>unclassified: sorted set, normalised text -> count, and
 * <prefix>unclassified:example: hash, normalised text -> a reply as it came
 * (at most UNCLASSIFIED_EXAMPLE_MAX bytes). At most UNCLASSIFIED_MAX texts:
 * the rarest go. Not exact: what Redis did not take in time is lost, and no
 * event depends on it.
 *
 * Threads  any may add; one flushes.
 */
#ifndef NIXIE_UNCLASSIFIED_H
#define NIXIE_UNCLASSIFIED_H

#include "error.h"
#include "redis_endpoint.h"
#include "store_key.h"
#include "text.h"

#include <stdbool.h>
#include <stdint.h>

#define UNCLASSIFIED_MAX         1000
#define UNCLASSIFIED_HELD        256 /* texts in memory between two flushes */
#define UNCLASSIFIED_TEXT_MAX    512
#define UNCLASSIFIED_EXAMPLE_MAX 512

struct unclassified;

/* The two keys; false: they do not fit. */
bool unclassified_keys(const char *key_prefix, struct store_key *texts,
                       struct store_key *examples);

/* New, or NULL: out of memory. Borrows the endpoint; others resolve it. */
struct unclassified *unclassified_new(struct redis_endpoint *endpoint,
                                      const char *key_prefix);
void unclassified_free(struct unclassified *unclassified); /* or NULL */

/*
 * Never waits for Redis. Of a text or example that is too long the first
 * bytes are taken; an empty text is not. When there is no room the rarest
 * goes.
 */
void unclassified_add(struct unclassified *unclassified, struct text normal,
                      struct text example);

/*
 * Hands what is held to Redis, if anything is; waits for at most 2 s. False
 * with error when Redis did not take all of it, or trim: what it did not
 * count is kept, and added to.
 */
bool unclassified_flush(struct unclassified *unclassified, struct error *error);

#endif
