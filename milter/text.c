#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

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
