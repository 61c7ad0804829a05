#include "clock.h"
#include "control.h"
#include "control_batch.h"
#include "event_json.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ANSWER_MS  8000
#define NOBODY     65534
#define FOLDER_MAX 400

/* What the daemon of these tests does with an event. */
struct daemon {
    atomic_int events; /* whoever has seen it rise sees the rest too */
    char seen[8][64];  /* the pattern of each */
    char note[512];
    struct event last; /* its texts are gone by then: not looked at */
    bool refuses;
    struct control_answer answer;
};

static bool handle(void *context, struct event *event,
                   struct control_answer *answer, struct error *error)
{
    struct daemon *daemon = context;

    if (daemon->events < 8) {
        (void)text_copy(event->suppression_pattern,
                        daemon->seen[daemon->events], sizeof daemon->seen[0]);
    }
    (void)text_copy(event->suppression_note, daemon->note, sizeof daemon->note);
    daemon->last = *event;
    daemon->events++;
    *answer = daemon->answer;
    if (daemon->refuses) {
        error_set(error, "the disk is full: \"%s\"", "/var/log");
    }
    return !daemon->refuses;
}

static char *make_folder(void)
{
    char *folder = malloc(FOLDER_MAX);

    assert_non_null(folder);
    scratch_make(folder);
    return folder;
}

static void socket_path(const char *folder, char path[FOLDER_MAX + 16])
{
    (void)snprintf(path, FOLDER_MAX + 16, "%s/control.sock", folder);
}

static void remove_folder(char *folder)
{
    char path[FOLDER_MAX + 16];

    socket_path(folder, path);
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0);
    free(folder);
}

static struct control *start(const char *folder, struct daemon *daemon)
{
    const struct control_options options = {
        .state_dir = folder, .handle = handle, .context = daemon};
    struct error error = {""};
    struct control *control = control_start(&options, &error);

    assert_string_equal(error.text, "");
    assert_non_null(control);
    return control;
}

static struct event make_event(const char *pattern)
{
    struct event event;

    event_init(&event, EVENT_SUPPRESSION_ADDED, 1);
    event.suppression_pattern = text_of(pattern);
    return event;
}

static enum control_result send_pattern(const char *folder, const char *pattern,
                                        struct control_answer *answer,
                                        struct error *error)
{
    struct event event = make_event(pattern);

    return control_send(folder, &event, ANSWER_MS, answer, error);
}

static void control_send_brings_the_event_to_the_daemon(void **state)
{
    struct daemon daemon = {.answer = {42, true}};
    char *folder = make_folder();
    struct control *control = start(folder, &daemon);
    struct control_answer answer = {0, false};
    struct event event = make_event("ann@example.org");
    struct error error = {""};

    (void)state;
    event.suppression_note = text_of("\"quoted\", gek\xc3\xbcndigt \n");
    event.suppression_expires_at = text_of("2030-01-01T00:00:00Z");
    event.suppression_mode = text_of("observe");
    event.scope = text_of("marketing");
    assert_int_equal(control_send(folder, &event, ANSWER_MS, &answer, &error),
                     CONTROL_DONE);
    assert_int_equal(answer.seq, 42);
    assert_true(answer.applied);
    assert_int_equal(daemon.events, 1);
    assert_int_equal(daemon.last.type, EVENT_SUPPRESSION_ADDED);
    assert_true(daemon.last.timestamp_us > 1);
    assert_string_equal(daemon.seen[0], "ann@example.org");
    assert_string_equal(daemon.note, "\"quoted\", gek\xc3\xbcndigt \n");
    assert_int_equal(daemon.last.scope.length, strlen("marketing"));
    assert_int_equal(daemon.last.reply_code, EVENT_UNKNOWN);
    control_stop(control);
    remove_folder(folder);
}

