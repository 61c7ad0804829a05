/*
 * shown.h - what is printed within a test
 *
 *     shown_begin(&shown);
 *     (something that prints)
 *     shown_end(&shown, output, sizeof output);
 *
 * What goes to standard output in between is the output, complaints go
 * nowhere.
 *
 * Errors   what must work and does not fails the test.
 */
#ifndef NIXIE_TESTS_SHOWN_H
#define NIXIE_TESTS_SHOWN_H

#include <stddef.h>

struct shown {
    int file;
    int before[2]; /* standard output and error */
};

void shown_begin(struct shown *shown);

/* NUL-terminated; what does not fit is cut. */
void shown_end(struct shown *shown, char *output, size_t size);

#endif
