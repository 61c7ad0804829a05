#include "clock.h"
#include "lists_world.h"
#include "redis_link.h"
#include "unclassified.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SKIP_TEST 77
#define TEXTS     "nixie:unclassified"
#define EXAMPLES  "nixie:unclassified:example"
#define FLUSH_MS  2000 /* of the contract */

/* --- what Redis has ---------------------------------------------------- */

static redisReply *ask(struct world *world, size_t argc,
                       const char *const *argv, const size_t *lengths)
{
    struct error error = {""};
    int64_t deadline_ms = clock_monotonic_ms() + SOON;
    redisReply *reply;

    assert_true(redis_link_open(world->redis_cli, deadline_ms, &error));
    reply = redis_link_ask(world->redis_cli, deadline_ms, &error, argc, argv,
                           lengths);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    return reply;
}

/* -1: no such text. */
static long long count_of(struct world *world, struct text text)
{
    const char *argv[] = {"ZSCORE", TEXTS, text.bytes};
    const size_t lengths[] = {6, sizeof TEXTS - 1, text.length};
    redisReply *reply = ask(world, 3, argv, lengths);
    long long count = -1;

    if (reply->type == REDIS_REPLY_STRING) {
        count = strtoll(reply->str, NULL, 10);
    }
    freeReplyObject(reply);
    return count;
}

static void check_example(struct world *world, struct text text,
                          struct text example)
{
    const char *argv[] = {"HGET", EXAMPLES, text.bytes};
    const size_t lengths[] = {4, sizeof EXAMPLES - 1, text.length};
    redisReply *reply = ask(world, 3, argv, lengths);

    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    assert_int_equal(reply->len, example.length);
    if (example.length > 0) {
        assert_memory_equal(reply->str, example.bytes, example.length);
    }
    freeReplyObject(reply);
}

static long long size_of(struct world *world, const char *verb, const char *key)
{
    const char *argv[] = {verb, key};
    redisReply *reply = ask(world, 2, argv, NULL);
    long long size;

    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    size = reply->integer;
    freeReplyObject(reply);
    return size;
}

/* --- what the tests begin with ----------------------------------------- */

static struct unclassified *start(struct world *world)
{
    struct unclassified *unclassified =
        unclassified_new(world->endpoint, "nixie:");

    assert_non_null(unclassified);
    return unclassified;
}

static void add(struct unclassified *unclassified, const char *text, int times)
{
    for (int i = 0; i < times; i++) {
        unclassified_add(unclassified, text_of(text), text_of("as it came"));
    }
}

static void flush(struct unclassified *unclassified)
{
    struct error error = {""};
    bool flushed = unclassified_flush(unclassified, &error);

    assert_string_equal(error.text, "");
    assert_true(flushed);
}

static void flush_fails(struct unclassified *unclassified, const char *words)
{
    struct error error = {""};

    assert_false(unclassified_flush(unclassified, &error));
    if (strstr(error.text, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, error.text);
    }
}

/* ----------------------------------------------------------------------- */

static void
unclassified_flush_counts_texts_and_keeps_the_first_example(void **state)
{
    struct world *world = *state;
    struct unclassified *unclassified = start(world);

    unclassified_add(unclassified, text_of("gone fishing"),
                     text_of("550 Gone fishing"));
    unclassified_add(unclassified, text_of("gone fishing"),
                     text_of("551 gone Fishing"));
    unclassified_add(unclassified, text_of("no"), text_of(NULL));
    assert_int_equal(size_of(world, "EXISTS", TEXTS), 0);
    flush(unclassified);
    assert_int_equal(count_of(world, text_of("gone fishing")), 2);
    assert_int_equal(count_of(world, text_of("no")), 1);
    unclassified_add(unclassified, text_of("gone fishing"),
                     text_of("552 GONE FISHING"));
    flush(unclassified);
    flush(unclassified);
    assert_int_equal(count_of(world, text_of("gone fishing")), 3);
    check_example(world, text_of("gone fishing"), text_of("550 Gone fishing"));
    check_example(world, text_of("no"), text_of(""));
    assert_int_equal(size_of(world, "ZCARD", TEXTS), 2);
    assert_int_equal(size_of(world, "HLEN", EXAMPLES), 2);
    unclassified_free(unclassified);
}

