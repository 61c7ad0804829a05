/*
 * client_network.h - networks that clients are in
 *
 * Source   RFC 4632 3.1 and RFC 4291 2.3 for address/length; brackets as in
 *          mynetworks of Postfix.
 * Owner    arguments are borrowed; a network has no pointers.
 * Threads  any.
 *
 * An IPv4-mapped address (::ffff:192.0.2.1) is the IPv4 address, in networks
 * too. No IPv6 network has an IPv4 address in it, not even ::/0.
 */
#ifndef NIXIE_CLIENT_NETWORK_H
#define NIXIE_CLIENT_NETWORK_H

#include "error.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

struct client_network {
    bool is_ipv6;
    unsigned char address[16]; /* of IPv4 the first four */
    unsigned bits;
};

/*
 * "192.0.2.0/24", "2001:db8::/32", "[2001:db8::]/32", or one address. False
 * with error, which says what to write: also where bits behind the length are
 * set, as then address or length is wrong.
 */
bool client_network_parse(struct text text, struct client_network *network,
                          struct error *error);

/*
 * Whether one of them has this address in it: as inet_ntop(3) writes it, in
 * brackets or behind "IPv6:" too. What is no address is in none.
 */
bool client_network_has(const struct client_network *networks, size_t count,
                        struct text address);

#endif
