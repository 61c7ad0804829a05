/*
 * delay_notice_status.h - the part of a notice that programs read
 *
 * Source   RFC 3464 2; RFC 6533 3 for addresses that are not ASCII.
 * Owner    the results are new, of g_malloc().
 * Threads  any.
 */
#ifndef NIXIE_DELAY_NOTICE_STATUS_H
#define NIXIE_DELAY_NOTICE_STATUS_H

#include "event.h"
#include "text.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * One line of at most `most` bytes of UTF-8: other bytes become U+FFFD,
 * controls and what turns the direction of writing a blank. Unknown and empty
 * give NULL.
 */
char *delay_notice_clean(struct text text, size_t most);

/* The node as a domain; "localhost" if it is none. */
char *delay_notice_domain(const char *node);

/* A Message-ID without brackets, or NULL when it is none. */
char *delay_notice_message_id(struct text message_id);

/*
 * The fields, in lines that end in LF. *global: an address in them is not
 * ASCII, so that the type is message/global-delivery-status.
 */
char *delay_notice_status(const struct event *event, const char *domain,
                          bool *global);

#endif
