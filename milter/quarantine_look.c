#include "quarantine_look.h"

#include "clock.h"
#include "decimal.h"
#include "event.h"
#include "redis_link.h"
#include "suppression.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_FIELDS    "1000"
#define EVIDENCE_LINES "2" /* the last index */
#define WORDS_MAX      5   /* of a command, behind its key */
#define SCOPED_FIELD   (16 + 1 + STORE_SCOPE_MAX)
#define HOUR_US        INT64_C(3600000000)
#define OUTLIERS       3 /* buckets with one domain or a few that fail */
#define COUNT_FIELD    (MAILBOX_DOMAIN_MAX + 1 + REASON_NAME_MAX + 1)

struct quarantine_look {
    struct redis_link *link;
    struct redis_endpoint *endpoint;
    const char *prefix;
    int64_t deadline_ms;
};

struct quarantine_look *quarantine_look_new(struct redis_endpoint *endpoint,
                                            const char *key_prefix)
{
    struct quarantine_look *look = calloc(1, sizeof *look);

    if (look == NULL) {
        return NULL;
    }
    look->endpoint = endpoint;
    look->prefix = key_prefix;
    look->link = redis_link_new(endpoint);
    if (look->link == NULL) {
        free(look);
        return NULL;
    }
    return look;
}

void quarantine_look_free(struct quarantine_look *look)
{
    if (look != NULL) {
        redis_link_free(look->link);
        free(look);
    }
}

bool quarantine_look_begin(struct quarantine_look *look, int64_t deadline_ms,
                           struct error *error)
{
    struct redis_address addresses[REDIS_ENDPOINT_ADDRESSES];

    look->deadline_ms = deadline_ms;
    /* whoever else uses the endpoint resolves it again when it has moved */
    if (redis_endpoint_addresses(look->endpoint, addresses) == 0 &&
        !redis_endpoint_resolve(look->endpoint, error)) {
        return false;
    }
    return redis_link_open(look->link, deadline_ms, error);
}

/* ---- questions and answers ---- */

static bool ask(struct quarantine_look *look, const char *verb,
                const struct store_key *key, const char *const *words,
                size_t count)
{
    const char *arguments[2 + WORDS_MAX] = {verb, key->text};
    size_t lengths[2 + WORDS_MAX] = {strlen(verb), key->length};

    for (size_t i = 0; i < count; i++) {
        arguments[2 + i] = words[i];
        lengths[2 + i] = strlen(words[i]);
    }
    return redis_link_command(look->link, 2 + count, arguments, lengths);
}

#define ASK(look, verb, key, ...)                                              \
    ask(look, verb, key, (const char *const[]){__VA_ARGS__},                   \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* The key of a bucket or a name; names of ours always fit into one. */
static bool ask_history(struct quarantine_look *look, const char *verb,
                        enum store_history kind, unsigned bucket,
                        struct text name)
{
    struct store_key key;

    return store_key_history(look->prefix, bucket, kind, name, &key) &&
           ask(look, verb, &key, NULL, 0);
}

/* What is asked half is never answered. */
static bool no_memory(struct quarantine_look *look, struct error *error)
{
    redis_link_close(look->link);
    error_set(error, "redis: out of memory");
    return false;
}

/*
 * The next reply; an error reply only when the key is of another type, which
 * is for the caller to judge. Others mean that nothing can be asked now.
 */
static redisReply *take(struct quarantine_look *look, struct error *error)
{
    redisReply *reply = redis_link_reply(look->link, look->deadline_ms, error);
    char shown[256];

    if (reply == NULL || reply->type != REDIS_REPLY_ERROR ||
        redis_fault_of(reply) == REDIS_FAULT_TYPE) {
        return reply;
    }
    (void)text_escape((struct text){reply->str, (size_t)reply->len}, shown,
                      sizeof shown);
    error_set(error, "redis: %s", shown);
    freeReplyObject(reply);
    redis_link_close(look->link);
    return NULL;
}

/* A number, -1 when the key is of another type. False: no answer. */
static bool take_number(struct quarantine_look *look, int64_t *number,
                        struct error *error)
{
    redisReply *reply = take(look, error);

    if (reply == NULL) {
        return false;
    }
    *number = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
    freeReplyObject(reply);
    return true;
}

static size_t elements_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY ? (size_t)reply->elements : 0;
}

