#include "redis_master_watch.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct redis_master_watch {
    struct redis_endpoint *endpoint;
    int stop_file; /* readable: stop */
    pthread_t thread;
};

static bool is_stopped(const struct redis_master_watch *watch)
{
    struct pollfd file = {.fd = watch->stop_file, .events = POLLIN};

    return poll(&file, 1, REDIS_MASTER_WATCH_MS) > 0;
}

/* Whoever needs Redis tells that it, or the sentinels, are away. */
static void *run(void *context)
{
    const struct redis_master_watch *watch = context;
    struct error unheard;

    while (!is_stopped(watch)) {
        (void)redis_endpoint_check_master(watch->endpoint, &unheard);
    }
    return NULL;
}

/* Signals are for the threads that wait for them. */
static bool start(struct redis_master_watch *watch)
{
    sigset_t all;
    sigset_t before;
    bool started;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&watch->thread, NULL, run, watch) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

struct redis_master_watch *
redis_master_watch_start(struct redis_endpoint *endpoint, struct error *error)
{
    struct redis_master_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL) {
        error_set(error, "redis: out of memory");
        return NULL;
    }
    watch->endpoint = endpoint;
    watch->stop_file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->stop_file < 0 || !start(watch)) {
        error_set_errno(error, "redis: watch the sentinels");
        if (watch->stop_file >= 0) {
            (void)close(watch->stop_file);
        }
        free(watch);
        return NULL;
    }
    return watch;
}

void redis_master_watch_stop(struct redis_master_watch *watch)
{
    const uint64_t one = 1;

    if (watch == NULL) {
        return;
    }
    (void)!write(watch->stop_file, &one, sizeof one);
    (void)pthread_join(watch->thread, NULL);
    (void)close(watch->stop_file);
    free(watch);
}
