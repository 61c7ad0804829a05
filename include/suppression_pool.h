/*
 * suppression_pool.h - the connections of the lookups, and their breaker
 *
 * The breaker opens when a lookup got no answer. From then on nobody waits:
 * a thread of the pool asks Redis again, 50 ms to 1 s apart, and closes the
 * breaker once it answers as fast as a lookup needs it. The same thread
 * makes all calls of store_changed, so they come in order.
 *
 * Owner    endpoint, key_prefix and context are borrowed.
 * Threads  any, but for _new() and _free(); the latter when no link is out.
 */
#ifndef NIXIE_SUPPRESSION_POOL_H
#define NIXIE_SUPPRESSION_POOL_H

#include "error.h"
#include "redis_link.h"
#include "suppression.h"

#include <stdbool.h>
#include <stdint.h>

struct suppression_pool;

/* New, or NULL with error. Asks the resolver if the endpoint is a name. */
struct suppression_pool *
suppression_pool_new(const struct suppression_options *options,
                     struct error *error);
void suppression_pool_free(struct suppression_pool *pool);

/* A link that is out; era tells which state of the breaker it was taken in. */
struct suppression_loan {
    struct redis_link *link;
    unsigned slot;
    uint64_t era;
};

/*
 * Waits for a free link; it may be closed. False with error when the breaker
 * is or becomes open, or none is free in time.
 */
bool suppression_pool_take(struct suppression_pool *pool, int64_t deadline_ms,
                           struct suppression_loan *loan, struct error *error);
void suppression_pool_give(struct suppression_pool *pool,
                           const struct suppression_loan *loan);

/* Opens the breaker, unless it has changed since the loan. */
void suppression_pool_fail(struct suppression_pool *pool,
                           const struct suppression_loan *loan,
                           const struct error *cause);

#endif
