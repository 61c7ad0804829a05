#include "bounce_rules.h"
#include "command.h"
#include "command_rules.h"
#include "report.h"
#include "report_file.h"
#include "report_verdict.h"
#include "settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX (1024L * 1024 * 1024) /* of what cannot be mapped */

struct report_run {
    const struct command_call *call;
    struct settings *settings;
    struct bounce_scratch *scratch;
    struct report_reader *reader;
    const char *file;
    long long message; /* of the file, from 1 */
    bool explain;
};

/* --- output ------------------------------------------------------------ */

struct row {
    const struct report *report;
    const struct report_recipient *recipient; /* NULL: nobody is named */
    enum reason reason;
    enum failure_type failure_type;
    char status[ENHANCED_STATUS_SIZE];
    struct text said; /* the text that decided */
    char rule[VERDICT_RULE_SIZE];
};

static void judge_status(const struct report_run *run, struct row *row)
{
    struct verdict verdict;

    report_verdict(run->settings->rules, run->scratch, row->report,
                   row->recipient, &verdict, &row->said);
    row->reason = verdict.reason;
    row->failure_type = verdict.failure_type;
    memcpy(row->status, verdict.enhanced_status, sizeof row->status);
    (void)verdict_rule_name(&verdict, row->rule);
}

static bool is_delivered(const struct report_recipient *recipient)
{
    switch (recipient->action) {
    case REPORT_ACTION_DELIVERED:
    case REPORT_ACTION_RELAYED:
    case REPORT_ACTION_EXPANDED:
        return true;
    case REPORT_ACTION_UNKNOWN:
    case REPORT_ACTION_FAILED:
    case REPORT_ACTION_DELAYED:
        break;
    }
    return recipient->status.length > 0 && recipient->status.bytes[0] == '2';
}

static void judge(const struct report_run *run, struct row *row)
{
    row->status[0] = '\0';
    row->said = (struct text){NULL, 0};
    if (row->report->kind == REPORT_FEEDBACK) {
        row->reason = reason_of_feedback(row->report->feedback.type);
        (void)snprintf(row->rule, sizeof row->rule, "feedback");
    } else if (is_delivered(row->recipient)) {
        row->reason = REASON_DELIVERED;
        (void)text_copy(row->recipient->status, row->status,
                        sizeof row->status);
        (void)snprintf(row->rule, sizeof row->rule, "action");
    } else {
        judge_status(run, row);
        return;
    }
    row->failure_type = reason_facts(row->reason)->failure_type;
}

static struct text address_of(const struct row *row)
{
    return row->recipient == NULL ? (struct text){NULL, 0}
                                  : report_recipient_address(row->recipient);
}

static void set_text(json_t *object, const char *name, const char *value)
{
    if (value[0] != '\0') {
        command_json_set(object, name, text_of(value));
    }
}

static void set_explanation(json_t *object, const struct row *row)
{
    set_text(object, "format", row->report->format);
    set_text(object, "part", row->report->part);
    set_text(object, "found_by", row->report->rule);
    set_text(object, "rule", row->rule);
    command_json_set(object, "text", row->said);
}

static void print_row(const struct report_run *run, const struct row *row)
{
    json_t *object = json_object();
    struct text original = {NULL, 0};

    command_json_set(object, "file", text_of(run->file));
    (void)json_object_set_new(object, "n", json_integer(run->message));
    command_json_set(object, "recipient", address_of(row));
    if (row->recipient != NULL &&
        row->recipient->final_recipient.bytes != NULL) {
        original = row->recipient->original_recipient;
    }
    command_json_set(object, "original_recipient", original);
    command_json_set(object, "reason", text_of(reason_name(row->reason)));
    command_json_set(object, "type",
                     text_of(failure_type_name(row->failure_type)));
    set_text(object, "status", row->status);
    if (row->report->kind == REPORT_FEEDBACK) {
        command_json_set(object, "feedback_type", row->report->feedback.type);
    }
    if (row->recipient != NULL) {
        set_text(object, "action", report_action_name(row->recipient->action));
        if (row->recipient->diagnostic.length > 0) {
            command_json_set(object, "diagnostic", row->recipient->diagnostic);
        }
    }
    if (run->explain) {
        set_explanation(object, row);
    }
    command_json_print(object);
}

static void put_line(const char *label, struct text value)
{
    if (value.length > 0) {
        (void)printf("  %-10s ", label);
        command_put(value);
        (void)puts("");
    }
}

static void explain_row(const struct row *row)
{
    put_line("recipient", address_of(row));
    if (row->recipient != NULL) {
        put_line("original", row->recipient->original_recipient);
        put_line("action", text_of(report_action_name(row->recipient->action)));
        put_line("diagnostic", row->recipient->diagnostic);
    }
    put_line("status", text_of(row->status));
    put_line("text", row->said);
    (void)printf("  %-10s %s, %s, by %s\n", "verdict", reason_name(row->reason),
                 failure_type_name(row->failure_type), row->rule);
}

static void explain_report(const struct report_run *run,
                           const struct report *report)
{
    command_put(text_of(run->file));
    (void)printf(" %lld: ", run->message);
    if (report->kind == REPORT_NONE) {
        (void)printf("no report: %s\n",
                     report->rule == NULL ? "nobody is named" : report->rule);
        return;
    }
    (void)printf("%s, %s; %s%s\n", report->format, report->part, report->rule,
                 report->cut ? "; cut" : "");
}

