#include "recorder_watch.h"

#include "clock.h"
#include "recorder_watch_held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPERATIONS_MAX (WATCH_PARTS * EFFECT_MAX)
#define COMMANDS_MAX   (2 * OPERATIONS_MAX) /* an operation has one or two */
#define WATCHED_MAX    (OPERATIONS_MAX + 2) /* WATCH, the checkpoint's key */
#define WORDS_MAX      6                    /* of a command */

struct recorder_watch {
    /* the call in hand */
    struct redis_link *link;
    int64_t deadline_ms;
    const struct recorder_owner *owner;
    const struct recorder_call *call;
    struct recorder_result *result;
    enum redis_fault fault;
    struct error *error;
    struct store_key checkpoint;
    struct watch_held *held;
    const struct window_operation *sent[COMMANDS_MAX];
    size_t sent_count;
    int64_t now_s; /* what ends before is gone at once */
    bool holds;    /* the test before did */
    size_t skip;   /* so many that follow have been done once */
    bool is_old;   /* Redis has no EXPIREAT NX and GT (before 7) */
    const char *arguments[WATCHED_MAX];
    size_t lengths[WATCHED_MAX];
};

struct recorder_watch *recorder_watch_new(void)
{
    struct recorder_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL) {
        return NULL;
    }
    watch->held = watch_held_new(OPERATIONS_MAX);
    if (watch->held == NULL) {
        free(watch);
        return NULL;
    }
    return watch;
}

void recorder_watch_free(struct recorder_watch *watch)
{
    if (watch != NULL) {
        watch_held_free(watch->held);
        free(watch);
    }
}

/* Calls visit for each operation, in order; stops when it says false. */
static bool each_operation(struct recorder_watch *watch,
                           bool (*visit)(struct recorder_watch *,
                                         const struct window_operation *))
{
    const struct window_part *part = watch->call->first;

    for (size_t i = 0; i < watch->call->parts; i++, part = part->next) {
        for (size_t j = 0; j < part->count; j++) {
            if (!visit(watch, &part->operations[j])) {
                return false;
            }
        }
    }
    return true;
}

static bool ask_look(struct recorder_watch *watch,
                     const struct window_operation *operation)
{
    const struct text field[] = {text_of("HGET"), operation->key,
                                 operation->field};
    const struct text set[] = {text_of("ZRANGEBYSCORE"), operation->key,
                               text_of("-inf"), text_of("+inf"),
                               text_of("WITHSCORES")};
    const struct text key[] = {text_of("EXISTS"), operation->key};

    if (!watch_held_add(watch->held, operation)) {
        return true;
    }
    switch (watch_held_look(operation)) {
    case LOOK_FIELD:
        return redis_link_texts(watch->link, 3, field);
    case LOOK_SET:
        return redis_link_texts(watch->link, 5, set);
    case LOOK_KEY:
        return redis_link_texts(watch->link, 2, key);
    case LOOK_NOWHERE:
        break;
    }
    return true;
}

static size_t put_watched(struct recorder_watch *watch)
{
    const struct window_part *part = watch->call->first;
    size_t count = 2;

    watch->arguments[0] = "WATCH";
    watch->lengths[0] = strlen("WATCH");
    watch->arguments[1] = watch->checkpoint.text;
    watch->lengths[1] = watch->checkpoint.length;
    for (size_t i = 0; i < watch->call->parts; i++, part = part->next) {
        for (size_t j = 0; j < part->count; j++) {
            struct text key = part->operations[j].key;

            if (watch->arguments[count - 1] != key.bytes) {
                watch->arguments[count] = key.bytes;
                watch->lengths[count] = key.length;
                count++;
            }
        }
    }
    return count;
}

static bool no_memory(struct recorder_watch *watch)
{
    error_set(watch->error, "redis: out of memory");
    redis_link_close(watch->link);
    return false;
}

/* "ERR wrong number of arguments for 'expireat' command" */
static bool tells_age(const redisReply *reply)
{
    static const char sign[] = "wrong number of arguments";

    return memmem(reply->str, (size_t)reply->len, sign, sizeof sign - 1) !=
           NULL;
}

