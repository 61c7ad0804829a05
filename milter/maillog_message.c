#include "maillog_message.h"

#include "clock.h"

#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What most messages do not have, and what is long, stands apart. */
struct failure {
    int reply_code;
    char enhanced_status[ENHANCED_STATUS_SIZE];
    char *diagnostic; /* NULL: none, or there was no room */
};

struct recipient {
    uint64_t hash; /* of the normal form */
    bool seen;     /* in a session of ours */
    bool waiting;  /* the last attempt failed for a while */
    int64_t attempts, first_us, last_us;
    char *address; /* of who waits; NULL else */
    struct failure failure;
};

struct message {
    struct message *older, *newer; /* by when it was touched */
    struct message *before; /* another one of this id that may have lines in
                               the log yet; NULL; is in no list */
    char *queue_id;         /* the key, too */
    char *sender, *message_id, *auth_user, *client_ip, *client_name,
        *envelope_id; /* NULL: unknown */
    int64_t size, arrival_us;
    bool received;   /* a session told of it */
    bool removed;    /* what comes now by this id is another message */
    bool delay_told; /* its sender */
    struct recipient *recipients;
    size_t count, room;
};

struct maillog_messages {
    pthread_mutex_t lock; /* guards all below */
    GHashTable *by_id;    /* queue id -> message */
    struct message *oldest, *newest;
    size_t recipients;
    size_t text_bytes; /* of diagnostics */
    uint64_t replaced;
};

/* ---- the table ---- */

struct maillog_messages *maillog_messages_new(void)
{
    struct maillog_messages *messages = calloc(1, sizeof *messages);

    if (messages == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&messages->lock, NULL) != 0) {
        free(messages);
        return NULL;
    }
    messages->by_id = g_hash_table_new(g_str_hash, g_str_equal);
    return messages;
}

static void forget_failure(struct maillog_messages *messages,
                           struct recipient *recipient)
{
    if (recipient->failure.diagnostic != NULL) {
        messages->text_bytes -= strlen(recipient->failure.diagnostic);
    }
    free(recipient->failure.diagnostic);
    memset(&recipient->failure, 0, sizeof recipient->failure);
    free(recipient->address);
    recipient->address = NULL;
}

/* All but its queue id and its place in the table. */
static void empty(struct maillog_messages *messages, struct message *message)
{
    char **const texts[] = {&message->sender,      &message->message_id,
                            &message->auth_user,   &message->client_ip,
                            &message->client_name, &message->envelope_id};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
    for (size_t i = 0; i < message->count; i++) {
        forget_failure(messages, &message->recipients[i]);
    }
    messages->recipients -= message->count;
    free(message->recipients);
    message->recipients = NULL;
    message->count = 0;
    message->room = 0;
    message->size = EVENT_UNKNOWN;
    message->arrival_us = 0;
    message->received = false;
    message->removed = false;
    message->delay_told = false;
}

static void take_out(struct maillog_messages *messages, struct message *message)
{
    if (message->older != NULL) {
        message->older->newer = message->newer;
    } else {
        messages->oldest = message->newer;
    }
    if (message->newer != NULL) {
        message->newer->older = message->older;
    } else {
        messages->newest = message->older;
    }
}

static void put_newest(struct maillog_messages *messages,
                       struct message *message)
{
    message->older = messages->newest;
    message->newer = NULL;
    if (messages->newest != NULL) {
        messages->newest->newer = message;
    } else {
        messages->oldest = message;
    }
    messages->newest = message;
}

static void drop_before(struct maillog_messages *messages,
                        struct message *message)
{
    if (message->before != NULL) {
        empty(messages, message->before);
        free(message->before);
        message->before = NULL;
    }
}

static void drop(struct maillog_messages *messages, struct message *message)
{
    take_out(messages, message);
    drop_before(messages, message);
    (void)g_hash_table_remove(messages->by_id, message->queue_id);
    empty(messages, message);
    free(message->queue_id);
    free(message);
}

void maillog_messages_free(struct maillog_messages *messages)
{
    if (messages == NULL) {
        return;
    }
    while (messages->oldest != NULL) {
        drop(messages, messages->oldest);
    }
    g_hash_table_destroy(messages->by_id);
    (void)pthread_mutex_destroy(&messages->lock);
    free(messages);
}

