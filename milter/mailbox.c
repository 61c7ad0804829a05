#include "mailbox.h"

#include "mailbox_domain.h"
#include "mailbox_path.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

/*
 * Nothing shrinks to less than a third in NFC, so that a local part of more
 * bytes than this has a normal form that is too long as well.
 */
#define LOCAL_MAX ((size_t)4 * MAILBOX_MAX)

/* Case folding may take a few rounds with NFC until neither changes more. */
#define FOLD_ROUNDS 4

static const struct mailbox_rules no_rules = {.keep_local_case = false};

/* An opened address, apart: slices of a struct mailbox_path. */
struct parts {
    struct text local;
    struct mailbox_domain domain; /* length 0: none, or too long */
    bool domain_too_long;
    bool reread; /* of local: quotes in it are quotes */
};

static struct text text_before(struct text text, const char *byte)
{
    text.length = (size_t)(byte - text.bytes);
    return text;
}

static struct text text_behind(struct text text, const char *byte)
{
    text.length -= (size_t)(byte - text.bytes) + 1;
    text.bytes = byte + 1;
    return text;
}

static const char *text_first(struct text text, char byte)
{
    return text.bytes == NULL ? NULL : memchr(text.bytes, byte, text.length);
}

static const char *text_last(struct text text, char byte)
{
    return text.bytes == NULL ? NULL : memrchr(text.bytes, byte, text.length);
}

static bool local_needs_quotes(struct text local)
{
    bool dot_fits = false;

    for (size_t i = 0; i < local.length; i++) {
        bool dot = local.bytes[i] == '.';

        if (dot ? !dot_fits : !mailbox_path_is_atext(local.bytes[i])) {
            return true;
        }
        dot_fits = !dot;
    }
    return !dot_fits; /* empty, or a dot comes last */
}

