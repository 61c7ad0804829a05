#include "maillog_message_table.h"

#include <stdlib.h>
#include <string.h>

#define ID_MAX    64 /* bytes of a queue id */
#define OVERHEAD  16 /* malloc(3)'s, of a piece of memory */
#define SLOTS_MIN 1024
#define LINEAR    16 /* so many recipients are found by going through them */

/* ---- memory -------------------------------------------------------------- */

static uint64_t hash_of(struct text text)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t hash = odd ^ text.length;
    const char *at = text.bytes;
    size_t left = text.length;
    uint64_t word = 0;

    for (; left >= sizeof word; at += sizeof word, left -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * odd;
        hash ^= hash >> 29;
    }
    word = 0;
    if (left > 0) {
        memcpy(&word, at, left);
    }
    hash = (hash ^ word) * odd;
    hash ^= hash >> 32;
    hash *= odd;
    return hash ^ hash >> 29;
}

void *maillog_table_take(struct maillog_messages *messages, size_t size)
{
    void *bytes = malloc(size);

    messages->bytes += bytes == NULL ? 0 : size + OVERHEAD;
    return bytes;
}

static void give_bytes(struct maillog_messages *messages, void *bytes,
                       size_t size)
{
    if (bytes != NULL) {
        messages->bytes -= size + OVERHEAD;
        free(bytes);
    }
}

static void give_string(struct maillog_messages *messages, char **string)
{
    if (*string != NULL) {
        give_bytes(messages, *string, strlen(*string) + 1);
        *string = NULL;
    }
}

/* Up to limit bytes, and up to a NUL; no memory is like unknown. */
void maillog_table_set(struct maillog_messages *messages, char **target,
                       struct text text, size_t limit)
{
    size_t length;

    if (text.bytes == NULL) {
        return;
    }
    give_string(messages, target);
    length = strnlen(text.bytes, text.length < limit ? text.length : limit);
    *target = maillog_table_take(messages, length + 1);
    if (*target != NULL) {
        memcpy(*target, text.bytes, length);
        (*target)[length] = '\0';
    }
}

/* ---- the table ----------------------------------------------------------- */

struct maillog_messages *maillog_messages_new(void)
{
    struct maillog_messages *messages = calloc(1, sizeof *messages);

    if (messages == NULL) {
        return NULL;
    }
    messages->slots = calloc(SLOTS_MIN, sizeof(struct message *));
    messages->slot_count = SLOTS_MIN;
    messages->limit = MAILLOG_BYTES;
    messages->refused = maillog_refused_new();
    if (messages->slots == NULL || messages->refused == NULL ||
        pthread_mutex_init(&messages->lock, NULL) != 0) {
        maillog_refused_free(messages->refused);
        free(messages->slots);
        free(messages);
        return NULL;
    }
    return messages;
}

static struct message **slot_of(struct maillog_messages *messages,
                                uint64_t hash)
{
    return &messages->slots[hash & (messages->slot_count - 1)];
}

/* More slots, if there is memory for them; else chains grow. */
static void widen(struct maillog_messages *messages)
{
    size_t count = 2 * messages->slot_count;
    struct message **before = messages->slots;
    struct message **slots = calloc(count, sizeof(struct message *));

    if (slots == NULL) {
        return;
    }
    messages->slots = slots;
    messages->slot_count = count;
    for (size_t i = 0; i < count / 2; i++) {
        while (before[i] != NULL) {
            struct message *message = before[i];
            struct message **slot = slot_of(messages, message->hash);

            before[i] = message->next;
            message->next = *slot;
            *slot = message;
        }
    }
    free(before);
}

static struct list *list_of(struct maillog_messages *messages,
                            const struct message *message)
{
    return message->removed ? &messages->gone : &messages->here;
}

void maillog_table_take_out(struct maillog_messages *messages,
                            struct message *message)
{
    struct list *list = list_of(messages, message);

    if (message->older != NULL) {
        message->older->newer = message->newer;
    } else {
        list->oldest = message->newer;
    }
    if (message->newer != NULL) {
        message->newer->older = message->older;
    } else {
        list->newest = message->older;
    }
    list->count--;
}

