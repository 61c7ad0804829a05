#include "metrics_health.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>

#define PATH_SHOWN 512

static bool is_stuck(const struct metrics_look *look)
{
    return look->recorder.connected &&
           look->recorder.lag_seconds >= METRICS_HEALTH_STUCK_S;
}

/* Returns whether there is none. */
static bool put_faults(FILE *page, const struct metrics_look *look)
{
    bool none = true;

    if (look->log_writable == 0) {
        (void)fprintf(page,
                      "event log: cannot be written: held=%llu lost=%llu\n",
                      (unsigned long long)look->log.held,
                      (unsigned long long)look->log.lost);
        none = false;
    }
    if (is_stuck(look)) {
        (void)fprintf(page,
                      "recorder: stuck, though redis answers: lag_seconds=%lld "
                      "lag_events=%lld\n",
                      (long long)look->recorder.lag_seconds,
                      (long long)look->recorder_behind);
        none = false;
    }
    return none;
}

static void put_remarks(FILE *page, const struct metrics_look *look)
{
    if (look->lookups_available == 0) {
        (void)fputs("redis: does not answer lookups, on_store_failure is in "
                    "force\n",
                    page);
    }
    if (!look->recorder.connected) {
        (void)fputs("redis: takes no events, the event log keeps them\n", page);
    }
    if (look->recorder.lag_seconds >= METRICS_HEALTH_LATE_S &&
        !is_stuck(look)) {
        (void)fprintf(page,
                      "recorder: behind: lag_seconds=%lld lag_events=%lld\n",
                      (long long)look->recorder.lag_seconds,
                      (long long)look->recorder_behind);
    }
    for (size_t i = 0; i < look->maillog_count; i++) {
        char path[PATH_SHOWN];

        if (look->maillogs[i].readable == 0) {
            (void)fprintf(page, "delivery log: cannot be read: %s\n",
                          text_escape(text_of(look->maillogs[i].path), path,
                                      sizeof path));
        }
    }
}

char *metrics_health(const struct metrics_look *look, bool *healthy,
                     size_t *length)
{
    char *faults = NULL;
    char *text = NULL;
    size_t faults_length;
    FILE *page = open_memstream(&faults, &faults_length);
    bool written;

    if (page == NULL) {
        return NULL;
    }
    *healthy = put_faults(page, look);
    put_remarks(page, look);
    written = ferror(page) == 0;
    if (fclose(page) == 0 && written) {
        int made =
            asprintf(&text, "%s\n%s", *healthy ? "ok" : "failing", faults);

        text = made < 0 ? NULL : text;
        *length = made < 0 ? 0 : (size_t)made;
    }
    free(faults);
    return text;
}
