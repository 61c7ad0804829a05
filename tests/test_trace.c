#include "clock.h"
#include "trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COLUMNS 76

static const char key_lines[] =
    "7 3c0dc1b7a9e24a60a3a1a3b08fa4f4c1f0b1e2d3c4b5a69788796a5b4c3d2e1f "
    "2026-11-01T00:00:00Z\n";

static int64_t time_of(const char *text)
{
    int64_t us = 0;

    assert_true(clock_parse(text, strlen(text), &us));
    return us;
}

static int64_t now(void)
{
    return time_of("2026-11-02T12:00:00Z");
}

static int open_keys(void **state)
{
    struct error error = {""};

    *state = trace_keys_of(text_of(key_lines), &error);
    return *state == NULL ? -1 : 0;
}

static int close_keys(void **state)
{
    trace_keys_free(*state);
    return 0;
}

/* Of so many recipients: r0@example.org, r1@example.org, ... */
static struct trace_mark mark_many(struct trace_keys *keys, size_t count)
{
    struct trace_draft draft;
    struct trace_mark mark;

    assert_true(trace_draft_begin(&draft, keys, now()));
    for (size_t i = 0; i < count; i++) {
        char recipient[64];

        (void)snprintf(recipient, sizeof recipient, "r%zu@example.org", i);
        trace_draft_add(&draft, text_of(recipient));
    }
    assert_true(trace_draft_end(&draft, &mark));
    return mark;
}

static struct trace_mark mark_these(struct trace_keys *keys,
                                    const struct text *recipients, size_t count)
{
    struct trace_draft draft;
    struct trace_mark mark;

    assert_true(trace_draft_begin(&draft, keys, now()));
    for (size_t i = 0; i < count; i++) {
        trace_draft_add(&draft, recipients[i]);
    }
    assert_true(trace_draft_end(&draft, &mark));
    return mark;
}

static size_t length_of(const struct trace_mark *mark)
{
    unsigned char bytes[TRACE_MARK_MAX];
    size_t length = 0;

    assert_true(trace_form_read_header(text_of(mark->header), bytes, &length));
    return length;
}

static void trace_mark_has_the_size_of_its_form(void **state)
{
    static const struct {
        size_t recipients;
        size_t tags;
    } rows[] = {
        {2, 4},   {3, 4},   {4, 4},   {5, 8},   {8, 8},   {9, 16},
        {16, 16}, {17, 32}, {32, 32}, {33, 50}, {49, 50}, {50, 50},
        {51, 0},  {52, 0},  {100, 0}, {999, 0},
    };

    assert_int_equal(strlen(mark_many(*state, 50).envelope_id), 34);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct trace_mark mark = mark_many(*state, rows[i].recipients);

        assert_int_equal(length_of(&mark), 9 + 10 + 8 * rows[i].tags);
    }
}

static void trace_mark_of_one_recipient_is_short(void **state)
{
    /* 22 bytes: 55 characters behind "1 " */
    const struct text recipient = text_of("ann.example@example.ne");
    const struct trace_mark mark = mark_these(*state, &recipient, 1);

    assert_int_equal(recipient.length, 22);
    assert_int_equal(strlen(mark.header), 2 + 55);
    assert_int_equal(strlen(mark.envelope_id), 34);
    assert_memory_equal(mark.envelope_id, "T1.", 3);
}

static void check_lines(const char *value)
{
    size_t column = strlen(TRACE_HEADER ": ");

    assert_memory_equal(value, "1 ", 2);
    for (size_t i = 0; value[i] != '\0'; i++) {
        if (value[i] == '\n') {
            assert_int_equal(value[i + 1], ' ');
            assert_true(value[i + 2] > ' ');
            column = 0;
            continue;
        }
        assert_true(++column <= COLUMNS);
        assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq"
                               "rstuvwxyz0123456789-_ ",
                               value[i]));
    }
}

