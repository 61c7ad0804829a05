#include "suppression.h"

#include "clock.h"
#include "forgotten.h"
#include "suppression_pool.h"
#include "suppression_track.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct suppression {
    struct suppression_pool *pool;
    struct suppression_track *track; /* NULL: each lookup asks Redis */
    const char *key_prefix;
    const struct pseudonym_key *pseudonyms; /* or NULL */
    struct forgotten *forgotten;            /* or NULL */
    int timeout_ms;
    struct suppression_counts counts;
};

/* What one lookup asks for: its keys are numbered, none is stored. */
struct question {
    const char *key_prefix;
    const struct mailbox *mailbox;
    const char *scope;                /* NULL: only the lists for all */
    struct mailbox_pattern pseudonym; /* as exact; of no kind: there is none */
    size_t patterns;
    size_t first; /* the first that there is, says the cache; or SIZE_MAX */
};

static void add_pseudonym(struct question *question,
                          const struct pseudonym_key *pseudonyms,
                          struct forgotten *forgotten)
{
    const struct mailbox *mailbox = question->mailbox;
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    char name[PSEUDONYM_SIZE];
    bool has_one =
        (pseudonyms != NULL && pseudonym_of(pseudonyms, mailbox, name)) ||
        (forgotten != NULL && forgotten_is(forgotten, mailbox, name));

    if (has_one && strcmp(name, mailbox->address) != 0) {
        (void)mailbox_parse_pattern(text_of(name), &as_it_is,
                                    &question->pseudonym);
    }
}

/* The pseudonym stands behind the mailbox itself, which is the first. */
static bool pattern_at(const struct question *question, size_t index,
                       struct mailbox_pattern *pattern)
{
    if (question->pseudonym.kind == MAILBOX_PATTERN_INVALID || index == 0) {
        return mailbox_candidate(question->mailbox, index, pattern);
    }
    if (index == 1) {
        *pattern = question->pseudonym;
        return true;
    }
    return mailbox_candidate(question->mailbox, index - 1, pattern);
}

static void begin_question(struct question *question, const char *key_prefix,
                           const struct pseudonym_key *pseudonyms,
                           struct forgotten *forgotten,
                           const struct mailbox *mailbox, const char *scope)
{
    struct mailbox_pattern pattern;
    struct store_key key;

    question->key_prefix = key_prefix;
    question->mailbox = mailbox;
    question->scope = NULL;
    question->first = SIZE_MAX;
    question->pseudonym.kind = MAILBOX_PATTERN_INVALID;
    add_pseudonym(question, pseudonyms, forgotten);
    question->patterns = mailbox_candidates(mailbox);
    if (question->pseudonym.kind != MAILBOX_PATTERN_INVALID) {
        question->patterns++;
    }
    /* a scope whose name cannot stand in a key has no lists */
    if (scope != NULL && scope[0] != '\0' &&
        mailbox_candidate(mailbox, 0, &pattern) &&
        store_key_list(key_prefix, STORE_ALLOW, scope, &pattern, &key)) {
        question->scope = scope;
    }
}

/*
 * Allow before suppress, in each the patterns from the most telling on, for
 * each the scope before all. Fills list, scope, pattern and key.
 */
static bool candidate(const struct question *question, size_t index,
                      struct suppression_entry *entry)
{
    size_t scopes = question->scope == NULL ? 1 : 2;
    size_t in_list = question->patterns * scopes;
    const char *scope;

    if (index >= 2 * in_list) {
        return false;
    }
    entry->list = index < in_list ? STORE_ALLOW : STORE_SUPPRESS;
    index %= in_list;
    scope = scopes == 2 && index % 2 == 0 ? question->scope : "";
    (void)text_copy(text_of(scope), entry->scope, sizeof entry->scope);
    return pattern_at(question, index / scopes, &entry->pattern) &&
           store_key_list(question->key_prefix, entry->list, entry->scope,
                          &entry->pattern, &entry->key);
}

