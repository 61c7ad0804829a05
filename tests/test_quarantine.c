/*
 * Whose strikes are too many, in a real Redis into which the test writes what
 * the recorder would have written, and a real event log.
 */
#include "clock.h"
#include "fake_redis.h"
#include "quarantine_look.h"
#include "quarantine_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- suppressing ---- */

static void what_is_due_is_suppressed_with_all_that_led_to_it(void **state)
{
    struct world *world = *state;
    const char *address = "ann@example.org";
    const json_t *line;
    int64_t added;
    int64_t expires;

    put_due(world, address, "user_unknown");
    REDIS(world, "HSET", KEY(RECIPIENT, address), "last_queue_id", "OTHER");
    REDIS(world, "ZADD", KEY(STRIKES, address), "1", "a", "2", "b");
    REDIS(world, "LPUSH", KEY(EVIDENCE, address), "the oldest", EVIDENCE);
    run(world);
    expect_line(world, 0,
                "{\"type\": \"suppression_added\", \"origin\": \"policy\","
                "\"recipient\": \"ann@example.org\","
                "\"recipient_domain\": \"example.org\","
                "\"suppression_pattern\": \"ann@example.org\","
                "\"reason\": \"user_unknown\", \"failure_type\": \"hard\","
                "\"suppression_reason\": \"user_unknown\","
                "\"suppression_origin\": \"policy\", \"strikes\": 7,"
                "\"queue_id\": \"4bXk2s1Zq\","
                "\"message_id\": \"1.2@example.com\","
                "\"suppression_evidence\": \"" EVIDENCE " | the oldest\","
                "\"withheld_by\": null, \"scope\": null}");
    line = line_at(world, 0);
    assert_string_equal(member(line, "suppression_added_at"),
                        member(line, "timestamp"));
    assert_true(clock_parse(member(line, "timestamp"), 27, &added));
    assert_true(
        clock_parse(member(line, "suppression_expires_at"), 27, &expires));
    assert_true(llabs(added - clock_now_us()) < SOON_MS * 1000);
    assert_int_equal(expires - added, 7 * DAY_S * US);
    expect_end(world, 1);
}

static void each_release_is_longer_than_the_one_before(void **state)
{
    static const struct {
        const char *reason, *escalation;
        int64_t days; /* 0: for good */
    } rows[] = {
        {"user_unknown", "1", 30},
        {"user_unknown", "2", 90},
        {"user_unknown", "3", 0},
        {"user_unknown", "400", 0},
        {"user_unknown", "-1", 7},
        {"user_unknown", "many", 7},
        {"user_unknown", "", 7},
        {"user_unknown", "1e9", 7},
        {"mailbox_full", "5", 30},
        {"undetermined", "0", 7},
        {"undetermined", "9", 30},
        {"complaint", "0", 0},
        {"unsubscribe", "0", 0},
        {"user_unknown", "99999999999999999999999999", 7},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const json_t *line;
        int64_t added = 0;
        int64_t expires = 0;
        char address[32];

        (void)snprintf(address, sizeof address, "%zu@example.org", i);
        put_due(world, address, rows[i].reason);
        REDIS(world, "HSET", KEY(RECIPIENT, address), "escalation",
              rows[i].escalation);
        run(world);
        line = line_at(world, i);
        expect_added(world, i, address);
        (void)clock_parse(member(line, "timestamp"), 27, &added);
        if (rows[i].days == 0) {
            assert_null(member(line, "suppression_expires_at"));
        } else {
            (void)clock_parse(member(line, "suppression_expires_at"), 27,
                              &expires);
            assert_int_equal(expires - added, rows[i].days * DAY_S * US);
        }
        apply(world);
    }
}

