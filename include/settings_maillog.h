/*
 * settings_maillog.h - the keys about the delivery log and delay notices
 *
 * Owner    arguments are borrowed; what is taken belongs to settings.
 */
#ifndef NIXIE_SETTINGS_MAILLOG_H
#define NIXIE_SETTINGS_MAILLOG_H

#include <confuse.h>
#include <stdbool.h>

struct settings;

void settings_maillog_register(cfg_t *cfg);

/* Of a configuration without faults. False: no memory. */
bool settings_maillog_take(cfg_t *cfg, struct settings *settings);

#endif
