#include "list_watch_look.h"

#include "clock.h"
#include "redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS   2000
#define WORDS_MAX    (2 + LIST_KNOWN_FIELDS)
#define STRING_LAST  "4095" /* the index of the last byte of a note */
#define ANSWERS      4      /* of a transaction, for each entry */
#define LEARN_TRIES  20
#define PATTERN_SIZE (2 * STORE_PREFIX_MAX + 16)

struct list_watch_look {
    struct redis_link *link;
    const char *prefix;
    char pattern[PATTERN_SIZE]; /* of both lists */
    int64_t deadline_ms;
    bool refused;
    redisReply *read; /* what entries borrow from */
};

/* ---- entries ---- */

/* "suppress@news:ann@example.org": the list, the scope, the pattern. */
static bool take_name(struct list_watch_entry *entry, const char *prefix)
{
    static const char *const words[] = {
        [STORE_SUPPRESS] = "suppress",
        [STORE_ALLOW] = "allow",
    };
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    const char *colon = memchr(entry->name.bytes, ':', entry->name.length);
    size_t head = colon == NULL ? 0 : (size_t)(colon - entry->name.bytes);
    struct text text;
    struct store_key again;

    if (head == 0) {
        return false;
    }
    text = (struct text){colon + 1, entry->name.length - head - 1};
    for (entry->list = STORE_SUPPRESS;; entry->list = STORE_ALLOW) {
        size_t length = strlen(words[entry->list]);

        if (head >= length &&
            memcmp(entry->name.bytes, words[entry->list], length) == 0) {
            if (head > length) {
                (void)text_copy((struct text){entry->name.bytes + length + 1,
                                              head - length - 1},
                                entry->scope, sizeof entry->scope);
            }
            break;
        }
        if (entry->list == STORE_ALLOW) {
            return false;
        }
    }
    /* what is not written so is never looked up */
    return mailbox_parse_pattern(text, &as_it_is, &entry->pattern) !=
               MAILBOX_PATTERN_INVALID &&
           store_key_list(prefix, entry->list, entry->scope, &entry->pattern,
                          &again) &&
           again.length == entry->key.length &&
           memcmp(again.text, entry->key.text, again.length) == 0;
}

bool list_watch_entry_init(struct list_watch_entry *entry, const char *prefix,
                           struct text key)
{
    size_t length = strlen(prefix);
    unsigned bucket;

    memset(entry, 0, sizeof *entry);
    if (key.length <= length || key.length >= sizeof entry->key.text ||
        memcmp(key.bytes, prefix, length) != 0) {
        return false;
    }
    entry->key.length = text_copy(key, entry->key.text, sizeof entry->key.text);
    entry->name =
        (struct text){entry->key.text + length, entry->key.length - length};
    if (!take_name(entry, prefix)) {
        return false;
    }
    bucket = store_bucket_of_pattern(&entry->pattern);
    entry->wanted = true;
    return store_key_history(prefix, bucket, STORE_KNOWN, text_of(NULL),
                             &entry->known_key) &&
           store_key_history(prefix, bucket, STORE_CLAIM, entry->name,
                             &entry->claim_key);
}

bool list_watch_entry_differs(const struct list_watch_entry *entry)
{
    return entry->present ? !list_known_is(entry->known, &entry->says)
                          : entry->known.bytes != NULL;
}

/* ---- talking ---- */

/* One pattern for both lists: no other key of ours begins so. */
static void make_pattern(struct list_watch_look *look)
{
    char *to = look->pattern;

    for (const char *from = look->prefix; *from != '\0'; from++) {
        if (strchr("*?[]^\\", *from) != NULL) {
            *to++ = '\\';
        }
        *to++ = *from;
    }
    memcpy(to, "[sa][ul]*", sizeof "[sa][ul]*");
}

