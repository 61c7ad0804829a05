/*
 * trace_key.h - one secret that signs the marks on outgoing mail
 *
 * HMAC-SHA-256 is nettle's: no other does it without taking memory, so that
 * every copy of a key has a place that can be wiped.
 *
 * Owner    a key has no pointers; who has a copy of it wipes it.
 * Threads  a key is only read once it is set.
 */
#ifndef NIXIE_TRACE_KEY_H
#define NIXIE_TRACE_KEY_H

#include "text.h"

#include <nettle/hmac.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_KEY_SIZE    32
#define TRACE_KEY_NUMBERS 32 /* kid has five bits in a mark */

struct trace_key {
    unsigned kid; /* below TRACE_KEY_NUMBERS */
    int64_t created_us;
    unsigned char secret[TRACE_KEY_SIZE];
    struct hmac_sha256_ctx hmac; /* has taken the secret in */
};

/* Random bytes; false: the kernel has none yet. */
bool trace_random(void *bytes, size_t size);

void trace_key_set(struct trace_key *key, unsigned kid, int64_t created_us,
                   const unsigned char secret[TRACE_KEY_SIZE]);

void trace_key_wipe(struct trace_key *key);

/*
 * The first size bytes of the HMAC of all parts, one behind the other: who
 * calls sees to it that no other parts give the same bytes.
 */
void trace_key_sign(const struct trace_key *key, const struct text *parts,
                    size_t count, unsigned char *seal, size_t size);

#endif
