#include "maillog_follow.h"

#include "clock.h"
#include "log.h"
#include "maillog_file.h"
#include "maillog_journal.h"
#include "maillog_same.h"
#include "maillog_stream.h"
#include "maillog_trouble.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS      1000 /* for file systems that do not tell of changes */
#define LOOK_LINES   256  /* given before other sources are looked after */
#define SOURCES_MAX  256
#define FIXED_POLLS  2
#define FOLDER_MASK  (IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR)
#define FILE_MASK    (IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF)
#define JOURNAL_WORD "journal"

struct source {
    uint64_t id;
    /* one of them */
    struct maillog_file *file;
    struct maillog_stream *stream;
    struct maillog_journal *journal;
    char *folder; /* of file, to be watched */
    bool ready;   /* may have something to give */
    bool ended;
    int folder_watch, file_watch; /* of inotify(7); -1: none */
    unsigned generation;          /* of the file that is watched */
};

struct maillog_follow {
    struct source *source;
    size_t count;
    bool follow;
    size_t turn;
    int stop;    /* eventfd(2): readable for ever once stopped */
    int inotify; /* -1: there is none */
    int64_t now_ms;
    int64_t tick_ms;     /* when all are asked next */
    unsigned since_look; /* lines */
    uint64_t lines;
    struct pollfd *poll; /* room for all sources */
    _Atomic bool stopped;
};

/* After "journal": ":PATH", or nothing; NULL: it is none. */
static const char *journal_part(const char *name)
{
    size_t length = sizeof JOURNAL_WORD - 1;

    return strncmp(name, JOURNAL_WORD, length) == 0 &&
                   (name[length] == '\0' || name[length] == ':')
               ? name + length
               : NULL;
}

static bool open_journal(struct source *source, const char *name,
                         const char *part,
                         const struct maillog_follow_options *options,
                         struct error *error)
{
    const struct maillog_journal_options journal = {
        .source = name,
        .path = *part == ':' ? part + 1 : NULL,
        .follow = options->follow,
        .from_start = options->from_start,
    };

    source->journal = maillog_journal_new(&journal, error);
    return source->journal != NULL;
}

static bool open_stream(struct source *source, const char *name, int fd,
                        struct error *error)
{
    source->stream = maillog_stream_new(name, fd);
    if (source->stream == NULL) {
        error_set(error, "out of memory");
    }
    return source->stream != NULL;
}

/* Without follow: "<(zcat mail.log.gz)" of a shell is a pipe with a name. */
static bool is_pipe(const char *name)
{
    struct stat status;

    return stat(name, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode));
}

static bool open_pipe(struct source *source, const char *name,
                      struct error *error)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char escaped[ERROR_SIZE / 2];

    if (fd < 0) {
        error_set_errno(error, "%s",
                        text_escape(text_of(name), escaped, sizeof escaped));
        return false;
    }
    return open_stream(source, name, fd, error);
}

/* New; NULL when out of memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return strdup(".");
    }
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static bool open_file(struct source *source, const char *name,
                      const struct maillog_follow_options *options,
                      struct error *error)
{
    const struct maillog_file_options file = {
        .look_back = options->look_back,
        .path = name,
        .follow = options->follow,
        .from_start = options->from_start,
    };

    source->folder = folder_of(name);
    if (source->folder == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    source->file = maillog_file_new(&file, error);
    return source->file != NULL;
}

static bool open_source(struct source *source, const char *name,
                        const struct maillog_follow_options *options,
                        struct error *error)
{
    const char *part = journal_part(name);

    source->id = maillog_position_source(name);
    source->ready = true;
    source->folder_watch = -1;
    source->file_watch = -1;
    if (part != NULL) {
        return open_journal(source, name, part, options, error);
    }
    if (strcmp(name, "-") == 0) {
        return open_stream(source, name, STDIN_FILENO, error);
    }
    if (!options->follow && is_pipe(name)) {
        return open_pipe(source, name, error);
    }
    return open_file(source, name, options, error);
}

static bool is_given_twice(const struct maillog_follow *follow,
                           struct error *error, const char *name)
{
    const struct source *last = &follow->source[follow->count - 1];
    char escaped[ERROR_SIZE / 2];

    for (size_t i = 0; i + 1 < follow->count; i++) {
        if (follow->source[i].id == last->id) {
            error_set(error, "%s: given twice",
                      text_escape(text_of(name), escaped, sizeof escaped));
            return true;
        }
    }
    return false;
}

/* Under another name: what was given before it, or NULL. */
static const char *same_file(const struct maillog_follow_options *options,
                             size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(options->sources[i], options->sources[index]) != 0 &&
            maillog_same_file(options->sources[i], options->sources[index])) {
            return options->sources[i];
        }
    }
    return NULL;
}

