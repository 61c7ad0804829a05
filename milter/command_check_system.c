#include "command_check_system.h"

#include "command_check.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define PATH_SIZE  4096
#define FILE_MAX   ((size_t)256 * 1024) /* of what an operator writes */
#define TAIL_SIZE  ((off_t)64 * 1024)   /* of a log */
#define GROWN      ((off_t)64 * 1024 * 1024)
#define GROWN_NAME "64 MiB"
#define UNIT       "nixied.service"

/* --- files --------------------------------------------------------------- */

/* A file, or the end of it that fits size; new, *length bytes, or NULL. */
static char *read_end(const char *path, off_t size, size_t *length)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *bytes = NULL;
    struct stat status;
    ssize_t count;

    *length = 0;
    if (descriptor < 0) {
        return NULL;
    }
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
        bytes = malloc((size_t)size + 1);
    }
    if (bytes != NULL) {
        count = pread(descriptor, bytes, (size_t)size,
                      status.st_size > size ? status.st_size - size : 0);
        *length = count > 0 ? (size_t)count : 0;
        bytes[*length] = '\0';
    }
    (void)close(descriptor);
    return bytes;
}

/* Adds the files that pattern names to *text; both are borrowed. */
static void append_files(const char *root, const char *pattern, char *text,
                         size_t *used)
{
    char path[PATH_SIZE];
    glob_t found;

    (void)snprintf(path, sizeof path, "%s%s", root, pattern);
    if (glob(path, 0, NULL, &found) != 0) {
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        size_t length;
        char *bytes = read_end(found.gl_pathv[i], (off_t)FILE_MAX, &length);

        if (bytes != NULL && *used + length + 1 < FILE_MAX) {
            memcpy(text + *used, bytes, length);
            *used += length;
            text[(*used)++] = '\n';
        }
        free(bytes);
    }
    globfree(&found);
}

/* --- clock --------------------------------------------------------------- */

static void check_clock(struct check *check)
{
    struct timex state = {.modes = 0};

    if (adjtimex(&state) < 0) {
        return;
    }
    if ((state.status & STA_UNSYNC) != 0) {
        command_check_report(check, CHECK_NOTE, "clock",
                             "is not synchronised, so that times in events and "
                             "expiries may be wrong: timedatectl set-ntp true, "
                             "or install chrony");
    } else {
        command_check_report(check, CHECK_OK, "clock", "is synchronised");
    }
}

/* --- what holds the log -------------------------------------------------- */

static void check_file_system(struct check *check, const char *key,
                              const char *path)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    const char *kind;
    struct statfs system;

    (void)text_copy((struct text){path, slash == NULL || slash == path
                                            ? 1
                                            : (size_t)(slash - path)},
                    folder, sizeof folder);
    if (statfs(folder, &system) != 0) {
        return; /* what is missing is told elsewhere */
    }
    kind = command_check_file_system((unsigned long)system.f_type);
    if (kind != NULL && strstr(kind, "fs") != NULL) {
        command_check_report(check, CHECK_WARN, key,
                             "%s is in memory (%s): what Redis has not taken "
                             "is lost with the host's power; set %s to a place "
                             "on a disk",
                             folder, kind, key);
    } else if (kind != NULL) {
        command_check_report(check, CHECK_WARN, key,
                             "%s is on %s, where locks and appended lines are "
                             "not to be relied upon: set %s to a place on a "
                             "disk of this host",
                             folder, kind, key);
    }
}

/* --- logrotate ----------------------------------------------------------- */

static void judge_rotation(struct check *check, const char *path,
                           const struct check_rotation *rotation)
{
    const struct row {
        bool bad;
        enum check_result result;
        const char *fault, *remedy;
    } rows[] = {
        {rotation->hangs_up, CHECK_FAIL,
         "its script sends HUP, which stops nixied",
         "write systemctl kill --kill-who=main -s USR1 nixied there"},
        {rotation->copytruncates, CHECK_FAIL, "copytruncate loses events",
         "write nocopytruncate instead"},
        {rotation->compresses, CHECK_FAIL,
         "it compresses what Redis may not have taken yet, and that nixied "
         "cannot read",
         "write nocompress"},
        {rotation->moves, CHECK_FAIL,
         "olddir takes rotated files where nixied does not find them",
         "write noolddir"},
        {rotation->renames, CHECK_FAIL,
         "extension gives rotated files names that nixied does not know",
         "remove that line"},
        {rotation->deletes, CHECK_WARN,
         "it may delete files that Redis has not taken yet; nixied deletes "
         "them itself, see event_log_retention",
         "write rotate -1"},
    };
    bool well = true;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].bad) {
            command_check_report(check, rows[i].result, "logrotate",
                                 "%s: %s: %s", path, rows[i].fault,
                                 rows[i].remedy);
            well = false;
        }
    }
    if (well) {
        command_check_report(check, CHECK_OK, "logrotate", "%s", path);
    }
}

/* False: path says nothing of the log; rotation then has what is for all. */
static bool check_rotation_file(struct check *check, const char *path,
                                struct check_rotation *rotation)
{
    size_t length;
    char *bytes = read_end(path, (off_t)FILE_MAX, &length);

