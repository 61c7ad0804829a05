#include "check_shown.h"
#include "command_check_redis.h"
#include "lists_world.h"
#include "settings_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct check_redis *facts_now; /* of the row that is judged */

static void judge(struct check *check, struct settings *settings,
                  const char *path)
{
    (void)settings;
    (void)path;
    command_check_redis_facts(check, facts_now);
}

static void command_check_redis_says_what_the_facts_mean(void **state)
{
    static const struct row {
        const char *info;
        struct check_redis facts;
        bool well;
        const char *told; /* "!": is not told; "": nothing is */
    } rows[] = {
        {"", {.elsewhere = -1}, true, ""},
        {"maxmemory:0\r\nused_memory:99999999999\r\n",
         {.elsewhere = -1},
         true,
         ""},
        {"maxmemory:104857600\r\nused_memory:52428800\r\n",
         {.elsewhere = -1},
         true,
         ""},
        {"used_memory:99614720\r\nused_memory_rss:5\r\nmaxmemory:104857600\r\n",
         {.elsewhere = -1},
         true,
         "warn  redis memory: 95 of maxmemory's 100 MiB are in use"},
        {"used_memory:104857600\r\nmaxmemory:104857600\r\n",
         {.elsewhere = -1},
         false,
         "CONFIG SET maxmemory 201mb"},
        {"connected_clients:98\r\nmaxclients:100\r\n",
         {.elsewhere = -1},
         true,
         "CONFIG SET maxclients 200"},
        {"connected_clients:9500\r\nmaxclients:10000\r\n",
         {.elsewhere = -1},
         true,
         ""},
        {"rdb_last_bgsave_status:err\r\n",
         {.elsewhere = -1},
         false,
         "redis-cli BGSAVE"},
        {"rdb_last_bgsave_status:ok\r\n", {.elsewhere = -1}, true, ""},
        {"aof_last_write_status:err\n",
         {.elsewhere = -1},
         false,
         "make room on its disk"},
        {"aof_last_bgrewrite_status:err\n",
         {.elsewhere = -1},
         false,
         "redis-cli BGREWRITEAOF"},
        {"",
         {.elsewhere = -1, .clock_known = true, .ahead_ms = 4999},
         true,
         "ok    redis clock"},
        {"",
         {.elsewhere = -1, .clock_known = true, .ahead_ms = 61000},
         true,
         "is 61 s ahead of this host's, so that entries end too early: "
         "timedatectl"},
        {"",
         {.elsewhere = -1, .clock_known = true, .ahead_ms = -7500},
         true,
         "is 7 s behind this host's, so that entries end too late"},
        {"",
         {.elsewhere = -1, .timeout_s = 300},
         true,
         "note  redis: timeout 300 ends idle connections"},
        {"",
         {.database = 3, .elsewhere = 0, .example = "nixie:suppress:a@b"},
         true,
         "database 0 has nixie:suppress:a@b, but nixied looks into database "
         "3: use redis-cli -n 3"},
    };
    static const struct check_part part = {judge, NULL};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings *settings = settings_in("/tmp", "");
        struct check_redis facts = rows[i].facts;
        char output[CHECK_SHOWN_SIZE];

        facts.info = text_of(rows[i].info);
        facts_now = &facts;
        if (check_shown(&part, settings, output) != rows[i].well ||
            (rows[i].told[0] == '\0' ? output[0] != '\0'
                                     : strstr(output, rows[i].told) == NULL)) {
            fail_msg("row %zu: %s", i, output);
        }
        settings_free(settings);
    }
}

/* --- a real one ----------------------------------------------------------- */

static void store(struct check *check, struct settings *settings,
                  const char *path)
{
    (void)settings;
    (void)path;
    command_check_store(check);
}

/* What is told of it with these settings, "%s" being where it is. */
static void see(struct world *world, const char *format,
                char output[CHECK_SHOWN_SIZE])
{
    static const struct check_part part = {store, NULL};
    char text[512];
    struct settings *settings;

    (void)snprintf(text, sizeof text,
                   "user = \"root-is-no-matter\"\nredis = \"%.200s%s\"\n",
                   redis_server_location(world->server), format);
    settings = settings_in("/tmp", text);
    (void)check_shown(&part, settings, output);
    settings_free(settings);
}

static void command_check_store_finds_entries_of_another_database(void **state)
{
    struct world *world = *state;
    char output[CHECK_SHOWN_SIZE];

    world_operate(world, "SET nixie:suppress:ann@example.org x");
    see(world, "", output);
    assert_null(strstr(output, "redis database"));
    see(world, "?db=3", output);
    assert_non_null(strstr(output, "database 0 has "
                                   "nixie:suppress:ann@example.org, but nixied "
                                   "looks into database 3"));
    world_operate(world, "MOVE nixie:suppress:ann@example.org 3");
    see(world, "?db=3", output);
    assert_null(strstr(output, "redis database"));
    world_operate(world, "FLUSHALL");
}

static void command_check_store_finds_what_redis_is_set_to(void **state)
{
    static const struct row {
        const char *wrong, *told, *right;
    } rows[] = {
        {"CONFIG SET timeout 60", "note  redis: timeout 60",
         "CONFIG SET timeout 0"},
        {"CONFIG SET maxmemory 1mb",
         "its memory is full: CONFIG SET maxmemory to more",
         "CONFIG SET maxmemory 0"},
        {"CONFIG SET maxmemory-policy allkeys-lru",
         "CONFIG SET maxmemory-policy noeviction",
         "CONFIG SET maxmemory-policy noeviction"},
        {"CONFIG SET maxmemory-policy volatile-ttl",
         "maxmemory-policy volatile-ttl drops entries that have an expiry",
         "CONFIG SET maxmemory-policy noeviction"},
        {"SET nixie:suppress@news:ann@example.org x",
         "write scope \"news\" { ... } into nixie.conf",
         "DEL nixie:suppress@news:ann@example.org"},
        {"SET nixie:suppress:Ann@example.org x",
         "write nixie:suppress:ann@example.org",
         "DEL nixie:suppress:Ann@example.org"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char output[CHECK_SHOWN_SIZE];

        world_operate(world, rows[i].wrong);
        see(world, "", output);
        if (strstr(output, rows[i].told) == NULL) {
            fail_msg("%s: %s", rows[i].wrong, output);
        }
        world_operate(world, rows[i].right);
        see(world, "", output);
        if (strstr(output, rows[i].told) != NULL) {
            fail_msg("%s: %s", rows[i].right, output);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_check_redis_says_what_the_facts_mean),
        cmocka_unit_test_setup(
            command_check_store_finds_entries_of_another_database, world_empty),
        cmocka_unit_test_setup(command_check_store_finds_what_redis_is_set_to,
                               world_empty),
    };

    if (!redis_server_installed()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, world_start, world_stop);
}
