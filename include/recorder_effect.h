/*
 * recorder_effect.h - what an event changes in Redis
 *
 * A function of the event alone: its own time, never now, so that applying
 * it late, again from a checkpoint, or on another host gives the same store.
 * Stats, history and lists all come from here; the script and its fallback
 * only carry them out.
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
    EFFECT_LAST,    /* HSET field, unless it holds something greater */
    EFFECT_IF_LAST, /* HSET (value "" : HDEL) field, when the EFFECT_LAST
                       of the same key before it did set */
    EFFECT_SET,     /* HSET key field value */
    EFFECT_DELETE,  /* DEL key */
    EFFECT_EXPIRE,  /* EXPIREAT key value (seconds since 1970) */
};

struct effect {
    unsigned bucket;
    enum effect_operation operation;
    struct store_key key;
    struct text field; /* borrowed from the event, or static */
    char field_buffer[96];
    char value_buffer[32];
    struct text value;
};

#define EFFECT_MAX 48 /* most effects of one event */

/* How many were filled; 0 for an event without effects. */
size_t recorder_effects(const char *prefix, const struct event *event,
                        struct effect effects[EFFECT_MAX]);

#endif