/* What was touched longest ago makes room; kept stays. */
static void make_room(struct maillog_messages *messages,
                      const struct message *kept)
{
    while (messages->oldest != NULL && messages->oldest != kept &&
           (g_hash_table_size(messages->by_id) > MAILLOG_MESSAGES ||
            messages->recipients > MAILLOG_RECIPIENTS)) {
        messages->replaced++;
        drop(messages, messages->oldest);
    }
}

static char *copy(struct text text, size_t limit)
{
    size_t length = text.length < limit ? text.length : limit;
    char *string;

    if (text.bytes == NULL) {
        return NULL;
    }
    string = malloc(length + 1);
    if (string != NULL) {
        memcpy(string, text.bytes, length);
        string[length] = '\0';
    }
    return string;
}

static struct message *find(struct maillog_messages *messages,
                            struct text queue_id)
{
    char id[65];

    if (queue_id.bytes == NULL || queue_id.length == 0 ||
        queue_id.length >= sizeof id) {
        return NULL;
    }
    (void)text_copy(queue_id, id, sizeof id);
    return g_hash_table_lookup(messages->by_id, id);
}

/* The message, made if need be, as the newest; NULL: no id, no memory. */
static struct message *touch(struct maillog_messages *messages,
                             struct text queue_id)
{
    struct message *message = find(messages, queue_id);

    if (message != NULL) {
        take_out(messages, message);
        put_newest(messages, message);
        return message;
    }
    if (queue_id.bytes == NULL || queue_id.length == 0 ||
        queue_id.length > 64) {
        return NULL;
    }
    message = calloc(1, sizeof *message);
    if (message == NULL) {
        return NULL;
    }
    message->queue_id = copy(queue_id, 64);
    if (message->queue_id == NULL) {
        free(message);
        return NULL;
    }
    message->size = EVENT_UNKNOWN;
    (void)g_hash_table_insert(messages->by_id, message->queue_id, message);
    put_newest(messages, message);
    make_room(messages, message);
    return message;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(struct text text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < text.length; i++) {
        hash ^= (unsigned char)text.bytes[i];
        hash *= UINT64_C(1099511628211);
    }
    return hash;
}

static struct recipient *find_recipient(const struct message *message,
                                        struct text address)
{
    uint64_t hash = hash_of(address);

    if (address.bytes == NULL || address.length == 0) {
        return NULL;
    }
    for (size_t i = 0; i < message->count; i++) {
        if (message->recipients[i].hash == hash) {
            return &message->recipients[i];
        }
    }
    return NULL;
}

static struct recipient *touch_recipient(struct maillog_messages *messages,
                                         struct message *message,
                                         struct text address)
{
    struct recipient *recipient = find_recipient(message, address);

    if (recipient != NULL || address.bytes == NULL || address.length == 0) {
        return recipient;
    }
    if (message->count == message->room) {
        size_t room = message->room == 0 ? 1 : 2 * message->room;
        struct recipient *recipients =
            reallocarray(message->recipients, room, sizeof *recipients);

        if (recipients == NULL) {
            return NULL;
        }
        message->recipients = recipients;
        message->room = room;
    }
    recipient = &message->recipients[message->count++];
    memset(recipient, 0, sizeof *recipient);
    recipient->hash = hash_of(address);
    messages->recipients++;
    make_room(messages, message);
    return recipient;
}

static void set(char **target, struct text text, size_t limit)
{
    if (text.bytes != NULL) {
        free(*target);
        *target = copy(text, limit);
    }
}

/*
 * The id is used again: from now on it names another message, but the log may
 * lag behind, and lines that are older than that belong to the one before.
 */
static void begin_another(struct maillog_messages *messages,
                          struct message *message)
{
    struct message *before = message->removed ? NULL : malloc(sizeof *before);

    drop_before(messages, message);
    if (before != NULL) {
        *before = *message;
        before->before = NULL;
        message->before = before;
        message->sender = NULL;
        message->message_id = NULL;
        message->auth_user = NULL;
        message->client_ip = NULL;
        message->client_name = NULL;
        message->envelope_id = NULL;
        message->recipients = NULL;
        message->count = 0;
    }
    empty(messages, message);
}

/* Stamps of a log may have whole seconds only. */
static bool is_older(int64_t at_us, const struct message *message)
{
    return at_us / 1000000 < message->arrival_us / 1000000;
}

