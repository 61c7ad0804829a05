#include "web.h"
#include "web_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ANSWER_MAX 65536
#define WAIT_MS    5000

static struct web *web;
static unsigned port;

/* --- what is served ---------------------------------------------------- */

static void fill(struct web_reply *reply, unsigned status, const char *body)
{
    reply->status = status;
    reply->body = strdup(body);
    reply->length = strlen(body);
}

static void answer_plain(void *context, const struct web_request *request,
                         struct web_reply *reply)
{
    (void)request;
    fill(reply, 200, context);
}

static void answer_path(void *context, const struct web_request *request,
                        struct web_reply *reply)
{
    const char *value = request->argument(request, "q");
    char body[512];

    (void)context;
    (void)snprintf(body, sizeof body, "path=%.*s q=%s",
                   (int)request->path.length, request->path.bytes,
                   value == NULL ? "(none)" : value);
    fill(reply, 200, body);
}

static void answer_nothing(void *context, const struct web_request *request,
                           struct web_reply *reply)
{
    (void)context;
    (void)request;
    (void)reply;
}

static void answer_large(void *context, const struct web_request *request,
                         struct web_reply *reply)
{
    (void)context;
    (void)request;
    reply->status = 200;
    reply->length = 8 * 1024 * 1024;
    reply->body = calloc(1, reply->length);
}

/* Waits until all who are in it have been let go. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void answer_late(void *context, const struct web_request *request,
                        struct web_reply *reply)
{
    (void)context;
    (void)request;
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    fill(reply, 200, "late");
}

static char found[] = "found";
static char front[] = "front";

static const struct web_route routes[] = {
    {"/metrics", answer_plain, found},
    {"/recipient/", answer_path, NULL},
    {"/recipient/deep/", answer_plain, found},
    {"/nothing", answer_nothing, NULL},
    {"/large", answer_large, NULL},
    {"/late", answer_late, NULL},
    {"/", answer_plain, front},
};

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static struct web *start(unsigned where, struct error *error)
{
    char listen[64];
    const struct web_options options = {listen, routes,
                                        sizeof routes / sizeof routes[0]};

    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", where);
    return web_start(&options, error);
}

static int set_up(void **state)
{
    struct error error = {""};

    (void)state;
    port = free_port();
    web = start(port, &error);
    return web == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    web_stop(web);
    return 0;
}

/* --- asking ------------------------------------------------------------ */

static int ring(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address),
                     0);
    return fd;
}

static void say(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

        if (sent <= 0) {
            return; /* hung up on: the answer tells */
        }
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* All until the end, or until there is no more for a while; takes fd. */
static const char *hear(int fd, char *answer)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    size_t length = 0;
    ssize_t got = 1;

    while (got > 0 && length < ANSWER_MAX - 1 &&
           poll(&readable, 1, WAIT_MS) == 1) {
        got = recv(fd, answer + length, ANSWER_MAX - 1 - length, 0);
        length += got > 0 ? (size_t)got : 0;
    }
    answer[length] = '\0';
    (void)close(fd);
    return answer;
}

static const char *ask_bytes(const char *bytes, size_t length, char *answer)
{
    int fd = ring();

    say(fd, bytes, length);
    (void)shutdown(fd, SHUT_WR);
    return hear(fd, answer);
}

static const char *ask(const char *request, char *answer)
{
    return ask_bytes(request, strlen(request), answer);
}

/* Those before may take up all room until it has seen that they are gone. */
static void assert_served(void)
{
    char answer[ANSWER_MAX];

    for (int i = 0; i < 500; i++) {
        if (strstr(ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
                       "Connection: close\r\n\r\n",
                       answer),
                   "\r\n\r\nfound") != NULL) {
            return;
        }
        (void)poll(NULL, 0, 10);
    }
    fail_msg("not served");
}

/* --- requests ---------------------------------------------------------- */

