#include "reply_text_mask.h"

#include "reply_text_token.h"

#include <string.h>

#define LITERAL_MAX     64 /* bytes of an address literal */
#define URL_MAX         120
#define URL_HOST_DIGITS 4
#define URL_WORD_MAX    24

/* --- bytes ------------------------------------------------------------- */

static bool is_a(char byte, unsigned classes)
{
    return (byte_class(byte) & classes) != 0;
}

static bool is_hex(char byte)
{
    return is_a(byte, BYTE_DIGIT) || (byte >= 'a' && byte <= 'f');
}

static bool begins(const struct mask *mask, struct run run, const char *with)
{
    size_t length = strlen(with);

    return run.end - run.at >= length &&
           memcmp(mask->in + run.at, with, length) == 0;
}

static bool is_word(const struct mask *mask, struct run run, const char *word)
{
    return run.end - run.at == strlen(word) && begins(mask, run, word);
}

/* --- addresses --------------------------------------------------------- */

/* "<" stands before and ">" behind: they are one with the mask. */
static bool is_in_angles(const struct mask *mask, struct run run)
{
    return mask_last(mask) == '<' && run.at > 0 &&
           mask->in[run.at - 1] == '<' && mask_peek(mask, run.end) == '>';
}

static void put_in_angles(struct mask *mask, struct run run, const char *word)
{
    mask->out->length--;
    mask_put_word(mask, word);
    mask->at = run.end + 1;
}

/*
 * Bytes of the letter that ends at a place and belongs to a mailbox: scripts
 * of two bytes a letter write blanks between words, those of three do not.
 */
static size_t letter_before(const struct mask *mask, size_t from, size_t at)
{
    const unsigned char *bytes = (const unsigned char *)mask->in;

    if (is_a(mask->in[at - 1], BYTE_LOCAL)) {
        return 1;
    }
    return at - from >= 2 && (bytes[at - 1] & 0xc0) == 0x80 &&
                   bytes[at - 2] >= 0xc2 && bytes[at - 2] < 0xe0
               ? 2
               : 0;
}

static size_t local_part(const struct mask *mask, size_t from, size_t at)
{
    size_t local = at;
    size_t length;

    while (local > from && (length = letter_before(mask, from, local)) > 0) {
        local -= length;
    }
    while (local < at && (mask->in[local] == '\'' || mask->in[local] == '`' ||
                          mask->in[local] == '=')) {
        local++;
    }
    return local;
}

/* "@[192.0.2.1]": behind its "]", if that is near. */
static size_t literal_end(const struct mask *mask, size_t at)
{
    size_t end = at + 1;

    while (end < mask->end && end - at < LITERAL_MAX && mask->in[end] != ' ' &&
           mask->in[end] != ']') {
        end++;
    }
    return mask_peek(mask, end) == ']' ? end + 1 : at;
}

/* Where the domain behind "@" ends. */
static size_t domain_end(const struct mask *mask, size_t at, size_t end)
{
    const unsigned char *bytes = (const unsigned char *)mask->in;
    unsigned char limit = 0xe0; /* lead bytes of letters that belong to it */
    size_t begin = at;

    if (at == end) {
        return mask_peek(mask, at) == '[' ? literal_end(mask, at) : at;
    }
    if (bytes[at] >= 0xe0) {
        limit = 0xf8;
    }
    while (at < end && (is_a(mask->in[at], BYTE_HOST) ||
                        (bytes[at] >= 0x80 && bytes[at] < limit))) {
        at++;
    }
    while (at > begin && (bytes[at - 1] == '.' || bytes[at - 1] == '-')) {
        at--;
    }
    return at;
}

/* A run with "@" in it. */
static void mask_addresses(struct mask *mask, struct run run)
{
    while (run.at < run.end) {
        const char *found = memchr(mask->in + run.at, '@', run.end - run.at);
        size_t at = found == NULL ? run.end : (size_t)(found - mask->in);
        size_t local = local_part(mask, run.at, at);
        size_t end = at == run.end ? at : domain_end(mask, at + 1, run.end);

        if (at == run.end || local == at || end <= at + 1) {
            mask_plain(mask, (struct run){run.at, at});
            if (at < run.end) {
                mask_put_word(mask, "@");
                at++;
            }
            run.at = at;
            continue;
        }
        if (local > run.at) {
            mask_plain(mask, (struct run){run.at, local});
        }
        if (is_in_angles(mask, (struct run){local, end})) {
            put_in_angles(mask, (struct run){local, end}, "<addr>");
            return;
        }
        mask_put_word(mask, "<addr>");
        run.at = end;
        if (end > mask->at) {
            mask->at = end; /* a literal ends behind the run */
        }
    }
}

