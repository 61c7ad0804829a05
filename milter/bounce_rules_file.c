#include "bounce_rules_file.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 100 /* bytes of the file in an error */

/* Where the reader is. */
struct reader {
    FILE *file;
    const char *path;
    unsigned line;
    struct error *error;
    char bytes[BOUNCE_RULES_LINE_MAX + 1];
};

__attribute__((format(printf, 2, 3))) static bool
refuse(struct reader *reader, const char *format, ...)
{
    char text[ERROR_SIZE];
    va_list arguments;

    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    error_set(reader->error, "%.200s:%u: %s", reader->path, reader->line, text);
    return false;
}

/* --- lines ------------------------------------------------------------- */

enum line { LINE_READ, LINE_END, LINE_REFUSED };

static enum line read_line(struct reader *reader, struct text *line)
{
    size_t used = 0;
    int byte;

    reader->line++;
    while ((byte = getc_unlocked(reader->file)) != EOF && byte != '\n') {
        if (used == BOUNCE_RULES_LINE_MAX) {
            (void)refuse(reader, "longer than %d bytes: write two rules",
                         BOUNCE_RULES_LINE_MAX);
            return LINE_REFUSED;
        }
        reader->bytes[used++] = (char)byte;
    }
    if (ferror(reader->file)) {
        error_set_errno(reader->error, "%.200s: not readable", reader->path);
        return LINE_REFUSED;
    }
    if (byte == EOF && used == 0) {
        return LINE_END;
    }
    if (used > 0 && reader->bytes[used - 1] == '\r') {
        used--;
    }
    *line = (struct text){reader->bytes, used};
    if (!g_utf8_validate(line->bytes, (gssize)used, NULL)) {
        (void)refuse(reader, "not UTF-8: save the file as UTF-8");
        return LINE_REFUSED;
    }
    return LINE_READ;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct text trim(struct text text)
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

/* Up to a blank; the rest begins with no blank. */
static struct text take_word(struct text *rest)
{
    struct text word = {rest->bytes, 0};

    while (word.length < rest->length && !is_blank(rest->bytes[word.length])) {
        word.length++;
    }
    rest->bytes += word.length;
    rest->length -= word.length;
    *rest = trim(*rest);
    return word;
}

/* --- the parts of a rule ----------------------------------------------- */

static bool take_id(struct reader *reader, struct text word,
                    struct bounce_entry *entry)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    char shown[SHOWN_MAX];
    size_t length = 0;

    while (length < word.length && word.bytes[length] != '\0' &&
           strchr(allowed, word.bytes[length]) != NULL) {
        length++;
    }
    if (word.length > BOUNCE_RULES_ID_MAX || length < word.length) {
        return refuse(reader,
                      "\"%s\" is no id: write at most %d of a-z, 0-9, dot, "
                      "underscore and hyphen",
                      text_escape(word, shown, sizeof shown),
                      BOUNCE_RULES_ID_MAX);
    }
    entry->id = strndup(word.bytes, word.length);
    entry->rule.id = entry->id;
    return entry->id != NULL || refuse(reader, "out of memory");
}

/* REASON, REASON:TYPE, or "ignore". */
static bool take_meaning(struct reader *reader, struct text word,
                         struct bounce_entry *entry)
{
    const char *colon =
        word.length == 0 ? NULL : memchr(word.bytes, ':', word.length);
    struct text name = word;
    struct text type = {NULL, 0};
    const struct reason_facts *facts;
    char shown[SHOWN_MAX];

    if (text_is(word, "ignore")) {
        entry->rule.reason = REASON_ERROR_IGNORED;
        entry->rule.failure_type = FAILURE_TYPE_IGNORED;
        return true;
    }
    if (colon != NULL) {
        name.length = (size_t)(colon - word.bytes);
        type = (struct text){colon + 1, word.length - name.length - 1};
    }
    if (text_is(name, "ignore")) {
        return refuse(reader, "ignore has no type: write it alone");
    }
    if (!reason_parse(name, &entry->rule.reason)) {
        return refuse(reader,
                      "\"%s\" is no reason: write one such as user_unknown, "
                      "or ignore; bounce-rules(5) lists them",
                      text_escape(name, shown, sizeof shown));
    }
    facts = reason_facts(entry->rule.reason);
    entry->rule.failure_type = facts->failure_type;
    if (type.bytes != NULL &&
        !failure_type_parse(type, &entry->rule.failure_type)) {
        return refuse(reader,
                      "\"%s\" is no type: write %s:soft, :hard or "
                      ":ignored",
                      text_escape(type, shown, sizeof shown), facts->name);
    }
    if (entry->rule.failure_type == FAILURE_TYPE_HARD &&
        facts->failure_type != FAILURE_TYPE_HARD &&
        facts->action == REASON_ACTION_NEVER) {
        return refuse(reader,
                      "%s says nothing about the recipient, so it is never "
                      "hard: write %s",
                      facts->name, facts->name);
    }
    return true;
}

/* Text is lower case, so a capital letter in a pattern finds nothing. */
static bool has_capital(struct text pattern)
{
    bool in_name = false; /* \p{Greek}, \x{E9} */

    for (size_t i = 0; i < pattern.length; i++) {
        char byte = pattern.bytes[i];

        if (byte == '\\') {
            i++; /* \S */
            in_name = i + 1 < pattern.length && pattern.bytes[i + 1] == '{';
        } else if (byte == '}') {
            in_name = false;
        } else if (byte >= 'A' && byte <= 'Z' && !in_name) {
            return true;
        }
    }
    return false;
}

