#include "maillog_postfix.h"

#include "maillog_scan.h"
#include "smtp_reply.h"

#define RECORD_MAX 2000 /* bytes that Postfix logs at most, after the tag */

/* --- programs ---------------------------------------------------------- */

#define NAME(literal) literal, sizeof(literal) - 1

static const struct program {
    const char *name;
    size_t length;
    unsigned lines;
} programs[] = {
    {NAME("smtp"), MAILLOG_POSTFIX_DELIVERS | MAILLOG_POSTFIX_REMOTE},
    {NAME("lmtp"), MAILLOG_POSTFIX_DELIVERS | MAILLOG_POSTFIX_REMOTE},
    {NAME("smtpd"), MAILLOG_POSTFIX_SERVER},
    {NAME("qmgr"), MAILLOG_POSTFIX_QUEUE | MAILLOG_POSTFIX_REMOVES |
                       MAILLOG_POSTFIX_DELIVERS},
    {NAME("cleanup"), MAILLOG_POSTFIX_CLEANUP | MAILLOG_POSTFIX_REMOVES |
                          MAILLOG_POSTFIX_DELIVERS},
    {NAME("local"), MAILLOG_POSTFIX_DELIVERS | MAILLOG_POSTFIX_LOCAL},
    {NAME("virtual"), MAILLOG_POSTFIX_DELIVERS | MAILLOG_POSTFIX_LOCAL},
    {NAME("pipe"), MAILLOG_POSTFIX_DELIVERS | MAILLOG_POSTFIX_LOCAL},
    {NAME("error"), MAILLOG_POSTFIX_DELIVERS | MAILLOG_POSTFIX_COPIES},
    {NAME("retry"), MAILLOG_POSTFIX_DELIVERS | MAILLOG_POSTFIX_COPIES},
    {NAME("discard"), MAILLOG_POSTFIX_DELIVERS},
    {NAME("pickup"), MAILLOG_POSTFIX_PICKUP},
    {NAME("postscreen"), MAILLOG_POSTFIX_SERVER},
    {NAME("postsuper"), MAILLOG_POSTFIX_REMOVES},
    {NAME("nqmgr"), MAILLOG_POSTFIX_QUEUE | MAILLOG_POSTFIX_REMOVES |
                        MAILLOG_POSTFIX_DELIVERS},
    {NAME("oqmgr"), MAILLOG_POSTFIX_QUEUE | MAILLOG_POSTFIX_REMOVES |
                        MAILLOG_POSTFIX_DELIVERS},
};

unsigned maillog_postfix_program(struct text program)
{
    const char *slash = program.length == 0
                            ? NULL
                            : memrchr(program.bytes, '/', program.length);
    struct text name = program;

    if (slash == NULL) {
        return 0;
    }
    maillog_skip(&name, (size_t)(slash - program.bytes) + 1);
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        const struct program *known = &programs[i];

        if (name.length == known->length && name.bytes[0] == known->name[0] &&
            memcmp(name.bytes, known->name, known->length) == 0) {
            return known->lines;
        }
    }
    return 0;
}

/* --- queue id ---------------------------------------------------------- */

/*
 * Letters and digits, up to 32; kinds: of which of the two ids all are. Long
 * ids have no vowels, so that no word is one.
 */
static inline struct text take_word(struct text message, unsigned *kinds)
{
    const char *at = message.bytes;
    const char *end = at + (message.length < 33 ? message.length : 33);
    unsigned all = MAILLOG_BYTE_SHORT | MAILLOG_BYTE_LONG;
    size_t length;

    for (; at < end; at++) {
        unsigned kind = maillog_byte(*at);

        if ((kind & MAILLOG_BYTE_WORD) == 0) {
            break;
        }
        all &= kind;
    }
    length = (size_t)(at - message.bytes);
    *kinds = all;
    return (struct text){message.bytes, length > 32 ? 0 : length};
}