static void control_send_tells_why_the_daemon_refuses(void **state)
{
    struct daemon daemon = {.refuses = true};
    char *folder = make_folder();
    struct control *control = start(folder, &daemon);
    struct control_answer answer;
    struct error error = {""};

    (void)state;
    assert_int_equal(send_pattern(folder, "@example.org", &answer, &error),
                     CONTROL_REFUSED);
    assert_non_null(strstr(error.text, "the disk is full: "));
    control_stop(control);
    remove_folder(folder);
}

static void control_send_tells_log_from_redis(void **state)
{
    struct daemon daemon = {.answer = {7, false}};
    char *folder = make_folder();
    struct control *control = start(folder, &daemon);
    struct control_answer answer = {0, true};
    struct error error = {""};

    (void)state;
    assert_int_equal(send_pattern(folder, "ann@", &answer, &error),
                     CONTROL_DONE);
    assert_false(answer.applied);
    control_stop(control);
    remove_folder(folder);
}

/* --- many on one connection -------------------------------------------- */

#define MANY CONTROL_TOGETHER

/* Logs what it gets, and has applied it when it is asked about the last. */
struct counting_daemon {
    _Atomic size_t events;
    size_t refused; /* this one, counted from 0 */
    _Atomic size_t asked;
    _Atomic int patience_ms; /* of the latest question */
    int64_t applied;         /* up to this seq */
};

static bool count_event(void *context, struct event *event,
                        struct control_answer *answer, struct error *error)
{
    struct counting_daemon *daemon = context;
    char pattern[32];

    (void)snprintf(pattern, sizeof pattern, "u%zu@", (size_t)daemon->events);
    assert_true(text_is(event->suppression_pattern, pattern));
    if (daemon->events == daemon->refused) {
        error_set(error, "the disk is full");
        return false;
    }
    daemon->events++;
    *answer = (struct control_answer){(int64_t)daemon->events, false};
    return true;
}

static bool is_applied(void *context, int64_t seq, int timeout_ms)
{
    struct counting_daemon *daemon = context;

    daemon->asked++;
    daemon->patience_ms = timeout_ms;
    return seq <= daemon->applied;
}

static struct control *start_counting(const char *folder,
                                      struct counting_daemon *daemon)
{
    const struct control_options options = {.state_dir = folder,
                                            .handle = count_event,
                                            .applied = is_applied,
                                            .context = daemon};
    struct error error = {""};
    struct control *control = control_start(&options, &error);

    assert_string_equal(error.text, "");
    return control;
}

/* Events for u0@, u1@, ...: their texts are in patterns. */
static void make_many(struct event events[MANY], char patterns[MANY][32])
{
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(patterns[i], sizeof patterns[i], "u%zu@", i);
        events[i] = make_event(patterns[i]);
    }
}

static void control_send_all_brings_answers_in_order(void **state)
{
    static struct event events[MANY];
    static char patterns[MANY][32];
    static struct control_answer answers[MANY];
    struct counting_daemon daemon = {.refused = SIZE_MAX, .applied = 450};
    char *folder = make_folder();
    struct control *control = start_counting(folder, &daemon);
    struct error error = {""};
    size_t done;

    (void)state;
    make_many(events, patterns);
    assert_int_equal(control_send_all(folder, events, MANY, ANSWER_MS, answers,
                                      &done, &error),
                     CONTROL_DONE);
    assert_int_equal(done, MANY);
    assert_int_equal(daemon.events, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(answers[i].seq, i + 1);
        assert_int_equal(answers[i].applied, i < 450);
    }
    assert_int_equal(daemon.asked, MANY);
    assert_int_equal(daemon.patience_ms, 0); /* spent on the first to wait */
    assert_string_equal(error.text, "");
    control_stop(control);
    remove_folder(folder);
}

