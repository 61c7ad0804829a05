#include "suppression_follow.h"

#include "clock.h"
#include "redis_link.h"
#include "store_key.h"
#include "suppression_database.h"
#include "suppression_follow_begin.h"
#include "suppression_names.h"
#include "text.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PING_MS       500
#define ANSWER_MS     5000 /* later than that Redis is gone, not slow */
#define NAMES_AT_ONCE 256  /* questions on their way */
#define MESSAGES_MOST 64   /* of names, between two looks at the answers */
#define PATTERN_SIZE  (2 * STORE_PREFIX_MAX + 16)

/* As much as Redis looks through in a fraction of a millisecond. */
#define SCAN_COUNT "1000"
/*
 * Between two steps others have as long. What takes longer than that is the
 * way there, or a busy machine.
 */
#define SCAN_STEP_MAX_US 2000
/* The list is read again each hour, while the cache stays current. */
#define SCAN_AGAIN_US  (INT64_C(3600) * 1000000)
#define SCAN_UNHURRIED 10 /* times as long between two steps */

enum question { NOTHING, NAMES, SCAN, DATABASE, PING };

struct suppression_follow {
    struct suppression_follow_options options;
    struct redis_link *naming; /* where Redis names keys */
    struct redis_link *asking;
    uint64_t era; /* of the endpoint */
    struct suppression_database database;
    char pattern[PATTERN_SIZE];      /* of SCAN */
    char prefixes[2][PATTERN_SIZE];  /* of the two lists, without colon */
    struct suppression_names *asked; /* questions, in order */
    struct suppression_names *next;  /* to be asked when those are answered */
    size_t answered;                 /* of asked */

    enum question question; /* what asking waits for */
    size_t awaited;         /* its replies */
    bool is_old;            /* asked before Redis told of a flush */
    int64_t asked_us;       /* when */

    bool loading; /* the cache is not the whole list yet */
    bool scanning;
    char cursor[24];
    int64_t next_scan_us;

    int64_t next_ping_ms;
    int64_t naming_ping_ms; /* when the one on its way was sent; 0: none */
    int64_t naming_confirmed_ms;
    int64_t asking_confirmed_ms;
};

/* ---- keys ------------------------------------------------------------------
 */

/* Whether it is a key of the lists that a lookup could ask for. */
static bool is_list_key(const struct suppression_follow *follow,
                        struct text key)
{
    if (key.bytes == NULL || key.length >= STORE_KEY_MAX) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        size_t length = strlen(follow->prefixes[i]);

        if (key.length > length &&
            memcmp(key.bytes, follow->prefixes[i], length) == 0 &&
            (key.bytes[length] == ':' || key.bytes[length] == '@')) {
            return true;
        }
    }
    return false;
}

static struct text text_of_reply(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING
               ? (struct text){reply->str, (size_t)reply->len}
               : (struct text){NULL, 0};
}

/* Both lists in one walk: no other key of ours begins so. */
static void make_pattern(struct suppression_follow *follow)
{
    char *to = follow->pattern;

    for (const char *from = follow->options.key_prefix; *from != '\0'; from++) {
        if (strchr("*?[]^\\", *from) != NULL) {
            *to++ = '\\';
        }
        *to++ = *from;
    }
    memcpy(to, "[sa][ul]*", sizeof "[sa][ul]*");
}

/* ---- what became known ------------------------------------------------------
 */

static enum suppression_follow_result full(struct error *error)
{
    error_set(error, "the list is larger than suppression_cache_memory");
    return SUPPRESSION_FOLLOW_FULL;
}

static enum suppression_follow_result add(struct suppression_follow *follow,
                                          struct text key, uint64_t fingerprint,
                                          struct error *error)
{
    size_t prefix = strlen(follow->options.key_prefix);

    suppression_cache_add_kind(follow->options.cache,
                               suppression_kind_of_key((struct text){
                                   key.bytes + prefix, key.length - prefix}));
    return suppression_cache_add(follow->options.cache, fingerprint)
               ? SUPPRESSION_FOLLOW_GOES_ON
               : full(error);
}

/* What it was before it was first named, if that is still to be answered. */
static bool was_present(const struct suppression_follow *follow,
                        uint64_t fingerprint)
{
    struct suppression_name name;

    return suppression_names_find(follow->asked, fingerprint, &name)
               ? name.was_present
               : suppression_cache_has(follow->options.cache, fingerprint);
}

static enum suppression_follow_result
take_name(struct suppression_follow *follow, struct text key,
          struct error *error)
{
    struct suppression_name name = {.key = key};