/* <ann>: a name without a domain, or a host, or a number. */
static void mask_angles(struct mask *mask, struct run run)
{
    static const char *const masks[] = {"addr", "host", "ip", "id", "n"};
    const char *word = mask_host_word(mask, run);

    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        if (is_word(mask, run, masks[i])) {
            mask_put_run(mask, run);
            return;
        }
    }
    put_in_angles(mask, run, word == NULL ? "<addr>" : word);
}

/* --- URLs and IPv6 ----------------------------------------------------- */

static bool is_url(const struct mask *mask, struct run run)
{
    if (mask_peek(mask, run.end) != ':') {
        return begins(mask, run, "www.");
    }
    return mask_peek(mask, run.end + 1) == '/' &&
           mask_peek(mask, run.end + 2) == '/' &&
           (is_word(mask, run, "http") || is_word(mask, run, "https") ||
            is_word(mask, run, "ftp"));
}

/*
 * A word of a path tells what the page is about; values of a query are the
 * message's. Google names the fault in one: ?p=nosuchuser.
 */
static bool is_url_word(const struct mask *mask, struct run word, char before)
{
    struct makeup makeup = mask_makeup(mask, word);
    size_t length = word.end - word.at;

    if (mask_span(mask, word.at, word.end, BYTE_HOST) < length) {
        return false;
    }
    if (before == '\0') { /* the host: whose page it is */
        return makeup.digits <= URL_HOST_DIGITS && makeup.letters > 0;
    }
    if (before == '=' && mask_peek(mask, word.at - 2) != 'p') {
        return false;
    }
    return makeup.digits == 0 ? length <= URL_WORD_MAX
                              : makeup.changes == 1 && makeup.letters_first &&
                                    length <= REPLY_TEXT_NAME_MAX;
}

static void put_url(struct mask *mask, struct run run)
{
    static const char separators[] = "/?&=#;:+,";
    size_t most = mask->out->length + URL_MAX;
    char before = '\0';

    mask_put_word(mask, "<url:");
    while (run.at < run.end && mask->out->length < most) {
        struct run word = {run.at, run.at};

        while (word.end < run.end &&
               strchr(separators, mask->in[word.end]) == NULL) {
            word.end++;
        }
        if (is_url_word(mask, word, before)) {
            mask_put_run(mask, word);
        } else if (word.end > word.at) {
            mask_put_word(mask, "*");
        }
        if (word.end < run.end) {
            before = mask->in[word.end];
            mask_put(mask, &before, 1);
            word.end++;
        }
        run.at = word.end;
    }
    mask_put_word(mask, ">");
}

/* From its scheme to a blank, a quote or an angle. */
static void mask_url(struct mask *mask, struct run run)
{
    static const char ends[] = " <>\"";
    static const char behind[] = ".,;:!?)]}'/";
    bool has_scheme = mask_peek(mask, run.end) == ':';
    struct run url = {has_scheme ? run.end + 3 : run.at, 0};
    size_t end = url.at;
    bool in_angles;

    while (end < mask->end && strchr(ends, mask->in[end]) == NULL) {
        end++;
    }
    in_angles = is_in_angles(mask, (struct run){run.at, end});
    url.end = end;
    while (url.end > url.at && strchr(behind, mask->in[url.end - 1]) != NULL) {
        url.end--;
    }
    mask->out->length -= in_angles;
    put_url(mask, url);
    mask->at = in_angles ? end + 1 : url.end;
}

/* How many bytes from at are an IPv6 address; 0: none. */
static size_t ipv6_length(const struct mask *mask, size_t at)
{
    size_t colons = 0;
    size_t digits = 0; /* of the group */
    size_t all = 0;
    bool doubled = false;
    size_t end = at;

    for (; end < mask->end && end - at < 46; end++) {
        char byte = mask->in[end];

        if (byte == ':') {
            doubled = doubled || mask_peek(mask, end + 1) == ':';
            colons++;
            digits = 0;
        } else if (is_hex(byte) || (byte == '.' && colons > 1)) {
            digits += byte != '.';
            all++;
        } else {
            break;
        }
        if (digits > 4) {
            return 0;
        }
    }
    while (end > at && mask->in[end - 1] == '.') {
        end--;
    }
    if (end > at && mask->in[end - 1] == ':' &&
        (end - at < 2 || mask->in[end - 2] != ':')) {
        end--; /* "fe80::1:" */
        colons--;
    }
    return colons >= 2 && (doubled || colons == 7) && all > 0 &&
                   !is_a(mask_peek(mask, end),
                         BYTE_LETTER | BYTE_DIGIT | BYTE_HIGH)
               ? end - at
               : 0;
}

