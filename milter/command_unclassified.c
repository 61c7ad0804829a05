#include "command.h"
#include "command_store.h"
#include "unclassified.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMIT_DEFAULT 50
#define LIMIT_MOST    1000000 /* more than nixied keeps: all of them */
#define BATCH         32      /* examples asked in one command */
#define SHOWN_MAX     300
#define COUNT_MOST    9007199254740992.0 /* up to here a score is exact */

struct listing {
    const struct command_call *call;
    struct command_store *store;
    struct store_key texts, examples;
    struct error error;
    long limit;
};

/* NULL with error also when it is no array of count, or of any if 0. */
static redisReply *take_array(struct listing *listing, const char *verb,
                              size_t count)
{
    redisReply *reply = command_store_next(listing->store, &listing->error);
    char shown[SHOWN_MAX];

    if (reply == NULL) {
        return NULL;
    }
    if (reply->type == REDIS_REPLY_ARRAY &&
        (count == 0 || reply->elements == count)) {
        return reply;
    }
    error_set(&listing->error, "redis: %s: %s", verb,
              reply->type == REDIS_REPLY_ERROR
                  ? text_escape(command_store_text(reply), shown, sizeof shown)
                  : "unexpected reply");
    freeReplyObject(reply);
    return NULL;
}

/* --- the list ---------------------------------------------------------- */

/* Scores are floating-point numbers, and an operator may have written one. */
static json_int_t count_of(const redisReply *score)
{
    struct text text = command_store_text(score);
    double count = text.bytes == NULL ? 0 : strtod(text.bytes, NULL);

    if (!(count > 0)) {
        return 0;
    }
    return (json_int_t)(count < COUNT_MOST ? count : COUNT_MOST);
}

static void print_text(const struct listing *listing, const redisReply *text,
                       const redisReply *score, const redisReply *example)
{
    json_t *object;

    if (listing->call->json) {
        object = json_object();
        (void)json_object_set_new(object, "count",
                                  json_integer(count_of(score)));
        command_json_set(object, "text", command_store_text(text));
        command_json_set(object, "example", command_store_text(example));
        command_json_print(object);
        return;
    }
    (void)printf("%8lld  ", (long long)count_of(score));
    command_put(command_store_text(text));
    (void)fputs("\n          ", stdout);
    if (command_store_text(example).bytes == NULL) {
        (void)fputs("(no example)", stdout);
    } else {
        command_put(command_store_text(example));
    }
    (void)puts("");
}

/* Of the pairs of text and score those from first on. */
static bool print_some(struct listing *listing, const redisReply *pairs,
                       size_t first, size_t count)
{
    struct text words[2 + BATCH] = {
        text_of("HMGET"), {listing->examples.text, listing->examples.length}};
    redisReply *examples;

    for (size_t i = 0; i < count; i++) {
        words[2 + i] = command_store_text(pairs->element[2 * (first + i)]);
        if (words[2 + i].bytes == NULL) {
            error_set(&listing->error, "redis: ZREVRANGE: unexpected reply");
            return false;
        }
    }
    if (!command_store_add(listing->store, 2 + count, words, &listing->error)) {
        return false;
    }
    examples = take_array(listing, "HMGET", count);
    if (examples == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        print_text(listing, pairs->element[2 * (first + i)],
                   pairs->element[2 * (first + i) + 1], examples->element[i]);
    }
    freeReplyObject(examples);
    return true;
}

static bool print_list(struct listing *listing)
{
    char last[32];
    const struct text words[] = {
        text_of("ZREVRANGE"),
        {listing->texts.text, listing->texts.length},
        text_of("0"),
        {last, (size_t)snprintf(last, sizeof last, "%ld", listing->limit - 1)},
        text_of("WITHSCORES"),
    };
    redisReply *pairs = NULL;
    bool printed = true;
    size_t count;

    if (command_store_add(listing->store, 5, words, &listing->error)) {
        pairs = take_array(listing, "ZREVRANGE", 0);
    }
    if (pairs == NULL) {
        return false;
    }
    count = pairs->elements / 2;
    for (size_t i = 0; i < count && printed && command_output_flows();
         i += BATCH) {
        printed = print_some(listing, pairs, i,
                             count - i < BATCH ? count - i : BATCH);
    }
    freeReplyObject(pairs);
    return printed;
}

/* --- clearing it ------------------------------------------------------- */

static bool take_number(struct listing *listing, const char *verb,
                        long long *number)
{
    redisReply *reply = command_store_next(listing->store, &listing->error);
    bool taken = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
    char shown[SHOWN_MAX];

    if (taken) {
        *number = reply->integer;
    } else if (reply != NULL) {
        error_set(&listing->error, "redis: %s: %s", verb,
                  text_escape(command_store_text(reply), shown, sizeof shown));
    }
    freeReplyObject(reply);
    return taken;
}

static bool clear_list(struct listing *listing)
{
    const struct text texts = {listing->texts.text, listing->texts.length};
    const struct text examples = {listing->examples.text,
                                  listing->examples.length};
    const struct text zcard[] = {text_of("ZCARD"), texts};
    const struct text del[] = {text_of("DEL"), texts, examples};
    long long removed;
    long long keys;
    json_t *object;

    if (!command_store_add(listing->store, 2, zcard, &listing->error) ||
        !take_number(listing, "ZCARD", &removed) ||
        !command_store_add(listing->store, 3, del, &listing->error) ||
        !take_number(listing, "DEL", &keys)) {
        return false;
    }
    if (listing->call->json) {
        object = json_object();
        (void)json_object_set_new(object, "removed", json_integer(removed));
        command_json_print(object);
    } else {
        (void)printf("removed %lld text%s\n", removed, removed == 1 ? "" : "s");
    }
    return true;
}

/* ----------------------------------------------------------------------- */

static bool take_limit(struct listing *listing)
{
    const char *value = command_value(listing->call, "limit");
    char *end;

    listing->limit = LIMIT_DEFAULT;
    if (value == NULL) {
        return true;
    }
    errno = 0;
    listing->limit = strtol(value, &end, 10);
    if (errno == 0 && end != value && *end == '\0' && listing->limit >= 1 &&
        listing->limit <= LIMIT_MOST) {
        return true;
    }
    command_complain(listing->call, "--limit takes a number from 1 to %d",
                     LIMIT_MOST);
    return false;
}

enum command_status command_unclassified(const struct command_call *call)
{
    struct listing listing = {.call = call};
    bool clear = command_value(call, "clear") != NULL;
    bool done = false;

    if (clear && command_value(call, "limit") != NULL) {
        command_complain(call, "--clear removes all, without --limit");
        return COMMAND_FAULT;
    }
    if (!take_limit(&listing)) {
        return COMMAND_FAULT;
    }
    if (!unclassified_keys(call->settings->key_prefix, &listing.texts,
                           &listing.examples)) {
        command_complain(call, "key_prefix is too long");
        return COMMAND_FAULT;
    }
    listing.store = command_store_open(call->settings, &listing.error);
    if (listing.store != NULL) {
        done = clear ? clear_list(&listing) : print_list(&listing);
    }
    if (!done) {
        command_complain(call, "%s", listing.error.text);
    }
    command_store_close(listing.store);
    return done ? COMMAND_OK : COMMAND_FAULT;
}
