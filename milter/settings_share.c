#include "settings_share.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct lent {
    struct settings *settings;
    unsigned users;
    struct lent *older;
};

struct settings_share {
    pthread_mutex_t lock; /* guards all below */
    struct lent *newest;
    /* those of newest, only to be compared: also without the lock */
    _Atomic(const struct settings *) shown;
};

static void free_lent(struct lent *lent)
{
    settings_free(lent->settings);
    free(lent);
}

/* With the lock held: of the older ones those that nobody uses. */
static void free_unused(struct settings_share *share)
{
    struct lent **link = &share->newest->older;

    while (*link != NULL) {
        struct lent *lent = *link;

        if (lent->users > 0) {
            link = &lent->older;
        } else {
            *link = lent->older;
            free_lent(lent);
        }
    }
}

struct settings_share *settings_share_new(struct settings *settings)
{
    struct settings_share *share = calloc(1, sizeof *share);

    if (share == NULL) {
        return NULL;
    }
    share->newest = calloc(1, sizeof *share->newest);
    if (share->newest == NULL || pthread_mutex_init(&share->lock, NULL) != 0) {
        free(share->newest);
        free(share);
        return NULL;
    }
    share->newest->settings = settings;
    atomic_init(&share->shown, settings);
    return share;
}

const struct settings *settings_share_borrow(struct settings_share *share)
{
    const struct settings *settings;

    (void)pthread_mutex_lock(&share->lock);
    share->newest->users++;
    settings = share->newest->settings;
    (void)pthread_mutex_unlock(&share->lock);
    return settings;
}

void settings_share_return(struct settings_share *share,
                           const struct settings *settings)
{
    (void)pthread_mutex_lock(&share->lock);
    for (struct lent *lent = share->newest; lent != NULL; lent = lent->older) {
        if (lent->settings == settings) {
            lent->users--;
            break;
        }
    }
    free_unused(share);
    (void)pthread_mutex_unlock(&share->lock);
}

bool settings_share_is_newest(struct settings_share *share,
                              const struct settings *settings)
{
    return atomic_load(&share->shown) == settings;
}

bool settings_share_replace(struct settings_share *share,
                            struct settings *settings)
{
    struct lent *lent = calloc(1, sizeof *lent);

    if (lent == NULL) {
        return false;
    }
    lent->settings = settings;
    (void)pthread_mutex_lock(&share->lock);
    lent->older = share->newest;
    share->newest = lent;
    atomic_store(&share->shown, settings);
    free_unused(share);
    (void)pthread_mutex_unlock(&share->lock);
    return true;
}

void settings_share_free(struct settings_share *share)
{
    if (share == NULL) {
        return;
    }
    while (share->newest != NULL) {
        struct lent *lent = share->newest;

        share->newest = lent->older;
        free_lent(lent);
    }
    (void)pthread_mutex_destroy(&share->lock);
    free(share);
}
