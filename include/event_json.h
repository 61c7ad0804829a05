/*
 * event_json.h - an event as a line of the event log
 *
 * Source   RFC 8259; ASCII only, so that no shipper stumbles: control
 *          characters and everything above 0x7e are \u escapes.
 * Errors   are the result; nothing is logged here.
 * Threads  any; a struct event_json belongs to one.
 */
#ifndef NIXIE_EVENT_JSON_H
#define NIXIE_EVENT_JSON_H

#include "error.h"
#include "event.h"

#define EVENT_LINE_MAX 8000 /* with the newline: rsyslog cuts at 8 KiB */

/*
 * Writes {"schema":…} and a newline, no NUL; returns the length. What makes
 * the line longer than EVENT_LINE_MAX is cut, last members first, and
 * "cut":true says so. Bytes that are not UTF-8 become U+FFFD and the exact
 * bytes stand beside in <member>_base64.
 */
size_t event_json_encode(const struct event *event, char line[EVENT_LINE_MAX]);

/*
 * The same without its head, so that the line can be made before its seq is
 * known: the head, at most EVENT_JSON_HEAD bytes, is written in front later.
 * The tail takes at most size bytes, 1000 to EVENT_TAIL_MAX.
 */
#define EVENT_JSON_HEAD 48 /* {"schema":"nixie/1","seq":1234567890123456789,   \
                            */
#define EVENT_TAIL_MAX (EVENT_LINE_MAX - EVENT_JSON_HEAD)
size_t event_json_encode_tail(const struct event *event, char *tail,
                              size_t size);
size_t event_json_head(int64_t seq, char head[EVENT_JSON_HEAD]);

/* The line that a decoded event's texts live in. */
struct event_json;

/*
 * New, or NULL with error. The event borrows from it until
 * event_json_free(). Members it does not know are passed over (a newer nixie
 * may have written them); a missing or wrong-typed seq, timestamp or type is
 * an error, and so is a schema other than nixie/1. errno tells whether it is
 * the line's (EINVAL) or there was no memory (ENOMEM): then try again later.
 */
struct event_json *event_json_decode(const char *line, size_t length,
                                     struct event *event, struct error *error);
void event_json_free(struct event_json *json);

#endif
