#include "list_known.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGEST_LENGTH 16
#define SLACK_S       2 /* Redis rounds, and counts down while it answers */

const char *const list_known_names[LIST_KNOWN_FIELDS] = {
    [LIST_KNOWN_REASON] = "reason", [LIST_KNOWN_TYPE] = "type",
    [LIST_KNOWN_ORIGIN] = "origin", [LIST_KNOWN_NOTE] = "note",
    [LIST_KNOWN_BY] = "by",         [LIST_KNOWN_ADDED_AT] = "added_at",
    [LIST_KNOWN_MODE] = "mode",     [LIST_KNOWN_EVIDENCE] = "evidence",
};

/* Each with its length: no two entries give the same bytes. */
static void add(GChecksum *sum, struct text text)
{
    char length[24];
    int written = snprintf(length, sizeof length, "%zu:", text.length);

    g_checksum_update(sum, (const guchar *)length, written);
    if (text.length > 0) {
        g_checksum_update(sum, (const guchar *)text.bytes, (gssize)text.length);
    }
}

static void digest(const struct list_known *entry, char hex[DIGEST_LENGTH + 1])
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    const guchar kind = (guchar)entry->kind;

    g_checksum_update(sum, &kind, 1);
    for (size_t i = 0; i < LIST_KNOWN_FIELDS; i++) {
        add(sum, entry->fields[i]);
    }
    (void)text_copy(text_of(g_checksum_get_string(sum)), hex,
                    DIGEST_LENGTH + 1);
    g_checksum_free(sum);
}

void list_known_format(const struct list_known *entry,
                       char value[LIST_KNOWN_SIZE])
{
    char hex[DIGEST_LENGTH + 1];

    digest(entry, hex);
    if (entry->ends_s > 0) {
        (void)snprintf(value, LIST_KNOWN_SIZE, "%s %lld", hex,
                       (long long)entry->ends_s);
    } else {
        (void)snprintf(value, LIST_KNOWN_SIZE, "%s", hex);
    }
}

/* 0: never, or no number. */
static int64_t end_in(struct text value)
{
    char digits[LIST_KNOWN_SIZE];

    if (value.length <= DIGEST_LENGTH + 1) {
        return 0;
    }
    (void)text_copy((struct text){value.bytes + DIGEST_LENGTH + 1,
                                  value.length - DIGEST_LENGTH - 1},
                    digits, sizeof digits);
    return strtoll(digits, NULL, 10);
}

bool list_known_is(struct text value, const struct list_known *entry)
{
    char hex[DIGEST_LENGTH + 1];
    int64_t end_s;

    if (value.length < DIGEST_LENGTH) {
        return false;
    }
    digest(entry, hex);
    if (memcmp(value.bytes, hex, DIGEST_LENGTH) != 0) {
        return false;
    }
    end_s = end_in(value);
    if (end_s <= 0 || entry->ends_s <= 0) {
        return end_s <= 0 && entry->ends_s <= 0;
    }
    return end_s <= entry->ends_s ? entry->ends_s - end_s <= SLACK_S
                                  : end_s - entry->ends_s <= SLACK_S;
}

bool list_known_has_ended(struct text value, int64_t now_s)
{
    int64_t end_s = end_in(value);

    return end_s > 0 && (end_s <= now_s || end_s - now_s <= SLACK_S);
}
