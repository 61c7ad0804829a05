#include "config.h"

#include "bounce_rules.h"
#include "command_check.h"
#include "delay_notice_template.h"
#include "postconf.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATH_SIZE   4096
#define HOP_SIZE    512
#define SENDMAIL_CF "/etc/mail/sendmail.cf"
#define MAIL_LOG    "/var/log/mail.log"
#define JOURNAL     "journal"

#define LEFT_BEHIND_S ((time_t)7 * 86400)

/* --- the delivery log: files ------------------------------------------- */

/* The group that may read a log, if it has one for that. */
static const char *reading_group(const struct stat *status)
{
    const struct group *group = getgrgid(status->st_gid);

    return (status->st_mode & 040) != 0 && status->st_gid != 0 && group != NULL
               ? group->gr_name
               : NULL;
}

static void report_unreadable(struct check *check, const char *path,
                              const struct stat *status, const char *postfix)
{
    const char *user = check->settings->user;
    const char *group = reading_group(status);

    if (group != NULL) {
        command_check_report(check, CHECK_FAIL, "maillog",
                             "%s may not read %s: usermod -aG %s %s; systemctl "
                             "restart nixied",
                             user, path, group, user);
    } else if (command_check_same(path, postfix)) {
        command_check_report(check, CHECK_FAIL, "maillog",
                             "%s may not read %s, which Postfix makes: chmod "
                             "0644 %s, and for the next one postconf -e "
                             "maillog_file_permissions=0644 (Postfix 3.9)",
                             user, path, path);
    } else {
        command_check_report(check, CHECK_FAIL, "maillog",
                             "%s may not read %s (mode %04o): chgrp adm %s && "
                             "chmod 0640 %s && usermod -aG adm %s; systemctl "
                             "restart nixied",
                             user, path, (unsigned)status->st_mode & 07777U,
                             path, path, user);
    }
}

static const char *journal_folder(void)
{
    static const char *const folders[] = {"/var/log/journal",
                                          "/run/log/journal"};

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        struct stat status;

        if (stat(folders[i], &status) == 0 && S_ISDIR(status.st_mode)) {
            return folders[i];
        }
    }
    return NULL;
}

static bool reads_journal(void)
{
#ifdef HAVE_LIBSYSTEMD
    return journal_folder() != NULL;
#else
    return false;
#endif
}

/* What to follow: Postfix's own file, syslog's, or the journal. */
static const char *find_log(const char *postfix)
{
    if (postfix[0] == '/' && strncmp(postfix, "/dev/", 5) != 0) {
        return postfix;
    }
    return access(MAIL_LOG, F_OK) == 0 || !reads_journal() ? MAIL_LOG : JOURNAL;
}

/* MTAs make it with their first line, a syslog with the first about mail. */
static void report_no_file(struct check *check, const char *path,
                           const char *postfix)
{
    const int cause = errno;
    const char *found = find_log(postfix);

    if (cause == EACCES) {
        command_check_report(check, CHECK_SKIP, "maillog",
                             "%s may not be looked at: run this as root", path);
    } else if (strcmp(found, path) != 0) {
        command_check_report(check, CHECK_FAIL, "maillog",
                             "%s: %s: write maillog = {\"%s\"} into "
                             "nixie.conf, then systemctl restart nixied",
                             path, strerror(cause), found);
    } else {
        command_check_report(check, CHECK_FAIL, "maillog",
                             "%s: %s: set maillog to the file that the MTA "
                             "writes its log to; it is followed from its "
                             "beginning once it is there",
                             path, strerror(cause));
    }
}

/* A syslog that is gone leaves its file behind, and the journal goes on. */
static bool is_left_behind(const struct stat *status)
{
    return reads_journal() && time(NULL) - status->st_mtime > LEFT_BEHIND_S;
}

/* postfix: the log that Postfix itself writes, or "". */
static void check_file(struct check *check, const char *path,
                       const char *postfix)
{
    struct check_account account;
    struct stat status;
    char folder[PATH_SIZE];

    if (stat(path, &status) != 0) {
        report_no_file(check, path, postfix);
    } else if (!S_ISREG(status.st_mode)) {
        command_check_report(check, CHECK_FAIL, "maillog", "%s is no file",
                             path);
    } else if (!command_check_account(check->settings->user, &account)) {
        command_check_report(check, CHECK_SKIP, "maillog",
                             "%s: there is no user %s", path,
                             check->settings->user);
    } else if (command_check_barrier(&account, path, folder, sizeof folder)) {
        command_check_report(check, CHECK_FAIL, "maillog",
                             "%s may not pass %s: chmod go+x %s",
                             check->settings->user, folder, folder);
    } else if (!command_check_may(&account, &status, 04)) {
        report_unreadable(check, path, &status, postfix);
    } else if (is_left_behind(&status) && !command_check_same(path, postfix)) {
        command_check_report(check, CHECK_NOTE, "maillog",
                             "nothing was written to %s for a week: if the MTA "
                             "logs to the journal now, write maillog = "
                             "{\"" JOURNAL "\"} into nixie.conf, then "
                             "systemctl restart nixied",
                             path);
    } else {
        command_check_report(check, CHECK_OK, "maillog", "%s", path);
    }
}

