#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void clock_format_gives_fixed_width_utc(void **state)
{
    char text[CLOCK_TIMESTAMP_SIZE];

    (void)state;
    clock_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    clock_format(INT64_C(1709210096000007), text);
    assert_string_equal(text, "2024-02-29T12:34:56.000007Z");
    clock_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
    clock_format(INT64_MAX, text);
    assert_int_equal(strlen(text), CLOCK_TIMESTAMP_SIZE - 1);
    clock_format(INT64_MIN, text);
    assert_int_equal(strlen(text), CLOCK_TIMESTAMP_SIZE - 1);
}

static void every_day_comes_back_as_it_was_written(void **state)
{
    (void)state;
    for (int64_t day = -719528; day <= 2932896; day += 13) {
        int64_t us = day * INT64_C(86400000000) + (day & 0xffff) * 1000003;
        char text[CLOCK_TIMESTAMP_SIZE];
        int64_t back = 0;

        clock_format(us, text);
        assert_true(clock_parse(text, strlen(text), &back));
        assert_int_equal(back, us);
    }
}

static void clock_parse_reads_what_rfc_3339_allows(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:01z", 1000000},
        {"2024-02-29T12:34:56.000007Z", INT64_C(1709210096000007)},
        {"2024-02-29T12:34:56.5Z", INT64_C(1709210096500000)},
        {"2024-02-29T14:34:56.123456789+02:00", INT64_C(1709210096123456)},
        {"2024-02-29T08:04:56-04:30", INT64_C(1709210096000000)},
        {"2024-02-29 12:34:56Z", INT64_C(1709210096000000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t us = -1;

        assert_true(clock_parse(rows[i].text, strlen(rows[i].text), &us));
        assert_int_equal(us, rows[i].us);
    }
}

static void clock_parse_refuses_all_else(void **state)
{
    static const char *const rows[] = {
        "",
        "2024",
        "2024-02-29",
        "2024-13-01T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-02-29T24:00:00Z",
        "2024-02-29T12:34:56",
        "2024-02-29T12:34:56.Z",
        "2024-02-29T12:34:56.1234567890Z",
        "2024-02-29T12:34:56Z ",
        "2024-02-29T12:34:56+0200",
        "-024-02-29T12:34:56Z",
    };
    int64_t us;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_false(clock_parse(rows[i], strlen(rows[i]), &us));
    }
}

static void clock_parse_undoes_clock_format(void **state)
{
    (void)state;
    for (int64_t us = INT64_C(-62135596800000000);
         us < INT64_C(253402300800000000); us += INT64_C(86399999997001)) {
        char text[CLOCK_TIMESTAMP_SIZE];
        int64_t back = 0;

        clock_format(us, text);
        assert_true(clock_parse(text, strlen(text), &back));
        assert_int_equal(back, us);
    }
}

static void clock_parse_duration_knows_its_units(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } rows[] = {
        {"0", 0},        {"90", 90},
        {"90s", 90},     {"15m", 900},
        {"72h", 259200}, {"30d", 2592000},
        {"2w", 1209600}, {"", -1},
        {"d", -1},       {"-1d", -1},
        {"1.5h", -1},    {"1 d", -1},
        {"1y", -1},      {"36525d", INT64_C(3155760000)},
        {"36526d", -1},  {"99999999999", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t seconds = -1;
        bool parsed = clock_parse_duration(rows[i].text, &seconds);

        assert_int_equal(parsed, rows[i].seconds >= 0);
        assert_int_equal(seconds, rows[i].seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_comes_back_as_it_was_written),
        cmocka_unit_test(clock_format_gives_fixed_width_utc),
        cmocka_unit_test(clock_parse_reads_what_rfc_3339_allows),
        cmocka_unit_test(clock_parse_refuses_all_else),
        cmocka_unit_test(clock_parse_undoes_clock_format),
        cmocka_unit_test(clock_parse_duration_knows_its_units),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
