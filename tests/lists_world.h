/*
 * lists_world.h - a Redis, its operator, and lookups, for tests of the lists
 *
 * Owner    the world is cmocka's group state: world_start(), world_stop().
 * Errors   what must work and does not fails the test.
 */
#ifndef NIXIE_TESTS_LISTS_WORLD_H
#define NIXIE_TESTS_LISTS_WORLD_H

#include "error.h"
#include "redis_endpoint.h"
#include "redis_link.h"
#include "redis_server.h"
#include "suppression.h"

#include <pthread.h>
#include <stdint.h>

#define TIMEOUT  500   /* ms: what a lookup gets where it must succeed */
#define DEADLINE 100   /* ms: where it must not */
#define SLACK    400   /* ms: what a loaded machine may add */
#define SOON     20000 /* ms: for what is awaited */

/* One Redis for the whole program; each test begins with it empty. */
struct world {
    struct redis_server *server;
    struct redis_endpoint *endpoint;
    struct redis_link *redis_cli; /* the operator's */
};
int world_start(void **state);
int world_empty(void **state); /* the setup of each test */
int world_stop(void **state);

/* A command as one types it, in words with single blanks; or in bytes. */
void world_operate(struct world *world, const char *command);
void world_operate_bytes(struct world *world, size_t argc,
                         const char *const *argv, const size_t *lengths);

/* What store_changed() told. */
struct news {
    pthread_mutex_t lock;
    pthread_cond_t came;
    unsigned opened, closed;
    char cause[ERROR_SIZE];
};
void news_init(struct news *news);
void news_take(void *context, bool available, const char *error);

/* Until the breaker has opened and closed as often; more fails the test. */
void news_await(struct news *news, unsigned opened, unsigned closed);

/* Lookups with the prefix "nixie:"; news may be NULL. */
struct suppression *lists_new(struct redis_endpoint *endpoint, int timeout_ms,
                              int connections, struct news *news);
struct mailbox lists_mailbox(const char *address);

/* The result must be one with an answer. */
enum suppression_result lists_find(struct suppression *list,
                                   const char *address, const char *scope,
                                   struct suppression_entry *entry);

/* It must be UNAVAILABLE; how long that took in ms, and why. */
int64_t lists_find_nothing(struct suppression *list, struct error *error);

#endif