static bool is_queue_id(struct text word, unsigned kinds)
{
    return ((kinds & MAILLOG_BYTE_SHORT) != 0 && word.length >= 6) ||
           ((kinds & MAILLOG_BYTE_LONG) != 0 && word.length >= 10);
}

bool maillog_postfix_queue_id(struct text *message, struct text *queue_id)
{
    unsigned kinds;
    struct text word = take_word(*message, &kinds);

    queue_id->bytes = NULL;
    queue_id->length = 0;
    if (message->length < word.length + 2 ||
        message->bytes[word.length] != ':' ||
        message->bytes[word.length + 1] != ' ') {
        return false;
    }
    if (is_queue_id(word, kinds)) {
        *queue_id = word;
    } else if (!text_is(word, "NOQUEUE")) {
        return false;
    }
    maillog_skip(message, word.length + 2);
    return true;
}

/* --- outcomes ---------------------------------------------------------- */

/* "none", "local", "mx.example.net[192.0.2.25]:25", a service's name. */
static void take_relay(struct text relay, struct maillog_record *record)
{
    struct text place = relay;

    if (!maillog_take_peer(&relay, &record->relay, &record->relay_ip)) {
        if (!text_is(relay, "none")) {
            record->relay = relay;
        }
        return;
    }
    if (record->relay_ip.bytes == NULL) {
        (void)maillog_take_until(&place, '[');
        place = maillog_take_until(&place, ']');
        if (place.length > 0 &&
            memchr(place.bytes, '/', place.length) != NULL) {
            record->relay_socket = place;
        }
    }
    if (MAILLOG_TAKE(&relay, ":")) {
        (void)maillog_take_number(&relay, &record->relay_port);
    }
}

/* "0.34", "12", and what else is made of digits, dots and slashes. */
static bool take_delay(struct text *rest, struct maillog_record *record)
{
    if (!maillog_take_number(rest, &record->delay_s)) {
        return false;
    }
    maillog_skip_kind(rest, MAILLOG_BYTE_DELAY);
    return true;
}

static bool take_numbers(struct text *rest, struct maillog_record *record)
{
    int64_t reuse;

    if (MAILLOG_TAKE(rest, ", conn_use=") &&
        !maillog_take_number(rest, &reuse)) {
        return false;
    }
    if (!MAILLOG_TAKE(rest, ", delay=") || !take_delay(rest, record)) {
        return false;
    }
    if (MAILLOG_TAKE(rest, ", delays=")) {
        maillog_skip_kind(rest, MAILLOG_BYTE_DELAY | MAILLOG_BYTE_SLASH);
    }
    return true;
}

static bool take_status(struct text *rest, struct maillog_record *record)
{
    static const struct word {
        const char *word;
        size_t length;
        enum maillog_status status;
    } words[] = {
        {NAME("sent"), MAILLOG_SENT},
        {NAME("deferred"), MAILLOG_DEFERRED},
        {NAME("bounced"), MAILLOG_BOUNCED},
        {NAME("SOFTBOUNCE"), MAILLOG_DEFERRED},
    };
    size_t length = maillog_word_length(*rest);

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (length == words[i].length &&
            maillog_take_bytes(rest, words[i].word, length)) {
            record->status = words[i].status;
            return true;
        }
    }
    return false; /* deliverable, undeliverable: no mail was sent */
}

/*
 * Where addresses are logged without quotes (info_log_address_format =
 * internal, Postfix before 3.5), a local part may hold all that follows one,
 * up to another "status=(". Nothing tells it from a remote text that imitates
 * this, so neither is believed.
 */
static bool is_ambiguous(struct text reason)
{
    static const char *const fields[] = {
        ">, relay=",
        ", delay=",
        ", dsn=",
        ", status=",
    };

    if (memchr(reason.bytes, '>', reason.length) == NULL) {
        return false; /* most */
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *found = maillog_find(reason, fields[i]);

        if (found == NULL) {
            return false;
        }
        maillog_skip(&reason, (size_t)(found - reason.bytes));
    }
    return true;
}