static void a_temporary_reply_is_no_hard_failure(void **state)
{
    static const struct {
        const char *reason, *evidence, *type, *queue_id;
    } rows[] = {
        {"account_disabled", "T Q M 450 4.2.1 account_disabled x", "soft", "Q"},
        {"account_disabled", "T Q M 450 - account_disabled", "soft", "Q"},
        {"account_disabled", "T Q M - 4.2.1 account_disabled x", "soft", "Q"},
        {"account_disabled", "T Q M 550 5.2.1 account_disabled x", "hard", "Q"},
        {"account_disabled", "T Q M - - account_disabled x", "hard", "Q"},
        {"account_disabled", "T - - 450 - account_disabled x", "soft", NULL},
        {"account_disabled", "T Q M 450 4.2.1 user_unknown x", "hard", NULL},
        {"account_disabled", "T Q a b 450 4.2.1 account_disabled", "hard",
         NULL},
        {"account_disabled", "T \xff M 450 4.2.1 account_disabled", "soft",
         NULL},
        {"account_disabled", "450", "hard", NULL},
        {"account_disabled", "   450 4.2.1 account_disabled", "soft", NULL},
        {"account_disabled", "      ", "hard", NULL},
        {"mailbox_full", "T Q M 550 5.2.2 mailbox_full x", "soft", "Q"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char address[32];
        char json[128];

        (void)snprintf(address, sizeof address, "%zu@example.org", i);
        put_due(world, address, rows[i].reason);
        REDIS(world, "LPUSH", KEY(EVIDENCE, address), rows[i].evidence);
        run(world);
        expect_added(world, i, address);
        (void)snprintf(json, sizeof json,
                       "{\"failure_type\": \"%s\", \"queue_id\": %s%s%s}",
                       rows[i].type, rows[i].queue_id == NULL ? "null" : "\"",
                       rows[i].queue_id == NULL ? "" : rows[i].queue_id,
                       rows[i].queue_id == NULL ? "" : "\"");
        expect_line(world, i, json);
        apply(world);
    }
}

static void evidence_is_bounded_at_a_character(void **state)
{
    struct world *world = *state;
    const char *address = "ann@example.org";
    char long_line[1200];
    size_t used = 0;

    put_due(world, address, "user_unknown");
    while (used + 3 < sizeof long_line) {
        memcpy(long_line + used, "\xe2\x82\xac", 4); /* the euro sign */
        used += 3;
    }
    REDIS(world, "RPUSH", KEY(EVIDENCE, address), long_line, long_line,
          long_line);
    run(world);
    used = strlen(member(line_at(world, 0), "suppression_evidence"));
    assert_in_range(used, QUARANTINE_EVIDENCE_MAX - 3, QUARANTINE_EVIDENCE_MAX);
    expect_line(world, 0, "{\"suppression_evidence_base64\": null}");
    expect_end(world, 1);
}

/* ---- not suppressing ---- */

static void the_lists_of_others_go_first(void **state)
{
    static const struct {
        const char *keys[2];
        const char *by; /* NULL: added */
    } rows[] = {
        {{"allow:0@sub.example.org"}, "allow"},
        {{"allow:1@"}, "allow"},
        {{"allow:@sub.example.org"}, "allow"},
        {{"allow:@.example.org"}, "allow"},
        {{"allow:@.org"}, "allow"},
        {{"suppress:5@sub.example.org"}, "entry"},
        {{"suppress:6@"}, "entry"},
        {{"suppress:@sub.example.org"}, "entry"},
        {{"suppress:@.example.org"}, "entry"},
        {{"suppress:9@sub.example.org", "allow:@.org"}, "allow"},
        {{"allow@news:10@sub.example.org"}, NULL},
        {{"suppress@news:@sub.example.org"}, NULL},
        {{"suppress:@example.org", "allow:@.sub.example.org"}, NULL},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char address[48];

        REDIS(world, "FLUSHALL");
        (void)snprintf(address, sizeof address, "%zu@sub.example.org", i);
        put_due(world, address, "user_unknown");
        for (size_t j = 0; j < 2 && rows[i].keys[j] != NULL; j++) {
            char key[128];

            (void)snprintf(key, sizeof key, PREFIX "%s", rows[i].keys[j]);
            REDIS(world, "SET", key, "");
        }
        run(world);
        if (rows[i].by == NULL) {
            expect_added(world, i, address);
        } else {
            expect_withheld(world, i, address, rows[i].by);
            expect_line(world, i,
                        "{\"origin\": \"policy\", \"reason\": \"user_unknown\","
                        "\"recipient_domain\": \"sub.example.org\","
                        "\"suppression_expires_at\": null}");
        }
        expect_end(world, i + 1);
    }
}

static void what_does_not_count_suppresses_nobody(void **state)
{
    static const struct {
        const char *address, *reason, *logged;
    } rows[] = {
        {"1@example.org", "no_such_reason", "null"},
        {"2@example.org", "", "null"},
        {"3@example.org", "User_Unknown", "null"},
        {"4@example.org", "user_unknown\xff", "null"},
        {"5@example.org", "greylisted", "\"greylisted\""},
        {"6@example.org", "policy_block", "\"policy_block\""},
        {"7@example.org", "expired", "\"expired\""},
    };
    struct world *world = *state;

    world->set->policies.of[REASON_EXPIRED].strikes = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char json[128];

        put_due(world, rows[i].address, rows[i].reason);
        run(world);
        expect_withheld(world, i, rows[i].address, "policy");
        (void)snprintf(json, sizeof json, "{\"reason\": %s}", rows[i].logged);
        expect_line(world, i, json);
        expect_end(world, i + 1);
    }
}

