#include "delay_notice_work.h"

#include "delay_notice_send.h"
#include "log.h"

#include <glib.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#define ADDRESS_SHOWN 360
#define MINUTE_MS     60000

struct delay_notice_work {
    pthread_mutex_t lock; /* guards what stands here */
    struct delay_notice *first;
    size_t count; /* with the one that is on its way */
    int64_t paused_until_ms;
    uint64_t sent, failed;

    /* of the one who works */
    uint64_t unreached; /* tries since the MTA was reached last */
};

void delay_notice_free(struct delay_notice *notice)
{
    if (notice != NULL) {
        g_free(notice->bytes);
        free(notice);
    }
}

struct delay_notice_work *delay_notice_work_new(void)
{
    struct delay_notice_work *work = calloc(1, sizeof *work);

    if (work != NULL && pthread_mutex_init(&work->lock, NULL) != 0) {
        free(work);
        return NULL;
    }
    return work;
}

void delay_notice_work_free(struct delay_notice_work *work)
{
    if (work == NULL) {
        return;
    }
    if (work->count > 0) {
        log_warning("delay notices lost as nixied stops: count=%zu",
                    work->count);
    }
    while (work->first != NULL) {
        struct delay_notice *notice = work->first;

        work->first = notice->next;
        delay_notice_free(notice);
    }
    (void)pthread_mutex_destroy(&work->lock);
    free(work);
}

/* --- what waits -------------------------------------------------------- */

/* With the lock held: behind all that are due as early. */
static void insert(struct delay_notice_work *work, struct delay_notice *notice)
{
    struct delay_notice **link = &work->first;

    while (*link != NULL && (*link)->due_ms <= notice->due_ms) {
        link = &(*link)->next;
    }
    notice->next = *link;
    *link = notice;
}

bool delay_notice_work_add(struct delay_notice_work *work,
                           struct delay_notice *notice, int64_t now_ms)
{
    bool added;

    (void)pthread_mutex_lock(&work->lock);
    added = work->count < DELAY_NOTICE_WAITING;
    if (added) {
        notice->tries = 0;
        notice->due_ms = now_ms;
        insert(work, notice);
        work->count++;
    }
    (void)pthread_mutex_unlock(&work->lock);
    return added;
}

bool delay_notice_work_is_full(struct delay_notice_work *work)
{
    bool full;

    (void)pthread_mutex_lock(&work->lock);
    full = work->count >= DELAY_NOTICE_WAITING;
    (void)pthread_mutex_unlock(&work->lock);
    return full;
}