static void print_report(const struct report_run *run,
                         const struct report *report)
{
    struct row row = {.report = report};
    bool for_people = run->explain && !run->call->json;
    size_t count = report->recipient_count;

    if (for_people) {
        explain_report(run, report);
    }
    if (report->kind == REPORT_NONE) {
        return;
    }
    if (count == 0 && report->kind == REPORT_FEEDBACK) {
        count = 1; /* whoever it was */
    }
    for (size_t i = 0; i < count; i++) {
        row.recipient =
            report->recipient_count == 0 ? NULL : &report->recipients[i];
        judge(run, &row);
        if (for_people) {
            explain_row(&row);
        } else {
            print_row(run, &row);
        }
    }
}

/* --- input ------------------------------------------------------------- */

static bool read_messages(struct report_run *run, struct text all)
{
    struct text message;

    run->message = 0;
    while (report_file_next(&all, &message) && command_output_flows()) {
        struct report report;

        run->message++;
        if (!report_file_read(run->reader, message, &report)) {
            command_complain(run->call, "out of memory");
            return false;
        }
        print_report(run, &report);
        report_clear(&report);
    }
    return true;
}

/* All that comes from a pipe; NULL after a complaint. */
static char *read_all(const struct report_run *run, int descriptor,
                      size_t *length)
{
    size_t size = 65536;
    char *buffer = malloc(size);
    ssize_t got = 1;

    *length = 0;
    while (buffer != NULL && size <= (size_t)INPUT_MAX) {
        got = read(descriptor, buffer + *length, size - *length);
        if (got == 0) {
            return buffer;
        }
        if (got < 0 && errno != EINTR) {
            command_complain(run->call, "read %s: %s", run->file,
                             strerror(errno));
            free(buffer);
            return NULL;
        }
        *length += got > 0 ? (size_t)got : 0;
        if (*length == size) {
            char *more = realloc(buffer, size * 2);

            if (more == NULL) {
                break;
            }
            buffer = more;
            size *= 2;
        }
    }
    command_complain(run->call, "%s is too large for a pipe, name a file",
                     run->file);
    free(buffer);
    return NULL;
}

static bool read_pipe(struct report_run *run, int descriptor)
{
    size_t length;
    char *all = read_all(run, descriptor, &length);
    bool done = all != NULL && read_messages(run, (struct text){all, length});

    free(all);
    return done;
}

static bool read_mapped(struct report_run *run, int descriptor, size_t size)
{
    void *all;
    bool done;

    if (size == 0) {
        return true;
    }
    all = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (all == MAP_FAILED) {
        return read_pipe(run, descriptor);
    }
    done = read_messages(run, (struct text){all, size});
    (void)munmap(all, size);
    return done;
}

static bool read_descriptor(struct report_run *run, int descriptor)
{
    struct stat status;

    if (fstat(descriptor, &status) != 0) {
        command_complain(run->call, "stat %s: %s", run->file, strerror(errno));
        return false;
    }
    return S_ISREG(status.st_mode)
               ? read_mapped(run, descriptor, (size_t)status.st_size)
               : read_pipe(run, descriptor);
}

static bool read_file(struct report_run *run, const char *path)
{
    int descriptor;
    bool done;

    run->file = path;
    if (strcmp(path, "-") == 0) {
        return read_descriptor(run, STDIN_FILENO);
    }
    descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        command_complain(run->call, "open %s: %s", path, strerror(errno));
        return false;
    }
    done = read_descriptor(run, descriptor);
    (void)close(descriptor);
    return done;
}

static int is_message(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The files of a folder in order of their names, not those of its folders. */
static bool read_folder(struct report_run *run, const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_message, alphasort);
    bool done = count >= 0;

    if (count < 0) {
        command_complain(run->call, "open %s: %s", folder, strerror(errno));
        return false;
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat status;

        if (snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) <
                (int)sizeof path &&
            stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
            done = read_file(run, path) && done;
        }
        free(entries[i]);
    }
    free(entries);
    return done;
}

/* A Maildir has its messages in cur and new. */
static bool read_path(struct report_run *run, const char *path)
{
    static const char *const parts[] = {"cur", "new"};
    struct stat status;
    bool maildir = false;
    bool done = true;

    if (strcmp(path, "-") == 0 || stat(path, &status) != 0 ||
        !S_ISDIR(status.st_mode)) {
        return read_file(run, path);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char folder[4096];

        if (snprintf(folder, sizeof folder, "%s/%s", path, parts[i]) <
                (int)sizeof folder &&
            stat(folder, &status) == 0 && S_ISDIR(status.st_mode)) {
            maildir = true;
            done = read_folder(run, folder) && done;
        }
    }
    return maildir ? done : read_folder(run, path);
}

/* --- the command ------------------------------------------------------- */

static bool prepare(struct report_run *run)
{
    struct error error = {"out of memory"};

    run->settings = command_rules_settings(run->call, &error);
    if (run->settings != NULL) {
        run->scratch = bounce_scratch_new(run->settings->rules);
        run->reader = report_new(NULL);
    }
    if (run->scratch == NULL || run->reader == NULL) {
        command_complain(run->call, "%s", error.text);
        return false;
    }
    return true;
}

enum command_status command_report(const struct command_call *call)
{
    struct report_run run = {.call = call};
    bool done = false;

    run.explain = command_value(call, "explain") != NULL;
    if (prepare(&run)) {
        done = true;
        for (int i = 0; i < call->argument_count && command_output_flows();
             i++) {
            done = read_path(&run, call->arguments[i]) && done;
        }
    }
    report_free(run.reader);
    bounce_scratch_free(run.scratch);
    settings_free(run.settings);
    return done ? COMMAND_OK : COMMAND_FAULT;
}
