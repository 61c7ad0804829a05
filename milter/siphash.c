#include "siphash.h"

#include <endian.h>
#include <string.h>

struct state {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void mix(struct state *state)
{
    state->a += state->b;
    state->c += state->d;
    state->b = rotate(state->b, 13) ^ state->a;
    state->d = rotate(state->d, 16) ^ state->c;
    state->a = rotate(state->a, 32);
    state->c += state->b;
    state->a += state->d;
    state->b = rotate(state->b, 17) ^ state->c;
    state->d = rotate(state->d, 21) ^ state->a;
    state->c = rotate(state->c, 32);
}

static void absorb(struct state *state, uint64_t word)
{
    state->d ^= word;
    mix(state);
    state->a ^= word;
}

/* Eight bytes, the first the lowest: the same on every machine. */
static uint64_t load(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return le64toh(word);
}

/* Up to seven. */
static uint64_t load_rest(const char *bytes, size_t length)
{
    uint64_t word = 0;

    for (size_t i = 0; i < length; i++) {
        word |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    }
    return word;
}

uint64_t siphash(const struct siphash_key *key, struct text text)
{
    struct state state = {
        key->words[0] ^ UINT64_C(0x736f6d6570736575),
        key->words[1] ^ UINT64_C(0x646f72616e646f6d),
        key->words[0] ^ UINT64_C(0x6c7967656e657261),
        key->words[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t at = 0;

    for (; text.length - at >= 8; at += 8) {
        absorb(&state, load(text.bytes + at));
    }
    absorb(&state, (uint64_t)text.length << 56 |
                       load_rest(text.bytes + at, text.length - at));
    state.c ^= 0xff;
    mix(&state);
    mix(&state);
    mix(&state);
    return state.a ^ state.b ^ state.c ^ state.d;
}
