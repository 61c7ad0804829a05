#include "clock.h"
#include "lists_world.h"
#include "suppression.h"

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

static void suppression_find_knows_all_pattern_forms(void **state)
{
    static const struct row {
        const char *command, *address;
        enum suppression_result result;
    } rows[] = {
        {"SET nixie:suppress:ann@example.org x", "Ann@Example.ORG",
         SUPPRESSION_FOUND},
        {"SET nixie:suppress:ann@example.org x", "bob@example.org",
         SUPPRESSION_ABSENT},
        {"SET nixie:suppress:ann@example.org x", "ann+x@example.org",
         SUPPRESSION_ABSENT},
        {"SET nixie:suppress:@example.org x", "bob@example.org",
         SUPPRESSION_FOUND},
        {"SET nixie:suppress:@example.org x", "bob@mail.example.org",
         SUPPRESSION_ABSENT},
        {"SET nixie:suppress:@.example.org x", "bob@a.b.example.org",
         SUPPRESSION_FOUND},
        {"SET nixie:suppress:@.example.org x", "bob@example.org",
         SUPPRESSION_ABSENT},
        {"SET nixie:suppress:@.org x", "bob@example.org", SUPPRESSION_FOUND},
        {"SET nixie:suppress:ann@ x", "ann@example.net", SUPPRESSION_FOUND},
        {"SET nixie:suppress:ann@ x", "joann@example.net", SUPPRESSION_ABSENT},
        {"SET nixie:suppress:@ x", "ann@example.net", SUPPRESSION_ABSENT},
        {"SET other:suppress:ann@example.org x", "ann@example.org",
         SUPPRESSION_ABSENT},
    };
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 2, NULL);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct suppression_entry entry;
        enum suppression_result result;

        world_operate(world, "FLUSHALL");
        world_operate(world, rows[i].command);
        result = lists_find(list, rows[i].address, NULL, &entry);
        if (result != rows[i].result) {
            fail_msg("%s, %s", rows[i].command, rows[i].address);
        }
        if (result == SUPPRESSION_FOUND) {
            size_t length = strcspn(rows[i].command + 4, " ");

            assert_int_equal(entry.list, STORE_SUPPRESS);
            assert_int_equal(entry.key.length, length);
            assert_memory_equal(entry.key.text, rows[i].command + 4, length);
            assert_string_equal(entry.pattern.text,
                                strchr(entry.key.text + 6, ':') + 1);
            assert_string_equal(entry.note, "x");
            assert_string_equal(entry.kind, "string");
        }
    }
    suppression_free(list);
}

static void suppression_find_takes_any_redis_type(void **state)
{
    static const struct row {
        const char *command, *kind;
    } rows[] = {
        {"SET nixie:suppress:ann@example.org x", "string"},
        {"HSET nixie:suppress:ann@example.org note x", "hash"},
        {"LPUSH nixie:suppress:ann@example.org x", "list"},
        {"SADD nixie:suppress:ann@example.org x", "set"},
        {"ZADD nixie:suppress:ann@example.org 1 x", "zset"},
        {"XADD nixie:suppress:ann@example.org * a b", "stream"},
    };
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 1, NULL);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct suppression_entry entry;

        world_operate(world, "FLUSHALL");
        world_operate(world, rows[i].command);
        assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                         SUPPRESSION_FOUND);
        assert_string_equal(entry.kind, rows[i].kind);
        assert_string_equal(entry.note, i < 2 ? "x" : "");
        assert_int_equal(entry.expires_at_us, 0);
        /* and the link is still in step */
        assert_int_equal(lists_find(list, "bob@example.org", NULL, &entry),
                         SUPPRESSION_ABSENT);
    }
    suppression_free(list);
}

