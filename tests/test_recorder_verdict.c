#include "recorder_verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NONE CHECKPOINT_ABSENT
#define BAD  CHECKPOINT_DAMAGED

/* Buckets 0, 1, 2 as told; all others are at 10, in Redis and for us. */
static const struct verdict_row {
    const char *name;
    bool known;
    int64_t applied[3], found[3];
    unsigned forwards, rollbacks, adoptions, damaged;
    int64_t rolled_from, rolled_to;
    int64_t become[3];
} rows[] = {
    {"what we know", true, {5, 6, 7}, {5, 6, 7}, 0, 0, 0, 0, 0, 0, {5, 6, 7}},
    {"a lost answer", true, {5, 6, 7}, {5, 9, 7}, 1, 0, 0, 0, 0, 0, {5, 9, 7}},
    {"forgotten writes",
     true,
     {5, 6, 9},
     {5, 4, 7},
     0,
     2,
     0,
     0,
     5,
     9,
     {5, 4, 7}},
    {"forgotten from the beginning",
     true,
     {5, 6, 7},
     {5, 0, 7},
     0,
     1,
     0,
     0,
     1,
     6,
     {5, 0, 7}},
    {"removed, and we know it",
     true,
     {5, 6, 7},
     {5, NONE, 7},
     0,
     0,
     1,
     0,
     0,
     0,
     {5, 6, 7}},
    {"removed before anything was applied",
     true,
     {5, 0, 7},
     {5, NONE, 7},
     0,
     0,
     1,
     0,
     0,
     0,
     {5, 0, 7}},
    {"removed, and nobody knows it",
     false,
     {0, 0, 0},
     {5, NONE, 7},
     0,
     0,
     1,
     0,
     0,
     0,
     {5, 10, 7}},
    {"without knowledge all is news",
     false,
     {0, 0, 0},
     {5, 0, 7},
     0,
     0,
     0,
     0,
     0,
     0,
     {5, 0, 7}},
    {"damaged", true, {5, 6, 7}, {5, BAD, NONE}, 0, 0, 0, 1, 0, 0, {0, 0, 0}},
};

static void fill(int64_t values[STORE_BUCKETS], const int64_t first[3],
                 int64_t others)
{
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        values[i] = i < 3 ? first[i] : others;
    }
}

static void each_row_of_checkpoints_means_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct verdict_row *row = &rows[i];
        int64_t applied[STORE_BUCKETS], found[STORE_BUCKETS];
        struct recorder_verdict verdict;

        print_message("%s\n", row->name);
        fill(applied, row->applied, row->known ? 10 : 0);
        fill(found, row->found, 10);
        recorder_verdict_reach(&verdict, row->known, applied, found);
        assert_false(verdict.absent);
        assert_int_equal(verdict.forwards, row->forwards);
        assert_int_equal(verdict.rollbacks, row->rollbacks);
        assert_int_equal(verdict.adoptions, row->adoptions);
        assert_int_equal(verdict.damaged, row->damaged);
        assert_int_equal(verdict.rolled_from, row->rolled_from);
        assert_int_equal(verdict.rolled_to, row->rolled_to);
        for (unsigned bucket = 0; bucket < 3; bucket++) {
            assert_int_equal(verdict.applied[bucket], row->become[bucket]);
        }
        if (row->adoptions > 0) {
            assert_int_equal(verdict.adopted[0], NONE);
            assert_int_equal(verdict.adopted[1], row->become[1]);
        }
    }
}

static void no_checkpoint_at_all_is_an_empty_store(void **state)
{
    static const int64_t none[3] = {NONE, NONE, NONE};
    static const int64_t zeros[3] = {0, 0, 0};
    int64_t applied[STORE_BUCKETS], found[STORE_BUCKETS];
    struct recorder_verdict verdict;

    (void)state;
    fill(found, none, NONE);
    fill(applied, zeros, 0);
    recorder_verdict_reach(&verdict, false, applied, found);
    assert_true(verdict.absent);
    assert_false(verdict.emptied);
    recorder_verdict_reach(&verdict, true, applied, found);
    assert_true(verdict.absent);
    assert_false(verdict.emptied);
    applied[63] = 1;
    recorder_verdict_reach(&verdict, true, applied, found);
    assert_true(verdict.absent);
    assert_true(verdict.emptied);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_checkpoints_means_what_it_says),
        cmocka_unit_test(no_checkpoint_at_all_is_an_empty_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
