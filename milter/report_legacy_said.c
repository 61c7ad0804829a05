#include "report_legacy.h"
#include "report_text.h"

#include <string.h>

#define NEAR_LINES 24 /* of a reply: longer ones tell no more */

/* --- lines ------------------------------------------------------------- */

static bool is_blank(const struct report_line *line)
{
    return line->text.length == 0;
}

/* "1) ", "> ": no word, no code. */
static bool is_marks(struct text before)
{
    size_t digits = 0;

    for (size_t i = 0; i < before.length; i++) {
        char byte = before.bytes[i];

        digits += byte >= '0' && byte <= '9';
        if ((byte | 32) >= 'a' && (byte | 32) <= 'z') {
            return false;
        }
    }
    return before.length <= 4 && digits <= 2;
}

static size_t indent_of(const struct report_words *words, size_t at)
{
    const struct report_line *line = &words->lines[at];

    return (size_t)(line->text.bytes - words->text.bytes) - line->start;
}

/*
 * Whether an address begins the line; it is another recipient's then, but for
 * one in a line that goes on the one at `first`.
 */
static bool begins_recipient(const struct report_words *words, size_t at,
                             size_t first, struct text address)
{
    struct report_address found;
    size_t from = 0;
    struct text start = report_text_part(words->lines[at].text, 0, 400);

    return indent_of(words, at) <= indent_of(words, first) &&
           report_text_address(start, &from, &found) &&
           is_marks(report_text_part(start, 0, found.start)) &&
           !report_text_same(found.address, address);
}

static bool line_has(const struct report_line *line, struct text address)
{
    struct report_address found;
    size_t from = 0;

    while (report_text_address(line->text, &from, &found)) {
        if (report_text_same(found.address, address)) {
            return true;
        }
    }
    return false;
}

/* Whether the line may still be searched. */
static bool afford(struct report_words *words, const struct report_line *line)
{
    size_t price = line->text.length + 16;

    if (words->budget < price) {
        return false;
    }
    words->budget -= price;
    return true;
}

/*
 * The line where what is said of address begins; line_count: nowhere. The
 * search goes on where the last one ended, as recipients come in order.
 */
static size_t find_line(struct report_words *words, struct text address)
{
    size_t count = words->line_count;
    size_t other = count;

    for (size_t i = 0; i < count; i++) {
        size_t at = (words->hint + i) % count;
        const struct report_line *line = &words->lines[at];
        struct report_address found;
        size_t from = 0;

        if (!afford(words, line)) {
            break;
        }
        if (line->summary || is_blank(line) || !line_has(line, address)) {
            continue;
        }
        if (report_text_address(line->text, &from, &found) &&
            is_marks(report_text_part(line->text, 0, found.start))) {
            words->hint = at;
            return at;
        }
        if (other == count || at < other) {
            other = at;
        }
    }
    return other;
}

/* Where the paragraph that the line `first` begins, and `from` goes on, ends.
 */
static size_t paragraph_end(const struct report_words *words, size_t first,
                            size_t from, struct text address)
{
    size_t i = from;

    while (i < words->line_count && i < from + NEAR_LINES) {
        const struct report_line *line = &words->lines[i];

        if (is_blank(line) || line->rule ||
            begins_recipient(words, i, first, address)) {
            break;
        }
        i++;
    }
    return i;
}

/* --- replies ----------------------------------------------------------- */

/* Replies to commands that came too late: the one before them tells more. */
static bool is_late(struct text reply)
{
    return report_text_begins(reply, "503") ||
           report_text_find(report_text_part(reply, 0, 60), "need rcpt") !=
               REPORT_TEXT_NOWHERE;
}

/* From the first reply in text on; empty: there is none. */
static struct text from_reply(struct text text)
{
    struct text rest = text;
    size_t at;

    while ((at = report_text_reply(rest)) != REPORT_TEXT_NOWHERE) {
        rest = report_text_part(rest, at, rest.length);
        if (!is_late(rest)) {
            return rest;
        }
        rest = report_text_part(rest, 3, rest.length);
    }
    return (struct text){NULL, 0};
}

enum reply_choice {
    REPLY_NAMES, /* the address */
    REPLY_ANON,  /* it, or no address at all */
    REPLY_ANY,
};

static bool suits(const struct report_line *line, struct text address,
                  enum reply_choice choice)
{
    return choice == REPLY_ANY || line_has(line, address) ||
           (choice == REPLY_ANON &&
            memchr(line->text.bytes, '@', line->text.length) == NULL);
}

