#include "outcome.h"

#include "bounce_rules.h"
#include "mailbox.h"
#include "policy.h"
#include "privacy_text.h"
#include "reason.h"
#include "reply_text.h"
#include "scope.h"
#include "store_key.h"

#include <stdlib.h>

#define SHARED_STRIKES 2 /* messages that nobody has a copy of both */

struct outcome_judge {
    struct outcome_judge_options options;
    /* lent to us as long as the scratch is for their rules */
    const struct settings *settings;
    struct bounce_scratch *scratch;
    struct reply_text_memory *memory;
    /* of the event judged last, which has texts in them */
    struct verdict verdict;
    char rule[VERDICT_RULE_SIZE];
};

/* --- settings ---------------------------------------------------------- */

static void let_go(struct outcome_judge *judge)
{
    bounce_scratch_free(judge->scratch);
    if (judge->settings != NULL) {
        settings_share_return(judge->options.settings, judge->settings);
    }
}

/*
 * Goes over to the newest settings. False when that needs memory that is not
 * there, or their rules are not loaded: those from before go on.
 */
static bool follow(struct outcome_judge *judge)
{
    struct bounce_scratch *scratch = NULL;
    const struct settings *newest;

    if (judge->settings != NULL &&
        settings_share_is_newest(judge->options.settings, judge->settings)) {
        return true;
    }
    newest = settings_share_borrow(judge->options.settings);
    if (newest->rules != NULL) {
        scratch = bounce_scratch_new(newest->rules);
    }
    if (scratch == NULL) {
        settings_share_return(judge->options.settings, newest);
        return false;
    }
    let_go(judge);
    judge->settings = newest;
    judge->scratch = scratch;
    return true;
}

struct outcome_judge *
outcome_judge_new(const struct outcome_judge_options *options)
{
    struct outcome_judge *judge = calloc(1, sizeof *judge);

    if (judge == NULL) {
        return NULL;
    }
    judge->options = *options;
    judge->memory = reply_text_memory_new();
    if (judge->memory == NULL || !follow(judge)) {
        reply_text_memory_free(judge->memory);
        free(judge);
        return NULL;
    }
    return judge;
}

void outcome_judge_free(struct outcome_judge *judge)
{
    if (judge != NULL) {
        let_go(judge);
        reply_text_memory_free(judge->memory);
        free(judge);
    }
}

/* --- the verdict ------------------------------------------------------- */

static void set_codes(struct event *event, int reply_code,
                      const char *enhanced_status)
{
    if (event->reply_code == EVENT_UNKNOWN && reply_code != 0) {
        event->reply_code = reply_code;
    }
    if (event->enhanced_status.length == 0 && enhanced_status[0] != '\0') {
        event->enhanced_status = text_of(enhanced_status);
    }
}

static void set_reason(struct event *event, enum reason reason,
                       enum failure_type type)
{
    int bounce_class = reason_facts(reason)->bounce_class;

    event->reason = text_of(reason_name(reason));
    event->failure_type = text_of(failure_type_name(type));
    event->bounce_class = bounce_class == 0 ? EVENT_UNKNOWN : bounce_class;
}

/* Delays go on, and what was given up may go through another time. */
static void soften(const struct event *event, const struct outcome_facts *facts,
                   struct verdict *verdict)
{
    bool expired = event->type == EVENT_EXPIRATION;

    if (expired && facts->reply.length == 0) {
        verdict->reason = REASON_EXPIRED;
        verdict->failure_type = reason_facts(REASON_EXPIRED)->failure_type;
        verdict->source = VERDICT_NONE;
        verdict->rule = NULL;
    }
    if ((expired || event->type == EVENT_DELAY) &&
        verdict->failure_type == FAILURE_TYPE_HARD) {
        verdict->failure_type = FAILURE_TYPE_SOFT;
    }
    if (expired &&
        reason_facts(verdict->reason)->group == REASON_GROUP_TRANSIENT) {
        verdict->failure_type = FAILURE_TYPE_SOFT;
    }
}