    if (bytes == NULL) {
        return false;
    }
    command_check_rotation((struct text){bytes, length},
                           check->settings->event_log, rotation);
    free(bytes);
    if (rotation->found) {
        judge_rotation(check, path, rotation);
    }
    return rotation->found;
}

static void check_rotation(struct check *check, const char *root)
{
    struct check_rotation all = {.found = false};
    char path[PATH_SIZE];
    struct stat status;
    bool found;
    glob_t files;

    (void)snprintf(path, sizeof path, "%s/etc/logrotate.conf", root);
    found = check_rotation_file(check, path, &all);
    (void)snprintf(path, sizeof path, "%s/etc/logrotate.d/*", root);
    if (glob(path, 0, NULL, &files) == 0) {
        for (size_t i = 0; i < files.gl_pathc && !found; i++) {
            struct check_rotation rotation = all;

            found = check_rotation_file(check, files.gl_pathv[i], &rotation);
        }
        globfree(&files);
    }
    if (!found && stat(check->settings->event_log, &status) == 0 &&
        status.st_size > GROWN) {
        command_check_report(check, CHECK_NOTE, "logrotate",
                             "%s is larger than " GROWN_NAME
                             " and nothing rotates it: install logrotate.nixie "
                             "as /etc/logrotate.d/nixie",
                             check->settings->event_log);
    }
}

/* --- systemd -------------------------------------------------------------- */

static const char *const unit_folders[] = {
    "/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system",
    "/lib/systemd/system"};
#define UNIT_FOLDERS (sizeof unit_folders / sizeof unit_folders[0])

/* The unit and its drop-ins; new, "" when there is none. */
static char *read_unit(const char *root)
{
    char *text = malloc(FILE_MAX);
    char name[PATH_SIZE];
    size_t used = 0;

    if (text == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < UNIT_FOLDERS && used == 0; i++) {
        (void)snprintf(name, sizeof name, "%s/" UNIT, unit_folders[i]);
        append_files(root, name, text, &used);
    }
    for (size_t i = UNIT_FOLDERS; i > 0 && used > 0; i--) {
        (void)snprintf(name, sizeof name, "%s/" UNIT ".d/*.conf",
                       unit_folders[i - 1]);
        append_files(root, name, text, &used);
    }
    text[used] = '\0';
    return text;
}

static bool is_remote(const char *location)
{
    static const char *const here[] = {"127.", "localhost", "[::1]"};
    const char *colon = strchr(location, ':');

    if (colon == NULL || strncmp(location, "unix:", 5) == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++) {
        if (strncmp(colon + 1, here[i], strlen(here[i])) == 0) {
            return false;
        }
    }
    return true;
}

static void check_written(struct check *check, struct text unit,
                          const char *key, const char *path)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/');

    if (path[0] != '/' || command_check_unit_writes(unit, path)) {
        return;
    }
    (void)text_copy(
        (struct text){path, slash == path ? 1 : (size_t)(slash - path)}, folder,
        sizeof folder);
    command_check_report(check, CHECK_FAIL, "unit",
                         "%s = %s is in a folder that " UNIT
                         " may not write: systemctl edit nixied, write "
                         "[Service] and below it ReadWritePaths=%s, then "
                         "systemctl restart nixied",
                         key, path, folder);
}

static void check_enabled(struct check *check, const char *root)
{
    char path[PATH_SIZE];
    struct stat status;

    (void)snprintf(path, sizeof path,
                   "%s/etc/systemd/system/multi-user.target.wants/" UNIT, root);
    if (lstat(path, &status) != 0 && errno == ENOENT) {
        command_check_report(check, CHECK_WARN, "unit",
                             "nixied does not start with this host: systemctl "
                             "enable nixied");
    }
}

static void judge_unit(struct check *check, struct text unit)
{
    const struct settings *settings = check->settings;
    const char *socket_path = settings_socket_path(settings);
    char state[PATH_SIZE];

    (void)snprintf(state, sizeof state, "%s/lock", settings->state_dir);
    check_written(check, unit, "state_dir", state);
    check_written(check, unit, "event_log", settings->event_log);
    if (socket_path != NULL) {
        check_written(check, unit, "milter_socket", socket_path);
    }
    if (is_remote(settings->redis) && command_check_unit_is_shut(unit)) {
        command_check_report(check, CHECK_WARN, "unit",
                             "redis = %s is on another host, and " UNIT
                             " may reach this one only: systemctl edit nixied, "
                             "write [Service] and below it IPAddressAllow= "
                             "with its address, then systemctl restart nixied",
                             settings->redis);
    }
}

/* Of a host that systemd runs and a nixied that it starts. */
static void check_unit(struct check *check, const char *root)
{
    char *unit = read_unit(root);
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof path, "%s/run/systemd/system", root);
    if (unit != NULL && unit[0] != '\0' && access(path, F_OK) == 0) {
        command_check_report(check, CHECK_OK, "unit", UNIT);
        check_enabled(check, root);
        judge_unit(check, text_of(unit));
    }
    free(unit);
}

