#include "postconf.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define POSTCONF     "/usr/sbin/postconf"
#define PATIENCE_MS  5000
#define OUTPUT_MAX   ((size_t)256 * 1024)
#define WORDS_MAX    16
#define STOP_LOOK_MS 10

/* argv is for a program, never for a shell; nothing of our environment. */
static pid_t start(char *const *argv, int output)
{
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char locale[] = "LC_ALL=C";
    char instance[PATH_MAX + sizeof "MAIL_CONFIG="];
    char *environment[] = {path, locale, NULL, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    const char *config = getenv("MAIL_CONFIG");
    sigset_t defaults;
    sigset_t none;
    pid_t child = -1;

    if (config != NULL && strlen(config) < PATH_MAX) {
        (void)stpcpy(stpcpy(instance, "MAIL_CONFIG="), config);
        environment[2] = instance;
    }

    if (posix_spawn_file_actions_init(&actions) != 0) {
        return -1;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return -1;
    }
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigemptyset(&none); /* a daemon's threads block all of them */
    if (posix_spawnattr_setsigdefault(&attributes, &defaults) != 0 ||
        posix_spawnattr_setsigmask(&attributes, &none) != 0 ||
        posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK) != 0 ||
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                         O_RDONLY, 0) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) !=
            0 ||
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
                                         O_WRONLY, 0) != 0 ||
        posix_spawn(&child, POSTCONF, &actions, &attributes, argv,
                    environment) != 0) {
        child = -1;
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return child;
}

/* Up to the end of output; false when it is too long or too late. */
static bool read_all(int input, char *output, int64_t deadline_ms)
{
    size_t used = 0;

    for (;;) {
        struct pollfd poller = {.fd = input, .events = POLLIN};
        int64_t left = deadline_ms - clock_monotonic_ms();
        ssize_t got;

        if (left <= 0 || used == OUTPUT_MAX) {
            return false;
        }
        if (poll(&poller, 1, (int)left) <= 0) {
            continue; /* the deadline ends it */
        }
        got = read(input, output + used, OUTPUT_MAX - used);
        if (got < 0 && errno != EINTR) {
            return false;
        }
        if (got == 0) {
            output[used] = '\0';
            return true;
        }
        used += got > 0 ? (size_t)got : 0;
    }
}

/* Whether it ended well by the deadline; it is gone afterwards. */
static bool end_child(pid_t child, int64_t deadline_ms)
{
    int status = 0;
    pid_t ended;

    while ((ended = waitpid(child, &status, WNOHANG)) == 0 ||
           (ended < 0 && errno == EINTR)) {
        if (clock_monotonic_ms() >= deadline_ms) {
            (void)kill(child, SIGKILL);
            while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
            }
            return false;
        }
        (void)poll(NULL, 0, STOP_LOOK_MS);
    }
    return ended == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run(char *const *argv, char *output)
{
    int64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    bool complete = false;
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    child = start(argv, ends[1]);
    (void)close(ends[1]);
    if (child > 0) {
        complete = read_all(ends[0], output, deadline_ms);
        complete = end_child(child, complete ? deadline_ms : 0) && complete;
    }
    (void)close(ends[0]);
    return complete;
}

enum postconf_result postconf(const char *directory, const char *const *words,
                              char **output)
{
    char *argv[WORDS_MAX + 4] = {NULL};
    size_t count = 0;
    bool done;

    *output = NULL;
    if (access(POSTCONF, X_OK) != 0) {
        return POSTCONF_ABSENT;
    }
    /* posix_spawn() takes them without const, and writes to none */
    argv[count++] = strdup(POSTCONF);
    if (directory != NULL) {
        argv[count++] = strdup("-c");
        argv[count++] = strdup(directory);
    }
    for (size_t i = 0; words[i] != NULL && i < WORDS_MAX; i++) {
        argv[count++] = strdup(words[i]);
    }
    *output = malloc(OUTPUT_MAX + 1);
    done = *output != NULL;
    for (size_t i = 0; i < count; i++) {
        done = done && argv[i] != NULL;
    }
    done = done && run(argv, *output);
    for (size_t i = 0; i < count; i++) {
        free(argv[i]);
    }
    if (!done) {
        free(*output);
        *output = NULL;
    }
    return done ? POSTCONF_DONE : POSTCONF_FAILED;
}
