/*
 * What is known of a domain: whether it takes mail, who waits for it, and
 * what its hours were like.
 */
#include "mailbox.h"
#include "recorder_effect_make.h"

#define FAILURES_DOWN  "10" /* in a row: the domain takes no mail */
#define WAITING_KEPT   (10 * SECONDS_A_DAY)
#define HOUR_KEPT      (7 * SECONDS_A_DAY)
#define SECONDS_A_DAY  INT64_C(86400)
#define SECONDS_A_HOUR INT64_C(3600)

static void take_domain(struct making *making)
{
    (void)making_key(making, STORE_DOMAIN, making->event->recipient_domain);
}

/* what "": nothing is. */
static void put_due(struct making *making, const char *what)
{
    const struct event *event = making->event;

    take_domain(making);
    making_put(making, EFFECT_SET, "due_by",
               what[0] == '\0' ? text_of("") : event->instance);
    if (making_key(making, STORE_DUE, text_of(NULL))) {
        making_join(making_put(making, EFFECT_SET, NULL, text_of(what)),
                    text_of("@"), "", event->recipient_domain);
    }
}

/* of: what is counted of the domain, and of all in this bucket. */
static void put_hour(struct making *making, struct text of)
{
    int64_t end =
        making->seconds - making->seconds % SECONDS_A_HOUR + SECONDS_A_HOUR;

    of = making_bounded(of, EFFECT_REASON_MAX);
    if (making_knows(of) &&
        making_key(making, STORE_HOUR, text_of(making->hour))) {
        making_join(making_put(making, EFFECT_ADD, NULL, text_of("1")),
                    making->event->recipient_domain, "|", of);
        making_join(making_put(making, EFFECT_ADD, NULL, text_of("1")),
                    text_of(NULL), "|", of);
        making_put_number(making, EFFECT_EXPIRE, NULL, end + HOUR_KEPT);
    }
}

/* One message for one recipient, in the queue of an MTA. */
static void put_waiting(struct making *making, bool waits)
{
    const struct event *event = making->event;

    /* nobody may tell of its end who tells of it in a report */
    if (making_is_report(making) || !making_knows(event->queue_id) ||
        !making_knows(event->recipient) ||
        event->recipient.length > MAILBOX_MAX ||
        !making_key(making, STORE_WAITING, event->recipient_domain)) {
        return;
    }
    making_join(making_put_number(making, waits ? EFFECT_MARK : EFFECT_UNMARK,
                                  NULL, making->seconds),
                making_bounded(event->queue_id, EFFECT_REASON_MAX), " ",
                event->recipient);
    if (waits) {
        making_put_number(making, EFFECT_EXTEND, NULL,
                          making->seconds + WAITING_KEPT);
    }
}

void making_domain_delivered(struct making *making)
{
    making_put_own(making, EFFECT_LAST, "last_delivery_at", making->timestamp);
    making->conditional = true;
    making_put(making, EFFECT_SET, "consecutive_failures", text_of(""));
    making_put(making, EFFECT_SET, "failing_since", text_of(""));
    put_due(making, "");
    take_domain(making);
    making_put(making, EFFECT_HAS, "down_since", text_of(""));
    put_due(making, "up");
    making->conditional = false;
    put_waiting(making, false);
    put_hour(making, text_of("deliveries"));
}

/* Only what is later than the last delivery counts. */
static void begin_failed(struct making *making)
{
    making->conditional = false;
    take_domain(making);
    making_put_own(making, EFFECT_UNLESS, "last_delivery_at",
                   making->timestamp);
    making->conditional = true;
}

static void put_failure(struct making *making)
{
    begin_failed(making);
    making_put(making, EFFECT_ADD, "consecutive_failures", text_of("1"));
    making_put_own(making, EFFECT_FIRST, "failing_since", making->timestamp);
    making_put_own(making, EFFECT_LAST, "last_failure_at", making->timestamp);
    making_put(making, EFFECT_SET, "last_failure_reason",
               making->event->reason);
    begin_failed(making);
    making_put(making, EFFECT_REACHES, "consecutive_failures",
               text_of(FAILURES_DOWN));
    making_put(making, EFFECT_UNLESS, "down_since", text_of("")); /* absent */
    put_due(making, "down");
    making->conditional = false;
}

void making_domain_failed(struct making *making)
{
    const struct event *event = making->event;
    bool comes_back = event->type == EVENT_OUT_OF_BAND;

    if (!comes_back) {
        put_waiting(making, event->type == EVENT_DELAY);
    }
    if (!comes_back && event->destination == 1) {
        put_failure(making);
    }
    /* an outage shows in what is put off: each message once */
    if (event->counted == 1 &&
        (event->type != EVENT_DELAY || event->attempt == 1)) {
        put_hour(making, event->reason);
    }
}

/* ---- domain_down, domain_up, breakers ---- */

static bool begin_domain(struct making *making)
{
    struct text domain = making->event->recipient_domain;

    if (!making_knows(domain) || domain.length > MAILBOX_DOMAIN_MAX) {
        return false;
    }
    making->bucket = store_bucket(domain.bytes, domain.length);
    take_domain(making);
    return true;
}

/* Those that are down, to be listed. since "": it is not any more. */
static void put_down(struct making *making, struct text since)
{
    if (making_key(making, STORE_DOWN, text_of(NULL))) {
        struct effect *effect =
            making_put(making, EFFECT_SET, NULL, text_of(""));

        making_join(effect, making->event->recipient_domain, "", text_of(NULL));
        making_join_value(effect, since, "", text_of(NULL));
    }
}

void making_domain_down(struct making *making)
{
    const struct event *event = making->event;
    struct text since = making_knows(event->first_attempt_at)
                            ? event->first_attempt_at
                            : text_of(making->timestamp);

    if (begin_domain(making)) {
        making_join_value(
            making_put(making, EFFECT_SET, "down_since", text_of("")), since,
            "", text_of(NULL));
        making_put(making, EFFECT_SET, "down_reason", event->reason);
        put_due(making, "");
        put_down(making, since);
        making_put_stats(making);
    }
}

void making_domain_up(struct making *making)
{
    if (begin_domain(making)) {
        making_put(making, EFFECT_SET, "down_since", text_of(""));
        making_put(making, EFFECT_SET, "down_reason", text_of(""));
        put_due(making, "");
        put_down(making, text_of(""));
        making_put_stats(making);
    }
}

/* For a domain, or for all. */
void making_breaker(struct making *making)
{
    const struct event *event = making->event;
    struct text domain = event->recipient_domain;
    struct text reason = making_bounded(event->reason, EFFECT_REASON_MAX);
    struct effect *effect;

    if (!making_knows(domain)) {
        domain = text_of("*");
    } else if (domain.length > MAILBOX_DOMAIN_MAX) {
        return;
    }
    making->bucket = store_bucket(domain.bytes, domain.length);
    if (!making_key(making, STORE_BREAKER, text_of(NULL))) {
        return;
    }
    effect = making_put(making, EFFECT_SET, NULL, text_of(""));
    making_join(effect, domain, "|", reason);
    if (event->type == EVENT_BREAKER_OPENED) {
        making_join_value(effect, event->expires_at, " ", event->instance);
    }
    making_put_stats(making);
}
