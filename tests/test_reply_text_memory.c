#include "reply_text_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check(struct reply_text_memory *memory, const char *reply)
{
    struct reply_text text;
    struct reply_text wanted;

    reply_text_normalise(text_of(reply), &wanted);
    for (int i = 0; i < 2; i++) { /* made, found */
        reply_text_memory_normalise(memory, text_of(reply), &text);
        assert_string_equal(text.bytes, wanted.bytes);
        assert_int_equal(text.length, wanted.length);
        assert_int_equal(text.code, wanted.code);
        assert_string_equal(text.enhanced_status, wanted.enhanced_status);
        assert_int_equal(text.cut, wanted.cut);
    }
}

/* Each name in each frame: what one leaves behind is not taken for another. */
static void check_all(const char *const *frames, size_t frame_count,
                      const char *const *names, size_t name_count)
{
    struct reply_text_memory *memory = reply_text_memory_new();
    char reply[1024];

    for (size_t i = 0; i < frame_count; i++) {
        for (size_t j = 0; j < name_count; j++) {
            (void)snprintf(reply, sizeof reply, "%s%s%s", frames[2 * i],
                           names[j], frames[2 * i + 1]);
            check(memory, reply);
        }
    }
    reply_text_memory_free(memory);
}
#define CHECK_ALL(frames, names)                                               \
    check_all((frames)[0], sizeof(frames) / sizeof(frames)[0], names,          \
              sizeof(names) / sizeof(names)[0])

static void normal_forms_do_not_depend_on_who_was_named_before(void **state)
{
    static const char *const frames[][2] = {
        {"550 5.1.1 <", ">: User unknown"},
        {"550 5.1.1 ", ": User unknown"},
        {"550-5.1.1 <", "> 550 5.1.1 unknown"},
        {"550 <", "> no <other@example.org>"},
        {"421 see http://example.org/?q=<", "> now"},
        {"421 see http://example.org/", " now"},
        {"x-<", ">-none; 550 5.1.1 no"},
        {"<", ">"},
        {"", ""},
        {"550 a@[<", "> 1234567890 1234567890 1234567890 ]"},
        {"550 (", ")"},
        {"550 ::<", ">: no"},
        {"550 \xff<", ">\xff no"},
    };
    static const char *const names[] = {
        "ann@example.org",
        "bob.b@mail.example.net",
        "a@b",
        "550-ann@example.org",
        "550@example.org",
        "www.ann@example.org",
        "WWW.ann@example.org",
        "ann@example.org.",
        "ann@example-",
        "ann@@example.org",
        "@",
        "ann@",
        "@example.org",
        "'ann'@example.org",
        "ann@[192.0.2.1]",
        "12345678901234567890123456789012345678901234567890@example.org",
        "ann",
        "mx.example.org",
        "5.1.1",
        "",
    };

    (void)state;
    CHECK_ALL(frames, names);
}

static void normal_forms_do_not_depend_on_the_host_before(void **state)
{
    static const char *const frames[][2] = {
        {"connect to ", ":25: Connection refused"},
        {"host ", " said: 550 5.1.1 User unknown"},
        {"550 ", ""},
        {"550 (", ") is blocked"},
        {"550 <", "> is blocked"},
        {"550 http://", " tells why"},
        {"550 5.1.1 ann@", " no"},
    };
    static const char *const names[] = {
        "mx.example.org[192.0.2.1]",
        "mx1.b-c.mail.example.net[198.51.100.255]",
        "example.org[192.0.2.1]",
        "no.such.if[192.0.2.1]",
        "localhost[127.0.0.1]",
        "www.example.org[192.0.2.1]",
        "1.example.org[192.0.2.1]",
        "mx..example.org[192.0.2.1]",
        ".mx.example.org[192.0.2.1]",
        "mx.example.org.[192.0.2.1]",
        "mx.example.x[192.0.2.1]",
        "mx.example.o2g[192.0.2.1]",
        "mx.example.xn--p1ai[192.0.2.1]",
        "mx_1.example.org[192.0.2.1]",
        "mx.example.org[192.0.2]",
        "mx.example.org[192.0.2.1.5]",
        "mx.example.org[192.0.2.]",
        "mx.example.org[12345678901234567890.0.2.1]",
        "mx.example.org[2001:db8::1]",
        "mx.example.org[private/lmtp]",
        "mx.example.org[@]",
        "mx.example.org[",
        "[192.0.2.1]",
        "[@]",
        "[]",
        "",
    };

    (void)state;
    CHECK_ALL(frames, names);
}

static void long_replies_are_normalised_too(void **state)
{
    struct reply_text_memory *memory = reply_text_memory_new();
    char reply[6000];

    (void)state;
    for (size_t length = 230; length < 250; length++) {
        memset(reply, 'a', length);
        reply[length] = '\0';
        check(memory, reply);
        for (size_t i = 0; i < length; i++) {
            reply[i] = i % 2 == 0 ? '1' : ' '; /* longer when masked */
        }
        check(memory, reply);
    }
    memset(reply, 'a', sizeof reply - 1);
    reply[sizeof reply - 1] = '\0';
    check(memory, reply);
    check(NULL, "550 5.1.1 <ann@example.org>: User unknown");
    reply_text_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_forms_do_not_depend_on_who_was_named_before),
        cmocka_unit_test(normal_forms_do_not_depend_on_the_host_before),
        cmocka_unit_test(long_replies_are_normalised_too),
    };

    return cmocka_run_group_tests_name("reply_text_memory", tests, NULL, NULL);
}
