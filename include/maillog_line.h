/*
 * maillog_line.h - a line of the MTA's log, taken apart
 *
 * Source   Postfix: log_adhoc(3), smtp(8), qmgr(8), cleanup(8), smtpd(8);
 *          Sendmail: logdelivery(), logsender(), rscheck(). Prefixes as
 *          syslog (RFC 3164), RFC 3339 and journalctl -o short-* write them.
 * Bounds   a line is read up to MAILLOG_LINE_MAX bytes, from left to right,
 *          once, quote-aware, without regular expressions. What stands in a
 *          recipient or in a remote text is never taken for a field.
 * Owner    the texts of a record point into the line or the parser, until its
 *          next use.
 * Threads  a parser belongs to one.
 */
#ifndef NIXIE_MAILLOG_LINE_H
#define NIXIE_MAILLOG_LINE_H

#include "verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAILLOG_LINE_MAX 16384

enum maillog_kind {
    MAILLOG_NOTHING,    /* no line of a mail program, or of no use */
    MAILLOG_OUTCOME,    /* of a delivery to recipients */
    MAILLOG_SUBMISSION, /* a message came in: client, authenticated user */
    MAILLOG_MESSAGE,    /* its sender, size or message id */
    MAILLOG_EXPIRED,    /* given up, returned to sender */
    MAILLOG_REMOVED,    /* the message has left the queue */
    MAILLOG_REJECTION,  /* our MTA refused a recipient */
};

enum maillog_status {
    MAILLOG_SENT,
    MAILLOG_DEFERRED, /* SOFTBOUNCE too */
    MAILLOG_BOUNCED,
};

struct maillog_record {
    enum maillog_kind kind;
    bool sendmail; /* else Postfix */
    int64_t timestamp_us;
    struct text host;     /* who logged it */
    struct text program;  /* "postfix/smtp", "sm-mta": without [pid] */
    int64_t pid;          /* 0: unknown */
    struct text queue_id; /* unknown: NOQUEUE */

    /* OUTCOME; REJECTION has recipients, reply, stage */
    enum maillog_status status;
    struct text recipients;         /* for maillog_recipient() */
    struct text original_recipient; /* orig_to= of Postfix */
    struct text relay;              /* host name; unknown for none, unless the
                                       reply names the host */
    struct text relay_ip;
    struct text relay_socket; /* in place of an IP: "private/dovecot-lmtp" */
    int64_t relay_port;       /* 0: unknown */
    bool local;      /* local(8), virtual(8), pipe(8), a local mailer */
    bool forwarded;  /* "forwarded as", queued to another hop by alias */
    int64_t delay_s; /* in the queue; -1: unknown */
    struct text enhanced_status; /* dsn= */
    struct text reply; /* what the other side, or the MTA itself, said:
                          without "host X said:" and "(in reply to …)" */
    bool remote;       /* it was the other side */
    enum bounce_stage stage;
    bool destination; /* about the way there: connection, DNS, TLS, a
                         suspended destination, x.4.x; not the recipient */
    bool filtered;    /* REJECTION: by a filter, perhaps by us */
    bool shown_later; /* REJECTION: a session may be shown it, but after it was
                         logged */
    bool more;        /* Sendmail: the list goes on in another line */
    bool cut;         /* the line is not whole */
    /* Sendmail, of NOTHING too: which piece of a record the line is, 0: of
     * none; whose they are; and whether the rest is still to come */
    int64_t piece;
    uint64_t pieces;
    bool unfinished;

    /* SUBMISSION, MESSAGE, EXPIRED */
    struct text client_name, client_ip, auth_user;
    bool has_sender;
    struct text sender;      /* empty: null */
    int64_t size;            /* -1: unknown */
    int64_t recipient_count; /* nrcpt=, nrcpts=; -1: unknown */
    struct text message_id;  /* without <> */
    bool forced;             /* EXPIRED: by postsuper(1) */
};

/*
 * New: the bytes that all texts of copy lie in; NULL when out of memory. So a
 * record outlives its line, and what the parser knew when it came.
 */
char *maillog_record_copy(const struct maillog_record *record,
                          struct maillog_record *copy);

struct maillog_parser;

/*
 * New, or NULL when out of memory. Stamps without a year, and without a zone,
 * are in the zone of this host (TZ) and in the year that puts them closest to
 * the stamp before, or to near_us for the first: right across New Year, also
 * when old files are read. What the fold of a summer time leaves open goes by
 * the line before.
 */
struct maillog_parser *maillog_parser_new(int64_t near_us);
void maillog_parser_free(struct maillog_parser *parser); /* or NULL */

/*
 * While true lines are parsed for what later ones go on with alone: an address
 * that a list was broken in, what a filter said.
 */
void maillog_parser_look_back(struct maillog_parser *parser, bool looking_back);

/*
 * line has no newline. With MAILLOG_NOTHING the record has its kind alone, and
 * what it is a piece of. A record of Sendmail in pieces (QID[1]:, QID[2]:, ..)
 * comes with the last of them; one that is only queued or quarantined is no
 * outcome.
 */
enum maillog_kind maillog_parse(struct maillog_parser *parser, struct text line,
                                struct maillog_record *record);

/*
 * The same for a message without prefix, as the journal has it: when, who and
 * pid are known beside it.
 */
enum maillog_kind maillog_parse_message(struct maillog_parser *parser,
                                        int64_t timestamp_us,
                                        struct text program, int64_t pid,
                                        struct text message,
                                        struct maillog_record *record);

/*
 * The recipients one by one, without their <>; *at is 0 before the first.
 * False: there are no more.
 */
bool maillog_recipient(const struct maillog_record *record, size_t *at,
                       struct text *recipient);

#endif
