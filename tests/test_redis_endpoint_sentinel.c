#include "clock.h"
#include "fake_redis.h"
#include "redis_endpoint.h"
#include "redis_link.h"
#include "redis_server.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SOON   5000 /* ms: a healthy server, a loaded machine */
#define LONGER 4500 /* ms: all sentinels silent, a loaded machine */

/* What a server answers to HELLO 2; one of them says it to all questions. */
#define HELLO(role) "*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$4\r\nrole\r\n" role
static const char master_words[] = HELLO("$6\r\nmaster\r\n");
static const char replica_words[] = HELLO("$7\r\nreplica\r\n");
static const char sentinel_words[] = "*2\r\n$4\r\nmode\r\n$8\r\nsentinel\r\n";
static const char no_master[] = "*-1\r\n";

static struct fake_redis_script always(const char *bytes)
{
    return (struct fake_redis_script){FAKE_REDIS_EACH, bytes, strlen(bytes)};
}

static const char *moved_to = "127.0.0.1"; /* the address of moved.test */

/* It stands before that of the C library. */
int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints,
                struct addrinfo **restrict found)
{
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");

    memcpy(&real, &symbol, sizeof real);
    return real(name != NULL && strcmp(name, "moved.test") == 0 ? moved_to
                                                                : name,
                service, hints, found);
}

/* Two sentinels and two servers; what each says, the test decides. */
struct scene {
    struct fake_redis *sentinels[2];
    struct fake_redis *servers[2];
    char names[2][64]; /* what names the server */
    struct redis_endpoint *endpoint;
};

static void set_up_as(struct scene *scene, const char *password_file)
{
    struct redis_endpoint_options options = {.user = "",
                                             .password_file = password_file};
    char location[96];
    struct error error = {""};

    for (size_t i = 0; i < 2; i++) {
        char port[8];

        scene->servers[i] = fake_redis_start(always(master_words));
        (void)snprintf(port, sizeof port, "%d",
                       fake_redis_port(scene->servers[i]));
        (void)snprintf(scene->names[i], sizeof scene->names[i],
                       "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port),
                       port);
    }
    for (size_t i = 0; i < 2; i++) {
        scene->sentinels[i] = fake_redis_start(always(scene->names[0]));
    }
    (void)snprintf(location, sizeof location,
                   "sentinel:127.0.0.1:%d,127.0.0.1:%d/mymaster",
                   fake_redis_port(scene->sentinels[0]),
                   fake_redis_port(scene->sentinels[1]));
    options.location = location;
    scene->endpoint = redis_endpoint_new(&options, &error);
    assert_string_equal(error.text, "");
    assert_non_null(scene->endpoint);
}

static void set_up(struct scene *scene)
{
    set_up_as(scene, "");
}

static void tear_down(struct scene *scene)
{
    redis_endpoint_free(scene->endpoint);
    for (size_t i = 0; i < 2; i++) {
        fake_redis_stop(scene->sentinels[i]);
        fake_redis_stop(scene->servers[i]);
    }
}

/* 0 when no address is known. */
static int port_of(struct redis_endpoint *endpoint)
{
    struct redis_address found[REDIS_ENDPOINT_ADDRESSES];
    struct sockaddr_in address;

    if (redis_endpoint_addresses(endpoint, found) == 0) {
        return 0;
    }
    assert_int_equal(found[0].address.ss_family, AF_INET);
    memcpy(&address, &found[0].address, sizeof address);
    return ntohs(address.sin_port);
}

static void must_resolve(struct scene *scene, size_t server)
{
    struct error error = {""};

    if (!redis_endpoint_resolve(scene->endpoint, &error)) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(port_of(scene->endpoint),
                     fake_redis_port(scene->servers[server]));
}

static void redis_endpoint_resolve_finds_the_master(void **state)
{
    struct scene scene;
    struct redis_link *link;
    struct error error = {""};

    (void)state;
    set_up(&scene);
    assert_int_equal(port_of(scene.endpoint), 0);
    assert_int_equal(redis_endpoint_database(scene.endpoint), 0);
    assert_true(redis_endpoint_wants_master(scene.endpoint));
    must_resolve(&scene, 0);
    link = redis_link_new(scene.endpoint);
    assert_non_null(link);
    assert_true(redis_link_open(link, clock_monotonic_ms() + SOON, &error));
    redis_link_free(link);
    tear_down(&scene);
}

