#include "transaction.h"

#include "clock.h"
#include "smtp_reply.h"
#include "trace.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PARAMETER_MAX 1024

struct text transaction_bare_path(struct text path)
{
    size_t start = 0;
    size_t depth = 1; /* Postfix takes <Ann <ann@example.org>> */
    bool quoted = false;

    while (start < path.length &&
           (path.bytes[start] == ' ' || path.bytes[start] == '\t')) {
        start++;
    }
    path.bytes += start;
    path.length -= start;
    if (path.length == 0 || path.bytes[0] != '<') {
        return path;
    }
    for (size_t i = 1; i < path.length; i++) {
        if (quoted && path.bytes[i] == '\\') {
            i++;
        } else if (path.bytes[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && path.bytes[i] == '<') {
            depth++;
        } else if (!quoted && path.bytes[i] == '>' && --depth == 0) {
            return (struct text){path.bytes + 1, i - 1};
        }
    }
    return (struct text){path.bytes + 1, path.length - 1};
}

static char *copy(struct text text)
{
    size_t length = text.length < TRANSACTION_ADDRESS_MAX
                        ? text.length
                        : TRANSACTION_ADDRESS_MAX;
    char *string = malloc(length + 1);

    if (string != NULL) {
        (void)text_copy(text, string, length + 1);
    }
    return string;
}

bool transaction_begin(struct transaction *transaction, const char *session_id,
                       struct text path)
{
    struct text sender = transaction_bare_path(path);

    transaction_end(transaction);
    transaction->number++;
    (void)snprintf(transaction->id, sizeof transaction->id, "%.20s-%u",
                   session_id, transaction->number);
    transaction->sender = copy(sender);
    transaction->null_sender = sender.length == 0;
    transaction->declared_size = EVENT_UNKNOWN;
    transaction->open = transaction->sender != NULL;
    return transaction->open;
}

static void take_size(struct transaction *transaction, const char *value)
{
    char *end;
    long long size;

    errno = 0;
    size = strtoll(value, &end, 10);
    if (errno == 0 && end != value && *end == '\0' && size >= 0) {
        transaction->declared_size = size;
    }
}

static void keep_parameter(struct transaction *transaction, const char *text)
{
    const size_t used = strlen(transaction->parameters);

    if (strlen(text) + 1 > TRANSACTION_PARAMETERS_MAX - used) {
        transaction->parameters_unkept = true;
        return;
    }
    (void)stpcpy(stpcpy(transaction->parameters + used, " "), text);
}

void transaction_parameter(struct transaction *transaction, const char *text)
{
    if (strlen(text) > PARAMETER_MAX) {
        transaction->parameters_unkept = true;
        return;
    }
    if (strncasecmp(text, "SIZE=", 5) == 0) {
        take_size(transaction, text + 5);
    } else if (strncasecmp(text, "ENVID=", 6) == 0) {
        transaction->has_envelope_id = true;
        transaction->envelope_id_length =
            smtp_decode_xtext(text_of(text + 6), transaction->envelope_id,
                              sizeof transaction->envelope_id);
    } else {
        keep_parameter(transaction, text);
    }
}

void transaction_set_queue_id(struct transaction *transaction,
                              const char *queue_id)
{
    size_t length = queue_id == NULL ? 0 : strlen(queue_id);

    if (length == 0 || length > TRANSACTION_QUEUE_ID_MAX) {
        return;
    }
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)queue_id[i])) {
            return;
        }
    }
    memcpy(transaction->queue_id, queue_id, length + 1);
}

static void take_message_id(struct transaction *transaction, const char *value)
{
    struct text id = text_of(value);

    while (id.length > 0 && strchr(" \t\r\n<", id.bytes[0]) != NULL) {
        id.bytes++;
        id.length--;
    }
    while (id.length > 0 &&
           strchr(" \t\r\n>", id.bytes[id.length - 1]) != NULL) {
        id.length--;
    }
    transaction->message_id_length =
        text_copy(id, transaction->message_id, sizeof transaction->message_id);
}

static bool begins(const char *value, const char *word)
{
    return strncasecmp(value + strspn(value, " \t\r\n"), word, strlen(word)) ==
           0;
}

/* Its length dismisses most. */
static bool is_named(struct text name, const char *other)
{
    return name.length == strlen(other) &&
           strncasecmp(name.bytes, other, name.length) == 0;
}

static bool tells_bulk(struct text name, const char *value)
{
    if (is_named(name, "List-Id") || is_named(name, "List-Post") ||
        is_named(name, "List-Unsubscribe")) {
        return true;
    }
    if (is_named(name, "Precedence")) {
        return begins(value, "bulk") || begins(value, "list") ||
               begins(value, "junk");
    }
    return is_named(name, "Auto-Submitted") && !begins(value, "no");
}

void transaction_header(struct transaction *transaction, const char *name,
                        const char *value)
{
    const struct text given = text_of(name);

    /* name: value CRLF */
    transaction->seen_size += (int64_t)(given.length + strlen(value) + 4);
    if (transaction->message_id_length == 0 && is_named(given, "Message-ID")) {
        take_message_id(transaction, value);
    }
    transaction->bulk = transaction->bulk || tells_bulk(given, value);
    transaction->trace_headers += trace_is_header(given);
}

