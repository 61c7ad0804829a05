#include "recorder_effect.h"

#include "clock.h"
#include "list_known.h"
#include "mailbox.h"
#include "reason.h"
#include "recorder_effect_make.h"

#include <stdio.h>
#include <string.h>

#define US_PER_SECOND INT64_C(1000000)

/* A mark is believed for 14 days, another host's clock may be ahead. */
#define SEEN_KEPT     INT64_C(1814400) /* 21 days */
#define SEEN_ID_MAX   64               /* bytes of a trace_id */
#define SEEN_NAME_MAX 96               /* and a bar, a type, NUL */

enum list_change { LIST_NONE, LIST_WRITE, LIST_REMOVE };

/* What the change of an address's entry does to its strikes. */
enum settling { SETTLE_NOTHING, SETTLE_DUE, SETTLE_STRIKES };

/* What a type of event does: a new type is a row. Without one, nothing. */
static const struct effect_row {
    const char *count;  /* field of recipient and domain that counts it */
    const char *latest; /* field with the time of the latest; or */
    bool outcome;       /* first_at, last_at and the last_* tell of it */
    void (*recipient)(struct making *making); /* and more of either */
    void (*domain)(struct making *making);
    enum list_change change;
    enum store_list list;
    enum settling settling;
    void (*other)(struct making *making); /* all that it does */
} rows[EVENT_TYPES] = {
    [EVENT_RECEPTION] = {.count = "receptions", .latest = "last_reception_at"},
    [EVENT_REJECTION] = {.count = "rejections", .outcome = true},
    [EVENT_SUPPRESSED] = {.count = "suppressed", .outcome = true},
    [EVENT_WOULD_SUPPRESS] = {.count = "would_suppress", .outcome = true},
    [EVENT_DELIVERY] = {.count = "deliveries",
                        .outcome = true,
                        .recipient = making_recipient_delivered,
                        .domain = making_domain_delivered},
    [EVENT_DELAY] = {.count = "delays",
                     .outcome = true,
                     .recipient = making_recipient_failed,
                     .domain = making_domain_failed},
    [EVENT_BOUNCE] = {.count = "bounces",
                      .outcome = true,
                      .recipient = making_recipient_failed,
                      .domain = making_domain_failed},
    [EVENT_EXPIRATION] = {.count = "expirations",
                          .outcome = true,
                          .recipient = making_recipient_failed,
                          .domain = making_domain_failed},
    [EVENT_OUT_OF_BAND] = {.count = "out_of_band",
                           .outcome = true,
                           .recipient = making_recipient_failed,
                           .domain = making_domain_failed},
    [EVENT_FEEDBACK] = {.count = "feedback",
                        .outcome = true,
                        .recipient = making_recipient_failed},
    [EVENT_SUPPRESSION_ADDED] = {.change = LIST_WRITE,
                                 .list = STORE_SUPPRESS,
                                 .settling = SETTLE_DUE},
    [EVENT_SUPPRESSION_UPDATED] = {.change = LIST_WRITE,
                                   .list = STORE_SUPPRESS},
    [EVENT_SUPPRESSION_REMOVED] = {.change = LIST_REMOVE,
                                   .list = STORE_SUPPRESS,
                                   .settling = SETTLE_STRIKES},
    [EVENT_SUPPRESSION_WITHHELD] = {.other = making_withheld},
    [EVENT_ALLOW_ADDED] = {.change = LIST_WRITE,
                           .list = STORE_ALLOW,
                           .settling = SETTLE_STRIKES},
    [EVENT_ALLOW_REMOVED] = {.change = LIST_REMOVE, .list = STORE_ALLOW},
    [EVENT_BREAKER_OPENED] = {.other = making_breaker},
    [EVENT_BREAKER_CLOSED] = {.other = making_breaker},
    [EVENT_DOMAIN_DOWN] = {.other = making_domain_down},
    [EVENT_DOMAIN_UP] = {.other = making_domain_up},
    [EVENT_RECIPIENT_FORGOTTEN] = {.other = making_forgotten},
};

/* ---- one effect ---- */

bool making_knows(struct text text)
{
    return text.bytes != NULL && text.length > 0;
}

bool making_is_report(const struct making *making)
{
    return text_is(making->event->origin, "report");
}

struct text making_bounded(struct text text, size_t limit)
{
    if (text.length > limit) {
        text.length = limit;
        while (text.length > 0 &&
               ((unsigned char)text.bytes[text.length] & 0xc0U) == 0x80U) {
            text.length--;
        }
    }
    return text;
}

