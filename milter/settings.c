#include "settings.h"

#include "bounce_rules.h"
#include "clock.h"
#include "settings_check.h"
#include "settings_file.h"
#include "settings_maillog.h"
#include "settings_policy.h"
#include "settings_scope.h"
#include "settings_trace.h"
#include "settings_value.h"
#include "text.h"

#include <arpa/inet.h>
#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTION_SIZE 128

/*
 * libconfuse gives its error function no pointer of ours: this is where the
 * thread that loads finds its struct error.
 */
static _Thread_local struct error *loading_error;

/*
 * libconfuse tells what is wrong, not what would be right. The name of the
 * key stands between the two; all else is told before libconfuse sees it.
 */
static void advise(struct text said, char *told, size_t size)
{
    static const struct {
        const char *said;
        const char *advice;
    } advices[] = {
        {"invalid integer value for option '", "takes a whole number"},
        {"integer value for option '", "takes a whole number, a smaller one"},
        {"invalid boolean value for option '", "takes true or false"},
    };

    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++) {
        size_t length = strlen(advices[i].said);
        const char *key = said.bytes + length;

        if (strncmp(said.bytes, advices[i].said, length) == 0) {
            (void)snprintf(told, size, "%.*s %s", (int)strcspn(key, "'"), key,
                           advices[i].advice);
            return;
        }
    }
    (void)text_copy(said, told, size);
}

/* "scope \"news\": ", or "" at top level and where told says it already. */
static void name_section(const cfg_t *cfg, const char *told,
                         char section[SECTION_SIZE])
{
    const char *name = cfg == NULL || cfg->name == NULL ? "root" : cfg->name;

    section[0] = '\0';
    if (strcmp(name, "root") == 0 || strncmp(told, name, strlen(name)) == 0) {
        return;
    }
    if (cfg->title != NULL) {
        (void)snprintf(section, SECTION_SIZE, "%s \"%.80s\": ", name,
                       cfg->title);
    } else {
        (void)snprintf(section, SECTION_SIZE, "%s: ", name);
    }
}

__attribute__((format(printf, 2, 0))) static void
keep_error(cfg_t *cfg, const char *format, va_list arguments)
{
    char text[ERROR_SIZE];
    char told[ERROR_SIZE];
    char section[SECTION_SIZE];

    if (loading_error == NULL || loading_error->text[0] != '\0') {
        return; /* the first fault tells most */
    }
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    for (char *byte = text; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < ' ' || *byte == 0x7f) {
            *byte = '?'; /* the file's own bytes, but one line */
        }
    }
    advise(text_of(text), told, sizeof told);
    name_section(cfg, told, section);
    if (cfg != NULL && cfg->filename != NULL) {
        error_set(loading_error, "%s:%d: %s%s", cfg->filename, cfg->line,
                  section, told);
    } else {
        error_set(loading_error, "%s", told);
    }
}

struct sections {
    cfg_opt_t *domain, *policy, *scope, *breaker;
};

