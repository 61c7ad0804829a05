#include "command_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIGURATION "/etc/mail/sendmail.cf"
#define POSTCONF      "/usr/sbin/postconf"
#define PATH_SIZE     4096

/* Where a filter listens, of "Xnixie, S=local:/path, T=…"; false: no such. */
static bool socket_in(const char *line, struct text *where)
{
    const char *at = line[0] == 'X' ? strchr(line, ',') : NULL;

    while (at != NULL) {
        at += strspn(at, ", \t");
        if (strncmp(at, "S=", 2) == 0) {
            *where = (struct text){at + 2, strcspn(at + 2, ", \t\r\n")};
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

static bool names_ours(const struct check *check, FILE *file)
{
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    struct text where;

    while (!found && getline(&line, &size, file) >= 0) {
        found = socket_in(line, &where) && is_ours(check, where);
    }
    free(line);
    return found;
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

void command_check_sendmail(struct check *check, const char *path)
{
    FILE *file = fopen(path == NULL ? CONFIGURATION : path, "re");

    if (file == NULL) {
        return; /* it is not the MTA here */
    }
    if (names_ours(check, file)) {
        check_folders(check);
    } else if (path != NULL || access(POSTCONF, X_OK) != 0) {
        command_check_report(
            check, CHECK_FAIL, "sendmail",
            "%s does not name %s, mail passes unseen: write "
            "FEATURE(`nixie', `%s')dnl into sendmail.mc, see nixied(8)",
            path == NULL ? CONFIGURATION : path, check->settings->milter_socket,
            check->settings->milter_socket);
    }
    (void)fclose(file);
}
