#include "recorder_store.h"

#include "clock.h"
#include "log.h"
#include "recorder_watch.h"
#include "redis_link.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define FLIGHT_CALLS STORE_BUCKETS         /* calls sent before answers are */
#define FLIGHT_BYTES ((size_t)1024 * 1024) /* read: both sides have bounds */
#define CALL_PARTS   512

struct recorder_store {
    struct redis_link *link;
    struct redis_endpoint *endpoint;
    struct recorder_script *script;
    struct recorder_watch *watch;
    const char *prefix;
    struct store_key keys[STORE_BUCKETS]; /* of the checkpoints */
    bool script_loaded;      /* on this connection, as far as we know */
    bool script_forbidden;   /* on this connection */
    bool warned;             /* of that */
    _Atomic(int64_t) end_ms; /* no deadline is later */
};

static const enum store_result result_of_fault[] = {
    [REDIS_FAULT_NONE] = STORE_DONE,
    [REDIS_FAULT_BUSY] = STORE_BUSY,
    [REDIS_FAULT_MOVED_ON] = STORE_LOST,
    [REDIS_FAULT_CLUSTER] = STORE_REFUSED,
    [REDIS_FAULT_LOGIN] = STORE_REFUSED,
    [REDIS_FAULT_NOSCRIPT] = STORE_DONE, /* sent again with the script */
    [REDIS_FAULT_ABORTED] = STORE_BUSY,
    [REDIS_FAULT_TYPE] = STORE_REFUSED, /* somebody's value in a checkpoint */
    [REDIS_FAULT_OTHER] = STORE_REFUSED,
};

static enum store_result worst(enum store_result a, enum store_result b)
{
    return a > b ? a : b;
}

struct recorder_store *recorder_store_new(struct redis_endpoint *endpoint,
                                          const char *prefix)
{
    struct recorder_store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        return NULL;
    }
    atomic_init(&store->end_ms, INT64_MAX);
    store->endpoint = endpoint;
    store->prefix = prefix;
    store->link = redis_link_new(endpoint);
    store->script = recorder_script_new();
    store->watch = recorder_watch_new();
    if (store->link == NULL || store->script == NULL || store->watch == NULL) {
        goto fail;
    }
    for (unsigned bucket = 0; bucket < STORE_BUCKETS; bucket++) {
        if (!store_key_history(prefix, bucket, STORE_CHECKPOINT, text_of(NULL),
                               &store->keys[bucket])) {
            goto fail;
        }
    }
    return store;
fail:
    recorder_store_free(store);
    return NULL;
}

void recorder_store_free(struct recorder_store *store)
{
    if (store == NULL) {
        return;
    }
    redis_link_free(store->link);
    recorder_script_free(store->script);
    recorder_watch_free(store->watch);
    free(store);
}

bool recorder_store_is_open(const struct recorder_store *store)
{
    return redis_link_is_open(store->link);
}

void recorder_store_end_by(struct recorder_store *store, int64_t at_ms)
{
    atomic_store(&store->end_ms, at_ms);
}

static int64_t deadline_in(struct recorder_store *store, int64_t ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + ms;
    int64_t end_ms = atomic_load(&store->end_ms);

    return deadline_ms < end_ms ? deadline_ms : end_ms;
}

static int64_t answer_deadline(struct recorder_store *store)
{
    return deadline_in(store, STORE_ANSWER_MS);
}

enum store_result recorder_store_open(struct recorder_store *store,
                                      struct error *error)
{
    /* a name that does not resolve now may have an address from before */
    bool resolved = redis_endpoint_resolve(store->endpoint, error);
    struct error why;

    redis_link_close(store->link);
    store->script_loaded = false;
    store->script_forbidden = false;
    if (redis_link_open(store->link, deadline_in(store, STORE_CONNECT_MS),
                        &why)) {
        return STORE_DONE;
    }
    if (resolved) {
        *error = why;
    }
    /* closed in any case: busy or unreachable, it is tried again soon */
    return result_of_fault[redis_link_fault(store->link)] == STORE_REFUSED
               ? STORE_REFUSED
               : STORE_LOST;
}

void recorder_store_close(struct recorder_store *store)
{
    redis_link_close(store->link);
}

static enum store_result no_memory(struct recorder_store *store,
                                   struct error *error)
{
    redis_link_close(store->link);
    error_set(error, "redis: out of memory");
    return STORE_LOST;
}

static void tell_reply(struct error *error, const redisReply *reply)
{
    char shown[256];

    (void)text_escape((struct text){reply->str, (size_t)reply->len}, shown,
                      sizeof shown);
    error_set(error, "redis: %s", shown);
}