bool making_key(struct making *making, enum store_history kind,
                struct text name)
{
    return store_key_history(making->prefix, making->bucket, kind, name,
                             &making->key);
}

struct effect *making_put(struct making *making,
                          enum effect_operation operation, const char *field,
                          struct text value)
{
    struct effect *effect = &making->effects[making->count];

    if (making->count == EFFECT_MAX) {
        return NULL;
    }
    making->count++;
    effect->bucket = making->bucket;
    effect->operation = operation;
    effect->conditional = making->conditional;
    effect->key = making->key;
    effect->field = text_of(field);
    effect->value = making_bounded(value, EFFECT_VALUE_MAX);
    return effect;
}

/* Values of our own making live in the effect. */
struct effect *making_put_own(struct making *making,
                              enum effect_operation operation,
                              const char *field, const char *value)
{
    struct effect *effect = making_put(making, operation, field, text_of(""));

    if (effect != NULL) {
        effect->value.length = text_copy(text_of(value), effect->value_buffer,
                                         sizeof effect->value_buffer);
        effect->value.bytes = effect->value_buffer;
    }
    return effect;
}

struct effect *making_put_number(struct making *making,
                                 enum effect_operation operation,
                                 const char *field, int64_t value)
{
    char digits[24];

    (void)snprintf(digits, sizeof digits, "%lld", (long long)value);
    return making_put_own(making, operation, field, digits);
}

/* They may hold NUL, so it is no %s. */
static struct text join(char *buffer, size_t size, struct text left,
                        const char *between, struct text right)
{
    const struct text parts[] = {left, text_of(between), right};
    struct text joined = {buffer, 0};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        joined.length +=
            text_copy(parts[i], buffer + joined.length, size - joined.length);
    }
    return joined;
}

void making_join(struct effect *effect, struct text left, const char *between,
                 struct text right)
{
    if (effect != NULL) {
        effect->field = join(effect->field_buffer, sizeof effect->field_buffer,
                             left, between, right);
    }
}

void making_join_value(struct effect *effect, struct text left,
                       const char *between, struct text right)
{
    if (effect != NULL) {
        effect->value = join(effect->value_buffer, sizeof effect->value_buffer,
                             left, between, right);
    }
}

bool making_strikes_key(struct making *making, struct text address)
{
    return store_key_strikes(making->prefix, making->bucket, making->scope,
                             address, &making->key);
}

void making_put_scoped(struct making *making, enum effect_operation operation,
                       const char *field, struct text value)
{
    struct effect *effect = making_put(making, operation, field, text_of(""));

    making_join(effect, text_of(field), making->scope.length > 0 ? "@" : "",
                making->scope);
    making_join_value(effect, value, "", text_of(NULL));
}

/* ---- history ---- */

/*
 * A report counts by its trace_id. One without is not believed, or our own
 * MTA's, whose log tells the same: such a one is in the stats alone.
 */
static bool counts_nowhere(const struct making *making)
{
    const struct event *event = making->event;

    return making_is_report(making) &&
           (!making_knows(event->trace_id) || text_is(event->trace, "none"));
}

/* What suppressed it is why; else the reply's reason. */
static struct text reason_of(const struct making *making)
{
    const struct event *event = making->event;
    bool list =
        event->type == EVENT_SUPPRESSED || event->type == EVENT_WOULD_SUPPRESS;

    if (counts_nowhere(making)) {
        return making_knows(event->trace) && !text_is(event->trace, "none")
                   ? text_of("told_by_log")
                   : text_of("trace_none");
    }
    return list && making_knows(event->suppression_reason)
               ? event->suppression_reason
               : event->reason;
}

void making_put_stats(struct making *making)
{
    struct text reason = making_bounded(reason_of(making), EFFECT_REASON_MAX);

    if (making_key(making, STORE_STATS, text_of(making->hour))) {
        making_join(making_put_number(making, EFFECT_ADD, NULL,
                                      making->event->aggregated > 0
                                          ? making->event->aggregated
                                          : 1),
                    text_of(event_type_name(making->event->type)),
                    making_knows(reason) ? "|" : "", reason);
    }
}

/* What follows is for the latest event only. */
static void put_last(struct making *making, const char *field)
{
    making_put_own(making, EFFECT_LAST, field, making->timestamp);
}

