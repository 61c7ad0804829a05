#include "bounce_rules.h"
#include "scratch.h"
#include "settings.h"
#include "settings_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void settings_defaults_follow_no_delivery_log(void **state)
{
    struct error error = {""};
    struct settings *settings = settings_load(NULL, &error);
    struct policies policies;

    (void)state;
    assert_non_null(settings);
    policies_init(&policies);
    assert_memory_equal(&settings->policies, &policies, sizeof policies);
    assert_int_equal(settings->breaker.domain_failures, 20);
    assert_int_equal(settings->breaker.all_failures, 200);
    assert_int_equal(settings->breaker.percent, 50);
    assert_int_equal(settings->breaker.pause_s, 3600);
    assert_string_equal(settings->bounce_rules[0],
                        "/etc/nixie/bounce-rules.conf");
    assert_string_equal(settings->bounce_rules[1],
                        "/usr/share/nixie/bounce-rules.conf");
    assert_null(settings->bounce_rules[2]);
    assert_true(settings->bounce_rules_is_default);
    assert_null(settings->rules);
    assert_null(settings->maillog[0]);
    assert_int_equal(settings->maillog_trust, TRUST_SEEN);
    assert_int_equal(settings->maillog_rejections, REJECTIONS_SENDMAIL);
    assert_null(settings->internal_relays[0]);
    assert_true(settings->retry_schedule_is_postfix);
    assert_null(settings->retry_schedule_minutes);
    assert_int_equal(settings->delay_notice_after, 0);
    assert_string_equal(settings->delay_notice_relay, "127.0.0.1:25");
    assert_string_equal(settings->delay_notice_language, "en");
    assert_string_equal(settings->delay_notice_folder,
                        "/usr/share/nixie/notices");
    assert_int_equal(settings->delay_notice_limit, 100);
    settings_free(settings);
}

static void settings_policies_keep_what_a_section_does_not_give(void **state)
{
    struct error error = {""};
    struct settings *settings = settings_of(
        "policy \"mailbox_full\" { strikes = 4 release = {\"1h\", \n"
        "\"1d\", \"never\"} }\n"
        "policy 'user_unknown' { strikes = 0 }\n"
        "policy \"routing_loop\" { strikes = 6 days = 2 window = \"5d\" }\n"
        "policy \"expired\" {}\n"
        "breaker {\n  percent = 80\n  pause = \"90s\"\n}\n",
        &error);
    const struct policy *full;
    const struct policy *loop;
    struct policies policies;

    (void)state;
    assert_non_null(settings);
    policies_init(&policies);
    full = &settings->policies.of[REASON_MAILBOX_FULL];
    loop = &settings->policies.of[REASON_ROUTING_LOOP];
    assert_int_equal(full->strikes, 4);
    assert_int_equal(full->days, 3);
    assert_int_equal(full->window_s, 30 * 86400);
    assert_int_equal(full->releases, 3);
    assert_int_equal(full->release_s[0], 3600);
    assert_int_equal(full->release_s[1], 86400);
    assert_int_equal(full->release_s[2], POLICY_FOR_GOOD);
    assert_int_equal(settings->policies.of[REASON_USER_UNKNOWN].strikes, 0);
    assert_int_equal(loop->strikes, 6);
    assert_int_equal(loop->days, 2);
    assert_int_equal(loop->window_s, 5 * 86400);
    assert_int_equal(loop->releases, policies.of[REASON_ROUTING_LOOP].releases);
    assert_memory_equal(&settings->policies.of[REASON_EXPIRED],
                        &policies.of[REASON_EXPIRED], sizeof *full);
    assert_int_equal(settings->breaker.domain_failures, 20);
    assert_int_equal(settings->breaker.percent, 80);
    assert_int_equal(settings->breaker.pause_s, 90);
    settings_free(settings);
}

