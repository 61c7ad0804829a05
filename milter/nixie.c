/*
 * nixie - the tool for operators
 *
 * The table below is all there is to say about a subcommand: its options are
 * parsed by it, and help is printed from it.
 */
#include "config.h"

#include "command.h"
#include "command_completion.h"
#include "command_help.h"
#include "descriptors.h"
#include "text_near.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_WORDS 2
#define SHOWN_MAX     200

#define SCOPE_OPTION                                                           \
    {                                                                          \
        "scope", 0, "NAME", "the list of this scope, not the one for all"      \
    }

/* Patterns themselves are no globs, which this shows. */
#define MATCH_HELP                                                             \
    "only entries that the shell's * and ? match: '*@example.org'"

#define PATTERN_DETAIL                                                         \
    "A pattern is ann@example.org, @example.org (the domain), @.example.org\n" \
    "(its subdomains, any depth) or ann@ (in any domain). It is brought "      \
    "into\n"                                                                   \
    "the form that mail is looked up in, and shown in it.\n"

#define CHANGE_DETAIL                                                          \
    PATTERN_DETAIL                                                             \
    "nixied of this host logs the change and writes it to Redis. Without\n"    \
    "nixied on this host it is written straight to Redis.\n"

#define IMPORT_DETAIL                                                          \
    "CSV with a line of names, or JSON Lines; told by the content. Names of\n" \
    "columns: pattern (or address, recipient, email), scope, reason, type,\n"  \
    "note, by, origin, added_at, expires_at, mode, evidence; exports of\n"     \
    "SparkPost, Amazon SES, SendGrid, Mailgun and Postmark are known by "      \
    "theirs.\nWhat is there already costs no event. Interrupted, the same "    \
    "command goes on\nwhere it was. Exit status 1 when a row was bad.\n"

#define IMPORT_OPTIONS                                                         \
    {"format", 'f', "FORM", "csv or jsonl, whatever it looks like"},           \
        {"preset", 'p', "SERVICE",                                             \
         "columns of sparkpost, ses, sendgrid, mailgun, postmark"},            \
        {"dry-run", 'n', NULL, "change nothing: count"},                       \
        {"bad", 'b', "FILE", "report all bad and duplicate lines there"},      \
        {"resume", 0, "FILE", "keep the position there"},                      \
        {"scope", 0, "NAME", "where a row has none"},                          \
        {"note", 0, "TEXT", "where a row has none"},                           \
    {                                                                          \
        "expires", 'e', "WHEN", "where a row has no end"                       \
    }

#define EXPORT_DETAIL                                                          \
    "Entries come in no order; one that changes meanwhile may be missing or\n" \
    "old. Keys that no mail is looked up under are left out, and counted.\n"

#define EXPORT_OPTIONS                                                         \
    {"format", 'f', "FORM", "csv (the default) or jsonl"},                     \
    {                                                                          \
        "scope", 0, "NAME", "only this scope"                                  \
    }

static enum command_status complete(const struct command_call *call);

