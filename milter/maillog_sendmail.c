#include "maillog_sendmail.h"

#include "maillog_scan.h"
#include "smtp_reply.h"

#define FROM_MAX    200 /* of the sender in logsender() */
#define CTLADDR_MAX 83  /* as shortenstring() leaves it: 40, "...", 40 */

/* --- who and which ----------------------------------------------------- */

bool maillog_sendmail_program(struct text program)
{
    return MAILLOG_BEGINS(program, "sm-") ||
           MAILLOG_BEGINS(program, "sendmail");
}

/* Eight of base 60 for the time, then the process: "60215wXk003001". */
static bool is_queue_id(struct text word)
{
    if (word.length < 8 || word.length > 20) {
        return false;
    }
    for (size_t i = word.length - 5; i < word.length; i++) {
        if (!maillog_is_digit(word.bytes[i])) {
            return false;
        }
    }
    return true;
}

bool maillog_sendmail_queue_id(struct text *message, struct text *queue_id,
                               int64_t *piece)
{
    struct text rest = *message;
    struct text word = {rest.bytes, maillog_word_length(rest)};

    queue_id->bytes = NULL;
    queue_id->length = 0;
    *piece = 0;
    if (is_queue_id(word)) {
        *queue_id = word;
    } else if (!text_is(word, "NOQUEUE")) {
        return false;
    }
    maillog_skip(&rest, word.length);
    if (MAILLOG_TAKE(&rest, "[") &&
        (!maillog_take_number(&rest, piece) || *piece == 0 ||
         queue_id->length == 0 || !MAILLOG_TAKE(&rest, "]"))) {
        return false;
    }
    if (!MAILLOG_TAKE(&rest, ": ")) {
        return false;
    }
    *message = rest;
    return true;
}

/* --- hosts ------------------------------------------------------------- */

static struct text without_brackets(struct text name)
{
    if (MAILLOG_TAKE(&name, "[")) {
        (void)maillog_drop_suffix(&name, "]");
        (void)MAILLOG_TAKE(&name, "IPv6:");
    }
    return name;
}

/*
 * "mx.example.net. [192.0.2.25]", "[192.0.2.25] [192.0.2.25]",
 * "user@localhost", "host [IPv6:2001:db8::25] (may be forged)"
 */
void maillog_sendmail_host(struct text relay, struct text *name,
                           struct text *ip)
{
    struct text rest = relay;
    struct text unused = {NULL, 0};

    *name = maillog_take_before(&rest, " ");
    (void)maillog_drop_suffix(name, ".");
    *name = without_brackets(*name);
    if (MAILLOG_TAKE(&rest, " ")) {
        (void)maillog_take_peer(&rest, &unused, ip);
    } else if (maillog_is_ip(*name)) {
        *ip = *name;
    }
}

/* --- outcomes ---------------------------------------------------------- */

/* "1+02:11:40", "00:00:02" */
static bool take_delay(struct text *rest, int64_t *seconds)
{
    int64_t parts[3];
    int64_t days = 0;

    if (!maillog_take_number(rest, &parts[0])) {
        return false;
    }
    if (MAILLOG_TAKE(rest, "+")) {
        days = parts[0] < 1000000 ? parts[0] : 1000000;
        if (!maillog_take_number(rest, &parts[0])) {
            return false;
        }
    }
    for (size_t i = 1; i < 3; i++) {
        if (!MAILLOG_TAKE(rest, ":") || !maillog_take_number(rest, &parts[i])) {
            return false;
        }
    }
    if (parts[0] > 99 || parts[1] > 59 || parts[2] > 59) {
        return false;
    }
    *seconds = ((days * 24 + parts[0]) * 60 + parts[1]) * 60 + parts[2];
    return true;
}

/* " (1000/1000)" */
static void take_ids(struct text *rest)
{
    struct text left = *rest;
    int64_t number;

    if (MAILLOG_TAKE(&left, " (")) {
        (void)MAILLOG_TAKE(&left, "-");
        if (maillog_take_number(&left, &number) && MAILLOG_TAKE(&left, "/")) {
            (void)MAILLOG_TAKE(&left, "-");
            if (maillog_take_number(&left, &number) &&
                MAILLOG_TAKE(&left, ")")) {
                *rest = left;
            }
        }
    }
}

/* A shortened address may have lost one of its quotes: count instead. */
static bool take_shortened(struct text *rest)
{
    struct text left = *rest;
    struct text behind;

    if (left.length < CTLADDR_MAX || memcmp(left.bytes + 40, "...", 3) != 0) {
        return false;
    }
    maillog_skip(&left, CTLADDR_MAX);
    behind = left;
    take_ids(&behind);
    if (!MAILLOG_BEGINS(behind, ", delay=")) {
        return false;
    }
    *rest = behind;
    return true;
}

