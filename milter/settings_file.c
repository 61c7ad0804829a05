#include "settings_file.h"

#include "mailbox.h"
#include "settings_token.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS_MAX 64 /* more than there are */

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

struct domain {
    char name[MAILBOX_DOMAIN_MAX + 1];
    int line;
};

struct reader {
    struct settings_scanner scanner;
    enum state state;
    const cfg_t *cfg;
    const cfg_opt_t *section; /* NULL: at top level */
    int section_line;
    const cfg_opt_t *key;
    int key_line;
    int list_line;
    int lines[KEYS_MAX]; /* where each key was set; 0: nowhere */
    int section_lines[KEYS_MAX];
    struct domain *domains;
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

static bool refuse_key(const struct reader *reader,
                       const struct settings_token *token)
{
    char shown[SETTINGS_TOKEN_SHOWN];

    (void)text_escape(token->text, shown, sizeof shown);
    if (reader->section == NULL) {
        return settings_token_fail(&reader->scanner, token->line,
                                   "no such key '%s'; nixie.conf(5) lists them",
                                   shown);
    }
    if (find(reader->cfg->opts, token->text) != NULL) {
        return settings_token_fail(
            &reader->scanner, reader->section_line,
            "the { of '%s' is not closed: '%s' in line %d does not "
            "belong to it",
            reader->section->name, shown, token->line);
    }
    return settings_token_fail(
        &reader->scanner, token->line,
        "no such key '%s' in a section '%s'; nixie.conf(5) lists them", shown,
        reader->section->name);
}

static bool begin_entry(struct reader *reader,
                        const struct settings_token *token)
{
    const cfg_opt_t *options =
        reader->section != NULL ? reader->section->subopts : reader->cfg->opts;
    int *lines =
        reader->section != NULL ? reader->section_lines : reader->lines;
    size_t index;

    reader->key = find(options, token->text);
    if (reader->key == NULL) {
        return refuse_key(reader, token);
    }
    reader->key_line = token->line;
    if (reader->key->type == CFGT_SEC) {
        reader->state = AT_TITLE;
        return true;
    }
    index = (size_t)(reader->key - options);
    if (index < KEYS_MAX) {
        if (lines[index] != 0) {
            return settings_token_fail(&reader->scanner, token->line,
                                       "%s is set twice: lines %d and %d",
                                       reader->key->name, lines[index],
                                       token->line);
        }
        lines[index] = token->line;
    }
    reader->state = AT_EQUALS;
    return true;
}

static bool take_key(struct reader *reader, const struct settings_token *token)
{
    if (token->kind == TOKEN_WORD) {
        return begin_entry(reader, token);
    }
    if (token->kind == TOKEN_END) {
        return reader->section == NULL ||
               settings_token_fail(&reader->scanner, reader->section_line,
                                   "the { of '%s' is not closed",
                                   reader->section->name);
    }
    if (token->kind == TOKEN_CLOSE && reader->section != NULL) {
        reader->section = NULL;
        return true;
    }
    return unexpected(reader, token, "a key");
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

static bool check_value(const struct reader *reader,
                        const struct settings_token *token)
{
    const char *name = reader->key->name;
    char shown[SETTINGS_TOKEN_SHOWN];

    if (reader->key->type == CFGT_INT && is_odd_number(token->text)) {
        return settings_token_fail(
            &reader->scanner, token->line,
            "%s takes a whole number, which does not begin with 0", name);
    }
    if (token->kind == TOKEN_STRING || reader->key->type != CFGT_STR) {
        return true;
    }
    if (reader->state == AT_VALUE && token->line != reader->key_line) {
        return settings_token_fail(
            &reader->scanner, reader->key_line,
            "%s has no value: write one behind the =", name);
    }
    return settings_token_fail(&reader->scanner, token->line,
                               "%s takes strings, in quotes: write \"%s\"",
                               name,
                               text_escape(token->text, shown, sizeof shown));
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
        return true;
    }
    if (token->kind != TOKEN_WORD && token->kind != TOKEN_STRING) {
        return refuse_list(reader, token, "an element of the list");
    }
    if (!check_value(reader, token)) {
        return false;
    }
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

static struct domain *add_domain(struct reader *reader)
{
    if (reader->count == reader->room) {
        size_t room = reader->room == 0 ? 16 : reader->room * 2;
        struct domain *domains =
            reallocarray(reader->domains, room, sizeof *domains);

        if (domains == NULL) {
            return NULL;
        }
        reader->domains = domains;
        reader->room = room;
    }
    return &reader->domains[reader->count++];
}

static bool take_title(struct reader *reader,
                       const struct settings_token *token)
{
    struct domain *domain;
    char shown[SETTINGS_TOKEN_SHOWN];

    if (token->kind != TOKEN_STRING) {
        return unexpected(reader, token, "the section's title, in quotes,");
    }
    domain = add_domain(reader);
    if (domain == NULL) {
        error_set(reader->scanner.error, "%s: out of memory",
                  reader->scanner.path);
        return false;
    }
    domain->line = token->line;
    /* as it stands: neither \ nor ${NAME} are in the name of a domain */
    if (memchr(token->text.bytes, '\\', token->text.length) != NULL ||
        memchr(token->text.bytes, '$', token->text.length) != NULL ||
        !mailbox_parse_domain(token->text, domain->name)) {
        return settings_token_fail(
            &reader->scanner, token->line,
            "%s '%s': write a domain, such as \"example.org\"",
            reader->key->name, text_escape(token->text, shown, sizeof shown));
    }
    reader->state = AT_SECTION;
    return true;
}

static bool take_section(struct reader *reader,
                         const struct settings_token *token)
{
    if (token->kind != TOKEN_OPEN) {
        return unexpected(reader, token, "the { of a section");
    }
    reader->section = reader->key;
    reader->section_line = token->line;
    memset(reader->section_lines, 0, sizeof reader->section_lines);
    reader->state = AT_KEY;
    return true;
}

static int compare_domains(const void *one, const void *other)
{
    const struct domain *first = one;
    const struct domain *second = other;
    int names = strcmp(first->name, second->name);

    return names != 0 ? names : first->line - second->line;
}

static bool each_domain_once(struct reader *reader)
{
    if (reader->count == 0) {
        return true;
    }
    qsort(reader->domains, reader->count, sizeof reader->domains[0],
          compare_domains);
    for (size_t i = 1; i < reader->count; i++) {
        const struct domain *first = &reader->domains[i - 1];
        const struct domain *second = &reader->domains[i];

        if (strcmp(first->name, second->name) == 0) {
            return settings_token_fail(
                &reader->scanner, second->line,
                "domain \"%.80s\" is set twice: lines %d and %d", first->name,
                first->line, second->line);
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
    prepared = prepared && each_domain_once(&reader);
    free(reader.domains);
    return prepared;
}
