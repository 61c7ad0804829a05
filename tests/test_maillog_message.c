#include "clock.h"
#include "mailbox.h"
#include "maillog_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define US    INT64_C(1000000)
#define START (INT64_C(1790000000) * US)
#define QUEUE "3F1A2C0B7D"

static struct text of(const char *string)
{
    return text_of(string);
}

static struct event event_of(enum event_type type, int64_t at_us,
                             const char *recipient)
{
    struct event event;

    event_init(&event, type, at_us);
    event.queue_id = of(QUEUE);
    event.recipient = of(recipient);
    return event;
}

static struct event reception(int64_t at_us, const char *message_id,
                              const char *recipient)
{
    struct event event = event_of(EVENT_RECEPTION, at_us, recipient);

    event.message_id = of(message_id);
    event.sender = of("app@example.com");
    event.size = 812;
    return event;
}

static struct maillog_record record_of(enum maillog_kind kind, int64_t at_us)
{
    struct maillog_record record;

    memset(&record, 0, sizeof record);
    record.kind = kind;
    record.timestamp_us = at_us;
    record.queue_id = of(QUEUE);
    record.size = -1;
    record.recipient_count = -1;
    return record;
}

static void look(struct maillog_messages *messages, int64_t at_us,
                 const char *recipient, struct maillog_message *found)
{
    maillog_messages_find(messages, of(QUEUE), at_us, of(recipient), of(NULL),
                          found);
}

/* Of use for what is no text: those lie in what was copied. */
static struct maillog_message find(struct maillog_messages *messages,
                                   int64_t at_us, const char *recipient)
{
    struct maillog_message found;

    look(messages, at_us, recipient, &found);
    return found;
}

static int set_up(void **state)
{
    *state = maillog_messages_new();
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    maillog_messages_free(*state);
    return 0;
}

static void what_a_session_told_is_found(void **state)
{
    const struct event event = reception(START, "1@example.com", "a@b.example");
    struct maillog_message found;

    maillog_messages_learn(*state, &event);
    look(*state, START + US, "a@b.example", &found);
    assert_true(found.known);
    assert_true(found.seen);
    assert_string_equal(found.sender.bytes, "app@example.com");
    assert_string_equal(found.message_id.bytes, "1@example.com");
    assert_int_equal(found.size, 812);
    assert_int_equal(found.arrival_us, START);
    assert_int_equal(found.attempts, 0);
}

static void another_recipient_of_the_message_was_not_seen(void **state)
{
    const struct event event = reception(START, "1@example.com", "a@b.example");
    struct maillog_message found;

    maillog_messages_learn(*state, &event);
    look(*state, START + US, "c@b.example", &found);
    assert_true(found.known);
    assert_false(found.seen);
}

static void the_final_recipient_stands_in_for_the_one_sent_to(void **state)
{
    const struct event event = reception(START, "1@example.com", "a@b.example");
    struct maillog_message found;

    maillog_messages_learn(*state, &event);
    maillog_messages_find(*state, of(QUEUE), START + US, of("alias@b.example"),
                          of("a@b.example"), &found);
    assert_true(found.seen);
}

static void an_unknown_queue_id_is_unknown(void **state)
{
    struct maillog_message found;

    look(*state, START, "a@b.example", &found);
    assert_false(found.known);
    assert_false(found.seen);
    assert_int_equal(found.size, EVENT_UNKNOWN);
}

static void attempts_are_counted_from_the_first(void **state)
{
    const struct event in = reception(START, "1@example.com", "a@b.example");

    maillog_messages_learn(*state, &in);
    for (int64_t i = 1; i <= 40; i++) {
        struct event delay =
            event_of(EVENT_DELAY, START + i * 60 * US, "a@b.example");
        struct maillog_message found;

        delay.diagnostic = of("450 4.2.1 later");
        delay.enhanced_status = of("4.2.1");
        delay.reply_code = 450;
        maillog_messages_learn(*state, &delay);
        look(*state, delay.timestamp_us, "a@b.example", &found);
        assert_int_equal(found.attempts, i);
        assert_int_equal(found.first_attempt_us, START + 60 * US);
        assert_string_equal(found.last_diagnostic.bytes, "450 4.2.1 later");
        assert_int_equal(found.last_reply_code, 450);
    }
}