bool suppression_candidate(const char *key_prefix,
                           const struct pseudonym_key *pseudonyms,
                           const struct mailbox *mailbox, const char *scope,
                           size_t index, struct store_key *key)
{
    struct question question;
    struct suppression_entry entry;

    begin_question(&question, key_prefix, pseudonyms, NULL, mailbox, scope);
    if (!candidate(&question, index, &entry)) {
        return false;
    }
    *key = entry.key;
    return true;
}

/* One lookup on its way. */
struct lookup {
    struct redis_link *link;
    int64_t deadline_ms;
    size_t answered; /* replies since the question was asked */
};

/* A command on the entry's key, with arguments behind the key or NULL. */
static bool queue(const struct lookup *lookup, const char *verb,
                  const struct suppression_entry *entry,
                  const char *const *arguments, size_t count)
{
    const char *argv[12] = {verb, entry->key.text};
    size_t lengths[12] = {strlen(verb), entry->key.length};

    for (size_t i = 0; i < count; i++) {
        argv[2 + i] = arguments[i];
        lengths[2 + i] = strlen(arguments[i]);
    }
    return redis_link_command(lookup->link, 2 + count, argv, lengths);
}

/* From that one on, or it only; how many. SIZE_MAX with error: no memory. */
static size_t queue_types(const struct lookup *lookup,
                          const struct question *question, size_t from,
                          bool only, struct error *error)
{
    struct suppression_entry entry;
    size_t asked = 0;

    while ((asked == 0 || !only) && candidate(question, from + asked, &entry)) {
        if (!queue(lookup, "TYPE", &entry, NULL, 0)) {
            error_set(error, "redis: out of memory");
            return SIZE_MAX;
        }
        asked++;
    }
    return asked;
}

/* The kind that TYPE tells; false with error when it tells something else. */
static bool read_kind(struct lookup *lookup, char kind[16], struct error *error)
{
    redisReply *reply =
        redis_link_reply(lookup->link, lookup->deadline_ms, error);
    char shown[256];
    bool told;

    if (reply == NULL) {
        return false;
    }
    lookup->answered++;
    told = reply->type == REDIS_REPLY_STATUS;
    if (told) {
        (void)text_copy((struct text){reply->str, (size_t)reply->len}, kind,
                        16);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        (void)text_escape((struct text){reply->str, (size_t)reply->len}, shown,
                          sizeof shown);
        error_set(error, "redis: TYPE refused: %s", shown);
    } else {
        error_set(error, "redis: unexpected reply to TYPE");
    }
    freeReplyObject(reply);
    return told;
}

/*
 * Asks all keys, or if it is not SIZE_MAX the one at `only`; *hit is the
 * first that exists, or SIZE_MAX. False with error when not all were answered.
 */
static bool find_hit(struct lookup *lookup, const struct question *question,
                     size_t only, size_t *hit, char hit_kind[16],
                     struct error *error)
{
    const size_t from = only == SIZE_MAX ? 0 : only;
    const size_t asked =
        queue_types(lookup, question, from, only != SIZE_MAX, error);

    *hit = SIZE_MAX;
    if (asked == SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < asked; i++) {
        char kind[16];

        if (!read_kind(lookup, kind, error)) {
            return false;
        }
        if (*hit == SIZE_MAX && strcmp(kind, "none") != 0) {
            *hit = from + i;
            memcpy(hit_kind, kind, sizeof kind);
        }
    }
    return true;
}

/* How much of text fits, without half a UTF-8 sequence at the cut. */
static size_t whole_length(const char *text, size_t length, size_t limit)
{
    size_t cut = limit;

    if (length <= limit) {
        return length;
    }
    for (size_t back = 0; back < 3 && cut > 0; back++) {
        if (((unsigned char)text[cut] & 0xc0) != 0x80) {
            return cut;
        }
        cut--;
    }
    /* a sequence has at most three bytes behind its first, or it is none */
    return ((unsigned char)text[cut] & 0xc0) == 0xc0 ? cut : limit;
}

