/*
 * maillog_inflate.h - what is in a compressed file: gzip, xz, Zstandard, bzip2
 *
 * What lies before damage is given before the damage is told.
 *
 * Bounds   memory is the format's window, at most 256 MiB, whatever the file's
 *          size.
 * Errors   are the result; nothing is logged here.
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_INFLATE_H
#define NIXIE_MAILLOG_INFLATE_H

#include "error.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct maillog_inflate;

#define MAILLOG_MAGIC 10 /* bytes that tell */

/* Whether a file that begins so is compressed. */
bool maillog_inflate_knows(const char *head, size_t length);

/* The same while less than MAILLOG_MAGIC bytes are known. */
bool maillog_inflate_may_know(const char *head, size_t length);

/* New, from the file's beginning; fd is borrowed for its life, and its file
 * offset is moved. NULL with error. */
struct maillog_inflate *maillog_inflate_new(int fd, struct error *error);

/*
 * The same of what cannot be gone back in: head, at most MAILLOG_MAGIC bytes,
 * was read before. Reading waits for the stream.
 */
struct maillog_inflate *maillog_inflate_new_stream(int fd, struct text head,
                                                   struct error *error);
void maillog_inflate_free(struct maillog_inflate *inflate); /* or NULL */

/* 0: the end; -1 with error: damaged, or not all there yet, and where. */
ssize_t maillog_inflate_read(struct maillog_inflate *inflate, char *buffer,
                             size_t size, struct error *error);

/* Compressed bytes taken from the file. */
int64_t maillog_inflate_taken(const struct maillog_inflate *inflate);

#endif
