#include "quarantine_world.h"

#include "clock.h"
#include "event_cursor.h"
#include "event_json.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* One Redis for all tests; each begins with it empty. */
static struct redis_server *server;

struct redis_endpoint *new_endpoint(const char *location)
{
    struct redis_endpoint_options options = {.user = "", .password_file = ""};
    struct error error;
    struct redis_endpoint *endpoint;

    options.location = location;
    endpoint = redis_endpoint_new(&options, &error);
    assert_non_null(endpoint);
    return endpoint;
}

void do_redis(struct world *world, size_t argc, const char *const *argv,
              const size_t *lengths)
{
    int64_t deadline_ms = clock_monotonic_ms() + SOON_MS;
    struct error error = {""};
    redisReply *reply = NULL;

    if (redis_link_open(world->redis, deadline_ms, &error)) {
        reply = redis_link_ask(world->redis, deadline_ms, &error, argc, argv,
                               lengths);
    }
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        fail_msg("%s: %s", argv[0], reply == NULL ? error.text : reply->str);
    }
    freeReplyObject(reply);
}

int begin_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct quarantine_options options = {.key_prefix = PREFIX};
    struct error error;
    void *place = NULL;

    assert_non_null(world);
    assert_int_equal(place_make(&place), 0);
    world->place = place;
    place_start(world->place);
    world->endpoint = new_endpoint(redis_server_location(server));
    world->redis = redis_link_new(world->endpoint);
    world->set = settings_load(NULL, &error);
    assert_non_null(world->set);
    world->share = settings_share_new(world->set);
    assert_non_null(world->share);
    options.endpoint = world->endpoint;
    options.settings = world->share;
    options.log = world->place->log;
    world->quarantine = quarantine_new(&options);
    assert_non_null(world->quarantine);
    world->lines = json_array();
    REDIS(world, "FLUSHALL");
    *state = world;
    return 0;
}

int end_world(void **state)
{
    struct world *world = *state;
    void *place = world->place;

    json_decref(world->lines);
    quarantine_free(world->quarantine);
    settings_share_free(world->share);
    redis_link_free(world->redis);
    redis_endpoint_free(world->endpoint);
    free(world);
    return place_remove(&place);
}

const char *me(const struct world *world)
{
    return instance_id(world->place->instance);
}

void run(struct world *world)
{
    const char *const instances[] = {me(world), NULL};

    quarantine_run(world->quarantine, instances);
}

/* ---- what the recorder writes ---- */

unsigned bucket_of(const char *name)
{
    return store_bucket(name, strlen(name));
}

struct store_key key_of(enum store_history kind, unsigned bucket,
                        const char *name)
{
    struct store_key key;

    assert_true(store_key_history(PREFIX, bucket, kind, text_of(name), &key));
    return key;
}

/* Due by this instance: NULL for none. */
void put_due_by(struct world *world, const char *address, const char *reason,
                const char *instance)
{
    REDIS(world, "HSET", BUCKET_KEY(DUE, address), address, reason);
    REDIS(world, "HSET", KEY(RECIPIENT, address), "last_at", LAST, "bounces",
          "1");
    REDIS(world, "ZADD", KEY(STRIKES, address), "1", "1", "2", "2", "3", "3",
          "4", "4", "5", "5");
    if (instance != NULL) {
        REDIS(world, "HSET", KEY(RECIPIENT, address), "due_by", instance);
    }
}

void put_due(struct world *world, const char *address, const char *reason)
{
    put_due_by(world, address, reason, me(world));
}

void put_domain(struct world *world, const char *domain, const char *value)
{
    char field[300];

    (void)snprintf(field, sizeof field, "@%s", domain);
    REDIS(world, "HSET", BUCKET_KEY(DUE, domain), field, value);
    REDIS(world, "HSET", KEY(DOMAIN, domain), "due_by", me(world),
          "failing_since", LAST, "last_failure_reason", "unreachable",
          "down_since", "2026-05-27T01:02:03.000004Z");
}

static void put_count(struct world *world, const char *bucket_name,
                      const char *hour, const char *field, const char *count)
{
    REDIS(world, "HSET", key_of(STORE_HOUR, bucket_of(bucket_name), hour).text,
          field, count);
}

void put_counts(struct world *world, const char *domain, const char *hour,
                const char *reason, const char *failures,
                const char *deliveries)
{
    char field[300];

    (void)snprintf(field, sizeof field, "%s|%s", domain, reason);
    put_count(world, domain, hour, field, failures);
    (void)snprintf(field, sizeof field, "|%s", reason);
    put_count(world, domain, hour, field, failures);
    (void)snprintf(field, sizeof field, "%s|deliveries", domain);
    put_count(world, domain, hour, field, deliveries);
    put_count(world, domain, hour, "|deliveries", deliveries);
}

void put_breaker(struct world *world, const char *domain, const char *reason,
                 int64_t expires_us, const char *instance)
{
    char at[CLOCK_TIMESTAMP_SIZE];
    char field[300];
    char value[64];

    clock_format(expires_us, at);
    (void)snprintf(field, sizeof field, "%s|%s", domain, reason);
    (void)snprintf(value, sizeof value, "%s %s", at, instance);
    REDIS(world, "HSET", BUCKET_KEY(BREAKER, domain), field, value);
}

/* ---- what the log says, and what the recorder does with it ---- */

