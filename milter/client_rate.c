#include "client_rate.h"

#include "text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SLOTS         8192 /* twice the clients: short chains */
#define NOBODY        CLIENT_RATE_CLIENTS
#define US_PER_SECOND INT64_C(1000000)

/* A bucket holds what one second gives, so that a burst may be as long. */
#define BUCKET_SECONDS 1

/* An IPv6 network, or an IPv4 address in its mapped form. */
struct network {
    uint64_t high, low;
};

struct client {
    struct network network;
    int64_t seen_us;
    int64_t level; /* millionths of an event that it may still cause */
    size_t next;   /* in the slot, or of those that are unused */
    size_t older, newer;
    size_t held_before, held_after; /* among those with a sum */
    bool holds;
    struct client_rate_sum sum;
};

struct client_rates {
    pthread_mutex_t lock; /* guards all below */
    uint64_t seed;        /* strangers choose addresses, not slots */
    size_t oldest, newest, unused;
    size_t first_held, last_held; /* with a sum, in the order of its making */
    size_t held_count;
    uint64_t replaced;
    size_t slots[SLOTS];
    struct client clients[CLIENT_RATE_CLIENTS];
};

const enum event_type client_rate_types[CLIENT_RATE_TYPES] = {
    EVENT_REJECTION, EVENT_SUPPRESSED, EVENT_WOULD_SUPPRESS};

struct client_rates *client_rates_new(void)
{
    struct client_rates *rates = calloc(1, sizeof *rates);

    if (rates == NULL ||
        getrandom(&rates->seed, sizeof rates->seed, 0) !=
            (ssize_t)sizeof rates->seed ||
        pthread_mutex_init(&rates->lock, NULL) != 0) {
        free(rates);
        return NULL;
    }
    rates->oldest = NOBODY;
    rates->newest = NOBODY;
    rates->first_held = NOBODY;
    rates->last_held = NOBODY;
    for (size_t i = 0; i < SLOTS; i++) {
        rates->slots[i] = NOBODY;
    }
    for (size_t i = 0; i < CLIENT_RATE_CLIENTS; i++) {
        rates->clients[i].next = i + 1; /* the last: NOBODY */
    }
    return rates;
}

void client_rates_free(struct client_rates *rates)
{
    if (rates != NULL) {
        (void)pthread_mutex_destroy(&rates->lock);
        free(rates);
    }
}

/* --- addresses --------------------------------------------------------- */

