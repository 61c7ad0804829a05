/*
 * event_log_file.h - the file that the event log writes to
 *
 * Begins, continues and writes files; knows nothing of events but where a
 * line ends. A new file gets its first record under a name of its own
 * (".<name>.new") and its place only when that is written in full: what
 * fails before leaves the old file where it was.
 *
 * Errors   are the result; errno tells, where an error is filled too.
 * Threads  one at a time: event_log calls with its lock held.
 */
#ifndef NIXIE_EVENT_LOG_FILE_H
#define NIXIE_EVENT_LOG_FILE_H

#include "error.h"
#include "event_files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EVENT_LOG_LINES_UNKNOWN INT64_C(-1)

struct event_log_file {
    int fd; /* -1: none */
    dev_t device;
    ino_t inode;
    off_t size; /* as we know it */
    int64_t file_number;
    int64_t first_seq;
    int64_t last_seq; /* of its last whole line */
    int64_t lines;    /* or EVENT_LOG_LINES_UNKNOWN */
    bool has_event;
    bool torn; /* it ends within a line that nobody will finish */
};

struct event_log_header {
    const char *line;
    size_t length;
    int64_t file_number;
    int64_t seq;
};

/*
 * Begins a file at path. What is there gets another name, old (which may
 * have no descriptor any more) or not; a file that is empty and not old is
 * used, as somebody made it for us.
 */
bool event_log_file_begin(const char *path, const struct event_log_file *old,
                          const struct event_log_header *header,
                          struct event_log_file *begun, struct error *error);

/* Goes on with a file of ours that was found at start. */
bool event_log_file_continue(const struct event_file *found,
                             struct event_log_file *file, struct error *error);

/*
 * The highest number of a line of that instance near the end of a file; 0
 * when there is none. Looks as far back as it must.
 */
int64_t event_log_file_last_seq(int fd, const char *instance);

/* Adds what it wrote to *written; true when that is all. */
bool event_log_file_write(struct event_log_file *file, const char *bytes,
                          size_t length, size_t *written);

enum event_log_file_size {
    EVENT_LOG_FILE_AS_KNOWN,
    EVENT_LOG_FILE_GROWN, /* somebody else wrote: size and torn are set */
    EVENT_LOG_FILE_TRUNCATED,
};
enum event_log_file_size event_log_file_check(struct event_log_file *file);

/* False: the path leads nowhere, or to another file. */
bool event_log_file_is_at(const struct event_log_file *file, const char *path);

void event_log_file_close(struct event_log_file *file);

#endif
