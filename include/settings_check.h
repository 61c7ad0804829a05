/*
 * settings_check.h - which values the configuration file may hold
 *
 * A check for each key, called by libconfuse as it reads the value, so that
 * the error names the line. settings_host.h holds them against the host.
 */
#ifndef NIXIE_SETTINGS_CHECK_H
#define NIXIE_SETTINGS_CHECK_H

#include <confuse.h>

void settings_check_register(cfg_t *cfg);

/*
 * Takes "550 5.7.1 text" apart; NULL, or what is wrong with it. 421 and 521
 * are wrong: the MTA would close the session. text points into value.
 */
const char *settings_check_refusal(const char *value, char code[4],
                                   char status[12], const char **text);

/* NULL, or what to write in place of a pattern of mailboxes. */
const char *settings_pattern_advice(const char *value);

/* "enforce" or "observe", of all mail or of a scope. */
int settings_check_mode(cfg_t *cfg, cfg_opt_t *option);

#endif
