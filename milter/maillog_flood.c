#include "maillog_flood.h"

#include "client_rate.h"
#include "clock.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

/* Lines that name no client are those of one: of no network that exists. */
#define NO_CLIENT "0.0.0.0"

struct maillog_flood {
    struct event_log *log;
    struct client_rates *rates;
};

struct maillog_flood *maillog_flood_new(struct event_log *log)
{
    struct maillog_flood *flood = calloc(1, sizeof *flood);

    if (flood == NULL) {
        return NULL;
    }
    flood->log = log;
    flood->rates = client_rates_new();
    if (flood->rates == NULL) {
        free(flood);
        return NULL;
    }
    return flood;
}

void maillog_flood_free(struct maillog_flood *flood)
{
    if (flood != NULL) {
        client_rates_free(flood->rates);
        free(flood);
    }
}

/* One event for all that a client had no line for: here it is of one type. */
static void sum_up(struct maillog_flood *flood,
                   const struct client_rate_sum *sum)
{
    for (size_t i = 0; i < CLIENT_RATE_TYPES; i++) {
        struct event event;

        if (sum->counts[i] == 0) {
            continue;
        }
        event_init(&event, client_rate_types[i], clock_now_us());
        event.origin = text_of("maillog");
        if (strcmp(sum->client_ip, NO_CLIENT) != 0) {
            event.client_ip = text_of(sum->client_ip);
        }
        event.aggregated = sum->counts[i];
        event.decided_by = text_of("mta");
        (void)event_log_append(flood->log, &event);
        log_info("many refusals of a client in the delivery log: client_ip=%s "
                 "aggregated=%lld",
                 sum->client_ip, (long long)sum->counts[i]);
    }
}

bool maillog_flood_has_line(struct maillog_flood *flood, int64_t rate,
                            const struct event *event)
{
    const int64_t now_us = clock_now_us();
    char client_ip[CLIENT_RATE_ADDRESS_SIZE];
    const struct client_rate_event told = {
        .client_ip = client_ip,
        .type = event->type,
        .rate = rate,
        /* a stamp of tomorrow would let nothing through until then */
        .now_us = event->timestamp_us < now_us ? event->timestamp_us : now_us,
    };
    struct client_rate_sum replaced;

    if (event->type != EVENT_REJECTION || event->auth_user.length > 0 ||
        event->client_ip.length >= sizeof client_ip) {
        return true;
    }
    (void)text_copy(event->client_ip.length > 0 ? event->client_ip
                                                : text_of(NO_CLIENT),
                    client_ip, sizeof client_ip);
    switch (client_rates_take(flood->rates, &told, &replaced)) {
    case CLIENT_RATE_WITHIN:
        return true;
    case CLIENT_RATE_REPLACED:
        sum_up(flood, &replaced);
        return true;
    case CLIENT_RATE_BEYOND:
        break;
    }
    return false;
}

void maillog_flood_sum_up(struct maillog_flood *flood)
{
    struct client_rate_sum sum;

    for (size_t left = client_rates_held(flood->rates);
         left > 0 && client_rates_next(flood->rates, &sum); left--) {
        sum_up(flood, &sum);
    }
}