struct list_watch_look *list_watch_look_new(struct redis_endpoint *endpoint,
                                            const char *prefix)
{
    struct list_watch_look *look = calloc(1, sizeof *look);

    if (look == NULL) {
        return NULL;
    }
    look->prefix = prefix;
    make_pattern(look);
    look->link = redis_link_new(endpoint);
    if (look->link == NULL) {
        free(look);
        return NULL;
    }
    return look;
}

static void forget_read(struct list_watch_look *look)
{
    freeReplyObject(look->read);
    look->read = NULL;
}

void list_watch_look_free(struct list_watch_look *look)
{
    if (look != NULL) {
        forget_read(look);
        redis_link_free(look->link);
        free(look);
    }
}

bool list_watch_look_open(struct list_watch_look *look, struct error *error)
{
    look->refused = false;
    if (redis_link_open(look->link, clock_monotonic_ms() + CONNECT_MS, error)) {
        return true;
    }
    look->refused = redis_link_fault(look->link) == REDIS_FAULT_LOGIN;
    return false;
}

bool list_watch_look_refused(const struct list_watch_look *look)
{
    return look->refused;
}

static struct text text_in(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING
               ? (struct text){reply->str, (size_t)reply->len}
               : (struct text){NULL, 0};
}

static struct text text_of_key(const struct store_key *key)
{
    return (struct text){key->text, key->length};
}

#define SAY(look, ...)                                                         \
    redis_link_texts((look)->link,                                             \
                     sizeof((struct text[]){__VA_ARGS__}) /                    \
                         sizeof(struct text),                                  \
                     (struct text[]){__VA_ARGS__})

static bool no_memory(struct list_watch_look *look, struct error *error)
{
    error_set(error, "redis: out of memory");
    redis_link_close(look->link);
    return false;
}

static void begin(struct list_watch_look *look)
{
    look->refused = false;
    look->deadline_ms = clock_monotonic_ms() + LIST_WATCH_ANSWER_MS;
}

static bool refuse(struct list_watch_look *look, const redisReply *reply,
                   struct error *error)
{
    enum redis_fault fault = redis_fault_of(reply);
    char shown[256];

    look->refused = fault != REDIS_FAULT_BUSY && fault != REDIS_FAULT_MOVED_ON;
    error_set(error, "redis: %s",
              reply->type == REDIS_REPLY_ERROR
                  ? text_escape((struct text){reply->str, (size_t)reply->len},
                                shown, sizeof shown)
                  : "unexpected reply");
    redis_link_close(look->link);
    return false;
}

/* The next reply, or NULL with error; an error reply ends the talk. */
static redisReply *take(struct list_watch_look *look, struct error *error)
{
    redisReply *reply = redis_link_reply(look->link, look->deadline_ms, error);

    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        (void)refuse(look, reply, error);
        freeReplyObject(reply);
        return NULL;
    }
    return reply;
}

static bool pass(struct list_watch_look *look, size_t count,
                 struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        redisReply *reply = take(look, error);

        if (reply == NULL) {
            return false;
        }
        freeReplyObject(reply);
    }
    return true;
}

/* ---- reading ---- */

static size_t count_wanted(const struct list_watch_entry *entries, size_t count)
{
    size_t wanted = 0;

    for (size_t i = 0; i < count; i++) {
        wanted += entries[i].wanted;
    }
    return wanted;
}

static bool say_claims(struct list_watch_look *look,
                       const struct list_watch_entry *entries, size_t count)
{
    char claim_ms[16];
    bool said =
        snprintf(claim_ms, sizeof claim_ms, "%d", LIST_WATCH_CLAIM_MS) > 0;

    for (size_t i = 0; said && i < count; i++) {
        if (entries[i].wanted) {
            said = SAY(look, text_of("SET"), text_of_key(&entries[i].claim_key),
                       text_of("1"), text_of("NX"), text_of("PX"),
                       text_of(claim_ms));
        }
    }
    return said;
}

