/*
 * command_import.h - one run of `suppress import` or `allow import`
 *
 * Rows are read into a batch, compared with what Redis has in one pipeline,
 * and what differs goes to nixied as one request. While nixied logs and
 * applies a batch the next one is read. The position behind what is done is
 * kept in a file, so that the same command goes on there.
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_IMPORT_H
#define NIXIE_COMMAND_IMPORT_H

#include "command.h"
#include "command_store.h"
#include "control_batch.h"
#include "control_request.h"
#include "list_entry.h"
#include "list_file.h"
#include "list_reason.h"
#include "list_seen.h"
#include "list_stored.h"

#include <glib.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>

/* What became of rows; each is counted once. */
enum import_count {
    IMPORT_ADDED,
    IMPORT_UPDATED,
    IMPORT_UNCHANGED,
    IMPORT_DUPLICATE, /* its address stood in the file before */
    IMPORT_PAST,      /* it has ended, and is not there */
    IMPORT_BAD,
};
#define IMPORT_COUNTS 6
extern const char *const import_count_names[IMPORT_COUNTS];

struct import_batch {
    size_t count;
    struct list_entry entries[CONTROL_BATCH_MAX];
    struct list_stored stored[CONTROL_BATCH_MAX];
    bool is_duplicate[CONTROL_BATCH_MAX];
    GHashTable *keys;  /* of the entries; their index + 1 */
    bool waits;        /* for the batch before: an entry is in both */
    bool is_in_flight; /* nixied has it, and has not answered */
    uint64_t counts[IMPORT_COUNTS];
    uint64_t offset, line; /* behind its last row */
    struct control_batch *request;
};

struct import {
    const struct command_call *call;
    struct list_reading reading;
    struct settings *with_rules; /* NULL: no texts to judge */
    struct list_file *file;
    int fd;
    bool is_input; /* standard input */
    uint64_t size; /* 0: unknown */
    bool dry_run;
    struct command_store *store;
    struct list_seen *seen;
    struct import_batch *batches[2];
    char by[CONTROL_BY_MAX + 1];
    struct error error;

    uint64_t counts[IMPORT_COUNTS];
    uint64_t rows, line, offset; /* done, those of earlier runs among them */
    uint64_t new_rows;           /* of this run */
    uint64_t logged_only;        /* entries that Redis gets later */
    uint64_t bulk_for_all; /* about bulk mail alone, and without a scope */

    FILE *bad;          /* --bad, or NULL */
    uint64_t bad_shown; /* on standard error */

    char position[PATH_MAX]; /* "": none is kept */
    char identity[65];       /* of file and options */
    int64_t saved_ms;
    bool told_position;

    int64_t begun_ms, shown_ms;
    uint64_t begun_offset;
};

/* ---- what is told ---- */

void import_tell_row(struct import *import, uint64_t line, const char *what,
                     struct text typed);
void import_progress(struct import *import);
void import_progress_end(struct import *import);
void import_tell(struct import *import);

/* ---- the position ---- */

/* Where to keep it; false after a complaint. */
bool import_position_name(struct import *import);
/* Takes over where an earlier run has been; nothing: from the beginning. */
void import_position_load(struct import *import);
void import_position_save(struct import *import, bool at_once);
void import_position_remove(struct import *import);

/* ---- a batch ---- */

struct import_batch *import_batch_new(void); /* NULL: out of memory */
void import_batch_free(struct import_batch *batch);

/* Adds a row; other is the batch before, or NULL. */
void import_batch_add(struct import *import, struct import_batch *batch,
                      const struct import_batch *other,
                      const struct list_row *row);

/* Compares with Redis; what is to change is in the request. */
bool import_batch_judge(struct import *import, struct import_batch *batch);

bool import_batch_send(struct import *import, struct import_batch *batch);

/* Waits for nixied if need be, and counts. False with import->error. */
bool import_batch_finish(struct import *import, struct import_batch *batch);

#endif
