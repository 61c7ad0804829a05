#include "unclassified.h"

#include "clock.h"
#include "redis_link.h"
#include "store_key.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_MS   2000
#define COUNT_SIZE 24
#define SHOWN_MAX  300
#define TRIM_MAX   1000 /* texts that one flush removes */

struct held {
    uint64_t count;
    uint64_t since; /* rises: which of two is older */
    bool orphan;    /* its example is in Redis, its count is not */
    size_t text_length, example_length;
    char text[UNCLASSIFIED_TEXT_MAX];
    char example[UNCLASSIFIED_EXAMPLE_MAX];
};

struct table {
    size_t count;
    uint64_t clock;
    struct held held[UNCLASSIFIED_HELD];
};

struct unclassified {
    struct store_key texts, examples;
    pthread_mutex_t lock;
    struct table *held; /* guarded by lock */
    /* the rest is of the one who flushes */
    struct table *sent;
    struct redis_link *link;
};

struct unclassified *unclassified_new(struct redis_endpoint *endpoint,
                                      const char *key_prefix)
{
    struct unclassified *unclassified = calloc(1, sizeof *unclassified);

    if (unclassified == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&unclassified->lock, NULL) != 0) {
        free(unclassified);
        return NULL;
    }
    unclassified->held = calloc(1, sizeof *unclassified->held);
    unclassified->sent = calloc(1, sizeof *unclassified->sent);
    unclassified->link = redis_link_new(endpoint);
    if (unclassified->held == NULL || unclassified->sent == NULL ||
        unclassified->link == NULL ||
        !unclassified_keys(key_prefix, &unclassified->texts,
                           &unclassified->examples)) {
        unclassified_free(unclassified);
        return NULL;
    }
    return unclassified;
}

void unclassified_free(struct unclassified *unclassified)
{
    if (unclassified == NULL) {
        return;
    }
    redis_link_free(unclassified->link);
    free(unclassified->sent);
    free(unclassified->held);
    (void)pthread_mutex_destroy(&unclassified->lock);
    free(unclassified);
}

static bool make_key(struct store_key *key, const char *prefix,
                     const char *name)
{
    int length = snprintf(key->text, sizeof key->text, "%s%s", prefix, name);

    key->length = length < 0 ? 0 : (size_t)length;
    return length > 0 && key->length < sizeof key->text;
}

bool unclassified_keys(const char *key_prefix, struct store_key *texts,
                       struct store_key *examples)
{
    return make_key(texts, key_prefix, "unclassified") &&
           make_key(examples, key_prefix, "unclassified:example");
}

/* --- what is held ------------------------------------------------------ */

/* The first bytes, without half a character of UTF-8 at the end. */
static struct text cut(struct text text, size_t most)
{
    size_t length = most;

    if (text.length <= most) {
        return text;
    }
    while (length > most - 3 && ((unsigned char)text.bytes[length] >> 6) == 2) {
        length--;
    }
    /* no character is so long: it was no UTF-8 */
    if (((unsigned char)text.bytes[length] >> 6) == 2) {
        length = most;
    }
    return (struct text){text.bytes, length};
}

static struct held *find(struct table *table, struct text text)
{
    for (size_t i = 0; i < table->count; i++) {
        struct held *held = &table->held[i];

        if (held->text_length == text.length &&
            memcmp(held->text, text.bytes, text.length) == 0) {
            return held;
        }
    }
    return NULL;
}

/* A free place, or that of the oldest among the rarest. */
static struct held *make_room(struct table *table)
{
    struct held *rarest = &table->held[0];

    if (table->count < UNCLASSIFIED_HELD) {
        return &table->held[table->count++];
    }
    for (size_t i = 1; i < table->count; i++) {
        struct held *held = &table->held[i];

        if (held->count < rarest->count ||
            (held->count == rarest->count && held->since < rarest->since)) {
            rarest = held;
        }
    }
    return rarest;
}

static void add(struct table *table, struct text text, struct text example,
                uint64_t count)
{
    struct held *held = find(table, text);

    if (held != NULL) {
        held->count += count;
        return;
    }
    held = make_room(table);
    held->count = count;
    held->since = table->clock++;
    held->orphan = false;
    held->text_length = text.length;
    memcpy(held->text, text.bytes, text.length);
    held->example_length = example.length;
    if (example.length > 0) {
        memcpy(held->example, example.bytes, example.length);
    }
}

