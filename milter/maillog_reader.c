#include "maillog_reader.h"

#include "clock.h"
#include "fnv.h"
#include "maillog_line.h"
#include "maillog_outcome.h"
#include "maillog_position.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIPS        64   /* sources, and some that are followed no more */
#define CLOCKS       16   /* more sources share them */
#define HELD_MAX     1000 /* lines that wait behind a deferral */
#define HELD_WAIT_MS 2000

/* Of a source: what of its next line is in the event log already. */
struct skip {
    struct maillog_position place;
    unsigned events;
};

struct held {
    struct maillog_line line; /* for its place */
    char position[MAILLOG_POSITION_SIZE], before[MAILLOG_POSITION_SIZE];
    struct maillog_record record;
    char *bytes;     /* of the record */
    bool deferral;   /* it waits itself; others wait behind one */
    bool superseded; /* by a later line of the same run */
    bool unfinished; /* the place of a record whose pieces are still to come */
    uint64_t pieces; /* whose */
    uint64_t run;
    int64_t until_us; /* by the stamps of the log, or */
    int64_t until_ms; /* by our clock */
};

struct maillog_reader {
    struct maillog_reader_options options;
    struct maillog_parser *parser;
    const struct settings *settings; /* lent to us */
    struct skip skips[SKIPS];
    size_t skip_count;
    struct held held[HELD_MAX]; /* a ring */
    size_t held_first, held_count;
    /* the stamp of the last line of use; one log may be read far behind another
     */
    int64_t seen_us[CLOCKS];
    struct maillog_reader_state state;
    size_t source; /* of the line that is given */
};

struct maillog_reader *
maillog_reader_new(const struct maillog_reader_options *options)
{
    struct maillog_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL) {
        return NULL;
    }
    reader->options = *options;
    reader->parser = maillog_parser_new(clock_now_us());
    if (reader->parser == NULL) {
        free(reader);
        return NULL;
    }
    reader->settings = settings_share_borrow(options->settings);
    return reader;
}

void maillog_reader_free(struct maillog_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    for (size_t i = 0; i < HELD_MAX; i++) {
        free(reader->held[i].bytes);
    }
    maillog_parser_free(reader->parser);
    settings_share_return(reader->options.settings, reader->settings);
    free(reader);
}

/* Goes over to the newest settings. */
static void follow(struct maillog_reader *reader)
{
    struct settings_share *share = reader->options.settings;

    if (!settings_share_is_newest(share, reader->settings)) {
        settings_share_return(share, reader->settings);
        reader->settings = settings_share_borrow(share);
    }
}

void maillog_reader_skip(struct maillog_reader *reader, const char *position,
                         unsigned events)
{
    struct maillog_position place;
    size_t at = 0;

    if (!maillog_position_parse(position, &place)) {
        return;
    }
    while (at < reader->skip_count &&
           reader->skips[at].place.source != place.source) {
        at++;
    }
    if (at < SKIPS) {
        reader->skips[at] = (struct skip){place, events};
        reader->skip_count += at == reader->skip_count;
    }
}

/* Of the first line of its source; afterwards it matters no more. */
static unsigned take_skip(struct maillog_reader *reader, const char *before)
{
    struct maillog_position place;

    if (reader->skip_count == 0 || !maillog_position_parse(before, &place)) {
        return 0;
    }
    for (size_t i = 0; i < reader->skip_count; i++) {
        struct skip skip = reader->skips[i];

        if (skip.place.source == place.source) {
            reader->skips[i] = reader->skips[--reader->skip_count];
            return maillog_position_same(&skip.place, &place) ? skip.events : 0;
        }
    }
    return 0;
}

/* ---- one line ------------------------------------------------------------ */

static enum maillog_kind parse(struct maillog_reader *reader,
                               const struct maillog_line *line,
                               struct maillog_record *record)
{
    enum maillog_kind kind =
        line->timestamp_us != 0
            ? maillog_parse_message(reader->parser, line->timestamp_us,
                                    line->program, line->pid, line->text,
                                    record)
            : maillog_parse(reader->parser, line->text, record);

