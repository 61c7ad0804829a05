#include "control_batch.h"

#include "clock.h"
#include "control_request.h"
#include "control_socket.h"
#include "event_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <jansson.h>

#define HEAD_SIZE 32 /* {"batch":2000} and a newline, written in front */

struct control_batch {
    int connection;
    size_t count;
    char *lines; /* room for the head, then the requests */
    size_t length, size;
    size_t begin; /* of the head */
};

struct control_batch *control_batch_new(void)
{
    struct control_batch *batch = calloc(1, sizeof *batch);

    if (batch != NULL) {
        batch->connection = -1;
        batch->length = HEAD_SIZE;
    }
    return batch;
}

void control_batch_clear(struct control_batch *batch)
{
    control_socket_close(batch->connection);
    batch->connection = -1;
    batch->count = 0;
    batch->length = HEAD_SIZE;
}

void control_batch_free(struct control_batch *batch)
{
    if (batch != NULL) {
        control_batch_clear(batch);
        free(batch->lines);
        free(batch);
    }
}

size_t control_batch_count(const struct control_batch *batch)
{
    return batch->count;
}

static bool reserve(struct control_batch *batch, size_t length)
{
    size_t size = batch->size;
    char *grown;

    if (batch->length + length <= size) {
        return true;
    }
    size = 2 * size + batch->length + length;
    grown = realloc(batch->lines, size);
    if (grown != NULL) {
        batch->lines = grown;
        batch->size = size;
    }
    return grown != NULL;
}

bool control_batch_add(struct control_batch *batch, const struct event *event,
                       struct error *error)
{
    size_t length = 0;
    char *line = control_request_encode(event, &length);
    bool added = false;

    if (line == NULL) {
        error_set(error, "the request is not UTF-8, or memory is short");
    } else if (length > EVENT_LINE_MAX) {
        error_set(error, "the entry is longer than %d bytes", EVENT_LINE_MAX);
    } else if (!reserve(batch, length)) {
        error_set(error, "out of memory");
    } else {
        memcpy(batch->lines + batch->length, line, length);
        batch->length += length;
        batch->count++;
        added = true;
    }
    free(line);
    return added;
}

static void put_head(struct control_batch *batch)
{
    char head[HEAD_SIZE];
    int length = snprintf(head, sizeof head, "{\"batch\":%zu}\n", batch->count);

    batch->begin = HEAD_SIZE - (size_t)length; /* of 4 digits at most */
    memcpy(batch->lines + batch->begin, head, (size_t)length);
}

enum control_result control_batch_send(struct control_batch *batch,
                                       const char *state_dir, int timeout_ms,
                                       struct error *error)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    enum control_result result;

    put_head(batch);
    result =
        control_client_open(state_dir, deadline_ms, &batch->connection, error);
    if (result != CONTROL_DONE) {
        return result;
    }
    /* who hangs up has mostly said why: _wait() reads it */
    if (!control_socket_send(batch->connection, batch->lines + batch->begin,
                             batch->length - batch->begin, -1, deadline_ms) &&
        errno != EPIPE && errno != ECONNRESET) {
        error_set_errno(error, "nixied does not take the batch");
        return CONTROL_UNKNOWN;
    }
    return CONTROL_DONE;
}

/* One line; false with error. */
static bool receive_line(int connection, char line[CONTROL_ANSWER_MAX],
                         size_t *length, int64_t deadline_ms,
                         struct error *error)
{
    *length = 0;
    while (*length < CONTROL_ANSWER_MAX) {
        ssize_t count;

        if (!control_socket_wait(connection, POLLIN, -1, deadline_ms)) {
            error_set_errno(error, "no answer from nixied");
            return false;
        }
        count = recv(connection, line + *length, CONTROL_ANSWER_MAX - *length,
                     MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
            error_set(error, "nixied hung up without an answer");
            return false;
        }
        *length += count > 0 ? (size_t)count : 0;
        if (*length > 0 && line[*length - 1] == '\n') {
            return true;
        }
    }
    error_set(error, "nixied gave an answer that is none");
    return false;
}

enum control_result control_batch_wait(struct control_batch *batch,
                                       int timeout_ms,
                                       struct control_answer *answer,
                                       size_t *logged, struct error *error)
{
    char line[CONTROL_ANSWER_MAX];
    enum control_result result;
    size_t length;
    json_t *root;
    const json_t *count;

    *logged = 0;
    if (!receive_line(batch->connection, line, &length,
                      clock_monotonic_ms() + timeout_ms, error)) {
        return CONTROL_UNKNOWN;
    }
    result = control_client_understand(line, length, answer, error);
    root = json_loadb(line, length, 0, NULL);
    count = json_object_get(root, "logged");
    if (json_is_integer(count) && json_integer_value(count) > 0) {
        *logged = (size_t)json_integer_value(count);
    }
    if (result == CONTROL_DONE && *logged != batch->count) {
        error_set(error, "nixied is of another version: it took no batch");
        result = CONTROL_REFUSED;
    }
    json_decref(root);
    return result;
}