void unclassified_add(struct unclassified *unclassified, struct text normal,
                      struct text example)
{
    if (normal.length == 0) {
        return; /* nothing that a rule could be written for */
    }
    normal = cut(normal, UNCLASSIFIED_TEXT_MAX);
    example = cut(example, UNCLASSIFIED_EXAMPLE_MAX);
    (void)pthread_mutex_lock(&unclassified->lock);
    add(unclassified->held, normal, example, 1);
    (void)pthread_mutex_unlock(&unclassified->lock);
}

/* False when there is nothing to send. */
static bool take(struct unclassified *unclassified)
{
    struct table *empty = unclassified->sent;

    (void)pthread_mutex_lock(&unclassified->lock);
    unclassified->sent = unclassified->held;
    unclassified->held = empty;
    (void)pthread_mutex_unlock(&unclassified->lock);
    return unclassified->sent->count > 0;
}

/*
 * What has not been counted is held again. After a lost answer it may have
 * been: it counts twice then, which no event depends on.
 */
static void give_back(struct unclassified *unclassified)
{
    struct table *sent = unclassified->sent;

    (void)pthread_mutex_lock(&unclassified->lock);
    for (size_t i = 0; i < sent->count; i++) {
        const struct held *held = &sent->held[i];

        if (held->count > 0) {
            add(unclassified->held,
                (struct text){held->text, held->text_length},
                (struct text){held->example, held->example_length},
                held->count);
        }
    }
    (void)pthread_mutex_unlock(&unclassified->lock);
    sent->count = 0;
}

/* --- to Redis ---------------------------------------------------------- */

/* One flush on its way. */
struct flight {
    struct redis_link *link;
    int64_t deadline_ms;
    const struct unclassified *unclassified;
    struct error *error; /* of the first fault */
    bool failed;
};

static void fail(struct flight *flight, const char *what, struct text why)
{
    char shown[SHOWN_MAX];

    if (!flight->failed) {
        error_set(flight->error, "redis: %s: %s", what,
                  text_escape(why, shown, sizeof shown));
    }
    flight->failed = true;
}

static bool queue(struct flight *flight, const char *const *words,
                  const size_t *lengths, size_t count)
{
    if (!redis_link_command(flight->link, count, words, lengths)) {
        fail(flight, words[0], text_of("out of memory"));
        return false;
    }
    return true;
}

/* A command on the member of a sorted set, or the field of a hash. */
static bool queue_text(struct flight *flight, const char *verb,
                       const struct store_key *key, struct text text)
{
    const char *words[] = {verb, key->text, text.bytes};
    const size_t lengths[] = {strlen(verb), key->length, text.length};

    return queue(flight, words, lengths, 3);
}

/*
 * The example stands before the count, and trimming takes the count before
 * the example: so no two nodes together leave an example without a count.
 */
static bool queue_held(struct flight *flight, const struct held *held)
{
    const struct unclassified *unclassified = flight->unclassified;
    char count[COUNT_SIZE];
    int digits = snprintf(count, sizeof count, "%" PRIu64, held->count);
    const char *hsetnx[] = {"HSETNX", unclassified->examples.text, held->text,
                            held->example};
    const size_t hsetnx_lengths[] = {6, unclassified->examples.length,
                                     held->text_length, held->example_length};
    const char *zincrby[] = {"ZINCRBY", unclassified->texts.text, count,
                             held->text};
    const size_t zincrby_lengths[] = {7, unclassified->texts.length,
                                      (size_t)digits, held->text_length};

    return queue(flight, hsetnx, hsetnx_lengths, 4) &&
           queue(flight, zincrby, zincrby_lengths, 4);
}

/* The next reply, or NULL: the connection is closed. */
static redisReply *next_reply(struct flight *flight, const char *what)
{
    struct error error = {""};
    redisReply *reply =
        redis_link_reply(flight->link, flight->deadline_ms, &error);

    if (reply == NULL && !flight->failed) {
        *flight->error = error;
        flight->failed = true;
    } else if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        fail(flight, what, (struct text){reply->str, (size_t)reply->len});
    }
    return reply;
}

/* False when the connection is closed. */
static bool read_held(struct flight *flight, struct held *held)
{
    redisReply *example = next_reply(flight, "HSETNX");
    redisReply *count = example == NULL ? NULL : next_reply(flight, "ZINCRBY");
    bool answered = count != NULL;

    if (answered && count->type != REDIS_REPLY_ERROR) {
        held->count = 0;
    } else if (answered && example->type == REDIS_REPLY_INTEGER) {
        held->orphan = example->integer == 1;
    }
    freeReplyObject(example);
    freeReplyObject(count);
    return answered;
}

