#include "command_stats.h"
#include "command_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_HOUR  INT64_C(3600000000)
#define NAME_WIDTH   28
#define NUMBER_WIDTH 11

/* The columns of a table by hour, and their order by reason. */
static const struct column {
    enum event_type type;
    const char *title;
    const char *narrow;
} columns[] = {
    {EVENT_DELIVERY, "delivered", "deliv."},
    {EVENT_DELAY, "delayed", "delay"},
    {EVENT_BOUNCE, "bounced", "bounce"},
    {EVENT_EXPIRATION, "expired", "expire"},
    {EVENT_OUT_OF_BAND, "out-of-band", "o.o.b."},
    {EVENT_FEEDBACK, "complaints", "compl."},
    {EVENT_SUPPRESSED, "suppressed", "suppr."},
    {EVENT_REJECTION, "rejected", "reject"},
};
#define COLUMNS (sizeof columns / sizeof columns[0])

/* Of each type of failure its reasons are told. */
static bool is_failure(enum event_type type)
{
    return type == EVENT_DELAY || type == EVENT_BOUNCE ||
           type == EVENT_EXPIRATION || type == EVENT_OUT_OF_BAND ||
           type == EVENT_FEEDBACK || type == EVENT_SUPPRESSED ||
           type == EVENT_WOULD_SUPPRESS || type == EVENT_REJECTION;
}

/* What happens on the way is told for each hundred that are at an end. */
static bool has_share(enum event_type type)
{
    return stats_is_final(type) || type == EVENT_DELAY ||
           type == EVENT_OUT_OF_BAND || type == EVENT_FEEDBACK;
}

static void put_name(struct text name, size_t width)
{
    command_put(name);
    for (size_t i = name.length; i < width; i++) {
        (void)fputc(' ', stdout);
    }
}

static void put_number(int64_t number)
{
    (void)printf(" %*lld", NUMBER_WIDTH, (long long)number);
}

static void put_percent(int64_t part, int64_t whole)
{
    if (whole > 0) {
        (void)printf(" %*.1f %%", NUMBER_WIDTH - 2,
                     100.0 * (double)part / (double)whole);
    } else {
        (void)printf(" %*s", NUMBER_WIDTH, "-");
    }
}

/* --- by type ------------------------------------------------------------ */

static void show_types(const struct stats *stats)
{
    int64_t finals = stats_finals(stats);

    (void)printf("%-*s %*s %*s\n", NAME_WIDTH, "type", NUMBER_WIDTH, "count",
                 NUMBER_WIDTH, "of outcomes");
    for (int i = 0; i < EVENT_TYPES; i++) {
        enum event_type type = (enum event_type)i;
        int64_t total = stats_total(stats, type);

        if (total == 0) {
            continue;
        }
        put_name(text_of(event_type_name(type)), NAME_WIDTH);
        put_number(total);
        if (has_share(type)) {
            put_percent(total, finals);
        }
        (void)fputc('\n', stdout);
    }
    put_name(text_of("outcomes"), NAME_WIDTH);
    put_number(finals);
    (void)puts("\n\nOutcomes are delivery, bounce, expiration and suppressed: "
               "mail that is at\nan end.");
}

static void json_types(const struct stats *stats)
{
    int64_t finals = stats_finals(stats);

    for (int i = 0; i < EVENT_TYPES; i++) {
        enum event_type type = (enum event_type)i;
        int64_t total = stats_total(stats, type);
        json_t *row;

        if (total == 0) {
            continue;
        }
        row = json_object();
        command_json_set(row, "type", text_of(event_type_name(type)));
        (void)json_object_set_new(row, "count", json_integer(total));
        if (has_share(type) && finals > 0) {
            (void)json_object_set_new(
                row, "percent",
                json_real(100.0 * (double)total / (double)finals));
        }
        command_json_print(row);
    }
}

/* --- by hour ------------------------------------------------------------ */

static void fit_hours(const struct stats *stats,
                      struct command_column fitted[COLUMNS],
                      struct command_table *table)
{
    *table = (struct command_table){17, fitted, COLUMNS, false};
    for (size_t i = 0; i < COLUMNS; i++) {
        fitted[i] = (struct command_column){
            .title = columns[i].title,
            .narrow = columns[i].narrow,
            .is_percent = has_share(columns[i].type),
        };
        command_table_add(table, i, stats_total(stats, columns[i].type));
    }
    command_table_fit(table, command_table_width());
}