/* As it is read back after a restart: the event says which attempt it was. */
static void an_event_that_is_learnt_twice_is_one_attempt(void **state)
{
    struct event delay = event_of(EVENT_DELAY, START + 60 * US, "a@b.example");
    char first_at[CLOCK_TIMESTAMP_SIZE];
    struct maillog_message found;

    clock_format(START + 5 * US, first_at);
    delay.attempt = 3;
    delay.first_attempt_at = of(first_at);
    maillog_messages_learn(*state, &delay);
    maillog_messages_learn(*state, &delay);
    look(*state, START + 61 * US, "a@b.example", &found);
    assert_int_equal(found.attempts, 3);
    assert_int_equal(found.first_attempt_us, START + 5 * US);
}

static void who_waits_is_told_one_by_one(void **state)
{
    static const char *const all[] = {"a@b.example", "c@b.example",
                                      "d@b.example"};
    char recipient[MAILLOG_RECIPIENT_SIZE];
    struct maillog_message found;
    struct event done = event_of(EVENT_DELIVERY, START + 2 * US, all[1]);
    size_t at = 0;

    for (size_t i = 0; i < 3; i++) {
        const struct event in = reception(START, "1@example.com", all[i]);
        struct event delay = event_of(EVENT_DELAY, START + US, all[i]);

        delay.diagnostic = of(all[i]);
        maillog_messages_learn(*state, &in);
        maillog_messages_learn(*state, &delay);
    }
    maillog_messages_learn(*state, &done);
    assert_true(maillog_messages_waiting(*state, of(QUEUE), START + 3 * US, &at,
                                         recipient, &found));
    assert_string_equal(recipient, all[0]);
    assert_string_equal(found.last_diagnostic.bytes, all[0]);
    assert_true(found.seen);
    assert_true(maillog_messages_waiting(*state, of(QUEUE), START + 3 * US, &at,
                                         recipient, &found));
    assert_string_equal(recipient, all[2]);
    assert_false(maillog_messages_waiting(*state, of(QUEUE), START + 3 * US,
                                          &at, recipient, &found));
}

static void a_removed_id_names_another_message(void **state)
{
    const struct event in = reception(START, "1@example.com", "a@b.example");
    const struct maillog_record removed =
        record_of(MAILLOG_REMOVED, START + 5 * US);
    struct maillog_record next = record_of(MAILLOG_SUBMISSION, START + 9 * US);
    struct maillog_message found;

    next.client_ip = of("192.0.2.1");
    maillog_messages_learn(*state, &in);
    maillog_messages_note(*state, &removed);
    maillog_messages_note(*state, &next);
    look(*state, START + 10 * US, "a@b.example", &found);
    assert_true(found.known);
    assert_false(found.seen);
    assert_null(found.message_id.bytes);
    assert_string_equal(found.client_ip.bytes, "192.0.2.1");
}

/* The log lags: the id is in use again before the first's lines are read. */
static void lines_find_the_message_of_their_time(void **state)
{
    const struct event first = reception(START, "1@example.com", "a@b.example");
    const struct event second =
        reception(START + 100 * US, "2@example.com", "z@b.example");
    const struct maillog_record removed =
        record_of(MAILLOG_REMOVED, START + 60 * US);
    struct event delivery =
        event_of(EVENT_DELIVERY, START + 50 * US, "a@b.example");
    struct maillog_message found;

    maillog_messages_learn(*state, &first);
    maillog_messages_learn(*state, &second);
    look(*state, START + 50 * US, "a@b.example", &found);
    assert_true(found.seen);
    assert_string_equal(found.message_id.bytes, "1@example.com");
    maillog_messages_learn(*state, &delivery);
    maillog_messages_note(*state, &removed);
    look(*state, START + 101 * US, "z@b.example", &found);
    assert_true(found.seen);
    assert_string_equal(found.message_id.bytes, "2@example.com");
    assert_false(find(*state, START + 101 * US, "a@b.example").seen);
}

