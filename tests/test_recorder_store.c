/*
 * The script, and WATCH in its place, in a real Redis.
 */
#include "clock.h"
#include "log.h"
#include "recorder_oracle.h"
#include "recorder_store.h"
#include "redis_server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PREFIX    "nixie:"
#define INSTANCE  "00000000000000aa"
#define SOON_MS   20000
#define SKIP_TEST 77
#define KEY       "nixie:{05}:recipient:x"
#define OTHER     "nixie:{05}:domain:x"
#define SET       "nixie:{05}:strikes:x"
#define PUSHED    "nixie:{05}:evidence:x"

struct world {
    struct redis_server *server;
    struct redis_endpoint *endpoint;
    struct redis_link *redis;
    struct recorder_store *store;
    struct recorder_window *window;
    struct effect *effects;
    size_t count;
    uint64_t random;
};

static void do_redis(struct world *world, size_t argc, const char *const *argv)
{
    struct error error;
    redisReply *reply = redis_link_ask(
        world->redis, clock_monotonic_ms() + SOON_MS, &error, argc, argv, NULL);

    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
}

#define REDIS(world, ...)                                                      \
    do_redis(world,                                                            \
             sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *),     \
             (const char *[]){__VA_ARGS__})

static void put_effect(struct world *world, enum effect_operation operation,
                       const char *key, const char *field, const char *value)
{
    struct effect *effect = &world->effects[world->count++];

    effect->bucket = 5;
    effect->operation = operation;
    effect->conditional = false;
    effect->key.length =
        text_copy(text_of(key), effect->key.text, sizeof effect->key.text);
    effect->field = text_of(field);
    effect->value = text_of(value);
}

/* The same, when the test before it holds. */
static void put_if(struct world *world, enum effect_operation operation,
                   const char *key, const char *field, const char *value)
{
    put_effect(world, operation, key, field, value);
    world->effects[world->count - 1].conditional = true;
}

/* The effects so far are those of an event with this number. */
static void end_event(struct world *world, int64_t seq)
{
    assert_true(
        recorder_window_add(world->window, seq, world->effects, world->count));
    world->count = 0;
}

/* All that is in the window, as one call. */
static enum recorder_outcome apply(struct world *world, int64_t expected,
                                   struct recorder_result *result)
{
    struct recorder_call call;
    struct error error = {""};
    enum store_result done;

    assert_true(recorder_window_call(world->window, 5, expected, 1000,
                                     STORE_CALL_BYTES, &call));
    do {
        done = recorder_store_apply(world->store, INSTANCE, &call, result, 1,
                                    &error);
    } while (done == STORE_DONE && result->outcome == OUTCOME_REFUSED);
    return result->outcome;
}

static void assert_store(struct world *world, const char *json)
{
    json_t *expected = json_loads(json, 0, NULL);
    json_t *found = oracle_read(world->redis);

    assert_non_null(expected);
    oracle_compare(expected, found);
    json_decref(expected);
    json_decref(found);
}

static int begin_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct redis_endpoint_options options = {.user = "", .password_file = ""};
    struct error error;

    assert_non_null(world);
    world->server = redis_server_start(NULL);
    assert_non_null(world->server);
    options.location = redis_server_location(world->server);
    world->endpoint = redis_endpoint_new(&options, &error);
    assert_non_null(world->endpoint);
    assert_true(redis_endpoint_resolve(world->endpoint, &error));
    world->redis = redis_link_new(world->endpoint);
    world->store = recorder_store_new(world->endpoint, PREFIX);
    world->window = recorder_window_new();
    world->effects = calloc(EFFECT_MAX, sizeof *world->effects);
    assert_non_null(world->redis);
    assert_non_null(world->store);
    assert_non_null(world->window);
    assert_non_null(world->effects);
    assert_true(
        redis_link_open(world->redis, clock_monotonic_ms() + SOON_MS, &error));
    assert_int_equal(recorder_store_open(world->store, &error), STORE_DONE);
    assert_int_equal(recorder_store_register(world->store, INSTANCE, &error),
                     STORE_DONE);
    world->random = 88172645463325252U;
    *state = world;
    return 0;
}

static int begin_world_without_scripts(void **state)
{
    int status = begin_world(state);

    REDIS(*state, "ACL", "SETUSER", "default", "-eval", "-evalsha");
    return status;
}

