#include "command_import.h"

#include "clock.h"
#include "command_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN_MAX 300

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* --- what the options say ---------------------------------------------- */

static bool take_format(const struct command_call *call, enum list_form *form)
{
    const char *value = command_value(call, "format");

    *form = LIST_FORM_ANY;
    if (value == NULL || strcmp(value, "csv") == 0) {
        *form = value == NULL ? LIST_FORM_ANY : LIST_FORM_CSV;
        return true;
    }
    *form = LIST_FORM_JSON;
    if (strcmp(value, "jsonl") == 0) {
        return true;
    }
    command_complain(call, "--format takes csv or jsonl");
    return false;
}

static bool take_preset(struct import *import)
{
    const char *value = command_value(import->call, "preset");

    if (value == NULL ||
        list_preset_parse(text_of(value), &import->reading.columns.preset)) {
        return true;
    }
    command_complain(import->call, "--preset takes sparkpost, ses, sendgrid, "
                                   "mailgun or postmark");
    return false;
}

static bool take_options(struct import *import)
{
    const struct command_call *call = import->call;
    const char *expires = command_value(call, "expires");
    const char *scope;
    const char *bulk_scope;

    import->reading.list = call->command->list;
    import->reading.settings = call->settings;
    import->reading.reason = text_of(command_value(call, "reason"));
    import->reading.note = text_of(command_value(call, "note"));
    import->reading.observe = command_value(call, "observe") != NULL;
    import->dry_run = command_value(call, "dry-run") != NULL;
    if (!command_scope(call, &scope) ||
        !command_scope_of(call, "bulk-scope", &bulk_scope) ||
        !take_preset(import)) {
        return false;
    }
    import->reading.scope = text_of(scope);
    import->reading.bulk_scope = text_of(bulk_scope);
    if (expires != NULL && (!command_expiry(expires, clock_now_us(),
                                            &import->reading.expires_us) ||
                            import->reading.expires_us <= clock_now_us())) {
        command_complain(call, "--expires: write 30d, 2026-12-24 or "
                               "2026-12-24T18:00:00Z, a time to come");
        return false;
    }
    command_login(import->by, sizeof import->by);
    return true;
}

static bool open_file(struct import *import, const char *path)
{
    struct stat status;
    char shown[SHOWN_MAX];

    import->is_input = strcmp(path, "-") == 0;
    import->fd = import->is_input ? STDIN_FILENO
                                  : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (import->fd < 0 || fstat(import->fd, &status) != 0 ||
        S_ISDIR(status.st_mode)) {
        errno = import->fd < 0 ? errno : EISDIR;
        command_complain(import->call, "%s: %s",
                         text_escape(text_of(path), shown, sizeof shown),
                         strerror(errno));
        return false;
    }
    if (S_ISREG(status.st_mode) && status.st_size > 0) {
        import->size = (uint64_t)status.st_size;
    }
    return true;
}

/* A run that goes on adds to what it has reported. */
static bool open_bad(struct import *import)
{
    const char *path = command_value(import->call, "bad");

    if (path == NULL) {
        return true;
    }
    import->bad = fopen(path, import->offset > 0 ? "ae" : "we");
    if (import->bad == NULL) {
        command_complain(import->call, "--bad: %s", strerror(errno));
    }
    return import->bad != NULL;
}

/* --- columns ----------------------------------------------------------- */

/* The bounce rules judge the texts of bounces. */
static bool load_rules(struct import *import)
{
    enum list_preset preset = import->reading.columns.preset;

    if (preset != LIST_PRESET_SPARKPOST && preset != LIST_PRESET_SENDGRID &&
        preset != LIST_PRESET_MAILGUN) {
        return true;
    }
    import->with_rules = command_rules_settings(import->call, &import->error);
    if (import->with_rules == NULL) {
        return false;
    }
    import->reading.reasons = list_reasons_new(import->with_rules->rules);
    return import->reading.reasons != NULL;
}

static bool is_address(const struct import *import, struct text text)
{
    struct mailbox_pattern pattern;

    return memchr(text.bytes, '@', text.length) != NULL &&
           command_store_pattern(import->call->settings, text, &pattern);
}

/* What Amazon SES takes for its own lists: no names, an address, a reason. */
static bool is_ses_row(const struct import *import, const struct list_row *row)
{
    enum list_preset preset = import->reading.columns.preset;
    struct text reason = row->count == 2 ? row->values[1] : text_of("");

    while (reason.length > 0 && reason.bytes[0] == ' ') {
        reason.bytes++;
        reason.length--;
    }
    return (preset == LIST_PRESET_NONE || preset == LIST_PRESET_SES) &&
           row->count == 2 && is_address(import, row->values[0]) &&
           (text_is(reason, "BOUNCE") || text_is(reason, "COMPLAINT"));
}

/* From the first row. *is_header: it is no entry itself. */
static bool bind_columns(struct import *import, const struct list_row *row,
                         bool *is_header)
{
    struct list_columns *columns = &import->reading.columns;
    bool is_csv = list_file_form(import->file) == LIST_FORM_CSV;
    const struct text *names = is_csv ? row->values : row->names;

    *is_header = false;
    if (row->fault != NULL) {
        error_set(&import->error, "line %llu: %s: the first row tells the form",
                  (unsigned long long)row->line, row->fault);
        return false;
    }
    if (columns->preset == LIST_PRESET_NONE) {
        columns->preset = list_preset_told(names, row->count);
    }
    if (list_columns_bind(columns->preset, names, row->count, columns)) {
        *is_header = is_csv;
        return load_rules(import);
    }
    if (is_csv && row->count == 1 && is_address(import, row->values[0])) {
        columns->members[0] = LIST_PATTERN; /* addresses, and nothing else */
        return true;
    }
    if (is_csv && is_ses_row(import, row)) {
        columns->preset = LIST_PRESET_SES;
        columns->members[0] = LIST_PATTERN;
        columns->members[1] = LIST_CAUSE;
        return true;
    }
    error_set(&import->error,
              "line %llu: no column is named pattern, address, recipient or "
              "email: write a first line such as pattern,reason,note",
              (unsigned long long)row->line);
    return false;
}

