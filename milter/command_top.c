#include "clock.h"
#include "command.h"
#include "event_follow.h"
#include "event_json.h"
#include "top.h"
#include "top_frame.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than a quarter of an hour has on most hosts, and soon read. */
#define LINES_BACK       50000
#define INTERVAL_DEFAULT 1
#define INTERVAL_MAX     3600
#define PLAIN_COLUMNS    100
#define PLAIN_ROWS       60
#define SHOWN_MAX        400
#define KEY_ESCAPE       27

struct view {
    const struct command_call *call;
    struct event_follow *follow;
    struct top *top;
    struct top_frame frame;
    int interval_ms;
    bool live; /* what was there at the start is read */
};

/* --- the log ----------------------------------------------------------- */

static void take_line(struct view *view, const char *line, size_t length)
{
    const int64_t now_us = clock_now_us();
    struct event event;
    struct error ignored;
    struct event_json *json = event_json_decode(line, length, &event, &ignored);

    if (json == NULL) {
        return; /* torn, or of another version: tail tells of those */
    }
    top_take(view->top, &event,
             view->live || event.timestamp_us > now_us ? now_us
                                                       : event.timestamp_us);
    event_json_free(json);
}

/* All that is there now, but not for ever; false with errno: it cannot go on.
 */
static bool take_lines(struct view *view)
{
    const int64_t end_ms = clock_monotonic_ms() + view->interval_ms;
    const char *line;
    size_t length;

    for (;;) {
        switch (event_follow_next(view->follow, &line, &length)) {
        case EVENT_FOLLOW_LINE:
            take_line(view, line, length);
            if (view->live && clock_monotonic_ms() >= end_ms) {
                return true;
            }
            continue;
        case EVENT_FOLLOW_END:
            view->live = true;
            return true;
        case EVENT_FOLLOW_TRUNCATED:
            continue;
        case EVENT_FOLLOW_ERROR:
            return false;
        }
    }
}

/* --- once -------------------------------------------------------------- */

static void print_once(struct view *view)
{
    const int64_t now_us = clock_now_us();

    if (view->call->json) {
        command_json_print(top_frame_json(view->top, now_us));
        return;
    }
    view->frame.columns = PLAIN_COLUMNS;
    view->frame.rows = PLAIN_ROWS;
    top_frame_draw(view->top, now_us, &view->frame);
    for (int i = 0; i < view->frame.count; i++) {
        (void)puts(view->frame.lines[i].text);
    }
}

/* --- the screen -------------------------------------------------------- */

static volatile sig_atomic_t told_to_stop;

static void stop(int number)
{
    told_to_stop = number;
}

/* The terminal is given back by who reads the flag. */
static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = stop;
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)sigaction(numbers[i], &action, NULL);
    }
}

static chtype attribute_of(enum top_look look)
{
    static const short colours[] = {
        [TOP_GOOD] = COLOR_GREEN,
        [TOP_WARNING] = COLOR_YELLOW,
        [TOP_BAD] = COLOR_RED,
    };
    const char *no_color = getenv("NO_COLOR");

    switch (look) {
    case TOP_PLAIN:
        break;
    case TOP_TITLE:
        return A_BOLD;
    case TOP_HEADER:
        return A_REVERSE;
    case TOP_GOOD:
    case TOP_WARNING:
    case TOP_BAD:
        return has_colors() && (no_color == NULL || no_color[0] == '\0')
                   ? (chtype)COLOR_PAIR(colours[look])
                   : A_NORMAL;
    }
    return A_NORMAL;
}

static void draw(struct view *view)
{
    struct top_frame *frame = &view->frame;

    frame->columns = COLS;
    frame->rows = LINES;
    top_frame_draw(view->top, clock_now_us(), frame);
    (void)erase();
    for (int i = 0; i < frame->count; i++) {
        const chtype attribute = attribute_of(frame->lines[i].look);

        (void)attron(attribute);
        /* a header goes over the whole width */
        (void)mvprintw(i, 0, "%-*s",
                       frame->lines[i].look == TOP_HEADER ? frame->columns : 0,
                       frame->lines[i].text);
        (void)attroff(attribute);
    }
    (void)refresh();
}

