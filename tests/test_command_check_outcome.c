#include "check_shown.h"
#include "scratch.h"
#include "settings_text.h"

#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_SIZE 256

/* A folder with files of a test, which nobody else may change. */
struct site {
    char folder[PATH_SIZE];
};

static const char *const names[] = {"log",        "main.cf", "master.cf",
                                    "rules",      "mc",      "delay.en.txt",
                                    "milter.sock"};

static void path_in(const struct site *site, const char *name,
                    char path[2 * PATH_SIZE])
{
    (void)snprintf(path, 2 * PATH_SIZE, "%s/%s", site->folder, name);
}

static void write_file(const struct site *site, const char *name,
                       const char *text, mode_t mode)
{
    char path[2 * PATH_SIZE];

    path_in(site, name, path);
    scratch_write(path, text);
    scratch_age(path);
    assert_int_equal(chmod(path, mode), 0);
}

/* Not below /tmp, in which everybody may write: Sendmail minds that. */
static int make_site(void **state)
{
    struct site *site = calloc(1, sizeof *site);

    assert_non_null(site);
    (void)snprintf(site->folder, sizeof site->folder,
                   "/var/lib/nixie-check-XXXXXX");
    if (mkdtemp(site->folder) == NULL || getpwnam("nobody") == NULL) {
        free(site);
        *state = NULL;
        return 0; /* not root */
    }
    assert_int_equal(chmod(site->folder, 0755), 0);
    *state = site;
    return 0;
}

static int remove_site(void **state)
{
    struct site *site = *state;
    char path[2 * PATH_SIZE];

    if (site == NULL) {
        return 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        path_in(site, names[i], path);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(site->folder), 0);
    free(site);
    return 0;
}

static const struct site *site_of(void **state)
{
    if (*state == NULL) {
        skip();
    }
    return *state;
}

static void outcome(struct check *check, struct settings *settings,
                    const char *path)
{
    command_check_outcome(check, settings, path);
}

static void sendmail(struct check *check, struct settings *settings,
                     const char *path)
{
    (void)settings;
    command_check_sendmail(check, path);
}

/* Whether the check is well and tells that; a settings' ~ is the folder. */
static void see(const struct site *site, const struct check_part *part,
                const char *text, bool well, const char *told)
{
    struct settings *settings = settings_in(site->folder, text);
    char output[CHECK_SHOWN_SIZE];

    if (check_shown(part, settings, output) != well ||
        (told[0] == '!' ? strstr(output, told + 1) != NULL
                        : strstr(output, told) == NULL)) {
        fail_msg("%s, told %s: %s", text, told, output);
    }
    settings_free(settings);
}

static void write_postfix(const struct site *site, const char *more,
                          const char *option)
{
    char text[1024];

    (void)snprintf(text, sizeof text,
                   "compatibility_level = 3.6\nqueue_directory = %.200s\n%s",
                   site->folder, more);
    write_file(site, "main.cf", text, 0644);
    (void)snprintf(text, sizeof text, "smtp inet n - n - - smtpd\n%s", option);
    write_file(site, "master.cf", text, 0644);
}

#define NOBODY "user = \"nobody\"\n"

static void command_check_outcome_tells_who_may_read_the_log(void **state)
{
    static const struct row {
        mode_t mode; /* 0: there is none */
        mode_t folder;
        bool well;
        const char *told;
    } rows[] = {
        {0644, 0755, true, "ok    maillog: /"},
        {0600, 0755, false, "chgrp adm"},
        {0640, 0755, false, "usermod -aG adm nobody"},
        {0644, 0700, false, "nobody may not pass /"},
        {0, 0755, false, "write maillog = {\""},
    };
    const struct site *site = site_of(state);
    const struct check_part part = {outcome, site->folder};
    char path[2 * PATH_SIZE];

    write_postfix(site, "", "");
    path_in(site, "log", path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)unlink(path);
        if (rows[i].mode != 0) {
            write_file(site, "log", "", rows[i].mode);
        }
        assert_int_equal(chmod(site->folder, rows[i].folder), 0);
        see(site, &part, NOBODY "maillog = {\"~/log\"}\n", rows[i].well,
            rows[i].told);
    }
}