/* A delivery was told of late, their window is over, the limit has changed. */
static void too_few_strikes_suppress_nobody(void **state)
{
    struct world *world = *state;

    put_due(world, "1@example.org", "mailbox_full");
    REDIS(world, "ZREM", KEY(STRIKES, "1@example.org"), "1");
    run(world);
    expect_withheld(world, 0, "1@example.org", "policy");
    expect_line(world, 0, "{\"strikes\": 4}");
    apply(world);
    put_due(world, "2@example.org", "user_unknown");
    REDIS(world, "DEL", KEY(STRIKES, "2@example.org"));
    run(world);
    expect_withheld(world, 1, "2@example.org", "policy");
    apply(world);
    world->set->policies.of[REASON_USER_UNKNOWN].strikes = 6;
    put_due(world, "3@example.org", "user_unknown");
    run(world);
    expect_withheld(world, 2, "3@example.org", "policy");
    expect_end(world, 3);
}

static void a_message_that_was_given_up_counts_as_expired(void **state)
{
    static const char *const reasons[] = {"greylisted", "rate_limited",
                                          "transient"};
    struct world *world = *state;

    world->set->policies.of[REASON_EXPIRED].release_s[0] = 3 * DAY_S;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        char address[64];
        int64_t added = 0;
        int64_t expires = 0;

        (void)snprintf(address, sizeof address, "%s@example.org", reasons[i]);
        put_due(world, address, reasons[i]);
        run(world);
        expect_added(world, i, address);
        expect_line(world, i, "{\"failure_type\": \"soft\"}");
        (void)clock_parse(member(line_at(world, i), "timestamp"), 27, &added);
        (void)clock_parse(member(line_at(world, i), "suppression_expires_at"),
                          27, &expires);
        assert_int_equal(expires - added, 3 * DAY_S * US);
        expect_end(world, i + 1);
    }
}

static void what_another_is_to_decide_is_left_alone(void **state)
{
    struct world *world = *state;
    const char *const both[] = {OTHER, me(world), NULL};
    const char *const none[] = {NULL};
    const char *const third[] = {"00000000000000cc", NULL};

    put_due_by(world, "ann@example.org", "user_unknown", OTHER);
    put_due_by(world, "bob@example.org", "user_unknown", NULL);
    put_due_by(world, "col@example.org", "user_unknown",
               "00000000000000bbb"); /* longer than any id */
    put_domain(world, "example.org", "down");
    REDIS(world, "HSET", KEY(DOMAIN, "example.org"), "due_by", OTHER);
    run(world);
    quarantine_run(world->quarantine, none);
    quarantine_run(world->quarantine, third);
    assert_int_equal(count_lines(world), 0);
    quarantine_run(world->quarantine, both);
    assert_int_equal(count_lines(world), 2);
}

/* ---- the log ---- */

static void nothing_is_decided_while_the_log_holds_events(void **state)
{
    struct world *world = *state;

    put_due(world, "ann@example.org", "user_unknown");
    disk.room = 0;
    assert_int_equal(place_append(world->place, 1), EVENT_LOG_HELD);
    run(world);
    disk_repair();
    run(world);
    assert_int_equal(count_lines(world), 0);
    event_log_tick(world->place->log);
    run(world);
    expect_added(world, 0, "ann@example.org");
    expect_end(world, 1);
}

static void the_first_event_that_is_held_is_the_last_of_its_run(void **state)
{
    struct world *world = *state;
    struct event_log_state log;

    put_due(world, "ann@example.org", "user_unknown");
    put_due(world, "bob@example.org", "user_unknown");
    put_due(world, "col@example.org", "user_unknown");
    disk.room = 0;
    run(world);
    event_log_state(world->place->log, &log);
    assert_int_equal(log.held, 1);
    disk_repair();
    event_log_tick(world->place->log);
    assert_int_equal(count_lines(world), 1);
    apply(world);
    run(world);
    expect_end(world, 3);
}

