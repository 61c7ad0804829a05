#include "clock.h"
#include "delay_notice.h"
#include "scratch.h"
#include "settings_text.h"
#include "smtp_script.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GOOD                                                                   \
    "Subject: late\n\n%{recipient}: %{reply}, %{attempts_left} remain\n"
#define HOUR_US INT64_C(3600000000)

/* --- nixied, as far as notices go --------------------------------------- */

struct office {
    struct smtp_server *server;
    struct settings_share *share;
    struct delay_notices *notices;
    char folder[32];
};

static void write_template(const struct office *office, const char *text)
{
    char path[64];

    (void)snprintf(path, sizeof path, "%s/delay.en.txt", office->folder);
    scratch_write(path, text);
}

static struct settings *settings_with(const struct office *office,
                                      const char *more)
{
    char text[512];

    (void)snprintf(text, sizeof text,
                   "node = \"mail.example.org\"\n"
                   "delay_notice_folder = \"~\"\n"
                   "delay_notice_relay = \"%s\"\n%s",
                   smtp_server_relay(office->server), more);
    return settings_in(office->folder, text);
}

static void open_office(struct office *office, const struct smtp_script *script,
                        const char *template, const char *more)
{
    const struct smtp_script usual = {0};
    struct delay_notice_options options = {0};
    struct error error = {""};

    scratch_make(office->folder);
    office->server = smtp_server_start(script == NULL ? &usual : script, 1);
    write_template(office, template);
    office->share = settings_share_new(settings_with(office, more));
    assert_non_null(office->share);
    options.settings = office->share;
    office->notices = delay_notices_start(&options, &error);
    if (office->notices == NULL) {
        fail_msg("%s", error.text);
    }
}

static void change_settings(struct office *office, const char *more)
{
    assert_true(
        settings_share_replace(office->share, settings_with(office, more)));
    delay_notices_reload(office->notices);
}

static void close_office(struct office *office)
{
    delay_notices_stop(office->notices);
    settings_share_free(office->share);
    smtp_server_stop(office->server);
    scratch_remove(office->folder);
}

struct late {
    struct event event;
    char next_at[CLOCK_TIMESTAMP_SIZE], expires_at[CLOCK_TIMESTAMP_SIZE];
};

static const struct event *make(struct late *late, const char *sender,
                                int64_t attempt)
{
    int64_t now_us = clock_now_us();

    clock_format(now_us + HOUR_US, late->next_at);
    clock_format(now_us + 100 * HOUR_US, late->expires_at);
    event_init(&late->event, EVENT_DELAY, now_us);
    late->event.queue_id = text_of("4bXk2s1Zq");
    late->event.sender = text_of(sender);
    late->event.recipient = text_of("bob@example.net");
    late->event.diagnostic = text_of("452 4.2.2 Over quota");
    late->event.reply_code = 452;
    late->event.attempt = attempt;
    late->event.attempts_left = 7;
    late->event.next_attempt_at = text_of(late->next_at);
    late->event.expires_at = text_of(late->expires_at);
    return &late->event;
}

/* Both answers, which are the same. */
static bool offer(struct office *office, const struct event *event)
{
    bool wanted = delay_notices_wants(office->notices, event);
    bool taken = delay_notices_offer(office->notices, event);

    assert_int_equal(wanted, taken);
    return taken;
}

static struct delay_notices_state state_of(struct office *office)
{
    struct delay_notices_state state;

    delay_notices_state(office->notices, &state);
    return state;
}

/* ----------------------------------------------------------------------- */

static void delay_notices_offer_brings_a_notice_to_the_sender(void **state)
{
    struct office office;
    struct late late;
    char *heard;
    (void)state;

    open_office(&office, NULL, GOOD, "delay_notice_after = 3\n");
    assert_true(offer(&office, make(&late, "ann@example.org", 3)));
    smtp_server_await(office.server, 1);
    heard = smtp_server_heard(office.server);
    assert_non_null(strstr(heard, "EHLO mail.example.org\r\n"));
    assert_non_null(strstr(heard, "MAIL FROM:<>"));
    assert_non_null(strstr(heard, "RCPT TO:<ann@example.org>\r\n"));
    assert_non_null(strstr(heard, "\r\nAuto-Submitted: auto-replied\r\n"));
    assert_non_null(strstr(
        heard, "\r\nbob@example.net: 452 4.2.2 Over quota, 7 remain\r\n"));
    assert_non_null(strstr(heard, "\r\nAction: delayed\r\n"));
    free(heard);
    close_office(&office);
}

static void delay_notices_offer_takes_no_other_events(void **state)
{
    static const struct row {
        const char *sender;
        int64_t attempt, left;
        enum event_type type;
    } rows[] = {
        {"ann@example.org", 2, 7, EVENT_DELAY},
        {"ann@example.org", 3, 0, EVENT_DELAY},
        {"ann@example.org", 3, 7, EVENT_BOUNCE},
        {"", 3, 7, EVENT_DELAY},
        {NULL, 3, 7, EVENT_DELAY},
        {"no-reply@example.org", 3, 7, EVENT_DELAY},
    };
    struct office office;
    (void)state;

    open_office(&office, NULL, GOOD, "delay_notice_after = 3\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct late late;

        (void)make(&late, rows[i].sender, rows[i].attempt);
        late.event.attempts_left = rows[i].left;
        late.event.type = rows[i].type;
        if (offer(&office, &late.event)) {
            fail_msg("row %zu", i);
        }
    }
    assert_int_equal(state_of(&office).limited, 0);
    close_office(&office);
}

