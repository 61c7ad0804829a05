/*
 * control_request.h - a change of the lists as a line on the control socket
 *
 * Source   control.h tells the form; a pattern is in normal form, texts are
 *          as long as the event log takes them.
 * Threads  any.
 */
#ifndef NIXIE_CONTROL_REQUEST_H
#define NIXIE_CONTROL_REQUEST_H

#include "error.h"
#include "event.h"

#include <stddef.h>

#define CONTROL_REASON_MAX 64
#define CONTROL_NOTE_MAX   255
#define CONTROL_BY_MAX     128

/*
 * New, *length bytes with the newline and no NUL; the caller frees it. NULL
 * when a text is not UTF-8, or memory is short.
 */
char *control_request_encode(const struct event *event, size_t *length);

/*
 * From a line without its newline. event borrows from the result; its origin
 * is "command", and times have the form of clock_format(). NULL with error: no
 * such request, a pattern not in normal form, a text too long.
 */
struct control_request;
struct control_request *control_request_decode(const char *line, size_t length,
                                               struct event *event,
                                               struct error *error);
/* The number of requests in {"batch":N}; 0: it is no such line. */
size_t control_request_batch(const char *line, size_t length);

void control_request_free(struct control_request *request); /* or NULL */

#endif