/* Unknown when it is not there, or no string. */
static struct text element(const redisReply *reply, size_t index)
{
    const redisReply *found;

    if (index >= elements_of(reply)) {
        return text_of(NULL);
    }
    found = reply->element[index];
    return found->type == REDIS_REPLY_STRING
               ? (struct text){found->str, (size_t)found->len}
               : text_of(NULL);
}

/* 0 when it is no time, or one before there was mail. */
static int64_t time_of(struct text text)
{
    int64_t us;

    return text.bytes != NULL && clock_parse(text.bytes, text.length, &us) &&
                   us > 0
               ? us
               : 0;
}

/* What is too long is none that the recorder wrote: not cut, but unknown. */
static void keep_whole(struct text text, char *buffer, size_t size)
{
    if (text.length >= size) {
        text.length = 0;
    }
    (void)text_copy(text, buffer, size);
}

/* ---- sizes and pages ---- */

bool quarantine_look_sizes(struct quarantine_look *look,
                           struct quarantine_sizes *sizes, struct error *error)
{
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        if (!ask_history(look, "HLEN", STORE_DUE, i, text_of(NULL)) ||
            !ask_history(look, "HLEN", STORE_BREAKER, i, text_of(NULL))) {
            return no_memory(look, error);
        }
    }
    for (unsigned i = 0; i < STORE_BUCKETS; i++) {
        if (!take_number(look, &sizes->due[i], error) ||
            !take_number(look, &sizes->breakers[i], error)) {
            return false;
        }
    }
    return true;
}

/* The fields of a page are the second element of the reply. */
static const redisReply *fields_of(const struct quarantine_page *page)
{
    return page->reply->element[1];
}

bool quarantine_look_page(struct quarantine_look *look, enum store_history kind,
                          unsigned bucket, struct quarantine_page *page,
                          struct error *error)
{
    const char *cursor = page->cursor[0] == '\0' ? "0" : page->cursor;
    struct store_key key;
    struct text next;

    quarantine_page_free(page);
    if (!store_key_history(look->prefix, bucket, kind, text_of(NULL), &key) ||
        !ASK(look, "HSCAN", &key, cursor, "COUNT", PAGE_FIELDS)) {
        return no_memory(look, error);
    }
    page->reply = take(look, error);
    if (page->reply == NULL) {
        return false;
    }
    next = element(page->reply, 0);
    if (elements_of(page->reply) != 2 || next.bytes == NULL ||
        next.length >= sizeof page->cursor) {
        /* of another type since its size was asked: no fields */
        quarantine_page_free(page);
        next = text_of("0");
    }
    (void)text_copy(next, page->cursor, sizeof page->cursor);
    return true;
}

bool quarantine_page_is_last(const struct quarantine_page *page)
{
    return strcmp(page->cursor, "0") == 0;
}

size_t quarantine_page_count(const struct quarantine_page *page)
{
    return page->reply == NULL ? 0 : elements_of(fields_of(page)) / 2;
}

void quarantine_page_field(const struct quarantine_page *page, size_t index,
                           struct text *field, struct text *value)
{
    *field = element(fields_of(page), 2 * index);
    *value = element(fields_of(page), 2 * index + 1);
}

void quarantine_page_free(struct quarantine_page *page)
{
    if (page->reply != NULL) {
        freeReplyObject(page->reply);
        page->reply = NULL;
    }
}

/* ---- one that is due ---- */

/* The key of an address or a domain that quarantine_due_init() took. */
static bool key_of(const struct quarantine_look *look,
                   const struct quarantine_due *due, enum store_history kind,
                   struct store_key *key)
{
    struct text name =
        due->is_domain
            ? (struct text){due->mailbox.domain, due->mailbox.domain_length}
            : due->address;

    return store_key_history(
        look->prefix, store_bucket(name.bytes, name.length), kind, name, key);
}

/* The name of a field in the recipient's hash that each scope has. */
static const char *scoped(const struct quarantine_due *due, const char *name,
                          char buffer[SCOPED_FIELD])
{
    (void)snprintf(buffer, SCOPED_FIELD, "%s%s%.*s", name,
                   due->slot.length > 0 ? "@" : "", (int)due->slot.length,
                   due->slot.length > 0 ? due->slot.bytes : "");
    return buffer;
}

