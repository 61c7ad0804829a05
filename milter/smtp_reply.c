#include "smtp_reply.h"

#include <string.h>

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* "5.1.1": most of them. */
#define SIMPLE 5
static bool is_simple(const char *status)
{
    return status[1] == '.' && is_digit(status[2]) && status[3] == '.' &&
           is_digit(status[4]);
}

/* How many bytes an enhanced status takes at the start; 0: there is none. */
static size_t status_length(struct text text)
{
    size_t position = 1;

    if (text.length < 5 || (text.bytes[0] != '2' && text.bytes[0] != '4' &&
                            text.bytes[0] != '5')) {
        return 0;
    }
    if (is_simple(text.bytes) &&
        (text.length == SIMPLE || !is_digit(text.bytes[SIMPLE]))) {
        return SIMPLE;
    }
    for (int part = 0; part < 2; part++) {
        size_t digits = 0;

        if (position >= text.length || text.bytes[position] != '.') {
            return 0;
        }
        position++;
        while (position + digits < text.length &&
               is_digit(text.bytes[position + digits])) {
            digits++;
        }
        if (digits < 1 || digits > 3) {
            return 0;
        }
        position += digits;
    }
    return position;
}

bool enhanced_status_is_valid(struct text status)
{
    return status.length > 0 && status_length(status) == status.length;
}

static struct text skip(struct text text, size_t length)
{
    text.bytes += length;
    text.length -= length;
    while (text.length > 0 && text.bytes[0] == ' ') {
        text.bytes++;
        text.length--;
    }
    return text;
}

static bool ends_word(struct text text, size_t length)
{
    return text.length == length || text.bytes[length] == ' ' ||
           text.bytes[length] == '-';
}

void smtp_reply_parse(struct text line, struct smtp_reply *reply)
{
    size_t length;

    memset(reply, 0, sizeof *reply);
    if (line.length == 0) {
        reply->text = line;
        return;
    }
    line = skip(line, 0);
    /* Sendmail hands on the text of its error mailer in quotes */
    if (line.length >= 2 && line.bytes[0] == '"' &&
        line.bytes[line.length - 1] == '"') {
        line.bytes++;
        line.length -= 2;
    }
    if (line.length >= 3 && line.bytes[0] >= '2' && line.bytes[0] <= '5' &&
        is_digit(line.bytes[1]) && is_digit(line.bytes[2]) &&
        ends_word(line, 3)) {
        reply->code = (line.bytes[0] - '0') * 100 + (line.bytes[1] - '0') * 10 +
                      (line.bytes[2] - '0');
        line = skip(line, line.length > 3 ? 4 : 3);
    }
    length = status_length(line);
    if (length > 0 && ends_word(line, length)) {
        memcpy(reply->enhanced_status, line.bytes, length);
        line = skip(line, length);
    }
    reply->text = line;
}

static int hex(char byte)
{
    if (is_digit(byte)) {
        return byte - '0';
    }
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

size_t smtp_decode_xtext(struct text xtext, char *buffer, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < xtext.length && used + 1 < size; i++) {
        char byte = xtext.bytes[i];

        if (byte == '+' && i + 2 < xtext.length &&
            hex(xtext.bytes[i + 1]) >= 0 && hex(xtext.bytes[i + 2]) >= 0) {
            byte =
                (char)(hex(xtext.bytes[i + 1]) * 16 + hex(xtext.bytes[i + 2]));
            i += 2;
        }
        buffer[used++] = byte;
    }
    buffer[used] = '\0';
    return used;
}
