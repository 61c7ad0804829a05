#include "maillog_postfix.h"
#include "maillog_scan.h"

/* --- what was said, and when ------------------------------------------- */

struct stage_text {
    const char *text;
    enum bounce_stage stage;
};

/* At the end of what a server said. */
static const struct stage_text replies[] = {
    {" (in reply to RCPT TO command)", BOUNCE_STAGE_RCPT},
    {" (in reply to end of DATA command)", BOUNCE_STAGE_EOM},
    {" (in reply to DATA command)", BOUNCE_STAGE_DATA},
    {" (in reply to MAIL FROM command)", BOUNCE_STAGE_MAIL},
    {" (in reply to EHLO command)", BOUNCE_STAGE_EHLO},
    {" (in reply to HELO command)", BOUNCE_STAGE_EHLO},
    {" (in reply to LHLO command)", BOUNCE_STAGE_EHLO},
    {" (in reply to STARTTLS command)", BOUNCE_STAGE_EHLO},
    {" (in reply to AUTH command)", BOUNCE_STAGE_EHLO},
    {" (in reply to initial server greeting)", BOUNCE_STAGE_CONNECT},
};

/* Behind "lost connection with mx[ip] while ". */
static const struct stage_text doings[] = {
    {"receiving the initial server greeting", BOUNCE_STAGE_CONNECT},
    {"performing the EHLO handshake", BOUNCE_STAGE_EHLO},
    {"performing the HELO handshake", BOUNCE_STAGE_EHLO},
    {"performing the LHLO handshake", BOUNCE_STAGE_EHLO},
    {"performing the initial protocol handshake", BOUNCE_STAGE_EHLO},
    {"performing the ", BOUNCE_STAGE_EHLO},
    {"sending MAIL FROM", BOUNCE_STAGE_MAIL},
    {"sending RCPT TO", BOUNCE_STAGE_RCPT},
    {"sending DATA command", BOUNCE_STAGE_DATA},
    {"sending message body", BOUNCE_STAGE_DATA},
    {"sending end of data", BOUNCE_STAGE_EOM},
    {"receiving the STARTTLS response", BOUNCE_STAGE_EHLO},
};

/* What Postfix says of itself, about the way to the destination. */
static const struct stage_text causes[] = {
    {"Host or domain name not found", BOUNCE_STAGE_CONNECT},
    {"Host not found", BOUNCE_STAGE_CONNECT},
    {"Name service error for ", BOUNCE_STAGE_CONNECT},
    {"unable to look up host ", BOUNCE_STAGE_CONNECT},
    {"mail for ", BOUNCE_STAGE_CONNECT}, /* loops back to myself */
    {"connect to ", BOUNCE_STAGE_CONNECT},
    {"all network protocols are disabled", BOUNCE_STAGE_CONNECT},
    {"TLS is required", BOUNCE_STAGE_EHLO},
    {"TLSA lookup error for ", BOUNCE_STAGE_EHLO},
    {"no TLSA records found", BOUNCE_STAGE_EHLO},
    {"non DNSSEC destination", BOUNCE_STAGE_EHLO},
    {"Cannot start TLS", BOUNCE_STAGE_EHLO},
    {"Server certificate ", BOUNCE_STAGE_EHLO},
    {"Sender requested REQUIRETLS", BOUNCE_STAGE_EHLO},
    {"SASL authentication failed", BOUNCE_STAGE_EHLO},
};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static bool starts_with(struct text text, const struct stage_text *list,
                        size_t count, enum bounce_stage *stage)
{
    for (size_t i = 0; i < count; i++) {
        if (text.length > 0 && text.bytes[0] == list[i].text[0] &&
            maillog_begins(text, list[i].text, strlen(list[i].text))) {
            *stage = list[i].stage;
            return true;
        }
    }
    return false;
}

/* Postfix adds it last, so the end is the one place to believe it. */
static void drop_stage(struct text *reply, struct maillog_record *record)
{
    if (record->cut || reply->length == 0 ||
        reply->bytes[reply->length - 1] != ')') {
        return;
    }
    for (size_t i = 0; i < COUNT(replies); i++) {
        if (maillog_drop_suffix(reply, replies[i].text)) {
            record->stage = replies[i].stage;
            return;
        }
    }
}

/* --- who said it ------------------------------------------------------- */

