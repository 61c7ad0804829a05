#include "command_why.h"

#include <stdio.h>
#include <string.h>

#define SECONDS_A_DAY INT64_C(86400)
#define US_PER_SECOND INT64_C(1000000)

/* --- evidence ---------------------------------------------------------- */

/* The next word; the blank behind it goes too. */
static struct text next_word(struct text *line)
{
    const char *blank =
        line->length == 0 ? NULL : memchr(line->bytes, ' ', line->length);
    struct text word = *line;

    if (blank == NULL) {
        line->length = 0;
        return word;
    }
    word.length = (size_t)(blank - line->bytes);
    line->bytes = blank + 1;
    line->length -= word.length + 1;
    return word;
}

bool why_evidence_parse(struct text line, struct why_evidence *evidence)
{
    struct text *const words[] = {&evidence->at,
                                  &evidence->queue_id,
                                  &evidence->message_id,
                                  &evidence->reply_code,
                                  &evidence->enhanced_status,
                                  &evidence->reason};
    enum reason reason;
    int64_t us;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        *words[i] = next_word(&line);
    }
    evidence->diagnostic = line;
    /* a blank in a Message-ID would have moved the words behind it */
    return evidence->at.length > 0 &&
           clock_parse(evidence->at.bytes, evidence->at.length, &us) &&
           reason_parse(evidence->reason, &reason);
}

static bool begins_with_4(struct text text)
{
    return text.length > 0 && text.bytes[0] == '4';
}

static enum failure_type type_of(enum reason reason,
                                 const struct why_evidence *evidence)
{
    enum failure_type type = reason_facts(reason)->failure_type;
    bool temporary =
        evidence != NULL && (begins_with_4(evidence->reply_code) ||
                             begins_with_4(evidence->enhanced_status));

    return type == FAILURE_TYPE_HARD && temporary ? FAILURE_TYPE_SOFT : type;
}

/* --- what policy makes of it ------------------------------------------- */

/* The latest strike; false: nobody knows of one. */
static bool read_latest(const redisReply *list, struct why_evidence *evidence)
{
    return list != NULL && list->type == REDIS_REPLY_ARRAY &&
           list->elements > 0 &&
           why_evidence_parse(command_store_text(list->element[0]), evidence);
}

/* What nixie itself or our own MTA did is no failure that counts. */
static bool is_of_delivery(struct text type)
{
    return !text_is(type, "suppressed") && !text_is(type, "would_suppress") &&
           !text_is(type, "rejection");
}

/* That of what is due, of the latest strike, or of the latest failure. */
static void find_reason(const struct why_strikes *strikes,
                        const redisReply *recipient, struct why_policy *policy)
{
    struct why_evidence evidence;
    bool struck = read_latest(strikes->evidence, &evidence);
    struct text due;
    struct text due_scope;
    enum reason latest;

    store_due_value(command_store_text(strikes->due), &due, &due_scope);
    if (reason_parse(due, &policy->reason)) {
        policy->known = true;
    } else if (struck) {
        policy->known = reason_parse(evidence.reason, &policy->reason);
    } else if (is_of_delivery(health_value(recipient, "last_type"))) {
        policy->known = reason_parse(health_value(recipient, "last_reason"),
                                     &policy->reason);
    }
    struck = struck && reason_parse(evidence.reason, &latest) &&
             latest == policy->reason;
    policy->type = type_of(policy->reason, struck ? &evidence : NULL);
}

/* The oldest come first, so that a day is a new one or the one before. */
static void count_strikes(const redisReply *strikes, int64_t now_s,
                          struct why_policy *policy)
{
    int64_t since = now_s - policy->policy->window_s;
    int64_t last_day = INT64_MIN;

    for (size_t i = 0; i < health_fields(strikes); i++) {
        struct text message;
        struct text score;
        int64_t at;

        health_field(strikes, i, &message, &score);
        at = health_number(score);
        if (at > since && at <= now_s) {
            policy->strikes++;
            policy->days += at / SECONDS_A_DAY != last_day;
            last_day = at / SECONDS_A_DAY;
        }
    }
}

static int64_t left_of(int64_t limit, int64_t there)
{
    return limit > there ? limit - there : 0;
}