static int end_world(void **state)
{
    struct world *world = *state;

    free(world->effects);
    recorder_window_free(world->window);
    recorder_store_free(world->store);
    redis_link_free(world->redis);
    redis_endpoint_free(world->endpoint);
    redis_server_stop(world->server);
    free(world);
    return 0;
}

static int64_t checkpoint(struct world *world)
{
    int64_t found[STORE_BUCKETS];
    struct error error;

    assert_int_equal(
        recorder_store_look(world->store, INSTANCE, false, found, &error),
        STORE_DONE);
    return found[5];
}

/* ---- the same for the script and for WATCH ---- */

static void a_call_made_twice_is_applied_once(void **state)
{
    struct world *world = *state;
    struct recorder_result result;

    put_effect(world, EFFECT_ADD, KEY, "n", "1");
    end_event(world, 7);
    assert_int_equal(apply(world, 0, &result), OUTCOME_APPLIED);
    assert_int_equal(apply(world, 0, &result), OUTCOME_ELSEWHERE);
    assert_int_equal(checkpoint(world), 7);
    assert_store(world, "{\"" KEY "\": {\"n\": \"1\"}}");
}

static void another_checkpoint_than_expected_changes_nothing(void **state)
{
    static const int64_t expected[] = {1, 70, CHECKPOINT_ABSENT};
    struct world *world = *state;
    struct recorder_result result;

    put_effect(world, EFFECT_ADD, KEY, "n", "1");
    end_event(world, 7);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(apply(world, expected[i], &result), OUTCOME_ELSEWHERE);
    }
    REDIS(world, "DEL", "nixie:{05}:checkpoint");
    assert_int_equal(apply(world, 0, &result), OUTCOME_ELSEWHERE);
    assert_store(world, "{}");
}

static void each_operation_does_what_it_says(void **state)
{
    struct world *world = *state;
    struct recorder_result result;

    REDIS(world, "HSET", KEY, "first", "5", "last", "5", "low", "1", "gone",
          "x", "kept", "x");
    put_effect(world, EFFECT_FIRST, KEY, "first", "4");
    put_effect(world, EFFECT_FIRST, KEY, "low", "2");
    put_effect(world, EFFECT_FIRST, KEY, "new", "9");
    put_effect(world, EFFECT_LAST, KEY, "last", "4");
    put_if(world, EFFECT_SET, KEY, "kept", "y");
    put_effect(world, EFFECT_LAST, KEY, "last", "5"); /* equal: the later */
    put_if(world, EFFECT_SET, KEY, "gone", "");
    put_if(world, EFFECT_SET, KEY, "set", "s");
    put_effect(world, EFFECT_SET, OTHER, "a", "b");
    put_effect(world, EFFECT_EXPIRE, OTHER, "", "1"); /* long ago */
    put_effect(world, EFFECT_SET, OTHER, "c", "d");
    end_event(world, 7);
    assert_int_equal(apply(world, 0, &result), OUTCOME_APPLIED);
    assert_int_equal(result.dead.count, 0);
    assert_store(world,
                 "{\"" KEY "\": {\"first\": \"4\", \"low\": \"1\", \"new\": "
                 "\"9\", \"last\": \"5\", \"kept\": \"x\", \"set\": \"s\"}, "
                 "\"" OTHER "\": {\"c\": \"d\"}}");
    recorder_window_clear(world->window);
    put_effect(world, EFFECT_DELETE, KEY, "", "");
    end_event(world, 8);
    assert_int_equal(apply(world, 7, &result), OUTCOME_APPLIED);
    assert_store(world, "{\"" OTHER "\": {\"c\": \"d\"}}");
}

