/*
 * session_report.h - bounces and complaints that pass through the milter
 *
 * A message is read as it passes and never changed. What it says of each
 * recipient becomes an event, with how far it is believed (trace.h): a report
 * that does not bring back a mark of ours counts nowhere. Nor does our own
 * MTA's, where its log is followed, which tells the same.
 *
 * Bounds   REPORTS_HELD_MAX bytes of all messages together are held; beyond
 *          that a message counts by its headers alone.
 * Waits    for one lookup of the lists for each recipient that failed.
 */
#ifndef NIXIE_SESSION_REPORT_H
#define NIXIE_SESSION_REPORT_H

#include "session.h"
#include "text.h"

#include <stdbool.h>

#define REPORTS_HELD_MAX ((size_t)64 * 1024 * 1024)

/* Of a message that may be one. */
void session_report_header(struct session *session, const char *name,
                           const char *value);

/* False: it needs no more of the body. */
bool session_report_body(struct session *session, struct text bytes);

/* The end of the message: its events, if it is a report. */
void session_report_end(const struct session_services *services,
                        struct session *session);

/* What all readers hold at this moment. */
size_t session_report_bytes(void);

/* Forgets the message, wherever it ended, and gives all memory back. */
void session_report_reset(struct session *session);

#endif
