/*
 * session_recipient.h - what the MTA tells of a recipient at RCPT
 *
 * Source   Postfix and Sendmail both send the macros {rcpt_mailer},
 *          {rcpt_host} and {rcpt_addr}; of a recipient that they have refused
 *          themselves these hold the mailer "error", a status and a text.
 * Threads  one at a time.
 */
#ifndef NIXIE_SESSION_RECIPIENT_H
#define NIXIE_SESSION_RECIPIENT_H

#include "mailbox.h"
#include "session.h"

#include <stdbool.h>

/* The recipient's macros, as the MTA gave them; each may be NULL. */
struct recipient_macros {
    const char *mailer;
    const char *host;
    const char *address;
};

bool recipient_is_refused(const struct recipient_macros *macros);

/* path is the argument of RCPT. "ann" alone is ann at the MTA's own name. */
enum mailbox_result recipient_read(const struct session *session,
                                   const char *path, bool refused,
                                   const struct recipient_macros *macros,
                                   struct mailbox *mailbox);

/*
 * Sendmail tells of an accepted local recipient only whose mailbox it is:
 * "ann", whichever domain of its own, address literal or path within these
 * was typed. That mailbox, at the MTA's own name; false: none, or no other
 * than read.
 */
bool recipient_read_delivered(const struct session *session,
                              const struct recipient_macros *macros,
                              const struct mailbox *read,
                              struct mailbox *delivered);

/* Whether a domain is the MTA's own name or in local_domains. */
bool recipient_is_local(const struct session *session, const char *domain);

/* What a session hands on of a recipient. */
struct session_recipient {
    const struct mailbox *mailbox; /* NULL: no mailbox in it */
    struct text path;              /* the argument of RCPT */
};

#endif