/* --- the delivery log: the journal -------------------------------------- */

/* journald lets these read; of adm only an ACL tells. */
static bool is_journal_reader(const struct check_account *account)
{
    static const char *const names[] = {"systemd-journal", "adm"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct group *group = getgrnam(names[i]);

        for (int j = 0; group != NULL && j < account->group_count; j++) {
            if (account->groups[j] == group->gr_gid) {
                return true;
            }
        }
    }
    return false;
}

static void check_journal(struct check *check)
{
    const char *folder = journal_folder();
    const char *user = check->settings->user;
    struct check_account account;

#ifndef HAVE_LIBSYSTEMD
    command_check_report(check, CHECK_FAIL, "maillog",
                         "this nixied is built without libsystemd and reads no "
                         "journal: set maillog to a file");
    return;
#endif
    if (folder == NULL) {
        command_check_report(check, CHECK_FAIL, "maillog",
                             "there is no journal on this host: set maillog to "
                             "a file, such as " MAIL_LOG);
    } else if (command_check_account(user, &account) &&
               !is_journal_reader(&account)) {
        command_check_report(check, CHECK_FAIL, "maillog",
                             "%s may not read the journal: usermod -aG "
                             "systemd-journal %s; systemctl restart nixied",
                             user, user);
    } else {
        command_check_report(check, CHECK_OK, "maillog", "the journal in %s",
                             folder);
    }
}

/* --- the delivery log: none --------------------------------------------- */

static void check_maillog(struct check *check, bool has_mta,
                          const char *postfix)
{
    char *const *maillog = check->settings->maillog;

    if (maillog[0] == NULL && has_mta) {
        command_check_report(check, CHECK_NOTE, "maillog",
                             "it is not set, so that deliveries, delays and "
                             "bounces are not known: write maillog = {\"%s\"} "
                             "into nixie.conf, then systemctl restart nixied",
                             find_log(postfix));
    }
    for (size_t i = 0; maillog[i] != NULL; i++) {
        if (strcmp(maillog[i], JOURNAL) == 0) {
            check_journal(check);
        } else {
            check_file(check, maillog[i], postfix);
        }
    }
}

/* --- content filters ---------------------------------------------------- */

