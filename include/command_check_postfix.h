/*
 * command_check_postfix.h - Postfix beyond its lists of milters
 *
 * Source   what postconf(1) prints: "name = value" lines, and those of -Px.
 * Threads  any.
 */
#ifndef NIXIE_COMMAND_CHECK_POSTFIX_H
#define NIXIE_COMMAND_CHECK_POSTFIX_H

#include "command_check.h"

/* Says what is amiss there. overrides: "smtp/inet/name = value" lines. */
void command_check_postfix_values(struct check *check, const char *values,
                                  const char *overrides);

/* Asks postconf, and says it; directory as command_check_postfix(). */
void command_check_postfix_detail(struct check *check, const char *directory);

#endif