static void suppression_find_reads_the_fields_of_a_hash(void **state)
{
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 1, NULL);
    struct suppression_entry entry;

    world_operate(world,
                  "HSET nixie:suppress:ann@example.org reason user_unknown "
                  "type hard origin policy note left by bob "
                  "added_at 2026-11-02T19:43:01.000000Z");
    world_operate(world, "HSET nixie:suppress:ann@example.org mode observe "
                         "evidence none");
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_FOUND);
    assert_string_equal(entry.reason, "user_unknown");
    assert_string_equal(entry.type, "hard");
    assert_string_equal(entry.origin, "policy");
    assert_string_equal(entry.note, "left");
    assert_string_equal(entry.by, "bob");
    assert_string_equal(entry.added_at, "2026-11-02T19:43:01.000000Z");
    assert_string_equal(entry.mode, "observe");
    suppression_free(list);
}

static void suppression_find_forgets_the_entry_before(void **state)
{
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 1, NULL);
    struct suppression_entry entry;

    world_operate(world,
                  "HSET nixie:suppress:ann@example.org reason a mode observe");
    world_operate(world, "EXPIRE nixie:suppress:ann@example.org 1000");
    world_operate(world, "SADD nixie:suppress:bob@example.org x");
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_FOUND);
    assert_string_equal(entry.mode, "observe");
    assert_int_equal(lists_find(list, "bob@example.org", NULL, &entry),
                     SUPPRESSION_FOUND);
    assert_string_equal(entry.mode, "");
    assert_string_equal(entry.reason, "");
    assert_int_equal(entry.expires_at_us, 0);
    suppression_free(list);
}

static void suppression_find_bounds_and_cleans_values(void **state)
{
    static const struct row {
        const char *name;
        size_t fill; /* bytes of 'a' before the tail */
        const char *tail;
        size_t tail_length;
        size_t kept; /* of the whole */
    } rows[] = {
        {"300 bytes", 300, "", 0, 256},
        {"256 bytes", 256, "", 0, 256},
        {"two bytes at the cut", 255, "\xc3\xa9zz", 4, 255},
        {"three bytes at the cut", 254, "\xe2\x82\xacz", 4, 254},
        {"four bytes at the cut", 253, "\xf0\x9f\x98\x80z", 5, 253},
        {"four bytes before it", 252, "\xf0\x9f\x98\x80z", 5, 256},
        {"no UTF-8 at the cut", 250, "\x80\x80\x80\x80\x80\x80\x80\x80", 8,
         256},
        {"binary", 3, "\0\xff\r\n\x7f\0", 6, 9},
        {"empty", 0, "", 0, 0},
    };
    static const char key[] = "nixie:suppress:ann@example.org";
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 1, NULL);

    for (size_t i = 0; i < 2 * (sizeof rows / sizeof rows[0]); i++) {
        const struct row *row = &rows[i / 2];
        bool hash = i % 2 == 1;
        char value[320];
        size_t length = row->fill + row->tail_length;
        const char *set[] = {"SET", key, value};
        size_t set_lengths[] = {3, strlen(key), length};
        const char *hset[] = {"HSET", key, "note", value};
        size_t hset_lengths[] = {4, strlen(key), 4, length};
        struct suppression_entry entry;

        memset(value, 'a', sizeof value);
        memcpy(value + row->fill, row->tail, row->tail_length);
        world_operate(world, "FLUSHALL");
        world_operate_bytes(world, hash ? 4 : 3, hash ? hset : set,
                            hash ? hset_lengths : set_lengths);
        assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                         SUPPRESSION_FOUND);
        if (strlen(entry.note) != row->kept) {
            fail_msg("%s: %zu", row->name, strlen(entry.note));
        }
        for (size_t j = 0; j < row->kept; j++) {
            assert_int_equal(entry.note[j], value[j] == '\0' ? '?' : value[j]);
        }
    }
    suppression_free(list);
}

static void suppression_find_sees_the_end_of_an_entry(void **state)
{
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 1, NULL);
    struct suppression_entry entry;
    int64_t begin_us = clock_now_us();
    int64_t give_up_ms = clock_monotonic_ms() + SOON;
    unsigned found = 0;

    world_operate(world, "SET nixie:suppress:ann@example.org x EX 1");
    while (lists_find(list, "ann@example.org", NULL, &entry) ==
           SUPPRESSION_FOUND) {
        assert_in_range(entry.expires_at_us, begin_us + 900000,
                        clock_now_us() + 1000000);
        assert_true(clock_monotonic_ms() < give_up_ms);
        found++;
    }
    assert_true(found > 0);
    assert_true(clock_now_us() >= begin_us + 900000);
    suppression_free(list);
}

