#include "recorder.h"

#include "clock.h"
#include "event_files.h"
#include "log.h"
#include "recorder_chain.h"
#include "recorder_fault.h"
#include "recorder_position.h"
#include "recorder_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_SECONDS     30
#define IDLE_MS           100 /* the longest that a stop goes unnoticed */
#define SOON_MS           50  /* between looks for a file that may yet appear */
#define GATHER_MS         100 /* between rounds, where few events wait: */
#define GATHERED          1024 /* each round is a talk with Redis */
#define NICENESS          10   /* mail goes before its history */
#define POSITION_MS       1000
#define RETENTION_MS      60000
#define CAUGHT_UP_MS      100   /* between calls of caught_up(), at least, */
#define CAUGHT_UP_IDLE_MS 10000 /* and when nothing happens */
#define CHAINS_MAX        256   /* instances whose files are in one folder */

/* An instance's chain, and when it may be stepped again. */
struct member {
    struct recorder_chain *chain;
    bool swept;       /* on this connection, and lately */
    bool moving;      /* it may have more to apply */
    bool waiting;     /* but not at once */
    bool wanted;      /* its files were seen in the folder */
    int64_t after_ms; /* refused: not before */
};

struct recorder {
    struct recorder_options options;
    struct recorder_store *store;
    struct member members[CHAINS_MAX]; /* the first is our own */
    size_t member_count;
    struct recorder_fault fault;
    uint64_t era; /* of the endpoint: whose master the store is */
    struct recorder_fault refused;               /* by some chain alone */
    int64_t sweep_ms, position_ms, retention_ms; /* when each is due */
    int64_t gathered_ms; /* when the next round may begin for a few events */
    int64_t saved_offset, saved_file;
    bool told_position;
    uint64_t told_applied; /* events, when caught_up() was called last, */
    int64_t caught_up_ms;  /* and when that was */
    pthread_t thread;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool stopping;
    int64_t stop_ms; /* until then, what is there may still be applied */
    bool woken;      /* since the last wait: it does not wait */
    bool ended;
    bool connected;
    int64_t caught_up_us; /* when nothing was left to apply, last */
    struct recorder_chain_state state;
};

/* ---- waiting ---- */

static void deadline_in(int64_t ms, struct timespec *deadline)
{
    int64_t at_ms = clock_monotonic_ms() + ms;

    deadline->tv_sec = (time_t)(at_ms / 1000);
    deadline->tv_nsec = (long)(at_ms % 1000) * 1000000;
}

static bool is_stopping(struct recorder *recorder, int64_t *stop_ms)
{
    bool stopping;

    (void)pthread_mutex_lock(&recorder->lock);
    stopping = recorder->stopping;
    *stop_ms = recorder->stop_ms;
    (void)pthread_mutex_unlock(&recorder->lock);
    return stopping;
}

/* Until the time is over or somebody has called _stop() or _wake(). */
static void wait_for(struct recorder *recorder, int64_t ms)
{
    struct timespec deadline;
    int status = 0;

    deadline_in(ms, &deadline);
    (void)pthread_mutex_lock(&recorder->lock);
    while (!recorder->stopping && !recorder->woken && status != ETIMEDOUT) {
        status = pthread_cond_timedwait(&recorder->changed, &recorder->lock,
                                        &deadline);
    }
    recorder->woken = false;
    (void)pthread_mutex_unlock(&recorder->lock);
}

/* ---- faults ---- */

static void publish(struct recorder *recorder)
{
    const struct member *own = &recorder->members[0];
    struct recorder_chain_state state;

    recorder_chain_state(own->chain, &state);
    for (size_t i = 1; i < recorder->member_count; i++) {
        struct recorder_chain_state other;

        recorder_chain_state(recorder->members[i].chain, &other);
        state.applied += other.applied;
        state.fast_forwards += other.fast_forwards;
        state.rollbacks += other.rollbacks;
        state.dead += other.dead;
        state.torn += other.torn;
    }
    (void)pthread_mutex_lock(&recorder->lock);
    recorder->state = state;
    recorder->connected = recorder_store_is_open(recorder->store) &&
                          own->swept && !recorder->fault.told;
    if (own->swept && !own->moving) {
        recorder->caught_up_us = clock_now_us();
    }
    (void)pthread_cond_broadcast(&recorder->changed);
    (void)pthread_mutex_unlock(&recorder->lock);
}

static void forget_sweeps(struct recorder *recorder)
{
    for (size_t i = 0; i < recorder->member_count; i++) {
        recorder->members[i].swept = false;
    }
}

