#include "suppression_track.h"

#include "clock.h"
#include "log.h"
#include "suppression_follow.h"
#include "text.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define OPEN_MS        1000
#define SILENT_MS      2000 /* four pings */
#define UNREAD_MS      4    /* how long the thread may be held up */
#define RETRY_FIRST_MS 50
#define RETRY_LAST_MS  1000
#define REFUSED_MS     30000
#define FULL_MS        600000

struct suppression_track {
    struct suppression_options options;
    struct suppression_cache *cache;
    struct suppression_follow *follow; /* the thread's alone */
    int wake_file;
    pthread_t thread;
    bool told; /* that the cache is lost; the thread's alone */

    _Atomic bool stopping;
    _Atomic int status; /* enum suppression_cache_status */
    _Atomic bool is_whole;
    _Atomic int64_t confirmed_ms;
    _Atomic int naming_file; /* for poll() alone */
    _Atomic int asking_file;
    _Atomic bool reading;    /* names, at this moment */
    _Atomic int64_t read_ms; /* when all names so far had been read */
    _Atomic uint64_t loads;
    _Atomic uint64_t invalidations;
    _Atomic uint64_t breaks;
};

/* ---- what others see
 * --------------------------------------------------------- */

const struct suppression_cache *
suppression_track_cache(const struct suppression_track *track)
{
    return track->cache;
}

/* The clock and not the thread tells silence: the thread may be held up. */
enum suppression_cache_status
suppression_track_status(const struct suppression_track *track, int64_t now_ms)
{
    int status = atomic_load_explicit(&track->status, memory_order_acquire);

    if (status == SUPPRESSION_CACHE_CURRENT &&
        now_ms - atomic_load_explicit(&track->confirmed_ms,
                                      memory_order_relaxed) >
            SILENT_MS) {
        return SUPPRESSION_CACHE_STALE;
    }
    return (enum suppression_cache_status)status;
}

/*
 * Whether nothing waits for the thread to read it. What one lookup finds out
 * serves all for UNREAD_MS. The thread says that it reads before it does, so
 * what poll() no longer sees, and is not yet in the cache, shows there.
 */
static bool is_read(struct suppression_track *track, int64_t now_ms)
{
    struct pollfd files[] = {
        {.fd = atomic_load(&track->naming_file), .events = POLLIN},
        {.fd = atomic_load(&track->asking_file), .events = POLLRDHUP},
    };

    if (poll(files, sizeof files / sizeof files[0], 0) != 0 ||
        atomic_load(&track->reading)) {
        return false;
    }
    atomic_store(&track->read_ms, now_ms);
    return true;
}

bool suppression_track_is_current(struct suppression_track *track,
                                  int64_t now_ms)
{
    return suppression_track_status(track, now_ms) ==
               SUPPRESSION_CACHE_CURRENT &&
           (now_ms - atomic_load(&track->read_ms) <= UNREAD_MS ||
            is_read(track, now_ms));
}

bool suppression_track_age(const struct suppression_track *track,
                           int64_t now_ms, int64_t *age_ms)
{
    int64_t age = now_ms - atomic_load(&track->confirmed_ms);

    *age_ms = age < 0 ? 0 : age;
    return atomic_load(&track->is_whole);
}

void suppression_track_state(const struct suppression_track *track,
                             struct suppression_cache_state *state)
{
    int64_t now_ms = clock_monotonic_ms();
    struct suppression_cache_count count =
        suppression_cache_count(track->cache);

    *state = (struct suppression_cache_state){
        .status = suppression_track_status(track, now_ms),
        .entries = count.entries,
        .bytes = count.bytes,
        .loads = atomic_load(&track->loads),
        .invalidations = atomic_load(&track->invalidations),
        .breaks = atomic_load(&track->breaks),
    };
    if (!suppression_track_age(track, now_ms, &state->age_ms)) {
        state->age_ms = 0;
    }
}

/* ---- what the talk tells
 * ------------------------------------------------------- */

static void set_status(struct suppression_track *track,
                       enum suppression_cache_status status)
{
    atomic_store_explicit(&track->status, (int)status, memory_order_release);
}

static void load_begins(void *context)
{
    set_status(context, SUPPRESSION_CACHE_LOADING);
}

static void load_ended(void *context)
{
    struct suppression_track *track = context;
    const struct suppression_listener *listener = &track->options.listener;
    struct suppression_cache_count count =
        suppression_cache_count(track->cache);

    atomic_store(&track->is_whole, true);
    set_status(track, SUPPRESSION_CACHE_CURRENT);
    if (atomic_fetch_add(&track->loads, 1) == 0 || track->told) {
        log_info("suppression cache current: entries=%zu bytes=%zu",
                 count.entries, count.bytes);
    }
    track->told = false;
    if (listener->reloaded != NULL) {
        listener->reloaded(listener->context);
    }
}

static void confirmed(void *context, int64_t at_ms)
{
    struct suppression_track *track = context;

    atomic_store_explicit(&track->confirmed_ms, at_ms, memory_order_relaxed);
}

static void named(void *context, size_t keys)
{
    struct suppression_track *track = context;

    (void)atomic_fetch_add(&track->invalidations, keys);
}

static void connected(void *context, int naming_file, int asking_file)
{
    struct suppression_track *track = context;

    atomic_store(&track->naming_file, naming_file);
    atomic_store(&track->asking_file, asking_file);
}

static void reading(void *context)
{
    struct suppression_track *track = context;

    atomic_store(&track->reading, true);
}

static void all_read(void *context, int64_t at_ms)
{
    struct suppression_track *track = context;

    atomic_store(&track->read_ms, at_ms);
    atomic_store(&track->reading, false);
}

