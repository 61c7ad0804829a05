/*
 * command_completion.h - completion of nixie's command line, for three shells
 *
 * The scripts are made from the tables that parse the options, so they know
 * what there is. The names of scopes they ask "nixie completion scopes" for
 * each time, as the configuration has them.
 */
#ifndef NIXIE_COMMAND_COMPLETION_H
#define NIXIE_COMMAND_COMPLETION_H

#include "command_help.h"

/* What stands behind an option, or as an argument of a command. */
enum completion_kind {
    COMPLETION_NONE, /* the operator's own words */
    COMPLETION_FILES,
    COMPLETION_FOLDERS,
    COMPLETION_SCOPES,
    COMPLETION_TYPES, /* of events, with commas between them */
    COMPLETION_REASONS,
    COMPLETION_ORIGINS, /* of events */
    COMPLETION_ENTRY_ORIGINS,
    COMPLETION_FORMS, /* of list files */
    COMPLETION_SERVICES,
    COMPLETION_BREAKDOWNS, /* of stats */
    COMPLETION_SHELLS,
};
#define COMPLETION_KINDS 12

/* "reasons" */
const char *completion_kind_name(enum completion_kind kind);

/* The words of a kind: NULL past the last, and where they are not constant. */
const char *completion_word(enum completion_kind kind, size_t index);

enum completion_kind completion_of_option(const struct command_option *option);
enum completion_kind completion_of_arguments(const struct command *command);

/* The first word of the name, and whether there are two of them. */
struct text completion_first_word(const struct command *command);
bool completion_is_verb(const struct command *command);

/* Whether no command before this one has the same first word. */
bool completion_is_first(const struct command_set *set, size_t index);

/* The scripts, to standard output. */
void completion_print_bash(const struct command_set *set);
void completion_print_zsh(const struct command_set *set);
void completion_print_fish(const struct command_set *set);

/* The command: its argument is a shell, or "scopes". */
enum command_status command_completion(const struct command_call *call,
                                       const struct command_set *set);

#endif