    if (!is_list_key(follow, key)) {
        return SUPPRESSION_FOLLOW_GOES_ON;
    }
    name.fingerprint =
        suppression_cache_fingerprint(follow->options.cache, key);
    name.was_present = was_present(follow, name.fingerprint);
    if (!suppression_names_add(follow->next, &name)) {
        error_set(error, "out of memory");
        return SUPPRESSION_FOLLOW_BROKEN;
    }
    /* also when it has been there: it is part of this load now */
    return add(follow, key, name.fingerprint, error);
}

static void begin_scan(struct suppression_follow *follow)
{
    suppression_cache_begin_load(follow->options.cache);
    memcpy(follow->cursor, "0", 2);
    follow->scanning = true;
    follow->next_scan_us = 0;
}

static void begin_load(struct suppression_follow *follow)
{
    follow->options.load_begins(follow->options.context);
    suppression_database_forget(&follow->database);
    begin_scan(follow);
    follow->loading = true;
    /* what is on its way may tell of keys that are no more */
    follow->is_old = follow->question != NOTHING;
}

static enum suppression_follow_result
take_names(struct suppression_follow *follow, const redisReply *keys,
           struct error *error)
{
    enum suppression_follow_result result = SUPPRESSION_FOLLOW_GOES_ON;

    follow->options.named(follow->options.context, (size_t)keys->elements);
    for (size_t i = 0;
         result == SUPPRESSION_FOLLOW_GOES_ON && i < (size_t)keys->elements;
         i++) {
        result = take_name(follow, text_of_reply(keys->element[i]), error);
    }
    return result;
}

/* In a load the cache is still the list that was known before it. */
static void confirm(const struct suppression_follow *follow)
{
    int64_t at_ms = follow->naming_confirmed_ms < follow->asking_confirmed_ms
                        ? follow->naming_confirmed_ms
                        : follow->asking_confirmed_ms;

    if (!follow->loading) {
        follow->options.confirmed(follow->options.context, at_ms);
    }
}

/* ---- replies of the naming connection ---------------------------------------
 */

static bool is_word(const redisReply *reply, const char *word)
{
    return text_is(text_of_reply(reply), word);
}

/*
 * While Redis cannot save it answers each ping so, and goes on to name keys.
 * The reply stands behind all names from before it, as a pong does.
 */
static bool is_echo(const redisReply *reply)
{
    static const char cannot_save[] = "MISCONF ";

    return reply->type == REDIS_REPLY_ARRAY
               ? reply->elements >= 1 && is_word(reply->element[0], "pong")
               : reply->type == REDIS_REPLY_ERROR &&
                     (size_t)reply->len >= sizeof cannot_save - 1 &&
                     memcmp(reply->str, cannot_save, sizeof cannot_save - 1) ==
                         0;
}

/* Names, a list of none, or the echo of a ping. */
static enum suppression_follow_result
take_message(struct suppression_follow *follow, const redisReply *reply,
             struct error *error)
{
    if (is_echo(reply)) {
        follow->naming_confirmed_ms = follow->naming_ping_ms;
        follow->naming_ping_ms = 0;
        confirm(follow);
        return SUPPRESSION_FOLLOW_GOES_ON;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        !is_word(reply->element[0], "message")) {
        return suppression_follow_strange(error);
    }
    if (reply->element[2]->type == REDIS_REPLY_NIL) {
        begin_load(follow);
        return SUPPRESSION_FOLLOW_GOES_ON;
    }
    if (reply->element[2]->type != REDIS_REPLY_ARRAY) {
        return suppression_follow_strange(error);
    }
    return take_names(follow, reply->element[2], error);
}

/* *more: there may be others that poll() does not tell of. */
static enum suppression_follow_result
take_messages(struct suppression_follow *follow, bool *more,
              struct error *error)
{
    enum suppression_follow_result result = SUPPRESSION_FOLLOW_GOES_ON;

    *more = true;
    for (unsigned i = 0;
         result == SUPPRESSION_FOLLOW_GOES_ON && i < MESSAGES_MOST; i++) {
        redisReply *reply;

        if (!redis_link_take(follow->naming, &reply, error)) {
            return SUPPRESSION_FOLLOW_BROKEN;
        }
        if (reply == NULL) {
            *more = false;
            break;
        }
        result = take_message(follow, reply, error);
        freeReplyObject(reply);
    }
    return result;
}

/* ---- replies of the asking connection ---------------------------------------
 */

