#include "trace_form.h"

#include <stdint.h>
#include <string.h>

#define HEADER_VERSION   '1'
#define ENVELOPE_VERSION "T1."

#define COLUMNS    76
#define FIRST_LINE (COLUMNS - (sizeof TRACE_HEADER ": " - 1))

/* Symbols of 5 bits or of 6. */
struct alphabet {
    const char *symbols;
    unsigned bits;
};

static const struct alphabet base32 = {"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5};
static const struct alphabet base64url = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 6};

/* --- writing ------------------------------------------------------------- */

/* Where symbols go: a line that is full is followed by another. */
struct line {
    char *at;
    size_t room; /* SIZE_MAX: it is never full */
};

static void put_symbol(struct line *line, char symbol)
{
    if (line->room == 0) {
        *line->at++ = '\n';
        *line->at++ = ' ';
        line->room = COLUMNS - 1;
    }
    *line->at++ = symbol;
    line->room--;
}

static void encode(const struct alphabet *alphabet, const unsigned char *bytes,
                   size_t length, struct line *line)
{
    const unsigned mask = (1U << alphabet->bits) - 1;
    unsigned held = 0;
    unsigned bits = 0; /* of held, those not written yet */

    for (size_t i = 0; i < length; i++) {
        held = (held << 8 | bytes[i]) & 0xffffU;
        bits += 8;
        while (bits >= alphabet->bits) {
            bits -= alphabet->bits;
            put_symbol(line, alphabet->symbols[held >> bits & mask]);
        }
    }
    if (bits > 0) {
        held <<= alphabet->bits - bits;
        put_symbol(line, alphabet->symbols[held & mask]);
    }
    *line->at = '\0';
}

void trace_form_header(const unsigned char *mark, size_t length,
                       char value[TRACE_HEADER_SIZE])
{
    struct line line = {value + 2, FIRST_LINE - 2};

    value[0] = HEADER_VERSION;
    value[1] = ' ';
    encode(&base64url, mark, length, &line);
}

void trace_form_envelope_id(const unsigned char mark[TRACE_ENVELOPE_MARK],
                            char text[TRACE_ENVELOPE_ID_SIZE])
{
    struct line line = {text + sizeof ENVELOPE_VERSION - 1, SIZE_MAX};

    memcpy(text, ENVELOPE_VERSION, sizeof ENVELOPE_VERSION);
    encode(&base32, mark, TRACE_ENVELOPE_MARK, &line);
}

/* --- reading ------------------------------------------------------------- */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void skip_blanks(struct text *text)
{
    while (text->length > 0 && is_blank(text->bytes[0])) {
        text->bytes++;
        text->length--;
    }
}

/* What the mark is that text holds; *length is at most size. */
static bool decode(const struct alphabet *alphabet, struct text text,
                   unsigned char *bytes, size_t size, size_t *length)
{
    unsigned held = 0;
    unsigned bits = 0;
    size_t used = 0;

    for (size_t i = 0; i < text.length; i++) {
        const char *symbol;

        if (is_blank(text.bytes[i])) {
            continue;
        }
        symbol = memchr(alphabet->symbols, text.bytes[i],
                        (size_t)1 << alphabet->bits);
        if (symbol == NULL) {
            return false;
        }
        held =
            (held << alphabet->bits | (unsigned)(symbol - alphabet->symbols)) &
            0xffffU;
        bits += alphabet->bits;
        if (bits >= 8) {
            bits -= 8;
            if (used == size) {
                return false;
            }
            bytes[used++] = (unsigned char)(held >> bits & 0xffU);
        }
    }
    *length = used;
    /* another symbol that says nothing would be another text of the mark */
    return bits < alphabet->bits && (held & ((1U << bits) - 1)) == 0;
}

bool trace_form_read_header(struct text value,
                            unsigned char mark[TRACE_MARK_MAX], size_t *length)
{
    if (value.bytes == NULL || value.length > TRACE_TEXT_MAX) {
        return false;
    }
    skip_blanks(&value);
    if (value.length < 2 || value.bytes[0] != HEADER_VERSION ||
        !is_blank(value.bytes[1])) {
        return false;
    }
    value.bytes++;
    value.length--;
    return decode(&base64url, value, mark, TRACE_MARK_MAX, length);
}

bool trace_form_read_envelope_id(struct text text,
                                 unsigned char mark[TRACE_ENVELOPE_MARK])
{
    const size_t version = sizeof ENVELOPE_VERSION - 1;
    size_t length;

    if (text.bytes == NULL || text.length > TRACE_TEXT_MAX) {
        return false;
    }
    skip_blanks(&text);
    if (text.length < version ||
        memcmp(text.bytes, ENVELOPE_VERSION, version) != 0) {
        return false;
    }
    text.bytes += version;
    text.length -= version;
    return decode(&base32, text, mark, TRACE_ENVELOPE_MARK, &length) &&
           length == TRACE_ENVELOPE_MARK;
}