static void copy_field(const redisReply *reply,
                       char field[SUPPRESSION_FIELD_MAX + 1])
{
    size_t length;

    field[0] = '\0';
    if (reply->type != REDIS_REPLY_STRING) {
        return;
    }
    length =
        whole_length(reply->str, (size_t)reply->len, SUPPRESSION_FIELD_MAX);
    for (size_t i = 0; i < length; i++) {
        field[i] = (char)(reply->str[i] == '\0' ? '?' : reply->str[i]);
    }
    field[length] = '\0';
}

static const struct entry_field {
    const char *name;
    size_t offset;
} entry_fields[] = {
    {"reason", offsetof(struct suppression_entry, reason)},
    {"type", offsetof(struct suppression_entry, type)},
    {"origin", offsetof(struct suppression_entry, origin)},
    {"note", offsetof(struct suppression_entry, note)},
    {"by", offsetof(struct suppression_entry, by)},
    {"added_at", offsetof(struct suppression_entry, added_at)},
    {"mode", offsetof(struct suppression_entry, mode)},
};
#define ENTRY_FIELDS (sizeof entry_fields / sizeof entry_fields[0])

static bool queue_hash(const struct lookup *lookup,
                       const struct suppression_entry *entry)
{
    const char *names[ENTRY_FIELDS];

    for (size_t i = 0; i < ENTRY_FIELDS; i++) {
        names[i] = entry_fields[i].name;
    }
    return queue(lookup, "HMGET", entry, names, ENTRY_FIELDS);
}

static void read_hash(const redisReply *reply, struct suppression_entry *entry)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != ENTRY_FIELDS) {
        return;
    }
    for (size_t i = 0; i < ENTRY_FIELDS; i++) {
        copy_field(reply->element[i], (char *)entry + entry_fields[i].offset);
    }
}

/* One byte more than is kept tells where a sequence is cut. */
static bool queue_string(const struct lookup *lookup,
                         const struct suppression_entry *entry)
{
    char last[16];
    const char *range[] = {"0", last};

    return snprintf(last, sizeof last, "%d", SUPPRESSION_FIELD_MAX) > 0 &&
           queue(lookup, "GETRANGE", entry, range, 2);
}

static void read_string(const redisReply *reply,
                        struct suppression_entry *entry)
{
    copy_field(reply, entry->note);
}

/* The Redis types that say more than that the key exists. */
static const struct entry_kind {
    const char *name;
    bool (*queue)(const struct lookup *lookup,
                  const struct suppression_entry *entry);
    void (*read)(const redisReply *reply, struct suppression_entry *entry);
} entry_kinds[] = {
    {"hash", queue_hash, read_hash},
    {"string", queue_string, read_string},
};

static const struct entry_kind *kind_of(const struct suppression_entry *entry)
{
    for (size_t i = 0; i < sizeof entry_kinds / sizeof entry_kinds[0]; i++) {
        if (strcmp(entry->kind, entry_kinds[i].name) == 0) {
            return &entry_kinds[i];
        }
    }
    return NULL;
}

/* False when the key has gone meanwhile. */
static bool read_lifetime(const redisReply *reply,
                          struct suppression_entry *entry)
{
    if (reply->type != REDIS_REPLY_INTEGER) {
        return true;
    }
    if (reply->integer >= 0 && reply->integer < INT64_MAX / 4000) {
        entry->expires_at_us = clock_now_us() + reply->integer * 1000;
    }
    return reply->integer != -2;
}

/*
 * Reads what the entry says. False when it has gone meanwhile; when there is
 * no answer it stays known that it was there.
 */
