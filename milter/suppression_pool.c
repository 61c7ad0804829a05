#include "suppression_pool.h"

#include "clock.h"
#include "text.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_MAX   64
#define PROBE_FIRST_MS    50
#define PROBE_LAST_MS     1000
#define PROBE_DEADLINE_MS 1000
/* Closed for less, the breaker is flapping: the pauses go on growing. */
#define STEADY_MS 10000

struct pooled_link {
    struct redis_link *link;
    uint64_t era; /* when it was last taken */
    bool taken;
};

struct suppression_pool {
    struct suppression_options options;
    struct redis_link *probe_link; /* the prober's alone */
    pthread_t prober;
    pthread_mutex_t lock;   /* guards everything below */
    pthread_cond_t freed;   /* a link came back, or the breaker opened */
    pthread_cond_t changed; /* the breaker opened, or the prober must end */
    struct pooled_link links[CONNECTIONS_MAX];
    bool is_open; /* the breaker: nobody asks Redis */
    bool stopping;
    uint64_t era; /* counts the changes of is_open */
    struct error cause;
};

static struct timespec timespec_of(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000,
                             .tv_nsec = ms % 1000 * 1000000};
}

static struct pooled_link *find_free(struct suppression_pool *pool)
{
    for (int i = 0; i < pool->options.connections; i++) {
        if (!pool->links[i].taken) {
            return &pool->links[i];
        }
    }
    return NULL;
}

/* With the lock held. */
static bool wait_for_free(struct suppression_pool *pool, int64_t deadline_ms,
                          struct pooled_link **found, struct error *error)
{
    struct timespec until = timespec_of(deadline_ms);
    int fault = 0;

    while (!pool->is_open) {
        *found = find_free(pool);
        if (*found != NULL) {
            return true;
        }
        if (fault != 0) {
            error_set(error, "redis: all %d connections are busy",
                      pool->options.connections);
            return false;
        }
        fault = pthread_cond_timedwait(&pool->freed, &pool->lock, &until);
    }
    if (error != NULL) {
        *error = pool->cause;
    }
    return false;
}

bool suppression_pool_take(struct suppression_pool *pool, int64_t deadline_ms,
                           struct suppression_loan *loan, struct error *error)
{
    struct pooled_link *found = NULL;
    bool is_old = false;

    (void)pthread_mutex_lock(&pool->lock);
    if (wait_for_free(pool, deadline_ms, &found, error)) {
        is_old = found->era != pool->era;
        found->taken = true;
        found->era = pool->era;
        *loan = (struct suppression_loan){
            .link = found->link,
            .slot = (unsigned)(found - pool->links),
            .era = pool->era,
        };
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (is_old) {
        /* from before an outage: who knows what it still waits for */
        redis_link_close(found->link);
    }
    return found != NULL;
}

void suppression_pool_give(struct suppression_pool *pool,
                           const struct suppression_loan *loan)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->links[loan->slot].taken = false;
    (void)pthread_cond_signal(&pool->freed);
    (void)pthread_mutex_unlock(&pool->lock);
}

