/*
 * session_trace.h - the mark on mail that is ours
 *
 * Ours is what an authenticated client, a program of this host or a client in
 * outgoing_clients submits, with a sender that is not null. Of such a message
 * the headers of our name that it brings are taken out, the mark of trace.h is
 * put in front of all headers, and its envelope id is given to the MTA unless
 * the client has given one (RFC 3461 4.4).
 *
 * Only at the end of the message. Whatever the process dies between, the
 * message is whole.
 */
#ifndef NIXIE_SESSION_TRACE_H
#define NIXIE_SESSION_TRACE_H

#include "session.h"

#include <stdbool.h>

#include <libmilter/mfapi.h>

/* What it changes messages with: to be asked for in the negotiation. */
#define SESSION_TRACE_ACTIONS (SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGFROM)

bool session_is_outgoing(const struct session *session);

/* Marks the message, if it is ours and there are keys. */
void session_trace_mark(SMFICTX *ctx, const struct session_services *services,
                        struct session *session);

#endif
