#include "reply_text.h"

#include "reply_text_mask.h"

#include <glib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define REPLACEMENT 0xfffd

/* --- clean text: UTF-8, lower case, single blanks ---------------------- */

struct clean {
    size_t used;
    bool after_invalid;
    char bytes[REPLY_TEXT_CLEAN_MAX + 8]; /* a character is at most 6 */
};

static void put_blank(struct clean *clean)
{
    if (clean->used > 0 && clean->bytes[clean->used - 1] != ' ') {
        clean->bytes[clean->used++] = ' ';
    }
}

/* What people type in ASCII, and programs make typographic. */
static gunichar fold(gunichar character)
{
    static const struct range {
        gunichar first, last;
        char ascii;
    } ranges[] = {
        {0x2010, 0x2015, '-'}, {0x2018, 0x201b, '\''}, {0x201c, 0x201f, '"'},
        {0x3001, 0x3001, ','}, {0x3002, 0x3002, '.'},  {0x3008, 0x3008, '<'},
        {0x3009, 0x3009, '>'},
    };

    if (character >= 0xff01 && character <= 0xff5e) { /* full width */
        return g_unichar_tolower(character - 0xff01 + '!');
    }
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (character >= ranges[i].first && character <= ranges[i].last) {
            return (gunichar)ranges[i].ascii;
        }
    }
    return g_unichar_tolower(character);
}

/* A character that is not ASCII; returns the bytes it takes. */
static size_t clean_wide(struct clean *clean, const char *bytes, size_t left)
{
    gunichar character = g_utf8_get_char_validated(bytes, (gssize)left);
    size_t length = 1;

    if (character >= 0x110000) { /* -1, -2: no UTF-8, or cut off */
        /* one for a run of them: how many there are tells nothing */
        if (!clean->after_invalid) {
            clean->used += (size_t)g_unichar_to_utf8(
                REPLACEMENT, clean->bytes + clean->used);
        }
        clean->after_invalid = true;
        return length;
    }
    clean->after_invalid = false;
    length = (size_t)g_utf8_skip[(unsigned char)bytes[0]];
    switch (g_unichar_type(character)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
    case G_UNICODE_SPACE_SEPARATOR:
        put_blank(clean);
        break;
    case G_UNICODE_FORMAT: /* soft hyphens, marks of direction */
        break;
    default:
        clean->used += (size_t)g_unichar_to_utf8(fold(character),
                                                 clean->bytes + clean->used);
        break;
    }
    return length;
}

#ifdef __SSE2__
/*
 * Sixteen bytes of ASCII at once, as long as no two blanks come together.
 * Returns how many bytes were taken; there is room for as many.
 */
static size_t clean_words(const char *bytes, size_t length, struct clean *clean)
{
    const __m128i before_a = _mm_set1_epi8('A' - 1);
    const __m128i behind_z = _mm_set1_epi8('Z' + 1);
    const __m128i blank = _mm_set1_epi8(' ');
    /* a blank is not put at the start, nor behind another one */
    int after_blank = clean->used == 0 || clean->bytes[clean->used - 1] == ' ';
    size_t taken = 0;

    for (; length - taken >= sizeof blank; taken += sizeof blank) {
        __m128i word;
        __m128i odd;
        __m128i upper;
        int blanks;

        memcpy(&word, bytes + taken, sizeof word);
        odd = _mm_or_si128(_mm_cmplt_epi8(word, blank), /* and high ones */
                           _mm_cmpeq_epi8(word, _mm_set1_epi8(0x7f)));
        blanks = _mm_movemask_epi8(_mm_cmpeq_epi8(word, blank));
        if (_mm_movemask_epi8(odd) != 0 ||
            (blanks & (blanks << 1 | after_blank)) != 0) {
            break;
        }
        after_blank = blanks >> 15;
        upper = _mm_and_si128(_mm_cmpgt_epi8(word, before_a),
                              _mm_cmplt_epi8(word, behind_z));
        word = _mm_add_epi8(word, _mm_and_si128(upper, blank)); /* 'a' - 'A' */
        memcpy(clean->bytes + clean->used, &word, sizeof word);
        clean->used += sizeof word;
    }
    return taken;
}
#else
static size_t clean_words(const char *bytes, size_t length, struct clean *clean)
{
    (void)bytes;
    (void)length;
    (void)clean;
    return 0;
}
#endif

