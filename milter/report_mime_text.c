#include "report_mime.h"
#include "report_text.h"

#include <errno.h>
#include <gmime/gmime.h>
#include <iconv.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FAULTS_MAX 100 /* bytes that a charset does not have */
#define PIECE_MAX  512

static pthread_once_t once = PTHREAD_ONCE_INIT;

/*
 * glibc forgets a converter with its last user, and loads it from disk for the
 * next: these stay.
 */
static void init_gmime(void)
{
    static const char *const charsets[] = {"ISO-2022-JP-2", "CP932", "CP1252",
                                           "GB18030",       "UTF-7", "EUC-JP",
                                           "BIG5-HKSCS",    "KOI8-R"};
    static iconv_t kept[sizeof charsets / sizeof charsets[0]];

    g_mime_init();
    for (size_t i = 0; i < sizeof charsets / sizeof charsets[0]; i++) {
        kept[i] = iconv_open("UTF-8", charsets[i]);
        if (kept[i] == (iconv_t)-1) {
            continue; /* an iconv() without it: what needs it stays as it is */
        }
    }
}

void report_mime_init(void)
{
    (void)pthread_once(&once, init_gmime);
}

/* --- transfer encodings ------------------------------------------------ */

static GMimeContentEncoding gmime_encoding(enum report_encoding encoding)
{
    switch (encoding) {
    case REPORT_ENCODING_BASE64:
        return GMIME_CONTENT_ENCODING_BASE64;
    case REPORT_ENCODING_QUOTED:
        return GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE;
    case REPORT_ENCODING_UUENCODE:
        return GMIME_CONTENT_ENCODING_UUENCODE;
    case REPORT_ENCODING_NONE:
        break;
    }
    return GMIME_CONTENT_ENCODING_7BIT;
}

/* What comes out of it may have CR LF again. */
static size_t without_returns(char *bytes, size_t length)
{
    size_t used = 0;

    if (memchr(bytes, '\r', length) == NULL) {
        return length;
    }
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != '\r') {
            bytes[used++] = bytes[i];
        } else if (i + 1 == length || bytes[i + 1] != '\n') {
            bytes[used++] = '\n';
        }
    }
    return used;
}

static struct text decode_transfer(struct report_memory *memory,
                                   enum report_encoding encoding,
                                   struct text content)
{
    GMimeEncoding state;
    char *out;
    size_t length;

    if (encoding == REPORT_ENCODING_NONE || content.length == 0) {
        return content;
    }
    g_mime_encoding_init_decode(&state, gmime_encoding(encoding));
    length = g_mime_encoding_outlen(&state, content.length);
    out = report_memory_take(memory, length + 1);
    if (out == NULL) {
        return content;
    }
    length = g_mime_encoding_step(&state, content.bytes, content.length, out);
    length = without_returns(out, length);
    report_memory_shrink(memory, out, length);
    return (struct text){out, length};
}

/* --- charsets ---------------------------------------------------------- */

static bool is_ascii(struct text text)
{
    unsigned char seen = 0;

    for (size_t i = 0; i < text.length; i++) {
        seen |= (unsigned char)text.bytes[i];
    }
    return seen < 0x80;
}

static bool has_byte(struct text text, char byte)
{
    return memchr(text.bytes, byte, text.length) != NULL;
}

/* UTF-16, told by its zero bytes: which of each pair is zero. */
static const char *utf16_of(struct text text)
{
    size_t zeros[2] = {0, 0};
    size_t look = text.length < 512 ? text.length : 512;

    for (size_t i = 0; i < look; i++) {
        zeros[i % 2] += text.bytes[i] == '\0';
    }
    if (look < 8 || zeros[0] + zeros[1] < look / 4) {
        return NULL;
    }
    return zeros[0] > zeros[1] ? "UTF-16BE" : "UTF-16LE";
}

