#include "settings_file.h"

#include "mailbox.h"
#include "policy.h"
#include "reason.h"
#include "settings_token.h"
#include "store_key.h"
#include "text.h"
#include "text_near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX  64 /* more than there are */
#define DEPTH_MAX 2  /* a policy in a scope */

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
    char title[TITLE_SIZE]; /* "": it has none */
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
    int rules_line;
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

#define KEY_SIZE 160

/* Of the key at hand; in a section 'policy "mailbox_full": release'. */
static const char *key_name(const struct reader *reader, char name[KEY_SIZE])
{
    const struct level *level = &reader->levels[reader->depth];

    (void)snprintf(name, KEY_SIZE, "%s%s%.60s%s%s",
                   level->section == NULL ? "" : level->section->name,
                   level->title[0] == '\0' ? "" : " \"", level->title,
                   level->section == NULL    ? ""
                   : level->title[0] == '\0' ? ": "
                                             : "\": ",
                   reader->key->name);
    return name;
}

static const char *guess(const cfg_opt_t *options, struct text typed,
                         char question[TEXT_NEAR_SIZE])
{
    struct text_near near = text_near_new(typed);

    for (; options->name != NULL; options++) {
        text_near_offer(&near, text_of(options->name));
    }
    return text_near_ask(&near, question);
}

static bool refuse_key(const struct reader *reader,
                       const struct settings_token *token)
{
    const struct level *level = &reader->levels[reader->depth];
    char shown[SETTINGS_TOKEN_SHOWN];
    char question[TEXT_NEAR_SIZE];

    (void)text_escape(token->text, shown, sizeof shown);
    (void)guess(options_of(reader, reader->depth), token->text, question);
    if (level->section == NULL) {
        return settings_token_fail(&reader->scanner, token->line,
                                   "no such key '%s'; nixie.conf(5) lists "
                                   "them%s",
                                   shown, question);
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
        "no such key '%s' in a section '%s'; nixie.conf(5) lists them%s", shown,
        level->section->name, question);
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
    char name[KEY_SIZE];
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
            return refuse_twice(reader, key_name(reader, name), lines[index],
                                token->line);
        }
        lines[index] = token->line;
        if (strcmp(reader->key->name, "bounce_rules") == 0) {
            reader->rules_line = token->line;
        }
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
    char name[KEY_SIZE];

    if (token->kind == TOKEN_ADD && (reader->key->flags & CFGF_LIST) == 0) {
        return settings_token_fail(
            &reader->scanner, token->line,
            "%s is no list: write = in place of +=", key_name(reader, name));
    }
    if (token->kind != TOKEN_SET && token->kind != TOKEN_ADD) {
        return unexpected(reader, token, "the = of a key");
    }
    if (token->kind == TOKEN_ADD && is_whole(reader->key)) {
        return settings_token_fail(
            &reader->scanner, token->line,
            "%s stands alone: write the whole list, and = in place of +=",
            key_name(reader, name));
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
    const char *duration = duration_of(reader->key);
    char shown[SETTINGS_TOKEN_SHOWN];
    char name[KEY_SIZE];

    (void)key_name(reader, name);
    (void)text_escape(token->text, shown, sizeof shown);
    if (strcmp(reader->key->name, "suppression_cache_memory") == 0 &&
        starts_number(token->text)) {
        return settings_token_fail(&reader->scanner, token->line,
                                   "%s takes an amount of memory, with its "
                                   "unit and in quotes: write one such as "
                                   "\"256M\"",
                                   name);
    }
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
    /* to libconfuse its elements are strings, as one of them may be a word */
    bool is_minutes = strcmp(reader->key->name, "retry_schedule") == 0 &&
                      starts_number(token->text);
    bool is_number = is_minutes && token->kind == TOKEN_WORD;
    char name[KEY_SIZE];

    (void)key_name(reader, name);
    if (is_minutes && token->kind == TOKEN_STRING) {
        return settings_token_fail(
            &reader->scanner, token->line,
            "%s takes minutes, without quotes: write {5, 15, 30}", name);
    }

    /* libconfuse takes nothing for 0 */
    if (reader->key->type == CFGT_INT && token->text.length == 0) {
        return settings_token_fail(&reader->scanner, token->line,
                                   "%s takes a whole number: write one", name);
    }
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
    char name[KEY_SIZE];

    if (token->kind == TOKEN_END) {
        return settings_token_fail(&reader->scanner, reader->list_line,
                                   "the { of '%s' is not closed",
                                   key_name(reader, name));
    }
    return unexpected(reader, token, right);
}

static bool take_element(struct reader *reader,
                         const struct settings_token *token)
{
    char name[KEY_SIZE];

    if (token->kind == TOKEN_CLOSE) {
        reader->state = AT_KEY;
        return !reader->list_is_empty || !is_whole(reader->key) ||
               settings_token_fail(&reader->scanner, token->line,
                                   "%s is empty: write at least one element",
                                   key_name(reader, name));
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
    if ((reader->key->flags & CFGF_TITLE) != 0) {
        (void)text_copy(text_of(reader->titles[reader->count - 1].name),
                        level->title, sizeof level->title);
    }
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
                           int *rules_line, struct error *error)
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
    *rules_line = reader.rules_line;
    return prepared;
}