static void control_takes_nothing_behind_an_error(void **state)
{
    static const size_t rows[] = {0, 1, 63, 64, 200, MANY - 1};
    static struct event events[MANY];
    static char patterns[MANY][32];
    static struct control_answer answers[MANY];

    (void)state;
    make_many(events, patterns);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct counting_daemon daemon = {.refused = rows[i], .applied = MANY};
        char *folder = make_folder();
        struct control *control = start_counting(folder, &daemon);
        struct error error = {""};
        size_t done;

        assert_int_equal(control_send_all(folder, events, MANY, ANSWER_MS,
                                          answers, &done, &error),
                         CONTROL_REFUSED);
        assert_int_equal(done, rows[i]);
        assert_string_equal(error.text, "the disk is full");
        control_stop(control);
        assert_int_equal(daemon.events, rows[i]);
        remove_folder(folder);
    }
}

static struct control_batch *make_batch(const struct event *events,
                                        size_t count)
{
    struct control_batch *batch = control_batch_new();
    struct error error = {""};

    assert_non_null(batch);
    for (size_t i = 0; i < count; i++) {
        assert_true(control_batch_add(batch, &events[i], &error));
    }
    assert_int_equal(control_batch_count(batch), count);
    return batch;
}

static void control_batch_has_one_answer(void **state)
{
    static const size_t counts[] = {1, CONTROL_PIECE, CONTROL_PIECE + 1, MANY};
    static struct event events[MANY];
    static char patterns[MANY][32];

    (void)state;
    make_many(events, patterns);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct counting_daemon daemon = {.refused = SIZE_MAX, .applied = MANY};
        char *folder = make_folder();
        struct control *control = start_counting(folder, &daemon);
        struct control_batch *batch = make_batch(events, counts[i]);
        struct control_answer answer = {0, false};
        struct error error = {""};
        size_t logged;

        assert_int_equal(control_batch_send(batch, folder, ANSWER_MS, &error),
                         CONTROL_DONE);
        assert_int_equal(
            control_batch_wait(batch, ANSWER_MS, &answer, &logged, &error),
            CONTROL_DONE);
        assert_int_equal(logged, counts[i]);
        assert_int_equal(answer.seq, counts[i]);
        assert_true(answer.applied);
        assert_int_equal(daemon.asked, 1);
        control_batch_free(batch);
        control_stop(control);
        remove_folder(folder);
    }
}

static void control_batch_tells_how_many_were_logged(void **state)
{
    static const size_t rows[] = {0, 63, 64, 200, MANY - 1};
    static struct event events[MANY];
    static char patterns[MANY][32];

    (void)state;
    make_many(events, patterns);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct counting_daemon daemon = {.refused = rows[i], .applied = MANY};
        char *folder = make_folder();
        struct control *control = start_counting(folder, &daemon);
        struct control_batch *batch = make_batch(events, MANY);
        struct control_answer answer = {0, false};
        struct error error = {""};
        size_t logged;

        assert_int_equal(control_batch_send(batch, folder, ANSWER_MS, &error),
                         CONTROL_DONE);
        assert_int_equal(
            control_batch_wait(batch, ANSWER_MS, &answer, &logged, &error),
            CONTROL_REFUSED);
        assert_int_equal(logged, rows[i]);
        assert_string_equal(error.text, "the disk is full");
        control_batch_free(batch);
        control_stop(control);
        remove_folder(folder);
    }
}

static void control_batch_says_that_nobody_is_there(void **state)
{
    struct event event = make_event("ann@example.org");
    struct control_batch *batch = make_batch(&event, 1);
    struct error error = {""};

    (void)state;
    assert_int_equal(
        control_batch_send(batch, "/nonexistent/nixie", ANSWER_MS, &error),
        CONTROL_ABSENT);
    control_batch_free(batch);
}