/* --- secrets, remains ----------------------------------------------------- */

static void check_secret(struct check *check, const char *key, const char *path)
{
    struct stat status;

    if (path[0] != '\0' && stat(path, &status) == 0 &&
        (status.st_mode & 06) != 0) {
        command_check_report(check, CHECK_FAIL, key,
                             "everybody may read %s: chmod o-rwx %s", path,
                             path);
    }
}

/* What a package lays beside a file that was edited. */
static void check_remains(struct check *check, const char *path)
{
    static const char *const endings[] = {"dpkg-dist", "dpkg-new", "ucf-dist",
                                          "rpmnew", "rpmsave"};

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char beside[PATH_SIZE];

        (void)snprintf(beside, sizeof beside, "%s.%s", path, endings[i]);
        if (access(beside, F_OK) == 0) {
            command_check_report(check, CHECK_NOTE, "configuration",
                                 "%s is left over from an upgrade: compare "
                                 "with diff -u %s %s, then rm %s",
                                 beside, path, beside, beside);
        }
    }
}

static void check_configuration(struct check *check)
{
    const char *path = check->call->settings_path;

    check_remains(check, path == NULL ? SETTINGS_FILE : path);
    for (char *const *rules = check->settings->bounce_rules; *rules != NULL;
         rules++) {
        check_remains(check, *rules);
    }
    if (path != NULL && !command_check_readable(check, path)) {
        command_check_report(check, CHECK_FAIL, "configuration",
                             "%s may not read %s: chgrp %s %s && chmod 0640 %s",
                             check->settings->user, path, check->settings->user,
                             path, path);
    }
}

/* What is set, and does less than who set it may think. */
static void check_effect(struct check *check)
{
    const struct settings *settings = check->settings;
    const char *slash = strrchr(settings->trace_keys, '/');
    char folder[PATH_SIZE];

    if (settings->mode == MODE_OBSERVE) {
        command_check_report(check, CHECK_NOTE, "mode",
                             "nobody is refused: write mode = \"enforce\" when "
                             "what would be is right (nixie stats)");
    }
    if (slash == NULL || slash == settings->trace_keys) {
        return;
    }
    (void)text_copy((struct text){settings->trace_keys,
                                  (size_t)(slash - settings->trace_keys)},
                    folder, sizeof folder);
    if (access(folder, F_OK) != 0) {
        command_check_report(check, CHECK_NOTE, "trace_keys",
                             "mail goes out without a mark, so no bounce is "
                             "believed: make the folder %s, or set trace_keys "
                             "to a file in state_dir",
                             folder);
    }
}

/* --- the delivery log ------------------------------------------------------
 */

static void check_repeats(struct check *check, const char *root)
{
    static const char *const patterns[] = {"/etc/rsyslog.conf",
                                           "/etc/rsyslog.d/*.conf"};
    char *text = malloc(FILE_MAX);
    size_t used = 0;

    for (size_t i = 0; i < 2 && text != NULL; i++) {
        append_files(root, patterns[i], text, &used);
    }
    if (text != NULL &&
        command_check_rsyslog_repeats((struct text){text, used}, false)) {
        command_check_report(check, CHECK_WARN, "maillog",
                             "rsyslog writes \"message repeated\" in place of "
                             "lines that are alike: write "
                             "$RepeatedMsgReduction off into "
                             "/etc/rsyslog.conf, then systemctl restart "
                             "rsyslog");
    }
    free(text);
}

static void check_log_content(struct check *check, const char *path)
{
    static const char *const programs[] = {
        "postfix", "sendmail[", "sm-mta[", "qmgr[", "smtp[", "smtpd[", NULL};
    size_t length;
    char *bytes = read_end(path, TAIL_SIZE, &length);

    if (bytes != NULL && length > 0 &&
        !command_check_log_has((struct text){bytes, length}, programs)) {
        command_check_report(check, CHECK_WARN, "maillog",
                             "the end of %s has no line of Postfix or "
                             "Sendmail: set maillog to the file that the MTA "
                             "writes its log to (grep mail /etc/rsyslog.conf "
                             "/etc/rsyslog.d/* tells)",
                             path);
    }
    free(bytes);
}

static void check_logs(struct check *check, const char *root)
{
    bool files = false;

    for (char *const *log = check->settings->maillog; *log != NULL; log++) {
        if ((*log)[0] == '/') {
            check_log_content(check, *log);
            files = true;
        }
    }
    if (files) {
        check_repeats(check, root);
    }
}

/* --- all --------------------------------------------------------------------
 */

void command_check_system(struct check *check, const char *root)
{
    const struct settings *settings = check->settings;
    char state[PATH_SIZE];

    (void)snprintf(state, sizeof state, "%s/lock", settings->state_dir);
    check_clock(check);
    check_file_system(check, "event_log", settings->event_log);
    check_file_system(check, "state_dir", state);
    check_configuration(check);
    check_secret(check, "trace_keys", settings->trace_keys);
    check_effect(check);
    check_rotation(check, root);
    check_unit(check, root);
    check_logs(check, root);
}