void why_policy_make(const struct policies *policies,
                     const struct why_strikes *strikes,
                     const redisReply *recipient, int64_t now_us,
                     struct why_policy *policy)
{
    *policy = (struct why_policy){.reason = REASON_UNDETERMINED};
    find_reason(strikes, recipient, policy);
    if (!policy->known) {
        return;
    }
    policy->policy = policy_of(policies, policy->reason, policy->type);
    policy->counts = policy->policy->strikes > 0;
    if (!policy->counts) {
        return;
    }
    count_strikes(strikes->strikes, now_us / US_PER_SECOND, policy);
    policy->messages_left = left_of(policy->policy->strikes, policy->strikes);
    policy->days_left = left_of(policy->policy->days, policy->days);
    if (policy->messages_left < policy->days_left) {
        policy->messages_left = policy->days_left; /* one on each */
    }
    if (policy->messages_left == 0) {
        policy->messages_left = 1; /* nothing is decided without a failure */
    }
    policy->release_s = policy_release(policy->policy, strikes->escalation);
}

/* --- in words ---------------------------------------------------------- */

/* "for 7 days", "for good", "for 1d 2h". */
static void release_text(int64_t seconds, char *text, size_t size)
{
    char duration[COMMAND_DURATION_SIZE];

    if (seconds < 0) {
        (void)snprintf(text, size, "for good");
    } else if (seconds % SECONDS_A_DAY == 0) {
        (void)snprintf(text, size, "for %lld day%s",
                       (long long)(seconds / SECONDS_A_DAY),
                       seconds == SECONDS_A_DAY ? "" : "s");
    } else {
        command_duration(seconds, duration);
        (void)snprintf(text, size, "for %s", duration);
    }
}

/* "4 more messages fail, on 2 more days" */
static void need_text(const struct why_policy *policy, char *text, size_t size)
{
    int used = snprintf(text, size, "%lld more message%s",
                        (long long)policy->messages_left,
                        policy->messages_left == 1 ? " fails" : "s fail");

    if (used > 0 && (size_t)used < size && policy->days_left > 0 &&
        policy->policy->days > 1) {
        (void)snprintf(text + used, size - (size_t)used, ", on %lld more day%s",
                       (long long)policy->days_left,
                       policy->days_left == 1 ? "" : "s");
    }
}

/* "1 of 5 strikes within 30 days, on 1 of 3 days" */
static void count_text(const struct why_policy *policy, char *text, size_t size)
{
    char window[COMMAND_DURATION_SIZE];
    int used;

    release_text(policy->policy->window_s, window, sizeof window);
    used = snprintf(
        text, size, "%lld of %lld strike%s within %s",
        (long long)policy->strikes, (long long)policy->policy->strikes,
        policy->policy->strikes == 1 ? "" : "s", window + strlen("for "));
    if (used > 0 && (size_t)used < size && policy->policy->days > 1) {
        (void)snprintf(text + used, size - (size_t)used,
                       ", on %lld of %lld days", (long long)policy->days,
                       (long long)policy->policy->days);
    }
}

void why_policy_sentence(const struct why_policy *policy, enum why_state state,
                         const struct quarantine_breaker *breaker,
                         char sentence[WHY_SENTENCE_SIZE])
{
    char counts[128];
    char need[96];
    char release[64];
    char open[HEALTH_BREAKER_SIZE] = "";

    if (state == WHY_ALLOWED) {
        (void)snprintf(sentence, WHY_SENTENCE_SIZE,
                       "allowed: its failures never count");
        return;
    }
    if (!policy->known) {
        (void)snprintf(sentence, WHY_SENTENCE_SIZE, "no failure is known%s",
                       state == WHY_SUPPRESSED ? "; it is suppressed already"
                                               : "");
        return;
    }
    if (!policy->counts) {
        (void)snprintf(sentence, WHY_SENTENCE_SIZE,
                       "failures like the latest (%s) never count",
                       reason_name(policy->reason));
        return;
    }
    count_text(policy, counts, sizeof counts);
    need_text(policy, need, sizeof need);
    release_text(policy->release_s, release, sizeof release);
    if (breaker != NULL) {
        health_breaker_text(breaker, open);
    }
    switch (state) {
    case WHY_SUPPRESSED:
        (void)snprintf(sentence, WHY_SENTENCE_SIZE,
                       "suppressed already; once that has ended: suppressed %s "
                       "when %s",
                       release, need);
        break;
    case WHY_DUE:
        (void)snprintf(
            sentence, WHY_SENTENCE_SIZE, "%s: next: %s %s%s%s", counts,
            breaker != NULL ? "withheld, not suppressed" : "suppressed",
            release,
            breaker != NULL ? ", as a breaker is open: "
                            : ", as soon as nixied has "
                              "applied its log",
            open);
        break;
    case WHY_ALLOWED:
    case WHY_OPEN:
        (void)snprintf(
            sentence, WHY_SENTENCE_SIZE, "%s: next: suppressed %s when %s%s%s",
            counts, release, need,
            breaker != NULL ? ", but not while a breaker is open: " : "", open);
        break;
    }
}
