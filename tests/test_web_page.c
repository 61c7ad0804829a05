#include "lists_world.h"
#include "web_page.h"
#include "web_page_answer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SKIP_TEST 77
#define HOSTILE   "<img src=x onerror=alert(1)>"

/* --- a page without a listener ------------------------------------------- */

struct site {
    struct settings_share *settings;
    struct web_page *page;
};

static void tell_state(void *context, struct recorder_state *state)
{
    (void)context;
    *state = (struct recorder_state){.connected = true, .lag_seconds = 3};
}

static struct site open_site(const struct world *world, const char *event_log)
{
    struct error error = {""};
    struct settings *settings = settings_load(NULL, &error);
    struct web_page_options options = {.version = "1", .state = tell_state};
    struct site site;

    assert_non_null(settings);
    free(settings->redis);
    settings->redis = strdup(redis_server_location(world->server));
    free(settings->event_log);
    settings->event_log = strdup(event_log);
    site.settings = settings_share_new(settings);
    assert_non_null(site.settings);
    options.settings = site.settings;
    site.page = web_page_new(&options);
    assert_non_null(site.page);
    return site;
}

static void close_site(struct site *site)
{
    web_page_free(site->page);
    settings_share_free(site->settings);
}

/* Pairs of name and value, ended by NULL. */
static const char *find_argument(const struct web_request *request,
                                 const char *name)
{
    const char *const *pairs = request->connection;

    while (*pairs != NULL && strcmp(*pairs, name) != 0) {
        pairs += 2;
    }
    return *pairs == NULL ? NULL : pairs[1];
}

static unsigned ask_bytes(const struct site *site, const char *path,
                          const char **arguments, struct web_reply *reply)
{
    const struct web_request request = {.path = text_of(path),
                                        .argument = find_argument,
                                        .connection = arguments};
    size_t count;
    const struct web_route *routes = web_page_routes(site->page, &count);

    *reply = (struct web_reply){500, "text/plain; charset=utf-8", NULL, 0};
    assert_true(count <= WEB_PAGE_ROUTES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(routes[i].path, path) == 0) {
            routes[i].answer(routes[i].context, &request, reply);
            return reply->status;
        }
    }
    fail_msg("no route %s", path);
    return 0;
}

/* The answer, new; its status must be as wanted. */
static json_t *ask(const struct site *site, unsigned wanted, const char *path,
                   const char **arguments)
{
    struct web_reply reply;
    json_t *answer;

    assert_int_equal(ask_bytes(site, path, arguments, &reply), wanted);
    assert_string_equal(reply.content_type, "application/json");
    assert_non_null(reply.body);
    for (size_t i = 0; i < reply.length; i++) {
        assert_true(reply.body[i] >= ' ' && reply.body[i] <= '~');
    }
    answer = json_loadb(reply.body, reply.length, 0, NULL);
    assert_non_null(answer);
    free(reply.body);
    return answer;
}

static int64_t integer_of(const json_t *object, const char *name)
{
    assert_true(json_is_integer(json_object_get(object, name)));
    return json_integer_value(json_object_get(object, name));
}

static const char *string_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

/* --- what it answers ------------------------------------------------------ */

static void web_page_serves_its_files(void **state)
{
    static const char *const paths[] = {"/", "/app.js", "/app.css"};
    const char *none[] = {NULL};
    struct site site = open_site(*state, "/nonexistent");

    for (size_t i = 0; i < 3; i++) {
        struct web_reply reply;

        assert_int_equal(ask_bytes(&site, paths[i], none, &reply), 200);
        assert_true(reply.length > 1000);
        assert_null(memmem(reply.body, reply.length, "https://", 8));
        free(reply.body);
    }
    close_site(&site);
}

