#include "maillog.h"

#include "client_network.h"
#include "clock.h"
#include "log.h"
#include "maillog_flood.h"
#include "maillog_follow.h"
#include "maillog_reader.h"
#include "maillog_resume.h"
#include "maillog_same.h"
#include "maillog_schedule.h"
#include "outcome.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_MS      500 /* between looks at what waits, and whether to stop */
#define SOON_MS      50
#define MARK_MS      60000
#define MARK_LINES   50000
#define SETTINGS_MS  500
#define SCHEDULE_MS  (15 * 60 * 1000)
#define LOG_PAUSE_MS 500
/* Of who writes a record in several lines, others write few in between. */
#define LOOK_BACK ((int64_t)64 * 1024)
#define FLOOD_MS  1000 /* between the sums of what has no line */

struct maillog {
    struct maillog_options options;
    struct maillog_follow *follow;
    struct maillog_reader *reader;
    struct outcome_judge *judge;
    int64_t flood_ms; /* no sums before */
    struct maillog_schedule schedule;
    int64_t look_ms;      /* when the settings are looked at next, */
    int64_t schedule_ms;  /* and when Postfix is asked again */
    const void *settings; /* that it is of: only to see that there are others */
    bool told_schedule;   /* that it could not be asked */
    struct source {       /* what is given of each, and not marked */
        char position[MAILLOG_POSITION_SIZE];
        uint64_t lines;
        struct maillog_flood *flood;
        bool flooded; /* since the last sum: counted, and in no line */
        bool untold;  /* a sum was not taken: no place behind it is told */
        bool begun;   /* it has given a line, or its place is told */
        int64_t behind_bytes; /* guarded by lock, like state */
    } * sources;
    size_t source_count;
    struct maillog_claim **claims; /* of each in the settings */
    int64_t mark_ms;
    int64_t file_number; /* of the event log, at the last marks */
    bool fresh;          /* the event log knows no place of any source */
    pthread_t thread;
    atomic_bool stopping;

    pthread_mutex_t lock; /* guards state */
    struct maillog_state state;
};

/* ---- what others are told ----------------------------------------------- */

static void publish(struct maillog *maillog)
{
    struct maillog_reader_state read;
    struct maillog_follow_state followed;

    maillog_reader_state(maillog->reader, &read);
    maillog_follow_state(maillog->follow, &followed);
    (void)pthread_mutex_lock(&maillog->lock);
    maillog->state = (struct maillog_state){
        .lines = read.lines,
        .events = read.outcomes,
        .behind_bytes = followed.behind_bytes,
        .truncations = followed.truncations,
        .lost_files = followed.lost_files,
        .unseen = read.unseen,
        .passed = read.passed,
    };
    for (size_t i = 0; i < maillog->source_count; i++) {
        maillog->sources[i].behind_bytes =
            maillog_follow_behind(maillog->follow, i);
    }
    (void)pthread_mutex_unlock(&maillog->lock);
}

void maillog_state(struct maillog *maillog, struct maillog_state *state)
{
    (void)pthread_mutex_lock(&maillog->lock);
    *state = maillog->state;
    (void)pthread_mutex_unlock(&maillog->lock);
}

int64_t maillog_behind(struct maillog *maillog, size_t source)
{
    int64_t behind = 0;

    (void)pthread_mutex_lock(&maillog->lock);
    if (source < maillog->source_count) {
        behind = maillog->sources[source].behind_bytes;
    }
    (void)pthread_mutex_unlock(&maillog->lock);
    return behind;
}

/* ---- into the event log -------------------------------------------------- */

static void pause_ms(int64_t ms)
{
    const struct timespec pause = {(time_t)(ms / 1000),
                                   (long)(ms % 1000) * 1000000L};

    (void)nanosleep(&pause, NULL);
}

/* Gives up at nothing but the end: EVENT_LOG_LOST then. */
static enum event_log_result append(struct maillog *maillog,
                                    struct event *event)
{
    for (;;) {
        struct event_log_state state;

        event_log_state(maillog->options.log, &state);
        if (!state.failing) {
            enum event_log_result result =
                event_log_append(maillog->options.log, event);

            if (result != EVENT_LOG_LOST) {
                return result;
            }
        }
        if (atomic_load(&maillog->stopping)) {
            return EVENT_LOG_LOST;
        }
        pause_ms(LOG_PAUSE_MS);
    }
}

