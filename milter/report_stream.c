#include "report_stream.h"

#include "report_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the end of a buffer: a line "From " that is cut, and what is before it. */
#define UNSURE_BYTES (REPORT_FILE_LINE_MAX + 4)
#define BUFFER_SIZE  (REPORT_STREAM_HELD + UNSURE_BYTES)

struct report_stream {
    int descriptor;
    bool over;   /* there is nothing more to read */
    bool single; /* no mbox: its first message is all */
    bool begun;
    bool whole; /* nothing is left of the message that was given last */
    size_t from, length; /* what is in the buffer and was not given yet */
    char buffer[BUFFER_SIZE];
};

struct report_stream *report_stream_new(void)
{
    struct report_stream *stream = malloc(sizeof *stream);

    if (stream != NULL) {
        report_stream_begin(stream, -1);
    }
    return stream;
}

void report_stream_free(struct report_stream *stream)
{
    free(stream);
}

void report_stream_begin(struct report_stream *stream, int descriptor)
{
    stream->descriptor = descriptor;
    stream->over = false;
    stream->single = false;
    stream->begun = false;
    stream->whole = true;
    stream->from = 0;
    stream->length = 0;
}

/* Reads until the buffer is full or there is no more. False: errno. */
static bool fill(struct report_stream *stream)
{
    if (stream->from > 0) {
        memmove(stream->buffer, stream->buffer + stream->from, stream->length);
        stream->from = 0;
    }
    while (!stream->over && stream->length < BUFFER_SIZE) {
        ssize_t got = read(stream->descriptor, stream->buffer + stream->length,
                           BUFFER_SIZE - stream->length);

        if (got < 0 && errno != EINTR) {
            return false;
        }
        stream->over = got == 0;
        stream->length += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static void drop(struct report_stream *stream, size_t count)
{
    stream->from += count;
    stream->length -= count;
}

/*
 * How much of the buffer belongs to the message that begins it; *whole: what
 * is behind that begins another, or there is no more. What stands at the end
 * of a buffer may begin one that is still to be read.
 */
static size_t message_length(const struct report_stream *stream, bool *whole)
{
    const struct text held = {stream->buffer + stream->from, stream->length};
    const size_t length =
        stream->single ? held.length : report_file_length(held);

    *whole = stream->over || (length < held.length &&
                              held.length - length >= REPORT_FILE_LINE_MAX);
    return *whole                       ? length
           : held.length > UNSURE_BYTES ? held.length - UNSURE_BYTES
                                        : 0;
}

/* The rest of a message that was longer than the buffer. False: errno. */
static bool skip_rest(struct report_stream *stream)
{
    while (!stream->whole) {
        if (!fill(stream)) {
            return false;
        }
        drop(stream, message_length(stream, &stream->whole));
    }
    return true;
}

static bool begin(struct report_stream *stream)
{
    if (!fill(stream)) {
        return false;
    }
    stream->begun = true;
    stream->whole = true; /* nothing is left of one before */
    stream->single =
        !report_file_is_mbox((struct text){stream->buffer, stream->length});
    return true;
}

enum report_stream_result report_stream_next(struct report_stream *stream,
                                             struct text *message)
{
    size_t length;

    if (stream->begun && stream->single) {
        return REPORT_STREAM_END;
    }
    if (!(stream->begun ? skip_rest(stream) : begin(stream))) {
        return REPORT_STREAM_ERROR;
    }
    length = message_length(stream, &stream->whole);
    if (!stream->whole) {
        if (!fill(stream)) {
            return REPORT_STREAM_ERROR;
        }
        length = message_length(stream, &stream->whole);
    }
    *message = (struct text){stream->buffer + stream->from, length};
    drop(stream, length);
    return length == 0 ? REPORT_STREAM_END : REPORT_STREAM_MESSAGE;
}
