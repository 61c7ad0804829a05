#include "control_request.h"

#include "clock.h"
#include "control.h"
#include "event_json.h"
#include "mailbox.h"
#include "store_key.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

static bool is_any(struct text text)
{
    (void)text;
    return true;
}

/* In normal form; which case is kept is a setting of the sender's. */
static bool is_pattern(struct text text)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    struct mailbox_pattern pattern;

    return mailbox_parse_pattern(text, &as_it_is, &pattern) !=
               MAILBOX_PATTERN_INVALID &&
           pattern.length == text.length &&
           memcmp(pattern.text, text.bytes, text.length) == 0;
}

static bool is_mailbox(struct text text)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    struct mailbox mailbox;

    return mailbox_parse(text, &as_it_is, &mailbox) == MAILBOX_OK &&
           mailbox.address_length == text.length &&
           memcmp(mailbox.address, text.bytes, text.length) == 0;
}

static bool is_time(struct text text)
{
    int64_t us;

    return clock_parse(text.bytes, text.length, &us);
}

static bool is_mode(struct text text)
{
    return text_is(text, "enforce") || text_is(text, "observe");
}

/* What a request may hold besides "type"; the order is that of the line. */
static const struct request_member {
    const char *name;
    size_t offset;
    size_t limit;
    bool (*valid)(struct text value);
} request_members[] = {
    {"suppression_pattern", offsetof(struct event, suppression_pattern),
     MAILBOX_MAX + 2, is_pattern},
    {"scope", offsetof(struct event, scope), STORE_SCOPE_MAX,
     store_scope_is_valid},
    {"origin", offsetof(struct event, origin), 16, is_any},
    {"suppression_reason", offsetof(struct event, suppression_reason),
     CONTROL_REASON_MAX, is_any},
    {"suppression_origin", offsetof(struct event, suppression_origin), 64,
     is_any},
    {"suppression_note", offsetof(struct event, suppression_note),
     CONTROL_NOTE_MAX, is_any},
    {"suppression_by", offsetof(struct event, suppression_by), CONTROL_BY_MAX,
     is_any},
    {"suppression_added_at", offsetof(struct event, suppression_added_at), 64,
     is_time},
    {"suppression_expires_at", offsetof(struct event, suppression_expires_at),
     64, is_time},
    {"suppression_mode", offsetof(struct event, suppression_mode), 16, is_mode},
    {"suppression_evidence", offsetof(struct event, suppression_evidence), 2000,
     is_any},
    {"failure_type", offsetof(struct event, failure_type), 16, is_any},
    {"recipient", offsetof(struct event, recipient), MAILBOX_MAX, is_mailbox},
    {"queue_id", offsetof(struct event, queue_id), 64, is_any},
};
#define REQUEST_MEMBERS (sizeof request_members / sizeof request_members[0])

static struct text *member_of(struct event *event, size_t index)
{
    return (struct text *)(void *)((char *)event +
                                   request_members[index].offset);
}

static bool is_change(enum event_type type)
{
    return type == EVENT_RECIPIENT_FORGOTTEN ||
           type == EVENT_SUPPRESSION_ADDED ||
           type == EVENT_SUPPRESSION_UPDATED ||
           type == EVENT_SUPPRESSION_REMOVED || type == EVENT_ALLOW_ADDED ||
           type == EVENT_ALLOW_REMOVED;
}

struct control_request {
    json_t *root;
    char added_at[CLOCK_TIMESTAMP_SIZE];
    char expires_at[CLOCK_TIMESTAMP_SIZE];
};

/*
 * A request has no arrays and no objects in it: what has is refused before
 * jansson, which descends into them on the stack.
 */
