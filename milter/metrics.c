#include "metrics.h"

#include "envelope_check.h"

#include <stdlib.h>
#include <string.h>

static const char *const actions[METRICS_ACTIONS] = {
    "reject", "tempfail", "drop", "bounce", "observe", "exempt",
};

static const char *const verdicts[METRICS_VERDICTS] = {
    [ENVELOPE_PASS] = "pass",         [ENVELOPE_SUPPRESS] = "suppress",
    [ENVELOPE_OBSERVE] = "observe",   [ENVELOPE_EXEMPT] = "exempt",
    [ENVELOPE_TEMPFAIL] = "tempfail",
};

static const char *const results[] = {
    [SUPPRESSION_ABSENT] = "absent",
    [SUPPRESSION_FOUND] = "found",
    [SUPPRESSION_ALLOWED] = "allowed",
    [SUPPRESSION_UNAVAILABLE] = "unavailable",
};

static const char *const kinds[] = {
    [METRIC_COUNTER] = "counter",
    [METRIC_GAUGE] = "gauge",
    [METRIC_HISTOGRAM] = "histogram",
};

const char *metric_kind_name(enum metric_kind kind)
{
    return kinds[kind];
}

static uint64_t read_count(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

/* --- as events pass ---------------------------------------------------- */

static bool is_report(enum event_type type)
{
    return type == EVENT_OUT_OF_BAND || type == EVENT_FEEDBACK;
}

static void count_trace(struct metrics *metrics, const struct event *event)
{
    for (int class = 0; class < METRICS_TRACES; class ++) {
        if (text_is(event->trace, trace_class_name((enum trace_class) class))) {
            metrics_add(&metrics->traces[event->type][class], 1);
        }
    }
}

static void count_action(struct metrics *metrics, const struct event *event)
{
    for (size_t i = 0; i < METRICS_ACTIONS; i++) {
        if (text_is(event->action, actions[i])) {
            metrics_add(&metrics->actions[i], 1);
        }
    }
}

void metrics_event(void *context, const struct event *event,
                   enum event_log_result result)
{
    struct metrics *metrics = context;
    enum reason reason;

    (void)result; /* what was lost has happened all the same */
    metrics_add(&metrics->events[event->type],
                event->aggregated > 0 ? (uint64_t)event->aggregated : 1);
    if (event->failure_type.bytes != NULL &&
        reason_parse(event->reason, &reason)) {
        metrics_add(&metrics->failures[event->type][reason], 1);
    }
    if (event->action.bytes != NULL) {
        count_action(metrics, event);
    }
    if (is_report(event->type)) {
        count_trace(metrics, event);
    }
}

/* --- a value each ------------------------------------------------------ */

static void write_integer(FILE *page, const struct metric *metric,
                          const struct metrics_look *look)
{
    int64_t value;

    memcpy(&value, (const char *)look + metric->offset, sizeof value);
    (void)fprintf(page, "%s %lld\n", metric->name, (long long)value);
}

/* The state structs of others count in uint64_t. */
static void write_count(FILE *page, const struct metric *metric,
                        const struct metrics_look *look)
{
    uint64_t value;

    memcpy(&value, (const char *)look + metric->offset, sizeof value);
    (void)fprintf(page, "%s %llu\n", metric->name, (unsigned long long)value);
}

static void write_seconds(FILE *page, const struct metric *metric,
                          const struct metrics_look *look)
{
    int64_t us;

    memcpy(&us, (const char *)look + metric->offset, sizeof us);
    (void)fprintf(page, "%s %lld.%06lld\n", metric->name,
                  (long long)(us / 1000000), (long long)(us % 1000000));
}

static void write_maillog_count(FILE *page, const struct metric *metric,
                                const struct metrics_look *look)
{
    if (look->has_maillog) {
        write_count(page, metric, look);
    }
}

/* One of our own counts. */
static void write_own(FILE *page, const struct metric *metric,
                      const struct metrics_look *look)
{
    const char *own = (const char *)look->counts + metric->offset;

    (void)fprintf(page, "%s %llu\n", metric->name,
                  (unsigned long long)read_count(
                      (const _Atomic uint64_t *)(const void *)own));
}

/* --- with labels ------------------------------------------------------- */

/* A label's value from outside, as the format wants it. */
static void put_label(FILE *page, const char *value)
{
    for (const char *byte = value; *byte != '\0'; byte++) {
        if (*byte == '\\' || *byte == '"') {
            (void)fprintf(page, "\\%c", *byte);
        } else if (*byte == '\n') {
            (void)fputs("\\n", page);
        } else if ((unsigned char)*byte < 0x80) {
            (void)fputc(*byte, page);
        } else {
            (void)fputc('?', page); /* a path need not be UTF-8 */
        }
    }
}

static void write_info(FILE *page, const struct metric *metric,
                       const struct metrics_look *look)
{
    (void)fprintf(page, "%s{version=\"", metric->name);
    put_label(page, look->version);
    (void)fputs("\",node=\"", page);
    put_label(page, look->node);
    (void)fputs("\",instance_id=\"", page);
    put_label(page, look->instance);
    (void)fputs("\"} 1\n", page);
}

static void write_events(FILE *page, const struct metric *metric,
                         const struct metrics_look *look)
{
    for (int type = 0; type < EVENT_TYPES; type++) {
        (void)fprintf(
            page, "%s{type=\"%s\"} %llu\n", metric->name,
            event_type_name((enum event_type)type),
            (unsigned long long)read_count(&look->counts->events[type]));
    }
}

/* Only what there is: most of a thousand pairs never are. */
static void write_failures(FILE *page, const struct metric *metric,
                           const struct metrics_look *look)
{
    for (int type = 0; type < EVENT_TYPES; type++) {
        for (int reason = 0; reason < REASONS; reason++) {
            uint64_t count = read_count(&look->counts->failures[type][reason]);

            if (count > 0) {
                (void)fprintf(page, "%s{type=\"%s\",reason=\"%s\"} %llu\n",
                              metric->name,
                              event_type_name((enum event_type)type),
                              reason_name((enum reason)reason),
                              (unsigned long long)count);
            }
        }
    }
}

static void write_row(FILE *page, const struct metric *metric,
                      const char *const *names, size_t size,
                      const _Atomic uint64_t *counts)
{
    for (size_t i = 0; i < size; i++) {
        (void)fprintf(page, "%s{%s=\"%s\"} %llu\n", metric->name,
                      metric->labels, names[i],
                      (unsigned long long)read_count(&counts[i]));
    }
}

static void write_actions(FILE *page, const struct metric *metric,
                          const struct metrics_look *look)
{
    write_row(page, metric, actions, METRICS_ACTIONS, look->counts->actions);
}

static void write_verdicts(FILE *page, const struct metric *metric,
                           const struct metrics_look *look)
{
    write_row(page, metric, verdicts, METRICS_VERDICTS, look->counts->verdicts);
}

static void write_lookups(FILE *page, const struct metric *metric,
                          const struct metrics_look *look)
{
    write_row(page, metric, results, SUPPRESSION_RESULTS,
              look->lookups->results);
}

static void write_reports(FILE *page, const struct metric *metric,
                          const struct metrics_look *look)
{
    for (int kind = 0; kind < METRICS_REPORTS; kind++) {
        (void)fprintf(
            page, "%s{kind=\"%s\"} %llu\n", metric->name,
            report_kind_name((enum report_kind)kind),
            (unsigned long long)read_count(&look->counts->reports[kind]));
    }
}

static void write_traces(FILE *page, const struct metric *metric,
                         const struct metrics_look *look)
{
    for (int type = 0; type < EVENT_TYPES; type++) {
        for (int class = 0;
             is_report((enum event_type)type) && class < METRICS_TRACES;
             class ++) {
            (void)fprintf(page, "%s{type=\"%s\",trace=\"%s\"} %llu\n",
                          metric->name, event_type_name((enum event_type)type),
                          trace_class_name((enum trace_class) class),
                          (unsigned long long)read_count(
                              &look->counts->traces[type][class]));
        }
    }
}

static void write_maillogs(FILE *page, const struct metric *metric,
                           const struct metrics_look *look)
{
    for (size_t i = 0; i < look->maillog_count; i++) {
        int64_t value;

        memcpy(&value, (const char *)&look->maillogs[i] + metric->offset,
               sizeof value);
        (void)fprintf(page, "%s{file=\"", metric->name);
        put_label(page, look->maillogs[i].path);
        (void)fprintf(page, "\"} %lld\n", (long long)value);
    }
}

/* --- how long ---------------------------------------------------------- */

static void put_latency(FILE *page, const struct metric *metric,
                        const struct latency *latency)
{
    uint64_t below = 0;
    uint64_t sum_us;

    for (size_t i = 0; i < LATENCY_LIMITS; i++) {
        below += read_count(&latency->counts[i]);
        (void)fprintf(page, "%s_bucket{le=\"%g\"} %llu\n", metric->name,
                      (double)latency_limits_us[i] / 1e6,
                      (unsigned long long)below);
    }
    below += read_count(&latency->counts[LATENCY_LIMITS]);
    sum_us = read_count(&latency->sum_us);
    (void)fprintf(page,
                  "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %llu.%06llu\n"
                  "%s_count %llu\n",
                  metric->name, (unsigned long long)below, metric->name,
                  (unsigned long long)(sum_us / 1000000),
                  (unsigned long long)(sum_us % 1000000), metric->name,
                  (unsigned long long)below);
}

static void write_checks(FILE *page, const struct metric *metric,
                         const struct metrics_look *look)
{
    put_latency(page, metric, &look->counts->checks);
}

static void write_lookup_seconds(FILE *page, const struct metric *metric,
                                 const struct metrics_look *look)
{
    put_latency(page, metric, &look->lookups->latency);
}

/* --- all of them ------------------------------------------------------- */

#define INTEGER(member) write_integer, offsetof(struct metrics_look, member)
#define COUNT(member)   write_count, offsetof(struct metrics_look, member)
#define OWN(member)     write_own, offsetof(struct metrics, member)
#define SECONDS(member) write_seconds, offsetof(struct metrics_look, member)
#define MAILLOG(member)                                                        \
    write_maillog_count, offsetof(struct metrics_look, maillog.member)
#define SOURCE(member) write_maillogs, offsetof(struct metrics_maillog, member)

/*
 * The order is that of the page and of the manual, whose section is made from
 * this. What the suppression cache has to tell belongs behind the lookups.
 */
const struct metric metrics_table[] = {
    {"nixie_info", METRIC_GAUGE, "version, node, instance_id",
     "Always 1; the labels tell which nixied this is.", write_info, 0},
    {"nixie_observe_mode", METRIC_GAUGE, "",
     "1 when mode is observe, so that nothing is refused.", INTEGER(observing)},
    {"nixie_config_reloads_failed_total", METRIC_COUNTER, "",
     "Reloads of the configuration that failed, so that the old one stayed.",
     OWN(reloads_failed)},

    {"nixie_sessions_total", METRIC_COUNTER, "",
     "Connections of the MTA, one an SMTP session.", OWN(sessions)},
    {"nixie_sessions_open", METRIC_GAUGE, "",
     "Connections of the MTA that are open now.", OWN(sessions_open)},
    {"nixie_recipients_checked_total", METRIC_COUNTER, "verdict",
     "Recipients that were looked up, by what became of them: pass, suppress, "
     "observe, exempt, or tempfail when the store did not answer and "
     "on_store_failure says so.",
     write_verdicts, 0},
    {"nixie_recipient_check_seconds", METRIC_HISTOGRAM, "",
     "How long the check of a recipient took: what the MTA waits for at RCPT.",
     write_checks, 0},

    {"nixie_lookups_total", METRIC_COUNTER, "result",
     "Questions to the lists in Redis, also those of other parts than the "
     "check of recipients, by answer: absent, found, allowed, unavailable.",
     write_lookups, 0},
    {"nixie_lookup_seconds", METRIC_HISTOGRAM, "",
     "How long a question to the lists took, answered or not.",
     write_lookup_seconds, 0},
    {"nixie_lookups_available", METRIC_GAUGE, "",
     "0 while the breaker of the lookups is open: Redis did not answer in "
     "time, is asked by nobody who waits, and on_store_failure is in force.",
     INTEGER(lookups_available)},

    {"nixie_events_total", METRIC_COUNTER, "type",
     "Events by type, those that are only counted (aggregated) included.",
     write_events, 0},
    {"nixie_failures_total", METRIC_COUNTER, "type, reason",
     "Events with a verdict, by type and reason; a pair is absent until it "
     "happens.",
     write_failures, 0},
    {"nixie_suppressed_total", METRIC_COUNTER, "action",
     "Events suppressed and would_suppress, by action.", write_actions, 0},

    {"nixie_reports_total", METRIC_COUNTER, "kind",
     "Messages that were read as a possible bounce or complaint, by what they "
     "were found to be; none: neither.",
     write_reports, 0},
    {"nixie_reports_failed_total", METRIC_COUNTER, "",
     "Reports that were not read to their end, for want of memory.",
     OWN(reports_failed)},
    {"nixie_report_outcomes_total", METRIC_COUNTER, "type, trace",
     "Events out_of_band and feedback, by how far they are believed: many with "
     "trace none are forged, or about mail that does not pass nixied.",
     write_traces, 0},
    {"nixie_report_bytes", METRIC_GAUGE, "",
     "Memory that reports take which are being read.", INTEGER(report_bytes)},
    {"nixie_trace_keys_usable", METRIC_GAUGE, "",
     "1 when outgoing mail gets marks.", INTEGER(trace_keys_usable)},

    {"nixie_event_log_writable", METRIC_GAUGE, "",
     "0 while the event log cannot be written.", INTEGER(log_writable)},
    {"nixie_event_log_held_events", METRIC_GAUGE, "",
     "Events that wait in memory for the event log to be writable.",
     COUNT(log.held)},
    {"nixie_event_log_lost_total", METRIC_COUNTER, "",
     "Events that were lost as the log could not be written; gap records tell "
     "of them.",
     COUNT(log.lost)},
    {"nixie_event_log_written_total", METRIC_COUNTER, "",
     "Lines written to the event log.", COUNT(log.written)},
    {"nixie_event_log_rotations_total", METRIC_COUNTER, "",
     "Files of the event log begun after the first.", COUNT(log.rotations)},
    {"nixie_event_log_last_seq", METRIC_GAUGE, "",
     "The number of the last event in the log.", INTEGER(log_last_seq)},
    {"nixie_event_log_files", METRIC_GAUGE, "",
     "Files of the event log that are kept, as of the last ten seconds.",
     INTEGER(log_files)},
    {"nixie_event_log_files_unapplied", METRIC_GAUGE, "",
     "Rotated files with events that are not in Redis yet, as of the last ten "
     "seconds.",
     INTEGER(log_files_unapplied)},
    {"nixie_event_log_bytes", METRIC_GAUGE, "", "Size of these files together.",
     INTEGER(log_bytes)},
    {"nixie_event_log_free_bytes", METRIC_GAUGE, "",
     "Free space where the event log is.", INTEGER(log_free_bytes)},

    {"nixie_recorder_connected", METRIC_GAUGE, "",
     "0 while the recorder cannot write to Redis.",
     INTEGER(recorder_connected)},
    {"nixie_recorder_applied_seq", METRIC_GAUGE, "",
     "All events up to this number are in Redis.",
     INTEGER(recorder.applied_seq)},
    {"nixie_recorder_lag_events", METRIC_GAUGE, "",
     "Events in the log that are not in Redis yet.", INTEGER(recorder_behind)},
    {"nixie_recorder_lag_seconds", METRIC_GAUGE, "",
     "Age of the oldest of them.", INTEGER(recorder.lag_seconds)},
    {"nixie_recorder_applied_total", METRIC_COUNTER, "",
     "Events applied to Redis.", COUNT(recorder.applied)},
    {"nixie_recorder_fast_forwards_total", METRIC_COUNTER, "",
     "Batches that Redis had applied already though the answer was lost.",
     COUNT(recorder.fast_forwards)},
    {"nixie_recorder_rollbacks_total", METRIC_COUNTER, "",
     "Times that Redis had forgotten what it had applied.",
     COUNT(recorder.rollbacks)},
    {"nixie_recorder_refused_total", METRIC_COUNTER, "",
     "Effects that Redis refused for good, such as those on a key of another "
     "type.",
     COUNT(recorder.dead)},
    {"nixie_recorder_torn_lines_total", METRIC_COUNTER, "",
     "Lines of the log that were passed over as they are no events.",
     COUNT(recorder.torn)},

    {"nixie_maillog_lines_total", METRIC_COUNTER, "",
     "Lines read from the delivery log; absent, like all of these, when none "
     "is followed.",
     MAILLOG(lines)},
    {"nixie_maillog_passed_lines_total", METRIC_COUNTER, "",
     "Lines of it that tell nothing of a message: those of other programs, and "
     "those that were not understood.",
     MAILLOG(passed)},
    {"nixie_maillog_outcomes_total", METRIC_COUNTER, "",
     "Outcomes that it told.", MAILLOG(events)},
    {"nixie_maillog_unseen_total", METRIC_COUNTER, "",
     "Outcomes of messages that nixied did not see come in.", MAILLOG(unseen)},
    {"nixie_maillog_truncations_total", METRIC_COUNTER, "",
     "Times that a file was shorter than what was read of it.",
     MAILLOG(truncations)},
    {"nixie_maillog_lost_files_total", METRIC_COUNTER, "",
     "Files that were gone before they were read to their end.",
     MAILLOG(lost_files)},
    {"nixie_maillog_behind_bytes", METRIC_GAUGE, "file",
     "What of it is not read yet.", SOURCE(behind_bytes)},
    {"nixie_maillog_readable", METRIC_GAUGE, "file",
     "0 when it is not there, or not readable to nixied.", SOURCE(readable)},

    {"nixie_process_start_time_seconds", METRIC_GAUGE, "",
     "When nixied started, in seconds since 1970.", SECONDS(process_start_us)},
    {"nixie_process_cpu_seconds_total", METRIC_COUNTER, "",
     "Processor time it has used.", SECONDS(process_cpu_us)},
    {"nixie_process_resident_memory_bytes", METRIC_GAUGE, "", "Memory it has.",
     INTEGER(process_memory_bytes)},
    {"nixie_process_open_fds", METRIC_GAUGE, "", "Its open descriptors.",
     INTEGER(process_fds)},
    {"nixie_process_max_fds", METRIC_GAUGE, "",
     "How many descriptors it may have.", INTEGER(process_max_fds)},
};
const size_t metrics_count = sizeof metrics_table / sizeof metrics_table[0];

char *metrics_text(const struct metrics_look *look, size_t *length)
{
    char *text = NULL;
    FILE *page = open_memstream(&text, length);
    bool written;

    if (page == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < metrics_count; i++) {
        const struct metric *metric = &metrics_table[i];

        (void)fprintf(page, "# HELP %s %s\n# TYPE %s %s\n", metric->name,
                      metric->help, metric->name, kinds[metric->kind]);
        metric->write(page, metric, look);
    }
    written = ferror(page) == 0;
    if (fclose(page) != 0 || !written) {
        free(text);
        return NULL;
    }
    return text;
}