static void trace_header_has_at_most_76_columns(void **state)
{
    char bytes[MAILBOX_MAX];

    memset(bytes, 'x', sizeof bytes);
    for (size_t length = 1; length <= sizeof bytes; length++) {
        const struct text recipient = {bytes, length};
        const struct trace_mark mark = mark_these(*state, &recipient, 1);

        check_lines(mark.header);
    }
    for (size_t count = 2; count <= 51; count++) {
        const struct trace_mark mark = mark_many(*state, count);

        check_lines(mark.header);
        assert_null(strpbrk(mark.envelope_id + 3, "+= .\n"));
    }
}

static void trace_mark_names_nobody(void **state)
{
    static const struct text recipients[] = {{"ann@example.org", 15},
                                             {"bob@example.org", 15}};

    for (size_t count = 1; count <= 2; count++) {
        const struct trace_mark mark = mark_these(*state, recipients, count);
        unsigned char bytes[TRACE_MARK_MAX];
        size_t length;

        assert_true(
            trace_form_read_header(text_of(mark.header), bytes, &length));
        assert_null(memmem(bytes, length, "ann", 3));
        assert_null(memmem(bytes, length, "example", 7));
        assert_null(strstr(mark.header, "example"));
    }
}

static void check_sorted(const struct trace_mark *mark)
{
    unsigned char bytes[TRACE_MARK_MAX];
    size_t length;

    assert_true(trace_form_read_header(text_of(mark->header), bytes, &length));
    for (size_t at = 19; at + 2 * TRACE_TAG_SIZE <= length;
         at += TRACE_TAG_SIZE) {
        assert_true(memcmp(bytes + at, bytes + at + TRACE_TAG_SIZE,
                           TRACE_TAG_SIZE) < 0);
    }
}

/* Neither by length nor by order: each place may be the random one. */
static void trace_marks_of_3_and_4_recipients_look_alike(void **state)
{
    size_t random_at[4] = {0};

    for (size_t round = 0; round < 400; round++) {
        const struct trace_mark three = mark_many(*state, 3);
        const struct trace_mark four = mark_many(*state, 4);
        unsigned char bytes[TRACE_MARK_MAX];
        unsigned seen = 0;
        size_t length;

        assert_int_equal(strlen(three.header), strlen(four.header));
        check_sorted(&three);
        check_sorted(&four);
        assert_true(
            trace_form_read_header(text_of(three.header), bytes, &length));
        for (size_t i = 0; i < 3; i++) {
            struct trace_key key;
            struct trace_head head;
            unsigned char tag[TRACE_TAG_SIZE];
            char recipient[64];

            (void)snprintf(recipient, sizeof recipient, "r%zu@example.org", i);
            assert_true(trace_keys_find(*state, 7, now(), &key));
            assert_true(trace_head_read(&head, bytes));
            trace_seal_tag(&key, &head, text_of(recipient), tag);
            for (unsigned place = 0; place < 4; place++) {
                if (memcmp(bytes + 19 + place * TRACE_TAG_SIZE, tag,
                           TRACE_TAG_SIZE) == 0) {
                    seen |= 1U << place;
                }
            }
        }
        for (unsigned place = 0; place < 4; place++) {
            random_at[place] += (seen & 1U << place) == 0;
        }
    }
    /* 100 each on average; 40 is seven deviations below */
    for (size_t place = 0; place < 4; place++) {
        assert_in_range(random_at[place], 40, 160);
    }
    assert_int_equal(random_at[0] + random_at[1] + random_at[2] + random_at[3],
                     400);
}

static void trace_mark_counts_a_repeated_recipient_once(void **state)
{
    struct text same[60];
    struct text two[60];

    for (size_t i = 0; i < 60; i++) {
        same[i] = text_of("ann@example.org");
        two[i] = text_of(i % 2 == 0 ? "ann@example.org" : "bob@example.org");
    }
    for (size_t count = 1; count <= 60; count++) {
        const struct trace_mark mark = mark_these(*state, same, count);

        assert_int_equal(length_of(&mark), 19 + 15);
    }
    for (size_t count = 2; count <= 60; count++) {
        const struct trace_mark mark = mark_these(*state, two, count);

        assert_int_equal(length_of(&mark), 19 + 4 * 8);
    }
}

