#include "settings_value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_LEAST ((uint64_t)4 << 20)
#define MEMORY_MOST  ((uint64_t)64 << 30)

#define PATH_LONGEST 4000 /* PATH_MAX, and room for what is put behind it */

const char *settings_newest(cfg_opt_t *option)
{
    unsigned count = cfg_opt_size(option);
    const char *value = count == 0 ? NULL : cfg_opt_getnstr(option, count - 1);

    return value == NULL ? "" : value;
}

int settings_refuse(cfg_t *cfg, cfg_opt_t *option, const char *advice)
{
    cfg_error(cfg, "%s = '%.100s': %s", cfg_opt_name(option),
              settings_newest(option), advice);
    return -1;
}

bool settings_is_printable(const char *value, size_t least, size_t most)
{
    size_t length = strlen(value);

    for (size_t i = 0; i < length; i++) {
        if (value[i] <= ' ' || value[i] > '~') {
            return false;
        }
    }
    return length >= least && length <= most;
}

bool settings_is_port(const char *value)
{
    size_t length = strlen(value);

    return length >= 1 && length <= 5 && value[0] != '0' &&
           strspn(value, "0123456789") == length &&
           strtol(value, NULL, 10) <= 65535;
}

int settings_check_path(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    return value[0] == '/' && strlen(value) < PATH_LONGEST
               ? 0
               : settings_refuse(cfg, option,
                                 "write a path that begins with /");
}

int settings_check_file(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);
    size_t length = strlen(value);

    if (length > 0 && value[length - 1] == '/') {
        return settings_refuse(
            cfg, option,
            "write the path of a file; this ends in / as that of a "
            "folder does");
    }
    return settings_check_path(cfg, option);
}

int settings_check_range(cfg_t *cfg, cfg_opt_t *option,
                         const struct settings_range *range)
{
    long value = cfg_opt_getnint(option, 0);

    if (value >= range->least && value <= range->most) {
        return 0;
    }
    cfg_error(cfg, "%s = %ld: write %ld to %ld (%s)", cfg_opt_name(option),
              value, range->least, range->most, range->meaning);
    return -1;
}

bool settings_is_repeated(cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    for (unsigned i = 0; i + 1 < cfg_opt_size(option); i++) {
        const char *before = cfg_opt_getnstr(option, i);

        if (before != NULL && strcmp(before, value) == 0) {
            return true;
        }
    }
    return false;
}

char **settings_copy_list(cfg_t *cfg, const char *key)
{
    unsigned count = cfg_size(cfg, key);
    char **list = calloc(count + (size_t)1, sizeof *list);

    for (unsigned i = 0; list != NULL && i < count; i++) {
        const char *value = cfg_getnstr(cfg, key, i);

        /* NULL, too, where libconfuse had no memory for the value */
        list[i] = value == NULL ? NULL : strdup(value);
        if (list[i] == NULL) {
            settings_free_list(list);
            list = NULL;
        }
    }
    return list;
}

void settings_free_list(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        free(list[i]);
    }
    free(list);
}

bool settings_parse_memory(const char *text, size_t *bytes)
{
    static const struct unit {
        const char *suffix;
        unsigned bits;
    } units[] = {{"", 0}, {"K", 10}, {"M", 20}, {"G", 30}};
    uint64_t number = 0;
    size_t digits = 0;

    while (text[digits] >= '0' && text[digits] <= '9' && digits < 12) {
        number = number * 10 + (uint64_t)(text[digits++] - '0');
    }
    for (size_t i = 0; digits > 0 && i < sizeof units / sizeof units[0]; i++) {
        uint64_t most = MEMORY_MOST >> units[i].bits;

        if (strcmp(text + digits, units[i].suffix) == 0 && number <= most) {
            number <<= units[i].bits;
            *bytes = (size_t)number;
            return *bytes == number && (number == 0 || number >= MEMORY_LEAST);
        }
    }
    return false;
}

int settings_check_memory(cfg_t *cfg, cfg_opt_t *option)
{
    size_t bytes;

    return settings_parse_memory(settings_newest(option), &bytes)
               ? 0
               : settings_refuse(cfg, option,
                                 "write 4M to 64G, such as \"256M\", or "
                                 "\"0\" for none");
}

int settings_check_privacy(cfg_t *cfg, cfg_opt_t *option)
{
    const char *value = settings_newest(option);

    return strcmp(value, "full") == 0 || strcmp(value, "hash") == 0 ||
                   strcmp(value, "domain") == 0
               ? 0
               : settings_refuse(cfg, option,
                                 "write \"full\", \"hash\" or \"domain\"");
}
