#include "check_shown.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

bool check_shown(const struct check_part *part, struct settings *settings,
                 char output[CHECK_SHOWN_SIZE])
{
    static const struct command command = {.name = "check"};
    const struct command_call call = {.command = &command};
    struct check check = {.call = &call, .settings = settings};
    FILE *file = tmpfile();
    ssize_t length;
    int before;

    assert_non_null(file);
    (void)fflush(stdout);
    before = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    part->run(&check, settings, part->path);
    (void)fflush(stdout);
    assert_true(dup2(before, STDOUT_FILENO) >= 0);
    assert_int_equal(close(before), 0);
    length = pread(fileno(file), output, CHECK_SHOWN_SIZE - 1, 0);
    assert_true(length >= 0);
    output[length] = '\0';
    assert_int_equal(fclose(file), 0);
    return !check.failed;
}
