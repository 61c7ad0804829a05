#include "list_watch.h"

#include "clock.h"
#include "list_watch_event.h"
#include "list_watch_look.h"
#include "log.h"
#include "siphash.h"
#include "suppression_names.h"
#include "text.h"

#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGAIN_MS   1000    /* after a fault */
#define REFUSED_MS 30000   /* after one that somebody must mend */
#define SWEEP_MS   3600000 /* between two walks over all entries */
#define CLAIMED_MS (LIST_WATCH_CLAIM_MS + 1000) /* another logs it */
#define FAULTS_MAX 4                            /* in a row, over one entry */
#define REST_MS    1000 /* at most, when there is nothing to do */
#define WORK_REST  1    /* times as long as the work took */
#define SWEEP_REST 3

/* Where a walk over all entries is. */
enum stage {
    STAGE_REST,
    STAGE_LISTS, /* keys of the lists */
    STAGE_KNOWN, /* and what is known, bucket by bucket: is it there still? */
};

struct list_watch {
    struct list_watch_options options;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* guards from here */
    pthread_cond_t wake;
    bool stopping;
    struct suppression_names *named; /* keys to look at */
    bool overflowed;                 /* not all of them */
    bool reloaded;                   /* to here */

    struct list_watch_look *look;
    struct suppression_names *work;  /* those in hand */
    size_t worked;                   /* of them */
    struct suppression_names *later; /* claimed by others */
    int64_t later_ms;                /* when the last of those claims ends */
    GHashTable *logged; /* name -> what it was, of which it is not known that
                           Redis knows */
    struct list_watch_entry entries[LIST_WATCH_BATCH];
    size_t batch; /* most at once: after a fault one */
    unsigned faults;
    bool told; /* of a fault */

    enum stage stage;
    bool sweep_wanted;
    int64_t sweep_ms; /* when the next is due */
    bool quiet;       /* what it finds is taken as known */
    bool begun;       /* this Redis has been seen before, */
    bool compared;    /* all of it */
    unsigned bucket;
    struct list_watch_page page;
    size_t paged; /* of the page */
    uint64_t swept, found;
    size_t most; /* entries, when Redis had them last */
    int64_t count_ms;
    uint64_t events; /* of this turn */
};

/* ---- what the cache tells ---- */

static bool add_name(struct suppression_names *names, struct text key)
{
    static const struct siphash_key any = {{0x6e69786965, 0x7761746368}};
    const struct suppression_name name = {.fingerprint = siphash(&any, key),
                                          .key = key};

    return suppression_names_count(names) < LIST_WATCH_NAMES &&
           suppression_names_add(names, &name);
}

void list_watch_changed(void *context, const struct suppression_change *change)
{
    struct list_watch *watch = context;

    (void)pthread_mutex_lock(&watch->lock);
    if (!add_name(watch->named, change->key)) {
        watch->overflowed = true;
    }
    (void)pthread_cond_signal(&watch->wake);
    (void)pthread_mutex_unlock(&watch->lock);
}

void list_watch_reloaded(void *context)
{
    struct list_watch *watch = context;

    (void)pthread_mutex_lock(&watch->lock);
    watch->reloaded = true;
    (void)pthread_cond_signal(&watch->wake);
    (void)pthread_mutex_unlock(&watch->lock);
}

/* Whether there is work in hand. */
static bool fetch_work(struct list_watch *watch, int64_t now_ms)
{
    struct suppression_names *done = watch->work;
    bool overflowed;

    if (watch->worked < suppression_names_count(watch->work)) {
        return true;
    }
    suppression_names_clear(done);
    watch->worked = 0;
    if (suppression_names_count(watch->later) > 0 &&
        now_ms >= watch->later_ms) {
        watch->work = watch->later;
        watch->later = done;
        return true;
    }
    (void)pthread_mutex_lock(&watch->lock);
    watch->work = watch->named;
    watch->named = done;
    overflowed = watch->overflowed;
    watch->overflowed = false;
    watch->sweep_wanted = watch->sweep_wanted || watch->reloaded || overflowed;
    watch->reloaded = false;
    (void)pthread_mutex_unlock(&watch->lock);
    if (overflowed && watch->stage == STAGE_REST) {
        log_warning("more changes of the lists in redis than are looked at one "
                    "by one: all entries will be compared");
    }
    return suppression_names_count(watch->work) > 0;
}

