#include "event_log.h"

#include "clock.h"
#include "event_files.h"
#include "event_id.h"
#include "event_log_writer.h"
#include "lock_file.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RENEW_MS 60000 /* between files that are begun because of faults */

struct event_log {
    struct event_log_options options;
    char *folder;
    int only; /* the lock of the path's one writer; -1: there is none */
    struct event_id_source *ids;

    pthread_mutex_t lock; /* guards all below, but what _render() reads */
    pthread_cond_t grown; /* last_seq has risen */
    pthread_cond_t done;  /* an fdatasync(2) has ended */
    struct event_log_writer writer;
    int64_t told_seq; /* grown was told of */
    bool syncing;     /* a thread is in fdatasync(2) */
    bool stranded;    /* the path leads elsewhere and cannot be taken */
    int64_t renew_ms;
    uint64_t rotations;
};

static void lock(struct event_log *log)
{
    (void)pthread_mutex_lock(&log->lock);
}

static void unlock(struct event_log *log)
{
    if (log->told_seq != log->writer.last_seq) {
        log->told_seq = log->writer.last_seq;
        (void)pthread_cond_broadcast(&log->grown);
    }
    (void)pthread_mutex_unlock(&log->lock);
}

static bool init_locks(struct event_log *log)
{
    pthread_condattr_t monotonic;
    pthread_mutexattr_t adaptive;
    bool made;

    if (pthread_condattr_init(&monotonic) != 0) {
        return false;
    }
    /* held for one write(2): who comes then looks again before it sleeps */
    if (pthread_mutexattr_init(&adaptive) == 0) {
        (void)pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
        made = pthread_mutex_init(&log->lock, &adaptive) == 0;
        (void)pthread_mutexattr_destroy(&adaptive);
    } else {
        made = pthread_mutex_init(&log->lock, NULL) == 0;
    }
    made = made &&
           pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(&log->grown, &monotonic) == 0 &&
           pthread_cond_init(&log->done, NULL) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    return made;
}

static void discard(struct event_log *log)
{
    event_id_source_free(log->ids);
    if (log->only >= 0) {
        (void)close(log->only);
    }
    free(log->folder);
    free(log);
}

/*
 * Two that write one path take it from each other at each look. The file is
 * hidden: what begins with the log's name is a file of the log. Where none can
 * be made, on a full disk say, the log goes on without.
 */
static bool be_the_only_one(struct event_log *log, struct error *error)
{
    const char *path = log->options.path;
    const char *slash = strrchr(path, '/');
    int folder = open(log->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum lock_file_result result = LOCK_FILE_FAULTY;
    char name[NAME_MAX + 1];
    char holder[40] = "";
    long pid = 0;

    if (folder >= 0 &&
        snprintf(name, sizeof name, ".%s.lock",
                 slash == NULL ? path : slash + 1) < (int)sizeof name) {
        result = lock_file_take(folder, name, &log->only, &pid);
    }
    if (folder >= 0) {
        (void)close(folder);
    }
    if (result != LOCK_FILE_HELD) {
        return true;
    }
    if (pid > 0) {
        (void)snprintf(holder, sizeof holder, ", process %ld", pid);
    }
    error_set(error,
              "%s is written by another nixied%s: give this one another "
              "event_log, or stop that one",
              path, holder);
    return false;
}

struct event_log *event_log_new(const struct event_log_options *options,
                                struct instance *instance, struct error *error)
{
    struct event_log *log = calloc(1, sizeof *log);

    if (log == NULL) {
        error_set_errno(error, "open %s", options->path);
        return NULL;
    }
    log->options = *options;
    log->only = -1;
    log->folder = event_files_folder(options->path);
    log->ids = event_id_source_new();
    if (log->folder == NULL || log->ids == NULL || !init_locks(log)) {
        error_set(error, "open %s: out of memory", options->path);
        discard(log);
        return NULL;
    }
    log->writer.options = *options;
    log->writer.instance = instance;
    log->writer.ids = log->ids;
    if (access(log->folder, W_OK | X_OK) != 0) {
        error_set_errno(error, "write in %s", log->folder);
        discard(log);
        return NULL;
    }
    if (!be_the_only_one(log, error) ||
        !event_log_writer_open(&log->writer, error)) {
        discard(log);
        return NULL;
    }
    return log;
}

static bool sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced;

    if (fd < 0) {
        return true; /* gone, or not ours: no reason to doubt the file */
    }
    synced = fsync(fd) == 0;
    (void)close(fd);
    return synced;
}

/* Without the lock, unless no descriptor is left to do so. */
static bool sync_unlocked(struct event_log *log, bool with_folder, int *cause)
{
    int fd = fcntl(log->writer.file.fd, F_DUPFD_CLOEXEC, 0);
    bool synced;

    if (fd < 0) {
        synced = fdatasync(log->writer.file.fd) == 0;
        *cause = errno;
        return synced;
    }
    unlock(log);
    synced = fdatasync(fd) == 0 && (!with_folder || sync_folder(log->folder));
    *cause = errno;
    (void)close(fd);
    lock(log);
    return synced;
}