static void put_count(struct making *making, const struct effect_row *row)
{
    making_put(making, EFFECT_ADD, row->count, text_of("1"));
    if (row->latest != NULL) {
        put_last(making, row->latest);
    }
    if (row->outcome) {
        making_put_own(making, EFFECT_FIRST, "first_at", making->timestamp);
        put_last(making, "last_at");
        making->conditional = true;
        making_put(making, EFFECT_SET, "last_type",
                   text_of(event_type_name(making->event->type)));
        making->conditional = false;
    }
}

/* A report of success that somebody else could have sent ends nothing. */
static bool ends_what_was(const struct making *making)
{
    const struct event *event = making->event;

    return event->type != EVENT_DELIVERY || !making_is_report(making) ||
           text_is(event->trace, "valid");
}

static void put_recipient(struct making *making, const struct effect_row *row)
{
    const struct event *event = making->event;

    if (!making_key(making, STORE_RECIPIENT, event->recipient)) {
        return;
    }
    put_count(making, row);
    if (row->outcome) {
        making->conditional = true;
        making_put(making, EFFECT_SET, "last_reason", reason_of(making));
        making_put(making, EFFECT_SET, "last_enhanced_status",
                   event->enhanced_status);
        making_put(making, EFFECT_SET, "last_diagnostic",
                   making_bounded(event->diagnostic, EVENT_DIAGNOSTIC_MAX));
        making_put(making, EFFECT_SET, "last_queue_id", event->queue_id);
        making->conditional = false;
    }
    if (row->recipient != NULL && ends_what_was(making)) {
        row->recipient(making);
    }
}

static void put_domain(struct making *making, const struct effect_row *row)
{
    if (making_key(making, STORE_DOMAIN, making->event->recipient_domain)) {
        put_count(making, row);
        if (row->domain != NULL && ends_what_was(making)) {
            row->domain(making);
        }
    }
}

/* What follows in this bucket is done once for a report, however often sent. */
static struct effect *put_once(struct making *making)
{
    const struct event *event = making->event;
    char name[SEEN_NAME_MAX];

    if (!making_is_report(making)) {
        return NULL;
    }
    (void)snprintf(name, sizeof name, "%.*s|%s",
                   (int)making_bounded(event->trace_id, SEEN_ID_MAX).length,
                   event->trace_id.bytes, event_type_name(event->type));
    return making_key(making, STORE_SEEN, text_of(name))
               ? making_put_number(making, EFFECT_ONCE, NULL,
                                   making->seconds + SEEN_KEPT)
               : NULL;
}

/* All since then belong to it. */
static void end_once(struct making *making, struct effect *once)
{
    char digits[24];

    if (once != NULL) {
        (void)snprintf(digits, sizeof digits, "%zu",
                       making->count - (size_t)(once - making->effects) - 1);
        making_join(once, text_of(digits), "", text_of(NULL));
    }
}

static void put_history(struct making *making, const struct effect_row *row)
{
    struct text recipient = making->event->recipient;
    struct text domain = making->event->recipient_domain;
    bool has_domain =
        making_knows(domain) && domain.length <= MAILBOX_DOMAIN_MAX;
    bool has_recipient =
        making_knows(recipient) && recipient.length <= MAILBOX_MAX;
    struct effect *once = NULL;

    if (has_recipient) {
        making->bucket = store_bucket(recipient.bytes, recipient.length);
        once = put_once(making);
        put_recipient(making, row);
        making_put_stats(making);
        end_once(making, once);
    }
    if (!has_domain) {
        return;
    }
    making->bucket = store_bucket(domain.bytes, domain.length);
    if (once == NULL || once->bucket != making->bucket) {
        once = put_once(making);
    }
    put_domain(making, row);
    if (!has_recipient) {
        making_put_stats(making);
    }
    end_once(making, once); /* one bucket: of both */
}

/* Of what is no history: a count in the bucket of whom it is about. */
static void put_stats_alone(struct making *making)
{
    const struct event *event = making->event;
    struct text whose = making_knows(event->recipient)
                            ? event->recipient
                            : event->recipient_domain;

    if (event->aggregated > 0) {
        whose = text_of(""); /* of nobody in particular */
    }
    making->bucket = store_bucket(whose.bytes, whose.length);
    making_put_stats(making);
}

/* ---- lists ---- */

/*
 * EXPIREAT takes seconds: the next whole one, so that no entry ends before
 * its time. A time that has passed deletes the key, which is right.
 */
