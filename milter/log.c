#include "log.h"

#include "clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048 /* syslog daemons cut not far above it */

/* Set once by log_open(), before there are threads. */
static struct {
    bool to_syslog;
    bool with_time;
    enum log_level highest;
    const char *program;
} settings = {false, true, LOG_LEVEL_INFO, "nixie"};

static const struct {
    const char *word;
    int priority;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error: ", LOG_ERR},
    [LOG_LEVEL_WARNING] = {"warning: ", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug: ", LOG_DEBUG},
};

void log_open(const char *program, bool to_syslog, enum log_level highest)
{
    settings.program = program;
    settings.to_syslog = to_syslog;
    settings.highest = highest;
    /* systemd sets it when standard error is the journal, which has a clock */
    settings.with_time = getenv("JOURNAL_STREAM") == NULL;
    /* libmilter writes to syslog too: give it our name */
    openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

static void write_standard_error(enum log_level level, const char *text)
{
    char line[LINE_MAX_BYTES + 128];
    char timestamp[CLOCK_TIMESTAMP_SIZE] = "";
    int length;

    if (settings.with_time) {
        clock_format(clock_now_us(), timestamp);
    }
    length = snprintf(line, sizeof line, "%s%s%s: %s%s\n", timestamp,
                      settings.with_time ? " " : "", settings.program,
                      levels[level].word, text);
    if (length > 0) {
        size_t size =
            (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
        ssize_t written = write(STDERR_FILENO, line, size);
        (void)written; /* nowhere to say so */
    }
}

void log_write(enum log_level level, const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list arguments;

    if (level > settings.highest) {
        return;
    }
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    write_standard_error(level, text);
    if (settings.to_syslog) {
        syslog(levels[level].priority, "%s%s", levels[level].word, text);
    }
}
