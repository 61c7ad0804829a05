/*
 * suppression_database.h - whether the list was read from this database
 *
 * SWAPDB puts another database in the place of ours and names no keys. So each
 * has a token of chance, in the hash <prefix>{00}:database, made by whoever
 * finds none, and asked for twice a second.
 *
 * Where the key cannot be read nothing is noticed, where it cannot be written
 * only a change to a database that has one.
 *
 * Threads  one.
 */
#ifndef NIXIE_SUPPRESSION_DATABASE_H
#define NIXIE_SUPPRESSION_DATABASE_H

#include "redis_link.h"
#include "store_key.h"

#include <stdbool.h>
#include <stdint.h>

#define SUPPRESSION_DATABASE_TOKEN 33 /* with its NUL */

struct suppression_database {
    char key[STORE_PREFIX_MAX + sizeof "{00}:database"];
    char token[SUPPRESSION_DATABASE_TOKEN]; /* "": it has none */
    char drawn[SUPPRESSION_DATABASE_TOKEN]; /* ours, if it is to get one */
    bool is_known, has_none, is_refused, is_busy;
    int64_t asked_ms;
};

/* A new connection: nothing is known. */
void suppression_database_begin(struct suppression_database *database,
                                const char *key_prefix);

/* The list is read anew, from whatever database it is now. */
void suppression_database_forget(struct suppression_database *database);

/*
 * Whether it must be asked now; before the list is, if none is known. A server
 * that is busy, or a cluster that is down, is asked no faster for that.
 */
bool suppression_database_is_due(const struct suppression_database *database,
                                 int64_t now_ms);

/* Adds the command. False: no memory. */
bool suppression_database_ask(struct suppression_database *database,
                              struct redis_link *link, int64_t now_ms);

/* The reply to it. True: it is another database than the one known. */
bool suppression_database_take(struct suppression_database *database,
                               const redisReply *reply);

#endif
