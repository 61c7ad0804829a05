/*
 * list_known.h - what the event log says of an entry of the lists, in a word
 *
 * {NN}:known is a hash of each entry that events have told of: its key
 * without the prefix to a digest of what it says and when it ends. Who finds
 * the entry otherwise has found a change that no event tells of.
 *
 * Units    times in seconds since 1970, on the clock of Redis.
 * Threads  any.
 */
#ifndef NIXIE_LIST_KNOWN_H
#define NIXIE_LIST_KNOWN_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum list_known_field {
    LIST_KNOWN_REASON,
    LIST_KNOWN_TYPE,
    LIST_KNOWN_ORIGIN,
    LIST_KNOWN_NOTE,
    LIST_KNOWN_BY,
    LIST_KNOWN_ADDED_AT,
    LIST_KNOWN_MODE,
    LIST_KNOWN_EVIDENCE,
};
#define LIST_KNOWN_FIELDS 8
#define LIST_KNOWN_SIZE   48 /* 16 hex digits, a blank, a number; and NUL */

/* What Redis calls them. */
extern const char *const list_known_names[LIST_KNOWN_FIELDS];

enum list_known_kind {
    LIST_KNOWN_HASH = 'h',
    LIST_KNOWN_STRING = 's', /* its value is the note */
    LIST_KNOWN_OTHER = 'o',  /* of another type: it says nothing */
};

struct list_known {
    enum list_known_kind kind;
    struct text fields[LIST_KNOWN_FIELDS]; /* unknown or empty: the same */
    int64_t ends_s;                        /* 0: never */
};

void list_known_format(const struct list_known *entry,
                       char value[LIST_KNOWN_SIZE]);

/* Whether value stands for the entry; two seconds are no change. */
bool list_known_is(struct text value, const struct list_known *entry);

/* Whether what it stands for has ended by itself by then. */
bool list_known_has_ended(struct text value, int64_t now_s);

#endif
