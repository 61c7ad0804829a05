#include "stats.h"

#include "clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_HOUR    INT64_C(3600000000)
#define HOURS_TOGETHER 8 /* of 64 keys each, in one round trip */
#define DIGITS_MAX     16
#define SHOWN_MAX      300

struct stats {
    struct stats_span span;
    struct stats_row *rows; /* STATS_ROWS_MAX */
    size_t row_count;
    int64_t skipped;
};

/* --- hours -------------------------------------------------------------- */

int64_t stats_hour_of(int64_t us)
{
    return us / US_PER_HOUR - (us % US_PER_HOUR < 0);
}

void stats_hour_key(int64_t hour, char text[STATS_HOUR_SIZE])
{
    char at[CLOCK_TIMESTAMP_SIZE]; /* 2026-11-02T19:43:01.123456Z */

    clock_format(hour * US_PER_HOUR, at);
    (void)snprintf(text, STATS_HOUR_SIZE, "%.4s%.2s%.2s%.2s", at, at + 5,
                   at + 8, at + 11);
}

void stats_hour_text(int64_t hour, char text[STATS_HOUR_SIZE])
{
    char at[CLOCK_TIMESTAMP_SIZE];

    clock_format(hour * US_PER_HOUR, at);
    (void)snprintf(text, STATS_HOUR_SIZE, "%.19sZ", at);
}

/* --- answers of Redis --------------------------------------------------- */

struct text stats_text(const redisReply *reply)
{
    struct text text = {NULL, 0};

    if (reply != NULL && reply->type == REDIS_REPLY_STRING) {
        text.bytes = reply->str;
        text.length = (size_t)reply->len;
    }
    return text;
}

bool stats_number(struct text text, int64_t *number)
{
    *number = 0;
    if (text.length == 0 || text.length > DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return false;
        }
        *number = *number * 10 + (text.bytes[i] - '0');
    }
    return *number <= STATS_COUNT_MAX;
}

void stats_sum(int64_t *sum, int64_t number)
{
    *sum = number > STATS_COUNT_MAX - *sum ? STATS_COUNT_MAX : *sum + number;
}

bool stats_ask(const struct stats_source *source, const char *verb,
               enum store_history kind, unsigned bucket, struct text name,
               struct error *error)
{
    struct store_key key;
    const char *words[2] = {verb, key.text};
    size_t lengths[2] = {strlen(verb), 0};

    if (!store_key_history(source->key_prefix, bucket, kind, name, &key)) {
        error_set(error, "the key of this name would be too long");
        return false;
    }
    lengths[1] = key.length;
    if (!redis_link_command(source->link, 2, words, lengths)) {
        error_set(error, "out of memory, or the connection is gone");
        return false;
    }
    return true;
}

redisReply *stats_reply(const struct stats_source *source, struct error *error)
{
    redisReply *reply =
        redis_link_reply(source->link, source->deadline_ms, error);
    char shown[SHOWN_MAX];

    if (reply == NULL || reply->type != REDIS_REPLY_ERROR ||
        redis_fault_of(reply) == REDIS_FAULT_TYPE) {
        return reply;
    }
    error_set(error, "redis: %s",
              text_escape((struct text){reply->str, (size_t)reply->len}, shown,
                          sizeof shown));
    freeReplyObject(reply);
    return NULL;
}

static bool ask_hours(const struct stats_source *source,
                      const struct stats_walk *walk, size_t first, size_t end,
                      struct error *error)
{
    for (size_t i = first; i < end; i++) {
        char hour[STATS_HOUR_SIZE];

        stats_hour_key(walk->span.first + (int64_t)i, hour);
        for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
            if (!stats_ask(source, "HGETALL", walk->kind, bucket, text_of(hour),
                           error)) {
                return false;
            }
        }
    }
    return true;
}

static bool take_hour(const struct stats_source *source,
                      const struct stats_walk *walk, size_t hour,
                      struct error *error)
{
    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        redisReply *reply = stats_reply(source, error);

        if (reply == NULL) {
            return false;
        }
        if (reply->type == REDIS_REPLY_ARRAY) {
            walk->visit(walk->context, hour, reply);
        } else {
            ++*walk->skipped;
        }
        freeReplyObject(reply);
    }
    return true;
}

bool stats_walk_hours(const struct stats_source *source,
                      const struct stats_walk *walk, struct error *error)
{
    for (size_t i = 0; i < walk->span.hours; i += HOURS_TOGETHER) {
        size_t end = i + HOURS_TOGETHER < walk->span.hours ? i + HOURS_TOGETHER
                                                           : walk->span.hours;

        if (!ask_hours(source, walk, i, end, error)) {
            return false;
        }
        for (size_t hour = i; hour < end; hour++) {
            if (!take_hour(source, walk, hour, error)) {
                return false;
            }
        }
    }
    return true;
}

/* --- the table ---------------------------------------------------------- */

struct stats *stats_new(struct stats_span span)
{
    struct stats *stats;

