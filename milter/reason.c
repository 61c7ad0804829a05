#include "reason.h"

#include <strings.h>

#define ROW(reason, name, group, type, action, class, blames, meaning)         \
    [REASON_##reason] = {name,                                                 \
                         REASON_GROUP_##group,                                 \
                         FAILURE_TYPE_##type,                                  \
                         REASON_ACTION_##action,                               \
                         class,                                                \
                         REASON_BLAMES_##blames,                               \
                         meaning}

/* The meaning is what `nixie` shows. */
static const struct reason_facts facts[REASONS] = {
    ROW(USER_UNKNOWN, "user_unknown", ADDRESS, HARD, IMMEDIATE, 10, RECIPIENT,
        "the mailbox does not exist (4xx: soft, counted)"),
    ROW(USER_MOVED, "user_moved", ADDRESS, HARD, IMMEDIATE, 10, RECIPIENT,
        "the mailbox has moved or changed owner"),
    ROW(ADDRESS_INVALID, "address_invalid", ADDRESS, HARD, IMMEDIATE, 10,
        RECIPIENT, "the recipient address is malformed or ambiguous"),
    ROW(ADDRESS_EMPTY, "address_empty", LOCAL, HARD, IMMEDIATE, 30, NONE,
        "no recipient address given (local)"),
    ROW(DOMAIN_INVALID, "domain_invalid", DOMAIN, SOFT, COUNT, 21, DOMAIN,
        "the recipient domain does not exist"),
    ROW(DOMAIN_NO_MAIL, "domain_no_mail", DOMAIN, HARD, IMMEDIATE, 10, DOMAIN,
        "the domain or host says it takes no mail (null MX, 521, 556)"),
    ROW(ACCOUNT_DISABLED, "account_disabled", MAILBOX, HARD, IMMEDIATE, 10,
        RECIPIENT,
        "disabled, closed, suspended; 4xx or \"temporarily\": soft, counted"),
    ROW(MAILBOX_FULL, "mailbox_full", MAILBOX, SOFT, COUNT_RELEASE, 22,
        RECIPIENT, "over quota; released after 30 days"),
    ROW(RECIPIENT_REFUSED, "recipient_refused", MAILBOX, SOFT, COUNT, 50,
        RECIPIENT, "this recipient, list or group refuses this sender"),
    ROW(MESSAGE_TOO_LARGE, "message_too_large", MESSAGE, SOFT, NEVER, 23,
        MESSAGE, "message, header or attachment over a size limit"),
    ROW(SYSTEM_FULL, "system_full", REMOTE, SOFT, COUNT, 20, REMOTE,
        "the remote system is out of storage"),
    ROW(SYSTEM_ERROR, "system_error", REMOTE, SOFT, COUNT, 40, REMOTE,
        "remote system or its delivery program failed"),
    ROW(DNS_FAILURE, "dns_failure", NETWORK, SOFT, COUNT, 21, NETWORK,
        "a DNS lookup failed (not: the domain does not exist)"),
    ROW(UNREACHABLE, "unreachable", NETWORK, SOFT, COUNT, 20, NETWORK,
        "no connection, connection lost, timed out"),
    ROW(ROUTING_LOOP, "routing_loop", NETWORK, SOFT, COUNT, 40, NETWORK,
        "mail loop, too many hops"),
    ROW(EXPIRED, "expired", NETWORK, SOFT, COUNT, 24, NETWORK,
        "given up after the queue lifetime"),
    ROW(GREYLISTED, "greylisted", TRANSIENT, IGNORED, NEVER, 70, NONE,
        "greylisting asks for a retry"),
    ROW(RATE_LIMITED, "rate_limited", TRANSIENT, IGNORED, NEVER, 70, NONE,
        "too many connections, messages or recipients"),
    ROW(TRANSIENT, "transient", TRANSIENT, IGNORED, NEVER, 70, NONE,
        "another temporary failure; delay notices"),
    ROW(SENDER_BLOCKLISTED, "sender_blocklisted", BLOCK, SOFT, NEVER, 51,
        SENDER, "sending IP or domain on a blocklist or of poor reputation"),
    ROW(PTR_MISSING, "ptr_missing", BLOCK, SOFT, NEVER, 51, SENDER,
        "no or wrong reverse DNS of the sending host"),
    ROW(AUTH_FAILED, "auth_failed", BLOCK, SOFT, NEVER, 50, SENDER,
        "SPF, DKIM or DMARC failed"),
    ROW(SENDER_REJECTED, "sender_rejected", BLOCK, SOFT, NEVER, 50, SENDER,
        "the envelope sender or its domain is refused"),
    ROW(POLICY_BLOCK, "policy_block", BLOCK, SOFT, NEVER, 50, SENDER,
        "local policy, no more specific reason"),
    ROW(RELAY_DENIED, "relay_denied", BLOCK, SOFT, NEVER, 54, SENDER,
        "relaying denied or SMTP authentication demanded"),
    ROW(SPAM_CONTENT, "spam_content", CONTENT, SOFT, NEVER, 52, SENDER,
        "the message was judged spam"),
    ROW(CONTENT_REJECTED, "content_rejected", CONTENT, SOFT, NEVER, 53, SENDER,
        "attachment, header or format refused"),
    ROW(VIRUS, "virus", CONTENT, SOFT, NEVER, 53, SENDER, "malware found"),
    ROW(TLS_FAILED, "tls_failed", PROTOCOL, SOFT, NEVER, 40, SENDER,
        "TLS demanded or failed"),
    ROW(PROTOCOL_ERROR, "protocol_error", PROTOCOL, SOFT, NEVER, 40, SENDER,
        "SMTP syntax or sequence"),
    ROW(SUPPRESSED, "suppressed", LOCAL, HARD, IMMEDIATE, 25, NONE,
        "on a provider suppression list"),
    ROW(QUARANTINED, "quarantined", LOCAL, HARD, NEVER, 25, NONE,
        "in our own quarantine (local, at send time)"),
    ROW(BLOCKLISTED, "blocklisted", LOCAL, HARD, NEVER, 25, NONE,
        "on our own deny list (local, at send time)"),
    ROW(DUPLICATE, "duplicate", LOCAL, IGNORED, NEVER, 0, NONE,
        "same recipient twice in one message or campaign (local)"),
    ROW(ERROR_IGNORED, "error_ignored", LOCAL, IGNORED, NEVER, 0, NONE,
        "recipient on our allow list: the error is recorded, never counted"),
    ROW(COMPLAINT, "complaint", FEEDBACK, HARD, IMMEDIATE, 0, RECIPIENT,
        "ARF abuse, fraud, virus report"),
    ROW(UNSUBSCRIBE, "unsubscribe", FEEDBACK, HARD, IMMEDIATE, 90, RECIPIENT,
        "ARF opt-out or unsubscribe request"),
    ROW(FEEDBACK_OTHER, "feedback_other", FEEDBACK, IGNORED, NEVER, 0,
        RECIPIENT, "ARF auth-failure, not-spam"),
    ROW(AUTO_REPLY, "auto_reply", NONBOUNCE, IGNORED, NEVER, 60, NONE,
        "vacation, out of office, ticket receipt"),
    ROW(CHALLENGE_RESPONSE, "challenge_response", NONBOUNCE, IGNORED, NEVER,
        100, NONE, "sender must confirm"),
    ROW(SUBSCRIBE, "subscribe", NONBOUNCE, IGNORED, NEVER, 80, NONE,
        "subscribe request"),
    ROW(DELIVERED, "delivered", NONBOUNCE, IGNORED, NEVER, 0, NONE,
        "success DSN"),
    ROW(UNDETERMINED, "undetermined", UNKNOWN, SOFT, COUNT, 1, NONE,
        "no rule matched: to be qualified"),
};
_Static_assert(REASON_UNDETERMINED == REASONS - 1, "REASONS counts them");

