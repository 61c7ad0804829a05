#include "recorder_oracle.h"

#include "clock.h"
#include "list_known.h"
#include "mailbox.h"
#include "recorder_oracle_store.h"
#include "store_key.h"
#include "text.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY_S  INT64_C(86400)
#define HOUR_S INT64_C(3600)

/* An event that is being folded. */
struct fold {
    json_t *store;
    const char *prefix;
    const json_t *event;
    const char *type, *at, *recipient, *domain;
    int64_t seconds;
    bool for_all; /* what was requested of the list for all */
};

static const char *member(const struct fold *fold, const char *name)
{
    const char *value = json_string_value(json_object_get(fold->event, name));

    return value == NULL || value[0] == '\0' ? NULL : value;
}

static int64_t number(const struct fold *fold, const char *name,
                      int64_t otherwise)
{
    const json_t *value = json_object_get(fold->event, name);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static bool is_true(const struct fold *fold, const char *name)
{
    return json_is_true(json_object_get(fold->event, name));
}

static bool is_type(const struct fold *fold, const char *types)
{
    return strstr(types, fold->type) != NULL;
}

static bool is_report(const struct fold *fold)
{
    const char *origin = member(fold, "origin");

    return origin != NULL && strcmp(origin, "report") == 0;
}

/* Of a report that is not believed, or told by the log too. */
static bool counts_nowhere(const struct fold *fold)
{
    const char *trace = member(fold, "trace");

    return is_report(fold) && (member(fold, "trace_id") == NULL ||
                               (trace != NULL && strcmp(trace, "none") == 0));
}

/* The key of a kind, in the bucket of owner. */
static const char *key_of(const struct fold *fold, const char *owner,
                          enum store_history kind, const char *name,
                          struct store_key *key)
{
    assert_true(store_key_history(fold->prefix,
                                  store_bucket(owner, strlen(owner)), kind,
                                  text_of(name), key));
    return key->text;
}

/* ---- counts and the last of them ---- */

static void fold_stats(const struct fold *fold, const char *owner)
{
    const char *at = fold->at;
    const char *reason = member(fold, "reason");
    char hour[11] = {at[0], at[1], at[2],  at[3],  at[5], at[6],
                     at[8], at[9], at[11], at[12], 0};
    char field[128];
    struct store_key key;

    if (is_type(fold, "suppressed would_suppress") &&
        member(fold, "suppression_reason") != NULL) {
        reason = member(fold, "suppression_reason");
    }
    if (is_type(fold, "delivery delay bounce expiration out_of_band "
                      "feedback") &&
        counts_nowhere(fold)) {
        reason = member(fold, "trace");
        reason = reason == NULL || strcmp(reason, "none") == 0 ? "trace_none"
                                                               : "told_by_log";
    }
    (void)snprintf(field, sizeof field, "%s%s%s", fold->type,
                   reason == NULL ? "" : "|", reason == NULL ? "" : reason);
    (void)key_of(fold, owner, STORE_STATS, hour, &key);
    oracle_add_number(fold->store, key.text, field,
                      number(fold, "aggregated", 1));
}

/* True when at is not earlier than what the field holds: it is kept then. */
static bool keep_later(const struct fold *fold, const char *key,
                       const char *field)
{
    const char *held = oracle_get(fold->store, key, field);

    if (held != NULL && strcmp(fold->at, held) < 0) {
        return false;
    }
    oracle_set(fold->store, key, field, fold->at);
    return true;
}

static void keep_earlier(const struct fold *fold, const char *key,
                         const char *field)
{
    const char *held = oracle_get(fold->store, key, field);

    if (held == NULL || strcmp(fold->at, held) < 0) {
        oracle_set(fold->store, key, field, fold->at);
    }
}

static void fold_last(const struct fold *fold, const char *key)
{
    static const char *const fields[][2] = {
        {"last_reason", "reason"},
        {"last_enhanced_status", "enhanced_status"},
        {"last_diagnostic", "diagnostic"},
        {"last_queue_id", "queue_id"},
    };

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        oracle_set(fold->store, key, fields[i][0], member(fold, fields[i][1]));
    }
    if (is_type(fold, "suppressed would_suppress") &&
        member(fold, "suppression_reason") != NULL) {
        oracle_set(fold->store, key, "last_reason",
                   member(fold, "suppression_reason"));
    }
}

