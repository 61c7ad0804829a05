#include "settings_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_configuration(int fd, const char *path, struct error *error)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        error_set_errno(error, "%s", path);
        return false;
    }
    if (!S_ISREG(status.st_mode)) {
        error_set(error, "%s: %s: name a regular file", path,
                  S_ISDIR(status.st_mode) ? "is a folder" : "is no file");
        return false;
    }
    return true;
}

/* The length, at most SETTINGS_FILE_MAX + 1; or -1. */
static ssize_t read_whole(int fd, char *text)
{
    size_t used = 0;

    while (used <= SETTINGS_FILE_MAX) {
        ssize_t got = read(fd, text + used, SETTINGS_FILE_MAX + 1 - used);

        if (got == 0) {
            break;
        }
        if (got > 0) {
            used += (size_t)got;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)used;
}

static int line_of(const char *text, const char *place)
{
    int line = 1;

    for (const char *byte = text; byte < place; byte++) {
        line += *byte == '\n';
    }
    return line;
}

static bool is_text(const char *text, size_t length, const char *path,
                    struct error *error)
{
    const char *nul;

    if (length > SETTINGS_FILE_MAX) {
        error_set(error, "%s: larger than %d bytes", path, SETTINGS_FILE_MAX);
        return false;
    }
    nul = memchr(text, '\0', length);
    if (nul != NULL) {
        error_set(error, "%s:%d: a NUL byte: this is no text", path,
                  line_of(text, nul));
        return false;
    }
    return true;
}

char *settings_file_read(const char *path, struct error *error)
{
    /* without O_NONBLOCK a FIFO would be waited for */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    char *text = NULL;
    ssize_t length;

    if (fd < 0 && errno == ENOENT) {
        error_set(error,
                  "%s: %s; write it (an empty one takes all defaults), or name "
                  "another with -c",
                  path, strerror(ENOENT));
        return NULL;
    }
    if (fd < 0) {
        error_set_errno(error, "%s", path);
        return NULL;
    }
    if (!is_configuration(fd, path, error)) {
        goto out;
    }
    text = malloc(SETTINGS_FILE_MAX + 2);
    if (text == NULL) {
        error_set(error, "%s: out of memory", path);
        goto out;
    }
    length = read_whole(fd, text);
    if (length < 0) {
        error_set_errno(error, "%s", path);
        goto refused;
    }
    if (!is_text(text, (size_t)length, path, error)) {
        goto refused;
    }
    text[length] = '\0';
    goto out;
refused:
    free(text);
    text = NULL;
out:
    (void)close(fd);
    return text;
}
