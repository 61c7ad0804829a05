#include "settings_file.h"

#include "mailbox.h"
#include "policy.h"
#include "reason.h"
#include "settings_token.h"
#include "store_key.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS_MAX  64 /* more than there are */
#define DEPTH_MAX 2  /* a policy in a scope */

/* --- the bytes ---------------------------------------------------------- */

static bool is_configuration(int fd, const char *path, struct error *error)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        error_set_errno(error, "%s", path);
        return false;
    }
    if (!S_ISREG(status.st_mode)) {
        error_set(error, "%s: %s: name a regular file", path,
                  S_ISDIR(status.st_mode) ? "is a folder" : "is no file");
        return false;
    }
    return true;
}

/* The length, at most SETTINGS_FILE_MAX + 1; or -1. */
static ssize_t read_whole(int fd, char *text)
{
    size_t used = 0;

    while (used <= SETTINGS_FILE_MAX) {
        ssize_t got = read(fd, text + used, SETTINGS_FILE_MAX + 1 - used);

        if (got == 0) {
            break;
        }
        if (got > 0) {
            used += (size_t)got;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)used;
}

static int line_of(const char *text, const char *place)
{
    int line = 1;

    for (const char *byte = text; byte < place; byte++) {
        line += *byte == '\n';
    }
    return line;
}

static bool is_text(const char *text, size_t length, const char *path,
                    struct error *error)
{
    const char *nul;

    if (length > SETTINGS_FILE_MAX) {
        error_set(error, "%s: larger than %d bytes", path, SETTINGS_FILE_MAX);
        return false;
    }
    nul = memchr(text, '\0', length);
    if (nul != NULL) {
        error_set(error, "%s:%d: a NUL byte: this is no text", path,
                  line_of(text, nul));
        return false;
    }
    return true;
}

char *settings_file_read(const char *path, struct error *error)
{
    /* without O_NONBLOCK a FIFO would be waited for */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    char *text = NULL;
    ssize_t length;

    if (fd < 0 && errno == ENOENT) {
        error_set(error,
                  "%s: %s; write it (an empty one takes all defaults), or name "
                  "another with -c",
                  path, strerror(ENOENT));
        return NULL;
    }
    if (fd < 0) {
        error_set_errno(error, "%s", path);
        return NULL;
    }
    if (!is_configuration(fd, path, error)) {
        goto out;
    }
    text = malloc(SETTINGS_FILE_MAX + 2);
    if (text == NULL) {
        error_set(error, "%s: out of memory", path);
        goto out;
    }
    length = read_whole(fd, text);
    if (length < 0) {
        error_set_errno(error, "%s", path);
        goto refused;
    }
    if (!is_text(text, (size_t)length, path, error)) {
        goto refused;
    }
    text[length] = '\0';
    goto out;
refused:
    free(text);
    text = NULL;
out:
    (void)close(fd);
    return text;
}

/* --- entries ------------------------------------------------------------ */

enum state {
    AT_KEY,
    AT_EQUALS,
    AT_VALUE,
    AT_ELEMENT,
    AT_COMMA,
    AT_TITLE,
    AT_SECTION,
};

/* In its normal form, so that two spellings are one. */
#define TITLE_SIZE (MAILBOX_DOMAIN_MAX + 1)

struct title {
    const cfg_opt_t *section;
    size_t within; /* the number of the section around it; 0: none */
    char name[TITLE_SIZE];
    int line;
};

/* Keys between braces, or in none. */
struct level {
    const cfg_opt_t *section; /* NULL: at top level */
    int section_line;
    size_t number;
    int lines[KEYS_MAX]; /* where each key was set; 0: nowhere */
};

struct reader {
    struct settings_scanner scanner;
    enum state state;
    const cfg_t *cfg;
    struct level levels[DEPTH_MAX + 1];
    size_t depth;
    size_t sections; /* so far */
    const cfg_opt_t *key;
    int key_line;
    int list_line;
    bool list_is_empty; /* so far */
    struct title *titles;
    size_t count;
    size_t room;
};

/* What stands in the file in place of what would be right. */
static bool unexpected(const struct reader *reader,
                       const struct settings_token *token, const char *right)
{
    char shown[SETTINGS_TOKEN_SHOWN];

    if (token->kind == TOKEN_END) {
        return settings_token_fail(&reader->scanner, token->line,
                                   "the file ends, where %s is due", right);
    }
    return settings_token_fail(
        &reader->scanner, token->line, "'%s' where %s is due",
        text_escape(token->text, shown, sizeof shown), right);
}

static const cfg_opt_t *find(const cfg_opt_t *options, struct text name)
{
    for (; options->name != NULL; options++) {
        if (text_is(name, options->name)) {
            return options;
        }
    }
    return NULL;
}

static const cfg_opt_t *options_of(const struct reader *reader, size_t depth)
{
    const struct level *level = &reader->levels[depth];

    return level->section != NULL ? level->section->subopts : reader->cfg->opts;
}

static bool refuse_key(const struct reader *reader,
                       const struct settings_token *token)
{
    const struct level *level = &reader->levels[reader->depth];
    char shown[SETTINGS_TOKEN_SHOWN];

    (void)text_escape(token->text, shown, sizeof shown);
    if (level->section == NULL) {
        return settings_token_fail(&reader->scanner, token->line,
                                   "no such key '%s'; nixie.conf(5) lists them",
                                   shown);
    }
    for (size_t i = 0; i < reader->depth; i++) {
        if (find(options_of(reader, i), token->text) != NULL) {
            return settings_token_fail(
                &reader->scanner, level->section_line,
                "the { of '%s' is not closed: '%s' in line %d does not "
                "belong to it",
                level->section->name, shown, token->line);
        }
    }
    return settings_token_fail(
        &reader->scanner, token->line,
        "no such key '%s' in a section '%s'; nixie.conf(5) lists them", shown,
        level->section->name);
}

static bool refuse_twice(const struct reader *reader, const char *what,
                         int first, int second)
{
    return first == second
               ? settings_token_fail(&reader->scanner, second,
                                     "%s is set twice in this line", what)
               : settings_token_fail(&reader->scanner, second,
                                     "%s is set twice: lines %d and %d", what,
                                     first, second);
}

static bool begin_entry(struct reader *reader,
                        const struct settings_token *token)
{
    const cfg_opt_t *options = options_of(reader, reader->depth);
    int *lines = reader->levels[reader->depth].lines;
    size_t index;

    reader->key = find(options, token->text);
    if (reader->key == NULL) {
        return refuse_key(reader, token);
    }
    reader->key_line = token->line;
    if ((reader->key->flags & CFGF_TITLE) != 0) {
        reader->state = AT_TITLE;
        return true;
    }
    index = (size_t)(reader->key - options);
    if (index < KEYS_MAX) {
        if (lines[index] != 0) {
            return refuse_twice(reader, reader->key->name, lines[index],
                                token->line);
        }
        lines[index] = token->line;
    }
    reader->state = reader->key->type == CFGT_SEC ? AT_SECTION : AT_EQUALS;
    return true;
}

static bool take_key(struct reader *reader, const struct settings_token *token)
{
    const struct level *level = &reader->levels[reader->depth];

    if (token->kind == TOKEN_WORD) {
        return begin_entry(reader, token);
    }
    if (token->kind == TOKEN_END) {
        return level->section == NULL ||
               settings_token_fail(&reader->scanner, level->section_line,
                                   "the { of '%s' is not closed",
                                   level->section->name);
    }
    if (token->kind == TOKEN_CLOSE && level->section != NULL) {
        reader->depth--;
        return true;
    }
    return unexpected(reader, token, "a key");
}

/* A list that the default is no part of, and that is of no use empty. */
static bool is_whole(const cfg_opt_t *key)
{
    return strcmp(key->name, "release") == 0 ||
           strcmp(key->name, "retry_schedule") == 0;
}

static bool take_equals(struct reader *reader,
                        const struct settings_token *token)
{
    if (token->kind == TOKEN_ADD && (reader->key->flags & CFGF_LIST) == 0) {
        return settings_token_fail(
            &reader->scanner, token->line,
            "%s is no list: write = in place of +=", reader->key->name);
    }
    if (token->kind != TOKEN_SET && token->kind != TOKEN_ADD) {
        return unexpected(reader, token, "the = of a key");
    }
    if (token->kind == TOKEN_ADD && is_whole(reader->key)) {
        return settings_token_fail(
            &reader->scanner, token->line,
            "%s stands alone: write the whole list, and = in place of +=",
            reader->key->name);
    }
    reader->state = AT_VALUE;
    return true;
}

/* libconfuse would take 0100 as octal. */
static bool is_odd_number(struct text text)
{
    if (text.length > 0 && (text.bytes[0] == '-' || text.bytes[0] == '+')) {
        text.bytes++;
        text.length--;
    }
    return text.length > 1 && text.bytes[0] == '0';
}

static bool starts_number(struct text text)
{
    return text.length > 0 && ((text.bytes[0] >= '0' && text.bytes[0] <= '9') ||
                               text.bytes[0] == '-');
}

/* Of a key that takes durations one such; NULL: it takes none. */
static const char *duration_of(const cfg_opt_t *key)
{
    static const char *const durations[][2] = {
        {"event_log_retention", "72h"},
        {"window", "30d"},
        {"release", "30d"},
        {"pause", "1h"},
    };

    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        if (strcmp(key->name, durations[i][0]) == 0) {
            return durations[i][1];
        }
    }
    return NULL;
}