/* The first reply anywhere that suits. */
static struct text any_reply(struct report_words *words, struct text address,
                             enum reply_choice choice)
{
    for (size_t i = 0; i < words->line_count; i++) {
        const struct report_line *line = &words->lines[i];
        struct text reply;
        size_t end;

        if (!afford(words, line)) {
            break;
        }
        if (line->summary || is_blank(line) ||
            report_text_begins(line->text, ">>>")) {
            continue;
        }
        reply = from_reply(line->text);
        if (reply.length == 0) {
            continue;
        }
        end = paragraph_end(words, i, i + 1, address);
        reply.length = words->lines[end - 1].end -
                       (size_t)(reply.bytes - words->text.bytes);
        if (suits(line, address, choice)) {
            return reply;
        }
    }
    return (struct text){NULL, 0};
}

/* --- what is said ------------------------------------------------------ */

static bool has_words(struct text text)
{
    size_t letters = 0;

    for (size_t i = 0; i < text.length; i++) {
        letters += (text.bytes[i] | 32) >= 'a' && (text.bytes[i] | 32) <= 'z';
        letters += (unsigned char)text.bytes[i] >= 0x80;
    }
    return letters >= 4;
}

/* "because:" alone: what it is about comes behind the blank line. */
static bool is_open(const struct report_words *words, size_t first, size_t end)
{
    const struct report_line *line;

    if (end <= first) {
        return true;
    }
    line = &words->lines[end - 1];
    return end == first + 1 && line->text.length > 0 &&
           line->text.length <= 60 &&
           line->text.bytes[line->text.length - 1] == ':';
}

/* The lines around the address: its own, and the paragraph behind it. */
static struct text near_address(const struct report_words *words, size_t at,
                                struct text address)
{
    size_t first = at + 1;
    size_t end = paragraph_end(words, at, first, address);

    for (int blanks = 0; blanks < 4 && end < words->line_count; blanks++) {
        if (!is_open(words, first, end) || !is_blank(&words->lines[end])) {
            break;
        }
        first = end + 1;
        end = paragraph_end(words, at, first, address);
    }
    if (end <= at) {
        end = at + 1;
    }
    return report_words_lines(words, at, end);
}

/* What stands behind the address in the first line, or all of it. */
static struct text without_address(struct text text, struct text address)
{
    struct report_address found;
    size_t from = 0;

    if (report_text_address(text, &from, &found) && found.start <= 6 &&
        report_text_same(found.address, address)) {
        struct text rest = report_text_part(text, found.end, text.length);

        while (rest.length > 0 && strchr(" :>)\n\t", rest.bytes[0]) != NULL) {
            rest = report_text_part(rest, 1, rest.length);
        }
        return rest;
    }
    return text;
}

/* Marks that transcripts put in front of lines go. */
static struct text clean(struct report_memory *memory, struct text text)
{
    char *out = report_memory_take(memory, text.length + 1);
    struct text line;
    size_t used = 0;

    if (out == NULL) {
        return text;
    }
    while (report_text_line(&text, &line)) {
        line = report_text_trim(line);
        if (report_text_begins(line, "<<< ") ||
            report_text_begins(line, ">>> ")) {
            line = report_text_part(line, 4, line.length);
        }
        if (used > 0) {
            out[used++] = '\n';
        }
        if (line.length > 0) {
            memcpy(out + used, line.bytes, line.length);
            used += line.length;
        }
    }
    report_memory_shrink(memory, out, used);
    return (struct text){out, used};
}

struct text report_legacy_expanded(struct report_words *words,
                                   struct text address)
{
    const size_t at = find_line(words, address);
    struct text near;
    struct report_address found;
    size_t from;

    if (at >= words->line_count) {
        return (struct text){NULL, 0};
    }
    near = report_words_lines(words, at,
                              paragraph_end(words, at, at + 1, address));
    for (size_t i = 0; i < report_expansion_word_count; i++) {
        from = report_text_find(near, report_expansion_words[i]);
        if (from != REPORT_TEXT_NOWHERE &&
            report_text_address(near, &from, &found)) {
            return found.address;
        }
    }
    return (struct text){NULL, 0};
}

struct text report_legacy_said(struct report_memory *memory,
                               struct report_words *words, struct text address,
                               bool only)
{
    size_t at = find_line(words, address);
    struct text near = {NULL, 0};
    struct text said;

    if (at < words->line_count) {
        near = near_address(words, at, address);
    }
    said = from_reply(near);
    if (said.length == 0) {
        said = any_reply(words, address, only ? REPLY_ANON : REPLY_NAMES);
    }
    if (said.length == 0) {
        said = without_address(near, address);
        if (only && !has_words(said)) {
            said = any_reply(words, address, REPLY_ANY);
        }
    }
    if (only && said.length == 0) {
        said = words->text;
    }
    return clean(memory, report_text_part(said, 0, REPORT_FIELD_MAX));
}
