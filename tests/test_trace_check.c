#include "trace.h"
#include "trace_marks.h"

#include <nettle/memops.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * In place of nettle's: counts how often seals and tags are compared, and how
 * many bytes of them.
 */
static size_t comparisons;
static size_t bytes_compared;

int nettle_memeql_sec(const void *one, const void *other, size_t size)
{
    const unsigned char *left = one;
    const unsigned char *right = other;
    unsigned differ = 0;

    comparisons++;
    bytes_compared += size;
    for (size_t i = 0; i < size; i++) {
        differ |= (unsigned)(left[i] ^ right[i]);
    }
    return differ == 0;
}

/* --- what each part proves ----------------------------------------------- */

static void trace_check_gives_each_report_its_class(void **state)
{
    const struct trace_mark one = mark_one(*state, ANN);
    const struct trace_mark three = mark_many(*state, 3);
    const struct trace_mark other = mark_many(*state, 3);
    const struct trace_mark fifty = mark_many(*state, 50);
    const struct trace_mark many = mark_many(*state, 51);
    const struct {
        const char *name;
        struct trace_report report;
        enum trace_class class;
        const char *recipient;
    } rows[] = {
        {"nothing", {NULL, NULL, ANN, ANN}, TRACE_NONE, ""},
        {"one: header", {one.header, NULL, NULL, ANN}, TRACE_VALID, ANN},
        {"one: envelope id",
         {NULL, one.envelope_id, NULL, ANN},
         TRACE_VALID,
         ANN},
        {"one: both",
         {one.header, one.envelope_id, NULL, ANN},
         TRACE_VALID,
         ANN},
        {"one: forwarded, the original recipient is known",
         {one.header, NULL, ANN, EVE},
         TRACE_VALID,
         ANN},
        {"one: envelope id, forwarded, the original recipient is known",
         {NULL, one.envelope_id, ANN, EVE},
         TRACE_VALID,
         ANN},
        {"one: forwarded, recovered",
         {one.header, NULL, NULL, EVE},
         TRACE_SHARED,
         ANN},
        {"one: forwarded, recovered, with envelope id",
         {one.header, one.envelope_id, EVE, EVE},
         TRACE_SHARED,
         ANN},
        {"one: redacted", {one.header, NULL, NULL, NULL}, TRACE_SHARED, ANN},
        {"one: envelope id, another recipient",
         {NULL, one.envelope_id, EVE, EVE},
         TRACE_NONE,
         ""},
        {"one: envelope id, no recipient",
         {NULL, one.envelope_id, NULL, NULL},
         TRACE_NONE,
         ""},
        {"three: header", {three.header, NULL, NULL, BOB}, TRACE_SHARED, BOB},
        {"three: header and envelope id",
         {three.header, three.envelope_id, NULL, BOB},
         TRACE_SHARED,
         BOB},
        {"three: header, envelope id of another message",
         {three.header, other.envelope_id, NULL, BOB},
         TRACE_SHARED,
         BOB},
        {"three: header, envelope id of another of one recipient",
         {three.header, one.envelope_id, NULL, BOB},
         TRACE_SHARED,
         BOB},
        {"three: tag of none that is named",
         {three.header, NULL, EVE, EVE},
         TRACE_NONE,
         ""},
        {"three: header, no recipient",
         {three.header, NULL, NULL, NULL},
         TRACE_CORRELATED,
         ""},
        {"three: envelope id",
         {NULL, three.envelope_id, NULL, BOB},
         TRACE_CORRELATED,
         ""},
        {"three: envelope id, no recipient",
         {NULL, three.envelope_id, NULL, NULL},
         TRACE_CORRELATED,
         ""},
        {"three: envelope id, another recipient",
         {three.header, three.envelope_id, NULL, EVE},
         TRACE_CORRELATED,
         ""},
        {"fifty: header and envelope id",
         {fifty.header, fifty.envelope_id, NULL, "r49@example.org"},
         TRACE_SHARED,
         "r49@example.org"},
        {"fifty: no tag",
         {fifty.header, NULL, NULL, "r50@example.org"},
         TRACE_NONE,
         ""},
        {"many: header", {many.header, NULL, NULL, BOB}, TRACE_CORRELATED, ""},
        {"many: envelope id",
         {NULL, many.envelope_id, NULL, BOB},
         TRACE_CORRELATED,
         ""},
        {"many: both",
         {many.header, many.envelope_id, NULL, BOB},
         TRACE_CORRELATED,
         ""},
        {"the envelope id in place of the header",
         {one.envelope_id, NULL, NULL, ANN},
         TRACE_NONE,
         ""},
        {"the header in place of the envelope id",
         {NULL, one.header, NULL, ANN},
         TRACE_NONE,
         ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct trace_result result;

        if (report_check(*state, &rows[i].report, &result) != rows[i].class ||
            strcmp(result.recipient, rows[i].recipient) != 0) {
            fail_msg("%s: %s <%s>", rows[i].name,
                     trace_class_name(result.class), result.recipient);
        }
        if (result.class != TRACE_NONE) {
            assert_int_equal(result.day, marks_now() / DAY);
        }
        assert_int_equal(result.recovered,
                         rows[i].class == TRACE_SHARED &&
                             rows[i].report.header == one.header);
    }
}

static void trace_check_has_no_mark_without_keys(void **state)
{
    const struct trace_mark one = mark_one(*state, ANN);
    const struct trace_report report = {one.header, one.envelope_id, ANN, ANN};
    struct trace_keys *none = marks_keys("# no keys\n\n");

    assert_int_equal(report_class(NULL, &report), TRACE_NONE);
    assert_int_equal(report_class(none, &report), TRACE_NONE);
    trace_keys_free(none);
}

/* --- what happens to headers --------------------------------------------- */

static void trace_check_finds_the_true_one_of_four_headers(void **state)
{
    const struct trace_mark true_one = mark_one(*state, ANN);
    struct trace_keys *others =
        marks_keys("7 " OTHER_SECRET " 2026-11-01T00:00:00Z\n");
    const struct trace_mark forged = mark_one(others, ANN);
    const struct text recipient = text_of(ANN);

    for (size_t place = 0; place < 6; place++) {
        struct text headers[6];
        const struct trace_evidence evidence = {
            .headers = headers,
            .header_count = 6,
            .recipients = &recipient,
            .recipient_count = 1,
        };
        struct trace_result result;

        for (size_t i = 0; i < 6; i++) {
            headers[i] = text_of(i == place   ? true_one.header
                                 : i % 2 == 0 ? forged.header
                                              : "1 AAAA");
        }
        assert_int_equal(trace_check(*state, &evidence, marks_now(), &result),
                         place < TRACE_HEADERS_TRIED ? TRACE_VALID
                                                     : TRACE_NONE);
    }
    trace_keys_free(others);
}

static void trace_check_keeps_the_best_of_several(void **state)
{
    const struct trace_mark many = mark_many(*state, 51);
    const struct trace_mark three = mark_many(*state, 3);
    const struct trace_mark eve = mark_one(*state, EVE);
    const struct trace_mark bob = mark_one(*state, BOB);
    const struct text headers[] = {text_of(many.header), text_of(eve.header),
                                   text_of(three.header), text_of(bob.header)};
    const struct text recipient = text_of(BOB);
    static const enum trace_class classes[] = {
        TRACE_NONE, TRACE_CORRELATED, TRACE_SHARED, TRACE_SHARED, TRACE_VALID};

    for (size_t count = 0; count <= 4; count++) {
        const struct trace_evidence evidence = {
            headers, count, {NULL, 0}, &recipient, 1};
        struct trace_result result;

        assert_int_equal(trace_check(*state, &evidence, marks_now(), &result),
                         classes[count]);
        assert_string_equal(result.recipient, count < 2    ? ""
                                              : count == 4 ? BOB
                                                           : EVE);
        assert_int_equal(result.recovered, count == 2 || count == 3);
    }
}

/* After every character of what a gateway may have folded anew. */
static void trace_check_passes_over_blanks(void **state)
{
    static const char *const blanks[] = {" ", "\t", "\r\n ", "\n\t",
                                         "\r\n\t  "};
    struct trace_sample samples[MARKS_SAMPLES];
    const size_t count = marks_samples(*state, samples);

    for (size_t i = 0; i < count; i++) {
        const char *header = samples[i].mark.header;

        for (size_t kind = 0; kind < sizeof blanks / sizeof blanks[0]; kind++) {
            char value[8 * TRACE_HEADER_SIZE] = " ";
            struct trace_report report = {value, NULL, NULL,
                                          samples[i].recipient};
            size_t used = 1;

            for (size_t at = 0; header[at] != '\0'; at++) {
                value[used++] = header[at];
                if (at % 60 == 0 || strlen(header) < 100) {
                    memcpy(value + used, blanks[kind],
                           strlen(blanks[kind]) + 1);
                    used += strlen(blanks[kind]);
                }
            }
            value[used] = '\0';
            assert_int_not_equal(report_class(*state, &report), TRACE_NONE);
        }
    }
}

static void trace_check_takes_a_header_that_was_unfolded(void **state)
{
    struct trace_mark mark = mark_many(*state, 50);
    struct trace_report report = {mark.header, mark.envelope_id, NULL, ANN};

    for (char *at = mark.header; (at = strchr(at, '\n')) != NULL;) {
        memmove(at, at + 1, strlen(at));
    }
    assert_null(strchr(mark.header, '\n'));
    assert_int_equal(report_class(*state, &report), TRACE_SHARED);
}

/* --- recipients ---------------------------------------------------------- */

static void check_round_trip(struct trace_keys *keys, struct text recipient)
{
    struct trace_draft draft;
    struct trace_mark mark;
    struct trace_result result;
    struct text header;
    struct trace_evidence evidence = {.headers = &header, .header_count = 1};

    assert_true(trace_draft_begin(&draft, keys, marks_now()));
    trace_draft_add(&draft, recipient);
    assert_true(trace_draft_end(&draft, &mark));
    header = text_of(mark.header);
    assert_int_equal(trace_check(keys, &evidence, marks_now(), &result),
                     TRACE_SHARED);
    assert_true(result.recovered);
    assert_int_equal(result.recipient_length, recipient.length);
    assert_memory_equal(result.recipient, recipient.bytes, recipient.length);
    evidence.recipients = &recipient;
    evidence.recipient_count = 1;
    assert_int_equal(trace_check(keys, &evidence, marks_now(), &result),
                     TRACE_VALID);
    assert_false(result.recovered);
    evidence.header_count = 0;
    evidence.envelope_id = text_of(mark.envelope_id);
    assert_int_equal(trace_check(keys, &evidence, marks_now(), &result),
                     TRACE_VALID);
    assert_int_equal(result.recipient_length, recipient.length);
    assert_memory_equal(result.recipient, recipient.bytes, recipient.length);
}

static void trace_recovers_recipients_of_1_to_320_bytes(void **state)
{
    static const char letters[] =
        "j\xc3\xbcrgen\xf0\x9f\x93\xae@ex\xe4\xbe\x8b";
    char bytes[MAILBOX_MAX];

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = letters[i % (sizeof letters - 1)];
    }
    for (size_t length = 1; length <= sizeof bytes; length++) {
        check_round_trip(*state, (struct text){bytes, length});
    }
}

