/*
 * list_watch.h - changes of the lists that others make become events
 *
 * redis-cli and other clients change the lists without a word to nixied. Redis
 * names the keys (suppression_track.h), a thread of ours compares each with
 * what events have told of it ({NN}:known, list_known.h), and what differs is
 * logged with the origin "redis". It changes nothing of the lists.
 *
 * Once for all nodes: who is first to claim the entry, for ten seconds, looks
 * again, logs, and writes what is known now. One that dies in between, or is
 * held up longer than that, makes it twice, never not at all: all entries are
 * compared when the lists have been read anew, and each hour.
 *
 * What nixied found when it first used a Redis is taken as known, without
 * events. A change that is undone before it is looked at makes none, several
 * in quick succession make one. An entry that ends by itself makes none.
 *
 * Bounds   LIST_WATCH_RATE events a second, LIST_WATCH_NAMES keys in memory;
 *          beyond that all entries are compared instead. It rests as long as
 *          Redis has worked for it, while comparing all three times as long.
 * Threads  list_watch_changed() and _reloaded() from any.
 */
#ifndef NIXIE_LIST_WATCH_H
#define NIXIE_LIST_WATCH_H

#include "error.h"
#include "event.h"
#include "redis_endpoint.h"
#include "suppression.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIST_WATCH_RATE  1000
#define LIST_WATCH_NAMES 100000

struct list_watch_options {
    struct redis_endpoint *endpoint; /* borrowed, like key_prefix */
    const char *key_prefix;
    /* Logs it; false: it could not. */
    bool (*append)(void *context, struct event *event);
    /* How many entries the lists have; asked each second. May be NULL. */
    size_t (*entries)(void *context);
    void *context;
};

struct list_watch;

/* New and at rest, or NULL: no memory. */
struct list_watch *list_watch_new(const struct list_watch_options *options);
/* Begins; false with error. */
bool list_watch_start(struct list_watch *watch, struct error *error);
/* Waits for an answer of Redis that is on its way. NULL: nothing. */
void list_watch_stop(struct list_watch *watch);
/* Takes one that is stopped and that nobody tells anything, or NULL. */
void list_watch_free(struct list_watch *watch);

/* For struct suppression_listener; context is the watch. */
void list_watch_changed(void *context, const struct suppression_change *change);
void list_watch_reloaded(void *context);

/*
 * What the thread does, for tests: one step at now_ms; how long to rest, in
 * ms. Below 0: there is nothing to do.
 */
int64_t list_watch_turn(struct list_watch *watch, int64_t now_ms);

#endif
