#include "beside_program.h"

#include <string.h>
#include <sys/types.h>
#include <unistd.h>

bool beside_program(const char *rest, char *path, size_t size)
{
    size_t needed = strlen(rest) + 1;
    ssize_t length =
        size > needed ? readlink("/proc/self/exe", path, size - needed) : -1;
    char *slash;

    if (length <= 0 || (size_t)length == size - needed) {
        return false;
    }
    path[length] = '\0';
    slash = strrchr(path, '/');
    if (slash == NULL) {
        return false;
    }
    memcpy(slash, rest, needed);
    return true;
}