static bool refuse_bare(const struct reader *reader,
                        const struct settings_token *token)
{
    const char *name = reader->key->name;
    const char *duration = duration_of(reader->key);
    char shown[SETTINGS_TOKEN_SHOWN];

    (void)text_escape(token->text, shown, sizeof shown);
    if (duration != NULL && strspn(shown, "0123456789") == strlen(shown)) {
        return settings_token_fail(&reader->scanner, token->line,
                                   "%s takes a duration, with its unit and in "
                                   "quotes: write one such as \"%s\"",
                                   name, duration);
    }
    return settings_token_fail(&reader->scanner, token->line,
                               "%s takes strings, in quotes: write \"%s\"",
                               name, shown);
}

static bool check_value(const struct reader *reader,
                        const struct settings_token *token)
{
    const char *name = reader->key->name;
    /* to libconfuse its elements are strings, as one of them may be a word */
    bool is_number = strcmp(name, "retry_schedule") == 0 &&
                     token->kind == TOKEN_WORD && starts_number(token->text);

    if ((reader->key->type == CFGT_INT || is_number) &&
        is_odd_number(token->text)) {
        return settings_token_fail(
            &reader->scanner, token->line,
            "%s takes a whole number, which does not begin with 0", name);
    }
    if (token->kind == TOKEN_STRING || reader->key->type != CFGT_STR ||
        is_number) {
        return true;
    }
    if (reader->state == AT_VALUE && token->line != reader->key_line) {
        return settings_token_fail(
            &reader->scanner, reader->key_line,
            "%s has no value: write one behind the =", name);
    }
    return refuse_bare(reader, token);
}

