/*
 * instance.h - who writes: the state directory, its identity, its numbers
 *
 * The state directory holds "lock" (one writer at a time, flock(2)),
 * "instance" (JSON: id, machine, inode, next_seq) and "file_number" (JSON: of
 * the newest file of the event log). The id is random and bound
 * to this machine and this directory: a copied directory gets a new one, so
 * that two writers never share a chain in Redis.
 *
 * Numbers come from blocks of 1,000,000 reserved on disk before the first is
 * used; each start begins at the next block, and never below the wall clock
 * in microseconds, so that a lost or restored state file cannot make a
 * number come twice. A number is below 2^53.
 *
 * Threads  one at a time: event_log calls with its lock held.
 */
#ifndef NIXIE_INSTANCE_H
#define NIXIE_INSTANCE_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

#define INSTANCE_ID_SIZE 17 /* 16 hex digits and NUL */

struct instance;

/*
 * New, or NULL with error: the directory is missing or unwritable, or another
 * nixied holds the lock (the error says its process id). A damaged instance
 * file is kept aside as "instance.damaged" and a new identity made.
 */
struct instance *instance_open(const char *state_dir, struct error *error);

const char *instance_id(const struct instance *instance);

/*
 * The next number. When a block cannot be reserved (disk full) numbers go on
 * past it, which the clock rule above makes safe; *error tells once, else its
 * text is empty. error may be NULL.
 */
int64_t instance_next_seq(struct instance *instance, struct error *error);

/*
 * All later numbers are above seq: what the log or Redis has seen of ours.
 * Once there is an event log, event_log_seen_seq() is the way.
 */
void instance_seen_seq(struct instance *instance, int64_t seq);

/*
 * The highest number of a file of the event log that was kept, or 0: a file
 * that was removed while nobody looked leaves a hole then, and no other file
 * gets its number.
 */
int64_t instance_file_number(const struct instance *instance);

/* Keeps it if it is higher. False with error: kept until the close only. */
bool instance_keep_file_number(struct instance *instance, int64_t number,
                               struct error *error);

void instance_close(struct instance *instance); /* takes it, or NULL */

#endif