static void settings_of_the_delivery_log_are_taken(void **state)
{
    struct error error = {""};
    struct settings *settings = settings_of(
        "maillog = {\"/var/log/mail.log\", \"/var/log/other.log\"}\n"
        "maillog_trust = \"all\"\n"
        "maillog_rejections = \"none\"\n"
        "internal_relays = {\"Filter.example\", \"127.0.0.1:10024\",\n"
        "\"[2001:db8::1]:24\", \"[::1]\", \"private/socket\"}\n"
        "retry_schedule = {5, 30, 15, 100000}\n"
        "delay_notice_after = 3\n"
        "delay_notice_relay = \"[::1]:587\"\n"
        "delay_notice_language = \"de\"\n"
        "delay_notice_folder = \"/etc/nixie/notices\"\n"
        "delay_notice_limit = 1\n",
        &error);

    (void)state;
    assert_non_null(settings);
    assert_string_equal(settings->maillog[0], "/var/log/mail.log");
    assert_string_equal(settings->maillog[1], "/var/log/other.log");
    assert_null(settings->maillog[2]);
    assert_int_equal(settings->maillog_trust, TRUST_ALL);
    assert_int_equal(settings->maillog_rejections, REJECTIONS_NONE);
    assert_string_equal(settings->internal_relays[0], "Filter.example");
    assert_string_equal(settings->internal_relays[4], "private/socket");
    assert_null(settings->internal_relays[5]);
    assert_false(settings->retry_schedule_is_postfix);
    assert_int_equal(settings->retry_schedule_steps, 4);
    assert_int_equal(settings->retry_schedule_minutes[0], 5);
    assert_int_equal(settings->retry_schedule_minutes[2], 15);
    assert_int_equal(settings->retry_schedule_minutes[3], 100000);
    assert_int_equal(settings->delay_notice_after, 3);
    assert_string_equal(settings->delay_notice_relay, "[::1]:587");
    assert_string_equal(settings->delay_notice_language, "de");
    assert_string_equal(settings->delay_notice_folder, "/etc/nixie/notices");
    assert_int_equal(settings->delay_notice_limit, 1);
    settings_free(settings);
}

