#include "list_file_part.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- where the rows are ---- */

/* Walks over the marks of JSON that stand outside strings. */
struct walk {
    const char *bytes;
    size_t length, at;
    bool quoted;
};

/* The next of them, or '\0' at the end; at is behind it. */
static char next_mark(struct walk *walk)
{
    while (walk->at < walk->length) {
        char byte = walk->bytes[walk->at++];

        if (walk->quoted) {
            walk->at += byte == '\\';
            walk->quoted = byte != '"';
        } else if (byte == '"') {
            walk->quoted = true;
        } else if (memchr("{}[]", byte, 4) != NULL) {
            return byte;
        }
    }
    return '\0';
}

/* Behind a '{' or '[': up to behind the mark that closes it; false: none. */
static bool pass_nested(struct walk *walk)
{
    size_t depth = 1;

    while (depth > 0) {
        char mark = next_mark(walk);

        if (mark == '\0') {
            return false;
        }
        depth += mark == '{' || mark == '[';
        depth -= mark == '}' || mark == ']';
    }
    return true;
}

static bool is_object_next(const struct walk *walk)
{
    size_t at = walk->at;

    while (at < walk->length && memchr(" \t\r\n", walk->bytes[at], 4) != NULL) {
        at++;
    }
    return at < walk->length && walk->bytes[at] == '{';
}

/*
 * Behind the '{' of an object that is not within another: true at the array
 * of objects in it, at is then behind its '['.
 */
static bool find_array(struct walk *walk)
{
    char mark;

    while ((mark = next_mark(walk)) != '\0' && mark != '}') {
        if (mark == '[' && is_object_next(walk)) {
            return true;
        }
        if (mark == ']' || !pass_nested(walk)) {
            return false;
        }
    }
    return false;
}

bool list_json_is_document(struct list_window window)
{
    struct walk walk = {window.bytes, window.length, 0, false};
    const char *newline = memchr(window.bytes, '\n', window.length);
    char mark = next_mark(&walk);

    if (mark == '[') {
        return true;
    }
    if (mark != '{' || find_array(&walk)) {
        return mark == '{';
    }
    /* one object over several lines */
    return newline != NULL && walk.at > (size_t)(newline - window.bytes) &&
           walk.at < walk.length;
}

static size_t behind(struct list_window window, enum list_json_place *place,
                     size_t *begin)
{
    *place = LIST_JSON_BEHIND;
    *begin = window.length;
    return 0;
}

size_t list_json_find(struct list_window window, enum list_json_place *place,
                      size_t *begin)
{
    struct walk walk = {window.bytes, window.length, 0, false};
    char mark;

    if (*place == LIST_JSON_BEHIND) {
        return behind(window, place, begin);
    }
    if (*place == LIST_JSON_BEGIN) {
        bool found = next_mark(&walk) == '[' || find_array(&walk);

        if (!found) { /* objects that follow each other */
            walk = (struct walk){window.bytes, window.length, 0, false};
        }
        *place = LIST_JSON_ROWS;
    }
    mark = next_mark(&walk);
    if (mark == ']' || mark == '}') {
        return behind(window, place, begin);
    }
    *begin = mark == '\0' ? window.length : walk.at - 1;
    if (mark == '\0' || !pass_nested(&walk)) {
        return 0;
    }
    return walk.at - *begin;
}

/* ---- a row ---- */

#define NUMBER_SIZE 32

static struct text text_of_json(const json_t *value)
{
    struct text text = {json_string_value(value), json_string_length(value)};

    return text;
}

/* A number becomes a string in the same place of the object. */
static json_t *string_of(json_t *value)
{
    char digits[NUMBER_SIZE] = "";

    if (json_is_integer(value)) {
        (void)snprintf(digits, sizeof digits, "%lld",
                       (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        (void)snprintf(digits, sizeof digits, "%.6f", json_real_value(value));
    } else if (json_is_boolean(value)) {
        (void)snprintf(digits, sizeof digits, "%s",
                       json_is_true(value) ? "true" : "false");
    }
    return digits[0] == '\0' ? NULL : json_string(digits);
}

/* "note_base64" has the exact bytes of "note". */
static void take_exact(json_t *root, struct list_row *row, size_t index)
{
    static const char ending[] = "_base64";
    const size_t ending_length = sizeof ending - 1;
    struct text name = row->names[index];
    size_t length = name.length - ending_length;
    guchar *bytes;
    gsize count;

    if (name.length <= ending_length || row->values[index].bytes == NULL ||
        memcmp(name.bytes + length, ending, ending_length) != 0) {
        return;
    }
    for (size_t i = 0; i < row->count; i++) {
        if (row->names[i].length == length &&
            memcmp(row->names[i].bytes, name.bytes, length) == 0) {
            bytes = g_base64_decode(row->values[index].bytes, &count);
            (void)json_object_set_new_nocheck(
                root, row->names[i].bytes,
                json_stringn_nocheck((const char *)bytes, count));
            g_free(bytes);
            row->values[i] =
                text_of_json(json_object_get(root, row->names[i].bytes));
        }
    }
}

void list_json_take(struct text object, struct list_row *row, json_t **root)
{
    const char *name;
    json_t *value;
    void *next;

    *root = json_loadb(object.bytes, object.length,
                       JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (!json_is_object(*root)) {
        row->fault = "this is no JSON object";
        return;
    }
    if (json_object_size(*root) > LIST_FIELDS_MAX) {
        row->fault = "the object has more than 64 members";
        return;
    }
    json_object_foreach_safe(*root, next, name, value)
    {
        json_t *string = json_is_string(value) ? NULL : string_of(value);

        if (string != NULL) {
            (void)json_object_set_new_nocheck(*root, name, string);
            value = string;
        }
        row->names[row->count] = text_of(name);
        row->values[row->count++] =
            json_is_string(value) ? text_of_json(value) : text_of(NULL);
    }
    for (size_t i = 0; i < row->count; i++) {
        take_exact(*root, row, i);
    }
    if (row->count == 0) {
        row->fault = "the object is empty";
    }
}