/* Which of the messages of its id a line of that time is about, or NULL. */
static struct message *at_time(struct message *message, int64_t at_us)
{
    if (message != NULL && is_older(at_us, message)) {
        return message->before;
    }
    return message;
}

/* ---- what is told ---- */

/* Read back from the log while sessions tell of younger ones already. */
static bool is_past(const struct message *message, const struct event *event)
{
    return event->type == EVENT_RECEPTION && message->received &&
           event->timestamp_us < message->arrival_us &&
           event->message_id.bytes != NULL && message->message_id != NULL &&
           !text_is(event->message_id, message->message_id);
}

static bool is_another(const struct message *message, const struct event *event)
{
    return event->type == EVENT_RECEPTION &&
           (message->removed ||
            (message->received && message->message_id != NULL &&
             event->message_id.bytes != NULL &&
             !text_is(event->message_id, message->message_id)));
}

static void learn_message(struct message *message, const struct event *event)
{
    set(&message->sender, event->sender, 320);
    set(&message->message_id, event->message_id, 512);
    set(&message->auth_user, event->auth_user, 255);
    set(&message->client_ip, event->client_ip, 64);
    set(&message->client_name, event->client_name, 255);
    set(&message->envelope_id, event->envelope_id, 100);
    if (event->size != EVENT_UNKNOWN) {
        message->size = event->size;
    }
    if (event->type == EVENT_RECEPTION && !message->received) {
        message->received = true;
        message->arrival_us = event->timestamp_us;
    }
}

static void learn_failure(struct maillog_messages *messages,
                          struct recipient *recipient,
                          const struct event *event)
{
    struct failure *failure = &recipient->failure;

    forget_failure(messages, recipient);
    recipient->address = copy(event->recipient, MAILLOG_RECIPIENT_SIZE - 1);
    recipient->waiting = recipient->address != NULL;
    if (event->reply_code != EVENT_UNKNOWN) {
        failure->reply_code = (int)event->reply_code;
    }
    (void)text_copy(event->enhanced_status, failure->enhanced_status,
                    sizeof failure->enhanced_status);
    if (event->diagnostic.bytes != NULL &&
        messages->text_bytes < MAILLOG_TEXT_BYTES) {
        failure->diagnostic = copy(event->diagnostic, EVENT_DIAGNOSTIC_MAX);
        messages->text_bytes +=
            failure->diagnostic == NULL ? 0 : strlen(failure->diagnostic);
    }
}