static bool is_flat(const char *line, size_t length)
{
    bool quoted = false;
    size_t braces = 0;

    for (size_t i = 0; i < length; i++) {
        if (quoted && line[i] == '\\') {
            i++;
        } else if (line[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && line[i] == '[') {
            return false;
        } else if (!quoted && line[i] == '{') {
            braces++;
        }
    }
    return braces == 1;
}

static struct text text_of_json(const json_t *value)
{
    struct text text = {json_string_value(value), json_string_length(value)};

    return text;
}

static bool take_member(const char *name, const json_t *value,
                        struct event *event, struct error *error)
{
    char escaped[64];

    for (size_t i = 0; i < REQUEST_MEMBERS; i++) {
        const struct request_member *member = &request_members[i];
        struct text text;

        if (strcmp(name, member->name) != 0) {
            continue;
        }
        if (!json_is_string(value)) {
            error_set(error, "%s is no string", name);
            return false;
        }
        text = text_of_json(value);
        if (text.length > member->limit) {
            error_set(error, "%s is longer than %zu bytes", name,
                      member->limit);
            return false;
        }
        if (!member->valid(text)) {
            error_set(error, "%s is not valid", name);
            return false;
        }
        *member_of(event, i) = text;
        return true;
    }
    error_set(error, "unknown member \"%s\"",
              text_escape(text_of(name), escaped, sizeof escaped));
    return false;
}

/* What clock_parse() takes has more forms than the event log. */
static void format_time(struct text *time, char buffer[CLOCK_TIMESTAMP_SIZE])
{
    int64_t us;

    if (time->bytes != NULL && clock_parse(time->bytes, time->length, &us)) {
        clock_format(us, buffer);
        *time = text_of(buffer);
    }
}

/* An entry is named by its pattern, whom to forget as a recipient. */
static bool is_complete(const struct event *event, struct error *error)
{
    bool forgets = event->type == EVENT_RECIPIENT_FORGOTTEN;
    bool has_pattern = event->suppression_pattern.bytes != NULL;
    bool has_recipient = event->recipient.bytes != NULL;

    if (forgets ? !has_recipient : !has_pattern) {
        error_set(error, "%s is missing",
                  forgets ? "recipient" : "suppression_pattern");
        return false;
    }
    if (forgets ? has_pattern
                : has_recipient || event->queue_id.bytes != NULL) {
        error_set(error, "a member is of another type");
        return false;
    }
    return true;
}

static bool take_members(json_t *root, struct event *event, struct error *error)
{
    const json_t *type_value = json_object_get(root, "type");
    enum event_type type;
    const char *name;
    json_t *value;

    if (!json_is_string(type_value) ||
        !event_type_parse(text_of_json(type_value), &type) ||
        !is_change(type)) {
        error_set(error, "type is no change that nixied makes");
        return false;
    }
    event_init(event, type, clock_now_us());
    json_object_foreach(root, name, value)
    {
        if (strcmp(name, "type") != 0 &&
            !take_member(name, value, event, error)) {
            return false;
        }
    }
    return is_complete(event, error);
}

struct control_request *control_request_decode(const char *line, size_t length,
                                               struct event *event,
                                               struct error *error)
{
    struct control_request *request = NULL;
    json_error_t cause;

    if (length > EVENT_LINE_MAX || !is_flat(line, length)) {
        error_set(error, "the request is no flat JSON object");
        return NULL;
    }
    request = calloc(1, sizeof *request);
    if (request == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    request->root = json_loadb(line, length, JSON_REJECT_DUPLICATES, &cause);
    if (!json_is_object(request->root)) {
        error_set(error, "the request is no flat JSON object");
        goto fail;
    }
    if (!take_members(request->root, event, error)) {
        goto fail;
    }
    event->origin = text_of("command"); /* whatever the sender says */
    format_time(&event->suppression_added_at, request->added_at);
    format_time(&event->suppression_expires_at, request->expires_at);
    return request;
fail:
    control_request_free(request);
    return NULL;
}

size_t control_request_batch(const char *line, size_t length)
{
    static const char head[] = "{\"batch\":";
    const size_t head_length = sizeof head - 1;
    size_t count = 0;

    if (length < head_length + 2 || length > head_length + 5 ||
        memcmp(line, head, head_length) != 0 || line[length - 1] != '}') {
        return 0;
    }
    for (size_t i = head_length; i < length - 1; i++) {
        if (line[i] < '0' || line[i] > '9') {
            return 0;
        }
        count = count * 10 + (size_t)(line[i] - '0');
    }
    return count;
}

void control_request_free(struct control_request *request)
{
    if (request != NULL) {
        json_decref(request->root);
        free(request);
    }
}

char *control_request_encode(const struct event *event, size_t *length)
{
    json_t *root = json_pack("{s:s}", "type", event_type_name(event->type));
    char *line = NULL;

    for (size_t i = 0; i < REQUEST_MEMBERS && root != NULL; i++) {
        struct text text;

        memcpy(&text, (const char *)event + request_members[i].offset,
               sizeof text);
        if (text.bytes != NULL &&
            json_object_set_new(root, request_members[i].name,
                                json_stringn(text.bytes, text.length)) != 0) {
            goto out;
        }
    }
    line = json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (line != NULL) {
        *length = strlen(line) + 1;
        line[*length - 1] = '\n'; /* in the place of the NUL */
    }
out:
    json_decref(root);
    return line;
}
