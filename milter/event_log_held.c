#include "event_log_held.h"

#include "event_json.h"
#include "event_log.h"

#include <stdlib.h>
#include <string.h>

struct held_line {
    struct held_line *next;
    struct event_line line;
    char bytes[];
};

void event_line_number(struct event_line *line, int64_t seq)
{
    char head[EVENT_JSON_HEAD];

    line->seq = seq;
    line->head = event_json_head(seq, head);
    memcpy(line->bytes + EVENT_JSON_HEAD - line->head, head, line->head);
}

void event_line_reset(struct event_line *line)
{
    line->seq = 0;
    line->head = 0;
    line->written = 0;
}

/* New; NULL when out of memory. */
static struct held_line *copy_line(const struct event_line *line)
{
    size_t size = EVENT_JSON_HEAD + line->tail;
    struct held_line *copy = malloc(sizeof *copy + size);

    if (copy == NULL) {
        return NULL;
    }
    copy->next = NULL;
    copy->line = *line;
    copy->line.bytes = copy->bytes;
    /* the room is empty as long as the line has no number */
    memcpy(copy->bytes + EVENT_JSON_HEAD - line->head,
           line->bytes + EVENT_JSON_HEAD - line->head, line->head + line->tail);
    return copy;
}

bool event_log_held_add(struct event_log_held *held,
                        const struct event_line *line)
{
    struct held_line *copy;

    if (held->count >= EVENT_LOG_HELD_EVENTS ||
        line->tail > EVENT_LOG_HELD_BYTES - held->bytes) {
        return false;
    }
    copy = copy_line(line);
    if (copy == NULL) {
        return false;
    }
    if (held->last == NULL) {
        held->first = copy;
    } else {
        held->last->next = copy;
    }
    held->last = copy;
    held->count++;
    held->bytes += line->tail;
    return true;
}

bool event_log_held_add_first(struct event_log_held *held,
                              const struct event_line *line)
{
    struct held_line *copy = copy_line(line);

    if (copy == NULL) {
        return false;
    }
    copy->next = held->first;
    held->first = copy;
    if (held->last == NULL) {
        held->last = copy;
    }
    held->count++;
    held->bytes += line->tail;
    return true;
}

struct event_line *event_log_held_first(struct event_log_held *held)
{
    return held->first == NULL ? NULL : &held->first->line;
}

void event_log_held_drop_first(struct event_log_held *held)
{
    struct held_line *first = held->first;

    held->first = first->next;
    if (held->first == NULL) {
        held->last = NULL;
    }
    held->count--;
    held->bytes -= first->line.tail;
    free(first);
}