static void unclassified_add_takes_any_bytes(void **state)
{
    static char long_text[65536]; /* of "a" */
    static char wide_text[1024];  /* of U+20AC, 3 bytes each */
    static char odd_text[1024];   /* of continuation bytes */
    const struct row {
        const char *name;
        struct text text;
        size_t kept; /* 0: it is not taken */
    } rows[] = {
        {"empty", {"", 0}, 0},
        {"unknown", {NULL, 0}, 0},
        {"a NUL", {"a\0b", 3}, 3},
        {"line ends", {"a\r\n$3\r\nDEL\r\n", 12}, 12},
        {"no UTF-8", {"\xff\xfe\xc3", 3}, 3},
        {"as long as may be", {long_text, UNCLASSIFIED_TEXT_MAX}, 512},
        {"64 KiB", {long_text, sizeof long_text}, 512},
        {"no half character", {wide_text, sizeof wide_text}, 510},
        {"no character", {odd_text, sizeof odd_text}, 512},
    };
    struct world *world = *state;

    memset(long_text, 'a', sizeof long_text);
    memset(odd_text, '\x80', sizeof odd_text);
    for (size_t i = 0; i < sizeof wide_text; i++) {
        wide_text[i] = "\xe2\x82\xac"[i % 3];
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct unclassified *unclassified = start(world);
        struct text kept = {rows[i].text.bytes, rows[i].kept};

        world_operate(world, "FLUSHALL");
        unclassified_add(unclassified, rows[i].text, rows[i].text);
        flush(unclassified);
        if (size_of(world, "ZCARD", TEXTS) != (rows[i].kept > 0)) {
            fail_msg("%s", rows[i].name);
        }
        if (rows[i].kept > 0) {
            if (count_of(world, kept) != 1) {
                fail_msg("%s", rows[i].name);
            }
            check_example(world, kept, kept);
        }
        unclassified_free(unclassified);
    }
}

static void unclassified_keeps_what_redis_did_not_take(void **state)
{
    struct world *world = *state;
    struct unclassified *unclassified = start(world);

    add(unclassified, "one", 2);
    redis_server_kill(world->server);
    flush_fails(unclassified, "");
    add(unclassified, "one", 1);
    add(unclassified, "two", 1);
    flush_fails(unclassified, "");
    assert_true(redis_server_restart(world->server));
    flush(unclassified);
    assert_int_equal(count_of(world, text_of("one")), 3);
    assert_int_equal(count_of(world, text_of("two")), 1);
    /* over a connection that the server has closed meanwhile */
    assert_true(redis_server_restart(world->server));
    add(unclassified, "three", 1);
    flush(unclassified);
    assert_int_equal(count_of(world, text_of("three")), 1);
    unclassified_free(unclassified);
}

static void unclassified_flush_asks_nobody_when_nothing_is_held(void **state)
{
    struct world *world = *state;
    struct unclassified *unclassified = start(world);

    redis_server_kill(world->server);
    flush(unclassified);
    assert_true(redis_server_restart(world->server));
    unclassified_free(unclassified);
}

static void unclassified_holds_so_many_and_drops_the_rarest(void **state)
{
    struct world *world = *state;
    struct unclassified *unclassified = start(world);
    char text[32];

    add(unclassified, "first and rare", 1);
    add(unclassified, "first and frequent", 2);
    for (int i = 0; i < 10 * UNCLASSIFIED_HELD; i++) {
        (void)snprintf(text, sizeof text, "text %d", i);
        add(unclassified, text, 1);
    }
    flush(unclassified);
    assert_int_equal(size_of(world, "ZCARD", TEXTS), UNCLASSIFIED_HELD);
    assert_int_equal(size_of(world, "HLEN", EXAMPLES), UNCLASSIFIED_HELD);
    assert_int_equal(count_of(world, text_of("first and frequent")), 2);
    assert_int_equal(count_of(world, text_of("first and rare")), -1);
    assert_int_equal(count_of(world, text_of(text)), 1);
    unclassified_free(unclassified);
}

