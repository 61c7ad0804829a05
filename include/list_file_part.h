/*
 * list_file_part.h - the next row in bytes that are in memory
 *
 * Within the family of list_file only: the window is LIST_ROW_MAX bytes or
 * more, or all that is left of the file.
 */
#ifndef NIXIE_LIST_FILE_PART_H
#define NIXIE_LIST_FILE_PART_H

#include "list_file.h"

#include <jansson.h>

struct list_window {
    char *bytes;
    size_t length;
    bool is_end; /* nothing follows */
};

/* ---- CSV ---- */

/* The separator that a first line uses; a comma when it has none. */
char list_csv_separator(struct text line);

/*
 * Takes the first record of a window that is not empty apart, in place.
 * Returns how many bytes it had, its line end among them, and adds its line
 * ends to *lines. count 0 and no fault: a blank line. With a fault nothing is
 * changed.
 */
size_t list_csv_take(struct list_window window, char separator,
                     struct list_row *row, uint64_t *lines);

/* ---- JSON ---- */

/* Whether the rows stand in an array, not a row a line. */
bool list_json_is_document(struct list_window window);

/* Where a document is read. */
enum list_json_place {
    LIST_JSON_BEGIN,
    LIST_JSON_ROWS,
    LIST_JSON_BEHIND, /* no row follows */
};

/*
 * The first object of the window that is a row: where it begins, and its
 * length; 0: there is none, *begin bytes are done with. *place moves on.
 */
size_t list_json_find(struct list_window window, enum list_json_place *place,
                      size_t *begin);

/* Fills row from an object; *root is new, the texts' owner. */
void list_json_take(struct text object, struct list_row *row, json_t **root);

#endif
