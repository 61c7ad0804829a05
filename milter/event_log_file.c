#include "event_log_file.h"

#include "clock.h"
#include "event_cursor.h"
#include "event_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE   0640
#define FILE_FLAGS  (O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
#define BEGIN_TRIES 3   /* while others keep putting files at our path */
#define NAME_TRIES  100 /* for a name that is free */

#define TAIL_WINDOW     ((off_t)64 * 1024)
#define TAIL_WINDOW_MAX ((off_t)64 * 1024 * 1024)
#define COUNT_MAX       ((off_t)64 * 1024 * 1024) /* some 0.1 s at start */

/* rename(2) that never replaces; -1 with EEXIST when the name is taken. */
static int rename_no_replace(const char *from, const char *to)
{
#ifdef RENAME_NOREPLACE
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != ENOSYS && errno != EINVAL) {
        return -1;
    }
#endif
    /* a file system, or a C library, without it */
    if (link(from, to) != 0) {
        return -1;
    }
    return unlink(from);
}

/* New: <path>.<YYYYMMDDTHHMMSSZ>.<number>, and .<more> unless 0. */
static char *aside_name(const char *path, int64_t number, int more)
{
    char timestamp[CLOCK_TIMESTAMP_SIZE];
    char stamp[CLOCK_TIMESTAMP_SIZE];
    char last[32] = "aside"; /* a file that tells no number */
    char again[16] = "";
    size_t used = 0;
    char *name;

    clock_format(clock_now_us(), timestamp);
    for (const char *at = timestamp; *at != '.'; at++) {
        if (*at != '-' && *at != ':') {
            stamp[used++] = *at;
        }
    }
    stamp[used] = '\0';
    if (number > 0) {
        (void)snprintf(last, sizeof last, "%lld", (long long)number);
    }
    if (more > 0) {
        (void)snprintf(again, sizeof again, ".%d", more);
    }
    if (asprintf(&name, "%s.%sZ.%s%s", path, stamp, last, again) < 0) {
        errno = ENOMEM;
        return NULL;
    }
    return name;
}

/* Of the file at path: ours, one of another instance, or 0. */
static int64_t number_at(const char *path, const struct stat *status,
                         const struct event_log_file *old)
{
    struct event_file file = {.kind = EVENT_FILE_FOREIGN};
    int fd;

    if (status->st_dev == old->device && status->st_ino == old->inode) {
        return old->file_number;
    }
    fd = S_ISREG(status->st_mode)
             ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
             : -1;
    if (fd < 0) {
        return 0;
    }
    if (!event_file_identify(fd, &file)) {
        file.kind = EVENT_FILE_FOREIGN;
    }
    (void)close(fd);
    return file.kind == EVENT_FILE_EVENTS ? file.file_number : 0;
}

/* Gives what is at path another name, *aside: new, NULL when there was
 * nothing. */
static bool set_aside(const char *path, const struct event_log_file *old,
                      char **aside)
{
    struct stat status;
    int64_t number;

    *aside = NULL;
    if (lstat(path, &status) != 0) {
        return errno == ENOENT;
    }
    number = number_at(path, &status, old);
    for (int more = 0; more < NAME_TRIES; more++) {
        *aside = aside_name(path, number, more);
        if (*aside == NULL) {
            return false;
        }
        if (rename_no_replace(path, *aside) == 0) {
            return true;
        }
        free(*aside);
        *aside = NULL;
        if (errno != EEXIST) {
            return errno == ENOENT; /* somebody else was faster */
        }
    }
    return false;
}

static bool write_header(int fd, const struct event_log_header *header,
                         struct event_log_file *begun)
{
    struct event_log_file file = {.fd = fd};
    struct stat status;
    size_t written = 0;

    if (fstat(fd, &status) != 0 ||
        !event_log_file_write(&file, header->line, header->length, &written)) {
        return false;
    }
    file.device = status.st_dev;
    file.inode = status.st_ino;
    file.file_number = header->file_number;
    file.first_seq = header->seq;
    file.last_seq = header->seq;
    file.lines = 1;
    *begun = file;
    return true;
}

