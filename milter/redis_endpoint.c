#include "redis_endpoint.h"

#include "log.h"
#include "redis_endpoint_sentinel.h"
#include "small_file.h"
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PORT_DEFAULT 6379
#define PORT_MAX     65535
#define DATABASE_MAX 1000000 /* Redis has 16 unless configured; INT is safe */
#define USER_MAX     256
#define HOST_MAX     255 /* octets of a domain name, RFC 1035 2.3.4 */

struct redis_endpoint {
    char *name;
    char *user;
    char *password_file; /* NULL: no password */
    int database;
    char host[HOST_MAX + 1]; /* "": a Unix socket, or sentinels */
    char service[8];
    struct redis_sentinels *sentinels; /* NULL: none */
    bool wants_master;
    _Atomic uint64_t era;
    pthread_mutex_t lock; /* guards all below */
    struct redis_address addresses[REDIS_ENDPOINT_ADDRESSES];
    size_t count;
    uint64_t asked; /* questions for addresses so far */
    uint64_t kept;  /* the one whose answer they are */
};

/* Decimal digits only: no sign, no blanks, at most most. */
static bool parse_number(struct text digits, long most, long *number)
{
    long value = 0;

    if (digits.length == 0 || digits.length > 7) {
        return false;
    }
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9') {
            return false;
        }
        value = value * 10 + (digits.bytes[i] - '0');
    }
    *number = value;
    return value <= most;
}

static bool parse_database(struct redis_endpoint *endpoint, const char *digits,
                           struct error *error)
{
    long number;

    if (!parse_number(text_of(digits), DATABASE_MAX, &number)) {
        error_set(error, "redis: the database is a number, 0 to %d",
                  DATABASE_MAX);
        return false;
    }
    endpoint->database = (int)number;
    return true;
}

/* /path or /path?db=N */
static bool parse_unix(struct redis_endpoint *endpoint, const char *path,
                       struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *option = strchr(path, '?');
    size_t length = option == NULL ? strlen(path) : (size_t)(option - path);

    if (option != NULL) {
        if (strncmp(option, "?db=", 4) != 0) {
            error_set(error, "redis: after the path only ?db=NUMBER may stand");
            return false;
        }
        if (!parse_database(endpoint, option + 4, error)) {
            return false;
        }
    }
    if (path[0] != '/' || length >= sizeof address.sun_path) {
        error_set(error,
                  "redis: unix: takes an absolute path of at most %zu "
                  "bytes, as in unix:/run/redis/redis-server.sock",
                  sizeof address.sun_path - 1);
        return false;
    }
    memcpy(address.sun_path, path, length);
    memcpy(&endpoint->addresses[0].address, &address, sizeof address);
    endpoint->addresses[0].length = sizeof address;
    endpoint->count = 1;
    return true;
}

/* Splits HOST[:PORT] or [IPv6][:PORT]; port begins with ':' or is empty. */
static bool split_host(struct text authority, struct text *host,
                       struct text *port)
{
    const char *end = authority.bytes + authority.length;
    const char *close;
    const char *after;

    if (authority.length > 0 && authority.bytes[0] == '[') {
        close = memchr(authority.bytes, ']', authority.length);
        if (close == NULL) {
            return false;
        }
        *host = (struct text){authority.bytes + 1,
                              (size_t)(close - authority.bytes) - 1};
        after = close + 1;
    } else {
        after = memchr(authority.bytes, ':', authority.length);
        after = after == NULL ? end : after;
        *host =
            (struct text){authority.bytes, (size_t)(after - authority.bytes)};
    }
    *port = (struct text){after, (size_t)(end - after)};
    return host->length > 0 && host->length <= HOST_MAX &&
           (port->length == 0 || port->bytes[0] == ':');
}

