#include "policy.h"

#define DAY     INT64_C(86400)
#define HOUR    INT64_C(3600)
#define PERCENT 100

/* Far above what two hours hold, and times PERCENT within 64 bits. */
#define BREAKER_COUNT_MOST (INT64_MAX / (2 * PERCENT))

static const struct policy hard = {
    1, 1, 30 * DAY, 4, {7 * DAY, 30 * DAY, 90 * DAY, POLICY_FOR_GOOD}};
static const struct policy full = {5, 3, 30 * DAY, 1, {30 * DAY}};
static const struct policy soft = {5, 3, 30 * DAY, 2, {7 * DAY, 30 * DAY}};
static const struct policy request = {1, 1, 30 * DAY, 1, {POLICY_FOR_GOOD}};

/* The rest of it goes for sections that say no more than how many strikes. */
static const struct policy never = {0, 1, 30 * DAY, 2, {7 * DAY, 30 * DAY}};

static const struct policy *const defaults[REASONS] = {
    [REASON_USER_UNKNOWN] = &hard,      [REASON_USER_MOVED] = &hard,
    [REASON_ADDRESS_INVALID] = &hard,   [REASON_DOMAIN_NO_MAIL] = &hard,
    [REASON_ACCOUNT_DISABLED] = &hard,  [REASON_SUPPRESSED] = &hard,
    [REASON_MAILBOX_FULL] = &full,      [REASON_DOMAIN_INVALID] = &soft,
    [REASON_RECIPIENT_REFUSED] = &soft, [REASON_EXPIRED] = &soft,
    [REASON_UNREACHABLE] = &soft,       [REASON_DNS_FAILURE] = &soft,
    [REASON_SYSTEM_FULL] = &soft,       [REASON_SYSTEM_ERROR] = &soft,
    [REASON_UNDETERMINED] = &soft,      [REASON_COMPLAINT] = &request,
    [REASON_UNSUBSCRIBE] = &request,
};

void policies_init(struct policies *policies)
{
    for (size_t i = 0; i < REASONS; i++) {
        policies->of[i] = defaults[i] != NULL ? *defaults[i] : never;
    }
}

bool policy_can_count(enum reason reason)
{
    return reason_facts(reason)->action != REASON_ACTION_NEVER;
}

/* Fewer strikes, or less days for them. */
static bool is_below(const struct policy *policy, const struct policy *other)
{
    return policy->strikes < other->strikes || policy->days < other->days;
}

const struct policy *policy_of(const struct policies *policies,
                               enum reason reason, enum failure_type type)
{
    const struct policy *policy = &policies->of[reason];
    const struct policy *undetermined = &policies->of[REASON_UNDETERMINED];

    if (type == FAILURE_TYPE_IGNORED || !policy_can_count(reason) ||
        policy->strikes == 0) {
        return &never;
    }
    /* the limit is one for failures that are for good; this one may pass */
    if (type == FAILURE_TYPE_SOFT &&
        reason_facts(reason)->failure_type == FAILURE_TYPE_HARD &&
        (undetermined->strikes == 0 || is_below(policy, undetermined))) {
        return undetermined;
    }
    return policy;
}

const struct policy *policy_of_strikes(const struct policies *policies,
                                       enum reason reason,
                                       enum failure_type type)
{
    return reason_facts(reason)->group == REASON_GROUP_TRANSIENT
               ? policy_of(policies, REASON_EXPIRED, FAILURE_TYPE_SOFT)
               : policy_of(policies, reason, type);
}

int64_t policy_release(const struct policy *policy, int64_t before)
{
    size_t last = policy->releases - 1;

    if (before < 0) {
        before = 0;
    }
    return policy->release_s[(uint64_t)before < last ? (size_t)before : last];
}

void policy_breaker_init(struct policy_breaker *breaker)
{
    *breaker = (struct policy_breaker){20, 200, 50, HOUR};
}

static int64_t bounded(int64_t count)
{
    return count < 0                    ? 0
           : count > BREAKER_COUNT_MOST ? BREAKER_COUNT_MOST
                                        : count;
}

bool policy_breaker_opens(const struct policy_breaker *breaker, bool domain,
                          int64_t failures, int64_t deliveries)
{
    int64_t limit = domain ? breaker->domain_failures : breaker->all_failures;

    failures = bounded(failures);
    deliveries = bounded(deliveries);
    return limit > 0 && failures >= limit &&
           failures * PERCENT >= breaker->percent * (failures + deliveries);
}