static void each_test_lets_through_what_it_says(void **state)
{
    static const struct {
        const char *name;
        enum effect_operation operation;
        const char *key, *field, *value;
        bool holds;
    } rows[] = {
        {"absent is not later", EFFECT_UNLESS, KEY, "none", "5", true},
        {"4 is not later than 5", EFFECT_UNLESS, KEY, "four", "5", true},
        {"4 is as late as 4", EFFECT_UNLESS, KEY, "four", "4", false},
        {"nothing is before \"\"", EFFECT_UNLESS, KEY, "four", "", false},
        {"there is 4", EFFECT_HAS, KEY, "four", "", true},
        {"there is no none", EFFECT_HAS, KEY, "none", "", false},
        {"12 reaches 10", EFFECT_REACHES, KEY, "twelve", "10", true},
        {"4 does not", EFFECT_REACHES, KEY, "four", "10", false},
        {"nothing reaches", EFFECT_REACHES, KEY, "none", "0", false},
        {"a text reaches nothing", EFFECT_REACHES, KEY, "text", "1", false},
        {"two of two", EFFECT_DUE, SET, "(100", "200000 2 2", true},
        {"two on one day", EFFECT_DUE, SET, "(100", "200 2 2", false},
        {"two on any day", EFFECT_DUE, SET, "(99", "200 2 1", true},
        {"100 is not beyond 100", EFFECT_DUE, SET, "(100", "200 2 1", false},
        {"three days", EFFECT_DUE, SET, "(0", "300000 3 3", true},
        {"four strikes", EFFECT_DUE, SET, "(0", "300000 4 3", true},
        {"five strikes", EFFECT_DUE, SET, "(0", "300000 5 3", false},
        {"of nothing", EFFECT_DUE, OTHER, "(0", "300000 1 1", false},
        {"a new strike", EFFECT_STRIKE, SET, "new", "5", true},
        {"an old one", EFFECT_STRIKE, SET, "a", "5", false},
    };
    struct world *world = *state;
    struct recorder_result result;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        redisReply *reply;
        const char *ask[] = {"EXISTS", "nixie:{05}:done"};
        struct error error;

        REDIS(world, "DEL", KEY, SET, "nixie:{05}:done");
        REDIS(world, "HSET", KEY, "four", "4", "twelve", "12", "text", "1x");
        REDIS(world, "ZADD", SET, "100", "a", "150", "b", "90000", "c",
              "180000", "d");
        recorder_window_clear(world->window);
        put_effect(world, rows[i].operation, rows[i].key, rows[i].field,
                   rows[i].value);
        put_if(world, EFFECT_ADD, "nixie:{05}:done", "n", "1");
        put_if(world, rows[i].operation, rows[i].key, rows[i].field,
               rows[i].value);
        end_event(world, (int64_t)i + 1);
        assert_int_equal(apply(world, (int64_t)i, &result), OUTCOME_APPLIED);
        assert_int_equal(result.dead.count + result.lost.count, 0);
        reply = redis_link_ask(world->redis, clock_monotonic_ms() + SOON_MS,
                               &error, 2, ask, NULL);
        assert_non_null(reply);
        if (reply->integer != rows[i].holds) {
            fail_msg("%s", rows[i].name);
        }
        freeReplyObject(reply);
    }
}

static void what_is_done_once_is_left_out_the_second_time(void **state)
{
    struct world *world = *state;
    struct recorder_result result;

    for (int64_t seq = 1; seq <= 3; seq++) {
        recorder_window_clear(world->window);
        put_effect(world, EFFECT_ADD, KEY, "n", "1");
        put_effect(world, EFFECT_ONCE, seq < 3 ? OTHER : SET, "3",
                   seq < 3 ? "5000000000" : "1"); /* long ago: is gone */
        put_effect(world, EFFECT_ADD, KEY, "once", "1");
        put_effect(world, EFFECT_HAS, KEY, "n", "");
        put_if(world, EFFECT_ADD, KEY, "when there", "1");
        put_effect(world, EFFECT_ADD, KEY, "after", "1");
        put_effect(world, EFFECT_ONCE, OTHER, "1", "5000000000");
        put_effect(world, EFFECT_DELETE, KEY, "", "");
        end_event(world, seq);
        assert_int_equal(apply(world, seq - 1, &result), OUTCOME_APPLIED);
        assert_int_equal(result.dead.count + result.lost.count, 0);
    }
    assert_store(world, "{\"" KEY "\": {\"n\": \"3\", \"once\": \"2\", "
                        "\"when there\": \"2\", \"after\": \"3\"}, "
                        "\"" OTHER "\": {\"once\": \"1\", "
                        "\"(expires)\": \"5000000000\"}}");
}

