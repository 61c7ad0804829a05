#include "control_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "{\"type\":\"suppression_added\","
#define ANN  "\"suppression_pattern\":\"ann@example.org\""

static void control_request_decode_takes_each_change_of_a_list(void **state)
{
    static const struct row {
        const char *type;
        enum event_type expected;
    } rows[] = {
        {"suppression_added", EVENT_SUPPRESSION_ADDED},
        {"suppression_updated", EVENT_SUPPRESSION_UPDATED},
        {"suppression_removed", EVENT_SUPPRESSION_REMOVED},
        {"allow_added", EVENT_ALLOW_ADDED},
        {"allow_removed", EVENT_ALLOW_REMOVED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct control_request *request;
        struct error error = {""};
        struct event event;
        char line[200];

        (void)snprintf(line, sizeof line, "{" ANN ",\"type\":\"%s\"}",
                       rows[i].type);
        request = control_request_decode(line, strlen(line), &event, &error);
        assert_string_equal(error.text, "");
        assert_non_null(request);
        assert_int_equal(event.type, rows[i].expected);
        assert_true(text_is(event.suppression_pattern, "ann@example.org"));
        control_request_free(request);
    }
}

static void control_request_decode_refuses(void **state)
{
    static const struct row {
        const char *name;
        const char *line;
    } rows[] = {
        {"nothing", ""},
        {"no JSON", "x"},
        {"an array", "[]"},
        {"a number", "1"},
        {"no type", "{" ANN "}"},
        {"an unknown type", "{\"type\":\"x\"," ANN "}"},
        {"a type that changes no list", "{\"type\":\"reception\"," ANN "}"},
        {"a type that is a number", "{\"type\":4," ANN "}"},
        {"no pattern", "{\"type\":\"allow_added\"}"},
        {"an empty pattern", HEAD "\"suppression_pattern\":\"\"}"},
        {"a pattern that is none", HEAD "\"suppression_pattern\":\"x y\"}"},
        {"a pattern not in normal form",
         HEAD "\"suppression_pattern\":\"<ann@example.org>\"}"},
        {"a pattern with a dot at its end",
         HEAD "\"suppression_pattern\":\"ann@example.org.\"}"},
        {"a pattern that is a number", HEAD "\"suppression_pattern\":1}"},
        {"null", HEAD "\"suppression_pattern\":null}"},
        {"an unknown member", HEAD ANN ",\"recipient\":\"ann@example.org\"}"},
        {"a pattern of whom to forget", "{\"type\":\"recipient_forgotten\"," ANN
                                        ",\"recipient\":\"ann@example.org\"}"},
        {"nobody to forget", "{\"type\":\"recipient_forgotten\"}"},
        {"a batch in it", "{\"batch\":3}"},
        {"an object in it", HEAD ANN ",\"suppression_note\":{}}"},
        {"an array in it", HEAD ANN ",\"suppression_note\":[]}"},
        {"two objects", HEAD ANN "}{}"},
        {"a member twice", HEAD ANN "," ANN "}"},
        {"a scope with a colon", HEAD ANN ",\"scope\":\"a:b\"}"},
        {"an empty scope", HEAD ANN ",\"scope\":\"\"}"},
        {"a scope of 65 bytes",
         HEAD ANN ",\"scope\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  "aaaaaaaaaaaaaaaaaaa\"}"},
        {"a time that is none",
         HEAD ANN ",\"suppression_expires_at\":\"30d\"}"},
        {"a mode that is none", HEAD ANN ",\"suppression_mode\":\"reject\"}"},
        {"an escaped NUL", HEAD ANN ",\"suppression_note\":\"\\u0000\"}"},
        {"bytes that are not UTF-8",
         HEAD ANN ",\"suppression_note\":\"\xff\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {""};
        struct event event;

        if (control_request_decode(rows[i].line, strlen(rows[i].line), &event,
                                   &error) != NULL) {
            fail_msg("%s was taken", rows[i].name);
        }
        if (error.text[0] == '\0') {
            fail_msg("%s: no cause was told", rows[i].name);
        }
    }
}

static void control_request_decode_bounds_each_text(void **state)
{
    static const struct row {
        const char *member;
        size_t limit;
    } rows[] = {
        {"suppression_reason", CONTROL_REASON_MAX},
        {"suppression_note", CONTROL_NOTE_MAX},
        {"suppression_by", CONTROL_BY_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t over = 0; over <= 1; over++) {
            char value[CONTROL_NOTE_MAX + 2];
            struct control_request *request;
            char line[1024];
            struct error error;
            struct event event;

            memset(value, 'n', sizeof value);
            value[rows[i].limit + over] = '\0';
            (void)snprintf(line, sizeof line, HEAD ANN ",\"%s\":\"%s\"}",
                           rows[i].member, value);
            request =
                control_request_decode(line, strlen(line), &event, &error);
            assert_int_equal(request == NULL, over == 1);
            control_request_free(request);
        }
    }
}

static void control_request_decode_survives_deep_nesting(void **state)
{
    char line[8000];
    struct error error;
    struct event event;

    (void)state;
    memset(line, '[', sizeof line);
    assert_null(control_request_decode(line, sizeof line, &event, &error));
    for (size_t i = 0; i + 5 <= sizeof line; i += 5) {
        memcpy(line + i, "{\"a\":", 5);
    }
    assert_null(control_request_decode(line, sizeof line, &event, &error));
}

static void
control_request_decode_writes_times_as_the_log_has_them(void **state)
{
    static const char line[] =
        HEAD ANN ",\"suppression_added_at\":\"2026-11-02t20:43:01+01:00\","
                 "\"suppression_expires_at\":\"2030-01-01T00:00:00.5Z\"}";
    struct control_request *request;
    struct error error = {""};
    struct event event;

    (void)state;
    request = control_request_decode(line, sizeof line - 1, &event, &error);
    assert_string_equal(error.text, "");
    assert_true(
        text_is(event.suppression_added_at, "2026-11-02T19:43:01.000000Z"));
    assert_true(
        text_is(event.suppression_expires_at, "2030-01-01T00:00:00.500000Z"));
    control_request_free(request);
}

static void control_request_decode_ignores_the_origin_sent(void **state)
{
    static const char line[] = HEAD ANN ",\"origin\":\"session\"}";
    struct control_request *request;
    struct error error = {""};
    struct event event;

    (void)state;
    request = control_request_decode(line, sizeof line - 1, &event, &error);
    assert_string_equal(error.text, "");
    assert_true(text_is(event.origin, "command"));
    control_request_free(request);
}

static void control_request_encode_is_undone_by_decode(void **state)
{
    struct control_request *request;
    struct error error = {""};
    struct event event;
    struct event decoded;
    size_t length = 0;
    char *line;

    (void)state;
    event_init(&event, EVENT_ALLOW_ADDED, 1);
    event.suppression_pattern = text_of("\"a\\\"b\"@example.org");
    event.scope = text_of("news.2");
    event.origin = text_of("command");
    event.suppression_note = text_of("a \"b\" \\ \xe2\x9c\x93 {[\n");
    event.suppression_by = text_of("root");
    event.suppression_added_at = text_of("2026-11-02T19:43:01.123456Z");
    line = control_request_encode(&event, &length);
    assert_non_null(line);
    assert_int_equal(line[length - 1], '\n');
    assert_null(memchr(line, '\n', length - 1));
    request = control_request_decode(line, length - 1, &decoded, &error);
    assert_string_equal(error.text, "");
    assert_non_null(request);
    assert_int_equal(decoded.type, EVENT_ALLOW_ADDED);
    assert_true(text_is(decoded.suppression_pattern, "\"a\\\"b\"@example.org"));
    assert_true(text_is(decoded.scope, "news.2"));
    assert_true(
        text_is(decoded.suppression_note, "a \"b\" \\ \xe2\x9c\x93 {[\n"));
    assert_null(decoded.suppression_reason.bytes);
    control_request_free(request);
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_request_decode_takes_each_change_of_a_list),
        cmocka_unit_test(control_request_decode_refuses),
        cmocka_unit_test(control_request_decode_bounds_each_text),
        cmocka_unit_test(control_request_decode_survives_deep_nesting),
        cmocka_unit_test(
            control_request_decode_writes_times_as_the_log_has_them),
        cmocka_unit_test(control_request_decode_ignores_the_origin_sent),
        cmocka_unit_test(control_request_encode_is_undone_by_decode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
