/*
 * command_check_system.h - what the host's own files say of nixie
 *
 * Source   logrotate(8), systemd.exec(5), systemd.resource-control(5),
 *          rsyslog.conf(5).
 * Errors   what is not understood is taken for not said.
 * Threads  any.
 */
#ifndef NIXIE_COMMAND_CHECK_SYSTEM_H
#define NIXIE_COMMAND_CHECK_SYSTEM_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

/* How logrotate goes about a log. */
struct check_rotation {
    bool found; /* a stanza names the log; else these are what all begin with */
    bool compresses, copytruncates, moves, renames, hangs_up;
    bool deletes; /* "rotate N", N from 0 on */
};

/*
 * Reads a file of logrotate. rotation: in what holds for all stanzas, out
 * that of the one that names the log; or, when none does, with what this file
 * says for all.
 */
void command_check_rotation(struct text file, const char *log,
                            struct check_rotation *rotation);

/* A unit of systemd with its drop-ins, one after the other. */
/* Whether it keeps nixied from all hosts but this one. */
bool command_check_unit_is_shut(struct text unit);
/* Whether it lets nixied write below path. */
bool command_check_unit_writes(struct text unit, const char *path);

/* Whether rsyslog writes "message repeated N times" for lines. */
bool command_check_rsyslog_repeats(struct text file, bool before);

/* The kind of a file system (statfs(2)) a log must not be on, or NULL. */
const char *command_check_file_system(unsigned long type);

/*
 * Whether a log has lines that a program whose name has one of these wrote;
 * programs ends with NULL.
 */
bool command_check_log_has(struct text log, const char *const *programs);

#endif
