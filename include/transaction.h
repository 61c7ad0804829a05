/*
 * transaction.h - one mail transaction: sender, recipients, what is known
 *
 * Source   RFC 5321 3.3: MAIL begins it; RSET, EHLO, the end of the message
 *          or of the connection end it. Postfix tells the queue id only after
 *          it accepted a recipient.
 * Owner    all texts are copied.
 * Bounds   TRANSACTION_RECIPIENTS accepted ones are kept and as many that are
 *          suppressed; the rest is only counted.
 * Threads  one at a time.
 */
#ifndef NIXIE_TRANSACTION_H
#define NIXIE_TRANSACTION_H

#include "event.h"
#include "mailbox.h"
#include "suppression.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRANSACTION_RECIPIENTS     10000 /* Postfix: 1000 by SMTP */
#define TRANSACTION_ADDRESS_MAX    1025  /* bytes kept of an address as typed */
#define TRANSACTION_ID_SIZE        32
#define TRANSACTION_QUEUE_ID_MAX   64
#define TRANSACTION_MESSAGE_ID_MAX 513
#define TRANSACTION_PARAMETERS_MAX 255 /* bytes kept of those of MAIL */

/*
 * To be refused, or dropped at the end of the message: kept apart as few
 * recipients have it.
 */
struct transaction_suppressed {
    struct suppression_entry entry;
    char expires_at[32];
    int64_t latency_us;
};

struct transaction_recipient {
    char *address;        /* normal form; "" when there is none */
    const char *domain;   /* "" when there is none; in address's memory */
    const char *original; /* as typed, without brackets; likewise */
    char *seen;     /* as the MTA showed it: what smfi_delrcpt() takes */
    struct transaction_suppressed *suppressed; /* NULL: accepted */
};

struct transaction {
    bool open;
    bool emulated;       /* Postfix plays a session for a message it has */
    bool recipient_seen; /* the first RCPT confirms or corrects emulated */
    bool null_sender;
    bool store_refused; /* emulated: no answer from the store */
    unsigned number;    /* in its session, from 1 */
    char id[TRANSACTION_ID_SIZE];
    char *sender;
    char queue_id[TRANSACTION_QUEUE_ID_MAX + 1];
    char message_id[TRANSACTION_MESSAGE_ID_MAX + 1];
    size_t message_id_length;
    char envelope_id[102]; /* RFC 3461 4.4: at most 100, and one to tell */
    size_t envelope_id_length;
    char trace_nonce[13]; /* of the mark that it was given; "" */
    /* of MAIL, but SIZE= and ENVID=, each with a blank before it */
    char parameters[TRANSACTION_PARAMETERS_MAX + 1];
    bool parameters_unkept; /* there were more */
    int64_t declared_size;  /* SIZE= of MAIL; EVENT_UNKNOWN */
    int64_t seen_size;
    bool has_envelope_id;   /* the client gave one, of use or not */
    unsigned trace_headers; /* it came with so many of our name */
    bool bulk;              /* headers say list, bulk or automatic mail */
    bool size_incomplete;   /* the MTA was told to skip the rest of the body */

    struct transaction_recipient *recipients;
    size_t recipient_count;
    size_t recipient_room;
    size_t suppressed_count;
    size_t accepted_unkept; /* beyond the bound, or without memory */
    size_t suppressed_unkept;
};

/* Begins one; path is the argument of MAIL, with or without brackets. */
bool transaction_begin(struct transaction *transaction, const char *session_id,
                       struct text path);

/* SIZE= and ENVID= of MAIL are read, others kept as they are. */
void transaction_parameter(struct transaction *transaction, const char *text);

/* Keeps an id that looks like one; NULL and others are passed over. */
void transaction_set_queue_id(struct transaction *transaction,
                              const char *queue_id);

/*
 * A header as the MTA gave it; keeps the first Message-ID, and whether it says
 * list or bulk mail (RFC 2919, 2369, 3834; Precedence by old custom).
 */
void transaction_header(struct transaction *transaction, const char *name,
                        const char *value);

/* The MTA's own, for a message that came without; NULL is passed over. */
void transaction_set_message_id(struct transaction *transaction,
                                const char *message_id);

/* A path without its brackets, source as it stands; quote-aware. */
struct text transaction_bare_path(struct text path);

/*
 * Adds one; mailbox may be NULL (no mailbox in it). False: out of memory or
 * beyond the bound, it is counted only.
 */
bool transaction_add(struct transaction *transaction,
                     const struct mailbox *mailbox, struct text path,
                     const struct transaction_suppressed *suppressed);

/* Sender, ids, size so far as known, into event; texts are borrowed. */
void transaction_describe(const struct transaction *transaction,
                          struct event *event);
void transaction_describe_recipient(
    const struct transaction_recipient *recipient, struct event *event);
void transaction_describe_entry(const struct suppression_entry *entry,
                                char expires_at[32], struct event *event);

/* Forgets everything; number goes on. */
void transaction_end(struct transaction *transaction);

#endif
