#include "quarantine_breaker.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_MAX   4096 /* more than that nobody looks at one by one */
#define COUNTS_MAX 64   /* questions of a run whose answers are kept */
#define HOUR_US    INT64_C(3600000000)
#define ALL        "*"

/* What was counted of a domain (or all) in an hour and the one before. */
struct counted {
    char domain[MAILBOX_DOMAIN_MAX + 1];
    enum reason reason;
    int64_t hour;
    struct quarantine_counts counts;
};

/* The latest of them; those of all buckets cost more and stay apart. */
struct memory {
    struct counted counted[COUNTS_MAX];
    size_t used;
    size_t next;
};

struct quarantine_breakers {
    struct quarantine_look *look;
    struct quarantine_breaker open[OPEN_MAX];
    size_t count;
    struct memory of_domains, of_all;
};

/* ---- a field ---- */

static bool parse_name(unsigned bucket, struct text field,
                       struct quarantine_breaker *breaker)
{
    const char *bar =
        field.length == 0 ? NULL : memrchr(field.bytes, '|', field.length);
    struct text name = {field.bytes, 0};
    struct text reason;

    if (bar == NULL) {
        return false;
    }
    name.length = (size_t)(bar - field.bytes);
    reason = (struct text){bar + 1, field.length - name.length - 1};
    breaker->domain[0] = '\0';
    return reason_parse(reason, &breaker->reason) &&
           store_bucket(name.bytes, name.length) == bucket &&
           (text_is(name, ALL) ||
            (name.length <= MAILBOX_DOMAIN_MAX &&
             mailbox_parse_domain(name, breaker->domain) &&
             text_is(name, breaker->domain)));
}

bool quarantine_breaker_parse(unsigned bucket, struct text field,
                              struct text value,
                              struct quarantine_breaker *breaker)
{
    const char *blank =
        value.length == 0 ? NULL : memchr(value.bytes, ' ', value.length);
    struct text instance;

    if (blank == NULL || !parse_name(bucket, field, breaker)) {
        return false;
    }
    instance.bytes = blank + 1;
    instance.length = value.length - (size_t)(blank - value.bytes) - 1;
    if (instance.length != INSTANCE_ID_SIZE - 1 ||
        !clock_parse(value.bytes, (size_t)(blank - value.bytes),
                     &breaker->expires_us)) {
        return false;
    }
    (void)text_copy(instance, breaker->instance, sizeof breaker->instance);
    return true;
}

/* ---- those that are open ---- */

struct quarantine_breakers *
quarantine_breakers_new(struct quarantine_look *look)
{
    struct quarantine_breakers *breakers = calloc(1, sizeof *breakers);

    if (breakers != NULL) {
        breakers->look = look;
    }
    return breakers;
}

void quarantine_breakers_free(struct quarantine_breakers *breakers)
{
    free(breakers);
}

static void forget(struct memory *memory)
{
    memory->used = 0;
    memory->next = 0;
}

void quarantine_breakers_clear(struct quarantine_breakers *breakers)
{
    breakers->count = 0;
    forget(&breakers->of_domains);
    forget(&breakers->of_all);
}

/* Its index; the count when there is none. */
static size_t find(const struct quarantine_breakers *breakers,
                   const char *domain, enum reason reason)
{
    size_t i = 0;

    while (i < breakers->count &&
           (breakers->open[i].reason != reason ||
            strcmp(breakers->open[i].domain, domain) != 0)) {
        i++;
    }
    return i;
}

bool quarantine_breakers_add(struct quarantine_breakers *breakers,
                             const struct quarantine_breaker *breaker)
{
    size_t index = find(breakers, breaker->domain, breaker->reason);

    if (index == OPEN_MAX) {
        return false;
    }
    if (index == breakers->count) {
        breakers->count++;
    }
    breakers->open[index] = *breaker;
    return true;
}

const struct quarantine_breaker *
quarantine_breakers_get(const struct quarantine_breakers *breakers,
                        size_t index)
{
    return index < breakers->count ? &breakers->open[index] : NULL;
}

static bool holds(const struct quarantine_breakers *breakers,
                  const char *domain, enum reason reason, int64_t now_us)
{
    const struct quarantine_breaker *breaker =
        quarantine_breakers_get(breakers, find(breakers, domain, reason));

    return breaker != NULL && breaker->expires_us > now_us;
}

bool quarantine_breakers_hold(const struct quarantine_breakers *breakers,
                              const char *domain, enum reason reason,
                              int64_t now_us)
{
    return holds(breakers, domain, reason, now_us) ||
           holds(breakers, "", reason, now_us);
}

/* ---- those that open ---- */

/* Where the counts are, or are to go. *known: they are there. */
static struct counted *recall(struct memory *memory, const char *domain,
                              enum reason reason, int64_t hour, bool *known)
{
    struct counted *counted;

    *known = true;
    for (size_t i = 0; i < memory->used; i++) {
        counted = &memory->counted[i];
        if (counted->reason == reason && counted->hour == hour &&
            strcmp(counted->domain, domain) == 0) {
            return counted;
        }
    }
    *known = false;
    counted = &memory->counted[memory->next];
    counted->hour = -1; /* until there is an answer */
    return counted;
}

static void keep(struct memory *memory, struct counted *counted,
                 const char *domain, enum reason reason, int64_t hour)
{
    (void)text_copy(text_of(domain), counted->domain, sizeof counted->domain);
    counted->reason = reason;
    counted->hour = hour;
    memory->next = (memory->next + 1) % COUNTS_MAX;
    if (memory->used < COUNTS_MAX) {
        memory->used++;
    }
}

static bool count(struct quarantine_breakers *breakers, const char *domain,
                  enum reason reason, int64_t at_us,
                  struct quarantine_counts *counts, struct error *error)
{
    struct memory *memory =
        domain[0] == '\0' ? &breakers->of_all : &breakers->of_domains;
    bool known;
    struct counted *counted =
        recall(memory, domain, reason, at_us / HOUR_US, &known);

    if (!known) {
        if (!quarantine_look_counts(breakers->look, domain, reason, at_us,
                                    &counted->counts, error)) {
            return false;
        }
        keep(memory, counted, domain, reason, at_us / HOUR_US);
    }
    *counts = counted->counts;
    return true;
}

enum quarantine_spike quarantine_breakers_judge(
    struct quarantine_breakers *breakers, const struct policy_breaker *policy,
    const char *domain, enum reason reason, int64_t at_us, struct error *error)
{
    struct quarantine_counts of_domain = {0, 0};
    struct quarantine_counts of_all = {0, 0};

    /* a mailbox of ours has no domain, and "" means all */
    if (policy->domain_failures > 0 && domain[0] != '\0' &&
        !count(breakers, domain, reason, at_us, &of_domain, error)) {
        return QUARANTINE_SPIKE_UNKNOWN;
    }
    if (policy_breaker_opens(policy, true, of_domain.failures,
                             of_domain.deliveries)) {
        return QUARANTINE_SPIKE_DOMAIN;
    }
    if (policy->all_failures > 0 &&
        !count(breakers, "", reason, at_us, &of_all, error)) {
        return QUARANTINE_SPIKE_UNKNOWN;
    }
    return policy_breaker_opens(policy, false, of_all.failures,
                                of_all.deliveries)
               ? QUARANTINE_SPIKE_ALL
               : QUARANTINE_SPIKE_NONE;
}
