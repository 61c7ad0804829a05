#include "clock.h"
#include "command.h"
#include "command_entry.h"
#include "command_privacy.h"
#include "command_store.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define GLOB_SUBJECT_MAX 512
#define KIND_MAX         40 /* a module may have added a type to Redis */

/* --- show -------------------------------------------------------------- */

static void show_entry(const struct command_call *call, const char *scope,
                       const struct mailbox_pattern *pattern,
                       const struct store_key *key,
                       const struct command_entry *entry)
{
    struct text name = {pattern->text, pattern->length};

    if (call->json) {
        json_t *object = json_object();

        command_json_set(object, "pattern", name);
        command_json_set(object, "scope", text_of(scope));
        command_json_set(object, "key", (struct text){key->text, key->length});
        command_entry_set(object, entry);
        command_json_print(object);
        return;
    }
    command_put(name);
    (void)fputs("\n  key: ", stdout);
    command_put((struct text){key->text, key->length});
    (void)fputc('\n', stdout);
    command_entry_print(entry);
}

/* 1 shown, 0 there is none, -1 after a complaint. */
static int show_one(const struct command_call *call,
                    struct command_store *store, const char *scope,
                    const struct mailbox_pattern *pattern)
{
    struct command_entry entry;
    struct store_key key;
    struct error error;
    int found;

    if (!store_key_list(call->settings->key_prefix, call->command->list, scope,
                        pattern, &key)) {
        command_complain(call, "the key is too long");
        return -1;
    }
    found = command_entry_read(store, &key, &entry, &error);
    if (found > 0) {
        show_entry(call, scope, pattern, &key, &entry);
    } else if (found < 0) {
        command_complain(call, "%s", error.text);
    }
    command_entry_clear(&entry);
    return found;
}

enum command_status command_list_show(const struct command_call *call)
{
    struct mailbox_pattern pattern;
    struct mailbox_pattern pseudonym;
    struct pseudonym_key secret;
    struct command_store *store;
    struct error error;
    const char *scope;
    bool has_pseudonym;
    int found;
    int more = 0;

    if (!command_scope(call, &scope) ||
        !command_pattern(call, call->arguments[0], &pattern)) {
        return COMMAND_FAULT;
    }
    store = command_store_open(call->settings, &error);
    if (store == NULL) {
        command_complain(call, "%s", error.text);
        return COMMAND_FAULT;
    }
    has_pseudonym = command_pseudonym_pattern(command_pseudonyms(call, &secret),
                                              &pattern, &pseudonym);
    pseudonym_key_clear(&secret);
    found = show_one(call, store, scope, &pattern);
    if (has_pseudonym && found >= 0) {
        more = show_one(call, store, scope, &pseudonym);
    }
    command_store_close(store);
    if (found < 0 || more < 0) {
        return COMMAND_FAULT;
    }
    if (found + more == 0) {
        char shown[400];

        command_complain(
            call, "no entry for %s",
            text_escape((struct text){pattern.text, pattern.length}, shown,
                        sizeof shown));
    }
    return found + more > 0 ? COMMAND_OK : COMMAND_NO;
}

/* --- list -------------------------------------------------------------- */

struct listing {
    const struct command_call *call;
    struct command_store *store;
    const char *match; /* NULL: all */
    struct error error;
    bool failed;
};

/* The replies for one key, in the order in which they were asked for. */
enum { REPLY_TYPE, REPLY_LEFT, REPLY_HASH, REPLY_STRING, REPLIES };

static bool ask_key(struct listing *listing, struct text key)
{
    const struct text type[] = {text_of("TYPE"), key};
    const struct text left[] = {text_of("PTTL"), key};
    const struct text hash[] = {text_of("HMGET"), key, text_of("reason"),
                                text_of("note"), text_of("mode")};
    const struct text string[] = {text_of("GETRANGE"), key, text_of("0"),
                                  text_of("255")};

    return command_store_add(listing->store, 2, type, &listing->error) &&
           command_store_add(listing->store, 2, left, &listing->error) &&
           command_store_add(listing->store, 5, hash, &listing->error) &&
           command_store_add(listing->store, 4, string, &listing->error);
}

/* What a line tells; texts are borrowed from key and replies. */
struct line {
    struct command_store_key key;
    struct text kind, reason, note, mode;
    char expires_at[CLOCK_TIMESTAMP_SIZE]; /* "": never */
};

static struct text field_of(const redisReply *hash, size_t index)
{
    struct text none = {NULL, 0};

    return hash->type == REDIS_REPLY_ARRAY && index < hash->elements
               ? command_store_text(hash->element[index])
               : none;
}

static void make_line(redisReply *const replies[REPLIES], struct line *line)
{
    const redisReply *left = replies[REPLY_LEFT];

    line->kind = command_store_text(replies[REPLY_TYPE]);
    line->reason = field_of(replies[REPLY_HASH], 0);
    line->note = field_of(replies[REPLY_HASH], 1);
    line->mode = field_of(replies[REPLY_HASH], 2);
    if (replies[REPLY_STRING]->type == REDIS_REPLY_STRING) {
        line->note = command_store_text(replies[REPLY_STRING]);
    }
    line->expires_at[0] = '\0';
    if (left->type == REDIS_REPLY_INTEGER && left->integer >= 0) {
        command_entry_expiry(left->integer, line->expires_at);
    }
}

