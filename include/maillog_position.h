/*
 * maillog_position.h - a place in a delivery log, as a text
 *
 *   file:SOURCE:DEVICE:INODE:CRC:LENGTH:MODIFIED:OFFSET
 *   journal:SOURCE:CURSOR
 *   stream:SOURCE:OFFSET
 *
 * SOURCE is a hash of what the settings call it. CRC is of the file's first
 * LENGTH bytes, which are those before OFFSET, or of the line at OFFSET 0, but
 * never more than MAILLOG_HEAD: so they are the same whenever the place is
 * told. MODIFIED, the file's time at the telling, is not: texts of one place
 * may differ, maillog_position_same() compares.
 *
 * Units    modified_us is the file's st_mtime; OFFSET counts bytes of what
 *          was written, before it was compressed.
 * Errors   are the result; nothing is logged here.
 * Threads  any.
 */
#ifndef NIXIE_MAILLOG_POSITION_H
#define NIXIE_MAILLOG_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAILLOG_POSITION_SIZE 256 /* with NUL; printable ASCII, no blanks */
#define MAILLOG_CURSOR_SIZE   224 /* with NUL; journald's have up to 180 */
#define MAILLOG_HEAD          256

enum maillog_position_kind {
    MAILLOG_POSITION_FILE,
    MAILLOG_POSITION_JOURNAL,
    MAILLOG_POSITION_STREAM,
};

struct maillog_position {
    enum maillog_position_kind kind;
    uint64_t source; /* maillog_position_source() */
    /* FILE */
    uint64_t device, inode;
    uint32_t crc;
    uint32_t crc_length;
    int64_t modified_us;
    /* FILE, STREAM */
    int64_t offset;
    /* JOURNAL: behind this entry; "" is the beginning */
    char cursor[MAILLOG_CURSOR_SIZE];
};

uint64_t maillog_position_source(const char *source);

/* CRC-32 (IEEE 802.3), as gzip has it. */
uint32_t maillog_position_crc(const char *bytes, size_t length);

/* Returns the length. A text begins with the same bytes as long as only the
 * offset moves: they need not be made again for each line. */
size_t maillog_position_format(const struct maillog_position *position,
                               char text[MAILLOG_POSITION_SIZE]);
size_t maillog_position_format_prefix(const struct maillog_position *position,
                                      char text[MAILLOG_POSITION_SIZE]);
size_t maillog_position_put_offset(char text[MAILLOG_POSITION_SIZE],
                                   size_t prefix_length, int64_t offset);

/* False: it is none, or not one that _format() would write. */
bool maillog_position_parse(const char *text,
                            struct maillog_position *position);

/* The same place in the same content, wherever the file is by now. */
bool maillog_position_same(const struct maillog_position *a,
                           const struct maillog_position *b);

#endif
