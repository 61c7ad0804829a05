/*
 * quarantine_world.h - a Redis with what the recorder writes, an event log,
 * and who decides, for tests of the quarantine
 *
 * Owner    the world is a test's state: begin_world(), end_world().
 * Errors   what must work and does not fails the test.
 */
#ifndef NIXIE_TESTS_QUARANTINE_WORLD_H
#define NIXIE_TESTS_QUARANTINE_WORLD_H

#include "event_log_place.h"
#include "log.h"
#include "quarantine.h"
#include "redis_link.h"
#include "redis_server.h"
#include "settings_share.h"
#include "store_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define PREFIX    "nixie:"
#define OTHER     "00000000000000bb"
#define SOON_MS   20000
#define SKIP_TEST 77
#define DAY_S     INT64_C(86400)
#define HOUR_S    INT64_C(3600)
#define US        INT64_C(1000000)
#define LAST_US   INT64_C(1780000200000000) /* 2026-05-28T20:30:00Z */
#define LAST      "2026-05-28T20:30:00.000000Z"
#define HOUR      "2026052820"
#define HOUR_OLD  "2026052819"
#define EVIDENCE                                                               \
    "2026-05-28T20:30:00.000000Z 4bXk2s1Zq 1.2@example.com 550 5.1.1 "         \
    "user_unknown 550 5.1.1 no such user"

/* One Redis for all tests of a program; each test begins with it empty. */
int server_start(void **state);
struct redis_server *server_running(void);
int server_stop(void **state);

struct world {
    struct place *place;
    struct redis_endpoint *endpoint;
    struct redis_link *redis;
    struct settings *set; /* what share lends */
    struct settings_share *share;
    struct quarantine *quarantine;
    json_t *lines; /* of the event log, but for those about it */
    size_t applied;
    off_t read;
};

int begin_world(void **state);
int end_world(void **state);
struct redis_endpoint *new_endpoint(const char *location);

/* The operator types; lengths NULL: C strings. */
void do_redis(struct world *world, size_t argc, const char *const *argv,
              const size_t *lengths);

#define REDIS(world, ...)                                                      \
    do_redis(world,                                                            \
             sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *),     \
             (const char *[]){__VA_ARGS__}, NULL)

/* This instance, and a run that decides for it. */
const char *me(const struct world *world);
void run(struct world *world);

/* ---- what the recorder writes ---- */

unsigned bucket_of(const char *name);
struct store_key key_of(enum store_history kind, unsigned bucket,
                        const char *name);

#define KEY(kind, name)        key_of(STORE_##kind, bucket_of(name), name).text
#define BUCKET_KEY(kind, name) key_of(STORE_##kind, bucket_of(name), NULL).text

/* Due by this instance, or by another; NULL: by nobody. */
void put_due(struct world *world, const char *address, const char *reason);
void put_due_by(struct world *world, const char *address, const char *reason,
                const char *instance);
void put_domain(struct world *world, const char *domain, const char *value);
void put_counts(struct world *world, const char *domain, const char *hour,
                const char *reason, const char *failures,
                const char *deliveries);
void put_breaker(struct world *world, const char *domain, const char *reason,
                 int64_t expires_us, const char *instance);

/* ---- what the log says ---- */

size_t count_lines(struct world *world);
const json_t *line_at(struct world *world, size_t index);
const char *member(const json_t *line, const char *name);

/* All members named have these values; null: there is none. */
void expect_line(struct world *world, size_t index, const char *json);
void expect_withheld(struct world *world, size_t index, const char *address,
                     const char *by);
void expect_added(struct world *world, size_t index, const char *address);

/* Clears what the lines so far are about, as the recorder does. */
void apply(struct world *world);
/* So many lines, and when they are applied there is nothing more to say. */
void expect_end(struct world *world, size_t count);

/* ---- what the operator reads ---- */

struct listener {
    int standard_error;
    char path[64];
};

void listener_begin(struct listener *listener);
/* How many lines hold these words. */
int listener_heard(struct listener *listener, const char *words);
void listener_end(struct listener *listener);

#endif