/* Somebody wrote there; with it the bucket's checkpoints are gone. */
static void tell_type(const struct recorder_store *store, unsigned bucket,
                      struct error *error)
{
    const struct store_key *key = &store->keys[bucket];
    char shown[256];

    (void)text_escape((struct text){key->text, key->length}, shown,
                      sizeof shown);
    error_set(error, "redis: WRONGTYPE: %s is no hash: DEL it", shown);
}

/* What an error reply asks for; the connection is closed when it must be. */
static enum store_result judge_reply(struct recorder_store *store,
                                     const redisReply *reply,
                                     struct error *error)
{
    enum store_result result = result_of_fault[redis_fault_of(reply)];

    if (reply->type == REDIS_REPLY_ERROR) {
        tell_reply(error, reply);
    }
    if (result == STORE_LOST) {
        redis_link_close(store->link);
    }
    return result;
}

/* The same, of a reply about a checkpoint: of what type, tells its key. */
static enum store_result judge_checkpoint(struct recorder_store *store,
                                          unsigned bucket,
                                          const redisReply *reply,
                                          struct error *error)
{
    if (redis_fault_of(reply) == REDIS_FAULT_TYPE) {
        tell_type(store, bucket, error);
        return STORE_REFUSED;
    }
    return judge_reply(store, reply, error);
}

static bool send_words(struct recorder_store *store, const char *command,
                       const struct store_key *key, const char *field,
                       const char *value)
{
    const char *arguments[4] = {command, NULL, field, value};
    size_t lengths[4] = {strlen(command), 0, 0, 0};
    size_t count = 1;

    if (key != NULL) {
        arguments[1] = key->text;
        lengths[1] = key->length;
        count = 2;
    }
    for (size_t i = 2; i < 4 && arguments[i] != NULL; i++) {
        lengths[i] = strlen(arguments[i]);
        count++;
    }
    return redis_link_command(store->link, count, arguments, lengths);
}

static bool send_watch(struct recorder_store *store)
{
    const char *arguments[STORE_BUCKETS + 1] = {"WATCH"};
    size_t lengths[STORE_BUCKETS + 1] = {strlen("WATCH")};

    for (size_t i = 0; i < STORE_BUCKETS; i++) {
        arguments[i + 1] = store->keys[i].text;
        lengths[i + 1] = store->keys[i].length;
    }
    return redis_link_command(store->link, STORE_BUCKETS + 1, arguments,
                              lengths);
}

/* One reply; NULL with *result when it is an error, or none came. */
static redisReply *take(struct recorder_store *store, int64_t deadline_ms,
                        enum store_result *result, struct error *error)
{
    redisReply *reply = redis_link_reply(store->link, deadline_ms, error);

    if (reply == NULL) {
        *result = STORE_LOST;
    } else if (reply->type == REDIS_REPLY_ERROR) {
        *result = worst(*result, judge_reply(store, reply, error));
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

/* Replies of which only errors matter. */
static enum store_result pass(struct recorder_store *store, size_t count,
                              int64_t deadline_ms, struct error *error)
{
    enum store_result result = STORE_DONE;

    for (size_t i = 0; i < count && result != STORE_LOST; i++) {
        redisReply *reply = take(store, deadline_ms, &result, error);

        if (reply != NULL) {
            freeReplyObject(reply);
        }
    }
    return result;
}

static int64_t checkpoint_in(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_NIL) {
        return CHECKPOINT_ABSENT;
    }
    if (reply->type != REDIS_REPLY_STRING || reply->len == 0) {
        return CHECKPOINT_DAMAGED;
    }
    return recorder_checkpoint_parse(
        (struct text){reply->str, (size_t)reply->len});
}

enum store_result recorder_store_look(struct recorder_store *store,
                                      const char *instance, bool watch,
                                      int64_t checkpoints[STORE_BUCKETS],
                                      struct error *error)
{
    int64_t deadline_ms = answer_deadline(store);
    bool sent = !watch || send_watch(store);
    enum store_result result;

