#include "clock.h"
#include "list_watch.h"
#include "list_watch_look.h"
#include "lists_world.h"
#include "recorder_effect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SKIP_TEST 77
#define TOLD_SIZE 4096
#define ANN       "nixie:suppress:ann@example.org"

/* Two nodes that watch one Redis; what either logs, a line each. */
struct nodes {
    struct world *world;
    struct list_watch *watch[2];
    char told[TOLD_SIZE];
    _Atomic unsigned events;
    bool log_fails;
    int64_t now_ms;
};

static bool append(void *context, struct event *event)
{
    struct nodes *nodes = context;
    size_t used = strlen(nodes->told);
    struct text note = event->suppression_note;

    if (nodes->log_fails) {
        return false;
    }
    assert_true(text_is(event->origin, "redis"));
    if (used < TOLD_SIZE - 400) {
        (void)snprintf(
            nodes->told + used, TOLD_SIZE - used, "%s %.*s%s%.*s%s%.*s%s\n",
            event_type_name(event->type),
            (int)event->suppression_pattern.length,
            event->suppression_pattern.bytes,
            event->scope.length > 0 ? " in " : "", (int)event->scope.length,
            event->scope.length > 0 ? event->scope.bytes : "",
            note.length > 0 ? ": " : "", (int)note.length,
            note.length > 0 ? note.bytes : "",
            event->suppression_expires_at.length > 0 ? " for a time" : "");
    }
    nodes->events++;
    return true;
}

/* Both in turns until neither has anything to do. */
static void settle(struct nodes *nodes)
{
    int idle = 0;

    for (int i = 0; idle < 2; i++) {
        assert_true(i < 100000);
        idle = list_watch_turn(nodes->watch[i % 2], nodes->now_ms) < 0
                   ? idle + 1
                   : 0;
    }
}

static struct nodes *nodes_new(struct world *world)
{
    struct nodes *nodes = calloc(1, sizeof *nodes);
    struct list_watch_options options = {
        .endpoint = world->endpoint,
        .key_prefix = "nixie:",
        .append = append,
        .context = nodes,
    };

    assert_non_null(nodes);
    nodes->world = world;
    nodes->now_ms = 1000;
    for (size_t i = 0; i < 2; i++) {
        nodes->watch[i] = list_watch_new(&options);
        assert_non_null(nodes->watch[i]);
        list_watch_reloaded(nodes->watch[i]);
    }
    settle(nodes);
    return nodes;
}

static void nodes_free(struct nodes *nodes)
{
    list_watch_free(nodes->watch[0]);
    list_watch_free(nodes->watch[1]);
    free(nodes);
}

static void name_key(struct nodes *nodes, const char *key)
{
    const struct suppression_change change = {.key = text_of(key)};

    list_watch_changed(nodes->watch[0], &change);
    list_watch_changed(nodes->watch[1], &change);
}

static void operate(struct nodes *nodes, const char *command, const char *key)
{
    world_operate(nodes->world, command);
    name_key(nodes, key);
}

static void expect(struct nodes *nodes, const char *told)
{
    settle(nodes);
    assert_string_equal(nodes->told, told);
    nodes->told[0] = '\0';
    nodes->now_ms += 20000; /* what was put off is looked at again */
    settle(nodes);
    assert_string_equal(nodes->told, "");
}