static void what_was_before_all_we_know_is_unknown(void **state)
{
    const struct event in = reception(START, "1@example.com", "a@b.example");

    maillog_messages_learn(*state, &in);
    assert_false(find(*state, START - 10 * US, "a@b.example").known);
}

/* Stamped by a clock that had not come to the next second yet. */
static void a_line_of_the_tick_before_is_of_the_message(void **state)
{
    const struct event in =
        reception(START + 500, "1@example.com", "a@b.example");

    maillog_messages_learn(*state, &in);
    assert_true(find(*state, START - US, "a@b.example").seen);
}

static void the_log_adds_but_does_not_replace(void **state)
{
    const struct event in = reception(START, "1@example.com", "a@b.example");
    struct maillog_record record = record_of(MAILLOG_MESSAGE, START + US);
    struct maillog_message found;

    record.has_sender = true;
    record.sender = of("other@example.com");
    record.size = 99;
    record.auth_user = of("app");
    maillog_messages_learn(*state, &in);
    maillog_messages_note(*state, &record);
    look(*state, START + 2 * US, "a@b.example", &found);
    assert_string_equal(found.sender.bytes, "app@example.com");
    assert_int_equal(found.size, 812);
    assert_string_equal(found.auth_user.bytes, "app");
}

static void a_notice_is_told_of_once(void **state)
{
    const struct event in = reception(START, "1@example.com", "a@b.example");

    assert_false(maillog_messages_tell(*state, of(QUEUE)));
    maillog_messages_learn(*state, &in);
    assert_true(maillog_messages_tell(*state, of(QUEUE)));
    assert_false(maillog_messages_tell(*state, of(QUEUE)));
}

static void the_table_keeps_what_was_touched_last(void **state)
{
    struct maillog_messages_state told;
    const struct event in = reception(START, "1@example.com", "a@b.example");
    char queue_id[32];

    maillog_messages_learn(*state, &in);
    for (int i = 0; i < MAILLOG_MESSAGES; i++) {
        struct event other = in;

        (void)snprintf(queue_id, sizeof queue_id, "Q%d", i);
        other.queue_id = of(queue_id);
        maillog_messages_learn(*state, &other);
    }
    maillog_messages_state(*state, &told);
    assert_int_equal(told.messages, MAILLOG_MESSAGES);
    assert_int_equal(told.replaced, 1);
    assert_false(find(*state, START + US, "a@b.example").known);
}

static void recipients_in_all_are_bounded(void **state)
{
    struct maillog_messages_state told;
    char queue_id[32];
    char recipient[64];

    for (int i = 0; i < MAILLOG_RECIPIENTS + 1000; i++) {
        struct event in;

        (void)snprintf(recipient, sizeof recipient, "r%d@b.example", i % 100);
        (void)snprintf(queue_id, sizeof queue_id, "Q%d", i / 100);
        in = reception(START, "1@example.com", recipient);
        in.queue_id = of(queue_id);
        maillog_messages_learn(*state, &in);
    }
    maillog_messages_state(*state, &told);
    assert_true(told.recipients <= MAILLOG_RECIPIENTS);
    assert_true(told.replaced > 0);
}

static void odd_ids_are_passed_over(void **state)
{
    static const char long_id[] = "0123456789012345678901234567890123456789"
                                  "0123456789012345678901234567890123456789";
    struct event in = reception(START, "1@example.com", "a@b.example");
    struct maillog_messages_state told;

    in.queue_id = of("");
    maillog_messages_learn(*state, &in);
    in.queue_id = of(NULL);
    maillog_messages_learn(*state, &in);
    in.queue_id = of(long_id);
    maillog_messages_learn(*state, &in);
    maillog_messages_state(*state, &told);
    assert_int_equal(told.messages, 0);
}

