#include "event_json_quick.h"

#include "clock.h"

#include <string.h>

#define DIGITS_MAX 18 /* of a number that fits whatever they are */

struct reader {
    char *at;
    char *end;
};

#define TAKE(reader, literal) take(reader, literal, sizeof(literal) - 1)

static bool take(struct reader *reader, const char *literal, size_t length)
{
    if ((size_t)(reader->end - reader->at) < length ||
        memcmp(reader->at, literal, length) != 0) {
        return false;
    }
    reader->at += length;
    return true;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The top bit of each byte that is 0, and maybe of those above one. */
static uint64_t zeros(uint64_t eight)
{
    return (eight - EACH(1)) & ~eight;
}

/* Eight bytes at once: printable ASCII, no quote and no backslash. */
static bool are_plain(const char *at)
{
    uint64_t eight;

    memcpy(&eight, at, sizeof eight);
    return ((eight | (eight + EACH(1)) | (eight - EACH(0x20)) |
             zeros(eight ^ EACH('"')) | zeros(eight ^ EACH('\\'))) &
            EACH(0x80)) == 0;
}

/*
 * Behind the quote that opens: to the one that closes, in whose place comes a
 * NUL. Only what is ASCII, printable and not escaped.
 */
static bool take_text(struct reader *reader, struct text *text)
{
    char *at = reader->at;

    while (reader->end - at >= 8 && are_plain(at)) {
        at += 8;
    }
    while (at < reader->end && *at >= 0x20 && *at < 0x7f && *at != '"' &&
           *at != '\\') {
        at++;
    }
    if (at == reader->end || *at != '"') {
        return false;
    }
    *text = (struct text){reader->at, (size_t)(at - reader->at)};
    *at = '\0';
    reader->at = at + 1;
    return true;
}

static bool take_integer(struct reader *reader, int64_t *number)
{
    const bool minus = TAKE(reader, "-");
    const char *begin = reader->at;
    int64_t value = 0;

    while (reader->at < reader->end && *reader->at >= '0' &&
           *reader->at <= '9' && reader->at - begin <= DIGITS_MAX) {
        value = value * 10 + (*reader->at++ - '0');
    }
    *number = minus ? -value : value;
    return reader->at > begin && reader->at - begin <= DIGITS_MAX &&
           (*begin != '0' || (reader->at - begin == 1 && !minus));
}

static bool take_boolean(struct reader *reader, int64_t *number)
{
    *number = TAKE(reader, "true");
    return *number == 1 || TAKE(reader, "false");
}

static bool take_head(struct reader *reader, struct event *event)
{
    struct text timestamp, id, name;
    enum event_type type;
    int64_t timestamp_us, seq;

    if (!TAKE(reader, "{\"schema\":\"" EVENT_SCHEMA "\",\"seq\":") ||
        !take_integer(reader, &seq) || seq < 0 ||
        !TAKE(reader, ",\"timestamp\":\"") || !take_text(reader, &timestamp) ||
        !TAKE(reader, ",\"event_id\":\"") || !take_text(reader, &id) ||
        !TAKE(reader, ",\"type\":\"") || !take_text(reader, &name) ||
        !clock_parse(timestamp.bytes, timestamp.length, &timestamp_us) ||
        !event_type_parse(name, &type)) {
        return false;
    }
    event_init(event, type, timestamp_us);
    event->seq = seq;
    (void)text_copy(id, event->event_id, sizeof event->event_id);
    return true;
}

/* The value, behind what opens it. */
static bool take_value(struct reader *reader, const struct event_member *member,
                       struct event *event)
{
    char *target = (char *)event + member->offset;
    struct text text;
    int64_t number;

    switch (member->kind) {
    case EVENT_MEMBER_TEXT:
        if (!take_text(reader, &text)) {
            return false;
        }
        memcpy(target, &text, sizeof text);
        return true;
    case EVENT_MEMBER_INTEGER:
        if (!take_integer(reader, &number)) {
            return false;
        }
        memcpy(target, &number, sizeof number);
        return true;
    case EVENT_MEMBER_BOOLEAN:
        if (!take_boolean(reader, &number)) {
            return false;
        }
        memcpy(target, &number, sizeof number);
        return true;
    }
    return false;
}

/* Each is looked for behind the one before: none can come twice. */
static bool take_members(struct reader *reader, struct event *event)
{
    for (size_t i = 0; i < event_member_count; i++) {
        const struct event_member *member = &event_members[i];
        const size_t opening =
            member->name_length + (member->kind == EVENT_MEMBER_TEXT
                                       ? sizeof ",\"\":\"" - 1
                                       : sizeof ",\"\":" - 1);

        if (take(reader, member->opening, opening) &&
            !take_value(reader, member, event)) {
            return false;
        }
    }
    return true;
}

bool event_json_quick(char *line, size_t length, struct event *event)
{
    struct reader reader = {line, line + length};

    if (length > 0 && line[length - 1] == '\n') {
        reader.end--;
    }
    return take_head(&reader, event) && take_members(&reader, event) &&
           TAKE(&reader, "}") && reader.at == reader.end;
}