void maillog_table_put_newest(struct maillog_messages *messages,
                              struct message *message)
{
    struct list *list = list_of(messages, message);

    message->older = list->newest;
    message->newer = NULL;
    if (list->newest != NULL) {
        list->newest->newer = message;
    } else {
        list->oldest = message;
    }
    list->newest = message;
    list->count++;
}

void maillog_table_give_failure(struct maillog_messages *messages,
                                struct recipient *recipient)
{
    if (recipient->waits != NULL) {
        give_bytes(messages, recipient->waits,
                   sizeof *recipient->waits + recipient->waits->length);
        recipient->waits = NULL;
    }
}

static size_t slots_size(const struct message *message)
{
    return 2 * (size_t)message->room * sizeof(uint32_t);
}

/* What is known of it; not its id, its place in the table, and its flags. */
void maillog_table_empty(struct maillog_messages *messages,
                         struct message *message)
{
    for (size_t i = 0; i < TEXTS; i++) {
        give_string(messages, &message->texts[i]);
    }
    for (size_t i = 0; i < message->count; i++) {
        maillog_table_give_failure(messages, &message->recipients[i]);
        give_string(messages, &message->recipients[i].address);
    }
    messages->recipients -= message->count;
    give_bytes(messages, message->slots, slots_size(message));
    give_bytes(messages, message->recipients,
               message->room * sizeof(struct recipient));
}

/* As if nothing were known; what it had is somebody else's, or freed. */
void maillog_table_begin(struct message *message)
{
    memset(message->texts, 0, sizeof message->texts);
    message->recipients = NULL;
    message->slots = NULL;
    message->count = 0;
    message->room = 0;
    message->size = EVENT_UNKNOWN;
    message->arrival_us = 0;
    message->received = false;
    message->delay_told = false;
    message->bulk = false;
}

void maillog_table_drop_before(struct maillog_messages *messages,
                               struct message *message)
{
    if (message->before != NULL) {
        maillog_table_empty(messages, message->before);
        give_bytes(messages, message->before, sizeof *message->before);
        message->before = NULL;
    }
}

void maillog_table_drop(struct maillog_messages *messages,
                        struct message *message)
{
    struct message **link = slot_of(messages, message->hash);

    while (*link != message) {
        link = &(*link)->next;
    }
    *link = message->next;
    maillog_table_take_out(messages, message);
    maillog_table_drop_before(messages, message);
    maillog_table_empty(messages, message);
    give_bytes(messages, message, sizeof *message + message->id_length);
}

void maillog_messages_free(struct maillog_messages *messages)
{
    if (messages == NULL) {
        return;
    }
    while (messages->here.oldest != NULL) {
        maillog_table_drop(messages, messages->here.oldest);
    }
    while (messages->gone.oldest != NULL) {
        maillog_table_drop(messages, messages->gone.oldest);
    }
    free(messages->slots);
    maillog_refused_free(messages->refused);
    (void)pthread_mutex_destroy(&messages->lock);
    free(messages);
}

static bool is_full(const struct maillog_messages *messages)
{
    return messages->here.count + messages->gone.count > MAILLOG_MESSAGES ||
           messages->recipients > MAILLOG_RECIPIENTS ||
           messages->bytes > messages->limit;
}

/* What was touched longest ago makes room; kept stays. */
static void make_room(struct maillog_messages *messages,
                      const struct message *kept)
{
    while (is_full(messages) && messages->gone.oldest != NULL &&
           messages->gone.oldest != kept) {
        maillog_table_drop(messages, messages->gone.oldest);
    }
    while (is_full(messages) && messages->here.oldest != NULL &&
           messages->here.oldest != kept) {
        messages->replaced++;
        maillog_table_drop(messages, messages->here.oldest);
    }
}

void maillog_messages_limit(struct maillog_messages *messages, size_t bytes)
{
    (void)pthread_mutex_lock(&messages->lock);
    messages->limit = bytes;
    make_room(messages, NULL);
    (void)pthread_mutex_unlock(&messages->lock);
}

struct message *maillog_table_find(struct maillog_messages *messages,
                                   struct text queue_id)
{
    uint64_t hash = hash_of(queue_id);
    struct message *message;

