#include "mailbox.h"
#include "suppression_kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PREFIX "nixie:"

static struct text without_prefix(const struct store_key *key)
{
    const size_t length = sizeof PREFIX - 1;

    return (struct text){key->text + length, key->length - length};
}

static void suppression_kind_tells_all_kinds_apart(void **state)
{
    static const char *const patterns[] = {"ann@example.org", "ann@",
                                           "@example.org", "@.example.org"};
    suppression_kinds seen = 0;

    (void)state;
    for (size_t list = 0; list < 2; list++) {
        for (size_t scope = 0; scope < 2; scope++) {
            for (size_t i = 0; i < 4; i++) {
                suppression_kinds kind =
                    suppression_kind(list == 0 ? STORE_SUPPRESS : STORE_ALLOW,
                                     scope == 1, text_of(patterns[i]));

                assert_int_equal(seen & kind, 0);
                assert_true(((kind & SUPPRESSION_KINDS_ADDRESS) != 0) ==
                            (i == 0));
                seen |= kind;
            }
        }
    }
    assert_int_equal(seen, SUPPRESSION_KINDS_ALL);
}

/* Whatever a lookup asks for: the kind of its key is that of its pattern. */
static void suppression_kind_of_a_pattern_is_that_of_its_key(void **state)
{
    static const char *const paths[] = {
        "ann@example.org",
        "<ann@a.b.example.org>",
        "ann@[192.0.2.1]",
        "postmaster",
        "\"@\"@example.org",
        "\"a:b@\"@example.org",
        "\"@.a\"@example.org",
        "\"\"@example.org",
        "a@b@example.org",
        "@relay:ann@host",
        "\"a@\"",
        ":@example.org",
    };
    static const char *const scopes[] = {NULL, "news", "a.b"};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct mailbox mailbox;
        struct mailbox_pattern pattern;

        (void)mailbox_parse(text_of(paths[i]), NULL, &mailbox);
        for (size_t j = 0; mailbox_candidate(&mailbox, j, &pattern); j++) {
            for (size_t k = 0; k < 6; k++) {
                const enum store_list list =
                    k < 3 ? STORE_SUPPRESS : STORE_ALLOW;
                const char *scope = scopes[k % 3];
                const suppression_kinds kind = suppression_kind(
                    list, scope != NULL,
                    (struct text){pattern.text, pattern.length});
                struct store_key key;

                assert_true(
                    store_key_list(PREFIX, list, scope, &pattern, &key));
                assert_int_equal(suppression_kind_of_key(without_prefix(&key)),
                                 kind);
                /* why a lookup may stop behind the first */
                assert_true(j == 0 || (kind & SUPPRESSION_KINDS_ADDRESS) == 0);
            }
        }
    }
}

static void suppression_kind_of_what_is_no_key_is_any(void **state)
{
    static const char *const keys[] = {"",        "suppress", "allow",
                                       "allow@a", "x:",       "suppres:a@b"};

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_int_equal(suppression_kind_of_key(text_of(keys[i])),
                         SUPPRESSION_KINDS_ALL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suppression_kind_tells_all_kinds_apart),
        cmocka_unit_test(suppression_kind_of_a_pattern_is_that_of_its_key),
        cmocka_unit_test(suppression_kind_of_what_is_no_key_is_any),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
