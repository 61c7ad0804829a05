/*
 * How many mailboxes a second the suppression cache tells to be on no list:
 * bench_suppression_cache [REDIS]
 *
 * For lists of 10,000, one million and ten million entries: the eight keys of
 * a mailbox are hashed and looked for, in one thread. The reference, taken in
 * the same run, is GLib's hash table of 10,000 strings asked for the same
 * keys. With REDIS, such as unix:/path, an empty one that nobody else uses,
 * the whole lookup is measured, and the time to load the list from it.
 */
#include "clock.h"
#include "redis_link.h"
#include "suppression.h"
#include "suppression_cache.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MILLISECONDS 1000
#define MAILBOXES    4096
#define KEYS         8
#define MEMORY       ((size_t)512 * 1024 * 1024)
#define AT_ONCE      100000 /* entries of one EVAL */

static struct mailbox mailboxes[MAILBOXES];
static struct store_key keys[MAILBOXES][KEYS];

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_suppression_cache: %s\n", what);
    exit(EXIT_FAILURE);
}

static void make_mailboxes(void)
{
    for (size_t i = 0; i < MAILBOXES; i++) {
        char address[64];

        (void)snprintf(address, sizeof address, "miss%zu@mail.example.org", i);
        if (mailbox_parse(text_of(address), NULL, &mailboxes[i]) !=
            MAILBOX_OK) {
            fail("no mailbox");
        }
        for (size_t j = 0; j < KEYS; j++) {
            if (!suppression_candidate("nixie:", NULL, &mailboxes[i], NULL, j,
                                       &keys[i][j])) {
                fail("no key");
            }
        }
    }
}

/* Of this thread's processor: others may want it too. */
static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Rounds over all mailboxes for a while; mailboxes a second. */
static double rate_of(void (*round)(void *context), void *context)
{
    double start = seconds();
    double took = 0;
    double done = 0;

    while (took < MILLISECONDS / 1e3) {
        round(context);
        done += MAILBOXES;
        took = seconds() - start;
    }
    return done / took;
}

/* ---- the reference ---------------------------------------------------------
 */

static void look_in_glib(void *context)
{
    for (size_t i = 0; i < MAILBOXES; i++) {
        for (size_t j = 0; j < KEYS; j++) {
            if (g_hash_table_contains(context, keys[i][j].text)) {
                fail("a hit");
            }
        }
    }
}

static double reference(void)
{
    GHashTable *table =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    double rate;

    for (size_t i = 0; i < 10000; i++) {
        (void)g_hash_table_add(
            table, g_strdup_printf("nixie:suppress:u%zu@example.org", i));
    }
    rate = rate_of(look_in_glib, table);
    g_hash_table_destroy(table);
    return rate;
}

/* ---- the table alone
 * ---------------------------------------------------------- */

static void look_in_cache(void *context)
{
    const struct suppression_cache *cache = context;

    for (size_t i = 0; i < MAILBOXES; i++) {
        uint64_t prints[KEYS];

        for (size_t j = 0; j < KEYS; j++) {
            prints[j] = suppression_cache_fingerprint(
                cache, (struct text){keys[i][j].text, keys[i][j].length});
            suppression_cache_fetch(cache, prints[j]);
        }
        for (size_t j = 0; j < KEYS; j++) {
            if (suppression_cache_has(cache, prints[j])) {
                fail("a hit");
            }
        }
    }
}

static double table_rate(size_t entries, double *bytes)
{
    struct error error = {""};
    struct suppression_cache *cache = suppression_cache_new(MEMORY, &error);
    double rate;

    if (cache == NULL) {
        fail(error.text);
    }
    for (size_t i = 0; i < entries; i++) {
        char key[64];
        int length =
            snprintf(key, sizeof key, "nixie:suppress:u%zu@example.org", i);

        if (!suppression_cache_add(
                cache, suppression_cache_fingerprint(
                           cache, (struct text){key, (size_t)length}))) {
            fail("full");
        }
    }
    *bytes = (double)suppression_cache_count(cache).bytes / (double)entries;
    rate = rate_of(look_in_cache, cache);
    suppression_cache_free(cache);
    return rate;
}

