/*
 * daemon.h - the parts of nixied put together
 *
 * Makes them in the order of the flow, looks after them once a second, takes
 * signals: SIGUSR1 begins a new log file, SIGUSR2 reads the configuration
 * again, SIGTERM and SIGHUP (libmilter's) stop.
 */
#ifndef NIXIE_DAEMON_H
#define NIXIE_DAEMON_H

#include "error.h"
#include "settings.h"

#include <stdbool.h>

/*
 * First of all: signals wait until somebody takes them, and SIGUSR1 in the
 * middle of the start is a rotation later, not the end.
 */
void daemon_block_signals(void);

/*
 * Runs until told to stop, then ends the process; takes settings, which have
 * their rules.
 * settings_path NULL: it runs on the defaults.
 */
int daemon_run(const char *settings_path, struct settings *settings);

#endif
