/*
 * redis_endpoint_sentinel.h - sentinels, and whom they name as the master
 *
 * HOST[:PORT][,HOST[:PORT]...]/NAME   (port 26379)
 *
 * What a sentinel says is believed when the server that it names calls itself
 * master: a sentinel that is cut off goes on naming the one before. They are
 * asked without a login, and with that of the master where they want one.
 *
 * Threads  any; two may ask at the same time.
 */
#ifndef NIXIE_REDIS_ENDPOINT_SENTINEL_H
#define NIXIE_REDIS_ENDPOINT_SENTINEL_H

#include "error.h"
#include "redis_endpoint.h"

struct redis_sentinels;

#define REDIS_SENTINELS_MAX 16

/* New, or NULL with error (the syntax). Nothing is asked of the network. */
struct redis_sentinels *redis_sentinels_new(const char *location,
                                            struct error *error);
void redis_sentinels_free(struct redis_sentinels *sentinels); /* or NULL */

/*
 * The master, new and resolved, that login's user and password_file are for;
 * NULL with error. Takes the first answer that holds; who gave it is asked
 * first the next time. All that are silent, and the master, cost about
 * REDIS_SENTINELS_MS, and what their names take to resolve.
 *
 * A master that lets us not in, or is busy, is one: its own words are for
 * whoever connects.
 */
#define REDIS_SENTINELS_MS 3000
struct redis_endpoint *
redis_sentinels_ask(struct redis_sentinels *sentinels,
                    const struct redis_endpoint_options *login,
                    struct error *error);

/*
 * The same, but all are asked, and the server that most of them name is taken:
 * a sentinel that is cut off with the master from before is outvoted. For who
 * has a master, and time.
 */
struct redis_endpoint *
redis_sentinels_vote(struct redis_sentinels *sentinels,
                     const struct redis_endpoint_options *login,
                     struct error *error);

#endif
