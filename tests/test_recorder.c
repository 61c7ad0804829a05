#include "clock.h"
#include "event_log.h"
#include "instance.h"
#include "log.h"
#include "recorder.h"
#include "recorder_oracle.h"
#include "recorder_position.h"
#include "redis_server.h"
#include "scratch.h"
#include "store_key.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PREFIX    "nixie:"
#define SOON_MS   30000
#define MOMENT_MS 20 /* between two looks at what is awaited */
#define SKIP_TEST 77
/* of all events made here: what ends by time outlives this test */
#define BASE_US INT64_C(4102444800123456) /* 2100-01-01 */
#define DAY_US  INT64_C(86400000000)

struct world {
    struct redis_server *server;
    struct redis_endpoint *endpoint;
    struct redis_link *redis;
    char folder[64];
    char state_dir[96];
    char path[96];
    struct instance *instance;
    struct event_log *log;
    struct recorder *recorder;
    int64_t retention_seconds;
    uint64_t random;
    int64_t last_seq;
    atomic_int gone, back;
    atomic_bool gap_compressed;
    _Atomic(int64_t) gap_first, gap_last, seen;
};

static void store_changed(void *context, bool available, const char *error)
{
    struct world *world = context;

    (void)error;
    atomic_fetch_add(available ? &world->back : &world->gone, 1);
}

static void gap_found(void *context, int64_t first, int64_t last,
                      const char *reason)
{
    struct world *world = context;

    atomic_store(&world->gap_compressed, strcmp(reason, "compressed") == 0);
    atomic_store(&world->gap_first, first);
    atomic_store(&world->gap_last, last);
}

static void seq_seen(void *context, int64_t seq)
{
    struct world *world = context;

    atomic_store(&world->seen, seq);
}

static void do_redis(struct world *world, size_t argc, const char *const *argv)
{
    struct error error;
    int64_t deadline = clock_monotonic_ms() + SOON_MS;
    redisReply *reply;

    assert_true(redis_link_open(world->redis, deadline, &error));
    reply = redis_link_ask(world->redis, deadline, &error, argc, argv, NULL);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR) {
        fail_msg("%s: %s", argv[0], reply->str);
    }
    freeReplyObject(reply);
}

#define REDIS(world, ...)                                                      \
    do_redis(world,                                                            \
             sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *),     \
             (const char *[]){__VA_ARGS__})

/* The number that Redis holds in a field, -1 when there is none. */
static long long field(struct world *world, const char *key, const char *name)
{
    const char *arguments[] = {"HGET", key, name};
    int64_t deadline = clock_monotonic_ms() + SOON_MS;
    struct error error;
    redisReply *reply;
    long long value = -1;

    assert_true(redis_link_open(world->redis, deadline, &error));
    reply = redis_link_ask(world->redis, deadline, &error, 3, arguments, NULL);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_STRING) {
        value = strtoll(reply->str, NULL, 10);
    }
    freeReplyObject(reply);
    return value;
}

static void open_log(struct world *world)
{
    struct event_log_options options = {.path = world->path,
                                        .node = "test",
                                        .version = "0",
                                        .sync = EVENT_LOG_SYNC_OFF};
    struct error error;

    world->instance = instance_open(world->state_dir, &error);
    assert_non_null(world->instance);
    world->log = event_log_new(&options, world->instance, &error);
    assert_non_null(world->log);
}

static void close_log(struct world *world)
{
    event_log_free(world->log);
    instance_close(world->instance);
}

static void start(struct world *world)
{
    struct recorder_options options = {.event_log_path = world->path,
                                       .state_dir = world->state_dir,
                                       .key_prefix = PREFIX,
                                       .instance = instance_id(world->instance),
                                       .retention_seconds =
                                           world->retention_seconds,
                                       .sweep_seconds = 1,
                                       .endpoint = world->endpoint,
                                       .log = world->log,
                                       .store_changed = store_changed,
                                       .gap_found = gap_found,
                                       .seq_seen = seq_seen,
                                       .context = world};
    struct error error;

    world->recorder = recorder_start(&options, &error);
    assert_non_null(world->recorder);
}

static void stop(struct world *world, int timeout_ms)
{
    recorder_stop(world->recorder, timeout_ms);
    world->recorder = NULL;
}

static int begin_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct redis_endpoint_options options = {.user = "", .password_file = ""};
    struct error error;

    assert_non_null(world);
    world->server = redis_server_start(NULL);
    assert_non_null(world->server);
    options.location = redis_server_location(world->server);
    world->endpoint = redis_endpoint_new(&options, &error);
    assert_non_null(world->endpoint);
    assert_true(redis_endpoint_resolve(world->endpoint, &error));
    world->redis = redis_link_new(world->endpoint);
    assert_non_null(world->redis);
    scratch_make(world->folder);
    (void)snprintf(world->state_dir, sizeof world->state_dir, "%s/state",
                   world->folder);
    (void)snprintf(world->path, sizeof world->path, "%s/events.jsonl",
                   world->folder);
    assert_int_equal(mkdir(world->state_dir, 0700), 0);
    world->random = 88172645463325252U;
    world->retention_seconds = 3600;
    open_log(world);
    *state = world;
    return 0;
}

