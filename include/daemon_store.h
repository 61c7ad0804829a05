/*
 * daemon_store.h - what nixied does with Redis, put together
 *
 * Lookups of the lists, the recorder, what is decided when it has caught up,
 * and the events that tell of Redis going and coming back.
 *
 * Owner    endpoint, log and settings are borrowed for ever: callbacks of
 *          libmilter may run until the process ends.
 * Threads  _start() and _stop() from one; the others from any.
 */
#ifndef NIXIE_DAEMON_STORE_H
#define NIXIE_DAEMON_STORE_H

#include "error.h"
#include "event_log.h"
#include "forgotten.h"
#include "recorder.h"
#include "settings_share.h"
#include "suppression.h"
#include "unclassified.h"

#include <stdbool.h>
#include <stdint.h>

struct daemon_store_options {
    struct settings_share *settings;
    struct event_log *log;
    const char *instance;
    struct forgotten *forgotten;
    const struct pseudonym_key *pseudonyms; /* or NULL */
};

struct daemon_store;

/* New and running, or NULL with error. Redis may be away. */
struct daemon_store *
daemon_store_start(const struct daemon_store_options *options,
                   struct error *error);

struct suppression *daemon_store_list(struct daemon_store *store);
struct unclassified *daemon_store_unclassified(struct daemon_store *store);

void daemon_store_cache_state(struct daemon_store *store,
                              struct suppression_cache_state *state);

/* True once everything up to seq is in Redis; false after timeout_ms. */
bool daemon_store_wait(struct daemon_store *store, int64_t seq, int timeout_ms);

void daemon_store_state(struct daemon_store *store,
                        struct recorder_state *state);

/* False while the breaker of the lookups is open. */
bool daemon_store_answers(struct daemon_store *store);

/* The recorder applies what is there, for at most timeout_ms. NULL: nothing. */
void daemon_store_stop(struct daemon_store *store, int timeout_ms);

#endif
