/*
 * envelope_check.h - what becomes of one recipient
 *
 * A decision from the settings, the sender, the recipient and what the lists
 * say; it asks the lists, but neither libmilter nor the event log.
 *
 * Threads  any.
 */
#ifndef NIXIE_ENVELOPE_CHECK_H
#define NIXIE_ENVELOPE_CHECK_H

#include "mailbox.h"
#include "scope.h"
#include "settings.h"
#include "suppression.h"

#include <stdbool.h>

enum envelope_verdict {
    ENVELOPE_PASS,     /* nothing to tell */
    ENVELOPE_SUPPRESS, /* refuse it, or drop it where refusing is not possible
                        */
    ENVELOPE_OBSERVE,  /* let it through and tell: observe mode */
    ENVELOPE_EXEMPT,   /* let it through and tell: null sender or exemption */
    ENVELOPE_TEMPFAIL, /* no answer from the store, and the setting says so */
};

struct envelope_question {
    const struct settings *settings;
    struct suppression *list;
    const struct mailbox *mailbox;
    bool null_sender;
    /*
     * Where the MTA says that it puts the mail, if that is another mailbox:
     * asked about when the lists name the first in no way. May be NULL.
     */
    const struct mailbox *delivered;
    const struct scope *scope; /* of the message; NULL: none */
};

struct envelope_answer {
    enum envelope_verdict verdict;
    bool store_down; /* the lists did not answer, nor did the last known */
    /*
     * Of SUPPRESS, OBSERVE and EXEMPT. last_known FOUND: Redis did not answer,
     * it is the list that was last known, and nothing but the key is known.
     */
    struct suppression_entry entry;
    char store_error[256];
};

void envelope_check(const struct envelope_question *question,
                    struct envelope_answer *answer);

/*
 * The reply at RCPT: code, enhanced status and one line of printable ASCII
 * without %, ready for smfi_setreply().
 */
struct envelope_reply {
    char code[4];
    char enhanced_status[12];
    char text[512];
};
void envelope_reply(const struct settings *settings,
                    const struct suppression_entry *entry,
                    const char *recipient, const char *transaction_id,
                    struct envelope_reply *reply);

#endif
