#include "quarantine.h"

#include "clock.h"
#include "fnv.h"
#include "log.h"
#include "quarantine_breaker.h"
#include "quarantine_event.h"
#include "quarantine_look.h"
#include "scope.h"

#include <stdlib.h>
#include <string.h>

#define ASKING_MS                                                              \
    2000              /* then nothing new is asked: the rest is for answers    \
                       */
#define DECISIONS 500 /* of a run: the next follows when they are applied */
#define TOGETHER  32  /* asked for in one pipeline */
#define NOTES     (2 * DECISIONS)
#define REST_MS   60000 /* when what was decided is still due */

/* A decision of this run or the one before it. */
struct note {
    uint64_t run; /* 0: none */
    uint64_t print;
    size_t length;
    /* the field of {NN}:due or {NN}:breaker */
    char name[MAILBOX_MAX + 1 + STORE_SCOPE_MAX + 1];
};

struct quarantine {
    struct quarantine_options options;
    struct quarantine_look *look;
    struct quarantine_breakers *breakers;
    struct quarantine_due due[TOGETHER];
    struct note notes[NOTES];
    size_t next_note;
    uint64_t runs;
    unsigned first_bucket; /* where the last run's time was up */
    int64_t resting_until_ms;
    bool repeats; /* told: what was decided is still due */
    bool failing; /* told: Redis does not answer */
    /* told, of a bucket: something else than the recorder writes is there */
    bool odd[STORE_BUCKETS];
};

struct run {
    struct quarantine *quarantine;
    const struct settings *settings;
    const char *const *instances;
    struct error *error;
    int64_t now_us;
    int64_t end_ms;
    size_t decisions;
    bool stopped;            /* the log takes no more, or nothing helps */
    bool odd[STORE_BUCKETS]; /* found in this run */
};

struct quarantine *quarantine_new(const struct quarantine_options *options)
{
    struct quarantine *quarantine = calloc(1, sizeof *quarantine);

    if (quarantine == NULL) {
        return NULL;
    }
    quarantine->options = *options;
    quarantine->look =
        quarantine_look_new(options->endpoint, options->key_prefix);
    quarantine->breakers = quarantine_breakers_new(quarantine->look);
    if (quarantine->look == NULL || quarantine->breakers == NULL) {
        quarantine_free(quarantine);
        return NULL;
    }
    return quarantine;
}

void quarantine_free(struct quarantine *quarantine)
{
    if (quarantine != NULL) {
        quarantine_breakers_free(quarantine->breakers);
        quarantine_look_free(quarantine->look);
        free(quarantine);
    }
}

static bool is_one_of(const char *instance, const char *const *instances)
{
    while (*instances != NULL && strcmp(*instances, instance) != 0) {
        instances++;
    }
    return *instances != NULL;
}

static bool goes_on(const struct run *run)
{
    return !run->stopped && run->decisions < DECISIONS &&
           clock_monotonic_ms() < run->end_ms;
}

/* Once a bucket, until it is read without finding any. */
static void tell_odd(struct run *run, enum store_history kind, unsigned bucket,
                     struct text field)
{
    char shown[200];

    run->odd[bucket] = true;
    if (run->quarantine->odd[bucket]) {
        return;
    }
    run->quarantine->odd[bucket] = true;
    log_warning("policy: passed over, HDEL it, or DEL what is no hash: "
                "key=%s{%02u}:%s field=\"%s\"",
                run->quarantine->options.key_prefix, bucket,
                kind == STORE_DUE ? "due" : "breaker",
                text_escape(field, shown, sizeof shown));
}

/* ---- what was decided before ---- */

/*
 * Applying a decision clears what it is about. Should Redis refuse that, the
 * same would be decided over and over, a line in the log each time. What is
 * due again for a reason of today has another print.
 */

static uint64_t print_of(const struct quarantine_due *due)
{
    const int64_t numbers[] = {due->last_us, due->escalation, due->failing_us,
                               due->down_us};
    uint64_t print = fnv_add(
        FNV_BEGIN, (struct text){(const char *)numbers, sizeof numbers});

    print = fnv_add(print, due->value);
    return fnv_add(print, (struct text){due->evidence, due->evidence_length});
}

/* The latest of the name; NULL: none. */
static const struct note *find_note(const struct quarantine *quarantine,
                                    struct text name)
{
    const struct note *found = NULL;

    for (size_t i = 0; i < NOTES; i++) {
        const struct note *note = &quarantine->notes[i];

        if (note->run > (found == NULL ? 0 : found->run) &&
            note->length == name.length &&
            memcmp(note->name, name.bytes, name.length) == 0) {
            found = note;
        }
    }
    return found;
}

