#include "command_rules.h"

#include "bounce_rules.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/*
 * The usual configuration may be for nixied alone: whoever may not read it
 * gets the defaults, and is told.
 */
static struct settings *load(const struct command_call *call,
                             struct error *error)
{
    const char *path = call->settings_path;

    if (path != NULL && strcmp(path, SETTINGS_FILE) == 0 &&
        access(path, R_OK) != 0 && errno == EACCES) {
        command_complain(call, "%s is not readable, so these are the defaults",
                         path);
        path = NULL;
    }
    return settings_load(path, error);
}

struct settings *command_rules_settings(const struct command_call *call,
                                        struct error *error)
{
    struct settings *settings = load(call, error);

    if (settings == NULL) {
        return NULL;
    }
    if (!settings_load_rules(settings, error)) {
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
