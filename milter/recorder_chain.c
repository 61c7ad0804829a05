#include "recorder_chain.h"

#include "clock.h"
#include "event_json.h"
#include "event_log.h"
#include "log.h"
#include "recorder_effect.h"
#include "recorder_fault.h"
#include "recorder_reader.h"
#include "recorder_verdict.h"
#include "recorder_window.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_TRIES   3    /* a sweep that mends wants nobody between */
#define SURPRISES_MAX 3    /* then somebody else moves our checkpoints */
#define LINES_MAX     8192 /* read at once, of what is applied already */
#define LL(number)    ((long long)(number))

struct recorder_chain {
    const struct recorder_options *options;
    char instance[INSTANCE_ID_SIZE];
    bool own;
    struct recorder_reader *reader;
    struct recorder_window *window;
    struct effect *effects; /* EFFECT_MAX, of the event in hand */

    int64_t applied[STORE_BUCKETS];
    bool known; /* applied is from checkpoints, or from a position */
    int64_t rolled_from, rolled_to; /* is being applied again; 0: nothing */
    unsigned surprises; /* sweeps since the last call that was applied */

    int64_t read_seq;   /* of the last line */
    bool resumed;       /* that is, of a position: no line was read yet */
    const char *held;   /* a line read but not decoded, for want of memory: */
    size_t held_length; /* the reader's, until the next is asked for */
    bool told_memory;
    int64_t highest_seq; /* ever read */
    size_t window_events;
    enum recorder_chain_progress progress; /* of the last read */

    struct recorder_place place;  /* all before it is applied; or nowhere */
    int64_t place_seq;            /* of the last event before it */
    int64_t done_seq;             /* the highest that this ever was, and */
    int64_t done_number;          /* its file; 0: never, not in a position */
    int64_t doubt_from, doubt_to; /* numbers of others among ours */
    uint64_t doubtful;            /* events of ours skipped because of them */
    struct recorder_dead dead;    /* what Redis refused */
    struct recorder_chain_state state;
};

struct recorder_chain *
recorder_chain_new(const struct recorder_options *options, const char *instance,
                   bool own)
{
    struct recorder_chain *chain = calloc(1, sizeof *chain);
    struct recorder_reader_options reading = {.event_log_path =
                                                  options->event_log_path,
                                              .log = own ? options->log : NULL};

    if (chain == NULL) {
        return NULL;
    }
    chain->options = options;
    chain->own = own;
    text_copy(text_of(instance), chain->instance, sizeof chain->instance);
    reading.instance = chain->instance;
    chain->reader = recorder_reader_new(&reading);
    chain->window = recorder_window_new();
    chain->effects = calloc(EFFECT_MAX, sizeof *chain->effects);
    if (chain->reader == NULL || chain->window == NULL ||
        chain->effects == NULL) {
        recorder_chain_free(chain);
        return NULL;
    }
    return chain;
}

void recorder_chain_free(struct recorder_chain *chain)
{
    if (chain == NULL) {
        return;
    }
    recorder_reader_free(chain->reader);
    recorder_window_free(chain->window);
    free(chain->effects);
    free(chain);
}

const char *recorder_chain_instance(const struct recorder_chain *chain)
{
    return chain->instance;
}

void recorder_chain_resume(struct recorder_chain *chain,
                           const struct recorder_position *position)
{
    memcpy(chain->applied, position->applied, sizeof chain->applied);
    chain->known = true;
    chain->done_seq = position->seq;
    chain->done_number = position->file_number;
    if (recorder_reader_resume(chain->reader, position->file_nonce,
                               position->offset)) {
        chain->resumed = true;
        chain->read_seq = position->seq;
        chain->highest_seq = position->seq;
    } else {
        log_info("recorder.position leads nowhere, files are read from their "
                 "beginning: file_number=%lld offset=%lld",
                 LL(position->file_number), LL(position->offset));
    }
}

/* ---- sweeping ---- */

static void read_again_from(struct recorder_chain *chain, int64_t seq)
{
    recorder_window_clear(chain->window);
    chain->window_events = 0;
    chain->state.oldest_us = 0;
    chain->read_seq = 0;
    chain->resumed = false;
    chain->held = NULL;
    memset(&chain->place, 0, sizeof chain->place);
    recorder_reader_rewind(chain->reader, seq);
}

