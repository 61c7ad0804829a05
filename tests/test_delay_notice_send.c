#include "clock.h"
#include "delay_notice_send.h"
#include "redis_server.h"
#include "smtp_script.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES "Subject: late\r\n\r\n.\r\n..two\r\n.x\r\nQUIT\r\nlast line\r\n"
#define SHORT 500   /* ms: where an answer never comes */
#define LONG  20000 /* ms: where it must */

#define REFUSED     DELAY_NOTICE_REFUSED
#define LATER       DELAY_NOTICE_LATER
#define UNREACHABLE DELAY_NOTICE_UNREACHABLE
#define UNSURE      DELAY_NOTICE_UNSURE
#define SENT        DELAY_NOTICE_SENT

static struct delay_notice_mail mail_to(const char *relay)
{
    const struct delay_notice_mail mail = {
        .relay = relay,
        .node = "mail.example.org",
        .recipient = "ann@example.org",
        .bytes = BYTES,
        .length = sizeof BYTES - 1,
        .patience_ms = LONG,
    };

    return mail;
}

static void delay_notice_send_hands_over_with_a_null_reverse_path(void **state)
{
    static const struct smtp_script scripts[] = {{0}};
    static const char golden[] = "EHLO mail.example.org\r\n"
                                 "MAIL FROM:<> SIZE=48\r\n"
                                 "RCPT TO:<ann@example.org>\r\n"
                                 "DATA\r\n"
                                 "Subject: late\r\n\r\n..\r\n...two\r\n..x\r\n"
                                 "QUIT\r\nlast line\r\n.\r\n"
                                 "QUIT\r\n";
    struct smtp_server *server = smtp_server_start(scripts, 1);
    struct delay_notice_mail mail = mail_to(smtp_server_relay(server));
    struct error error = {""};
    char *heard;
    (void)state;

    assert_int_equal(delay_notice_send(&mail, &error), SENT);
    assert_string_equal(error.text, "");
    heard = smtp_server_heard(server);
    assert_string_equal(heard, golden);
    free(heard);
    smtp_server_stop(server);
}

