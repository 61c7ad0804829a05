#include "session.h"

#include "clock.h"
#include "envelope_check.h"
#include "log.h"
#include "session_event.h"
#include "session_report.h"
#include "session_trace.h"
#include "smtp_reply.h"
#include "transaction.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmilter/mfapi.h>

/*
 * libmilter hands callbacks nothing of ours: set by session_register()
 * before smfi_main(), read-only then.
 */
static const struct session_services *services;

static atomic_int callbacks_running;
static atomic_uint sessions_made;
static atomic_bool disagreement_told;

int session_callbacks_running(void)
{
    return atomic_load(&callbacks_running);
}

/* What an MTA may be told not to wait for; the callback then says so. */
static sfsistat go_on(const struct session *session, unsigned long no_reply)
{
    return session != NULL && (session->protocol & no_reply) != 0
               ? SMFIS_NOREPLY
               : SMFIS_CONTINUE;
}

/*
 * The milliseconds of the clock and a counter: unique on this host, rises
 * with time, short enough for a reply.
 */
static void make_id(char id[SESSION_ID_SIZE])
{
    unsigned count = atomic_fetch_add(&sessions_made, 1);

    (void)snprintf(id, SESSION_ID_SIZE, "%012llx%04x",
                   (unsigned long long)(clock_now_us() / 1000) &
                       0xffffffffffffULL,
                   count & 0xffffU);
}

/* The session of a connection, made at its first callback. */
static struct session *session_of(SMFICTX *ctx)
{
    struct session *session = smfi_getpriv(ctx);

    if (session == NULL) {
        session = calloc(1, sizeof *session);
        if (session == NULL || smfi_setpriv(ctx, session) != MI_SUCCESS) {
            free(session);
            return NULL;
        }
        make_id(session->id);
        metrics_add(&services->metrics->sessions, 1);
        atomic_fetch_add(&services->metrics->sessions_open, 1);
    }
    return session;
}

/* A macro of the MTA, or NULL; libmilter takes no const, and changes nothing.
 */
static const char *macro(SMFICTX *ctx, const char *name)
{
    return smfi_getsymval(ctx, (char *)(uintptr_t)name);
}

static void keep(char **target, const char *value)
{
    free(*target);
    *target = NULL;
    if (value != NULL && value[0] != '\0') {
        *target = malloc(SESSION_TEXT_MAX + 1);
        if (*target != NULL) {
            (void)text_copy(text_of(value), *target, SESSION_TEXT_MAX + 1);
        }
    }
}

static void end_transaction(struct session *session)
{
    session_report_reset(session);
    transaction_end(&session->transaction);
    if (session->settings != NULL) {
        settings_share_return(services->settings, session->settings);
        session->settings = NULL;
        session->scope = NULL;
    }
}

/* --- negotiation ------------------------------------------------------- */

static const struct stage_macros {
    int stage;
    const char *names;
} stage_macros[] = {
    {SMFIM_CONNECT, "j v i {daemon_name}"},
    {SMFIM_HELO, "{tls_version}"},
    {SMFIM_ENVFROM, "i {mail_mailer} {auth_authen}"},
    {SMFIM_ENVRCPT, "i {rcpt_addr} {rcpt_host} {rcpt_mailer}"},
    {SMFIM_EOM, "i {msg_id}"},
};

static sfsistat negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1,
                          unsigned long f2, unsigned long f3,
                          unsigned long *pf0, unsigned long *pf1,
                          unsigned long *pf2, unsigned long *pf3)
{
    const unsigned long wanted = SMFIP_RCPT_REJ | SMFIP_SKIP | SMFIP_NOUNKNOWN |
                                 SMFIP_NODATA | SMFIP_NOEOH | SMFIP_NR_CONN |
                                 SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_HDR;
    struct session *session = session_of(ctx);

    (void)f2;
    (void)f3;
    *pf0 = f0 & (SMFIF_DELRCPT | SMFIF_SETSYMLIST |
                 (services->trace_keys != NULL ? SESSION_TRACE_ACTIONS : 0));
    *pf1 = f1 & wanted;
    *pf2 = 0;
    *pf3 = 0;
    if ((f0 & SMFIF_SETSYMLIST) != 0) {
        for (size_t i = 0; i < sizeof stage_macros / sizeof stage_macros[0];
             i++) {
            char names[128];

            (void)text_copy(text_of(stage_macros[i].names), names,
                            sizeof names);
            (void)smfi_setsymlist(ctx, stage_macros[i].stage, names);
        }
    }
    if (session != NULL) {
        session->protocol = *pf1;
        session->actions = *pf0;
    }
    return SMFIS_CONTINUE;
}

