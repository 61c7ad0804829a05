#include "maillog_line.h"

#include <stdlib.h>
#include <string.h>

/* Every text of a record. */
static const size_t texts[] = {
    offsetof(struct maillog_record, host),
    offsetof(struct maillog_record, program),
    offsetof(struct maillog_record, queue_id),
    offsetof(struct maillog_record, recipients),
    offsetof(struct maillog_record, original_recipient),
    offsetof(struct maillog_record, relay),
    offsetof(struct maillog_record, relay_ip),
    offsetof(struct maillog_record, relay_socket),
    offsetof(struct maillog_record, enhanced_status),
    offsetof(struct maillog_record, reply),
    offsetof(struct maillog_record, client_name),
    offsetof(struct maillog_record, client_ip),
    offsetof(struct maillog_record, auth_user),
    offsetof(struct maillog_record, sender),
    offsetof(struct maillog_record, message_id),
};
#define TEXTS (sizeof texts / sizeof texts[0])

static struct text *text_at(struct maillog_record *record, size_t index)
{
    return (struct text *)(void *)((char *)record + texts[index]);
}

char *maillog_record_copy(const struct maillog_record *record,
                          struct maillog_record *copy)
{
    size_t size = 1;
    size_t used = 0;
    char *bytes;

    *copy = *record;
    for (size_t i = 0; i < TEXTS; i++) {
        size += text_at(copy, i)->length;
    }
    bytes = malloc(size);
    for (size_t i = 0; i < TEXTS && bytes != NULL; i++) {
        struct text *text = text_at(copy, i);

        if (text->bytes != NULL) {
            memcpy(bytes + used, text->bytes, text->length);
            text->bytes = bytes + used;
            used += text->length;
        }
    }
    return bytes;
}
