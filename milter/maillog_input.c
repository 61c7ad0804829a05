#include "maillog_input.h"

#include "maillog_inflate.h"
#include "maillog_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct maillog_input {
    int fd;
    uint64_t device, inode;
    int64_t modified_us;
    char head[MAILLOG_HEAD]; /* what the file begins with, decompressed */
    size_t head_length;
    /* of compressed files */
    struct maillog_inflate *inflate;
    size_t head_given;
    int64_t skip;
};

/* At most size bytes from at on; -1 with errno. */
static ssize_t read_at(int fd, char *buffer, size_t size, int64_t at)
{
    ssize_t got;

    do {
        got = pread(fd, buffer, size, (off_t)at);
    } while (got < 0 && errno == EINTR);
    return got;
}

static bool look(struct maillog_input *input, int64_t *size)
{
    struct stat status;

    if (fstat(input->fd, &status) != 0) {
        return false;
    }
    input->device = (uint64_t)status.st_dev;
    input->inode = (uint64_t)status.st_ino;
    input->modified_us = (int64_t)status.st_mtim.tv_sec * 1000000 +
                         status.st_mtim.tv_nsec / 1000;
    if (input->modified_us < 0) {
        input->modified_us = 0; /* a position has no sign */
    }
    *size = status.st_size;
    if (!S_ISREG(status.st_mode)) {
        errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
        return false;
    }
    return true;
}

/* What the file begins with is as it was; more of it may be known now. */
static bool same_head(struct maillog_input *input)
{
    char head[MAILLOG_HEAD];
    ssize_t length = read_at(input->fd, head, sizeof head, 0);

    if (length < 0 || (size_t)length < input->head_length ||
        memcmp(head, input->head, input->head_length) != 0) {
        return false;
    }
    memcpy(input->head, head, (size_t)length);
    input->head_length = (size_t)length;
    return true;
}

static bool inflate_head(struct maillog_input *input, struct error *error)
{
    input->inflate = maillog_inflate_new(input->fd, error);
    input->head_length = 0;
    while (input->inflate != NULL && input->head_length < MAILLOG_HEAD) {
        ssize_t got = maillog_inflate_read(
            input->inflate, input->head + input->head_length,
            MAILLOG_HEAD - input->head_length, error);

        if (got < 0 && input->head_length == 0) {
            errno = EBADMSG;
            return false;
        }
        if (got <= 0) { /* it will be told again, behind what there is */
            break;
        }
        input->head_length += (size_t)got;
    }
    return input->inflate != NULL;
}

struct maillog_input *maillog_input_open(const char *path, bool follow_link,
                                         struct error *error)
{
    /* a FIFO in the file's place must not hold us */
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    struct maillog_input *input = calloc(1, sizeof *input);
    int64_t size;
    int cause;

    if (input == NULL) {
        error_set(error, "out of memory");
        errno = ENOMEM;
        return NULL;
    }
    input->fd = open(path, follow_link ? flags : flags | O_NOFOLLOW);
    if (input->fd >= 0 && look(input, &size) && same_head(input)) {
        errno = EBADMSG;
        if (!maillog_inflate_knows(input->head, input->head_length) ||
            inflate_head(input, error)) {
            return input;
        }
    } else if (errno == EINVAL) {
        error_set(error, "not a regular file");
    } else {
        error_set_errno(error, "open");
    }
    cause = errno;
    maillog_input_free(input);
    errno = cause;
    return NULL;
}

void maillog_input_free(struct maillog_input *input)
{
    if (input == NULL) {
        return;
    }
    maillog_inflate_free(input->inflate);
    if (input->fd >= 0) {
        (void)close(input->fd);
    }
    free(input);
}

bool maillog_input_begins(const struct maillog_input *input,
                          const struct maillog_position *position)
{
    return position->crc_length <= input->head_length &&
           maillog_position_crc(input->head, position->crc_length) ==
               position->crc;
}

bool maillog_input_is(const struct maillog_input *input, uint64_t device,
                      uint64_t inode)
{
    return input->device == device && input->inode == inode;
}

bool maillog_input_compressed(const struct maillog_input *input)
{
    return input->inflate != NULL;
}

