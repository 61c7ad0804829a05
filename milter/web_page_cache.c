#include "clock.h"
#include "web_page_answer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    struct web_cached kept; /* body NULL: nothing */
    int64_t fresh_until_ms;
    bool making;
};

struct web_cache {
    pthread_mutex_t lock; /* guards all below; nobody asks Redis under it */
    pthread_cond_t made;
    size_t count;
    struct slot *slots;
};

struct web_cache *web_cache_new(size_t slots)
{
    struct web_cache *cache = calloc(1, sizeof *cache);

    if (cache == NULL) {
        return NULL;
    }
    cache->slots = calloc(slots, sizeof *cache->slots);
    if (cache->slots == NULL) {
        free(cache);
        return NULL;
    }
    cache->count = slots;
    (void)pthread_mutex_init(&cache->lock, NULL);
    (void)pthread_cond_init(&cache->made, NULL);
    return cache;
}

void web_cache_free(struct web_cache *cache)
{
    if (cache != NULL) {
        for (size_t i = 0; i < cache->count; i++) {
            free(cache->slots[i].kept.body);
        }
        free(cache->slots);
        (void)pthread_cond_destroy(&cache->made);
        (void)pthread_mutex_destroy(&cache->lock);
        free(cache);
    }
}

/* False: no memory. */
static bool copy_of(const struct web_cached *from, struct web_cached *to)
{
    *to = *from;
    to->body = malloc(from->length + 1);
    if (to->body != NULL) {
        memcpy(to->body, from->body, from->length);
        to->body[from->length] = '\0';
    }
    return to->body != NULL;
}

bool web_cache_take(struct web_cache *cache, size_t slot,
                    struct web_cached *copy)
{
    struct slot *wanted = &cache->slots[slot];
    bool taken = false;

    (void)pthread_mutex_lock(&cache->lock);
    /* whoever makes it has a deadline of its own */
    while (wanted->making && wanted->kept.body == NULL) {
        (void)pthread_cond_wait(&cache->made, &cache->lock);
    }
    if (wanted->kept.body != NULL &&
        (wanted->making || clock_monotonic_ms() < wanted->fresh_until_ms)) {
        taken = copy_of(&wanted->kept, copy);
    }
    wanted->making = wanted->making || !taken;
    (void)pthread_mutex_unlock(&cache->lock);
    return taken;
}

void web_cache_put(struct web_cache *cache, size_t slot,
                   const struct web_cached *made, int64_t fresh_ms)
{
    struct slot *wanted = &cache->slots[slot];
    struct web_cached copy = {.body = NULL};

    if (made->body != NULL && !copy_of(made, &copy)) {
        copy.length = 0;
    }
    (void)pthread_mutex_lock(&cache->lock);
    free(wanted->kept.body);
    wanted->kept = copy;
    wanted->fresh_until_ms = clock_monotonic_ms() + fresh_ms;
    wanted->making = false;
    (void)pthread_cond_broadcast(&cache->made);
    (void)pthread_mutex_unlock(&cache->lock);
}
