#include "text.h"
#include "text_near.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void text_of_null_is_unknown(void **state)
{
    (void)state;
    assert_null(text_of(NULL).bytes);
    assert_int_equal(text_of(NULL).length, 0);
    assert_false(text_is(text_of(NULL), ""));
    assert_true(text_is(text_of(""), ""));
}

static void text_copy_never_writes_past_its_buffer(void **state)
{
    char buffer[5] = "xxxx";

    (void)state;
    assert_int_equal(text_copy(text_of("abcdef"), buffer, 4), 3);
    assert_string_equal(buffer, "abc");
    assert_int_equal(buffer[4], '\0');
    assert_int_equal(text_copy(text_of(NULL), buffer, 4), 0);
    assert_string_equal(buffer, "");
}

static void text_escape_leaves_only_printable_ascii(void **state)
{
    char bytes[256];
    char out[2048];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)i;
    }
    (void)text_escape((struct text){bytes, sizeof bytes}, out, sizeof out);
    for (const char *byte = out; *byte != '\0'; byte++) {
        assert_in_range(*byte, 0x20, 0x7e);
        assert_int_not_equal(*byte, '"');
    }
    assert_non_null(strstr(out, "\\x00\\x01"));
    assert_non_null(strstr(out, "\\xff"));
}

static void text_escape_marks_what_it_cuts(void **state)
{
    char out[8];

    (void)state;
    assert_string_equal(text_escape(text_of("abcdefghij"), out, sizeof out),
                        "abcd...");
    assert_string_equal(text_escape(text_of("abcd"), out, sizeof out), "abcd");
    assert_string_equal(text_escape(text_of("\n\n\n"), out, sizeof out),
                        "\\x0a...");
    assert_string_equal(text_escape(text_of("abc"), out, 2), "");
}

static void text_near_finds_the_word_that_was_meant(void **state)
{
    static const char *const words[] = {
        "suppress",  "allow",  "top",     "tail",
        "stats",     "health", "maillog", "redis_timeout_ms",
        "event_log", "del",    "add"};
    static const struct row {
        const char *typed;
        const char *meant; /* "": none */
    } rows[] = {
        {"tpo", "top"},
        {"supress", "suppress"},
        {"supp", "suppress"},
        {"heatlh", "health"},
        {"stat", "stats"},
        {"redis_timeout", "redis_timeout_ms"},
        {"event-log", "event_log"},
        {"dell", "del"},
        {"zzz", ""},
        {"x", ""},
        {"", ""},
        {"why", ""},
        {"a word of more than thirty-two letters", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text_near near = text_near_new(text_of(rows[i].typed));
        char question[TEXT_NEAR_SIZE];
        char wanted[TEXT_NEAR_SIZE] = "";

        for (size_t j = 0; j < sizeof words / sizeof words[0]; j++) {
            text_near_offer(&near, text_of(words[j]));
        }
        if (rows[i].meant[0] != '\0') {
            (void)snprintf(wanted, sizeof wanted, "; did you mean \"%s\"?",
                           rows[i].meant);
        }
        assert_string_equal(text_near_ask(&near, question), wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_null_is_unknown),
        cmocka_unit_test(text_copy_never_writes_past_its_buffer),
        cmocka_unit_test(text_escape_leaves_only_printable_ascii),
        cmocka_unit_test(text_escape_marks_what_it_cuts),
        cmocka_unit_test(text_near_finds_the_word_that_was_meant),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