static int64_t put_expiry(struct making *making)
{
    struct text at = making->event->suppression_expires_at;
    int64_t us;

    if (!making_knows(at) || !clock_parse(at.bytes, at.length, &us)) {
        return 0;
    }
    us = us / US_PER_SECOND + (us % US_PER_SECOND > 0);
    making_put_number(making, EFFECT_EXPIRE, NULL, us);
    return us;
}

/*
 * What the entry is from now on (NULL: it is not), so that nobody takes this
 * change for one made with redis-cli. Leaves the key in hand.
 */
static void put_known(struct making *making, const struct list_known *entry)
{
    struct text field = {making->key.text, making->key.length};
    char name[STORE_KEY_MAX];
    char value[LIST_KNOWN_SIZE] = "";
    size_t prefix = strlen(making->prefix);

    field.length =
        text_copy((struct text){field.bytes + prefix, field.length - prefix},
                  name, sizeof name);
    field.bytes = name;
    if (entry != NULL) {
        list_known_format(entry, value);
    }
    if (making_key(making, STORE_KNOWN, text_of(NULL))) {
        making_join(making_put_own(making, EFFECT_SET, NULL, value), field, "",
                    text_of(NULL));
    }
}

/*
 * The entry of a policy takes the place of an older one of a policy: nobody
 * else's is touched, whoever was faster. Of no other is the origin "policy".
 */
static void begin_policy_entry(struct making *making)
{
    making_put(making, EFFECT_IS, "origin", text_of("policy"));
    making->conditional = true;
    making_put_own(making, EFFECT_UNLESS, "added_at", making->timestamp);
    making_put(making, EFFECT_DELETE, NULL, text_of(""));
    making->conditional = false;
    making_put(making, EFFECT_ABSENT, NULL, text_of(""));
    making->conditional = true;
}

static void put_entry(struct making *making)
{
    const struct event *event = making->event;
    struct list_known entry = {
        .kind = LIST_KNOWN_HASH,
        .fields = {
            [LIST_KNOWN_REASON] = event->suppression_reason,
            [LIST_KNOWN_TYPE] = event->failure_type,
            [LIST_KNOWN_ORIGIN] = event->suppression_origin,
            [LIST_KNOWN_NOTE] = event->suppression_note,
            [LIST_KNOWN_BY] = event->suppression_by,
            [LIST_KNOWN_ADDED_AT] = event->suppression_added_at,
            [LIST_KNOWN_EVIDENCE] = event->suppression_evidence,
        }};

    if (!making_knows(event->suppression_added_at)) {
        /* a hash without a field does not exist, and would not suppress */
        entry.fields[LIST_KNOWN_ADDED_AT] = text_of(making->timestamp);
    }
    if (text_is(event->suppression_mode, "observe")) {
        entry.fields[LIST_KNOWN_MODE] = event->suppression_mode;
    }
    for (size_t i = 0; i < LIST_KNOWN_FIELDS; i++) {
        struct text *value = &entry.fields[i];

        *value = making_bounded(*value, EFFECT_VALUE_MAX);
        if (value->bytes == making->timestamp) { /* ours, not the event's */
            making_put_own(making, EFFECT_SET, list_known_names[i],
                           value->bytes);
        } else if (making_knows(*value)) {
            making_put(making, EFFECT_SET, list_known_names[i], *value);
        }
    }
    entry.ends_s = put_expiry(making);
    put_known(making, &entry);
}

static bool is_by_policy(const struct event *event)
{
    return event->type == EVENT_SUPPRESSION_ADDED &&
           text_is(event->suppression_origin, "policy");
}

/* What was before the last delivery is no step of the ladder any more. */
static void put_escalation(struct making *making, struct text address)
{
    struct text at = text_of(making->timestamp);

    if (making_key(making, STORE_RECIPIENT, address)) {
        if (making->scope.length == 0) { /* no delivery ends a request */
            making_put_own(making, EFFECT_UNLESS, "last_delivery_at",
                           making->timestamp);
            making->conditional = true;
        }
        making_put_scoped(making, EFFECT_ADD, "escalation", text_of("1"));
        making_put_scoped(making, EFFECT_LAST, "escalated_at", at);
        making->conditional = false;
    }
}

/* Whoever lifts an entry says that the address is good: a new ladder. */
static void put_no_escalation(struct making *making, struct text address)
{
    if (making_key(making, STORE_RECIPIENT, address)) {
        making_put_scoped(making, EFFECT_SET, "escalation", text_of(""));
        making_put_scoped(making, EFFECT_SET, "escalated_at", text_of(""));
    }
}

