#include "command_stats.h"
#include "command_table.h"
#include "command_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SKIP_TEST 77
#define NOW_US    INT64_C(1795305660000000) /* 2026-11-22T00:01:00Z */

static enum command_status run_at_now(const struct command_call *call)
{
    return command_stats_at(call, NOW_US);
}

/* As the table of nixie has it. */
static const struct command stats = {
    .name = "stats",
    .arguments = "",
    .run = run_at_now,
    .options = {{"by", 'b', "WHAT", ""},
                {"hours", 'n', "N", ""},
                {"since", 's', "WHEN", ""},
                {"until", 'u', "WHEN", ""}},
};
enum { BY, HOURS, SINCE, UNTIL };

static void put_some(struct world *world)
{
    world_operate(world,
                  "HSET nixie:{00}:stats:2026112200 delivery 90 delay|"
                  "greylisted 4 bounce|user_unknown 5 suppressed|listed 3");
    world_operate(world,
                  "HSET nixie:{07}:stats:2026112122 expiration|expired 2 "
                  "rejection|user_unknown 8");
    world_operate(world, "HSET nixie:{07}:stats:2026111022 delivery 1000");
}

static bool has_line(const char *output, const char *line)
{
    const char *found = strstr(output, line);

    return found != NULL && (found == output || found[-1] == '\n') &&
           found[strlen(line)] == '\n';
}

#define assert_line(output, line)                                              \
    do {                                                                       \
        if (!has_line(output, line)) {                                         \
            fail_msg("no line \"%s\" in:\n%s", line, output);                  \
        }                                                                      \
    } while (0)

static void command_stats_tells_types_and_their_shares(void **state)
{
    struct world *world = *state;
    const struct command_run run = {.command = &stats};
    char output[COMMAND_OUTPUT_MAX];

    put_some(world);
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_line(output, "2026-11-21 01:00 to 2026-11-22 01:00 UTC, 24 hours");
    assert_line(output, "delivery                              90      90.0 %");
    assert_line(output, "bounce                                 5       5.0 %");
    assert_line(output, "delay                                  4       4.0 %");
    assert_line(output, "rejection                              8");
    assert_line(output, "outcomes                             100");
}

/* Without a terminal lines have 80 columns. */
static void assert_fits(const char *output)
{
    for (const char *line = output; *line != '\0';) {
        size_t length = strcspn(line, "\n");

        assert_true(length <= 80);
        line += length + (line[length] == '\n' ? 1 : 0);
    }
}

static void command_table_leaves_out_what_says_least(void **state)
{
    static const struct row {
        int width;
        bool is_narrow;
        const char *left_out;
    } rows[] = {{60, false, "..."}, {46, false, "..."}, {45, true, "..."},
                {31, true, "..."},  {24, true, ".x."},  {20, true, ".xx"},
                {1, true, ".xx"}}; /* the first always stays */

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct command_column columns[] = {{.title = "one", .narrow = "one"},
                                           {.title = "two", .narrow = "second"},
                                           {.title = "three", .narrow = "thr"}};
        struct command_table table = {10, columns, 3, false};

        command_table_add(&table, 0, 12345);
        command_table_add(&table, 2, 1234567);
        command_table_fit(&table, rows[i].width);
        assert_int_equal(table.is_narrow, rows[i].is_narrow);
        for (size_t j = 0; j < 3; j++) {
            assert_int_equal(columns[j].left_out, rows[i].left_out[j] == 'x');
        }
    }
}

static void command_stats_tells_each_hour(void **state)
{
    struct world *world = *state;
    const struct command_run run = {.command = &stats,
                                    .values = {[BY] = "hour", [HOURS] = "3"}};
    char output[COMMAND_OUTPUT_MAX];

    put_some(world);
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_fits(output);
    assert_non_null(strstr(output, "2026-11-21 22:00Z      0 "));
    assert_non_null(strstr(output, "2026-11-21 23:00Z      0 "));
    assert_non_null(strstr(output, "2026-11-22 00:00Z     90 "));
    assert_non_null(strstr(output, "total                 90 "));
    assert_null(strstr(output, "21:00Z"));
}

static void command_stats_tells_reasons_and_escapes_them(void **state)
{
    struct world *world = *state;
    const struct command_run run = {.command = &stats,
                                    .values = {[BY] = "reason"}};
    char output[COMMAND_OUTPUT_MAX];

    put_some(world);
    command_world_put(world, "HSET", "nixie:{00}:stats:2026112123",
                      "bounce|\x1b[31mred", "1");
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_fits(output);
    assert_non_null(strstr(output, "user_unknown  13"));
    assert_non_null(strstr(output, "greylisted     4"));
    assert_non_null(strstr(output, "\\x1b[31mred"));
    assert_null(strchr(output, '\x1b'));
}

