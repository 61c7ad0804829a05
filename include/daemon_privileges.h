/*
 * daemon_privileges.h - whom nixied runs as, and what it may touch
 *
 * Started by root it makes the folders that are missing and becomes the
 * configured user, with the socket's group beside its own; all else happens
 * without privileges. It never goes on as root.
 */
#ifndef NIXIE_DAEMON_PRIVILEGES_H
#define NIXIE_DAEMON_PRIVILEGES_H

#include "error.h"
#include "settings.h"

#include <stdbool.h>
#include <stdint.h>

/* Before any thread. False with error, which says what to change. */
bool daemon_drop_privileges(const struct settings *settings,
                            struct error *error);

/* Descriptors for many sessions, small stacks for many threads. */
void daemon_raise_limits(void);

/* Told once when no descriptor is left, and once when there is again. */
struct daemon_files {
    int64_t out_ms; /* since when; 0: there are some */
};
void daemon_watch_files(struct daemon_files *files, int64_t now_ms);

/* Whether a program listens there: a socket that a kill left does not. */
bool daemon_socket_is_in_use(const char *path);

/* Why milter_socket could not be opened (an errno, or 0), and what to do. */
void daemon_socket_fault(const struct settings *settings, int cause,
                         struct error *error);

/* Group and mode of the open socket, as configured. */
bool daemon_open_socket_to_mta(const struct settings *settings,
                               struct error *error);

#endif
