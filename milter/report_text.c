#include "report_text.h"

#include <string.h>

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + 32) : byte;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* --- lines and words --------------------------------------------------- */

bool report_text_line(struct text *rest, struct text *line)
{
    const char *end;

    if (rest->length == 0) {
        return false;
    }
    end = memchr(rest->bytes, '\n', rest->length);
    line->bytes = rest->bytes;
    line->length = end == NULL ? rest->length : (size_t)(end - rest->bytes);
    rest->bytes += line->length + (end != NULL);
    rest->length -= line->length + (end != NULL);
    return true;
}

struct text report_text_part(struct text text, size_t from, size_t length)
{
    if (from > text.length) {
        from = text.length;
    }
    if (from > 0) {
        text.bytes += from;
    }
    text.length -= from;
    if (length < text.length) {
        text.length = length;
    }
    return text;
}

struct text report_text_trim(struct text text)
{
    while (text.length > 0 && is_blank(text.bytes[0])) {
        text.bytes++;
        text.length--;
    }
    while (text.length > 0 && is_blank(text.bytes[text.length - 1])) {
        text.length--;
    }
    return text;
}

bool report_text_begins(struct text text, const char *words)
{
    size_t i = 0;

    for (; words[i] != '\0'; i++) {
        if (i >= text.length || lower(text.bytes[i]) != words[i]) {
            return false;
        }
    }
    return true;
}

bool report_text_equals(struct text text, const char *words)
{
    return text.length == strlen(words) && report_text_begins(text, words);
}

size_t report_text_find(struct text text, const char *words)
{
    size_t length = strlen(words);

    for (size_t i = 0; i + length <= text.length; i++) {
        if (lower(text.bytes[i]) == words[0] &&
            report_text_begins(report_text_part(text, i, length), words)) {
            return i;
        }
    }
    return REPORT_TEXT_NOWHERE;
}

/* memmem() prepares a table first, which a short text is not worth. */
#define SHORT_TEXT 256

static size_t find_in_short(struct text text, const char *words, size_t length)
{
    size_t from = 0;

    while (from + length <= text.length) {
        const char *found = memchr(text.bytes + from, words[0],
                                   text.length - length + 1 - from);

        if (found == NULL) {
            break;
        }
        if (memcmp(found, words, length) == 0) {
            return (size_t)(found - text.bytes);
        }
        from = (size_t)(found - text.bytes) + 1;
    }
    return REPORT_TEXT_NOWHERE;
}

size_t report_text_find_exact(struct text text, const char *words)
{
    size_t length = strlen(words);
    const char *found;

    if (text.length < length || length == 0) {
        return REPORT_TEXT_NOWHERE;
    }
    if (text.length < SHORT_TEXT) {
        return find_in_short(text, words, length);
    }
    found = memmem(text.bytes, text.length, words, length);
    return found == NULL ? REPORT_TEXT_NOWHERE : (size_t)(found - text.bytes);
}

struct text report_text_lower(struct report_memory *memory, struct text text)
{
    char *copy = report_memory_take(memory, text.length + 1);

    if (copy == NULL) {
        return (struct text){NULL, 0};
    }
    for (size_t i = 0; i < text.length; i++) {
        copy[i] = lower(text.bytes[i]);
    }
    return (struct text){copy, text.length};
}

/* The length of a field's name at the start of line; 0: it is no field. */
static size_t name_length(struct text line)
{
    size_t length = 0;

    while (length < line.length && line.bytes[length] > ' ' &&
           line.bytes[length] < 0x7f && line.bytes[length] != ':') {
        length++;
    }
    if (length == 0 || length > 80) {
        return 0;
    }
    for (size_t i = length; i < line.length; i++) {
        if (line.bytes[i] == ':') {
            return length;
        }
        if (line.bytes[i] != ' ' && line.bytes[i] != '\t') {
            break;
        }
    }
    return 0;
}

