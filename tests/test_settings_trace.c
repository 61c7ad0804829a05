#include "client_network.h"
#include "settings.h"
#include "settings_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_ours(const struct settings *settings, const char *client)
{
    return client_network_has(settings->outgoing_clients,
                              settings->outgoing_client_count, text_of(client));
}

static void settings_defaults_mark_mail_of_this_host(void **state)
{
    struct error error = {""};
    struct settings *settings = settings_load(NULL, &error);

    (void)state;
    assert_non_null(settings);
    assert_string_equal(settings->trace_keys, "/var/lib/nixie/trace.keys");
    assert_int_equal(settings->outgoing_client_count, 2);
    assert_true(is_ours(settings, "127.0.0.1"));
    assert_true(is_ours(settings, "127.9.9.9"));
    assert_true(is_ours(settings, "::1"));
    assert_true(is_ours(settings, "::ffff:127.0.0.1"));
    assert_false(is_ours(settings, "192.0.2.1"));
    assert_false(is_ours(settings, "2001:db8::1"));
    settings_free(settings);
}

static void settings_take_the_clients_whose_mail_is_ours(void **state)
{
    struct error error = {""};
    struct settings *settings =
        settings_of("trace_keys = \"\"\n"
                    "outgoing_clients = {\"192.0.2.0/24\", '[2001:db8::]/32',\n"
                    "\"198.51.100.7\"}\n",
                    &error);

    (void)state;
    assert_non_null(settings);
    assert_string_equal(settings->trace_keys, "");
    assert_int_equal(settings->outgoing_client_count, 3);
    assert_true(is_ours(settings, "192.0.2.1"));
    assert_true(is_ours(settings, "2001:db8::1"));
    assert_true(is_ours(settings, "198.51.100.7"));
    assert_false(is_ours(settings, "127.0.0.1"));
    settings_free(settings);
    settings = settings_of("outgoing_clients += {\"192.0.2.1\"}\n", &error);
    assert_non_null(settings);
    assert_int_equal(settings->outgoing_client_count, 3);
    settings_free(settings);
    settings = settings_of("outgoing_clients = {}\n", &error);
    assert_non_null(settings);
    assert_int_equal(settings->outgoing_client_count, 0);
    assert_false(is_ours(settings, "127.0.0.1"));
    settings_free(settings);
}

static void settings_refuse_marks_that_cannot_be(void **state)
{
    static const struct settings_fault rows[] = {
        {"trace_keys = \"trace.keys\"\n", ":1:", "begins with /"},
        {"trace_keys = \"/var/lib/nixie/\"\n", ":1:", "path of a file"},
        {"trace_keys = {\"/a\"}\n", ":1:", ""},
        {"\noutgoing_clients = {\"\"}\n", ":2:", "such as 192.0.2.7"},
        {"outgoing_clients = {\"localhost\"}\n", ":1:", "names of hosts"},
        {"outgoing_clients = {\"::1\",\n\"10.0.0.0/33\"}\n",
         ":2:", "from 0 to 32"},
        {"outgoing_clients = {\"10.1.0.0/8\"}\n", ":1:", "write 10.0.0.0/8"},
        {"outgoing_clients = {\"::1\", \"::1\"}\n", ":1:", "once"},
        {"outgoing_clients += {\"127.0.0.0/8\"}\n", ":1:", "once"},
    };

    (void)state;
    settings_are_refused(rows, sizeof rows / sizeof rows[0]);
}

static void settings_refuse_more_clients_than_1000(void **state)
{
    char text[32 * 1024] = "outgoing_clients = {\"::1\"";
    size_t used = strlen(text);
    struct settings *settings;
    struct error error = {""};

    (void)state;
    for (int i = 1; i < 1001; i++) {
        int length = snprintf(text + used, sizeof text - used,
                              ",\"10.0.%d.%d\"", i / 256, i % 256);

        assert_in_range(length, 1, sizeof text - used - 8);
        used += (size_t)length;
        if (i == 999) {
            (void)memcpy(text + used, "}\n", 3);
            settings = settings_of(text, &error);
            assert_non_null(settings);
            assert_int_equal(settings->outgoing_client_count, 1000);
            settings_free(settings);
        }
    }
    (void)memcpy(text + used, "}\n", 3);
    assert_null(settings_of(text, &error));
    assert_non_null(strstr(error.text, "at most 1000"));
}

static void settings_tell_that_other_keys_need_a_restart(void **state)
{
    struct error error = {""};
    struct settings *running = settings_load(NULL, &error);
    struct settings *clients = settings_of("outgoing_clients = {}\n", &error);
    struct settings *keys = settings_of("trace_keys = \"\"\n", &error);

    (void)state;
    assert_null(settings_needs_restart(running, clients));
    assert_string_equal(settings_needs_restart(running, keys), "trace_keys");
    settings_free(running);
    settings_free(clients);
    settings_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_defaults_mark_mail_of_this_host),
        cmocka_unit_test(settings_take_the_clients_whose_mail_is_ours),
        cmocka_unit_test(settings_refuse_marks_that_cannot_be),
        cmocka_unit_test(settings_refuse_more_clients_than_1000),
        cmocka_unit_test(settings_tell_that_other_keys_need_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