static void sets_and_lists_are_written(void **state)
{
    struct world *world = *state;
    struct recorder_result result;

    REDIS(world, "ZADD", SET, "5", "early", "9", "late", "1", "gone");
    put_effect(world, EFFECT_MARK, SET, "late", "7");
    put_effect(world, EFFECT_UNMARK, SET, "gone", "");
    put_effect(world, EFFECT_STRIKE, SET, "early", "6");
    put_effect(world, EFFECT_STRIKE, SET, "late", "3");
    put_effect(world, EFFECT_FORGET, SET, "", "(3");
    put_effect(world, EFFECT_EXTEND, SET, "", "5000000000");
    put_effect(world, EFFECT_EXTEND, SET, "", "4000000000");
    for (int i = 0; i < 4; i++) {
        put_effect(world, EFFECT_PUSH, PUSHED, "", i == 0 ? "first" : "more");
    }
    put_effect(world, EFFECT_PUSH, PUSHED, "", "last");
    put_effect(world, EFFECT_EXTEND, PUSHED, "", "4000000000");
    put_effect(world, EFFECT_EXTEND, PUSHED, "", "5000000000");
    put_effect(world, EFFECT_EXTEND, OTHER, "", "5000000000"); /* no key */
    end_event(world, 7);
    assert_int_equal(apply(world, 0, &result), OUTCOME_APPLIED);
    assert_int_equal(result.dead.count + result.lost.count, 0);
    assert_store(world, "{\"" SET "\": {\"early\": \"5\", \"late\": \"3\", "
                        "\"(expires)\": \"5000000000\"}, \"" PUSHED
                        "\": {\"0\": \"last\", \"1\": \"more\", \"2\": "
                        "\"more\", \"(expires)\": \"5000000000\"}}");
}

static void a_key_of_another_type_stops_nothing(void **state)
{
    struct world *world = *state;
    struct recorder_result result;

    REDIS(world, "SET", KEY, "mine");
    put_effect(world, EFFECT_ADD, KEY, "n", "1");
    put_effect(world, EFFECT_FIRST, KEY, "f", "1");
    put_effect(world, EFFECT_LAST, KEY, "l", "1");
    put_if(world, EFFECT_SET, KEY, "i", "1");
    put_effect(world, EFFECT_UNLESS, KEY, "u", "1");
    put_if(world, EFFECT_ADD, OTHER, "not", "1");
    put_effect(world, EFFECT_STRIKE, KEY, "s", "1");
    put_if(world, EFFECT_ADD, OTHER, "not", "1");
    put_effect(world, EFFECT_DUE, KEY, "(0", "1 1 1");
    put_if(world, EFFECT_ADD, OTHER, "not", "1");
    put_effect(world, EFFECT_MARK, KEY, "m", "1");
    put_effect(world, EFFECT_UNMARK, KEY, "m", "");
    put_effect(world, EFFECT_FORGET, KEY, "", "1");
    put_effect(world, EFFECT_PUSH, KEY, "", "line");
    put_effect(world, EFFECT_ADD, OTHER, "n", "1");
    end_event(world, 7);
    assert_int_equal(apply(world, 0, &result), OUTCOME_APPLIED);
    assert_int_equal(result.dead.count, 10);
    assert_int_equal(result.lost.count, 0);
    assert_string_equal(result.dead.key, KEY);
    assert_string_not_equal(result.dead.error, "");
    assert_int_equal(checkpoint(world), 7);
    REDIS(world, "DEL", KEY);
    assert_store(world, "{\"" OTHER "\": {\"n\": \"1\"}}");
}

static void a_counter_at_its_end_stops_nothing(void **state)
{
    struct world *world = *state;
    struct recorder_result result;

    REDIS(world, "HSET", KEY, "n", "9223372036854775807", "t", "text");
    put_effect(world, EFFECT_ADD, KEY, "n", "1");
    put_effect(world, EFFECT_ADD, KEY, "t", "1");
    put_effect(world, EFFECT_ADD, KEY, "m", "1");
    end_event(world, 7);
    assert_int_equal(apply(world, 0, &result), OUTCOME_APPLIED);
    assert_int_equal(result.dead.count, 2);
    assert_store(world, "{\"" KEY "\": {\"n\": \"9223372036854775807\", "
                        "\"t\": \"text\", \"m\": \"1\"}}");
}

