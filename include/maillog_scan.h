/*
 * maillog_scan.h - going through a line from left to right
 *
 * Each function takes something off the front of *rest. What it returns lies
 * in the line. False, or an unknown text: it was not there, and *rest is as it
 * was, unless said otherwise.
 *
 * Threads  any.
 */
#ifndef NIXIE_MAILLOG_SCAN_H
#define NIXIE_MAILLOG_SCAN_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum maillog_byte_kind {
    MAILLOG_BYTE_WORD = 1,  /* [0-9A-Za-z] */
    MAILLOG_BYTE_SHORT = 2, /* of Postfix's short queue ids: [0-9A-F] */
    MAILLOG_BYTE_LONG = 4,  /* of its long ones: no vowels */
    MAILLOG_BYTE_IP = 8,    /* [0-9A-Fa-f.:] */
    MAILLOG_BYTE_POINT = 16,
    MAILLOG_BYTE_DELAY = 32, /* [0-9.] */
    MAILLOG_BYTE_SLASH = 64,
};
extern const unsigned char maillog_byte_kinds[256];

static inline unsigned maillog_byte(char byte)
{
    return maillog_byte_kinds[(unsigned char)byte];
}

static inline bool maillog_is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static inline void maillog_skip(struct text *rest, size_t length)
{
    rest->bytes += length;
    rest->length -= length;
}

static inline bool maillog_begins(struct text text, const char *prefix,
                                  size_t length)
{
    return text.length >= length && memcmp(text.bytes, prefix, length) == 0;
}

static inline bool maillog_take_bytes(struct text *rest, const char *bytes,
                                      size_t length)
{
    if (!maillog_begins(*rest, bytes, length)) {
        return false;
    }
    maillog_skip(rest, length);
    return true;
}

static inline void maillog_skip_kind(struct text *rest, unsigned kinds)
{
    size_t length = 0;

    while (length < rest->length &&
           (maillog_byte(rest->bytes[length]) & kinds) != 0) {
        length++;
    }
    maillog_skip(rest, length);
}

/* Of literals, whose length the compiler knows. */
#define MAILLOG_BEGINS(text, literal)                                          \
    maillog_begins((text), "" literal "", sizeof(literal) - 1)
#define MAILLOG_TAKE(rest, literal)                                            \
    maillog_take_bytes((rest), "" literal "", sizeof(literal) - 1)

/* Up to byte, which goes too; unknown when there is none. */
static inline struct text maillog_take_until(struct text *rest, char byte)
{
    const char *found =
        rest->length == 0 ? NULL : memchr(rest->bytes, byte, rest->length);
    struct text taken = {NULL, 0};

    if (found != NULL) {
        taken.bytes = rest->bytes;
        taken.length = (size_t)(found - rest->bytes);
        maillog_skip(rest, taken.length + 1);
    }
    return taken;
}

/*
 * Where bytes first are in text, or NULL. Needles are short, and most begin
 * with a byte that is rare.
 */
static inline const char *maillog_find(struct text text, const char *bytes)
{
    size_t length = strlen(bytes);

    while (text.length >= length) {
        const char *found =
            memchr(text.bytes, bytes[0], text.length - length + 1);

        if (found == NULL || memcmp(found, bytes, length) == 0) {
            return found;
        }
        maillog_skip(&text, (size_t)(found - text.bytes) + 1);
    }
    return NULL;
}

/* Up to bytes, which stay; all when there are none. */
static inline struct text maillog_take_before(struct text *rest,
                                              const char *bytes)
{
    const char *found = maillog_find(*rest, bytes);
    struct text taken = *rest;

    if (found != NULL) {
        taken.length = (size_t)(found - rest->bytes);
    }
    maillog_skip(rest, taken.length);
    return taken;
}

/* Ends text in suffix? Then it is taken off. */
bool maillog_drop_suffix(struct text *text, const char *suffix);

/* Decimal; stays at INT64_MAX / 10 when it is larger. */
bool maillog_take_number(struct text *rest, int64_t *number);

/*
 * An address up to the '>' that ends it, which goes too: not one in quotes or
 * in a domain literal.
 */
bool maillog_take_path(struct text *rest, struct text *address);

/* "host[ip]": unknown where it has none of them. Takes the brackets too. */
bool maillog_take_peer(struct text *rest, struct text *name, struct text *ip);

/* Does text look like an IP address, for who has "[private/lmtp]" beside? */
bool maillog_is_ip(struct text text);

/* Letters and digits up to 32, then ": " or what is in place of it. */
size_t maillog_word_length(struct text text);

#endif
