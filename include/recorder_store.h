/*
 * recorder_store.h - the recorder's connection: checkpoints and calls
 *
 * Knows how a call is carried out (by the script, or where that is forbidden
 * with WATCH) and what an error reply asks of us; what a checkpoint means,
 * the caller knows.
 *
 * Waits    at most STORE_CONNECT_MS for a connection, STORE_ANSWER_MS for
 *          the answers to a pipeline; not beyond recorder_store_end_by().
 * Errors   fill error and are the result; nothing is logged here but that
 *          scripts are forbidden.
 * Threads  one, but for recorder_store_end_by().
 */
#ifndef NIXIE_RECORDER_STORE_H
#define NIXIE_RECORDER_STORE_H

#include "error.h"
#include "recorder_script.h"
#include "recorder_window.h"
#include "redis_endpoint.h"

#include <stdbool.h>
#include <stdint.h>

#define STORE_CONNECT_MS 2000
#define STORE_ANSWER_MS  3000

/* From good to bad; of several the worst counts. */
enum store_result {
    STORE_DONE,
    STORE_ELSEWHERE, /* a checkpoint is not what we expected: look at all */
    STORE_BUSY,      /* wait a little and try again */
    STORE_LOST,      /* closed, the outcome is unknown: connect, look at all */
    STORE_REFUSED,   /* login, rights, cluster, an error we do not know: only
                        somebody's help will end it */
};

struct recorder_store;

/* New and closed; endpoint and prefix are borrowed. NULL: no memory. */
struct recorder_store *recorder_store_new(struct redis_endpoint *endpoint,
                                          const char *prefix);
void recorder_store_free(struct recorder_store *store); /* or NULL */

bool recorder_store_is_open(const struct recorder_store *store);
enum store_result recorder_store_open(struct recorder_store *store,
                                      struct error *error);
void recorder_store_close(struct recorder_store *store);

/* No wait that begins from now on lasts longer than until then. */
void recorder_store_end_by(struct recorder_store *store, int64_t at_ms);

/*
 * The checkpoints of an instance; CHECKPOINT_ABSENT and _DAMAGED are among
 * them. watch: until recorder_store_adopt() or _unwatch().
 */
enum store_result recorder_store_look(struct recorder_store *store,
                                      const char *instance, bool watch,
                                      int64_t checkpoints[STORE_BUCKETS],
                                      struct error *error);
enum store_result recorder_store_unwatch(struct recorder_store *store,
                                         struct error *error);

/* Writes 0 for each that is absent: from now on an absent one was removed. */
enum store_result recorder_store_register(struct recorder_store *store,
                                          const char *instance,
                                          struct error *error);

/*
 * Writes those that are not CHECKPOINT_ABSENT, unless one has changed since
 * recorder_store_look() with watch: then STORE_ELSEWHERE.
 */
enum store_result recorder_store_adopt(struct recorder_store *store,
                                       const char *instance,
                                       const int64_t adopted[STORE_BUCKETS],
                                       struct error *error);

/* How much of a bucket goes in one call: less without scripts. */
#define STORE_CALL_BYTES ((size_t)256 * 1024)
size_t recorder_store_call_parts(const struct recorder_store *store);

/* Carries out calls of different buckets; a result for each. */
enum store_result recorder_store_apply(struct recorder_store *store,
                                       const char *instance,
                                       const struct recorder_call *calls,
                                       struct recorder_result *results,
                                       size_t count, struct error *error);

#endif
