#include "control.h"

#include "clock.h"
#include "control_batch.h"
#include "control_request.h"
#include "control_socket.h"
#include "event_json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#define DRAINED_MAX   ((size_t)1024 * 1024)
#define BACKLOG       16
#define SERVER_STACK  (1024 * 1024)
#define FAULT_WAIT_MS 100  /* accept(2) failed: no descriptors left, say */
#define APPLY_MS      2000 /* for what came together to reach Redis */
#define INPUT_MAX     ((size_t)8 * EVENT_LINE_MAX)
#define TOGETHER      64 /* answered at once */

/* What a client brings, and its answers. */
struct conversation {
    int connection;
    size_t requests;
    char input[INPUT_MAX];
    size_t used;
    struct control_answer answers[TOGETHER]; /* not sent yet */
    size_t answer_count;
    /* of a batch: */
    size_t batch; /* requests that it brings; 0: it is none */
    size_t logged;
    struct control_answer last;                   /* of those */
    struct control_request *piece[CONTROL_PIECE]; /* not logged yet */
    struct event events[CONTROL_PIECE];
    size_t piece_count;
};

struct control {
    struct control_options options;
    int directory;
    int listener;
    int stop; /* eventfd: written once, by control_stop() */
    pthread_t thread;
    struct conversation conversation; /* one after the other */
};

static bool is_trusted(int connection)
{
    struct ucred peer;
    socklen_t length = sizeof peer;

    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) ==
               0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void answer_with(int connection, int stop, json_t *answer)
{
    char line[CONTROL_ANSWER_MAX];
    size_t length =
        json_dumpb(answer, line, sizeof line - 1,
                   JSON_COMPACT | JSON_ENSURE_ASCII); /* 0: answer is NULL */

    json_decref(answer);
    if (length == 0 || length > sizeof line - 1) {
        return; /* out of memory: the client takes it as unknown */
    }
    line[length] = '\n';
    (void)control_socket_send(connection, line, length + 1, stop,
                              clock_monotonic_ms() + CONTROL_CLIENT_MS);
}

static void answer_error(int connection, int stop, const struct error *error)
{
    char escaped[ERROR_SIZE];

    (void)text_escape(text_of(error->text), escaped, sizeof escaped);
    answer_with(connection, stop, json_pack("{s:s}", "error", escaped));
}

/* What was logged together mostly reaches Redis together. */
static void answer_all(struct control *control)
{
    struct conversation *conversation = &control->conversation;
    int patience_ms = APPLY_MS;

    for (size_t i = 0; i < conversation->answer_count; i++) {
        struct control_answer *answer = &conversation->answers[i];

        if (!answer->applied && answer->seq > 0 &&
            control->options.applied != NULL) {
            answer->applied = control->options.applied(
                control->options.context, answer->seq, patience_ms);
            patience_ms = answer->applied ? patience_ms : 0;
        }
        answer_with(conversation->connection, control->stop,
                    json_pack("{s:I,s:b}", "seq", (json_int_t)answer->seq,
                              "applied", answer->applied ? 1 : 0));
    }
    conversation->answer_count = 0;
}

/* The last answer of a conversation. */
static void end_with(struct control *control, const struct error *error)
{
    answer_all(control);
    answer_error(control->conversation.connection, control->stop, error);
}

/* ---- a batch ---- */

static bool log_each(struct control *control, size_t *done, struct error *error)
{
    struct conversation *conversation = &control->conversation;

    for (*done = 0; *done < conversation->piece_count; (*done)++) {
        if (!control->options.handle(control->options.context,
                                     &conversation->events[*done],
                                     &conversation->last, error)) {
            return false;
        }
    }
    return true;
}