/* Who is not ours did not ask us to deliver, and may not have written it. */
static bool is_ours(const struct maillog *maillog, const struct event *event)
{
    const struct settings *settings =
        settings_share_borrow(maillog->options.settings);
    bool ours =
        event->auth_user.length > 0 ||
        client_network_has(settings->outgoing_clients,
                           settings->outgoing_client_count, event->client_ip);

    settings_share_return(maillog->options.settings, settings);
    return ours;
}

/* Whether the sender is told now; the line says so before the mail goes out. */
static bool tells_sender(const struct maillog *maillog, struct event *event)
{
    struct delay_notices *notices = maillog->options.notices;
    struct maillog_message message;
    bool now;

    if (notices == NULL || event->type != EVENT_DELAY) {
        return false;
    }
    maillog_messages_find(maillog->options.messages, event->queue_id,
                          event->timestamp_us, event->recipient,
                          event->final_recipient, &message);
    now = !message.delay_told && !message.bulk && is_ours(maillog, event) &&
          delay_notices_wants(notices, event);
    if (now || message.delay_told) {
        event->delay_notice = 1;
    }
    return now;
}

static bool has_line(const struct maillog *maillog, const struct source *source,
                     const struct event *event)
{
    const struct settings *settings =
        settings_share_borrow(maillog->options.settings);
    const int64_t rate = settings->client_event_rate;

    settings_share_return(maillog->options.settings, settings);
    return maillog_flood_has_line(source->flood, rate, event);
}

/* What is counted, before anything that tells a later place. */
static bool sum_up(struct maillog *maillog, struct source *source)
{
    struct event sum;

    if (!source->flooded) {
        return true;
    }
    if (!source->untold && maillog_flood_sum_up(source->flood, &sum)) {
        source->untold = append(maillog, &sum) == EVENT_LOG_LOST;
    }
    source->flooded = source->untold;
    return !source->flooded;
}

/*
 * What the event log cannot take now stays in the delivery log: it waits. An
 * event that is held will be written before any that comes after it.
 */
static bool take(void *context, struct event *event)
{
    struct maillog *maillog = context;
    struct source *source =
        &maillog->sources[maillog_reader_source(maillog->reader)];
    enum event_log_result result;
    bool now;

    if (event->type == EVENT_REJECTION && !has_line(maillog, source, event)) {
        source->flooded = true;
        return true;
    }
    if (!sum_up(maillog, source)) {
        return false;
    }
    now = tells_sender(maillog, event);
    result = append(maillog, event);
    if (now && result == EVENT_LOG_WRITTEN &&
        maillog_messages_tell(maillog->options.messages, event->queue_id)) {
        (void)delay_notices_offer(maillog->options.notices, event);
    }
    return result != EVENT_LOG_LOST;
}

static void mark(struct maillog *maillog, bool all)
{
    int64_t now_ms = clock_monotonic_ms();
    bool due = all || now_ms >= maillog->mark_ms;
    struct event_log_state log;
    bool in_new_file;

    if (maillog_reader_waits(maillog->reader)) {
        return;
    }
    /* older files may be gone when somebody asks */
    event_log_state(maillog->options.log, &log);
    in_new_file = due && log.file_number != maillog->file_number;
    for (size_t i = 0; i < maillog->source_count; i++) {
        struct source *source = &maillog->sources[i];
        struct event event;

        if (source->position[0] == '\0' ||
            (source->lines == 0 && !in_new_file) ||
            (!due && source->lines < MARK_LINES) || !sum_up(maillog, source)) {
            continue;
        }
        event_init(&event, EVENT_MARK, clock_now_us());
        event.maillog_position = text_of(source->position);
        (void)event_log_append(maillog->options.log, &event);
        source->lines = 0;
    }
    if (due) {
        maillog->mark_ms = now_ms + MARK_MS;
        maillog->file_number = log.file_number;
    }
}

static void sum_up_all(struct maillog *maillog, bool all)
{
    int64_t now_ms = clock_monotonic_ms();

    if (!all && now_ms < maillog->flood_ms) {
        return;
    }
    for (size_t i = 0; i < maillog->source_count; i++) {
        (void)sum_up(maillog, &maillog->sources[i]);
    }
    maillog->flood_ms = now_ms + FLOOD_MS;
}

/* ---- when it is tried again ---------------------------------------------- */