static void a_full_redis_writes_nothing_of_a_call(void **state)
{
    struct world *world = *state;
    struct recorder_result result;
    struct recorder_call call;
    struct error error = {""};

    put_effect(world, EFFECT_ADD, KEY, "n", "1");
    end_event(world, 7);
    assert_int_equal(apply(world, 0, &result), OUTCOME_APPLIED);
    recorder_window_clear(world->window);
    REDIS(world, "CONFIG", "SET", "maxmemory", "1");
    put_effect(world, EFFECT_DELETE, KEY, "", "");
    put_effect(world, EFFECT_ADD, OTHER, "n", "1");
    end_event(world, 8);
    assert_true(recorder_window_call(world->window, 5, 7, 10, 1000, &call));
    assert_int_equal(
        recorder_store_apply(world->store, INSTANCE, &call, &result, 1, &error),
        STORE_BUSY);
    assert_int_equal(result.outcome, OUTCOME_REFUSED);
    assert_non_null(strstr(error.text, "OOM"));
    assert_int_equal(checkpoint(world), 7);
    assert_store(world, "{\"" KEY "\": {\"n\": \"1\"}}");
}

static void a_read_only_redis_closes_the_connection(void **state)
{
    struct world *world = *state;
    struct recorder_result result;
    struct recorder_call call;
    struct error error = {""};

    put_effect(world, EFFECT_ADD, KEY, "n", "1");
    end_event(world, 7);
    assert_int_equal(apply(world, 0, &result), OUTCOME_APPLIED);
    REDIS(world, "REPLICAOF", "127.0.0.1", "1");
    REDIS(world, "CONFIG", "SET", "replica-serve-stale-data", "yes");
    assert_true(recorder_window_call(world->window, 5, 7, 10, 1000, &call));
    assert_int_equal(
        recorder_store_apply(world->store, INSTANCE, &call, &result, 1, &error),
        STORE_LOST);
    assert_false(recorder_store_is_open(world->store));
    assert_non_null(strstr(error.text, "READONLY"));
}

static void somebodys_value_in_a_checkpoint_is_refused(void **state)
{
    struct world *world = *state;
    int64_t found[STORE_BUCKETS];
    struct error error = {""};

    REDIS(world, "HSET", "nixie:{05}:checkpoint", INSTANCE, "07");
    assert_int_equal(checkpoint(world), CHECKPOINT_DAMAGED);
    REDIS(world, "DEL", "nixie:{05}:checkpoint");
    assert_int_equal(checkpoint(world), CHECKPOINT_ABSENT);
    REDIS(world, "SET", "nixie:{05}:checkpoint", "07");
    assert_int_equal(
        recorder_store_look(world->store, INSTANCE, false, found, &error),
        STORE_REFUSED);
    assert_non_null(strstr(error.text, "WRONGTYPE"));
}

static void a_wrong_type_in_a_checkpoint_names_its_key(void **state)
{
    struct world *world = *state;
    struct recorder_result result;
    struct recorder_call call;
    int64_t found[STORE_BUCKETS];
    struct error error = {""};

    REDIS(world, "SET", "nixie:{05}:checkpoint", "07");
    assert_int_equal(
        recorder_store_look(world->store, INSTANCE, false, found, &error),
        STORE_REFUSED);
    assert_non_null(
        strstr(error.text, "nixie:{05}:checkpoint is no hash: DEL"));
    error.text[0] = '\0';
    put_effect(world, EFFECT_ADD, KEY, "n", "1");
    end_event(world, 7);
    assert_true(recorder_window_call(world->window, 5, 0, 10, 1000, &call));
    do {
        (void)recorder_store_apply(world->store, INSTANCE, &call, &result, 1,
                                   &error);
    } while (error.text[0] == '\0');
    assert_non_null(
        strstr(error.text, "nixie:{05}:checkpoint is no hash: DEL"));
}

/* ---- rights ---- */

static void set_rights(struct world *world, const char *rights)
{
    REDIS(world, "ACL", "SETUSER", "default", rights);
}

