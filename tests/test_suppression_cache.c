#include "siphash.h"
#include "suppression_cache.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOMY ((size_t)64 * 1024 * 1024)

static void siphash_gives_the_published_values(void **state)
{
    static const struct row {
        size_t length;
        uint64_t hash;
    } rows[] = {
        /* key 00 to 0f, text 00, 01, …: SipHash-1-3 64 bit */
        {0, UINT64_C(0xabac0158050fc4dc)},
        {1, UINT64_C(0xc9f49bf37d57ca93)},
        {7, UINT64_C(0xd3927d989bb11140)},
        {8, UINT64_C(0x369095118d299a8e)},
        {15, UINT64_C(0xd320d86d2a519956)},
    };
    const struct siphash_key key = {
        {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};
    char bytes[16];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)i;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(siphash(&key, (struct text){bytes, rows[i].length}) ==
                    rows[i].hash);
    }
}

static struct suppression_cache *cache_new(size_t memory_max)
{
    struct error error = {""};
    struct suppression_cache *cache = suppression_cache_new(memory_max, &error);

    assert_string_equal(error.text, "");
    assert_non_null(cache);
    return cache;
}

static uint64_t key_of(const struct suppression_cache *cache, size_t number)
{
    char key[64];
    int length =
        snprintf(key, sizeof key, "nixie:suppress:u%zu@example.org", number);

    return suppression_cache_fingerprint(cache,
                                         (struct text){key, (size_t)length});
}

static size_t entries_of(const struct suppression_cache *cache)
{
    return suppression_cache_count(cache).entries;
}

static unsigned random_below(uint64_t *seed, unsigned limit)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (unsigned)((*seed >> 33) % limit);
}

#define KEYS   60000
#define ROUNDS 600000

/* What it should hold, key by key. */
struct oracle {
    bool there[KEYS];
    bool marked[KEYS];
    size_t entries;
};

static void compare(const struct suppression_cache *cache,
                    const struct oracle *oracle)
{
    assert_int_equal(entries_of(cache), oracle->entries);
    for (size_t i = 0; i < KEYS; i++) {
        assert_true(suppression_cache_has(cache, key_of(cache, i)) ==
                    oracle->there[i]);
    }
}

static void add(struct suppression_cache *cache, struct oracle *oracle,
                size_t key)
{
    assert_true(suppression_cache_add(cache, key_of(cache, key)));
    oracle->entries += !oracle->there[key];
    oracle->there[key] = true;
    oracle->marked[key] = true;
}

static void take(struct suppression_cache *cache, struct oracle *oracle,
                 size_t key)
{
    suppression_cache_remove(cache, key_of(cache, key));
    oracle->entries -= oracle->there[key];
    oracle->there[key] = false;
}

/* It grows for a while, shrinks for a while. */
static void change(struct suppression_cache *cache, struct oracle *oracle,
                   uint64_t *seed, size_t round)
{
    bool grows = round / (ROUNDS / 6) % 2 == 0;
    size_t key = random_below(seed, KEYS);

    if (random_below(seed, 100) < (grows ? 75U : 20U)) {
        add(cache, oracle, key);
    } else {
        take(cache, oracle, key);
    }
}

static void suppression_cache_holds_what_was_put_in(void **state)
{
    struct suppression_cache *cache = cache_new(ROOMY);
    struct oracle *oracle = calloc(1, sizeof *oracle);
    uint64_t seed = 7;

    (void)state;
    assert_non_null(oracle);
    for (size_t round = 0; round < ROUNDS; round++) {
        change(cache, oracle, &seed, round);
        if (round % (ROUNDS / 12) == 0) {
            compare(cache, oracle);
        }
    }
    compare(cache, oracle);
    for (size_t i = 0; i < KEYS; i++) {
        take(cache, oracle, i);
    }
    compare(cache, oracle);
    free(oracle);
    suppression_cache_free(cache);
}

static void suppression_cache_load_leaves_what_was_named(void **state)
{
    struct suppression_cache *cache = cache_new(ROOMY);
    struct oracle *oracle = calloc(1, sizeof *oracle);
    uint64_t seed = 11;

    (void)state;
    assert_non_null(oracle);
    for (int load = 0; load < 5; load++) {
        memset(oracle->marked, 0, sizeof oracle->marked);
        suppression_cache_begin_load(cache);
        for (size_t round = 0; round < KEYS / 2; round++) {
            change(cache, oracle, &seed, 0);
        }
        compare(cache, oracle); /* until the end it is all there */
        suppression_cache_end_load(cache);
        for (size_t i = 0; i < KEYS; i++) {
            if (!oracle->marked[i]) {
                oracle->entries -= oracle->there[i];
                oracle->there[i] = false;
            }
        }
        compare(cache, oracle);
    }
    suppression_cache_clear(cache);
    assert_int_equal(entries_of(cache), 0);
    assert_int_equal(suppression_cache_count(cache).bytes, 0);
    memset(oracle, 0, sizeof *oracle);
    compare(cache, oracle);
    add(cache, oracle, 5);
    compare(cache, oracle);
    free(oracle);
    suppression_cache_free(cache);
}

