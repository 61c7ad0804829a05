/*
 * The chain against a store and a log that are made up here, so that answers
 * are lost, commands come late, the store forgets, in thousands of orders.
 */
#include "event_json.h"
#include "log.h"
#include "recorder_chain.h"
#include "recorder_effect.h"
#include "recorder_reader.h"
#include "recorder_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EVENTS_MAX    4000
#define GHOSTS_MAX    64
#define SCHEDULES     30 /* NIXIE_SCHEDULES=300 takes minutes */
#define ROUNDS        150
#define EVENTS_A_FILE 97
#define CALL_PARTS    7 /* small, so that a window takes several rounds */

/* What Redis holds: of each bucket how many parts, and which. */
struct image {
    int64_t checkpoint[STORE_BUCKETS];
    uint64_t count[STORE_BUCKETS];
    uint64_t sum[STORE_BUCKETS];
};

/* A command given up that may yet be executed. */
struct ghost {
    bool registers;
    unsigned bucket;
    int64_t expected, last;
    uint64_t count, sum;
};

struct recorder_store {
    struct image now, snapshot;
    bool open;
    bool calm;      /* no faults any more */
    bool forgetful; /* rolls back and is emptied too */
    uint64_t random;
    struct ghost ghosts[GHOSTS_MAX];
    size_t ghost_count;
    bool watched, changed;
    uint64_t applied_calls;
};

struct recorder_reader {
    size_t next;   /* index of the event of the next line */
    bool told_end; /* of the file before it */
    size_t refused;
    struct recorder_missing missing;
    char line[EVENT_LINE_MAX];
};

static struct made_log {
    int64_t seq[EVENTS_MAX];
    char recipient[EVENTS_MAX][32];
    size_t count;
} made_log; /* the reader's functions have no other way to it */

static uint64_t next_random(struct recorder_store *store)
{
    store->random ^= store->random << 13;
    store->random ^= store->random >> 7;
    store->random ^= store->random << 17;
    return store->random;
}

static bool chance(struct recorder_store *store, unsigned one_in)
{
    return next_random(store) % one_in == 0;
}

static uint64_t mix(int64_t seq)
{
    return (uint64_t)seq * UINT64_C(0x9e3779b97f4a7c15) ^ ((uint64_t)seq << 17);
}

/* ---- the log ---- */

static void fill_event(struct event *event, size_t index)
{
    event_init(event, EVENT_REJECTION,
               INT64_C(1793648581000000) + (int64_t)index);
    event->seq = made_log.seq[index];
    event->node = text_of("n");
    event->instance = text_of("00000000000000aa");
    (void)snprintf(event->event_id, sizeof event->event_id,
                   "019aa7c2-0000-7000-8000-000000000000");
    event->origin = text_of("session");
    event->recipient = text_of(made_log.recipient[index]);
    event->recipient_domain =
        text_of(strchr(made_log.recipient[index], '@') + 1);
}

static void append_events(struct recorder_store *store, size_t count)
{
    for (size_t i = 0; i < count && made_log.count < EVENTS_MAX; i++) {
        size_t index = made_log.count;

        made_log.seq[index] = (index == 0 ? 1000 : made_log.seq[index - 1]) +
                              1 + (chance(store, 50) ? 1000000 : 0);
        (void)snprintf(made_log.recipient[index],
                       sizeof made_log.recipient[index], "r%u@d%u.example",
                       (unsigned)(next_random(store) % 100),
                       (unsigned)(next_random(store) % 7));
        made_log.count++;
    }
}

struct recorder_reader *
recorder_reader_new(const struct recorder_reader_options *options)
{
    (void)options;
    return calloc(1, sizeof(struct recorder_reader));
}

void recorder_reader_free(struct recorder_reader *reader)
{
    free(reader);
}

enum recorder_reader_result recorder_reader_next(struct recorder_reader *reader,
                                                 const char **line,
                                                 size_t *length)
{
    struct event event;

    if (reader->next == made_log.count) {
        return READER_END;
    }
    if (reader->next > 0 && reader->next % EVENTS_A_FILE == 0 &&
        !reader->told_end) {
        reader->told_end = true;
        return READER_FILE_END;
    }
    reader->told_end = false;
    fill_event(&event, reader->next++);
    *length = event_json_encode(&event, reader->line) - 1;
    *line = reader->line;
    return READER_LINE;
}

const struct recorder_missing *
recorder_reader_missing(const struct recorder_reader *reader)
{
    return &reader->missing;
}

