/*
 * suppression_follow.h - the talk with Redis that keeps the cache current
 *
 * Two connections. On one Redis names each key under the two list prefixes
 * that is written, deleted or expires (client-side caching: CLIENT TRACKING
 * with BCAST, redirected, in RESP2); on the other we ask whether it is there
 * now, and read the whole list by SCAN.
 *
 * Why the cache is never wrong for longer than Redis needs to tell:
 * - Tracking is on before the first SCAN, so whatever changes behind the
 *   cursor is named.
 * - A named key counts as present from the moment its name is read until it
 *   is known: lookups ask Redis. So what is added acts when the name is read,
 *   and what is deleted never acts longer than a question takes.
 * - Answers come on one connection, so in the order in which Redis had those
 *   states; the last answer about a key, from SCAN or EXISTS, is the newest.
 *   An answer is left aside when the key was named again since it was asked:
 *   it is in the queue then, and the next answer is newer than that name.
 * - Hence after each turn each key of the cache is as Redis had it at the
 *   last answer, and every change since then is a name not yet read.
 * - A list of no names (FLUSHALL, FLUSHDB of any database) tells that all may
 *   be different: lookups ask until it is loaded again.
 * - Redis echoes a ping on the connection of the names behind all names from
 *   before it; until it has come back the cache is only as good as the last
 *   one that did, and its age is told from there.
 *
 * Threads  one.
 */
#ifndef NIXIE_SUPPRESSION_FOLLOW_H
#define NIXIE_SUPPRESSION_FOLLOW_H

#include "error.h"
#include "redis_endpoint.h"
#include "suppression.h"
#include "suppression_cache.h"

#include <stdbool.h>
#include <stdint.h>

struct suppression_follow_options {
    struct redis_endpoint *endpoint; /* borrowed, like all here */
    const char *key_prefix;
    struct suppression_cache *cache; /* this thread is its writer */
    int wake_file; /* readable: suppression_follow_turn() does not wait */

    void (*load_begins)(void *context);
    void (*load_ended)(void *context);
    /* All that Redis changed until then, on its clock of ours, is known. */
    void (*confirmed)(void *context, int64_t at_ms);
    void (*named)(void *context, size_t keys);
    /* The connections, -1 when they are closed. */
    void (*connected)(void *context, int naming_file, int asking_file);
    /* Names are being read; all that was there before at_ms has been. */
    void (*reading)(void *context);
    void (*read)(void *context, int64_t at_ms);
    /* A named key's state is known, and no load is under way. */
    void (*changed)(void *context, const struct suppression_change *change);
    void *context;
};

enum suppression_follow_result {
    SUPPRESSION_FOLLOW_GOES_ON,
    SUPPRESSION_FOLLOW_BROKEN,  /* the connection: try again */
    SUPPRESSION_FOLLOW_REFUSED, /* Redis does not do it, or not for us */
    SUPPRESSION_FOLLOW_FULL,    /* the cache has no room */
};

struct suppression_follow;

/* New and closed, or NULL: no memory. */
struct suppression_follow *
suppression_follow_new(const struct suppression_follow_options *options);
void suppression_follow_free(struct suppression_follow *follow);

/* Connects both, turns tracking on, begins to load. */
enum suppression_follow_result
suppression_follow_open(struct suppression_follow *follow, int64_t deadline_ms,
                        struct error *error);

/* Waits for news, takes what is there, asks what is next. */
enum suppression_follow_result
suppression_follow_turn(struct suppression_follow *follow, struct error *error);

/*
 * Ends the talk. Named keys without an answer are again what they were: the
 * cache is the last list that was known.
 */
void suppression_follow_close(struct suppression_follow *follow);

#endif
