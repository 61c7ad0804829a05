#include "smtp_script.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define HEARD_MAX (4 * 1024 * 1024)
#define PATIENCE  20 /* seconds */

struct smtp_server {
    struct smtp_script scripts[8];
    size_t script_count;
    char relay[32];
    int listening;
    int stop[2];
    pthread_t thread;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t taken;
    char *heard;
    size_t length, messages, connections;
};

struct link {
    struct smtp_server *server;
    const struct smtp_script *script;
    int fd;
    char line[4096];
    size_t length;
};

/* The next byte; false: the other side is gone, or we are to stop. */
static bool read_byte(struct link *link, char *byte)
{
    struct pollfd polled[2] = {{.fd = link->fd, .events = POLLIN},
                               {.fd = link->server->stop[0], .events = POLLIN}};

    return poll(polled, 2, PATIENCE * 1000) > 0 && polled[1].revents == 0 &&
           read(link->fd, byte, 1) == 1;
}

static void note(struct smtp_server *server, const char *bytes, size_t length)
{
    (void)pthread_mutex_lock(&server->lock);
    if (server->length + length < HEARD_MAX) {
        memcpy(server->heard + server->length, bytes, length);
        server->length += length;
        server->heard[server->length] = '\0';
    }
    (void)pthread_mutex_unlock(&server->lock);
}

static bool read_line(struct link *link)
{
    link->length = 0;
    do {
        if (link->length + 1 >= sizeof link->line ||
            !read_byte(link, &link->line[link->length])) {
            return false;
        }
    } while (link->line[link->length++] != '\n');
    link->line[link->length] = '\0';
    note(link->server, link->line, link->length);
    return true;
}

/* False: the session is over. */
static bool answer(struct link *link, const char *reply, const char *usual)
{
    char line[1024];
    int length;
    char byte;

    if (reply == NULL) {
        reply = usual;
    }
    if (strcmp(reply, SMTP_CLOSE) == 0) {
        return false;
    }
    if (strcmp(reply, SMTP_HANG) == 0) {
        while (read_byte(link, &byte)) {
        }
        return false;
    }
    length = snprintf(line, sizeof line, "%s\r\n", reply);
    return length > 0 && (size_t)length < sizeof line &&
           send(link->fd, line, (size_t)length, MSG_NOSIGNAL) == length;
}

static bool take_message(struct link *link)
{
    do {
        if (!read_line(link)) {
            return false;
        }
    } while (strcmp(link->line, ".\r\n") != 0);
    return true;
}

static void count_message(struct smtp_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    server->messages++;
    (void)pthread_cond_broadcast(&server->taken);
    (void)pthread_mutex_unlock(&server->lock);
}

static bool answer_data(struct link *link)
{
    const struct smtp_script *script = link->script;
    bool goes_on;

    if (!answer(link, script->data, "354 go on")) {
        return false;
    }
    if (script->data != NULL && script->data[0] != '3') {
        return true;
    }
    if (!take_message(link)) {
        return false;
    }
    goes_on = answer(link, script->dot, "250 2.0.0 queued");
    if (script->dot == NULL || script->dot[0] == '2') {
        count_message(link->server);
    }
    return goes_on;
}

static bool answer_line(struct link *link)
{
    const struct smtp_script *script = link->script;

    if (strncasecmp(link->line, "EHLO", 4) == 0) {
        return answer(link, script->ehlo, "250-mx\r\n250 SIZE 1000000");
    }
    if (strncasecmp(link->line, "HELO", 4) == 0) {
        return answer(link, script->helo, "250 mx");
    }
    if (strncasecmp(link->line, "MAIL", 4) == 0) {
        return answer(link, script->mail, "250 ok");
    }
    if (strncasecmp(link->line, "RCPT", 4) == 0) {
        return answer(link, script->rcpt, "250 ok");
    }
    if (strncasecmp(link->line, "DATA", 4) == 0) {
        return answer_data(link);
    }
    (void)answer(link, NULL, "221 bye");
    return false;
}

static void serve(struct smtp_server *server, int fd)
{
    struct link link = {.server = server, .fd = fd};
    size_t index;

    (void)pthread_mutex_lock(&server->lock);
    index = server->connections++;
    (void)pthread_mutex_unlock(&server->lock);
    if (index >= server->script_count) {
        index = server->script_count - 1;
    }
    link.script = &server->scripts[index];
    if (!answer(&link, link.script->greeting, "220 mx ESMTP")) {
        return;
    }
    while (read_line(&link) && answer_line(&link)) {
    }
}

static void *run(void *context)
{
    struct smtp_server *server = context;

    for (;;) {
        struct pollfd polled[2] = {{.fd = server->listening, .events = POLLIN},
                                   {.fd = server->stop[0], .events = POLLIN}};
        int fd;

        if (poll(polled, 2, -1) < 0 || polled[1].revents != 0) {
            return NULL;
        }
        fd = accept(server->listening, NULL, NULL);
        if (fd >= 0) {
            serve(server, fd);
            (void)close(fd);
        }
    }
}

struct smtp_server *smtp_server_start(const struct smtp_script *scripts,
                                      size_t count)
{
    struct smtp_server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    assert_non_null(server);
    assert_in_range(count, 1, sizeof server->scripts / sizeof *scripts);
    memcpy(server->scripts, scripts, count * sizeof *scripts);
    server->script_count = count;
    server->heard = calloc(1, HEARD_MAX);
    assert_non_null(server->heard);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listening >= 0);
    assert_int_equal(
        bind(server->listening, (struct sockaddr *)&address, sizeof address),
        0);
    assert_int_equal(listen(server->listening, 16), 0);
    assert_int_equal(
        getsockname(server->listening, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(server->relay, sizeof server->relay, "127.0.0.1:%u",
                   ntohs(address.sin_port));
    assert_int_equal(pipe(server->stop), 0);
    assert_int_equal(pthread_mutex_init(&server->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&server->taken, NULL), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, run, server), 0);
    return server;
}

void smtp_server_stop(struct smtp_server *server)
{
    assert_int_equal(write(server->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    (void)close(server->stop[0]);
    (void)close(server->stop[1]);
    (void)close(server->listening);
    (void)pthread_cond_destroy(&server->taken);
    (void)pthread_mutex_destroy(&server->lock);
    free(server->heard);
    free(server);
}

const char *smtp_server_relay(const struct smtp_server *server)
{
    return server->relay;
}

char *smtp_server_heard(struct smtp_server *server)
{
    char *heard;

    (void)pthread_mutex_lock(&server->lock);
    heard = strdup(server->heard);
    (void)pthread_mutex_unlock(&server->lock);
    assert_non_null(heard);
    return heard;
}

void smtp_server_await(struct smtp_server *server, size_t messages)
{
    struct timespec until;
    int result = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    (void)pthread_mutex_lock(&server->lock);
    while (server->messages < messages && result == 0) {
        result = pthread_cond_timedwait(&server->taken, &server->lock, &until);
    }
    (void)pthread_mutex_unlock(&server->lock);
    assert_int_equal(result, 0);
}

size_t smtp_server_connections(struct smtp_server *server)
{
    size_t connections;

    (void)pthread_mutex_lock(&server->lock);
    connections = server->connections;
    (void)pthread_mutex_unlock(&server->lock);
    return connections;
}
