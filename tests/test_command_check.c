#include "check_shown.h"
#include "scratch.h"
#include "settings_text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_SIZE 256

static void command_check_may_reads_mode_bits_as_the_kernel_does(void **state)
{
    static const struct row {
        uid_t uid;
        gid_t gid;
        unsigned mode, what;
        bool expected;
    } rows[] = {
        {10, 20, 0600, 06, true},  {10, 99, 0060, 06, false}, /* owner first */
        {99, 20, 0660, 02, true},  {99, 20, 0640, 02, false},
        {99, 20, 0602, 02, false}, /* in the group: others do not count */
        {99, 99, 0602, 02, true},  {99, 99, 0751, 01, true},
        {99, 99, 0750, 01, false}, {0, 0, 0, 07, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct check_account account = {
            .uid = rows[i].uid, .groups = {rows[i].gid}, .group_count = 1};
        const struct stat status = {
            .st_uid = 10, .st_gid = 20, .st_mode = rows[i].mode};

        assert_int_equal(command_check_may(&account, &status, rows[i].what),
                         rows[i].expected);
    }
}

/* --- Postfix ----------------------------------------------------------- */

/* A queue folder with our socket in it, beside a configuration of Postfix. */
struct site {
    char folder[SCRATCH_SIZE];
    char queue[PATH_SIZE + 16];
    char socket[PATH_SIZE + 32];
};

static void write_file(const struct site *site, const char *name,
                       const char *text)
{
    char path[PATH_SIZE + 32];

    (void)snprintf(path, sizeof path, "%s/%s", site->folder, name);
    scratch_write(path, text);
    scratch_age(path);
}

static void make_socket(const struct site *site)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(strlen(site->socket) < sizeof address.sun_path);
    memcpy(address.sun_path, site->socket, strlen(site->socket));
    assert_int_equal(
        bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(close(descriptor), 0);
}

static void make_site(struct site *site)
{
    scratch_make(site->folder);
    (void)snprintf(site->queue, sizeof site->queue, "%s/q", site->folder);
    (void)snprintf(site->socket, sizeof site->socket, "%s/m.sock", site->queue);
    assert_int_equal(mkdir(site->queue, 0755), 0);
    make_socket(site);
}

/* Replaces each "QUEUE" in text. */
static void expand(const struct site *site, const char *text, char *expanded,
                   size_t size)
{
    size_t used = 0;

    while (*text != '\0' && used + 1 < size) {
        if (strncmp(text, "QUEUE", 5) == 0) {
            used +=
                text_copy(text_of(site->queue), expanded + used, size - used);
            text += 5;
        } else {
            expanded[used++] = *text++;
        }
    }
    expanded[used] = '\0';
}

static void set_up(const struct site *site, const char *milters, char chroot)
{
    char main_cf[2048];
    char master_cf[512];
    char milters_expanded[1024];

    expand(site, milters, milters_expanded, sizeof milters_expanded);
    (void)snprintf(main_cf, sizeof main_cf,
                   "compatibility_level = 3.6\nqueue_directory = %s\n"
                   "smtpd_milters = %s\nnon_smtpd_milters = $smtpd_milters\n",
                   site->queue, milters_expanded);
    (void)snprintf(master_cf, sizeof master_cf,
                   "smtp inet n - %c - - smtpd\n"
                   "cleanup unix n - %c - 0 cleanup\n"
                   "127.0.0.1:10026 inet n - %c - - smtpd\n"
                   "  -o smtpd_milters=\n"
                   "submission inet n - %c - - smtpd\n"
                   "  -o receive_override_options=no_milters\n",
                   chroot, chroot, chroot == 'y' ? 'n' : 'y', chroot);
    write_file(site, "main.cf", main_cf);
    write_file(site, "master.cf", master_cf);
}

static void postfix(struct check *check, struct settings *settings,
                    const char *path)
{
    (void)settings;
    command_check_postfix(check, path);
}

/* What the check prints, into output. */
static bool run_check(const struct site *site, const char *milter_socket,
                      char output[CHECK_SHOWN_SIZE])
{
    const struct check_part part = {postfix, site->folder};
    char configuration[PATH_SIZE + 100];
    char expanded[PATH_SIZE + 64];
    struct settings *settings;
    bool well;

    expand(site, milter_socket, expanded, sizeof expanded);
    (void)snprintf(configuration, sizeof configuration,
                   "milter_socket = \"%s\"\n", expanded);
    settings = settings_in(site->folder, configuration);
    well = check_shown(&part, settings, output);
    settings_free(settings);
    return well;
}

static void command_check_postfix_finds_the_chroot_trap(void **state)
{
    static const struct row {
        const char *milter_socket;
        const char *milters; /* in main.cf */
        char chroot;
        bool well;
        const char *told;
    } rows[] = {
        {"unix:QUEUE/m.sock", "{ unix:m.sock, default_action=accept }", 'y',
         true, "smtpd reaches"},
        {"unix:QUEUE/m.sock", "{ unix:m.sock, default_action=accept }", 'n',
         true, "smtpd reaches"},
        {"unix:QUEUE/m.sock", "{ unix:/m.sock, default_action=accept }", 'y',
         true, "smtpd reaches"},
        {"unix:QUEUE/m.sock", "{ unix:/m.sock, default_action=accept }", 'n',
         false, "write smtpd_milters = { unix:m.sock"},
        {"unix:QUEUE/m.sock", "{ unix:QUEUE/m.sock, default_action=accept }",
         'n', true, "smtpd reaches"},
        {"unix:QUEUE/m.sock", "{ unix:QUEUE/m.sock, default_action=accept }",
         'y', false, "write smtpd_milters = { unix:m.sock"},
        {"unix:/run/nixie/m.sock",
         "{ unix:/run/nixie/m.sock, default_action=accept }", 'n', true,
         "smtpd reaches"},
        {"unix:/run/nixie/m.sock",
         "{ unix:/run/nixie/m.sock, default_action=accept }", 'y', false,
         "set milter_socket = "},
        {"unix:/run/nixie/m.sock",
         "{ unix:/run/nixie/m.sock, default_action=accept }", '-', true,
         "smtpd reaches"},
        {"unix:QUEUE/m.sock", "{ unix:m.sock }", 'y', false,
         "without nixied Postfix does"},
        {"unix:QUEUE/m.sock", "unix:m.sock", 'y', false,
         "without nixied Postfix does"},
        {"unix:QUEUE/m.sock",
         "{ unix:m.sock, { default_action = accept }, connect_timeout=2s }",
         'y', true, "default_action=accept"},
        {"unix:QUEUE/m.sock", "{ unix:m.sock, default_action=tempfail }", 'y',
         true, "default_action=tempfail"},
        {"unix:QUEUE/m.sock",
         "{ unix:m.sock, default_action=accept, conect_timeout=2s }", 'y',
         false, "Postfix does not know conect_timeout=2s and takes no mail"},
        {"unix:QUEUE/m.sock", "{ unix:m.sock, default_action=acept }", 'y',
         false, "Postfix does not know default_action=acept"},
        {"unix:QUEUE/m.sock",
         "{ unix:m.sock, default_action=accept, protocol=2 }", 'y', false,
         "protocol=6"},
        {"unix:/run/nixie/m.sock", "", 'y', false,
         "install -d -o nixie -g postfix -m 2750 QUEUE/nixie"},
        {"unix:QUEUE/m.sock", "{ unix:m.sock, default_action=accept }", 'y',
         true, "127.0.0.1:10026/inet has -o smtpd_milters="},
        {"unix:QUEUE/m.sock", "{ unix:m.sock, default_action=accept }", 'y',
         true, "submission/inet has -o receive_override_options=no_milters"},
        {"unix:QUEUE/m.sock",
         "inet:127.0.0.1:8891, { unix:m.sock, default_action=accept }", 'y',
         true, "number 2"},
        {"unix:QUEUE/m.sock", "inet:127.0.0.1:8891", 'y', false,
         "does not name"},
        {"unix:QUEUE/m.sock", "", 'y', false, "does not name"},
        {"inet:8895@127.0.0.1",
         "{ inet:localhost:8895, default_action=accept }", 'y', true,
         "names nixie"},
        {"inet:8895@127.0.0.1", "{ inet:127.0.0.1:88955 }", 'y', false,
         "does not name"},
    };

    (void)state;
    if (access("/usr/sbin/postconf", X_OK) != 0) {
        skip();
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char output[CHECK_SHOWN_SIZE];
        char told[CHECK_SHOWN_SIZE];
        struct site site;
        bool well;

        make_site(&site);
        expand(&site, rows[i].told, told, sizeof told);
        set_up(&site, rows[i].milters, rows[i].chroot);
        well = run_check(&site, rows[i].milter_socket, output);
        if (well != rows[i].well || strstr(output, told) == NULL) {
            fail_msg("%s, chroot %c: %s", rows[i].milters, rows[i].chroot,
                     output);
        }
        scratch_remove(site.folder);
    }
}

static void command_check_postfix_fails_without_the_named_main_cf(void **state)
{
    char output[CHECK_SHOWN_SIZE];
    struct site site;

    (void)state;
    if (access("/usr/sbin/postconf", X_OK) != 0) {
        skip();
    }
    make_site(&site); /* no main.cf in it */
    assert_false(run_check(&site, "unix:QUEUE/m.sock", output));
    assert_memory_equal(output, "FAIL", 4);
    assert_non_null(strstr(output, site.folder));
    scratch_remove(site.folder);
}

static void command_check_barrier_names_the_folder(void **state)
{
    const struct check_account nobody = {
        .uid = 65533, .groups = {65533}, .group_count = 1};
    char folder[PATH_SIZE];
    struct site site;

    (void)state;
    make_site(&site); /* for its owner only */
    assert_true(
        command_check_barrier(&nobody, site.socket, folder, sizeof folder));
    assert_string_equal(folder, site.folder);
    assert_int_equal(chmod(site.folder, 0755), 0);
    assert_false(
        command_check_barrier(&nobody, site.socket, folder, sizeof folder));
    scratch_remove(site.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_check_may_reads_mode_bits_as_the_kernel_does),
        cmocka_unit_test(command_check_postfix_finds_the_chroot_trap),
        cmocka_unit_test(command_check_postfix_fails_without_the_named_main_cf),
        cmocka_unit_test(command_check_barrier_names_the_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