static bool mask_ipv6(struct mask *mask, size_t at)
{
    size_t length;

    if (!is_hex(mask->in[at]) && mask->in[at] != ':') {
        return false;
    }
    if (at > 0 &&
        is_a(mask->in[at - 1], BYTE_LETTER | BYTE_DIGIT | BYTE_HIGH)) {
        return false;
    }
    length = ipv6_length(mask, at);
    if (length == 0) {
        return false;
    }
    mask_put_word(mask, "<ip>");
    mask->at = at + length;
    return true;
}

/* --- runs -------------------------------------------------------------- */

/* "550-5.1.1 a 550 5.1.1 b": the codes of the lines that follow. */
static bool drop_codes(struct mask *mask, struct run run)
{
    const char *bytes = mask->in + run.at;
    size_t length = run.end - run.at;
    int code = mask->out->code;

    if (mask->after_code) {
        mask->after_code = false;
        if (mask_take_status(mask, run)) {
            mask->at = run.end;
            return true;
        }
    }
    if (code == 0 || length < 3 || mask_last(mask) != ' ' ||
        bytes[0] - '0' != code / 100 || bytes[1] - '0' != code / 10 % 10 ||
        bytes[2] - '0' != code % 10 || (length > 3 && bytes[3] != '-')) {
        return false;
    }
    mask->after_code = true;
    mask->at = run.at + (length > 3 ? 4 : 3);
    return true;
}

/* What is masked from one form to the next stays: texts of our own list. */
static bool keep_url(struct mask *mask, struct run run)
{
    size_t end = run.end;

    if (mask_last(mask) != '<' || mask_peek(mask, end) != ':' ||
        !is_word(mask, run, "url")) {
        return false;
    }
    while (end < mask->end && mask->in[end] != ' ' && mask->in[end] != '<' &&
           mask->in[end] != '>' && end - run.at < URL_MAX) {
        end++;
    }
    if (mask_peek(mask, end) != '>') {
        return false;
    }
    mask_put_run(mask, (struct run){run.at, end});
    mask->at = end;
    return true;
}

/* Runs with digits, dots or "@", and those before a colon. */
static void mask_run(struct mask *mask, struct run run, unsigned classes)
{
    mask->at = run.end;
    if ((classes & BYTE_DIGIT) != 0 && drop_codes(mask, run)) {
        return;
    }
    mask->after_code = false;
    if (is_url(mask, run)) {
        mask_url(mask, run);
    } else if (keep_url(mask, run) ||
               (mask_peek(mask, run.end) == ':' && mask_ipv6(mask, run.at))) {
        return;
    } else if ((classes & BYTE_AT) != 0) {
        mask_addresses(mask, run);
    } else if (is_in_angles(mask, run)) {
        mask_angles(mask, run);
    } else {
        mask_plain(mask, run);
    }
}

static void mask_break(struct mask *mask)
{
    char byte = mask->in[mask->at];

    if (byte == ' ' && mask_last(mask) == ' ') {
        mask->at++; /* a code was left out, or this is the start */
        return;
    }
    if (byte == ':' && mask_peek(mask, mask->at + 1) == ':' &&
        mask_ipv6(mask, mask->at)) {
        return;
    }
    mask_put(mask, &byte, 1);
    mask->at++;
    if (byte != ' ') {
        mask->after_code = false;
    }
}

/* A blank behind something else, as most are. */
static inline bool put_blank(struct mask *mask)
{
    struct reply_text *out = mask->out;

    if (mask->in[mask->at] != ' ' || mask_last(mask) == ' ' ||
        out->length == REPLY_TEXT_MAX) {
        return false;
    }
    out->bytes[out->length++] = ' ';
    mask->at++;
    return true;
}

/* Up to a byte that ends it; classes: what is in it. */
static inline struct run next_run(const struct mask *mask, unsigned *classes)
{
    struct run run = {mask->at, mask->at};
    const char *in = mask->in;
    size_t end = mask->end;
    unsigned all = 0;

    for (; run.end < end; run.end++) {
        unsigned found = byte_class(in[run.end]);

        if ((found & BYTE_BREAK) != 0) {
            break;
        }
        all |= found;
    }
    *classes = all;
    return run;
}

void reply_text_mask(struct text clean, struct reply_text *text)
{
    struct mask mask = {.in = clean.bytes, .end = clean.length, .out = text};

    while (mask.at < mask.end && !text->cut) {
        unsigned classes;
        struct run run = next_run(&mask, &classes);

        if (run.end == run.at) {
            if (!put_blank(&mask)) {
                mask_break(&mask);
            }
        } else if ((classes & (BYTE_DIGIT | BYTE_DOT | BYTE_AT)) == 0 &&
                   run.end - run.at <= REPLY_TEXT_WORD_MAX &&
                   mask_peek(&mask, run.end) != ':' &&
                   mask_peek(&mask, run.end) != '>') {
            mask_put_run(&mask, run); /* most words */
            mask.at = run.end;
            mask.after_code = false;
        } else {
            mask_run(&mask, run, classes);
        }
    }
}
