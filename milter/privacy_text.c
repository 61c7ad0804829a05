#include "privacy_text.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define WORD_MIN 2 /* bytes: one letter is an article, or an initial */

struct masking {
    struct text text;
    const struct text *words;
    size_t word_count;
    size_t at; /* all before is written */
    char *buffer;
    size_t used, size;
};

/* ---- bytes ---- */

static bool is_name(char byte)
{
    return g_ascii_isalnum(byte) || (byte & 0x80) != 0;
}

static bool is_local(char byte)
{
    return is_name(byte) ||
           (byte != '\0' && strchr("!#$%&'*+/=?^_`{|}~.-", byte) != NULL);
}

static bool is_domain(char byte)
{
    return is_name(byte) || byte == '-' || byte == '.' || byte == '_';
}

/* False when there is no room: then nothing more is written. */
static bool put(struct masking *masking, const char *bytes, size_t length)
{
    if (length > masking->size - masking->used) {
        masking->size = masking->used;
        return false;
    }
    memcpy(masking->buffer + masking->used, bytes, length);
    masking->used += length;
    return true;
}

/* As it is, up to end; a character that does not fit as a whole is left out. */
static void put_plain(struct masking *masking, size_t end)
{
    size_t length = end - masking->at;
    size_t room = masking->size - masking->used;
    const char *from = masking->text.bytes + masking->at;

    masking->at = end;
    if (length > room) {
        for (length = room;
             length > 0 && ((unsigned char)from[length] & 0xc0U) == 0x80U;) {
            length--;
        }
        (void)put(masking, from, length);
        masking->size = masking->used;
    } else if (length > 0) {
        (void)put(masking, from, length);
    }
}

/* What is in brackets goes with them, as the mask has its own. */
static void put_mask(struct masking *masking, size_t begin, size_t end)
{
    const char *bytes = masking->text.bytes;

    if (begin > masking->at && bytes[begin - 1] == '<' &&
        end < masking->text.length && bytes[end] == '>') {
        begin--;
        end++;
    }
    put_plain(masking, begin);
    (void)put(masking, PRIVACY_TEXT_MASK, strlen(PRIVACY_TEXT_MASK));
    masking->at = end;
}

/* ---- addresses ---- */

/* Where the local part before "@" begins, not before what is written. */
static size_t local_begin(const struct masking *masking, size_t at)
{
    const char *bytes = masking->text.bytes;
    size_t begin = at;

    if (at > masking->at + 1 && bytes[at - 1] == '"') {
        for (begin = at - 1; begin > masking->at; begin--) {
            if (bytes[begin - 1] == '"' &&
                (begin - 1 == masking->at || bytes[begin - 2] != '\\')) {
                return begin - 1;
            }
        }
        begin = at - 1; /* it has no beginning: up to here */
    }
    while (begin > masking->at && is_local(bytes[begin - 1])) {
        begin--;
    }
    return begin;
}

static size_t domain_end(const struct masking *masking, size_t at)
{
    const char *bytes = masking->text.bytes;
    const size_t length = masking->text.length;
    size_t end = at;

    if (end < length && bytes[end] == '[') {
        while (end < length && bytes[end] != ']' && bytes[end] != ' ') {
            end++;
        }
        return end < length && bytes[end] == ']' ? end + 1 : end;
    }
    while (end < length && is_domain(bytes[end])) {
        end++;
    }
    while (end > at && (bytes[end - 1] == '.' || bytes[end - 1] == '-')) {
        end--;
    }
    return end;
}

/* At "@"; behind it when it belongs to no address. */
static size_t mask_address(struct masking *masking, size_t at)
{
    size_t begin = local_begin(masking, at);
    size_t end = domain_end(masking, at + 1);

    if (begin == at) {
        return at + 1;
    }
    put_mask(masking, begin, end);
    return masking->at;
}

/* ---- words ---- */

/* The word at a place where one begins; 0: none of those. */
static size_t word_length(const struct masking *masking, size_t at)
{
    const struct text *text = &masking->text;

    for (size_t i = 0; i < masking->word_count; i++) {
        const struct text word = masking->words[i];

        if (word.length >= WORD_MIN && word.length <= text->length - at &&
            strncasecmp(text->bytes + at, word.bytes, word.length) == 0 &&
            (at + word.length == text->length ||
             !is_name(text->bytes[at + word.length]))) {
            return word.length;
        }
    }
    return 0;
}

/* Whether what begins at a place goes on to an "@"; *known ends behind it. */
static bool is_in_address(const struct masking *masking, size_t at,
                          size_t *known)
{
    const struct text *text = &masking->text;

    if (at >= *known) {
        *known = at;
        while (*known < text->length && is_local(text->bytes[*known])) {
            (*known)++;
        }
    }
    return *known < text->length && text->bytes[*known] == '@';
}

size_t privacy_text_mask(struct text text, const struct text *words,
                         size_t word_count, char *buffer, size_t size)
{
    struct masking masking = {.text = text,
                              .words = words,
                              .word_count = word_count,
                              .buffer = buffer,
                              .size = size};
    size_t known = 0;

    for (size_t at = 0; at < text.length && masking.used < masking.size;) {
        size_t length = 0;

        if (text.bytes[at] == '@') {
            at = mask_address(&masking, at);
            continue;
        }
        if (at == 0 || !is_name(text.bytes[at - 1])) {
            length = word_length(&masking, at);
        }
        if (length > 0 && !is_in_address(&masking, at, &known)) {
            put_mask(&masking, at, at + length);
            at = masking.at;
        } else {
            at++;
        }
    }
    put_plain(&masking, text.length);
    return masking.used;
}

struct text privacy_text_local(struct text address)
{
    for (size_t i = address.length; address.bytes != NULL && i > 0; i--) {
        if (address.bytes[i - 1] == '@') {
            return (struct text){address.bytes, i - 1};
        }
    }
    return address;
}
