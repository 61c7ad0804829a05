#include "command_health.h"
#include "command_world.h"
#include "control.h"
#include "event_json.h"
#include "scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SKIP_TEST 77
#define DOMAIN    "example.org"
#define NOW_US    INT64_C(1795305600000000) /* 2026-11-22T00:00:00Z */
#define SECOND_US INT64_C(1000000)
#define INSTANCE  "0123456789abcdef"

static enum command_status run_at_now(const struct command_call *call)
{
    return command_health_at(call, NOW_US);
}

static const struct command health = {
    .name = "health",
    .arguments = "[DOMAIN]",
    .run = run_at_now,
};

/* --- the log ----------------------------------------------------------- */

/* A file to be removed, beside it the state folder of a nixied. */
struct place {
    char folder[32];
    char log[48];
    char socket[48];
    struct control *control;
};

static bool log_nothing(void *context, struct event *event,
                        struct control_answer *answer, struct error *error)
{
    (void)context;
    (void)event;
    (void)answer;
    error_set(error, "not in this test");
    return false;
}

static void make_place(struct place *place)
{
    struct error error = {""};
    const struct control_options options = {.state_dir = place->folder,
                                            .handle = log_nothing};

    scratch_make(place->folder);
    (void)snprintf(place->log, sizeof place->log, "%s/events.jsonl",
                   place->folder);
    place->control = control_start(&options, &error);
    assert_string_equal(error.text, "");
}

static void remove_place(struct place *place)
{
    control_stop(place->control);
    (void)unlink(place->log);
    assert_int_equal(rmdir(place->folder), 0);
}

