#include "clock.h"
#include "fake_redis.h"
#include "lists_world.h"
#include "suppression.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SKIP_TEST 77
#define ROOMY     ((size_t)16 * 1024 * 1024)
#define PROMPT_MS 10 /* when a change must act */

/* ---- a list with a cache
 * ------------------------------------------------------ */

static struct suppression *tracked(struct redis_endpoint *endpoint,
                                   size_t memory,
                                   const struct suppression_listener *listener)
{
    struct suppression_options options = {
        .endpoint = endpoint,
        .key_prefix = "nixie:",
        .timeout_ms = TIMEOUT,
        .connections = 4,
        .cache_memory = memory,
    };
    struct error error = {""};
    struct suppression *list;

    if (listener != NULL) {
        options.listener = *listener;
    }
    list = suppression_new(&options, &error);
    assert_string_equal(error.text, "");
    assert_non_null(list);
    return list;
}

static struct suppression_cache_state state_of(const struct suppression *list)
{
    struct suppression_cache_state state;

    suppression_cache_state(list, &state);
    return state;
}

static void yield_a_moment(void)
{
    const struct timespec moment = {0, 100000};

    (void)nanosleep(&moment, NULL);
}

static void await_status(const struct suppression *list,
                         enum suppression_cache_status status)
{
    int64_t end_ms = clock_monotonic_ms() + SOON;

    while (state_of(list).status != status) {
        if (clock_monotonic_ms() > end_ms) {
            fail_msg("still %s",
                     suppression_cache_status_name(state_of(list).status));
        }
        yield_a_moment();
    }
}

static void await_load(const struct suppression *list, uint64_t loads)
{
    int64_t end_ms = clock_monotonic_ms() + SOON;

    while (state_of(list).loads < loads) {
        assert_true(clock_monotonic_ms() < end_ms);
        yield_a_moment();
    }
    await_status(list, SUPPRESSION_CACHE_CURRENT);
}

static void await_entries(const struct suppression *list, size_t entries)
{
    int64_t end_ms = clock_monotonic_ms() + SOON;

    while (state_of(list).entries != entries) {
        assert_true(clock_monotonic_ms() < end_ms);
        yield_a_moment();
    }
}

static enum suppression_result find(struct suppression *list,
                                    const char *address,
                                    struct suppression_entry *entry)
{
    struct mailbox mailbox = lists_mailbox(address);
    struct error error = {""};

    return suppression_find(list, &mailbox, NULL, entry, &error);
}

/* How long it took until the lookup gave that. */
static int64_t await_result(struct suppression *list, const char *address,
                            enum suppression_result wanted)
{
    struct suppression_entry entry;
    int64_t start = clock_monotonic_ms();

    while (find(list, address, &entry) != wanted) {
        if (clock_monotonic_ms() - start > SOON) {
            fail_msg("%s: not %d", address, (int)wanted);
        }
    }
    return clock_monotonic_ms() - start;
}

/* DOES one thing to the keys of u1@x.org, u2@x.org, … in one command. */
#define ALL_KEYS(range, does) "for i=" range " do redis.call(" does " end"
#define KEY                   "'nixie:suppress:u'..i..'@x.org'"

static void evaluate(struct world *world, const char *script)
{
    const char *words[] = {"EVAL", script, "0"};

    world_operate_bytes(world, 3, words, NULL);
}

static void freeze(struct world *world)
{
    assert_int_equal(kill(redis_server_pid(world->server), SIGSTOP), 0);
}

static void thaw(struct world *world)
{
    assert_int_equal(kill(redis_server_pid(world->server), SIGCONT), 0);
}

/* ---- where answers come from
 * ---------------------------------------------------- */

