#include "delay_notice.h"

#include "clock.h"
#include "delay_notice_policy.h"
#include "delay_notice_template.h"
#include "delay_notice_text.h"
#include "delay_notice_work.h"
#include "log.h"

#include <glib.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_MS 60000 /* whether a limiting is over */

struct delay_notices {
    struct delay_notice_options options;
    struct delay_notice_work *work;
    pthread_t thread;
    atomic_bool stopping;

    pthread_mutex_t lock; /* guards all below; never held while waiting */
    pthread_cond_t added;
    struct delay_notice_template *template; /* NULL: no notices */
    struct delay_notice_limit limit;
    uint64_t limited;
};

/* --- the template ------------------------------------------------------ */

void delay_notices_reload(struct delay_notices *notices)
{
    const struct settings *settings =
        settings_share_borrow(notices->options.settings);
    struct delay_notice_template *template = NULL;
    struct delay_notice_template *before;
    struct error error = {""};

    if (settings->delay_notice_after > 0) {
        template = delay_notice_template_load(settings, &error);
        if (template == NULL) {
            log_error("no delay notices until this is mended and nixied "
                      "reloaded: %s",
                      error.text);
        }
    }
    settings_share_return(notices->options.settings, settings);
    (void)pthread_mutex_lock(&notices->lock);
    before = notices->template;
    notices->template = template;
    (void)pthread_mutex_unlock(&notices->lock);
    delay_notice_template_free(before);
}

/* --- what is taken ----------------------------------------------------- */

/* With the lock held. What the limit holds back is counted, and told once. */
static bool is_within_limit(struct delay_notices *notices, int64_t per_hour,
                            bool take)
{
    int64_t now_ms = clock_monotonic_ms();
    bool began = false;

    if (!take && delay_notice_limit_has(&notices->limit, per_hour, now_ms)) {
        return true;
    }
    if (delay_notice_limit_take(&notices->limit, per_hour, now_ms, &began)) {
        return true;
    }
    notices->limited++;
    if (began) {
        log_warning("delay notices are limited: delay_notice_limit=%" PRId64,
                    per_hour);
    }
    return false;
}

/* With the lock held. */
static bool is_wanted(struct delay_notices *notices,
                      const struct settings *settings,
                      const struct event *event, struct mailbox *sender)
{
    if (notices->template == NULL ||
        !delay_notice_is_due(event, settings->delay_notice_after,
                             clock_now_us()) ||
        !delay_notice_takes(event->sender, sender)) {
        return false;
    }
    if (delay_notice_work_is_full(notices->work)) {
        notices->limited++; /* why is in the log: the MTA takes none */
        return false;
    }
    return true;
}

bool delay_notices_wants(struct delay_notices *notices,
                         const struct event *event)
{
    const struct settings *settings =
        settings_share_borrow(notices->options.settings);
    struct mailbox sender;
    bool wanted;

    (void)pthread_mutex_lock(&notices->lock);
    wanted = is_wanted(notices, settings, event, &sender) &&
             is_within_limit(notices, settings->delay_notice_limit, false);
    (void)pthread_mutex_unlock(&notices->lock);
    settings_share_return(notices->options.settings, settings);
    return wanted;
}

/* With the lock held: new, or NULL when out of memory. */
static struct delay_notice *make(const struct delay_notices *notices,
                                 const struct settings *settings,
                                 const struct event *event,
                                 const struct mailbox *sender)
{
    struct delay_notice *notice = calloc(1, sizeof *notice);
    char *id = g_uuid_string_random();
    const struct delay_notice_facts facts = {
        .event = event,
        .sender = sender,
        .node = settings->node,
        .id = id,
        .now_us = clock_now_us(),
    };
    struct delay_notice_message message = {NULL, 0, false};

    if (notice != NULL &&
        delay_notice_write(notices->template, &facts, &message)) {
        notice->sender = *sender;
        notice->bytes = message.bytes;
        notice->length = message.length;
        notice->needs_utf8 = message.needs_utf8;
        (void)text_escape(event->queue_id, notice->queue_id,
                          sizeof notice->queue_id);
        (void)(event->expires_at.bytes != NULL &&
               clock_parse(event->expires_at.bytes, event->expires_at.length,
                           &notice->expires_us));
    } else {
        g_free(message.bytes);
        free(notice);
        notice = NULL;
    }
    g_free(id);
    return notice;
}

bool delay_notices_offer(struct delay_notices *notices,
                         const struct event *event)
{
    const struct settings *settings =
        settings_share_borrow(notices->options.settings);
    struct delay_notice *notice = NULL;
    struct mailbox sender;
    bool taken = false;

    (void)pthread_mutex_lock(&notices->lock);
    if (is_wanted(notices, settings, event, &sender) &&
        is_within_limit(notices, settings->delay_notice_limit, true)) {
        notice = make(notices, settings, event, &sender);
    }
    if (notice != NULL) {
        taken =
            delay_notice_work_add(notices->work, notice, clock_monotonic_ms());
        (void)pthread_cond_signal(&notices->added);
    }
    (void)pthread_mutex_unlock(&notices->lock);
    if (!taken) {
        delay_notice_free(notice);
    }
    settings_share_return(notices->options.settings, settings);
    return taken;
}

