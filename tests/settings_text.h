/*
 * settings_text.h - configurations in strings, for tests of the settings
 *
 * Errors   what must work and does not fails the test.
 */
#ifndef NIXIE_TESTS_SETTINGS_TEXT_H
#define NIXIE_TESTS_SETTINGS_TEXT_H

#include "error.h"
#include "settings.h"

#include <stddef.h>

/* New, or NULL: then error begins behind the name of the file. */
struct settings *settings_of(const char *text, struct error *error);

/* New, of text in which ~ is the folder; there is no fault in it. */
struct settings *settings_in(const char *folder, const char *text);

struct settings_fault {
    const char *text;
    const char *place; /* what the error begins with: ":1:" */
    const char *words; /* and what is in it */
};
void settings_are_refused(const struct settings_fault *rows, size_t count);
void settings_are_taken(const char *const *texts, size_t count);

#endif