/* What the recorder does, as one step. */
static void apply(struct nodes *nodes, enum event_type type,
                  const char *pattern, const char *note)
{
    static struct effect effects[EFFECT_MAX];
    struct event event;
    size_t count;

    event_init(&event, type, INT64_C(1762112581123456));
    event.origin = text_of("command");
    event.suppression_origin = text_of("command");
    event.suppression_pattern = text_of(pattern);
    event.suppression_note = text_of(note);
    count = recorder_effects("nixie:", &event, effects);
    world_operate(nodes->world, "MULTI");
    for (size_t i = 0; i < count; i++) {
        const struct effect *effect = &effects[i];
        const char *words[] = {"DEL", effect->key.text, effect->field.bytes,
                               effect->value.bytes};
        const size_t lengths[] = {effect->operation == EFFECT_DELETE ? 3 : 4,
                                  effect->key.length, effect->field.length,
                                  effect->value.length};

        if (effect->operation == EFFECT_DELETE) {
            world_operate_bytes(nodes->world, 2, words, lengths);
        } else if (effect->operation == EFFECT_SET) {
            bool gone = effect->value.length == 0;

            words[0] = gone ? "HDEL" : "HSET";
            world_operate_bytes(nodes->world, gone ? 3 : 4, words, lengths);
        }
    }
    world_operate(nodes->world, "EXEC");
}

/* ---- tests ---- */

static void each_change_is_one_event(void **state)
{
    static const struct row {
        const char *command;
        const char *key, *other;
        const char *told;
    } rows[] = {
        {"SET " ANN " one", ANN, NULL,
         "suppression_added ann@example.org: one\n"},
        {"SET " ANN " one", ANN, NULL, ""},
        {"SET " ANN " two", ANN, NULL,
         "suppression_updated ann@example.org: two\n"},
        {"EXPIRE " ANN " 1000", ANN, NULL,
         "suppression_updated ann@example.org: two for a time\n"},
        {"PERSIST " ANN, ANN, NULL,
         "suppression_updated ann@example.org: two\n"},
        {"RENAME " ANN " nixie:suppress@news:@example.org", ANN,
         "nixie:suppress@news:@example.org",
         "suppression_removed ann@example.org\n"
         "suppression_added @example.org in news: two\n"},
        {"DEL nixie:suppress@news:@example.org",
         "nixie:suppress@news:@example.org", NULL,
         "suppression_removed @example.org in news\n"},
        {"HSET " ANN " note hash mode observe", ANN, NULL,
         "suppression_added ann@example.org: hash\n"},
        {"HSET " ANN " color blue", ANN, NULL, ""},
        {"HSET " ANN " note other", ANN, NULL,
         "suppression_updated ann@example.org: other\n"},
        {"DEL " ANN, ANN, NULL, "suppression_removed ann@example.org\n"},
        {"LPUSH " ANN " x", ANN, NULL, "suppression_added ann@example.org\n"},
        {"LPUSH " ANN " y", ANN, NULL, ""},
        {"DEL " ANN, ANN, NULL, "suppression_removed ann@example.org\n"},
        {"SET nixie:allow:ann@ x", "nixie:allow:ann@", NULL,
         "allow_added ann@: x\n"},
        {"SET nixie:allow:ann@ y", "nixie:allow:ann@", NULL,
         "allow_added ann@: y\n"},
        {"DEL nixie:allow:ann@", "nixie:allow:ann@", NULL,
         "allow_removed ann@\n"},
        {"SET nixie:suppress:Ann@Example.ORG x",
         "nixie:suppress:Ann@Example.ORG", NULL, ""},
        {"SET nixie:suppressed x", "nixie:suppressed", NULL, ""},
    };
    struct nodes *nodes = nodes_new(*state);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].command);
        operate(nodes, rows[i].command, rows[i].key);
        if (rows[i].other != NULL) {
            name_key(nodes, rows[i].other);
        }
        expect(nodes, rows[i].told);
    }
    nodes_free(nodes);
}