/* With the lock held. */
static int64_t wait_ms(const struct delay_notice_work *work, int64_t now_ms)
{
    int64_t due_ms;

    if (work->first == NULL) {
        return -1;
    }
    due_ms = work->first->due_ms;
    if (due_ms < work->paused_until_ms) {
        due_ms = work->paused_until_ms;
    }
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

int64_t delay_notice_work_wait_ms(struct delay_notice_work *work,
                                  int64_t now_ms)
{
    int64_t ms;

    (void)pthread_mutex_lock(&work->lock);
    ms = wait_ms(work, now_ms);
    (void)pthread_mutex_unlock(&work->lock);
    return ms;
}

static struct delay_notice *take_due(struct delay_notice_work *work,
                                     int64_t now_ms)
{
    struct delay_notice *notice = NULL;

    (void)pthread_mutex_lock(&work->lock);
    if (wait_ms(work, now_ms) == 0) {
        notice = work->first;
        work->first = notice->next;
        notice->next = NULL;
    }
    (void)pthread_mutex_unlock(&work->lock);
    return notice;
}

void delay_notice_work_state(struct delay_notice_work *work,
                             struct delay_notices_state *state)
{
    (void)pthread_mutex_lock(&work->lock);
    state->sent = work->sent;
    state->failed = work->failed;
    (void)pthread_mutex_unlock(&work->lock);
}

/* --- what becomes of one ----------------------------------------------- */

/* Takes notice: it is over. */
static void end(struct delay_notice_work *work, struct delay_notice *notice,
                bool sent)
{
    (void)pthread_mutex_lock(&work->lock);
    work->count--;
    work->sent += sent;
    work->failed += !sent;
    (void)pthread_mutex_unlock(&work->lock);
    delay_notice_free(notice);
}

static void drop(struct delay_notice_work *work, struct delay_notice *notice,
                 const char *cause)
{
    char sender[ADDRESS_SHOWN];

    log_warning(
        "%s: delay notice dropped: sender=<%s> tries=%u error=\"%s\"",
        notice->queue_id,
        text_escape(text_of(notice->sender.address), sender, sizeof sender),
        notice->tries, cause);
    end(work, notice, false);
}

/* Takes notice: it waits again, or was tried often enough. */
static void put_off(struct delay_notice_work *work, struct delay_notice *notice,
                    int64_t now_ms, const char *cause)
{
    static const int64_t minutes[DELAY_NOTICE_TRIES - 1] = {1, 5, 20};

    if (notice->tries >= DELAY_NOTICE_TRIES) {
        drop(work, notice, cause);
        return;
    }
    log_debug("%s: delay notice waits: tries=%u error=\"%s\"", notice->queue_id,
              notice->tries, cause);
    notice->due_ms = now_ms + minutes[notice->tries - 1] * MINUTE_MS;
    (void)pthread_mutex_lock(&work->lock);
    insert(work, notice);
    (void)pthread_mutex_unlock(&work->lock);
}

static void note_unreachable(struct delay_notice_work *work, int64_t now_ms,
                             const char *cause)
{
    if (work->unreached++ == 0) {
        log_warning("delay notices: the MTA is not reached: error=\"%s\"",
                    cause);
    }
    (void)pthread_mutex_lock(&work->lock);
    work->paused_until_ms = now_ms + DELAY_NOTICE_PAUSE_MS;
    (void)pthread_mutex_unlock(&work->lock);
}

static void note_reached(struct delay_notice_work *work)
{
    if (work->unreached > 0) {
        log_warning("delay notices: the MTA is reached again: failed=%" PRIu64,
                    work->unreached);
        work->unreached = 0;
    }
}

static bool is_stopping(const struct delay_notice_try *try)
{
    return try->stopping != NULL && atomic_load(try->stopping);
}

static void send_one(struct delay_notice_work *work,
                     struct delay_notice *notice,
                     const struct delay_notice_try *try)
{
    const struct delay_notice_mail mail = {
        .relay = try->settings->delay_notice_relay,
        .node = try->settings->node,
        .recipient = notice->sender.address,
        .bytes = notice->bytes,
        .length = notice->length,
        .needs_utf8 = notice->needs_utf8,
        .patience_ms = try->patience_ms,
        .stopping = try->stopping,
    };
    struct error error = {""};
    enum delay_notice_result result = delay_notice_send(&mail, &error);
    char sender[ADDRESS_SHOWN];

    if (result == DELAY_NOTICE_UNREACHABLE && is_stopping(try)) {
        put_off(work, notice, try->now_ms, error.text); /* we broke it off */
        return;
    }
    switch (result) {
    case DELAY_NOTICE_SENT:
        note_reached(work);
        log_info("%s: delay notice sent: sender=<%s>", notice->queue_id,
                 text_escape(text_of(notice->sender.address), sender,
                             sizeof sender));
        end(work, notice, true);
        break;
    case DELAY_NOTICE_LATER:
        note_reached(work);
        put_off(work, notice, try->now_ms, error.text);
        break;
    case DELAY_NOTICE_UNREACHABLE:
        note_unreachable(work, try->now_ms, error.text);
        put_off(work, notice, try->now_ms, error.text);
        break;
    case DELAY_NOTICE_REFUSED:
    case DELAY_NOTICE_UNSURE:
        note_reached(work);
        drop(work, notice, error.text);
        break;
    }
}

static void leave_out(struct delay_notice_work *work,
                      struct delay_notice *notice, const char *why)
{
    char sender[ADDRESS_SHOWN];

    log_info(
        "%s: no delay notice: sender=<%s> cause=%s", notice->queue_id,
        text_escape(text_of(notice->sender.address), sender, sizeof sender),
        why);
    (void)pthread_mutex_lock(&work->lock);
    work->count--;
    (void)pthread_mutex_unlock(&work->lock);
    delay_notice_free(notice);
}

static enum suppression_result look_up(const struct delay_notice *notice,
                                       const struct delay_notice_try *try,
                                       struct error *error)
{
    struct suppression_entry entry;
    struct mailbox mailbox;

    if (try->list == NULL ||
        mailbox_parse(text_of(notice->sender.address),
                      &try->settings->mailbox_rules, &mailbox) != MAILBOX_OK) {
        return SUPPRESSION_ABSENT;
    }
    return suppression_find(try->list, &mailbox, NULL, &entry, error);
}

bool delay_notice_work_once(struct delay_notice_work *work,
                            const struct delay_notice_try *try)
{
    struct delay_notice *notice = take_due(work, try->now_ms);
    struct error error = {""};

    if (notice == NULL) {
        return false;
    }
    if (notice->expires_us > 0 && notice->expires_us <= try->now_us) {
        leave_out(work, notice, "expired");
        return true;
    }
    notice->tries++;
    switch (look_up(notice, try, &error)) {
    case SUPPRESSION_FOUND:
        leave_out(work, notice, "suppressed");
        break;
    case SUPPRESSION_UNAVAILABLE: /* rather late than to the wrong one */
        put_off(work, notice, try->now_ms, error.text);
        break;
    case SUPPRESSION_ABSENT:
    case SUPPRESSION_ALLOWED:
        send_one(work, notice, try);
        break;
    }
    return true;
}
