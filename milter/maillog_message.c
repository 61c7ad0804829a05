#include "clock.h"
#include "mailbox.h"
#include "maillog_message_table.h"

#include <stddef.h>
#include <string.h>

#define GONE_MAX 1024

/* ---- which message ------------------------------------------------------- */

/*
 * The id is used again: from now on it names another message, but the log may
 * lag behind, and lines that are older than that belong to the one before.
 */
static void begin_another(struct maillog_messages *messages,
                          struct message *message)
{
    struct message *before =
        message->removed ? NULL : maillog_table_take(messages, sizeof *before);

    maillog_table_drop_before(messages, message);
    if (before != NULL) {
        memcpy(before, message, sizeof *before);
        before->before = NULL;
        message->before = before;
    } else {
        maillog_table_empty(messages, message);
    }
    maillog_table_begin(message);
    maillog_table_take_out(messages, message);
    message->removed = false;
    maillog_table_put_newest(messages, message);
}

/*
 * Stamps of a log may have whole seconds only, and come from time(2), whose
 * clock moves once a tick: it may be behind the one that events are stamped by.
 */
#define TICK_US 20000

static bool is_older(int64_t at_us, const struct message *message)
{
    return at_us / 1000000 < (message->arrival_us - TICK_US) / 1000000;
}

/* Which of the messages of its id a line of that time is about, or NULL. */
static struct message *at_time(struct message *message, int64_t at_us)
{
    if (message != NULL && is_older(at_us, message)) {
        return message->before;
    }
    return message;
}

static bool is_same(struct text one, struct text other)
{
    return one.length == other.length &&
           (one.length == 0 || memcmp(one.bytes, other.bytes, one.length) == 0);
}

static bool has_another_id(const struct message *message,
                           const struct event *event)
{
    struct text known = maillog_table_text(message, MESSAGE_ID);

    return message->received && known.bytes != NULL &&
           event->message_id.bytes != NULL &&
           !is_same(event->message_id, known);
}

/* Read back from the log while sessions tell of younger ones already. */
static bool is_past(const struct message *message, const struct event *event)
{
    return event->type == EVENT_RECEPTION &&
           event->timestamp_us < message->arrival_us &&
           has_another_id(message, event);
}

static bool is_another(const struct message *message, const struct event *event)
{
    return event->type == EVENT_RECEPTION &&
           (message->removed || has_another_id(message, event));
}

/* ---- what is told -------------------------------------------------------- */

static void learn_message(struct maillog_messages *messages,
                          struct message *message, const struct event *event)
{
    const struct text told[TEXTS] = {
        [SENDER] = event->sender,
        [MESSAGE_ID] = event->message_id,
        [AUTH_USER] = event->auth_user,
        [CLIENT_IP] = event->client_ip,
        [CLIENT_NAME] = event->client_name,
        [ENVELOPE_ID] = event->envelope_id,
        [SCOPE] = event->scope,
        [TRACE_NONCE] = event->trace_nonce,
    };

    for (unsigned i = 0; i < TEXTS; i++) {
        if (told[i].bytes != NULL &&
            (message->texts[i].at == 0 ||
             !is_same(told[i], maillog_table_text(message, i)))) {
            maillog_table_set(messages, message, i, told[i]);
        }
    }
    if (event->size != EVENT_UNKNOWN) {
        message->size = event->size;
    }
    message->delay_told = message->delay_told || event->delay_notice == 1;
    message->bulk = message->bulk || event->bulk == 1;
    if (event->type == EVENT_RECEPTION && !message->received) {
        message->received = true;
        message->arrival_us = event->timestamp_us;
    }
}

static void learn_reception(struct maillog_messages *messages,
                            struct recipient *recipient,
                            const struct event *event)
{
    struct text typed = event->original_recipient;

    recipient->seen = true;
    recipient->bare =
        typed.length > 0 && memchr(typed.bytes, '@', typed.length) == NULL;
    maillog_table_set_address(messages, recipient, event->recipient);
    if (recipient->bare) {
        (void)text_copy(event->recipient_domain, messages->local_domain,
                        sizeof messages->local_domain);
    }
}

