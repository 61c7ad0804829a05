#include "list_watch_event.h"

#include <string.h>

static enum event_type type_of(const struct list_watch_entry *entry)
{
    if (entry->list == STORE_ALLOW) {
        return entry->present ? EVENT_ALLOW_ADDED : EVENT_ALLOW_REMOVED;
    }
    if (!entry->present) {
        return EVENT_SUPPRESSION_REMOVED;
    }
    return entry->known.bytes == NULL ? EVENT_SUPPRESSION_ADDED
                                      : EVENT_SUPPRESSION_UPDATED;
}

/* A member is absent when it would say nothing. */
static struct text field(const struct list_watch_entry *entry,
                         enum list_known_field which)
{
    struct text text = entry->says.fields[which];

    return text.length > 0 ? text : (struct text){NULL, 0};
}

static struct text failure_type(const struct list_watch_entry *entry)
{
    static const char *const types[] = {"hard", "soft", "ignored"};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (text_is(entry->says.fields[LIST_KNOWN_TYPE], types[i])) {
            return text_of(types[i]);
        }
    }
    return (struct text){NULL, 0};
}

void list_watch_event(const struct list_watch_entry *entry, int64_t now_us,
                      char room[CLOCK_TIMESTAMP_SIZE], struct event *event)
{
    event_init(event, type_of(entry), now_us);
    event->origin = text_of("redis");
    event->suppression_pattern =
        (struct text){entry->pattern.text, entry->pattern.length};
    if (entry->scope[0] != '\0') {
        event->scope = text_of(entry->scope);
    }
    if (!entry->present) {
        return;
    }
    event->failure_type = failure_type(entry);
    event->suppression_reason = field(entry, LIST_KNOWN_REASON);
    event->suppression_origin = field(entry, LIST_KNOWN_ORIGIN);
    event->suppression_note = field(entry, LIST_KNOWN_NOTE);
    event->suppression_by = field(entry, LIST_KNOWN_BY);
    event->suppression_added_at = field(entry, LIST_KNOWN_ADDED_AT);
    event->suppression_evidence = field(entry, LIST_KNOWN_EVIDENCE);
    if (text_is(entry->says.fields[LIST_KNOWN_MODE], "observe")) {
        event->suppression_mode = text_of("observe");
    }
    if (entry->left_ms >= 0 && entry->left_ms < INT64_MAX / 4000) {
        clock_format(now_us + entry->left_ms * 1000, room);
        event->suppression_expires_at = text_of(room);
    }
}
