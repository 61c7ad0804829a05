#include "maillog_scan.h"
#include "maillog_sendmail.h"
#include "smtp_reply.h"

#define ADDRESS_SHORT 203 /* as shortenstring() leaves it: 100, "...", 100 */
#define ADDRESS_MAX   1000

/* "<>" is no recipient. */
static enum maillog_kind about_somebody(const struct maillog_record *record)
{
    struct text first;
    size_t at = 0;

    return maillog_sendmail_address(record->recipients, &at, &first)
               ? MAILLOG_REJECTION
               : MAILLOG_NOTHING;
}

/* --- by rulesets -------------------------------------------------------- */

static void take_codes(struct maillog_record *record)
{
    struct text text = record->reply;
    struct smtp_reply reply;

    smtp_reply_parse(text, &reply);
    record->status =
        reply.code / 100 == 4 || reply.enhanced_status[0] == '4'
            ? MAILLOG_DEFERRED
            : MAILLOG_BOUNCED; /* the error mailer may give no code */
    if (reply.enhanced_status[0] != '\0' && maillog_is_digit(text.bytes[0])) {
        maillog_skip(&text, reply.code == 0 ? 0 : 4);
        text.length = strlen(reply.enhanced_status);
        record->enhanced_status = text;
    }
}

enum maillog_kind maillog_sendmail_refusal(struct text rest,
                                           struct maillog_record *record)
{
    struct text relay;

    record->recipients = rest;
    record->recipients.length = maillog_sendmail_address_end(rest);
    maillog_skip(&rest, record->recipients.length);
    if (record->recipients.length == 0) {
        return MAILLOG_NOTHING;
    }
    if (MAILLOG_TAKE(&rest, ", arg2=")) {
        (void)maillog_take_before(&rest, ", ");
    }
    if (MAILLOG_TAKE(&rest, ", relay=")) {
        relay = maillog_take_before(&rest, ", ");
        maillog_sendmail_host(relay, &record->client_name, &record->client_ip);
    }
    if (!MAILLOG_TAKE(&rest, ", reject=")) {
        return MAILLOG_NOTHING; /* discard, quarantine= */
    }
    record->reply = rest;
    record->stage = BOUNCE_STAGE_RCPT;
    take_codes(record);
    return about_somebody(record);
}

/* --- by filters ---------------------------------------------------------- */

static void remember(struct maillog_sendmail *state, struct text reply,
                     const struct maillog_record *record)
{
    struct maillog_sendmail_filtered *filtered =
        &state->filtered[state->next_filtered];

    state->next_filtered = (state->next_filtered + 1) % MAILLOG_SENDMAIL_JOINS;
    maillog_sendmail_set_writer(&filtered->writer, record);
    filtered->length = reply.length < sizeof filtered->reply
                           ? reply.length
                           : sizeof filtered->reply;
    if (filtered->length > 0) {
        memcpy(filtered->reply, reply.bytes, filtered->length);
    }
}

/* "to=<x@other.example>, reject=550 5.7.1 no", "data, reject=451 later" */
enum maillog_kind maillog_sendmail_filter(struct maillog_sendmail *state,
                                          struct text rest,
                                          struct maillog_record *record)
{
    if (MAILLOG_TAKE(&rest, "data, reject=")) {
        remember(state, rest, record);
        return MAILLOG_NOTHING;
    }
    if (!MAILLOG_TAKE(&rest, "to=")) {
        return MAILLOG_NOTHING;
    }
    record->recipients = rest;
    record->recipients.length = maillog_sendmail_address_end(rest);
    maillog_skip(&rest, record->recipients.length);
    if (record->recipients.length == 0 || !MAILLOG_TAKE(&rest, ", reject=")) {
        return MAILLOG_NOTHING; /* discard */
    }
    record->reply = rest;
    record->filtered = true;
    record->stage = BOUNCE_STAGE_RCPT;
    take_codes(record);
    return about_somebody(record);
}

/* What logundelrcpts() says of recipients whom nobody refused. */
static bool is_given_up_by_client(struct text stat)
{
    static const char *const words[] = {
        "RSET", "HELO",        "EHLO",   "QUIT",      "aborted by sender",
        "",     "quarantined", "queued", "discarded",
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_is(stat, words[i])) {
            return true;
        }
    }
    return MAILLOG_BEGINS(stat, "Sent") || MAILLOG_BEGINS(stat, "Deferred");
}

enum maillog_kind
maillog_sendmail_undone(const struct maillog_sendmail *state,
                        const struct maillog_sendmail_result *result,
                        struct maillog_record *record)
{
    if (is_given_up_by_client(result->stat)) {
        return MAILLOG_NOTHING;
    }
    record->reply = result->stat;
    record->filtered = true;
    record->stage = BOUNCE_STAGE_EOM;
    for (size_t i = 0; i < MAILLOG_SENDMAIL_JOINS; i++) {
        const struct maillog_sendmail_filtered *filtered = &state->filtered[i];

        /* the same text, with its codes */
        if (filtered->length > 0 &&
            maillog_sendmail_is_writer(&filtered->writer, record)) {
            record->reply = (struct text){filtered->reply, filtered->length};
        }
    }
    take_codes(record);
    return about_somebody(record);
}

/* --- by the tables of mailboxes ------------------------------------------ */

/* How long the address before "... " is; 0: there is none. */
static size_t complained_length(struct text message)
{
    size_t most = message.length < ADDRESS_MAX ? message.length : ADDRESS_MAX;
    bool bracketed = message.length > 0 && message.bytes[0] == '<';
    bool quoted = false;

    for (size_t i = 0; i < most; i++) {
        char byte = message.bytes[i];
        struct text rest = message;

        maillog_skip(&rest, i);
        if (byte == '\\') {
            i++;
        } else if (byte == '"') {
            quoted = !quoted;
        } else if (!quoted && byte == '>' && bracketed) {
            maillog_skip(&rest, 1);
            return MAILLOG_BEGINS(rest, "... ") ? i + 1 : 0;
        } else if (!quoted && !bracketed) {
            if (MAILLOG_BEGINS(rest, "... ")) {
                return i;
            }
            if (memchr(" :,<>", byte, 5) != NULL) {
                return 0; /* another line: "SYSERR(root): ... " */
            }
        }
    }
    return 0;
}

enum maillog_kind maillog_sendmail_complaint(struct text message,
                                             struct maillog_record *record)
{
    size_t length = complained_length(message);

    if (length == 0 || (length == ADDRESS_SHORT &&
                        memcmp(message.bytes + 100, "...", 3) == 0)) {
        return MAILLOG_NOTHING;
    }
    record->recipients.bytes = message.bytes;
    record->recipients.length = length;
    maillog_skip(&message, length + 4);
    if (message.length == 0) {
        return MAILLOG_NOTHING;
    }
    record->reply = message;
    record->shown_later = true;
    record->status = MAILLOG_BOUNCED;
    record->stage = BOUNCE_STAGE_RCPT;
    return about_somebody(record);
}