static void begin_anew(struct recorder_chain *chain,
                       const struct recorder_verdict *verdict)
{
    memset(chain->applied, 0, sizeof chain->applied);
    chain->state.applied_seq = 0;
    chain->rolled_from = 0;
    chain->rolled_to = 0;
    if (verdict->emptied) {
        log_warning("redis was emptied, history is built again from the files "
                    "that are kept: instance=%s",
                    chain->instance);
    }
    read_again_from(chain, 0);
}

/* "07,12,…" of the buckets that are to be written again. */
static void name_adopted(const struct recorder_verdict *verdict, char *names,
                         size_t size)
{
    size_t used = 0;

    names[0] = '\0';
    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        if (verdict->adopted[bucket] != CHECKPOINT_ABSENT && used < size) {
            int length = snprintf(names + used, size - used, "%s%02u",
                                  used > 0 ? "," : "", bucket);

            used += length > 0 ? (size_t)length : 0;
        }
    }
}

static void tell_adopted(const struct recorder_chain *chain,
                         const struct recorder_verdict *verdict)
{
    char names[3 * STORE_BUCKETS + 1];

    name_adopted(verdict, names, sizeof names);
    log_error("checkpoints were removed from redis (by hand, or maxmemory-"
              "policy evicts them), they are written again and nothing is "
              "counted twice: instance=%s buckets=%s",
              chain->instance, names);
}

static void roll_back(struct recorder_chain *chain,
                      const struct recorder_verdict *verdict)
{
    int64_t from = verdict->rolled_from;

    log_warning("redis forgot what it had (failover, or a restart without "
                "persistence), it is applied again: instance=%s buckets=%u "
                "from_seq=%lld to_seq=%lld",
                chain->instance, verdict->rollbacks, LL(from),
                LL(verdict->rolled_to));
    chain->state.rollbacks += verdict->rollbacks;
    if (chain->rolled_from == 0 || from < chain->rolled_from) {
        chain->rolled_from = from;
    }
    if (verdict->rolled_to > chain->rolled_to) {
        chain->rolled_to = verdict->rolled_to;
    }
    if (chain->state.applied_seq >= from) {
        chain->state.applied_seq = from - 1;
    }
    /* never ahead: there may be what other buckets still need */
    if (chain->read_seq >= from) {
        read_again_from(chain, from);
    }
}

/*
 * Our log has no such number: it, or the state directory, was lost or put
 * back. Later numbers must be above it, or they would be taken for applied.
 */
static void meet_unknown_number(struct recorder_chain *chain, int64_t highest)
{
    int64_t last_seq =
        chain->own ? event_log_last_seq(chain->options->log) : INT64_MAX;

    if (highest <= last_seq || highest <= chain->highest_seq ||
        highest <= chain->doubt_to) {
        return;
    }
    if (chain->options->seq_seen != NULL) {
        chain->options->seq_seen(chain->options->context, highest);
    }
    log_warning("redis knows numbers of this instance that its log does not "
                "(log or state lost or put back, or a clone): instance=%s "
                "seq=%lld last_seq=%lld",
                chain->instance, LL(highest), LL(last_seq));
    chain->doubt_from = last_seq;
    chain->doubt_to = highest;
}

static void take_verdict(struct recorder_chain *chain,
                         const struct recorder_verdict *verdict)
{
    bool known = chain->known;

    chain->known = true;
    if (verdict->absent) {
        if (verdict->emptied || !known) {
            begin_anew(chain, verdict);
        }
        return;
    }
    meet_unknown_number(chain, verdict->highest);
    if (verdict->adoptions > 0) {
        tell_adopted(chain, verdict);
    }
    chain->state.fast_forwards += verdict->forwards;
    memcpy(chain->applied, verdict->applied, sizeof chain->applied);
    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        recorder_window_drop(chain->window, bucket, chain->applied[bucket]);
    }
    if (verdict->rollbacks > 0) {
        roll_back(chain, verdict);
    }
}

/* What the verdict asks for in Redis. STORE_ELSEWHERE: look again. */
static enum store_result mend(struct recorder_chain *chain,
                              struct recorder_store *store, bool watched,
                              const struct recorder_verdict *verdict,
                              struct error *error)
{
    enum store_result result = STORE_DONE;

    if (verdict->adoptions > 0) {
        /* only while nobody comes between: were the store emptied now, these
         * would look as if the others had been removed */
        return watched ? recorder_store_adopt(store, chain->instance,
                                              verdict->adopted, error)
                       : STORE_ELSEWHERE;
    }
    if (watched) {
        result = recorder_store_unwatch(store, error);
    }
    if (result == STORE_DONE && verdict->absent) {
        result = recorder_store_register(store, chain->instance, error);
    }
    return result;
}