static void
unclassified_flush_trims_both_keys_to_the_most_frequent(void **state)
{
    struct world *world = *state;
    struct unclassified *unclassified = start(world);
    char text[32];

    for (int i = 0; i < UNCLASSIFIED_MAX + 300; i++) {
        (void)snprintf(text, sizeof text, "text %04d", i);
        add(unclassified, text, i < UNCLASSIFIED_MAX ? 2 : 1);
        if (i % 100 == 99) {
            flush(unclassified);
        }
    }
    assert_int_equal(size_of(world, "ZCARD", TEXTS), UNCLASSIFIED_MAX);
    assert_int_equal(size_of(world, "HLEN", EXAMPLES), UNCLASSIFIED_MAX);
    assert_int_equal(count_of(world, text_of(text)), -1);
    add(unclassified, text, 3);
    flush(unclassified);
    assert_int_equal(size_of(world, "ZCARD", TEXTS), UNCLASSIFIED_MAX);
    assert_int_equal(size_of(world, "HLEN", EXAMPLES), UNCLASSIFIED_MAX);
    assert_int_equal(count_of(world, text_of(text)), 3);
    assert_int_equal(count_of(world, text_of("text 0000")), -1);
    check_example(world, text_of("text 0001"), text_of("as it came"));
    unclassified_free(unclassified);
}

/* In parts: as much as somebody put in could not be answered in time. */
static void unclassified_flush_ends_with_far_too_many_in_redis(void **state)
{
    const char *plant[] = {"EVAL",
                           "for i = 1, 2500 do redis.call('ZADD', KEYS[1], "
                           "0.5, 'planted ' .. i) end",
                           "1", TEXTS};
    struct world *world = *state;
    struct unclassified *unclassified = start(world);

    world_operate_bytes(world, 4, plant, NULL);
    add(unclassified, "one", 1);
    flush(unclassified);
    assert_int_equal(size_of(world, "ZCARD", TEXTS), 1501);
    add(unclassified, "one", 1);
    flush(unclassified);
    assert_int_equal(size_of(world, "ZCARD", TEXTS), UNCLASSIFIED_MAX);
    assert_int_equal(count_of(world, text_of("one")), 2);
    unclassified_free(unclassified);
}

static void unclassified_flush_tells_of_a_key_of_somebody_else(void **state)
{
    struct world *world = *state;
    struct unclassified *unclassified = start(world);

    world_operate(world, "SET " TEXTS " mine");
    add(unclassified, "one", 1);
    flush_fails(unclassified, "ZINCRBY: WRONGTYPE");
    flush_fails(unclassified, "ZINCRBY: WRONGTYPE");
    assert_int_equal(size_of(world, "EXISTS", EXAMPLES), 0);
    world_operate(world, "DEL " TEXTS);
    flush(unclassified);
    assert_int_equal(count_of(world, text_of("one")), 1);
    check_example(world, text_of("one"), text_of("as it came"));

    world_operate(world, "DEL " EXAMPLES);
    world_operate(world, "SET " EXAMPLES " mine");
    add(unclassified, "one", 1);
    flush_fails(unclassified, "HSETNX: WRONGTYPE");
    flush(unclassified); /* it was counted, and is not again */
    assert_int_equal(count_of(world, text_of("one")), 2);
    unclassified_free(unclassified);
}

/* --- threads ----------------------------------------------------------- */

struct crowd {
    struct unclassified *unclassified;
    atomic_bool *stop; /* NULL: as often as below */
    int64_t slowest_ms;
};

#define ADDS  20000
#define KINDS 50

