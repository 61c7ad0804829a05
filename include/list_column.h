/*
 * list_column.h - what the columns of a list file say of an entry
 *
 * Source   our own export, and those of SparkPost, Amazon SES, SendGrid,
 *          Mailgun and Postmark as the services write them. Names are compared
 *          without regard to case, blanks, hyphens and underscores.
 * Threads  any; a struct list_columns belongs to one.
 */
#ifndef NIXIE_LIST_COLUMN_H
#define NIXIE_LIST_COLUMN_H

#include "list_file.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

enum list_preset {
    LIST_PRESET_NONE, /* our own names */
    LIST_PRESET_SPARKPOST,
    LIST_PRESET_SES,
    LIST_PRESET_SENDGRID,
    LIST_PRESET_MAILGUN,
    LIST_PRESET_POSTMARK,
};
#define LIST_PRESETS 6

/* "sparkpost"; and back: false when there is none of that name. */
const char *list_preset_name(enum list_preset preset);
bool list_preset_parse(struct text name, enum list_preset *preset);

enum list_member {
    /* fields of the hash in Redis: LIST_FIELDS of them */
    LIST_REASON,
    LIST_TYPE,
    LIST_NOTE,
    LIST_BY,
    LIST_ORIGIN,
    LIST_ADDED_AT,
    LIST_MODE,
    LIST_EVIDENCE,
    /* and more of an entry */
    LIST_PATTERN,
    LIST_SCOPE,
    LIST_EXPIRES_AT,
    /* of services only: */
    LIST_CODE,              /* a reply code */
    LIST_CAUSE,             /* why, in the service's words */
    LIST_WHO,               /* who did it, likewise */
    LIST_STREAM,            /* transactional or non_transactional mail */
    LIST_TRANSACTIONAL,     /* true: all mail, or all that is no bulk mail */
    LIST_NON_TRANSACTIONAL, /* true: bulk mail */
    LIST_PASSED_OVER,
};
#define LIST_FIELDS  8
#define LIST_MEMBERS 18

/* "reason": of a field, its name in Redis and in our own files. */
const char *list_member_name(enum list_member member);

struct list_columns {
    enum list_preset preset;
    size_t count; /* of a CSV file; what is beyond is a fault of the row */
    enum list_member members[LIST_FIELDS_MAX];
};

/* The service whose names these are, most telling first; or NONE. */
enum list_preset list_preset_told(const struct text *names, size_t count);

/* False: no column has the address. */
bool list_columns_bind(enum list_preset preset, const struct text *names,
                       size_t count, struct list_columns *columns);

/* What one name stands for. */
enum list_member list_column_member(enum list_preset preset, struct text name);

#endif
