/*
 * command_trace.h - the keys of marks, as the tool finds them
 *
 * Threads  one.
 */
#ifndef NIXIE_COMMAND_TRACE_H
#define NIXIE_COMMAND_TRACE_H

#include "error.h"
#include "settings.h"
#include "trace_keys.h"

/*
 * Those of the setting, not read yet: new, or NULL with error. Root makes the
 * file for nixied's user; others can only make their own.
 */
struct trace_keys *command_trace_keys(const struct settings *settings,
                                      struct error *error);

#endif
