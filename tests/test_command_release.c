#include "command_world.h"
#include "control.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SKIP_TEST 77
#define MANY      1200 /* more than two connections carry */

/* As the table of nixie has it. */
static const struct command release = {
    .name = "suppress release",
    .arguments = "",
    .list = STORE_SUPPRESS,
    .run = command_release,
    .options = {{"since", 's', "WHEN", ""},
                {"until", 'u', "WHEN", ""},
                {"reason", 'r', "REASON", ""},
                {"domain", 'd', "DOMAIN", ""},
                {"origin", 0, "ORIGIN", ""},
                {"dry-run", 0, NULL, ""}},
};
enum given { SINCE, UNTIL, REASON, DOMAIN, ORIGIN, DRY_RUN };

/* A nixied that notes what it is asked for. */
struct daemon {
    struct control *control;
    char folder[32];
    size_t events;
    size_t refused; /* this one, counted from 1 */
    bool applied;
    char last[64]; /* "pattern scope" */
};

static bool note_removal(void *context, struct event *event,
                         struct control_answer *answer, struct error *error)
{
    struct daemon *daemon = context;
    char pattern[32];
    char scope[16];

    assert_int_equal(event->type, EVENT_SUPPRESSION_REMOVED);
    (void)text_copy(event->suppression_pattern, pattern, sizeof pattern);
    (void)text_copy(event->scope, scope, sizeof scope);
    (void)snprintf(daemon->last, sizeof daemon->last, "%s %s", pattern, scope);
    daemon->events++;
    if (daemon->events == daemon->refused) {
        error_set(error, "the disk is full");
        return false;
    }
    *answer = (struct control_answer){(int64_t)daemon->events, daemon->applied};
    return true;
}

static void start_daemon(struct daemon *daemon)
{
    const struct control_options options = {
        .state_dir = daemon->folder, .handle = note_removal, .context = daemon};
    struct error error = {""};

    scratch_make(daemon->folder);
    daemon->control = control_start(&options, &error);
    assert_string_equal(error.text, "");
}

static void stop_daemon(struct daemon *daemon)
{
    control_stop(daemon->control);
    assert_int_equal(rmdir(daemon->folder), 0);
}

static void put_entries(struct world *world)
{
    static const char *const commands[] = {
        "HSET nixie:suppress:a@x.example origin policy reason user_unknown "
        "added_at 2026-11-20T10:00:00.000000Z",
        "HSET nixie:suppress:b@x.example origin policy reason user_unknown "
        "added_at 2026-11-20T11:00:00.000000Z",
        "HSET nixie:suppress:c@y.example origin policy reason mailbox_full "
        "added_at 2026-11-20T12:00:00.000000Z",
        "HSET nixie:suppress@news:d@y.example origin policy reason complaint "
        "added_at 2026-11-20T13:00:00.000000Z",
        "HSET nixie:suppress:@z.example origin command reason by_hand "
        "added_at 2026-11-20T11:00:00.000000Z",
        /* none of these is known to be of that time */
        "HSET nixie:suppress:e@x.example origin policy reason user_unknown",
        "HSET nixie:suppress:f@x.example origin policy added_at yesterday",
        "HSET nixie:suppress:g@x.example added_at "
        "2026-11-20T11:00:00.000000Z",
        "SET nixie:suppress:h@x.example policy",
        "HSET nixie:suppress:I@X.example origin policy reason user_unknown "
        "added_at 2026-11-20T11:00:00.000000Z", /* no normal form */
        "HSET nixie:allow:j@x.example origin policy added_at "
        "2026-11-20T11:00:00.000000Z",
    };

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        world_operate(world, commands[i]);
    }
}

static json_int_t number_in(const char *output, const char *name)
{
    json_t *root = json_loads(output, 0, NULL);
    const json_t *value = json_object_get(root, name);
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;

    json_decref(root);
    return number;
}

static void release_finds_what_was_added_within(void **state)
{
    static const struct row {
        const char *values[COMMAND_OPTIONS_MAX];
        int expected; /* -1: it is refused */
    } rows[] = {
        {{[SINCE] = "2026-11-20"}, 4},
        {{[SINCE] = "2026-11-20T10:00:00Z"}, 4},
        {{[SINCE] = "2026-11-20T10:00:01Z"}, 3},
        {{[SINCE] = "2026-11-20", [UNTIL] = "2026-11-20T12:00:00Z"}, 3},
        {{[SINCE] = "2026-11-20", [UNTIL] = "2026-11-20T11:59:59Z"}, 2},
        {{[SINCE] = "2026-11-20T12:00:00+01:00",
          [UNTIL] = "2026-11-20T12:00:00+01:00"},
         1},
        {{[SINCE] = "2026-11-20", [REASON] = "user_unknown"}, 2},
        {{[SINCE] = "2026-11-20", [REASON] = "user_unknow"}, 0},
        {{[SINCE] = "2026-11-20", [DOMAIN] = "Y.Example."}, 2},
        {{[SINCE] = "2026-11-20", [DOMAIN] = "example"}, 0},
        {{[SINCE] = "2026-11-20", [DOMAIN] = "y.example", [REASON] = ""}, 0},
        {{[SINCE] = "2026-11-20", [ORIGIN] = "command"}, 1},
        {{[SINCE] = "2026-11-20", [ORIGIN] = "command", [DOMAIN] = "z.example"},
         1},
        {{[SINCE] = "0s"}, 0},
        {{[SINCE] = "36500d"}, 4},
        {{[UNTIL] = "2026-11-20"}, -1},
        {{[SINCE] = "yesterday"}, -1},
        {{[SINCE] = "2026-11-20", [UNTIL] = "2026-11-19"}, -1},
        {{[SINCE] = "2999-01-01"}, -1},
        {{[SINCE] = "2026-11-20", [DOMAIN] = "a b"}, -1},
    };
    struct world *world = *state;

    put_entries(world);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct command_run run = {.command = &release, .json = true};
        char output[COMMAND_OUTPUT_MAX];
        enum command_status status;

        memcpy(run.values, rows[i].values, sizeof run.values);
        run.values[DRY_RUN] = "";
        status = command_world_run(world, &run, output);
        assert_int_equal(status, rows[i].expected < 0    ? COMMAND_FAULT
                                 : rows[i].expected == 0 ? COMMAND_NO
                                                         : COMMAND_OK);
        if (rows[i].expected >= 0) {
            assert_int_equal(number_in(output, "matched"), rows[i].expected);
            assert_int_equal(number_in(output, "removed"), 0);
            assert_int_equal(number_in(output, "looked_at"), 10);
        }
    }
}