static void a_run_decides_so_much_and_the_next_the_rest(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 1203; i++) {
        char address[32];

        (void)snprintf(address, sizeof address, "%d@example.org", i);
        put_due(world, address, "user_unknown");
    }
    for (size_t i = 1; i <= 3; i++) {
        run(world);
        assert_int_equal(count_lines(world), i < 3 ? 500 * i : 1203);
        apply(world);
    }
    expect_end(world, 1203);
}

static void what_is_ours_is_found_among_thousands_of_others(void **state)
{
    struct world *world = *state;
    const char *address = "ann@example.org";
    unsigned bucket = bucket_of(address);

    for (int i = 0, put = 0; put < 3000; i++) {
        char other[32];

        (void)snprintf(other, sizeof other, "%d@example.com", i);
        if (bucket_of(other) == bucket) {
            REDIS(world, "HSET", BUCKET_KEY(DUE, address), other,
                  "user_unknown");
            put++;
        }
    }
    put_due(world, address, "user_unknown");
    run(world);
    expect_added(world, 0, address);
    expect_end(world, 1);
}

/* Redis refuses what would clear it: no line each time it is looked at. */
static void what_is_not_cleared_is_not_decided_again_and_again(void **state)
{
    struct world *world = *state;
    struct listener listener;

    put_due(world, "ann@example.org", "user_unknown");
    put_breaker(world, "example.net", "expired", LAST_US, me(world));
    listener_begin(&listener);
    for (int i = 0; i < 5; i++) {
        run(world);
    }
    assert_int_equal(listener_heard(&listener, "is still due"), 1);
    listener_end(&listener);
    assert_int_equal(count_lines(world), 2);
}

static void who_fails_once_more_is_due_once_more(void **state)
{
    struct world *world = *state;
    const char *address = "ann@example.org";

    put_due(world, address, "user_unknown");
    REDIS(world, "LPUSH", KEY(EVIDENCE, address), EVIDENCE);
    run(world);
    apply(world);
    /* in the same second, by another message */
    REDIS(world, "SET", PREFIX "suppress:ann@example.org", "");
    put_due(world, address, "user_unknown");
    REDIS(world, "LPUSH", KEY(EVIDENCE, address),
          LAST " 4bXk2s1Zr - 550 5.1.1 user_unknown no");
    run(world);
    expect_added(world, 0, address);
    expect_withheld(world, 1, address, "entry");
    expect_end(world, 2);
}

/* ---- destinations ---- */

static void a_destination_goes_down_and_comes_back(void **state)
{
    struct world *world = *state;

    put_domain(world, "example.net", "down");
    run(world);
    expect_line(world, 0,
                "{\"type\": \"domain_down\", \"origin\": \"maillog\","
                "\"recipient_domain\": \"example.net\","
                "\"reason\": \"unreachable\","
                "\"first_attempt_at\": \"" LAST "\", \"recipient\": null}");
    expect_end(world, 1);
    put_domain(world, "example.net", "up");
    run(world);
    expect_line(world, 1,
                "{\"type\": \"domain_up\", \"origin\": \"maillog\","
                "\"recipient_domain\": \"example.net\", \"reason\": null,"
                "\"first_attempt_at\": \"2026-05-27T01:02:03.000004Z\"}");
    expect_end(world, 2);
}

static void a_destination_of_which_little_is_known_is_told_too(void **state)
{
    struct world *world = *state;

    put_domain(world, "[192.0.2.1]", "down");
    REDIS(world, "HSET", KEY(DOMAIN, "[192.0.2.1]"), "failing_since",
          "yesterday", "last_failure_reason", "no_such_reason");
    run(world);
    expect_line(world, 0,
                "{\"type\": \"domain_down\", \"reason\": null,"
                "\"recipient_domain\": \"[192.0.2.1]\","
                "\"first_attempt_at\": null}");
    expect_end(world, 1);
}

/* ---- what should not be there ---- */