static const struct command commands[] = {
    {.name = "suppress add",
     .arguments = "PATTERN...",
     .summary = "send no more mail to it",
     .detail = CHANGE_DETAIL,
     .arguments_min = 1,
     .arguments_max = COMMAND_ARGUMENTS_ANY,
     .list = STORE_SUPPRESS,
     .run = command_list_add,
     .options = {{"reason", 'r', "REASON",
                  "such as user_unknown; clients see "
                  "it in the refusal"},
                 {"note", 'n', "TEXT", "for you; clients never see it"},
                 {"expires", 'e', "WHEN",
                  "30d, 2026-12-24 or "
                  "2026-12-24T18:00:00Z"},
                 SCOPE_OPTION,
                 {"observe", 0, NULL, "refuse nothing, log would_suppress"}}},
    {.name = "suppress del",
     .arguments = "PATTERN...",
     .summary = "take it off the list",
     .detail = CHANGE_DETAIL "Exit status 1 when there is no such entry.\n",
     .arguments_min = 1,
     .arguments_max = COMMAND_ARGUMENTS_ANY,
     .list = STORE_SUPPRESS,
     .run = command_list_del,
     .options = {SCOPE_OPTION}},
    {.name = "suppress show",
     .arguments = "PATTERN",
     .summary = "all of an entry, and the time that it has left",
     .detail = PATTERN_DETAIL "Exit status 1 when there is no such entry.\n",
     .arguments_min = 1,
     .arguments_max = 1,
     .list = STORE_SUPPRESS,
     .run = command_list_show,
     .options = {SCOPE_OPTION}},
    {.name = "suppress list",
     .arguments = "",
     .summary = "the entries: pattern, scope, reason, end and note",
     .detail = "Entries come in no order; one that changes meanwhile may come\n"
               "twice. A key that was typed in another form than mail is "
               "looked\nup in never matches, and is marked so.\n",
     .list = STORE_SUPPRESS,
     .run = command_list_list,
     .options = {{"scope", 0, "NAME", "only this scope"},
                 {"match", 'm', "GLOB", MATCH_HELP}}},
    {.name = "suppress release",
     .arguments = "",
     .summary = "take off what was added in a bad hour",
     .detail = "Removes the entries that policy, or another origin, added "
               "between two\ntimes. Look with --dry-run first. nixied of this "
               "host logs the removals\nand writes them to Redis. Exit status "
               "1 when no entry matches.\n",
     .list = STORE_SUPPRESS,
     .run = command_release,
     .options = {{"since", 's', "WHEN",
                  "2h (so long ago), 2026-12-24 or 2026-12-24T18:00:00Z"},
                 {"until", 'u', "WHEN", "likewise; now, if not given"},
                 {"reason", 'r', "REASON", "only these, such as user_unknown"},
                 {"domain", 'd', "DOMAIN", "only mailboxes in this domain"},
                 {"origin", 0, "ORIGIN", "of this origin (policy)"},
                 {"dry-run", 0, NULL,
                  "change nothing: count, list the first"}}},
    {.name = "suppress import",
     .arguments = "FILE",
     .summary = "add the entries of a file, or of standard input (-)",
     .detail = IMPORT_DETAIL,
     .arguments_min = 1,
     .arguments_max = 1,
     .list = STORE_SUPPRESS,
     .run = command_import,
     .options = {IMPORT_OPTIONS,
                 {"reason", 'r', "REASON", "where a row has none"},
                 {"observe", 0, NULL, "where a row has no mode: observe"},
                 {"bulk-scope", 0, "NAME",
                  "of SparkPost's non_transactional rows"}}},
    {.name = "suppress export",
     .arguments = "",
     .summary = "all entries, in a form that import takes",
     .detail = EXPORT_DETAIL,
     .list = STORE_SUPPRESS,
     .run = command_export,
     .options = {EXPORT_OPTIONS}},
    {.name = "allow add",
     .arguments = "PATTERN...",
     .summary = "always deliver to it, whatever is suppressed",
     .detail = CHANGE_DETAIL,
     .arguments_min = 1,
     .arguments_max = COMMAND_ARGUMENTS_ANY,
     .list = STORE_ALLOW,
     .run = command_list_add,
     .options = {{"note", 'n', "TEXT", "for you"},
                 {"expires", 'e', "WHEN",
                  "30d, 2026-12-24 or "
                  "2026-12-24T18:00:00Z"},
                 SCOPE_OPTION}},
    {.name = "allow del",
     .arguments = "PATTERN...",
     .summary = "take it off the allow list",
     .detail = CHANGE_DETAIL "Exit status 1 when there is no such entry.\n",
     .arguments_min = 1,
     .arguments_max = COMMAND_ARGUMENTS_ANY,
     .list = STORE_ALLOW,
     .run = command_list_del,
     .options = {SCOPE_OPTION}},
    {.name = "allow show",
     .arguments = "PATTERN",
     .summary = "all of an entry of the allow list",
     .detail = PATTERN_DETAIL "Exit status 1 when there is no such entry.\n",
     .arguments_min = 1,
     .arguments_max = 1,
     .list = STORE_ALLOW,
     .run = command_list_show,
     .options = {SCOPE_OPTION}},
    {.name = "allow list",
     .arguments = "",
     .summary = "the entries of the allow list",
     .list = STORE_ALLOW,
     .run = command_list_list,
     .options = {{"scope", 0, "NAME", "only this scope"},
                 {"match", 'm', "GLOB", MATCH_HELP}}},
    {.name = "allow import",
     .arguments = "FILE",
     .summary = "add the entries of a file to the allow list",
     .detail = IMPORT_DETAIL,
     .arguments_min = 1,
     .arguments_max = 1,
     .list = STORE_ALLOW,
     .run = command_import,
     .options = {IMPORT_OPTIONS}},
    {.name = "allow export",
     .arguments = "",
     .summary = "the allow list, in a form that import takes",
     .detail = EXPORT_DETAIL,
     .list = STORE_ALLOW,
     .run = command_export,
     .options = {EXPORT_OPTIONS}},
    {.name = "forget",
     .arguments = "ADDRESS",
     .summary = "erase all that is known of it, and learn no more by name",
     .detail =
         "History, strikes, evidence, what waits and what is due, and the "
         "entries of\nboth lists. An event in the log erases them again "
         "when Redis is rebuilt;\nlater events have a pseudonym. Says "
         "which log files still have the address,\nand when they go.\n",
     .arguments_min = 1,
     .arguments_max = 1,
     .run = command_forget,
     .options = {{"keep-suppressed", 0, NULL,
                  "its entries in the lists stay, so it gets no mail"},
                 {"dry-run", 'n', NULL, "change nothing: say what is there"}}},
    {.name = "why",
     .arguments = "ADDRESS",
     .summary = "what becomes of mail to it, and what is known of it",
     .detail = "The keys that are looked up, the entry that decides, the "
               "answer at\nRCPT, the strikes and what one more failure would "
               "do, its domain, and the\nhistory. Exit status 0 whenever it "
               "could tell.\n\nSender, listener, user and client say what "
               "mail it is, and so its scope:\nwhat is not given is not known "
               "of it.\n",
     .arguments_min = 1,
     .arguments_max = 1,
     .run = command_why,
     .options = {{"scope", 0, "NAME", "as mail of this scope"},
                 {"as-sender", 's', "ADDRESS",
                  "as mail of this sender; '' "
                  "is that of bounces"},
                 {"listener", 'l', "NAME", "that came in here: {daemon_name}"},
                 {"auth-user", 'u', "NAME", "of a client that logged in"},
                 {"client", 0, "ADDRESS", "of a client with this address"}}},
    {.name = "mailbox",
     .arguments = "ADDRESS",
     .summary = "its normal form, and the keys looked up for it",
     .detail = "A line each. Redis is not asked.\n",
     .arguments_min = 1,
     .arguments_max = 1,
     .run = command_mailbox_keys,
     .options = {{"scope", 0, "NAME", "as mail of this scope"}}},
    {.name = "key",
     .arguments = "ADDRESS",
     .summary = "the keys of its history: recipient, strikes, domain",
     .detail = "A line each. Redis is not asked.\n",
     .arguments_min = 1,
     .arguments_max = 1,
     .run = command_mailbox_history},
    {.name = "tail",
     .arguments = "[FILE]",
     .summary = "the last events, and then each as it comes",
     .detail = "FILE is the setting event_log by default; it is followed "
               "through\nrotations. --json prints the lines as they are, "
               "log_open and heartbeat\namong them.\n",
     .arguments_max = 1,
     .run = command_tail,
     .options = {{"lines", 'n', "N", "begin with the last N (10)"},
                 {"follow", 'f', NULL, "wait for more: this is the default"},
                 {"no-follow", 0, NULL, "end after the last"},
                 {"type", 't', "TYPE", "only these: bounce,expiration"},
                 {"recipient", 'r', "ADDRESS", "only of this mailbox"},
                 {"domain", 'd', "DOMAIN", "only of recipients there"},
                 {"reason", 0, "REASON", "only with it: user_unknown"},
                 {"origin", 0, "WORD", "only from it: session, maillog, ..."},
                 {"queue-id", 'q', "ID", "only of this message"},
                 {"since", 0, "TIME",
                  "from 2026-12-24, 2026-12-24T18:00:00Z, or 2h ago on"},
                 {"until", 0, "TIME", "up to then"}}},
    {.name = "top",
     .arguments = "[FILE]",
     .summary = "what happens now: outcomes, worst domains, suppressions",
     .detail = "Full-screen until q is pressed; once, when it is no terminal. "
               "FILE is the\nsetting event_log by default.\n",
     .arguments_max = 1,
     .run = command_top,
     .options = {{"interval", 'i', "SECONDS", "between looks (1)"},
                 {"once", 0, NULL, "print it once, as text"}}},
    {.name = "classify",
     .arguments = "[FILE]",
     .summary = "why replies of other systems refuse mail",
     .detail = "Each line of FILE, or of standard input, is a reply such as\n"
               "\"550 5.1.1 User unknown\", or an object {\"id\", \"reply\"} "
               "that "
               "may have\n\"enhanced\", \"reply_code\", \"remote_mta\" and "
               "\"smtp_stage\". For each an\nobject {\"id\", \"reason\", "
               "\"type\", \"status\", \"rule\"} comes out. The rules are those "
               "of the\nsetting bounce_rules. Exit status 1 when a line was no "
               "reply.\n",
     .arguments_max = 1,
     .without_settings = true,
     .run = command_classify,
     .options = {{"rules", 'r', "FILE",
                  "these rules, in place of the usual; FILE:FILE..."},
                 {"explain", 'e', NULL,
                  "for people: which rule, and what else might be"}}},
    {.name = "report",
     .arguments = "FILE...",
     .summary = "whom bounces and complaints are about, and why",
     .detail = "FILE is a message, an mbox, a Maildir, a folder of messages, "
               "or - for standard\ninput. A JSON line for each recipient; "
               "nothing for a message that is no\nreport.\n",
     .arguments_min = 1,
     .arguments_max = COMMAND_ARGUMENTS_ANY,
     .without_settings = true,
     .run = command_report,
     .options = {{"rules", 'r', "FILE",
                  "these rules, in place of the usual; FILE:FILE..."},
                 {"explain", 'e', NULL,
                  "for people: the format, the part, the rule"}}},
    {.name = "maillog",
     .arguments = "[FILE...]",
     .summary = "the outcomes that a delivery log tells, as events",
     .detail = "FILE is a log of Postfix or Sendmail, compressed or not, or - "
               "for standard\ninput, which is the default. What comes out has "
               "the form of the event\nlog; nothing is written to Redis.\n",
     .arguments_max = COMMAND_ARGUMENTS_ANY,
     .without_settings = true,
     .run = command_maillog,
     .options = {{"trust", 0, NULL,
                  "as maillog_trust = all: whatever is in it may count"}}},
    {.name = "health",
     .arguments = "[DOMAIN]",
     .summary = "does all work at present? or: does this domain take mail?",
     .detail =
         "Redis, nixied, what waits to be decided, open breakers, domains "
         "that take\nno mail and the failures of the last two hours; "
         "and what to do. Exit\nstatus 1 when something is wrong.\n",
     .arguments_max = 1,
     .run = command_health},
    {.name = "stats",
     .arguments = "",
     .summary = "what became of mail: by type, hour, reason or domain",
     .detail = "Counts of the last 24 hours, this one among them, from Redis; "
               "hours and days\nare in UTC. With --json an object a row, and "
               "a last one with from, until,\nhours and skipped.\n",
     .run = command_stats,
     .options = {{"by", 'b', "WHAT", "type (default), hour, reason or domain"},
                 {"hours", 'n', "N", "the last N hours (24)"},
                 {"since", 's', "WHEN",
                  "2h (so long ago), 2026-12-24 or 2026-12-24T18:00:00Z"},
                 {"until", 'u', "WHEN", "likewise; now, if not given"}}},
    {.name = "unclassified",
     .arguments = "",
     .summary = "failure texts that no rule knew: to be qualified",
     .detail = "How often each was seen, the text as rules see it, and a "
               "reply as it came;\nmost frequent first. Write a rule for what "
               "matters, see bounce-rules(5),\ntry it with nixie classify, "
               "then clear the list.\n",
     .run = command_unclassified,
     .options = {{"limit", 'n', "N", "the first N (50)"},
                 {"clear", 0, NULL, "forget all: what matters has a rule"}}},
    {.name = "trace-key rotate",
     .arguments = "",
     .summary = "sign outgoing mail with a new key, from now on",
     .detail = "nixied makes a new key every 30 days by itself; this is for "
               "one that\nsomebody may have seen. Keys that there are go on "
               "verifying until they are\n45 days old: to end one at once, "
               "remove its line from the file. Hosts that\nshare the file "
               "need it copied again.\n",
     .run = command_trace_key_rotate},
    {.name = "trace-key list",
     .arguments = "",
     .summary = "the keys that sign outgoing mail, without the secrets",
     .detail = "Number, age and what each does: signs, verifies, future "
               "(signs once its\ntime has come) or old. Exit status 1 when "
               "no key signs.\n",
     .run = command_trace_key_list},
    {.name = "check",
     .arguments = "",
     .summary = "is this host set up right? what to do if not",
     .detail = "Configuration, folders, Redis, socket, nixied, the MTA and its "
               "log, rules and\nnotices: a line for each that wants care, with "
               "what to "
               "do. Run it as root, who may\nlook everywhere. Exit status 1 "
               "when something is wrong.\n",
     .without_settings = true,
     .run = command_check,
     .options = {{"postfix", 0, "DIR", "folder of main.cf, if not the default"},
                 {"verbose", 'v', NULL, "also what is well, a line each"}}},
    {.name = "completion",
     .arguments = "SHELL",
     .summary = "a script that completes nixie's words in a shell",
     .detail = "SHELL is bash, zsh or fish. Packages install the three; by "
               "hand: bash reads\nwhat \"source <(nixie completion bash)\" "
               "gives it. In place of a shell scopes\ngives the names of those "
               "that are configured, which the scripts ask for.\n",
     .arguments_min = 1,
     .arguments_max = 1,
     .without_settings = true,
     .run = complete},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static const struct command_option options[] = {
    {"config", 'c', "FILE", "the configuration (" SETTINGS_FILE ")"},
    {"json", 0, NULL, "JSON, an object a line"},
    {"help", 'h', NULL, "this"},
    {"version", 'V', NULL, "the version"},
    {NULL, 0, NULL, NULL},
};
enum { OPTION_CONFIG, OPTION_JSON, OPTION_HELP, OPTION_VERSION };

static const struct command_set set = {commands, COMMANDS, options};

static enum command_status complete(const struct command_call *call)
{
    return command_completion(call, &set);
}

/* --- which command ----------------------------------------------------- */

/* How many words of argv name the command; 0: none. */
static int match_words(const struct command *command, int argc,
                       char *const *argv)
{
    const char *blank = strchr(command->name, ' ');
    size_t first =
        blank == NULL ? strlen(command->name) : (size_t)(blank - command->name);

    if (argc < 1 || strlen(argv[0]) != first ||
        memcmp(argv[0], command->name, first) != 0) {
        return 0;
    }
    if (blank == NULL) {
        return 1;
    }
    return argc >= COMMAND_WORDS && strcmp(argv[1], blank + 1) == 0
               ? COMMAND_WORDS
               : 0;
}

static const struct command *find_command(int argc, char *const *argv,
                                          int *words)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        *words = match_words(&commands[i], argc, argv);
        if (*words > 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

/* Among the first words; among the verbs behind them when group is given. */
static const char *guess(const char *typed, const char *group,
                         char question[TEXT_NEAR_SIZE])
{
    struct text_near near = text_near_new(text_of(typed));

    for (size_t i = 0; i < COMMANDS; i++) {
        const char *name = commands[i].name;
        size_t first = strcspn(name, " ");

        if (group == NULL) {
            text_near_offer(&near, (struct text){name, first});
        } else if (strlen(group) == first && name[first] == ' ' &&
                   memcmp(name, group, first) == 0) {
            text_near_offer(&near, text_of(name + first + 1));
        }
    }
    return text_near_ask(&near, question);
}

static enum command_status complain_no_command(int argc, char *const *argv)
{
    char shown[SHOWN_MAX];
    char question[TEXT_NEAR_SIZE];

    if (argc < 1) {
        (void)fputs("nixie: which command? \"nixie --help\" lists them\n",
                    stderr);
    } else if (command_set_has_group(&set, argv[0])) {
        (void)fprintf(stderr,
                      "nixie: write nixie %s VERB; \"nixie help %s\" lists "
                      "the verbs%s\n",
                      argv[0], argv[0],
                      guess(argc > 1 ? argv[1] : "", argv[0], question));
    } else {
        (void)fprintf(
            stderr, "nixie: no command \"%s\"; \"nixie --help\" lists them%s\n",
            text_escape(text_of(argv[0]), shown, sizeof shown),
            guess(argv[0], NULL, question));
    }
    return COMMAND_FAULT;
}

static enum command_status help(int argc, char *const *argv)
{
    const struct command *command;
    int words;

    if (argc == 0) {
        command_help_print_all(&set);
        return COMMAND_OK;
    }
    command = find_command(argc, argv, &words);
    if (command == NULL && argc == 1 && command_set_has_group(&set, argv[0])) {
        command_help_print_group(&set, argv[0]);
        return COMMAND_OK;
    }
    if (command == NULL) {
        return complain_no_command(argc, argv);
    }
    command_help_print(command);
    return COMMAND_OK;
}

/* --- running it -------------------------------------------------------- */

/* SETTINGS_FILE counts when it is there: NULL stands for all defaults. */
static const char *default_settings_path(void)
{
    return access(SETTINGS_FILE, F_OK) == 0 || errno != ENOENT ? SETTINGS_FILE
                                                               : NULL;
}

static enum command_status run_with_settings(struct command_call *call)
{
    struct settings *settings = NULL;
    enum command_status status;
    struct error error = {""};

    if (!call->command->without_settings) {
        settings = settings_load(call->settings_path, &error);
        if (settings == NULL) {
            command_complain(call, "%s", error.text);
            return COMMAND_FAULT;
        }
    }
    call->settings = settings;
    status = call->command->run(call);
    settings_free(settings);
    return status;
}

static enum command_status run_command(struct command_call *call, int argc,
                                       char **argv)
{
    enum command_status status;
    int words;

    call->command = find_command(argc, argv, &words);
    if (call->command == NULL && argc == 2 &&
        command_set_has_group(&set, argv[0]) && asks_for_help(argv[1])) {
        return help(1, argv);
    }
    if (call->command == NULL) {
        return complain_no_command(argc, argv);
    }
    /* argv[words - 1] stands where getopt_long() expects a program's name */
    status = command_parse(call, argc - words + 1, argv + words - 1);
    if (status == COMMAND_NO) {
        command_help_print(call->command);
        return COMMAND_OK;
    }
    return status == COMMAND_OK ? run_with_settings(call) : status;
}

static enum command_status complain_option(const char *word)
{
    char shown[SHOWN_MAX];

    (void)fprintf(stderr,
                  "nixie: no such option, or no value behind \"%s\"; "
                  "\"nixie --help\" tells more\n",
                  text_escape(text_of(word), shown, sizeof shown));
    return COMMAND_FAULT;
}

static enum command_status run(int argc, char **argv)
{
    struct command_call call = {.settings_path = default_settings_path()};
    struct command_option_table table;
    int found;

    /* '+': what stands behind the command is the command's */
    command_option_make("+:", options, NULL, &table);
    opterr = 0;
    while ((found = getopt_long(argc, argv, table.letters, table.options,
                                NULL)) != -1) {
        switch (command_option_row(&table, found)) {
        case OPTION_CONFIG:
            call.settings_path = optarg;
            break;
        case OPTION_JSON:
            call.json = true;
            break;
        case OPTION_HELP:
            return help(argc - optind, argv + optind);
        case OPTION_VERSION:
            (void)puts("nixie " PACKAGE_VERSION);
            return COMMAND_OK;
        default:
            return complain_option(argv[optind - 1]);
        }
    }
    argc -= optind;
    argv += optind;
    return argc > 0 && strcmp(argv[0], "help") == 0
               ? help(argc - 1, argv + 1)
               : run_command(&call, argc, argv);
}

/* Whether the reader of our output is there: a pipe without one says so. */
static bool has_reader(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    return poll(&output, 1, 0) <= 0 || (output.revents & POLLERR) == 0;
}

int main(int argc, char **argv)
{
    enum command_status status;

    if (!descriptors_fill()) {
        return (int)COMMAND_FAULT; /* and nowhere to say so */
    }
    /* a reader that has enough is no fault: writes fail, and we end */
    (void)signal(SIGPIPE, SIG_IGN);
    status = run(argc, argv);
    if (!command_output_flows() && has_reader()) {
        (void)fputs("nixie: standard output cannot be written\n", stderr);
        return (int)COMMAND_FAULT;
    }
    return (int)status;
}
