#include "event_json.h"
#include "event_json_quick.h"
#include "event_line.h"

#include <errno.h>
#include <glib.h>
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

    event_init(&event, EVENT_SUPPRESSED, INT64_C(1709210096000007));
    event.seq = 42;
    (void)snprintf(event.event_id, sizeof event.event_id,
                   "018df4c9-0000-7000-8000-000000000000");
    event.node = text_of("mx1");
    event.recipient = text_of("ann@example.org");
    event.reply_code = 550;
    event.sender = text_of("");
    return event;
}

static json_t *encode(const struct event *event)
{
    char line[EVENT_LINE_MAX];

    return event_line_load(line, event_json_encode(event, line));
}

static const char *member(const json_t *root, const char *name)
{
    const char *value = json_string_value(json_object_get(root, name));

    return value == NULL ? "(absent)" : value;
}

static void event_json_encode_writes_the_golden_line(void **state)
{
    static const char golden[] =
        "{\"schema\":\"nixie/1\",\"seq\":42,"
        "\"timestamp\":\"2024-02-29T12:34:56.000007Z\","
        "\"event_id\":\"018df4c9-0000-7000-8000-000000000000\","
        "\"type\":\"suppressed\",\"node\":\"mx1\","
        "\"recipient\":\"ann@example.org\",\"reply_code\":550,"
        "\"sender\":\"\"}\n";
    struct event event = sample();
    char line[EVENT_LINE_MAX];
    size_t length = event_json_encode(&event, line);

    (void)state;
    assert_int_equal(length, strlen(golden));
    assert_memory_equal(line, golden, length);
}

static void event_json_every_byte_in_every_member_stays_json(void **state)
{
    char bytes[255];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i + 1);
    }
    for (size_t i = 0; i < event_member_count; i++) {
        struct event event = sample();
        struct text text = {bytes, sizeof bytes};
        json_t *root;
        char name[64];
        gsize length;
        guchar *exact;

        if (event_members[i].kind != EVENT_MEMBER_TEXT ||
            event_members[i].limit < sizeof bytes) {
            continue;
        }
        memcpy((char *)&event + event_members[i].offset, &text, sizeof text);
        root = encode(&event);
        (void)snprintf(name, sizeof name, "%s_base64", event_members[i].name);
        exact = g_base64_decode(member(root, name), &length);
        assert_int_equal(length, sizeof bytes);
        assert_memory_equal(exact, bytes, length);
        g_free(exact);
        json_decref(root);
    }
}

static void event_json_a_nul_byte_becomes_the_replacement(void **state)
{
    struct event event = sample();
    json_t *root;

    (void)state;
    event.helo = (struct text){"a\0b", 3};
    root = encode(&event);
    assert_string_equal(member(root, "helo"), "a\xef\xbf\xbd"
                                              "b");
    assert_string_equal(member(root, "helo_base64"), "YQBi");
    json_decref(root);
}

static void event_json_utf8_beyond_the_bmp_survives(void **state)
{
    struct event event = sample();
    json_t *root;

    (void)state;
    event.helo = text_of("\xf0\x9f\x98\x80 \xe2\x80\xa8 \xc2\x85");
    root = encode(&event);
    assert_string_equal(member(root, "helo"),
                        "\xf0\x9f\x98\x80 \xe2\x80\xa8 \xc2\x85");
    assert_null(json_object_get(root, "helo_base64"));
    json_decref(root);
}

static void event_json_a_line_keeps_its_limit_and_says_what_it_cut(void **state)
{
    static char bytes[4096];
    struct event event = sample();
    struct text text = {bytes, sizeof bytes};
    json_t *root;

    (void)state;
    memset(bytes, 0xff, sizeof bytes);
    for (size_t i = 0; i < event_member_count; i++) {
        if (event_members[i].kind == EVENT_MEMBER_TEXT) {
            memcpy((char *)&event + event_members[i].offset, &text,
                   sizeof text);
        }
    }
    event.recipient = text_of("ann@example.org");
    root = encode(&event);
    assert_true(json_is_true(json_object_get(root, "cut")));
    assert_string_equal(member(root, "recipient"), "ann@example.org");
    json_decref(root);
}

static void event_json_a_cut_never_splits_a_character(void **state)
{
    struct event event = sample();
    char text[600];
    json_t *root;

    (void)state;
    for (size_t i = 0; i < sizeof text; i += 3) {
        memcpy(text + i, "\xe2\x82\xac", 3);
    }
    event.diagnostic = (struct text){text, sizeof text};
    root = encode(&event);
    assert_int_equal(strlen(member(root, "diagnostic")), 510);
    assert_true(json_is_true(json_object_get(root, "cut")));
    assert_null(json_object_get(root, "diagnostic_base64"));
    json_decref(root);
}

