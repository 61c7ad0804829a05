#include "command_check.h"
#include "scope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIGURATION "/etc/mail/sendmail.cf"
#define POSTCONF      "/usr/sbin/postconf"
#define PATH_SIZE     4096
#define WORD_SIZE     256
#define VALUE_SIZE    1024
#define WAIT_MAX_S    10 /* nixied answers from memory */

/* Sendmail's own; deliveries are logged from there on. */
#define LOG_LEVEL_DEFAULT 9

/* The value of "S=" or such on the line of a filter; false: it has none. */
static bool value_in(const char *line, char name, struct text *value)
{
    const char *at = line[0] == 'X' ? strchr(line, ',') : NULL;

    while (at != NULL) {
        at += strspn(at, ", \t");
        if (at[0] == name && at[1] == '=') {
            *value = (struct text){at + 2, strcspn(at + 2, ", \t\r\n")};
            return true;
        }
        at = strchr(at, ',');
    }
    return false;
}

/* A path may stand with or without its family. */
static struct text path_of(struct text where)
{
    static const char *const families[] = {"local:", "unix:"};

    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        size_t length = strlen(families[i]);

        if (where.length > length &&
            memcmp(where.bytes, families[i], length) == 0) {
            return (struct text){where.bytes + length, where.length - length};
        }
    }
    return where;
}

static bool is_ours(const struct check *check, struct text where)
{
    const char *ours = settings_socket_path(check->settings);
    char path[PATH_SIZE];

    if (ours == NULL) { /* both spell it alike */
        return text_is(where, check->settings->milter_socket);
    }
    (void)text_copy(path_of(where), path, sizeof path);
    return command_check_same(path, ours);
}

/* --- what sendmail.cf says ---------------------------------------------- */

struct sendmail {
    bool named;             /* a filter has our socket */
    char filter[WORD_SIZE]; /* its name */
    char flag;              /* F=; '\0': mail passes */
    bool hasty;             /* it waits for seconds only */
    bool used;              /* in some list of filters */
    bool first;             /* in each of these */
    long log_level;
    char daemons[VALUE_SIZE]; /* " MTA MSA ", those that have names */
};

/* The number behind "C:" or such in "C:2s;S:5s"; -1: there is none. */
static long seconds_in(struct text timeouts, char which)
{
    for (size_t i = 0; i + 2 < timeouts.length; i++) {
        char *unit;
        long number;

        if (timeouts.bytes[i] != which || timeouts.bytes[i + 1] != ':') {
            continue;
        }
        number = strtol(timeouts.bytes + i + 2, &unit, 10);
        return *unit == 'm'   ? number * 60
               : *unit == 'h' ? number * 3600
                              : number;
    }
    return -1;
}

/* "Xnixie, S=unix:/run/nixie/milter.sock, F=T, T=C:2s;S:5s;R:5s;E:30s" */
static void take_filter(const struct check *check, struct sendmail *sendmail,
                        const char *line)
{
    struct text where;
    struct text value;
    long connecting = -1;
    long answer = -1;

    if (!value_in(line, 'S', &where) || !is_ours(check, where)) {
        return;
    }
    sendmail->named = true;
    (void)text_copy((struct text){line + 1, strcspn(line + 1, ", \t\r\n")},
                    sendmail->filter, sizeof sendmail->filter);
    sendmail->flag = value_in(line, 'F', &value) ? value.bytes[0] : '\0';
    if (value_in(line, 'T', &value)) {
        connecting = seconds_in(value, 'C');
        answer = seconds_in(value, 'R');
    }
    sendmail->hasty = connecting >= 0 && connecting <= WAIT_MAX_S &&
                      answer >= -1 && answer <= WAIT_MAX_S;
}

/* "nixie, other"; ends at the end of the line. */
static void take_list(struct sendmail *sendmail, const char *list)
{
    size_t length = strlen(sendmail->filter);
    bool first = true;

    while (length > 0 && *list != '\0') {
        size_t size;

        list += strspn(list, "=,; \t\r\n");
        size = strcspn(list, ",; \t\r\n");
        if (size == length && strncmp(list, sendmail->filter, length) == 0) {
            sendmail->first = first && (!sendmail->used || sendmail->first);
            sendmail->used = true;
        }
        first = false;
        list += size;
    }
}

static void take_daemon(struct sendmail *sendmail, const char *options)
{
    const char *name = strstr(options, "Name=");
    const char *filters = strstr(options, "InputMailFilters=");
    size_t used = strlen(sendmail->daemons);

    if (name != NULL) {
        (void)snprintf(sendmail->daemons + used,
                       sizeof sendmail->daemons - used, " %.*s ",
                       (int)strcspn(name + 5, ", \t\r\n"), name + 5);
    }
    if (filters != NULL) {
        take_list(sendmail, filters + 17);
    }
}

static bool option_of(const char *line, const char *name, const char **value)
{
    size_t length = strlen(name);

    if (strncmp(line, "O ", 2) != 0 || strncmp(line + 2, name, length) != 0) {
        return false;
    }
    *value = line + 2 + length;
    return true;
}

/* Filters stand before or behind the list that names them: twice through. */
static void read_configuration(const struct check *check, FILE *file,
                               struct sendmail *sendmail)
{
    char *line = NULL;
    size_t size = 0;
    const char *value;

