#include "mailbox_domain.h"

#include "mailbox_path.h"

#include <arpa/inet.h>
#include <glib.h>
#include <idn2.h>
#include <stdio.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* The dots of UTS #46: ideographic, fullwidth, halfwidth ideographic. */
static const char *const wide_dots[] = {
    "\xe3\x80\x82", /* U+3002 */
    "\xef\xbc\x8e", /* U+FF0E */
    "\xef\xbd\xa1", /* U+FF61 */
};

/* The longest text of an IP literal, "[IPv6:" and all. */
#define LITERAL_MAX (sizeof "[IPv6:" + INET6_ADDRSTRLEN)

static bool domain_append(struct mailbox_domain *domain, const char *bytes,
                          size_t length)
{
    if (length > MAILBOX_DOMAIN_MAX - domain->length) {
        return false;
    }
    memcpy(domain->normal + domain->length, bytes, length);
    domain->length += length;
    domain->normal[domain->length] = '\0';
    return true;
}

static bool byte_is_plain(char byte)
{
    return g_ascii_islower(byte) || g_ascii_isdigit(byte) || byte == '-' ||
           byte == '_' || byte == '.';
}

/* False when domain is full. */
static bool append_odd(struct mailbox_domain *domain, struct text label,
                       bool dot_fits)
{
    for (size_t i = 0; i < label.length; i++) {
        char byte = g_ascii_tolower(label.bytes[i]);
        bool fits = mailbox_path_is_atext(byte) || (dot_fits && byte == '.');

        if (!domain_append(domain, fits ? &byte : replacement,
                           fits ? 1 : sizeof replacement - 1)) {
            return false;
        }
        domain->odd = domain->odd || !fits;
    }
    return true;
}

static bool label_is_ascii(struct text label)
{
    for (size_t i = 0; i < label.length; i++) {
        if (label.bytes[i] & 0x80) {
            return false;
        }
    }
    return true;
}

/*
 * The A-label, new, g_free(); NULL when there is none, or when the mapping
 * made something else than a label ("@" from a wide one, say). MTAs that ask
 * ICU send to names that IDNA2008 forbids (emoji) or libidn2 is too old for:
 * those GLib converts.
 */