static void show_sums(const struct stats *stats,
                      const struct command_table *table)
{
    command_table_name(table, text_of("total"));
    for (size_t i = 0; i < COLUMNS; i++) {
        command_table_number(table, i, stats_total(stats, columns[i].type));
    }
    (void)fputc('\n', stdout);
    command_table_name(table, text_of("of outcomes"));
    for (size_t i = 0; i < COLUMNS; i++) {
        if (has_share(columns[i].type)) {
            command_table_percent(table, i, stats_total(stats, columns[i].type),
                                  stats_finals(stats));
        } else {
            command_table_blank(table, i);
        }
    }
    (void)fputc('\n', stdout);
}

static void show_hours(const struct stats *stats)
{
    struct stats_span span = stats_span(stats);
    struct command_column fitted[COLUMNS];
    struct command_table table;

    fit_hours(stats, fitted, &table);
    command_table_titles(&table, "hour (UTC)");
    for (size_t hour = 0; hour < span.hours; hour++) {
        char text[STATS_HOUR_SIZE];

        stats_hour_text(span.first + (int64_t)hour, text);
        (void)printf("%.10s %.5sZ", text, text + 11);
        for (size_t i = 0; i < COLUMNS; i++) {
            command_table_number(&table, i,
                                 stats_in_hour(stats, columns[i].type, hour));
        }
        (void)fputc('\n', stdout);
    }
    show_sums(stats, &table);
    command_table_end(&table);
}

static void json_hours(const struct stats *stats)
{
    struct stats_span span = stats_span(stats);

    for (size_t hour = 0; hour < span.hours; hour++) {
        json_t *row = json_object();
        char text[STATS_HOUR_SIZE];

        stats_hour_text(span.first + (int64_t)hour, text);
        command_json_set(row, "hour", text_of(text));
        for (int type = 0; type < EVENT_TYPES; type++) {
            int64_t count = stats_in_hour(stats, (enum event_type)type, hour);

            if (count > 0) {
                (void)json_object_set_new(
                    row, event_type_name((enum event_type)type),
                    json_integer(count));
            }
        }
        command_json_print(row);
    }
}

/* --- by reason ---------------------------------------------------------- */

/* A reason with its counts in all the types that have it. */
struct reason_row {
    struct text reason;
    int64_t total;
    int64_t counts[EVENT_TYPES];
};

static int compare_reasons(const void *one, const void *other)
{
    const struct reason_row *left = one;
    const struct reason_row *right = other;

    if (left->total != right->total) {
        return left->total < right->total ? 1 : -1;
    }
    return memcmp(left->reason.bytes, right->reason.bytes,
                  left->reason.length < right->reason.length
                      ? left->reason.length
                      : right->reason.length);
}

static struct reason_row *find_reason(struct reason_row *rows, size_t *count,
                                      const struct stats_row *row)
{
    struct reason_row *found;

    for (size_t i = 0; i < *count; i++) {
        if (rows[i].reason.length == row->reason_length &&
            memcmp(rows[i].reason.bytes, row->reason, row->reason_length) ==
                0) {
            return &rows[i];
        }
    }
    found = &rows[(*count)++];
    *found = (struct reason_row){
        .reason = {row->reason, row->reason_length},
    };
    return found;
}

/* Into rows, of which there are as many as in stats; returns how many. */
static size_t collect_reasons(const struct stats *stats,
                              struct reason_row *rows)
{
    size_t count = 0;

    for (size_t i = 0; i < stats_rows(stats); i++) {
        const struct stats_row *row = stats_row(stats, i);
        struct reason_row *reason;

        if (is_failure(row->type) && row->total > 0) {
            reason = find_reason(rows, &count, row);
            stats_sum(&reason->total, row->total);
            stats_sum(&reason->counts[row->type], row->total);
        }
    }
    qsort(rows, count, sizeof *rows, compare_reasons);
    return count;
}

static int64_t sum_reasons(const struct reason_row *rows, size_t count)
{
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        stats_sum(&sum, rows[i].total);
    }
    return sum;
}

static struct text reason_shown(const struct reason_row *row)
{
    return row->reason.length == 0 ? text_of("(none)") : row->reason;
}

/* Failures and their share, then what they were. */
#define REASON_COLUMNS (COLUMNS + 1)

static void fit_reasons(const struct reason_row *rows, size_t count,
                        struct command_column fitted[REASON_COLUMNS],
                        struct command_table *table)
{
    size_t longest = strlen("reason");

