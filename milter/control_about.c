#include "clock.h"
#include "control.h"
#include "control_socket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <jansson.h>

/* From until a newline, the end, or the deadline; its length without that. */
static size_t receive_line(int connection, char line[CONTROL_ANSWER_MAX],
                           int64_t deadline_ms)
{
    size_t used = 0;

    while (used < CONTROL_ANSWER_MAX &&
           control_socket_wait(connection, POLLIN, -1, deadline_ms)) {
        ssize_t count = recv(connection, line + used, CONTROL_ANSWER_MAX - used,
                             MSG_DONTWAIT);
        const char *newline;

        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
            break;
        }
        used += count > 0 ? (size_t)count : 0;
        newline = memchr(line, '\n', used);
        if (newline != NULL) {
            return (size_t)(newline - line);
        }
    }
    return 0;
}

/* A member, or no text; false: there is none. */
static bool take(const json_t *root, const char *name, struct text *value)
{
    const json_t *member = json_object_get(root, name);

    *value =
        (struct text){json_string_value(member), json_string_length(member)};
    return value->bytes != NULL;
}

static bool understand(const json_t *root, struct control_about *about)
{
    struct text value;

    if (!take(root, "version", &value)) {
        return false;
    }
    (void)text_escape(value, about->version, sizeof about->version);
    if (take(root, "loaded_at", &value)) {
        (void)clock_parse(value.bytes, value.length, &about->loaded_at_us);
    }
    if (take(root, "restart_for", &value)) {
        (void)text_escape(value, about->restart_for, sizeof about->restart_for);
    }
    return true;
}

enum control_result control_ask_about(const char *state_dir, int timeout_ms,
                                      struct control_about *about,
                                      struct error *error)
{
    static const char request[] = CONTROL_ASK_ABOUT "\n";
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    char line[CONTROL_ANSWER_MAX];
    int connection;
    enum control_result result =
        control_client_open(state_dir, deadline_ms, &connection, error);
    size_t length = 0;

    memset(about, 0, sizeof *about);
    if (result != CONTROL_DONE) {
        return result;
    }
    if (control_socket_send(connection, request, sizeof request - 1, -1,
                            deadline_ms)) {
        length = receive_line(connection, line, deadline_ms);
    }
    if (length == 0) {
        error_set(error, "nixied listens, but gives no answer: is it hung? "
                         "systemctl restart nixied");
        result = CONTROL_UNKNOWN;
    } else {
        json_t *root = json_loadb(line, length, 0, NULL);

        if (!understand(root, about)) {
            error_set(error, "nixied does not tell its version");
            result = CONTROL_REFUSED;
        }
        json_decref(root);
    }
    control_socket_close(connection);
    return result;
}