static void fold_outcome(const struct fold *fold, const char *key,
                         bool recipient)
{
    static const char *const counts[][2] = {
        {"reception", "receptions"},    {"rejection", "rejections"},
        {"suppressed", "suppressed"},   {"would_suppress", "would_suppress"},
        {"delivery", "deliveries"},     {"delay", "delays"},
        {"bounce", "bounces"},          {"expiration", "expirations"},
        {"out_of_band", "out_of_band"}, {"feedback", "feedback"},
    };

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (strcmp(fold->type, counts[i][0]) == 0) {
            oracle_add(fold->store, key, counts[i][1]);
        }
    }
    if (strcmp(fold->type, "reception") == 0) {
        (void)keep_later(fold, key, "last_reception_at");
        return;
    }
    keep_earlier(fold, key, "first_at");
    if (keep_later(fold, key, "last_at")) {
        oracle_set(fold->store, key, "last_type", fold->type);
        if (recipient) {
            fold_last(fold, key);
        }
    }
}

/* ---- strikes ---- */

static bool is_request(const struct fold *fold, const char *name)
{
    const char *reason = member(fold, name);

    return reason != NULL && (strcmp(reason, "complaint") == 0 ||
                              strcmp(reason, "unsubscribe") == 0);
}

/* Whose list it is about; NULL: that for all, "*": and it is a request. */
static const char *scope_of(const struct fold *fold)
{
    bool is_outcome =
        is_type(fold, "delivery delay bounce expiration out_of_band feedback "
                      "reception rejection suppressed would_suppress");

    if (fold->for_all) {
        return "*";
    }
    if (member(fold, "scope") != NULL) {
        return is_outcome && !is_request(fold, "reason")
                   ? NULL
                   : member(fold, "scope");
    }
    return is_request(fold, "reason") &&
                   (is_outcome || is_type(fold, "suppression_withheld"))
               ? "*"
               : NULL;
}

#define SCOPED_SIZE 400

/* "due_by", or "due_by@news"; "ann@example.org", or "ann@example.org news". */
static const char *scoped(const struct fold *fold, const char *name,
                          const char *between, char buffer[SCOPED_SIZE])
{
    const char *scope = scope_of(fold);

    (void)snprintf(buffer, SCOPED_SIZE, "%s%s%s", name,
                   scope == NULL ? "" : between, scope == NULL ? "" : scope);
    return buffer;
}

static const char *strikes_of(const struct fold *fold, const char *address,
                              struct store_key *key)
{
    assert_true(
        store_key_strikes(fold->prefix, store_bucket(address, strlen(address)),
                          text_of(scope_of(fold)), text_of(address), key));
    return key->text;
}

/* Nothing is due of an address any more. */
static void settle(const struct fold *fold, const char *address, bool strikes)
{
    char name[SCOPED_SIZE];
    struct store_key key;

    (void)key_of(fold, address, STORE_RECIPIENT, address, &key);
    oracle_set(fold->store, key.text, scoped(fold, "due_by", "@", name), NULL);
    oracle_set(fold->store, key.text, scoped(fold, "due_at", "@", name), NULL);
    oracle_set(fold->store, key_of(fold, address, STORE_DUE, NULL, &key),
               scoped(fold, address, " ", name), NULL);
    if (strikes) {
        oracle_delete(fold->store, strikes_of(fold, address, &key));
    }
}

/* Whether the event is later than what the field holds, if anything. */
static bool is_later(const struct fold *fold, const char *key,
                     const char *field)
{
    const char *held = oracle_get(fold->store, key, field);

    return held == NULL || strcmp(held, fold->at) < 0;
}

