#include "session_report.h"

#include "clock.h"
#include "log.h"
#include "mailbox.h"
#include "outcome.h"
#include "report.h"
#include "report_verdict.h"
#include "scope.h"
#include "smtp_reply.h"
#include "trace.h"

#include <stdatomic.h>
#include <string.h>
#include <strings.h>

/* Anybody may send such a one: of more recipients only their number is told. */
#define UNBELIEVED_TOLD 20

static atomic_size_t held; /* bytes in all readers */

static struct text known(const char *string)
{
    return string[0] == '\0' ? (struct text){NULL, 0} : text_of(string);
}

/* --- as the message passes ------------------------------------------------ */

/* False when all readers together hold too much. */
static bool note_size(struct session *session)
{
    size_t size = report_size(session->report);
    size_t total = atomic_fetch_add(&held, size - session->report_held) + size -
                   session->report_held;

    session->report_held = size;
    return total <= REPORTS_HELD_MAX;
}

void session_report_header(struct session *session, const char *name,
                           const char *value)
{
    if (session->report == NULL) {
        session->report = report_new(NULL);
    }
    if (session->report != NULL) {
        report_header(session->report, text_of(name), text_of(value));
        session->report_state = SESSION_REPORT_HEADERS;
    }
}

static void decide(struct session *session)
{
    if (session->report_state == SESSION_REPORT_HEADERS) {
        session->report_state =
            report_wants(session->report, session->transaction.null_sender) &&
                    note_size(session)
                ? SESSION_REPORT_BODY
                : SESSION_REPORT_NONE;
    }
}

bool session_report_body(struct session *session, struct text bytes)
{
    decide(session);
    if (session->report_state != SESSION_REPORT_BODY) {
        return false;
    }
    switch (report_body(session->report, bytes)) {
    case REPORT_MORE:
        if (note_size(session)) {
            return true;
        }
        break;
    case REPORT_ENOUGH:
        (void)note_size(session);
        break;
    case REPORT_NO_MEMORY:
        break;
    }
    session->report_state = SESSION_REPORT_READ;
    return false;
}

/* A connection that waits for its next message holds nothing. */
void session_report_reset(struct session *session)
{
    atomic_fetch_sub(&held, session->report_held);
    session->report_held = 0;
    report_free(session->report);
    session->report = NULL;
    session->report_state = SESSION_REPORT_IDLE;
}

/* --- what it says -------------------------------------------------------- */

/* A recipient of a report, while it becomes an event. */
struct telling {
    const struct session_services *services;
    const struct session *session;
    const struct report *report;
    const struct report_recipient *recipient;
    struct outcome_judge *judge;
    struct bounce_scratch *scratch;
    size_t unbelieved; /* so far */
    /* of the recipient at hand */
    struct mailbox original, final, marked;
    struct trace_result trace;
    struct verdict verdict;
    struct event event;
    struct outcome_facts facts;
};

/* "" when there is none. */
static void parse(const struct telling *telling, struct text address,
                  struct mailbox *mailbox)
{
    if (address.bytes == NULL ||
        mailbox_parse(address, &telling->session->settings->mailbox_rules,
                      mailbox) != MAILBOX_OK) {
        memset(mailbox, 0, sizeof *mailbox);
    }
}

/* --- whom it is about ----------------------------------------------------- */

/* Whether the domain stands in text as a whole, or as the end of another. */
static bool names_domain(struct text text, const char *domain)
{
    const size_t length = strlen(domain);

    for (size_t at = 0; length > 0 && at + length <= text.length; at++) {
        const char before = at == 0 ? '<' : text.bytes[at - 1];
        const char behind =
            at + length == text.length ? '>' : text.bytes[at + length];

        if (strncasecmp(text.bytes + at, domain, length) == 0 &&
            strchr("<.@ ", before) != NULL && strchr("> ", behind) != NULL) {
            return true;
        }
    }
    return false;
}

/*
 * A subscriber of a list has a copy with our mark, and its MTA may return that
 * for the list's address: of mail that went through the recipient's own list
 * nothing is believed.
 */
static bool is_list_of(const struct report *report, const char *domain)
{
    return report->returned.list_id.bytes != NULL &&
           names_domain(report->returned.list_id, domain);
}

static void check_trace(struct telling *telling)
{
    const struct report *report = telling->report;
    const struct text texts[] = {known(telling->original.address),
                                 known(telling->final.address)};
    struct text recipients[2];
    struct trace_evidence evidence = {
        .headers = report->returned.traces,
        .header_count = report->returned.trace_count,
        .envelope_id = report->envelope_id,
        .recipients = recipients,
    };

    for (size_t i = 0; i < 2; i++) {
        if (texts[i].bytes != NULL) {
            recipients[evidence.recipient_count++] = texts[i];
        }
    }
    memset(&telling->trace, 0, sizeof telling->trace);
    if (telling->services->trace_keys != NULL) {
        (void)trace_check(telling->services->trace_keys, &evidence,
                          clock_now_us(), &telling->trace);
    }
}

