#include "clock.h"
#include "fake_redis.h"
#include "redis_link.h"
#include "redis_server.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SOON      5000 /* ms: a healthy server, a loaded machine */
#define DEADLINE  100  /* ms: what a sick one gets */
#define SLACK     400  /* ms: what the machine may add to it */
#define SKIP_TEST 77

static int64_t in_ms(int64_t ms)
{
    return clock_monotonic_ms() + ms;
}

/* An endpoint and a link to it. */
struct line {
    struct redis_endpoint *endpoint;
    struct redis_link *link;
};

static struct line line_to_as(const char *location, const char *user,
                              const char *password_file)
{
    struct redis_endpoint_options options = {
        .location = location, .user = user, .password_file = password_file};
    struct line line;
    struct error error = {""};

    line.endpoint = redis_endpoint_new(&options, &error);
    assert_string_equal(error.text, "");
    assert_non_null(line.endpoint);
    line.link = redis_link_new(line.endpoint);
    assert_non_null(line.link);
    return line;
}

static struct line line_to(const char *location)
{
    return line_to_as(location, "", "");
}

static void hang_up(struct line *line)
{
    redis_link_free(line->link);
    redis_endpoint_free(line->endpoint);
}

static void must_open(struct line *line)
{
    struct error error = {""};

    if (!redis_link_open(line->link, in_ms(SOON), &error)) {
        fail_msg("%s", error.text);
    }
}

/* Up to four words; the reply must come. */
static redisReply *ask(struct line *line, const char *a, const char *b,
                       const char *c, const char *d)
{
    const char *argv[] = {a, b, c, d};
    size_t argc = 0;
    struct error error = {""};
    redisReply *reply;

    while (argc < 4 && argv[argc] != NULL) {
        argc++;
    }
    reply = redis_link_ask(line->link, in_ms(SOON), &error, argc, argv, NULL);
    if (reply == NULL) {
        fail_msg("%s: %s", a, error.text);
    }
    return reply;
}

static struct redis_server *must_start(const char *const *options)
{
    struct redis_server *server = redis_server_start(options);

    assert_non_null(server);
    return server;
}

static void redis_link_asks_a_real_server(void **state)
{
    struct redis_server *server = must_start(NULL);
    struct line line = line_to(redis_server_location(server));
    redisReply *reply;

    (void)state;
    assert_false(redis_link_is_open(line.link));
    must_open(&line);
    assert_true(redis_link_is_open(line.link));
    reply = ask(&line, "SET", "key", "value", NULL);
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    assert_int_equal(redis_fault_of(reply), REDIS_FAULT_NONE);
    freeReplyObject(reply);
    reply = ask(&line, "GET", "key", NULL, NULL);
    assert_string_equal(reply->str, "value");
    freeReplyObject(reply);
    reply = ask(&line, "INCR", "key", NULL, NULL);
    assert_int_equal(redis_fault_of(reply), REDIS_FAULT_TYPE);
    assert_true(redis_link_is_open(line.link)); /* an error is a reply */
    freeReplyObject(reply);
    hang_up(&line);
    redis_server_stop(server);
}

static void redis_link_selects_the_database_over_tcp(void **state)
{
    char port[16];
    char location[64];
    const char *options[] = {"--port", port, "--bind", "127.0.0.1", NULL};
    struct redis_server *server;
    struct line other;
    struct line zero;
    redisReply *reply;

    (void)state;
    (void)snprintf(port, sizeof port, "%d", redis_server_free_port());
    server = must_start(options);
    (void)snprintf(location, sizeof location, "tcp:127.0.0.1:%s/3", port);
    other = line_to(location);
    must_open(&other);
    freeReplyObject(ask(&other, "SET", "where", "three", NULL));
    zero = line_to(redis_server_location(server));
    must_open(&zero);
    reply = ask(&zero, "GET", "where", NULL, NULL);
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
    freeReplyObject(ask(&zero, "SELECT", "3", NULL, NULL));
    reply = ask(&zero, "GET", "where", NULL, NULL);
    assert_string_equal(reply->str, "three");
    freeReplyObject(reply);
    hang_up(&zero);
    hang_up(&other);
    redis_server_stop(server);
}