    *table = (struct command_table){0, fitted, REASON_COLUMNS, false};
    fitted[0] = (struct command_column){.title = "failures", .narrow = "all"};
    fitted[1] = (struct command_column){
        .title = "share", .narrow = "share", .is_percent = true};
    command_table_add(table, 0, sum_reasons(rows, count));
    command_table_add(table, 1, (int64_t)count);
    for (size_t i = 1; i < COLUMNS; i++) {
        fitted[i + 1] = (struct command_column){.title = columns[i].title,
                                                .narrow = columns[i].narrow};
        for (size_t j = 0; j < count; j++) {
            command_table_add(table, i + 1, rows[j].counts[columns[i].type]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t length = reason_shown(&rows[i]).length;

        longest = length > longest ? length : longest;
    }
    table->name_width = longest < NAME_WIDTH ? (int)longest : NAME_WIDTH;
    command_table_fit(table, command_table_width());
}

static void show_reasons(const struct reason_row *rows, size_t count)
{
    int64_t sum = sum_reasons(rows, count);
    struct command_column fitted[REASON_COLUMNS];
    struct command_table table;

    fit_reasons(rows, count, fitted, &table);
    command_table_titles(&table, "reason");
    for (size_t i = 0; i < count; i++) {
        command_table_name(&table, reason_shown(&rows[i]));
        command_table_number(&table, 0, rows[i].total);
        command_table_percent(&table, 1, rows[i].total, sum);
        for (size_t j = 1; j < COLUMNS; j++) {
            command_table_number(&table, j + 1,
                                 rows[i].counts[columns[j].type]);
        }
        (void)fputc('\n', stdout);
    }
    command_table_name(&table, text_of("total"));
    command_table_number(&table, 0, sum);
    (void)fputc('\n', stdout);
    command_table_end(&table);
}

static void json_reasons(const struct reason_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_object();

        command_json_set(row, "reason", rows[i].reason);
        (void)json_object_set_new(row, "count", json_integer(rows[i].total));
        for (int type = 0; type < EVENT_TYPES; type++) {
            if (rows[i].counts[type] > 0) {
                (void)json_object_set_new(
                    row, event_type_name((enum event_type)type),
                    json_integer(rows[i].counts[type]));
            }
        }
        command_json_print(row);
    }
}

static void tell_reasons(const struct stats_report *report)
{
    struct reason_row *rows =
        calloc(stats_rows(report->stats) + 1, sizeof *rows);
    size_t count = rows == NULL ? 0 : collect_reasons(report->stats, rows);

    if (report->json) {
        json_reasons(rows, count);
    } else {
        show_reasons(rows, count);
    }
    free(rows);
}

/* --- by domain ---------------------------------------------------------- */

/* With two blanks before it, and the words that say since when and why. */
#define MOSTLY_WIDTH 22
#define SINCE_WIDTH  44

enum { FAILURES, DELIVERED, FAILED, WAITING, DOMAIN_COLUMNS };

static void fit_domains(const struct stats_domains *domains,
                        struct command_column fitted[DOMAIN_COLUMNS],
                        struct command_table *table)
{
    static const struct command_column all[DOMAIN_COLUMNS] = {
        [FAILURES] = {.title = "failures", .narrow = "fail"},
        [DELIVERED] = {.title = "delivered", .narrow = "deliv."},
        [FAILED] = {.title = "failed", .narrow = "failed", .is_percent = true},
        [WAITING] = {.title = "waiting", .narrow = "wait"},
    };
    size_t longest = strlen("domain");