void suppression_pool_fail(struct suppression_pool *pool,
                           const struct suppression_loan *loan,
                           const struct error *cause)
{
    (void)pthread_mutex_lock(&pool->lock);
    if (!pool->is_open && pool->era == loan->era) {
        pool->is_open = true;
        pool->era++;
        pool->cause = *cause;
        (void)pthread_cond_signal(&pool->changed);
        (void)pthread_cond_broadcast(&pool->freed);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

static void announce(const struct suppression_pool *pool, bool available,
                     const char *cause)
{
    if (pool->options.store_changed != NULL) {
        pool->options.store_changed(pool->options.context, available, cause);
    }
}

static bool ask_type(struct suppression_pool *pool, enum store_list list,
                     int64_t deadline_ms)
{
    static const struct mailbox_pattern pattern = {
        .kind = MAILBOX_PATTERN_EXACT, .text = "probe", .length = 5};
    struct store_key key;
    const char *argv[] = {"TYPE", key.text};
    redisReply *reply;
    bool answered;

    if (!store_key_list(pool->options.key_prefix, list, NULL, &pattern, &key)) {
        return false;
    }
    reply = redis_link_ask(pool->probe_link, deadline_ms, NULL, 2, argv, NULL);
    answered = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    return answered;
}

/* What lookups ask, of both lists: an ACL may forbid what PING would not. */
static bool ask_types(struct suppression_pool *pool, int64_t deadline_ms)
{
    return ask_type(pool, STORE_ALLOW, deadline_ms) &&
           ask_type(pool, STORE_SUPPRESS, deadline_ms);
}

/*
 * A server that was stopped answers the probe that waited for it late, and
 * the next one in time; a slow one does not, and is of no use to lookups.
 */
static bool probe(struct suppression_pool *pool)
{
    int64_t limit = pool->options.timeout_ms;
    int64_t start = clock_monotonic_ms();
    bool answered =
        redis_link_open(pool->probe_link, start + PROBE_DEADLINE_MS, NULL) &&
        ask_types(pool, start + PROBE_DEADLINE_MS) &&
        (clock_monotonic_ms() - start <= limit ||
         ask_types(pool, clock_monotonic_ms() + limit));

    redis_link_close(pool->probe_link);
    if (!answered) {
        /* for the next time: the name may have moved */
        (void)redis_endpoint_resolve(pool->options.endpoint, NULL);
    }
    return answered;
}

/* With the lock held, as long as given; false when it must end. */
static bool pause_prober(struct suppression_pool *pool, int64_t ms)
{
    struct timespec until = timespec_of(clock_monotonic_ms() + ms);
    int fault = 0;

    while (!pool->stopping && fault == 0) {
        fault = pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
    }
    return !pool->stopping;
}

/* With the lock held at both ends; false when it must end. */
static bool probe_until_answered(struct suppression_pool *pool,
                                 int64_t *pause_ms)
{
    bool answered = false;

    while (!answered) {
        if (!pause_prober(pool, *pause_ms)) {
            return false;
        }
        (void)pthread_mutex_unlock(&pool->lock);
        answered = probe(pool);
        (void)pthread_mutex_lock(&pool->lock);
        *pause_ms *= 2;
        if (*pause_ms > PROBE_LAST_MS) {
            *pause_ms = PROBE_LAST_MS;
        }
    }
    pool->is_open = false;
    pool->era++;
    return true;
}

static void *run_prober(void *context)
{
    struct suppression_pool *pool = context;
    int64_t pause_ms = PROBE_FIRST_MS;
    int64_t closed_ms = clock_monotonic_ms();

    (void)pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        struct error cause;

        if (!pool->is_open) {
            (void)pthread_cond_wait(&pool->changed, &pool->lock);
            continue;
        }
        cause = pool->cause;
        (void)pthread_mutex_unlock(&pool->lock);
        announce(pool, false, cause.text);
        if (clock_monotonic_ms() - closed_ms >= STEADY_MS) {
            pause_ms = PROBE_FIRST_MS;
        }
        (void)pthread_mutex_lock(&pool->lock);
        if (!probe_until_answered(pool, &pause_ms)) {
            break;
        }
        closed_ms = clock_monotonic_ms();
        (void)pthread_mutex_unlock(&pool->lock);
        announce(pool, true, "");
        (void)pthread_mutex_lock(&pool->lock);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Signals are for the threads that wait for them. */
static bool start_prober(struct suppression_pool *pool)
{
    sigset_t all;
    sigset_t before;
    bool started;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&pool->prober, NULL, run_prober, pool) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static bool make_locks(struct suppression_pool *pool)
{
    pthread_condattr_t attributes;
    bool made = false;

    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    if (pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
        pthread_mutex_init(&pool->lock, NULL) == 0) {
        /* glibc and musl allocate nothing here: these do not fail */
        made = pthread_cond_init(&pool->freed, &attributes) == 0 &&
               pthread_cond_init(&pool->changed, &attributes) == 0;
    }
    (void)pthread_condattr_destroy(&attributes);
    return made;
}

static void free_links(struct suppression_pool *pool)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        redis_link_free(pool->links[i].link);
    }
    redis_link_free(pool->probe_link);
}

static bool make_links(struct suppression_pool *pool)
{
    pool->probe_link = redis_link_new(pool->options.endpoint);
    for (int i = 0; i < pool->options.connections; i++) {
        pool->links[i].link = redis_link_new(pool->options.endpoint);
        if (pool->links[i].link == NULL) {
            return false;
        }
    }
    return pool->probe_link != NULL;
}

struct suppression_pool *
suppression_pool_new(const struct suppression_options *options,
                     struct error *error)
{
    struct redis_address addresses[REDIS_ENDPOINT_ADDRESSES];
    struct suppression_pool *pool;

    if (options->connections < 1 || options->connections > CONNECTIONS_MAX ||
        options->timeout_ms < 1 || options->timeout_ms > PROBE_DEADLINE_MS) {
        error_set(error, "redis: 1 to %d connections, 1 to %d ms",
                  CONNECTIONS_MAX, PROBE_DEADLINE_MS);
        return NULL;
    }
    pool = calloc(1, sizeof *pool);
    if (pool == NULL || !make_locks(pool)) {
        error_set(error, "redis: out of memory");
        free(pool);
        return NULL;
    }
    pool->options = *options;
    if (redis_endpoint_addresses(options->endpoint, addresses) == 0) {
        /* if it fails, the first lookup tells and the prober goes on */
        (void)redis_endpoint_resolve(options->endpoint, NULL);
    }
    if (!make_links(pool) || !start_prober(pool)) {
        error_set(error, "redis: out of memory or threads");
        free_links(pool);
        free(pool);
        return NULL;
    }
    return pool;
}

void suppression_pool_free(struct suppression_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    (void)pthread_cond_signal(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
    (void)pthread_join(pool->prober, NULL);
    free_links(pool);
    (void)pthread_cond_destroy(&pool->freed);
    (void)pthread_cond_destroy(&pool->changed);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}
