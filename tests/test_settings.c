#include "scratch.h"
#include "settings.h"
#include "settings_host.h"
#include "settings_text.h"

#include <fcntl.h>
#include <pwd.h>
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

static void settings_defaults_fit_one_host(void **state)
{
    struct error error = {""};
    struct settings *settings = settings_load(NULL, &error);

    (void)state;
    assert_non_null(settings);
    assert_int_not_equal(settings->node[0], '\0');
    assert_string_equal(settings->user, "nixie");
    assert_string_equal(settings->milter_socket, "unix:/run/nixie/milter.sock");
    assert_int_equal(settings->milter_socket_mode, 0660);
    assert_true(settings->milter_socket_group_is_default);
    assert_string_equal(settings->redis, "unix:/run/redis/redis-server.sock");
    assert_int_equal(settings->redis_timeout_ms, 50);
    assert_int_equal(settings->client_event_rate, 200);
    assert_int_equal(settings->event_log_retention_s, 72 * 3600);
    assert_int_equal(settings->on_store_failure, FAILURE_CACHED);
    assert_int_equal(settings->suppression_cache_memory, 256 * 1024 * 1024);
    assert_int_equal(settings->mode, MODE_ENFORCE);
    assert_int_equal(settings->exempt_count, 2);
    assert_string_equal(settings->exempt[0].text, "postmaster@");
    assert_string_equal(settings->refusal_code, "550");
    assert_string_equal(settings->refusal_enhanced_status, "5.7.1");
    assert_null(settings->local_domains[0]);
    settings_free(settings);
}

static void settings_values_are_taken(void **state)
{
    struct error error = {""};
    struct settings *settings =
        settings_of("# comment\n"
                    "node = \"mx1.example.org\"\n"
                    "mode = \"observe\"\n"
                    "milter_socket = \"inet:8895@127.0.0.1\"\n"
                    "milter_socket_group = \"postfix\"\n"
                    "local_domains = {\"Example.ORG.\", \"b\xc3\xbc"
                    "cher.example\"}\n"
                    "exempt = {}\n"
                    "refusal = \"450 4.7.1 Later %i %%\"\n"
                    "event_log_sync = \"group\"\n"
                    "event_log_format = \"ecs\"\n"
                    "client_event_rate = 100000\n"
                    "domain \"Example.com\" { fold_tags = true }\n"
                    "domain \"example.net\" { fold_tags = false }\n",
                    &error);

    (void)state;
    assert_non_null(settings);
    assert_string_equal(settings->node, "mx1.example.org");
    assert_int_equal(settings->mode, MODE_OBSERVE);
    assert_false(settings->milter_socket_group_is_default);
    assert_string_equal(settings->local_domains[0], "example.org");
    assert_string_equal(settings->local_domains[1], "xn--bcher-kva.example");
    assert_null(settings->local_domains[2]);
    assert_int_equal(settings->exempt_count, 0);
    assert_string_equal(settings->refusal_code, "450");
    assert_string_equal(settings->refusal_text, "Later %i %%");
    assert_int_equal(settings->event_log_sync, EVENT_LOG_SYNC_GROUP);
    assert_int_equal(settings->event_log_format, EVENT_LOG_ECS);
    assert_int_equal(settings->client_event_rate, 100000);
    assert_string_equal(settings->fold_tag_domains[0], "example.com");
    assert_null(settings->fold_tag_domains[1]);
    settings_free(settings);
}

