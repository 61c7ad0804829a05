#include "settings_maillog.h"

#include "settings.h"
#include "settings_value.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define SOURCES_MAX   16
#define RELAYS_MAX    100
#define HOST_MAX      255 /* RFC 1035 2.3.4 */
#define STEPS_MAX     100
#define MINUTES_MAX   100000
#define ATTEMPTS_MOST 1000
#define NOTICES_MOST  100000

/* --- hosts -------------------------------------------------------------- */

/* A name or an IPv4 address. */
static bool is_host(const char *host, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-_";

    return length >= 1 && length <= HOST_MAX && strspn(host, allowed) >= length;
}

/* What is behind the host, "" or ":..."; NULL: there is no host. */
static const char *skip_host(const char *value)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr binary;
    const char *end;
    size_t length;

    if (value[0] != '[') {
        length = strcspn(value, ":");
        return is_host(value, length) ? value + length : NULL;
    }
    end = strchr(value, ']');
    length = end == NULL ? 0 : (size_t)(end - value) - 1;
    if (length == 0 || length >= sizeof address) {
        return NULL;
    }
    memcpy(address, value + 1, length);
    address[length] = '\0';
    return inet_pton(AF_INET6, address, &binary) == 1 ? end + 1 : NULL;
}

static int check_relay(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);
    const char *port = skip_host(value);

    if (cfg_opt_size(option) > RELAYS_MAX) {
        return settings_refuse(cfg, option, "write at most 100 next hops");
    }
    if (strchr(value, '/') != NULL && strchr(value, ':') == NULL &&
        settings_is_printable(value, 1, HOST_MAX)) {
        return 0; /* a socket */
    }
    return port != NULL && (port[0] == '\0' ||
                            (port[0] == ':' && settings_is_port(port + 1)))
               ? 0
               : settings_refuse(cfg, option,
                                 "write a next hop as the delivery log names "
                                 "it: \"host\", \"host:port\", "
                                 "\"[2001:db8::1]:port\" or the path of a "
                                 "socket, such as \"private/socket\"");
}

static int check_notice_relay(cfg_t *cfg, cfg_opt_t *option)
{
    const char *port = skip_host(settings_newest(option));

    return port != NULL && port[0] == ':' && settings_is_port(port + 1)
               ? 0
               : settings_refuse(cfg, option,
                                 "write \"HOST:PORT\", such as "
                                 "\"127.0.0.1:25\" or \"[::1]:25\"");
}

/* --- the delivery log --------------------------------------------------- */

static int check_maillog(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);
    unsigned count = cfg_opt_size(option);
    bool is_journal = strcmp(value, "journal") == 0;

    if (count > SOURCES_MAX) {
        return settings_refuse(cfg, option, "write at most 16 files");
    }
    if (settings_is_repeated(option)) {
        return settings_refuse(cfg, option, "write each log once");
    }
    if (count > 1 &&
        (is_journal || strcmp(cfg_opt_getnstr(option, 0), "journal") == 0)) {
        return settings_refuse(cfg, option,
                               "the journal and the files have the same lines; "
                               "write \"journal\" alone, or files alone");
    }
    if (!is_journal && value[0] != '/') {
        return settings_refuse(cfg, option,
                               "write the path of a file, such as "
                               "\"/var/log/mail.log\", or \"journal\"");
    }
    return is_journal ? 0 : settings_check_file(cfg, option);
}

static int check_trust(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    return strcmp(value, "seen") == 0 || strcmp(value, "all") == 0
               ? 0
               : settings_refuse(cfg, option, "write \"seen\" or \"all\"");
}

static int check_rejections(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    return strcmp(value, "none") == 0 || strcmp(value, "sendmail") == 0 ||
                   strcmp(value, "all") == 0
               ? 0
               : settings_refuse(cfg, option,
                                 "write \"none\", \"sendmail\" or \"all\"");
}

static bool is_minutes(const char *value)
{
    size_t length = strlen(value);

    return length >= 1 && length <= 6 && value[0] != '0' &&
           strspn(value, "0123456789") == length &&
           strtol(value, NULL, 10) <= MINUTES_MAX;
}

