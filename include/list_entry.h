/*
 * list_entry.h - an entry of the lists, as a row of a file tells it
 *
 * What a column says is kept as it stands, so that an entry which Redis holds
 * in the same words is the same entry, odd as they may be. Whether it could be
 * written is asked only where it would have to be.
 *
 * Units    times in _us.
 * Owner    an entry has its texts in a block of its own: list_entry_clear().
 * Threads  one.
 */
#ifndef NIXIE_LIST_ENTRY_H
#define NIXIE_LIST_ENTRY_H

#include "clock.h"
#include "event.h"
#include "list_column.h"
#include "mailbox.h"
#include "settings.h"
#include "store_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIST_FAULT_SIZE 160
#define LIST_NOTE_MAX   255 /* as the event log takes it; more is cut */

/* A reason as clients may see it: "User unknown" is "user_unknown". */
#define LIST_REASON_SIZE 65
void list_reason_word(struct text reason, char word[LIST_REASON_SIZE]);

struct list_reasons; /* see list_reason.h */

/* How rows of this file become entries. */
struct list_reading {
    const struct settings *settings;
    enum store_list list;
    struct list_columns columns;
    struct list_reasons *reasons; /* may be NULL: texts are not judged */
    /* where the row says nothing; unknown: nothing is said */
    struct text scope, reason, note;
    struct text bulk_scope; /* of rows that are about bulk mail alone */
    int64_t expires_us;     /* 0: never */
    bool observe;
};

struct list_entry {
    uint64_t line;
    char fault[LIST_FAULT_SIZE]; /* "": it is good so far */
    struct text typed;           /* the address, as it stands there */
    struct mailbox_pattern pattern;
    struct text scope; /* a C string, or unknown */
    struct store_key key;
    struct text fields[LIST_FIELDS]; /* unknown: the file does not say */
    int64_t expires_us;              /* 0: never */
    bool is_bulk_for_all; /* about bulk mail alone, and will stop all mail */
    char *block;
};

/* Takes the row apart; a row with a fault gives an entry with one. */
void list_entry_read(const struct list_reading *reading,
                     const struct list_row *row, struct list_entry *entry);
void list_entry_clear(struct list_entry *entry);

/*
 * The event that writes it. False with the fault in entry: it cannot be. Texts
 * are borrowed from entry and from buffers.
 */
struct list_buffers {
    char added_at[CLOCK_TIMESTAMP_SIZE];
    char expires_at[CLOCK_TIMESTAMP_SIZE];
    char reason[LIST_REASON_SIZE];
};
bool list_entry_event(const struct list_reading *reading,
                      struct list_entry *entry, bool exists, const char *by,
                      struct list_buffers *buffers, struct event *event);

/* What is kept of a note: no character is halved. */
struct text list_note(struct text note);

/* RFC 3339, a date, "2026-12-24 18:00:00", RFC 5322, seconds, milliseconds. */
bool list_time(struct text text, int64_t *us);

#endif
