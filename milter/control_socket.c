#include "control_socket.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MOST_MS 3600000 /* of one poll(2) */

int control_socket_directory(const char *state_dir)
{
    return open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The way through /proc is short, however deep the folder lies. */
bool control_socket_address(int directory, struct sockaddr_un *address)
{
    int length;

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    length = snprintf(address->sun_path, sizeof address->sun_path,
                      "/proc/self/fd/%d/" CONTROL_SOCKET_NAME, directory);
    return length > 0 && (size_t)length < sizeof address->sun_path;
}

void control_socket_close(int descriptor)
{
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
}

bool control_socket_wait(int descriptor, short what, int stop,
                         int64_t deadline_ms)
{
    for (;;) {
        struct pollfd polls[] = {{descriptor, what, 0}, {stop, POLLIN, 0}};
        int64_t left = deadline_ms - clock_monotonic_ms();
        int ready;

        if (left <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        ready = poll(polls, 2, left > WAIT_MOST_MS ? WAIT_MOST_MS : (int)left);
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

bool control_socket_send(int connection, const char *bytes, size_t length,
                         int stop, int64_t deadline_ms)
{
    size_t sent = 0;

    while (sent < length) {
        ssize_t count = send(connection, bytes + sent, length - sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);

        if (count >= 0) {
            sent += (size_t)count;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!control_socket_wait(connection, POLLOUT, stop, deadline_ms)) {
                return false;
            }
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}
