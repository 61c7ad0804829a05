/* Entries of the lists, some at a time, and what is known of one recipient. */
#include "clock.h"
#include "command.h"
#include "command_entry.h"
#include "command_store.h"
#include "command_why.h"
#include "web_page_answer.h"

#include <stdio.h>
#include <string.h>

#define ENTRIES_WANTED 50   /* then the page is full enough */
#define STEPS_MOST     200  /* of SCAN: a question is no burden for Redis */
#define LOOK_MS        400  /* nor long */
#define COUNT_ALL      200  /* keys a step; nearly each may be an entry */
#define COUNT_SEARCHED 1000 /* few of them are */
#define SEARCH_MAX     320
#define CURSOR_MAX     20
#define SHOWN_MAX      512 /* bytes of a text; somebody may have put more */

struct listing {
    struct web_question *question;
    struct command_store *store;
    enum store_list list;
    const char *search;
    char cursor[CURSOR_MAX + 1];
    char match[4 * SEARCH_MAX];
    int64_t looked; /* keys, about */
    json_t *entries;
};

/* --- an entry ------------------------------------------------------------- */

static const char *const fields[] = {"reason", "type", "note",    "mode",
                                     "origin", "by",   "added_at"};
#define FIELDS (sizeof fields / sizeof fields[0])

/* The replies for one key, in the order in which they were asked for. */
enum { REPLY_TYPE, REPLY_LEFT, REPLY_HASH, REPLY_STRING, REPLIES };

static bool ask_entry(struct listing *listing, struct text key)
{
    struct error *error = &listing->question->error;
    const struct text type[] = {text_of("TYPE"), key};
    const struct text left[] = {text_of("PTTL"), key};
    const struct text string[] = {text_of("GETRANGE"), key, text_of("0"),
                                  text_of("511")};
    struct text hash[2 + FIELDS] = {text_of("HMGET"), key};

    for (size_t i = 0; i < FIELDS; i++) {
        hash[2 + i] = text_of(fields[i]);
    }
    return command_store_add(listing->store, 2, type, error) &&
           command_store_add(listing->store, 2, left, error) &&
           command_store_add(listing->store, 2 + FIELDS, hash, error) &&
           command_store_add(listing->store, 4, string, error);
}

static void set_text(json_t *object, const char *name, struct text text)
{
    if (text.length > SHOWN_MAX) {
        text.length = SHOWN_MAX;
    }
    if (text.length > 0) {
        (void)json_object_set_new(object, name, command_json_text(text));
    }
}

static void set_fields(json_t *object, const redisReply *hash)
{
    for (size_t i = 0;
         i < FIELDS && hash->type == REDIS_REPLY_ARRAY && i < hash->elements;
         i++) {
        set_text(object, fields[i], command_store_text(hash->element[i]));
    }
}

static void add_entry(struct listing *listing, struct text key,
                      redisReply *const replies[REPLIES])
{
    struct text kind = command_store_text(replies[REPLY_TYPE]);
    const redisReply *left = replies[REPLY_LEFT];
    struct command_store_key parsed;
    json_t *object;

    if (text_is(kind, "none") || /* it has ended, or never was */
        !command_store_parse(listing->question->settings, listing->list, key,
                             &parsed)) {
        return;
    }
    object = json_object();
    set_text(object, "pattern", parsed.pattern);
    set_text(object, "scope", parsed.scope);
    set_text(object, "kind", kind);
    set_fields(object, replies[REPLY_HASH]);
    if (replies[REPLY_STRING]->type == REDIS_REPLY_STRING) {
        set_text(object, "note", command_store_text(replies[REPLY_STRING]));
    }
    if (left->type == REDIS_REPLY_INTEGER && left->integer >= 0) {
        char expires_at[CLOCK_TIMESTAMP_SIZE];

        command_entry_expiry(left->integer, expires_at);
        set_text(object, "expires_at", text_of(expires_at));
    }
    (void)json_object_set_new(
        object, "matches", json_boolean(parsed.normal && parsed.doubt == NULL));
    (void)json_array_append_new(listing->entries, object);
}