static bool say_questions(struct list_watch_look *look,
                          const struct list_watch_entry *entry)
{
    struct text key = text_of_key(&entry->key);
    struct text fields[WORDS_MAX] = {text_of("HMGET"), key};

    for (size_t i = 0; i < LIST_KNOWN_FIELDS; i++) {
        fields[2 + i] = text_of(list_known_names[i]);
    }
    return SAY(look, text_of("PTTL"), key) &&
           redis_link_texts(look->link, 2 + LIST_KNOWN_FIELDS, fields) &&
           SAY(look, text_of("GETRANGE"), key, text_of("0"),
               text_of(STRING_LAST)) &&
           SAY(look, text_of("HGET"), text_of_key(&entry->known_key),
               entry->name);
}

static bool say_all(struct list_watch_look *look,
                    const struct list_watch_entry *entries, size_t count)
{
    bool said = SAY(look, text_of("MULTI")) && SAY(look, text_of("TIME"));

    for (size_t i = 0; said && i < count; i++) {
        said = !entries[i].wanted || say_questions(look, &entries[i]);
    }
    return said && SAY(look, text_of("EXEC"));
}

/* A claim that is not ours is nil. */
static bool take_claims(struct list_watch_look *look,
                        struct list_watch_entry *entries, size_t count,
                        struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        redisReply *reply;

        if (!entries[i].wanted) {
            continue;
        }
        reply = take(look, error);
        if (reply == NULL) {
            return false;
        }
        entries[i].claimed = reply->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
    }
    return true;
}

static void understand(struct list_watch_entry *entry, int64_t now_s,
                       redisReply *const *answers)
{
    const redisReply *fields = answers[1];

    memset(&entry->says, 0, sizeof entry->says);
    entry->now_s = now_s;
    entry->left_ms =
        answers[0]->type == REDIS_REPLY_INTEGER ? answers[0]->integer : -2;
    entry->present = entry->left_ms != -2;
    entry->known = text_in(answers[3]);
    if (entry->left_ms >= 0) {
        entry->says.ends_s = now_s + (entry->left_ms + 999) / 1000;
    }
    entry->says.kind = LIST_KNOWN_OTHER;
    if (fields->type == REDIS_REPLY_ARRAY &&
        fields->elements == LIST_KNOWN_FIELDS) {
        entry->says.kind = LIST_KNOWN_HASH;
        for (size_t i = 0; i < LIST_KNOWN_FIELDS; i++) {
            entry->says.fields[i] = text_in(fields->element[i]);
        }
    } else if (answers[2]->type == REDIS_REPLY_STRING) {
        entry->says.kind = LIST_KNOWN_STRING;
        entry->says.fields[LIST_KNOWN_NOTE] = text_in(answers[2]);
    }
}

static bool take_all(struct list_watch_look *look,
                     struct list_watch_entry *entries, size_t count,
                     struct error *error)
{
    size_t wanted = count_wanted(entries, count);
    redisReply *const *at;
    int64_t now_s;

    if (!pass(look, 2 + ANSWERS * wanted, error)) {
        return false;
    }
    look->read = take(look, error);
    if (look->read == NULL) {
        return false;
    }
    if (look->read->type != REDIS_REPLY_ARRAY ||
        look->read->elements != 1 + ANSWERS * wanted ||
        look->read->element[0]->type != REDIS_REPLY_ARRAY ||
        look->read->element[0]->elements != 2) {
        return refuse(look, look->read, error);
    }
    at = look->read->element;
    now_s = strtoll(at[0]->element[0]->str, NULL, 10);
    at++;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].wanted) {
            understand(&entries[i], now_s, at);
            at += ANSWERS;
        }
    }
    return true;
}

bool list_watch_look_read(struct list_watch_look *look,
                          struct list_watch_entry *entries, size_t count,
                          bool claim, struct error *error)
{
    forget_read(look);
    begin(look);
    if (count_wanted(entries, count) == 0) {
        return true;
    }
    if ((claim && !say_claims(look, entries, count)) ||
        !say_all(look, entries, count)) {
        return no_memory(look, error);
    }
    return (!claim || take_claims(look, entries, count, error)) &&
           take_all(look, entries, count, error);
}

