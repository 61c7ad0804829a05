/*
 * maillog_same.h - a log that has two readers
 *
 * Threads  any for maillog_same_file(); a claim belongs to one.
 */
#ifndef NIXIE_MAILLOG_SAME_H
#define NIXIE_MAILLOG_SAME_H

#include <stdbool.h>

/*
 * Whether two paths lead to one file: by links of either kind, or by another
 * way to its folder, even while it is not there. What is no regular file is
 * the same as nothing.
 */
bool maillog_same_file(const char *one, const char *other);

/*
 * What this process follows and writes to a store, for others on this host to
 * see: a claim for each pair lasts until maillog_claim_free(), or the end of
 * the process, however it ends.
 */
struct maillog_claim;

/*
 * New; NULL: another process has it, or no memory. Where there are no such
 * claims nobody has any. path: also "journal".
 */
struct maillog_claim *maillog_claim_new(const char *path, const char *store);
void maillog_claim_free(struct maillog_claim *claim); /* or NULL */

#endif