/* Labels that iconv does not know, or knows more narrowly than mail uses. */
static const char *iconv_name(const char *charset)
{
    static const struct charset_row {
        const char *label, *name;
    } rows[] = {
        {"unicode-1-1-utf-7", "UTF-7"},
        {"utf-7", "UTF-7"},
        {"shift_jis", "CP932"},
        {"shift-jis", "CP932"},
        {"x-sjis", "CP932"},
        {"iso-2022-jp", "ISO-2022-JP-2"},
        {"gb2312", "GB18030"},
        {"gbk", "GB18030"},
        {"big5", "BIG5-HKSCS"},
        {"ks_c_5601-1987", "CP949"},
        {"euc-kr", "CP949"},
        {"iso-8859-1", "CP1252"},
        {"us-ascii", "CP1252"},
        {"iso-8859-8-i", "ISO-8859-8"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(charset, rows[i].label) == 0) {
            return rows[i].name;
        }
    }
    return g_mime_charset_iconv_name(charset);
}

/* ASCII as it is, '?' for other bytes: the label was wrong anyway. */
static size_t copy_ascii(const char *in, size_t length, char *out, size_t room)
{
    size_t count = length < room ? length : room;

    for (size_t i = 0; i < count; i++) {
        out[i] = (unsigned char)in[i] >= 0x80 || in[i] == '\033' ? '?' : in[i];
    }
    return count;
}

/* What goes to iconv() at once: lines, as far as they are short. */
static size_t piece_length(const char *in, size_t left)
{
    const char *end;

    if (left <= PIECE_MAX) {
        return left;
    }
    end = memrchr(in, '\n', PIECE_MAX);
    return end == NULL ? PIECE_MAX : (size_t)(end - in) + 1;
}

/*
 * What cannot be converted becomes '?', a byte at a time. The time that a
 * fault costs iconv() grows with what it was given: so it gets little at once,
 * and after too many the rest is not converted.
 */
static size_t convert_bytes(iconv_t cd, struct text text, char *out,
                            size_t size)
{
    /* iconv() does not write to its input */
    char *in = (char *)(uintptr_t)text.bytes;
    size_t left = text.length;
    char *to = out;
    size_t room = size;
    int faults = 0;

    while (left > 0 && faults < FAULTS_MAX) {
        size_t piece = piece_length(in, left);
        size_t before = piece;
        size_t result = iconv(cd, &in, &piece, &to, &room);

        left -= before - piece;
        if (result != (size_t)-1 || (errno == EINVAL && piece < before)) {
            continue; /* a character may go on in the next piece */
        }
        if (errno == E2BIG || room == 0) {
            return size - room;
        }
        *to++ = '?';
        room--;
        in++;
        left--;
        faults++;
    }
    return size - room + copy_ascii(in, left, to, room);
}

static struct text convert(struct report_memory *memory, const char *name,
                           struct text text)
{
    iconv_t cd = iconv_open("UTF-8", name);
    size_t size = text.length * 3;
    char *out;

    if (cd == (iconv_t)-1) {
        return text;
    }
    out = report_memory_take(memory, size + 1);
    if (out != NULL) {
        size = convert_bytes(cd, text, out, size);
        size = without_returns(out, size);
        report_memory_shrink(memory, out, size);
        text = (struct text){out, size};
    }
    (void)iconv_close(cd);
    return text;
}

static struct text to_utf8(struct report_memory *memory, const char *charset,
                           struct text text)
{
    const char *utf16;

    if (has_byte(text, '\0') && (utf16 = utf16_of(text)) != NULL) {
        return convert(memory, utf16, text);
    }
    if (has_byte(text, '\033')) {
        return convert(memory,
                       g_str_has_prefix(charset, "iso-2022")
                           ? iconv_name(charset)
                           : "ISO-2022-JP-2",
                       text);
    }
    if (is_ascii(text)) {
        return strstr(charset, "utf-7") == NULL || !has_byte(text, '+')
                   ? text
                   : convert(memory, "UTF-7", text);
    }
    if (g_utf8_validate(text.bytes, (gssize)text.length, NULL) ||
        g_str_has_prefix(charset, "utf-8")) {
        return text; /* whatever the label says */
    }
    return convert(memory, charset[0] == '\0' ? "CP1252" : iconv_name(charset),
                   text);
}

/* --- HTML -------------------------------------------------------------- */

struct html {
    struct text in;
    size_t at;
    char *out;
    size_t used;
};

static void put_break(struct html *html)
{
    while (html->used > 0 && html->out[html->used - 1] == ' ') {
        html->used--;
    }
    if (html->used > 0 && html->out[html->used - 1] != '\n') {
        html->out[html->used++] = '\n';
    }
}

