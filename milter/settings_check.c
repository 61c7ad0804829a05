#include "settings_check.h"

#include "clock.h"
#include "error.h"
#include "mailbox.h"
#include "redis_endpoint.h"
#include "settings.h"
#include "settings_value.h"
#include "smtp_reply.h"
#include "store_key.h"
#include "web_address.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSAL_MAX     400 /* with reason and date within libmilter's 980 */
#define SOCKET_PATH_MAX 107 /* sun_path without its NUL */
#define RETENTION_LEAST 3600
#define TIMEOUT_MOST_MS 1000
#define RATE_MOST       100000
#define EXEMPT_MAX      1000
#define U_FFFD          "\xef\xbf\xbd" /* in place of bytes that are no UTF-8 */

static int check_node(cfg_t *cfg, cfg_opt_t *option)
{
    return settings_is_printable(settings_newest(option), 0, 255)
               ? 0
               : settings_refuse(
                     cfg, option,
                     "write at most 255 printable characters, no blanks");
}

static int check_user(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    if (strcmp(value, "root") == 0 || strcmp(value, "0") == 0) {
        return settings_refuse(
            cfg, option, "nixied does not run as root; write user = \"nixie\"");
    }
    return settings_is_printable(value, 1, 64)
               ? 0
               : settings_refuse(cfg, option, "write the name of a user");
}

static int check_group(cfg_t *cfg, cfg_opt_t *option)
{
    return settings_is_printable(settings_newest(option), 0, 64)
               ? 0
               : settings_refuse(cfg, option,
                                 "write the name of a group, or \"\"");
}

static int check_milter_socket(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);
    const char *colon = strchr(value, ':');
    char *end;
    unsigned long port;

    if (strncmp(value, "unix:/", 6) == 0 || strncmp(value, "local:/", 7) == 0) {
        return strlen(colon + 1) <= SOCKET_PATH_MAX
                   ? 0
                   : settings_refuse(cfg, option,
                                     "a socket's path has at most 107 bytes");
    }
    if (strncmp(value, "inet:", 5) != 0 && strncmp(value, "inet6:", 6) != 0) {
        return settings_refuse(
            cfg, option, "write \"unix:/path\" or \"inet:PORT@127.0.0.1\"");
    }
    errno = 0;
    port = strtoul(colon + 1, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)colon[1]) || port < 1 ||
        port > 65535 || *end != '@' ||
        !settings_is_printable(end + 1, 1, 255)) {
        return settings_refuse(cfg, option,
                               "write \"inet:PORT@HOST\", such as "
                               "\"inet:8895@127.0.0.1\"");
    }
    return 0;
}

static int check_socket_mode(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);
    size_t length = strlen(value);

    if (length < 3 || length > 4 || strspn(value, "01234567") != length) {
        return settings_refuse(cfg, option,
                               "write an octal mode, such as \"0660\"");
    }
    if ((strtoul(value, NULL, 8) & 02) != 0) {
        return settings_refuse(
            cfg, option,
            "everybody could write to the socket and forge events; "
            "write \"0660\" and set milter_socket_group");
    }
    return 0;
}

static int check_retention(cfg_t *cfg, cfg_opt_t *option)
{
    int64_t seconds;

    if (!clock_parse_duration(settings_newest(option), &seconds) ||
        seconds < RETENTION_LEAST) {
        return settings_refuse(
            cfg, option,
            "write a duration of at least 1h, such as \"72h\" or "
            "\"30d\"");
    }
    return 0;
}

/* A URL, as other programs take it: what it is here. */
static int refuse_url(cfg_t *cfg, cfg_opt_t *option, size_t scheme)
{
    const char *rest = settings_newest(option) + scheme;
    char advice[160];

    if (*rest == '/') {
        (void)snprintf(advice, sizeof advice, "write \"unix:%.100s\"", rest);
    } else {
        (void)snprintf(advice, sizeof advice, "write \"tcp:%.100s\"",
                       *rest == '\0' ? "localhost" : rest);
    }
    return settings_refuse(cfg, option, advice);
}

