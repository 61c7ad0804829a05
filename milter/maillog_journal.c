#include "config.h"

#include "maillog_journal.h"

#ifdef HAVE_LIBSYSTEMD

#include "log.h"
#include "maillog_line.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>

#define PROGRAM_MAX  256
#define FIELD_MAX    64 /* of the names of fields, with = */
#define PID_DIGITS   10
#define MAX_PER_CALL 256 /* entries without a message, before others */

struct maillog_journal {
    sd_journal *journal;
    bool follow, from_start;
    bool placed; /* the first look was had */
    bool has_start;
    struct maillog_position position; /* of what was given last */
    int trouble; /* errno of a lasting fault that has been logged; 0: none */
    uint64_t lost;
    /* of the line that is given: the journal's own bytes do not last */
    char before_text[MAILLOG_POSITION_SIZE],
        position_text[MAILLOG_POSITION_SIZE];
    char program[PROGRAM_MAX];
    char message[MAILLOG_LINE_MAX];
};

static int open_journal(const char *path, sd_journal **journal)
{
    const char *paths[] = {path, NULL};
    struct stat status;

    if (path == NULL) {
        return sd_journal_open(journal,
                               SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
    }
    if (stat(path, &status) != 0) {
        return -errno;
    }
    return S_ISDIR(status.st_mode) ? sd_journal_open_directory(journal, path, 0)
                                   : sd_journal_open_files(journal, paths, 0);
}

/* Postfix and Sendmail call syslog(3) with LOG_MAIL, which is 2. */
static int add_matches(sd_journal *journal)
{
    int result = sd_journal_add_match(journal, "_TRANSPORT=syslog", 0);

    return result < 0 ? result
                      : sd_journal_add_match(journal, "SYSLOG_FACILITY=2", 0);
}

static void tell_unreadable(sd_journal *journal, const char *path)
{
    if (path == NULL && sd_journal_has_persistent_files(journal) <= 0 &&
        sd_journal_has_runtime_files(journal) <= 0) {
        log_error("maillog: no journal can be read: make nixied's user a "
                  "member of the group systemd-journal, and restart nixied");
    }
}

struct maillog_journal *
maillog_journal_new(const struct maillog_journal_options *options,
                    struct error *error)
{
    struct maillog_journal *journal = calloc(1, sizeof *journal);
    int result;

    if (journal == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    result = open_journal(options->path, &journal->journal);
    if (result >= 0) {
        result = add_matches(journal->journal);
    }
    if (result >= 0 && options->follow) {
        /* asks for notice of changes; without it they are looked for */
        (void)sd_journal_get_fd(journal->journal);
    }
    if (result < 0) {
        errno = -result;
        error_set_errno(error, "open the journal");
        maillog_journal_free(journal);
        return NULL;
    }
    /* one more than is given, so that a cut is seen */
    (void)sd_journal_set_data_threshold(journal->journal,
                                        MAILLOG_LINE_MAX + FIELD_MAX);
    tell_unreadable(journal->journal, options->path);
    journal->follow = options->follow;
    journal->from_start = options->from_start;
    journal->position.kind = MAILLOG_POSITION_JOURNAL;
    journal->position.source = maillog_position_source(options->source);
    return journal;
}

void maillog_journal_free(struct maillog_journal *journal)
{
    if (journal == NULL) {
        return;
    }
    sd_journal_close(journal->journal); /* takes NULL */
    free(journal);
}

void maillog_journal_resume(struct maillog_journal *journal,
                            const struct maillog_position *position)
{
    journal->position = *position;
    journal->has_start = true;
}

static void begin_trouble(struct maillog_journal *journal, int cause)
{
    char text[128];

    if (journal->trouble != cause) {
        log_error("maillog: the journal cannot be read: error=\"%s\"",
                  strerror_r(cause, text, sizeof text));
    }
    journal->trouble = cause;
}

static void end_trouble(struct maillog_journal *journal)
{
    if (journal->trouble != 0) {
        log_info("maillog: the journal is read");
    }
    journal->trouble = 0;
}

/* False: a cursor of journald's that does not fit, or none at all. */
static bool note_cursor(struct maillog_journal *journal)
{
    char *cursor;
    int result = sd_journal_get_cursor(journal->journal, &cursor);
    bool fits;

    if (result < 0) {
        begin_trouble(journal, -result);
        return false;
    }
    fits = strlen(cursor) < sizeof journal->position.cursor;
    if (fits) {
        (void)text_copy(text_of(cursor), journal->position.cursor,
                        sizeof journal->position.cursor);
    } else {
        begin_trouble(journal, EOVERFLOW);
    }
    free(cursor);
    return fits;
}

static int place_at_end(struct maillog_journal *journal)
{
    int result = sd_journal_seek_tail(journal->journal);

    if (result >= 0) {
        result = sd_journal_previous(journal->journal);
    }
    if (result > 0) {
        return note_cursor(journal) ? 1 : -EOVERFLOW;
    }
    /* empty: what comes is the first */
    result = result < 0 ? result : sd_journal_seek_head(journal->journal);
    return result < 0 ? result : 1;
}

static void tell_lost(struct maillog_journal *journal)
{
    journal->lost++;
    log_error("maillog lost: the journal does not have the entry any more that "
              "was read last; goes on with the next younger");
}

/*
 * 1: at the entry that was given last, or (*entry) at the next younger one. 0:
 * there is neither now, so it is looked for again: else the first would be
 * taken for a new one when it appears.
 */
static int place_at_cursor(struct maillog_journal *journal, bool *entry)
{
    const char *cursor = journal->position.cursor;
    int result = sd_journal_seek_cursor(journal->journal, cursor);

    if (result == -EINVAL) {
        tell_lost(journal);
        return place_at_end(journal);
    }
    if (result >= 0) {
        result = sd_journal_next(journal->journal);
    }
    if (result <= 0) {
        return result;
    }
    result = sd_journal_test_cursor(journal->journal, cursor);
    if (result == 0) {
        tell_lost(journal);
        *entry = true;
    }
    return result < 0 ? result : 1;
}

/* The first look. */
static bool place(struct maillog_journal *journal, bool *entry)
{
    int result;

    *entry = false;
    if (journal->placed) {
        return true;
    }
    if (journal->has_start && journal->position.cursor[0] != '\0') {
        result = place_at_cursor(journal, entry);
    } else if (journal->has_start || journal->from_start) {
        result = sd_journal_seek_head(journal->journal);
        result = result < 0 ? result : 1;
    } else {
        result = place_at_end(journal);
    }
    journal->placed = result > 0;
    if (result < 0) {
        begin_trouble(journal, -result);
    }
    return journal->placed;
}

/* What stands in a field; unknown when there is none. */
static struct text field_of(struct maillog_journal *journal, const char *name)
{
    const void *data;
    size_t length;
    size_t skip = strlen(name) + 1;

    if (sd_journal_get_data(journal->journal, name, &data, &length) < 0 ||
        length < skip) {
        return text_of(NULL);
    }
    return (struct text){(const char *)data + skip, length - skip};
}

static int64_t pid_of(struct maillog_journal *journal, const char *name)
{
    struct text text = field_of(journal, name);
    int64_t pid = 0;

    if (text.bytes == NULL || text.length > PID_DIGITS) {
        return 0;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return 0;
        }
        pid = pid * 10 + text.bytes[i] - '0';
    }
    return pid;
}

/* False: the current entry has no message, or cannot be read. */
static bool give(struct maillog_journal *journal, struct maillog_line *line)
{
    uint64_t at_us = 0;
    struct text text;

    if (sd_journal_get_realtime_usec(journal->journal, &at_us) < 0) {
        return false;
    }
    text = field_of(journal, "SYSLOG_IDENTIFIER");
    line->program.bytes = journal->program;
    line->program.length = text_copy(text, journal->program, PROGRAM_MAX);
    line->pid = pid_of(journal, "SYSLOG_PID");
    if (line->pid == 0) {
        line->pid = pid_of(journal, "_PID");
    }
    text = field_of(journal, "MESSAGE");
    if (text.bytes == NULL) {
        return false;
    }
    line->told = false;
    line->cut = text.length > MAILLOG_LINE_MAX;
    line->text.bytes = journal->message;
    line->text.length = line->cut ? MAILLOG_LINE_MAX : text.length;
    memcpy(journal->message, text.bytes, line->text.length);
    line->timestamp_us = (int64_t)at_us;
    return true;
}

/* Files come and go: that is looked after whenever there is no entry. */
static int next_entry(struct maillog_journal *journal)
{
    int result = sd_journal_next(journal->journal);

    if (result == 0 && journal->follow &&
        sd_journal_process(journal->journal) > SD_JOURNAL_NOP) {
        result = sd_journal_next(journal->journal);
    }
    return result;
}

/* True: the journal stands at an entry that was not given yet. */
static bool step(struct maillog_journal *journal)
{
    bool entry;
    int result;

    if (!place(journal, &entry)) {
        if (journal->follow) {
            (void)sd_journal_process(journal->journal);
        }
        return false;
    }
    result = entry ? 1 : next_entry(journal);
    if (result < 0) {
        begin_trouble(journal, -result);
    } else {
        end_trouble(journal);
    }
    return result > 0;
}

enum maillog_source_result maillog_journal_next(struct maillog_journal *journal,
                                                struct maillog_line *line)
{
    for (int i = 0; i < MAX_PER_CALL; i++) {
        if (!step(journal)) {
            return journal->follow ? MAILLOG_SOURCE_NOTHING
                                   : MAILLOG_SOURCE_END;
        }
        (void)maillog_position_format(&journal->position, journal->before_text);
        if (note_cursor(journal) && give(journal, line)) {
            (void)maillog_position_format(&journal->position,
                                          journal->position_text);
            line->before = journal->before_text;
            line->position = journal->position_text;
            return MAILLOG_SOURCE_LINE;
        }
    }
    return MAILLOG_SOURCE_AGAIN;
}

bool maillog_journal_position(const struct maillog_journal *journal,
                              char text[MAILLOG_POSITION_SIZE])
{
    if (!journal->placed && !journal->has_start) {
        return false;
    }
    (void)maillog_position_format(&journal->position, text);
    return true;
}

int maillog_journal_descriptor(const struct maillog_journal *journal)
{
    return journal->follow ? sd_journal_get_fd(journal->journal) : -1;
}

void maillog_journal_state(const struct maillog_journal *journal,
                           struct maillog_follow_state *state)
{
    state->lost_files += journal->lost;
}

#else

struct maillog_journal *
maillog_journal_new(const struct maillog_journal_options *options,
                    struct error *error)
{
    (void)options;
    error_set(error, "journal: this nixie was built without libsystemd");
    return NULL;
}

void maillog_journal_free(struct maillog_journal *journal)
{
    (void)journal;
}

void maillog_journal_resume(struct maillog_journal *journal,
                            const struct maillog_position *position)
{
    (void)journal;
    (void)position;
}

enum maillog_source_result maillog_journal_next(struct maillog_journal *journal,
                                                struct maillog_line *line)
{
    (void)journal;
    (void)line;
    return MAILLOG_SOURCE_END;
}

bool maillog_journal_position(const struct maillog_journal *journal,
                              char text[MAILLOG_POSITION_SIZE])
{
    (void)journal;
    (void)text;
    return false;
}

int maillog_journal_descriptor(const struct maillog_journal *journal)
{
    (void)journal;
    return -1;
}

void maillog_journal_state(const struct maillog_journal *journal,
                           struct maillog_follow_state *state)
{
    (void)journal;
    (void)state;
}

#endif
