#include "clock.h"
#include "lists_world.h"
#include "stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SKIP_TEST 77
#define NOW_US    INT64_C(1795305660000000) /* 2026-11-22T00:01:00Z */
#define HOURS     3

static struct stats_span last_hours(size_t hours)
{
    struct stats_span span = {stats_hour_of(NOW_US) - (int64_t)hours + 1,
                              hours};

    return span;
}

static struct stats_source source_of(struct world *world)
{
    struct stats_source source = {world->redis_cli,
                                  "nixie:", clock_monotonic_ms() + SOON};

    return source;
}

static void read_hours(struct world *world, struct stats *stats)
{
    const struct stats_source source = source_of(world);
    struct error error = {""};

    assert_non_null(stats);
    assert_true(stats_read(stats, &source, &error));
    assert_string_equal(error.text, "");
}

/* --- hours ------------------------------------------------------------- */

static void stats_hours_are_those_of_the_keys(void **state)
{
    char text[STATS_HOUR_SIZE];

    (void)state;
    stats_hour_key(stats_hour_of(NOW_US), text);
    assert_string_equal(text, "2026112200");
    stats_hour_key(stats_hour_of(NOW_US) - 1, text);
    assert_string_equal(text, "2026112123");
    stats_hour_text(stats_hour_of(NOW_US), text);
    assert_string_equal(text, "2026-11-22T00:00:00Z");
    assert_int_equal(stats_hour_of(-1), -1);
}

static void stats_new_refuses_a_span_without_end(void **state)
{
    const struct stats_span none = {0, 0};
    const struct stats_span most = {0, STATS_HOURS_MAX};
    const struct stats_span more = {0, STATS_HOURS_MAX + 1};
    struct stats *stats = stats_new(most);

    (void)state;
    assert_non_null(stats);
    stats_free(stats);
    assert_null(stats_new(none));
    assert_null(stats_new(more));
}

/* --- outcomes ----------------------------------------------------------- */

static void stats_read_adds_up_all_buckets_of_each_hour(void **state)
{
    struct world *world = *state;
    struct stats *stats = stats_new(last_hours(HOURS));
    const struct stats_row *row;

    world_operate(world, "HSET nixie:{00}:stats:2026112200 delivery 5");
    world_operate(world, "HSET nixie:{63}:stats:2026112200 delivery 7 "
                         "bounce|user_unknown 2 bounce|mailbox_full 3");
    world_operate(world, "HSET nixie:{17}:stats:2026112122 delivery 11 "
                         "suppressed|user_unknown 1");
    world_operate(world, "HSET nixie:{17}:stats:2026112121 delivery 1000");
    world_operate(world, "HSET nixie:{17}:stats:2026112201 delivery 1000");
    read_hours(world, stats);
    assert_int_equal(stats_total(stats, EVENT_DELIVERY), 23);
    assert_int_equal(stats_in_hour(stats, EVENT_DELIVERY, 0), 11);
    assert_int_equal(stats_in_hour(stats, EVENT_DELIVERY, 1), 0);
    assert_int_equal(stats_in_hour(stats, EVENT_DELIVERY, 2), 12);
    assert_int_equal(stats_total(stats, EVENT_BOUNCE), 5);
    assert_int_equal(stats_finals(stats), 29);
    assert_int_equal(stats_skipped(stats), 0);
    assert_int_equal(stats_rows(stats), 4);
    for (size_t i = 0; i + 1 < stats_rows(stats); i++) {
        assert_true(stats_row(stats, i)->type <= stats_row(stats, i + 1)->type);
    }
    row = stats_row(stats, 2); /* the more frequent bounce comes first */
    assert_string_equal(row->reason, "mailbox_full");
    assert_int_equal(row->total, 3);
    assert_int_equal(row->counts[2], 3);
    stats_free(stats);
}

static void stats_read_counts_nothing_in_an_empty_redis(void **state)
{
    struct world *world = *state;
    struct stats *stats = stats_new(last_hours(24 * 30));

    read_hours(world, stats);
    assert_int_equal(stats_rows(stats), 0);
    assert_int_equal(stats_finals(stats), 0);
    assert_int_equal(stats_skipped(stats), 0);
    stats_free(stats);
}

