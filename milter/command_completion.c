#include "command_completion.h"

#include "event.h"
#include "list_column.h"
#include "reason.h"
#include "scope.h"

#include <stdio.h>
#include <string.h>

/* Words of commands that they know without a table of ours. */
static const char *const origins[] = {
    "session", "report", "maillog", "redis", "command", "policy", NULL,
};
static const char *const forms[] = {"csv", "jsonl", NULL};
static const char *const breakdowns[] = {"type", "hour", "reason", "domain",
                                         NULL};
static const char *const shells[] = {"bash", "zsh", "fish", NULL};

const char *completion_kind_name(enum completion_kind kind)
{
    static const char *const names[COMPLETION_KINDS] = {
        [COMPLETION_NONE] = "none",
        [COMPLETION_FILES] = "files",
        [COMPLETION_FOLDERS] = "folders",
        [COMPLETION_SCOPES] = "scopes",
        [COMPLETION_TYPES] = "types",
        [COMPLETION_REASONS] = "reasons",
        [COMPLETION_ORIGINS] = "origins",
        [COMPLETION_ENTRY_ORIGINS] = "entry_origins",
        [COMPLETION_FORMS] = "forms",
        [COMPLETION_SERVICES] = "services",
        [COMPLETION_BREAKDOWNS] = "breakdowns",
        [COMPLETION_SHELLS] = "shells",
    };

    return names[kind];
}

/* The services that lists are imported from. */
static const char *service(size_t index)
{
    return index + 1 < LIST_PRESETS
               ? list_preset_name((enum list_preset)(index + 1))
               : NULL;
}

/* What made an entry: policy, an operator, or the service it came from. */
static const char *entry_origin(size_t index)
{
    return index == 0 ? "policy" : index == 1 ? "command" : service(index - 2);
}

static const char *word_of(const char *const *words, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (words[i] == NULL) {
            return NULL;
        }
    }
    return words[index];
}

const char *completion_word(enum completion_kind kind, size_t index)
{
    switch (kind) {
    case COMPLETION_TYPES:
        return index < EVENT_TYPES ? event_type_name((enum event_type)index)
                                   : NULL;
    case COMPLETION_REASONS:
        return index < REASONS ? reason_name((enum reason)index) : NULL;
    case COMPLETION_ORIGINS:
        return word_of(origins, index);
    case COMPLETION_ENTRY_ORIGINS:
        return entry_origin(index);
    case COMPLETION_FORMS:
        return word_of(forms, index);
    case COMPLETION_SERVICES:
        return service(index);
    case COMPLETION_BREAKDOWNS:
        return word_of(breakdowns, index);
    case COMPLETION_SHELLS:
        return word_of(shells, index);
    case COMPLETION_NONE:
    case COMPLETION_FILES:
    case COMPLETION_FOLDERS:
    case COMPLETION_SCOPES:
        break;
    }
    return NULL;
}

/* Help names the argument; this tells what may stand there. */
enum completion_kind completion_of_option(const struct command_option *option)
{
    static const struct {
        const char *argument;
        const char *option; /* NULL: any */
        enum completion_kind kind;
    } kinds[] = {
        {"REASON", NULL, COMPLETION_REASONS},
        {"TYPE", NULL, COMPLETION_TYPES},
        {"FILE", NULL, COMPLETION_FILES},
        {"DIR", NULL, COMPLETION_FOLDERS},
        {"NAME", "scope", COMPLETION_SCOPES},
        {"NAME", "bulk-scope", COMPLETION_SCOPES},
        {"WORD", "origin", COMPLETION_ORIGINS},
        {"ORIGIN", NULL, COMPLETION_ENTRY_ORIGINS},
        {"FORM", NULL, COMPLETION_FORMS},
        {"SERVICE", NULL, COMPLETION_SERVICES},
        {"WHAT", "by", COMPLETION_BREAKDOWNS},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (option->argument != NULL &&
            strcmp(option->argument, kinds[i].argument) == 0 &&
            (kinds[i].option == NULL ||
             strcmp(option->name, kinds[i].option) == 0)) {
            return kinds[i].kind;
        }
    }
    return COMPLETION_NONE;
}

enum completion_kind completion_of_arguments(const struct command *command)
{
    if (strstr(command->arguments, "FILE") != NULL) {
        return COMPLETION_FILES;
    }
    return strcmp(command->arguments, "SHELL") == 0 ? COMPLETION_SHELLS
                                                    : COMPLETION_NONE;
}

struct text completion_first_word(const struct command *command)
{
    return (struct text){command->name, strcspn(command->name, " ")};
}

bool completion_is_verb(const struct command *command)
{
    return strchr(command->name, ' ') != NULL;
}

bool completion_is_first(const struct command_set *set, size_t index)
{
    struct text word = completion_first_word(&set->commands[index]);

    for (size_t i = 0; i < index; i++) {
        struct text before = completion_first_word(&set->commands[i]);

        if (before.length == word.length &&
            memcmp(before.bytes, word.bytes, word.length) == 0) {
            return false;
        }
    }
    return true;
}

/* --- the command ------------------------------------------------------- */

static enum command_status print_scopes(const struct command_call *call)
{
    struct error error = {""};
    struct settings *settings = settings_load(call->settings_path, &error);

    if (settings == NULL) {
        command_complain(call, "%s", error.text);
        return COMMAND_FAULT;
    }
    for (size_t i = 0; i < settings->scope_count; i++) {
        (void)puts(settings->scopes[i].name);
    }
    settings_free(settings);
    return COMMAND_OK;
}

enum command_status command_completion(const struct command_call *call,
                                       const struct command_set *set)
{
    static void (*const prints[])(const struct command_set *) = {
        completion_print_bash,
        completion_print_zsh,
        completion_print_fish,
    };

    if (strcmp(call->arguments[0], "scopes") == 0) {
        return print_scopes(call);
    }
    for (size_t i = 0; shells[i] != NULL; i++) {
        if (strcmp(call->arguments[0], shells[i]) == 0) {
            prints[i](set);
            return COMMAND_OK;
        }
    }
    command_complain(call, "write bash, zsh, fish or scopes");
    return COMMAND_FAULT;
}