static void settings_errors_name_line_and_remedy(void **state)
{
    static const struct settings_fault rows[] = {
        {"\nmod = \"observe\"\n", ":2:", "mod"},
        {"mode = \"off\"\n", ":1:", "observe"},
        {"mode = \n", ":", ""},
        {"\n\nuser = \"root\"\n", ":3:", "does not run as root"},
        {"milter_socket_mode = \"0666\"\n", ":1:", "0660"},
        {"milter_socket_mode = \"rw\"\n", ":1:", "octal"},
        {"milter_socket = \"/run/x\"\n", ":1:", "unix:/path"},
        {"milter_socket = \"inet:99999@localhost\"\n", ":1:", "inet:PORT"},
        {"milter_socket = \"inet:8895\"\n", ":1:", "inet:PORT"},
        {"milter_socket = \"inet:8895@0.0.0.0\"\n", ":", "allow_remote_mta"},
        {"metrics = \"9895\"\n", ":1:", "127.0.0.1:9895"},
        {"metrics = \"0.0.0.0:9895\"\n", ":1:", "no address of loopback"},
        {"metrics = \"127.0.0.1:0\"\n", ":1:", "1 to 65535"},
        {"redis_timeout_ms = 0\n", ":1:", "1 to 1000"},
        {"redis_timeout_ms = 99999\n", ":1:", "1 to 1000"},
        {"redis_timeout_ms = fast\n", ":1:", "redis_timeout_ms"},
        {"client_event_rate = -1\n", ":1:", "0 to 100000"},
        {"client_event_rate = 100001\n", ":1:", "0: no limit"},
        {"redis = \"localhost\"\n", ":1:", "unix:"},
        {"key_prefix = \"\"\n", ":1:", "1 to 64"},
        {"key_prefix = \"a{b}\"\n", ":1:", "1 to 64"},
        {"privacy = \"none\"\n", ":1:", "\"full\", \"hash\""},
        {"on_store_failure = \"ignore\"\n", ":1:", "\"cached\", \"accept\""},
        {"on_log_failure = \"cached\"\n", ":1:", "\"accept\" or"},
        {"suppression_cache_memory = \"1M\"\n", ":1:", "4M to 64G"},
        {"suppression_cache_memory = \"65G\"\n", ":1:", "4M to 64G"},
        {"suppression_cache_memory = \"256MB\"\n", ":1:", "4M to 64G"},
        {"suppression_cache_memory = \"\"\n", ":1:", "4M to 64G"},
        {"event_log_retention = \"5m\"\n", ":1:", "at least 1h"},
        {"event_log = \"events\"\n", ":1:", "begins with /"},
        {"event_log_sync = \"always\"\n", ":1:", "interval"},
        {"event_log_format = \"ECS\"\n", ":1:", "\"flat\" or \"ecs\""},
        {"refusal = \"550 text\"\n", ":1:", "enhanced status"},
        {"refusal = \"550 4.7.1 text\"\n", ":1:", "same digit"},
        {"refusal = \"421 4.7.1 text\"\n", ":1:", "end the session"},
        {"refusal = \"550 5.7.1 %x\"\n", ":1:", "behind %"},
        {"refusal = \"550 5.7.1 \xc3\xa9\"\n", ":1:", "ASCII"},
        {"refusal = \"250 2.7.1 ok\"\n", ":1:", "begins with 4 or 5"},
        {"refusal = \"no\"\n", ":1:", "write a reply code"},
        {"redis = \"foo\"\n", ":1: redis = 'foo': \"foo\" has", "unix:"},
        {"event_log_retention = 72\n", ":1:", "such as \"72h\""},
        {"event_log_retention = 72h\n", ":1:", "write \"72h\""},
        {"exempt = {\"@example..org\"}\n", ":1:", "ann@"},
        {"exempt = {\"ann@exa\\xff.org\"}\n", ":1:", "ann@"},
        {"local_domains = {\"example..org\"}\n", ":1:", "domain"},
        {"domain \"example..org\" {}\n", ":1:", "domain"},
        {"exempt = {\"not a mailbox@@\"}\n", ":1:", "ann@"},
        {"local_domains = {\"exa mple\"}\n", ":1:", "domain"},
        {"domain \"a b\" { fold_tags = true }\n", ":1:", "domain"},
        {"domain \"a.example\" { fold = true }\n", ":1:", "fold"},
        {"}\n", ":1:", "'}' where a key is due"},
        /* what libconfuse counts, takes or passes over */
        {"# one\n// two\n/* three */\n\nmode = \"off\"\n", ":5:", "observe"},
        {"/* one\n\ttwo */ mode = \"off\"\n", ":2:", "observe"},
        {"node = \"a#b\" # 1\nuser = 'a//b'\nmode = \"off\"\n", ":3:", ""},
        {"exempt = {\"a@\", # one\n\"b@\"\n}\nmode = \"off\"\n", ":4:", ""},
        {"exempt = {\"a@\",\n# one\n\"b\"\n}\n", ":3:", "no @"},
        {"refusal = \"550 5.7.1 \\\n\\\nno\"\nmode = \"off\"\n", ":4:", ""},
        {"# one\ndomain \"a.example\" {\n# two\nfold_tags = no\n}\n"
         "# three\nmode = \"off\"\n",
         ":7:", "observe"},
        {"domain \"a.example\" {\n# one\n# two\nfold_tags = perhaps\n}\n",
         ":4:", "fold_tags takes true or false"},
        {"mode = \"off\"\r\n", ":1:", "observe"},
        {"# one\r\n\r\nmode = \"off\"\r\n", ":3:", "observe"},
        {"/* one\nmode = \"observe\"\n", ":1:", "comment has no end"},
        {"\ndomain \"a.example\" {\nfold_tags = true\n", ":2:", "not closed"},
        {"\ndomain \"a.example\" {\nmode = \"observe\"\n}\n",
         ":2:", "'mode' in line 3"},
        {"domain \"a.example\" {\ndomain \"b.example\" {}\n}\n",
         ":1:", "not closed"},
        {"\nexempt = {\"a@\",\n\"b@\"\n", ":2:", "not closed"},
        {"exempt = {\n", ":1:", "not closed"},
        {"exempt = {\"a@\"\nmode = \"observe\"\n", ":2:", "comma"},
        {"exempt = {\"a@\" \"b@\"}\n", ":1:", "comma"},
        {"exempt = {,}\n", ":1:", "element"},
        {"domain {}\n", ":1:", "title"},
        {"domain \"a.example\"\n", ":2:", "{ of a section"},
        {"\nmode = observe\"\n", ":2:", "quote in the middle"},
        {"mode = \"obs\"erve\n", ":1:", "quote in the middle"},
        {"mode = \"observe\"\"\n", ":1:", "quote in the middle"},
        {"mode = \"observe\nuser = \"a\"\n", ":1:", "has no end"},
        {"mode = 'observe", ":1:", "has no end"},
        {"mode = \"observe\\", ":1:", "has no end"},
        {"mode = \"${MODE\"\n", ":1:", "${ has no }"},
        {"node = \"\\377\"\n", ":1:", "\\xHH"},
        {"node = \"\\x00\"\n", ":1:", "NUL"},
        {"mode = observe\n", ":1:", "write \"observe\""},
        {"state_dir = /var/lib\n", ":1:", "'/' stands in strings only"},
        {"mode: \"observe\"\n", ":1:", "key = \"value\""},
        {"mode = \"observe\";\n", ":1:", "no mark behind it"},
        {"mode * = \"observe\"\n", ":1:", "'*' stands in strings only"},
        {"\xef\xbb\xbfmode = \"observe\"\n", ":1:", "'\\xef' stands"},
        {"\"mode\" = \"observe\"\n", ":1:", "a key is due"},
        {"mode \"observe\"\n", ":1:", "the = of a key"},
        {"mode += \"observe\"\n", ":1:", "no list"},
        {"mode = {\"observe\"}\n", ":1:", "without { }"},
        {"mode =\nuser = \"nixie\"\n", ":1:", "no value"},
        {"mode =\n", ":2:", "the file ends"},
        {"mod = \"observe\"\n", ":1:", "no such key 'mod'; nixie.conf(5)"},
        {"mod = \"observe\"\n", ":1:", "did you mean \"mode\"?"},
        {"suppression_cache_memory = 256\n", ":1:", "such as \"256M\""},
        {"scope \"news\" {\nclients = {\"300.0.0.0/8\"}\n}\n",
         ":2: scope \"news\": clients = '300.0.0.0/8'", "write an address"},
        {"scope \"news\" { mode = \"x\" }\n", ":1: scope \"news\": mode = 'x'",
         "observe"},
        {"domain \"a.example\" { fold_tags = 5 }\n",
         ":1: domain \"a.example\": fold_tags", "true or false"},
        {"policy \"mailbox_full\" {\nrelease = {30d}\n}\n",
         ":2: policy \"mailbox_full\": release takes", "in quotes"},
        {"breaker { percent = 101 }\n", ":1: breaker: percent = 101",
         "1 to 100"},
        {"breaker { percen = 10 }\n", ":1:", "did you mean \"percent\"?"},
        {"retry_schedule = {\"5\"}\n", ":1:", "minutes, without quotes"},
        {"client_event_rate = \"\"\n", ":1:", "takes a whole number"},
        {"breaker { percent = \"\" }\n", ":1: breaker: percent",
         "takes a whole number"},
        {"retry_schedule = \"5\"\n", ":1:", "minutes, without quotes"},
        {"redis_timeout_ms = fast\n", ":1:", "_ms takes a whole number"},
        {"redis_timeout_ms = 5.5\n", ":1:", "_ms takes a whole number"},
        {"redis_timeout_ms = 0100\n", ":1:", "does not begin with 0"},
        {"redis_timeout_ms = \"0x10\"\n", ":1:", "does not begin with 0"},
        {"redis_timeout_ms = 99999999999999999999\n", ":1:", "smaller"},
        {"\nallow_remote_mta = 2\n", ":2:", "allow_remote_mta takes true or"},
        /* each once */
        {"\n\nmode = \"observe\"\n\n\n\n# seven\n\nmode = \"enforce\"\n",
         ":9:", "mode is set twice: lines 3 and 9"},
        {"exempt = {\"a@\"}\nexempt += {\"b@\"}\n", ":2:", "lines 1 and 2"},
        {"\nmode = \"observe\" mode = \"observe\"\n",
         ":2:", "mode is set twice in this line"},
        {"domain \"a.example\" {} domain \"a.example\" {}\n",
         ":1:", "domain \"a.example\" is set twice in this line"},
        {"domain \"a.example\" { fold_tags = true\nfold_tags = false }\n",
         ":2:", "fold_tags is set twice: lines 1 and 2"},
        {"domain \"a.example\" {}\ndomain \"b.example\" {}\n"
         "domain \"A.Example.\" {}\n",
         ":3:", "domain \"a.example\" is set twice: lines 1 and 3"},
        {"domain \"a.example\" {}\ndomain \"a.example\" {}\n",
         ":2:", "lines 1 and 2"},
        /* values */
        {"refusal = \"550  5.7.1 a\"\n", ":1:", "one blank"},
        {"refusal = \"550 5.7.1  a\"\n", ":1:", "one blank"},
        {"refusal = \"550 5.7.1 \"\n", ":1:", "one blank"},
        {"refusal = \"550 5.7.1\"\n", ":1:", "one blank"},
        {"refusal = \"550 5.07.1 a\"\n", ":1:", "enhanced status"},
        {"refusal = \"550 5.7.00 a\"\n", ":1:", "enhanced status"},
        {"refusal = \"550 5.7.1234 a\"\n", ":1:", "enhanced status"},
        {"refusal = \"550 +5.7.1 a\"\n", ":1:", "enhanced status"},
        {"refusal = \"55 5.7.1 a\"\n", ":1:", "enhanced status"},
        {"exempt = {\"*@example.org\"}\n", ":1:", "@example.org for a domain"},
        {"exempt = {\"a@b.example\", \"foo\"}\n", ":1:", "there is no @"},
        {"redis = \"redis://localhost:6379/0\"\n",
         ":1:", "write \"tcp:localhost:6379/0\""},
        {"redis = \"tcp://localhost\"\n", ":1:", "write \"tcp:localhost\""},
        {"redis = \"unix:///run/redis.sock\"\n",
         ":1:", "write \"unix:/run/redis.sock\""},
        {"redis = \"rediss://localhost\"\n", ":1:", "no client for TLS"},
        {"redis = \"redis://:secret@localhost\"\n",
         ":1:", "redis_password_file"},
        {"event_log = \"/var/log/nixie/\"\n", ":1:", "path of a file"},
    };

    (void)state;
    settings_are_refused(rows, sizeof rows / sizeof rows[0]);
}