static int end_world(void **state)
{
    struct world *world = *state;

    recorder_stop(world->recorder, 0);
    close_log(world);
    redis_link_free(world->redis);
    redis_endpoint_free(world->endpoint);
    redis_server_stop(world->server);
    scratch_remove(world->folder);
    free(world);
    return 0;
}

static unsigned chance(struct world *world, unsigned among)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (unsigned)(world->random % among);
}

struct made {
    char recipient[128], domain[64], pattern[128], queue_id[16],
        expires[CLOCK_TIMESTAMP_SIZE];
};

static void make_list_event(struct world *world, struct event *event,
                            struct made *made)
{
    unsigned form = chance(world, 4);

    if (form == 0) {
        (void)snprintf(made->pattern, sizeof made->pattern, "%s",
                       made->recipient);
    } else {
        (void)snprintf(made->pattern, sizeof made->pattern,
                       form == 1   ? "@d%u.example"
                       : form == 2 ? "@.d%u.example"
                                   : "r%u@",
                       chance(world, 5));
    }
    event->suppression_pattern = text_of(made->pattern);
    event->suppression_reason = text_of("user_unknown");
    event->suppression_origin =
        text_of(chance(world, 2) == 0 ? "policy" : "command");
    event->suppression_evidence =
        text_of(chance(world, 2) == 0 ? "one | two" : NULL);
    event->suppression_note = chance(world, 2) == 0
                                  ? text_of("a \"note\" with \xc3\xbc")
                                  : text_of(NULL);
    event->scope = chance(world, 3) == 0 ? text_of("news") : text_of(NULL);
    if (chance(world, 4) == 0) {
        int64_t now_us = clock_now_us();

        clock_format(now_us +
                         (chance(world, 2) == 0 ? -1 : 1) * INT64_C(3600000000),
                     made->expires);
        event->suppression_expires_at = text_of(made->expires);
    }
}

/* What an MTA says of a delivery, or a report. */
static void make_delivery(struct world *world, struct event *event,
                          struct made *made)
{
    if (event->type == EVENT_DELIVERY) {
        return;
    }
    event->reason =
        text_of(chance(world, 2) == 0 ? "mailbox_full" : "unreachable");
    event->counted = chance(world, 3) > 0;
    event->destination = chance(world, 2) == 0;
    event->strike_limit = chance(world, 2) == 0 ? 1 : 5;
    event->strike_days = event->strike_limit == 1 ? 1 : 3;
    event->strike_window_seconds = INT64_C(86400) * (1 + chance(world, 30));
    event->reply_code = chance(world, 2) == 0 ? 452 : EVENT_UNKNOWN;
    (void)snprintf(made->queue_id, sizeof made->queue_id, "Q%u",
                   chance(world, 50));
    event->queue_id = text_of(made->queue_id);
}

/* What was decided about a domain, or withheld. */
static void make_decision(struct world *world, struct event *event,
                          struct made *made)
{
    if (event->type != EVENT_SUPPRESSION_WITHHELD) {
        event->recipient = text_of(NULL);
    }
    clock_format(event->timestamp_us + DAY_US, made->expires);
    event->expires_at = text_of(made->expires);
    event->reason = text_of("unreachable");
    if (event->type < EVENT_DOMAIN_DOWN && event->recipient.bytes == NULL &&
        chance(world, 2) == 0) {
        event->recipient_domain = text_of(NULL);
    }
}

static void make_event(struct world *world, struct event *event,
                       struct made *made)
{
    static const enum event_type types[] = {
        EVENT_RECEPTION,
        EVENT_RECEPTION,
        EVENT_REJECTION,
        EVENT_SUPPRESSED,
        EVENT_WOULD_SUPPRESS,
        EVENT_SUPPRESSION_ADDED,
        EVENT_SUPPRESSION_REMOVED,
        EVENT_ALLOW_ADDED,
        EVENT_ALLOW_REMOVED,
        EVENT_SUPPRESSION_UPDATED,
        EVENT_DELIVERY,
        EVENT_DELAY,
        EVENT_DELAY,
        EVENT_BOUNCE,
        EVENT_BOUNCE,
        EVENT_EXPIRATION,
        EVENT_OUT_OF_BAND,
        EVENT_FEEDBACK,
        EVENT_SUPPRESSION_WITHHELD,
        EVENT_BREAKER_OPENED,
        EVENT_BREAKER_CLOSED,
        EVENT_DOMAIN_DOWN,
        EVENT_DOMAIN_UP,
        EVENT_RECIPIENT_FORGOTTEN,
        EVENT_HEARTBEAT,
    };
    enum event_type type = types[chance(world, sizeof types / sizeof types[0])];

