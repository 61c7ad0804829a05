/*
 * fnv.h - a short hash of bytes that nobody gains by steering
 *
 * FNV-1a (Fowler, Noll and Vo), 64 bits: the same on every host and in every
 * run, so it may be written to a file. Where strangers could choose keys that
 * collide, and gain by it: siphash.h.
 *
 *     hash = fnv_add(fnv_add(FNV_BEGIN, one), other);
 *
 * Threads  any.
 */
#ifndef NIXIE_FNV_H
#define NIXIE_FNV_H

#include "text.h"

#include <stdint.h>

#define FNV_BEGIN UINT64_C(0xcbf29ce484222325)

static inline uint64_t fnv_add_byte(uint64_t hash, unsigned char byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static inline uint64_t fnv_add(uint64_t hash, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        hash = fnv_add_byte(hash, (unsigned char)text.bytes[i]);
    }
    return hash;
}

#endif
