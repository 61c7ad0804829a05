/*
 * event_log_place.h - an event log on a disk that fails when told to
 *
 * For the tests of the event log. Link event_log_place.c into the program
 * itself, not from an archive: its write(2), fdatasync(2) and renameat2(2)
 * stand before those of the C library.
 */
#ifndef NIXIE_EVENT_LOG_PLACE_H
#define NIXIE_EVENT_LOG_PLACE_H

#include "error.h"
#include "event.h"
#include "event_log.h"
#include "instance.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define UNLIMITED LONG_MAX

struct disk {
    _Atomic long room; /* bytes that may still be written */
    _Atomic int full;  /* errno when there is none */
    _Atomic unsigned long bad_inode;
    _Atomic int sync_error;
    _Atomic int syncs;
    _Atomic bool old_kernel; /* no renameat2(2) */
};
extern struct disk disk;

void disk_repair(void);

/* A state directory and a log folder, and what is open in them. */
struct place {
    char path[64];
    char state[96];
    char logs[96];
    char event_log[256];
    enum event_log_sync sync;
    long room; /* of the disk, for the log at start */
    struct instance *instance;
    struct event_log *log;
};

/* Setup and teardown of a test. */
int place_make(void **state);
int place_remove(void **state);

bool place_try_start(struct place *place, struct error *error);
void place_start(struct place *place);
void place_stop(struct place *place);
void place_restart(struct place *place);
void place_rotate(struct place *place);
void place_empty_folder(const char *path);

/* An event whose recipient says which of the test's it is. */
enum event_log_result place_append_event(struct event_log *log,
                                         enum event_type type, int name,
                                         int64_t *seq);
enum event_log_result place_append(struct place *place, int name);

/* What a reader of all our files finds. */
struct record {
    enum event_type type;
    int64_t seq;
    int64_t file_number;
    int64_t gap_first_seq, gap_last_seq, gap_count;
    int name; /* or -1 */
    char gap_reason[32];
};

struct reading {
    struct record *record;
    size_t count;
    size_t files;
    size_t other_files; /* of whatever kind */
    uint64_t torn;      /* lines that are none */
};

/* Reads all and holds it against what is always true; free reading->record. */
void place_read(const struct place *place, struct reading *reading);

/* The events in the files are these, each once and in this order. */
void place_expect_names(const struct place *place, int first, int last,
                        uint64_t torn);

off_t file_size(const char *path);
ino_t file_inode(const char *path);
void file_write(const char *path, const char *bytes, size_t length,
                const char *mode);

#endif
