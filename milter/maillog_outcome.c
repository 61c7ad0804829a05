#include "maillog_outcome.h"

#include <stdlib.h>
#include <string.h>

/* ---- whose it is -------------------------------------------------------- */

static bool is_same(struct text text, const char *bytes, size_t length)
{
    return text.length == length && strncasecmp(text.bytes, bytes, length) == 0;
}

/* "host", "host:port", "[address]", "[address]:port", "private/socket" */
static bool names_relay(const char *entry, const struct maillog_record *record)
{
    const char *end = entry[0] == '[' ? strchr(entry, ']') : NULL;
    const char *colon = strchr(end != NULL ? end : entry, ':');
    size_t length = colon != NULL ? (size_t)(colon - entry) : strlen(entry);

    if (colon != NULL && strtol(colon + 1, NULL, 10) != record->relay_port) {
        return false;
    }
    if (end != NULL) {
        entry++;
        length = (size_t)(end - entry);
    }
    return (record->relay.bytes != NULL &&
            is_same(record->relay, entry, length)) ||
           (record->relay_ip.bytes != NULL &&
            is_same(record->relay_ip, entry, length)) ||
           (record->relay_socket.bytes != NULL &&
            is_same(record->relay_socket, entry, length));
}

static bool is_internal(const struct settings *settings,
                        const struct maillog_record *record)
{
    for (size_t i = 0; settings->internal_relays != NULL &&
                       settings->internal_relays[i] != NULL;
         i++) {
        if (names_relay(settings->internal_relays[i], record)) {
            return true;
        }
    }
    return false;
}

/* LMTP to a program of this host: a mailbox of ours, as local(8) has. */
static bool is_on_this_host(const struct maillog_record *record)
{
    return record->local || record->relay_socket.bytes != NULL;
}

/* "ann@its.name"; false: there is no room. */
static bool at_this_host(const char *node, const struct mailbox *local,
                         char address[MAILLOG_RECIPIENT_SIZE])
{
    const struct text host = text_of(node);
    size_t length = local->address_length;

    if (length + 1 + host.length >= MAILLOG_RECIPIENT_SIZE) {
        return false;
    }
    memcpy(address, local->address, length);
    address[length++] = '@';
    (void)text_copy(host, address + length, MAILLOG_RECIPIENT_SIZE - length);
    return true;
}

/*
 * A mailbox without domain is what a session of the message has made of it; if
 * no session ever made anything of such, it is this host's.
 */
static bool parse(const struct maillog_sources *sources,
                  const struct maillog_record *record, struct text address,
                  struct mailbox *mailbox)
{
    const struct mailbox_rules *rules = &sources->settings->mailbox_rules;
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    char whole[MAILLOG_RECIPIENT_SIZE];

    switch (mailbox_parse(address, rules, mailbox)) {
    case MAILBOX_OK:
        return true;
    case MAILBOX_LOCAL:
        if (maillog_messages_complete(
                sources->messages, record->queue_id, record->timestamp_us,
                (struct text){mailbox->address, mailbox->address_length},
                whole)) {
            return mailbox_parse(text_of(whole), &as_it_is, mailbox) ==
                   MAILBOX_OK;
        }
        return at_this_host(sources->settings->node, mailbox, whole) &&
               mailbox_parse(text_of(whole), rules, mailbox) == MAILBOX_OK;
    case MAILBOX_LONG:
    case MAILBOX_INVALID:
        break;
    }
    return false;
}

/* The address that the message was sent to: before our aliases. */
static bool take_recipient(const struct maillog_sources *sources,
                           const struct maillog_record *record,
                           struct text logged, struct maillog_outcome *outcome)
{
    struct event *event = &outcome->event;
    const struct mailbox *recipient = &outcome->final;
    struct text sent_to = logged;

    if (!parse(sources, record, logged, &outcome->final)) {
        return false;
    }
    if (record->original_recipient.bytes != NULL &&
        parse(sources, record, record->original_recipient,
              &outcome->recipient)) {
        sent_to = record->original_recipient;
        recipient = &outcome->recipient;
    }
    event->recipient =
        (struct text){recipient->address, recipient->address_length};
    event->recipient_domain =
        (struct text){recipient->domain, recipient->domain_length};
    if (!text_is(sent_to, recipient->address)) {
        event->original_recipient = sent_to;
    }
    if (strcmp(outcome->final.address, recipient->address) != 0) {
        event->final_recipient = text_known(outcome->final.address);
    }
    return true;
}

/* ---- handed on ---------------------------------------------------------- */

/* 127.0.0.0/8, ::1 as Postfix and Sendmail write it. */
static bool is_loopback(struct text ip)
{
    return (ip.length > 4 && memcmp(ip.bytes, "127.", 4) == 0) ||
           text_is(ip, "::1") || text_is(ip, "0:0:0:0:0:0:0:1");
}

