/*
 * delay_notice_work.h - notices that wait, and what becomes of them
 *
 * First come, first served; one that the MTA does not take is tried again
 * after 1, 5 and 20 minutes, then dropped and logged. While the MTA is not
 * reached nothing else is tried for a minute. A notice of which it is not
 * known whether it was taken is not tried again: none goes out twice.
 *
 * Units    now_ms of a clock that never steps, now_us since 1970.
 * Owner    a notice is the work's from _add() on.
 * Threads  any may add and ask; one works.
 */
#ifndef NIXIE_DELAY_NOTICE_WORK_H
#define NIXIE_DELAY_NOTICE_WORK_H

#include "delay_notice.h"
#include "mailbox.h"
#include "settings.h"
#include "suppression.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELAY_NOTICE_TRIES       4
#define DELAY_NOTICE_PAUSE_MS    60000
#define DELAY_NOTICE_PATIENCE_MS 60000

struct delay_notice {
    struct mailbox sender; /* to whom */
    char queue_id[65];     /* of the late message; printable */
    char *bytes;           /* g_free() */
    size_t length;
    bool needs_utf8;
    int64_t expires_us; /* then it tells nothing; 0: unknown */
    /* of the work */
    unsigned tries;
    int64_t due_ms;
    struct delay_notice *next;
};
void delay_notice_free(struct delay_notice *notice); /* or NULL */

struct delay_notice_work;

struct delay_notice_work *delay_notice_work_new(void); /* NULL: no memory */
void delay_notice_work_free(struct delay_notice_work *work); /* or NULL */

/* Takes notice if true; false: DELAY_NOTICE_WAITING wait already. */
bool delay_notice_work_add(struct delay_notice_work *work,
                           struct delay_notice *notice, int64_t now_ms);
bool delay_notice_work_is_full(struct delay_notice_work *work);

/* How long until something is due; 0: something is; -1: nothing waits. */
int64_t delay_notice_work_wait_ms(struct delay_notice_work *work,
                                  int64_t now_ms);

struct delay_notice_try { /* borrowed */
    const struct settings *settings;
    struct suppression *list; /* may be NULL */
    int64_t patience_ms;
    const atomic_bool *stopping; /* may be NULL */
    int64_t now_ms, now_us;
};

/* Tries what is due first. False: nothing was due. */
bool delay_notice_work_once(struct delay_notice_work *work,
                            const struct delay_notice_try *try);

/* sent and failed. */
void delay_notice_work_state(struct delay_notice_work *work,
                             struct delay_notices_state *state);

#endif
