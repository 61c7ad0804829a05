/*
 * report_mime.h - the parts of a message, as far as a report has them
 *
 * A scanner of our own for the structure: GMime's parser calls itself for
 * each level down to 1024, builds an object for each part and reads returned
 * messages too; of a report of 4 KB it takes 84 us, this one 3 us (an EPYC).
 * What is GMime's: transfer encodings, names of charsets, words of RFC 2047.
 *
 * Lenient: a boundary that the header lacks is guessed, a part that is not
 * ended ends with the message, a header without a blank line behind it ends
 * where no field stands. Returned messages are one part, never looked into.
 *
 * Bounds   REPORT_PARTS_MAX parts, REPORT_DEPTH_MAX levels, boundaries of
 *          REPORT_BOUNDARY_MAX bytes; what is deeper is one part, what comes
 *          later is left out. No recursion.
 * Owner    texts are borrowed from the body, decoded ones from memory.
 * Threads  any, after report_mime_init().
 */
#ifndef NIXIE_REPORT_MIME_H
#define NIXIE_REPORT_MIME_H

#include "report_memory.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

#define REPORT_PARTS_MAX    64
#define REPORT_DEPTH_MAX    8
#define REPORT_BOUNDARY_MAX 256 /* RFC 2046 allows 70 */
#define REPORT_CHARSET_SIZE 32

enum report_part_kind {
    REPORT_PART_TEXT,
    REPORT_PART_HTML,
    REPORT_PART_STATUS,      /* message/delivery-status, global too */
    REPORT_PART_FEEDBACK,    /* message/feedback-report */
    REPORT_PART_DISPOSITION, /* message/disposition-notification */
    REPORT_PART_RETURNED,    /* message/rfc822, its headers, global too */
    REPORT_PART_MULTIPART,
    REPORT_PART_OTHER,
};

enum report_encoding {
    REPORT_ENCODING_NONE,
    REPORT_ENCODING_BASE64,
    REPORT_ENCODING_QUOTED,
    REPORT_ENCODING_UUENCODE,
};

/* What the headers say of a part. */
struct report_entity {
    enum report_part_kind kind;
    enum report_encoding encoding;
    char charset[REPORT_CHARSET_SIZE]; /* lower case; "": not told */
    char boundary[REPORT_BOUNDARY_MAX + 1];
    char report_type[REPORT_CHARSET_SIZE]; /* lower case */
};

struct report_part {
    enum report_part_kind kind;
    enum report_encoding encoding;
    char charset[REPORT_CHARSET_SIZE];
    struct text head, content;
};

struct report_structure {
    struct report_part parts[REPORT_PARTS_MAX]; /* leaves, in order */
    size_t count;
    bool multipart; /* false: one part, the body */
    bool guessed;   /* a boundary that no header names */
};

/* Once for the process; any number of times. */
void report_mime_init(void);

/* Type and encoding; either text may be unknown. */
void report_mime_entity(struct text content_type, struct text encoding,
                        struct report_entity *entity);

void report_mime_scan(const struct report_entity *top, struct text body,
                      struct report_structure *structure);

/*
 * The content without its transfer encoding, in UTF-8 as far as its charset
 * or a look at the bytes tells; of HTML the text. At most `most` bytes of the
 * content are read. Borrowed from the part where nothing had to be done.
 */
struct text report_mime_text(struct report_memory *memory,
                             const struct report_part *part, size_t most);

/* A header's value, its encoded words in UTF-8. */
struct text report_mime_words(struct report_memory *memory, struct text value);

#endif
