#include "recorder_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELD_MAX       64 /* of a value we compare: a time has 27 bytes */
#define OPERATIONS_MAX (WATCH_PARTS * EFFECT_MAX)
#define WATCHED_MAX    (OPERATIONS_MAX + 2) /* WATCH, the checkpoint's key */

/* A field that FIRST or LAST compares, as it is and as the call makes it. */
struct held {
    const struct window_operation *of;
    enum { HELD_ABSENT, HELD_VALUE, HELD_FAILED } state;
    char value[HELD_MAX];
    size_t length;
};

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
    struct held held[OPERATIONS_MAX];
    size_t held_count;
    const struct window_operation *sent[OPERATIONS_MAX];
    size_t sent_count;
    bool moved; /* the EFFECT_LAST before did set */
    const char *arguments[WATCHED_MAX];
    size_t lengths[WATCHED_MAX];
};

struct recorder_watch *recorder_watch_new(void)
{
    return calloc(1, sizeof(struct recorder_watch));
}

void recorder_watch_free(struct recorder_watch *watch)
{
    free(watch);
}

static bool is_same(struct text a, struct text b)
{
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

static bool compares(const struct window_operation *operation)
{
    return operation->operation == EFFECT_FIRST ||
           operation->operation == EFFECT_LAST;
}

static struct held *held_of(struct recorder_watch *watch,
                            const struct window_operation *operation)
{
    for (size_t i = 0; i < watch->held_count; i++) {
        struct held *held = &watch->held[i];

        if (is_same(held->of->field, operation->field) &&
            is_same(held->of->key, operation->key)) {
            return held;
        }
    }
    return NULL;
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

static bool send_texts(struct recorder_watch *watch, size_t count,
                       const struct text *texts)
{
    const char *arguments[4] = {"", "", "", ""};
    size_t lengths[4] = {0};

    for (size_t i = 0; i < count; i++) {
        arguments[i] = texts[i].bytes;
        lengths[i] = texts[i].length;
    }
    return redis_link_command(watch->link, count, arguments, lengths);
}

static bool ask_field(struct recorder_watch *watch,
                      const struct window_operation *operation)
{
    const struct text texts[] = {text_of("HGET"), operation->key,
                                 operation->field};

    if (!compares(operation) || held_of(watch, operation) != NULL) {
        return true;
    }
    watch->held[watch->held_count++] = (struct held){.of = operation};
    return send_texts(watch, 3, texts);
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

/* An error reply that stops us. */
static void stop_for(struct recorder_watch *watch, const redisReply *reply)
{
    char shown[256];

    /* a refused command makes EXEC answer EXECABORT: keep the cause */
    if (watch->fault == REDIS_FAULT_NONE) {
        watch->fault = redis_fault_of(reply);
        (void)text_escape((struct text){reply->str, (size_t)reply->len}, shown,
                          sizeof shown);
        error_set(watch->error, "redis: %s", shown);
    }
    watch->result->outcome = OUTCOME_REFUSED;
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

    watch->held_count = 0;
    return (redis_link_command(watch->link, count, watch->arguments,
                               watch->lengths) &&
            send_texts(watch, 3, checkpoint) &&
            each_operation(watch, ask_field)) ||
           no_memory(watch);
}

static void keep_held(struct held *held, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_STRING) {
        held->state = HELD_VALUE;
        held->length =
            (size_t)reply->len < HELD_MAX ? (size_t)reply->len : HELD_MAX;
        memcpy(held->value, reply->str, held->length);
    } else {
        held->state =
            reply->type == REDIS_REPLY_NIL ? HELD_ABSENT : HELD_FAILED;
    }
}

/* The answers to the questions behind that for the checkpoint. */
static bool read_held(struct recorder_watch *watch)
{
    for (size_t i = 0; i < watch->held_count; i++) {
        redisReply *reply =
            redis_link_reply(watch->link, watch->deadline_ms, watch->error);

        if (reply == NULL) {
            return false;
        }
        if (reply->type == REDIS_REPLY_ERROR &&
            redis_fault_of(reply) != REDIS_FAULT_TYPE) {
            stop_for(watch, reply); /* no right to read, and such */
        }
        keep_held(&watch->held[i], reply);
        freeReplyObject(reply);
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

static int compare(const struct held *held, struct text value)
{
    size_t length = held->length < value.length ? held->length : value.length;
    int order = memcmp(held->value, value.bytes, length);

    return order != 0
               ? order
               : (held->length > value.length) - (held->length < value.length);
}

/* FIRST and LAST: whether the field is to be set. */
static bool decide(struct recorder_watch *watch,
                   const struct window_operation *operation)
{
    const struct held *held = held_of(watch, operation);
    bool last = operation->operation == EFFECT_LAST;
    bool set;

    if (held == NULL || held->state == HELD_FAILED) {
        recorder_refusal_add(&watch->result->dead, operation,
                             text_of("the field cannot be read"));
        set = false;
    } else {
        int order =
            held->state == HELD_ABSENT ? 0 : compare(held, operation->value);

        set = held->state == HELD_ABSENT || (last ? order <= 0 : order > 0);
    }
    if (last) {
        watch->moved = set;
    }
    return set;
}

/* What the call writes, it compares with later. */
static void keep_written(struct recorder_watch *watch,
                         const struct window_operation *operation)
{
    bool removes = operation->operation == EFFECT_DELETE;

    for (size_t i = 0; i < watch->held_count; i++) {
        struct held *held = &watch->held[i];

        if (!is_same(held->of->key, operation->key)) {
            continue;
        }
        if (removes) {
            held->state = HELD_ABSENT;
        } else if (held->state != HELD_FAILED &&
                   is_same(held->of->field, operation->field)) {
            held->state =
                operation->value.length == 0 ? HELD_ABSENT : HELD_VALUE;
            held->length =
                text_copy(operation->value, held->value, sizeof held->value);
        }
    }
}

static bool send_operation(struct recorder_watch *watch,
                           const struct window_operation *operation)
{
    static const struct {
        const char *command;
        bool field, value;
    } commands[] = {
        [EFFECT_ADD] = {"HINCRBY", true, true},
        [EFFECT_FIRST] = {"HSET", true, true},
        [EFFECT_LAST] = {"HSET", true, true},
        [EFFECT_IF_LAST] = {"HSET", true, true},
        [EFFECT_SET] = {"HSET", true, true},
        [EFFECT_DELETE] = {"DEL", false, false},
        [EFFECT_EXPIRE] = {"EXPIREAT", false, true},
    };
    enum effect_operation kind = operation->operation;
    bool remove = kind == EFFECT_IF_LAST && operation->value.length == 0;
    struct text texts[4] = {text_of(remove ? "HDEL" : commands[kind].command),
                            operation->key};
    size_t count = 2;

    if ((compares(operation) && !decide(watch, operation)) ||
        (kind == EFFECT_IF_LAST && !watch->moved)) {
        return true;
    }
    if (commands[kind].field) {
        texts[count++] = operation->field;
    }
    if (commands[kind].value && !remove) {
        texts[count++] = operation->value;
    }
    if (kind != EFFECT_ADD && kind != EFFECT_EXPIRE) {
        keep_written(watch, operation);
    }
    watch->sent[watch->sent_count++] = operation;
    return send_texts(watch, count, texts);
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
    watch->moved = false;
    return (send_texts(watch, 1, &multi) && send_texts(watch, 4, checkpoint) &&
            each_operation(watch, send_operation) &&
            send_texts(watch, 1, &exec)) ||
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