    record->cut = kind != MAILLOG_NOTHING && (record->cut || line->cut);
    return kind;
}

/* The events of a line: how many there were, and which is the last. */
struct giving {
    struct maillog_reader *reader;
    const struct maillog_line *line;
    unsigned skip, given;
};

/* Of a delivery there is no more to find in its text. */
static bool is_judged(const struct event *event)
{
    return event->type == EVENT_DELIVERY && event->enhanced_status.length > 0;
}

static bool give(struct giving *giving, struct maillog_outcome *outcome,
                 bool last)
{
    struct maillog_reader *reader = giving->reader;
    char position[MAILLOG_POSITION_SIZE + 12];

    giving->given++;
    if (giving->given <= giving->skip) {
        return true;
    }
    if (last) {
        outcome->event.maillog_position = text_of(giving->line->position);
    } else {
        (void)snprintf(position, sizeof position, "%s#%u", giving->line->before,
                       giving->given);
        outcome->event.maillog_position = text_of(position);
    }
    if (outcome->event.type != EVENT_REJECTION &&
        outcome->event.type != EVENT_MARK) {
        if (reader->options.judge != NULL && !is_judged(&outcome->event)) {
            outcome_judge(reader->options.judge, &outcome->facts,
                          &outcome->event);
        }
        reader->state.unseen += !outcome->message.seen;
    }
    reader->state.outcomes++;
    if (!reader->options.take(reader->options.context, &outcome->event)) {
        return false;
    }
    maillog_messages_learn(reader->options.messages, &outcome->event);
    return true;
}

/* Each recipient; what is the last is known only when there is no other. */
static bool give_outcomes(struct giving *giving,
                          const struct maillog_sources *sources,
                          const struct maillog_record *record)
{
    struct maillog_outcome outcomes[2];
    struct text recipient;
    size_t at = 0;
    unsigned count = 0;

    while (maillog_recipient(record, &at, &recipient)) {
        struct maillog_outcome *next = &outcomes[count % 2];

        /* texts of the one before stay: they are in the other */
        if (maillog_outcome_make(sources, record, recipient, next)) {
            if (count > 0 && !give(giving, &outcomes[(count - 1) % 2], false)) {
                return false;
            }
            count++;
        }
    }
    return count == 0 || give(giving, &outcomes[(count - 1) % 2], true);
}

/*
 * Who waits is known from what the log says of them, so what is there already
 * is not found again: nothing is skipped, and no event is the last.
 */
static bool give_expirations(struct giving *giving,
                             const struct maillog_sources *sources,
                             const struct maillog_record *record)
{
    struct maillog_outcome outcome;
    size_t at = 0;

    giving->skip = 0;
    while (maillog_outcome_expire(sources, record, &at, &outcome)) {
        if (!give(giving, &outcome, false)) {
            return false;
        }
    }
    return true;
}

static bool give_line(struct maillog_reader *reader,
                      const struct maillog_line *line,
                      const struct maillog_record *record)
{
    struct maillog_sources sources = {
        .schedule = reader->options.schedule,
        .messages = reader->options.messages,
    };
    struct giving giving = {reader, line, take_skip(reader, line->before), 0};
    bool taken = true;

    follow(reader);
    reader->source = line->source;
    sources.settings = reader->settings;
    switch (record->kind) {
    case MAILLOG_NOTHING:
        break;
    case MAILLOG_REJECTION:
        giving.skip = 0; /* what is there is told already, and not made */
        taken = give_outcomes(&giving, &sources, record);
        break;
    case MAILLOG_OUTCOME:
        if (record->status == MAILLOG_DEFERRED &&
            reader->options.need_schedule != NULL) {
            reader->options.need_schedule(reader->options.context);
        }
        taken = give_outcomes(&giving, &sources, record);
        break;
    case MAILLOG_SUBMISSION:
    case MAILLOG_MESSAGE:
    case MAILLOG_REMOVED:
        maillog_messages_note(reader->options.messages, record);
        break;
    case MAILLOG_EXPIRED:
        taken = give_expirations(&giving, &sources, record);
        break;
    }
    return taken;
}