/* Its last text is not kept when there is no room. */
static void learn_failure(struct maillog_messages *messages,
                          struct recipient *recipient,
                          const struct event *event)
{
    struct text diagnostic = event->diagnostic;
    size_t final_at = event->recipient.length + 1;
    size_t diagnostic_at = final_at + event->final_recipient.length + 1;
    struct failure *failure;

    if (diagnostic.length > EVENT_DIAGNOSTIC_MAX) {
        diagnostic.length = EVENT_DIAGNOSTIC_MAX;
    }
    failure = maillog_table_take(messages, sizeof *failure + diagnostic_at +
                                               diagnostic.length + 1);
    if (failure == NULL) {
        return;
    }
    failure->final_at = final_at;
    failure->diagnostic_at = diagnostic_at;
    failure->length = diagnostic_at + diagnostic.length + 1;
    failure->reply_code =
        event->reply_code == EVENT_UNKNOWN ? 0 : (int)event->reply_code;
    (void)text_copy(event->enhanced_status, failure->enhanced_status,
                    sizeof failure->enhanced_status);
    (void)text_copy(event->recipient, failure->bytes, final_at);
    (void)text_copy(event->final_recipient, failure->bytes + final_at,
                    diagnostic_at - final_at);
    (void)text_copy(diagnostic, failure->bytes + diagnostic_at,
                    diagnostic.length + 1);
    recipient->waits = failure;
}

static void learn_attempt(struct maillog_messages *messages,
                          struct recipient *recipient,
                          const struct event *event)
{
    int64_t first_us;

    if (event->attempt != EVENT_UNKNOWN) {
        recipient->attempts = (int)event->attempt;
    } else {
        recipient->attempts++;
    }
    recipient->last_us = event->timestamp_us;
    if (event->first_attempt_at.bytes != NULL &&
        clock_parse(event->first_attempt_at.bytes,
                    event->first_attempt_at.length, &first_us)) {
        recipient->first_us = first_us;
    } else if (recipient->first_us == 0) {
        recipient->first_us = event->timestamp_us;
    }
    maillog_table_give_failure(messages, recipient);
    if (event->type == EVENT_DELAY) {
        learn_failure(messages, recipient, event);
    }
}

static bool is_of_the_log(const struct event *event)
{
    return event->type == EVENT_DELIVERY || event->type == EVENT_DELAY ||
           event->type == EVENT_BOUNCE || event->type == EVENT_EXPIRATION;
}

/*
 * Attempts are of who is tried: members of an alias are tried each by itself.
 * Of who was not seen, and waits no more, there is nothing to keep.
 */
static void learn_outcome(struct maillog_messages *messages,
                          struct message *message, const struct event *event)
{
    struct text tried = event->final_recipient.length > 0
                            ? event->final_recipient
                            : event->recipient;
    struct recipient *recipient =
        event->type == EVENT_DELAY
            ? maillog_table_touch_recipient(messages, message, tried)
            : maillog_table_find_recipient(messages, message, tried);

    if (recipient != NULL) {
        learn_attempt(messages, recipient, event);
    }
}

/* By its names, which the log that is read back has as pseudonyms. */
struct refusal {
    struct event event;
    char recipient[PSEUDONYM_SIZE];
    char typed[PSEUDONYM_SIZE];
};

static const struct event *refusal_of(const struct maillog_messages *messages,
                                      const struct event *event,
                                      struct refusal *refusal)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};

    if (messages->pseudonyms == NULL) {
        return event;
    }
    refusal->event = *event;
    refusal->event.recipient = maillog_table_name(
        messages, event->recipient, &as_it_is, refusal->recipient);
    refusal->event.original_recipient = maillog_table_name(
        messages, event->original_recipient, NULL, refusal->typed);
    return &refusal->event;
}

static void learn_refusal(struct maillog_messages *messages,
                          const struct event *event)
{
    struct refusal refusal;

    event = refusal_of(messages, event, &refusal);
    (void)pthread_mutex_lock(&messages->lock);
    maillog_refused_add(messages->refused, event);
    (void)pthread_mutex_unlock(&messages->lock);
}

bool maillog_messages_refused(struct maillog_messages *messages,
                              const struct event *event)
{
    struct refusal refusal;
    bool refused;

    event = refusal_of(messages, event, &refusal);
    (void)pthread_mutex_lock(&messages->lock);
    refused = maillog_refused_has(messages->refused, event);
    (void)pthread_mutex_unlock(&messages->lock);
    return refused;
}

