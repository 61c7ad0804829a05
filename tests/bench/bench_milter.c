/*
 * bench_milter - a load of milter sessions, and how fast they are answered
 *
 * usage: bench_milter SOCKET [NAME=VALUE…]
 *
 *   connections=16  how many sessions at a time, 1 to 4000
 *   idle=0          sessions beside them that say nothing after HELO
 *   seconds=3       for how long
 *   recipients=10   of a message, 1 to 1000
 *   whole=0         1: each message to its end, with 8 headers and 2 kB; 0:
 *                   MAIL, the recipients, RSET
 *   messages=100    of a session
 *   hits=0          percent of the recipients that are on the list
 *   entries=1000000 of the list: user<n>@hit.test, n below it
 *   check=1         0: a filter that does nothing may pass who is on the list
 *   list=0          1: no load; prints the commands that make the list, for
 *                   redis-cli --pipe
 *
 * Speaks to a filter as Postfix does: one process, one thread, each session
 * waits for its answers. Prints one line of JSON.
 */
#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>

#define CONNECTIONS_MAX 4000
#define OUTPUT_SIZE     16384
#define INPUT_SIZE      4096
#define BUCKETS         4000 /* of latencies: 1 us each, then 1 % steps */
#define LINEAR          2000
#define HEADERS         8
#define BODY_SIZE       2048

enum stage {
    STAGE_NEGOTIATE,
    STAGE_MAIL,
    STAGE_RCPT,
    STAGE_HEADER,
    STAGE_BODY,
    STAGE_END,
    STAGE_IDLE
};

struct load {
    int64_t connections, idle, seconds, recipients, whole, messages, hits,
        entries, check, list;
};

struct session {
    int fd;
    enum stage stage;
    int64_t asked_us;
    int64_t recipient, message;
    uint64_t random;
    uint32_t steps; /* of the protocol, as negotiated */
    size_t output_length, input_length;
    bool hit;
    char output[OUTPUT_SIZE];
    char input[INPUT_SIZE];
};

static struct load load = {16, 0, 3, 10, 0, 100, 0, 1000000, 1, 0};
static struct session *sessions;
static int poller;
static const char *path;
static uint64_t latencies[BUCKETS];
static uint64_t recipients, refused, messages, reconnects;
static bool over;

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_milter: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* --- frames ------------------------------------------------------------ */

static void put(struct session *session, const void *bytes, size_t length)
{
    if (length > sizeof session->output - session->output_length) {
        errno = ENOBUFS;
        fail("a frame");
    }
    memcpy(session->output + session->output_length, bytes, length);
    session->output_length += length;
}

static void put_number(struct session *session, uint32_t number)
{
    const unsigned char bytes[4] = {
        (unsigned char)(number >> 24), (unsigned char)(number >> 16),
        (unsigned char)(number >> 8), (unsigned char)number};

    put(session, bytes, sizeof bytes);
}

static void put_frame(struct session *session, char command, const void *data,
                      size_t length)
{
    put_number(session, (uint32_t)length + 1);
    put(session, &command, 1);
    put(session, data, length);
}

/* A literal with its inner NULs and the last. */
#define PUT_LITERAL(session, command, literal)                                 \
    put_frame(session, command, literal, sizeof(literal))

static void flush(struct session *session)
{
    size_t sent = 0;

    while (sent < session->output_length) {
        ssize_t now = send(session->fd, session->output + sent,
                           session->output_length - sent, MSG_NOSIGNAL);

        if (now < 0) {
            fail("send");
        }
        sent += (size_t)now;
    }
    session->output_length = 0;
    session->asked_us = clock_monotonic_us();
}

/* --- what a session says ----------------------------------------------- */

static void ask_recipient(struct session *session)
{
    char frame[256];
    uint64_t number = next_random(&session->random);
    int length;

    session->hit = (int64_t)(number % 100) < load.hits;
    number = next_random(&session->random);
    length = session->hit
                 ? snprintf(frame, sizeof frame, "user%" PRIu64 "@hit.test",
                            number % (uint64_t)load.entries)
                 : snprintf(frame, sizeof frame, "user%" PRIu64 "@miss.test",
                            number % 1000000000);
    if (length < 0) {
        fail("snprintf");
    }
    {
        char macros[400];
        /* Postfix has no queue id before the first recipient it accepts */
        int size = snprintf(
            macros, sizeof macros,
            "R{rcpt_addr}%c%s%c{rcpt_host}%cbench.test%c{rcpt_mailer}%csmtp%c"
            "i%c4bench1",
            0, frame, 0, 0, 0, 0, 0, 0);

        if (session->recipient == 0) {
            size -= (int)sizeof "i4bench1" - 1 + 2;
        }

        put_frame(session, SMFIC_MACRO, macros, (size_t)size + 1);
    }
    {
        char argument[300];
        int size = snprintf(argument, sizeof argument, "<%s>", frame);

        put_frame(session, SMFIC_RCPT, argument, (size_t)size + 1);
    }
    session->stage = STAGE_RCPT;
    flush(session);
}