    memcpy(fitted, all, sizeof all);
    *table = (struct command_table){0, fitted, DOMAIN_COLUMNS, false};
    for (size_t i = 0; i < domains->count; i++) {
        const struct stats_domain *row = &domains->rows[i];
        size_t length = strlen(row->name);

        longest = length > longest ? length : longest;
        command_table_add(table, FAILURES, row->failures);
        command_table_add(table, DELIVERED, row->deliveries);
        command_table_add(table, WAITING, row->waiting);
    }
    fitted[FAILED].has_number = true;
    table->name_width = longest < NAME_WIDTH ? (int)longest : NAME_WIDTH;
    command_table_fit(table, command_table_width() - MOSTLY_WIDTH);
}

static void show_down(const struct stats_domain *row, bool fits)
{
    struct text since = {
        row->down_since,
        strnlen(row->down_since, strlen("2026-11-02T19:43:01"))};

    if (!row->down) {
        (void)fputs(fits ? " -" : "", stdout);
        return;
    }
    (void)fputs(fits ? " " : "\n  takes no mail since ", stdout);
    command_put(since);
    (void)fputs("Z ", stdout);
    command_put(text_of(row->down_reason));
}

static void show_domains(const struct stats_domains *domains)
{
    struct command_column fitted[DOMAIN_COLUMNS];
    struct command_table table;
    bool fits;

    fit_domains(domains, fitted, &table);
    fits = command_table_sum(&table) + MOSTLY_WIDTH + SINCE_WIDTH <=
           command_table_width();
    command_table_head(&table, "domain");
    (void)printf("  %-20s%s\n", "mostly", fits ? " takes no mail since" : "");
    for (size_t i = 0; i < domains->count; i++) {
        const struct stats_domain *row = &domains->rows[i];

        command_table_name(&table, text_of(row->name));
        command_table_number(&table, FAILURES, row->failures);
        command_table_number(&table, DELIVERED, row->deliveries);
        command_table_percent(&table, FAILED, row->failures,
                              row->failures + row->deliveries);
        command_table_number(&table, WAITING, row->waiting);
        (void)printf("  %-20s",
                     row->failures > 0 ? reason_name(row->worst) : "-");
        show_down(row, fits);
        (void)fputc('\n', stdout);
    }
    command_table_end(&table);
    (void)printf("\n%zu of %zu domains with failures. Failures are those that "
                 "count as strikes;\nof domains Redis keeps counts for seven "
                 "days.\n",
                 domains->count, domains->known);
}

static void set_known(json_t *object, const char *name, const char *text)
{
    if (text[0] != '\0') {
        command_json_set(object, name, text_of(text));
    }
}

json_t *command_stats_domain_json(const struct stats_domain *domain)
{
    const struct {
        const char *name;
        int64_t number;
    } numbers[] = {
        {"failures", domain->failures},
        {"deliveries", domain->deliveries},
        {"waiting", domain->waiting},
        {"consecutive_failures", domain->consecutive_failures},
    };
    json_t *row = json_object();

    command_json_set(row, "domain", text_of(domain->name));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)json_object_set_new(row, numbers[i].name,
                                  json_integer(numbers[i].number));
    }
    if (domain->failures > 0) {
        set_known(row, "reason", reason_name(domain->worst));
    }
    (void)json_object_set_new(row, "down", json_boolean(domain->down));
    set_known(row, "down_since", domain->down_since);
    set_known(row, "down_reason", domain->down_reason);
    set_known(row, "failing_since", domain->failing_since);
    set_known(row, "last_failure_at", domain->last_failure_at);
    set_known(row, "last_failure_reason", domain->last_failure_reason);
    set_known(row, "last_delivery_at", domain->last_delivery_at);
    return row;
}

static void json_domains(const struct stats_domains *domains)
{
    for (size_t i = 0; i < domains->count; i++) {
        command_json_print(command_stats_domain_json(&domains->rows[i]));
    }
}

/* --- all ---------------------------------------------------------------- */

static int64_t skipped_of(const struct stats_report *report)
{
    return report->view == STATS_BY_DOMAIN ? report->domains->skipped
                                           : stats_skipped(report->stats);
}

/* The last object of --json: what the others are about. */
static void json_summary(const struct stats_report *report, const char *from,
                         const char *until)
{
    json_t *summary = json_object();

    command_json_set(summary, "from", text_of(from));
    command_json_set(summary, "until", text_of(until));
    (void)json_object_set_new(summary, "hours",
                              json_integer((json_int_t)report->span.hours));
    if (report->view != STATS_BY_DOMAIN) {
        (void)json_object_set_new(summary, "outcomes",
                                  json_integer(stats_finals(report->stats)));
    } else {
        (void)json_object_set_new(
            summary, "domains",
            json_integer((json_int_t)report->domains->known));
    }
    (void)json_object_set_new(summary, "skipped",
                              json_integer(skipped_of(report)));
    command_json_print(summary);
}

static void show_view(const struct stats_report *report)
{
    switch (report->view) {
    case STATS_BY_TYPE:
        (report->json ? json_types : show_types)(report->stats);
        break;
    case STATS_BY_HOUR:
        (report->json ? json_hours : show_hours)(report->stats);
        break;
    case STATS_BY_REASON:
        tell_reasons(report);
        break;
    case STATS_BY_DOMAIN:
        (report->json ? json_domains : show_domains)(report->domains);
        break;
    }
}

void command_stats_show(const struct stats_report *report)
{
    char from[STATS_HOUR_SIZE];
    char until[STATS_HOUR_SIZE];

    stats_hour_text(report->span.first, from);
    stats_hour_text(report->span.first + (int64_t)report->span.hours, until);
    if (!report->json) {
        (void)printf("%.10s %.5s to %.10s %.5s UTC, %zu hour%s\n\n", from,
                     from + 11, until, until + 11, report->span.hours,
                     report->span.hours == 1 ? "" : "s");
    }
    show_view(report);
    if (report->json) {
        json_summary(report, from, until);
    } else if (skipped_of(report) > 0) {
        (void)printf("\nNot counted, as nixie did not write it: %lld keys or "
                     "fields.\n",
                     (long long)skipped_of(report));
    }
}
