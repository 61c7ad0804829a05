#include "config.h"

#include "daemon_web.h"

#include "web_page.h"

#include <stdlib.h>
#include <string.h>

#define OWN_ROUTES 2

struct daemon_web {
    struct daemon_store *store;
    struct daemon_metrics *metrics;
    struct web_page *page;
    struct web_route routes[OWN_ROUTES + WEB_PAGE_ROUTES_MAX];
    struct web *web;
};

static void tell_state(void *context, struct recorder_state *state)
{
    const struct daemon_web *web = context;

    daemon_store_state(web->store, state);
}

static size_t lay_routes(struct daemon_web *web)
{
    size_t count;
    const struct web_route *routes = web_page_routes(web->page, &count);

    web->routes[0] =
        (struct web_route){"/metrics", daemon_metrics_answer, web->metrics};
    web->routes[1] = (struct web_route){
        "/healthz", daemon_metrics_answer_health, web->metrics};
    memcpy(&web->routes[OWN_ROUTES], routes, count * sizeof routes[0]);
    return OWN_ROUTES + count;
}

struct daemon_web *daemon_web_start(const char *listen,
                                    const struct daemon_metrics_parts *parts,
                                    struct error *error)
{
    struct daemon_web *web = calloc(1, sizeof *web);
    struct web_page_options page = {
        .settings = parts->settings,
        .version = PACKAGE_VERSION,
        .state = tell_state,
        .context = web,
    };
    struct web_options options = {.listen = listen};

    if (web == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    web->store = parts->store;
    web->metrics = daemon_metrics_new(parts);
    web->page = web_page_new(&page);
    if (web->metrics == NULL || web->page == NULL) {
        error_set(error, "out of memory");
        daemon_web_stop(web);
        return NULL;
    }
    options.routes = web->routes;
    options.route_count = lay_routes(web);
    web->web = web_start(&options, error);
    if (web->web == NULL) {
        daemon_web_stop(web);
        return NULL;
    }
    return web;
}

void daemon_web_stop(struct daemon_web *web)
{
    if (web == NULL) {
        return;
    }
    web_stop(web->web); /* it asks the others */
    web_page_free(web->page);
    daemon_metrics_free(web->metrics);
    free(web);
}
