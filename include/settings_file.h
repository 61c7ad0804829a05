/*
 * settings_file.h - the configuration file, read and made ready for libconfuse
 *
 * libconfuse 3.3 ends the program when it is given a folder, counts a line
 * with a comment as three, takes a brace that the end of the file leaves
 * open, passes over bytes that it does not know, and is of no use any more
 * after a string without an end. So the file is read here, its grammar and
 * its keys are checked here, and libconfuse gets what only holds values to
 * look at.
 *
 * Owner    arguments are borrowed.
 * Errors   name file and line, and what to write instead.
 * Threads  any.
 */
#ifndef NIXIE_SETTINGS_FILE_H
#define NIXIE_SETTINGS_FILE_H

#include "error.h"

#include <confuse.h>
#include <stdbool.h>

#define SETTINGS_FILE_MAX (1024 * 1024) /* a fault, or no configuration */

/* New, NUL-terminated and without other NULs; or NULL with error. */
char *settings_file_read(const char *path, struct error *error);

/*
 * Whether text is in order: only keys of cfg, each of them once. Comments in
 * it become blanks. *rules_line: where bounce_rules is set; 0: nowhere. Its
 * files are read later, when libconfuse knows no lines any more.
 */
bool settings_file_prepare(char *text, const cfg_t *cfg, const char *path,
                           int *rules_line, struct error *error);

#endif
