#include "command_store.h"

#include "clock.h"
#include "redis_endpoint.h"
#include "redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX  300
#define SCAN_COUNT "1000"

struct command_store {
    struct redis_endpoint *endpoint;
    struct redis_link *link;
    int64_t deadline_ms; /* of all questions together */
};

/* When the next answer must be there. */
static int64_t next_deadline(const struct command_store *store)
{
    int64_t one = clock_monotonic_ms() + COMMAND_STORE_MS;

    return one < store->deadline_ms ? one : store->deadline_ms;
}

/* A refusal that quotes the password is kept from us: then say what it was. */
static void tell_login(enum redis_fault fault, struct error *error)
{
    size_t length = strlen(error->text);

    if (length >= 2 && memcmp(error->text + length - 2, ": ", 2) == 0) {
        (void)snprintf(error->text + length, sizeof error->text - length,
                       fault == REDIS_FAULT_LOGIN
                           ? "user or password is wrong"
                           : "for a reason that holds the password");
    }
}

struct command_store *command_store_open(const struct settings *settings,
                                         struct error *error)
{
    return command_store_open_until(settings, INT64_MAX, error);
}

struct command_store *command_store_open_until(const struct settings *settings,
                                               int64_t deadline_ms,
                                               struct error *error)
{
    const struct redis_endpoint_options options = {
        .location = settings->redis,
        .user = settings->redis_user,
        .password_file = settings->redis_password_file,
    };
    struct command_store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    store->deadline_ms = deadline_ms;
    store->endpoint = redis_endpoint_new(&options, error);
    if (store->endpoint == NULL ||
        !redis_endpoint_resolve(store->endpoint, error)) {
        goto fail;
    }
    store->link = redis_link_new(store->endpoint);
    if (store->link == NULL) {
        error_set(error, "out of memory");
        goto fail;
    }
    if (!redis_link_open(store->link, next_deadline(store), error)) {
        tell_login(redis_link_fault(store->link), error);
        goto fail;
    }
    return store;
fail:
    command_store_close(store);
    return NULL;
}

void command_store_close(struct command_store *store)
{
    if (store != NULL) {
        redis_link_free(store->link);
        redis_endpoint_free(store->endpoint);
        free(store);
    }
}

struct redis_link *command_store_link(struct command_store *store)
{
    return store->link;
}

bool command_store_add(struct command_store *store, size_t count,
                       const struct text *words, struct error *error)
{
    if (count > REDIS_LINK_TEXTS_MAX) {
        error_set(error, "a command of %zu words", count);
        return false;
    }
    if (!redis_link_texts(store->link, count, words)) {
        error_set(error, "out of memory, or the connection is gone");
        return false;
    }
    return true;
}

redisReply *command_store_next(struct command_store *store, struct error *error)
{
    return redis_link_reply(store->link, next_deadline(store), error);
}