static void judge_reply(struct outcome_judge *judge,
                        const struct outcome_facts *facts, struct event *event)
{
    struct verdict *verdict = &judge->verdict;
    const struct verdict_question question = {
        .reply = facts->reply,
        .reply_code = event->reply_code > 0 && event->reply_code <= 999
                          ? (int)event->reply_code
                          : 0,
        .enhanced_status = event->enhanced_status,
        .remote_mta = event->remote_mta,
        .stage = facts->stage,
        .memory = judge->memory,
    };

    verdict_classify(judge->settings->rules, judge->scratch, &question,
                     verdict);
    soften(event, facts, verdict);
    set_codes(event, verdict->reply_code, verdict->enhanced_status);
    event->rule = text_of(verdict_rule_name(verdict, judge->rule));
}

static void judge_feedback(const struct event *event, struct verdict *verdict)
{
    verdict->reason = reason_of_feedback(event->feedback_type);
    verdict->failure_type = reason_facts(verdict->reason)->failure_type;
}

/* Codes alone: what was delivered is no failure. */
static void judge_delivery(struct outcome_judge *judge,
                           const struct outcome_facts *facts,
                           struct event *event)
{
    struct reply_text *text = &judge->verdict.text;

    reply_text_normalise(facts->reply, text);
    set_codes(event, text->code, text->enhanced_status);
}

/* --- what no rule knew ------------------------------------------------- */

static struct text mask(struct text text, const struct event *event,
                        char *buffer, size_t size)
{
    const struct text words[] = {privacy_text_local(event->recipient),
                                 privacy_text_local(event->final_recipient)};
    const size_t count = sizeof words / sizeof words[0];

    return (struct text){buffer,
                         privacy_text_mask(text, words, count, buffer, size)};
}

/* Our own refusals are not to be qualified by anybody. */
static void note_unclassified(const struct outcome_judge *judge,
                              const struct outcome_facts *facts,
                              const struct event *event)
{
    const struct verdict *verdict = &judge->verdict;
    struct text normal = reply_text_listed(&verdict->text);
    struct text example = facts->reply;
    char masked[UNCLASSIFIED_TEXT_MAX];
    char masked_example[UNCLASSIFIED_EXAMPLE_MAX];

    if (judge->options.unclassified == NULL || example.length == 0 ||
        verdict->source == VERDICT_RULE ||
        text_is(event->decided_by, "nixie")) {
        return;
    }
    if (judge->settings->privacy != PRIVACY_FULL) {
        normal = mask(normal, event, masked, sizeof masked);
        example = mask(example, event, masked_example, sizeof masked_example);
    }
    unclassified_add(judge->options.unclassified, normal, example);
}

/* --- whether it is a strike -------------------------------------------- */

/* No other host would do: a relay of ours that is not there is named else. */
static bool has_no_domain(const struct outcome_facts *facts,
                          const struct event *event)
{
    return facts->named && event->type == EVENT_BOUNCE &&
           text_is(event->reason, reason_name(REASON_DOMAIN_INVALID));
}

static bool may_count(const struct outcome_facts *facts,
                      const struct event *event, const struct policy *policy)
{
    return facts->believed && policy->strikes > 0 &&
           !text_is(event->decided_by, "nixie") &&
           (!facts->destination || event->type == EVENT_EXPIRATION ||
            has_no_domain(facts, event));
}

/* What policy wrote for failures may end: it gives way to a request. */
static bool gives_way(const struct suppression_entry *entry)
{
    return strcmp(entry->origin, "policy") == 0 &&
           !reason_names_request(text_of(entry->reason));
}

/*
 * FOUND only by the list that this failure would put the recipient on: of who
 * is unreachable that for all, of a request the one of its scope.
 */
static enum suppression_result look_up_in(const struct outcome_judge *judge,
                                          const struct event *event,
                                          const struct mailbox *mailbox)
{
    const bool request = reason_is_request(judge->verdict.reason);
    struct suppression *list = judge->options.list;
    char scope[STORE_SCOPE_MAX + 1] = "";
    enum suppression_result result;
    struct suppression_entry entry;
    struct error error; /* whose Redis is away is told by the list itself */

    if (store_scope_is_valid(event->scope)) {
        (void)text_copy(event->scope, scope, sizeof scope);
    }
    result = suppression_find(list, mailbox, scope, &entry, &error);
    if (result == SUPPRESSION_FOUND && request && scope[0] == '\0' &&
        gives_way(&entry)) {
        return SUPPRESSION_ABSENT;
    }
    if (result != SUPPRESSION_FOUND || scope[0] == '\0' ||
        request == (entry.scope[0] != '\0')) {
        return result;
    }
    return request ? SUPPRESSION_ABSENT
                   : suppression_find(list, mailbox, NULL, &entry, &error);
}

