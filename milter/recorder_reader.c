#include "recorder_reader.h"

#include "clock.h"
#include "event_cursor.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder read while files are renamed may lack one: it is missing only
 * when it still is after this time. */
#define SETTLE_MS 200

struct recorder_reader {
    struct recorder_reader_options options;
    struct event_cursor *cursor; /* NULL: no file is open */
    struct event_file file;      /* the one that is open; without path */
    char name[256];              /* its path, escaped */
    bool live;                   /* our event log writes it now */
    bool told_fault;             /* of this file */
    bool told_torn;
    uint64_t torn;        /* in files before, and lines refused */
    int64_t after_seq;    /* the next file begins above it */
    int64_t after_number; /* with the number behind this; 0: any */
    int64_t start_offset; /* in the next file, if it is */
    char start_nonce[EVENT_FILE_NONCE_SIZE]; /* the one with this nonce */
    int64_t missing_since_ms;                /* 0: nothing is missing */
    int64_t missing_told; /* first_seq of the file behind it */
    struct recorder_missing missing;
};

struct recorder_reader *
recorder_reader_new(const struct recorder_reader_options *options)
{
    struct recorder_reader *reader = calloc(1, sizeof *reader);

    if (reader != NULL) {
        reader->options = *options;
    }
    return reader;
}

static void close_file(struct recorder_reader *reader)
{
    if (reader->cursor != NULL) {
        reader->torn += event_cursor_torn(reader->cursor);
    }
    event_cursor_free(reader->cursor);
    reader->cursor = NULL;
    reader->live = false;
}

void recorder_reader_free(struct recorder_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    close_file(reader);
    free(reader);
}

/* ---- which files there are ---- */

/* All files, and our log's own, which may be at none of the paths. */
struct survey {
    struct event_files files;
    struct event_file live;
    int live_fd; /* -1: none */
};

static void end_survey(struct survey *survey)
{
    event_files_free(&survey->files);
    if (survey->live_fd >= 0) {
        (void)close(survey->live_fd);
    }
}

static bool is_ours(const struct recorder_reader *reader,
                    const struct event_file *file)
{
    return file->kind == EVENT_FILE_EVENTS &&
           strcmp(file->instance, reader->options.instance) == 0;
}

/* The log's file first: if it is renamed now, we hold it already. */
static bool begin_survey(struct recorder_reader *reader, struct survey *survey)
{
    struct error error;
    int64_t number;

    memset(survey, 0, sizeof *survey);
    survey->live_fd = reader->options.log == NULL
                          ? -1
                          : event_log_dup(reader->options.log, &number);
    if (survey->live_fd >= 0 &&
        (!event_file_identify(survey->live_fd, &survey->live) ||
         !is_ours(reader, &survey->live))) {
        (void)close(survey->live_fd);
        survey->live_fd = -1;
    }
    if (!event_files_list(reader->options.event_log_path, &survey->files,
                          &error)) {
        if (!reader->told_fault) {
            log_error("event log cannot be read: %s", error.text);
        }
        reader->told_fault = true;
        end_survey(survey);
        return false;
    }
    return true;
}

/* The first file that begins above seq, or NULL. */
static const struct event_file *file_above(const struct recorder_reader *reader,
                                           const struct survey *survey,
                                           int64_t seq)
{
    const struct event_file *best = NULL;

    /* of copies of one file the log's own comes first: it may yet grow */
    if (survey->live_fd >= 0 && survey->live.first_seq > seq) {
        best = &survey->live;
    }
    for (size_t i = 0; i < survey->files.count; i++) {
        const struct event_file *file = &survey->files.file[i];

        if (is_ours(reader, file) && file->first_seq > seq &&
            (best == NULL || file->first_seq < best->first_seq)) {
            best = file;
        }
    }
    return best;
}

/* ---- opening ---- */

static int open_path(const struct event_file *file)
{
    struct event_file found = {.path = NULL};
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0) {
        return -1;
    }
    if (!event_file_identify(fd, &found) || found.kind != EVENT_FILE_EVENTS ||
        strcmp(found.nonce, file->nonce) != 0) {
        (void)close(fd); /* renamed meanwhile: the next survey tells */
        return -1;
    }
    return fd;
}

/* False when it could not be opened: the file before stays open. */
static bool open_file(struct recorder_reader *reader, struct survey *survey,
                      const struct event_file *file)
{
    bool live = file == &survey->live;
    /* the file that we were to go on in may be gone meanwhile */
    bool begun = strcmp(file->nonce, reader->start_nonce) == 0;
    const char *path = live ? reader->options.event_log_path : file->path;
    int fd =
        live ? fcntl(survey->live_fd, F_DUPFD_CLOEXEC, 0) : open_path(file);
    struct event_cursor *cursor;

    if (fd < 0) {
        return false;
    }
    cursor = event_cursor_new(fd, begun ? (off_t)reader->start_offset : 0);
    if (cursor == NULL) {
        return false;
    }
    close_file(reader);
    reader->cursor = cursor;
    reader->file = *file;
    reader->file.path = NULL; /* the survey's */
    (void)text_escape(text_of(path), reader->name, sizeof reader->name);
    reader->live = live;
    reader->told_fault = false;
    reader->told_torn = false;
    reader->after_seq = file->first_seq;
    reader->after_number = file->file_number;
    reader->start_offset = 0;
    reader->start_nonce[0] = '\0';
    reader->missing_since_ms = 0;
    return true;
}