static void web_page_tells_stats_of_the_last_hours(void **state)
{
    struct world *world = *state;
    const char *day[] = {"range", "24h", NULL};
    const char *month[] = {"range", "30d", NULL};
    const char *wrong[] = {"range", "1y", NULL};
    struct site site = open_site(world, "/nonexistent");
    char command[128];
    char hour[16];
    time_t now = time(NULL);
    struct tm parts;
    json_t *answer;
    json_t *row;

    assert_true(
        strftime(hour, sizeof hour, "%Y%m%d%H", gmtime_r(&now, &parts)) > 0);
    (void)snprintf(command, sizeof command,
                   "HSET nixie:{03}:stats:%s bounce|mailbox_full 7", hour);
    world_operate(world, command);
    answer = ask(&site, 200, "/api/stats", day);
    row = json_array_get(json_object_get(answer, "rows"), 0);
    assert_int_equal(json_array_size(json_object_get(row, "counts")), 24);
    assert_string_equal(string_of(row, "type"), "bounce");
    assert_string_equal(string_of(row, "reason"), "mailbox_full");
    assert_int_equal(integer_of(row, "total"), 7);
    json_decref(answer);
    answer = ask(&site, 200, "/api/stats", month);
    row = json_array_get(json_object_get(answer, "rows"), 0);
    assert_int_equal(json_array_size(json_object_get(row, "counts")), 30);
    assert_int_equal(integer_of(answer, "step_seconds"), 86400);
    json_decref(answer);
    json_decref(ask(&site, 400, "/api/stats", wrong));
    json_decref(ask(&site, 400, "/api/domains", month));
    close_site(&site);
}

static void web_page_asks_once_for_many(void **state)
{
    struct world *world = *state;
    const char *none[] = {NULL};
    const char *kept[] = {"range", "90d", NULL}; /* for minutes */
    struct site site = open_site(world, "/nonexistent");
    json_t *first = ask(&site, 200, "/api/stats", kept);
    json_t *second;

    redis_server_kill(world->server);
    second = ask(&site, 200, "/api/stats", kept);
    assert_string_equal(string_of(first, "at"), string_of(second, "at"));
    json_decref(first);
    json_decref(second);
    second = ask(&site, 503, "/api/list", none);
    assert_true(strlen(string_of(second, "error")) > 0);
    json_decref(second);
    json_decref(ask(&site, 503, "/api/domains", none));
    assert_true(redis_server_restart(world->server));
    close_site(&site);
}

static size_t walk_list(const struct site *site, const char *search)
{
    char cursor[32] = "";
    const char *arguments[] = {"search", search, "cursor", cursor, NULL};
    size_t found = 0;

    do {
        json_t *answer = ask(site, 200, "/api/list", arguments);

        found += json_array_size(json_object_get(answer, "entries"));
        (void)snprintf(cursor, sizeof cursor, "%s",
                       string_of(answer, "cursor"));
        json_decref(answer);
    } while (cursor[0] != '\0');
    return found;
}

static void web_page_searches_the_list(void **state)
{
    static const struct {
        const char *search;
        size_t found;
    } rows[] = {
        {"", 302},      {"ann", 300},     {"ANN.29", 11}, {"a*n", 1},
        {"[a-z]", 0},   {"?", 0},         {"\\", 0},      {"@example.net", 1},
        {"nobody@", 0}, {"suppress:", 0},
    };
    struct world *world = *state;
    struct site site = open_site(world, "/nonexistent");

    for (int i = 0; i < 300; i++) {
        char command[128];

        (void)snprintf(command, sizeof command,
                       "SET nixie:suppress:ann.%d@example.org x", i);
        world_operate(world, command);
    }
    world_operate(world, "SET nixie:suppress:a*n@example.net x");
    world_operate(world, "SET nixie:suppress@news:bob@example.com x");
    world_operate(world, "SET nixie:allow:ann@example.com x");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(walk_list(&site, rows[i].search), rows[i].found);
    }
    close_site(&site);
}

static void web_page_tells_entries_as_they_are(void **state)
{
    static const char *const words[] = {
        "HSET", "nixie:suppress:evil@example.com",
        "note", HOSTILE "\x1b\xff",
        "mode", "observe"};
    struct world *world = *state;
    const char *arguments[] = {"search", "Evil@Example.COM", NULL};
    struct site site = open_site(world, "/nonexistent");
    json_t *answer;
    json_t *entry;

    world_operate_bytes(world, 6, words, NULL);
    answer = ask(&site, 200, "/api/list", arguments);
    entry = json_array_get(json_object_get(answer, "entries"), 0);
    assert_string_equal(string_of(entry, "note"), HOSTILE "\x1b\xef\xbf\xbd");
    assert_string_equal(string_of(entry, "mode"), "observe");
    assert_true(json_is_true(json_object_get(entry, "matches")));
    json_decref(answer);
    close_site(&site);
}