static bool read_entry(struct lookup *lookup, struct suppression_entry *entry)
{
    const struct entry_kind *kind = kind_of(entry);
    redisReply *content = NULL;
    redisReply *lifetime = NULL;
    bool exists = true;

    if ((kind != NULL && !kind->queue(lookup, entry)) ||
        !queue(lookup, "PTTL", entry, NULL, 0)) {
        redis_link_close(lookup->link); /* out of memory: nothing half asked */
        entry->unread = true;
        return true;
    }
    if (kind != NULL) {
        content = redis_link_reply(lookup->link, lookup->deadline_ms, NULL);
    }
    if (kind == NULL || content != NULL) {
        lifetime = redis_link_reply(lookup->link, lookup->deadline_ms, NULL);
    }
    if (lifetime != NULL) {
        exists = read_lifetime(lifetime, entry);
    }
    if (content != NULL) {
        kind->read(content, entry);
    }
    entry->unread = kind != NULL && content == NULL;
    freeReplyObject(lifetime);
    freeReplyObject(content);
    return exists;
}

static enum suppression_result ask(struct lookup *lookup,
                                   const struct question *question,
                                   struct suppression_entry *entry,
                                   struct error *error)
{
    /*
     * First the one that the cache names: those before it are as absent as a
     * miss is. Then all, and again: an entry that goes between the two trips
     * lets another decide.
     */
    for (int attempt = question->first == SIZE_MAX; attempt < 3; attempt++) {
        size_t only = attempt == 0 ? question->first : SIZE_MAX;
        size_t hit;

        memset(entry, 0, sizeof *entry);
        if (!redis_link_open(lookup->link, lookup->deadline_ms, error) ||
            !find_hit(lookup, question, only, &hit, entry->kind, error)) {
            return SUPPRESSION_UNAVAILABLE;
        }
        if (hit == SIZE_MAX && attempt == 0) {
            continue; /* it is gone, or another name has its fingerprint */
        }
        if (hit == SIZE_MAX || !candidate(question, hit, entry)) {
            return SUPPRESSION_ABSENT;
        }
        if (read_entry(lookup, entry)) {
            return entry->list == STORE_ALLOW ? SUPPRESSION_ALLOWED
                                              : SUPPRESSION_FOUND;
        }
    }
    return SUPPRESSION_ABSENT;
}

/*
 * The server may have gone and come back since the link was last used: what
 * fails before its first answer is asked again, once, on a new connection.
 */
static enum suppression_result ask_patiently(struct lookup *lookup,
                                             const struct question *question,
                                             struct suppression_entry *entry,
                                             struct error *error)
{
    bool is_used = redis_link_is_open(lookup->link);
    enum suppression_result result = ask(lookup, question, entry, error);

    if (result == SUPPRESSION_UNAVAILABLE && is_used && lookup->answered == 0 &&
        clock_monotonic_ms() < lookup->deadline_ms) {
        redis_link_close(lookup->link);
        result = ask(lookup, question, entry, error);
    }
    if (result == SUPPRESSION_UNAVAILABLE) {
        redis_link_close(lookup->link); /* there may be more to come */
    }
    return result;
}

/* ---- from memory ----------------------------------------------------------
 */

#define AT_ONCE 8 /* patterns whose slots are brought near together */

/*
 * The fingerprints of one pattern: of each list, for the scope and for all; 0
 * where the lists have no key of that kind.
 */
struct prints {
    uint64_t of[2][2];
};

static bool take_prints(const struct suppression *list,
                        const struct question *question,
                        suppression_kinds kinds, size_t index,
                        struct prints *prints)
{
    const struct suppression_cache *cache =
        suppression_track_cache(list->track);
    size_t scopes = question->scope == NULL ? 1 : 2;
    struct mailbox_pattern pattern;
    struct store_key key;

