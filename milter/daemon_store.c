#include "daemon_store.h"

#include "clock.h"
#include "list_watch.h"
#include "log.h"
#include "quarantine.h"
#include "redis_endpoint.h"
#include "redis_link.h"
#include "redis_master_watch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUP_CONNECTIONS 8
#define FLUSH_MS           5000
#define LEARN_MS           30000 /* between looks at what others have forgotten */
#define LEARN_WAIT_MS      2000

struct daemon_store {
    struct daemon_store_options options;
    const struct settings *settings; /* as at the start: where Redis is */
    struct redis_endpoint *endpoint;
    struct redis_master_watch *master_watch; /* NULL: no sentinels */
    struct suppression *list;
    struct list_watch *watch; /* NULL: no cache tells it of changes */
    struct quarantine *quarantine;
    struct unclassified *unclassified;
    int64_t flush_ms;        /* when its texts go to Redis next */
    struct redis_link *link; /* for what others have forgotten */
    int64_t learn_ms;        /* when that is looked at next */

    pthread_mutex_t lock;      /* guards all below */
    struct recorder *recorder; /* NULL: not yet, or no more */
    bool lookups_down;
    bool recorder_down;
};

/* ---- what the parts tell ------------------------------------------------- */

static void append(struct daemon_store *store, struct event *event)
{
    /* the log itself tells of what it could not write */
    (void)event_log_append(store->options.log, event);
}

/*
 * Each part that loses Redis is an event of its own, that all is well again is
 * one event.
 */
static void tell(struct daemon_store *store, const char *part,
                 const char *cause)
{
    struct event event;
    char text[300];

    event_init(&event,
               part != NULL ? EVENT_STORE_DEGRADED : EVENT_STORE_RECOVERED,
               clock_now_us());
    event.store_endpoint = text_of(redis_endpoint_name(store->endpoint));
    if (part != NULL) {
        (void)snprintf(text, sizeof text, "%s: %.250s", part, cause);
        event.store_error = text_of(text);
    }
    append(store, &event);
}

static void changed(struct daemon_store *store, bool *down, bool available,
                    const char *part, const char *cause)
{
    bool all_well;

    (void)pthread_mutex_lock(&store->lock);
    *down = !available;
    all_well = !store->lookups_down && !store->recorder_down;
    (void)pthread_mutex_unlock(&store->lock);
    if (!available) {
        tell(store, part, cause);
    } else if (all_well) {
        tell(store, NULL, "");
    }
}

