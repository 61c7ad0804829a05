#include "recorder_position.h"

#include "recorder_script.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#define FILE_NAME "recorder.position"
#define FILE_NEW  "recorder.position.new"
#define FILE_MAX  8192 /* ours has at most some 2000 bytes */

static bool read_number(const json_t *object, const char *name, int64_t *number)
{
    const json_t *member = json_object_get(object, name);

    if (!json_is_integer(member) || json_integer_value(member) < 0) {
        return false;
    }
    *number = json_integer_value(member);
    return true;
}

/* Exactly size - 1 lower-case hex digits. */
static bool read_hex(const json_t *object, const char *name, char *hex,
                     size_t size)
{
    const json_t *member = json_object_get(object, name);

    if (!json_is_string(member) || json_string_length(member) != size - 1 ||
        strspn(json_string_value(member), "0123456789abcdef") != size - 1) {
        return false;
    }
    memcpy(hex, json_string_value(member), size);
    return true;
}

static bool read_applied(const json_t *object, int64_t applied[STORE_BUCKETS])
{
    const json_t *array = json_object_get(object, "applied");

    if (!json_is_array(array) || json_array_size(array) != STORE_BUCKETS) {
        return false;
    }
    for (size_t i = 0; i < STORE_BUCKETS; i++) {
        const json_t *element = json_array_get(array, i);
        struct text text = {json_string_value(element),
                            json_string_length(element)};

        if (!json_is_string(element)) {
            return false;
        }
        applied[i] = recorder_checkpoint_parse(text);
        if (applied[i] < 0) {
            return false;
        }
    }
    return true;
}

bool recorder_position_parse(const char *text, size_t length,
                             struct recorder_position *position,
                             struct error *error)
{
    json_error_t fault;
    json_t *object = json_loadb(text, length, 0, &fault);
    bool parsed;

    if (object == NULL) {
        error_set(error, "no JSON in line %d", fault.line);
        return false;
    }
    memset(position, 0, sizeof *position);
    parsed = read_hex(object, "instance", position->instance,
                      sizeof position->instance) &&
             read_number(object, "file_number", &position->file_number) &&
             read_hex(object, "file_nonce", position->file_nonce,
                      sizeof position->file_nonce) &&
             read_number(object, "offset", &position->offset) &&
             read_number(object, "seq", &position->seq) &&
             read_applied(object, position->applied);
    if (!parsed) {
        error_set(error, "a member is missing or wrong");
    }
    json_decref(object);
    return parsed;
}

static bool make_path(const char *state_dir, const char *name,
                      char path[PATH_MAX], struct error *error)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", state_dir, name);

    if (length < 0 || length >= PATH_MAX) {
        error_set(error, "state_dir: its path is too long");
        return false;
    }
    return true;
}

bool recorder_position_load(const char *state_dir,
                            struct recorder_position *position,
                            struct error *error)
{
    char path[PATH_MAX];
    char text[FILE_MAX];
    size_t length;
    FILE *file;
    bool loaded = false;

    if (!make_path(state_dir, FILE_NAME, path, error)) {
        return false;
    }
    file = fopen(path, "re");
    if (file == NULL) {
        error_set_errno(error, "open %s", path);
        if (errno == ENOENT) {
            error->text[0] = '\0';
        }
        return false;
    }
    length = fread(text, 1, sizeof text, file);
    if (ferror(file) != 0 || length == sizeof text) {
        error_set(error, "unreadable or too long");
    } else {
        loaded = recorder_position_parse(text, length, position, error);
    }
    (void)fclose(file);
    return loaded;
}

/* New, or NULL. */
static char *encode(const struct recorder_position *position)
{
    json_t *applied = json_array();
    json_t *object;
    char *text;

    for (size_t i = 0; i < STORE_BUCKETS; i++) {
        char number[CHECKPOINT_SIZE];

        recorder_checkpoint_format(position->applied[i], number);
        if (json_array_append_new(applied, json_string(number)) != 0) {
            json_decref(applied);
            return NULL;
        }
    }
    object = json_pack(
        "{s:s, s:I, s:s, s:I, s:I, s:o}", "instance", position->instance,
        "file_number", (json_int_t)position->file_number, "file_nonce",
        position->file_nonce, "offset", (json_int_t)position->offset, "seq",
        (json_int_t)position->seq, "applied", applied);
    text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

static bool write_file(const char *path, const char *text, struct error *error)
{
    size_t length = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written;

    if (fd < 0) {
        error_set_errno(error, "create %s", path);
        return false;
    }
    written = write(fd, text, length) == (ssize_t)length;
    if (!written) {
        error_set_errno(error, "write %s", path);
    }
    return close(fd) == 0 && written;
}

/*
 * Not synced: after a power failure a position that is lost, or garbage, only
 * costs reading, and it must not cost a sync each second.
 */
bool recorder_position_save(const char *state_dir,
                            const struct recorder_position *position,
                            struct error *error)
{
    char path[PATH_MAX], path_new[PATH_MAX];
    char *text;
    bool saved;

    if (!make_path(state_dir, FILE_NAME, path, error) ||
        !make_path(state_dir, FILE_NEW, path_new, error)) {
        return false;
    }
    text = encode(position);
    if (text == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    saved = write_file(path_new, text, error);
    if (saved && rename(path_new, path) != 0) {
        error_set_errno(error, "rename %s", path_new);
        saved = false;
    }
    free(text);
    return saved;
}