/* domains is NULL-terminated, or NULL. */
static bool domain_is_among(const char *domain, const char *const *domains)
{
    for (; domains != NULL && *domains != NULL; domains++) {
        if (strcmp(*domains, domain) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * An address without "@": domain!user or user%domain. Postfix tries the
 * percent sign first where the local part has to be quoted, and reads what it
 * finds by a "!" in a quoted string as if it had not been quoted.
 */
static bool path_split(struct text address, struct parts *parts,
                       struct text *domain)
{
    const char *bang = text_first(address, '!');
    const char *percent = text_last(address, '%');

    if (bang != NULL && (percent == NULL || !local_needs_quotes(address))) {
        parts->reread = parts->reread || local_needs_quotes(address);
        *domain = text_before(address, bang);
        parts->local = text_behind(address, bang);
        return true;
    }
    if (percent == NULL) {
        return false;
    }
    parts->local = text_before(address, percent);
    *domain = text_behind(address, percent);
    return true;
}

/* Takes the outermost domain off; false when there is none. */
static bool address_split(struct text address, struct parts *parts,
                          struct text *domain)
{
    const char *at = text_last(address, '@');

    if (at == NULL) {
        return path_split(address, parts, domain);
    }
    parts->local = text_before(address, at);
    *domain = text_behind(address, at);
    return true;
}

/* Source routes, also one whose "@" is spelled "%". */
static struct text address_skip_routes(struct text address)
{
    for (;;) {
        struct text rest = mailbox_path_skip_route(address);

        if (rest.length == address.length && address.length > 0 &&
            text_last(address, '%') == address.bytes &&
            text_last(address, '@') == NULL &&
            text_first(address, ':') != NULL) {
            rest = text_behind(address, text_first(address, ':'));
        }
        if (rest.length == address.length) {
            return address;
        }
        address = rest;
    }
}

/*
 * As Postfix's resolver: domains of ours come off, one after the other, until
 * one is left that is not ours, or none. The last one that came off is the
 * domain of a local part that nothing more is to be read from.
 */
static void address_resolve(const struct mailbox_path *path,
                            const struct mailbox_rules *rules,
                            struct parts *parts)
{
    struct text address = {path->bytes, path->length};
    struct text domain;
    struct mailbox_domain ours = {.length = 0};

    parts->domain_too_long = false;
    parts->reread = false;
    for (;;) {
        enum mailbox_domain_result result;

        address = address_skip_routes(address);
        if (!address_split(address, parts, &domain)) {
            parts->local = address;
            parts->domain = ours;
            return;
        }
        result = mailbox_domain_normalise(domain, &parts->domain);
        if (result == MAILBOX_DOMAIN_TOO_LONG) {
            parts->domain_too_long = true;
            return;
        }
        if (result == MAILBOX_DOMAIN_OK) {
            if (!domain_is_among(parts->domain.normal, rules->local_domains)) {
                return;
            }
            ours = parts->domain;
        }
        address = parts->local;
    }
}

/* Without quotes, backslashes and outer blanks, in bytes. */
static struct text local_reread(struct text local, char *bytes, size_t size)
{
    struct text reread = {bytes, 0};

    for (size_t i = 0; i < local.length && reread.length < size; i++) {
        bool skipped = local.bytes[i] == '"' || local.bytes[i] == '\\' ||
                       (local.bytes[i] == ' ' && reread.length == 0);

        if (!skipped) {
            bytes[reread.length++] = local.bytes[i];
        }
    }
    while (reread.length > 0 && bytes[reread.length - 1] == ' ') {
        reread.length--;
    }
    return reread;
}

/*
 * GLib folds the two cases of Cherokee into each other, to and fro; lowering
 * afterwards settles it. New, g_free().
 */
static char *local_lower(const char *local)
{
    char *folded = g_utf8_casefold(local, -1);
    GString *lower = g_string_new(NULL);

    for (char *at = folded; *at != '\0'; at = g_utf8_next_char(at)) {
        g_string_append_unichar(lower, g_unichar_tolower(g_utf8_get_char(at)));
    }
    g_free(folded);
    return g_string_free(lower, FALSE);
}

/*
 * Full case folding, as Postfix folds {rcpt_addr}, and NFC: new, g_free().
 * What is folded or composed already comes out the same.
 */
static char *local_fold(const char *local, bool keep_case)
{
    char *folded = g_utf8_normalize(local, -1, G_NORMALIZE_NFC);

    for (int round = 0; !keep_case && round < FOLD_ROUNDS; round++) {
        char *decomposed = g_utf8_normalize(folded, -1, G_NORMALIZE_NFD);
        char *lower = local_lower(decomposed);
        char *composed = g_utf8_normalize(lower, -1, G_NORMALIZE_NFC);
        bool stable = strcmp(composed, folded) == 0;

        g_free(decomposed);
        g_free(lower);
        g_free(folded);
        folded = composed;
        if (stable) {
            break;
        }
    }
    return folded;
}

/* Appends to address; false when it is full. */
static bool address_append(struct mailbox *mailbox, const char *bytes,
                           size_t length)
{
    if (length > MAILBOX_MAX - mailbox->address_length) {
        return false;
    }
    if (length > 0) {
        memcpy(mailbox->address + mailbox->address_length, bytes, length);
    }
    mailbox->address_length += length;
    mailbox->address[mailbox->address_length] = '\0';
    return true;
}

static bool append_quoted(struct mailbox *mailbox, struct text local)
{
    if (!address_append(mailbox, "\"", 1)) {
        return false;
    }
    for (size_t i = 0; i < local.length; i++) {
        bool special = local.bytes[i] == '"' || local.bytes[i] == '\\';

        if ((special && !address_append(mailbox, "\\", 1)) ||
            !address_append(mailbox, local.bytes + i, 1)) {
            return false;
        }
    }
    return address_append(mailbox, "\"", 1);
}

static bool local_is_ascii(struct text local)
{
    for (size_t i = 0; i < local.length; i++) {
        if (local.bytes[i] & 0x80) {
            return false;
        }
    }
    return true;
}

/* ann+tag is ann; "+tag" alone has nothing that could be left. */
static struct text local_fold_tag(struct text local)
{
    struct text behind_first = local;
    const char *plus;

    if (local.length == 0) {
        return local;
    }
    behind_first.bytes++;
    behind_first.length--;
    plus = text_first(behind_first, '+');
    return plus == NULL ? local : text_before(local, plus);
}

/* Sets the local part, alone; false when it is too long. */
static bool local_normalise(struct text local,
                            const struct mailbox_rules *rules,
                            struct mailbox *mailbox)
{
    char bytes[LOCAL_MAX + 1];
    char *folded = NULL;
    bool fits;

    if (local.length > LOCAL_MAX) {
        return false;
    }
    text_copy(local, bytes, sizeof bytes);
    local.bytes = bytes;
    if (!local_is_ascii(local)) {
        folded = local_fold(bytes, rules->keep_local_case);
        local = text_of(folded);
    } else if (!rules->keep_local_case) {
        for (size_t i = 0; i < local.length; i++) {
            bytes[i] = g_ascii_tolower(bytes[i]);
        }
    }
    if (domain_is_among(mailbox->domain, rules->fold_tag_domains)) {
        local = local_fold_tag(local);
    }
    fits = local_needs_quotes(local)
               ? append_quoted(mailbox, local)
               : address_append(mailbox, local.bytes, local.length);
    g_free(folded);
    mailbox->local_length = mailbox->address_length;
    return fits;
}

static void mailbox_clear(struct mailbox *mailbox)
{
    mailbox->address[0] = '\0';
    mailbox->address_length = 0;
    mailbox->local_length = 0;
    mailbox->domain[0] = '\0';
    mailbox->domain_length = 0;
}

static enum mailbox_result mailbox_long(struct mailbox *mailbox)
{
    mailbox->address[0] = '\0';
    mailbox->address_length = 0;
    mailbox->local_length = 0;
    return MAILBOX_LONG;
}

static enum mailbox_result mailbox_from_path(const struct mailbox_path *path,
                                             const struct mailbox_rules *rules,
                                             struct mailbox *mailbox)
{
    struct parts parts;
    char reread[LOCAL_MAX + 1];

    address_resolve(path, rules, &parts);
    if (parts.reread) {
        parts.local = local_reread(parts.local, reread, sizeof reread);
    }
    if (parts.local.length == 0 && parts.domain.length == 0 &&
        !parts.domain_too_long) {
        return MAILBOX_INVALID;
    }
    memcpy(mailbox->domain, parts.domain.normal, parts.domain.length + 1);
    mailbox->domain_length = parts.domain.length;
    if (path->cut || parts.domain_too_long ||
        !local_normalise(parts.local, rules, mailbox)) {
        return mailbox_long(mailbox);
    }
    if (mailbox->domain_length == 0) {
        return MAILBOX_LOCAL;
    }
    return address_append(mailbox, "@", 1) &&
                   address_append(mailbox, mailbox->domain,
                                  mailbox->domain_length)
               ? MAILBOX_OK
               : mailbox_long(mailbox);
}

enum byte_kind {
    KIND_NAME = 1, /* [a-z0-9] */
    KIND_LINE = 2, /* - and _ */
};

static const unsigned char byte_kinds[256] = {
    ['-'] = KIND_LINE, ['_'] = KIND_LINE, ['0'] = KIND_NAME, ['1'] = KIND_NAME,
    ['2'] = KIND_NAME, ['3'] = KIND_NAME, ['4'] = KIND_NAME, ['5'] = KIND_NAME,
    ['6'] = KIND_NAME, ['7'] = KIND_NAME, ['8'] = KIND_NAME, ['9'] = KIND_NAME,
    ['a'] = KIND_NAME, ['b'] = KIND_NAME, ['c'] = KIND_NAME, ['d'] = KIND_NAME,
    ['e'] = KIND_NAME, ['f'] = KIND_NAME, ['g'] = KIND_NAME, ['h'] = KIND_NAME,
    ['i'] = KIND_NAME, ['j'] = KIND_NAME, ['k'] = KIND_NAME, ['l'] = KIND_NAME,
    ['m'] = KIND_NAME, ['n'] = KIND_NAME, ['o'] = KIND_NAME, ['p'] = KIND_NAME,
    ['q'] = KIND_NAME, ['r'] = KIND_NAME, ['s'] = KIND_NAME, ['t'] = KIND_NAME,
    ['u'] = KIND_NAME, ['v'] = KIND_NAME, ['w'] = KIND_NAME, ['x'] = KIND_NAME,
    ['y'] = KIND_NAME, ['z'] = KIND_NAME,
};

static inline bool is_kind(char byte, unsigned kinds)
{
    return (byte_kinds[(unsigned char)byte] & kinds) != 0;
}

/* [a-z0-9-], dots between, no label that may be of another alphabet. */
static bool is_plain_domain(const char *bytes, size_t length)
{
    size_t label = 0; /* where it begins */
    size_t i = 0;

    for (;;) {
        while (i < length && is_kind(bytes[i], KIND_NAME)) {
            i++;
        }
        if (i == length) {
            break;
        }
        if (bytes[i] == '.') {
            if (i == label || i - label > 63 || bytes[i - 1] == '-') {
                return false;
            }
            label = i + 1;
        } else if (bytes[i] != '-' || i == label || i - label == 3) {
            return false;
        }
        i++;
    }
    /* the last one begins with a letter, so that it is no IP address */
    return i > label && i - label < 63 && length < 250 && bytes[label] >= 'a' &&
           bytes[length - 1] != '-';
}

static bool is_plain_local(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!is_kind(bytes[i], KIND_NAME | KIND_LINE) &&
            (bytes[i] != '.' || i == 0 || bytes[i - 1] == '.')) {
            return false;
        }
    }
    return length > 0 && length <= 64 && bytes[length - 1] != '.';
}

/*
 * Most addresses are their own normal form under any rules, and it is seen at
 * once.
 */
static bool take_plain(struct text address, struct mailbox *mailbox)
{
    const char *at =
        address.length == 0 ? NULL : memchr(address.bytes, '@', address.length);
    size_t local = at == NULL ? 0 : (size_t)(at - address.bytes);
    size_t domain = at == NULL ? 0 : address.length - local - 1;

    if (domain == 0 || !is_plain_local(address.bytes, local) ||
        !is_plain_domain(at + 1, domain)) {
        return false;
    }
    mailbox->address_length =
        text_copy(address, mailbox->address, sizeof mailbox->address);
    mailbox->local_length = local;
    mailbox->domain_length = text_copy((struct text){at + 1, domain},
                                       mailbox->domain, sizeof mailbox->domain);
    return true;
}

enum mailbox_result mailbox_parse(struct text path,
                                  const struct mailbox_rules *rules,
                                  struct mailbox *mailbox)
{
    struct mailbox_path opened;

    if (path.bytes != NULL && take_plain(path, mailbox)) {
        return MAILBOX_OK;
    }
    mailbox_clear(mailbox);
    if (path.bytes == NULL || !mailbox_path_read(path, &opened)) {
        return MAILBOX_INVALID;
    }
    return mailbox_from_path(&opened, rules == NULL ? &no_rules : rules,
                             mailbox);
}

bool mailbox_parse_domain(struct text domain,
                          char normal[MAILBOX_DOMAIN_MAX + 1])
{
    char bytes[MAILBOX_PATH_UTF8_MAX];
    struct text repaired = {bytes, 0};
    struct mailbox_domain parsed;

    normal[0] = '\0';
    if (domain.bytes == NULL || domain.length > MAILBOX_PATH_MAX) {
        return false;
    }
    repaired.length = mailbox_path_repair(domain, bytes, sizeof bytes);
    if (mailbox_domain_normalise(repaired, &parsed) != MAILBOX_DOMAIN_OK ||
        parsed.odd) {
        return false;
    }
    memcpy(normal, parsed.normal, parsed.length + 1);
    return true;
}

/* Sets kind, text and domain; false when the text has no room. */
static bool pattern_set(struct mailbox_pattern *pattern,
                        enum mailbox_pattern_kind kind, struct text text,
                        const char *domain)
{
    static const struct pattern_form {
        const char *before;
        const char *behind;
    } forms[] = {
        [MAILBOX_PATTERN_INVALID] = {"", ""},
        [MAILBOX_PATTERN_EXACT] = {"", ""},
        [MAILBOX_PATTERN_DOMAIN] = {"@", ""},
        [MAILBOX_PATTERN_SUBDOMAINS] = {"@.", ""},
        [MAILBOX_PATTERN_LOCAL_PART] = {"", "@"},
    };
    const size_t before = strlen(forms[kind].before);
    const size_t behind = strlen(forms[kind].behind);

    if (text.length >= sizeof pattern->text - before - behind) {
        return false;
    }
    memcpy(pattern->text, forms[kind].before, before);
    memcpy(pattern->text + before, text.bytes, text.length);
    memcpy(pattern->text + before + text.length, forms[kind].behind,
           behind + 1);
    pattern->kind = kind;
    pattern->length = before + text.length + behind;
    text_copy(text_of(domain), pattern->domain, sizeof pattern->domain);
    return true;
}

/* bytes is "@example.org" or "@.example.org", opened. */
static bool pattern_of_domain(struct text bytes,
                              struct mailbox_pattern *pattern)
{
    enum mailbox_pattern_kind kind = MAILBOX_PATTERN_DOMAIN;
    struct mailbox_domain domain;

    bytes.bytes++;
    bytes.length--;
    if (bytes.length > 0 && bytes.bytes[0] == '.') {
        kind = MAILBOX_PATTERN_SUBDOMAINS;
    }
    if (mailbox_domain_normalise(bytes, &domain) != MAILBOX_DOMAIN_OK ||
        domain.odd) {
        return false;
    }
    return pattern_set(pattern, kind, text_of(domain.normal), domain.normal);
}

/* bytes is "ann@", opened; percent signs stay what they are. */
static bool pattern_of_local(struct text bytes,
                             const struct mailbox_rules *rules,
                             struct mailbox_pattern *pattern)
{
    struct mailbox mailbox;

    mailbox_clear(&mailbox);
    bytes.length--;
    return local_normalise(bytes, rules, &mailbox) &&
           pattern_set(pattern, MAILBOX_PATTERN_LOCAL_PART,
                       text_of(mailbox.address), "");
}

static bool pattern_of_mailbox(const struct mailbox_path *path,
                               const struct mailbox_rules *rules,
                               struct mailbox_pattern *pattern)
{
    struct mailbox mailbox;
    enum mailbox_result result;

    mailbox_clear(&mailbox);
    result = mailbox_from_path(path, rules, &mailbox);
    return (result == MAILBOX_OK || result == MAILBOX_LOCAL) &&
           pattern_set(pattern, MAILBOX_PATTERN_EXACT, text_of(mailbox.address),
                       mailbox.domain);
}

enum mailbox_pattern_kind
mailbox_parse_pattern(struct text text, const struct mailbox_rules *rules,
                      struct mailbox_pattern *pattern)
{
    struct mailbox_path path;
    struct text bytes = {path.bytes, 0};
    bool parsed = false;

    pattern_set(pattern, MAILBOX_PATTERN_INVALID, text_of(""), "");
    if (text.bytes == NULL || !mailbox_path_read(text, &path) || path.cut) {
        return MAILBOX_PATTERN_INVALID;
    }
    if (rules == NULL) {
        rules = &no_rules;
    }
    bytes.length = path.length;
    switch (path.shape) {
    case MAILBOX_PATH_ADDRESS:
        parsed = pattern_of_mailbox(&path, rules, pattern);
        break;
    case MAILBOX_PATH_DOMAIN:
        parsed = pattern_of_domain(bytes, pattern);
        break;
    case MAILBOX_PATH_LOCAL_PART:
        parsed = pattern_of_local(bytes, rules, pattern);
        break;
    }
    return parsed ? pattern->kind : MAILBOX_PATTERN_INVALID;
}

/* The domain from its count-th dot on, without the dot; NULL past the last. */
static const char *domain_suffix(const char *domain, size_t count)
{
    if (domain[0] == '[') {
        return NULL;
    }
    for (; count > 0 && domain != NULL; count--) {
        domain = strchr(domain, '.');
        if (domain != NULL) {
            domain++;
        }
    }
    return domain;
}

size_t mailbox_candidates(const struct mailbox *mailbox)
{
    const char *dot = mailbox->domain;
    size_t count = mailbox->address_length > 0 ? 2 : 0;

    if (mailbox->domain_length == 0) {
        return count;
    }
    count++;
    while (mailbox->domain[0] != '[' && (dot = strchr(dot, '.')) != NULL) {
        dot++;
        count++;
    }
    return count;
}

bool mailbox_candidate(const struct mailbox *mailbox, size_t index,
                       struct mailbox_pattern *pattern)
{
    enum mailbox_pattern_kind kind = MAILBOX_PATTERN_DOMAIN;
    struct text text = {mailbox->address, mailbox->address_length};
    const char *suffix;

    if (mailbox->address_length > 0) {
        if (index == 0) {
            return pattern_set(pattern, MAILBOX_PATTERN_EXACT, text,
                               mailbox->domain);
        }
        if (index == 1) {
            text.length = mailbox->local_length;
            return pattern_set(pattern, MAILBOX_PATTERN_LOCAL_PART, text, "");
        }
        index -= 2;
    }
    if (mailbox->domain_length == 0) {
        return false;
    }
    suffix = mailbox->domain;
    if (index > 0) {
        kind = MAILBOX_PATTERN_SUBDOMAINS;
        suffix = domain_suffix(suffix, index);
    }
    return suffix != NULL &&
           pattern_set(pattern, kind, text_of(suffix), suffix);
}
