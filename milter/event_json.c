#include "event_json.h"

#include "clock.h"
#include "event_json_quick.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

struct event_json {
    json_t *root; /* NULL: it was read from line alone */
    char line[];
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

static bool decode_head(const json_t *root, const json_t *members,
                        struct event *event, struct error *error)
{
    struct text schema = text_of_json(json_object_get(root, "schema"));
    struct text timestamp = text_of_json(json_object_get(members, "timestamp"));
    struct text name = text_of_json(json_object_get(members, "type"));
    struct text id = text_of_json(json_object_get(members, "event_id"));
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

static bool decode_member(const json_t *members,
                          const struct event_member *member,
                          struct event *event, struct error *error)
{
    const json_t *value = json_object_get(members, member->name);
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
    const json_t *members = json_object_get(root, "nixie"); /* event_ecs.h */

    if (!json_is_object(root)) {
        error_set(error, "no JSON object");
        return false;
    }
    if (!json_is_object(members)) {
        members = root;
    }
    if (!decode_head(root, members, event, error)) {
        return false;
    }
    for (size_t i = 0; i < event_member_count; i++) {
        if (!decode_member(members, &event_members[i], event, error)) {
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
    json = malloc(sizeof *json + length);
    if (json == NULL) {
        memory_was_short = true;
    } else {
        json->root = NULL;
        if (length > 0) {
            memcpy(json->line, line, length);
        }
        if (event_json_quick(json->line, length, event)) {
            return json;
        }
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
