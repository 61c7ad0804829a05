#include "maillog_resume.h"

#include "event_cursor.h"
#include "event_files.h"
#include "event_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMBER "\"maillog_position\":\""
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

static void look_for_position(struct maillog_resume *resume, const char *line,
                              size_t length)
{
    const char *found = memmem(line, length, MEMBER, sizeof MEMBER - 1);
    const char *end;

    if (found == NULL) {
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
    static const char *const types[] = {"reception", "delay", "delivery",
                                        "bounce", "expiration"};
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
        maillog_messages_learn(resume->messages, &event);
        event_json_free(json);
    }
}

static bool read_file(struct maillog_resume *resume,
                      const struct event_file *file, int64_t messages_from,
                      struct error *error)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct event_cursor *cursor;
    enum event_cursor_result result;
    const char *line;
    size_t length;

    if (fd < 0) {
        if (errno == ENOENT) {
            return true; /* removed meanwhile */
        }
        error_set_errno(error, "%s", file->path);
        return false;
    }
    cursor = event_cursor_new(fd, 0);
    if (cursor == NULL) {
        error_set(error, "%s: out of memory", file->path);
        return false;
    }
    while ((result = event_cursor_next(cursor, &line, &length)) ==
               EVENT_CURSOR_LINE &&
           !atomic_load(resume->stopping)) {
        look_for_position(resume, line, length);
        if (event_cursor_offset(cursor) > messages_from) {
            look_for_message(resume, line, length);
        }
    }
    if (result == EVENT_CURSOR_ERROR) {
        error_set_errno(error, "%s", file->path);
    }
    event_cursor_free(cursor);
    return result != EVENT_CURSOR_ERROR;
}

/* Numbers begin with the time, so they order files of any instance. */
static int compare(const void *one, const void *other)
{
    const struct event_file *first = one;
    const struct event_file *second = other;

    return (first->first_seq > second->first_seq) -
           (first->first_seq < second->first_seq);
}

bool maillog_resume(struct maillog_resume *resume, struct error *error)
{
    struct event_files files;
    int64_t left = 0;
    bool read = true;

    if (!event_files_list(resume->event_log, &files, error)) {
        return false;
    }
    qsort(files.file, files.count, sizeof files.file[0], compare);
    for (size_t i = 0; i < files.count; i++) {
        left +=
            files.file[i].kind == EVENT_FILE_EVENTS ? files.file[i].size : 0;
    }
    for (size_t i = 0; i < files.count && read; i++) {
        const struct event_file *file = &files.file[i];

        if (file->kind != EVENT_FILE_EVENTS) {
            continue;
        }
        read = read_file(resume, file, left - RESUME_BYTES, error);
        left -= file->size;
    }
    event_files_free(&files);
    return read;
}