bool report_text_field(struct text *rest, struct report_field *field)
{
    struct text line, next, more = *rest;
    size_t length, colon;

    if (!report_text_line(&more, &line)) {
        return false;
    }
    length = name_length(line);
    field->name = report_text_part(line, 0, length);
    if (length == 0) {
        field->value = line;
        *rest = more;
        return true;
    }
    colon = (size_t)((const char *)memchr(line.bytes, ':', line.length) -
                     line.bytes);
    *rest = more;
    while (report_text_line(&more, &next) && next.length > 0 &&
           (next.bytes[0] == ' ' || next.bytes[0] == '\t') &&
           report_text_trim(next).length > 0) {
        line.length = (size_t)(next.bytes - line.bytes) + next.length;
        *rest = more;
    }
    field->value =
        report_text_trim(report_text_part(line, colon + 1, line.length));
    return true;
}

/* --- codes ------------------------------------------------------------- */

/* "550", with no letter, digit or dot around it. */
static bool is_reply_at(struct text text, size_t i)
{
    const char *at = text.bytes + i;

    if (i + 3 > text.length || (at[0] != '4' && at[0] != '5') || at[1] < '0' ||
        at[1] > '7' || !is_digit(at[2])) {
        return false;
    }
    if (i > 0 && strchr(" \t\n:;<>('\"#[=,", at[-1]) == NULL) {
        return false;
    }
    return i + 3 == text.length ||
           (strchr(" -\n\t:;,)", at[3]) != NULL && at[3] != '\0');
}

/* Words that a number stands behind which is no reply. */
static bool counts_something(struct text text, size_t i)
{
    static const char *const units[] = {
        "bytes", "kb",       "mb",   "seconds",  "hours",  "days",
        "times", "messages", "mail", "e-mail",   "emails", "minutes",
        "items", "words",    "of ",  "kilobyte", "people", "recipients"};
    struct text behind = report_text_part(text, i + 4, 8);

    for (size_t unit = 0; unit < sizeof units / sizeof units[0]; unit++) {
        if (report_text_begins(behind, units[unit])) {
            return true;
        }
    }
    return false;
}

size_t report_text_reply(struct text text)
{
    for (size_t i = 0; i + 3 <= text.length; i++) {
        if ((text.bytes[i] == '4' || text.bytes[i] == '5') &&
            is_reply_at(text, i) && !counts_something(text, i)) {
            return i;
        }
    }
    return REPORT_TEXT_NOWHERE;
}

/* How long a status is at i; 0: there is none. */
static size_t status_at(struct text text, size_t i)
{
    size_t position = i + 1;

    for (int part = 0; part < 2; part++) {
        size_t digits = 0;

        if (position >= text.length || text.bytes[position] != '.') {
            return 0;
        }
        position++;
        while (position < text.length && is_digit(text.bytes[position])) {
            position++;
            digits++;
        }
        if (digits < 1 || digits > 3) {
            return 0;
        }
    }
    if (position + 1 < text.length && text.bytes[position] == '.' &&
        is_digit(text.bytes[position + 1])) {
        return 0; /* an address or a version */
    }
    if (position < text.length &&
        (lower(text.bytes[position]) != text.bytes[position] ||
         (text.bytes[position] >= 'a' && text.bytes[position] <= 'z'))) {
        return 0;
    }
    return position - i;
}

struct text report_text_status(struct text text)
{
    for (size_t i = 0; i + 5 <= text.length; i++) {
        char byte = text.bytes[i];
        size_t length;

        if ((byte != '2' && byte != '4' && byte != '5') ||
            text.bytes[i + 1] != '.' ||
            (i > 0 &&
             strchr(" \t\n:;<>('\"#-[=,", text.bytes[i - 1]) == NULL)) {
            continue;
        }
        length = status_at(text, i);
        if (length > 0) {
            return report_text_part(text, i, length);
        }
    }
    return (struct text){NULL, 0};
}

bool report_text_status_is_vague(struct text status)
{
    return status.length < 5 ||
           memcmp(status.bytes + status.length - 2, ".0", 2) == 0;
}