static void fold_recipient_delivery(const struct fold *fold)
{
    struct store_key recipient, strikes;

    (void)key_of(fold, fold->recipient, STORE_RECIPIENT, fold->recipient,
                 &recipient);
    if (keep_later(fold, recipient.text, "last_delivery_at")) {
        if (is_later(fold, recipient.text, "escalated_at")) {
            oracle_set(fold->store, recipient.text, "escalation", NULL);
            oracle_set(fold->store, recipient.text, "escalated_at", NULL);
        }
        if (is_later(fold, recipient.text, "due_at")) {
            settle(fold, fold->recipient, false);
        }
    }
    oracle_forget(
        fold->store,
        key_of(fold, fold->recipient, STORE_STRIKES, fold->recipient, &strikes),
        fold->seconds, true);
}

static const char *or_dash(const char *text)
{
    return text == NULL ? "-" : text;
}

static void push_evidence(const struct fold *fold)
{
    const char *diagnostic = member(fold, "diagnostic");
    int64_t code = number(fold, "reply_code", -1);
    char digits[24];
    char line[1024];
    struct store_key key;

    (void)snprintf(digits, sizeof digits, "%lld", (long long)code);
    (void)snprintf(
        line, sizeof line, "%s %s %.200s %s %s %s %.300s", fold->at,
        or_dash(member(fold, "queue_id")), or_dash(member(fold, "message_id")),
        code < 0 ? "-" : digits, or_dash(member(fold, "enhanced_status")),
        or_dash(member(fold, "reason")), diagnostic == NULL ? "" : diagnostic);
    (void)key_of(fold, fold->recipient, STORE_EVIDENCE, fold->recipient, &key);
    oracle_push(fold->store, key.text, line);
    oracle_extend(fold->store, key.text, fold->seconds + 400 * DAY_S);
}

/* How many strikes of the set are in the window, on how many days. */
static void count_strikes(json_t *set, int64_t since, int64_t upto,
                          int64_t *strikes, int64_t *days)
{
    int64_t seen[512];
    const char *name;
    json_t *held;

    *strikes = 0;
    *days = 0;
    json_object_foreach(set, name, held)
    {
        int64_t at = strtoll(json_string_value(held), NULL, 10);
        int64_t i = 0;

        if (strcmp(name, ORACLE_EXPIRES) == 0 || at <= since || at > upto) {
            continue;
        }
        (*strikes)++;
        while (i < *days && seen[i] != at / DAY_S) {
            i++;
        }
        if (i == *days && i < 512) {
            seen[(*days)++] = at / DAY_S;
        }
    }
}

/* Unless somebody is deciding since less than ten minutes. */
static void fold_due(const struct fold *fold, const char *recipient)
{
    char due_at[SCOPED_SIZE], due_by[SCOPED_SIZE], name[SCOPED_SIZE];
    const char *held =
        oracle_get(fold->store, recipient, scoped(fold, "due_at", "@", due_at));
    const char *scope = member(fold, "scope");
    bool by_scope = scope != NULL && scope_of(fold) == NULL;
    char value[SCOPED_SIZE];
    char before[CLOCK_TIMESTAMP_SIZE];
    struct store_key due;
    int64_t us;

    assert_true(clock_parse(fold->at, strlen(fold->at), &us));
    clock_format(us - 600 * INT64_C(1000000), before);
    if (held != NULL && strcmp(held, before) >= 0) {
        return;
    }
    (void)snprintf(value, sizeof value, "%s%s%s", member(fold, "reason"),
                   by_scope ? "@" : "", by_scope ? scope : "");
    oracle_set(fold->store,
               key_of(fold, fold->recipient, STORE_DUE, NULL, &due),
               scoped(fold, fold->recipient, " ", name), value);
    oracle_set(fold->store, recipient, scoped(fold, "due_by", "@", due_by),
               member(fold, "instance"));
    oracle_set(fold->store, recipient, due_at, fold->at);
}

