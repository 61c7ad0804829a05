#include "top.h"

#include <stdlib.h>
#include <string.h>

struct second {
    int64_t number; /* of the seconds since 1970; another: it is forgotten */
    uint32_t counts[EVENT_TYPES];
};

struct domain {
    char name[MAILBOX_DOMAIN_MAX + 1]; /* "": unused */
    char reason[REASON_NAME_MAX];
    int64_t last_us;
    int64_t minute; /* the newest that has counts */
    uint32_t failures[TOP_MINUTES], delays[TOP_MINUTES];
};

struct top {
    struct second seconds[TOP_WINDOW_S];
    struct domain domains[TOP_DOMAINS];
    struct top_change changes[TOP_CHANGES];
    size_t change_count; /* of all, ever */
    struct top_state state;
};

struct top *top_new(void)
{
    return calloc(1, sizeof(struct top));
}

void top_free(struct top *top)
{
    free(top);
}

/* --- by type ----------------------------------------------------------- */

static void count_type(struct top *top, enum event_type type, uint32_t more,
                       int64_t at_us)
{
    const int64_t number = at_us / 1000000;
    struct second *second = &top->seconds[number % TOP_WINDOW_S];

    if (second->number > number) {
        return; /* it would count as of a time that is yet to come */
    }
    if (second->number != number) {
        memset(second, 0, sizeof *second);
        second->number = number;
    }
    second->counts[type] += more;
}

uint64_t top_count(const struct top *top, enum event_type type, int seconds,
                   int64_t now_us)
{
    const int64_t now = now_us / 1000000;
    uint64_t sum = 0;

    for (int64_t number = now - seconds + 1; number <= now; number++) {
        const struct second *second =
            &top->seconds[(number % TOP_WINDOW_S + TOP_WINDOW_S) %
                          TOP_WINDOW_S];

        if (second->number == number) {
            sum += second->counts[type];
        }
    }
    return sum;
}

/* --- by domain --------------------------------------------------------- */

/* Clears the minutes that have passed since its newest. */
static void move_on(struct domain *domain, int64_t minute)
{
    int64_t first = domain->minute + 1;

    if (minute - first >= TOP_MINUTES) {
        first = minute - TOP_MINUTES + 1;
    }
    for (int64_t passed = first; passed <= minute; passed++) {
        domain->failures[passed % TOP_MINUTES] = 0;
        domain->delays[passed % TOP_MINUTES] = 0;
    }
    if (minute > domain->minute) {
        domain->minute = minute;
    }
}

/* Its place, an unused one, or that of the one that failed longest ago. */
static struct domain *place_of(struct top *top, const char *name)
{
    struct domain *oldest = &top->domains[0];

    for (size_t i = 0; i < TOP_DOMAINS; i++) {
        struct domain *domain = &top->domains[i];

        if (strcmp(domain->name, name) == 0) {
            return domain;
        }
        if (domain->last_us < oldest->last_us) {
            oldest = domain;
        }
    }
    memset(oldest, 0, sizeof *oldest);
    (void)text_copy(text_of(name), oldest->name, sizeof oldest->name);
    return oldest;
}

static bool is_failure(enum event_type type)
{
    return type == EVENT_BOUNCE || type == EVENT_EXPIRATION ||
           type == EVENT_OUT_OF_BAND;
}

static void count_domain(struct top *top, const struct event *event,
                         int64_t at_us)
{
    char name[MAILBOX_DOMAIN_MAX + 1];
    const int64_t minute = at_us / 60000000;
    struct domain *domain;

    if ((!is_failure(event->type) && event->type != EVENT_DELAY) ||
        event->recipient_domain.length == 0) {
        return;
    }
    (void)text_escape(event->recipient_domain, name, sizeof name);
    domain = place_of(top, name);
    move_on(domain, minute);
    if (minute > domain->minute - TOP_MINUTES) {
        uint32_t *counts =
            is_failure(event->type) ? domain->failures : domain->delays;

        counts[minute % TOP_MINUTES]++;
    }
    domain->last_us = at_us;
    (void)text_escape(event->reason, domain->reason, sizeof domain->reason);
}

static void sum_up(const struct domain *domain, int64_t minute,
                   struct top_domain *sum)
{
    int64_t first =
        (minute > domain->minute ? minute : domain->minute) - TOP_MINUTES + 1;

