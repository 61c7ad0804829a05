#include "maillog_resume.h"

#include "event_cursor.h"
#include "event_files.h"
#include "event_json.h"
#include "privacy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMBER "\"maillog_position\":\""
#define ROUNDS 10
#define TYPED  "\"type\":\""

/* "POSITION" or "POSITION#2" as it stands in an event. */
static void take_position(struct maillog_resume *resume, struct text told)
{
    char position[MAILLOG_POSITION_SIZE + 12];
    char *number;
    unsigned events = 0;

    if (told.length >= sizeof position) {
        return;
    }
    (void)text_copy(told, position, sizeof position);
    number = strrchr(position, '#');
    if (number != NULL) {
        *number++ = '\0';
        events = (unsigned)strtoul(number, NULL, 10);
    }
    if (maillog_follow_resume(resume->follow, position)) {
        resume->positions++;
        maillog_reader_skip(resume->reader, position, events);
    }
}

/*
 * What a kill left of a line may tell a place, but the recorder will never see
 * its event: such a line is none. Else it ends with the object.
 */
static bool is_whole(const char *line, size_t length)
{
    bool quoted = false;

    if (length == 0 || line[length - 1] != '}') {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (line[i] == '\\') {
            i++;
        } else if (line[i] == '"') {
            quoted = !quoted;
        }
    }
    return !quoted;
}

static void look_for_position(struct maillog_resume *resume, const char *line,
                              size_t length)
{
    const char *found = memmem(line, length, MEMBER, sizeof MEMBER - 1);
    const char *end;

    if (found == NULL || !is_whole(line, length)) {
        return;
    }
    found += sizeof MEMBER - 1;
    end = memchr(found, '"', length - (size_t)(found - line));
    if (end != NULL) {
        take_position(resume, (struct text){found, (size_t)(end - found)});
    }
}