void recorder_reader_place(const struct recorder_reader *reader,
                           struct recorder_place *place)
{
    memset(place, 0, sizeof *place);
    place->file_number = (int64_t)(reader->next / EVENTS_A_FILE) + 1;
    place->offset = (int64_t)reader->next;
}

bool recorder_reader_resume(struct recorder_reader *reader, const char *nonce,
                            int64_t offset)
{
    (void)nonce;
    reader->next = (size_t)offset;
    reader->told_end = false;
    return true;
}

void recorder_reader_rewind(struct recorder_reader *reader, int64_t seq)
{
    size_t file = 0;

    while (file + EVENTS_A_FILE < made_log.count &&
           made_log.seq[file + EVENTS_A_FILE] <= seq) {
        file += EVENTS_A_FILE;
    }
    reader->next = file;
    reader->told_end = true;
}

void recorder_reader_refuse(struct recorder_reader *reader,
                            const struct error *why)
{
    reader->refused++;
    fail_msg("a line was refused: %s", why->text);
}

uint64_t recorder_reader_torn(const struct recorder_reader *reader)
{
    return reader->refused;
}

void recorder_reader_delete(struct recorder_reader *reader, int64_t first_seq,
                            int64_t before_us)
{
    (void)reader;
    (void)first_seq;
    (void)before_us;
}

/* ---- the store ---- */

static void clear(struct recorder_store *store)
{
    memset(&store->now, 0, sizeof store->now);
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        store->now.checkpoint[i] = CHECKPOINT_ABSENT;
    }
    store->changed = true;
}

static void write_zeros(struct recorder_store *store)
{
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        if (store->now.checkpoint[i] == CHECKPOINT_ABSENT) {
            store->now.checkpoint[i] = 0;
            store->changed = true;
        }
    }
}

/* The script, as far as checkpoints see it. */
static bool execute(struct recorder_store *store, const struct ghost *command)
{
    if (command->registers) {
        write_zeros(store);
        return true;
    }
    if (store->now.checkpoint[command->bucket] != command->expected) {
        return false;
    }
    store->now.checkpoint[command->bucket] = command->last;
    store->now.count[command->bucket] += command->count;
    store->now.sum[command->bucket] += command->sum;
    store->changed = true;
    return true;
}

static void give_up(struct recorder_store *store, const struct ghost *command)
{
    if (store->ghost_count < GHOSTS_MAX) {
        store->ghosts[store->ghost_count++] = *command;
    }
}

/* What may happen behind our back before a command is executed. */
static void live(struct recorder_store *store)
{
    while (store->ghost_count > 0 && (store->calm || chance(store, 3))) {
        size_t index = next_random(store) % store->ghost_count;

        (void)execute(store, &store->ghosts[index]);
        store->ghosts[index] = store->ghosts[--store->ghost_count];
    }
    if (store->calm) {
        return;
    }
    if (chance(store, 200)) {
        store->snapshot = store->now;
    }
    if (store->forgetful && chance(store, 400)) {
        store->now = store->snapshot;
        store->changed = true;
    }
    if (store->forgetful && chance(store, 1500)) {
        clear(store);
    }
}

static enum store_result lose(struct recorder_store *store, struct error *error)
{
    error_set(error, "lost");
    store->open = false;
    return STORE_LOST;
}

bool recorder_store_is_open(const struct recorder_store *store)
{
    return store->open;
}

enum store_result recorder_store_look(struct recorder_store *store,
                                      const char *instance, bool watch,
                                      int64_t checkpoints[STORE_BUCKETS],
                                      struct error *error)
{
    assert_string_equal(instance, "00000000000000aa");
    store->watched = watch;
    store->changed = false;
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        if (i % 16 == 0) {
            live(store); /* a pipeline is not one step */
        }
        checkpoints[i] = store->now.checkpoint[i];
    }
    if (!store->calm && chance(store, 30)) {
        return chance(store, 2) ? STORE_BUSY : lose(store, error);
    }
    return STORE_DONE;
}

enum store_result recorder_store_unwatch(struct recorder_store *store,
                                         struct error *error)
{
    (void)error;
    assert_true(store->watched);
    store->watched = false;
    return STORE_DONE;
}

enum store_result recorder_store_register(struct recorder_store *store,
                                          const char *instance,
                                          struct error *error)
{
    const struct ghost command = {.registers = true};