redisReply *command_store_ask(struct command_store *store, struct error *error,
                              size_t count, const char *const *words)
{
    redisReply *reply = redis_link_ask(store->link, next_deadline(store), error,
                                       count, words, NULL);

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        char shown[SHOWN_MAX];

        (void)text_escape(command_store_text(reply), shown, sizeof shown);
        error_set(error, "redis: %s: %s", words[0], shown);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

struct text command_store_text(const redisReply *reply)
{
    struct text text = {NULL, 0};

    if (reply != NULL && (reply->type == REDIS_REPLY_STRING ||
                          reply->type == REDIS_REPLY_STATUS ||
                          reply->type == REDIS_REPLY_ERROR)) {
        text.bytes = reply->str;
        text.length = (size_t)reply->len;
    }
    return text;
}

int command_store_exists(struct command_store *store,
                         const struct store_key *key, struct error *error)
{
    const struct text words[] = {text_of("EXISTS"), {key->text, key->length}};
    redisReply *reply = NULL;
    int found = -1;

    if (!command_store_add(store, 2, words, error)) {
        return -1;
    }
    reply = command_store_next(store, error);
    if (reply == NULL) {
        return -1;
    }
    if (reply->type == REDIS_REPLY_INTEGER) {
        found = reply->integer > 0 ? 1 : 0;
    } else {
        char shown[SHOWN_MAX];

        (void)text_escape(command_store_text(reply), shown, sizeof shown);
        error_set(error, "redis: EXISTS: %s", shown);
    }
    freeReplyObject(reply);
    return found;
}

/* --- keys of the lists ------------------------------------------------- */

bool command_store_pattern(const struct settings *settings, struct text typed,
                           struct mailbox_pattern *pattern)
{
    switch (mailbox_parse_pattern(typed, &settings->mailbox_rules, pattern)) {
    case MAILBOX_PATTERN_DOMAIN:
    case MAILBOX_PATTERN_SUBDOMAINS:
    case MAILBOX_PATTERN_LOCAL_PART:
        return true;
    case MAILBOX_PATTERN_EXACT:
        return pattern->domain[0] != '\0';
    case MAILBOX_PATTERN_INVALID:
        break;
    }
    return false;
}

static const char *const list_names[] = {
    [STORE_SUPPRESS] = "suppress",
    [STORE_ALLOW] = "allow",
};

static bool take_prefix(struct text *text, const char *prefix)
{
    size_t length = strlen(prefix);

    if (text->length < length || memcmp(text->bytes, prefix, length) != 0) {
        return false;
    }
    text->bytes += length;
    text->length -= length;
    return true;
}

/* "@scope:" or ":" goes from *text; false when neither is there. */
static bool take_scope(struct text *text, struct text *scope)
{
    const char *colon;

    scope->bytes = NULL;
    scope->length = 0;
    if (take_prefix(text, ":")) {
        return true;
    }
    if (!take_prefix(text, "@")) {
        return false;
    }
    colon = memchr(text->bytes, ':', text->length);
    if (colon == NULL) {
        return false;
    }
    scope->bytes = text->bytes;
    scope->length = (size_t)(colon - text->bytes);
    text->length -= scope->length + 1;
    text->bytes = colon + 1;
    return true;
}

/*
 * Also a local part alone, which no operator needs to type, but which is what
 * a recipient without a domain is looked up as.
 */
static bool looked_up_pattern(const struct settings *settings, struct text key,
                              struct mailbox_pattern *pattern)
{
    struct mailbox mailbox;

    return command_store_pattern(settings, key, pattern) ||
           (mailbox_parse(key, &settings->mailbox_rules, &mailbox) ==
                MAILBOX_LOCAL &&
            mailbox_candidate(&mailbox, 0, pattern));
}

const char *command_store_doubt(struct text pattern)
{
    if (memchr(pattern.bytes, '*', pattern.length) != NULL) {
        return "no globs: @example.org is the whole domain, @.example.org its "
               "subdomains, ann@ any domain";
    }
    if (memchr(pattern.bytes, '@', pattern.length) == NULL) {
        return "without @ it matches recipients without a domain only: write "
               "ann@ for any domain";
    }
    return NULL;
}

bool command_store_parse(const struct settings *settings, enum store_list list,
                         struct text key, struct command_store_key *parsed)
{
    struct text rest = key;
    struct mailbox_pattern pattern;
    char scope[STORE_SCOPE_MAX + 2]; /* one more: then it is too long */

    if (!take_prefix(&rest, settings->key_prefix) ||
        !take_prefix(&rest, list_names[list]) ||
        !take_scope(&rest, &parsed->scope)) {
        return false;
    }
    parsed->pattern = rest;
    parsed->doubt = command_store_doubt(rest);
    parsed->write.length = 0;
    (void)text_copy(parsed->scope, scope, sizeof scope);
    if (!looked_up_pattern(settings, rest, &pattern) ||
        !store_key_list(settings->key_prefix, list, scope, &pattern,
                        &parsed->write)) {
        parsed->write.length = 0;
    }
    parsed->normal = parsed->write.length == key.length &&
                     memcmp(parsed->write.text, key.bytes, key.length) == 0;
    return true;
}

/* --- walking over them ------------------------------------------------- */

#define CURSOR_SIZE 32

/* The two parts of a reply to SCAN; false with error if it is none. */
static bool take_scan(const redisReply *reply, char cursor[CURSOR_SIZE],
                      const redisReply **keys, struct error *error)
{
    struct text next = {NULL, 0};

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[1]->type == REDIS_REPLY_ARRAY) {
        next = command_store_text(reply->element[0]);
    }
    if (next.bytes == NULL || next.length >= CURSOR_SIZE) {
        error_set(error, "redis: SCAN: unexpected reply");
        return false;
    }
    (void)text_copy(next, cursor, CURSOR_SIZE);
    *keys = reply->element[1];
    return true;
}

bool command_store_walk(struct command_store *store,
                        const struct settings *settings,
                        const struct command_store_walk *walk,
                        struct error *error)
{
    char cursor[CURSOR_SIZE] = "0";
    char match[STORE_KEY_MAX];
    const char *const words[] = {"SCAN", cursor,  "MATCH",
                                 match,  "COUNT", SCAN_COUNT};
    bool scoped = walk->scope != NULL;
    /* neither prefix nor scope holds what a glob reads in its own way */
    int length =
        snprintf(match, sizeof match, "%s%s%s%s%s", settings->key_prefix,
                 list_names[walk->list], scoped ? "@" : "[:@]",
                 scoped ? walk->scope : "", scoped ? ":*" : "*");

    if (length < 0 || (size_t)length >= sizeof match) {
        error_set(error, "key_prefix and scope are too long");
        return false;
    }
    do {
        redisReply *reply = command_store_ask(store, error, 6, words);
        const redisReply *keys;
        bool going_on = true;
        bool understood;

        if (reply == NULL) {
            return false;
        }
        understood = take_scan(reply, cursor, &keys, error);
        if (understood) {
            going_on = walk->visit(walk->context, keys);
        }
        freeReplyObject(reply);
        if (!understood || !going_on) {
            return understood;
        }
    } while (strcmp(cursor, "0") != 0);
    return true;
}
