/*
 * reply_text.h - the text of a reply in the one form that rules see
 *
 * The form is the same for matching and for the list of texts to qualify:
 * what differs from message to message is masked, the words stay.
 *
 *   blanks      control bytes, line ends and Unicode spaces: one blank
 *   case        lower (Unicode); wide forms and typographic quotes as ASCII
 *   codes       "550-5.1.1 a 550 5.1.1 b" is "a b": they are code and
 *               enhanced_status here, "550 #5.1.1 a" too; others within the
 *               text stay
 *   said        what stands before "said: 550" goes when no code leads
 *   <addr>      ann@example.org, <ann>
 *   <host>      mx1.example.org
 *   <ip>        192.0.2.1, 2001:db8::1
 *   <url:…>     https://…: its host and the words of its path, * for the rest
 *   <id>        queue ids, hexadecimal, Base64: letters and digits by turns
 *   <n>         numbers; 10mb is <n>mb
 *   kept        reply codes, enhanced status codes, and names of errors such
 *               as ts03, s3140, rl000001, ofr_506: letters, then digits, at
 *               most 12 bytes
 *   U+FFFD      bytes that are not UTF-8
 *
 * Bounds    REPLY_TEXT_INPUT_MAX bytes are looked at, REPLY_TEXT_MAX come
 *           out; time is linear, and the result a function of the bytes alone.
 * Threads   any.
 */
#ifndef NIXIE_REPLY_TEXT_H
#define NIXIE_REPLY_TEXT_H

#include "smtp_reply.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define REPLY_TEXT_INPUT_MAX  65536
#define REPLY_TEXT_MAX        4096
#define REPLY_TEXT_LISTED_MAX 2048

struct reply_text {
    int code;                                   /* of the reply; 0: none */
    char enhanced_status[ENHANCED_STATUS_SIZE]; /* "": none */
    bool cut;                                   /* there was more */
    size_t length;
    char bytes[REPLY_TEXT_MAX + 1]; /* UTF-8, and a NUL behind it */
};

void reply_text_normalise(struct text reply, struct reply_text *text);

/* The text as it is kept in a list: its first REPLY_TEXT_LISTED_MAX bytes. */
struct text reply_text_listed(const struct reply_text *text);

#endif
