/*
 * maillog_input.h - one opened file of a delivery log, compressed or not
 *
 * Knows the file by what it begins with, and notices when that changes under
 * it: such a file was truncated and written anew (copytruncate), however long
 * it is by now.
 *
 * Errors   are the result; nothing is logged here.
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_INPUT_H
#define NIXIE_MAILLOG_INPUT_H

#include "error.h"
#include "maillog_position.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maillog_input;

/* New, or NULL with errno and error. Only regular files. follow_link: path
 * itself may be a symbolic link. */
struct maillog_input *maillog_input_open(const char *path, bool follow_link,
                                         struct error *error);
void maillog_input_free(struct maillog_input *input); /* or NULL */

/* Whether the file begins as that of position does. */
bool maillog_input_begins(const struct maillog_input *input,
                          const struct maillog_position *position);
bool maillog_input_is(const struct maillog_input *input, uint64_t device,
                      uint64_t inode);
bool maillog_input_compressed(const struct maillog_input *input);
int maillog_input_descriptor(const struct maillog_input *input);

/* Of a compressed file: what is before offset is to be passed over. */
void maillog_input_skip(struct maillog_input *input, int64_t offset);

/* The line at offset begins there, or is the first one after it. */
int64_t maillog_input_line_begin(const struct maillog_input *input,
                                 int64_t offset);

enum maillog_input_result {
    MAILLOG_INPUT_GOT,
    MAILLOG_INPUT_SKIPPED, /* passed over a part: call again */
    MAILLOG_INPUT_END,     /* for now */
    MAILLOG_INPUT_SHORT,   /* compressed: ends before what is to be skipped */
    MAILLOG_INPUT_TRUNCATED,
    MAILLOG_INPUT_ERROR, /* error tells */
};
enum maillog_input_result maillog_input_read(struct maillog_input *input,
                                             int64_t at, char *buffer,
                                             size_t size, size_t *got,
                                             struct error *error);

/* More has been written since: -1 is an error. at: up to where it was read. */
int64_t maillog_input_behind(const struct maillog_input *input, int64_t at);

/* FILE position of offset; but not its source. */
void maillog_input_position(const struct maillog_input *input, int64_t offset,
                            struct maillog_position *position);

#endif
