#include "clock.h"
#include "decimal.h"
#include "event_json.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LINE_END     ",\"cut\":true}\n" /* the longest end of a line */
#define ESCAPE_MAX   12                 /* a surrogate pair: \ud83d\ude00 */
#define MEMBER_EXTRA 16                 /* ,"":"" and _base64 */
#define ROOMY        64 /* a name and a number, or a name and its opening, fit */

/* A line in the making; full leaves room for LINE_END. */
struct writer {
    char *at;
    char *full;
    bool cut;
};

static inline size_t left(const struct writer *writer)
{
    return (size_t)(writer->full - writer->at);
}

static inline void put(struct writer *writer, const char *bytes, size_t length)
{
    memcpy(writer->at, bytes, length);
    writer->at += length;
}

#define PUT(writer, literal) put((writer), "" literal "", sizeof(literal) - 1)

/* What stands on the line as it is: most of what comes. */
static bool is_plain(char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

/*
 * Several bytes at once. A word that is not plain as a whole is looked at more
 * closely.
 */
#ifdef __SSE2__
typedef __m128i word;

static inline bool are_plain(word bytes)
{
    word odd = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));

    odd = _mm_or_si128(odd, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    odd = _mm_or_si128(odd, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
    /* signed: above 0x7f is less, too */
    odd = _mm_or_si128(odd, _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
    return _mm_movemask_epi8(odd) == 0;
}

static inline bool both_plain(uint64_t first, uint64_t last)
{
    return are_plain(_mm_set_epi64x((long long)first, (long long)last));
}
#else
typedef uint64_t word;

static inline bool are_plain(word bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = UINT64_C(0x8080808080808080);
    uint64_t quote = bytes ^ (ones * '"');
    uint64_t backslash = bytes ^ (ones * '\\');

    return ((bytes | (bytes - ones * 0x20) | (bytes + ones) | (quote - ones) |
             (backslash - ones)) &
            tops) == 0;
}

static inline bool both_plain(uint64_t first, uint64_t last)
{
    return are_plain(first) && are_plain(last);
}
#endif

static inline size_t copy_plain_bytes(char *target, struct text text)
{
    size_t length = 0;

    while (length < text.length && is_plain(text.bytes[length])) {
        target[length] = text.bytes[length];
        length++;
    }
    return length;
}

/* False: not all that begins at bytes is plain. */
static inline bool copy_word(char *target, const char *bytes)
{
    word taken;

    memcpy(&taken, bytes, sizeof taken);
    memcpy(target, &taken, sizeof taken);
    return are_plain(taken);
}

/* Less than 16 bytes: in two parts that overlap. */
static inline size_t copy_short(char *target, struct text text)
{
    uint64_t first = 0;
    uint64_t last = 0;
    size_t part = text.length < sizeof first ? 4 : sizeof first;

    if (text.length < part) {
        return copy_plain_bytes(target, text);
    }
    if (part == 4) {
        uint32_t half;

        memcpy(&half, text.bytes, sizeof half);
        memcpy(target, &half, sizeof half);
        first = half;
        memcpy(&half, text.bytes + text.length - sizeof half, sizeof half);
        memcpy(target + text.length - sizeof half, &half, sizeof half);
        first |= (uint64_t)half << 32;
        last = first;
    } else {
        memcpy(&first, text.bytes, sizeof first);
        memcpy(&last, text.bytes + text.length - sizeof last, sizeof last);
        memcpy(target, &first, sizeof first);
        memcpy(target + text.length - sizeof last, &last, sizeof last);
    }
    return both_plain(first, last) ? text.length
                                   : copy_plain_bytes(target, text);
}

/*
 * Copies what is plain at the front of text, for which there is room; returns
 * how many bytes that were. The last word overlaps the one before.
 */
static inline size_t copy_plain(char *target, struct text text)
{
    const size_t step = sizeof(word);
    size_t length = 0;

    if (text.length < 16) {
        return copy_short(target, text);
    }
    while (length + step <= text.length &&
           copy_word(target + length, text.bytes + length)) {
        length += step;
    }
    if (length + step > text.length &&
        copy_word(target + text.length - step,
                  text.bytes + text.length - step)) {
        return text.length;
    }
    return length + copy_plain_bytes(target + length,
                                     (struct text){text.bytes + length,
                                                   text.length - length});
}

/* The escape of one character; returns its length. */
static size_t escape(gunichar character, char out[ESCAPE_MAX + 1])
{
    int length;

    if (character >= 0x20 && character < 0x7f) {
        size_t used = 0;

        if (character == '"' || character == '\\') {
            out[used++] = '\\';
        }
        out[used++] = (char)character;
        return used;
    }
    if (character < 0x10000) {
        length = snprintf(out, ESCAPE_MAX + 1, "\\u%04x", character);
    } else {
        gunichar rest = character - 0x10000;

        length = snprintf(out, ESCAPE_MAX + 1, "\\u%04x\\u%04x",
                          0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
    }
    return length > 0 ? (size_t)length : 0;
}

/*
 * Writes what is valid up to the first bad byte; false when the line is
 * full.
 */
static bool put_valid(struct writer *writer, const char *bytes, const char *end)
{
    while (bytes < end) {
        char out[ESCAPE_MAX + 1];
        size_t length = escape(g_utf8_get_char(bytes), out);

        if (length + 1 > left(writer)) {
            writer->cut = true;
            return false;
        }
        put(writer, out, length);
        bytes += g_utf8_skip[(unsigned char)*bytes];
    }
    return true;
}

/*
 * What is from position on, where not all is plain, or not all has room.
 * Returns whether all bytes stand on the line as they are.
 */
static bool put_odd(struct writer *writer, const char *position,
                    const char *end)
{
    bool exact = true;

    while (position < end) {
        const char *bad;

        (void)g_utf8_validate_len(position, (gsize)(end - position), &bad);
        if (!put_valid(writer, position, bad)) {
            return exact;
        }
        position = bad;
        if (position < end) {
            exact = false;
            position++;
            if (left(writer) < 7) {
                writer->cut = true;
                return exact;
            }
            PUT(writer, "\\ufffd");
        }
    }
    return exact;
}

/* end_length: of what stands between the name and the value */
static inline bool open_member(struct writer *writer,
                               const struct event_member *member,
                               size_t end_length)
{
    if (member->name_length + end_length + MEMBER_EXTRA > left(writer)) {
        writer->cut = true;
        return false;
    }
    if (left(writer) >= EVENT_OPENING) { /* its length is known: no call */
        memcpy(writer->at, member->opening, EVENT_OPENING);
    } else {
        memcpy(writer->at, member->opening,
               member->name_length + end_length + 2);
    }
    writer->at += member->name_length + end_length + 2;
    return true;
}

static void put_base64(struct writer *writer, const struct event_member *member,
                       struct text text)
{
    gchar *encoded = g_base64_encode((const guchar *)text.bytes, text.length);
    size_t length = strlen(encoded);

    if (length + member->name_length + MEMBER_EXTRA > left(writer) ||
        member->name_length + strlen("_base64\":\"") + MEMBER_EXTRA >
            left(writer)) {
        writer->cut = true;
    } else {
        put(writer, member->opening, member->name_length + 2);
        PUT(writer, "_base64\":\"");
        put(writer, encoded, length);
        PUT(writer, "\"");
    }
    g_free(encoded);
}

/*
 * Where a text that is too long ends: not inside a character, if the bytes
 * there are UTF-8 at all.
 */
static size_t cut_length(struct text text, size_t limit)
{
    size_t length = limit;

    while (length > limit - 4 &&
           ((unsigned char)text.bytes[length] & 0xc0) == 0x80) {
        length--;
    }
    return ((unsigned char)text.bytes[length] & 0xc0) == 0x80 ? limit : length;
}

static void put_long_text(struct writer *writer,
                          const struct event_member *member, struct text text)
{
    if (text.length > member->limit) {
        text.length = cut_length(text, member->limit);
        writer->cut = true;
    }
    if (open_member(writer, member, sizeof "\":\"" - 1)) {
        bool exact = put_odd(writer, text.bytes, text.bytes + text.length);

        *writer->at++ = '"';
        if (!exact) {
            put_base64(writer, member, text);
        }
    }
}

/* Most texts are neither too long, nor is there too little room. */
static inline void put_text(struct writer *writer,
                            const struct event_member *member, struct text text)
{
    size_t plain;
    bool exact;

    if (text.length > member->limit ||
        text.length + EVENT_OPENING + MEMBER_EXTRA > left(writer)) {
        put_long_text(writer, member, text);
        return;
    }
    memcpy(writer->at, member->opening, EVENT_OPENING);
    writer->at += member->name_length + sizeof ",\"\":\"" - 1;
    plain = copy_plain(writer->at, text);
    writer->at += plain;
    exact = plain == text.length ||
            put_odd(writer, text.bytes + plain, text.bytes + text.length);
    *writer->at++ = '"';
    if (!exact) {
        put_base64(writer, member, text);
    }
}

/* At the end of digits; returns where it begins. */
static inline size_t write_integer(int64_t value, char digits[24])
{
    size_t at =
        24 - decimal_put_before(digits + 24,
                                value < 0 ? -(uint64_t)value : (uint64_t)value);

    if (value < 0) {
        digits[--at] = '-';
    }
    return at;
}

static inline void put_number(struct writer *writer,
                              const struct event_member *member, int64_t value)
{
    char digits[24];
    const char *shown = digits;
    size_t length;

    if (member->kind == EVENT_MEMBER_BOOLEAN) {
        shown = value != 0 ? "true" : "false";
        length = value != 0 ? 4 : 5;
    } else if (value >= 0 && value < 10 && left(writer) >= ROOMY) {
        (void)open_member(writer, member, sizeof "\":" - 1);
        *writer->at++ = (char)('0' + value);
        return;
    } else {
        size_t at = write_integer(value, digits);

        shown += at;
        length = sizeof digits - at;
    }
    if (length + member->name_length + MEMBER_EXTRA > left(writer)) {
        writer->cut = true;
    } else if (open_member(writer, member, sizeof "\":" - 1)) {
        put(writer, shown, length);
    }
}

/* A bit for each member that the event has, in the order of the line. */
struct present {
    uint64_t bits[(EVENT_MEMBERS + 63) / 64];
};

enum member_index {
#define INDEX(member)             INDEX_OF_##member,
#define INDEX_TEXT(member, limit) INDEX(member)
    EVENT_ROWS(INDEX_TEXT, INDEX, INDEX)
};

/* Without a branch, as no two events are alike. */
static inline struct present members_of(const struct event *event)
{
    struct present present = {{0}};

#define ADD(member, is_there)                                                  \
    present.bits[INDEX_OF_##member / 64] |= (uint64_t)(is_there)               \
                                            << INDEX_OF_##member % 64;
#define ADD_TEXT(member, limit) ADD(member, event->member.bytes != NULL)
#define ADD_NUMBER(member)      ADD(member, event->member != EVENT_UNKNOWN)
    EVENT_ROWS(ADD_TEXT, ADD_NUMBER, ADD_NUMBER)
    return present;
}

static inline void put_member(struct writer *writer, const struct event *event,
                              const struct event_member *member)
{
    const char *value = (const char *)event + member->offset;

    if (member->kind == EVENT_MEMBER_TEXT) {
        struct text text;

        memcpy(&text, value, sizeof text);
        put_text(writer, member, text);
    } else {
        int64_t number;

        memcpy(&number, value, sizeof number);
        put_number(writer, member, number);
    }
}

static void put_members(struct writer *writer, const struct event *event)
{
    struct present present = members_of(event);

    for (size_t i = 0; i < sizeof present.bits / sizeof present.bits[0]; i++) {
        uint64_t bits = present.bits[i];

        for (; bits != 0; bits &= bits - 1) {
            size_t index = 64 * i + (size_t)__builtin_ctzll(bits);

            put_member(writer, event, &event_members[index]);
        }
    }
}

size_t event_json_encode_tail(const struct event *event, char *tail,
                              size_t size)
{
    struct writer writer = {tail, tail + size - (sizeof LINE_END - 1), false};
    const char *name = event_type_name(event->type);

    PUT(&writer, "\"timestamp\":\"");
    clock_format(event->timestamp_us, writer.at);
    writer.at += CLOCK_TIMESTAMP_SIZE - 1;
    PUT(&writer, "\",\"event_id\":\"");
    put(&writer, event->event_id, strlen(event->event_id));
    PUT(&writer, "\",\"type\":\"");
    put(&writer, name, strlen(name));
    PUT(&writer, "\"");
    put_members(&writer, event);
    if (writer.cut) {
        PUT(&writer, LINE_END);
    } else {
        PUT(&writer, "}\n");
    }
    return (size_t)(writer.at - tail);
}

size_t event_json_head(int64_t seq, char head[EVENT_JSON_HEAD])
{
    static const char begin[] = "{\"schema\":\"" EVENT_SCHEMA "\",\"seq\":";
    char digits[24];
    size_t at = write_integer(seq, digits);
    size_t length = sizeof begin - 1;

    memcpy(head, begin, length);
    memcpy(head + length, digits + at, sizeof digits - at);
    length += sizeof digits - at;
    head[length++] = ',';
    return length;
}

size_t event_json_encode(const struct event *event, char line[EVENT_LINE_MAX])
{
    size_t head = event_json_head(event->seq, line);

    return head + event_json_encode_tail(event, line + head, EVENT_TAIL_MAX);
}