void transaction_set_message_id(struct transaction *transaction,
                                const char *message_id)
{
    if (transaction->message_id_length == 0 && message_id != NULL) {
        take_message_id(transaction, message_id);
    }
}

static void free_recipient(struct transaction_recipient *recipient)
{
    free(recipient->address);
    free(recipient->seen);
    free(recipient->suppressed);
}

/* The three texts in one piece of memory. */
static void copy_names(struct transaction_recipient *recipient,
                       const struct mailbox *mailbox, struct text original)
{
    const struct text address = text_of(mailbox ? mailbox->address : "");
    const struct text domain = text_of(mailbox ? mailbox->domain : "");
    char *at;

    if (original.length > TRANSACTION_ADDRESS_MAX) {
        original.length = TRANSACTION_ADDRESS_MAX;
    }
    at = malloc(address.length + domain.length + original.length + 3);
    recipient->address = at;
    recipient->domain = NULL;
    recipient->original = NULL;
    if (at == NULL) {
        return;
    }
    at += text_copy(address, at, address.length + 1) + 1;
    recipient->domain = at;
    at += text_copy(domain, at, domain.length + 1) + 1;
    recipient->original = at;
    (void)text_copy(original, at, original.length + 1);
}

static bool fill_recipient(struct transaction_recipient *recipient,
                           const struct mailbox *mailbox, struct text path,
                           const struct transaction_suppressed *suppressed)
{
    copy_names(recipient, mailbox, transaction_bare_path(path));
    recipient->seen = NULL;
    recipient->suppressed = NULL;
    if (suppressed != NULL) {
        recipient->seen = strndup(path.bytes, path.length);
        recipient->suppressed = malloc(sizeof *suppressed);
        if (recipient->suppressed != NULL) {
            *recipient->suppressed = *suppressed;
        }
    }
    return recipient->address != NULL &&
           (suppressed == NULL ||
            (recipient->suppressed != NULL && recipient->seen != NULL));
}

static bool make_room(struct transaction *transaction)
{
    size_t room = transaction->recipient_room;
    struct transaction_recipient *grown;

    if (transaction->recipient_count < room) {
        return true;
    }
    room = room == 0 ? 4 : room * 2;
    grown = realloc(transaction->recipients, room * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    transaction->recipients = grown;
    transaction->recipient_room = room;
    return true;
}

bool transaction_add(struct transaction *transaction,
                     const struct mailbox *mailbox, struct text path,
                     const struct transaction_suppressed *suppressed)
{
    size_t *unkept = suppressed != NULL ? &transaction->suppressed_unkept
                                        : &transaction->accepted_unkept;
    size_t alike = suppressed != NULL ? transaction->suppressed_count
                                      : transaction->recipient_count -
                                            transaction->suppressed_count;
    struct transaction_recipient *recipient;

    if (alike >= TRANSACTION_RECIPIENTS || !make_room(transaction)) {
        (*unkept)++;
        return false;
    }
    recipient = &transaction->recipients[transaction->recipient_count];
    if (!fill_recipient(recipient, mailbox, path, suppressed)) {
        free_recipient(recipient);
        (*unkept)++;
        return false;
    }
    transaction->recipient_count++;
    if (suppressed != NULL) {
        transaction->suppressed_count++;
    }
    return true;
}

void transaction_describe(const struct transaction *transaction,
                          struct event *event)
{
    event->transaction_id = text_of(transaction->id);
    event->sender = text_of(transaction->sender);
    event->queue_id = text_known(transaction->queue_id);
    if (transaction->message_id_length > 0) {
        event->message_id = (struct text){transaction->message_id,
                                          transaction->message_id_length};
    }
    if (transaction->envelope_id_length > 0) {
        event->envelope_id = (struct text){transaction->envelope_id,
                                           transaction->envelope_id_length};
    }
    event->size = transaction->declared_size;
}

void transaction_describe_recipient(
    const struct transaction_recipient *recipient, struct event *event)
{
    event->recipient = text_known(recipient->address);
    event->recipient_domain = text_known(recipient->domain);
    if (strcmp(recipient->original, recipient->address) != 0) {
        event->original_recipient = text_known(recipient->original);
    }
}

void transaction_describe_entry(const struct suppression_entry *entry,
                                char expires_at[32], struct event *event)
{
    event->suppression_pattern =
        (struct text){entry->pattern.text, entry->pattern.length};
    event->suppression_scope = text_known(entry->scope);
    event->suppression_reason = text_known(entry->reason);
    event->suppression_origin = text_known(entry->origin);
    event->suppression_note = text_known(entry->note);
    event->suppression_by = text_known(entry->by);
    event->suppression_added_at = text_known(entry->added_at);
    event->suppression_mode =
        text_of(strcmp(entry->mode, "observe") == 0 ? "observe" : "enforce");
    if (entry->expires_at_us > 0) {
        char timestamp[CLOCK_TIMESTAMP_SIZE];

        clock_format(entry->expires_at_us, timestamp);
        memcpy(expires_at, timestamp, sizeof timestamp);
        event->suppression_expires_at = text_of(expires_at);
    }
}

void transaction_end(struct transaction *transaction)
{
    unsigned number = transaction->number;

    for (size_t i = 0; i < transaction->recipient_count; i++) {
        free_recipient(&transaction->recipients[i]);
    }
    free(transaction->recipients);
    free(transaction->sender);
    memset(transaction, 0, sizeof *transaction);
    transaction->number = number;
}