static void suppression_find_follows_changes_at_once(void **state)
{
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 2, NULL);
    struct suppression_entry entry;

    for (int i = 0; i < 50; i++) {
        world_operate(world, "SET nixie:suppress:ann@example.org x");
        assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                         SUPPRESSION_FOUND);
        world_operate(world, "DEL nixie:suppress:ann@example.org");
        assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                         SUPPRESSION_ABSENT);
    }
    suppression_free(list);
}

/* All that could decide, in the order in which they do. */
static const char *const order[] = {
    "nixie:allow@news:ann@mail.example.org",
    "nixie:allow:ann@mail.example.org",
    "nixie:allow@news:ann@",
    "nixie:allow:ann@",
    "nixie:allow@news:@mail.example.org",
    "nixie:allow:@mail.example.org",
    "nixie:allow@news:@.example.org",
    "nixie:allow:@.example.org",
    "nixie:allow@news:@.org",
    "nixie:allow:@.org",
    "nixie:suppress@news:ann@mail.example.org",
    "nixie:suppress:ann@mail.example.org",
    "nixie:suppress@news:ann@",
    "nixie:suppress:ann@",
    "nixie:suppress@news:@mail.example.org",
    "nixie:suppress:@mail.example.org",
    "nixie:suppress@news:@.example.org",
    "nixie:suppress:@.example.org",
    "nixie:suppress@news:@.org",
    "nixie:suppress:@.org",
};
#define ORDER (sizeof order / sizeof order[0])

static void suppression_find_lets_the_first_of_the_order_decide(void **state)
{
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 1, NULL);
    struct suppression_entry entry;

    for (size_t i = 0; i < ORDER; i++) {
        const char *argv[] = {"SET", order[i], order[i]};

        world_operate_bytes(world, 3, argv, NULL);
    }
    for (size_t i = 0; i < ORDER; i++) {
        const char *argv[] = {"DEL", order[i]};
        bool allow = i < ORDER / 2;

        assert_int_equal(
            lists_find(list, "ann@mail.example.org", "news", &entry),
            allow ? SUPPRESSION_ALLOWED : SUPPRESSION_FOUND);
        assert_string_equal(entry.key.text, order[i]);
        assert_string_equal(entry.note, order[i]);
        assert_string_equal(entry.scope, i % 2 == 0 ? "news" : "");
        assert_int_equal(entry.list, allow ? STORE_ALLOW : STORE_SUPPRESS);
        world_operate_bytes(world, 2, argv, NULL);
    }
    assert_int_equal(lists_find(list, "ann@mail.example.org", "news", &entry),
                     SUPPRESSION_ABSENT);
    suppression_free(list);
}

static void suppression_candidate_lists_what_find_asks(void **state)
{
    struct mailbox mailbox = lists_mailbox("ann@mail.example.org");
    struct store_key key;
    size_t i;

    (void)state;
    for (i = 0;
         suppression_candidate("nixie:", NULL, &mailbox, "news", i, &key);
         i++) {
        assert_true(i < ORDER);
        assert_string_equal(key.text, order[i]);
    }
    assert_int_equal(i, ORDER);
    for (i = 0; suppression_candidate("nixie:", NULL, &mailbox, NULL, i, &key);
         i++) {
        assert_true(i < ORDER / 2);
        assert_string_equal(key.text, order[2 * i + 1]);
    }
    assert_int_equal(i, ORDER / 2);
}

static const struct pseudonym_key pseudonyms = {.is_known = true,
                                                .bytes = {1, 2, 3}};