static bool ask_hash(struct quarantine_look *look,
                     const struct quarantine_due *due)
{
    char due_by[SCOPED_FIELD];
    char escalation[SCOPED_FIELD];
    struct store_key key;

    if (due->is_domain) {
        return key_of(look, due, STORE_DOMAIN, &key) &&
               ASK(look, "HMGET", &key, "due_by", "failing_since", "down_since",
                   "last_failure_reason");
    }
    return key_of(look, due, STORE_RECIPIENT, &key) &&
           ASK(look, "HMGET", &key, scoped(due, "due_by", due_by), "last_at",
               scoped(due, "escalation", escalation), "last_queue_id");
}

static void read_hash(struct quarantine_due *due, const redisReply *reply)
{
    keep_whole(element(reply, 0), due->due_by, sizeof due->due_by);
    if (due->is_domain) {
        due->failing_us = time_of(element(reply, 1));
        due->down_us = time_of(element(reply, 2));
        keep_whole(element(reply, 3), due->failure_reason,
                   sizeof due->failure_reason);
        return;
    }
    due->last_us = time_of(element(reply, 1));
    due->escalation = decimal_or_zero(element(reply, 2));
    keep_whole(element(reply, 3), due->queue_id, sizeof due->queue_id);
}

bool quarantine_look_hashes(struct quarantine_look *look,
                            struct quarantine_due *const *due, size_t count,
                            struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (!ask_hash(look, due[i])) {
            return no_memory(look, error);
        }
    }
    for (size_t i = 0; i < count; i++) {
        redisReply *reply = take(look, error);

        if (reply == NULL) {
            return false;
        }
        read_hash(due[i], reply);
        freeReplyObject(reply);
    }
    return true;
}

/* ---- strikes, evidence, lists ---- */

/* Of a failure: whether a request is due too, which nothing ends. */
static bool ask_request(struct quarantine_look *look,
                        const struct quarantine_due *due)
{
    char field[MAILBOX_MAX + sizeof " " STORE_SCOPE_ALL];
    struct text text = {field, 0};
    struct store_key key;

    text.length = text_copy(due->address, field, sizeof field);
    text.length += text_copy(text_of(" " STORE_SCOPE_ALL), field + text.length,
                             sizeof field - text.length);
    if (!store_key_history(
            look->prefix, store_bucket(due->address.bytes, due->address.length),
            STORE_DUE, text_of(NULL), &key)) {
        return false;
    }
    return redis_link_command(look->link, 3,
                              (const char *[]){"HGET", key.text, text.bytes},
                              (size_t[]){4, key.length, text.length});
}

/* Of a request: whose entry of this very address stands there, and why. */
static bool ask_entry(struct quarantine_look *look,
                      const struct quarantine_due *due)
{
    struct store_key key;

    return suppression_candidate(look->prefix, NULL, &due->mailbox, "",
                                 due->lists_asked / 2, &key) &&
           ASK(look, "HMGET", &key, "origin", "reason");
}

/* The first half of the keys are those that allow. */
static bool ask_lists(struct quarantine_look *look, struct quarantine_due *due)
{
    char scope[STORE_SCOPE_MAX + 1];
    struct store_key key;

    (void)text_copy(due->scope, scope, sizeof scope);
    while (suppression_candidate(look->prefix, NULL, &due->mailbox, scope,
                                 due->lists_asked, &key)) {
        if (!ask(look, "EXISTS", &key, NULL, 0)) {
            return false;
        }
        due->lists_asked++;
    }
    return true;
}

static bool ask_case(struct quarantine_look *look, struct quarantine_due *due)
{
    struct store_key strikes;
    struct store_key evidence;

    return store_key_strikes(
               look->prefix,
               store_bucket(due->address.bytes, due->address.length), due->slot,
               due->address, &strikes) &&
           key_of(look, due, STORE_EVIDENCE, &evidence) &&
           ask(look, "ZCARD", &strikes, NULL, 0) &&
           ASK(look, "LRANGE", &evidence, "0", EVIDENCE_LINES) &&
           ask_lists(look, due) &&
           (due->scope.length > 0 ||
            (quarantine_due_is_for_all(due) ? ask_entry(look, due)
                                            : ask_request(look, due)));
}

