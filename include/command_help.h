/*
 * command_help.h - what nixie says of itself, from the tables it goes by
 *
 * All goes to standard output, in 80 columns.
 */
#ifndef NIXIE_COMMAND_HELP_H
#define NIXIE_COMMAND_HELP_H

#include "command.h"

#include <stdbool.h>
#include <stddef.h>

/* All that the tool can do. */
struct command_set {
    const struct command *commands;
    size_t count;
    const struct command_option *options; /* in front of the command */
};

/* Whether word is the first of two, as "suppress" is. */
bool command_set_has_group(const struct command_set *set, const char *word);

void command_help_print_all(const struct command_set *set);
void command_help_print(const struct command *command);

/* "nixie help suppress": its verbs. */
void command_help_print_group(const struct command_set *set, const char *word);

#endif