static bool take_value(struct reader *reader,
                       const struct settings_token *token)
{
    if (token->kind == TOKEN_WORD || token->kind == TOKEN_STRING) {
        reader->state = check_value(reader, token) ? AT_KEY : AT_VALUE;
        return reader->state == AT_KEY;
    }
    if (token->kind != TOKEN_OPEN) {
        return unexpected(reader, token, "a value");
    }
    if ((reader->key->flags & CFGF_LIST) == 0) {
        return settings_token_fail(&reader->scanner, token->line,
                                   "%s takes one value: write it without { }",
                                   reader->key->name);
    }
    reader->list_line = token->line;
    reader->list_is_empty = true;
    reader->state = AT_ELEMENT;
    return true;
}

static bool refuse_list(const struct reader *reader,
                        const struct settings_token *token, const char *right)
{
    if (token->kind == TOKEN_END) {
        return settings_token_fail(&reader->scanner, reader->list_line,
                                   "the { of '%s' is not closed",
                                   reader->key->name);
    }
    return unexpected(reader, token, right);
}

static bool take_element(struct reader *reader,
                         const struct settings_token *token)
{
    if (token->kind == TOKEN_CLOSE) {
        reader->state = AT_KEY;
        return !reader->list_is_empty || !is_whole(reader->key) ||
               settings_token_fail(&reader->scanner, token->line,
                                   "%s is empty: write at least one element",
                                   reader->key->name);
    }
    if (token->kind != TOKEN_WORD && token->kind != TOKEN_STRING) {
        return refuse_list(reader, token, "an element of the list");
    }
    if (!check_value(reader, token)) {
        return false;
    }
    reader->list_is_empty = false;
    reader->state = AT_COMMA;
    return true;
}