static void delay_notice_send_knows_what_each_answer_means(void **state)
{
    static const struct row {
        const char *name;
        struct smtp_script script;
        enum delay_notice_result result;
        const char *error;
    } rows[] = {
        {"no EHLO", {.ehlo = "502 no"}, SENT, ""},
        {"many lines", {.dot = "250-2.0.0\r\n250 queued"}, SENT, ""},
        {"no 3 digits first", {.rcpt = "250-x\r\n250 y"}, SENT, ""},
        {"greeting 4", {.greeting = "421 busy"}, UNREACHABLE, ": 421 busy"},
        {"greeting 5", {.greeting = "554 no"}, UNREACHABLE, ": 554 no"},
        {"no greeting", {.greeting = SMTP_CLOSE}, UNREACHABLE, ": "},
        {"EHLO and HELO",
         {.ehlo = "550 no", .helo = "550 go"},
         UNREACHABLE,
         ": 550 go"},
        {"EHLO closes", {.ehlo = SMTP_CLOSE}, UNREACHABLE, ": "},
        {"MAIL 4", {.mail = "451 4.3.0 later"}, LATER, ": 451 4.3.0 later"},
        {"MAIL 5", {.mail = "550 5.7.1 no"}, REFUSED, ": 550 5.7.1 no"},
        {"MAIL closes", {.mail = SMTP_CLOSE}, UNREACHABLE, ": "},
        {"RCPT 4", {.rcpt = "450 later"}, LATER, ": 450 later"},
        {"RCPT 5", {.rcpt = "550-no\r\n550 way"}, REFUSED, ": 550 way"},
        {"RCPT closes", {.rcpt = SMTP_CLOSE}, UNREACHABLE, ": "},
        {"DATA 4", {.data = "451 later"}, LATER, ": 451 later"},
        {"DATA 5", {.data = "554 no"}, REFUSED, ": 554 no"},
        {"DATA closes", {.data = SMTP_CLOSE}, UNREACHABLE, ": "},
        {"dot 4", {.dot = "452 4.3.1 full"}, LATER, ": 452 4.3.1 full"},
        {"dot 5", {.dot = "554 5.7.1 spam"}, REFUSED, ": 554 5.7.1 spam"},
        {"dot closes", {.dot = SMTP_CLOSE}, UNSURE, "no answer to the whole"},
        {"hostile",
         {.rcpt = "550 \"\x1b[2J\xff\" %s%n"},
         REFUSED,
         ": 550 \\x22\\x1b[2J\\xff\\x22 %s%n"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct smtp_server *server = smtp_server_start(&rows[i].script, 1);
        struct delay_notice_mail mail = mail_to(smtp_server_relay(server));
        struct error error = {""};
        enum delay_notice_result result = delay_notice_send(&mail, &error);

        if (result != rows[i].result ||
            strstr(error.text, rows[i].error) == NULL) {
            fail_msg("%s gave %d, %s", rows[i].name, (int)result, error.text);
        }
        smtp_server_stop(server);
    }
}

static void delay_notice_send_waits_no_longer_than_it_is_told(void **state)
{
    static const struct row {
        struct smtp_script script;
        enum delay_notice_result result;
    } rows[] = {
        {{.greeting = SMTP_HANG}, UNREACHABLE},
        {{.greeting = "SSH-2.0-no-smtp"}, UNREACHABLE},
        {{.ehlo = SMTP_HANG}, UNREACHABLE},
        {{.mail = SMTP_HANG}, UNREACHABLE},
        {{.rcpt = SMTP_HANG}, UNREACHABLE},
        {{.data = SMTP_HANG}, UNREACHABLE},
        {{.dot = SMTP_HANG}, UNSURE},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct smtp_server *server = smtp_server_start(&rows[i].script, 1);
        struct delay_notice_mail mail = mail_to(smtp_server_relay(server));
        int64_t begun_ms = clock_monotonic_ms();
        struct error error = {""};

        mail.patience_ms = SHORT;
        assert_int_equal(delay_notice_send(&mail, &error), rows[i].result);
        assert_in_range(clock_monotonic_ms() - begun_ms, SHORT - 10,
                        SHORT + 5000);
        smtp_server_stop(server);
    }
}

static void delay_notice_send_asks_for_smtputf8_only_where_it_is(void **state)
{
    static const struct row {
        struct smtp_script script;
        bool needs_utf8;
        const char *recipient;
        enum delay_notice_result result;
        const char *said, *unsaid;
    } rows[] = {
        {{.ehlo = "250-mx\r\n250-SMTPUTF8\r\n250 SIZE 9999"},
         true,
         "a\xc3\xb1n@example.org",
         SENT,
         "MAIL FROM:<> SIZE=48 SMTPUTF8\r\nRCPT "
         "TO:<a\xc3\xb1n@example.org>\r\n",
         "HELO"},
        {{.ehlo = "250-mx\r\n250 SMTPUTF8"},
         false,
         "ann@example.org",
         SENT,
         "MAIL FROM:<>\r\n",
         "UTF8"},
        {{.ehlo = "250-SMTPUTF8.example.org\r\n250 XSMTPUTF8"},
         true,
         "a\xc3\xb1n@example.org",
         REFUSED,
         "EHLO",
         "MAIL"},
        {{.ehlo = "250 mx"},
         true,
         "a\xc3\xb1n@example.org",
         REFUSED,
         "EHLO",
         "MAIL"},
        {{.ehlo = "502 no"},
         true,
         "a\xc3\xb1n@example.org",
         REFUSED,
         "HELO",
         "MAIL"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct smtp_server *server = smtp_server_start(&rows[i].script, 1);
        struct delay_notice_mail mail = mail_to(smtp_server_relay(server));
        struct error error = {""};
        char *heard;

        mail.recipient = rows[i].recipient;
        mail.needs_utf8 = rows[i].needs_utf8;
        if (delay_notice_send(&mail, &error) != rows[i].result) {
            fail_msg("row %zu: %s", i, error.text);
        }
        heard = smtp_server_heard(server);
        if (strstr(heard, rows[i].said) == NULL ||
            strstr(heard, rows[i].unsaid) != NULL) {
            fail_msg("row %zu: %s", i, heard);
        }
        if (rows[i].result == REFUSED) {
            assert_non_null(strstr(error.text, "needs SMTPUTF8"));
        }
        free(heard);
        smtp_server_stop(server);
    }
}

static void delay_notice_send_knows_the_answer_whatever_the_size(void **state)
{
    static const size_t sizes[] = {1,     100,   3900,  16382, 16383, 16384,
                                   16385, 32768, 65535, 65536, 65537, 200000};
    static const struct smtp_script scripts[] = {{0}};
    struct smtp_server *server = smtp_server_start(scripts, 1);
    struct delay_notice_mail mail = mail_to(smtp_server_relay(server));
    char *bytes = malloc(200000);
    (void)state;

    assert_non_null(bytes);
    for (size_t i = 0; i < 200000; i++) {
        static const char line[] = "......................................\r\n";

        bytes[i] = line[i % (sizeof line - 1)];
    }
    mail.bytes = bytes;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct error error = {""};

        mail.length = sizes[i];
        if (delay_notice_send(&mail, &error) != SENT) {
            fail_msg("%zu: %s", sizes[i], error.text);
        }
    }
    free(bytes);
    smtp_server_stop(server);
}

static void delay_notice_send_says_that_nobody_listens(void **state)
{
    char relay[32];
    struct delay_notice_mail mail;
    struct error error = {""};
    (void)state;

    (void)snprintf(relay, sizeof relay, "127.0.0.1:%d",
                   redis_server_free_port());
    mail = mail_to(relay);
    assert_int_equal(delay_notice_send(&mail, &error), UNREACHABLE);
    assert_non_null(strstr(error.text, relay));
}

static void delay_notice_send_takes_no_proxy_of_the_environment(void **state)
{
    static const struct smtp_script scripts[] = {{0}};
    struct smtp_server *server = smtp_server_start(scripts, 1);
    struct delay_notice_mail mail = mail_to(smtp_server_relay(server));
    struct error error = {""};
    (void)state;

    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("smtp_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(delay_notice_send(&mail, &error), SENT);
    assert_int_equal(unsetenv("ALL_PROXY"), 0);
    assert_int_equal(unsetenv("smtp_proxy"), 0);
    smtp_server_stop(server);
}

static void delay_notice_send_breaks_off_when_told_to_stop(void **state)
{
    static const struct smtp_script scripts[] = {{.mail = SMTP_HANG}};
    struct smtp_server *server = smtp_server_start(scripts, 1);
    struct delay_notice_mail mail = mail_to(smtp_server_relay(server));
    atomic_bool stopping = true;
    int64_t begun_ms = clock_monotonic_ms();
    struct error error = {""};
    (void)state;

    mail.stopping = &stopping;
    assert_int_equal(delay_notice_send(&mail, &error), UNREACHABLE);
    assert_in_range(clock_monotonic_ms() - begun_ms, 0, 5000);
    smtp_server_stop(server);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(delay_notice_send_hands_over_with_a_null_reverse_path),
        cmocka_unit_test(delay_notice_send_knows_what_each_answer_means),
        cmocka_unit_test(delay_notice_send_waits_no_longer_than_it_is_told),
        cmocka_unit_test(delay_notice_send_asks_for_smtputf8_only_where_it_is),
        cmocka_unit_test(delay_notice_send_knows_the_answer_whatever_the_size),
        cmocka_unit_test(delay_notice_send_says_that_nobody_listens),
        cmocka_unit_test(delay_notice_send_takes_no_proxy_of_the_environment),
        cmocka_unit_test(delay_notice_send_breaks_off_when_told_to_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
