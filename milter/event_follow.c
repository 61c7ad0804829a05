#include "event_follow.h"

#include "event_cursor.h"
#include "event_files.h"
#include "event_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 65536
/* Of older files, to find the last lines: a second, or two. */
#define LOOK_BACK_MAX ((off_t)256 * 1024 * 1024)

struct event_follow {
    struct event_follow_options options;
    struct event_cursor *cursor;
    int descriptor; /* of the file that cursor reads; -1: none yet */
    bool rotated;   /* seen before what is in it was read */
};

struct event_follow *
event_follow_new(const struct event_follow_options *options)
{
    struct event_follow *follow = calloc(1, sizeof *follow);

    if (follow != NULL) {
        follow->options = *options;
        follow->descriptor = -1;
    }
    return follow;
}

static void close_file(struct event_follow *follow)
{
    event_cursor_free(follow->cursor);
    follow->cursor = NULL;
    if (follow->descriptor >= 0) {
        (void)close(follow->descriptor);
        follow->descriptor = -1;
    }
}

void event_follow_free(struct event_follow *follow)
{
    if (follow != NULL) {
        close_file(follow);
        free(follow);
    }
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

static bool is_wanted_at(const struct event_follow *follow, off_t start,
                         off_t end)
{
    const struct event_follow_options *options = &follow->options;
    char line[EVENT_LINE_MAX];
    ssize_t got;

    if (options->wanted == NULL) {
        return true;
    }
    if (end - start > EVENT_LINE_MAX) {
        return options->wanted(options->context, NULL, 0);
    }
    got = pread(follow->descriptor, line, (size_t)(end - start), start);
    return got == end - start &&
           options->wanted(options->context, line, (size_t)got);
}

/* Where the last *left lines that are wanted begin; *left: how many lack. */
static off_t find_start(const struct event_follow *follow, off_t size,
                        long *left)
{
    struct backward backward = {.descriptor = follow->descriptor};
    off_t end = newline_before(&backward, size);
    off_t start = end + 1;

    while (*left > 0 && end >= 0) {
        off_t before = newline_before(&backward, end);

        if (is_wanted_at(follow, before + 1, end)) {
            (*left)--;
            start = before + 1;
        }
        end = before;
    }
    return start;
}

/* --- which file -------------------------------------------------------- */

/* Takes descriptor. */
static bool begin_file(struct event_follow *follow, int descriptor,
                       off_t offset)
{
    int copy;

    if (descriptor != follow->descriptor) {
        close_file(follow);
    }
    event_cursor_free(follow->cursor);
    follow->cursor = NULL;
    follow->descriptor = descriptor;
    copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0) {
        follow->cursor = event_cursor_new(copy, offset);
        if (follow->cursor == NULL) {
            errno = ENOMEM;
        }
    }
    return follow->cursor != NULL;
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
static bool is_rotated(const struct event_follow *follow)
{
    struct stat ours;
    struct stat named;

    return stat(follow->options.path, &named) == 0 && named.st_size > 0 &&
           (follow->descriptor < 0 ||
            (fstat(follow->descriptor, &ours) == 0 &&
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
static enum successor open_successor(const struct event_follow *follow,
                                     int *descriptor)
{
    enum successor result = SUCCESSOR_UNKNOWN;
    struct event_files files;
    struct event_file ours;
    struct error ignored;

    if (follow->descriptor < 0 ||
        !event_file_identify(follow->descriptor, &ours) ||
        ours.kind != EVENT_FILE_EVENTS ||
        !event_files_list(follow->options.path, &files, &ignored)) {
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

static bool next_file(struct event_follow *follow)
{
    int descriptor = -1;

    switch (open_successor(follow, &descriptor)) {
    case SUCCESSOR_OPEN:
        break;
    case SUCCESSOR_UNKNOWN:
        descriptor = open_regular(follow->options.path);
        break;
    case SUCCESSOR_MOVED:
        return true;
    }
    if (descriptor < 0) {
        return errno == ENOENT; /* it comes */
    }
    return begin_file(follow, descriptor, 0);
}

/*
 * The oldest that was written since then, of whoever writes the current one.
 * -1: that is the current one.
 */
static int open_since(const struct event_follow *follow,
                      const struct event_file *current)
{
    struct event_files files;
    struct error ignored;
    int descriptor = -1;

    if (!event_files_list(follow->options.path, &files, &ignored)) {
        return -1;
    }
    for (size_t i = 0; i < files.count && descriptor < 0; i++) {
        const struct event_file *file = &files.file[i];

        if (file->kind == EVENT_FILE_EVENTS &&
            strcmp(file->instance, current->instance) == 0 &&
            file->file_number < current->file_number &&
            file->modified_us >= follow->options.since_us) {
            descriptor = open_regular(file->path);
        }
    }
    event_files_free(&files);
    return descriptor;
}

/* Takes descriptor, in place of the one there was. */
static off_t start_in(struct event_follow *follow, int descriptor, long *left)
{
    struct stat status;

    close_file(follow);
    follow->descriptor = descriptor;
    return fstat(descriptor, &status) == 0
               ? find_start(follow, status.st_size, left)
               : 0;
}

/*
 * The last lines; soon after a rotation most of them are in the file before.
 * Takes descriptor, of the current file.
 */
static bool begin_lines_back(struct event_follow *follow, int descriptor)
{
    long left = follow->options.lines;
    off_t offset = start_in(follow, descriptor, &left);
    struct event_files files;
    struct event_file last;
    struct error ignored;
    off_t looked_at = 0;

    if (left == 0 || !follow->options.rotations ||
        !event_file_identify(descriptor, &last) ||
        last.kind != EVENT_FILE_EVENTS ||
        !event_files_list(follow->options.path, &files, &ignored)) {
        return begin_file(follow, descriptor, offset);
    }
    for (size_t i = files.count; i > 0 && left > 0; i--) {
        const struct event_file *file = &files.file[i - 1];
        int older = -1;

        if (file->kind != EVENT_FILE_EVENTS ||
            strcmp(file->instance, last.instance) != 0 ||
            file->file_number >= last.file_number) {
            continue;
        }
        looked_at += file->size;
        if (looked_at > LOOK_BACK_MAX ||
            open_numbered(file, &older) != SUCCESSOR_OPEN) {
            break; /* from one before, all of it would be read as well */
        }
        offset = start_in(follow, older, &left);
    }
    event_files_free(&files);
    return begin_file(follow, follow->descriptor, offset);
}

bool event_follow_open(struct event_follow *follow)
{
    int descriptor = open_regular(follow->options.path);
    struct event_file current;
    int older;

    if (descriptor < 0) {
        return false;
    }
    if (follow->options.since_us == 0) {
        return begin_lines_back(follow, descriptor);
    }
    older = event_file_identify(descriptor, &current) &&
                    current.kind == EVENT_FILE_EVENTS
                ? open_since(follow, &current)
                : -1;
    if (older >= 0) {
        (void)close(descriptor);
        descriptor = older;
    }
    return begin_file(follow, descriptor, 0);
}

/* --- line by line ------------------------------------------------------ */

enum event_follow_result event_follow_next(struct event_follow *follow,
                                           const char **line, size_t *length)
{
    for (;;) {
        if (follow->cursor != NULL) {
            switch (event_cursor_next(follow->cursor, line, length)) {
            case EVENT_CURSOR_LINE:
                return EVENT_FOLLOW_LINE;
            case EVENT_CURSOR_END:
                break;
            case EVENT_CURSOR_TRUNCATED:
                return begin_file(follow, follow->descriptor, 0)
                           ? EVENT_FOLLOW_TRUNCATED
                           : EVENT_FOLLOW_ERROR;
            case EVENT_CURSOR_ERROR:
                return EVENT_FOLLOW_ERROR;
            }
        }
        if (follow->rotated) {
            follow->rotated = false;
            if (!next_file(follow)) {
                return EVENT_FOLLOW_ERROR;
            }
            continue;
        }
        /* what came before the look is in the old file: read on in it */
        follow->rotated = follow->options.rotations && is_rotated(follow);
        if (!follow->rotated) {
            return EVENT_FOLLOW_END;
        }
    }
}
