/*
 * suppression.h - is this mailbox on the lists?
 *
 * Allow wins over suppress at any level; then exact before local part before
 * domain before the domains above, a scope's list before the list for all.
 * All candidate keys are asked in one pipelined round trip; a second one
 * reads the entry that decides. Any Redis type suppresses: a hash has fields,
 * a string is the note, of others the name alone counts. With privacy = hash
 * the pseudonym of a mailbox is as exact as the mailbox itself.
 *
 * With options.cache_memory a copy of the names of all keys is kept current by
 * Redis (suppression_track.h): a mailbox of which the lists have no key is
 * told from memory, and Redis is asked only for what is on a list, to confirm
 * and read it, or while the copy is not current.
 *
 * Waits    at most options.timeout_ms, connecting included; while the breaker
 *          is open not at all. A thread of its own tries Redis again
 *          (50 ms to 1 s) and closes the breaker.
 * Threads  any: a call takes a connection from a small pool.
 */
#ifndef NIXIE_SUPPRESSION_H
#define NIXIE_SUPPRESSION_H

#include "error.h"
#include "latency.h"
#include "mailbox.h"
#include "pseudonym.h"
#include "redis_endpoint.h"
#include "store_key.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUPPRESSION_FIELD_MAX 256 /* bytes kept of a field; the rest is cut */

enum suppression_result {
    SUPPRESSION_ABSENT,
    SUPPRESSION_FOUND,
    SUPPRESSION_ALLOWED,
    SUPPRESSION_UNAVAILABLE, /* no answer in time: the setting decides */
};
#define SUPPRESSION_RESULTS 4

struct suppression_entry {
    enum store_list list;
    struct store_key key;
    struct mailbox_pattern pattern;
    char scope[STORE_SCOPE_MAX + 1];
    char kind[16]; /* Redis type: hash, string, … */
    bool unread;   /* it is there, but what it says came too late */
    /* "" when the entry does not say */
    char reason[SUPPRESSION_FIELD_MAX + 1];
    char type[SUPPRESSION_FIELD_MAX + 1];
    char origin[SUPPRESSION_FIELD_MAX + 1];
    char note[SUPPRESSION_FIELD_MAX + 1];
    char by[SUPPRESSION_FIELD_MAX + 1];
    char added_at[SUPPRESSION_FIELD_MAX + 1];
    char mode[SUPPRESSION_FIELD_MAX + 1];
    int64_t expires_at_us; /* 0: never */
    /*
     * Where Redis did not tell all (UNAVAILABLE, unread): what the list that
     * was last known says, with key, list, pattern and scope, and how old it
     * is. UNAVAILABLE: there is none.
     */
    enum suppression_result last_known;
    int64_t age_seconds;
};

/* A key of the lists that was written, deleted or has expired. */
struct suppression_change {
    struct text key;
    bool was_present;
    bool present;
};

/*
 * For who wants to know of changes; from one thread of the list's own, which
 * must not be held up. May be all NULL.
 */
struct suppression_listener {
    void (*changed)(void *context, const struct suppression_change *change);
    /* The whole list has been read: there may be changes not told of. */
    void (*reloaded)(void *context);
    void *context;
};

struct forgotten;

struct suppression_options {
    struct redis_endpoint *endpoint; /* borrowed, like key_prefix */
    const char *key_prefix;
    int timeout_ms;      /* 1 to 1000 */
    int connections;     /* of the pool; 1 to 64 */
    size_t cache_memory; /* bytes; 0: no copy, each lookup asks Redis */
    /* Borrowed; with it the entry of a mailbox may stand under its pseudonym,
     * which is asked behind the mailbox itself. NULL: it does not. */
    const struct pseudonym_key *pseudonyms;
    /* Borrowed, or NULL: those of whom only the pseudonym is known, whatever
     * pseudonyms is. */
    struct forgotten *forgotten;
    struct suppression_listener listener;
    /* May be NULL; called when the breaker opens and closes, in turn and
     * from the prober's thread alone; error is "" when it closes. */
    void (*store_changed)(void *context, bool available, const char *error);
    void *context;
};

struct suppression;

/*
 * New, or NULL with error. Asks the resolver once when the endpoint is a name
 * without addresses, so it may take long; an unreachable Redis is no error.
 */
struct suppression *suppression_new(const struct suppression_options *options,
                                    struct error *error);
/*
 * Takes it, or NULL, when no suppression_find() runs. Takes up to a second
 * while Redis does not answer, longer when the resolver does not.
 */
void suppression_free(struct suppression *list);

/*
 * scope NULL or "", or no name that can stand in a key: only the lists for
 * all. *entry is filled on FOUND and ALLOWED; error on UNAVAILABLE. When the
 * second round trip fails its fields are "", but what decided is known.
 */
enum suppression_result suppression_find(struct suppression *list,
                                         const struct mailbox *mailbox,
                                         const char *scope,
                                         struct suppression_entry *entry,
                                         struct error *error);

/* What suppression_find() has been asked; borrowed, and goes on counting. */
struct suppression_counts {
    _Atomic uint64_t results[SUPPRESSION_RESULTS];
    struct latency latency;
};
const struct suppression_counts *
suppression_counts(const struct suppression *list);
enum suppression_cache_status {
    SUPPRESSION_CACHE_OFF,     /* not wanted, not possible, or too large */
    SUPPRESSION_CACHE_LOADING, /* each lookup asks Redis */
    SUPPRESSION_CACHE_CURRENT,
    SUPPRESSION_CACHE_STALE, /* no news from Redis: each lookup asks it */
};

struct suppression_cache_state {
    enum suppression_cache_status status;
    size_t entries;
    size_t bytes;
    int64_t age_ms; /* of what is known; 0 when nothing is */
    uint64_t loads;
    uint64_t invalidations; /* keys that Redis named */
    uint64_t breaks;        /* of the connection */
};
void suppression_cache_state(const struct suppression *list,
                             struct suppression_cache_state *state);
/* "off", "loading", "current", "stale" */
const char *suppression_cache_status_name(enum suppression_cache_status status);

/*
 * The keys that suppression_find() asks, in its order; false past the last.
 * pseudonyms as in the options.
 */
bool suppression_candidate(const char *key_prefix,
                           const struct pseudonym_key *pseudonyms,
                           const struct mailbox *mailbox, const char *scope,
                           size_t index, struct store_key *key);

#endif
