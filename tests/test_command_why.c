#include "command_why.h"
#include "command_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SKIP_TEST 77
#define ADDRESS   "ann@example.org"
#define DOMAIN    "example.org"
#define NOW_US    INT64_C(1795305600000000) /* 2026-11-22T00:00:00Z */
#define DAY_S     INT64_C(86400)

static const struct command why = {
    .name = "why",
    .arguments = "ADDRESS",
    .run = command_why,
    .options = {{"scope", 0, "NAME", ""}},
};

/* --- evidence ---------------------------------------------------------- */

static void why_evidence_parse_takes_what_the_recorder_writes(void **state)
{
    struct why_evidence evidence;

    (void)state;
    assert_true(why_evidence_parse(
        text_of("2026-11-20T10:00:00.000000Z Q1 - 550 5.1.1 user_unknown "
                "no such user here"),
        &evidence));
    assert_true(text_is(evidence.at, "2026-11-20T10:00:00.000000Z"));
    assert_true(text_is(evidence.queue_id, "Q1"));
    assert_true(text_is(evidence.message_id, "-"));
    assert_true(text_is(evidence.reply_code, "550"));
    assert_true(text_is(evidence.enhanced_status, "5.1.1"));
    assert_true(text_is(evidence.reason, "user_unknown"));
    assert_true(text_is(evidence.diagnostic, "no such user here"));
}

static void why_evidence_parse_refuses_what_it_does_not_write(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "by hand",
        "2026-11-20T10:00:00.000000Z",
        "2026-11-20T10:00:00.000000Z Q1 - 550 5.1.1 no_such_reason x",
        "2026-11-20T10:00:00.000000Z Q1 a b 550 5.1.1 user_unknown x",
        "yesterday Q1 - 550 5.1.1 user_unknown x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct why_evidence evidence;

        assert_false(why_evidence_parse(text_of(rows[i]), &evidence));
    }
}

/* --- what comes next --------------------------------------------------- */

/* A reply of an array of texts, ended by NULL. */
struct list {
    redisReply reply;
    redisReply element[16];
    redisReply *elements[16];
};

static redisReply *make_list(struct list *list, const char *const *texts)
{
    size_t count = 0;

    memset(list, 0, sizeof *list);
    while (texts[count] != NULL) {
        list->element[count].type = REDIS_REPLY_STRING;
        list->element[count].str = strdup(texts[count]);
        list->element[count].len = strlen(texts[count]);
        list->elements[count] = &list->element[count];
        count++;
    }
    list->reply.type = REDIS_REPLY_ARRAY;
    list->reply.elements = count;
    list->reply.element = list->elements;
    return &list->reply;
}

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->reply.elements; i++) {
        free(list->element[i].str);
    }
}

#define LINE(code, reason)                                                     \
    "2026-11-20T10:00:00.000000Z Q1 - " code " - " reason " text"

static const struct next_row {
    const char *name;
    int64_t days_ago[8]; /* of each strike, the oldest first; -1 ends */
    const char *evidence;
    const char *due;
    int64_t escalation;
    enum why_state state;
    bool breaker;
    const char *sentence;
} next_rows[] = {
    {.name = "the first of five",
     .days_ago = {1, -1},
     .evidence = LINE("452", "mailbox_full"),
     .sentence = "1 of 5 strikes within 30 days, on 1 of 3 days: next: "
                 "suppressed for 30 days when 4 more messages fail, on 2 more "
                 "days"},
    {.name = "four in a day lack days as well",
     .days_ago = {1, 1, 1, 1, -1},
     .evidence = LINE("450", "unreachable"),
     .sentence = "4 of 5 strikes within 30 days, on 1 of 3 days: next: "
                 "suppressed for 7 days when 2 more messages fail, on 2 more "
                 "days"},
    {.name = "four on three days lack one message",
     .days_ago = {5, 4, 1, 1, -1},
     .evidence = LINE("450", "unreachable"),
     .escalation = 1,
     .sentence = "4 of 5 strikes within 30 days, on 3 of 3 days: next: "
                 "suppressed for 30 days when 1 more message fails"},
    {.name = "what is older than the window is no strike",
     .days_ago = {40, 31, 2, -1},
     .evidence = LINE("450", "unreachable"),
     .sentence = "1 of 5 strikes within 30 days, on 1 of 3 days: next: "
                 "suppressed for 7 days when 4 more messages fail, on 2 more "
                 "days"},
    {.name = "a hard one needs one more",
     .days_ago = {-1},
     .evidence = LINE("550", "user_unknown"),
     .sentence = "0 of 1 strike within 30 days: next: suppressed for 7 days "
                 "when 1 more message fails"},
    {.name = "the fourth time is for good",
     .days_ago = {-1},
     .evidence = LINE("550", "user_unknown"),
     .escalation = 3,
     .sentence = "0 of 1 strike within 30 days: next: suppressed for good when "
                 "1 more message fails"},
    {.name = "a temporary reply is not hard",
     .days_ago = {0, -1},
     .evidence = LINE("450", "account_disabled"),
     .sentence = "1 of 5 strikes within 30 days, on 1 of 3 days: next: "
                 "suppressed for 7 days when 4 more messages fail, on 2 more "
                 "days"},
    {.name = "what is due comes without another failure",
     .days_ago = {0, -1},
     .evidence = LINE("450", "unreachable"),
     .due = "user_unknown",
     .state = WHY_DUE,
     .sentence = "1 of 1 strike within 30 days: next: suppressed for 7 days, "
                 "as soon as nixied has applied its log"},
    {.name = "an open breaker withholds it",
     .days_ago = {0, -1},
     .evidence = LINE("550", "user_unknown"),
     .due = "user_unknown",
     .state = WHY_DUE,
     .breaker = true,
     .sentence = "1 of 1 strike within 30 days: next: withheld, not suppressed "
                 "for 7 days, as a breaker is open: user_unknown for all "
                 "domains until 2026-11-22T00:00:01Z"},
    {.name = "and is told of before",
     .days_ago = {-1},
     .evidence = LINE("550", "user_unknown"),
     .breaker = true,
     .sentence = "0 of 1 strike within 30 days: next: suppressed for 7 days "
                 "when 1 more message fails, but not while a breaker is open: "
                 "user_unknown for all domains until 2026-11-22T00:00:01Z"},
    {.name = "a suppressed one starts afresh",
     .days_ago = {-1},
     .evidence = LINE("550", "user_unknown"),
     .escalation = 1,
     .state = WHY_SUPPRESSED,
     .sentence = "suppressed already; once that has ended: suppressed for 30 "
                 "days when 1 more message fails"},
    {.name = "an allowed one never counts",
     .days_ago = {-1},
     .evidence = LINE("550", "user_unknown"),
     .state = WHY_ALLOWED,
     .sentence = "allowed: its failures never count"},
    {.name = "what blames us never counts",
     .days_ago = {-1},
     .evidence = LINE("450", "greylisted"),
     .sentence = "failures like the latest (greylisted) never count"},
    {.name = "without a failure there is nothing to say",
     .days_ago = {-1},
     .sentence = "no failure is known"},
};

