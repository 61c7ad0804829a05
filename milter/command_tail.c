#include "command.h"
#include "event.h"
#include "event_cursor.h"
#include "event_files.h"
#include "event_json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINES_DEFAULT 10
#define LINES_MOST    1000000
#define LOOK_MS       200 /* how late a line may be shown */
#define BLOCK         65536
#define SHOWN_MAX     400

struct tail {
    const struct command_call *call;
    const char *path;
    bool follow;
    bool coloured;
    long lines;
    bool has_type;
    enum event_type type;
    bool has_recipient;
    struct mailbox_pattern recipient;
    bool told_strange; /* that lines which are no events are passed over */
    struct event_cursor *cursor;
    int descriptor; /* of the file that cursor reads; -1: none yet */
};

/* --- which events ------------------------------------------------------ */

static struct text recipient_of(const struct event *event)
{
    return event->recipient.bytes != NULL ? event->recipient
                                          : event->suppression_pattern;
}

/* Some records are for programs, unless they are asked for. */
static bool is_wanted(const struct tail *tail, const struct event *event)
{
    if (tail->has_type) {
        if (event->type != tail->type) {
            return false;
        }
    } else if (!tail->call->json &&
               (event->type == EVENT_LOG_OPEN ||
                event->type == EVENT_HEARTBEAT || event->type == EVENT_MARK)) {
        return false;
    }
    return !tail->has_recipient ||
           text_is(recipient_of(event), tail->recipient.text);
}

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

/* Whether a line would be shown. */
static bool is_wanted_line(struct tail *tail, const char *line, size_t length)
{
    struct event event;
    struct error ignored;
    struct event_json *json = event_json_decode(line, length, &event, &ignored);
    bool wanted;

    if (json == NULL) {
        if (!is_newer_event(line, length)) {
            tell_strange(tail);
            return false;
        }
        return !tail->has_type && !tail->has_recipient;
    }
    wanted = is_wanted(tail, &event);
    event_json_free(json);
    return wanted;
}

/* --- how they look ----------------------------------------------------- */

#define RED     "31"
#define GREEN   "32"
#define YELLOW  "33"
#define MAGENTA "35"
#define CYAN    "36"

static const char *const colours[EVENT_TYPES] = {
    [EVENT_RECEPTION] = GREEN,
    [EVENT_REJECTION] = RED,
    [EVENT_SUPPRESSED] = RED,
    [EVENT_WOULD_SUPPRESS] = YELLOW,
    [EVENT_DELIVERY] = GREEN,
    [EVENT_DELAY] = YELLOW,
    [EVENT_BOUNCE] = RED,
    [EVENT_EXPIRATION] = RED,
    [EVENT_SUPPRESSION_WITHHELD] = YELLOW,
    [EVENT_BREAKER_OPENED] = MAGENTA,
    [EVENT_DOMAIN_DOWN] = MAGENTA,
    [EVENT_SUPPRESSION_ADDED] = CYAN,
    [EVENT_SUPPRESSION_UPDATED] = CYAN,
    [EVENT_SUPPRESSION_REMOVED] = CYAN,
    [EVENT_ALLOW_ADDED] = CYAN,
    [EVENT_ALLOW_REMOVED] = CYAN,
    [EVENT_GAP] = MAGENTA,
    [EVENT_STORE_DEGRADED] = MAGENTA,
    [EVENT_STORE_RECOVERED] = GREEN,
};

/* What stands behind type and recipient, if it is known. */
static const struct shown {
    const char *name;
    size_t offset;
} shown[] = {
    {"action", offsetof(struct event, action)},
    {"reason", offsetof(struct event, reason)},
    {"suppression_pattern", offsetof(struct event, suppression_pattern)},
    {"suppression_reason", offsetof(struct event, suppression_reason)},
    {"enhanced_status", offsetof(struct event, enhanced_status)},
    {"diagnostic", offsetof(struct event, diagnostic)},
    {"queue_id", offsetof(struct event, queue_id)},
    {"sender", offsetof(struct event, sender)},
    {"scope", offsetof(struct event, scope)},
    {"suppression_note", offsetof(struct event, suppression_note)},
    {"suppression_by", offsetof(struct event, suppression_by)},
    {"suppression_expires_at", offsetof(struct event, suppression_expires_at)},
    {"withheld_by", offsetof(struct event, withheld_by)},
    {"first_attempt_at", offsetof(struct event, first_attempt_at)},
    {"next_attempt_at", offsetof(struct event, next_attempt_at)},
    {"expires_at", offsetof(struct event, expires_at)},
    {"gap_reason", offsetof(struct event, gap_reason)},
    {"store_endpoint", offsetof(struct event, store_endpoint)},
    {"store_state", offsetof(struct event, store_state)},
    {"store_error", offsetof(struct event, store_error)},
};

