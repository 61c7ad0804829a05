#include "maillog_message_table.h"

#include "mailbox.h"

#include <stdlib.h>
#include <string.h>

#define ID_MAX    64 /* bytes of a queue id */
#define SLOTS_MIN 2048
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

    messages->bytes += bytes == NULL ? 0 : size + MAILLOG_TABLE_OVERHEAD;
    return bytes;
}

static void give_bytes(struct maillog_messages *messages, void *bytes,
                       size_t size)
{
    if (bytes != NULL) {
        messages->bytes -= size + MAILLOG_TABLE_OVERHEAD;
        free(bytes);
    }
}

static void give_address(struct maillog_messages *messages,
                         struct recipient *recipient)
{
    if (recipient->address != NULL) {
        give_bytes(messages, recipient->address,
                   strlen(recipient->address) + 1);
        recipient->address = NULL;
    }
}

void maillog_table_set_address(struct maillog_messages *messages,
                               struct recipient *recipient, struct text address)
{
    size_t length;

    if (address.bytes == NULL) {
        return;
    }
    give_address(messages, recipient);
    length = strnlen(address.bytes, address.length < MAILLOG_RECIPIENT_SIZE
                                        ? address.length
                                        : MAILLOG_RECIPIENT_SIZE - 1);
    recipient->address = maillog_table_take(messages, length + 1);
    if (recipient->address != NULL) {
        (void)text_copy((struct text){address.bytes, length},
                        recipient->address, length + 1);
    }
}

/* ---- the table ----------------------------------------------------------- */

static bool make_slots(struct slots *slots, size_t count)
{
    slots->tags = calloc(count, sizeof *slots->tags);
    slots->messages = malloc(count * sizeof(struct message *));
    slots->count = count;
    if (slots->tags != NULL && slots->messages != NULL) {
        return true;
    }
    free(slots->tags);
    free(slots->messages);
    return false;
}

static void free_slots(struct slots *slots)
{
    free(slots->tags);
    free(slots->messages);
}

struct maillog_messages *maillog_messages_new(void)
{
    struct maillog_messages *messages = calloc(1, sizeof *messages);

    if (messages == NULL) {
        return NULL;
    }
    messages->limit = MAILLOG_BYTES;
    messages->refused = maillog_refused_new();
    if (messages->refused == NULL || !make_slots(&messages->slots, SLOTS_MIN)) {
        maillog_refused_free(messages->refused);
        free(messages);
        return NULL;
    }
    if (pthread_mutex_init(&messages->lock, NULL) != 0) {
        maillog_refused_free(messages->refused);
        free_slots(&messages->slots);
        free(messages);
        return NULL;
    }
    return messages;
}

static uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)hash == 0 ? 1 : (uint32_t)hash;
}

static void put_message(struct slots *slots, struct message *message)
{
    uint32_t tag = tag_of(message->hash);
    size_t at = tag & (slots->count - 1);

    while (slots->tags[at] != 0) {
        at = (at + 1) & (slots->count - 1);
    }
    slots->tags[at] = tag;
    slots->messages[at] = message;
}

/* What stands behind it, and could be in its place, moves up. */
static void remove_message(struct slots *slots, const struct message *message)
{
    size_t mask = slots->count - 1;
    size_t gap = tag_of(message->hash) & mask;

    while (slots->messages[gap] != message || slots->tags[gap] == 0) {
        gap = (gap + 1) & mask;
    }
    for (size_t at = (gap + 1) & mask; slots->tags[at] != 0;
         at = (at + 1) & mask) {
        size_t wanted = slots->tags[at] & mask;

        if (((at - wanted) & mask) >= ((at - gap) & mask)) {
            slots->tags[gap] = slots->tags[at];
            slots->messages[gap] = slots->messages[at];
            gap = at;
        }
    }
    slots->tags[gap] = 0;
}