/* A socket file that nobody listens on, as kill -9 leaves it. */
static void leave_stale_socket(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char path[FOLDER_MAX + 16];

    socket_path(folder, path);
    assert_true(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(bind(stale, (struct sockaddr *)&address, sizeof address),
                     0);
    assert_int_equal(close(stale), 0);
}

static void control_send_finds_nobody_where_nobody_listens(void **state)
{
    char *folder = make_folder();
    struct control_answer answer;
    struct error error;

    (void)state;
    assert_int_equal(
        send_pattern("/nonexistent/nixie", "ann@", &answer, &error),
        CONTROL_ABSENT);
    assert_int_equal(control_probe("/nonexistent/nixie", &error),
                     CONTROL_ABSENT);
    assert_int_equal(send_pattern(folder, "ann@", &answer, &error),
                     CONTROL_ABSENT);
    leave_stale_socket(folder);
    assert_int_equal(send_pattern(folder, "ann@", &answer, &error),
                     CONTROL_ABSENT);
    assert_int_equal(control_probe(folder, &error), CONTROL_ABSENT);
    remove_folder(folder);
}

static void control_start_replaces_a_stale_socket(void **state)
{
    struct daemon daemon = {.answer = {1, true}};
    char *folder = make_folder();
    struct control_answer answer;
    struct control *control;
    struct error error;

    (void)state;
    leave_stale_socket(folder);
    control = start(folder, &daemon);
    assert_int_equal(control_probe(folder, &error), CONTROL_DONE);
    assert_int_equal(send_pattern(folder, "ann@", &answer, &error),
                     CONTROL_DONE);
    assert_int_equal(daemon.events, 1); /* the probe was none */
    control_stop(control);
    remove_folder(folder);
}

static void control_start_touches_no_file_of_that_name(void **state)
{
    char *folder = make_folder();
    struct daemon daemon = {0};
    const struct control_options options = {
        .state_dir = folder, .handle = handle, .context = &daemon};
    char path[FOLDER_MAX + 16];
    struct error error = {""};
    int file;

    (void)state;
    socket_path(folder, path);
    file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(close(file), 0);
    assert_null(control_start(&options, &error));
    assert_non_null(strstr(error.text, "no socket"));
    assert_int_equal(access(path, F_OK), 0);
    remove_folder(folder);
}

static void control_start_needs_the_folder(void **state)
{
    struct daemon daemon = {0};
    const struct control_options options = {.state_dir = "/nonexistent/nixie",
                                            .handle = handle,
                                            .context = &daemon};
    struct error error = {""};

    (void)state;
    assert_null(control_start(&options, &error));
    assert_string_not_equal(error.text, "");
}

static void control_socket_is_for_its_owner_only(void **state)
{
    struct daemon daemon = {0};
    char *folder = make_folder();
    mode_t before = umask(0);
    struct control *control = start(folder, &daemon);
    char path[FOLDER_MAX + 16];
    struct stat status;

    (void)state;
    (void)umask(before);
    socket_path(folder, path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    control_stop(control);
    assert_int_equal(access(path, F_OK), -1);
    remove_folder(folder);
}

static void control_serves_a_folder_too_deep_for_a_socket_address(void **state)
{
    struct daemon daemon = {.answer = {1, true}};
    char *folder = make_folder();
    char deep[FOLDER_MAX];
    char name[121];
    struct control_answer answer;
    struct control *control;
    struct error error;

    (void)state;
    memset(name, 'd', 120);
    name[120] = '\0';
    (void)snprintf(deep, sizeof deep, "%s/%s", folder, name);
    assert_int_equal(mkdir(deep, 0700), 0);
    control = start(deep, &daemon);
    assert_int_equal(send_pattern(deep, "ann@", &answer, &error), CONTROL_DONE);
    control_stop(control);
    assert_int_equal(rmdir(deep), 0);
    remove_folder(folder);
}

static int connect_to(const char *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char path[FOLDER_MAX + 16];

    socket_path(folder, path);
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(
        connect(connection, (struct sockaddr *)&address, sizeof address), 0);
    return connection;
}

static void control_hangs_up_on_a_client_that_sends_nothing(void **state)
{
    struct daemon daemon = {.answer = {1, true}};
    char *folder = make_folder();
    struct control *control = start(folder, &daemon);
    int mute = connect_to(folder);
    int64_t begin = clock_monotonic_ms();
    struct control_answer answer;
    struct error error;
    char byte;

    (void)state;
    assert_int_equal(send_pattern(folder, "ann@", &answer, &error),
                     CONTROL_DONE);
    assert_true(clock_monotonic_ms() - begin < 4000);
    assert_int_equal(recv(mute, &byte, 1, 0), 0);
    assert_int_equal(close(mute), 0);
    control_stop(control);
    remove_folder(folder);
}

static void control_stop_does_not_wait_for_a_client(void **state)
{
    struct daemon daemon = {.answer = {1, true}};
    char *folder = make_folder();
    struct control *control = start(folder, &daemon);
    int mute = connect_to(folder);
    int64_t begin = clock_monotonic_ms();

    (void)state;
    assert_int_equal(send(mute, "{\"type\"", 7, 0), 7);
    control_stop(control);
    assert_true(clock_monotonic_ms() - begin < 1000);
    assert_int_equal(close(mute), 0);
    remove_folder(folder);
}

static void control_hangs_up_behind_as_many_as_it_takes(void **state)
{
    struct counting_daemon daemon = {.refused = SIZE_MAX, .applied = MANY};
    char *folder = make_folder();
    struct control *control = start_counting(folder, &daemon);
    int connection = connect_to(folder);
    char answers[MANY * 64];
    ssize_t count;

    (void)state;
    for (size_t i = 0; i <= MANY; i++) {
        char line[128];
        int length = snprintf(line, sizeof line,
                              "{\"type\":\"allow_added\","
                              "\"suppression_pattern\":\"u%zu@\"}\n",
                              i);

        (void)send(connection, line, (size_t)length, MSG_NOSIGNAL);
    }
    do {
        count = recv(connection, answers, sizeof answers, 0);
    } while (count > 0);
    control_stop(control);
    assert_int_equal(daemon.events, MANY);
    assert_int_equal(close(connection), 0);
    remove_folder(folder);
}

static void control_handles_no_line_without_its_newline(void **state)
{
    static const char request[] =
        "{\"type\":\"allow_added\",\"suppression_pattern\":\"ann@\"}";
    struct daemon daemon = {.answer = {1, true}};
    char *folder = make_folder();
    struct control *control = start(folder, &daemon);
    int connection = connect_to(folder);
    struct control_answer answer;
    struct error error;
    char byte;

    (void)state;
    assert_int_equal(send(connection, request, sizeof request - 1, 0),
                     sizeof request - 1);
    assert_int_equal(shutdown(connection, SHUT_WR), 0);
    assert_int_equal(recv(connection, &byte, 1, 0), 0);
    assert_int_equal(daemon.events, 0);
    assert_int_equal(close(connection), 0);
    assert_int_equal(send_pattern(folder, "@example.org", &answer, &error),
                     CONTROL_DONE);
    control_stop(control);
    remove_folder(folder);
}

static void control_answers_lines_that_are_no_request(void **state)
{
    struct daemon daemon = {.answer = {1, true}};
    char *folder = make_folder();
    struct control *control = start(folder, &daemon);
    char line[EVENT_LINE_MAX + 2];

    (void)state;
    memset(line, 'x', sizeof line);
    line[100] = '\n';
    for (size_t length = 101; length <= sizeof line;
         length += sizeof line - 101) {
        int connection = connect_to(folder);
        char answer[512] = "";

        assert_int_equal(send(connection, line, length, 0), length);
        assert_true(recv(connection, answer, sizeof answer - 1, 0) > 0);
        assert_memory_equal(answer, "{\"error\":", 9);
        assert_int_equal(close(connection), 0);
        line[100] = 'x'; /* the second time: no end in sight */
    }
    assert_int_equal(daemon.events, 0);
    control_stop(control);
    remove_folder(folder);
}

static void control_answers_a_writer_of_a_line_without_end(void **state)
{
    static char line[256 * 1024]; /* more than the socket holds */
    struct daemon daemon = {.answer = {1, true}};
    char *folder = make_folder();
    struct control *control = start(folder, &daemon);
    int connection = connect_to(folder);
    char answer[512] = "";
    size_t sent = 0;

    (void)state;
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    while (sent < sizeof line) {
        ssize_t count =
            send(connection, line + sent, sizeof line - sent, MSG_NOSIGNAL);

        assert_true(count > 0); /* no broken pipe in the middle */
        sent += (size_t)count;
    }
    assert_true(recv(connection, answer, sizeof answer - 1, 0) > 0);
    assert_non_null(strstr(answer, "longer than"));
    assert_int_equal(close(connection), 0);
    assert_int_equal(daemon.events, 0);
    control_stop(control);
    remove_folder(folder);
}

/* A server that reads a request and says what it is told to. */
struct impostor {
    int listener;
    const char *answer;
};

static void *serve_once(void *argument)
{
    struct impostor *impostor = argument;
    int connection = accept(impostor->listener, NULL, NULL);
    char request[1024];

    if (recv(connection, request, sizeof request, 0) > 0 &&
        impostor->answer != NULL) {
        (void)send(connection, impostor->answer, strlen(impostor->answer),
                   MSG_NOSIGNAL);
    }
    (void)close(connection);
    return NULL;
}

static void control_send_says_unknown_when_no_answer_is_one(void **state)
{
    static const char *const answers[] = {
        NULL,
        "",
        "\n",
        "{}\n",
        "[1]\n",
        "{\"seq\":\"1\"}\n",
        "{\"seq\":1,\"applied\":true}", /* cut off */
    };

    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct impostor impostor = {.answer = answers[i]};
        char *folder = make_folder();
        struct control_answer answer;
        char path[FOLDER_MAX + 16];
        struct error error = {""};
        pthread_t thread;

        socket_path(folder, path);
        memcpy(address.sun_path, path, strlen(path));
        impostor.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(impostor.listener, (struct sockaddr *)&address,
                              sizeof address),
                         0);
        assert_int_equal(listen(impostor.listener, 1), 0);
        assert_int_equal(pthread_create(&thread, NULL, serve_once, &impostor),
                         0);
        assert_int_equal(send_pattern(folder, "ann@", &answer, &error),
                         CONTROL_UNKNOWN);
        assert_string_not_equal(error.text, "");
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(close(impostor.listener), 0);
        remove_folder(folder);
    }
}