static void append(const struct place *place, const char *text)
{
    FILE *file = fopen(place->log, "ae");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* So many seconds ago. */
static void append_beat(const struct place *place, int64_t age_s,
                        int64_t lag_seconds)
{
    char line[512];
    char at[CLOCK_TIMESTAMP_SIZE];

    clock_format(NOW_US - age_s * SECOND_US, at);
    (void)snprintf(
        line, sizeof line,
        "{\"schema\":\"nixie/1\",\"seq\":7,\"timestamp\":\"%s\","
        "\"event_id\":\"019aa7c2-0000-7000-8000-000000000000\","
        "\"type\":\"heartbeat\",\"node\":\"a\",\"instance\":\"" INSTANCE "\","
        "\"applied_seq\":6,\"lag_seconds\":%lld}\n",
        at, (long long)lag_seconds);
    append(place, line);
}

static void health_beat_read_finds_the_last_whole_one(void **state)
{
    struct place place;
    struct health_beat beat;
    struct error error;

    (void)state;
    make_place(&place);
    assert_false(health_beat_read(place.log, &beat, &error));
    append(&place, "");
    assert_true(health_beat_read(place.log, &beat, &error));
    assert_int_equal(beat.at_us, 0);
    append(&place, "{\"type\":\"heartbeat\"}\n");
    assert_true(health_beat_read(place.log, &beat, &error));
    assert_int_equal(beat.at_us, 0);
    append_beat(&place, 120, 1);
    append_beat(&place, 60, 2);
    for (int i = 0; i < 20000; i++) { /* several blocks */
        append(&place, "{\"diagnostic\":\"\\\"type\\\":\\\"heartbeat\\\"\"}\n");
    }
    append(&place, "x\"type\":\"heartbeat\"\n{\"type\":\"heartbeat\",");
    assert_true(health_beat_read(place.log, &beat, &error));
    assert_int_equal(beat.at_us, NOW_US - 60 * SECOND_US);
    assert_int_equal(beat.applied_seq, 6);
    assert_int_equal(beat.lag_seconds, 2);
    remove_place(&place);
}

static void health_beat_read_finds_the_one_before_a_rotation(void **state)
{
    char renamed[80];
    char line[1400];
    struct place place;
    struct health_beat beat;
    struct error error;

    (void)state;
    make_place(&place);
    (void)snprintf(line, sizeof line,
                   "{\"schema\":\"nixie/1\",\"seq\":1,\"timestamp\":"
                   "\"2026-11-22T00:00:00.000000Z\",\"event_id\":"
                   "\"019aa7c2-0000-7000-8000-000000000000\",\"type\":"
                   "\"log_open\",\"node\":\"a\",\"instance\":\"" INSTANCE
                   "\",\"file_number\":1,\"file_nonce\":"
                   "\"0123456789abcdef0123456789abcdef\",\"version\":\"0\","
                   "\"padding\":\"%01000d\"}\n",
                   0);
    append(&place, line);
    append_beat(&place, 60, 2);
    (void)snprintf(renamed, sizeof renamed, "%s.1", place.log);
    assert_int_equal(rename(place.log, renamed), 0);
    append(&place, "");
    assert_true(health_beat_read(place.log, &beat, &error));
    assert_int_equal(beat.at_us, NOW_US - 60 * SECOND_US);
    assert_int_equal(unlink(renamed), 0);
    remove_place(&place);
}

static void health_beat_read_finds_it_across_every_edge(void **state)
{
    (void)state;
    for (int i = 0; i < 48; i++) { /* an edge within the sign */
        char filling[128];
        struct place place;
        struct health_beat beat;
        struct error error;

        make_place(&place);
        append_beat(&place, 60, i);
        memset(filling, 'x', sizeof filling);
        filling[63] = '\n';
        filling[64] = '\0';
        for (int j = 0; j < 1022; j++) {
            append(&place, filling);
        }
        filling[i] = '\n';
        filling[i + 1] = '\0';
        append(&place, filling);
        assert_true(health_beat_read(place.log, &beat, &error));
        assert_int_equal(beat.lag_seconds, i);
        remove_place(&place);
    }
}

/* --- all --------------------------------------------------------------- */

static void put_breaker(struct world *world, const char *owner,
                        const char *field, const char *value)
{
    command_world_put(world, "HSET",
                      command_world_key(STORE_BREAKER, owner, NULL), field,
                      value);
}

static void put_down(struct world *world, const char *domain)
{
    const char *key = command_world_key(STORE_DOWN, domain, NULL);

    command_world_put(world, "HSET", key, domain,
                      "2026-11-21T22:00:00.000000Z");
    key = command_world_key(STORE_DOMAIN, domain, domain);
    command_world_put(world, "HSET", key, "down_since",
                      "2026-11-21T22:00:00.000000Z");
    command_world_put(world, "HSET", key, "down_reason", "dns_failure");
    key = command_world_key(STORE_WAITING, domain, domain);
    command_world_put(world, "ZADD", key, "1", "Q1 ann@example.org");
    command_world_put(world, "ZADD", key, "2", "Q1 bob@example.org");
}

static void health_finds_nothing_wrong_where_nothing_is(void **state)
{
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];
    char wanted[1024];
    struct place place;
    struct command_run run = {.command = &health};

    make_place(&place);
    append_beat(&place, 30, 2);
    run.state_dir = place.folder;
    run.event_log = place.log;
    command_world_put(
        world, "HSET",
        command_world_key(STORE_STATS, "a@b.example", "2026112123"),
        "bounce|user_unknown", "3");
    command_world_put(
        world, "HSET",
        command_world_key(STORE_STATS, "c@d.example", "2026112200"),
        "bounce|user_unknown", "4");
    command_world_put(
        world, "HSET",
        command_world_key(STORE_STATS, "c@d.example", "2026112200"), "delivery",
        "100");
    command_world_put(
        world, "HSET",
        command_world_key(STORE_STATS, "c@d.example", "2026112122"), "delivery",
        "1000"); /* too long ago */
    put_breaker(world, DOMAIN, DOMAIN "|mailbox_full",
                "2026-11-21T23:59:59.000000Z " INSTANCE); /* over */
    put_breaker(world, DOMAIN, "by hand", "x");
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    (void)snprintf(wanted, sizeof wanted,
                   "ok    redis: %s\n"
                   "ok    nixied: it answers\n"
                   "ok    event log: applied up to 6, lag 2s, heartbeat 30s "
                   "ago\n"
                   "ok    decisions: none is due\n"
                   "ok    breaker: none is open\n"
                   "ok    domain: none is down\n"
                   "ok    last two hours: deliveries 100, bounce user_unknown "
                   "7\n",
                   redis_server_location(world->server));
    assert_string_equal(output, wanted);
    remove_place(&place);
}