/* ".<number>.gz" at its end is what it was called before; 0: no number. */
static int64_t number_in_name(const char *path)
{
    const char *end = strrchr(path, '.');
    int64_t number = 0;
    int64_t weight = 1;

    while (end != NULL && end > path && end[-1] >= '0' && end[-1] <= '9' &&
           weight < INT64_C(1000000000000000)) {
        end--;
        number += (*end - '0') * weight;
        weight *= 10;
    }
    return number;
}

/* A compressed file with a number that is missing; else one without any. */
static void find_compressed(const struct survey *survey,
                            struct recorder_missing *missing)
{
    missing->compressed[0] = '\0';
    for (size_t i = 0; i < survey->files.count; i++) {
        const struct event_file *file = &survey->files.file[i];
        int64_t number;

        if (file->kind != EVENT_FILE_COMPRESSED) {
            continue;
        }
        number = number_in_name(file->path);
        if (number == 0 || (number >= missing->first_number &&
                            number <= missing->last_number)) {
            (void)text_escape(text_of(file->path), missing->compressed,
                              sizeof missing->compressed);
        }
        if (number > 0 && missing->compressed[0] != '\0') {
            return;
        }
    }
}

/* READER_LINE: nothing is missing before the file, or it has been told. */
static enum recorder_reader_result
look_for_missing(struct recorder_reader *reader, const struct survey *survey,
                 const struct event_file *file)
{
    int64_t now_ms = clock_monotonic_ms();

    if (file->file_number <= reader->after_number + 1 ||
        file->first_seq == reader->missing_told) {
        return READER_LINE;
    }
    if (reader->missing_since_ms == 0) {
        reader->missing_since_ms = now_ms;
    }
    if (now_ms - reader->missing_since_ms < SETTLE_MS) {
        return READER_LATER;
    }
    reader->missing =
        (struct recorder_missing){.from_start = reader->after_number == 0,
                                  .first_number = reader->after_number + 1,
                                  .last_number = file->file_number - 1,
                                  .first_seq = reader->after_seq + 1,
                                  .last_seq = file->first_seq - 1};
    find_compressed(survey, &reader->missing);
    reader->missing_told = file->first_seq;
    return READER_MISSING;
}

/* READER_LINE: the next file is open. READER_END: there is none. */
static enum recorder_reader_result open_next(struct recorder_reader *reader)
{
    const struct event_file *file;
    struct survey survey;
    enum recorder_reader_result result = READER_END;

    if (!begin_survey(reader, &survey)) {
        return READER_LATER;
    }
    file = file_above(reader, &survey, reader->after_seq);
    if (file != NULL) {
        result = look_for_missing(reader, &survey, file);
    }
    if (result == READER_LINE && !open_file(reader, &survey, file)) {
        result = READER_LATER;
    }
    end_survey(&survey);
    return result;
}

/* ---- reading ---- */

static bool is_left_by_log(const struct recorder_reader *reader)
{
    struct event_log_state state;

    event_log_state(reader->options.log, &state);
    return state.file_number != reader->file.file_number;
}

static void tell_fault(struct recorder_reader *reader, const char *fault)
{
    if (!reader->told_fault) {
        log_error("event log cannot be read: %s: path=%s offset=%lld", fault,
                  reader->name, (long long)event_cursor_offset(reader->cursor));
    }
    reader->told_fault = true;
}

/* At the end of the open file. READER_LINE: look at it again. */
static enum recorder_reader_result leave_file(struct recorder_reader *reader)
{
    enum recorder_reader_result result;

    if (reader->live) {
        if (!is_left_by_log(reader)) {
            return READER_END;
        }
        reader->live = false; /* what came before it was left is there now */
        return READER_LINE;
    }
    result = open_next(reader);
    return result == READER_LINE ? READER_FILE_END : result;
}

enum recorder_reader_result recorder_reader_next(struct recorder_reader *reader,
                                                 const char **line,
                                                 size_t *length)
{
    enum recorder_reader_result result = READER_LINE;
    char cause[128];

    if (reader->cursor == NULL) {
        result = open_next(reader);
    }
    while (result == READER_LINE) {
        switch (event_cursor_next(reader->cursor, line, length)) {
        case EVENT_CURSOR_LINE:
            return READER_LINE;
        case EVENT_CURSOR_END:
            result = leave_file(reader);
            break;
        case EVENT_CURSOR_TRUNCATED:
            tell_fault(reader, "truncated by somebody, lines may be lost");
            result = leave_file(reader);
            break;
        case EVENT_CURSOR_ERROR:
            tell_fault(reader, strerror_r(errno, cause, sizeof cause));
            return READER_LATER;
        }
    }
    return result;
}

