#include "shown.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

void shown_begin(struct shown *shown)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)fflush(stdout);
    shown->file = memfd_create("shown", MFD_CLOEXEC);
    shown->before[0] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    shown->before[1] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_true(shown->before[0] >= 0 && shown->before[1] >= 0);
    assert_true(dup2(shown->file, STDOUT_FILENO) >= 0);
    assert_true(dup2(nowhere, STDERR_FILENO) >= 0);
    assert_int_equal(close(nowhere), 0);
}

void shown_end(struct shown *shown, char *output, size_t size)
{
    ssize_t length;

    (void)fflush(stdout);
    assert_true(dup2(shown->before[0], STDOUT_FILENO) >= 0);
    assert_true(dup2(shown->before[1], STDERR_FILENO) >= 0);
    length = pread(shown->file, output, size - 1, 0);
    assert_true(length >= 0);
    output[length] = '\0';
    (void)close(shown->before[0]);
    (void)close(shown->before[1]);
    (void)close(shown->file);
}