static bool take_comma(struct reader *reader,
                       const struct settings_token *token)
{
    if (token->kind != TOKEN_COMMA && token->kind != TOKEN_CLOSE) {
        return refuse_list(reader, token, "a comma or the list's }");
    }
    reader->state = token->kind == TOKEN_COMMA ? AT_ELEMENT : AT_KEY;
    return true;
}

/* --- titles ------------------------------------------------------------- */

/* Each is NULL and has made name, or is what to write. */
static const char *read_domain(struct text title, char name[TITLE_SIZE])
{
    /* as it stands: neither \ nor ${NAME} are in the name of a domain */
    return memchr(title.bytes, '\\', title.length) == NULL &&
                   memchr(title.bytes, '$', title.length) == NULL &&
                   memmem(title.bytes, title.length, "..", 2) == NULL &&
                   mailbox_parse_domain(title, name)
               ? NULL
               : "write a domain, such as \"example.org\"";
}

static const char *read_reason(struct text title, char name[TITLE_SIZE])
{
    enum reason reason;

    if (!reason_parse(title, &reason)) {
        return "write a reason, such as \"mailbox_full\"; nixie.conf(5) lists "
               "them";
    }
    if (reason_facts(reason)->blames == REASON_BLAMES_SENDER) {
        return "this failure blames us, the sender, and never counts against a "
               "recipient: leave the section out";
    }
    if (!policy_can_count(reason)) {
        return "this tells nothing about the recipient and never counts: leave "
               "the section out";
    }
    (void)text_copy(title, name, TITLE_SIZE);
    return NULL;
}

static const char *read_scope(struct text title, char name[TITLE_SIZE])
{
    if (!store_scope_is_valid(title)) {
        return "write a name of 1 to 64 letters, digits, dots, hyphens and "
               "underscores, such as \"marketing\"";
    }
    (void)text_copy(title, name, TITLE_SIZE);
    return NULL;
}

/* Of the sections that have a title. */
static const struct {
    const char *section;
    const char *(*read)(struct text title, char name[TITLE_SIZE]);
} titled[] = {
    {"domain", read_domain},
    {"policy", read_reason},
    {"scope", read_scope},
};

static const char *read_title(const char *section, struct text title,
                              char name[TITLE_SIZE])
{
    name[0] = '\0';
    for (size_t i = 0; i < sizeof titled / sizeof titled[0]; i++) {
        if (strcmp(section, titled[i].section) == 0) {
            return titled[i].read(title, name);
        }
    }
    return NULL;
}

