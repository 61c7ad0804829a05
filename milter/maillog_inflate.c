#include "maillog_inflate.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_SIZE ((size_t)64 * 1024)

struct maillog_inflate {
    struct archive *archive;
    bool empty; /* the file holds not one byte */
    /* of a stream: what was read of it before, and comes first */
    int fd;
    char head[MAILLOG_MAGIC];
    size_t head_length;
    char *block;
};

static const struct format {
    const char *name;
    const char *magic;
    size_t length;
    int (*support)(struct archive *archive);
} formats[] = {
    /* RFC 1952 2.3.1 */
    {"gzip", "\x1f\x8b", 2, archive_read_support_filter_gzip},
    {"xz", "\xfd\x37\x7a\x58\x5a\x00", 6, archive_read_support_filter_xz},
    /* RFC 8878 3.1.1 */
    {"zstd", "\x28\xb5\x2f\xfd", 4, archive_read_support_filter_zstd},
};

/* A digit lies between its mark and that of a block, or of the end: a text may
 * well begin BZh. */
static bool is_bzip2(const char *head, size_t length)
{
    return length >= MAILLOG_MAGIC && memcmp(head, "BZh", 3) == 0 &&
           (memcmp(head + 4, "1AY&SY", 6) == 0 ||
            memcmp(head + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

static const struct format *format_of(const char *head, size_t length)
{
    static const struct format bzip2 = {"bzip2", "", 0,
                                        archive_read_support_filter_bzip2};

    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (length >= formats[i].length &&
            memcmp(head, formats[i].magic, formats[i].length) == 0) {
            return &formats[i];
        }
    }
    return is_bzip2(head, length) ? &bzip2 : NULL;
}

bool maillog_inflate_knows(const char *head, size_t length)
{
    return format_of(head, length) != NULL;
}

static bool agree(const char *head, size_t length, const char *magic,
                  size_t magic_length)
{
    return memcmp(head, magic, length < magic_length ? length : magic_length) ==
           0;
}

bool maillog_inflate_may_know(const char *head, size_t length)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (agree(head, length, formats[i].magic, formats[i].length)) {
            return true;
        }
    }
    return agree(head, length, "BZh", 3);
}

static void set_fault(struct archive *archive, struct error *error)
{
    const char *fault = archive_error_string(archive);
    char escaped[256];

    error_set(error, "%s",
              fault == NULL
                  ? "damaged"
                  : text_escape(text_of(fault), escaped, sizeof escaped));
}

static bool support(struct archive *archive, const struct format *format,
                    struct error *error)
{
    if (format == NULL) {
        error_set(error, "not compressed");
        return false;
    }
    /* ARCHIVE_WARN: it would run a program */
    if (format->support(archive) != ARCHIVE_OK) {
        error_set(error, "this libarchive cannot read %s", format->name);
        return false;
    }
    return true;
}

/* result: that of archive_read_open() */
static bool begin(struct maillog_inflate *inflate, int result,
                  struct error *error)
{
    struct archive_entry *entry;

    if (result == ARCHIVE_OK) {
        result = archive_read_next_header(inflate->archive, &entry);
    }
    inflate->empty = result == ARCHIVE_EOF;
    if (result != ARCHIVE_OK && result != ARCHIVE_EOF) {
        set_fault(inflate->archive, error);
        return false;
    }
    return true;
}

static bool open_file(struct maillog_inflate *inflate, int fd,
                      struct error *error)
{
    char head[MAILLOG_MAGIC];
    ssize_t length = pread(fd, head, sizeof head, 0);

    if (!support(inflate->archive,
                 length < 0 ? NULL : format_of(head, (size_t)length), error)) {
        return false;
    }
    if (lseek(fd, 0, SEEK_SET) != 0) {
        error_set_errno(error, "seek");
        return false;
    }
    return begin(inflate,
                 archive_read_open_fd(inflate->archive, fd, BLOCK_SIZE), error);
}

static la_ssize_t read_block(struct archive *archive, void *context,
                             const void **block)
{
    struct maillog_inflate *inflate = context;
    size_t head = inflate->head_length;
    ssize_t got;

    if (head > 0) {
        inflate->head_length = 0;
        *block = inflate->head;
        return (la_ssize_t)head;
    }
    do {
        got = read(inflate->fd, inflate->block, BLOCK_SIZE);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        archive_set_error(archive, errno, "read");
    }
    *block = inflate->block;
    return got;
}

static bool open_stream(struct maillog_inflate *inflate, struct error *error)
{
    inflate->block = malloc(BLOCK_SIZE);
    if (inflate->block == NULL) {
        error_set(error, "out of memory");
        return false;
    }
    return support(inflate->archive,
                   format_of(inflate->head, inflate->head_length), error) &&
           begin(inflate,
                 archive_read_open(inflate->archive, inflate, NULL, read_block,
                                   NULL),
                 error);
}

static struct maillog_inflate *make(struct error *error)
{
    struct maillog_inflate *inflate = calloc(1, sizeof *inflate);

    if (inflate != NULL) {
        inflate->archive = archive_read_new();
    }
    if (inflate == NULL || inflate->archive == NULL ||
        archive_read_support_format_raw(inflate->archive) != ARCHIVE_OK ||
        archive_read_support_format_empty(inflate->archive) != ARCHIVE_OK) {
        error_set(error, "out of memory");
        maillog_inflate_free(inflate);
        return NULL;
    }
    return inflate;
}

struct maillog_inflate *maillog_inflate_new(int fd, struct error *error)
{
    struct maillog_inflate *inflate = make(error);

    if (inflate != NULL && !open_file(inflate, fd, error)) {
        maillog_inflate_free(inflate);
        return NULL;
    }
    return inflate;
}

struct maillog_inflate *maillog_inflate_new_stream(int fd, struct text head,
                                                   struct error *error)
{
    struct maillog_inflate *inflate = make(error);

    if (inflate == NULL) {
        return NULL;
    }
    inflate->fd = fd;
    inflate->head_length =
        head.length < MAILLOG_MAGIC ? head.length : MAILLOG_MAGIC;
    memcpy(inflate->head, head.bytes, inflate->head_length);
    if (!open_stream(inflate, error)) {
        maillog_inflate_free(inflate);
        return NULL;
    }
    return inflate;
}

void maillog_inflate_free(struct maillog_inflate *inflate)
{
    if (inflate == NULL) {
        return;
    }
    if (inflate->archive != NULL) {
        (void)archive_read_free(inflate->archive);
    }
    free(inflate->block);
    free(inflate);
}

ssize_t maillog_inflate_read(struct maillog_inflate *inflate, char *buffer,
                             size_t size, struct error *error)
{
    la_ssize_t got;

    if (inflate->empty) {
        return 0;
    }
    do {
        got = archive_read_data(inflate->archive, buffer, size);
    } while (got == ARCHIVE_RETRY);
    if (got < 0) {
        set_fault(inflate->archive, error);
        return -1;
    }
    return (ssize_t)got;
}

int64_t maillog_inflate_taken(const struct maillog_inflate *inflate)
{
    return archive_filter_bytes(inflate->archive, -1);
}
