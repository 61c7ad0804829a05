#include "redis_link.h"

#include "clock.h"
#include "redis_reply.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define REPLY_MAX    ((size_t)64 * 1024 * 1024) /* bytes of one reply */
#define ELEMENTS_MAX ((size_t)1024 * 1024)      /* in the arrays of a reply */
#define OUTPUT_MAX   ((size_t)64 * 1024 * 1024)
#define OUTPUT_FIRST 4096 /* holds a login without growing: see log_in() */
#define INPUT_SIZE   16384

#if defined HIREDIS_MAJOR && HIREDIS_MAJOR >= 1
typedef size_t array_length;
#else
typedef int array_length;
#endif

struct redis_link {
    struct redis_endpoint *endpoint;
    int fd;       /* -1: closed */
    uint64_t era; /* of the endpoint, when it was opened */
    redisReader *reader;
    redisReplyObjectFunctions functions;
    void *(*create_array)(const redisReadTask *, array_length);
    size_t reply_bytes; /* read since the last whole reply */
    size_t elements;    /* announced by arrays since then */
    char *output;
    size_t output_size, output_length, output_sent;
    size_t awaited; /* commands without a reply so far */
    enum redis_fault fault;
};

struct redis_link *redis_link_new(struct redis_endpoint *endpoint)
{
    struct redis_link *link = calloc(1, sizeof *link);

    if (link == NULL) {
        return NULL;
    }
    link->output = malloc(OUTPUT_FIRST);
    if (link->output == NULL) {
        free(link);
        return NULL;
    }
    link->output_size = OUTPUT_FIRST;
    link->endpoint = endpoint;
    link->fd = -1;
    return link;
}

void redis_link_free(struct redis_link *link)
{
    if (link == NULL) {
        return;
    }
    redis_link_close(link);
    free(link->output);
    free(link);
}

bool redis_link_is_open(const struct redis_link *link)
{
    return link->fd >= 0;
}

enum redis_fault redis_link_fault(const struct redis_link *link)
{
    return link->fault;
}

void redis_link_close(struct redis_link *link)
{
    if (link->fd >= 0) {
        (void)close(link->fd);
        link->fd = -1;
    }
    if (link->reader != NULL) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }
    link->output_length = 0;
    link->output_sent = 0;
    link->awaited = 0;
}

/*
 * A header of ten bytes makes hiredis allocate an array of as many elements
 * as it names, so their sum is bounded before it does.
 */
static void *create_array(const redisReadTask *task, array_length length)
{
    struct redis_link *link = task->privdata;

    if ((size_t)length > ELEMENTS_MAX - link->elements) {
        link->elements = ELEMENTS_MAX;
        return NULL;
    }
    link->elements += (size_t)length;
    return link->create_array(task, length);
}

static bool make_reader(struct redis_link *link)
{
    link->reader = redisReaderCreate();
    if (link->reader == NULL) {
        return false;
    }
    link->functions = *link->reader->fn;
    link->create_array = link->functions.createArray;
    link->functions.createArray = create_array;
    link->reader->fn = &link->functions;
    link->reader->privdata = link;
    link->reply_bytes = 0;
    link->elements = 0;
    return true;
}

/* Waits for events; false with errno, ETIMEDOUT when time is up. */
static bool wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd poller = {.fd = fd, .events = events};
        int64_t left = deadline_ms - clock_monotonic_ms();
        int ready;

        if (left <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        ready = poll(&poller, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (ready > 0) {
            return true;
        }
        if (ready < 0 && errno != EINTR) {
            return false;
        }
    }
}

/*
 * A non-blocking connect() to a Unix socket whose queue is full fails at once
 * and nothing tells when there is room; a blocking one waits, and SO_SNDTIMEO
 * ends the wait.
 */
