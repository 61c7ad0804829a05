/*
 * maillog_stamp.h - when a line of a log was written
 *
 * Source   RFC 3164 4.1.2 (no year, no zone), RFC 3339, and what journalctl
 *          writes: short, short-precise, short-iso, short-iso-precise,
 *          short-full, short-unix.
 * Units    microseconds since 1970, UTC.
 * Threads  a struct maillog_stamp belongs to one. The zone is that of the
 *          process (TZ).
 */
#ifndef NIXIE_MAILLOG_STAMP_H
#define NIXIE_MAILLOG_STAMP_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

struct maillog_stamp {
    int64_t before_us; /* the stamp before, or near_us */
    bool first;        /* there was none before */
    /* the day of the stamp before, as most lines share it */
    char day_text[6]; /* "Jan  2" */
    int64_t day_s;    /* its midnight as if it were UTC */
    int64_t day_offset_s;
    bool day_fixed;     /* its offset is the same all day */
    char date_text[10]; /* "2026-01-02" */
    int64_t date_s;
    bool has_day, has_date;
    /* the whole stamp before, with its blank: what many lines begin with */
    char text[40];
    size_t text_length; /* 0: it was longer */
};

void maillog_stamp_init(struct maillog_stamp *stamp, int64_t near_us);

/*
 * Takes the stamp off the front of *rest, and the blank behind it. False:
 * there is none, and *rest is as it was.
 */
bool maillog_stamp_take(struct maillog_stamp *stamp, struct text *rest,
                        int64_t *us);

#endif
