/*
 * trace_keys.h - the keys that sign marks, in a file that hosts may share
 *
 * The newest key signs, all that are no older than 45 days verify, and after
 * 30 days there is a new one. The file is read again when it has changed, so
 * another host's may be copied over it. What cannot be read takes no keys
 * away: those in memory go on until they are too old, or until there is a file
 * again.
 *
 * A file of another user than ours is only read, never changed: some host, or
 * somebody, brings it. It is refused when it is open to all, or belongs to
 * neither us nor root.
 *
 * Owner    arguments are borrowed. Keys that are given out are copies, which
 *          the caller wipes.
 * Errors   name the file, and what to do; a secret is in none.
 * Threads  trace_keys_signer(), _find() and _can_sign() any; all else, one at
 *          a time.
 */
#ifndef NIXIE_TRACE_KEYS_H
#define NIXIE_TRACE_KEYS_H

#include "error.h"
#include "text.h"
#include "trace_keyring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct trace_keys;

struct trace_keys_place {
    const char *path; /* absolute */
    uid_t owner;      /* nixied's user: root makes the file for it */
    gid_t group;
};

/* New and without keys, or NULL when out of memory. */
struct trace_keys *trace_keys_new(const struct trace_keys_place *place);

/* The same with the keys of these lines and no file; NULL with error. */
struct trace_keys *trace_keys_of(struct text lines, struct error *error);

enum trace_keys_result {
    TRACE_KEYS_SAME,
    TRACE_KEYS_NEW, /* there are other keys than before */
    TRACE_KEYS_FAILED,
};

/*
 * Reads the file if it has changed since it was read; costs an open(2) and an
 * fstat(2). For every few seconds.
 */
enum trace_keys_result trace_keys_load(struct trace_keys *keys,
                                       struct error *error);

/*
 * The same, then makes a new key if the newest has had its 30 days or there
 * is none that signs, and the file if it is not there: for the start, and
 * then every hour. On disk when it returns. FAILED also when no key signs and
 * the file is another's.
 */
enum trace_keys_result trace_keys_rotate_if_due(struct trace_keys *keys,
                                                int64_t now_us,
                                                struct error *error);

/* A new key at once, whoever owns the file. */
bool trace_keys_rotate(struct trace_keys *keys, int64_t now_us,
                       struct error *error);

/* False: no key signs, so mail goes out without a mark. keys may be NULL. */
bool trace_keys_can_sign(struct trace_keys *keys, int64_t now_us);

/* False: there is no such key. keys may be NULL. */
bool trace_keys_signer(struct trace_keys *keys, int64_t now_us,
                       struct trace_key *copy);
bool trace_keys_find(struct trace_keys *keys, unsigned kid, int64_t now_us,
                     struct trace_key *copy);

/* What may be told of a key. */
enum trace_key_state {
    TRACE_KEY_SIGNS,
    TRACE_KEY_VERIFIES,
    TRACE_KEY_FUTURE, /* verifies, and signs once its time has come */
    TRACE_KEY_OLD,    /* does neither any more */
};

struct trace_key_facts {
    unsigned kid;
    int64_t created_us;
    enum trace_key_state state;
};

/* How many there are; in the order of the file. */
size_t trace_keys_list(struct trace_keys *keys, int64_t now_us,
                       struct trace_key_facts facts[TRACE_KEY_NUMBERS]);

/* Wipes the keys and takes it, or NULL. */
void trace_keys_free(struct trace_keys *keys);

#endif
