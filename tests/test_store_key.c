#include "store_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct mailbox_pattern pattern_of(enum mailbox_pattern_kind kind,
                                         const char *text, const char *domain)
{
    struct mailbox_pattern pattern = {.kind = kind, .length = strlen(text)};

    memcpy(pattern.text, text, pattern.length);
    memcpy(pattern.domain, domain, strlen(domain));
    return pattern;
}

static void store_crc16_is_the_xmodem_one(void **state)
{
    (void)state;
    assert_int_equal(store_crc16("123456789", 9), 0x31C3);
    assert_int_equal(store_crc16("", 0), 0);
    assert_int_equal(store_crc16("\xff\x00\x80", 3), 0x5eeb);
}

/* CLUSTER KEYSLOT of a Redis says the same; a slot is the CRC modulo 16384. */
static void store_bucket_is_the_cluster_slot_modulo_64(void **state)
{
    static const struct row {
        const char *key;
        unsigned slot;
    } rows[] = {{"somekey", 11058}, {"foo", 12182}, {"ann@example.org", 8640}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *key = rows[i].key;

        assert_int_equal(store_crc16(key, strlen(key)) % 16384, rows[i].slot);
        assert_int_equal(store_bucket(key, strlen(key)), rows[i].slot % 64);
    }
}