static void stats_read_passes_over_what_nixie_did_not_write(void **state)
{
    struct world *world = *state;
    struct stats *stats = stats_new(last_hours(HOURS));

    world_operate(world, "SET nixie:{00}:stats:2026112200 mine");
    world_operate(world, "LPUSH nixie:{01}:stats:2026112200 delivery");
    world_operate(world, "HSET nixie:{02}:stats:2026112200 delivery 4 "
                         "delivery|x -1 delay 1.5");
    world_operate(world, "HSET nixie:{02}:stats:2026112200 "
                         "bounce 99999999999999999 expiration 1e3");
    world_operate(world, "HSET nixie:{02}:stats:2026112200 <b> 1 "
                         "|user_unknown 1 deliverys 1");
    read_hours(world, stats);
    assert_int_equal(stats_total(stats, EVENT_DELIVERY), 4);
    assert_int_equal(stats_finals(stats), 4);
    assert_int_equal(stats_skipped(stats), 2 + 7);
    stats_free(stats);
}

static void stats_add_keeps_any_bytes_of_a_reason(void **state)
{
    const char reason[] = "bounce|\xff\0<b>|";
    struct stats *stats = stats_new(last_hours(1));
    struct text field = {reason, sizeof reason - 1};

    (void)state;
    stats_add(stats, 0, field, text_of("2"));
    stats_add(stats, 0, field, text_of("3"));
    assert_int_equal(stats_rows(stats), 1);
    assert_int_equal(stats_row(stats, 0)->reason_length, 6);
    assert_memory_equal(stats_row(stats, 0)->reason, "\xff\0<b>|", 6);
    assert_int_equal(stats_row(stats, 0)->total, 5);
    stats_add(stats, 1, field, text_of("3")); /* there is no such hour */
    assert_int_equal(stats_skipped(stats), 1);
    stats_free(stats);
}

static void stats_add_ends_at_what_a_number_holds(void **state)
{
    struct stats *stats = stats_new(last_hours(1));

    (void)state;
    stats_add(stats, 0, text_of("delivery"), text_of("9007199254740991"));
    stats_add(stats, 0, text_of("delivery"), text_of("9007199254740991"));
    stats_add(stats, 0, text_of("delivery"), text_of("9007199254740992"));
    stats_add(stats, 0, text_of("bounce|x"), text_of("9007199254740991"));
    assert_int_equal(stats_total(stats, EVENT_DELIVERY), STATS_COUNT_MAX);
    assert_int_equal(stats_finals(stats), STATS_COUNT_MAX);
    assert_int_equal(stats_skipped(stats), 1);
    stats_free(stats);
}

static void stats_add_takes_no_more_kinds_than_a_table_holds(void **state)
{
    struct stats *stats = stats_new(last_hours(1));

    (void)state;
    for (int i = 0; i < STATS_ROWS_MAX + 10; i++) {
        char field[32];

        (void)snprintf(field, sizeof field, "bounce|%d", i);
        stats_add(stats, 0, text_of(field), text_of("1"));
    }
    assert_int_equal(stats_rows(stats), STATS_ROWS_MAX);
    assert_int_equal(stats_skipped(stats), 10);
    stats_free(stats);
}

static void stats_read_ends_with_an_error_when_redis_is_away(void **state)
{
    struct world *world = *state;
    struct stats *stats = stats_new(last_hours(HOURS));
    struct stats_source source = source_of(world);
    struct error error = {""};

    source.deadline_ms = clock_monotonic_ms() + DEADLINE;
    world_operate(world, "CLIENT PAUSE 1000 ALL");
    assert_false(stats_read(stats, &source, &error));
    assert_string_not_equal(error.text, "");
    assert_false(redis_link_is_open(world->redis_cli));
    stats_free(stats);
    assert_true(
        redis_link_open(world->redis_cli, clock_monotonic_ms() + SOON, &error));
}

/* --- domains ------------------------------------------------------------ */

static void read_domains(struct world *world, size_t limit,
                         struct stats_domains *domains)
{
    const struct stats_source source = source_of(world);
    struct error error = {""};

    assert_true(
        stats_domains_read(domains, last_hours(HOURS), limit, &source, &error));
    assert_string_equal(error.text, "");
}

/* HSET of a field in a key of the domain's bucket: "hour:2026112200". */
static void put_domain(struct world *world, const char *name, const char *key,
                       const char *field, const char *value)
{
    char command[600];

    (void)snprintf(command, sizeof command, "HSET nixie:{%02u}:%s %s %s",
                   store_bucket(name, strlen(name)), key, field, value);
    world_operate(world, command);
}

