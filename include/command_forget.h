/*
 * command_forget.h - what is known of one mailbox, for `forget`
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_FORGET_H
#define NIXIE_COMMAND_FORGET_H

#include "command.h"
#include "command_store.h"

#include <glib.h>

struct forget_entry {
    enum store_list list;
    char scope[STORE_SCOPE_MAX + 1]; /* "": for all */
};

struct forget {
    const struct command_call *call;
    struct command_store *store;
    struct mailbox mailbox;
    bool keeps_entries, dry_run;
    GArray *entries;    /* struct forget_entry */
    GPtrArray *waiting; /* queue ids: char * */
    GPtrArray *scopes; /* configured, with strikes of their own: const char * */
    long long history; /* fields, */
    long long strikes, evidence;
    bool is_due;
    enum store_list walked;
    struct error error;
};

/* Looks at all that Redis has of it. False with forget->error. */
bool command_forget_find(struct forget *forget);

#endif
