#include "clock.h"
#include "command_privacy.h"
#include "command_tail.h"
#include "reason.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 400

static const char *const origins[] = {
    "session", "report", "maillog", "redis", "command", "policy",
};

/* --- which events ------------------------------------------------------ */

struct text command_tail_recipient(const struct event *event)
{
    return event->recipient.bytes != NULL ? event->recipient
                                          : event->suppression_pattern;
}

/* By the name that was typed, or its pseudonym. */
static bool is_of_recipient(const struct tail_filter *filter,
                            const struct event *event)
{
    struct text recipient = command_tail_recipient(event);

    return text_is(recipient, filter->recipient.text) ||
           (filter->pseudonym.kind != MAILBOX_PATTERN_INVALID &&
            text_is(recipient, filter->pseudonym.text));
}

/* The domain of the recipient, or of the pattern of a change. */
static bool is_of_domain(const struct event *event, const char *domain)
{
    struct text pattern = event->suppression_pattern;
    const char *at = pattern.length == 0
                         ? NULL
                         : memrchr(pattern.bytes, '@', pattern.length);

    if (event->recipient_domain.bytes != NULL) {
        return text_is(event->recipient_domain, domain);
    }
    return at != NULL &&
           text_is(
               (struct text){at + 1,
                             (size_t)(pattern.bytes + pattern.length - at) - 1},
               domain);
}

static bool is_in_time(const struct tail_filter *filter,
                       const struct event *event)
{
    return (filter->since_us == 0 || event->timestamp_us >= filter->since_us) &&
           (filter->until_us == 0 || event->timestamp_us < filter->until_us);
}

/* Some records are for programs, unless they are asked for. */
static bool is_for_programs(enum event_type type)
{
    return type == EVENT_LOG_OPEN || type == EVENT_HEARTBEAT ||
           type == EVENT_MARK;
}

bool tail_filter_wants(const struct tail_filter *filter,
                       const struct event *event)
{
    if (filter->has_types
            ? !filter->types[event->type]
            : filter->for_people && is_for_programs(event->type)) {
        return false;
    }
    return is_in_time(filter, event) &&
           (!filter->has_recipient || is_of_recipient(filter, event)) &&
           (filter->domain[0] == '\0' || is_of_domain(event, filter->domain)) &&
           (filter->reason == NULL || text_is(event->reason, filter->reason) ||
            text_is(event->suppression_reason, filter->reason)) &&
           (filter->origin == NULL || text_is(event->origin, filter->origin)) &&
           (filter->queue_id == NULL ||
            text_is(event->queue_id, filter->queue_id));
}

/* --- from the options -------------------------------------------------- */

/* Changes of a list have a pattern in its place, so that one will do too. */
static bool take_recipient(struct tail_filter *filter,
                           const struct command_call *call,
                           const char *recipient)
{
    const struct mailbox_rules *rules = &call->settings->mailbox_rules;
    char escaped[SHOWN_MAX];
    struct mailbox mailbox;

    struct pseudonym_key key;

    filter->has_recipient = true;
    (void)text_escape(text_of(recipient), escaped, sizeof escaped);
    if (mailbox_parse_pattern(text_of(recipient), rules, &filter->recipient) !=
        MAILBOX_PATTERN_INVALID) {
        if (strchr(recipient, '@') == NULL) {
            command_complain(call,
                             "\"%s\" has no @: only recipients without a "
                             "domain are shown; write %s@example.org",
                             escaped, escaped);
        }
        (void)command_pseudonym_pattern(command_pseudonyms(call, &key),
                                        &filter->recipient, &filter->pseudonym);
        pseudonym_key_clear(&key);
        return true;
    }
    if (mailbox_parse(text_of(recipient), rules, &mailbox) == MAILBOX_LONG) {
        command_complain(call,
                         "--recipient takes an address of at most %d bytes",
                         MAILBOX_MAX);
    } else {
        command_complain(call, "\"%s\" is no mailbox; write ann@example.org",
                         escaped);
    }
    return false;
}

