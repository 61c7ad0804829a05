#include "envelope_check.h"
#include "metrics.h"
#include "metrics_health.h"

#include <ctype.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COLUMNS   78
#define THREADS   4
#define EACH      10000
#define PAGE_SIZE (64 * 1024)

static struct metrics counts;
static struct suppression_counts lookups;

static struct metrics_look look_of(void)
{
    struct metrics_look look = {
        .counts = &counts,
        .lookups = &lookups,
        .version = "0.1",
        .node = "node",
        .instance = "instance",
        .log_writable = 1,
        .lookups_available = 1,
    };

    look.recorder.connected = true;
    look.recorder_connected = 1;
    return look;
}

static void clear(void)
{
    memset(&counts, 0, sizeof counts);
    memset(&lookups, 0, sizeof lookups);
}

static char *shown(const struct metrics_look *look)
{
    size_t length = 0;
    char *text = metrics_text(look, &length);

    assert_non_null(text);
    assert_int_equal(strlen(text), length);
    return text;
}

static void assert_shows(const struct metrics_look *look, const char *line)
{
    char wanted[512];
    char *text = shown(look);

    (void)snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (strstr(text, wanted) == NULL) {
        fail_msg("no %s", line);
    }
    free(text);
}

static struct event event_of(enum event_type type)
{
    struct event event;

    event_init(&event, type, 0);
    return event;
}

/* --- what is counted --------------------------------------------------- */

static void events_are_counted_by_what_they_tell(void **state)
{
    struct event bounce = event_of(EVENT_BOUNCE);
    struct event refused = event_of(EVENT_SUPPRESSED);
    struct event many = event_of(EVENT_REJECTION);
    struct event report = event_of(EVENT_OUT_OF_BAND);
    struct event odd = event_of(EVENT_DELAY);
    struct metrics_look look = look_of();

    (void)state;
    clear();
    bounce.reason = text_of("user_unknown");
    bounce.failure_type = text_of("hard");
    refused.action = text_of("reject");
    many.aggregated = 17;
    report.trace = text_of("none");
    odd.reason = text_of("made \"up\"\n");
    odd.failure_type = text_of("soft");
    odd.action = text_of("else");
    metrics_event(&counts, &bounce, EVENT_LOG_WRITTEN);
    metrics_event(&counts, &bounce, EVENT_LOG_LOST);
    metrics_event(&counts, &refused, EVENT_LOG_WRITTEN);
    metrics_event(&counts, &many, EVENT_LOG_HELD);
    metrics_event(&counts, &report, EVENT_LOG_WRITTEN);
    metrics_event(&counts, &odd, EVENT_LOG_WRITTEN);
    assert_shows(&look, "nixie_events_total{type=\"bounce\"} 2");
    assert_shows(&look, "nixie_events_total{type=\"rejection\"} 17");
    assert_shows(&look, "nixie_events_total{type=\"delay\"} 1");
    assert_shows(&look, "nixie_events_total{type=\"feedback\"} 0");
    assert_shows(&look, "nixie_failures_total{type=\"bounce\","
                        "reason=\"user_unknown\"} 2");
    assert_shows(&look, "nixie_suppressed_total{action=\"reject\"} 1");
    assert_shows(&look, "nixie_suppressed_total{action=\"bounce\"} 0");
    assert_shows(&look, "nixie_report_outcomes_total{type=\"out_of_band\","
                        "trace=\"none\"} 1");
}

static void *add_many(void *context)
{
    struct event event = event_of(EVENT_DELIVERY);

    (void)context;
    for (int i = 0; i < EACH; i++) {
        metrics_event(&counts, &event, EVENT_LOG_WRITTEN);
        latency_add(&counts.checks, i);
    }
    return NULL;
}

static void no_count_of_several_threads_is_lost(void **state)
{
    struct metrics_look look = look_of();
    pthread_t threads[THREADS];
    char line[128];

    (void)state;
    clear();
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    }
    free(shown(&look)); /* while they run */
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    (void)snprintf(line, sizeof line,
                   "nixie_events_total{type=\"delivery\"} %d", THREADS * EACH);
    assert_shows(&look, line);
    (void)snprintf(line, sizeof line, "nixie_recipient_check_seconds_count %d",
                   THREADS * EACH);
    assert_shows(&look, line);
}

