/*
 * log.h - lines for the operator, to syslog or standard error
 *
 * Lines are stable text and key=value; text from outside is escaped by the
 * caller with text_escape(). Standard error gets them with a time when it is
 * no journal. A lasting fault is logged when it starts and when it ends.
 * Threads: any.
 */
#ifndef NIXIE_LOG_H
#define NIXIE_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_ERROR,   /* somebody must act */
    LOG_LEVEL_WARNING, /* goes on, but worse */
    LOG_LEVEL_INFO,    /* one line for each decision */
    LOG_LEVEL_DEBUG,   /* for us */
};

/* Before the first thread. syslog: LOG_MAIL as well as standard error. */
void log_open(const char *program, bool to_syslog, enum log_level highest);

void log_write(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
