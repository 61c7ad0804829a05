/*
 * report_stream.h - the messages of a file or pipe, one by one
 *
 * Read, not mapped: a file may be cut while it is read, and a pipe may have no
 * end. Of a message the first REPORT_STREAM_HELD bytes are given, more than a
 * report reader looks at.
 *
 * Owner    the descriptor is borrowed; a message until the next call.
 * Errors   are the result.
 * Threads  one user at a time.
 */
#ifndef NIXIE_REPORT_STREAM_H
#define NIXIE_REPORT_STREAM_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define REPORT_STREAM_HELD ((size_t)1024 * 1024)

struct report_stream;

struct report_stream *report_stream_new(void);         /* NULL: no memory */
void report_stream_free(struct report_stream *stream); /* or NULL */

/* Forgets what was read, to read from another. */
void report_stream_begin(struct report_stream *stream, int descriptor);

enum report_stream_result {
    REPORT_STREAM_MESSAGE,
    REPORT_STREAM_END,   /* also behind the first message of what is no mbox */
    REPORT_STREAM_ERROR, /* errno says why */
};
enum report_stream_result report_stream_next(struct report_stream *stream,
                                             struct text *message);

#endif