static enum suppression_follow_result
take_existence(struct suppression_follow *follow, const redisReply *reply,
               struct error *error)
{
    struct suppression_name name =
        suppression_names_at(follow->asked, follow->answered);
    struct suppression_change change = {.key = name.key,
                                        .was_present = name.was_present};
    enum suppression_follow_result result = SUPPRESSION_FOLLOW_GOES_ON;
    struct suppression_name again;

    if (reply->type != REDIS_REPLY_INTEGER) {
        return suppression_follow_refused("EXISTS", reply, error);
    }
    follow->answered++;
    if (suppression_names_find(follow->next, name.fingerprint, &again)) {
        return result; /* it has changed since */
    }
    change.present = reply->integer > 0;
    if (change.present && follow->is_old) {
        return result; /* the load tells */
    }
    if (change.present) {
        result = add(follow, name.key, name.fingerprint, error);
    } else {
        suppression_cache_remove(follow->options.cache, name.fingerprint);
    }
    if (!follow->loading && (change.present || change.was_present)) {
        follow->options.changed(follow->options.context, &change);
    }
    return result;
}

static void pause_scan(struct suppression_follow *follow)
{
    int64_t now_us = clock_monotonic_us();
    int64_t pause_us = now_us - follow->asked_us;

    if (pause_us > SCAN_STEP_MAX_US) {
        pause_us = SCAN_STEP_MAX_US;
    }
    follow->next_scan_us =
        now_us + (follow->loading ? pause_us : SCAN_UNHURRIED * pause_us);
}

static void end_scan(struct suppression_follow *follow)
{
    follow->scanning = false;
    follow->next_scan_us = clock_monotonic_us() + SCAN_AGAIN_US;
    suppression_cache_end_load(follow->options.cache);
    if (follow->loading) {
        follow->loading = false;
        confirm(follow);
        follow->options.load_ended(follow->options.context);
    }
}

static enum suppression_follow_result
take_page(struct suppression_follow *follow, const redisReply *reply,
          struct error *error)
{
    enum suppression_follow_result result = SUPPRESSION_FOLLOW_GOES_ON;
    const redisReply *keys;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY ||
        (size_t)reply->element[0]->len >= sizeof follow->cursor) {
        return suppression_follow_refused("SCAN", reply, error);
    }
    if (follow->is_old) {
        return result;
    }
    keys = reply->element[1];
    for (size_t i = 0;
         result == SUPPRESSION_FOLLOW_GOES_ON && i < (size_t)keys->elements;
         i++) {
        struct text key = text_of_reply(keys->element[i]);

        if (is_list_key(follow, key)) {
            result =
                add(follow, key,
                    suppression_cache_fingerprint(follow->options.cache, key),
                    error);
        }
    }
    (void)text_copy(text_of_reply(reply->element[0]), follow->cursor,
                    sizeof follow->cursor);
    pause_scan(follow);
    if (result == SUPPRESSION_FOLLOW_GOES_ON &&
        strcmp(follow->cursor, "0") == 0) {
        end_scan(follow);
    }
    return result;
}

static enum suppression_follow_result
take_answer(struct suppression_follow *follow, const redisReply *reply,
            struct error *error)
{
    switch (follow->question) {
    case NAMES:
        return take_existence(follow, reply, error);
    case SCAN:
        return take_page(follow, reply, error);
    case DATABASE:
        if (!follow->is_old &&
            suppression_database_take(&follow->database, reply)) {
            begin_load(follow); /* SWAPDB names no keys */
        }
        return SUPPRESSION_FOLLOW_GOES_ON;
    case PING:
        return reply->type == REDIS_REPLY_STATUS || is_echo(reply)
                   ? SUPPRESSION_FOLLOW_GOES_ON
                   : suppression_follow_refused("PING", reply, error);
    case NOTHING:
        break;
    }
    return suppression_follow_strange(error);
}

static enum suppression_follow_result
take_answers(struct suppression_follow *follow, struct error *error)
{
    enum suppression_follow_result result = SUPPRESSION_FOLLOW_GOES_ON;

    while (result == SUPPRESSION_FOLLOW_GOES_ON) {
        redisReply *reply;

        if (!redis_link_take(follow->asking, &reply, error)) {
            return SUPPRESSION_FOLLOW_BROKEN;
        }
        if (reply == NULL) {
            break;
        }
        result = take_answer(follow, reply, error);
        freeReplyObject(reply);
        if (follow->awaited > 0 && --follow->awaited == 0) {
            follow->question = NOTHING;
            follow->is_old = false;
            follow->asking_confirmed_ms = follow->asked_us / 1000;
            confirm(follow);
        }
    }
    return result;
}

/* ---- questions
 * --------------------------------------------------------------- */