static void track_answers_misses_while_redis_is_stopped(void **state)
{
    struct world *world = *state;
    struct suppression *list;
    struct suppression_entry entry;
    int64_t start;

    world_operate(world, "SET nixie:suppress:ann@example.org x");
    world_operate(world, "SET nixie:suppress:@.example.net x");
    world_operate(world, "SET nixie:allow:bob@a.example.net x");
    list = tracked(world->endpoint, ROOMY, NULL);
    await_load(list, 1);
    assert_int_equal(state_of(list).entries, 3);
    freeze(world);
    start = clock_monotonic_ms();
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(find(list, "eve@example.org", &entry),
                         SUPPRESSION_ABSENT);
    }
    assert_true(clock_monotonic_ms() - start < TIMEOUT);
    assert_int_equal(find(list, "ann@example.org", &entry),
                     SUPPRESSION_UNAVAILABLE);
    assert_int_equal(entry.last_known, SUPPRESSION_FOUND);
    assert_string_equal(entry.pattern.text, "ann@example.org");
    assert_string_equal(entry.reason, "");
    await_status(list, SUPPRESSION_CACHE_STALE);
    assert_int_equal(find(list, "eve@example.org", &entry),
                     SUPPRESSION_UNAVAILABLE);
    assert_int_equal(entry.last_known, SUPPRESSION_ABSENT);
    assert_true(entry.age_seconds >= 2);
    assert_int_equal(find(list, "eve@b.a.example.net", &entry),
                     SUPPRESSION_UNAVAILABLE);
    assert_int_equal(entry.last_known, SUPPRESSION_FOUND);
    assert_string_equal(entry.key.text, "nixie:suppress:@.example.net");
    assert_int_equal(find(list, "bob@a.example.net", &entry),
                     SUPPRESSION_UNAVAILABLE);
    assert_int_equal(entry.last_known, SUPPRESSION_ALLOWED);
    thaw(world);
    await_status(list, SUPPRESSION_CACHE_CURRENT);
    (void)await_result(list, "ann@example.org", SUPPRESSION_FOUND);
    suppression_free(list);
}

static void track_tells_nothing_that_it_never_knew(void **state)
{
    struct world *world = *state;
    struct suppression *list;
    struct suppression_entry entry;

    world_operate(world, "SET nixie:suppress:ann@example.org x");
    redis_server_kill(world->server);
    list = tracked(world->endpoint, ROOMY, NULL);
    assert_int_equal(find(list, "ann@example.org", &entry),
                     SUPPRESSION_UNAVAILABLE);
    assert_int_equal(entry.last_known, SUPPRESSION_UNAVAILABLE);
    assert_int_equal(state_of(list).status, SUPPRESSION_CACHE_LOADING);
    assert_true(redis_server_restart(world->server));
    await_load(list, 1);
    (void)await_result(list, "ann@example.org", SUPPRESSION_ABSENT);
    suppression_free(list);
}

/* ---- changes
 * --------------------------------------------------------------------- */

static const struct change_row {
    const char *command;
    const char *address;
    enum suppression_result result;
} change_rows[] = {
    {"SET nixie:suppress:a@example.org x", "a@example.org", SUPPRESSION_FOUND},
    {"DEL nixie:suppress:a@example.org", "a@example.org", SUPPRESSION_ABSENT},
    {"HSET nixie:suppress:@example.org reason x", "a@example.org",
     SUPPRESSION_FOUND},
    {"SET nixie:allow:a@example.org x", "a@example.org", SUPPRESSION_ALLOWED},
    {"UNLINK nixie:allow:a@example.org", "a@example.org", SUPPRESSION_FOUND},
    {"HDEL nixie:suppress:@example.org reason", "a@example.org",
     SUPPRESSION_ABSENT},
    {"SADD nixie:suppress:b@ x", "b@example.org", SUPPRESSION_FOUND},
    {"RENAME nixie:suppress:b@ nixie:suppress:c@", "c@example.org",
     SUPPRESSION_FOUND},
    {"EXISTS x", "b@example.org", SUPPRESSION_ABSENT},
    {"RENAME nixie:suppress:c@ elsewhere", "c@example.org", SUPPRESSION_ABSENT},
    {"COPY elsewhere nixie:suppress:d@", "d@example.org", SUPPRESSION_FOUND},
    {"MOVE nixie:suppress:d@ 3", "d@example.org", SUPPRESSION_ABSENT},
    {"EVAL return(redis.call('SET','nixie:suppress:e@','x')) 0",
     "e@example.org", SUPPRESSION_FOUND},
    {"PEXPIRE nixie:suppress:e@ 1", "e@example.org", SUPPRESSION_ABSENT},
    {"SET nixie:suppress:f@example.org x PX 30", "f@example.org",
     SUPPRESSION_FOUND},
    {"EXISTS x", "f@example.org", SUPPRESSION_ABSENT},
    {"SET nixie:suppress@news:g@example.org x", "g@example.org",
     SUPPRESSION_ABSENT},
    {"SELECT 1", "h@example.org", SUPPRESSION_ABSENT},
    {"SET nixie:suppress:h@example.org x", "h@example.org", SUPPRESSION_ABSENT},
    {"FLUSHDB", "h@example.org", SUPPRESSION_ABSENT},
    {"SELECT 0", "h@example.org", SUPPRESSION_ABSENT},
    {"SET nixie:suppress:i@example.org x", "i@example.org", SUPPRESSION_FOUND},
    {"FLUSHALL", "i@example.org", SUPPRESSION_ABSENT},
    {"SET nixie:suppress:i@example.org x", "i@example.org", SUPPRESSION_FOUND},
    {"FLUSHDB ASYNC", "i@example.org", SUPPRESSION_ABSENT},
};