static void a_field_that_no_event_could_clear_is_passed_over(void **state)
{
    static const struct {
        const char *field;
        size_t length;
        bool elsewhere; /* in another bucket than its own */
    } rows[] = {
        {"", 0, false},
        {"@", 1, false},
        {"Ann@example.org.", 16, false},
        {"ann@EXAMPLE.org", 15, false},
        {"<ann@example.org>", 17, false},
        {"ann@example.org\0", 16, false},
        {"\xff\xfe@example.org", 14, false},
        {"@Example.org", 12, false},
        {"@example.org", 12, false}, /* neither up nor down */
        {"ann@example.org", 15, true},
        {"a\r\nHDEL x@example.org", 21, false},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool domain = rows[i].length > 0 && rows[i].field[0] == '@';
        unsigned bucket = store_bucket(rows[i].field + (domain ? 1 : 0),
                                       rows[i].length - (domain ? 1 : 0)) +
                          (rows[i].elsewhere ? 1 : 0);
        struct store_key key = key_of(STORE_DUE, bucket, NULL);
        const char *argv[] = {"HSET", key.text, rows[i].field, "user_unknown"};
        size_t lengths[] = {4, key.length, rows[i].length, 12};
        struct listener listener;

        REDIS(world, "FLUSHALL");
        REDIS(world, "HSET", KEY(RECIPIENT, "ann@example.org"), "due_by",
              me(world));
        REDIS(world, "HSET", KEY(DOMAIN, "example.org"), "due_by", me(world));
        do_redis(world, 4, argv, lengths);
        listener_begin(&listener);
        run(world);
        run(world);
        assert_int_equal(listener_heard(&listener, "passed over"), 1);
        REDIS(world, "FLUSHALL");
        run(world); /* repaired: the next one is told again */
        listener_end(&listener);
        assert_int_equal(count_lines(world), 0);
    }
}

static void a_huge_field_is_passed_over(void **state)
{
    struct world *world = *state;
    size_t size = 1000000;
    char *huge = calloc(size + 1, 1);

    assert_non_null(huge);
    memset(huge, 'a', size);
    memcpy(huge + size - 12, "@example.org", 12);
    REDIS(world, "HSET", BUCKET_KEY(DUE, huge), huge, "user_unknown");
    huge[400] = '\0';
    REDIS(world, "HSET", BUCKET_KEY(DUE, huge), huge, "user_unknown");
    memset(huge, 'a', size);
    put_due(world, "ann@example.org", huge);
    run(world);
    expect_withheld(world, 0, "ann@example.org", "policy");
    expect_end(world, 1);
    free(huge);
}

static void keys_of_another_type_stop_nothing(void **state)
{
    struct world *world = *state;
    const char *address = "ann@example.org";
    struct listener listener;

    put_due(world, address, "user_unknown");
    REDIS(world, "HSET", KEY(RECIPIENT, address), "last_at", "junk",
          "last_queue_id", "no queue id");
    REDIS(world, "SET", KEY(STRIKES, address), "x");
    REDIS(world, "SET", KEY(EVIDENCE, address), "x");
    REDIS(world, "SET", key_of(STORE_HOUR, 7, HOUR).text, "x");
    REDIS(world, "SET", BUCKET_KEY(DUE, "bob@example.net"), "x");
    REDIS(world, "SADD", BUCKET_KEY(BREAKER, "*"), "x");
    REDIS(world, "HSET", BUCKET_KEY(BREAKER, "example.com"), "x", "y");
    /* due, but nobody knows by whom */
    REDIS(world, "HSET", BUCKET_KEY(DUE, "col@example.org"), "col@example.org",
          "user_unknown");
    REDIS(world, "SET", KEY(RECIPIENT, "col@example.org"), "x");
    listener_begin(&listener);
    run(world);
    assert_int_equal(listener_heard(&listener, "passed over"), 3);
    run(world);
    assert_int_equal(listener_heard(&listener, "passed over"), 3);
    listener_end(&listener);
    expect_added(world, 0, address);
    expect_line(world, 0,
                "{\"strikes\": null, \"suppression_evidence\": null,"
                "\"queue_id\": null}");
    assert_int_equal(count_lines(world), 1);
}

/* ---- Redis ---- */

static void a_redis_that_is_away_is_told_once_and_when_it_is_back(void **state)
{
    struct world *world = *state;
    struct listener listener;

    run(world);
    listener_begin(&listener);
    redis_server_kill(server_running());
    for (int i = 0; i < 3; i++) {
        run(world);
    }
    assert_int_equal(listener_heard(&listener, "does not answer"), 1);
    assert_true(redis_server_restart(server_running()));
    redis_link_close(world->redis);
    put_due(world, "ann@example.org", "user_unknown");
    run(world);
    run(world);
    assert_int_equal(listener_heard(&listener, "answers again"), 1);
    assert_int_equal(listener_heard(&listener, "does not answer"), 1);
    listener_end(&listener);
    expect_added(world, 0, "ann@example.org");
}

