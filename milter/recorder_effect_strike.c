/*
 * Strikes of a recipient: one message is one strike, and a delivery ends all
 * that were before it.
 */
#include "mailbox.h"
#include "recorder_effect_make.h"

#include <stdio.h>
#include <string.h>

#define MEMBER_MAX     128 /* bytes of what stands for a message */
#define WINDOW_DEFAULT (30 * SECONDS_A_DAY)
#define WINDOW_MOST    (100 * 366 * SECONDS_A_DAY) /* then time is no number */
#define EVIDENCE_KEPT  (400 * SECONDS_A_DAY)
#define SECONDS_A_DAY  INT64_C(86400)

/* Then somebody else may decide. */
#define DECIDING_US INT64_C(600000000)

/* How much of which makes a line of evidence. */
#define MESSAGE_ID_MAX 200
#define DIAGNOSTIC_MAX 300
#define SHORT_MAX      64

/* The field of {NN}:due: see store_due_field(). */
static void join_due(const struct making *making, struct effect *effect,
                     struct text address)
{
    making_join(effect, address, making->scope.length > 0 ? " " : "",
                making->scope);
}

void making_settle(struct making *making, struct text address, bool strikes)
{
    if (making_key(making, STORE_RECIPIENT, address)) {
        making_put_scoped(making, EFFECT_SET, "due_by", text_of(""));
        making_put_scoped(making, EFFECT_SET, "due_at", text_of(""));
    }
    if (making_key(making, STORE_DUE, text_of(NULL))) {
        join_due(making, making_put(making, EFFECT_SET, NULL, text_of("")),
                 address);
    }
    if (strikes && making_strikes_key(making, address)) {
        making_put(making, EFFECT_DELETE, NULL, text_of(""));
    }
}

static void put_delivered(struct making *making)
{
    making->conditional = false;
    making_put_own(making, EFFECT_LAST, "last_delivery_at", making->timestamp);
}

/* A failure that is later than the delivery is still due, or told already. */
void making_recipient_delivered(struct making *making)
{
    struct text recipient = making->event->recipient;

    put_delivered(making);
    making->conditional = true;
    making_put_own(making, EFFECT_UNLESS, "escalated_at", making->timestamp);
    making_put(making, EFFECT_SET, "escalation", text_of(""));
    making_put(making, EFFECT_SET, "escalated_at", text_of(""));
    /* it did set that just now: what follows is for the latest delivery too */
    put_delivered(making);
    making->conditional = true;
    making_put_own(making, EFFECT_UNLESS, "due_at", making->timestamp);
    making_settle(making, recipient, false);
    making->conditional = false;
    if (making_key(making, STORE_STRIKES, recipient)) {
        making_put_number(making, EFFECT_FORGET, NULL, making->seconds);
    }
}

/* What a report's trace_id begins with: the log knows no more of a mark. */
static struct text nonce_of(const struct making *making)
{
    const struct event *event = making->event;
    struct text nonce = event->trace_nonce;
    const char *end;

    if (making_is_report(making)) {
        nonce = event->trace_id;
        end = nonce.length > 0 ? memchr(nonce.bytes, '-', nonce.length) : NULL;
        nonce.length = end == NULL ? nonce.length : (size_t)(end - nonce.bytes);
    }
    return nonce;
}

/* What tells messages apart, of what is known. */
static struct text member_of(const struct making *making)
{
    const struct event *event = making->event;
    /* the other names are what whoever sent the report likes */
    const struct text names[] = {nonce_of(making), event->queue_id,
                                 event->message_id, event->envelope_id};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (making_knows(names[i])) {
            return making_bounded(names[i], MEMBER_MAX);
        }
    }
    return text_of(event->event_id);
}

static struct text code_in(int64_t code, char *buffer, size_t size)
{
    int length = code == EVENT_UNKNOWN
                     ? 0
                     : snprintf(buffer, size, "%lld", (long long)code);
    struct text text = {buffer, length < 0 ? 0 : (size_t)length};

    return text;
}

/* "<time> <queue_id> <message_id> <code> <status> <reason> <diagnostic>" */
static void put_evidence(struct making *making)
{
    const struct event *event = making->event;
    struct effect *effect =
        making_put(making, EFFECT_PUSH, NULL, text_of(NULL));
    char code[24];
    const struct {
        struct text text;
        size_t limit;
    } parts[] = {
        {text_of(making->timestamp), CLOCK_TIMESTAMP_SIZE},
        {event->queue_id, SHORT_MAX},
        {event->message_id, MESSAGE_ID_MAX},
        {code_in(event->reply_code, code, sizeof code), SHORT_MAX},
        {event->enhanced_status, SHORT_MAX},
        {event->reason, SHORT_MAX},
    };
    struct text *line;

    if (effect == NULL) {
        return;
    }
    line = &effect->value;
    *line = (struct text){effect->value_buffer, 0};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct text part = making_knows(parts[i].text)
                               ? making_bounded(parts[i].text, parts[i].limit)
                               : text_of("-");

        line->length += text_copy(part, effect->value_buffer + line->length,
                                  sizeof effect->value_buffer - line->length);
        effect->value_buffer[line->length++] = ' ';
    }
    line->length += text_copy(making_bounded(event->diagnostic, DIAGNOSTIC_MAX),
                              effect->value_buffer + line->length,
                              sizeof effect->value_buffer - line->length);
}

