#include "verdict.h"

#include <stdio.h>
#include <string.h>

/* --- enhanced status --------------------------------------------------- */

/*
 * The registry of enhanced status codes, complete, in its order. A detail that
 * is not in it counts as X.Y.0 (RFC 3463 2).
 *
 * A vague code is used for so many things that by itself it never is hard.
 */
enum weight { CLEAR, VAGUE };

static const struct status_row {
    int subject, detail;
    enum reason permanent, temporary;
    enum weight weight;
} status_rows[] = {
    /* X.0.0 other */
    {0, 0, REASON_UNDETERMINED, REASON_UNDETERMINED, VAGUE},
    /* X.1.Y addresses: other, no such mailbox, bad system, bad syntax,
       ambiguous, valid, moved, bad syntax of the sender, bad system of the
       sender, relayed to a mailer that does not conform, null MX */
    {1, 0, REASON_USER_UNKNOWN, REASON_TRANSIENT, VAGUE},
    {1, 1, REASON_USER_UNKNOWN, REASON_USER_UNKNOWN, CLEAR},
    {1, 2, REASON_DOMAIN_INVALID, REASON_DOMAIN_INVALID, CLEAR},
    {1, 3, REASON_ADDRESS_INVALID, REASON_ADDRESS_INVALID, CLEAR},
    {1, 4, REASON_ADDRESS_INVALID, REASON_ADDRESS_INVALID, CLEAR},
    {1, 5, REASON_UNDETERMINED, REASON_TRANSIENT, VAGUE},
    {1, 6, REASON_USER_MOVED, REASON_USER_MOVED, CLEAR},
    {1, 7, REASON_SENDER_REJECTED, REASON_SENDER_REJECTED, CLEAR},
    {1, 8, REASON_SENDER_REJECTED, REASON_SENDER_REJECTED, CLEAR},
    {1, 9, REASON_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR, CLEAR},
    {1, 10, REASON_DOMAIN_NO_MAIL, REASON_DOMAIN_NO_MAIL, CLEAR},
    /* X.2.Y mailboxes: other, disabled, full, message too long for it, list
       not expanded */
    {2, 0, REASON_RECIPIENT_REFUSED, REASON_TRANSIENT, VAGUE},
    {2, 1, REASON_ACCOUNT_DISABLED, REASON_ACCOUNT_DISABLED, CLEAR},
    {2, 2, REASON_MAILBOX_FULL, REASON_MAILBOX_FULL, CLEAR},
    {2, 3, REASON_MESSAGE_TOO_LARGE, REASON_MESSAGE_TOO_LARGE, CLEAR},
    {2, 4, REASON_SYSTEM_ERROR, REASON_SYSTEM_ERROR, CLEAR},
    /* X.3.Y systems: other, full, takes no mail, lacks a feature, message too
       big, badly configured, priority changed */
    {3, 0, REASON_SYSTEM_ERROR, REASON_TRANSIENT, CLEAR},
    {3, 1, REASON_SYSTEM_FULL, REASON_SYSTEM_FULL, CLEAR},
    {3, 2, REASON_DOMAIN_NO_MAIL, REASON_RATE_LIMITED, CLEAR},
    {3, 3, REASON_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR, CLEAR},
    {3, 4, REASON_MESSAGE_TOO_LARGE, REASON_MESSAGE_TOO_LARGE, CLEAR},
    {3, 5, REASON_SYSTEM_ERROR, REASON_SYSTEM_ERROR, CLEAR},
    {3, 6, REASON_DELIVERED, REASON_TRANSIENT, CLEAR},
    /* X.4.Y network: other, no answer, bad connection, directory failed, no
       route, congestion, loop, time is over */
    {4, 0, REASON_UNREACHABLE, REASON_UNREACHABLE, CLEAR},
    {4, 1, REASON_UNREACHABLE, REASON_UNREACHABLE, CLEAR},
    {4, 2, REASON_UNREACHABLE, REASON_UNREACHABLE, CLEAR},
    {4, 3, REASON_DNS_FAILURE, REASON_DNS_FAILURE, CLEAR},
    {4, 4, REASON_DOMAIN_INVALID, REASON_DNS_FAILURE, CLEAR},
    {4, 5, REASON_RATE_LIMITED, REASON_RATE_LIMITED, CLEAR},
    {4, 6, REASON_ROUTING_LOOP, REASON_ROUTING_LOOP, CLEAR},
    {4, 7, REASON_EXPIRED, REASON_EXPIRED, CLEAR},
    /* X.5.Y protocol: other, command, syntax, too many recipients, arguments,
       version, line of authentication too long */
    {5, 0, REASON_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR, CLEAR},
    {5, 1, REASON_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR, CLEAR},
    {5, 2, REASON_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR, CLEAR},
    {5, 3, REASON_RATE_LIMITED, REASON_RATE_LIMITED, CLEAR},
    {5, 4, REASON_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR, CLEAR},
    {5, 5, REASON_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR, CLEAR},
    {5, 6, REASON_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR, CLEAR},
    /* X.6.Y content: other, medium, conversions (4), not available, and the
       three of internationalised mail with the tenth that doubles one */
    {6, 0, REASON_CONTENT_REJECTED, REASON_CONTENT_REJECTED, CLEAR},
    {6, 1, REASON_CONTENT_REJECTED, REASON_CONTENT_REJECTED, CLEAR},
    {6, 2, REASON_CONTENT_REJECTED, REASON_CONTENT_REJECTED, CLEAR},
    {6, 3, REASON_CONTENT_REJECTED, REASON_CONTENT_REJECTED, CLEAR},
    {6, 4, REASON_CONTENT_REJECTED, REASON_CONTENT_REJECTED, CLEAR},
    {6, 5, REASON_CONTENT_REJECTED, REASON_CONTENT_REJECTED, CLEAR},
    {6, 6, REASON_CONTENT_REJECTED, REASON_CONTENT_REJECTED, CLEAR},
    {6, 7, REASON_CONTENT_REJECTED, REASON_CONTENT_REJECTED, CLEAR},
    {6, 8, REASON_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR, CLEAR},
    {6, 9, REASON_CONTENT_REJECTED, REASON_CONTENT_REJECTED, CLEAR},
    {6, 10, REASON_PROTOCOL_ERROR, REASON_PROTOCOL_ERROR, CLEAR},
    /* X.7.Y security: other, refused, list not expanded, conversion, features,
       cryptography (2), integrity */
    {7, 0, REASON_POLICY_BLOCK, REASON_POLICY_BLOCK, CLEAR},
    {7, 1, REASON_POLICY_BLOCK, REASON_POLICY_BLOCK, CLEAR},
    {7, 2, REASON_RECIPIENT_REFUSED, REASON_RECIPIENT_REFUSED, CLEAR},
    {7, 3, REASON_TLS_FAILED, REASON_TLS_FAILED, CLEAR},
    {7, 4, REASON_TLS_FAILED, REASON_TLS_FAILED, CLEAR},
    {7, 5, REASON_TLS_FAILED, REASON_TLS_FAILED, CLEAR},
    {7, 6, REASON_TLS_FAILED, REASON_TLS_FAILED, CLEAR},
    {7, 7, REASON_CONTENT_REJECTED, REASON_CONTENT_REJECTED, CLEAR},
    /* login: wrong, too weak, encryption needed (2), new password, account
       disabled, trust needed */
    {7, 8, REASON_RELAY_DENIED, REASON_RELAY_DENIED, CLEAR},
    {7, 9, REASON_RELAY_DENIED, REASON_RELAY_DENIED, CLEAR},
    {7, 10, REASON_TLS_FAILED, REASON_TLS_FAILED, CLEAR},
    {7, 11, REASON_TLS_FAILED, REASON_TLS_FAILED, CLEAR},
    {7, 12, REASON_RELAY_DENIED, REASON_RELAY_DENIED, CLEAR},
    {7, 13, REASON_ACCOUNT_DISABLED, REASON_ACCOUNT_DISABLED, CLEAR},
    {7, 14, REASON_RELAY_DENIED, REASON_RELAY_DENIED, CLEAR},
    /* priority too low, too big for it, mailbox has a new owner, domain has
       a new owner, that test not completed */
    {7, 15, REASON_POLICY_BLOCK, REASON_TRANSIENT, CLEAR},
    {7, 16, REASON_MESSAGE_TOO_LARGE, REASON_MESSAGE_TOO_LARGE, CLEAR},
    {7, 17, REASON_USER_MOVED, REASON_USER_MOVED, CLEAR},
    {7, 18, REASON_DOMAIN_INVALID, REASON_DOMAIN_INVALID, CLEAR},
    {7, 19, REASON_SYSTEM_ERROR, REASON_TRANSIENT, CLEAR},
    /* DKIM (3), SPF (2), reverse DNS, several, null MX of the sender, flood,
       ARC, REQUIRETLS */
    {7, 20, REASON_AUTH_FAILED, REASON_AUTH_FAILED, CLEAR},
    {7, 21, REASON_AUTH_FAILED, REASON_AUTH_FAILED, CLEAR},
    {7, 22, REASON_AUTH_FAILED, REASON_AUTH_FAILED, CLEAR},
    {7, 23, REASON_AUTH_FAILED, REASON_AUTH_FAILED, CLEAR},
    {7, 24, REASON_AUTH_FAILED, REASON_AUTH_FAILED, CLEAR},
    {7, 25, REASON_PTR_MISSING, REASON_PTR_MISSING, CLEAR},
    {7, 26, REASON_AUTH_FAILED, REASON_AUTH_FAILED, CLEAR},
    {7, 27, REASON_SENDER_REJECTED, REASON_SENDER_REJECTED, CLEAR},
    {7, 28, REASON_RATE_LIMITED, REASON_RATE_LIMITED, CLEAR},
    {7, 29, REASON_AUTH_FAILED, REASON_AUTH_FAILED, CLEAR},
    {7, 30, REASON_TLS_FAILED, REASON_TLS_FAILED, CLEAR},
};
#define STATUS_ROWS (sizeof status_rows / sizeof status_rows[0])