/* What the mark knows of its recipient; NULL: nothing. */
static const struct mailbox *marked_recipient(struct telling *telling)
{
    const struct mailbox_rules as_it_is = {.keep_local_case = true};
    const struct text recipient = {telling->trace.recipient,
                                   telling->trace.recipient_length};

    return recipient.length > 0 && mailbox_parse(recipient, &as_it_is,
                                                 &telling->marked) == MAILBOX_OK
               ? &telling->marked
               : NULL;
}

/* To whom it was sent: the mark knows, else it is what the report says. */
static bool take_recipient(struct telling *telling)
{
    const struct report_recipient *recipient = telling->recipient;
    struct event *event = &telling->event;
    const struct mailbox *named, *sent_to;

    parse(telling, recipient->original_recipient, &telling->original);
    parse(telling, recipient->final_recipient, &telling->final);
    check_trace(telling);
    named = telling->original.address[0] != '\0' ? &telling->original
                                                 : &telling->final;
    sent_to = marked_recipient(telling);
    if (is_list_of(telling->report,
                   sent_to == NULL ? named->domain : sent_to->domain)) {
        memset(&telling->trace, 0, sizeof telling->trace);
        sent_to = NULL;
    }
    sent_to = sent_to == NULL ? named : sent_to;
    event->recipient = known(sent_to->address);
    event->recipient_domain = known(sent_to->domain);
    if (telling->final.address[0] != '\0' &&
        strcmp(telling->final.address, sent_to->address) != 0) {
        event->final_recipient = text_of(telling->final.address);
    }
    return event->recipient.bytes != NULL &&
           event->recipient_domain.bytes != NULL;
}

/* --- what became of it ---------------------------------------------------- */

static bool begins(struct text text, char digit)
{
    return text.length > 0 && text.bytes[0] == digit;
}

/* False: it is no outcome, as "expanded". */
static bool take_type(const struct telling *telling, enum event_type *type)
{
    if (telling->report->kind == REPORT_FEEDBACK) {
        *type = EVENT_FEEDBACK;
        return true;
    }
    switch (telling->recipient->action) {
    case REPORT_ACTION_UNKNOWN:
    case REPORT_ACTION_FAILED:
        *type = EVENT_OUT_OF_BAND;
        return !begins(telling->recipient->status, '2');
    case REPORT_ACTION_DELAYED:
        *type = EVENT_DELAY;
        return true;
    case REPORT_ACTION_DELIVERED:
    case REPORT_ACTION_RELAYED:
        *type = EVENT_DELIVERY;
        return true;
    case REPORT_ACTION_EXPANDED:
        break;
    }
    return false;
}

/* Our own MTA's bounce, which it plays to us: its log tells the same. */
static bool is_own(const struct telling *telling)
{
    struct text reporting = telling->report->reporting_mta;
    const char *host = telling->session->mta_domain;

    return telling->session->transaction.emulated && reporting.bytes != NULL &&
           reporting.length == strlen(host) &&
           strncasecmp(reporting.bytes, host, reporting.length) == 0;
}

/* The rules say which of its texts tells why; they judge that text again. */
static void take_reply(struct telling *telling)
{
    const struct report_recipient *recipient = telling->recipient;
    struct verdict *verdict = &telling->verdict;
    struct event *event = &telling->event;
    struct text said = {NULL, 0};

    event->remote_mta = recipient->remote_mta;
    if (telling->report->kind == REPORT_FEEDBACK) {
        return;
    }
    report_verdict(telling->session->settings->rules, telling->scratch,
                   telling->report, recipient, verdict, &said);
    if (verdict->reply_code >= 200) {
        event->reply_code = verdict->reply_code;
    }
    event->enhanced_status = known(verdict->enhanced_status);
    if (said.length > 0) {
        event->diagnostic = said;
    }
    telling->facts.reply = said;
}

static void take_message(struct telling *telling)
{
    const struct report *report = telling->report;
    struct event *event = &telling->event;

    event->reporting_mta = report->reporting_mta;
    event->message_id = report->returned.message_id;
    event->envelope_id = report->envelope_id;
    event->sender = report->sender.bytes != NULL ? report->sender
                                                 : report->returned.return_path;
    if (is_own(telling) && report->queue_id.length > 0 &&
        report->queue_id.length <= TRANSACTION_QUEUE_ID_MAX) {
        event->queue_id = report->queue_id;
    }
    if (report->kind == REPORT_FEEDBACK) {
        event->feedback_type = report->feedback.type;
        event->feedback_agent = report->feedback.user_agent;
    }
}