    /* not in order: the latest by time is not the last in the file */
    event_init(event, type,
               BASE_US + chance(world, 10) * DAY_US +
                   (int64_t)chance(world, 4000000) * 1000);
    (void)snprintf(made->domain, sizeof made->domain, "d%u.example",
                   chance(world, 5));
    (void)snprintf(made->recipient, sizeof made->recipient, "r%u@%s",
                   chance(world, 40), made->domain);
    if (!event_type_is_outcome(type)) {
        return;
    }
    event->origin = text_of("session");
    if (type >= EVENT_SUPPRESSION_ADDED && type <= EVENT_ALLOW_REMOVED &&
        type != EVENT_SUPPRESSION_WITHHELD) {
        make_list_event(world, event, made);
        return;
    }
    event->recipient = text_of(type != EVENT_SUPPRESSION_WITHHELD &&
                                       type != EVENT_RECIPIENT_FORGOTTEN &&
                                       chance(world, 20) == 0
                                   ? NULL
                                   : made->recipient);
    event->recipient_domain = text_of(made->domain);
    if (type == EVENT_RECIPIENT_FORGOTTEN) {
        (void)snprintf(made->queue_id, sizeof made->queue_id, "Q%u",
                       chance(world, 50));
        event->queue_id = text_of(made->queue_id);
        event->pseudonym = text_of("h-aaaaaaaaaaaaaaaaaaaaaaaaaa@d.example");
        return;
    }
    if (type == EVENT_SUPPRESSION_WITHHELD || type >= EVENT_BREAKER_OPENED) {
        make_decision(world, event, made);
        return;
    }
    event->reason = text_of(chance(world, 2) == 0 ? "policy" : NULL);
    event->suppression_reason =
        text_of(type == EVENT_SUPPRESSED ? "complaint" : NULL);
    event->enhanced_status = text_of(chance(world, 2) == 0 ? "5.7.1" : NULL);
    event->diagnostic = text_of(chance(world, 2) == 0 ? "no \n \xff" : NULL);
    event->queue_id = text_of(chance(world, 2) == 0 ? "4bXk2s1Zq" : NULL);
    if (type >= EVENT_DELIVERY && type <= EVENT_FEEDBACK) {
        make_delivery(world, event, made);
    }
}

static void log_events(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct event event;
        struct made made;

        make_event(world, &event, &made);
        assert_int_equal(event_log_append(world->log, &event),
                         EVENT_LOG_WRITTEN);
        world->last_seq = event.seq;
    }
}

static void log_rejection(struct world *world, const char *recipient)
{
    struct event event;

    event_init(&event, EVENT_REJECTION, BASE_US);
    event.origin = text_of("session");
    event.recipient = text_of(recipient);
    assert_int_equal(event_log_append(world->log, &event), EVENT_LOG_WRITTEN);
    world->last_seq = event.seq;
}

static void await_applied(struct world *world)
{
    assert_true(recorder_wait(world->recorder, world->last_seq, SOON_MS));
}

static void await_gone(struct world *world)
{
    int64_t deadline = clock_monotonic_ms() + SOON_MS;

    while (atomic_load(&world->gone) == 0) {
        assert_true(clock_monotonic_ms() < deadline);
        (void)usleep(MOMENT_MS * 1000);
    }
}

static void await_rollback(struct world *world, uint64_t above)
{
    struct recorder_state now;
    int64_t deadline = clock_monotonic_ms() + SOON_MS;

    do {
        assert_true(clock_monotonic_ms() < deadline);
        (void)usleep(MOMENT_MS * 1000);
        recorder_state(world->recorder, &now);
    } while (now.rollbacks <= above);
}

/* Until Redis has what the log says; then it must stay so. */
static bool is_exact(struct world *world)
{
    json_t *expected = oracle_new();
    json_t *found;
    struct error error;
    bool exact;

    oracle_fold_files(expected, PREFIX, world->path);
    assert_true(
        redis_link_open(world->redis, clock_monotonic_ms() + SOON_MS, &error));
    found = oracle_read(world->redis);
    exact = json_equal(expected, found) != 0;
    json_decref(expected);
    json_decref(found);
    return exact;
}

static void assert_exact(struct world *world)
{
    json_t *expected = oracle_new();
    json_t *found;
    struct error error;

    oracle_fold_files(expected, PREFIX, world->path);
    assert_true(
        redis_link_open(world->redis, clock_monotonic_ms() + SOON_MS, &error));
    found = oracle_read(world->redis);
    oracle_compare(expected, found);
    json_decref(expected);
    json_decref(found);
}

static void await_exact(struct world *world)
{
    int64_t deadline = clock_monotonic_ms() + SOON_MS;

    while (!is_exact(world) && clock_monotonic_ms() < deadline) {
        (void)usleep(MOMENT_MS * 1000);
    }
    assert_exact(world);
}

/* ---- what is applied ---- */

static void every_kind_of_event_is_applied_as_the_log_says(void **state)
{
    struct world *world = *state;

    start(world);
    for (int i = 0; i < 20; i++) {
        log_events(world, 100);
        await_applied(world);
    }
    assert_exact(world);
}

