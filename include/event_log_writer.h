/*
 * event_log_writer.h - puts lines into the file, in order, whatever happens
 *
 * The part of the event log that knows no threads: numbers, held lines, gaps,
 * a truncated file, the first record of a new one. Faults of the disk are
 * logged here, when they begin and when they end.
 *
 * Threads  one at a time: event_log calls with its lock held, but for
 *          _render(), which any thread may call.
 */
#ifndef NIXIE_EVENT_LOG_WRITER_H
#define NIXIE_EVENT_LOG_WRITER_H

#include "event_id.h"
#include "event_json.h"
#include "event_log.h"
#include "event_log_file.h"
#include "event_log_held.h"

#include <stdbool.h>
#include <stdint.h>

#define EVENT_LINE_ROOM (EVENT_JSON_HEAD + EVENT_LINE_MAX)

struct event_log_writer {
    struct event_log_options options;
    struct instance *instance;
    struct event_id_source *ids;

    struct event_log_file file;
    struct event_log_held held;
    int64_t last_seq;
    int64_t newest_number; /* of our files */

    /* Numbers that were taken for lines that did not get into the file. */
    int64_t spare_first;
    int64_t spare_end; /* equal: none */

    bool failing;
    int cause; /* the errno of it */
    int64_t retry_ms;
    uint64_t gap; /* lost, and no record tells it yet */

    /* Counts of lines: all, those on disk, those known not to get there. */
    uint64_t lines;
    uint64_t synced;
    uint64_t unsynced;
    bool sync_failing;
    bool folder_changed; /* since it was synced */

    uint64_t written;
    uint64_t lost;
};

/*
 * Goes on with the file at the path or begins one. All but options, instance
 * and ids is zero before. A full disk is no failure: lines are held then.
 */
bool event_log_writer_open(struct event_log_writer *writer,
                           struct error *error);

/* Sets what event_log_append() says it sets; line points into bytes. */
void event_log_writer_render(const struct event_log_writer *writer,
                             struct event *event, char bytes[EVENT_LINE_ROOM],
                             struct event_line *line);

enum event_log_result event_log_writer_append(struct event_log_writer *writer,
                                              struct event_line *line);

/*
 * Writes what is due before the next line; true when nothing is left. Without
 * at_once it does not try each time: a full disk would slow the mail down.
 */
bool event_log_writer_catch_up(struct event_log_writer *writer, bool at_once);

/* Another file; false with error when the old one stays in use. */
bool event_log_writer_begin_file(struct event_log_writer *writer,
                                 struct error *error);

void event_log_writer_seen_seq(struct event_log_writer *writer, int64_t seq);

/* Results of fdatasync(2): of all up to that line, or of the last try. */
void event_log_writer_synced(struct event_log_writer *writer, uint64_t lines);
void event_log_writer_sync_failed(struct event_log_writer *writer, int cause);

/* Forgets what is held, with a log line that counts it; closes the file. */
void event_log_writer_close(struct event_log_writer *writer);

#endif
