/*
 * event.h - one outcome of one recipient, or a record about the log
 *
 * Source   the members are those of packaging/event.schema.json; names of
 *          RFC 5321, 3463, 3464, 3461, 5965.
 * Units    *_us microseconds, *_at RFC 3339 text, sizes in octets.
 * Owner    texts are borrowed from whoever fills the event.
 * Threads  an event belongs to one thread.
 */
#ifndef NIXIE_EVENT_H
#define NIXIE_EVENT_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_SCHEMA         "nixie/1"
#define EVENT_UNKNOWN        INT64_MIN /* a number or boolean that is absent */
#define EVENT_ID_SIZE        37        /* UUIDv7 (RFC 9562) and NUL */
#define EVENT_DIAGNOSTIC_MAX 512       /* bytes of a remote text we keep */

enum event_type {
    EVENT_RECEPTION,      /* our MTA took the message for this recipient */
    EVENT_REJECTION,      /* our MTA refused the recipient */
    EVENT_SUPPRESSED,     /* nixie refused or dropped it */
    EVENT_WOULD_SUPPRESS, /* observe mode, exemption: it would have */
    EVENT_DELIVERY,       /* a remote or local mailbox took it */
    EVENT_DELAY,          /* a temporary failure, it will be tried again */
    EVENT_BOUNCE,         /* final failure of a delivery */
    EVENT_EXPIRATION,     /* given up after too many delays */
    EVENT_OUT_OF_BAND,    /* a bounce message that came later */
    EVENT_FEEDBACK,       /* a complaint or opt-out */
    EVENT_SUPPRESSION_ADDED,
    EVENT_SUPPRESSION_UPDATED,
    EVENT_SUPPRESSION_REMOVED,
    EVENT_SUPPRESSION_WITHHELD, /* a limit was reached, nothing was added */
    EVENT_ALLOW_ADDED,          /* the allow list changed */
    EVENT_ALLOW_REMOVED,
    EVENT_BREAKER_OPENED, /* failures spike: adding is paused */
    EVENT_BREAKER_CLOSED,
    EVENT_DOMAIN_DOWN, /* a destination takes no mail at present */
    EVENT_DOMAIN_UP,
    EVENT_RECIPIENT_FORGOTTEN, /* an operator wants nothing known of it */
    EVENT_LOG_OPEN,            /* first line of each file */
    EVENT_HEARTBEAT,
    EVENT_GAP,  /* lines that could not be written, or are gone */
    EVENT_MARK, /* how far a delivery log is read */
    EVENT_STORE_DEGRADED,
    EVENT_STORE_RECOVERED,
};
#define EVENT_TYPES 27

struct event {
    enum event_type type;
    int64_t timestamp_us;
    int64_t seq;                  /* set by event_log_append() */
    char event_id[EVENT_ID_SIZE]; /* set by event_log_append() */
    struct text node, instance;   /* set by event_log_append() */

