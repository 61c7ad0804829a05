/*
 * event_json_quick.h - reads the lines that nixie itself has written
 *
 * Nearly all lines of an event log are flat, without an escape, with their
 * members in the order of the table. These are read here in one pass, without
 * a tree of their values. Of all others, whatever is the matter with them,
 * nothing is said: event_json.h reads them with a JSON library.
 *
 * Owner    the event borrows from line.
 * Threads  any.
 */
#ifndef NIXIE_EVENT_JSON_QUICK_H
#define NIXIE_EVENT_JSON_QUICK_H

#include "event.h"

#include <stdbool.h>
#include <stddef.h>

/* False: another reader tells; line may have changed then, and event. */
bool event_json_quick(char *line, size_t length, struct event *event);

#endif