static void fold_strike(const struct fold *fold)
{
    int64_t window = number(fold, "strike_window_seconds", 30 * DAY_S);
    int64_t limit = number(fold, "strike_limit", 0);
    int64_t days_wanted = number(fold, "strike_days", limit == 1 ? 1 : 3);
    const char *message =
        member(fold, is_report(fold) ? "trace_id" : "trace_nonce");
    const char *held;
    int64_t strikes, days;
    char name[129], nonce[129];
    struct store_key recipient, set;

    (void)key_of(fold, fold->recipient, STORE_RECIPIENT, fold->recipient,
                 &recipient);
    (void)strikes_of(fold, fold->recipient, &set);
    held = scope_of(fold) != NULL
               ? NULL
               : oracle_get(fold->store, recipient.text, "last_delivery_at");
    if (!is_true(fold, "counted") || limit < 1 ||
        (held != NULL && strcmp(held, fold->at) >= 0)) {
        return;
    }
    if (is_report(fold) && message != NULL) {
        size_t length = strcspn(message, "-");

        (void)snprintf(nonce, sizeof nonce, "%.*s", (int)length, message);
        message = nonce;
    }
    message = message != NULL ? message : member(fold, "queue_id");
    message = message != NULL ? message : member(fold, "message_id");
    message = message != NULL ? message : member(fold, "envelope_id");
    message = message != NULL ? message : member(fold, "event_id");
    (void)snprintf(name, sizeof name, "%s", message);
    held = oracle_get(fold->store, set.text, name);
    if (held == NULL || strcmp(fold->type, "delay") != 0) {
        push_evidence(fold);
    }
    if (held == NULL || strtoll(held, NULL, 10) > fold->seconds) {
        oracle_set_number(fold->store, set.text, name, fold->seconds);
    }
    oracle_forget(fold->store, set.text, fold->seconds - window, false);
    count_strikes(json_object_get(fold->store, set.text),
                  fold->seconds - window, fold->seconds, &strikes, &days);
    if (strikes >= limit && days >= days_wanted) {
        fold_due(fold, recipient.text);
    }
    oracle_extend(fold->store, set.text, fold->seconds + window);
}

/* ---- domains ---- */

static void set_domain_due(const struct fold *fold, const char *what)
{
    char field[300];
    struct store_key key;

    (void)snprintf(field, sizeof field, "@%s", fold->domain);
    oracle_set(fold->store, key_of(fold, fold->domain, STORE_DUE, NULL, &key),
               field, what);
    oracle_set(fold->store,
               key_of(fold, fold->domain, STORE_DOMAIN, fold->domain, &key),
               "due_by", what == NULL ? NULL : member(fold, "instance"));
}

static void fold_hour(const struct fold *fold, const char *what)
{
    const char *at = fold->at;
    char hour[11] = {at[0], at[1], at[2],  at[3],  at[5], at[6],
                     at[8], at[9], at[11], at[12], 0};
    char field[400];
    struct store_key key;

    (void)key_of(fold, fold->domain, STORE_HOUR, hour, &key);
    (void)snprintf(field, sizeof field, "%s|%s", fold->domain, what);
    oracle_add(fold->store, key.text, field);
    oracle_add(fold->store, key.text, strchr(field, '|'));
    oracle_expire(fold->store, key.text,
                  (fold->seconds / HOUR_S + 1) * HOUR_S + 7 * DAY_S);
}

static void fold_waiting(const struct fold *fold)
{
    const char *queue_id = member(fold, "queue_id");
    char name[512];
    struct store_key key;

    if (queue_id == NULL || fold->recipient == NULL || is_report(fold)) {
        return;
    }
    (void)key_of(fold, fold->domain, STORE_WAITING, fold->domain, &key);
    (void)snprintf(name, sizeof name, "%s %s", queue_id, fold->recipient);
    if (strcmp(fold->type, "delay") == 0) {
        oracle_set_number(fold->store, key.text, name, fold->seconds);
        oracle_extend(fold->store, key.text, fold->seconds + 10 * DAY_S);
    } else {
        oracle_set(fold->store, key.text, name, NULL);
    }
}

