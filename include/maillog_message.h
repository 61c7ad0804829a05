/*
 * maillog_message.h - messages on their way, by queue id
 *
 * What a line about a recipient does not say: sender, message id, size, who
 * submitted it; how often it was tried; and whether nixie saw it come in, for
 * which recipients: only then may its failures count. Filled from sessions as
 * they end, from the delivery log, and after a restart from the event log.
 *
 * Queue ids are used again: what comes after `removed` of an id, or a reception
 * with another message id, is another message. As the log may lag behind the
 * sessions, the one before is kept, and found by the time of the line.
 *
 * Bounds   MAILLOG_MESSAGES messages, MAILLOG_RECIPIENTS recipients, and bytes
 *          in all; when full those that have left the queue go first, then
 *          the message that was touched longest ago, which is counted.
 *          Recipients are known by a 64-bit hash of the normal form.
 * Owner    texts are copied; what is found is a copy, and points to itself: it
 *          stays where it is.
 * Threads  any: one lock.
 */
#ifndef NIXIE_MAILLOG_MESSAGE_H
#define NIXIE_MAILLOG_MESSAGE_H

#include "event.h"
#include "maillog_line.h"
#include "pseudonym.h"
#include "smtp_reply.h"
#include "text.h"

#include <stdbool.h>
#include <stdint.h>

#define MAILLOG_MESSAGES   100000
#define MAILLOG_RECIPIENTS 400000
#define MAILLOG_BYTES      ((size_t)128 * 1024 * 1024)

#define MAILLOG_RECIPIENT_SIZE 321  /* MAILBOX_MAX and NUL */
#define MAILLOG_MESSAGE_BYTES  4096 /* of the texts of one, at most */

struct maillog_messages;

struct maillog_messages *maillog_messages_new(void); /* NULL: no memory */
void maillog_messages_free(struct maillog_messages *messages); /* or NULL */

/* Instead of MAILLOG_BYTES. */
void maillog_messages_limit(struct maillog_messages *messages, size_t bytes);

/*
 * Borrowed: what is read back has pseudonyms in the place of mailboxes, and
 * they are the same. NULL, as at first: it has not.
 */
void maillog_messages_pseudonyms(struct maillog_messages *messages,
                                 const struct pseudonym_key *pseudonyms);

/*
 * An event with a queue id: a reception tells that nixie saw the message for
 * this recipient; delay and the final ones tell attempts; rejection and
 * suppressed that its refusal is told. As they happen, and again when the event
 * log is read back.
 */
void maillog_messages_learn(struct maillog_messages *messages,
                            const struct event *event);

/* SUBMISSION, MESSAGE, REMOVED of the delivery log. */
void maillog_messages_note(struct maillog_messages *messages,
                           const struct maillog_record *record);

/*
 * The MTA queued it anew for who stands behind an alias of this recipient:
 * what nixie saw come in for them goes on under the new id. recipient: normal
 * form. False: nixie has not seen it.
 */
bool maillog_messages_forward(struct maillog_messages *messages,
                              struct text queue_id, int64_t at_us,
                              struct text recipient, struct text new_queue_id);

struct maillog_message {
    bool known;               /* anything at all */
    bool seen;                /* nixie saw it come in, for this recipient */
    int64_t attempts;         /* before this one, of this recipient */
    int64_t first_attempt_us; /* 0: none before */
    int64_t last_attempt_us;  /* 0: none before */
    int64_t arrival_us;       /* 0: unknown */
    int64_t size;             /* EVENT_UNKNOWN */
    bool has_sender;
    bool delay_told; /* its sender has been told, see below */
    bool bulk;       /* list or bulk mail */
    /* unknown, or in bytes with a NUL behind; empty is the null sender alone */
    struct text sender, message_id, auth_user, client_ip, client_name,
        envelope_id, scope;
    struct text trace_nonce; /* unknown: it has no mark */
    struct text final;       /* of who waits: after aliases */
    /* of the last failure of this recipient: what an expiry reports */
    struct text last_diagnostic, last_enhanced_status;
    int last_reply_code;
    char bytes[MAILLOG_MESSAGE_BYTES];
};

/*
 * at_us: when the line was written. recipient: who it was sent to, in normal
 * form; final: after aliases, or unknown.
 */
void maillog_messages_find(struct maillog_messages *messages,
                           struct text queue_id, int64_t at_us,
                           struct text recipient, struct text final,
                           struct maillog_message *found);

/*
 * The recipients of a message that wait to be tried again, one by one: *at is
 * 0 before the first. False: there are no more. recipient: normal form.
 */
bool maillog_messages_waiting(struct maillog_messages *messages,
                              struct text queue_id, int64_t at_us, size_t *at,
                              char recipient[MAILLOG_RECIPIENT_SIZE],
                              struct maillog_message *found);

/*
 * The recipient that a local part without domain means: one whom a session
 * named for this message, else with the domain that sessions give such names.
 * False: no session has ever had one. local: normal form.
 */
bool maillog_messages_complete(struct maillog_messages *messages,
                               struct text queue_id, int64_t at_us,
                               struct text local,
                               char recipient[MAILLOG_RECIPIENT_SIZE]);

/* Whether nixie saw a message of that id come in for this recipient. */
bool maillog_messages_seen(struct maillog_messages *messages,
                           struct text queue_id, struct text recipient);

/* Whether the refusal of that recipient of that message is told already. */
bool maillog_messages_refused(struct maillog_messages *messages,
                              const struct event *event);

/* True for the first caller about this message: a notice goes out once. */
bool maillog_messages_tell(struct maillog_messages *messages,
                           struct text queue_id);

struct maillog_messages_state {
    uint64_t messages, recipients, replaced;
};
void maillog_messages_state(struct maillog_messages *messages,
                            struct maillog_messages_state *state);

#endif