/* What makes it fail; all else is well. */
enum fault { LAG, BREAKER, BREAKER_OF_ALL, DOWN, NIXIED_AWAY };

static void health_names_what_is_wrong(void **state)
{
    static const struct row {
        enum fault fault;
        const char *line;
    } rows[] = {
        {LAG, "FAIL  event log: Redis is 1m 1s behind it"},
        {BREAKER, "FAIL  breaker: mailbox_full for example.org until "
                  "2026-11-22T00:00:01Z: "},
        {BREAKER_OF_ALL, "FAIL  breaker: mailbox_full for all domains until "
                         "2026-11-22T00:00:01Z: "},
        {DOWN, "FAIL  domain: example.org takes no mail since "
               "2026-11-21T22:00:00Z: dns_failure, messages waiting: 2; "},
        {NIXIED_AWAY, "FAIL  nixied: does not run on this host"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char output[COMMAND_OUTPUT_MAX];
        struct place place;
        struct command_run run = {.command = &health};

        assert_int_equal(world_empty(state), 0);
        make_place(&place);
        append_beat(&place, 30, rows[i].fault == LAG ? 61 : 60);
        run.state_dir =
            rows[i].fault == NIXIED_AWAY ? "/nonexistent" : place.folder;
        run.event_log = place.log;
        if (rows[i].fault == BREAKER) {
            put_breaker(world, DOMAIN, DOMAIN "|mailbox_full",
                        "2026-11-22T00:00:01.000000Z " INSTANCE);
        } else if (rows[i].fault == BREAKER_OF_ALL) {
            put_breaker(world, "*", "*|mailbox_full",
                        "2026-11-22T00:00:01.000000Z " INSTANCE);
        } else if (rows[i].fault == DOWN) {
            put_down(world, DOMAIN);
        }
        assert_int_equal(command_world_run(world, &run, output), COMMAND_NO);
        assert_non_null(strstr(output, rows[i].line));
        assert_ptr_equal(strstr(output, "FAIL"), strstr(output, rows[i].line));
        run.json = true;
        assert_int_equal(command_world_run(world, &run, output), COMMAND_NO);
        assert_non_null(strstr(output, "\"result\":\"fail\""));
        remove_place(&place);
    }
}

static void health_tells_that_redis_is_away(void **state)
{
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];
    struct place place;
    struct command_run run = {.command = &health};

    make_place(&place);
    append_beat(&place, 30, 0);
    run.state_dir = place.folder;
    run.event_log = place.log;
    redis_server_kill(world->server);
    assert_int_equal(command_world_run(world, &run, output), COMMAND_NO);
    assert_memory_equal(output, "FAIL  redis: ", 13);
    assert_non_null(strstr(output, "ok    nixied: it answers\n"));
    assert_non_null(strstr(output, "warn  event log: applied up to 6 by the "
                                   "heartbeat 30s ago; what comes now waits"));
    assert_null(strstr(output, "breaker"));
    run.argument = DOMAIN;
    assert_int_equal(command_world_run(world, &run, output), COMMAND_FAULT);
    assert_true(redis_server_restart(world->server));
    remove_place(&place);
}

