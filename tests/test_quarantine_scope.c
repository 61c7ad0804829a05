/*
 * Who complains is suppressed in a scope, who is unreachable for all.
 */
#include "clock.h"
#include "quarantine_world.h"
#include "scope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One "news", with the policies of all. */
static struct policies *put_scope(struct world *world)
{
    struct settings *set = world->set;

    free(set->scopes);
    set->scopes = calloc(1, sizeof set->scopes[0]);
    assert_non_null(set->scopes);
    (void)text_copy(text_of("news"), set->scopes[0].name,
                    sizeof set->scopes[0].name);
    set->scopes[0].policies = set->policies;
    set->scope_count = 1;
    return &set->scopes[0].policies;
}

/* As if by us. */
static void put_request_of(struct world *world, const char *scope,
                           const char *address, const char *reason)
{
    struct store_key strikes;
    char field[64];
    char due_by[64];

    assert_true(store_key_strikes("nixie:", bucket_of(address), text_of(scope),
                                  text_of(address), &strikes));
    (void)snprintf(field, sizeof field, "%s %s", address, scope);
    (void)snprintf(due_by, sizeof due_by, "due_by@%s", scope);
    REDIS(world, "HSET", BUCKET_KEY(DUE, address), field, reason);
    REDIS(world, "HSET", KEY(RECIPIENT, address), due_by, me(world));
    REDIS(world, "ZADD", strikes.text, "1", "1");
}

static void put_request(struct world *world, const char *address,
                        const char *reason)
{
    put_request_of(world, "news", address, reason);
}

static void take_request(struct world *world, const char *address)
{
    char field[64];

    (void)snprintf(field, sizeof field, "%s news", address);
    REDIS(world, "HDEL", BUCKET_KEY(DUE, address), field);
    (void)snprintf(field, sizeof field, "%s *", address);
    REDIS(world, "HDEL", BUCKET_KEY(DUE, address), field);
    (void)count_lines(world);
    world->applied = json_array_size(world->lines);
}

static void a_request_suppresses_in_its_scope(void **state)
{
    static const struct {
        const char *address, *reason, *list, *outcome;
    } rows[] = {
        {"1@example.org", "complaint", NULL, "suppression_added"},
        {"2@example.org", "unsubscribe", NULL, "suppression_added"},
        {"3@example.org", "complaint", "suppress:3@example.org",
         "suppression_added"},
        {"4@example.org", "complaint", "suppress@bills:4@example.org",
         "suppression_added"},
        {"5@example.org", "complaint", "suppress@news:5@example.org", "entry"},
        {"6@example.org", "complaint", "suppress@news:@example.org", "entry"},
        {"7@example.org", "complaint", "allow:7@example.org", "allow"},
        {"8@example.org", "complaint", "allow@news:8@example.org", "allow"},
        {"9@example.org", "complaint", "allow@bills:9@example.org",
         "suppression_added"},
    };
    struct world *world = *state;

    (void)put_scope(world);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool added = rows[i].outcome[0] == 's';
        char key[80];
        char json[200];

        (void)snprintf(key, sizeof key, "nixie:%s",
                       rows[i].list == NULL ? "none" : rows[i].list);
        REDIS(world, "SET", key, "x");
        put_request(world, rows[i].address, rows[i].reason);
        run(world);
        (void)snprintf(json, sizeof json,
                       "{\"recipient\": \"%s\", \"scope\": \"news\", "
                       "\"suppression_pattern\": \"%s\", \"%s\": \"%s\"}",
                       rows[i].address, rows[i].address,
                       added ? "type" : "withheld_by", rows[i].outcome);
        expect_line(world, i, json);
        take_request(world, rows[i].address);
        REDIS(world, "DEL", key);
    }
    expect_end(world, sizeof rows / sizeof rows[0]);
}

