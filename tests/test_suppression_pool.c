#include "clock.h"
#include "fake_redis.h"
#include "lists_world.h"
#include "suppression_pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SKIP_TEST 77

static void suppression_find_waits_once_for_a_stopped_server(void **state)
{
    struct world *world = *state;
    struct news news;
    struct suppression *list;
    struct suppression_entry entry;
    struct error error = {""};
    int64_t total = 0;

    news_init(&news);
    list = lists_new(world->endpoint, DEADLINE, 2, &news);
    world_operate(world, "SET nixie:suppress:ann@example.org x");
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_FOUND);
    assert_int_equal(kill(redis_server_pid(world->server), SIGSTOP), 0);
    assert_in_range(lists_find_nothing(list, &error), DEADLINE - 1,
                    DEADLINE + SLACK);
    news_await(&news, 1, 0);
    assert_string_equal(news.cause, error.text);
    for (int i = 0; i < 1000; i++) {
        total += lists_find_nothing(list, &error);
    }
    assert_true(total < 500); /* no wait among them */
    assert_int_equal(kill(redis_server_pid(world->server), SIGCONT), 0);
    news_await(&news, 1, 1);
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_FOUND);
    suppression_free(list);
}

static void suppression_find_goes_on_after_a_quick_restart(void **state)
{
    struct world *world = *state;
    struct news news;
    struct suppression *list;
    struct suppression_entry entry;

    news_init(&news);
    list = lists_new(world->endpoint, TIMEOUT, 2, &news);
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_ABSENT);
    assert_true(redis_server_restart(world->server));
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_ABSENT);
    news_await(&news, 0, 0);
    suppression_free(list);
}

/*
 * A lookup of ann@example.org has eight keys: each connection dies under the
 * second lookup that uses it, which goes on with a new one.
 */
static void suppression_find_asks_again_when_the_link_dies(void **state)
{
    static const char none[] = "+none\r\n";
    struct fake_redis *fake = fake_redis_start(
        (struct fake_redis_script){FAKE_REDIS_TIRED, none, sizeof none - 1});
    struct redis_endpoint_options options = {
        .location = fake_redis_location(fake), .user = ""};
    struct error error = {""};
    struct redis_endpoint *endpoint = redis_endpoint_new(&options, &error);
    struct news news;
    struct suppression *list;
    struct suppression_entry entry;

    (void)state;
    news_init(&news);
    list = lists_new(endpoint, TIMEOUT, 1, &news);
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                         SUPPRESSION_ABSENT);
        assert_int_equal(fake_redis_connections(fake), i);
    }
    news_await(&news, 0, 0);
    suppression_free(list);
    redis_endpoint_free(endpoint);
    fake_redis_stop(fake);
}

/* The new connection has no third to follow it. */
static void suppression_find_fails_when_the_new_link_dies_too(void **state)
{
    static const char none[] = "+none\r\n";
    struct fake_redis *fake = fake_redis_start(
        (struct fake_redis_script){FAKE_REDIS_EACH, none, sizeof none - 1});
    struct redis_endpoint_options options = {
        .location = fake_redis_location(fake), .user = ""};
    struct error error = {""};
    struct redis_endpoint *endpoint = redis_endpoint_new(&options, &error);
    struct news news;
    struct suppression *list;
    struct suppression_entry entry;

    (void)state;
    news_init(&news);
    list = lists_new(endpoint, TIMEOUT, 1, &news);
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_ABSENT);
    fake_redis_say(fake, (struct fake_redis_script){FAKE_REDIS_CLOSE, "", 0});
    (void)lists_find_nothing(list, &error);
    assert_non_null(strstr(error.text, "closed the connection"));
    news_await(&news, 1, 0);
    fake_redis_say(fake, (struct fake_redis_script){FAKE_REDIS_EACH, none,
                                                    sizeof none - 1});
    news_await(&news, 1, 1);
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_ABSENT);
    suppression_free(list);
    redis_endpoint_free(endpoint);
    fake_redis_stop(fake);
}

static void suppression_find_comes_back_with_the_server(void **state)
{
    struct world *world = *state;
    struct news news;
    struct suppression *list;
    struct suppression_entry entry;
    struct error error = {""};

    news_init(&news);
    list = lists_new(world->endpoint, TIMEOUT, 2, &news);
    redis_server_kill(world->server);
    assert_true(lists_find_nothing(list, &error) <
                TIMEOUT); /* refused at once */
    news_await(&news, 1, 0);
    assert_non_null(strstr(news.cause, "connect unix:"));
    assert_true(redis_server_restart(world->server));
    news_await(&news, 1, 1);
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_ABSENT);
    suppression_free(list);
}