/* ---- looking at entries ---- */

/* What the change came to, as a word. */
static void take_value(const struct list_watch_entry *entry,
                       char value[LIST_KNOWN_SIZE])
{
    value[0] = '\0';
    if (entry->present) {
        list_known_format(&entry->says, value);
    }
}

static char *name_of(const struct list_watch_entry *entry)
{
    /* NUL stands in no name that is a pattern in normal form */
    return g_strndup(entry->name.bytes, entry->name.length);
}

/* Logged before, but Redis may not have been told. */
static bool has_been_logged(const struct list_watch *watch,
                            const struct list_watch_entry *entry)
{
    char value[LIST_KNOWN_SIZE];
    char *name = name_of(entry);
    const char *logged = g_hash_table_lookup(watch->logged, name);

    take_value(entry, value);
    g_free(name);
    return logged != NULL &&
           (entry->present ? list_known_is(text_of(logged), &entry->says)
                           : logged[0] == '\0');
}

static bool log_change(struct list_watch *watch,
                       const struct list_watch_entry *entry)
{
    char room[CLOCK_TIMESTAMP_SIZE];
    char value[LIST_KNOWN_SIZE];
    struct event event;

    if (has_been_logged(watch, entry)) {
        return true;
    }
    list_watch_event(entry, clock_now_us(), room, &event);
    if (!watch->options.append(watch->options.context, &event)) {
        return false;
    }
    take_value(entry, value);
    g_hash_table_replace(watch->logged, name_of(entry), g_strdup(value));
    watch->events++;
    watch->found++;
    return true;
}

/* Redis knows what we logged of it. */
static void forget_logged(struct list_watch *watch,
                          const struct list_watch_entry *entry)
{
    if (g_hash_table_size(watch->logged) > 0) {
        char *name = name_of(entry);

        (void)g_hash_table_remove(watch->logged, name);
        g_free(name);
    }
}

/* It has ended as it was to, or nothing was known and nobody is to hear. */
static bool is_silent(const struct list_watch_entry *entry, bool quiet)
{
    return entry->present ? quiet && entry->known.bytes == NULL
                          : list_known_has_ended(entry->known, entry->now_s);
}

/* Of those that differ the silent ones become known; *foreign: others. */
static bool learn_silent(struct list_watch *watch, size_t count, bool quiet,
                         bool *foreign, struct error *error)
{
    bool differs[LIST_WATCH_BATCH];

    *foreign = false;
    for (size_t i = 0; i < count; i++) {
        struct list_watch_entry *entry = &watch->entries[i];

        differs[i] = list_watch_entry_differs(entry);
        entry->wanted = differs[i] && is_silent(entry, quiet);
        differs[i] = differs[i] && !entry->wanted;
        *foreign = *foreign || differs[i];
        if (!differs[i]) {
            forget_logged(watch, entry);
        }
    }
    if (!list_watch_look_learn(watch->look, watch->entries, count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        watch->entries[i].wanted = differs[i];
    }
    return true;
}

/* Another node logs it; if it does not, we do. */
static void put_off(struct list_watch *watch,
                    const struct list_watch_entry *entry, int64_t now_ms)
{
    if (suppression_names_count(watch->later) == 0) {
        watch->later_ms = now_ms + CLAIMED_MS;
    }
    if (!add_name(watch->later,
                  (struct text){entry->key.text, entry->key.length})) {
        watch->sweep_wanted = true;
    }
}

/* Those that are claimed and still differ are logged. */
static bool log_claimed(struct list_watch *watch, size_t count, int64_t now_ms,
                        struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct list_watch_entry *entry = &watch->entries[i];

        if (!entry->wanted) {
            continue;
        }
        if (!entry->claimed) {
            entry->wanted = false;
            put_off(watch, entry, now_ms);
        } else if (!list_watch_entry_differs(entry)) {
            entry->wanted = false;
            if (!list_watch_look_release(watch->look, entry, error)) {
                return false;
            }
        } else if (!is_silent(entry, false) && !log_change(watch, entry)) {
            entry->wanted = false; /* the claim ends by itself */
            put_off(watch, entry, now_ms);
        }
    }
    return true;
}

