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
#include <string.h>

struct text {
    const char *bytes; /* NULL: unknown; not the same as empty */
    size_t length;
};

/* Of a NUL-terminated string, borrowed; unknown when string is NULL. */
static inline struct text text_of(const char *string)
{
    struct text text = {string, string == NULL ? 0 : strlen(string)};
    return text;
}

/* Likewise; an empty string is unknown, too. */
static inline struct text text_known(const char *string)
{
    return text_of(string == NULL || string[0] == '\0' ? NULL : string);
}

static inline bool text_is(struct text text, const char *string)
{
    return text.bytes != NULL && strlen(string) == text.length &&
           memcmp(text.bytes, string, text.length) == 0;
}

/* Copies at most size - 1 bytes and a NUL; returns the length copied. */
static inline size_t text_copy(struct text text, char *buffer, size_t size)
{
    size_t length = text.length < size ? text.length : size - 1;

    if (length > 0) {
        memcpy(buffer, text.bytes, length);
    }
    buffer[length] = '\0';
    return length;
}

/*
 * Makes text printable ASCII for log lines and terminals: other bytes, the
 * quote and the backslash become \xHH. What does not fit is cut and ends
 * in "...". Returns buffer.
 */
char *text_escape(struct text text, char *buffer, size_t size);

#endif