static bool is_of_queue_id(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z');
}

/*
 * To an MTA or a filter on this host, from where it came to our MTA again:
 * "2.0.0 Ok: queued as 5D0A61103C", "6ALNqKSu003383 Message accepted for
 * delivery", and nixie has seen that message come in. What becomes of it is
 * told under its new id.
 */
static bool is_handed_on(const struct maillog_sources *sources,
                         const struct maillog_record *record,
                         const struct maillog_outcome *outcome)
{
    struct text reply = record->reply;
    size_t begin = 0;

    if (!is_loopback(record->relay_ip)) {
        return false;
    }
    for (size_t i = 0; i <= reply.length; i++) {
        if (i < reply.length && is_of_queue_id(reply.bytes[i])) {
            continue;
        }
        if (i - begin > 5 &&
            maillog_messages_seen(sources->messages,
                                  (struct text){reply.bytes + begin, i - begin},
                                  outcome->event.recipient)) {
            return true;
        }
        begin = i + 1;
    }
    return false;
}

/* ---- what is known of the message --------------------------------------- */

static void take_message(struct maillog_outcome *outcome)
{
    const struct maillog_message *message = &outcome->message;
    struct event *event = &outcome->event;

    event->sender = message->sender;
    event->message_id = message->message_id;
    event->envelope_id = message->envelope_id;
    event->trace_nonce = message->trace_nonce;
    event->auth_user = message->auth_user;
    event->client_ip = message->client_ip;
    event->client_name = message->client_name;
    event->scope = message->scope;
    event->size = message->size;
}

static void take_attempt(struct maillog_outcome *outcome, int64_t at_us,
                         int64_t delay_s)
{
    const struct maillog_message *message = &outcome->message;
    struct event *event = &outcome->event;
    int64_t first_us =
        message->first_attempt_us > 0 ? message->first_attempt_us : at_us;

    event->attempt = message->attempts + 1;
    if (delay_s >= 0) {
        event->queue_seconds = delay_s;
    } else if (message->arrival_us > 0 && message->arrival_us <= at_us) {
        event->queue_seconds = (at_us - message->arrival_us) / 1000000;
    }
    clock_format(first_us, outcome->first_at);
    event->first_attempt_at = text_of(outcome->first_at);
}

static void take_horizon(const struct maillog_sources *sources,
                         struct maillog_outcome *outcome)
{
    const struct maillog_message *message = &outcome->message;
    struct event *event = &outcome->event;
    int64_t at_us = event->timestamp_us;
    struct maillog_attempt attempt = {
        .attempt = event->attempt,
        .at_us = at_us,
        .arrival_us = event->queue_seconds != EVENT_UNKNOWN
                          ? at_us - event->queue_seconds * 1000000
                          : message->arrival_us,
        .first_us =
            message->first_attempt_us > 0 ? message->first_attempt_us : at_us,
        .null_sender = message->has_sender && message->sender.length == 0,
    };
    struct maillog_horizon horizon;

    maillog_schedule_look(sources->schedule, &attempt, &horizon);
    event->attempts_left = horizon.attempts_left;
    if (horizon.next_us > 0) {
        clock_format(horizon.next_us, outcome->next_at);
        event->next_attempt_at = text_of(outcome->next_at);
    }
    clock_format(horizon.expires_us, outcome->expires_at);
    event->expires_at = text_of(outcome->expires_at);
    event->estimated = 1;
}

/* ---- what was said ------------------------------------------------------ */

static const char *stage_name(enum bounce_stage stage)
{
    return stage == BOUNCE_STAGE_UNKNOWN ? NULL : bounce_stage_name(stage);
}

static void take_reply(const struct maillog_record *record,
                       struct maillog_outcome *outcome)
{
    struct event *event = &outcome->event;
    struct smtp_reply reply;

    smtp_reply_parse(record->reply, &reply);
    if (record->remote && reply.code >= 200) {
        event->reply_code = reply.code;
    }
    if (enhanced_status_is_valid(record->enhanced_status)) {
        event->enhanced_status = record->enhanced_status;
    }
    if (record->reply.length > 0) {
        event->diagnostic = record->reply;
    }
    event->smtp_stage = text_of(stage_name(record->stage));
    if (!record->local) { /* else it is the name of a program */
        event->remote_mta = record->relay;
        event->remote_ip = record->relay_ip;
    }
}

/*
 * Only verdicts from downstream about mail that we saw come in, and that
 * somebody sent: a bounce of our own has no sender, and anyone can cause it.
 */
static bool is_believed(const struct maillog_sources *sources,
                        const struct maillog_record *record,
                        const struct maillog_outcome *outcome)
{
    const struct maillog_message *message = &outcome->message;
    bool ours = sources->settings->maillog_trust == TRUST_ALL || message->seen;

    return ours && !is_on_this_host(record) &&
           !(message->has_sender && message->sender.length == 0) &&
           !is_internal(sources->settings, record);
}