static void say_mail(struct session *session)
{
    PUT_LITERAL(session, SMFIC_MACRO, "M{mail_mailer}\0smtp");
    PUT_LITERAL(session, SMFIC_MAIL, "<from@bench.test>");
    session->recipient = 0;
    session->stage = STAGE_MAIL;
    if ((session->steps & SMFIP_NR_MAIL) != 0) {
        ask_recipient(session);
    } else {
        flush(session);
    }
}

static void say_hello(struct session *session)
{
    PUT_LITERAL(session, SMFIC_MACRO,
                "Cj\0bench.test\0{daemon_name}\0bench.test\0v\0Postfix 3.7.11");
    PUT_LITERAL(session, SMFIC_CONNECT,
                "localhost\0004\x30\x39"
                "127.0.0.1");
    PUT_LITERAL(session, SMFIC_HELO, "bench.test");
}

static void say_headers(struct session *session)
{
    PUT_LITERAL(session, SMFIC_HEADER, "From\0<from@bench.test>");
    PUT_LITERAL(session, SMFIC_HEADER, "To\0<to@bench.test>");
    PUT_LITERAL(session, SMFIC_HEADER, "Subject\0a message of the bench");
    PUT_LITERAL(session, SMFIC_HEADER, "Date\0Sat, 21 Nov 2026 12:00:00 +0000");
    PUT_LITERAL(session, SMFIC_HEADER, "Message-ID\0<1.2.3@bench.test>");
    PUT_LITERAL(session, SMFIC_HEADER, "MIME-Version\0001.0");
    PUT_LITERAL(session, SMFIC_HEADER, "Content-Type\0text/plain");
    PUT_LITERAL(session, SMFIC_HEADER, "X-Mailer\0bench");
}

static void say_end(struct session *session)
{
    PUT_LITERAL(session, SMFIC_MACRO, "Ei\0004bench1");
    put_frame(session, SMFIC_BODYEOB, "", 0);
    session->stage = STAGE_END;
    flush(session);
}

static void say_message(struct session *session)
{
    static char body[BODY_SIZE];

    if (body[0] == '\0') {
        memset(body, 'b', sizeof body);
    }
    say_headers(session);
    if ((session->steps & SMFIP_NOBODY) != 0) {
        say_end(session);
        return;
    }
    put_frame(session, SMFIC_BODY, body, sizeof body);
    session->stage = STAGE_BODY;
    flush(session);
}

static void open_session(struct session *session)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint64_t random = session->random;

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) {
        fail(path);
    }
    memset(session, 0, offsetof(struct session, output));
    session->fd = fd;
    session->random = random;
    put_number(session, 13);
    put(session, "O", 1);
    put_number(session, 6);
    put_number(session, 0x1ff);
    put_number(session, 0x1fffff);
    flush(session);
}

static void end_message(struct session *session)
{
    messages++;
    session->message++;
    if (load.whole == 0) {
        put_frame(session, SMFIC_ABORT, "", 0);
    }
    if (session->message < load.messages) {
        say_mail(session);
        return;
    }
    put_frame(session, SMFIC_QUIT, "", 0);
    flush(session);
    (void)close(session->fd);
    reconnects++;
    open_session(session);
}

/* --- what the filter answers ------------------------------------------- */

static void count_latency(int64_t us)
{
    size_t bucket = us < 0 ? 0 : (size_t)us;

    if (bucket >= LINEAR) {
        double beyond = (double)us / LINEAR;

        bucket = LINEAR;
        while (beyond > 1.01 && bucket < BUCKETS - 1) {
            beyond /= 1.01;
            bucket++;
        }
    }
    latencies[bucket]++;
}

static uint32_t number_of(const char *bytes)
{
    const unsigned char *digits = (const unsigned char *)bytes;

    return (uint32_t)digits[0] << 24 | (uint32_t)digits[1] << 16 |
           (uint32_t)digits[2] << 8 | digits[3];
}

static void answered_recipient(struct session *session, char answer)
{
    count_latency(clock_monotonic_us() - session->asked_us);
    recipients++;
    refused += answer == SMFIR_REPLYCODE;
    if (load.check == 1 && (answer == SMFIR_REPLYCODE) != session->hit) {
        errno = EPROTO;
        fail(session->hit ? "a listed recipient passed"
                          : "a recipient was refused that is on no list");
    }
    session->recipient++;
    if (session->recipient < load.recipients) {
        ask_recipient(session);
    } else if (load.whole == 0) {
        end_message(session);
    } else {
        say_message(session);
    }
}

/* A session that has nothing to say stays as it is. */
static void begin(struct session *session)
{
    say_hello(session);
    if (session >= sessions + load.connections) {
        session->stage = STAGE_IDLE;
        flush(session);
    } else {
        say_mail(session);
    }
}

