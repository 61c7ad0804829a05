#include "fake_redis.h"

#include "scratch.h"
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PEERS_MAX   64
#define DRIBBLE_MS  5
#define TIRED_AFTER 8
#define BLOCK_SIZE  (1024 * 1024)

struct peer {
    int fd; /* -1: free */
    bool answered;
    bool line_begins;
    size_t said; /* bytes of a dribble or a block */
    size_t owed; /* commands to be answered */
};

struct fake_redis {
    char folder[64];
    char location[128];
    int listeners[2]; /* Unix, TCP */
    int port;
    int stop;
    pthread_t thread;
    pthread_mutex_t lock; /* guards script */
    struct fake_redis_script script;
    atomic_uint connections;
    struct peer peers[PEERS_MAX];
};

static void hang_up(struct peer *peer)
{
    (void)close(peer->fd);
    peer->fd = -1;
}

static void welcome(struct fake_redis *fake, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    for (size_t i = 0; fd >= 0 && i < PEERS_MAX; i++) {
        if (fake->peers[i].fd < 0) {
            fake->peers[i] = (struct peer){.fd = fd, .line_begins = true};
            atomic_fetch_add(&fake->connections, 1);
            return;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* False when the peer has gone. A command begins with a line of '*'. */
static bool hear(struct peer *peer)
{
    char bytes[65536];
    ssize_t got = recv(peer->fd, bytes, sizeof bytes, 0);

    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    for (ssize_t i = 0; i < got; i++) {
        peer->owed += peer->line_begins && bytes[i] == '*';
        peer->line_begins = bytes[i] == '\n';
    }
    return true;
}

static bool say(struct peer *peer, const char *bytes, size_t length)
{
    return send(peer->fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* Until the socket is full; what did not fit of the last is lost. */
static bool flood(int fd, struct fake_redis_script script)
{
    ssize_t sent;

    do {
        sent = send(fd, script.bytes, script.length, MSG_NOSIGNAL);
    } while (sent > 0);
    return errno == EAGAIN;
}

/* False when the connection is over. */
static bool answer(struct peer *peer, struct fake_redis_script script)
{
    bool alive = true;

    switch (script.manner) {
    case FAKE_REDIS_EACH:
        for (; alive && peer->owed > 0; peer->owed--) {
            alive = say(peer, script.bytes, script.length);
        }
        return alive;
    case FAKE_REDIS_TIRED:
        for (; alive && peer->owed > 0; peer->owed--) {
            alive = peer->said++ < TIRED_AFTER &&
                    say(peer, script.bytes, script.length);
        }
        return alive;
    case FAKE_REDIS_ONCE:
    case FAKE_REDIS_CLOSE:
        if (peer->owed > 0 && !peer->answered) {
            peer->answered = true;
            alive = say(peer, script.bytes, script.length) &&
                    script.manner == FAKE_REDIS_ONCE;
        }
        return alive;
    case FAKE_REDIS_DRIBBLE:
        return peer->owed == 0 ||
               say(peer, script.bytes + peer->said++ % script.length, 1);
    case FAKE_REDIS_HANG_UP:
        return false;
    case FAKE_REDIS_FLOOD:
        return peer->owed == 0 || flood(peer->fd, script);
    case FAKE_REDIS_BLOCK:
        break;
    }
    return true;
}

/*
 * Says all of a bulk string of BLOCK_SIZE zeros, and reads only then: half
 * of a deadlock, if the peer does the same. True once it is out, which may
 * take several calls: a socket that is full takes the rest later.
 */
static bool block(struct peer *peer)
{
    static const char header[] = "$1048576\r\n";
    const size_t head = sizeof header - 1;
    const size_t end = head + BLOCK_SIZE;
    char zeros[4096];

    memset(zeros, '0', sizeof zeros);
    while (peer->said < end + 2) {
        struct text part = {"\r\n", 2};
        ssize_t sent;

        if (peer->said < head) {
            part = (struct text){header, head};
            part.bytes += peer->said;
            part.length -= peer->said;
        } else if (peer->said < end) {
            part = (struct text){zeros, end - peer->said};
            part.length = part.length < 4096 ? part.length : 4096;
        } else {
            part.bytes += peer->said - end;
            part.length -= peer->said - end;
        }
        sent = send(peer->fd, part.bytes, part.length, MSG_NOSIGNAL);
        if (sent < 0) {
            return false;
        }
        peer->said += (size_t)sent;
    }
    return true;
}

static void serve(struct peer *peer, short events,
                  struct fake_redis_script script)
{
    bool ready = script.manner != FAKE_REDIS_BLOCK || block(peer);

    if (ready && (events & (POLLIN | POLLHUP)) != 0 && !hear(peer)) {
        hang_up(peer);
    } else if (!answer(peer, script)) {
        hang_up(peer);
    }
}

static void *run(void *context)
{
    struct fake_redis *fake = context;

    for (;;) {
        struct pollfd pollers[PEERS_MAX + 3];
        struct fake_redis_script script;

        for (size_t i = 0; i < PEERS_MAX; i++) {
            pollers[i] =
                (struct pollfd){.fd = fake->peers[i].fd, .events = POLLIN};
        }
        for (size_t i = 0; i < 2; i++) {
            pollers[PEERS_MAX + i] =
                (struct pollfd){.fd = fake->listeners[i], .events = POLLIN};
        }
        pollers[PEERS_MAX + 2] =
            (struct pollfd){.fd = fake->stop, .events = POLLIN};
        (void)poll(pollers, PEERS_MAX + 3, DRIBBLE_MS);
        if (pollers[PEERS_MAX + 2].revents != 0) {
            return NULL;
        }
        (void)pthread_mutex_lock(&fake->lock);
        script = fake->script;
        (void)pthread_mutex_unlock(&fake->lock);
        for (size_t i = 0; i < PEERS_MAX; i++) {
            if (fake->peers[i].fd >= 0) {
                serve(&fake->peers[i], pollers[i].revents, script);
            }
        }
        for (size_t i = 0; i < 2; i++) {
            if (pollers[PEERS_MAX + i].revents != 0) {
                welcome(fake, fake->listeners[i]);
            }
        }
    }
}

static void must(bool done, const char *what)
{
    if (!done) {
        (void)fprintf(stderr, "fake_redis: %s: %s\n", what, strerror(errno));
        abort();
    }
}

static int listen_at(const struct sockaddr *address, socklen_t length)
{
    int fd = socket(address->sa_family,
                    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    must(fd >= 0 && bind(fd, address, length) == 0 && listen(fd, 64) == 0,
         "listen");
    return fd;
}

struct fake_redis *fake_redis_start(struct fake_redis_script script)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sockaddr_in loopback = {.sin_family = AF_INET};
    socklen_t length = sizeof loopback;
    struct fake_redis *fake = calloc(1, sizeof *fake);

    must(fake != NULL, "calloc");
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (size_t i = 0; i < PEERS_MAX; i++) {
        fake->peers[i].fd = -1;
    }
    scratch_make(fake->folder);
    (void)snprintf(fake->location, sizeof fake->location, "unix:%s/redis.sock",
                   fake->folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s",
                   fake->location + strlen("unix:"));
    fake->listeners[0] = listen_at((struct sockaddr *)&address, sizeof address);
    fake->listeners[1] = listen_at((struct sockaddr *)&loopback, length);
    must(getsockname(fake->listeners[1], (struct sockaddr *)&loopback,
                     &length) == 0,
         "getsockname");
    fake->port = ntohs(loopback.sin_port);
    fake->stop = eventfd(0, EFD_CLOEXEC);
    must(fake->stop >= 0, "eventfd");
    fake->script = script;
    must(pthread_mutex_init(&fake->lock, NULL) == 0, "mutex");
    must(pthread_create(&fake->thread, NULL, run, fake) == 0, "thread");
    return fake;
}

void fake_redis_say(struct fake_redis *fake, struct fake_redis_script script)
{
    (void)pthread_mutex_lock(&fake->lock);
    fake->script = script;
    (void)pthread_mutex_unlock(&fake->lock);
}

const char *fake_redis_location(const struct fake_redis *fake)
{
    return fake->location;
}

int fake_redis_port(const struct fake_redis *fake)
{
    return fake->port;
}

unsigned fake_redis_connections(const struct fake_redis *fake)
{
    return atomic_load(&fake->connections);
}

void fake_redis_stop(struct fake_redis *fake)
{
    if (fake == NULL) {
        return;
    }
    must(eventfd_write(fake->stop, 1) == 0, "eventfd");
    must(pthread_join(fake->thread, NULL) == 0, "join");
    for (size_t i = 0; i < PEERS_MAX; i++) {
        if (fake->peers[i].fd >= 0) {
            hang_up(&fake->peers[i]);
        }
    }
    (void)close(fake->listeners[0]);
    (void)close(fake->listeners[1]);
    (void)close(fake->stop);
    scratch_remove(fake->folder);
    (void)pthread_mutex_destroy(&fake->lock);
    free(fake);
}