/* Others who write to the log have their turn between two pieces. */
static bool log_piece(struct control *control, struct error *error)
{
    struct conversation *conversation = &control->conversation;
    size_t done = 0;
    bool logged =
        control->options.handle_all == NULL
            ? log_each(control, &done, error)
            : control->options.handle_all(
                  control->options.context, conversation->events,
                  conversation->piece_count, &done, &conversation->last, error);

    conversation->logged += done;
    for (size_t i = 0; i < conversation->piece_count; i++) {
        control_request_free(conversation->piece[i]);
    }
    conversation->piece_count = 0;
    return logged;
}

static void answer_batch(struct control *control, const struct error *error)
{
    struct conversation *conversation = &control->conversation;
    struct control_answer *last = &conversation->last;
    json_t *answer;

    if (error == NULL && !last->applied && last->seq > 0 &&
        control->options.applied != NULL) {
        last->applied = control->options.applied(control->options.context,
                                                 last->seq, APPLY_MS);
    }
    answer = json_pack("{s:I,s:I,s:b}", "logged",
                       (json_int_t)conversation->logged, "seq",
                       (json_int_t)last->seq, "applied", last->applied ? 1 : 0);
    if (error != NULL) {
        char escaped[ERROR_SIZE];

        (void)text_escape(text_of(error->text), escaped, sizeof escaped);
        (void)json_object_set_new(answer, "error", json_string(escaped));
    }
    answer_with(conversation->connection, control->stop, answer);
}

static bool serve_of_batch(struct control *control, const char *line,
                           size_t length)
{
    struct conversation *conversation = &control->conversation;
    struct error error = {"nixied cannot log it"};
    size_t at = conversation->piece_count;
    bool taken = true;

    conversation->piece[at] =
        control_request_decode(line, length, &conversation->events[at], &error);
    conversation->requests++;
    if (conversation->piece[at] != NULL) {
        conversation->piece_count++;
    } else {
        taken = false;
    }
    if (!taken || conversation->piece_count == CONTROL_PIECE ||
        conversation->requests == conversation->batch) {
        struct error kept = error; /* what comes first counts */
        bool logged = log_piece(control, &error);

        if (!taken || !logged) {
            answer_batch(control, taken ? &error : &kept);
            return false;
        }
    }
    if (conversation->requests < conversation->batch) {
        return true;
    }
    answer_batch(control, NULL);
    return false;
}

/* Whoever hangs up in the middle has what it brought logged. */
static void end_batch(struct control *control)
{
    struct error unheard;

    if (control->conversation.piece_count > 0) {
        (void)log_piece(control, &unheard);
    }
}

/* Who asks this logs nothing. */
static bool is_about(const struct control *control, const char *line,
                     size_t length)
{
    return control->options.about != NULL &&
           text_is((struct text){line, length}, CONTROL_ASK_ABOUT);
}

static void answer_about(struct control *control)
{
    struct control_about about = {.version = ""};
    char loaded_at[CLOCK_TIMESTAMP_SIZE];

    control->options.about(control->options.context, &about);
    clock_format(about.loaded_at_us, loaded_at);
    answer_all(control);
    answer_with(
        control->conversation.connection, control->stop,
        json_pack("{s:s,s:s,s:s*}", "version", about.version, "loaded_at",
                  loaded_at, "restart_for",
                  about.restart_for[0] == '\0' ? NULL : about.restart_for));
}

static bool serve_line(struct control *control, const char *line, size_t length)
{
    struct conversation *conversation = &control->conversation;
    struct control_answer *answer =
        &conversation->answers[conversation->answer_count];
    struct error error = {"nixied cannot log it"};
    struct control_request *request;
    struct event event;
    bool logged;

    if (conversation->batch > 0) {
        return serve_of_batch(control, line, length);
    }
    if (conversation->requests == 0) {
        conversation->batch = control_request_batch(line, length);
        if (conversation->batch > 0 &&
            conversation->batch <= CONTROL_BATCH_MAX) {
            return true;
        }
        conversation->batch = 0;
    }
    if (is_about(control, line, length)) {
        answer_about(control);
        return ++conversation->requests < CONTROL_TOGETHER;
    }
    *answer = (struct control_answer){0, false};
    request = control_request_decode(line, length, &event, &error);
    logged =
        request != NULL && control->options.handle(control->options.context,
                                                   &event, answer, &error);
    control_request_free(request);
    if (!logged) {
        end_with(control, &error);
        return false;
    }
    conversation->requests++;
    conversation->answer_count++;
    if (conversation->answer_count == TOGETHER) {
        answer_all(control);
    }
    return conversation->requests < CONTROL_TOGETHER;
}