/* The next try's delay in ms. */
static int64_t fault_happens(struct recorder *recorder,
                             enum store_result result, const char *why)
{
    bool began;
    int64_t delay_ms;

    if (result == STORE_REFUSED) {
        recorder_store_close(recorder->store); /* a new login may help */
    }
    if (!recorder_store_is_open(recorder->store)) {
        forget_sweeps(recorder);
    }
    delay_ms = recorder_fault_count(&recorder->fault, result,
                                    clock_monotonic_ms(), &began);
    if (began) {
        log_write(result == STORE_REFUSED ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
                  "redis does not take events, the log keeps them: "
                  "endpoint=%s error=\"%s\"",
                  redis_endpoint_name(recorder->options.endpoint), why);
        if (recorder->options.store_changed != NULL) {
            recorder->options.store_changed(recorder->options.context, false,
                                            why);
        }
    }
    publish(recorder);
    return delay_ms;
}

static void fault_ends(struct recorder *recorder)
{
    int64_t since_ms = recorder->fault.since_ms;
    unsigned tries = recorder->fault.tries;

    if (!recorder_fault_end(&recorder->fault)) {
        return;
    }
    log_info("redis takes events again: endpoint=%s seconds=%lld tries=%u",
             redis_endpoint_name(recorder->options.endpoint),
             (long long)((clock_monotonic_ms() - since_ms) / 1000), tries);
    if (recorder->options.store_changed != NULL) {
        recorder->options.store_changed(recorder->options.context, true, "");
    }
}

/* ---- instances ---- */

static struct member *find_member(struct recorder *recorder,
                                  const char *instance)
{
    for (size_t i = 0; i < recorder->member_count; i++) {
        struct member *member = &recorder->members[i];

        if (strcmp(recorder_chain_instance(member->chain), instance) == 0) {
            return member;
        }
    }
    return NULL;
}

static struct member *add_member(struct recorder *recorder,
                                 const char *instance, bool own)
{
    struct member *member = &recorder->members[recorder->member_count];

    if (recorder->member_count == CHAINS_MAX) {
        return NULL;
    }
    memset(member, 0, sizeof *member);
    member->chain = recorder_chain_new(&recorder->options, instance, own);
    if (member->chain == NULL) {
        return NULL;
    }
    recorder->member_count++;
    return member;
}

static void drop_unwanted(struct recorder *recorder)
{
    size_t kept = 1;

    for (size_t i = 1; i < recorder->member_count; i++) {
        if (recorder->members[i].wanted) {
            recorder->members[kept++] = recorder->members[i];
        } else {
            recorder_chain_free(recorder->members[i].chain);
        }
    }
    recorder->member_count = kept;
}

/*
 * Files of a lost state directory, or of another host, are finished too, and
 * watched as long as they are there: an emptied Redis needs them again.
 */
static void look_for_instances(struct recorder *recorder)
{
    struct event_files files;
    struct error error;

    if (!event_files_list(recorder->options.event_log_path, &files, &error)) {
        return; /* the reader of our own files says so */
    }
    for (size_t i = 1; i < recorder->member_count; i++) {
        recorder->members[i].wanted = false;
    }
    for (size_t i = 0; i < files.count; i++) {
        struct member *member;

        if (files.file[i].kind != EVENT_FILE_EVENTS) {
            continue;
        }
        member = find_member(recorder, files.file[i].instance);
        if (member == NULL) {
            member = add_member(recorder, files.file[i].instance, false);
            log_info("files of another instance are applied too: "
                     "instance=%s%s",
                     files.file[i].instance,
                     member == NULL ? " (not now: too many)" : "");
        }
        if (member != NULL) {
            member->wanted = true;
        }
    }
    event_files_free(&files);
    drop_unwanted(recorder);
}

/* ---- work ---- */

static bool is_due(const struct member *member)
{
    return member->moving && clock_monotonic_ms() >= member->after_ms;
}

/*
 * Only that chain rests, so that what somebody wrote into one instance's
 * checkpoints does not stop the others; but our own is what we are for.
 */
static enum store_result judge(struct recorder *recorder, struct member *member,
                               enum store_result result,
                               const struct error *error)
{
    bool began;

    if (result != STORE_REFUSED || member == &recorder->members[0]) {
        return result;
    }
    member->after_ms = clock_monotonic_ms() + FAULT_REFUSED_MS;
    member->swept = false;
    (void)recorder_fault_count(&recorder->refused, result, clock_monotonic_ms(),
                               &began);
    if (began) {
        log_error("files of another instance cannot be applied: instance=%s "
                  "error=\"%s\"",
                  recorder_chain_instance(member->chain), error->text);
    }
    return STORE_DONE;
}

