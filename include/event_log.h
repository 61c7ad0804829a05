/*
 * event_log.h - the write-ahead log: append, rotate, survive
 *
 * One JSON line an event, one write(2) a line on an O_APPEND descriptor, seq
 * rising in file order. Files begin with a unique log_open record. A line
 * that is in the file before the MTA has its answer is never lost by a crash
 * of ours. A partial write is finished later at the same place, so a full
 * disk tears no line; only a kill in the middle of one does, and the next
 * start ends it with a newline.
 *
 * While the file cannot be written, up to EVENT_LOG_HELD_EVENTS events or
 * EVENT_LOG_HELD_BYTES wait in memory; what does not fit is counted, and a gap
 * record tells their numbers when writing works again.
 *
 * Threads  any. One lock orders the writes; it is held over write(2) and,
 *          when a file is opened, over the opening.
 */
#ifndef NIXIE_EVENT_LOG_H
#define NIXIE_EVENT_LOG_H

#include "error.h"
#include "event.h"
#include "instance.h"

#include <stdbool.h>
#include <stdint.h>

#define EVENT_LOG_HELD_EVENTS 10000
#define EVENT_LOG_HELD_BYTES  (8 * 1024 * 1024)
#define EVENT_LOG_ROOM        6144 /* bytes for what veil() puts in place */

enum event_log_sync {
    EVENT_LOG_SYNC_OFF,
    EVENT_LOG_SYNC_INTERVAL, /* fdatasync(2) each second, by _tick() */
    EVENT_LOG_SYNC_GROUP,    /* durable before append returns */
};

enum event_log_format {
    EVENT_LOG_FLAT,
    EVENT_LOG_ECS, /* event_ecs.h */
};

enum event_log_result {
    EVENT_LOG_WRITTEN, /* in the file; with SYNC_GROUP on the disk */
    EVENT_LOG_HELD,    /* in memory only, until the disk takes it; with
                          SYNC_GROUP also: in the file, fdatasync(2) failed */
    EVENT_LOG_LOST,    /* memory is full too: counted, a gap will tell */
};

struct event_log_options {
    const char *path; /* borrowed for the log's life, like node, version */
    const char *node;
    const char *version;
    enum event_log_sync sync;
    enum event_log_format format;
    /* May be NULL: told of each event by the thread that appended it, without
     * the lock; whatever becomes of it. */
    void (*appended)(void *context, const struct event *event,
                     enum event_log_result result);
    void *context;
    /*
     * May be NULL: has the last word about an event that is to be written; it
     * gets a copy, which may borrow from room.
     */
    void (*veil)(void *context, struct event *event, char room[EVENT_LOG_ROOM]);
    void *veil_context;
};

struct event_log;

/*
 * Opens the file to go on with it (same instance, header intact: a torn tail
 * is ended) or sets it aside by rename and begins another. NULL with error
 * when the folder is missing or not writable. A full disk is no failure:
 * events are held then. instance is borrowed; but for its id it is the log's
 * alone from now on.
 */
struct event_log *event_log_new(const struct event_log_options *options,
                                struct instance *instance, struct error *error);

/* Sets event_id, node, instance, and seq: 0 unless it is in the file. */
enum event_log_result event_log_append(struct event_log *log,
                                       struct event *event);

/*
 * Several with consecutive numbers and one lock: all recipients of a message.
 * The result is the worst of them. (Without memory for that, one by one.)
 */
enum event_log_result event_log_append_all(struct event_log *log,
                                           struct event *events, size_t count);

/*
 * SIGUSR1: renames the file to <path>.<YYYYMMDDTHHMMSSZ>.<file_number> and
 * begins another. Only begins another if somebody has renamed it already.
 * Does nothing while it holds no event yet (heartbeats are none). False with
 * error when that fails: the old file is kept in use.
 */
bool event_log_rotate(struct event_log *log, struct error *error);

/*
 * What is due about once a second, from one thread: writes held events,
 * notices a file renamed, removed or truncated behind our back, syncs. Logs
 * faults of the disk when they begin and end.
 */
void event_log_tick(struct event_log *log);

/* All later numbers are above seq: what Redis has seen of ours. */
void event_log_seen_seq(struct event_log *log, int64_t seq);

/* The last number that is wholly in a file; 0 before the first. */
int64_t event_log_last_seq(struct event_log *log);

/* Waits until a number above seq is in the file, or timeout_ms have passed. */
bool event_log_wait(struct event_log *log, int64_t seq, int timeout_ms);

/*
 * A descriptor of the current file for reading with pread(2), the caller
 * closes it; also of a file that no path leads to any more. -1: none.
 */
int event_log_dup(struct event_log *log, int64_t *file_number);

struct event_log_state {
    bool failing;     /* the file cannot be written now */
    uint64_t held;    /* events in memory */
    uint64_t lost;    /* events that gap records tell of, since start */
    uint64_t written; /* events written since start */
    uint64_t rotations;
    int64_t file_number;
};
void event_log_state(struct event_log *log, struct event_log_state *state);

/* Writes what is held as far as possible, syncs, closes. Takes it, or NULL. */
void event_log_free(struct event_log *log);

#endif
