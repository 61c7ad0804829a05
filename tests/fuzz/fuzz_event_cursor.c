/*
 * The cursor gives what a simple reader of the whole file would, however the
 * file grows meanwhile and wherever reading is resumed.
 *
 * Input: the first two bytes say where the file is cut in its growing, 0x1f
 * stands for 4000 of the byte that follows, so that small inputs make long
 * lines.
 */
#include "event_cursor.h"
#include "event_json.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_MAX ((size_t)1024 * 1024)
#define REPEAT   0x1f
#define REPEATED ((size_t)4000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

static size_t expand(const uint8_t *data, size_t size, char *bytes)
{
    size_t used = 0;

    for (size_t i = 0; i < size && used + REPEATED < FILE_MAX; i++) {
        size_t count = 1;

        if (data[i] == REPEAT && i + 1 < size) {
            count = REPEATED;
            i++;
        }
        memset(bytes + used, data[i], count);
        used += count;
    }
    return used;
}

static bool is_good(const char *line, size_t length)
{
    return length < EVENT_LINE_MAX && memchr(line, '\0', length) == NULL;
}

/* What the cursor must say next: reads bytes from *at, below end. */
static const char *next_good(const char *bytes, size_t end, size_t *at,
                             size_t *length, uint64_t *torn)
{
    while (*at < end) {
        const char *line = bytes + *at;
        const char *newline = memchr(line, '\n', end - *at);

        if (newline == NULL) {
            return NULL;
        }
        *length = (size_t)(newline - line);
        *at += *length + 1;
        if (is_good(line, *length)) {
            return line;
        }
        (*torn)++;
    }
    return NULL;
}

static void read_up_to(struct event_cursor *cursor, const char *bytes,
                       size_t end, size_t *at, uint64_t *torn)
{
    enum event_cursor_result result;
    const char *line;
    const char *wanted;
    size_t length;
    size_t wanted_length = 0;

    do {
        wanted = next_good(bytes, end, at, &wanted_length, torn);
        result = event_cursor_next(cursor, &line, &length);
        must(result == (wanted == NULL ? EVENT_CURSOR_END : EVENT_CURSOR_LINE));
        must(event_cursor_offset(cursor) == (off_t)*at);
        must(event_cursor_torn(cursor) == *torn);
        if (wanted != NULL) {
            must(length == wanted_length);
            must(memcmp(line, wanted, length) == 0);
        }
    } while (wanted != NULL);
}

static struct event_cursor *open_at(int fd, off_t offset)
{
    struct event_cursor *cursor = event_cursor_new(dup(fd), offset);

    must(cursor != NULL);
    return cursor;
}

static void check(const char *bytes, size_t size, size_t cut)
{
    int fd = memfd_create("events", MFD_CLOEXEC);
    struct event_cursor *cursor = open_at(fd, 0);
    size_t at = 0;
    size_t resumed;
    uint64_t torn = 0;
    uint64_t torn_again = 0;

    must(write(fd, bytes, cut) == (ssize_t)cut);
    read_up_to(cursor, bytes, cut, &at, &torn);
    resumed = at;
    must(write(fd, bytes + cut, size - cut) == (ssize_t)(size - cut));
    read_up_to(cursor, bytes, size, &at, &torn);
    event_cursor_free(cursor);

    cursor = open_at(fd, (off_t)resumed);
    read_up_to(cursor, bytes, size, &resumed, &torn_again);
    must(resumed == at);
    event_cursor_free(cursor);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes;
    size_t cut;
    size_t length;

    if (size < 2) {
        return 0;
    }
    bytes = malloc(FILE_MAX);
    must(bytes != NULL);
    cut = (size_t)(data[0] << 8 | data[1]);
    length = expand(data + 2, size - 2, bytes);
    check(bytes, length, cut < length ? cut : length);
    free(bytes);
    return 0;
}