static bool is_of_name(char byte)
{
    return is_of_queue_id(byte) || byte == '-' || byte == '.' || byte == '_';
}

/*
 * Whether what our MTA itself says names the domain of who was tried, and not
 * an exchanger or a relay: "Name service error for name=x.example type=MX:
 * Host not found", "Host unknown (Name server: x.example: host not found)"
 */
static bool is_named(const struct maillog_record *record,
                     const struct maillog_outcome *outcome)
{
    const char *domain = outcome->final.domain;
    size_t length = outcome->final.domain_length;
    struct text reply = record->reply;

    if (record->remote || length == 0) {
        return false;
    }
    for (size_t i = 0; i + length <= reply.length; i++) {
        /* the domain is in lower case, and so is most of what is not it */
        if (((reply.bytes[i] ^ domain[0]) & ~0x20) == 0 &&
            strncasecmp(reply.bytes + i, domain, length) == 0 &&
            (i == 0 || !is_of_name(reply.bytes[i - 1])) &&
            (i + length == reply.length ||
             !is_of_name(reply.bytes[i + length]))) {
            return true;
        }
    }
    return record->sendmail && record->relay.bytes != NULL &&
           is_same(record->relay, domain, length);
}

static enum event_type type_of(const struct maillog_record *record)
{
    if (record->kind == MAILLOG_REJECTION) {
        return EVENT_REJECTION;
    }
    switch (record->status) {
    case MAILLOG_SENT:
        return EVENT_DELIVERY;
    case MAILLOG_DEFERRED:
        return EVENT_DELAY;
    case MAILLOG_BOUNCED:
        break;
    }
    return EVENT_BOUNCE;
}

static void begin(struct maillog_outcome *outcome, enum event_type type,
                  const struct maillog_record *record)
{
    event_init(&outcome->event, type, record->timestamp_us);
    outcome->event.origin = text_of("maillog");
    outcome->event.queue_id = record->queue_id;
    outcome->facts = (struct outcome_facts){.believed = false};
    outcome->message.seen = false; /* the rest is found, or of no use */
}

static bool is_taken(const struct settings *settings,
                     const struct maillog_record *record)
{
    switch (settings->maillog_rejections) {
    case REJECTIONS_NONE:
        return false;
    case REJECTIONS_SENDMAIL:
        return record->sendmail;
    case REJECTIONS_ALL:
        break;
    }
    return true;
}

/* By the text that is our default, where no session can tell. */
static bool is_our_reply(struct text reply)
{
    static const char words[] = "Recipient suppressed: ";

    return reply.length > 0 &&
           memmem(reply.bytes, reply.length, words, sizeof words - 1) != NULL &&
           reply.bytes[reply.length - 1] == ']';
}

static bool make_rejection(const struct maillog_sources *sources,
                           const struct maillog_record *record,
                           struct text recipient,
                           struct maillog_outcome *outcome)
{
    struct event *event = &outcome->event;

    if (!is_taken(sources->settings, record) ||
        (record->filtered && is_our_reply(record->reply)) ||
        !take_recipient(sources, record, recipient, outcome) ||
        maillog_messages_refused(sources->messages, event)) {
        return false;
    }
    take_reply(record, outcome);
    if (event->reply_code == EVENT_UNKNOWN) {
        struct smtp_reply reply;

        smtp_reply_parse(record->reply, &reply);
        event->reply_code = reply.code >= 400 ? reply.code : EVENT_UNKNOWN;
    }
    event->remote_mta = (struct text){NULL, 0};
    event->remote_ip = (struct text){NULL, 0};
    event->client_ip = record->client_ip;
    event->client_name = record->client_name;
    if (record->has_sender) {
        event->sender = record->sender;
    }
    event->decided_by = text_of("mta");
    return true;
}

static bool is_program(const struct maillog_record *record, const char *end)
{
    const size_t length = strlen(end);

    return record->program.length > length &&
           memcmp(record->program.bytes + record->program.length - length, end,
                  length) == 0;
}

/* Postfix's discard(8) says "sent" of what nobody gets. */
static bool is_discarded(const struct maillog_record *record)
{
    return is_program(record, "/discard");
}

/*
 * What we refused at the end of a message of sendmail(1) is told already, when
 * cleanup(8) returns it to its sender.
 */
static bool is_our_refusal(const struct maillog_record *record)
{
    static const char words[] = " recipients suppressed [";

    return !record->remote && is_program(record, "/cleanup") &&
           record->reply.length > 0 &&
           memmem(record->reply.bytes, record->reply.length, words,
                  sizeof words - 1) != NULL;
}