static void take(struct session *session, char answer, const char *data,
                 size_t length)
{
    switch (session->stage) {
    case STAGE_NEGOTIATE:
        if (answer != SMFIC_OPTNEG || length < 12) {
            errno = EPROTO;
            fail("negotiation");
        }
        session->steps = number_of(data + 8);
        begin(session);
        break;
    case STAGE_MAIL:
        ask_recipient(session);
        break;
    case STAGE_RCPT:
        answered_recipient(session, answer);
        break;
    case STAGE_BODY:
        say_end(session);
        break;
    case STAGE_END:
        if (memchr("carty", answer, 5) != NULL) { /* not a change */
            end_message(session);
        }
        break;
    case STAGE_HEADER:
    case STAGE_IDLE:
        break;
    }
}

static void read_session(struct session *session)
{
    ssize_t got = recv(session->fd, session->input + session->input_length,
                       sizeof session->input - session->input_length, 0);
    int fd = session->fd;
    size_t at = 0;

    if (got <= 0) {
        fail("the filter hung up");
    }
    session->input_length += (size_t)got;
    while (session->input_length - at >= 5) {
        size_t length = number_of(session->input + at);

        if (session->input_length - at - 4 < length) {
            break;
        }
        take(session, session->input[at + 4], session->input + at + 5,
             length - 1);
        if (session->fd != fd || session->input_length == 0) {
            return; /* another connection */
        }
        at += 4 + length;
    }
    session->input_length -= at;
    memmove(session->input, session->input + at, session->input_length);
}

/* --- the run ----------------------------------------------------------- */

static double percentile(double part)
{
    uint64_t wanted = (uint64_t)((double)recipients * part);
    uint64_t seen = 0;
    double value = LINEAR;

    for (size_t i = 0; i < BUCKETS; i++) {
        seen += latencies[i];
        if (seen > wanted) {
            if (i < LINEAR) {
                return (double)i;
            }
            for (size_t step = LINEAR; step < i; step++) {
                value *= 1.01;
            }
            return value;
        }
    }
    return 0;
}

static void run(void)
{
    int64_t end = clock_monotonic_us() + load.seconds * 1000000;
    int64_t began = clock_monotonic_us();
    double seconds;

    while (!over) {
        struct epoll_event events[256];
        int count = epoll_wait(poller, events, 256, 1000);

        for (int i = 0; i < count; i++) {
            read_session(events[i].data.ptr);
        }
        over = clock_monotonic_us() >= end;
    }
    seconds = (double)(clock_monotonic_us() - began) / 1e6;
    (void)printf("{\"rcpts\":%" PRIu64
                 ",\"rcpts_per_s\":%.0f,\"refused\":%" PRIu64
                 ",\"messages_per_s\":%.0f,\"sessions\":%" PRIu64
                 ",\"p50_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f}\n",
                 recipients, (double)recipients / seconds, refused,
                 (double)messages / seconds, reconnects, percentile(0.5),
                 percentile(0.99), percentile(0.999));
}

static void take_argument(const char *argument)
{
    const struct {
        const char *name;
        int64_t *value;
        int64_t most;
    } rows[] = {
        {"connections=", &load.connections, CONNECTIONS_MAX},
        {"idle=", &load.idle, CONNECTIONS_MAX},
        {"seconds=", &load.seconds, 3600},
        {"recipients=", &load.recipients, 1000},
        {"whole=", &load.whole, 1},
        {"messages=", &load.messages, INT64_MAX},
        {"hits=", &load.hits, 100},
        {"entries=", &load.entries, INT64_MAX},
        {"check=", &load.check, 1},
        {"list=", &load.list, 1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t length = strlen(rows[i].name);

        if (strncmp(argument, rows[i].name, length) == 0) {
            *rows[i].value = strtoll(argument + length, NULL, 10);
            if (*rows[i].value >= 0 && *rows[i].value <= rows[i].most) {
                return;
            }
        }
    }
    (void)fprintf(stderr, "bench_milter: %s is no argument\n", argument);
    exit(2);
}

static void print_list(void)
{
    for (int64_t i = 0; i < load.entries; i++) {
        (void)printf("SET nixie:suppress:user%" PRId64 "@hit.test bench\r\n",
                     i);
    }
}

int main(int argc, char **argv)
{
    int64_t count;

    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_milter SOCKET [NAME=VALUE...]\n");
        return 2;
    }
    path = argv[1];
    for (int i = 2; i < argc; i++) {
        take_argument(argv[i]);
    }
    if (load.list == 1) {
        print_list();
        return 0;
    }
    count = load.connections + load.idle;
    sessions = calloc((size_t)count, sizeof *sessions);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (sessions == NULL || poller < 0) {
        fail("start");
    }
    for (int64_t i = count - 1; i >= 0; i--) { /* the idle ones first */
        sessions[i].random = UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(i + 1);
        open_session(&sessions[i]);
    }
    run();
    return 0;
}