static void redis_link_says_that_the_database_does_not_exist(void **state)
{
    struct redis_server *server = must_start(NULL);
    char location[160];
    struct error error = {""};
    struct line line;

    (void)state;
    (void)snprintf(location, sizeof location, "%s?db=999",
                   redis_server_location(server));
    line = line_to(location);
    assert_false(redis_link_open(line.link, in_ms(SOON), &error));
    assert_non_null(strstr(error.text, "SELECT refused: ERR DB index"));
    assert_int_equal(redis_link_fault(line.link), REDIS_FAULT_OTHER);
    hang_up(&line);
    redis_server_stop(server);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void redis_link_logs_in_with_the_password_of_the_file(void **state)
{
    static const struct row {
        const char *name, *user, *content;
        mode_t mode;
        enum redis_fault fault;
        const char *says; /* NULL: it logs in */
    } rows[] = {
        {"password", "", "hunter2\n", 0600, REDIS_FAULT_NONE, NULL},
        {"user", "nixie", "swordfish\n", 0640, REDIS_FAULT_NONE, NULL},
        {"wrong password", "", "hunter3\n", 0600, REDIS_FAULT_LOGIN,
         "AUTH refused: WRONGPASS"},
        {"wrong user", "nobody", "hunter2\n", 0600, REDIS_FAULT_LOGIN,
         "AUTH refused: WRONGPASS"},
        {"open to others", "", "hunter2\n", 0604, REDIS_FAULT_LOGIN,
         "open to others"},
    };
    const char *options[] = {
        "--requirepass", "hunter2", "--user", "nixie", "on",
        ">swordfish",    "~*",      "+@all",  NULL};
    struct redis_server *server = must_start(options);
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/password",
                   redis_server_folder(server));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct line line =
            line_to_as(redis_server_location(server), rows[i].user, path);
        struct error error = {""};

        write_file(path, rows[i].content, rows[i].mode);
        if (redis_link_open(line.link, in_ms(SOON), &error) !=
                (rows[i].says == NULL) ||
            (rows[i].says != NULL &&
             strstr(error.text, rows[i].says) == NULL)) {
            fail_msg("%s: %s", rows[i].name, error.text);
        }
        assert_int_equal(redis_link_fault(line.link), rows[i].fault);
        assert_null(strstr(error.text, "hunter"));
        if (rows[i].says == NULL) {
            redisReply *reply = ask(&line, "PING", NULL, NULL, NULL);

            assert_string_equal(reply->str, "PONG");
            freeReplyObject(reply);
        }
        hang_up(&line);
    }
    redis_server_stop(server);
}

static void redis_link_shows_noauth_as_a_login_fault(void **state)
{
    const char *options[] = {"--requirepass", "hunter2", NULL};
    struct redis_server *server = must_start(options);
    struct line line = line_to(redis_server_location(server));
    redisReply *reply;

    (void)state;
    must_open(&line);
    reply = ask(&line, "PING", NULL, NULL, NULL);
    assert_int_equal(redis_fault_of(reply), REDIS_FAULT_LOGIN);
    freeReplyObject(reply);
    hang_up(&line);
    redis_server_stop(server);
}

/* A server of old quotes the arguments of a command it does not know. */
static void redis_link_never_tells_the_password(void **state)
{
    static const char refusal[] = "-ERR unknown command `AUTH`, with args "
                                  "beginning with: `hunter2`, \r\n";
    struct fake_redis *fake = fake_redis_start((struct fake_redis_script){
        FAKE_REDIS_EACH, refusal, sizeof refusal - 1});
    char path[] = "/tmp/nixie-password-XXXXXX";
    int fd = mkstemp(path);
    struct error error = {""};
    struct line line;

    (void)state;
    assert_int_equal(write(fd, "hunter2", 7), 7);
    (void)close(fd);
    line = line_to_as(fake_redis_location(fake), "", path);
    assert_false(redis_link_open(line.link, in_ms(SOON), &error));
    assert_string_equal(error.text, "redis: AUTH refused: ERR");
    hang_up(&line);
    (void)unlink(path);
    fake_redis_stop(fake);
}

