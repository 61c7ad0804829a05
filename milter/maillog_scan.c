#include "maillog_scan.h"

#define DIGIT                                                                  \
    (MAILLOG_BYTE_WORD | MAILLOG_BYTE_SHORT | MAILLOG_BYTE_LONG |              \
     MAILLOG_BYTE_IP | MAILLOG_BYTE_DELAY)
#define VOWEL     MAILLOG_BYTE_WORD
#define OTHER     (MAILLOG_BYTE_WORD | MAILLOG_BYTE_LONG)
#define HEX       (OTHER | MAILLOG_BYTE_IP)
#define HEX_VOWEL (VOWEL | MAILLOG_BYTE_IP)
#define POINT     (MAILLOG_BYTE_IP | MAILLOG_BYTE_POINT)
#define UPPER     MAILLOG_BYTE_SHORT

const unsigned char maillog_byte_kinds[256] = {
    ['0'] = DIGIT,
    ['1'] = DIGIT,
    ['2'] = DIGIT,
    ['3'] = DIGIT,
    ['4'] = DIGIT,
    ['5'] = DIGIT,
    ['6'] = DIGIT,
    ['7'] = DIGIT,
    ['8'] = DIGIT,
    ['9'] = DIGIT,
    ['.'] = POINT | MAILLOG_BYTE_DELAY,
    ['/'] = MAILLOG_BYTE_SLASH,
    [':'] = POINT,
    ['A'] = HEX_VOWEL | UPPER,
    ['B'] = HEX | UPPER,
    ['C'] = HEX | UPPER,
    ['D'] = HEX | UPPER,
    ['E'] = HEX_VOWEL | UPPER,
    ['F'] = HEX | UPPER,
    ['G'] = OTHER,
    ['H'] = OTHER,
    ['I'] = VOWEL,
    ['J'] = OTHER,
    ['K'] = OTHER,
    ['L'] = OTHER,
    ['M'] = OTHER,
    ['N'] = OTHER,
    ['O'] = VOWEL,
    ['P'] = OTHER,
    ['Q'] = OTHER,
    ['R'] = OTHER,
    ['S'] = OTHER,
    ['T'] = OTHER,
    ['U'] = VOWEL,
    ['V'] = OTHER,
    ['W'] = OTHER,
    ['X'] = OTHER,
    ['Y'] = OTHER,
    ['Z'] = OTHER,
    ['a'] = HEX_VOWEL,
    ['b'] = HEX,
    ['c'] = HEX,
    ['d'] = HEX,
    ['e'] = HEX_VOWEL,
    ['f'] = HEX,
    ['g'] = OTHER,
    ['h'] = OTHER,
    ['i'] = VOWEL,
    ['j'] = OTHER,
    ['k'] = OTHER,
    ['l'] = OTHER,
    ['m'] = OTHER,
    ['n'] = OTHER,
    ['o'] = VOWEL,
    ['p'] = OTHER,
    ['q'] = OTHER,
    ['r'] = OTHER,
    ['s'] = OTHER,
    ['t'] = OTHER,
    ['u'] = VOWEL,
    ['v'] = OTHER,
    ['w'] = OTHER,
    ['x'] = OTHER,
    ['y'] = OTHER,
    ['z'] = OTHER,
};

bool maillog_drop_suffix(struct text *text, const char *suffix)
{
    size_t length = strlen(suffix);

    if (text->length < length ||
        memcmp(text->bytes + text->length - length, suffix, length) != 0) {
        return false;
    }
    text->length -= length;
    return true;
}

bool maillog_take_number(struct text *rest, int64_t *number)
{
    const size_t safe = rest->length < 17 ? rest->length : 17;
    int64_t value = 0;
    size_t digits = 0;

    while (digits < safe && maillog_is_digit(rest->bytes[digits])) {
        value = value * 10 + (rest->bytes[digits++] - '0');
    }
    /* from here on it could be too large */
    while (digits >= 17 && digits < rest->length &&
           maillog_is_digit(rest->bytes[digits])) {
        value = value >= INT64_MAX / 100
                    ? INT64_MAX / 10
                    : value * 10 + (rest->bytes[digits] - '0');
        digits++;
    }
    *number = value;
    maillog_skip(rest, digits);
    return digits > 0;
}

/* Behind the quoted string that begins at i; length: it does not end. */
static size_t skip_quoted(struct text text, size_t i)
{
    for (i++; i < text.length; i++) {
        if (text.bytes[i] == '\\') {
            i++;
        } else if (text.bytes[i] == '"') {
            return i + 1;
        }
    }
    return text.length;
}

static bool take_odd_path(struct text *rest, struct text *address)
{
    size_t i = 0;

    while (i < rest->length && rest->bytes[i] != '>') {
        if (rest->bytes[i] == '"') {
            i = skip_quoted(*rest, i);
        } else if (rest->bytes[i] == '@' && i + 1 < rest->length &&
                   rest->bytes[i + 1] == '[') {
            while (i < rest->length && rest->bytes[i] != ']') {
                i++;
            }
        } else {
            i++;
        }
    }
    if (i >= rest->length) {
        return false;
    }
    address->bytes = rest->bytes;
    address->length = i;
    maillog_skip(rest, i + 1);
    return true;
}

bool maillog_take_path(struct text *rest, struct text *address)
{
    const char *end =
        rest->length == 0 ? NULL : memchr(rest->bytes, '>', rest->length);
    size_t length;

    if (end == NULL) {
        return false;
    }
    length = (size_t)(end - rest->bytes);
    if (length > 0 && (memchr(rest->bytes, '"', length) != NULL ||
                       memchr(rest->bytes, '[', length) != NULL)) {
        return take_odd_path(rest, address);
    }
    address->bytes = rest->bytes;
    address->length = length;
    maillog_skip(rest, length + 1);
    return true;
}

bool maillog_is_ip(struct text text)
{
    unsigned any = 0;

    for (size_t i = 0; i < text.length; i++) {
        unsigned kind = maillog_byte(text.bytes[i]);

        if ((kind & MAILLOG_BYTE_IP) == 0) {
            return false; /* "private/lmtp", also "fe80::1%eth0" */
        }
        any |= kind;
    }
    return text.length >= 2 && text.length <= 45 &&
           (any & MAILLOG_BYTE_POINT) != 0;
}

bool maillog_take_peer(struct text *rest, struct text *name, struct text *ip)
{
    struct text left = *rest;
    struct text taken = maillog_take_until(&left, '[');
    struct text address = maillog_take_until(&left, ']');

    if (taken.bytes == NULL || address.bytes == NULL ||
        (taken.length > 0 && memchr(taken.bytes, ' ', taken.length) != NULL)) {
        return false;
    }
    if (taken.length > 0) {
        *name = taken;
    }
    if (MAILLOG_BEGINS(address, "IPv6:")) {
        maillog_skip(&address, 5);
    }
    if (maillog_is_ip(address)) {
        *ip = address;
    }
    *rest = left;
    return true;
}

size_t maillog_word_length(struct text text)
{
    size_t most = text.length < 33 ? text.length : 33;
    size_t length = 0;

    while (length < most &&
           (maillog_byte(text.bytes[length]) & MAILLOG_BYTE_WORD) != 0) {
        length++;
    }
    return length > 32 ? 0 : length;
}
