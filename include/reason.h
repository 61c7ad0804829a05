/*
 * reason.h - why mail to a recipient failed: the taxonomy
 *
 * A reason has one name, which stands in events, in Redis, in the rule file
 * and on the tool's output, and a row of facts that all of them go by.
 *
 * Source   classes of bounce: SparkPost's numbers, which other systems know.
 * Threads  any: the table is constant.
 */
#ifndef NIXIE_REASON_H
#define NIXIE_REASON_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

enum reason {
    REASON_USER_UNKNOWN,
    REASON_USER_MOVED,
    REASON_ADDRESS_INVALID,
    REASON_ADDRESS_EMPTY,
    REASON_DOMAIN_INVALID,
    REASON_DOMAIN_NO_MAIL,
    REASON_ACCOUNT_DISABLED,
    REASON_MAILBOX_FULL,
    REASON_RECIPIENT_REFUSED,
    REASON_MESSAGE_TOO_LARGE,
    REASON_SYSTEM_FULL,
    REASON_SYSTEM_ERROR,
    REASON_DNS_FAILURE,
    REASON_UNREACHABLE,
    REASON_ROUTING_LOOP,
    REASON_EXPIRED,
    REASON_GREYLISTED,
    REASON_RATE_LIMITED,
    REASON_TRANSIENT,
    REASON_SENDER_BLOCKLISTED,
    REASON_PTR_MISSING,
    REASON_AUTH_FAILED,
    REASON_SENDER_REJECTED,
    REASON_POLICY_BLOCK,
    REASON_RELAY_DENIED,
    REASON_SPAM_CONTENT,
    REASON_CONTENT_REJECTED,
    REASON_VIRUS,
    REASON_TLS_FAILED,
    REASON_PROTOCOL_ERROR,
    REASON_SUPPRESSED,
    REASON_QUARANTINED,
    REASON_BLOCKLISTED,
    REASON_DUPLICATE,
    REASON_ERROR_IGNORED,
    REASON_COMPLAINT,
    REASON_UNSUBSCRIBE,
    REASON_FEEDBACK_OTHER,
    REASON_AUTO_REPLY,
    REASON_CHALLENGE_RESPONSE,
    REASON_SUBSCRIBE,
    REASON_DELIVERED,
    REASON_UNDETERMINED,
};
#define REASONS         43
#define REASON_NAME_MAX 32 /* bytes of the longest name, with room */

enum failure_type {
    FAILURE_TYPE_HARD,    /* the next message would fail as well */
    FAILURE_TYPE_SOFT,    /* it may pass */
    FAILURE_TYPE_IGNORED, /* it tells nothing about the recipient */
};

/* What a failure does to the recipient unless a policy says otherwise. */
enum reason_action {
    REASON_ACTION_IMMEDIATE,     /* suppress at the first */
    REASON_ACTION_COUNT,         /* suppress at a limit */
    REASON_ACTION_COUNT_RELEASE, /* the same, and lift it by itself */
    REASON_ACTION_NEVER,
};

/* Whose fault it is. */
enum reason_blame {
    REASON_BLAMES_NONE,
    REASON_BLAMES_RECIPIENT,
    REASON_BLAMES_DOMAIN, /* of the recipient */
    REASON_BLAMES_REMOTE, /* the system that refused */
    REASON_BLAMES_NETWORK,
    REASON_BLAMES_MESSAGE,
    REASON_BLAMES_SENDER, /* us */
};

enum reason_group {
    REASON_GROUP_ADDRESS,
    REASON_GROUP_DOMAIN,
    REASON_GROUP_MAILBOX,
    REASON_GROUP_MESSAGE,
    REASON_GROUP_REMOTE,
    REASON_GROUP_NETWORK,
    REASON_GROUP_TRANSIENT,
    REASON_GROUP_BLOCK,
    REASON_GROUP_CONTENT,
    REASON_GROUP_PROTOCOL,
    REASON_GROUP_LOCAL,
    REASON_GROUP_FEEDBACK,
    REASON_GROUP_NONBOUNCE,
    REASON_GROUP_UNKNOWN,
};

struct reason_facts {
    const char *name;
    enum reason_group group;
    enum failure_type failure_type;
    enum reason_action action;
    int bounce_class; /* SparkPost's number; 0: it has none */
    enum reason_blame blames;
    const char *meaning; /* one line for people */
};

const struct reason_facts *reason_facts(enum reason reason);
const char *reason_name(enum reason reason);

/*
 * The recipient could be reached, and wants no more of such mail: complaint,
 * unsubscribe. It suppresses in the scope that the message was sent in.
 */
bool reason_is_request(enum reason reason);

/* False when there is no such reason. Names are lower case. */
bool reason_parse(struct text name, enum reason *reason);
bool reason_names_request(struct text name); /* of either kind */

/* "hard", "soft", "ignored"; and back. */
const char *failure_type_name(enum failure_type type);
bool failure_type_parse(struct text name, enum failure_type *type);

/* The words of reasons.json: "address"; "count_release"; "recipient". */
const char *reason_group_name(enum reason_group group);
const char *reason_action_name(enum reason_action action);
const char *reason_blame_name(enum reason_blame blame);

/*
 * Of a complaint, by its Feedback-Type (RFC 5965 3.1 and 7.3) in letters of any
 * case; opt-outs are older than it.
 */
enum reason reason_of_feedback(struct text feedback_type);

#endif
