#include "command_check_postfix.h"
#include "postconf.h"
#include "scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_SIZE 1024
#define BLANKS     ", \t"

/* --- values ------------------------------------------------------------- */

/* Of "name = value" on a line, at its beginning or behind a slash. */
static bool next_value(const char **rest, const char *name, struct text *value)
{
    size_t length = strlen(name);

    while (**rest != '\0') {
        const char *line = *rest;
        size_t size = strcspn(line, "\n");
        const char *equals = memchr(line, '=', size);

        *rest += size + (line[size] == '\n' ? 1 : 0);
        if (equals == NULL || equals < line + length + 1 ||
            memcmp(equals - 1 - length, name, length) != 0 ||
            (equals - 1 - length != line && equals[-2 - (long)length] != '/')) {
            continue;
        }
        *value = (struct text){equals + 1, size - (size_t)(equals + 1 - line)};
        while (value->length > 0 && value->bytes[0] == ' ') {
            value->bytes++;
            value->length--;
        }
        return true;
    }
    return false;
}

/* "" when it is not there. */
static void value_of(const char *values, const char *name,
                     char value[VALUE_SIZE])
{
    struct text found = {"", 0};

    (void)next_value(&values, name, &found);
    (void)text_copy(found, value, VALUE_SIZE);
}

/* A word of a list of Postfix. */
static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);

    while (*list != '\0') {
        size_t size;

        list += strspn(list, BLANKS);
        size = strcspn(list, BLANKS);
        if (size == length && strncasecmp(list, word, length) == 0) {
            return true;
        }
        list += size;
    }
    return false;
}

/* --- the log ------------------------------------------------------------ */

static bool follows(const struct check *check, const char *path)
{
    for (char *const *log = check->settings->maillog; *log != NULL; log++) {
        if (command_check_same(*log, path)) {
            return true;
        }
    }
    return false;
}

static void judge_log(struct check *check, const char *values)
{
    char file[VALUE_SIZE];
    char ids[VALUE_SIZE];

    value_of(values, "maillog_file", file);
    value_of(values, "enable_long_queue_ids", ids);
    if (check->settings->maillog[0] == NULL) {
        return;
    }
    if (file[0] == '/' && strncmp(file, "/dev/", 5) != 0 &&
        !follows(check, file)) {
        command_check_report(check, CHECK_FAIL, "maillog",
                             "Postfix writes its log to %s (maillog_file), "
                             "which is not followed: write maillog = {\"%s\"} "
                             "into nixie.conf, then systemctl restart nixied",
                             file, file);
    }
    if (strcmp(ids, "no") == 0) {
        command_check_report(check, CHECK_NOTE, "enable_long_queue_ids",
                             "short queue ids are used again, for other mail, "
                             "within a second at worst: postconf -e "
                             "enable_long_queue_ids=yes; postfix reload");
    }
}

/* Without the log, bounces are how failures are known. */
static void judge_classes(struct check *check, const char *values)
{
    char classes[VALUE_SIZE];

    value_of(values, "internal_mail_filter_classes", classes);
    if (check->settings->maillog[0] == NULL && !has_word(classes, "bounce")) {
        command_check_report(check, CHECK_NOTE, "internal_mail_filter_classes",
                             "has no bounce, and maillog is not set: nixie "
                             "does not learn which recipients failed; postconf "
                             "-e internal_mail_filter_classes=bounce; postfix "
                             "reload");
    }
}

/* --- what turns it off --------------------------------------------------- */

static void judge_maps(struct check *check, const char *values)
{
    char maps[VALUE_SIZE];

    value_of(values, "smtpd_milter_maps", maps);
    if (maps[0] != '\0') {
        command_check_report(check, CHECK_NOTE, "smtpd_milter_maps",
                             "%s may turn nixie off for some clients: see that "
                             "it names nixie too, or postconf -X "
                             "smtpd_milter_maps; postfix reload",
                             maps);
    }
}

/* --- listeners of scopes ---------------------------------------------------
 */

static bool is_listener(const char *values, const char *overrides,
                        const char *name)
{
    static const char parameter[] = "milter_macro_daemon_name";
    char value[VALUE_SIZE];
    struct text found;

    value_of(values, parameter, value);
    if (strcmp(value, name) == 0) {
        return true;
    }
    while (next_value(&overrides, parameter, &found)) {
        if (text_is(found, name)) {
            return true;
        }
    }
    return false;
}

static void judge_scopes(struct check *check, const char *values,
                         const char *overrides)
{
    const struct settings *settings = check->settings;

    for (size_t i = 0; i < settings->scope_count; i++) {
        const struct scope *scope = &settings->scopes[i];

        for (char *const *name = scope->listeners; *name != NULL; name++) {
            if (!is_listener(values, overrides, *name)) {
                command_check_report(
                    check, CHECK_WARN, "milter_macro_daemon_name",
                    "scope \"%s\" has listener %s, as which no service of "
                    "Postfix is known: for the one that is meant, postconf -P "
                    "'submission/inet/milter_macro_daemon_name=%s'; postfix "
                    "reload",
                    scope->name, *name, *name);
            }
        }
    }
}

/* --- all ---------------------------------------------------------------------
 */

void command_check_postfix_values(struct check *check, const char *values,
                                  const char *overrides)
{
    judge_log(check, values);
    judge_classes(check, values);
    judge_maps(check, values);
    judge_scopes(check, values, overrides);
}

void command_check_postfix_detail(struct check *check, const char *directory)
{
    static const char *const values[] = {"-x",
                                         "maillog_file",
                                         "enable_long_queue_ids",
                                         "internal_mail_filter_classes",
                                         "smtpd_milter_maps",
                                         "milter_macro_daemon_name",
                                         NULL};
    static const char *const overrides[] = {"-Px", NULL};
    char *said = NULL;
    char *own = NULL;

    /* one that an old Postfix does not know is not printed */
    if (postconf(directory, values, &said) == POSTCONF_DONE) {
        (void)postconf(directory, overrides, &own);
        command_check_postfix_values(check, said, own == NULL ? "" : own);
    }
    free(own);
    free(said);
}