static void track_follows_each_way_to_change_a_key(void **state)
{
    struct world *world = *state;
    struct suppression *list = tracked(world->endpoint, ROOMY, NULL);

    await_load(list, 1);
    for (size_t i = 0; i < sizeof change_rows / sizeof change_rows[0]; i++) {
        int64_t took;

        world_operate(world, change_rows[i].command);
        took =
            await_result(list, change_rows[i].address, change_rows[i].result);
        if (took > SLACK) {
            fail_msg("%s: acted after %d ms", change_rows[i].command,
                     (int)took);
        }
    }
    assert_int_equal(state_of(list).breaks, 0);
    await_entries(list, 0);
    suppression_free(list);
}

static void track_acts_on_a_change_within_10_ms(void **state)
{
    struct world *world = *state;
    struct suppression *list = tracked(world->endpoint, ROOMY, NULL);
    unsigned late = 0;

    await_load(list, 1);
    for (int i = 0; i < 200; i++) {
        world_operate(world, "SET nixie:suppress:ann@example.org x");
        late += await_result(list, "ann@example.org", SUPPRESSION_FOUND) >
                PROMPT_MS;
        world_operate(world, "DEL nixie:suppress:ann@example.org");
        late += await_result(list, "ann@example.org", SUPPRESSION_ABSENT) >
                PROMPT_MS;
    }
    assert_true(late < 20); /* of 400: when others have the processors */
    suppression_free(list);
}

/* Many at once: names come faster than questions are answered. */
static void track_takes_a_change_of_100000_keys(void **state)
{
    struct world *world = *state;
    struct suppression *list = tracked(world->endpoint, ROOMY, NULL);

    await_load(list, 1);
    evaluate(world, ALL_KEYS("1,100000", "'SET'," KEY ",'x')"));
    await_entries(list, 100000);
    evaluate(world, ALL_KEYS("1,100000,2", "'DEL'," KEY ")"));
    (void)await_result(list, "u1@x.org", SUPPRESSION_ABSENT);
    (void)await_result(list, "u2@x.org", SUPPRESSION_FOUND);
    await_entries(list, 50000);
    assert_int_equal(state_of(list).loads, 1);
    suppression_free(list);
    list = tracked(world->endpoint, ROOMY, NULL);
    await_load(list, 1);
    assert_int_equal(state_of(list).entries, 50000);
    suppression_free(list);
}

/* ---- what breaks
 * ------------------------------------------------------------------ */

static void track_comes_back_when_its_links_are_killed(void **state)
{
    static const char *const kills[] = {
        "CLIENT KILL TYPE pubsub",
        "CLIENT KILL TYPE normal SKIPME yes",
    };
    struct world *world = *state;
    struct suppression *list = tracked(world->endpoint, ROOMY, NULL);

    await_load(list, 1);
    for (size_t i = 0; i < 2; i++) {
        uint64_t loads = state_of(list).loads;

        world_operate(world, "SET nixie:suppress:ann@example.org x");
        (void)await_result(list, "ann@example.org", SUPPRESSION_FOUND);
        world_operate(world, kills[i]);
        world_operate(world, "DEL nixie:suppress:ann@example.org");
        world_operate(world, "SET nixie:suppress:bob@example.org x");
        await_load(list, loads + 1);
        assert_int_equal(state_of(list).entries, 1);
        (void)await_result(list, "ann@example.org", SUPPRESSION_ABSENT);
        (void)await_result(list, "bob@example.org", SUPPRESSION_FOUND);
        world_operate(world, "DEL nixie:suppress:bob@example.org");
        (void)await_result(list, "bob@example.org", SUPPRESSION_ABSENT);
    }
    assert_true(state_of(list).breaks >= 2);
    suppression_free(list);
}

