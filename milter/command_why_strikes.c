#include "command_why.h"

#include <stdio.h>
#include <string.h>

#define US_PER_SECOND INT64_C(1000000)

static size_t lines_of(const redisReply *evidence)
{
    return evidence != NULL && evidence->type == REDIS_REPLY_ARRAY
               ? evidence->elements
               : 0;
}

/* Scores are whole seconds. */
static void time_of(struct text score, char at[CLOCK_TIMESTAMP_SIZE])
{
    clock_format(health_number(score) * US_PER_SECOND, at);
}

static enum why_state state_of(const struct findings *findings)
{
    switch (findings->result) {
    case SUPPRESSION_ALLOWED:
        return WHY_ALLOWED;
    case SUPPRESSION_FOUND:
        return WHY_SUPPRESSED;
    case SUPPRESSION_ABSENT:
    case SUPPRESSION_UNAVAILABLE:
        break;
    }
    return command_store_text(findings->strikes.due).length > 0 ? WHY_DUE
                                                                : WHY_OPEN;
}

/* The one that withholds suppressions for this reason; or NULL. */
static const struct quarantine_breaker *
breaker_of(const struct findings *findings, enum reason reason)
{
    const GArray *breakers = findings->domain.breakers;

    if (reason_is_request(reason)) {
        return NULL; /* no spike of these is a fault */
    }
    for (guint i = 0; breakers != NULL && i < breakers->len; i++) {
        const struct quarantine_breaker *breaker =
            &g_array_index(breakers, struct quarantine_breaker, i);

        if (breaker->reason == reason) {
            return breaker;
        }
    }
    return NULL;
}

static void make_policy(const struct findings *findings,
                        struct why_policy *policy,
                        char sentence[WHY_SENTENCE_SIZE])
{
    why_policy_make(
        scope_policies(findings->call->settings, text_of(findings->scope)),
        &findings->strikes, findings->recipient, findings->now_us, policy);
    why_policy_sentence(
        policy, state_of(findings),
        policy->known ? breaker_of(findings, policy->reason) : NULL, sentence);
}

/* --- for people -------------------------------------------------------- */

static void print_strikes(const redisReply *strikes)
{
    size_t count = health_fields(strikes);

    (void)puts(count == 0 ? "strikes: none" : "strikes:");
    for (size_t i = 0; i < count; i++) {
        char at[CLOCK_TIMESTAMP_SIZE];
        struct text message;
        struct text score;

        health_field(strikes, i, &message, &score);
        time_of(score, at);
        (void)printf("  %.19sZ  ", at);
        command_put(message);
        (void)fputc('\n', stdout);
    }
}

static void print_evidence(const redisReply *evidence)
{
    for (size_t i = 0; i < lines_of(evidence); i++) {
        (void)fputs(i == 0 ? "evidence:\n  " : "  ", stdout);
        command_put(command_store_text(evidence->element[i]));
        (void)fputc('\n', stdout);
    }
}

static void print_due(const struct findings *findings)
{
    struct text reason = command_store_text(findings->strikes.due);

    if (reason.length > 0) {
        (void)fputs("due: ", stdout);
        command_put(reason);
        (void)fputc('\n', stdout);
    }
}

void why_strikes_print(const struct findings *findings)
{
    char sentence[WHY_SENTENCE_SIZE];
    struct why_policy policy;

    if (findings->recipient == NULL) {
        return; /* too long: nothing is kept of it */
    }
    make_policy(findings, &policy, sentence);
    print_strikes(findings->strikes.strikes);
    print_evidence(findings->strikes.evidence);
    print_due(findings);
    (void)printf("suppressed by policy since the last delivery: %lld\n",
                 (long long)findings->strikes.escalation);
    (void)fputs("policy: ", stdout);
    command_put(text_of(sentence));
    (void)fputc('\n', stdout);
}

/* --- for programs ------------------------------------------------------ */

static json_t *json_of_strikes(const redisReply *strikes)
{
    json_t *array = json_array();

    for (size_t i = 0; i < health_fields(strikes); i++) {
        json_t *strike = json_object();
        char at[CLOCK_TIMESTAMP_SIZE];
        struct text message;
        struct text score;

        health_field(strikes, i, &message, &score);
        time_of(score, at);
        command_json_set(strike, "message", message);
        command_json_set(strike, "at", text_of(at));
        (void)json_array_append_new(array, strike);
    }
    return array;
}

static void set_word(json_t *object, const char *name, struct text word)
{
    if (word.length > 0 && !text_is(word, "-")) {
        command_json_set(object, name, word);
    }
}

static json_t *json_of_line(struct text line)
{
    json_t *object = json_object();
    struct why_evidence evidence;

    if (!why_evidence_parse(line, &evidence)) {
        command_json_set(object, "line", line);
        return object;
    }
    set_word(object, "at", evidence.at);
    set_word(object, "queue_id", evidence.queue_id);
    set_word(object, "message_id", evidence.message_id);
    if (health_number(evidence.reply_code) > 0) {
        (void)json_object_set_new(
            object, "reply_code",
            json_integer(health_number(evidence.reply_code)));
    }
    set_word(object, "enhanced_status", evidence.enhanced_status);
    set_word(object, "reason", evidence.reason);
    set_word(object, "diagnostic", evidence.diagnostic);
    return object;
}

static json_t *json_of_evidence(const redisReply *evidence)
{
    json_t *array = json_array();

    for (size_t i = 0; i < lines_of(evidence); i++) {
        (void)json_array_append_new(
            array, json_of_line(command_store_text(evidence->element[i])));
    }
    return array;
}

static json_t *json_of_policy(const struct findings *findings)
{
    char sentence[WHY_SENTENCE_SIZE];
    struct why_policy policy;
    json_t *object = json_object();

    make_policy(findings, &policy, sentence);
    if (policy.known) {
        command_json_set(object, "reason", text_of(reason_name(policy.reason)));
        command_json_set(object, "failure_type",
                         text_of(failure_type_name(policy.type)));
    }
    (void)json_object_set_new(object, "counts", json_boolean(policy.counts));
    if (policy.counts) {
        const struct {
            const char *name;
            int64_t number;
        } numbers[] = {
            {"strikes", policy.strikes},
            {"strike_limit", policy.policy->strikes},
            {"days", policy.days},
            {"strike_days", policy.policy->days},
            {"strike_window_seconds", policy.policy->window_s},
            {"messages_left", policy.messages_left},
            {"days_left", policy.days_left},
        };

        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            (void)json_object_set_new(object, numbers[i].name,
                                      json_integer(numbers[i].number));
        }
        (void)json_object_set_new(object, "for_good",
                                  json_boolean(policy.release_s < 0));
        if (policy.release_s >= 0) {
            (void)json_object_set_new(object, "release_seconds",
                                      json_integer(policy.release_s));
        }
    }
    command_json_set(object, "next", text_of(sentence));
    return object;
}

void why_strikes_set(json_t *object, const struct findings *findings)
{
    struct text due = command_store_text(findings->strikes.due);

    if (findings->recipient == NULL) {
        return;
    }
    (void)json_object_set_new(object, "strikes",
                              json_of_strikes(findings->strikes.strikes));
    (void)json_object_set_new(object, "evidence",
                              json_of_evidence(findings->strikes.evidence));
    if (due.length > 0) {
        command_json_set(object, "due", due);
    }
    (void)json_object_set_new(object, "escalation",
                              json_integer(findings->strikes.escalation));
    (void)json_object_set_new(object, "policy", json_of_policy(findings));
}
