/*
 * policy.h - when failures of a recipient amount to a suppression
 *
 * One message is one strike. A reason's policy says how many strikes, on how
 * many distinct days (UTC), within which window make a suppression due, and
 * for how long it holds: the first time, the second, ...; after the last
 * release named it holds as long as that one.
 *
 * Defaults, unless a section policy "REASON" in the configuration says
 * otherwise (those of a reason of which only a part is given there as well):
 *
 *   user_unknown user_moved address_invalid domain_no_mail account_disabled
 *   suppressed                          1 strike, 1 day   7d 30d 90d never
 *   mailbox_full                        5 strikes, 3 days in 30d   30d
 *   domain_invalid recipient_refused expired unreachable dns_failure
 *   system_full system_error undetermined   the same               7d 30d
 *   complaint unsubscribe               1 strike, 1 day   never
 *   all others                          never count
 *
 * A soft failure never counts by a limit below that of the soft reasons: an
 * account_disabled by a 4xx counts like undetermined.
 *
 * Threads  any: a struct policies is read-only once it is made.
 */
#ifndef NIXIE_POLICY_H
#define NIXIE_POLICY_H

#include "reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_RELEASES     8           /* most steps of a release */
#define POLICY_FOR_GOOD     INT64_C(-1) /* a release that never comes */
#define POLICY_STRIKES_MAX  1000
#define POLICY_DAYS_MAX     366
#define POLICY_WINDOW_MAX_S (366 * INT64_C(86400))

struct policy {
    int64_t strikes; /* 0: failures of this reason never count */
    int64_t days;    /* 1 to strikes */
    int64_t window_s;
    size_t releases;                    /* 1 to POLICY_RELEASES */
    int64_t release_s[POLICY_RELEASES]; /* or POLICY_FOR_GOOD */
};

struct policies {
    struct policy of[REASONS];
};

/* All defaults. */
void policies_init(struct policies *policies);

/*
 * Whether failures of this reason count if a policy says so: not of those that
 * blame the sender, that are our own or that tell nothing of the recipient.
 */
bool policy_can_count(enum reason reason);

/*
 * What goes for a failure of this reason and type. Of FAILURE_TYPE_IGNORED,
 * and of reasons that cannot count: one that never counts, whatever the
 * configuration says. Borrowed from policies, or static.
 */
const struct policy *policy_of(const struct policies *policies,
                               enum reason reason, enum failure_type type);

/*
 * What goes for strikes that were counted already. Of what is only a matter of
 * time (greylisted, rate_limited, transient) the message was given up: that
 * goes by `expired`.
 */
const struct policy *policy_of_strikes(const struct policies *policies,
                                       enum reason reason,
                                       enum failure_type type);

/*
 * Seconds that a suppression holds when `before` were there already since the
 * last delivery; POLICY_FOR_GOOD: it does not end.
 */
int64_t policy_release(const struct policy *policy, int64_t before);

/*
 * The circuit breaker: failures of one reason that reach a limit, in the hour
 * of the event and the one before it. It opens when there are as many of them
 * as the limit and they are at least `percent` of themselves and the
 * deliveries of the same domain (or of all domains, see quarantine_look.h for
 * which are left out), and stays open for pause_s since.
 */
struct policy_breaker {
    int64_t domain_failures; /* default 20;  0: no breaker */
    int64_t all_failures;    /* default 200; 0: no breaker */
    int64_t percent;         /* default 50; 1 to 100 */
    int64_t pause_s;         /* default 1h */
};
void policy_breaker_init(struct policy_breaker *breaker);

/* Of one domain, or of all of them. */
bool policy_breaker_opens(const struct policy_breaker *breaker, bool domain,
                          int64_t failures, int64_t deliveries);

#endif
