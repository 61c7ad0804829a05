/*
 * recorder_watch_held.h - what a watched call has read, and makes of it
 *
 * Fields and sorted sets that tests of the call look at, as Redis has them
 * and as the call's own effects change them on the way: what the script
 * finds there, without asking again. Within the family of recorder_watch.
 *
 * Owner    operations are borrowed until the next clear; replies are taken.
 * Threads  one.
 */
#ifndef NIXIE_RECORDER_WATCH_HELD_H
#define NIXIE_RECORDER_WATCH_HELD_H

#include "recorder_window.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

struct watch_held;

struct watch_held *watch_held_new(size_t most); /* NULL: no memory */
void watch_held_free(struct watch_held *held);  /* or NULL */
void watch_held_clear(struct watch_held *held);

/* What an operation looks at. */
enum watch_look { LOOK_NOWHERE, LOOK_FIELD, LOOK_SET, LOOK_KEY };
enum watch_look watch_held_look(const struct window_operation *operation);

/*
 * Notes that the operation looks somewhere; false when that is known, or it
 * looks nowhere. Of those that are true the replies are wanted, in order:
 * to HGET of the field, to ZRANGEBYSCORE WITHSCORES of all the set, to EXISTS
 * of the key.
 */
bool watch_held_add(struct watch_held *held,
                    const struct window_operation *operation);
size_t watch_held_count(const struct watch_held *held);
/* False: no memory. */
bool watch_held_reply(struct watch_held *held, size_t index, redisReply *reply);

enum watch_verdict {
    VERDICT_HOLDS, /* of FIRST and LAST: the field is to be set */
    VERDICT_FAILS,
    VERDICT_DAMAGED, /* what it looks at is of another type */
    VERDICT_NO_MEMORY,
};

/*
 * Of an operation that looks somewhere. *writes, of FIRST, LAST, STRIKE and
 * ONCE: it is to be sent; but for ONCE the change it makes is known then.
 */
enum watch_verdict watch_held_judge(struct watch_held *held,
                                    const struct window_operation *operation,
                                    bool *writes);

/* The change of one that looks nowhere, or of ONCE. False: no memory. */
bool watch_held_change(struct watch_held *held,
                       const struct window_operation *operation, int64_t now_s);

#endif
