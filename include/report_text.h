/*
 * report_text.h - lines, words and addresses in the text of a report
 *
 * Lines end in LF: the reader has made CR LF and lone CR into LF.
 *
 * Owner    texts are borrowed from the argument.
 * Threads  any.
 */
#ifndef NIXIE_REPORT_TEXT_H
#define NIXIE_REPORT_TEXT_H

#include "report_memory.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define REPORT_TEXT_NOWHERE ((size_t)-1)

/* --- lines and words ----------------------------------------------------- */

/* Takes the next line off *rest, without its LF; false at the end. */
bool report_text_line(struct text *rest, struct text *line);

/* From `from` on, at most `length` bytes; both may be too much. */
struct text report_text_part(struct text text, size_t from, size_t length);

/* Without blanks and line ends around it. */
struct text report_text_trim(struct text text);

/* words are lower-case ASCII; the text may have any case. */
bool report_text_begins(struct text text, const char *words);
bool report_text_equals(struct text text, const char *words);
/* Where words begin, or REPORT_TEXT_NOWHERE. */
size_t report_text_find(struct text text, const char *words);
/* The same, for words and text that are lower case already. */
size_t report_text_find_exact(struct text text, const char *words);

/* A copy in lower case (ASCII); unknown when there is no memory. */
struct text report_text_lower(struct report_memory *memory, struct text text);

/* Takes the next `Name: value` off *rest, folded lines with it. */
struct report_field {
    struct text name, value; /* name is empty: no field but this line */
};
bool report_text_field(struct text *rest, struct report_field *field);

/* --- addresses ----------------------------------------------------------- */

/* What is around an address in running text. */
struct report_address {
    struct text address;
    size_t start, end; /* in the text, with brackets and quotes around it */
};

/* The next address at or behind *from, which is moved; false: none. */
bool report_text_address(struct text text, size_t *from,
                         struct report_address *found);

/*
 * The address in a field such as "rfc822; <ann@example.org>": without type,
 * brackets, comments. Empty when there is none. Those of type utf-8 are
 * decoded (RFC 6533 3) into memory.
 */
struct text report_text_mailbox(struct report_memory *memory,
                                struct text value);

/* Whether both name one mailbox: ASCII case aside. */
bool report_text_same(struct text a, struct text b);

/* --- codes --------------------------------------------------------------- */

/* Where a reply such as "550 5.1.1" or "550-" begins, or NOWHERE. */
size_t report_text_reply(struct text text);

/* The first enhanced status of class 2, 4 or 5 in it, or empty. */
struct text report_text_status(struct text text);

/* "5.0.0", "5.1.0": other or undefined, RFC 3463 3; also none at all. */
bool report_text_status_is_vague(struct text status);

#endif
