/*
 * command_stats.h - what `nixie stats` has read, and how it tells it
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_STATS_H
#define NIXIE_COMMAND_STATS_H

#include "command.h"
#include "stats.h"

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

enum stats_view {
    STATS_BY_TYPE,
    STATS_BY_HOUR,
    STATS_BY_REASON,
    STATS_BY_DOMAIN,
};

struct stats_report {
    enum stats_view view;
    bool json;
    struct stats_span span;
    const struct stats *stats;           /* NULL by domain */
    const struct stats_domains *domains; /* by domain */
};

void command_stats_show(const struct stats_report *report);

/* A domain with what is known of it; new. */
json_t *command_stats_domain_json(const struct stats_domain *domain);

/* ---- for tests ---- */

enum command_status command_stats_at(const struct command_call *call,
                                     int64_t now_us);

#endif
