/*
 * command.h - a subcommand of nixie: what it takes, what it prints
 *
 * The table in nixie.c has a row for each; options, usage and help are read
 * from it. A command writes results to standard output, complaints to
 * standard error, and returns the exit status.
 *
 * Bytes from outside reach a terminal through command_put() only. With --json
 * standard output has JSON objects, a line each, and nothing else.
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_H
#define NIXIE_COMMAND_H

#include "command_option.h"
#include "settings.h"
#include "store_key.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum command_status {
    COMMAND_OK = 0,
    COMMAND_NO = 1,    /* not found, or a check failed */
    COMMAND_FAULT = 2, /* wrong usage, or the environment is not right */
};

#define COMMAND_OPTIONS_MAX   12
#define COMMAND_ARGUMENTS_ANY 1000000

struct command_call;

struct command {
    const char *name;      /* one word or two: "suppress add" */
    const char *arguments; /* "PATTERN..." */
    const char *summary;
    const char *detail; /* what `nixie help COMMAND` adds; may be NULL */
    int arguments_min, arguments_max;
    bool without_settings; /* reads the configuration itself, or not at all */
    enum store_list list;  /* of suppress and allow */
    enum command_status (*run)(const struct command_call *call);
    struct command_option options[COMMAND_OPTIONS_MAX + 1]; /* name NULL ends */
};

/* What every command takes besides: --json and --help. */
extern const struct command_option command_common_options[];

struct command_call {
    const struct command *command;
    const char *settings_path;       /* NULL: there is none, defaults */
    const struct settings *settings; /* NULL if without_settings */
    bool json;
    const char *values[COMMAND_OPTIONS_MAX]; /* as options; NULL: not given */
    char *const *arguments;
    int argument_count;
};

/* The value of an option, "" if it takes none; NULL: not given. */
const char *command_value(const struct command_call *call, const char *name);

/*
 * Takes argv[0..argc) apart by the table of call->command, --json and --help
 * too. argv is rearranged: call->arguments is its end. COMMAND_NO: help was
 * asked for; COMMAND_FAULT: a complaint has been made.
 */
enum command_status command_parse(struct command_call *call, int argc,
                                  char **argv);

/*
 * "nixie suppress add: …" and a newline on standard error, with the remedy
 * when permission was denied.
 */
void command_complain(const struct command_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "; try it with sudo", or "" where that would not help. */
const char *command_remedy(const char *fault);

/*
 * To standard output: printable UTF-8 as it is, other bytes and characters
 * that steer a terminal as \xHH.
 */
void command_put(struct text text);

/* "1d 2h", "3h 4m", "5m 6s", "7s": the two greatest units. */
#define COMMAND_DURATION_SIZE 48
void command_duration(int64_t seconds, char text[COMMAND_DURATION_SIZE]);

/*
 * Sets a member; bytes that are not UTF-8 become U+FFFD, and the exact bytes
 * stand beside in <name>_base64. Nothing for an unknown text.
 */
void command_json_set(json_t *object, const char *name, struct text text);

/* The value alone, with U+FFFD; new. */
json_t *command_json_text(struct text text);

/* Prints a line and takes object. */
void command_json_print(json_t *object);

/* False once standard output takes no more: time to stop. */
bool command_output_flows(void);

/*
 * The pattern that an operator typed, in the form that lookups use; false
 * after a complaint.
 */
bool command_pattern(const struct command_call *call, const char *typed,
                     struct mailbox_pattern *pattern);

/* The same for a new entry: what hardly any mail can match is refused. */
bool command_new_pattern(const struct command_call *call, const char *typed,
                         struct mailbox_pattern *pattern);

/* Why an entry for it would hardly match anything; NULL: it may well. */
const char *command_pattern_fault(const struct settings *settings,
                                  struct text typed,
                                  const struct mailbox_pattern *pattern);

/* The value of --scope: NULL if not given; false after a complaint. */
bool command_scope(const struct command_call *call, const char **scope);
/* Likewise, of an option with another name. */
bool command_scope_of(const struct command_call *call, const char *option,
                      const char **scope);

/* One mailbox, no pattern; false after a complaint. */
bool command_mailbox(const struct command_call *call, const char *typed,
                     struct mailbox *mailbox);

/* "2026-12-24" (00:00 UTC) or "2026-12-24T18:00:00Z". */
bool command_time(const char *value, int64_t *us);

/*
 * The value of an option: "2h" (so long ago), or as command_time(). *us stays
 * when it was not given; false after a complaint.
 */
bool command_when(const struct command_call *call, const char *name,
                  int64_t now_us, int64_t *us);

/* The same, or a duration from now on: "30d". */
bool command_expiry(const char *value, int64_t now_us, int64_t *us);

/* Who typed it: behind sudo the one who called it. */
void command_login(char *name, size_t size);

/* The subcommands, one function for each verb. */
enum command_status command_list_add(const struct command_call *call);
enum command_status command_list_del(const struct command_call *call);
enum command_status command_list_show(const struct command_call *call);
enum command_status command_list_list(const struct command_call *call);
enum command_status command_release(const struct command_call *call);
enum command_status command_import(const struct command_call *call);
enum command_status command_export(const struct command_call *call);
enum command_status command_forget(const struct command_call *call);
enum command_status command_why(const struct command_call *call);
enum command_status command_mailbox_keys(const struct command_call *call);
enum command_status command_mailbox_history(const struct command_call *call);
enum command_status command_tail(const struct command_call *call);
enum command_status command_top(const struct command_call *call);
enum command_status command_classify(const struct command_call *call);
enum command_status command_report(const struct command_call *call);
enum command_status command_maillog(const struct command_call *call);
enum command_status command_health(const struct command_call *call);
enum command_status command_stats(const struct command_call *call);
enum command_status command_unclassified(const struct command_call *call);
enum command_status command_trace_key_rotate(const struct command_call *call);
enum command_status command_trace_key_list(const struct command_call *call);
enum command_status command_check(const struct command_call *call);

#endif