/* A way out of a fault that may lie in this one file. */
static void renew_file(struct event_log *log)
{
    int64_t now_ms = clock_monotonic_ms();
    struct error error;

    if (now_ms < log->renew_ms || !log->writer.file.has_event) {
        return;
    }
    log->renew_ms = now_ms + RENEW_MS;
    if (!event_log_writer_begin_file(&log->writer, &error)) {
        log_error("event log: %s", error.text);
    }
}

/* Called and left with the lock held, without it in between. */
static void sync_file(struct event_log *log)
{
    struct event_log_writer *writer = &log->writer;
    uint64_t lines = writer->lines;
    bool with_folder = writer->folder_changed;
    int cause;

    log->syncing = true;
    writer->folder_changed = false;
    if (sync_unlocked(log, with_folder, &cause)) {
        event_log_writer_synced(writer, lines);
    } else {
        writer->folder_changed = writer->folder_changed || with_folder;
        event_log_writer_sync_failed(writer, cause);
        /* The kernel may have dropped what it could not write, and tells so
         * only once: later lines go to a file without that past. */
        renew_file(log);
    }
    log->syncing = false;
    (void)pthread_cond_broadcast(&log->done);
}

static void sync_all(struct event_log *log)
{
    while (log->syncing) {
        (void)pthread_cond_wait(&log->done, &log->lock);
    }
    if (log->options.sync != EVENT_LOG_SYNC_OFF && log->writer.file.fd >= 0 &&
        log->writer.synced < log->writer.lines) {
        sync_file(log);
    }
}

/*
 * The first who waits syncs for all that have written so far; who comes
 * meanwhile waits for the next turn.
 */
static enum event_log_result wait_synced(struct event_log *log, uint64_t line)
{
    const struct event_log_writer *writer = &log->writer;

    while (writer->unsynced < line && writer->synced < line) {
        if (log->syncing) {
            (void)pthread_cond_wait(&log->done, &log->lock);
        } else if (writer->file.fd < 0) {
            return EVENT_LOG_HELD;
        } else {
            sync_file(log);
        }
    }
    return writer->unsynced < line ? EVENT_LOG_WRITTEN : EVENT_LOG_HELD;
}

static enum event_log_result worse(enum event_log_result left,
                                   enum event_log_result right)
{
    return left > right ? left : right;
}

static enum event_log_result append_lines(struct event_log *log,
                                          struct event_line *lines,
                                          struct event *events, size_t count)
{
    enum event_log_result result = EVENT_LOG_WRITTEN;

    lock(log);
    for (size_t i = 0; i < count; i++) {
        enum event_log_result one =
            event_log_writer_append(&log->writer, &lines[i]);

        events[i].seq = one == EVENT_LOG_WRITTEN ? lines[i].seq : 0;
        result = worse(result, one);
    }
    if (result == EVENT_LOG_WRITTEN &&
        log->options.sync == EVENT_LOG_SYNC_GROUP) {
        result = wait_synced(log, log->writer.lines);
    }
    unlock(log);
    return result;
}

static enum event_log_result tell(const struct event_log *log,
                                  const struct event *events, size_t count,
                                  enum event_log_result result)
{
    for (size_t i = 0; log->options.appended != NULL && i < count; i++) {
        log->options.appended(log->options.context, &events[i], result);
    }
    return result;
}

static void render(struct event_log *log, struct event *event, char *bytes,
                   struct event_line *line)
{
    char room[EVENT_LOG_ROOM];
    struct event veiled;

    if (log->options.veil == NULL) {
        event_log_writer_render(&log->writer, event, bytes, line);
        return;
    }
    veiled = *event;
    log->options.veil(log->options.veil_context, &veiled, room);
    event_log_writer_render(&log->writer, &veiled, bytes, line);
    memcpy(event->event_id, veiled.event_id, sizeof event->event_id);
    event->node = veiled.node;
    event->instance = veiled.instance;
}

enum event_log_result event_log_append(struct event_log *log,
                                       struct event *event)
{
    char bytes[EVENT_LINE_ROOM];
    struct event_line line;

    render(log, event, bytes, &line);
    return tell(log, event, 1, append_lines(log, &line, event, 1));
}

/*
 * Renders all into one piece of memory: new, NULL when there is none. The
 * lines point into it.
 */
static char *render_all(struct event_log *log, struct event *events,
                        struct event_line *lines, size_t count)
{
    char *bytes = NULL;
    size_t size = 0;
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (size - used < EVENT_LINE_ROOM) {
            size_t larger = 2 * size + EVENT_LINE_ROOM;
            char *moved = realloc(bytes, larger);

            if (moved == NULL) {
                free(bytes);
                return NULL;
            }
            bytes = moved;
            size = larger;
        }
        render(log, &events[i], bytes + used, &lines[i]);
        used += EVENT_JSON_HEAD + lines[i].tail;
    }
    used = 0;
    for (size_t i = 0; i < count; i++) { /* now that it moves no more */
        lines[i].bytes = bytes + used;
        used += EVENT_JSON_HEAD + lines[i].tail;
    }
    return bytes;
}