static const char *const type_names[] = {
    [FAILURE_TYPE_HARD] = "hard",
    [FAILURE_TYPE_SOFT] = "soft",
    [FAILURE_TYPE_IGNORED] = "ignored",
};
#define TYPES (sizeof type_names / sizeof type_names[0])

const struct reason_facts *reason_facts(enum reason reason)
{
    return &facts[reason];
}

const char *reason_name(enum reason reason)
{
    return facts[reason].name;
}

bool reason_is_request(enum reason reason)
{
    return reason == REASON_COMPLAINT || reason == REASON_UNSUBSCRIBE;
}

bool reason_parse(struct text name, enum reason *reason)
{
    for (size_t i = 0; i < REASONS; i++) {
        if (text_is(name, facts[i].name)) {
            *reason = (enum reason)i;
            return true;
        }
    }
    return false;
}

bool reason_names_request(struct text name)
{
    enum reason reason;

    return reason_parse(name, &reason) && reason_is_request(reason);
}

const char *failure_type_name(enum failure_type type)
{
    return type_names[type];
}

bool failure_type_parse(struct text name, enum failure_type *type)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (text_is(name, type_names[i])) {
            *type = (enum failure_type)i;
            return true;
        }
    }
    return false;
}

const char *reason_group_name(enum reason_group group)
{
    static const char *const names[] = {
        [REASON_GROUP_ADDRESS] = "address",
        [REASON_GROUP_DOMAIN] = "domain",
        [REASON_GROUP_MAILBOX] = "mailbox",
        [REASON_GROUP_MESSAGE] = "message",
        [REASON_GROUP_REMOTE] = "remote",
        [REASON_GROUP_NETWORK] = "network",
        [REASON_GROUP_TRANSIENT] = "transient",
        [REASON_GROUP_BLOCK] = "block",
        [REASON_GROUP_CONTENT] = "content",
        [REASON_GROUP_PROTOCOL] = "protocol",
        [REASON_GROUP_LOCAL] = "local",
        [REASON_GROUP_FEEDBACK] = "feedback",
        [REASON_GROUP_NONBOUNCE] = "nonbounce",
        [REASON_GROUP_UNKNOWN] = "unknown",
    };

    return names[group];
}