static enum store_result work_on(struct recorder *recorder,
                                 struct member *member, struct error *error)
{
    enum recorder_chain_progress progress = CHAIN_MOVING;
    enum store_result result = STORE_DONE;

    if (clock_monotonic_ms() < member->after_ms) {
        return STORE_DONE;
    }
    if (!member->swept) {
        result = recorder_chain_sweep(member->chain, recorder->store, error);
        member->swept = result == STORE_DONE;
        member->moving = true;
    }
    if (result == STORE_DONE && member->moving) {
        result = recorder_chain_step(member->chain, recorder->store, &progress,
                                     error);
        member->moving = result != STORE_DONE || progress != CHAIN_AT_END;
        member->waiting = progress == CHAIN_WAITING;
    }
    return judge(recorder, member, result, error);
}

/*
 * Others first: files of a lost state directory are older than ours, and what
 * became of the lists is told by the last change.
 */
static enum store_result work_in_turn(struct recorder *recorder,
                                      struct error *error)
{
    enum store_result result = STORE_DONE;
    bool others = false;

    recorder->members[0].moving = true;
    for (size_t i = 1; i < recorder->member_count && result == STORE_DONE;
         i++) {
        struct member *member = &recorder->members[i];

        result = work_on(recorder, member, error);
        others = others || is_due(member);
    }
    if (result == STORE_DONE && !others) {
        result = work_on(recorder, &recorder->members[0], error);
    }
    return result;
}

/* One that the sentinels replaced, but we still reach, breaks no connection. */
static void leave_former_master(struct recorder *recorder)
{
    uint64_t era = redis_endpoint_era(recorder->options.endpoint);

    if (era != recorder->era) {
        recorder->era = era;
        recorder_store_close(recorder->store);
    }
}

static enum store_result work(struct recorder *recorder, struct error *error)
{
    int64_t now_ms = clock_monotonic_ms();
    enum store_result result = STORE_DONE;

    leave_former_master(recorder);
    if (!recorder_store_is_open(recorder->store)) {
        forget_sweeps(recorder);
        result = recorder_store_open(recorder->store, error);
    }
    if (now_ms >= recorder->sweep_ms) {
        recorder->sweep_ms =
            now_ms + (int64_t)recorder->options.sweep_seconds * 1000;
        forget_sweeps(recorder);
        look_for_instances(recorder);
    }
    return result == STORE_DONE ? work_in_turn(recorder, error) : result;
}

/* False when what is on disk is older than what is known. */
static bool save_position(struct recorder *recorder)
{
    struct recorder_position position;
    struct error error;

    recorder->position_ms = clock_monotonic_ms() + POSITION_MS;
    if (!recorder_chain_position(recorder->members[0].chain, &position) ||
        (position.offset == recorder->saved_offset &&
         position.file_number == recorder->saved_file)) {
        return true;
    }
    if (recorder_position_save(recorder->options.state_dir, &position,
                               &error)) {
        recorder->saved_offset = position.offset;
        recorder->saved_file = position.file_number;
        recorder->told_position = false;
        return true;
    }
    if (!recorder->told_position) {
        recorder->told_position = true;
        log_warning("recorder.position cannot be written, more is read at the "
                    "next start: error=\"%s\"",
                    error.text);
    }
    return false;
}

/*
 * The position first: when the file is gone that it leads to, the next start
 * takes that for a loss.
 */
static void retain(struct recorder *recorder)
{
    int64_t before_us =
        clock_now_us() - recorder->options.retention_seconds * 1000000;
    size_t first = save_position(recorder) ? 0 : 1; /* our own is 0 */

    recorder->retention_ms = clock_monotonic_ms() + RETENTION_MS;
    for (size_t i = first; i < recorder->member_count; i++) {
        recorder_chain_retain(recorder->members[i].chain, before_us);
    }
}

/*
 * Every chain is at its end, and something was applied since the last time:
 * what the caller appends now, it will see applied before it is asked again.
 */