static bool look_at(struct list_watch *watch, size_t count, bool quiet,
                    int64_t now_ms, struct error *error)
{
    bool foreign;

    if (!list_watch_look_read(watch->look, watch->entries, count, false,
                              error) ||
        !learn_silent(watch, count, quiet, &foreign, error)) {
        return false;
    }
    if (!foreign) {
        return true;
    }
    if (!list_watch_look_read(watch->look, watch->entries, count, true,
                              error) ||
        !log_claimed(watch, count, now_ms, error) ||
        !list_watch_look_learn(watch->look, watch->entries, count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (watch->entries[i].wanted) {
            forget_logged(watch, &watch->entries[i]);
        }
    }
    return true;
}

/* ---- the keys in hand ---- */

static bool work(struct list_watch *watch, int64_t now_ms, struct error *error)
{
    size_t all = suppression_names_count(watch->work);
    size_t next = watch->worked;
    size_t count = 0;

    for (; next < all && count < watch->batch; next++) {
        struct suppression_name name = suppression_names_at(watch->work, next);

        count += list_watch_entry_init(&watch->entries[count],
                                       watch->options.key_prefix, name.key);
    }
    if (count > 0 && !look_at(watch, count, false, now_ms, error)) {
        return false;
    }
    watch->worked = next;
    return true;
}

/* ---- all entries ---- */

/*
 * What is known has gone. With the lists, if somebody emptied Redis; if not,
 * a million entries are no news.
 */
static bool is_list_there(const struct list_watch *watch)
{
    return watch->most > 0 &&
           watch->options.entries(watch->options.context) > watch->most / 2;
}

static bool begin_sweep(struct list_watch *watch, struct error *error)
{
    bool marked;

    if (!list_watch_look_mark(watch->look, &marked, error)) {
        return false;
    }
    watch->quiet = !marked && (!watch->begun || is_list_there(watch));
    if (!marked && !watch->quiet) {
        log_warning("redis has been emptied: no event tells which entries "
                    "went, those that are in the event log come back: "
                    "entries=%zu",
                    watch->most);
    }
    watch->begun = true;
    watch->sweep_wanted = false;
    watch->stage = STAGE_LISTS;
    list_watch_page_clear(&watch->page);
    watch->page.cursor[0] = '\0';
    watch->paged = 0;
    watch->swept = 0;
    watch->found = 0;
    return true;
}

static bool end_sweep(struct list_watch *watch, int64_t now_ms,
                      struct error *error)
{
    char at[CLOCK_TIMESTAMP_SIZE];

    clock_format(clock_now_us(), at);
    if (!list_watch_look_set_mark(watch->look, at, error)) {
        return false;
    }
    watch->stage = STAGE_REST;
    watch->sweep_ms = now_ms + SWEEP_MS;
    if (watch->quiet) {
        log_info("entries found in redis are taken as known: entries=%llu",
                 (unsigned long long)watch->swept);
    } else if (watch->found > 0 || !watch->compared) {
        log_info("lists in redis compared with what is known: entries=%llu "
                 "changes=%llu",
                 (unsigned long long)watch->swept,
                 (unsigned long long)watch->found);
    }
    watch->compared = true;
    return true;
}

/* Name of the list's key, of what stands in the page. */
static bool take_item(struct list_watch *watch, size_t index,
                      struct list_watch_entry *entry)
{
    struct text item = list_watch_page_at(&watch->page, index);
    char key[STORE_KEY_MAX];
    size_t prefix;

    if (watch->stage == STAGE_LISTS) {
        return list_watch_entry_init(entry, watch->options.key_prefix, item);
    }
    prefix = text_copy(text_of(watch->options.key_prefix), key, sizeof key);
    return index % 2 == 0 && item.length < sizeof key - prefix &&
           list_watch_entry_init(
               entry, watch->options.key_prefix,
               (struct text){key, prefix + text_copy(item, key + prefix,
                                                     sizeof key - prefix)});
}

/* The next page, or the next stage. */
static bool turn_page(struct list_watch *watch, int64_t now_ms,
                      struct error *error)
{
    watch->paged = 0;
    if (strcmp(watch->page.cursor, "0") == 0) {
        watch->page.cursor[0] = '\0';
        if (watch->stage == STAGE_LISTS) {
            watch->stage = STAGE_KNOWN;
            watch->bucket = 0;
        } else if (++watch->bucket >= STORE_BUCKETS) {
            return end_sweep(watch, now_ms, error);
        }
    }
    return watch->stage == STAGE_LISTS
               ? list_watch_look_keys(watch->look, &watch->page, error)
               : list_watch_look_known(watch->look, watch->bucket, &watch->page,
                                       error);
}

static bool sweep(struct list_watch *watch, int64_t now_ms, struct error *error)
{
    size_t all = list_watch_page_count(&watch->page);
    size_t next = watch->paged;
    size_t count = 0;

    if (next >= all) {
        list_watch_page_clear(&watch->page);
        return turn_page(watch, now_ms, error);
    }
    for (; next < all && count < watch->batch; next++) {
        count += take_item(watch, next, &watch->entries[count]);
    }
    if (count > 0 && !look_at(watch, count, watch->quiet, now_ms, error)) {
        return false;
    }
    watch->swept += watch->stage == STAGE_LISTS ? count : 0;
    watch->paged = next;
    return true;
}

/* ---- a turn ---- */

/* Its value is too large for us, and it is the first in hand. */
static void skip(struct list_watch *watch)
{
    log_warning("an entry of the lists in redis cannot be read: its changes "
                "make no events");
    if (watch->worked < suppression_names_count(watch->work)) {
        watch->worked++;
    } else {
        watch->paged++;
    }
}

/* Redis is well, so it is the entry. */
static bool answers(struct list_watch *watch)
{
    struct error unheard;
    bool marked;

    return list_watch_look_open(watch->look, &unheard) &&
           list_watch_look_mark(watch->look, &marked, &unheard);
}

static int64_t give_up(struct list_watch *watch, const struct error *error)
{
    bool refused = list_watch_look_refused(watch->look);
    char shown[ERROR_SIZE];

    if (refused && !watch->told) {
        log_warning("changes that are made in redis make no events at "
                    "present: error=\"%s\"",
                    text_escape(text_of(error->text), shown, sizeof shown));
        watch->told = true;
    }
    watch->faults++;
    if (!refused && watch->faults % FAULTS_MAX == 0 && answers(watch)) {
        skip(watch);
    }
    return refused ? REFUSED_MS : AGAIN_MS;
}

/* How long to rest after so much work. */
static int64_t rest_after(const struct list_watch *watch, int64_t took_us,
                          int times)
{
    int64_t rest_us = times * took_us;
    int64_t paced_us = (int64_t)watch->events * 1000000 / LIST_WATCH_RATE;

    rest_us = rest_us > paced_us ? rest_us : paced_us;
    return rest_us / 1000 < REST_MS ? rest_us / 1000 : REST_MS;
}

static void count_entries(struct list_watch *watch, int64_t now_ms)
{
    if (watch->options.entries != NULL && now_ms >= watch->count_ms) {
        size_t count = watch->options.entries(watch->options.context);

        watch->most = count > 0 ? count : watch->most;
        watch->count_ms = now_ms + REST_MS;
    }
}

int64_t list_watch_turn(struct list_watch *watch, int64_t now_ms)
{
    bool has_work = fetch_work(watch, now_ms);
    bool is_due =
        watch->sweep_wanted || (watch->begun && now_ms >= watch->sweep_ms);
    int64_t begun_us = clock_monotonic_us();
    struct error error = {""};
    bool done;

    if (!has_work && watch->stage == STAGE_REST && !is_due) {
        count_entries(watch, now_ms);
        return -1;
    }
    if (!list_watch_look_open(watch->look, &error)) {
        return give_up(watch, &error);
    }
    watch->events = 0;
    done = has_work                     ? work(watch, now_ms, &error)
           : watch->stage != STAGE_REST ? sweep(watch, now_ms, &error)
                                        : begin_sweep(watch, &error);
    if (!done) {
        watch->batch = 1;
        return give_up(watch, &error);
    }
    watch->faults = 0;
    watch->batch = LIST_WATCH_BATCH;
    watch->told = false;
    return rest_after(watch, clock_monotonic_us() - begun_us,
                      has_work ? WORK_REST : SWEEP_REST);
}

/* Until there is news, if it is to wait for that; else so long. */
static void rest(struct list_watch *watch, int64_t ms)
{
    bool for_news = ms < 0;
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    ms = for_news ? REST_MS : ms;
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&watch->lock);
    while (!watch->stopping &&
           !(for_news &&
             (suppression_names_count(watch->named) > 0 || watch->reloaded)) &&
           pthread_cond_timedwait(&watch->wake, &watch->lock, &until) == 0) {
    }
    (void)pthread_mutex_unlock(&watch->lock);
}