static void each_request_gets_the_answer_it_deserves(void **state)
{
    static const struct {
        const char *title;
        const char *request;
        const char *status;
        const char *holds;
    } rows[] = {
        {"a route", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", " 200 ",
         "found"},
        {"the front page", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", " 200 ",
         "front"},
        {"arguments are none of the path",
         "GET /metrics?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n", " 200 ",
         "found"},
        {"HTTP/1.0 has no Host", "GET /metrics HTTP/1.0\r\n\r\n", " 200 ",
         "found"},
        {"host with a port",
         "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9895\r\n\r\n", " 200 ",
         "found"},
        {"what begins so",
         "GET /recipient/ann%40example.org?q=a%20b HTTP/1.1\r\n"
         "Host: localhost\r\n\r\n",
         " 200 ", "path=/recipient/ann@example.org q=a b"},
        {"the longest beginning",
         "GET /recipient/deep/x HTTP/1.1\r\nHost: localhost\r\n\r\n", " 200 ",
         "found"},
        {"an argument that is not there",
         "GET /recipient/x HTTP/1.1\r\nHost: localhost\r\n\r\n", " 200 ",
         "q=(none)"},
        {"a route that fills nothing",
         "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", " 500 ", ""},
        {"no route", "GET /metric HTTP/1.1\r\nHost: localhost\r\n\r\n", " 404 ",
         ""},
        {"more than the path",
         "GET /metrics/x HTTP/1.1\r\nHost: localhost\r\n\r\n", " 404 ", ""},
        {"up the tree",
         "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", " 404 ",
         "not found"},
        {"up the tree, escaped",
         "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", " 421 ",
         ""},
        {"NUL in the path",
         "GET /metrics%00.html HTTP/1.1\r\nHost: localhost\r\n\r\n", " 400 ",
         ""},
        {"NUL in an argument",
         "GET /metrics?q=%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", " 400 ", ""},
        {"half an escape", "GET /metrics%4 HTTP/1.1\r\nHost: localhost\r\n\r\n",
         " 400 ", ""},
        {"bytes that are no ASCII",
         "GET /metrics\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", " 400 ", ""},
        {"a proxy's form",
         "GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
         " 400 ", ""},
        {"POST",
         "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
         "3\r\n\r\nabc",
         " 405 ", "Allow: GET, HEAD"},
        {"a body without end",
         "PUT /metrics HTTP/1.1\r\nHost: localhost\r\n"
         "Content-Length: 99999999999\r\n\r\nabc",
         " 405 ", ""},
        {"DELETE", "DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
         " 405 ", ""},
        {"TRACE", "TRACE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", " 405 ",
         ""},
        {"another's name",
         "GET /metrics HTTP/1.1\r\nHost: rebound.example\r\n\r\n", " 421 ", ""},
        {"another's name that begins as ours",
         "GET /metrics HTTP/1.1\r\nHost: localhost.example\r\n\r\n", " 421 ",
         ""},
        {"two hosts",
         "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: "
         "localhost\r\n\r\n",
         " 421 ", ""},
        {"HTTP/1.1 without Host", "GET /metrics HTTP/1.1\r\n\r\n", " 400 ", ""},
        {"an empty Host", "GET /metrics HTTP/1.1\r\nHost:\r\n\r\n", " 421 ",
         ""},
        {"another version", "GET /metrics HTTP/9.9\r\nHost: localhost\r\n\r\n",
         " 505 ", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char answer[ANSWER_MAX];
        char status[16] = "";

        (void)ask(rows[i].request, answer);
        (void)snprintf(status, sizeof status, "%.5s", answer + 8);
        if (strcmp(status, rows[i].status) != 0 ||
            strstr(answer, rows[i].holds) == NULL) {
            fail_msg("%s: %s", rows[i].title, answer);
        }
    }
    assert_served();
}

static void head_has_the_headers_and_no_body(void **state)
{
    char answer[ANSWER_MAX];
    const char *end;

    (void)state;
    (void)ask("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", answer);
    assert_non_null(strstr(answer, "Content-Length: 5\r\n"));
    end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    assert_string_equal(end, "\r\n\r\n");
}

static void each_answer_tells_browsers_to_be_careful(void **state)
{
    static const char *const wanted[] = {
        "Content-Security-Policy: default-src 'self'",
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: DENY",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
    };
    static const char *const paths[] = {"/metrics", "/nosuch"};

    (void)state;
    for (size_t path = 0; path < 2; path++) {
        char request[128];
        char answer[ANSWER_MAX];

        (void)snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                       paths[path]);
        (void)ask(request, answer);
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
            assert_non_null(strstr(answer, wanted[i]));
        }
        assert_null(strstr(answer, "Access-Control-"));
    }
}

