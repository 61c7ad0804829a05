/* Whatever a file begins with: what is taken from it has the form it must. */
#include "event_files.h"
#include "event_json.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void must_be_hex(const char *text, size_t size)
{
    must(strlen(text) == size - 1);
    must(strspn(text, "0123456789abcdef") == size - 1);
}

static void check(const struct event_file *file, const uint8_t *data,
                  size_t size)
{
    const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);

    must(file->size == (off_t)size);
    must((file->kind == EVENT_FILE_EMPTY) == (size == 0));
    if (file->kind == EVENT_FILE_EVENTS) {
        must(newline != NULL && newline - data < EVENT_LINE_MAX);
        must_be_hex(file->instance, sizeof file->instance);
        must_be_hex(file->nonce, sizeof file->nonce);
        must(file->file_number >= 1 && file->first_seq >= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("events", MFD_CLOEXEC);
    struct event_file file = {.path = NULL};

    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    must(event_file_identify(fd, &file));
    must(file.path == NULL);
    check(&file, data, size);
    (void)close(fd);
    return 0;
}
