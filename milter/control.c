#include "control.h"

#include "clock.h"
#include "control_request.h"
#include "event_json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#define SOCKET_NAME   "control.sock"
#define CLIENT_MS     2000 /* a slow client keeps others waiting so long */
#define DRAINED_MAX   ((size_t)1024 * 1024)
#define ANSWER_MAX    4096 /* an error text, each byte of it escaped */
#define BACKLOG       16
#define RETRY_MS      20 /* after a full backlog */
#define SERVER_STACK  (1024 * 1024)
#define FAULT_WAIT_MS 100 /* accept(2) failed: no descriptors left, say */

/* --- what server and client share -------------------------------------- */

/*
 * The address of the socket in the folder that directory is open on. The
 * way through /proc is short, however deep the folder lies.
 */
static bool address_in(int directory, struct sockaddr_un *address)
{
    int length;

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    length = snprintf(address->sun_path, sizeof address->sun_path,
                      "/proc/self/fd/%d/" SOCKET_NAME, directory);
    return length > 0 && (size_t)length < sizeof address->sun_path;
}

static int open_directory(const char *state_dir)
{
    return open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void close_descriptor(int descriptor)
{
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
}

/*
 * Until descriptor is ready, the deadline is over (errno ETIMEDOUT) or the
 * other descriptor, which may be -1, says stop (ECANCELED).
 */
static bool wait_for(int descriptor, short what, int stop, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd polls[] = {{descriptor, what, 0}, {stop, POLLIN, 0}};
        int64_t left = deadline_ms - clock_monotonic_ms();
        int ready;

        if (left <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        ready = poll(polls, 2, left > 3600000 ? 3600000 : (int)left);
        if (ready < 0 && errno != EINTR) {
            return false;
        }
        if (ready > 0 && polls[1].revents != 0) {
            errno = ECANCELED;
            return false;
        }
        if (ready > 0) {
            return true;
        }
    }
}

static bool send_all(int connection, const char *bytes, size_t length, int stop,
                     int64_t deadline_ms)
{
    size_t sent = 0;

    while (sent < length) {
        ssize_t count = send(connection, bytes + sent, length - sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);

        if (count >= 0) {
            sent += (size_t)count;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(connection, POLLOUT, stop, deadline_ms)) {
                return false;
            }
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/*
 * Reads up to a newline, which is not counted. -1 with errno: EMSGSIZE when
 * none comes in size bytes, ENODATA when the peer hung up before it.
 */
static ssize_t receive_line(int connection, char *line, size_t size, int stop,
                            int64_t deadline_ms)
{
    size_t used = 0;

    while (used < size) {
        ssize_t count;
        const char *newline;

        if (!wait_for(connection, POLLIN, stop, deadline_ms)) {
            return -1;
        }
        count = recv(connection, line + used, size - used, MSG_DONTWAIT);
        if (count == 0) {
            errno = ENODATA;
            return -1;
        }
        if (count < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
                continue;
            }
            return -1;
        }
        newline = memchr(line + used, '\n', (size_t)count);
        if (newline != NULL) {
            return newline - line;
        }
        used += (size_t)count;
    }
    errno = EMSGSIZE;
    return -1;
}

/* --- the server -------------------------------------------------------- */

struct control {
    struct control_options options;
    int directory;
    int listener;
    int stop; /* eventfd: written once, by control_stop() */
    pthread_t thread;
};

static bool is_trusted(int connection)
{
    struct ucred peer;
    socklen_t length = sizeof peer;

    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) ==
               0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void answer_with(int connection, int stop, json_t *answer)
{
    char line[ANSWER_MAX];
    size_t length =
        json_dumpb(answer, line, sizeof line - 1,
                   JSON_COMPACT | JSON_ENSURE_ASCII); /* 0: answer is NULL */

    json_decref(answer);
    if (length == 0 || length > sizeof line - 1) {
        return; /* out of memory: the client takes it as unknown */
    }
    line[length] = '\n';
    (void)send_all(connection, line, length + 1, stop,
                   clock_monotonic_ms() + CLIENT_MS);
}

static void answer_error(int connection, int stop, const struct error *error)
{
    char escaped[ERROR_SIZE];

    (void)text_escape(text_of(error->text), escaped, sizeof escaped);
    answer_with(connection, stop, json_pack("{s:s}", "error", escaped));
}

static void serve_line(struct control *control, int connection,
                       const char *line, size_t length)
{
    struct error error = {"nixied cannot log it"};
    struct control_answer answer = {0, false};
    struct event event;
    struct control_request *request =
        control_request_decode(line, length, &event, &error);

    if (request == NULL || !control->options.handle(control->options.context,
                                                    &event, &answer, &error)) {
        answer_error(connection, control->stop, &error);
    } else {
        answer_with(connection, control->stop,
                    json_pack("{s:I,s:b}", "seq", (json_int_t)answer.seq,
                              "applied", answer.applied ? 1 : 0));
    }
    control_request_free(request);
}

/*
 * The rest of a line that is too long: who still writes would get a broken
 * pipe and never read what we say.
 */
static void drain_line(int connection, int stop, int64_t deadline_ms)
{
    char block[EVENT_LINE_MAX];

    for (size_t drained = 0; drained < DRAINED_MAX; drained += sizeof block) {
        if (receive_line(connection, block, sizeof block, stop, deadline_ms) >=
                0 ||
            errno != EMSGSIZE) {
            return;
        }
    }
}

static void serve(struct control *control, int connection)
{
    int64_t deadline_ms = clock_monotonic_ms() + CLIENT_MS;
    char line[EVENT_LINE_MAX];
    struct error error;
    ssize_t length;

    if (!is_trusted(connection)) {
        error_set(&error, "only root and the user of nixied may ask");
        answer_error(connection, control->stop, &error);
        return;
    }
    length =
        receive_line(connection, line, sizeof line, control->stop, deadline_ms);
    if (length >= 0) {
        serve_line(control, connection, line, (size_t)length);
    } else if (errno == EMSGSIZE) {
        drain_line(connection, control->stop, deadline_ms);
        error_set(&error, "the request is longer than %d bytes",
                  EVENT_LINE_MAX);
        answer_error(connection, control->stop, &error);
    }
}

static void *run(void *argument)
{
    struct control *control = argument;

    while (wait_for(control->listener, POLLIN, control->stop, INT64_MAX)) {
        int connection = accept4(control->listener, NULL, NULL,
                                 SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (connection >= 0) {
            serve(control, connection);
            (void)close(connection);
        } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
            /* the client still waits in the queue: no busy loop */
            (void)wait_for(control->stop, POLLIN, -1,
                           clock_monotonic_ms() + FAULT_WAIT_MS);
        }
    }
    return NULL;
}

/* What a killed nixied left there; the lock on the folder says it is dead. */
static bool remove_stale(int directory, const char *state_dir,
                         struct error *error)
{
    struct stat status;

    if (fstatat(directory, SOCKET_NAME, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) {
            return true;
        }
        error_set_errno(error, "%s/" SOCKET_NAME, state_dir);
        return false;
    }
    if (!S_ISSOCK(status.st_mode)) {
        error_set(error, "%s/" SOCKET_NAME " is no socket: remove it",
                  state_dir);
        return false;
    }
    if (unlinkat(directory, SOCKET_NAME, 0) != 0 && errno != ENOENT) {
        error_set_errno(error, "remove %s/" SOCKET_NAME, state_dir);
        return false;
    }
    return true;
}

static bool listen_in(struct control *control, struct error *error)
{
    const char *state_dir = control->options.state_dir;
    struct sockaddr_un address;

    control->directory = open_directory(state_dir);
    if (control->directory < 0) {
        error_set_errno(error, "%s", state_dir);
        return false;
    }
    if (!remove_stale(control->directory, state_dir, error)) {
        return false;
    }
    control->listener =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* bind(2) gives the file the mode of the socket: never open to others */
    if (control->listener < 0 || fchmod(control->listener, 0600) != 0 ||
        !address_in(control->directory, &address) ||
        bind(control->listener, (struct sockaddr *)&address, sizeof address) !=
            0 ||
        listen(control->listener, BACKLOG) != 0) {
        error_set_errno(error, "listen on %s/" SOCKET_NAME, state_dir);
        return false;
    }
    return true;
}

/* Signals belong to the threads that wait for them. */
static int start_thread(struct control *control)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    int failure = pthread_attr_init(&attributes);

    if (failure != 0) {
        return failure;
    }
    (void)pthread_attr_setstacksize(&attributes, SERVER_STACK);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&control->thread, &attributes, run, control);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return failure;
}