static void tell_same_file(const char *name, const char *other)
{
    char escaped[2][MAILLOG_PATH_SIZE];

    log_warning("maillog %s is the same file as %s: it is read once",
                text_escape(text_of(name), escaped[0], sizeof escaped[0]),
                text_escape(text_of(other), escaped[1], sizeof escaped[1]));
}

static bool open_sources(struct maillog_follow *follow,
                         const struct maillog_follow_options *options,
                         struct error *error)
{
    size_t count = 0;

    while (options->sources[count] != NULL) {
        count++;
    }
    if (count > SOURCES_MAX && options->follow) {
        error_set(error, "more than %d logs", SOURCES_MAX);
        return false;
    }
    follow->source = calloc(count + 1, sizeof *follow->source);
    follow->poll = calloc(count + FIXED_POLLS, sizeof *follow->poll);
    if (follow->source == NULL || follow->poll == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = options->sources[i];
        const char *other = same_file(options, i);

        if (other != NULL) {
            tell_same_file(name, other);
            continue;
        }
        follow->count++;
        if (!open_source(&follow->source[follow->count - 1], name, options,
                         error) ||
            is_given_twice(follow, error, name)) {
            return false;
        }
    }
    return true;
}

/* Without it all is found a little later. */
static void open_inotify(struct maillog_follow *follow)
{
    char text[128];

    follow->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (follow->inotify < 0) {
        log_warning("maillog: looks each second: inotify error=\"%s\"",
                    strerror_r(errno, text, sizeof text));
    }
}

struct maillog_follow *
maillog_follow_new(const struct maillog_follow_options *options,
                   struct error *error)
{
    struct maillog_follow *follow = calloc(1, sizeof *follow);

    if (follow == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    follow->follow = options->follow;
    follow->inotify = -1;
    follow->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (follow->stop < 0) {
        error_set_errno(error, "eventfd");
        maillog_follow_free(follow);
        return NULL;
    }
    if (!open_sources(follow, options, error)) {
        maillog_follow_free(follow);
        return NULL;
    }
    if (follow->follow) {
        open_inotify(follow);
    }
    follow->now_ms = clock_monotonic_ms();
    return follow;
}

void maillog_follow_free(struct maillog_follow *follow)
{
    if (follow == NULL) {
        return;
    }
    for (size_t i = 0; i < follow->count; i++) {
        maillog_file_free(follow->source[i].file);
        maillog_stream_free(follow->source[i].stream);
        maillog_journal_free(follow->source[i].journal);
        free(follow->source[i].folder);
    }
    if (follow->inotify >= 0) {
        (void)close(follow->inotify);
    }
    if (follow->stop >= 0) {
        (void)close(follow->stop);
    }
    free(follow->source);
    free(follow->poll);
    free(follow);
}

bool maillog_follow_resume(struct maillog_follow *follow, const char *position)
{
    struct maillog_position parsed;

    if (!maillog_position_parse(position, &parsed)) {
        return false;
    }
    for (size_t i = 0; i < follow->count; i++) {
        struct source *source = &follow->source[i];

        if (source->id != parsed.source) {
            continue;
        }
        if (source->file != NULL && parsed.kind == MAILLOG_POSITION_FILE) {
            maillog_file_resume(source->file, &parsed);
            return true;
        }
        if (source->journal != NULL &&
            parsed.kind == MAILLOG_POSITION_JOURNAL) {
            maillog_journal_resume(source->journal, &parsed);
            return true;
        }
        return source->stream != NULL && parsed.kind == MAILLOG_POSITION_STREAM;
    }
    return false;
}

static enum maillog_source_result ask(const struct maillog_follow *follow,
                                      struct source *source,
                                      struct maillog_line *line)
{
    if (source->file != NULL) {
        return maillog_file_next(source->file, follow->now_ms, line);
    }
    if (source->stream != NULL) {
        return maillog_stream_next(source->stream, line);
    }
    return maillog_journal_next(source->journal, line);
}

/* With follow each source has its turn; without, one is read after the other.
 */
static bool give(struct maillog_follow *follow, struct maillog_line *line)
{
    for (size_t i = 0; i < follow->count; i++) {
        size_t index = (follow->turn + i) % follow->count;
        struct source *source = &follow->source[index];

        if (source->ended || !source->ready) {
            if (!follow->follow && !source->ended) {
                return false;
            }
            continue;
        }
        switch (ask(follow, source, line)) {
        case MAILLOG_SOURCE_LINE:
            line->source = index;
            follow->turn = follow->follow ? index + 1 : index;
            follow->lines++;
            follow->since_look++;
            return true;
        case MAILLOG_SOURCE_NOTHING:
            source->ready = false;
            break;
        case MAILLOG_SOURCE_AGAIN:
            break;
        case MAILLOG_SOURCE_END:
            source->ended = true;
            continue;
        }
        if (!follow->follow) {
            return false;
        }
    }
    return false;
}

static bool all_ended(const struct maillog_follow *follow)
{
    for (size_t i = 0; i < follow->count; i++) {
        if (!follow->source[i].ended) {
            return false;
        }
    }
    return true;
}

static bool any_ready(const struct maillog_follow *follow)
{
    for (size_t i = 0; i < follow->count; i++) {
        if (follow->source[i].ready && !follow->source[i].ended) {
            return true;
        }
    }
    return false;
}

/* The opened file, whatever it is called by now; true: another than before. */
static bool watch_file(struct maillog_follow *follow, struct source *source)
{
    unsigned generation;
    int fd = maillog_file_descriptor(source->file, &generation);
    char path[64];

    if (generation == source->generation) {
        return false;
    }
    source->generation = generation;
    if (source->file_watch >= 0) {
        /* fails for a file that is gone; for a file that is another source's,
         * too, its changes are seen each second from now on */
        (void)inotify_rm_watch(follow->inotify, source->file_watch);
        source->file_watch = -1;
    }
    if (fd >= 0) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        source->file_watch =
            inotify_add_watch(follow->inotify, path, FILE_MASK);
    }
    return source->file_watch >= 0;
}

