#include "web_page.h"

#include "clock.h"
#include "web_asset.h"
#include "web_page_answer.h"

#include <stdlib.h>
#include <string.h>

#define FAULT_MS 1000 /* then Redis is tried again */
#define JSON     "application/json"

/* What is asked for, and for how long one answer is good. */
static const struct api {
    const char *path;
    json_t *(*answer)(struct web_question *question);
    int64_t fresh_ms[WEB_RANGES]; /* 0: made for each */
} apis[] = {
    {"/api/status", web_answer_status, {0}},
    {"/api/stats", web_answer_stats, {5000, 15000, 60000, 300000}},
    {"/api/domains", web_answer_domains, {10000, 60000}},
    {"/api/recent", web_answer_recent, {5000}},
    {"/api/list", web_answer_list, {0}},
    {"/api/recipient", web_answer_recipient, {0}},
};
#define APIS (sizeof apis / sizeof apis[0])

struct web_page {
    struct web_page_options options;
    struct web_cache *cache; /* WEB_RANGES slots for each of apis */
    struct web_route *routes;
    size_t route_count;
    struct part {
        struct web_page *page;
        const struct api *api;         /* or */
        const struct web_asset *asset; /* that */
    } * parts;
};

/* --- making an answer ---------------------------------------------------- */

const char *web_argument(const struct web_question *question, const char *name)
{
    const char *value = question->request->argument(question->request, name);

    return value == NULL ? "" : value;
}

json_t *web_refuse(struct web_question *question, const char *why)
{
    question->status = 400;
    error_set(&question->error, "%s", why);
    return NULL;
}

bool web_range(const char *name, size_t *range)
{
    static const char *const names[WEB_RANGES] = {"24h", "7d", "30d", "90d"};

    for (size_t i = 0; i < WEB_RANGES; i++) {
        if (strcmp(name, names[i]) == 0) {
            *range = i;
            return true;
        }
    }
    *range = 0;
    return name[0] == '\0';
}

static json_t *fault(struct web_question *question)
{
    json_t *object = json_object();
    char shown[ERROR_SIZE];

    (void)json_object_set_new(
        object, "error",
        json_string(
            text_escape(text_of(question->error.text), shown, sizeof shown)));
    return object;
}

static void make(const struct web_page *page, const struct api *api,
                 const struct web_request *request, struct web_cached *made)
{
    struct web_question question = {
        .page = &page->options,
        .settings = settings_share_borrow(page->options.settings),
        .request = request,
        .now_us = clock_now_us(),
        .deadline_ms = clock_monotonic_ms() + WEB_PAGE_MS,
        .status = 503,
    };
    json_t *answer = api->answer(&question);

    made->status = answer == NULL ? question.status : 200;
    if (answer == NULL) {
        answer = fault(&question);
    }
    made->body = json_dumps(answer, JSON_COMPACT | JSON_ENSURE_ASCII);
    made->length = made->body == NULL ? 0 : strlen(made->body);
    json_decref(answer);
    settings_share_return(page->options.settings, question.settings);
}

static void make_shared(struct web_page *page, const struct api *api,
                        const struct web_request *request,
                        struct web_cached *made)
{
    const char *name = request->argument(request, "range");
    size_t range = 0;
    size_t slot;

    /* what is no range is refused, without a place */
    if (!web_range(name == NULL ? "" : name, &range) ||
        api->fresh_ms[range] == 0) {
        make(page, api, request, made);
        return;
    }
    slot = (size_t)(api - apis) * WEB_RANGES + range;
    if (!web_cache_take(page->cache, slot, made)) {
        make(page, api, request, made);
        web_cache_put(page->cache, slot, made,
                      made->status == 200 ? api->fresh_ms[range] : FAULT_MS);
    }
}

static void answer_api(void *context, const struct web_request *request,
                       struct web_reply *reply)
{
    const struct part *part = context;
    struct web_cached made = {.body = NULL};

    make_shared(part->page, part->api, request, &made);
    if (made.body != NULL) { /* else it stays a 500 */
        reply->status = made.status;
        reply->content_type = JSON;
        reply->body = made.body;
        reply->length = made.length;
    }
}

static void answer_asset(void *context, const struct web_request *request,
                         struct web_reply *reply)
{
    const struct part *part = context;

    (void)request;
    reply->body = malloc(part->asset->length);
    if (reply->body != NULL) {
        memcpy(reply->body, part->asset->bytes, part->asset->length);
        reply->length = part->asset->length;
        reply->content_type = part->asset->content_type;
        reply->status = 200;
    }
}

/* --- the routes ----------------------------------------------------------- */

static void add_route(struct web_page *page, const char *path,
                      const struct api *api, const struct web_asset *asset)
{
    struct part *part = &page->parts[page->route_count];

    *part = (struct part){page, api, asset};
    page->routes[page->route_count++] = (struct web_route){
        path, asset != NULL ? answer_asset : answer_api, part};
}

struct web_page *web_page_new(const struct web_page_options *options)
{
    struct web_page *page = calloc(1, sizeof *page);
    size_t count = APIS + web_asset_count;

    if (page == NULL) {
        return NULL;
    }
    page->options = *options;
    page->cache = web_cache_new(APIS * WEB_RANGES);
    page->routes = calloc(count, sizeof *page->routes);
    page->parts = calloc(count, sizeof *page->parts);
    if (page->cache == NULL || page->routes == NULL || page->parts == NULL) {
        web_page_free(page);
        return NULL;
    }
    for (size_t i = 0; i < web_asset_count; i++) {
        add_route(page, web_assets[i].path, NULL, &web_assets[i]);
    }
    for (size_t i = 0; i < APIS; i++) {
        add_route(page, apis[i].path, &apis[i], NULL);
    }
    return page;
}

void web_page_free(struct web_page *page)
{
    if (page != NULL) {
        web_cache_free(page->cache);
        free(page->routes);
        free(page->parts);
        free(page);
    }
}

const struct web_route *web_page_routes(const struct web_page *page,
                                        size_t *count)
{
    *count = page->route_count;
    return page->routes;
}