static enum event_log_result append_each(struct event_log *log,
                                         struct event *events, size_t count)
{
    enum event_log_result result = EVENT_LOG_WRITTEN;

    for (size_t i = 0; i < count; i++) {
        result = worse(result, event_log_append(log, &events[i]));
    }
    return result;
}

enum event_log_result event_log_append_all(struct event_log *log,
                                           struct event *events, size_t count)
{
    struct event_line *lines;
    char *bytes = NULL;
    enum event_log_result result;

    if (count <= 1) {
        return append_each(log, events, count);
    }
    lines = calloc(count, sizeof *lines);
    if (lines != NULL) {
        bytes = render_all(log, events, lines, count);
    }
    result = bytes != NULL ? tell(log, events, count,
                                  append_lines(log, lines, events, count))
                           : append_each(log, events, count);
    free(bytes);
    free(lines);
    return result;
}

static bool begin_another(struct event_log *log, struct error *error)
{
    if (!event_log_writer_begin_file(&log->writer, error)) {
        return false;
    }
    log->rotations++;
    /* what the old file did not take, the new one may */
    (void)event_log_writer_catch_up(&log->writer, true);
    return true;
}

bool event_log_rotate(struct event_log *log, struct error *error)
{
    struct event_log_writer *writer = &log->writer;
    bool rotated = true;

    lock(log);
    (void)event_log_writer_catch_up(writer, true);
    sync_all(log); /* so that little is left to do with the lock held */
    if (writer->file.has_event || writer->file.fd < 0 ||
        !event_log_file_is_at(&writer->file, log->options.path)) {
        rotated = begin_another(log, error);
    }
    unlock(log);
    return rotated;
}

static bool is_deleted(const struct event_log_file *file)
{
    struct stat status;

    return fstat(file->fd, &status) == 0 && status.st_nlink == 0;
}

/* Somebody has renamed or removed our file: the path gets another one. */
static void follow_path(struct event_log *log)
{
    const struct event_log_file *file = &log->writer.file;
    struct error error;
    bool deleted;

    if (file->fd < 0 || event_log_file_is_at(file, log->options.path)) {
        log->stranded = false;
        return;
    }
    deleted = is_deleted(file);
    if (begin_another(log, &error)) {
        if (deleted) {
            log_warning("event log was deleted, another file is begun: path=%s",
                        log->options.path);
        }
        log->stranded = false;
        return;
    }
    if (!log->stranded) {
        log_warning("event log was %s and no other file can be begun, the old "
                    "one is still written: path=%s error=\"%s\"",
                    deleted ? "deleted" : "renamed", log->options.path,
                    error.text);
    }
    log->stranded = true;
}

void event_log_tick(struct event_log *log)
{
    lock(log);
    if (!event_log_writer_catch_up(&log->writer, true) &&
        log->writer.cause == EIO) {
        renew_file(log);
        (void)event_log_writer_catch_up(&log->writer, true);
    }
    follow_path(log);
    sync_all(log);
    unlock(log);
}

void event_log_seen_seq(struct event_log *log, int64_t seq)
{
    lock(log);
    event_log_writer_seen_seq(&log->writer, seq);
    unlock(log);
}

int64_t event_log_last_seq(struct event_log *log)
{
    int64_t seq;

    lock(log);
    seq = log->writer.last_seq;
    unlock(log);
    return seq;
}

bool event_log_wait(struct event_log *log, int64_t seq, int timeout_ms)
{
    int64_t deadline_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_us / 1000000),
        .tv_nsec = (long)(deadline_us % 1000000) * 1000,
    };
    bool grown;
    int waited = 0;

    lock(log);
    while (log->writer.last_seq <= seq && waited == 0) {
        waited = pthread_cond_timedwait(&log->grown, &log->lock, &deadline);
    }
    grown = log->writer.last_seq > seq;
    unlock(log);
    return grown;
}

int event_log_dup(struct event_log *log, int64_t *file_number)
{
    int fd = -1;

    lock(log);
    if (log->writer.file.fd >= 0) {
        fd = fcntl(log->writer.file.fd, F_DUPFD_CLOEXEC, 0);
        *file_number = log->writer.file.file_number;
    }
    unlock(log);
    return fd;
}

void event_log_state(struct event_log *log, struct event_log_state *state)
{
    const struct event_log_writer *writer = &log->writer;

    lock(log);
    state->failing = writer->failing;
    state->held = writer->held.count;
    state->lost = writer->lost;
    state->written = writer->written;
    state->rotations = log->rotations;
    state->file_number = writer->file.file_number;
    unlock(log);
}

void event_log_free(struct event_log *log)
{
    if (log == NULL) {
        return;
    }
    lock(log);
    (void)event_log_writer_catch_up(&log->writer, true);
    sync_all(log);
    event_log_writer_close(&log->writer);
    unlock(log);
    (void)pthread_cond_destroy(&log->done);
    (void)pthread_cond_destroy(&log->grown);
    (void)pthread_mutex_destroy(&log->lock);
    discard(log);
}