static int check_schedule(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);
    unsigned count = cfg_opt_size(option);

    if (count > STEPS_MAX) {
        return settings_refuse(cfg, option, "write at most 100 numbers");
    }
    if (strcmp(value, "postfix") == 0 && count == 1) {
        return 0;
    }
    return is_minutes(value) && is_minutes(cfg_opt_getnstr(option, 0))
               ? 0
               : settings_refuse(cfg, option,
                                 "write \"postfix\", or minutes from 1 to "
                                 "100000, such as {5, 15, 30}");
}

/* --- delay notices ------------------------------------------------------ */

static int check_attempts(cfg_t *cfg, cfg_opt_t *option)
{
    static const struct settings_range range = {0, ATTEMPTS_MOST,
                                                "attempts; 0: no notices"};

    return settings_check_range(cfg, option, &range);
}

static int check_limit(cfg_t *cfg, cfg_opt_t *option)
{
    static const struct settings_range range = {1, NOTICES_MOST,
                                                "notices an hour"};

    return settings_check_range(cfg, option, &range);
}

static int check_language(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);
    size_t length = strlen(value);

    return length >= 2 && length <= 8 &&
                   strspn(value, "abcdefghijklmnopqrstuvwxyz") == length
               ? 0
               : settings_refuse(cfg, option,
                                 "write the code of a language in 2 to 8 "
                                 "small letters, such as \"en\"");
}

void settings_maillog_register(cfg_t *cfg)
{
    static const struct {
        const char *key;
        cfg_validate_callback_t function;
    } checks[] = {
        {"maillog", check_maillog},
        {"maillog_trust", check_trust},
        {"maillog_rejections", check_rejections},
        {"internal_relays", check_relay},
        {"retry_schedule", check_schedule},
        {"delay_notice_after", check_attempts},
        {"delay_notice_relay", check_notice_relay},
        {"delay_notice_language", check_language},
        {"delay_notice_folder", settings_check_path},
        {"delay_notice_limit", check_limit},
    };

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        (void)cfg_set_validate_func(cfg, checks[i].key, checks[i].function);
    }
}

/* --- values ------------------------------------------------------------- */

static bool take_schedule(cfg_t *cfg, struct settings *settings)
{
    unsigned count = cfg_size(cfg, "retry_schedule");
    const char *first = cfg_getnstr(cfg, "retry_schedule", 0);

    if (first == NULL) {
        return false;
    }
    settings->retry_schedule_is_postfix = strcmp(first, "postfix") == 0;
    if (settings->retry_schedule_is_postfix) {
        return true;
    }
    settings->retry_schedule_minutes =
        calloc(count, sizeof settings->retry_schedule_minutes[0]);
    if (settings->retry_schedule_minutes == NULL) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        const char *minutes = cfg_getnstr(cfg, "retry_schedule", i);

        if (minutes == NULL) {
            return false;
        }
        settings->retry_schedule_minutes[i] = strtol(minutes, NULL, 10);
    }
    settings->retry_schedule_steps = count;
    return true;
}

bool settings_maillog_take(cfg_t *cfg, struct settings *settings)
{
    const char *trust = cfg_getstr(cfg, "maillog_trust");
    const char *rejections = cfg_getstr(cfg, "maillog_rejections");

    settings->maillog = settings_copy_list(cfg, "maillog");
    settings->internal_relays = settings_copy_list(cfg, "internal_relays");
    if (settings->maillog == NULL || settings->internal_relays == NULL ||
        trust == NULL || rejections == NULL) {
        return false;
    }
    settings->maillog_trust = trust[0] == 'a' ? TRUST_ALL : TRUST_SEEN;
    settings->maillog_rejections = rejections[0] == 'n'   ? REJECTIONS_NONE
                                   : rejections[0] == 'a' ? REJECTIONS_ALL
                                                          : REJECTIONS_SENDMAIL;
    settings->delay_notice_after = cfg_getint(cfg, "delay_notice_after");
    settings->delay_notice_limit = cfg_getint(cfg, "delay_notice_limit");
    return take_schedule(cfg, settings);
}
