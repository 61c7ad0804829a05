/*
 * delay_notice_template.h - the text of a delay notice, with places to fill
 *
 * First line "Subject: ...", then an empty line, then the text, in UTF-8; a
 * place is %{name}. All is checked when it is read, so that filling cannot
 * fail.
 *
 * Errors   name file and line, and what to write instead.
 * Threads  any: a template is read-only.
 */
#ifndef NIXIE_DELAY_NOTICE_TEMPLATE_H
#define NIXIE_DELAY_NOTICE_TEMPLATE_H

#include "error.h"
#include "settings.h"
#include "text.h"

#include <stdbool.h>

#define DELAY_NOTICE_TEMPLATE_MAX 16384 /* bytes of the file */
#define DELAY_NOTICE_SUBJECT_MAX  500   /* bytes in the file, unfilled */
#define DELAY_NOTICE_PLACES_MAX   64    /* in one template */

enum delay_notice_place {
    DELAY_NOTICE_RECIPIENT,
    DELAY_NOTICE_REPLY,
    DELAY_NOTICE_ATTEMPTS_LEFT,
    DELAY_NOTICE_NEXT_ATTEMPT_AT,
    DELAY_NOTICE_EXPIRES_AT,
    DELAY_NOTICE_FIRST_ATTEMPT_AT,
    DELAY_NOTICE_ATTEMPT,
    DELAY_NOTICE_SENDER,
    DELAY_NOTICE_NODE,
    DELAY_NOTICE_MESSAGE_ID,
};
#define DELAY_NOTICE_PLACES 10

/* UTF-8 of one line each; a NULL is filled as "-". */
struct delay_notice_values {
    const char *of[DELAY_NOTICE_PLACES];
};

struct delay_notice_template;

/* New, or NULL with error; path is for the error alone. */
struct delay_notice_template *delay_notice_template_parse(const char *path,
                                                          struct text text,
                                                          struct error *error);

/* The file that the settings name; the same. */
struct delay_notice_template *
delay_notice_template_load(const struct settings *settings,
                           struct error *error);

void delay_notice_template_free(struct delay_notice_template *template);

/* Both new, of g_malloc(): the caller gives them to g_free(). */
struct delay_notice_prose {
    char *subject; /* one line */
    char *text;    /* lines that end in LF */
};
void delay_notice_template_fill(const struct delay_notice_template *template,
                                const struct delay_notice_values *values,
                                struct delay_notice_prose *prose);

#endif
