#include "command_completion.h"

#include <stdio.h>
#include <string.h>

/* In single quotes, inside of a specification for _arguments or _describe. */
static void put(const char *text, const char *escaped)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            (void)fputs("'\\''", stdout);
            continue;
        }
        if (strchr(escaped, *text) != NULL) {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
}

static void print_words(void)
{
    (void)puts("_nixie_values() { # KIND\n"
               "    local -a words\n"
               "    case $1 in\n"
               "    none) _message value; return ;;\n"
               "    files) _files; return ;;\n"
               "    folders) _files -/; return ;;\n"
               "    scopes) words=(${(f)\"$(nixie $nixie_config completion "
               "scopes 2>/dev/null)\"}) ;;");
    for (int kind = 0; kind < COMPLETION_KINDS; kind++) {
        const char *word;

        if (completion_word((enum completion_kind)kind, 0) == NULL) {
            continue;
        }
        (void)printf("    %s)\n        words=(",
                     completion_kind_name((enum completion_kind)kind));
        for (size_t i = 0;
             (word = completion_word((enum completion_kind)kind, i)) != NULL;
             i++) {
            (void)printf("%s%s", i == 0 ? "" : " ", word);
        }
        (void)puts(") ;;");
    }
    (void)puts("    esac\n"
               "    if [[ $1 == types ]]; then\n"
               "        _sequence compadd - -a words\n"
               "    else\n"
               "        compadd -a words\n"
               "    fi\n"
               "}\n");
}

/* '(-r --reason)'{-r+,--reason=}'[help]:REASON: _nixie_values reasons' */
static void print_option(const struct command_option *option)
{
    bool takes = option->argument != NULL;

    (void)fputs(" \\\n        ", stdout);
    if (option->letter != 0) {
        (void)printf("'(-%c --%s)'{-%c%s,--%s%s}'[", option->letter,
                     option->name, option->letter, takes ? "+" : "",
                     option->name, takes ? "=" : "");
    } else {
        (void)printf("'--%s%s[", option->name, takes ? "=" : "");
    }
    put(option->help, "[]\\");
    (void)putchar(']');
    if (takes) {
        (void)printf(":%s: _nixie_values %s", option->argument,
                     completion_kind_name(completion_of_option(option)));
    }
    (void)putchar('\'');
}

static void print_options(const struct command_option *option)
{
    for (; option->name != NULL; option++) {
        print_option(option);
    }
}

static void print_command(const struct command *command)
{
    const char *kind = completion_kind_name(completion_of_arguments(command));

    (void)printf("    '%s')\n        _arguments -s -S", command->name);
    print_options(command->options);
    print_options(command_common_options);
    if (command->arguments_max > 1) {
        (void)printf(" \\\n        '*:argument: _nixie_values %s'", kind);
    } else if (command->arguments_max == 1) {
        (void)printf(" \\\n        '1:argument: _nixie_values %s'", kind);
    }
    (void)puts(" ;;");
}

static void print_row(struct text word, const char *summary)
{
    (void)printf("        '%.*s:", (int)word.length, word.bytes);
    put(summary, "\\");
    (void)puts("'");
}

/* Of a group of verbs the first of them prints all. */
static void print_group(const struct command_set *set, size_t index)
{
    struct text word = completion_first_word(&set->commands[index]);

    (void)printf("    %.*s) words=(\n", (int)word.length, word.bytes);
    for (size_t i = index; i < set->count; i++) {
        const char *name = set->commands[i].name;

        if (strncmp(name, word.bytes, word.length) == 0 &&
            name[word.length] == ' ') {
            print_row(text_of(name + word.length + 1),
                      set->commands[i].summary);
        }
    }
    (void)puts("    ) ;;");
}

static void print_verbs(const struct command_set *set)
{
    (void)puts("_nixie_verbs() { # GROUP\n"
               "    local -a words\n"
               "    case $1 in");
    for (size_t i = 0; i < set->count; i++) {
        if (completion_is_verb(&set->commands[i]) &&
            completion_is_first(set, i)) {
            print_group(set, i);
        }
    }
    (void)puts("    '') words=(\n"
               "        'help:what a command does'");
    for (size_t i = 0; i < set->count; i++) {
        if (completion_is_first(set, i)) {
            print_row(completion_first_word(&set->commands[i]),
                      completion_is_verb(&set->commands[i])
                          ? "several commands"
                          : set->commands[i].summary);
        }
    }
    (void)puts("    ) ;;\n"
               "    esac\n"
               "    _describe command words\n"
               "}\n");
}

static void print_arguments(const struct command_set *set)
{
    (void)puts("_nixie_command() { # COMMAND\n"
               "    case $1 in");
    for (size_t i = 0; i < set->count; i++) {
        print_command(&set->commands[i]);
    }
    (void)puts("    esac\n"
               "}\n");
}

static void print_groups(const struct command_set *set)
{
    const char *gap = "";

    for (size_t i = 0; i < set->count; i++) {
        struct text word = completion_first_word(&set->commands[i]);

        if (completion_is_verb(&set->commands[i]) &&
            completion_is_first(set, i)) {
            (void)printf("%s%.*s", gap, (int)word.length, word.bytes);
            gap = "|";
        }
    }
}

void completion_print_zsh(const struct command_set *set)
{
    (void)puts("#compdef nixie\n"
               "# zsh completion for nixie, made by \"nixie completion zsh\"");
    print_words();
    print_verbs(set);
    print_arguments(set);
    (void)fputs("_nixie() {\n"
                "    local context state state_descr line helps\n"
                "    local -a nixie_config\n"
                "    local -A opt_args\n"
                "\n"
                "    _arguments -C -s -S",
                stdout);
    print_options(set->options);
    (void)fputs(" \\\n"
                "        '1: : _nixie_verbs \"\"' \\\n"
                "        '*:: :->command'\n"
                "    [[ $state == command ]] || return\n"
                "    nixie_config=(${opt_args[-c]:-${opt_args[--config]}})\n"
                "    (($#nixie_config == 0)) || "
                "nixie_config=(-c $nixie_config)\n"
                "    if [[ $words[1] == help ]]; then\n"
                "        helps=yes\n"
                "        shift words\n"
                "        ((CURRENT--))\n"
                "        ((CURRENT > 1)) || { _nixie_verbs ''; return }\n"
                "    fi\n"
                "    case $words[1] in\n"
                "    ",
                stdout);
    print_groups(set);
    (void)puts(")\n"
               "        ((CURRENT > 2)) || { _nixie_verbs $words[1]; return }\n"
               "        words=(\"$words[1] $words[2]\" \"${(@)words[3,-1]}\")\n"
               "        ((CURRENT--)) ;;\n"
               "    esac\n"
               "    [[ -n $helps ]] || _nixie_command $words[1]\n"
               "}\n"
               "\n"
               "if [[ $funcstack[1] == _nixie ]]; then\n"
               "    _nixie \"$@\"\n"
               "else\n"
               "    compdef _nixie nixie\n"
               "fi");
}
