/*
 * web.h - the HTTP listener of nixied: read-only, small, on loopback
 *
 * Serves GET and HEAD of the routes it is given, each exactly by its path or,
 * when the path ends with a slash, by what begins with it; "/" is itself alone.
 * Anything else is answered 400, 404, 405, 421 or 431. No cookie, no state,
 * nothing is written.
 *
 * Source   setting metrics, HOST:PORT; IPv6 in brackets.
 * Waits    an answer may ask Redis: web has threads of its own, one a
 *          connection, and bounded connections; mail never waits for it.
 * Threads  answers of several requests run at the same time.
 */
#ifndef NIXIE_WEB_H
#define NIXIE_WEB_H

#include "error.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

struct web_request {
    struct text path; /* decoded, with its leading slash */
    /* The value of a query argument, decoded; NULL when it is not there. */
    const char *(*argument)(const struct web_request *request,
                            const char *name);
    void *connection;
};

struct web_reply {
    unsigned status;          /* 200, 400, 404, 503, … */
    const char *content_type; /* a literal */
    char *body;               /* malloc()ed, web frees it; NULL: empty */
    size_t length;
};

struct web_route {
    const char *path;
    /* Fills a reply that is {500, "text/plain; charset=utf-8", NULL, 0}. */
    void (*answer)(void *context, const struct web_request *request,
                   struct web_reply *reply);
    void *context;
};

struct web_options {
    const char *listen; /* as configured; checked by web_address_parse() */
    const struct web_route *routes;
    size_t route_count; /* borrowed for the life of the listener */
};

struct web;

/* New and listening, or NULL with error: the address is taken, or not ours. */
struct web *web_start(const struct web_options *options, struct error *error);
void web_stop(struct web *web); /* takes it, or NULL; waits for answers */

#endif