/* --- hostile clients --------------------------------------------------- */

static void a_line_or_header_without_end_is_refused(void **state)
{
    static const char *const begins[] = {
        "GET /",
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ", "GET /metrics?q="};
    static char bytes[200000];
    char answer[ANSWER_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        memset(bytes, 'a', sizeof bytes);
        memcpy(bytes, begins[i], strlen(begins[i]));
        (void)ask_bytes(bytes, sizeof bytes, answer);
        assert_null(strstr(answer, " 200 "));
        assert_served();
    }
}

static void a_target_longer_than_we_take_is_refused(void **state)
{
    static char request[6000];
    char answer[ANSWER_MAX];

    (void)state;
    (void)snprintf(request, sizeof request,
                   "GET /metrics?q=%05000d HTTP/1.1\r\nHost: localhost\r\n\r\n",
                   0);
    assert_non_null(strstr(ask(request, answer), " 400 "));
}

static void what_is_no_http_does_no_harm(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
        {"", 0},
        {"\r\n\r\n\r\n", 6},
        {"GET /metrics\r\n\r\n", 16},
        {"GET\r\n\r\n", 7},
        {"\0\0\0\0\r\n\r\n", 8},
        {"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", 11}, /* TLS */
        {"GET /metrics HTTP/1.1\nHost localhost\n\n", 38},
        {"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
         "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
         88},
        {"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
         "Content-Length: -1\r\n\r\n",
         63},
        {"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n", 27},
    };
    char answer[ANSWER_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)ask_bytes(rows[i].bytes, rows[i].length, answer);
        assert_served();
    }
}

static void slow_clients_hold_nobody_up(void **state)
{
    int slow[10];

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        slow[i] = ring();
        say(slow[i], "GET /metr", 9);
    }
    assert_served();
    for (size_t i = 0; i < 10; i++) {
        (void)close(slow[i]);
    }
    assert_served();
}

static void who_does_not_read_holds_nobody_up(void **state)
{
    int deaf[8];
    static const char request[] =
        "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        deaf[i] = ring();
        say(deaf[i], request, sizeof request - 1);
    }
    assert_served();
    for (size_t i = 0; i < 8; i++) {
        (void)close(deaf[i]);
    }
}

static void a_late_answer_holds_nobody_up(void **state)
{
    static const char request[] = "GET /late HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    char answer[ANSWER_MAX];
    int late[8];

    (void)state;
    (void)pthread_mutex_lock(&gate);
    for (size_t i = 0; i < 8; i++) {
        late[i] = ring();
        say(late[i], request, sizeof request - 1);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_served();
    }
    (void)pthread_mutex_unlock(&gate);
    for (size_t i = 0; i < 8; i++) {
        assert_non_null(strstr(hear(late[i], answer), "late"));
    }
}

