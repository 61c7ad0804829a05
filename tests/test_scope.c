#include "scope.h"
#include "settings_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char sections[] =
    "scope \"submitted\" { listeners = {\"submission\", \"587\"}\n"
    "                    auth_users = {\"app\", \"Ann\"} }\n"
    "scope \"office\" { clients = {\"192.0.2.0/24\", \"2001:db8::/32\"} }\n"
    "scope \"news\" { senders = {\"@news.example\", \"letter@shop.example\",\n"
    "                          \"@.lists.example\", \"news@\"} }\n"
    "scope \"bulk\" { listeners = {\"bulk\"} auth_users = {}\n"
    "               clients = {\"192.0.2.9\", \"198.51.100.7\"}\n"
    "               senders = {\"@shop.example\"} }\n"
    "scope \"rest\" { listeners = {\"bulk\"} }\n";

static struct settings *take(const char *text)
{
    struct error error = {""};
    struct settings *settings = settings_of(text, &error);

    assert_string_equal(error.text, "");
    assert_non_null(settings);
    return settings;
}

static void scope_choose_takes_the_first_whose_conditions_all_fit(void **state)
{
    static const struct {
        const char *name;
        struct scope_question question;
        const char *scope;
    } rows[] = {
        {"nothing is known", {NULL, NULL, NULL, NULL}, NULL},
        {"listener and user",
         {.listener = "submission", .auth_user = "app"},
         "submitted"},
        {"another value of each",
         {.listener = "587", .auth_user = "Ann"},
         "submitted"},
        {"the listener alone", {.listener = "submission"}, NULL},
        {"the user alone", {.auth_user = "app"}, NULL},
        {"another user", {.listener = "587", .auth_user = "bob"}, NULL},
        {"a user in other letters",
         {.listener = "587", .auth_user = "ann"},
         NULL},
        {"the start of a name", {.listener = "58", .auth_user = "app"}, NULL},
        {"a network", {.client_ip = "192.0.2.200"}, "office"},
        {"an IPv6 network", {.client_ip = "2001:db8::9"}, "office"},
        {"no such network", {.client_ip = "192.0.3.1"}, NULL},
        {"a client that is none", {.client_ip = "unknown"}, NULL},
        {"a domain", {.sender = "any@news.example"}, "news"},
        {"a domain in other letters", {.sender = "Any@NEWS.example."}, "news"},
        {"a domain below it", {.sender = "any@a.news.example"}, NULL},
        {"an address", {.sender = "letter@shop.example"}, "news"},
        {"a quoted one", {.sender = "\"letter\"@shop.example"}, "news"},
        {"another address", {.sender = "bills@shop.example"}, NULL},
        {"below a domain", {.sender = "any@a.b.lists.example"}, "news"},
        {"the domain itself", {.sender = "any@lists.example"}, NULL},
        {"a local part", {.sender = "News@far.example"}, "news"},
        {"a tag is another local part", {.sender = "news+1@far.example"}, NULL},
        {"no sender", {.sender = ""}, NULL},
        {"a sender that is none", {.sender = "@@"}, NULL},
        {"the first of two",
         {"587", "app", "192.0.2.1", "news@a.example"},
         "submitted"},
        {"the second of them",
         {"25", "app", "192.0.2.1", "news@a.example"},
         "office"},
        {"three conditions",
         {"bulk", NULL, "198.51.100.7", "bills@shop.example"},
         "bulk"},
        {"two of three",
         {"bulk", NULL, "198.51.100.8", "bills@shop.example"},
         "rest"},
        {"an empty list asks for nothing",
         {"bulk", "bob", "198.51.100.7", "bills@shop.example"},
         "bulk"},
    };
    struct settings *settings = take(sections);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct scope *scope = scope_choose(settings, &rows[i].question);
        const char *name = scope == NULL ? "none" : scope->name;

        if (strcmp(name, rows[i].scope == NULL ? "none" : rows[i].scope) != 0) {
            fail_msg("%s: %s", rows[i].name, name);
        }
    }
    settings_free(settings);
}