static void fold_domain_delivery(const struct fold *fold, const char *key)
{
    if (keep_later(fold, key, "last_delivery_at")) {
        oracle_set(fold->store, key, "consecutive_failures", NULL);
        oracle_set(fold->store, key, "failing_since", NULL);
        set_domain_due(fold, oracle_get(fold->store, key, "down_since") == NULL
                                 ? NULL
                                 : "up");
    }
    fold_hour(fold, "deliveries");
}

static void fold_destination(const struct fold *fold, const char *key)
{
    const char *held = oracle_get(fold->store, key, "last_delivery_at");

    if (held != NULL && strcmp(held, fold->at) >= 0) {
        return;
    }
    oracle_add(fold->store, key, "consecutive_failures");
    keep_earlier(fold, key, "failing_since");
    if (keep_later(fold, key, "last_failure_at")) {
        oracle_set(fold->store, key, "last_failure_reason",
                   member(fold, "reason"));
    }
    if (strtoll(oracle_get(fold->store, key, "consecutive_failures"), NULL,
                10) >= 10 &&
        oracle_get(fold->store, key, "down_since") == NULL) {
        set_domain_due(fold, "down");
    }
}

/* Whether nobody else could have said so. */
static bool is_sure(const struct fold *fold)
{
    const char *trace = member(fold, "trace");

    return !is_report(fold) || (trace != NULL && strcmp(trace, "valid") == 0);
}

static void fold_domain(const struct fold *fold)
{
    struct store_key key;

    (void)key_of(fold, fold->domain, STORE_DOMAIN, fold->domain, &key);
    fold_outcome(fold, key.text, false);
    if (is_type(fold, "delivery delay bounce expiration")) {
        fold_waiting(fold);
    }
    if (strcmp(fold->type, "delivery") == 0 && is_sure(fold)) {
        fold_domain_delivery(fold, key.text);
    }
    if (is_type(fold, "delay bounce expiration") &&
        is_true(fold, "destination")) {
        fold_destination(fold, key.text);
    }
    if (is_true(fold, "counted") &&
        (is_type(fold, "bounce expiration out_of_band") ||
         (is_type(fold, "delay") && number(fold, "attempt", 0) == 1))) {
        fold_hour(fold, member(fold, "reason"));
    }
}

/* False: in this bucket the report has counted already. */
static bool is_first(const struct fold *fold, const char *owner)
{
    char name[128];
    struct store_key key;

    if (!is_report(fold)) {
        return true;
    }
    (void)snprintf(name, sizeof name, "%s|%s", member(fold, "trace_id"),
                   fold->type);
    (void)key_of(fold, owner, STORE_SEEN, name, &key);
    if (json_object_get(fold->store, key.text) != NULL) {
        return false;
    }
    oracle_set(fold->store, key.text, "once", "1");
    oracle_expire(fold->store, key.text, fold->seconds + 21 * DAY_S);
    return true;
}

/* Two names whose keys may be in one bucket. */
static bool share_a_bucket(const char *one, const char *other)
{
    return one != NULL && other != NULL &&
           store_bucket(one, strlen(one)) == store_bucket(other, strlen(other));
}

static void fold_history(const struct fold *fold)
{
    bool first = true;
    struct store_key key;

    if (number(fold, "aggregated", 0) > 0) {
        fold_stats(fold, "");
        return;
    }
    if (counts_nowhere(fold)) {
        fold_stats(fold,
                   fold->recipient != NULL ? fold->recipient : fold->domain);
        return;
    }
    if (fold->recipient != NULL) {
        first = is_first(fold, fold->recipient);
    }
    if (fold->recipient != NULL && first) {
        fold_outcome(fold,
                     key_of(fold, fold->recipient, STORE_RECIPIENT,
                            fold->recipient, &key),
                     true);
        if (strcmp(fold->type, "delivery") == 0 && is_sure(fold)) {
            fold_recipient_delivery(fold);
        } else if (is_type(fold, "delay bounce expiration out_of_band "
                                 "feedback")) {
            fold_strike(fold);
        }
        fold_stats(fold, fold->recipient);
    }
    if (fold->domain == NULL || !(share_a_bucket(fold->recipient, fold->domain)
                                      ? first
                                      : is_first(fold, fold->domain))) {
        return;
    }
    fold_domain(fold);
    if (fold->recipient == NULL) {
        fold_stats(fold, fold->domain);
    }
}

