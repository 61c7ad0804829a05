#include "settings_host.h"

#include "error.h"
#include "settings.h"
#include "text.h"

#include <errno.h>
#include <grp.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_SIZE  4096
#define GROUPS_MAX 64

const struct passwd *settings_host_user(const struct settings *settings,
                                        struct error *error)
{
    const struct passwd *user = getpwnam(settings->user);

    if (user == NULL) {
        error_set(error,
                  "user = \"%s\": there is no such user; make one with "
                  "'useradd --system --user-group --no-create-home %s', or "
                  "name another",
                  settings->user, settings->user);
        return NULL;
    }
    if (user->pw_uid == 0) {
        error_set(error,
                  "user = \"%s\" is root by another name; nixied does not "
                  "run as root",
                  settings->user);
        return NULL;
    }
    return user;
}

bool settings_host_group(const struct settings *settings, gid_t *gid,
                         bool *found, struct error *error)
{
    const struct group *group;

    *found = false;
    if (settings->milter_socket_group[0] == '\0' ||
        settings_socket_path(settings) == NULL) {
        return true;
    }
    group = getgrnam(settings->milter_socket_group);
    if (group != NULL) {
        *gid = group->gr_gid;
        *found = true;
        return true;
    }
    if (settings->milter_socket_group_is_default) {
        return true;
    }
    error_set(error,
              "milter_socket_group = \"%s\": there is no such group; name the "
              "group of your MTA, or write \"\" for nixied's own",
              settings->milter_socket_group);
    return false;
}

/* Of a child that is root: 0, or why that user may not. */
static int try_as(const struct passwd *user, gid_t socket_gid, const char *path,
                  int what)
{
    gid_t groups[GROUPS_MAX];
    int count = GROUPS_MAX - 1;

    if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0) {
        return 0; /* the start tells */
    }
    if (socket_gid != (gid_t)-1) {
        groups[count++] = socket_gid;
    }
    if (setgroups((size_t)count, groups) != 0 ||
        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0) {
        return 0;
    }
    return access(path, what) == 0 ? 0 : errno;
}

/*
 * Whether nixied's user may use path so; what is R_OK and the like. Only the
 * kernel knows, with ACLs and all: root asks as that user, in a child. Of
 * somebody else than that user nothing is told by what he may do himself.
 */
static bool user_may(const struct settings *settings, const char *path,
                     int what)
{
    struct error ignored;
    const struct passwd *user = getpwnam(settings->user);
    gid_t gid = (gid_t)-1;
    bool has_gid;
    pid_t child;
    int status;

    if (user == NULL || (geteuid() != 0 && geteuid() != user->pw_uid)) {
        return true;
    }
    if (geteuid() != 0) {
        return access(path, what) == 0 || errno != EACCES;
    }
    (void)settings_host_group(settings, &gid, &has_gid, &ignored);
    child = fork();
    if (child == 0) {
        _exit(try_as(user, gid, path, what) == EACCES);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == 0;
}

/* The name of that user's group. */
static const char *group_of(const struct settings *settings)
{
    const struct passwd *user = getpwnam(settings->user);
    const struct group *group = user == NULL ? NULL : getgrgid(user->pw_gid);

    return group == NULL ? settings->user : group->gr_name;
}

/* Folders that the caller may not look into are not judged. */
static bool check_password(const struct settings *settings, struct error *error)
{
    const char *path = settings->redis_password_file;
    struct stat status;

    if (path[0] == '\0') {
        return true;
    }
    if (stat(path, &status) != 0) {
        if (errno == EACCES) {
            return true;
        }
        error_set_errno(error,
                        "redis_password_file = \"%s\": write the password "
                        "there, or \"\" for none",
                        path);
        return false;
    }
    if (!S_ISREG(status.st_mode)) {
        error_set(error, "redis_password_file = \"%s\": name a regular file",
                  path);
        return false;
    }
    if ((status.st_mode & 007) != 0) {
        error_set(error,
                  "redis_password_file = \"%s\" is open to others (mode "
                  "%04o): chmod o-rwx %s",
                  path, (unsigned)(status.st_mode & 07777), path);
        return false;
    }
    if (!user_may(settings, path, R_OK)) {
        error_set(error,
                  "redis_password_file = \"%s\": user %s may not read it: "
                  "chgrp %s %s, chmod 640 %s, and let that user pass the "
                  "folders above it",
                  path, settings->user, group_of(settings), path, path);
        return false;
    }
    return true;
}

/* The folder that path stands in; of "/" itself. False: path is too long. */
static bool folder_of(const char *path, char folder[PATH_SIZE])
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    while (length > 1 && path[length - 1] != '/') {
        length--;
    }
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    return text_copy((struct text){path, length}, folder, PATH_SIZE) == length;
}

/* Of what is missing the start makes the last folder, none above it. */
static bool check_folder(const struct settings *settings, const char *key,
                         const char *folder, struct error *error)
{
    char above[PATH_SIZE];
    struct stat status;

    if (stat(folder, &status) == 0) {
        if (!S_ISDIR(status.st_mode)) {
            error_set(error, "%s: %s is no folder: move it away, or set %s",
                      key, folder, key);
            return false;
        }
        if (!user_may(settings, folder, W_OK | X_OK)) {
            error_set(error,
                      "%s: user %s may not write in the folder %s: give it "
                      "to that user, or set %s",
                      key, settings->user, folder, key);
            return false;
        }
        return true;
    }
    if (errno == EACCES) {
        return true;
    }
    if (errno != ENOENT || !folder_of(folder, above)) {
        error_set_errno(error, "%s: the folder %s", key, folder);
        return false;
    }
    if (stat(above, &status) == 0 || errno == EACCES) {
        return true;
    }
    error_set_errno(error, "%s: the folder %s cannot be made, make %s first",
                    key, folder, above);
    return false;
}

static bool check_file(const struct settings *settings, const char *key,
                       const char *path, mode_t type, const char *what,
                       struct error *error)
{
    char folder[PATH_SIZE];
    struct stat status;

    if (!folder_of(path, folder)) {
        error_set(error, "%s: the path is too long", key);
        return false;
    }
    if (!check_folder(settings, key, folder, error)) {
        return false;
    }
    if (stat(path, &status) == 0 && (status.st_mode & S_IFMT) != type) {
        error_set(error, "%s: %s is no %s: move it away, or set %s", key, path,
                  what, key);
        return false;
    }
    return true;
}

bool settings_host_check(const struct settings *settings, struct error *error)
{
    const char *path = settings_socket_path(settings);
    gid_t gid;
    bool has_gid;

    return (geteuid() != 0 || settings_host_user(settings, error) != NULL) &&
           settings_host_group(settings, &gid, &has_gid, error) &&
           check_password(settings, error) &&
           check_folder(settings, "state_dir", settings->state_dir, error) &&
           check_file(settings, "event_log", settings->event_log, S_IFREG,
                      "regular file", error) &&
           (path == NULL || check_file(settings, "milter_socket", path,
                                       S_IFSOCK, "socket", error));
}
