#include "maillog_flood.h"

#include "client_rate.h"
#include "clock.h"
#include "maillog_position.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines that name no client are those of one: of no network that exists. */
#define NO_CLIENT "0.0.0.0"

struct maillog_flood {
    struct client_rates *rates;
    int64_t replaced; /* of clients that had to make room */
    char position[MAILLOG_POSITION_SIZE + 12]; /* behind the last one */
    char client_ip[CLIENT_RATE_ADDRESS_SIZE];
    char clients[EVENT_DIAGNOSTIC_MAX + 1]; /* each, and how many of it */
    size_t clients_length;
};

struct maillog_flood *maillog_flood_new(void)
{
    struct maillog_flood *flood = calloc(1, sizeof *flood);

    if (flood == NULL) {
        return NULL;
    }
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

/* Of all types: here it is of one. */
static int64_t count_of(const struct client_rate_sum *sum)
{
    int64_t count = 0;

    for (size_t i = 0; i < CLIENT_RATE_TYPES; i++) {
        count += sum->counts[i];
    }
    return count;
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
        flood->replaced += count_of(&replaced);
        return true;
    case CLIENT_RATE_BEYOND:
        break;
    }
    (void)text_copy(event->maillog_position, flood->position,
                    sizeof flood->position);
    return false;
}

/* "192.0.2.1: 302, 192.0.2.9: 55", as far as there is room. */
static void add_client(struct maillog_flood *flood,
                       const struct client_rate_sum *client)
{
    size_t room = sizeof flood->clients - flood->clients_length;
    int length =
        snprintf(flood->clients + flood->clients_length, room, "%s%s: %" PRId64,
                 flood->clients_length > 0 ? ", " : "", client->client_ip,
                 count_of(client));

    if (length > 0 && (size_t)length < room) {
        flood->clients_length += (size_t)length;
    }
}

bool maillog_flood_sum_up(struct maillog_flood *flood, struct event *sum)
{
    struct client_rate_sum client;
    size_t clients = flood->replaced > 0 ? 2 : 0;
    int64_t all = flood->replaced;

    flood->replaced = 0;
    flood->clients_length = 0;
    for (; client_rates_next(flood->rates, &client); clients++) {
        add_client(flood, &client);
        all += count_of(&client);
        memcpy(flood->client_ip, client.client_ip, sizeof flood->client_ip);
    }
    if (all == 0) {
        return false;
    }
    event_init(sum, EVENT_REJECTION, clock_now_us());
    sum->origin = text_of("maillog");
    if (clients == 1 && strcmp(flood->client_ip, NO_CLIENT) != 0) {
        sum->client_ip = text_of(flood->client_ip);
    } else if (clients > 1) {
        sum->diagnostic = (struct text){flood->clients, flood->clients_length};
    }
    sum->aggregated = all;
    sum->decided_by = text_of("mta");
    sum->maillog_position = text_of(flood->position);
    return true;
}