/*
 * The rest of a line that is too long: who still writes would get a broken
 * pipe and never read what we say.
 */
static void drain_line(struct control *control, int64_t deadline_ms)
{
    struct conversation *conversation = &control->conversation;

    for (size_t drained = 0; drained < DRAINED_MAX;) {
        ssize_t count;

        if (!control_socket_wait(conversation->connection, POLLIN,
                                 control->stop, deadline_ms)) {
            return;
        }
        count = recv(conversation->connection, conversation->input, INPUT_MAX,
                     MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) ||
            (count > 0 &&
             memchr(conversation->input, '\n', (size_t)count) != NULL)) {
            return;
        }
        drained += count > 0 ? (size_t)count : 0;
    }
}

/* Serves the whole lines that are there; false: it is over. */
static bool serve_lines(struct control *control, int64_t deadline_ms)
{
    struct conversation *conversation = &control->conversation;
    const char *begin = conversation->input;
    const char *end = begin + conversation->used;
    const char *newline = NULL;
    struct error error;

    while (begin < end &&
           (newline = memchr(begin, '\n', (size_t)(end - begin))) != NULL &&
           newline - begin < EVENT_LINE_MAX) {
        if (!serve_line(control, begin, (size_t)(newline - begin))) {
            return false;
        }
        begin = newline + 1;
    }
    conversation->used = (size_t)(end - begin);
    if (conversation->used < EVENT_LINE_MAX) {
        memmove(conversation->input, begin, conversation->used);
        return true;
    }
    if (newline == NULL) {
        drain_line(control, deadline_ms);
    }
    error_set(&error, "the request is longer than %d bytes", EVENT_LINE_MAX);
    end_with(control, &error);
    return false;
}

/* Until a line is whole; false when it does not come. */
static bool receive(struct control *control, int64_t deadline_ms)
{
    struct conversation *conversation = &control->conversation;

    for (;;) {
        ssize_t count;

        if (!control_socket_wait(conversation->connection, POLLIN,
                                 control->stop, deadline_ms)) {
            return false;
        }
        count = recv(conversation->connection,
                     conversation->input + conversation->used,
                     INPUT_MAX - conversation->used, MSG_DONTWAIT);
        if (count > 0) {
            const char *received = conversation->input + conversation->used;

            conversation->used += (size_t)count;
            if (memchr(received, '\n', (size_t)count) != NULL ||
                conversation->used >= EVENT_LINE_MAX) {
                return true;
            }
        } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            return false;
        }
    }
}

static void serve(struct control *control, int connection)
{
    struct conversation *conversation = &control->conversation;
    int64_t deadline_ms;
    struct error error;

    conversation->connection = connection;
    conversation->requests = 0;
    conversation->used = 0;
    conversation->answer_count = 0;
    conversation->batch = 0;
    conversation->logged = 0;
    conversation->last = (struct control_answer){0, false};
    conversation->piece_count = 0;
    if (!is_trusted(connection)) {
        error_set(&error, "only root and the user of nixied may ask");
        answer_error(connection, control->stop, &error);
        return;
    }
    do {
        answer_all(control); /* before waiting for more */
        deadline_ms = clock_monotonic_ms() + CONTROL_CLIENT_MS;
    } while (receive(control, deadline_ms) &&
             serve_lines(control, deadline_ms));
    end_batch(control);
    answer_all(control);
}