static void suppression_cache_takes_at_most_16_bytes_an_entry(void **state)
{
    const size_t most = 2000000;
    const size_t least = 200000;
    struct suppression_cache *cache = cache_new(ROOMY);

    (void)state;
    for (size_t i = 0; i < most; i++) {
        assert_true(suppression_cache_add(cache, key_of(cache, i)));
        if (i > least && i % 1000 == 0) {
            assert_true(suppression_cache_count(cache).bytes <= 16 * i);
        }
    }
    assert_int_equal(entries_of(cache), most);
    for (size_t i = most; i > least; i--) {
        suppression_cache_remove(cache, key_of(cache, i - 1));
        if (i % 1000 == 0) {
            assert_true(suppression_cache_count(cache).bytes <=
                        16 * i + 256 * 4096);
        }
    }
    assert_int_equal(entries_of(cache), least);
    suppression_cache_free(cache);
}

static void suppression_cache_refuses_what_does_not_fit(void **state)
{
    struct suppression_cache *cache = cache_new(SUPPRESSION_CACHE_LEAST);
    size_t fitted = 0;

    (void)state;
    while (suppression_cache_add(cache, key_of(cache, fitted))) {
        fitted++;
    }
    assert_in_range(fitted, SUPPRESSION_CACHE_LEAST / 16,
                    SUPPRESSION_CACHE_LEAST / 8);
    assert_true(suppression_cache_count(cache).bytes <=
                SUPPRESSION_CACHE_LEAST);
    assert_int_equal(entries_of(cache), fitted);
    assert_false(suppression_cache_has(cache, key_of(cache, fitted)));
    for (size_t i = 0; i < fitted; i++) {
        assert_true(suppression_cache_has(cache, key_of(cache, i)));
    }
    suppression_cache_free(cache);
}

/* ---- readers beside the writer ---------------------------------------------
 */

#define STEADY  4000
#define PASSING 40000
#define READERS 3

struct crowd {
    struct suppression_cache *cache;
    _Atomic bool done;
    _Atomic size_t wrong;  /* misses of what is there all the time */
    _Atomic size_t ghosts; /* hits of what never was */
    _Atomic size_t looks;
};

static void *read_on(void *context)
{
    struct crowd *crowd = context;

    while (!atomic_load(&crowd->done)) {
        for (size_t i = 0; i < STEADY; i++) {
            uint64_t never = key_of(crowd->cache, 10000000 + i);

            suppression_cache_fetch(crowd->cache, never);
            crowd->wrong +=
                !suppression_cache_has(crowd->cache, key_of(crowd->cache, i));
            crowd->ghosts += suppression_cache_has(crowd->cache, never);
        }
        crowd->looks += STEADY;
    }
    return NULL;
}

static void churn(struct crowd *crowd, uint64_t *seed)
{
    struct suppression_cache *cache = crowd->cache;

    for (size_t i = 0; i < PASSING; i++) {
        assert_true(suppression_cache_add(cache, key_of(cache, STEADY + i)));
    }
    for (size_t i = 0; i < PASSING; i++) {
        suppression_cache_remove(
            cache, key_of(cache, STEADY + random_below(seed, PASSING)));
    }
    suppression_cache_begin_load(cache);
    for (size_t i = 0; i < STEADY; i++) {
        assert_true(suppression_cache_add(cache, key_of(cache, i)));
    }
    suppression_cache_end_load(cache);
}

static void suppression_cache_never_hides_what_is_there(void **state)
{
    struct crowd crowd = {.cache = cache_new(ROOMY)};
    pthread_t readers[READERS];
    uint64_t seed = 3;

    (void)state;
    for (size_t i = 0; i < STEADY; i++) {
        assert_true(suppression_cache_add(crowd.cache, key_of(crowd.cache, i)));
    }
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &crowd), 0);
    }
    for (int round = 0; round < 20 || crowd.looks < (size_t)STEADY * 20;
         round++) {
        churn(&crowd, &seed);
    }
    crowd.done = true;
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    }
    assert_int_equal(crowd.wrong, 0);
    assert_true(crowd.ghosts < crowd.looks / 1000);
    suppression_cache_free(crowd.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_gives_the_published_values),
        cmocka_unit_test(suppression_cache_holds_what_was_put_in),
        cmocka_unit_test(suppression_cache_load_leaves_what_was_named),
        cmocka_unit_test(suppression_cache_takes_at_most_16_bytes_an_entry),
        cmocka_unit_test(suppression_cache_refuses_what_does_not_fit),
        cmocka_unit_test(suppression_cache_never_hides_what_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