/* False: it is time to go. A resize is a key, too, and draws at once. */
static bool take_keys(void)
{
    for (int key = getch(); key != ERR; key = getch()) {
        if (key == 'q' || key == 'Q' || key == KEY_ESCAPE) {
            return false;
        }
    }
    return told_to_stop == 0;
}

/* Until the next look, or a key; false: nobody is there any more. */
static bool wait_for_key(int timeout_ms)
{
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready = poll(&keys, 1, timeout_ms);

    return ready <= 0 || (keys.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

static bool begin_screen(SCREEN **screen)
{
    *screen = newterm(NULL, stdout, stdin);
    if (*screen == NULL) {
        return false;
    }
    catch_signals();
    (void)cbreak();
    (void)noecho();
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    (void)set_escdelay(25);
    (void)curs_set(0);
    if (has_colors()) {
        (void)start_color();
        (void)use_default_colors();
        (void)init_pair(COLOR_GREEN, COLOR_GREEN, -1);
        (void)init_pair(COLOR_YELLOW, COLOR_YELLOW, -1);
        (void)init_pair(COLOR_RED, COLOR_RED, -1);
    }
    return true;
}

/* False with errno: the log could not be read on. */
static bool show(struct view *view)
{
    SCREEN *screen;
    bool read_on = true;

    if (!begin_screen(&screen)) {
        print_once(view);
        command_complain(view->call,
                         "the terminal is not known to terminfo, so this was "
                         "printed once; set TERM, such as TERM=xterm");
        return true;
    }
    do {
        draw(view);
    } while (wait_for_key(view->interval_ms) && take_keys() &&
             (read_on = take_lines(view)));
    {
        const int cause = errno;

        (void)endwin();
        delscreen(screen);
        errno = cause;
    }
    return read_on;
}

/* --- arguments --------------------------------------------------------- */

static bool take_interval(struct view *view)
{
    const char *value = command_value(view->call, "interval");
    long seconds = INTERVAL_DEFAULT;
    char *end;

    if (value != NULL) {
        errno = 0;
        seconds = strtol(value, &end, 10);
        if (errno != 0 || end == value || *end != '\0' || seconds < 1 ||
            seconds > INTERVAL_MAX) {
            command_complain(view->call, "--interval takes seconds, 1 to %d",
                             INTERVAL_MAX);
            return false;
        }
    }
    view->interval_ms = (int)seconds * 1000;
    return true;
}

static enum command_status run(struct view *view, const char *path)
{
    const struct command_call *call = view->call;
    const bool once = call->json || command_value(call, "once") != NULL ||
                      isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1;
    char escaped[SHOWN_MAX];

    (void)text_escape(text_of(path), escaped, sizeof escaped);
    if (!event_follow_open(view->follow) && (once || errno != ENOENT)) {
        command_complain(call, "%s: %s", escaped,
                         errno == EINVAL ? "no file" : strerror(errno));
        return COMMAND_FAULT;
    }
    if (!take_lines(view)) {
        command_complain(call, "%s: %s", escaped, strerror(errno));
        return COMMAND_FAULT;
    }
    if (once) {
        print_once(view);
    } else if (!show(view)) {
        command_complain(call, "%s: %s", escaped, strerror(errno));
        return COMMAND_FAULT;
    }
    return COMMAND_OK;
}

enum command_status command_top(const struct command_call *call)
{
    const struct event_follow_options options = {
        .path = call->argument_count > 0 ? call->arguments[0]
                                         : call->settings->event_log,
        .rotations = true,
        .lines = LINES_BACK,
    };
    struct view *view = calloc(1, sizeof *view); /* a frame is large */
    enum command_status status = COMMAND_FAULT;

    if (view == NULL || (view->top = top_new()) == NULL ||
        (view->follow = event_follow_new(&options)) == NULL) {
        command_complain(call, "out of memory");
    } else {
        view->call = call;
        if (take_interval(view)) {
            status = run(view, options.path);
        }
    }
    if (view != NULL) {
        event_follow_free(view->follow);
        top_free(view->top);
    }
    free(view);
    return status;
}
