#include "session_event.h"

#include "clock.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 32 /* events of one append */

static void begin(struct event *event, enum event_type type, int64_t now_us,
                  const struct session *session)
{
    event_init(event, type, now_us);
    event->origin = text_of("session");
    event->session_id = text_of(session->id);
    event->listener = text_known(session->listener);
    event->client_ip = text_known(session->client_ip);
    event->client_name = text_known(session->client_name);
    event->helo = text_known(session->helo);
    event->auth_user = text_known(session->auth_user);
    event->tls_version = text_known(session->tls_version);
    event->scope =
        text_known(session->scope == NULL ? NULL : session->scope->name);
    transaction_describe(&session->transaction, event);
}

static void describe_recipient(struct event *event,
                               const struct session_recipient *recipient)
{
    struct text typed = transaction_bare_path(recipient->path);

    if (recipient->mailbox != NULL) {
        event->recipient = text_known(recipient->mailbox->address);
        event->recipient_domain = text_known(recipient->mailbox->domain);
    }
    if (recipient->mailbox == NULL ||
        !text_is(typed, recipient->mailbox->address)) {
        event->original_recipient = typed;
    }
}

static int64_t reply_code(const char *code)
{
    return strtol(code, NULL, 10);
}

/* --- what has no line of its own ---------------------------------------- */

/* One event a type for all that a client had no line for. */
static void sum_up(struct event_log *log, const struct client_rate_sum *sum)
{
    for (size_t i = 0; i < CLIENT_RATE_TYPES; i++) {
        enum event_type type = client_rate_types[i];
        struct event event;

        if (sum->counts[i] == 0) {
            continue;
        }
        event_init(&event, type, clock_now_us());
        event.origin = text_of("session");
        event.client_ip = text_of(sum->client_ip);
        event.aggregated = sum->counts[i];
        if (type != EVENT_WOULD_SUPPRESS) {
            event.decided_by =
                text_of(type == EVENT_REJECTION ? "mta" : "nixie");
        }
        (void)event_log_append(log, &event);
        log_info(
            "many events of a client: type=%s client_ip=%s aggregated=%lld",
            event_type_name(type), sum->client_ip, (long long)sum->counts[i]);
    }
}

void session_event_sum_up(struct event_log *log, struct client_rates *rates)
{
    struct client_rate_sum sum;

    for (size_t left = client_rates_held(rates);
         left > 0 && client_rates_next(rates, &sum); left--) {
        sum_up(log, &sum);
    }
}

/* Whoever logged in is known, and is worth each line. */
static bool has_line(const struct session_services *services,
                     const struct session *session, enum event_type type)
{
    const struct client_rate_event event = {
        .client_ip = session->client_ip,
        .type = type,
        .rate = session->settings->client_event_rate,
        .now_us = clock_monotonic_us(),
    };
    struct client_rate_sum replaced;

    if (services->rates == NULL || session->auth_user != NULL) {
        return true;
    }
    switch (client_rates_take(services->rates, &event, &replaced)) {
    case CLIENT_RATE_WITHIN:
        return true;
    case CLIENT_RATE_REPLACED:
        sum_up(services->log, &replaced);
        return true;
    case CLIENT_RATE_BEYOND:
        break;
    }
    return false;
}

/* Whether Redis told it, or the list that was last known. */
static void describe_store(struct event *event,
                           const struct suppression_entry *entry)
{
    bool is_stale = entry->last_known == SUPPRESSION_FOUND;

    event->store_state = text_of(is_stale ? "stale" : "ok");
    if (is_stale) {
        event->store_age_seconds = entry->age_seconds;
    }
}

/* --- at RCPT ------------------------------------------------------------ */

/* One line a decision, for the operator's mail log. */
static void tell(const char *what, const struct event *event)
{
    char recipient[400];
    char reason[128];
    struct text address = event->recipient.bytes != NULL
                              ? event->recipient
                              : event->original_recipient;
    struct text why = event->suppression_reason.bytes != NULL
                          ? event->suppression_reason
                      : text_is(event->store_state, "down")
                          ? text_of("no answer from the store")
                          : text_of("listed");

    log_info("%s: %s: recipient=<%s> action=%.*s%s%.*s reason=\"%s\"",
             event->queue_id.bytes != NULL ? event->queue_id.bytes
                                           : event->transaction_id.bytes,
             what, text_escape(address, recipient, sizeof recipient),
             (int)event->action.length, event->action.bytes,
             event->enhanced_status.bytes != NULL ? " enhanced_status=" : "",
             (int)event->enhanced_status.length,
             event->enhanced_status.bytes != NULL ? event->enhanced_status.bytes
                                                  : "",
             text_escape(why, reason, sizeof reason));
}

/* Sendmail logs it, too; it is told here, or summed up. */
static void learn(const struct session_services *services,
                  const struct event *event)
{
    if (services->messages != NULL) {
        maillog_messages_learn(services->messages, event);
    }
}

