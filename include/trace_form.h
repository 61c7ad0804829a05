/*
 * trace_form.h - marks as text: the value of a header, an envelope id
 *
 * Source   RFC 4648 5 (base64url) and 6 (base32), both without padding;
 *          RFC 5322 2.2.3 for folding, RFC 3461 4.4 for the envelope id.
 *
 * One mark has one text: bits that are left over are zero, and nothing but
 * blanks and line ends, which gateways put in, is passed over.
 *
 * Owner    arguments are borrowed.
 * Threads  any.
 */
#ifndef NIXIE_TRACE_FORM_H
#define NIXIE_TRACE_FORM_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define TRACE_HEADER           "Nixie-Trace"
#define TRACE_HEADER_SIZE      600 /* of 419 bytes in eight lines, and NUL */
#define TRACE_ENVELOPE_ID_SIZE 35  /* 34 characters and NUL */

#define TRACE_MARK_MAX      419 /* 50 recipients: 9 + 10 + 50 * 8 bytes */
#define TRACE_ENVELOPE_MARK 19  /* bytes of an envelope id */

/* What is longer is none: ours with blanks all over has no 4096 bytes. */
#define TRACE_TEXT_MAX 4096

/*
 * "1 " and base64url, a line end and a blank wherever a line would exceed 76
 * columns, the name of the header included. length is at most TRACE_MARK_MAX.
 */
void trace_form_header(const unsigned char *mark, size_t length,
                       char value[TRACE_HEADER_SIZE]);

/* False: it is none, or longer than a mark can be. */
bool trace_form_read_header(struct text value,
                            unsigned char mark[TRACE_MARK_MAX], size_t *length);

/* "T1." and base32. */
void trace_form_envelope_id(const unsigned char mark[TRACE_ENVELOPE_MARK],
                            char text[TRACE_ENVELOPE_ID_SIZE]);
bool trace_form_read_envelope_id(struct text text,
                                 unsigned char mark[TRACE_ENVELOPE_MARK]);

#endif