static void take_controller(struct text *rest)
{
    if (!take_shortened(rest)) {
        maillog_skip(rest, maillog_sendmail_address_end(*rest));
    }
}

/* "dsn=", off the front; unknown where there is none before a comma. */
static struct text take_key(struct text *rest)
{
    size_t length = 0;
    struct text key = {NULL, 0};

    while (length < rest->length && rest->bytes[length] != '=' &&
           rest->bytes[length] != ',') {
        length++;
    }
    if (length < rest->length && rest->bytes[length] == '=') {
        key.bytes = rest->bytes;
        key.length = length;
        maillog_skip(rest, length + 1);
    }
    return key;
}

/* In order, up to the first stat=, or reply= and the first stat= behind it. */
static bool take_fields(struct text *rest,
                        struct maillog_sendmail_result *result,
                        struct text *relay)
{
    while (MAILLOG_TAKE(rest, ", ")) {
        struct text key = take_key(rest);
        struct text value;

        if (text_is(key, "stat")) {
            result->stat = *rest;
            return true;
        }
        value =
            maillog_take_before(rest, text_is(key, "reply") ? ", stat=" : ", ");
        if (text_is(key, "reply")) {
            result->reply = value;
        } else if (text_is(key, "mailer")) {
            result->mailer = value;
        } else if (text_is(key, "relay")) {
            *relay = value;
        } else if (text_is(key, "pri")) {
            result->priority = value;
        } else if (text_is(key, "dsn")) {
            result->dsn = value;
        }
    }
    return false;
}

/* Behind "to=" */
static enum maillog_kind take_outcome(struct maillog_sendmail *state,
                                      struct text rest,
                                      struct maillog_record *record)
{
    struct maillog_sendmail_result result;
    struct text relay = {NULL, 0};
    struct text first;
    size_t at = 0;

    memset(&result, 0, sizeof result);
    if (!maillog_sendmail_list(state, &rest, record)) {
        return MAILLOG_NOTHING;
    }
    if (MAILLOG_TAKE(&rest, ", ctladdr=")) {
        take_controller(&rest);
    }
    if (!MAILLOG_TAKE(&rest, ", delay=") ||
        !take_delay(&rest, &record->delay_s) ||
        !take_fields(&rest, &result, &relay) ||
        !maillog_sendmail_address(record->recipients, &at, &first)) {
        return MAILLOG_NOTHING;
    }
    if (relay.bytes != NULL) {
        maillog_sendmail_host(relay, &record->relay, &record->relay_ip);
    }
    if (result.mailer.bytes == NULL && result.dsn.bytes == NULL) {
        return maillog_sendmail_undone(state, &result, record);
    }
    if (!maillog_sendmail_status(&result, record)) {
        return MAILLOG_NOTHING;
    }
    /* without priority it was never in the queue: refused by sendmail(1) */
    return text_is(result.priority, "0") && record->status != MAILLOG_SENT
               ? MAILLOG_REJECTION
               : MAILLOG_OUTCOME;
}

/* --- messages ---------------------------------------------------------- */

static struct text bare_sender(struct text sender)
{
    struct text inside;
    size_t at = 0;

    if (text_is(sender, "<>")) {
        sender.length = 0;
        return sender;
    }
    return maillog_sendmail_address(sender, &at, &inside) ? inside : sender;
}

/* A sender of more than FROM_MAX bytes is cut, perhaps within its quotes. */
static bool take_sender(struct text *rest, struct maillog_record *record)
{
    struct text sender = *rest;
    struct text cut = *rest;

    sender.length = maillog_sendmail_address_end(sender);
    if (sender.length > FROM_MAX) {
        maillog_skip(&cut, FROM_MAX);
        *rest = cut;
        return MAILLOG_BEGINS(cut, ", size=");
    }
    maillog_skip(rest, sender.length);
    if (!text_is(sender, "<NONE>")) {
        record->sender = bare_sender(sender);
        record->has_sender = true;
    }
    return true;
}

/* Up to '>', or, where that was cut off, to the next field. */
static struct text take_message_id(struct text *rest)
{
    struct text left = *rest;
    struct text id;

    if (MAILLOG_TAKE(&left, "<")) {
        *rest = left;
        id = maillog_take_before(&left, ">");
        if (left.length > 0) {
            *rest = left;
            return id;
        }
    }
    return maillog_take_before(rest, ", ");
}