static void suppression_candidate_has_the_pseudonym_second(void **state)
{
    struct mailbox mailbox = lists_mailbox("ann@mail.example.org");
    char name[PSEUDONYM_SIZE];
    char expected[STORE_KEY_MAX];
    struct store_key key;
    size_t i;

    (void)state;
    assert_true(pseudonym_of(&pseudonyms, &mailbox, name));
    for (i = 0;
         suppression_candidate("nixie:", &pseudonyms, &mailbox, NULL, i, &key);
         i++) {
        size_t half = ORDER / 4 + 1; /* of the patterns: one more */
        size_t in_half = i % half;

        assert_true(i < 2 * half);
        if (in_half == 1) {
            (void)snprintf(expected, sizeof expected, "nixie:%s:%s",
                           i < half ? "allow" : "suppress", name);
            assert_string_equal(key.text, expected);
        } else {
            assert_string_equal(key.text,
                                order[2 * (i - i / half - (in_half > 1)) + 1]);
        }
    }
    assert_int_equal(i, ORDER / 2 + 2);
    mailbox = lists_mailbox(name); /* it is its own */
    for (i = 0;
         suppression_candidate("nixie:", &pseudonyms, &mailbox, NULL, i, &key);
         i++) {
    }
    assert_int_equal(i, ORDER / 2);
}

/* What is told from memory may be a few milliseconds old. */
static void wait_for(struct suppression *list, const char *address,
                     enum suppression_result expected,
                     struct suppression_entry *entry)
{
    const int64_t end_ms = clock_monotonic_ms() + 5000;

    while (lists_find(list, address, NULL, entry) != expected) {
        assert_true(clock_monotonic_ms() < end_ms);
    }
}

/* From Redis, and from memory while the list is current or Redis away. */
static void suppression_find_knows_a_mailbox_by_its_pseudonym(void **state)
{
    struct world *world = *state;
    struct mailbox mailbox = lists_mailbox("ann@example.org");
    char name[PSEUDONYM_SIZE];
    char command[STORE_KEY_MAX + 64];

    assert_true(pseudonym_of(&pseudonyms, &mailbox, name));
    for (int round = 0; round < 4; round++) {
        const struct suppression_options options = {
            .endpoint = world->endpoint,
            .key_prefix = "nixie:",
            .timeout_ms = TIMEOUT,
            .connections = 1,
            .cache_memory = round % 2 == 0 ? 0 : (size_t)4 << 20,
            .pseudonyms = round < 2 ? &pseudonyms : NULL,
        };
        struct error error = {""};
        struct suppression *list = suppression_new(&options, &error);
        struct suppression_entry entry;

        assert_non_null(list);
        wait_for(list, "ann@example.org", SUPPRESSION_ABSENT, &entry);
        (void)snprintf(command, sizeof command, "SET nixie:suppress:%s x",
                       name);
        world_operate(world, command);
        wait_for(list, "Ann@example.org",
                 round < 2 ? SUPPRESSION_FOUND : SUPPRESSION_ABSENT, &entry);
        if (round < 2) {
            assert_string_equal(entry.pattern.text, name);
        }
        world_operate(world, "SET nixie:suppress:ann@example.org x");
        wait_for(list, "ann@example.org", SUPPRESSION_FOUND, &entry);
        while (strcmp(entry.pattern.text, "ann@example.org") != 0) {
            wait_for(list, "ann@example.org", SUPPRESSION_FOUND, &entry);
        }
        (void)snprintf(command, sizeof command, "SET nixie:allow:%s x", name);
        world_operate(world, command);
        wait_for(list, "ann@example.org",
                 round < 2 ? SUPPRESSION_ALLOWED : SUPPRESSION_FOUND, &entry);
        world_operate(world, "FLUSHALL");
        suppression_free(list);
    }
}

static void suppression_find_does_not_look_into_other_scopes(void **state)
{
    static const char *const scopes[] = {NULL, "", "other", "a:b", "new"};
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 1, NULL);
    struct suppression_entry entry;

    world_operate(world, "SET nixie:suppress@news:ann@example.org x");
    world_operate(world, "SET nixie:suppress@a:b:ann@example.org x");
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        assert_int_equal(lists_find(list, "ann@example.org", scopes[i], &entry),
                         SUPPRESSION_ABSENT);
    }
    suppression_free(list);
}