const char *member(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static void read_lines(struct world *world)
{
    struct event_cursor *cursor = event_cursor_new(
        open(world->place->event_log, O_RDONLY | O_CLOEXEC), world->read);
    const char *bytes;
    size_t length;

    assert_non_null(cursor);
    while (event_cursor_next(cursor, &bytes, &length) == EVENT_CURSOR_LINE) {
        json_t *line = json_loadb(bytes, length, 0, NULL);

        assert_non_null(line);
        assert_true(length < EVENT_LINE_MAX);
        if (json_object_get(line, "origin") != NULL) {
            assert_int_equal(json_array_append(world->lines, line), 0);
        }
        json_decref(line);
    }
    world->read = event_cursor_offset(cursor);
    event_cursor_free(cursor);
}

/* Of the event log, so far. */
size_t count_lines(struct world *world)
{
    read_lines(world);
    return json_array_size(world->lines);
}

const json_t *line_at(struct world *world, size_t index)
{
    read_lines(world);
    if (index >= json_array_size(world->lines)) {
        fail_msg("there is no line %zu", index);
    }
    return json_array_get(world->lines, index);
}

/* All members named have these values; null: there is none. */
void expect_line(struct world *world, size_t index, const char *json)
{
    const json_t *line = line_at(world, index);
    json_t *expected = json_loads(json, 0, NULL);
    const char *name;
    json_t *value;

    assert_non_null(expected);
    json_object_foreach(expected, name, value)
    {
        const json_t *found = json_object_get(line, name);

        if (json_is_null(value) ? found != NULL : !json_equal(found, value)) {
            char *text = json_dumps(line, 0);

            fail_msg("line %zu, %s: %s\nexpected: %s", index, name, text, json);
        }
    }
    json_decref(expected);
}

void expect_withheld(struct world *world, size_t index, const char *address,
                     const char *by)
{
    char json[600];

    (void)snprintf(json, sizeof json,
                   "{\"type\": \"suppression_withheld\", "
                   "\"recipient\": \"%s\", \"withheld_by\": \"%s\"}",
                   address, by);
    expect_line(world, index, json);
}

void expect_added(struct world *world, size_t index, const char *address)
{
    char json[600];

    (void)snprintf(json, sizeof json,
                   "{\"type\": \"suppression_added\", \"recipient\": \"%s\"}",
                   address);
    expect_line(world, index, json);
}

static void apply_breaker(struct world *world, const json_t *line, bool opened)
{
    const char *domain = member(line, "recipient_domain");
    char field[300];
    char value[64];

    domain = domain == NULL ? "*" : domain;
    (void)snprintf(field, sizeof field, "%s|%s", domain,
                   member(line, "reason"));
    if (opened) {
        (void)snprintf(value, sizeof value, "%s %s", member(line, "expires_at"),
                       me(world));
        REDIS(world, "HSET", BUCKET_KEY(BREAKER, domain), field, value);
    } else {
        REDIS(world, "HDEL", BUCKET_KEY(BREAKER, domain), field);
    }
}

static void apply_line(struct world *world, const json_t *line)
{
    const char *type = member(line, "type");
    const char *recipient = member(line, "recipient");
    const char *domain = member(line, "recipient_domain");
    char field[300];

    if (strncmp(type, "suppression_", 12) == 0) {
        REDIS(world, "HDEL", BUCKET_KEY(DUE, recipient), recipient);
        REDIS(world, "HDEL", KEY(RECIPIENT, recipient), "due_by");
    } else if (strncmp(type, "domain_", 7) == 0) {
        (void)snprintf(field, sizeof field, "@%s", domain);
        REDIS(world, "HDEL", BUCKET_KEY(DUE, domain), field);
        REDIS(world, "HDEL", KEY(DOMAIN, domain), "due_by");
    } else {
        apply_breaker(world, line, strcmp(type, "breaker_opened") == 0);
    }
}

void apply(struct world *world)
{
    size_t count = count_lines(world);

    for (; world->applied < count; world->applied++) {
        apply_line(world, json_array_get(world->lines, world->applied));
    }
}

/* When it is applied there is nothing more to say. */
void expect_end(struct world *world, size_t count)
{
    assert_int_equal(count_lines(world), count);
    apply(world);
    run(world);
    assert_int_equal(count_lines(world), count);
}

/* ---- what the operator reads ---- */

static void tell(enum log_level highest)
{
    log_open("test_quarantine", false, highest);
}

void listener_begin(struct listener *listener)
{
    int fd;

    (void)snprintf(listener->path, sizeof listener->path, "/tmp/told.XXXXXX");
    fd = mkstemp(listener->path);
    assert_true(fd >= 0);
    listener->standard_error = dup(STDERR_FILENO);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    (void)close(fd);
    tell(LOG_LEVEL_INFO);
}

/* How many lines hold these words. */
int listener_heard(struct listener *listener, const char *words)
{
    FILE *file = fopen(listener->path, "re");
    char line[4096];
    int heard = 0;

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        heard += strstr(line, words) != NULL ? 1 : 0;
    }
    (void)fclose(file);
    return heard;
}

void listener_end(struct listener *listener)
{
    tell(LOG_LEVEL_ERROR);
    (void)dup2(listener->standard_error, STDERR_FILENO);
    (void)close(listener->standard_error);
    (void)unlink(listener->path);
}

/* ---- the server ---- */

int server_start(void **state)
{
    (void)state;
    server = redis_server_start(NULL);
    tell(LOG_LEVEL_ERROR);
    return server == NULL ? -1 : 0;
}

struct redis_server *server_running(void)
{
    return server;
}

int server_stop(void **state)
{
    (void)state;
    redis_server_stop(server);
    server = NULL;
    return 0;
}
