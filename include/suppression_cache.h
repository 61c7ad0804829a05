/*
 * suppression_cache.h - which keys are on the lists, as fingerprints
 *
 * A set of 64-bit keyed fingerprints, made to be read by every session at
 * once while one thread keeps it current. It does not forget: what is in it
 * is found at any moment. It may err the other way: two keys of one
 * fingerprint, or a reader that the writer got in the way of, give a "may be
 * there" that a look into Redis settles. When one of two such keys goes, both
 * do; among ten million keys the odds that there is any such pair are
 * 1 to 180,000.
 *
 * Units    memory in bytes; 11 to 16 for an entry, and 1 MiB of its own.
 * Threads  suppression_cache_has(), _fetch(), _fingerprint(), _kinds() and
 *          _count(): any, without a lock. All else: one, the writer.
 */
#ifndef NIXIE_SUPPRESSION_CACHE_H
#define NIXIE_SUPPRESSION_CACHE_H

#include "error.h"
#include "suppression_kind.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUPPRESSION_CACHE_LEAST ((size_t)4 * 1024 * 1024)

struct suppression_cache;

/*
 * New and empty, or NULL with error. It takes address space for memory_max
 * at once, memory as it grows.
 */
struct suppression_cache *suppression_cache_new(size_t memory_max,
                                                struct error *error);
/* Takes it, or NULL, when nobody reads any more. */
void suppression_cache_free(struct suppression_cache *cache);

uint64_t suppression_cache_fingerprint(const struct suppression_cache *cache,
                                       struct text key);

bool suppression_cache_has(const struct suppression_cache *cache,
                           uint64_t fingerprint);
/* Brings near what suppression_cache_has() is going to look at. */
void suppression_cache_fetch(const struct suppression_cache *cache,
                             uint64_t fingerprint);

/* No key of another kind is in it. */
suppression_kinds
suppression_cache_kinds(const struct suppression_cache *cache);

struct suppression_cache_count {
    size_t entries;
    size_t bytes;
};
struct suppression_cache_count
suppression_cache_count(const struct suppression_cache *cache);

/* Of a key that is going to be added: before it is. */
void suppression_cache_add_kind(struct suppression_cache *cache,
                                suppression_kinds kind);
/* False: memory_max is reached, or the system has no more; nothing changed. */
bool suppression_cache_add(struct suppression_cache *cache,
                           uint64_t fingerprint);
void suppression_cache_remove(struct suppression_cache *cache,
                              uint64_t fingerprint);
void suppression_cache_clear(struct suppression_cache *cache);

/*
 * What has not been added between _begin_load() and _end_load(), again or for
 * the first time, goes at the end; until then it is all there. A load that
 * begins before the last one has ended takes its place.
 */
void suppression_cache_begin_load(struct suppression_cache *cache);
void suppression_cache_end_load(struct suppression_cache *cache);

#endif
