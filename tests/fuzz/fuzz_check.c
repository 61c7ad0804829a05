/*
 * Files of a host as `nixie check` reads them: of logrotate, of systemd, of
 * rsyslog, and what INFO answers. They may hold anything; what is read of them
 * does not depend on what lies behind their end.
 */
#include "command_check_redis.h"
#include "command_check_system.h"

#include <stdlib.h>
#include <string.h>

#define LOG "/var/log/nixie/events.jsonl"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* of exactly this size, so that a byte too much is found */
    char *bytes = malloc(size == 0 ? 1 : size);
    struct text file = {bytes, size};
    struct check_rotation rotation = {.found = false};
    struct check_rotation again = {.found = false};
    char value[16];

    if (bytes == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    command_check_rotation(file, LOG, &rotation);
    command_check_rotation(file, LOG, &again);
    require(memcmp(&rotation, &again, sizeof rotation) == 0);
    (void)command_check_unit_is_shut(file);
    require(command_check_unit_writes(file, LOG) ||
            memmem(bytes, size, "strict", 6) != NULL);
    require(!command_check_rsyslog_repeats(file, false) || size > 21);
    if (command_check_info(file, "maxmemory", value, sizeof value)) {
        require(strlen(value) < sizeof value);
    }
    free(bytes);
    return 0;
}
