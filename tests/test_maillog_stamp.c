#include "clock.h"
#include "maillog_stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

static void use_zone(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

static int64_t at(const char *timestamp)
{
    int64_t us;

    assert_true(clock_parse(timestamp, strlen(timestamp), &us));
    return us;
}

struct row {
    const char *stamp;
    const char *utc; /* NULL: refused */
};

/* One after the other, beginning close to near. */
static void rows_hold(const char *zone, const char *near,
                      const struct row *rows, size_t count)
{
    struct maillog_stamp stamp;

    use_zone(zone);
    maillog_stamp_init(&stamp, at(near));
    for (size_t i = 0; i < count; i++) {
        char line[128];
        struct text rest = {line, strlen(rows[i].stamp) + 5};
        char is[CLOCK_TIMESTAMP_SIZE] = "refused";
        int64_t us = 0;

        memcpy(line, rows[i].stamp, strlen(rows[i].stamp));
        memcpy(line + strlen(rows[i].stamp), " host", 5);
        if (maillog_stamp_take(&stamp, &rest, &us)) {
            clock_format(us, is);
            assert_true(text_is(rest, "host"));
        }
        if (strcmp(is, rows[i].utc == NULL ? "refused" : rows[i].utc) != 0) {
            fail_msg("row %zu, %s in %s: %s", i, rows[i].stamp, zone, is);
        }
    }
}

static void maillog_stamp_reads_every_form(void **state)
{
    static const struct row rows[] = {
        {"Jan  2 03:04:05", "2026-01-02T03:04:05.000000Z"},
        {"Jan 02 03:04:05", "2026-01-02T03:04:05.000000Z"},
        {"Jan 02 03:04:05.123456", "2026-01-02T03:04:05.123456Z"},
        {"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"},
        {"2026-01-02T03:04:05.123456+01:00", "2026-01-02T02:04:05.123456Z"},
        {"2026-01-02T03:04:05.123456789-03:30", "2026-01-02T06:34:05.123456Z"},
        {"2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.500000Z"},
        {"2026-01-02T03:04:05,5Z", "2026-01-02T03:04:05.500000Z"},
        {"2026-01-02T03:04:05+0100", "2026-01-02T02:04:05.000000Z"},
        {"2026-01-02T03:04:05.000001+0530", "2026-01-01T21:34:05.000001Z"},
        {"2026-01-02T03:04:05+01", "2026-01-02T02:04:05.000000Z"},
        {"2026-01-02T03:04:05", "2026-01-02T03:04:05.000000Z"},
        {"2026-01-02T03:04:60Z", "2026-01-02T03:05:00.000000Z"},
        {"Fri 2026-01-02 03:04:05 UTC", "2026-01-02T03:04:05.000000Z"},
        {"Fri 2026-01-02 03:04:05 GMT", "2026-01-02T03:04:05.000000Z"},
        {"Fri 2026-01-02 03:04:05.123456 UTC", "2026-01-02T03:04:05.123456Z"},
        {"Fri 2026-01-02 03:04:05 -03", "2026-01-02T06:04:05.000000Z"},
        {"1767323045.123456", "2026-01-02T03:04:05.123456Z"},
        {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"},
    };

    (void)state;
    rows_hold("UTC", "2026-01-01T00:00:00Z", rows, COUNT(rows));
}

static void maillog_stamp_refuses_all_else(void **state)
{
    static const struct row rows[] = {
        {"", NULL},
        {"Jan  2", NULL},
        {"Jan  2 03:04", NULL},
        {"Jan  0 03:04:05", NULL},
        {"Jan 32 03:04:05", NULL},
        {"Feb 30 03:04:05", NULL},
        {"jan  2 03:04:05", NULL},
        {"Foo  2 03:04:05", NULL},
        {"Jan  2 24:04:05", NULL},
        {"Jan  2 03:60:05", NULL},
        {"Jan  2 03:04:61", NULL},
        {"Jan  2 03:04:0x", NULL},
        {"Jan  2x03:04:05", NULL},
        {"2026-01-02 03:04:05Z", NULL},
        {"2026-13-02T03:04:05Z", NULL},
        {"2025-02-29T03:04:05Z", NULL},
        {"0026-01-02T03:04:05Z", NULL},
        {"2026-01-02T03:04:05X", NULL},
        {"2026-01-02T03:04:05+25:00", NULL},
        {"2026-01-02T03:04:05+01:60", NULL},
        {"2026-01-02T03:04:05+", NULL},
        {"99999999999999999999.5", NULL},
        {"1767323045", NULL},
        {"Fri 2026-01-02 03:04:05", NULL}, /* "host" is no zone, then no host */
        {"-- Boot 0123456789abcdef --", NULL},
        {"last message repeated 2 times", NULL},
    };

    (void)state;
    rows_hold("UTC", "2026-01-01T00:00:00Z", rows, COUNT(rows));
}

static void maillog_stamp_keeps_its_place_across_new_year(void **state)
{
    static const struct row forth[] = {
        {"Dec 31 23:59:58", "2025-12-31T23:59:58.000000Z"},
        {"Dec 31 23:59:59", "2025-12-31T23:59:59.000000Z"},
        {"Jan  1 00:00:00", "2026-01-01T00:00:00.000000Z"},
        {"Dec 31 23:59:59", "2025-12-31T23:59:59.000000Z"}, /* out of order */
        {"Jan  1 00:00:01", "2026-01-01T00:00:01.000000Z"},
        {"May  1 00:00:00", "2026-05-01T00:00:00.000000Z"},
        {"Oct  1 00:00:00", "2026-10-01T00:00:00.000000Z"},
        {"Jan  2 00:00:00", "2027-01-02T00:00:00.000000Z"},
    };
    static const struct row old[] = {
        {"Dec 30 00:00:00", "2019-12-30T00:00:00.000000Z"},
        {"Jan  3 00:00:00", "2020-01-03T00:00:00.000000Z"},
        {"Feb 29 00:00:00", "2020-02-29T00:00:00.000000Z"},
        {"Mar  1 00:00:00", "2020-03-01T00:00:00.000000Z"},
    };
    static const struct row leap[] = {
        {"Feb 29 12:00:00", "2024-02-29T12:00:00.000000Z"},
    };
    static const struct row mixed[] = {
        {"Dec 31 12:00:00", "2025-12-31T12:00:00.000000Z"},
        {"2020-12-31T12:00:00Z", "2020-12-31T12:00:00.000000Z"},
        {"Dec 31 12:00:00", "2020-12-31T12:00:00.000000Z"},
    };

    (void)state;
    rows_hold("UTC", "2026-01-02T00:00:00Z", forth, COUNT(forth));
    rows_hold("UTC", "2020-01-01T00:00:00Z", old, COUNT(old));
    rows_hold("UTC", "2025-06-01T00:00:00Z", leap, COUNT(leap));
    rows_hold("UTC", "2026-01-02T00:00:00Z", mixed, COUNT(mixed));
}

static void maillog_stamp_goes_by_the_zone(void **state)
{
    static const struct row berlin[] = {
        {"Jan  2 03:04:05", "2026-01-02T02:04:05.000000Z"},
        {"Jan  1 00:30:00", "2025-12-31T23:30:00.000000Z"},
        {"May  2 03:04:05", "2026-05-02T01:04:05.000000Z"},
        {"2026-07-02T03:04:05", "2026-07-02T01:04:05.000000Z"},
        {"Thu 2026-07-02 03:04:05 CEST", "2026-07-02T01:04:05.000000Z"},
    };
    static const struct row kolkata[] = {
        {"Jan  2 03:04:05", "2026-01-01T21:34:05.000000Z"},
    };
    static const struct row kiritimati[] = {
        {"Jan  1 10:00:00", "2025-12-31T20:00:00.000000Z"},
    };

    (void)state;
    rows_hold("Europe/Berlin", "2026-01-02T00:00:00Z", berlin, COUNT(berlin));
    rows_hold("Asia/Kolkata", "2026-01-02T00:00:00Z", kolkata, COUNT(kolkata));
    rows_hold("Pacific/Kiritimati", "2026-01-02T00:00:00Z", kiritimati,
              COUNT(kiritimati));
}

static void maillog_stamp_unfolds_the_end_of_summer_time(void **state)
{
    static const struct row berlin[] = {
        {"Oct 25 01:59:59", "2026-10-24T23:59:59.000000Z"},
        {"Oct 25 02:00:00", "2026-10-25T00:00:00.000000Z"},
        {"Oct 25 02:59:59", "2026-10-25T00:59:59.000000Z"},
        {"Oct 25 02:59:58", "2026-10-25T00:59:58.000000Z"}, /* another host */
        {"Oct 25 02:00:00", "2026-10-25T01:00:00.000000Z"},
        {"Oct 25 02:30:00", "2026-10-25T01:30:00.000000Z"},
        {"Oct 25 03:00:00", "2026-10-25T02:00:00.000000Z"},
    };
    static const struct row quiet[] = {
        {"Oct 25 02:50:00", "2026-10-25T00:50:00.000000Z"},
        {"Oct 25 02:10:00", "2026-10-25T01:10:00.000000Z"},
    };
    static const struct row second[] = {
        {"Oct 25 02:20:00", "2026-10-25T01:20:00.000000Z"},
    };
    static const struct row first[] = {
        {"Oct 25 02:20:00", "2026-10-25T00:20:00.000000Z"},
    };
    static const struct row named[] = {
        {"Sun 2026-10-25 02:20:00 CEST", "2026-10-25T00:20:00.000000Z"},
        {"Sun 2026-10-25 02:20:00 CET", "2026-10-25T01:20:00.000000Z"},
        {"Sun 2026-10-25 02:20:00 CEST", "2026-10-25T00:20:00.000000Z"},
    };
    static const struct row lord_howe[] = {
        /* half an hour */
        {"Apr  5 01:45:00", "2026-04-04T14:45:00.000000Z"},
        {"Apr  5 01:31:00", "2026-04-04T15:01:00.000000Z"},
        {"Apr  5 02:00:00", "2026-04-04T15:30:00.000000Z"},
    };

    (void)state;
    rows_hold("Europe/Berlin", "2026-10-25T00:00:00Z", berlin, COUNT(berlin));
    rows_hold("Europe/Berlin", "2026-10-25T00:49:00Z", quiet, COUNT(quiet));
    rows_hold("Europe/Berlin", "2026-10-25T01:25:00Z", second, COUNT(second));
    rows_hold("Europe/Berlin", "2026-10-25T00:25:00Z", first, COUNT(first));
    rows_hold("Europe/Berlin", "2026-10-25T00:25:00Z", named, COUNT(named));
    rows_hold("Australia/Lord_Howe", "2026-04-04T14:00:00Z", lord_howe,
              COUNT(lord_howe));
}

static void maillog_stamp_takes_times_that_never_were(void **state)
{
    static const struct row rows[] = {
        {"Mar 29 01:59:59", "2026-03-29T00:59:59.000000Z"},
        {"Mar 29 02:30:00", "2026-03-29T01:30:00.000000Z"},
        {"Mar 29 03:00:00", "2026-03-29T01:00:00.000000Z"},
    };

    (void)state;
    rows_hold("Europe/Berlin", "2026-03-29T00:00:00Z", rows, COUNT(rows));
}

/* Against mktime(), which knows the year, each quarter of an hour. */
static void maillog_stamp_agrees_with_mktime_all_year(void **state)
{
    static const char *const zones[] = {"America/New_York", "Asia/Tehran",
                                        "Africa/Casablanca", "UTC"};

    (void)state;
    for (size_t zone = 0; zone < COUNT(zones); zone++) {
        struct maillog_stamp stamp;
        time_t time = 1767225600 - 86400 * 40;

        use_zone(zones[zone]);
        maillog_stamp_init(&stamp, (int64_t)time * 1000000);
        for (; time < 1767225600 + 86400 * 400; time += 900) {
            char line[64];
            struct tm tm;
            struct text rest;
            int64_t us = 0;

            assert_non_null(localtime_r(&time, &tm));
            rest.length = strftime(line, sizeof line, "%b %e %H:%M:%S x", &tm);
            rest.bytes = line;
            assert_true(maillog_stamp_take(&stamp, &rest, &us));
            assert_int_equal(us, (int64_t)time * 1000000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maillog_stamp_reads_every_form),
        cmocka_unit_test(maillog_stamp_refuses_all_else),
        cmocka_unit_test(maillog_stamp_keeps_its_place_across_new_year),
        cmocka_unit_test(maillog_stamp_goes_by_the_zone),
        cmocka_unit_test(maillog_stamp_unfolds_the_end_of_summer_time),
        cmocka_unit_test(maillog_stamp_takes_times_that_never_were),
        cmocka_unit_test(maillog_stamp_agrees_with_mktime_all_year),
    };

    return cmocka_run_group_tests_name("maillog_stamp", tests, NULL, NULL);
}
