/*
 * settings_policy.h - the keys about verdict and policy
 *
 * bounce_rules, and the sections policy and breaker.
 *
 * Owner    arguments are borrowed; what is taken belongs to settings.
 */
#ifndef NIXIE_SETTINGS_POLICY_H
#define NIXIE_SETTINGS_POLICY_H

#include <confuse.h>
#include <stdbool.h>

struct settings;

void settings_policy_register(cfg_t *cfg);

/* Of a configuration without faults. False: no memory. */
bool settings_policy_take(cfg_t *cfg, struct settings *settings);

#endif
