/*
 * maillog_split.h - bytes of a log into lines
 *
 * Who reads writes into _room() and says how much with _fill(); then _next()
 * gives lines until it needs more.
 *
 * Bounds   one buffer, made once. Of a line of more than MAILLOG_LINE_MAX
 *          bytes that many are given, the rest is passed over.
 * Owner    a line's text is borrowed until the next _room() or _begin().
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_SPLIT_H
#define NIXIE_MAILLOG_SPLIT_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maillog_split;

struct maillog_split_line {
    struct text text; /* without newline, and without NUL bytes in front: the
                         hole that a truncation leaves to some writers */
    bool cut;
    bool told; /* it is one of those before the offset that was begun at */
    int64_t begin, end; /* of it in the stream; end: behind the newline */
};

struct maillog_split *maillog_split_new(void);        /* NULL: no memory */
void maillog_split_free(struct maillog_split *split); /* or NULL */

/* Forgets what is in the buffer: the next byte is the one at offset. */
void maillog_split_begin(struct maillog_split *split, int64_t offset);

/*
 * The same, but the next byte is the one at `from`, before it: of lines that
 * begin there the whole ones are given first.
 */
void maillog_split_look_back(struct maillog_split *split, int64_t from,
                             int64_t offset);

char *maillog_split_room(struct maillog_split *split, size_t *size);
void maillog_split_fill(struct maillog_split *split, size_t length);

/* False: more bytes are needed. */
bool maillog_split_next(struct maillog_split *split,
                        struct maillog_split_line *line);

/* What stands there without newline, at the end of a stream; false: nothing. */
bool maillog_split_rest(struct maillog_split *split,
                        struct maillog_split_line *line);

/* Where the next line begins that is not told; up to where bytes have been
 * taken. */
int64_t maillog_split_offset(const struct maillog_split *split);
int64_t maillog_split_read_to(const struct maillog_split *split);

#endif