static void suppression_find_takes_the_deepest_domain(void **state)
{
    char address[300] = "a@";
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 1, NULL);
    struct suppression_entry entry;

    for (size_t i = 2; i < 252; i += 2) {
        memcpy(address + i, "a.", 3);
    }
    memcpy(address + 252, "b", 2);
    world_operate(world, "SET nixie:suppress:@.b x");
    assert_int_equal(lists_find(list, address, "news", &entry),
                     SUPPRESSION_FOUND);
    assert_string_equal(entry.pattern.text, "@.b");
    suppression_free(list);
}

static void suppression_find_looks_up_a_long_mailbox_by_domain(void **state)
{
    char address[420];
    struct mailbox mailbox;
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, TIMEOUT, 1, NULL);
    struct suppression_entry entry;

    memset(address, 'a', 400);
    memcpy(address + 400, "@example.org", 13);
    assert_int_equal(mailbox_parse(text_of(address), NULL, &mailbox),
                     MAILBOX_LONG);
    world_operate(world, "SET nixie:suppress:@example.org x");
    assert_int_equal(suppression_find(list, &mailbox, NULL, &entry, NULL),
                     SUPPRESSION_FOUND);
    suppression_free(list);
}

static void suppression_find_needs_only_to_read(void **state)
{
    struct world *world = *state;
    char path[] = "/tmp/nixie-password-XXXXXX";
    int fd = mkstemp(path);
    struct redis_endpoint_options options = {
        .location = redis_server_location(world->server),
        .user = "nixie",
        .password_file = path};
    struct error error = {""};
    struct redis_endpoint *endpoint = redis_endpoint_new(&options, &error);
    struct news news;
    struct suppression *list;
    struct suppression_entry entry;

    news_init(&news);
    assert_int_equal(write(fd, "pw\n", 3), 3);
    (void)close(fd);
    world_operate(world, "ACL SETUSER nixie on >pw %R~nixie:suppress* "
                         "%R~nixie:allow* -@all +type +pttl +hmget +getrange");
    world_operate(world, "HSET nixie:suppress:ann@example.org reason r");
    list = lists_new(endpoint, TIMEOUT, 1, &news);
    assert_int_equal(lists_find(list, "ann@example.org", "x", &entry),
                     SUPPRESSION_FOUND);
    assert_string_equal(entry.reason, "r");
    /* a login that ends is noticed; no answer is better than a wrong one */
    world_operate(world, "ACL DELUSER nixie");
    (void)lists_find_nothing(list, &error);
    news_await(&news, 1, 0);
    assert_non_null(strstr(news.cause, "AUTH refused: WRONGPASS"));
    world_operate(world, "ACL SETUSER nixie on >pw ~nixie:suppress* +@read");
    world_operate(world, "ACL SETUSER nixie ~nixie:allow*");
    news_await(&news, 1, 1);
    suppression_free(list);
    redis_endpoint_free(endpoint);
    world_operate(world, "ACL DELUSER nixie");
    (void)unlink(path);
}

static void suppression_find_resolves_the_name_of_its_server(void **state)
{
    char port[16];
    char location[64];
    const char *arguments[] = {"--port", port, "--bind", "127.0.0.1", NULL};
    struct redis_endpoint_options options = {.location = location, .user = ""};
    struct error error = {""};
    struct redis_server *server;
    struct redis_endpoint *endpoint;
    struct suppression *list;
    struct suppression_entry entry;

    (void)state;
    (void)snprintf(port, sizeof port, "%d", redis_server_free_port());
    server = redis_server_start(arguments);
    assert_non_null(server);
    (void)snprintf(location, sizeof location, "tcp:localhost:%s/2", port);
    endpoint = redis_endpoint_new(&options, &error);
    list = lists_new(endpoint, TIMEOUT, 1, NULL);
    assert_int_equal(lists_find(list, "ann@example.org", NULL, &entry),
                     SUPPRESSION_ABSENT);
    suppression_free(list);
    redis_endpoint_free(endpoint);
    redis_server_stop(server);
}