static bool connect_unix(int fd, const struct redis_address *to,
                         int64_t deadline_ms)
{
    int64_t left;

    while ((left = deadline_ms - clock_monotonic_ms()) > 0) {
        struct timeval limit = {.tv_sec = left / 1000,
                                .tv_usec = left % 1000 * 1000};

        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) !=
            0) {
            return false;
        }
        if (connect(fd, (const struct sockaddr *)&to->address, to->length) ==
            0) {
            return fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
        }
        if (errno != EINTR && errno != EAGAIN) {
            return false;
        }
    }
    errno = ETIMEDOUT;
    return false;
}

static bool connect_tcp(int fd, const struct redis_address *to,
                        int64_t deadline_ms)
{
    int on = 1;
    int fault = 0;
    socklen_t length = sizeof fault;

    /* neither is needed for a right answer */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        return false;
    }
    if (connect(fd, (const struct sockaddr *)&to->address, to->length) == 0) {
        return true;
    }
    if (errno != EINPROGRESS && errno != EINTR) {
        return false;
    }
    if (!wait_for(fd, POLLOUT, deadline_ms) ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &length) != 0) {
        return false;
    }
    errno = fault;
    return fault == 0;
}

/* A connected non-blocking socket, or -1 with errno. */
static int connect_to(const struct redis_address *to, int64_t deadline_ms)
{
    int family = to->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int cause;

    if (fd < 0) {
        return -1;
    }
    if (family == AF_UNIX ? connect_unix(fd, to, deadline_ms)
                          : connect_tcp(fd, to, deadline_ms)) {
        return fd;
    }
    cause = errno;
    (void)close(fd);
    errno = cause;
    return -1;
}

/* The name of an endpoint behind sentinels does not tell where it failed. */
static void tell_unconnected(const struct redis_link *link,
                             const struct redis_address *to,
                             struct error *error)
{
    const char *name = redis_endpoint_name(link->endpoint);
    int cause = errno;
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];

    if (strncmp(name, "sentinel:", strlen("sentinel:")) != 0 ||
        getnameinfo((const struct sockaddr *)&to->address, to->length, host,
                    sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        errno = cause;
        error_set_errno(error, "connect %s", name);
        return;
    }
    errno = cause;
    error_set_errno(error, "connect %.300s: master at %s port %s", name, host,
                    port);
}

/* Each address gets its share of the time, so that a dead one leaves some. */
static bool connect_any(struct redis_link *link, int64_t deadline_ms,
                        struct error *error)
{
    struct redis_address to[REDIS_ENDPOINT_ADDRESSES];
    size_t count = redis_endpoint_addresses(link->endpoint, to);
    const char *name = redis_endpoint_name(link->endpoint);

    if (count == 0) {
        error_set(error, "connect %s: its address is not known", name);
        return false;
    }
    for (size_t i = 0; i < count && link->fd < 0; i++) {
        int64_t now = clock_monotonic_ms();
        int64_t share = (deadline_ms - now) / (int64_t)(count - i);

        link->fd = connect_to(&to[i], now + share);
    }
    if (link->fd < 0) {
        tell_unconnected(link, &to[count - 1], error);
        return false;
    }
    return true;
}

static bool reserve_output(struct redis_link *link, size_t more)
{
    size_t size = link->output_size;
    char *output;

    if (more > OUTPUT_MAX - link->output_length) {
        return false;
    }
    while (size - link->output_length < more) {
        size *= 2;
    }
    if (size == link->output_size) {
        return true;
    }
    output = realloc(link->output, size);
    if (output == NULL) {
        return false;
    }
    link->output = output;
    link->output_size = size;
    return true;
}

static void put(struct redis_link *link, const char *bytes, size_t length)
{
    if (length > 0) {
        memcpy(link->output + link->output_length, bytes, length);
    }
    link->output_length += length;
}

#define HEADER_SIZE 24 /* a sign, 20 digits, CR LF */

