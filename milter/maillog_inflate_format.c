#include "maillog_inflate_format.h"

#include "maillog_inflate.h"

#include <bzlib.h>
#include <limits.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* More than xz -9 and zstd -19 ask for. */
#define MEMORY_MAX     ((uint64_t)256 * 1024 * 1024)
#define WINDOW_LOG_MAX 27

static unsigned bounded(size_t length)
{
    return length > UINT_MAX ? UINT_MAX : (unsigned)length;
}

static void moved(struct inflate_bytes *bytes, size_t taken, size_t made)
{
    bytes->in += taken;
    bytes->in_length -= taken;
    bytes->out += made;
    bytes->out_length -= made;
}

static bool has_magic(const char *head, size_t length, const char *magic,
                      size_t magic_length)
{
    return length >= magic_length && memcmp(head, magic, magic_length) == 0;
}

/* ---- gzip: RFC 1952 2.3.1 ------------------------------------------------ */

#define GZIP "\x1f\x8b"

static bool gzip_begins(const char *head, size_t length)
{
    return has_magic(head, length, GZIP, 2);
}

static void *gzip_open(void)
{
    z_stream *stream = calloc(1, sizeof *stream);

    /* 16: with gzip's own head and trailer */
    if (stream != NULL && inflateInit2(stream, 16 + MAX_WBITS) != Z_OK) {
        free(stream);
        stream = NULL;
    }
    return stream;
}

static enum inflate_result gzip_step(void *state, struct inflate_bytes *bytes)
{
    z_stream *stream = state;
    unsigned in = bounded(bytes->in_length);
    unsigned out = bounded(bytes->out_length);
    int result;

    stream->next_in = (Bytef *)(uintptr_t)bytes->in; /* is only read */
    stream->avail_in = in;
    stream->next_out = bytes->out;
    stream->avail_out = out;
    result = inflate(stream, Z_NO_FLUSH);
    moved(bytes, in - stream->avail_in, out - stream->avail_out);
    if (result == Z_STREAM_END) {
        return INFLATE_ENDS;
    }
    return result == Z_OK || result == Z_BUF_ERROR ? INFLATE_GOES_ON
                                                   : INFLATE_DAMAGED;
}

static bool gzip_again(void *state)
{
    return inflateReset(state) == Z_OK;
}

static void gzip_close(void *state)
{
    (void)inflateEnd(state);
    free(state);
}

/* ---- xz ------------------------------------------------------------------ */

#define XZ "\xfd\x37\x7a\x58\x5a"

static bool xz_begins(const char *head, size_t length)
{
    return has_magic(head, length, XZ "\0", 6);
}

static bool xz_begin(lzma_stream *stream)
{
    return lzma_stream_decoder(stream, MEMORY_MAX, 0) == LZMA_OK;
}

static void *xz_open(void)
{
    const lzma_stream none = LZMA_STREAM_INIT;
    lzma_stream *stream = malloc(sizeof *stream);

    if (stream != NULL) {
        *stream = none;
        if (!xz_begin(stream)) {
            free(stream);
            stream = NULL;
        }
    }
    return stream;
}

static enum inflate_result xz_step(void *state, struct inflate_bytes *bytes)
{
    lzma_stream *stream = state;
    lzma_ret result;

    stream->next_in = bytes->in;
    stream->avail_in = bytes->in_length;
    stream->next_out = bytes->out;
    stream->avail_out = bytes->out_length;
    result = lzma_code(stream, LZMA_RUN);
    moved(bytes, bytes->in_length - stream->avail_in,
          bytes->out_length - stream->avail_out);
    if (result == LZMA_STREAM_END) {
        return INFLATE_ENDS;
    }
    return result == LZMA_OK || result == LZMA_BUF_ERROR ? INFLATE_GOES_ON
                                                         : INFLATE_DAMAGED;
}

static bool xz_again(void *state)
{
    return xz_begin(state);
}

static void xz_close(void *state)
{
    lzma_end(state);
    free(state);
}

/* ---- Zstandard: RFC 8878 3.1 --------------------------------------------- */

#define ZSTD           "\x28\xb5\x2f\xfd"
#define ZSTD_SKIPPABLE "\x2a\x4d\x18" /* behind a byte of 0x50 to 0x5f */

/* pzstd(1) begins with a frame that is to be skipped. */
static bool zstd_may_skip(const char *head, size_t length)
{
    return length == 0 ||
           ((head[0] & 0xf0) == 0x50 &&
            memcmp(head + 1, ZSTD_SKIPPABLE, length < 4 ? length - 1 : 3) == 0);
}

static bool zstd_begins(const char *head, size_t length)
{
    return has_magic(head, length, ZSTD, 4) ||
           (length >= 4 && zstd_may_skip(head, length));
}

#define ZSTD_FIRST        5 /* less than any frame has */
#define ZSTD_BLOCK_HEADER 3

struct zstd {
    ZSTD_DCtx *context;
    size_t wanted; /* bytes that it makes something of */
    bool full;     /* the last call filled the room: it may have more */
};

static void zstd_close(void *state)
{
    struct zstd *zstd = state;

    (void)ZSTD_freeDCtx(zstd->context);
    free(zstd);
}

