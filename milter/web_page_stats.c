#include "clock.h"
#include "command.h"
#include "command_stats.h"
#include "command_store.h"
#include "stats.h"
#include "web_page_answer.h"

#define DOMAINS_SHOWN 25
#define HOURS_A_DAY   24
#define S_PER_HOUR    3600

/* Of each range: hours, and how many of them make a bar. */
static const struct range {
    const char *name;
    size_t hours, step;
} ranges[WEB_RANGES] = {
    {"24h", HOURS_A_DAY, 1},
    {"7d", 7 * HOURS_A_DAY, 1},
    {"30d", 30 * HOURS_A_DAY, HOURS_A_DAY},
    {"90d", 90 * HOURS_A_DAY, HOURS_A_DAY},
};

/* Up to the hour that runs; of days, up to the day that runs. */
static struct stats_span span_of(const struct range *range, int64_t now_us)
{
    int64_t step = (int64_t)range->step;
    int64_t hour = stats_hour_of(now_us);
    struct stats_span span = {hour / step * step + step - (int64_t)range->hours,
                              range->hours};

    return span;
}

static void set_span(json_t *object, const struct range *range,
                     struct stats_span span)
{
    char from[STATS_HOUR_SIZE];

    stats_hour_text(span.first, from);
    command_json_set(object, "range", text_of(range->name));
    command_json_set(object, "from", text_of(from));
    (void)json_object_set_new(
        object, "step_seconds",
        json_integer((json_int_t)(range->step * S_PER_HOUR)));
    (void)json_object_set_new(
        object, "steps",
        json_integer((json_int_t)(range->hours / range->step)));
}

static void set_now(json_t *object, const struct web_question *question)
{
    char at[CLOCK_TIMESTAMP_SIZE];

    clock_format(question->now_us, at);
    command_json_set(object, "at", text_of(at));
}

static json_t *json_of_row(const struct stats_row *row,
                           const struct range *range)
{
    json_t *object = json_object();
    json_t *counts = json_array();

    command_json_set(object, "type", text_of(event_type_name(row->type)));
    if (row->reason_length > 0) {
        command_json_set(object, "reason",
                         (struct text){row->reason, row->reason_length});
    }
    (void)json_object_set_new(object, "total", json_integer(row->total));
    for (size_t i = 0; i < range->hours; i += range->step) {
        int64_t sum = 0;

        for (size_t j = i; j < i + range->step; j++) {
            stats_sum(&sum, row->counts[j]);
        }
        (void)json_array_append_new(counts, json_integer(sum));
    }
    (void)json_object_set_new(object, "counts", counts);
    return object;
}

static json_t *json_of_stats(const struct web_question *question,
                             const struct range *range,
                             const struct stats *stats)
{
    json_t *object = json_object();
    json_t *rows = json_array();

    set_now(object, question);
    set_span(object, range, stats_span(stats));
    for (size_t i = 0; i < stats_rows(stats); i++) {
        (void)json_array_append_new(rows,
                                    json_of_row(stats_row(stats, i), range));
    }
    (void)json_object_set_new(object, "rows", rows);
    (void)json_object_set_new(object, "skipped",
                              json_integer(stats_skipped(stats)));
    return object;
}

/* False with error; the store is the caller's. */
static bool begin(struct web_question *question, struct command_store **store,
                  struct stats_source *source)
{
    *store = command_store_open_until(question->settings, question->deadline_ms,
                                      &question->error);
    if (*store == NULL) {
        return false;
    }
    *source = (struct stats_source){
        .link = command_store_link(*store),
        .key_prefix = question->settings->key_prefix,
        .deadline_ms = question->deadline_ms,
    };
    return true;
}

json_t *web_answer_stats(struct web_question *question)
{
    struct command_store *store = NULL;
    struct stats *stats = NULL;
    struct stats_source source;
    json_t *answer = NULL;
    size_t index;

    if (!web_range(web_argument(question, "range"), &index)) {
        return web_refuse(question, "range: write 24h, 7d, 30d or 90d");
    }
    stats = stats_new(span_of(&ranges[index], question->now_us));
    if (stats == NULL) {
        error_set(&question->error, "out of memory");
    } else if (begin(question, &store, &source) &&
               stats_read(stats, &source, &question->error)) {
        answer = json_of_stats(question, &ranges[index], stats);
    }
    command_store_close(store);
    stats_free(stats);
    return answer;
}

static json_t *json_of_domains(const struct web_question *question,
                               const struct range *range,
                               const struct stats_domains *domains)
{
    json_t *object = json_object();
    json_t *rows = json_array();

    set_now(object, question);
    command_json_set(object, "range", text_of(range->name));
    for (size_t i = 0; i < domains->count; i++) {
        (void)json_array_append_new(
            rows, command_stats_domain_json(&domains->rows[i]));
    }
    (void)json_object_set_new(object, "rows", rows);
    (void)json_object_set_new(object, "known",
                              json_integer((json_int_t)domains->known));
    (void)json_object_set_new(object, "skipped",
                              json_integer(domains->skipped));
    return object;
}

json_t *web_answer_domains(struct web_question *question)
{
    struct command_store *store = NULL;
    struct stats_domains domains = {.rows = NULL};
    struct stats_source source;
    json_t *answer = NULL;
    size_t index;

    if (!web_range(web_argument(question, "range"), &index) ||
        ranges[index].hours > STATS_DOMAIN_HOURS) {
        return web_refuse(question, "range: write 24h or 7d");
    }
    if (begin(question, &store, &source) &&
        stats_domains_read(&domains, span_of(&ranges[index], question->now_us),
                           DOMAINS_SHOWN, &source, &question->error)) {
        answer = json_of_domains(question, &ranges[index], &domains);
    }
    command_store_close(store);
    stats_domains_clear(&domains);
    return answer;
}

json_t *web_answer_status(struct web_question *question)
{
    const struct settings *settings = question->settings;
    struct recorder_state state = {.connected = false};
    json_t *object = json_object();

    question->page->state(question->page->context, &state);
    set_now(object, question);
    command_json_set(object, "version", text_of(question->page->version));
    command_json_set(object, "node", text_of(settings->node));
    command_json_set(
        object, "mode",
        text_of(settings->mode == MODE_OBSERVE ? "observe" : "enforce"));
    (void)json_object_set_new(object, "connected",
                              json_boolean(state.connected));
    (void)json_object_set_new(object, "applied_seq",
                              json_integer(state.applied_seq));
    (void)json_object_set_new(object, "lag_seconds",
                              json_integer(state.lag_seconds));
    return object;
}