#define NESTED_8  "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
#define NESTED_40 NESTED_8 NESTED_8 NESTED_8 NESTED_8 NESTED_8
#define SCRIPT(x) x, sizeof(x) - 1

/* Each ends in time, opens the breaker, and a sane server closes it. */
static void suppression_find_survives_a_server_that_misbehaves(void **state)
{
    static const struct row {
        const char *name;
        enum fake_redis_manner manner;
        const char *bytes;
        size_t length;
        const char *says;
    } rows[] = {
        {"silence", FAKE_REDIS_ONCE, SCRIPT(""), "no answer"},
        {"dribble", FAKE_REDIS_DRIBBLE, SCRIPT("$99999\r\nx"), "no answer"},
        {"garbage", FAKE_REDIS_ONCE, SCRIPT("SSH-2.0-x\r\n"), "Protocol"},
        {"2^31 - 1 elements", FAKE_REDIS_ONCE, SCRIPT("*2147483647\r\n"),
         "too large"},
        {"bulk of ten digits", FAKE_REDIS_ONCE, SCRIPT("$9999999999\r\n"),
         "no answer"},
        {"nested 100 deep", FAKE_REDIS_ONCE,
         SCRIPT(NESTED_40 NESTED_40 NESTED_8 NESTED_8 "*1\r\n*1\r\n*1\r\n"
                                                      "*1\r\n"),
         "depth"},
        {"half a reply", FAKE_REDIS_CLOSE, SCRIPT("+no"), "closed"},
        {"hangs up", FAKE_REDIS_HANG_UP, SCRIPT(""), "redis"},
        {"another reply", FAKE_REDIS_EACH, SCRIPT(":1\r\n"), "unexpected"},
        {"a nil", FAKE_REDIS_EACH, SCRIPT("$-1\r\n"), "unexpected"},
        {"one answer of many", FAKE_REDIS_ONCE, SCRIPT("+none\r\n"),
         "no answer"},
        {"LOADING", FAKE_REDIS_EACH,
         SCRIPT("-LOADING Redis is loading the dataset in memory\r\n"),
         "TYPE refused: LOADING Redis is loading"},
        {"NOPERM", FAKE_REDIS_EACH, SCRIPT("-NOPERM no permissions\r\n"),
         "TYPE refused: NOPERM"},
        {"escapes", FAKE_REDIS_EACH, SCRIPT("-ERR \x1b[31m\"\r\n"),
         "TYPE refused: ERR \\x1b[31m\\x22"},
    };
    static const char none[] = "+none\r\n";

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake_redis *fake = fake_redis_start((struct fake_redis_script){
            rows[i].manner, rows[i].bytes, rows[i].length});
        struct redis_endpoint_options options = {
            .location = fake_redis_location(fake), .user = ""};
        struct error error = {""};
        struct redis_endpoint *endpoint = redis_endpoint_new(&options, &error);
        struct news news;
        struct suppression *list;
        struct suppression_entry entry;

        news_init(&news);
        list = lists_new(endpoint, DEADLINE, 2, &news);
        assert_true(lists_find_nothing(list, &error) < DEADLINE + SLACK);
        if (strstr(error.text, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].name, error.text);
        }
        news_await(&news, 1, 0);
        fake_redis_say(fake, (struct fake_redis_script){FAKE_REDIS_EACH, none,
                                                        sizeof none - 1});
        news_await(&news, 1, 1);
        assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                         SUPPRESSION_ABSENT);
        suppression_free(list);
        redis_endpoint_free(endpoint);
        fake_redis_stop(fake);
    }
}

/* A server that answers, but later than a lookup can wait for. */
static void suppression_breaker_stays_open_for_a_slow_server(void **state)
{
    static const char none[] = "+none\r\n";
    struct fake_redis *fake = fake_redis_start(
        (struct fake_redis_script){FAKE_REDIS_DRIBBLE, none, 7});
    struct redis_endpoint_options options = {
        .location = fake_redis_location(fake), .user = ""};
    struct error error = {""};
    struct redis_endpoint *endpoint = redis_endpoint_new(&options, &error);
    struct news news;
    struct suppression *list;
    unsigned before;

    (void)state;
    news_init(&news);
    list = lists_new(endpoint, 20, 1, &news); /* an answer takes 35 ms */
    (void)lists_find_nothing(list, &error);
    news_await(&news, 1, 0);
    before = fake_redis_connections(fake);
    while (fake_redis_connections(fake) < before + 3) { /* three probes */
        (void)lists_find_nothing(list, &error);
    }
    news_await(&news, 1, 0);
    fake_redis_say(fake, (struct fake_redis_script){FAKE_REDIS_EACH, none, 7});
    news_await(&news, 1, 1);
    suppression_free(list);
    redis_endpoint_free(endpoint);
    fake_redis_stop(fake);
}

