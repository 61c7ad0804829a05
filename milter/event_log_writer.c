#include "event_log_writer.h"

#include "clock.h"
#include "event_ecs.h"
#include "event_files.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_MS     100  /* between the tries of appends while failing */
#define PADDING      1024 /* makes the first record longer than that */
#define NONCE_RANDOM ((EVENT_FILE_NONCE_SIZE - 1) / 2)

static int64_t take_number(struct event_log_writer *writer)
{
    struct error fault;
    int64_t seq;

    if (writer->spare_first < writer->spare_end) {
        return writer->spare_first++;
    }
    seq = instance_next_seq(writer->instance, &fault);
    if (fault.text[0] != '\0') {
        log_error("numbers cannot be reserved, those of the clock go on: %s",
                  fault.text);
    }
    return seq;
}

/* As many in a row; returns the first. */
static int64_t take_numbers(struct event_log_writer *writer, int64_t count)
{
    int64_t first = take_number(writer);
    int64_t end = first + count;

    if (end <= writer->spare_end) {
        writer->spare_first = end;
    } else {
        writer->spare_first = writer->spare_end;
        instance_seen_seq(writer->instance, end - 1);
    }
    return first;
}

/* They were the last taken: what is spare already follows them. */
static void give_back(struct event_log_writer *writer, int64_t first,
                      int64_t count)
{
    if (writer->spare_first == writer->spare_end) {
        writer->spare_end = first + count;
    }
    writer->spare_first = first;
}

static void fault_begins(struct event_log_writer *writer, const char *text)
{
    if (!writer->failing) {
        log_error("event log cannot be written, events wait in memory: "
                  "path=%s error=\"%s\"",
                  writer->options.path, text);
    }
    writer->failing = true;
    writer->retry_ms = clock_monotonic_ms() + RETRY_MS;
}

static void write_failed(struct event_log_writer *writer)
{
    char buffer[128];

    writer->cause = errno;
    fault_begins(writer, strerror_r(writer->cause, buffer, sizeof buffer));
}

static void fault_ends(struct event_log_writer *writer)
{
    if (writer->failing) {
        log_warning("event log is written again: path=%s lost=%llu",
                    writer->options.path, (unsigned long long)writer->lost);
    }
    writer->failing = false;
    writer->cause = 0;
}

static void line_written(struct event_log_writer *writer,
                         const struct event_line *line)
{
    struct event_log_file *file = &writer->file;

    file->last_seq = line->seq;
    if (file->lines != EVENT_LOG_LINES_UNKNOWN) {
        file->lines++;
    }
    file->has_event = file->has_event || line->is_event;
    writer->last_seq = line->seq;
    writer->lines++;
    writer->written++;
}

/*
 * A line, or what is left of it. False with errno; if nothing of it is in
 * the file it has no number either.
 */
static bool put_line(struct event_log_writer *writer, struct event_line *line)
{
    const char *start;

    if (line->seq == 0) {
        event_line_number(line, take_number(writer));
    }
    start = line->bytes + EVENT_JSON_HEAD - line->head;
    if (event_log_file_write(&writer->file, start + line->written,
                             line->head + line->tail - line->written,
                             &line->written)) {
        line_written(writer, line);
        return true;
    }
    if (line->written == 0) {
        give_back(writer, line->seq, 1);
        event_line_reset(line);
    }
    return false;
}

static void set_writer(const struct event_log_writer *writer,
                       struct event *event)
{
    event->seq = 0;
    event->node = text_of(writer->options.node);
    event->instance = text_of(instance_id(writer->instance));
    event_id_make(writer->ids, event->timestamp_us, event->event_id);
}

static size_t encode_tail(const struct event_log_writer *writer,
                          const struct event *event, char *tail)
{
    return writer->options.format == EVENT_LOG_ECS
               ? event_ecs_encode_tail(event, tail, EVENT_TAIL_MAX)
               : event_json_encode_tail(event, tail, EVENT_TAIL_MAX);
}

void event_log_writer_render(const struct event_log_writer *writer,
                             struct event *event, char bytes[EVENT_LINE_ROOM],
                             struct event_line *line)
{
    set_writer(writer, event);
    memset(line, 0, sizeof *line);
    line->bytes = bytes;
    line->tail = encode_tail(writer, event, bytes + EVENT_JSON_HEAD);
    line->is_event = event_type_is_outcome(event->type);
}

