/*
 * maillog_message_table.h - the messages that maillog_message.h knows
 *
 * A table by queue id with two lists by age: of messages that are here, and of
 * those that have left the queue. For maillog_message.c alone.
 *
 * Owner    all belongs to the table.
 * Threads  who calls holds its lock, but for _new() and _free().
 */
#ifndef NIXIE_MAILLOG_MESSAGE_TABLE_H
#define NIXIE_MAILLOG_MESSAGE_TABLE_H

#include "maillog_message.h"
#include "maillog_refused.h"

#include <pthread.h>

/* Of who waits; texts one behind the other, each with its NUL. */
struct failure {
    int reply_code;
    char enhanced_status[ENHANCED_STATUS_SIZE];
    size_t final_at, diagnostic_at, length;
    char bytes[]; /* who it was sent to */
};

struct recipient {
    uint64_t hash;         /* of the normal form of who is tried */
    char *address;         /* of who was seen in a session; NULL else */
    struct failure *waits; /* the last attempt failed for a while */
    int64_t first_us, last_us;
    int attempts;
    bool seen; /* in a session of ours */
    bool bare; /* named without its domain there */
};

enum message_text {
    SENDER,
    MESSAGE_ID,
    AUTH_USER,
    CLIENT_IP,
    CLIENT_NAME,
    ENVELOPE_ID,
    SCOPE,
    TRACE_NONCE,
    TEXTS,
};

struct message {
    struct message *older, *newer; /* by when it was touched */
    struct message *before; /* another one of this id that may have lines in
                               the log yet; NULL; is in no list */
    uint64_t hash;          /* of the id */
    char *text_bytes;       /* of texts, each with its NUL; NULL: none */
    struct stored_text {
        uint16_t at, length; /* in text_bytes; at 0: unknown */
    } texts[TEXTS];
    uint16_t text_used, text_room;
    int64_t size, arrival_us;
    struct recipient *recipients;
    uint32_t *slots; /* of recipients by hash, when there are many; 0: none */
    uint32_t count, room;
    bool received;   /* a session told of it */
    bool removed;    /* what comes now by this id is another message */
    bool delay_told; /* its sender */
    bool bulk;
    unsigned char id_length;
    char id[];
};

struct list {
    struct message *oldest, *newest;
    size_t count;
};

/*
 * By id, open addressing. A tag is of the hash of the message at its place, or
 * 0: going through tags alone, most ids that are not there are not found
 * without a look at a message.
 */
struct slots {
    uint32_t *tags;
    struct message **messages;
    size_t count; /* a power of 2, half of them are free */
};

struct maillog_messages {
    pthread_mutex_t lock; /* guards all below */
    struct slots slots;
    struct message *last; /* that was found: it is asked for again soon */
    struct list here, gone;
    size_t recipients;
    size_t bytes, limit;
    uint64_t replaced;
    struct maillog_refused *refused;
    const struct pseudonym_key *pseudonyms; /* or NULL */
    char local_domain[256]; /* what sessions complete bare names with */
};

/* --- memory, counted --------------------------------------------------- */

#define MAILLOG_TABLE_OVERHEAD 16 /* malloc(3)'s, of a piece of memory */

/* NULL: no memory. */
void *maillog_table_take(struct maillog_messages *messages, size_t size);

/* Up to its limit, and up to a NUL; no memory is like unknown. */
void maillog_table_set(struct maillog_messages *messages,
                       struct message *message, enum message_text which,
                       struct text text);

/* Frees them; the message is not to be asked for any. */
void maillog_table_forget_texts(struct maillog_messages *messages,
                                struct message *message);

/* Borrowed, with a NUL behind it. */
static inline struct text maillog_table_text(const struct message *message,
                                             enum message_text which)
{
    struct stored_text stored = message->texts[which];

    return stored.at == 0
               ? (struct text){NULL, 0}
               : (struct text){message->text_bytes + stored.at, stored.length};
}

/* An address of a recipient, in the place of what was there. */
void maillog_table_set_address(struct maillog_messages *messages,
                               struct recipient *recipient,
                               struct text address);
void maillog_table_give_failure(struct maillog_messages *messages,
                                struct recipient *recipient);

/* Frees what is known of it; not its id, its place, and its flags. */
void maillog_table_empty(struct maillog_messages *messages,
                         struct message *message);

/* As if nothing were known; what it had is somebody else's, or freed. */
void maillog_table_begin(struct message *message);

/* --- messages ---------------------------------------------------------- */

struct message *maillog_table_find(struct maillog_messages *messages,
                                   struct text queue_id);

/* The message, made if need be, as the newest; NULL: no id, no memory. */
struct message *maillog_table_touch(struct maillog_messages *messages,
                                    struct text queue_id);

/* Of and into the list that its flag `removed` tells. */
void maillog_table_take_out(struct maillog_messages *messages,
                            struct message *message);
void maillog_table_put_newest(struct maillog_messages *messages,
                              struct message *message);
void maillog_table_drop_before(struct maillog_messages *messages,
                               struct message *message);
void maillog_table_drop(struct maillog_messages *messages,
                        struct message *message);

/*
 * By which a mailbox is known: its pseudonym, where they are in use. rules may
 * be NULL.
 */
struct text maillog_table_name(const struct maillog_messages *messages,
                               struct text address,
                               const struct mailbox_rules *rules,
                               char name[PSEUDONYM_SIZE]);

/* --- recipients -------------------------------------------------------- */

struct recipient *
maillog_table_find_recipient(const struct maillog_messages *messages,
                             const struct message *message,
                             struct text address);

/* Made if need be; NULL: no memory. */
struct recipient *
maillog_table_touch_recipient(struct maillog_messages *messages,
                              struct message *message, struct text address);

#endif