static void a_backlog_is_applied_at_start(void **state)
{
    struct world *world = *state;
    struct recorder_state now;

    log_events(world, 9000);
    start(world);
    await_applied(world);
    recorder_state(world->recorder, &now);
    assert_true(now.connected);
    assert_int_equal(now.lag_seconds, 0);
    assert_int_equal(now.fast_forwards, 0);
    assert_exact(world);
}

static void rotated_files_are_read_to_their_end(void **state)
{
    struct world *world = *state;
    struct error error;

    start(world);
    for (int i = 0; i < 30; i++) {
        log_events(world, 50);
        assert_true(event_log_rotate(world->log, &error));
        log_events(world, i % 3 == 0 ? 0 : 7);
    }
    await_applied(world);
    assert_exact(world);
}

static void a_file_renamed_by_somebody_is_not_lost(void **state)
{
    struct world *world = *state;
    char renamed[128];

    start(world);
    for (int i = 0; i < 5; i++) {
        log_events(world, 50);
        (void)snprintf(renamed, sizeof renamed, "%s.%d", world->path, i);
        assert_int_equal(rename(world->path, renamed), 0);
        event_log_tick(world->log);
        log_events(world, 50);
    }
    await_applied(world);
    assert_exact(world);
}

static void lines_that_are_no_events_are_counted_and_passed_over(void **state)
{
    struct world *world = *state;
    struct recorder_state now;
    int fd = open(world->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    static const char junk[] = "{\"schema\":\n[1,2]\n\"\\u0000\"\n";

    assert_true(fd >= 0);
    log_events(world, 50);
    assert_int_equal(write(fd, junk, sizeof junk - 1), sizeof junk - 1);
    log_events(world, 50);
    (void)close(fd);
    start(world);
    await_applied(world);
    recorder_state(world->recorder, &now);
    assert_int_equal(now.torn, 3);
    assert_exact(world);
}

/* ---- stopping and starting ---- */

static void stopping_applies_what_is_there(void **state)
{
    struct world *world = *state;

    start(world);
    log_events(world, 3000);
    stop(world, SOON_MS);
    assert_exact(world);
}

static void a_stop_at_any_moment_counts_nothing_twice(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < 12; i++) {
        start(world);
        log_events(world, 700);
        stop(world, i % 4 * 3);
    }
    start(world);
    await_applied(world);
    assert_exact(world);
}

static void restart_log(struct world *world)
{
    close_log(world);
    open_log(world);
}

static void write_position(struct world *world, const char *text)
{
    char path[160];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/recorder.position", world->state_dir);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    (void)fclose(file);
}

static void the_position_is_only_a_hint(void **state)
{
    struct world *world = *state;
    static const char *const texts[] = {"", "{}", "[", "\xff"};
    char path[160];

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        start(world);
        log_events(world, 300);
        await_applied(world);
        stop(world, SOON_MS);
        write_position(world, texts[i]);
    }
    (void)snprintf(path, sizeof path, "%s/recorder.position", world->state_dir);
    assert_int_equal(unlink(path), 0);
    start(world);
    log_events(world, 300);
    await_applied(world);
    assert_exact(world);
}

static void a_restarted_daemon_goes_on_where_it_was(void **state)
{
    struct world *world = *state;
    struct recorder_state now;

    for (int i = 0; i < 4; i++) {
        start(world);
        log_events(world, 300);
        await_applied(world);
        stop(world, SOON_MS);
        restart_log(world);
    }
    start(world);
    log_events(world, 100);
    await_applied(world);
    recorder_state(world->recorder, &now);
    assert_true(now.applied <= 100);
    assert_int_equal(now.rollbacks, 0);
    assert_int_equal(atomic_load(&world->seen), 0);
    assert_exact(world);
}

static void files_of_a_lost_state_folder_are_finished(void **state)
{
    struct world *world = *state;
    struct error error;
    char lost[128];

    start(world);
    log_events(world, 500);
    await_applied(world);
    stop(world, SOON_MS);
    log_events(world, 500); /* never seen by its recorder */
    assert_true(event_log_rotate(world->log, &error));
    log_events(world, 300);
    close_log(world);
    (void)snprintf(lost, sizeof lost, "%s/lost", world->folder);
    assert_int_equal(rename(world->state_dir, lost), 0);
    assert_int_equal(mkdir(world->state_dir, 0700), 0);
    open_log(world);
    log_events(world, 300);
    start(world);
    await_applied(world);
    await_exact(world);
}

/* ---- Redis away, emptied, put back ---- */

static void a_redis_that_comes_late_gets_all(void **state)
{
    struct world *world = *state;

    redis_server_kill(world->server);
    start(world);
    log_events(world, 500);
    assert_false(recorder_wait(world->recorder, world->last_seq, 500));
    assert_true(atomic_load(&world->gone) == 1);
    assert_true(redis_server_restart(world->server));
    await_applied(world);
    assert_exact(world);
    assert_true(atomic_load(&world->gone) == 1);
}