static void render_gap(const struct event_log_writer *writer, int64_t first,
                       int64_t last, int64_t count, const char *reason,
                       char bytes[EVENT_LINE_ROOM], struct event_line *line)
{
    struct event event;

    event_init(&event, EVENT_GAP, clock_now_us());
    event.gap_first_seq = first;
    event.gap_last_seq = last;
    event.gap_count = count;
    event.gap_reason = text_of(reason);
    event_log_writer_render(writer, &event, bytes, line);
}

static bool make_nonce(char nonce[EVENT_FILE_NONCE_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[NONCE_RANDOM];

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return false;
    }
    for (size_t i = 0; i < sizeof random; i++) {
        nonce[2 * i] = digits[random[i] >> 4];
        nonce[2 * i + 1] = digits[random[i] & 15];
    }
    nonce[EVENT_FILE_NONCE_SIZE - 1] = '\0';
    return true;
}

/* Long, and unlike that of any other file: shippers tell files by it. */
static bool render_header(const struct event_log_writer *writer,
                          struct event_log_header *header,
                          char line[EVENT_LINE_MAX])
{
    char nonce[EVENT_FILE_NONCE_SIZE];
    char padding[PADDING];
    struct event event;

    if (!make_nonce(nonce)) {
        return false;
    }
    memset(padding, '.', sizeof padding);
    event_init(&event, EVENT_LOG_OPEN, clock_now_us());
    set_writer(writer, &event);
    event.seq = header->seq;
    event.file_number = header->file_number;
    event.file_nonce = text_of(nonce);
    event.version = text_of(writer->options.version);
    event.padding.bytes = padding;
    event.padding.length = sizeof padding;
    header->line = line;
    header->length = event_json_head(event.seq, line);
    header->length += encode_tail(writer, &event, line + header->length);
    return true;
}

void event_log_writer_synced(struct event_log_writer *writer, uint64_t lines)
{
    if (writer->synced < lines) {
        writer->synced = lines;
    }
    if (writer->sync_failing) {
        log_warning("event log reaches the disk again: path=%s",
                    writer->options.path);
    }
    writer->sync_failing = false;
}

void event_log_writer_sync_failed(struct event_log_writer *writer, int cause)
{
    char buffer[128];

    writer->unsynced = writer->lines;
    if (!writer->sync_failing) {
        log_error("event log does not reach the disk: path=%s error=\"%s\"",
                  writer->options.path,
                  strerror_r(cause, buffer, sizeof buffer));
    }
    writer->sync_failing = true;
}

static void leave_file(struct event_log_writer *writer)
{
    struct event_line *partial = event_log_held_first(&writer->held);

    /* the last chance to sync it */
    if (writer->file.fd >= 0 && writer->options.sync != EVENT_LOG_SYNC_OFF &&
        writer->synced < writer->lines && writer->unsynced < writer->lines) {
        if (fdatasync(writer->file.fd) == 0) {
            event_log_writer_synced(writer, writer->lines);
        } else {
            event_log_writer_sync_failed(writer, errno);
        }
    }
    if (partial != NULL && partial->written > 0) {
        event_line_reset(partial); /* whole into the next file */
    }
    event_log_file_close(&writer->file);
}

/*
 * Behind the beginning, not before it: a number kept for a file that is then
 * not begun would look like a file that was lost.
 */
static void keep_number(struct event_log_writer *writer, int64_t number)
{
    struct error error;

    writer->newest_number = number;
    if (!instance_keep_file_number(writer->instance, number, &error)) {
        log_warning("event log: if this file is lost while nixied does not "
                    "run, nobody will notice: file_number=%lld error=\"%s\"",
                    (long long)number, error.text);
    }
}

bool event_log_writer_begin_file(struct event_log_writer *writer,
                                 struct error *error)
{
    char line[EVENT_LINE_MAX];
    struct event_log_header header = {
        .file_number = writer->newest_number + 1,
        .seq = take_number(writer),
    };
    struct event_log_file begun;

