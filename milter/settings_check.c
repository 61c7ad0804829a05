#include "settings_check.h"

#include "clock.h"
#include "error.h"
#include "mailbox.h"
#include "redis_endpoint.h"
#include "store_key.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSAL_MAX     400 /* with reason and date within libmilter's 980 */
#define SOCKET_PATH_MAX 107 /* sun_path without its NUL */
#define RETENTION_LEAST 3600
#define TIMEOUT_MOST_MS 1000
#define EXEMPT_MAX      1000

/* The value that was read last: of a list its newest element. */
static const char *newest(cfg_opt_t *option)
{
    unsigned count = cfg_opt_size(option);
    const char *value = count == 0 ? NULL : cfg_opt_getnstr(option, count - 1);

    return value == NULL ? "" : value;
}

static int refuse(cfg_t *cfg, cfg_opt_t *option, const char *advice)
{
    cfg_error(cfg, "%s = '%.100s': %s", cfg_opt_name(option), newest(option),
              advice);
    return -1;
}

static bool is_printable(const char *value, size_t least, size_t most)
{
    size_t length = strlen(value);

    for (size_t i = 0; i < length; i++) {
        if (value[i] <= ' ' || value[i] > '~') {
            return false;
        }
    }
    return length >= least && length <= most;
}

static int check_node(cfg_t *cfg, cfg_opt_t *option)
{
    return is_printable(newest(option), 0, 255)
               ? 0
               : refuse(cfg, option,
                        "write at most 255 printable characters, no blanks");
}

static int check_user(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = newest(option);

    if (strcmp(value, "root") == 0 || strcmp(value, "0") == 0) {
        return refuse(cfg, option,
                      "nixied does not run as root; write user = \"nixie\"");
    }
    return is_printable(value, 1, 64)
               ? 0
               : refuse(cfg, option, "write the name of a user");
}

static int check_group(cfg_t *cfg, cfg_opt_t *option)
{
    return is_printable(newest(option), 0, 64)
               ? 0
               : refuse(cfg, option, "write the name of a group, or \"\"");
}

static int check_path(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = newest(option);

    return value[0] == '/' && strlen(value) < 4000
               ? 0
               : refuse(cfg, option, "write a path that begins with /");
}

static int check_milter_socket(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = newest(option);
    const char *colon = strchr(value, ':');
    char *end;
    unsigned long port;

    if (strncmp(value, "unix:/", 6) == 0 || strncmp(value, "local:/", 7) == 0) {
        return strlen(colon + 1) <= SOCKET_PATH_MAX
                   ? 0
                   : refuse(cfg, option,
                            "a socket's path has at most 107 bytes");
    }
    if (strncmp(value, "inet:", 5) != 0 && strncmp(value, "inet6:", 6) != 0) {
        return refuse(cfg, option,
                      "write \"unix:/path\" or \"inet:PORT@127.0.0.1\"");
    }
    errno = 0;
    port = strtoul(colon + 1, &end, 10);
    if (errno != 0 || !isdigit((unsigned char)colon[1]) || port < 1 ||
        port > 65535 || *end != '@' || !is_printable(end + 1, 1, 255)) {
        return refuse(cfg, option,
                      "write \"inet:PORT@HOST\", such as "
                      "\"inet:8895@127.0.0.1\"");
    }
    return 0;
}

static int check_socket_mode(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = newest(option);
    size_t length = strlen(value);

    if (length < 3 || length > 4 || strspn(value, "01234567") != length) {
        return refuse(cfg, option, "write an octal mode, such as \"0660\"");
    }
    if ((strtoul(value, NULL, 8) & 02) != 0) {
        return refuse(cfg, option,
                      "everybody could write to the socket and forge events; "
                      "write \"0660\" and set milter_socket_group");
    }
    return 0;
}

static int check_retention(cfg_t *cfg, cfg_opt_t *option)
{
    int64_t seconds;

    if (!clock_parse_duration(newest(option), &seconds) ||
        seconds < RETENTION_LEAST) {
        return refuse(cfg, option,
                      "write a duration of at least 1h, such as \"72h\" or "
                      "\"30d\"");
    }
    return 0;
}

static int check_redis(cfg_t *cfg, cfg_opt_t *option)
{
    struct redis_endpoint_options options = {newest(option), "", ""};
    struct error error = {""};
    struct redis_endpoint *endpoint = redis_endpoint_new(&options, &error);

    redis_endpoint_free(endpoint);
    return endpoint != NULL ? 0 : refuse(cfg, option, error.text);
}

static int check_redis_user(cfg_t *cfg, cfg_opt_t *option)
{
    return is_printable(newest(option), 0, 255)
               ? 0
               : refuse(cfg, option, "write the name of an ACL user, or \"\"");
}

static int check_optional_path(cfg_t *cfg, cfg_opt_t *option)
{
    return newest(option)[0] == '\0' ? 0 : check_path(cfg, option);
}