static void command_stats_prints_json_for_programs(void **state)
{
    struct world *world = *state;
    struct command_run run = {.command = &stats, .json = true};
    char output[COMMAND_OUTPUT_MAX];

    put_some(world);
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_line(output,
                "{\"type\":\"delivery\",\"count\":90,\"percent\":90.0}");
    assert_line(output, "{\"from\":\"2026-11-21T01:00:00Z\",\"until\":"
                        "\"2026-11-22T01:00:00Z\",\"hours\":24,\"outcomes\":"
                        "100,\"skipped\":0}");
    run.values[BY] = "hour";
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_line(output, "{\"hour\":\"2026-11-21T23:00:00Z\"}");
    assert_line(output, "{\"hour\":\"2026-11-21T22:00:00Z\",\"rejection\":8,"
                        "\"expiration\":2}");
    run.values[BY] = "reason";
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_line(output, "{\"reason\":\"user_unknown\",\"count\":13,"
                        "\"rejection\":8,\"bounce\":5}");
}

static void command_stats_tells_the_worst_domains(void **state)
{
    struct world *world = *state;
    struct command_run run = {.command = &stats, .values = {[BY] = "domain"}};
    char output[COMMAND_OUTPUT_MAX];

    command_world_put(world, "HSET",
                      command_world_key(STORE_HOUR, "a.example", "2026112200"),
                      "a.example|mailbox_full", "3");
    command_world_put(world, "HSET",
                      command_world_key(STORE_HOUR, "a.example", "2026112200"),
                      "a.example|deliveries", "1");
    command_world_put(world, "HSET",
                      command_world_key(STORE_DOWN, "b.example", NULL),
                      "b.example", "2026-11-21T20:00:00.000000Z");
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_fits(output);
    assert_non_null(
        strstr(output, "\na.example           3           1      75.0 %"));
    assert_non_null(strstr(output, "2026-11-21T20:00:00Z"));
    assert_non_null(strstr(output, "2 of 2 domains"));
    run.json = true;
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_non_null(
        strstr(output, "{\"domain\":\"b.example\",\"failures\":0,"));
    assert_non_null(strstr(output, "\"domains\":2,\"skipped\":0}"));
}

static void command_stats_takes_hours_that_begin_in_a_window(void **state)
{
    static const struct {
        const char *since, *until, *from, *to;
    } rows[] = {
        {"2h", NULL, "2026-11-21T22:00:00Z", "2026-11-22T01:00:00Z"},
        {"2026-11-20", "2026-11-21", "2026-11-20T00:00:00Z",
         "2026-11-21T00:00:00Z"},
        {"2026-11-20T03:30:00Z", "2026-11-20T04:30:00Z", "2026-11-20T03:00:00Z",
         "2026-11-20T05:00:00Z"},
        {NULL, "2026-11-21", "2026-11-20T01:00:00Z", "2026-11-21T00:00:00Z"},
        {"0", NULL, "2026-11-22T00:00:00Z", "2026-11-22T01:00:00Z"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct command_run run = {
            .command = &stats,
            .json = true,
            .values = {[SINCE] = rows[i].since, [UNTIL] = rows[i].until}};
        char output[COMMAND_OUTPUT_MAX];
        char wanted[128];

        (void)snprintf(wanted, sizeof wanted,
                       "{\"from\":\"%s\",\"until\":\"%s\",", rows[i].from,
                       rows[i].to);
        assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
        if (strstr(output, wanted) == NULL) {
            fail_msg("row %zu: no %s in %s", i, wanted, output);
        }
    }
}

static void command_stats_complains_of_what_it_cannot_do(void **state)
{
    static const struct {
        int option;
        const char *value;
    } rows[] = {
        {BY, "weekday"},   {BY, ""},           {HOURS, "0"},
        {HOURS, "-1"},     {HOURS, "1x"},      {HOURS, "999999999"},
        {SINCE, "monday"}, {UNTIL, "2026-13"}, {SINCE, "2027-01-01"},
        {SINCE, "99w"},
    };
    struct world *world = *state;
    struct command_run both = {.command = &stats,
                               .values = {[HOURS] = "2", [SINCE] = "2h"}};
    char output[COMMAND_OUTPUT_MAX];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct command_run run = {.command = &stats};

        run.values[rows[i].option] = rows[i].value;
        assert_int_equal(command_world_run(world, &run, output), COMMAND_FAULT);
        assert_string_equal(output, "");
    }
    assert_int_equal(command_world_run(world, &both, output), COMMAND_FAULT);
    redis_server_kill(world->server);
    both.values[SINCE] = NULL;
    assert_int_equal(command_world_run(world, &both, output), COMMAND_FAULT);
    assert_string_equal(output, "");
    assert_true(redis_server_restart(world->server));
}

#define WITH_EMPTY(test) cmocka_unit_test_setup(test, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EMPTY(command_stats_tells_types_and_their_shares),
        WITH_EMPTY(command_stats_tells_each_hour),
        WITH_EMPTY(command_stats_tells_reasons_and_escapes_them),
        WITH_EMPTY(command_stats_prints_json_for_programs),
        WITH_EMPTY(command_stats_tells_the_worst_domains),
        WITH_EMPTY(command_stats_takes_hours_that_begin_in_a_window),
        WITH_EMPTY(command_stats_complains_of_what_it_cannot_do),
        cmocka_unit_test(command_table_leaves_out_what_says_least),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests_name("command_stats", tests, world_start,
                                       world_stop);
}
