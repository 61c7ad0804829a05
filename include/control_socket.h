/*
 * control_socket.h - what both ends of the control socket need
 *
 * Within the family of control only.
 *
 * Errors   are in errno: ETIMEDOUT when the deadline is over, ECANCELED when
 *          the descriptor stop, which may be -1, says so.
 * Threads  any.
 */
#ifndef NIXIE_CONTROL_SOCKET_H
#define NIXIE_CONTROL_SOCKET_H

#include "control.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#define CONTROL_SOCKET_NAME "control.sock"
#define CONTROL_CLIENT_MS   2000 /* who is slower is hung up on */
#define CONTROL_ANSWER_MAX  4096 /* an error text, each byte of it escaped */

#define CONTROL_ASK_ABOUT "{\"type\":\"about\"}"

/* The folder of the socket, to be closed; -1. */
int control_socket_directory(const char *state_dir);

/* The address of the socket in the folder that directory is open on. */
bool control_socket_address(int directory, struct sockaddr_un *address);

void control_socket_close(int descriptor); /* or -1 */

/* Until descriptor is ready for what (of poll(2)). */
bool control_socket_wait(int descriptor, short what, int stop,
                         int64_t deadline_ms);

bool control_socket_send(int connection, const char *bytes, size_t length,
                         int stop, int64_t deadline_ms);

/* Of a client: DONE with *connection, to be closed; else as control_send(). */
enum control_result control_client_open(const char *state_dir,
                                        int64_t deadline_ms, int *connection,
                                        struct error *error);

/* What a line of the server's says. */
enum control_result control_client_understand(const char *line, size_t length,
                                              struct control_answer *answer,
                                              struct error *error);

#endif