static void health_lists_the_most_awaited_domain_first(void **state)
{
    static const struct command_run run = {.command = &health, .json = true};
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];
    const char *first;
    size_t lines = 0;

    for (int i = 0; i < 130; i++) { /* more than one round trip */
        char domain[32];

        (void)snprintf(domain, sizeof domain, "d%d.example", i);
        put_down(world, domain);
    }
    command_world_put(
        world, "ZADD",
        command_world_key(STORE_WAITING, "d77.example", "d77.example"), "3",
        "Q2 ann@d77.example");
    assert_int_equal(command_world_run(world, &run, output), COMMAND_NO);
    first = strstr(output, "\"check\":\"domain\"");
    assert_non_null(first);
    assert_memory_equal(strstr(first, "\"domain\":\""),
                        "\"domain\":\"d77.example\"", 22);
    for (const char *next = first; next != NULL;
         next = strstr(next + 1, "\"check\":\"domain\"")) {
        lines++;
    }
    assert_int_equal(lines, 130);
}

static void health_of_a_domain_tells_what_is_known(void **state)
{
    static const struct row {
        bool down;
        enum command_status status;
        const char *output;
    } rows[] = {
        {false, COMMAND_OK,
         "domain example.org:\n"
         "  the way there: not down\n"
         "  failures on the way there since the last delivery: 0\n"
         "  last delivery: none known\n"
         "  last failure on the way there: none known\n"
         "  messages waiting: 0\n"
         "  counts: none\n"},
        {true, COMMAND_NO,
         "domain example.org takes no mail:\n"
         "  down since: 2026-11-21T22:00:00.000000Z (dns_failure)\n"
         "  failures on the way there since the last delivery: 12, since "
         "2026-11-21T21:00\n"
         "  last delivery: none known\n"
         "  last failure on the way there: 2026-11-21T23:00 (dns_failure)\n"
         "  messages waiting: 2\n"
         "  counts: delays 3\n"
         "  breaker open: mailbox_full for example.org until "
         "2026-11-22T00:00:01Z\n"},
    };
    static const struct command_run run = {.command = &health,
                                           .argument = "@Example.ORG."};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char output[COMMAND_OUTPUT_MAX];

        if (rows[i].down) {
            const char *key = command_world_key(STORE_DOMAIN, DOMAIN, DOMAIN);

            command_world_put(world, "HSET", key, "consecutive_failures", "12");
            command_world_put(world, "HSET", key, "failing_since",
                              "2026-11-21T21:00");
            command_world_put(world, "HSET", key, "last_failure_at",
                              "2026-11-21T23:00");
            command_world_put(world, "HSET", key, "last_failure_reason",
                              "dns_failure");
            command_world_put(world, "HSET", key, "delays", "3");
            put_down(world, DOMAIN);
            put_breaker(world, DOMAIN, DOMAIN "|mailbox_full",
                        "2026-11-22T00:00:01.000000Z " INSTANCE);
        }
        assert_int_equal(command_world_run(world, &run, output),
                         rows[i].status);
        assert_string_equal(output, rows[i].output);
    }
}

static void health_refuses_what_is_no_domain(void **state)
{
    static const char *const rows[] = {"", "@", "ann@example.org", "a b"};
    char output[COMMAND_OUTPUT_MAX];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct command_run run = {.command = &health,
                                        .argument = rows[i]};

        assert_int_equal(command_world_run(*state, &run, output),
                         COMMAND_FAULT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_beat_read_finds_the_last_whole_one),
        cmocka_unit_test(health_beat_read_finds_the_one_before_a_rotation),
        cmocka_unit_test(health_beat_read_finds_it_across_every_edge),
        cmocka_unit_test_setup(health_finds_nothing_wrong_where_nothing_is,
                               world_empty),
        cmocka_unit_test_setup(health_names_what_is_wrong, world_empty),
        cmocka_unit_test_setup(health_lists_the_most_awaited_domain_first,
                               world_empty),
        cmocka_unit_test_setup(health_of_a_domain_tells_what_is_known,
                               world_empty),
        cmocka_unit_test_setup(health_refuses_what_is_no_domain, world_empty),
        cmocka_unit_test_setup(health_tells_that_redis_is_away, world_empty),
    };

    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, world_start, world_stop);
}