const char *reason_action_name(enum reason_action action)
{
    static const char *const names[] = {
        [REASON_ACTION_IMMEDIATE] = "immediate",
        [REASON_ACTION_COUNT] = "count",
        [REASON_ACTION_COUNT_RELEASE] = "count_release",
        [REASON_ACTION_NEVER] = "never",
    };

    return names[action];
}

const char *reason_blame_name(enum reason_blame blame)
{
    static const char *const names[] = {
        [REASON_BLAMES_NONE] = "none",
        [REASON_BLAMES_RECIPIENT] = "recipient",
        [REASON_BLAMES_DOMAIN] = "domain",
        [REASON_BLAMES_REMOTE] = "remote",
        [REASON_BLAMES_NETWORK] = "network",
        [REASON_BLAMES_MESSAGE] = "message",
        [REASON_BLAMES_SENDER] = "sender",
    };

    return names[blame];
}

enum reason reason_of_feedback(struct text feedback_type)
{
    static const struct {
        const char *feedback_type;
        enum reason reason;
    } rows[] = {
        {"abuse", REASON_COMPLAINT},          {"fraud", REASON_COMPLAINT},
        {"virus", REASON_COMPLAINT},          {"opt-out", REASON_UNSUBSCRIBE},
        {"opt-out-list", REASON_UNSUBSCRIBE},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text name = text_of(rows[i].feedback_type);

        if (feedback_type.length == name.length &&
            strncasecmp(feedback_type.bytes, name.bytes, name.length) == 0) {
            return rows[i].reason;
        }
    }
    return REASON_FEEDBACK_OTHER;
}
