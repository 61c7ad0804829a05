#include "maillog_inflate.h"

#include "maillog_inflate_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_SIZE ((size_t)64 * 1024)

struct maillog_inflate {
    const struct inflate_format *format;
    void *state; /* of the format */
    int fd;
    bool ended;         /* there is no more to read */
    bool between;       /* a member has ended, and no other begun */
    bool finished;      /* all of it is given, or what lies before damage */
    struct error fault; /* that is told then; "": none */
    size_t block_begin, block_end;
    int64_t taken, given;
    unsigned char block[BLOCK_SIZE];
};

bool maillog_inflate_knows(const char *head, size_t length)
{
    return inflate_format_of(head, length) != NULL;
}

bool maillog_inflate_may_know(const char *head, size_t length)
{
    return inflate_format_may_be(head, length);
}

static struct maillog_inflate *make(int fd, struct text head,
                                    struct error *error)
{
    struct maillog_inflate *inflate = calloc(1, sizeof *inflate);

    if (inflate == NULL) {
        error_set(error, "out of memory");
        return NULL;
    }
    inflate->fd = fd;
    inflate->format = inflate_format_of(head.bytes, head.length);
    if (inflate->format == NULL) {
        error_set(error, "not compressed");
        maillog_inflate_free(inflate);
        return NULL;
    }
    inflate->state = inflate->format->open();
    if (inflate->state == NULL) {
        error_set(error, "out of memory");
        maillog_inflate_free(inflate);
        return NULL;
    }
    return inflate;
}

struct maillog_inflate *maillog_inflate_new(int fd, struct error *error)
{
    char head[MAILLOG_MAGIC];
    ssize_t length = pread(fd, head, sizeof head, 0);

    if (length < 0 || lseek(fd, 0, SEEK_SET) != 0) {
        error_set_errno(error, "read");
        return NULL;
    }
    return make(fd, (struct text){head, (size_t)length}, error);
}

struct maillog_inflate *maillog_inflate_new_stream(int fd, struct text head,
                                                   struct error *error)
{
    struct maillog_inflate *inflate;

    head.length = head.length < MAILLOG_MAGIC ? head.length : MAILLOG_MAGIC;
    inflate = make(fd, head, error);
    if (inflate != NULL) {
        memcpy(inflate->block, head.bytes, head.length);
        inflate->block_end = head.length;
    }
    return inflate;
}

void maillog_inflate_free(struct maillog_inflate *inflate)
{
    if (inflate == NULL) {
        return;
    }
    if (inflate->state != NULL) {
        inflate->format->close(inflate->state);
    }
    free(inflate);
}

static void damaged(struct maillog_inflate *inflate, const char *how)
{
    error_set(&inflate->fault,
              "%s %s at byte %lld, behind %lld bytes of its lines",
              inflate->format->name, how, (long long)inflate->taken,
              (long long)inflate->given);
    inflate->finished = true;
}

/* False: it cannot be read. */
static bool fill(struct maillog_inflate *inflate)
{
    ssize_t got;

    if (inflate->block_begin < inflate->block_end || inflate->ended) {
        return true;
    }
    do {
        got = read(inflate->fd, inflate->block, BLOCK_SIZE);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        error_set_errno(&inflate->fault, "read");
        inflate->finished = true;
        return false;
    }
    inflate->ended = got == 0;
    inflate->block_begin = 0;
    inflate->block_end = (size_t)got;
    return true;
}

/* Behind a member: another one, zeros that fill a block, or the end. */
static void begin_another(struct maillog_inflate *inflate)
{
    while (inflate->block_begin < inflate->block_end &&
           inflate->block[inflate->block_begin] == 0) {
        inflate->block_begin++;
        inflate->taken++;
    }
    if (inflate->block_begin == inflate->block_end) {
        inflate->finished = inflate->ended;
    } else if (inflate->format->again(inflate->state)) {
        inflate->between = false;
    } else {
        damaged(inflate, "cannot go on, out of memory,");
    }
}

/* Returns how many bytes were made. */
static size_t step(struct maillog_inflate *inflate, char *buffer, size_t size)
{
    struct inflate_bytes bytes = {
        .in = inflate->block + inflate->block_begin,
        .in_length = inflate->block_end - inflate->block_begin,
        .out = (unsigned char *)buffer,
        .out_length = size,
    };
    size_t had = bytes.in_length;
    enum inflate_result result = inflate->format->step(inflate->state, &bytes);
    size_t made = size - bytes.out_length;

    inflate->block_begin = inflate->block_end - bytes.in_length;
    inflate->taken += (int64_t)(had - bytes.in_length);
    inflate->given += (int64_t)made;
    if (result == INFLATE_DAMAGED) {
        damaged(inflate, "is damaged");
    } else if (result == INFLATE_ENDS) {
        inflate->between = true;
    } else if (made == 0 && had == bytes.in_length && inflate->ended) {
        damaged(inflate, "ends too early");
    } else if (made == 0 && had == bytes.in_length && had > 0) {
        damaged(inflate, "is damaged"); /* nothing moves any more */
    }
    return made;
}

ssize_t maillog_inflate_read(struct maillog_inflate *inflate, char *buffer,
                             size_t size, struct error *error)
{
    size_t made = 0;

    while (made == 0 && size > 0 && !inflate->finished && fill(inflate)) {
        if (inflate->between) {
            begin_another(inflate);
        } else {
            made = step(inflate, buffer, size);
        }
    }
    if (made == 0 && inflate->fault.text[0] != '\0') {
        *error = inflate->fault;
        return -1;
    }
    return (ssize_t)made;
}

int64_t maillog_inflate_taken(const struct maillog_inflate *inflate)
{
    return inflate->taken;
}