static void *run(void *argument)
{
    struct control *control = argument;

    while (control_socket_wait(control->listener, POLLIN, control->stop,
                               INT64_MAX)) {
        int connection = accept4(control->listener, NULL, NULL,
                                 SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (connection >= 0) {
            serve(control, connection);
            (void)close(connection);
        } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
            /* the client still waits in the queue: no busy loop */
            (void)control_socket_wait(control->stop, POLLIN, -1,
                                      clock_monotonic_ms() + FAULT_WAIT_MS);
        }
    }
    return NULL;
}

/* What a killed nixied left there; the lock on the folder says it is dead. */
static bool remove_stale(int directory, const char *state_dir,
                         struct error *error)
{
    struct stat status;

    if (fstatat(directory, CONTROL_SOCKET_NAME, &status, AT_SYMLINK_NOFOLLOW) !=
        0) {
        if (errno == ENOENT) {
            return true;
        }
        error_set_errno(error, "%s/" CONTROL_SOCKET_NAME, state_dir);
        return false;
    }
    if (!S_ISSOCK(status.st_mode)) {
        error_set(error, "%s/" CONTROL_SOCKET_NAME " is no socket: remove it",
                  state_dir);
        return false;
    }
    if (unlinkat(directory, CONTROL_SOCKET_NAME, 0) != 0 && errno != ENOENT) {
        error_set_errno(error, "remove %s/" CONTROL_SOCKET_NAME, state_dir);
        return false;
    }
    return true;
}

static bool listen_in(struct control *control, struct error *error)
{
    const char *state_dir = control->options.state_dir;
    struct sockaddr_un address;

    control->directory = control_socket_directory(state_dir);
    if (control->directory < 0) {
        error_set_errno(error, "%s", state_dir);
        return false;
    }
    if (!remove_stale(control->directory, state_dir, error)) {
        return false;
    }
    control->listener =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* bind(2) gives the file the mode of the socket: never open to others */
    if (control->listener < 0 || fchmod(control->listener, 0600) != 0 ||
        !control_socket_address(control->directory, &address) ||
        bind(control->listener, (struct sockaddr *)&address, sizeof address) !=
            0 ||
        listen(control->listener, BACKLOG) != 0) {
        error_set_errno(error, "listen on %s/" CONTROL_SOCKET_NAME, state_dir);
        return false;
    }
    return true;
}

/* Signals belong to the threads that wait for them. */
static int start_thread(struct control *control)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    int failure = pthread_attr_init(&attributes);

    if (failure != 0) {
        return failure;
    }
    (void)pthread_attr_setstacksize(&attributes, SERVER_STACK);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&control->thread, &attributes, run, control);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return failure;
}

static void free_control(struct control *control)
{
    control_socket_close(control->listener);
    control_socket_close(control->directory);
    control_socket_close(control->stop);
    free(control);
}

struct control *control_start(const struct control_options *options,
                              struct error *error)
{
    struct control *control = calloc(1, sizeof *control);
    int failure;

    if (control == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    control->options = *options;
    control->directory = -1;
    control->listener = -1;
    control->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (control->stop < 0) {
        error_set_errno(error, "eventfd");
        goto fail;
    }
    if (!listen_in(control, error)) {
        goto fail;
    }
    failure = start_thread(control);
    if (failure != 0) {
        errno = failure;
        error_set_errno(error, "the thread of " CONTROL_SOCKET_NAME);
        (void)unlinkat(control->directory, CONTROL_SOCKET_NAME, 0);
        goto fail;
    }
    return control;
fail:
    free_control(control);
    return NULL;
}

void control_stop(struct control *control)
{
    if (control == NULL) {
        return;
    }
    (void)eventfd_write(control->stop, 1);
    (void)pthread_join(control->thread, NULL);
    (void)unlinkat(control->directory, CONTROL_SOCKET_NAME, 0);
    free_control(control);
}