    (void)instance;
    live(store);
    if (!store->calm && chance(store, 10)) {
        give_up(store, &command);
        return lose(store, error);
    }
    write_zeros(store);
    return !store->calm && chance(store, 10) ? lose(store, error) : STORE_DONE;
}

enum store_result recorder_store_adopt(struct recorder_store *store,
                                       const char *instance,
                                       const int64_t adopted[STORE_BUCKETS],
                                       struct error *error)
{
    (void)instance;
    (void)error;
    assert_true(store->watched);
    live(store);
    store->watched = false;
    if (store->changed) {
        return STORE_ELSEWHERE;
    }
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        if (adopted[i] != CHECKPOINT_ABSENT) {
            store->now.checkpoint[i] = adopted[i];
        }
    }
    return STORE_DONE;
}

size_t recorder_store_call_parts(const struct recorder_store *store)
{
    (void)store;
    return CALL_PARTS;
}

static void command_of(const struct recorder_call *call, struct ghost *command)
{
    const struct window_part *part = call->first;
    int64_t before = call->expected;

    *command = (struct ghost){
        .bucket = call->bucket, .expected = call->expected, .last = call->last};
    for (size_t i = 0; i < call->parts; i++, part = part->next) {
        assert_true(part->seq > before);
        before = part->seq;
        command->count++;
        command->sum += mix(part->seq);
    }
    assert_int_equal(before, call->last);
}

enum store_result recorder_store_apply(struct recorder_store *store,
                                       const char *instance,
                                       const struct recorder_call *calls,
                                       struct recorder_result *results,
                                       size_t count, struct error *error)
{
    enum store_result result = STORE_DONE;

    (void)instance;
    for (size_t i = 0; i < count; i++) {
        struct ghost command;

        command_of(&calls[i], &command);
        results[i] = (struct recorder_result){.outcome = OUTCOME_UNKNOWN};
        live(store);
        if (result == STORE_LOST) {
            /* sent, but nobody reads the answer; done, never, or later */
            if (chance(store, 2)) {
                give_up(store, &command);
            } else if (chance(store, 2)) {
                (void)execute(store, &command);
            }
        } else if (!store->calm && chance(store, 60)) {
            results[i].outcome = OUTCOME_REFUSED;
            result = result > STORE_BUSY ? result : STORE_BUSY;
        } else if (execute(store, &command)) {
            results[i].outcome = OUTCOME_APPLIED;
            store->applied_calls++;
        } else {
            results[i].outcome = OUTCOME_ELSEWHERE;
            result = result > STORE_ELSEWHERE ? result : STORE_ELSEWHERE;
        }
        if (!store->calm && result != STORE_LOST && chance(store, 50)) {
            results[i].outcome = OUTCOME_UNKNOWN;
            result = lose(store, error);
        }
    }
    return result;
}

/* ---- schedules ---- */

static void expect_image(const struct image *found)
{
    struct image expected;
    struct effect *effects = calloc(EFFECT_MAX, sizeof *effects);

    assert_non_null(effects);
    memset(&expected, 0, sizeof expected);
    for (size_t i = 0; i < made_log.count; i++) {
        bool seen[STORE_BUCKETS] = {false};
        struct event event;
        size_t count;

        fill_event(&event, i);
        count = recorder_effects("p:", &event, effects);
        for (size_t j = 0; j < count; j++) {
            unsigned bucket = effects[j].bucket;

            if (!seen[bucket]) {
                seen[bucket] = true;
                expected.count[bucket]++;
                expected.sum[bucket] += mix(event.seq);
            }
        }
    }
    free(effects);
    assert_memory_equal(expected.count, found->count, sizeof expected.count);
    assert_memory_equal(expected.sum, found->sum, sizeof expected.sum);
}

static const struct recorder_options options = {
    .key_prefix = "p:", .instance = "00000000000000aa", .event_log_path = "x"};

/* What the recorder does, without its waits; false: at the end. */
static bool work(struct recorder_chain *chain, struct recorder_store *store,
                 bool *swept)
{
    enum recorder_chain_progress progress = CHAIN_MOVING;
    enum store_result result = STORE_DONE;
    struct error error;

    if (!store->open) {
        store->open = true;
        *swept = false;
    }
    if (!*swept || (!store->calm && chance(store, 40))) {
        result = recorder_chain_sweep(chain, store, &error);
        *swept = result == STORE_DONE;
    }
    if (result == STORE_DONE) {
        result = recorder_chain_step(chain, store, &progress, &error);
    }
    return result != STORE_DONE || progress != CHAIN_AT_END;
}