static void write_note(struct quarantine *quarantine, struct text name,
                       uint64_t print)
{
    struct note *note = &quarantine->notes[quarantine->next_note];

    note->run = quarantine->runs;
    note->print = print;
    note->length = text_copy(name, note->name, sizeof note->name);
    quarantine->next_note = (quarantine->next_note + 1) % NOTES;
}

/* Nothing is decided for a while, then it is tried once more. */
static void rest(struct run *run, struct text name)
{
    struct quarantine *quarantine = run->quarantine;
    char shown[400];

    run->stopped = true;
    quarantine->resting_until_ms = clock_monotonic_ms() + REST_MS;
    memset(quarantine->notes, 0, sizeof quarantine->notes);
    if (!quarantine->repeats) {
        quarantine->repeats = true;
        log_warning("policy: what was decided is still due: does redis "
                    "refuse some commands? name=\"%s\" retry_seconds=%d",
                    text_escape(name, shown, sizeof shown), REST_MS / 1000);
    }
}

/* Whether it is still to be decided. */
static bool is_new(struct run *run, struct text name, uint64_t print)
{
    const struct note *note = find_note(run->quarantine, name);

    if (note == NULL) {
        return true;
    }
    if (note->run == run->quarantine->runs) {
        return false; /* HSCAN may give a field twice */
    }
    if (note->print == print) {
        rest(run, name);
        return false;
    }
    return true;
}

static void decided(struct run *run, struct text name, uint64_t print,
                    enum event_log_result result)
{
    run->decisions++;
    write_note(run->quarantine, name, print);
    if (result != EVENT_LOG_WRITTEN) {
        run->stopped = true;
    }
}

/* ---- breakers ---- */

static void read_breakers_of(struct run *run, unsigned bucket,
                             const struct quarantine_page *page)
{
    struct quarantine_breakers *breakers = run->quarantine->breakers;

    for (size_t i = 0; i < quarantine_page_count(page); i++) {
        struct quarantine_breaker breaker;
        struct text field;
        struct text value;

        quarantine_page_field(page, i, &field, &value);
        if (!quarantine_breaker_parse(bucket, field, value, &breaker) ||
            !quarantine_breakers_add(breakers, &breaker)) {
            tell_odd(run, STORE_BREAKER, bucket, field);
        }
    }
}

static bool read_breakers(struct run *run, unsigned bucket)
{
    struct quarantine_page page = {NULL, ""};
    bool read;

    do {
        read = quarantine_look_page(run->quarantine->look, STORE_BREAKER,
                                    bucket, &page, run->error);
        if (read) {
            read_breakers_of(run, bucket, &page);
        }
    } while (read && !quarantine_page_is_last(&page) && goes_on(run));
    quarantine_page_free(&page);
    return read;
}

static void close_breaker(struct run *run,
                          const struct quarantine_breaker *breaker)
{
    char name[MAILBOX_DOMAIN_MAX + REASON_NAME_MAX];
    struct text field = {name, 0};
    uint64_t print = (uint64_t)breaker->expires_us;

    field.length = text_copy(text_of(breaker->domain), name, sizeof name);
    field.length += text_copy(text_of(reason_name(breaker->reason)),
                              name + field.length, sizeof name - field.length);
    if (is_new(run, field, print)) {
        decided(run, field, print,
                quarantine_event_breaker(run->quarantine->options.log,
                                         run->now_us, false, breaker));
    }
}

static void close_breakers(struct run *run)
{
    const struct quarantine_breaker *breaker;

    for (size_t i = 0;
         goes_on(run) && (breaker = quarantine_breakers_get(
                              run->quarantine->breakers, i)) != NULL;
         i++) {
        if (breaker->expires_us <= run->now_us &&
            is_one_of(breaker->instance, run->instances)) {
            close_breaker(run, breaker);
        }
    }
}

/* False when it could not be told, or the log takes no more. */
static bool open_breaker(struct run *run, const char *domain,
                         enum reason reason)
{
    struct quarantine_breaker breaker = {
        .reason = reason,
        .expires_us =
            run->now_us + run->settings->breaker.pause_s * INT64_C(1000000)};

    (void)text_copy(text_of(domain), breaker.domain, sizeof breaker.domain);
    /* without room for it the next address would open it again: no harm */
    (void)quarantine_breakers_add(run->quarantine->breakers, &breaker);
    run->stopped =
        quarantine_event_breaker(run->quarantine->options.log, run->now_us,
                                 true, &breaker) != EVENT_LOG_WRITTEN;
    return !run->stopped;
}

/* People ask for these: no fault of ours or theirs makes them spike. */
static bool has_breaker(enum reason reason)
{
    return !reason_is_request(reason);
}