static void settings_a_password_in_a_url_is_not_told(void **state)
{
    struct error error = {""};

    (void)state;
    assert_null(settings_of("redis = \"redis://:secret@localhost\"\n", &error));
    assert_null(strstr(error.text, "secret"));
}

static void settings_take_what_looks_like_a_fault(void **state)
{
    static const char *const rows[] = {
        "",
        "\n",
        "# a comment without an end",
        "/* a \"comment\" { */",
        "exempt = {\n# one\n\"a@\", // two\n\"b@\", /* three */\n}\n",
        "exempt = {\"\\\"*\\\"@example.org\"}\n",
        "exempt += {}\n",
        "node = \"a#b\"\nuser = 'a//b'\n",
        "refusal = '550 5.7.1 } \" { = # \\' '\n",
        "refusal = \"550 5.7.1 \\\" ' ${NIXIE_UNSET:-none} $5 \\${\"\n",
        "refusal = \"550 5.7.1 one \\\ntwo\"\n",
        "refusal = \"550 5.10.100 a\"\n",
        "refusal = \"550 5.0.0 a\"\n",
        "mode=\"observe\" user='a' redis_timeout_ms=5\r\n",
        "domain \"a.example\" {}\ndomain 'b.example' { fold_tags = on }",
        "redis = \"unix:/run/a@b.sock\"\n",
    };

    (void)state;
    settings_are_taken(rows, sizeof rows / sizeof rows[0]);
}