/* Not only a word that a program gets, as in "scan:dummy". */
static bool is_hop(struct text next)
{
    for (size_t i = 0; i < next.length; i++) {
        if (strchr(":/.[", next.bytes[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/*
 * What the delivery log names of "transport:[host]:port": "host:port", with
 * brackets only of IPv6; of a program the transport.
 */
static void name_hop(struct text filter, char hop[HOP_SIZE])
{
    const char *colon = memchr(filter.bytes, ':', filter.length);
    size_t transport =
        colon == NULL ? filter.length : (size_t)(colon - filter.bytes);
    struct text next = {"", 0};
    const char *end;
    size_t used = 0;

    if (colon != NULL) {
        next = (struct text){colon + 1, filter.length - transport - 1};
    }
    if (next.length > 5 && memcmp(next.bytes, "unix:", 5) == 0) {
        next = (struct text){next.bytes + 5, next.length - 5};
    }
    if (!is_hop(next)) {
        (void)text_copy((struct text){filter.bytes, transport}, hop, HOP_SIZE);
        return;
    }
    end = next.bytes[0] == '[' ? memchr(next.bytes, ']', next.length) : NULL;
    if (end != NULL &&
        memchr(next.bytes, ':', (size_t)(end - next.bytes)) == NULL) {
        size_t inside = (size_t)(end - next.bytes) - 1;

        used = text_copy((struct text){next.bytes + 1, inside}, hop, HOP_SIZE);
        next = (struct text){end + 1, next.length - inside - 2};
    }
    (void)text_copy(next, hop + used, HOP_SIZE - used);
}

/* Named as it is, or by its host alone. */
static bool is_known(const struct check *check, const char *hop)
{
    char *const *relays = check->settings->internal_relays;
    const char *colon = strrchr(hop, ':');
    size_t host = colon == NULL ? strlen(hop) : (size_t)(colon - hop);

    for (size_t i = 0; relays[i] != NULL; i++) {
        if (strcasecmp(relays[i], hop) == 0 ||
            (strlen(relays[i]) == host &&
             strncasecmp(relays[i], hop, host) == 0)) {
            return true;
        }
    }
    return false;
}

static void check_filter(struct check *check, struct text where,
                         struct text filter)
{
    char hop[HOP_SIZE];

    name_hop(filter, hop);
    if (is_known(check, hop)) {
        command_check_report(check, CHECK_OK, "internal_relays",
                             "has %s, the content_filter of %.*s", hop,
                             (int)where.length, where.bytes);
        return;
    }
    command_check_report(
        check, CHECK_NOTE, "internal_relays",
        "%.*s has content_filter=%.*s: write "
        "internal_relays = {\"%s\"} into nixie.conf, or as the "
        "log has it behind relay=, so that what is handed "
        "there is no delivery",
        (int)where.length, where.bytes, (int)filter.length, filter.bytes, hop);
}

/* "smtp/inet/content_filter = scan:[127.0.0.1]:10024", a line each. */
static void check_overrides(struct check *check, const char *output)
{
    static const char name[] = "/content_filter = ";

    for (const char *line = output; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        const char *at = memmem(line, length, name, sizeof name - 1);

        if (at != NULL) {
            const char *value = at + sizeof name - 1;
            struct text filter = {value, length - (size_t)(value - line)};

            if (filter.length > 0) {
                check_filter(check, (struct text){line, (size_t)(at - line)},
                             filter);
            }
        }
        line += length + (line[length] == '\n' ? 1 : 0);
    }
}

static void check_filters(struct check *check, const char *directory,
                          const char *main_filter)
{
    static const char *const words[] = {"-Px", NULL};
    char *output = NULL;

    if (check->settings->maillog[0] == NULL) {
        return;
    }
    if (main_filter[0] != '\0') {
        check_filter(check, text_of("main.cf"), text_of(main_filter));
    }
    if (postconf(directory, words, &output) == POSTCONF_DONE) {
        check_overrides(check, output);
    }
    free(output);
}

/* --- rules and notices --------------------------------------------------- */

static void check_rules(struct check *check, struct settings *settings)
{
    struct error error = {""};
    size_t count;

    for (size_t i = 0; settings->bounce_rules[i] != NULL; i++) {
        if (!command_check_readable(check, settings->bounce_rules[i])) {
            command_check_report(check, CHECK_FAIL, "bounce_rules",
                                 "%s may not read %s: chmod a+r %s",
                                 settings->user, settings->bounce_rules[i],
                                 settings->bounce_rules[i]);
            return;
        }
    }
    if (!settings_load_rules(settings, &error)) {
        command_check_report(check, CHECK_FAIL, "bounce_rules", "%s",
                             error.text);
        return;
    }
    count = bounce_rules_count(settings->rules);
    if (count == 0) {
        command_check_report(check, CHECK_WARN, "bounce_rules",
                             "there are none, so status and code decide alone: "
                             "install bounce-rules.conf, or set bounce_rules");
    } else {
        command_check_report(check, CHECK_OK, "bounce_rules", "%zu %s", count,
                             count == 1 ? "rule" : "rules");
    }
}

static void check_notices(struct check *check)
{
    const struct settings *settings = check->settings;
    struct delay_notice_template *template;
    struct error error = {""};
    char path[PATH_SIZE];

    if (settings->delay_notice_after == 0) {
        return;
    }
    if (settings->maillog[0] == NULL) {
        command_check_report(check, CHECK_WARN, "delay_notice_after",
                             "without maillog there are no notices: set it");
    }
    (void)snprintf(path, sizeof path, "%s/delay.%s.txt",
                   settings->delay_notice_folder,
                   settings->delay_notice_language);
    template = delay_notice_template_load(settings, &error);
    if (template == NULL) {
        command_check_report(check, CHECK_FAIL, "delay_notice_after", "%s",
                             error.text);
    } else if (!command_check_readable(check, path)) {
        command_check_report(check, CHECK_FAIL, "delay_notice_after",
                             "%s may not read %s: chmod a+r %s", settings->user,
                             path, path);
    } else {
        command_check_report(check, CHECK_OK, "delay_notice_after",
                             "notices in language %s",
                             settings->delay_notice_language);
    }
    delay_notice_template_free(template);
}

/* --- all ------------------------------------------------------------------ */

/* The value of a parameter; "": none, or no Postfix. */
static void ask(const char *directory, const char *name, char *value,
                size_t size)
{
    const char *const words[] = {"-hx", name, NULL};
    char *output = NULL;

    value[0] = '\0';
    if (postconf(directory, words, &output) == POSTCONF_DONE) {
        (void)text_copy((struct text){output, strcspn(output, "\n")}, value,
                        size);
    }
    free(output);
}

void command_check_outcome(struct check *check, struct settings *settings,
                           const char *directory)
{
    char queue[PATH_SIZE];
    char log[PATH_SIZE];
    char filter[HOP_SIZE];

    if (directory == NULL) { /* as Postfix's own programs do */
        directory = getenv("MAIL_CONFIG");
    }
    ask(directory, "queue_directory", queue, sizeof queue);
    ask(directory, "maillog_file", log, sizeof log);
    ask(directory, "content_filter", filter, sizeof filter);
    check_maillog(check, queue[0] != '\0' || access(SENDMAIL_CF, F_OK) == 0,
                  log);
    check_filters(check, directory, filter);
    check_rules(check, settings);
    check_notices(check);
}
