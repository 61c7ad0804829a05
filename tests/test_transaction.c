#include "transaction.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void transaction_bare_path_takes_the_brackets_off(void **state)
{
    static const struct {
        const char *path;
        const char *bare;
    } rows[] = {
        {"<a@b>", "a@b"},
        {"<>", ""},
        {"", ""},
        {"a@b", "a@b"},
        {" <a@b> ", "a@b"},
        {"<a@b> SIZE=7", "a@b"},
        {"<\"a>b\"@c> X", "\"a>b\"@c"},
        {"<\"a\\\">b\"@c>", "\"a\\\">b\"@c"},
        {"<a@b", "a@b"},
        {"<Ann <a@b>> SIZE=7", "Ann <a@b>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text bare = transaction_bare_path(text_of(rows[i].path));

        assert_int_equal(bare.length, strlen(rows[i].bare));
        assert_memory_equal(bare.bytes, rows[i].bare, bare.length);
    }
}

static void transaction_begin_numbers_and_forgets(void **state)
{
    struct transaction transaction = {.open = false};
    struct mailbox mailbox = {.address = "ann@example.org"};

    (void)state;
    assert_true(transaction_begin(&transaction, "s", text_of("<a@b>")));
    assert_string_equal(transaction.id, "s-1");
    assert_false(transaction.null_sender);
    transaction_set_queue_id(&transaction, "ABC123");
    transaction_header(&transaction, "Message-ID", " <1@x>");
    assert_true(
        transaction_add(&transaction, &mailbox, text_of("<Ann@x>"), NULL));
    assert_true(transaction_begin(&transaction, "s", text_of("<>")));
    assert_string_equal(transaction.id, "s-2");
    assert_true(transaction.null_sender);
    assert_int_equal(transaction.recipient_count, 0);
    assert_string_equal(transaction.queue_id, "");
    assert_int_equal(transaction.message_id_length, 0);
    transaction_end(&transaction);
}

static void
transaction_queue_id_keeps_the_last_that_looks_like_one(void **state)
{
    struct transaction transaction = {.open = false};
    char longest[TRANSACTION_QUEUE_ID_MAX + 2];

    (void)state;
    transaction_set_queue_id(&transaction, "ABC123");
    transaction_set_queue_id(&transaction, NULL);
    transaction_set_queue_id(&transaction, "");
    transaction_set_queue_id(&transaction, "AB C");
    memset(longest, 'A', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    transaction_set_queue_id(&transaction, longest);
    assert_string_equal(transaction.queue_id, "ABC123");
}

static void transaction_parameters_are_read_and_bounded(void **state)
{
    struct transaction transaction = {.declared_size = EVENT_UNKNOWN};

    (void)state;
    transaction_parameter(&transaction, "SIZE=-1");
    transaction_parameter(&transaction, "SIZE=");
    transaction_parameter(&transaction, "SIZE=99999999999999999999");
    transaction_parameter(&transaction, "SIZE=1x");
    assert_int_equal(transaction.declared_size, EVENT_UNKNOWN);
    transaction_parameter(&transaction, "size=1234");
    assert_int_equal(transaction.declared_size, 1234);
    transaction_parameter(&transaction, "ENVID=a+3Db");
    assert_int_equal(transaction.envelope_id_length, 3);
    assert_string_equal(transaction.envelope_id, "a=b");
}

static void transaction_the_first_message_id_stays(void **state)
{
    struct transaction transaction = {.open = true};

    (void)state;
    transaction_header(&transaction, "Subject", "<no@id>");
    transaction_header(&transaction, "MESSAGE-id", "\r\n\t<first@x>\r\n");
    transaction_header(&transaction, "Message-ID", "<second@x>");
    assert_string_equal(transaction.message_id, "first@x");
}

static void transaction_the_own_message_id_of_the_mta_comes_last(void **state)
{
    struct transaction transaction = {.open = false};

    (void)state;
    assert_true(transaction_begin(&transaction, "s", text_of("<a@b>")));
    transaction_set_message_id(&transaction, NULL);
    assert_int_equal(transaction.message_id_length, 0);
    transaction_set_message_id(&transaction, "<mta@x>");
    assert_string_equal(transaction.message_id, "mta@x");
    transaction_end(&transaction);
    assert_true(transaction_begin(&transaction, "s", text_of("<a@b>")));
    transaction_header(&transaction, "Message-ID", "<client@x>");
    transaction_set_message_id(&transaction, "<mta@x>");
    assert_string_equal(transaction.message_id, "client@x");
    transaction_end(&transaction);
}

static void transaction_counts_what_it_does_not_keep(void **state)
{
    struct transaction transaction = {.open = false};
    struct transaction_suppressed suppressed = {.latency_us = 0};
    struct mailbox mailbox = {.address = "ann@example.org"};

    (void)state;
    assert_true(transaction_begin(&transaction, "s", text_of("<a@b>")));
    for (int i = 0; i < TRANSACTION_RECIPIENTS; i++) {
        assert_true(
            transaction_add(&transaction, &mailbox, text_of("<x>"), NULL));
    }
    assert_false(transaction_add(&transaction, &mailbox, text_of("<x>"), NULL));
    assert_int_equal(transaction.accepted_unkept, 1);
    assert_true(
        transaction_add(&transaction, &mailbox, text_of("<x>"), &suppressed));
    assert_int_equal(transaction.suppressed_unkept, 0);
    transaction_end(&transaction);
}

static void transaction_original_recipient_is_absent_when_equal(void **state)
{
    struct transaction transaction = {.open = false};
    struct mailbox mailbox = {.address = "ann@example.org",
                              .domain = "example.org"};
    struct event event;

    (void)state;
    assert_true(transaction_begin(&transaction, "s", text_of("<a@b>")));
    assert_true(transaction_add(&transaction, &mailbox,
                                text_of("<ann@example.org>"), NULL));
    assert_true(transaction_add(&transaction, &mailbox,
                                text_of("<Ann@example.org>"), NULL));
    assert_true(transaction_add(&transaction, NULL, text_of("<@@>"), NULL));
    event_init(&event, EVENT_RECEPTION, 0);
    transaction_describe_recipient(&transaction.recipients[0], &event);
    assert_null(event.original_recipient.bytes);
    transaction_describe_recipient(&transaction.recipients[1], &event);
    assert_true(text_is(event.original_recipient, "Ann@example.org"));
    event_init(&event, EVENT_RECEPTION, 0);
    transaction_describe_recipient(&transaction.recipients[2], &event);
    assert_null(event.recipient.bytes);
    assert_true(text_is(event.original_recipient, "@@"));
    transaction_end(&transaction);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transaction_bare_path_takes_the_brackets_off),
        cmocka_unit_test(transaction_begin_numbers_and_forgets),
        cmocka_unit_test(
            transaction_queue_id_keeps_the_last_that_looks_like_one),
        cmocka_unit_test(transaction_parameters_are_read_and_bounded),
        cmocka_unit_test(transaction_the_first_message_id_stays),
        cmocka_unit_test(transaction_the_own_message_id_of_the_mta_comes_last),
        cmocka_unit_test(transaction_counts_what_it_does_not_keep),
        cmocka_unit_test(transaction_original_recipient_is_absent_when_equal),
    };

    return cmocka_run_group_tests_name("transaction", tests, NULL, NULL);
}