static void a_histogram_adds_up(void **state)
{
    struct metrics_look look = look_of();

    (void)state;
    clear();
    latency_add(&lookups.latency, -1);
    latency_add(&lookups.latency, 50);
    latency_add(&lookups.latency, 51);
    latency_add(&lookups.latency, 999999);
    latency_add(&lookups.latency, 1000001);
    assert_shows(&look, "nixie_lookup_seconds_bucket{le=\"5e-05\"} 2");
    assert_shows(&look, "nixie_lookup_seconds_bucket{le=\"0.0001\"} 3");
    assert_shows(&look, "nixie_lookup_seconds_bucket{le=\"1\"} 4");
    assert_shows(&look, "nixie_lookup_seconds_bucket{le=\"+Inf\"} 5");
    assert_shows(&look, "nixie_lookup_seconds_sum 2.000101");
    assert_shows(&look, "nixie_lookup_seconds_count 5");
}

/* --- what is shown ----------------------------------------------------- */

static void labels_cannot_break_their_line(void **state)
{
    struct metrics_look look = look_of();

    (void)state;
    clear();
    look.has_maillog = true;
    look.maillog_count = 1;
    look.maillogs[0] = (struct metrics_maillog){"/a\"b\\c\nd\xff", 7, 1};
    assert_shows(&look, "nixie_maillog_behind_bytes{file=\"/a\\\"b\\\\c\\nd?"
                        "\"} 7");
}

static void without_a_delivery_log_there_are_no_numbers_of_it(void **state)
{
    struct metrics_look look = look_of();
    char *text;

    (void)state;
    clear();
    text = shown(&look);
    assert_null(strstr(text, "\nnixie_maillog_"));
    free(text);
    look.has_maillog = true;
    look.maillog.lines = 3;
    assert_shows(&look, "nixie_maillog_lines_total 3");
}

/* The sample's name, without labels and what histograms add. */
static bool belongs_to(const char *line, const struct metric *metric)
{
    const size_t length = strlen(metric->name);
    const char *rest = line + length;

    if (strncmp(line, metric->name, length) != 0) {
        return false;
    }
    if (metric->kind == METRIC_HISTOGRAM) {
        return strncmp(rest, "_bucket{", 8) == 0 ||
               strncmp(rest, "_sum ", 5) == 0 ||
               strncmp(rest, "_count ", 7) == 0;
    }
    return *rest == (metric->labels[0] == '\0' ? ' ' : '{');
}

static void each_line_is_of_the_metric_above_it(void **state)
{
    struct metrics_look look = look_of();
    char *text;
    char *line;
    char *rest;
    size_t seen = 0;

    (void)state;
    clear();
    look.has_maillog = true;
    text = shown(&look);
    for (line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        const struct metric *metric = &metrics_table[seen > 0 ? seen - 1 : 0];
        char wanted[128];

        if (strncmp(line, "# HELP ", 7) == 0) {
            metric = &metrics_table[seen++];
            (void)snprintf(wanted, sizeof wanted, "# HELP %s ", metric->name);
            assert_int_equal(strncmp(line, wanted, strlen(wanted)), 0);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            (void)snprintf(wanted, sizeof wanted, "# TYPE %s %s", metric->name,
                           metric_kind_name(metric->kind));
            assert_string_equal(line, wanted);
        } else if (!belongs_to(line, metric)) {
            fail_msg("%s is not of %s", line, metric->name);
        }
    }
    assert_int_equal(seen, metrics_count);
    free(text);
}

static bool ends_in(const char *text, const char *end)
{
    return strlen(text) > strlen(end) &&
           strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static void names_are_as_prometheus_wants_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < metrics_count; i++) {
        const struct metric *metric = &metrics_table[i];

        assert_int_equal(strncmp(metric->name, "nixie_", 6), 0);
        for (const char *byte = metric->name; *byte != '\0'; byte++) {
            assert_true(islower((unsigned char)*byte) || *byte == '_');
        }
        assert_int_equal(ends_in(metric->name, "_total"),
                         metric->kind == METRIC_COUNTER);
        assert_true(metric->help[0] != '\0' && ends_in(metric->help, "."));
        assert_null(strpbrk(metric->help, "\n\\"));
        for (size_t other = 0; other < i; other++) {
            assert_string_not_equal(metrics_table[other].name, metric->name);
        }
    }
}

/* --- /healthz ---------------------------------------------------------- */