static void tell_caught_up(struct recorder *recorder)
{
    const char *instances[CHAINS_MAX + 1] = {NULL};
    uint64_t applied = 0;
    int64_t since_ms;

    for (size_t i = 0; i < recorder->member_count; i++) {
        const struct member *member = &recorder->members[i];
        struct recorder_chain_state state;

        if (!member->swept || member->moving) {
            return;
        }
        recorder_chain_state(member->chain, &state);
        applied += state.applied + state.rollbacks;
        instances[i] = recorder_chain_instance(member->chain);
    }
    since_ms = clock_monotonic_ms() - recorder->caught_up_ms;
    if (recorder->options.caught_up != NULL &&
        since_ms >= (applied != recorder->told_applied ? CAUGHT_UP_MS
                                                       : CAUGHT_UP_IDLE_MS)) {
        recorder->caught_up_ms = clock_monotonic_ms();
        recorder->told_applied = applied;
        recorder->options.caught_up(recorder->options.context, instances);
    }
}

/*
 * The first event after a pause is applied at once, and those that come fast
 * are in a few large rounds rather than in thousands of one event or two.
 */
static void gather(struct recorder *recorder, int64_t seen_seq)
{
    const int64_t left_ms = recorder->gathered_ms - clock_monotonic_ms();

    if (left_ms > 0 &&
        event_log_last_seq(recorder->options.log) - seen_seq < GATHERED) {
        wait_for(recorder, left_ms);
    }
}

/* Between rounds: not at all, shortly, or until there are new events. */
static void rest(struct recorder *recorder, int64_t seen_seq)
{
    bool waiting = false;

    /* our own is the last: it waits for the others, see work_in_turn() */
    for (size_t i = recorder->member_count; i-- > 0 && !waiting;) {
        if (is_due(&recorder->members[i])) {
            waiting = recorder->members[i].waiting;
            if (!waiting) {
                return;
            }
        }
    }
    gather(recorder, seen_seq);
    (void)event_log_wait(recorder->options.log, waiting ? INT64_MAX : seen_seq,
                         waiting ? SOON_MS : IDLE_MS);
    recorder->gathered_ms = clock_monotonic_ms() + GATHER_MS;
}

/* After a round without a fault. */
static void look_after(struct recorder *recorder)
{
    struct recorder_chain_state own;

    recorder_chain_state(recorder->members[0].chain, &own);
    publish(recorder);
    tell_caught_up(recorder);
    if (clock_monotonic_ms() >= recorder->position_ms) {
        (void)save_position(recorder);
    }
    if (clock_monotonic_ms() >= recorder->retention_ms) {
        retain(recorder);
    }
    rest(recorder, own.seen_seq);
}

/* While stopping: when all is applied, time is up, or Redis is away. */
static bool is_finished(struct recorder *recorder)
{
    struct recorder_chain_state own;
    int64_t stop_ms;

    if (!is_stopping(recorder, &stop_ms)) {
        return false;
    }
    recorder_chain_state(recorder->members[0].chain, &own);
    return clock_monotonic_ms() >= stop_ms || recorder->fault.told ||
           own.applied_seq >= event_log_last_seq(recorder->options.log);
}

static void *run(void *argument)
{
    struct recorder *recorder = argument;

    /* of this thread alone; where it may not, all are alike */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    while (!is_finished(recorder)) {
        struct error error = {""};
        enum store_result result = work(recorder, &error);

        if (result == STORE_DONE) {
            fault_ends(recorder);
            look_after(recorder);
        } else {
            wait_for(recorder, fault_happens(recorder, result, error.text));
        }
    }
    (void)save_position(recorder);
    (void)pthread_mutex_lock(&recorder->lock);
    recorder->ended = true;
    (void)pthread_cond_broadcast(&recorder->changed);
    (void)pthread_mutex_unlock(&recorder->lock);
    return NULL;
}

/* ---- for other threads ---- */

static void free_recorder(struct recorder *recorder)
{
    for (size_t i = 0; i < recorder->member_count; i++) {
        recorder_chain_free(recorder->members[i].chain);
    }
    recorder_store_free(recorder->store);
    (void)pthread_cond_destroy(&recorder->changed);
    (void)pthread_mutex_destroy(&recorder->lock);
    free(recorder);
}

static bool make_lock(struct recorder *recorder)
{
    pthread_condattr_t monotonic;
    bool made;

    if (pthread_condattr_init(&monotonic) != 0) {
        return false;
    }
    made = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(&recorder->changed, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    if (made && pthread_mutex_init(&recorder->lock, NULL) != 0) {
        (void)pthread_cond_destroy(&recorder->changed);
        made = false;
    }
    return made;
}

/* Numbers that the log has not given yet would pass over those to come. */
static bool is_possible(const struct recorder_position *position,
                        int64_t last_seq)
{
    bool possible = position->seq <= last_seq;

    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        possible = possible && position->applied[bucket] <= last_seq;
    }
    return possible;
}

