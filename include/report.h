/*
 * report.h - bounce messages and complaints, read as a milter sees them
 *
 * A reader is fed the headers of a message, says whether it may be a report,
 * is fed the body until it has enough, and tells what the report says of
 * which recipients. Whether it is to be believed is for others to judge.
 *
 * Only the top level is read, never a report within a returned message.
 * Standard fields come first, leniently; then the text, with the returned
 * message cut off; rows of a table know what formats have of their own.
 * Automatic replies, challenges, confirmations, newsletters and mail of
 * people that quotes a bounce are no reports: headers and layout decide.
 *
 * Source   RFC 3462 and 6522 (multipart/report), RFC 3464, RFC 6533 (global
 *          forms), RFC 5965 (feedback), RFC 3834 (automatic replies).
 * Bounds   struct report_bounds; what is longer is cut. No recursion, time is
 *          linear in what is held. report_size() tells what a reader holds, so
 *          that its user can keep a total for all.
 * Owner    arguments are borrowed; a report is the caller's and owns its texts
 *          until report_clear().
 * Errors   out of memory is a result; nothing is logged here.
 * Threads  a reader belongs to one.
 */
#ifndef NIXIE_REPORT_H
#define NIXIE_REPORT_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define REPORT_BODY_MAX       (256 * 1024) /* of a message is held */
#define REPORT_HEADER_MAX     8192         /* of a header's value */
#define REPORT_HEADERS_MAX    (32 * 1024)  /* of all values together */
#define REPORT_RECIPIENTS_MAX 1000
#define REPORT_FIELD_MAX      1024 /* of a field's value, and of a diagnostic */
#define REPORT_TRACES_MAX     4
#define REPORT_DOMAINS_MAX    8

struct report_bounds {
    size_t body_max;       /* 0: REPORT_BODY_MAX */
    size_t recipients_max; /* 0: REPORT_RECIPIENTS_MAX */
};

enum report_kind {
    REPORT_NONE,     /* no report */
    REPORT_STATUS,   /* fields of RFC 3464 */
    REPORT_LEGACY,   /* a bounce in words alone */
    REPORT_FEEDBACK, /* a complaint or opt-out */
};

/* RFC 3464 2.3.3 */
enum report_action {
    REPORT_ACTION_UNKNOWN,
    REPORT_ACTION_FAILED,
    REPORT_ACTION_DELAYED,
    REPORT_ACTION_DELIVERED,
    REPORT_ACTION_RELAYED,
    REPORT_ACTION_EXPANDED,
};

/* Texts are unknown (NULL) when the report does not have them. */
struct report_recipient {
    struct text final_recipient, original_recipient; /* bare addresses */
    struct text actual_recipient; /* behind the final one's alias */
    enum report_action action;
    struct text status;     /* 5.1.1, without comment */
    struct text diagnostic; /* without its type, unfolded */
    struct text remote_mta; /* without its type */
    struct text last_attempt, will_retry_until;
    struct text said; /* what the report's text says about it */
};

/* Headers of the returned message, unfolded. */
struct report_returned {
    struct text message_id; /* without <> */
    struct text from, to, return_path, list_id;
    struct text traces[REPORT_TRACES_MAX]; /* values of Nixie-Trace */
    size_t trace_count;
};

/* RFC 5965 3; whom it is about are the recipients of the report. */
struct report_feedback {
    struct text type; /* "abuse", lower case */
    struct text user_agent, mail_from, arrival_date, source_ip, incidents;
    struct text domains[REPORT_DOMAINS_MAX]; /* Reported-Domain */
    size_t domain_count;
    bool redacted; /* no recipient is named that can be read */
};

struct report_memory;

struct report {
    enum report_kind kind;
    struct report_recipient *recipients;
    size_t recipient_count;
    bool cut; /* there were more recipients, or the body was longer */
    struct text reporting_mta, envelope_id, arrival_date;
    struct text queue_id; /* X-Postfix-Queue-ID */
    struct text sender;   /* X-Postfix-Sender: as envelope sender */
    struct text said;     /* the report's text, what it returns cut off */
    struct report_returned returned;
    struct report_feedback feedback;
    /* For people who ask why; constants. */
    const char *format; /* "RFC 3464", "text"; NULL: none */
    const char *part;   /* "message/delivery-status", "text/plain" */
    const char *rule;   /* how the recipients were found, why it is none */
    struct report_memory *memory;
};

struct report_reader;

/* New, or NULL when out of memory. bounds may be NULL: all defaults. */
struct report_reader *report_new(const struct report_bounds *bounds);
void report_free(struct report_reader *reader); /* or NULL */

/* Forgets the message, to read another. */
void report_reset(struct report_reader *reader);

/* A header of the message, its value folded or not. */
void report_header(struct report_reader *reader, struct text name,
                   struct text value);

/* After the headers: whether the body is worth reading. */
bool report_wants(struct report_reader *reader, bool null_sender);

enum report_feed {
    REPORT_MORE,
    REPORT_ENOUGH, /* the rest of the body is not looked at */
    REPORT_NO_MEMORY,
};
enum report_feed report_body(struct report_reader *reader, struct text bytes);

/*
 * Fills *report, of kind REPORT_NONE if it is none. False when out of memory:
 * there is nothing to clear then.
 */
bool report_end(struct report_reader *reader, struct report *report);

/* Gives back what report owns; of one that is all zero nothing. */
void report_clear(struct report *report);

/* Bytes that the reader holds at present. */
size_t report_size(const struct report_reader *reader);

/* The address it is about: the final one, else the original; or unknown. */
struct text report_recipient_address(const struct report_recipient *recipient);

/* "failed"; "" when unknown. */
const char *report_action_name(enum report_action action);
const char *report_kind_name(enum report_kind kind);

#endif
