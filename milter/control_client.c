#include "clock.h"
#include "control.h"
#include "control_request.h"
#include "control_socket.h"
#include "event_json.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#define RETRY_MS 20 /* after a full backlog */

static enum control_result refused_errno(const char *state_dir,
                                         struct error *error)
{
    if (errno == EACCES || errno == EPERM) {
        error_set(error,
                  "%s/" CONTROL_SOCKET_NAME
                  " is for root and the user of nixied only; "
                  "try it with sudo",
                  state_dir);
    } else {
        error_set_errno(error, "%s/" CONTROL_SOCKET_NAME, state_dir);
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

enum control_result control_client_open(const char *state_dir,
                                        int64_t deadline_ms, int *connection,
                                        struct error *error)
{
    enum control_result result = CONTROL_DONE;
    struct sockaddr_un address;
    int directory = control_socket_directory(state_dir);

    *connection = -1;
    if (directory < 0) {
        return nobody_there(errno) ? CONTROL_ABSENT
                                   : refused_errno(state_dir, error);
    }
    *connection =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*connection < 0 || !control_socket_address(directory, &address) ||
        !connect_before(*connection, &address, deadline_ms)) {
        result = nobody_there(errno) ? CONTROL_ABSENT
                                     : refused_errno(state_dir, error);
        control_socket_close(*connection);
        *connection = -1;
    }
    (void)close(directory);
    return result;
}

enum control_result control_client_understand(const char *line, size_t length,
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

/* --- requests and their answers ---------------------------------------- */

/* Requests go out while answers come in: neither side waits for the other. */
struct exchange {
    int connection;
    int timeout_ms;
    int64_t deadline_ms; /* of the next answer */
    char *lines;         /* all requests */
    size_t length, sent;
    size_t lines_sent; /* whole ones */
    bool closed;       /* nixied takes no more; it may have said why */
    char input[CONTROL_ANSWER_MAX];
    size_t used;
    struct control_answer *answers;
    size_t count, done;
};

static bool append_line(struct exchange *exchange, const struct event *event,
                        struct error *error)
{
    size_t length = 0;
    char *line = control_request_encode(event, &length);
    char *grown = NULL;

    if (line == NULL) {
        error_set(error, "the request is not UTF-8, or memory is short");
    } else if (length > EVENT_LINE_MAX) {
        error_set(error, "the request is longer than %d bytes", EVENT_LINE_MAX);
    } else {
        grown = realloc(exchange->lines, exchange->length + length);
        if (grown == NULL) {
            error_set(error, "out of memory");
        } else {
            memcpy(grown + exchange->length, line, length);
            exchange->lines = grown;
            exchange->length += length;
        }
    }
    free(line);
    return grown != NULL;
}

static void count_sent(struct exchange *exchange, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        exchange->lines_sent += exchange->lines[exchange->sent + i] == '\n';
    }
    exchange->sent += count;
}

/* False with errno: no more of them will go out. */
static bool send_some(struct exchange *exchange)
{
    ssize_t count =
        send(exchange->connection, exchange->lines + exchange->sent,
             exchange->length - exchange->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (count >= 0) {
        count_sent(exchange, (size_t)count);
        return true;
    }
    if (errno == EPIPE || errno == ECONNRESET) {
        exchange->closed = true;
        return true;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* The answers that are whole; not DONE: the last of them. */
static enum control_result take_answers(struct exchange *exchange,
                                        struct error *error)
{
    enum control_result result = CONTROL_DONE;
    char *begin = exchange->input;
    char *end = begin + exchange->used;
    char *newline;

    while (result == CONTROL_DONE && exchange->done < exchange->count &&
           (newline = memchr(begin, '\n', (size_t)(end - begin))) != NULL) {
        result = control_client_understand(begin, (size_t)(newline - begin),
                                           &exchange->answers[exchange->done],
                                           error);
        exchange->done += result == CONTROL_DONE;
        exchange->deadline_ms = clock_monotonic_ms() + exchange->timeout_ms;
        begin = newline + 1;
    }
    exchange->used = (size_t)(end - begin);
    memmove(exchange->input, begin, exchange->used);
    if (result == CONTROL_DONE && exchange->used == sizeof exchange->input) {
        error_set(error, "nixied gave an answer that is none");
        result = CONTROL_UNKNOWN;
    }
    return result;
}

/* Only a line that went out with its newline can have counted. */
static enum control_result broken_off(const struct exchange *exchange,
                                      const char *what, struct error *error)
{
    if (exchange->lines_sent <= exchange->done) {
        error_set_errno(error, "nixied does not take the request");
        return CONTROL_REFUSED;
    }
    if (what != NULL) {
        error_set(error, "%s", what);
    } else {
        error_set_errno(error, "no answer from nixied");
    }
    return CONTROL_UNKNOWN;
}

static enum control_result receive_some(struct exchange *exchange,
                                        struct error *error)
{
    ssize_t count = recv(exchange->connection, exchange->input + exchange->used,
                         sizeof exchange->input - exchange->used, MSG_DONTWAIT);

    if (count > 0) {
        exchange->used += (size_t)count;
        return take_answers(exchange, error);
    }
    if (count == 0) {
        errno = EPIPE;
        return broken_off(exchange, "nixied hung up without an answer", error);
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        return CONTROL_DONE;
    }
    return broken_off(exchange, NULL, error);
}

static enum control_result run(struct exchange *exchange, struct error *error)
{
    while (exchange->done < exchange->count) {
        bool sends = exchange->sent < exchange->length && !exchange->closed;
        enum control_result result;

        if (!control_socket_wait(exchange->connection,
                                 sends ? POLLIN | POLLOUT : POLLIN, -1,
                                 exchange->deadline_ms) ||
            (sends && !send_some(exchange))) {
            return broken_off(exchange, NULL, error);
        }
        result = receive_some(exchange, error);
        if (result != CONTROL_DONE) {
            return result;
        }
    }
    return CONTROL_DONE;
}

enum control_result control_send_all(const char *state_dir,
                                     const struct event *events, size_t count,
                                     int timeout_ms,
                                     struct control_answer *answers,
                                     size_t *done, struct error *error)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    enum control_result result = CONTROL_REFUSED;
    bool encoded = true;

    *done = 0;
    if (exchange == NULL) {
        error_set(error, "out of memory");
        return CONTROL_REFUSED;
    }
    exchange->connection = -1;
    exchange->timeout_ms = timeout_ms;
    exchange->deadline_ms = clock_monotonic_ms() + timeout_ms;
    exchange->answers = answers;
    exchange->count = count;
    for (size_t i = 0; i < count && encoded; i++) {
        encoded = append_line(exchange, &events[i], error);
    }
    if (encoded) {
        result = control_client_open(state_dir, exchange->deadline_ms,
                                     &exchange->connection, error);
    }
    if (result == CONTROL_DONE) {
        result = run(exchange, error);
        *done = exchange->done;
    }
    control_socket_close(exchange->connection);
    free(exchange->lines);
    free(exchange);
    return result;
}

enum control_result control_send(const char *state_dir,
                                 const struct event *event, int timeout_ms,
                                 struct control_answer *answer,
                                 struct error *error)
{
    size_t done;

    return control_send_all(state_dir, event, 1, timeout_ms, answer, &done,
                            error);
}

enum control_result control_probe(const char *state_dir, struct error *error)
{
    int connection;
    enum control_result result =
        control_client_open(state_dir, clock_monotonic_ms() + CONTROL_CLIENT_MS,
                            &connection, error);

    control_socket_close(connection);
    return result;
}
