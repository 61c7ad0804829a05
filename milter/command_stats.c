#include "command_stats.h"

#include "clock.h"
#include "command_store.h"

#include <stdlib.h>
#include <string.h>

#define HOURS_DEFAULT 24
#define US_PER_HOUR   INT64_C(3600000000)
#define STATS_MS      30000 /* all of it; 400 days take some seconds */
#define DOMAINS_SHOWN 50
#define SHOWN_MAX     200

/* --- what the options say ----------------------------------------------- */

static bool take_view(const struct command_call *call, enum stats_view *view)
{
    static const char *const views[] = {
        [STATS_BY_TYPE] = "type",
        [STATS_BY_HOUR] = "hour",
        [STATS_BY_REASON] = "reason",
        [STATS_BY_DOMAIN] = "domain",
    };
    const char *value = command_value(call, "by");
    char shown[SHOWN_MAX];

    *view = STATS_BY_TYPE;
    if (value == NULL) {
        return true;
    }
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        if (strcmp(value, views[i]) == 0) {
            *view = (enum stats_view)i;
            return true;
        }
    }
    command_complain(call, "--by \"%s\": write type, hour, reason or domain",
                     text_escape(text_of(value), shown, sizeof shown));
    return false;
}

/* --hours N: the hour that runs, and those before it. */
static bool take_hours(const struct command_call *call, int64_t now_us,
                       struct stats_span *span)
{
    const char *value = command_value(call, "hours");
    char shown[SHOWN_MAX];
    int64_t hours = HOURS_DEFAULT;

    if (value != NULL && (!stats_number(text_of(value), &hours) || hours < 1 ||
                          hours > STATS_HOURS_MAX)) {
        command_complain(call, "--hours \"%s\": write a number from 1 to %d",
                         text_escape(text_of(value), shown, sizeof shown),
                         STATS_HOURS_MAX);
        return false;
    }
    span->hours = (size_t)hours;
    span->first = stats_hour_of(now_us) - hours + 1;
    return true;
}

/* The hours that begin before until, and end behind since. */
static bool take_window(const struct command_call *call, int64_t now_us,
                        struct stats_span *span)
{
    int64_t since_us = now_us - (HOURS_DEFAULT - 1) * US_PER_HOUR;
    int64_t until_us = now_us;
    int64_t hours;

    if (!command_when(call, "until", now_us, &until_us)) {
        return false;
    }
    since_us = until_us - (HOURS_DEFAULT - 1) * US_PER_HOUR;
    if (!command_when(call, "since", now_us, &since_us)) {
        return false;
    }
    if (since_us > until_us) {
        command_complain(call, "--since is later than %s",
                         command_value(call, "until") == NULL ? "now"
                                                              : "--until");
        return false;
    }
    span->first = stats_hour_of(since_us);
    hours = stats_hour_of(until_us - (until_us > since_us)) - span->first + 1;
    if (hours > STATS_HOURS_MAX) {
        command_complain(call,
                         "these are %lld hours: at most %d can be asked for "
                         "at once",
                         (long long)hours, STATS_HOURS_MAX);
        return false;
    }
    span->hours = (size_t)hours;
    return true;
}

static bool take_span(const struct command_call *call, int64_t now_us,
                      struct stats_span *span)
{
    bool window = command_value(call, "since") != NULL ||
                  command_value(call, "until") != NULL;

    if (window && command_value(call, "hours") != NULL) {
        command_complain(call, "write --hours, or --since and --until");
        return false;
    }
    return window ? take_window(call, now_us, span)
                  : take_hours(call, now_us, span);
}

/* Of domains Redis keeps counts for seven days. */
static void cut_for_domains(int64_t now_us, struct stats_span *span)
{
    int64_t kept = stats_hour_of(now_us) - STATS_DOMAIN_HOURS;
    int64_t end = span->first + (int64_t)span->hours;

    if (span->first < kept && end > kept) {
        span->first = kept;
        span->hours = (size_t)(end - kept);
    }
}

/* --- asking ------------------------------------------------------------- */

static bool report(const struct stats_source *source,
                   struct stats_report *report, struct error *error)
{
    struct stats_domains domains = {.rows = NULL};
    struct stats *stats = NULL;
    bool read;

    if (report->view == STATS_BY_DOMAIN) {
        read = stats_domains_read(&domains, report->span, DOMAINS_SHOWN, source,
                                  error);
    } else {
        stats = stats_new(report->span);
        read = stats != NULL && stats_read(stats, source, error);
        if (stats == NULL) {
            error_set(error, "out of memory");
        }
    }
    report->stats = stats;
    report->domains = &domains;
    if (read) {
        command_stats_show(report);
    }
    stats_free(stats);
    stats_domains_clear(&domains);
    return read;
}

enum command_status command_stats_at(const struct command_call *call,
                                     int64_t now_us)
{
    const int64_t deadline_ms = clock_monotonic_ms() + STATS_MS;
    struct stats_report wanted = {.json = call->json};
    struct stats_source source = {.key_prefix = call->settings->key_prefix,
                                  .deadline_ms = deadline_ms};
    struct command_store *store;
    struct error error = {""};
    bool done;

    if (!take_view(call, &wanted.view) ||
        !take_span(call, now_us, &wanted.span)) {
        return COMMAND_FAULT;
    }
    if (wanted.view == STATS_BY_DOMAIN) {
        cut_for_domains(now_us, &wanted.span);
    }
    store = command_store_open(call->settings, &error);
    done = store != NULL;
    if (done) {
        source.link = command_store_link(store);
        done = report(&source, &wanted, &error);
    }
    if (!done) {
        command_complain(call, "%s%s", error.text, command_remedy(error.text));
    }
    command_store_close(store);
    return done ? COMMAND_OK : COMMAND_FAULT;
}

enum command_status command_stats(const struct command_call *call)
{
    return command_stats_at(call, clock_now_us());
}
