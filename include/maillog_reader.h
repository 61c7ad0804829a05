/*
 * maillog_reader.h - lines of the delivery log into events
 *
 * Each line gives its events in order; each event carries the place in the
 * log: behind the line, or for all but the last of several events of a line
 * its beginning and how many of them there are so far, "POSITION#2". What
 * gives no event moves the place too, which a mark tells now and then.
 *
 * Sendmail logs each exchanger that it tries in one run: a deferral waits
 * until it is known not to be the first of such lines, for two seconds at
 * most, by our clock or by the stamps of its own source.
 *
 * A record of Sendmail in pieces has the place of its first piece. What comes
 * between them waits as long: the place that an event tells is never behind
 * the beginning of a record whose event is not there.
 *
 * Threads  one.
 */
#ifndef NIXIE_MAILLOG_READER_H
#define NIXIE_MAILLOG_READER_H

#include "event.h"
#include "maillog_follow.h"
#include "maillog_message.h"
#include "maillog_schedule.h"
#include "outcome.h"
#include "settings_share.h"

#include <stdbool.h>
#include <stdint.h>

struct maillog_reader_options {
    struct settings_share *settings; /* all borrowed for its life */
    struct maillog_messages *messages;
    struct outcome_judge *judge;
    const struct maillog_schedule *schedule;
    /* Takes an event; false: stop, it was not taken. */
    bool (*take)(void *context, struct event *event);
    /* Before *schedule is looked at; NULL: it is ready. */
    void (*need_schedule)(void *context);
    void *context;
};

struct maillog_reader;

struct maillog_reader *
maillog_reader_new(const struct maillog_reader_options *options);
void maillog_reader_free(struct maillog_reader *reader); /* or NULL */

/*
 * The first `events` events of the line that begins at `position` are in the
 * event log already. Of what is told so the last counts for each source.
 */
void maillog_reader_skip(struct maillog_reader *reader, const char *position,
                         unsigned events);

/* False: take() said stop; the line's events may be taken in part. */
bool maillog_reader_line(struct maillog_reader *reader,
                         const struct maillog_line *line);

/* Which source the event is of that take() is asked to take. */
size_t maillog_reader_source(const struct maillog_reader *reader);

/* What waits and has waited long enough, or all of it. */
bool maillog_reader_release(struct maillog_reader *reader, bool all);

/* True if any line waits: call _release() again soon. */
bool maillog_reader_waits(const struct maillog_reader *reader);

struct maillog_reader_state {
    uint64_t lines, outcomes, unseen;
    uint64_t passed; /* lines that tell nothing */
};
void maillog_reader_state(const struct maillog_reader *reader,
                          struct maillog_reader_state *state);

#endif
