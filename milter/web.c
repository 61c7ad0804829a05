#include "config.h"

#include "web.h"

#include "clock.h"
#include "log.h"
#include "web_address.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS    64 /* and threads; more are closed at once */
#define FILES_SHARE    8 /* of the files that may be open: mail needs the rest */
#define BACKLOG        32
#define REQUEST_MEMORY (16 * 1024) /* its line and headers, and ours */
#define TARGET_MAX     4096        /* bytes of path and arguments */
#define IDLE_S         10          /* without a byte */
#define REQUEST_MS     20000       /* from its first byte to our last one */
#define SWEEP_MS       500

/*
 * libmicrohttpd ends a connection on which nothing comes, not one on which a
 * byte comes now and then: those are ended here.
 */
struct guest {
    int descriptor; /* -1: unused */
    int64_t since_ms;
};

struct web {
    struct web_options options;
    struct MHD_Daemon *daemon;
    int listener; /* -1: libmicrohttpd has it */

    pthread_t sweeper;
    bool sweeping;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t ends;
    bool stopping;
    struct guest guests[CONNECTIONS];
};

/* What a request is found to be before its headers are there. */
static const char target_good[] = "good";
static const char target_bad[] = "bad";

/* --- answers ----------------------------------------------------------- */

/* A page needs nothing from elsewhere, and is nobody else's part. */
static const struct {
    const char *name;
    const char *value;
} headers[] = {
    {"Content-Security-Policy",
     "default-src 'self'; script-src 'self' 'unsafe-inline'; "
     "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
     "object-src 'none'; base-uri 'none'; form-action 'self'; "
     "frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};

static const char plain[] = "text/plain; charset=utf-8";

/* Takes body, or NULL. */
static enum MHD_Result send_reply(struct MHD_Connection *connection,
                                  struct web_reply *reply)
{
    bool has_body = reply->body != NULL && reply->length > 0;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        has_body ? reply->length : 0, has_body ? reply->body : NULL,
        has_body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    enum MHD_Result queued;

    if (response == NULL) {
        free(reply->body);
        return MHD_NO;
    }
    if (!has_body) {
        free(reply->body);
    }
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        (void)MHD_add_response_header(response, headers[i].name,
                                      headers[i].value);
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                  reply->content_type);
    if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
                                      "GET, HEAD");
    }
    if (reply->status >= 400) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION,
                                      "close");
    }
    queued = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result send_line(struct MHD_Connection *connection,
                                 unsigned status, const char *line)
{
    struct web_reply reply = {status, plain, strdup(line), strlen(line)};

    return send_reply(connection, &reply);
}

/* --- requests ---------------------------------------------------------- */

static const char *argument(const struct web_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection,
                                       MHD_GET_ARGUMENT_KIND, name);
}

static bool is_hex(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') ||
           (byte >= 'A' && byte <= 'F');
}

/* An escape that is whole, and no NUL: the decoded text would end there. */
static bool is_escape(const char *percent)
{
    return is_hex(percent[1]) && is_hex(percent[2]) &&
           !(percent[1] == '0' && percent[2] == '0');
}

/*
 * As the client sent it, before anything is decoded. The result stays with the
 * request until respond() sees it.
 */
static void *look_at_target(void *context, const char *target,
                            struct MHD_Connection *connection)
{
    const char *verdict = target[0] == '/' ? target_good : target_bad;
    size_t length = 0;

    (void)context;
    (void)connection;
    while (target[length] != '\0' && length <= TARGET_MAX) {
        char byte = target[length];

        if (byte <= ' ' || byte > '~' ||
            (byte == '%' && !is_escape(target + length))) {
            verdict = target_bad;
        }
        length++;
    }
    if (length > TARGET_MAX) {
        verdict = target_bad;
    }
    return (void *)(uintptr_t)verdict;
}

struct hosts {
    unsigned count;
    bool local;
};

static enum MHD_Result see_host(void *context, enum MHD_ValueKind kind,
                                const char *name, const char *value)
{
    struct hosts *hosts = context;

    (void)kind;
    if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0) {
        hosts->count++;
        hosts->local = web_address_is_local(text_of(value));
    }
    return MHD_YES;
}

/* HTTP/1.0 needs no Host, and no browser speaks it. */
static bool is_for_us(struct MHD_Connection *connection, const char *version)
{
    struct hosts hosts = {0, false};

    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, see_host,
                                    &hosts);
    if (hosts.count == 0) {
        return strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
    }
    return hosts.count == 1 && hosts.local;
}

