/*
 * recorder_effect_make.h - making the effects of an event, one by one
 *
 * Within the family of recorder_effect only. Effects go to the key in hand;
 * what is beyond EFFECT_MAX is left out, which a test denies.
 *
 * Owner    texts that are put are borrowed by the effect, as are the event's;
 *          those of the _own and _joined kind are copied into it.
 * Threads  one.
 */
#ifndef NIXIE_RECORDER_EFFECT_MAKE_H
#define NIXIE_RECORDER_EFFECT_MAKE_H

#include "clock.h"
#include "recorder_effect.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EFFECT_REASON_MAX 64 /* bytes of a reason in the name of a field */
#define EFFECT_HOUR_SIZE  11 /* YYYYMMDDHH and NUL */

struct making {
    const char *prefix;
    const struct event *event;
    struct effect *effects;
    size_t count;
    /* of the next effect */
    unsigned bucket;
    struct store_key key;
    bool conditional;
    /* of the event */
    struct text scope; /* whose list it is about; unknown: that for all, or
                          STORE_SCOPE_ALL when it is a request */
    char timestamp[CLOCK_TIMESTAMP_SIZE];
    char hour[EFFECT_HOUR_SIZE];
    int64_t seconds;
};

bool making_knows(struct text text); /* neither absent nor empty */

/* Somebody says so in a message: trace tells how far it is believed. */
bool making_is_report(const struct making *making);

/* At most limit bytes, and no UTF-8 sequence of them halved. */
struct text making_bounded(struct text text, size_t limit);

/* Takes this key of the bucket in hand; false: the name does not fit. */
bool making_key(struct making *making, enum store_history kind,
                struct text name);

/* The strikes of an address, in the scope of the event. */
bool making_strikes_key(struct making *making, struct text address);

/* The next effect, or NULL. */
struct effect *making_put(struct making *making,
                          enum effect_operation operation, const char *field,
                          struct text value);

/* The same with a value of our own making; */
struct effect *making_put_own(struct making *making,
                              enum effect_operation operation,
                              const char *field, const char *value);
/* with a number; */
struct effect *making_put_number(struct making *making,
                                 enum effect_operation operation,
                                 const char *field, int64_t value);

/* Gives an effect (or NULL) the field left, between, right; or the value. */
void making_join(struct effect *effect, struct text left, const char *between,
                 struct text right);
void making_join_value(struct effect *effect, struct text left,
                       const char *between, struct text right);

/* Of the recipient's hash: with "@" and the scope behind its name. */
void making_put_scoped(struct making *making, enum effect_operation operation,
                       const char *field, struct text value);

/* Counts one in the stats of the event's hour, in the bucket in hand. */
void making_put_stats(struct making *making);

/* ---- what the recipient and its domain have of an event ---- */

/* All of them go on from the bucket in hand, its recipient's: */
void making_recipient_delivered(struct making *making);
void making_recipient_failed(struct making *making);
/* nothing is due any more; strikes: those are forgotten as well. */
void making_settle(struct making *making, struct text address, bool strikes);

/* or that of its domain. */
void making_domain_delivered(struct making *making);
void making_domain_failed(struct making *making);

/* Of these the bucket is their own. */
void making_withheld(struct making *making);
void making_domain_down(struct making *making);
void making_domain_up(struct making *making);
void making_breaker(struct making *making);
void making_forgotten(struct making *making);

#endif
