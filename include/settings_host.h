/*
 * settings_host.h - whether the host has what a start with the settings needs
 *
 * Owner    arguments are borrowed.
 * Errors   name the key and what to do; nothing is changed.
 * Threads  at start only: getpwnam() is for one.
 */
#ifndef NIXIE_SETTINGS_HOST_H
#define NIXIE_SETTINGS_HOST_H

#include <pwd.h>
#include <stdbool.h>
#include <sys/types.h>

struct error;
struct settings;

/*
 * The user to become: borrowed until the next getpwnam(). NULL with error: it
 * is not there, or it is root.
 */
const struct passwd *settings_host_user(const struct settings *settings,
                                        struct error *error);

/*
 * The socket's group. False: it was asked for and is not there; the default
 * one may be missing, as on a host with Sendmail, then *found is false.
 */
bool settings_host_group(const struct settings *settings, gid_t *gid,
                         bool *found, struct error *error);

/*
 * User, group, the password's file and the folders above what nixied makes.
 * False with error. Root looks as the user to become, in a child; of somebody
 * else than that user what he may not look at counts as good.
 */
bool settings_host_check(const struct settings *settings, struct error *error);

#endif