static void track_keeps_the_last_list_until_redis_is_back(void **state)
{
    struct world *world = *state;
    struct suppression *list;
    struct suppression_entry entry;

    world_operate(world, "SET nixie:suppress:ann@example.org x");
    list = tracked(world->endpoint, ROOMY, NULL);
    await_load(list, 1);
    redis_server_kill(world->server);
    await_status(list, SUPPRESSION_CACHE_STALE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(find(list, "ann@example.org", &entry),
                         SUPPRESSION_UNAVAILABLE);
        assert_int_equal(entry.last_known, SUPPRESSION_FOUND);
        assert_int_equal(find(list, "eve@example.org", &entry),
                         SUPPRESSION_UNAVAILABLE);
        assert_int_equal(entry.last_known, SUPPRESSION_ABSENT);
    }
    assert_true(redis_server_restart(world->server)); /* and it is empty */
    await_load(list, 2);
    assert_int_equal(state_of(list).entries, 0);
    (void)await_result(list, "ann@example.org", SUPPRESSION_ABSENT);
    suppression_free(list);
}

static void track_is_off_where_the_list_is_too_large(void **state)
{
    struct world *world = *state;
    struct suppression *list =
        tracked(world->endpoint, (size_t)4 * 1024 * 1024, NULL);
    struct suppression_entry entry;

    await_load(list, 1);
    evaluate(world, ALL_KEYS("1,600000", "'SET'," KEY ",'x')"));
    await_status(list, SUPPRESSION_CACHE_OFF);
    assert_int_equal(find(list, "u1@x.org", &entry), SUPPRESSION_FOUND);
    assert_int_equal(find(list, "u0@x.org", &entry), SUPPRESSION_ABSENT);
    suppression_free(list);
}

static void track_is_off_where_redis_refuses_it(void **state)
{
    static const char *const rules[] = {
        "ACL SETUSER strict on nopass ~nixie:* &* +@all -client|tracking",
        "ACL SETUSER strict on nopass ~nixie:* resetchannels +@all",
        "ACL SETUSER strict on nopass ~nixie:* &* +@all -scan",
    };
    struct world *world = *state;
    struct redis_endpoint_options options = {
        .location = redis_server_location(world->server),
        .user = "strict",
        .password_file = "",
    };

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct error error;
        struct redis_endpoint *endpoint;
        struct suppression_entry entry;
        struct suppression *list;

        world_operate(world, "ACL DELUSER strict");
        world_operate(world, rules[i]);
        endpoint = redis_endpoint_new(&options, &error);
        assert_non_null(endpoint);
        list = tracked(endpoint, ROOMY, NULL);
        await_status(list, SUPPRESSION_CACHE_OFF);
        world_operate(world, "SET nixie:suppress:ann@example.org x");
        assert_int_equal(find(list, "ann@example.org", &entry),
                         SUPPRESSION_FOUND);
        world_operate(world, "DEL nixie:suppress:ann@example.org");
        assert_int_equal(find(list, "ann@example.org", &entry),
                         SUPPRESSION_ABSENT);
        suppression_free(list);
        redis_endpoint_free(endpoint);
    }
}