static void *add_often(void *context)
{
    struct crowd *crowd = context;
    char text[32];

    for (int i = 0; crowd->stop == NULL ? i < ADDS : !atomic_load(crowd->stop);
         i++) {
        int64_t before_ms = clock_monotonic_ms();

        (void)snprintf(text, sizeof text, "text %d", i % KINDS);
        unclassified_add(crowd->unclassified, text_of(text), text_of(text));
        if (clock_monotonic_ms() - before_ms > crowd->slowest_ms) {
            crowd->slowest_ms = clock_monotonic_ms() - before_ms;
        }
    }
    return NULL;
}

static void unclassified_loses_nothing_among_threads(void **state)
{
    struct world *world = *state;
    struct unclassified *unclassified = start(world);
    struct crowd crowds[4] = {{0}};
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        crowds[i].unclassified = unclassified;
        assert_int_equal(
            pthread_create(&threads[i], NULL, add_often, &crowds[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        flush(unclassified);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    flush(unclassified);
    assert_int_equal(size_of(world, "ZCARD", TEXTS), KINDS);
    for (int i = 0; i < KINDS; i++) {
        char text[32];

        (void)snprintf(text, sizeof text, "text %d", i);
        assert_int_equal(count_of(world, text_of(text)), 4 * ADDS / KINDS);
    }
    unclassified_free(unclassified);
}

static void unclassified_add_does_not_wait_for_a_stopped_server(void **state)
{
    struct world *world = *state;
    struct unclassified *unclassified = start(world);
    atomic_bool stop = false;
    struct crowd crowd = {.unclassified = unclassified, .stop = &stop};
    pthread_t thread;
    int64_t before_ms;

    add(unclassified, "one", 1);
    flush(unclassified);
    add(unclassified, "one", 1);
    assert_int_equal(kill(redis_server_pid(world->server), SIGSTOP), 0);
    assert_int_equal(pthread_create(&thread, NULL, add_often, &crowd), 0);
    before_ms = clock_monotonic_ms();
    flush_fails(unclassified, "");
    assert_in_range(clock_monotonic_ms() - before_ms, FLUSH_MS - 1,
                    FLUSH_MS + SLACK);
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(kill(redis_server_pid(world->server), SIGCONT), 0);
    assert_true(crowd.slowest_ms < SLACK);
    flush(unclassified);
    /* whether the answer was lost on the way there or back is unknown */
    assert_in_range(count_of(world, text_of("one")), 2, 3);
    unclassified_free(unclassified);
}

static void unclassified_new_refuses_a_prefix_that_fits_no_key(void **state)
{
    struct world *world = *state;
    char prefix[STORE_KEY_MAX];

    memset(prefix, 'x', sizeof prefix - 1);
    prefix[sizeof prefix - 1] = '\0';
    assert_null(unclassified_new(world->endpoint, prefix));
    unclassified_free(NULL);
}

#define WITH_EMPTY(test) cmocka_unit_test_setup(test, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EMPTY(unclassified_flush_counts_texts_and_keeps_the_first_example),
        WITH_EMPTY(unclassified_add_takes_any_bytes),
        WITH_EMPTY(unclassified_keeps_what_redis_did_not_take),
        WITH_EMPTY(unclassified_flush_asks_nobody_when_nothing_is_held),
        WITH_EMPTY(unclassified_holds_so_many_and_drops_the_rarest),
        WITH_EMPTY(unclassified_flush_trims_both_keys_to_the_most_frequent),
        WITH_EMPTY(unclassified_flush_ends_with_far_too_many_in_redis),
        WITH_EMPTY(unclassified_flush_tells_of_a_key_of_somebody_else),
        WITH_EMPTY(unclassified_loses_nothing_among_threads),
        WITH_EMPTY(unclassified_add_does_not_wait_for_a_stopped_server),
        WITH_EMPTY(unclassified_new_refuses_a_prefix_that_fits_no_key),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests_name("unclassified", tests, world_start,
                                       world_stop);
}
