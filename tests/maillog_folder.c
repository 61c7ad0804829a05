#include "maillog_folder.h"

#include "scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;

int maillog_folder_make(void **state)
{
    struct maillog_folder *folder = calloc(1, sizeof *folder);

    assert_non_null(folder);
    scratch_make(folder->path);
    (void)snprintf(folder->log, sizeof folder->log, "%s/mail.log",
                   folder->path);
    *state = folder;
    return 0;
}

int maillog_folder_remove(void **state)
{
    struct maillog_folder *folder = *state;

    scratch_remove(folder->path);
    free(folder);
    return 0;
}

void maillog_folder_path(const struct maillog_folder *folder,
                         const char *suffix, char path[256])
{
    (void)snprintf(path, 256, "%s%s", folder->log, suffix);
}

void maillog_folder_append_bytes(const struct maillog_folder *folder,
                                 const char *suffix, const char *bytes,
                                 size_t length)
{
    char path[256];
    int fd;

    maillog_folder_path(folder, suffix, path);
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    assert_int_equal(close(fd), 0);
}

void maillog_folder_append(const struct maillog_folder *folder,
                           const char *suffix, const char *text)
{
    maillog_folder_append_bytes(folder, suffix, text, strlen(text));
}

void maillog_folder_rename(const struct maillog_folder *folder,
                           const char *from, const char *to)
{
    char old[256], new[256];

    maillog_folder_path(folder, from, old);
    maillog_folder_path(folder, to, new);
    assert_int_equal(rename(old, new), 0);
}

void maillog_folder_delete(const struct maillog_folder *folder,
                           const char *suffix)
{
    char path[256];

    maillog_folder_path(folder, suffix, path);
    assert_int_equal(unlink(path), 0);
}

void maillog_folder_copy(const struct maillog_folder *folder, const char *from,
                         const char *to)
{
    char path[256], bytes[65536];
    ssize_t length;
    int fd;

    maillog_folder_path(folder, from, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    maillog_folder_append(folder, to, "");
    while ((length = read(fd, bytes, sizeof bytes)) > 0) {
        maillog_folder_append_bytes(folder, to, bytes, (size_t)length);
    }
    assert_int_equal(close(fd), 0);
}

void maillog_folder_truncate(const struct maillog_folder *folder,
                             const char *suffix, long size)
{
    char path[256];

    maillog_folder_path(folder, suffix, path);
    assert_int_equal(truncate(path, size), 0);
}

void maillog_folder_compress(const struct maillog_folder *folder,
                             const char *program, const char *suffix)
{
    char name[16], quiet[] = "-q", path[256], option[] = "--rm";
    char *plain[] = {name, quiet, path, NULL};
    char *with_rm[] = {name, quiet, option, path, NULL};
    pid_t pid;
    int status;

    (void)snprintf(name, sizeof name, "%s", program);
    maillog_folder_path(folder, suffix, path);
    /* of the four zstd alone leaves what it has compressed */
    assert_int_equal(
        posix_spawnp(&pid, name, NULL, NULL,
                     strcmp(program, "zstd") == 0 ? with_rm : plain, environ),
        0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

void maillog_folder_touch(const struct maillog_folder *folder,
                          const char *suffix, int64_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = (time_t)seconds},
                                      {.tv_sec = (time_t)seconds}};
    char path[256];

    maillog_folder_path(folder, suffix, path);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}