static bool say(struct suppression_follow *follow, enum question question,
                size_t argc, const char *const *argv, const size_t *lengths)
{
    follow->question = question;
    follow->awaited++;
    follow->asked_us = clock_monotonic_us();
    return redis_link_command(follow->asking, argc, argv, lengths);
}

static bool ask_names(struct suppression_follow *follow)
{
    size_t count = suppression_names_count(follow->asked);
    bool asked = true;

    for (size_t i = follow->answered;
         asked && i < count && follow->awaited < NAMES_AT_ONCE; i++) {
        struct text key = suppression_names_at(follow->asked, i).key;
        const char *argv[] = {"EXISTS", key.bytes};
        const size_t lengths[] = {6, key.length};

        asked = say(follow, NAMES, 2, argv, lengths);
    }
    return asked;
}

static bool ask_database(struct suppression_follow *follow)
{
    follow->question = DATABASE;
    follow->awaited++;
    follow->asked_us = clock_monotonic_us();
    return suppression_database_ask(&follow->database, follow->asking,
                                    follow->asked_us / 1000);
}

static bool ask_page(struct suppression_follow *follow)
{
    const char *argv[] = {"SCAN",          follow->cursor, "MATCH",
                          follow->pattern, "COUNT",        SCAN_COUNT};

    return say(follow, SCAN, 6, argv, NULL);
}

/* Whether there are names to ask about; those that came last move up. */
static bool have_names(struct suppression_follow *follow)
{
    struct suppression_names *answered = follow->asked;

    if (follow->answered < suppression_names_count(answered)) {
        return true;
    }
    suppression_names_clear(answered);
    follow->answered = 0;
    follow->asked = follow->next;
    follow->next = answered;
    return suppression_names_count(follow->asked) > 0;
}

/* A page of the list stands behind a round of names, not behind all of them. */
static bool ask(struct suppression_follow *follow)
{
    static const char *const ping[] = {"PING"};
    bool page_is_due =
        follow->scanning && clock_monotonic_us() >= follow->next_scan_us;

    if (follow->question != NOTHING) {
        return true;
    }
    if (suppression_database_is_due(&follow->database, clock_monotonic_ms())) {
        return ask_database(follow);
    }
    if (!follow->scanning && clock_monotonic_us() >= follow->next_scan_us) {
        begin_scan(follow); /* the first page in the next turn */
    }
    if (page_is_due && follow->next_scan_us != 0) {
        follow->next_scan_us = 0; /* this time the names, then the page */
        if (have_names(follow)) {
            return ask_names(follow);
        }
    }
    if (page_is_due) {
        return ask_page(follow);
    }
    if (have_names(follow)) {
        return ask_names(follow);
    }
    return clock_monotonic_ms() - follow->asked_us / 1000 < PING_MS ||
           say(follow, PING, 1, ping, NULL);
}

static bool ping_names(struct suppression_follow *follow)
{
    static const char *const ping[] = {"PING"};
    int64_t now_ms = clock_monotonic_ms();

    if (follow->naming_ping_ms != 0 || now_ms < follow->next_ping_ms) {
        return true;
    }
    follow->naming_ping_ms = now_ms;
    follow->next_ping_ms = now_ms + PING_MS;
    return redis_link_command(follow->naming, 1, ping, NULL);
}

/* ---- a turn
 * ------------------------------------------------------------------- */

static bool is_late(const struct suppression_follow *follow)
{
    int64_t now_ms = clock_monotonic_ms();

    return (follow->naming_ping_ms != 0 &&
            now_ms - follow->naming_ping_ms > ANSWER_MS) ||
           (follow->question != NOTHING &&
            now_ms - follow->asked_us / 1000 > ANSWER_MS);
}

static int64_t time_to_wait_us(const struct suppression_follow *follow)
{
    int64_t most_us = PING_MS / 2 * 1000;
    int64_t left_us = follow->next_scan_us - clock_monotonic_us();

    if (!follow->scanning || follow->question != NOTHING || left_us > most_us) {
        return most_us;
    }
    return left_us < 0 ? 0 : left_us;
}

static void wait_for_news(const struct suppression_follow *follow, bool more)
{
    struct pollfd files[] = {
        redis_link_poll(follow->naming),
        redis_link_poll(follow->asking),
        {.fd = follow->options.wake_file, .events = POLLIN}};
    int64_t wait_us = more ? 0 : time_to_wait_us(follow);
    const struct timespec wait = {0, (long)wait_us * 1000};

    (void)ppoll(files, sizeof files / sizeof files[0], &wait, NULL);
}