static void put_column(struct text text, size_t width)
{
    command_put(text);
    for (size_t i = text.length; i < width; i++) {
        (void)fputc(' ', stdout);
    }
    (void)fputc(' ', stdout);
}

static struct text or_dash(struct text text)
{
    return text.length > 0 ? text : text_of("-");
}

/* What may stand behind the end: it is the last column, of any width. */
static void put_remarks(const struct line *line)
{
    if (text_is(line->mode, "observe")) {
        (void)fputs(" [observe]", stdout);
    }
    if (line->note.length > 0) {
        (void)fputc(' ', stdout);
        command_put(line->note);
    }
    if (line->key.normal && line->key.doubt != NULL) {
        (void)printf(" (hardly ever matches: %s)", line->key.doubt);
    } else if (!line->key.normal && line->key.write.length > 0) {
        (void)fputs(" (never matches; write ", stdout);
        command_put(
            (struct text){line->key.write.text, line->key.write.length});
        (void)fputc(')', stdout);
    } else if (!line->key.normal) {
        (void)fputs(" (never matches: no mailbox or pattern)", stdout);
    }
}

static void print_line(const struct line *line)
{
    bool hash = text_is(line->kind, "hash");
    char kind[KIND_MAX];

    (void)snprintf(kind, sizeof kind, "(%.*s)", (int)line->kind.length,
                   line->kind.bytes);
    put_column(line->key.pattern, 32);
    put_column(or_dash(line->key.scope), 10);
    put_column(hash ? or_dash(line->reason) : text_of(kind), 16);
    if (line->expires_at[0] == '\0') {
        (void)fputs("never", stdout);
    } else { /* without the fraction */
        (void)printf("%.19sZ", line->expires_at);
    }
    put_remarks(line);
    (void)fputc('\n', stdout);
}

static void print_line_json(struct text key, const struct line *line)
{
    json_t *object = json_object();

    command_json_set(object, "pattern", line->key.pattern);
    command_json_set(object, "scope", line->key.scope);
    command_json_set(object, "key", key);
    command_json_set(object, "kind", line->kind);
    command_json_set(object, "reason", line->reason);
    command_json_set(object, "note", line->note);
    command_json_set(object, "mode", line->mode);
    if (line->expires_at[0] != '\0') {
        command_json_set(object, "expires_at", text_of(line->expires_at));
    }
    (void)json_object_set_new(
        object, "matches",
        json_boolean(line->key.normal && line->key.doubt == NULL));
    if (!line->key.normal && line->key.write.length > 0) {
        command_json_set(
            object, "write",
            (struct text){line->key.write.text, line->key.write.length});
    }
    command_json_print(object);
}

static bool is_wanted(const struct listing *listing, struct text pattern)
{
    char subject[GLOB_SUBJECT_MAX];

    if (listing->match == NULL) {
        return true;
    }
    (void)text_copy(pattern, subject, sizeof subject);
    return fnmatch(listing->match, subject, 0) == 0;
}

static void tell_key(struct listing *listing, struct text key,
                     redisReply *const replies[REPLIES])
{
    struct line line;

    if (!command_store_parse(listing->call->settings,
                             listing->call->command->list, key, &line.key) ||
        !is_wanted(listing, line.key.pattern)) {
        return;
    }
    make_line(replies, &line);
    if (text_is(line.kind, "none")) {
        return; /* it has ended meanwhile */
    }
    if (listing->call->json) {
        print_line_json(key, &line);
    } else {
        print_line(&line);
    }
}

static bool take_key(struct listing *listing, struct text key)
{
    redisReply *replies[REPLIES] = {NULL};
    bool whole = true;

    for (size_t i = 0; i < REPLIES && whole; i++) {
        replies[i] = command_store_next(listing->store, &listing->error);
        whole = replies[i] != NULL;
    }
    if (whole) {
        tell_key(listing, key, replies);
    }
    for (size_t i = 0; i < REPLIES; i++) {
        freeReplyObject(replies[i]);
    }
    return whole;
}

static bool list_some(struct listing *listing, const redisReply *keys,
                      size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (!ask_key(listing, command_store_text(keys->element[i]))) {
            return false;
        }
    }
    for (size_t i = first; i < end; i++) {
        if (!take_key(listing, command_store_text(keys->element[i]))) {
            return false;
        }
    }
    return true;
}

static bool list_keys(void *context, const redisReply *keys)
{
    struct listing *listing = context;

    for (size_t i = 0; i < keys->elements; i += COMMAND_STORE_BATCH) {
        size_t end = i + COMMAND_STORE_BATCH;

        if (!list_some(listing, keys, i,
                       end < keys->elements ? end : keys->elements)) {
            listing->failed = true;
            return false;
        }
        if (!command_output_flows()) {
            return false;
        }
    }
    return true;
}

enum command_status command_list_list(const struct command_call *call)
{
    struct listing listing = {.call = call,
                              .match = command_value(call, "match")};
    struct command_store_walk walk = {
        .list = call->command->list,
        .visit = list_keys,
        .context = &listing,
    };
    enum command_status status = COMMAND_OK;

    if (!command_scope(call, &walk.scope)) {
        return COMMAND_FAULT;
    }
    listing.store = command_store_open(call->settings, &listing.error);
    if (listing.store == NULL ||
        !command_store_walk(listing.store, call->settings, &walk,
                            &listing.error) ||
        listing.failed) {
        command_complain(call, "%s", listing.error.text);
        status = COMMAND_FAULT;
    }
    command_store_close(listing.store);
    return status;
}
