#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool descriptors_fill(void)
{
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        int direction = i == STDIN_FILENO ? O_WRONLY : O_RDONLY;

        /* all below i are open, so that open() finds i */
        if (fcntl(i, F_GETFD) < 0 &&
            (errno != EBADF || open("/dev/null", direction | O_NOCTTY) != i)) {
            return false;
        }
    }
    return true;
}
