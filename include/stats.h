/*
 * stats.h - what became of mail, hour by hour, as Redis has counted it
 *
 * Source   <prefix>{NN}:stats:<YYYYMMDDHH> of all 64 buckets; of domains
 *          <prefix>{NN}:hour:<YYYYMMDDHH>, which Redis keeps for seven days,
 *          and {NN}:down. A key that is missing counts nothing. What an
 *          operator put in their place (another type, a field or a number that
 *          is none of ours) is passed over and counted.
 * Units    hours since 1970, UTC.
 * Waits    until deadline_ms; some hundred keys a round trip.
 * Errors   when Redis does not answer in time, or refuses.
 * Threads  one at a time.
 */
#ifndef NIXIE_STATS_H
#define NIXIE_STATS_H

#include "error.h"
#include "event.h"
#include "mailbox.h"
#include "reason.h"
#include "redis_link.h"
#include "store_key.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATS_HOURS_MAX  (400 * 24)
#define STATS_ROWS_MAX   512 /* kinds of outcome: ours are far fewer */
#define STATS_REASON_MAX 64  /* bytes; the recorder writes no more */

/* No count grows beyond: the most that every reader of JSON takes exactly. */
#define STATS_COUNT_MAX INT64_C(9007199254740991)

int64_t stats_hour_of(int64_t us);

/* "2026112219", as keys have it; "2026-11-22T19:00:00Z". */
#define STATS_HOUR_SIZE 24
void stats_hour_key(int64_t hour, char text[STATS_HOUR_SIZE]);
void stats_hour_text(int64_t hour, char text[STATS_HOUR_SIZE]);

struct stats_span {
    int64_t first; /* hour */
    size_t hours;
};

/* A question to Redis: where, and until when. */
struct stats_source {
    struct redis_link *link; /* open */
    const char *key_prefix;
    int64_t deadline_ms;
};

/* ---- outcomes ---- */

struct stats_row {
    enum event_type type;
    char reason[STATS_REASON_MAX + 1]; /* any bytes */
    size_t reason_length;              /* 0: the type says all */
    int64_t total;
    int64_t *counts; /* one for each hour of the span */
};

struct stats;

/* New and empty, or NULL: no memory, or no span of 1 to STATS_HOURS_MAX. */
struct stats *stats_new(struct stats_span span);
void stats_free(struct stats *stats); /* or NULL */

bool stats_read(struct stats *stats, const struct stats_source *source,
                struct error *error);

struct stats_span stats_span(const struct stats *stats);
/* The rows in order: by type, then the most frequent first. */
size_t stats_rows(const struct stats *stats);
const struct stats_row *stats_row(const struct stats *stats, size_t index);
/* Of all reasons. */
int64_t stats_total(const struct stats *stats, enum event_type type);
int64_t stats_in_hour(const struct stats *stats, enum event_type type,
                      size_t hour);
/* Keys and fields that were none of ours. */
int64_t stats_skipped(const struct stats *stats);

/*
 * Those whose mail is at an end: what percentages are of. Delivered, bounced,
 * expired, suppressed.
 */
bool stats_is_final(enum event_type type);
int64_t stats_finals(const struct stats *stats);

/* For tests and fuzzing: one field of an hour. */
void stats_add(struct stats *stats, size_t hour, struct text field,
               struct text value);

/* ---- domains ---- */

#define STATS_DOMAINS_MAX  20000 /* looked at; the rest is passed over */
#define STATS_DOMAIN_HOURS (7 * 24)

struct stats_domain {
    char name[MAILBOX_DOMAIN_MAX + 1];
    int64_t failures; /* that count against their recipients, or the domain */
    int64_t deliveries;
    enum reason worst; /* the most frequent; if there are failures */
    bool down;
    /* times and words as Redis has them, any bytes; "": unknown */
    char down_since[64], down_reason[STATS_REASON_MAX + 1];
    char failing_since[64], last_failure_at[64], last_delivery_at[64];
    char last_failure_reason[STATS_REASON_MAX + 1];
    int64_t consecutive_failures;
    int64_t waiting; /* messages that were put off */
};

struct stats_domains {
    struct stats_domain *rows; /* those down first, then by failures */
    size_t count;
    size_t known;    /* with failures, or down */
    int64_t skipped; /* as stats_skipped(), and domains beyond the most */
};

/* The worst of these hours, limit at most; to be cleared in any case. */
bool stats_domains_read(struct stats_domains *domains, struct stats_span span,
                        size_t limit, const struct stats_source *source,
                        struct error *error);
void stats_domains_clear(struct stats_domains *domains);

/* ---- for both ---- */

/*
 * HGETALL of a kind of key of each hour in each bucket. visit gets each reply
 * that is no error; others of the wrong type are counted in *skipped.
 */
struct stats_walk {
    enum store_history kind;
    struct stats_span span;
    void (*visit)(void *context, size_t hour, const redisReply *hash);
    void *context;
    int64_t *skipped;
};
bool stats_walk_hours(const struct stats_source *source,
                      const struct stats_walk *walk, struct error *error);

/* The next answer; error replies but of a wrong type are errors. */
redisReply *stats_reply(const struct stats_source *source, struct error *error);
bool stats_ask(const struct stats_source *source, const char *verb,
               enum store_history kind, unsigned bucket, struct text name,
               struct error *error);

/* A count of ours: digits, not more than STATS_COUNT_MAX. */
bool stats_number(struct text text, int64_t *number);
struct text stats_text(const redisReply *reply); /* none: unknown */
void stats_sum(int64_t *sum, int64_t number);    /* up to STATS_COUNT_MAX */

#endif
