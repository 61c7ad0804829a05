#include "config.h"

#include "clock.h"
#include "command_check.h"
#include "control.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS    2000
#define PATH_SIZE    4096
#define COMMAND_SIZE 4096
#define NAME         "nixied"

/* --- what the one that runs has loaded ---------------------------------- */

static int64_t changed_at_us(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? (int64_t)status.st_mtim.tv_sec * 1000000 +
                                          status.st_mtim.tv_nsec / 1000
                                    : 0;
}

/* The newest file that nixied reads when it is told to reload. */
static const char *newest_file(const struct check *check, int64_t *at_us)
{
    const char *newest = check->call->settings_path;

    *at_us = newest == NULL ? 0 : changed_at_us(newest);
    for (char *const *rules = check->settings->bounce_rules; *rules != NULL;
         rules++) {
        int64_t rules_us = changed_at_us(*rules);

        if (rules_us > *at_us) {
            *at_us = rules_us;
            newest = *rules;
        }
    }
    return newest;
}

static void judge_age(struct check *check, const struct control_about *about)
{
    char changed_at[CLOCK_TIMESTAMP_SIZE];
    int64_t at_us;
    const char *newest = newest_file(check, &at_us);

    if (newest != NULL && at_us > about->loaded_at_us) {
        clock_format(at_us, changed_at);
        command_check_report(check, CHECK_WARN, NAME,
                             "%s was changed at %.19sZ, and nixied has not "
                             "read it since: systemctl reload nixied",
                             newest, changed_at);
    }
    if (about->restart_for[0] != '\0') {
        command_check_report(check, CHECK_WARN, NAME,
                             "%s has another value than when nixied started, "
                             "and a reload does not change it: systemctl "
                             "restart nixied",
                             about->restart_for);
    }
}

static void check_about(struct check *check)
{
    struct control_about about;
    struct error error = {""};

    switch (control_ask_about(check->settings->state_dir, ANSWER_MS, &about,
                              &error)) {
    case CONTROL_DONE:
        if (strcmp(about.version, PACKAGE_VERSION) != 0) {
            command_check_report(
                check, CHECK_WARN, NAME,
                "runs as version %s, installed is " PACKAGE_VERSION
                ": systemctl restart nixied",
                about.version);
        }
        judge_age(check, &about);
        break;
    case CONTROL_REFUSED:
        if (geteuid() == 0) { /* others are not told */
            command_check_report(check, CHECK_WARN, NAME,
                                 "runs as a version older than " PACKAGE_VERSION
                                 ": systemctl restart nixied");
        }
        break;
    case CONTROL_UNKNOWN:
        command_check_report(check, CHECK_WARN, NAME, "%s", error.text);
        break;
    case CONTROL_ABSENT:
        break; /* told elsewhere */
    }
}

/* --- others --------------------------------------------------------------- */

/* A file of /proc, whose size nobody knows before. */
static size_t read_process(const char *pid, const char *name, char *bytes,
                           size_t size)
{
    char path[PATH_SIZE];
    ssize_t count = -1;
    int descriptor;

    (void)snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
        count = read(descriptor, bytes, size - 1);
        (void)close(descriptor);
    }
    count = count < 0 ? 0 : count;
    bytes[count] = '\0';
    return (size_t)count;
}

/* What it was told to read, or the default. */
static const char *configuration_of(const char *command, size_t length)
{
    static const char long_form[] = "--config";
    const char *end = command + length;

    for (const char *word = command; word < end; word += strlen(word) + 1) {
        const char *next = word + strlen(word) + 1;

        if ((strcmp(word, "-c") == 0 || strcmp(word, long_form) == 0) &&
            next < end) {
            return next;
        }
        if (strncmp(word, "--config=", sizeof long_form) == 0) {
            return word + sizeof long_form;
        }
        if (strncmp(word, "-c", 2) == 0 && word[2] != '\0') {
            return word + 2;
        }
    }
    return SETTINGS_FILE;
}

/* Whether a process is a nixied of another state folder, at our socket. */
static bool is_rival(const struct check *check, const char *pid)
{
    char command[COMMAND_SIZE];
    struct settings *its = NULL;
    struct error ignored;
    bool rival = false;
    size_t length;
    const char *path;

    length = read_process(pid, "comm", command, sizeof command);
    if (!text_is((struct text){command, length}, NAME "\n")) {
        return false;
    }
    length = read_process(pid, "cmdline", command, sizeof command);
    path = configuration_of(command, length);
    if (path[0] == '/') { /* another is relative to a folder we do not know */
        its = settings_load(path, &ignored);
    }
    if (its != NULL) {
        rival = strcmp(its->state_dir, check->settings->state_dir) != 0 &&
                strcmp(its->milter_socket, check->settings->milter_socket) == 0;
    }
    settings_free(its);
    return rival;
}

static void check_rivals(struct check *check)
{
    DIR *processes = opendir("/proc");
    const struct dirent *entry;

    while (processes != NULL && (entry = readdir(processes)) != NULL) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            is_rival(check, entry->d_name)) {
            command_check_report(check, CHECK_FAIL, NAME,
                                 "process %s is another nixied that listens on "
                                 "%s too: kill %s, or give it another "
                                 "milter_socket",
                                 entry->d_name, check->settings->milter_socket,
                                 entry->d_name);
        }
    }
    if (processes != NULL) {
        (void)closedir(processes);
    }
}

void command_check_nixied(struct check *check)
{
    check_about(check);
    check_rivals(check);
}
