#include "maillog_trouble.h"

#include "log.h"
#include "text.h"

#include <errno.h>

const char *maillog_trouble_path(const char *path,
                                 char escaped[MAILLOG_PATH_SIZE])
{
    return text_escape(text_of(path), escaped, MAILLOG_PATH_SIZE);
}

void maillog_trouble_begin(struct maillog_trouble *trouble, const char *path,
                           int cause, const char *text)
{
    char escaped[MAILLOG_PATH_SIZE];

    if (trouble->cause == cause) {
        return;
    }
    trouble->cause = cause;
    (void)maillog_trouble_path(path, escaped);
    if (cause == ENOENT) {
        log_warning("maillog is not there yet: path=%s", escaped);
    } else if (cause == EACCES || cause == EPERM) {
        log_error("maillog cannot be read: path=%s error=\"%s\": make nixied's "
                  "user a member of the group that may read it (Debian: adm), "
                  "and restart nixied",
                  escaped, text);
    } else {
        log_error("maillog cannot be read: path=%s error=\"%s\"", escaped,
                  text);
    }
}

void maillog_trouble_end(struct maillog_trouble *trouble, const char *path)
{
    char escaped[MAILLOG_PATH_SIZE];

    if (trouble->cause != 0) {
        log_info("maillog is read: path=%s",
                 maillog_trouble_path(path, escaped));
    }
    trouble->cause = 0;
}

void maillog_trouble_passed(const char *path)
{
    char escaped[MAILLOG_PATH_SIZE];

    log_error("maillog lost: path=%s: cannot be read, its lines are passed "
              "over",
              maillog_trouble_path(path, escaped));
}

void maillog_trouble_lost(const char *path, uint64_t inode, int64_t offset)
{
    char escaped[MAILLOG_PATH_SIZE];

    log_error("maillog lost: path=%s inode=%llu offset=%lld: the file that was "
              "read last is not there any more; goes on with the next younger",
              maillog_trouble_path(path, escaped), (unsigned long long)inode,
              (long long)offset);
}

void maillog_trouble_unfinished(const char *path, int64_t bytes)
{
    char escaped[MAILLOG_PATH_SIZE];

    log_warning("maillog ends within a line: path=%s bytes=%lld: they are "
                "passed over",
                maillog_trouble_path(path, escaped), (long long)bytes);
}

void maillog_trouble_truncated(const char *path, int64_t offset)
{
    char escaped[MAILLOG_PATH_SIZE];

    log_warning("maillog was truncated: path=%s offset=%lld: lines may be lost "
                "(logrotate: rotate without copytruncate)",
                maillog_trouble_path(path, escaped), (long long)offset);
}
