#include "clock.h"
#include "trace_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ONE     "3c0dc1b7a9e24a60a3a1a3b08fa4f4c1f0b1e2d3c4b5a69788796a5b4c3d2e1f"
#define TWO     "4C0DC1B7A9E24A60A3A1A3B08FA4F4C1F0B1E2D3C4B5A69788796A5B4C3D2E1F"
#define MADE    "2026-11-01T00:00:00Z"
#define KEY_ONE "1 " ONE " " MADE "\n"

static int64_t time_of(const char *text)
{
    int64_t us = 0;

    assert_true(clock_parse(text, strlen(text), &us));
    return us;
}

static int64_t made(void)
{
    return time_of(MADE);
}

static bool has(struct trace_keys *keys, unsigned kid)
{
    struct trace_key key;

    return trace_keys_find(keys, kid, made(), &key) && key.kid == kid;
}

static void trace_keyring_refuse_lines_that_are_none(void **state)
{
    static const struct {
        const char *text;
        const char *place;
        const char *words;
    } rows[] = {
        {"1 " ONE "\n", "keys:1:", "64 hex digits and a time"},
        {"1\n", "keys:1:", "a number"},
        {"1 " ONE " " MADE " x\n", "keys:1:", "a number"},
        {KEY_ONE "\n# two\n32 " TWO " " MADE "\n", "keys:4:", "0 to 31"},
        {"-1 " ONE " " MADE "\n", "keys:1:", "0 to 31"},
        {"01 " ONE " " MADE "\n", "keys:1:", "0 to 31"},
        {"1x " ONE " " MADE "\n", "keys:1:", "0 to 31"},
        {"111111111111 " ONE " " MADE "\n", "keys:1:", "0 to 31"},
        {KEY_ONE "1 " TWO " " MADE "\n", "keys:2:", "line above"},
        {"1 " ONE "00 " MADE "\n", "keys:1:", "64 hex digits"},
        {"1 " ONE "0 " MADE "\n", "keys:1:", "64 hex digits"},
        {"1 3c0d " MADE "\n", "keys:1:", "64 hex digits"},
        {"1 g" ONE " " MADE "\n", "keys:1:", "64 hex digits"},
        {"1 " ONE " 2026-11-01\n", "keys:1:", "2026-11-02T19:43:01Z"},
        {"1 " ONE " 2026-11-01T00:00:00", "keys:1:", "19:43:01Z"},
        {"1 " ONE " 1793491200\n", "keys:1:", "19:43:01Z"},
        {"\n\n\nkeys\n", "keys:4:", "a number"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {""};
        struct trace_keys *keys = trace_keys_of(text_of(rows[i].text), &error);

        if (keys != NULL) {
            fail_msg("taken: %s", rows[i].text);
        }
        if (strncmp(error.text, rows[i].place, strlen(rows[i].place)) != 0 ||
            strstr(error.text, rows[i].words) == NULL) {
            fail_msg("%s gave %s", rows[i].text, error.text);
        }
        /* nothing of a secret */
        assert_null(strstr(error.text, "3c0d"));
        assert_null(strstr(error.text, "4C0D"));
    }
}

static void trace_keyring_refuse_a_line_cut_anywhere(void **state)
{
    static const char line[] = "17 " ONE " 2026-11-01T00:00:00.123456Z";

    (void)state;
    for (size_t length = 1; length < sizeof line - 1; length++) {
        struct error error = {""};

        assert_null(trace_keys_of((struct text){line, length}, &error));
    }
}

static void trace_keyring_take_comments_and_blanks(void **state)
{
    static const char *const texts[] = {
        KEY_ONE,
        "1 " ONE " " MADE,
        "\r\n# 2 x\r\n  1\t" ONE "  2026-11-01T01:00:00.5+01:00 \r\n\n",
        "31 " TWO " " MADE "\n#\n0 " ONE " 2026-10-01T00:00:00Z\n" KEY_ONE,
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error error = {""};
        struct trace_keys *keys = trace_keys_of(text_of(texts[i]), &error);

        if (keys == NULL) {
            fail_msg("%s gave %s", texts[i], error.text);
        }
        assert_true(has(keys, 1));
        assert_false(has(keys, 2));
        trace_keys_free(keys);
    }
}

static void trace_keyring_reads_what_it_wrote(void **state)
{
    struct trace_keyring ring = {0};
    struct trace_keyring again = {0};
    static const struct trace_keyring empty;
    char text[TRACE_KEYRING_TEXT_SIZE];
    struct error error = {""};

    (void)state;
    for (size_t count = 0; count <= TRACE_KEY_NUMBERS; count++) {
        size_t length = trace_keyring_write(&ring, text);

        assert_true(length < sizeof text);
        assert_true(trace_keyring_parse((struct text){text, length}, "keys",
                                        &again, &error));
        assert_int_equal(again.count, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(again.keys[i].kid, ring.keys[i].kid);
            assert_int_equal(again.keys[i].created_us, ring.keys[i].created_us);
            assert_memory_equal(again.keys[i].secret, ring.keys[i].secret,
                                TRACE_KEY_SIZE);
        }
        if (count < TRACE_KEY_NUMBERS) {
            assert_non_null(
                trace_keyring_add(&ring, made() + (int64_t)count, &error));
        }
    }
    assert_null(trace_keyring_add(&ring, made() + 40, &error));
    assert_non_null(strstr(error.text, "all 32 numbers"));
    trace_keyring_wipe(&ring);
    assert_memory_equal(&ring, &empty, sizeof ring);
}

static void trace_keyring_chooses_by_age(void **state)
{
    static const char lines[] = "3 " ONE " 2026-11-01T00:00:00Z\n"
                                "2 " TWO " 2026-10-02T00:00:00Z\n"
                                "9 " ONE " 2026-11-20T00:00:00Z\n";
    static const struct {
        const char *now;
        unsigned signer;
        bool verifies_2, verifies_3, verifies_9, is_due;
    } rows[] = {
        {"2026-10-01T23:59:59Z", 99, true, true, true, true},
        {"2026-10-02T00:00:00Z", 2, true, true, true, false},
        {"2026-11-01T00:00:00Z", 3, true, true, true, false},
        {"2026-11-16T00:00:00Z", 3, true, true, true, false},
        {"2026-11-16T00:00:00.000001Z", 3, false, true, true, false},
        {"2026-11-20T00:00:00Z", 9, false, true, true, false},
        {"2026-12-16T00:00:00Z", 9, false, true, true, false},
        {"2026-12-16T00:00:01Z", 9, false, false, true, false},
        {"2026-12-19T23:59:59Z", 9, false, false, true, false},
        {"2026-12-20T00:00:00Z", 9, false, false, true, true},
        {"2027-01-04T00:00:00Z", 9, false, false, true, true},
        {"2027-01-04T00:00:01Z", 99, false, false, false, true},
    };
    struct trace_keyring ring;
    struct error error = {""};

    (void)state;
    assert_true(trace_keyring_parse(text_of(lines), "keys", &ring, &error));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int64_t now_us = time_of(rows[i].now);
        const struct trace_key *signer = trace_keyring_signer(&ring, now_us);

        assert_int_equal(signer == NULL ? 99 : signer->kid, rows[i].signer);
        assert_int_equal(trace_keyring_find(&ring, 2, now_us) != NULL,
                         rows[i].verifies_2);
        assert_int_equal(trace_keyring_find(&ring, 3, now_us) != NULL,
                         rows[i].verifies_3);
        assert_int_equal(trace_keyring_find(&ring, 9, now_us) != NULL,
                         rows[i].verifies_9);
        assert_int_equal(trace_keyring_is_due(&ring, now_us), rows[i].is_due);
    }
}

static void trace_keyring_gives_a_number_again_as_late_as_can_be(void **state)
{
    struct trace_keyring ring = {0};
    struct error error = {""};

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        const struct trace_key *key =
            trace_keyring_add(&ring, made() + i * TRACE_KEY_ROTATE_US, &error);

        assert_non_null(key);
        assert_int_equal(key->kid, i % TRACE_KEY_NUMBERS);
        assert_in_range(ring.count, 1, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace_keyring_refuse_lines_that_are_none),
        cmocka_unit_test(trace_keyring_refuse_a_line_cut_anywhere),
        cmocka_unit_test(trace_keyring_take_comments_and_blanks),
        cmocka_unit_test(trace_keyring_reads_what_it_wrote),
        cmocka_unit_test(trace_keyring_chooses_by_age),
        cmocka_unit_test(trace_keyring_gives_a_number_again_as_late_as_can_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