static void settings_a_missing_file_is_an_error(void **state)
{
    struct error error = {""};

    (void)state;
    assert_null(settings_load("/nonexistent/nixie.conf", &error));
    assert_non_null(strstr(error.text, "/nonexistent/nixie.conf"));
}

/* --- files and folders -------------------------------------------------- */

struct place {
    char folder[32];
    char path[64];
};

static const char *path_in(struct place *place, const char *name)
{
    int length =
        snprintf(place->path, sizeof place->path, "%s/%s", place->folder, name);

    assert_in_range(length, 1, sizeof place->path - 1);
    return place->path;
}

static void write_file(const char *path, const char *bytes, size_t length,
                       mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (int)length);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_in_range(
        snprintf(address.sun_path, sizeof address.sun_path, "%s", path), 1,
        sizeof address.sun_path - 1);
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(close(fd), 0);
}

/* What nixied would use belongs to the user of the rows below, but "closed". */
static void give_away(struct place *place)
{
    static const char *const names[] = {".", "folder", "file", "open"};
    const struct passwd *nobody = getpwnam("nobody");

    if (geteuid() != 0) {
        return;
    }
    assert_non_null(nobody);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(chown(path_in(place, names[i]), nobody->pw_uid, 0), 0);
    }
}

/* A folder "folder", a "file", an open file "open", a "fifo", a "socket". */
static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    assert_non_null(place);
    scratch_make(place->folder);
    assert_int_equal(mkdir(path_in(place, "folder"), 0700), 0);
    write_file(path_in(place, "file"), "secret\n", 7, 0640);
    write_file(path_in(place, "closed"), "secret\n", 7, 0640);
    write_file(path_in(place, "open"), "secret\n", 7, 0644);
    assert_int_equal(mkfifo(path_in(place, "fifo"), 0600), 0);
    make_socket(path_in(place, "socket"));
    give_away(place);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;

    scratch_remove(place->folder);
    free(place);
    return 0;
}

