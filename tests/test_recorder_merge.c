#include "recorder_merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EFFECTS_MAX 12

struct row {
    int64_t seq; /* 0: the end */
    enum effect_operation operation;
    const char *key, *field, *value;
    bool conditional;
};

static const struct case_row {
    const char *name;
    struct row given[EFFECTS_MAX];
    struct row left[EFFECTS_MAX];
} cases[] = {
    {"counts of one field are added up, where the first stood",
     {{1, EFFECT_ADD, "domain", "n", "1", false},
      {1, EFFECT_ADD, "stats", "n", "1", false},
      {2, EFFECT_ADD, "domain", "n", "1", false},
      {2, EFFECT_ADD, "stats", "n", "40", false},
      {3, EFFECT_ADD, "domain", "other", "1", false}},
     {{1, EFFECT_ADD, "domain", "n", "2", false},
      {1, EFFECT_ADD, "stats", "n", "41", false},
      {1, EFFECT_ADD, "domain", "other", "1", false}}},
    {"of times the latest is left, in whatever order",
     {{1, EFFECT_LAST, "domain", "at", "2026-11-22T05:00:00Z", false},
      {2, EFFECT_LAST, "domain", "at", "2026-11-22T07:00:00Z", false},
      {3, EFFECT_LAST, "domain", "at", "2026-11-22T06:00:00Z", false}},
     {{1, EFFECT_LAST, "domain", "at", "2026-11-22T07:00:00Z", false}}},
    {"nothing passes a part that asks",
     {{1, EFFECT_ADD, "domain", "n", "1", false},
      {2, EFFECT_REACHES, "domain", "n", "2", false},
      {2, EFFECT_SET, "domain", "down", "1", true},
      {3, EFFECT_ADD, "domain", "n", "1", false},
      {4, EFFECT_ADD, "domain", "n", "1", false}},
     {{1, EFFECT_ADD, "domain", "n", "1", false},
      {1, EFFECT_REACHES, "domain", "n", "2", false},
      {1, EFFECT_SET, "domain", "down", "1", true},
      {1, EFFECT_ADD, "domain", "n", "2", false}}},
    {"what stands behind a test of its part stays",
     {{1, EFFECT_ONCE, "seen", "1", "99", false},
      {1, EFFECT_ADD, "stats", "n", "1", false},
      {2, EFFECT_ONCE, "seen", "1", "99", false},
      {2, EFFECT_ADD, "stats", "n", "1", false}},
     {{1, EFFECT_ONCE, "seen", "1", "99", false},
      {1, EFFECT_ADD, "stats", "n", "1", false},
      {1, EFFECT_ONCE, "seen", "1", "99", false},
      {1, EFFECT_ADD, "stats", "n", "1", false}}},
    {"a number that is none of ours is left to Redis",
     {{1, EFFECT_ADD, "stats", "n", "-1", false},
      {2, EFFECT_ADD, "stats", "n", "1e3", false},
      {3, EFFECT_ADD, "stats", "n", "1234567890123", false}},
     {{1, EFFECT_ADD, "stats", "n", "-1", false},
      {1, EFFECT_ADD, "stats", "n", "1e3", false},
      {1, EFFECT_ADD, "stats", "n", "1234567890123", false}}},
};

static void give(struct recorder_window *window, const struct row *rows)
{
    static struct effect effects[EFFECTS_MAX];

    while (rows->seq != 0) {
        int64_t seq = rows->seq;
        size_t count = 0;

        for (; rows->seq == seq; rows++) {
            struct effect *effect = &effects[count++];

            memset(effect, 0, sizeof *effect);
            effect->operation = rows->operation;
            effect->conditional = rows->conditional;
            effect->key.length = text_copy(text_of(rows->key), effect->key.text,
                                           sizeof effect->key.text);
            effect->field = text_of(rows->field);
            effect->value = text_of(rows->value);
        }
        assert_true(recorder_window_add(window, seq, effects, count));
    }
}

static void assert_left(const struct recorder_merge *merge,
                        const struct row *rows)
{
    size_t count;
    const struct merged_operation *operations =
        recorder_merge_operations(merge, &count);

    for (size_t i = 0; i < count; i++, rows++) {
        assert_int_equal(operations[i].operation->operation, rows->operation);
        assert_int_equal(operations[i].operation->conditional,
                         rows->conditional);
        assert_true(text_is(operations[i].operation->key, rows->key));
        assert_true(text_is(operations[i].operation->field, rows->field));
        assert_true(text_is(operations[i].value, rows->value));
        assert_int_not_equal(rows->seq, 0);
    }
    assert_int_equal(rows->seq, 0);
}

static void merge_leaves_what_the_rows_say(void **state)
{
    struct recorder_merge *merge = recorder_merge_new();
    struct recorder_window *window = recorder_window_new();
    struct recorder_call call;

    (void)state;
    assert_non_null(merge);
    assert_non_null(window);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].name);
        recorder_window_clear(window);
        give(window, cases[i].given);
        assert_true(recorder_window_call(window, 0, 0, 100, 100000, &call));
        assert_true(recorder_merge_call(merge, &call));
        assert_left(merge, cases[i].left);
        assert_true(recorder_merge_call(merge, &call)); /* and once more */
        assert_left(merge, cases[i].left);
    }
    recorder_window_free(window);
    recorder_merge_free(merge);
}

static void merge_of_a_whole_window_counts_each_event(void **state)
{
    struct recorder_merge *merge = recorder_merge_new();
    struct recorder_window *window = recorder_window_new();
    struct recorder_call call;
    const struct merged_operation *operations;
    int64_t total = 0;
    size_t count;

    (void)state;
    for (int64_t seq = 1; seq <= WINDOW_EVENTS; seq++) {
        char name[16];
        struct row rows[] = {{seq, EFFECT_ADD, "stats", name, "1", false},
                             {0, EFFECT_ADD, "", "", "", false}};

        (void)snprintf(name, sizeof name, "n%lld", (long long)(seq % 700));
        give(window, rows);
    }
    assert_true(
        recorder_window_call(window, 0, 0, WINDOW_EVENTS, SIZE_MAX / 2, &call));
    assert_true(recorder_merge_call(merge, &call));
    operations = recorder_merge_operations(merge, &count);
    assert_int_equal(count, 700);
    for (size_t i = 0; i < count; i++) {
        total += operations[i].sum;
    }
    assert_int_equal(total, WINDOW_EVENTS);
    recorder_window_free(window);
    recorder_merge_free(merge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merge_leaves_what_the_rows_say),
        cmocka_unit_test(merge_of_a_whole_window_counts_each_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