static int check_timeout(cfg_t *cfg, cfg_opt_t *option)
{
    long value = cfg_opt_getnint(option, 0);

    if (value >= 1 && value <= TIMEOUT_MOST_MS) {
        return 0;
    }
    cfg_error(cfg,
              "%s = %ld: write 1 to %d (milliseconds that one answer to "
              "RCPT may wait for Redis)",
              cfg_opt_name(option), value, TIMEOUT_MOST_MS);
    return -1;
}

static int check_prefix(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = newest(option);

    return is_printable(value, 1, STORE_PREFIX_MAX) &&
                   strpbrk(value, "{}*?[]\\") == NULL
               ? 0
               : refuse(cfg, option,
                        "write 1 to 64 printable characters without blanks "
                        "and none of {}*?[]\\, such as \"nixie:\"");
}

static int check_failure(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = newest(option);

    if (strcmp(value, "accept") == 0 || strcmp(value, "tempfail") == 0) {
        return 0;
    }
    if (strcmp(value, "cached") == 0) {
        return refuse(cfg, option,
                      "this nixie keeps no copy of the list in memory; write "
                      "\"accept\" or \"tempfail\"");
    }
    return refuse(cfg, option, "write \"accept\" or \"tempfail\"");
}

static int check_sync(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = newest(option);

    return strcmp(value, "off") == 0 || strcmp(value, "interval") == 0 ||
                   strcmp(value, "group") == 0
               ? 0
               : refuse(cfg, option,
                        "write \"off\", \"interval\" or \"group\"");
}

static int check_mode(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = newest(option);

    return strcmp(value, "enforce") == 0 || strcmp(value, "observe") == 0
               ? 0
               : refuse(cfg, option, "write \"enforce\" or \"observe\"");
}

const char *settings_check_refusal(const char *value, char code[4],
                                   char status[12], const char **text)
{
    int status_length = 0;
    unsigned class, subject, detail;
    int code_number;

    if (sscanf(value, "%3d %1u.%3u.%3u%n", &code_number, &class, &subject,
               &detail, &status_length) != 4 ||
        status_length < 9 || status_length > 4 + 9 || value[3] != ' ' ||
        (value[0] != '4' && value[0] != '5') || value[status_length] != ' ') {
        return "write a reply code, an enhanced status code and a text, such "
               "as \"550 5.7.1 Recipient suppressed\"";
    }
    if (class != (unsigned)(value[0] - '0')) {
        return "reply code and enhanced status begin with the same digit";
    }
    if (code_number == 421 || code_number == 521) {
        return "421 and 521 would end the session; write 550 or 450";
    }
    memcpy(code, value, 3);
    code[3] = '\0';
    memcpy(status, value + 4, (size_t)status_length - 4);
    status[status_length - 4] = '\0';
    *text = value + status_length + 1;
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
    const char *value = newest(option);
    char code[4];
    char status[12];
    const char *text;
    const char *advice;

    for (const char *byte = value; *byte != '\0'; byte++) {
        if (*byte < ' ' || *byte > '~') {
            return refuse(cfg, option, "write printable ASCII, one line");
        }
    }
    if (strlen(value) > REFUSAL_MAX) {
        return refuse(cfg, option, "write at most 400 characters");
    }
    advice = settings_check_refusal(value, code, status, &text);
    return advice == NULL ? 0 : refuse(cfg, option, advice);
}

static int check_domain(cfg_t *cfg, cfg_opt_t *option)
{
    char normal[MAILBOX_DOMAIN_MAX + 1];

    return mailbox_parse_domain(text_of(newest(option)), normal)
               ? 0
               : refuse(cfg, option, "write a domain, such as example.org");
}

static int check_pattern(cfg_t *cfg, cfg_opt_t *option)
{
    struct mailbox_pattern pattern;

    if (cfg_opt_size(option) > EXEMPT_MAX) {
        return refuse(cfg, option,
                      "at most 1000 here; nixie allow add takes any number");
    }
    return mailbox_parse_pattern(text_of(newest(option)), NULL, &pattern) !=
                   MAILBOX_PATTERN_INVALID
               ? 0
               : refuse(cfg, option,
                        "write ann@example.org, @example.org, @.example.org "
                        "or ann@");
}

static int check_domain_section(cfg_t *cfg, cfg_opt_t *option)
{
    cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
    char normal[MAILBOX_DOMAIN_MAX + 1];

    if (mailbox_parse_domain(text_of(cfg_title(section)), normal)) {
        return 0;
    }
    cfg_error(cfg, "domain '%.100s': write a domain, such as example.org",
              cfg_title(section));
    return -1;
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
    {"state_dir", check_path},
    {"event_log", check_path},
    {"event_log_sync", check_sync},
    {"event_log_retention", check_retention},
    {"on_log_failure", check_failure},
    {"redis", check_redis},
    {"redis_user", check_redis_user},
    {"redis_password_file", check_optional_path},
    {"redis_timeout_ms", check_timeout},
    {"key_prefix", check_prefix},
    {"on_store_failure", check_failure},
    {"mode", check_mode},
    {"refusal", check_refusal},
    {"local_domains", check_domain},
    {"exempt", check_pattern},
    {"domain", check_domain_section},
};

void settings_check_register(cfg_t *cfg)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        (void)cfg_set_validate_func(cfg, checks[i].key, checks[i].function);
    }
}