/* libconfuse copies all of it, but takes no const. */
static cfg_t *make_keys(const struct sections *sections)
{
    char none[] = "{}";
    char exempt[] = "{\"postmaster@\", \"abuse@\"}";
    char bounce_rules[] = "{\"/etc/nixie/bounce-rules.conf\", "
                          "\"/usr/share/nixie/bounce-rules.conf\"}";
    char outgoing_clients[] = "{\"127.0.0.0/8\", \"::1/128\"}";
    char retry_schedule[] = "{\"postfix\"}";
    cfg_opt_t options[] = {
        CFG_STR("node", "", CFGF_NONE),
        CFG_STR("user", "nixie", CFGF_NONE),
        CFG_STR("milter_socket", "unix:/run/nixie/milter.sock", CFGF_NONE),
        CFG_STR("milter_socket_group", "postfix", CFGF_NONE),
        CFG_STR("milter_socket_mode", "0660", CFGF_NONE),
        CFG_BOOL("allow_remote_mta", cfg_false, CFGF_NONE),
        CFG_STR("state_dir", "/var/lib/nixie", CFGF_NONE),
        CFG_STR("event_log", "/var/log/nixie/events.jsonl", CFGF_NONE),
        CFG_STR("event_log_sync", "interval", CFGF_NONE),
        CFG_STR("event_log_format", "flat", CFGF_NONE),
        CFG_STR("event_log_retention", "72h", CFGF_NONE),
        CFG_STR("privacy", "full", CFGF_NONE),
        CFG_STR("on_log_failure", "accept", CFGF_NONE),
        CFG_INT("client_event_rate", 200, CFGF_NONE),
        CFG_STR("redis", "unix:/run/redis/redis-server.sock", CFGF_NONE),
        CFG_STR("redis_user", "", CFGF_NONE),
        CFG_STR("redis_password_file", "", CFGF_NONE),
        CFG_INT("redis_timeout_ms", 50, CFGF_NONE),
        CFG_STR("key_prefix", "nixie:", CFGF_NONE),
        CFG_STR("on_store_failure", "cached", CFGF_NONE),
        CFG_STR("suppression_cache_memory", "256M", CFGF_NONE),
        CFG_STR("mode", "enforce", CFGF_NONE),
        CFG_STR("refusal", "550 5.7.1 Recipient suppressed: %R%s [%i]",
                CFGF_NONE),
        CFG_BOOL("fold_local_case", cfg_true, CFGF_NONE),
        CFG_STR_LIST("local_domains", none, CFGF_NONE),
        CFG_STR_LIST("exempt", exempt, CFGF_NONE),
        CFG_SEC("domain", sections->domain,
                CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_STR_LIST("bounce_rules", bounce_rules, CFGF_NONE),
        CFG_SEC("policy", sections->policy,
                CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_SEC("breaker", sections->breaker, CFGF_MULTI),
        CFG_SEC("scope", sections->scope,
                CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_STR("trace_keys", "/var/lib/nixie/trace.keys", CFGF_NONE),
        CFG_STR_LIST("outgoing_clients", outgoing_clients, CFGF_NONE),
        CFG_STR_LIST("maillog", none, CFGF_NONE),
        CFG_STR("maillog_trust", "seen", CFGF_NONE),
        CFG_STR("maillog_rejections", "sendmail", CFGF_NONE),
        CFG_STR_LIST("internal_relays", none, CFGF_NONE),
        CFG_STR_LIST("retry_schedule", retry_schedule, CFGF_NONE),
        CFG_INT("delay_notice_after", 0, CFGF_NONE),
        CFG_STR("delay_notice_relay", "127.0.0.1:25", CFGF_NONE),
        CFG_STR("delay_notice_language", "en", CFGF_NONE),
        CFG_STR("delay_notice_folder", "/usr/share/nixie/notices", CFGF_NONE),
        CFG_INT("delay_notice_limit", 100, CFGF_NONE),
        CFG_STR("metrics", "", CFGF_NONE),
        CFG_END(),
    };

    return cfg_init(options, CFGF_NONE);
}

static cfg_t *make_parser(void)
{
    char none[] = "{}";
    cfg_opt_t domain_options[] = {
        CFG_BOOL("fold_tags", cfg_false, CFGF_NONE),
        CFG_END(),
    };
    cfg_opt_t policy_options[] = {
        /* the defaults are those of the reason */
        CFG_INT("strikes", 0, CFGF_NODEFAULT),
        CFG_INT("days", 0, CFGF_NODEFAULT),
        CFG_STR("window", NULL, CFGF_NODEFAULT),
        CFG_STR_LIST("release", NULL, CFGF_NODEFAULT),
        CFG_END(),
    };
    cfg_opt_t scope_options[] = {
        CFG_STR_LIST("listeners", none, CFGF_NONE),
        CFG_STR_LIST("auth_users", none, CFGF_NONE),
        CFG_STR_LIST("clients", none, CFGF_NONE),
        CFG_STR_LIST("senders", none, CFGF_NONE),
        CFG_STR("mode", NULL, CFGF_NODEFAULT), /* that of all */
        CFG_SEC("policy", policy_options,
                CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
        CFG_END(),
    };
    cfg_opt_t breaker_options[] = {
        CFG_INT("domain_failures", 20, CFGF_NONE),
        CFG_INT("all_failures", 200, CFGF_NONE),
        CFG_INT("percent", 50, CFGF_NONE),
        CFG_STR("pause", "1h", CFGF_NONE),
        CFG_END(),
    };
    const struct sections sections = {domain_options, policy_options,
                                      scope_options, breaker_options};
    cfg_t *cfg = make_keys(&sections);

    if (cfg == NULL) {
        return NULL;
    }
    (void)cfg_set_error_function(cfg, keep_error);
    settings_check_register(cfg);
    settings_policy_register(cfg);
    settings_scope_register(cfg);
    settings_maillog_register(cfg);
    settings_trace_register(cfg);
    return cfg;
}

/* NULL, too, where libconfuse had no memory for the value. */
static char *copy(const char *value)
{
    return value == NULL ? NULL : strdup(value);
}

/* Whether all strings of the settings could be copied. */
static bool take_strings(cfg_t *cfg, struct settings *settings)
{
    const struct {
        const char *key;
        char **target;
    } strings[] = {
        {"node", &settings->node},
        {"user", &settings->user},
        {"milter_socket", &settings->milter_socket},
        {"milter_socket_group", &settings->milter_socket_group},
        {"state_dir", &settings->state_dir},
        {"event_log", &settings->event_log},
        {"redis", &settings->redis},
        {"redis_user", &settings->redis_user},
        {"redis_password_file", &settings->redis_password_file},
        {"key_prefix", &settings->key_prefix},
        {"refusal", &settings->refusal},
        {"delay_notice_relay", &settings->delay_notice_relay},
        {"delay_notice_language", &settings->delay_notice_language},
        {"delay_notice_folder", &settings->delay_notice_folder},
        {"metrics", &settings->metrics},
    };

    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        *strings[i].target = copy(cfg_getstr(cfg, strings[i].key));
        if (*strings[i].target == NULL) {
            return false;
        }
    }
    return true;
}

static bool take_local_domains(cfg_t *cfg, struct settings *settings)
{
    unsigned count = cfg_size(cfg, "local_domains");

    settings->local_domains = calloc(count + 1, sizeof(char *));
    if (settings->local_domains == NULL) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        char normal[MAILBOX_DOMAIN_MAX + 1];

        (void)mailbox_parse_domain(
            text_of(cfg_getnstr(cfg, "local_domains", i)), normal);
        settings->local_domains[i] = copy(normal);
        if (settings->local_domains[i] == NULL) {
            return false;
        }
    }
    return true;
}

static bool take_fold_tag_domains(cfg_t *cfg, struct settings *settings)
{
    unsigned count = cfg_size(cfg, "domain");
    size_t used = 0;

    settings->fold_tag_domains = calloc(count + 1, sizeof(char *));
    if (settings->fold_tag_domains == NULL) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        cfg_t *section = cfg_getnsec(cfg, "domain", i);
        char normal[MAILBOX_DOMAIN_MAX + 1];

        if (cfg_getbool(section, "fold_tags")) {
            (void)mailbox_parse_domain(text_of(cfg_title(section)), normal);
            settings->fold_tag_domains[used] = copy(normal);
            if (settings->fold_tag_domains[used++] == NULL) {
                return false;
            }
        }
    }
    return true;
}

static bool take_exempt(cfg_t *cfg, struct settings *settings)
{
    settings->exempt_count = cfg_size(cfg, "exempt");
    settings->exempt =
        calloc(settings->exempt_count + 1, sizeof settings->exempt[0]);
    if (settings->exempt == NULL) {
        return false;
    }
    for (size_t i = 0; i < settings->exempt_count; i++) {
        (void)mailbox_parse_pattern(
            text_of(cfg_getnstr(cfg, "exempt", (unsigned)i)),
            &settings->mailbox_rules, &settings->exempt[i]);
    }
    return true;
}

static bool take_words(cfg_t *cfg, struct settings *settings)
{
    static const char *const words[] = {
        "event_log_sync",
        "on_log_failure",
        "on_store_failure",
        "mode",
        "milter_socket_mode",
        "event_log_retention",
        "event_log_format",
        "suppression_cache_memory",
        "privacy",
    };
    const char *sync = cfg_getstr(cfg, "event_log_sync");

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (cfg_getstr(cfg, words[i]) == NULL) {
            return false;
        }
    }
    settings->event_log_sync = sync[0] == 'o'   ? EVENT_LOG_SYNC_OFF
                               : sync[0] == 'g' ? EVENT_LOG_SYNC_GROUP
                                                : EVENT_LOG_SYNC_INTERVAL;
    settings->event_log_format = cfg_getstr(cfg, "event_log_format")[0] == 'e'
                                     ? EVENT_LOG_ECS
                                     : EVENT_LOG_FLAT;
    settings->privacy = cfg_getstr(cfg, "privacy")[0] == 'h'   ? PRIVACY_HASH
                        : cfg_getstr(cfg, "privacy")[0] == 'd' ? PRIVACY_DOMAIN
                                                               : PRIVACY_FULL;
    settings->on_log_failure = cfg_getstr(cfg, "on_log_failure")[0] == 'a'
                                   ? FAILURE_ACCEPT
                                   : FAILURE_TEMPFAIL;
    settings->on_store_failure =
        cfg_getstr(cfg, "on_store_failure")[0] == 'c'   ? FAILURE_CACHED
        : cfg_getstr(cfg, "on_store_failure")[0] == 'a' ? FAILURE_ACCEPT
                                                        : FAILURE_TEMPFAIL;
    (void)settings_parse_memory(cfg_getstr(cfg, "suppression_cache_memory"),
                                &settings->suppression_cache_memory);
    settings->mode =
        cfg_getstr(cfg, "mode")[0] == 'o' ? MODE_OBSERVE : MODE_ENFORCE;
    settings->milter_socket_mode =
        (unsigned)strtoul(cfg_getstr(cfg, "milter_socket_mode"), NULL, 8);
    settings->milter_socket_group_is_default =
        (cfg_getopt(cfg, "milter_socket_group")->flags & CFGF_MODIFIED) == 0;
    settings->allow_remote_mta = cfg_getbool(cfg, "allow_remote_mta");
    settings->fold_local_case = cfg_getbool(cfg, "fold_local_case");
    settings->client_event_rate = cfg_getint(cfg, "client_event_rate");
    settings->redis_timeout_ms = (int)cfg_getint(cfg, "redis_timeout_ms");
    (void)clock_parse_duration(cfg_getstr(cfg, "event_log_retention"),
                               &settings->event_log_retention_s);
    return true;
}