static void web_page_tells_a_recipient(void **state)
{
    struct world *world = *state;
    const char *arguments[] = {"address", "Ann@Example.org", NULL};
    const char *wrong[] = {"address", "@example.org", NULL};
    struct site site = open_site(world, "/nonexistent");
    json_t *answer;

    world_operate(world, "SET nixie:suppress:ann@example.org phone");
    answer = ask(&site, 200, "/api/recipient", arguments);
    assert_string_equal(string_of(answer, "mailbox"), "ann@example.org");
    assert_string_equal(string_of(answer, "decision"), "suppressed");
    json_decref(answer);
    json_decref(ask(&site, 400, "/api/recipient", wrong));
    close_site(&site);
}

static void web_page_tells_the_latest_changes(void **state)
{
    const char *none[] = {NULL};
    char path[] = "/tmp/nixie-page-XXXXXX";
    int file = mkstemp(path);
    FILE *stream = fdopen(file, "w");
    struct site site = open_site(*state, path);
    json_t *answer;
    json_t *rows;

    assert_non_null(stream);
    for (int i = 0; i < 20; i++) {
        (void)fprintf(stream,
                      "{\"schema\":\"nixie/1\",\"seq\":%d,\"timestamp\":"
                      "\"2026-11-22T00:00:00.000000Z\",\"event_id\":"
                      "\"019aa7c2-0000-7000-8000-000000000000\",\"type\":"
                      "\"suppression_added\",\"node\":\"a\",\"instance\":"
                      "\"0123456789abcdef\",\"suppression_pattern\":"
                      "\"ann%d@example.org\"}\n",
                      i, i);
        (void)fputs("{\"type\":\"suppression_added\"}\n", stream);
    }
    (void)fputs("{\"type\":\"suppression_", stream); /* it is being written */
    assert_int_equal(fclose(stream), 0);
    answer = ask(&site, 200, "/api/recent", none);
    rows = json_object_get(answer, "rows");
    assert_int_equal(json_array_size(rows), 12);
    assert_string_equal(string_of(json_array_get(rows, 0), "pattern"),
                        "ann19@example.org");
    json_decref(answer);
    close_site(&site);
    assert_int_equal(unlink(path), 0);
}

/* --- many at once --------------------------------------------------------- */

static void *ask_often(void *context)
{
    const char *none[] = {NULL};
    const char *week[] = {"range", "7d", NULL};

    for (int i = 0; i < 20; i++) {
        struct web_reply reply;

        (void)ask_bytes(context, i % 2 == 0 ? "/api/stats" : "/api/domains",
                        i % 3 == 0 ? week : none, &reply);
        free(reply.body);
        if (reply.status != 200) {
            return context;
        }
    }
    return NULL;
}

static void web_page_answers_many_at_once(void **state)
{
    struct site site = open_site(*state, "/nonexistent");
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &site),
                         0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *fault;

        assert_int_equal(pthread_join(threads[i], &fault), 0);
        assert_null(fault);
    }
    close_site(&site);
}

#define WITH_EMPTY(test) cmocka_unit_test_setup(test, world_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EMPTY(web_page_serves_its_files),
        WITH_EMPTY(web_page_tells_stats_of_the_last_hours),
        WITH_EMPTY(web_page_asks_once_for_many),
        WITH_EMPTY(web_page_searches_the_list),
        WITH_EMPTY(web_page_tells_entries_as_they_are),
        WITH_EMPTY(web_page_tells_a_recipient),
        WITH_EMPTY(web_page_tells_the_latest_changes),
        WITH_EMPTY(web_page_answers_many_at_once),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests_name("web_page", tests, world_start,
                                       world_stop);
}
