/*
 * daemon_change.h - what the tool asks of nixied, done
 *
 * Changes of the lists and whom to forget become events; how old the
 * configuration is, is told.
 *
 * Owner    what a struct daemon_change points to is borrowed, and outlives it.
 * Threads  the control socket's alone, but for the two that are atomic.
 */
#ifndef NIXIE_DAEMON_CHANGE_H
#define NIXIE_DAEMON_CHANGE_H

#include "control.h"
#include "daemon_store.h"
#include "error.h"
#include "event_log.h"
#include "forgotten.h"

#include <stdatomic.h>
#include <stdint.h>

struct daemon_change {
    struct event_log *log;
    struct daemon_store *store;
    struct forgotten *forgotten;
    _Atomic(int64_t) loaded_at_us;     /* the configuration in force */
    _Atomic(const char *) restart_for; /* a key of it; NULL */
};

/* Listens in state_dir until control_stop(); NULL with error. */
struct control *daemon_change_start(struct daemon_change *change,
                                    const char *state_dir, struct error *error);

#endif
