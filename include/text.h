/*
 * text.h - bytes with their length
 *
 * Bytes from outside travel so: they may hold NUL, line ends, half a UTF-8
 * sequence. A text never owns its bytes.
 */
#ifndef NIXIE_TEXT_H
#define NIXIE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    const char *bytes; /* NULL: unknown; not the same as empty */
    size_t length;
};

/* Of a NUL-terminated string, borrowed; unknown when string is NULL. */
struct text text_of(const char *string);

bool text_is(struct text text, const char *string);

/* Copies at most size - 1 bytes and a NUL; returns the length copied. */
size_t text_copy(struct text text, char *buffer, size_t size);

/*
 * Makes text printable ASCII for log lines and terminals: other bytes, the
 * quote and the backslash become \xHH. What does not fit is cut and ends
 * in "...". Returns buffer.
 */
char *text_escape(struct text text, char *buffer, size_t size);

#endif
