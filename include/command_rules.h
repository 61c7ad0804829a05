/*
 * command_rules.h - the settings and the bounce rules, as the tool finds them
 *
 * Those of the configuration. Where it may not be read, as it may be for
 * nixied alone, the defaults, and the user is told. Where the shipped rules
 * are not installed, those of the tree in which the program was built.
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_RULES_H
#define NIXIE_COMMAND_RULES_H

#include "command.h"
#include "error.h"

/* FILE[:FILE...]: new, or NULL with error. */
struct bounce_rules *command_rules_named(const char *value,
                                         struct error *error);

/* New, with rules, those of an option --rules if there is one; or NULL with
 * error. */
struct settings *command_rules_settings(const struct command_call *call,
                                        struct error *error);

#endif
