/*
 * recorder_script.h - a batch of effects as one atomic step in Redis
 *
 * The script compares the checkpoint of bucket and instance with what we
 * expect, moves it, and applies the effects. What moves the checkpoint must
 * not fail behind it: to the keys Redis wants rights at once, and those to the
 * commands are asked for first (Redis 7 and later); without them the call is
 * refused and nothing is written. Redis 6 cannot be asked, and a selector may
 * allow a command on some keys only: then effects are lost, which the result
 * says.
 *
 * Checkpoints are decimal numbers; "" stands for a field that is absent,
 * which is not the same as "0" (registered, nothing applied).
 *
 * Owner    arguments are borrowed until the call returns.
 * Threads  a struct recorder_script belongs to one.
 */
#ifndef NIXIE_RECORDER_SCRIPT_H
#define NIXIE_RECORDER_SCRIPT_H

#include "recorder_window.h"
#include "redis_link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECKPOINT_ABSENT  INT64_C(-1)
#define CHECKPOINT_DAMAGED INT64_C(-2) /* not a number of ours */
#define CHECKPOINT_SIZE    24

/* "" of CHECKPOINT_ABSENT. */
void recorder_checkpoint_format(int64_t checkpoint, char text[CHECKPOINT_SIZE]);
int64_t recorder_checkpoint_parse(struct text text);

/* Whose checkpoints. */
struct recorder_owner {
    const char *prefix;
    const char *instance;
};

/* What came of a call. */
enum recorder_outcome {
    OUTCOME_UNKNOWN, /* no answer: it may happen yet */
    OUTCOME_APPLIED,
    OUTCOME_ELSEWHERE, /* the checkpoint is not what we expected */
    OUTCOME_REFUSED,   /* an error reply: nothing was done */
};

#define RECORDER_KEY_SHOWN 160

/* Effects that Redis refused. */
struct recorder_refusal {
    uint64_t count;
    char key[RECORDER_KEY_SHOWN]; /* of the first of them, escaped, */
    char error[160];              /* why, */
    const char *commands;         /* and what of; static */
};

struct recorder_result {
    enum recorder_outcome outcome;
    struct recorder_refusal dead; /* somebody's value: another type, or a
                                     counter that cannot be added to */
    struct recorder_refusal lost; /* anything else: somebody must act */
};

/* Counts one; the first is described. */
void recorder_refusal_add(struct recorder_refusal *refusal,
                          const struct window_operation *operation,
                          struct text error);

struct recorder_script; /* its memory is used again by the next call */
struct recorder_script *recorder_script_new(void);         /* NULL: no memory */
void recorder_script_free(struct recorder_script *script); /* or NULL */

enum recorder_script_form {
    SCRIPT_EVALSHA,
    SCRIPT_EVAL, /* Redis keeps the script for the EVALSHAs behind it */
};

/* Adds the call to what link sends. False: no memory. */
bool recorder_script_send(struct recorder_script *script,
                          struct redis_link *link,
                          enum recorder_script_form form,
                          const struct recorder_owner *owner,
                          const struct recorder_call *call);

/*
 * Of the reply to it. An effect that stands for several, see recorder_merge.h,
 * is refused once.
 */
void recorder_script_result(struct recorder_script *script,
                            const redisReply *reply,
                            const struct recorder_call *call,
                            struct recorder_result *result);

#endif
