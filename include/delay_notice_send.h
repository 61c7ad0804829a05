/*
 * delay_notice_send.h - hands a notice to the MTA
 *
 * Source   RFC 5321, by libcurl; a null reverse-path, one recipient, no TLS
 *          and no AUTH. RFC 6531: SMTPUTF8 only where it is offered.
 * Waits    at most patience_ms; when told to stop a second, or 3 for the answer
 *          to the whole message.
 * Threads  any.
 */
#ifndef NIXIE_DELAY_NOTICE_SEND_H
#define NIXIE_DELAY_NOTICE_SEND_H

#include "error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum delay_notice_result {
    DELAY_NOTICE_SENT,
    DELAY_NOTICE_REFUSED,     /* for good: 5xx, or no SMTPUTF8 */
    DELAY_NOTICE_LATER,       /* 4xx */
    DELAY_NOTICE_UNREACHABLE, /* no connection, no answer */
    DELAY_NOTICE_UNSURE,      /* sent whole, then no answer: it may be taken */
};

struct delay_notice_mail { /* borrowed */
    const char *relay;     /* HOST:PORT */
    const char *node;      /* of EHLO */
    const char *recipient; /* without brackets, no control characters */
    const char *bytes;
    size_t length;
    bool needs_utf8;
    int64_t patience_ms;
    const atomic_bool *stopping; /* may be NULL */
};

/* error is filled by all but SENT; what the MTA said is escaped. */
enum delay_notice_result delay_notice_send(const struct delay_notice_mail *mail,
                                           struct error *error);

#endif
