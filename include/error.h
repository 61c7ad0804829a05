/*
 * error.h - what went wrong, as a sentence for the operator
 *
 * A function that can fail for a reason worth telling takes a struct error,
 * which only a failure fills. Who finds the fault fills it; the program, or
 * the module that knows what it means for the mail, reports it once.
 */
#ifndef NIXIE_ERROR_H
#define NIXIE_ERROR_H

#define ERROR_SIZE 512

struct error {
    char text[ERROR_SIZE];
};

/* Bytes from outside belong through text_escape() before they get here. */
void error_set(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, with ": " and the text of errno behind it. */
void error_set_errno(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