static void an_emptied_redis_is_built_again(void **state)
{
    struct world *world = *state;

    start(world);
    log_events(world, 1000);
    await_applied(world);
    REDIS(world, "FLUSHALL");
    log_events(world, 200);
    await_exact(world);
    REDIS(world, "FLUSHALL"); /* and no event after it */
    await_exact(world);
}

static void a_redis_without_persistence_is_built_again_under_load(void **state)
{
    struct world *world = *state;

    start(world);
    for (int i = 0; i < 6; i++) {
        log_events(world, 500);
        (void)recorder_wait(world->recorder, world->last_seq, i * 5);
        assert_true(redis_server_restart(world->server));
    }
    log_events(world, 10);
    await_exact(world);
}

static void what_redis_forgot_is_applied_again(void **state)
{
    struct world *world = *state;

    start(world);
    log_events(world, 1000);
    await_applied(world);
    REDIS(world, "SAVE");
    for (int i = 0; i < 3; i++) {
        log_events(world, 500);
        await_applied(world);
        assert_true(redis_server_restart(world->server)); /* the old dump */
        await_rollback(world, (uint64_t)i);
        await_exact(world);
    }
}

static void commands_of_a_connection_given_up_do_not_count_twice(void **state)
{
    struct world *world = *state;
    struct recorder_state now;

    start(world);
    log_events(world, 100);
    await_applied(world);
    assert_int_equal(kill(redis_server_pid(world->server), SIGSTOP), 0);
    log_events(world, 1000);
    /* longer than the recorder waits for an answer: it connects again */
    assert_false(recorder_wait(world->recorder, world->last_seq, 8000));
    assert_int_equal(kill(redis_server_pid(world->server), SIGCONT), 0);
    await_applied(world);
    recorder_state(world->recorder, &now);
    assert_true(now.fast_forwards > 0);
    assert_exact(world);
}

static void
a_removed_checkpoint_is_written_again_and_counts_nothing(void **state)
{
    struct world *world = *state;

    start(world);
    log_events(world, 1000);
    await_applied(world);
    REDIS(world, "DEL", "nixie:{07}:checkpoint", "nixie:{33}:checkpoint");
    log_events(world, 500);
    await_applied(world);
    await_exact(world);
}

static void remove_file(const struct world *world, const char *number)
{
    char pattern[128];
    glob_t found;

    (void)snprintf(pattern, sizeof pattern, "%s.*.%s", world->path, number);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    assert_int_equal(unlink(found.gl_pathv[0]), 0);
    globfree(&found);
}

static void files_that_are_gone_are_told(void **state)
{
    struct world *world = *state;
    struct error error;
    int64_t last[3];

    for (int i = 0; i < 3; i++) {
        log_events(world, 100);
        last[i] = world->last_seq;
        assert_true(event_log_rotate(world->log, &error));
    }
    log_events(world, 100);
    remove_file(world, "2");
    start(world);
    await_applied(world);
    assert_exact(world);
    assert_int_equal(atomic_load(&world->gap_first), last[0] + 1);
    assert_true(atomic_load(&world->gap_last) >= last[1]);
    assert_true(atomic_load(&world->gap_last) < last[2] - 98);
}

static void a_compressed_file_that_was_not_applied_is_told(void **state)
{
    struct world *world = *state;
    struct error error;
    char path[128];
    FILE *file;

    log_events(world, 100);
    assert_true(event_log_rotate(world->log, &error));
    remove_file(world, "1");
    (void)snprintf(path, sizeof path, "%s.20261102T194301Z.1.gz", world->path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("\x1f\x8b and so on", file) >= 0);
    (void)fclose(file);
    log_events(world, 100);
    start(world);
    await_applied(world);
    assert_true(atomic_load(&world->gap_compressed));
    assert_exact(world);
}

static void what_was_applied_may_be_compressed_or_removed(void **state)
{
    struct world *world = *state;
    struct error error;
    char path[160];

    start(world);
    log_events(world, 100);
    assert_true(event_log_rotate(world->log, &error));
    log_events(world, 100);
    assert_true(event_log_rotate(world->log, &error));
    log_events(world, 100);
    await_applied(world);
    stop(world, SOON_MS);
    remove_file(world, "2");
    (void)snprintf(path, sizeof path, "%s/recorder.position", world->state_dir);
    assert_int_equal(unlink(path), 0); /* so that all files are looked at */
    start(world);
    log_events(world, 10);
    await_applied(world);
    assert_int_equal(atomic_load(&world->gap_first), 0);
}

/* Files 1 (applied, where the position leads to), 2 (not applied) and 3. */
static void make_files(struct world *world, int64_t *applied)
{
    struct error error;

    start(world);
    log_events(world, 50);
    await_applied(world);
    stop(world, SOON_MS);
    *applied = world->last_seq;
    assert_true(event_log_rotate(world->log, &error));
    log_events(world, 100);
    assert_true(event_log_rotate(world->log, &error));
    log_events(world, 100);
}