/* Cheap: most lines are decoded for nothing else. */
static bool tells_of_a_message(const char *line, size_t length)
{
    static const char *const types[] = {
        "reception",  "delay",     "delivery",   "bounce",
        "expiration", "rejection", "suppressed", "mark",
    };
    const char *type =
        memmem(line, length < 256 ? length : 256, TYPED, sizeof TYPED - 1);

    for (size_t i = 0; type != NULL && i < sizeof types / sizeof types[0];
         i++) {
        size_t used = (size_t)(type - line) + sizeof TYPED - 1;

        if (length - used > strlen(types[i]) &&
            memcmp(line + used, types[i], strlen(types[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void look_for_message(const struct maillog_resume *resume,
                             const char *line, size_t length)
{
    struct event event;
    struct error unheard;
    struct event_json *json;

    if (!tells_of_a_message(line, length)) {
        return;
    }
    json = event_json_decode(line, length, &event, &unheard);
    if (json != NULL) {
        privacy_read_back(&event);
        if (event.forwarded_as.length > 0) {
            (void)maillog_messages_forward(resume->messages, event.queue_id,
                                           event.timestamp_us, event.recipient,
                                           event.forwarded_as);
        }
        maillog_messages_learn(resume->messages, &event);
        event_json_free(json);
    }
}

/* Files by what they are, as names change. */
struct done {
    dev_t device;
    ino_t inode;
};

struct reading {
    struct maillog_resume *resume;
    struct done *done; /* what was read, in this round */
    size_t count;
};

static bool is_done(const struct reading *reading,
                    const struct event_file *file)
{
    for (size_t i = 0; i < reading->count; i++) {
        if (reading->done[i].device == file->device &&
            reading->done[i].inode == file->inode) {
            return true;
        }
    }
    return false;
}

static bool read_lines(struct maillog_resume *resume,
                       struct event_cursor *cursor, int64_t messages_from)
{
    enum event_cursor_result result;
    const char *line;
    size_t length;

    while ((result = event_cursor_next(cursor, &line, &length)) ==
               EVENT_CURSOR_LINE &&
           !atomic_load(resume->stopping)) {
        look_for_position(resume, line, length);
        if (event_cursor_offset(cursor) > messages_from) {
            look_for_message(resume, line, length);
        }
    }
    return result != EVENT_CURSOR_ERROR;
}

/* What is another file by now, or gone, is not done. */
static bool read_file(struct reading *reading, const struct event_file *file,
                      int64_t messages_from, struct error *error)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct event_cursor *cursor;
    struct stat status;
    bool read;

    if (fd < 0) {
        error_set_errno(error, "%s", file->path);
        return errno == ENOENT;
    }
    if (fstat(fd, &status) != 0 || status.st_dev != file->device ||
        status.st_ino != file->inode) {
        (void)close(fd);
        return true;
    }
    cursor = event_cursor_new(fd, 0);
    if (cursor == NULL) {
        error_set(error, "%s: out of memory", file->path);
        return false;
    }
    read = read_lines(reading->resume, cursor, messages_from);
    if (!read) {
        error_set_errno(error, "%s", file->path);
    }
    event_cursor_free(cursor);
    reading->done[reading->count++] = (struct done){file->device, file->inode};
    return read;
}

/* Numbers begin with the time, so they order files of any instance. */
static int compare(const void *one, const void *other)
{
    const struct event_file *first = one;
    const struct event_file *second = other;

    return (first->first_seq > second->first_seq) -
           (first->first_seq < second->first_seq);
}

static bool read_all(struct reading *reading, const struct event_files *files,
                     struct error *error)
{
    const struct maillog_resume *resume = reading->resume;
    int64_t left =
        -(resume->message_bytes > 0 ? resume->message_bytes : RESUME_BYTES);
    bool read = true;

    for (size_t i = 0; i < files->count; i++) {
        left +=
            files->file[i].kind == EVENT_FILE_EVENTS ? files->file[i].size : 0;
    }
    for (size_t i = 0; i < files->count && read; i++) {
        const struct event_file *file = &files->file[i];

        if (file->kind == EVENT_FILE_EVENTS) {
            read = read_file(reading, file, left, error);
            left -= file->size;
        }
    }
    return read;
}

/* Whether a look at the folder shows none that is not done. */
static bool is_complete(const struct reading *reading, struct error *error,
                        bool *complete)
{
    struct event_files files;

    *complete = true;
    if (!event_files_list(reading->resume->event_log, &files, error)) {
        return false;
    }
    for (size_t i = 0; i < files.count; i++) {
        *complete = *complete && (files.file[i].kind != EVENT_FILE_EVENTS ||
                                  is_done(reading, &files.file[i]));
    }
    event_files_free(&files);
    return true;
}

static bool read_round(struct maillog_resume *resume, struct error *error,
                       bool *complete)
{
    struct reading reading = {.resume = resume};
    struct event_files files;
    bool read = false;

    resume->positions = 0;
    if (!event_files_list(resume->event_log, &files, error)) {
        return false;
    }
    if (files.count > 1) {
        qsort(files.file, files.count, sizeof files.file[0], compare);
    }
    reading.done = calloc(files.count + 1, sizeof reading.done[0]);
    if (reading.done == NULL) {
        error_set(error, "%s: out of memory", resume->event_log);
    } else {
        read = read_all(&reading, &files, error) &&
               is_complete(&reading, error, complete);
    }
    free(reading.done);
    event_files_free(&files);
    return read;
}

/*
 * The log may be rotated meanwhile, and a file be missed for its new name.
 * Then all are read again: what was told twice does no harm, but the last
 * place of a source must be told last.
 */
bool maillog_resume(struct maillog_resume *resume, struct error *error)
{
    bool complete = false;

    for (int round = 0; round < ROUNDS && !complete; round++) {
        if (!read_round(resume, error, &complete)) {
            return false;
        }
        complete = complete || atomic_load(resume->stopping);
    }
    if (!complete) {
        error_set(error, "%s: files of it come and go", resume->event_log);
    }
    return complete;
}