static void refuses_file(const char *path, const char *words)
{
    struct error error = {""};

    if (settings_load(path, &error) != NULL) {
        fail_msg("%s was taken", path);
    }
    if (strncmp(error.text, path, strlen(path)) != 0 ||
        strstr(error.text, words) == NULL) {
        fail_msg("%s gave %s", path, error.text);
    }
}

static void settings_what_is_no_file_is_refused(void **state)
{
    struct place *place = *state;

    refuses_file(path_in(place, "folder"), "is a folder");
    refuses_file(path_in(place, "fifo"), "is no file");
    refuses_file(path_in(place, "socket"), "");
    refuses_file("/dev/zero", "is no file");
    refuses_file("/dev/null", "is no file");
    if (geteuid() != 0) {
        assert_int_equal(chmod(path_in(place, "file"), 0), 0);
        refuses_file(place->path, "Permission denied");
    }
}

static void settings_nul_bytes_and_much_too_long_files_are_refused(void **state)
{
    static const char nul[] = "\nmode = \"observe\"\n\0\n";
    struct place *place = *state;
    size_t length = (size_t)1024 * 1024;
    char *blanks = malloc(length + 1);
    struct error error = {""};
    struct settings *settings;

    assert_non_null(blanks);
    memset(blanks, '\n', length + 1);
    write_file(path_in(place, "nul"), nul, sizeof nul - 1, 0600);
    refuses_file(place->path, ":3: a NUL byte");
    write_file(path_in(place, "long"), blanks, length + 1, 0600);
    refuses_file(place->path, "larger than 1048576 bytes");
    write_file(path_in(place, "long"), blanks, length, 0600);
    settings = settings_load(place->path, &error);
    assert_non_null(settings);
    settings_free(settings);
    free(blanks);
}