/* An error reply that stops us. */
static void stop_for(struct recorder_watch *watch, const redisReply *reply)
{
    char shown[256];

    watch->result->outcome = OUTCOME_REFUSED;
    if (!watch->is_old && tells_age(reply)) {
        watch->is_old = true; /* the next try goes without */
        return;
    }
    /* a refused command makes EXEC answer EXECABORT: keep the cause */
    if (watch->fault == REDIS_FAULT_NONE) {
        watch->fault = redis_fault_of(reply);
        (void)text_escape((struct text){reply->str, (size_t)reply->len}, shown,
                          sizeof shown);
        error_set(watch->error, "redis: %s", shown);
    }
}

/* The next reply; NULL when none came or it is an error that stops us. */
static redisReply *take(struct recorder_watch *watch)
{
    redisReply *reply =
        redis_link_reply(watch->link, watch->deadline_ms, watch->error);

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        stop_for(watch, reply);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

static bool ask(struct recorder_watch *watch)
{
    const struct text checkpoint[] = {
        text_of("HGET"),
        {watch->checkpoint.text, watch->checkpoint.length},
        text_of(watch->owner->instance)};
    size_t count = put_watched(watch);

    watch_held_clear(watch->held);
    return (redis_link_command(watch->link, count, watch->arguments,
                               watch->lengths) &&
            redis_link_texts(watch->link, 3, checkpoint) &&
            each_operation(watch, ask_look)) ||
           no_memory(watch);
}

/* The answers to the questions behind that for the checkpoint. */
static bool read_held(struct recorder_watch *watch)
{
    for (size_t i = 0; i < watch_held_count(watch->held); i++) {
        redisReply *reply =
            redis_link_reply(watch->link, watch->deadline_ms, watch->error);

        if (reply == NULL) {
            return false;
        }
        if (reply->type == REDIS_REPLY_ERROR &&
            redis_fault_of(reply) != REDIS_FAULT_TYPE) {
            stop_for(watch, reply); /* no right to read, and such */
        }
        if (!watch_held_reply(watch->held, i, reply)) {
            return no_memory(watch);
        }
    }
    return true;
}

static bool is_expected(const struct recorder_watch *watch,
                        const redisReply *reply)
{
    char expected[CHECKPOINT_SIZE];
    struct text found = {"", 0};

    recorder_checkpoint_format(watch->call->expected, expected);
    if (reply->type == REDIS_REPLY_STRING) {
        found = (struct text){reply->str, (size_t)reply->len};
    }
    return text_is(found, expected);
}

/* False when there is nothing more to do; result tells. */
static bool read_answers(struct recorder_watch *watch)
{
    redisReply *watched = take(watch);
    redisReply *checkpoint;
    bool expected;

    if (watched == NULL && !redis_link_is_open(watch->link)) {
        return false;
    }
    checkpoint = take(watch);
    expected = checkpoint != NULL && is_expected(watch, checkpoint);
    if (watched != NULL) {
        freeReplyObject(watched);
    }
    if (checkpoint != NULL) {
        freeReplyObject(checkpoint);
    }
    if (!redis_link_is_open(watch->link) || !read_held(watch)) {
        watch->result->outcome = OUTCOME_UNKNOWN;
        return false;
    }
    if (watch->fault != REDIS_FAULT_NONE) {
        return false;
    }
    if (!expected) {
        watch->result->outcome = OUTCOME_ELSEWHERE;
    }
    return expected;
}

/* ---- what is sent ---- */

#define KEY   "%key"
#define FIELD "%field"
#define VALUE "%value"

/* The commands of operations; a test has none. */
static const struct form {
    const char *words[2][WORDS_MAX];
} forms[] = {
    [EFFECT_ADD] = {{{"HINCRBY", KEY, FIELD, VALUE}}},
    [EFFECT_FIRST] = {{{"HSET", KEY, FIELD, VALUE}}},
    [EFFECT_LAST] = {{{"HSET", KEY, FIELD, VALUE}}},
    [EFFECT_SET] = {{{"HSET", KEY, FIELD, VALUE}}},
    [EFFECT_DELETE] = {{{"DEL", KEY}}},
    [EFFECT_EXPIRE] = {{{"EXPIREAT", KEY, VALUE}}},
    [EFFECT_EXTEND] = {{{"EXPIREAT", KEY, VALUE, "NX"},
                        {"EXPIREAT", KEY, VALUE, "GT"}}},
    [EFFECT_MARK] = {{{"ZADD", KEY, VALUE, FIELD}}},
    [EFFECT_UNMARK] = {{{"ZREM", KEY, FIELD}}},
    [EFFECT_FORGET] = {{{"ZREMRANGEBYSCORE", KEY, "-inf", VALUE}}},
    [EFFECT_PUSH] = {{{"LPUSH", KEY, VALUE}, {"LTRIM", KEY, "0", "2"}}},
    [EFFECT_STRIKE] = {{{"ZADD", KEY, VALUE, FIELD}}},
    [EFFECT_DUE] = {{{NULL}}},
    [EFFECT_ONCE] = {{{"HSET", KEY, "once", "1"}, {"EXPIREAT", KEY, VALUE}}},
};
static const struct form removal = {{{"HDEL", KEY, FIELD}}};
_Static_assert(EFFECT_PUSHED == 3, "LTRIM keeps as many");

static const struct form *form_of(const struct recorder_watch *watch,
                                  const struct window_operation *operation)
{
    if (operation->operation == EFFECT_SET && operation->value.length == 0) {
        return &removal;
    }
    return &forms[operation->operation == EFFECT_EXTEND && watch->is_old
                      ? EFFECT_EXPIRE
                      : operation->operation];
}

static struct text word_of(const char *word,
                           const struct window_operation *operation)
{
    if (word[0] != '%') {
        return text_of(word);
    }
    return word[1] == 'k'   ? operation->key
           : word[1] == 'f' ? operation->field
                            : operation->value;
}

static bool send_form(struct recorder_watch *watch, const struct form *form,
                      const struct window_operation *operation)
{
    for (size_t i = 0; i < 2 && form->words[i][0] != NULL; i++) {
        struct text texts[WORDS_MAX];
        size_t count = 0;

        while (count < WORDS_MAX && form->words[i][count] != NULL) {
            texts[count] = word_of(form->words[i][count], operation);
            count++;
        }
        watch->sent[watch->sent_count++] = operation;
        if (!redis_link_texts(watch->link, count, texts)) {
            return false;
        }
    }
    return true;
}

/* One that looks at what is held: it may have nothing to send. */
static bool send_judged(struct recorder_watch *watch,
                        const struct window_operation *operation)
{
    bool writes;
    enum watch_verdict verdict =
        watch_held_judge(watch->held, operation, &writes);

    if (verdict == VERDICT_NO_MEMORY) {
        return false;
    }
    if (verdict == VERDICT_DAMAGED) {
        recorder_refusal_add(&watch->result->dead, operation,
                             text_of("the key is of another type"));
    }
    if (operation->operation != EFFECT_FIRST) { /* the others are tests */
        watch->holds = verdict == VERDICT_HOLDS;
    }
    return !writes || send_form(watch, &forms[operation->operation], operation);
}

static bool send_once(struct recorder_watch *watch,
                      const struct window_operation *operation)
{
    bool writes;

    if (watch_held_judge(watch->held, operation, &writes) == VERDICT_FAILS) {
        char digits[24];

        (void)text_copy(operation->field, digits, sizeof digits);
        watch->skip = (size_t)strtoull(digits, NULL, 10);
        return true;
    }
    return watch_held_change(watch->held, operation, watch->now_s) &&
           send_form(watch, &forms[EFFECT_ONCE], operation);
}

static bool send_operation(struct recorder_watch *watch,
                           const struct window_operation *operation)
{
    if (watch->skip > 0) {
        watch->skip--;
        return true;
    }
    if (operation->conditional && !watch->holds) {
        return true;
    }
    if (operation->operation == EFFECT_ONCE) {
        return send_once(watch, operation);
    }
    if (watch_held_look(operation) != LOOK_NOWHERE) {
        return send_judged(watch, operation);
    }
    return watch_held_change(watch->held, operation, watch->now_s) &&
           send_form(watch, form_of(watch, operation), operation);
}

static bool execute(struct recorder_watch *watch)
{
    char last[CHECKPOINT_SIZE];
    const struct text multi = text_of("MULTI");
    const struct text exec = text_of("EXEC");
    struct text checkpoint[] = {
        text_of("HSET"),
        {watch->checkpoint.text, watch->checkpoint.length},
        text_of(watch->owner->instance),
        {last, 0}};

    recorder_checkpoint_format(watch->call->last, last);
    checkpoint[3].length = strlen(last);
    watch->sent_count = 0;
    watch->holds = false;
    watch->skip = 0;
    watch->now_s = clock_now_us() / 1000000;
    return (redis_link_texts(watch->link, 1, &multi) &&
            redis_link_texts(watch->link, 4, checkpoint) &&
            each_operation(watch, send_operation) &&
            redis_link_texts(watch->link, 1, &exec)) ||
           no_memory(watch);
}

static void read_executed(struct recorder_watch *watch, const redisReply *exec)
{
    struct recorder_result *result = watch->result;

    if (exec->type == REDIS_REPLY_NIL) {
        result->outcome = OUTCOME_ELSEWHERE; /* ask again */
        return;
    }
    if (exec->type != REDIS_REPLY_ARRAY ||
        (size_t)exec->elements != watch->sent_count + 1) {
        error_set(watch->error, "redis: EXEC: unexpected reply");
        watch->fault = REDIS_FAULT_OTHER;
        result->outcome = OUTCOME_REFUSED;
        return;
    }
    result->outcome = OUTCOME_APPLIED;
    for (size_t i = 0; i < watch->sent_count; i++) {
        const redisReply *reply = exec->element[i + 1];

        if (reply->type == REDIS_REPLY_ERROR) {
            recorder_refusal_add(
                redis_fault_of(reply) == REDIS_FAULT_TYPE ? &result->dead
                                                          : &result->lost,
                watch->sent[i], (struct text){reply->str, (size_t)reply->len});
            /* the second command of an operation has nothing new to say */
            i += i + 1 < watch->sent_count &&
                 watch->sent[i + 1] == watch->sent[i];
        }
    }
}

static void finish(struct recorder_watch *watch)
{
    redisReply *exec;

    /* MULTI, the checkpoint and each operation answer OK or QUEUED */
    for (size_t i = 0; i < watch->sent_count + 2; i++) {
        redisReply *reply = take(watch);

        if (reply != NULL) {
            freeReplyObject(reply);
        } else if (!redis_link_is_open(watch->link)) {
            watch->result->outcome = OUTCOME_UNKNOWN;
            return;
        }
    }
    exec = take(watch);
    if (exec != NULL) {
        read_executed(watch, exec);
        freeReplyObject(exec);
    } else if (!redis_link_is_open(watch->link)) {
        watch->result->outcome = OUTCOME_UNKNOWN;
    }
}

/* After questions without MULTI the keys are still watched. */
static void unwatch(struct recorder_watch *watch)
{
    static const char *const arguments[] = {"UNWATCH"};
    struct error ignored; /* the link is closed then, which does it too */
    redisReply *reply = redis_link_ask(watch->link, watch->deadline_ms,
                                       &ignored, 1, arguments, NULL);

    if (reply != NULL) {
        freeReplyObject(reply);
    }
}

void recorder_watch_apply(struct recorder_watch *watch, struct redis_link *link,
                          int64_t deadline_ms,
                          const struct recorder_owner *owner,
                          const struct recorder_call *call,
                          struct recorder_result *result,
                          enum redis_fault *fault, struct error *error)
{
    *result = (struct recorder_result){.outcome = OUTCOME_UNKNOWN};
    watch->link = link;
    watch->deadline_ms = deadline_ms;
    watch->owner = owner;
    watch->call = call;
    watch->result = result;
    watch->fault = REDIS_FAULT_NONE;
    watch->error = error;
    if (!store_key_history(owner->prefix, call->bucket, STORE_CHECKPOINT,
                           text_of(NULL), &watch->checkpoint) ||
        call->parts > WATCH_PARTS) {
        redis_link_close(link);
        error_set(error, "redis: a call that cannot be made");
    } else if (ask(watch)) {
        if (read_answers(watch)) {
            if (execute(watch)) {
                finish(watch);
            }
        } else if (redis_link_is_open(link)) {
            unwatch(watch);
        }
    }
    *fault = watch->fault;
}
