/*
 * maillog_journal.h - what the mail system logs to the systemd journal
 *
 * Entries that came by syslog(3) with the facility mail. Of the system's
 * journal only: what ordinary users log is in theirs, so they cannot forge a
 * delivery there with logger(1).
 *
 * Errors   are logged here, once when they begin and once when they end.
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_JOURNAL_H
#define NIXIE_MAILLOG_JOURNAL_H

#include "error.h"
#include "maillog_file.h"

struct maillog_journal_options {
    const char *source; /* its name in positions */
    const char *path;   /* a file, or a folder; NULL: this host's */
    bool follow, from_start;
};

struct maillog_journal;

/* New, or NULL with error: also when this build is without libsystemd. */
struct maillog_journal *
maillog_journal_new(const struct maillog_journal_options *options,
                    struct error *error);
void maillog_journal_free(struct maillog_journal *journal); /* or NULL */

/* Before the first _next(). */
void maillog_journal_resume(struct maillog_journal *journal,
                            const struct maillog_position *position);

/* Never waits. END only without follow. */
enum maillog_source_result maillog_journal_next(struct maillog_journal *journal,
                                                struct maillog_line *line);

bool maillog_journal_position(const struct maillog_journal *journal,
                              char text[MAILLOG_POSITION_SIZE]);

/* For poll(2); -1: ask each second. */
int maillog_journal_descriptor(const struct maillog_journal *journal);

/* Adds what the journal has to tell. */
void maillog_journal_state(const struct maillog_journal *journal,
                           struct maillog_follow_state *state);

#endif
