#include "top_frame.h"

#include "clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NOW_S     10 /* what counts as now: one second says too little */
#define MINUTE_S  60
#define WORST_MAX 100
#define JSON_ROWS 20
#define STALE_S   150 /* heartbeats come once a minute */
#define LATE_S    60

static const struct {
    enum event_type type;
    enum top_look look; /* when there are any */
} shown[] = {
    {EVENT_RECEPTION, TOP_PLAIN},  {EVENT_DELIVERY, TOP_GOOD},
    {EVENT_DELAY, TOP_WARNING},    {EVENT_BOUNCE, TOP_BAD},
    {EVENT_EXPIRATION, TOP_BAD},   {EVENT_OUT_OF_BAND, TOP_BAD},
    {EVENT_FEEDBACK, TOP_WARNING}, {EVENT_REJECTION, TOP_PLAIN},
    {EVENT_SUPPRESSED, TOP_PLAIN}, {EVENT_WOULD_SUPPRESS, TOP_PLAIN},
};
#define SHOWN (sizeof shown / sizeof shown[0])

/* What is rare and worth a word, with its number, when there was any. */
static const enum event_type notable[] = {
    EVENT_BREAKER_OPENED, EVENT_DOMAIN_DOWN,          EVENT_GAP,
    EVENT_STORE_DEGRADED, EVENT_SUPPRESSION_WITHHELD,
};

/* --- lines ------------------------------------------------------------- */

static void put(struct top_frame *frame, enum top_look look, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

static void put(struct top_frame *frame, enum top_look look, const char *format,
                ...)
{
    char text[TOP_FRAME_COLUMNS + 1];
    va_list arguments;

    if (frame->count >= frame->rows) {
        return;
    }
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    frame->lines[frame->count].look = look;
    (void)text_copy(text_of(text), frame->lines[frame->count].text,
                    (size_t)frame->columns + 1);
    frame->count++;
}

static const char *format_time(int64_t us, bool with_date, char text[32])
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;

    if (localtime_r(&seconds, &tm) == NULL ||
        (with_date ? strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm)
                   : strftime(text, 32, "%H:%M:%S", &tm)) == 0) {
        (void)snprintf(text, 32, "?");
    }
    return text;
}

/* --- parts ------------------------------------------------------------- */

static void put_recorder(struct top_frame *frame, const struct top_state *state,
                         int64_t now_us)
{
    const int64_t age_s = (now_us - state->heartbeat_us) / 1000000;
    char at[32];

    if (state->heartbeat_us == 0) {
        put(frame, TOP_WARNING, "recorder   no heartbeat read yet");
        return;
    }
    (void)format_time(state->heartbeat_us, false, at);
    put(frame,
        age_s > STALE_S                ? TOP_BAD
        : state->lag_seconds >= LATE_S ? TOP_WARNING
                                       : TOP_GOOD,
        "recorder   lag %lld s at %s, %lld of %lld applied%s",
        (long long)state->lag_seconds, at, (long long)state->applied_seq,
        (long long)state->last_seq,
        age_s > STALE_S ? "; no heartbeat since: does nixied run?" : "");
}

static void put_store(struct top_frame *frame, const struct top_state *state)
{
    if (state->store_known && state->store_down) {
        put(frame, TOP_BAD, "store      down: %s", state->store_error);
    } else {
        put(frame, TOP_GOOD, "store      %s",
            state->store_known ? "well again" : "no trouble told");
    }
}

static void put_notable(struct top_frame *frame, const struct top *top,
                        int64_t now_us)
{
    char text[TOP_FRAME_COLUMNS] = "";
    size_t used = 0;

    for (size_t i = 0; i < sizeof notable / sizeof notable[0]; i++) {
        uint64_t count = top_count(top, notable[i], TOP_WINDOW_S, now_us);

        if (count > 0) {
            int length =
                snprintf(text + used, sizeof text - used, "%s%s %llu",
                         used > 0 ? ", " : "", event_type_name(notable[i]),
                         (unsigned long long)count);

            used += length > 0 ? (size_t)length : 0;
        }
    }
    if (used > 0) {
        put(frame, TOP_WARNING, "notable    %s, in 15 min", text);
    } else {
        put(frame, TOP_PLAIN, "notable    nothing in 15 min");
    }
}

static void put_types(struct top_frame *frame, const struct top *top,
                      int64_t now_us)
{
    put(frame, TOP_HEADER, "%-16s %10s %10s %10s %10s", "outcomes", "now/s",
        "1 min/s", "15 min/s", "15 min");
    for (size_t i = 0; i < SHOWN; i++) {
        const enum event_type type = shown[i].type;
        const uint64_t all = top_count(top, type, TOP_WINDOW_S, now_us);

        put(frame, all > 0 ? shown[i].look : TOP_PLAIN,
            "%-16s %10.1f %10.1f %10.1f %10llu", event_type_name(type),
            (double)top_count(top, type, NOW_S, now_us) / NOW_S,
            (double)top_count(top, type, MINUTE_S, now_us) / MINUTE_S,
            (double)all / TOP_WINDOW_S, (unsigned long long)all);
    }
}