static void stats_domains_read_puts_those_down_first(void **state)
{
    struct world *world = *state;
    struct stats_domains domains;
    char command[100];

    put_domain(world, "a.example", "hour:2026112200", "a.example|mailbox_full",
               "3");
    put_domain(world, "b.example", "hour:2026112200", "b.example|mailbox_full",
               "5");
    put_domain(world, "b.example", "hour:2026112122", "b.example|user_unknown",
               "6");
    put_domain(world, "b.example", "hour:2026112122", "b.example|deliveries",
               "90");
    put_domain(world, "good.example", "hour:2026112122",
               "good.example|deliveries", "900");
    put_domain(world, "good.example", "hour:2026112122", "|deliveries", "990");
    put_domain(world, "c.example", "down", "c.example",
               "2026-11-21T20:00:00.000000Z");
    put_domain(world, "c.example", "domain:c.example", "down_reason",
               "unreachable");
    put_domain(world, "c.example", "domain:c.example", "consecutive_failures",
               "12");
    (void)snprintf(command, sizeof command,
                   "ZADD nixie:{%02u}:waiting:c.example 1 q",
                   store_bucket("c.example", 9));
    world_operate(world, command);
    read_domains(world, 10, &domains);
    assert_int_equal(domains.count, 3);
    assert_int_equal(domains.known, 3);
    assert_int_equal(domains.skipped, 0);
    assert_string_equal(domains.rows[0].name, "c.example");
    assert_true(domains.rows[0].down);
    assert_string_equal(domains.rows[0].down_since,
                        "2026-11-21T20:00:00.000000Z");
    assert_string_equal(domains.rows[0].down_reason, "unreachable");
    assert_int_equal(domains.rows[0].consecutive_failures, 12);
    assert_int_equal(domains.rows[0].waiting, 1);
    assert_string_equal(domains.rows[1].name, "b.example");
    assert_int_equal(domains.rows[1].failures, 11);
    assert_int_equal(domains.rows[1].deliveries, 90);
    assert_int_equal(domains.rows[1].worst, REASON_USER_UNKNOWN);
    assert_string_equal(domains.rows[2].name, "a.example");
    stats_domains_clear(&domains);
}

static void stats_domains_read_keeps_the_worst_of_many(void **state)
{
    struct world *world = *state;
    struct stats_domains domains;

    for (int i = 1; i <= 40; i++) {
        char name[32];
        char field[64];
        char count[32];

        (void)snprintf(name, sizeof name, "d%d.example", i);
        (void)snprintf(field, sizeof field, "%s|user_unknown", name);
        (void)snprintf(count, sizeof count, "%d", i * 7 % 41);
        put_domain(world, name, "hour:2026112200", field, count);
    }
    read_domains(world, 5, &domains);
    assert_int_equal(domains.count, 5);
    assert_int_equal(domains.known, 40);
    for (size_t i = 0; i < domains.count; i++) {
        assert_int_equal(domains.rows[i].failures, 40 - i);
    }
    stats_domains_clear(&domains);
}

static void stats_domains_read_passes_over_strangers(void **state)
{
    struct world *world = *state;
    struct stats_domains domains;
    char command[160];

    world_operate(world, "HSET nixie:{00}:hour:2026112200 mailbox_full 9 "
                         "x.example|no_reason 1 y.example|mailbox_full x "
                         "|mailbox_full 1 <b>|mailbox_full 2");
    world_operate(world, "SET nixie:{01}:hour:2026112200 mine");
    world_operate(world, "SET nixie:{01}:down mine");
    (void)snprintf(command, sizeof command,
                   "MSET nixie:{%02u}:domain:<b> mine "
                   "nixie:{%02u}:waiting:<b> mine",
                   store_bucket("<b>", 3), store_bucket("<b>", 3));
    world_operate(world, command);
    read_domains(world, 5, &domains);
    assert_int_equal(domains.count, 1);
    assert_string_equal(domains.rows[0].name, "<b>");
    assert_int_equal(domains.skipped, 5);
    stats_domains_clear(&domains);
}

#define WITH_EMPTY(test) cmocka_unit_test_setup(test, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stats_hours_are_those_of_the_keys),
        cmocka_unit_test(stats_new_refuses_a_span_without_end),
        WITH_EMPTY(stats_read_adds_up_all_buckets_of_each_hour),
        WITH_EMPTY(stats_read_counts_nothing_in_an_empty_redis),
        WITH_EMPTY(stats_read_passes_over_what_nixie_did_not_write),
        cmocka_unit_test(stats_add_keeps_any_bytes_of_a_reason),
        cmocka_unit_test(stats_add_ends_at_what_a_number_holds),
        cmocka_unit_test(stats_add_takes_no_more_kinds_than_a_table_holds),
        WITH_EMPTY(stats_read_ends_with_an_error_when_redis_is_away),
        WITH_EMPTY(stats_domains_read_puts_those_down_first),
        WITH_EMPTY(stats_domains_read_keeps_the_worst_of_many),
        WITH_EMPTY(stats_domains_read_passes_over_strangers),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests_name("stats", tests, world_start, world_stop);
}