static void suppression_find_keeps_what_it_knows_without_details(void **state)
{
    /* the first trip is answered, the second never */
    static const char some[] = "+none\r\n+hash\r\n+none\r\n+none\r\n"
                               "+none\r\n+none\r\n+none\r\n+none\r\n";
    struct fake_redis *fake = fake_redis_start(
        (struct fake_redis_script){FAKE_REDIS_ONCE, some, sizeof some - 1});
    struct redis_endpoint_options options = {
        .location = fake_redis_location(fake), .user = ""};
    struct error error = {""};
    struct redis_endpoint *endpoint = redis_endpoint_new(&options, &error);
    struct suppression *list = lists_new(endpoint, DEADLINE, 1, NULL);
    struct suppression_entry entry;

    (void)state;
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_ALLOWED);
    assert_string_equal(entry.key.text, "nixie:allow:ann@");
    assert_string_equal(entry.kind, "hash");
    assert_string_equal(entry.note, "");
    assert_true(entry.unread);
    suppression_free(list);
    redis_endpoint_free(endpoint);
    fake_redis_stop(fake);
}

/* Threads that share fewer connections than they are. */
struct crowd {
    struct suppression *list;
    unsigned number;
    unsigned wrong;
};

/* Any answer is right, if it comes: the server goes up and down meanwhile. */
static void *ask_anything(void *context)
{
    struct crowd *crowd = context;
    struct mailbox mailbox;

    (void)mailbox_parse(text_of("ann@example.org"), NULL, &mailbox);
    for (unsigned i = 0; i < 20000; i++) {
        struct suppression_entry entry;
        struct error error = {""};
        int64_t start = clock_monotonic_ms();
        enum suppression_result result =
            suppression_find(crowd->list, &mailbox, NULL, &entry, &error);

        if (result == SUPPRESSION_ALLOWED || result == SUPPRESSION_FOUND ||
            clock_monotonic_ms() - start > DEADLINE + 5 * SLACK) {
            crowd->wrong++;
        }
    }
    return NULL;
}

static void suppression_find_lives_through_restarts_in_threads(void **state)
{
    struct world *world = *state;
    struct news news;
    struct suppression *list;
    struct crowd crowds[8];
    pthread_t threads[8];
    struct suppression_entry entry;
    unsigned opened;

    news_init(&news);
    list = lists_new(world->endpoint, DEADLINE, 4, &news);
    for (unsigned i = 0; i < 8; i++) {
        crowds[i] = (struct crowd){.list = list, .number = i};
        assert_int_equal(
            pthread_create(&threads[i], NULL, ask_anything, &crowds[i]), 0);
    }
    for (int i = 0; i < 5; i++) {
        assert_true(redis_server_restart(world->server));
    }
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(crowds[i].wrong, 0);
    }
    /* opened and closed in turn, and closed in the end */
    (void)pthread_mutex_lock(&news.lock);
    opened = news.opened;
    (void)pthread_mutex_unlock(&news.lock);
    news_await(&news, opened, opened);
    (void)lists_find(list, "ann@example.org", NULL, &entry);
    suppression_free(list);
}

static void suppression_free_does_not_wait_for_a_dead_server(void **state)
{
    struct world *world = *state;
    struct news news;
    struct suppression *list;
    struct error error = {""};
    int64_t start;

    news_init(&news);
    list = lists_new(world->endpoint, DEADLINE, 1, &news);
    assert_int_equal(kill(redis_server_pid(world->server), SIGSTOP), 0);
    (void)lists_find_nothing(list, &error);
    news_await(&news, 1, 0);
    start = clock_monotonic_ms();
    suppression_free(list);
    assert_true(clock_monotonic_ms() - start < 1000 + SLACK);
    assert_int_equal(kill(redis_server_pid(world->server), SIGCONT), 0);
}

