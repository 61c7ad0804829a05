#include "session_trace.h"

#include "client_network.h"
#include "clock.h"
#include "log.h"
#include "trace.h"

#include <stdio.h>
#include <string.h>

#define REMOVED_MAX 100 /* headers of our name in one message */

bool session_is_outgoing(const struct session *session)
{
    const struct settings *settings = session->settings;

    return settings != NULL && session->transaction.open &&
           !session->transaction.null_sender &&
           (session->auth_user != NULL || session->transaction.emulated ||
            (session->client_ip != NULL &&
             client_network_has(settings->outgoing_clients,
                                settings->outgoing_client_count,
                                text_of(session->client_ip))));
}

static bool may(const struct session *session, unsigned long actions)
{
    return (session->actions & actions) == actions;
}

/* From the last on, as each that goes renumbers those behind it. */
static void remove_foreign(SMFICTX *ctx, const struct session *session)
{
    char name[] = TRACE_HEADER;
    unsigned count = session->transaction.trace_headers;

    if (!may(session, SMFIF_CHGHDRS)) {
        return;
    }
    for (unsigned i = count < REMOVED_MAX ? count : REMOVED_MAX; i > 0; i--) {
        (void)smfi_chgheader(ctx, name, (int)i, NULL);
    }
}

static bool draw(const struct session_services *services,
                 const struct session *session, struct trace_mark *mark)
{
    const struct transaction *transaction = &session->transaction;
    struct trace_draft draft;

    if (!trace_draft_begin(&draft, services->trace_keys, clock_now_us())) {
        return false;
    }
    if (session->scope != NULL) {
        trace_draft_set_scope(&draft, session->scope->code);
    }
    for (size_t i = 0; i < transaction->recipient_count; i++) {
        const struct transaction_recipient *recipient =
            &transaction->recipients[i];

        if (recipient->suppressed == NULL) {
            trace_draft_add(&draft, text_of(recipient->address));
        }
    }
    if (transaction->accepted_unkept > 0) {
        trace_draft_add_unknown(&draft);
    }
    return trace_draft_end(&draft, mark);
}

/*
 * The sender as it is, with a parameter of ours. Postfix leaves the client's
 * as they are; Sendmail forgets those that are not given again.
 */
static void give_envelope_id(SMFICTX *ctx, struct session *session,
                             const struct trace_mark *mark)
{
    struct transaction *transaction = &session->transaction;
    char sender[TRANSACTION_ADDRESS_MAX + 2]; /* a sender that was cut: none */
    char parameters[sizeof "ENVID=" + TRACE_ENVELOPE_ID_SIZE +
                    TRANSACTION_PARAMETERS_MAX];
    int length;

    if (!may(session, SMFIF_CHGFROM) || transaction->has_envelope_id ||
        (!session->postfix && transaction->parameters_unkept)) {
        return;
    }
    length = snprintf(sender, sizeof sender, "<%s>", transaction->sender);
    if (length < 0 || (size_t)length >= sizeof sender) {
        return;
    }
    (void)stpcpy(stpcpy(stpcpy(parameters, "ENVID="), mark->envelope_id),
                 session->postfix ? "" : transaction->parameters);
    if (smfi_chgfrom(ctx, sender, parameters) == MI_SUCCESS) {
        transaction->envelope_id_length =
            text_copy(text_of(mark->envelope_id), transaction->envelope_id,
                      sizeof transaction->envelope_id);
    }
}

void session_trace_mark(SMFICTX *ctx, const struct session_services *services,
                        struct session *session)
{
    char name[] = TRACE_HEADER;
    struct trace_mark mark;

    if (!session_is_outgoing(session)) {
        return;
    }
    remove_foreign(ctx, session);
    if (services->trace_keys == NULL || !may(session, SMFIF_ADDHDRS) ||
        !draw(services, session, &mark)) {
        return;
    }
    if (smfi_insheader(ctx, 0, name, mark.header) != MI_SUCCESS) {
        log_warning("%s: the MTA does not let headers be inserted",
                    session->transaction.id);
        return;
    }
    (void)text_copy(text_of(mark.nonce), session->transaction.trace_nonce,
                    sizeof session->transaction.trace_nonce);
    give_envelope_id(ctx, session, &mark);
}
