#include "command_check.h"
#include "control.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MIB             (1024ULL * 1024)
#define LOG_SPACE_MIB   64 /* a busy day's events, and time to react */
#define STATE_SPACE_MIB 1
#define INODES_LEAST    64
#define CONNECT_S       2
#define PATH_SIZE       4096
#define RUNTIME_FOLDER  "/run/nixie" /* made by systemd with the service */

/* --- user and folders -------------------------------------------------- */

static bool check_user(struct check *check, struct check_account *account)
{
    const char *user = check->settings->user;

    if (!command_check_account(user, account)) {
        command_check_report(check, CHECK_FAIL, "user",
                             "there is no user %s: adduser --system --group "
                             "--no-create-home %s, or set user",
                             user, user);
        return false;
    }
    if (account->uid == 0) {
        command_check_report(check, CHECK_FAIL, "user",
                             "%s is root, as whom nixied does not run: set "
                             "user",
                             user);
        return false;
    }
    command_check_report(check, CHECK_OK, "user", "%s", user);
    return true;
}

static void check_space(struct check *check, const char *name, const char *path,
                        unsigned long long least_mib)
{
    struct statvfs space;
    unsigned long long mib;

    if (statvfs(path, &space) != 0) {
        command_check_report(check, CHECK_SKIP, name, "%s: free space: %s",
                             path, strerror(errno));
        return;
    }
    mib = (unsigned long long)space.f_bavail * space.f_frsize / MIB;
    if (mib < least_mib) {
        command_check_report(check, CHECK_FAIL, name,
                             "%s has %llu MiB left: make room (df -h %s)", path,
                             mib, path);
    } else if (space.f_files > 0 && space.f_favail < INODES_LEAST) {
        command_check_report(check, CHECK_FAIL, name,
                             "%s has %llu inodes left: remove files there "
                             "(df -i)",
                             path, (unsigned long long)space.f_favail);
    } else {
        command_check_report(check, CHECK_OK, name, "%s has %llu MiB left",
                             path, mib);
    }
}

/* Why a path could not be looked at: missing is a fault, forbidden is not. */
static void report_unseen(struct check *check, const char *name,
                          const char *path, const char *advice)
{
    if (errno == EACCES) {
        command_check_report(check, CHECK_SKIP, name,
                             "%s may not be looked at: run this as root", path);
    } else {
        command_check_report(check, CHECK_FAIL, name, "%s: %s: %s", path,
                             strerror(errno), advice);
    }
}

/* account NULL: the user does not exist. */
static void check_folder(struct check *check, const char *name,
                         const char *path, const struct check_account *account,
                         unsigned long long least_mib)
{
    const char *user = check->settings->user;
    char advice[PATH_SIZE + 200];
    struct stat status;

    (void)snprintf(advice, sizeof advice, "install -d -o %s -g %s -m 0750 %s",
                   user, user, path);
    if (stat(path, &status) != 0) {
        report_unseen(check, name, path, advice);
        return;
    }
    if (!S_ISDIR(status.st_mode)) {
        command_check_report(check, CHECK_FAIL, name, "%s is no folder", path);
        return;
    }
    if (account != NULL && !command_check_may(account, &status, 07)) {
        command_check_report(check, CHECK_FAIL, name,
                             "%s may not write in %s: %s", user, path, advice);
    } else if ((status.st_mode & 02) != 0) {
        command_check_report(check, CHECK_FAIL, name,
                             "everybody may write in %s: chmod o-w %s", path,
                             path);
    } else {
        command_check_report(check, CHECK_OK, name, "%s", path);
    }
    check_space(check, name, path, least_mib);
}

/* The folder that a path lies in. */
static void folder_of(const char *path, char *folder, size_t size)
{
    const char *slash = strrchr(path, '/');

    (void)text_copy((struct text){path, slash == path || slash == NULL
                                            ? 1
                                            : (size_t)(slash - path)},
                    folder, size);
}

