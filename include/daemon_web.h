/*
 * daemon_web.h - what nixied answers over HTTP, put together
 *
 * /metrics and /healthz of daemon_metrics, and the page of web_page, on the
 * listener of the setting metrics.
 *
 * Owner    the parts are borrowed for its life.
 */
#ifndef NIXIE_DAEMON_WEB_H
#define NIXIE_DAEMON_WEB_H

#include "daemon_metrics.h"
#include "error.h"

struct daemon_web;

/* New and listening on listen, HOST:PORT; or NULL with error. */
struct daemon_web *daemon_web_start(const char *listen,
                                    const struct daemon_metrics_parts *parts,
                                    struct error *error);
void daemon_web_stop(struct daemon_web *web); /* takes it, or NULL */

#endif
