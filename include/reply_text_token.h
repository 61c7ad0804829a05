/*
 * reply_text_token.h - words, numbers, names of errors, ids, hosts
 *
 * What reply_text_mask.c goes by: the classes of bytes, the walk, and the
 * masks of all that has no "@". For reply_text.h alone.
 *
 * Threads  any.
 */
#ifndef NIXIE_REPLY_TEXT_TOKEN_H
#define NIXIE_REPLY_TEXT_TOKEN_H

#include "reply_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum byte_class {
    BYTE_BREAK = 1, /* ends a run */
    BYTE_DIGIT = 2,
    BYTE_LETTER = 4,
    BYTE_DOT = 8,
    BYTE_AT = 16,
    BYTE_HIGH = 32,  /* not ASCII */
    BYTE_LOCAL = 64, /* in the local part of an address */
    BYTE_DASH = 128, /* - and _ */
    BYTE_HOST = BYTE_DIGIT | BYTE_LETTER | BYTE_DOT | BYTE_DASH,
};

/* Clean text, of which [0, at) is done. */
struct mask {
    const char *in;
    size_t at, end;
    struct reply_text *out;
    bool after_code; /* a repeated code was left out just now */
};

/* A part of the clean text. */
struct run {
    size_t at, end;
};

/* What a run is made of. */
struct makeup {
    size_t letters, digits, changes; /* from letters to digits and back */
    bool letters_first;
};

#define REPLY_TEXT_WORD_MAX 64 /* bytes of a word without digits */
#define REPLY_TEXT_NAME_MAX 12 /* bytes of an error's name */

extern const unsigned char byte_classes[256];

static inline unsigned byte_class(char byte)
{
    return byte_classes[(unsigned char)byte];
}

/* The byte at a place, a blank behind the end. */
static inline char mask_peek(const struct mask *mask, size_t at)
{
    return at < mask->end ? mask->in[at] : ' ';
}

/* The byte that came out last, a blank before the first. */
static inline char mask_last(const struct mask *mask)
{
    return mask->out->length == 0 ? ' '
                                  : mask->out->bytes[mask->out->length - 1];
}

/* How many bytes of these classes there are from at to end. */
static inline size_t mask_span(const struct mask *mask, size_t at, size_t end,
                               unsigned classes)
{
    const char *in = mask->in;
    size_t begin = at;

    while (at < end && (byte_class(in[at]) & classes) != 0) {
        at++;
    }
    return at - begin;
}
struct makeup mask_makeup(const struct mask *mask, struct run run);

/* <host>, or <ip> or <n> if it has no letters; NULL: it is none of them. */
const char *mask_host_word(const struct mask *mask, struct run run);

/*
 * Whether a run is x.y.z with a class and a subject that exist; it becomes
 * the reply's own if that has none.
 */
bool mask_take_status(struct mask *mask, struct run run);

/* All of it or nothing, so that no mask is cut. */
static inline void mask_put(struct mask *mask, const char *bytes, size_t length)
{
    struct reply_text *out = mask->out;

    if (out->cut || length > REPLY_TEXT_MAX - out->length) {
        out->cut = true;
        return;
    }
    memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
}

static inline void mask_put_word(struct mask *mask, const char *word)
{
    mask_put(mask, word, strlen(word));
}

/* Bytes as they are; of a long run as many characters as there is room. */
void mask_put_run(struct mask *mask, struct run run);

/* A run without "@": copied and masked. */
void mask_plain(struct mask *mask, struct run run);

#endif
