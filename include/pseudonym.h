/*
 * pseudonym.h - keyed names of mailboxes
 *
 * h-<26 letters and digits>@its.domain: HMAC-SHA-256 of the normal form, so
 * that nobody without the key can try addresses. It is a mailbox in normal
 * form itself, and the same on all hosts that have the same key.
 *
 * Files    <state_dir>/privacy.key: 64 hex digits, made when first needed, or
 *          copied from another host.
 * Errors   name the file; the key is in none.
 * Threads  any, once the key is loaded.
 */
#ifndef NIXIE_PSEUDONYM_H
#define NIXIE_PSEUDONYM_H

#include "error.h"
#include "mailbox.h"
#include "text.h"

#include <stdbool.h>

#define PSEUDONYM_KEY_BYTES 32
#define PSEUDONYM_SIZE      (MAILBOX_MAX + 1)

struct pseudonym_key {
    bool is_known;
    unsigned char bytes[PSEUDONYM_KEY_BYTES];
};

/* No file is no failure: then the key is not known. False with error. */
bool pseudonym_key_load(struct pseudonym_key *key, const char *state_dir,
                        struct error *error);

/* Made and on disk, if there is none by now. False with error. */
bool pseudonym_key_make(struct pseudonym_key *key, const char *state_dir,
                        struct error *error);

void pseudonym_key_clear(struct pseudonym_key *key);

/*
 * False when the key is not known, or nothing but a domain is. What has the
 * form of one already is its own: nothing is hashed twice.
 */
bool pseudonym_of(const struct pseudonym_key *key,
                  const struct mailbox *mailbox, char name[PSEUDONYM_SIZE]);

/*
 * Of a text that is no mailbox: its bytes are what is hashed. domain may be "".
 */
void pseudonym_of_text(const struct pseudonym_key *key, struct text text,
                       const char *domain, char name[PSEUDONYM_SIZE]);

/* Whether it has the form of one, which is all that can be known. */
bool pseudonym_is(struct text name);

#endif
