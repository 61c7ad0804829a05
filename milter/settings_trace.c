#include "settings_trace.h"

#include "client_network.h"
#include "settings.h"
#include "settings_value.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX 1000

/* "" turns marks off. */
static int check_keys(cfg_t *cfg, cfg_opt_t *option)
{
    return settings_newest(option)[0] == '\0'
               ? 0
               : settings_check_file(cfg, option);
}

static int check_clients(cfg_t *cfg, cfg_opt_t *option)
{
    struct client_network network;
    struct error error = {""};

    if (cfg_opt_size(option) > CLIENTS_MAX) {
        return settings_refuse(cfg, option, "write at most 1000 networks");
    }
    if (settings_is_repeated(option)) {
        return settings_refuse(cfg, option, "write each network once");
    }
    return client_network_parse(text_of(settings_newest(option)), &network,
                                &error)
               ? 0
               : settings_refuse(cfg, option, error.text);
}

void settings_trace_register(cfg_t *cfg)
{
    (void)cfg_set_validate_func(cfg, "trace_keys", check_keys);
    (void)cfg_set_validate_func(cfg, "outgoing_clients", check_clients);
}

bool settings_trace_take(cfg_t *cfg, struct settings *settings)
{
    const char *keys = cfg_getstr(cfg, "trace_keys");
    unsigned count = cfg_size(cfg, "outgoing_clients");
    struct error error;

    settings->trace_keys = keys == NULL ? NULL : strdup(keys);
    settings->outgoing_clients =
        calloc(count + (size_t)1, sizeof settings->outgoing_clients[0]);
    if (settings->trace_keys == NULL || settings->outgoing_clients == NULL) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        const char *network = cfg_getnstr(cfg, "outgoing_clients", i);

        if (network == NULL ||
            !client_network_parse(text_of(network),
                                  &settings->outgoing_clients[i], &error)) {
            return false;
        }
        settings->outgoing_client_count++;
    }
    return true;
}
