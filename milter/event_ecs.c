#include "event_ecs.h"

#include "clock.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define OPENING     "\"nixie\":{"
#define ECS_VERSION "8.11.0"

/* What the schema's categorisation says of a type of event. */
static const struct category {
    enum event_type type;
    const char *kind; /* event.type */
    const char *outcome;
} categories[] = {
    {EVENT_RECEPTION, "allowed", "success"},
    {EVENT_REJECTION, "denied", "failure"},
    {EVENT_SUPPRESSED, "denied", "failure"},
    {EVENT_WOULD_SUPPRESS, "info", "unknown"},
    {EVENT_DELIVERY, "info", "success"},
    {EVENT_DELAY, "info", "failure"},
    {EVENT_BOUNCE, "error", "failure"},
    {EVENT_EXPIRATION, "error", "failure"},
    {EVENT_OUT_OF_BAND, "error", "failure"},
    {EVENT_SUPPRESSION_ADDED, "creation", "success"},
    {EVENT_SUPPRESSION_REMOVED, "deletion", "success"},
    {EVENT_SUPPRESSION_UPDATED, "change", "success"},
};

static struct category category_of(enum event_type type)
{
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++) {
        if (categories[i].type == type) {
            return categories[i];
        }
    }
    return (struct category){type, "info", "unknown"};
}

/* jansson would write DEL as it is; the exact bytes stand in nixie. */
static json_t *make_string(struct text value)
{
    gchar *valid = g_utf8_make_valid(value.bytes, (gssize)value.length);
    json_t *string = json_string(g_strdelimit(valid, "\x7f", '?'));

    g_free(valid);
    return string;
}

/* A field that the event has no value for is left out. */
static void put(json_t *object, const char *name, struct text value)
{
    if (value.bytes != NULL && value.length > 0) {
        (void)json_object_set_new(object, name, make_string(value));
    }
}

static void put_literal(json_t *object, const char *name, const char *value)
{
    (void)json_object_set_new(object, name, json_string(value));
}

/* Takes inner; an object without a field is none. */
static void put_object(json_t *object, const char *name, json_t *inner)
{
    if (json_object_size(inner) > 0) {
        (void)json_object_set_new(object, name, inner);
    } else {
        json_decref(inner);
    }
}

static json_t *addresses(struct text address)
{
    json_t *object = json_object();

    if (address.bytes != NULL && address.length > 0) {
        json_t *list = json_array();

        (void)json_array_append_new(list, make_string(address));
        (void)json_object_set_new(object, "address", list);
    }
    return object;
}

static json_t *event_fields(const struct event *event)
{
    struct category category = category_of(event->type);
    json_t *fields = json_object();
    json_t *kinds = json_array();
    json_t *groups = json_array();

    (void)json_array_append_new(kinds, json_string(category.kind));
    (void)json_array_append_new(groups, json_string("email"));
    put_literal(fields, "kind", "event");
    (void)json_object_set_new(fields, "category", groups);
    (void)json_object_set_new(fields, "type", kinds);
    put_literal(fields, "outcome", category.outcome);
    put_literal(fields, "action", event_type_name(event->type));
    put_literal(fields, "id", event->event_id);
    put_literal(fields, "module", "nixie");
    put_literal(fields, "dataset", "nixie.events");
    put(fields, "reason", event->reason);
    return fields;
}

static json_t *email_fields(const struct event *event)
{
    json_t *fields = json_object();

    put_object(fields, "sender", addresses(event->sender));
    put_object(fields, "to", addresses(event->recipient));
    put(fields, "message_id", event->message_id);
    put(fields, "local_id", event->queue_id);
    return fields;
}

static void put_hosts(json_t *root, const struct event *event)
{
    json_t *host = json_object();
    json_t *source = json_object();
    json_t *destination = json_object();
    json_t *user = json_object();
    json_t *service = json_object();

    put(host, "name", event->node);
    put(source, "ip", event->client_ip);
    put(source, "domain", event->client_name);
    put(destination, "ip", event->remote_ip);
    put(destination, "domain", event->remote_mta);
    put(user, "name", event->auth_user);
    put_literal(service, "type", "nixie");
    put(service, "id", event->instance);
    put_object(root, "host", host);
    put_object(root, "source", source);
    put_object(root, "destination", destination);
    put_object(root, "user", user);
    put_object(root, "service", service);
}

/* The schema's tls.version is the number alone: "TLSv1.3" is 1.3. */
static void put_tls(json_t *root, const struct event *event)
{
    static const char prefix[] = "TLSv";
    struct text version = event->tls_version;
    json_t *tls = json_object();

    if (version.length > sizeof prefix - 1 &&
        memcmp(version.bytes, prefix, sizeof prefix - 1) == 0) {
        version.bytes += sizeof prefix - 1;
        version.length -= sizeof prefix - 1;
        put(tls, "version", version);
        put_literal(tls, "version_protocol", "tls");
    }
    put_object(root, "tls", tls);
}

static json_t *fields_of(const struct event *event)
{
    char timestamp[CLOCK_TIMESTAMP_SIZE];
    json_t *root = json_object();
    json_t *version = json_object();
    json_t *fault = json_object();

    clock_format(event->timestamp_us, timestamp);
    put_literal(root, "@timestamp", timestamp);
    put_literal(version, "version", ECS_VERSION);
    put_object(root, "ecs", version);
    put_object(root, "event", event_fields(event));
    put_object(root, "email", email_fields(event));
    put_hosts(root, event);
    put_tls(root, event);
    put(fault, "code", event->enhanced_status);
    put(fault, "message", event->diagnostic);
    put_object(root, "error", fault);
    return root;
}

size_t event_ecs_encode_tail(const struct event *event, char *tail, size_t size)
{
    const size_t opening = sizeof OPENING - 1;
    json_t *root = fields_of(event);
    /* it begins with a brace, where the line wants a comma */
    char *fields = json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII);
    size_t more = fields == NULL ? 0 : strlen(fields);
    size_t length;

    json_decref(root);
    memcpy(tail, OPENING, opening);
    /* a brace more than the flat form has */
    length = opening +
             event_json_encode_tail(event, tail + opening, size - opening - 1);
    length--; /* the newline comes last */
    if (more > 2 && more < size - length) {
        memcpy(tail + length, fields, more);
        tail[length] = ',';
        length += more;
    } else {
        tail[length++] = '}';
    }
    free(fields);
    tail[length++] = '\n';
    return length;
}