/* By its whole path, else the longest of those that it begins with. */
static const struct web_route *find_route(const struct web_options *options,
                                          struct text path)
{
    const struct web_route *found = NULL;
    size_t longest = 0;

    for (size_t i = 0; i < options->route_count; i++) {
        const struct web_route *route = &options->routes[i];
        size_t length = strlen(route->path);

        if (text_is(path, route->path)) {
            return route;
        }
        if (length > longest && length > 1 && route->path[length - 1] == '/' &&
            path.length > length &&
            memcmp(path.bytes, route->path, length) == 0) {
            found = route;
            longest = length;
        }
    }
    return found;
}

static enum MHD_Result respond(void *context, struct MHD_Connection *connection,
                               const char *path, const char *method,
                               const char *version, const char *upload,
                               size_t *upload_size, void **request_state)
{
    const struct web *web = context;
    const struct web_request request = {text_of(path), argument, connection};
    struct web_reply reply = {MHD_HTTP_INTERNAL_SERVER_ERROR, plain, NULL, 0};
    const struct web_route *route;

    (void)upload;
    (void)upload_size; /* answered before any of it is read */
    if (*request_state != (const void *)target_good ||
        strncmp(version, "HTTP/1.", 7) != 0) {
        return send_line(connection, MHD_HTTP_BAD_REQUEST, "bad request\n");
    }
    if (!is_for_us(connection, version)) {
        return send_line(connection, MHD_HTTP_MISDIRECTED_REQUEST,
                         "ask for localhost or 127.0.0.1\n");
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return send_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                         "only GET and HEAD\n");
    }
    route = find_route(&web->options, request.path);
    if (route == NULL) {
        return send_line(connection, MHD_HTTP_NOT_FOUND, "not found\n");
    }
    route->answer(route->context, &request, &reply);
    return send_reply(connection, &reply);
}

/* --- guests that stay too long ----------------------------------------- */

static int descriptor_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info == NULL ? -1 : info->connect_fd;
}

static struct guest *find_guest(struct web *web, int descriptor)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (web->guests[i].descriptor == descriptor) {
            return &web->guests[i];
        }
    }
    return NULL;
}

/* Of one that leaves the descriptor is still open. */
static void note_connection(void *context, struct MHD_Connection *connection,
                            void **ours,
                            enum MHD_ConnectionNotificationCode code)
{
    struct web *web = context;
    int descriptor = descriptor_of(connection);
    struct guest *guest;

    (void)ours;
    (void)pthread_mutex_lock(&web->lock);
    guest = find_guest(web,
                       code == MHD_CONNECTION_NOTIFY_STARTED ? -1 : descriptor);
    if (guest != NULL && descriptor >= 0) {
        guest->descriptor =
            code == MHD_CONNECTION_NOTIFY_STARTED ? descriptor : -1;
        guest->since_ms = clock_monotonic_ms();
    }
    (void)pthread_mutex_unlock(&web->lock);
}

/* The next request has its own time. */
static void note_completed(void *context, struct MHD_Connection *connection,
                           void **request_state,
                           enum MHD_RequestTerminationCode code)
{
    struct web *web = context;
    struct guest *guest;

    (void)code;
    *request_state = NULL;
    (void)pthread_mutex_lock(&web->lock);
    guest = find_guest(web, descriptor_of(connection));
    if (guest != NULL) {
        guest->since_ms = clock_monotonic_ms();
    }
    (void)pthread_mutex_unlock(&web->lock);
}

/* With the lock held. */
static void sweep_out(struct web *web, int64_t now_ms)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct guest *guest = &web->guests[i];

        if (guest->descriptor >= 0 && now_ms - guest->since_ms >= REQUEST_MS) {
            /* libmicrohttpd sees the end of it, and closes */
            (void)shutdown(guest->descriptor, SHUT_RDWR);
        }
    }
}

static void *sweep(void *context)
{
    struct web *web = context;

    (void)pthread_mutex_lock(&web->lock);
    while (!web->stopping) {
        const int64_t next_ms = clock_monotonic_ms() + SWEEP_MS;
        const struct timespec next = {(time_t)(next_ms / 1000),
                                      (long)(next_ms % 1000) * 1000000L};

        (void)pthread_cond_timedwait(&web->ends, &web->lock, &next);
        sweep_out(web, clock_monotonic_ms());
    }
    (void)pthread_mutex_unlock(&web->lock);
    return NULL;
}

/* --- start and stop ---------------------------------------------------- */

