/*
 * command_check_redis.h - what a Redis that answers may still be wrong about
 *
 * Source   INFO, CONFIG GET, TIME; what is unknown is said nothing of.
 * Units    _ms milliseconds, _s seconds.
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_CHECK_REDIS_H
#define NIXIE_COMMAND_CHECK_REDIS_H

#include "command_check.h"
#include "command_store.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of "name:value" on a line of INFO; false when it has none. */
bool command_check_info(struct text info, const char *name, char *value,
                        size_t size);

struct check_redis {
    struct text info;
    bool clock_known;
    int64_t ahead_ms;    /* its clock, of this host's */
    int64_t timeout_s;   /* ends idle connections; 0: never, or unknown */
    int database;        /* ours */
    int elsewhere;       /* another one that has entries of our lists; or -1 */
    const char *example; /* one of these */
};

/* Says what these facts mean. */
void command_check_redis_facts(struct check *check,
                               const struct check_redis *facts);

/* Collects them; info is INFO's answer. */
void command_check_redis(struct check *check, struct command_store *store,
                         struct text info);

#endif