/* What getaddrinfo() would take for something else stays out. */
static bool is_host(struct text host, bool bracketed)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    static const char numbers[] = "0123456789abcdefABCDEF:.%"
                                  "ghijklmnopqrstuvwxyz"; /* %eth0 */
    const char *allowed = bracketed ? numbers : letters;

    for (size_t i = 0; i < host.length; i++) {
        if (host.bytes[i] == '\0' || strchr(allowed, host.bytes[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool keep_addresses(struct redis_endpoint *endpoint, int flags,
                           struct error *error);

/* HOST[:PORT][/DB] */
static bool parse_tcp(struct redis_endpoint *endpoint, const char *rest,
                      struct error *error)
{
    const char *slash = strchr(rest, '/');
    struct text authority = {rest, slash == NULL ? strlen(rest)
                                                 : (size_t)(slash - rest)};
    struct text host;
    struct text port;
    long number = PORT_DEFAULT;

    if (slash != NULL && !parse_database(endpoint, slash + 1, error)) {
        return false;
    }
    if (!split_host(authority, &host, &port) ||
        !is_host(host, authority.bytes[0] == '[')) {
        error_set(error, "redis: tcp: takes HOST, HOST:PORT or HOST:PORT/DB; "
                         "an IPv6 address stands in brackets: tcp:[::1]:6379");
        return false;
    }
    if (port.length > 0) {
        struct text digits = {port.bytes + 1, port.length - 1};

        if (!parse_number(digits, PORT_MAX, &number) || number == 0) {
            error_set(error, "redis: the port is a number, 1 to %d", PORT_MAX);
            return false;
        }
    }
    (void)text_copy(host, endpoint->host, sizeof endpoint->host);
    if (snprintf(endpoint->service, sizeof endpoint->service, "%ld", number) <
        0) {
        return false;
    }
    if (authority.bytes[0] == '[' ||
        strspn(endpoint->host, "0123456789.") == strlen(endpoint->host)) {
        return keep_addresses(endpoint, AI_NUMERICHOST, error);
    }
    return true; /* a name: redis_endpoint_resolve() asks for it */
}

static bool refuse_tls(struct redis_endpoint *endpoint, const char *rest,
                       struct error *error)
{
    (void)endpoint;
    (void)rest;
    error_set(error, "redis: this build of nixie has no TLS; "
                     "use unix: or tcp:");
    return false;
}

/* HOST[:PORT][,HOST[:PORT]...]/NAME */
static bool parse_sentinel(struct redis_endpoint *endpoint, const char *rest,
                           struct error *error)
{
    endpoint->sentinels = redis_sentinels_new(rest, error);
    endpoint->wants_master = true;
    return endpoint->sentinels != NULL;
}

static bool refuse_cluster(struct redis_endpoint *endpoint, const char *rest,
                           struct error *error)
{
    (void)endpoint;
    (void)rest;
    error_set(error, "redis: this build of nixie has no Redis Cluster client; "
                     "use unix: or tcp:");
    return false;
}

/* The location is printed in log lines as it is. */
static bool has_controls(const char *location)
{
    for (const char *byte = location; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < 0x20 || *byte == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool parse_location(struct redis_endpoint *endpoint,
                           const char *location, struct error *error)
{
    static const struct scheme {
        const char *name;
        bool (*parse)(struct redis_endpoint *endpoint, const char *rest,
                      struct error *error);
    } schemes[] = {
        {"unix:", parse_unix},        {"tcp:", parse_tcp},
        {"tls:", refuse_tls},         {"sentinel:", parse_sentinel},
        {"cluster:", refuse_cluster},
    };
    char shown[128];

    if (has_controls(location)) {
        error_set(error, "redis: control characters in the location");
        return false;
    }
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i].name);

        if (strncmp(location, schemes[i].name, length) == 0) {
            return schemes[i].parse(endpoint, location + length, error);
        }
    }
    (void)text_escape(text_of(location), shown, sizeof shown);
    error_set(error,
              "redis: \"%s\" has no scheme: write "
              "unix:/run/redis/redis-server.sock or "
              "tcp:127.0.0.1:6379",
              shown);
    return false;
}

static bool copy_options(struct redis_endpoint *endpoint,
                         const struct redis_endpoint_options *options)
{
    const char *file = options->password_file;

    endpoint->name = strdup(options->location);
    endpoint->user = strdup(options->user == NULL ? "" : options->user);
    if (file != NULL && file[0] != '\0') {
        endpoint->password_file = strdup(file);
        return endpoint->name != NULL && endpoint->user != NULL &&
               endpoint->password_file != NULL;
    }
    return endpoint->name != NULL && endpoint->user != NULL;
}

struct redis_endpoint *
redis_endpoint_new(const struct redis_endpoint_options *options,
                   struct error *error)
{
    struct redis_endpoint *endpoint = calloc(1, sizeof *endpoint);
    bool locked =
        endpoint != NULL && pthread_mutex_init(&endpoint->lock, NULL) == 0;

    if (!locked) {
        error_set(error, "redis: out of memory");
        free(endpoint);
        return NULL;
    }
    if (options->user != NULL && strlen(options->user) > USER_MAX) {
        error_set(error, "redis_user: longer than %d bytes", USER_MAX);
        redis_endpoint_free(endpoint);
        return NULL;
    }
    if (!copy_options(endpoint, options)) {
        error_set(error, "redis: out of memory");
        redis_endpoint_free(endpoint);
        return NULL;
    }
    if (!parse_location(endpoint, options->location, error)) {
        redis_endpoint_free(endpoint);
        return NULL;
    }
    return endpoint;
}

void redis_endpoint_free(struct redis_endpoint *endpoint)
{
    if (endpoint == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&endpoint->lock);
    redis_sentinels_free(endpoint->sentinels);
    free(endpoint->name);
    free(endpoint->user);
    free(endpoint->password_file);
    free(endpoint);
}

const char *redis_endpoint_name(const struct redis_endpoint *endpoint)
{
    return endpoint->name;
}

int redis_endpoint_database(const struct redis_endpoint *endpoint)
{
    return endpoint->database;
}

const char *redis_endpoint_user(const struct redis_endpoint *endpoint)
{
    return endpoint->user;
}

static void set_resolver_error(const struct redis_endpoint *endpoint, int fault,
                               struct error *error)
{
    if (fault == EAI_SYSTEM) {
        error_set_errno(error, "redis: resolve %s", endpoint->host);
    } else {
        error_set(error, "redis: resolve %s: %s", endpoint->host,
                  gai_strerror(fault));
    }
}

static uint64_t begin_question(struct redis_endpoint *endpoint)
{
    uint64_t question;

    (void)pthread_mutex_lock(&endpoint->lock);
    question = ++endpoint->asked;
    (void)pthread_mutex_unlock(&endpoint->lock);
    return question;
}

/*
 * Of two threads that ask at the same time, the answer to the later question
 * stays, whichever comes last. True when there were others before.
 */
static bool end_question(struct redis_endpoint *endpoint, uint64_t question,
                         const struct redis_address *found, size_t count)
{
    size_t size = sizeof endpoint->addresses;
    bool changed = false;

    (void)pthread_mutex_lock(&endpoint->lock);
    if (question > endpoint->kept) {
        changed = endpoint->count > 0 &&
                  (endpoint->count != count ||
                   memcmp(endpoint->addresses, found, size) != 0);
        memcpy(endpoint->addresses, found, size);
        endpoint->count = count;
        endpoint->kept = question;
    }
    (void)pthread_mutex_unlock(&endpoint->lock);
    return changed;
}

static bool keep_addresses(struct redis_endpoint *endpoint, int flags,
                           struct error *error)
{
    uint64_t question = begin_question(endpoint);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = flags | AI_NUMERICSERV};
    struct redis_address found[REDIS_ENDPOINT_ADDRESSES];
    struct addrinfo *list = NULL;
    size_t count = 0;
    int fault = getaddrinfo(endpoint->host, endpoint->service, &hints, &list);

    if (fault != 0) {
        set_resolver_error(endpoint, fault, error);
        return false;
    }
    memset(found, 0, sizeof found);
    for (struct addrinfo *one = list;
         one != NULL && count < REDIS_ENDPOINT_ADDRESSES; one = one->ai_next) {
        if (one->ai_addrlen <= sizeof found[count].address) {
            memcpy(&found[count].address, one->ai_addr, one->ai_addrlen);
            found[count++].length = one->ai_addrlen;
        }
    }
    freeaddrinfo(list);
    (void)end_question(endpoint, question, found, count);
    return true;
}

typedef struct redis_endpoint *
sentinels_asked(struct redis_sentinels *sentinels,
                const struct redis_endpoint_options *login,
                struct error *error);

static bool ask_sentinels(struct redis_endpoint *endpoint, sentinels_asked *ask,
                          struct error *error)
{
    const struct redis_endpoint_options login = {
        .user = endpoint->user, .password_file = endpoint->password_file};
    struct redis_address found[REDIS_ENDPOINT_ADDRESSES];
    uint64_t question = begin_question(endpoint);
    struct redis_endpoint *master = ask(endpoint->sentinels, &login, error);
    size_t count;

    if (master == NULL) {
        return false;
    }
    count = redis_endpoint_addresses(master, found);
    if (end_question(endpoint, question, found, count)) {
        atomic_fetch_add(&endpoint->era, 1);
        log_info("redis has another master: endpoint=%s master=%s",
                 endpoint->name, master->name);
    }
    redis_endpoint_free(master);
    return true;
}

bool redis_endpoint_resolve(struct redis_endpoint *endpoint,
                            struct error *error)
{
    if (endpoint->sentinels != NULL) {
        return ask_sentinels(endpoint, redis_sentinels_ask, error);
    }
    if (endpoint->host[0] == '\0') {
        return true;
    }
    return keep_addresses(endpoint, 0, error);
}

bool redis_endpoint_check_master(struct redis_endpoint *endpoint,
                                 struct error *error)
{
    return endpoint->sentinels == NULL ||
           ask_sentinels(endpoint, redis_sentinels_vote, error);
}

size_t redis_endpoint_addresses(struct redis_endpoint *endpoint,
                                struct redis_address *addresses)
{
    size_t count;

    (void)pthread_mutex_lock(&endpoint->lock);
    count = endpoint->count;
    memcpy(addresses, endpoint->addresses, sizeof endpoint->addresses);
    (void)pthread_mutex_unlock(&endpoint->lock);
    return count;
}

uint64_t redis_endpoint_era(const struct redis_endpoint *endpoint)
{
    return atomic_load(&endpoint->era);
}

bool redis_endpoint_wants_master(const struct redis_endpoint *endpoint)
{
    return endpoint->wants_master;
}

void redis_endpoint_want_master(struct redis_endpoint *endpoint)
{
    endpoint->wants_master = true;
}

static bool read_password(int fd, const char *path,
                          char buffer[REDIS_PASSWORD_MAX], size_t *length,
                          struct error *error)
{
    ssize_t got = small_file_read(fd, buffer, REDIS_PASSWORD_MAX);

    if (got < 0) {
        error_set_errno(error, "read %s", path);
        return false;
    }
    if (got > 0 && got < REDIS_PASSWORD_MAX && buffer[got - 1] == '\n') {
        got--;
    }
    if (got == 0) {
        error_set(error, "%s: empty", path);
        return false;
    }
    if (got >= REDIS_PASSWORD_MAX) {
        error_set(error, "%s: longer than %d bytes", path,
                  REDIS_PASSWORD_MAX - 2);
        return false;
    }
    buffer[got] = '\0';
    *length = (size_t)got;
    return true;
}

/* A group may read it (nixied runs in one), others may do nothing with it. */
static bool check_password_file(int fd, const char *path, struct error *error)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        error_set_errno(error, "stat %s", path);
        return false;
    }
    if (!S_ISREG(status.st_mode)) {
        error_set(error, "%s: not a regular file", path);
        return false;
    }
    if ((status.st_mode & 007) != 0) {
        error_set(error, "%s: open to others (mode %04o): chmod o-rwx %s", path,
                  (unsigned)(status.st_mode & 07777), path);
        return false;
    }
    return true;
}

bool redis_endpoint_password(const struct redis_endpoint *endpoint,
                             char buffer[REDIS_PASSWORD_MAX], size_t *length,
                             struct error *error)
{
    const char *path = endpoint->password_file;
    bool complete;
    int fd;

    *length = 0;
    buffer[0] = '\0';
    if (path == NULL) {
        return true;
    }
    /* O_NONBLOCK: a FIFO in its place must not hold us up */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        error_set_errno(error, "open %s", path);
        return false;
    }
    complete = check_password_file(fd, path, error) &&
               read_password(fd, path, buffer, length, error);
    (void)close(fd);
    if (!complete) {
        explicit_bzero(buffer, REDIS_PASSWORD_MAX);
    }
    return complete;
}
