/*
 * maillog_file.h - one path of a delivery log, followed through rotation
 *
 * A file that was renamed is read until PATH is there again with something in
 * it and nothing was added for MAILLOG_FILE_QUIET_MS: the writer holds it a
 * while longer. One that is further down the row is not written any more.
 *
 * Units    now_ms is a clock that never steps.
 * Errors   are logged here, once when they begin and once when they end.
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_FILE_H
#define NIXIE_MAILLOG_FILE_H

#include "error.h"
#include "maillog_follow.h"
#include "maillog_position.h"

#include <stdbool.h>
#include <stdint.h>

#define MAILLOG_FILE_QUIET_MS 2000
#define MAILLOG_FILE_CHECK_MS 250 /* between looks through the folder */

/* What each kind of source answers. */
enum maillog_source_result {
    MAILLOG_SOURCE_LINE,
    MAILLOG_SOURCE_NOTHING, /* now */
    MAILLOG_SOURCE_AGAIN,   /* busy with what gives no line: ask again */
    MAILLOG_SOURCE_END,
};

struct maillog_file_options {
    const char *path; /* copied */
    bool follow, from_start;
    int64_t look_back; /* maillog_follow.h */
};

struct maillog_file;

/* New, or NULL with error; without follow the file is opened here. */
struct maillog_file *
maillog_file_new(const struct maillog_file_options *options,
                 struct error *error);
void maillog_file_free(struct maillog_file *file); /* or NULL */

/* Before the first _next(). */
void maillog_file_resume(struct maillog_file *file,
                         const struct maillog_position *position);

/* Fills text, cut, position and before, and says that nothing else is known. */
enum maillog_source_result maillog_file_next(struct maillog_file *file,
                                             int64_t now_ms,
                                             struct maillog_line *line);

/* False: nowhere yet. */
bool maillog_file_position(const struct maillog_file *file,
                           char text[MAILLOG_POSITION_SIZE]);

/* When to ask again though nothing was heard; INT64_MAX: never. */
int64_t maillog_file_wake_ms(const struct maillog_file *file);

/* The file that is read now, for inotify(7); -1: none. *generation counts. */
int maillog_file_descriptor(const struct maillog_file *file,
                            unsigned *generation);

/* Adds what this file has to tell. */
void maillog_file_state(const struct maillog_file *file,
                        struct maillog_follow_state *state);

#endif