static void
a_right_that_is_missing_is_found_before_anything_is_written(void **state)
{
    static const struct {
        const char *command;
        enum effect_operation operation;
        const char *value;
    } rows[] = {
        {"hincrby", EFFECT_ADD, "1"},
        {"hget", EFFECT_FIRST, "1"},
        {"hset", EFFECT_FIRST, "1"},
        {"hset", EFFECT_SET, "1"},
        {"hdel", EFFECT_SET, ""},
        {"expireat", EFFECT_EXTEND, "1"},
        {"zadd", EFFECT_MARK, "1"},
        {"zrem", EFFECT_UNMARK, "1"},
        {"lpush", EFFECT_PUSH, "1"},
        {"ltrim", EFFECT_PUSH, "1"},
        {"zadd", EFFECT_STRIKE, "1"},
        {"zremrangebyscore", EFFECT_FORGET, "1"},
        {"zrangebyscore", EFFECT_DUE, "9 1 1"},
        {"del", EFFECT_DELETE, ""},
        {"expireat", EFFECT_EXPIRE, "1"},
        {"exists", EFFECT_ONCE, "1"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char rights[32];
        struct recorder_result result;
        struct recorder_call call;
        struct error error = {""};

        recorder_window_clear(world->window);
        put_effect(world, EFFECT_LAST, KEY, "l", "1");
        put_effect(world, rows[i].operation, KEY, "f", rows[i].value);
        end_event(world, 7);
        assert_true(recorder_window_call(world->window, 5, 0, 10, 1000, &call));
        (void)snprintf(rights, sizeof rights, "-%s", rows[i].command);
        set_rights(world, rights);
        do { /* the first only finds that scripts are forbidden */
            (void)recorder_store_apply(world->store, INSTANCE, &call, &result,
                                       1, &error);
        } while (error.text[0] == '\0');
        assert_int_equal(result.outcome, OUTCOME_REFUSED);
        /* in the script Redis has other words for it, if HGET is missing */
        assert_true(strstr(error.text, "NOPERM") != NULL ||
                    strstr(error.text, "The user executing the script"));
        rights[0] = '+';
        set_rights(world, rights);
        assert_int_equal(recorder_store_open(world->store, &error), STORE_DONE);
        assert_int_equal(checkpoint(world), 0);
        assert_store(world, "{}");
    }
}

/* Rights to the list, say, are others than those to the history. */
static void
a_key_without_rights_is_found_before_anything_is_written(void **state)
{
    struct world *world = *state;
    struct recorder_result result;
    struct recorder_call call;
    struct error error = {""};

    put_effect(world, EFFECT_SET, KEY, "f", "1");
    put_effect(world, EFFECT_SET, "nixie:suppress:x", "f", "1");
    end_event(world, 7);
    REDIS(world, "ACL", "SETUSER", "default", "resetkeys", "~nixie:{*");
    assert_true(recorder_window_call(world->window, 5, 0, 10, 1000, &call));
    do {
        (void)recorder_store_apply(world->store, INSTANCE, &call, &result, 1,
                                   &error);
    } while (error.text[0] == '\0');
    assert_non_null(strstr(error.text, "NOPERM"));
    set_rights(world, "~*");
    assert_int_equal(recorder_store_open(world->store, &error), STORE_DONE);
    assert_int_equal(checkpoint(world), 0);
    assert_store(world, "{}");
}

/* As with Redis 6, which cannot be asked: what is refused is no dead letter. */
static void
what_is_refused_behind_the_checkpoint_names_command_and_key(void **state)
{
    struct world *world = *state;
    struct recorder_result result;

    put_effect(world, EFFECT_ADD, KEY, "n", "1");
    put_effect(world, EFFECT_ADD, "nixie:{05}:recipient:y", "n", "1");
    end_event(world, 7);
    REDIS(world, "ACL", "SETUSER", "default", "-hincrby",
          "(+hincrby ~" KEY ")");
    assert_int_equal(apply(world, 0, &result), OUTCOME_APPLIED);
    assert_int_equal(result.dead.count, 0);
    assert_int_equal(result.lost.count, 1);
    assert_string_equal(result.lost.key, "nixie:{05}:recipient:y");
    assert_string_equal(result.lost.commands, "HINCRBY");
    assert_string_not_equal(result.lost.error, "");
}

static void no_wait_goes_beyond_the_end(void **state)
{
    struct world *world = *state;
    int64_t found[STORE_BUCKETS];
    int64_t begin_ms = clock_monotonic_ms();
    struct error error;

    assert_int_equal(kill(redis_server_pid(world->server), SIGSTOP), 0);
    recorder_store_end_by(world->store, begin_ms + 100);
    assert_int_equal(
        recorder_store_look(world->store, INSTANCE, false, found, &error),
        STORE_LOST);
    (void)recorder_store_open(world->store, &error);
    assert_true(clock_monotonic_ms() - begin_ms < STORE_CONNECT_MS);
    assert_int_equal(kill(redis_server_pid(world->server), SIGCONT), 0);
}

static void adopting_wants_nobody_between(void **state)
{
    struct world *world = *state;
    int64_t found[STORE_BUCKETS], adopted[STORE_BUCKETS];
    struct error error;

    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        adopted[i] = i == 5 ? 9 : CHECKPOINT_ABSENT;
    }
    assert_int_equal(
        recorder_store_look(world->store, INSTANCE, true, found, &error),
        STORE_DONE);
    REDIS(world, "FLUSHALL");
    assert_int_equal(
        recorder_store_adopt(world->store, INSTANCE, adopted, &error),
        STORE_ELSEWHERE);
    assert_int_equal(checkpoint(world), CHECKPOINT_ABSENT);
    assert_int_equal(
        recorder_store_look(world->store, INSTANCE, true, found, &error),
        STORE_DONE);
    assert_int_equal(
        recorder_store_adopt(world->store, INSTANCE, adopted, &error),
        STORE_DONE);
    assert_int_equal(checkpoint(world), 9);
}