static void settings_errors_about_policy_name_line_and_remedy(void **state)
{
    static const struct settings_fault rows[] = {
        {"bounce_rules = {\"/etc/a\",\n\"rules\"}\n", ":2:", "begins with /"},
        {"bounce_rules = {\"/etc/nixie/\"}\n", ":1:", "path of a file"},
        {"bounce_rules = {\"/a\", \"/b\", \"/a\"}\n", ":1:", "once"},
        {"bounce_rules = {\"/1\", \"/2\", \"/3\", \"/4\", \"/5\", \"/6\",\n"
         "\"/7\", \"/8\", \"/9\", \"/10\", \"/11\", \"/12\", \"/13\",\n"
         "\"/14\", \"/15\", \"/16\",\n\"/17\"}\n",
         ":4:", "at most 16"},
        {"policy \"full\" {}\n", ":1:", "write a reason"},
        {"policy \"Expired\" {}\n", ":1:", "write a reason"},
        {"policy \"\" {}\n", ":1:", "write a reason"},
        {"policy {}\n", ":1:", "title"},
        {"\npolicy \"sender_blocklisted\" {}\n", ":2:", "blames us"},
        {"policy \"spam_content\" { strikes = 1 }\n", ":1:", "blames us"},
        {"policy \"greylisted\" {}\n", ":1:", "nothing about the recipient"},
        {"policy \"message_too_large\" {}\n", ":1:", "never counts"},
        {"policy \"quarantined\" {}\n", ":1:", "never counts"},
        {"policy \"expired\" {}\n\npolicy \"expired\" {}\n",
         ":3:", "policy \"expired\" is set twice: lines 1 and 3"},
        {"policy \"expired\" { limit = 5 }\n", ":1:", "'policy'"},
        {"policy \"expired\" {\nstrikes = 1001\n}\n", ":2:", "0 to 1000"},
        {"policy \"expired\" {\nstrikes = -1\n}\n", ":2:", "0 to 1000"},
        {"policy \"expired\" {\nstrikes = many\n}\n",
         ":2:", "strikes takes a whole number"},
        {"policy \"expired\" {\ndays = 0 }\n", ":2:", "1 to 366"},
        {"policy \"expired\" {\ndays = 367 }\n", ":2:", "1 to 366"},
        {"policy \"expired\" { window = \"59m\" }\n", ":1:", "1h to 366d"},
        {"policy \"expired\" { window = \"367d\" }\n", ":1:", "1h to 366d"},
        {"policy \"expired\" { window = \"\" }\n", ":1:", "1h to 366d"},
        {"policy \"expired\" { window = 30 }\n", ":1:", "such as \"30d\""},
        {"policy \"expired\" { release = {7} }\n", ":1:", "such as \"30d\""},
        {"policy \"expired\" { window = 30d }\n", ":1:", "write \"30d\""},
        {"policy \"expired\" {\nrelease = {\n\"7d\",\n\"no\"} }\n",
         ":4:", "write durations"},
        {"policy \"expired\" { release = {\"0\"} }\n", ":1:", "durations"},
        {"policy \"expired\" {\nrelease = {} }\n", ":2:", "release is empty"},
        {"policy \"expired\" { release += {\"7d\"} }\n", ":1:", "place of +="},
        {"policy \"expired\" { release = {\"never\", \"7d\"} }\n",
         ":1:", "write it last"},
        {"policy \"expired\" { release = {\"1d\", \"2d\", \"3d\", \"4d\",\n"
         "\"5d\", \"6d\", \"7d\", \"8d\", \"9d\"} }\n",
         ":2:", "at most 8"},
        {"policy \"expired\" {\nstrikes = 2 days = 3\n}\n",
         ":3:", "days = 3 is above strikes = 2"},
        {"policy \"expired\" { strikes = 2 }\n",
         ":1:", "days = 3 (the default) is above strikes = 2"},
        {"policy \"user_unknown\" { days = 2 }\n",
         ":1:", "policy \"user_unknown\": days = 2 is above strikes = 1"},
        {"policy \"expired\" { window = \"1d\" }\n",
         ":1:", "write at least \"2d\""},
        {"breaker \"all\" {}\n", ":1:", "{ of a section"},
        {"breaker = {}\n", ":1:", "{ of a section"},
        {"breaker {}\n\nbreaker {}\n",
         ":3:", "breaker is set twice: lines 1 and 3"},
        {"breaker {\npercent = 0 }\n", ":2:", "1 to 100"},
        {"breaker {\npercent = 101 }\n", ":2:", "1 to 100"},
        {"breaker {\ndomain_failures = -1 }\n", ":2:", "0 to 1000000"},
        {"breaker {\nall_failures = 1000001 }\n", ":2:", "0 to 1000000"},
        {"breaker {\npause = \"0\" }\n", ":2:", "1s to 30d"},
        {"breaker {\n\npause = \"31d\" }\n", ":3:", "1s to 30d"},
        {"breaker {\nmode = \"observe\"\n}\n", ":1:", "not closed"},
        {"breaker {\npause = \"1h\"\n", ":1:", "not closed"},
        {"breaker {\npause = \"1h\"\npause = \"1h\"\n}\n",
         ":3:", "pause is set twice: lines 2 and 3"},
    };

    (void)state;
    settings_are_refused(rows, sizeof rows / sizeof rows[0]);
}

