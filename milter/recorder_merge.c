#include "recorder_merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDED_MAX INT64_C(1000000000000000) /* a sum stays in its room */

struct recorder_merge {
    struct merged_operation *operations;
    size_t count, size;
    size_t run;       /* where the parts in a row begin */
    uint32_t *places; /* 1 + an index of operations, by hash; 0: free */
    size_t mask;      /* of hashes, for the call in hand */
};

struct recorder_merge *recorder_merge_new(void)
{
    return calloc(1, sizeof(struct recorder_merge));
}

void recorder_merge_free(struct recorder_merge *merge)
{
    if (merge != NULL) {
        free(merge->operations);
        free(merge->places);
        free(merge);
    }
}

/* A power of two, so that at most half of them are taken. */
static size_t places_for(size_t operations)
{
    size_t places = 64;

    while (places < 2 * operations) {
        places *= 2;
    }
    return places;
}

static bool reserve(struct recorder_merge *merge, size_t size)
{
    struct merged_operation *operations;
    uint32_t *places;

    if (size <= merge->size) {
        return true;
    }
    operations = realloc(merge->operations, size * sizeof *operations);
    if (operations == NULL) {
        return false;
    }
    merge->operations = operations;
    places = realloc(merge->places, places_for(size) * sizeof *places);
    if (places == NULL) {
        return false;
    }
    merge->places = places;
    merge->size = size;
    return true;
}

/* --- what may be merged -------------------------------------------------- */

/* What it adds; 0: something else than a plain small number. */
static int64_t number_of(struct text value)
{
    int64_t number = 0;

    if (value.length == 0 || value.length > 12) {
        return 0;
    }
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9') {
            return 0;
        }
        number = number * 10 + (value.bytes[i] - '0');
    }
    return number;
}

/* Nothing of it asks, so nothing of it waits for what stands before. */
static bool asks_nothing(const struct window_part *part)
{
    for (size_t i = 0; i < part->count; i++) {
        const struct window_operation *operation = &part->operations[i];

        if (operation->conditional || (operation->operation != EFFECT_LAST &&
                                       (operation->operation != EFFECT_ADD ||
                                        number_of(operation->value) == 0))) {
            return false;
        }
    }
    return true;
}

static bool is_same(struct text a, struct text b)
{
    return a.length == b.length && (a.bytes == b.bytes || a.length == 0 ||
                                    memcmp(a.bytes, b.bytes, a.length) == 0);
}

/* As the script compares: times of one form, so by their bytes. */
static bool is_before(struct text a, struct text b)
{
    size_t length = a.length < b.length ? a.length : b.length;
    int order = length == 0 ? 0 : memcmp(a.bytes, b.bytes, length);

    return order < 0 || (order == 0 && a.length < b.length);
}

/* --- merging ------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, struct text text)
{
    while (text.length > 0) {
        size_t length = text.length < sizeof hash ? text.length : sizeof hash;
        uint64_t bytes = 0;

        memcpy(&bytes, text.bytes, length);
        hash = (hash ^ bytes) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
        text.bytes += length;
        text.length -= length;
    }
    return hash;
}

static void append(struct recorder_merge *merge,
                   const struct window_operation *operation)
{
    struct merged_operation *merged = &merge->operations[merge->count++];

    merged->operation = operation;
    merged->value = operation->value;
    merged->sum =
        operation->operation == EFFECT_ADD ? number_of(operation->value) : 0;
}

static bool is_of(const struct merged_operation *merged,
                  const struct window_operation *operation)
{
    return merged->operation->operation == operation->operation &&
           is_same(merged->operation->field, operation->field) &&
           is_same(merged->operation->key, operation->key) &&
           merged->sum < ADDED_MAX;
}

static void merge_into(struct merged_operation *merged,
                       const struct window_operation *operation)
{
    if (operation->operation == EFFECT_ADD) {
        merged->sum += number_of(operation->value);
    } else if (!is_before(operation->value, merged->value)) {
        merged->value = operation->value;
    }
}

/* With one before of this run, or behind them. */
static void add(struct recorder_merge *merge,
                const struct window_operation *operation)
{
    size_t place =
        (size_t)mix(mix((uint64_t)operation->operation, operation->key),
                    operation->field) &
        merge->mask;

    while (merge->places[place] != 0) {
        size_t index = merge->places[place] - 1;

        if (index >= merge->run &&
            is_of(&merge->operations[index], operation)) {
            merge_into(&merge->operations[index], operation);
            return;
        }
        place = (place + 1) & merge->mask;
    }
    merge->places[place] = (uint32_t)merge->count + 1;
    append(merge, operation);
}

static void add_part(struct recorder_merge *merge,
                     const struct window_part *part)
{
    const bool merges = asks_nothing(part);

    for (size_t i = 0; i < part->count; i++) {
        if (merges) {
            add(merge, &part->operations[i]);
        } else {
            append(merge, &part->operations[i]);
        }
    }
    if (!merges) {
        merge->run = merge->count;
    }
}

/* The values of sums, now that they are known. */
static void write_sums(struct recorder_merge *merge)
{
    for (size_t i = 0; i < merge->count; i++) {
        struct merged_operation *merged = &merge->operations[i];

        if (merged->sum > 0 &&
            merged->sum != number_of(merged->operation->value)) {
            (void)snprintf(merged->digits, sizeof merged->digits, "%lld",
                           (long long)merged->sum);
            merged->value = text_of(merged->digits);
        }
    }
}

bool recorder_merge_call(struct recorder_merge *merge,
                         const struct recorder_call *call)
{
    const struct window_part *part = call->first;

    if (!reserve(merge, call->operations)) {
        return false;
    }
    merge->count = 0;
    merge->run = 0;
    merge->mask = places_for(call->operations) - 1;
    memset(merge->places, 0, (merge->mask + 1) * sizeof *merge->places);
    for (size_t i = 0; i < call->parts; i++, part = part->next) {
        add_part(merge, part);
    }
    write_sums(merge);
    return true;
}

const struct merged_operation *
recorder_merge_operations(const struct recorder_merge *merge, size_t *count)
{
    *count = merge->count;
    return merge->operations;
}
