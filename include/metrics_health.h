/*
 * metrics_health.h - whether nixied is well, in a line for each complaint
 *
 * Two kinds: a fault, for which somebody or something should step in, and a
 * remark on what mail can live with for a while. Redis away is a remark: the
 * log keeps what belongs there, on_store_failure answers the MTA, and another
 * start of nixied would change nothing.
 *
 * Threads  any.
 */
#ifndef NIXIE_METRICS_HEALTH_H
#define NIXIE_METRICS_HEALTH_H

#include "metrics.h"

#include <stdbool.h>
#include <stddef.h>

/* Behind for so long while Redis takes events, the recorder is stuck. */
#define METRICS_HEALTH_STUCK_S 900
#define METRICS_HEALTH_LATE_S  60

/*
 * "ok" or "failing", then a line each: new, with its length; NULL when out of
 * memory.
 */
char *metrics_health(const struct metrics_look *look, bool *healthy,
                     size_t *length);

#endif
