#include "maillog_scan.h"
#include "maillog_sendmail.h"
#include "smtp_reply.h"

/* --- mailers ----------------------------------------------------------- */

static bool is_local(struct text mailer)
{
    static const char *const names[] = {
        "local",    "prog",  "*file*",  "*include*",
        "procmail", "cyrus", "cyrusv2", "cyrusbb",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (text_is(mailer, names[i])) {
            return true;
        }
    }
    return false;
}

/* --- the way there ----------------------------------------------------- */

/* At the start of what Sendmail says itself, behind "Deferred: ". */
static const char *const causes[] = {
    "Connection ",
    "Name server: ",
    "Host unknown",
    "timeout waiting for ",
    "Operation timed out",
    "Local configuration error",
    "I/O error",
    "Network ",
    "Host is down",
    "No route to host",
    "Too many concurrent ",
    "Operating system error",
    "Bad file descriptor",
    "Host name lookup failure",
    "host name lookup fail",
    "TLS",
};

/* Behind the name of a host. */
static const char *const faults[] = {
    ": No route to host",
    ": Network is unreachable",
    ": Network is down",
    ": Network dropped connection on reset",
    ": Software caused connection abort",
    ": Host is down",
    ": Connection ",
    "host name lookup failure",
    "TLS handshake",
};

static bool is_connection(struct text reason)
{
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if (maillog_begins(reason, causes[i], strlen(causes[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (maillog_find(reason, faults[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* --- outcome ----------------------------------------------------------- */

static char class_of(struct text status)
{
    return status.length > 0 ? status.bytes[0] : '\0';
}

/* dsn= comes before any text of others; without it the others tell. */
static enum maillog_status
find_status(const struct maillog_sendmail_result *result)
{
    char class =
        enhanced_status_is_valid(result->dsn) ? class_of(result->dsn) : '\0';

    if (class == '\0') {
        class = class_of(result->reply);
    }
    switch (class) {
    case '2':
        return MAILLOG_SENT;
    case '4':
        return MAILLOG_DEFERRED;
    case '5':
        return MAILLOG_BOUNCED;
    default:
        break;
    }
    if (MAILLOG_BEGINS(result->stat, "Sent")) {
        return MAILLOG_SENT;
    }
    return MAILLOG_BEGINS(result->stat, "Deferred") ? MAILLOG_DEFERRED
                                                    : MAILLOG_BOUNCED;
}

static struct text trim(struct text text)
{
    while (text.length > 0 && (unsigned char)text.bytes[0] <= ' ') {
        maillog_skip(&text, 1);
    }
    while (text.length > 0 &&
           (unsigned char)text.bytes[text.length - 1] <= ' ') {
        text.length--;
    }
    return text;
}

/* "Sent (250 ok)", "Deferred: 451 later", "User unknown" */
static struct text take_stat(struct text stat)
{
    if (MAILLOG_TAKE(&stat, "Sent (")) {
        (void)maillog_drop_suffix(&stat, ")");
    } else if (MAILLOG_TAKE(&stat, "Deferred: ")) {
        return trim(stat);
    }
    return trim(stat);
}

static bool has_code(struct text text)
{
    struct smtp_reply reply;

    smtp_reply_parse(text, &reply);
    /* 403 and 454 with TLS: Sendmail itself has given up the connection */
    return reply.code >= 200 && maillog_find(text, "TLS handshake") == NULL;
}

/*
 * Of a greeting, EHLO or DATA dsn= is Sendmail's own, X.5.0 or X.0.0, and the
 * reply may have a better one. True: it was said before any recipient.
 */
static bool take_own_status(struct maillog_record *record)
{
    struct text dsn = record->enhanced_status;
    struct text own = {NULL, 0};
    struct smtp_reply reply;

    smtp_reply_parse(record->reply, &reply);
    if (record->reply.length > 4 && reply.code >= 200) {
        own.bytes = record->reply.bytes + 4;
        own.length = strlen(reply.enhanced_status);
    }
    if (dsn.length != 5 || own.length == 0 ||
        own.length + 4 > record->reply.length ||
        memcmp(own.bytes, reply.enhanced_status, own.length) != 0 ||
        own.bytes[0] != dsn.bytes[0] || text_is(own, "5.5.0") ||
        text_is(own, "4.5.0") ||
        (memcmp(dsn.bytes + 1, ".5.0", 4) != 0 &&
         memcmp(dsn.bytes + 1, ".0.0", 4) != 0)) {
        return false;
    }
    record->enhanced_status = own;
    return dsn.bytes[2] == '5';
}

static void take_failure(const struct maillog_sendmail_result *result,
                         struct maillog_record *record)
{
    bool answered = result->reply.bytes != NULL && has_code(result->reply);
    struct text dsn = record->enhanced_status;
    char subject = dsn.length > 3 && dsn.bytes[3] == '.' ? dsn.bytes[2] : '\0';
    bool connection;
    bool refused;

    answered = answered || has_code(record->reply);
    connection = !answered && is_connection(record->reply);
    /* who answers so is there: Exchange says 5.4.1 of a user it lacks */
    refused = has_code(record->reply) && record->reply.bytes[0] == '5';
    record->remote = !record->local && !connection &&
                     (answered || record->relay_ip.bytes != NULL);
    record->destination =
        !record->local && ((subject != '1' && subject != '2' &&
                            (connection || (subject == '4' && !refused))) ||
                           (connection && /* 5.1.2 */
                            MAILLOG_BEGINS(record->reply, "Host unknown")));
    /* X.4.2: there was a connection, and it broke at whatever stage */
    if (connection && !(subject == '4' && maillog_drop_suffix(&dsn, ".2"))) {
        record->stage = BOUNCE_STAGE_CONNECT;
    }
    if (record->remote && take_own_status(record)) {
        record->stage = BOUNCE_STAGE_CONNECT;
        record->destination = true;
    }
}

bool maillog_sendmail_status(const struct maillog_sendmail_result *result,
                             struct maillog_record *record)
{
    if (text_is(result->stat, "queued") ||
        text_is(result->stat, "quarantined")) {
        return false;
    }
    record->status = find_status(result);
    record->local = is_local(result->mailer);
    if (enhanced_status_is_valid(result->dsn)) {
        record->enhanced_status = result->dsn;
    }
    record->reply = result->reply.bytes != NULL ? trim(result->reply)
                                                : take_stat(result->stat);
    if (record->status != MAILLOG_SENT) {
        take_failure(result, record);
        return true;
    }
    record->remote = !record->local;
    record->stage = record->remote ? BOUNCE_STAGE_EOM : BOUNCE_STAGE_UNKNOWN;
    return true;
}