/* At most what is left, and no UTF-8 sequence of it halved. */
static void put_evidence(struct quarantine_due *due, struct text text)
{
    size_t left = QUARANTINE_EVIDENCE_MAX - due->evidence_length;

    if (text.length > left) {
        text.length = left;
        while (text.length > 0 &&
               ((unsigned char)text.bytes[text.length] & 0xc0U) == 0x80U) {
            text.length--;
        }
    }
    due->evidence_length +=
        text_copy(text, due->evidence + due->evidence_length, left + 1);
}

/* The next word of a line of evidence; the blank behind it goes too. */
static struct text next_word(struct text *line)
{
    const char *blank =
        line->length == 0 ? NULL : memchr(line->bytes, ' ', line->length);
    struct text word = *line;

    if (blank != NULL) {
        word.length = (size_t)(blank - line->bytes);
        line->bytes = blank + 1;
        line->length -= word.length + 1;
    } else {
        line->length = 0;
    }
    return word;
}

/* Of a line of evidence: what stands before the diagnostic. */
enum word { WORD_TIME, WORD_QUEUE, WORD_MESSAGE, WORD_CODE, WORD_STATUS };
#define WORDS 5

/*
 * A blank in a Message-ID would shift the rest, so code and status must look
 * like such.
 */
static bool is_code(struct text code, struct text status)
{
    return (text_is(code, "-") ||
            (code.length == 3 && code.bytes[0] >= '2' && code.bytes[0] <= '5' &&
             decimal_or_zero(code) != 0)) &&
           (text_is(status, "-") ||
            (status.length >= 5 && status.bytes[1] == '.'));
}

static void keep_word(struct text word, char *buffer, size_t size)
{
    keep_whole(text_is(word, "-") ? text_of("") : word, buffer, size);
}

/* Takes what a line says, if it is about the reason that is due. */
static bool read_line(struct quarantine_due *due, struct text line)
{
    struct text words[WORDS];
    struct text reason;
    int64_t at_us;

    for (size_t i = 0; i < WORDS; i++) {
        words[i] = next_word(&line);
    }
    reason = next_word(&line);
    if (!is_code(words[WORD_CODE], words[WORD_STATUS]) ||
        reason.length != due->reason.length || reason.length == 0 ||
        memcmp(reason.bytes, due->reason.bytes, reason.length) != 0) {
        return false;
    }
    at_us = time_of(words[WORD_TIME]);
    if (at_us > 0) { /* refusals of our own MTA move last_at too */
        due->last_us = at_us;
    }
    due->temporary =
        words[WORD_CODE].bytes[0] == '4' || words[WORD_STATUS].bytes[0] == '4';
    keep_word(words[WORD_QUEUE], due->queue_id, sizeof due->queue_id);
    keep_word(words[WORD_MESSAGE], due->message_id, sizeof due->message_id);
    return true;
}

static void read_evidence(struct quarantine_due *due, const redisReply *reply)
{
    bool found = false;

    for (size_t i = 0; i < elements_of(reply); i++) {
        struct text line = element(reply, i);

        if (line.length > 0) {
            put_evidence(due, text_of(due->evidence_length > 0 ? " | " : ""));
            put_evidence(due, line);
            found = found || read_line(due, line);
        }
    }
}

/*
 * With a scope each of its keys is followed by that for all. An entry for all
 * may end before who wants no more of this mail wants it again; so may one of
 * the whole domain, where it is about all mail.
 */
static bool is_about(const struct quarantine_due *due, size_t index)
{
    return quarantine_due_is_for_all(due)
               ? index == due->lists_asked / 2
               : due->scope.length == 0 || index % 2 == 0;
}

static bool read_lists(struct quarantine_look *look, struct quarantine_due *due,
                       struct error *error)
{
    for (size_t i = 0; i < due->lists_asked; i++) {
        int64_t exists;

        if (!take_number(look, &exists, error)) {
            return false;
        }
        if (exists > 0 && i < due->lists_asked / 2) {
            due->is_allowed = true;
        } else if (exists > 0 && is_about(due, i)) {
            due->is_listed = true;
        }
    }
    return true;
}

/* An entry of policy for failures may end: it gives way to a request. */
static bool read_request(struct quarantine_look *look,
                         struct quarantine_due *due, struct error *error)
{
    redisReply *reply = take(look, error);