/* Those in front; returns how many bytes were taken. */
static size_t clean_ascii(const char *bytes, size_t length, struct clean *clean)
{
    size_t room = REPLY_TEXT_CLEAN_MAX - clean->used;
    size_t most = length < room ? length : room;
    size_t taken = clean_words(bytes, most, clean);

    for (; taken < most && (unsigned char)bytes[taken] < 0x80; taken++) {
        unsigned char byte = (unsigned char)bytes[taken];

        if (byte <= ' ' || byte == 0x7f) {
            put_blank(clean);
        } else {
            clean->bytes[clean->used++] =
                (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
        }
    }
    return taken;
}

/* Returns how many bytes of the reply were taken. */
static size_t clean_up(struct text reply, struct clean *clean)
{
    size_t taken = 0;
    size_t most = reply.length < REPLY_TEXT_INPUT_MAX ? reply.length
                                                      : REPLY_TEXT_INPUT_MAX;

    while (taken < most && clean->used < REPLY_TEXT_CLEAN_MAX) {
        if (((unsigned char)reply.bytes[taken] & 0x80) != 0) {
            taken += clean_wide(clean, reply.bytes + taken, most - taken);
        } else {
            clean->after_invalid = false;
            taken += clean_ascii(reply.bytes + taken, most - taken, clean);
        }
    }
    return taken;
}

/* --- code and enhanced status in front --------------------------------- */

static struct text skip(struct text text, size_t length)
{
    text.bytes += length;
    text.length -= length;
    return text;
}

/* "smtp; 550 …", "x-unix; …": the type of a Diagnostic-Code. */
static struct text skip_type(struct text text)
{
    static const char *const types[] = {"smtp;", "lmtp;", "x-"};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t length = strlen(types[i]);
        size_t most = text.length < 32 ? text.length : 32;
        const char *end;

        if (text.length < length || memcmp(text.bytes, types[i], length) != 0) {
            continue;
        }
        end = memchr(text.bytes, ';', most);
        if (end != NULL &&
            memchr(text.bytes, ' ', (size_t)(end - text.bytes)) == NULL) {
            return skip(text, (size_t)(end - text.bytes) + 1);
        }
    }
    return text;
}

/* "host mx.example.org[192.0.2.1] said: 550 …" */
static struct text find_said(struct text text)
{
    static const char said[] = " said: ";
    const char *found = text.length == 0 ? NULL
                                         : memmem(text.bytes, text.length, said,
                                                  sizeof said - 1);
    struct smtp_reply reply;
    struct text rest;

    if (found == NULL) {
        return text;
    }
    rest = skip(text, (size_t)(found - text.bytes) + sizeof said - 1);
    smtp_reply_parse(rest, &reply);
    return reply.code == 0 ? text : rest;
}

/* "550 #5.1.0 …", "#550 5.1.1 …" */
static void take_marked(struct smtp_reply *reply)
{
    struct smtp_reply marked;

    if (reply->text.length < 2 || reply->text.bytes[0] != '#' ||
        reply->enhanced_status[0] != '\0') {
        return;
    }
    smtp_reply_parse(skip(reply->text, 1), &marked);
    if (marked.code != 0 && reply->code != 0) {
        return;
    }
    if (marked.code != 0 || marked.enhanced_status[0] != '\0') {
        marked.code = marked.code == 0 ? reply->code : marked.code;
        *reply = marked;
    }
}

static struct text take_codes(struct text clean, struct reply_text *text)
{
    struct smtp_reply reply;

    clean = skip_type(clean);
    smtp_reply_parse(clean, &reply);
    if (reply.code == 0) {
        smtp_reply_parse(find_said(clean), &reply);
    }
    take_marked(&reply);
    text->code = reply.code;
    memcpy(text->enhanced_status, reply.enhanced_status,
           sizeof text->enhanced_status);
    return reply.text;
}

/* ----------------------------------------------------------------------- */

/* At most length bytes, whole characters. */
static size_t fit(const char *bytes, size_t length)
{
    while (length > 0 && ((unsigned char)bytes[length] & 0xc0) == 0x80) {
        length--;
    }
    return length;
}

void reply_text_normalise(struct text reply, struct reply_text *text)
{
    struct clean clean;
    struct text rest;
    size_t taken;

    clean.used = 0;
    clean.after_invalid = false;
    text->cut = false;
    text->length = 0;
    taken = reply.bytes == NULL ? 0 : clean_up(reply, &clean);
    rest = take_codes((struct text){clean.bytes, clean.used}, text);
    reply_text_mask(rest, text);
    if (taken < reply.length) {
        text->cut = true;
    }
    while (text->length > 0 && text->bytes[text->length - 1] == ' ') {
        text->length--;
    }
    text->bytes[text->length] = '\0';
}

struct text reply_text_listed(const struct reply_text *text)
{
    struct text listed = {text->bytes, text->length};

    if (listed.length > REPLY_TEXT_LISTED_MAX) {
        listed.length = fit(text->bytes, REPLY_TEXT_LISTED_MAX);
    }
    return listed;
}
