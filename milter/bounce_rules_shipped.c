#include "bounce_rules_shipped.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef NIXIE_DATADIR
#define NIXIE_DATADIR "/usr/share/nixie"
#endif

#define INSTALLED NIXIE_DATADIR "/bounce-rules.conf"
#define BUILT     "/packaging/bounce-rules.conf"
#define PATH_SIZE 4096

char *bounce_rules_shipped(void)
{
    char path[PATH_SIZE + sizeof BUILT];
    ssize_t length;
    char *slash;

    if (access(INSTALLED, R_OK) == 0) {
        return strdup(INSTALLED);
    }
    length = readlink("/proc/self/exe", path, PATH_SIZE);
    if (length <= 0 || length == PATH_SIZE) {
        return NULL;
    }
    path[length] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL) {
        return NULL;
    }
    (void)strcpy(slash, BUILT);
    return access(path, R_OK) == 0 ? strdup(path) : NULL;
}
