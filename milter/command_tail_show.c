#include "command.h"
#include "command_tail.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- how they look ----------------------------------------------------- */

#define RED     "31"
#define GREEN   "32"
#define YELLOW  "33"
#define MAGENTA "35"
#define CYAN    "36"

static const char *const colours[EVENT_TYPES] = {
    [EVENT_RECEPTION] = GREEN,
    [EVENT_REJECTION] = RED,
    [EVENT_SUPPRESSED] = RED,
    [EVENT_WOULD_SUPPRESS] = YELLOW,
    [EVENT_DELIVERY] = GREEN,
    [EVENT_DELAY] = YELLOW,
    [EVENT_BOUNCE] = RED,
    [EVENT_EXPIRATION] = RED,
    [EVENT_SUPPRESSION_WITHHELD] = YELLOW,
    [EVENT_BREAKER_OPENED] = MAGENTA,
    [EVENT_DOMAIN_DOWN] = MAGENTA,
    [EVENT_SUPPRESSION_ADDED] = CYAN,
    [EVENT_SUPPRESSION_UPDATED] = CYAN,
    [EVENT_SUPPRESSION_REMOVED] = CYAN,
    [EVENT_ALLOW_ADDED] = CYAN,
    [EVENT_ALLOW_REMOVED] = CYAN,
    [EVENT_GAP] = MAGENTA,
    [EVENT_STORE_DEGRADED] = MAGENTA,
    [EVENT_STORE_RECOVERED] = GREEN,
};

/* What stands behind type and recipient, if it is known. */
static const struct shown {
    const char *name;
    size_t offset;
} shown[] = {
    {"action", offsetof(struct event, action)},
    {"reason", offsetof(struct event, reason)},
    {"suppression_pattern", offsetof(struct event, suppression_pattern)},
    {"suppression_reason", offsetof(struct event, suppression_reason)},
    {"enhanced_status", offsetof(struct event, enhanced_status)},
    {"diagnostic", offsetof(struct event, diagnostic)},
    {"queue_id", offsetof(struct event, queue_id)},
    {"sender", offsetof(struct event, sender)},
    {"scope", offsetof(struct event, scope)},
    {"suppression_note", offsetof(struct event, suppression_note)},
    {"suppression_by", offsetof(struct event, suppression_by)},
    {"suppression_expires_at", offsetof(struct event, suppression_expires_at)},
    {"withheld_by", offsetof(struct event, withheld_by)},
    {"first_attempt_at", offsetof(struct event, first_attempt_at)},
    {"next_attempt_at", offsetof(struct event, next_attempt_at)},
    {"expires_at", offsetof(struct event, expires_at)},
    {"gap_reason", offsetof(struct event, gap_reason)},
    {"store_endpoint", offsetof(struct event, store_endpoint)},
    {"store_state", offsetof(struct event, store_state)},
    {"store_error", offsetof(struct event, store_error)},
};

static const struct shown numbers[] = {
    {"attempt", offsetof(struct event, attempt)},
    {"attempts_left", offsetof(struct event, attempts_left)},
    {"aggregated", offsetof(struct event, aggregated)},
    {"gap_count", offsetof(struct event, gap_count)},
    {"applied_seq", offsetof(struct event, applied_seq)},
    {"lag_seconds", offsetof(struct event, lag_seconds)},
};

static void put_member(const char *name, struct text value)
{
    bool quoted =
        value.length == 0 || memchr(value.bytes, ' ', value.length) != NULL;

    (void)printf(" %s=%s", name, quoted ? "\"" : "");
    command_put(value);
    if (quoted) {
        (void)fputc('"', stdout);
    }
}

static void put_time(int64_t us)
{
    time_t seconds = (time_t)(us / 1000000);
    char text[32];
    struct tm tm;

    if (localtime_r(&seconds, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        (void)snprintf(text, sizeof text, "%lld", (long long)(us / 1000000));
    }
    (void)fputs(text, stdout);
}

static bool is_same(struct text one, struct text other)
{
    return one.length == other.length &&
           (one.length == 0 || memcmp(one.bytes, other.bytes, one.length) == 0);
}

static bool is_of_domain(enum event_type type)
{
    return type == EVENT_BREAKER_OPENED || type == EVENT_BREAKER_CLOSED ||
           type == EVENT_DOMAIN_DOWN || type == EVENT_DOMAIN_UP;
}

/* What is as usual is not shown, so that the line stays short. */
static bool tells_something(const struct event *event, size_t offset,
                            struct text value)
{
    if (value.bytes == NULL) {
        return false;
    }
    if (offset == offsetof(struct event, suppression_reason)) {
        return !is_same(value, event->reason);
    }
    if (offset == offsetof(struct event, first_attempt_at) ||
        offset == offsetof(struct event, expires_at)) {
        return is_of_domain(event->type);
    }
    if (offset == offsetof(struct event, store_state)) {
        return !text_is(value, "ok");
    }
    if (offset == offsetof(struct event, suppression_pattern)) {
        return !is_same(value, command_tail_recipient(event));
    }
    return true;
}

/* Whom or what an event is about. */
static struct text subject_of(const struct event *event)
{
    struct text recipient = command_tail_recipient(event);

    if (recipient.length == 0 && is_of_domain(event->type)) {
        recipient = event->recipient_domain;
        return recipient.length > 0 ? recipient : text_of("all domains");
    }
    return recipient.length > 0 ? recipient : text_of("-");
}

void command_tail_show(const struct event *event, bool coloured)
{
    const char *colour = coloured ? colours[event->type] : NULL;

    put_time(event->timestamp_us);
    if (colour != NULL) {
        (void)printf(" \x1b[%sm%-19s\x1b[0m ", colour,
                     event_type_name(event->type));
    } else {
        (void)printf(" %-19s ", event_type_name(event->type));
    }
    command_put(subject_of(event));
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        struct text value;

        memcpy(&value, (const char *)event + shown[i].offset, sizeof value);
        if (tells_something(event, shown[i].offset, value)) {
            put_member(shown[i].name, value);
        }
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int64_t number;

        memcpy(&number, (const char *)event + numbers[i].offset, sizeof number);
        if (number != EVENT_UNKNOWN) {
            (void)printf(" %s=%lld", numbers[i].name, (long long)number);
        }
    }
    if (event->transaction_id.length > 0) { /* as a refusal has it */
        (void)fputs(" [", stdout);
        command_put(event->transaction_id);
        (void)fputc(']', stdout);
    }
    (void)fputc('\n', stdout);
}
