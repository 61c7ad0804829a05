#include "command_completion.h"

#include <stdio.h>
#include <string.h>

/* In single quotes, where fish has the backslash as an escape. */
static void put(const char *text)
{
    (void)putchar('\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
    (void)putchar('\'');
}

static void print_word_list(enum completion_kind kind)
{
    const char *word;

    (void)printf("function __nixie_%s\n    printf '%%s\\n'",
                 completion_kind_name(kind));
    for (size_t i = 0; (word = completion_word(kind, i)) != NULL; i++) {
        (void)printf(" %s", word);
    }
    (void)puts("\nend\n");
}

/* What stands for a kind behind -n CONDITION and the option, if any. */
static void print_kind(enum completion_kind kind, bool of_option)
{
    switch (kind) {
    case COMPLETION_NONE:
        (void)fputs(of_option ? " -x" : "", stdout);
        return;
    case COMPLETION_FILES:
        (void)fputs(of_option ? " -r -F" : " -F", stdout);
        return;
    case COMPLETION_FOLDERS:
        (void)fputs(" -x -a '(__fish_complete_directories)'", stdout);
        return;
    case COMPLETION_TYPES:
        (void)fputs(" -x -a '(__fish_complete_list , __nixie_types)'", stdout);
        return;
    case COMPLETION_SCOPES:
    case COMPLETION_REASONS:
    case COMPLETION_ORIGINS:
    case COMPLETION_ENTRY_ORIGINS:
    case COMPLETION_FORMS:
    case COMPLETION_SERVICES:
    case COMPLETION_BREAKDOWNS:
    case COMPLETION_SHELLS:
        (void)printf(" -x -a '(__nixie_%s)'", completion_kind_name(kind));
        return;
    }
}

static void print_options(const char *command,
                          const struct command_option *option)
{
    for (; option->name != NULL; option++) {
        (void)printf("complete -c nixie -n '__nixie_at \"%s\"' -l %s", command,
                     option->name);
        if (option->letter != 0) {
            (void)printf(" -s %c", option->letter);
        }
        if (option->argument != NULL) {
            print_kind(completion_of_option(option), true);
        }
        (void)fputs(" -d ", stdout);
        put(option->help);
        (void)putchar('\n');
    }
}

static void print_word(const char *at, struct text word, const char *summary)
{
    (void)printf("complete -c nixie -n '__nixie_at \"%s\"", at);
    (void)printf("; or __nixie_at \"help%s%s\"' -a %.*s -d ",
                 at[0] == '\0' ? "" : " ", at, (int)word.length, word.bytes);
    put(summary);
    (void)putchar('\n');
}

static void print_command(const struct command_set *set, size_t index)
{
    const struct command *command = &set->commands[index];
    struct text word = completion_first_word(command);
    enum completion_kind kind = completion_of_arguments(command);
    char group[32];

    (void)snprintf(group, sizeof group, "%.*s", (int)word.length, word.bytes);
    if (!completion_is_verb(command)) {
        print_word("", word, command->summary);
    } else {
        if (completion_is_first(set, index)) {
            print_word("", word, "several commands");
        }
        print_word(group, text_of(command->name + word.length + 1),
                   command->summary);
    }
    print_options(command->name, command->options);
    print_options(command->name, command_common_options);
    if (kind != COMPLETION_NONE) {
        (void)printf("complete -c nixie -n '__nixie_at \"%s\"'", command->name);
        print_kind(kind, false);
        (void)putchar('\n');
    }
}

static void print_groups(const struct command_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct text word = completion_first_word(&set->commands[i]);

        if (completion_is_verb(&set->commands[i]) &&
            completion_is_first(set, i)) {
            (void)printf(" %.*s", (int)word.length, word.bytes);
        }
    }
}

/* The command that is there so far: "suppress add", "help suppress", "". */
static const char before_groups[] =
    "function __nixie_command\n"
    "    set -l words (commandline -opc)[2..]\n"
    "    set -l command\n"
    "    while set -q words[1]\n"
    "        switch $words[1]\n"
    "            case -c --config\n"
    "                set -e words[1]\n"
    "            case '-*'\n"
    "            case '*'\n"
    "                set -a command $words[1]\n"
    "                if not contains -- $words[1] help";
static const char behind_groups[] =
    "\n"
    "                    or set -q command[3]\n"
    "                    break\n"
    "                end\n"
    "        end\n"
    "        set -e words[1]\n"
    "    end\n"
    "    string join ' ' -- $command\n"
    "end\n"
    "\n"
    "function __nixie_at\n"
    "    set -l command (__nixie_command)\n"
    "    test \"$command\" = \"$argv[1]\"\n"
    "end\n"
    "\n"
    "function __nixie_scopes\n"
    "    set -l config\n"
    "    set -l words (commandline -opc)\n"
    "    for i in (seq (count $words))\n"
    "        switch $words[$i]\n"
    "            case -c --config\n"
    "                set config -c $words[(math $i + 1)]\n"
    "            case '--config=*'\n"
    "                set config -c (string replace -- --config= '' "
    "$words[$i])\n"
    "        end\n"
    "    end\n"
    "    nixie $config completion scopes 2>/dev/null\n"
    "end\n";

void completion_print_fish(const struct command_set *set)
{
    (void)puts(
        "# fish completion for nixie, made by \"nixie completion fish\"");
    (void)fputs(before_groups, stdout);
    print_groups(set);
    (void)puts(behind_groups);
    for (int kind = 0; kind < COMPLETION_KINDS; kind++) {
        if (completion_word((enum completion_kind)kind, 0) != NULL) {
            print_word_list((enum completion_kind)kind);
        }
    }
    (void)puts("complete -c nixie -f\n"
               "complete -c nixie -n '__nixie_at \"\"' -a help -d "
               "'what a command does'");
    print_options("", set->options);
    for (size_t i = 0; i < set->count; i++) {
        print_command(set, i);
    }
}
