#include "settings_scope.h"

#include "mailbox.h"
#include "policy.h"
#include "reason.h"
#include "scope.h"
#include "settings.h"
#include "settings_check.h"
#include "settings_policy.h"
#include "settings_value.h"
#include "text.h"
#include "trace_seal.h"

#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 1000
#define NAME_MOST  255 /* bytes that a session keeps of a name */

static const char *const conditions[] = {"listeners", "auth_users", "clients",
                                         "senders"};

/* --- single keys -------------------------------------------------------- */

/* What goes for the values of any condition; NULL: nothing is wrong. */
static const char *list_advice(cfg_opt_t *option)
{
    if (cfg_opt_size(option) > VALUES_MAX) {
        return "write at most 1000";
    }
    return settings_is_repeated(option) ? "write each once" : NULL;
}

/* Names are the MTA's: bytes that it can tell, in one line. */
static bool is_name(const char *value)
{
    size_t length = strlen(value);

    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)value[i] < ' ' || value[i] == 0x7f) {
            return false;
        }
    }
    return length >= 1 && length <= NAME_MOST;
}

static int check_name(cfg_t *cfg, cfg_opt_t *option)
{
    const char *advice = list_advice(option);

    if (advice == NULL && !is_name(settings_newest(option))) {
        advice = "write 1 to 255 bytes without control characters, as the MTA "
                 "names it";
    }
    return advice == NULL ? 0 : settings_refuse(cfg, option, advice);
}

static int check_client(cfg_t *cfg, cfg_opt_t *option)
{
    const char *advice = list_advice(option);
    struct client_network network;
    struct error error = {""};

    if (advice == NULL &&
        !client_network_parse(text_of(settings_newest(option)), &network,
                              &error)) {
        advice = error.text;
    }
    return advice == NULL ? 0 : settings_refuse(cfg, option, advice);
}

static int check_sender(cfg_t *cfg, cfg_opt_t *option)
{
    const char *advice = list_advice(option);

    if (advice == NULL) {
        advice = settings_pattern_advice(settings_newest(option));
    }
    return advice == NULL ? 0 : settings_refuse(cfg, option, advice);
}

/* --- a section ---------------------------------------------------------- */

/* At its end: a scope that all mail is in is none. */
static int check_scope(cfg_t *cfg, cfg_opt_t *option)
{
    unsigned count = cfg_opt_size(option);
    cfg_t *section = cfg_opt_getnsec(option, count - 1);
    unsigned values = 0;

    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        values += cfg_size(section, conditions[i]);
    }
    if (values == 0) {
        cfg_error(cfg,
                  "scope \"%s\" has no condition, so all mail would be in it: "
                  "write listeners, auth_users, clients or senders, such as "
                  "senders = {\"@news.example.org\"}",
                  cfg_title(section));
        return -1;
    }
    if (count > SCOPES_MAX) {
        cfg_error(cfg, "scope \"%s\": write at most %d sections",
                  cfg_title(section), SCOPES_MAX);
        return -1;
    }
    return 0;
}

void settings_scope_register(cfg_t *cfg)
{
    static const struct {
        const char *key;
        cfg_validate_callback_t function;
    } checks[] = {
        {"scope", check_scope},           {"scope|listeners", check_name},
        {"scope|auth_users", check_name}, {"scope|clients", check_client},
        {"scope|senders", check_sender},  {"scope|mode", settings_check_mode},
    };

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        (void)cfg_set_validate_func(cfg, checks[i].key, checks[i].function);
    }
}

/* --- values ------------------------------------------------------------- */

static bool take_clients(cfg_t *section, struct scope *scope)
{
    unsigned count = cfg_size(section, "clients");
    struct error error;

    scope->clients = calloc(count + (size_t)1, sizeof scope->clients[0]);
    if (scope->clients == NULL) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        const char *network = cfg_getnstr(section, "clients", i);

        if (network == NULL ||
            !client_network_parse(text_of(network), &scope->clients[i],
                                  &error)) {
            return false;
        }
        scope->client_count++;
    }
    return true;
}

static bool take_senders(cfg_t *section, const struct mailbox_rules *rules,
                         struct scope *scope)
{
    unsigned count = cfg_size(section, "senders");

    scope->senders = calloc(count + (size_t)1, sizeof scope->senders[0]);
    if (scope->senders == NULL) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        const char *pattern = cfg_getnstr(section, "senders", i);

        if (pattern == NULL) {
            return false;
        }
        (void)mailbox_parse_pattern(text_of(pattern), rules,
                                    &scope->senders[i]);
        scope->sender_count++;
    }
    return true;
}

static bool take_mode(cfg_t *section, const struct settings *settings,
                      struct scope *scope)
{
    const char *mode;

    scope->mode = settings->mode;
    if (cfg_size(section, "mode") == 0) {
        return true;
    }
    mode = cfg_getstr(section, "mode");
    if (mode == NULL) {
        return false;
    }
    scope->mode = mode[0] == 'o' ? MODE_OBSERVE : MODE_ENFORCE;
    return true;
}

static bool take_scope(cfg_t *section, const struct settings *settings,
                       struct scope *scope)
{
    const char *title = cfg_title(section);

    if (title == NULL) {
        return false;
    }
    (void)text_copy(text_of(title), scope->name, sizeof scope->name);
    scope->code = trace_scope_code(text_of(title));
    scope->listeners = settings_copy_list(section, "listeners");
    scope->auth_users = settings_copy_list(section, "auth_users");
    scope->policies = settings->policies;
    return scope->listeners != NULL && scope->auth_users != NULL &&
           take_clients(section, scope) &&
           take_senders(section, &settings->mailbox_rules, scope) &&
           take_mode(section, settings, scope) &&
           settings_policies_take(section, &scope->policies);
}

/* Reports could not tell one from the other. */
static bool is_alone(cfg_t *section, const struct settings *settings,
                     const struct scope *scope)
{
    const struct scope *other = scope_of_code(settings, scope->code);

    if (other == NULL) {
        return true;
    }
    cfg_error(section,
              "scope \"%s\" has the same code in marks as scope \"%s\": "
              "give one of them another name",
              scope->name, other->name);
    return false;
}

bool settings_scope_take(cfg_t *cfg, struct settings *settings)
{
    unsigned count = cfg_size(cfg, "scope");

    settings->scopes = calloc(count + (size_t)1, sizeof settings->scopes[0]);
    if (settings->scopes == NULL) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        cfg_t *section = cfg_getnsec(cfg, "scope", i);
        struct scope *scope = &settings->scopes[i];
        bool taken = take_scope(section, settings, scope) &&
                     is_alone(section, settings, scope);

        settings->scope_count++; /* it is freed as far as it was taken */
        if (!taken) {
            return false;
        }
    }
    return true;
}

void settings_scope_free(struct settings *settings)
{
    for (size_t i = 0; i < settings->scope_count; i++) {
        struct scope *scope = &settings->scopes[i];

        settings_free_list(scope->listeners);
        settings_free_list(scope->auth_users);
        free(scope->clients);
        free(scope->senders);
    }
    free(settings->scopes);
}