/* ---- learning ---- */

static bool is_same(struct text one, struct text other)
{
    return (one.bytes == NULL) == (other.bytes == NULL) &&
           one.length == other.length &&
           (one.length == 0 || memcmp(one.bytes, other.bytes, one.length) == 0);
}

bool list_watch_look_release(struct list_watch_look *look,
                             const struct list_watch_entry *entry,
                             struct error *error)
{
    begin(look);
    return SAY(look, text_of("DEL"), text_of_key(&entry->claim_key))
               ? pass(look, 1, error)
               : no_memory(look, error);
}

static bool say_change(struct list_watch_look *look,
                       const struct list_watch_entry *entry)
{
    struct text key = text_of_key(&entry->known_key);
    char value[LIST_KNOWN_SIZE];

    if (!entry->present) {
        return SAY(look, text_of("HDEL"), key, entry->name);
    }
    list_known_format(&entry->says, value);
    return SAY(look, text_of("HSET"), key, entry->name, text_of(value));
}

/* Whether known is what was read still; it is watched from here on. */
static bool watch(struct list_watch_look *look,
                  const struct list_watch_entry *entry, bool *same,
                  struct error *error)
{
    struct text key = text_of_key(&entry->known_key);
    redisReply *reply;

    if (!SAY(look, text_of("WATCH"), key) ||
        !SAY(look, text_of("HGET"), key, entry->name)) {
        return no_memory(look, error);
    }
    if (!pass(look, 1, error)) {
        return false;
    }
    reply = take(look, error);
    if (reply == NULL) {
        return false;
    }
    *same = is_same(text_in(reply), entry->known);
    freeReplyObject(reply);
    return true;
}

/* *done: false when somebody wrote the hash meanwhile. */
static bool change(struct list_watch_look *look,
                   const struct list_watch_entry *entry, bool *done,
                   struct error *error)
{
    redisReply *reply;

    if (!SAY(look, text_of("MULTI")) || !say_change(look, entry) ||
        !SAY(look, text_of("DEL"), text_of_key(&entry->claim_key)) ||
        !SAY(look, text_of("EXEC"))) {
        return no_memory(look, error);
    }
    if (!pass(look, 3, error)) {
        return false;
    }
    reply = take(look, error);
    if (reply == NULL) {
        return false;
    }
    *done = reply->type == REDIS_REPLY_ARRAY;
    freeReplyObject(reply);
    return true;
}

static bool learn_one(struct list_watch_look *look,
                      const struct list_watch_entry *entry, struct error *error)
{
    bool done = false;

    for (int i = 0; i < LEARN_TRIES && !done; i++) {
        bool same = false;

        begin(look);
        if (!watch(look, entry, &same, error)) {
            return false;
        }
        if (!same) {
            return (SAY(look, text_of("UNWATCH")) || no_memory(look, error)) &&
                   pass(look, 1, error) &&
                   list_watch_look_release(look, entry, error);
        }
        if (!change(look, entry, &done, error)) {
            return false;
        }
    }
    if (!done) {
        error_set(error, "redis: no quiet moment");
    }
    return done;
}

/* Of what nobody has told yet, HSETNX knows whether that is so still. */
static bool is_new(const struct list_watch_entry *entry)
{
    return entry->present && entry->known.bytes == NULL;
}

static bool learn_new(struct list_watch_look *look,
                      const struct list_watch_entry *entries, size_t count,
                      struct error *error)
{
    size_t replies = 0;

    begin(look);
    for (size_t i = 0; i < count; i++) {
        const struct list_watch_entry *entry = &entries[i];
        char value[LIST_KNOWN_SIZE];

        if (!entry->wanted || !is_new(entry)) {
            continue;
        }
        list_known_format(&entry->says, value);
        if (!SAY(look, text_of("HSETNX"), text_of_key(&entry->known_key),
                 entry->name, text_of(value)) ||
            (entry->claimed &&
             !SAY(look, text_of("DEL"), text_of_key(&entry->claim_key)))) {
            return no_memory(look, error);
        }
        replies += entry->claimed ? 2 : 1;
    }
    return pass(look, replies, error);
}

