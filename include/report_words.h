/*
 * report_words.h - the text of a report: lines, and where it stops being one
 *
 * What it returns is cut off: from a line that announces it, or from the first
 * header that only a returned message has. A summary of a few headers within
 * the text stays, but is marked.
 *
 * Bounds   REPORT_WORDS_MAX bytes, REPORT_LINES_MAX lines; the rest is not
 *          looked at.
 * Owner    texts are borrowed.
 * Threads  any.
 */
#ifndef NIXIE_REPORT_WORDS_H
#define NIXIE_REPORT_WORDS_H

#include "report_memory.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define REPORT_WORDS_MAX 32768
#define REPORT_LINES_MAX 500

/* Where hundreds of recipients are looked for, time is bounded by this. */
#define REPORT_WORDS_BUDGET (1024 * 1024)

enum report_known { REPORT_UNKNOWN, REPORT_NO, REPORT_YES };

struct report_line {
    struct text text; /* trimmed */
    size_t start;     /* of the whole line, in the words */
    size_t end;       /* without its LF */
    bool summary;     /* a header of the returned message, no sentence */
    enum report_known fails, replies; /* whoever asks first finds out */
    bool rule; /* "----- Transcript of session follows -----" */
};

struct report_words {
    struct text text;     /* up to the cut */
    struct text lower;    /* the same, in lower case (ASCII) */
    struct text returned; /* behind it; may be empty */
    struct report_line *lines;
    size_t line_count;
    size_t hint;   /* the line where an address was found last */
    size_t budget; /* bytes that may still be searched for addresses */
};

/* False when out of memory. */
bool report_words_read(struct report_words *words, struct report_memory *memory,
                       struct text text);

/* What begins at `at` is no text. */
void report_words_cut(struct report_words *words, size_t at);

/* The line that the byte at `at` of the text is in. */
size_t report_words_line(const struct report_words *words, size_t at);

/* The lines from `first` up to `behind`, as one text. */
struct text report_words_lines(const struct report_words *words, size_t first,
                               size_t behind);

#endif