static void put_domains(struct top_frame *frame, const struct top *top,
                        int64_t now_us, size_t rows)
{
    struct top_domain worst[WORST_MAX];
    size_t count =
        top_worst(top, now_us, worst, rows < WORST_MAX ? rows : WORST_MAX);

    put(frame, TOP_HEADER, "%-32s %10s %10s  %s", "worst domains, 15 min",
        "failures", "delays", "last reason");
    for (size_t i = 0; i < count; i++) {
        put(frame, TOP_PLAIN, "%-32s %10llu %10llu  %s", worst[i].domain,
            (unsigned long long)worst[i].failures,
            (unsigned long long)worst[i].delays, worst[i].reason);
    }
    if (count == 0) {
        put(frame, TOP_PLAIN, "none");
    }
}

static void put_changes(struct top_frame *frame, const struct top *top)
{
    const struct top_change *change = top_added(top, 0);

    put(frame, TOP_HEADER, "%-19s %-40s %-20s %s", "newest suppressions",
        "whom", "reason", "by");
    if (change == NULL) {
        put(frame, TOP_PLAIN, "none read");
    }
    for (size_t i = 0; change != NULL; change = top_added(top, ++i)) {
        char at[32];

        put(frame, TOP_PLAIN, "%-19s %-40s %-20s %s",
            format_time(change->timestamp_us, true, at), change->pattern,
            change->reason, change->origin);
    }
}

/* --- the whole --------------------------------------------------------- */

static int within(int value, int most)
{
    return value < 1 ? 1 : value > most ? most : value;
}

void top_frame_draw(const struct top *top, int64_t now_us,
                    struct top_frame *frame)
{
    struct top_state state;
    char at[32];
    int left;

    frame->columns = within(frame->columns, TOP_FRAME_COLUMNS);
    frame->rows = within(frame->rows, TOP_FRAME_ROWS);
    frame->count = 0;
    top_state(top, &state);
    put(frame, TOP_TITLE, "nixie top  %s  %s", format_time(now_us, true, at),
        state.node[0] == '\0' ? "no event read yet" : state.node);
    put_recorder(frame, &state, now_us);
    put_store(frame, &state);
    put_notable(frame, top, now_us);
    put(frame, TOP_PLAIN, "%s", "");
    put_types(frame, top, now_us);
    put(frame, TOP_PLAIN, "%s", "");
    /* two headers and an empty line; what is left is shared */
    left = frame->rows - frame->count - 3;
    put_domains(frame, top, now_us, left > 1 ? (size_t)(left + 1) / 2 : 1);
    put(frame, TOP_PLAIN, "%s", "");
    put_changes(frame, top);
}

/* --- for programs ------------------------------------------------------ */

static json_t *types_json(const struct top *top, int64_t now_us)
{
    json_t *types = json_object();

    for (int i = 0; i < EVENT_TYPES; i++) {
        const enum event_type type = (enum event_type)i;

        (void)json_object_set_new(
            types, event_type_name(type),
            json_pack("{s:I,s:I,s:I}", "10s",
                      (json_int_t)top_count(top, type, NOW_S, now_us), "60s",
                      (json_int_t)top_count(top, type, MINUTE_S, now_us),
                      "900s",
                      (json_int_t)top_count(top, type, TOP_WINDOW_S, now_us)));
    }
    return types;
}

static json_t *domains_json(const struct top *top, int64_t now_us)
{
    struct top_domain worst[JSON_ROWS];
    size_t count = top_worst(top, now_us, worst, JSON_ROWS);
    json_t *domains = json_array();

    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(
            domains,
            json_pack("{s:s,s:I,s:I,s:s}", "domain", worst[i].domain,
                      "failures", (json_int_t)worst[i].failures, "delays",
                      (json_int_t)worst[i].delays, "reason", worst[i].reason));
    }
    return domains;
}

static json_t *changes_json(const struct top *top)
{
    json_t *changes = json_array();
    const struct top_change *change = top_added(top, 0);

    for (size_t i = 0; change != NULL; change = top_added(top, ++i)) {
        char timestamp[CLOCK_TIMESTAMP_SIZE];

        clock_format(change->timestamp_us, timestamp);
        (void)json_array_append_new(
            changes, json_pack("{s:s,s:s,s:s,s:s}", "timestamp", timestamp,
                               "suppression_pattern", change->pattern,
                               "suppression_reason", change->reason, "origin",
                               change->origin));
    }
    return changes;
}

json_t *top_frame_json(const struct top *top, int64_t now_us)
{
    struct top_state state;
    json_t *object;

    top_state(top, &state);
    object = json_pack(
        "{s:s,s:I,s:o,s:o,s:o}", "node", state.node, "last_seq",
        (json_int_t)state.last_seq, "types", types_json(top, now_us), "domains",
        domains_json(top, now_us), "suppressions", changes_json(top));
    if (object != NULL && state.heartbeat_us != 0) {
        (void)json_object_set_new(object, "applied_seq",
                                  json_integer(state.applied_seq));
        (void)json_object_set_new(object, "lag_seconds",
                                  json_integer(state.lag_seconds));
    }
    if (object != NULL && state.store_known) {
        (void)json_object_set_new(object, "store_down",
                                  json_boolean(state.store_down));
    }
    return object;
}
