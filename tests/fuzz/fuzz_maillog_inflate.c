/*
 * A compressed log: whatever it is, reading it ends, stays in its buffer, and
 * gives the same bytes in small pieces as in large ones, also from a stream.
 */
#include "maillog_inflate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST ((size_t)256 * 1024) /* of what is made: a few bytes are a lot */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool property)
{
    if (!property) {
        abort();
    }
}

/* Up to MOST bytes, piece by piece; *damaged: then it says so, and again. */
static size_t read_all(struct maillog_inflate *inflate, size_t piece,
                       char *bytes, bool *damaged)
{
    struct error error = {""};
    size_t used = 0;
    ssize_t got = 1;

    while (got > 0 && used < MOST) {
        size_t room = MOST - used < piece ? MOST - used : piece;

        got = maillog_inflate_read(inflate, bytes + used, room, &error);
        require(got <= (ssize_t)room);
        used += got > 0 ? (size_t)got : 0;
    }
    *damaged = got < 0;
    if (got < 0) {
        require(error.text[0] != '\0');
        require(maillog_inflate_read(inflate, bytes, 0, &error) < 0);
    }
    return used;
}

static int file_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("log", MFD_CLOEXEC);

    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    require(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char large[MOST], small[MOST];
    struct maillog_inflate *inflate;
    struct error error = {""};
    bool damaged[2];
    size_t length;
    char head[MAILLOG_MAGIC];
    int fd = file_of(data, size);

    inflate = maillog_inflate_new(fd, &error);
    require((inflate != NULL) ==
            maillog_inflate_knows((const char *)data,
                                  size < MAILLOG_MAGIC ? size : MAILLOG_MAGIC));
    if (inflate != NULL) {
        length = read_all(inflate, MOST, large, &damaged[0]);
        require(maillog_inflate_taken(inflate) <= (int64_t)size);
        maillog_inflate_free(inflate);
        require(lseek(fd, 0, SEEK_SET) == 0);
        require(read(fd, head, sizeof head) > 0);
        inflate = maillog_inflate_new_stream(
            fd, (struct text){head, size < sizeof head ? size : sizeof head},
            &error);
        require(inflate != NULL);
        require(read_all(inflate, 997, small, &damaged[1]) == length);
        require(length == MOST || damaged[0] == damaged[1]);
        require(memcmp(large, small, length) == 0);
        maillog_inflate_free(inflate);
    }
    (void)close(fd);
    return 0;
}