/* What settings_host_check() says of text, in which ~ is the place. */
static bool check_host(const struct place *place, const char *text,
                       struct error *error)
{
    struct settings *settings = settings_in(place->folder, text);
    bool good;

    good = settings_host_check(settings, error);
    settings_free(settings);
    return good;
}

#define HOST_USER   "user = \"nobody\"\n"
#define HOST_STATE  "state_dir = \"~/state\"\n"
#define HOST_LOG    "event_log = \"~/log/events\"\n"
#define HOST_SOCKET "milter_socket = \"unix:~/run/milter.sock\"\n"

static void settings_a_host_that_fits_is_good(void **state)
{
    static const char *const rows[] = {
        HOST_USER HOST_STATE HOST_LOG HOST_SOCKET,
        HOST_USER HOST_LOG HOST_SOCKET "state_dir = \"~/folder/\"\n",
        HOST_USER HOST_STATE HOST_SOCKET "event_log = \"~/file\"\n",
        HOST_USER HOST_STATE HOST_LOG "milter_socket = \"unix:~/socket\"\n",
        HOST_USER HOST_STATE HOST_LOG "milter_socket = \"inet:5@127.0.0.1\"\n"
                                      "milter_socket_group = \"no-such\"\n",
        HOST_USER HOST_STATE HOST_LOG HOST_SOCKET
        "redis_password_file = \"~/file\"\nmilter_socket_group = \"\"\n",
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {""};

        if (!check_host(*state, rows[i], &error)) {
            fail_msg("%s gave %s", rows[i], error.text);
        }
    }
}

static void settings_a_host_that_does_not_fit_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *key;
        const char *words;
        bool root_only;
    } rows[] = {
        {"user = \"no-such-user\"\n" HOST_STATE HOST_LOG HOST_SOCKET, "user",
         "useradd", true},
        {HOST_USER HOST_STATE HOST_LOG HOST_SOCKET
         "milter_socket_group = \"no-such-group\"\n",
         "milter_socket_group", "no such group", false},
        {HOST_USER HOST_STATE HOST_LOG HOST_SOCKET
         "redis_password_file = \"~/missing\"\n",
         "redis_password_file", "/missing", false},
        {HOST_USER HOST_STATE HOST_LOG HOST_SOCKET
         "redis_password_file = \"~/open\"\n",
         "redis_password_file", "chmod o-rwx", false},
        {HOST_USER HOST_STATE HOST_LOG HOST_SOCKET
         "redis_password_file = \"~/folder\"\n",
         "redis_password_file", "regular file", false},
        {HOST_USER HOST_STATE HOST_LOG HOST_SOCKET
         "redis_password_file = \"~/closed\"\n",
         "redis_password_file", "user nobody may not read it: chgrp", true},
        {HOST_USER HOST_LOG HOST_SOCKET "state_dir = \"/\"\n", "state_dir",
         "user nobody may not write in the folder /", true},
        {HOST_USER HOST_LOG HOST_SOCKET "state_dir = \"~/a/b/\"\n", "state_dir",
         "/a first", false},
        {HOST_USER HOST_LOG HOST_SOCKET "state_dir = \"~/file\"\n", "state_dir",
         "no folder", false},
        {HOST_USER HOST_LOG HOST_SOCKET "state_dir = \"~/file/state\"\n",
         "state_dir", "Not a directory", false},
        {HOST_USER HOST_STATE HOST_SOCKET "event_log = \"~/folder\"\n",
         "event_log", "move it away", false},
        {HOST_USER HOST_STATE HOST_SOCKET "event_log = \"~/fifo\"\n",
         "event_log", "no regular file", false},
        {HOST_USER HOST_STATE HOST_SOCKET "event_log = \"~/a/b/events\"\n",
         "event_log", "/a first", false},
        {HOST_USER HOST_STATE HOST_LOG "milter_socket = \"unix:~/file\"\n",
         "milter_socket", "no socket", false},
        {HOST_USER HOST_STATE HOST_LOG "milter_socket = \"unix:~/folder\"\n",
         "milter_socket", "no socket", false},
        {HOST_USER HOST_STATE HOST_LOG "milter_socket = \"unix:~/a/b/c\"\n",
         "milter_socket", "/a first", false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {""};

        if (rows[i].root_only && geteuid() != 0) {
            continue;
        }
        if (check_host(*state, rows[i].text, &error)) {
            fail_msg("good: %s", rows[i].text);
        }
        if (strncmp(error.text, rows[i].key, strlen(rows[i].key)) != 0 ||
            strstr(error.text, rows[i].words) == NULL) {
            fail_msg("%s gave %s", rows[i].text, error.text);
        }
    }
}

