#include "command_store.h"
#include "redis_server.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct settings *load(const char *configuration)
{
    char path[] = "/tmp/nixie-settings-XXXXXX";
    int file = mkstemp(path);
    struct error error = {""};
    struct settings *settings;

    assert_true(file >= 0);
    assert_int_equal(write(file, configuration, strlen(configuration)),
                     strlen(configuration));
    assert_int_equal(close(file), 0);
    settings = settings_load(path, &error);
    assert_int_equal(unlink(path), 0);
    assert_string_equal(error.text, "");
    assert_non_null(settings);
    return settings;
}

static void command_store_parse_tells_keys_that_never_match(void **state)
{
    static const struct row {
        const char *key;
        const char *write; /* what lookups find; NULL: nothing like it */
    } rows[] = {
        {"nixie:suppress:ann@example.org", "nixie:suppress:ann@example.org"},
        {"nixie:suppress:@example.org", "nixie:suppress:@example.org"},
        {"nixie:suppress:@.example.org", "nixie:suppress:@.example.org"},
        {"nixie:suppress:ann@", "nixie:suppress:ann@"},
        {"nixie:suppress:postmaster", "nixie:suppress:postmaster"},
        {"nixie:suppress@news:ann@example.org",
         "nixie:suppress@news:ann@example.org"},
        {"nixie:suppress:Ann@Example.ORG", "nixie:suppress:ann@example.org"},
        {"nixie:suppress:<ann@example.org>", "nixie:suppress:ann@example.org"},
        {"nixie:suppress:ann@example.org.", "nixie:suppress:ann@example.org"},
        {"nixie:suppress:@b\xc3\xbc"
         "cher.example",
         "nixie:suppress:@xn--bcher-kva.example"},
        {"nixie:suppress@news:@Example.org",
         "nixie:suppress@news:@example.org"},
        {"nixie:suppress:", NULL},
        {"nixie:suppress:x y@", NULL},
        {"nixie:suppress@:ann@example.org", "nixie:suppress:ann@example.org"},
        {"nixie:suppress@a b:ann@example.org", NULL},
    };
    struct settings *settings = load("");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct command_store_key parsed;
        struct text key = text_of(rows[i].key);

        assert_true(
            command_store_parse(settings, STORE_SUPPRESS, key, &parsed));
        if (rows[i].write == NULL) {
            assert_false(parsed.normal);
            assert_int_equal(parsed.write.length, 0);
            continue;
        }
        assert_string_equal(parsed.write.text, rows[i].write);
        assert_int_equal(parsed.normal, text_is(key, rows[i].write));
    }
    settings_free(settings);
}

static void command_store_doubt_marks_what_hardly_matches(void **state)
{
    static const struct row {
        const char *pattern;
        bool doubtful;
    } rows[] = {
        {"*@example.org", true}, {"@*.example.org", true},
        {"postmaster", true},    {"ann@example.org", false},
        {"@example.org", false}, {"@.example.org", false},
        {"ann@", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(command_store_doubt(text_of(rows[i].pattern)) != NULL,
                         rows[i].doubtful);
    }
}

static void command_store_parse_passes_other_keys(void **state)
{
    static const char *const rows[] = {
        "",
        "nixie:",
        "nixie:suppress",
        "nixie:suppressed:ann@example.org",
        "nixie:suppress@news",
        "nixie:allow:ann@example.org",
        "other:suppress:ann@example.org",
        "nixie:{17}:recipient:ann@example.org",
    };
    struct settings *settings = load("");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct command_store_key parsed;

        assert_false(command_store_parse(settings, STORE_SUPPRESS,
                                         text_of(rows[i]), &parsed));
    }
    settings_free(settings);
}