static void
command_check_outcome_tells_of_a_log_that_is_left_behind(void **state)
{
    const struct site *site = site_of(state);
    const struct check_part part = {outcome, site->folder};
    const struct timespec old[2] = {{time(NULL) - 8 * 86400, 0},
                                    {time(NULL) - 8 * 86400, 0}};
    char path[2 * PATH_SIZE];

    write_postfix(site, "", "");
    path_in(site, "log", path);
    write_file(site, "log", "", 0644);
    assert_int_equal(chmod(site->folder, 0755), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    see(site, &part, NOBODY "maillog = {\"~/log\"}\n", true,
        access("/var/log/journal", F_OK) == 0 ||
                access("/run/log/journal", F_OK) == 0
            ? "nothing was written to /"
            : "ok    maillog: /");
}

static void command_check_outcome_notes_what_is_not_followed(void **state)
{
    static const struct row {
        const char *main_cf, *option, *settings, *told;
    } rows[] = {
        {"maillog_file = /var/log/postfix.log\n", "", "",
         "note  maillog: it is not set"},
        {"maillog_file = /var/log/postfix.log\n", "", "",
         "maillog = {\"/var/log/postfix.log\"}"},
        {"maillog_file = /dev/stdout\n", "", "", "write maillog = {\""},
        /* what the delivery log calls a content filter */
        {"content_filter = scan:[127.0.0.1]:10024\n", "",
         "maillog = {\"~/log\"}\n", "internal_relays = {\"127.0.0.1:10024\"}"},
        {"content_filter = scan:[::1]:10024\n", "", "maillog = {\"~/log\"}\n",
         "internal_relays = {\"[::1]:10024\"}"},
        {"content_filter = scan:filter.test:10024\n", "",
         "maillog = {\"~/log\"}\n",
         "internal_relays = {\"filter.test:10024\"}"},
        {"content_filter = lmtp:unix:private/scan\n", "",
         "maillog = {\"~/log\"}\n", "internal_relays = {\"private/scan\"}"},
        {"content_filter = scan:dummy\n", "", "maillog = {\"~/log\"}\n",
         "internal_relays = {\"scan\"}"},
        {"content_filter = scan\n", "", "maillog = {\"~/log\"}\n",
         "internal_relays = {\"scan\"}"},
        {"", "  -o content_filter=scan:[127.0.0.1]:10024\n",
         "maillog = {\"~/log\"}\n", "smtp/inet has content_filter=scan:"},
        {"content_filter = scan:[127.0.0.1]:10024\n", "",
         "maillog = {\"~/log\"}\ninternal_relays = {\"127.0.0.1:10024\"}\n",
         "ok    internal_relays: has 127.0.0.1:10024"},
        {"content_filter = scan:[127.0.0.1]:10024\n", "",
         "maillog = {\"~/log\"}\ninternal_relays = {\"127.0.0.1\"}\n",
         "ok    internal_relays"},
        {"", "  -o content_filter=\n", "maillog = {\"~/log\"}\n",
         "!internal_relays"},
        {"content_filter = scan:[127.0.0.1]:10024\n", "", "",
         "!internal_relays"},
    };
    const struct site *site = site_of(state);
    const struct check_part part = {outcome, site->folder};

    if (access("/usr/sbin/postconf", X_OK) != 0) {
        skip();
    }
    write_file(site, "log", "", 0644);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];

        write_postfix(site, rows[i].main_cf, rows[i].option);
        (void)snprintf(text, sizeof text, NOBODY "%s", rows[i].settings);
        see(site, &part, text, true, rows[i].told);
    }
}

static void command_check_outcome_knows_a_log_of_postfix_itself(void **state)
{
    const struct site *site = site_of(state);
    const struct check_part part = {outcome, site->folder};
    char main_cf[512];

    if (access("/usr/sbin/postconf", X_OK) != 0) {
        skip();
    }
    (void)snprintf(main_cf, sizeof main_cf, "maillog_file = %.200s/log\n",
                   site->folder);
    write_postfix(site, main_cf, "");
    write_file(site, "log", "", 0600);
    see(site, &part, NOBODY "maillog = {\"~/log\"}\n", false,
        "maillog_file_permissions=0644");
}