enum answer { ANSWER_NO, ANSWER_YES, ANSWER_NONE };

/* Whether a breaker is open; opens it first if that is due. */
static enum answer breaker_holds(struct run *run,
                                 const struct quarantine_due *due,
                                 enum reason reason)
{
    struct quarantine_breakers *breakers = run->quarantine->breakers;
    const char *domain = due->mailbox.domain;
    bool opened = true;

    if (!has_breaker(reason)) {
        return ANSWER_NO;
    }
    if (quarantine_breakers_hold(breakers, domain, reason, run->now_us)) {
        return ANSWER_YES;
    }
    switch (quarantine_breakers_judge(
        breakers, &run->settings->breaker, domain, reason,
        due->last_us == 0 ? run->now_us : due->last_us, run->error)) {
    case QUARANTINE_SPIKE_NONE:
        return ANSWER_NO;
    case QUARANTINE_SPIKE_DOMAIN:
        opened = open_breaker(run, domain, reason);
        break;
    case QUARANTINE_SPIKE_ALL:
        opened = open_breaker(run, "", reason);
        break;
    case QUARANTINE_SPIKE_UNKNOWN:
        return ANSWER_NONE;
    }
    return opened ? ANSWER_YES : ANSWER_NONE;
}

/* ---- decisions ---- */

/* Too few may be left: a delivery told of late, a window that is over. */
static bool has_enough(const struct quarantine_due *due,
                       const struct policy *policy)
{
    return due->strikes == EVENT_UNKNOWN || due->strikes >= policy->strikes;
}

/*
 * NULL: failures of this reason never count, or there is no such reason, or
 * they are too few.
 */
static const struct policy *find_policy(const struct run *run,
                                        const struct quarantine_due *due,
                                        enum reason *reason)
{
    const struct policy *policy;

    if (!reason_parse(due->reason, reason)) {
        return NULL;
    }
    policy = policy_of_strikes(scope_policies(run->settings, due->policy_scope),
                               *reason, quarantine_failure_type(due, *reason));
    return policy->strikes > 0 && has_enough(due, policy) ? policy : NULL;
}

/* False with error: Redis does not answer. */
static bool decide_address(struct run *run, const struct quarantine_due *due)
{
    struct event_log *log = run->quarantine->options.log;
    enum reason reason = REASON_UNDETERMINED;
    const struct policy *policy = find_policy(run, due, &reason);
    const char *withheld_by = due->is_allowed  ? "allow"
                              : due->is_listed ? "entry"
                              : policy == NULL ? "policy"
                                               : NULL;
    enum event_log_result result;

    if (withheld_by == NULL) {
        switch (breaker_holds(run, due, reason)) {
        case ANSWER_NO:
            break;
        case ANSWER_YES:
            withheld_by = "breaker";
            break;
        case ANSWER_NONE:
            return run->stopped; /* by the log: no fault of Redis */
        }
    }
    result =
        withheld_by != NULL
            ? quarantine_event_withheld(log, run->now_us, due, withheld_by)
            : quarantine_event_added(log, run->now_us, due, reason,
                                     policy_release(policy, due->escalation));
    decided(run, due->field, print_of(due), result);
    return true;
}

static bool decide(struct run *run, const struct quarantine_due *due)
{
    if (due->waits || !is_new(run, due->field, print_of(due))) {
        return true;
    }
    if (!due->is_domain) {
        return decide_address(run, due);
    }
    decided(run, due->field, print_of(due),
            quarantine_event_domain(run->quarantine->options.log, run->now_us,
                                    due));
    return true;
}

/* The fields of a page from *index on, as many as are asked for together. */
static size_t gather(struct run *run, unsigned bucket,
                     const struct quarantine_page *page, size_t *index,
                     struct quarantine_due *gathered[TOGETHER])
{
    size_t count = 0;

    for (; *index < quarantine_page_count(page) && count < TOGETHER;
         (*index)++) {
        struct quarantine_due *due = &run->quarantine->due[count];
        struct text field;
        struct text value;

        quarantine_page_field(page, *index, &field, &value);
        if (quarantine_due_init(due, bucket, field, value) &&
            (!due->is_domain || text_is(value, "down") ||
             text_is(value, "up"))) {
            gathered[count++] = due;
        } else {
            tell_odd(run, STORE_DUE, bucket, field);
        }
    }
    return count;
}

/* Another nixied's, or nobody's, are left alone. */
static size_t keep_ours(const struct run *run,
                        struct quarantine_due *due[TOGETHER], size_t count)
{
    size_t ours = 0;

    for (size_t i = 0; i < count; i++) {
        if (is_one_of(due[i]->due_by, run->instances)) {
            due[ours++] = due[i];
        }
    }
    return ours;
}

