#include "maillog_position.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void what_is_written_is_read(void **state)
{
    static const struct {
        struct maillog_position position;
        const char *text;
    } rows[] = {
        {{.kind = MAILLOG_POSITION_FILE,
          .source = 0x1f,
          .device = 0xfe01,
          .inode = 123456,
          .crc = 0xab,
          .crc_length = 256,
          .modified_us = INT64_C(1763765783000001),
          .offset = 4711},
         "file:000000000000001f:fe01:1e240:000000ab:256:1763765783000001:4711"},
        {{.kind = MAILLOG_POSITION_FILE,
          .source = UINT64_MAX,
          .device = UINT64_MAX,
          .inode = UINT64_MAX,
          .crc = UINT32_MAX,
          .crc_length = 256,
          .modified_us = INT64_MAX,
          .offset = INT64_MAX},
         "file:ffffffffffffffff:ffffffffffffffff:ffffffffffffffff:ffffffff:256:"
         "9223372036854775807:9223372036854775807"},
        {{.kind = MAILLOG_POSITION_FILE},
         "file:0000000000000000:0:0:00000000:0:0:0"},
        {{.kind = MAILLOG_POSITION_JOURNAL, .source = 2, .cursor = "s=1;i=2"},
         "journal:0000000000000002:s=1;i=2"},
        {{.kind = MAILLOG_POSITION_JOURNAL, .source = 2},
         "journal:0000000000000002:"},
        {{.kind = MAILLOG_POSITION_STREAM, .source = 3, .offset = 10},
         "stream:0000000000000003:10"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct maillog_position position;
        char text[MAILLOG_POSITION_SIZE];

        assert_int_equal(maillog_position_format(&rows[i].position, text),
                         strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
        assert_true(maillog_position_parse(text, &position));
        assert_memory_equal(&position, &rows[i].position, sizeof position);
    }
}

static void what_is_no_position_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "file",
        "file:",
        "other:0000000000000003:10",
        "stream:0000000000000003",
        "stream:0000000000000003:",
        "stream:0000000000000003:-1",
        "stream:0000000000000003:+1",
        "stream:0000000000000003:01",
        "stream:0000000000000003:10 ",
        "stream: 000000000000003:10",
        "stream:000000000000000A:10",
        "stream:0000000000000003:9223372036854775808",
        "stream:0000000000000003:99999999999999999999999999",
        "stream:00000000000000003:10",
        "file:0000000000000000:0:0:0:0:0:0",
        "file:0000000000000000:0:0:000000000:0:0:0",
        "file:0000000000000000:0:0:00000000:257:0:0",
        "file:0000000000000000:0:0:00000000:0:0:0:",
        "file:0000000000000000:0:0:00000000:0:0",
        "file:0000000000000000:10000000000000000:0:00000000:0:0:0",
        "file:0000000000000000:0:0:00000000:0:9223372036854775808:0",
        "file:0000000000000000:0x1:0:00000000:0:0:0",
        "file:0000000000000000::0:00000000:0:0:0",
        "journal:0000000000000003:a b",
        "journal:0000000000000003:a\n",
        "journal:0000000000000003:\xc3\xa4",
    };
    struct maillog_position position;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(maillog_position_parse(texts[i], &position));
    }
}

static void the_longest_cursor_fits_and_a_longer_one_is_refused(void **state)
{
    char text[512] = "journal:0000000000000002:";
    char again[MAILLOG_POSITION_SIZE];
    struct maillog_position position;
    size_t length = strlen(text);

    (void)state;
    memset(text + length, 'c', MAILLOG_CURSOR_SIZE - 1);
    assert_true(maillog_position_parse(text, &position));
    assert_int_equal(maillog_position_format(&position, again), strlen(text));
    assert_string_equal(again, text);
    text[strlen(text)] = 'c';
    assert_false(maillog_position_parse(text, &position));
}

static void the_crc_is_the_one_of_gzip(void **state)
{
    (void)state;
    assert_int_equal(maillog_position_crc("123456789", 9), 0xcbf43926);
    assert_int_equal(maillog_position_crc("", 0), 0);
}

static void
a_place_is_the_same_however_its_file_is_called_or_packed(void **state)
{
    static const char place[] =
        "file:0000000000000001:10:20:0000abcd:256:500:4711";
    static const struct {
        const char *other;
        bool same;
    } rows[] = {
        {place, true},
        {"file:0000000000000001:10:20:0000abcd:256:501:4711", true},
        {"file:0000000000000001:11:21:0000abcd:256:500:4711", true},
        {"file:0000000000000002:10:20:0000abcd:256:500:4711", false},
        {"file:0000000000000001:10:20:0000abce:256:500:4711", false},
        {"file:0000000000000001:10:20:0000abcd:256:500:4712", false},
        {"file:0000000000000001:10:20:0000abcd:25:500:4711", false},
        {"stream:0000000000000001:4711", false},
    };
    struct maillog_position a, b;

    (void)state;
    assert_true(maillog_position_parse(place, &a));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(maillog_position_parse(rows[i].other, &b));
        assert_int_equal(maillog_position_same(&a, &b), rows[i].same);
        assert_int_equal(maillog_position_same(&b, &a), rows[i].same);
    }
}

static void nothing_is_known_of_an_empty_file_but_its_inode(void **state)
{
    struct maillog_position a, b;

    (void)state;
    assert_true(
        maillog_position_parse("file:0000000000000001:1:2:00000000:0:5:0", &a));
    assert_true(
        maillog_position_parse("file:0000000000000001:1:3:00000000:0:5:0", &b));
    assert_false(maillog_position_same(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_no_position_is_refused),
        cmocka_unit_test(the_longest_cursor_fits_and_a_longer_one_is_refused),
        cmocka_unit_test(the_crc_is_the_one_of_gzip),
        cmocka_unit_test(
            a_place_is_the_same_however_its_file_is_called_or_packed),
        cmocka_unit_test(nothing_is_known_of_an_empty_file_but_its_inode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
