/*
 * settings_scope.h - the sections scope
 *
 * Owner    arguments are borrowed; what is taken belongs to settings.
 * Errors   name file and line, and what to write instead.
 */
#ifndef NIXIE_SETTINGS_SCOPE_H
#define NIXIE_SETTINGS_SCOPE_H

#include <confuse.h>
#include <stdbool.h>

struct settings;

void settings_scope_register(cfg_t *cfg);

/*
 * When mode, policies and mailbox_rules are there. False: no memory, or what
 * the sections say together is a fault, which libconfuse is told.
 */
bool settings_scope_take(cfg_t *cfg, struct settings *settings);

void settings_scope_free(struct settings *settings);

#endif
