/*
 * list_watch_look.h - the lists in Redis beside what events say of them
 *
 * Many entries at once; each is read in one transaction with its field of
 * {NN}:known, so that a change of nixied's own, which writes both, is never
 * seen by halves.
 *
 * Waits    at most LIST_WATCH_ANSWER_MS for the answers to a pipeline.
 * Errors   fill error and are the result: false, and the link is closed.
 * Threads  one.
 */
#ifndef NIXIE_LIST_WATCH_LOOK_H
#define NIXIE_LIST_WATCH_LOOK_H

#include "error.h"
#include "list_known.h"
#include "mailbox.h"
#include "redis_endpoint.h"
#include "store_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#define LIST_WATCH_ANSWER_MS 2000
#define LIST_WATCH_CLAIM_MS  10000 /* who logs it has as long */
#define LIST_WATCH_BATCH     64

struct list_watch_entry {
    struct store_key key, known_key, claim_key;
    struct text name; /* the key without the prefix; in key */
    enum store_list list;
    struct mailbox_pattern pattern;
    char scope[STORE_SCOPE_MAX + 1];
    bool wanted; /* the next step is about it */

    /* as it was read; texts are borrowed until the next step */
    bool present;
    int64_t now_s, left_ms; /* on the clock of Redis; below 0: no end */
    struct list_known says;
    struct text known; /* unknown: no event has told of it */
    bool claimed;
};

/* False: no key of the lists that a lookup could ask for. */
bool list_watch_entry_init(struct list_watch_entry *entry, const char *prefix,
                           struct text key);

/* Whether it is not what is known of it. */
bool list_watch_entry_differs(const struct list_watch_entry *entry);

struct list_watch_look;

/* New and closed, or NULL: no memory. */
struct list_watch_look *list_watch_look_new(struct redis_endpoint *endpoint,
                                            const char *prefix);
void list_watch_look_free(struct list_watch_look *look);

bool list_watch_look_open(struct list_watch_look *look, struct error *error);
/* Whether the last failure was an error reply: rights, memory, and such. */
bool list_watch_look_refused(const struct list_watch_look *look);

/*
 * Reads those that are wanted, at most LIST_WATCH_BATCH. claim: for each it
 * tries first to be the only one who may log it.
 */
bool list_watch_look_read(struct list_watch_look *look,
                          struct list_watch_entry *entries, size_t count,
                          bool claim, struct error *error);

/*
 * What was read of those that are wanted is known from now on, unless another
 * has changed that since; a claim ends.
 */
bool list_watch_look_learn(struct list_watch_look *look,
                           struct list_watch_entry *entries, size_t count,
                           struct error *error);
bool list_watch_look_release(struct list_watch_look *look,
                             const struct list_watch_entry *entry,
                             struct error *error);

/* The mark that all that was there has been taken as known. */
bool list_watch_look_mark(struct list_watch_look *look, bool *there,
                          struct error *error);
bool list_watch_look_set_mark(struct list_watch_look *look, const char *at,
                              struct error *error);

/*
 * Keys from a walk over the lists; names and what is known of them, in turns,
 * from one over a bucket.
 */
struct list_watch_page {
    char cursor[24]; /* "" at first, "0" behind the last */
    redisReply *reply;
};
bool list_watch_look_keys(struct list_watch_look *look,
                          struct list_watch_page *page, struct error *error);
bool list_watch_look_known(struct list_watch_look *look, unsigned bucket,
                           struct list_watch_page *page, struct error *error);
size_t list_watch_page_count(const struct list_watch_page *page);
struct text list_watch_page_at(const struct list_watch_page *page,
                               size_t index);
void list_watch_page_clear(struct list_watch_page *page);

#endif
