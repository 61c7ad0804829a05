/* The latest changes of the list, from the end of this node's event log. */
#include "clock.h"
#include "command.h"
#include "event.h"
#include "event_json.h"
#include "web_page_answer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MOST  (4 * 1024 * 1024) /* bytes of the log: some milliseconds */
#define SHOWN_MOST 12

/* A quote within a text is escaped, so it is a member wherever it stands. */
static const char sign[] = "\"type\":\"suppression_";
#define SIGN_LENGTH (sizeof sign - 1)

/* New, *length of it; NULL with error. */
static char *read_end(const char *path, size_t *length, struct error *error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    char *bytes = NULL;
    ssize_t count = -1;

    if (file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
        bytes = malloc(LOOK_MOST);
    }
    if (bytes != NULL) {
        off_t begin =
            status.st_size > LOOK_MOST ? status.st_size - LOOK_MOST : 0;

        count = pread(file, bytes, LOOK_MOST, begin);
    }
    if (count < 0) {
        error_set_errno(error, "%s", path);
        free(bytes);
        bytes = NULL;
    } else {
        *length = (size_t)count;
    }
    if (file >= 0) {
        (void)close(file);
    }
    return bytes;
}

static void set_known(json_t *object, const char *name, struct text text)
{
    if (text.length > 0) {
        (void)json_object_set_new(object, name, command_json_text(text));
    }
}

static json_t *json_of_change(const struct event *event, const char *at)
{
    json_t *object = json_object();

    set_known(object, "at", text_of(at));
    set_known(object, "type", text_of(event_type_name(event->type)));
    set_known(object, "pattern",
              event->suppression_pattern.length > 0 ? event->suppression_pattern
                                                    : event->recipient);
    set_known(object, "reason",
              event->suppression_reason.length > 0 ? event->suppression_reason
                                                   : event->reason);
    set_known(object, "origin", event->suppression_origin);
    set_known(object, "note", event->suppression_note);
    set_known(object, "by", event->suppression_by);
    set_known(object, "expires_at", event->suppression_expires_at);
    set_known(object, "scope", event->scope);
    set_known(object, "withheld_by", event->withheld_by);
    return object;
}

static void add_change(json_t *rows, const char *line, size_t length)
{
    struct error ignored;
    struct event event;
    struct event_json *json = event_json_decode(line, length, &event, &ignored);
    char at[CLOCK_TIMESTAMP_SIZE];

    if (json != NULL) {
        clock_format(event.timestamp_us, at);
        (void)json_array_append_new(rows, json_of_change(&event, at));
    }
    event_json_free(json);
}

/* From the end, whole lines only: the first and the last may be torn. */
static void collect(json_t *rows, const char *bytes, size_t length)
{
    const char *end = memrchr(bytes, '\n', length);

    while (end != NULL && json_array_size(rows) < SHOWN_MOST) {
        const char *newline = memrchr(bytes, '\n', (size_t)(end - bytes));
        const char *line = newline == NULL ? bytes : newline + 1;
        size_t size = (size_t)(end - line);

        if (memmem(line, size, sign, SIGN_LENGTH) != NULL) {
            add_change(rows, line, size);
        }
        end = newline;
    }
}

json_t *web_answer_recent(struct web_question *question)
{
    size_t length = 0;
    char *bytes =
        read_end(question->settings->event_log, &length, &question->error);
    json_t *answer = NULL;

    if (bytes != NULL) {
        json_t *rows = json_array();

        collect(rows, bytes, length);
        answer = json_object();
        (void)json_object_set_new(answer, "rows", rows);
    }
    free(bytes);
    return answer;
}