static void store_bucket_of_pattern_goes_by_mailbox_domain_or_text(void **state)
{
    static const struct row {
        enum mailbox_pattern_kind kind;
        const char *text, *domain, *hashed;
    } rows[] = {
        {MAILBOX_PATTERN_EXACT, "ann@example.org", "example.org",
         "ann@example.org"},
        {MAILBOX_PATTERN_DOMAIN, "@example.org", "example.org", "example.org"},
        {MAILBOX_PATTERN_SUBDOMAINS, "@.example.org", "example.org",
         "example.org"},
        {MAILBOX_PATTERN_LOCAL_PART, "ann@", "", "ann@"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mailbox_pattern pattern =
            pattern_of(rows[i].kind, rows[i].text, rows[i].domain);

        assert_int_equal(store_bucket_of_pattern(&pattern),
                         store_bucket(rows[i].hashed, strlen(rows[i].hashed)));
    }
}

static void store_key_list_names_list_scope_and_pattern(void **state)
{
    static const struct row {
        enum store_list list;
        const char *scope, *pattern, *key;
    } rows[] = {
        {STORE_SUPPRESS, NULL, "a@b", "nixie:suppress:a@b"},
        {STORE_SUPPRESS, "", "@.b", "nixie:suppress:@.b"},
        {STORE_SUPPRESS, "marketing", "a@b", "nixie:suppress@marketing:a@b"},
        {STORE_ALLOW, NULL, "a@", "nixie:allow:a@"},
        {STORE_ALLOW, "A-z_0.9", "@b", "nixie:allow@A-z_0.9:@b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mailbox_pattern pattern =
            pattern_of(MAILBOX_PATTERN_EXACT, rows[i].pattern, "");
        struct store_key key;

        assert_true(store_key_list("nixie:", rows[i].list, rows[i].scope,
                                   &pattern, &key));
        assert_string_equal(key.text, rows[i].key);
        assert_int_equal(key.length, strlen(rows[i].key));
    }
}

static void store_key_list_keeps_a_nul_of_the_pattern(void **state)
{
    struct mailbox_pattern pattern =
        pattern_of(MAILBOX_PATTERN_EXACT, "\"a.b\"@c", "c");
    struct store_key key;

    (void)state;
    pattern.text[2] = '\0';
    assert_true(store_key_list("p:", STORE_ALLOW, NULL, &pattern, &key));
    assert_int_equal(key.length, 15);
    assert_memory_equal(key.text, "p:allow:\"a\0b\"@c", 16);
}

static void store_key_list_refuses_scopes_that_are_no_names(void **state)
{
    static const char *const scopes[] = {
        "a:b", "a@b", "a b", "{a}", "a/b", "\xc3\xa9", "a\n", "*",
        /* 65 bytes */
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct mailbox_pattern pattern =
        pattern_of(MAILBOX_PATTERN_EXACT, "a@b", "b");
    struct store_key key;

    (void)state;
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        assert_false(store_key_list("nixie:", STORE_SUPPRESS, scopes[i],
                                    &pattern, &key));
    }
}

static void store_key_list_refuses_an_invalid_pattern(void **state)
{
    struct mailbox_pattern pattern =
        pattern_of(MAILBOX_PATTERN_INVALID, "a", "");
    struct store_key key;

    (void)state;
    assert_false(store_key_list("", STORE_SUPPRESS, NULL, &pattern, &key));
}

static void store_key_list_holds_the_longest_of_everything(void **state)
{
    struct mailbox_pattern pattern = {.kind = MAILBOX_PATTERN_SUBDOMAINS};
    char prefix[STORE_PREFIX_MAX + 2];
    char scope[STORE_SCOPE_MAX + 1];
    struct store_key key;

    (void)state;
    pattern.length = sizeof pattern.text - 1;
    memset(pattern.text, 'x', pattern.length);
    memset(prefix, 'p', sizeof prefix);
    prefix[STORE_PREFIX_MAX + 1] = '\0';
    memset(scope, 's', sizeof scope);
    scope[STORE_SCOPE_MAX] = '\0';
    assert_false(store_key_list(prefix, STORE_SUPPRESS, scope, &pattern, &key));
    prefix[STORE_PREFIX_MAX] = '\0';
    assert_true(store_key_list(prefix, STORE_SUPPRESS, scope, &pattern, &key));
    assert_int_equal(key.length, STORE_PREFIX_MAX + strlen("suppress@:") +
                                     STORE_SCOPE_MAX + pattern.length);
}

static void store_key_history_puts_the_bucket_in_a_hash_tag(void **state)
{
    static const struct row {
        unsigned bucket;
        enum store_history kind;
        const char *name, *key;
    } rows[] = {
        {7, STORE_RECIPIENT, "a@b", "nixie:{07}:recipient:a@b"},
        {63, STORE_STRIKES, "a@b", "nixie:{63}:strikes:a@b"},
        {63, STORE_EVIDENCE, "a@b", "nixie:{63}:evidence:a@b"},
        {0, STORE_DOMAIN, "b", "nixie:{00}:domain:b"},
        {0, STORE_WAITING, "b", "nixie:{00}:waiting:b"},
        {12, STORE_HOUR, "2026110219", "nixie:{12}:hour:2026110219"},
        {1, STORE_BREAKER, NULL, "nixie:{01}:breaker"},
        {1, STORE_DOWN, NULL, "nixie:{01}:down"},
        {12, STORE_STATS, "2026110219", "nixie:{12}:stats:2026110219"},
        {1, STORE_DUE, NULL, "nixie:{01}:due"},
        {1, STORE_CHECKPOINT, NULL, "nixie:{01}:checkpoint"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct store_key key;

        assert_true(store_key_history("nixie:", rows[i].bucket, rows[i].kind,
                                      text_of(rows[i].name), &key));
        assert_string_equal(key.text, rows[i].key);
        assert_int_equal(key.length, strlen(rows[i].key));
    }
}

static void store_key_history_refuses_what_does_not_fit(void **state)
{
    char name[STORE_KEY_MAX];
    struct text text = {name, 0};
    struct store_key key;

    (void)state;
    memset(name, 'x', sizeof name);
    assert_false(store_key_history("", 1, STORE_RECIPIENT, text, &key));
    text.length = STORE_KEY_MAX - 1 - strlen("{01}:recipient:");
    assert_true(store_key_history("", 1, STORE_RECIPIENT, text, &key));
    text.length++;
    assert_false(store_key_history("", 1, STORE_RECIPIENT, text, &key));
}

static void store_key_strikes_names_the_scope(void **state)
{
    struct store_key key;

    (void)state;
    assert_true(
        store_key_strikes("nixie:", 7, text_of(NULL), text_of("a@b.c"), &key));
    assert_string_equal(key.text, "nixie:{07}:strikes:a@b.c");
    assert_true(store_key_strikes("nixie:", 7, text_of("news"),
                                  text_of("a@b.c"), &key));
    assert_string_equal(key.text, "nixie:{07}:strikes@news:a@b.c");
    assert_int_equal(key.length, strlen(key.text));
    assert_false(
        store_key_strikes("nixie:", 7, text_of("a:b"), text_of("a@b.c"), &key));
    assert_false(
        store_key_strikes("nixie:", 7, text_of("news"), text_of(NULL), &key));
}

static void store_due_tells_address_reason_and_scope(void **state)
{
    static const struct {
        const char *text, *before, *scope;
        bool value;
    } rows[] = {
        {"a@b.c", "a@b.c", NULL, false},
        {"a@b.c news", "a@b.c", "news", false},
        {"\"a b\"@b.c", "\"a b\"@b.c", NULL, false},
        {"\"a b\"@b.c x.y", "\"a b\"@b.c", "x.y", false},
        {"a@b.c ", "a@b.c ", NULL, false},
        {"a@b.c a:b", "a@b.c a:b", NULL, false},
        {" ", " ", NULL, false},
        {"", "", NULL, false},
        {"@b.c", "@b.c", NULL, false},
        {"complaint", "complaint", NULL, true},
        {"complaint@news", "complaint", "news", true},
        {"complaint@", "complaint@", NULL, true},
        {"@news", "", "news", true},
        {"", "", NULL, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text before, scope;

        (rows[i].value ? store_due_value : store_due_field)(
            text_of(rows[i].text), &before, &scope);
        assert_true(text_is(before, rows[i].before) ||
                    (before.length == 0 && rows[i].before[0] == '\0'));
        assert_true(rows[i].scope == NULL ? scope.bytes == NULL
                                          : text_is(scope, rows[i].scope));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_crc16_is_the_xmodem_one),
        cmocka_unit_test(store_bucket_is_the_cluster_slot_modulo_64),
        cmocka_unit_test(
            store_bucket_of_pattern_goes_by_mailbox_domain_or_text),
        cmocka_unit_test(store_key_list_names_list_scope_and_pattern),
        cmocka_unit_test(store_key_list_keeps_a_nul_of_the_pattern),
        cmocka_unit_test(store_key_list_refuses_scopes_that_are_no_names),
        cmocka_unit_test(store_key_list_refuses_an_invalid_pattern),
        cmocka_unit_test(store_key_list_holds_the_longest_of_everything),
        cmocka_unit_test(store_key_history_puts_the_bucket_in_a_hash_tag),
        cmocka_unit_test(store_key_history_refuses_what_does_not_fit),
        cmocka_unit_test(store_key_strikes_names_the_scope),
        cmocka_unit_test(store_due_tells_address_reason_and_scope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