static void
settings_errors_about_the_delivery_log_name_line_and_remedy(void **state)
{
    static const struct settings_fault rows[] = {
        {"maillog = {\"mail.log\"}\n", ":1:", "/var/log/mail.log"},
        {"maillog = {\"-\"}\n", ":1:", "/var/log/mail.log"},
        {"maillog = {\"/var/log/\"}\n", ":1:", "path of a file"},
        {"maillog = {\"journal\",\n\"/var/log/mail.log\"}\n",
         ":2:", "\"journal\" alone"},
        {"maillog = {\"/var/log/mail.log\", \"journal\"}\n",
         ":1:", "\"journal\" alone"},
        {"maillog = {\"/a\", \"/a\"}\n", ":1:", "each log once"},
        {"maillog = {\"/1\", \"/2\", \"/3\", \"/4\", \"/5\", \"/6\", \"/7\",\n"
         "\"/8\", \"/9\", \"/10\", \"/11\", \"/12\", \"/13\", \"/14\",\n"
         "\"/15\", \"/16\", \"/17\"}\n",
         ":3:", "at most 16"},
        {"maillog_trust = \"none\"\n", ":1:", "\"seen\" or \"all\""},
        {"maillog_rejections = \"postfix\"\n", ":1:", "\"sendmail\" or"},
        {"internal_relays = {\"\"}\n", ":1:", "next hop"},
        {"internal_relays = {\"a b\"}\n", ":1:", "next hop"},
        {"internal_relays = {\"a/b c\"}\n", ":1:", "next hop"},
        {"internal_relays = {\"unix:private/a\"}\n", ":1:", "next hop"},
        {"internal_relays = {\"host:\"}\n", ":1:", "next hop"},
        {"internal_relays = {\"host:0\"}\n", ":1:", "next hop"},
        {"internal_relays = {\"host:65536\"}\n", ":1:", "next hop"},
        {"internal_relays = {\"2001:db8::1\"}\n", ":1:", "[2001:db8::1]"},
        {"internal_relays = {\"[2001:db8::1\"}\n", ":1:", "next hop"},
        {"internal_relays = {\"[host]:24\"}\n", ":1:", "next hop"},
        {"internal_relays = {\"[::1]24\"}\n", ":1:", "next hop"},
        {"retry_schedule = \"sendmail\"\n", ":1:", "\"postfix\", or minutes"},
        {"retry_schedule = postfix\n", ":1:", "write \"postfix\""},
        {"retry_schedule = {}\n", ":1:", "retry_schedule is empty"},
        {"retry_schedule += {5}\n", ":1:", "in place of +="},
        {"retry_schedule = {5, \"postfix\"}\n", ":1:", "minutes"},
        {"retry_schedule = {\"postfix\",\n5}\n", ":2:", "minutes"},
        {"retry_schedule = {5,\n0}\n", ":2:", "from 1 to 100000"},
        {"retry_schedule = {100001}\n", ":1:", "from 1 to 100000"},
        {"retry_schedule = {-5}\n", ":1:", "from 1 to 100000"},
        {"retry_schedule = {5.5}\n", ":1:", "from 1 to 100000"},
        {"retry_schedule = {5m}\n", ":1:", "from 1 to 100000"},
        {"retry_schedule = {5, 010}\n", ":1:", "does not begin with 0"},
        {"retry_schedule = {\"010\"}\n", ":1:", "without quotes"},
        /* delay notices */
        {"delay_notice_after = 1001\n", ":1:", "0 to 1000"},
        {"delay_notice_after = -1\n", ":1:", "0 to 1000"},
        {"delay_notice_relay = \"\"\n", ":1:", "HOST:PORT"},
        {"delay_notice_relay = \"localhost\"\n", ":1:", "HOST:PORT"},
        {"delay_notice_relay = \"::1:25\"\n", ":1:", "HOST:PORT"},
        {"delay_notice_relay = \"unix:/run/x\"\n", ":1:", "HOST:PORT"},
        {"delay_notice_language = \"e\"\n", ":1:", "2 to 8"},
        {"delay_notice_language = \"en_GB\"\n", ":1:", "small letters"},
        {"delay_notice_language = \"../..\"\n", ":1:", "small letters"},
        {"delay_notice_folder = \"notices\"\n", ":1:", "begins with /"},
        {"delay_notice_limit = 0\n", ":1:", "1 to 100000"},
    };

    (void)state;
    settings_are_refused(rows, sizeof rows / sizeof rows[0]);
}

static void
settings_of_policy_and_log_take_what_looks_like_a_fault(void **state)
{
    static const char *const rows[] = {
        "bounce_rules = {}\n",
        "bounce_rules = \"/etc/rules\"\n",
        "maillog = \"journal\"\n",
        "maillog += {\"journal\"}\n",
        "maillog = {}\n",
        "retry_schedule = {\"postfix\"}\n",
        "retry_schedule = 5\n",
        "retry_schedule = {5, 5, 1,}\n",
        "internal_relays = {\"/run/filter\", \"192.0.2.1\"}\n",
        "policy \"expired\" { strikes = 0 days = 5 }\n",
        "policy \"expired\" { strikes = 2 days = 2 window = \"1d\" }\n",
        "policy \"expired\" { release = \"never\" }\n",
        "policy \"address_empty\" { strikes = 1 }\n",
        "policy \"expired\" {} domain \"expired\" {}\n",
        "breaker {}\n",
        "breaker\n{\ndomain_failures = 0 all_failures = 0\n}\n",
    };

    (void)state;
    settings_are_taken(rows, sizeof rows / sizeof rows[0]);
}

/* --- the rules ---------------------------------------------------------- */