static uint64_t number_of(const unsigned char bytes[8])
{
    uint64_t number = 0;

    for (size_t i = 0; i < 8; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

/* False: no address, or one of this host. */
static bool find_network(const char *client_ip, struct network *network)
{
    const uint64_t mapped = UINT64_C(0xffff00000000); /* RFC 4291 2.5.5.2 */
    const uint64_t loopback = mapped | UINT64_C(0x7f000000);
    struct in6_addr address;
    struct in_addr ipv4;

    if (client_ip == NULL) {
        return false;
    }
    if (inet_pton(AF_INET, client_ip, &ipv4) == 1) {
        *network = (struct network){0, mapped | ntohl(ipv4.s_addr)};
    } else if (inet_pton(AF_INET6, client_ip, &address) == 1) {
        *network = (struct network){number_of(address.s6_addr),
                                    number_of(address.s6_addr + 8)};
    } else {
        return false;
    }
    if (network->high != 0) {
        network->low = 0;
        return true;
    }
    return network->low != 1 &&
           (network->low & ~UINT64_C(0xffffff)) != loopback;
}

/* splitmix64's last steps, twice. */
static uint64_t mix(uint64_t number)
{
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

static size_t *slot_of(struct client_rates *rates,
                       const struct network *network)
{
    uint64_t sum = mix(mix(rates->seed ^ network->high) ^ network->low);

    return &rates->slots[sum % SLOTS];
}

/* --- the table --------------------------------------------------------- */

static size_t find(struct client_rates *rates, const struct network *network)
{
    size_t at = *slot_of(rates, network);

    while (at != NOBODY && (rates->clients[at].network.high != network->high ||
                            rates->clients[at].network.low != network->low)) {
        at = rates->clients[at].next;
    }
    return at;
}

static void take_from_slot(struct client_rates *rates, size_t at)
{
    size_t *link = slot_of(rates, &rates->clients[at].network);

    while (*link != at) {
        link = &rates->clients[*link].next;
    }
    *link = rates->clients[at].next;
}

static void take_from_age(struct client_rates *rates, size_t at)
{
    const struct client *client = &rates->clients[at];

    *(client->older == NOBODY ? &rates->oldest
                              : &rates->clients[client->older].newer) =
        client->newer;
    *(client->newer == NOBODY ? &rates->newest
                              : &rates->clients[client->newer].older) =
        client->older;
}

static void put_newest(struct client_rates *rates, size_t at)
{
    struct client *client = &rates->clients[at];

    client->older = rates->newest;
    client->newer = NOBODY;
    *(rates->newest == NOBODY ? &rates->oldest
                              : &rates->clients[rates->newest].newer) = at;
    rates->newest = at;
}

static void hold(struct client_rates *rates, size_t at)
{
    struct client *client = &rates->clients[at];

    if (!client->holds) {
        client->holds = true;
        client->held_before = rates->last_held;
        client->held_after = NOBODY;
        *(rates->last_held == NOBODY
              ? &rates->first_held
              : &rates->clients[rates->last_held].held_after) = at;
        rates->last_held = at;
        rates->held_count++;
    }
}

/* Hands out what it has, if it has something. */
static bool release(struct client_rates *rates, size_t at,
                    struct client_rate_sum *sum)
{
    struct client *client = &rates->clients[at];

    if (!client->holds) {
        return false;
    }
    *(client->held_before == NOBODY
          ? &rates->first_held
          : &rates->clients[client->held_before].held_after) =
        client->held_after;
    *(client->held_after == NOBODY
          ? &rates->last_held
          : &rates->clients[client->held_after].held_before) =
        client->held_before;
    rates->held_count--;
    client->holds = false;
    *sum = client->sum;
    memset(client->sum.counts, 0, sizeof client->sum.counts);
    return true;
}

/* A place for a client; true: somebody had it whose sum is in *replaced. */
static bool make_room(struct client_rates *rates, size_t *place,
                      struct client_rate_sum *replaced)
{
    bool held;

    if (rates->unused != NOBODY) {
        *place = rates->unused;
        rates->unused = rates->clients[*place].next;
        return false;
    }
    *place = rates->oldest;
    rates->replaced++;
    held = release(rates, *place, replaced);
    take_from_age(rates, *place);
    take_from_slot(rates, *place);
    return held;
}

static bool add(struct client_rates *rates, const struct network *network,
                size_t *place, struct client_rate_sum *replaced)
{
    bool held = make_room(rates, place, replaced);
    size_t *slot = slot_of(rates, network);

    rates->clients[*place] =
        (struct client){.network = *network, .level = INT64_MAX, .next = *slot};
    *slot = *place;
    put_newest(rates, *place);
    return held;
}

/* --- the rate ---------------------------------------------------------- */

/* What has come in since, at most a bucket; one event goes out of it. */
static bool spend(struct client *client, const struct client_rate_event *event)
{
    const int64_t most = BUCKET_SECONDS * US_PER_SECOND * event->rate;
    int64_t passed_us = event->now_us - client->seen_us;

    if (passed_us >= BUCKET_SECONDS * US_PER_SECOND || client->level > most) {
        client->level = most;
    } else if (passed_us > 0) {
        client->level += passed_us * event->rate;
        client->level = client->level > most ? most : client->level;
    }
    if (passed_us > 0) { /* else another session was faster */
        client->seen_us = event->now_us;
    }
    if (client->level < US_PER_SECOND) {
        return false;
    }
    client->level -= US_PER_SECOND;
    return true;
}

static void count(struct client_rates *rates, size_t at, size_t type,
                  const char *client_ip)
{
    struct client *client = &rates->clients[at];

    client->sum.counts[type]++;
    (void)text_copy(text_of(client_ip), client->sum.client_ip,
                    sizeof client->sum.client_ip);
    hold(rates, at);
}

static size_t find_type(enum event_type type)
{
    size_t found = 0;

    while (found < CLIENT_RATE_TYPES && client_rate_types[found] != type) {
        found++;
    }
    return found;
}

enum client_rate_answer client_rates_take(struct client_rates *rates,
                                          const struct client_rate_event *event,
                                          struct client_rate_sum *replaced)
{
    enum client_rate_answer answer = CLIENT_RATE_WITHIN;
    size_t type = find_type(event->type);
    struct network network;
    size_t at;

    if (event->rate < 1 || type == CLIENT_RATE_TYPES ||
        !find_network(event->client_ip, &network)) {
        return CLIENT_RATE_WITHIN;
    }
    (void)pthread_mutex_lock(&rates->lock);
    at = find(rates, &network);
    if (at == NOBODY) {
        if (add(rates, &network, &at, replaced)) {
            answer = CLIENT_RATE_REPLACED;
        }
    } else {
        take_from_age(rates, at);
        put_newest(rates, at);
    }
    if (!spend(&rates->clients[at], event)) {
        answer = CLIENT_RATE_BEYOND;
        count(rates, at, type, event->client_ip);
    }
    (void)pthread_mutex_unlock(&rates->lock);
    return answer;
}

bool client_rates_next(struct client_rates *rates, struct client_rate_sum *sum)
{
    bool held = false;

    (void)pthread_mutex_lock(&rates->lock);
    if (rates->first_held != NOBODY) {
        held = release(rates, rates->first_held, sum);
    }
    (void)pthread_mutex_unlock(&rates->lock);
    return held;
}

size_t client_rates_held(struct client_rates *rates)
{
    size_t count;

    (void)pthread_mutex_lock(&rates->lock);
    count = rates->held_count;
    (void)pthread_mutex_unlock(&rates->lock);
    return count;
}

uint64_t client_rates_replaced(struct client_rates *rates)
{
    uint64_t replaced;

    (void)pthread_mutex_lock(&rates->lock);
    replaced = rates->replaced;
    (void)pthread_mutex_unlock(&rates->lock);
    return replaced;
}
