/*
 * settings_token.h - words, strings and marks of the configuration file
 *
 * As libconfuse 3.3 has them, but nothing is passed over: what it would not
 * know, or take in a way that surprises, is a fault.
 *
 * Owner    the scanner and the token have pointers into the text, which is
 *          the caller's; comments in it become blanks.
 * Errors   name file and line, and what to write instead.
 * Threads  one user at a time.
 */
#ifndef NIXIE_SETTINGS_TOKEN_H
#define NIXIE_SETTINGS_TOKEN_H

#include "error.h"
#include "text.h"

#include <stdbool.h>

#define SETTINGS_TOKEN_SHOWN 81 /* of the file's own words in an error */

enum settings_token_kind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_STRING,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_SET,
    TOKEN_ADD,
    TOKEN_COMMA,
};

struct settings_token {
    enum settings_token_kind kind;
    struct text text; /* of a string what its quotes hold, as it stands */
    int line;         /* where it ends */
};

struct settings_scanner {
    char *at; /* NUL-terminated */
    int line; /* of at, from 1 */
    const char *path;
    struct error *error;
};

/* The next token. False with error. */
bool settings_token_scan(struct settings_scanner *scanner,
                         struct settings_token *token);

/* Sets error to "path:line: ..." and is false. */
bool settings_token_fail(const struct settings_scanner *scanner, int line,
                         const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