static bool is_stopping(struct list_watch *watch)
{
    bool stopping;

    (void)pthread_mutex_lock(&watch->lock);
    stopping = watch->stopping;
    (void)pthread_mutex_unlock(&watch->lock);
    return stopping;
}

static void *run(void *context)
{
    struct list_watch *watch = context;

    while (!is_stopping(watch)) {
        int64_t rest_ms = list_watch_turn(watch, clock_monotonic_ms());

        if (rest_ms != 0) {
            rest(watch, rest_ms);
        }
    }
    return NULL;
}

/* ---- begin and end ---- */

void list_watch_free(struct list_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    list_watch_page_clear(&watch->page);
    list_watch_look_free(watch->look);
    suppression_names_free(watch->named);
    suppression_names_free(watch->work);
    suppression_names_free(watch->later);
    g_hash_table_destroy(watch->logged);
    (void)pthread_cond_destroy(&watch->wake);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
}

static bool make_wake(pthread_cond_t *wake)
{
    pthread_condattr_t monotonic;
    bool made;

    if (pthread_condattr_init(&monotonic) != 0) {
        return false;
    }
    made = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(wake, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    return made;
}

struct list_watch *list_watch_new(const struct list_watch_options *options)
{
    struct list_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL || !make_wake(&watch->wake)) {
        free(watch);
        return NULL;
    }
    (void)pthread_mutex_init(&watch->lock, NULL); /* cannot fail on Linux */
    watch->options = *options;
    watch->batch = LIST_WATCH_BATCH;
    watch->look = list_watch_look_new(options->endpoint, options->key_prefix);
    watch->named = suppression_names_new();
    watch->work = suppression_names_new();
    watch->later = suppression_names_new();
    watch->logged =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (watch->look == NULL || watch->named == NULL || watch->work == NULL ||
        watch->later == NULL) {
        list_watch_free(watch);
        return NULL;
    }
    return watch;
}

/* Signals are for the threads that wait for them. */
bool list_watch_start(struct list_watch *watch, struct error *error)
{
    sigset_t all;
    sigset_t before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    watch->started = pthread_create(&watch->thread, NULL, run, watch) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!watch->started) {
        error_set(error, "the watch over the lists: no thread");
    }
    return watch->started;
}

void list_watch_stop(struct list_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    (void)pthread_cond_signal(&watch->wake);
    (void)pthread_mutex_unlock(&watch->lock);
    if (watch->started) {
        (void)pthread_join(watch->thread, NULL);
        watch->started = false;
    }
}