static void registering_overwrites_nothing(void **state)
{
    struct world *world = *state;
    struct recorder_result result;
    struct error error;

    put_effect(world, EFFECT_ADD, KEY, "n", "1");
    end_event(world, 7);
    assert_int_equal(apply(world, 0, &result), OUTCOME_APPLIED);
    assert_int_equal(recorder_store_register(world->store, INSTANCE, &error),
                     STORE_DONE);
    assert_int_equal(checkpoint(world), 7);
}

/* ---- the script against WATCH ---- */

static unsigned chance(struct world *world, unsigned among)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (unsigned)(world->random % among);
}

struct any {
    const char *key;
    const enum effect_operation *operations;
    unsigned count;
};

/* What is done to hashes and what to sets is not done to one key. */
static const struct any *any_key(struct world *world)
{
    static const enum effect_operation hashes[] = {
        EFFECT_ADD, EFFECT_FIRST,  EFFECT_LAST, EFFECT_SET,
        EFFECT_HAS, EFFECT_DELETE, EFFECT_SET,  EFFECT_UNLESS,
        EFFECT_ADD, EFFECT_LAST,   EFFECT_SET,  EFFECT_REACHES};
    static const enum effect_operation sets[] = {
        EFFECT_MARK,   EFFECT_UNMARK, EFFECT_STRIKE, EFFECT_DUE,
        EFFECT_STRIKE, EFFECT_STRIKE, EFFECT_DUE,    EFFECT_FORGET,
        EFFECT_DELETE, EFFECT_EXTEND};
    static const enum effect_operation lists[] = {EFFECT_PUSH, EFFECT_PUSH,
                                                  EFFECT_DELETE};
    static const enum effect_operation once[] = {EFFECT_ONCE, EFFECT_ONCE,
                                                 EFFECT_ABSENT, EFFECT_DELETE};
    static const struct any keys[] = {{KEY, hashes, 12},
                                      {"nixie:{05}:seen:1", once, 4},
                                      {"nixie:{05}:seen:2", once, 4},
                                      {OTHER, hashes, 12},
                                      {SET, sets, 10},
                                      {"nixie:allow:x", hashes, 12},
                                      {PUSHED, lists, 3},
                                      {"nixie:{05}:wrong", hashes, 12},
                                      {"nixie:{05}:waiting", sets, 10},
                                      {"nixie:{05}:wrong set", sets, 9}};

    return &keys[chance(world, 10)];
}

/* Events of any operations on a few fields of a few keys. */
static void make_anything(struct world *world, char values[][32], size_t count)
{
    static const char *const fields[] = {"a", "b", "c", "n"};
    static const char *const counts[] = {"0", "1", "3", "7"};

    recorder_window_clear(world->window);
    for (size_t i = 0; i < count; i++) {
        const struct any *any = any_key(world);
        enum effect_operation operation =
            any->operations[chance(world, any->count)];
        unsigned number = chance(world, 100);
        bool is_due = operation == EFFECT_DUE;

        if (operation == EFFECT_EXTEND ||
            (operation == EFFECT_ONCE && number % 4 > 0)) {
            number += 4000000000U; /* what ends at once is another test's */
        }
        (void)snprintf(values[i], 32, is_due ? "%u000000 %u %u" : "%u", number,
                       1 + number % 3, 1 + number % 2);
        if (any->operations[0] == EFFECT_MARK && !is_due &&
            operation != EFFECT_EXTEND) {
            (void)snprintf(values[i], 32, "%u000", number);
        }
        put_effect(
            world, operation, any->key,
            is_due                     ? "(5000"
            : operation == EFFECT_ADD  ? "n"
            : operation == EFFECT_ONCE ? counts[chance(world, 4)]
                                       : fields[chance(world, 4)],
            operation == EFFECT_SET && chance(world, 3) == 0 ? "" : values[i]);
        world->effects[world->count - 1].conditional = chance(world, 3) == 0;
        if (i % 10 == 9) {
            end_event(world, (int64_t)i + 1);
        }
    }
    if (world->count > 0) {
        end_event(world, (int64_t)count + 1);
    }
}