/* ---- the whole lookup, with a Redis
 * --------------------------------------------- */

static void look_up(void *context)
{
    for (size_t i = 0; i < MAILBOXES; i++) {
        struct suppression_entry entry;
        struct error error;

        if (suppression_find(context, &mailboxes[i], NULL, &entry, &error) !=
            SUPPRESSION_ABSENT) {
            fail("a hit");
        }
    }
}

static void fill_redis(struct redis_endpoint *endpoint, size_t from, size_t to)
{
    static const char script[] =
        "for i=ARGV[1],ARGV[2] do "
        "redis.call('SET','nixie:suppress:u'..i..'@example.org','x') end";
    struct redis_link *link = redis_link_new(endpoint);
    struct error error = {""};

    for (size_t first = from; first < to; first += AT_ONCE) {
        char numbers[2][24];
        const char *words[] = {"EVAL", script, "0", numbers[0], numbers[1]};
        int64_t deadline_ms = clock_monotonic_ms() + 60000;
        redisReply *reply = NULL;

        (void)snprintf(numbers[0], sizeof numbers[0], "%zu", first);
        (void)snprintf(numbers[1], sizeof numbers[1], "%zu",
                       first + AT_ONCE - 1 < to ? first + AT_ONCE - 1 : to - 1);
        if (redis_link_open(link, deadline_ms, &error)) {
            reply = redis_link_ask(link, deadline_ms, &error, 5, words, NULL);
        }
        if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
            fail(reply == NULL ? error.text : reply->str);
        }
        freeReplyObject(reply);
    }
    redis_link_free(link);
}

static double lookup_rate(struct redis_endpoint *endpoint, double *load_s)
{
    const struct suppression_options options = {
        .endpoint = endpoint,
        .key_prefix = "nixie:",
        .timeout_ms = 1000,
        .connections = 1,
        .cache_memory = MEMORY,
    };
    const struct timespec moment = {0, 1000000};
    struct error error = {""};
    int64_t start_us = clock_monotonic_us();
    struct suppression *list = suppression_new(&options, &error);
    struct suppression_cache_state state = {.status = 0};
    double rate;

    if (list == NULL) {
        fail(error.text);
    }
    while (state.status != SUPPRESSION_CACHE_CURRENT) {
        (void)nanosleep(&moment, NULL);
        suppression_cache_state(list, &state);
    }
    *load_s = (double)(clock_monotonic_us() - start_us) / 1e6;
    rate = rate_of(look_up, list);
    suppression_free(list);
    return rate;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {10000, 1000000, 10000000};
    const struct redis_endpoint_options where = {
        .location = argc > 1 ? argv[1] : "unix:/nonexistent",
        .user = "",
        .password_file = ""};
    struct error error = {""};
    struct redis_endpoint *endpoint = redis_endpoint_new(&where, &error);
    double glib;
    size_t filled = 0;

    if (endpoint == NULL) {
        fail(error.text);
    }
    make_mailboxes();
    glib = reference();
    (void)printf("glib hash table of 10000 strings: %.0f mailboxes/s\n", glib);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double bytes;
        double rate = table_rate(sizes[i], &bytes);

        (void)printf("table of %zu: %.0f mailboxes/s, %.2f of glib, "
                     "%.1f bytes/entry\n",
                     sizes[i], rate, rate / glib, bytes);
        if (argc > 1) {
            double load_s;

            fill_redis(endpoint, filled, sizes[i]);
            filled = sizes[i];
            rate = lookup_rate(endpoint, &load_s);
            (void)printf("lookup in %zu: %.0f mailboxes/s, %.2f of glib, "
                         "loaded in %.2f s\n",
                         sizes[i], rate, rate / glib, load_s);
        }
    }
    redis_endpoint_free(endpoint);
    return EXIT_SUCCESS;
}