static void
the_oldest_files_gone_before_they_were_applied_are_told(void **state)
{
    struct world *world = *state;
    int64_t applied;

    make_files(world, &applied);
    remove_file(world, "1");
    remove_file(world, "2");
    start(world);
    await_applied(world);
    assert_int_equal(atomic_load(&world->gap_first), applied + 1);
    assert_true(atomic_load(&world->gap_last) >= applied + 100);
    assert_true(atomic_load(&world->gap_last) < world->last_seq - 99);
}

static void without_a_position_nobody_knows_what_is_gone(void **state)
{
    struct world *world = *state;
    char path[160];
    int64_t applied;

    make_files(world, &applied);
    remove_file(world, "1");
    remove_file(world, "2");
    (void)snprintf(path, sizeof path, "%s/recorder.position", world->state_dir);
    assert_int_equal(unlink(path), 0);
    start(world);
    await_applied(world);
    assert_int_equal(atomic_load(&world->gap_first), 0);
}

static void a_current_file_removed_while_nobody_ran_is_told(void **state)
{
    struct world *world = *state;
    int64_t applied, lost;

    start(world);
    log_events(world, 50);
    await_applied(world);
    stop(world, SOON_MS);
    applied = world->last_seq;
    log_events(world, 100);
    lost = world->last_seq;
    close_log(world);
    assert_int_equal(unlink(world->path), 0);
    open_log(world);
    start(world);
    log_events(world, 20);
    await_applied(world);
    assert_int_equal(atomic_load(&world->gap_first), applied + 1);
    assert_true(atomic_load(&world->gap_last) >= lost);
    assert_true(atomic_load(&world->gap_last) < world->last_seq);
}

static void a_file_gone_before_it_was_opened_lends_no_offset(void **state)
{
    struct world *world = *state;
    struct recorder_state now;
    struct store_key key;

    start(world);
    log_events(world, 300);
    await_applied(world);
    stop(world, SOON_MS);
    assert_int_equal(kill(redis_server_pid(world->server), SIGSTOP), 0);
    start(world); /* with the position, but no store */
    assert_int_equal(unlink(world->path), 0);
    event_log_tick(world->log);
    for (int i = 0; i < 1000; i++) {
        log_rejection(world, "new@x");
    }
    await_gone(world);
    assert_int_equal(kill(redis_server_pid(world->server), SIGCONT), 0);
    await_applied(world);
    recorder_state(world->recorder, &now);
    assert_int_equal(now.torn, 0);
    assert_true(store_key_history(PREFIX, store_bucket("new@x", 5),
                                  STORE_RECIPIENT, text_of("new@x"), &key));
    assert_int_equal(field(world, key.text, "rejections"), 1000);
}

/* ---- positions that cannot be ---- */

static void change_position(struct world *world, int64_t seq, int64_t applied)
{
    struct recorder_position position;
    struct error error;

    assert_true(recorder_position_load(world->state_dir, &position, &error));
    position.seq = seq > 0 ? seq : position.seq;
    position.applied[7] = applied > 0 ? applied : position.applied[7];
    assert_true(recorder_position_save(world->state_dir, &position, &error));
}

static void a_position_ahead_of_the_log_stops_nothing(void **state)
{
    static const struct {
        int64_t seq, applied;
    } rows[] = {{INT64_C(1) << 53, 0},
                {0, INT64_C(1) << 53},
                {INT64_MAX, INT64_C(1) << 53}};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        start(world);
        log_events(world, 100);
        await_applied(world);
        stop(world, SOON_MS);
        change_position(world, rows[i].seq, rows[i].applied);
        start(world);
        log_events(world, 100);
        await_applied(world);
        assert_exact(world);
        stop(world, SOON_MS);
    }
}

static void
a_position_with_another_place_s_number_passes_over_nothing(void **state)
{
    struct world *world = *state;

    start(world);
    log_events(world, 100);
    await_applied(world);
    stop(world, SOON_MS);
    log_events(world, 100);
    change_position(world, world->last_seq, 0);
    start(world);
    log_events(world, 1);
    await_applied(world);
    assert_exact(world);
}

/* ---- memory ---- */

static atomic_bool no_memory; /* for jansson, which has no context for us */

static void *scarce_malloc(size_t size)
{
    if (atomic_load(&no_memory)) {
        errno = ENOMEM;
        return NULL;
    }
    return malloc(size);
}

static void a_line_is_not_torn_because_memory_is_short(void **state)
{
    struct world *world = *state;
    struct recorder_state now;

    start(world);
    log_events(world, 100);
    await_applied(world);
    atomic_store(&no_memory, true);
    log_events(world, 100);
    assert_false(recorder_wait(world->recorder, world->last_seq, 300));
    atomic_store(&no_memory, false);
    await_applied(world);
    recorder_state(world->recorder, &now);
    assert_int_equal(now.torn, 0);
    assert_exact(world);
    stop(world, SOON_MS);
}

/* ---- two of them ---- */