static void command_store_pattern_is_what_lookups_use(void **state)
{
    static const struct row {
        const char *configuration;
        const char *typed;
        const char *pattern; /* NULL: it is none */
    } rows[] = {
        {"", "Ann@Example.ORG", "ann@example.org"},
        {"", "Ann@", "ann@"},
        {"", "ann+tag@example.com", "ann+tag@example.com"},
        {"", "x y", NULL},
        {"fold_local_case = false", "Ann@Example.ORG", "Ann@example.org"},
        {"fold_local_case = false", "Ann@", "Ann@"},
        {"domain \"example.com\" { fold_tags = true }", "ann+tag@example.com",
         "ann@example.com"},
        {"local_domains = {\"relay.example\"}", "ann%example.org@relay.example",
         "ann@example.org"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings *settings = load(rows[i].configuration);
        struct mailbox_pattern pattern;
        bool known =
            command_store_pattern(settings, text_of(rows[i].typed), &pattern);

        assert_int_equal(known, rows[i].pattern != NULL);
        if (known) {
            assert_string_equal(pattern.text, rows[i].pattern);
        }
        settings_free(settings);
    }
}

/* --- with Redis -------------------------------------------------------- */

static struct settings *load_for(const struct redis_server *server)
{
    char configuration[512];

    assert_true(snprintf(configuration, sizeof configuration,
                         "redis = \"%s\"\n",
                         redis_server_location(server)) > 0);
    return load(configuration);
}

static void set_key(struct command_store *store, const char *key)
{
    const char *const words[] = {"SET", key, ""};
    struct error error = {""};
    redisReply *reply = command_store_ask(store, &error, 3, words);

    assert_string_equal(error.text, "");
    freeReplyObject(reply);
}

struct visits {
    size_t keys;
    size_t odd;
};

static bool count_keys(void *context, const redisReply *keys)
{
    struct visits *visits = context;

    for (size_t i = 0; i < keys->elements; i++) {
        struct text key = command_store_text(keys->element[i]);

        visits->keys++;
        if (memmem(key.bytes, key.length, "@x.example", 10) == NULL) {
            visits->odd++;
        }
    }
    return true;
}

static void command_store_walk_visits_one_list(void **state)
{
    static const struct row {
        enum store_list list;
        const char *scope;
        size_t expected;
    } rows[] = {
        {STORE_SUPPRESS, NULL, 3000 + 2},
        {STORE_SUPPRESS, "news", 1},
        {STORE_SUPPRESS, "none", 0},
        {STORE_ALLOW, NULL, 1},
    };
    struct redis_server *server = *state;
    struct settings *settings = load_for(server);
    struct error error = {""};
    struct command_store *store = command_store_open(settings, &error);
    char key[64];

    assert_non_null(store);
    for (int i = 0; i < 3000; i++) { /* more than one round of SCAN */
        (void)snprintf(key, sizeof key, "nixie:suppress:u%d@x.example", i);
        set_key(store, key);
    }
    set_key(store, "nixie:suppress@news:a@x.example");
    set_key(store, "nixie:suppress@new:a@x.example");
    set_key(store, "nixie:allow:a@x.example");
    set_key(store, "nixie:suppressor");
    set_key(store, "nixie:unclassified");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct visits visits = {0, 0};
        const struct command_store_walk walk = {rows[i].list, rows[i].scope,
                                                count_keys, &visits};

        assert_true(command_store_walk(store, settings, &walk, &error));
        assert_int_equal(visits.keys, rows[i].expected);
        assert_int_equal(visits.odd, 0);
    }
    command_store_close(store);
    settings_free(settings);
}

static void command_store_ask_takes_an_error_reply_for_a_failure(void **state)
{
    static const char *const words[] = {"NONSENSE", "x"};
    struct settings *settings = load_for(*state);
    struct error error = {""};
    struct command_store *store = command_store_open(settings, &error);

    assert_non_null(store);
    assert_null(command_store_ask(store, &error, 2, words));
    assert_non_null(strstr(error.text, "NONSENSE"));
    command_store_close(store);
    settings_free(settings);
}

static void command_store_exists_tells_there_from_not_there(void **state)
{
    struct settings *settings = load_for(*state);
    struct store_key key = {"nixie:suppress:there@x.example", 30};
    struct error error = {""};
    struct command_store *store = command_store_open(settings, &error);

    assert_non_null(store);
    assert_int_equal(command_store_exists(store, &key, &error), 0);
    set_key(store, key.text);
    assert_int_equal(command_store_exists(store, &key, &error), 1);
    redis_server_kill(*state);
    assert_int_equal(command_store_exists(store, &key, &error), -1);
    assert_string_not_equal(error.text, "");
    command_store_close(store);
    settings_free(settings);
}

static int start_server(void **state)
{
    *state = redis_server_start(NULL);
    return *state == NULL ? -1 : 0;
}

static int stop_server(void **state)
{
    redis_server_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_store_parse_tells_keys_that_never_match),
        cmocka_unit_test(command_store_doubt_marks_what_hardly_matches),
        cmocka_unit_test(command_store_parse_passes_other_keys),
        cmocka_unit_test(command_store_pattern_is_what_lookups_use),
        cmocka_unit_test_setup_teardown(command_store_walk_visits_one_list,
                                        start_server, stop_server),
        cmocka_unit_test_setup_teardown(
            command_store_ask_takes_an_error_reply_for_a_failure, start_server,
            stop_server),
        cmocka_unit_test_setup_teardown(
            command_store_exists_tells_there_from_not_there, start_server,
            stop_server),
    };

    if (!redis_server_installed()) {
        (void)fputs("redis-server is not in PATH: skipped\n", stderr);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