static struct title *add_title(struct reader *reader)
{
    if (reader->count == reader->room) {
        size_t room = reader->room == 0 ? 16 : reader->room * 2;
        struct title *titles =
            reallocarray(reader->titles, room, sizeof *titles);

        if (titles == NULL) {
            return NULL;
        }
        reader->titles = titles;
        reader->room = room;
    }
    return &reader->titles[reader->count++];
}

static bool take_title(struct reader *reader,
                       const struct settings_token *token)
{
    struct title *title;
    const char *advice;
    char shown[SETTINGS_TOKEN_SHOWN];

    if (token->kind != TOKEN_STRING) {
        return unexpected(reader, token, "the section's title, in quotes,");
    }
    title = add_title(reader);
    if (title == NULL) {
        error_set(reader->scanner.error, "%s: out of memory",
                  reader->scanner.path);
        return false;
    }
    title->section = reader->key;
    title->within = reader->levels[reader->depth].number;
    title->line = token->line;
    advice = read_title(reader->key->name, token->text, title->name);
    if (advice != NULL) {
        return settings_token_fail(
            &reader->scanner, token->line, "%s '%s': %s", reader->key->name,
            text_escape(token->text, shown, sizeof shown), advice);
    }
    reader->state = AT_SECTION;
    return true;
}

static bool take_section(struct reader *reader,
                         const struct settings_token *token)
{
    struct level *level;

    if (token->kind != TOKEN_OPEN) {
        return unexpected(reader, token, "the { of a section");
    }
    if (reader->depth == DEPTH_MAX) {
        return unexpected(reader, token, "no section");
    }
    level = &reader->levels[++reader->depth];
    memset(level, 0, sizeof *level);
    level->section = reader->key;
    level->section_line = token->line;
    level->number = ++reader->sections;
    reader->state = AT_KEY;
    return true;
}

static int compare_titles(const void *one, const void *other)
{
    const struct title *first = one;
    const struct title *second = other;
    int order = strcmp(first->section->name, second->section->name);

    if (order == 0) {
        order =
            (first->within > second->within) - (first->within < second->within);
    }
    if (order == 0) {
        order = strcmp(first->name, second->name);
    }
    return order != 0 ? order : first->line - second->line;
}

static bool each_title_once(struct reader *reader)
{
    if (reader->count == 0) {
        return true;
    }
    qsort(reader->titles, reader->count, sizeof reader->titles[0],
          compare_titles);
    for (size_t i = 1; i < reader->count; i++) {
        const struct title *first = &reader->titles[i - 1];
        const struct title *second = &reader->titles[i];

        if (first->section == second->section &&
            first->within == second->within &&
            strcmp(first->name, second->name) == 0) {
            char what[128];

            (void)snprintf(what, sizeof what, "%s \"%.80s\"",
                           first->section->name, first->name);
            return refuse_twice(reader, what, first->line, second->line);
        }
    }
    return true;
}

bool settings_file_prepare(char *text, const cfg_t *cfg, const char *path,
                           struct error *error)
{
    static bool (*const steps[])(struct reader *,
                                 const struct settings_token *) = {
        [AT_KEY] = take_key,         [AT_EQUALS] = take_equals,
        [AT_VALUE] = take_value,     [AT_ELEMENT] = take_element,
        [AT_COMMA] = take_comma,     [AT_TITLE] = take_title,
        [AT_SECTION] = take_section,
    };
    struct reader reader = {
        .scanner = {text, 1, path, error},
        .cfg = cfg,
    };
    struct settings_token token = {TOKEN_END, {NULL, 0}, 0};
    bool prepared;

    do {
        prepared = settings_token_scan(&reader.scanner, &token) &&
                   steps[reader.state](&reader, &token);
    } while (prepared && token.kind != TOKEN_END);
    prepared = prepared && each_title_once(&reader);
    free(reader.titles);
    return prepared;
}