static void changed(void *context, const struct suppression_change *change)
{
    struct suppression_track *track = context;
    const struct suppression_listener *listener = &track->options.listener;

    if (listener->changed != NULL) {
        listener->changed(listener->context, change);
    }
}

/* ---- the thread
 * ------------------------------------------------------------------ */

/* Once for each loss, however often it is tried again. */
static void tell(struct suppression_track *track, const char *list,
                 const struct error *error)
{
    char shown[ERROR_SIZE];

    if (!track->told) {
        log_warning("no current suppression cache, each lookup asks redis: "
                    "list=%s error=\"%s\"",
                    list,
                    text_escape(text_of(error->text), shown, sizeof shown));
        track->told = true;
    }
}

/* Returns how long to wait before the next try. */
static int64_t give_up(struct suppression_track *track,
                       enum suppression_follow_result result,
                       const struct error *error)
{
    bool is_whole = atomic_load(&track->is_whole);

    if (result == SUPPRESSION_FOLLOW_BROKEN) {
        set_status(track, is_whole ? SUPPRESSION_CACHE_STALE
                                   : SUPPRESSION_CACHE_LOADING);
        tell(track, is_whole ? "stale" : "none", error);
        return 0;
    }
    /* it would be older with each day, and nothing would renew it */
    set_status(track, SUPPRESSION_CACHE_OFF);
    atomic_store(&track->is_whole, false);
    suppression_cache_clear(track->cache);
    tell(track, "none", error);
    return result == SUPPRESSION_FOLLOW_FULL ? FULL_MS : REFUSED_MS;
}

static enum suppression_follow_result follow(struct suppression_track *track,
                                             struct error *error)
{
    enum suppression_follow_result result = suppression_follow_open(
        track->follow, clock_monotonic_ms() + OPEN_MS, error);

    while (result == SUPPRESSION_FOLLOW_GOES_ON &&
           !atomic_load(&track->stopping)) {
        result = suppression_follow_turn(track->follow, error);
    }
    return result;
}

static void pause_thread(const struct suppression_track *track, int64_t ms)
{
    struct pollfd file = {.fd = track->wake_file, .events = POLLIN};

    (void)poll(&file, 1, (int)ms);
}

static void *run(void *context)
{
    struct suppression_track *track = context;
    int64_t retry_ms = RETRY_FIRST_MS;

    while (!atomic_load(&track->stopping)) {
        uint64_t loads = atomic_load(&track->loads);
        struct error error = {""};
        enum suppression_follow_result result = follow(track, &error);
        int64_t wait_ms;

        if (result == SUPPRESSION_FOLLOW_GOES_ON) {
            break;
        }
        (void)atomic_fetch_add(&track->breaks, 1);
        if (atomic_load(&track->loads) != loads) {
            retry_ms = RETRY_FIRST_MS;
        }
        /* lookups know it before keys become what they were */
        wait_ms = give_up(track, result, &error);
        suppression_follow_close(track->follow);
        pause_thread(track, wait_ms != 0 ? wait_ms : retry_ms);
        retry_ms = retry_ms < RETRY_LAST_MS / 2 ? 2 * retry_ms : RETRY_LAST_MS;
        if (!atomic_load(&track->stopping)) {
            /* the name may have moved, another be master */
            (void)redis_endpoint_resolve(track->options.endpoint, NULL);
        }
    }
    suppression_follow_close(track->follow);
    return NULL;
}

/* ---- begin and end
 * ------------------------------------------------------------------ */

/* Signals are for the threads that wait for them. */
static bool start(struct suppression_track *track)
{
    sigset_t all;
    sigset_t before;
    bool started;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&track->thread, NULL, run, track) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void release(struct suppression_track *track)
{
    suppression_follow_free(track->follow);
    suppression_cache_free(track->cache);
    if (track->wake_file >= 0) {
        (void)close(track->wake_file);
    }
    free(track);
}

static bool make_parts(struct suppression_track *track, struct error *error)
{
    struct suppression_follow_options talk = {
        .endpoint = track->options.endpoint,
        .key_prefix = track->options.key_prefix,
        .load_begins = load_begins,
        .load_ended = load_ended,
        .confirmed = confirmed,
        .named = named,
        .connected = connected,
        .reading = reading,
        .read = all_read,
        .changed = changed,
        .context = track,
    };

    track->wake_file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (track->wake_file < 0) {
        error_set_errno(error, "suppression cache");
        return false;
    }
    track->cache = suppression_cache_new(track->options.cache_memory, error);
    if (track->cache == NULL) {
        return false;
    }
    talk.cache = track->cache;
    talk.wake_file = track->wake_file;
    track->follow = suppression_follow_new(&talk);
    if (track->follow == NULL) {
        error_set(error, "suppression cache: out of memory");
    }
    return track->follow != NULL;
}

struct suppression_track *
suppression_track_new(const struct suppression_options *options,
                      struct error *error)
{
    struct suppression_track *track = calloc(1, sizeof *track);

    if (track == NULL) {
        error_set(error, "suppression cache: out of memory");
        return NULL;
    }
    track->options = *options;
    track->wake_file = -1;
    connected(track, -1, -1);
    set_status(track, SUPPRESSION_CACHE_LOADING);
    if (!make_parts(track, error)) {
        release(track);
        return NULL;
    }
    if (!start(track)) {
        error_set(error, "suppression cache: no thread");
        release(track);
        return NULL;
    }
    return track;
}

void suppression_track_free(struct suppression_track *track)
{
    const uint64_t one = 1;

    if (track == NULL) {
        return;
    }
    atomic_store(&track->stopping, true);
    (void)!write(track->wake_file, &one, sizeof one);
    (void)pthread_join(track->thread, NULL);
    release(track);
}