static void make_strikes(const struct next_row *row, struct list *list)
{
    char texts[16][24];
    const char *all[17] = {NULL};

    for (size_t i = 0; i < 8 && row->days_ago[i] >= 0; i++) {
        (void)snprintf(texts[2 * i], sizeof texts[0], "Q%zu", i);
        (void)snprintf(texts[2 * i + 1], sizeof texts[0], "%lld",
                       (long long)(NOW_US / 1000000 - row->days_ago[i] * DAY_S -
                                   10 + (int)i));
        all[2 * i] = texts[2 * i];
        all[2 * i + 1] = texts[2 * i + 1];
    }
    (void)make_list(list, all);
}

static void why_tells_what_policy_would_do_next(void **state)
{
    static const struct quarantine_breaker breaker = {
        .reason = REASON_USER_UNKNOWN, .expires_us = NOW_US + 1000000};
    struct policies policies;

    (void)state;
    policies_init(&policies);
    for (size_t i = 0; i < sizeof next_rows / sizeof next_rows[0]; i++) {
        const struct next_row *row = &next_rows[i];
        const char *const evidence[] = {row->evidence, NULL};
        char *word = strdup(row->due == NULL ? "" : row->due);
        redisReply due = {
            .type = REDIS_REPLY_STRING, .str = word, .len = strlen(word)};
        struct why_strikes strikes = {.due = &due,
                                      .escalation = row->escalation};
        struct list scores;
        struct list lines;
        struct why_policy policy;
        char sentence[WHY_SENTENCE_SIZE];

        make_strikes(row, &scores);
        strikes.strikes = &scores.reply;
        strikes.evidence = make_list(&lines, evidence);
        why_policy_make(&policies, &strikes, NULL, NOW_US, &policy);
        why_policy_sentence(&policy, row->state, row->breaker ? &breaker : NULL,
                            sentence);
        assert_string_equal(sentence, row->sentence);
        free_list(&scores);
        free_list(&lines);
        free(word);
    }
}

/* --- with Redis -------------------------------------------------------- */

static void put_history(struct world *world)
{
    char now[24];
    const char *key;

    (void)snprintf(now, sizeof now, "%lld",
                   (long long)(clock_now_us() / 1000000 - 60));
    command_world_put(world, "ZADD",
                      command_world_key(STORE_STRIKES, ADDRESS, ADDRESS), now,
                      "Q\x1b[31m");
    command_world_put(world, "LPUSH",
                      command_world_key(STORE_EVIDENCE, ADDRESS, ADDRESS),
                      "2026-11-20T10:00:00.000000Z Q1 m@x 452 4.2.2 "
                      "mailbox_full 452 4.2.2 over \x1b[31m quota",
                      "");
    key = command_world_key(STORE_RECIPIENT, ADDRESS, ADDRESS);
    command_world_put(world, "HSET", key, "escalation", "2");
    command_world_put(world, "HSET", key, "delays", "3");
    key = command_world_key(STORE_DOMAIN, DOMAIN, DOMAIN);
    command_world_put(world, "HSET", key, "down_since",
                      "2026-11-20T10:00:00.000000Z");
    command_world_put(world, "HSET", key, "down_reason", "dns_failure");
    command_world_put(world, "HSET", key, "bounces", "7");
    command_world_put(
        world, "HSET", command_world_key(STORE_BREAKER, "*", NULL),
        "*|mailbox_full", "2999-01-01T00:00:00.000000Z 0123456789abcdef");
}

