#include "report_memory.h"
#include "report_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void report_text_finds_addresses_in_running_text(void **state)
{
    static const struct {
        const char *text, *found;
    } rows[] = {
        {"write to ann@example.org.", "ann@example.org"},
        {"<ann@example.org>: 550", "ann@example.org"},
        {"<RFC822;ann@example.org>", "ann@example.org"},
        {"'ann@example.org', \"bob@example.org\"",
         "ann@example.org bob@example.org"},
        {"\"ann b\"@example.org", "\"ann b\"@example.org"},
        {"to ann@[192.0.2.1]", "ann@[192.0.2.1]"},
        {"mailto:ann@example.org?subject=x", "ann@example.org"},
        {"ann=example.org@lists.example.net",
         "ann=example.org@lists.example.net"},
        {"c=de;a= ;dda:SMTP=ann@example.org; on", "ann@example.org"},
        {"T=[ann@example.org] F=[b@c.example]", "ann@example.org b@c.example"},
        {"<\303\244nn@example.org>", "\303\244nn@example.org"},
        {"\345\256\233\345\205\210ann@example.org\346\247\230",
         "ann@example.org"},
        {"<=?utf-8?B?w6Q=?=@example.org>", "=?utf-8?B?w6Q=?=@example.org"},
        {"|/home/ann/bin@example.org/x", ""},
        {"/var/mail/ann@example.org", ""},
        {"ann@localhost @example.org ann@ @ a@.b", ""},
        {"ann@example..org-", "ann@example..org"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct report_address found;
        char list[256] = "";
        size_t from = 0;

        while (report_text_address(text_of(rows[i].text), &from, &found)) {
            size_t used = strlen(list);

            (void)snprintf(list + used, sizeof list - used, "%s%.*s",
                           used > 0 ? " " : "", (int)found.address.length,
                           found.address.bytes);
        }
        assert_string_equal(list, rows[i].found);
    }
}

static void report_text_reads_a_mailbox_in_a_field(void **state)
{
    static const struct {
        const char *value, *mailbox; /* NULL: none */
    } rows[] = {
        {"rfc822; ann@example.org", "ann@example.org"},
        {"RFC822;<ann@example.org>", "ann@example.org"},
        {"ann@example.org (comment)", "ann@example.org"},
        {"Ann <ann@example.org>", "ann@example.org"},
        {"<ann@example.org.>", "ann@example.org"},
        {"\"a;b c\"@example.org", "\"a;b c\"@example.org"},
        {"rfc822; ann@localhost", "ann@localhost"},
        {"utf-8; \\x{E4}nn@example.org", "\303\244nn@example.org"},
        {"utf-8; \\x{1F408}@example.org", "\360\237\220\210@example.org"},
        {"utf-8; \\x{D800}@example.org", "\\x{D800}@example.org"},
        {"x400; /RFC-822=ann(a)example.org/P=x/C=de/", "ann@example.org"},
        {"rfc822; ann", NULL},
        {"rfc822;/var/mail/ann", NULL},
        {"", NULL},
        {"@", NULL},
        {"<>", NULL},
        {"rfc822;", NULL},
    };
    struct report_memory *memory = report_memory_new(1 << 16);

    (void)state;
    assert_non_null(memory);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text mailbox =
            report_text_mailbox(memory, text_of(rows[i].value));

        if (rows[i].mailbox == NULL) {
            assert_null(mailbox.bytes);
        } else {
            assert_true(text_is(mailbox, rows[i].mailbox));
        }
    }
    report_memory_free(memory);
}

static void report_text_tells_replies_from_numbers(void **state)
{
    static const struct {
        const char *text;
        size_t at;
    } rows[] = {
        {"550 no", 0},
        {"said: 550-5.1.1 no", 6},
        {"(550)", 1},
        {"reason: 421", 8},
        {"450 bytes", REPORT_TEXT_NOWHERE},
        {"500 messages were sent", REPORT_TEXT_NOWHERE},
        {"id 5501", REPORT_TEXT_NOWHERE},
        {"192.0.2.550", REPORT_TEXT_NOWHERE},
        {"580 x 499 y", REPORT_TEXT_NOWHERE},
        {"a550 b", REPORT_TEXT_NOWHERE},
        {"", REPORT_TEXT_NOWHERE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(report_text_reply(text_of(rows[i].text)), rows[i].at);
    }
}

static void report_text_tells_a_status_from_an_address(void **state)
{
    static const struct {
        const char *text, *status;
    } rows[] = {
        {"5.1.1", "5.1.1"},
        {"550-5.7.26 x", "5.7.26"},
        {"no (#4.4.1)", "4.4.1"},
        {"5.1.1 (bad)", "5.1.1"},
        {"host 5.1.1.2", ""},
        {"version 5.1.1a", ""},
        {"15.1.1", ""},
        {"5.1.1234", ""},
        {"3.1.1", ""},
        {"5.1.", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text status = report_text_status(text_of(rows[i].text));

        assert_int_equal(status.length, strlen(rows[i].status));
        assert_memory_equal(status.length == 0 ? "" : status.bytes,
                            rows[i].status, status.length);
    }
}

static void report_text_takes_fields_with_their_folds(void **state)
{
    struct text rest = text_of("A: one\n two\nno field\nB : x\n\nC:\n \nD");
    struct report_field field;

    (void)state;
    assert_true(report_text_field(&rest, &field));
    assert_true(text_is(field.name, "A"));
    assert_true(text_is(field.value, "one\n two"));
    assert_true(report_text_field(&rest, &field));
    assert_int_equal(field.name.length, 0);
    assert_true(text_is(field.value, "no field"));
    assert_true(report_text_field(&rest, &field));
    assert_true(text_is(field.name, "B"));
    assert_true(text_is(field.value, "x"));
    assert_true(report_text_field(&rest, &field));
    assert_int_equal(field.name.length, 0);
    assert_true(report_text_field(&rest, &field));
    assert_true(text_is(field.name, "C"));
    assert_true(report_text_field(&rest, &field)); /* a blank line */
    assert_true(report_text_field(&rest, &field));
    assert_true(text_is(field.value, "D"));
    assert_false(report_text_field(&rest, &field));
}

static void report_memory_is_bounded_and_remembers_its_end(void **state)
{
    struct report_memory *memory = report_memory_new(20000);
    struct text text;

    (void)state;
    assert_non_null(memory);
    assert_non_null(report_memory_take(memory, 8000));
    assert_non_null(report_memory_take(memory, 8000));
    assert_false(report_memory_failed(memory));
    assert_null(report_memory_take(memory, 8000));
    assert_true(report_memory_failed(memory));
    assert_null(report_memory_take(memory, (size_t)-1));
    assert_true(report_memory_size(memory) <= 20000);
    report_memory_reset(memory);
    assert_false(report_memory_failed(memory));
    text = report_memory_text(memory, text_of("a \r\n\t b\rc  d\n"), 100);
    assert_true(text_is(text, "a b c  d"));
    text = report_memory_text(memory, text_of("x\303\244\303\266"), 4);
    assert_true(text_is(text, "x\303\244"));
    report_memory_free(memory);
    report_memory_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_text_finds_addresses_in_running_text),
        cmocka_unit_test(report_text_reads_a_mailbox_in_a_field),
        cmocka_unit_test(report_text_tells_replies_from_numbers),
        cmocka_unit_test(report_text_tells_a_status_from_an_address),
        cmocka_unit_test(report_text_takes_fields_with_their_folds),
        cmocka_unit_test(report_memory_is_bounded_and_remembers_its_end),
    };

    return cmocka_run_group_tests_name("report_text", tests, NULL, NULL);
}