bool list_watch_look_learn(struct list_watch_look *look,
                           struct list_watch_entry *entries, size_t count,
                           struct error *error)
{
    if (!learn_new(look, entries, count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (entries[i].wanted && !is_new(&entries[i]) &&
            !learn_one(look, &entries[i], error)) {
            return false;
        }
    }
    return true;
}

/* ---- the mark, and walks ---- */

/* A field that is no entry's: it goes when what is known goes. */
static bool mark_key(const struct list_watch_look *look, struct store_key *key)
{
    return store_key_history(look->prefix, 0, STORE_KNOWN, text_of(NULL), key);
}

bool list_watch_look_mark(struct list_watch_look *look, bool *there,
                          struct error *error)
{
    struct store_key key;
    redisReply *reply;

    begin(look);
    if (!mark_key(look, &key) ||
        !SAY(look, text_of("HGET"), text_of_key(&key), text_of(""))) {
        return no_memory(look, error);
    }
    reply = take(look, error);
    if (reply == NULL) {
        return false;
    }
    *there = reply->type == REDIS_REPLY_STRING;
    freeReplyObject(reply);
    return true;
}

bool list_watch_look_set_mark(struct list_watch_look *look, const char *at,
                              struct error *error)
{
    struct store_key key;

    begin(look);
    return ((mark_key(look, &key) &&
             SAY(look, text_of("HSETNX"), text_of_key(&key), text_of(""),
                 text_of(at))) ||
            no_memory(look, error)) &&
           pass(look, 1, error);
}

static bool take_page(struct list_watch_look *look,
                      struct list_watch_page *page, struct error *error)
{
    redisReply *reply = take(look, error);

    if (reply == NULL) {
        return false;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY ||
        (size_t)reply->element[0]->len >= sizeof page->cursor) {
        (void)refuse(look, reply, error);
        freeReplyObject(reply);
        return false;
    }
    (void)text_copy(text_in(reply->element[0]), page->cursor,
                    sizeof page->cursor);
    page->reply = reply;
    return true;
}

static struct text cursor_of(const struct list_watch_page *page)
{
    return text_of(page->cursor[0] == '\0' ? "0" : page->cursor);
}

bool list_watch_look_keys(struct list_watch_look *look,
                          struct list_watch_page *page, struct error *error)
{
    list_watch_page_clear(page);
    begin(look);
    return (SAY(look, text_of("SCAN"), cursor_of(page), text_of("MATCH"),
                text_of(look->pattern), text_of("COUNT"), text_of("200")) ||
            no_memory(look, error)) &&
           take_page(look, page, error);
}

/* Names and values in turns. */
bool list_watch_look_known(struct list_watch_look *look, unsigned bucket,
                           struct list_watch_page *page, struct error *error)
{
    struct store_key key;

    list_watch_page_clear(page);
    begin(look);
    return ((store_key_history(look->prefix, bucket, STORE_KNOWN, text_of(NULL),
                               &key) &&
             SAY(look, text_of("HSCAN"), text_of_key(&key), cursor_of(page),
                 text_of("COUNT"), text_of("100"))) ||
            no_memory(look, error)) &&
           take_page(look, page, error);
}

size_t list_watch_page_count(const struct list_watch_page *page)
{
    return page->reply == NULL ? 0 : (size_t)page->reply->element[1]->elements;
}

struct text list_watch_page_at(const struct list_watch_page *page, size_t index)
{
    return text_in(page->reply->element[1]->element[index]);
}

void list_watch_page_clear(struct list_watch_page *page)
{
    freeReplyObject(page->reply);
    page->reply = NULL;
}
