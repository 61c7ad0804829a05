#include "check_shown.h"
#include "command_check_postfix.h"
#include "command_check_system.h"
#include "settings_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_SIZE 256
#define LOG       "/var/log/nixie/events.jsonl"

/* --- logrotate --------------------------------------------------------------
 */

static void command_check_rotation_reads_as_logrotate_does(void **state)
{
    static const struct row {
        const char *text;
        struct check_rotation found;
    } rows[] = {
        {"", {.found = false}},
        {LOG " {\n daily\n}\n", {.found = true}},
        {"/var/log/nixie/*.jsonl {\n rotate -1\n}\n", {.found = true}},
        {"/var/log/*.jsonl {\n compress\n}\n", {.found = false}},
        {"/var/log/other.log {\n compress\n}\n", {.found = false}},
        {"\"" LOG "\" {\n compress\n}\n", {.found = true, .compresses = true}},
        {LOG "{\n copytruncate\n}\n", {.found = true, .copytruncates = true}},
        {LOG "\n{\n copytruncate\n}\n", {.found = true, .copytruncates = true}},
        {"/var/log/a\n" LOG "\n/var/log/b\n{\n rotate 7\n}\n",
         {.found = true, .deletes = true}},
        {"/var/log/a " LOG " /var/log/b {\n olddir /old\n}\n",
         {.found = true, .moves = true}},
        {LOG " {\n extension .jsonl\n}\n", {.found = true, .renames = true}},
        {"compress\n" LOG " {\n daily\n}\n",
         {.found = true, .compresses = true}},
        {"compress\n" LOG " {\n nocompress\n}\n", {.found = true}},
        {"rotate 4\n" LOG " {\n rotate -1\n}\n", {.found = true}},
        {"compress\n", {.found = false, .compresses = true}},
        {"# compress\n" LOG " { # compress\n # compress\n}\n", {.found = true}},
        {"/var/log/a {\n compress\n}\n" LOG " {\n daily\n}\n", {.found = true}},
        {LOG " {\n postrotate\n  kill -HUP $(cat /var/lib/nixie/lock)\n"
             " endscript\n}\n",
         {.found = true, .hangs_up = true}},
        {LOG " {\n postrotate\n  systemctl kill -s HUP nixied\n endscript\n}\n",
         {.found = true, .hangs_up = true}},
        {LOG " {\n postrotate\n  systemctl kill -s SIGHUP rsyslog\n"
             " endscript\n}\n",
         {.found = true}},
        {LOG " {\n postrotate\n  systemctl kill -s USR1 nixied\n"
             "  compress\n endscript\n}\n",
         {.found = true}},
        {LOG " {\n postrotate\n", {.found = false}},
        {LOG " {", {.found = false}},
        {"}\n{\n}\n", {.found = false}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct check_rotation rotation = {.found = false};

        command_check_rotation(text_of(rows[i].text), LOG, &rotation);
        if (memcmp(&rotation, &rows[i].found, sizeof rotation) != 0) {
            fail_msg("row %zu: %s", i, rows[i].text);
        }
    }
}

/* --- systemd ----------------------------------------------------------------
 */

static void command_check_unit_is_shut_by_addresses(void **state)
{
    static const struct row {
        const char *unit;
        bool shut;
    } rows[] = {
        {"", false},
        {"IPAddressDeny=any\nIPAddressAllow=localhost\n", true},
        {"IPAddressDeny=any\n", true},
        {"IPAddressAllow=localhost\n", false},
        {"IPAddressDeny=any\nIPAddressAllow=localhost\n[Service]\n"
         "IPAddressAllow=192.0.2.7\n",
         false},
        {"IPAddressDeny=any\nIPAddressAllow=192.0.2.7\nIPAddressAllow=\n",
         true},
        {"IPAddressDeny=any\nIPAddressDeny=\n", false},
        {"IPAddressDeny=any\nIPAddressAllow=127.0.0.1 ::1/128\n", true},
        {"#IPAddressDeny=any\n", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (command_check_unit_is_shut(text_of(rows[i].unit)) != rows[i].shut) {
            fail_msg("row %zu: %s", i, rows[i].unit);
        }
    }
}

static void command_check_unit_writes_where_it_may(void **state)
{
    static const char unit[] =
        "ProtectSystem=strict\nRuntimeDirectory=nixie\nStateDirectory=nixie\n"
        "LogsDirectory=nixie\nReadWritePaths=-/var/spool/postfix/nixie /srv/\n";
    static const struct row {
        const char *path;
        bool may;
    } rows[] = {
        {LOG, true},
        {"/var/lib/nixie/lock", true},
        {"/run/nixie/milter.sock", true},
        {"/var/spool/postfix/nixie/milter.sock", true},
        {"/srv/log/events.jsonl", true},
        {"/var/log/events.jsonl", false},
        {"/var/log/nixie2/events.jsonl", false},
        {"/var/spool/postfix/milter.sock", false},
        {"/srv2/events.jsonl", false},
        {"/nixie/events.jsonl", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(command_check_unit_writes(text_of(unit), rows[i].path),
                         rows[i].may);
        assert_true(command_check_unit_writes(text_of("ProtectSystem=full\n"),
                                              rows[i].path));
    }
}

/* --- others ------------------------------------------------------------------
 */

static void command_check_rsyslog_repeats_when_the_last_says_so(void **state)
{
    static const struct row {
        const char *text;
        bool repeats;
    } rows[] = {
        {"", false},
        {"$RepeatedMsgReduction on\n", true},
        {"  $repeatedmsgreduction   ON", true},
        {"#$RepeatedMsgReduction on\n", false},
        {"$RepeatedMsgReduction on\n$RepeatedMsgReduction off\n", false},
        {"$RepeatedMsgReduction\n", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(
            command_check_rsyslog_repeats(text_of(rows[i].text), false),
            rows[i].repeats);
    }
}

static void command_check_file_system_knows_memory_and_network(void **state)
{
    (void)state;
    assert_string_equal(command_check_file_system(0x01021994), "tmpfs");
    assert_string_equal(command_check_file_system(0x6969), "NFS");
    assert_string_equal(command_check_file_system(0xff534d42), "CIFS");
    assert_null(command_check_file_system(0xef53)); /* ext4 */
}

/* --- Postfix
 * ------------------------------------------------------------------ */

static const char *values_now, *overrides_now; /* of the row */

static void judge(struct check *check, struct settings *settings,
                  const char *path)
{
    (void)settings;
    (void)path;
    command_check_postfix_values(check, values_now, overrides_now);
}

#define FOLLOWED "maillog = {\"/var/log/mail.log\"}\n"
#define SCOPED   FOLLOWED "scope \"news\" { listeners = {\"newsletter\"} }\n"

static void command_check_postfix_values_says_what_they_mean(void **state)
{
    static const struct row {
        const char *settings, *values, *overrides;
        bool well;
        const char *told; /* "": nothing */
    } rows[] = {
        {"", "internal_mail_filter_classes = bounce\n", "", true, ""},
        {"", "internal_mail_filter_classes = notify, bounce\n", "", true, ""},
        {"", "internal_mail_filter_classes = \n", "", true,
         "postconf -e internal_mail_filter_classes=bounce"},
        {FOLLOWED, "internal_mail_filter_classes = \n", "", true, ""},
        {FOLLOWED, "enable_long_queue_ids = no\n", "", true,
         "postconf -e enable_long_queue_ids=yes"},
        {FOLLOWED, "enable_long_queue_ids = yes\n", "", true, ""},
        {FOLLOWED, "maillog_file = /var/log/mail.log\n", "", true, ""},
        {FOLLOWED, "maillog_file = /dev/stdout\n", "", true, ""},
        {FOLLOWED, "maillog_file = /var/log/postfix.log\n", "", false,
         "write maillog = {\"/var/log/postfix.log\"}"},
        {FOLLOWED, "smtpd_milter_maps = cidr:/etc/postfix/m\n", "", true,
         "postconf -X smtpd_milter_maps"},
        {SCOPED, "milter_macro_daemon_name = mx.example\n",
         "submission/inet/milter_macro_daemon_name = newsletter\n", true, ""},
        {SCOPED, "milter_macro_daemon_name = newsletter\n", "", true, ""},
        {SCOPED, "milter_macro_daemon_name = mx.example\n",
         "submission/inet/milter_macro_daemon_name = news\n"
         "submission/inet/other_milter_macro_daemon_name = newsletter\n",
         true,
         "postconf -P 'submission/inet/milter_macro_daemon_name=newsletter'"},
    };
    static const struct check_part part = {judge, NULL};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings *settings = settings_in("/tmp", rows[i].settings);
        char output[CHECK_SHOWN_SIZE];

        values_now = rows[i].values;
        overrides_now = rows[i].overrides;
        if (check_shown(&part, settings, output) != rows[i].well ||
            (rows[i].told[0] == '\0' ? output[0] != '\0'
                                     : strstr(output, rows[i].told) == NULL)) {
            fail_msg("row %zu: %s", i, output);
        }
        settings_free(settings);
    }
}

/* --- a host
 * ------------------------------------------------------------------- */

static void put(const char *root, const char *path, const char *text,
                mode_t mode)
{
    char whole[2 * PATH_SIZE];
    FILE *file;

    (void)snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = strchr(whole + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(whole, 0755);
        *slash = '/';
    }
    file = fopen(whole, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(whole, mode), 0);
}

static void system_part(struct check *check, struct settings *settings,
                        const char *path)
{
    (void)settings;
    command_check_system(check, path);
}

static void remove_root(const char *root)
{
    char command[PATH_SIZE + 16];

    (void)snprintf(command, sizeof command, "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}

static void command_check_system_reads_the_files_of_a_host(void **state)
{
    static const struct row {
        const char *path, *text;
        mode_t mode;
        const char *settings;
        bool well;
        const char *told; /* "!": is not told */
    } rows[] = {
        {"/etc/logrotate.d/nixie", "~/e.jsonl {\n copytruncate\n}\n", 0644, "",
         false,
         "logrotate.d/nixie: copytruncate loses events: write "
         "nocopytruncate"},
        {"/etc/logrotate.d/nixie", "~/e.jsonl {\n nocopytruncate\n}\n", 0644,
         "", true, "ok    logrotate: "},
        {"/etc/logrotate.conf", "compress\ninclude /etc/logrotate.d\n", 0644,
         "", false, "write nocompress"},
        {"/etc/logrotate.d/nixie", "~/e.jsonl {\n nocompress\n}\n", 0644, "",
         true, "ok    logrotate: "},
        {"/etc/systemd/system/nixied.service",
         "[Service]\nProtectSystem=strict\n", 0644, "", true, "!unit"},
        {"/run/systemd/system/x", "", 0644, "", false,
         "systemctl enable nixied"},
        {"/etc/systemd/system/multi-user.target.wants/nixied.service", "", 0644,
         "", false, "ReadWritePaths=~"},
        {"/etc/systemd/system/nixied.service.d/override.conf",
         "[Service]\nReadWritePaths=~ /run/nixie\n", 0644, "", true,
         "ok    unit"},
        {"/etc/systemd/system/nixied.service.d/deny.conf",
         "[Service]\nIPAddressDeny=any\n", 0644, "redis = \"tcp:192.0.2.7\"\n",
         true, "IPAddressAllow="},
        {"/etc/systemd/system/nixied.service.d/z.conf",
         "[Service]\nIPAddressAllow=192.0.2.7\n", 0644,
         "redis = \"tcp:192.0.2.7\"\n", true, "!IPAddressAllow="},
        {"/trace.keys", "x", 0644, "trace_keys = \"~/trace.keys\"\n", false,
         "chmod o-rwx"},
        {"/trace.keys", "x", 0600, "trace_keys = \"~/trace.keys\"\n", true,
         "!chmod"},
        {"/trace.keys", "x", 0600, "trace_keys = \"~/none/trace.keys\"\n", true,
         "mail goes out without a mark"},
        {"/trace.keys", "x", 0600, "trace_keys = \"~/trace.keys\"\n", true,
         "!without a mark"},
        {"/trace.keys", "x", 0600, "mode = \"observe\"\n", true,
         "nobody is refused"},
        {"/trace.keys", "x", 0600, "mode = \"enforce\"\n", true,
         "!nobody is refused"},
        {"/mail.log", "Nov 1 00:00:00 mx cron[7]: run\n", 0644,
         "maillog = {\"~/mail.log\"}\n", true, "has no line of Postfix"},
        {"/mail.log", "Nov 1 00:00:00 mx postfix/qmgr[7]: 3: removed\n", 0644,
         "maillog = {\"~/mail.log\"}\n", true, "!has no line"},
        {"/etc/rsyslog.d/x.conf", "$RepeatedMsgReduction on\n", 0644,
         "maillog = {\"~/mail.log\"}\n", true,
         "write $RepeatedMsgReduction off"},
        {"/etc/rsyslog.d/x.conf", "$RepeatedMsgReduction off\n", 0644,
         "maillog = {\"~/mail.log\"}\n", true, "!RepeatedMsgReduction"},
        {"/rules.dpkg-dist", "", 0644, "bounce_rules = {\"~/rules\"}\n", true,
         "rules.dpkg-dist"},
    };
    char root[] = "/var/lib/nixie-system-XXXXXX";
    const struct check_part part = {system_part, root};

    (void)state;
    if (mkdtemp(root) == NULL) {
        skip(); /* not root */
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[1024];
        char output[CHECK_SHOWN_SIZE];
        struct settings *settings;
        bool negated = rows[i].told[0] == '!';
        char expanded[1024] = "";
        size_t used = 0;

        for (const char *at = rows[i].text; *at != '\0'; at++) {
            used += (size_t)snprintf(expanded + used, sizeof expanded - used,
                                     *at == '~' ? "%s" : "%.1s",
                                     *at == '~' ? root : at);
        }
        put(root, rows[i].path, expanded, rows[i].mode);
        (void)snprintf(text, sizeof text,
                       "event_log = \"~/e.jsonl\"\nstate_dir = \"~\"\n%s",
                       rows[i].settings);
        settings = settings_in(root, text);
        (void)snprintf(text, sizeof text, "%.*s%s",
                       (int)strcspn(rows[i].told + negated, "~"),
                       rows[i].told + negated,
                       strchr(rows[i].told, '~') == NULL ? "" : root);
        if (check_shown(&part, settings, output) != rows[i].well ||
            (strstr(output, text) != NULL) == negated) {
            fail_msg("row %zu: %s: %s", i, rows[i].path, output);
        }
        settings_free(settings);
    }
    remove_root(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_check_rotation_reads_as_logrotate_does),
        cmocka_unit_test(command_check_unit_is_shut_by_addresses),
        cmocka_unit_test(command_check_unit_writes_where_it_may),
        cmocka_unit_test(command_check_rsyslog_repeats_when_the_last_says_so),
        cmocka_unit_test(command_check_file_system_knows_memory_and_network),
        cmocka_unit_test(command_check_postfix_values_says_what_they_mean),
        cmocka_unit_test(command_check_system_reads_the_files_of_a_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