void maillog_messages_learn(struct maillog_messages *messages,
                            const struct event *event)
{
    struct message *message;
    struct recipient *recipient;

    if (event->type == EVENT_REJECTION || event->type == EVENT_SUPPRESSED) {
        learn_refusal(messages, event);
        return;
    }
    if (event->type != EVENT_RECEPTION && !is_of_the_log(event)) {
        return;
    }
    (void)pthread_mutex_lock(&messages->lock);
    message = maillog_table_touch(messages, event->queue_id);
    if (message != NULL && is_past(message, event)) {
        message = NULL;
    } else if (message != NULL && is_another(message, event)) {
        begin_another(messages, message);
    } else if (event->type != EVENT_RECEPTION) {
        message = at_time(message, event->timestamp_us);
    }
    if (message != NULL) {
        learn_message(messages, message, event);
        if (event->type != EVENT_RECEPTION) {
            learn_outcome(messages, message, event);
        } else {
            recipient = maillog_table_touch_recipient(messages, message,
                                                      event->recipient);
            if (recipient != NULL) {
                learn_reception(messages, recipient, event);
            }
        }
    }
    (void)pthread_mutex_unlock(&messages->lock);
}

/* What a session has told is exact; a log line only adds to it. */
static void note(struct maillog_messages *messages, struct message *message,
                 const struct maillog_record *record)
{
    const struct text told[TEXTS] = {
        [SENDER] = record->has_sender && record->sender.bytes == NULL
                       ? text_of("")
                       : record->sender,
        [MESSAGE_ID] = record->message_id,
        [AUTH_USER] = record->auth_user,
        [CLIENT_IP] = record->client_ip,
        [CLIENT_NAME] = record->client_name,
    };

    if (record->kind == MAILLOG_SUBMISSION && message->arrival_us == 0) {
        message->arrival_us = record->timestamp_us;
    }
    for (unsigned i = 0; i < TEXTS; i++) {
        if (message->texts[i].at == 0 && (i != SENDER || record->has_sender)) {
            maillog_table_set(messages, message, i, told[i]);
        }
    }
    if (message->size == EVENT_UNKNOWN && record->size >= 0) {
        message->size = record->size;
    }
}

static void note_removed(struct maillog_messages *messages,
                         struct message *message)
{
    maillog_table_take_out(messages, message);
    message->removed = true;
    maillog_table_put_newest(messages, message);
    if (messages->gone.count > GONE_MAX) {
        maillog_table_drop(messages, messages->gone.oldest);
    }
}

void maillog_messages_note(struct maillog_messages *messages,
                           const struct maillog_record *record)
{
    struct message *message;

    (void)pthread_mutex_lock(&messages->lock);
    if (record->kind == MAILLOG_REMOVED) {
        message = maillog_table_find(messages, record->queue_id);
        if (message != NULL && !is_older(record->timestamp_us, message)) {
            note_removed(messages, message);
        }
    } else {
        message = maillog_table_touch(messages, record->queue_id);
        if (message != NULL && message->removed) {
            begin_another(messages, message);
        }
        if (message != NULL) {
            note(messages, message, record);
        }
    }
    (void)pthread_mutex_unlock(&messages->lock);
}

/* ---- what is asked ------------------------------------------------------- */

static void begin(struct maillog_message *found)
{
    memset(found, 0, offsetof(struct maillog_message, bytes));
    found->size = EVENT_UNKNOWN;
}

/* Into what is found, with a NUL; what is empty is as unknown. */
static struct text give(struct maillog_message *found, size_t *used,
                        struct text text)
{
    char *at = found->bytes + *used;

    if (text.length == 0) {
        return (struct text){NULL, 0};
    }
    *used += text_copy(text, at, text.length + 1) + 1;
    return (struct text){at, text.length};
}

/* All at once: they lie together. */
static size_t describe_texts(const struct message *message,
                             struct maillog_message *found)
{
    struct text *const texts[TEXTS] = {
        [SENDER] = &found->sender,
        [MESSAGE_ID] = &found->message_id,
        [AUTH_USER] = &found->auth_user,
        [CLIENT_IP] = &found->client_ip,
        [CLIENT_NAME] = &found->client_name,
        [ENVELOPE_ID] = &found->envelope_id,
        [SCOPE] = &found->scope,
        [TRACE_NONCE] = &found->trace_nonce,
    };