static void two_instances_add_up(void **state)
{
    struct world *world = *state;
    struct world other = *world;
    json_t *expected = oracle_new();
    json_t *found;

    (void)snprintf(other.state_dir, sizeof other.state_dir, "%s/other",
                   world->folder);
    (void)snprintf(other.path, sizeof other.path, "%s/other.jsonl",
                   world->folder);
    assert_int_equal(mkdir(other.state_dir, 0700), 0);
    open_log(&other);
    start(world);
    start(&other);
    for (int i = 0; i < 20; i++) {
        for (int j = 0; j < 25; j++) {
            log_rejection(world, j % 2 == 0 ? "a@x" : "b@x");
            log_rejection(&other, j % 3 == 0 ? "a@x" : "c@x");
        }
        if (i % 7 == 3) {
            REDIS(world, "FLUSHALL");
        }
    }
    stop(&other, SOON_MS);
    start(&other);
    await_applied(world);
    assert_true(recorder_wait(other.recorder, other.last_seq, SOON_MS));
    oracle_fold_files(expected, PREFIX, world->path);
    oracle_fold_files(expected, PREFIX, other.path);
    for (int64_t end = clock_monotonic_ms() + SOON_MS;;) {
        found = oracle_read(world->redis);
        if (json_equal(expected, found) || clock_monotonic_ms() > end) {
            break;
        }
        json_decref(found);
        (void)usleep(MOMENT_MS * 1000);
    }
    oracle_compare(expected, found);
    json_decref(expected);
    json_decref(found);
    stop(&other, 0);
    close_log(&other);
}

/* ---- Redis says no ---- */

static void a_flushed_script_is_sent_again(void **state)
{
    struct world *world = *state;

    start(world);
    for (int i = 0; i < 30; i++) {
        log_events(world, 50);
        REDIS(world, "SCRIPT", "FLUSH");
    }
    await_applied(world);
    assert_exact(world);
}

static void without_scripts_the_store_is_the_same(void **state)
{
    struct world *world = *state;

    REDIS(world, "ACL", "SETUSER", "default", "-eval", "-evalsha");
    start(world);
    log_events(world, 3000);
    await_applied(world);
    log_events(world, 100);
    await_applied(world);
    assert_exact(world);
}

static void a_wrong_type_costs_one_effect_and_stops_nothing(void **state)
{
    struct world *world = *state;
    struct recorder_state now;
    struct store_key key;

    assert_true(store_key_history(PREFIX, store_bucket("a@x", 3),
                                  STORE_RECIPIENT, text_of("a@x"), &key));
    REDIS(world, "SET", key.text, "mine");
    start(world);
    log_rejection(world, "a@x");
    log_rejection(world, "b@x");
    await_applied(world);
    recorder_state(world->recorder, &now);
    assert_true(now.dead >= 1);
    REDIS(world, "DEL", key.text);
    log_rejection(world, "a@x");
    await_applied(world);
    assert_int_equal(field(world, key.text, "rejections"), 1);
    assert_true(store_key_history(PREFIX, store_bucket("b@x", 3),
                                  STORE_RECIPIENT, text_of("b@x"), &key));
    assert_int_equal(field(world, key.text, "rejections"), 1);
}

static void a_right_that_is_missing_costs_no_effect(void **state)
{
    struct world *world = *state;
    struct recorder_state now;

    start(world);
    log_events(world, 100);
    await_applied(world);
    REDIS(world, "ACL", "SETUSER", "default", "-hincrby");
    log_events(world, 100);
    await_gone(world);
    assert_false(recorder_wait(world->recorder, world->last_seq, 200));
    REDIS(world, "ACL", "SETUSER", "default", "+hincrby");
    recorder_wake(world->recorder);
    await_applied(world);
    recorder_state(world->recorder, &now);
    assert_int_equal(now.dead, 0);
    assert_exact(world);
}

/* What was refused is tried again after half a minute else. */
static void waking_ends_the_wait_for_another_try(void **state)
{
    struct world *world = *state;

    REDIS(world, "ACL", "SETUSER", "default", "-hsetnx");
    start(world);
    log_events(world, 10);
    await_gone(world);
    REDIS(world, "ACL", "SETUSER", "default", "+hsetnx");
    recorder_wake(world->recorder);
    assert_true(recorder_wait(world->recorder, world->last_seq, 10000));
}

static void a_redis_that_hangs_delays_a_stop_by_few_seconds(void **state)
{
    struct world *world = *state;
    int64_t begin_ms;

    start(world);
    log_events(world, 100);
    await_applied(world);
    assert_int_equal(kill(redis_server_pid(world->server), SIGSTOP), 0);
    log_events(world, 1000);
    assert_false(recorder_wait(world->recorder, world->last_seq, 100));
    begin_ms = clock_monotonic_ms();
    stop(world, 3000);
    assert_true(clock_monotonic_ms() - begin_ms < 4500);
    assert_int_equal(kill(redis_server_pid(world->server), SIGCONT), 0);
    start(world);
    await_applied(world);
    assert_exact(world);
}