/* --- the run ----------------------------------------------------------- */

/* The next row that is an entry and was not done by an earlier run. */
static enum list_file_result next_row(struct import *import,
                                      struct list_row *row, bool *is_bound)
{
    for (;;) {
        enum list_file_result result =
            list_file_next(import->file, row, &import->error);
        bool is_header = false;

        if (result != LIST_FILE_ROW) {
            return result;
        }
        if (!*is_bound && !bind_columns(import, row, &is_header)) {
            return LIST_FILE_FAILED;
        }
        *is_bound = true;
        if (!is_header &&
            list_file_offset(import->file) > import->begun_offset) {
            return LIST_FILE_ROW;
        }
    }
}

/* False: the last batch. */
static enum list_file_result fill(struct import *import,
                                  struct import_batch *batch,
                                  const struct import_batch *other,
                                  bool *is_bound)
{
    struct list_row row;

    for (size_t i = 0; i < CONTROL_BATCH_MAX; i++) {
        enum list_file_result result = next_row(import, &row, is_bound);

        if (result != LIST_FILE_ROW) {
            return result;
        }
        import_batch_add(import, batch, other, &row);
        batch->line = row.line;
        batch->offset = list_file_offset(import->file);
    }
    return LIST_FILE_ROW;
}

static bool finish(struct import *import, struct import_batch *batch)
{
    if (!import_batch_finish(import, batch)) {
        return false;
    }
    import_progress(import);
    import_position_save(import, false);
    return true;
}

/* While nixied has one batch the next is read and compared. */
static bool run(struct import *import)
{
    enum list_file_result result = LIST_FILE_ROW;
    bool is_bound = false;
    size_t turn = 0;

    while (result == LIST_FILE_ROW && interrupted == 0) {
        struct import_batch *batch = import->batches[turn];
        struct import_batch *other = import->batches[1 - turn];

        result = fill(import, batch, other, &is_bound);
        if (result == LIST_FILE_FAILED ||
            (batch->waits && !finish(import, other)) ||
            !import_batch_judge(import, batch) || !finish(import, other) ||
            !import_batch_send(import, batch)) {
            return false;
        }
        turn = 1 - turn;
    }
    return finish(import, import->batches[1 - turn]);
}

static bool prepare(struct import *import, enum list_form form)
{
    import->file = list_file_new(import->fd, form);
    import->seen = list_seen_new();
    import->batches[0] = import_batch_new();
    import->batches[1] = import_batch_new();
    if (import->file == NULL || import->seen == NULL ||
        import->batches[0] == NULL || import->batches[1] == NULL) {
        error_set(&import->error, "out of memory");
        return false;
    }
    import->store = command_store_open(import->call->settings, &import->error);
    return import->store != NULL;
}

/* Nothing is begun that cannot be carried out. */
static bool find_nixied(struct import *import)
{
    switch (import->dry_run ? CONTROL_DONE
                            : control_probe(import->call->settings->state_dir,
                                            &import->error)) {
    case CONTROL_DONE:
        return true;
    case CONTROL_ABSENT:
        error_set(&import->error,
                  "no nixied on this host: start it, since each change is a "
                  "line of its log before it is in Redis");
        return false;
    case CONTROL_REFUSED:
    case CONTROL_UNKNOWN:
        break;
    }
    return false;
}

static void take_signals(void)
{
    const struct sigaction action = {.sa_handler = interrupt};

    interrupted = 0;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void clear(struct import *import)
{
    import_batch_free(import->batches[0]);
    import_batch_free(import->batches[1]);
    list_seen_free(import->seen);
    list_file_free(import->file);
    list_reasons_free(import->reading.reasons);
    settings_free(import->with_rules);
    command_store_close(import->store);
    if (import->fd >= 0 && !import->is_input) {
        (void)close(import->fd);
    }
}

static enum command_status status_of(struct import *import, bool done)
{
    if (import->bad != NULL && fclose(import->bad) != 0) {
        command_complain(import->call, "--bad: the file could not be written");
        return COMMAND_FAULT;
    }
    if (!done || interrupted != 0) {
        import_position_save(import, true);
        command_complain(import->call,
                         "%s; done up to line %llu, the same command goes on%s",
                         done ? "interrupted" : import->error.text,
                         (unsigned long long)import->line,
                         import->position[0] == '\0'
                             ? " from the beginning, and passes over "
                               "what is there"
                             : " there");
        return COMMAND_FAULT;
    }
    import_position_remove(import);
    return import->counts[IMPORT_BAD] > 0 ? COMMAND_NO : COMMAND_OK;
}

enum command_status command_import(const struct command_call *call)
{
    struct import import = {.call = call, .fd = -1};
    enum command_status status = COMMAND_FAULT;
    enum list_form form;

    if (!take_options(&import) || !take_format(call, &form) ||
        !open_file(&import, call->arguments[0]) ||
        !import_position_name(&import)) {
        goto out;
    }
    if (!prepare(&import, form) || !find_nixied(&import)) {
        command_complain(call, "%s", import.error.text);
        goto out;
    }
    import_position_load(&import);
    import.begun_offset = import.offset;
    import.begun_ms = clock_monotonic_ms();
    if (open_bad(&import)) {
        bool done;

        take_signals();
        done = run(&import);
        import_tell(&import);
        status = status_of(&import, done);
    }
out:
    clear(&import);
    return status;
}
