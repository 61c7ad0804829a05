/*
 * maillog_inflate_format.h - the formats of maillog_inflate.h, each by the
 * library of its maker
 *
 * A library is given what there is, and gives what it can make of that: so
 * all that lies before damage is there before the damage is told.
 *
 * Errors   are the result; nothing is logged here.
 * Threads  a state belongs to one.
 */
#ifndef NIXIE_MAILLOG_INFLATE_FORMAT_H
#define NIXIE_MAILLOG_INFLATE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

/* What is taken and made moves on. */
struct inflate_bytes {
    const unsigned char *in;
    size_t in_length;
    unsigned char *out;
    size_t out_length;
};

enum inflate_result {
    INFLATE_GOES_ON,
    INFLATE_ENDS, /* a member: another may stand behind it */
    INFLATE_DAMAGED,
};

struct inflate_format {
    const char *name;
    bool (*begins)(const char *head, size_t length);
    /* New; NULL: no memory. */
    void *(*open)(void);
    enum inflate_result (*step)(void *state, struct inflate_bytes *bytes);
    /* Behind a member; false: no memory. */
    bool (*again)(void *state);
    void (*close)(void *state);
};

/* By what a file begins with; NULL: none of them. */
const struct inflate_format *inflate_format_of(const char *head, size_t length);

/* Whether it could be one, while less than MAILLOG_MAGIC bytes are known. */
bool inflate_format_may_be(const char *head, size_t length);

#endif