static void redis_link_notices_that_the_server_closed_it(void **state)
{
    struct redis_server *server = must_start(NULL);
    struct line line = line_to(redis_server_location(server));
    struct line other = line_to(redis_server_location(server));
    redisReply *reply;

    (void)state;
    must_open(&line);
    must_open(&other);
    freeReplyObject(ask(&line, "PING", NULL, NULL, NULL));
    reply = ask(&other, "CLIENT", "KILL", "TYPE", "normal");
    freeReplyObject(reply);
    must_open(&line); /* again */
    freeReplyObject(ask(&line, "PING", NULL, NULL, NULL));
    assert_true(redis_server_restart(server));
    must_open(&line);
    freeReplyObject(ask(&line, "PING", NULL, NULL, NULL));
    hang_up(&other);
    hang_up(&line);
    redis_server_stop(server);
}

static void redis_link_says_why_it_cannot_connect(void **state)
{
    char location[64];
    struct error error = {""};
    struct line line;

    (void)state;
    (void)snprintf(location, sizeof location, "tcp:127.0.0.1:%d",
                   redis_server_free_port());
    line = line_to(location);
    assert_false(redis_link_open(line.link, in_ms(SOON), &error));
    assert_non_null(strstr(error.text, "Connection refused"));
    hang_up(&line);
    line = line_to("unix:/nonexistent/redis.sock");
    assert_false(redis_link_open(line.link, in_ms(SOON), &error));
    assert_string_equal(error.text, "connect unix:/nonexistent/redis.sock: "
                                    "No such file or directory");
    hang_up(&line);
    line = line_to("tcp:localhost");
    assert_false(redis_link_open(line.link, in_ms(SOON), &error));
    assert_non_null(strstr(error.text, "address is not known"));
    hang_up(&line);
}

static void redis_link_does_nothing_when_closed(void **state)
{
    const char *argv[] = {"PING"};
    struct line line = line_to("unix:/nonexistent/redis.sock");
    struct error error = {""};

    (void)state;
    assert_false(redis_link_command(line.link, 1, argv, NULL));
    assert_null(redis_link_reply(line.link, in_ms(SOON), &error));
    assert_string_equal(error.text, "redis: not connected");
    assert_null(redis_link_ask(line.link, in_ms(SOON), &error, 1, argv, NULL));
    redis_link_close(line.link);
    hang_up(&line);
    redis_link_free(NULL);
    redis_endpoint_free(NULL);
}

static void redis_link_keeps_replies_in_order_and_bytes_whole(void **state)
{
    struct redis_server *server = must_start(NULL);
    struct line line = line_to(redis_server_location(server));
    static char value[70000];

    (void)state;
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] = (char)(i * 7);
    }
    must_open(&line);
    /* 70 MB each way: far more than the buffers of both sockets */
    for (size_t i = 0; i < 900; i++) {
        const char *argv[] = {"ECHO", value};
        size_t lengths[] = {4, sizeof value - i};

        assert_true(redis_link_command(line.link, 2, argv, lengths));
    }
    for (size_t i = 0; i < 900; i++) {
        struct error error = {""};
        redisReply *reply =
            redis_link_reply(line.link, in_ms(SOON * 4), &error);

        assert_string_equal(error.text, "");
        assert_non_null(reply);
        assert_int_equal(reply->len, sizeof value - i);
        assert_memory_equal(reply->str, value, sizeof value - i);
        freeReplyObject(reply);
    }
    hang_up(&line);
    redis_server_stop(server);
}