    if (span.hours < 1 || span.hours > STATS_HOURS_MAX) {
        return NULL;
    }
    stats = calloc(1, sizeof *stats);
    if (stats == NULL) {
        return NULL;
    }
    stats->span = span;
    stats->rows = calloc(STATS_ROWS_MAX, sizeof *stats->rows);
    if (stats->rows == NULL) {
        free(stats);
        return NULL;
    }
    return stats;
}

void stats_free(struct stats *stats)
{
    if (stats != NULL) {
        for (size_t i = 0; i < stats->row_count; i++) {
            free(stats->rows[i].counts);
        }
        free(stats->rows);
        free(stats);
    }
}

/* The row of it, a new one if need be; NULL: there are too many. */
static struct stats_row *find_row(struct stats *stats, enum event_type type,
                                  struct text reason)
{
    struct stats_row *row;

    for (size_t i = 0; i < stats->row_count; i++) {
        row = &stats->rows[i];
        if (row->type == type && row->reason_length == reason.length &&
            (reason.length == 0 ||
             memcmp(row->reason, reason.bytes, reason.length) == 0)) {
            return row;
        }
    }
    if (stats->row_count == STATS_ROWS_MAX) {
        return NULL;
    }
    row = &stats->rows[stats->row_count];
    row->counts = calloc(stats->span.hours, sizeof *row->counts);
    if (row->counts == NULL) {
        return NULL;
    }
    row->type = type;
    (void)text_copy(reason, row->reason, sizeof row->reason);
    row->reason_length = reason.length;
    stats->row_count++;
    return row;
}

/* "bounce|user_unknown", "delivery" */
static bool parse_field(struct text field, enum event_type *type,
                        struct text *reason)
{
    const char *bar =
        field.length == 0 ? NULL : memchr(field.bytes, '|', field.length);
    struct text name = field;

    *reason = (struct text){"", 0};
    if (bar != NULL) {
        name.length = (size_t)(bar - field.bytes);
        *reason = (struct text){bar + 1, field.length - name.length - 1};
    }
    return reason->length <= STATS_REASON_MAX && name.length > 0 &&
           event_type_parse(name, type);
}

void stats_add(struct stats *stats, size_t hour, struct text field,
               struct text value)
{
    struct stats_row *row = NULL;
    enum event_type type;
    struct text reason;
    int64_t number;

    if (hour < stats->span.hours && stats_number(value, &number) &&
        parse_field(field, &type, &reason)) {
        row = find_row(stats, type, reason);
    }
    if (row == NULL) {
        stats->skipped++;
        return;
    }
    stats_sum(&row->counts[hour], number);
    stats_sum(&row->total, number);
}

static void take_hash(void *context, size_t hour, const redisReply *hash)
{
    struct stats *stats = context;

    for (size_t i = 0; i + 1 < hash->elements; i += 2) {
        stats_add(stats, hour, stats_text(hash->element[i]),
                  stats_text(hash->element[i + 1]));
    }
}

static int compare_rows(const void *one, const void *other)
{
    const struct stats_row *left = one;
    const struct stats_row *right = other;

    if (left->type != right->type) {
        return left->type < right->type ? -1 : 1;
    }
    if (left->total != right->total) {
        return left->total < right->total ? 1 : -1;
    }
    return memcmp(left->reason, right->reason, sizeof left->reason);
}

bool stats_read(struct stats *stats, const struct stats_source *source,
                struct error *error)
{
    const struct stats_walk walk = {
        .kind = STORE_STATS,
        .span = stats->span,
        .visit = take_hash,
        .context = stats,
        .skipped = &stats->skipped,
    };
    bool read = stats_walk_hours(source, &walk, error);

    qsort(stats->rows, stats->row_count, sizeof *stats->rows, compare_rows);
    return read;
}

/* --- looking at it ------------------------------------------------------ */

struct stats_span stats_span(const struct stats *stats)
{
    return stats->span;
}

size_t stats_rows(const struct stats *stats)
{
    return stats->row_count;
}

const struct stats_row *stats_row(const struct stats *stats, size_t index)
{
    return &stats->rows[index];
}

int64_t stats_skipped(const struct stats *stats)
{
    return stats->skipped;
}

int64_t stats_total(const struct stats *stats, enum event_type type)
{
    int64_t sum = 0;

    for (size_t i = 0; i < stats->row_count; i++) {
        if (stats->rows[i].type == type) {
            stats_sum(&sum, stats->rows[i].total);
        }
    }
    return sum;
}

int64_t stats_in_hour(const struct stats *stats, enum event_type type,
                      size_t hour)
{
    int64_t sum = 0;

    for (size_t i = 0; i < stats->row_count; i++) {
        if (stats->rows[i].type == type) {
            stats_sum(&sum, stats->rows[i].counts[hour]);
        }
    }
    return sum;
}

bool stats_is_final(enum event_type type)
{
    return type == EVENT_DELIVERY || type == EVENT_BOUNCE ||
           type == EVENT_EXPIRATION || type == EVENT_SUPPRESSED;
}

int64_t stats_finals(const struct stats *stats)
{
    int64_t sum = 0;

    for (int type = 0; type < EVENT_TYPES; type++) {
        if (stats_is_final((enum event_type)type)) {
            stats_sum(&sum, stats_total(stats, (enum event_type)type));
        }
    }
    return sum;
}
