#include "event_ecs.h"
#include "event_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static struct event sample(void)
{
    struct event event;

    event_init(&event, EVENT_BOUNCE, INT64_C(1709210096000007));
    event.seq = 42;
    (void)snprintf(event.event_id, sizeof event.event_id,
                   "018df4c9-0000-7000-8000-000000000000");
    event.node = text_of("mx1");
    event.recipient = text_of("ann@example.org");
    event.sender = text_of("");
    event.reason = text_of("user_unknown");
    event.enhanced_status = text_of("5.1.1");
    event.diagnostic = text_of("550 5.1.1 no \"such\" user");
    event.remote_ip = text_of("192.0.2.1");
    event.rule = text_of("user.unknown");
    event.tls_version = text_of("TLSv1.3");
    return event;
}

static size_t encode(const struct event *event, char line[EVENT_LINE_MAX])
{
    size_t head = event_json_head(event->seq, line);

    return head + event_ecs_encode_tail(event, line + head, EVENT_TAIL_MAX);
}

/* By a path with slashes; "(absent)" when there is none. */
static const char *field(const json_t *root, const char *path)
{
    char names[64];
    char *rest = names;
    const json_t *value = root;
    const char *name;

    (void)snprintf(names, sizeof names, "%s", path);
    while ((name = strsep(&rest, "/")) != NULL) {
        value = json_is_array(value) ? json_array_get(value, 0)
                                     : json_object_get(value, name);
    }
    return json_is_string(value) ? json_string_value(value) : "(absent)";
}

static void event_ecs_puts_each_value_where_the_schema_has_it(void **state)
{
    static const struct row {
        const char *path;
        const char *value;
    } rows[] = {
        {"schema", "nixie/1"},
        {"@timestamp", "2024-02-29T12:34:56.000007Z"},
        {"ecs/version", "8.11.0"},
        {"event/action", "bounce"},
        {"event/kind", "event"},
        {"event/category/0", "email"},
        {"event/type/0", "error"},
        {"event/outcome", "failure"},
        {"event/id", "018df4c9-0000-7000-8000-000000000000"},
        {"event/reason", "user_unknown"},
        {"host/name", "mx1"},
        {"email/to/address/0", "ann@example.org"},
        {"email/sender", "(absent)"}, /* the null reverse-path */
        {"error/code", "5.1.1"},
        {"error/message", "550 5.1.1 no \"such\" user"},
        {"destination/ip", "192.0.2.1"},
        {"source/ip", "(absent)"},
        {"tls/version", "1.3"},
        {"rule", "(absent)"}, /* an object in the schema */
        {"nixie/rule", "user.unknown"},
        {"nixie/type", "bounce"},
    };
    struct event event = sample();
    char line[EVENT_LINE_MAX];
    json_t *root = event_line_load(line, encode(&event, line));

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(field(root, rows[i].path), rows[i].value);
    }
    json_decref(root);
}

static void event_ecs_is_read_as_the_flat_form_is(void **state)
{
    struct event event = sample();
    struct event read;
    struct error error;
    char line[EVENT_LINE_MAX];
    char flat[EVENT_LINE_MAX];
    char again[EVENT_LINE_MAX];
    size_t length = encode(&event, line);
    struct event_json *json = event_json_decode(line, length, &read, &error);

    (void)state;
    assert_non_null(json);
    length = event_json_encode(&event, flat);
    assert_int_equal(event_json_encode(&read, again), length);
    assert_memory_equal(again, flat, length);
    event_json_free(json);
}

static void event_ecs_fits_the_line_whatever_comes(void **state)
{
    char bytes[5000];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i % 256);
    }
    for (size_t size = 0; size < sizeof bytes; size += 7) {
        for (size_t i = 0; i < event_member_count; i++) {
            struct event event = sample();
            struct text text = {bytes, size};
            char line[EVENT_LINE_MAX];

            if (event_members[i].kind != EVENT_MEMBER_TEXT ||
                i % 8 != size % 8) {
                continue;
            }
            memcpy((char *)&event + event_members[i].offset, &text,
                   sizeof text);
            event.diagnostic = text;
            event.helo = text;
            json_decref(event_line_load(line, encode(&event, line)));
        }
    }
}

static void event_ecs_leaves_the_fields_out_before_a_member(void **state)
{
    struct event event = sample();
    char line[EVENT_LINE_MAX];
    char bytes[1000];
    json_t *root;

    (void)state;
    memset(bytes, '\1', sizeof bytes); /* six bytes each on the line */
    event.helo = (struct text){bytes, 255};
    event.diagnostic = (struct text){bytes, 512};
    event.original_recipient = (struct text){bytes, 320};
    root = event_line_load(line, encode(&event, line));
    assert_string_equal(field(root, "event/action"), "(absent)");
    assert_string_equal(field(root, "nixie/recipient"), "ann@example.org");
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_ecs_puts_each_value_where_the_schema_has_it),
        cmocka_unit_test(event_ecs_is_read_as_the_flat_form_is),
        cmocka_unit_test(event_ecs_fits_the_line_whatever_comes),
        cmocka_unit_test(event_ecs_leaves_the_fields_out_before_a_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