const struct recorder_missing *
recorder_reader_missing(const struct recorder_reader *reader)
{
    return &reader->missing;
}

void recorder_reader_place(const struct recorder_reader *reader,
                           struct recorder_place *place)
{
    memset(place, 0, sizeof *place);
    if (reader->cursor != NULL) {
        place->file_number = reader->file.file_number;
        place->first_seq = reader->file.first_seq;
        place->offset = (int64_t)event_cursor_offset(reader->cursor);
        memcpy(place->file_nonce, reader->file.nonce, sizeof place->file_nonce);
    }
}

/* ---- going elsewhere ---- */

/* The next file to be opened is this one; NULL: the first. */
static void go_to(struct recorder_reader *reader, const struct event_file *file,
                  int64_t offset)
{
    close_file(reader);
    reader->after_seq = file == NULL ? 0 : file->first_seq - 1;
    reader->after_number = file == NULL ? 0 : file->file_number - 1;
    reader->start_offset = offset;
    reader->start_nonce[0] = '\0';
    if (file != NULL) {
        memcpy(reader->start_nonce, file->nonce, sizeof reader->start_nonce);
    }
    reader->missing_since_ms = 0;
    reader->missing_told = file == NULL ? 0 : file->first_seq;
}

/* At the beginning of a line. */
static bool is_line_start(int fd, const struct event_file *file, int64_t offset)
{
    char before = '\n';

    return offset >= 0 && offset <= (int64_t)file->size &&
           (offset == 0 || (pread(fd, &before, 1, (off_t)(offset - 1)) == 1 &&
                            before == '\n'));
}

static bool resume_in(struct recorder_reader *reader, struct survey *survey,
                      const struct event_file *file, const char *nonce,
                      int64_t offset)
{
    bool live = file == &survey->live;
    int fd;
    bool possible;

    if (!is_ours(reader, file) || strcmp(file->nonce, nonce) != 0) {
        return false;
    }
    fd = live ? survey->live_fd : open_path(file);
    possible = fd >= 0 && is_line_start(fd, file, offset);
    if (!live && fd >= 0) {
        (void)close(fd);
    }
    if (possible) {
        go_to(reader, file, offset);
    }
    return possible;
}

bool recorder_reader_resume(struct recorder_reader *reader, const char *nonce,
                            int64_t offset)
{
    struct survey survey;
    bool resumed;

    if (!begin_survey(reader, &survey)) {
        return false;
    }
    resumed = survey.live_fd >= 0 &&
              resume_in(reader, &survey, &survey.live, nonce, offset);
    for (size_t i = 0; i < survey.files.count && !resumed; i++) {
        resumed =
            resume_in(reader, &survey, &survey.files.file[i], nonce, offset);
    }
    end_survey(&survey);
    return resumed;
}

void recorder_reader_rewind(struct recorder_reader *reader, int64_t seq)
{
    const struct event_file *file = NULL;
    const struct event_file *next;
    struct survey survey;

    if (!begin_survey(reader, &survey)) {
        go_to(reader, NULL, 0); /* more than need be, which does no harm */
        return;
    }
    next = file_above(reader, &survey, 0);
    while (next != NULL && next->first_seq <= seq) {
        file = next;
        next = file_above(reader, &survey, file->first_seq);
    }
    go_to(reader, file, 0);
    end_survey(&survey);
}

void recorder_reader_refuse(struct recorder_reader *reader,
                            const struct error *why)
{
    reader->torn++;
    if (!reader->told_torn) {
        log_warning("event log: a line is passed over, more of this file are "
                    "only counted: path=%s before=%lld error=\"%s\"",
                    reader->name,
                    (long long)event_cursor_offset(reader->cursor), why->text);
    }
    reader->told_torn = true;
}

uint64_t recorder_reader_torn(const struct recorder_reader *reader)
{
    return reader->torn +
           (reader->cursor == NULL ? 0 : event_cursor_torn(reader->cursor));
}

/* ---- retention ---- */

static void delete_file(const struct event_file *file)
{
    char shown[256];

    (void)text_escape(text_of(file->path), shown, sizeof shown);
    if (unlink(file->path) == 0) {
        log_info("event log: file deleted, applied and older than the "
                 "retention: path=%s file_number=%lld",
                 shown, (long long)file->file_number);
    } else if (errno != ENOENT) {
        char cause[128];

        log_warning("event log: file cannot be deleted: path=%s error=\"%s\"",
                    shown, strerror_r(errno, cause, sizeof cause));
    }
}

void recorder_reader_delete(struct recorder_reader *reader, int64_t first_seq,
                            int64_t before_us)
{
    struct survey survey;

    if (!begin_survey(reader, &survey)) {
        return;
    }
    for (size_t i = 0; i < survey.files.count; i++) {
        const struct event_file *file = &survey.files.file[i];

        if (is_ours(reader, file) && file->first_seq < first_seq &&
            file->modified_us < before_us &&
            (survey.live_fd < 0 || file->inode != survey.live.inode) &&
            strcmp(file->path, reader->options.event_log_path) != 0) {
            delete_file(file);
        }
    }
    end_survey(&survey);
}
