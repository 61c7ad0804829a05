#include "delay_notice_work.h"
#include "lists_world.h"
#include "smtp_script.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SKIP_TEST  77
#define MINUTE     INT64_C(60000) /* ms */
#define NOW_US     INT64_C(1793648581000000)
#define EXPIRES_US (NOW_US + INT64_C(3600000000))
#define BODY       "Subject: late\r\n\r\ntext\r\n"
#define SENDER     "ann@example.org"

/* --- an MTA, and the settings that lead to it --------------------------- */

struct office {
    struct smtp_server *server;
    struct settings settings;
    char node[16], relay[32];
    struct suppression *list;
    struct delay_notice_work *work;
};

static void open_office(struct office *office,
                        const struct smtp_script *scripts, size_t count)
{
    memset(office, 0, sizeof *office);
    office->server = smtp_server_start(scripts, count);
    (void)snprintf(office->node, sizeof office->node, "mail.test");
    (void)snprintf(office->relay, sizeof office->relay, "%s",
                   smtp_server_relay(office->server));
    office->settings.node = office->node;
    office->settings.delay_notice_relay = office->relay;
    office->work = delay_notice_work_new();
    assert_non_null(office->work);
}

static void close_office(struct office *office)
{
    delay_notice_work_free(office->work);
    smtp_server_stop(office->server);
}

static struct delay_notice *make(const char *sender)
{
    struct delay_notice *notice = calloc(1, sizeof *notice);

    assert_non_null(notice);
    assert_int_equal(mailbox_parse(text_of(sender), NULL, &notice->sender),
                     MAILBOX_OK);
    (void)text_copy(text_of("4bXk2s1Zq"), notice->queue_id,
                    sizeof notice->queue_id);
    notice->bytes = g_strdup(BODY);
    notice->length = strlen(BODY);
    notice->expires_us = EXPIRES_US;
    return notice;
}

static void add(struct office *office, const char *sender, int64_t now_ms)
{
    assert_true(delay_notice_work_add(office->work, make(sender), now_ms));
}

static bool work_at(struct office *office, int64_t now_ms)
{
    const struct delay_notice_try try = {
        .settings = &office->settings,
        .list = office->list,
        .patience_ms = 10000,
        .now_ms = now_ms,
        .now_us = NOW_US + now_ms * 1000,
    };

    return delay_notice_work_once(office->work, &try);
}

static void check(struct office *office, uint64_t sent, uint64_t failed,
                  size_t connections)
{
    struct delay_notices_state state;

    delay_notice_work_state(office->work, &state);
    assert_int_equal(state.sent, sent);
    assert_int_equal(state.failed, failed);
    assert_int_equal(smtp_server_connections(office->server), connections);
}

/* Nothing is done before at_ms, and then something is. */
static void works_first_at(struct office *office, int64_t now_ms, int64_t at_ms)
{
    assert_int_equal(delay_notice_work_wait_ms(office->work, now_ms),
                     at_ms - now_ms);
    assert_false(work_at(office, at_ms - 1));
    assert_true(work_at(office, at_ms));
}

/* ----------------------------------------------------------------------- */

static void delay_notice_work_sends_each_notice_once(void **state)
{
    static const struct smtp_script scripts[] = {{0}};
    struct office office;
    char *heard;
    (void)state;

    open_office(&office, scripts, 1);
    assert_int_equal(delay_notice_work_wait_ms(office.work, 0), -1);
    assert_false(work_at(&office, 0));
    add(&office, SENDER, 5);
    add(&office, "Bob@Example.net", 5);
    works_first_at(&office, 5, 5);
    assert_true(work_at(&office, 5));
    assert_false(work_at(&office, 6));
    check(&office, 2, 0, 2);
    heard = smtp_server_heard(office.server);
    assert_true(strstr(heard, "<" SENDER ">") < strstr(heard, "example.net>"));
    assert_non_null(strstr(heard, BODY ".\r\n"));
    free(heard);
    close_office(&office);
}

static void
delay_notice_work_tries_after_1_5_and_20_minutes_then_drops(void **state)
{
    static const struct smtp_script scripts[] = {{.rcpt = "450 4.2.0 later"}};
    struct office office;
    (void)state;

    open_office(&office, scripts, 1);
    add(&office, SENDER, 0);
    works_first_at(&office, 0, 0);
    works_first_at(&office, 0, MINUTE);
    works_first_at(&office, MINUTE, 6 * MINUTE);
    check(&office, 0, 0, 3);
    works_first_at(&office, 6 * MINUTE, 26 * MINUTE);
    check(&office, 0, 1, 4);
    assert_int_equal(delay_notice_work_wait_ms(office.work, 0), -1);
    close_office(&office);
}

static void
delay_notice_work_sends_what_was_put_off_when_it_is_taken(void **state)
{
    static const struct smtp_script scripts[] = {
        {.dot = "451 later"}, {.data = "451 later"}, {0}};
    struct office office;
    char *heard;
    (void)state;

    open_office(&office, scripts, 3);
    add(&office, SENDER, 0);
    assert_true(work_at(&office, 0));
    assert_true(work_at(&office, MINUTE));
    assert_true(work_at(&office, 6 * MINUTE));
    check(&office, 1, 0, 3);
    heard = smtp_server_heard(office.server);
    assert_non_null(strstr(heard, BODY));
    free(heard);
    close_office(&office);
}

