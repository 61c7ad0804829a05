/*
 * mailbox_path.h - the address in what a client, MTA or operator wrote
 *
 * Source   RFC 5322 3.4 and RFC 5321 4.1.2, read as leniently as Postfix
 *          reads an envelope address: routes, comments, display names, groups,
 *          brackets and blanks go, quoted strings and quoted pairs are opened.
 * Owner    arguments are borrowed; a struct mailbox_path has no pointers.
 * Errors   are the result.
 * Threads  any.
 *
 * Time is linear in the path, space is fixed.
 */
#ifndef NIXIE_MAILBOX_PATH_H
#define NIXIE_MAILBOX_PATH_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes of an opened address: more than Postfix reads in one line (2048). */
#define MAILBOX_PATH_MAX 2048

/* Each byte that is not UTF-8 becomes the three of U+FFFD. */
#define MAILBOX_PATH_UTF8_MAX (3 * MAILBOX_PATH_MAX)

/* What the unquoted "@" tells; only patterns of the lists care. */
enum mailbox_path_shape {
    MAILBOX_PATH_ADDRESS,
    MAILBOX_PATH_DOMAIN,     /* the only "@" comes first */
    MAILBOX_PATH_LOCAL_PART, /* the only "@" comes last */
};

struct mailbox_path {
    char bytes[MAILBOX_PATH_UTF8_MAX]; /* unquoted, valid UTF-8, no NUL */
    size_t length;
    enum mailbox_path_shape shape;
    bool cut; /* longer than MAILBOX_PATH_MAX: only its end is here */
};

/* False when there is no address in it, or more than one. */
bool mailbox_path_read(struct text text, struct mailbox_path *path);

/* What follows a source route ("@a,@b:"); text itself when it has none. */
struct text mailbox_path_skip_route(struct text text);

/*
 * Copies text, with U+FFFD for NUL and for each byte that is not UTF-8, as far
 * as size allows; returns the length. No NUL is added.
 */
size_t mailbox_path_repair(struct text text, char *bytes, size_t size);

/* RFC 5322 3.2.3, with the bytes of UTF-8 as in RFC 6532. */
bool mailbox_path_is_atext(char byte);

#endif