static void
redis_endpoint_resolve_asks_first_whom_it_could_believe_last(void **state)
{
    struct scene scene;
    unsigned asked;

    (void)state;
    set_up(&scene);
    fake_redis_say(scene.sentinels[0], always(no_master));
    must_resolve(&scene, 0);
    asked = fake_redis_connections(scene.sentinels[0]);
    assert_int_equal(asked, 1);
    must_resolve(&scene, 0);
    assert_int_equal(fake_redis_connections(scene.sentinels[0]), asked);
    assert_int_equal(fake_redis_connections(scene.sentinels[1]), 2);
    tear_down(&scene);
}

/* One that is cut off goes on naming the master before. */
static void redis_endpoint_resolve_believes_no_replica(void **state)
{
    struct scene scene;

    (void)state;
    set_up(&scene);
    fake_redis_say(scene.servers[0], always(replica_words));
    fake_redis_say(scene.sentinels[1], always(scene.names[1]));
    must_resolve(&scene, 1);
    tear_down(&scene);
}

static void redis_endpoint_resolve_waits_for_no_sentinel_for_long(void **state)
{
    struct scene scene;
    struct error error = {""};
    int64_t start;

    (void)state;
    set_up(&scene);
    fake_redis_say(scene.sentinels[0],
                   (struct fake_redis_script){FAKE_REDIS_ONCE, "", 0});
    start = clock_monotonic_ms();
    must_resolve(&scene, 0);
    fake_redis_say(scene.sentinels[1], (struct fake_redis_script){
                                           FAKE_REDIS_DRIBBLE, "$9000\r\n", 7});
    assert_false(redis_endpoint_resolve(scene.endpoint, &error));
    assert_true(clock_monotonic_ms() - start < (int64_t)LONGER * 2);
    assert_non_null(strstr(error.text, "timed out"));
    assert_int_equal(port_of(scene.endpoint),
                     fake_redis_port(scene.servers[0])); /* as before */
    tear_down(&scene);
}

static void redis_endpoint_resolve_says_what_to_do(void **state)
{
    static const struct row {
        const char *name, *sentinel, *server, *says;
    } rows[] = {
        {"unknown", no_master, master_words, "knows no master \"mymaster\""},
        {"a Redis", "-ERR unknown command 'SENTINEL'\r\n", master_words,
         "does not answer as a sentinel: ERR unknown command"},
        {"password", "-NOAUTH Authentication required.\r\n", master_words,
         "ACL SETUSER default on >PASSWORD +sentinel|get-master-addr-by-name"},
        {"protected", "-DENIED Redis is running in protected mode\r\n",
         master_words, "DENIED"},
        {"replica", NULL, replica_words,
         "as the master: the server is no master, it calls itself "
         "\"replica\""},
        {"sentinel", NULL, sentinel_words, "it calls itself \"\""},
        {"not of pairs", NULL, "*1\r\n$4\r\nrole\r\n", "no master"},
        {"no array", NULL, "+OK\r\n", "no master"},
        {"a status", "+OK\r\n", master_words, "unexpected reply"},
        {"one word", "*1\r\n$1\r\nh\r\n", master_words, "unexpected reply"},
        {"a number", "*2\r\n$9\r\n127.0.0.1\r\n:6379\r\n", master_words,
         "unexpected reply"},
        {"no host", "*2\r\n$0\r\n\r\n$4\r\n6379\r\n", master_words,
         "unexpected reply"},
        {"a database", "*2\r\n$9\r\n127.0.0.1\r\n$6\r\n6379/1\r\n",
         master_words, "unexpected reply"},
        {"port 0", "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n", master_words,
         "names 127.0.0.1:0 as the master: the port is a number"},
        {"path", "*2\r\n$12\r\n127.0.0.1/1x\r\n$4\r\n6379\r\n", master_words,
         "names 127.0.0.1/1x:6379"},
        {"control", "*2\r\n$3\r\na\nb\r\n$4\r\n6379\r\n", master_words,
         "a\\x0ab:6379 as the master: control characters"},
        {"colons", "*2\r\n$9\r\n::1]:1/2[\r\n$4\r\n6379\r\n", master_words,
         "as the master: the database"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene;
        struct error error = {""};

        set_up(&scene);
        fake_redis_say(scene.servers[0], always(rows[i].server));
        for (size_t j = 0; j < 2 && rows[i].sentinel != NULL; j++) {
            fake_redis_say(scene.sentinels[j], always(rows[i].sentinel));
        }
        if (redis_endpoint_resolve(scene.endpoint, &error) ||
            strstr(error.text, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].name, error.text);
        }
        assert_int_equal(port_of(scene.endpoint), 0);
        tear_down(&scene);
    }
}