static void settings_tell_what_needs_a_restart(void **state)
{
    struct error error = {""};
    static const struct {
        const char *text;
        const char *key;
    } rows[] = {
        {"mode = \"observe\"\n", NULL},
        {"event_log = \"/var/log/other.jsonl\"\n", "event_log"},
        {"maillog = {\"/a\"}\n", NULL},
        {"maillog = {}\n", "maillog"},
        {"metrics = \"127.0.0.1:9895\"\n", "metrics"},
        {"maillog = {\"/a\", \"/b\"}\n", "maillog"},
        {"maillog = \"journal\"\n", "maillog"},
        {"maillog_trust = \"all\" maillog_rejections = \"all\"\n"
         "bounce_rules = {} internal_relays = {\"a\"} retry_schedule = {5}\n"
         "delay_notice_after = 5 delay_notice_limit = 5\n"
         "policy \"expired\" { strikes = 0 } breaker { percent = 5 }\n",
         NULL},
    };
    struct settings *running = settings_of("maillog = {\"/a\"}\n", &error);

    (void)state;
    assert_non_null(running);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        struct settings *loaded;
        const char *key;

        assert_true(snprintf(text, sizeof text, "%s%s", rows[i].text,
                             strstr(rows[i].text, "maillog =") == NULL
                                 ? "maillog = {\"/a\"}\n"
                                 : "") > 0);
        loaded = settings_of(text, &error);
        assert_non_null(loaded);
        key = settings_needs_restart(running, loaded);
        if (key != rows[i].key && (key == NULL || rows[i].key == NULL ||
                                   strcmp(key, rows[i].key) != 0)) {
            fail_msg("%s gave %s", rows[i].text, key == NULL ? "none" : key);
        }
        settings_free(loaded);
    }
    settings_free(running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_defaults_fit_one_host),
        cmocka_unit_test(settings_values_are_taken),
        cmocka_unit_test(settings_errors_name_line_and_remedy),
        cmocka_unit_test(settings_a_password_in_a_url_is_not_told),
        cmocka_unit_test(settings_take_what_looks_like_a_fault),
        cmocka_unit_test(settings_a_missing_file_is_an_error),
        cmocka_unit_test_setup_teardown(settings_what_is_no_file_is_refused,
                                        make_place, remove_place),
        cmocka_unit_test_setup_teardown(
            settings_nul_bytes_and_much_too_long_files_are_refused, make_place,
            remove_place),
        cmocka_unit_test_setup_teardown(settings_a_host_that_fits_is_good,
                                        make_place, remove_place),
        cmocka_unit_test_setup_teardown(
            settings_a_host_that_does_not_fit_is_refused, make_place,
            remove_place),
        cmocka_unit_test(settings_tell_what_needs_a_restart),
    };

    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