static struct suppression_pool *pool_new(struct redis_endpoint *endpoint,
                                         int connections, struct news *news)
{
    struct suppression_options options = {
        .endpoint = endpoint,
        .key_prefix = "nixie:",
        .timeout_ms = TIMEOUT,
        .connections = connections,
        .store_changed = news_take,
        .context = news,
    };
    struct error error = {""};
    struct suppression_pool *pool = suppression_pool_new(&options, &error);

    assert_string_equal(error.text, "");
    assert_non_null(pool);
    return pool;
}

static void take_open(struct suppression_pool *pool,
                      struct suppression_loan *loan)
{
    struct error error = {""};
    int64_t deadline_ms = clock_monotonic_ms() + SOON;

    assert_true(suppression_pool_take(pool, deadline_ms, loan, &error));
    assert_true(redis_link_open(loan->link, deadline_ms, &error));
}

static void suppression_pool_closes_links_from_before_an_outage(void **state)
{
    struct world *world = *state;
    struct error cause = {"as if"};
    struct news news;
    struct suppression_pool *pool;
    struct suppression_loan loan;

    news_init(&news);
    pool = pool_new(world->endpoint, 1, &news);
    take_open(pool, &loan);
    suppression_pool_give(pool, &loan);
    assert_true(
        suppression_pool_take(pool, clock_monotonic_ms() + SOON, &loan, NULL));
    assert_true(redis_link_is_open(loan.link)); /* kept */
    suppression_pool_fail(pool, &loan, &cause);
    suppression_pool_give(pool, &loan);
    news_await(&news, 1, 1);
    assert_true(
        suppression_pool_take(pool, clock_monotonic_ms() + SOON, &loan, NULL));
    assert_false(redis_link_is_open(loan.link));
    suppression_pool_give(pool, &loan);
    suppression_pool_free(pool);
}

static void suppression_pool_ignores_a_failure_of_another_era(void **state)
{
    struct world *world = *state;
    struct error cause = {"as if"};
    struct news news;
    struct suppression_pool *pool;
    struct suppression_loan early;
    struct suppression_loan late;

    news_init(&news);
    pool = pool_new(world->endpoint, 2, &news);
    take_open(pool, &early);
    take_open(pool, &late);
    suppression_pool_fail(pool, &early, &cause);
    suppression_pool_give(pool, &early);
    news_await(&news, 1, 1);
    suppression_pool_fail(pool, &late, &cause);
    suppression_pool_give(pool, &late);
    take_open(pool, &late); /* the breaker is closed */
    suppression_pool_give(pool, &late);
    suppression_pool_free(pool);
    assert_int_equal(news.opened, 1);
}

static void suppression_pool_take_gives_up_when_all_are_busy(void **state)
{
    struct world *world = *state;
    struct news news;
    struct suppression_pool *pool;
    struct suppression_loan loan;
    struct suppression_loan more;
    struct error error = {""};
    int64_t start = clock_monotonic_ms();

    news_init(&news);
    pool = pool_new(world->endpoint, 1, &news);
    take_open(pool, &loan);
    assert_false(suppression_pool_take(pool, start + 30, &more, &error));
    assert_string_equal(error.text, "redis: all 1 connections are busy");
    assert_in_range(clock_monotonic_ms() - start, 30, 30 + SLACK);
    suppression_pool_give(pool, &loan);
    take_open(pool, &more);
    suppression_pool_give(pool, &more);
    suppression_pool_free(pool);
    assert_int_equal(news.opened, 0);
}

#define WITH_EMPTY(test) cmocka_unit_test_setup(test, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EMPTY(suppression_find_waits_once_for_a_stopped_server),
        WITH_EMPTY(suppression_find_goes_on_after_a_quick_restart),
        WITH_EMPTY(suppression_find_asks_again_when_the_link_dies),
        WITH_EMPTY(suppression_find_fails_when_the_new_link_dies_too),
        WITH_EMPTY(suppression_find_comes_back_with_the_server),
        WITH_EMPTY(suppression_find_survives_a_server_that_misbehaves),
        WITH_EMPTY(suppression_breaker_stays_open_for_a_slow_server),
        WITH_EMPTY(suppression_find_keeps_what_it_knows_without_details),
        WITH_EMPTY(suppression_find_lives_through_restarts_in_threads),
        WITH_EMPTY(suppression_free_does_not_wait_for_a_dead_server),
        WITH_EMPTY(suppression_pool_closes_links_from_before_an_outage),
        WITH_EMPTY(suppression_pool_ignores_a_failure_of_another_era),
        WITH_EMPTY(suppression_pool_take_gives_up_when_all_are_busy),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, world_start, world_stop);
}
