#include "event_json.h"

#include "clock.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define LINE_END     ",\"cut\":true}\n" /* the longest end of a line */
#define ESCAPE_MAX   12                 /* a surrogate pair: \ud83d\ude00 */
#define MEMBER_EXTRA 16                 /* ,"":"" and _base64 */

/* A line in the making. Room for LINE_END is kept out of left(). */
struct writer {
    char *line;
    size_t used;
    size_t size;
    bool cut;
};

static size_t left(const struct writer *writer)
{
    return writer->size - (sizeof LINE_END - 1) - writer->used;
}

static void put(struct writer *writer, const char *bytes, size_t length)
{
    memcpy(writer->line + writer->used, bytes, length);
    writer->used += length;
}

static void put_string(struct writer *writer, const char *string)
{
    put(writer, string, strlen(string));
}

/* What stands on the line as it is: most of what comes. */
static bool is_plain(char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

/* How many bytes at the front are plain. */
static size_t plain_length(struct text text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = UINT64_C(0x8080808080808080);
    size_t length = 0;
    uint64_t word;

    /* eight at once; a top bit that is set means: look more closely */
    for (; length + sizeof word <= text.length; length += sizeof word) {
        uint64_t quote;
        uint64_t backslash;

        memcpy(&word, text.bytes + length, sizeof word);
        quote = word ^ (ones * '"');
        backslash = word ^ (ones * '\\');
        if (((word | (word - ones * 0x20) | (word + ones) | (quote - ones) |
              (backslash - ones)) &
             tops) != 0) {
            break;
        }
    }
    while (length < text.length && is_plain(text.bytes[length])) {
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

/* Returns whether all bytes stand on the line as they are. */
static bool put_escaped(struct writer *writer, struct text text)
{
    const char *position = text.bytes;
    const char *end = text.bytes + text.length;
    size_t plain = plain_length(text);
    bool exact = true;

    if (plain < left(writer)) {
        put(writer, position, plain);
        position += plain;
    }
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
            put_string(writer, "\\ufffd");
        }
    }
    return exact;
}

/* end: what stands between the name and the value */
static bool open_member(struct writer *writer,
                        const struct event_member *member, struct text end)
{
    if (member->name_length + end.length + MEMBER_EXTRA > left(writer)) {
        writer->cut = true;
        return false;
    }
    put(writer, ",\"", 2);
    put(writer, member->name, member->name_length);
    put(writer, end.bytes, end.length);
    return true;
}

#define END(literal) ((struct text){"" literal "", sizeof(literal) - 1})

static void put_base64(struct writer *writer, const struct event_member *member,
                       struct text text)
{
    gchar *encoded = g_base64_encode((const guchar *)text.bytes, text.length);
    size_t length = strlen(encoded);

    if (length + member->name_length + MEMBER_EXTRA > left(writer)) {
        writer->cut = true;
    } else if (open_member(writer, member, END("_base64\":\""))) {
        put(writer, encoded, length);
        put(writer, "\"", 1);
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

static void put_text(struct writer *writer, const struct event_member *member,
                     struct text text)
{
    if (text.bytes == NULL) {
        return;
    }
    if (text.length > member->limit) {
        text.length = cut_length(text, member->limit);
        writer->cut = true;
    }
    if (open_member(writer, member, END("\":\""))) {
        bool exact = put_escaped(writer, text);

        put(writer, "\"", 1);
        if (!exact) {
            put_base64(writer, member, text);
        }
    }
}

/* A value that needs no quotes. */
static void put_bare(struct writer *writer, const struct event_member *member,
                     const char *value, size_t length)
{
    if (length + member->name_length + MEMBER_EXTRA > left(writer)) {
        writer->cut = true;
    } else if (open_member(writer, member, END("\":"))) {
        put(writer, value, length);
    }
}

static void put_integer(struct writer *writer,
                        const struct event_member *member, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    put_bare(writer, member, digits + at, sizeof digits - at);
}

static void put_number(struct writer *writer, const struct event_member *member,
                       int64_t value)
{
    if (value == EVENT_UNKNOWN) {
        return;
    }
    if (member->kind == EVENT_MEMBER_BOOLEAN) {
        put_bare(writer, member, value != 0 ? "true" : "false",
                 value != 0 ? 4 : 5);
    } else {
        put_integer(writer, member, value);
    }
}

static size_t encode_tail(const struct event *event, char *line, size_t size)
{
    struct writer writer = {line, 0, size, false};
    char timestamp[CLOCK_TIMESTAMP_SIZE];

    clock_format(event->timestamp_us, timestamp);
    put_string(&writer, "\"timestamp\":\"");
    put_string(&writer, timestamp);
    put_string(&writer, "\",\"event_id\":\"");
    put_string(&writer, event->event_id);
    put_string(&writer, "\",\"type\":\"");
    put_string(&writer, event_type_name(event->type));
    put_string(&writer, "\"");
    for (size_t i = 0; i < event_member_count; i++) {
        const struct event_member *member = &event_members[i];
        const char *value = (const char *)event + member->offset;

        switch (member->kind) {
        case EVENT_MEMBER_TEXT: {
            struct text text;

            memcpy(&text, value, sizeof text);
            put_text(&writer, member, text);
            break;
        }
        case EVENT_MEMBER_INTEGER:
        case EVENT_MEMBER_BOOLEAN: {
            int64_t number;

            memcpy(&number, value, sizeof number);
            put_number(&writer, member, number);
            break;
        }
        }
    }
    put_string(&writer, writer.cut ? LINE_END : "}\n");
    return writer.used;
}

size_t event_json_encode_tail(const struct event *event,
                              char line[EVENT_LINE_MAX])
{
    return encode_tail(event, line, EVENT_LINE_MAX - EVENT_JSON_HEAD);
}

size_t event_json_head(int64_t seq, char head[EVENT_JSON_HEAD])
{
    int length = snprintf(head, EVENT_JSON_HEAD,
                          "{\"schema\":\"" EVENT_SCHEMA "\",\"seq\":%lld,",
                          (long long)seq);

    return length > 0 ? (size_t)length : 0;
}

size_t event_json_encode(const struct event *event, char line[EVENT_LINE_MAX])
{
    size_t head = event_json_head(event->seq, line);

    return head +
           encode_tail(event, line + head, EVENT_LINE_MAX - EVENT_JSON_HEAD);
}

struct event_json {
    json_t *root;
};

static struct text text_of_json(const json_t *value)
{
    struct text text = {NULL, 0};

    if (json_is_string(value)) {
        text.bytes = json_string_value(value);
        text.length = json_string_length(value);
    }
    return text;
}

static bool decode_head(const json_t *root, struct event *event,
                        struct error *error)
{
    struct text schema = text_of_json(json_object_get(root, "schema"));
    struct text timestamp = text_of_json(json_object_get(root, "timestamp"));
    struct text name = text_of_json(json_object_get(root, "type"));
    struct text id = text_of_json(json_object_get(root, "event_id"));
    const json_t *seq = json_object_get(root, "seq");
    enum event_type type;
    int64_t timestamp_us;

    if (!text_is(schema, EVENT_SCHEMA)) {
        error_set(error, "schema is not " EVENT_SCHEMA);
        return false;
    }
    if (!json_is_integer(seq) || json_integer_value(seq) < 0) {
        error_set(error, "seq is missing or no number");
        return false;
    }
    if (timestamp.bytes == NULL ||
        !clock_parse(timestamp.bytes, timestamp.length, &timestamp_us)) {
        error_set(error, "timestamp is missing or not RFC 3339");
        return false;
    }
    if (name.bytes == NULL || !event_type_parse(name, &type)) {
        error_set(error, "type is missing or unknown");
        return false;
    }
    event_init(event, type, timestamp_us);
    event->seq = json_integer_value(seq);
    if (id.bytes != NULL) {
        (void)text_copy(id, event->event_id, sizeof event->event_id);
    }
    return true;
}

static bool decode_member(const json_t *root, const struct event_member *member,
                          struct event *event, struct error *error)
{
    const json_t *value = json_object_get(root, member->name);
    char *target = (char *)event + member->offset;

    if (value == NULL) {
        return true;
    }
    switch (member->kind) {
    case EVENT_MEMBER_TEXT:
        if (json_is_string(value)) {
            struct text text = text_of_json(value);

            memcpy(target, &text, sizeof text);
            return true;
        }
        break;
    case EVENT_MEMBER_INTEGER:
    case EVENT_MEMBER_BOOLEAN: {
        bool boolean = member->kind == EVENT_MEMBER_BOOLEAN;

        if (boolean ? json_is_boolean(value) : json_is_integer(value)) {
            int64_t number =
                boolean ? json_is_true(value) : json_integer_value(value);

            memcpy(target, &number, sizeof number);
            return true;
        }
        break;
    }
    }
    error_set(error, "%s has the wrong type", member->name);
    return false;
}

static bool decode_members(const json_t *root, struct event *event,
                           struct error *error)
{
    if (!json_is_object(root)) {
        error_set(error, "no JSON object");
        return false;
    }
    if (!decode_head(root, event, error)) {
        return false;
    }
    for (size_t i = 0; i < event_member_count; i++) {
        if (!decode_member(root, &event_members[i], event, error)) {
            return false;
        }
    }
    return true;
}

/*
 * Where memory is short jansson may go on with a token that lacks bytes, and
 * say nothing: a good line then looks damaged, or names another mailbox. So
 * its allocations pass here.
 */
static _Thread_local bool memory_was_short;
static json_malloc_t allocate_below; /* set once, like below */
static json_free_t free_below;

static void *allocate(size_t size)
{
    void *memory = allocate_below(size);

    if (memory == NULL) {
        memory_was_short = true;
    }
    return memory;
}

static void watch_allocations(void)
{
    json_get_alloc_funcs(&allocate_below, &free_below);
    json_set_alloc_funcs(allocate, free_below);
}

static json_t *decode(const char *line, size_t length, struct event *event,
                      struct error *error)
{
    json_error_t cause;
    json_t *root = json_loadb(line, length, JSON_REJECT_DUPLICATES, &cause);

    if (root == NULL) {
        char text[2 * JSON_ERROR_TEXT_LENGTH];

        error_set(error, "no JSON: %s",
                  text_escape(text_of(cause.text), text, sizeof text));
    } else if (!decode_members(root, event, error)) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

struct event_json *event_json_decode(const char *line, size_t length,
                                     struct event *event, struct error *error)
{
    static pthread_once_t watched = PTHREAD_ONCE_INIT;
    struct event_json *json;

    (void)pthread_once(&watched, watch_allocations);
    memory_was_short = false;
    json = calloc(1, sizeof *json);
    if (json == NULL) {
        memory_was_short = true;
    } else {
        json->root = decode(line, length, event, error);
    }
    if (!memory_was_short && json->root != NULL) {
        return json;
    }
    event_json_free(json);
    if (memory_was_short) {
        error_set(error, "out of memory");
    }
    errno = memory_was_short ? ENOMEM : EINVAL;
    return NULL;
}

void event_json_free(struct event_json *json)
{
    if (json != NULL) {
        json_decref(json->root);
        free(json);
    }
}
