#include "command_help.h"

#include <stdio.h>
#include <string.h>

#define SUMMARY_COLUMN 28

static const char exit_statuses[] =
    "Exit status: 0 (done), 1 (no: not found, a bad row, a check failed), "
    "2 (wrong usage, or the environment is not right).";

static bool is_of_group(const struct command *command, const char *word)
{
    size_t length = strlen(word);

    return strncmp(command->name, word, length) == 0 &&
           command->name[length] == ' ';
}

bool command_set_has_group(const struct command_set *set, const char *word)
{
    for (size_t i = 0; i < set->count; i++) {
        if (is_of_group(&set->commands[i], word)) {
            return true;
        }
    }
    return false;
}

static void print_summary(const struct command *command)
{
    char usage[64];

    (void)snprintf(usage, sizeof usage, "%s %s", command->name,
                   command->arguments);
    (void)printf("  %-*s", SUMMARY_COLUMN - 2, usage);
    command_option_wrap(command->summary, SUMMARY_COLUMN, SUMMARY_COLUMN);
}

void command_help_print_all(const struct command_set *set)
{
    (void)puts("usage: nixie [-c FILE] [--json] COMMAND [OPTIONS] [ARGUMENTS]\n"
               "       nixie help [COMMAND]\n\n"
               "Mailboxes that get no mail: the list, and why.\n\n"
               "Commands:");
    for (size_t i = 0; i < set->count; i++) {
        print_summary(&set->commands[i]);
    }
    (void)puts("\nOptions, in front of the command:");
    command_option_print(set->options);
    (void)puts("\n\"nixie help COMMAND\" and \"nixie COMMAND --help\" tell the "
               "options of a command.");
    command_option_wrap(exit_statuses, 0, 0);
    (void)puts("See nixie(1).");
}

void command_help_print(const struct command *command)
{
    (void)printf("usage: nixie %s [OPTIONS]%s%s\n\n", command->name,
                 command->arguments[0] == '\0' ? "" : " ", command->arguments);
    command_option_wrap(command->summary, 0, 0);
    if (command->detail != NULL) {
        (void)putchar('\n');
        command_option_wrap(command->detail, 0, 0);
    }
    (void)puts("\nOptions:");
    command_option_print(command->options);
    command_option_print(command_common_options);
    (void)putchar('\n');
    command_option_wrap(exit_statuses, 0, 0);
}

void command_help_print_group(const struct command_set *set, const char *word)
{
    (void)printf("usage: nixie %s VERB [OPTIONS] [ARGUMENTS]\n\n", word);
    for (size_t i = 0; i < set->count; i++) {
        if (is_of_group(&set->commands[i], word)) {
            print_summary(&set->commands[i]);
        }
    }
    (void)printf("\n\"nixie help %s VERB\" tells more of each.\n", word);
}
