#include "small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

ssize_t small_file_read(int fd, char *bytes, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t got = pread(fd, bytes + length, size - length, (off_t)length);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    return (ssize_t)length;
}

bool small_file_write(const char *path, int flags, const char *text,
                      struct error *error)
{
    int fd =
        open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    size_t length = strlen(text);
    bool written = fd >= 0 && write(fd, text, length) == (ssize_t)length &&
                   fdatasync(fd) == 0;

    if (!written) {
        error_set_errno(error, "write %s", path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return written;
}
