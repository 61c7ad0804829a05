#include "command_rules.h"

#include "bounce_rules.h"
#include "bounce_rules_shipped.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RULE_FILES_MAX 16

/* Splits list, which the sources then point into; 0: too many. */
static size_t split_paths(char *list, struct bounce_rules_source *sources)
{
    size_t count = 0;
    const char *path;

    while ((path = strsep(&list, ":")) != NULL) {
        if (count == RULE_FILES_MAX) {
            return 0;
        }
        sources[count++] = (struct bounce_rules_source){path, false};
    }
    return count;
}

struct bounce_rules *command_rules_named(const char *value, struct error *error)
{
    struct bounce_rules_source sources[RULE_FILES_MAX];
    struct bounce_rules *rules = NULL;
    char *list = strdup(value);
    size_t count;

    if (list == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    count = split_paths(list, sources);
    if (count == 0) {
        error_set(error, "more than %d files of rules", RULE_FILES_MAX);
    } else {
        rules = bounce_rules_load(sources, count, error);
    }
    free(list);
    return rules;
}

/*
 * The usual configuration may be for nixied alone, and the rules beside it:
 * whoever may not read it gets the defaults and the shipped rules, and is told.
 */
static bool is_closed(const char *path)
{
    return path != NULL && strcmp(path, SETTINGS_FILE) == 0 &&
           access(path, R_OK) != 0 && errno == EACCES;
}

static struct bounce_rules *load_shipped(struct error *error)
{
    char *path = bounce_rules_shipped();
    const struct bounce_rules_source source = {path, true};
    struct bounce_rules *rules =
        bounce_rules_load(&source, path == NULL ? 0 : 1, error);

    free(path);
    return rules;
}

/* --rules stands in for the setting. False with error. */
static bool load_rules(const struct command_call *call,
                       struct settings *settings, bool closed,
                       struct error *error)
{
    const char *value = command_value(call, "rules");

    if (value == NULL && !closed) {
        return settings_load_rules(settings, error);
    }
    settings->rules =
        value == NULL ? load_shipped(error) : command_rules_named(value, error);
    return settings->rules != NULL;
}

struct settings *command_rules_settings(const struct command_call *call,
                                        struct error *error)
{
    bool closed = is_closed(call->settings_path);
    struct settings *settings =
        settings_load(closed ? NULL : call->settings_path, error);

    if (settings == NULL) {
        return NULL;
    }
    if (closed) {
        command_complain(call, "%s is not readable, so these are the defaults",
                         call->settings_path);
    }
    if (!load_rules(call, settings, closed, error)) {
        settings_free(settings);
        return NULL;
    }
    if (bounce_rules_count(settings->rules) == 0) {
        command_complain(call,
                         "there are no bounce rules, so status and code "
                         "decide alone: install %s, or set bounce_rules",
                         "/usr/share/nixie/bounce-rules.conf");
    }
    return settings;
}
