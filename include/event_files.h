/*
 * event_files.h - the files of the event log, known by their first record
 *
 * The current file and whatever it was renamed to: every regular file in its
 * folder whose name begins with its name. Who wrote a file and where it
 * stands in the order, its log_open record tells, not its name.
 *
 * Threads  any: nothing is shared.
 */
#ifndef NIXIE_EVENT_FILES_H
#define NIXIE_EVENT_FILES_H

#include "error.h"
#include "instance.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EVENT_FILE_NONCE_SIZE 33

enum event_file_kind {
    EVENT_FILE_EVENTS, /* begins with a log_open record */
    EVENT_FILE_EMPTY,
    EVENT_FILE_COMPRESSED, /* .gz .xz .zst .bz2 or their magic bytes */
    EVENT_FILE_FOREIGN,    /* anything else: no log_open record */
};

struct event_file {
    enum event_file_kind kind;
    char *path;
    dev_t device;
    ino_t inode;
    off_t size;
    int64_t modified_us;
    /* of EVENT_FILE_EVENTS */
    char instance[INSTANCE_ID_SIZE];
    char nonce[EVENT_FILE_NONCE_SIZE];
    int64_t file_number;
    int64_t first_seq;
};

struct event_files {
    struct event_file *file; /* EVENTS first: by instance, then file_number */
    size_t count;
};

/* The folder that event_log is in: new, or NULL when out of memory. */
char *event_files_folder(const char *event_log);

/* False with error when the folder cannot be read. Free with _free(). */
bool event_files_list(const char *event_log, struct event_files *files,
                      struct error *error);
void event_files_free(struct event_files *files);

/* Reads the head of an open file; fills all but path. False: read error. */
bool event_file_identify(int fd, struct event_file *file);

#endif
