#include "config.h"

#include "daemon_privileges.h"

#include "log.h"
#include "settings_host.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DESCRIPTORS_LEAST 1024
#define STACK_SIZE        (1024 * 1024) /* libmilter may have a thread a session */

/* A missing last folder of path; others are the administrator's. */
static bool make_folder(const char *path, uid_t uid, gid_t gid, mode_t mode,
                        struct error *error)
{
    if (mkdir(path, mode) != 0) {
        if (errno == EEXIST) {
            return true;
        }
        error_set_errno(error, "cannot make the folder %s", path);
        return false;
    }
    if (chown(path, uid, gid) != 0 || chmod(path, mode) != 0) {
        error_set_errno(error, "cannot give the folder %s away", path);
        return false;
    }
    return true;
}

static bool make_folder_of(const char *file, uid_t uid, gid_t gid, mode_t mode,
                           struct error *error)
{
    char *path = strdup(file);
    char *slash = path == NULL ? NULL : strrchr(path, '/');
    bool made = true;

    if (slash != NULL && slash != path) {
        *slash = '\0';
        made = make_folder(path, uid, gid, mode, error);
    }
    free(path);
    return made;
}

static bool become(const struct passwd *user, gid_t socket_gid,
                   bool has_socket_gid, struct error *error)
{
    gid_t groups[64];
    int count = sizeof groups / sizeof groups[0] - 1;

    if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0) {
        error_set(error, "user \"%s\" is in more than 63 groups",
                  user->pw_name);
        return false;
    }
    if (has_socket_gid) {
        groups[count++] = socket_gid;
    }
    if (setgroups((size_t)count, groups) != 0 ||
        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0) {
        error_set_errno(error, "cannot become user \"%s\"", user->pw_name);
        return false;
    }
    if (setuid(0) == 0 || geteuid() == 0) {
        error_set(error, "user \"%s\" is still root", user->pw_name);
        return false;
    }
    return true;
}

bool daemon_drop_privileges(const struct settings *settings,
                            struct error *error)
{
    const char *socket_path = settings_socket_path(settings);
    const struct passwd *user;
    gid_t gid = (gid_t)-1;
    bool has_gid;

    if (geteuid() != 0) {
        return true;
    }
    user = settings_host_user(settings, error);
    if (user == NULL) {
        return false;
    }
    if (!settings_host_group(settings, &gid, &has_gid, error)) {
        return false;
    }
    if (!make_folder(settings->state_dir, user->pw_uid, user->pw_gid, 0750,
                     error) ||
        !make_folder_of(settings->event_log, user->pw_uid, user->pw_gid, 0750,
                        error) ||
        (socket_path != NULL &&
         !make_folder_of(socket_path, user->pw_uid,
                         has_gid ? gid : user->pw_gid, 0750, error))) {
        return false;
    }
    return become(user, gid, has_gid, error);
}

void daemon_watch_files(struct daemon_files *files, int64_t now_ms)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    struct rlimit limit;

    if (fd < 0 && errno == EMFILE && files->out_ms == 0 &&
        getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        files->out_ms = now_ms;
        log_warning("all %llu files that may be open are: further sessions of "
                    "the MTA wait: raise LimitNOFILE or ulimit -n",
                    (unsigned long long)limit.rlim_cur);
    }
    if (fd >= 0 && files->out_ms != 0) {
        log_info("files may be opened again: seconds=%lld",
                 (long long)(now_ms - files->out_ms) / 1000);
        files->out_ms = 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

void daemon_raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < DESCRIPTORS_LEAST) {
        log_warning("only %llu files may be open, each session of the MTA "
                    "needs one: raise LimitNOFILE or ulimit -n",
                    (unsigned long long)limit.rlim_cur);
    }
#if defined(HAVE_PTHREAD_SETATTR_DEFAULT_NP) &&                                \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    {
        pthread_attr_t attributes;

        if (pthread_attr_init(&attributes) == 0) {
            if (pthread_attr_setstacksize(&attributes, STACK_SIZE) == 0) {
                (void)pthread_setattr_default_np(&attributes);
            }
            (void)pthread_attr_destroy(&attributes);
        }
    }
#endif
}

bool daemon_socket_is_in_use(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;
    bool in_use;

    if (text_copy(text_of(path), address.sun_path, sizeof address.sun_path) <
        strlen(path)) {
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    /* a full backlog answers EAGAIN: somebody listens */
    in_use =
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ||
        errno == EAGAIN;
    (void)close(fd);
    return in_use;
}

void daemon_socket_fault(const struct settings *settings, int cause,
                         struct error *error)
{
    static const struct row {
        int cause;
        const char *remedy;
    } rows[] = {
        {EADDRINUSE, "another program listens there, which ss -lntp names: "
                     "end it, or set milter_socket to another port"},
        {EADDRNOTAVAIL, "no interface of this host has that address: set "
                        "milter_socket to one that it has"},
        {EACCES, "ports below 1024 and folders of others are not for nixied: "
                 "set milter_socket to another place"},
        {ENOENT, "its folder is missing: make it, or set milter_socket"},
    };
    const char *remedy = "what libmilter wrote to syslog tells more; set "
                         "milter_socket to another place";

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        remedy = rows[i].cause == cause ? rows[i].remedy : remedy;
    }
    error_set(error, "milter_socket = \"%s\": cannot be opened%s%s; %s",
              settings->milter_socket, cause != 0 ? ": " : "",
              cause != 0 ? strerror(cause) : "", remedy);
}

bool daemon_open_socket_to_mta(const struct settings *settings,
                               struct error *error)
{
    const char *path = settings_socket_path(settings);
    gid_t gid = (gid_t)-1;
    bool has_gid;

    if (path == NULL) {
        return true;
    }
    if (!settings_host_group(settings, &gid, &has_gid, error)) {
        return false;
    }
    if (has_gid && lchown(path, (uid_t)-1, gid) != 0) {
        if (!settings->milter_socket_group_is_default) {
            error_set_errno(error,
                            "milter_socket_group = \"%s\": cannot give %s to "
                            "it; start nixied as root, or add its user to "
                            "that group",
                            settings->milter_socket_group, path);
            return false;
        }
        log_warning("the MTA may be unable to connect: %s does not belong to "
                    "group %s",
                    path, settings->milter_socket_group);
    }
    if (chmod(path, settings->milter_socket_mode) != 0) {
        error_set_errno(error, "milter_socket_mode: %s", path);
        return false;
    }
    return true;
}
