#include "bounce_rules_shipped.h"

#include "beside_program.h"

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
    char path[PATH_SIZE];

    if (access(INSTALLED, R_OK) == 0) {
        return strdup(INSTALLED);
    }
    return beside_program(BUILT, path, sizeof path) && access(path, R_OK) == 0
               ? strdup(path)
               : NULL;
}