static void event_json_decode_undoes_encode(void **state)
{
    struct event event = sample();
    struct event back;
    char line[EVENT_LINE_MAX];
    char again[EVENT_LINE_MAX];
    size_t length = event_json_encode(&event, line);
    struct error error = {""};
    struct event_json *json =
        event_json_decode(line, length - 1, &back, &error);

    (void)state;
    assert_non_null(json);
    assert_int_equal(event_json_encode(&back, again), length);
    assert_memory_equal(line, again, length);
    event_json_free(json);
}

/* A blank at the end of a line keeps the quick reader away from it. */
static void event_json_quick_reads_what_the_other_reads(void **state)
{
    static const char head[] =
        "{\"schema\":\"nixie/1\",\"seq\":5,\"timestamp\":"
        "\"2024-02-29T12:34:56.000001Z\",\"event_id\":\"i\",\"type\":"
        "\"delivery\"";
    static const struct row {
        const char *members;
        bool quick;
    } rows[] = {
        {"}", true},
        {",\"node\":\"n\",\"size\":0,\"bulk\":true,\"helo\":\"\"}", true},
        {",\"size\":-12,\"counted\":false}", false}, /* not in order */
        {",\"counted\":false,\"size\":-12}", true},
        {",\"size\":999999999999999999}", true},
        {",\"size\":1000000000000000000}", false},
        {",\"helo\":\"a\\u0041\"}", false},
        {",\"helo\":\"\xc3\xa9\"}", false},
        {",\"later\":1,\"helo\":\"x\"}", false},
        {", \"helo\":\"x\"}", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[512], copy[512], quick[EVENT_LINE_MAX], slow[EVENT_LINE_MAX];
        int length =
            snprintf(line, sizeof line, "%s%s ", head, rows[i].members);
        struct event one, other;
        struct error error = {""};
        struct event_json *json;
        size_t encoded;

        memcpy(copy, line, sizeof copy);
        assert_true(event_json_quick(copy, (size_t)length - 1, &one) ==
                    rows[i].quick);
        json = event_json_decode(line, (size_t)length, &other, &error);
        assert_non_null(json);
        if (rows[i].quick) {
            encoded = event_json_encode(&one, quick);
            assert_int_equal(event_json_encode(&other, slow), encoded);
            assert_memory_equal(quick, slow, encoded);
        }
        event_json_free(json);
    }
}

static void event_json_quick_leaves_what_is_wrong_to_the_other(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "{\"schema\":\"nixie/1\",\"seq\":",
        "{\"schema\":\"nixie/1\",\"seq\":-1,\"timestamp\":\"",
        "{\"schema\":\"nixie/1\",\"seq\":05,\"timestamp\":"
        "\"2024-02-29T12:34:56Z\",\"event_id\":\"i\",\"type\":\"gap\"}",
        "{\"schema\":\"nixie/1\",\"seq\":5,\"timestamp\":"
        "\"2024-02-29T12:34:56Z\",\"event_id\":\"i\",\"type\":\"gap\","
        "\"helo\":7}",
        "{\"schema\":\"nixie/1\",\"seq\":5,\"timestamp\":"
        "\"2024-02-29T12:34:56Z\",\"event_id\":\"i\",\"type\":\"gap\","
        "\"helo\":\"a\",\"helo\":\"b\"}",
        "{\"schema\":\"nixie/1\",\"seq\":5,\"timestamp\":"
        "\"2024-02-29T12:34:56Z\",\"event_id\":\"i\",\"type\":\"gap\"}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const size_t length = strlen(lines[i]);
        char *copy = malloc(length + 1);
        struct event event;

        assert_non_null(copy);
        memcpy(copy, lines[i], length + 1);
        assert_false(event_json_quick(copy, length, &event));
        free(copy);
    }
}

