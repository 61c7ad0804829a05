/*
 * recorder_reader.h - the lines of one instance's files, in order
 *
 * Files follow each other by the number of their first record, which rises
 * for ever, wherever they were renamed to. The file that our own event log
 * writes now is read through the log, so that it is found under no path too;
 * it is left only when the log has left it and it was read to its end again.
 *
 * Errors   of the disk are logged here, once a file, and tried again.
 * Threads  one.
 */
#ifndef NIXIE_RECORDER_READER_H
#define NIXIE_RECORDER_READER_H

#include "error.h"
#include "event_files.h"
#include "event_log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recorder_reader;

struct recorder_reader_options {
    const char *event_log_path; /* texts are borrowed */
    const char *instance;
    struct event_log *log; /* of our own instance; else NULL */
};

/* New, at the beginning of the first file; NULL: no memory. */
struct recorder_reader *
recorder_reader_new(const struct recorder_reader_options *options);
void recorder_reader_free(struct recorder_reader *reader); /* or NULL */

enum recorder_reader_result {
    READER_LINE,
    READER_FILE_END, /* the next line is of the next file */
    READER_MISSING,  /* files are missing before the next line */
    READER_END,      /* nothing more now */
    READER_LATER,    /* ask again soon: a rename may be under way, or it
                        could not be read */
};

/* *line is borrowed until the next call and has no newline. */
enum recorder_reader_result recorder_reader_next(struct recorder_reader *reader,
                                                 const char **line,
                                                 size_t *length);

/* What READER_MISSING speaks of; before the first file if from_start. */
struct recorder_missing {
    bool from_start;
    int64_t first_number, last_number;
    int64_t first_seq, last_seq;
    char compressed[256]; /* a file, escaped, that may hold it; or "" */
};
const struct recorder_missing *
recorder_reader_missing(const struct recorder_reader *reader);

/* Where the next line begins; file_number 0: nowhere yet. */
struct recorder_place {
    int64_t file_number;
    int64_t first_seq; /* of the file */
    char file_nonce[EVENT_FILE_NONCE_SIZE];
    int64_t offset;
};
void recorder_reader_place(const struct recorder_reader *reader,
                           struct recorder_place *place);

/* Goes on at an offset of the file with this nonce; false: not possible. */
bool recorder_reader_resume(struct recorder_reader *reader, const char *nonce,
                            int64_t offset);

/* The next line will be seq's, or one before it in the same file. */
void recorder_reader_rewind(struct recorder_reader *reader, int64_t seq);

/* The line given last does not decode: counted, told once a file. */
void recorder_reader_refuse(struct recorder_reader *reader,
                            const struct error *why);

/* Lines passed over, since the beginning. */
uint64_t recorder_reader_torn(const struct recorder_reader *reader);

/*
 * Deletes files whose numbers are all below first_seq and that have not been
 * written to since before_us; never the path of the current file.
 */
void recorder_reader_delete(struct recorder_reader *reader, int64_t first_seq,
                            int64_t before_us);

#endif