static void check_event_log(struct check *check,
                            const struct check_account *account)
{
    const char *path = check->settings->event_log;
    char folder[PATH_SIZE];
    struct stat status;

    folder_of(path, folder, sizeof folder);
    check_folder(check, "event_log", folder, account, LOG_SPACE_MIB);
    if (stat(path, &status) != 0) {
        return; /* nixied makes it; what hides it was told above */
    }
    if (!S_ISREG(status.st_mode)) {
        command_check_report(check, CHECK_FAIL, "event_log",
                             "%s is no file: move it away", path);
    } else if (account != NULL && !command_check_may(account, &status, 06)) {
        command_check_report(check, CHECK_FAIL, "event_log",
                             "%s may not write to %s: chown %s %s",
                             check->settings->user, path, check->settings->user,
                             path);
    } else if ((status.st_mode & 06) != 0) {
        command_check_report(check, CHECK_WARN, "event_log",
                             "everybody may read the addresses in %s: chmod "
                             "o-rw %s",
                             path, path);
    }
}

/* --- the milter's socket ----------------------------------------------- */

static void report_connected(struct check *check, const char *where,
                             bool connected)
{
    if (connected) {
        command_check_report(check, CHECK_OK, "milter_socket", "%s answers",
                             where);
    } else if (errno == EACCES) {
        command_check_report(check, CHECK_SKIP, "milter_socket",
                             "%s may not be tried by this user: run this as "
                             "root",
                             where);
    } else {
        command_check_report(check, CHECK_FAIL, "milter_socket",
                             "%s: %s: start nixied (systemctl start nixied)",
                             where, strerror(errno));
    }
}