static char *label_to_ascii(struct text label)
{
    char *source = g_strndup(label.bytes, label.length);
    uint8_t *mapped = NULL;
    char *ascii = NULL;

    if (idn2_lookup_u8((const uint8_t *)source, &mapped,
                       IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK) {
        ascii = g_strdup((const char *)mapped);
    } else if (strstr(source, replacement) == NULL) {
        ascii = g_hostname_to_ascii(source);
    }
    idn2_free(mapped);
    g_free(source);
    for (size_t i = 0; ascii != NULL && ascii[i] != '\0'; i++) {
        if (!byte_is_plain(ascii[i])) {
            g_free(ascii);
            return NULL;
        }
    }
    return ascii;
}

/* False when domain is full. */
static bool append_ascii(struct mailbox_domain *domain, struct text label)
{
    if (label.length == 0) {
        return true;
    }
    return (domain->length == 0 || domain_append(domain, ".", 1)) &&
           append_odd(domain, label, false);
}

/* The mapping may make dots ("one dot leader") or nothing (soft hyphens). */
static bool append_mapped(struct mailbox_domain *domain, const char *ascii)
{
    for (;;) {
        struct text label = {ascii, strcspn(ascii, ".")};

        if (!append_ascii(domain, label)) {
            return false;
        }
        ascii += label.length;
        if (*ascii == '\0') {
            return true;
        }
        ascii++;
    }
}

static bool append_label(struct mailbox_domain *domain, struct text label)
{
    char *ascii = label_is_ascii(label) ? NULL : label_to_ascii(label);
    bool appended = ascii != NULL ? append_mapped(domain, ascii)
                                  : append_ascii(domain, label);

    g_free(ascii);
    return appended;
}

/* The length of the dot that text begins with, or 0. */
static size_t dot_length(struct text text)
{
    if (text.bytes[0] == '.') {
        return 1;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(wide_dots); i++) {
        size_t length = strlen(wide_dots[i]);

        if (text.length >= length &&
            memcmp(text.bytes, wide_dots[i], length) == 0) {
            return length;
        }
    }
    return 0;
}

/* False when domain is full. */
static bool append_name(struct mailbox_domain *domain, struct text raw)
{
    struct text label = {raw.bytes, 0};

    while (raw.length > 0) {
        size_t step = dot_length(raw);

        if (step > 0) {
            if (!append_label(domain, label)) {
                return false;
            }
            label.bytes = raw.bytes + step;
            label.length = 0;
        } else {
            step = 1;
            label.length++;
        }
        raw.bytes += step;
        raw.length -= step;
    }
    return append_label(domain, label);
}

/* The whole of literal, brackets and all, if it is an IP address. */
static bool literal_to_text(struct text literal, char *text, size_t size)
{
    static const char tag[] = "ipv6:";
    unsigned char address[sizeof(struct in6_addr)];
    char source[LITERAL_MAX];
    char numbers[INET6_ADDRSTRLEN];
    const char *start = source;
    int family = AF_INET;
    int length;

    if (literal.length < 2 || literal.length - 2 >= sizeof source ||
        literal.bytes[0] != '[' || literal.bytes[literal.length - 1] != ']') {
        return false;
    }
    memcpy(source, literal.bytes + 1, literal.length - 2);
    source[literal.length - 2] = '\0';
    if (strlen(source) != literal.length - 2) {
        return false;
    }
    if (memchr(source, ':', literal.length - 2) != NULL) {
        family = AF_INET6;
        if (g_ascii_strncasecmp(source, tag, sizeof tag - 1) == 0) {
            start += sizeof tag - 1;
        }
    }
    if (inet_pton(family, start, address) != 1 ||
        inet_ntop(family, address, numbers, sizeof numbers) == NULL) {
        return false;
    }
    length =
        snprintf(text, size, "[%s%s]", family == AF_INET6 ? tag : "", numbers);
    return length > 0 && (size_t)length < size;
}

/* False when domain is full. */
static bool append_literal(struct mailbox_domain *domain, struct text raw)
{
    char text[LITERAL_MAX + 1];
    struct text inside = {raw.bytes + 1, raw.length - 2};

    if (literal_to_text(raw, text, sizeof text)) {
        return domain_append(domain, text, strlen(text));
    }
    return domain_append(domain, "[", 1) && append_odd(domain, inside, true) &&
           domain_append(domain, "]", 1);
}

/*
 * Quotes, backslashes and blanks in a domain are read away by Postfix, once
 * more after the address has been opened: <ann@"exa\\mple.com">.
 */
static struct text domain_unquote(struct text raw, char *bytes, size_t size)
{
    struct text text = {bytes, 0};

    for (size_t i = 0; i < raw.length && text.length < size; i++) {
        if (strchr("\"\\ ", raw.bytes[i]) == NULL) {
            bytes[text.length++] = raw.bytes[i];
        }
    }
    /* a dot behind a literal goes too; a name loses its empty labels anyway */
    while (text.length > 0 && bytes[text.length - 1] == '.') {
        text.length--;
    }
    return text;
}

enum mailbox_domain_result
mailbox_domain_normalise(struct text raw, struct mailbox_domain *domain)
{
    char bytes[MAILBOX_PATH_UTF8_MAX];
    bool complete;

    domain->length = 0;
    domain->normal[0] = '\0';
    domain->odd = memchr(raw.bytes, '"', raw.length) != NULL ||
                  memchr(raw.bytes, '\\', raw.length) != NULL ||
                  memchr(raw.bytes, ' ', raw.length) != NULL;
    raw = domain_unquote(raw, bytes, sizeof bytes);
    complete = raw.length >= 2 && raw.bytes[0] == '[' &&
                       raw.bytes[raw.length - 1] == ']'
                   ? append_literal(domain, raw)
                   : append_name(domain, raw);
    if (!complete) {
        domain->length = 0;
        domain->normal[0] = '\0';
        return MAILBOX_DOMAIN_TOO_LONG;
    }
    return domain->length > 0 ? MAILBOX_DOMAIN_OK : MAILBOX_DOMAIN_EMPTY;
}

size_t mailbox_domain_literal_length(struct text text)
{
    char normal[LITERAL_MAX + 1];
    const char *end;

    if (text.length == 0 || text.bytes[0] != '[') {
        return 0;
    }
    if (text.length > LITERAL_MAX + 1) {
        text.length = LITERAL_MAX + 1;
    }
    end = memchr(text.bytes, ']', text.length);
    if (end == NULL) {
        return 0;
    }
    text.length = (size_t)(end - text.bytes) + 1;
    return literal_to_text(text, normal, sizeof normal) ? text.length : 0;
}
