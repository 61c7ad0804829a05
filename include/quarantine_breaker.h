/*
 * quarantine_breaker.h - the circuit breakers: which are open, which open now
 *
 * An open one is a field of {NN}:breaker, in the bucket of its domain or of
 * "*":  <domain or *>|<reason>  ->  <expires_at> <instance>
 * What it says there goes: an operator may lift a breaker by HDEL, or make it
 * longer. Past its time it is closed, whether the field is still there or not.
 *
 * Owner    nothing is borrowed but the look.
 * Threads  one.
 */
#ifndef NIXIE_QUARANTINE_BREAKER_H
#define NIXIE_QUARANTINE_BREAKER_H

#include "policy.h"
#include "quarantine_look.h"

struct quarantine_breaker {
    char domain[MAILBOX_DOMAIN_MAX + 1]; /* "": for all */
    enum reason reason;
    int64_t expires_us;
    char instance[INSTANCE_ID_SIZE]; /* who opened it; "": this run */
};

/*
 * What a field of {NN}:breaker says. False when it is none that the recorder
 * writes: an event could not clear it.
 */
bool quarantine_breaker_parse(unsigned bucket, struct text field,
                              struct text value,
                              struct quarantine_breaker *breaker);

struct quarantine_breakers;

/* New, or NULL when out of memory. */
struct quarantine_breakers *
quarantine_breakers_new(struct quarantine_look *look);
void quarantine_breakers_free(struct quarantine_breakers *breakers);

/* Forgets all, and what was counted: a new run. */
void quarantine_breakers_clear(struct quarantine_breakers *breakers);

/* One that is there already takes the new time. False: there are too many. */
bool quarantine_breakers_add(struct quarantine_breakers *breakers,
                             const struct quarantine_breaker *breaker);

/* By index; NULL past the last. */
const struct quarantine_breaker *
quarantine_breakers_get(const struct quarantine_breakers *breakers,
                        size_t index);

/* Whether one is open for this domain, or for all. */
bool quarantine_breakers_hold(const struct quarantine_breakers *breakers,
                              const char *domain, enum reason reason,
                              int64_t now_us);

enum quarantine_spike {
    QUARANTINE_SPIKE_NONE,
    QUARANTINE_SPIKE_DOMAIN,
    QUARANTINE_SPIKE_ALL,
    QUARANTINE_SPIKE_UNKNOWN, /* no answer: error */
};

/* By the counts of the hour of at_us and the one before it. */
enum quarantine_spike quarantine_breakers_judge(
    struct quarantine_breakers *breakers, const struct policy_breaker *policy,
    const char *domain, enum reason reason, int64_t at_us, struct error *error);

#endif
