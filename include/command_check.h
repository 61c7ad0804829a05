/*
 * command_check.h - what `nixie check` looks at, a file each
 *
 * A part reports a line for each thing it looked at: well, or what to do.
 * What cannot be told, for want of permission say, is skipped, not passed.
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_CHECK_H
#define NIXIE_COMMAND_CHECK_H

#include "command.h"
#include "settings.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

enum check_result {
    CHECK_OK,
    CHECK_NOTE, /* nothing is wrong, but more could be had */
    CHECK_WARN,
    CHECK_FAIL,
    CHECK_SKIP,
    CHECK_RESULTS,
};

struct check {
    const struct command_call *call;
    const struct settings *settings;
    bool quiet; /* what is well is counted only */
    bool failed;
    unsigned counts[CHECK_RESULTS];
    char looked[1024]; /* the names, each once */
};

/* Text from outside may be in it: it is escaped here. */
void command_check_report(struct check *check, enum check_result result,
                          const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A user with all groups. */
#define CHECK_GROUPS_MAX 64
struct check_account {
    uid_t uid;
    gid_t groups[CHECK_GROUPS_MAX];
    int group_count;
};
bool command_check_account(const char *name, struct check_account *account);

/* Whether the mode bits let it; what: 04 read, 02 write, 01 search. */
bool command_check_may(const struct check_account *account,
                       const struct stat *status, unsigned what);

/*
 * The folder on the way to path that account may not pass, in folder; false
 * when there is none.
 */
bool command_check_barrier(const struct check_account *account,
                           const char *path, char *folder, size_t size);

/*
 * Whether nixied's user may read it: root, who asks, may read all. What is
 * not there, and a user who is not, have no such fault.
 */
bool command_check_readable(const struct check *check, const char *path);

/* Whether two paths are the same, or lead to the same file. */
bool command_check_same(const char *one, const char *other);

/* Clock, logrotate, systemd, secrets; root goes before paths of the host. */
void command_check_system(struct check *check, const char *root);
/* Version and configuration of the nixied that runs, and others there. */
void command_check_nixied(struct check *check);
void command_check_host(struct check *check); /* folders, socket, nixied */
void command_check_store(struct check *check);
/* Whether Redis lets nixied do all it does. False: it cannot be told. */
bool command_check_rights(struct check *check);
/* A fault of Redis, and what to do about it. */
void command_check_fault(struct check *check, const char *fault);
/* directory: where main.cf is; NULL: MAIL_CONFIG, or Postfix's default. */
void command_check_postfix(struct check *check, const char *directory);
/* path: its configuration; NULL: the default. */
void command_check_sendmail(struct check *check, const char *path);
/*
 * The delivery log, rules, notices. settings: those of the check, whose rules
 * are loaded; directory as above.
 */
void command_check_outcome(struct check *check, struct settings *settings,
                           const char *directory);

#endif