static bool is_loopback(const char *host)
{
    struct in_addr address;

    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "[::1]") == 0 ||
           (strncmp(host, "127.", 4) == 0 &&
            inet_pton(AF_INET, host, &address) == 1);
}

/* What one key alone cannot tell. */
static bool check_together(const struct settings *settings, const char *path,
                           struct error *error)
{
    const char *host = strchr(settings->milter_socket, '@');

    if (host != NULL && !settings->allow_remote_mta && !is_loopback(host + 1)) {
        error_set(error,
                  "%s: milter_socket = '%s' listens beyond this host, and "
                  "whoever reaches it can forge events; write "
                  "\"inet:PORT@127.0.0.1\", or allow_remote_mta = true behind "
                  "a firewall",
                  path, settings->milter_socket);
        return false;
    }
    return true;
}

static void take_node(struct settings *settings)
{
    char name[256] = "";

    if (settings->node[0] != '\0') {
        return;
    }
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') {
        (void)snprintf(name, sizeof name, "localhost");
    }
    free(settings->node);
    settings->node = copy(name);
}

static struct settings *take(cfg_t *cfg, const char *path, struct error *error)
{
    struct settings *settings = calloc(1, sizeof *settings);

    if (settings == NULL || !take_strings(cfg, settings) ||
        !take_local_domains(cfg, settings) ||
        !take_fold_tag_domains(cfg, settings) || !take_words(cfg, settings) ||
        !settings_policy_take(cfg, settings) ||
        !settings_maillog_take(cfg, settings) ||
        !settings_trace_take(cfg, settings)) {
        goto memory;
    }
    settings->mailbox_rules.local_domains =
        (const char *const *)settings->local_domains;
    settings->mailbox_rules.fold_tag_domains =
        (const char *const *)settings->fold_tag_domains;
    settings->mailbox_rules.keep_local_case = !settings->fold_local_case;
    if (!take_exempt(cfg, settings) || !settings_scope_take(cfg, settings)) {
        goto memory;
    }
    (void)settings_check_refusal(settings->refusal, settings->refusal_code,
                                 settings->refusal_enhanced_status,
                                 &settings->refusal_text);
    take_node(settings);
    if (settings->node == NULL) {
        goto memory;
    }
    if (!check_together(settings, path, error)) {
        settings_free(settings);
        return NULL;
    }
    return settings;
memory:
    if (error->text[0] == '\0') {
        error_set(error, "out of memory");
    }
    settings_free(settings);
    return NULL;
}

