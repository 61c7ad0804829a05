#include "maillog_position.h"

#include "decimal.h"
#include "fnv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CRC_POLYNOMIAL 0xedb88320U /* IEEE 802.3, lowest bit first */

static const char *const kind_words[] = {
    [MAILLOG_POSITION_FILE] = "file:",
    [MAILLOG_POSITION_JOURNAL] = "journal:",
    [MAILLOG_POSITION_STREAM] = "stream:",
};

/* Tells sources of one host apart, nothing more. */
uint64_t maillog_position_source(const char *source)
{
    return fnv_add(FNV_BEGIN, text_of(source));
}

/* Bit by bit: there are never more than MAILLOG_HEAD bytes. */
uint32_t maillog_position_crc(const char *bytes, size_t length)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < length; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (CRC_POLYNOMIAL & (0U - (crc & 1U)));
        }
    }
    return ~crc;
}

size_t maillog_position_format_prefix(const struct maillog_position *position,
                                      char text[MAILLOG_POSITION_SIZE])
{
    int length = snprintf(text, MAILLOG_POSITION_SIZE, "%s%016" PRIx64 ":",
                          kind_words[position->kind], position->source);

    if (length > 0 && position->kind == MAILLOG_POSITION_FILE) {
        length += snprintf(
            text + length, MAILLOG_POSITION_SIZE - (size_t)length,
            "%" PRIx64 ":%" PRIx64 ":%08" PRIx32 ":%" PRIu32 ":%" PRId64 ":",
            position->device, position->inode, position->crc,
            position->crc_length, position->modified_us);
    }
    return length < 0 ? 0 : (size_t)length;
}

/* It is done for each line. */
size_t maillog_position_put_offset(char text[MAILLOG_POSITION_SIZE],
                                   size_t prefix_length, int64_t offset)
{
    size_t count = decimal_digits((uint64_t)offset);

    if (prefix_length + count >= MAILLOG_POSITION_SIZE) {
        return prefix_length;
    }
    text[prefix_length + count] = '\0';
    return prefix_length +
           decimal_put_before(text + prefix_length + count, (uint64_t)offset);
}

size_t maillog_position_format(const struct maillog_position *position,
                               char text[MAILLOG_POSITION_SIZE])
{
    size_t length = maillog_position_format_prefix(position, text);

    if (position->kind == MAILLOG_POSITION_JOURNAL) {
        size_t cursor = strlen(position->cursor);

        memcpy(text + length, position->cursor, cursor + 1);
    } else {
        (void)maillog_position_put_offset(text, length, position->offset);
    }
    return length + strlen(text + length);
}

static int digit_of(char character, unsigned base)
{
    static const char digits[] = "0123456789abcdef";
    const char *found =
        character == '\0' ? NULL : memchr(digits, character, base);

    return found == NULL ? -1 : (int)(found - digits);
}

/* A number without needless zeros, or of exactly `width` digits. */
static bool take_number(const char **at, unsigned base, size_t width,
                        uint64_t highest, uint64_t *number)
{
    const char *begin = *at;
    uint64_t value = 0;
    size_t length;

    for (; digit_of(**at, base) >= 0; (*at)++) {
        uint64_t digit = (uint64_t)digit_of(**at, base);

        if (value > (highest - digit) / base) {
            return false;
        }
        value = value * base + digit;
    }
    length = (size_t)(*at - begin);
    *number = value;
    return width > 0 ? length == width
                     : length == 1 || (length > 1 && *begin != '0');
}

static bool take_colon(const char **at)
{
    return *(*at)++ == ':';
}

static bool take_kind(const char **at, enum maillog_position_kind *kind)
{
    for (int i = MAILLOG_POSITION_FILE; i <= MAILLOG_POSITION_STREAM; i++) {
        size_t length = strlen(kind_words[i]);

        if (strncmp(*at, kind_words[i], length) == 0) {
            *at += length;
            *kind = (enum maillog_position_kind)i;
            return true;
        }
    }
    return false;
}

static bool take_file(const char **at, struct maillog_position *position)
{
    uint64_t crc, length, modified;

    if (!take_number(at, 16, 0, UINT64_MAX, &position->device) ||
        !take_colon(at) ||
        !take_number(at, 16, 0, UINT64_MAX, &position->inode) ||
        !take_colon(at) || !take_number(at, 16, 8, UINT32_MAX, &crc) ||
        !take_colon(at) || !take_number(at, 10, 0, MAILLOG_HEAD, &length) ||
        !take_colon(at) || !take_number(at, 10, 0, INT64_MAX, &modified) ||
        !take_colon(at)) {
        return false;
    }
    position->crc = (uint32_t)crc;
    position->crc_length = (uint32_t)length;
    position->modified_us = (int64_t)modified;
    return true;
}

static bool take_cursor(const char **at, struct maillog_position *position)
{
    size_t length = strlen(*at);

    if (length >= sizeof position->cursor) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if ((*at)[i] <= ' ' || (*at)[i] > '~') {
            return false;
        }
    }
    memcpy(position->cursor, *at, length + 1);
    *at += length;
    return true;
}

bool maillog_position_parse(const char *text, struct maillog_position *position)
{
    const char *at = text;
    uint64_t offset = 0;

    memset(position, 0, sizeof *position);
    if (!take_kind(&at, &position->kind) ||
        !take_number(&at, 16, 16, UINT64_MAX, &position->source) ||
        !take_colon(&at)) {
        return false;
    }
    if (position->kind == MAILLOG_POSITION_JOURNAL) {
        return take_cursor(&at, position);
    }
    if ((position->kind == MAILLOG_POSITION_FILE &&
         !take_file(&at, position)) ||
        !take_number(&at, 10, 0, INT64_MAX, &offset)) {
        return false;
    }
    position->offset = (int64_t)offset;
    return *at == '\0';
}

bool maillog_position_same(const struct maillog_position *a,
                           const struct maillog_position *b)
{
    if (a->kind != b->kind || a->source != b->source) {
        return false;
    }
    if (a->kind == MAILLOG_POSITION_JOURNAL) {
        return strcmp(a->cursor, b->cursor) == 0;
    }
    if (a->kind == MAILLOG_POSITION_STREAM) {
        return a->offset == b->offset;
    }
    return a->offset == b->offset && a->crc == b->crc &&
           a->crc_length == b->crc_length &&
           (a->crc_length > 0 ||
            (a->device == b->device && a->inode == b->inode));
}