static void command_check_outcome_loads_rules_and_notices(void **state)
{
    static const struct row {
        const char *settings;
        bool well;
        const char *told;
    } rows[] = {
        {"bounce_rules = {\"~/rules\"}\n", true, "ok    bounce_rules: 1 rule"},
        {"bounce_rules = {\"~/mc\"}\n", false, "FAIL  bounce_rules"},
        {"bounce_rules = {\"~/delay.en.txt\"}\n", false, "chmod a+r"},
        {"bounce_rules = {\"~/main.cf\"}\n", true, "warn  bounce_rules"},
        {"bounce_rules = {\"~/rules\"}\n", true, "!delay_notice"},
        {"delay_notice_after = 3\ndelay_notice_folder = \"~\"\n", false,
         "FAIL  delay_notice_after: nobody may not read"},
        {"delay_notice_after = 3\ndelay_notice_folder = \"~/x\"\n", false,
         "FAIL  delay_notice_after: "},
        {"delay_notice_after = 3\ndelay_notice_folder = \"~\"\n", false,
         "warn  delay_notice_after: without maillog"},
    };
    const struct site *site = site_of(state);
    const struct check_part part = {outcome, site->folder};

    write_file(site, "rules", "a.b  user_unknown  /no such user/\n", 0644);
    write_file(site, "mc", "what is this\n", 0644);
    write_file(site, "main.cf", "# none\n", 0644);
    write_file(site, "delay.en.txt", "Subject: It waits\n\n%{recipient}\n",
               0600);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];

        (void)snprintf(text, sizeof text, NOBODY "%s", rows[i].settings);
        see(site, &part, text, rows[i].well, rows[i].told);
    }
    write_file(site, "delay.en.txt", "Subject: It waits\n\n%{recipient}\n",
               0644);
    see(site, &part,
        NOBODY "delay_notice_after = 3\ndelay_notice_folder = \"~\"\n", true,
        "ok    delay_notice_after: notices in language en");
}

static void command_check_sendmail_finds_an_unsafe_folder(void **state)
{
    static const struct row {
        const char *line; /* of sendmail.cf; % is the socket */
        mode_t mode;
        bool well;
        const char *told;
    } rows[] = {
        {"Xnixie, S=local:%, T=C:2s;S:5s;R:5s;E:30s\n", 0755, true,
         "trusts its socket"},
        {"Xnixie, S=unix:%, F=T, T=C:2s\n", 02755, true, "trusts its socket"},
        {"Xnixie, T=C:2s, S=local:%\n", 02775, false, "lets all mail pass"},
        {"Xnixie, T=C:2s, S=local:%\n", 01777, false, "chmod go-w /var/lib/"},
        {"Xother, S=local:/run/other.sock\nXnixie, S=%\n", 0755, true,
         "names nixie"},
        {"Xother, S=local:/run/other.sock\n", 0755, false, "FEATURE(`nixie'"},
        {"# Xnixie, S=local:%\n", 0755, false, "does not name"},
        {"", 0755, false, "does not name"},
    };
    const struct site *site = site_of(state);
    char configuration[2 * PATH_SIZE];
    const struct check_part part = {sendmail, configuration};
    char socket_path[2 * PATH_SIZE];

    path_in(site, "mc", configuration);
    path_in(site, "milter.sock", socket_path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *place = strchr(rows[i].line, '%');
        char text[1024];

        (void)snprintf(text, sizeof text,
                       "DZ8.17\nO InputMailFilters=nixie\n%.*s%s%s",
                       place == NULL ? (int)strlen(rows[i].line)
                                     : (int)(place - rows[i].line),
                       rows[i].line, place == NULL ? "" : socket_path,
                       place == NULL ? "" : place + 1);
        write_file(site, "mc", text, 0644);
        assert_int_equal(chmod(site->folder, rows[i].mode), 0);
        see(site, &part, "milter_socket = \"unix:~/milter.sock\"\n",
            rows[i].well, rows[i].told);
    }
    write_file(site, "mc",
               "Xnixie, S=inet:8895@127.0.0.1\nO InputMailFilters=nixie\n",
               0644);
    see(site, &part, "milter_socket = \"inet:8895@127.0.0.1\"\n", true,
        "ok    sendmail: names nixie");
    see(site, &(const struct check_part){sendmail, "/nonexistent"},
        "milter_socket = \"inet:8895@127.0.0.1\"\n", true, "");
}