static void put_settled_of(struct making *making, enum settling settling,
                           struct text address)
{
    bool ours = is_by_policy(making->event);

    making_settle(making, address, ours || settling == SETTLE_STRIKES);
    if (ours) {
        put_escalation(making, address);
    } else if (making->event->type == EVENT_SUPPRESSION_REMOVED) {
        put_no_escalation(making, address);
    }
}

/*
 * Somebody has decided about an address: nothing is due of it any more. A
 * policy that has decided about failures has not about a request; what it
 * suppresses on request needs no failures.
 */
static void put_settled(struct making *making, enum settling settling,
                        const struct mailbox_pattern *pattern)
{
    struct text address = {pattern->text, pattern->length};
    struct text scope = making->scope;

    if (settling == SETTLE_NOTHING || pattern->kind != MAILBOX_PATTERN_EXACT) {
        return;
    }
    if (scope.length > 0 || !is_by_policy(making->event)) {
        put_settled_of(making, settling, address);
    } else if (!reason_names_request(making->event->suppression_reason)) {
        put_settled_of(making, settling, address);
        return;
    } else {
        making_settle(making, address, true);
    }
    if (scope.length == 0) {
        making->scope = text_of(STORE_SCOPE_ALL);
        put_settled_of(making, settling, address);
        making->scope = scope;
    }
}

static void put_list(struct making *making, const struct effect_row *row)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    struct mailbox_pattern pattern;
    char scope[STORE_SCOPE_MAX + 2]; /* one too many is then refused */

    if (!making_knows(making->event->suppression_pattern) ||
        mailbox_parse_pattern(making->event->suppression_pattern, &as_it_is,
                              &pattern) == MAILBOX_PATTERN_INVALID) {
        return;
    }
    text_copy(making->event->scope, scope, sizeof scope);
    if (!store_key_list(making->prefix, row->list, scope, &pattern,
                        &making->key)) {
        return;
    }
    making->bucket = store_bucket_of_pattern(&pattern);
    if (text_is(making->event->origin, "redis")) {
        /* it has been done, by whoever owns the lists */
        making_put_stats(making);
        return;
    }
    if (is_by_policy(making->event)) {
        begin_policy_entry(making);
    } else {
        making_put(making, EFFECT_DELETE, NULL, text_of(""));
    }
    if (row->change == LIST_WRITE) {
        put_entry(making);
    } else {
        put_known(making, NULL);
    }
    making->conditional = false;
    put_settled(making, row->settling, &pattern);
    making_put_stats(making);
}

/* ---- all ---- */

/*
 * An outcome is about the list for all, however much it was sent in a scope,
 * unless it is a request: nobody asks to be unreachable. A request about the
 * list for all stands apart, as no delivery ends it.
 */
static struct text scope_of(const struct event *event)
{
    bool is_outcome = rows[event->type].count != NULL;
    bool asked = reason_names_request(event->reason);

    if ((asked || !is_outcome) && store_scope_is_valid(event->scope)) {
        return event->scope;
    }
    return asked && (is_outcome || event->type == EVENT_SUPPRESSION_WITHHELD)
               ? text_of(STORE_SCOPE_ALL)
               : text_of(NULL);
}

static void begin(struct making *making)
{
    int64_t us = making->event->timestamp_us;
    const char *at = making->timestamp; /* 2026-11-02T19:43:01.123456Z */

    clock_format(us, making->timestamp);
    (void)snprintf(making->hour, sizeof making->hour, "%.4s%.2s%.2s%.2s", at,
                   at + 5, at + 8, at + 11);
    making->seconds = us / US_PER_SECOND - (us % US_PER_SECOND < 0);
    making->scope = scope_of(making->event);
}

size_t recorder_effects(const char *prefix, const struct event *event,
                        struct effect effects[EFFECT_MAX])
{
    const struct effect_row *row = &rows[event->type];
    struct making making = {
        .prefix = prefix, .event = event, .effects = effects};

    begin(&making);
    if (row->count != NULL) {
        if (event->aggregated > 0 || counts_nowhere(&making)) {
            put_stats_alone(&making);
        } else {
            put_history(&making, row);
        }
    }
    if (row->change != LIST_NONE) {
        put_list(&making, row);
    }
    if (row->other != NULL) {
        row->other(&making);
    }
    return making.count;
}
