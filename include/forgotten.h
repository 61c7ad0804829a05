/*
 * forgotten.h - people who are to be forgotten
 *
 * An address that is forgotten is its pseudonym (pseudonym.h) in all later
 * events. Other hosts know it if they have the same key.
 *
 * Files    <state_dir>/forgotten: a pseudonym a line, at most 64 MiB; and
 *          the key.
 * Errors   name the file; the key is in none.
 * Threads  any.
 */
#ifndef NIXIE_FORGOTTEN_H
#define NIXIE_FORGOTTEN_H

#include "error.h"
#include "event.h"
#include "mailbox.h"
#include "pseudonym.h"
#include "redis_link.h"

#include <stdbool.h>
#include <stdint.h>

#define FORGOTTEN_ROOM 1024 /* what forgotten_veil() writes */

struct forgotten;

/* New, with what the files have; NULL with error. rules are borrowed. */
struct forgotten *forgotten_open(const char *state_dir,
                                 const struct mailbox_rules *rules,
                                 struct error *error);
void forgotten_free(struct forgotten *forgotten); /* takes it, or NULL */

/* From now on; on disk when it returns. False with error. */
bool forgotten_add(struct forgotten *forgotten, const struct mailbox *mailbox,
                   char name[PSEUDONYM_SIZE], struct error *error);

/* Whether somebody of that pseudonym is; *name is it. False: nobody is. */
bool forgotten_is(struct forgotten *forgotten, const struct mailbox *mailbox,
                  char name[PSEUDONYM_SIZE]);

/* What other hosts have forgotten, from Redis. False with error. */
bool forgotten_learn(struct forgotten *forgotten, struct redis_link *link,
                     const char *key_prefix, int64_t deadline_ms,
                     struct error *error);

/*
 * In an event that is to be logged: those who are forgotten have their
 * pseudonym, and texts that may name them are left out. What an operator
 * changes by name keeps it. The event borrows from room.
 */
void forgotten_veil(void *forgotten, struct event *event,
                    char room[FORGOTTEN_ROOM]);

#endif
