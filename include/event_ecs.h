/*
 * event_ecs.h - an event as a line in the Elastic Common Schema
 *
 * {"schema":…,"seq":…,"nixie":{…},"@timestamp":…,"event":{…},…}: the members of
 * the flat form stand in the object nixie, as some (rule, trace) are objects
 * of their own in the schema, and what the schema has a field for stands there
 * again. event_json_decode() reads both forms.
 *
 * Source   Elastic Common Schema 8.11.
 * Threads  any.
 */
#ifndef NIXIE_EVENT_ECS_H
#define NIXIE_EVENT_ECS_H

#include "event.h"
#include "event_json.h"

/*
 * As event_json_encode_tail(); the fields of the schema are left out when they
 * find no room, or there is no memory for them.
 */
size_t event_ecs_encode_tail(const struct event *event, char *tail,
                             size_t size);

#endif