/* ---- lists ---- */

/* What the entry is now stands beside it; its digest is list_known.c's. */
static void set_known(const struct fold *fold, const char *key,
                      const struct mailbox_pattern *pattern, int64_t ends_s)
{
    struct list_known entry = {.kind = LIST_KNOWN_HASH, .ends_s = ends_s};
    char value[LIST_KNOWN_SIZE];
    struct store_key known;

    for (size_t i = 0; i < LIST_KNOWN_FIELDS; i++) {
        entry.fields[i] =
            text_of(oracle_get(fold->store, key, list_known_names[i]));
    }
    list_known_format(&entry, value);
    assert_true(store_key_history(fold->prefix,
                                  store_bucket_of_pattern(pattern), STORE_KNOWN,
                                  text_of(NULL), &known));
    oracle_set(fold->store, known.text, key + strlen(fold->prefix),
               ends_s < 0 ? NULL : value);
}

static void write_entry(const struct fold *fold, const char *key,
                        const struct mailbox_pattern *pattern)
{
    static const char *const fields[][2] = {
        {"reason", "suppression_reason"},
        {"type", "failure_type"},
        {"origin", "suppression_origin"},
        {"note", "suppression_note"},
        {"by", "suppression_by"},
        {"added_at", "suppression_added_at"},
        {"evidence", "suppression_evidence"},
    };
    const char *expires = member(fold, "suppression_expires_at");
    const char *mode = member(fold, "suppression_mode");
    int64_t us = 0;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        oracle_set(fold->store, key, fields[i][0], member(fold, fields[i][1]));
    }
    if (oracle_get(fold->store, key, "added_at") == NULL) {
        oracle_set(fold->store, key, "added_at", fold->at);
    }
    if (mode != NULL && strcmp(mode, "observe") == 0) {
        oracle_set(fold->store, key, "mode", mode);
    }
    if (expires != NULL && clock_parse(expires, strlen(expires), &us)) {
        us = (us + 999999) / 1000000;
    }
    set_known(fold, key, pattern, us);
    if (us > 0) {
        oracle_expire(fold->store, key, us);
    }
}

/* A policy's entry takes the place of an older one of a policy. */
static bool replaces(const struct fold *fold, const char *key)
{
    const char *origin = oracle_get(fold->store, key, "origin");

    return origin != NULL && strcmp(origin, "policy") == 0 &&
           is_later(fold, key, "added_at");
}

/* A step of the ladder, unless there was a delivery since. */
static void climb(const struct fold *fold, const char *key)
{
    char name[SCOPED_SIZE];

    if (scope_of(fold) != NULL || is_later(fold, key, "last_delivery_at")) {
        oracle_add(fold->store, key, scoped(fold, "escalation", "@", name));
        (void)keep_later(fold, key, scoped(fold, "escalated_at", "@", name));
    }
}

/* Of one of the two sets of strikes about the list for all, or of a scope's. */
static void decide(const struct fold *fold, const char *address, bool strikes,
                   bool step)
{
    char name[SCOPED_SIZE];
    struct store_key key;

    settle(fold, address, strikes);
    (void)key_of(fold, address, STORE_RECIPIENT, address, &key);
    if (step) {
        climb(fold, key.text);
    }
    if (is_type(fold, "suppression_removed")) {
        oracle_set(fold->store, key.text, scoped(fold, "escalation", "@", name),
                   NULL);
        oracle_set(fold->store, key.text,
                   scoped(fold, "escalated_at", "@", name), NULL);
    }
}

