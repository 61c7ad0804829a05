/*
 * siphash.h - a short keyed hash that strangers cannot steer
 *
 * SipHash-1-3 (Aumasson and Bernstein): whoever does not know the key cannot
 * choose inputs that collide.
 *
 * Threads  any.
 */
#ifndef NIXIE_SIPHASH_H
#define NIXIE_SIPHASH_H

#include "text.h"

#include <stdint.h>

struct siphash_key {
    uint64_t words[2];
};

uint64_t siphash(const struct siphash_key *key, struct text text);

#endif
