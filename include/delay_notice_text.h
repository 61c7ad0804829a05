/*
 * delay_notice_text.h - a delay notice as a message
 *
 * Source   RFC 3464 (delivery status), RFC 6522 (multipart/report), RFC 6533
 *          (the same for addresses that are not ASCII), RFC 3834 5
 *          (Auto-Submitted), RFC 5322. MIME is GMime's.
 *
 * All of the event is from strangers: what is no UTF-8, a control, or turns
 * the direction of writing becomes harmless, and all is bounded. The message
 * is of 7 bits, unless the sender's own address is not.
 *
 * Threads  any.
 */
#ifndef NIXIE_DELAY_NOTICE_TEXT_H
#define NIXIE_DELAY_NOTICE_TEXT_H

#include "delay_notice_template.h"
#include "event.h"
#include "mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct delay_notice_facts { /* borrowed */
    const struct event *event;
    const struct mailbox *sender; /* to whom; delay_notice_takes() made it */
    const char *node;
    const char *id; /* a UUID: of Message-ID and boundary */
    int64_t now_us; /* its Date */
};

struct delay_notice_message {
    char *bytes; /* lines that end in CR LF; g_free() */
    size_t length;
    bool needs_utf8; /* SMTPUTF8, RFC 6531 */
};

/* False: out of memory. */
bool delay_notice_write(const struct delay_notice_template *template,
                        const struct delay_notice_facts *facts,
                        struct delay_notice_message *message);

#endif