static bool decide_page(struct run *run, unsigned bucket,
                        const struct quarantine_page *page)
{
    struct quarantine_look *look = run->quarantine->look;
    size_t index = 0;

    while (index < quarantine_page_count(page) && goes_on(run)) {
        struct quarantine_due *due[TOGETHER];
        size_t count = gather(run, bucket, page, &index, due);

        if (!quarantine_look_hashes(look, due, count, run->error)) {
            return false;
        }
        count = keep_ours(run, due, count);
        if (!quarantine_look_cases(look, due, count, run->error)) {
            return false;
        }
        for (size_t i = 0; i < count && goes_on(run); i++) {
            if (!decide(run, due[i])) {
                return false;
            }
        }
    }
    return true;
}

static bool decide_bucket(struct run *run, unsigned bucket)
{
    struct quarantine_page page = {NULL, ""};
    bool read;

    do {
        read = quarantine_look_page(run->quarantine->look, STORE_DUE, bucket,
                                    &page, run->error) &&
               decide_page(run, bucket, &page);
    } while (read && !quarantine_page_is_last(&page) && goes_on(run));
    quarantine_page_free(&page);
    return read;
}

/* ---- a run ---- */

static bool look_at_breakers(struct run *run,
                             const struct quarantine_sizes *sizes)
{
    quarantine_breakers_clear(run->quarantine->breakers);
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        if (sizes->breakers[i] < 0) {
            tell_odd(run, STORE_BREAKER, i, text_of(""));
        } else if (sizes->breakers[i] > 0 && !read_breakers(run, i)) {
            return false;
        }
    }
    close_breakers(run);
    return true;
}

static bool look_at_due(struct run *run, const struct quarantine_sizes *sizes)
{
    unsigned first = run->quarantine->first_bucket;

    for (unsigned i = 0; i < STORE_BUCKETS && goes_on(run); i++) {
        unsigned bucket = (first + i) % STORE_BUCKETS;

        if (sizes->due[bucket] < 0) {
            tell_odd(run, STORE_DUE, bucket, text_of(""));
        } else if (sizes->due[bucket] > 0 && !decide_bucket(run, bucket)) {
            return false;
        }
        if (clock_monotonic_ms() >= run->end_ms) {
            /* whatever is there in masses does not starve the others */
            run->quarantine->first_bucket = (bucket + 1) % STORE_BUCKETS;
        }
    }
    return true;
}

static bool look_at_all(struct run *run)
{
    struct quarantine *quarantine = run->quarantine;
    struct quarantine_sizes sizes;
    int64_t start_ms = clock_monotonic_ms();

    run->end_ms = start_ms + ASKING_MS;
    if (!quarantine_look_begin(quarantine->look, start_ms + QUARANTINE_MS,
                               run->error) ||
        !quarantine_look_sizes(quarantine->look, &sizes, run->error) ||
        !look_at_breakers(run, &sizes) || !look_at_due(run, &sizes)) {
        return false;
    }
    if (goes_on(run)) { /* it has seen everything */
        memcpy(quarantine->odd, run->odd, sizeof quarantine->odd);
        if (quarantine->repeats && run->decisions == 0) {
            quarantine->repeats = false;
            log_info("policy: nothing that was decided is still due");
        }
    }
    return true;
}

static void tell_store(struct quarantine *quarantine, bool answered,
                       const struct error *error)
{
    const char *endpoint = redis_endpoint_name(quarantine->options.endpoint);
    char shown[256];

    if (!answered && !quarantine->failing) {
        log_warning("policy: redis does not answer, what is due waits: "
                    "endpoint=%s error=\"%s\"",
                    endpoint,
                    text_escape(text_of(error->text), shown, sizeof shown));
    } else if (answered && quarantine->failing) {
        log_info("policy: redis answers again: endpoint=%s", endpoint);
    }
    quarantine->failing = !answered;
}

static bool log_takes_events(struct event_log *log)
{
    struct event_log_state state;

    event_log_state(log, &state);
    return !state.failing && state.held == 0;
}

void quarantine_run(struct quarantine *quarantine, const char *const *instances)
{
    struct settings_share *share = quarantine->options.settings;
    struct error error = {""};
    struct run run = {.quarantine = quarantine,
                      .instances = instances,
                      .error = &error,
                      .now_us = clock_now_us()};

    if (clock_monotonic_ms() < quarantine->resting_until_ms ||
        !log_takes_events(quarantine->options.log)) {
        return;
    }
    quarantine->runs++;
    run.settings = settings_share_borrow(share);
    tell_store(quarantine, look_at_all(&run), &error);
    settings_share_return(share, run.settings);
}