/* ---- lines that wait ----------------------------------------------------- */

static struct held *held_at(struct maillog_reader *reader, size_t index)
{
    return &reader->held[(reader->held_first + index) % HELD_MAX];
}

/* Of a later line, or of a session, that tells the same better. */
static bool is_deferral(const struct maillog_record *record)
{
    return (record->kind == MAILLOG_OUTCOME && record->sendmail &&
            record->status == MAILLOG_DEFERRED && record->pid != 0) ||
           (record->kind == MAILLOG_REJECTION && record->shown_later);
}

static uint64_t add_to_hash(uint64_t hash, struct text text)
{
    return fnv_add_byte(fnv_add(hash, text), 0);
}

static int64_t *clock_of(struct maillog_reader *reader,
                         const struct maillog_line *line)
{
    return &reader->seen_us[line->source % CLOCKS];
}

/* What lines of one run about the same recipients have in common. */
static uint64_t run_of(const struct maillog_record *record)
{
    uint64_t hash = FNV_BEGIN ^ (uint64_t)record->pid;

    return add_to_hash(add_to_hash(hash, record->queue_id), record->recipients);
}

static void supersede(struct maillog_reader *reader, uint64_t run)
{
    for (size_t i = 0; i < reader->held_count; i++) {
        struct held *held = held_at(reader, i);

        held->superseded =
            held->superseded || (held->deferral && held->run == run);
    }
}

/* False: no memory. The place that it has is kept. */
static bool fill(struct held *held, const struct maillog_record *record)
{
    struct maillog_record kept;
    char *bytes = maillog_record_copy(record, &kept);

    if (bytes == NULL) {
        return false;
    }
    free(held->bytes);
    held->record = kept;
    held->bytes = bytes;
    held->deferral = is_deferral(record);
    held->superseded = false;
    held->unfinished = record->piece > 0 && record->unfinished;
    held->pieces = record->pieces;
    held->run = run_of(record);
    held->until_us = record->timestamp_us + HELD_WAIT_MS * INT64_C(1000);
    held->until_ms = clock_monotonic_ms() + HELD_WAIT_MS;
    return true;
}

/* False: no memory; then it does not wait. */
static bool hold(struct maillog_reader *reader, const struct maillog_line *line,
                 const struct maillog_record *record)
{
    struct held *held = held_at(reader, reader->held_count);

    held->line = *line;
    held->line.text = (struct text){NULL, 0};
    held->line.program = (struct text){NULL, 0};
    (void)text_copy(text_of(line->position), held->position,
                    sizeof held->position);
    (void)text_copy(text_of(line->before), held->before, sizeof held->before);
    if (!fill(held, record)) {
        return false;
    }
    reader->held_count++;
    return true;
}

/* ---- records in pieces --------------------------------------------------- */

/*
 * The record takes the place of its first piece, before all that came between:
 * who goes on behind that piece finds the others, and knows them for the rest
 * of something that is told.
 */
static struct held *find_unfinished(struct maillog_reader *reader,
                                    const struct maillog_line *line,
                                    const struct maillog_record *record)
{
    for (size_t i = 0; i < reader->held_count; i++) {
        struct held *held = held_at(reader, i);

        if (held->unfinished && held->pieces == record->pieces &&
            held->line.source == line->source) {
            return held;
        }
    }
    return NULL;
}

static void end_unfinished(struct held *held)
{
    if (held != NULL) {
        held->unfinished = false;
        held->superseded = true;
    }
}