    memset(sum, 0, sizeof *sum);
    for (int64_t past = first > 0 ? first : 0; past <= domain->minute; past++) {
        sum->failures += domain->failures[past % TOP_MINUTES];
        sum->delays += domain->delays[past % TOP_MINUTES];
    }
    (void)text_copy(text_of(domain->name), sum->domain, sizeof sum->domain);
    (void)text_copy(text_of(domain->reason), sum->reason, sizeof sum->reason);
}

static bool is_worse(const struct top_domain *one,
                     const struct top_domain *other)
{
    return one->failures != other->failures ? one->failures > other->failures
                                            : one->delays > other->delays;
}

size_t top_worst(const struct top *top, int64_t now_us,
                 struct top_domain *worst, size_t size)
{
    size_t count = 0;

    for (size_t i = 0; i < TOP_DOMAINS && size > 0; i++) {
        struct top_domain sum;
        size_t at;

        if (top->domains[i].name[0] == '\0') {
            continue;
        }
        sum_up(&top->domains[i], now_us / 60000000, &sum);
        if (sum.failures + sum.delays == 0 ||
            (count == size && !is_worse(&sum, &worst[size - 1]))) {
            continue;
        }
        at = count < size ? count++ : size - 1;
        for (; at > 0 && is_worse(&sum, &worst[at - 1]); at--) {
            worst[at] = worst[at - 1];
        }
        worst[at] = sum;
    }
    return count;
}

/* --- the list, the recorder, the store --------------------------------- */

static void take_change(struct top *top, const struct event *event)
{
    struct top_change *change =
        &top->changes[top->change_count++ % TOP_CHANGES];
    struct text reason = event->suppression_reason.bytes != NULL
                             ? event->suppression_reason
                             : event->reason;

    change->timestamp_us = event->timestamp_us;
    (void)text_escape(event->suppression_pattern.bytes != NULL
                          ? event->suppression_pattern
                          : event->recipient,
                      change->pattern, sizeof change->pattern);
    (void)text_escape(reason, change->reason, sizeof change->reason);
    (void)text_escape(event->origin, change->origin, sizeof change->origin);
}

const struct top_change *top_added(const struct top *top, size_t index)
{
    if (index >= top->change_count || index >= TOP_CHANGES) {
        return NULL;
    }
    return &top->changes[(top->change_count - 1 - index) % TOP_CHANGES];
}

void top_state(const struct top *top, struct top_state *state)
{
    *state = top->state;
}

/* A nixied that was stopped while Redis was down tells no recovery. */
static void take_store_state(struct top_state *state, struct text store_state)
{
    if (text_is(store_state, "ok") && state->store_down) {
        state->store_down = false;
        state->store_error[0] = '\0';
    } else if (text_is(store_state, "down") && !state->store_down) {
        state->store_known = true;
        state->store_down = true;
        (void)text_copy(text_of("by the last heartbeat"), state->store_error,
                        sizeof state->store_error);
    }
}

static void take_state(struct top *top, const struct event *event)
{
    struct top_state *state = &top->state;

    state->last_seq = event->seq;
    (void)text_escape(event->node, state->node, sizeof state->node);
    if (event->type == EVENT_HEARTBEAT) {
        state->heartbeat_us = event->timestamp_us;
        state->applied_seq = event->applied_seq;
        state->lag_seconds = event->lag_seconds;
        take_store_state(state, event->store_state);
    } else if (event->type == EVENT_STORE_DEGRADED ||
               event->type == EVENT_STORE_RECOVERED) {
        state->store_known = true;
        state->store_down = event->type == EVENT_STORE_DEGRADED;
        (void)text_escape(event->store_error, state->store_error,
                          sizeof state->store_error);
    }
}

void top_take(struct top *top, const struct event *event, int64_t at_us)
{
    if (at_us < 0) {
        return;
    }
    take_state(top, event);
    count_type(top, event->type,
               event->aggregated > 0 && event->aggregated < UINT32_MAX
                   ? (uint32_t)event->aggregated
                   : 1,
               at_us);
    count_domain(top, event, at_us);
    if (event->type == EVENT_SUPPRESSION_ADDED) {
        take_change(top, event);
    }
}
