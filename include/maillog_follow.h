/*
 * maillog_follow.h - the lines of delivery logs, each of them once
 *
 * Files, followed through rotation by rename (also compressed: gz, xz, zst,
 * bz2), truncation, inodes that are used again and files that are not there
 * yet; the systemd journal; a stream. What it has given is told by a position,
 * which the caller keeps with what it made of the line.
 *
 * A file is known by device, inode and the CRC-32 of its first 256 bytes. A
 * follower that was away looks for that file among its rotated names
 * (maillog_rotation.h) and goes on from there through the younger ones to
 * PATH; by the CRC alone it finds it compressed, or as the copy that was made
 * before a truncation.
 *
 * Bounds   a line of more than MAILLOG_LINE_MAX bytes is given cut, its rest
 *          is passed over; memory does not grow with what lies behind.
 * Errors   are logged here, once when they begin and once when they end.
 * Threads  one; _stop() from any.
 */
#ifndef NIXIE_MAILLOG_FOLLOW_H
#define NIXIE_MAILLOG_FOLLOW_H

#include "error.h"
#include "maillog_position.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maillog_follow_options {
    /* paths; "journal" for the system's, "journal:PATH" for a journal file or
     * a folder of them; "-"; NULL-terminated. A file that is given by two
     * names is read once, under the first. */
    const char *const *sources;
    bool follow;       /* false: give what is there, one source after the other,
                          then end (the tool); rotated files of a path are not
                          looked for then, and pipes may be read */
    bool from_start;   /* sources without a position: from their beginning; else
                          from their end at the time of the first look */
    int64_t look_back; /* bytes before a position that are given again, as what
                          is told: a line may go on with one of them */
};

struct maillog_line {
    struct text text;     /* until the next call */
    bool cut;             /* it was longer than MAILLOG_LINE_MAX */
    bool told;            /* it lies before the position gone on from */
    size_t source;        /* index in those that are read */
    const char *position; /* behind this line; like text until the next call */
    const char *before;   /* of this line */
    /* of the journal: prefix is known; else timestamp_us is 0 */
    int64_t timestamp_us;
    struct text program;
    int64_t pid;
};

struct maillog_follow;

/* New, or NULL with error: out of memory, no journal in this build, a source
 * given twice; without follow also a file that cannot be opened. */
struct maillog_follow *
maillog_follow_new(const struct maillog_follow_options *options,
                   struct error *error);
void maillog_follow_free(struct maillog_follow *follow); /* or NULL */

/*
 * Where to go on, for each source that has a position; before the first
 * _next(). A position tells its source itself: false, it is of none of ours.
 */
bool maillog_follow_resume(struct maillog_follow *follow, const char *position);

enum maillog_follow_result {
    MAILLOG_FOLLOW_LINE,
    MAILLOG_FOLLOW_IDLE, /* timeout_ms have passed */
    MAILLOG_FOLLOW_END,  /* no more will come: without follow, or stopped */
};
/* timeout_ms < 0: for ever. */
enum maillog_follow_result maillog_follow_next(struct maillog_follow *follow,
                                               int timeout_ms,
                                               struct maillog_line *line);

/*
 * Where a source stands, also before its first line: to be kept at a start
 * from the end, lest lines that come while nobody reads are passed over.
 * False: nowhere yet.
 */
bool maillog_follow_position(const struct maillog_follow *follow, size_t source,
                             char position[MAILLOG_POSITION_SIZE]);

struct maillog_follow_state {
    uint64_t lines;       /* given */
    int64_t behind_bytes; /* of files: not read yet; compressed as they are */
    uint64_t truncations; /* a file was shorter than what was read of it, or
                             began otherwise */
    uint64_t lost_files;  /* a position's file was not found any more, or a
                             file could not be read to its end */
};
void maillog_follow_state(const struct maillog_follow *follow,
                          struct maillog_follow_state *state);

/* The behind_bytes of one source; 0 where it is not known. */
int64_t maillog_follow_behind(const struct maillog_follow *follow,
                              size_t source);

/* Makes a waiting _next() return, now and later. Safe in signal handlers. */
void maillog_follow_stop(struct maillog_follow *follow);

#endif