enum event_log_result
session_event_refused(const struct session_services *services,
                      const struct session *session,
                      const struct session_recipient *recipient,
                      const struct envelope_answer *answer,
                      const struct envelope_reply *reply, int64_t latency_us)
{
    struct event event;
    char expires_at[32];
    enum event_log_result result;

    begin(&event, EVENT_SUPPRESSED, clock_now_us(), session);
    describe_recipient(&event, recipient);
    learn(services, &event);
    if (!has_line(services, session, EVENT_SUPPRESSED)) {
        return EVENT_LOG_WRITTEN;
    }
    if (answer->store_down) {
        event.store_state = text_of("down");
    } else {
        transaction_describe_entry(&answer->entry, expires_at, &event);
        describe_store(&event, &answer->entry);
    }
    event.action = text_of(reply->code[0] == '4' ? "tempfail" : "reject");
    event.decided_by = text_of("nixie");
    event.smtp_stage = text_of("rcpt");
    event.reply_code = reply_code(reply->code);
    event.enhanced_status = text_of(reply->enhanced_status);
    event.latency_us = latency_us;
    result = event_log_append(services->log, &event);
    tell("refused", &event);
    return result;
}

enum event_log_result
session_event_observed(const struct session_services *services,
                       const struct session *session,
                       const struct session_recipient *recipient,
                       const struct envelope_answer *answer, int64_t latency_us)
{
    struct event event;
    char expires_at[32];

    if (!has_line(services, session, EVENT_WOULD_SUPPRESS)) {
        return EVENT_LOG_WRITTEN;
    }
    begin(&event, EVENT_WOULD_SUPPRESS, clock_now_us(), session);
    describe_recipient(&event, recipient);
    transaction_describe_entry(&answer->entry, expires_at, &event);
    event.action =
        text_of(answer->verdict == ENVELOPE_EXEMPT ? "exempt" : "observe");
    event.smtp_stage = text_of("rcpt");
    describe_store(&event, &answer->entry);
    event.latency_us = latency_us;
    return event_log_append(services->log, &event);
}

enum event_log_result session_event_rejected(
    const struct session_services *services, const struct session *session,
    const struct session_recipient *recipient, const struct smtp_reply *reply)
{
    struct event event;

    begin(&event, EVENT_REJECTION, clock_now_us(), session);
    describe_recipient(&event, recipient);
    learn(services, &event);
    if (!has_line(services, session, EVENT_REJECTION)) {
        return EVENT_LOG_WRITTEN;
    }
    event.decided_by = text_of("mta");
    event.smtp_stage = text_of("rcpt");
    event.enhanced_status = text_known(reply->enhanced_status);
    if (reply->text.length > 0) {
        event.diagnostic = reply->text;
    }
    if (reply->code != 0) {
        event.reply_code = reply->code;
    }
    return event_log_append(services->log, &event);
}

/* --- at the end of the message ------------------------------------------- */

/* The result of many appends is the worst of them. */
static enum event_log_result worst(enum event_log_result one,
                                   enum event_log_result other)
{
    return one > other ? one : other;
}

static void settle(struct event *event, const struct session *session,
                   const struct transaction_recipient *recipient,
                   const char *action, int64_t now_us)
{
    struct transaction_suppressed *suppressed = recipient->suppressed;

    begin(event, EVENT_SUPPRESSED, now_us, session);
    transaction_describe_recipient(recipient, event);
    transaction_describe_entry(&suppressed->entry, suppressed->expires_at,
                               event);
    event->action = text_of(action);
    event->decided_by = text_of("nixie");
    event->smtp_stage = text_of("eom");
    if (strcmp(action, "bounce") == 0) {
        event->reply_code = 550;
        event->enhanced_status = text_of("5.7.1");
    }
    describe_store(event, &suppressed->entry);
    event->latency_us = suppressed->latency_us;
}

enum event_log_result session_event_settled(struct event_log *log,
                                            const struct session *session,
                                            const char *action)
{
    const struct transaction *transaction = &session->transaction;
    const int64_t now_us = clock_now_us();
    enum event_log_result result = EVENT_LOG_WRITTEN;

    for (size_t i = 0; i < transaction->recipient_count; i++) {
        if (transaction->recipients[i].suppressed != NULL) {
            struct event event;

            settle(&event, session, &transaction->recipients[i], action,
                   now_us);
            result = worst(result, event_log_append(log, &event));
            tell(action[0] == 'd' ? "dropped" : "bounced", &event);
        }
    }
    return result;
}

enum event_log_result
session_event_received(const struct session_services *services,
                       const struct session *session)
{
    const struct transaction *transaction = &session->transaction;
    const int64_t now_us = clock_now_us();
    enum event_log_result result = EVENT_LOG_WRITTEN;
    struct event events[BATCH];
    size_t count = 0;

    for (size_t i = 0; i < transaction->recipient_count; i++) {
        const struct transaction_recipient *recipient =
            &transaction->recipients[i];

        if (recipient->suppressed != NULL) {
            continue;
        }
        begin(&events[count], EVENT_RECEPTION, now_us, session);
        transaction_describe_recipient(recipient, &events[count]);
        events[count].trace_nonce = text_known(transaction->trace_nonce);
        if (!transaction->size_incomplete) {
            events[count].size = transaction->seen_size;
        }
        if (transaction->bulk) {
            events[count].bulk = 1;
        }
        if (services->messages != NULL) {
            maillog_messages_learn(services->messages, &events[count]);
        }
        if (++count == BATCH) {
            result = worst(result,
                           event_log_append_all(services->log, events, count));
            count = 0;
        }
    }
    if (count > 0) {
        result =
            worst(result, event_log_append_all(services->log, events, count));
    }
    if (transaction->accepted_unkept > 0) {
        log_warning("%s: recipients_without_event=%zu: a message has more "
                    "than %d",
                    transaction->id, transaction->accepted_unkept,
                    TRANSACTION_RECIPIENTS);
    }
    return result;
}
