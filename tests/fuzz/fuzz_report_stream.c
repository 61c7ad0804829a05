/*
 * A file of messages, as a stream reads it. Each message must stand in the
 * file behind the one before, and none be longer than what is held.
 */
#include "report_stream.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report_stream *stream = report_stream_new();
    int file = memfd_create("messages", MFD_CLOEXEC);
    size_t at = 0;
    enum report_stream_result result;
    struct text message;

    require(stream != NULL && file >= 0);
    require(write(file, data, size) == (ssize_t)size);
    require(lseek(file, 0, SEEK_SET) == 0);
    report_stream_begin(stream, file);
    while ((result = report_stream_next(stream, &message)) ==
           REPORT_STREAM_MESSAGE) {
        require(message.length > 0 && message.length <= size - at);
        require(memcmp(data + at, message.bytes, message.length) == 0);
        at += message.length;
    }
    require(result == REPORT_STREAM_END);
    require(at == size); /* nothing here is longer than what is held */
    (void)close(file);
    report_stream_free(stream);
    return 0;
}