    if (!pattern_at(question, index, &pattern)) {
        return false;
    }
    for (size_t of = 0; of < 2; of++) {
        for (size_t scope = 0; scope < scopes; scope++) {
            const enum store_list which =
                of == 0 ? STORE_ALLOW : STORE_SUPPRESS;
            const bool for_scope = scopes == 2 && scope == 0;

            prints->of[of][scope] = 0;
            if ((kinds & suppression_kind(
                             which, for_scope,
                             (struct text){pattern.text, pattern.length})) ==
                0) {
                continue;
            }
            if (!store_key_list(question->key_prefix, which,
                                for_scope ? question->scope : NULL, &pattern,
                                &key)) {
                return false;
            }
            prints->of[of][scope] = suppression_cache_fingerprint(
                cache, (struct text){key.text, key.length});
            suppression_cache_fetch(cache, prints->of[of][scope]);
        }
    }
    return true;
}

/* The first candidate that the prints of a pattern name, or SIZE_MAX. */
static size_t first_of(const struct suppression *list,
                       const struct question *question, size_t pattern,
                       const struct prints *prints)
{
    const struct suppression_cache *cache =
        suppression_track_cache(list->track);
    size_t scopes = question->scope == NULL ? 1 : 2;

    for (size_t of = 0; of < 2; of++) {
        for (size_t scope = 0; scope < scopes; scope++) {
            if (prints->of[of][scope] != 0 &&
                suppression_cache_has(cache, prints->of[of][scope])) {
                return of * question->patterns * scopes + pattern * scopes +
                       scope;
            }
        }
    }
    return SIZE_MAX;
}

/* The first candidate of all that the cache has, or SIZE_MAX. */
static size_t find_in_cache(const struct suppression *list,
                            const struct question *question)
{
    const suppression_kinds kinds =
        suppression_cache_kinds(suppression_track_cache(list->track));
    /* only the first, and the pseudonym, can have no @ at either end */
    const size_t addresses =
        question->pseudonym.kind == MAILBOX_PATTERN_INVALID ? 1 : 2;
    const size_t patterns = (kinds & ~SUPPRESSION_KINDS_ADDRESS) == 0
                                ? addresses
                                : question->patterns;
    size_t first = SIZE_MAX;

    for (size_t from = 0; from < patterns; from += AT_ONCE) {
        struct prints prints[AT_ONCE];
        size_t count = 0;

        while (
            count < AT_ONCE && from + count < patterns &&
            take_prints(list, question, kinds, from + count, &prints[count])) {
            count++;
        }
        for (size_t i = 0; i < count; i++) {
            size_t hit = first_of(list, question, from + i, &prints[i]);

            first = hit < first ? hit : first;
        }
    }
    return first;
}

/* True: it has none. Else the question knows which to ask about, if any. */
static bool is_absent(const struct suppression *list, struct question *question,
                      int64_t now_ms)
{
    if (list->track == NULL ||
        !suppression_track_is_current(list->track, now_ms)) {
        return false;
    }
    question->first = find_in_cache(list, question);
    return question->first == SIZE_MAX;
}

/* Redis did not tell all: what the list said when it was last known. */
static void remember(const struct suppression *list,
                     const struct question *question,
                     struct suppression_entry *entry)
{
    int64_t age_ms;
    size_t hit;

    entry->last_known = SUPPRESSION_UNAVAILABLE;
    if (list->track == NULL ||
        !suppression_track_age(list->track, clock_monotonic_ms(), &age_ms)) {
        return;
    }
    entry->age_seconds = age_ms / 1000;
    entry->last_known = SUPPRESSION_ABSENT;
    hit = find_in_cache(list, question);
    if (hit != SIZE_MAX && candidate(question, hit, entry)) {
        entry->last_known = entry->list == STORE_ALLOW ? SUPPRESSION_ALLOWED
                                                       : SUPPRESSION_FOUND;
    }
}

/* ---- the lookup ------------------------------------------------------------
 */

static enum suppression_result ask_redis(struct suppression *list,
                                         const struct question *question,
                                         struct suppression_entry *entry,
                                         struct error *error)
{
    struct lookup lookup = {
        .deadline_ms = clock_monotonic_ms() + list->timeout_ms,
    };
    struct error cause = {""};
    struct suppression_loan loan;
    enum suppression_result result;