/* --- the session ------------------------------------------------------- */

static void take_address(struct session *session, const _SOCK_ADDR *address)
{
    char text[INET6_ADDRSTRLEN] = "";
    const void *bytes = NULL;

    if (address == NULL) {
        return;
    }
    if (address->sa_family == AF_INET) {
        bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    } else if (address->sa_family == AF_INET6) {
        bytes =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    }
    if (bytes != NULL &&
        inet_ntop(address->sa_family, bytes, text, sizeof text) != NULL) {
        keep(&session->client_ip, text);
    }
}

static sfsistat on_connect(SMFICTX *ctx, struct session *session, char *name,
                           _SOCK_ADDR *address)
{
    if (session != NULL) {
        const char *host = macro(ctx, "j");
        const char *version = macro(ctx, "v");

        keep(&session->client_name, name);
        take_address(session, address);
        keep(&session->listener, macro(ctx, "{daemon_name}"));
        session->postfix =
            version != NULL && strncmp(version, "Postfix", 7) == 0;
        if (!mailbox_parse_domain(text_of(host == NULL ? "" : host),
                                  session->mta_domain)) {
            session->mta_domain[0] = '\0';
        }
    }
    return go_on(session, SMFIP_NR_CONN);
}

static sfsistat on_helo(SMFICTX *ctx, struct session *session, char *name)
{
    if (session != NULL) {
        end_transaction(session);
        keep(&session->helo, name);
        keep(&session->tls_version, macro(ctx, "{tls_version}"));
    }
    return go_on(session, SMFIP_NR_HELO);
}

/* --- MAIL -------------------------------------------------------------- */

/*
 * What all recipients of the message go by. A session that Postfix plays came
 * in at no listener, whatever cleanup(8) says its name is.
 */
static void choose_scope(struct session *session)
{
    const struct transaction *transaction = &session->transaction;
    const struct scope_question question = {
        .listener = transaction->emulated ? NULL : session->listener,
        .auth_user = session->auth_user,
        .client_ip = session->client_ip,
        .sender = transaction->sender,
    };

    session->scope = scope_choose(session->settings, &question);
}

static sfsistat on_mail(SMFICTX *ctx, struct session *session, char **arguments)
{
    struct transaction *transaction;
    const char *queue_id = macro(ctx, "i");

    if (session == NULL) {
        return SMFIS_CONTINUE;
    }
    transaction = &session->transaction;
    end_transaction(session);
    session->settings = settings_share_borrow(services->settings);
    if (!transaction_begin(transaction, session->id, text_of(arguments[0]))) {
        return go_on(session, SMFIP_NR_MAIL);
    }
    for (size_t i = 1; arguments[i] != NULL; i++) {
        transaction_parameter(transaction, arguments[i]);
    }
    keep(&session->auth_user, macro(ctx, "{auth_authen}"));
    transaction_set_queue_id(transaction, queue_id);
    /* smtpd has no queue id yet and names the mailer; Sendmail has both */
    transaction->emulated =
        queue_id != NULL && macro(ctx, "{mail_mailer}") == NULL;
    choose_scope(session);
    return go_on(session, SMFIP_NR_MAIL);
}

/* --- RCPT -------------------------------------------------------------- */

static void confirm_emulated(struct transaction *transaction,
                             const struct recipient_macros *macros)
{
    bool emulated = macros->mailer == NULL;

    if (transaction->recipient_seen) {
        return;
    }
    transaction->recipient_seen = true;
    if (emulated == transaction->emulated) {
        return;
    }
    transaction->emulated = true; /* the one in which nothing gets stuck */
    if (!atomic_exchange(&disagreement_told, true)) {
        log_warning("cannot tell whether this is an SMTP session, recipients "
                    "are not refused at RCPT: the MTA does not send the "
                    "macros {mail_mailer} and {rcpt_mailer}");
    }
}

/* Whether the answer may be given: the setting says what outweighs what. */
static bool logged(const struct session *session, enum event_log_result result)
{
    return result == EVENT_LOG_WRITTEN ||
           session->settings->on_log_failure == FAILURE_ACCEPT;
}

static sfsistat answer_tempfail(SMFICTX *ctx, const char *text)
{
    char code[] = "451";
    char status[] = "4.3.0";
    char reply[128];

    (void)text_copy(text_of(text), reply, sizeof reply);
    (void)smfi_setreply(ctx, code, status, reply);
    return SMFIS_TEMPFAIL;
}