/* From the first slash, where rest begins, to the last. */
static bool take_pattern(struct reader *reader, struct text rest,
                         struct bounce_entry *entry)
{
    const char *last = memrchr(rest.bytes, '/', rest.length);
    struct text pattern = {rest.bytes + 1, 0};

    if (last == rest.bytes) {
        return refuse(reader, "a slash is missing behind the pattern: write "
                              "/pattern/");
    }
    if (last + 1 != rest.bytes + rest.length) {
        return refuse(reader, "write nothing behind the last slash: "
                              "conditions stand before the pattern");
    }
    pattern.length = (size_t)(last - pattern.bytes);
    if (pattern.length == 0) {
        return refuse(reader, "the pattern is empty: write what the text has, "
                              "or leave out the slashes");
    }
    if (has_capital(pattern)) {
        return refuse(reader, "the pattern has a capital letter, and the text "
                              "never has: write lower case");
    }
    entry->pattern = strndup(pattern.bytes, pattern.length);
    entry->rule.pattern = entry->pattern;
    return entry->pattern != NULL || refuse(reader, "out of memory");
}

static bool take_conditions(struct reader *reader, struct text rest,
                            struct bounce_entry *entry)
{
    char shown[SHOWN_MAX];

    while (rest.length > 0) {
        const char *advice;
        struct text word;

        if (rest.bytes[0] == '/') {
            return take_pattern(reader, rest, entry);
        }
        word = take_word(&rest);
        if (!bounce_condition_parse(word, &entry->conditions, &advice)) {
            return refuse(reader, "\"%s\": %s",
                          text_escape(word, shown, sizeof shown), advice);
        }
    }
    return !bounce_conditions_empty(&entry->conditions) ||
           refuse(reader, "neither pattern nor condition: write /pattern/ or "
                          "a condition such as code=550");
}

static bool take_rule(struct reader *reader, struct text line,
                      struct bounce_entry *entry)
{
    entry->rule.path = reader->path;
    entry->rule.line = reader->line;
    if (!take_id(reader, take_word(&line), entry)) {
        return false;
    }
    if (line.length == 0) {
        return refuse(reader, "a meaning is missing: write ID REASON "
                              "[CONDITION...] [/PATTERN/]");
    }
    return take_meaning(reader, take_word(&line), entry) &&
           take_conditions(reader, line, entry);
}

/* --- the list ---------------------------------------------------------- */

static void entry_free(struct bounce_entry *entry)
{
    if (entry == NULL) {
        return;
    }
    bounce_conditions_clear(&entry->conditions);
    free(entry->id);
    free(entry->pattern);
    free(entry);
}

void bounce_list_clear(struct bounce_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        entry_free(list->entries[i]);
    }
    free(list->entries);
    *list = (struct bounce_list){0};
}

/* New, the last of the list; NULL when out of memory. */
static struct bounce_entry *list_add(struct bounce_list *list)
{
    struct bounce_entry *entry;

    if (list->count == list->size) {
        size_t size = list->size == 0 ? 256 : 2 * list->size;
        struct bounce_entry **entries =
            reallocarray(list->entries, size, sizeof *entries);

        if (entries == NULL) {
            return NULL;
        }
        list->entries = entries;
        list->size = size;
    }
    entry = calloc(1, sizeof *entry);
    if (entry != NULL) {
        list->entries[list->count++] = entry;
    }
    return entry;
}

static int compare_ids(const void *one, const void *other)
{
    const struct bounce_entry *const *a = one;
    const struct bounce_entry *const *b = other;
    int order = strcmp((*a)->rule.id, (*b)->rule.id);

    return order != 0 ? order
                      : ((*a)->rule.line > (*b)->rule.line) -
                            ((*a)->rule.line < (*b)->rule.line);
}

/* Of the rules of one file: those behind the first `before`. */
static bool check_ids(struct reader *reader, const struct bounce_list *list,
                      size_t before)
{
    size_t count = list->count - before;
    struct bounce_entry **sorted = calloc(count + 1, sizeof *sorted);
    bool unique = true;

    if (sorted == NULL) {
        return refuse(reader, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = list->entries[before + i];
    }
    qsort(sorted, count, sizeof *sorted, compare_ids);
    for (size_t i = 1; i < count && unique; i++) {
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0) {
            reader->line = sorted[i]->rule.line;
            unique = refuse(reader,
                            "the id %s stands in line %u already: write "
                            "another",
                            sorted[i]->id, sorted[i - 1]->rule.line);
        }
    }
    free(sorted);
    return unique;
}

static bool read_rule(struct reader *reader, struct text line,
                      struct bounce_list *list, size_t before)
{
    struct bounce_entry *entry;

    if (list->count - before == BOUNCE_RULES_MAX) {
        return refuse(reader,
                      "more than %d rules: write fewer, with "
                      "alternatives such as /full|over quota/",
                      BOUNCE_RULES_MAX);
    }
    entry = list_add(list);
    if (entry == NULL) {
        return refuse(reader, "out of memory");
    }
    if (take_rule(reader, line, entry)) {
        return true;
    }
    list->count--;
    entry_free(entry);
    return false;
}

bool bounce_rules_read(FILE *file, const char *path, struct bounce_list *list,
                       struct error *error)
{
    struct reader reader = {.file = file, .path = path, .error = error};
    size_t before = list->count;
    struct text line;
    enum line result;

    while ((result = read_line(&reader, &line)) == LINE_READ) {
        line = trim(line);
        if (line.length > 0 && line.bytes[0] != '#' &&
            !read_rule(&reader, line, list, before)) {
            return false;
        }
    }
    return result == LINE_END && check_ids(&reader, list, before);
}
