#include "privacy_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS(rows) (sizeof(rows) / sizeof(rows)[0])

static size_t mask(const char *text, size_t length, const char *word,
                   char *buffer, size_t size)
{
    const struct text words[] = {text_of(word)};

    return privacy_text_mask((struct text){text, length}, words, 1, buffer,
                             size);
}

static void check(const char *text, const char *expected)
{
    char buffer[256];
    size_t length = mask(text, strlen(text), "ann", buffer, sizeof buffer - 1);

    buffer[length] = '\0';
    assert_string_equal(buffer, expected);
}

static void privacy_text_mask_finds_addresses_in_replies(void **state)
{
    static const char *const rows[][2] = {
        {"550 5.1.1 <bob@example.org>: unknown", "550 5.1.1 <addr>: unknown"},
        {"bob@example.org", "<addr>"},
        {"(bob@example.org) is full.", "(<addr>) is full."},
        {"to=bob@x.test, bo.b+t=a/g@y.test.", "<addr>, <addr>."},
        {"mailto:bob@example.org?x", "mailto:<addr>?x"},
        {"'bob'@example.org", "<addr>"},
        {"<\"b o \\\" b\"@example.org> x", "<addr> x"},
        {"<bob@[192.0.2.1]> x", "<addr> x"},
        {"<bob@[IPv6:2001:db8::1]>", "<addr>"},
        {"b\xc3\xb6"
         "b@ex\xc3\xa4mple.test!",
         "<addr>!"},
        {"<bob@> x", "<addr> x"},
        {"bob@ x", "<addr> x"},
        {"a@b@c.test", "<addr>@c.test"},
        {"bob@example.org@", "<addr>@"},
        {"h-abcdefghijklmnopqrstuvwxyz@example.org", "<addr>"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        check(rows[i][0], rows[i][1]);
    }
}

static void privacy_text_mask_leaves_other_texts_alone(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "@",
        "@@",
        " @ ",
        "5.1.1 user unknown",
        "@example.org",
        "<@example.org>",
        "see https://example.org/x?y=1",
        "planning annex",
        "<addr> is full",
        "a \" b",
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        check(rows[i], rows[i]);
    }
}

static void privacy_text_mask_finds_the_local_part_as_a_word(void **state)
{
    static const char *const rows[][2] = {
        {"user ann unknown", "user <addr> unknown"},
        {"user ANN unknown: <Ann>", "user <addr> unknown: <addr>"},
        {"ann=example.org is ann", "<addr>=example.org is <addr>"},
        {"ann%40example.org", "<addr>%40example.org"},
        {"ann-ann.ann", "<addr>-<addr>.<addr>"},
        {"joann ann2 hann\xc3\xa4 ann\xc3\xa4", "joann ann2 hann\xc3\xa4 "
                                                "ann\xc3\xa4"},
        {"ann.smith@example.org", "<addr>"},
        {"ann@example.org ann", "<addr> <addr>"},
        {"\"ann b\"@x.test", "\"<addr> <addr>"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        check(rows[i][0], rows[i][1]);
    }
}

static void privacy_text_mask_is_done_with_once(void **state)
{
    static const char *const rows[] = {"<addr>", "user <addr> unknown",
                                       "<addr>=example.org"};

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        check(rows[i], rows[i]);
    }
}

/* No byte behind the room is written, no part of an address is left. */
static void privacy_text_mask_stays_in_its_room(void **state)
{
    static const char text[] = "gr\xc3\xbc\xc3\x9f"
                               "e <bob@example.org> ann x";
    char whole[64];
    size_t all = mask(text, strlen(text), "ann", whole, sizeof whole);

    (void)state;
    for (size_t size = 0; size <= all; size++) {
        char *room = malloc(size + 1); /* a sanitizer sees what is behind */
        size_t length;

        assert_non_null(room);
        room[size] = '\x7f';
        length = mask(text, strlen(text), "ann", room, size);
        assert_in_range(length, 0, size);
        assert_int_equal(room[size], '\x7f');
        assert_memory_equal(room, whole, length);
        assert_true(length == 0 ||
                    ((unsigned char)whole[length] & 0xc0) != 0x80);
        free(room);
    }
}

static void privacy_text_mask_lives_with_any_bytes(void **state)
{
    static const char bytes[] = {'@', '"', '<', '>',    '\\',   '\0', '[',
                                 ']', 'a', 'n', '\xff', '\x80', '.',  ' '};
    uint32_t random = 1;

    (void)state;
    for (size_t round = 0; round < 20000; round++) {
        size_t size = round % 24;
        char *text = malloc(size + 1);
        char *room = malloc(size * 7 + 1);
        size_t length;

        assert_true(text != NULL && room != NULL);
        for (size_t i = 0; i < size; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = bytes[(random >> 16) % sizeof bytes];
        }
        length = mask(text, size, "an", room, size * 7);
        assert_in_range(length, 0, size * 7);
        for (size_t i = 1; i < length; i++) { /* none that has a local part */
            assert_true(room[i] != '@' || room[i - 1] != 'a');
        }
        free(text);
        free(room);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(privacy_text_mask_finds_addresses_in_replies),
        cmocka_unit_test(privacy_text_mask_leaves_other_texts_alone),
        cmocka_unit_test(privacy_text_mask_finds_the_local_part_as_a_word),
        cmocka_unit_test(privacy_text_mask_is_done_with_once),
        cmocka_unit_test(privacy_text_mask_stays_in_its_room),
        cmocka_unit_test(privacy_text_mask_lives_with_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
