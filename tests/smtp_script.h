/*
 * smtp_script.h - an MTA for tests that says what it is told to say
 *
 * A thread on 127.0.0.1 takes one connection after the other, each with the
 * next script; when there is none left, with the last again.
 *
 * Errors   what must work and does not fails the test.
 */
#ifndef NIXIE_TESTS_SMTP_SCRIPT_H
#define NIXIE_TESTS_SMTP_SCRIPT_H

#include <stddef.h>

#define SMTP_HANG  "hang"  /* no answer until the client goes */
#define SMTP_CLOSE "close" /* the connection ends */

/* NULL: the usual answer. Several lines with CR LF between. */
struct smtp_script {
    const char *greeting, *ehlo, *helo, *mail, *rcpt, *data, *dot;
};

struct smtp_server;

struct smtp_server *smtp_server_start(const struct smtp_script *scripts,
                                      size_t count);
void smtp_server_stop(struct smtp_server *server);

const char *smtp_server_relay(const struct smtp_server *server);

/* All that was heard so far; new. */
char *smtp_server_heard(struct smtp_server *server);

/* Until so many messages were accepted; after 20 seconds it fails the test. */
void smtp_server_await(struct smtp_server *server, size_t messages);
size_t smtp_server_connections(struct smtp_server *server);

#endif