static const struct shown numbers[] = {
    {"attempt", offsetof(struct event, attempt)},
    {"attempts_left", offsetof(struct event, attempts_left)},
    {"aggregated", offsetof(struct event, aggregated)},
    {"gap_count", offsetof(struct event, gap_count)},
    {"applied_seq", offsetof(struct event, applied_seq)},
    {"lag_seconds", offsetof(struct event, lag_seconds)},
};

static void put_member(const char *name, struct text value)
{
    bool quoted =
        value.length == 0 || memchr(value.bytes, ' ', value.length) != NULL;

    (void)printf(" %s=%s", name, quoted ? "\"" : "");
    command_put(value);
    if (quoted) {
        (void)fputc('"', stdout);
    }
}

static void put_time(int64_t us)
{
    time_t seconds = (time_t)(us / 1000000);
    char text[32];
    struct tm tm;

    if (localtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        (void)snprintf(text, sizeof text, "%lld", (long long)(us / 1000000));
    }
    (void)fputs(text, stdout);
}

static bool is_same(struct text one, struct text other)
{
    return one.length == other.length &&
           (one.length == 0 || memcmp(one.bytes, other.bytes, one.length) == 0);
}

static bool is_of_domain(enum event_type type)
{
    return type == EVENT_BREAKER_OPENED || type == EVENT_BREAKER_CLOSED ||
           type == EVENT_DOMAIN_DOWN || type == EVENT_DOMAIN_UP;
}

/* What is as usual is not shown, so that the line stays short. */
static bool tells_something(const struct event *event, size_t offset,
                            struct text value)
{
    if (value.bytes == NULL) {
        return false;
    }
    if (offset == offsetof(struct event, suppression_reason)) {
        return !is_same(value, event->reason);
    }
    if (offset == offsetof(struct event, first_attempt_at) ||
        offset == offsetof(struct event, expires_at)) {
        return is_of_domain(event->type);
    }
    if (offset == offsetof(struct event, store_state)) {
        return !text_is(value, "ok");
    }
    if (offset == offsetof(struct event, suppression_pattern)) {
        return !is_same(value, recipient_of(event));
    }
    return true;
}

/* Whom or what an event is about. */
static struct text subject_of(const struct event *event)
{
    struct text recipient = recipient_of(event);

    if (recipient.length == 0 && is_of_domain(event->type)) {
        recipient = event->recipient_domain;
        return recipient.length > 0 ? recipient : text_of("all domains");
    }
    return recipient.length > 0 ? recipient : text_of("-");
}

static void print_event(const struct tail *tail, const struct event *event)
{
    const char *colour = tail->coloured ? colours[event->type] : NULL;

    put_time(event->timestamp_us);
    if (colour != NULL) {
        (void)printf(" \x1b[%sm%-19s\x1b[0m ", colour,
                     event_type_name(event->type));
    } else {
        (void)printf(" %-19s ", event_type_name(event->type));
    }
    command_put(subject_of(event));
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        struct text value;

        memcpy(&value, (const char *)event + shown[i].offset, sizeof value);
        if (tells_something(event, shown[i].offset, value)) {
            put_member(shown[i].name, value);
        }
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int64_t number;

        memcpy(&number, (const char *)event + numbers[i].offset, sizeof number);
        if (number != EVENT_UNKNOWN) {
            (void)printf(" %s=%lld", numbers[i].name, (long long)number);
        }
    }
    if (event->transaction_id.length > 0) { /* as a refusal has it */
        (void)fputs(" [", stdout);
        command_put(event->transaction_id);
        (void)fputc(']', stdout);
    }
    (void)fputc('\n', stdout);
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
        print_event(tail, &event);
    } else { /* a newer nixie's */
        command_put((struct text){line, length});
        (void)fputc('\n', stdout);
    }
    event_json_free(json);
}

/* --- where to begin ---------------------------------------------------- */

struct backward {
    int descriptor;
    off_t base; /* of the block in the file */
    size_t length;
    char block[BLOCK];
};

static bool load_before(struct backward *backward, off_t end)
{
    size_t wanted = end < BLOCK ? (size_t)end : BLOCK;
    size_t length = 0;

    backward->base = end - (off_t)wanted;
    while (length < wanted) {
        ssize_t got = pread(backward->descriptor, backward->block + length,
                            wanted - length, backward->base + (off_t)length);

        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            return false;
        }
        length += got > 0 ? (size_t)got : 0;
    }
    backward->length = length;
    return true;
}

