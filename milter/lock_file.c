#include "lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define PID_SIZE 32

/* 0 when unknown. */
static long read_holder(int fd)
{
    char text[PID_SIZE];
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    char *end;
    long pid;

    if (length <= 0) {
        return 0;
    }
    text[length] = '\0';
    pid = strtol(text, &end, 10);
    return end != text && pid > 0 ? pid : 0;
}

/* Best effort: only a message shows it. Written before it is cut, so that a
 * full disk with an old process id in the file still takes ours. */
static void write_holder(int fd)
{
    char text[PID_SIZE];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (length > 0 && pwrite(fd, text, (size_t)length, 0) == length &&
        ftruncate(fd, length) != 0) {
        return;
    }
}

static int open_lock(int folder, const char *name)
{
    int fd =
        openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 && errno == EROFS) { /* flock(2) needs no write access */
        fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    return fd;
}

enum lock_file_result lock_file_take(int folder, const char *name, int *fd,
                                     long *holder)
{
    enum lock_file_result result = LOCK_FILE_FAULTY;
    int opened = open_lock(folder, name);
    int cause;

    *fd = -1;
    *holder = 0;
    if (opened < 0) {
        return LOCK_FILE_FAULTY;
    }
    if (flock(opened, LOCK_EX | LOCK_NB) == 0) {
        write_holder(opened);
        *fd = opened;
        return LOCK_FILE_TAKEN;
    }
    cause = errno;
    if (cause == EWOULDBLOCK) {
        result = LOCK_FILE_HELD;
        *holder = read_holder(opened);
    }
    (void)close(opened);
    errno = cause;
    return result;
}
