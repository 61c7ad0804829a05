/*
 * maillog_stream.h - the lines of a pipe, or of standard input
 *
 * A stream cannot be gone back in: its position only counts. What is
 * compressed is decompressed, as in files.
 *
 * Errors   are logged here.
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_STREAM_H
#define NIXIE_MAILLOG_STREAM_H

#include "maillog_file.h"

struct maillog_stream;

/* New, or NULL when out of memory; takes fd, but for standard input. */
struct maillog_stream *maillog_stream_new(const char *source, int fd);
void maillog_stream_free(struct maillog_stream *stream); /* or NULL */

/* Waits only for what is compressed. */
enum maillog_source_result maillog_stream_next(struct maillog_stream *stream,
                                               struct maillog_line *line);
void maillog_stream_position(const struct maillog_stream *stream,
                             char text[MAILLOG_POSITION_SIZE]);
int maillog_stream_descriptor(const struct maillog_stream *stream);

/* Adds what this stream has to tell. */
void maillog_stream_state(const struct maillog_stream *stream,
                          struct maillog_follow_state *state);

#endif
