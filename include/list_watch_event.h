/*
 * list_watch_event.h - the event of a change that somebody made in Redis
 *
 * Owner    texts of the event are borrowed from the entry and from room.
 * Threads  any.
 */
#ifndef NIXIE_LIST_WATCH_EVENT_H
#define NIXIE_LIST_WATCH_EVENT_H

#include "clock.h"
#include "event.h"
#include "list_watch_look.h"

/* now_us is the time of ours; the entry's end is told by it. */
void list_watch_event(const struct list_watch_entry *entry, int64_t now_us,
                      char room[CLOCK_TIMESTAMP_SIZE], struct event *event);

#endif
