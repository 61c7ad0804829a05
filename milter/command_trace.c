#include "command_trace.h"

#include "settings_host.h"

#include <pwd.h>
#include <unistd.h>

struct trace_keys *command_trace_keys(const struct settings *settings,
                                      struct error *error)
{
    struct trace_keys_place place = {
        .path = settings->trace_keys,
        .owner = geteuid(),
        .group = getegid(),
    };
    const struct passwd *user = settings_host_user(settings, error);
    struct trace_keys *keys;

    if (user != NULL) {
        place.owner = user->pw_uid;
        place.group = user->pw_gid;
    } else if (geteuid() == 0) {
        return NULL;
    }
    keys = trace_keys_new(&place);
    if (keys == NULL) {
        error_set(error, "out of memory");
    }
    return keys;
}