static void settle(struct recorder_chain *chain, struct recorder_store *store)
{
    bool swept = false;
    unsigned rounds = 0;

    store->calm = true;
    do {
        assert_true(rounds++ < 10000);
        live(store);
    } while (work(chain, store, &swept));
    swept = false; /* what came late is found by the next sweep */
    while (work(chain, store, &swept)) {
        assert_true(rounds++ < 20000);
    }
}

static struct recorder_chain *
new_chain(const struct recorder_position *position)
{
    struct recorder_chain *chain =
        recorder_chain_new(&options, options.instance, false);

    assert_non_null(chain);
    if (position != NULL) {
        recorder_chain_resume(chain, position);
    }
    return chain;
}

static void run_schedule(struct recorder_store *store)
{
    struct recorder_chain *chain = new_chain(NULL);
    struct recorder_position position;
    bool has_position = false;
    bool swept = false;

    for (unsigned round = 0; round < ROUNDS; round++) {
        append_events(store, next_random(store) % 25);
        (void)work(chain, store, &swept);
        if (chance(store, 10)) {
            has_position =
                recorder_chain_position(chain, &position) || has_position;
        }
        if (chance(store, 40)) { /* killed, and started again */
            recorder_chain_free(chain);
            chain =
                new_chain(has_position && chance(store, 2) ? &position : NULL);
            swept = false;
        }
    }
    settle(chain, store);
    recorder_chain_free(chain);
    expect_image(&store->now);
}

static uint64_t schedules(void)
{
    const char *wanted = getenv("NIXIE_SCHEDULES");

    return wanted == NULL ? SCHEDULES : strtoull(wanted, NULL, 10);
}

static void begin_store(struct recorder_store *store, uint64_t seed)
{
    memset(store, 0, sizeof *store);
    memset(&made_log, 0, sizeof made_log);
    store->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    clear(store);
    store->snapshot = store->now;
}

static void lost_answers_and_late_commands_count_nothing_twice(void **state)
{
    struct recorder_store *store = calloc(1, sizeof *store);

    (void)state;
    assert_non_null(store);
    for (uint64_t seed = 1; seed <= schedules(); seed++) {
        begin_store(store, seed);
        run_schedule(store);
        assert_true(store->applied_calls > 0);
    }
    free(store);
}

static void a_forgetful_store_is_told_again(void **state)
{
    struct recorder_store *store = calloc(1, sizeof *store);

    (void)state;
    assert_non_null(store);
    for (uint64_t seed = 1; seed <= schedules(); seed++) {
        begin_store(store, seed + 1000);
        store->forgetful = true;
        run_schedule(store);
    }
    free(store);
}

static void a_removed_checkpoint_is_adopted_without_effects(void **state)
{
    struct recorder_store *store = calloc(1, sizeof *store);
    struct recorder_chain *chain = new_chain(NULL);
    int64_t before;

    (void)state;
    assert_non_null(store);
    begin_store(store, 7);
    append_events(store, 500);
    settle(chain, store);
    before = store->now.checkpoint[20];
    store->now.checkpoint[20] = CHECKPOINT_ABSENT;
    append_events(store, 500);
    settle(chain, store);
    assert_true(store->now.checkpoint[20] >= before);
    expect_image(&store->now);
    recorder_chain_free(chain);
    free(store);
}

static void a_damaged_checkpoint_stops_the_chain_and_is_told(void **state)
{
    struct recorder_store *store = calloc(1, sizeof *store);
    struct recorder_chain *chain = new_chain(NULL);
    struct error error = {""};

    (void)state;
    assert_non_null(store);
    begin_store(store, 7);
    append_events(store, 50);
    settle(chain, store);
    store->now.checkpoint[20] = CHECKPOINT_DAMAGED;
    assert_int_equal(recorder_chain_sweep(chain, store, &error), STORE_REFUSED);
    assert_non_null(strstr(error.text, "00000000000000aa"));
    recorder_chain_free(chain);
    free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_answers_and_late_commands_count_nothing_twice),
        cmocka_unit_test(a_forgetful_store_is_told_again),
        cmocka_unit_test(a_removed_checkpoint_is_adopted_without_effects),
        cmocka_unit_test(a_damaged_checkpoint_stops_the_chain_and_is_told),
    };

    log_open("test_recorder_chain", false, LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
