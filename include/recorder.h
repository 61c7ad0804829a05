/*
 * recorder.h - carries the event log into Redis, each event once
 *
 * A thread of its own reads the files, never a private queue. Events of a
 * bucket go in one script call that compares the bucket's checkpoint of this
 * instance, moves it and applies the effects; a checkpoint that is elsewhere
 * than expected tells what is applied already and what was forgotten. Files
 * of other instances found beside ours at start are finished under theirs.
 *
 * While Redis is away it waits (0.1 s to 30 s, with jitter) and the log keeps
 * all; afterwards it catches up.
 *
 * Files    <state_dir>/recorder.position: a hint where to resume, with the
 *          checkpoints that belong to it; without it files are read again
 *          from their beginning and the checkpoints say what to skip.
 */
#ifndef NIXIE_RECORDER_H
#define NIXIE_RECORDER_H

#include "error.h"
#include "event_log.h"
#include "redis_endpoint.h"

#include <stdbool.h>
#include <stdint.h>

struct recorder_options {
    const char *event_log_path; /* texts are borrowed for its life */
    const char *state_dir;
    const char *key_prefix;
    const char *instance;
    int64_t retention_seconds;
    int sweep_seconds; /* between looks at all checkpoints; 0: 30 */
    struct redis_endpoint *endpoint;
    struct event_log *log;
    /* May be NULL; called from the recorder's thread when Redis goes or
     * comes back; error is "" when it came back. */
    void (*store_changed)(void *context, bool available, const char *error);
    /* May be NULL: a gap to be logged (files gone before they were applied). */
    void (*gap_found)(void *context, int64_t first_seq, int64_t last_seq,
                      const char *reason);
    /*
     * May be NULL; called from the recorder's thread when all that is in the
     * logs it applies is in Redis: after start, whenever more has been applied
     * (at most ten times a second), and every ten seconds. What it appended to
     * the log is applied before it is called again. instances are those whose
     * logs are applied, ended by NULL.
     */
    void (*caught_up)(void *context, const char *const *instances);
    /* May be NULL: Redis knows a higher number of ours than we do. */
    void (*seq_seen)(void *context, int64_t seq);
    void *context;
};

struct recorder;

/* New and running, or NULL with error. */
struct recorder *recorder_start(const struct recorder_options *options,
                                struct error *error);

/* True once everything up to seq is applied; false after timeout_ms. */
bool recorder_wait(struct recorder *recorder, int64_t seq, int timeout_ms);

/* Redis is back, somebody says: what waits to be tried again is tried now. */
void recorder_wake(struct recorder *recorder);

struct recorder_state {
    bool connected;
    int64_t applied_seq;    /* all of ours up to here are in Redis */
    int64_t lag_seconds;    /* age of the oldest event not applied; 0: none */
    uint64_t applied;       /* events applied since start */
    uint64_t fast_forwards; /* batches that had been applied unknown to us */
    uint64_t rollbacks;     /* checkpoints that went back */
    uint64_t dead;          /* effects that Redis refused */
    uint64_t torn;          /* lines passed over */
};
void recorder_state(struct recorder *recorder, struct recorder_state *state);

/*
 * Applies what is there for at most timeout_ms, or until Redis is found away,
 * then stops; an answer that is awaited already may take 3 s from its question
 * on. Takes it, or NULL.
 */
void recorder_stop(struct recorder *recorder, int timeout_ms);

#endif
