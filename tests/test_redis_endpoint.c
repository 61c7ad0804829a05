#include "redis_endpoint.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static struct redis_endpoint *endpoint_of(const char *location,
                                          struct error *error)
{
    struct redis_endpoint_options options = {
        .location = location, .user = "", .password_file = ""};

    return redis_endpoint_new(&options, error);
}

static void redis_endpoint_new_takes_a_unix_socket(void **state)
{
    static const struct row {
        const char *location, *path;
        int database;
    } rows[] = {
        {"unix:/run/redis.sock", "/run/redis.sock", 0},
        {"unix:/run/redis.sock?db=3", "/run/redis.sock", 3},
        {"unix:/run/a:b/c?db=0", "/run/a:b/c", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error;
        struct redis_address found[REDIS_ENDPOINT_ADDRESSES];
        struct sockaddr_un address;
        struct redis_endpoint *endpoint = endpoint_of(rows[i].location, &error);

        assert_non_null(endpoint);
        assert_string_equal(redis_endpoint_name(endpoint), rows[i].location);
        assert_int_equal(redis_endpoint_database(endpoint), rows[i].database);
        assert_true(redis_endpoint_resolve(endpoint, &error));
        assert_int_equal(redis_endpoint_addresses(endpoint, found), 1);
        memcpy(&address, &found[0].address, sizeof address);
        assert_int_equal(address.sun_family, AF_UNIX);
        assert_string_equal(address.sun_path, rows[i].path);
        redis_endpoint_free(endpoint);
    }
}

static void redis_endpoint_new_takes_numeric_hosts_at_once(void **state)
{
    static const struct row {
        const char *location, *address;
        int family, port, database;
    } rows[] = {
        {"tcp:127.0.0.1", "127.0.0.1", AF_INET, 6379, 0},
        {"tcp:192.0.2.7:6380", "192.0.2.7", AF_INET, 6380, 0},
        {"tcp:192.0.2.7:65535/15", "192.0.2.7", AF_INET, 65535, 15},
        {"tcp:192.0.2.7/2", "192.0.2.7", AF_INET, 6379, 2},
        {"tcp:[::1]", "::1", AF_INET6, 6379, 0},
        {"tcp:[2001:db8::1]:6379/2", "2001:db8::1", AF_INET6, 6379, 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error;
        struct redis_address found[REDIS_ENDPOINT_ADDRESSES];
        struct sockaddr_in6 six;
        struct sockaddr_in four;
        char shown[INET6_ADDRSTRLEN];
        struct redis_endpoint *endpoint = endpoint_of(rows[i].location, &error);
        bool is_four = rows[i].family == AF_INET;

        assert_non_null(endpoint);
        assert_int_equal(redis_endpoint_database(endpoint), rows[i].database);
        assert_int_equal(redis_endpoint_addresses(endpoint, found), 1);
        assert_int_equal(found[0].address.ss_family, rows[i].family);
        memcpy(&four, &found[0].address, sizeof four);
        memcpy(&six, &found[0].address, sizeof six);
        assert_int_equal(ntohs(is_four ? four.sin_port : six.sin6_port),
                         rows[i].port);
        assert_non_null(inet_ntop(rows[i].family,
                                  is_four ? (const void *)&four.sin_addr
                                          : (const void *)&six.sin6_addr,
                                  shown, sizeof shown));
        assert_string_equal(shown, rows[i].address);
        redis_endpoint_free(endpoint);
    }
}

static void redis_endpoint_new_refuses_what_it_cannot_reach(void **state)
{
    static const struct row {
        const char *location, *says;
    } rows[] = {
        {"", "has no scheme"},
        {"/run/redis.sock", "unix:/run/redis/redis-server.sock"},
        {"127.0.0.1:6379", "tcp:127.0.0.1:6379"},
        {"redis://127.0.0.1", "has no scheme"},
        {"unix:", "absolute path"},
        {"unix:run/redis.sock", "absolute path"},
        {"unix:/a?db=", "database"},
        {"unix:/a?db=-1", "database"},
        {"unix:/a?db=1x", "database"},
        {"unix:/a?x=1", "?db="},
        {"unix:/a\nb", "control"},
        {"tcp:", "HOST"},
        {"tcp::6379", "HOST"},
        {"tcp:[::1", "brackets"},
        {"tcp:::1", "brackets"},
        {"tcp:[::1]6379", "HOST"},
        {"tcp:a b", "HOST"},
        {"tcp:host:0", "port"},
        {"tcp:host:", "port"},
        {"tcp:host:65536", "port"},
        {"tcp:host:99999999999", "port"},
        {"tcp:host:6379/", "database"},
        {"tcp:host:6379/9999999", "database"},
        {"tcp:[zz]:6379", "resolve zz"},
        {"tls:host:6379", "this build of nixie has no TLS; use unix: or tcp:"},
        {"sentinel:", "sentinel: takes HOST:PORT,HOST:PORT/NAME"},
        {"sentinel:h:1", "sentinel: takes HOST:PORT,HOST:PORT/NAME"},
        {"sentinel:h:1/", "sentinel: takes HOST:PORT,HOST:PORT/NAME"},
        {"sentinel:h:1/m/2", "no database behind it"},
        {"sentinel:h:1/m m", "takes HOST"},
        {"sentinel:/m", "\"\" is no HOST or HOST:PORT"},
        {"sentinel:h,,i/m", "\"\" is no HOST or HOST:PORT"},
        {"sentinel:h,i,/m", "\"\" is no HOST or HOST:PORT"},
        {"sentinel://h:1/m", "takes HOST"},
        {"sentinel:h:0/m", "\"h:0\" is no HOST"},
        {"sentinel:h:/m", "\"h:\" is no HOST"},
        {"sentinel:a:1,h:65536/m", "\"h:65536\" is no HOST"},
        {"sentinel:::1/m", "[::1]:26379"},
        {"sentinel:[::1/m", "is no HOST"},
        {"sentinel:a;b/m", "\"a;b\" is no HOST"},
        {"sentinel:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/m",
         "at most 16 sentinels"},
        {"cluster:h:1", "no Redis Cluster client; use unix: or tcp:"},
        /* 108 bytes of path */
        {"unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         "107 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = {""};

        assert_null(endpoint_of(rows[i].location, &error));
        if (strstr(error.text, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].location, error.text);
        }
    }
}

static void redis_endpoint_resolve_finds_a_name(void **state)
{
    struct redis_address found[REDIS_ENDPOINT_ADDRESSES];
    struct error error = {""};
    struct redis_endpoint *endpoint = endpoint_of("tcp:localhost", &error);

    (void)state;
    assert_non_null(endpoint);
    assert_int_equal(redis_endpoint_addresses(endpoint, found), 0);
    assert_true(redis_endpoint_resolve(endpoint, &error));
    assert_true(redis_endpoint_addresses(endpoint, found) >= 1);
    redis_endpoint_free(endpoint);
}

static void redis_endpoint_resolve_says_when_there_is_no_such_name(void **state)
{
    struct error error = {""};
    /* RFC 6761 6.4: this name resolves nowhere */
    struct redis_endpoint *endpoint = endpoint_of("tcp:a.invalid", &error);

    (void)state;
    assert_non_null(endpoint);
    assert_false(redis_endpoint_resolve(endpoint, &error));
    assert_non_null(strstr(error.text, "resolve a.invalid"));
    redis_endpoint_free(endpoint);
}

static void redis_endpoint_new_refuses_a_user_too_long(void **state)
{
    char user[258];
    struct redis_endpoint_options options = {.location = "unix:/a",
                                             .user = user};
    struct error error = {""};

    (void)state;
    memset(user, 'u', sizeof user);
    user[257] = '\0';
    assert_null(redis_endpoint_new(&options, &error));
    assert_non_null(strstr(error.text, "redis_user"));
}

/* A password file in a folder of its own, and the endpoint that reads it. */
struct secret {
    char folder[64];
    char path[96];
};

static void make_secret(struct secret *secret)
{
    scratch_make(secret->folder);
    (void)snprintf(secret->path, sizeof secret->path, "%s/password",
                   secret->folder);
}

static void write_secret(const struct secret *secret, const char *bytes,
                         size_t length, mode_t mode)
{
    int fd = open(secret->path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static bool ask_password(const char *path, char password[REDIS_PASSWORD_MAX],
                         size_t *length, struct error *error)
{
    struct redis_endpoint_options options = {
        .location = "unix:/a", .user = "", .password_file = path};
    struct redis_endpoint *endpoint = redis_endpoint_new(&options, error);
    bool answered;

    assert_non_null(endpoint);
    answered = redis_endpoint_password(endpoint, password, length, error);
    redis_endpoint_free(endpoint);
    return answered;
}

static void redis_endpoint_password_strips_one_newline(void **state)
{
    static const struct row {
        const char *content, *password;
        mode_t mode;
    } rows[] = {
        {"secret", "secret", 0600},
        {"secret\n", "secret", 0640},
        {"secret\n\n", "secret\n", 0400},
        {" a b ", " a b ", 0660},
    };
    struct secret secret;

    (void)state;
    make_secret(&secret);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char password[REDIS_PASSWORD_MAX];
        size_t length;
        struct error error = {""};

        write_secret(&secret, rows[i].content, strlen(rows[i].content),
                     rows[i].mode);
        assert_true(ask_password(secret.path, password, &length, &error));
        assert_string_equal(password, rows[i].password);
        assert_int_equal(length, strlen(rows[i].password));
    }
    scratch_remove(secret.folder);
}

static void
redis_endpoint_password_is_empty_when_none_is_configured(void **state)
{
    char password[REDIS_PASSWORD_MAX] = "x";
    size_t length = 9;
    struct error error;

    (void)state;
    assert_true(ask_password("", password, &length, &error));
    assert_int_equal(length, 0);
    assert_string_equal(password, "");
}

static void redis_endpoint_password_refuses_a_file_open_to_others(void **state)
{
    static const mode_t modes[] = {0604, 0602, 0601, 0644, 0666};
    struct secret secret;

    (void)state;
    make_secret(&secret);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char password[REDIS_PASSWORD_MAX];
        size_t length;
        struct error error = {""};

        write_secret(&secret, "secret", 6, modes[i]);
        assert_false(ask_password(secret.path, password, &length, &error));
        assert_non_null(strstr(error.text, "chmod o-rwx"));
        assert_null(strstr(error.text, "secret:"));
    }
    scratch_remove(secret.folder);
}

static void redis_endpoint_password_refuses_what_is_no_file(void **state)
{
    char password[REDIS_PASSWORD_MAX];
    size_t length;
    struct error error = {""};
    struct secret secret;

    (void)state;
    make_secret(&secret);
    assert_false(ask_password(secret.path, password, &length, &error));
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(mkdir(secret.path, 0700), 0);
    assert_false(ask_password(secret.path, password, &length, &error));
    assert_non_null(strstr(error.text, "not a regular file"));
    assert_int_equal(rmdir(secret.path), 0);
    assert_int_equal(mkfifo(secret.path, 0600), 0);
    assert_false(ask_password(secret.path, password, &length, &error));
    assert_non_null(strstr(error.text, "not a regular file"));
    scratch_remove(secret.folder);
}

static void redis_endpoint_password_refuses_one_empty_or_too_long(void **state)
{
    char content[REDIS_PASSWORD_MAX + 1];
    char password[REDIS_PASSWORD_MAX];
    size_t length;
    struct error error = {""};
    struct secret secret;

    (void)state;
    make_secret(&secret);
    memset(content, 'x', sizeof content);
    write_secret(&secret, "\n", 1, 0600);
    assert_false(ask_password(secret.path, password, &length, &error));
    assert_non_null(strstr(error.text, "empty"));
    write_secret(&secret, content, REDIS_PASSWORD_MAX, 0600);
    assert_false(ask_password(secret.path, password, &length, &error));
    assert_non_null(strstr(error.text, "longer"));
    for (size_t i = 0; i < sizeof password; i++) {
        assert_int_equal(password[i], 0); /* wiped */
    }
    write_secret(&secret, content, REDIS_PASSWORD_MAX - 1, 0600);
    assert_true(ask_password(secret.path, password, &length, &error));
    assert_int_equal(length, REDIS_PASSWORD_MAX - 1);
    scratch_remove(secret.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_endpoint_new_takes_a_unix_socket),
        cmocka_unit_test(redis_endpoint_new_takes_numeric_hosts_at_once),
        cmocka_unit_test(redis_endpoint_new_refuses_what_it_cannot_reach),
        cmocka_unit_test(redis_endpoint_resolve_finds_a_name),
        cmocka_unit_test(
            redis_endpoint_resolve_says_when_there_is_no_such_name),
        cmocka_unit_test(redis_endpoint_new_refuses_a_user_too_long),
        cmocka_unit_test(redis_endpoint_password_strips_one_newline),
        cmocka_unit_test(
            redis_endpoint_password_is_empty_when_none_is_configured),
        cmocka_unit_test(redis_endpoint_password_refuses_a_file_open_to_others),
        cmocka_unit_test(redis_endpoint_password_refuses_what_is_no_file),
        cmocka_unit_test(redis_endpoint_password_refuses_one_empty_or_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
