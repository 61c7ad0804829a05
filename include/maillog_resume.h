/*
 * maillog_resume.h - what the event log tells of the delivery log at a start
 *
 * How far each source was read, and what is known of the messages on their
 * way. All files of the folder are looked through, oldest first, also those of
 * another instance (a lost state folder); positions in files of other hosts
 * are of no source of ours. Of messages only the last RESUME_BYTES are read.
 *
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_RESUME_H
#define NIXIE_MAILLOG_RESUME_H

#include "error.h"
#include "maillog_follow.h"
#include "maillog_message.h"
#include "maillog_reader.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RESUME_BYTES ((int64_t)256 * 1024 * 1024)

struct maillog_resume {
    const char *event_log; /* its path */
    struct maillog_follow *follow;
    struct maillog_reader *reader;
    struct maillog_messages *messages;
    const atomic_bool *stopping; /* may end it before its time */
    int64_t message_bytes;       /* 0: RESUME_BYTES */
    uint64_t positions;          /* found, of sources of ours */
};

/* False with error when the folder or a file cannot be read. */
bool maillog_resume(struct maillog_resume *resume, struct error *error);

#endif
