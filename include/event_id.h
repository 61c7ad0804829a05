/*
 * event_id.h - names of events: UUIDs that sort by time
 *
 * Source   RFC 9562 5.7, UUIDv7: 48 bits of milliseconds, 74 of chance.
 * Threads  any: a source has a lock of its own.
 */
#ifndef NIXIE_EVENT_ID_H
#define NIXIE_EVENT_ID_H

#include "event.h"

#include <stdint.h>

struct event_id_source;

/* New, or NULL when out of memory. */
struct event_id_source *event_id_source_new(void);

void event_id_make(struct event_id_source *source, int64_t timestamp_us,
                   char id[EVENT_ID_SIZE]);

void event_id_source_free(struct event_id_source *source); /* or NULL */

#endif