    if (message->text_bytes == NULL) {
        return 0;
    }
    memcpy(found->bytes, message->text_bytes, message->text_used);
    for (unsigned i = 0; i < TEXTS; i++) {
        struct stored_text stored = message->texts[i];

        if (stored.length > 0 || (i == SENDER && stored.at > 0)) {
            *texts[i] = (struct text){found->bytes + stored.at, stored.length};
        }
    }
    return message->text_used;
}

/* Returns how many of its bytes are in use. */
static size_t describe(const struct message *message,
                       struct maillog_message *found)
{
    found->known = true;
    found->size = message->size;
    found->arrival_us = message->arrival_us;
    found->delay_told = message->delay_told;
    found->bulk = message->bulk;
    found->has_sender = message->texts[SENDER].at != 0;
    return describe_texts(message, found);
}

static void describe_recipient(const struct recipient *recipient, size_t used,
                               struct maillog_message *found)
{
    const struct failure *failure = recipient->waits;

    found->attempts = recipient->attempts;
    found->first_attempt_us = recipient->first_us;
    found->last_attempt_us = recipient->last_us;
    if (failure != NULL) {
        found->last_reply_code = failure->reply_code;
        found->final =
            give(found, &used, text_of(failure->bytes + failure->final_at));
        found->last_diagnostic = give(
            found, &used, text_of(failure->bytes + failure->diagnostic_at));
        found->last_enhanced_status =
            give(found, &used, text_of(failure->enhanced_status));
    }
}

static bool is_seen(const struct maillog_messages *messages,
                    const struct message *message, struct text address)
{
    const struct recipient *recipient =
        maillog_table_find_recipient(messages, message, address);

    return recipient != NULL && recipient->seen;
}

/*
 * What the log told of it so far is what the first one has, too. The recipient
 * comes last: room for it may be that of the first one.
 */
static void copy(struct maillog_messages *messages, const struct message *from,
                 struct message *to, struct text recipient)
{
    struct recipient *forwarded;

    for (unsigned i = 0; i < TEXTS; i++) {
        if (to->texts[i].at == 0) {
            maillog_table_set(messages, to, i, maillog_table_text(from, i));
        }
    }
    to->bulk = to->bulk || from->bulk;
    to->delay_told = to->delay_told || from->delay_told;
    forwarded = maillog_table_touch_recipient(messages, to, recipient);
    if (forwarded != NULL) {
        forwarded->seen = true;
    }
}

bool maillog_messages_forward(struct maillog_messages *messages,
                              struct text queue_id, int64_t at_us,
                              struct text recipient, struct text new_queue_id)
{
    struct message *from;
    struct message *to;
    bool goes_on;

    (void)pthread_mutex_lock(&messages->lock);
    /* made first: room for it may be that of another */
    to = maillog_table_touch(messages, new_queue_id);
    from = at_time(maillog_table_find(messages, queue_id), at_us);
    goes_on = to != NULL && from != NULL && from != to && !to->received &&
              !to->removed && is_seen(messages, from, recipient);
    if (goes_on) {
        copy(messages, from, to, recipient);
    }
    (void)pthread_mutex_unlock(&messages->lock);
    return goes_on;
}

void maillog_messages_find(struct maillog_messages *messages,
                           struct text queue_id, int64_t at_us,
                           struct text recipient, struct text final,
                           struct maillog_message *found)
{
    const struct message *message;

    begin(found);
    (void)pthread_mutex_lock(&messages->lock);
    message = at_time(maillog_table_find(messages, queue_id), at_us);
    if (message != NULL) {
        const struct recipient *tried = maillog_table_find_recipient(
            messages, message, final.length > 0 ? final : recipient);

        size_t used = describe(message, found);

        if (tried != NULL) {
            describe_recipient(tried, used, found);
        }
        found->seen =
            (tried != NULL && tried->seen) ||
            (final.length > 0 && is_seen(messages, message, recipient));
    }
    (void)pthread_mutex_unlock(&messages->lock);
}

bool maillog_messages_waiting(struct maillog_messages *messages,
                              struct text queue_id, int64_t at_us, size_t *at,
                              char recipient[MAILLOG_RECIPIENT_SIZE],
                              struct maillog_message *found)
{
    const struct message *message;
    bool any = false;

