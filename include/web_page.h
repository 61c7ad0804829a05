/*
 * web_page.h - the page that shows what became of mail, and its data as JSON
 *
 * "/" is the page, "/app.js" and "/app.css" belong to it; all else it asks for
 * is here too:
 *
 * /api/status                  version, node, mode, lag: Redis is not asked
 * /api/stats?range=            outcomes over time; 24h, 7d, 30d or 90d
 * /api/domains?range=          domains in trouble; 24h or 7d
 * /api/recent                  the latest changes of the list, from the log
 * /api/list?list=&search=&cursor=
 *                              entries, some at a time
 * /api/recipient?address=      what `nixie why --json` tells
 *
 * A fault is {"error":"…"} with 400 or, when Redis does not answer, 503.
 *
 * Source   Redis, over connections of its own, and the end of the event log.
 *          All texts in it may be a stranger's: JSON carries them escaped.
 * Waits    WEB_PAGE_MS at most. What all viewers ask for is kept for some
 *          seconds, and asked once however many want it.
 * Threads  answers of several requests at the same time.
 */
#ifndef NIXIE_WEB_PAGE_H
#define NIXIE_WEB_PAGE_H

#include "recorder.h"
#include "settings_share.h"
#include "web.h"

#include <stddef.h>

#define WEB_PAGE_MS         3000
#define WEB_PAGE_ROUTES_MAX 16

struct web_page_options {
    struct settings_share *settings; /* borrowed, as all here, for its life */
    const char *version;
    void (*state)(void *context, struct recorder_state *state);
    void *context;
};

struct web_page;

/* New, or NULL when out of memory. */
struct web_page *web_page_new(const struct web_page_options *options);
void web_page_free(struct web_page *page); /* or NULL; once nobody asks */

/* For struct web_options; borrowed from the page. */
const struct web_route *web_page_routes(const struct web_page *page,
                                        size_t *count);

#endif