static sfsistat refuse_recipient(SMFICTX *ctx, struct session *session,
                                 const struct session_recipient *recipient,
                                 const struct envelope_answer *answer,
                                 int64_t began_us)
{
    struct envelope_reply reply;
    enum event_log_result result;

    envelope_reply(session->settings, &answer->entry,
                   recipient->mailbox->address, session->transaction.id,
                   &reply);
    result = session_event_refused(services, session, recipient, answer, &reply,
                                   clock_monotonic_us() - began_us);
    if (!logged(session, result)) {
        return answer_tempfail(ctx, "Event log unavailable, try again later");
    }
    if (smfi_setreply(ctx, reply.code, reply.enhanced_status, reply.text) !=
        MI_SUCCESS) {
        log_warning("%s: libmilter does not take the configured refusal, its "
                    "own text is used",
                    session->transaction.id);
    }
    return reply.code[0] == '4' ? SMFIS_TEMPFAIL : SMFIS_REJECT;
}

static sfsistat keep_suppressed(struct session *session,
                                const struct session_recipient *recipient,
                                const struct envelope_answer *answer,
                                int64_t began_us)
{
    struct transaction_suppressed suppressed = {answer->entry, "", 0};

    suppressed.latency_us = clock_monotonic_us() - began_us;
    (void)transaction_add(&session->transaction, recipient->mailbox,
                          recipient->path, &suppressed);
    return SMFIS_CONTINUE;
}

static sfsistat accept_recipient(struct session *session,
                                 const struct session_recipient *recipient)
{
    (void)transaction_add(&session->transaction, recipient->mailbox,
                          recipient->path, NULL);
    return SMFIS_CONTINUE;
}

static sfsistat no_answer_from_store(SMFICTX *ctx, struct session *session,
                                     const struct session_recipient *recipient,
                                     const struct envelope_answer *answer,
                                     int64_t began_us)
{
    struct envelope_reply reply = {
        "451", "4.3.0", "Recipient list unavailable, try again later"};

    if (session->transaction.emulated) {
        /* at the end of the message: a refused RCPT would stick for ever */
        session->transaction.store_refused = true;
        return accept_recipient(session, recipient);
    }
    (void)session_event_refused(services, session, recipient, answer, &reply,
                                clock_monotonic_us() - began_us);
    return answer_tempfail(ctx, reply.text);
}

static sfsistat check_recipient(SMFICTX *ctx, struct session *session,
                                const struct session_recipient *recipient,
                                const struct mailbox *delivered)
{
    const int64_t began_us = clock_monotonic_us();
    const struct envelope_question question = {
        .settings = session->settings,
        .list = services->list,
        .mailbox = recipient->mailbox,
        .null_sender = session->transaction.null_sender,
        .delivered = delivered,
        .scope = session->scope};
    struct envelope_answer answer;

    envelope_check(&question, &answer);
    metrics_add(&services->metrics->verdicts[answer.verdict], 1);
    latency_add(&services->metrics->checks, clock_monotonic_us() - began_us);
    switch (answer.verdict) {
    case ENVELOPE_PASS:
        return accept_recipient(session, recipient);
    case ENVELOPE_OBSERVE:
    case ENVELOPE_EXEMPT:
        (void)session_event_observed(services, session, recipient, &answer,
                                     clock_monotonic_us() - began_us);
        return accept_recipient(session, recipient);
    case ENVELOPE_SUPPRESS:
        return session->transaction.emulated
                   ? keep_suppressed(session, recipient, &answer, began_us)
                   : refuse_recipient(ctx, session, recipient, &answer,
                                      began_us);
    case ENVELOPE_TEMPFAIL:
        return no_answer_from_store(ctx, session, recipient, &answer, began_us);
    }
    return SMFIS_CONTINUE;
}

static sfsistat on_rcpt(SMFICTX *ctx, struct session *session, char **arguments)
{
    const struct recipient_macros macros = {
        macro(ctx, "{rcpt_mailer}"),
        macro(ctx, "{rcpt_host}"),
        macro(ctx, "{rcpt_addr}"),
    };
    struct session_recipient recipient = {NULL, text_of(arguments[0])};
    struct mailbox mailbox;
    struct mailbox delivered;
    enum mailbox_result result;
    bool refused;
    bool elsewhere;

    if (session == NULL || !session->transaction.open) {
        return SMFIS_CONTINUE;
    }
    transaction_set_queue_id(&session->transaction, macro(ctx, "i"));
    confirm_emulated(&session->transaction, &macros);
    refused = recipient_is_refused(&macros);
    result = recipient_read(session, arguments[0], refused, &macros, &mailbox);
    recipient.mailbox = result == MAILBOX_INVALID ? NULL : &mailbox;
    if (refused) {
        struct smtp_reply reply;

        smtp_reply_parse(text_of(macros.address), &reply);
        if (macros.host != NULL &&
            enhanced_status_is_valid(text_of(macros.host))) {
            (void)text_copy(text_of(macros.host), reply.enhanced_status,
                            sizeof reply.enhanced_status);
        }
        (void)session_event_rejected(services, session, &recipient, &reply);
        return SMFIS_CONTINUE; /* another answer would be a second reply */
    }
    elsewhere = recipient_read_delivered(session, &macros, recipient.mailbox,
                                         &delivered);
    if (recipient.mailbox == NULL && elsewhere) {
        recipient.mailbox = &delivered;
        elsewhere = false;
    }
    if (recipient.mailbox == NULL) {
        return accept_recipient(session, &recipient);
    }
    return check_recipient(ctx, session, &recipient,
                           elsewhere ? &delivered : NULL);
}