static void trace_check_takes_only_what_can_be_a_recipient(void **state)
{
    const struct trace_mark one = mark_one(*state, ANN);
    char long_one[MAILBOX_MAX + 1];
    struct text recipients[6];
    struct text header = text_of(one.header);
    const struct trace_evidence evidence = {
        &header, 1, {NULL, 0}, recipients, 6};
    struct trace_result result;

    memset(long_one, 'a', sizeof long_one);
    for (size_t i = 0; i < 6; i++) {
        recipients[i] = text_of(EVE);
    }
    /* of those that can be one, four are tried */
    recipients[0] = (struct text){long_one, sizeof long_one};
    recipients[1] = (struct text){"", 0};
    recipients[5] = text_of(ANN);
    assert_int_equal(trace_check(*state, &evidence, marks_now(), &result),
                     TRACE_VALID);
    recipients[1] = text_of(EVE);
    assert_int_equal(trace_check(*state, &evidence, marks_now(), &result),
                     TRACE_SHARED);
}

/* --- replays ------------------------------------------------------------- */

static void replay_key_of(struct trace_keys *keys,
                          const struct trace_report *report,
                          char key[TRACE_REPLAY_KEY_SIZE])
{
    struct trace_result result;

    assert_int_not_equal(report_check(keys, report, &result), TRACE_NONE);
    memcpy(key, result.replay_key, TRACE_REPLAY_KEY_SIZE);
}

