#include "settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Loads text from a private file, whose name is in error as PATH. */
static struct settings *load(const char *text, struct error *error)
{
    char path[] = "/tmp/nixie-settings-XXXXXX";
    int fd = mkstemp(path);
    struct settings *settings;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    assert_int_equal(close(fd), 0);
    settings = settings_load(path, error);
    if (settings == NULL) {
        /* every error names the file first */
        assert_int_equal(strncmp(error->text, path, strlen(path)), 0);
        memmove(error->text, error->text + strlen(path),
                strlen(error->text + strlen(path)) + 1);
    }
    assert_int_equal(unlink(path), 0);
    return settings;
}

static void settings_defaults_fit_one_host(void **state)
{
    struct error error = {""};
    struct settings *settings = settings_load(NULL, &error);

    (void)state;
    assert_non_null(settings);
    assert_int_not_equal(settings->node[0], '\0');
    assert_string_equal(settings->user, "nixie");
    assert_string_equal(settings->milter_socket, "unix:/run/nixie/milter.sock");
    assert_int_equal(settings->milter_socket_mode, 0660);
    assert_true(settings->milter_socket_group_is_default);
    assert_string_equal(settings->redis, "unix:/run/redis/redis-server.sock");
    assert_int_equal(settings->redis_timeout_ms, 50);
    assert_int_equal(settings->event_log_retention_s, 72 * 3600);
    assert_int_equal(settings->on_store_failure, FAILURE_ACCEPT);
    assert_int_equal(settings->mode, MODE_ENFORCE);
    assert_int_equal(settings->exempt_count, 2);
    assert_string_equal(settings->exempt[0].text, "postmaster@");
    assert_string_equal(settings->refusal_code, "550");
    assert_string_equal(settings->refusal_enhanced_status, "5.7.1");
    assert_null(settings->local_domains[0]);
    settings_free(settings);
}

static void settings_values_are_taken(void **state)
{
    struct error error = {""};
    struct settings *settings =
        load("# comment\n"
             "node = \"mx1.example.org\"\n"
             "mode = \"observe\"\n"
             "milter_socket = \"inet:8895@127.0.0.1\"\n"
             "milter_socket_group = \"postfix\"\n"
             "local_domains = {\"Example.ORG.\", \"b\xc3\xbc"
             "cher.example\"}\n"
             "exempt = {}\n"
             "refusal = \"450 4.7.1 Later %i %%\"\n"
             "event_log_sync = \"group\"\n"
             "domain \"Example.com\" { fold_tags = true }\n"
             "domain \"example.net\" { fold_tags = false }\n",
             &error);

    (void)state;
    assert_non_null(settings);
    assert_string_equal(settings->node, "mx1.example.org");
    assert_int_equal(settings->mode, MODE_OBSERVE);
    assert_false(settings->milter_socket_group_is_default);
    assert_string_equal(settings->local_domains[0], "example.org");
    assert_string_equal(settings->local_domains[1], "xn--bcher-kva.example");
    assert_null(settings->local_domains[2]);
    assert_int_equal(settings->exempt_count, 0);
    assert_string_equal(settings->refusal_code, "450");
    assert_string_equal(settings->refusal_text, "Later %i %%");
    assert_int_equal(settings->event_log_sync, EVENT_LOG_SYNC_GROUP);
    assert_string_equal(settings->fold_tag_domains[0], "example.com");
    assert_null(settings->fold_tag_domains[1]);
    settings_free(settings);
}

static void settings_errors_name_line_and_remedy(void **state)
{
    static const struct {
        const char *text;
        const char *place;
        const char *words;
    } rows[] = {
        {"\nmod = \"observe\"\n", ":2:", "mod"},
        {"mode = \"off\"\n", ":1:", "observe"},
        {"mode = \n", ":", ""},
        {"\n\nuser = \"root\"\n", ":3:", "does not run as root"},
        {"milter_socket_mode = \"0666\"\n", ":1:", "0660"},
        {"milter_socket_mode = \"rw\"\n", ":1:", "octal"},
        {"milter_socket = \"/run/x\"\n", ":1:", "unix:/path"},
        {"milter_socket = \"inet:99999@localhost\"\n", ":1:", "inet:PORT"},
        {"milter_socket = \"inet:8895\"\n", ":1:", "inet:PORT"},
        {"milter_socket = \"inet:8895@0.0.0.0\"\n", ":", "allow_remote_mta"},
        {"redis_timeout_ms = 0\n", ":1:", "1 to 1000"},
        {"redis_timeout_ms = 99999\n", ":1:", "1 to 1000"},
        {"redis_timeout_ms = fast\n", ":1:", "redis_timeout_ms"},
        {"redis = \"localhost\"\n", ":1:", "unix:"},
        {"key_prefix = \"\"\n", ":1:", "1 to 64"},
        {"key_prefix = \"a{b}\"\n", ":1:", "1 to 64"},
        {"on_store_failure = \"cached\"\n", ":1:", "accept"},
        {"event_log_retention = \"5m\"\n", ":1:", "at least 1h"},
        {"event_log = \"events\"\n", ":1:", "begins with /"},
        {"event_log_sync = \"always\"\n", ":1:", "interval"},
        {"refusal = \"550 text\"\n", ":1:", "enhanced status"},
        {"refusal = \"550 4.7.1 text\"\n", ":1:", "same digit"},
        {"refusal = \"421 4.7.1 text\"\n", ":1:", "end the session"},
        {"refusal = \"550 5.7.1 %x\"\n", ":1:", "behind %"},
        {"refusal = \"550 5.7.1 \xc3\xa9\"\n", ":1:", "ASCII"},
        {"refusal = \"250 2.7.1 ok\"\n", ":1:", "reply code"},
        {"exempt = {\"not a mailbox@@\"}\n", ":1:", "ann@"},
        {"local_domains = {\"exa mple\"}\n", ":1:", "domain"},
        {"domain \"a b\" { fold_tags = true }\n", ":1:", "domain"},
        {"domain \"a.example\" { fold = true }\n", ":1:", "fold"},
        {"}\n", ":1:", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {""};
        struct settings *settings = load(rows[i].text, &error);

        if (settings != NULL) {
            fail_msg("taken: %s", rows[i].text);
        }
        if (strncmp(error.text, rows[i].place, strlen(rows[i].place)) != 0 ||
            strstr(error.text, rows[i].words) == NULL) {
            fail_msg("%s gave %s", rows[i].text, error.text);
        }
    }
}

static void settings_a_missing_file_is_an_error(void **state)
{
    struct error error = {""};

    (void)state;
    assert_null(settings_load("/nonexistent/nixie.conf", &error));
    assert_non_null(strstr(error.text, "/nonexistent/nixie.conf"));
}

static void settings_tell_what_needs_a_restart(void **state)
{
    struct error error = {""};
    struct settings *running = load("", &error);
    struct settings *same = load("mode = \"observe\"\n", &error);
    struct settings *moved =
        load("event_log = \"/var/log/other.jsonl\"\n", &error);

    (void)state;
    assert_null(settings_needs_restart(running, same));
    assert_string_equal(settings_needs_restart(running, moved), "event_log");
    settings_free(running);
    settings_free(same);
    settings_free(moved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_defaults_fit_one_host),
        cmocka_unit_test(settings_values_are_taken),
        cmocka_unit_test(settings_errors_name_line_and_remedy),
        cmocka_unit_test(settings_a_missing_file_is_an_error),
        cmocka_unit_test(settings_tell_what_needs_a_restart),
    };

    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