enum store_result recorder_chain_sweep(struct recorder_chain *chain,
                                       struct recorder_store *store,
                                       struct error *error)
{
    for (unsigned i = 0; i < SWEEP_TRIES; i++) {
        struct recorder_verdict verdict;
        int64_t found[STORE_BUCKETS];
        bool watch = i > 0;
        enum store_result result =
            recorder_store_look(store, chain->instance, watch, found, error);

        if (result != STORE_DONE) {
            return result;
        }
        recorder_verdict_reach(&verdict, chain->known, chain->applied, found);
        if (verdict.damaged > 0) {
            error_set(error,
                      "%u checkpoints of instance %s hold no number, somebody "
                      "wrote there: delete these fields",
                      verdict.damaged, chain->instance);
            return STORE_REFUSED;
        }
        result = mend(chain, store, watch, &verdict, error);
        if (result == STORE_DONE) {
            take_verdict(chain, &verdict);
        }
        if (result != STORE_ELSEWHERE) {
            return result;
        }
    }
    error_set(error, "checkpoints change while they are looked at");
    return STORE_BUSY;
}

/* ---- reading ---- */

/* The effects of one bucket, those from effects on; how many. */
static size_t run_of(const struct effect *effects, size_t count)
{
    size_t length = 1;

    while (length < count && effects[length].bucket == effects[0].bucket) {
        length++;
    }
    return length;
}

static void add_event(struct recorder_chain *chain, const struct event *event)
{
    size_t count =
        recorder_effects(chain->options->key_prefix, event, chain->effects);
    bool added = false;
    bool skipped = false;
    size_t length;

    for (size_t i = 0; i < count; i += length) {
        const struct effect *effects = chain->effects + i;

        length = run_of(effects, count - i);
        if (event->seq <= chain->applied[effects->bucket]) {
            skipped = true;
        } else if (recorder_window_add(chain->window, event->seq, effects,
                                       length)) {
            added = true;
        }
    }
    if (added && chain->window_events++ == 0) {
        chain->state.oldest_us = event->timestamp_us;
    }
    if (skipped && event->seq > chain->doubt_from &&
        event->seq <= chain->doubt_to) {
        chain->doubtful++;
    }
}

/* An event that is passed over would never be applied: it waits. */
static void hold_line(struct recorder_chain *chain, const char *line,
                      size_t length)
{
    chain->held = line;
    chain->held_length = length;
    chain->progress = CHAIN_WAITING;
    if (!chain->told_memory) {
        log_error("no memory to read the event log, it is tried again: "
                  "instance=%s after_seq=%lld",
                  chain->instance, LL(chain->read_seq));
    }
    chain->told_memory = true;
}

/* False when it is to be tried again. */
static bool add_line(struct recorder_chain *chain, const char *line,
                     size_t length)
{
    struct error error;
    struct event event;
    struct event_json *json = event_json_decode(line, length, &event, &error);

    if (json == NULL) {
        if (errno == ENOMEM) {
            hold_line(chain, line, length);
            return false;
        }
        recorder_reader_refuse(chain->reader, &error);
        return true;
    }
    chain->told_memory = false;
    if (event.seq <= chain->read_seq && !chain->resumed) {
        /* a line put there by another hand: checkpoints only rise */
        error_set(&error, "seq %lld does not rise", LL(event.seq));
        recorder_reader_refuse(chain->reader, &error);
    } else {
        /* the line knows better than a position that leads to it */
        chain->read_seq = event.seq;
        chain->resumed = false;
        add_event(chain, &event);
    }
    event_json_free(json);
    return true;
}

static int64_t furthest_applied(const struct recorder_chain *chain)
{
    int64_t furthest = 0;

    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        if (chain->applied[bucket] > furthest) {
            furthest = chain->applied[bucket];
        }
    }
    return furthest;
}

/*
 * What the position, ours or of an earlier run, leaves to be applied is among
 * the missing. Retention never goes beyond it.
 */
static bool is_ahead(const struct recorder_chain *chain,
                     const struct recorder_missing *missing)
{
    return chain->done_number > 0 &&
           chain->done_number <= missing->last_number &&
           chain->done_seq < missing->last_seq;
}