/* The MSP hands on to our MTA, which tells of whom it refuses. */
static bool is_told_by_our_mta(const struct maillog_record *record)
{
    static const char msp[] = "sm-msp";

    return record->sendmail && record->status == MAILLOG_BOUNCED &&
           record->remote && is_loopback(record->relay_ip) &&
           record->program.length >= sizeof msp - 1 &&
           memcmp(record->program.bytes, msp, sizeof msp - 1) == 0;
}

/*
 * "forwarded as 5D0A61103C": its outcome is told under that id, by whoever
 * follows the log then: that is written down. False: it is no mail that nixie
 * saw come in.
 */
static bool make_forwarded(const struct maillog_sources *sources,
                           const struct maillog_record *record,
                           struct text recipient,
                           struct maillog_outcome *outcome)
{
    static const char words[] = "forwarded as ";
    struct event *event = &outcome->event;
    struct text id = record->reply;

    if (id.length < sizeof words - 1 ||
        !take_recipient(sources, record, recipient, outcome)) {
        return false;
    }
    id.bytes += sizeof words - 1;
    id.length -= sizeof words - 1;
    for (size_t i = 0; i < id.length; i++) {
        if (!is_of_queue_id(id.bytes[i])) {
            id.length = i;
        }
    }
    event->type = EVENT_MARK;
    event->origin = text_known("");
    event->recipient_domain = text_known("");
    event->original_recipient = text_known("");
    event->final_recipient = text_known("");
    event->forwarded_as = id;
    return maillog_messages_forward(sources->messages, record->queue_id,
                                    record->timestamp_us, event->recipient, id);
}

bool maillog_outcome_make(const struct maillog_sources *sources,
                          const struct maillog_record *record,
                          struct text recipient,
                          struct maillog_outcome *outcome)
{
    struct event *event = &outcome->event;

    begin(outcome, type_of(record), record);
    if (record->kind == MAILLOG_REJECTION) {
        return make_rejection(sources, record, recipient, outcome);
    }
    if (record->forwarded) {
        return make_forwarded(sources, record, recipient, outcome);
    }
    if (is_discarded(record) || is_our_refusal(record) ||
        is_told_by_our_mta(record) || record->queue_id.bytes == NULL ||
        (record->status == MAILLOG_SENT &&
         is_internal(sources->settings, record)) ||
        !take_recipient(sources, record, recipient, outcome) ||
        (record->status == MAILLOG_SENT &&
         is_handed_on(sources, record, outcome))) {
        return false;
    }
    maillog_messages_find(sources->messages, record->queue_id,
                          record->timestamp_us, event->recipient,
                          event->final_recipient, &outcome->message);
    take_message(outcome);
    take_reply(record, outcome);
    take_attempt(outcome, record->timestamp_us, record->delay_s);
    if (event->type == EVENT_DELAY) {
        take_horizon(sources, outcome);
    }
    if (event->type != EVENT_DELIVERY) {
        event->decided_by = text_of(record->remote ? "remote" : "mta");
    }
    outcome->facts = (struct outcome_facts){
        .reply = record->reply,
        .stage = record->stage,
        .believed = is_believed(sources, record, outcome),
        .destination = record->destination,
        .named = record->destination && is_named(record, outcome),
    };
    return true;
}

/* ---- given up ----------------------------------------------------------- */

bool maillog_outcome_expire(const struct maillog_sources *sources,
                            const struct maillog_record *record, size_t *at,
                            struct maillog_outcome *outcome)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    struct event *event = &outcome->event;
    struct maillog_message *message = &outcome->message;
    char address[MAILLOG_RECIPIENT_SIZE];

    begin(outcome, EVENT_EXPIRATION, record);
    do {
        if (!maillog_messages_waiting(sources->messages, record->queue_id,
                                      record->timestamp_us, at, address,
                                      message)) {
            return false;
        }
    } while (mailbox_parse(text_of(address), &as_it_is, &outcome->recipient) !=
             MAILBOX_OK);
    event->recipient = text_known(outcome->recipient.address);
    event->recipient_domain = text_known(outcome->recipient.domain);
    event->final_recipient = message->final;
    take_message(outcome);
    take_attempt(outcome, record->timestamp_us, record->delay_s);
    event->attempt = message->attempts; /* no new one: the last was it */
    event->attempts_left = 0;
    if (message->last_reply_code > 0) {
        event->reply_code = message->last_reply_code;
    }
    event->enhanced_status = message->last_enhanced_status;
    event->diagnostic = message->last_diagnostic;
    event->decided_by = text_of("mta");
    outcome->facts = (struct outcome_facts){
        .reply = message->last_diagnostic,
        .believed =
            (sources->settings->maillog_trust == TRUST_ALL || message->seen) &&
            message->sender.length > 0,
    };
    return true;
}