/* An empty file at the path: logrotate's "create", or touch(1). */
static bool begin_in_place(const char *path, const struct event_log_file *old,
                           const struct event_log_header *header,
                           struct event_log_file *begun)
{
    int fd = open(path, FILE_FLAGS);
    struct stat status;

    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_size != 0 ||
        (status.st_dev == old->device && status.st_ino == old->inode)) {
        (void)close(fd);
        return false;
    }
    if (write_header(fd, header, begun)) {
        return true;
    }
    /* not in use yet: the one time that a file of ours may shrink */
    if (ftruncate(fd, 0) != 0) {
        /* then the next try sets it aside */
    }
    (void)close(fd);
    return false;
}

/* New: the name under which a file waits for its first record. */
static char *waiting_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char *name;

    if (asprintf(&name, "%.*s.%s.new", (int)folder, path, path + folder) < 0) {
        errno = ENOMEM;
        return NULL;
    }
    return name;
}

/* From its waiting name to its path; the old file gets its name back when
 * that fails. */
static bool take_place(const char *waiting, const char *path,
                       const struct event_log_file *old)
{
    for (int tries = 0; tries < BEGIN_TRIES; tries++) {
        char *aside;
        int cause;

        if (!set_aside(path, old, &aside)) {
            return false;
        }
        if (rename_no_replace(waiting, path) == 0) {
            free(aside);
            return true;
        }
        cause = errno;
        if (aside != NULL && rename_no_replace(aside, path) != 0) {
            /* the next look at the path finds it renamed */
        }
        free(aside);
        errno = cause;
        if (cause != EEXIST) {
            return false;
        }
    }
    return false;
}

static bool begin_beside(const char *path, const struct event_log_file *old,
                         const struct event_log_header *header,
                         struct event_log_file *begun)
{
    char *waiting = waiting_name(path);
    int fd = -1;
    bool placed = false;
    int cause;

    if (waiting == NULL) {
        return false;
    }
    if (unlink(waiting) != 0 && errno != ENOENT) {
        goto out;
    }
    fd = open(waiting, FILE_FLAGS | O_CREAT | O_EXCL, FILE_MODE);
    if (fd < 0) {
        goto out;
    }
    placed = write_header(fd, header, begun) && take_place(waiting, path, old);
    if (!placed) {
        cause = errno;
        (void)unlink(waiting);
        (void)close(fd);
        errno = cause;
    }
out:
    cause = errno;
    free(waiting);
    errno = cause;
    return placed;
}

bool event_log_file_begin(const char *path, const struct event_log_file *old,
                          const struct event_log_header *header,
                          struct event_log_file *begun, struct error *error)
{
    if (begin_in_place(path, old, header, begun) ||
        begin_beside(path, old, header, begun)) {
        return true;
    }
    error_set_errno(error, "begin %s", path);
    return false;
}

/* Bytes at the end of a file, at most window; new, NULL with errno. */
static char *read_tail(int fd, off_t size, off_t window, size_t *length)
{
    off_t begin = size > window ? size - window : 0;
    size_t wanted = (size_t)(size - begin);
    char *bytes = malloc(wanted + 1);

    *length = 0;
    while (bytes != NULL && *length < wanted) {
        ssize_t got = pread(fd, bytes + *length, wanted - *length,
                            begin + (off_t)*length);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        *length += (size_t)got;
    }
    return bytes;
}

/* 0 when it is no whole line of that instance. */
static int64_t line_seq(const char *line, size_t length, const char *instance)
{
    struct event event;
    struct error ignored;
    struct event_json *json;
    int64_t seq = 0;

    if (length == 0 || line[0] != '{') {
        return 0;
    }
    json = event_json_decode(line, length, &event, &ignored);
    if (json != NULL && text_is(event.instance, instance)) {
        seq = event.seq;
    }
    event_json_free(json);
    return seq;
}

static int64_t highest_seq(const char *bytes, size_t length,
                           const char *instance)
{
    const char *end = bytes + length;
    int64_t highest = 0;

    for (const char *line = bytes; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        /* a line that only lacks its newline is about to get it */
        const char *line_end = newline == NULL ? end : newline;
        int64_t seq = line_seq(line, (size_t)(line_end - line), instance);

        if (seq > highest) {
            highest = seq;
        }
        line = line_end + 1;
    }
    return highest;
}