/*
 * Windows end with files, so that a checkpoint inside a file says that all
 * before the file is applied, but for what Redis has forgotten since. What
 * was before the first file that is kept, only the position tells.
 */
static bool is_wanted(const struct recorder_chain *chain,
                      const struct recorder_missing *missing, int64_t *first,
                      int64_t *last)
{
    bool ahead = is_ahead(chain, missing);

    *first = missing->first_seq > chain->read_seq ? missing->first_seq
                                                  : chain->read_seq + 1;
    *last = missing->last_seq;
    if (furthest_applied(chain) <= missing->last_seq &&
        (!missing->from_start || missing->compressed[0] != '\0' || ahead)) {
        if (ahead && *first <= chain->done_seq) {
            *first =
                chain->rolled_from > 0 && chain->rolled_from <= chain->done_seq
                    ? chain->rolled_from
                    : chain->done_seq + 1;
        }
        return true;
    }
    if (chain->rolled_from > *first) {
        *first = chain->rolled_from;
    }
    if (chain->rolled_to < *last) {
        *last = chain->rolled_to;
    }
    return chain->rolled_from > 0 && *first <= *last;
}

static void meet_missing(struct recorder_chain *chain)
{
    const struct recorder_missing *missing =
        recorder_reader_missing(chain->reader);
    int64_t number = missing->first_number;
    int64_t first, last;

    if (!is_wanted(chain, missing, &first, &last)) {
        return;
    }
    if (missing->from_start && is_ahead(chain, missing)) {
        number = chain->done_number; /* those before it were retained */
    }
    if (missing->compressed[0] != '\0') {
        log_error("%s is compressed and not applied: gunzip it before redis is "
                  "built again, its events are not counted: instance=%s "
                  "file_number=%lld-%lld",
                  missing->compressed, chain->instance, LL(number),
                  LL(missing->last_number));
    } else {
        log_error("files of the event log are gone before they were applied: "
                  "instance=%s file_number=%lld-%lld seq=%lld-%lld",
                  chain->instance, LL(number), LL(missing->last_number),
                  LL(first), LL(last));
    }
    if (chain->own && chain->options->gap_found != NULL) {
        chain->options->gap_found(chain->options->context, first, last,
                                  missing->compressed[0] != '\0' ? "compressed"
                                                                 : "retention");
    }
}

static enum recorder_reader_result next_line(struct recorder_chain *chain,
                                             const char **line, size_t *length)
{
    if (chain->held == NULL) {
        return recorder_reader_next(chain->reader, line, length);
    }
    *line = chain->held;
    *length = chain->held_length;
    chain->held = NULL;
    return READER_LINE;
}

/* False when the window is to be applied, or there is nothing to read. */
static bool read_line(struct recorder_chain *chain)
{
    const char *line;
    size_t length;

    switch (next_line(chain, &line, &length)) {
    case READER_LINE:
        return add_line(chain, line, length);
    case READER_FILE_END:
        return recorder_window_is_empty(chain->window);
    case READER_MISSING:
        meet_missing(chain);
        return true;
    case READER_END:
        chain->progress = CHAIN_AT_END;
        return false;
    case READER_LATER:
        chain->progress = CHAIN_WAITING;
        return false;
    }
    return false;
}

static void read_window(struct recorder_chain *chain)
{
    unsigned lines = 0;

    if (chain->own) {
        /* what is in the files now will have been read at their end */
        chain->state.seen_seq = event_log_last_seq(chain->options->log);
    }
    recorder_window_clear(chain->window);
    chain->window_events = 0;
    chain->progress = CHAIN_MOVING;
    while (lines < LINES_MAX && !recorder_window_is_full(chain->window) &&
           read_line(chain)) {
        lines++;
    }
}

/* ---- applying ---- */

static size_t make_calls(const struct recorder_chain *chain,
                         const struct recorder_store *store,
                         struct recorder_call calls[STORE_BUCKETS])
{
    size_t parts = recorder_store_call_parts(store);
    size_t count = 0;

    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        count +=
            recorder_window_call(chain->window, bucket, chain->applied[bucket],
                                 parts, STORE_CALL_BYTES, &calls[count]);
    }
    return count;
}

static enum store_result apply(struct recorder_chain *chain,
                               struct recorder_store *store,
                               struct error *error)
{
    struct recorder_call calls[STORE_BUCKETS];
    struct recorder_result results[STORE_BUCKETS];
    size_t count = make_calls(chain, store, calls);
    enum store_result result = recorder_store_apply(
        store, chain->instance, calls, results, count, error);