/* Postfix may be reconfigured, and so may nixied. */
static void look_at_schedule(struct maillog *maillog)
{
    const struct settings *settings =
        settings_share_borrow(maillog->options.settings);
    struct error error;

    maillog->look_ms = clock_monotonic_ms() + SETTINGS_MS;
    if (settings == maillog->settings &&
        clock_monotonic_ms() < maillog->schedule_ms) {
        settings_share_return(maillog->options.settings, settings);
        return;
    }
    maillog->settings = settings;
    maillog->schedule_ms = clock_monotonic_ms() + SCHEDULE_MS;
    if (!settings->retry_schedule_is_postfix) {
        maillog_schedule_take_minutes(&maillog->schedule,
                                      settings->retry_schedule_minutes,
                                      settings->retry_schedule_steps);
    } else if (maillog_schedule_ask_postfix(&maillog->schedule, &error)) {
        maillog->told_schedule = false;
    } else {
        maillog->schedule.steps = 0;
        if (!maillog->told_schedule) {
            maillog->told_schedule = true;
            log_warning("retry_schedule: postfix's own defaults are taken; "
                        "with Postfix set MAIL_CONFIG to the folder of "
                        "main.cf, with Sendmail write the minutes between its "
                        "queue runs, retry_schedule = {10}: error=\"%s\"",
                        error.text);
        }
    }
    settings_share_return(maillog->options.settings, settings);
}

/* ---- the thread -----------------------------------------------------------
 */

static bool resume(struct maillog *maillog)
{
    const struct settings *settings =
        settings_share_borrow(maillog->options.settings);
    struct maillog_resume resume = {
        .event_log = settings->event_log,
        .follow = maillog->follow,
        .reader = maillog->reader,
        .messages = maillog->options.messages,
        .stopping = &maillog->stopping,
    };
    struct error error = {""};
    bool resumed = maillog_resume(&resume, &error);

    maillog->fresh = resume.positions == 0;
    if (!resumed) {
        log_error("the delivery log is not followed until nixied can read its "
                  "own event log: error=\"%s\"",
                  error.text);
    }
    settings_share_return(maillog->options.settings, settings);
    return resumed;
}

/*
 * Where each source stands is a line of the event log as soon as that is known:
 * else lines that come while nobody reads would be passed over. Only between
 * lines, all of whose events are written.
 */
static void begin(struct maillog *maillog)
{
    for (size_t i = 0; i < maillog->source_count; i++) {
        struct source *source = &maillog->sources[i];

        if (!source->begun && source->lines == 0 &&
            maillog_follow_position(maillog->follow, i, source->position)) {
            source->begun = true;
            source->lines = 1;
        }
    }
    mark(maillog, true);
}

/* The first line of a source that has no place in the event log yet. */
static void begin_at(struct maillog *maillog, struct source *source,
                     const char *position)
{
    source->begun = true;
    if (maillog->fresh) {
        (void)text_copy(text_of(position), source->position,
                        sizeof source->position);
        source->lines = 1;
        mark(maillog, true);
    }
}

static bool take_line(struct maillog *maillog, const struct maillog_line *line)
{
    struct source *source = &maillog->sources[line->source];
    struct maillog_reader_state before;
    struct maillog_reader_state after;

    if (line->told) {
        return maillog_reader_line(maillog->reader, line);
    }
    if (!source->begun) {
        begin_at(maillog, source, line->before);
    }

    maillog_reader_state(maillog->reader, &before);
    if (!maillog_reader_line(maillog->reader, line)) {
        return false;
    }
    maillog_reader_state(maillog->reader, &after);
    (void)text_copy(text_of(line->position), source->position,
                    sizeof source->position);
    source->lines = after.outcomes == before.outcomes || source->flooded
                        ? source->lines + 1
                        : 0;
    if (source->lines >= MARK_LINES) {
        mark(maillog, false);
    }
    return true;
}

static void *run(void *context)
{
    struct maillog *maillog = context;
    bool going = false;
    bool begun = false;

    while (!(going = resume(maillog)) && !atomic_load(&maillog->stopping)) {
        pause_ms(LOG_PAUSE_MS);
    }
    while (going && !atomic_load(&maillog->stopping)) {
        struct maillog_line line;
        bool waits = maillog_reader_waits(maillog->reader);

        switch (maillog_follow_next(maillog->follow,
                                    !begun  ? 0
                                    : waits ? SOON_MS
                                            : LOOK_MS,
                                    &line)) {
        case MAILLOG_FOLLOW_LINE:
            going = take_line(maillog, &line);
            break;
        case MAILLOG_FOLLOW_IDLE:
            going = maillog_reader_release(maillog->reader, false);
            publish(maillog);
            if (going && !begun && !maillog_reader_waits(maillog->reader)) {
                begun = true;
                begin(maillog);
            }
            break;
        case MAILLOG_FOLLOW_END:
            going = false;
            break;
        }
        sum_up_all(maillog, false);
        if (clock_monotonic_ms() >= maillog->look_ms) {
            publish(maillog);
            look_at_schedule(maillog);
        }
        if (clock_monotonic_ms() >= maillog->mark_ms) {
            publish(maillog);
            mark(maillog, false);
        }
    }
    sum_up_all(maillog, true);
    if (going) { /* else the last line may be given in part */
        mark(maillog, true);
    }
    return NULL;
}

