#include "list_file_part.h"

#include <string.h>

char list_csv_separator(struct text line)
{
    static const char separators[] = ",;\t";
    char best = ',';
    size_t most = 0;

    for (const char *one = separators; *one != '\0'; one++) {
        bool quoted = false;
        size_t count = 0;

        for (size_t i = 0; i < line.length; i++) {
            quoted ^= line.bytes[i] == '"';
            count += !quoted && line.bytes[i] == *one;
        }
        if (count > most) {
            most = count;
            best = *one;
        }
    }
    return best;
}

/* A record, and how far it has been read. */
struct record {
    char *bytes;
    size_t length, at;
    char separator;
    size_t fields;
    uint64_t lines; /* line ends within quotes */
};

static bool at_line_end(const struct record *record)
{
    const char *next = record->bytes + record->at;
    size_t left = record->length - record->at;

    return left == 0 || next[0] == '\n' ||
           (next[0] == '\r' && (left == 1 || next[1] == '\n'));
}

static bool at_field_end(const struct record *record)
{
    return at_line_end(record) ||
           record->bytes[record->at] == record->separator;
}

static bool at_quote(const struct record *record)
{
    return record->at < record->length && record->bytes[record->at] == '"';
}

/* From the opening quote to behind the closing one; two stand for one. */
static bool pass_quoted(struct record *record)
{
    for (record->at++; record->at < record->length; record->at++) {
        char byte = record->bytes[record->at];

        if (byte == '\n' && ++record->lines >= LIST_ROW_LINES) {
            return false;
        }
        if (byte == '"') {
            record->at++;
            if (!at_quote(record)) {
                return true;
            }
        }
    }
    return false;
}

/* Up to the line end of the record; the fault, or NULL. */
static const char *measure(struct record *record)
{
    for (;;) {
        if (at_quote(record)) {
            if (!pass_quoted(record)) {
                return "a quote is opened and not closed within 65536 bytes "
                       "and 1000 lines";
            }
            if (!at_field_end(record)) {
                return "text stands behind a closing quote";
            }
        }
        while (!at_field_end(record)) {
            record->at++;
        }
        record->fields++;
        if (at_line_end(record)) {
            return record->fields > LIST_FIELDS_MAX
                       ? "the row has more than 64 fields"
                       : NULL;
        }
        record->at++; /* the separator */
    }
}

/* Of a field between its quotes, in place. */
static struct text unquoted(char *bytes, size_t length)
{
    struct text text = {bytes, 0};
    size_t to = 0;

    for (size_t from = 0; from < length; from++) {
        bytes[to++] = bytes[from];
        from += bytes[from] == '"'; /* the second of two */
    }
    text.length = to;
    return text;
}

static struct text take_field(struct record *record)
{
    char *begin = record->bytes + record->at;
    struct text field = {begin, 0};

    if (at_quote(record)) {
        (void)pass_quoted(record);
        return unquoted(begin + 1,
                        (size_t)(record->bytes + record->at - begin) - 2);
    }
    while (!at_field_end(record)) {
        record->at++;
    }
    field.length = (size_t)(record->bytes + record->at - begin);
    return field;
}

static size_t take_line_end(struct record *record, uint64_t *lines)
{
    *lines += record->lines;
    if (record->at < record->length && record->bytes[record->at] == '\r') {
        record->at++;
    }
    if (record->at < record->length && record->bytes[record->at] == '\n') {
        record->at++;
        (*lines)++;
    }
    return record->at;
}

size_t list_csv_take(struct list_window window, char separator,
                     struct list_row *row, uint64_t *lines)
{
    struct record record = {
        .bytes = window.bytes, .length = window.length, .separator = separator};
    struct record measured = record;

    if (at_line_end(&record)) {
        return take_line_end(&record, lines); /* blank */
    }
    row->fault = measure(&measured);
    if (row->fault == NULL && measured.at == window.length && !window.is_end) {
        row->fault = "the row is longer than 65536 bytes";
    }
    if (row->fault != NULL) {
        return 0;
    }
    for (;;) {
        row->names[row->count] = text_of(NULL);
        row->values[row->count++] = take_field(&record);
        if (at_line_end(&record)) {
            return take_line_end(&record, lines);
        }
        record.at++; /* the separator */
    }
}