/* As many padded places as if they had normal forms. */
static void trace_mark_counts_recipients_without_a_normal_form(void **state)
{
    char long_one[MAILBOX_MAX + 1];
    struct text recipients[60];
    static const struct {
        size_t unnamed, named, length;
    } rows[] = {
        {1, 0, 19 + 32}, {1, 1, 19 + 32}, {1, 2, 19 + 32}, {2, 1, 19 + 32},
        {49, 1, 419},    {50, 0, 419},    {50, 1, 19},     {51, 0, 19},
    };

    memset(long_one, 'x', sizeof long_one);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        const size_t count = rows[row].unnamed + rows[row].named;
        struct trace_mark mark;

        for (size_t i = 0; i < rows[row].unnamed; i++) {
            recipients[i] = i % 2 == 0
                                ? (struct text){"", 0}
                                : (struct text){long_one, sizeof long_one};
        }
        for (size_t i = rows[row].unnamed; i < count; i++) {
            recipients[i] = text_of(i % 2 == 0 ? "a@x.example" : "b@x.example");
        }
        mark = mark_these(*state, recipients, count);
        assert_int_equal(length_of(&mark), rows[row].length);
        /* in the other order too */
        for (size_t i = 0; i < count / 2; i++) {
            const struct text kept = recipients[i];

            recipients[i] = recipients[count - 1 - i];
            recipients[count - 1 - i] = kept;
        }
        mark = mark_these(*state, recipients, count);
        assert_int_equal(length_of(&mark), rows[row].length);
    }
}

static void trace_mark_of_unknown_recipients_has_no_tags(void **state)
{
    struct trace_draft draft;
    struct trace_mark mark;

    assert_true(trace_draft_begin(&draft, *state, now()));
    trace_draft_add(&draft, text_of("ann@example.org"));
    trace_draft_add_unknown(&draft);
    trace_draft_add(&draft, text_of("bob@example.org"));
    assert_true(trace_draft_end(&draft, &mark));
    assert_int_equal(length_of(&mark), 19);
}

static void trace_mark_takes_a_recipient_and_a_key_that_signs(void **state)
{
    struct trace_draft draft;
    struct trace_mark mark;

    assert_true(trace_draft_begin(&draft, *state, now()));
    assert_false(trace_draft_end(&draft, &mark));
    assert_false(trace_draft_begin(&draft, NULL, now()));
    assert_false(trace_draft_begin(&draft, *state, -1));
    /* days have 16 bits */
    assert_false(
        trace_draft_begin(&draft, *state, time_of("2149-06-07T00:00:00Z")));
    /* too old to sign; not yet made */
    assert_false(
        trace_draft_begin(&draft, *state, time_of("2026-12-16T00:00:01Z")));
    assert_false(
        trace_draft_begin(&draft, *state, time_of("2026-10-31T23:59:59Z")));
}

static void trace_draft_keeps_no_key_when_it_ends(void **state)
{
    static const struct trace_draft empty;
    struct trace_draft draft;
    struct trace_mark mark;

    for (size_t count = 0; count <= 2; count++) {
        memset(&draft, 0, sizeof draft);
        assert_true(trace_draft_begin(&draft, *state, now()));
        for (size_t i = 0; i < count; i++) {
            trace_draft_add(&draft,
                            text_of(i == 0 ? "a@b.example" : "c@b.example"));
        }
        assert_int_equal(trace_draft_end(&draft, &mark), count > 0);
        assert_memory_equal(&draft, &empty, sizeof draft);
    }
}