/* What was written between the last read and the watch tells of nothing: a
 * source with a new watch is asked once more. */
static void watch(struct maillog_follow *follow)
{
    for (size_t i = 0; i < follow->count && follow->inotify >= 0; i++) {
        struct source *source = &follow->source[i];

        if (source->file == NULL) {
            continue;
        }
        if (source->folder_watch < 0) {
            source->folder_watch =
                inotify_add_watch(follow->inotify, source->folder, FOLDER_MASK);
            source->ready = source->ready || source->folder_watch >= 0;
        }
        if (watch_file(follow, source)) {
            source->ready = true;
        }
    }
}

static void forget_watch(struct maillog_follow *follow, int watch_number)
{
    for (size_t i = 0; i < follow->count; i++) {
        if (follow->source[i].folder_watch == watch_number) {
            follow->source[i].folder_watch = -1;
        }
        if (follow->source[i].file_watch == watch_number) {
            follow->source[i].file_watch = -1;
        }
    }
}

/* Whatever has happened: the files are asked. */
static void take_events(struct maillog_follow *follow)
{
    union {
        struct inotify_event event; /* for its alignment */
        char bytes[4096];
    } buffer;
    ssize_t length;

    while ((length = read(follow->inotify, buffer.bytes, sizeof buffer)) > 0) {
        size_t at = 0;

        while (at + sizeof(struct inotify_event) <= (size_t)length) {
            struct inotify_event event;

            memcpy(&event, buffer.bytes + at, sizeof event);
            at += sizeof event + event.len;
            if ((event.mask & IN_IGNORED) != 0) {
                forget_watch(follow, event.wd);
            }
        }
    }
    for (size_t i = 0; i < follow->count; i++) {
        if (follow->source[i].file != NULL) {
            follow->source[i].ready = true;
        }
    }
}

static int descriptor_of(const struct source *source)
{
    if (source->ended) {
        return -1;
    }
    if (source->stream != NULL) {
        return maillog_stream_descriptor(source->stream);
    }
    return source->journal != NULL ? maillog_journal_descriptor(source->journal)
                                   : -1;
}

static int poll_all(struct maillog_follow *follow, int timeout_ms)
{
    follow->poll[0] = (struct pollfd){.fd = follow->stop, .events = POLLIN};
    follow->poll[1] = (struct pollfd){.fd = follow->inotify, .events = POLLIN};
    for (size_t i = 0; i < follow->count; i++) {
        /* what is ready anyway is not asked for: negative is passed over */
        follow->poll[FIXED_POLLS + i] = (struct pollfd){
            .fd = follow->source[i].ready ? -1
                                          : descriptor_of(&follow->source[i]),
            .events = POLLIN};
    }
    return poll(follow->poll, FIXED_POLLS + follow->count, timeout_ms);
}