    for (size_t i = 0; i < STORE_BUCKETS; i++) {
        sent =
            sent && send_words(store, "HGET", &store->keys[i], instance, NULL);
    }
    if (!sent) {
        return no_memory(store, error);
    }
    result = pass(store, watch ? 1 : 0, deadline_ms, error);
    for (size_t i = 0; i < STORE_BUCKETS && result != STORE_LOST; i++) {
        redisReply *reply = redis_link_reply(store->link, deadline_ms, error);

        checkpoints[i] = CHECKPOINT_DAMAGED;
        if (reply == NULL) {
            return STORE_LOST;
        }
        if (reply->type == REDIS_REPLY_ERROR) {
            result = worst(result,
                           judge_checkpoint(store, (unsigned)i, reply, error));
        } else {
            checkpoints[i] = checkpoint_in(reply);
        }
        freeReplyObject(reply);
    }
    return result;
}

enum store_result recorder_store_unwatch(struct recorder_store *store,
                                         struct error *error)
{
    return send_words(store, "UNWATCH", NULL, NULL, NULL)
               ? pass(store, 1, answer_deadline(store), error)
               : no_memory(store, error);
}

static enum store_result read_exec(struct recorder_store *store,
                                   int64_t deadline_ms, struct error *error)
{
    enum store_result result = STORE_DONE;
    redisReply *exec = take(store, deadline_ms, &result, error);

    if (exec == NULL) {
        return result;
    }
    if (exec->type == REDIS_REPLY_NIL) {
        result = STORE_ELSEWHERE;
    } else if (exec->type != REDIS_REPLY_ARRAY) {
        error_set(error, "redis: EXEC: unexpected reply");
        result = STORE_REFUSED;
    } else {
        for (size_t i = 0; i < (size_t)exec->elements; i++) {
            result = worst(result, judge_reply(store, exec->element[i], error));
        }
    }
    freeReplyObject(exec);
    return result;
}

/* All in one transaction: some without the others would look like damage. */
static enum store_result write_checkpoints(struct recorder_store *store,
                                           const char *instance,
                                           const char *command,
                                           const int64_t values[STORE_BUCKETS],
                                           struct error *error)
{
    int64_t deadline_ms = answer_deadline(store);
    bool sent = send_words(store, "MULTI", NULL, NULL, NULL);
    size_t count = 1;
    enum store_result result;

    for (size_t i = 0; i < STORE_BUCKETS; i++) {
        char value[CHECKPOINT_SIZE];

        if (values[i] >= 0) {
            recorder_checkpoint_format(values[i], value);
            sent = sent &&
                   send_words(store, command, &store->keys[i], instance, value);
            count++;
        }
    }
    if (!sent || !send_words(store, "EXEC", NULL, NULL, NULL)) {
        return no_memory(store, error);
    }
    result = pass(store, count, deadline_ms, error);
    if (result == STORE_LOST) {
        return result;
    }
    if (result != STORE_DONE) {
        struct error aborted; /* EXECABORT: the cause came before */

        return worst(result, read_exec(store, deadline_ms, &aborted));
    }
    return read_exec(store, deadline_ms, error);
}

enum store_result recorder_store_register(struct recorder_store *store,
                                          const char *instance,
                                          struct error *error)
{
    static const int64_t zeros[STORE_BUCKETS] = {0};

    return write_checkpoints(store, instance, "HSETNX", zeros, error);
}

enum store_result recorder_store_adopt(struct recorder_store *store,
                                       const char *instance,
                                       const int64_t adopted[STORE_BUCKETS],
                                       struct error *error)
{
    return write_checkpoints(store, instance, "HSET", adopted, error);
}

size_t recorder_store_call_parts(const struct recorder_store *store)
{
    return store->script_forbidden ? WATCH_PARTS : CALL_PARTS;
}

/* "NOPERM … to run the 'evalsha' command", "ERR unknown command 'EVALSHA'" */
static bool forbids_scripts(const redisReply *reply)
{
    struct text text = {reply->str, (size_t)reply->len};
    static const char *const signs[] = {"'eval", "`eval", "unknown command"};
    bool rights = text.length > 6 && memcmp(text.bytes, "NOPERM", 6) == 0;
    bool unknown =
        memmem(text.bytes, text.length, signs[2], strlen(signs[2])) != NULL;

    if (!rights && !unknown) {
        return false;
    }
    for (size_t at = 0; at + 5 <= text.length; at++) {
        if (strncasecmp(text.bytes + at, signs[0], 5) == 0 ||
            strncasecmp(text.bytes + at, signs[1], 5) == 0) {
            return true;
        }
    }
    return false;
}

static void forbid_scripts(struct recorder_store *store,
                           const redisReply *reply)
{
    char shown[256];

    store->script_forbidden = true;
    if (!store->warned) {
        store->warned = true;
        log_warning("redis forbids scripts, WATCH is used, which is slower: "
                    "allow EVAL and EVALSHA: error=\"%s\"",
                    text_escape((struct text){reply->str, (size_t)reply->len},
                                shown, sizeof shown));
    }
}

/* A call that is neither applied nor unknown is simply made again. */
static enum store_result read_call(struct recorder_store *store,
                                   int64_t deadline_ms,
                                   const struct recorder_call *call,
                                   struct recorder_result *result,
                                   struct error *error)
{
    redisReply *reply = redis_link_reply(store->link, deadline_ms, error);
    enum store_result judged = STORE_DONE;

