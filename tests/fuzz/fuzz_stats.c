/*
 * A field of the statistics and its value, with a tab between, line by line:
 * an operator may have written any. What is taken is a row of the table, and
 * no count gets lost or grows beyond.
 */
#include "stats.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

static void add_line(struct stats *stats, struct text line, int64_t *lines)
{
    const char *tab =
        line.length == 0 ? NULL : memchr(line.bytes, '\t', line.length);
    struct text field = line;
    struct text value = {NULL, 0};

    if (tab != NULL) {
        field.length = (size_t)(tab - line.bytes);
        value = (struct text){tab + 1, line.length - field.length - 1};
    }
    stats_add(stats, (size_t)*lines % 3, field, value);
    ++*lines;
}

static void check(const struct stats *stats, int64_t lines)
{
    require(stats_skipped(stats) + (int64_t)stats_rows(stats) <= lines);
    require(stats_rows(stats) <= STATS_ROWS_MAX);
    for (size_t i = 0; i < stats_rows(stats); i++) {
        const struct stats_row *row = stats_row(stats, i);
        int64_t sum = 0;

        require(row->reason_length <= STATS_REASON_MAX);
        for (size_t hour = 0; hour < 2; hour++) {
            require(row->counts[hour] >= 0);
            stats_sum(&sum, row->counts[hour]);
        }
        require(row->total == sum && sum <= STATS_COUNT_MAX);
    }
    require(stats_finals(stats) <= STATS_COUNT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stats *stats = stats_new((struct stats_span){0, 2});
    const char *at = (const char *)data;
    const char *end = at + size;
    int64_t lines = 0;

    require(stats != NULL);
    while (size > 0 && at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline == NULL ? end : newline;

        add_line(stats, (struct text){at, (size_t)(stop - at)}, &lines);
        at = stop + 1;
    }
    check(stats, lines);
    stats_free(stats);
    return 0;
}
