/*
 * Failures that spike, in a real Redis and a real event log.
 */
#include "clock.h"
#include "quarantine_breaker.h"
#include "quarantine_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- breakers ---- */

static void failures_of_a_domain_open_its_breaker(void **state)
{
    static const struct {
        const char *hour, *failures, *deliveries, *old_failures;
        bool opens;
    } rows[] = {
        {HOUR, "20", "20", "0", true},
        {HOUR, "20", "0", "0", true},
        {HOUR, "20", "21", "0", false},
        {HOUR, "19", "0", "0", false},
        {HOUR, "10", "0", "10", true}, /* with the hour before it */
        {HOUR_OLD, "20", "0", "0", true},
        {"2026052818", "20", "0", "0", false},
        {"2026052821", "20", "0", "0", false},
        {HOUR, "-20", "0", "0", false},
        {HOUR, "many", "0", "0", false},
        {HOUR, "999999999999999999", "999999999999999999", "0", true},
        {HOUR, "20", "junk", "0", true},
    };
    struct world *world = *state;
    size_t line = 0;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char address[32];

        REDIS(world, "FLUSHALL");
        (void)snprintf(address, sizeof address, "%zu@example.org", i);
        put_due(world, address, "user_unknown");
        if (strcmp(rows[i].old_failures, "0") != 0) {
            put_counts(world, "example.org", HOUR_OLD, "user_unknown",
                       rows[i].old_failures, "0");
        }
        put_counts(world, "example.org", rows[i].hour, "user_unknown",
                   rows[i].failures, rows[i].deliveries);
        world->set->breaker.all_failures = 0;
        run(world);
        if (rows[i].opens) {
            expect_line(world, line++,
                        "{\"type\": \"breaker_opened\","
                        "\"origin\": \"policy\", \"reason\": \"user_unknown\","
                        "\"recipient_domain\": \"example.org\"}");
            expect_withheld(world, line++, address, "breaker");
        } else {
            expect_added(world, line++, address);
        }
        expect_end(world, line);
    }
}

/* Anybody may have our MTA refuse the recipient, which moves last_at. */
static void the_hour_of_a_breaker_is_that_of_the_failure(void **state)
{
    struct world *world = *state;
    const char *address = "ann@example.org";

    put_due(world, address, "user_unknown");
    REDIS(world, "HSET", KEY(RECIPIENT, address), "last_at",
          "2026-06-20T12:00:00.000000Z");
    REDIS(world, "LPUSH", KEY(EVIDENCE, address), EVIDENCE);
    put_counts(world, "example.org", HOUR, "user_unknown", "30", "0");
    run(world);
    expect_line(world, 0, "{\"type\": \"breaker_opened\"}");
    expect_withheld(world, 1, address, "breaker");
    expect_end(world, 2);
}

static void failures_everywhere_open_the_breaker_for_all(void **state)
{
    struct world *world = *state;
    const json_t *line;
    int64_t opened = 0;
    int64_t expires = 0;

    for (int i = 0; i < 130; i++) {
        char domain[32];

        (void)snprintf(domain, sizeof domain, "d%d.example", i);
        REDIS(world, "HINCRBY",
              key_of(STORE_HOUR, bucket_of(domain), HOUR).text, "|expired",
              "2");
        REDIS(world, "HINCRBY",
              key_of(STORE_HOUR, bucket_of(domain), HOUR_OLD).text,
              "|deliveries", "2");
    }
    put_due(world, "ann@example.org", "expired");
    put_due(world, "bob@example.net", "expired");
    put_due(world, "col@example.net", "user_unknown");
    world->set->breaker.pause_s = 1800;
    run(world);
    assert_int_equal(count_lines(world), 4);
    for (size_t i = 0; i < 4; i++) {
        line = line_at(world, i);
        if (strcmp(member(line, "type"), "breaker_opened") == 0) {
            expect_line(world, i,
                        "{\"reason\": \"expired\", \"recipient_domain\": null,"
                        "\"recipient\": null}");
            (void)clock_parse(member(line, "timestamp"), 27, &opened);
            (void)clock_parse(member(line, "expires_at"), 27, &expires);
        } else if (strcmp(member(line, "reason"), "expired") == 0) {
            expect_withheld(world, i, member(line, "recipient"), "breaker");
        } else {
            expect_added(world, i, "col@example.net");
        }
    }
    assert_true(opened > 0);
    assert_int_equal(expires - opened, 1800 * US);
    expect_end(world, 4);
}