static void learn_attempt(struct maillog_messages *messages,
                          struct recipient *recipient,
                          const struct event *event)
{
    int64_t first_us;

    if (event->attempt != EVENT_UNKNOWN) {
        recipient->attempts = event->attempt;
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
    if (event->type == EVENT_DELAY) {
        learn_failure(messages, recipient, event);
    } else {
        forget_failure(messages, recipient);
        recipient->waiting = false;
    }
}

static bool is_of_the_log(const struct event *event)
{
    return event->type == EVENT_DELIVERY || event->type == EVENT_DELAY ||
           event->type == EVENT_BOUNCE || event->type == EVENT_EXPIRATION;
}

void maillog_messages_learn(struct maillog_messages *messages,
                            const struct event *event)
{
    struct message *message;
    struct recipient *recipient;

    if (event->type != EVENT_RECEPTION && !is_of_the_log(event)) {
        return;
    }
    (void)pthread_mutex_lock(&messages->lock);
    message = touch(messages, event->queue_id);
    if (message != NULL && is_past(message, event)) {
        message = NULL;
    } else if (message != NULL && is_another(message, event)) {
        begin_another(messages, message);
    } else if (event->type != EVENT_RECEPTION) {
        message = at_time(message, event->timestamp_us);
    }
    if (message != NULL) {
        learn_message(message, event);
        recipient = touch_recipient(messages, message, event->recipient);
        if (recipient != NULL && event->type == EVENT_RECEPTION) {
            recipient->seen = true;
        } else if (recipient != NULL) {
            learn_attempt(messages, recipient, event);
        }
    }
    (void)pthread_mutex_unlock(&messages->lock);
}

/* What a session has told is exact; a log line only adds to it. */
static void add(char **target, struct text text, size_t limit)
{
    if (*target == NULL) {
        set(target, text, limit);
    }
}

static void note(struct message *message, const struct maillog_record *record)
{
    if (record->kind == MAILLOG_SUBMISSION && message->arrival_us == 0) {
        message->arrival_us = record->timestamp_us;
    }
    if (record->has_sender) {
        add(&message->sender, record->sender, 320);
    }
    add(&message->message_id, record->message_id, 512);
    add(&message->auth_user, record->auth_user, 255);
    add(&message->client_ip, record->client_ip, 64);
    add(&message->client_name, record->client_name, 255);
    if (message->size == EVENT_UNKNOWN && record->size >= 0) {
        message->size = record->size;
    }
}

void maillog_messages_note(struct maillog_messages *messages,
                           const struct maillog_record *record)
{
    struct message *message;

    (void)pthread_mutex_lock(&messages->lock);
    if (record->kind == MAILLOG_REMOVED) {
        message =
            at_time(find(messages, record->queue_id), record->timestamp_us);
        if (message != NULL) {
            message->removed = true;
        }
    } else {
        message = touch(messages, record->queue_id);
        if (message != NULL && message->removed) {
            begin_another(messages, message);
        }
        if (message != NULL) {
            note(message, record);
        }
    }
    (void)pthread_mutex_unlock(&messages->lock);
}

/* ---- what is asked ---- */

static void give(const char *string, char *buffer, size_t size)
{
    (void)text_copy(text_of(string), buffer, size);
}

static void describe(const struct message *message,
                     struct maillog_message *found)
{
    found->known = true;
    found->size = message->size;
    found->arrival_us = message->arrival_us;
    found->delay_told = message->delay_told;
    found->has_sender = message->sender != NULL;
    give(message->sender, found->sender, sizeof found->sender);
    give(message->message_id, found->message_id, sizeof found->message_id);
    give(message->auth_user, found->auth_user, sizeof found->auth_user);
    give(message->client_ip, found->client_ip, sizeof found->client_ip);
    give(message->client_name, found->client_name, sizeof found->client_name);
    give(message->envelope_id, found->envelope_id, sizeof found->envelope_id);
}

static void describe_recipient(const struct recipient *recipient,
                               struct maillog_message *found)
{
    found->attempts = recipient->attempts;
    found->first_attempt_us = recipient->first_us;
    found->last_attempt_us = recipient->last_us;
    found->last_reply_code = recipient->failure.reply_code;
    give(recipient->failure.diagnostic, found->last_diagnostic,
         sizeof found->last_diagnostic);
    give(recipient->failure.enhanced_status, found->last_enhanced_status,
         sizeof found->last_enhanced_status);
}

static void begin(struct maillog_message *found)
{
    memset(found, 0, sizeof *found);
    found->size = EVENT_UNKNOWN;
}

void maillog_messages_find(struct maillog_messages *messages,
                           struct text queue_id, int64_t at_us,
                           struct text recipient, struct text final,
                           struct maillog_message *found)
{
    const struct message *message;

    begin(found);
    (void)pthread_mutex_lock(&messages->lock);
    message = at_time(find(messages, queue_id), at_us);
    if (message != NULL) {
        const struct recipient *known = find_recipient(message, recipient);
        const struct recipient *other = find_recipient(message, final);

        describe(message, found);
        if (known != NULL) {
            describe_recipient(known, found);
        }
        found->seen =
            (known != NULL && known->seen) || (other != NULL && other->seen);
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
    message = at_time(find(messages, queue_id), at_us);
    while (message != NULL && !any && *at < message->count) {
        const struct recipient *waiting = &message->recipients[(*at)++];

        if (waiting->waiting && waiting->address != NULL) {
            any = true;
            give(waiting->address, recipient, MAILLOG_RECIPIENT_SIZE);
            describe(message, found);
            describe_recipient(waiting, found);
            found->seen = waiting->seen;
        }
    }
    (void)pthread_mutex_unlock(&messages->lock);
    return any;
}

bool maillog_messages_tell(struct maillog_messages *messages,
                           struct text queue_id)
{
    struct message *message;
    bool first = false;

    (void)pthread_mutex_lock(&messages->lock);
    message = find(messages, queue_id);
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
    state->messages = g_hash_table_size(messages->by_id);
    state->recipients = messages->recipients;
    state->replaced = messages->replaced;
    (void)pthread_mutex_unlock(&messages->lock);
}