    if (!suppression_pool_take(list->pool, lookup.deadline_ms, &loan, error)) {
        return SUPPRESSION_UNAVAILABLE;
    }
    lookup.link = loan.link;
    result = ask_patiently(&lookup, question, entry, &cause);
    if (result == SUPPRESSION_UNAVAILABLE) {
        suppression_pool_fail(list->pool, &loan, &cause);
        error_set(error, "%s", cause.text);
    }
    suppression_pool_give(list->pool, &loan);
    return result;
}

static enum suppression_result
find(struct suppression *list, const struct mailbox *mailbox, const char *scope,
     int64_t now_ms, struct suppression_entry *entry, struct error *error)
{
    struct question question;
    enum suppression_result result;

    begin_question(&question, list->key_prefix, list->pseudonyms,
                   list->forgotten, mailbox, scope);
    if (question.patterns == 0 || is_absent(list, &question, now_ms)) {
        return SUPPRESSION_ABSENT;
    }
    result = ask_redis(list, &question, entry, error);
    if (result == SUPPRESSION_UNAVAILABLE) {
        memset(entry, 0, sizeof *entry);
        remember(list, &question, entry);
    } else if (result == SUPPRESSION_FOUND && entry->unread &&
               strcmp(entry->kind, "hash") == 0) {
        entry->last_known =
            SUPPRESSION_FOUND; /* this moment, not from memory */
    }
    return result;
}

enum suppression_result suppression_find(struct suppression *list,
                                         const struct mailbox *mailbox,
                                         const char *scope,
                                         struct suppression_entry *entry,
                                         struct error *error)
{
    const int64_t began_us = clock_monotonic_us();
    enum suppression_result result =
        find(list, mailbox, scope, began_us / 1000, entry, error);

    (void)atomic_fetch_add_explicit(&list->counts.results[result], 1,
                                    memory_order_relaxed);
    latency_add(&list->counts.latency, clock_monotonic_us() - began_us);
    return result;
}

const struct suppression_counts *
suppression_counts(const struct suppression *list)
{
    return &list->counts;
}

void suppression_cache_state(const struct suppression *list,
                             struct suppression_cache_state *state)
{
    memset(state, 0, sizeof *state);
    if (list->track != NULL) {
        suppression_track_state(list->track, state);
    }
}

const char *suppression_cache_status_name(enum suppression_cache_status status)
{
    switch (status) {
    case SUPPRESSION_CACHE_OFF:
        return "off";
    case SUPPRESSION_CACHE_LOADING:
        return "loading";
    case SUPPRESSION_CACHE_CURRENT:
        return "current";
    case SUPPRESSION_CACHE_STALE:
        return "stale";
    }
    return "";
}

struct suppression *suppression_new(const struct suppression_options *options,
                                    struct error *error)
{
    struct suppression *list;

    if (strlen(options->key_prefix) > STORE_PREFIX_MAX) {
        error_set(error, "key_prefix: longer than %d bytes", STORE_PREFIX_MAX);
        return NULL;
    }
    list = calloc(1, sizeof *list);
    if (list == NULL) {
        error_set(error, "redis: out of memory");
        return NULL;
    }
    list->key_prefix = options->key_prefix;
    list->pseudonyms = options->pseudonyms;
    list->forgotten = options->forgotten;
    list->timeout_ms = options->timeout_ms;
    list->pool = suppression_pool_new(options, error);
    if (list->pool != NULL && options->cache_memory > 0) {
        list->track = suppression_track_new(options, error);
    }
    if (list->pool == NULL ||
        (list->track == NULL && options->cache_memory > 0)) {
        suppression_pool_free(list->pool);
        free(list);
        return NULL;
    }
    return list;
}

void suppression_free(struct suppression *list)
{
    if (list == NULL) {
        return;
    }
    suppression_track_free(list->track);
    suppression_pool_free(list->pool);
    free(list);
}