static bool take_reason(unsigned program, struct text rest, size_t length,
                        struct maillog_record *record)
{
    if (rest.length == 0) { /* cut right here */
        record->cut = true;
        return true;
    }
    if (!MAILLOG_TAKE(&rest, " (")) {
        return false;
    }
    record->cut = record->cut || length >= RECORD_MAX || rest.length == 0 ||
                  rest.bytes[rest.length - 1] != ')';
    if (!record->cut) {
        rest.length--;
    }
    if (is_ambiguous(rest)) {
        return false;
    }
    maillog_postfix_reason(program, rest, record);
    return true;
}

static bool take_addresses(struct text *rest, struct maillog_record *record)
{
    return maillog_take_path(rest, &record->recipients) &&
           record->recipients.length > 0 &&
           (!MAILLOG_TAKE(rest, ", orig_to=<") ||
            maillog_take_path(rest, &record->original_recipient)) &&
           MAILLOG_TAKE(rest, ", relay=");
}

/* Behind "to=<"; length is that of the whole message. */
static enum maillog_kind take_outcome(unsigned program, struct text rest,
                                      size_t length,
                                      struct maillog_record *record)
{
    struct text relay;

    if (!take_addresses(&rest, record)) {
        return MAILLOG_NOTHING;
    }
    relay = maillog_take_until(&rest, ',');
    if (relay.bytes == NULL) {
        return MAILLOG_NOTHING;
    }
    rest.bytes--; /* the comma belongs to what follows */
    rest.length++;
    take_relay(relay, record);
    if (!take_numbers(&rest, record)) {
        return MAILLOG_NOTHING;
    }
    if (MAILLOG_TAKE(&rest, ", tls=")) {
        (void)maillog_take_before(&rest, ", ");
    }
    if (MAILLOG_TAKE(&rest, ", dsn=")) { /* none before Postfix 2.3 */
        record->enhanced_status = maillog_take_before(&rest, ", ");
        if (!enhanced_status_is_valid(record->enhanced_status)) {
            return MAILLOG_NOTHING;
        }
    }
    if (!MAILLOG_TAKE(&rest, ", status=") || !take_status(&rest, record) ||
        !take_reason(program, rest, length, record)) {
        return MAILLOG_NOTHING;
    }
    record->local = (program & MAILLOG_POSTFIX_LOCAL) != 0;
    return MAILLOG_OUTCOME;
}

/* --- messages ---------------------------------------------------------- */

/* "name[ip]", "name[ip]:port" */
static bool take_client(struct text *rest, struct maillog_record *record)
{
    int64_t port;

    if (!maillog_take_peer(rest, &record->client_name, &record->client_ip)) {
        return false;
    }
    if (rest->length > 1 && rest->bytes[0] == ':' &&
        maillog_is_digit(rest->bytes[1])) {
        maillog_skip(rest, 1);
        (void)maillog_take_number(rest, &port);
    }
    return true;
}

/* A login name may be anything, but ends where Postfix goes on. */
static struct text take_user(struct text *rest)
{
    static const char *const next[] = {
        ", sasl_sender=", ", orig_queue_id=", ", orig_client="};
    struct text user = *rest;

    for (size_t i = 0; i < sizeof next / sizeof next[0]; i++) {
        struct text left = user;

        user = maillog_take_before(&left, next[i]);
    }
    return user;
}

/* Behind "client=" */
static enum maillog_kind take_submission(struct text rest,
                                         struct maillog_record *record)
{
    if (!take_client(&rest, record)) {
        return MAILLOG_NOTHING;
    }
    if (MAILLOG_TAKE(&rest, ", sasl_method=")) {
        (void)maillog_take_before(&rest, ", ");
    }
    if (MAILLOG_TAKE(&rest, ", sasl_username=")) {
        record->auth_user = take_user(&rest);
    }
    return MAILLOG_SUBMISSION;
}