static bool parse_text(cfg_t *cfg, char *text, struct error *error)
{
    FILE *file;
    int status;

    if (text[0] == '\0') {
        return true; /* fmemopen() may not take it */
    }
    file = fmemopen(text, strlen(text), "r");
    if (file == NULL) {
        error_set_errno(error, "%s", cfg->filename);
        return false;
    }
    errno = 0; /* libconfuse looks at it, and does not clear it before */
    status = cfg_parse_fp(cfg, file);
    (void)fclose(file);
    if (status != CFG_SUCCESS && error->text[0] == '\0') {
        error_set(error, "%s:%d: cannot be read as a configuration",
                  cfg->filename, cfg->line);
    }
    return status == CFG_SUCCESS;
}

static bool parse_file(cfg_t *cfg, const char *path, int *rules_line,
                       struct error *error)
{
    char *text = settings_file_read(path, error);
    bool parsed = false;

    if (text == NULL) {
        return false;
    }
    cfg->filename = strdup(path);
    if (cfg->filename == NULL) {
        error_set(error, "%s: out of memory", path);
    } else {
        parsed = settings_file_prepare(text, cfg, path, rules_line, error) &&
                 parse_text(cfg, text, error);
    }
    free(text);
    return parsed;
}

struct settings *settings_load(const char *path, struct error *error)
{
    struct error unheard;
    struct settings *settings = NULL;
    cfg_t *cfg = make_parser();
    int rules_line = 0;