/* The last relay= is what Sendmail wrote: the id before it is the sender's. */
static void take_last_relay(struct text rest, struct maillog_record *record)
{
    const char *found = maillog_find(rest, ", relay=");

    while (found != NULL) {
        maillog_skip(&rest, (size_t)(found - rest.bytes) + 8);
        found = maillog_find(rest, ", relay=");
        if (found == NULL && !text_is(rest, "[RESPONSE]")) {
            maillog_sendmail_host(rest, &record->client_name,
                                  &record->client_ip);
        }
    }
}

/* Behind "from=" */
static enum maillog_kind take_message(struct text rest,
                                      struct maillog_record *record)
{
    int64_t class;

    if (!take_sender(&rest, record) || !MAILLOG_TAKE(&rest, ", size=") ||
        !maillog_take_number(&rest, &record->size)) {
        return MAILLOG_NOTHING;
    }
    if (MAILLOG_TAKE(&rest, ", class=")) {
        (void)MAILLOG_TAKE(&rest, "-");
        (void)maillog_take_number(&rest, &class);
    }
    if (MAILLOG_TAKE(&rest, ", nrcpts=")) {
        (void)maillog_take_number(&rest, &record->recipient_count);
    }
    if (MAILLOG_TAKE(&rest, ", msgid=")) {
        record->message_id = take_message_id(&rest);
    }
    take_last_relay(rest, record);
    return MAILLOG_MESSAGE;
}

/* Behind "AUTH=server, relay=" */
static enum maillog_kind take_login(struct text rest,
                                    struct maillog_record *record)
{
    struct text relay = maillog_take_before(&rest, ", authid=");

    if (!MAILLOG_TAKE(&rest, ", authid=")) {
        return MAILLOG_NOTHING;
    }
    record->auth_user = maillog_take_before(&rest, ", mech=");
    maillog_sendmail_host(relay, &record->client_name, &record->client_ip);
    return MAILLOG_SUBMISSION;
}

/* --- given up ---------------------------------------------------------- */

/* "NEWQID: sender notify: Cannot send message for 5 days" */
static enum maillog_kind take_notice(struct text rest)
{
    struct text id;
    int64_t piece;

    if (!maillog_sendmail_queue_id(&rest, &id, &piece) || id.length == 0 ||
        !(MAILLOG_TAKE(&rest, "sender notify: ") ||
          MAILLOG_TAKE(&rest, "return to sender: ") ||
          MAILLOG_TAKE(&rest, "postmaster notify: ") ||
          MAILLOG_TAKE(&rest, "DSN: "))) {
        return MAILLOG_NOTHING;
    }
    return MAILLOG_BEGINS(rest, "Cannot send message for ") ||
                   MAILLOG_BEGINS(rest, "delivery time expired ")
               ? MAILLOG_EXPIRED
               : MAILLOG_NOTHING;
}

/* ----------------------------------------------------------------------- */

/* Most other lines are known by their first byte. */
static bool is_wanted(struct text message)
{
    return MAILLOG_BEGINS(message, "to=") || MAILLOG_BEGINS(message, "from=") ||
           MAILLOG_BEGINS(message, "ruleset=check_rcpt, ") ||
           MAILLOG_BEGINS(message, "AUTH=server, ") ||
           MAILLOG_BEGINS(message, "Milter: ") ||
           maillog_word_length(message) >= 8 ||
           maillog_find(message, "... ") != NULL;
}

enum maillog_kind maillog_sendmail_parse(struct maillog_sendmail *state,
                                         int64_t piece, struct text message,
                                         struct maillog_record *record)
{
    if (piece == 0 && !is_wanted(message)) {
        return MAILLOG_NOTHING;
    }
    if (piece > 0 && state->looking_back) {
        return MAILLOG_NOTHING; /* a record has the place of its first piece */
    }
    if (!maillog_sendmail_join(state, piece, &message, record)) {
        return MAILLOG_NOTHING;
    }
    message = maillog_sendmail_plain(state, message);
    if (MAILLOG_TAKE(&message, "ruleset=check_rcpt, arg1=")) {
        return maillog_sendmail_refusal(message, record);
    }
    if (record->queue_id.length == 0) {
        return MAILLOG_NOTHING;
    }
    if (MAILLOG_TAKE(&message, "Milter: ")) {
        return maillog_sendmail_filter(state, message, record);
    }
    if (MAILLOG_TAKE(&message, "to=")) {
        return take_outcome(state, message, record);
    }
    if (MAILLOG_TAKE(&message, "from=")) {
        return take_message(message, record);
    }
    if (MAILLOG_TAKE(&message, "AUTH=server, relay=")) {
        return take_login(message, record);
    }
    return take_notice(message) == MAILLOG_EXPIRED
               ? MAILLOG_EXPIRED
               : maillog_sendmail_complaint(message, record);
}