static int check_redis(cfg_t *cfg, cfg_opt_t *option)
{
    static const char *const urls[] = {"redis://", "tcp://", "unix://"};
    const char *value = settings_newest(option);
    struct redis_endpoint_options options = {value, "", ""};
    struct error error = {""};
    struct redis_endpoint *endpoint;
    const char *fault;

    if (strncmp(value, "unix:", 5) != 0 && strchr(value, '@') != NULL) {
        /* not shown: there may be a password in it */
        cfg_error(cfg, "redis: there is an @ in it; write "
                       "\"tcp:HOST:PORT/DB\", and whom to log in as in "
                       "redis_user and redis_password_file");
        return -1;
    }
    if (strncmp(value, "rediss://", 9) == 0) {
        return settings_refuse(cfg, option,
                               "this nixie has no client for TLS; write "
                               "\"tcp:HOST:PORT/DB\"");
    }
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        if (strncmp(value, urls[i], strlen(urls[i])) == 0) {
            return refuse_url(cfg, option, strlen(urls[i]));
        }
    }
    endpoint = redis_endpoint_new(&options, &error);
    redis_endpoint_free(endpoint);
    if (endpoint != NULL) {
        return 0;
    }
    /* what it says of itself stands in front already */
    fault = error.text;
    if (strncmp(fault, "redis: ", strlen("redis: ")) == 0) {
        fault += strlen("redis: ");
    }
    return settings_refuse(cfg, option, fault);
}

static int check_redis_user(cfg_t *cfg, cfg_opt_t *option)
{
    return settings_is_printable(settings_newest(option), 0, 255)
               ? 0
               : settings_refuse(cfg, option,
                                 "write the name of an ACL user, or \"\"");
}

static int check_optional_path(cfg_t *cfg, cfg_opt_t *option)
{
    return settings_newest(option)[0] == '\0'
               ? 0
               : settings_check_path(cfg, option);
}

static int check_timeout(cfg_t *cfg, cfg_opt_t *option)
{
    static const struct settings_range range = {
        1, TIMEOUT_MOST_MS,
        "milliseconds that one answer to RCPT may wait for Redis"};

    return settings_check_range(cfg, option, &range);
}

static int check_rate(cfg_t *cfg, cfg_opt_t *option)
{
    static const struct settings_range range = {0, RATE_MOST,
                                                "events a second; 0: no limit"};

    return settings_check_range(cfg, option, &range);
}

static int check_prefix(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    return settings_is_printable(value, 1, STORE_PREFIX_MAX) &&
                   strpbrk(value, "{}*?[]\\") == NULL
               ? 0
               : settings_refuse(
                     cfg, option,
                     "write 1 to 64 printable characters without blanks "
                     "and none of {}*?[]\\, such as \"nixie:\"");
}

static int check_failure(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    if (strcmp(value, "accept") == 0 || strcmp(value, "tempfail") == 0) {
        return 0;
    }
    return settings_refuse(cfg, option, "write \"accept\" or \"tempfail\"");
}

static int check_store_failure(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    if (strcmp(value, "cached") == 0 || strcmp(value, "accept") == 0 ||
        strcmp(value, "tempfail") == 0) {
        return 0;
    }
    return settings_refuse(cfg, option,
                           "write \"cached\", \"accept\" or \"tempfail\"");
}

static int check_sync(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    return strcmp(value, "off") == 0 || strcmp(value, "interval") == 0 ||
                   strcmp(value, "group") == 0
               ? 0
               : settings_refuse(cfg, option,
                                 "write \"off\", \"interval\" or \"group\"");
}

static int check_format(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    return strcmp(value, "flat") == 0 || strcmp(value, "ecs") == 0
               ? 0
               : settings_refuse(cfg, option, "write \"flat\" or \"ecs\"");
}

int settings_check_mode(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    return strcmp(value, "enforce") == 0 || strcmp(value, "observe") == 0
               ? 0
               : settings_refuse(cfg, option,
                                 "write \"enforce\" or \"observe\"");
}

/* RFC 3463 2: no number begins with a 0 that says nothing. */
static bool has_leading_zero(struct text status)
{
    for (size_t i = 2; i < status.length; i++) {
        if (status.bytes[i - 1] == '.' && status.bytes[i] == '0' &&
            i + 1 < status.length && status.bytes[i + 1] != '.') {
            return true;
        }
    }
    return false;
}

/* The enhanced status of "550 5.7.1 text"; of length 0 where that is not it. */
static struct text refusal_status(const char *value)
{
    struct text status = {value, 0};

    if ((value[0] == '4' || value[0] == '5') &&
        isdigit((unsigned char)value[1]) && isdigit((unsigned char)value[2]) &&
        value[3] == ' ') {
        status = (struct text){value + 4, strcspn(value + 4, " ")};
    }
    if (!enhanced_status_is_valid(status) || has_leading_zero(status) ||
        status.bytes[status.length] != ' ' ||
        strchr(" ", status.bytes[status.length + 1]) != NULL) {
        status.length = 0;
    }
    return status;
}