/* --- what is too much -------------------------------------------------- */

static bool queue_count(struct flight *flight)
{
    const char *words[] = {"ZCARD", flight->unclassified->texts.text};
    const size_t lengths[] = {5, flight->unclassified->texts.length};

    return queue(flight, words, lengths, 2);
}

/*
 * Asks for the rarest, as many as are too many; if somebody has put in far
 * more than that, for a part of them: an answer must come in time.
 */
static bool queue_surplus(struct flight *flight, long long surplus)
{
    char last[COUNT_SIZE];
    int digits =
        snprintf(last, sizeof last, "%d",
                 surplus > TRIM_MAX ? TRIM_MAX - 1 : -(UNCLASSIFIED_MAX + 1));
    const char *words[] = {"ZRANGE", flight->unclassified->texts.text, "0",
                           last};
    const size_t lengths[] = {6, flight->unclassified->texts.length, 1,
                              (size_t)digits};

    return queue(flight, words, lengths, 4);
}

/* By name and not by rank: both keys lose the same, whatever others do. */
static bool queue_removal(struct flight *flight, struct text text)
{
    return queue_text(flight, "ZREM", &flight->unclassified->texts, text) &&
           queue_text(flight, "HDEL", &flight->unclassified->examples, text);
}

static bool queue_orphans(struct flight *flight, size_t *queued)
{
    const struct table *sent = flight->unclassified->sent;

    for (size_t i = 0; i < sent->count; i++) {
        const struct held *held = &sent->held[i];

        if (!held->orphan) {
            continue;
        }
        if (!queue_text(flight, "HDEL", &flight->unclassified->examples,
                        (struct text){held->text, held->text_length})) {
            return false;
        }
        (*queued)++;
    }
    return true;
}

/* surplus: NULL, nothing is too much. */
static void trim(struct flight *flight, const redisReply *surplus)
{
    size_t queued = 0;

    if (surplus != NULL && surplus->type == REDIS_REPLY_ARRAY) {
        for (size_t i = 0; i < surplus->elements; i++) {
            const redisReply *text = surplus->element[i];

            if (!queue_removal(flight,
                               (struct text){text->str, (size_t)text->len})) {
                return;
            }
            queued += 2;
        }
    }
    if (!queue_orphans(flight, &queued)) {
        return;
    }
    for (size_t i = 0; i < queued; i++) {
        redisReply *reply = next_reply(flight, "trimming");

        if (reply == NULL) {
            return;
        }
        freeReplyObject(reply);
    }
}

static void trim_surplus(struct flight *flight, long long surplus)
{
    redisReply *reply =
        queue_surplus(flight, surplus) ? next_reply(flight, "ZRANGE") : NULL;

    if (reply != NULL) {
        trim(flight, reply);
    }
    freeReplyObject(reply);
}

static void fly(struct flight *flight)
{
    struct table *sent = flight->unclassified->sent;
    long long surplus = 0;
    redisReply *reply;

    for (size_t i = 0; i < sent->count; i++) {
        if (!queue_held(flight, &sent->held[i])) {
            return;
        }
    }
    if (!queue_count(flight)) {
        return;
    }
    for (size_t i = 0; i < sent->count; i++) {
        if (!read_held(flight, &sent->held[i])) {
            return;
        }
    }
    reply = next_reply(flight, "ZCARD");
    if (reply == NULL) {
        return;
    }
    if (reply->type == REDIS_REPLY_INTEGER) {
        surplus = reply->integer - UNCLASSIFIED_MAX;
    }
    freeReplyObject(reply);
    if (surplus > 0) {
        trim_surplus(flight, surplus);
    } else {
        trim(flight, NULL);
    }
}

bool unclassified_flush(struct unclassified *unclassified, struct error *error)
{
    struct error untold;
    struct flight flight = {
        .link = unclassified->link,
        .deadline_ms = clock_monotonic_ms() + FLUSH_MS,
        .unclassified = unclassified,
        .error = error == NULL ? &untold : error,
    };

    if (!take(unclassified)) {
        return true;
    }
    if (redis_link_open(flight.link, flight.deadline_ms, flight.error)) {
        fly(&flight);
    } else {
        flight.failed = true;
    }
    if (flight.failed) {
        /* with what is still to be answered; a server may have changed role */
        redis_link_close(flight.link);
    }
    give_back(unclassified);
    return !flight.failed;
}