/* The last newline in front of an offset; -1: none, or not readable. */
static off_t newline_before(struct backward *backward, off_t before)
{
    while (before > 0) {
        const char *found;

        if ((before <= backward->base ||
             before > backward->base + (off_t)backward->length) &&
            !load_before(backward, before)) {
            return -1;
        }
        found =
            memrchr(backward->block, '\n', (size_t)(before - backward->base));
        if (found != NULL) {
            return backward->base + (found - backward->block);
        }
        before = backward->base;
    }
    return -1;
}

static bool is_wanted_at(struct tail *tail, off_t start, off_t end)
{
    char line[EVENT_LINE_MAX];
    ssize_t got;

    if (end - start > EVENT_LINE_MAX) {
        tell_strange(tail);
        return false;
    }
    got = pread(tail->descriptor, line, (size_t)(end - start), start);
    return got == end - start && is_wanted_line(tail, line, (size_t)got);
}

/* Where the last lines that are wanted begin. */
static off_t find_start(struct tail *tail, off_t size)
{
    struct backward backward = {.descriptor = tail->descriptor};
    off_t end = newline_before(&backward, size);
    off_t start = end + 1;
    long left = tail->lines;

    while (left > 0 && end >= 0) {
        off_t before = newline_before(&backward, end);

        if (is_wanted_at(tail, before + 1, end)) {
            left--;
            start = before + 1;
        }
        end = before;
    }
    return start;
}

/* --- which file -------------------------------------------------------- */

static void close_file(struct tail *tail)
{
    event_cursor_free(tail->cursor);
    tail->cursor = NULL;
    if (tail->descriptor >= 0) {
        (void)close(tail->descriptor);
        tail->descriptor = -1;
    }
}

/* Takes descriptor. */
static bool begin_file(struct tail *tail, int descriptor, bool from_end)
{
    struct stat status;
    off_t offset = 0;
    int copy;

    close_file(tail);
    tail->descriptor = descriptor;
    if (from_end && fstat(descriptor, &status) == 0) {
        offset = find_start(tail, status.st_size);
    }
    copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0) {
        tail->cursor = event_cursor_new(copy, offset);
    }
    if (tail->cursor == NULL) {
        command_complain(tail->call, "out of memory or descriptors");
        return false;
    }
    return true;
}

static int open_regular(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;

    if (descriptor >= 0 &&
        (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))) {
        (void)close(descriptor);
        errno = EINVAL;
        return -1;
    }
    return descriptor;
}

/* Whether another file than ours, with something in it, has our name. */
static bool is_rotated(const struct tail *tail)
{
    struct stat ours;
    struct stat named;

    return stat(tail->path, &named) == 0 && named.st_size > 0 &&
           (tail->descriptor < 0 ||
            (fstat(tail->descriptor, &ours) == 0 &&
             (ours.st_ino != named.st_ino || ours.st_dev != named.st_dev)));
}

enum successor {
    SUCCESSOR_OPEN,
    SUCCESSOR_UNKNOWN,
    SUCCESSOR_MOVED, /* renamed while we looked: look again */
};

static enum successor open_numbered(const struct event_file *file,
                                    int *descriptor)
{
    struct event_file opened;

    *descriptor = open_regular(file->path);
    if (*descriptor < 0) {
        return errno == ENOENT ? SUCCESSOR_MOVED : SUCCESSOR_UNKNOWN;
    }
    if (event_file_identify(*descriptor, &opened) &&
        opened.file_number == file->file_number) {
        return SUCCESSOR_OPEN;
    }
    (void)close(*descriptor);
    return SUCCESSOR_MOVED;
}

/*
 * The file that follows ours: with two rotations between two looks it is not
 * the one that has the name now.
 */
static enum successor open_successor(const struct tail *tail, int *descriptor)
{
    enum successor result = SUCCESSOR_UNKNOWN;
    struct event_files files;
    struct event_file ours;
    struct error ignored;

    if (tail->descriptor < 0 || !event_file_identify(tail->descriptor, &ours) ||
        ours.kind != EVENT_FILE_EVENTS ||
        !event_files_list(tail->path, &files, &ignored)) {
        return SUCCESSOR_UNKNOWN;
    }
    /* they are in the order of their numbers */
    for (size_t i = 0; i < files.count && result == SUCCESSOR_UNKNOWN; i++) {
        const struct event_file *file = &files.file[i];

        if (file->kind == EVENT_FILE_EVENTS &&
            strcmp(file->instance, ours.instance) == 0 &&
            file->file_number > ours.file_number) {
            result = open_numbered(file, descriptor);
        }
    }
    event_files_free(&files);
    return result;
}

static bool next_file(struct tail *tail)
{
    int descriptor = -1;

    switch (open_successor(tail, &descriptor)) {
    case SUCCESSOR_OPEN:
        break;
    case SUCCESSOR_UNKNOWN:
        descriptor = open_regular(tail->path);
        break;
    case SUCCESSOR_MOVED:
        return true;
    }
    return descriptor < 0 || begin_file(tail, descriptor, false);
}

