#include "report_text.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_MAX  256
#define DOMAIN_MAX 255

static bool is_alnum(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

static bool is_wide(char byte)
{
    return (unsigned char)byte >= 0x80;
}

static bool is_atom(char byte)
{
    return is_alnum(byte) ||
           (byte != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", byte) != NULL);
}

/* --- in running text --------------------------------------------------- */

/* Whether a '<' stands before the word that ends at `at`. */
static bool in_brackets(struct text text, size_t at)
{
    size_t i = at;

    while (i > 0 && at - i < LOCAL_MAX &&
           (is_atom(text.bytes[i - 1]) || is_wide(text.bytes[i - 1]))) {
        i--;
    }
    return i > 0 && text.bytes[i - 1] == '<';
}

/* Where the local part that ends at `at` begins; `at` itself: nowhere. */
static size_t local_start(struct text text, size_t at, bool wide)
{
    size_t i = at;

    if (i > 1 && text.bytes[i - 1] == '"') {
        for (i -= 1; i > 0 && at - i < LOCAL_MAX; i--) {
            if (text.bytes[i - 1] == '"') {
                return i - 1;
            }
            if (text.bytes[i - 1] == '\n') {
                break;
            }
        }
        return at;
    }
    while (
        i > 0 && at - i < LOCAL_MAX &&
        (is_atom(text.bytes[i - 1]) || (wide && is_wide(text.bytes[i - 1])))) {
        i--;
    }
    while (i < at && (text.bytes[i] == '\'' || text.bytes[i] == '.' ||
                      text.bytes[i] == '`' || text.bytes[i] == '*')) {
        i++;
    }
    return i;
}

/* Where the domain that begins at `from` ends. */
static size_t domain_end(struct text text, size_t from, bool wide)
{
    size_t i = from;

    if (i < text.length && text.bytes[i] == '[') {
        while (i < text.length && i - from < 64 && text.bytes[i] > ' ' &&
               text.bytes[i] != ']') {
            i++;
        }
        return i < text.length && text.bytes[i] == ']' ? i + 1 : from;
    }
    while (i < text.length && i - from < DOMAIN_MAX &&
           (is_alnum(text.bytes[i]) || text.bytes[i] == '.' ||
            text.bytes[i] == '-' || text.bytes[i] == '_' ||
            (wide && is_wide(text.bytes[i])))) {
        i++;
    }
    while (i > from && (text.bytes[i - 1] == '.' || text.bytes[i - 1] == '-' ||
                        text.bytes[i - 1] == '_')) {
        i--;
    }
    return i;
}

static bool is_plausible(struct text text, size_t start, size_t at, size_t end)
{
    struct text domain = {text.bytes + at + 1, end - at - 1};

    /* a path, a pipe: its last part is no mailbox of that name */
    if (start == at || domain.length == 0 || text.bytes[start] == '/' ||
        text.bytes[start] == '|') {
        return false;
    }
    return domain.bytes[0] == '[' ||
           (domain.bytes[0] != '.' &&
            memchr(domain.bytes, '.', domain.length) != NULL);
}

/* "SMTP=ann@example.org" as X.400 gateways write it: what stands before goes.
 */
static size_t skip_attribute(struct text text, size_t start, size_t at)
{
    static const char *const names[] = {
        "smtp=", "rfc-822=", "rfc822=", "mail="};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct text local = {text.bytes + start, at - start};
        size_t found = report_text_find(local, names[i]);

        if (found != REPORT_TEXT_NOWHERE) {
            return start + found + strlen(names[i]);
        }
    }
    return start;
}

/* Brackets and quotes around it belong to it. */
static void widen(struct text text, struct report_address *found)
{
    while (found->start > 0 && found->end < text.length) {
        char before = text.bytes[found->start - 1];
        char behind = text.bytes[found->end];

        if (!((before == '<' && behind == '>') ||
              (before == '"' && behind == '"') ||
              (before == '\'' && behind == '\'') ||
              (before == '(' && behind == ')') ||
              (before == '[' && behind == ']'))) {
            break;
        }
        found->start--;
        found->end++;
    }
}

bool report_text_address(struct text text, size_t *from,
                         struct report_address *found)
{
    while (*from < text.length) {
        const char *sign = memchr(text.bytes + *from, '@', text.length - *from);
        size_t at, start, end;
        bool wide;

        if (sign == NULL) {
            break;
        }
        at = (size_t)(sign - text.bytes);
        wide = in_brackets(text, at);
        start = local_start(text, at, wide);
        start = skip_attribute(text, start, at);
        end = domain_end(text, at + 1, wide);
        *from = at + 1;
        if (is_plausible(text, start, at, end)) {
            *from = end;
            found->address = report_text_part(text, start, end - start);
            found->start = start;
            found->end = end;
            widen(text, found);
            return true;
        }
    }
    *from = text.length;
    return false;
}

/* --- in fields --------------------------------------------------------- */

static int hex(char byte)
{
    return g_ascii_xdigit_value(byte);
}

/* "\x{C3}" is a character of that number, RFC 6533 3. */
static size_t decode_character(struct text text, char out[6])
{
    gunichar character = 0;
    size_t i = 3;

    if (!report_text_begins(text, "\\x{")) {
        return 0;
    }
    while (i < text.length && i < 9 && hex(text.bytes[i]) >= 0) {
        character = character * 16 + (gunichar)hex(text.bytes[i]);
        i++;
    }
    if (i == 3 || i == text.length || text.bytes[i] != '}' ||
        !g_unichar_validate(character) || character < 0x20) {
        return 0;
    }
    (void)g_unichar_to_utf8(character, out);
    return i + 1;
}

static struct text decode_utf8_type(struct report_memory *memory,
                                    struct text text)
{
    char *copy = report_memory_take(memory, text.length + 6);
    size_t used = 0;
    size_t i = 0;

    if (copy == NULL) {
        return text;
    }
    while (i < text.length) {
        char bytes[6] = {0};
        size_t length =
            decode_character(report_text_part(text, i, text.length), bytes);

        if (length == 0) {
            copy[used++] = text.bytes[i++];
        } else {
            size_t wide = (size_t)g_utf8_skip[(unsigned char)bytes[0]];

            memcpy(copy + used, bytes, wide); /* \x{...} is longer */
            used += wide;
            i += length;
        }
    }
    return (struct text){copy, used};
}

/* "rfc822; ann@example.org": the type goes, *utf8 tells whether it was utf-8.
 */
static struct text skip_type(struct text value, bool *utf8)
{
    size_t i = 0;

    *utf8 = report_text_begins(value, "utf-8");
    while (i < value.length &&
           (is_alnum(value.bytes[i]) || value.bytes[i] == '-' ||
            value.bytes[i] == ' ')) {
        i++;
    }
    if (i < value.length && i > 0 && value.bytes[i] == ';') {
        return report_text_trim(report_text_part(value, i + 1, value.length));
    }
    *utf8 = false;
    return value;
}

/* What stands between < and the last >, or all of it. */
static struct text bare(struct text value)
{
    const char *open = memchr(value.bytes, '<', value.length);
    const char *shut = memrchr(value.bytes, '>', value.length);

    if (open != NULL && shut != NULL && open < shut) {
        value.length = (size_t)(shut - open) - 1;
        value.bytes = open + 1;
    } else if (value.length > 0 && value.bytes[0] == '<') {
        value = report_text_part(value, 1, value.length);
    }
    return report_text_trim(value);
}

/* Blanks end an address, but for those in quotes. */
static struct text first_word(struct text value)
{
    bool quoted = false;

    for (size_t i = 0; i < value.length; i++) {
        char byte = value.bytes[i];

        quoted = quoted != (byte == '"');
        if (!quoted && (byte == ' ' || byte == '\t' || byte == '\n' ||
                        byte == ',' || byte == ';')) {
            return report_text_part(value, 0, i);
        }
    }
    return value;
}

/* "/RFC-822=ann(a)example.org/P=x/" of a gateway: the address; or text. */
static struct text from_x400(struct report_memory *memory, struct text text)
{
    static const char name[] = "rfc-822=";
    size_t start = report_text_find(text, name);
    struct text value;
    const char *end;
    char *copy;
    size_t sign;

    if (start == REPORT_TEXT_NOWHERE) {
        return text;
    }
    value = report_text_part(text, start + sizeof name - 1, text.length);
    end = value.length == 0 ? NULL : memchr(value.bytes, '/', value.length);
    value.length = end == NULL ? value.length : (size_t)(end - value.bytes);
    sign = report_text_find(value, "(a)");
    copy = report_memory_take(memory, value.length + 1);
    if (sign == REPORT_TEXT_NOWHERE || copy == NULL) {
        return text;
    }
    memcpy(copy, value.bytes, sign);
    copy[sign] = '@';
    memcpy(copy + sign + 1, value.bytes + sign + 3, value.length - sign - 3);
    return (struct text){copy, value.length - 2};
}

struct text report_text_mailbox(struct report_memory *memory, struct text value)
{
    bool utf8;
    struct text address;
    const char *at;

    if (value.length == 0) {
        return (struct text){NULL, 0};
    }
    address = skip_type(report_text_trim(value), &utf8);
    address = first_word(bare(from_x400(memory, address)));
    if (utf8 && memchr(address.bytes, '\\', address.length) != NULL) {
        address = decode_utf8_type(memory, address);
    }
    while (address.length > 0 &&
           strchr(".>", address.bytes[address.length - 1]) != NULL) {
        address.length--; /* a bracket whose other half is missing too */
    }
    at = address.bytes == NULL ? NULL
                               : memrchr(address.bytes, '@', address.length);
    if (at == NULL || at == address.bytes ||
        at + 1 == address.bytes + address.length ||
        address.length > LOCAL_MAX + DOMAIN_MAX) {
        return (struct text){NULL, 0};
    }
    return address;
}

bool report_text_same(struct text a, struct text b)
{
    return a.length == b.length && a.length > 0 &&
           g_ascii_strncasecmp(a.bytes, b.bytes, a.length) == 0;
}
