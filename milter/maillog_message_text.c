#include "maillog_message_table.h"

#include <stdlib.h>
#include <string.h>

/* What the limits of all of them come to has room in 16 bits. */
static const uint16_t text_limits[TEXTS] = {
    [SENDER] = 320,   [MESSAGE_ID] = 512,  [AUTH_USER] = 255,
    [CLIENT_IP] = 64, [CLIENT_NAME] = 255, [ENVELOPE_ID] = 100,
    [SCOPE] = 64,     [TRACE_NONCE] = 12,
};

#define TEXTS_FIRST 96 /* bytes: most messages need no more */

/* They count as if each had memory of its own: it comes to about as much. */
static size_t text_cost(struct stored_text stored)
{
    return stored.at == 0 ? 0
                          : (size_t)stored.length + 1 + MAILLOG_TABLE_OVERHEAD;
}

static void forget_text(struct maillog_messages *messages,
                        struct message *message, enum message_text which)
{
    messages->bytes -= text_cost(message->texts[which]);
    message->texts[which] = (struct stored_text){0, 0};
}

void maillog_table_forget_texts(struct maillog_messages *messages,
                                struct message *message)
{
    for (unsigned i = 0; i < TEXTS; i++) {
        messages->bytes -= text_cost(message->texts[i]);
    }
    free(message->text_bytes);
}

/* Room for size bytes more, without those that are forgotten. */
static bool widen_texts(struct message *message, size_t size)
{
    size_t room = 1 + size;
    uint16_t used = 1; /* so that no text is at 0 */
    char *bytes;

    for (unsigned i = 0; i < TEXTS; i++) {
        room += (size_t)message->texts[i].length + 1;
    }
    room = room < TEXTS_FIRST ? TEXTS_FIRST : room;
    bytes = malloc(room);
    if (bytes == NULL) {
        return false;
    }
    for (unsigned i = 0; i < TEXTS; i++) {
        struct text text = maillog_table_text(message, i);

        if (text.bytes != NULL) {
            memcpy(bytes + used, text.bytes, text.length + 1);
            message->texts[i].at = used;
            used = (uint16_t)(used + text.length + 1);
        }
    }
    free(message->text_bytes);
    message->text_bytes = bytes;
    message->text_room = (uint16_t)room;
    message->text_used = used;
    return true;
}

void maillog_table_set(struct maillog_messages *messages,
                       struct message *message, enum message_text which,
                       struct text text)
{
    size_t limit = text_limits[which];
    size_t length;

    if (text.bytes == NULL) {
        return;
    }
    length = strnlen(text.bytes, text.length < limit ? text.length : limit);
    forget_text(messages, message, which);
    if (message->text_used + length + 1 > message->text_room &&
        !widen_texts(message, length + 1)) {
        return;
    }
    message->texts[which] =
        (struct stored_text){message->text_used, (uint16_t)length};
    message->text_used =
        (uint16_t)(message->text_used +
                   text_copy((struct text){text.bytes, length},
                             message->text_bytes + message->text_used,
                             length + 1) +
                   1);
    messages->bytes += text_cost(message->texts[which]);
}