int maillog_input_descriptor(const struct maillog_input *input)
{
    return input->fd;
}

void maillog_input_skip(struct maillog_input *input, int64_t offset)
{
    input->skip = offset;
}

int64_t maillog_input_line_begin(const struct maillog_input *input,
                                 int64_t offset)
{
    char bytes[MAILLOG_LINE_MAX];
    int64_t from = offset > MAILLOG_LINE_MAX ? offset - MAILLOG_LINE_MAX : 0;
    ssize_t got = read_at(input->fd, bytes, (size_t)(offset - from), from);
    const char *newline = got <= 0 ? NULL : memrchr(bytes, '\n', (size_t)got);

    if (newline != NULL) {
        return from + (newline - bytes) + 1;
    }
    return from == 0 ? 0 : offset;
}

static ssize_t inflate_some(struct maillog_input *input, char *buffer,
                            size_t size, struct error *error)
{
    size_t left = input->head_length - input->head_given;

    if (left == 0) {
        return maillog_inflate_read(input->inflate, buffer, size, error);
    }
    left = left < size ? left : size;
    memcpy(buffer, input->head + input->head_given, left);
    input->head_given += left;
    return (ssize_t)left;
}

static enum maillog_input_result read_inflated(struct maillog_input *input,
                                               char *buffer, size_t size,
                                               size_t *got, struct error *error)
{
    size_t wanted = input->skip > 0 && (uint64_t)input->skip < size
                        ? (size_t)input->skip
                        : size;
    ssize_t length = inflate_some(input, buffer, wanted, error);

    if (length < 0) {
        return MAILLOG_INPUT_ERROR;
    }
    if (input->skip > 0) {
        input->skip -= length;
        return length == 0 ? MAILLOG_INPUT_SHORT : MAILLOG_INPUT_SKIPPED;
    }
    *got = (size_t)length;
    return length == 0 ? MAILLOG_INPUT_END : MAILLOG_INPUT_GOT;
}

/*
 * The head is compared after the bytes were read: what is there now was there
 * then, so the bytes are of the file that we know.
 */
enum maillog_input_result maillog_input_read(struct maillog_input *input,
                                             int64_t at, char *buffer,
                                             size_t size, size_t *got,
                                             struct error *error)
{
    int64_t length;
    ssize_t read;

    *got = 0;
    if (input->inflate != NULL) {
        return read_inflated(input, buffer, size, got, error);
    }
    read = read_at(input->fd, buffer, size, at);
    if (read < 0 || !look(input, &length)) {
        error_set_errno(error, "read");
        return MAILLOG_INPUT_ERROR;
    }
    if (length < at || !same_head(input)) {
        return MAILLOG_INPUT_TRUNCATED;
    }
    *got = (size_t)read;
    return read == 0 ? MAILLOG_INPUT_END : MAILLOG_INPUT_GOT;
}

int64_t maillog_input_behind(const struct maillog_input *input, int64_t at)
{
    struct stat status;

    if (fstat(input->fd, &status) != 0) {
        return -1;
    }
    if (input->inflate != NULL) {
        at = maillog_inflate_taken(input->inflate);
    }
    return status.st_size > at ? status.st_size - at : 0;
}

/* How much of the head tells of offset: the same whenever it is asked. */
static size_t told_head(const struct maillog_input *input, int64_t offset)
{
    const char *newline;

    if (offset > 0) {
        return (uint64_t)offset < input->head_length ? (size_t)offset
                                                     : input->head_length;
    }
    newline = memchr(input->head, '\n', input->head_length);
    return newline != NULL ? (size_t)(newline - input->head) + 1
                           : input->head_length;
}

void maillog_input_position(const struct maillog_input *input, int64_t offset,
                            struct maillog_position *position)
{
    size_t length = told_head(input, offset);

    memset(position, 0, sizeof *position);
    position->kind = MAILLOG_POSITION_FILE;
    position->device = input->device;
    position->inode = input->inode;
    position->crc = maillog_position_crc(input->head, length);
    position->crc_length = (uint32_t)length;
    position->modified_us = input->modified_us;
    position->offset = offset;
}