static const struct status_row *find_status(int subject, int detail)
{
    const struct status_row *other = NULL;

    for (size_t i = 0; i < STATUS_ROWS; i++) {
        if (status_rows[i].subject != subject) {
            continue;
        }
        if (status_rows[i].detail == detail) {
            return &status_rows[i];
        }
        if (status_rows[i].detail == 0) {
            other = &status_rows[i];
        }
    }
    return other;
}

/* --- reply codes ------------------------------------------------------- */

static const struct code_row {
    int code; /* or its class */
    enum reason reason;
    enum weight weight;
} code_rows[] = {
    {2, REASON_DELIVERED, CLEAR},
    {4, REASON_TRANSIENT, CLEAR},
    {500, REASON_PROTOCOL_ERROR, CLEAR},
    {501, REASON_PROTOCOL_ERROR, CLEAR},
    {502, REASON_PROTOCOL_ERROR, CLEAR},
    {503, REASON_PROTOCOL_ERROR, CLEAR},
    {504, REASON_PROTOCOL_ERROR, CLEAR},
    {510, REASON_ADDRESS_INVALID, VAGUE}, /* not in RFC 5321, but in use */
    {511, REASON_USER_UNKNOWN, VAGUE},
    {512, REASON_DOMAIN_INVALID, VAGUE},
    {521, REASON_DOMAIN_NO_MAIL, CLEAR}, /* RFC 7504 3 */
    {523, REASON_MESSAGE_TOO_LARGE, CLEAR},
    {530, REASON_RELAY_DENIED, CLEAR}, /* RFC 4954 6 */
    {534, REASON_RELAY_DENIED, CLEAR},
    {535, REASON_RELAY_DENIED, CLEAR},
    {538, REASON_TLS_FAILED, CLEAR},
    {541, REASON_POLICY_BLOCK, CLEAR},
    {551, REASON_RELAY_DENIED, CLEAR}, /* "user not local", said of relaying */
    {552, REASON_MAILBOX_FULL, CLEAR},
    {553, REASON_ADDRESS_INVALID, VAGUE}, /* also of the sender */
    {555, REASON_PROTOCOL_ERROR, CLEAR},
    {556, REASON_DOMAIN_NO_MAIL, CLEAR}, /* RFC 7504 4 */
    {571, REASON_POLICY_BLOCK, CLEAR},
};