static void scope_choose_folds_tags_where_the_domain_does(void **state)
{
    const struct scope_question question = {.sender = "news+1@far.example"};
    struct settings *settings =
        take("scope \"news\" { senders = {\"news@far.example\"} }\n"
             "domain \"far.example\" { fold_tags = true }\n");

    (void)state;
    assert_non_null(scope_choose(settings, &question));
    settings_free(settings);
}

static void scope_find_knows_names_and_codes(void **state)
{
    struct settings *settings = take(sections);
    const struct scope *news = scope_find(settings, text_of("news"));

    (void)state;
    assert_non_null(news);
    assert_ptr_equal(scope_of_code(settings, news->code), news);
    assert_null(scope_find(settings, text_of("News")));
    assert_null(scope_find(settings, text_of(NULL)));
    assert_null(scope_of_code(settings, 0));
    assert_null(scope_of_code(settings, news->code ^ 1));
    settings_free(settings);
}

static void scope_policies_and_mode_are_those_of_all_filled_up(void **state)
{
    struct settings *settings =
        take("mode = \"observe\"\n"
             "scope \"news\" {\n  senders = {\"@news.example\"}\n"
             "  mode = \"enforce\"\n"
             "  policy \"mailbox_full\" { strikes = 3 }\n"
             "  policy \"complaint\" { release = {\"365d\"} }\n}\n"
             "scope \"bills\" { senders = {\"@bills.example\"} }\n"
             "policy \"mailbox_full\" { strikes = 7 days = 2 }\n");
    const struct policies *of_news = scope_policies(settings, text_of("news"));
    const struct policy *full = &of_news->of[REASON_MAILBOX_FULL];

    (void)state;
    assert_int_equal(full->strikes, 3);
    assert_int_equal(full->days, 2);
    assert_int_equal(of_news->of[REASON_COMPLAINT].release_s[0],
                     365 * INT64_C(86400));
    assert_memory_equal(scope_policies(settings, text_of("bills")),
                        &settings->policies, sizeof settings->policies);
    assert_ptr_equal(scope_policies(settings, text_of("gone")),
                     &settings->policies);
    assert_ptr_equal(scope_policies(settings, text_of(NULL)),
                     &settings->policies);
    assert_int_equal(scope_mode(settings, &settings->scopes[0]), MODE_ENFORCE);
    assert_int_equal(scope_mode(settings, &settings->scopes[1]), MODE_OBSERVE);
    assert_int_equal(scope_mode(settings, NULL), MODE_OBSERVE);
    settings_free(settings);
}