/* --- the thread -------------------------------------------------------- */

static void look_at_limit(struct delay_notices *notices)
{
    const struct settings *settings =
        settings_share_borrow(notices->options.settings);
    uint64_t held_back = 0;
    bool ended;

    (void)pthread_mutex_lock(&notices->lock);
    ended =
        delay_notice_limit_ended(&notices->limit, settings->delay_notice_limit,
                                 clock_monotonic_ms(), &held_back);
    (void)pthread_mutex_unlock(&notices->lock);
    if (ended) {
        log_warning("delay notices are no longer limited: held_back=%" PRIu64,
                    held_back);
    }
    settings_share_return(notices->options.settings, settings);
}

static bool work_once(struct delay_notices *notices)
{
    const struct settings *settings =
        settings_share_borrow(notices->options.settings);
    const struct delay_notice_try try = {
        .settings = settings,
        .list = notices->options.list,
        .patience_ms = DELAY_NOTICE_PATIENCE_MS,
        .stopping = &notices->stopping,
        .now_ms = clock_monotonic_ms(),
        .now_us = clock_now_us(),
    };
    bool worked = delay_notice_work_once(notices->work, &try);

    settings_share_return(notices->options.settings, settings);
    return worked;
}

static void wait_for_work(struct delay_notices *notices)
{
    struct timespec until;
    int64_t ms;

    (void)pthread_mutex_lock(&notices->lock);
    ms = delay_notice_work_wait_ms(notices->work, clock_monotonic_ms());
    if (ms < 0 || ms > LOOK_MS) {
        ms = LOOK_MS;
    }
    if (ms > 0 && !atomic_load(&notices->stopping)) {
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t)(ms / 1000);
        until.tv_nsec += (long)(ms % 1000) * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000L;
        }
        (void)pthread_cond_timedwait(&notices->added, &notices->lock, &until);
    }
    (void)pthread_mutex_unlock(&notices->lock);
}

static void *run(void *context)
{
    struct delay_notices *notices = context;

    while (!atomic_load(&notices->stopping)) {
        if (!work_once(notices)) {
            look_at_limit(notices);
            wait_for_work(notices);
        }
    }
    return NULL;
}

/* --- its life ---------------------------------------------------------- */

void delay_notices_state(struct delay_notices *notices,
                         struct delay_notices_state *state)
{
    delay_notice_work_state(notices->work, state);
    (void)pthread_mutex_lock(&notices->lock);
    state->limited = notices->limited;
    state->on = notices->template != NULL;
    (void)pthread_mutex_unlock(&notices->lock);
}

static bool make_locks(struct delay_notices *notices)
{
    pthread_condattr_t attributes;
    bool made = false;

    if (pthread_mutex_init(&notices->lock, NULL) != 0) {
        return false;
    }
    if (pthread_condattr_init(&attributes) == 0) {
        made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
               pthread_cond_init(&notices->added, &attributes) == 0;
        (void)pthread_condattr_destroy(&attributes);
    }
    if (!made) {
        (void)pthread_mutex_destroy(&notices->lock);
    }
    return made;
}

static void free_notices(struct delay_notices *notices)
{
    delay_notice_work_free(notices->work);
    delay_notice_template_free(notices->template);
    (void)pthread_cond_destroy(&notices->added);
    (void)pthread_mutex_destroy(&notices->lock);
    free(notices);
}

struct delay_notices *
delay_notices_start(const struct delay_notice_options *options,
                    struct error *error)
{
    struct delay_notices *notices = calloc(1, sizeof *notices);

    if (notices == NULL || !make_locks(notices)) {
        free(notices);
        error_set(error, "delay notices: out of memory");
        return NULL;
    }
    notices->options = *options;
    notices->work = delay_notice_work_new();
    if (notices->work == NULL) {
        error_set(error, "delay notices: out of memory");
        free_notices(notices);
        return NULL;
    }
    delay_notices_reload(notices);
    if (pthread_create(&notices->thread, NULL, run, notices) != 0) {
        error_set(error, "delay notices: no thread");
        free_notices(notices);
        return NULL;
    }
    return notices;
}

void delay_notices_stop(struct delay_notices *notices)
{
    if (notices == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&notices->lock);
    atomic_store(&notices->stopping, true);
    (void)pthread_cond_signal(&notices->added);
    (void)pthread_mutex_unlock(&notices->lock);
    (void)pthread_join(notices->thread, NULL);
    free_notices(notices);
}
