#include "maillog_stream.h"

#include "log.h"
#include "maillog_split.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct maillog_stream {
    int fd;
    struct maillog_split *split;
    char prefix[MAILLOG_POSITION_SIZE];
    size_t prefix_length;
};

struct maillog_stream *maillog_stream_new(const char *source, int fd)
{
    struct maillog_stream *stream = calloc(1, sizeof *stream);
    struct maillog_position position = {.kind = MAILLOG_POSITION_STREAM};

    if (stream != NULL) {
        stream->split = maillog_split_new();
        stream->fd = fd;
    }
    if (stream == NULL || stream->split == NULL) {
        free(stream);
        if (fd != STDIN_FILENO) {
            (void)close(fd);
        }
        return NULL;
    }
    position.source = maillog_position_source(source);
    stream->prefix_length =
        maillog_position_format_prefix(&position, stream->prefix);
    return stream;
}

void maillog_stream_free(struct maillog_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    if (stream->fd != STDIN_FILENO) {
        (void)close(stream->fd);
    }
    maillog_split_free(stream->split);
    free(stream);
}

static void write_position(const struct maillog_stream *stream, int64_t offset,
                           char text[MAILLOG_POSITION_SIZE])
{
    memcpy(text, stream->prefix, stream->prefix_length);
    (void)maillog_position_put_offset(text, stream->prefix_length, offset);
}

static void give(const struct maillog_stream *stream,
                 const struct maillog_split_line *found,
                 struct maillog_line *line)
{
    line->text = found->text;
    line->cut = found->cut;
    line->timestamp_us = 0;
    line->program = text_of(NULL);
    line->pid = 0;
    write_position(stream, found->begin, line->before);
    write_position(stream, found->end, line->position);
}

/* The descriptor is shared with whoever gave it to us: it stays blocking. */
static bool is_ready(const struct maillog_stream *stream)
{
    struct pollfd wanted = {.fd = stream->fd, .events = POLLIN};

    return poll(&wanted, 1, 0) > 0;
}

static ssize_t read_more(struct maillog_stream *stream)
{
    size_t size;
    char *room = maillog_split_room(stream->split, &size);
    ssize_t got = read(stream->fd, room, size);

    if (got > 0) {
        maillog_split_fill(stream->split, (size_t)got);
    }
    return got;
}

enum maillog_source_result maillog_stream_next(struct maillog_stream *stream,
                                               struct maillog_line *line)
{
    struct maillog_split_line found;
    ssize_t got;

    if (maillog_split_next(stream->split, &found)) {
        give(stream, &found, line);
        return MAILLOG_SOURCE_LINE;
    }
    if (!is_ready(stream)) {
        return MAILLOG_SOURCE_NOTHING;
    }
    got = read_more(stream);
    if (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN))) {
        return MAILLOG_SOURCE_AGAIN;
    }
    if (got < 0) {
        char text[128];

        log_error("maillog: the stream cannot be read: error=\"%s\"",
                  strerror_r(errno, text, sizeof text));
    }
    if (maillog_split_rest(stream->split, &found)) {
        give(stream, &found, line);
        return MAILLOG_SOURCE_LINE;
    }
    return MAILLOG_SOURCE_END;
}

void maillog_stream_position(const struct maillog_stream *stream,
                             char text[MAILLOG_POSITION_SIZE])
{
    write_position(stream, maillog_split_offset(stream->split), text);
}

int maillog_stream_descriptor(const struct maillog_stream *stream)
{
    return stream->fd;
}
