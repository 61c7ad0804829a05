#include "scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDERS_MAX 64 /* at one time */
#define DAY_S       86400

static char folders[FOLDERS_MAX][SCRATCH_SIZE];
static pid_t owner;

static int remove_entry(const char *path, const struct stat *status, int type,
                        struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static void remove_all(void)
{
    for (size_t i = 0; getpid() == owner && i < FOLDERS_MAX; i++) {
        if (folders[i][0] != '\0') {
            (void)nftw(folders[i], remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        }
    }
}

/* One that a test removed itself is free, too. */
static char *find_free(void)
{
    for (size_t i = 0; i < FOLDERS_MAX; i++) {
        if (folders[i][0] == '\0' || access(folders[i], F_OK) != 0) {
            return folders[i];
        }
    }
    fail_msg("more than %d folders at a time", FOLDERS_MAX);
    return NULL;
}

void scratch_make(char path[SCRATCH_SIZE])
{
    char *folder = find_free();

    if (owner == 0) {
        owner = getpid(); /* what a child makes, its parent does not know */
        assert_int_equal(atexit(remove_all), 0);
    }
    (void)snprintf(path, SCRATCH_SIZE, "/tmp/nixie-test.XXXXXX");
    assert_non_null(mkdtemp(path));
    memcpy(folder, path, SCRATCH_SIZE);
}

void scratch_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void scratch_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void scratch_age(const char *path)
{
    const struct timespec yesterday = {.tv_sec = time(NULL) - DAY_S};
    const struct timespec times[2] = {yesterday, yesterday};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}
