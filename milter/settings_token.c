#include "settings_token.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool settings_token_fail(const struct settings_scanner *scanner, int line,
                         const char *format, ...)
{
    char text[ERROR_SIZE];
    va_list arguments;

    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    error_set(scanner->error, "%s:%d: %s", scanner->path, line, text);
    return false;
}

static bool is_word(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-' ||
           byte == '.';
}

static bool is_quote(char byte)
{
    return byte == '"' || byte == '\'';
}

static bool is_hex(char byte)
{
    return byte != '\0' && strchr("0123456789abcdefABCDEF", byte) != NULL;
}

static void blank_line(struct settings_scanner *scanner)
{
    while (*scanner->at != '\0' && *scanner->at != '\n') {
        *scanner->at++ = ' ';
    }
}

static bool blank_comment(struct settings_scanner *scanner)
{
    const char *end = strstr(scanner->at + 2, "*/");
    int begun = scanner->line;

    if (end == NULL) {
        return settings_token_fail(scanner, begun,
                                   "the comment has no end: write */");
    }
    for (end += 2; scanner->at < end; scanner->at++) {
        if (*scanner->at == '\n') {
            scanner->line++;
        } else {
            *scanner->at = ' ';
        }
    }
    return true;
}

/* To the next byte that tells something. */
static bool skip_blanks(struct settings_scanner *scanner)
{
    for (;;) {
        const char *at = scanner->at;

        if (at[0] == ' ' || at[0] == '\t') {
            scanner->at++;
        } else if (at[0] == '\r' && at[1] == '\n') {
            *scanner->at++ = ' ';
        } else if (at[0] == '\n') {
            scanner->line++;
            scanner->at++;
        } else if (at[0] == '#' || (at[0] == '/' && at[1] == '/')) {
            blank_line(scanner);
        } else if (at[0] == '/' && at[1] == '*') {
            if (!blank_comment(scanner)) {
                return false;
            }
        } else {
            return true;
        }
    }
}

/* Past a backslash and what it stands before. */
static bool skip_escape(struct settings_scanner *scanner, char quote)
{
    const char *at = scanner->at + 1;

    if (*at == '\0') {
        scanner->at++;
        return true; /* a string without an end, which the caller tells */
    }
    if (quote == '"' && *at >= '0' && *at <= '9') {
        return settings_token_fail(scanner, scanner->line,
                                   "a \\ and a digit: write a byte as \\xHH");
    }
    if (quote == '"' && at[0] == 'x' && at[1] == '0' &&
        (at[2] == '0' || !is_hex(at[2]))) {
        return settings_token_fail(scanner, scanner->line,
                                   "\\x00: no value holds a NUL");
    }
    scanner->line += *at == '\n';
    scanner->at += 2;
    return true;
}

/* Past "${NAME}", which libconfuse ends at the next brace wherever that is. */
static bool skip_variable(struct settings_scanner *scanner)
{
    char *end = scanner->at + strcspn(scanner->at, "}\"\n");

    if (*end != '}') {
        return settings_token_fail(
            scanner, scanner->line,
            "${ has no }: write ${NAME}, or \\${ for the two "
            "characters");
    }
    scanner->at = end + 1;
    return true;
}

static bool skip_string(struct settings_scanner *scanner, char quote)
{
    int begun = scanner->line;

    while (*scanner->at != quote) {
        bool skipped = true;

        if (*scanner->at == '\0' || *scanner->at == '\n') {
            return settings_token_fail(
                scanner, begun,
                "the string has no end: write %c before the line ends", quote);
        }
        if (*scanner->at == '\\') {
            skipped = skip_escape(scanner, quote);
        } else if (quote == '"' && strncmp(scanner->at, "${", 2) == 0) {
            skipped = skip_variable(scanner);
        } else {
            scanner->at++;
        }
        if (!skipped) {
            return false;
        }
    }
    return true;
}

static bool scan_string(struct settings_scanner *scanner,
                        struct settings_token *token)
{
    char quote = *scanner->at++;

    token->kind = TOKEN_STRING;
    token->text.bytes = scanner->at;
    if (!skip_string(scanner, quote)) {
        return false;
    }
    token->text.length = (size_t)(scanner->at - token->text.bytes);
    scanner->at++;
    if (is_word(*scanner->at) || is_quote(*scanner->at)) {
        return settings_token_fail(
            scanner, scanner->line,
            "a quote in the middle of a word: a string stands between "
            "two quotes, and one inside of it behind a \\");
    }
    return true;
}

static bool scan_word(struct settings_scanner *scanner,
                      struct settings_token *token)
{
    token->kind = TOKEN_WORD;
    token->text.bytes = scanner->at;
    while (is_word(*scanner->at)) {
        scanner->at++;
    }
    token->text.length = (size_t)(scanner->at - token->text.bytes);
    if (is_quote(*scanner->at)) {
        return settings_token_fail(
            scanner, scanner->line,
            "a quote in the middle of a word: a string stands between "
            "two quotes");
    }
    return true;
}

static bool scan_mark(struct settings_scanner *scanner,
                      struct settings_token *token)
{
    static const struct {
        const char *mark;
        enum settings_token_kind kind;
    } marks[] = {
        {"{", TOKEN_OPEN}, {"}", TOKEN_CLOSE}, {"=", TOKEN_SET},
        {"+=", TOKEN_ADD}, {",", TOKEN_COMMA},
    };
    char shown[SETTINGS_TOKEN_SHOWN];

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t length = strlen(marks[i].mark);

        if (strncmp(scanner->at, marks[i].mark, length) == 0) {
            token->kind = marks[i].kind;
            token->text = (struct text){scanner->at, length};
            scanner->at += length;
            return true;
        }
    }
    return settings_token_fail(
        scanner, scanner->line,
        "'%s' stands in strings only: an entry is key = \"value\", "
        "with no mark behind it",
        text_escape((struct text){scanner->at, 1}, shown, sizeof shown));
}

bool settings_token_scan(struct settings_scanner *scanner,
                         struct settings_token *token)
{
    bool scanned = true;

    if (!skip_blanks(scanner)) {
        return false;
    }
    token->text = (struct text){scanner->at, 0};
    if (*scanner->at == '\0') {
        token->kind = TOKEN_END;
    } else if (is_quote(*scanner->at)) {
        scanned = scan_string(scanner, token);
    } else if (is_word(*scanner->at)) {
        scanned = scan_word(scanner, token);
    } else {
        scanned = scan_mark(scanner, token);
    }
    token->line = scanner->line;
    return scanned;
}
