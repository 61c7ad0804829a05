#include "maillog_split.h"

#include "maillog_line.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_SIZE ((size_t)256 * 1024)

struct maillog_split {
    int64_t offset; /* where the next line begins */
    int64_t told;   /* lines that end up to here are told already */
    bool torn;      /* it begins with the end of a line */
    size_t begin;   /* of it in the buffer */
    size_t scanned; /* up to here there is no newline */
    size_t end;
    int64_t dropped; /* bytes of the line that are gone from the buffer */
    bool cut;        /* some of them were none of the NULs in front */
    char buffer[BUFFER_SIZE];
};

struct maillog_split *maillog_split_new(void)
{
    /* malloc, not calloc: the buffer's pages come with the first read */
    struct maillog_split *split = malloc(sizeof *split);

    if (split != NULL) {
        maillog_split_begin(split, 0);
    }
    return split;
}

void maillog_split_free(struct maillog_split *split)
{
    free(split);
}

void maillog_split_begin(struct maillog_split *split, int64_t offset)
{
    split->offset = offset;
    split->begin = 0;
    split->scanned = 0;
    split->end = 0;
    split->dropped = 0;
    split->cut = false;
    split->told = 0;
    split->torn = false;
}

void maillog_split_look_back(struct maillog_split *split, int64_t from,
                             int64_t offset)
{
    maillog_split_begin(split, from);
    split->told = offset;
    split->torn = from > 0 && from < offset;
}

static size_t leading_nuls(const char *bytes, size_t length)
{
    size_t count = 0;

    while (count < length && bytes[count] == '\0') {
        count++;
    }
    return count;
}

/* So that a line without end, or a hole, does not fill the buffer. */
static void shorten(struct maillog_split *split)
{
    size_t nuls = split->cut ? 0
                             : leading_nuls(split->buffer + split->begin,
                                            split->end - split->begin);

    split->begin += nuls;
    split->dropped += (int64_t)nuls;
    if (split->end - split->begin > MAILLOG_LINE_MAX) {
        size_t kept = split->begin + MAILLOG_LINE_MAX;

        split->dropped += (int64_t)(split->end - kept);
        split->end = kept;
        split->cut = true;
    }
}

char *maillog_split_room(struct maillog_split *split, size_t *size)
{
    size_t kept;

    shorten(split);
    kept = split->end - split->begin;
    if (split->begin > 0) {
        memmove(split->buffer, split->buffer + split->begin, kept);
    }
    split->begin = 0;
    split->scanned = kept;
    split->end = kept;
    *size = sizeof split->buffer - kept;
    return split->buffer + kept;
}

void maillog_split_fill(struct maillog_split *split, size_t length)
{
    split->end += length;
}

static void take(struct maillog_split *split, size_t size, size_t newline,
                 struct maillog_split_line *line)
{
    const char *bytes = split->buffer + split->begin;
    size_t nuls = 0;

    if (size > 0 && *bytes == '\0' && !split->cut) {
        nuls = leading_nuls(bytes, size);
    }
    line->begin = split->offset;
    split->offset += split->dropped + (int64_t)(size + newline);
    line->end = split->offset;
    line->told = line->end <= split->told;
    line->text.bytes = bytes + nuls;
    line->text.length = size - nuls;
    line->cut = split->cut;
    if (line->text.length > MAILLOG_LINE_MAX) {
        line->text.length = MAILLOG_LINE_MAX;
        line->cut = true;
    }
    split->begin += size + newline;
    split->scanned = split->begin;
    split->dropped = 0;
    split->cut = false;
}

bool maillog_split_next(struct maillog_split *split,
                        struct maillog_split_line *line)
{
    const char *from = split->buffer + split->scanned;
    const char *newline = memchr(from, '\n', split->end - split->scanned);

    if (newline == NULL) {
        split->scanned = split->end;
        return false;
    }
    take(split, (size_t)(newline - (split->buffer + split->begin)), 1, line);
    if (split->torn) {
        split->torn = false;
        return maillog_split_next(split, line);
    }
    return true;
}

bool maillog_split_rest(struct maillog_split *split,
                        struct maillog_split_line *line)
{
    if (split->end == split->begin && split->dropped == 0) {
        return false;
    }
    take(split, split->end - split->begin, 0, line);
    return true;
}

int64_t maillog_split_offset(const struct maillog_split *split)
{
    return split->offset < split->told ? split->told : split->offset;
}

int64_t maillog_split_read_to(const struct maillog_split *split)
{
    return split->offset + split->dropped +
           (int64_t)(split->end - split->begin);
}