static void what_three_domains_do_is_not_everywhere(void **state)
{
    static const char *const domains[] = {"a.example", "b.example",
                                          "c.example"};
    struct world *world = *state;

    for (size_t i = 0; i < 3; i++) {
        put_counts(world, domains[i], HOUR, "expired", "900", "0");
        put_counts(world, domains[i], HOUR_OLD, "expired", "900", "0");
    }
    put_counts(world, "example.net", HOUR, "expired", "19", "0");
    put_due(world, "ann@example.net", "expired");
    put_due(world, "bob@b.example", "expired");
    run(world);
    assert_int_equal(count_lines(world), 3);
    for (size_t i = 0; i < 3; i++) {
        const char *domain = member(line_at(world, i), "recipient_domain");

        assert_non_null(domain);
        assert_string_equal(member(line_at(world, i), "type"),
                            strcmp(domain, "example.net") == 0
                                ? "suppression_added"
                            : member(line_at(world, i), "recipient") == NULL
                                ? "breaker_opened"
                                : "suppression_withheld");
    }
    expect_end(world, 3);
}

static void a_mailbox_without_a_domain_is_under_no_domains_breaker(void **state)
{
    struct world *world = *state;

    put_counts(world, "example.org", HOUR, "user_unknown", "100", "0");
    put_due(world, "root", "user_unknown");
    run(world);
    expect_line(world, 0,
                "{\"type\": \"suppression_added\","
                "\"suppression_pattern\": \"root\","
                "\"recipient_domain\": null}");
    expect_end(world, 1);
}

static void a_breaker_opens_once_for_all_who_are_due(void **state)
{
    struct world *world = *state;
    struct listener listener;

    put_counts(world, "example.org", HOUR, "user_unknown", "25", "1");
    for (int i = 0; i < 100; i++) {
        char address[32];

        (void)snprintf(address, sizeof address, "%d@example.org", i);
        put_due(world, address, "user_unknown");
    }
    listener_begin(&listener);
    run(world);
    assert_int_equal(listener_heard(&listener, "failures spike"), 1);
    expect_line(world, 0, "{\"type\": \"breaker_opened\"}");
    for (size_t i = 1; i <= 100; i++) {
        expect_line(world, i, "{\"withheld_by\": \"breaker\"}");
    }
    apply(world);
    /* the next run knows it from Redis */
    put_due(world, "ann@example.org", "user_unknown");
    run(world);
    assert_int_equal(listener_heard(&listener, "failures spike"), 1);
    listener_end(&listener);
    expect_withheld(world, 101, "ann@example.org", "breaker");
    expect_end(world, 102);
}

static void a_request_is_granted_also_when_many_make_it(void **state)
{
    struct world *world = *state;

    put_counts(world, "example.org", HOUR, "complaint", "900", "0");
    put_counts(world, "example.org", HOUR, "unsubscribe", "900", "0");
    put_breaker(world, "*", "complaint", clock_now_us() + HOUR_S * US, OTHER);
    put_due(world, "ann@example.org", "complaint");
    put_due(world, "bob@example.org", "unsubscribe");
    run(world);
    expect_line(world, 0, "{\"type\": \"suppression_added\"}");
    expect_line(world, 1, "{\"type\": \"suppression_added\"}");
    expect_end(world, 2);
}

static void an_open_breaker_withholds_what_it_names(void **state)
{
    static const struct {
        const char *domain, *reason;
        int64_t seconds; /* from now on */
        bool withholds;
    } rows[] = {
        {"example.org", "user_unknown", 60, true},
        {"*", "user_unknown", 60, true},
        {"example.org", "user_unknown", -60, false},
        {"*", "user_unknown", -60, false},
        {"example.com", "user_unknown", 60, false},
        {"sub.example.org", "user_unknown", 60, false},
        {"example.org", "expired", 60, false},
        {"*", "expired", 60, false},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char address[32];

        REDIS(world, "FLUSHALL");
        (void)snprintf(address, sizeof address, "%zu@example.org", i);
        put_due(world, address, "user_unknown");
        put_breaker(world, rows[i].domain, rows[i].reason,
                    clock_now_us() + rows[i].seconds * US, OTHER);
        run(world);
        if (rows[i].withholds) {
            expect_withheld(world, i, address, "breaker");
        } else {
            expect_added(world, i, address);
        }
        expect_end(world, i + 1);
    }
}

static void a_breaker_is_closed_at_its_time_by_whom_opened_it(void **state)
{
    struct world *world = *state;
    const char *const both[] = {me(world), OTHER, NULL};
    int64_t now_us = clock_now_us();

    put_breaker(world, "example.org", "expired", now_us - US, me(world));
    put_breaker(world, "*", "expired", now_us - US, OTHER);
    put_breaker(world, "example.net", "expired", now_us + HOUR_S * US,
                me(world));
    run(world);
    expect_line(world, 0,
                "{\"type\": \"breaker_closed\", \"origin\": \"policy\","
                "\"recipient_domain\": \"example.org\","
                "\"reason\": \"expired\"}");
    expect_end(world, 1);
    quarantine_run(world->quarantine, both);
    expect_line(world, 1,
                "{\"type\": \"breaker_closed\", \"recipient_domain\": null,"
                "\"reason\": \"expired\"}");
    expect_end(world, 2);
}