/* FOUND, too, where there is no mailbox that could be suppressed. */
static enum suppression_result look_up(const struct outcome_judge *judge,
                                       const struct event *event)
{
    /* it is in its normal form: nothing is to be folded any more */
    static const struct mailbox_rules rules = {.keep_local_case = true};
    struct mailbox mailbox;

    if (event->recipient.length == 0) {
        return SUPPRESSION_FOUND;
    }
    switch (mailbox_parse(event->recipient, &rules, &mailbox)) {
    case MAILBOX_OK:
    case MAILBOX_LOCAL:
        break;
    case MAILBOX_LONG:
    case MAILBOX_INVALID:
        return SUPPRESSION_FOUND;
    }
    return judge->options.list == NULL ? SUPPRESSION_ABSENT
                                       : look_up_in(judge, event, &mailbox);
}

static bool is_counted(const struct outcome_judge *judge,
                       const struct outcome_facts *facts, struct event *event,
                       const struct policy *policy)
{
    const bool may = may_count(facts, event, policy);

    if (!may && judge->options.list == NULL) {
        return false; /* there is nothing to look up */
    }
    switch (look_up(judge, event)) {
    case SUPPRESSION_ABSENT:
    case SUPPRESSION_UNAVAILABLE:
        return may;
    case SUPPRESSION_FOUND:
        break;
    case SUPPRESSION_ALLOWED:
        set_reason(event, REASON_ERROR_IGNORED, FAILURE_TYPE_IGNORED);
        break;
    }
    return false;
}

/*
 * What is only a matter of time counts when the time is over: a message was
 * given up, whatever the last reply said, unless that blames the sender.
 */
static const struct policy *policy_for(const struct outcome_judge *judge,
                                       const struct outcome_facts *facts,
                                       const struct event *event)
{
    const struct policies *policies =
        scope_policies(judge->settings, event->scope);
    const struct verdict *verdict = &judge->verdict;

    if (facts->soft && verdict->failure_type == FAILURE_TYPE_HARD) {
        return policy_of(policies, verdict->reason, FAILURE_TYPE_SOFT);
    }
    return event->type == EVENT_EXPIRATION
               ? policy_of_strikes(policies, verdict->reason,
                                   verdict->failure_type)
               : policy_of(policies, verdict->reason, verdict->failure_type);
}

static void count(const struct outcome_judge *judge,
                  const struct outcome_facts *facts, struct event *event)
{
    const struct policy *policy = policy_for(judge, facts, event);
    bool counted = is_counted(judge, facts, event, policy);

    event->counted = counted ? 1 : 0;
    event->strike_limit = counted ? policy->strikes : EVENT_UNKNOWN;
    if (counted && facts->shared && event->strike_limit < SHARED_STRIKES) {
        event->strike_limit = SHARED_STRIKES;
    }
    event->strike_days = counted ? policy->days : EVENT_UNKNOWN;
    event->strike_window_seconds = counted ? policy->window_s : EVENT_UNKNOWN;
}

void outcome_judge(struct outcome_judge *judge,
                   const struct outcome_facts *facts, struct event *event)
{
    (void)follow(judge);
    if (event->type == EVENT_DELIVERY) {
        judge_delivery(judge, facts, event);
        return;
    }
    if (facts->destination) {
        event->destination = 1;
    }
    if (event->type == EVENT_FEEDBACK) {
        judge_feedback(event, &judge->verdict);
    } else {
        judge_reply(judge, facts, event);
        note_unclassified(judge, facts, event);
    }
    set_reason(event, judge->verdict.reason, judge->verdict.failure_type);
    count(judge, facts, event);
}