static void free_control(struct control *control)
{
    close_descriptor(control->listener);
    close_descriptor(control->directory);
    close_descriptor(control->stop);
    free(control);
}

struct control *control_start(const struct control_options *options,
                              struct error *error)
{
    struct control *control = calloc(1, sizeof *control);
    int failure;

    if (control == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    control->options = *options;
    control->directory = -1;
    control->listener = -1;
    control->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (control->stop < 0) {
        error_set_errno(error, "eventfd");
        goto fail;
    }
    if (!listen_in(control, error)) {
        goto fail;
    }
    failure = start_thread(control);
    if (failure != 0) {
        errno = failure;
        error_set_errno(error, "the thread of " SOCKET_NAME);
        (void)unlinkat(control->directory, SOCKET_NAME, 0);
        goto fail;
    }
    return control;
fail:
    free_control(control);
    return NULL;
}

void control_stop(struct control *control)
{
    if (control == NULL) {
        return;
    }
    (void)eventfd_write(control->stop, 1);
    (void)pthread_join(control->thread, NULL);
    (void)unlinkat(control->directory, SOCKET_NAME, 0);
    free_control(control);
}

/* --- the client -------------------------------------------------------- */

static enum control_result refused_errno(const char *state_dir,
                                         struct error *error)
{
    if (errno == EACCES || errno == EPERM) {
        error_set(error,
                  "%s/" SOCKET_NAME " is for root and the user of nixied only; "
                  "try it with sudo",
                  state_dir);
    } else {
        error_set_errno(error, "%s/" SOCKET_NAME, state_dir);
    }
    return CONTROL_REFUSED;
}

static bool nobody_there(int cause)
{
    return cause == ENOENT || cause == ENOTDIR || cause == ECONNREFUSED;
}

/* connect(2) says EAGAIN while as many clients wait as the queue holds. */
static bool connect_before(int connection, const struct sockaddr_un *address,
                           int64_t deadline_ms)
{
    while (connect(connection, (const struct sockaddr *)address,
                   sizeof *address) != 0) {
        if (errno == EAGAIN && clock_monotonic_ms() < deadline_ms) {
            (void)poll(NULL, 0, RETRY_MS);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* DONE with *connection, the caller's; else as control_send(). */
static enum control_result open_connection(const char *state_dir,
                                           int64_t deadline_ms, int *connection,
                                           struct error *error)
{
    enum control_result result = CONTROL_DONE;
    struct sockaddr_un address;
    int directory = open_directory(state_dir);

    *connection = -1;
    if (directory < 0) {
        return nobody_there(errno) ? CONTROL_ABSENT
                                   : refused_errno(state_dir, error);
    }
    *connection =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*connection < 0 || !address_in(directory, &address) ||
        !connect_before(*connection, &address, deadline_ms)) {
        result = nobody_there(errno) ? CONTROL_ABSENT
                                     : refused_errno(state_dir, error);
        close_descriptor(*connection);
        *connection = -1;
    }
    (void)close(directory);
    return result;
}

static enum control_result understand(const char *line, size_t length,
                                      struct control_answer *answer,
                                      struct error *error)
{
    enum control_result result = CONTROL_UNKNOWN;
    json_t *root = json_loadb(line, length, 0, NULL);
    const json_t *fault = json_object_get(root, "error");
    const json_t *seq = json_object_get(root, "seq");

    if (json_is_string(fault)) {
        char escaped[ERROR_SIZE];

        (void)text_escape(text_of(json_string_value(fault)), escaped,
                          sizeof escaped);
        error_set(error, "%s", escaped);
        result = CONTROL_REFUSED;
    } else if (json_is_integer(seq)) {
        answer->seq = json_integer_value(seq);
        answer->applied = json_is_true(json_object_get(root, "applied"));
        result = CONTROL_DONE;
    } else {
        error_set(error, "nixied gave an answer that is none");
    }
    json_decref(root);
    return result;
}

static enum control_result exchange(int connection, const char *line,
                                    size_t length, int64_t deadline_ms,
                                    struct control_answer *answer,
                                    struct error *error)
{
    char reply[ANSWER_MAX];
    bool sent = send_all(connection, line, length, -1, deadline_ms);
    ssize_t received;

    /* a server that hung up may have said why */
    if (!sent && errno != EPIPE && errno != ECONNRESET) {
        error_set_errno(error, "nixied does not take the request");
        return CONTROL_REFUSED; /* only a line with its newline counts */
    }
    received = receive_line(connection, reply, sizeof reply, -1, deadline_ms);
    if (received >= 0) {
        return understand(reply, (size_t)received, answer, error);
    }
    if (errno == ENODATA) {
        error_set(error, "nixied hung up without an answer");
    } else {
        error_set_errno(error, "no answer from nixied");
    }
    return sent ? CONTROL_UNKNOWN : CONTROL_REFUSED;
}

enum control_result control_send(const char *state_dir,
                                 const struct event *event, int timeout_ms,
                                 struct control_answer *answer,
                                 struct error *error)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    enum control_result result;
    size_t length = 0;
    int connection;
    char *line = control_request_encode(event, &length);

    if (line == NULL) {
        error_set(error, "the request is not UTF-8, or memory is short");
        return CONTROL_REFUSED;
    }
    if (length > EVENT_LINE_MAX) {
        error_set(error, "the request is longer than %d bytes", EVENT_LINE_MAX);
        free(line);
        return CONTROL_REFUSED;
    }
    result = open_connection(state_dir, deadline_ms, &connection, error);
    if (result == CONTROL_DONE) {
        result = exchange(connection, line, length, deadline_ms, answer, error);
        (void)close(connection);
    }
    free(line);
    return result;
}

enum control_result control_probe(const char *state_dir, struct error *error)
{
    int connection;
    enum control_result result = open_connection(
        state_dir, clock_monotonic_ms() + CLIENT_MS, &connection, error);

    close_descriptor(connection);
    return result;
}
