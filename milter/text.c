#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct text text_of(const char *string)
{
    struct text text = {string, string == NULL ? 0 : strlen(string)};
    return text;
}

bool text_is(struct text text, const char *string)
{
    return text.bytes != NULL && strlen(string) == text.length &&
           memcmp(text.bytes, string, text.length) == 0;
}

size_t text_copy(struct text text, char *buffer, size_t size)
{
    size_t length = text.length < size ? text.length : size - 1;

    if (length > 0) {
        memcpy(buffer, text.bytes, length);
    }
    buffer[length] = '\0';
    return length;
}

static size_t escape_byte(unsigned char byte, char out[5])
{
    static const char digits[] = "0123456789abcdef";

    if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
        out[0] = (char)byte;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 15];
    return 4;
}

char *text_escape(struct text text, char *buffer, size_t size)
{
    static const char cut[] = "...";
    size_t used = 0;

    if (size < sizeof cut) {
        if (size > 0) {
            buffer[0] = '\0';
        }
        return buffer;
    }
    for (size_t i = 0; i < text.length; i++) {
        char out[5];
        size_t length = escape_byte((unsigned char)text.bytes[i], out);

        if (used + length + sizeof cut > size) {
            memcpy(buffer + used, cut, sizeof cut);
            return buffer;
        }
        memcpy(buffer + used, out, length);
        used += length;
    }
    buffer[used] = '\0';
    return buffer;
}
