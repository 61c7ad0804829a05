#include "quarantine_event.h"

#include "clock.h"
#include "log.h"

#include <string.h>

#define US_PER_SECOND INT64_C(1000000)
#define SHOWN_SIZE    400 /* an address, most of it escaped */

/* A time into buffer; unknown if it is. */
static struct text time_text(int64_t us, char buffer[CLOCK_TIMESTAMP_SIZE])
{
    if (us == 0) {
        return text_of(NULL);
    }
    clock_format(us, buffer);
    return text_of(buffer);
}

/* Queue ids are letters and digits; what else stands in Redis is none. */
static struct text queue_id(const struct quarantine_due *due)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789";

    return due->queue_id[strspn(due->queue_id, allowed)] == '\0'
               ? text_known(due->queue_id)
               : text_of(NULL);
}

static void begin(struct event *event, enum event_type type, int64_t now_us,
                  const struct quarantine_due *due)
{
    event_init(event, type, now_us);
    event->origin = text_of("policy");
    event->recipient = due->address;
    event->recipient_domain = text_known(due->mailbox.domain);
    event->suppression_pattern = due->address;
    event->scope = due->scope;
}

enum failure_type quarantine_failure_type(const struct quarantine_due *due,
                                          enum reason reason)
{
    const struct reason_facts *facts = reason_facts(reason);

    /* the message of what is only a matter of time was given up */
    return facts->group == REASON_GROUP_TRANSIENT ||
                   (facts->failure_type == FAILURE_TYPE_HARD && due->temporary)
               ? FAILURE_TYPE_SOFT
               : facts->failure_type;
}

static void tell_added(const struct event *event)
{
    char recipient[SHOWN_SIZE];
    struct text until = event->suppression_expires_at;

    log_info("policy: suppressed: recipient=<%s>%s%.*s reason=%s "
             "failure_type=%s expires_at=%s",
             text_escape(event->recipient, recipient, sizeof recipient),
             event->scope.length > 0 ? " scope=" : "", (int)event->scope.length,
             event->scope.length > 0 ? event->scope.bytes : "",
             event->reason.bytes, event->failure_type.bytes,
             until.bytes == NULL ? "never" : until.bytes);
}

enum event_log_result quarantine_event_added(struct event_log *log,
                                             int64_t now_us,
                                             const struct quarantine_due *due,
                                             enum reason reason,
                                             int64_t release_s)
{
    char now[CLOCK_TIMESTAMP_SIZE];
    char until[CLOCK_TIMESTAMP_SIZE];
    struct event event;
    enum event_log_result result;

    begin(&event, EVENT_SUPPRESSION_ADDED, now_us, due);
    event.queue_id = queue_id(due);
    event.message_id = text_known(due->message_id);
    event.reason = text_of(reason_name(reason));
    event.failure_type =
        text_of(failure_type_name(quarantine_failure_type(due, reason)));
    event.strikes = due->strikes;
    event.suppression_reason = event.reason;
    event.suppression_origin = text_of("policy");
    event.suppression_added_at = time_text(now_us, now);
    if (release_s >= 0) {
        event.suppression_expires_at =
            time_text(now_us + release_s * US_PER_SECOND, until);
    }
    if (due->evidence_length > 0) {
        event.suppression_evidence =
            (struct text){due->evidence, due->evidence_length};
    }
    result = event_log_append(log, &event);
    tell_added(&event);
    return result;
}

enum event_log_result
quarantine_event_withheld(struct event_log *log, int64_t now_us,
                          const struct quarantine_due *due,
                          const char *withheld_by)
{
    char recipient[SHOWN_SIZE];
    char value[128];
    struct event event;
    enum event_log_result result;
    enum reason reason;

    begin(&event, EVENT_SUPPRESSION_WITHHELD, now_us, due);
    event.queue_id = queue_id(due);
    event.message_id = text_known(due->message_id);
    event.strikes = due->strikes;
    event.withheld_by = text_of(withheld_by);
    if (reason_parse(due->reason, &reason)) {
        event.reason = text_of(reason_name(reason));
        event.failure_type =
            text_of(failure_type_name(quarantine_failure_type(due, reason)));
        event.suppression_reason = event.reason;
    }
    result = event_log_append(log, &event);
    log_info("policy: withheld: recipient=<%s> reason=\"%s\" "
             "withheld_by=%s",
             text_escape(due->address, recipient, sizeof recipient),
             text_escape(due->value, value, sizeof value), withheld_by);
    return result;
}

enum event_log_result quarantine_event_domain(struct event_log *log,
                                              int64_t now_us,
                                              const struct quarantine_due *due)
{
    bool down = text_is(due->value, "down");
    char since[CLOCK_TIMESTAMP_SIZE];
    char domain[SHOWN_SIZE];
    struct event event;
    enum event_log_result result;
    enum reason reason;

    event_init(&event, down ? EVENT_DOMAIN_DOWN : EVENT_DOMAIN_UP, now_us);
    event.origin = text_of("maillog");
    event.recipient_domain = text_of(due->mailbox.domain);
    event.first_attempt_at =
        time_text(down ? due->failing_us : due->down_us, since);
    if (down && reason_parse(text_of(due->failure_reason), &reason)) {
        event.reason = text_of(reason_name(reason));
    }
    result = event_log_append(log, &event);
    log_write(down ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              "destination %s: domain=%s since=%s%s%s",
              down ? "takes no mail" : "takes mail again",
              text_escape(event.recipient_domain, domain, sizeof domain),
              event.first_attempt_at.bytes == NULL
                  ? "unknown"
                  : event.first_attempt_at.bytes,
              event.reason.bytes == NULL ? "" : " reason=",
              event.reason.bytes == NULL ? "" : event.reason.bytes);
    return result;
}

static void tell_breaker(bool opened, const struct event *event)
{
    const char *reason = event->reason.bytes;
    char domain[SHOWN_SIZE] = "*";

    if (event->recipient_domain.bytes != NULL) {
        (void)text_escape(event->recipient_domain, domain, sizeof domain);
    }
    if (opened) {
        log_warning("policy: failures spike, nobody is suppressed for "
                    "them: domain=%s reason=%s until=%s",
                    domain, reason, event->expires_at.bytes);
    } else {
        log_info("policy: the pause after a spike is over: domain=%s "
                 "reason=%s",
                 domain, reason);
    }
}

enum event_log_result
quarantine_event_breaker(struct event_log *log, int64_t now_us, bool opened,
                         const struct quarantine_breaker *breaker)
{
    char until[CLOCK_TIMESTAMP_SIZE];
    struct event event;
    enum event_log_result result;

    event_init(&event, opened ? EVENT_BREAKER_OPENED : EVENT_BREAKER_CLOSED,
               now_us);
    event.origin = text_of("policy");
    event.recipient_domain = text_known(breaker->domain);
    event.reason = text_of(reason_name(breaker->reason));
    if (opened) {
        event.expires_at = time_text(breaker->expires_us, until);
    }
    result = event_log_append(log, &event);
    tell_breaker(opened, &event);
    return result;
}