static void trace_replay_key_is_one_for_message_and_recipient(void **state)
{
    const struct trace_mark one = mark_one(*state, ANN);
    const struct trace_mark again = mark_one(*state, ANN);
    const struct trace_mark three = mark_many(*state, 3);
    const struct trace_report same[][3] = {
        {{one.header, NULL, NULL, ANN},
         {NULL, one.envelope_id, ANN, EVE},
         {one.header, NULL, EVE, NULL}},
        {{three.header, NULL, NULL, ANN},
         {three.header, three.envelope_id, ANN, EVE},
         {NULL, three.envelope_id, ANN, EVE}},
    };
    const struct trace_report others[] = {
        {one.header, NULL, NULL, ANN},
        {again.header, NULL, NULL, ANN},
        {three.header, NULL, NULL, ANN},
        {three.header, NULL, NULL, BOB},
        {NULL, three.envelope_id, NULL, EVE},
        {NULL, three.envelope_id, NULL, NULL},
    };
    const size_t count = sizeof others / sizeof others[0];
    char keys[6][TRACE_REPLAY_KEY_SIZE];

    for (size_t row = 0; row < 2; row++) {
        for (size_t i = 0; i < 3; i++) {
            replay_key_of(*state, &same[row][i], keys[i]);
            assert_string_equal(keys[i], keys[0]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        replay_key_of(*state, &others[i], keys[i]);
        for (size_t before = 0; before < i; before++) {
            assert_string_not_equal(keys[i], keys[before]);
        }
    }
}

/* --- time ---------------------------------------------------------------- */

/* How much is compared for this recipient. */
static size_t work_of(struct trace_keys *keys,
                      const struct trace_report *report)
{
    comparisons = 0;
    bytes_compared = 0;
    (void)report_class(keys, report);
    assert_true(comparisons > 0);
    return bytes_compared;
}

/* As much for the first tag as for the last and for none. */
static void trace_check_compares_all_tags_whichever_is_right(void **state)
{
    const struct trace_mark mark = mark_many(*state, 50);
    struct trace_report report = {mark.header, mark.envelope_id, NULL, EVE};
    const size_t work = work_of(*state, &report);

    assert_true(work >= 50 * TRACE_TAG_SIZE);
    for (size_t i = 3; i < 50; i++) {
        char recipient[64];

        (void)snprintf(recipient, sizeof recipient, "r%zu@example.org", i);
        report.final = recipient;
        assert_int_equal(work_of(*state, &report), work);
    }
}

/* Whole seals, wherever they begin to differ. */
static void trace_check_compares_whole_seals(void **state)
{
    const struct trace_mark one = mark_one(*state, ANN);
    unsigned char mark[TRACE_ENVELOPE_MARK];
    size_t work = 0;

    assert_true(trace_form_read_envelope_id(text_of(one.envelope_id), mark));
    for (size_t at = TRACE_HEAD_SIZE; at < sizeof mark; at++) {
        char text[TRACE_ENVELOPE_ID_SIZE];
        const struct trace_report report = {NULL, text, NULL, ANN};

        mark[at] ^= 0x55;
        trace_form_envelope_id(mark, text);
        mark[at] ^= 0x55;
        if (work == 0) {
            work = work_of(*state, &report);
        }
        assert_int_equal(work_of(*state, &report), work);
        assert_int_equal(work % TRACE_SEAL_SIZE, 0);
    }
}

#define TEST_WITH_MARKS(name)                                                  \
    cmocka_unit_test_setup_teardown(name, marks_open, marks_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WITH_MARKS(trace_check_gives_each_report_its_class),
        TEST_WITH_MARKS(trace_check_has_no_mark_without_keys),
        TEST_WITH_MARKS(trace_check_finds_the_true_one_of_four_headers),
        TEST_WITH_MARKS(trace_check_keeps_the_best_of_several),
        TEST_WITH_MARKS(trace_check_passes_over_blanks),
        TEST_WITH_MARKS(trace_check_takes_a_header_that_was_unfolded),
        TEST_WITH_MARKS(trace_recovers_recipients_of_1_to_320_bytes),
        TEST_WITH_MARKS(trace_check_takes_only_what_can_be_a_recipient),
        TEST_WITH_MARKS(trace_replay_key_is_one_for_message_and_recipient),
        TEST_WITH_MARKS(trace_check_compares_all_tags_whichever_is_right),
        TEST_WITH_MARKS(trace_check_compares_whole_seals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
