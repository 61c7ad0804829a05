/*
 * list_file.h - a file of list entries, row by row
 *
 * Source   CSV as in RFC 4180, its separator told by the first line (comma,
 *          semicolon, tab), with CRLF or LF, a byte order mark, and line ends
 *          in quoted fields; JSON Lines; or one JSON document that holds the
 *          rows in an array, as services export it.
 * Bounds   a row has at most LIST_ROW_MAX bytes, LIST_FIELDS_MAX fields and, in
 *          CSV, LIST_ROW_LINES lines. Of a row that is longer, or whose quote
 *          is never closed, only its first line is lost.
 * Owner    texts of a row are the file's, until the next row is asked for.
 * Threads  one.
 */
#ifndef NIXIE_LIST_FILE_H
#define NIXIE_LIST_FILE_H

#include "error.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIST_ROW_MAX    65536
#define LIST_ROW_LINES  1000
#define LIST_FIELDS_MAX 64

enum list_form {
    LIST_FORM_ANY, /* as its first bytes tell */
    LIST_FORM_CSV,
    LIST_FORM_JSON,
};

struct list_row {
    uint64_t line;     /* where it begins, from 1 */
    const char *fault; /* static: why it is none; NULL: it is one */
    size_t count;
    struct text names[LIST_FIELDS_MAX];  /* of JSON; in CSV unknown */
    struct text values[LIST_FIELDS_MAX]; /* unknown: null, a list, an object */
};

struct list_file;

/* New, or NULL when out of memory. fd stays the caller's. */
struct list_file *list_file_new(int fd, enum list_form form);
void list_file_free(struct list_file *file); /* takes it, or NULL */

enum list_file_result {
    LIST_FILE_ROW,
    LIST_FILE_END,
    LIST_FILE_FAILED, /* it cannot be read: error tells */
};

/* Blank lines are passed over. */
enum list_file_result list_file_next(struct list_file *file,
                                     struct list_row *row, struct error *error);

/* Known once a row was asked for. */
enum list_form list_file_form(const struct list_file *file);

/* Bytes up to the end of the last row. */
uint64_t list_file_offset(const struct list_file *file);

#endif