static void suppression_new_refuses_options_out_of_range(void **state)
{
    static const struct row {
        int timeout_ms, connections;
    } rows[] = {{0, 1}, {1001, 1}, {50, 0}, {50, 65}, {-1, 1}, {50, -1}};
    struct world *world = *state;
    char prefix[STORE_PREFIX_MAX + 2];
    struct suppression_options options = {.endpoint = world->endpoint,
                                          .key_prefix = prefix,
                                          .timeout_ms = 50,
                                          .connections = 1};
    struct error error = {""};

    memset(prefix, 'p', sizeof prefix);
    prefix[STORE_PREFIX_MAX + 1] = '\0';
    assert_null(suppression_new(&options, &error));
    assert_non_null(strstr(error.text, "key_prefix"));
    prefix[0] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        options.timeout_ms = rows[i].timeout_ms;
        options.connections = rows[i].connections;
        assert_null(suppression_new(&options, &error));
    }
    suppression_free(NULL);
}

/* Threads that share fewer connections than they are. */
struct crowd {
    struct suppression *list;
    unsigned number;
    unsigned wrong;
};

static void *ask_often(void *context)
{
    struct crowd *crowd = context;

    for (unsigned i = 0; i < 300; i++) {
        unsigned who = (crowd->number * 7 + i) % 16;
        char address[64];
        struct mailbox mailbox;
        struct suppression_entry entry;
        struct error error = {""};
        enum suppression_result result;

        (void)snprintf(address, sizeof address, "u%u@example.org", who);
        (void)mailbox_parse(text_of(address), NULL, &mailbox);
        result = suppression_find(crowd->list, &mailbox, NULL, &entry, &error);
        if (result != (who % 2 == 0 ? SUPPRESSION_FOUND : SUPPRESSION_ABSENT) ||
            (who % 2 == 0 && strcmp(entry.note, address) != 0)) {
            crowd->wrong++;
        }
    }
    return NULL;
}

static void suppression_find_keeps_eight_threads_apart(void **state)
{
    struct world *world = *state;
    struct suppression *list = lists_new(world->endpoint, 1000, 3, NULL);
    struct crowd crowds[8];
    pthread_t threads[8];

    for (unsigned i = 0; i < 16; i += 2) {
        char command[96];

        (void)snprintf(command, sizeof command,
                       "SET nixie:suppress:u%u@example.org u%u@example.org", i,
                       i);
        world_operate(world, command);
    }
    for (unsigned i = 0; i < 8; i++) {
        crowds[i] = (struct crowd){.list = list, .number = i};
        assert_int_equal(
            pthread_create(&threads[i], NULL, ask_often, &crowds[i]), 0);
    }
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(crowds[i].wrong, 0);
    }
    suppression_free(list);
}

#define WITH_EMPTY(test) cmocka_unit_test_setup(test, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EMPTY(suppression_find_knows_all_pattern_forms),
        WITH_EMPTY(suppression_find_takes_any_redis_type),
        WITH_EMPTY(suppression_find_reads_the_fields_of_a_hash),
        WITH_EMPTY(suppression_find_forgets_the_entry_before),
        WITH_EMPTY(suppression_find_bounds_and_cleans_values),
        WITH_EMPTY(suppression_find_sees_the_end_of_an_entry),
        WITH_EMPTY(suppression_find_follows_changes_at_once),
        WITH_EMPTY(suppression_find_lets_the_first_of_the_order_decide),
        WITH_EMPTY(suppression_candidate_lists_what_find_asks),
        WITH_EMPTY(suppression_candidate_has_the_pseudonym_second),
        WITH_EMPTY(suppression_find_knows_a_mailbox_by_its_pseudonym),
        WITH_EMPTY(suppression_find_does_not_look_into_other_scopes),
        WITH_EMPTY(suppression_find_takes_the_deepest_domain),
        WITH_EMPTY(suppression_find_looks_up_a_long_mailbox_by_domain),
        WITH_EMPTY(suppression_find_needs_only_to_read),
        WITH_EMPTY(suppression_find_resolves_the_name_of_its_server),
        WITH_EMPTY(suppression_new_refuses_options_out_of_range),
        WITH_EMPTY(suppression_find_keeps_eight_threads_apart),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, world_start, world_stop);
}
