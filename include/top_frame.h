/*
 * top_frame.h - one picture of nixie top: lines that fit a screen
 *
 * Knows the size it has, but no terminal. All of it is printable ASCII.
 *
 * Threads  one.
 */
#ifndef NIXIE_TOP_FRAME_H
#define NIXIE_TOP_FRAME_H

#include "top.h"

#include <jansson.h>

#define TOP_FRAME_ROWS    200
#define TOP_FRAME_COLUMNS 300

enum top_look {
    TOP_PLAIN,
    TOP_TITLE,  /* of the whole */
    TOP_HEADER, /* of a table */
    TOP_GOOD,
    TOP_WARNING,
    TOP_BAD,
};

struct top_frame {
    int columns, rows; /* what there is room for; cut to the limits above */
    int count;         /* lines that are used */
    struct {
        enum top_look look;
        char text[TOP_FRAME_COLUMNS + 1];
    } lines[TOP_FRAME_ROWS];
};

/* With columns and rows set. */
void top_frame_draw(const struct top *top, int64_t now_us,
                    struct top_frame *frame);

/* The same as an object; new, or NULL when out of memory. */
json_t *top_frame_json(const struct top *top, int64_t now_us);

#endif