static void what_the_recorder_writes_is_no_second_event(void **state)
{
    struct nodes *nodes = nodes_new(*state);

    apply(nodes, EVENT_SUPPRESSION_ADDED, "ann@example.org", "ours");
    name_key(nodes, ANN);
    expect(nodes, "");
    apply(nodes, EVENT_SUPPRESSION_UPDATED, "ann@example.org", "again");
    name_key(nodes, ANN);
    expect(nodes, "");
    operate(nodes, "HSET " ANN " note theirs", ANN);
    expect(nodes, "suppression_updated ann@example.org: theirs\n");
    operate(nodes, "DEL " ANN, ANN);
    expect(nodes, "suppression_removed ann@example.org\n");
    apply(nodes, EVENT_SUPPRESSION_ADDED, "ann@example.org", "ours");
    apply(nodes, EVENT_SUPPRESSION_REMOVED, "ann@example.org", NULL);
    name_key(nodes, ANN);
    expect(nodes, "");
    nodes_free(nodes);
}

static void what_was_there_first_is_taken_as_known(void **state)
{
    struct nodes *nodes;

    world_operate(*state, "SET " ANN " old");
    world_operate(*state, "SET nixie:allow:bob@example.org old");
    nodes = nodes_new(*state);
    expect(nodes, "");
    operate(nodes, "DEL " ANN, ANN);
    expect(nodes, "suppression_removed ann@example.org\n");
    nodes_free(nodes);
}

static void what_nobody_told_of_is_found_by_comparing_all(void **state)
{
    struct nodes *nodes = nodes_new(*state);

    operate(nodes, "SET " ANN " one", ANN);
    expect(nodes, "suppression_added ann@example.org: one\n");
    world_operate(*state, "DEL " ANN);
    world_operate(*state, "SET nixie:allow:bob@example.org x");
    list_watch_reloaded(nodes->watch[0]);
    list_watch_reloaded(nodes->watch[1]);
    expect(nodes, "allow_added bob@example.org: x\n"
                  "suppression_removed ann@example.org\n");
    nodes->now_ms += 3600000; /* SWAPDB, and what else no name tells */
    world_operate(*state, "DEL nixie:allow:bob@example.org");
    expect(nodes, "allow_removed bob@example.org\n");
    nodes_free(nodes);
}

static void an_entry_that_ends_by_itself_is_no_event(void **state)
{
    struct nodes *nodes = nodes_new(*state);

    operate(nodes, "SET " ANN " short PX 30", ANN);
    settle(nodes);
    nodes->told[0] = '\0'; /* it may have ended before it was looked at */
    world_operate(*state, "SET nixie:x 1");
    world_operate(*state, "WAIT 1 60"); /* there is no replica */
    name_key(nodes, ANN);
    expect(nodes, "");
    world_operate(*state, "SET " ANN " one");
    name_key(nodes, ANN);
    expect(nodes, "suppression_added ann@example.org: one\n");
    nodes_free(nodes);
}

static void an_emptied_redis_makes_no_events(void **state)
{
    struct nodes *nodes = nodes_new(*state);

    for (unsigned i = 0; i < 300; i++) {
        char command[100];

        (void)snprintf(command, sizeof command,
                       "SET nixie:suppress:u%u@example.org x", i);
        world_operate(*state, command);
        *strrchr(command, ' ') = '\0';
        name_key(nodes, command + 4);
    }
    settle(nodes);
    assert_int_equal(nodes->events, 300);
    nodes->told[0] = '\0';
    world_operate(*state, "FLUSHALL");
    world_operate(*state, "SET " ANN " after");
    list_watch_reloaded(nodes->watch[0]);
    list_watch_reloaded(nodes->watch[1]);
    expect(nodes, "suppression_added ann@example.org: after\n");
    nodes_free(nodes);
}

static void more_than_is_kept_in_memory_is_found_all_the_same(void **state)
{
    struct nodes *nodes = nodes_new(*state);

    for (unsigned i = 0; i < LIST_WATCH_NAMES + 50; i++) {
        char key[64];

        (void)snprintf(key, sizeof key, "nixie:suppress:u%u@example.org", i);
        name_key(nodes, key);
    }
    operate(nodes, "SET " ANN " last", ANN); /* did not fit */
    expect(nodes, "suppression_added ann@example.org: last\n");
    nodes_free(nodes);
}

