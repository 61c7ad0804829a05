/*
 * check_shown.h - what a part of `nixie check` prints, for tests
 *
 * Errors   what must work and does not fails the test.
 */
#ifndef NIXIE_TESTS_CHECK_SHOWN_H
#define NIXIE_TESTS_CHECK_SHOWN_H

#include "command_check.h"

#include <stdbool.h>

#define CHECK_SHOWN_SIZE 8192

/* A part, with what it needs besides. */
struct check_part {
    void (*run)(struct check *check, struct settings *settings,
                const char *path);
    const char *path;
};

/* False when something failed. */
bool check_shown(const struct check_part *part, struct settings *settings,
                 char output[CHECK_SHOWN_SIZE]);

#endif
