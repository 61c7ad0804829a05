#include "command_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SKIP_TEST 77

/* As the table of nixie has it. */
static const struct command unclassified = {
    .name = "unclassified",
    .arguments = "",
    .run = command_unclassified,
    .options = {{"limit", 'n', "N", ""}, {"clear", 0, NULL, ""}},
};

static enum command_status run(const struct world *world, bool json,
                               const char *limit, bool clear,
                               char output[COMMAND_OUTPUT_MAX])
{
    const struct command_run call = {.command = &unclassified,
                                     .json = json,
                                     .values = {limit, clear ? "" : NULL}};

    return command_world_run(world, &call, output);
}

static void put_some(struct world *world)
{
    static const char *const odd[] = {"HSET", "nixie:unclassified:example",
                                      "no", "550 \x1b[31mNo\n"};

    world_operate(world, "ZADD nixie:unclassified 3 no 12 later 7.9 \xff");
    world_operate_bytes(world, 4, odd, NULL);
    world_operate(world, "HSET nixie:unclassified:example later 450-later");
}

static void command_unclassified_lists_the_most_frequent_first(void **state)
{
    static const char all[] = "      12  later\n          450-later\n"
                              "       7  \\xff\n          (no example)\n"
                              "       3  no\n          550 \\x1b[31mNo\\x0a\n";
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];

    assert_int_equal(run(world, false, NULL, false, output), COMMAND_OK);
    assert_string_equal(output, "");
    put_some(world);
    assert_int_equal(run(world, false, NULL, false, output), COMMAND_OK);
    assert_string_equal(output, all);
    assert_int_equal(run(world, false, "1", false, output), COMMAND_OK);
    assert_string_equal(output, "      12  later\n          450-later\n");
}

static void command_unclassified_prints_json_for_programs(void **state)
{
    static const char all[] =
        "{\"count\":12,\"text\":\"later\",\"example\":\"450-later\"}\n"
        "{\"count\":7,\"text\":\"\\uFFFD\",\"text_base64\":\"/w==\"}\n"
        "{\"count\":3,\"text\":\"no\",\"example\":\"550 \\u001B[31mNo\\n\"}\n";
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];

    put_some(world);
    assert_int_equal(run(world, true, NULL, false, output), COMMAND_OK);
    assert_string_equal(output, all);
}

static void command_unclassified_asks_examples_of_many_texts(void **state)
{
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];
    char words[128];
    size_t lines = 0;

    for (int i = 1; i <= 70; i++) {
        (void)snprintf(words, sizeof words,
                       "HSET nixie:unclassified:example t%d e%d", i, i);
        world_operate(world, words);
        (void)snprintf(words, sizeof words, "ZADD nixie:unclassified %d t%d", i,
                       i);
        world_operate(world, words);
    }
    assert_int_equal(run(world, false, "70", false, output), COMMAND_OK);
    for (const char *rest = output; (rest = strchr(rest, '\n')) != NULL;
         rest++) {
        lines++;
    }
    assert_int_equal(lines, 2 * 70);
    assert_non_null(strstr(output, "      70  t70\n          e70\n"));
    assert_non_null(strstr(output, "       1  t1\n          e1\n"));
}

static void command_unclassified_clears_both_keys(void **state)
{
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];

    put_some(world);
    assert_int_equal(run(world, false, NULL, true, output), COMMAND_OK);
    assert_string_equal(output, "removed 3 texts\n");
    assert_int_equal(run(world, true, NULL, true, output), COMMAND_OK);
    assert_string_equal(output, "{\"removed\":0}\n");
    /* an example that stayed would be told again */
    world_operate(world, "ZADD nixie:unclassified 1 no");
    assert_int_equal(run(world, false, NULL, false, output), COMMAND_OK);
    assert_string_equal(output, "       1  no\n          (no example)\n");
}

static void command_unclassified_complains_of_what_it_cannot_do(void **state)
{
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];

    put_some(world);
    assert_int_equal(run(world, false, "0", false, output), COMMAND_FAULT);
    assert_int_equal(run(world, false, "1x", false, output), COMMAND_FAULT);
    assert_int_equal(run(world, false, "", false, output), COMMAND_FAULT);
    assert_int_equal(run(world, false, "5", true, output), COMMAND_FAULT);
    world_operate(world, "SET nixie:unclassified:example mine");
    assert_int_equal(run(world, false, NULL, false, output), COMMAND_FAULT);
    world_operate(world, "SET nixie:unclassified mine");
    assert_int_equal(run(world, false, NULL, false, output), COMMAND_FAULT);
    assert_int_equal(run(world, false, NULL, true, output), COMMAND_FAULT);
    redis_server_kill(world->server);
    assert_int_equal(run(world, false, NULL, false, output), COMMAND_FAULT);
    assert_string_equal(output, "");
    assert_true(redis_server_restart(world->server));
}

#define WITH_EMPTY(test) cmocka_unit_test_setup(test, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EMPTY(command_unclassified_lists_the_most_frequent_first),
        WITH_EMPTY(command_unclassified_prints_json_for_programs),
        WITH_EMPTY(command_unclassified_asks_examples_of_many_texts),
        WITH_EMPTY(command_unclassified_clears_both_keys),
        WITH_EMPTY(command_unclassified_complains_of_what_it_cannot_do),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests_name("command_unclassified", tests,
                                       world_start, world_stop);
}
