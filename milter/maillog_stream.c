#include "maillog_stream.h"

#include "log.h"
#include "maillog_inflate.h"
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
    /* of the line that was given last; both begin alike */
    char before[MAILLOG_POSITION_SIZE], position[MAILLOG_POSITION_SIZE];
    size_t prefix_length;
    /* what it begins with, until that tells whether it is compressed */
    bool begun, ended;
    bool lost; /* it could not be read to its end */
    char head[MAILLOG_MAGIC];
    size_t head_length;
    struct maillog_inflate *inflate;
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
    (void)maillog_position_format_prefix(&position, stream->before);
    stream->prefix_length =
        maillog_position_format_prefix(&position, stream->position);
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
    maillog_inflate_free(stream->inflate);
    maillog_split_free(stream->split);
    free(stream);
}

static void give(struct maillog_stream *stream,
                 const struct maillog_split_line *found,
                 struct maillog_line *line)
{
    line->text = found->text;
    line->cut = found->cut;
    line->told = false;
    line->timestamp_us = 0;
    line->program = text_of(NULL);
    line->pid = 0;
    (void)maillog_position_put_offset(stream->before, stream->prefix_length,
                                      found->begin);
    (void)maillog_position_put_offset(stream->position, stream->prefix_length,
                                      found->end);
    line->before = stream->before;
    line->position = stream->position;
}

/* The descriptor is shared with whoever gave it to us: it stays blocking. */
static bool is_ready(const struct maillog_stream *stream)
{
    struct pollfd wanted = {.fd = stream->fd, .events = POLLIN};

    return poll(&wanted, 1, 0) > 0;
}

/* More than nothing: there may be more; 0: the end; -1 with error. */
static ssize_t read_bytes(struct maillog_stream *stream, char *room,
                          size_t size, struct error *error)
{
    ssize_t got;

    if (stream->inflate != NULL) {
        return maillog_inflate_read(stream->inflate, room, size, error);
    }
    got = read(stream->fd, room, size);
    if (got < 0) {
        error_set_errno(error, "read");
    }
    return got;
}

/* What was read so far is of the log itself, or tells how it is compressed. */
static bool begin(struct maillog_stream *stream, struct error *error)
{
    struct text head = {stream->head, stream->head_length};
    size_t size;

    stream->begun = true;
    if (maillog_inflate_knows(head.bytes, head.length)) {
        stream->inflate = maillog_inflate_new_stream(stream->fd, head, error);
        errno = EBADMSG; /* whatever was tried */
        return stream->inflate != NULL;
    }
    memcpy(maillog_split_room(stream->split, &size), head.bytes, head.length);
    maillog_split_fill(stream->split, head.length);
    return true;
}

/* As read_bytes(). */
static ssize_t read_head(struct maillog_stream *stream, struct error *error)
{
    ssize_t got = read_bytes(stream, stream->head + stream->head_length,
                             sizeof stream->head - stream->head_length, error);

    if (got < 0) {
        return got;
    }
    stream->head_length += (size_t)got;
    if (got > 0 && stream->head_length < sizeof stream->head &&
        maillog_inflate_may_know(stream->head, stream->head_length)) {
        return got;
    }
    return begin(stream, error) ? (ssize_t)stream->head_length : -1;
}

static ssize_t read_more(struct maillog_stream *stream, struct error *error)
{
    size_t size;
    char *room;
    ssize_t got;

    if (!stream->begun) {
        return read_head(stream, error);
    }
    room = maillog_split_room(stream->split, &size);
    got = read_bytes(stream, room, size, error);
    if (got > 0) {
        maillog_split_fill(stream->split, (size_t)got);
    }
    return got;
}

enum maillog_source_result maillog_stream_next(struct maillog_stream *stream,
                                               struct maillog_line *line)
{
    struct maillog_split_line found;
    struct error error;
    ssize_t got;

    if (maillog_split_next(stream->split, &found)) {
        give(stream, &found, line);
        return MAILLOG_SOURCE_LINE;
    }
    if (stream->ended) {
        return MAILLOG_SOURCE_END;
    }
    if (stream->inflate == NULL && !is_ready(stream)) {
        return MAILLOG_SOURCE_NOTHING;
    }
    errno = 0;
    got = read_more(stream, &error);
    if (got > 0 || (got < 0 && stream->inflate == NULL &&
                    (errno == EINTR || errno == EAGAIN))) {
        return MAILLOG_SOURCE_AGAIN;
    }
    stream->ended = true;
    if (got < 0) {
        log_error("maillog: the stream cannot be read: error=\"%s\"",
                  error.text);
        stream->lost = true;
        return MAILLOG_SOURCE_END; /* what is behind the last newline is torn */
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
    memcpy(text, stream->position, stream->prefix_length);
    (void)maillog_position_put_offset(text, stream->prefix_length,
                                      maillog_split_offset(stream->split));
}

void maillog_stream_state(const struct maillog_stream *stream,
                          struct maillog_follow_state *state)
{
    state->lost_files += stream->lost;
}

int maillog_stream_descriptor(const struct maillog_stream *stream)
{
    return stream->fd;
}
