/*
 * client_rate.h - how many events a client may cause
 *
 * Whoever reaches the MTA makes it refuse recipients as fast as it answers.
 * Each refusal is a line of the log, so that one client could fill disk and
 * Redis: what is beyond a rate has no line, but is counted and summed up.
 *
 * Each client has a bucket of events, which holds those of one second. An
 * IPv6 client is its /64 (RFC 4291 2.5.4): whoever has one address there has
 * all of them. Clients of this host, and those without an address, have no
 * limit: what they hand in is this host's own mail.
 *
 * Bounds   CLIENT_RATE_CLIENTS clients; when full the one that was seen
 *          longest ago is replaced, its sum is handed out, and it is counted.
 * Owner    sums are the caller's.
 * Threads  any: one lock, held for a few steps.
 */
#ifndef NIXIE_CLIENT_RATE_H
#define NIXIE_CLIENT_RATE_H

#include "event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Two thirds of a MiB. A client that is replaced begins with a full bucket; for
 * that somebody must connect from as many networks within a second.
 */
#define CLIENT_RATE_CLIENTS 4096

#define CLIENT_RATE_ADDRESS_SIZE 46 /* as inet_ntop(3) writes it, and NUL */

/* The types of events that clients cause without having to log in. */
#define CLIENT_RATE_TYPES 3
extern const enum event_type client_rate_types[CLIENT_RATE_TYPES];

/* So many events of a client had no line. */
struct client_rate_sum {
    char client_ip[CLIENT_RATE_ADDRESS_SIZE]; /* the latest of its addresses */
    int64_t counts[CLIENT_RATE_TYPES];        /* as client_rate_types */
};

struct client_rates;

struct client_rates *client_rates_new(void); /* NULL: no memory, no random */
void client_rates_free(struct client_rates *rates); /* takes it, or NULL */

struct client_rate_event {
    const char *client_ip; /* NULL: unknown */
    enum event_type type;  /* another than those above has no limit */
    int64_t rate;          /* events a second, up to 100000; 0: no limit */
    int64_t now_us;        /* of a clock that is never set back */
};

enum client_rate_answer {
    CLIENT_RATE_WITHIN,  /* it has a line */
    CLIENT_RATE_BEYOND,  /* it is counted */
    CLIENT_RATE_REPLACED /* the first of a client, in place of one whose sum
                            is in *replaced; it has a line */
};
enum client_rate_answer client_rates_take(struct client_rates *rates,
                                          const struct client_rate_event *event,
                                          struct client_rate_sum *replaced);

/*
 * Takes out the sum that waits longest; false: there is none. To be called
 * about once a second for all that are held then, not for those that come
 * meanwhile: that makes a line a second for each.
 */
size_t client_rates_held(struct client_rates *rates);
bool client_rates_next(struct client_rates *rates, struct client_rate_sum *sum);

/* Clients that were replaced so far. */
uint64_t client_rates_replaced(struct client_rates *rates);

#endif