static void trace_marks_of_two_messages_have_nothing_in_common(void **state)
{
    const struct text recipient = text_of("ann@example.org");
    const struct trace_mark one = mark_these(*state, &recipient, 1);
    const struct trace_mark other = mark_these(*state, &recipient, 1);

    /* but the head, whose 3 bytes are 4 characters */
    assert_memory_equal(one.header, other.header, 2 + 4);
    assert_memory_not_equal(one.header + 6, other.header + 6, 8);
    assert_string_not_equal(one.header + 14, other.header + 14);
    assert_string_not_equal(one.envelope_id + 8, other.envelope_id + 8);
}

static void trace_header_name_is_known_in_any_case(void **state)
{
    (void)state;
    assert_true(trace_is_header(text_of("Nixie-Trace")));
    assert_true(trace_is_header(text_of("nixie-trace")));
    assert_true(trace_is_header(text_of("NIXIE-TRACE")));
    assert_false(trace_is_header(text_of("Nixie-Traces")));
    assert_false(trace_is_header(text_of("X-Nixie-Trace")));
    assert_false(trace_is_header(text_of("Nixie-Trac")));
    assert_false(trace_is_header((struct text){NULL, 0}));
}

/* --- the text of a mark --------------------------------------------------- */

/* RFC 4648 10 has base32 of "foobar"; the rest is worked out by hand. */
static void trace_form_writes_what_the_rfc_has(void **state)
{
    static const unsigned char zero[TRACE_ENVELOPE_MARK];
    static const unsigned char ones[] = {0xff, 0xff, 0xff, 0xff};
    unsigned char foobar[TRACE_ENVELOPE_MARK] = "foobar";
    char id[TRACE_ENVELOPE_ID_SIZE];
    char value[TRACE_HEADER_SIZE];

    (void)state;
    trace_form_envelope_id(foobar, id);
    assert_string_equal(id, "T1.MZXW6YTBOIAAAAAAAAAAAAAAAAAAAAA");
    trace_form_envelope_id(zero, id);
    assert_string_equal(id, "T1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    trace_form_header(foobar, 6, value);
    assert_string_equal(value, "1 Zm9vYmFy");
    trace_form_header(foobar, 5, value);
    assert_string_equal(value, "1 Zm9vYmE");
    trace_form_header(ones, 4, value);
    assert_string_equal(value, "1 _____w");
    trace_form_header(ones, 0, value);
    assert_string_equal(value, "1 ");
}

static void trace_form_reads_what_it_wrote(void **state)
{
    unsigned char mark[TRACE_MARK_MAX];
    unsigned char again[TRACE_MARK_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof mark; i++) {
        mark[i] = (unsigned char)(i * 73 + i / 7);
    }
    for (size_t length = 0; length <= sizeof mark; length++) {
        char value[TRACE_HEADER_SIZE];
        size_t read = 999;

        trace_form_header(mark, length, value);
        assert_true(strlen(value) < sizeof value);
        check_lines(value);
        assert_true(trace_form_read_header(text_of(value), again, &read));
        assert_int_equal(read, length);
        assert_memory_equal(again, mark, length);
    }
}

static void trace_form_refuses_what_is_none(void **state)
{
    static const struct {
        const char *name;
        const char *value;
    } rows[] = {
        {"empty", ""},
        {"only the version", "1"},
        {"another version", "2 Zm9vYmFy"},
        {"no blank", "1Zm9vYmFy"},
        {"padding", "1 Zm9vYmE="},
        {"bits left over that are set", "1 Zm9vYmF"},
        {"a symbol that says nothing", "1 Zm9vYmFyA"},
        {"base64 of another kind", "1 Zm9v+mFy"},
        {"a comment", "1 Zm9v(a)YmFy"},
        {"a vertical tab", "1 Zm9v\vYmFy"},
        {"a quote", "\"1 Zm9vYmFy\""},
    };
    unsigned char mark[TRACE_MARK_MAX];
    char long_value[TRACE_TEXT_MAX + 3];
    size_t length;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (trace_form_read_header(text_of(rows[i].value), mark, &length)) {
            fail_msg("%s was taken", rows[i].name);
        }
    }
    assert_false(trace_form_read_header((struct text){NULL, 0}, mark, &length));
    assert_false(
        trace_form_read_header((struct text){"1 Zm9v\0", 7}, mark, &length));
    memset(long_value, 'A', sizeof long_value);
    memcpy(long_value, "1 ", 2);
    /* 420 bytes: one more than a mark can have */
    assert_false(trace_form_read_header((struct text){long_value, 2 + 560},
                                        mark, &length));
    memset(long_value + 2, ' ', sizeof long_value - 2);
    assert_true(trace_form_read_header(
        (struct text){long_value, TRACE_TEXT_MAX}, mark, &length));
    assert_false(trace_form_read_header(
        (struct text){long_value, TRACE_TEXT_MAX + 1}, mark, &length));
}

