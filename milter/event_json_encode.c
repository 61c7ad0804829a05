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
#define ROOMY        72                 /* a name and any number have room */

/* The many rows of an event call one copier, and each has all else itself. */
#define INLINE     inline __attribute__((always_inline))
#define NOT_INLINE __attribute__((noinline))

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

/* Several bytes at once: in odd something remains of those that are not plain.
 */
#ifdef __SSE2__
typedef __m128i word;

static inline word odd_of(word bytes)
{
    word quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    word backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    /* signed: 0x7f, one more, is less than all, and so is what is above */
    word other = _mm_cmplt_epi8(_mm_add_epi8(bytes, _mm_set1_epi8(1)),
                                _mm_set1_epi8(0x21));

    return _mm_or_si128(_mm_or_si128(quote, backslash), other);
}

static inline bool is_any(word odd)
{
    return _mm_movemask_epi8(odd) != 0;
}

static inline word either(word one, word other)
{
    return _mm_or_si128(one, other);
}

static inline bool both_plain(uint64_t first, uint64_t last)
{
    return !is_any(odd_of(_mm_set_epi64x((long long)first, (long long)last)));
}
#else
typedef uint64_t word;

static inline word odd_of(word bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = UINT64_C(0x8080808080808080);
    uint64_t quote = bytes ^ (ones * '"');
    uint64_t backslash = bytes ^ (ones * '\\');

    return (bytes | (bytes - ones * 0x20) | (bytes + ones) | (quote - ones) |
            (backslash - ones)) &
           tops;
}

static inline bool is_any(word odd)
{
    return odd != 0;
}

static inline word either(word one, word other)
{
    return one | other;
}

static inline bool both_plain(uint64_t first, uint64_t last)
{
    return !is_any(odd_of(first) | odd_of(last));
}
#endif

/* Copies a word; what of it is not plain. */
static inline word copy_word(char *target, const char *bytes)
{
    word taken;

    memcpy(&taken, bytes, sizeof taken);
    memcpy(target, &taken, sizeof taken);
    return odd_of(taken);
}

/* Less than 16 bytes: in two parts that overlap. */
static inline bool copy_short(char *target, const char *bytes, size_t length)
{
    uint64_t first;
    uint64_t last;
    uint32_t half;

    if (length >= sizeof first) {
        memcpy(&first, bytes, sizeof first);
        memcpy(&last, bytes + length - sizeof last, sizeof last);
        memcpy(target, &first, sizeof first);
        memcpy(target + length - sizeof last, &last, sizeof last);
        return both_plain(first, last);
    }
    if (length >= sizeof half) {
        memcpy(&half, bytes, sizeof half);
        memcpy(target, &half, sizeof half);
        first = half;
        memcpy(&half, bytes + length - sizeof half, sizeof half);
        memcpy(target + length - sizeof half, &half, sizeof half);
        first |= (uint64_t)half << 32;
        return both_plain(first, first);
    }
    for (size_t i = 0; i < length; i++) {
        if (!is_plain(bytes[i])) {
            return false;
        }
        target[i] = bytes[i];
    }
    return true;
}

/*
 * Copies text, for which there is room, if all of it is plain; else something
 * of it. The last word overlaps the one before.
 */
static NOT_INLINE bool copy_plain(char *target, const char *bytes,
                                  size_t length)
{
    const size_t step = sizeof(word);
    size_t done = step;
    word odd;

    if (length < 16) {
        return copy_short(target, bytes, length);
    }
    odd = copy_word(target, bytes);
    for (; done + step < length; done += step) {
        odd = either(odd, copy_word(target + done, bytes + done));
    }
    odd = either(odd, copy_word(target + length - step, bytes + length - step));
    return !is_any(odd);
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

/* What has bytes that are not plain, is too long, or has not enough room. */
static NOT_INLINE void put_odd_text(struct writer *writer,
                                    const struct event_member *member,
                                    struct text text)
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

/* Most texts are plain, not too long, and have room. */
static INLINE void put_text(struct writer *writer,
                            const struct event_member *member,
                            size_t opening_length, size_t limit,
                            struct text text)
{
    char *value = writer->at + opening_length;

    if (text.length > limit ||
        text.length + EVENT_OPENING + MEMBER_EXTRA > left(writer)) {
        put_odd_text(writer, member, text);
        return;
    }
    memcpy(writer->at, member->opening, EVENT_OPENING);
    if (!copy_plain(value, text.bytes, text.length)) {
        put_odd_text(writer, member, text);
        return;
    }
    value[text.length] = '"';
    writer->at = value + text.length + 1;
}

#define INTEGER_MAX (DECIMAL_MAX + 1) /* with a sign */

/* Returns its length. */
static inline size_t put_integer(char *at, int64_t value)
{
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    size_t sign = value < 0 ? 1 : 0;

    *at = '-';
    return sign + decimal_put_before(at + sign + decimal_digits(size), size);
}

/* Returns its length. */
static inline size_t put_value(char *at, const struct event_member *member,
                               int64_t value)
{
    if (member->kind != EVENT_MEMBER_BOOLEAN) {
        return put_integer(at, value);
    }
    memcpy(at, value != 0 ? "true" : "false", 5);
    return value != 0 ? 4 : 5;
}

static NOT_INLINE void put_number(struct writer *writer,
                                  const struct event_member *member,
                                  int64_t value)
{
    char shown[INTEGER_MAX];
    size_t length;

    if (left(writer) >= ROOMY) {
        memcpy(writer->at, member->opening, EVENT_OPENING);
        writer->at += member->name_length + sizeof ",\"\":" - 1;
        writer->at += put_value(writer->at, member, value);
        return;
    }
    length = put_value(shown, member, value);
    if (length + member->name_length + MEMBER_EXTRA > left(writer)) {
        writer->cut = true;
    } else if (open_member(writer, member, sizeof "\":" - 1)) {
        put(writer, shown, length);
    }
}

enum member_index {
#define INDEX(member)             INDEX_OF_##member,
#define INDEX_TEXT(member, limit) INDEX(member)
    EVENT_ROWS(INDEX_TEXT, INDEX, INDEX)
};

/*
 * Row by row, not in a loop: what a member is called, and how long it may be,
 * is in the code, and an event's members are told early by those before.
 */
static void put_members(struct writer *writer, const struct event *event)
{
#define PUT_TEXT(member, limit)                                                \
    if (event->member.bytes != NULL) {                                         \
        put_text(writer, &event_members[INDEX_OF_##member],                    \
                 sizeof ",\"" #member "\":\"" - 1, limit, event->member);      \
    }
#define PUT_NUMBER(member)                                                     \
    if (event->member != EVENT_UNKNOWN) {                                      \
        put_number(writer, &event_members[INDEX_OF_##member], event->member);  \
    }
    EVENT_ROWS(PUT_TEXT, PUT_NUMBER, PUT_NUMBER)
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
    size_t length = sizeof begin - 1;

    memcpy(head, begin, length);
    length += put_integer(head + length, seq);
    head[length++] = ',';
    return length;
}

size_t event_json_encode(const struct event *event, char line[EVENT_LINE_MAX])
{
    size_t head = event_json_head(event->seq, line);

    return head + event_json_encode_tail(event, line + head, EVENT_TAIL_MAX);
}