    memset(sendmail, 0, sizeof *sendmail);
    sendmail->log_level = LOG_LEVEL_DEFAULT;
    while (getline(&line, &size, file) >= 0) {
        if (line[0] == 'X' && !sendmail->named) {
            take_filter(check, sendmail, line);
        } else if (option_of(line, "LogLevel=", &value)) {
            sendmail->log_level = strtol(value, NULL, 10);
        }
    }
    rewind(file);
    while (getline(&line, &size, file) >= 0) {
        if (option_of(line, "InputMailFilters=", &value)) {
            take_list(sendmail, value);
        } else if (option_of(line, "DaemonPortOptions=", &value)) {
            take_daemon(sendmail, value);
        }
    }
    free(line);
}

/*
 * Sendmail takes a socket for unsafe when others than its owner may change
 * the way to it, and then lets all mail pass.
 */
static bool is_safe(const char *path, char *folder, size_t size)
{
    for (const char *slash = strchr(path, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        size_t length = slash == path ? 1 : (size_t)(slash - path);
        struct stat status;

        (void)text_copy((struct text){path, length}, folder, size);
        if (stat(folder, &status) == 0 && (status.st_mode & 022) != 0) {
            return false;
        }
    }
    return true;
}

static void check_folders(struct check *check)
{
    const char *path = settings_socket_path(check->settings);
    char folder[PATH_SIZE];

    if (path == NULL || is_safe(path, folder, sizeof folder)) {
        command_check_report(check, CHECK_OK, "sendmail", "names nixie%s",
                             path == NULL ? "" : ", and trusts its socket");
        return;
    }
    command_check_report(check, CHECK_FAIL, "sendmail",
                         "group or others may write in %s, so that Sendmail "
                         "takes %s for unsafe and lets all mail pass: chmod "
                         "go-w %s, or set milter_socket to another folder",
                         folder, path, folder);
}

static void judge_use(struct check *check, const struct sendmail *sendmail,
                      const char *path)
{
    if (!sendmail->used) {
        command_check_report(check, CHECK_FAIL, "sendmail",
                             "%s has the filter %s, but no list of filters "
                             "names it, mail passes unseen: write "
                             "FEATURE(`nixie', `%s')dnl or INPUT_MAIL_FILTER "
                             "instead of MAIL_FILTER into sendmail.mc, see "
                             "nixied(8)",
                             path, sendmail->filter,
                             check->settings->milter_socket);
    } else if (!sendmail->first) {
        command_check_report(check, CHECK_WARN, "sendmail",
                             "%s is not the first in InputMailFilters, and "
                             "does not hear of recipients that those before it "
                             "refuse: write it before them in sendmail.mc",
                             sendmail->filter);
    }
    if (sendmail->flag == 'R' || sendmail->flag == '4') {
        command_check_report(check, CHECK_WARN, "sendmail",
                             "F=%c of the filter %s: without nixied mail is "
                             "refused; if that is not meant, leave F= out, or "
                             "write F=T to have it wait",
                             sendmail->flag, sendmail->filter);
    }
    if (!sendmail->hasty) {
        command_check_report(check, CHECK_NOTE, "sendmail",
                             "a nixied that hangs holds up each client for "
                             "minutes: write T=C:2s;S:5s;R:5s;E:30s to the "
                             "filter %s",
                             sendmail->filter);
    }
}

static void judge_log(struct check *check, const struct sendmail *sendmail)
{
    if (check->settings->maillog[0] != NULL &&
        sendmail->log_level < LOG_LEVEL_DEFAULT) {
        command_check_report(check, CHECK_WARN, "sendmail",
                             "LogLevel=%ld leaves deliveries out of the log "
                             "that nixie follows: write "
                             "define(`confLOG_LEVEL', `9')dnl into sendmail.mc",
                             sendmail->log_level);
    }
}

static void judge_scopes(struct check *check, const struct sendmail *sendmail)
{
    const struct settings *settings = check->settings;
    char padded[WORD_SIZE];

    for (size_t i = 0; i < settings->scope_count; i++) {
        const struct scope *scope = &settings->scopes[i];

        for (char *const *name = scope->listeners; *name != NULL; name++) {
            (void)snprintf(padded, sizeof padded, " %s ", *name);
            if (strstr(sendmail->daemons, padded) == NULL) {
                command_check_report(check, CHECK_WARN, "sendmail",
                                     "scope \"%s\" has listener %s, and no "
                                     "daemon of Sendmail is called so: write "
                                     "DAEMON_OPTIONS(`Name=%s, ...')dnl into "
                                     "sendmail.mc",
                                     scope->name, *name, *name);
            }
        }
    }
}

void command_check_sendmail(struct check *check, const char *path)
{
    const char *shown = path == NULL ? CONFIGURATION : path;
    FILE *file = fopen(shown, "re");
    struct sendmail sendmail;

    if (file == NULL) {
        return; /* it is not the MTA here */
    }
    read_configuration(check, file, &sendmail);
    (void)fclose(file);
    if (sendmail.named) {
        check_folders(check);
        judge_use(check, &sendmail, shown);
        judge_log(check, &sendmail);
        judge_scopes(check, &sendmail);
    } else if (path != NULL || access(POSTCONF, X_OK) != 0) {
        command_check_report(
            check, CHECK_FAIL, "sendmail",
            "%s does not name %s, mail passes unseen: write "
            "FEATURE(`nixie', `%s')dnl into sendmail.mc, see nixied(8)",
            shown, check->settings->milter_socket,
            check->settings->milter_socket);
    }
}