/* A server that does not read before its own bytes are taken. */
static void redis_link_reads_while_it_writes(void **state)
{
    struct fake_redis *fake =
        fake_redis_start((struct fake_redis_script){FAKE_REDIS_BLOCK, "", 0});
    struct line line = line_to(fake_redis_location(fake));
    static char value[8 * 1024 * 1024];
    const char *argv[] = {"ECHO", value};
    size_t lengths[] = {4, sizeof value};
    struct error error = {""};
    redisReply *reply;

    (void)state;
    must_open(&line);
    reply = redis_link_ask(line.link, in_ms(SOON), &error, 2, argv, lengths);
    assert_string_equal(error.text, "");
    assert_non_null(reply);
    assert_int_equal(reply->len, 1024 * 1024);
    freeReplyObject(reply);
    hang_up(&line);
    fake_redis_stop(fake);
}

static void redis_link_refuses_what_is_too_large_to_send(void **state)
{
    struct redis_server *server = must_start(NULL);
    struct line line = line_to(redis_server_location(server));
    const char *argv[] = {"ECHO", ""};
    size_t lengths[] = {4, SIZE_MAX - 3};

    (void)state;
    must_open(&line);
    assert_false(redis_link_command(line.link, 2, argv, lengths));
    freeReplyObject(ask(&line, "PING", NULL, NULL, NULL));
    hang_up(&line);
    redis_server_stop(server);
}

#define ZEROS_8   "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
#define SCRIPT(x) x, sizeof(x) - 1

static void redis_link_survives_a_server_that_misbehaves(void **state)
{
    static const struct row {
        const char *name;
        enum fake_redis_manner manner;
        const char *bytes;
        size_t length;
        const char *says;
    } rows[] = {
        {"silence", FAKE_REDIS_ONCE, SCRIPT(""), "no answer: Connection timed"},
        {"dribble", FAKE_REDIS_DRIBBLE, SCRIPT("$200000\r\nxxxxxxxxxxxxxxx"),
         "Connection timed out"},
        {"hangs up", FAKE_REDIS_HANG_UP, SCRIPT(""), "closed the connection"},
        {"half a reply", FAKE_REDIS_CLOSE, SCRIPT("$10\r\nabc"),
         "closed the connection"},
        {"garbage", FAKE_REDIS_ONCE, SCRIPT("HTTP/1.1 400 Bad\r\n\r\n"),
         "Protocol error"},
        {"binary garbage", FAKE_REDIS_ONCE, SCRIPT("\x16\x03\x01\0\0\r\n"),
         "Protocol error"},
        {"array of 2^31 - 1", FAKE_REDIS_ONCE, SCRIPT("*2147483647\r\n"),
         "too large"},
        {"array of 2^20 + 1", FAKE_REDIS_ONCE, SCRIPT("*1048577\r\n"),
         "too large"},
        {"array of 2^63", FAKE_REDIS_ONCE, SCRIPT("*9223372036854775808\r\n"),
         "redis: "},
        {"array of less than none", FAKE_REDIS_ONCE, SCRIPT("*-2\r\n"),
         "redis: "},
        {"arrays of arrays", FAKE_REDIS_ONCE,
         SCRIPT("*3\r\n*600000\r\n*600000\r\n"), "too large"},
        {"many arrays", FAKE_REDIS_FLOOD, SCRIPT("*1000\r\n*0\r\n"), "redis: "},
        {"bulk of ten digits", FAKE_REDIS_ONCE, SCRIPT("$9999999999\r\n"),
         "redis: "},
        {"bulk of less than none", FAKE_REDIS_ONCE, SCRIPT("$-2\r\n"),
         "redis: "},
        {"nested too deep", FAKE_REDIS_ONCE,
         SCRIPT(ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8
                    ZEROS_8 ZEROS_8 ZEROS_8 ZEROS_8 "*1\r\n*1\r\n*1\r\n*1\r\n"),
         "depth"},
        {"endless line", FAKE_REDIS_FLOOD, SCRIPT("+aaaaaaaaaaaaaaaaaaaaaaa"),
         "redis: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake_redis *fake = fake_redis_start((struct fake_redis_script){
            rows[i].manner, rows[i].bytes, rows[i].length});
        struct line line = line_to(fake_redis_location(fake));
        const char *argv[] = {"TYPE", "key"};
        struct error error = {""};
        int64_t start = clock_monotonic_ms();
        redisReply *reply = NULL;

        if (redis_link_open(line.link, start + DEADLINE, &error)) {
            reply = redis_link_ask(line.link, start + DEADLINE, &error, 2, argv,
                                   NULL);
        }
        if (reply != NULL || strstr(error.text, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].name, error.text);
        }
        assert_true(clock_monotonic_ms() - start < DEADLINE + SLACK);
        assert_false(redis_link_is_open(line.link));
        hang_up(&line);
        fake_redis_stop(fake);
    }
}