static void fold_list(const struct fold *fold)
{
    const char *origin = member(fold, "suppression_origin");
    bool foreign = strcmp(or_dash(member(fold, "origin")), "redis") == 0;
    bool added = strcmp(fold->type, "suppression_added") == 0;
    bool ours = added && origin != NULL && strcmp(origin, "policy") == 0;
    struct mailbox_pattern pattern;
    struct store_key key;

    assert_int_not_equal(
        mailbox_parse_pattern(text_of(member(fold, "suppression_pattern")),
                              NULL, &pattern),
        MAILBOX_PATTERN_INVALID);
    assert_true(store_key_list(
        fold->prefix, fold->type[0] == 'a' ? STORE_ALLOW : STORE_SUPPRESS,
        member(fold, "scope"), &pattern, &key));
    if (!foreign && (!ours || replaces(fold, key.text))) {
        oracle_delete(fold->store, key.text);
    }
    if (!foreign && strstr(fold->type, "_removed") != NULL) {
        set_known(fold, key.text, &pattern, -1);
    } else if (!foreign && json_object_get(fold->store, key.text) == NULL) {
        write_entry(fold, key.text, &pattern);
    }
    if (pattern.kind == MAILBOX_PATTERN_EXACT && !foreign &&
        (added || is_type(fold, "suppression_removed allow_added"))) {
        struct fold requests = *fold;
        bool asked = ours && is_request(fold, "suppression_reason");

        requests.for_all = true;
        decide(fold, pattern.text, ours || !added,
               ours && (!asked || member(fold, "scope") != NULL));
        if (member(fold, "scope") == NULL && (!ours || asked)) {
            decide(&requests, pattern.text, ours || !added, ours);
        }
    }
    fold_stats(fold, pattern.kind == MAILBOX_PATTERN_DOMAIN ||
                             pattern.kind == MAILBOX_PATTERN_SUBDOMAINS
                         ? pattern.domain
                         : pattern.text);
}

/* ---- what is decided about domains and all ---- */

static void fold_domain_state(const struct fold *fold)
{
    bool down = strcmp(fold->type, "domain_down") == 0;
    const char *since = member(fold, "first_attempt_at");
    struct store_key key;

    (void)key_of(fold, fold->domain, STORE_DOMAIN, fold->domain, &key);
    oracle_set(fold->store, key.text, "down_since",
               !down           ? NULL
               : since != NULL ? since
                               : fold->at);
    oracle_set(fold->store, key.text, "down_reason",
               down ? member(fold, "reason") : NULL);
    oracle_set(fold->store, key_of(fold, fold->domain, STORE_DOWN, NULL, &key),
               fold->domain,
               !down           ? NULL
               : since != NULL ? since
                               : fold->at);
    set_domain_due(fold, NULL);
    fold_stats(fold, fold->domain);
}

static void fold_breaker(const struct fold *fold)
{
    const char *owner = fold->domain == NULL ? "*" : fold->domain;
    char field[400], value[100];
    struct store_key key;

    (void)snprintf(field, sizeof field, "%s|%s", owner, member(fold, "reason"));
    (void)snprintf(value, sizeof value, "%s %s", member(fold, "expires_at"),
                   member(fold, "instance"));
    oracle_set(fold->store, key_of(fold, owner, STORE_BREAKER, NULL, &key),
               field, strcmp(fold->type, "breaker_opened") == 0 ? value : NULL);
    fold_stats(fold, owner);
}

static void fold_forgotten(const struct fold *fold)
{
    static const enum store_history kinds[] = {STORE_RECIPIENT, STORE_STRIKES,
                                               STORE_EVIDENCE};
    const char *who = fold->recipient;
    const char *queue_id = member(fold, "queue_id");
    struct fold requests = *fold;
    struct store_key key;
    char waiting[400];

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        oracle_delete(fold->store, key_of(fold, who, kinds[i], who, &key));
    }
    oracle_set(fold->store, key_of(fold, who, STORE_DUE, NULL, &key), who,
               NULL);
    requests.for_all = true;
    settle(&requests, who, true);
    oracle_set(fold->store, key_of(fold, who, STORE_FORGOTTEN, NULL, &key),
               member(fold, "pseudonym"), fold->at);
    if (scope_of(fold) != NULL) {
        settle(fold, who, true);
    }
    fold_stats(fold, who);
    if (queue_id != NULL) {
        (void)snprintf(waiting, sizeof waiting, "%s %s", queue_id, who);
        oracle_set(
            fold->store,
            key_of(fold, fold->domain, STORE_WAITING, fold->domain, &key),
            waiting, NULL);
    }
}

