/*
 * daemon_metrics.h - how nixied is, asked of its parts when somebody asks
 *
 * Answers /metrics and /healthz. The latter is 503 only for what makes nixied
 * itself of no use, lest somebody ends a daemon that mail can live with: with
 * Redis away it goes on, and being started again would not help.
 *
 * Owner    the parts are borrowed for its life.
 * Threads  any; files and descriptors are counted at most every ten seconds.
 */
#ifndef NIXIE_DAEMON_METRICS_H
#define NIXIE_DAEMON_METRICS_H

#include "daemon_store.h"
#include "event_log.h"
#include "maillog.h"
#include "metrics.h"
#include "settings_share.h"
#include "trace_keys.h"
#include "web.h"

struct daemon_metrics_parts {
    const struct metrics *counts;
    struct settings_share *settings;
    struct event_log *log;
    struct daemon_store *store;
    struct maillog *maillog;       /* NULL: none is followed */
    struct trace_keys *trace_keys; /* NULL: marks are off */
    const char *instance;
};

struct daemon_metrics;

/* New, or NULL when out of memory. */
struct daemon_metrics *
daemon_metrics_new(const struct daemon_metrics_parts *parts);
void daemon_metrics_free(struct daemon_metrics *metrics); /* or NULL */

/* Of web_route: context is the struct daemon_metrics. */
void daemon_metrics_answer(void *context, const struct web_request *request,
                           struct web_reply *reply);
void daemon_metrics_answer_health(void *context,
                                  const struct web_request *request,
                                  struct web_reply *reply);

#endif
