/*
 * web_address.h - where the HTTP listener is, and under which names
 *
 * Source   setting metrics: "127.0.0.1:9895", "[::1]:9895", "localhost:9895".
 *          What it serves is for who is on this host, so that an address
 *          beyond loopback is refused.
 * Threads  any.
 */
#ifndef NIXIE_WEB_ADDRESS_H
#define NIXIE_WEB_ADDRESS_H

#include "error.h"
#include "text.h"

#include <stdbool.h>
#include <sys/socket.h>

struct web_address {
    struct sockaddr_storage socket;
    socklen_t length;
};

/* False with error: no such form, no port, or not of loopback. */
bool web_address_parse(const char *listen, struct web_address *address,
                       struct error *error);

/*
 * Whether a Host header names this host by a name that nobody else can have
 * pointed here: localhost or a loopback address, with or without a port. A
 * page of somebody else's, whose name leads to 127.0.0.1 all of a sudden, is
 * told from ours by it.
 */
bool web_address_is_local(struct text host);

#endif