/* --- the loop ---------------------------------------------------------- */

enum drained { DRAINED, DRAINED_STOP, DRAINED_FAULT };

static enum drained drain(struct tail *tail)
{
    const char *line;
    size_t length;

    while (tail->cursor != NULL) {
        switch (event_cursor_next(tail->cursor, &line, &length)) {
        case EVENT_CURSOR_LINE:
            show_line(tail, line, length);
            if (ferror(stdout)) {
                return DRAINED_STOP;
            }
            continue;
        case EVENT_CURSOR_END:
            return command_output_flows() ? DRAINED : DRAINED_STOP;
        case EVENT_CURSOR_TRUNCATED:
            command_complain(tail->call,
                             "the file was truncated: reading it from its "
                             "beginning");
            if (!begin_file(tail, fcntl(tail->descriptor, F_DUPFD_CLOEXEC, 0),
                            false)) {
                return DRAINED_FAULT;
            }
            continue;
        case EVENT_CURSOR_ERROR:
            command_complain(tail->call, "read: %s", strerror(errno));
            return DRAINED_FAULT;
        }
    }
    return DRAINED;
}

/* Waits a moment; false when nobody reads our output any more. */
static bool wait_a_moment(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    return poll(&output, 1, LOOK_MS) <= 0;
}

static enum command_status run(struct tail *tail)
{
    for (;;) {
        enum drained drained;
        bool rotated = tail->follow && is_rotated(tail);

        /* after the look: what came in between is in the old file */
        drained = drain(tail);
        if (drained != DRAINED) {
            return drained == DRAINED_STOP ? COMMAND_OK : COMMAND_FAULT;
        }
        if (rotated) {
            if (!next_file(tail)) {
                return COMMAND_FAULT;
            }
            continue;
        }
        if (!tail->follow || !wait_a_moment()) {
            return COMMAND_OK;
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

/* Changes of a list have a pattern in its place, so that one will do too. */
static bool take_recipient(struct tail *tail, const char *recipient)
{
    const struct mailbox_rules *rules = &tail->call->settings->mailbox_rules;
    char escaped[SHOWN_MAX];
    struct mailbox mailbox;

    tail->has_recipient = true;
    (void)text_escape(text_of(recipient), escaped, sizeof escaped);
    if (mailbox_parse_pattern(text_of(recipient), rules, &tail->recipient) !=
        MAILBOX_PATTERN_INVALID) {
        if (strchr(recipient, '@') == NULL) {
            command_complain(tail->call,
                             "\"%s\" has no @: only recipients without a "
                             "domain are shown; write %s@example.org",
                             escaped, escaped);
        }
        return true;
    }
    if (mailbox_parse(text_of(recipient), rules, &mailbox) == MAILBOX_LONG) {
        command_complain(tail->call,
                         "--recipient takes an address of at most %d bytes",
                         MAILBOX_MAX);
    } else {
        command_complain(
            tail->call, "\"%s\" is no mailbox; write ann@example.org", escaped);
    }
    return false;
}

static bool take_filters(struct tail *tail)
{
    const char *type = command_value(tail->call, "type");
    const char *recipient = command_value(tail->call, "recipient");
    char escaped[SHOWN_MAX];

    if (type != NULL) {
        tail->has_type = event_type_parse(text_of(type), &tail->type);
        if (!tail->has_type) {
            command_complain(
                tail->call,
                "no event has the type \"%s\"; write reception, "
                "rejection, suppressed, ...",
                text_escape(text_of(type), escaped, sizeof escaped));
            return false;
        }
    }
    return recipient == NULL || take_recipient(tail, recipient);
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
    return take_lines(tail) && take_filters(tail);
}

enum command_status command_tail(const struct command_call *call)
{
    struct tail tail = {.call = call, .descriptor = -1};
    enum command_status status = COMMAND_FAULT;
    char escaped[SHOWN_MAX];
    int descriptor;

    if (!take_options(&tail)) {
        return COMMAND_FAULT;
    }
    (void)text_escape(text_of(tail.path), escaped, sizeof escaped);
    descriptor = open_regular(tail.path);
    if (descriptor >= 0) {
        if (begin_file(&tail, descriptor, true)) {
            status = run(&tail);
        }
    } else if (errno == ENOENT && tail.follow) {
        command_complain(call, "%s is not there yet: waiting", escaped);
        status = run(&tail);
    } else {
        command_complain(call, "%s: %s", escaped,
                         errno == EINVAL ? "no file" : strerror(errno));
    }
    close_file(&tail);
    return status;
}