static bool take_entry(struct listing *listing, struct text key)
{
    redisReply *replies[REPLIES] = {NULL};
    bool whole = true;

    for (size_t i = 0; i < REPLIES && whole; i++) {
        replies[i] =
            command_store_next(listing->store, &listing->question->error);
        whole = replies[i] != NULL;
    }
    if (whole) {
        add_entry(listing, key, replies);
    }
    for (size_t i = 0; i < REPLIES; i++) {
        freeReplyObject(replies[i]);
    }
    return whole;
}

static bool take_keys(struct listing *listing, const redisReply *keys)
{
    for (size_t i = 0; i < keys->elements; i += COMMAND_STORE_BATCH) {
        size_t end = i + COMMAND_STORE_BATCH < keys->elements
                         ? i + COMMAND_STORE_BATCH
                         : keys->elements;

        for (size_t j = i; j < end; j++) {
            if (!ask_entry(listing, command_store_text(keys->element[j]))) {
                return false;
            }
        }
        for (size_t j = i; j < end; j++) {
            if (!take_entry(listing, command_store_text(keys->element[j]))) {
                return false;
            }
        }
    }
    return true;
}

/* --- searching ------------------------------------------------------------ */

/* "nixie:suppress[:@]*ann*", with what a glob reads in its own way escaped. */
static bool make_match(struct listing *listing)
{
    char glob[3 * SEARCH_MAX];
    size_t used = 0;
    int length;

    for (const char *from = listing->search; *from != '\0'; from++) {
        if (used + 3 > sizeof glob || from - listing->search >= SEARCH_MAX) {
            return false;
        }
        if (strchr("*?[]^-\\", *from) != NULL) {
            glob[used++] = '\\';
        }
        /* local parts and domains are in lower case */
        glob[used++] =
            *from >= 'A' && *from <= 'Z' ? (char)(*from - 'A' + 'a') : *from;
    }
    glob[used] = '\0';
    length = snprintf(listing->match, sizeof listing->match, "%s%s[:@]*%s%s",
                      listing->question->settings->key_prefix,
                      listing->list == STORE_SUPPRESS ? "suppress" : "allow",
                      glob, used == 0 ? "" : "*");
    return length > 0 && (size_t)length < sizeof listing->match;
}

/* However long the list is: who types a whole address finds it at once. */
static bool look_for_exact(struct listing *listing)
{
    const struct settings *settings = listing->question->settings;
    struct mailbox_pattern pattern;
    struct store_key key;
    struct text name;

    if (!command_store_pattern(settings, text_of(listing->search), &pattern) ||
        !store_key_list(settings->key_prefix, listing->list, NULL, &pattern,
                        &key)) {
        return true;
    }
    name = (struct text){key.text, key.length};
    return ask_entry(listing, name) && take_entry(listing, name);
}

/* One step of SCAN; false with error. */
static bool step(struct listing *listing)
{
    char count[8];
    const char *const words[] = {"SCAN",         listing->cursor, "MATCH",
                                 listing->match, "COUNT",         count};
    int keys = listing->search[0] == '\0' ? COUNT_ALL : COUNT_SEARCHED;
    redisReply *reply;
    bool taken = false;

    (void)snprintf(count, sizeof count, "%d", keys);
    reply =
        command_store_ask(listing->store, &listing->question->error, 6, words);
    if (reply == NULL) {
        return false;
    }
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[0]->type == REDIS_REPLY_STRING &&
        (size_t)reply->element[0]->len <= CURSOR_MAX &&
        reply->element[1]->type == REDIS_REPLY_ARRAY) {
        (void)text_copy(command_store_text(reply->element[0]), listing->cursor,
                        sizeof listing->cursor);
        taken = take_keys(listing, reply->element[1]);
        listing->looked += keys;
    } else {
        error_set(&listing->question->error, "redis: SCAN: unexpected reply");
    }
    freeReplyObject(reply);
    return taken;
}