/* The line of nixie-redis(7) for a user of its own. */
static void track_needs_no_more_than_its_rights(void **state)
{
    struct world *world = *state;
    struct redis_endpoint_options options = {
        .location = redis_server_location(world->server),
        .user = "lookups",
        .password_file = "",
    };
    struct error error;
    struct redis_endpoint *endpoint = redis_endpoint_new(&options, &error);
    struct suppression *list;

    world_operate(world, "ACL SETUSER lookups on nopass ~nixie:* "
                         "+type +hmget +getrange +pttl");
    world_operate(world, "ACL SETUSER lookups &__redis__:invalidate "
                         "+client|tracking +client|id +subscribe +scan "
                         "+exists +ping");
    list = tracked(endpoint, ROOMY, NULL);
    await_load(list, 1);
    world_operate(world, "SET nixie:suppress:ann@example.org x");
    (void)await_result(list, "ann@example.org", SUPPRESSION_FOUND);
    suppression_free(list);
    redis_endpoint_free(endpoint);
}

static void track_survives_a_server_that_misbehaves(void **state)
{
    static const struct {
        enum fake_redis_manner manner;
        const char *bytes;
    } rows[] = {
        {FAKE_REDIS_EACH, "+OK\r\n"},
        {FAKE_REDIS_EACH, ":1\r\n"},
        {FAKE_REDIS_EACH, "*0\r\n"},
        {FAKE_REDIS_EACH, "*1\r\n$4\r\npong\r\n"},
        {FAKE_REDIS_EACH, "*2\r\n$1\r\n0\r\n*1\r\n:5\r\n"},
        {FAKE_REDIS_EACH, "-ERR unknown command\r\n"},
        {FAKE_REDIS_EACH, "-LOADING\r\n"},
        {FAKE_REDIS_EACH, ":1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n*-1\r\n"},
        {FAKE_REDIS_CLOSE, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake_redis *fake = fake_redis_start((struct fake_redis_script){
            rows[i].manner, rows[i].bytes, strlen(rows[i].bytes)});
        struct redis_endpoint_options options = {
            .location = fake_redis_location(fake), .user = ""};
        struct error error = {""};
        struct redis_endpoint *endpoint = redis_endpoint_new(&options, &error);
        struct suppression *list = tracked(endpoint, ROOMY, NULL);
        int64_t end_ms = clock_monotonic_ms() + SOON;

        while (state_of(list).breaks == 0) {
            assert_true(clock_monotonic_ms() < end_ms);
            yield_a_moment();
        }
        assert_int_not_equal(state_of(list).status, SUPPRESSION_CACHE_CURRENT);
        suppression_free(list);
        redis_endpoint_free(endpoint);
        fake_redis_stop(fake);
    }
}

/* ---- who listens
 * -------------------------------------------------------------------- */

struct heard {
    pthread_mutex_t lock;
    unsigned added, gone, updated, reloads;
    char last[64];
};

static void hear_change(void *context, const struct suppression_change *change)
{
    struct heard *heard = context;

    (void)pthread_mutex_lock(&heard->lock);
    heard->added += !change->was_present && change->present;
    heard->gone += change->was_present && !change->present;
    heard->updated += change->was_present && change->present;
    (void)text_copy(change->key, heard->last, sizeof heard->last);
    (void)pthread_mutex_unlock(&heard->lock);
}

static void hear_reload(void *context)
{
    struct heard *heard = context;

    (void)pthread_mutex_lock(&heard->lock);
    heard->reloads++;
    (void)pthread_mutex_unlock(&heard->lock);
}

static void await_heard(struct heard *heard, const unsigned *of, unsigned count)
{
    int64_t end_ms = clock_monotonic_ms() + SOON;
    unsigned now = 0;

    while (now != count) {
        assert_true(clock_monotonic_ms() < end_ms);
        yield_a_moment();
        (void)pthread_mutex_lock(&heard->lock);
        now = *of;
        (void)pthread_mutex_unlock(&heard->lock);
    }
}

static void hold_loads(const struct suppression *list, uint64_t loads, int ms)
{
    int64_t end_ms = clock_monotonic_ms() + ms;

    while (clock_monotonic_ms() < end_ms) {
        assert_int_equal(state_of(list).loads, loads);
        yield_a_moment();
    }
}

static void track_notices_that_databases_were_swapped(void **state)
{
    struct world *world = *state;
    struct suppression *list;
    uint64_t loads;

    world_operate(world, "SET nixie:suppress:old@example.org x");
    list = tracked(world->endpoint, ROOMY, NULL);
    await_load(list, 1);
    world_operate(world, "SWAPDB 0 1"); /* to one without a token */
    (void)await_result(list, "old@example.org", SUPPRESSION_ABSENT);
    await_load(list, 2);
    world_operate(world, "SET nixie:suppress:new@example.org x");
    (void)await_result(list, "new@example.org", SUPPRESSION_FOUND);
    loads = state_of(list).loads;
    world_operate(world, "SWAPDB 0 1"); /* and to one with another */
    assert_true(await_result(list, "old@example.org", SUPPRESSION_FOUND) <
                3000);
    await_load(list, loads + 1);
    hold_loads(list, loads + 1, 1200); /* it is known again, for good */
    suppression_free(list);
}

static void track_makes_one_token_for_all(void **state)
{
    struct world *world = *state;
    struct suppression *lists[4];

    for (size_t i = 0; i < 4; i++) {
        lists[i] = tracked(world->endpoint, ROOMY, NULL);
    }
    for (size_t i = 0; i < 4; i++) {
        await_load(lists[i], 1);
    }
    for (size_t i = 0; i < 4; i++) {
        hold_loads(lists[i], 1, 400);
        suppression_free(lists[i]);
    }
}

static void track_tells_its_listener_what_changed(void **state)
{
    struct world *world = *state;
    struct heard heard = {.last = ""};
    const struct suppression_listener listener = {hear_change, hear_reload,
                                                  &heard};
    struct suppression *list;

    assert_int_equal(pthread_mutex_init(&heard.lock, NULL), 0);
    world_operate(world, "SET nixie:suppress:old@example.org x");
    list = tracked(world->endpoint, ROOMY, &listener);
    await_heard(&heard, &heard.reloads, 1);
    world_operate(world, "SET nixie:suppress:ann@example.org x");
    await_heard(&heard, &heard.added, 1);
    world_operate(world, "SET nixie:suppress:ann@example.org y");
    await_heard(&heard, &heard.updated, 1);
    world_operate(world, "DEL nixie:suppress:ann@example.org");
    await_heard(&heard, &heard.gone, 1);
    assert_string_equal(heard.last, "nixie:suppress:ann@example.org");
    world_operate(world, "DEL nixie:suppress:ann@example.org");
    world_operate(world, "SET nixie:suppressed x");
    world_operate(world, "DEL nixie:suppress:old@example.org");
    await_heard(&heard, &heard.gone, 2);
    assert_int_equal(heard.added, 1);
    assert_int_equal(heard.updated, 1);
    world_operate(world, "FLUSHALL");
    await_heard(&heard, &heard.reloads, 2);
    suppression_free(list);
}

/* ---- a thousand changes a second
 * ------------------------------------------------------ */

#define KEYS      200
#define HISTORY   64
#define SECONDS   4
#define WINDOW_MS 50

/* The last states of a key, each with when its command was sent and answered */
struct past {
    int64_t sent_us, answered_us;
    bool present;
};

struct history {
    pthread_mutex_t lock;
    struct past past[HISTORY];
    size_t count;
};

struct storm {
    struct world *world;
    struct suppression *list;
    struct history keys[KEYS];
    _Atomic bool done;
    _Atomic unsigned changes, looks, wrong, lost;
};

static void toggle(struct storm *storm, size_t number)
{
    struct history *key = &storm->keys[number];
    bool present = key->count % 2 == 0;
    struct past *past = &key->past[key->count % HISTORY];
    char command[64];

    (void)snprintf(command, sizeof command, "%s nixie:suppress:u%zu@x.org%s",
                   present ? "SET" : "DEL", number, present ? " x" : "");
    (void)pthread_mutex_lock(&key->lock);
    *past = (struct past){clock_monotonic_us(), INT64_MAX, present};
    key->count++;
    (void)pthread_mutex_unlock(&key->lock);
    world_operate(storm->world, command);
    (void)pthread_mutex_lock(&key->lock);
    past->answered_us = clock_monotonic_us();
    (void)pthread_mutex_unlock(&key->lock);
    storm->changes++;
}

/* Whether the key was so at a moment between from and to. */
static bool was_so(struct history *key, bool present, int64_t from_us,
                   int64_t to_us)
{
    bool so = key->count == 0 && !present;
    int64_t until_us = INT64_MAX; /* when the next state was there for sure */

    for (size_t back = 1; !so && back <= key->count && back < HISTORY; back++) {
        const struct past *past = &key->past[(key->count - back) % HISTORY];

        if (until_us < from_us) {
            break;
        }
        so = past->present == present && past->sent_us <= to_us;
        until_us = past->answered_us;
        if (!so && back == key->count) {
            so = !present && until_us >= from_us; /* before the first */
        }
    }
    return so;
}

static void *look_on(void *context)
{
    struct storm *storm = context;
    uint64_t seed = (uint64_t)(uintptr_t)&seed;

    while (!atomic_load(&storm->done)) {
        size_t number = (size_t)((seed >> 33) % KEYS);
        struct history *key = &storm->keys[number];
        struct suppression_entry entry;
        char address[32];
        int64_t start_us = clock_monotonic_us();
        int64_t end_us;
        enum suppression_result result;

        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
        (void)snprintf(address, sizeof address, "u%zu@x.org", number);
        result = find(storm->list, address, &entry);
        end_us = clock_monotonic_us();
        (void)pthread_mutex_lock(&key->lock);
        if (result == SUPPRESSION_UNAVAILABLE) {
            storm->lost++;
        } else if (!was_so(key, result == SUPPRESSION_FOUND,
                           start_us - WINDOW_MS * 1000, end_us)) {
            storm->wrong++;
        }
        (void)pthread_mutex_unlock(&key->lock);
        storm->looks++;
    }
    return NULL;
}

static void track_shows_no_state_older_than_50_ms(void **state)
{
    struct storm *storm = calloc(1, sizeof *storm);
    pthread_t lookers[2];
    uint64_t seed = 1;
    int64_t start_ms;

    assert_non_null(storm);
    storm->world = *state;
    storm->list = tracked(storm->world->endpoint, ROOMY, NULL);
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(pthread_mutex_init(&storm->keys[i].lock, NULL), 0);
    }
    await_load(storm->list, 1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&lookers[i], NULL, look_on, storm), 0);
    }
    start_ms = clock_monotonic_ms();
    while (clock_monotonic_ms() - start_ms < SECONDS * 1000) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
        if (storm->changes < (unsigned)(clock_monotonic_ms() - start_ms) + 1) {
            toggle(storm, (size_t)((seed >> 33) % KEYS));
        }
        if (storm->changes % 1000 == 999) {
            /* some come while the list is read */
            world_operate(storm->world, "CLIENT KILL TYPE pubsub");
        }
    }
    storm->done = true;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(lookers[i], NULL), 0);
    }
    print_message("%u changes, %u lookups, %u wrong, %u without answer\n",
                  storm->changes, storm->looks, storm->wrong, storm->lost);
    assert_int_equal(storm->wrong, 0);
    assert_int_equal(storm->lost, 0);
    suppression_free(storm->list);
    free(storm);
}

#define WITH_EMPTY(test) cmocka_unit_test_setup(test, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EMPTY(track_answers_misses_while_redis_is_stopped),
        WITH_EMPTY(track_tells_nothing_that_it_never_knew),
        WITH_EMPTY(track_follows_each_way_to_change_a_key),
        WITH_EMPTY(track_acts_on_a_change_within_10_ms),
        WITH_EMPTY(track_takes_a_change_of_100000_keys),
        WITH_EMPTY(track_comes_back_when_its_links_are_killed),
        WITH_EMPTY(track_keeps_the_last_list_until_redis_is_back),
        WITH_EMPTY(track_is_off_where_the_list_is_too_large),
        WITH_EMPTY(track_is_off_where_redis_refuses_it),
        WITH_EMPTY(track_needs_no_more_than_its_rights),
        WITH_EMPTY(track_survives_a_server_that_misbehaves),
        WITH_EMPTY(track_notices_that_databases_were_swapped),
        WITH_EMPTY(track_makes_one_token_for_all),
        WITH_EMPTY(track_tells_its_listener_what_changed),
        WITH_EMPTY(track_shows_no_state_older_than_50_ms),
    };

    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, world_start, world_stop);
}