static void trace_form_refuses_an_envelope_id_that_is_none(void **state)
{
    static const char *const rows[] = {
        "",
        "T1.",
        "T1.MZXW6YTBOIAAAAAAAAAAAAAAAAAAAA",
        "T1.MZXW6YTBOIAAAAAAAAAAAAAAAAAAAAAA",
        "T1.MZXW6YTBOIAAAAAAAAAAAAAAAAAAAAAAA",
        "T1.MZXW6YTBOIAAAAAAAAAAAAAAAAAAAAB",
        "t1.MZXW6YTBOIAAAAAAAAAAAAAAAAAAAAA",
        "T1.mZXW6YTBOIAAAAAAAAAAAAAAAAAAAAA",
        "T2.MZXW6YTBOIAAAAAAAAAAAAAAAAAAAAA",
        "T1-MZXW6YTBOIAAAAAAAAAAAAAAAAAAAAA",
        "T1.MZXW6YTBOIAAAAAAAAAAAAAAAAAAAA1",
        "T1.MZXW6YTBOIAAAAAAAAAAAAAAAAAAAAA=",
    };
    unsigned char mark[TRACE_ENVELOPE_MARK];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (trace_form_read_envelope_id(text_of(rows[i]), mark)) {
            fail_msg("%s was taken", rows[i]);
        }
    }
    assert_false(trace_form_read_envelope_id((struct text){NULL, 0}, mark));
    assert_true(trace_form_read_envelope_id(
        text_of(" T1.MZXW6YTBOIAAAA\r\n\tAAAAAAAAAAAAAAAAA\n"), mark));
    assert_memory_equal(mark, "foobar", 6);
}

#define TEST_WITH_KEYS(name)                                                   \
    cmocka_unit_test_setup_teardown(name, open_keys, close_keys)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WITH_KEYS(trace_mark_has_the_size_of_its_form),
        TEST_WITH_KEYS(trace_mark_of_one_recipient_is_short),
        TEST_WITH_KEYS(trace_header_has_at_most_76_columns),
        TEST_WITH_KEYS(trace_mark_names_nobody),
        TEST_WITH_KEYS(trace_marks_of_3_and_4_recipients_look_alike),
        TEST_WITH_KEYS(trace_mark_counts_a_repeated_recipient_once),
        TEST_WITH_KEYS(trace_mark_counts_recipients_without_a_normal_form),
        TEST_WITH_KEYS(trace_mark_of_unknown_recipients_has_no_tags),
        TEST_WITH_KEYS(trace_mark_takes_a_recipient_and_a_key_that_signs),
        TEST_WITH_KEYS(trace_draft_keeps_no_key_when_it_ends),
        TEST_WITH_KEYS(trace_marks_of_two_messages_have_nothing_in_common),
        cmocka_unit_test(trace_header_name_is_known_in_any_case),
        cmocka_unit_test(trace_form_writes_what_the_rfc_has),
        cmocka_unit_test(trace_form_reads_what_it_wrote),
        cmocka_unit_test(trace_form_refuses_what_is_none),
        cmocka_unit_test(trace_form_refuses_an_envelope_id_that_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
