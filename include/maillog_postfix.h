/*
 * maillog_postfix.h - the lines of Postfix
 *
 * Source   log_adhoc(3) for outcomes; qmgr(8), cleanup(8), smtpd(8), pickup(8)
 *          and postscreen(8). Their fields come in a fixed order, and are
 *          taken in it: what imitates a field stands in a quoted local part or
 *          behind "status=".
 * Owner    texts lie in the message.
 * Threads  any.
 */
#ifndef NIXIE_MAILLOG_POSTFIX_H
#define NIXIE_MAILLOG_POSTFIX_H

#include "maillog_line.h"

/* What a program's lines may be. */
enum {
    MAILLOG_POSTFIX_DELIVERS = 1, /* to=<>, .. status= */
    MAILLOG_POSTFIX_REMOTE = 2,   /* speaks SMTP or LMTP to others */
    MAILLOG_POSTFIX_LOCAL = 4,
    MAILLOG_POSTFIX_QUEUE = 8, /* qmgr(8) */
    MAILLOG_POSTFIX_CLEANUP = 16,
    MAILLOG_POSTFIX_SERVER = 32, /* smtpd(8), postscreen(8) */
    MAILLOG_POSTFIX_PICKUP = 64,
    MAILLOG_POSTFIX_REMOVES = 128,
    MAILLOG_POSTFIX_COPIES = 256, /* error(8): the reason of another one */
};

/* Of "postfix/smtp", "postfix-out/smtp", "mx/submission/smtpd"; 0: none. */
unsigned maillog_postfix_program(struct text program);

/* Takes "4c8KRw3pDTz1Bqk: " or "NOQUEUE: ", which is unknown. */
bool maillog_postfix_queue_id(struct text *message, struct text *queue_id);

/* What stands behind the queue id. */
enum maillog_kind maillog_postfix_parse(unsigned program, struct text message,
                                        struct maillog_record *record);

/* maillog_postfix_reason.c: the text of an outcome, without its ( ). */
void maillog_postfix_reason(unsigned program, struct text reason,
                            struct maillog_record *record);

/* maillog_postfix_reject.c: what follows "reject: ". */
enum maillog_kind maillog_postfix_reject(struct text message,
                                         struct maillog_record *record);

#endif
