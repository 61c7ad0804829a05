/* The hint file: whatever is in it, a position is in bounds or refused. */
#include "recorder_position.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recorder_position position;
    struct error error = {""};

    if (!recorder_position_parse((const char *)data, size, &position, &error)) {
        if (error.text[0] == '\0') {
            abort(); /* a refusal without a cause */
        }
        return 0;
    }
    if (strlen(position.instance) != INSTANCE_ID_SIZE - 1 ||
        strlen(position.file_nonce) != EVENT_FILE_NONCE_SIZE - 1 ||
        position.file_number < 0 || position.offset < 0 || position.seq < 0) {
        abort();
    }
    for (size_t i = 0; i < STORE_BUCKETS; i++) {
        if (position.applied[i] < 0) {
            abort();
        }
    }
    return 0;
}