    begin(found);
    (void)pthread_mutex_lock(&messages->lock);
    message = at_time(maillog_table_find(messages, queue_id), at_us);
    while (message != NULL && !any && *at < message->count) {
        const struct recipient *waiting = &message->recipients[(*at)++];

        if (waiting->waits != NULL) {
            struct text sent_to = text_of(waiting->waits->bytes);

            any = true;
            (void)text_copy(sent_to, recipient, MAILLOG_RECIPIENT_SIZE);
            describe_recipient(waiting, describe(message, found), found);
            found->seen = waiting->seen || is_seen(messages, message, sent_to);
        }
    }
    (void)pthread_mutex_unlock(&messages->lock);
    return any;
}

/* "ann@its.domain", or as much of it as has room. */
static size_t with_domain(struct text local, const char *domain,
                          char address[MAILLOG_RECIPIENT_SIZE])
{
    size_t length = text_copy(local, address, MAILLOG_RECIPIENT_SIZE);

    if (length + 1 + strlen(domain) >= MAILLOG_RECIPIENT_SIZE) {
        return 0;
    }
    address[length++] = '@';
    return length + text_copy(text_of(domain), address + length,
                              MAILLOG_RECIPIENT_SIZE - length);
}

/* Whether an address, or its pseudonym, has that local part. */
static bool has_local(const struct maillog_messages *messages,
                      const char *address, struct text local)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    char named[MAILLOG_RECIPIENT_SIZE];
    char name[PSEUDONYM_SIZE];
    const char *at = strrchr(address, '@');
    struct text whole = {named, 0};

    if (at == NULL || messages->pseudonyms == NULL ||
        !pseudonym_is(text_of(address))) {
        return strncmp(address, local.bytes, local.length) == 0 &&
               address[local.length] == '@';
    }
    whole.length = with_domain(local, at + 1, named);
    return whole.length > 0 &&
           text_is(maillog_table_name(messages, whole, &as_it_is, name),
                   address);
}

/* One that was named without domain is meant before one that was not. */
static const struct recipient *
find_local(const struct maillog_messages *messages,
           const struct message *message, struct text local)
{
    const struct recipient *found = NULL;

    for (size_t i = 0; message != NULL && i < message->count; i++) {
        const struct recipient *recipient = &message->recipients[i];

        if (recipient->address != NULL &&
            (found == NULL || (recipient->bare && !found->bare)) &&
            has_local(messages, recipient->address, local)) {
            found = recipient;
        }
    }
    return found;
}

bool maillog_messages_complete(struct maillog_messages *messages,
                               struct text queue_id, int64_t at_us,
                               struct text local,
                               char recipient[MAILLOG_RECIPIENT_SIZE])
{
    const struct recipient *found;
    const char *domain = messages->local_domain;
    size_t length = 0;

    (void)pthread_mutex_lock(&messages->lock);
    found = find_local(messages,
                       at_time(maillog_table_find(messages, queue_id), at_us),
                       local);
    if (found != NULL) {
        domain = strrchr(found->address, '@') + 1;
    }
    if (domain[0] != '\0') {
        length = with_domain(local, domain, recipient);
    }
    (void)pthread_mutex_unlock(&messages->lock);
    return length > 0;
}

bool maillog_messages_seen(struct maillog_messages *messages,
                           struct text queue_id, struct text recipient)
{
    const struct message *message;
    bool seen;

    (void)pthread_mutex_lock(&messages->lock);
    message = maillog_table_find(messages, queue_id);
    seen = message != NULL && is_seen(messages, message, recipient);
    (void)pthread_mutex_unlock(&messages->lock);
    return seen;
}

bool maillog_messages_tell(struct maillog_messages *messages,
                           struct text queue_id)
{
    struct message *message;
    bool first = false;

    (void)pthread_mutex_lock(&messages->lock);
    message = maillog_table_find(messages, queue_id);
    if (message != NULL) {
        first = !message->delay_told;
        message->delay_told = true;
    }
    (void)pthread_mutex_unlock(&messages->lock);
    return first;
}

void maillog_messages_state(struct maillog_messages *messages,
                            struct maillog_messages_state *state)
{
    (void)pthread_mutex_lock(&messages->lock);
    state->messages = messages->here.count + messages->gone.count;
    state->recipients = messages->recipients;
    state->replaced = messages->replaced;
    (void)pthread_mutex_unlock(&messages->lock);
}
