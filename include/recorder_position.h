/*
 * recorder_position.h - a hint where to resume reading
 *
 * <state_dir>/recorder.position, JSON, exchanged by rename. It may be missing
 * or old: then more is read than need be. It is believed only as far as the
 * checkpoints in Redis and the file's nonce bear it out.
 *
 * Errors   are the result; nothing is logged here.
 * Threads  any.
 */
#ifndef NIXIE_RECORDER_POSITION_H
#define NIXIE_RECORDER_POSITION_H

#include "error.h"
#include "event_files.h"
#include "instance.h"
#include "store_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recorder_position {
    char instance[INSTANCE_ID_SIZE];
    /* all before offset in this file, and all files before it, is applied */
    int64_t file_number;
    char file_nonce[EVENT_FILE_NONCE_SIZE];
    int64_t offset;
    int64_t seq; /* of the last event before it; 0: none */
    int64_t applied[STORE_BUCKETS];
};

/* False with error when the text is not a position. */
bool recorder_position_parse(const char *text, size_t length,
                             struct recorder_position *position,
                             struct error *error);

/* False with error; error "" when there is no file. */
bool recorder_position_load(const char *state_dir,
                            struct recorder_position *position,
                            struct error *error);
bool recorder_position_save(const char *state_dir,
                            const struct recorder_position *position,
                            struct error *error);

#endif
