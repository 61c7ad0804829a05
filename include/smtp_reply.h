/*
 * smtp_reply.h - a reply taken apart: code, enhanced status, text
 *
 * Source   RFC 5321 4.2 (reply codes), RFC 3463 2 (enhanced status codes).
 *          Lenient: each of the three may be missing.
 * Owner    text is borrowed from the argument.
 * Threads  any.
 */
#ifndef NIXIE_SMTP_REPLY_H
#define NIXIE_SMTP_REPLY_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define ENHANCED_STATUS_SIZE 10 /* 5.123.123 and NUL, RFC 3463 2 */

struct smtp_reply {
    int code;                                   /* 200 to 599; 0: none */
    char enhanced_status[ENHANCED_STATUS_SIZE]; /* "": none */
    struct text text;                           /* what follows them */
};

/* "550 5.1.1 User unknown", "5.1.1 text", "550-text", "text", quoted too. */
void smtp_reply_parse(struct text line, struct smtp_reply *reply);

/* Class 2, 4 or 5, a dot, 1 to 3 digits, a dot, 1 to 3 digits, no more. */
bool enhanced_status_is_valid(struct text status);

/* xtext of RFC 3461 4 decoded; returns the length, at most size - 1. */
size_t smtp_decode_xtext(struct text xtext, char *buffer, size_t size);

#endif
