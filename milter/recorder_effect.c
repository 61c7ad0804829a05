#include "recorder_effect.h"

#include "clock.h"
#include "mailbox.h"

#include <stdio.h>
#include <string.h>

#define REASON_MAX    64 /* bytes of a reason in the name of a stats field */
#define VALUE_MAX     EVENT_DIAGNOSTIC_MAX
#define US_PER_SECOND INT64_C(1000000)

enum list_change { LIST_NONE, LIST_WRITE, LIST_REMOVE };

/* What a type of event does: a new type is a row. Without one, nothing. */
static const struct effect_row {
    const char *count;  /* field of recipient and domain that counts it */
    const char *latest; /* field with the time of the latest; or */
    bool outcome;       /* first_at, last_at and the last_* tell of it */
    enum list_change change;
    enum store_list list;
} rows[EVENT_TYPES] = {
    [EVENT_RECEPTION] = {.count = "receptions", .latest = "last_reception_at"},
    [EVENT_REJECTION] = {.count = "rejections", .outcome = true},
    [EVENT_SUPPRESSED] = {.count = "suppressed", .outcome = true},
    [EVENT_WOULD_SUPPRESS] = {.count = "would_suppress", .outcome = true},
    [EVENT_SUPPRESSION_ADDED] = {.change = LIST_WRITE, .list = STORE_SUPPRESS},
    [EVENT_SUPPRESSION_UPDATED] = {.change = LIST_WRITE,
                                   .list = STORE_SUPPRESS},
    [EVENT_SUPPRESSION_REMOVED] = {.change = LIST_REMOVE,
                                   .list = STORE_SUPPRESS},
    [EVENT_ALLOW_ADDED] = {.change = LIST_WRITE, .list = STORE_ALLOW},
    [EVENT_ALLOW_REMOVED] = {.change = LIST_REMOVE, .list = STORE_ALLOW},
};

/* The effects while they are being made; the key is that of the next. */
struct making {
    const char *prefix;
    const struct event *event;
    struct effect *effects;
    size_t count;
    unsigned bucket;
    struct store_key key;
    char timestamp[CLOCK_TIMESTAMP_SIZE];
};

/* At most limit bytes, and no UTF-8 sequence of them halved. */
static struct text bounded(struct text text, size_t limit)
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

static struct effect *put(struct making *making,
                          enum effect_operation operation, const char *field,
                          struct text value)
{
    struct effect *effect = &making->effects[making->count];

    if (making->count == EFFECT_MAX) {
        return NULL; /* the table above makes a third of it */
    }
    making->count++;
    effect->bucket = making->bucket;
    effect->operation = operation;
    effect->key = making->key;
    effect->field = text_of(field);
    effect->value = bounded(value, VALUE_MAX);
    return effect;
}

/* Values of our own making live in the effect. */
static void put_own(struct making *making, enum effect_operation operation,
                    const char *field, const char *value)
{
    struct effect *effect = put(making, operation, field, text_of(""));

    if (effect != NULL) {
        effect->value.length = text_copy(text_of(value), effect->value_buffer,
                                         sizeof effect->value_buffer);
        effect->value.bytes = effect->value_buffer;
    }
}

static bool is_known(struct text text)
{
    return text.bytes != NULL && text.length > 0;
}

/* What suppressed it is why; else the reply's reason. */
static struct text reason_of(const struct event *event)
{
    bool list =
        event->type == EVENT_SUPPRESSED || event->type == EVENT_WOULD_SUPPRESS;

    return list && is_known(event->suppression_reason)
               ? event->suppression_reason
               : event->reason;
}

static void put_stats(struct making *making)
{
    const char *at = making->timestamp; /* 2026-11-02T19:43:01.123456Z */
    struct text reason = bounded(reason_of(making->event), REASON_MAX);
    struct effect *effect;
    char hour[16];
    int length = snprintf(hour, sizeof hour, "%.4s%.2s%.2s%.2s", at, at + 5,
                          at + 8, at + 11);

    if (length < 0 ||
        !store_key_history(making->prefix, making->bucket, STORE_STATS,
                           text_of(hour), &making->key)) {
        return;
    }
    effect = put(making, EFFECT_ADD, NULL, text_of("1"));
    if (effect == NULL) {
        return;
    }
    length = snprintf(effect->field_buffer, sizeof effect->field_buffer, "%s",
                      event_type_name(making->event->type));
    effect->field.bytes = effect->field_buffer;
    effect->field.length = length < 0 ? 0 : (size_t)length;
    if (is_known(reason)) { /* it may hold NUL, so it is no %s */
        effect->field_buffer[effect->field.length++] = '|';
        effect->field.length +=
            text_copy(reason, effect->field_buffer + effect->field.length,
                      sizeof effect->field_buffer - effect->field.length);
    }
}

