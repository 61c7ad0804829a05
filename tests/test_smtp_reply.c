#include "smtp_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void smtp_reply_parse_takes_what_is_there(void **state)
{
    static const struct {
        const char *line;
        int code;
        const char *status;
        const char *text;
    } rows[] = {
        {"550 5.1.1 User unknown", 550, "5.1.1", "User unknown"},
        {"550-5.1.1 User unknown", 550, "5.1.1", "User unknown"},
        {"\"550 5.7.1 No\"", 550, "5.7.1", "No"},
        {"5.7.1 Relay access denied", 0, "5.7.1", "Relay access denied"},
        {"Relay access denied", 0, "", "Relay access denied"},
        {"450", 450, "", ""},
        {"", 0, "", ""},
        {"4.2.2", 0, "4.2.2", ""},
        {"550 5.1.1234 x", 550, "", "5.1.1234 x"},
        {"5501 x", 0, "", "5501 x"},
        {"999 x", 0, "", "999 x"},
        {"550 3.1.1 x", 550, "", "3.1.1 x"},
        {"550 5.1.1x", 550, "", "5.1.1x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct smtp_reply reply;

        smtp_reply_parse(text_of(rows[i].line), &reply);
        assert_int_equal(reply.code, rows[i].code);
        assert_string_equal(reply.enhanced_status, rows[i].status);
        assert_int_equal(reply.text.length, strlen(rows[i].text));
        assert_memory_equal(reply.text.bytes, rows[i].text, reply.text.length);
    }
}

static void enhanced_status_is_valid_refuses_a_fourth_digit(void **state)
{
    (void)state;
    assert_true(enhanced_status_is_valid(text_of("5.7.1")));
    assert_true(enhanced_status_is_valid(text_of("2.123.123")));
    assert_false(enhanced_status_is_valid(text_of("5.7.1234")));
    assert_false(enhanced_status_is_valid(text_of("5.7.")));
    assert_false(enhanced_status_is_valid(text_of("5.7.1 ")));
    assert_false(enhanced_status_is_valid(text_of("1.7.1")));
    assert_false(enhanced_status_is_valid(text_of("")));
    assert_false(enhanced_status_is_valid(text_of(NULL)));
    assert_false(enhanced_status_is_valid((struct text){"\0.7.1", 5}));
}

static void smtp_decode_xtext_decodes_hexchars_only(void **state)
{
    char buffer[8];

    (void)state;
    assert_int_equal(smtp_decode_xtext(text_of("a+2Bb"), buffer, 8), 3);
    assert_string_equal(buffer, "a+b");
    assert_int_equal(smtp_decode_xtext(text_of("+2b+2"), buffer, 8), 5);
    assert_string_equal(buffer, "+2b+2");
    assert_int_equal(smtp_decode_xtext(text_of("0123456789"), buffer, 8), 7);
    assert_string_equal(buffer, "0123456");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smtp_reply_parse_takes_what_is_there),
        cmocka_unit_test(enhanced_status_is_valid_refuses_a_fourth_digit),
        cmocka_unit_test(smtp_decode_xtext_decodes_hexchars_only),
    };

    return cmocka_run_group_tests_name("smtp_reply", tests, NULL, NULL);
}
