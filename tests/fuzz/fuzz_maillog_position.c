/* A position that is read is written as it was; and stays in its bounds. */
#include "maillog_position.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct maillog_position position;
    char text[MAILLOG_POSITION_SIZE];
    char *copy = malloc(size + 1);
    bool parsed;

    must(copy != NULL);
    memcpy(copy, data, size);
    copy[size] = '\0';
    parsed = maillog_position_parse(copy, &position);
    if (parsed) {
        size_t length = maillog_position_format(&position, text);

        must(length < sizeof text && strlen(text) == length);
        must(strcmp(text, copy) == 0);
        must(position.offset >= 0 && position.modified_us >= 0);
        must(position.crc_length <= MAILLOG_HEAD);
        must(maillog_position_same(&position, &position));
        for (size_t i = 0; i < length; i++) {
            must(text[i] > ' ' && text[i] <= '~');
        }
    }
    free(copy);
    return 0;
}
