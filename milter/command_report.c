#include "bounce_rules.h"
#include "clock.h"
#include "command.h"
#include "command_rules.h"
#include "command_trace.h"
#include "report.h"
#include "report_belief.h"
#include "report_file.h"
#include "report_stream.h"
#include "report_verdict.h"
#include "settings.h"
#include "trace_keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct report_run {
    const struct command_call *call;
    struct settings *settings;
    struct bounce_scratch *scratch;
    struct report_reader *reader;
    struct report_stream *stream;
    struct trace_keys *keys; /* NULL: nothing is believed */
    int64_t now_us;
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
    struct report_belief belief;
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

/* --- whom it is about --- */

static void believe(const struct report_run *run, struct row *row)
{
    static const struct report_recipient nobody;
    const struct report_believer believer = {
        .keys = run->keys,
        .rules = &run->settings->mailbox_rules,
        .now_us = run->now_us,
    };

    report_believe(&believer, row->report,
                   row->recipient == NULL ? &nobody : row->recipient,
                   &row->belief);
}

/* As the report writes it; where it names nobody the mark may. */
static struct text address_of(const struct row *row)
{
    struct text address = {NULL, 0};

    if (row->recipient != NULL) {
        address = report_recipient_address(row->recipient);
    } else if (row->belief.trace.recipient_length > 0) {
        address = text_of(row->belief.sent_to->address);
    }
    return address;
}

/* To whom it was sent when that is another: the mark knows best. */
static struct text original_of(const struct row *row)
{
    const struct report_belief *belief = &row->belief;

    if (row->recipient == NULL) {
        return (struct text){NULL, 0};
    }
    if (belief->trace.recipient_length > 0 &&
        strcmp(belief->sent_to->address, belief->final.address) != 0) {
        return text_of(belief->sent_to->address);
    }
    return row->recipient->final_recipient.bytes != NULL
               ? row->recipient->original_recipient
               : (struct text){NULL, 0};
}

static const char *why_not_believed(const struct report_run *run,
                                    const struct row *row)
{
    const struct report *report = row->report;

    if (row->belief.trace.class != TRACE_NONE) {
        return "";
    }
    if (report->returned.trace_count == 0 && report->envelope_id.length == 0) {
        return ": what is returned has no mark";
    }
    return run->keys == NULL ? ": there are no keys to check the mark"
                             : ": the mark is not ours, or not about this "
                               "recipient, or too old";
}

/* --- a row --- */

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

    command_json_set(object, "file", text_of(run->file));
    (void)json_object_set_new(object, "n", json_integer(run->message));
    command_json_set(object, "recipient", address_of(row));
    command_json_set(object, "original_recipient", original_of(row));
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
    set_text(object, "trace", trace_class_name(row->belief.trace.class));
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

static void explain_row(const struct report_run *run, const struct row *row)
{
    put_line("recipient", address_of(row));
    put_line("original", original_of(row));
    if (row->recipient != NULL) {
        put_line("action", text_of(report_action_name(row->recipient->action)));
        put_line("diagnostic", row->recipient->diagnostic);
    }
    put_line("status", text_of(row->status));
    put_line("text", row->said);
    (void)printf("  %-10s %s, %s, by %s\n", "verdict", reason_name(row->reason),
                 failure_type_name(row->failure_type), row->rule);
    (void)printf("  %-10s %s%s\n", "trace",
                 trace_class_name(row->belief.trace.class),
                 why_not_believed(run, row));
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
        believe(run, &row);
        judge(run, &row);
        if (for_people) {
            explain_row(run, &row);
        } else {
            print_row(run, &row);
        }
    }
}

/* --- input ------------------------------------------------------------- */

/* False after a complaint. */
static bool read_message(struct report_run *run, struct text message)
{
    struct report report;

    run->message++;
    if (!report_file_read(run->reader, message, &report)) {
        command_complain(run->call, "out of memory");
        return false;
    }
    print_report(run, &report);
    report_clear(&report);
    return true;
}

static bool read_descriptor(struct report_run *run, int descriptor)
{
    enum report_stream_result result;
    struct text message;

    run->message = 0;
    report_stream_begin(run->stream, descriptor);
    while ((result = report_stream_next(run->stream, &message)) ==
               REPORT_STREAM_MESSAGE &&
           command_output_flows()) {
        if (!read_message(run, message)) {
            return false;
        }
    }
    if (result == REPORT_STREAM_ERROR) {
        command_complain(run->call, "read %s: %s", run->file, strerror(errno));
    }
    return result != REPORT_STREAM_ERROR;
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

/* Whoever may not read them is told in the explanation. False: complained. */
static bool load_keys(struct report_run *run)
{
    struct error error = {""};

    if (run->settings->trace_keys[0] == '\0' ||
        access(run->settings->trace_keys, R_OK) != 0) {
        return true;
    }
    run->keys = command_trace_keys(run->settings, &error);
    if (run->keys == NULL ||
        trace_keys_load(run->keys, &error) == TRACE_KEYS_FAILED) {
        command_complain(run->call, "%s", error.text);
        return false;
    }
    return true;
}

static bool prepare(struct report_run *run)
{
    struct error error = {"out of memory"};

    run->settings = command_rules_settings(run->call, &error);
    if (run->settings != NULL) {
        run->scratch = bounce_scratch_new(run->settings->rules);
        run->reader = report_new(NULL);
        run->stream = report_stream_new();
        run->now_us = clock_now_us();
    }
    if (run->scratch == NULL || run->reader == NULL || run->stream == NULL) {
        command_complain(run->call, "%s", error.text);
        return false;
    }
    return load_keys(run);
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
    trace_keys_free(run.keys);
    report_stream_free(run.stream);
    report_free(run.reader);
    bounce_scratch_free(run.scratch);
    settings_free(run.settings);
    return done ? COMMAND_OK : COMMAND_FAULT;
}
