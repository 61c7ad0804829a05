/*
 * privacy.h - what an event that is to be logged tells of people
 *
 * full    addresses as they are.
 * hash    the mailboxes in recipient, original_recipient, final_recipient,
 *         sender, auth_user and suppression_pattern are their pseudonyms; in
 *         texts that others wrote addresses are masked.
 * domain  no local parts: there is no recipient, only its domain, so nothing
 *         counts against anybody. Texts as in hash.
 *
 * In each, those who are to be forgotten have their pseudonym. What is put on
 * the lists by name with `nixie` has its pseudonym in hash and domain, as have
 * lookups; what is taken off them, or forgotten, is named as it stands there.
 *
 * Source   names that have the form of a pseudonym are taken for one, whoever
 *          wrote them: they come back from Redis and from the event log.
 * Owner    forgotten and rules are borrowed.
 * Threads  any.
 */
#ifndef NIXIE_PRIVACY_H
#define NIXIE_PRIVACY_H

#include "error.h"
#include "event.h"
#include "forgotten.h"
#include "mailbox.h"
#include "pseudonym.h"
#include "settings.h"

#define PRIVACY_ROOM 6144 /* what privacy_veil() writes */

struct privacy;

struct privacy_options {
    enum settings_privacy mode;
    const char *state_dir;
    const struct mailbox_rules *rules;
    struct forgotten *forgotten;
};

/* New; the key is made if it is needed. NULL with error. */
struct privacy *privacy_new(const struct privacy_options *options,
                            struct error *error);
void privacy_free(struct privacy *privacy); /* takes it, or NULL */

/* Borrowed; NULL: no pseudonyms are in use. */
const struct pseudonym_key *privacy_key(const struct privacy *privacy);

/* The event borrows from room. */
void privacy_veil(void *privacy, struct event *event, char room[PRIVACY_ROOM]);

/*
 * In an event that was read back from the log: a sender that is not known is
 * not taken for somebody to whom mail can go.
 */
void privacy_read_back(struct event *event);

#endif