enum suppression_follow_result
suppression_follow_turn(struct suppression_follow *follow, struct error *error)
{
    enum suppression_follow_result result;
    int64_t begun_ms;
    bool more;

    if (follow->era != redis_endpoint_era(follow->options.endpoint)) {
        error_set(error, "redis: another server is master now");
        return SUPPRESSION_FOLLOW_BROKEN;
    }
    follow->options.reading(follow->options.context);
    begun_ms = clock_monotonic_ms();
    result = take_messages(follow, &more, error);
    /* half a message names keys, too, and poll() does not tell of it */
    if (result == SUPPRESSION_FOLLOW_GOES_ON && !more &&
        !redis_link_is_amid(follow->naming)) {
        follow->options.read(follow->options.context, begun_ms);
    }
    if (result == SUPPRESSION_FOLLOW_GOES_ON) {
        result = take_answers(follow, error);
    }
    if (result != SUPPRESSION_FOLLOW_GOES_ON) {
        return result;
    }
    if (is_late(follow)) {
        error_set(error, "redis: no answer while tracking keys");
        return SUPPRESSION_FOLLOW_BROKEN;
    }
    if (!ask(follow) || !ping_names(follow)) {
        error_set(error, "out of memory");
        return SUPPRESSION_FOLLOW_BROKEN;
    }
    wait_for_news(follow, more);
    return result;
}

/* ---- begin and end
 * ------------------------------------------------------------- */

enum suppression_follow_result
suppression_follow_open(struct suppression_follow *follow, int64_t deadline_ms,
                        struct error *error)
{
    const struct suppression_follow_pair pair = {
        .naming = follow->naming,
        .asking = follow->asking,
        .prefixes = {follow->prefixes[0], follow->prefixes[1]},
    };
    enum suppression_follow_result result;

    follow->era = redis_endpoint_era(follow->options.endpoint);
    suppression_database_begin(&follow->database, follow->options.key_prefix);
    result = suppression_follow_begin(&pair, deadline_ms, error);
    if (result == SUPPRESSION_FOLLOW_GOES_ON) {
        follow->options.connected(follow->options.context,
                                  redis_link_poll(follow->naming).fd,
                                  redis_link_poll(follow->asking).fd);
        follow->naming_confirmed_ms = clock_monotonic_ms();
        follow->asking_confirmed_ms = follow->naming_confirmed_ms;
        begin_load(follow);
    }
    return result;
}

static void take_back(struct suppression_follow *follow,
                      const struct suppression_names *names, size_t from)
{
    for (size_t i = from; i < suppression_names_count(names); i++) {
        struct suppression_name name = suppression_names_at(names, i);

        if (!name.was_present) {
            suppression_cache_remove(follow->options.cache, name.fingerprint);
        }
    }
}

void suppression_follow_close(struct suppression_follow *follow)
{
    follow->options.connected(follow->options.context, -1, -1);
    redis_link_close(follow->naming);
    redis_link_close(follow->asking);
    take_back(follow, follow->asked, follow->answered);
    take_back(follow, follow->next, 0);
    suppression_names_clear(follow->asked);
    suppression_names_clear(follow->next);
    follow->answered = 0;
    follow->question = NOTHING;
    follow->is_old = false;
    follow->awaited = 0;
    follow->scanning = false;
    follow->loading = false;
    follow->asked_us = 0;
    follow->next_ping_ms = 0;
    follow->naming_ping_ms = 0;
}

struct suppression_follow *
suppression_follow_new(const struct suppression_follow_options *options)
{
    struct suppression_follow *follow = calloc(1, sizeof *follow);

    if (follow == NULL) {
        return NULL;
    }
    follow->options = *options;
    make_pattern(follow);
    (void)snprintf(follow->prefixes[0], PATTERN_SIZE, "%ssuppress",
                   options->key_prefix);
    (void)snprintf(follow->prefixes[1], PATTERN_SIZE, "%sallow",
                   options->key_prefix);
    follow->naming = redis_link_new(options->endpoint);
    follow->asking = redis_link_new(options->endpoint);
    follow->asked = suppression_names_new();
    follow->next = suppression_names_new();
    if (follow->naming == NULL || follow->asking == NULL ||
        follow->asked == NULL || follow->next == NULL) {
        suppression_follow_free(follow);
        return NULL;
    }
    return follow;
}

void suppression_follow_free(struct suppression_follow *follow)
{
    if (follow == NULL) {
        return;
    }
    redis_link_free(follow->naming);
    redis_link_free(follow->asking);
    suppression_names_free(follow->asked);
    suppression_names_free(follow->next);
    free(follow);
}