static void who_dies_with_a_claim_is_followed_by_another(void **state)
{
    struct nodes *nodes = nodes_new(*state);

    world_operate(*state, "SET nixie:{00}:claim:suppress:ann@example.org 1");
    operate(nodes, "SET " ANN " one", ANN);
    settle(nodes);
    assert_string_equal(nodes->told, "");
    world_operate(*state, "DEL nixie:{00}:claim:suppress:ann@example.org");
    nodes->now_ms += 20000;
    expect(nodes, "suppression_added ann@example.org: one\n");
    nodes_free(nodes);
}

static void what_the_log_does_not_take_is_logged_later(void **state)
{
    struct nodes *nodes = nodes_new(*state);

    nodes->log_fails = true;
    operate(nodes, "SET " ANN " one", ANN);
    settle(nodes);
    nodes->log_fails = false;
    world_operate(*state, "DEL nixie:{00}:claim:suppress:ann@example.org");
    nodes->now_ms += 20000;
    expect(nodes, "suppression_added ann@example.org: one\n");
    nodes_free(nodes);
}

static void a_redis_that_forgot_what_is_known_hears_it_again(void **state)
{
    struct nodes *nodes = nodes_new(*state);

    operate(nodes, "SET " ANN " one", ANN);
    expect(nodes, "suppression_added ann@example.org: one\n");
    redis_server_restart(nodes->world->server); /* without its data */
    world_operate(*state, "SET " ANN " one");
    name_key(nodes, ANN);
    for (int i = 0; i < 20 && nodes->told[0] == '\0'; i++) {
        (void)list_watch_turn(nodes->watch[i % 2], nodes->now_ms);
    }
    expect(nodes, "suppression_added ann@example.org: one\n");
    nodes_free(nodes);
}

static void await(const struct nodes *nodes, unsigned events)
{
    const struct timespec moment = {0, 1000000};
    int64_t end_ms = clock_monotonic_ms() + SOON;

    while (nodes->events < events) {
        assert_true(clock_monotonic_ms() < end_ms);
        (void)nanosleep(&moment, NULL);
    }
}

static void the_thread_logs_what_the_cache_tells_it(void **state)
{
    struct nodes *nodes = nodes_new(*state);
    struct list_watch *watch = nodes->watch[0];
    const struct suppression_options options = {
        .endpoint = nodes->world->endpoint,
        .key_prefix = "nixie:",
        .timeout_ms = TIMEOUT,
        .connections = 1,
        .cache_memory = (size_t)16 * 1024 * 1024,
        .listener = {list_watch_changed, list_watch_reloaded, watch},
    };
    struct error error;
    struct suppression *list = suppression_new(&options, &error);

    assert_non_null(list);
    assert_true(list_watch_start(watch, &error));
    world_operate(*state, "SET " ANN " one");
    await(nodes, 1);
    world_operate(*state, "DEL " ANN);
    await(nodes, 2);
    list_watch_stop(watch);
    suppression_free(list);
    assert_string_equal(nodes->told, "suppression_added ann@example.org: one\n"
                                     "suppression_removed ann@example.org\n");
    nodes_free(nodes);
}

#define TEST(name) cmocka_unit_test_setup(name, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_change_is_one_event),
        TEST(what_the_recorder_writes_is_no_second_event),
        TEST(what_was_there_first_is_taken_as_known),
        TEST(what_nobody_told_of_is_found_by_comparing_all),
        TEST(an_entry_that_ends_by_itself_is_no_event),
        TEST(an_emptied_redis_makes_no_events),
        TEST(more_than_is_kept_in_memory_is_found_all_the_same),
        TEST(who_dies_with_a_claim_is_followed_by_another),
        TEST(what_the_log_does_not_take_is_logged_later),
        TEST(a_redis_that_forgot_what_is_known_hears_it_again),
        TEST(the_thread_logs_what_the_cache_tells_it),
    };

    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, world_start, world_stop);
}
