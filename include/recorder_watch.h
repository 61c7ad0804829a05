/*
 * recorder_watch.h - what the script does, where scripts are forbidden
 *
 * WATCH and questions, then MULTI to EXEC: what the script reads is read
 * first, and what it decides is decided here. Another's write in between, or
 * that of a command of ours thought lost, makes EXEC do nothing.
 *
 * Threads  a struct recorder_watch belongs to one.
 */
#ifndef NIXIE_RECORDER_WATCH_H
#define NIXIE_RECORDER_WATCH_H

#include "error.h"
#include "recorder_script.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_PARTS 48 /* most of a call: its questions go in one pipeline */

struct recorder_watch; /* its memory is used again by the next call */
struct recorder_watch *recorder_watch_new(void);        /* NULL: no memory */
void recorder_watch_free(struct recorder_watch *watch); /* or NULL */

/*
 * Does one call of at most WATCH_PARTS parts and waits for it. When it is
 * REFUSED, *fault and error tell; UNKNOWN: the link is closed.
 */
void recorder_watch_apply(struct recorder_watch *watch, struct redis_link *link,
                          int64_t deadline_ms,
                          const struct recorder_owner *owner,
                          const struct recorder_call *call,
                          struct recorder_result *result,
                          enum redis_fault *fault, struct error *error);

#endif