static void release_shows_before_it_does(void **state)
{
    static const struct command_run run = {
        .command = &release,
        .values = {[SINCE] = "2026-11-20",
                   [UNTIL] = "2026-11-20T11:00:00Z",
                   [DRY_RUN] = ""}};
    static const char head[] = "2 of 10 entries match:\n"
                               "       2  user_unknown  x.example\n";
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];

    put_entries(world);
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_memory_equal(output, head, sizeof head - 1);
    assert_non_null(
        strstr(output, "\na@x.example  user_unknown  2026-11-20T10:00:00Z\n"));
    assert_non_null(
        strstr(output, "\nb@x.example  user_unknown  2026-11-20T11:00:00Z\n"));
}

static void put_many(struct world *world)
{
    for (int i = 0; i < MANY; i++) {
        char words[160];

        (void)snprintf(words, sizeof words,
                       "HSET nixie:suppress:u%d@x.example origin policy reason "
                       "user_unknown added_at 2026-11-20T10:00:00.000000Z",
                       i);
        world_operate(world, words);
    }
}

static void release_asks_nixied_for_each(void **state)
{
    static const struct row {
        size_t refused;
        bool applied;
        enum command_status status;
        int removed, logged;
    } rows[] = {
        {0, true, COMMAND_OK, MANY, 0},
        {0, false, COMMAND_OK, 0, MANY},
        {1, true, COMMAND_FAULT, 0, 0},
        {700, true, COMMAND_FAULT, 699, 0},
    };
    struct world *world = *state;

    put_many(world);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct daemon daemon = {.refused = rows[i].refused,
                                .applied = rows[i].applied};
        struct command_run run = {.command = &release,
                                  .json = true,
                                  .values = {[SINCE] = "2026-11-20"}};
        char output[COMMAND_OUTPUT_MAX];

        start_daemon(&daemon);
        run.state_dir = daemon.folder;
        assert_int_equal(command_world_run(world, &run, output),
                         rows[i].status);
        assert_int_equal(daemon.events,
                         rows[i].refused > 0 ? rows[i].refused : MANY);
        assert_int_equal(number_in(output, "matched"), MANY);
        assert_int_equal(number_in(output, "removed"), rows[i].removed);
        assert_int_equal(number_in(output, "logged"), rows[i].logged);
        stop_daemon(&daemon);
    }
}

static void release_names_pattern_and_scope(void **state)
{
    struct world *world = *state;
    struct daemon daemon = {.applied = true};
    struct command_run run = {.command = &release,
                              .values = {[SINCE] = "2026-11-20T13:00:00Z",
                                         [UNTIL] = "2026-11-20T14:00:00Z"}};
    char output[COMMAND_OUTPUT_MAX];

    put_entries(world);
    start_daemon(&daemon);
    run.state_dir = daemon.folder;
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_string_equal(daemon.last, "d@y.example news");
    assert_string_equal(output, "       1  complaint  y.example\n"
                                "removed 1 of 1 entries\n");
    stop_daemon(&daemon);
}

static void release_deletes_where_no_nixied_is(void **state)
{
    static const struct command_run run = {.command = &release,
                                           .values = {[SINCE] = "2026-11-20"}};
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];

    put_entries(world);
    put_many(world);
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_non_null(strstr(output, "\nremoved 1204 of 1204 entries\n"));
    assert_int_equal(command_world_run(world, &run, output), COMMAND_NO);
    assert_string_equal(output, "no entry matches\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(release_finds_what_was_added_within,
                               world_empty),
        cmocka_unit_test_setup(release_shows_before_it_does, world_empty),
        cmocka_unit_test_setup(release_asks_nixied_for_each, world_empty),
        cmocka_unit_test_setup(release_names_pattern_and_scope, world_empty),
        cmocka_unit_test_setup(release_deletes_where_no_nixied_is, world_empty),
    };

    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, world_start, world_stop);
}
