/*
 * list_stored.h - entries as Redis holds them, many at once
 *
 * Two commands an entry in one pipeline; keys that are no hash are asked
 * again, as a string. Other types suppress too, and say nothing.
 *
 * Owner    texts are borrowed from the replies: list_stored_clear().
 * Threads  one.
 */
#ifndef NIXIE_LIST_STORED_H
#define NIXIE_LIST_STORED_H

#include "command_store.h"
#include "list_entry.h"

#include <hiredis/hiredis.h>

enum list_kind {
    LIST_KIND_NONE, /* there is no such key */
    LIST_KIND_HASH,
    LIST_KIND_STRING,
    LIST_KIND_OTHER,
};

struct list_stored {
    struct text key; /* the caller fills it; unknown: passed over */
    enum list_kind kind;
    int64_t left_ms;                 /* below 0: it has no end */
    struct text fields[LIST_FIELDS]; /* unknown: it has none */
    redisReply *reply;
};

/* False with error: Redis did not answer, or said no. */
bool list_stored_read(struct command_store *store, struct list_stored *stored,
                      size_t count, struct error *error);
void list_stored_clear(struct list_stored *stored);

/* Whether writing the entry would change nothing that the file speaks of. */
bool list_stored_is(const struct list_stored *stored,
                    const struct list_entry *entry, int64_t now_us);

#endif
