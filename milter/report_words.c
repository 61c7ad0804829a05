#include "report_words.h"

#include "report_text.h"

#include <string.h>

/* Behind a line that has one of these comes what is returned; lower case. */
static const char *const announcements[] = {
    "below this line is a copy",
    "this is a copy of",
    "original message follows",
    "-- original message",
    "message headers follow",
    "is a copy of the message",
    "is a copy of the original",
    "header of the original message is",
    "message text follows",
    "message header follows",
    "unsent message below",
    "unsent message follows",
    "returned message follows",
    "headers of the message follow",
    "original message headers",
    "-- message header",
    "original message attached",
    "undelivered message",
    "copy of your message",
    "copy of the message",
    "message returned below",
    "start of returned message",
    "begin returned message",
    "returned mail follows",
    "-- returned message",
    "begin message headers",
    "message header for",
    "copie du message",
    "kopie der nachricht",
    "kopie ihrer nachricht",
    "urspr\303\274ngliche nachricht folgt",
    "message follows:",
    "original headers",
    "rejected message follows",
    "here is the message",
    "first few lines of the message",
    "original mail follows",
    "the message that triggered",
    "---- headers ----",
    "received headers:",
    "original email",
    "your original message",
    "text of your message",
    "original message below",
};

/* Headers that only a message has, not the summary in a report. */
static const char *const message_headers[] = {
    "received:",
    "return-path:",
    "dkim-signature:",
    "x-received:",
    "delivered-to:",
    "x-original-to:",
    "arc-seal:",
    "domainkey-signature:",
    "x-google-dkim-signature:",
    "mime-version:",
    "authentication-results:",
    "x-google-smtp-source:",
};

static const char *const summary_headers[] = {
    "from:",        "to:",       "cc:",           "subject:",
    "date:",        "sent:",     "message-id:",   "sent date:",
    "sender:",      "reply-to:", "size (in",      "number of lines:",
    "message id:",  "betreff:",  "objet:",        "asunto:",
    "mail from:",   "von:",      "an:",           "x-mailer:",
    "return-path:", "received:", "message-size:", "size:",
    "de :",         "de:",
};

static bool begins_any(struct text line, const char *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (report_text_begins(line, rows[i])) {
            return true;
        }
    }
    return false;
}
#define BEGINS_ANY(line, rows)                                                 \
    begins_any((line), (rows), sizeof(rows) / sizeof((rows)[0]))

/* Each announcement has one of these: most lines have none. */
static bool has_stem(struct text lower)
{
    static const char *const stems[] = {"message", "header", "mail",
                                        "nachricht"};

    for (size_t i = 0; i < sizeof stems / sizeof stems[0]; i++) {
        if (report_text_find_exact(lower, stems[i]) != REPORT_TEXT_NOWHERE) {
            return true;
        }
    }
    return false;
}

static bool announces(struct text lower)
{
    if (lower.length < 12 || lower.length > 160 || !has_stem(lower)) {
        return false;
    }
    for (size_t i = 0; i < sizeof announcements / sizeof announcements[0];
         i++) {
        if (report_text_find_exact(lower, announcements[i]) !=
            REPORT_TEXT_NOWHERE) {
            return true;
        }
    }
    return false;
}

/* A line drawn from marks, with or without words in it. */
static bool is_rule(struct text line)
{
    return line.length >= 6 && strchr("-=*_#|", line.bytes[0]) != NULL &&
           line.bytes[0] == line.bytes[1] && line.bytes[1] == line.bytes[2];
}

/* A '>' in front of quoted lines hides no header. */
static bool begins_message(struct text line, struct text next)
{
    struct report_field field;

    if (!BEGINS_ANY(line, message_headers)) {
        return false;
    }
    next = report_text_part(next, 0, 400);
    if (next.length == 0 || next.bytes[0] == ' ' || next.bytes[0] == '\t') {
        return true;
    }
    (void)report_text_field(&next, &field);
    return field.name.length > 0;
}

static void cut_at(struct report_words *words, struct text all, size_t end,
                   size_t behind)
{
    words->text = report_text_part(all, 0, end);
    words->lower = report_text_part(words->lower, 0, end);
    words->returned = report_text_part(all, behind, all.length);
}

bool report_words_read(struct report_words *words, struct report_memory *memory,
                       struct text text)
{
    struct text all = text;
    struct text rest = report_text_part(text, 0, REPORT_WORDS_MAX);
    struct text line;

    memset(words, 0, sizeof *words);
    words->text = rest;
    words->budget = REPORT_WORDS_BUDGET;
    words->returned = report_text_part(text, rest.length, text.length);
    words->lower = report_text_lower(memory, rest);
    words->lines =
        report_memory_take(memory, REPORT_LINES_MAX * sizeof *words->lines);
    if (words->lines == NULL || words->lower.bytes == NULL) {
        return false;
    }
    while (words->line_count < REPORT_LINES_MAX &&
           report_text_line(&rest, &line)) {
        struct report_line *row = &words->lines[words->line_count];
        struct text trimmed = report_text_trim(line);

        row->start = (size_t)(line.bytes - all.bytes);
        row->end = row->start + line.length;
        row->text = trimmed;
        row->fails = REPORT_UNKNOWN;
        row->replies = REPORT_UNKNOWN;
        row->rule = is_rule(trimmed);
        row->summary = BEGINS_ANY(trimmed, summary_headers);
        if (begins_message(trimmed, rest)) {
            cut_at(words, all, row->start, row->start);
            break;
        }
        if (announces(
                report_text_part(words->lower, row->start, line.length))) {
            cut_at(words, all, row->start, row->end);
            break;
        }
        words->line_count++;
    }
    return true;
}

void report_words_cut(struct report_words *words, size_t at)
{
    words->text = report_text_part(words->text, 0, at);
    words->lower = report_text_part(words->lower, 0, at);
    while (words->line_count > 0 &&
           words->lines[words->line_count - 1].start >= at) {
        words->line_count--;
    }
}

size_t report_words_line(const struct report_words *words, size_t at)
{
    size_t low = 0;
    size_t high = words->line_count;

    while (low + 1 < high) {
        size_t middle = (low + high) / 2;

        if (words->lines[middle].start <= at) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

struct text report_words_lines(const struct report_words *words, size_t first,
                               size_t behind)
{
    size_t start;

    if (first >= behind || first >= words->line_count) {
        return (struct text){NULL, 0};
    }
    start = words->lines[first].start;
    return report_text_part(words->text, start,
                            words->lines[behind - 1].end - start);
}
