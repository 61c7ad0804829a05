/*
 * metrics.h - what nixied counts, and how Prometheus reads it
 *
 * What passes is counted here, without locks or memory; what can be asked when
 * somebody wants to know (how far the recorder is, how large a file) is not:
 * whoever answers /metrics fills a struct metrics_look for that.
 *
 * Source   Prometheus text format 0.0.4; base units: seconds and bytes.
 * Threads  any.
 */
#ifndef NIXIE_METRICS_H
#define NIXIE_METRICS_H

#include "event.h"
#include "event_log.h"
#include "latency.h"
#include "maillog.h"
#include "reason.h"
#include "recorder.h"
#include "report.h"
#include "suppression.h"
#include "trace.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define METRICS_VERDICTS     5 /* enum envelope_verdict */
#define METRICS_ACTIONS      6 /* of suppressed and would_suppress */
#define METRICS_TRACES       4 /* enum trace_class */
#define METRICS_REPORTS      4 /* enum report_kind */
#define METRICS_MAILLOGS     16
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics {
    _Atomic uint64_t events[EVENT_TYPES];
    _Atomic uint64_t failures[EVENT_TYPES][REASONS];
    _Atomic uint64_t actions[METRICS_ACTIONS];
    _Atomic uint64_t traces[EVENT_TYPES][METRICS_TRACES];
    _Atomic uint64_t verdicts[METRICS_VERDICTS];
    struct latency checks;
    _Atomic uint64_t reports[METRICS_REPORTS];
    _Atomic uint64_t reports_failed; /* none read: no memory */
    _Atomic uint64_t sessions;
    _Atomic uint64_t sessions_open;
    _Atomic uint64_t reloads_failed;
};

static inline void metrics_add(_Atomic uint64_t *count, uint64_t more)
{
    (void)atomic_fetch_add_explicit(count, more, memory_order_relaxed);
}

/* As event_log_options.appended: context is the struct metrics. */
void metrics_event(void *context, const struct event *event,
                   enum event_log_result result);

/* A source of the delivery log. */
struct metrics_maillog {
    const char *path;
    int64_t behind_bytes;
    int64_t readable; /* boolean */
};

/* All of it in the moment of a request; numbers unless said otherwise. */
struct metrics_look {
    const struct metrics *counts;
    const struct suppression_counts *lookups;
    const char *version, *node, *instance;
    int64_t observing;

    struct recorder_state recorder;
    int64_t recorder_connected, recorder_behind;
    struct event_log_state log;
    int64_t log_writable, log_last_seq;
    int64_t log_files, log_files_unapplied, log_bytes, log_free_bytes;
    int64_t lookups_available;

    bool has_maillog;
    struct maillog_state maillog;
    struct metrics_maillog maillogs[METRICS_MAILLOGS];
    size_t maillog_count;

    int64_t trace_keys_usable, report_bytes;
    int64_t process_start_us, process_cpu_us;
    int64_t process_memory_bytes, process_fds, process_max_fds;
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
    const char *name;
    enum metric_kind kind;
    const char *labels; /* "type, reason"; "": none */
    const char *help;   /* one sentence or two, for the page too */
    void (*write)(FILE *page, const struct metric *metric,
                  const struct metrics_look *look);
    size_t offset; /* of write_number() and its like */
};
extern const struct metric metrics_table[];
extern const size_t metrics_count;

const char *metric_kind_name(enum metric_kind kind);

/* The page: new, with its length; NULL when out of memory. */
char *metrics_text(const struct metrics_look *look, size_t *length);

#endif