static void redis_endpoint_resolve_names_a_sentinel_that_is_away(void **state)
{
    struct redis_endpoint_options options = {.user = "", .password_file = ""};
    char location[64];
    struct error error = {""};
    struct redis_endpoint *endpoint;

    (void)state;
    (void)snprintf(location, sizeof location, "sentinel:127.0.0.1:%d/m",
                   redis_server_free_port());
    options.location = location;
    endpoint = redis_endpoint_new(&options, &error);
    assert_non_null(endpoint);
    assert_string_equal(redis_endpoint_name(endpoint), location);
    assert_false(redis_endpoint_resolve(endpoint, &error));
    assert_non_null(strstr(error.text, "redis: sentinel 127.0.0.1:"));
    assert_non_null(strstr(error.text, "Connection refused"));
    redis_endpoint_free(endpoint);
}

/* Loading, or a wrong password: whoever connects is to hear it. */
static void redis_endpoint_resolve_takes_a_master_that_refuses_us(void **state)
{
    static const struct row {
        const char *words;
        enum redis_fault fault;
    } rows[] = {
        {"-LOADING Redis is loading\r\n", REDIS_FAULT_BUSY},
        {"-NOAUTH HELLO must be called\r\n", REDIS_FAULT_LOGIN},
        {"-ERR unknown command `HELLO`\r\n", REDIS_FAULT_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene;
        struct redis_link *link;
        struct error error = {""};

        set_up(&scene);
        fake_redis_say(scene.servers[0], always(rows[i].words));
        must_resolve(&scene, 0);
        link = redis_link_new(scene.endpoint);
        assert_non_null(link);
        assert_false(
            redis_link_open(link, clock_monotonic_ms() + SOON, &error));
        assert_non_null(strstr(error.text, "HELLO refused: "));
        assert_int_equal(redis_link_fault(link), rows[i].fault);
        redis_link_free(link);
        tear_down(&scene);
    }
}

/* One is cut off with the former master, and both go on as ever. */
static void redis_endpoint_check_master_believes_most_of_them(void **state)
{
    static const struct {
        int second; /* how often the other one stands in the list */
        size_t server;
    } rows[] = {{1, 0}, {2, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene;
        struct redis_endpoint_options options = {.user = "",
                                                 .password_file = ""};
        char location[128];
        struct error error = {""};
        uint64_t era;

        set_up(&scene);
        (void)snprintf(location, sizeof location,
                       rows[i].second == 1
                           ? "sentinel:127.0.0.1:%d,127.0.0.1:%d/mymaster"
                           : "sentinel:127.0.0.1:%d,127.0.0.1:%d,"
                             "localhost:%d/mymaster",
                       fake_redis_port(scene.sentinels[0]),
                       fake_redis_port(scene.sentinels[1]),
                       fake_redis_port(scene.sentinels[1]));
        redis_endpoint_free(scene.endpoint);
        options.location = location;
        scene.endpoint = redis_endpoint_new(&options, &error);
        assert_non_null(scene.endpoint);
        must_resolve(&scene, 0);
        era = redis_endpoint_era(scene.endpoint);
        fake_redis_say(scene.sentinels[1], always(scene.names[1]));
        for (int times = 0; times < 3; times++) {
            if (!redis_endpoint_check_master(scene.endpoint, &error)) {
                fail_msg("%s", error.text);
            }
            assert_int_equal(port_of(scene.endpoint),
                             fake_redis_port(scene.servers[rows[i].server]));
        }
        assert_int_equal(redis_endpoint_era(scene.endpoint),
                         era + rows[i].server);
        tear_down(&scene);
    }
}

static void redis_endpoint_check_master_finds_sentinels_that_move(void **state)
{
    struct scene scene;
    struct redis_endpoint_options options = {.user = "", .password_file = ""};
    char location[128];
    struct error error = {""};

    (void)state;
    set_up(&scene);
    (void)snprintf(location, sizeof location, "sentinel:moved.test:%d/mymaster",
                   fake_redis_port(scene.sentinels[0]));
    redis_endpoint_free(scene.endpoint);
    options.location = location;
    scene.endpoint = redis_endpoint_new(&options, &error);
    assert_non_null(scene.endpoint);
    moved_to = "127.0.0.2"; /* where nobody is */
    assert_false(redis_endpoint_resolve(scene.endpoint, &error));
    moved_to = "127.0.0.1";
    (void)redis_endpoint_check_master(scene.endpoint, &error);
    assert_true(redis_endpoint_check_master(scene.endpoint, &error));
    assert_int_equal(port_of(scene.endpoint),
                     fake_redis_port(scene.servers[0]));
    tear_down(&scene);
}

static void redis_link_leaves_a_master_that_is_no_more(void **state)
{
    struct scene scene;
    struct redis_link *link;
    struct error error = {""};
    uint64_t era;

    (void)state;
    set_up(&scene);
    must_resolve(&scene, 0);
    era = redis_endpoint_era(scene.endpoint);
    link = redis_link_new(scene.endpoint);
    assert_non_null(link);
    assert_true(redis_link_open(link, clock_monotonic_ms() + SOON, &error));
    must_resolve(&scene, 0); /* the same: the connection stays */
    assert_int_equal(redis_endpoint_era(scene.endpoint), era);
    for (size_t i = 0; i < 2; i++) {
        fake_redis_say(scene.sentinels[i], always(scene.names[1]));
    }
    must_resolve(&scene, 1);
    assert_true(redis_endpoint_era(scene.endpoint) > era);
    assert_int_equal(fake_redis_connections(scene.servers[1]), 1);
    assert_true(redis_link_open(link, clock_monotonic_ms() + SOON, &error));
    assert_int_equal(fake_redis_connections(scene.servers[1]), 2);
    redis_link_close(link);
    fake_redis_say(scene.servers[1], always(replica_words));
    assert_false(redis_link_open(link, clock_monotonic_ms() + SOON, &error));
    assert_int_equal(redis_link_fault(link), REDIS_FAULT_MOVED_ON);
    assert_non_null(strstr(error.text, "calls itself \"replica\""));
    redis_link_free(link);
    tear_down(&scene);
}

static void redis_link_says_where_the_master_should_be(void **state)
{
    struct scene scene;
    struct redis_link *link;
    struct error error = {""};
    char says[64];

    (void)state;
    set_up(&scene);
    must_resolve(&scene, 0);
    (void)snprintf(says, sizeof says, "master at 127.0.0.1 port %d",
                   fake_redis_port(scene.servers[0]));
    fake_redis_stop(scene.servers[0]);
    scene.servers[0] = NULL;
    link = redis_link_new(scene.endpoint);
    assert_non_null(link);
    assert_false(redis_link_open(link, clock_monotonic_ms() + SOON, &error));
    assert_non_null(strstr(error.text, says));
    redis_link_free(link);
    tear_down(&scene);
}

#define ROUNDS 40

static void *resolve_often(void *context)
{
    struct scene *scene = context;

    for (size_t i = 0; i < ROUNDS; i++) {
        struct fake_redis *sentinel = scene->sentinels[i % 2];

        fake_redis_say(sentinel, always(scene->names[i / 2 % 2]));
        (void)redis_endpoint_resolve(scene->endpoint, NULL);
        (void)redis_endpoint_era(scene->endpoint);
    }
    return NULL;
}

static void redis_endpoint_resolve_is_for_any_thread(void **state)
{
    struct scene scene;
    pthread_t threads[3];

    (void)state;
    set_up(&scene);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, resolve_often, &scene), 0);
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        int port = port_of(scene.endpoint);

        assert_true(port == 0 || port == fake_redis_port(scene.servers[0]) ||
                    port == fake_redis_port(scene.servers[1]));
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    fake_redis_say(scene.sentinels[0], always(scene.names[1]));
    fake_redis_say(scene.sentinels[1], always(scene.names[1]));
    must_resolve(&scene, 1);
    tear_down(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_endpoint_resolve_finds_the_master),
        cmocka_unit_test(
            redis_endpoint_resolve_asks_first_whom_it_could_believe_last),
        cmocka_unit_test(redis_endpoint_resolve_believes_no_replica),
        cmocka_unit_test(redis_endpoint_resolve_waits_for_no_sentinel_for_long),
        cmocka_unit_test(redis_endpoint_resolve_says_what_to_do),
        cmocka_unit_test(redis_endpoint_resolve_names_a_sentinel_that_is_away),
        cmocka_unit_test(redis_endpoint_resolve_takes_a_master_that_refuses_us),
        cmocka_unit_test(redis_endpoint_check_master_believes_most_of_them),
        cmocka_unit_test(redis_endpoint_check_master_finds_sentinels_that_move),
        cmocka_unit_test(redis_link_leaves_a_master_that_is_no_more),
        cmocka_unit_test(redis_link_says_where_the_master_should_be),
        cmocka_unit_test(redis_endpoint_resolve_is_for_any_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