/*
 * As the mark tells. Of a scope that is no longer configured only that there
 * was one is known: then whoever complains gets no mail at all, rather than
 * what it complained about.
 */
static void take_scope(struct telling *telling)
{
    const struct scope *scope =
        telling->trace.scope == 0
            ? NULL
            : scope_of_code(telling->session->settings, telling->trace.scope);

    if (scope != NULL) {
        telling->event.scope = text_of(scope->name);
    } else if (telling->trace.scope != 0) {
        log_info("%s: a report about mail of a scope that is not configured: "
                 "goes by the list for all",
                 telling->session->transaction.id);
    }
}

static void take_belief(struct telling *telling)
{
    const struct settings *settings = telling->session->settings;
    const enum trace_class class = telling->trace.class;
    const bool told_by_log = is_own(telling) && settings->maillog[0] != NULL;
    /* its one recipient, made unreadable: nobody else complains of it */
    const bool redacted = telling->report->kind == REPORT_FEEDBACK &&
                          telling->report->feedback.redacted &&
                          telling->trace.recovered;

    telling->facts.believed = class != TRACE_NONE && !told_by_log;
    telling->facts.soft = class == TRACE_CORRELATED;
    telling->facts.shared = class == TRACE_SHARED && !redacted;
    telling->event.trace = text_of(trace_class_name(class));
    if (telling->facts.believed) { /* without, it counts nowhere */
        telling->event.trace_id = known(telling->trace.replay_key);
    }
}

static void tell(struct telling *telling)
{
    const struct session *session = telling->session;
    struct event *event = &telling->event;
    enum event_type type;

    if (!take_type(telling, &type)) {
        return;
    }
    event_init(event, type, clock_now_us());
    memset(&telling->facts, 0, sizeof telling->facts);
    event->origin = text_of("report");
    event->session_id = text_of(session->id);
    event->transaction_id = text_of(session->transaction.id);
    if (!take_recipient(telling)) {
        return;
    }
    take_belief(telling);
    take_scope(telling);
    if (telling->trace.class == TRACE_NONE &&
        ++telling->unbelieved > UNBELIEVED_TOLD) {
        return;
    }
    take_message(telling);
    take_reply(telling);
    if (type != EVENT_DELIVERY) {
        event->decided_by = text_of("remote");
    }
    outcome_judge(telling->judge, &telling->facts, event);
    (void)event_log_append(telling->services->log, event);
}

/* A complaint may name nobody: then the mark does. */
static void tell_each(struct telling *telling)
{
    static const struct report_recipient nobody;
    const struct report *report = telling->report;

    for (size_t i = 0; i < report->recipient_count; i++) {
        telling->recipient = &report->recipients[i];
        tell(telling);
    }
    if (report->recipient_count == 0) {
        telling->recipient = &nobody;
        tell(telling);
    }
    if (telling->unbelieved > UNBELIEVED_TOLD) {
        log_info("%s: recipients_without_event=%zu: a report without a mark "
                 "of ours names many",
                 telling->session->transaction.id,
                 telling->unbelieved - UNBELIEVED_TOLD);
    }
}

static void tell_all(const struct session_services *services,
                     const struct session *session, const struct report *report)
{
    const struct outcome_judge_options options = {
        .settings = services->settings,
        .list = services->list,
        .unclassified = services->unclassified,
    };
    struct telling telling = {
        .services = services, .session = session, .report = report};

    if (session->settings->rules != NULL) {
        telling.scratch = bounce_scratch_new(session->settings->rules);
    }
    telling.judge = outcome_judge_new(&options);
    if (telling.judge != NULL && telling.scratch != NULL) {
        tell_each(&telling);
    } else {
        log_error("%s: a report was not read: no memory, or no bounce rules",
                  session->transaction.id);
    }
    outcome_judge_free(telling.judge);
    bounce_scratch_free(telling.scratch);
}

void session_report_end(const struct session_services *services,
                        struct session *session)
{
    struct report report;

    /* without a body there is nothing to read */
    if (session->report_state != SESSION_REPORT_BODY &&
        session->report_state != SESSION_REPORT_READ) {
        return;
    }
    if (!report_end(session->report, &report)) {
        log_error("%s: a report was not read: out of memory",
                  session->transaction.id);
        return;
    }
    if (report.kind != REPORT_NONE) {
        tell_all(services, session, &report);
    }
    report_clear(&report);
}
