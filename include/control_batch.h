/*
 * control_batch.h - thousands of changes in one request, with one answer
 *
 * On the socket of control.h a conversation may begin with {"batch":N}: N
 * requests follow, and one answer {"logged":N,"seq":S,"applied":true}, or
 * {"error":"…","logged":K}: the first K are in the log. nixied logs them in
 * pieces of CONTROL_PIECE, and serves the next client behind the batch.
 *
 * Threads  one.
 */
#ifndef NIXIE_CONTROL_BATCH_H
#define NIXIE_CONTROL_BATCH_H

#include "control.h"

#define CONTROL_BATCH_MAX 2000

struct control_batch;

struct control_batch *control_batch_new(void);        /* NULL: out of memory */
void control_batch_free(struct control_batch *batch); /* takes it, or NULL */

/* Drops all requests, and the connection. */
void control_batch_clear(struct control_batch *batch);

/* At most CONTROL_BATCH_MAX. False with error: it is none nixied would take. */
bool control_batch_add(struct control_batch *batch, const struct event *event,
                       struct error *error);
size_t control_batch_count(const struct control_batch *batch);

/* Sends all, and does not wait for the answer. */
enum control_result control_batch_send(struct control_batch *batch,
                                       const char *state_dir, int timeout_ms,
                                       struct error *error);

/* Waits for it. *logged is how many are in the log, for sure. */
enum control_result control_batch_wait(struct control_batch *batch,
                                       int timeout_ms,
                                       struct control_answer *answer,
                                       size_t *logged, struct error *error);

#endif
