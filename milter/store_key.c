#include "store_key.h"

#include <string.h>

/*
 * A byte at a time: 0x1021 has bits 12, 5 and 0, so what leaves at the top
 * comes back there, once more for what that itself pushes out.
 */
uint16_t store_crc16(const char *bytes, size_t length)
{
    unsigned crc = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned out = (crc >> 8 ^ (unsigned char)bytes[i]) & 0xffU;

        out ^= out >> 4;
        crc = (crc << 8 ^ out << 12 ^ out << 5 ^ out) & 0xffffU;
    }
    return (uint16_t)crc;
}

unsigned store_bucket(const char *bytes, size_t length)
{
    return store_crc16(bytes, length) % STORE_BUCKETS;
}

unsigned store_bucket_of_pattern(const struct mailbox_pattern *pattern)
{
    switch (pattern->kind) {
    case MAILBOX_PATTERN_DOMAIN:
    case MAILBOX_PATTERN_SUBDOMAINS:
        return store_bucket(pattern->domain, strlen(pattern->domain));
    case MAILBOX_PATTERN_INVALID:
    case MAILBOX_PATTERN_EXACT:
    case MAILBOX_PATTERN_LOCAL_PART:
        break;
    }
    return store_bucket(pattern->text, pattern->length);
}

/* Keys hold NUL when a quoted local part does, so they are no C strings. */
static bool append(struct store_key *key, struct text part)
{
    if (part.length >= sizeof key->text - key->length) {
        return false;
    }
    if (part.length > 0) {
        memcpy(key->text + key->length, part.bytes, part.length);
    }
    key->length += part.length;
    key->text[key->length] = '\0';
    return true;
}

static bool append_string(struct store_key *key, const char *part)
{
    return append(key, text_of(part));
}

static bool begin(struct store_key *key, const char *prefix)
{
    key->length = 0;
    key->text[0] = '\0';
    return strlen(prefix) <= STORE_PREFIX_MAX && append_string(key, prefix);
}

/* A colon or @ in a scope would make one key of two different entries. */
bool store_scope_is_valid(struct text scope)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";

    for (size_t i = 0; i < scope.length; i++) {
        if (memchr(allowed, scope.bytes[i], sizeof allowed - 1) == NULL) {
            return false;
        }
    }
    return scope.length > 0 && scope.length <= STORE_SCOPE_MAX;
}

static bool is_slot(struct text scope)
{
    return text_is(scope, STORE_SCOPE_ALL) || store_scope_is_valid(scope);
}

static bool append_scope(struct store_key *key, const char *scope)
{
    if (scope == NULL || scope[0] == '\0') {
        return true;
    }
    return store_scope_is_valid(text_of(scope)) && append_string(key, "@") &&
           append_string(key, scope);
}

bool store_key_list(const char *prefix, enum store_list list, const char *scope,
                    const struct mailbox_pattern *pattern,
                    struct store_key *key)
{
    static const char *const names[] = {
        [STORE_SUPPRESS] = "suppress",
        [STORE_ALLOW] = "allow",
    };
    struct text text = {pattern->text, pattern->length};

    return pattern->kind != MAILBOX_PATTERN_INVALID && begin(key, prefix) &&
           append_string(key, names[list]) && append_scope(key, scope) &&
           append_string(key, ":") && append(key, text);
}

static bool begin_history(struct store_key *key, const char *prefix,
                          unsigned bucket)
{
    const unsigned number = bucket % STORE_BUCKETS;
    const char tag[] = {'{', (char)('0' + number / 10),
                        (char)('0' + number % 10), '}', ':'};

    return begin(key, prefix) && append(key, (struct text){tag, sizeof tag});
}

bool store_key_history(const char *prefix, unsigned bucket,
                       enum store_history kind, struct text name,
                       struct store_key *key)
{
    static const struct history {
        const char *word;
        bool named;
    } kinds[] = {
        [STORE_RECIPIENT] = {"recipient:", true},
        [STORE_STRIKES] = {"strikes:", true},
        [STORE_EVIDENCE] = {"evidence:", true},
        [STORE_DOMAIN] = {"domain:", true},
        [STORE_WAITING] = {"waiting:", true},
        [STORE_STATS] = {"stats:", true},
        [STORE_HOUR] = {"hour:", true},
        [STORE_SEEN] = {"seen:", true},
        [STORE_DUE] = {"due", false},
        [STORE_BREAKER] = {"breaker", false},
        [STORE_DOWN] = {"down", false},
        [STORE_CHECKPOINT] = {"checkpoint", false},
        [STORE_FORGOTTEN] = {"forgotten", false},
        [STORE_KNOWN] = {"known", false},
        [STORE_CLAIM] = {"claim:", true},
    };

    if (!begin_history(key, prefix, bucket) ||
        !append_string(key, kinds[kind].word)) {
        return false;
    }
    return !kinds[kind].named || (name.length > 0 && append(key, name));
}

bool store_key_strikes(const char *prefix, unsigned bucket, struct text scope,
                       struct text address, struct store_key *key)
{
    if (scope.length == 0) {
        return store_key_history(prefix, bucket, STORE_STRIKES, address, key);
    }
    return is_slot(scope) && address.length > 0 &&
           begin_history(key, prefix, bucket) &&
           append_string(key, "strikes@") && append(key, scope) &&
           append_string(key, ":") && append(key, address);
}

/* What stands before the last such byte, and the scope behind it. */
static void split(struct text text, char byte, struct text *before,
                  struct text *scope)
{
    const char *found =
        text.length == 0 ? NULL : memrchr(text.bytes, byte, text.length);
    size_t at = found == NULL ? 0 : (size_t)(found - text.bytes);
    struct text behind = {NULL, 0};

    if (found != NULL) {
        behind = (struct text){found + 1, text.length - at - 1};
    }
    *before = text;
    *scope = (struct text){NULL, 0};
    if (is_slot(behind)) {
        before->length = at;
        *scope = behind;
    }
}

void store_due_field(struct text field, struct text *address,
                     struct text *scope)
{
    split(field, ' ', address, scope);
}

void store_due_value(struct text value, struct text *reason, struct text *scope)
{
    split(value, '@', reason, scope);
}
