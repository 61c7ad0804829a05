/*
 * top.h - what happened in the last quarter of an hour, to be looked at
 *
 * Takes events one by one and forgets them after TOP_WINDOW_S.
 *
 * Bounds   TOP_DOMAINS domains with failures, the one that failed longest ago
 *          goes first; TOP_CHANGES changes of the list.
 * Units    at_us and now_us: microseconds since 1970, never going back much.
 * Threads  one.
 */
#ifndef NIXIE_TOP_H
#define NIXIE_TOP_H

#include "event.h"
#include "mailbox.h"
#include "reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_WINDOW_S 900
#define TOP_MINUTES  (TOP_WINDOW_S / 60)
#define TOP_DOMAINS  2048
#define TOP_CHANGES  64
#define TOP_TEXT_MAX 400 /* of a text, printable ASCII */

struct top;

struct top *top_new(void);      /* NULL when out of memory */
void top_free(struct top *top); /* or NULL */

/* An event that counts as of at_us: when it was read, or when it happened. */
void top_take(struct top *top, const struct event *event, int64_t at_us);

/* How many of a type in the last seconds, up to TOP_WINDOW_S. */
uint64_t top_count(const struct top *top, enum event_type type, int seconds,
                   int64_t now_us);

struct top_domain {
    char domain[MAILBOX_DOMAIN_MAX + 1];
    uint64_t failures, delays;    /* in the window */
    char reason[REASON_NAME_MAX]; /* of the last one; "": unknown */
};

/* Those with most failures, then most delays; returns how many. */
size_t top_worst(const struct top *top, int64_t now_us,
                 struct top_domain *worst, size_t size);

struct top_change {
    int64_t timestamp_us;
    char pattern[TOP_TEXT_MAX];
    char reason[TOP_TEXT_MAX];
    char origin[16];
};

/* Additions to the suppression list; 0 is the newest; NULL past the last. */
const struct top_change *top_added(const struct top *top, size_t index);

struct top_state {
    char node[TOP_TEXT_MAX];
    int64_t last_seq; /* of the last event; 0: none yet */
    /* by the last heartbeat; its time is 0 when there was none */
    int64_t heartbeat_us, applied_seq, lag_seconds;
    bool store_known, store_down; /* by the last record about it */
    char store_error[TOP_TEXT_MAX];
};
void top_state(const struct top *top, struct top_state *state);

#endif