const char *settings_check_refusal(const char *value, char code[4],
                                   char status[12], const char **text)
{
    struct text found = refusal_status(value);

    if (isdigit((unsigned char)value[0]) && value[0] != '4' &&
        value[0] != '5') {
        return "a refusal's reply code begins with 4 or 5; write one such as "
               "\"550 5.7.1 Recipient suppressed\"";
    }
    if (found.length == 0) {
        return "write a reply code, an enhanced status code and a text, one "
               "blank between them, such as \"550 5.7.1 Recipient suppressed\"";
    }
    if (found.bytes[0] != value[0]) {
        return "reply code and enhanced status begin with the same digit";
    }
    if (strncmp(value, "421", 3) == 0 || strncmp(value, "521", 3) == 0) {
        return "421 and 521 would end the session; write 550 or 450";
    }
    memcpy(code, value, 3);
    code[3] = '\0';
    (void)text_copy(found, status, 12);
    *text = found.bytes + found.length + 1;
    for (const char *percent = strchr(*text, '%'); percent != NULL;
         percent = strchr(percent + 2, '%')) {
        if (percent[1] == '\0' || strchr("Rsir%", percent[1]) == NULL) {
            return "behind % stands R (reason), s (since), i (transaction), "
                   "r (recipient) or %";
        }
    }
    return NULL;
}

static int check_refusal(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);
    char code[4];
    char status[12];
    const char *text;
    const char *advice;

    for (const char *byte = value; *byte != '\0'; byte++) {
        if (*byte < ' ' || *byte > '~') {
            return settings_refuse(cfg, option,
                                   "write printable ASCII, one line");
        }
    }
    if (strlen(value) > REFUSAL_MAX) {
        return settings_refuse(cfg, option, "write at most 400 characters");
    }
    advice = settings_check_refusal(value, code, status, &text);
    return advice == NULL ? 0 : settings_refuse(cfg, option, advice);
}

/* The normal form forgives what is typed here by mistake only. */
static bool is_domain(const char *typed, const char *normal)
{
    return strstr(typed, "..") == NULL && strstr(normal, U_FFFD) == NULL;
}

static int check_domain(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);
    char normal[MAILBOX_DOMAIN_MAX + 1];

    return mailbox_parse_domain(text_of(value), normal) &&
                   is_domain(value, normal)
               ? 0
               : settings_refuse(cfg, option,
                                 "write a domain, such as example.org");
}

const char *settings_pattern_advice(const char *value)
{
    struct mailbox_pattern pattern;

    if (strchr(value, '@') == NULL) {
        return "there is no @ in it; write ann@example.org, "
               "@example.org for a domain, @.example.org for those "
               "below it, ann@ for any domain";
    }
    /* both may stand in a mailbox, where next to nobody means them so */
    if (value[0] != '"' && strpbrk(value, "*?") != NULL) {
        return "* and ? stand for nothing else here; write "
               "@example.org for a domain, @.example.org for those "
               "below it, ann@ for any domain";
    }
    return mailbox_parse_pattern(text_of(value), NULL, &pattern) !=
                       MAILBOX_PATTERN_INVALID &&
                   is_domain(strrchr(value, '@'), pattern.domain)
               ? NULL
               : "write ann@example.org, @example.org, @.example.org or ann@";
}

static int check_pattern(cfg_t *cfg, cfg_opt_t *option)
{
    const char *advice = settings_pattern_advice(settings_newest(option));

    if (cfg_opt_size(option) > EXEMPT_MAX) {
        advice = "at most 1000 here; nixie allow add takes any number";
    }
    return advice == NULL ? 0 : settings_refuse(cfg, option, advice);
}

static int check_metrics(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);
    struct web_address address;
    struct error error;

    return value[0] == '\0' || web_address_parse(value, &address, &error)
               ? 0
               : settings_refuse(cfg, option, error.text);
}

static const struct check {
    const char *key;
    cfg_validate_callback_t function;
} checks[] = {
    {"node", check_node},
    {"user", check_user},
    {"milter_socket", check_milter_socket},
    {"milter_socket_group", check_group},
    {"milter_socket_mode", check_socket_mode},
    {"state_dir", settings_check_path},
    {"event_log", settings_check_file},
    {"event_log_sync", check_sync},
    {"event_log_format", check_format},
    {"event_log_retention", check_retention},
    {"privacy", settings_check_privacy},
    {"on_log_failure", check_failure},
    {"redis", check_redis},
    {"redis_user", check_redis_user},
    {"redis_password_file", check_optional_path},
    {"redis_timeout_ms", check_timeout},
    {"client_event_rate", check_rate},
    {"key_prefix", check_prefix},
    {"on_store_failure", check_store_failure},
    {"suppression_cache_memory", settings_check_memory},
    {"mode", settings_check_mode},
    {"refusal", check_refusal},
    {"local_domains", check_domain},
    {"exempt", check_pattern},
    {"metrics", check_metrics},
};

void settings_check_register(cfg_t *cfg)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        (void)cfg_set_validate_func(cfg, checks[i].key, checks[i].function);
    }
}