static void redis_link_bounds_a_reply_by_its_bytes(void **state)
{
    static char bytes[65536];
    struct fake_redis *fake;
    const char *argv[] = {"TYPE", "key"};
    struct error error = {""};
    struct line line;

    (void)state;
    /* dribbles nothing away: 100 MB are announced and flow */
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "$100000000\r\n", 12);
    fake = fake_redis_start(
        (struct fake_redis_script){FAKE_REDIS_FLOOD, bytes, sizeof bytes});
    line = line_to(fake_redis_location(fake));
    must_open(&line);
    assert_null(
        redis_link_ask(line.link, in_ms(SOON * 4), &error, 2, argv, NULL));
    assert_non_null(strstr(error.text, "more than 67108864 bytes"));
    hang_up(&line);
    fake_redis_stop(fake);
}

static void redis_link_gives_up_on_a_stopped_server(void **state)
{
    struct redis_server *server = must_start(NULL);
    struct line line = line_to(redis_server_location(server));
    const char *argv[] = {"PING"};
    struct error error = {""};
    int64_t start;

    (void)state;
    must_open(&line);
    assert_int_equal(kill(redis_server_pid(server), SIGSTOP), 0);
    start = clock_monotonic_ms();
    assert_null(
        redis_link_ask(line.link, start + DEADLINE, &error, 1, argv, NULL));
    assert_in_range(clock_monotonic_ms() - start, DEADLINE, DEADLINE + SLACK);
    assert_false(redis_link_is_open(line.link));
    assert_int_equal(kill(redis_server_pid(server), SIGCONT), 0);
    must_open(&line);
    freeReplyObject(ask(&line, "PING", NULL, NULL, NULL));
    hang_up(&line);
    redis_server_stop(server);
}

static void redis_link_hears_the_last_word_of_a_full_server(void **state)
{
    const char *options[] = {"--maxclients", "1", NULL};
    struct redis_server *server = must_start(options);
    struct line first = line_to(redis_server_location(server));
    struct line second = line_to(redis_server_location(server));
    redisReply *reply;

    (void)state;
    must_open(&first);
    freeReplyObject(ask(&first, "PING", NULL, NULL, NULL));
    must_open(&second);
    reply = ask(&second, "PING", NULL, NULL, NULL);
    assert_int_equal(redis_fault_of(reply), REDIS_FAULT_BUSY);
    freeReplyObject(reply);
    hang_up(&second);
    hang_up(&first);
    redis_server_stop(server);
}