/* What may end before who asked changes their mind does not hold it up. */
static void a_request_of_all_mail_gives_way_to_few_entries(void **state)
{
    static const struct {
        const char *address, *list, *origin, *reason, *outcome;
    } rows[] = {
        {"1@example.org", "none", "-", "-", "suppression_added"},
        {"2@example.org", "suppress:2@example.org", "policy", "mailbox_full",
         "suppression_added"},
        {"3@example.org", "suppress:3@example.org", "policy", "unsubscribe",
         "entry"},
        {"4@example.org", "suppress:4@example.org", "command", "mailbox_full",
         "entry"},
        {"5@example.org", "suppress:@example.org", "command", "mailbox_full",
         "suppression_added"},
        {"6@example.org", "allow:@example.org", "command", "-", "allow"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool added = rows[i].outcome[0] == 's';
        char key[80];
        char json[200];

        (void)snprintf(key, sizeof key, "nixie:%s", rows[i].list);
        REDIS(world, "HSET", key, "origin", rows[i].origin, "reason",
              rows[i].reason);
        put_request_of(world, "*", rows[i].address, "complaint");
        run(world);
        (void)snprintf(json, sizeof json,
                       "{\"recipient\": \"%s\", \"scope\": null, "
                       "\"reason\": \"complaint\", \"strikes\": 1, "
                       "\"%s\": \"%s\"}",
                       rows[i].address, added ? "type" : "withheld_by",
                       rows[i].outcome);
        expect_line(world, i, json);
        take_request(world, rows[i].address);
        REDIS(world, "DEL", key);
    }
    REDIS(world, "SET", "nixie:suppress:7@example.org", "by hand");
    put_request_of(world, "*", "7@example.org", "complaint");
    run(world);
    expect_withheld(world, sizeof rows / sizeof rows[0], "7@example.org",
                    "entry");
    take_request(world, "7@example.org");
    expect_end(world, sizeof rows / sizeof rows[0] + 1);
}

static void failures_wait_for_what_is_requested(void **state)
{
    struct world *world = *state;

    put_due(world, "1@example.org", "user_unknown");
    put_request_of(world, "*", "1@example.org", "complaint");
    run(world);
    expect_added(world, 0, "1@example.org");
    expect_line(world, 0, "{\"reason\": \"complaint\"}");
    assert_int_equal(count_lines(world), 1);
    take_request(world, "1@example.org");
    run(world);
    expect_line(world, 1, "{\"reason\": \"user_unknown\"}");
    apply(world);
    expect_end(world, 2);
}

static void only_requests_stand_among_requests(void **state)
{
    struct world *world = *state;

    put_request_of(world, "*", "1@example.org", "user_unknown");
    put_due(world, "1@example.org", "mailbox_full");
    run(world);
    expect_line(world, 0, "{\"reason\": \"mailbox_full\"}");
    apply(world);
    expect_end(world, 1);
}

static void a_scope_has_steps_of_its_own(void **state)
{
    struct world *world = *state;
    struct policy *policy = &put_scope(world)->of[REASON_COMPLAINT];
    int64_t added = 0;
    int64_t expires = 0;

    policy->releases = 2;
    policy->release_s[0] = DAY_S;
    policy->release_s[1] = 3 * DAY_S;
    REDIS(world, "HSET", KEY(RECIPIENT, "1@example.org"), "escalation", "7",
          "escalation@news", "1");
    put_request(world, "1@example.org", "complaint");
    run(world);
    (void)clock_parse(member(line_at(world, 0), "timestamp"), 27, &added);
    (void)clock_parse(member(line_at(world, 0), "suppression_expires_at"), 27,
                      &expires);
    assert_int_equal(expires - added, 3 * DAY_S * US);
    take_request(world, "1@example.org");
    policy->strikes = 2;
    put_request(world, "2@example.org", "complaint");
    run(world);
    expect_line(world, 1,
                "{\"withheld_by\": \"policy\", \"scope\": \"news\", "
                "\"reason\": \"complaint\"}");
    take_request(world, "2@example.org");
    expect_end(world, 2);
}

static void failures_go_by_the_scope_to_the_list_for_all(void **state)
{
    struct world *world = *state;
    struct policy *policy = &put_scope(world)->of[REASON_MAILBOX_FULL];

    policy->strikes = 6;
    put_due(world, "1@example.org", "mailbox_full@news");
    run(world);
    expect_line(world, 0,
                "{\"withheld_by\": \"policy\", \"scope\": null, "
                "\"reason\": \"mailbox_full\"}");
    apply(world);
    policy->strikes = 2;
    put_due(world, "2@example.org", "mailbox_full@news");
    REDIS(world, "ZREM", KEY(STRIKES, "2@example.org"), "1", "2", "3");
    REDIS(world, "SET", "nixie:suppress@news:2@example.org", "opted out");
    run(world);
    expect_added(world, 1, "2@example.org");
    expect_line(world, 1,
                "{\"scope\": null, \"reason\": \"mailbox_full\", "
                "\"strikes\": 2}");
    apply(world);
    /* of a scope that is gone: as of all */
    put_due(world, "3@example.org", "mailbox_full@gone");
    run(world);
    expect_added(world, 2, "3@example.org");
    expect_end(world, 3);
}

#define IN_WORLD(name)                                                         \
    cmocka_unit_test_setup_teardown(name, begin_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_request_suppresses_in_its_scope),
        IN_WORLD(a_request_of_all_mail_gives_way_to_few_entries),
        IN_WORLD(failures_wait_for_what_is_requested),
        IN_WORLD(only_requests_stand_among_requests),
        IN_WORLD(a_scope_has_steps_of_its_own),
        IN_WORLD(failures_go_by_the_scope_to_the_list_for_all),
    };

    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, server_start, server_stop);
}