static void settings_errors_about_scopes_name_line_and_remedy(void **state)
{
    static const struct settings_fault rows[] = {
        {"\nscope \"news\" {}\n", ":2:", "no condition"},
        {"scope \"news\" {\n  mode = \"observe\"\n  senders = {}\n}\n",
         ":4:", "senders = {"},
        {"scope {}\n", ":1:", "title"},
        {"scope \"\" {}\n", ":1:", "write a name"},
        {"scope \"a:b\" {}\n", ":1:", "letters, digits"},
        {"scope \"a b\" {}\n", ":1:", "such as \"marketing\""},
        {"scope \"a\" { senders = {\"a@\"} }\n"
         "scope \"a\" { senders = {\"b@\"} }\n",
         ":2:", "lines 1 and 2"},
        {"scope \"a\" {\n senders = {\"news\"} }\n", ":2:", "no @ in it"},
        {"scope \"a\" { senders = {\"*@news.example\"} }\n",
         ":1:", "nothing else"},
        {"scope \"a\" { senders = {\"a@\", \"a@\"} }\n", ":1:", "each once"},
        {"scope \"a\" { clients = {\"192.0.2.1/24\"} }\n", ":1:", "192.0.2"},
        {"scope \"a\" { clients = {\"host.example\"} }\n", ":1:", "write"},
        {"scope \"a\" { listeners = {\"\"} }\n", ":1:", "1 to 255 bytes"},
        {"scope \"a\" { auth_users = {\"a\\tb\"} }\n", ":1:", "1 to 255 bytes"},
        {"scope \"a\" { auth_users = {a} }\n", ":1:", "quotes"},
        {"scope \"a\" { senders = \"a@\" mode = \"off\" }\n",
         ":1:", "\"enforce\" or \"observe\""},
        {"scope \"a\" { senders = {\"a@\"}\n senders = {\"b@\"} }\n",
         ":2:", "set twice"},
        {"scope \"a\" { senders = {\"a@\"}\n exempt = {\"b@\"} }\n",
         ":1:", "is not closed"},
        {"scope \"a\" { senders = {\"a@\"}\n sender = {\"b@\"} }\n",
         ":2:", "no such key 'sender' in a section 'scope'"},
        {"scope \"a\" { senders = {\"a@\"}\n", ":1:", "is not closed"},
        {"scope \"a\" { senders = {\"a@\"}\n policy \"mailbox_full\" {\n",
         ":2:", "the { of 'policy' is not closed"},
        {"scope \"a\" {\n policy \"full\" {} }\n", ":2:", "write a reason"},
        {"scope \"a\" {\n policy \"spam_content\" {} }\n", ":2:", "blames us"},
        {"scope \"a\" { policy \"expired\" {}\n policy \"expired\" {} }\n",
         ":2:", "lines 1 and 2"},
        {"scope \"a\" {\n policy \"expired\" { strikes = -1 } }\n",
         ":2:", "write 0 to 1000"},
        {"scope \"a\" {\n policy \"expired\" { window = \"30\" } }\n",
         ":2:", "duration"},
        {"scope \"a\" {\n policy \"expired\" { senders = {\"a@\"} } }\n",
         ":2:", "the { of 'policy' is not closed"},
        {"scope \"a\" { senders = {\"a@\"}\n"
         "  policy \"mailbox_full\" { strikes = 2 } }\n",
         ":2:", "days = 3 (the default) is above strikes = 2"},
        {"scope \"a\" { senders = {\"a@\"}\n"
         "  policy \"expired\" { strikes = 2 } }\n"
         "policy \"expired\" { strikes = 9 days = 9 }\n",
         ":2:", "above strikes = 2"},
        {"domain \"a.example\" {\n  policy \"expired\" {} }\n",
         ":1:", "is not closed"},
        /* found by trying: their SHA-256 begin alike */
        {"scope \"s8419\" { senders = {\"a@\"} }\n"
         "scope \"s9071\" { senders = {\"b@\"} }\n",
         ":2:", "another name"},
    };

    (void)state;
    settings_are_refused(rows, sizeof rows / sizeof rows[0]);
}

static void a_policy_may_stand_in_each_scope_and_outside(void **state)
{
    struct settings *settings =
        take("policy \"expired\" { strikes = 6 }\n"
             "scope \"a\" { policy \"expired\" { strikes = 7 }\n"
             "  senders = {\"a@\"} policy \"unreachable\" {} }\n"
             "scope \"b\" { policy \"expired\" { strikes = 8 } mode = "
             "\"observe\"\n senders += {\"b@\"} }\n"
             "policy \"unreachable\" { strikes = 9 }\nmode = \"enforce\"\n");

    (void)state;
    assert_int_equal(settings->scope_count, 2);
    assert_int_equal(settings->policies.of[REASON_EXPIRED].strikes, 6);
    assert_int_equal(settings->scopes[0].policies.of[REASON_EXPIRED].strikes,
                     7);
    assert_int_equal(
        settings->scopes[0].policies.of[REASON_UNREACHABLE].strikes, 9);
    assert_int_equal(settings->scopes[1].policies.of[REASON_EXPIRED].strikes,
                     8);
    assert_int_equal(settings->scopes[1].mode, MODE_OBSERVE);
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scope_choose_takes_the_first_whose_conditions_all_fit),
        cmocka_unit_test(scope_choose_folds_tags_where_the_domain_does),
        cmocka_unit_test(scope_find_knows_names_and_codes),
        cmocka_unit_test(scope_policies_and_mode_are_those_of_all_filled_up),
        cmocka_unit_test(settings_errors_about_scopes_name_line_and_remedy),
        cmocka_unit_test(a_policy_may_stand_in_each_scope_and_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