static void event_json_decode_refuses_and_says_why(void **state)
{
    static const struct {
        const char *line;
        const char *cause;
    } rows[] = {
        {"", "no JSON"},
        {"{", "no JSON"},
        {"[]", "no JSON object"},
        {"{}", "schema"},
        {"{\"schema\":\"nixie/2\"}", "schema"},
        {"{\"schema\":\"nixie/1\"}", "seq"},
        {"{\"schema\":\"nixie/1\",\"seq\":\"1\"}", "seq"},
        {"{\"schema\":\"nixie/1\",\"seq\":-1}", "seq"},
        {"{\"schema\":\"nixie/1\",\"seq\":1}", "timestamp"},
        {"{\"schema\":\"nixie/1\",\"seq\":1,\"timestamp\":\"now\"}",
         "timestamp"},
        {"{\"schema\":\"nixie/1\",\"seq\":1,"
         "\"timestamp\":\"2024-02-29T12:34:56Z\",\"type\":\"x\"}",
         "type"},
        {"{\"schema\":\"nixie/1\",\"seq\":1,\"seq\":2}", "no JSON"},
        {"{\"schema\":\"nixie/1\",\"seq\":1,"
         "\"timestamp\":\"2024-02-29T12:34:56Z\",\"type\":\"gap\","
         "\"helo\":7}",
         "helo"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct event event;
        struct error error = {""};

        assert_null(event_json_decode(rows[i].line, strlen(rows[i].line),
                                      &event, &error));
        assert_non_null(strstr(error.text, rows[i].cause));
    }
}

static long allocations_left; /* of jansson, before one fails; < 0: no end */

static void *counted_malloc(size_t size)
{
    if (allocations_left == 0) {
        allocations_left = -1;
        errno = ENOMEM;
        return NULL;
    }
    allocations_left -= allocations_left > 0;
    return malloc(size);
}

static bool is_text(struct text text, const char *expected)
{
    return text.length == strlen(expected) &&
           memcmp(text.bytes, expected, text.length) == 0;
}

static void event_json_decode_takes_no_want_of_memory_for_damage(void **state)
{
    static const char address[] =
        "a-long-local-part-that-makes-buffers-grow@example.org";
    static const char reason[] =
        "a \"text\" with \xc3\xbc, \xe2\x82\xac and \xf0\x9f\x98\x80 that is "
        "longer "
        "than all the others, so that the buffer that holds it grows again";
    struct event event;
    struct error error;
    struct event_json *json = NULL;
    char line[EVENT_LINE_MAX];
    size_t length;
    long failed = 0;

    (void)state;
    event_init(&event, EVENT_REJECTION, 1709210096000000);
    event.seq = 1793648581123456;
    event.recipient = text_of(address);
    event.diagnostic = text_of(reason);
    event.size = 1234;
    length = event_json_encode(&event, line) - 1;
    json_set_alloc_funcs(counted_malloc, free);
    for (long i = 0; i < 400; i++) {
        allocations_left = i;
        json = event_json_decode(line, length, &event, &error);
        if (json == NULL) {
            assert_int_equal(errno, ENOMEM);
            failed++;
        } else { /* no member without a byte, none without its name */
            assert_int_equal(event.seq, 1793648581123456);
            assert_true(is_text(event.recipient, address));
            assert_true(is_text(event.diagnostic, reason));
            assert_int_equal(event.size, 1234);
        }
        event_json_free(json);
    }
    assert_true(failed > 20);
    allocations_left = -1;
    assert_null(event_json_decode(line, length - 1, &event, &error));
    assert_int_equal(errno, EINVAL);
}

static void event_types_have_names_that_lead_back(void **state)
{
    (void)state;
    for (int i = 0; i < EVENT_TYPES; i++) {
        enum event_type type;

        assert_true(event_type_parse(
            text_of(event_type_name((enum event_type)i)), &type));
        assert_int_equal(type, i);
    }
}

/* Texts are copied several bytes at once: each place of a word has its turn. */
static void what_is_escaped_may_stand_anywhere(void **state)
{
    static const char *const odd[] = {"\"",   "\\", "\x7f",
                                      "\x1f", "\n", "\xc3\xa9"};

    (void)state;
    for (size_t length = 0; length < 50; length++) {
        for (size_t at = 0; at <= length; at++) {
            for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
                char line[EVENT_LINE_MAX];
                char bytes[64];
                struct event event, decoded;
                struct event_json *json;
                struct error error;
                int put =
                    snprintf(bytes, sizeof bytes, "%.*s%s%.*s", (int)at,
                             "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOP"
                             "QRSTUVW",
                             at < length ? odd[i] : "", (int)(length - at),
                             "0123456789~!#$%&'()*+,-./:;<=>?@[]^_`{|}0123"
                             "456789");

                event_init(&event, EVENT_DELIVERY, 0);
                event.diagnostic = (struct text){bytes, (size_t)put};
                json = event_json_decode(line, event_json_encode(&event, line),
                                         &decoded, &error);
                assert_non_null(json);
                assert_int_equal(decoded.diagnostic.length, put);
                assert_memory_equal(decoded.diagnostic.bytes, bytes,
                                    (size_t)put);
                event_json_free(json);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the first: the decoder watches what it finds installed */
        cmocka_unit_test(event_json_decode_takes_no_want_of_memory_for_damage),
        cmocka_unit_test(event_json_encode_writes_the_golden_line),
        cmocka_unit_test(event_json_every_byte_in_every_member_stays_json),
        cmocka_unit_test(event_json_a_nul_byte_becomes_the_replacement),
        cmocka_unit_test(event_json_utf8_beyond_the_bmp_survives),
        cmocka_unit_test(
            event_json_a_line_keeps_its_limit_and_says_what_it_cut),
        cmocka_unit_test(event_json_a_cut_never_splits_a_character),
        cmocka_unit_test(event_json_decode_undoes_encode),
        cmocka_unit_test(event_json_quick_reads_what_the_other_reads),
        cmocka_unit_test(event_json_quick_leaves_what_is_wrong_to_the_other),
        cmocka_unit_test(event_json_decode_refuses_and_says_why),
        cmocka_unit_test(event_types_have_names_that_lead_back),
        cmocka_unit_test(what_is_escaped_may_stand_anywhere),
    };

    return cmocka_run_group_tests_name("event_json", tests, NULL, NULL);
}
