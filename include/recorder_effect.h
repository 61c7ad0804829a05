/*
 * recorder_effect.h - what an event changes in Redis
 *
 * A function of the event alone: its own time, never now, so that applying
 * it late, again from a checkpoint, or on another host gives the same store.
 * Stats, history and lists all come from here; the script and its fallback
 * only carry them out.
 *
 * What depends on the store is said by tests: an effect that is conditional
 * happens when the last test before it held. A test that is conditional
 * itself narrows the one before; without the condition it begins anew.
 */
#ifndef NIXIE_RECORDER_EFFECT_H
#define NIXIE_RECORDER_EFFECT_H

#include "event.h"
#include "store_key.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

enum effect_operation {
    EFFECT_ADD,     /* HINCRBY key field value */
    EFFECT_FIRST,   /* HSET field, unless it holds something smaller */
    EFFECT_LAST,    /* HSET field, unless it holds something greater;
                       a test: it did set */
    EFFECT_SET,     /* HSET key field value (value "": HDEL) */
    EFFECT_DELETE,  /* DEL key */
    EFFECT_EXPIRE,  /* EXPIREAT key value (seconds since 1970) */
    EFFECT_EXTEND,  /* the same, unless the key lives longer */
    EFFECT_MARK,    /* ZADD key value field */
    EFFECT_UNMARK,  /* ZREM key field */
    EFFECT_FORGET,  /* ZREMRANGEBYSCORE key -inf value */
    EFFECT_PUSH,    /* LPUSH key value; the latest EFFECT_PUSHED stay */
    EFFECT_STRIKE,  /* ZADD key value field, unless it is there with a smaller
                       score; a test: it was not there */
    EFFECT_UNLESS,  /* a test: field is absent, or smaller than value */
    EFFECT_HAS,     /* a test: field is there */
    EFFECT_IS,      /* a test: field is value; of no hash it is not */
    EFFECT_ABSENT,  /* a test: the key is not there, of whatever type */
    EFFECT_REACHES, /* a test: field is a number, value or more */
    EFFECT_DUE,     /* a test: of the set's scores from field up to value[0],
                       there are value[1], on value[2] distinct days; field is
                       a bound of Redis: "(5" is beyond 5 */
    EFFECT_ONCE,    /* if the key is there, the effects behind it, field of
                       them, are left out; else HSET key, EXPIREAT key value */
};
#define EFFECT_PUSHED 3

#define EFFECT_FIELD_SIZE 400  /* a queue id, a blank, a mailbox; and NUL */
#define EFFECT_VALUE_SIZE 768  /* a line of evidence; and NUL */
#define EFFECT_VALUE_MAX  2000 /* of a borrowed value: the event's longest */

struct effect {
    unsigned bucket;
    enum effect_operation operation;
    bool conditional;
    struct store_key key;
    struct text field; /* borrowed from the event, static, or in the buffer */
    struct text value;
    char field_buffer[EFFECT_FIELD_SIZE];
    char value_buffer[EFFECT_VALUE_SIZE];
};

#define EFFECT_MAX 48 /* most effects of one event */

/* How many were filled; 0 for an event without effects. */
size_t recorder_effects(const char *prefix, const struct event *event,
                        struct effect effects[EFFECT_MAX]);

#endif
