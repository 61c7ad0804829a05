#include "command_tail.h"

#include "clock.h"
#include "event_follow.h"
#include "event_json.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_DEFAULT 10
#define LINES_MOST    1000000
#define LOOK_MS       200 /* how late a line may be shown */
#define SHOWN_MAX     400

struct tail {
    const struct command_call *call;
    const char *path;
    bool follow;
    bool coloured;
    long lines;
    struct tail_filter filter;
    bool told_strange; /* that lines which are no events are passed over */
};

/* --- line by line ------------------------------------------------------ */

/*
 * An event all the same, of a newer nixie: a JSON object with a schema. It is
 * ASCII, as our lines are; other bytes would reach the terminal raw.
 */
static bool is_newer_event(const char *line, size_t length)
{
    const char *schema;
    json_t *root;
    bool found;

    for (size_t i = 0; i < length; i++) {
        if (line[i] < 0x20 || line[i] > 0x7e) {
            return false;
        }
    }
    root = json_loadb(line, length, 0, NULL);
    schema = json_string_value(json_object_get(root, "schema"));
    found = schema != NULL && strncmp(schema, "nixie/", 6) == 0;
    json_decref(root);
    return found;
}

/* A torn line, say, or a file of another kind: once is enough. */
static void tell_strange(struct tail *tail)
{
    if (!tail->told_strange) {
        tail->told_strange = true;
        command_complain(tail->call, "lines that are no events are left out");
    }
}

/* Whether a line would be shown. NULL: it is too long for an event. */
static bool is_wanted_line(void *context, const char *line, size_t length)
{
    struct tail *tail = context;
    struct event event;
    struct error ignored;
    struct event_json *json =
        line == NULL ? NULL : event_json_decode(line, length, &event, &ignored);
    bool wanted;

    if (json == NULL) {
        if (line == NULL || !is_newer_event(line, length)) {
            tell_strange(tail);
            return false;
        }
        return !tail->filter.any;
    }
    wanted = tail_filter_wants(&tail->filter, &event);
    event_json_free(json);
    return wanted;
}

static void show_line(struct tail *tail, const char *line, size_t length)
{
    struct event event;
    struct error error;
    struct event_json *json;

    if (!is_wanted_line(tail, line, length)) {
        return;
    }
    if (tail->call->json) {
        (void)fwrite(line, 1, length, stdout);
        (void)fputc('\n', stdout);
        return;
    }
    json = event_json_decode(line, length, &event, &error);
    if (json != NULL) {
        command_tail_show(&event, tail->coloured);
    } else { /* a newer nixie's */
        command_put((struct text){line, length});
        (void)fputc('\n', stdout);
    }
    event_json_free(json);
}

/* --- the loop ---------------------------------------------------------- */

/* Waits a moment; false when nobody reads our output any more. */
static bool wait_a_moment(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    return poll(&output, 1, LOOK_MS) <= 0;
}

static bool goes_on(const struct tail *tail)
{
    return tail->follow && (tail->filter.until_us == 0 ||
                            clock_now_us() < tail->filter.until_us);
}

static enum command_status run(struct tail *tail, struct event_follow *follow)
{
    const char *line;
    size_t length;

    for (;;) {
        /* before the look: what comes in between is for the next */
        bool again = goes_on(tail);

        switch (event_follow_next(follow, &line, &length)) {
        case EVENT_FOLLOW_LINE:
            show_line(tail, line, length);
            if (ferror(stdout)) {
                return COMMAND_OK;
            }
            continue;
        case EVENT_FOLLOW_END:
            if (!command_output_flows() || !again || !wait_a_moment()) {
                return COMMAND_OK;
            }
            continue;
        case EVENT_FOLLOW_TRUNCATED:
            command_complain(tail->call,
                             "the file was truncated: reading it from its "
                             "beginning");
            continue;
        case EVENT_FOLLOW_ERROR:
            command_complain(tail->call, "read: %s", strerror(errno));
            return COMMAND_FAULT;
        }
    }
}

/* --- arguments --------------------------------------------------------- */

static bool take_lines(struct tail *tail)
{
    const char *value = command_value(tail->call, "lines");
    char *end;

    tail->lines = LINES_DEFAULT;
    if (value == NULL) {
        return true;
    }
    errno = 0;
    tail->lines = strtol(value, &end, 10);
    if (errno == 0 && end != value && *end == '\0' && tail->lines >= 0 &&
        tail->lines <= LINES_MOST) {
        return true;
    }
    command_complain(tail->call, "--lines takes a number up to %d", LINES_MOST);
    return false;
}

static bool take_options(struct tail *tail)
{
    const struct command_call *call = tail->call;
    const char *no_color = getenv("NO_COLOR");

    tail->path = call->argument_count > 0 ? call->arguments[0]
                                          : call->settings->event_log;
    tail->follow = command_value(call, "no-follow") == NULL;
    tail->coloured =
        isatty(STDOUT_FILENO) == 1 && (no_color == NULL || no_color[0] == '\0');
    return take_lines(tail) &&
           tail_filter_take(&tail->filter, call, clock_now_us());
}

enum command_status command_tail(const struct command_call *call)
{
    struct tail tail = {.call = call};
    struct event_follow_options options = {.wanted = is_wanted_line,
                                           .context = &tail};
    struct event_follow *follow;
    enum command_status status = COMMAND_FAULT;
    char escaped[SHOWN_MAX];

    if (!take_options(&tail)) {
        return COMMAND_FAULT;
    }
    options.path = tail.path;
    options.lines = tail.lines;
    if (command_value(call, "lines") == NULL) { /* else so many, at most */
        options.since_us = tail.filter.since_us;
    }
    options.rotations = true; /* soon after one the last lines are before */
    follow = event_follow_new(&options);
    (void)text_escape(text_of(tail.path), escaped, sizeof escaped);
    if (follow == NULL) {
        command_complain(call, "out of memory");
    } else if (event_follow_open(follow)) {
        status = run(&tail, follow);
    } else if (errno == ENOENT && tail.follow) {
        command_complain(call, "%s is not there yet: waiting", escaped);
        status = run(&tail, follow);
    } else {
        command_complain(call, "%s: %s", escaped,
                         errno == EINVAL ? "no file" : strerror(errno));
    }
    event_follow_free(follow);
    return status;
}
