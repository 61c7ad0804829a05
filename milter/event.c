#include "event.h"

#include <pthread.h>
#include <string.h>

/* clang-format off: it knows no members that stand alone */
#define MEMBER(member, kind, limit, opening)                                   \
    {#member, sizeof #member - 1, kind, offsetof(struct event, member),        \
     limit, opening}
#define TEXT(member, limit)                                                    \
    MEMBER(member, EVENT_MEMBER_TEXT, limit, ",\"" #member "\":\"")
#define INTEGER(member)                                                        \
    MEMBER(member, EVENT_MEMBER_INTEGER, 0, ",\"" #member "\":")
#define BOOLEAN(member)                                                        \
    MEMBER(member, EVENT_MEMBER_BOOLEAN, 0, ",\"" #member "\":")
/* clang-format on */

/*
 * In the order of the line: what identifies an event stands before what
 * strangers can make long, as a line over its limit loses its last members.
 */
const struct event_member event_members[] = {
    TEXT(node, 255),
    TEXT(instance, 32),
    TEXT(origin, 16),
    TEXT(recipient, 320), /* MAILBOX_MAX */
    TEXT(recipient_domain, 255),
    TEXT(scope, 64),
    TEXT(action, 16),
    TEXT(decided_by, 16),
    INTEGER(aggregated),
    INTEGER(reply_code),
    TEXT(enhanced_status, 16),
    TEXT(smtp_stage, 16),
    TEXT(reason, 64),
    TEXT(failure_type, 16),
    INTEGER(bounce_class),
    BOOLEAN(destination),
    BOOLEAN(counted),
    INTEGER(strike_limit),
    INTEGER(strike_days),
    INTEGER(strike_window_seconds),
    INTEGER(strikes),
    TEXT(trace, 16),
    TEXT(trace_id, 32),
    TEXT(maillog_position, 255),
    TEXT(rule, 64),
    TEXT(session_id, 40),
    TEXT(transaction_id, 48),
    TEXT(queue_id, 64),
    INTEGER(size),
    INTEGER(attempt),
    INTEGER(queue_seconds),
    TEXT(first_attempt_at, 32),
    TEXT(next_attempt_at, 32),
    INTEGER(attempts_left),
    TEXT(expires_at, 32),
    BOOLEAN(estimated),
    BOOLEAN(delay_notice),
    BOOLEAN(bulk),
    TEXT(feedback_type, 32),
    TEXT(withheld_by, 16),
    TEXT(store_state, 16),
    INTEGER(latency_us),
    TEXT(suppression_pattern, 324),
    TEXT(suppression_reason, 64),
    TEXT(suppression_origin, 64),
    TEXT(suppression_mode, 16),
    TEXT(suppression_added_at, 64),
    TEXT(suppression_expires_at, 64),
    TEXT(suppression_by, 128),
    INTEGER(file_number),
    TEXT(file_nonce, 64),
    TEXT(version, 64),
    INTEGER(gap_first_seq),
    INTEGER(gap_last_seq),
    INTEGER(gap_count),
    TEXT(gap_reason, 64),
    INTEGER(applied_seq),
    INTEGER(lag_seconds),
    TEXT(store_endpoint, 255),
    TEXT(store_error, 255),
    TEXT(remote_ip, 64),
    TEXT(remote_mta, 255),
    TEXT(listener, 64),
    TEXT(client_ip, 64),
    TEXT(tls_version, 32),
    TEXT(auth_user, 255),
    TEXT(sender, 320),
    TEXT(final_recipient, 320),
    TEXT(reporting_mta, 255),
    TEXT(feedback_agent, 128),
    TEXT(client_name, 255),
    TEXT(suppression_note, 255),
    TEXT(envelope_id, 100), /* RFC 3461 4.4 */
    TEXT(message_id, 512),
    TEXT(diagnostic, EVENT_DIAGNOSTIC_MAX),
    TEXT(helo, 255),
    TEXT(original_recipient, 1024),
    TEXT(suppression_evidence, 2000),
    TEXT(padding, 1100),
};
const size_t event_member_count =
    sizeof event_members / sizeof event_members[0];

static const struct type_row {
    const char *name;
    bool outcome;
} types[EVENT_TYPES] = {
    [EVENT_RECEPTION] = {"reception", true},
    [EVENT_REJECTION] = {"rejection", true},
    [EVENT_SUPPRESSED] = {"suppressed", true},
    [EVENT_WOULD_SUPPRESS] = {"would_suppress", true},
    [EVENT_DELIVERY] = {"delivery", true},
    [EVENT_DELAY] = {"delay", true},
    [EVENT_BOUNCE] = {"bounce", true},
    [EVENT_EXPIRATION] = {"expiration", true},
    [EVENT_OUT_OF_BAND] = {"out_of_band", true},
    [EVENT_FEEDBACK] = {"feedback", true},
    [EVENT_SUPPRESSION_ADDED] = {"suppression_added", true},
    [EVENT_SUPPRESSION_UPDATED] = {"suppression_updated", true},
    [EVENT_SUPPRESSION_REMOVED] = {"suppression_removed", true},
    [EVENT_SUPPRESSION_WITHHELD] = {"suppression_withheld", true},
    [EVENT_ALLOW_ADDED] = {"allow_added", true},
    [EVENT_ALLOW_REMOVED] = {"allow_removed", true},
    [EVENT_BREAKER_OPENED] = {"breaker_opened", true},
    [EVENT_BREAKER_CLOSED] = {"breaker_closed", true},
    [EVENT_DOMAIN_DOWN] = {"domain_down", true},
    [EVENT_DOMAIN_UP] = {"domain_up", true},
    [EVENT_LOG_OPEN] = {"log_open", false},
    [EVENT_HEARTBEAT] = {"heartbeat", false},
    [EVENT_GAP] = {"gap", false},
    [EVENT_MARK] = {"mark", false},
    [EVENT_STORE_DEGRADED] = {"store_degraded", false},
    [EVENT_STORE_RECOVERED] = {"store_recovered", false},
};

static struct event unknown_event; /* set once: it is copied very often */

static void make_unknown(void)
{
    for (size_t i = 0; i < event_member_count; i++) {
        if (event_members[i].kind != EVENT_MEMBER_TEXT) {
            int64_t unknown = EVENT_UNKNOWN;

            memcpy((char *)&unknown_event + event_members[i].offset, &unknown,
                   sizeof unknown);
        }
    }
}

void event_init(struct event *event, enum event_type type, int64_t timestamp_us)
{
    static pthread_once_t made = PTHREAD_ONCE_INIT;

    (void)pthread_once(&made, make_unknown);
    *event = unknown_event;
    event->type = type;
    event->timestamp_us = timestamp_us;
}

const char *event_type_name(enum event_type type)
{
    return types[type].name;
}

bool event_type_parse(struct text name, enum event_type *type)
{
    for (size_t i = 0; i < EVENT_TYPES; i++) {
        if (text_is(name, types[i].name)) {
            *type = (enum event_type)i;
            return true;
        }
    }
    return false;
}

bool event_type_is_outcome(enum event_type type)
{
    return types[type].outcome;
}