static json_t *run_sequence(struct world *world, uint64_t seed, uint64_t *dead)
{
    char values[40][32];
    struct recorder_result result;
    struct error error;

    REDIS(world, "FLUSHALL");
    REDIS(world, "SET", "nixie:{05}:wrong", "type");
    REDIS(world, "SET", "nixie:{05}:wrong set", "type");
    assert_int_equal(recorder_store_open(world->store, &error), STORE_DONE);
    assert_int_equal(recorder_store_register(world->store, INSTANCE, &error),
                     STORE_DONE);
    world->random = seed;
    *dead = 0;
    for (int i = 0; i < 5; i++) {
        int64_t before = checkpoint(world);
        struct recorder_call call;

        make_anything(world, values, 40);
        assert_true(recorder_window_call(world->window, 5, before, 1000,
                                         STORE_CALL_BYTES, &call));
        assert_int_equal(apply(world, before, &result), OUTCOME_APPLIED);
        *dead += result.dead.count;
        assert_int_equal(result.lost.count, 0);
    }
    return oracle_read(world->redis);
}

static void watch_does_what_the_script_does(void **state)
{
    struct world *world = *state;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t dead_script, dead_watch;
        json_t *by_script, *by_watch;

        REDIS(world, "ACL", "SETUSER", "default", "+eval", "+evalsha");
        by_script = run_sequence(world, seed * 7919, &dead_script);
        REDIS(world, "ACL", "SETUSER", "default", "-eval", "-evalsha");
        by_watch = run_sequence(world, seed * 7919, &dead_watch);
        oracle_compare(by_script, by_watch);
        assert_int_equal(dead_script, dead_watch);
        json_decref(by_script);
        json_decref(by_watch);
    }
}

#define BOTH_WAYS(name)                                                        \
    cmocka_unit_test_setup_teardown(name, begin_world, end_world),             \
    {                                                                          \
#name " (WATCH)", name, begin_world_without_scripts, end_world, NULL   \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(a_call_made_twice_is_applied_once),
        BOTH_WAYS(another_checkpoint_than_expected_changes_nothing),
        BOTH_WAYS(each_operation_does_what_it_says),
        BOTH_WAYS(each_test_lets_through_what_it_says),
        BOTH_WAYS(what_is_done_once_is_left_out_the_second_time),
        BOTH_WAYS(sets_and_lists_are_written),
        BOTH_WAYS(a_key_of_another_type_stops_nothing),
        BOTH_WAYS(a_counter_at_its_end_stops_nothing),
        BOTH_WAYS(a_full_redis_writes_nothing_of_a_call),
        BOTH_WAYS(a_read_only_redis_closes_the_connection),
        BOTH_WAYS(somebodys_value_in_a_checkpoint_is_refused),
        BOTH_WAYS(a_wrong_type_in_a_checkpoint_names_its_key),
        BOTH_WAYS(a_right_that_is_missing_is_found_before_anything_is_written),
        BOTH_WAYS(a_key_without_rights_is_found_before_anything_is_written),
        cmocka_unit_test_setup_teardown(
            what_is_refused_behind_the_checkpoint_names_command_and_key,
            begin_world, end_world),
        cmocka_unit_test_setup_teardown(no_wait_goes_beyond_the_end,
                                        begin_world, end_world),
        BOTH_WAYS(adopting_wants_nobody_between),
        BOTH_WAYS(registering_overwrites_nothing),
        cmocka_unit_test_setup_teardown(watch_does_what_the_script_does,
                                        begin_world, end_world),
    };

    log_open("test_recorder_store", false, LOG_LEVEL_ERROR);
    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