static void redis_fault_of_goes_by_the_first_word(void **state)
{
    static const struct row {
        char text[112];
        enum redis_fault fault;
    } rows[] = {
        {"OOM command not allowed", REDIS_FAULT_BUSY},
        {"MISCONF Redis is configured", REDIS_FAULT_BUSY},
        {"BUSY Redis is busy", REDIS_FAULT_BUSY},
        {"LOADING Redis is loading", REDIS_FAULT_BUSY},
        {"TRYAGAIN Multiple keys", REDIS_FAULT_BUSY},
        {"CLUSTERDOWN The cluster is down", REDIS_FAULT_BUSY},
        {"ERR max number of clients reached", REDIS_FAULT_BUSY},
        {"READONLY You can't write", REDIS_FAULT_MOVED_ON},
        {"UNBLOCKED force unblock", REDIS_FAULT_MOVED_ON},
        {"MASTERDOWN Link with MASTER", REDIS_FAULT_MOVED_ON},
        {"NOREPLICAS Not enough good", REDIS_FAULT_MOVED_ON},
        {"MOVED 3999 127.0.0.1:6381", REDIS_FAULT_CLUSTER},
        {"ASK 3999 127.0.0.1:6381", REDIS_FAULT_CLUSTER},
        {"CROSSSLOT Keys in request", REDIS_FAULT_CLUSTER},
        {"NOAUTH Authentication required.", REDIS_FAULT_LOGIN},
        {"WRONGPASS invalid", REDIS_FAULT_LOGIN},
        {"NOPERM this user has", REDIS_FAULT_LOGIN},
        {"ERR invalid password", REDIS_FAULT_LOGIN},
        {"ERR AUTH <password> called without any", REDIS_FAULT_LOGIN},
        {"NOSCRIPT No matching script", REDIS_FAULT_NOSCRIPT},
        {"EXECABORT Transaction discarded", REDIS_FAULT_ABORTED},
        {"WRONGTYPE Operation against", REDIS_FAULT_TYPE},
        {"WRONGTYPE", REDIS_FAULT_TYPE},
        {"ERR value is not an integer or out of range", REDIS_FAULT_TYPE},
        {"ERR hash value is not an integer", REDIS_FAULT_TYPE},
        {"ERR increment or decrement would overflow", REDIS_FAULT_TYPE},
        {"ERR Error running script (call to f_0): @user_script:3: WRONGTYPE "
         "Operation against",
         REDIS_FAULT_TYPE},
        {"ERR Error running script (call to f_0): @user_script: 3: -OOM "
         "command not allowed",
         REDIS_FAULT_BUSY},
        {"ERR Error running script (call to f_0): @user_script:3: "
         "@user_script: 3: -READONLY You can't",
         REDIS_FAULT_MOVED_ON},
        {"ERR Error running script", REDIS_FAULT_OTHER},
        {"ERR unknown command", REDIS_FAULT_OTHER},
        {"BUSYGROUP Consumer Group", REDIS_FAULT_OTHER},
        {"OOMPH", REDIS_FAULT_OTHER},
        {"", REDIS_FAULT_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[112];
        redisReply reply = {.type = REDIS_REPLY_ERROR, .str = text};

        memcpy(text, rows[i].text, sizeof text);
        reply.len = strlen(text);
        if (redis_fault_of(&reply) != rows[i].fault) {
            fail_msg("%s", text);
        }
        reply.type = REDIS_REPLY_STRING;
        assert_int_equal(redis_fault_of(&reply), REDIS_FAULT_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_link_asks_a_real_server),
        cmocka_unit_test(redis_link_selects_the_database_over_tcp),
        cmocka_unit_test(redis_link_says_that_the_database_does_not_exist),
        cmocka_unit_test(redis_link_logs_in_with_the_password_of_the_file),
        cmocka_unit_test(redis_link_shows_noauth_as_a_login_fault),
        cmocka_unit_test(redis_link_never_tells_the_password),
        cmocka_unit_test(redis_link_notices_that_the_server_closed_it),
        cmocka_unit_test(redis_link_says_why_it_cannot_connect),
        cmocka_unit_test(redis_link_does_nothing_when_closed),
        cmocka_unit_test(redis_link_keeps_replies_in_order_and_bytes_whole),
        cmocka_unit_test(redis_link_reads_while_it_writes),
        cmocka_unit_test(redis_link_refuses_what_is_too_large_to_send),
        cmocka_unit_test(redis_link_survives_a_server_that_misbehaves),
        cmocka_unit_test(redis_link_bounds_a_reply_by_its_bytes),
        cmocka_unit_test(redis_link_gives_up_on_a_stopped_server),
        cmocka_unit_test(redis_link_hears_the_last_word_of_a_full_server),
        cmocka_unit_test(redis_fault_of_goes_by_the_first_word),
    };

    if (!redis_server_installed()) {
        (void)fprintf(stderr, "redis-server is not installed\n");
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