/* 550 and 554 are said of everything: they are not in the table. */
static const struct code_row *find_code(int code)
{
    for (size_t i = 0; i < sizeof code_rows / sizeof code_rows[0]; i++) {
        if (code_rows[i].code == code || code_rows[i].code == code / 100) {
            return &code_rows[i];
        }
    }
    return NULL;
}

/* ----------------------------------------------------------------------- */

static bool is_temporary(const struct verdict *verdict)
{
    return verdict->reply_code / 100 == 4 || verdict->enhanced_status[0] == '4';
}

static void set(struct verdict *verdict, enum verdict_source source,
                enum reason reason, enum failure_type type)
{
    verdict->source = source;
    verdict->reason = reason;
    verdict->failure_type = type;
    if (type == FAILURE_TYPE_HARD && is_temporary(verdict)) {
        verdict->failure_type = FAILURE_TYPE_SOFT;
    }
}

static enum failure_type type_of(enum reason reason, enum weight weight)
{
    enum failure_type type = reason_facts(reason)->failure_type;

    return type == FAILURE_TYPE_HARD && weight == VAGUE ? FAILURE_TYPE_SOFT
                                                        : type;
}

/* Up to three digits; moves *at behind them. */
static int take_number(const char **at)
{
    int number = 0;

    for (int digits = 0; digits < 3 && **at >= '0' && **at <= '9'; digits++) {
        number = number * 10 + (*(*at)++ - '0');
    }
    return number;
}