static void a_name_without_domain_is_the_one_that_a_session_named(void **state)
{
    char recipient[MAILLOG_RECIPIENT_SIZE];
    struct event in = reception(START, "1@example.com", "ann@here.example");

    assert_false(maillog_messages_complete(*state, of(QUEUE), START, of("ann"),
                                           recipient));
    maillog_messages_learn(*state, &in);
    in.recipient = of("ann@mx.example");
    in.recipient_domain = of("mx.example");
    in.original_recipient = of("Ann");
    maillog_messages_learn(*state, &in);
    in.recipient = of("anna@there.example");
    in.original_recipient = of("Anna@There.Example");
    maillog_messages_learn(*state, &in);
    assert_true(maillog_messages_complete(*state, of(QUEUE), START, of("ann"),
                                          recipient));
    assert_string_equal(recipient, "ann@mx.example");
    assert_true(maillog_messages_complete(*state, of(QUEUE), START, of("anna"),
                                          recipient));
    assert_string_equal(recipient, "anna@there.example");
    assert_true(maillog_messages_complete(*state, of("other"), START, of("bob"),
                                          recipient));
    assert_string_equal(recipient, "bob@mx.example");
}

static const struct pseudonym_key pseudonyms = {.is_known = true,
                                                .bytes = {1, 2, 3}};

/* What the log that is read back has in the place of a mailbox. */
static char *pseudonym(const char *address, char name[PSEUDONYM_SIZE])
{
    struct mailbox mailbox;

    (void)mailbox_parse(of(address), NULL, &mailbox);
    assert_true(pseudonym_of(&pseudonyms, &mailbox, name));
    return name;
}

static void who_was_read_back_as_a_pseudonym_is_the_same(void **state)
{
    char name[PSEUDONYM_SIZE], other[PSEUDONYM_SIZE];
    struct event in = reception(START, "1@example.com", "a@b.example");
    struct event failed =
        event_of(EVENT_DELAY, START + US, pseudonym("a@b.example", name));
    char recipient[MAILLOG_RECIPIENT_SIZE];
    struct maillog_message found;
    size_t at = 0;

    maillog_messages_pseudonyms(*state, &pseudonyms);
    in.recipient = of(name);
    maillog_messages_learn(*state, &in);
    maillog_messages_learn(*state, &failed);
    look(*state, START + 2 * US, "a@b.example", &found);
    assert_true(found.seen);
    assert_int_equal(found.attempts, 1);
    assert_false(find(*state, START + US, "c@b.example").seen);
    assert_true(maillog_messages_seen(*state, of(QUEUE), of("a@b.example")));
    assert_true(maillog_messages_seen(*state, of(QUEUE), of(name)));
    assert_true(maillog_messages_waiting(*state, of(QUEUE), START + 2 * US, &at,
                                         recipient, &found));
    assert_string_equal(recipient, name);
    assert_true(found.seen);

    failed = event_of(EVENT_REJECTION, START, "r@b.example");
    assert_false(maillog_messages_refused(*state, &failed));
    failed.recipient = of(pseudonym("r@b.example", other));
    maillog_messages_learn(*state, &failed);
    failed.recipient = of("r@b.example");
    assert_true(maillog_messages_refused(*state, &failed));
    failed.original_recipient = of(pseudonym("bare", other));
    failed.recipient = of(name);
    maillog_messages_learn(*state, &failed);
    failed.original_recipient = of("Bare");
    failed.recipient = of("bare@elsewhere.example");
    assert_true(maillog_messages_refused(*state, &failed));
}

static void a_bare_name_is_completed_by_what_was_read_back(void **state)
{
    char name[PSEUDONYM_SIZE], bare[PSEUDONYM_SIZE];
    struct event in =
        reception(START, "1@example.com", pseudonym("root@host.example", name));
    char recipient[MAILLOG_RECIPIENT_SIZE];

    maillog_messages_pseudonyms(*state, &pseudonyms);
    in.recipient_domain = of("host.example");
    in.original_recipient = of(pseudonym("root", bare));
    maillog_messages_learn(*state, &in);
    assert_true(maillog_messages_complete(*state, of(QUEUE), START, of("root"),
                                          recipient));
    assert_string_equal(recipient, "root@host.example");
    assert_true(maillog_messages_complete(*state, of(QUEUE), START, of("ann"),
                                          recipient));
    assert_string_equal(recipient, "ann@host.example");
}