#define OURS     "milter_socket = \"inet:8895@127.0.0.1\"\n"
#define FILTER   "Xnixie, S=inet:8895@127.0.0.1, T=C:2s;S:5s;R:5s;E:30s\n"
#define LISTENED OURS "scope \"news\" { listeners = {\"NEWS\"} }\n"

static void command_check_sendmail_reads_how_the_filter_is_used(void **state)
{
    static const struct row {
        const char *text, *settings;
        bool well;
        const char *told;
    } rows[] = {
        {FILTER "O InputMailFilters=nixie\n", OURS, true, "!note"},
        {FILTER "O InputMailFilters=nixie, spam\n", OURS, true, "!warn"},
        {FILTER "O InputMailFilters=spam, nixie\n", OURS, true,
         "nixie is not the first in InputMailFilters"},
        {"O InputMailFilters=nixie\n" FILTER, OURS, true, "!FAIL"},
        {FILTER, OURS, false, "no list of filters names it"},
        {FILTER "O InputMailFilters=nixie2\n", OURS, false,
         "no list of filters names it"},
        {FILTER "O DaemonPortOptions=Name=MTA, InputMailFilters=nixie\n", OURS,
         true, "!no list"},
        {"Xnixie, S=inet:8895@127.0.0.1, F=R, T=C:2s;R:5s\n"
         "O InputMailFilters=nixie\n",
         OURS, true, "F=R of the filter nixie: without nixied mail is refused"},
        {"Xnixie, S=inet:8895@127.0.0.1, F=T, T=C:2s;R:5s\n"
         "O InputMailFilters=nixie\n",
         OURS, true, "!F=T of"},
        {"Xnixie, S=inet:8895@127.0.0.1\nO InputMailFilters=nixie\n", OURS,
         true, "write T=C:2s;S:5s;R:5s;E:30s to the filter nixie"},
        {"Xnixie, S=inet:8895@127.0.0.1, T=C:5m;R:10s\n"
         "O InputMailFilters=nixie\n",
         OURS, true, "write T=C:2s;S:5s;R:5s;E:30s"},
        {FILTER "O InputMailFilters=nixie\nO LogLevel=5\n",
         OURS "maillog = {\"/var/log/mail.log\"}\n", true,
         "define(`confLOG_LEVEL', `9')"},
        {FILTER "O InputMailFilters=nixie\nO LogLevel=9\n",
         OURS "maillog = {\"/var/log/mail.log\"}\n", true, "!LOG_LEVEL"},
        {FILTER "O InputMailFilters=nixie\nO LogLevel=5\n", OURS, true,
         "!LOG_LEVEL"},
        {FILTER "O InputMailFilters=nixie\n"
                "O DaemonPortOptions=Name=MTA, Port=25\n",
         LISTENED, true, "DAEMON_OPTIONS(`Name=NEWS, ...')"},
        {FILTER "O InputMailFilters=nixie\n"
                "O DaemonPortOptions=Port=587, Name=NEWS, M=E\n",
         LISTENED, true, "!DAEMON_OPTIONS"},
    };
    const struct site *site = site_of(state);
    char configuration[2 * PATH_SIZE];
    const struct check_part part = {sendmail, configuration};

    path_in(site, "mc", configuration);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_file(site, "mc", rows[i].text, 0644);
        see(site, &part, rows[i].settings, rows[i].well, rows[i].told);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_site, remove_site)
    const struct CMUnitTest tests[] = {
        TEST(command_check_outcome_tells_who_may_read_the_log),
        TEST(command_check_outcome_tells_of_a_log_that_is_left_behind),
        TEST(command_check_outcome_notes_what_is_not_followed),
        TEST(command_check_outcome_knows_a_log_of_postfix_itself),
        TEST(command_check_outcome_loads_rules_and_notices),
        TEST(command_check_sendmail_finds_an_unsafe_folder),
        TEST(command_check_sendmail_reads_how_the_filter_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