    if (!render_header(writer, &header, line)) {
        error_set_errno(error, "no random numbers for a new file");
        give_back(writer, header.seq, 1);
        return false;
    }
    if (!event_log_file_begin(writer->options.path, &writer->file, &header,
                              &begun, error)) {
        give_back(writer, header.seq, 1);
        return false;
    }
    leave_file(writer);
    writer->file = begun;
    keep_number(writer, header.file_number);
    writer->last_seq = header.seq;
    writer->lines++;
    writer->folder_changed = true;
    return true;
}

/*
 * Its lines are gone, and later ones would stand in a file without a first
 * record: another one is begun, with a record of the loss.
 */
static void leave_truncated(struct event_log_writer *writer)
{
    const struct event_log_file *file = &writer->file;
    int64_t count =
        file->lines == EVENT_LOG_LINES_UNKNOWN ? EVENT_UNKNOWN : file->lines;
    char bytes[EVENT_LINE_ROOM];
    struct event_line gap;

    log_error("event log was truncated behind our back, its lines are lost "
              "(rotate it with SIGUSR1): path=%s first_seq=%lld last_seq=%lld",
              writer->options.path, (long long)file->first_seq,
              (long long)file->last_seq);
    writer->synced = writer->lines; /* nothing is left to be synced */
    leave_file(writer);
    render_gap(writer, file->first_seq, file->last_seq, count, "truncated",
               bytes, &gap);
    if (!event_log_held_add_first(&writer->held, &gap)) {
        log_error("event log: no memory for a gap record");
    }
}

static void check_file(struct event_log_writer *writer)
{
    struct event_line *partial = event_log_held_first(&writer->held);

    if (writer->file.fd < 0) {
        return;
    }
    switch (event_log_file_check(&writer->file)) {
    case EVENT_LOG_FILE_AS_KNOWN:
        break;
    case EVENT_LOG_FILE_GROWN:
        if (partial != NULL && partial->written > 0) {
            event_line_reset(partial); /* its rest would stand apart */
        }
        break;
    case EVENT_LOG_FILE_TRUNCATED:
        leave_truncated(writer);
        break;
    }
}

static bool end_torn_line(struct event_log_writer *writer)
{
    struct event_log_file *file = &writer->file;
    size_t written = 0;

    if (file->torn) {
        file->torn = !event_log_file_write(file, "\n", 1, &written);
    }
    return !file->torn;
}

static bool write_held(struct event_log_writer *writer)
{
    struct event_line *line;

    while ((line = event_log_held_first(&writer->held)) != NULL) {
        if (!put_line(writer, line)) {
            return false;
        }
        event_log_held_drop_first(&writer->held);
    }
    return true;
}

/* What was lost gets numbers, so that no reader takes the hole for a fault. */
static bool write_gap(struct event_log_writer *writer)
{
    int64_t count = (int64_t)writer->gap;
    char bytes[EVENT_LINE_ROOM];
    struct event_line line;
    int64_t first;
    int cause;

    if (count == 0) {
        return true;
    }
    first = take_numbers(writer, count);
    render_gap(writer, first, first + count - 1, count, "log_unwritable", bytes,
               &line);
    if (put_line(writer, &line)) {
        writer->gap = 0;
        return true;
    }
    cause = errno;
    if (line.written == 0) {
        give_back(writer, first, count);
    } else if (event_log_held_add_first(&writer->held, &line)) {
        writer->gap = 0;
    } else {
        writer->file.torn = true;
    }
    errno = cause;
    return false;
}

bool event_log_writer_catch_up(struct event_log_writer *writer, bool at_once)
{
    check_file(writer);
    if (writer->file.fd >= 0 && !writer->file.torn && writer->gap == 0 &&
        writer->held.first == NULL) {
        fault_ends(writer);
        return true;
    }
    if (writer->failing && !at_once &&
        clock_monotonic_ms() < writer->retry_ms) {
        return false;
    }
    if (writer->file.fd < 0) {
        struct error error;

        if (!event_log_writer_begin_file(writer, &error)) {
            fault_begins(writer, error.text);
            return false;
        }
    }
    if (!end_torn_line(writer) || !write_held(writer) || !write_gap(writer)) {
        write_failed(writer);
        return false;
    }
    fault_ends(writer);
    return true;
}

