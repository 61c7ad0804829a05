/*
 * trace_keyring.h - the keys of one file: which signs, which verify
 *
 * A line is "kid hex created": a number from 0 to 31, 64 hex digits and a
 * time (RFC 3339). Blank lines and those that begin with # are passed over.
 *
 * Owner    a keyring has no pointers; who has one wipes it.
 * Errors   name file and line, and what to write; never what stands there.
 * Threads  one at a time.
 */
#ifndef NIXIE_TRACE_KEYRING_H
#define NIXIE_TRACE_KEYRING_H

#include "error.h"
#include "text.h"
#include "trace_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_KEY_ROTATE_US INT64_C(2592000000000) /* 30 days */
#define TRACE_KEY_LIFE_US   INT64_C(3888000000000) /* 45 days */

struct trace_keyring {
    size_t count;
    struct trace_key keys[TRACE_KEY_NUMBERS];
};

/* What trace_keyring_write() makes, with its NUL, is at most this long. */
#define TRACE_KEYRING_TEXT_SIZE 4096

/* False with error: then the keyring is empty. */
bool trace_keyring_parse(struct text lines, const char *path,
                         struct trace_keyring *ring, struct error *error);

/* The length. The text holds the secrets: who has it wipes it. */
size_t trace_keyring_write(const struct trace_keyring *ring,
                           char text[TRACE_KEYRING_TEXT_SIZE]);

/*
 * The newest that is no older than TRACE_KEY_LIFE_US, or NULL. One from the
 * future does not sign yet: it may be brought to all hosts before its time.
 */
const struct trace_key *trace_keyring_signer(const struct trace_keyring *ring,
                                             int64_t now_us);

/* The key of this number if it still verifies, or NULL. */
const struct trace_key *trace_keyring_find(const struct trace_keyring *ring,
                                           unsigned kid, int64_t now_us);

/* Whether it is time for a new key. */
bool trace_keyring_is_due(const struct trace_keyring *ring, int64_t now_us);

/*
 * Drops the keys that verify no more and adds a new one, created now, under
 * a free number. NULL with error: there is none, or no random numbers.
 */
const struct trace_key *trace_keyring_add(struct trace_keyring *ring,
                                          int64_t now_us, struct error *error);

void trace_keyring_wipe(struct trace_keyring *ring);

#endif