/* Redis answers lookups: it may take events too, before the next try is due. */
static void wake_recorder(struct daemon_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    if (store->recorder != NULL) {
        recorder_wake(store->recorder);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

static void lookups_changed(void *context, bool available, const char *cause)
{
    struct daemon_store *store = context;
    const char *endpoint = redis_endpoint_name(store->endpoint);

    if (available) {
        log_info("redis answers lookups again: endpoint=%s", endpoint);
        wake_recorder(store);
    } else {
        char text[256];

        log_warning("redis does not answer lookups, on_store_failure is in "
                    "force: endpoint=%s error=\"%s\"",
                    endpoint, text_escape(text_of(cause), text, sizeof text));
    }
    changed(store, &store->lookups_down, available, "lookups", cause);
}

/* The recorder writes its own log lines. */
static void recorder_changed(void *context, bool available, const char *cause)
{
    struct daemon_store *store = context;

    changed(store, &store->recorder_down, available, "recorder", cause);
}

static void gap_found(void *context, int64_t first_seq, int64_t last_seq,
                      const char *reason)
{
    struct event event;

    event_init(&event, EVENT_GAP, clock_now_us());
    event.gap_first_seq = first_seq;
    event.gap_last_seq = last_seq;
    event.gap_reason = text_of(reason);
    append(context, &event);
}

static void seq_seen(void *context, int64_t seq)
{
    struct daemon_store *store = context;

    event_log_seen_seq(store->options.log, seq);
}

/* Redis answers, and all that we logged is there. */
static void caught_up(void *context, const char *const *instances)
{
    struct daemon_store *store = context;
    struct error unheard;

    quarantine_run(store->quarantine, instances);
    if (clock_monotonic_ms() >= store->flush_ms) {
        store->flush_ms = clock_monotonic_ms() + FLUSH_MS;
        /* it is not exact, and what Redis did not take stays for the next */
        (void)unclassified_flush(store->unclassified, &unheard);
    }
    if (clock_monotonic_ms() >= store->learn_ms) {
        store->learn_ms = clock_monotonic_ms() + LEARN_MS;
        /* what is not learned now is learned then */
        (void)forgotten_learn(store->options.forgotten, store->link,
                              store->settings->key_prefix,
                              clock_monotonic_ms() + LEARN_WAIT_MS, &unheard);
    }
}

/* ---- start and stop ------------------------------------------------------ */

static bool start_endpoint(struct daemon_store *store, struct error *error)
{
    const struct settings *settings = store->settings;
    const struct redis_endpoint_options where = {
        settings->redis, settings->redis_user, settings->redis_password_file};
    char password[REDIS_PASSWORD_MAX];
    size_t length;
    bool readable;

    store->endpoint = redis_endpoint_new(&where, error);
    if (store->endpoint == NULL) {
        return false;
    }
    readable =
        redis_endpoint_password(store->endpoint, password, &length, error);
    explicit_bzero(password, sizeof password);
    if (!readable) {
        return false;
    }
    if (!redis_endpoint_resolve(store->endpoint, error)) {
        log_warning("%s: going on without, and trying again", error->text);
        error->text[0] = '\0';
    }
    if (redis_endpoint_wants_master(store->endpoint)) {
        store->master_watch = redis_master_watch_start(store->endpoint, error);
        return store->master_watch != NULL;
    }
    return true;
}

/* A change of the lists that somebody made in Redis. */
static bool append_change(void *context, struct event *event)
{
    struct daemon_store *store = context;

    return event_log_append(store->options.log, event) != EVENT_LOG_LOST;
}

static size_t count_entries(void *context)
{
    struct daemon_store *store = context;
    struct suppression_cache_state state;

    suppression_cache_state(store->list, &state);
    return state.status == SUPPRESSION_CACHE_CURRENT ? state.entries : 0;
}

static bool make_watch(struct daemon_store *store,
                       struct suppression_listener *listener,
                       struct error *error)
{
    const struct list_watch_options changes = {
        .endpoint = store->endpoint,
        .key_prefix = store->settings->key_prefix,
        .append = append_change,
        .entries = count_entries,
        .context = store,
    };

    if (store->settings->suppression_cache_memory == 0) {
        return true;
    }
    store->watch = list_watch_new(&changes);
    if (store->watch == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    *listener = (struct suppression_listener){
        list_watch_changed, list_watch_reloaded, store->watch};
    return true;
}

static bool start_list(struct daemon_store *store, struct error *error)
{
    struct suppression_options lookups = {
        .endpoint = store->endpoint,
        .key_prefix = store->settings->key_prefix,
        .timeout_ms = store->settings->redis_timeout_ms,
        .connections = LOOKUP_CONNECTIONS,
        .cache_memory = store->settings->suppression_cache_memory,
        .pseudonyms = store->options.pseudonyms,
        .forgotten = store->options.forgotten,
        .store_changed = lookups_changed,
        .context = store,
    };

    if (!make_watch(store, &lookups.listener, error)) {
        return false;
    }
    store->list = suppression_new(&lookups, error);
    return store->list != NULL &&
           (store->watch == NULL || list_watch_start(store->watch, error));
}

static bool make_decisions(struct daemon_store *store, struct error *error)
{
    const struct quarantine_options decisions = {
        .endpoint = store->endpoint,
        .key_prefix = store->settings->key_prefix,
        .settings = store->options.settings,
        .log = store->options.log,
    };

    store->quarantine = quarantine_new(&decisions);
    store->unclassified =
        unclassified_new(store->endpoint, store->settings->key_prefix);
    store->link = redis_link_new(store->endpoint);
    if (store->quarantine == NULL || store->unclassified == NULL ||
        store->link == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    return true;
}

static bool start_recorder(struct daemon_store *store, struct error *error)
{
    const struct settings *settings = store->settings;
    const struct recorder_options options = {
        .event_log_path = settings->event_log,
        .state_dir = settings->state_dir,
        .key_prefix = settings->key_prefix,
        .instance = store->options.instance,
        .retention_seconds = settings->event_log_retention_s,
        .endpoint = store->endpoint,
        .log = store->options.log,
        .store_changed = recorder_changed,
        .gap_found = gap_found,
        .caught_up = caught_up,
        .seq_seen = seq_seen,
        .context = store,
    };
    struct recorder *recorder = recorder_start(&options, error);

    (void)pthread_mutex_lock(&store->lock);
    store->recorder = recorder;
    (void)pthread_mutex_unlock(&store->lock);
    return recorder != NULL;
}

struct daemon_store *
daemon_store_start(const struct daemon_store_options *options,
                   struct error *error)
{
    struct daemon_store *store = calloc(1, sizeof *store);

    if (store == NULL || pthread_mutex_init(&store->lock, NULL) != 0) {
        free(store);
        error_set(error, "out of memory");
        return NULL;
    }
    store->options = *options;
    store->settings = settings_share_borrow(options->settings);
    /* on failure the process ends: what runs already may still use it */
    if (!start_endpoint(store, error) || !start_list(store, error) ||
        !make_decisions(store, error) || !start_recorder(store, error)) {
        return NULL;
    }
    return store;
}

struct suppression *daemon_store_list(struct daemon_store *store)
{
    return store->list;
}

struct unclassified *daemon_store_unclassified(struct daemon_store *store)
{
    return store->unclassified;
}

void daemon_store_cache_state(struct daemon_store *store,
                              struct suppression_cache_state *state)
{
    suppression_cache_state(store->list, state);
}

bool daemon_store_wait(struct daemon_store *store, int64_t seq, int timeout_ms)
{
    return recorder_wait(store->recorder, seq, timeout_ms);
}

void daemon_store_state(struct daemon_store *store,
                        struct recorder_state *state)
{
    recorder_state(store->recorder, state);
}

bool daemon_store_answers(struct daemon_store *store)
{
    bool down;

    (void)pthread_mutex_lock(&store->lock);
    down = store->lookups_down;
    (void)pthread_mutex_unlock(&store->lock);
    return !down;
}

void daemon_store_stop(struct daemon_store *store, int timeout_ms)
{
    struct recorder *recorder;

    if (store == NULL) {
        return;
    }
    redis_master_watch_stop(store->master_watch);
    list_watch_stop(store->watch); /* the cache still tells it of changes */
    (void)pthread_mutex_lock(&store->lock);
    recorder = store->recorder;
    store->recorder = NULL;
    (void)pthread_mutex_unlock(&store->lock);
    recorder_stop(recorder, timeout_ms);
}