static bool take_type(struct tail_filter *filter,
                      const struct command_call *call, struct text name)
{
    enum event_type type;
    char escaped[SHOWN_MAX];

    if (!event_type_parse(name, &type)) {
        command_complain(call,
                         "no event has the type \"%s\"; write reception, "
                         "rejection, suppressed, ...",
                         text_escape(name, escaped, sizeof escaped));
        return false;
    }
    filter->has_types = true;
    filter->types[type] = true;
    return true;
}

/* "bounce,expiration" */
static bool take_types(struct tail_filter *filter,
                       const struct command_call *call, const char *names)
{
    for (;;) {
        const size_t length = strcspn(names, ",");

        if (!take_type(filter, call, (struct text){names, length})) {
            return false;
        }
        if (names[length] == '\0') {
            return true;
        }
        names += length + 1;
    }
}

static bool take_domain(struct tail_filter *filter,
                        const struct command_call *call, const char *domain)
{
    char escaped[SHOWN_MAX];

    if (mailbox_parse_domain(text_of(domain + (domain[0] == '@' ? 1 : 0)),
                             filter->domain)) {
        return true;
    }
    command_complain(call, "\"%s\" is no domain; write example.org",
                     text_escape(text_of(domain), escaped, sizeof escaped));
    return false;
}

static bool take_origin(struct tail_filter *filter,
                        const struct command_call *call, const char *origin)
{
    char escaped[SHOWN_MAX];

    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        if (strcmp(origins[i], origin) == 0) {
            filter->origin = origins[i];
            return true;
        }
    }
    command_complain(
        call,
        "no event has the origin \"%s\"; write session, report, maillog, "
        "redis, command or policy",
        text_escape(text_of(origin), escaped, sizeof escaped));
    return false;
}

/* A day, a moment, or how long ago. */
static bool take_time(const struct command_call *call, const char *option,
                      const char *value, int64_t now_us, int64_t *us)
{
    char escaped[SHOWN_MAX];
    int64_t seconds;

    if (clock_parse_duration(value, &seconds)) {
        *us = now_us - seconds * 1000000;
        return true;
    }
    if (command_time(value, us)) {
        return true;
    }
    command_complain(
        call,
        "--%s \"%s\": write 2026-12-24, 2026-12-24T18:00:00Z, or how long "
        "ago, such as 90m or 2d",
        option, text_escape(text_of(value), escaped, sizeof escaped));
    return false;
}

static bool take_times(struct tail_filter *filter,
                       const struct command_call *call, int64_t now_us)
{
    const char *since = command_value(call, "since");
    const char *until = command_value(call, "until");

    if ((since != NULL &&
         !take_time(call, "since", since, now_us, &filter->since_us)) ||
        (until != NULL &&
         !take_time(call, "until", until, now_us, &filter->until_us))) {
        return false;
    }
    if (since != NULL && until != NULL &&
        filter->since_us >= filter->until_us) {
        command_complain(call, "--since is not before --until");
        return false;
    }
    return true;
}

bool tail_filter_take(struct tail_filter *filter,
                      const struct command_call *call, int64_t now_us)
{
    const char *types = command_value(call, "type");
    const char *recipient = command_value(call, "recipient");
    const char *domain = command_value(call, "domain");
    const char *origin = command_value(call, "origin");

    memset(filter, 0, sizeof *filter);
    filter->for_people = !call->json;
    filter->reason = command_value(call, "reason");
    filter->queue_id = command_value(call, "queue-id");
    if ((types != NULL && !take_types(filter, call, types)) ||
        (recipient != NULL && !take_recipient(filter, call, recipient)) ||
        (domain != NULL && !take_domain(filter, call, domain)) ||
        (origin != NULL && !take_origin(filter, call, origin)) ||
        !take_times(filter, call, now_us)) {
        return false;
    }
    filter->any = types != NULL || recipient != NULL || domain != NULL ||
                  origin != NULL || filter->reason != NULL ||
                  filter->queue_id != NULL || filter->since_us != 0 ||
                  filter->until_us != 0;
    return true;
}