static void a_full_redis_gets_all_when_there_is_room(void **state)
{
    struct world *world = *state;

    REDIS(world, "CONFIG", "SET", "maxmemory", "1");
    start(world);
    log_events(world, 500);
    assert_false(recorder_wait(world->recorder, world->last_seq, 700));
    assert_true(atomic_load(&world->gone) == 1);
    REDIS(world, "CONFIG", "SET", "maxmemory", "0");
    await_applied(world);
    assert_exact(world);
}

/* ---- retention ---- */

static size_t count_files(const struct world *world)
{
    char pattern[128];
    glob_t found;
    size_t count;

    (void)snprintf(pattern, sizeof pattern, "%s*", world->path);
    count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

static void only_applied_files_are_deleted(void **state)
{
    struct world *world = *state;
    struct error error;
    int64_t deadline = clock_monotonic_ms() + SOON_MS;

    world->retention_seconds = 0;
    for (int i = 0; i < 4; i++) {
        log_events(world, 50);
        assert_true(event_log_rotate(world->log, &error));
    }
    log_events(world, 10);
    assert_int_equal(count_files(world), 5);
    redis_server_kill(world->server);
    start(world);
    assert_false(recorder_wait(world->recorder, world->last_seq, 500));
    stop(world, 0);
    assert_int_equal(count_files(world), 5);
    assert_true(redis_server_restart(world->server));
    start(world);
    await_applied(world);
    stop(world, SOON_MS);
    start(world); /* with the position: all before it is applied */
    while (count_files(world) > 1 && clock_monotonic_ms() < deadline) {
        (void)usleep(MOMENT_MS * 1000);
    }
    assert_int_equal(count_files(world), 1);
    stop(world, SOON_MS);
    start(world); /* and what retention deletes is no loss, */
    log_events(world, 10);
    await_applied(world);
    REDIS(world, "FLUSHALL"); /* which is only built again from what is kept */
    log_events(world, 10);
    await_exact(world);
    assert_int_equal(atomic_load(&world->gap_first), 0);
}

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, begin_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(every_kind_of_event_is_applied_as_the_log_says),
        WORLD_TEST(a_backlog_is_applied_at_start),
        WORLD_TEST(rotated_files_are_read_to_their_end),
        WORLD_TEST(a_file_renamed_by_somebody_is_not_lost),
        WORLD_TEST(lines_that_are_no_events_are_counted_and_passed_over),
        WORLD_TEST(stopping_applies_what_is_there),
        WORLD_TEST(a_stop_at_any_moment_counts_nothing_twice),
        WORLD_TEST(the_position_is_only_a_hint),
        WORLD_TEST(a_restarted_daemon_goes_on_where_it_was),
        WORLD_TEST(files_of_a_lost_state_folder_are_finished),
        WORLD_TEST(a_redis_that_comes_late_gets_all),
        WORLD_TEST(an_emptied_redis_is_built_again),
        WORLD_TEST(a_redis_without_persistence_is_built_again_under_load),
        WORLD_TEST(what_redis_forgot_is_applied_again),
        WORLD_TEST(commands_of_a_connection_given_up_do_not_count_twice),
        WORLD_TEST(a_removed_checkpoint_is_written_again_and_counts_nothing),
        WORLD_TEST(files_that_are_gone_are_told),
        WORLD_TEST(a_compressed_file_that_was_not_applied_is_told),
        WORLD_TEST(what_was_applied_may_be_compressed_or_removed),
        WORLD_TEST(the_oldest_files_gone_before_they_were_applied_are_told),
        WORLD_TEST(without_a_position_nobody_knows_what_is_gone),
        WORLD_TEST(a_current_file_removed_while_nobody_ran_is_told),
        WORLD_TEST(a_file_gone_before_it_was_opened_lends_no_offset),
        WORLD_TEST(a_position_ahead_of_the_log_stops_nothing),
        WORLD_TEST(a_position_with_another_place_s_number_passes_over_nothing),
        WORLD_TEST(a_line_is_not_torn_because_memory_is_short),
        WORLD_TEST(two_instances_add_up),
        WORLD_TEST(a_flushed_script_is_sent_again),
        WORLD_TEST(without_scripts_the_store_is_the_same),
        WORLD_TEST(a_wrong_type_costs_one_effect_and_stops_nothing),
        WORLD_TEST(a_right_that_is_missing_costs_no_effect),
        WORLD_TEST(waking_ends_the_wait_for_another_try),
        WORLD_TEST(a_redis_that_hangs_delays_a_stop_by_few_seconds),
        WORLD_TEST(a_full_redis_gets_all_when_there_is_room),
        WORLD_TEST(only_applied_files_are_deleted),
    };

    log_open("test_recorder", false, LOG_LEVEL_ERROR);
    /* before the first line is decoded: the decoder keeps what it finds */
    json_set_alloc_funcs(scarce_malloc, free);
    if (!redis_server_installed()) {
        return SKIP_TEST;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