    if (reply == NULL) {
        return STORE_LOST;
    }
    recorder_script_result(store->script, reply, call, result);
    if (reply->type == REDIS_REPLY_ERROR && forbids_scripts(reply)) {
        forbid_scripts(store, reply);
    } else if (redis_fault_of(reply) == REDIS_FAULT_NOSCRIPT) {
        store->script_loaded = false;
    } else if (reply->type == REDIS_REPLY_ERROR) {
        judged = judge_checkpoint(store, call->bucket, reply, error);
    } else if (result->outcome == OUTCOME_ELSEWHERE) {
        judged = STORE_ELSEWHERE;
    } else if (result->outcome == OUTCOME_REFUSED) {
        error_set(error, "redis: unexpected reply to the script");
        judged = STORE_REFUSED;
    }
    freeReplyObject(reply);
    return judged;
}

/* Sends calls up to the bounds; how many. 0: no memory. */
static size_t send_calls(struct recorder_store *store,
                         const struct recorder_owner *owner,
                         const struct recorder_call *calls, size_t count)
{
    size_t bytes = 0;
    size_t sent = 0;

    while (sent < count && sent < FLIGHT_CALLS &&
           (sent == 0 || bytes + calls[sent].bytes <= FLIGHT_BYTES)) {
        enum recorder_script_form form =
            store->script_loaded ? SCRIPT_EVALSHA : SCRIPT_EVAL;

        if (!recorder_script_send(store->script, store->link, form, owner,
                                  &calls[sent])) {
            return 0;
        }
        store->script_loaded = true;
        bytes += calls[sent].bytes;
        sent++;
    }
    return sent;
}

static enum store_result apply_scripts(struct recorder_store *store,
                                       const struct recorder_owner *owner,
                                       const struct recorder_call *calls,
                                       struct recorder_result *results,
                                       size_t count, struct error *error)
{
    enum store_result result = STORE_DONE;
    size_t done = 0;

    while (done < count && result < STORE_BUSY && !store->script_forbidden) {
        int64_t deadline_ms = answer_deadline(store);
        size_t sent = send_calls(store, owner, calls + done, count - done);

        if (sent == 0) {
            return no_memory(store, error);
        }
        for (size_t i = done; i < done + sent && result != STORE_LOST; i++) {
            result = worst(result, read_call(store, deadline_ms, &calls[i],
                                             &results[i], error));
            if (!redis_link_is_open(store->link)) {
                return STORE_LOST;
            }
        }
        done += sent;
    }
    return result;
}

static enum store_result apply_watched(struct recorder_store *store,
                                       const struct recorder_owner *owner,
                                       const struct recorder_call *calls,
                                       struct recorder_result *results,
                                       size_t count, struct error *error)
{
    enum store_result result = STORE_DONE;

    for (size_t i = 0; i < count && result < STORE_BUSY; i++) {
        enum redis_fault fault;

        if (calls[i].parts > WATCH_PARTS) {
            continue; /* made for the script: made again shorter */
        }
        recorder_watch_apply(store->watch, store->link, answer_deadline(store),
                             owner, &calls[i], &results[i], &fault, error);
        if (results[i].outcome == OUTCOME_UNKNOWN) {
            return STORE_LOST;
        }
        if (results[i].outcome == OUTCOME_ELSEWHERE) {
            result = worst(result, STORE_ELSEWHERE);
        }
        if (fault == REDIS_FAULT_TYPE) {
            tell_type(store, calls[i].bucket, error);
        }
        result = worst(result, result_of_fault[fault]);
    }
    if (result == STORE_LOST) {
        redis_link_close(store->link);
    }
    return result;
}

enum store_result recorder_store_apply(struct recorder_store *store,
                                       const char *instance,
                                       const struct recorder_call *calls,
                                       struct recorder_result *results,
                                       size_t count, struct error *error)
{
    struct recorder_owner owner = {store->prefix, instance};

    for (size_t i = 0; i < count; i++) {
        results[i] = (struct recorder_result){.outcome = OUTCOME_UNKNOWN};
    }
    return store->script_forbidden
               ? apply_watched(store, &owner, calls, results, count, error)
               : apply_scripts(store, &owner, calls, results, count, error);
}
