/*
 * settings_trace.h - the keys about marks on outgoing mail
 *
 * trace_keys and outgoing_clients.
 *
 * Owner    arguments are borrowed; what is taken belongs to settings.
 */
#ifndef NIXIE_SETTINGS_TRACE_H
#define NIXIE_SETTINGS_TRACE_H

#include <confuse.h>
#include <stdbool.h>

struct settings;

void settings_trace_register(cfg_t *cfg);

/* Of a configuration without faults. False: no memory. */
bool settings_trace_take(cfg_t *cfg, struct settings *settings);

#endif
