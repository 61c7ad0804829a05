/*
 * redis_master_watch.h - asks the sentinels all the time who is master
 *
 * A master that they have replaced, but we still reach, breaks no connection:
 * what we learn from it is of the past, and nobody would know. Once a second
 * most of the sentinels are believed; the endpoint's era tells the others.
 *
 * Threads  one of its own.
 */
#ifndef NIXIE_REDIS_MASTER_WATCH_H
#define NIXIE_REDIS_MASTER_WATCH_H

#include "error.h"
#include "redis_endpoint.h"

#include <stdbool.h>

#define REDIS_MASTER_WATCH_MS 1000

struct redis_master_watch;

/* New and running, endpoint is borrowed for its life; NULL with error. */
struct redis_master_watch *
redis_master_watch_start(struct redis_endpoint *endpoint, struct error *error);
void redis_master_watch_stop(struct redis_master_watch *watch); /* or NULL */

#endif