/* More than it takes at a time. */
static void of_a_hundred_connections_some_are_answered(void **state)
{
    static const char request[] = "GET /late HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    int fds[100];
    char answer[ANSWER_MAX];
    int answered = 0;

    (void)state;
    (void)pthread_mutex_lock(&gate);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        fds[i] = ring();
        say(fds[i], request, sizeof request - 1);
    }
    (void)pthread_mutex_unlock(&gate);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        answered += strstr(hear(fds[i], answer), "late") != NULL ? 1 : 0;
    }
    assert_true(answered >= 32);
    assert_served();
}

/* --- start and stop ---------------------------------------------------- */

static void a_taken_port_is_told_with_a_remedy(void **state)
{
    struct error error = {""};

    (void)state;
    assert_null(start(port, &error));
    assert_non_null(strstr(error.text, "another program listens there"));
}

static void it_stops_with_connections_open(void **state)
{
    int fd = ring();
    struct error error = {""};

    (void)state;
    say(fd, "GET /me", 7);
    web_stop(web);
    (void)close(fd);
    web = start(port, &error);
    assert_non_null(web);
    assert_served();
}

static void only_loopback_is_an_address(void **state)
{
    static const struct {
        const char *listen;
        bool good;
    } rows[] = {
        {"127.0.0.1:9895", true},
        {"127.1.2.3:1", true},
        {"[::1]:65535", true},
        {"localhost:9895", true},
        {"", false},
        {":9895", false},
        {"127.0.0.1", false},
        {"127.0.0.1:", false},
        {"127.0.0.1:0", false},
        {"127.0.0.1:65536", false},
        {"127.0.0.1:99999", false},
        {"127.0.0.1:123456", false},
        {"127.0.0.1:80x", false},
        {"0.0.0.0:9895", false},
        {"192.0.2.1:9895", false},
        {"[::]:9895", false},
        {"::1:9895", false},
        {"[::1:9895", false},
        {"[::1]9895", false},
        {"[127.0.0.1]:9895", false},
        {"example.org:80", false},
        {"127.1:80", false},
        {"127.0.0.1:-1", false},
        {"127.0.0.1: 80", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct web_address address;
        struct error error = {""};

        if (web_address_parse(rows[i].listen, &address, &error) !=
                rows[i].good ||
            (error.text[0] == '\0') != rows[i].good) {
            fail_msg("%s: %s", rows[i].listen, error.text);
        }
    }
}

static void only_names_of_loopback_are_local(void **state)
{
    static const struct {
        const char *host;
        bool local;
    } rows[] = {
        {"localhost", true},
        {"LocalHost:9895", true},
        {"127.0.0.1", true},
        {"127.0.0.1:80", true},
        {"[::1]", true},
        {"[::1]:9895", true},
        {"localhost.", false},
        {"localhost.example", false},
        {"127.0.0.1.example", false},
        {"example.org", false},
        {"192.0.2.1", false},
        {"", false},
        {":80", false},
        {"[::1", false},
        {"localhost:", false},
        {"user@localhost", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (web_address_is_local(text_of(rows[i].host)) != rows[i].local) {
            fail_msg("%s", rows[i].host);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_gets_the_answer_it_deserves),
        cmocka_unit_test(head_has_the_headers_and_no_body),
        cmocka_unit_test(each_answer_tells_browsers_to_be_careful),
        cmocka_unit_test(a_line_or_header_without_end_is_refused),
        cmocka_unit_test(a_target_longer_than_we_take_is_refused),
        cmocka_unit_test(what_is_no_http_does_no_harm),
        cmocka_unit_test(slow_clients_hold_nobody_up),
        cmocka_unit_test(who_does_not_read_holds_nobody_up),
        cmocka_unit_test(a_late_answer_holds_nobody_up),
        cmocka_unit_test(of_a_hundred_connections_some_are_answered),
        cmocka_unit_test(a_taken_port_is_told_with_a_remedy),
        cmocka_unit_test(it_stops_with_connections_open),
        cmocka_unit_test(only_loopback_is_an_address),
        cmocka_unit_test(only_names_of_loopback_are_local),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
