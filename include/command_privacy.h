/*
 * command_privacy.h - the names that privacy gives to mailboxes
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_PRIVACY_H
#define NIXIE_COMMAND_PRIVACY_H

#include "command.h"
#include "pseudonym.h"

/*
 * key, when privacy is not "full". NULL: there are no pseudonyms; or none that
 * we can tell, as the key cannot be read, after a complaint. It is the
 * caller's to clear.
 */
const struct pseudonym_key *command_pseudonyms(const struct command_call *call,
                                               struct pseudonym_key *key);

/*
 * The mailbox of that name. False when key is NULL, or it has none but its
 * own.
 */
bool command_pseudonym(const struct pseudonym_key *key,
                       const struct mailbox *mailbox,
                       struct mailbox *pseudonym);

/* The same of a pattern; false, too, when it names no mailbox. */
bool command_pseudonym_pattern(const struct pseudonym_key *key,
                               const struct mailbox_pattern *pattern,
                               struct mailbox_pattern *pseudonym);

#endif