    for (size_t i = 0; i < count; i++) {
        if (results[i].outcome == OUTCOME_APPLIED) {
            chain->applied[calls[i].bucket] = calls[i].last;
            recorder_window_drop(chain->window, calls[i].bucket, calls[i].last);
            (void)recorder_dead_tell(&chain->dead, &results[i],
                                     clock_monotonic_ms());
            chain->surprises = 0;
        }
    }
    return result;
}

static void tell_doubtful(struct recorder_chain *chain)
{
    if (chain->doubtful > 0) {
        log_error("events with numbers that redis takes for applied were not "
                  "counted: instance=%s events=%llu up_to_seq=%lld",
                  chain->instance, (unsigned long long)chain->doubtful,
                  LL(chain->doubt_to));
        chain->doubtful = 0;
    }
}

/* All that was read is applied: from here on it need not be read again. */
static void acknowledge(struct recorder_chain *chain)
{
    struct recorder_chain_state *state = &chain->state;
    bool at_end = chain->progress == CHAIN_AT_END;

    if (chain->held == NULL) { /* else the place is behind that line */
        recorder_reader_place(chain->reader, &chain->place);
        chain->place_seq = chain->read_seq;
    }
    if (chain->place_seq > chain->done_seq) {
        chain->done_seq = chain->place_seq;
        chain->done_number = chain->place.file_number;
    }
    state->applied += chain->window_events;
    state->oldest_us = 0;
    chain->window_events = 0;
    if (chain->read_seq > chain->highest_seq) {
        chain->highest_seq = chain->read_seq;
    }
    if (chain->read_seq > state->applied_seq) {
        state->applied_seq = chain->read_seq;
    }
    if (at_end && state->seen_seq > state->applied_seq) {
        state->applied_seq = state->seen_seq;
    }
    if (at_end || chain->read_seq > chain->rolled_to) {
        chain->rolled_from = 0;
        chain->rolled_to = 0;
    }
    tell_doubtful(chain);
}

enum store_result recorder_chain_step(struct recorder_chain *chain,
                                      struct recorder_store *store,
                                      enum recorder_chain_progress *progress,
                                      struct error *error)
{
    enum store_result result = STORE_DONE;

    *progress = CHAIN_MOVING;
    (void)recorder_dead_sum_up(&chain->dead, chain->instance,
                               clock_monotonic_ms());
    if (recorder_window_is_empty(chain->window)) {
        read_window(chain);
    }
    if (!recorder_window_is_empty(chain->window)) {
        result = apply(chain, store, error);
    }
    if (result == STORE_ELSEWHERE) {
        chain->surprises++;
        result = recorder_chain_sweep(chain, store, error);
        if (result == STORE_DONE && chain->surprises > SURPRISES_MAX) {
            error_set(error, "somebody else moves the checkpoints of %s",
                      chain->instance);
            result = STORE_BUSY;
        }
        return result;
    }
    if (result == STORE_DONE && recorder_window_is_empty(chain->window)) {
        acknowledge(chain);
        *progress = chain->progress;
    }
    return result;
}

/* ---- telling ---- */

void recorder_chain_state(const struct recorder_chain *chain,
                          struct recorder_chain_state *state)
{
    *state = chain->state;
    state->dead = chain->dead.count;
    state->torn = recorder_reader_torn(chain->reader);
}

bool recorder_chain_position(const struct recorder_chain *chain,
                             struct recorder_position *position)
{
    if (chain->place.file_number == 0) {
        return false;
    }
    memset(position, 0, sizeof *position);
    memcpy(position->instance, chain->instance, sizeof position->instance);
    memcpy(position->file_nonce, chain->place.file_nonce,
           sizeof position->file_nonce);
    memcpy(position->applied, chain->applied, sizeof position->applied);
    position->file_number = chain->place.file_number;
    position->offset = chain->place.offset;
    position->seq = chain->place_seq;
    return true;
}

void recorder_chain_retain(struct recorder_chain *chain, int64_t before_us)
{
    if (chain->place.file_number > 0) {
        /* another instance's last file is done with when it is at its end */
        recorder_reader_delete(chain->reader,
                               chain->own || chain->progress != CHAIN_AT_END
                                   ? chain->place.first_seq
                                   : INT64_MAX,
                               before_us);
    }
}
