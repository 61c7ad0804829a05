/*
 * session.h - the milter callbacks: one struct session an SMTP connection
 *
 * Source   libmilter's documentation; what MTAs do with it: RCPT is answered
 *          at once in SMTP sessions. In sessions that Postfix emulates for
 *          sendmail(1) and bounces a refused RCPT would stay in the queue for
 *          ever, so there the recipient is deleted at end of message.
 *
 * Threads  libmilter may call a session's callbacks from several threads, one
 *          at a time. All state is in the session; what sessions share comes
 *          from session_register() and is read-only or has locks.
 */
#ifndef NIXIE_SESSION_H
#define NIXIE_SESSION_H

#include "client_rate.h"
#include "error.h"
#include "event_log.h"
#include "maillog_message.h"
#include "metrics.h"
#include "scope.h"
#include "settings_share.h"
#include "suppression.h"
#include "trace_keys.h"
#include "transaction.h"
#include "unclassified.h"

#include <stdbool.h>

#define SESSION_ID_SIZE       17  /* 16 hex digits and NUL */
#define SESSION_TEXT_MAX      256 /* one more than an event takes: it says cut */
#define SESSION_LOCAL_DOMAINS 256 /* of the setting, looked at per RCPT */

/* How far the message at hand is read as a report. */
enum session_report_state {
    SESSION_REPORT_IDLE,    /* it has no header yet */
    SESSION_REPORT_HEADERS, /* whether it may be one is to be decided */
    SESSION_REPORT_NONE,
    SESSION_REPORT_BODY, /* its body is read */
    SESSION_REPORT_READ, /* as much of it as is of use */
};

struct session {
    char id[SESSION_ID_SIZE];
    unsigned long protocol; /* what was negotiated: SMFIP_… */
    unsigned long actions;  /* and SMFIF_… */
    char mta_domain[MAILBOX_DOMAIN_MAX + 1]; /* macro j as A-label, or "" */
    bool postfix;                            /* by macro v */
    /* NULL when unknown */
    char *listener, *client_ip, *client_name, *helo, *auth_user, *tls_version;

    struct transaction transaction;
    const struct settings *settings; /* borrowed while a transaction is open */
    const struct scope *scope;       /* of it, in these; NULL: none */

    struct report_reader *report; /* NULL until a message has headers */
    enum session_report_state report_state;
    size_t report_held; /* bytes in it that are counted */
};

/* What callbacks use; each transaction borrows the settings in force. */
struct session_services {
    struct event_log *log;
    struct suppression *list;
    struct settings_share *settings;
    /* Told of each reception; NULL: nobody wants to know. */
    struct maillog_messages *messages;
    /* How many events a client may cause; NULL: as many as it likes. */
    struct client_rates *rates;
    struct unclassified *unclassified;
    struct trace_keys *trace_keys; /* NULL: no marks are made or believed */
    struct metrics *metrics;
};

/* Tells libmilter of our callbacks; services is borrowed for ever. */
bool session_register(const struct session_services *services,
                      struct error *error);

/* Callbacks that run at this moment. */
int session_callbacks_running(void);

#endif