static void free_maillog(struct maillog *maillog)
{
    maillog_reader_free(maillog->reader);
    maillog_follow_free(maillog->follow);
    outcome_judge_free(maillog->judge);
    for (size_t i = 0; maillog->claims != NULL && i < maillog->source_count;
         i++) {
        maillog_claim_free(maillog->claims[i]);
    }
    for (size_t i = 0; maillog->sources != NULL && i < maillog->source_count;
         i++) {
        maillog_flood_free(maillog->sources[i].flood);
    }
    free(maillog->claims);
    free(maillog->sources);
    (void)pthread_mutex_destroy(&maillog->lock);
    free(maillog);
}

/* Two followers with the same store would each count what a line tells. */
static void claim(struct maillog *maillog, const struct settings *settings)
{
    char store[1024];

    (void)snprintf(store, sizeof store, "%s %s", settings->redis,
                   settings->key_prefix);
    for (size_t i = 0; maillog->claims != NULL && i < maillog->source_count;
         i++) {
        maillog->claims[i] = maillog_claim_new(settings->maillog[i], store);
        if (maillog->claims[i] == NULL) {
            log_warning("another nixied on this host follows %s, too, with the "
                        "same redis and key_prefix: all that it tells is "
                        "counted twice",
                        settings->maillog[i]);
        }
    }
}

static bool make_floods(struct maillog *maillog)
{
    for (size_t i = 0; maillog->sources != NULL && i < maillog->source_count;
         i++) {
        maillog->sources[i].flood = maillog_flood_new();
        if (maillog->sources[i].flood == NULL) {
            return false;
        }
    }
    return maillog->sources != NULL;
}

static bool make_parts(struct maillog *maillog, struct error *error)
{
    const struct settings *settings =
        settings_share_borrow(maillog->options.settings);
    const struct maillog_follow_options where = {
        .sources = (const char *const *)settings->maillog,
        .follow = true,
        .look_back = LOOK_BACK,
    };
    const struct outcome_judge_options judged = {
        .settings = maillog->options.settings,
        .list = maillog->options.list,
        .unclassified = maillog->options.unclassified,
    };
    struct maillog_reader_options read = {
        .settings = maillog->options.settings,
        .messages = maillog->options.messages,
        .schedule = &maillog->schedule,
        .take = take,
        .context = maillog,
    };

    while (settings->maillog[maillog->source_count] != NULL) {
        maillog->source_count++;
    }
    maillog->claims =
        calloc(maillog->source_count + 1, sizeof maillog->claims[0]);
    claim(maillog, settings);
    maillog->follow = maillog_follow_new(&where, error);
    settings_share_return(maillog->options.settings, settings);
    if (maillog->follow == NULL) {
        return false;
    }
    maillog->judge = outcome_judge_new(&judged);
    read.judge = maillog->judge;
    maillog->reader = maillog->judge == NULL ? NULL : maillog_reader_new(&read);
    maillog->sources =
        calloc(maillog->source_count + 1, sizeof maillog->sources[0]);
    if (maillog->reader == NULL || !make_floods(maillog)) {
        error_set(error, "maillog: out of memory");
        return false;
    }
    return true;
}

struct maillog *maillog_start(const struct maillog_options *options,
                              struct error *error)
{
    struct maillog *maillog = calloc(1, sizeof *maillog);

    if (maillog == NULL || pthread_mutex_init(&maillog->lock, NULL) != 0) {
        free(maillog);
        error_set(error, "maillog: out of memory");
        return NULL;
    }
    maillog->options = *options;
    maillog->mark_ms = clock_monotonic_ms() + MARK_MS;
    maillog_schedule_init(&maillog->schedule);
    if (!make_parts(maillog, error)) {
        free_maillog(maillog);
        return NULL;
    }
    if (pthread_create(&maillog->thread, NULL, run, maillog) != 0) {
        error_set(error, "maillog: no thread");
        free_maillog(maillog);
        return NULL;
    }
    return maillog;
}

void maillog_stop(struct maillog *maillog)
{
    if (maillog == NULL) {
        return;
    }
    atomic_store(&maillog->stopping, true);
    maillog_follow_stop(maillog->follow);
    (void)pthread_join(maillog->thread, NULL);
    free_maillog(maillog);
}