static bool take_host(struct text *rest, struct maillog_record *record)
{
    struct text name = {NULL, 0};
    struct text ip = {NULL, 0};

    if (!maillog_take_peer(rest, &name, &ip)) {
        return false;
    }
    if (record->relay.bytes == NULL) {
        record->relay = name;
        record->relay_ip = ip;
    }
    return true;
}

/* "host mx[ip] said: 550 no (in reply to RCPT TO command)" */
static bool take_answer(struct text text, struct maillog_record *record)
{
    if (!MAILLOG_TAKE(&text, "host ") || !take_host(&text, record)) {
        return false;
    }
    if (MAILLOG_TAKE(&text, " refused to talk to me: ")) {
        record->stage = BOUNCE_STAGE_CONNECT;
    } else if (MAILLOG_TAKE(&text, " said: ")) {
        drop_stage(&text, record);
    } else {
        return false;
    }
    record->remote = true;
    record->reply = text;
    return true;
}

/* "lost connection with mx[ip] while sending RCPT TO", "connect to mx[ip]:25:"
 */
static bool take_failure(struct text text, struct maillog_record *record)
{
    if (MAILLOG_TAKE(&text, "connect to ")) {
        (void)take_host(&text, record);
        record->stage = BOUNCE_STAGE_CONNECT;
        return true;
    }
    if (!MAILLOG_TAKE(&text, "lost connection with ") &&
        !MAILLOG_TAKE(&text, "conversation with ")) {
        return starts_with(text, causes, COUNT(causes), &record->stage);
    }
    if (take_host(&text, record)) {
        (void)MAILLOG_TAKE(&text, " timed out");
        (void)MAILLOG_TAKE(&text, " while ");
        (void)starts_with(text, doings, COUNT(doings), &record->stage);
    }
    return true;
}

/* --- about whom it is -------------------------------------------------- */

/* X.1 is about the address, X.2 the mailbox, X.4 the way there. */
static char subject_of(struct text enhanced_status)
{
    return enhanced_status.length > 3 && enhanced_status.bytes[3] == '.'
               ? enhanced_status.bytes[2]
               : '\0';
}

static bool answer_is_about_destination(const struct maillog_record *record)
{
    switch (record->stage) {
    case BOUNCE_STAGE_CONNECT:
    case BOUNCE_STAGE_EHLO:
        return true;
    case BOUNCE_STAGE_MAIL:
    case BOUNCE_STAGE_RCPT:
    case BOUNCE_STAGE_DATA:
    case BOUNCE_STAGE_EOM:
        return false;
    case BOUNCE_STAGE_UNKNOWN:
        break;
    }
    return subject_of(record->enhanced_status) == '4';
}

static bool cause_is_about_destination(const struct maillog_record *record,
                                       bool known)
{
    char subject = subject_of(record->enhanced_status);

    return subject == '4' || (known && subject != '1' && subject != '2');
}

static void take_failed(unsigned program, struct text text,
                        struct maillog_record *record)
{
    const unsigned speaks = MAILLOG_POSTFIX_REMOTE | MAILLOG_POSTFIX_COPIES;
    bool suspended = false;
    bool known = false;

    if ((program & speaks) != 0 || (program & MAILLOG_POSTFIX_QUEUE) != 0) {
        while (MAILLOG_TAKE(&text, "delivery temporarily suspended: ")) {
            suspended = true;
        }
    }
    record->reply = text;
    if ((program & speaks) != 0) { /* others print what commands print */
        (void)MAILLOG_TAKE(&text, "Protocol error: ");
        known = !take_answer(text, record) && take_failure(text, record);
    }
    record->destination =
        suspended ||
        (record->remote ? answer_is_about_destination(record)
                        : cause_is_about_destination(record, known));
}

void maillog_postfix_reason(unsigned program, struct text reason,
                            struct maillog_record *record)
{
    if (record->status != MAILLOG_SENT) {
        take_failed(program, reason, record);
        return;
    }
    record->reply = reason;
    record->forwarded = (program & MAILLOG_POSTFIX_LOCAL) != 0 &&
                        MAILLOG_BEGINS(reason, "forwarded as ");
    record->remote = (program & MAILLOG_POSTFIX_REMOTE) != 0;
    record->stage = record->remote ? BOUNCE_STAGE_EOM : BOUNCE_STAGE_UNKNOWN;
}