/* Sources whose time has come. */
static void take_time(struct maillog_follow *follow)
{
    bool tick = follow->now_ms >= follow->tick_ms;

    if (tick) {
        follow->tick_ms = follow->now_ms + TICK_MS;
    }
    for (size_t i = 0; i < follow->count; i++) {
        struct source *source = &follow->source[i];

        if (tick || (source->file != NULL &&
                     maillog_file_wake_ms(source->file) <= follow->now_ms)) {
            source->ready = true;
        }
    }
}

/* Looks what is ready, waiting at most timeout_ms for it. */
static void look(struct maillog_follow *follow, int timeout_ms)
{
    int found;

    follow->since_look = 0;
    found = poll_all(follow, timeout_ms);
    follow->now_ms = clock_monotonic_ms();
    take_time(follow);
    if (found <= 0) {
        return;
    }
    if (follow->poll[1].revents != 0) {
        take_events(follow);
    }
    for (size_t i = 0; i < follow->count; i++) {
        if (follow->poll[FIXED_POLLS + i].revents != 0) {
            follow->source[i].ready = true;
        }
    }
}

static int time_to_wait(const struct maillog_follow *follow,
                        int64_t deadline_ms)
{
    int64_t until_ms =
        deadline_ms < follow->tick_ms ? deadline_ms : follow->tick_ms;

    if (any_ready(follow)) {
        return 0;
    }
    for (size_t i = 0; i < follow->count; i++) {
        if (follow->source[i].file != NULL) {
            int64_t wake_ms = maillog_file_wake_ms(follow->source[i].file);

            until_ms = wake_ms < until_ms ? wake_ms : until_ms;
        }
    }
    if (until_ms <= follow->now_ms) {
        return 0;
    }
    return until_ms - follow->now_ms > TICK_MS
               ? TICK_MS
               : (int)(until_ms - follow->now_ms);
}

enum maillog_follow_result maillog_follow_next(struct maillog_follow *follow,
                                               int timeout_ms,
                                               struct maillog_line *line)
{
    int64_t deadline_ms = -1; /* set when there is to be waited */

    for (;;) {
        if (atomic_load(&follow->stopped)) {
            return MAILLOG_FOLLOW_END;
        }
        if (follow->since_look >= LOOK_LINES) {
            look(follow, 0);
        }
        if (give(follow, line)) {
            return MAILLOG_FOLLOW_LINE;
        }
        if (all_ended(follow)) {
            return MAILLOG_FOLLOW_END;
        }
        if (deadline_ms < 0) {
            follow->now_ms = clock_monotonic_ms();
            deadline_ms =
                timeout_ms < 0 ? INT64_MAX : follow->now_ms + timeout_ms;
        } else if (follow->now_ms >= deadline_ms) {
            return MAILLOG_FOLLOW_IDLE;
        }
        watch(follow);
        look(follow, time_to_wait(follow, deadline_ms));
    }
}

bool maillog_follow_position(const struct maillog_follow *follow, size_t source,
                             char position[MAILLOG_POSITION_SIZE])
{
    const struct source *of = &follow->source[source];

    if (source >= follow->count) {
        return false;
    }
    if (of->file != NULL) {
        return maillog_file_position(of->file, position);
    }
    if (of->journal != NULL) {
        return maillog_journal_position(of->journal, position);
    }
    maillog_stream_position(of->stream, position);
    return true;
}

void maillog_follow_state(const struct maillog_follow *follow,
                          struct maillog_follow_state *state)
{
    memset(state, 0, sizeof *state);
    state->lines = follow->lines;
    for (size_t i = 0; i < follow->count; i++) {
        if (follow->source[i].file != NULL) {
            maillog_file_state(follow->source[i].file, state);
        } else if (follow->source[i].journal != NULL) {
            maillog_journal_state(follow->source[i].journal, state);
        } else if (follow->source[i].stream != NULL) {
            maillog_stream_state(follow->source[i].stream, state);
        }
    }
}

int64_t maillog_follow_behind(const struct maillog_follow *follow,
                              size_t source)
{
    struct maillog_follow_state state = {0};

    if (source < follow->count && follow->source[source].file != NULL) {
        maillog_file_state(follow->source[source].file, &state);
    }
    return state.behind_bytes;
}

void maillog_follow_stop(struct maillog_follow *follow)
{
    const uint64_t one = 1;
    ssize_t written;

    atomic_store(&follow->stopped, true);
    written = write(follow->stop, &one, sizeof one);
    (void)written; /* it is readable already */
}