static void a_lifted_breaker_opens_again_by_what_is_new(void **state)
{
    struct world *world = *state;

    put_counts(world, "example.org", HOUR, "user_unknown", "25", "1");
    put_due(world, "ann@example.org", "user_unknown");
    run(world);
    apply(world);
    REDIS(world, "DEL", BUCKET_KEY(BREAKER, "example.org"));
    REDIS(world, "DEL",
          key_of(STORE_HOUR, bucket_of("example.org"), HOUR).text);
    put_due(world, "bob@example.org", "user_unknown");
    run(world);
    expect_added(world, 2, "bob@example.org");
    expect_end(world, 3);
}

static void a_breaker_that_is_held_is_the_last_of_its_run(void **state)
{
    struct world *world = *state;
    struct event_log_state log;

    put_due(world, "ann@example.org", "user_unknown");
    put_counts(world, "example.org", HOUR, "user_unknown", "30", "0");
    disk.room = 0;
    run(world);
    event_log_state(world->place->log, &log);
    assert_int_equal(log.held, 1);
    disk_repair();
    event_log_tick(world->place->log);
    apply(world);
    run(world);
    expect_line(world, 0, "{\"type\": \"breaker_opened\"}");
    expect_withheld(world, 1, "ann@example.org", "breaker");
    expect_end(world, 2);
}

static void too_many_breakers_are_told_and_stop_nothing(void **state)
{
    struct world *world = *state;
    struct listener listener;

    for (int i = 0; i < 5000; i++) {
        char domain[32];

        (void)snprintf(domain, sizeof domain, "d%d.example", i);
        put_breaker(world, domain, "expired", clock_now_us() + HOUR_S * US,
                    OTHER);
    }
    put_due(world, "ann@example.org", "user_unknown");
    listener_begin(&listener);
    run(world);
    assert_true(listener_heard(&listener, "passed over") > 0);
    listener_end(&listener);
    expect_added(world, 0, "ann@example.org");
    expect_end(world, 1);
}

static void only_what_the_recorder_writes_is_a_breaker(void **state)
{
    static const struct {
        const char *bucket_name, *field, *value;
        bool good;
    } rows[] = {
        {"a.example", "a.example|expired", LAST " " OTHER, true},
        {"*", "*|expired", LAST " " OTHER, true},
        {"[192.0.2.1]", "[192.0.2.1]|expired", LAST " " OTHER, true},
        {"*", "a.example|expired", LAST " " OTHER, false},
        {"A.example", "A.example|expired", LAST " " OTHER, false},
        {"a.example.", "a.example.|expired", LAST " " OTHER, false},
        {"a.example", "a.example|no_such_reason", LAST " " OTHER, false},
        {"a.example", "a.example", LAST " " OTHER, false},
        {"a.example", "", LAST " " OTHER, false},
        {"", "|expired", LAST " " OTHER, false},
        {"a.example", "a.example|", LAST " " OTHER, false},
        {"a.example", "a.example|expired", "", false},
        {"a.example", "a.example|expired", LAST, false},
        {"a.example", "a.example|expired", LAST " ", false},
        {"a.example", "a.example|expired", LAST " " OTHER "0", false},
        {"a.example", "a.example|expired", "tomorrow " OTHER, false},
        {"a.example", "a.example|expired", " " OTHER, false},
        {"\xff.example", "\xff.example|expired", LAST " " OTHER, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct quarantine_breaker breaker;

        if (quarantine_breaker_parse(
                bucket_of(rows[i].bucket_name), text_of(rows[i].field),
                text_of(rows[i].value), &breaker) != rows[i].good) {
            fail_msg("%s -> %s", rows[i].field, rows[i].value);
        }
        if (rows[i].good) {
            assert_int_equal(breaker.expires_us, LAST_US);
            assert_int_equal(breaker.reason, REASON_EXPIRED);
            assert_string_equal(breaker.instance, OTHER);
        }
    }
}

#define IN_WORLD(name)                                                         \
    cmocka_unit_test_setup_teardown(name, begin_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(failures_of_a_domain_open_its_breaker),
        IN_WORLD(the_hour_of_a_breaker_is_that_of_the_failure),
        IN_WORLD(failures_everywhere_open_the_breaker_for_all),
        IN_WORLD(what_three_domains_do_is_not_everywhere),
        IN_WORLD(a_mailbox_without_a_domain_is_under_no_domains_breaker),
        IN_WORLD(a_breaker_opens_once_for_all_who_are_due),
        IN_WORLD(a_request_is_granted_also_when_many_make_it),
        IN_WORLD(an_open_breaker_withholds_what_it_names),
        IN_WORLD(a_breaker_is_closed_at_its_time_by_whom_opened_it),
        IN_WORLD(a_breaker_that_is_held_is_the_last_of_its_run),
        IN_WORLD(too_many_breakers_are_told_and_stop_nothing),
        IN_WORLD(a_lifted_breaker_opens_again_by_what_is_new),
        cmocka_unit_test(only_what_the_recorder_writes_is_a_breaker),
    };

    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, server_start, server_stop);
}