static void a_message_is_seen_for_its_recipients_alone(void **state)
{
    const struct event in = reception(START, "1@example.com", "a@b.example");

    maillog_messages_learn(*state, &in);
    assert_true(maillog_messages_seen(*state, of(QUEUE), of("a@b.example")));
    assert_false(maillog_messages_seen(*state, of(QUEUE), of("c@b.example")));
    assert_false(maillog_messages_seen(*state, of("x"), of("a@b.example")));
}

static void each_of_very_many_recipients_is_found(void **state)
{
    char recipient[64];

    for (int i = 0; i < 50000; i++) {
        struct event in;

        (void)snprintf(recipient, sizeof recipient, "r%d@b.example", i);
        in = reception(START, "1@example.com", recipient);
        maillog_messages_learn(*state, &in);
    }
    for (int i = 0; i < 50000; i++) {
        (void)snprintf(recipient, sizeof recipient, "r%d@b.example", i);
        assert_true(find(*state, START + US, recipient).seen);
    }
    assert_false(find(*state, START + US, "r50000@b.example").seen);
}

static void what_has_left_the_queue_makes_room_first(void **state)
{
    struct maillog_messages_state told;
    struct event in = reception(START, "1@example.com", "a@b.example");
    struct maillog_record removed = record_of(MAILLOG_REMOVED, START + US);
    char queue_id[32];

    maillog_messages_learn(*state, &in); /* waits, and is the oldest */
    maillog_messages_limit(*state, (size_t)256 * 1024);
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(queue_id, sizeof queue_id, "Q%d", i);
        in.queue_id = of(queue_id);
        maillog_messages_learn(*state, &in);
        removed.queue_id = of(queue_id);
        maillog_messages_note(*state, &removed);
    }
    maillog_messages_state(*state, &told);
    assert_in_range(told.messages, 100, 2000);
    assert_int_equal(told.replaced, 0);
    assert_true(find(*state, START + US, "a@b.example").seen);
}

static void what_was_seen_is_seen_when_it_is_forwarded(void **state)
{
    static const struct {
        const char *from, *recipient, *to;
        bool seen;
    } rows[] = {
        {QUEUE, "a@b.example", "4F1A2C0B7E", true},
        {"4F1A2C0B7E", "a@b.example", "4F1A2C0B7F", true}, /* again */
        {QUEUE, "c@b.example", "4F1A2C0B80", false},
        {"9F1A2C0B7D", "a@b.example", "4F1A2C0B81", false},
        {QUEUE, "a@b.example", QUEUE, true},
        {QUEUE, "a@b.example", "", false},
    };
    struct event in = reception(START, "1@example.com", "a@b.example");
    struct maillog_message found;

    in.trace_nonce = of("00112233aabb");
    maillog_messages_learn(*state, &in);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool goes_on =
            maillog_messages_forward(*state, of(rows[i].from), START + US,
                                     of(rows[i].recipient), of(rows[i].to));

        assert_int_equal(goes_on, rows[i].seen && strcmp(rows[i].to, QUEUE));
        maillog_messages_find(*state, of(rows[i].to), START + 2 * US,
                              of("a@b.example"), of("far@c.example"), &found);
        assert_int_equal(found.seen, rows[i].seen);
        assert_int_equal(text_is(found.trace_nonce, "00112233aabb"),
                         rows[i].seen);
        assert_int_equal(text_is(found.sender, "app@example.com"),
                         rows[i].seen);
    }
}

/* Of each size that the table may have: it is full at another step of it. */
#define SIZES_MAX 3000