static enum event_log_result hold(struct event_log_writer *writer,
                                  const struct event_line *line)
{
    /* once some are lost the gap comes next: no line may overtake it */
    if (writer->gap == 0 && event_log_held_add(&writer->held, line)) {
        return EVENT_LOG_HELD;
    }
    if (line->written > 0) {
        writer->file.torn = true;
    }
    if (writer->gap == 0) {
        log_error("event log cannot be written and memory is full, events are "
                  "lost: path=%s held=%zu",
                  writer->options.path, writer->held.count);
    }
    writer->gap++;
    writer->lost++;
    return EVENT_LOG_LOST;
}

enum event_log_result event_log_writer_append(struct event_log_writer *writer,
                                              struct event_line *line)
{
    if (event_log_writer_catch_up(writer, false)) {
        if (put_line(writer, line)) {
            return EVENT_LOG_WRITTEN;
        }
        write_failed(writer);
    }
    return hold(writer, line);
}

void event_log_writer_seen_seq(struct event_log_writer *writer, int64_t seq)
{
    if (seq >= writer->spare_first) {
        writer->spare_first = writer->spare_end;
    }
    instance_seen_seq(writer->instance, seq);
}

/* A restored state directory must not make our numbers come twice. */
static void see_numbers(struct event_log_writer *writer,
                        const struct event_file *found)
{
    int fd = open(found->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd >= 0) {
        instance_seen_seq(writer->instance,
                          event_log_file_last_seq(fd, found->instance));
        (void)close(fd);
    }
    instance_seen_seq(writer->instance, found->first_seq);
}

static bool is_ours(const struct event_log_writer *writer,
                    const struct event_file *found)
{
    return found->kind == EVENT_FILE_EVENTS &&
           strcmp(found->instance, instance_id(writer->instance)) == 0;
}

/*
 * Goes on with the newest of our files if it stands at the path. When a newer
 * one is gone another is begun, so that the numbers of the files tell of it.
 */
static void go_on(struct event_log_writer *writer,
                  const struct event_files *files)
{
    int64_t newest = 0; /* of those that are there */

    for (size_t i = 0; i < files->count; i++) {
        const struct event_file *found = &files->file[i];

        if (is_ours(writer, found) && found->file_number > newest) {
            newest = found->file_number;
        }
    }
    writer->newest_number = instance_file_number(writer->instance);
    if (newest >= writer->newest_number) {
        keep_number(writer, newest);
    }
    for (size_t i = 0; i < files->count; i++) {
        const struct event_file *found = &files->file[i];
        struct error error;

        if (!is_ours(writer, found) || found->file_number != newest) {
            continue;
        }
        see_numbers(writer, found);
        if (newest < writer->newest_number ||
            strcmp(found->path, writer->options.path) != 0) {
            continue;
        }
        if (event_log_file_continue(found, &writer->file, &error)) {
            writer->last_seq = writer->file.last_seq;
        } else {
            log_warning("event log: begins another file: %s", error.text);
        }
    }
}

/* What passes when somebody makes room, or the disk is itself again. */
static bool is_disk_fault(int cause)
{
    return cause == ENOSPC || cause == EDQUOT || cause == EFBIG || cause == EIO;
}

bool event_log_writer_open(struct event_log_writer *writer, struct error *error)
{
    struct event_files files;
    struct stat status;

    writer->file.fd = -1;
    if (lstat(writer->options.path, &status) == 0 && !S_ISREG(status.st_mode)) {
        error_set(error, "%s is no regular file", writer->options.path);
        return false;
    }
    if (!event_files_list(writer->options.path, &files, error)) {
        return false;
    }
    go_on(writer, &files);
    event_files_free(&files);
    if (writer->file.fd < 0 && !event_log_writer_begin_file(writer, error)) {
        if (!is_disk_fault(errno)) {
            return false;
        }
        fault_begins(writer, error->text);
    }
    (void)event_log_writer_catch_up(writer, true);
    return true;
}

void event_log_writer_close(struct event_log_writer *writer)
{
    uint64_t lost = writer->gap + writer->held.count;

    if (lost > 0) {
        log_error("event log could not be written, events are lost: path=%s "
                  "lost=%llu",
                  writer->options.path, (unsigned long long)lost);
    }
    while (writer->held.first != NULL) {
        event_log_held_drop_first(&writer->held);
    }
    event_log_file_close(&writer->file);
}