    if (queue_id.bytes == NULL) {
        return NULL;
    }
    for (message = *slot_of(messages, hash);
         message != NULL &&
         (message->hash != hash || message->id_length != queue_id.length ||
          memcmp(message->id, queue_id.bytes, queue_id.length) != 0);
         message = message->next) {
    }
    return message;
}

/* The message, made if need be, as the newest; NULL: no id, no memory. */
struct message *maillog_table_touch(struct maillog_messages *messages,
                                    struct text queue_id)
{
    struct message *message = maillog_table_find(messages, queue_id);
    struct message **slot;

    if (message != NULL) {
        maillog_table_take_out(messages, message);
        maillog_table_put_newest(messages, message);
        return message;
    }
    if (queue_id.bytes == NULL || queue_id.length == 0 ||
        queue_id.length > ID_MAX) {
        return NULL;
    }
    message = maillog_table_take(messages, sizeof *message + queue_id.length);
    if (message == NULL) {
        return NULL;
    }
    memset(message, 0, sizeof *message);
    maillog_table_begin(message);
    message->hash = hash_of(queue_id);
    message->id_length = (unsigned char)queue_id.length;
    memcpy(message->id, queue_id.bytes, queue_id.length);
    if (messages->here.count + messages->gone.count > messages->slot_count) {
        widen(messages);
    }
    slot = slot_of(messages, message->hash);
    message->next = *slot;
    *slot = message;
    maillog_table_put_newest(messages, message);
    make_room(messages, message);
    return message;
}

/* ---- recipients ---------------------------------------------------------- */

static void put_slot(struct message *message, uint32_t index)
{
    size_t mask = 2 * (size_t)message->room - 1;
    size_t at = message->recipients[index].hash & mask;

    while (message->slots[at] != 0) {
        at = (at + 1) & mask;
    }
    message->slots[at] = index + 1;
}

/* room is a power of 2, so that half of the slots are free. */
static bool widen_recipients(struct maillog_messages *messages,
                             struct message *message)
{
    uint32_t room = message->room == 0 ? 1 : 2 * message->room;
    struct recipient *recipients =
        maillog_table_take(messages, room * sizeof *recipients);
    struct recipient *before = message->recipients;

    if (recipients == NULL) {
        return false;
    }
    if (message->count > 0) {
        memcpy(recipients, before, message->count * sizeof *recipients);
    }
    give_bytes(messages, message->slots, slots_size(message));
    give_bytes(messages, before, message->room * sizeof *before);
    message->recipients = recipients;
    message->room = room;
    message->slots = NULL;
    if (room > LINEAR) {
        message->slots = maillog_table_take(messages, slots_size(message));
    }
    if (message->slots != NULL) {
        memset(message->slots, 0, slots_size(message));
        for (uint32_t i = 0; i < message->count; i++) {
            put_slot(message, i);
        }
    }
    return true;
}

struct recipient *maillog_table_find_recipient(const struct message *message,
                                               struct text address)
{
    uint64_t hash = hash_of(address);

    if (address.length == 0) {
        return NULL;
    }
    if (message->slots != NULL) {
        size_t mask = 2 * (size_t)message->room - 1;

        for (size_t at = hash & mask; message->slots[at] != 0;
             at = (at + 1) & mask) {
            struct recipient *recipient =
                &message->recipients[message->slots[at] - 1];

            if (recipient->hash == hash) {
                return recipient;
            }
        }
        return NULL;
    }
    for (size_t i = 0; i < message->count; i++) {
        if (message->recipients[i].hash == hash) {
            return &message->recipients[i];
        }
    }
    return NULL;
}

struct recipient *
maillog_table_touch_recipient(struct maillog_messages *messages,
                              struct message *message, struct text address)
{
    struct recipient *recipient =
        maillog_table_find_recipient(message, address);

    if (recipient != NULL || address.length == 0 ||
        (message->count == message->room &&
         !widen_recipients(messages, message))) {
        return recipient;
    }
    recipient = &message->recipients[message->count];
    memset(recipient, 0, sizeof *recipient);
    recipient->hash = hash_of(address);
    if (message->slots != NULL) {
        put_slot(message, message->count);
    }
    message->count++;
    messages->recipients++;
    make_room(messages, message);
    return recipient;
}