/* Of a line that is no whole record. False: it is no such piece. */
static bool await_pieces(struct maillog_reader *reader,
                         const struct maillog_line *line,
                         const struct maillog_record *record)
{
    struct held *held;

    if (record->piece == 0) {
        return false;
    }
    held = find_unfinished(reader, line, record);
    if (record->piece == 1 || !record->unfinished) {
        end_unfinished(held);
    }
    if (record->piece == 1 && record->unfinished &&
        (reader->held_count < HELD_MAX)) {
        (void)hold(reader, line, record);
    }
    return true;
}

/* Of one that is whole now. False: it is to be given at its own place. */
static bool finish_pieces(struct maillog_reader *reader,
                          const struct maillog_line *line,
                          const struct maillog_record *record)
{
    struct held *held =
        record->piece == 0 ? NULL : find_unfinished(reader, line, record);

    if (held == NULL || fill(held, record)) {
        return held != NULL;
    }
    end_unfinished(held);
    return false;
}

/* ---- their turn ---------------------------------------------------------- */

static bool waits(const struct maillog_reader *reader, const struct held *held)
{
    return (held->deferral || held->unfinished) && !held->superseded &&
           reader->held_count < HELD_MAX &&
           reader->seen_us[held->line.source % CLOCKS] < held->until_us &&
           clock_monotonic_ms() < held->until_ms;
}

static bool give_held(struct maillog_reader *reader)
{
    struct held *held = held_at(reader, 0);
    bool taken = true;

    if (held->superseded || held->unfinished) {
        (void)take_skip(reader, held->before);
    } else {
        held->line.position = held->position;
        held->line.before = held->before;
        taken = give_line(reader, &held->line, &held->record);
    }
    free(held->bytes);
    held->bytes = NULL;
    reader->held_first = (reader->held_first + 1) % HELD_MAX;
    reader->held_count--;
    return taken;
}

bool maillog_reader_release(struct maillog_reader *reader, bool all)
{
    while (reader->held_count > 0) {
        if (!all && waits(reader, held_at(reader, 0))) {
            return true;
        }
        if (!give_held(reader)) {
            return false;
        }
    }
    return true;
}

size_t maillog_reader_source(const struct maillog_reader *reader)
{
    return reader->source;
}

bool maillog_reader_waits(const struct maillog_reader *reader)
{
    return reader->held_count > 0;
}

/* Before the first one: nothing comes of it, but later ones go on with it. */
static void look_back_at(struct maillog_reader *reader,
                         const struct maillog_line *line)
{
    struct maillog_record record;

    maillog_parser_look_back(reader->parser, true);
    (void)parse(reader, line, &record);
    maillog_parser_look_back(reader->parser, false);
}

bool maillog_reader_line(struct maillog_reader *reader,
                         const struct maillog_line *line)
{
    struct maillog_record record;
    enum maillog_kind kind;

    if (line->told) {
        look_back_at(reader, line);
        return true;
    }
    kind = parse(reader, line, &record);
    reader->state.lines++;
    if (kind == MAILLOG_NOTHING) {
        reader->state.passed++;
        return !await_pieces(reader, line, &record) ||
               maillog_reader_release(reader, false);
    }
    *clock_of(reader, line) = record.timestamp_us;
    if (reader->held_count > 0 && kind == MAILLOG_OUTCOME && record.sendmail) {
        supersede(reader, run_of(&record));
    }
    if (finish_pieces(reader, line, &record)) {
        return maillog_reader_release(reader, false);
    }
    if (reader->held_count > 0 || is_deferral(&record)) {
        if (hold(reader, line, &record)) {
            return maillog_reader_release(reader, false);
        }
        if (!maillog_reader_release(reader, true)) {
            return false;
        }
    }
    return give_line(reader, line, &record);
}

void maillog_reader_state(const struct maillog_reader *reader,
                          struct maillog_reader_state *state)
{
    *state = reader->state;
}