/* Behind the end of an element whose content is no text. */
static void skip_element(struct html *html, const char *end_tag)
{
    struct text rest = report_text_part(html->in, html->at, html->in.length);
    size_t end = report_text_find(rest, end_tag);

    html->at = end == REPORT_TEXT_NOWHERE ? html->in.length : html->at + end;
}

static void take_tag(struct html *html)
{
    static const char *const breaks[] = {"<br", "<p",  "</p",  "<div", "</div",
                                         "<tr", "</t", "<li",  "<td",  "<h",
                                         "</h", "<pr", "</pr", "<ul"};
    struct text tag = report_text_part(html->in, html->at, html->in.length);
    const char *end = memchr(tag.bytes, '>', tag.length);

    tag.length = end == NULL ? tag.length : (size_t)(end - tag.bytes) + 1;
    html->at += tag.length;
    if (report_text_begins(tag, "<style")) {
        skip_element(html, "</style");
        return;
    }
    if (report_text_begins(tag, "<script")) {
        skip_element(html, "</script");
        return;
    }
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        if (report_text_begins(tag, breaks[i])) {
            put_break(html);
            return;
        }
    }
}

static void take_entity(struct html *html)
{
    static const struct entity {
        const char *name;
        char byte;
    } entities[] = {{"&lt;", '<'},   {"&gt;", '>'},    {"&amp;", '&'},
                    {"&quot;", '"'}, {"&#39;", '\''},  {"&nbsp;", ' '},
                    {"&#64;", '@'},  {"&apos;", '\''}, {"&#43;", '+'}};
    struct text rest = report_text_part(html->in, html->at, 8);

    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        if (report_text_begins(rest, entities[i].name)) {
            html->out[html->used++] = entities[i].byte;
            html->at += strlen(entities[i].name);
            return;
        }
    }
    html->out[html->used++] = '&';
    html->at++;
}

/* Whether a '<' begins a tag, not an address in text that is no HTML. */
static bool begins_tag(const struct html *html)
{
    char next =
        html->at + 1 < html->in.length ? html->in.bytes[html->at + 1] : '\0';

    return g_ascii_isalpha(next) || next == '/' || next == '!';
}

static struct text html_text(struct report_memory *memory, struct text text)
{
    struct html html = {text, 0, NULL, 0};

    html.out = report_memory_take(memory, text.length + 1);
    if (html.out == NULL) {
        return text;
    }
    while (html.at < text.length) {
        char byte = text.bytes[html.at];

        if (byte == '<' && begins_tag(&html)) {
            take_tag(&html);
        } else if (byte == '&') {
            take_entity(&html);
        } else {
            if (byte == '\n' || byte == '\t') {
                byte = ' ';
            }
            if (byte != ' ' ||
                (html.used > 0 && html.out[html.used - 1] != ' ' &&
                 html.out[html.used - 1] != '\n')) {
                html.out[html.used++] = byte;
            }
            html.at++;
        }
    }
    report_memory_shrink(memory, html.out, html.used);
    return (struct text){html.out, html.used};
}

/* --- all of it --------------------------------------------------------- */

struct text report_mime_text(struct report_memory *memory,
                             const struct report_part *part, size_t most)
{
    struct text text = report_text_part(part->content, 0, most);

    if (text.length == 0) {
        return text;
    }
    text = decode_transfer(memory, part->encoding, text);
    text = to_utf8(memory, part->charset, text);
    return part->kind == REPORT_PART_HTML ? html_text(memory, text) : text;
}

struct text report_mime_words(struct report_memory *memory, struct text value)
{
    char *string, *decoded;
    struct text text;

    if (report_text_find(value, "=?") == REPORT_TEXT_NOWHERE) {
        return value;
    }
    string = report_memory_take(memory, value.length + 1);
    if (string == NULL) {
        return value;
    }
    (void)text_copy(value, string, value.length + 1);
    decoded = g_mime_utils_header_decode_text(NULL, string);
    if (decoded == NULL) {
        return value;
    }
    text = report_memory_text(memory, text_of(decoded), value.length * 4);
    g_free(decoded);
    return text;
}