static void control_send_gives_up_on_a_server_that_hangs(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct event event = make_event("ann@");
    char *folder = make_folder();
    struct control_answer answer;
    char path[FOLDER_MAX + 16];
    struct error error;

    (void)state;
    socket_path(folder, path);
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(
        bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    /* the first sits in the queue; for a later one the queue is full */
    assert_int_equal(control_send(folder, &event, 100, &answer, &error),
                     CONTROL_UNKNOWN);
    assert_int_equal(control_send(folder, &event, 100, &answer, &error),
                     CONTROL_REFUSED);
    assert_int_equal(close(listener), 0);
    remove_folder(folder);
}

static void control_send_refuses_what_is_not_utf_8(void **state)
{
    struct event event = make_event("ann@");
    struct control_answer answer;
    struct error error;

    (void)state;
    event.suppression_note = text_of("caf\xe9");
    assert_int_equal(control_send("/tmp", &event, 100, &answer, &error),
                     CONTROL_REFUSED);
}

/* In a child without rights: what it got, as its exit status. */
static int result_of_nobody(const char *folder)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct control_answer answer;
        struct error error = {""};
        int result = 99;

        if (setgid(NOBODY) == 0 && setuid(NOBODY) == 0) {
            result = (int)send_pattern(folder, "ann@", &answer, &error);
        }
        if (result == (int)CONTROL_REFUSED && error.text[0] == '\0') {
            result = 98;
        }
        _exit(result);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}