/* --- the message ------------------------------------------------------- */

static sfsistat on_header(struct session *session, char *name, char *value)
{
    if (session != NULL && session->transaction.open) {
        transaction_header(&session->transaction, name, value);
        session_report_header(session, name, value);
    }
    return go_on(session, SMFIP_NR_HDR);
}

/* A long body that is no report, whose size MAIL told, need not come to us. */
static sfsistat on_body(struct session *session, struct text bytes)
{
    const size_t full_chunk = 65535;
    struct transaction *transaction;
    bool read;

    if (session == NULL) {
        return SMFIS_CONTINUE;
    }
    transaction = &session->transaction;
    read = transaction->open && session_report_body(session, bytes);
    transaction->seen_size += (int64_t)bytes.length;
    if (!read && bytes.length >= full_chunk &&
        transaction->declared_size != EVENT_UNKNOWN &&
        (session->protocol & SMFIP_SKIP) != 0) {
        transaction->size_incomplete = true;
        return SMFIS_SKIP;
    }
    return SMFIS_CONTINUE;
}

__attribute__((format(printf, 2, 3))) static bool
delete_form(SMFICTX *ctx, const char *format, ...)
{
    char form[2 * TRANSACTION_ADDRESS_MAX];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(form, sizeof form, format, arguments);
    va_end(arguments);
    return length >= 0 && (size_t)length < sizeof form &&
           smfi_delrcpt(ctx, form) == MI_SUCCESS;
}

/*
 * Postfix compares with the recipient as it was submitted, and showed us what
 * rewriting made of it. It tells nobody whether one matched, so the forms
 * that it rewrites to this one are tried too: a trailing dot, the percent
 * and the bang path, and of an unqualified one the local part alone.
 */
static bool delete_recipient(SMFICTX *ctx, const struct session *session,
                             const struct transaction_recipient *recipient)
{
    const char *seen = recipient->seen;
    const char *at = strrchr(seen, '@');
    const int local = at == NULL ? 0 : (int)(at - seen);
    const bool deleted = delete_form(ctx, "%s", seen);

    if (at != NULL) {
        (void)delete_form(ctx, "%s.", seen);
        (void)delete_form(ctx, "%.*s%%%s", local, seen, at + 1);
        (void)delete_form(ctx, "%s!%.*s", at + 1, local, seen);
        if (recipient_is_local(session, recipient->domain)) {
            (void)delete_form(ctx, "%.*s", local, seen);
        }
    }
    return deleted;
}

/* Postfix's emulated session: what RCPT could not say is said here. */
static sfsistat settle_suppressed(SMFICTX *ctx, struct session *session)
{
    struct transaction *transaction = &session->transaction;
    const bool nobody_left =
        transaction->suppressed_count == transaction->recipient_count &&
        transaction->accepted_unkept == 0;
    /* of some that were not kept nothing can be deleted: all or nothing */
    const bool reject = (nobody_left || transaction->suppressed_unkept > 0) &&
                        !transaction->null_sender;
    enum event_log_result result;
    char code[] = "550";
    char status[] = "5.7.1";
    char text[96];

    for (size_t i = 0; !reject && i < transaction->recipient_count; i++) {
        const struct transaction_recipient *recipient =
            &transaction->recipients[i];

        if (recipient->suppressed != NULL &&
            !delete_recipient(ctx, session, recipient)) {
            log_warning("%s: the MTA does not let recipients be deleted",
                        transaction->id);
        }
    }
    result = session_event_settled(services->log, session,
                                   reject ? "bounce" : "drop");
    if (!logged(session, result) && !transaction->null_sender) {
        return answer_tempfail(ctx, "Event log unavailable, try again later");
    }
    if (reject) {
        (void)snprintf(text, sizeof text, "%s recipients suppressed [%s]",
                       nobody_left ? "All" : "Too many", transaction->id);
        (void)smfi_setreply(ctx, code, status, text);
        return SMFIS_REJECT;
    }
    return SMFIS_CONTINUE;
}