static void delay_notices_wants_sends_nothing(void **state)
{
    struct office office;
    struct late late;
    (void)state;

    open_office(&office, NULL, GOOD,
                "delay_notice_after = 1\ndelay_notice_limit = 1\n");
    for (int i = 0; i < 10; i++) {
        assert_true(delay_notices_wants(office.notices,
                                        make(&late, "ann@example.org", 1)));
    }
    assert_true(delay_notices_offer(office.notices, &late.event));
    smtp_server_await(office.server, 1);
    assert_int_equal(smtp_server_connections(office.server), 1);
    close_office(&office);
}

static void delay_notices_offer_keeps_to_the_limit_of_an_hour(void **state)
{
    struct office office;
    struct late late;
    unsigned taken = 0;
    (void)state;

    open_office(&office, NULL, GOOD,
                "delay_notice_after = 1\ndelay_notice_limit = 20\n");
    for (int i = 0; i < 30; i++) {
        bool wanted = delay_notices_wants(office.notices,
                                          make(&late, "ann@example.org", 1));

        taken += wanted && delay_notices_offer(office.notices, &late.event);
    }
    assert_int_equal(taken, 20);
    assert_int_equal(state_of(&office).limited, 10);
    smtp_server_await(office.server, 20);
    close_office(&office);
}

static void delay_notices_are_off_while_the_template_is_wrong(void **state)
{
    struct office office;
    struct late late;
    (void)state;

    open_office(&office, NULL, "Subject: a\n\n%{who}\n",
                "delay_notice_after = 1\n");
    assert_false(state_of(&office).on);
    assert_false(offer(&office, make(&late, "ann@example.org", 1)));
    write_template(&office, GOOD);
    delay_notices_reload(office.notices);
    assert_true(state_of(&office).on);
    assert_true(offer(&office, make(&late, "ann@example.org", 1)));
    smtp_server_await(office.server, 1);
    change_settings(&office, "delay_notice_after = 1\n"
                             "delay_notice_language = \"xx\"\n");
    assert_false(state_of(&office).on);
    assert_false(offer(&office, make(&late, "ann@example.org", 1)));
    close_office(&office);
}

static void delay_notices_are_off_until_they_are_configured(void **state)
{
    struct office office;
    struct late late;
    (void)state;

    open_office(&office, NULL, "not even looked at", "");
    assert_false(state_of(&office).on);
    assert_false(offer(&office, make(&late, "ann@example.org", 1000)));
    write_template(&office, GOOD);
    change_settings(&office, "delay_notice_after = 2\n");
    assert_false(offer(&office, make(&late, "ann@example.org", 1)));
    assert_true(offer(&office, make(&late, "ann@example.org", 2)));
    smtp_server_await(office.server, 1);
    close_office(&office);
}

static void delay_notices_stop_does_not_wait_for_the_mta(void **state)
{
    static const struct smtp_script hangs = {.mail = SMTP_HANG};
    int64_t begun_ms = clock_monotonic_ms();
    struct office office;
    struct late late;
    (void)state;

    open_office(&office, &hangs, GOOD, "delay_notice_after = 1\n");
    for (int i = 0; i < 5; i++) {
        assert_true(offer(&office, make(&late, "ann@example.org", 1)));
    }
    close_office(&office);
    assert_in_range(clock_monotonic_ms() - begun_ms, 0, 10000);
    delay_notices_stop(NULL);
}

/* --- among threads ----------------------------------------------------- */

#define OFFERERS 4
#define OFFERED  25

static void *offer_many(void *context)
{
    struct office *office = context;

    for (int i = 0; i < OFFERED; i++) {
        struct late late;

        (void)make(&late, "ann@example.org", 1);
        if (!delay_notices_offer(office->notices, &late.event)) {
            return NULL;
        }
        (void)state_of(office);
    }
    return office;
}

static void delay_notices_come_one_for_each_offer_of_many_threads(void **state)
{
    pthread_t threads[OFFERERS];
    struct office office;
    (void)state;

    open_office(&office, NULL, GOOD,
                "delay_notice_after = 1\ndelay_notice_limit = 100\n");
    for (int i = 0; i < OFFERERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, offer_many, &office),
                         0);
    }
    for (int i = 0; i < 50; i++) {
        delay_notices_reload(office.notices);
    }
    for (int i = 0; i < OFFERERS; i++) {
        void *done;

        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_non_null(done);
    }
    smtp_server_await(office.server, OFFERERS * OFFERED);
    assert_int_equal(smtp_server_connections(office.server),
                     OFFERERS * OFFERED);
    close_office(&office);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(delay_notices_offer_brings_a_notice_to_the_sender),
        cmocka_unit_test(delay_notices_offer_takes_no_other_events),
        cmocka_unit_test(delay_notices_wants_sends_nothing),
        cmocka_unit_test(delay_notices_offer_keeps_to_the_limit_of_an_hour),
        cmocka_unit_test(delay_notices_are_off_while_the_template_is_wrong),
        cmocka_unit_test(delay_notices_are_off_until_they_are_configured),
        cmocka_unit_test(delay_notices_stop_does_not_wait_for_the_mta),
        cmocka_unit_test(delay_notices_come_one_for_each_offer_of_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
