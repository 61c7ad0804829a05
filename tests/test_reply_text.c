#include "reply_text.h"

#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *reply, *text;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct reply_text text;

        reply_text_normalise(text_of(rows[i].reply), &text);
        assert_string_equal(text.bytes, rows[i].text);
        assert_int_equal(text.length, strlen(rows[i].text));
        assert_false(text.cut);
    }
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof(rows)[0])

static void reply_text_has_codes_apart(void **state)
{
    static const struct {
        const char *reply;
        int code;
        const char *status, *text;
    } rows[] = {
        {"550 5.1.1 User unknown", 550, "5.1.1", "user unknown"},
        {"550-5.1.1 a\r\n550 5.1.1 b", 550, "5.1.1", "a b"},
        {"550-first 550-second 550 third", 550, "", "first second third"},
        {"452-4.2.2 a 452-4.2.1 b 452 4.2.2 c", 452, "4.2.2", "a b c"},
        {"550 sorry, no such box (#5.1.1)", 550, "5.1.1",
         "sorry, no such box (#5.1.1)"},
        {"550 the other said 451 4.4.1", 550, "", "the other said 451 4.4.1"},
        {"5.7.1 Refused", 0, "5.7.1", "refused"},
        {"550 #5.1.0 Rejected", 550, "5.1.0", "rejected"},
        {"#550 5.1.1 Unknown ##", 550, "5.1.1", "unknown ##"},
        {"451 #550 5.1.1 Unknown", 451, "", "#550 5.1.1 unknown"},
        {"550 # Unknown", 550, "", "# unknown"},
        {"550 #", 550, "", "#"},
        {"smtp; 550 5.1.1 Unknown", 550, "5.1.1", "unknown"},
        {"X-Unix; 550 Unknown", 550, "", "unknown"},
        {"host mx.example.org[192.0.2.1] said: 550 5.2.2 Full", 550, "5.2.2",
         "full"},
        {"451 host mx.example.org said: 550 no", 451, "",
         "host <host> said: 550 no"},
        {"he said: nothing", 0, "", "he said: nothing"},
        {"not possible: 550 5.1.1 unknown", 550, "5.1.1",
         "not possible: 550 5.1.1 unknown"},
        {"421", 421, "", ""},
        {"", 0, "", ""},
        {" \r\n\t ", 0, "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reply_text text;

        reply_text_normalise(text_of(rows[i].reply), &text);
        assert_string_equal(text.bytes, rows[i].text);
        assert_int_equal(text.code, rows[i].code);
        assert_string_equal(text.enhanced_status, rows[i].status);
    }
}

static void reply_text_masks_addresses(void **state)
{
    static const struct row rows[] = {
        {"<Ann@Example.org>: no", "<addr>: no"},
        {"ann.b+c=d@mail-1.example.org, or bob@x", "<addr>, or <addr>"},
        {"<ann@[192.0.2.1]> unknown", "<addr> unknown"},
        {"to 'ann@example.org'.", "to '<addr>'."},
        {"josé@correo.example ñu", "<addr> ñu"},
        {"ユーザーann@example.comは", "ユーザー<addr>は"},
        {"<ann>: User unknown", "<addr>: user unknown"},
        {"<> is the sender", "<> is the sender"},
        {"<user unknown>", "<user unknown>"},
        {"at @example.org", "at @<host>"},
        {"a@ b", "a@ b"},
        {"@@@", "@@@"},
    };

    (void)state;
    CHECK(rows);
}

static void reply_text_masks_hosts_and_addresses_of_hosts(void **state)
{
    static const struct row rows[] = {
        {"mx1.Mail.example.org[192.0.2.1]:25", "<host>[<ip>]:<n>"},
        {"<mail.example.org>: rejected", "<host>: rejected"},
        {"[2001:DB8::25] listed", "[<ip>] listed"},
        {"ipv6:fe80::1: x", "ipv6:<ip>: x"},
        {"1:2:3:4:5:6:7:8", "<ip>"},
        {"see example.xn--p1ai.", "see <host>."},
        {"found in bl.example.net. Sorry", "found in <host>. sorry"},
        {"not found.please try", "not found.please try"},
        {"e.g. this and i.e. that...", "e.g. this and i.e. that..."},
        {"denied...7d39d5299584f4be161127", "denied...<id>"},
        {"at 12:34:56", "at <n>:<n>:<n>"},
    };

    (void)state;
    CHECK(rows);
}

static void reply_text_keeps_what_a_url_is_about(void **state)
{
    static const struct row rows[] = {
        {"see https://Support.example.com/mail/?p=NoSuchUser ok",
         "see <url:support.example.com/mail/?p=nosuchuser> ok"},
        {"(http://www.example.org/query/ip/192.0.2.1).",
         "(<url:www.example.org/query/ip/*>)."},
        {"<http://example.net/a?id=ann%40example.org&x=1>",
         "<url:example.net/a?id=*&x=*>"},
        {"http://192.0.2.1/x", "<url:*/x>"},
        {"www.example.org/help", "<url:www.example.org/help>"},
        {"http://example.net/errors#rl000001.",
         "<url:example.net/errors#rl000001>."},
    };

    (void)state;
    CHECK(rows);
}

static void reply_text_masks_ids_and_numbers(void **state)
{
    static const struct row rows[] = {
        {"4F6A12B3C4D5: queued", "<id>: queued"},
        {"1abcde-0001Ab-Cd done", "<id> done"},
        {"x5si1234567wrq.123 - gsmtp", "<id> - gsmtp"},
        {"aGVsbG8gd29ybGQ0NTY3ODk9+/A1b2 end", "<id> end"},
        {"10,240 KB of 10mb", "<n>,<n> kb of <n>mb"},
        {"on 2026-11-21", "on <n>"},
        {"version 8.14.4 or 1.5", "version <n> or <n>"},
        {"wait 300 seconds", "wait <n> seconds"},
        {"<12345>", "<n>"},
        {"error-code-12345", "error-code-<n>"},
    };

    (void)state;
    CHECK(rows);
}

static void reply_text_keeps_names_of_errors(void **state)
{
    static const struct row rows[] = {
        {"[TS03] (S3140) RL000001", "[ts03] (s3140) rl000001"},
        {"OFR_506 lpn007_510 AUP#In-1", "ofr_506 lpn007_510 aup#in-1"},
        {"said 550 and 5.1.1 within", "said 550 and 5.1.1 within"},
        {"mailbox UTF-8 p2p", "mailbox utf-8 p2p"},
    };

    (void)state;
    CHECK(rows);
}

static void reply_text_is_lower_case_with_single_blanks(void **state)
{
    static const struct row rows[] = {
        {"A\r\n\r\n  B\tC", "a b c"},
        {"ПОЛЬЗОВАТЕЛЬ Не Найден", "пользователь не найден"},
        {"EMPFÄNGER", "empfänger"},
        {"ＮＯ　ＳＵＣＨ", "no such"},
        {"doesn\342\200\231t", "doesn't"},
        {"soft\302\255hyphen", "softhyphen"},
        {"用户 不存在。", "用户 不存在."},
        {"a\200\201b", "a\357\277\275b"},
        {"cut \343\201", "cut \357\277\275"},
    };

    (void)state;
    CHECK(rows);
}

/* A text of our own list, pasted again, is the same text. */
static void reply_text_of_a_masked_text_is_that_text(void **state)
{
    static const char *const replies[] = {
        "550 5.1.1 <ann@example.org>: unknown at mx.example.org [192.0.2.1]",
        "421 See https://support.example.com/mail/?p=NoSuchUser x5si123wrq45",
        "554 10,240 of <12345> at <mail.example.org>, <ann>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct reply_text once;
        struct reply_text twice;

        reply_text_normalise(text_of(replies[i]), &once);
        reply_text_normalise((struct text){once.bytes, once.length}, &twice);
        assert_string_equal(once.bytes, twice.bytes);
    }
}

static char *repeated(const char *unit, size_t size)
{
    char *bytes = malloc(size);
    size_t length = strlen(unit);

    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = unit[i % length];
    }
    return bytes;
}