static void tell(void *context, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* It tells of what clients do, too: for who looks for a fault only. */
static void tell(void *context, const char *format, va_list arguments)
{
    char line[256];
    char escaped[512];

    (void)context;
    if (vsnprintf(line, sizeof line, format, arguments) > 0) {
        line[strcspn(line, "\n")] = '\0';
        log_debug("metrics: %s",
                  text_escape(text_of(line), escaped, sizeof escaped));
    }
}

static bool bind_listener(struct web *web, const struct web_address *address,
                          struct error *error)
{
    const int on = 1;

    web->listener = socket(address->socket.ss_family,
                           SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (web->listener < 0 ||
        setsockopt(web->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) !=
            0 ||
        bind(web->listener, (const struct sockaddr *)&address->socket,
             address->length) != 0 ||
        listen(web->listener, BACKLOG) != 0) {
        error_set(error, "metrics = \"%s\": %s; %s", web->options.listen,
                  strerror(errno),
                  errno == EADDRINUSE
                      ? "another program listens there: stop it, or choose "
                        "another port"
                      : "choose another address or port");
        return false;
    }
    return true;
}

/* Who opens many here must not keep the MTA from being accepted. */
static unsigned connections_most(void)
{
    struct rlimit files;

    return getrlimit(RLIMIT_NOFILE, &files) != 0 ||
                   files.rlim_cur / FILES_SHARE >= CONNECTIONS
               ? CONNECTIONS
               : (unsigned)(files.rlim_cur / FILES_SHARE) + 1;
}

/*
 * A thread each: of a few that are shared, a page that waits for Redis would
 * hold up whoever asks whether nixied is well.
 */
static bool serve(struct web *web)
{
    web->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
            MHD_USE_POLL | MHD_USE_ERROR_LOG,
        0, NULL, NULL, respond, web, MHD_OPTION_EXTERNAL_LOGGER, tell,
        (void *)NULL, MHD_OPTION_LISTEN_SOCKET, web->listener,
        MHD_OPTION_CONNECTION_LIMIT, connections_most(),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MEMORY,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
        look_at_target, (void *)NULL, MHD_OPTION_NOTIFY_CONNECTION,
        note_connection, (void *)web, MHD_OPTION_NOTIFY_COMPLETED,
        note_completed, (void *)web, MHD_OPTION_END);
    if (web->daemon != NULL) {
        web->listener = -1;
    }
    return web->daemon != NULL;
}

/* Signals are for other threads than ours and libmicrohttpd's. */
static bool start_threads(struct web *web, struct error *error)
{
    sigset_t all;
    sigset_t before;
    bool started;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    web->sweeping = pthread_create(&web->sweeper, NULL, sweep, web) == 0;
    started = web->sweeping && serve(web);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!started) {
        error_set(error,
                  "metrics = \"%s\": out of memory, threads or "
                  "descriptors",
                  web->options.listen);
    }
    return started;
}

static bool init_locks(struct web *web)
{
    pthread_condattr_t monotonic;
    bool made;

    if (pthread_condattr_init(&monotonic) != 0) {
        return false;
    }
    made = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
           pthread_mutex_init(&web->lock, NULL) == 0 &&
           pthread_cond_init(&web->ends, &monotonic) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    return made;
}

struct web *web_start(const struct web_options *options, struct error *error)
{
    struct web *web = calloc(1, sizeof *web);
    struct web_address address;

    if (web == NULL || !init_locks(web)) {
        free(web);
        error_set(error, "metrics: out of memory");
        return NULL;
    }
    web->options = *options;
    web->listener = -1;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        web->guests[i].descriptor = -1;
    }
    if (!web_address_parse(options->listen, &address, error) ||
        !bind_listener(web, &address, error) || !start_threads(web, error)) {
        web_stop(web);
        return NULL;
    }
    return web;
}

void web_stop(struct web *web)
{
    if (web == NULL) {
        return;
    }
    if (web->daemon != NULL) {
        MHD_stop_daemon(web->daemon);
    }
    if (web->listener >= 0) {
        (void)close(web->listener);
    }
    if (web->sweeping) {
        (void)pthread_mutex_lock(&web->lock);
        web->stopping = true;
        (void)pthread_cond_signal(&web->ends);
        (void)pthread_mutex_unlock(&web->lock);
        (void)pthread_join(web->sweeper, NULL);
    }
    (void)pthread_cond_destroy(&web->ends);
    (void)pthread_mutex_destroy(&web->lock);
    free(web);
}
