#include "client_rate.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define START  (5000 * SECOND)
#define RATE   200

static int make_rates(void **state)
{
    *state = client_rates_new();
    return *state == NULL ? -1 : 0;
}

static int free_rates(void **state)
{
    client_rates_free(*state);
    return 0;
}

/* How many of so many events at one time have a line. */
static size_t lines_of(struct client_rates *rates, const char *client_ip,
                       int64_t now_us, size_t events)
{
    const struct client_rate_event event = {client_ip, EVENT_SUPPRESSED, RATE,
                                            now_us};
    struct client_rate_sum replaced;
    size_t lines = 0;

    for (size_t i = 0; i < events; i++) {
        if (client_rates_take(rates, &event, &replaced) != CLIENT_RATE_BEYOND) {
            lines++;
        }
    }
    return lines;
}

/* What the sums have of a type, all together; they are taken out. */
static int64_t summed(struct client_rates *rates, size_t type)
{
    struct client_rate_sum sum;
    int64_t total = 0;

    while (client_rates_next(rates, &sum)) {
        total += sum.counts[type];
    }
    return total;
}

static void client_rates_let_a_second_pass_and_count_the_rest(void **state)
{
    static const struct row {
        int64_t at_us; /* since the start */
        size_t events, lines;
    } rows[] = {
        {0, RATE, RATE},
        {0, 100, 0},
        {4 * SECOND / 1000, 1, 0},      /* 0.8 of an event has come in */
        {5 * SECOND / 1000, 1, 1},      /* one */
        {SECOND / 2, 1000, 99},         /* half a bucket, less that one */
        {SECOND / 2 + 1, 1, 0},         /* what is left over is kept: */
        {SECOND / 2 + 5000, 1, 1},      /* no event is lost to rounding */
        {SECOND, 1000, 99},             /* */
        {3600 * SECOND, 1000, RATE},    /* no more than a bucket */
        {3600 * SECOND - 5, 10, 0},     /* from a slower session */
        {3600 * SECOND + 9995, 10, 1},  /* and on */
        {INT64_MAX - START, 300, RATE}, /* nothing overflows */
    };
    struct client_rates *rates = *state;
    size_t events = 0;
    size_t lines = 0;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t found =
            lines_of(rates, "192.0.2.1", START + rows[i].at_us, rows[i].events);

        if (found != rows[i].lines) {
            fail_msg("row %zu: %zu lines", i, found);
        }
        events += rows[i].events;
        lines += found;
    }
    assert_int_equal(summed(rates, 1), events - lines);
    assert_int_equal(summed(rates, 1), 0);
}

static void client_rates_hold_a_flood_to_the_rate(void **state)
{
    struct client_rates *rates = *state;
    size_t lines = 0;

    /* 100000 recipients in ten seconds */
    for (int64_t i = 0; i < 100000; i++) {
        lines += lines_of(rates, "198.51.100.7", START + i * 100, 1);
    }
    assert_in_range(lines, 10 * RATE, 11 * RATE);
    assert_int_equal(summed(rates, 1), 100000 - lines);
}

static void client_rates_know_who_is_one_client(void **state)
{
    static const struct row {
        const char *client_ip;
        size_t lines; /* of two buckets full of events */
    } rows[] = {
        {"192.0.2.1", RATE},       {"192.0.2.2", RATE},
        {"::ffff:192.0.2.2", 0},                            /* the same */
        {"2001:db8::1", RATE},     {"2001:db8::ffff:1", 0}, /* of one /64 */
        {"2001:db8:0:1::1", RATE}, {"::2", RATE},
        {"128.0.0.1", RATE},       {"126.255.255.255", RATE},
        {"127.0.0.1", 2 * RATE},   {"127.255.255.255", 2 * RATE},
        {"::1", 2 * RATE},         {"::ffff:127.0.0.1", 2 * RATE},
        {NULL, 2 * RATE},          {"", 2 * RATE},
        {"no address", 2 * RATE},
    };
    struct client_rates *rates = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t found = lines_of(rates, rows[i].client_ip, START, 2 * RATE);

        if (found != rows[i].lines) {
            fail_msg("%s: %zu lines", rows[i].client_ip, found);
        }
    }
}

static void client_rates_count_each_type_with_the_latest_address(void **state)
{
    struct client_rates *rates = *state;
    struct client_rate_event event = {"2001:db8::9", EVENT_REJECTION, RATE,
                                      START};
    struct client_rate_sum sum;

    (void)lines_of(rates, "2001:db8::1", START, RATE + 3);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(client_rates_take(rates, &event, &sum),
                         CLIENT_RATE_BEYOND);
    }
    event.type = EVENT_RECEPTION;
    assert_int_equal(client_rates_take(rates, &event, &sum),
                     CLIENT_RATE_WITHIN);
    event.type = EVENT_WOULD_SUPPRESS;
    assert_int_equal(client_rates_take(rates, &event, &sum),
                     CLIENT_RATE_BEYOND);
    event.rate = 0;
    assert_int_equal(client_rates_take(rates, &event, &sum),
                     CLIENT_RATE_WITHIN);
    assert_true(client_rates_next(rates, &sum));
    assert_string_equal(sum.client_ip, "2001:db8::9");
    assert_int_equal(client_rate_types[0], EVENT_REJECTION);
    assert_int_equal(sum.counts[0], 2);
    assert_int_equal(sum.counts[1], 3);
    assert_int_equal(sum.counts[2], 1);
    assert_false(client_rates_next(rates, &sum));
}