/* Room for one more; false: there is no memory, and no free slot. */
static bool widen(struct maillog_messages *messages)
{
    struct slots *slots = &messages->slots;
    size_t used = messages->here.count + messages->gone.count;
    struct slots wider;

    if (2 * (used + 1) <= slots->count) {
        return true;
    }
    if (!make_slots(&wider, 2 * slots->count)) {
        return used + 1 < slots->count; /* the way to a message gets longer */
    }
    for (size_t i = 0; i < slots->count; i++) {
        if (slots->tags[i] != 0) {
            put_message(&wider, slots->messages[i]);
        }
    }
    free_slots(slots);
    *slots = wider;
    return true;
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

/* Its slot counts, too, and the memory that its texts share. */
static size_t message_size(size_t id_length)
{
    return sizeof(struct message) + sizeof(struct message *) +
           MAILLOG_TABLE_OVERHEAD + id_length;
}

/* What is known of it; not its id, its place in the table, and its flags. */
void maillog_table_empty(struct maillog_messages *messages,
                         struct message *message)
{
    maillog_table_forget_texts(messages, message);
    for (size_t i = 0; i < message->count; i++) {
        maillog_table_give_failure(messages, &message->recipients[i]);
        give_address(messages, &message->recipients[i]);
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
    message->text_bytes = NULL;
    message->text_used = 0;
    message->text_room = 0;
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
    remove_message(&messages->slots, message);
    messages->last = messages->last == message ? NULL : messages->last;
    maillog_table_take_out(messages, message);
    maillog_table_drop_before(messages, message);
    maillog_table_empty(messages, message);
    give_bytes(messages, message, message_size(message->id_length));
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
    free_slots(&messages->slots);
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

/* Memory is slow: what will be asked for is told early. */
static void expect_slot(const struct slots *slots, uint64_t hash)
{
    size_t at = tag_of(hash) & (slots->count - 1);

    __builtin_prefetch(&slots->tags[at]);
    __builtin_prefetch(&slots->messages[at]);
}

/* What malloc(3) keeps of it stands before it. */
static void expect_free(const void *bytes)
{
    if (bytes != NULL) {
        __builtin_prefetch((const char *)bytes - MAILLOG_TABLE_OVERHEAD);
    }
}

/* What will be dropped next has not been looked at for long. */
static void expect_drop(const struct maillog_messages *messages,
                        const struct message *next)
{
    if (next != NULL) {
        const char *after = (const char *)next->newer;

        expect_slot(&messages->slots, next->hash);
        expect_free(next->text_bytes);
        expect_free(next->recipients);
        if (after != NULL) {
            __builtin_prefetch(after);
            __builtin_prefetch(after + 64);
            __builtin_prefetch(after + 128);
        }
    }
}

/* Or what holds it, being of its id. */
static bool is_kept(const struct message *message, const struct message *kept)
{
    return kept != NULL && (message == kept || message->before == kept);
}

/* What was touched longest ago makes room; kept stays. */
static void make_room(struct maillog_messages *messages,
                      const struct message *kept)
{
    while (is_full(messages) && messages->gone.oldest != NULL &&
           !is_kept(messages->gone.oldest, kept)) {
        maillog_table_drop(messages, messages->gone.oldest);
    }
    while (is_full(messages) && messages->here.oldest != NULL &&
           !is_kept(messages->here.oldest, kept)) {
        messages->replaced++;
        maillog_table_drop(messages, messages->here.oldest);
        expect_drop(messages, messages->here.oldest);
    }
}

void maillog_messages_limit(struct maillog_messages *messages, size_t bytes)
{
    (void)pthread_mutex_lock(&messages->lock);
    messages->limit = bytes;
    make_room(messages, NULL);
    (void)pthread_mutex_unlock(&messages->lock);
}

static bool has_id(const struct message *message, struct text queue_id)
{
    return message->id_length == queue_id.length &&
           memcmp(message->id, queue_id.bytes, queue_id.length) == 0;
}

static struct message *find_hashed(struct maillog_messages *messages,
                                   struct text queue_id, uint64_t hash)
{
    const struct slots *slots = &messages->slots;
    uint32_t tag = tag_of(hash);
    size_t mask = slots->count - 1;

    for (size_t at = tag & mask; slots->tags[at] != 0; at = (at + 1) & mask) {
        if (slots->tags[at] == tag && has_id(slots->messages[at], queue_id)) {
            struct message *found = slots->messages[at];

            /* it will be touched, and leaves those beside it */
            __builtin_prefetch(found->older);
            __builtin_prefetch(found->newer);
            messages->last = found;
            return found;
        }
    }
    return NULL;
}

struct message *maillog_table_find(struct maillog_messages *messages,
                                   struct text queue_id)
{
    if (queue_id.bytes == NULL) {
        return NULL;
    }
    if (messages->last != NULL && has_id(messages->last, queue_id)) {
        return messages->last;
    }
    return find_hashed(messages, queue_id, hash_of(queue_id));
}

static struct message *add(struct maillog_messages *messages,
                           struct text queue_id, uint64_t hash)
{
    struct message *message;

    if (queue_id.length == 0 || queue_id.length > ID_MAX || !widen(messages)) {
        return NULL;
    }
    message = maillog_table_take(messages, message_size(queue_id.length));
    if (message == NULL) {
        return NULL;
    }
    memset(message, 0, sizeof *message);
    maillog_table_begin(message);
    message->hash = hash;
    message->id_length = (unsigned char)queue_id.length;
    memcpy(message->id, queue_id.bytes, queue_id.length);
    put_message(&messages->slots, message);
    maillog_table_put_newest(messages, message);
    make_room(messages, message);
    messages->last = message;
    return message;
}

/* The message, made if need be, as the newest; NULL: no id, no memory. */
struct message *maillog_table_touch(struct maillog_messages *messages,
                                    struct text queue_id)
{
    struct message *message = messages->last;

    if (queue_id.bytes == NULL) {
        return NULL;
    }
    if (message == NULL || !has_id(message, queue_id)) {
        uint64_t hash = hash_of(queue_id);

        message = find_hashed(messages, queue_id, hash);
        if (message == NULL) {
            return add(messages, queue_id, hash);
        }
    }
    if (list_of(messages, message)->newest != message) {
        maillog_table_take_out(messages, message);
        maillog_table_put_newest(messages, message);
    }
    return message;
}

/* ---- names --------------------------------------------------------------- */

void maillog_messages_pseudonyms(struct maillog_messages *messages,
                                 const struct pseudonym_key *pseudonyms)
{
    messages->pseudonyms = pseudonyms;
}

struct text maillog_table_name(const struct maillog_messages *messages,
                               struct text address,
                               const struct mailbox_rules *rules,
                               char name[PSEUDONYM_SIZE])
{
    struct mailbox mailbox;

    if (messages->pseudonyms == NULL || address.length == 0) {
        return address;
    }
    (void)mailbox_parse(address, rules, &mailbox);
    return pseudonym_of(messages->pseudonyms, &mailbox, name) ? text_of(name)
                                                              : address;
}

static uint64_t hash_of_recipient(const struct maillog_messages *messages,
                                  struct text address)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    char name[PSEUDONYM_SIZE];

    return hash_of(maillog_table_name(messages, address, &as_it_is, name));
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

struct recipient *
maillog_table_find_recipient(const struct maillog_messages *messages,
                             const struct message *message, struct text address)
{
    uint64_t hash;

    if (address.length == 0 || message->count == 0) {
        return NULL;
    }
    hash = hash_of_recipient(messages, address);
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
        maillog_table_find_recipient(messages, message, address);

    if (recipient != NULL || address.length == 0 ||
        (message->count == message->room &&
         !widen_recipients(messages, message))) {
        return recipient;
    }
    recipient = &message->recipients[message->count];
    memset(recipient, 0, sizeof *recipient);
    recipient->hash = hash_of_recipient(messages, address);
    if (message->slots != NULL) {
        put_slot(message, message->count);
    }
    message->count++;
    messages->recipients++;
    make_room(messages, message);
    return recipient;
}