static sfsistat on_end_of_message(SMFICTX *ctx, struct session *session)
{
    struct transaction *transaction;
    sfsistat status = SMFIS_CONTINUE;

    if (session == NULL || !session->transaction.open) {
        return SMFIS_CONTINUE;
    }
    transaction = &session->transaction;
    transaction_set_queue_id(transaction, macro(ctx, "i"));
    transaction_set_message_id(transaction, macro(ctx, "{msg_id}"));
    if (transaction->store_refused && !transaction->null_sender) {
        status =
            answer_tempfail(ctx, "Recipient list unavailable, try again later");
    } else if (transaction->suppressed_count > 0 ||
               transaction->suppressed_unkept > 0) {
        status = settle_suppressed(ctx, session);
    }
    if (status == SMFIS_CONTINUE) {
        session_report_end(services, session);
        session_trace_mark(ctx, services, session);
    }
    if (status == SMFIS_CONTINUE) {
        enum event_log_result result =
            session_event_received(services, session);

        if (!logged(session, result) && !transaction->null_sender) {
            status =
                answer_tempfail(ctx, "Event log unavailable, try again later");
        }
    }
    end_transaction(session);
    return status;
}

/* No waiting here: libmilter may hold a lock of its own. */
static sfsistat on_close(SMFICTX *ctx, struct session *session)
{
    if (session == NULL) {
        return SMFIS_CONTINUE;
    }
    end_transaction(session);
    atomic_fetch_sub(&services->metrics->sessions_open, 1);
    (void)smfi_setpriv(ctx, NULL);
    free(session->listener);
    free(session->client_ip);
    free(session->client_name);
    free(session->helo);
    free(session->auth_user);
    free(session->tls_version);
    free(session);
    return SMFIS_CONTINUE;
}

/* --- what libmilter calls: each counted while it runs ------------------- */

#define COUNTED(call)                                                          \
    sfsistat status;                                                           \
    atomic_fetch_add(&callbacks_running, 1);                                   \
    status = (call);                                                           \
    atomic_fetch_sub(&callbacks_running, 1);                                   \
    return status

static sfsistat call_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
    COUNTED(on_connect(ctx, session_of(ctx), name, address));
}

static sfsistat call_helo(SMFICTX *ctx, char *name)
{
    COUNTED(on_helo(ctx, session_of(ctx), name));
}

static sfsistat call_mail(SMFICTX *ctx, char **arguments)
{
    COUNTED(on_mail(ctx, session_of(ctx), arguments));
}

static sfsistat call_rcpt(SMFICTX *ctx, char **arguments)
{
    COUNTED(on_rcpt(ctx, session_of(ctx), arguments));
}

static sfsistat call_header(SMFICTX *ctx, char *name, char *value)
{
    COUNTED(on_header(session_of(ctx), name, value));
}

static sfsistat call_body(SMFICTX *ctx, unsigned char *chunk, size_t length)
{
    const struct text bytes = {(const char *)chunk, length};

    COUNTED(on_body(session_of(ctx), bytes));
}

static sfsistat call_end_of_message(SMFICTX *ctx)
{
    COUNTED(on_end_of_message(ctx, session_of(ctx)));
}

static sfsistat call_abort(SMFICTX *ctx)
{
    struct session *session = smfi_getpriv(ctx);

    if (session != NULL) {
        end_transaction(session);
    }
    return SMFIS_CONTINUE;
}

static sfsistat call_close(SMFICTX *ctx)
{
    COUNTED(on_close(ctx, smfi_getpriv(ctx)));
}

bool session_register(const struct session_services *given, struct error *error)
{
    char name[] = "nixie";
    struct smfiDesc description = {
        .xxfi_name = name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = SMFIF_DELRCPT | SMFIF_SETSYMLIST | SESSION_TRACE_ACTIONS,
        .xxfi_connect = call_connect,
        .xxfi_helo = call_helo,
        .xxfi_envfrom = call_mail,
        .xxfi_envrcpt = call_rcpt,
        .xxfi_header = call_header,
        .xxfi_body = call_body,
        .xxfi_eom = call_end_of_message,
        .xxfi_abort = call_abort,
        .xxfi_close = call_close,
        .xxfi_negotiate = negotiate,
    };

    services = given;
    if (smfi_register(description) != MI_SUCCESS) {
        error_set(error, "libmilter does not register: another version than "
                         "nixied was built with?");
        return false;
    }
    return true;
}
