/*
 * command_entry.h - an entry of the lists with all it holds, to be shown
 *
 * An operator may have written a key of any Redis type; of the long ones the
 * first hundred elements are shown.
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_ENTRY_H
#define NIXIE_COMMAND_ENTRY_H

#include "clock.h"
#include "command.h"
#include "command_store.h"
#include "error.h"
#include "store_key.h"

#include <stdint.h>

struct command_entry {
    char kind[32];     /* as TYPE says */
    int64_t left_ms;   /* below 0: it has no end */
    redisReply *value; /* of kinds that we know; or NULL */
};

/* 1 there, 0 not there, -1 with error; then command_entry_clear(). */
int command_entry_read(struct command_store *store, const struct store_key *key,
                       struct command_entry *entry, struct error *error);
void command_entry_clear(struct command_entry *entry);

/* When an entry ends of which PTTL says left_ms. */
void command_entry_expiry(int64_t left_ms,
                          char expires_at[CLOCK_TIMESTAMP_SIZE]);

/* Lines for people, indented; members of an object for programs. */
void command_entry_print(const struct command_entry *entry);
void command_entry_set(json_t *object, const struct command_entry *entry);

#endif