static void client_rates_obey_a_rate_that_changes(void **state)
{
    struct client_rates *rates = *state;
    struct client_rate_event event = {"192.0.2.1", EVENT_REJECTION, 100000,
                                      START};
    struct client_rate_sum sum;
    size_t lines = 0;

    assert_int_equal(client_rates_take(rates, &event, &sum),
                     CLIENT_RATE_WITHIN);
    event.rate = 1;
    while (client_rates_take(rates, &event, &sum) == CLIENT_RATE_WITHIN) {
        lines++;
    }
    assert_int_equal(lines, 1);
}

static void name_client(size_t number, char client_ip[16])
{
    (void)snprintf(client_ip, 16, "10.%zu.%zu.%zu", number / 65536 % 256,
                   number / 256 % 256, number % 256);
}

static void client_rates_replace_the_oldest_and_hand_out_its_sum(void **state)
{
    struct client_rates *rates = *state;
    struct client_rate_sum sum;
    struct client_rate_event event = {NULL, EVENT_SUPPRESSED, RATE, START};
    char client_ip[16];

    (void)lines_of(rates, "192.0.2.1", START, RATE + 7);
    (void)lines_of(rates, "192.0.2.2", START, RATE + 1);
    assert_int_equal(client_rates_held(rates), 2);
    for (size_t i = 2; i < CLIENT_RATE_CLIENTS; i++) {
        name_client(i, client_ip);
        assert_int_equal(lines_of(rates, client_ip, START, 1), 1);
    }
    assert_int_equal(client_rates_replaced(rates), 0);
    assert_int_equal(lines_of(rates, "192.0.2.2", START, 1), 0); /* is newer */
    event.client_ip = "203.0.113.1";
    assert_int_equal(client_rates_take(rates, &event, &sum),
                     CLIENT_RATE_REPLACED);
    assert_string_equal(sum.client_ip, "192.0.2.1");
    assert_int_equal(sum.counts[1], 7);
    assert_int_equal(client_rates_held(rates), 1);
    event.client_ip = "203.0.113.2"; /* for one that had no sum */
    assert_int_equal(client_rates_take(rates, &event, &sum),
                     CLIENT_RATE_WITHIN);
    assert_int_equal(client_rates_replaced(rates), 2);
    assert_int_equal(lines_of(rates, "192.0.2.2", START, 1), 0);
    assert_int_equal(lines_of(rates, "192.0.2.1", START, RATE + 1), RATE);
    assert_int_equal(summed(rates, 1), 4);
}

/* Three times as many clients as there is room for, many with sums. */
static void client_rates_lose_nothing_when_clients_come_and_go(void **state)
{
    struct client_rates *rates = *state;
    int64_t events = 0;
    int64_t lines = 0;
    int64_t in_sums = 0;
    char client_ip[16];

    for (size_t i = 0; i < 200000; i++) {
        size_t number = i * 2654435761U % (3 * CLIENT_RATE_CLIENTS);
        struct client_rate_event event = {client_ip, EVENT_SUPPRESSED, 1,
                                          START + (int64_t)i};
        struct client_rate_sum sum;

        name_client(number / (1 + i / 1000 % 7), client_ip);
        events++;
        switch (client_rates_take(rates, &event, &sum)) {
        case CLIENT_RATE_REPLACED:
            in_sums += sum.counts[1];
            lines++;
            break;
        case CLIENT_RATE_WITHIN:
            lines++;
            break;
        case CLIENT_RATE_BEYOND:
            break;
        }
        if (i % 997 == 0 && client_rates_next(rates, &sum)) {
            in_sums += sum.counts[1];
        }
    }
    in_sums += summed(rates, 1);
    assert_true(client_rates_replaced(rates) > 0);
    assert_true(in_sums > 0);
    assert_int_equal(lines + in_sums, events);
}

struct crowd {
    struct client_rates *rates;
    size_t lines;
};

static void *push(void *context)
{
    struct crowd *crowd = context;

    crowd->lines = lines_of(crowd->rates, "192.0.2.1", START, 10000);
    return NULL;
}

static void client_rates_are_one_for_all_sessions_of_a_client(void **state)
{
    struct crowd crowds[4];
    pthread_t threads[4];
    size_t lines = 0;

    for (size_t i = 0; i < 4; i++) {
        crowds[i].rates = *state;
        assert_int_equal(pthread_create(&threads[i], NULL, push, &crowds[i]),
                         0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        lines += crowds[i].lines;
    }
    assert_int_equal(lines, RATE);
    assert_int_equal(summed(*state, 1), 40000 - RATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            client_rates_let_a_second_pass_and_count_the_rest, make_rates,
            free_rates),
        cmocka_unit_test_setup_teardown(client_rates_hold_a_flood_to_the_rate,
                                        make_rates, free_rates),
        cmocka_unit_test_setup_teardown(client_rates_know_who_is_one_client,
                                        make_rates, free_rates),
        cmocka_unit_test_setup_teardown(
            client_rates_count_each_type_with_the_latest_address, make_rates,
            free_rates),
        cmocka_unit_test_setup_teardown(client_rates_obey_a_rate_that_changes,
                                        make_rates, free_rates),
        cmocka_unit_test_setup_teardown(
            client_rates_replace_the_oldest_and_hand_out_its_sum, make_rates,
            free_rates),
        cmocka_unit_test_setup_teardown(
            client_rates_lose_nothing_when_clients_come_and_go, make_rates,
            free_rates),
        cmocka_unit_test_setup_teardown(
            client_rates_are_one_for_all_sessions_of_a_client, make_rates,
            free_rates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
