#include "event.h"

#include <pthread.h>
#include <string.h>

/* clang-format off: it knows no rows */
#define MEMBER(member, kind, limit, opening)                                   \
    {#member, sizeof #member - 1, kind, offsetof(struct event, member), limit, \
     opening},
#define TEXT(member, limit)                                                    \
    MEMBER(member, EVENT_MEMBER_TEXT, limit, ",\"" #member "\":\"")
#define INTEGER(member)                                                        \
    MEMBER(member, EVENT_MEMBER_INTEGER, 0, ",\"" #member "\":")
#define BOOLEAN(member)                                                        \
    MEMBER(member, EVENT_MEMBER_BOOLEAN, 0, ",\"" #member "\":")
/* clang-format on */

const struct event_member event_members[] = {
    EVENT_ROWS(TEXT, INTEGER, BOOLEAN)};
const size_t event_member_count =
    sizeof event_members / sizeof event_members[0];

static const struct type_row {
    const char *name;
    bool outcome;
} types[EVENT_TYPES] = {
    [EVENT_RECEPTION] = {"reception", true},
    [EVENT_REJECTION] = {"rejection", true},
    [EVENT_SUPPRESSED] = {"suppressed", true},
    [EVENT_WOULD_SUPPRESS] = {"would_suppress", true},
    [EVENT_DELIVERY] = {"delivery", true},
    [EVENT_DELAY] = {"delay", true},
    [EVENT_BOUNCE] = {"bounce", true},
    [EVENT_EXPIRATION] = {"expiration", true},
    [EVENT_OUT_OF_BAND] = {"out_of_band", true},
    [EVENT_FEEDBACK] = {"feedback", true},
    [EVENT_SUPPRESSION_ADDED] = {"suppression_added", true},
    [EVENT_SUPPRESSION_UPDATED] = {"suppression_updated", true},
    [EVENT_SUPPRESSION_REMOVED] = {"suppression_removed", true},
    [EVENT_SUPPRESSION_WITHHELD] = {"suppression_withheld", true},
    [EVENT_ALLOW_ADDED] = {"allow_added", true},
    [EVENT_ALLOW_REMOVED] = {"allow_removed", true},
    [EVENT_BREAKER_OPENED] = {"breaker_opened", true},
    [EVENT_BREAKER_CLOSED] = {"breaker_closed", true},
    [EVENT_DOMAIN_DOWN] = {"domain_down", true},
    [EVENT_DOMAIN_UP] = {"domain_up", true},
    [EVENT_RECIPIENT_FORGOTTEN] = {"recipient_forgotten", true},
    [EVENT_LOG_OPEN] = {"log_open", false},
    [EVENT_HEARTBEAT] = {"heartbeat", false},
    [EVENT_GAP] = {"gap", false},
    [EVENT_MARK] = {"mark", false},
    [EVENT_STORE_DEGRADED] = {"store_degraded", false},
    [EVENT_STORE_RECOVERED] = {"store_recovered", false},
};

static struct event unknown_event; /* set once: it is copied very often */

static void make_unknown(void)
{
    for (size_t i = 0; i < event_member_count; i++) {
        if (event_members[i].kind != EVENT_MEMBER_TEXT) {
            int64_t unknown = EVENT_UNKNOWN;

            memcpy((char *)&unknown_event + event_members[i].offset, &unknown,
                   sizeof unknown);
        }
    }
}

void event_init(struct event *event, enum event_type type, int64_t timestamp_us)
{
    static pthread_once_t made = PTHREAD_ONCE_INIT;

    (void)pthread_once(&made, make_unknown);
    *event = unknown_event;
    event->type = type;
    event->timestamp_us = timestamp_us;
}

const char *event_type_name(enum event_type type)
{
    return types[type].name;
}

bool event_type_parse(struct text name, enum event_type *type)
{
    for (size_t i = 0; i < EVENT_TYPES; i++) {
        if (text_is(name, types[i].name)) {
            *type = (enum event_type)i;
            return true;
        }
    }
    return false;
}

bool event_type_is_outcome(enum event_type type)
{
    return types[type].outcome;
}