static void resume(struct recorder *recorder)
{
    int64_t last_seq = event_log_last_seq(recorder->options.log);
    struct recorder_position position;
    struct error error;

    if (!recorder_position_load(recorder->options.state_dir, &position,
                                &error)) {
        if (error.text[0] != '\0') {
            log_warning("recorder.position is of no use, files are read from "
                        "their beginning: error=\"%s\"",
                        error.text);
        }
        return;
    }
    if (strcmp(position.instance, recorder->options.instance) != 0) {
        return;
    }
    if (!is_possible(&position, last_seq)) {
        log_warning("recorder.position is ahead of the event log, files are "
                    "read from their beginning: seq=%lld last_seq=%lld",
                    (long long)position.seq, (long long)last_seq);
    } else {
        recorder_chain_resume(recorder->members[0].chain, &position);
    }
}

struct recorder *recorder_start(const struct recorder_options *options,
                                struct error *error)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);

    if (recorder == NULL || !make_lock(recorder)) {
        free(recorder);
        error_set(error, "recorder: out of memory");
        return NULL;
    }
    recorder->options = *options;
    if (recorder->options.sweep_seconds <= 0) {
        recorder->options.sweep_seconds = SWEEP_SECONDS;
    }
    recorder->fault.random = (uint64_t)clock_monotonic_us();
    recorder->caught_up_us = clock_now_us();
    recorder->retention_ms = clock_monotonic_ms();
    recorder->caught_up_ms = clock_monotonic_ms() - CAUGHT_UP_IDLE_MS;
    recorder->store =
        recorder_store_new(options->endpoint, options->key_prefix);
    if (recorder->store == NULL ||
        add_member(recorder, options->instance, true) == NULL) {
        error_set(error, "recorder: out of memory");
        free_recorder(recorder);
        return NULL;
    }
    resume(recorder);
    if (pthread_create(&recorder->thread, NULL, run, recorder) != 0) {
        error_set(error, "recorder: no thread");
        free_recorder(recorder);
        return NULL;
    }
    return recorder;
}

bool recorder_wait(struct recorder *recorder, int64_t seq, int timeout_ms)
{
    struct timespec deadline;
    int status = 0;
    bool applied;

    deadline_in(timeout_ms, &deadline);
    (void)pthread_mutex_lock(&recorder->lock);
    while (recorder->state.applied_seq < seq && !recorder->ended &&
           status != ETIMEDOUT) {
        status = pthread_cond_timedwait(&recorder->changed, &recorder->lock,
                                        &deadline);
    }
    applied = recorder->state.applied_seq >= seq;
    (void)pthread_mutex_unlock(&recorder->lock);
    return applied;
}

void recorder_wake(struct recorder *recorder)
{
    (void)pthread_mutex_lock(&recorder->lock);
    recorder->woken = true;
    (void)pthread_cond_broadcast(&recorder->changed);
    (void)pthread_mutex_unlock(&recorder->lock);
}

void recorder_state(struct recorder *recorder, struct recorder_state *state)
{
    struct recorder_chain_state own;
    int64_t oldest_us;

    (void)pthread_mutex_lock(&recorder->lock);
    own = recorder->state;
    oldest_us = own.oldest_us > 0 ? own.oldest_us : recorder->caught_up_us;
    *state = (struct recorder_state){.connected = recorder->connected,
                                     .applied_seq = own.applied_seq,
                                     .applied = own.applied,
                                     .fast_forwards = own.fast_forwards,
                                     .rollbacks = own.rollbacks,
                                     .dead = own.dead,
                                     .torn = own.torn};
    (void)pthread_mutex_unlock(&recorder->lock);
    if (event_log_last_seq(recorder->options.log) > own.applied_seq) {
        int64_t lag_us = clock_now_us() - oldest_us;

        state->lag_seconds = lag_us > 0 ? lag_us / 1000000 : 0;
    }
}

void recorder_stop(struct recorder *recorder, int timeout_ms)
{
    if (recorder == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&recorder->lock);
    recorder->stopping = true;
    recorder->stop_ms = clock_monotonic_ms() + timeout_ms;
    recorder_store_end_by(recorder->store, recorder->stop_ms);
    (void)pthread_cond_broadcast(&recorder->changed);
    (void)pthread_mutex_unlock(&recorder->lock);
    (void)pthread_join(recorder->thread, NULL);
    free_recorder(recorder);
}