static void reply_text_is_bounded_and_valid_whatever_comes(void **state)
{
    static const char *const units[] = {
        "user ",     "a",
        "@",         "a@b.",
        "a@[",       "<",
        "http://",   "www.",
        "::",        "1:2:",
        "550-",      "550 ",
        "12345 ",    "\343\201\202",
        "\343\201",  "\310\272",
        "a1b2c3",    "x.y.",
        "<url:a",    "\r\n",
        "\377\376z", "said: ",
        "ann@x, ",   "\305\277\344 ",
    };

    (void)state;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t size = (size_t)REPLY_TEXT_INPUT_MAX + 4096;
        char *bytes = repeated(units[i], size);
        struct reply_text text;
        struct text listed;

        reply_text_normalise((struct text){bytes, size}, &text);
        listed = reply_text_listed(&text);
        assert_true(text.length <= REPLY_TEXT_MAX);
        assert_true(listed.length <= REPLY_TEXT_LISTED_MAX);
        assert_true(text.cut);
        assert_true(g_utf8_validate(text.bytes, (gssize)text.length, NULL));
        assert_true(g_utf8_validate(listed.bytes, (gssize)listed.length, NULL));
        assert_int_equal(text.bytes[text.length], '\0');
        free(bytes);
    }
}

static void reply_text_takes_nul_and_an_unknown_text(void **state)
{
    struct reply_text text;

    (void)state;
    reply_text_normalise((struct text){"550 a\0b", 7}, &text);
    assert_string_equal(text.bytes, "a b");
    reply_text_normalise(text_of(NULL), &text);
    assert_string_equal(text.bytes, "");
    assert_int_equal(text.code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_text_has_codes_apart),
        cmocka_unit_test(reply_text_masks_addresses),
        cmocka_unit_test(reply_text_masks_hosts_and_addresses_of_hosts),
        cmocka_unit_test(reply_text_keeps_what_a_url_is_about),
        cmocka_unit_test(reply_text_masks_ids_and_numbers),
        cmocka_unit_test(reply_text_keeps_names_of_errors),
        cmocka_unit_test(reply_text_is_lower_case_with_single_blanks),
        cmocka_unit_test(reply_text_of_a_masked_text_is_that_text),
        cmocka_unit_test(reply_text_is_bounded_and_valid_whatever_comes),
        cmocka_unit_test(reply_text_takes_nul_and_an_unknown_text),
    };

    return cmocka_run_group_tests_name("reply_text", tests, NULL, NULL);
}