static void control_refuses_other_users(void **state)
{
    struct daemon daemon = {.answer = {1, true}};
    char *folder = make_folder();
    struct control *control;
    char path[FOLDER_MAX + 16];

    (void)state;
    if (geteuid() != 0) {
        remove_folder(folder);
        skip();
    }
    control = start(folder, &daemon);
    socket_path(folder, path);
    assert_int_equal(result_of_nobody(folder), CONTROL_REFUSED);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(result_of_nobody(folder), CONTROL_REFUSED);
    /* whoever opens the socket to all is not trusted either */
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(result_of_nobody(folder), CONTROL_REFUSED);
    assert_int_equal(daemon.events, 0);
    control_stop(control);
    remove_folder(folder);
}

static void tell_about(void *context, struct control_about *about)
{
    (void)context;
    memcpy(about->version, "1.2.3", 6);
    memcpy(about->restart_for, "redis", 6);
    about->loaded_at_us = 1700000000000000;
}

static void control_ask_about_learns_version_and_age(void **state)
{
    char *folder = make_folder();
    const struct control_options options = {
        .state_dir = folder, .handle = handle, .about = tell_about};
    struct error error = {""};
    struct control *control = control_start(&options, &error);
    struct control_about about;

    (void)state;
    assert_non_null(control);
    assert_int_equal(control_ask_about(folder, ANSWER_MS, &about, &error),
                     CONTROL_DONE);
    assert_string_equal(about.version, "1.2.3");
    assert_string_equal(about.restart_for, "redis");
    assert_int_equal(about.loaded_at_us, 1700000000000000);
    control_stop(control);
    assert_int_equal(control_ask_about(folder, ANSWER_MS, &about, &error),
                     CONTROL_ABSENT);
    remove_folder(folder);
}

