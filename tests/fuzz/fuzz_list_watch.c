/*
 * A key of the lists, a newline, and what is known of it, as Redis has them. Of
 * a key that is taken the parts make the same key again, and what is written
 * of an entry stands for it.
 */
#include "list_known.h"
#include "list_watch_look.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_key(struct text key)
{
    static struct list_watch_entry entry;
    struct store_key again;

    if (!list_watch_entry_init(&entry, "nixie:", key)) {
        return;
    }
    require(store_key_list("nixie:", entry.list, entry.scope, &entry.pattern,
                           &again));
    require(again.length == key.length &&
            memcmp(again.text, key.bytes, key.length) == 0);
    require(entry.name.length + strlen("nixie:") == key.length);
    require(entry.known_key.length > 0 && entry.claim_key.length > 0);
}

static void check_known(struct text known)
{
    struct list_known entry = {.kind = LIST_KNOWN_STRING};
    char value[LIST_KNOWN_SIZE];

    entry.fields[LIST_KNOWN_NOTE] = known;
    entry.ends_s = (int64_t)known.length;
    (void)list_known_is(known, &entry);
    (void)list_known_has_ended(known, entry.ends_s);
    list_known_format(&entry, value);
    require(list_known_is(text_of(value), &entry));
    require(!list_known_has_ended(text_of(value), entry.ends_s - 3));
    require(list_known_has_ended(text_of(value), entry.ends_s) ==
            (entry.ends_s > 0));
    entry.fields[LIST_KNOWN_BY] = text_of("x");
    require(!list_known_is(text_of(value), &entry));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    const char *newline = size == 0 ? NULL : memchr(bytes, '\n', size);
    size_t length = newline == NULL ? size : (size_t)(newline - bytes);

    check_key((struct text){bytes, length});
    if (newline != NULL) {
        check_known((struct text){newline + 1, size - length - 1});
    }
    return 0;
}
