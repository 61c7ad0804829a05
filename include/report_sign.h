/*
 * report_sign.h - what the headers of a message say before its body is read
 *
 * Source   RFC 3834 5 (Auto-Submitted), RFC 3462, RFC 3464 2; what MTAs and
 *          autoresponders write besides.
 * Owner    texts are borrowed from the reader's memory.
 * Threads  any.
 */
#ifndef NIXIE_REPORT_SIGN_H
#define NIXIE_REPORT_SIGN_H

#include "report_mime.h"
#include "text.h"

#include <stdbool.h>

enum report_header {
    REPORT_HEADER_FROM,
    REPORT_HEADER_TO,
    REPORT_HEADER_SUBJECT,
    REPORT_HEADER_TYPE,
    REPORT_HEADER_ENCODING,
    REPORT_HEADER_RETURN_PATH,
    REPORT_HEADER_FAILED, /* X-Failed-Recipients and its like */
    REPORT_HEADER_AUTO,
    REPORT_HEADER_PRECEDENCE,
    REPORT_HEADER_LIST,
    REPORT_HEADER_ANSWER,    /* In-Reply-To */
    REPORT_HEADER_RESPONDER, /* X-Autoreply and its like */
    REPORT_HEADER_DATE,
    REPORT_HEADER_OTHER, /* not kept */
};
#define REPORT_HEADER_KINDS 13

enum report_header report_sign_header(struct text name);

enum report_strength {
    REPORT_STRENGTH_NONE,
    REPORT_STRENGTH_WEAK,   /* one sign that other mail has too */
    REPORT_STRENGTH_FAIR,   /* only bounces have it, mostly */
    REPORT_STRENGTH_STRONG, /* nothing else has it */
};

struct report_signs {
    struct text values[REPORT_HEADER_KINDS]; /* the first of each kind */
    struct text subject; /* its words decoded, in lower case */
    struct report_entity entity;
    enum report_strength strength;
    bool null_sender, daemon, subject_bounces, subject_delays;
    bool automatic;    /* a reply of a person's program */
    bool bulk;         /* a list's mail */
    bool answers;      /* an answer to mail, a mail that is passed on */
    bool other_notice; /* its subject tells of success, or of a request */
};

/* Whether From is that of an MTA, not of a person. */
bool report_sign_is_daemon(struct report_memory *memory, struct text from);

/* memory is for the subject. */
void report_sign_judge(struct report_signs *signs, struct report_memory *memory,
                       bool null_sender);

#endif