static bool search(struct listing *listing)
{
    int64_t end_ms = clock_monotonic_ms() + LOOK_MS;
    int steps = 0;

    if (strcmp(listing->cursor, "0") == 0 && listing->search[0] != '\0' &&
        !look_for_exact(listing)) {
        return false;
    }
    do {
        if (!step(listing)) {
            return false;
        }
        steps++;
    } while (strcmp(listing->cursor, "0") != 0 && steps < STEPS_MOST &&
             json_array_size(listing->entries) < ENTRIES_WANTED &&
             clock_monotonic_ms() < end_ms);
    return true;
}

/* --- what was asked ------------------------------------------------------- */

static bool take_cursor(struct listing *listing, const char *cursor)
{
    if (cursor[0] == '\0') {
        cursor = "0";
    }
    if (strspn(cursor, "0123456789") != strlen(cursor) ||
        strlen(cursor) > CURSOR_MAX) {
        return false;
    }
    (void)text_copy(text_of(cursor), listing->cursor, sizeof listing->cursor);
    return true;
}

static const char *fault_of(struct listing *listing)
{
    const char *list = web_argument(listing->question, "list");

    listing->list = STORE_SUPPRESS;
    if (strcmp(list, "allow") == 0) {
        listing->list = STORE_ALLOW;
    } else if (list[0] != '\0' && strcmp(list, "suppress") != 0) {
        return "list: write suppress or allow";
    }
    listing->search = web_argument(listing->question, "search");
    if (!make_match(listing)) {
        return "search: at most 320 bytes";
    }
    if (!take_cursor(listing, web_argument(listing->question, "cursor"))) {
        return "cursor: write one of an answer, or nothing";
    }
    return NULL;
}

static json_t *json_of_listing(const struct listing *listing)
{
    json_t *answer = json_object();

    (void)json_object_set(answer, "entries", listing->entries);
    (void)json_object_set_new(answer, "looked", json_integer(listing->looked));
    if (strcmp(listing->cursor, "0") != 0) { /* there is more */
        (void)json_object_set_new(answer, "cursor",
                                  json_string(listing->cursor));
    }
    return answer;
}

json_t *web_answer_list(struct web_question *question)
{
    struct listing listing = {.question = question};
    const char *why = fault_of(&listing);
    json_t *answer = NULL;

    if (why != NULL) {
        return web_refuse(question, why);
    }
    listing.entries = json_array();
    listing.store = command_store_open_until(
        question->settings, question->deadline_ms, &question->error);
    if (listing.store != NULL && search(&listing)) {
        answer = json_of_listing(&listing);
    }
    command_store_close(listing.store);
    json_decref(listing.entries);
    return answer;
}

/* --- one recipient -------------------------------------------------------- */

json_t *web_answer_recipient(struct web_question *question)
{
    const struct command_call call = {.settings = question->settings};
    struct findings findings = {.call = &call,
                                .now_us = question->now_us,
                                .deadline_ms = question->deadline_ms};
    enum mailbox_result result =
        mailbox_parse(text_of(web_argument(question, "address")),
                      &question->settings->mailbox_rules, &findings.mailbox);
    struct mailbox_pattern pattern; /* "@example.org" is a broad one */
    json_t *answer = NULL;

    if (result != MAILBOX_OK ||
        mailbox_parse_pattern(text_of(web_argument(question, "address")),
                              &question->settings->mailbox_rules,
                              &pattern) != MAILBOX_PATTERN_EXACT) {
        return web_refuse(question, "address: write ann@example.org");
    }
    if (why_find_out(&findings, &question->error)) {
        answer = why_findings_json(&findings);
    }
    why_forget(&findings);
    return answer;
}
