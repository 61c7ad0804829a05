#include "settings_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
settings_share_lends_the_newest_and_keeps_what_is_in_use(void **state)
{
    struct error error = {""};
    struct settings *first = settings_load(NULL, &error);
    struct settings *second = settings_load(NULL, &error);
    struct settings_share *share = settings_share_new(first);
    const struct settings *one;
    const struct settings *two;

    (void)state;
    one = settings_share_borrow(share);
    assert_ptr_equal(one, first);
    assert_true(settings_share_is_newest(share, first));
    assert_true(settings_share_replace(share, second));
    assert_false(settings_share_is_newest(share, first));
    assert_true(settings_share_is_newest(share, second));
    two = settings_share_borrow(share);
    assert_ptr_equal(two, second);
    /* a sanitizer tells if it has gone */
    assert_string_equal(one->key_prefix, "nixie:");
    settings_share_return(share, one);
    settings_share_return(share, two);
    assert_ptr_equal(settings_share_borrow(share), second);
    settings_share_return(share, second);
    settings_share_free(share);
}

static void settings_share_survives_many_replacements(void **state)
{
    struct error error = {""};
    struct settings_share *share =
        settings_share_new(settings_load(NULL, &error));

    (void)state;
    for (int i = 0; i < 100; i++) {
        const struct settings *borrowed = settings_share_borrow(share);

        assert_true(settings_share_replace(share, settings_load(NULL, &error)));
        assert_string_equal(borrowed->user, "nixie");
        settings_share_return(share, borrowed);
    }
    settings_share_free(share);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            settings_share_lends_the_newest_and_keeps_what_is_in_use),
        cmocka_unit_test(settings_share_survives_many_replacements),
    };

    return cmocka_run_group_tests_name("settings_share", tests, NULL, NULL);
}
