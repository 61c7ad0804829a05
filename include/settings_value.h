/*
 * settings_value.h - values of the configuration file: looked at, and copied
 *
 * What the checks of single keys share. A check is called by libconfuse as it
 * reads the value, and is 0, or -1 with an error that names file and line.
 *
 * Owner    arguments are borrowed.
 */
#ifndef NIXIE_SETTINGS_VALUE_H
#define NIXIE_SETTINGS_VALUE_H

#include <confuse.h>
#include <stdbool.h>
#include <stddef.h>

/* The value that was read last: of a list its newest element. Borrowed. */
const char *settings_newest(cfg_opt_t *option);

/* Says "key = 'value': advice"; is -1. */
int settings_refuse(cfg_t *cfg, cfg_opt_t *option, const char *advice);

/* least to most bytes, ASCII, neither blanks nor control characters. */
bool settings_is_printable(const char *value, size_t least, size_t most);

/* "1" to "65535". */
bool settings_is_port(const char *value);

/* A path that begins with /; the second: not that of a folder. */
int settings_check_path(cfg_t *cfg, cfg_opt_t *option);
int settings_check_file(cfg_t *cfg, cfg_opt_t *option);

struct settings_range {
    long least;
    long most;
    const char *meaning; /* "milliseconds"; stands in the advice */
};
int settings_check_range(cfg_t *cfg, cfg_opt_t *option,
                         const struct settings_range *range);

/* Whether the newest of a list stands in it before. */
bool settings_is_repeated(cfg_opt_t *option);

/* A copy of a list, new and NULL-terminated, as its strings; NULL: no memory.
 */
char **settings_copy_list(cfg_t *cfg, const char *key);
void settings_free_list(char **list); /* or NULL */

/*
 * "0", "64M", "1G", "65536K", or bytes: 0, or 4 MiB to 64 GiB. False: it is
 * none of these.
 */
bool settings_parse_memory(const char *text, size_t *bytes);
int settings_check_memory(cfg_t *cfg, cfg_opt_t *option);
int settings_check_privacy(cfg_t *cfg, cfg_opt_t *option);

#endif