static void why_shows_strikes_evidence_and_domain(void **state)
{
    static const char *const wanted[] = {
        "strikes:\n",
        "  Q\\x1b[31m\n",
        "mailbox_full 452 4.2.2 over \\x1b[31m quota\n",
        "suppressed by policy since the last delivery: 2\n",
        "policy: 1 of 5 strikes within 30 days, on 1 of 3 days: next: "
        "suppressed for 30 days when 4 more messages fail, on 2 more days, but "
        "not while a breaker is open: mailbox_full for all domains until "
        "2999-01-01T00:00:00Z\n",
        "domain example.org takes no mail:\n",
        "  down since: 2026-11-20T10:00:00.000000Z (dns_failure)\n",
        "  delays: 3\n",
        "  counts: bounces 7\n",
    };
    static const struct command_run run = {.command = &why,
                                           .argument = ADDRESS};
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];

    put_history(world);
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_non_null(strstr(output, wanted[i]));
    }
    assert_null(strchr(output, '\x1b'));
    assert_null(strstr(output, "due:"));
    assert_null(strstr(output, "bounces: 7")); /* not told twice */
    command_world_put(world, "HSET",
                      command_world_key(STORE_DUE, ADDRESS, NULL), ADDRESS,
                      "mailbox_full");
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_non_null(strstr(output, "\ndue: mailbox_full\n"));
    assert_non_null(strstr(output, "next: withheld, not suppressed"));
}

static void why_has_the_same_as_members(void **state)
{
    static const struct command_run run = {
        .command = &why, .argument = ADDRESS, .json = true};
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];
    const char *message = NULL;
    const char *line_reason = NULL;
    const char *next = NULL;
    const char *breaker = NULL;
    int code = 0;
    int limit = 0;
    int left = 0;
    int escalation = 0;
    int down = 0;
    json_t *root;

    put_history(world);
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    root = json_loads(output, 0, NULL);
    assert_int_equal(json_unpack(root,
                                 "{s:[{s:s}],s:[{s:i,s:s}],s:i,s:{s:i,s:i,s:s},"
                                 "s:{s:b,s:[{s:s}]}}",
                                 "strikes", "message", &message, "evidence",
                                 "reply_code", &code, "reason", &line_reason,
                                 "escalation", &escalation, "policy",
                                 "strike_limit", &limit, "messages_left", &left,
                                 "next", &next, "domain", "down", &down,
                                 "breakers", "reason", &breaker),
                     0);
    assert_string_equal(message, "Q\x1b[31m");
    assert_int_equal(code, 452);
    assert_string_equal(line_reason, "mailbox_full");
    assert_int_equal(escalation, 2);
    assert_int_equal(limit, 5);
    assert_int_equal(left, 4);
    assert_true(down);
    assert_string_equal(breaker, "mailbox_full");
    assert_memory_equal(next, "1 of 5 ", 7);
    json_decref(root);
}

static void why_passes_over_keys_of_another_type(void **state)
{
    static const enum store_history kinds[] = {STORE_RECIPIENT, STORE_STRIKES,
                                               STORE_EVIDENCE};
    static const struct command_run run = {.command = &why,
                                           .argument = ADDRESS};
    struct world *world = *state;
    char output[COMMAND_OUTPUT_MAX];

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        command_world_put(world, "SET",
                          command_world_key(kinds[i], ADDRESS, ADDRESS), "x",
                          "");
    }
    command_world_put(world, "SET", command_world_key(STORE_DUE, ADDRESS, NULL),
                      "x", "");
    command_world_put(world, "SET",
                      command_world_key(STORE_DOMAIN, DOMAIN, DOMAIN), "x", "");
    command_world_put(world, "SET",
                      command_world_key(STORE_WAITING, DOMAIN, DOMAIN), "x",
                      "");
    command_world_put(world, "SET", command_world_key(STORE_BREAKER, "*", NULL),
                      "x", "");
    assert_int_equal(command_world_run(world, &run, output), COMMAND_OK);
    assert_non_null(strstr(output, "strikes: none\n"));
    assert_non_null(strstr(output, "policy: no failure is known\n"));
    assert_non_null(strstr(output, "history of the recipient: no history\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(why_evidence_parse_takes_what_the_recorder_writes),
        cmocka_unit_test(why_evidence_parse_refuses_what_it_does_not_write),
        cmocka_unit_test(why_tells_what_policy_would_do_next),
        cmocka_unit_test_setup(why_shows_strikes_evidence_and_domain,
                               world_empty),
        cmocka_unit_test_setup(why_has_the_same_as_members, world_empty),
        cmocka_unit_test_setup(why_passes_over_keys_of_another_type,
                               world_empty),
    };

    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, world_start, world_stop);
}
