#include "session_report.h"

#include "clock.h"
#include "log.h"
#include "outcome.h"
#include "report.h"
#include "report_belief.h"
#include "report_verdict.h"
#include "scope.h"
#include "smtp_reply.h"

#include <stdatomic.h>
#include <string.h>
#include <strings.h>

/* Anybody may send such a one: of more recipients only their number is told. */
#define UNBELIEVED_TOLD 20

/* A flood is told of so often. */
#define CROWDED_TOLD_US INT64_C(60000000)

static atomic_size_t held; /* bytes in all readers */

/* Reports that were cut short since that was told of, and when it was. */
static atomic_ullong crowded;
static _Atomic int64_t crowded_told_us;

size_t session_report_bytes(void)
{
    return atomic_load(&held);
}

/* --- as the message passes ------------------------------------------------ */

/* Too many at once: of these the headers count, and what was held by then. */
static void tell_crowded(const struct session *session)
{
    const int64_t now_us = clock_monotonic_us();
    int64_t told_us = atomic_load(&crowded_told_us);

    atomic_fetch_add(&crowded, 1);
    if ((told_us == 0 || now_us - told_us >= CROWDED_TOLD_US) &&
        atomic_compare_exchange_strong(&crowded_told_us, &told_us, now_us)) {
        log_warning("%s: reports_not_held=%llu: all messages together hold "
                    "%zu bytes, the rest of their bodies is not read",
                    session->transaction.id, atomic_exchange(&crowded, 0),
                    REPORTS_HELD_MAX);
    }
}

/* False when all readers together hold too much. */
static bool note_size(struct session *session)
{
    size_t size = report_size(session->report);
    size_t total = atomic_fetch_add(&held, size - session->report_held) + size -
                   session->report_held;

    session->report_held = size;
    if (total > REPORTS_HELD_MAX) {
        tell_crowded(session);
        return false;
    }
    return true;
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
    struct report_belief belief;
    struct verdict verdict;
    struct event event;
    struct outcome_facts facts;
};

static struct text other_than_sent_to(const struct report_belief *belief,
                                      const struct mailbox *mailbox)
{
    return strcmp(mailbox->address, belief->sent_to->address) != 0
               ? text_known(mailbox->address)
               : text_of(NULL);
}

/* False: nobody is named, or in no form of a mailbox. */
static bool take_recipient(struct telling *telling)
{
    const struct report_believer believer = {
        .keys = telling->services->trace_keys,
        .rules = &telling->session->settings->mailbox_rules,
        .now_us = clock_now_us(),
    };
    struct report_belief *belief = &telling->belief;
    struct event *event = &telling->event;

    report_believe(&believer, telling->report, telling->recipient, belief);
    event->recipient = text_known(belief->sent_to->address);
    event->recipient_domain = text_known(belief->sent_to->domain);
    event->final_recipient = other_than_sent_to(belief, &belief->final);
    if (event->final_recipient.bytes == NULL) {
        event->final_recipient = other_than_sent_to(belief, &belief->actual);
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
    event->enhanced_status = text_known(verdict->enhanced_status);
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
        telling->belief.trace.scope == 0
            ? NULL
            : scope_of_code(telling->session->settings,
                            telling->belief.trace.scope);

    if (scope != NULL) {
        telling->event.scope = text_of(scope->name);
    } else if (telling->belief.trace.scope != 0) {
        log_info("%s: a report about mail of a scope that is not configured: "
                 "goes by the list for all",
                 telling->session->transaction.id);
    }
}

static void take_belief(struct telling *telling)
{
    const struct settings *settings = telling->session->settings;
    const enum trace_class class = telling->belief.trace.class;
    const bool told_by_log = is_own(telling) && settings->maillog[0] != NULL;
    /* its one recipient, made unreadable: nobody else complains of it */
    const bool redacted = telling->report->kind == REPORT_FEEDBACK &&
                          telling->report->feedback.redacted &&
                          telling->belief.trace.recovered;

    telling->facts.believed = class != TRACE_NONE && !told_by_log;
    telling->facts.soft = class == TRACE_CORRELATED;
    telling->facts.shared = class == TRACE_SHARED && !redacted;
    telling->event.trace = text_of(trace_class_name(class));
    if (telling->facts.believed) { /* without, it counts nowhere */
        telling->event.trace_id = text_known(telling->belief.trace.replay_key);
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
    if (telling->belief.trace.class == TRACE_NONE &&
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
        metrics_add(&services->metrics->reports_failed, 1);
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
        metrics_add(&services->metrics->reports_failed, 1);
        log_error("%s: a report was not read: out of memory",
                  session->transaction.id);
        return;
    }
    metrics_add(&services->metrics->reports[report.kind], 1);
    if (report.kind != REPORT_NONE) {
        tell_all(services, session, &report);
    }
    report_clear(&report);
}
