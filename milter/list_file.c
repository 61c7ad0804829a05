#include "list_file_part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)4 * LIST_ROW_MAX)

static const char too_long[] = "the row is longer than 65536 bytes";

struct list_file {
    int fd;
    enum list_form form;
    bool begun, is_end;
    bool is_document;
    bool skipping; /* the rest of a line that is too long */
    char separator;
    enum list_json_place place;
    json_t *root;    /* of the row in hand */
    uint64_t offset; /* of begin */
    uint64_t line;   /* of begin, from 1 */
    size_t begin, end;
    char bytes[BUFFER_SIZE];
};

struct list_file *list_file_new(int fd, enum list_form form)
{
    struct list_file *file = calloc(1, sizeof *file);

    if (file != NULL) {
        file->fd = fd;
        file->form = form;
        file->line = 1;
    }
    return file;
}

void list_file_free(struct list_file *file)
{
    if (file != NULL) {
        json_decref(file->root);
        free(file);
    }
}

enum list_form list_file_form(const struct list_file *file)
{
    return file->form;
}

uint64_t list_file_offset(const struct list_file *file)
{
    return file->offset;
}

/* Until a whole row must be there, or the file ends. */
static bool fill(struct list_file *file, struct error *error)
{
    if (file->end - file->begin > LIST_ROW_MAX || file->is_end) {
        return true;
    }
    memmove(file->bytes, file->bytes + file->begin, file->end - file->begin);
    file->end -= file->begin;
    file->begin = 0;
    while (file->end < BUFFER_SIZE && !file->is_end) {
        ssize_t count =
            read(file->fd, file->bytes + file->end, BUFFER_SIZE - file->end);

        if (count < 0 && errno != EINTR) {
            error_set_errno(error, "read");
            return false;
        }
        file->end += count > 0 ? (size_t)count : 0;
        file->is_end = count == 0;
    }
    return true;
}

static struct list_window window_of(struct list_file *file)
{
    struct list_window window = {file->bytes + file->begin,
                                 file->end - file->begin, file->is_end};

    return window;
}

/* Goes on behind so many bytes; lines: the line ends in them. */
static void pass(struct list_file *file, size_t length, uint64_t lines)
{
    file->begin += length;
    file->offset += length;
    file->line += lines;
}

static uint64_t count_lines(const char *bytes, size_t length)
{
    const char *end = bytes + length;
    uint64_t lines = 0;

    while (bytes < end &&
           (bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
        lines++;
        bytes++;
    }
    return lines;
}

static struct text first_line(struct list_window window)
{
    const char *newline = memchr(window.bytes, '\n', window.length);
    struct text line = {window.bytes, newline == NULL
                                          ? window.length
                                          : (size_t)(newline - window.bytes)};

    return line;
}

/* What the file is, from its first bytes. */
static void begin(struct list_file *file)
{
    struct list_window window = window_of(file);
    size_t blanks = 0;

    file->begun = true;
    if (window.length >= 3 && memcmp(window.bytes, "\xef\xbb\xbf", 3) == 0) {
        pass(file, 3, 0);
        window = window_of(file);
    }
    while (blanks < window.length &&
           memchr(" \t\r\n", window.bytes[blanks], 4) != NULL) {
        blanks++;
    }
    pass(file, blanks, count_lines(window.bytes, blanks));
    window = window_of(file);
    if (file->form == LIST_FORM_ANY) {
        file->form = window.length > 0 &&
                             (window.bytes[0] == '{' || window.bytes[0] == '[')
                         ? LIST_FORM_JSON
                         : LIST_FORM_CSV;
    }
    if (file->form == LIST_FORM_JSON) {
        file->is_document = list_json_is_document(window);
    } else {
        file->separator = list_csv_separator(first_line(window));
    }
}

/* ---- a row ---- */

static bool next_record(struct list_file *file, struct list_row *row)
{
    struct list_window window = window_of(file);
    uint64_t lines = 0;
    size_t length;

    if (window.length > LIST_ROW_MAX) { /* all parts bound a row alike */
        window.length = LIST_ROW_MAX;
        window.is_end = false;
    }
    length = list_csv_take(window, file->separator, row, &lines);
    if (row->fault != NULL) {
        struct text line = first_line(window);

        file->skipping = line.length == window.length && !window.is_end;
        lines = line.length < window.length;
        length = line.length + (size_t)lines;
    }
    pass(file, length, lines);
    return row->count > 0 || row->fault != NULL;
}

static bool is_blank(struct text line)
{
    for (size_t i = 0; i < line.length; i++) {
        if (memchr(" \t\r", line.bytes[i], 3) == NULL) {
            return false;
        }
    }
    return true;
}

static bool next_line(struct list_file *file, struct list_row *row)
{
    struct list_window window = window_of(file);
    struct text line = first_line(window);
    bool whole = line.length < window.length;

    if (line.length > LIST_ROW_MAX) {
        row->fault = too_long;
        file->skipping = !whole;
    } else if (!is_blank(line)) {
        list_json_take(line, row, &file->root);
    }
    pass(file, line.length + whole, whole);
    return row->count > 0 || row->fault != NULL;
}

static bool next_object(struct list_file *file, struct list_row *row)
{
    struct list_window window = window_of(file);
    size_t at = 0;
    size_t length = list_json_find(window, &file->place, &at);

    pass(file, at, count_lines(window.bytes, at));
    row->line = file->line;
    if (length > 0) {
        struct text object = {window.bytes + at, length};

        list_json_take(object, row, &file->root);
    } else if (at < window.length && !window.is_end &&
               window.length - at <= LIST_ROW_MAX) {
        return false;                /* the rest of it is still to be read */
    } else if (at < window.length) { /* one begins that does not end */
        row->fault = window.length - at > LIST_ROW_MAX
                         ? "the object is longer than 65536 bytes, and what "
                           "follows cannot be told from it"
                         : "the file ends within this object";
        file->place = LIST_JSON_BEHIND;
        length = window.length - at;
    }
    pass(file, length, count_lines(window.bytes + at, length));
    return row->count > 0 || row->fault != NULL;
}

/* True when the end of that line is met. */
static bool skip_line(struct list_file *file)
{
    struct list_window window = window_of(file);
    struct text line = first_line(window);
    bool whole = line.length < window.length;

    pass(file, line.length + whole, whole);
    file->skipping = !whole;
    return whole;
}

enum list_file_result list_file_next(struct list_file *file,
                                     struct list_row *row, struct error *error)
{
    json_decref(file->root);
    file->root = NULL;
    for (;;) {
        if (!fill(file, error)) {
            return LIST_FILE_FAILED;
        }
        if (!file->begun) {
            begin(file);
        }
        if (file->begin == file->end) {
            if (file->is_end) {
                return LIST_FILE_END;
            }
            continue;
        }
        if (file->skipping) {
            (void)skip_line(file);
            continue;
        }
        row->line = file->line;
        row->fault = NULL;
        row->count = 0;
        if (file->form == LIST_FORM_CSV ? next_record(file, row)
            : file->is_document         ? next_object(file, row)
                                        : next_line(file, row)) {
            return LIST_FILE_ROW;
        }
    }
}