static void control_ask_about_is_refused_by_an_older_one(void **state)
{
    struct daemon daemon = {.answer = {1, true}};
    char *folder = make_folder();
    struct control *control = start(folder, &daemon);
    struct error error = {""};
    struct control_about about;

    (void)state;
    assert_int_equal(control_ask_about(folder, ANSWER_MS, &about, &error),
                     CONTROL_REFUSED);
    assert_int_equal(daemon.events, 0);
    control_stop(control);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_send_brings_the_event_to_the_daemon),
        cmocka_unit_test(control_send_tells_why_the_daemon_refuses),
        cmocka_unit_test(control_send_tells_log_from_redis),
        cmocka_unit_test(control_send_all_brings_answers_in_order),
        cmocka_unit_test(control_takes_nothing_behind_an_error),
        cmocka_unit_test(control_hangs_up_behind_as_many_as_it_takes),
        cmocka_unit_test(control_send_finds_nobody_where_nobody_listens),
        cmocka_unit_test(control_start_replaces_a_stale_socket),
        cmocka_unit_test(control_start_touches_no_file_of_that_name),
        cmocka_unit_test(control_start_needs_the_folder),
        cmocka_unit_test(control_socket_is_for_its_owner_only),
        cmocka_unit_test(control_serves_a_folder_too_deep_for_a_socket_address),
        cmocka_unit_test(control_hangs_up_on_a_client_that_sends_nothing),
        cmocka_unit_test(control_stop_does_not_wait_for_a_client),
        cmocka_unit_test(control_handles_no_line_without_its_newline),
        cmocka_unit_test(control_answers_lines_that_are_no_request),
        cmocka_unit_test(control_batch_has_one_answer),
        cmocka_unit_test(control_batch_tells_how_many_were_logged),
        cmocka_unit_test(control_batch_says_that_nobody_is_there),
        cmocka_unit_test(control_answers_a_writer_of_a_line_without_end),
        cmocka_unit_test(control_send_says_unknown_when_no_answer_is_one),
        cmocka_unit_test(control_send_gives_up_on_a_server_that_hangs),
        cmocka_unit_test(control_send_refuses_what_is_not_utf_8),
        cmocka_unit_test(control_refuses_other_users),
        cmocka_unit_test(control_ask_about_learns_version_and_age),
        cmocka_unit_test(control_ask_about_is_refused_by_an_older_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