    struct text origin;
    struct text session_id, transaction_id, listener, client_ip, client_name,
        helo, auth_user, tls_version;
    struct text queue_id, message_id, envelope_id, sender;
    int64_t size;
    struct text recipient, original_recipient, recipient_domain, scope;
    int64_t reply_code;
    struct text enhanced_status, diagnostic, smtp_stage, decided_by;
    struct text reason, failure_type;
    int64_t bounce_class; /* SparkPost's number */
    struct text rule;     /* what the verdict went by */
    struct text remote_mta, remote_ip, reporting_mta;
    struct text final_recipient; /* after aliases and forwarding */
    int64_t attempt; /* of this message for this recipient, from 1 */
    int64_t queue_seconds;
    struct text first_attempt_at, next_attempt_at;
    int64_t attempts_left;
    struct text expires_at;
    int64_t estimated;    /* boolean: the three above are a guess */
    int64_t delay_notice; /* boolean: the sender has been told that it waits */
    int64_t bulk;         /* boolean: its headers say list or bulk mail */
    int64_t destination;  /* boolean: about the way there, not the recipient */
    int64_t counted;      /* boolean: it is a strike, within these limits: */
    int64_t strike_limit, strike_days, strike_window_seconds;
    int64_t strikes; /* of suppression_added: how many there were */
    struct text feedback_type, feedback_agent;
    struct text trace;
    struct text trace_nonce; /* which message, of those that we marked */
    struct text trace_id;    /* the same for each report about one delivery */
    struct text suppression_pattern, suppression_reason, suppression_origin,
        suppression_note, suppression_by, suppression_added_at,
        suppression_expires_at, suppression_mode, suppression_evidence,
        suppression_scope;
    struct text withheld_by; /* breaker, entry, allow, policy */
    struct text pseudonym;   /* of recipient_forgotten: in later events */
    struct text action;
    struct text store_state;
    int64_t store_age_seconds; /* of the list, where Redis did not answer */
    int64_t latency_us;
    int64_t aggregated; /* so many events, of no recipient in particular */

    /* log_open */
    int64_t file_number;
    struct text file_nonce, version, padding;
    /* gap */
    int64_t gap_first_seq, gap_last_seq, gap_count;
    struct text gap_reason;
    /* heartbeat */
    int64_t applied_seq, lag_seconds;
    struct text cache_state; /* of the suppression cache, and the next */
    int64_t cache_entries, cache_bytes, cache_age_seconds;
    /* store_degraded, store_recovered */
    struct text store_endpoint, store_error;
    /* mark, and what comes from a delivery log */
    struct text maillog_position;
    struct text forwarded_as; /* mark: the queue id that goes on for it */
};

/* Every member unknown but type and timestamp_us. */
void event_init(struct event *event, enum event_type type,
                int64_t timestamp_us);

/* "reception"; and back: false when no type has that name. */
const char *event_type_name(enum event_type type);
bool event_type_parse(struct text name, enum event_type *type);

/* False for records about the log and the store: log_open, gap, … */
bool event_type_is_outcome(enum event_type type);

/*
 * The members as a table: what the encoder, the decoder and the schema test
 * go by. Order is the order on the line.
 */
enum event_member_kind {
    EVENT_MEMBER_TEXT,
    EVENT_MEMBER_INTEGER,
    EVENT_MEMBER_BOOLEAN, /* an int64_t: 0, 1 or EVENT_UNKNOWN */
};

/* clang-format off: a row a line */
/*
 * In the order of the line: what identifies an event stands before what
 * strangers can make long, as a line over its limit loses its last members.
 */