    if (error == NULL) {
        error = &unheard;
    }
    error->text[0] = '\0';
    if (cfg == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    loading_error = error;
    if (path == NULL || parse_file(cfg, path, &rules_line, error)) {
        settings = take(cfg, path == NULL ? "defaults" : path, error);
    }
    if (settings != NULL && rules_line > 0 &&
        asprintf(&settings->bounce_rules_place, "%s:%d", path, rules_line) <
            0) {
        settings->bounce_rules_place = NULL; /* then its errors say less */
    }
    loading_error = NULL;
    (void)cfg_free(cfg);
    return settings;
}

void settings_free(struct settings *settings)
{
    if (settings == NULL) {
        return;
    }
    free(settings->node);
    free(settings->user);
    free(settings->milter_socket);
    free(settings->milter_socket_group);
    free(settings->state_dir);
    free(settings->event_log);
    free(settings->redis);
    free(settings->redis_user);
    free(settings->redis_password_file);
    free(settings->key_prefix);
    free(settings->refusal);
    free(settings->delay_notice_relay);
    free(settings->delay_notice_language);
    free(settings->delay_notice_folder);
    free(settings->metrics);
    free(settings->trace_keys);
    free(settings->outgoing_clients);
    free(settings->retry_schedule_minutes);
    settings_free_list(settings->local_domains);
    settings_free_list(settings->fold_tag_domains);
    settings_free_list(settings->bounce_rules);
    free(settings->bounce_rules_place);
    settings_free_list(settings->maillog);
    settings_free_list(settings->internal_relays);
    bounce_rules_free(settings->rules);
    settings_scope_free(settings);
    free(settings->exempt);
    free(settings);
}

const char *settings_socket_path(const struct settings *settings)
{
    const char *colon = strchr(settings->milter_socket, ':');

    return colon != NULL && colon[1] == '/' ? colon + 1 : NULL;
}

static bool is_same_list(char *const *one, char *const *other)
{
    while (*one != NULL && *other != NULL && strcmp(*one, *other) == 0) {
        one++;
        other++;
    }
    return *one == NULL && *other == NULL;
}

const char *settings_needs_restart(const struct settings *running,
                                   const struct settings *loaded)
{
    const struct {
        const char *key;
        const char *now;
        const char *then;
    } fixed[] = {
        {"node", running->node, loaded->node},
        {"user", running->user, loaded->user},
        {"milter_socket", running->milter_socket, loaded->milter_socket},
        {"milter_socket_group", running->milter_socket_group,
         loaded->milter_socket_group},
        {"state_dir", running->state_dir, loaded->state_dir},
        {"event_log", running->event_log, loaded->event_log},
        {"redis", running->redis, loaded->redis},
        {"redis_user", running->redis_user, loaded->redis_user},
        {"redis_password_file", running->redis_password_file,
         loaded->redis_password_file},
        {"key_prefix", running->key_prefix, loaded->key_prefix},
        {"trace_keys", running->trace_keys, loaded->trace_keys},
        {"metrics", running->metrics, loaded->metrics},
    };

    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (strcmp(fixed[i].now, fixed[i].then) != 0) {
            return fixed[i].key;
        }
    }
    if (running->milter_socket_mode != loaded->milter_socket_mode) {
        return "milter_socket_mode";
    }
    if (running->allow_remote_mta != loaded->allow_remote_mta) {
        return "allow_remote_mta";
    }
    if (running->event_log_sync != loaded->event_log_sync) {
        return "event_log_sync";
    }
    if (running->event_log_format != loaded->event_log_format) {
        return "event_log_format";
    }
    if (running->privacy != loaded->privacy) {
        return "privacy";
    }
    if (running->event_log_retention_s != loaded->event_log_retention_s) {
        return "event_log_retention";
    }
    if (running->suppression_cache_memory != loaded->suppression_cache_memory) {
        return "suppression_cache_memory";
    }
    if (!is_same_list(running->maillog, loaded->maillog)) {
        return "maillog";
    }
    return running->redis_timeout_ms != loaded->redis_timeout_ms
               ? "redis_timeout_ms"
               : NULL;
}