/*
 * Only what is later than the last delivery counts. A request has nothing to
 * do with deliveries: it is about one.
 */
static void begin_failed(struct making *making)
{
    making->conditional = false;
    if (making->scope.length > 0) {
        return;
    }
    if (making_key(making, STORE_RECIPIENT, making->event->recipient)) {
        making_put_own(making, EFFECT_UNLESS, "last_delivery_at",
                       making->timestamp);
    }
    making->conditional = true;
}

static void put_pushed(struct making *making)
{
    if (making_key(making, STORE_EVIDENCE, making->event->recipient)) {
        put_evidence(making);
        making_put_number(making, EFFECT_EXTEND, NULL,
                          making->seconds + EVIDENCE_KEPT);
    }
}

/* A message that is tried again is told of once, and its end once more. */
static void put_strike(struct making *making)
{
    struct text member = member_of(making);
    bool again = making->event->type == EVENT_DELAY;
    struct effect *strike;

    if (!again) {
        put_pushed(making);
    }
    if (making_strikes_key(making, making->event->recipient)) {
        strike =
            making_put_number(making, EFFECT_STRIKE, NULL, making->seconds);
        making_join(strike, member, "", text_of(NULL));
    }
    if (again) {
        making->conditional = true;
        put_pushed(making); /* when the strike was new */
    }
}

static int64_t known(int64_t number, int64_t otherwise)
{
    return number == EVENT_UNKNOWN ? otherwise : number;
}

/*
 * Behind the test that the strikes reach their limit. Who is due already is
 * left to the instance that is deciding about it, unless that takes too long:
 * of two that share a store only one decides.
 */
static void put_due(struct making *making)
{
    const struct event *event = making->event;
    struct text reason =
        making_knows(event->reason) ? event->reason : text_of("undetermined");
    /* of a request both are one */
    struct text policy_scope =
        making->scope.length == 0 && store_scope_is_valid(event->scope)
            ? event->scope
            : text_of(NULL);
    char before[CLOCK_TIMESTAMP_SIZE];
    struct effect *due;

    clock_format(event->timestamp_us - DECIDING_US, before);
    if (making_key(making, STORE_RECIPIENT, event->recipient)) {
        making_put_scoped(making, EFFECT_UNLESS, "due_at", text_of(before));
        making_put_scoped(making, EFFECT_SET, "due_by", event->instance);
        making_put_scoped(making, EFFECT_SET, "due_at",
                          text_of(making->timestamp));
    }
    if (making_key(making, STORE_DUE, text_of(NULL))) {
        due = making_put(making, EFFECT_SET, NULL, text_of(""));
        join_due(making, due, event->recipient);
        making_join_value(due, making_bounded(reason, EFFECT_REASON_MAX),
                          policy_scope.length > 0 ? "@" : "", policy_scope);
    }
}

static void put_judged(struct making *making, int64_t window)
{
    const struct event *event = making->event;
    int64_t since = making->seconds - window;
    int64_t days = known(event->strike_days, event->strike_limit == 1 ? 1 : 3);
    char from[24], judged[80];

    if (!making_strikes_key(making, event->recipient)) {
        return;
    }
    (void)snprintf(from, sizeof from, "(%lld", (long long)since);
    (void)snprintf(judged, sizeof judged, "%lld %lld %lld",
                   (long long)making->seconds, (long long)event->strike_limit,
                   (long long)(days > 0 ? days : 1));
    making_put_own(making, EFFECT_FORGET, NULL, from);
    making_join(making_put_own(making, EFFECT_DUE, NULL, judged), text_of(from),
                "", text_of(NULL));
    making->conditional = true;
    put_due(making);
}

void making_recipient_failed(struct making *making)
{
    const struct event *event = making->event;
    int64_t window = known(event->strike_window_seconds, WINDOW_DEFAULT);

    if (event->counted != 1 || event->strike_limit < 1) {
        return;
    }
    window = window < 0 ? 0 : window > WINDOW_MOST ? WINDOW_MOST : window;
    begin_failed(making);
    put_strike(making);
    begin_failed(making);
    put_judged(making, window);
    begin_failed(making);
    /* behind all: of an event from long ago it ends the strikes at once */
    if (making_strikes_key(making, event->recipient)) {
        making_put_number(making, EFFECT_EXTEND, NULL,
                          making->seconds + window);
    }
    making->conditional = false;
}

void making_withheld(struct making *making)
{
    struct text recipient = making->event->recipient;

    if (making_knows(recipient) && recipient.length <= MAILBOX_MAX) {
        making->bucket = store_bucket(recipient.bytes, recipient.length);
        making_settle(making, recipient, true);
        making_put_stats(making);
    }
}