static void put_count(struct making *making, const struct effect_row *row)
{
    put(making, EFFECT_ADD, row->count, text_of("1"));
    if (row->latest != NULL) {
        put_own(making, EFFECT_LAST, row->latest, making->timestamp);
    }
    if (row->outcome) {
        put_own(making, EFFECT_FIRST, "first_at", making->timestamp);
        put_own(making, EFFECT_LAST, "last_at", making->timestamp);
        put(making, EFFECT_IF_LAST, "last_type",
            text_of(event_type_name(making->event->type)));
    }
}

static void put_recipient(struct making *making, const struct effect_row *row)
{
    const struct event *event = making->event;

    if (!store_key_history(making->prefix, making->bucket, STORE_RECIPIENT,
                           event->recipient, &making->key)) {
        return;
    }
    put_count(making, row);
    if (row->outcome) {
        put(making, EFFECT_IF_LAST, "last_reason", reason_of(event));
        put(making, EFFECT_IF_LAST, "last_enhanced_status",
            event->enhanced_status);
        put(making, EFFECT_IF_LAST, "last_diagnostic", event->diagnostic);
        put(making, EFFECT_IF_LAST, "last_queue_id", event->queue_id);
    }
}

static void put_history(struct making *making, const struct effect_row *row)
{
    struct text recipient = making->event->recipient;
    struct text domain = making->event->recipient_domain;
    bool has_recipient = is_known(recipient) && recipient.length <= MAILBOX_MAX;

    if (has_recipient) {
        making->bucket = store_bucket(recipient.bytes, recipient.length);
        put_recipient(making, row);
        put_stats(making);
    }
    if (!is_known(domain) || domain.length > MAILBOX_DOMAIN_MAX) {
        return;
    }
    making->bucket = store_bucket(domain.bytes, domain.length);
    if (store_key_history(making->prefix, making->bucket, STORE_DOMAIN, domain,
                          &making->key)) {
        put_count(making, row);
    }
    if (!has_recipient) {
        put_stats(making);
    }
}

/*
 * EXPIREAT takes seconds: the next whole one, so that no entry ends before
 * its time. A time that has passed deletes the key, which is right.
 */
static void put_expiry(struct making *making)
{
    struct text at = making->event->suppression_expires_at;
    char seconds[24];
    int64_t us;
    int length;

    if (!is_known(at) || !clock_parse(at.bytes, at.length, &us)) {
        return;
    }
    length = snprintf(
        seconds, sizeof seconds, "%lld",
        (long long)(us / US_PER_SECOND + (us % US_PER_SECOND > 0 ? 1 : 0)));
    if (length > 0) {
        put_own(making, EFFECT_EXPIRE, NULL, seconds);
    }
}

static void put_entry(struct making *making)
{
    const struct event *event = making->event;
    const struct {
        const char *name;
        struct text value;
    } fields[] = {
        {"reason", event->suppression_reason},
        {"type", event->failure_type},
        {"origin", event->suppression_origin},
        {"note", event->suppression_note},
        {"by", event->suppression_by},
        {"added_at", event->suppression_added_at},
    };

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (is_known(fields[i].value)) {
            put(making, EFFECT_SET, fields[i].name, fields[i].value);
        }
    }
    if (!is_known(event->suppression_added_at)) {
        /* a hash without a field does not exist, and would not suppress */
        put_own(making, EFFECT_SET, "added_at", making->timestamp);
    }
    if (text_is(event->suppression_mode, "observe")) {
        put(making, EFFECT_SET, "mode", event->suppression_mode);
    }
    put_expiry(making);
}

static void put_list(struct making *making, const struct effect_row *row)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    struct mailbox_pattern pattern;
    char scope[STORE_SCOPE_MAX + 2]; /* one too many is then refused */

    if (!is_known(making->event->suppression_pattern) ||
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
    put(making, EFFECT_DELETE, NULL, text_of(""));
    if (row->change == LIST_WRITE) {
        put_entry(making);
    }
    put_stats(making);
}

size_t recorder_effects(const char *prefix, const struct event *event,
                        struct effect effects[EFFECT_MAX])
{
    const struct effect_row *row = &rows[event->type];
    struct making making = {
        .prefix = prefix, .event = event, .effects = effects};

    clock_format(event->timestamp_us, making.timestamp);
    if (row->count != NULL) {
        put_history(&making, row);
    }
    if (row->change != LIST_NONE) {
        put_list(&making, row);
    }
    return making.count;
}