/* Room for who goes on may be that of the message which they came with. */
static void what_is_forwarded_into_a_full_table_has_its_texts(void **state)
{
    const struct event in = reception(START, "1@example.com", "a@b.example");
    int forwarded = 0;

    for (size_t size = 1; size < SIZES_MAX; size += 8) {
        struct maillog_messages *messages = maillog_messages_new();
        struct maillog_message found;

        assert_non_null(messages);
        maillog_messages_learn(messages, &in);
        maillog_messages_limit(messages, size);
        if (maillog_messages_forward(messages, of(QUEUE), START + US,
                                     of("a@b.example"), of("4F1A2C0B7E"))) {
            forwarded++;
            maillog_messages_find(messages, of("4F1A2C0B7E"), START + US,
                                  of("a@b.example"), of(NULL), &found);
            assert_true(found.seen);
            assert_true(text_is(found.sender, "app@example.com"));
            assert_true(text_is(found.message_id, "1@example.com"));
        }
        maillog_messages_free(messages);
    }
    assert_in_range(forwarded, 1, SIZES_MAX);
    (void)state;
}

/* Nor may it be that of a message whose id was used again, while it learns. */
static void a_late_line_finds_its_message_in_a_full_table(void **state)
{
    const struct event first = reception(START, "1@example.com", "a@b.example");
    const struct event second =
        reception(START + 3600 * US, "2@example.com", "a@b.example");
    const struct maillog_record removed =
        record_of(MAILLOG_REMOVED, START + 3700 * US);
    struct event late =
        event_of(EVENT_DELAY, START + 60 * US, "other@b.example");
    int learnt = 0;

    late.diagnostic = of("450 4.2.1 later");
    for (size_t size = 1; size < SIZES_MAX; size += 8) {
        struct maillog_messages *messages = maillog_messages_new();
        struct maillog_message found;

        assert_non_null(messages);
        maillog_messages_learn(messages, &first);
        maillog_messages_learn(messages, &second);
        maillog_messages_note(messages, &removed);
        maillog_messages_limit(messages, size);
        maillog_messages_find(messages, of(QUEUE), START + US,
                              of("a@b.example"), of(NULL), &found);
        if (found.known) {
            learnt++;
            maillog_messages_learn(messages, &late);
            maillog_messages_find(messages, of(QUEUE), START + 60 * US,
                                  of("other@b.example"), of(NULL), &found);
            assert_int_equal(found.attempts, 1);
        }
        maillog_messages_free(messages);
    }
    assert_in_range(learnt, 1, SIZES_MAX);
    (void)state;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_session_told_is_found),
        TEST(another_recipient_of_the_message_was_not_seen),
        TEST(the_final_recipient_stands_in_for_the_one_sent_to),
        TEST(an_unknown_queue_id_is_unknown),
        TEST(attempts_are_counted_from_the_first),
        TEST(an_event_that_is_learnt_twice_is_one_attempt),
        TEST(who_waits_is_told_one_by_one),
        TEST(a_removed_id_names_another_message),
        TEST(lines_find_the_message_of_their_time),
        TEST(what_was_before_all_we_know_is_unknown),
        TEST(a_line_of_the_tick_before_is_of_the_message),
        TEST(the_log_adds_but_does_not_replace),
        TEST(a_notice_is_told_of_once),
        TEST(the_table_keeps_what_was_touched_last),
        TEST(recipients_in_all_are_bounded),
        TEST(odd_ids_are_passed_over),
        TEST(a_name_without_domain_is_the_one_that_a_session_named),
        TEST(who_was_read_back_as_a_pseudonym_is_the_same),
        TEST(a_bare_name_is_completed_by_what_was_read_back),
        TEST(a_message_is_seen_for_its_recipients_alone),
        TEST(each_of_very_many_recipients_is_found),
        TEST(what_has_left_the_queue_makes_room_first),
        TEST(what_was_seen_is_seen_when_it_is_forwarded),
        cmocka_unit_test(what_is_forwarded_into_a_full_table_has_its_texts),
        cmocka_unit_test(a_late_line_finds_its_message_in_a_full_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