    if (reply == NULL) {
        return false;
    }
    due->waits =
        reply->type == REDIS_REPLY_STRING &&
        reason_names_request((struct text){reply->str, (size_t)reply->len});
    if (text_is(element(reply, 0), "policy") &&
        !reason_names_request(element(reply, 1))) {
        due->is_listed = false;
    }
    freeReplyObject(reply);
    return true;
}

static bool read_case(struct quarantine_look *look, struct quarantine_due *due,
                      struct error *error)
{
    int64_t strikes;
    redisReply *evidence;

    if (!take_number(look, &strikes, error)) {
        return false;
    }
    due->strikes = strikes < 0 ? EVENT_UNKNOWN : strikes;
    evidence = take(look, error);
    if (evidence == NULL) {
        return false;
    }
    read_evidence(due, evidence);
    freeReplyObject(evidence);
    return read_lists(look, due, error) &&
           (due->scope.length > 0 || read_request(look, due, error));
}

bool quarantine_look_cases(struct quarantine_look *look,
                           struct quarantine_due *const *due, size_t count,
                           struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (!due[i]->is_domain && !ask_case(look, due[i])) {
            return no_memory(look, error);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!due[i]->is_domain && !read_case(look, due[i], error)) {
            return false;
        }
    }
    return true;
}

/* ---- what an hour counted ---- */

static bool ask_counts(struct quarantine_look *look, unsigned bucket,
                       const char *domain, enum reason reason, int64_t at_us)
{
    char at[CLOCK_TIMESTAMP_SIZE]; /* 2026-11-02T19:43:01.123456Z */
    char hour[16];
    char failures[COUNT_FIELD];
    char deliveries[COUNT_FIELD];
    struct store_key key;

    clock_format(at_us, at);
    return snprintf(hour, sizeof hour, "%.4s%.2s%.2s%.2s", at, at + 5, at + 8,
                    at + 11) > 0 &&
           snprintf(failures, sizeof failures, "%s|%s", domain,
                    reason_name(reason)) > 0 &&
           snprintf(deliveries, sizeof deliveries, "%s|deliveries", domain) >
               0 &&
           store_key_history(look->prefix, bucket, STORE_HOUR, text_of(hour),
                             &key) &&
           ASK(look, "HMGET", &key, failures, deliveries);
}

/* Far from overflow, also in a hundred buckets. */
static int64_t count_in(const redisReply *reply, size_t index)
{
    int64_t count = decimal_or_zero(element(reply, index));
    const int64_t most = INT64_C(1000000000000000);

    return count < most ? count : most;
}

static struct quarantine_counts
sum_without_outliers(struct quarantine_counts *counts, size_t count)
{
    struct quarantine_counts sum = {0, 0};

    for (size_t i = 0; i < OUTLIERS && count > 1; i++) {
        size_t most = 0;

        for (size_t j = 1; j < count; j++) {
            most = counts[j].failures > counts[most].failures ? j : most;
        }
        counts[most] = counts[--count];
    }
    for (size_t i = 0; i < count; i++) {
        sum.failures += counts[i].failures;
        sum.deliveries += counts[i].deliveries;
    }
    return sum;
}

bool quarantine_look_counts(struct quarantine_look *look, const char *domain,
                            enum reason reason, int64_t at_us,
                            struct quarantine_counts *counts,
                            struct error *error)
{
    unsigned first = store_bucket(domain, strlen(domain));
    unsigned buckets = domain[0] == '\0' ? STORE_BUCKETS : 1;
    struct quarantine_counts of_bucket[STORE_BUCKETS] = {{0, 0}};

    for (unsigned i = 0; i < buckets; i++) {
        unsigned bucket = (first + i) % STORE_BUCKETS;

        if (!ask_counts(look, bucket, domain, reason, at_us) ||
            !ask_counts(look, bucket, domain, reason, at_us - HOUR_US)) {
            return no_memory(look, error);
        }
    }
    for (unsigned i = 0; i < 2 * buckets; i++) {
        redisReply *reply = take(look, error);

        if (reply == NULL) {
            return false;
        }
        of_bucket[i / 2].failures += count_in(reply, 0);
        of_bucket[i / 2].deliveries += count_in(reply, 1);
        freeReplyObject(reply);
    }
    *counts = sum_without_outliers(of_bucket, buckets);
    return true;
}
