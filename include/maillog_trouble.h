/*
 * maillog_trouble.h - a lasting fault of a log, told when it begins and ends
 *
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_TROUBLE_H
#define NIXIE_MAILLOG_TROUBLE_H

#include <stdint.h>

#define MAILLOG_PATH_SIZE 1024 /* of a path in a log line, escaped */

struct maillog_trouble {
    int cause; /* errno of what was told; 0: none */
};

/* text: what went wrong, printable. */
void maillog_trouble_begin(struct maillog_trouble *trouble, const char *path,
                           int cause, const char *text);
void maillog_trouble_end(struct maillog_trouble *trouble, const char *path);

/* A file that is not waited for. */
void maillog_trouble_passed(const char *path);

/* The file that was read last, up to offset, is not there any more. */
void maillog_trouble_lost(const char *path, uint64_t inode, int64_t offset);

/* The file is not written any more, and its last bytes are no line. */
void maillog_trouble_unfinished(const char *path, int64_t bytes);
void maillog_trouble_truncated(const char *path, int64_t offset);

/* For log lines; returns escaped. */
const char *maillog_trouble_path(const char *path,
                                 char escaped[MAILLOG_PATH_SIZE]);

#endif