int64_t event_log_file_last_seq(int fd, const char *instance)
{
    struct stat status;
    off_t window = TAIL_WINDOW;
    int64_t highest = 0;

    if (fstat(fd, &status) != 0) {
        return 0;
    }
    /* further back only behind a long tail of NULs, or of foreign lines */
    for (;;) {
        size_t length;
        char *bytes = read_tail(fd, status.st_size, window, &length);

        if (bytes == NULL) {
            return highest;
        }
        highest = highest_seq(bytes, length, instance);
        free(bytes);
        if (highest > 0 || window >= status.st_size ||
            window >= TAIL_WINDOW_MAX) {
            return highest;
        }
        window *= 4;
    }
}

static bool is_event_line(const char *line, size_t length)
{
    struct event event;
    struct error ignored;
    struct event_json *json = event_json_decode(line, length, &event, &ignored);
    /* without memory to tell: a file that holds one may be rotated */
    bool is_event =
        json == NULL ? errno == ENOMEM : event_type_is_outcome(event.type);

    event_json_free(json);
    return is_event;
}

/* Counts the lines and looks for an event among them. A file too large to
 * be read at start has one. */
static void count_lines(struct event_log_file *file)
{
    int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
    struct event_cursor *cursor;
    const char *line;
    size_t length;

    file->lines = EVENT_LOG_LINES_UNKNOWN;
    file->has_event = true;
    if (fd < 0) {
        return;
    }
    if (file->size > COUNT_MAX) {
        (void)close(fd);
        return;
    }
    cursor = event_cursor_new(fd, 0);
    if (cursor == NULL) {
        return;
    }
    file->lines = 0;
    file->has_event = false;
    while (event_cursor_next(cursor, &line, &length) == EVENT_CURSOR_LINE) {
        file->lines++;
        file->has_event = file->has_event || is_event_line(line, length);
    }
    event_cursor_free(cursor);
}

static bool ends_within_line(int fd, off_t size)
{
    char last = '\n';

    return size > 0 && (pread(fd, &last, 1, size - 1) != 1 || last != '\n');
}

bool event_log_file_continue(const struct event_file *found,
                             struct event_log_file *file, struct error *error)
{
    struct event_log_file opened = {.fd = open(found->path, FILE_FLAGS)};
    struct stat status;

    if (opened.fd < 0) {
        error_set_errno(error, "open %s", found->path);
        return false;
    }
    if (fstat(opened.fd, &status) != 0 || status.st_dev != found->device ||
        status.st_ino != found->inode) {
        error_set(error, "%s has just been replaced", found->path);
        event_log_file_close(&opened);
        return false;
    }
    opened.device = status.st_dev;
    opened.inode = status.st_ino;
    opened.size = status.st_size;
    opened.file_number = found->file_number;
    opened.first_seq = found->first_seq;
    opened.last_seq = event_log_file_last_seq(opened.fd, found->instance);
    opened.torn = ends_within_line(opened.fd, opened.size);
    count_lines(&opened);
    *file = opened;
    return true;
}

bool event_log_file_write(struct event_log_file *file, const char *bytes,
                          size_t length, size_t *written)
{
    size_t done = 0;

    while (done < length) {
        ssize_t put = write(file->fd, bytes + done, length - done);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            errno = put == 0 ? ENOSPC : errno;
            return false;
        }
        done += (size_t)put;
        *written += (size_t)put;
        file->size += put;
    }
    return true;
}

enum event_log_file_size event_log_file_check(struct event_log_file *file)
{
    /* much cheaper than fstat(2); O_APPEND does not mind the position */
    off_t end = lseek(file->fd, 0, SEEK_END);

    if (end < 0 || end == file->size) {
        return EVENT_LOG_FILE_AS_KNOWN;
    }
    if (end < file->size) {
        return EVENT_LOG_FILE_TRUNCATED;
    }
    file->size = end;
    file->torn = ends_within_line(file->fd, end);
    return EVENT_LOG_FILE_GROWN;
}

bool event_log_file_is_at(const struct event_log_file *file, const char *path)
{
    struct stat status;

    if (lstat(path, &status) != 0) {
        return errno != ENOENT && errno != ENOTDIR; /* cannot tell: stay */
    }
    return status.st_dev == file->device && status.st_ino == file->inode;
}

void event_log_file_close(struct event_log_file *file)
{
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    file->fd = -1;
}
