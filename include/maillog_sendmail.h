/*
 * maillog_sendmail.h - the lines of Sendmail
 *
 * Source   logdelivery(), logsender(), rscheck(), returntosender(),
 *          sm_syslog(), str2prt() and shortenstring() of Sendmail 8.17.
 * Owner    texts lie in the message, or in the state until its next use.
 * Threads  a state belongs to one.
 */
#ifndef NIXIE_MAILLOG_SENDMAIL_H
#define NIXIE_MAILLOG_SENDMAIL_H

#include "maillog_line.h"

#define MAILLOG_SENDMAIL_JOINS     4 /* records in pieces at the same time */
#define MAILLOG_SENDMAIL_ID_MAX    32
#define MAILLOG_SENDMAIL_REPLY_MAX 512
/* Above what Sendmail takes of an address: the line is a forgery. */
#define MAILLOG_SENDMAIL_ADDRESS_MAX 1000

/* Who writes: pieces of one record come from one process. */
struct maillog_sendmail_writer {
    int64_t pid;
    size_t id_length;
    char id[MAILLOG_SENDMAIL_ID_MAX];
};

struct maillog_sendmail_join {
    struct maillog_sendmail_writer writer;
    int64_t next; /* piece that is awaited; 0: unused */
    size_t length;
    bool cut;
    char bytes[MAILLOG_LINE_MAX];
};

/* A list that was broken inside an address: the rest comes in the next line. */
struct maillog_sendmail_broken {
    struct maillog_sendmail_writer writer;
    bool in_use;
    size_t length; /* of what there is of it, with the comma */
    char bytes[MAILLOG_SENDMAIL_ADDRESS_MAX + 1];
};

/* What a filter said to a message, for the recipients of the next lines. */
struct maillog_sendmail_filtered {
    struct maillog_sendmail_writer writer;
    size_t length; /* 0: unused */
    char reply[MAILLOG_SENDMAIL_REPLY_MAX];
};

struct maillog_sendmail {
    struct maillog_sendmail_join joins[MAILLOG_SENDMAIL_JOINS];
    struct maillog_sendmail_broken broken[MAILLOG_SENDMAIL_JOINS];
    struct maillog_sendmail_filtered filtered[MAILLOG_SENDMAIL_JOINS];
    size_t next_join, next_broken, next_filtered;
    bool looking_back;            /* lines are those before the first */
    char plain[MAILLOG_LINE_MAX]; /* without escapes */
    char list[MAILLOG_SENDMAIL_ADDRESS_MAX + 1 + MAILLOG_LINE_MAX];
};

/* "sendmail", "sm-mta", "sm-msp-queue", what begins so. */
bool maillog_sendmail_program(struct text program);

/*
 * Takes "60215wXk003001: " and "60215wXk003001[2]: ", piece 0 and 2; NOQUEUE
 * is unknown.
 */
bool maillog_sendmail_queue_id(struct text *message, struct text *queue_id,
                               int64_t *piece);

/* What stands behind the queue id; record has pid and queue_id. */
enum maillog_kind maillog_sendmail_parse(struct maillog_sendmail *state,
                                         int64_t piece, struct text message,
                                         struct maillog_record *record);

/* "mx.example.net. [192.0.2.25]", what stands behind relay= */
void maillog_sendmail_host(struct text relay, struct text *name,
                           struct text *ip);

/* --- maillog_sendmail_join.c ------------------------------------------- */

/*
 * A piece joins those before it. True: *message is whole now. Without pieces
 * it always was.
 */
bool maillog_sendmail_join(struct maillog_sendmail *state, int64_t piece,
                           struct text *message, struct maillog_record *record);

/* Undoes \\, \t, \ooo; in the state if there are any. */
struct text maillog_sendmail_plain(struct maillog_sendmail *state,
                                   struct text message);

bool maillog_sendmail_is_writer(const struct maillog_sendmail_writer *writer,
                                const struct maillog_record *record);
void maillog_sendmail_set_writer(struct maillog_sendmail_writer *writer,
                                 const struct maillog_record *record);

/* --- maillog_sendmail_list.c ------------------------------------------- */

/*
 * Takes the list of recipients, up to the ", " behind it: record->recipients,
 * more. An address that it was broken in is the first of the next line's, in
 * the state until its next use. False: there is no list, or no end to it.
 */
bool maillog_sendmail_list(struct maillog_sendmail *state, struct text *rest,
                           struct maillog_record *record);

/* The next address of a list, without <>; false: there are no more. */
bool maillog_sendmail_address(struct text list, size_t *at,
                              struct text *address);

/* Behind the address that text begins with: at ',' or at the end of text. */
size_t maillog_sendmail_address_end(struct text text);

/* --- maillog_sendmail_status.c ----------------------------------------- */

struct maillog_sendmail_result {
    /* as logged; unknown: not there */
    struct text mailer, priority, dsn, reply, stat;
};

/* False: it tells of no attempt (queued, quarantined). */
bool maillog_sendmail_status(const struct maillog_sendmail_result *result,
                             struct maillog_record *record);

/* --- maillog_sendmail_reject.c ------------------------------------------ */

/* Each takes what stands behind the words in quotes: */

/* "ruleset=check_rcpt, arg1=": access_db, relaying, DNS lists */
enum maillog_kind maillog_sendmail_refusal(struct text rest,
                                           struct maillog_record *record);

/* "Milter: ": a filter refused a recipient, or the message of the recipients
   whom the next lines name */
enum maillog_kind maillog_sendmail_filter(struct maillog_sendmail *state,
                                          struct text rest,
                                          struct maillog_record *record);

/* "QID: ": "<ann@example.net>... User unknown": no such mailbox, error: of
   virtusertable, no address at all */
enum maillog_kind maillog_sendmail_complaint(struct text message,
                                             struct maillog_record *record);

/* A recipient of a message that was not taken in the end: no mailer had it. */
enum maillog_kind
maillog_sendmail_undone(const struct maillog_sendmail *state,
                        const struct maillog_sendmail_result *result,
                        struct maillog_record *record);

#endif