static bool take_sender(struct text *rest, struct maillog_record *record)
{
    record->has_sender = MAILLOG_TAKE(rest, "from=<") &&
                         maillog_take_path(rest, &record->sender);
    return record->has_sender;
}

/* Of qmgr(8): "from=<s>, size=1, nrcpt=1 (queue active)", "from=<s>, status="
 */
static enum maillog_kind take_queue_line(struct text rest,
                                         struct maillog_record *record)
{
    if (!take_sender(&rest, record)) {
        return MAILLOG_NOTHING;
    }
    if (text_is(rest, ", status=expired, returned to sender")) {
        return MAILLOG_EXPIRED;
    }
    if (text_is(rest, ", status=force-expired, returned to sender")) {
        record->forced = true;
        return MAILLOG_EXPIRED;
    }
    if (MAILLOG_TAKE(&rest, ", size=") &&
        maillog_take_number(&rest, &record->size) &&
        MAILLOG_TAKE(&rest, ", nrcpt=") &&
        maillog_take_number(&rest, &record->recipient_count) &&
        text_is(rest, " (queue active)")) {
        return MAILLOG_MESSAGE;
    }
    return MAILLOG_NOTHING;
}

/* Of pickup(8): "uid=1000 from=<user@example.net>" */
static enum maillog_kind take_pickup(struct text rest,
                                     struct maillog_record *record)
{
    int64_t uid;

    if (!maillog_take_number(&rest, &uid) || !MAILLOG_TAKE(&rest, " ") ||
        !take_sender(&rest, record) ||
        (rest.length > 0 && !MAILLOG_BEGINS(rest, " orig_id="))) {
        return MAILLOG_NOTHING;
    }
    return MAILLOG_SUBMISSION;
}

static enum maillog_kind take_message_id(struct text rest,
                                         struct maillog_record *record)
{
    if (MAILLOG_TAKE(&rest, "<")) {
        (void)maillog_drop_suffix(&rest, ">");
    }
    if (rest.length == 0) {
        return MAILLOG_NOTHING;
    }
    record->message_id = rest;
    return MAILLOG_MESSAGE;
}

static bool is_removed(struct text message)
{
    return text_is(message, "removed") ||
           text_is(message, "removed (canceled)") ||
           text_is(message, "removed (discarded)");
}

static enum maillog_kind parse_queued(unsigned program, struct text rest,
                                      size_t length,
                                      struct maillog_record *record)
{
    if ((program & MAILLOG_POSTFIX_DELIVERS) != 0 &&
        MAILLOG_TAKE(&rest, "to=<")) {
        return take_outcome(program, rest, length, record);
    }
    if ((program & MAILLOG_POSTFIX_REMOVES) != 0 && is_removed(rest)) {
        return MAILLOG_REMOVED;
    }
    if ((program & MAILLOG_POSTFIX_QUEUE) != 0) {
        return take_queue_line(rest, record);
    }
    if ((program & MAILLOG_POSTFIX_CLEANUP) != 0 &&
        MAILLOG_TAKE(&rest, "message-id=")) {
        return take_message_id(rest, record);
    }
    if ((program & MAILLOG_POSTFIX_PICKUP) != 0 &&
        MAILLOG_TAKE(&rest, "uid=")) {
        return take_pickup(rest, record);
    }
    if ((program & MAILLOG_POSTFIX_SERVER) != 0 &&
        MAILLOG_TAKE(&rest, "client=")) {
        return take_submission(rest, record);
    }
    return MAILLOG_NOTHING;
}

enum maillog_kind maillog_postfix_parse(unsigned program, struct text message,
                                        struct maillog_record *record)
{
    size_t length = message.length + record->queue_id.length + 2;

    if ((program & MAILLOG_POSTFIX_SERVER) != 0 &&
        MAILLOG_TAKE(&message, "reject: ")) {
        return maillog_postfix_reject(message, record);
    }
    return record->queue_id.length == 0
               ? MAILLOG_NOTHING
               : parse_queued(program, message, length, record);
}