struct place {
    char folder[32];
    char first[64];
    char second[64];
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    assert_non_null(place);
    scratch_make(place->folder);
    (void)snprintf(place->first, sizeof place->first, "%s/first",
                   place->folder);
    (void)snprintf(place->second, sizeof place->second, "%s/second",
                   place->folder);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;

    scratch_remove(place->folder);
    free(place);
    return 0;
}

static void
settings_rules_are_compiled_in_the_order_of_their_files(void **state)
{
    static const char first[] = "first mailbox_full /quota/\n";
    static const char second[] = "second user_unknown /unknown/\n";
    struct place *place = *state;
    struct error error = {""};
    struct settings *settings;

    scratch_write(place->second, second);
    scratch_write(place->first, first);
    settings = settings_in(place->folder,
                           "bounce_rules = {\"~/first\", \"~/second\"}\n");
    assert_null(settings->rules);
    assert_false(settings->bounce_rules_is_default);
    if (!settings_load_rules(settings, &error) ||
        !settings_load_rules(settings, &error)) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(bounce_rules_count(settings->rules), 2);
    assert_string_equal(bounce_rules_at(settings->rules, 0)->id, "first");
    assert_string_equal(bounce_rules_at(settings->rules, 1)->id, "second");
    settings_free(settings);
}

static void settings_a_fault_of_a_rule_names_its_file_and_line(void **state)
{
    static const char faulty[] = "\n\n\nfirst no_such /quota/\n";
    struct place *place = *state;
    struct settings *settings;
    struct error error = {""};

    scratch_write(place->first, faulty);
    settings = settings_in(place->folder, "bounce_rules = {\"~/first\"}\n");
    assert_false(settings_load_rules(settings, &error));
    assert_null(settings->rules);
    assert_int_equal(strncmp(error.text, place->first, strlen(place->first)),
                     0);
    assert_int_equal(strncmp(error.text + strlen(place->first), ":4:", 3), 0);
    settings_free(settings);
}

static void settings_only_the_default_rules_may_be_missing(void **state)
{
    struct place *place = *state;
    struct settings *settings =
        settings_in(place->folder, "bounce_rules = {\"~/none\"}");
    struct error error = {""};

    assert_false(settings_load_rules(settings, &error));
    assert_non_null(strstr(error.text, ":1: bounce_rules: "));
    assert_non_null(strstr(error.text, "/none: not readable"));
    settings->bounce_rules_is_default = true;
    assert_true(settings_load_rules(settings, &error));
    assert_int_equal(bounce_rules_count(settings->rules), 0);
    settings_free(settings);
    settings = settings_in(place->folder, "bounce_rules = {}\n");
    assert_true(settings_load_rules(settings, &error));
    assert_int_equal(bounce_rules_count(settings->rules), 0);
    settings_free(settings);
    settings = settings_in(place->folder, "bounce_rules += {\"~/none\"}\n");
    assert_false(settings->bounce_rules_is_default);
    assert_non_null(settings->bounce_rules[2]);
    settings_free(settings);
    settings = settings_of("bounce_rules = {\"/etc/nixie/bounce-rules.conf\",\n"
                           "\"/usr/share/nixie/bounce-rules.conf\"}\n",
                           &error);
    assert_non_null(settings);
    assert_true(settings->bounce_rules_is_default);
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_defaults_follow_no_delivery_log),
        cmocka_unit_test(settings_policies_keep_what_a_section_does_not_give),
        cmocka_unit_test(settings_of_the_delivery_log_are_taken),
        cmocka_unit_test(settings_errors_about_policy_name_line_and_remedy),
        cmocka_unit_test(
            settings_errors_about_the_delivery_log_name_line_and_remedy),
        cmocka_unit_test(
            settings_of_policy_and_log_take_what_looks_like_a_fault),
        cmocka_unit_test_setup_teardown(
            settings_rules_are_compiled_in_the_order_of_their_files, make_place,
            remove_place),
        cmocka_unit_test_setup_teardown(
            settings_a_fault_of_a_rule_names_its_file_and_line, make_place,
            remove_place),
        cmocka_unit_test_setup_teardown(
            settings_only_the_default_rules_may_be_missing, make_place,
            remove_place),
    };

    return cmocka_run_group_tests_name("settings_policy", tests, NULL, NULL);
}
