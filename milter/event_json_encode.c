#include "clock.h"
#include "event_json.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

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

/* Eight bytes at once; a top bit that is set means: look more closely. */
static inline bool are_plain(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ (ones * '"');
    uint64_t backslash = word ^ (ones * '\\');

    return ((word | (word - ones * 0x20) | (word + ones) | (quote - ones) |
             (backslash - ones)) &
            tops) == 0;
}

/*
 * Copies what is plain at the front of text, for which there is room; returns
 * how many bytes that were. The last word overlaps the one before.
 */
static inline size_t copy_plain(char *target, struct text text)
{
    size_t length = 0;
    uint64_t word;

    for (; length + sizeof word <= text.length; length += sizeof word) {
        memcpy(&word, text.bytes + length, sizeof word);
        if (!are_plain(word)) {
            break;
        }
        memcpy(target + length, &word, sizeof word);
    }
    if (length > 0 && length < text.length &&
        length + sizeof word > text.length) {
        memcpy(&word, text.bytes + text.length - sizeof word, sizeof word);
        if (are_plain(word)) {
            memcpy(target + text.length - sizeof word, &word, sizeof word);
            return text.length;
        }
    }
    while (length < text.length && is_plain(text.bytes[length])) {
        target[length] = text.bytes[length];
        length++;
    }
    return length;
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

/* The same from position on, where not all is plain, or not all has room. */
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

/* Returns whether all bytes stand on the line as they are. */
static inline bool put_escaped(struct writer *writer, struct text text)
{
    size_t plain =
        text.length < left(writer) ? copy_plain(writer->at, text) : 0;

    writer->at += plain;
    return plain == text.length || put_odd(writer, text.bytes + plain,
                                           text.bytes + text.length);
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

static inline void put_text(struct writer *writer,
                            const struct event_member *member, struct text text)
{
    if (text.length > member->limit) {
        text.length = cut_length(text, member->limit);
        writer->cut = true;
    }
    if (open_member(writer, member, sizeof "\":\"" - 1)) {
        bool exact = put_escaped(writer, text);

        *writer->at++ = '"';
        if (!exact) {
            put_base64(writer, member, text);
        }
    }
}

/* Decimal, at the end of digits; returns where it begins. */
static size_t write_integer(int64_t value, char digits[24])
{
    size_t at = 24;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
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

/* Whether the event has it; without a branch, as no two events are alike. */
static inline uint64_t is_there(const struct event *event, size_t index)
{
    const struct event_member *member = &event_members[index];
    const char *value = (const char *)event + member->offset;
    bool is_text = member->kind == EVENT_MEMBER_TEXT;
    int64_t number;
    const char *bytes;

    memcpy(&number, value, sizeof number);
    memcpy(&bytes, value, sizeof bytes);
    return (uint64_t)(is_text ? bytes != NULL : number != EVENT_UNKNOWN);
}

static void put_member(struct writer *writer, const struct event *event,
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
    for (size_t first = 0; first < EVENT_MEMBERS; first += 64) {
        size_t count = EVENT_MEMBERS - first < 64 ? EVENT_MEMBERS - first : 64;
        uint64_t present = 0;

        for (size_t i = 0; i < count; i++) {
            present |= is_there(event, first + i) << i;
        }
        for (; present != 0; present &= present - 1) {
            put_member(writer, event,
                       &event_members[first +
                                      (size_t)__builtin_ctzll(present)]);
        }
    }
}

static size_t encode_tail(const struct event *event, char *line, size_t size)
{
    struct writer writer = {line, line + size - (sizeof LINE_END - 1), false};
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
    return (size_t)(writer.at - line);
}

size_t event_json_encode_tail(const struct event *event,
                              char line[EVENT_LINE_MAX])
{
    return encode_tail(event, line, EVENT_LINE_MAX - EVENT_JSON_HEAD);
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

    return head +
           encode_tail(event, line + head, EVENT_LINE_MAX - EVENT_JSON_HEAD);
}
