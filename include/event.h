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
#define EVENT_UNKNOWN        INT64_MIN /* an integer member that is absent */
#define EVENT_ID_SIZE        37        /* UUIDv7 (RFC 9562) and NUL */
#define EVENT_DIAGNOSTIC_MAX 512       /* bytes of a remote text we keep */

enum event_type {
    EVENT_RECEPTION,      /* our MTA took the message for this recipient */
    EVENT_REJECTION,      /* our MTA refused the recipient */
    EVENT_SUPPRESSED,     /* nixie refused or dropped it */
    EVENT_WOULD_SUPPRESS, /* observe mode, exemption: it would have */
    EVENT_SUPPRESSION_ADDED,
    EVENT_SUPPRESSION_UPDATED,
    EVENT_SUPPRESSION_REMOVED,
    EVENT_ALLOW_ADDED, /* the allow list changed */
    EVENT_ALLOW_REMOVED,
    EVENT_LOG_OPEN, /* first line of each file */
    EVENT_HEARTBEAT,
    EVENT_GAP, /* lines that could not be written, or are gone */
    EVENT_STORE_DEGRADED,
    EVENT_STORE_RECOVERED,
};
#define EVENT_TYPES 14

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
    struct text suppression_pattern, suppression_reason, suppression_origin,
        suppression_note, suppression_by, suppression_added_at,
        suppression_expires_at, suppression_mode;
    struct text action;
    struct text store_state;
    int64_t latency_us;

    /* log_open */
    int64_t file_number;
    struct text file_nonce, version, padding;
    /* gap */
    int64_t gap_first_seq, gap_last_seq, gap_count;
    struct text gap_reason;
    /* heartbeat */
    int64_t applied_seq, lag_seconds;
    /* store_degraded, store_recovered */
    struct text store_endpoint, store_error;
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
enum event_member_kind { EVENT_MEMBER_TEXT, EVENT_MEMBER_INTEGER };

struct event_member {
    const char *name;
    enum event_member_kind kind;
    size_t offset; /* in struct event */
    size_t limit;  /* most bytes of a text, before escaping; else 0 */
};

extern const struct event_member event_members[];
extern const size_t event_member_count;

#endif
