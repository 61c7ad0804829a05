#include "redis_server.h"

#include "scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TRIES   2000 /* of 5 ms */
#define ARGUMENTS_MAX 48

struct redis_server {
    char folder[64];
    char location[128];
    pid_t pid;
    size_t option_count;
    char *options[ARGUMENTS_MAX];
};

bool redis_server_installed(void)
{
    const char *path = getenv("PATH");
    char *folders = strdup(path == NULL ? "/usr/bin" : path);
    char *rest = folders;
    char *folder;
    bool found = false;

    while (folders != NULL && (folder = strsep(&rest, ":")) != NULL) {
        char *program = NULL;

        if (asprintf(&program, "%s/redis-server", folder) >= 0) {
            found = found || access(program, X_OK) == 0;
            free(program);
        }
    }
    free(folders);
    return found;
}

static bool write_configuration(const struct redis_server *server,
                                const char *path)
{
    FILE *file = fopen(path, "we");
    bool written;

    if (file == NULL) {
        return false;
    }
    written = fprintf(file,
                      "port 0\nunixsocket %s\nunixsocketperm 700\n"
                      "save \"\"\nappendonly no\ndaemonize no\n"
                      "dir %s\nlogfile %s/redis.log\n",
                      redis_server_socket(server), server->folder,
                      server->folder) > 0;
    return fclose(file) == 0 && written;
}

/* Only in the child. */
static void become_redis(struct redis_server *server, pid_t parent)
{
    char program[] = "redis-server";
    char path[96];
    char *arguments[ARGUMENTS_MAX + 2] = {program, path};
    sigset_t none;

    (void)snprintf(path, sizeof path, "%s/redis.conf", server->folder);
    memcpy(arguments + 2, server->options, sizeof server->options);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && write_configuration(server, path)) {
        (void)execvp(program, arguments);
    }
    _exit(127);
}

/* Any answer but -LOADING to an inline PING, also -NOAUTH. */
static bool answers(const struct redis_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 1};
    char answer[16] = "";
    bool ready = false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s",
                   redis_server_socket(server));
    if (fd >= 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
        send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6) {
        ready = recv(fd, answer, sizeof answer - 1, 0) > 0 &&
                strncmp(answer, "-LOADING", 8) != 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ready;
}

static bool spawn(struct redis_server *server)
{
    pid_t parent = getpid();

    server->pid = fork();
    if (server->pid == 0) {
        become_redis(server, parent);
    }
    for (int i = 0; server->pid > 0 && i < START_TRIES; i++) {
        int status;

        if (answers(server)) {
            return true;
        }
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            (void)fprintf(stderr, "redis-server ended: status %d\n", status);
            server->pid = -1;
            return false;
        }
        (void)poll(NULL, 0, 5); /* its socket announces itself to nobody */
    }
    (void)fprintf(stderr, "redis-server does not answer\n");
    redis_server_kill(server);
    return false;
}

static bool copy_options(struct redis_server *server,
                         const char *const *options)
{
    while (options != NULL && options[server->option_count] != NULL) {
        char *copy;

        if (server->option_count == ARGUMENTS_MAX - 1 ||
            (copy = strdup(options[server->option_count])) == NULL) {
            return false;
        }
        server->options[server->option_count++] = copy;
    }
    return true;
}

struct redis_server *redis_server_start(const char *const *options)
{
    struct redis_server *server;

    if (!redis_server_installed()) {
        return NULL;
    }
    server = calloc(1, sizeof *server);
    if (server == NULL) {
        return NULL;
    }
    server->pid = -1;
    scratch_make(server->folder);
    (void)snprintf(server->location, sizeof server->location,
                   "unix:%s/redis.sock", server->folder);
    if (!copy_options(server, options) || !spawn(server)) {
        redis_server_stop(server);
        return NULL;
    }
    return server;
}

const char *redis_server_location(const struct redis_server *server)
{
    return server->location;
}

const char *redis_server_socket(const struct redis_server *server)
{
    return server->location + strlen("unix:");
}

const char *redis_server_folder(const struct redis_server *server)
{
    return server->folder;
}

pid_t redis_server_pid(const struct redis_server *server)
{
    return server->pid;
}

void redis_server_kill(struct redis_server *server)
{
    if (server->pid > 0) {
        (void)kill(server->pid, SIGKILL); /* works on a stopped one too */
        while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    server->pid = -1;
}

bool redis_server_restart(struct redis_server *server)
{
    redis_server_kill(server);
    (void)unlink(redis_server_socket(server));
    return spawn(server);
}

void redis_server_stop(struct redis_server *server)
{
    if (server == NULL) {
        return;
    }
    redis_server_kill(server);
    scratch_remove(server->folder);
    for (size_t i = 0; i < server->option_count; i++) {
        free(server->options[i]);
    }
    free(server);
}

int redis_server_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = -1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &length) == 0) {
        port = ntohs(address.sin_port);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return port;
}
