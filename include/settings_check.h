/*
 * settings_check.h - which values the configuration file may hold
 *
 * A check for each key, called by libconfuse as it reads the value, so that
 * the error names the line; and one of all of them against the host.
 */
#ifndef NIXIE_SETTINGS_CHECK_H
#define NIXIE_SETTINGS_CHECK_H

#include <confuse.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/types.h>

struct error;
struct settings;

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

/*
 * The user to become: borrowed until the next getpwnam(). NULL with error: it
 * is not there, or it is root.
 */
const struct passwd *settings_check_user(const struct settings *settings,
                                         struct error *error);

/*
 * The socket's group. False: it was asked for and is not there; the default
 * one may be missing, as on a host with Sendmail, then *found is false.
 */
bool settings_check_group(const struct settings *settings, gid_t *gid,
                          bool *found, struct error *error);

/*
 * Whether the host has what a start needs: user, group, the password's file
 * and the folders above what nixied makes. Nothing is changed. False with
 * error, which names the key and what to do. Root looks as the user to become,
 * in a child; of somebody else than that user what he may not look at counts as
 * good. At start only: getpwnam() is for one thread.
 */
bool settings_check_host(const struct settings *settings, struct error *error);

#endif
