#include "command_completion.h"

#include <stdio.h>
#include <string.h>

static void print_words(void)
{
    (void)puts("_nixie_words() { # KIND\n"
               "    case $1 in\n"
               "    scopes) nixie \"${config[@]}\" completion scopes "
               "2>/dev/null ;;");
    for (int kind = 0; kind < COMPLETION_KINDS; kind++) {
        const char *word;

        if (completion_word((enum completion_kind)kind, 0) == NULL) {
            continue;
        }
        (void)printf("    %s)\n        printf '%%s\\n'",
                     completion_kind_name((enum completion_kind)kind));
        for (size_t i = 0;
             (word = completion_word((enum completion_kind)kind, i)) != NULL;
             i++) {
            (void)printf(" %s", word);
        }
        (void)puts(" ;;");
    }
    (void)puts("    esac\n"
               "}\n");
}

static void print_option_kinds(const char *command,
                               const struct command_option *option)
{
    for (; option->name != NULL; option++) {
        const char *kind = completion_kind_name(completion_of_option(option));

        if (option->argument == NULL) {
            continue;
        }
        (void)printf("    '%s:--%s'", command, option->name);
        if (option->letter != 0) {
            (void)printf(" | '%s:-%c'", command, option->letter);
        }
        (void)printf(") kind=%s ;;\n", kind);
    }
}

static void print_kinds(const struct command_set *set)
{
    (void)puts(
        "_nixie_option() { # COMMAND OPTION: sets kind to what is behind "
        "it\n"
        "    case $1:$2 in");
    print_option_kinds("", set->options);
    for (size_t i = 0; i < set->count; i++) {
        print_option_kinds(set->commands[i].name, set->commands[i].options);
    }
    (void)puts("    *) return 1 ;;\n"
               "    esac\n"
               "}\n");
}

static void print_options(const struct command_option *option)
{
    for (; option->name != NULL; option++) {
        (void)printf("--%s\n", option->name);
        if (option->letter != 0) {
            (void)printf("-%c\n", option->letter);
        }
    }
}

static void print_command(const struct command *command)
{
    (void)printf("    '%s')\n        arguments=%s options='", command->name,
                 completion_kind_name(completion_of_arguments(command)));
    print_options(command->options);
    print_options(command_common_options);
    (void)puts("' ;;");
}

/* Of a group of verbs the first of them prints all. */
static void print_group(const struct command_set *set, size_t index)
{
    struct text word = completion_first_word(&set->commands[index]);

    (void)printf("    %.*s) verbs='", (int)word.length, word.bytes);
    for (size_t i = index; i < set->count; i++) {
        const char *name = set->commands[i].name;

        if (strncmp(name, word.bytes, word.length) == 0 &&
            name[word.length] == ' ') {
            (void)printf("%s\n", name + word.length + 1);
        }
    }
    (void)puts("' options='--help\n-h' ;;");
}

static void print_commands(const struct command_set *set)
{
    (void)puts("_nixie_command() { # COMMAND: sets options, arguments, verbs\n"
               "    options= arguments=none verbs=\n"
               "    case $1 in");
    for (size_t i = 0; i < set->count; i++) {
        if (completion_is_verb(&set->commands[i]) &&
            completion_is_first(set, i)) {
            print_group(set, i);
        }
        print_command(&set->commands[i]);
    }
    (void)fputs("    '') options='", stdout);
    print_options(set->options);
    (void)fputs("' verbs='help\n", stdout);
    for (size_t i = 0; i < set->count; i++) {
        struct text word = completion_first_word(&set->commands[i]);

        if (completion_is_first(set, i)) {
            (void)printf("%.*s\n", (int)word.length, word.bytes);
        }
    }
    (void)puts("' ;;\n"
               "    esac\n"
               "}\n");
}

/* bash has parted --reason=user into three words, at the equals sign. */
static const char rest[] =
    "_nixie_values() { # KIND\n"
    "    local before=\n"
    "    case $1 in\n"
    "    none) ;;\n"
    "    files)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
    "        ;;\n"
    "    folders)\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -d -- \"$current\")\n"
    "        ;;\n"
    "    *)\n"
    "        [[ $1 != types || $current != *,* ]] || before=${current%,*},\n"
    "        mapfile -t COMPREPLY < <(compgen -P \"$before\" \\\n"
    "            -W \"$(_nixie_words \"$1\")\" -- \"${current##*,}\")\n"
    "        ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_nixie() {\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} previous= command= helps=\n"
    "    local options arguments verbs kind i\n"
    "    local -a config=()\n"
    "\n"
    "    COMPREPLY=()\n"
    "    _nixie_command ''\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        -c | --config)\n"
    "            [[ ${COMP_WORDS[i + 1]} != '=' ]] || ((i++))\n"
    "            ((++i < COMP_CWORD)) || break\n"
    "            config=(-c \"${COMP_WORDS[i]}\")\n"
    "            ;;\n"
    "        -*) ;;\n"
    "        help) [[ -n $command ]] || helps=yes ;;\n"
    "        *)\n"
    "            command=${command:+$command }${COMP_WORDS[i]}\n"
    "            _nixie_command \"$command\"\n"
    "            [[ -n $verbs ]] || break\n"
    "            ;;\n"
    "        esac\n"
    "    done\n"
    "    ((COMP_CWORD < 1)) || previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    if [[ $current == '=' ]]; then\n"
    "        current=\n"
    "    elif [[ $previous == '=' ]]; then\n"
    "        previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    if [[ -n $helps ]]; then\n"
    "        options= arguments=none\n"
    "    elif [[ $previous == -* ]] && _nixie_option \"$command\" "
    "\"$previous\"; "
    "then\n"
    "        _nixie_values \"$kind\"\n"
    "        return\n"
    "    fi\n"
    "    if [[ $current == -* ]]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- "
    "\"$current\")\n"
    "    elif [[ -n $verbs ]]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$verbs\" -- \"$current\")\n"
    "    else\n"
    "        _nixie_values \"$arguments\"\n"
    "    fi\n"
    "}\n"
    "complete -F _nixie nixie";

void completion_print_bash(const struct command_set *set)
{
    (void)puts(
        "# bash completion for nixie, made by \"nixie completion bash\"");
    print_words();
    print_kinds(set);
    print_commands(set);
    (void)puts(rest);
}