static void *zstd_open(void)
{
    struct zstd *zstd = calloc(1, sizeof *zstd);

    if (zstd == NULL) {
        return NULL;
    }
    zstd->wanted = ZSTD_FIRST;
    zstd->context = ZSTD_createDCtx();
    if (zstd->context == NULL) {
        zstd_close(zstd);
        return NULL;
    }
    (void)ZSTD_DCtx_setParameter(zstd->context, ZSTD_d_windowLogMax,
                                 WINDOW_LOG_MAX);
    return zstd;
}

/* False: damaged; then what the call has made is lost. */
static bool zstd_call(struct zstd *zstd, struct inflate_bytes *bytes,
                      size_t given)
{
    ZSTD_inBuffer in = {bytes->in, given, 0};
    ZSTD_outBuffer out = {bytes->out, bytes->out_length, 0};
    size_t result = ZSTD_decompressStream(zstd->context, &out, &in);

    moved(bytes, in.pos, out.pos);
    zstd->full = out.pos == out.size;
    zstd->wanted = result;
    return !ZSTD_isError(result);
}

/*
 * So each call is given no more than a block, without the header of the next
 * that it would like to have, and nothing while it has more than there is room
 * for.
 */
static enum inflate_result zstd_step(void *state, struct inflate_bytes *bytes)
{
    struct zstd *zstd = state;
    size_t room = bytes->out_length;
    size_t wanted;

    if (zstd->full && !zstd_call(zstd, bytes, 0)) {
        return INFLATE_DAMAGED;
    }
    if (bytes->out_length < room) {
        return zstd->wanted == 0 ? INFLATE_ENDS : INFLATE_GOES_ON;
    }
    wanted = zstd->wanted > ZSTD_BLOCK_HEADER ? zstd->wanted - ZSTD_BLOCK_HEADER
                                              : zstd->wanted;
    if (!zstd_call(zstd, bytes,
                   wanted < bytes->in_length ? wanted : bytes->in_length)) {
        return INFLATE_DAMAGED;
    }
    return zstd->wanted == 0 ? INFLATE_ENDS : INFLATE_GOES_ON;
}

static bool zstd_again(void *state)
{
    struct zstd *zstd = state;

    zstd->full = false;
    zstd->wanted = ZSTD_FIRST;
    return !ZSTD_isError(
        ZSTD_DCtx_reset(zstd->context, ZSTD_reset_session_only));
}

/* ---- bzip2 --------------------------------------------------------------- */

#define BZIP2 "BZh"

/* A digit lies between its mark and that of a block, or of the end: a text may
 * well begin BZh. */
static bool bzip2_begins(const char *head, size_t length)
{
    return length >= MAILLOG_MAGIC && memcmp(head, BZIP2, 3) == 0 &&
           (memcmp(head + 4, "1AY&SY", 6) == 0 ||
            memcmp(head + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

static bool bzip2_begin(bz_stream *stream)
{
    memset(stream, 0, sizeof *stream);
    return BZ2_bzDecompressInit(stream, 0, 0) == BZ_OK;
}

static void *bzip2_open(void)
{
    bz_stream *stream = calloc(1, sizeof *stream);

    if (stream != NULL && !bzip2_begin(stream)) {
        free(stream);
        stream = NULL;
    }
    return stream;
}

static enum inflate_result bzip2_step(void *state, struct inflate_bytes *bytes)
{
    bz_stream *stream = state;
    unsigned in = bounded(bytes->in_length);
    unsigned out = bounded(bytes->out_length);
    int result;

    stream->next_in = (char *)(uintptr_t)bytes->in; /* is only read */
    stream->avail_in = in;
    stream->next_out = (char *)bytes->out;
    stream->avail_out = out;
    result = BZ2_bzDecompress(stream);
    moved(bytes, in - stream->avail_in, out - stream->avail_out);
    if (result == BZ_STREAM_END) {
        return INFLATE_ENDS;
    }
    return result == BZ_OK ? INFLATE_GOES_ON : INFLATE_DAMAGED;
}

static bool bzip2_again(void *state)
{
    (void)BZ2_bzDecompressEnd(state);
    return bzip2_begin(state);
}

static void bzip2_close(void *state)
{
    (void)BZ2_bzDecompressEnd(state);
    free(state);
}

/* -------------------------------------------------------------------------- */

static const struct inflate_format formats[] = {
    {"gzip", gzip_begins, gzip_open, gzip_step, gzip_again, gzip_close},
    {"xz", xz_begins, xz_open, xz_step, xz_again, xz_close},
    {"zstd", zstd_begins, zstd_open, zstd_step, zstd_again, zstd_close},
    {"bzip2", bzip2_begins, bzip2_open, bzip2_step, bzip2_again, bzip2_close},
};

const struct inflate_format *inflate_format_of(const char *head, size_t length)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i].begins(head, length)) {
            return &formats[i];
        }
    }
    return NULL;
}

bool inflate_format_may_be(const char *head, size_t length)
{
    static const struct {
        const char *bytes;
        size_t length;
    } magic[] = {{GZIP, 2}, {XZ "\0", 6}, {ZSTD, 4}, {BZIP2, 3}};

    for (size_t i = 0; i < sizeof magic / sizeof magic[0]; i++) {
        if (memcmp(head, magic[i].bytes,
                   length < magic[i].length ? length : magic[i].length) == 0) {
            return true;
        }
    }
    return zstd_may_skip(head, length);
}
