/*
 * maillog_rotation.h - a log's files: the current one and its older selves
 *
 * What logrotate(8), newsyslog and savelog make of PATH: PATH.1, PATH.2.gz,
 * PATH-20261121, PATH-20261121.xz, PATH-1795212000, PATH.2026-11-21T22; with
 * `extension`, mail.log: mail.1.log, mail-20261121.log.gz. In the folder of
 * PATH and, when PATH is a symbolic link, also where that leads. In order of
 * number or date when all of them have the same, else of their times. Of
 * numbers .1 is the youngest, unless the stamps in the files show that they
 * count upwards, or are days of a month.
 * Other names that begin with PATH are no part of the row (/var/log/mail has
 * a neighbour /var/log/mail.err), but a file that is looked for is found
 * under such a name, too.
 *
 * Bounds   MAILLOG_ROTATION_FILES; more are not seen.
 * Owner    what is listed belongs to the list.
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_ROTATION_H
#define NIXIE_MAILLOG_ROTATION_H

#include "error.h"
#include "maillog_input.h"
#include "maillog_position.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAILLOG_ROTATION_FILES  1024
#define MAILLOG_ROTATION_NUMBER 1 /* order: .1, .2, .3 */

struct maillog_rotation_file {
    char *path;
    bool current;    /* PATH itself, the last one */
    bool odd;        /* none of the row: before all others */
    bool compressed; /* by its name */
    uint64_t device, inode;
    int64_t size;
    int64_t modified_us;
    int order; /* what number is; 0: nothing */
    int64_t number;
    int64_t begun_us; /* stamp of its first line; 0: unknown */
};

struct maillog_rotation {
    struct maillog_rotation_file *file; /* oldest first */
    size_t count;
};

/*
 * Looks until it sees the same twice, as files move meanwhile. False with
 * error: the folder cannot be read, out of memory.
 */
bool maillog_rotation_list(const char *path, struct maillog_rotation *rotation,
                           struct error *error);
void maillog_rotation_free(struct maillog_rotation *rotation);

/*
 * Opens the file that is the position's, and holds its offset, if it can be
 * seen (of a compressed one it cannot). NULL: none is; else *index is of it.
 */
struct maillog_input *
maillog_rotation_find(const struct maillog_rotation *rotation,
                      const struct maillog_position *position, size_t *index);

/* The file that follows the position's, by row, else by time; count: none. */
size_t maillog_rotation_after(const struct maillog_rotation *rotation,
                              const struct maillog_position *position);

/* Opens one of them; NULL with errno, ESTALE: it is another by now. */
struct maillog_input *
maillog_rotation_open(const struct maillog_rotation_file *file,
                      struct error *error);

/* --- maillog_rotation_order.c ------------------------------------------ */

/* Turns a row of numbers round, if the files tell so. */
void maillog_rotation_order(struct maillog_rotation *rotation);

/* Whether name is one of base's row: for tests. */
bool maillog_rotation_knows(const char *base, const char *name);

#endif