/* "5.1.1"; false when it is empty: it is valid else. */
static bool take_status(const char *status, char *class, int *subject,
                        int *detail)
{
    if (status[0] == '\0' || status[1] != '.') {
        return false;
    }
    *class = status[0];
    status += 2;
    *subject = take_number(&status);
    if (*status++ != '.') {
        return false;
    }
    *detail = take_number(&status);
    return true;
}

/* False when the status tells nothing: the code may. */
static bool fall_back_to_status(struct verdict *verdict)
{
    const struct status_row *row;
    enum reason reason;
    char class;
    int subject;
    int detail;

    if (!take_status(verdict->enhanced_status, &class, &subject, &detail)) {
        return false;
    }
    if (class == '2') {
        set(verdict, VERDICT_STATUS, REASON_DELIVERED, FAILURE_TYPE_IGNORED);
        return true;
    }
    row = find_status(subject, detail);
    if (row == NULL) {
        return false;
    }
    reason = class == '4' ? row->temporary : row->permanent;
    if (reason == REASON_UNDETERMINED) {
        return false;
    }
    set(verdict, VERDICT_STATUS, reason,
        type_of(reason, row->detail == detail ? row->weight : VAGUE));
    return true;
}

void verdict_fall_back(struct verdict *verdict)
{
    const struct code_row *row;

    verdict->rule = NULL;
    if (fall_back_to_status(verdict)) {
        return;
    }
    row = find_code(verdict->reply_code);
    if (row != NULL) {
        set(verdict, VERDICT_CODE, row->reason,
            type_of(row->reason, row->weight));
        return;
    }
    set(verdict, VERDICT_NONE, REASON_UNDETERMINED,
        reason_facts(REASON_UNDETERMINED)->failure_type);
}

void verdict_apply(struct verdict *verdict, const struct bounce_rule *rule)
{
    verdict->rule = rule;
    set(verdict, VERDICT_RULE, rule->reason, rule->failure_type);
}

struct bounce_question
verdict_bounce_question(const struct verdict_question *question,
                        const struct verdict *verdict)
{
    return (struct bounce_question){
        .text = {verdict->text.bytes, verdict->text.length},
        .reply_code = verdict->reply_code,
        .enhanced_status = verdict->enhanced_status,
        .remote_mta = question->remote_mta,
        .stage = question->stage,
    };
}

void verdict_classify(const struct bounce_rules *rules,
                      struct bounce_scratch *scratch,
                      const struct verdict_question *question,
                      struct verdict *verdict)
{
    const struct bounce_rule *rule;
    struct bounce_question asked;

    reply_text_memory_normalise(question->memory, question->reply,
                                &verdict->text);
    verdict->reply_code =
        question->reply_code > 0 ? question->reply_code : verdict->text.code;
    if (enhanced_status_is_valid(question->enhanced_status)) {
        (void)text_copy(question->enhanced_status, verdict->enhanced_status,
                        sizeof verdict->enhanced_status);
    } else {
        memcpy(verdict->enhanced_status, verdict->text.enhanced_status,
               sizeof verdict->enhanced_status);
    }
    asked = verdict_bounce_question(question, verdict);
    rule = bounce_rules_match(rules, scratch, &asked);
    if (rule == NULL) {
        verdict_fall_back(verdict);
    } else {
        verdict_apply(verdict, rule);
    }
}

char *verdict_rule_name(const struct verdict *verdict,
                        char buffer[VERDICT_RULE_SIZE])
{
    static const char status[] = "status:";

    switch (verdict->source) {
    case VERDICT_RULE:
        (void)text_copy(text_of(verdict->rule->id), buffer, VERDICT_RULE_SIZE);
        break;
    case VERDICT_STATUS:
        memcpy(buffer, status, sizeof status);
        (void)text_copy(text_of(verdict->enhanced_status),
                        buffer + sizeof status - 1,
                        VERDICT_RULE_SIZE - sizeof status + 1);
        break;
    case VERDICT_CODE:
        (void)snprintf(buffer, VERDICT_RULE_SIZE, "code:%d",
                       verdict->reply_code);
        break;
    case VERDICT_NONE:
        (void)text_copy(text_of("none"), buffer, VERDICT_RULE_SIZE);
        break;
    }
    return buffer;
}