static void health_tells_faults_from_remarks(void **state)
{
    static const struct {
        const char *title;
        int64_t log_writable, connected, lag_seconds, available, readable;
        bool healthy;
        const char *text;
    } rows[] = {
        {"all is well", 1, 1, 0, 1, 1, true, "ok\n"},
        {"redis away", 1, 0, 3600, 0, 1, true,
         "ok\nredis: does not answer lookups, on_store_failure is in force\n"
         "redis: takes no events, the event log keeps them\n"
         "recorder: behind: lag_seconds=3600 lag_events=5\n"},
        {"a little late", 1, 1, 59, 1, 1, true, "ok\n"},
        {"late", 1, 1, 60, 1, 1, true,
         "ok\nrecorder: behind: lag_seconds=60 lag_events=5\n"},
        {"stuck", 1, 1, 900, 1, 1, false,
         "failing\nrecorder: stuck, though redis answers: lag_seconds=900 "
         "lag_events=5\n"},
        {"no log", 0, 1, 0, 1, 1, false,
         "failing\nevent log: cannot be written: held=3 lost=4\n"},
        {"no delivery log", 1, 1, 0, 1, 0, true,
         "ok\ndelivery log: cannot be read: /var/log/\\x0amail.log\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct metrics_look look = look_of();
        bool healthy;
        size_t length;
        char *text;

        look.log_writable = rows[i].log_writable;
        look.log.held = 3;
        look.log.lost = 4;
        look.recorder.connected = rows[i].connected != 0;
        look.recorder.lag_seconds = rows[i].lag_seconds;
        look.recorder_behind = 5;
        look.lookups_available = rows[i].available;
        look.maillog_count = 1;
        look.maillogs[0] = (struct metrics_maillog){"/var/log/\nmail.log", 0,
                                                    rows[i].readable};
        text = metrics_health(&look, &healthy, &length);
        assert_non_null(text);
        assert_int_equal(length, strlen(text));
        if (healthy != rows[i].healthy || strcmp(text, rows[i].text) != 0) {
            fail_msg("%s: %s", rows[i].title, text);
        }
        free(text);
    }
}

/* --- the manual -------------------------------------------------------- */

/* Sentences begin a line each, as mdoc wants it. */
static void put_wrapped(FILE *page, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t length = strcspn(text, " ");

        if (column > 0 && column + 1 + length > COLUMNS) {
            (void)fputc('\n', page);
            column = 0;
        }
        (void)fprintf(page, "%s%.*s", column > 0 ? " " : "", (int)length, text);
        column += length + (column > 0 ? 1 : 0);
        if (text[length - 1] == '.') {
            (void)fputc('\n', page);
            column = 0;
        }
        text += length + (text[length] == ' ' ? 1 : 0);
    }
}

static void put_metric(FILE *page, const struct metric *metric)
{
    const char *kind = metric_kind_name(metric->kind);

    (void)fprintf(page, ".It Ic %s\n%c%s%s%s.\n", metric->name,
                  toupper((unsigned char)kind[0]), kind + 1,
                  metric->labels[0] == '\0' ? "" : ", by ", metric->labels);
    put_wrapped(page, metric->help);
}

static void put_section(FILE *page)
{
    for (size_t i = 0; i < metrics_count; i++) {
        put_metric(page, &metrics_table[i]);
    }
}

static void the_manual_has_each_metric_and_no_other(void **state)
{
    static char page[PAGE_SIZE];
    static char section[PAGE_SIZE];
    const char *source = getenv("NIXIE_SOURCE");
    char path[4096];
    FILE *made = fmemopen(section, sizeof section, "w");
    FILE *file;
    const char *begin;

    (void)state;
    assert_non_null(made);
    put_section(made);
    assert_int_equal(fclose(made), 0);
    (void)snprintf(path, sizeof path, "%s/packaging/man/nixie-metrics.7",
                   source == NULL ? "." : source);
    file = fopen(path, "re");
    if (file == NULL) {
        skip(); /* not run beside the sources */
    }
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    (void)fclose(file);
    begin = strstr(page, ".It Ic nixie_");
    assert_non_null(begin);
    if (strncmp(begin, section, strlen(section)) != 0 ||
        strstr(begin + strlen(section), ".It Ic nixie_") != NULL) {
        fail_msg("%s: write into it what tests/test_metrics --page prints",
                 path);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_counted_by_what_they_tell),
        cmocka_unit_test(no_count_of_several_threads_is_lost),
        cmocka_unit_test(a_histogram_adds_up),
        cmocka_unit_test(labels_cannot_break_their_line),
        cmocka_unit_test(without_a_delivery_log_there_are_no_numbers_of_it),
        cmocka_unit_test(each_line_is_of_the_metric_above_it),
        cmocka_unit_test(names_are_as_prometheus_wants_them),
        cmocka_unit_test(health_tells_faults_from_remarks),
        cmocka_unit_test(the_manual_has_each_metric_and_no_other),
    };

    if (argc == 2 && strcmp(argv[1], "--page") == 0) {
        put_section(stdout);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
