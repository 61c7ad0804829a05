/*
 * command_world.h - a subcommand of nixie run within a test
 *
 * Owner    output is the caller's.
 * Errors   what must work and does not fails the test.
 */
#ifndef NIXIE_TESTS_COMMAND_WORLD_H
#define NIXIE_TESTS_COMMAND_WORLD_H

#include "command.h"
#include "lists_world.h"

#include <stdbool.h>

#define COMMAND_OUTPUT_MAX 65536

struct command_run {
    const struct command *command;
    const char *values[COMMAND_OPTIONS_MAX]; /* as its options */
    const char *argument;                    /* NULL: none */
    bool json;
    const char *state_dir; /* NULL: a folder that is not there */
    const char *event_log; /* NULL: a file that is not there */
};

/* What it prints; complaints go nowhere. */
enum command_status command_world_run(const struct world *world,
                                      const struct command_run *run,
                                      char output[COMMAND_OUTPUT_MAX]);

/* The key of a name of the history; static until the next call. */
const char *command_world_key(enum store_history kind, const char *owner,
                              const char *name);

/* HSET, ZADD, LPUSH key field value with any bytes but NUL; value may be "". */
void command_world_put(struct world *world, const char *verb, const char *key,
                       const char *field, const char *value);

#endif