static void a_server_that_talks_nonsense_decides_nothing(void **state)
{
    static const char *const replies[] = {
        ":1\r\n",  ":-1\r\n",           ":9223372036854775807\r\n",
        "$-1\r\n", "*-1\r\n",           "*0\r\n",
        "+OK\r\n", "-LOADING wait\r\n", "-WRONGTYPE no\r\n",
        "!\r\n",
    };
    struct world *world = *state;
    struct quarantine_options options = {.key_prefix = PREFIX,
                                         .settings = world->share,
                                         .log = world->place->log};
    const char *const instances[] = {me(world), NULL};

    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct fake_redis *fake = fake_redis_start((struct fake_redis_script){
            FAKE_REDIS_EACH, replies[i], strlen(replies[i])});
        struct redis_endpoint *endpoint =
            new_endpoint(fake_redis_location(fake));
        struct quarantine *quarantine;

        options.endpoint = endpoint;
        quarantine = quarantine_new(&options);
        assert_non_null(quarantine);
        quarantine_run(quarantine, instances);
        quarantine_run(quarantine, instances);
        assert_int_equal(count_lines(world), 0);
        quarantine_free(quarantine);
        redis_endpoint_free(endpoint);
        fake_redis_stop(fake);
    }
}

static void a_right_that_is_missing_is_told_once(void **state)
{
    static const char *const commands[] = {"-hlen",  "-hscan",  "-hmget",
                                           "-zcard", "-lrange", "-exists"};
    struct world *world = *state;

    put_due(world, "ann@example.org", "user_unknown");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct listener listener;

        REDIS(world, "ACL", "SETUSER", "default", commands[i]);
        listener_begin(&listener);
        run(world);
        run(world);
        assert_int_equal(listener_heard(&listener, "NOPERM"), 1);
        REDIS(world, "ACL", "SETUSER", "default", "+@all");
        REDIS(world, "HDEL", KEY(RECIPIENT, "ann@example.org"), "due_by");
        run(world);
        assert_int_equal(listener_heard(&listener, "answers again"), 1);
        listener_end(&listener);
        assert_int_equal(count_lines(world), 0);
        put_due(world, "ann@example.org", "user_unknown");
    }
}

#define IN_WORLD(name)                                                         \
    cmocka_unit_test_setup_teardown(name, begin_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(what_is_due_is_suppressed_with_all_that_led_to_it),
        IN_WORLD(each_release_is_longer_than_the_one_before),
        IN_WORLD(a_temporary_reply_is_no_hard_failure),
        IN_WORLD(evidence_is_bounded_at_a_character),
        IN_WORLD(the_lists_of_others_go_first),
        IN_WORLD(what_does_not_count_suppresses_nobody),
        IN_WORLD(too_few_strikes_suppress_nobody),
        IN_WORLD(a_message_that_was_given_up_counts_as_expired),
        IN_WORLD(what_another_is_to_decide_is_left_alone),
        IN_WORLD(nothing_is_decided_while_the_log_holds_events),
        IN_WORLD(the_first_event_that_is_held_is_the_last_of_its_run),
        IN_WORLD(a_run_decides_so_much_and_the_next_the_rest),
        IN_WORLD(what_is_ours_is_found_among_thousands_of_others),
        IN_WORLD(what_is_not_cleared_is_not_decided_again_and_again),
        IN_WORLD(who_fails_once_more_is_due_once_more),
        IN_WORLD(a_destination_goes_down_and_comes_back),
        IN_WORLD(a_destination_of_which_little_is_known_is_told_too),
        IN_WORLD(a_field_that_no_event_could_clear_is_passed_over),
        IN_WORLD(a_huge_field_is_passed_over),
        IN_WORLD(keys_of_another_type_stop_nothing),
        IN_WORLD(a_redis_that_is_away_is_told_once_and_when_it_is_back),
        IN_WORLD(a_right_that_is_missing_is_told_once),
        IN_WORLD(a_server_that_talks_nonsense_decides_nothing),
    };

    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, server_start, server_stop);
}
