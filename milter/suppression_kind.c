#include "suppression_kind.h"

#include <string.h>

enum form { FORM_ADDRESS, FORM_LOCAL_PART, FORM_DOMAIN, FORM_SUBDOMAINS };

static enum form form_of(struct text pattern)
{
    if (pattern.length == 0) {
        return FORM_ADDRESS;
    }
    if (pattern.bytes[0] == '@') {
        return pattern.length > 1 && pattern.bytes[1] == '.' ? FORM_SUBDOMAINS
                                                             : FORM_DOMAIN;
    }
    return pattern.bytes[pattern.length - 1] == '@' ? FORM_LOCAL_PART
                                                    : FORM_ADDRESS;
}

suppression_kinds suppression_kind(enum store_list list, bool for_scope,
                                   struct text pattern)
{
    const unsigned forms = 4;
    unsigned number = (unsigned)form_of(pattern);

    number += for_scope ? forms : 0;
    number += list == STORE_ALLOW ? 2 * forms : 0;
    return (suppression_kinds)1 << number;
}

static bool take(struct text *key, const char *word)
{
    size_t length = strlen(word);

    if (key->length < length || memcmp(key->bytes, word, length) != 0) {
        return false;
    }
    key->bytes += length;
    key->length -= length;
    return true;
}

suppression_kinds suppression_kind_of_key(struct text key)
{
    enum store_list list = STORE_SUPPRESS;
    const char *colon;
    size_t before;

    if (!take(&key, "suppress")) {
        list = STORE_ALLOW;
        if (!take(&key, "allow")) {
            return SUPPRESSION_KINDS_ALL;
        }
    }
    /* no scope has a colon in its name */
    colon = key.length == 0 ? NULL : memchr(key.bytes, ':', key.length);
    if (colon == NULL) {
        return SUPPRESSION_KINDS_ALL;
    }
    before = (size_t)(colon - key.bytes);
    return suppression_kind(list, before > 0,
                            (struct text){colon + 1, key.length - before - 1});
}