static void put_header(struct redis_link *link, char sign, size_t number)
{
    char header[HEADER_SIZE];
    size_t at = sizeof header;

    header[--at] = '\n';
    header[--at] = '\r';
    do {
        header[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    header[--at] = sign;
    put(link, header + at, sizeof header - at);
}

bool redis_link_command(struct redis_link *link, size_t argc,
                        const char *const *argv, const size_t *lengths)
{
    size_t need = HEADER_SIZE;

    if (link->fd < 0) {
        return false;
    }
    for (size_t i = 0; i < argc; i++) {
        size_t length = lengths == NULL ? strlen(argv[i]) : lengths[i];

        if (length > OUTPUT_MAX || need > OUTPUT_MAX) {
            return false;
        }
        need += HEADER_SIZE + length + 2;
    }
    if (!reserve_output(link, need)) {
        return false;
    }
    put_header(link, '*', argc);
    for (size_t i = 0; i < argc; i++) {
        size_t length = lengths == NULL ? strlen(argv[i]) : lengths[i];

        put_header(link, '$', length);
        put(link, argv[i], length);
        put(link, "\r\n", 2);
    }
    link->awaited++;
    return true;
}

bool redis_link_texts(struct redis_link *link, size_t count,
                      const struct text *texts)
{
    const char *argv[REDIS_LINK_TEXTS_MAX];
    size_t lengths[REDIS_LINK_TEXTS_MAX];

    if (count > REDIS_LINK_TEXTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        argv[i] = texts[i].bytes == NULL ? "" : texts[i].bytes;
        lengths[i] = texts[i].length;
    }
    return redis_link_command(link, count, argv, lengths);
}

/* Sends what the socket takes now. False with errno. */
static bool send_some(struct redis_link *link)
{
    while (link->output_sent < link->output_length) {
        ssize_t sent =
            send(link->fd, link->output + link->output_sent,
                 link->output_length - link->output_sent, MSG_NOSIGNAL);

        if (sent >= 0) {
            link->output_sent += (size_t)sent;
        } else if (errno == EAGAIN) {
            return true;
        } else if (errno == EPIPE) {
            break; /* a last word ("max number of clients") may be there */
        } else if (errno != EINTR) {
            return false;
        }
    }
    link->output_sent = 0;
    link->output_length = 0;
    return true;
}

/* Feeds the reader with what is there now. False with error. */
static bool receive_some(struct redis_link *link, struct error *error)
{
    char input[INPUT_SIZE];
    ssize_t got = recv(link->fd, input, sizeof input, 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (got < 0) {
        error_set_errno(error, "read from redis");
        return false;
    }
    if (got == 0) {
        error_set(error, "redis closed the connection");
        return false;
    }
    link->reply_bytes += (size_t)got;
    if (link->reply_bytes > REPLY_MAX) {
        error_set(error, "redis: a reply of more than %zu bytes", REPLY_MAX);
        return false;
    }
    if (redisReaderFeed(link->reader, input, (size_t)got) != REDIS_OK) {
        error_set(error, "redis: out of memory");
        return false;
    }
    return true;
}

/* The next reply, if all of it is there. False with error. */
static bool take_reply(struct redis_link *link, redisReply **reply,
                       struct error *error)
{
    void *taken = NULL;
    char shown[160];

    *reply = NULL;
    if (redisReaderGetReply(link->reader, &taken) != REDIS_OK) {
        (void)text_escape(text_of(link->reader->errstr), shown, sizeof shown);
        error_set(error, "redis: %s",
                  link->elements == ELEMENTS_MAX ? "a reply too large" : shown);
        return false;
    }
    if (taken == NULL) {
        return true;
    }
    *reply = taken;
    link->elements = 0;
    link->reply_bytes = link->reader->len - link->reader->pos;
    if (link->awaited > 0) {
        link->awaited--;
    }
    return true;
}

/* Sends what the socket takes, and takes a reply if all of it is there. */
static bool step(struct redis_link *link, redisReply **reply,
                 struct error *error)
{
    if (!send_some(link)) {
        error_set_errno(error, "write to redis");
        return false;
    }
    return take_reply(link, reply, error);
}

/*
 * Reads while it sends: a server that waits for us to take its replies would
 * not take the rest of a long pipeline.
 */
static bool exchange(struct redis_link *link, int64_t deadline_ms,
                     redisReply **reply, struct error *error)
{
    bool last_look = false;

    for (;;) {
        short events = POLLIN;

        if (!step(link, reply, error)) {
            return false;
        }
        if (*reply != NULL) {
            return true;
        }
        if (link->output_length > 0) {
            events |= POLLOUT;
        }
        if (!wait_for(link->fd, events, deadline_ms)) {
            if (errno != ETIMEDOUT || last_look) {
                error_set_errno(error, "redis: no answer");
                return false;
            }
            last_look = true; /* it may have come while we had no processor */
        }
        if (!receive_some(link, error)) {
            return false;
        }
    }
}

redisReply *redis_link_reply(struct redis_link *link, int64_t deadline_ms,
                             struct error *error)
{
    redisReply *reply = NULL;

    if (link->fd < 0) {
        error_set(error, "redis: not connected");
        return NULL;
    }
    if (!exchange(link, deadline_ms, &reply, error)) {
        redis_link_close(link);
        return NULL;
    }
    return reply;
}

bool redis_link_take(struct redis_link *link, redisReply **reply,
                     struct error *error)
{
    *reply = NULL;
    if (link->fd < 0) {
        error_set(error, "redis: not connected");
        return false;
    }
    if (step(link, reply, error) &&
        (*reply != NULL ||
         (receive_some(link, error) && step(link, reply, error)))) {
        return true;
    }
    redis_link_close(link);
    return false;
}

bool redis_link_is_amid(const struct redis_link *link)
{
    return link->fd >= 0 && (link->reader->reply != NULL ||
                             link->reader->pos < link->reader->len);
}

struct pollfd redis_link_poll(const struct redis_link *link)
{
    bool sending = link->output_length > link->output_sent;

    return (struct pollfd){.fd = link->fd,
                           .events = sending ? POLLIN | POLLOUT : POLLIN};
}

redisReply *redis_link_ask(struct redis_link *link, int64_t deadline_ms,
                           struct error *error, size_t argc,
                           const char *const *argv, const size_t *lengths)
{
    if (!redis_link_command(link, argc, argv, lengths)) {
        error_set(error, "redis: %s",
                  link->fd < 0 ? "not connected" : "out of memory");
        redis_link_close(link);
        return NULL;
    }
    return redis_link_reply(link, deadline_ms, error);
}

/* False with error when the reply to a step of the login is not OK. */
static bool check_step(struct redis_link *link, const char *step,
                       struct text secret, int64_t deadline_ms,
                       struct error *error)
{
    redisReply *reply = redis_link_reply(link, deadline_ms, error);
    char shown[256];
    bool passed;

    if (reply == NULL) {
        return false;
    }
    passed = reply->type == REDIS_REPLY_STATUS;
    if (reply->type == REDIS_REPLY_ERROR) {
        link->fault = redis_fault_of(reply);
        (void)text_escape(redis_reply_without(reply, secret), shown,
                          sizeof shown);
        error_set(error, "redis: %s refused: %s", step,
                  shown[0] != '\0' ? shown : "its words repeat the password");
    } else if (!passed) {
        link->fault = REDIS_FAULT_OTHER;
        error_set(error, "redis: %s: unexpected reply", step);
    }
    freeReplyObject(reply);
    return passed;
}

/*
 * HELLO and not ROLE: it tells the same, and is open to every user, so that
 * an ACL made for nixie lets it through.
 */
static bool check_master(struct redis_link *link, int64_t deadline_ms,
                         struct error *error)
{
    redisReply *reply = redis_link_reply(link, deadline_ms, error);
    struct text role;
    char shown[160];
    bool is_master;

    if (reply == NULL) {
        return false;
    }
    role = redis_reply_pair(reply, "role");
    is_master = role.length == 6 && memcmp(role.bytes, "master", 6) == 0;
    if (reply->type == REDIS_REPLY_ERROR) {
        link->fault = redis_fault_of(reply);
        (void)text_escape((struct text){reply->str, (size_t)reply->len}, shown,
                          sizeof shown);
        error_set(error, "redis: HELLO refused: %s", shown);
    } else if (!is_master) {
        link->fault = REDIS_FAULT_MOVED_ON;
        (void)text_escape(role, shown, sizeof shown);
        error_set(error,
                  "redis: the server is no master, it calls itself "
                  "\"%s\"",
                  shown);
    }
    freeReplyObject(reply);
    return is_master;
}

static bool queue_login(struct redis_link *link, struct text password)
{
    const char *user = redis_endpoint_user(link->endpoint);
    int database = redis_endpoint_database(link->endpoint);
    const char *auth[] = {"AUTH", user, password.bytes};
    size_t lengths[] = {4, strlen(user), password.length};
    char number[16];
    const char *select[] = {"SELECT", number};
    static const char *const hello[] = {"HELLO", "2"};

    if (user[0] != '\0' && !redis_link_command(link, 3, auth, lengths)) {
        return false;
    }
    if (user[0] == '\0' && password.length > 0) {
        auth[1] = password.bytes;
        lengths[1] = password.length;
        if (!redis_link_command(link, 2, auth, lengths)) {
            return false;
        }
    }
    return snprintf(number, sizeof number, "%d", database) > 0 &&
           (database == 0 || redis_link_command(link, 2, select, NULL)) &&
           (!redis_endpoint_wants_master(link->endpoint) ||
            redis_link_command(link, 2, hello, NULL));
}

static bool log_in(struct redis_link *link, int64_t deadline_ms,
                   struct error *error)
{
    const char *user = redis_endpoint_user(link->endpoint);
    int database = redis_endpoint_database(link->endpoint);
    char password[REDIS_PASSWORD_MAX];
    struct text secret = {password, 0};
    bool done;

    if (!redis_endpoint_password(link->endpoint, password, &secret.length,
                                 error)) {
        link->fault = REDIS_FAULT_LOGIN;
        return false;
    }
    done = queue_login(link, secret);
    if (!done) {
        error_set(error, "redis: out of memory");
    }
    if (done && (user[0] != '\0' || secret.length > 0)) {
        done = check_step(link, "AUTH", secret, deadline_ms, error);
    }
    if (done && database != 0) {
        done = check_step(link, "SELECT", secret, deadline_ms, error);
    }
    if (done && redis_endpoint_wants_master(link->endpoint)) {
        done = check_master(link, deadline_ms, error);
    }
    /* the login fitted into the first allocation, so this is all of it */
    explicit_bzero(link->output, OUTPUT_FIRST);
    explicit_bzero(password, sizeof password);
    return done;
}

/*
 * The master is another one, or readable without a question: closed, or a
 * server that talks nonsense.
 */
static bool is_stale(const struct redis_link *link)
{
    struct pollfd poller = {.fd = link->fd, .events = POLLIN};

    return link->awaited == 0 &&
           (link->era != redis_endpoint_era(link->endpoint) ||
            poll(&poller, 1, 0) > 0);
}

bool redis_link_open(struct redis_link *link, int64_t deadline_ms,
                     struct error *error)
{
    if (link->fd >= 0 && !is_stale(link)) {
        return true;
    }
    redis_link_close(link);
    link->fault = REDIS_FAULT_NONE;
    link->era = redis_endpoint_era(link->endpoint); /* before its addresses */
    if (!make_reader(link)) {
        error_set(error, "redis: out of memory");
        return false;
    }
    if (!connect_any(link, deadline_ms, error) ||
        !log_in(link, deadline_ms, error)) {
        redis_link_close(link);
        return false;
    }
    return true;
}
