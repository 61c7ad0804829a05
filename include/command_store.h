/*
 * command_store.h - Redis as the subcommands of nixie use it
 *
 * Waits    COMMAND_STORE_MS for each answer, connecting included.
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_STORE_H
#define NIXIE_COMMAND_STORE_H

#include "error.h"
#include "mailbox.h"
#include "redis_link.h"
#include "settings.h"
#include "store_key.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#include <hiredis/hiredis.h>

#define COMMAND_STORE_MS    5000
#define COMMAND_STORE_BATCH 64 /* keys asked in one round trip */

struct command_store;

/* New and connected, or NULL with error. */
struct command_store *command_store_open(const struct settings *settings,
                                         struct error *error);
/* The same, with an end to all that is asked of it (clock_monotonic_ms). */
struct command_store *command_store_open_until(const struct settings *settings,
                                               int64_t deadline_ms,
                                               struct error *error);
/* Borrowed; between an answer and the next question anybody may use it. */
struct redis_link *command_store_link(struct command_store *store);
void command_store_close(struct command_store *store); /* takes it, or NULL */

/* Adds a command of words and keys to what the next reply sends. */
bool command_store_add(struct command_store *store, size_t count,
                       const struct text *words, struct error *error);

/* The next reply, the caller's; it may be an error reply. NULL with error. */
redisReply *command_store_next(struct command_store *store,
                               struct error *error);

/* One command of C strings; an error reply is a failure too. */
redisReply *command_store_ask(struct command_store *store, struct error *error,
                              size_t count, const char *const *words);

struct text command_store_text(const redisReply *reply); /* unknown: no text */

/* 1 there, 0 not there, -1 with error. */
int command_store_exists(struct command_store *store,
                         const struct store_key *key, struct error *error);

/* A key of the lists, taken apart. Texts are borrowed from it. */
struct command_store_key {
    struct text scope; /* unknown: for all */
    struct text pattern;
    bool normal;            /* lookups find it */
    const char *doubt;      /* why they hardly will all the same; or NULL */
    struct store_key write; /* if not: what to write instead, or length 0 */
};

/* False when it is no key of that list at all. */
bool command_store_parse(const struct settings *settings, enum store_list list,
                         struct text key, struct command_store_key *parsed);

/* What is wrong with a pattern that is in normal form; or NULL. */
const char *command_store_doubt(struct text pattern);

/*
 * Walks the keys of a list, of scope (NULL: of every scope and of none).
 * visit gets up to a thousand or so at a time, some perhaps twice, and
 * returns whether to go on. False with error.
 */
struct command_store_walk {
    enum store_list list;
    const char *scope;
    bool (*visit)(void *context, const redisReply *keys);
    void *context;
};
bool command_store_walk(struct command_store *store,
                        const struct settings *settings,
                        const struct command_store_walk *walk,
                        struct error *error);

/* The pattern in the form that these settings look up; false: it is none. */
bool command_store_pattern(const struct settings *settings, struct text typed,
                           struct mailbox_pattern *pattern);

#endif