#define EVENT_ROWS(TEXT, INTEGER, BOOLEAN)                                     \
    TEXT(node, 255)                                                            \
    TEXT(instance, 32)                                                         \
    TEXT(origin, 16)                                                           \
    TEXT(recipient, 320) /* MAILBOX_MAX */                                     \
    TEXT(recipient_domain, 255)                                                \
    TEXT(scope, 64)                                                            \
    TEXT(pseudonym, 320)                                                       \
    TEXT(action, 16)                                                           \
    TEXT(decided_by, 16)                                                       \
    INTEGER(aggregated)                                                        \
    INTEGER(reply_code)                                                        \
    TEXT(enhanced_status, 16)                                                  \
    TEXT(smtp_stage, 16)                                                       \
    TEXT(reason, 64)                                                           \
    TEXT(failure_type, 16)                                                     \
    INTEGER(bounce_class)                                                      \
    BOOLEAN(destination)                                                       \
    BOOLEAN(counted)                                                           \
    INTEGER(strike_limit)                                                      \
    INTEGER(strike_days)                                                       \
    INTEGER(strike_window_seconds)                                             \
    INTEGER(strikes)                                                           \
    TEXT(trace, 16)                                                            \
    TEXT(trace_nonce, 16)                                                      \
    TEXT(trace_id, 32)                                                         \
    TEXT(maillog_position, 255)                                                \
    TEXT(rule, 64)                                                             \
    TEXT(session_id, 40)                                                       \
    TEXT(transaction_id, 48)                                                   \
    TEXT(queue_id, 64)                                                         \
    TEXT(forwarded_as, 64)                                                     \
    INTEGER(size)                                                              \
    INTEGER(attempt)                                                           \
    INTEGER(queue_seconds)                                                     \
    TEXT(first_attempt_at, 32)                                                 \
    TEXT(next_attempt_at, 32)                                                  \
    INTEGER(attempts_left)                                                     \
    TEXT(expires_at, 32)                                                       \
    BOOLEAN(estimated)                                                         \
    BOOLEAN(delay_notice)                                                      \
    BOOLEAN(bulk)                                                              \
    TEXT(feedback_type, 32)                                                    \
    TEXT(withheld_by, 16)                                                      \
    TEXT(store_state, 16)                                                      \
    INTEGER(store_age_seconds)                                                 \
    INTEGER(latency_us)                                                        \
    TEXT(suppression_pattern, 324)                                             \
    TEXT(suppression_reason, 64)                                               \
    TEXT(suppression_origin, 64)                                               \
    TEXT(suppression_mode, 16)                                                 \
    TEXT(suppression_scope, 64)                                                \
    TEXT(suppression_added_at, 64)                                             \
    TEXT(suppression_expires_at, 64)                                           \
    TEXT(suppression_by, 128)                                                  \
    INTEGER(file_number)                                                       \
    TEXT(file_nonce, 64)                                                       \
    TEXT(version, 64)                                                          \
    INTEGER(gap_first_seq)                                                     \
    INTEGER(gap_last_seq)                                                      \
    INTEGER(gap_count)                                                         \
    TEXT(gap_reason, 64)                                                       \
    INTEGER(applied_seq)                                                       \
    INTEGER(lag_seconds)                                                       \
    TEXT(cache_state, 16)                                                      \
    INTEGER(cache_entries)                                                     \
    INTEGER(cache_bytes)                                                       \
    INTEGER(cache_age_seconds)                                                 \
    TEXT(store_endpoint, 255)                                                  \
    TEXT(store_error, 255)                                                     \
    TEXT(remote_ip, 64)                                                        \
    TEXT(remote_mta, 255)                                                      \
    TEXT(listener, 64)                                                         \
    TEXT(client_ip, 64)                                                        \
    TEXT(tls_version, 32)                                                      \
    TEXT(auth_user, 255)                                                       \
    TEXT(sender, 320)                                                          \
    TEXT(final_recipient, 320)                                                 \
    TEXT(reporting_mta, 255)                                                   \
    TEXT(feedback_agent, 128)                                                  \
    TEXT(client_name, 255)                                                     \
    TEXT(suppression_note, 255)                                                \
    TEXT(envelope_id, 100) /* RFC 3461 4.4 */                                  \
    TEXT(message_id, 512)                                                      \
    TEXT(diagnostic, EVENT_DIAGNOSTIC_MAX)                                     \
    TEXT(helo, 255)                                                            \
    TEXT(original_recipient, 1024)                                             \
    TEXT(suppression_evidence, 2000)                                           \
    TEXT(padding, 1100)
/* clang-format on */

#define EVENT_OPENING 32 /* bytes: ,"NAME":" and padding */

struct event_member {
    const char *name;
    size_t name_length;
    enum event_member_kind kind;
    size_t offset; /* in struct event */
    size_t limit;  /* most bytes of a text, before escaping; else 0 */
    char opening[EVENT_OPENING]; /* ,"NAME":" of a text, else ,"NAME": */
};

#define EVENT_MEMBERS 88

extern const struct event_member event_members[EVENT_MEMBERS];
extern const size_t event_member_count;

#endif
