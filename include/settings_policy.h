/*
 * settings_policy.h - the keys about verdict and policy
 *
 * bounce_rules, and the sections policy, also those in a scope, and breaker.
 *
 * Owner    arguments are borrowed; what is taken belongs to settings.
 */
#ifndef NIXIE_SETTINGS_POLICY_H
#define NIXIE_SETTINGS_POLICY_H

#include <confuse.h>
#include <stdbool.h>

struct policies;
struct settings;

void settings_policy_register(cfg_t *cfg);

/* Of a configuration without faults. False: no memory. */
bool settings_policy_take(cfg_t *cfg, struct settings *settings);

/*
 * The sections policy in cfg, over what is in policies. False: no memory, or
 * both together are a fault, which libconfuse is told.
 */
bool settings_policies_take(cfg_t *cfg, struct policies *policies);

#endif
