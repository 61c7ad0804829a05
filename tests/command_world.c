#include "command_world.h"

#include "settings.h"
#include "shown.h"
#include "store_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOWHERE "/nonexistent/nixie"

static void replace(char **setting, const char *value)
{
    free(*setting);
    *setting = strdup(value);
    assert_non_null(*setting);
}

static struct settings *load_settings(const struct world *world,
                                      const struct command_run *run)
{
    struct error error = {""};
    struct settings *settings = settings_load(NULL, &error);

    assert_non_null(settings);
    replace(&settings->redis, redis_server_location(world->server));
    replace(&settings->state_dir,
            run->state_dir == NULL ? NOWHERE : run->state_dir);
    replace(&settings->event_log,
            run->event_log == NULL ? NOWHERE : run->event_log);
    return settings;
}

enum command_status command_world_run(const struct world *world,
                                      const struct command_run *run,
                                      char output[COMMAND_OUTPUT_MAX])
{
    struct settings *settings = load_settings(world, run);
    char *argument = strdup(run->argument == NULL ? "" : run->argument);
    char *arguments[] = {argument, NULL};
    struct command_call call = {.command = run->command,
                                .settings = settings,
                                .json = run->json,
                                .arguments = arguments,
                                .argument_count = run->argument != NULL};
    struct shown shown;
    enum command_status status;

    memcpy(call.values, run->values, sizeof call.values);
    shown_begin(&shown);
    status = run->command->run(&call);
    shown_end(&shown, output, COMMAND_OUTPUT_MAX);
    free(argument);
    settings_free(settings);
    return status;
}

const char *command_world_key(enum store_history kind, const char *owner,
                              const char *name)
{
    static struct store_key key;

    assert_true(store_key_history("nixie:", store_bucket(owner, strlen(owner)),
                                  kind, text_of(name), &key));
    return key.text;
}

void command_world_put(struct world *world, const char *verb, const char *key,
                       const char *field, const char *value)
{
    const char *const words[] = {verb, key, field, value};

    world_operate_bytes(world, value[0] == '\0' ? 3 : 4, words, NULL);
}
