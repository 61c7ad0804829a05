#include "event_files.h"

#include "event.h"
#include "event_json.h"
#include "small_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct beginning {
    const char *bytes;
    size_t length;
};

#define BEGINNING(bytes)                                                       \
    {                                                                          \
        bytes, sizeof(bytes) - 1                                               \
    }
static const struct beginning compressed_magic[] = {
    BEGINNING("\x1f\x8b"),                 /* gzip, RFC 1952 2.3.1 */
    BEGINNING("\xfd\x37\x7a\x58\x5a\x00"), /* xz */
    BEGINNING("\x28\xb5\x2f\xfd"),         /* Zstandard, RFC 8878 3.1.1 */
    BEGINNING("BZh"),                      /* bzip2 */
};

static const char *const compressed_suffixes[] = {".gz", ".xz", ".zst", ".bz2"};

static bool is_compressed(const char *head, size_t length)
{
    size_t count = sizeof compressed_magic / sizeof compressed_magic[0];

    for (size_t i = 0; i < count; i++) {
        const struct beginning *magic = &compressed_magic[i];

        if (length >= magic->length &&
            memcmp(head, magic->bytes, magic->length) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_compressed_suffix(const char *name)
{
    size_t count = sizeof compressed_suffixes / sizeof compressed_suffixes[0];
    size_t length = strlen(name);

    for (size_t i = 0; i < count; i++) {
        size_t suffix = strlen(compressed_suffixes[i]);

        if (length > suffix &&
            strcmp(name + length - suffix, compressed_suffixes[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Copies a text of exactly size - 1 lower-case hex digits. */
static bool take_hex(struct text text, char *digits, size_t size)
{
    if (text.bytes == NULL || text.length != size - 1) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] == '\0' ||
            strchr("0123456789abcdef", text.bytes[i]) == NULL) {
            return false;
        }
    }
    (void)text_copy(text, digits, size);
    return true;
}

static bool take_log_open(const struct event *event, struct event_file *file)
{
    if (event->type != EVENT_LOG_OPEN || event->file_number < 1 ||
        event->seq < 1 ||
        !take_hex(event->instance, file->instance, sizeof file->instance) ||
        !take_hex(event->file_nonce, file->nonce, sizeof file->nonce)) {
        return false;
    }
    file->file_number = event->file_number;
    file->first_seq = event->seq;
    return true;
}

static enum event_file_kind identify_head(const char *head, size_t length,
                                          struct event_file *file)
{
    const char *newline = memchr(head, '\n', length);
    struct event event;
    struct event_json *json;
    struct error ignored;
    bool taken;

    if (length == 0) {
        return EVENT_FILE_EMPTY;
    }
    if (is_compressed(head, length)) {
        return EVENT_FILE_COMPRESSED;
    }
    if (newline == NULL) {
        return EVENT_FILE_FOREIGN;
    }
    json = event_json_decode(head, (size_t)(newline - head), &event, &ignored);
    if (json == NULL) {
        return EVENT_FILE_FOREIGN;
    }
    taken = take_log_open(&event, file);
    event_json_free(json);
    return taken ? EVENT_FILE_EVENTS : EVENT_FILE_FOREIGN;
}

bool event_file_identify(int fd, struct event_file *file)
{
    char head[EVENT_LINE_MAX];
    struct stat status;
    ssize_t length = small_file_read(fd, head, sizeof head);

    if (length < 0 || fstat(fd, &status) != 0) {
        return false;
    }
    memset(file->instance, 0, sizeof file->instance);
    memset(file->nonce, 0, sizeof file->nonce);
    file->file_number = 0;
    file->first_seq = 0;
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->size = status.st_size;
    file->modified_us = (int64_t)status.st_mtim.tv_sec * 1000000 +
                        status.st_mtim.tv_nsec / 1000;
    file->kind = identify_head(head, (size_t)length, file);
    return true;
}

/* Of a file that cannot be opened, or not read, what stat(2) tells. */
static void describe_unread(const struct stat *status, struct event_file *file)
{
    file->kind = EVENT_FILE_FOREIGN;
    file->device = status->st_dev;
    file->inode = status->st_ino;
    file->size = status->st_size;
}

/* False: there is no such file any more, or it is none. */
static bool describe(int folder, const char *name, struct event_file *file)
{
    struct stat status;
    int fd;

    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(status.st_mode)) {
        return false;
    }
    fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return false;
    }
    if (fd < 0 || !event_file_identify(fd, file)) {
        describe_unread(&status, file);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (file->kind != EVENT_FILE_EVENTS && has_compressed_suffix(name)) {
        file->kind = EVENT_FILE_COMPRESSED;
    }
    return true;
}

/* Room for one more, zeroed; NULL when out of memory. */
static struct event_file *add(struct event_files *files)
{
    struct event_file *file = files->file;

    if ((files->count & (files->count - 1)) == 0) { /* full: 0, 1, 2, 4, … */
        size_t room = files->count == 0 ? 1 : files->count * 2;

        file = realloc(file, room * sizeof *file);
        if (file == NULL) {
            return NULL;
        }
        files->file = file;
    }
    file += files->count;
    memset(file, 0, sizeof *file);
    return file;
}

static int compare(const void *left, const void *right)
{
    const struct event_file *a = left;
    const struct event_file *b = right;
    int order = (b->kind == EVENT_FILE_EVENTS) - (a->kind == EVENT_FILE_EVENTS);

    if (order == 0) {
        order = strcmp(a->instance, b->instance);
    }
    if (order == 0) {
        order = (a->file_number > b->file_number) -
                (a->file_number < b->file_number);
    }
    if (order == 0) {
        order = (a->first_seq > b->first_seq) - (a->first_seq < b->first_seq);
    }
    return order == 0 ? strcmp(a->path, b->path) : order;
}

/* False only when out of memory. */
static bool list_one(int folder, const char *event_log, size_t folder_length,
                     const char *name, struct event_files *files)
{
    struct event_file *file = add(files);

    if (file == NULL) {
        return false;
    }
    if (!describe(folder, name, file)) {
        return true;
    }
    if (asprintf(&file->path, "%.*s%s", (int)folder_length, event_log, name) <
        0) {
        file->path = NULL;
        return false;
    }
    files->count++;
    return true;
}

static bool list_folder(DIR *folder, const char *event_log,
                        struct event_files *files)
{
    const char *slash = strrchr(event_log, '/');
    size_t folder_length = slash == NULL ? 0 : (size_t)(slash - event_log) + 1;
    const char *prefix = event_log + folder_length;

    for (;;) {
        const struct dirent *entry;

        errno = 0;
        entry = readdir(folder);
        if (entry == NULL) {
            return errno == 0;
        }
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            !list_one(dirfd(folder), event_log, folder_length, entry->d_name,
                      files)) {
            errno = ENOMEM;
            return false;
        }
    }
}

/* New: the folder that event_log is in. */
char *event_files_folder(const char *event_log)
{
    const char *slash = strrchr(event_log, '/');

    if (slash == NULL) {
        return strdup(".");
    }
    return strndup(event_log,
                   slash == event_log ? 1 : (size_t)(slash - event_log));
}

bool event_files_list(const char *event_log, struct event_files *files,
                      struct error *error)
{
    char *path = event_files_folder(event_log);
    DIR *folder = path == NULL ? NULL : opendir(path);
    bool listed;

    files->file = NULL;
    files->count = 0;
    listed = folder != NULL && list_folder(folder, event_log, files);
    if (!listed) {
        error_set_errno(error, "read the folder of %s", event_log);
        event_files_free(files);
    } else if (files->count > 1) {
        qsort(files->file, files->count, sizeof *files->file, compare);
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    free(path);
    return listed;
}

void event_files_free(struct event_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->file[i].path);
    }
    free(files->file);
    files->file = NULL;
    files->count = 0;
}
