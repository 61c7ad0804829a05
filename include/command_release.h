/*
 * command_release.h - the entries that one `suppress release` is about
 *
 * Those of one origin that were added within a time, found by SCAN before
 * anything is changed.
 *
 * Owner    what is found belongs to struct release; texts of an entry are in
 *          its key.
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_RELEASE_H
#define NIXIE_COMMAND_RELEASE_H

#include "clock.h"
#include "command.h"
#include "command_store.h"
#include "control_request.h"
#include "event.h"
#include "mailbox.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct release_entry {
    char added_at[CLOCK_TIMESTAMP_SIZE];
    const char *reason; /* of its group */
    struct text pattern, scope;
    char key[]; /* of the list: no NUL in the middle */
};

/* How many there are of a reason and a domain. */
struct release_group {
    size_t count;
    const char *reason; /* "-": it has none */
    const char *domain; /* "-": any domain */
    char name[];        /* of both */
};

struct release {
    const struct command_call *call;
    struct command_store *store;
    int64_t since_us, until_us; /* both are within */
    struct text reason;         /* unknown: any */
    struct text origin;
    char domain[MAILBOX_DOMAIN_MAX + 1]; /* "": any */
    bool dry_run;

    GHashTable *entries; /* by key: SCAN may give one twice */
    GPtrArray *found;    /* the same in the order of SCAN */
    GHashTable *groups;
    size_t looked_at;
    size_t odd; /* they would match, but no mail is looked up under the key */
    struct error error;
    bool failed;

    char by[CONTROL_BY_MAX + 1];
    struct event *events;   /* CONTROL_TOGETHER of them */
    size_t removed, logged; /* logged: Redis is to get it later */
    bool told_absent;
    int64_t shown_ms; /* when progress was shown */
};

void command_release_init(struct release *release);
void command_release_clear(struct release *release);

/* False with error. */
bool command_release_find(struct release *release);

/* A line on a terminal that is written over, now and then. */
void command_release_progress(struct release *release, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void command_release_progress_end(struct release *release);

#endif
