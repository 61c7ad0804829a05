#include "maillog_postfix.h"
#include "maillog_scan.h"
#include "smtp_reply.h"

static bool take_stage(struct text *rest, struct maillog_record *record)
{
    static const struct stage {
        const char *text;
        enum bounce_stage stage;
    } stages[] = {
        {"RCPT from ", BOUNCE_STAGE_RCPT},
        {"MAIL from ", BOUNCE_STAGE_MAIL},
        {"DATA from ", BOUNCE_STAGE_DATA},
        {"DATA content from ", BOUNCE_STAGE_EOM},
        {"END-OF-MESSAGE from ", BOUNCE_STAGE_EOM},
        {"EHLO from ", BOUNCE_STAGE_EHLO},
        {"HELO from ", BOUNCE_STAGE_EHLO},
        {"CONNECT from ", BOUNCE_STAGE_CONNECT},
    };

    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        if (maillog_take_bytes(rest, stages[i].text, strlen(stages[i].text))) {
            record->stage = stages[i].stage;
            return true;
        }
    }
    return false;
}

/*
 * The reply holds addresses and names of the client's making. What it ends at
 * must be there once: an imitation makes two of them.
 */
static bool take_reply(struct text *rest, struct maillog_record *record)
{
    static const char end[] = "; from=<";
    struct text left;

    record->reply = maillog_take_before(rest, end);
    if (!MAILLOG_TAKE(rest, "; from=<")) {
        return false;
    }
    left = *rest;
    return maillog_find(left, end) == NULL;
}

static void take_codes(struct maillog_record *record)
{
    struct text text = record->reply;
    struct smtp_reply reply;

    smtp_reply_parse(text, &reply);
    record->status = reply.code / 100 == 4 ? MAILLOG_DEFERRED : MAILLOG_BOUNCED;
    if (reply.enhanced_status[0] != '\0' && maillog_is_digit(text.bytes[0])) {
        maillog_skip(&text, reply.code == 0 ? 0 : 4);
        text.length = strlen(reply.enhanced_status);
        record->enhanced_status = text;
    }
}

static bool take_port(struct text *rest)
{
    int64_t port;

    return !(rest->length > 1 && rest->bytes[0] == ':' &&
             maillog_is_digit(rest->bytes[1])) ||
           (MAILLOG_TAKE(rest, ":") && maillog_take_number(rest, &port));
}

/* "RCPT from name[ip]: 550 5.7.1 no; from=<s> to=<r> proto=ESMTP helo=<h>" */
enum maillog_kind maillog_postfix_reject(struct text message,
                                         struct maillog_record *record)
{
    if (!take_stage(&message, record) ||
        !maillog_take_peer(&message, &record->client_name,
                           &record->client_ip) ||
        !take_port(&message) || !MAILLOG_TAKE(&message, ": ") ||
        !take_reply(&message, record) ||
        !maillog_take_path(&message, &record->sender)) {
        return MAILLOG_NOTHING;
    }
    record->has_sender = true;
    (void)MAILLOG_TAKE(&message, ","); /* postscreen(8) */
    if (!MAILLOG_TAKE(&message, " to=<") ||
        !maillog_take_path(&message, &record->recipients) ||
        record->recipients.length == 0) {
        return MAILLOG_NOTHING; /* about no recipient, or several */
    }
    take_codes(record);
    return MAILLOG_REJECTION;
}