static void delay_notice_work_never_sends_what_may_have_been_taken(void **state)
{
    static const struct row {
        struct smtp_script script;
    } rows[] = {
        {{.dot = SMTP_CLOSE}},
        {{.dot = "554 5.7.1 no"}},
        {{.rcpt = "550 5.1.1 no"}},
        {{.mail = "501 no"}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct office office;

        open_office(&office, &rows[i].script, 1);
        add(&office, SENDER, 0);
        assert_true(work_at(&office, 0));
        assert_false(work_at(&office, 100 * MINUTE));
        check(&office, 0, 1, 1);
        close_office(&office);
    }
}

static void delay_notice_work_pauses_while_the_mta_is_not_reached(void **state)
{
    static const struct smtp_script scripts[] = {
        {.greeting = SMTP_CLOSE}, {.greeting = "554 5.3.2 shutting down"}, {0}};
    struct office office;
    (void)state;

    open_office(&office, scripts, 3);
    add(&office, SENDER, 0);
    add(&office, "bob@example.net", 0);
    assert_true(work_at(&office, 0));
    works_first_at(&office, 1, MINUTE); /* bob: 554 */
    check(&office, 0, 0, 2);
    works_first_at(&office, MINUTE, 2 * MINUTE); /* ann, bob */
    assert_true(work_at(&office, 2 * MINUTE));
    assert_false(work_at(&office, 2 * MINUTE));
    check(&office, 2, 0, 4);
    close_office(&office);
}

static void delay_notice_work_holds_so_many(void **state)
{
    static const struct smtp_script scripts[] = {{.mail = "451 later"}};
    struct delay_notice *one = make(SENDER);
    struct office office;
    (void)state;

    open_office(&office, scripts, 1);
    for (int i = 0; i < DELAY_NOTICE_WAITING; i++) {
        assert_false(delay_notice_work_is_full(office.work));
        add(&office, SENDER, 0);
    }
    assert_true(delay_notice_work_is_full(office.work));
    assert_false(delay_notice_work_add(office.work, one, 0));
    assert_true(work_at(&office, 0)); /* what is put off still waits */
    assert_true(delay_notice_work_is_full(office.work));
    delay_notice_free(one);
    close_office(&office);
}

static void delay_notice_work_leaves_out_what_has_expired(void **state)
{
    static const struct smtp_script scripts[] = {{0}};
    struct office office;
    struct delay_notice *lasting = make(SENDER);
    (void)state;

    open_office(&office, scripts, 1);
    add(&office, SENDER, 0);
    assert_true(work_at(&office, 60 * MINUTE));
    check(&office, 0, 0, 0);
    lasting->expires_us = 0; /* unknown */
    assert_true(delay_notice_work_add(office.work, lasting, 0));
    assert_true(work_at(&office, 60 * MINUTE));
    check(&office, 1, 0, 1);
    close_office(&office);
}

/* --- the lists --------------------------------------------------------- */

static void delay_notice_work_sends_nothing_to_the_suppressed(void **state)
{
    static const struct smtp_script scripts[] = {{0}};
    static const struct row {
        const char *command;
        bool sent;
    } rows[] = {
        {"SET nixie:suppress:ann@example.org x", false},
        {"SET nixie:suppress:@example.org x", false},
        {"SET nixie:suppress:bob@example.org x", true},
        {"SET nixie:allow:ann@example.org x", true},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct office office;

        open_office(&office, scripts, 1);
        office.list = lists_new(world->endpoint, TIMEOUT, 2, NULL);
        world_operate(world, "FLUSHALL");
        world_operate(world, rows[i].command);
        add(&office, "Ann@Example.org", 0);
        assert_true(work_at(&office, 0));
        check(&office, rows[i].sent, 0, rows[i].sent);
        assert_int_equal(delay_notice_work_wait_ms(office.work, 0), -1);
        suppression_free(office.list);
        close_office(&office);
    }
}

static void delay_notice_work_waits_while_the_lists_are_not_read(void **state)
{
    static const struct smtp_script scripts[] = {{0}};
    struct world *world = *state;
    struct office office;

    open_office(&office, scripts, 1);
    redis_server_kill(world->server);
    office.list = lists_new(world->endpoint, DEADLINE, 1, NULL);
    add(&office, SENDER, 0);
    assert_true(work_at(&office, 0));
    check(&office, 0, 0, 0);
    suppression_free(office.list);
    assert_true(redis_server_restart(world->server));
    office.list = lists_new(world->endpoint, TIMEOUT, 1, NULL);
    works_first_at(&office, 0, MINUTE);
    check(&office, 1, 0, 1);
    suppression_free(office.list);
    close_office(&office);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(delay_notice_work_sends_each_notice_once),
        cmocka_unit_test(
            delay_notice_work_tries_after_1_5_and_20_minutes_then_drops),
        cmocka_unit_test(
            delay_notice_work_sends_what_was_put_off_when_it_is_taken),
        cmocka_unit_test(
            delay_notice_work_never_sends_what_may_have_been_taken),
        cmocka_unit_test(delay_notice_work_pauses_while_the_mta_is_not_reached),
        cmocka_unit_test(delay_notice_work_holds_so_many),
        cmocka_unit_test(delay_notice_work_leaves_out_what_has_expired),
        cmocka_unit_test(delay_notice_work_sends_nothing_to_the_suppressed),
        cmocka_unit_test(delay_notice_work_waits_while_the_lists_are_not_read),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, world_start, world_stop);
}
