/*
 * redis_link.h - one connection to Redis, with an end to every wait
 *
 * hiredis parses, we wait: the socket is non-blocking and each call has an
 * absolute deadline (clock_monotonic_ms), which a server that dribbles one
 * byte a second cannot stretch. After any fault the connection is closed and
 * its outcome is unknown: what was sent may yet be executed.
 *
 * Bounds   a reply of more than 64 MiB, of more than 1,048,576 elements or
 *          nested deeper than 7 closes it. Pending output is read against:
 *          a long pipeline cannot block both sides.
 * Signals  none: no SIGPIPE, and EINTR is not an end.
 * Threads  one at a time.
 */
#ifndef NIXIE_REDIS_LINK_H
#define NIXIE_REDIS_LINK_H

#include "error.h"
#include "redis_endpoint.h"
#include "text.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

struct redis_link;

/* New and closed; endpoint is borrowed. NULL when out of memory. */
struct redis_link *redis_link_new(struct redis_endpoint *endpoint);
void redis_link_free(struct redis_link *link);

bool redis_link_is_open(const struct redis_link *link);

/*
 * Connects, logs in, selects the database, behind sentinels makes sure that
 * it is the master; true at once when open. An open but idle connection that
 * the server has closed, or that leads to the master before this one, is
 * noticed and made anew.
 */
bool redis_link_open(struct redis_link *link, int64_t deadline_ms,
                     struct error *error);
/* Discards what is queued and what is still to be answered. */
void redis_link_close(struct redis_link *link);

/*
 * Adds a command to what redis_link_reply() will send; lengths NULL: argv
 * are C strings. False: no memory, or the link is closed.
 */
bool redis_link_command(struct redis_link *link, size_t argc,
                        const char *const *argv, const size_t *lengths);

/* The same of texts, NULL as empty; false also of more than so many. */
#define REDIS_LINK_TEXTS_MAX 40
bool redis_link_texts(struct redis_link *link, size_t count,
                      const struct text *texts);

/*
 * Sends what is pending and waits for the next reply. *reply is the caller's
 * (freeReplyObject); an error reply is a reply. NULL with error: the link is
 * now closed.
 */
redisReply *redis_link_reply(struct redis_link *link, int64_t deadline_ms,
                             struct error *error);

/*
 * The same without waiting, for who waits for several links with poll():
 * *reply is NULL when not all of it is there. After one that was, there may
 * be another that no poll() tells of: take until there is none. False with
 * error: the link is now closed.
 */
bool redis_link_take(struct redis_link *link, redisReply **reply,
                     struct error *error);
/* Whether the first bytes of a reply have come and its last have not. */
bool redis_link_is_amid(const struct redis_link *link);
struct pollfd redis_link_poll(const struct redis_link *link);

/* redis_link_command() and _reply() for one command of C strings. */
redisReply *redis_link_ask(struct redis_link *link, int64_t deadline_ms,
                           struct error *error, size_t argc,
                           const char *const *argv, const size_t *lengths);

/* What an error reply asks of us (the first word of it decides). */
enum redis_fault {
    REDIS_FAULT_NONE,     /* no error reply */
    REDIS_FAULT_BUSY,     /* OOM MISCONF BUSY LOADING TRYAGAIN CLUSTERDOWN,
                             too many clients: wait */
    REDIS_FAULT_MOVED_ON, /* READONLY UNBLOCKED MASTERDOWN NOREPLICAS, no
                             master behind sentinels: resolve, reconnect */
    REDIS_FAULT_CLUSTER,  /* MOVED ASK CROSSSLOT: wrong configuration */
    REDIS_FAULT_LOGIN,    /* NOAUTH WRONGPASS NOPERM, ERR invalid password */
    REDIS_FAULT_NOSCRIPT,
    REDIS_FAULT_ABORTED, /* EXECABORT */
    REDIS_FAULT_TYPE,    /* WRONGTYPE, overflow, not an integer */
    REDIS_FAULT_OTHER,
};
enum redis_fault redis_fault_of(const redisReply *reply);

/*
 * Of the reply that made the last redis_link_open() fail (LOGIN also for an
 * unusable password file); NONE when no reply came or it succeeded.
 */
enum redis_fault redis_link_fault(const struct redis_link *link);

#endif
