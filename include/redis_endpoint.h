/*
 * redis_endpoint.h - where Redis is, and how to log in
 *
 * unix:/path   unix:/path?db=N   tcp:HOST[:PORT][/DB]   (port 6379, db 0)
 * sentinel:HOST[:PORT][,HOST[:PORT]...]/NAME   (port 26379, db 0)
 * An IPv6 address stands in brackets: tcp:[2001:db8::1]:6379/2
 *
 * Threads  read-only once made, but for the resolved addresses, which
 *          redis_endpoint_resolve() exchanges under a lock of its own.
 */
#ifndef NIXIE_REDIS_ENDPOINT_H
#define NIXIE_REDIS_ENDPOINT_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct redis_endpoint;

struct redis_endpoint_options {
    const char *location;      /* the setting "redis" */
    const char *user;          /* "": no ACL user */
    const char *password_file; /* "": none; read at each new login */
};

/*
 * New, or NULL with error (the syntax, a scheme this build lacks, a user of
 * more than 256 bytes). Nothing is asked of the network yet.
 */
struct redis_endpoint *
redis_endpoint_new(const struct redis_endpoint_options *options,
                   struct error *error);
void redis_endpoint_free(struct redis_endpoint *endpoint);

/* As configured, without password: for log lines and store_endpoint. */
const char *redis_endpoint_name(const struct redis_endpoint *endpoint);
int redis_endpoint_database(const struct redis_endpoint *endpoint);
const char *redis_endpoint_user(const struct redis_endpoint *endpoint);

/*
 * Asks the resolver, or the sentinels who is the master, which may take long:
 * never from a callback. Keeps the last addresses when it fails. Numeric and
 * Unix endpoints need no answer. A change of the master is logged.
 */
bool redis_endpoint_resolve(struct redis_endpoint *endpoint,
                            struct error *error);

#define REDIS_ENDPOINT_ADDRESSES 8
struct redis_address {
    struct sockaddr_storage address;
    socklen_t length;
};
/* Fills up to REDIS_ENDPOINT_ADDRESSES, returns how many; 0: unresolved. */
size_t redis_endpoint_addresses(struct redis_endpoint *endpoint,
                                struct redis_address *addresses);

/*
 * The same by what most of the sentinels say, for who has a master: it may be
 * one no more, and break no connection. True without sentinels.
 */
bool redis_endpoint_check_master(struct redis_endpoint *endpoint,
                                 struct error *error);

/*
 * Rises when the sentinels name another master: a connection made before is
 * one to the wrong server.
 */
uint64_t redis_endpoint_era(const struct redis_endpoint *endpoint);

/*
 * Whether a server that is not master is of no use. So it is behind
 * sentinels, which may name it a little too early or too late.
 */
bool redis_endpoint_wants_master(const struct redis_endpoint *endpoint);
void redis_endpoint_want_master(struct redis_endpoint *endpoint);

/*
 * The password, into buffer, NUL-terminated; its length, 0 when there is
 * none configured. False with error when the file is unreadable, readable by
 * others, or too long. The caller wipes it with explicit_bzero().
 */
#define REDIS_PASSWORD_MAX 512
bool redis_endpoint_password(const struct redis_endpoint *endpoint,
                             char buffer[REDIS_PASSWORD_MAX], size_t *length,
                             struct error *error);

#endif