static void fold_event(const struct fold *fold)
{
    if (is_type(fold, "log_open heartbeat gap mark store_degraded "
                      "store_recovered")) {
        return;
    }
    if (is_type(fold, "suppression_added suppression_updated "
                      "suppression_removed allow_added allow_removed")) {
        fold_list(fold);
    } else if (is_type(fold, "domain_down domain_up")) {
        fold_domain_state(fold);
    } else if (is_type(fold, "breaker_opened breaker_closed")) {
        fold_breaker(fold);
    } else if (strcmp(fold->type, "recipient_forgotten") == 0) {
        fold_forgotten(fold);
    } else if (strcmp(fold->type, "suppression_withheld") == 0) {
        settle(fold, fold->recipient, true);
        fold_stats(fold, fold->recipient);
    } else {
        fold_history(fold);
    }
}

void oracle_fold_line(json_t *store, const char *prefix, const char *line,
                      size_t length)
{
    json_t *event = json_loadb(line, length, 0, NULL);
    struct fold fold = {.store = store, .prefix = prefix, .event = event};
    int64_t us;

    if (json_is_object(event) && member(&fold, "type") != NULL) {
        fold.type = member(&fold, "type");
        fold.at = member(&fold, "timestamp");
        fold.recipient = member(&fold, "recipient");
        fold.domain = member(&fold, "recipient_domain");
        assert_true(clock_parse(fold.at, strlen(fold.at), &us));
        fold.seconds = us / 1000000;
        fold_event(&fold);
    }
    json_decref(event);
}

/* ---- files ---- */

struct line {
    char *bytes;
    char instance[32];
    long long seq;
};

/* Numbers follow the clock: of two instances the older comes first. */
static int compare_lines(const void *left, const void *right)
{
    const struct line *a = left;
    const struct line *b = right;
    int order = (a->seq > b->seq) - (a->seq < b->seq);

    return order != 0 ? order : strcmp(a->instance, b->instance);
}

struct lines {
    struct line *line;
    size_t count;
};

static void collect(struct lines *lines, const char *path)
{
    FILE *file = fopen(path, "re");
    char *bytes = NULL;
    size_t size = 0;

    assert_non_null(file);
    while (getline(&bytes, &size, file) >= 0) {
        json_t *event = json_loads(bytes, 0, NULL);
        const json_t *seq = json_object_get(event, "seq");
        struct line *line;

        if (json_is_integer(seq)) {
            lines->line =
                realloc(lines->line, (lines->count + 1) * sizeof *lines->line);
            assert_non_null(lines->line);
            line = &lines->line[lines->count++];
            line->bytes = strdup(bytes);
            line->seq = json_integer_value(seq);
            (void)snprintf(
                line->instance, sizeof line->instance, "%s",
                json_string_value(json_object_get(event, "instance")));
        }
        json_decref(event);
    }
    free(bytes);
    (void)fclose(file);
}

void oracle_fold_files(json_t *store, const char *prefix, const char *event_log)
{
    struct lines lines = {NULL, 0};
    char pattern[512];
    glob_t found;

    (void)snprintf(pattern, sizeof pattern, "%s*", event_log);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        collect(&lines, found.gl_pathv[i]);
    }
    globfree(&found);
    if (lines.count > 0) {
        qsort(lines.line, lines.count, sizeof *lines.line, compare_lines);
    }
    for (size_t i = 0; i < lines.count; i++) {
        if (i == 0 || compare_lines(&lines.line[i], &lines.line[i - 1]) != 0) {
            oracle_fold_line(store, prefix, lines.line[i].bytes,
                             strlen(lines.line[i].bytes));
        }
    }
    for (size_t i = 0; i < lines.count; i++) {
        free(lines.line[i].bytes);
    }
    free(lines.line);
}
