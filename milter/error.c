#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_set(struct error *error, const char *format, ...)
{
    va_list arguments;

    if (error == NULL) {
        return;
    }
    va_start(arguments, format);
    if (vsnprintf(error->text, sizeof error->text, format, arguments) < 0) {
        error->text[0] = '\0';
    }
    va_end(arguments);
}

void error_set_errno(struct error *error, const char *format, ...)
{
    int cause = errno;
    va_list arguments;
    int length;

    if (error == NULL) {
        return;
    }
    va_start(arguments, format);
    length = vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof error->text) {
        char buffer[128];
        size_t left = sizeof error->text - (size_t)length;

        (void)snprintf(error->text + length, left, ": %s",
                       strerror_r(cause, buffer, sizeof buffer));
    }
    errno = cause;
}