static bool connect_within(int family, const struct sockaddr *address,
                           socklen_t length)
{
    struct timeval limit = {.tv_sec = CONNECT_S};
    int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected;
    int cause;

    if (descriptor < 0) {
        return false;
    }
    (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    connected = connect(descriptor, address, length) == 0;
    cause = errno;
    (void)close(descriptor);
    errno = cause;
    return connected;
}

static const char *socket_group(const struct check *check)
{
    const char *group = check->settings->milter_socket_group;

    return group[0] == '\0' ? "postfix" : group;
}

/*
 * nixied is no member of the MTA's group: its socket has that group because
 * the folder is set-group-ID. False, after a report, when it cannot get it.
 * A folder of somebody else, such as the queue itself, is not ours to change.
 */
static bool check_group(struct check *check, const char *path,
                        const struct stat *status)
{
    const char *name = socket_group(check);
    const struct group *group = getgrnam(name);
    struct check_account user;
    char folder[PATH_SIZE];
    struct stat above;

    folder_of(path, folder, sizeof folder);
    if (group == NULL || status->st_gid == group->gr_gid ||
        stat(folder, &above) != 0 ||
        !command_check_account(check->settings->user, &user) ||
        above.st_uid != user.uid ||
        ((above.st_mode & S_ISGID) != 0 && above.st_gid == group->gr_gid)) {
        return true;
    }
    command_check_report(check, CHECK_FAIL, "milter_socket",
                         "%s is not of group %s: chgrp %s %s && chmod 2750 %s "
                         "&& systemctl restart nixied",
                         path, name, name, folder, folder);
    return false;
}

/* Whether user postfix can connect; nothing to say where there is none. */
static void check_reach(struct check *check, const char *path,
                        const struct stat *status)
{
    struct check_account postfix;
    char folder[PATH_SIZE];

    if (!command_check_account("postfix", &postfix)) {
        return;
    }
    if (!command_check_may(&postfix, status, 02) &&
        !check_group(check, path, status)) {
        return;
    }
    if (command_check_barrier(&postfix, path, folder, sizeof folder)) {
        command_check_report(check, CHECK_FAIL, "milter_socket",
                             "user postfix may not pass %s: chgrp postfix %s "
                             "and chmod g+x %s",
                             folder, folder, folder);
    } else if (!command_check_may(&postfix, status, 02)) {
        command_check_report(check, CHECK_FAIL, "milter_socket",
                             "user postfix may not connect to %s (mode %04o): "
                             "set milter_socket_group = \"postfix\" and "
                             "milter_socket_mode = \"0660\"",
                             path, (unsigned)status->st_mode & 07777U);
    } else {
        command_check_report(check, CHECK_OK, "milter_socket",
                             "user postfix may connect to %s", path);
    }
}

static void report_no_socket(struct check *check, const char *path)
{
    char folder[PATH_SIZE];
    char advice[PATH_SIZE + 200];
    struct stat status;
    int cause = errno;

    folder_of(path, folder, sizeof folder);
    if (stat(folder, &status) == 0 || errno != ENOENT ||
        strcmp(folder, RUNTIME_FOLDER) == 0) {
        (void)snprintf(advice, sizeof advice,
                       "start nixied (systemctl start nixied)");
    } else {
        (void)snprintf(advice, sizeof advice,
                       "its folder is missing: install -d -o %s -g %s -m 2750 "
                       "%s (or systemd-tmpfiles --create nixie.conf), then "
                       "systemctl restart nixied",
                       check->settings->user, socket_group(check), folder);
    }
    errno = cause;
    report_unseen(check, "milter_socket", path, advice);
}

static void check_unix_socket(struct check *check, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;

    if (stat(path, &status) != 0) {
        report_no_socket(check, path);
        return;
    }
    if (!S_ISSOCK(status.st_mode)) {
        command_check_report(check, CHECK_FAIL, "milter_socket",
                             "%s is no socket: move it away, restart nixied",
                             path);
        return;
    }
    if ((status.st_mode & 02) != 0) {
        command_check_report(check, CHECK_FAIL, "milter_socket",
                             "everybody may write to %s and forge events: "
                             "chmod o-w %s",
                             path, path);
    }
    check_reach(check, path, &status);
    if (strlen(path) >= sizeof address.sun_path) {
        command_check_report(check, CHECK_FAIL, "milter_socket",
                             "%s is too long for a socket", path);
        return;
    }
    (void)text_copy(text_of(path), address.sun_path, sizeof address.sun_path);
    report_connected(
        check, path,
        connect_within(AF_UNIX, (struct sockaddr *)&address, sizeof address));
}

/* "8895@127.0.0.1", as libmilter has it. */
static void check_inet_socket(struct check *check, const char *where)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const char *at = strchr(where, '@');
    struct addrinfo *found = NULL;
    bool connected = false;
    char port[16];

    (void)text_copy(
        (struct text){where, at == NULL ? strlen(where) : (size_t)(at - where)},
        port, sizeof port);
    if (getaddrinfo(at == NULL ? "127.0.0.1" : at + 1, port, &hints, &found) !=
        0) {
        command_check_report(check, CHECK_FAIL, "milter_socket",
                             "%s: no such host or port: set milter_socket",
                             where);
        return;
    }
    for (const struct addrinfo *one = found; one != NULL && !connected;
         one = one->ai_next) {
        connected =
            connect_within(one->ai_family, one->ai_addr, one->ai_addrlen);
    }
    freeaddrinfo(found);
    report_connected(check, where, connected);
}

/* --- nixied ------------------------------------------------------------ */

static void check_nixied(struct check *check)
{
    struct error error = {""};

    switch (control_probe(check->settings->state_dir, &error)) {
    case CONTROL_DONE:
        command_check_report(check, CHECK_OK, "nixied", "runs");
        break;
    case CONTROL_ABSENT:
        command_check_report(check, CHECK_FAIL, "nixied",
                             "does not run: systemctl start nixied");
        break;
    case CONTROL_REFUSED:
    case CONTROL_UNKNOWN:
        command_check_report(check, CHECK_SKIP, "nixied", "%s", error.text);
        break;
    }
}

void command_check_host(struct check *check)
{
    const char *socket_name = check->settings->milter_socket;
    const char *colon = strchr(socket_name, ':');
    struct check_account account;
    const struct check_account *known =
        check_user(check, &account) ? &account : NULL;

    check_folder(check, "state_dir", check->settings->state_dir, known,
                 STATE_SPACE_MIB);
    check_event_log(check, known);
    check_nixied(check);
    if (strncmp(socket_name, "inet", 4) == 0 && colon != NULL) {
        check_inet_socket(check, colon + 1);
    } else {
        check_unix_socket(check, colon == NULL ? socket_name : colon + 1);
    }
}
